"""Heat map of what moves together with a point, in short slices of work; the page's own engine does the same (heat.js).

Many pokes at one point of the picture at rest, and for every pixel the mean square of how far its motion is from the
poke (after Sec. 4.2, Fig. 5; measures/correlation.py says where the paper's variance is fragile). The model predicts
how pixels move, so nothing is tracked. A model that paints predicts no motion; its map is how much a pixel changes. A
model that sees what it touches predicts directly what moves along, so nothing is poked.
"""

from collections.abc import Iterator

import cv2
import numpy as np
import torch
from jaxtyping import Float, Float32, Float64
from torch import Tensor
from torch.nn import functional

from poke2vid.geometry import Affine
from poke2vid.live.brush import gated
from poke2vid.live.session import Session
from poke2vid.measures import correlation
from poke2vid.model.response import gate
from poke2vid.model.swing import SWING
from poke2vid.model.touch_encoder import FIELD_SIDE
from poke2vid.model.touch_video import TouchDynamics, grasp, on_cells
from poke2vid.players.batch import play_batch
from poke2vid.types import Frame, Pair, Player, Poke, State

POKES = 32
STEPS = 10  # as in training
LONGEST = 0.1  # of the frame's side: pokes of real clips are no longer
SHORTEST = 0.1  # of the longest
INVERSIONS = 6  # fixed-point iterations that turn a backward flow into a forward one
SURE = 0.5  # a map of what moves along is divided by its peak, but by no less than this: a faint map stays faint
BUSIEST = 0.99  # quantile of a painting model's changes that becomes 1
_WORD = 2**32 - 1


