"""Camera shake: motion of a picture's border as one, which is the camera's, or of a background behind everything."""

from collections.abc import Sequence
from dataclasses import astuple, dataclass

import numpy as np
from jaxtyping import Float32

BAND = 1 / 8  # of the side: width of the border that is looked at
STILL = 0.002  # of the side a frame: a background that moves less stands still
TOGETHER = 0.6  # share of the border's pixels that must move alike
ALIKE = 0.25  # of the shift, or half of STILL: pixels that differ less from it move alike
REPORTED = 0.25  # share of frames with a moving background, from which on it is reported


@dataclass
class Shake:
    """Sums over the frames of a video.

    Attributes:
        frames, moving: number of frames, and of those whose background moves as one.
        shift, motion: sums of the background's shift and of the mean motion, as shares of the side.
    """

    frames: int = 0
    moving: int = 0
    shift: float = 0.0
    motion: float = 0.0

    def add(self, flow: Float32[np.ndarray, "2 s s"]) -> None:
        """Adds the flow from one frame to the next."""
        side = flow.shape[-1]
        shift, alike = border_shift(flow)
        size = float(np.hypot(*shift)) / side
        self.frames += 1
        self.motion += float(np.hypot(flow[0], flow[1]).mean()) / side
        if size >= STILL and alike >= TOGETHER:
            self.moving += 1
            self.shift += size

    @staticmethod
    def total(shakes: Sequence["Shake"]) -> "Shake":
        return Shake(*(sum(values) for values in zip(*(astuple(shake) for shake in shakes), strict=True)))

    @property
    def note(self) -> str:
        """A sentence if the camera moves in many frames, else ""."""
        if self.frames == 0 or self.moving < REPORTED * self.frames:
            return ""
        share = min(self.shift / self.motion, 1.0)
        return (
            f"the camera or the whole background moves in {self.moving / self.frames:.0%} of its frames, by "
            f"{self.shift / self.moving:.1%} of the side a frame, which is {share:.0%} of all motion; a model learns "
            "from it that a poke moves everything"
        )


def border_shift(flow: Float32[np.ndarray, "2 s s"]) -> tuple[Float32[np.ndarray, "2"], float]:
    """Median motion of the border in pixels, and the share of its pixels that move like it."""
    side = flow.shape[-1]
    band = max(1, round(BAND * side))
    inside = np.zeros((side, side), bool)
    inside[band:-band, band:-band] = True
    border = flow[:, ~inside]
    shift = np.median(border, axis=1).astype(np.float32)
    away = np.hypot(border[0] - shift[0], border[1] - shift[1])
    near = max(ALIKE * float(np.hypot(*shift)), STILL / 2 * side)
    return shift, float((away <= near).mean())
