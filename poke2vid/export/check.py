"""Comparison of exported graphs with their model: the same numbers, within stated bounds."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from poke2vid.export.engine import OnnxPlayer, Precision
from poke2vid.export.touch_engine import OnnxTouchPlayer
from poke2vid.geometry import resize_flow
from poke2vid.live.canvas import Canvas
from poke2vid.live.law_of_rest import STEADY, LiveModel
from poke2vid.media.pictures import read_picture
from poke2vid.model.touch_video import TouchDynamics, TouchVideo
from poke2vid.pokes import rasterise
from poke2vid.types import Frame, LivePlayer, Poke, State

EXAMPLE = Path(__file__).parent.parent / "assets" / "examples" / "flower.jpg"
HELD, LET_GO = 10, 15  # frames of the rollout
# Largest absolute difference of any value of any output of one step, as a share of that output's largest value or of 1,
# whichever is more: states and frames have values up to about 1, flow is in pixels.
STEP_LIMITS: dict[Precision, float] = {"fp32": 1e-4, "fp16": 2e-2}
# For frames of a rollout: model pixels if the decoder warps, intensity of [-1, 1] if it paints. Errors add up.
ROLLOUT_LIMITS: dict[Precision, float] = {"fp32": 1e-3, "fp16": 0.1}


@dataclass(frozen=True)
class Check:
    """Differences between an export and its model.

    Attributes:
        step: the largest difference of one step, as at `STEP_LIMITS`, over random and real input, touched and not.
        rollout: of 25 frames of a real picture, poked and released: the largest difference of flow in pixels (of x_hat
            if the decoder paints; of u if layers are moved).
        rollout_x_hat: the largest difference of a frame's intensity, of [-1, 1]; next to edges a small difference of
            flow is a large one of intensity.
        rollout_mean: the largest mean absolute difference of a frame's intensity.
    """

    precision: Precision
    step: float
    rollout: float
    rollout_x_hat: float
    rollout_mean: float

    @property
    def passed(self) -> bool:
        return self.step <= STEP_LIMITS[self.precision] and self.rollout <= ROLLOUT_LIMITS[self.precision]

    def to_json(self) -> dict[str, Any]:
        return {
            "step": _rounded(self.step),
            "step_limit": STEP_LIMITS[self.precision],
            "rollout": _rounded(self.rollout),
            "rollout_limit": ROLLOUT_LIMITS[self.precision],
            "rollout_x_hat": _rounded(self.rollout_x_hat),
            "rollout_mean": _rounded(self.rollout_mean),
            "rollout_frames": HELD + LET_GO,
        }


@torch.inference_mode()
def check(live: LiveModel, player: OnnxPlayer, precision: Precision) -> Check:
    """Runs a model and its export side by side."""
    side = live.resolution
    noise = _smooth_noise(side)
    worst = max(_one_step(live, player, noise), _one_step(live, player, Canvas(read_picture(EXAMPLE), side).x_0))
    return Check(precision, worst, *_rollout(live, player, Canvas(read_picture(EXAMPLE), side).x_0))


def _smooth_noise(side: int) -> Tensor:
    """Two smooth random pictures: at an edge a tiny flow changes intensity a lot, and white noise is all edges."""
    coarse = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1
    return functional.interpolate(coarse, size=(side, side), mode="bilinear", align_corners=False)


@torch.inference_mode()
def check_touch(model: TouchVideo, player: OnnxTouchPlayer, precision: Precision) -> Check:
    """The same check for a model that sees what it touches: E_phi of noise and a picture, and a rollout of a poke."""
    side = model.resolution
    noise = _smooth_noise(side)
    x_0 = Canvas(read_picture(EXAMPLE), side).x_0
    worst = []
    poke = Poke((side * 0.47, side * 0.4), (side * 0.08, -side * 0.06))
    for picture in (noise, x_0):
        expected, found = model.start(picture), player.start(picture)
        worst.append(_state_difference(expected, found))
        worst.append(_difference(model.touch(expected, poke.location), player.touch(found, poke.location)))
    return Check(precision, max(worst), *_compared(*(_touched(one, x_0, poke) for one in (model, player))))


def _touched(player: TouchDynamics, x_0: Tensor, poke: Poke) -> list[Frame]:
    """Frames of a poke that is held, then released; their flow is the state's u, because where one place comes to
    cover another the least difference decides which of the two shows.
    """
    state, frames = player.start(x_0), []
    drive = player.drive(state, [poke], [player.touch(state, poke.location)])
    for number in range(HELD + LET_GO):
        state, frame = player.step(state, drive if number < HELD else None)
        frames.append(replace(frame, flow=resize_flow(state.sigma[0], (player.resolution, player.resolution))))
    return frames


def poke_map_for(side: int) -> Tensor:
    """Map of a poke of a tenth of the side, near the middle."""
    return rasterise([Poke((side * 0.47, side * 0.4), (side * 0.08, -side * 0.06))], side)[None]


def _one_step(live: LiveModel, player: OnnxPlayer, x_0: Tensor) -> float:
    """Largest difference over all three graphs: picture, poke, and steps touched, touched for long, and untouched."""
    batch = len(x_0)
    poke_map = poke_map_for(live.resolution).expand(batch, -1, -1, -1)
    rest = live.default_rest
    expected, found = live.start(x_0), player.start(x_0)
    worst = [_state_difference(expected, found)]
    drive = live.encode_poke(poke_map)
    worst.append(_difference(drive, player.encode_poke(poke_map)))
    moving, _ = live.live_step(expected, drive, rest)
    for state in (expected, moving):
        for now, unchanged in ((drive, 0), (drive, STEADY + 5), (None, 0)):
            ours, frame = live.live_step(state, now, rest, unchanged)
            theirs, shown = player.live_step(state, now, rest, unchanged)
            worst += [_state_difference(ours, theirs), _frame_difference(frame, shown)]
    return max(worst)


def _rollout(live: LiveModel, player: OnnxPlayer, x_0: Tensor) -> tuple[float, float, float]:
    poke_map, rest = poke_map_for(live.resolution), live.default_rest
    both: tuple[LivePlayer, LivePlayer] = (live, player)
    rollouts: list[list[Frame]] = []
    for one in both:
        state, drive, frames = one.start(x_0), one.encode_poke(poke_map), []
        for number in range(HELD + LET_GO):
            state, frame = one.live_step(state, drive if number < HELD else None, rest)
            frames.append(frame)
        rollouts.append(frames)
    return _compared(*rollouts)


def _compared(expected: Sequence[Frame], found: Sequence[Frame]) -> tuple[float, float, float]:
    """Largest difference of flow (else intensity) in two rollouts, of intensity, and of intensity as a frame's mean."""
    largest, intensity, mean = 0.0, 0.0, 0.0
    for a, b in zip(expected, found, strict=True):
        apart = (a.x_hat - b.x_hat).abs()
        intensity, mean = max(intensity, float(apart.max())), max(mean, float(apart.mean()))
        moved = apart if a.flow is None or b.flow is None else (a.flow - b.flow).abs()
        largest = max(largest, float(moved.max()))
    return largest, intensity, mean


def _difference(expected: Tensor, found: Tensor) -> float:
    return float((expected - found).abs().max()) / max(1.0, float(expected.abs().max()))


def _state_difference(expected: State, found: State) -> float:
    parts = ("sigma", "context", "velocity", "home", "drift")
    pairs = [pair for part in parts for pair in zip(getattr(expected, part), getattr(found, part), strict=True)]
    return max(_difference(a, b) for a, b in pairs)


def _frame_difference(expected: Frame, found: Frame) -> float:
    pairs = [(getattr(expected, name), getattr(found, name)) for name in ("x_hat", "flow", "repaint")]
    return max(_difference(a, b) for a, b in pairs if a is not None)


def _rounded(value: float) -> float:
    return float(f"{value:.3g}")
