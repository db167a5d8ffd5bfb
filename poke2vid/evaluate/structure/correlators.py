"""Correlators: sources of a model's correlation maps, from its predicted frames or from its own field.

Motion in predicted frames is measured by a tracker that sees frames only, from x_0 by way of x_{T/2} to x_T. On true
futures of simulated objects (11 touched points of 6 scenes, 8 pokes each of up to a tenth of the side, 128 pixels) its
mean error on the object is 0.40 pixels; one jump to x_T has 0.49 in half the time, a chain through all ten frames 0.46
in 5 times the time, RAFT-small's jump 0.60 in 12 times.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

import numpy as np
import torch
from jaxtyping import Float32, Float64
from torch.nn import functional
from tqdm import tqdm

from poke2vid import pokes as poking
from poke2vid.evaluate.structure.maps import CorrelationMap, Settings, map_of, random_shifts
from poke2vid.flow.chain import FlowChain
from poke2vid.flow.classical import DisFlow, FarnebackFlow
from poke2vid.flow.raft import RaftFlow
from poke2vid.geometry import Affine
from poke2vid.live.canvas import Canvas
from poke2vid.media.viz import Picture
from poke2vid.model.response import BASIS, respond
from poke2vid.model.swing import SWING
from poke2vid.model.touch_encoder import FIELD_SIDE
from poke2vid.model.touch_video import CELLS_SHUFFLED, TouchDynamics, grasp, on_cells
from poke2vid.players.batch import play_batch
from poke2vid.tracking.trackers import TRACKED_SIDE
from poke2vid.types import Frame, InputError, Pair, Player, Poke

MAP_SIDE = 128  # pixels of tracked frames, unless the model's are larger; 256 is no better at three times the cost


class Correlator(ABC):
    """Source of a player's correlation maps.

    Attributes:
        tracker: name of what measures motion, for reports.
    """

    tracker: str

    def __init__(self, player: Player, settings: Settings) -> None:
        self.player, self.settings = player, settings

    def canvas(self, picture: Picture) -> Canvas:
        """Canvas of the picture at the size of the maps."""
        return Canvas(picture, self.player.resolution, MAP_SIDE)

    def ask(
        self, canvas: Canvas, location: Pair, shifts: Float64[np.ndarray, "k 2"] | None = None,
        bar: tqdm | None = None,
    ) -> CorrelationMap:  # fmt: skip
        """The map of one location, at the canvas's shown size.

        Args:
            location: l, in pixels of the user's picture.
            shifts: the pokes, in the same pixels; None draws them as the settings say.
            bar: moves on by one per poke.

        Raises:
            InputError: if l lies outside the picture, or the model gives numbers that are not finite.
        """
        if shifts is None:
            shifts = random_shifts(self.settings.pokes, self.settings.longest * max(canvas.size), self.settings.seed)
        pokes = [Poke(location, (float(dx), float(dy)), self.player.poke_kind) for dx, dy in shifts]
        for poke in pokes:
            poking.check(poke, canvas.size[1], canvas.size[0])
        flows = []
        for flow in self._flows(canvas, pokes):
            flows.append(flow)
            if bar is not None:
                bar.update()
        shown = [canvas.shown(poke) for poke in pokes]
        vectors = np.array([poke.shift for poke in shown])
        return map_of(np.stack(flows), vectors, shown[0].location, self.settings.measure)

    @abstractmethod
    def _flows(self, canvas: Canvas, pokes: Sequence[Poke]) -> Iterator[Float32[np.ndarray, "2 h w"]]:
        """Yields the flow from x_0 to x_T after each poke, in pixels, at the canvas's shown size."""