def batch_of(resolution: int) -> int:
    """Number of pokes that one slice predicts; other clients' live pictures wait while it runs."""
    return max(1, 256 // resolution)


def heat_of(session: Session, at: Pair) -> "HeatMap | PartsMap":
    """A map, to be computed, for a point of a session's picture at rest, in pixels of x_0; its kind suits the model."""
    player = session.player
    if isinstance(player, TouchDynamics):
        return PartsMap(player, session.state, at)
    return HeatMap(player, session.canvas.x_0, at, session.moves)


class HeatMap:
    """A heat map from many pokes, computed slice by slice.

    Attributes:
        done: True once `map` may be called.
    """

    def __init__(
        self, player: Player, x_0: Float[Tensor, "1 3 r r"], at: Pair, moves: Float[Tensor, "1 1 r r"] | None = None
    ) -> None:
        """Prepares the pokes and computes nothing yet; `at` is in pixels of x_0, `moves` what strokes let move."""
        self._player, self._x_0, self._moves = player, x_0, moves
        shifts = even_shifts(POKES, LONGEST * player.resolution)
        self._shifts = shifts
        pokes = [Poke(at, (float(dx), float(dy)), player.poke_kind) for dx, dy in shifts]
        batch = batch_of(player.resolution)
        self._batches = [pokes[k : k + batch] for k in range(0, POKES, batch)]
        self._last: list[Frame] = []
        self._steps = self._played()
        self.done = False

    def _played(self) -> Iterator[None]:
        """All the work, one step of one batch at a time."""
        for pokes in self._batches:
            for number, frame in enumerate(play_batch(self._player, self._x_0, pokes, STEPS), 1):
                if number == STEPS:
                    self._last.append(frame if self._moves is None else gated(frame, self._x_0, self._moves))
                    self.done = len(self._last) == len(self._batches)
                yield

    @torch.inference_mode()
    def slice(self) -> None:
        """Computes one step of one batch."""
        next(self._steps)

    def map(self) -> Float32[np.ndarray, "r r"]:
        """The map, 0 ... 1: 1 follows the poke, 0 stays where it is."""
        assert self.done
        if self._last[0].flow is None:
            return _energy(torch.cat([frame.x_hat for frame in self._last]), self._x_0)
        backward = torch.cat([frame.flow for frame in self._last if frame.flow is not None])
        flows = np.stack([forward(flow) for flow in backward.numpy(force=True)])
        apart = correlation.mean_square(flows, self._shifts.astype(np.float32))
        still = (correlation.still_difference(self._shifts) ** 2).mean()
        return correlation.heat(apart / still).astype(np.float32)


class PartsMap:
    """Map of what moves along with a touch, as E_phi predicts it; used like a `HeatMap`."""

    def __init__(self, player: TouchDynamics, state: State, at: Pair) -> None:
        """Computes nothing yet; `at` is in pixels of x_0, `state` may be any state of that picture."""
        self._player, self._state, self._at = player, state, at
        self.done = False

    @torch.inference_mode()
    def slice(self) -> None:
        """Computes the whole map."""
        side, mask = self._player.resolution, self._player.object_of(self._state)[:1]
        movable = self._player.object_of(self._state, self._at)[:1]
        place = Affine.resize((side, side), (FIELD_SIDE, FIELD_SIDE)).point(*self._at)
        maps = on_cells(self._player.touch(self._state, self._at)[:1])[:, SWING:]
        along = _enlarged(torch.sigmoid(maps), FIELD_SIDE) * gate(movable)
        holds = grasp(mask, mask.new_tensor([[place]]))
        self._map = _enlarged(along, side)[0, 0] / along.max().clamp_min(SURE) * holds
        self.done = True

    def map(self) -> Float32[np.ndarray, "r r"]:
        """The map, 0 ... 1; all zero if there is nothing to hold at the point."""
        assert self.done
        return self._map.numpy(force=True).astype(np.float32)


def _enlarged(maps: Float[Tensor, "b c h w"], side: int) -> Float[Tensor, "b c s s"]:
    return functional.interpolate(maps, size=(side, side), mode="bilinear", align_corners=False)


def forward(flow: Float32[np.ndarray, "2 r r"]) -> Float32[np.ndarray, "2 r r"]:
    """Forward flow of every pixel of x_0, D(x) = -flow(x + D(x)), from the frame's backward flow."""
    side = flow.shape[-1]
    grid = np.stack(np.meshgrid(*2 * (np.arange(side, dtype=np.float32),)))
    moved = -flow
    for _ in range(INVERSIONS):
        x, y = (grid + moved).clip(0, side - 1)
        moved = -np.stack([cv2.remap(part, x, y, cv2.INTER_LINEAR) for part in flow])
    return moved


def _energy(frames: Float[Tensor, "k 3 r r"], x_0: Float[Tensor, "1 3 r r"]) -> Float32[np.ndarray, "r r"]:
    change = (frames - x_0).abs().sum(dim=(0, 1)).numpy(force=True)
    busiest = np.sort(change, axis=None)[int(BUSIEST * (change.size - 1))]
    return np.minimum(change / max(busiest, 1e-6), 1).astype(np.float32)


def even_shifts(count: int, longest: float) -> Float64[np.ndarray, "k 2"]:
    """Stratified shifts as in heat.js: lengths uniform over `SHORTEST` ... 1 times the longest, in all directions."""
    random = _mulberry32(0)

    def strata() -> Float64[np.ndarray, " k"]:
        order = list(range(count))
        for k in range(count - 1, 0, -1):
            other = int(next(random) * (k + 1))
            order[k], order[other] = order[other], order[k]
        return np.array([(k + next(random)) / count for k in order])

    angles = 2 * np.pi * strata()
    lengths = longest * (SHORTEST + (1 - SHORTEST) * strata())
    return lengths[:, None] * np.stack((np.cos(angles), np.sin(angles)), axis=-1)


def _mulberry32(seed: int) -> Iterator[float]:
    """The page's generator of uniform numbers in [0, 1), so that both engines poke alike."""
    a = seed
    while True:
        a = (a + 0x6D2B79F5) & _WORD
        t = ((a ^ (a >> 15)) * (1 | a)) & _WORD
        t ^= (t + ((t ^ (t >> 7)) * (61 | t) & _WORD)) & _WORD
        yield (t ^ (t >> 14)) / 2**32