class FrameCorrelator(Correlator):
    """Correlator that tracks a model's predicted frames."""

    def __init__(self, player: Player, settings: Settings, weights_dir: Path | None = None) -> None:
        """Builds one tracker per thread; raises InputError if its weights are not found."""
        super().__init__(player, settings)
        self._idle: SimpleQueue[FlowChain] = SimpleQueue()
        for _ in range(settings.threads):
            if settings.tracker in ("dis", "farneback"):
                tracker = FlowChain(DisFlow() if settings.tracker == "dis" else FarnebackFlow(), smallest_side=MAP_SIDE)
            else:
                tracker = FlowChain(RaftFlow(weights_dir, smallest_side=TRACKED_SIDE))
            self._idle.put(tracker)
        self.tracker = tracker.name

    def _flows(self, canvas: Canvas, pokes: Sequence[Poke]) -> Iterator[Float32[np.ndarray, "2 h w"]]:
        with ThreadPoolExecutor(self.settings.threads) as pool:
            for start in range(0, len(pokes), self.settings.batch):
                yield from pool.map(self._track, self._respond(canvas, pokes[start : start + self.settings.batch]))

    @torch.inference_mode()
    def _respond(self, canvas: Canvas, pokes: Sequence[Poke]) -> Iterator[list[Picture]]:
        """Yields x_0, x_{T/2}, x_T per poke, at the shown size."""
        last = self.settings.frames
        played = play_batch(self.player, canvas.x_0, [canvas.modelled(poke) for poke in pokes], last)
        kept = [frame for number, frame in enumerate(played, 1) if number in (last // 2, last)]
        if not all(bool(frame.x_hat.isfinite().all()) for frame in kept):
            raise InputError("the model's frames hold numbers that are not finite; use another model.")
        for k in range(len(pokes)):
            yield [canvas.picture, *(canvas.render(_one(frame, k)) for frame in kept)]

    def _track(self, clip: list[Picture]) -> Float32[np.ndarray, "2 h w"]:
        """Flow from the clip's first picture to its last."""
        tracker = self._idle.get()
        try:
            *_, flow = tracker(clip)
            return flow
        finally:
            self._idle.put(tracker)


def _one(frame: Frame, k: int) -> Frame:
    flow, repaint = (None if part is None else part[k : k + 1] for part in (frame.flow, frame.repaint))
    return Frame(frame.x_hat[k : k + 1], flow, repaint)


class FieldCorrelator(Correlator):
    """Correlator of a model that sees what it touches: from its own field u*, at rest under every poke.

    It needs no frames and no tracker; pokes that hold nothing move nothing.
    """

    tracker = "none (the model's own field)"
    player: TouchDynamics

    def _flows(self, canvas: Canvas, pokes: Sequence[Poke]) -> Iterator[Float32[np.ndarray, "2 h w"]]:
        modelled = [canvas.modelled(poke) for poke in pokes]
        to_field = Affine.resize((self.player.resolution,) * 2, (FIELD_SIDE,) * 2)
        at = torch.tensor([[to_field.point(*modelled[0].location)]])
        with torch.inference_mode():
            state = self.player.start(canvas.x_0)
            influence = self.player.touch(state, modelled[0].location)[:, :BASIS]
        mask = state.context[1]
        for poke in modelled:
            with torch.inference_mode():
                p = torch.tensor([[to_field.vector(*poke.shift)]])
                u = respond(influence[:, None], mask, at, p, grasp(mask, at))
            if not bool(u.isfinite().all()):
                raise InputError("the model's field holds numbers that are not finite; use another model.")
            yield canvas.carried(u[0].numpy())

    @torch.inference_mode()
    def along(self, canvas: Canvas, location: Pair) -> Float32[np.ndarray, "h w"]:
        """Probability that a place moves along with l, which E_phi was trained to predict, on the shown picture."""
        state = self.player.start(canvas.x_0)
        at = canvas.modelled(Poke(location, (0.0, 0.0))).location
        said = self.player.touch(state, at)
        logits = on_cells(said)[0, SWING:].repeat_interleave(CELLS_SHUFFLED, -2).repeat_interleave(CELLS_SHUFFLED, -1)
        # The object on coarser cells: one that holds something of it counts fully
        inside = functional.adaptive_max_pool2d((2 * self.player.object_of(state, at)[0]).clamp(max=1), said.shape[-1])
        return canvas.enlarged((torch.sigmoid(logits) * inside).numpy())[0]


def correlator_for(player: Player, settings: Settings, weights_dir: Path | None = None) -> Correlator:
    """The correlator that fits a player; raises InputError if it needs a tracker whose weights are missing."""
    if isinstance(player, TouchDynamics):
        return FieldCorrelator(player, settings)
    return FrameCorrelator(player, settings, weights_dir)
