"""Flow over many frames: accumulated from frame to frame, and corrected against the first frame after every step."""

import math
from collections.abc import Iterator, Sequence

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from poke2vid.flow.estimator import FlowEstimator

CORRECT_WITHIN = 1.0  # pixels of the frames: larger corrections are rejected as errors, for example at occlusions
Field = Float32[np.ndarray, "2 h w"]


class FlowChain:
    """Tracks every pixel of the first frame through later ones, with an estimator that is good at small steps only.

    Any estimator loses a thin part that moves far between two frames; from frame to frame it moves 1 or 2 pixels.
    The step from frame i to i + 1 is added along the path, F' = F + f(l + F); then frame i + 1 is warped back by F' and
    compared with the first frame, which removes accumulated drift.

    Attributes:
        smallest_side: smaller frames are enlarged 2, 3, ... times to reach this side before estimation.
    """

    def __init__(self, estimator: FlowEstimator, smallest_side: int = 1) -> None:
        self.estimator, self.smallest_side = estimator, smallest_side

    @property
    def name(self) -> str:
        """Name with every setting that affects the flow: chains with equal names give equal flow."""
        return (
            f"{self.estimator.name} from frame to frame, frames of at least {self.smallest_side}, corrected within "
            f"{CORRECT_WITHIN:g} px"
        )

    def __call__(self, frames: Sequence[UInt8[np.ndarray, "h w 3"]]) -> Iterator[Field]:
        """Flow (dx, dy) in pixels from the first frame to each of the others, in turn.

        A frame equal to the previous one adds no flow; the estimator is not asked.
        """
        factor = math.ceil(self.smallest_side / min(frames[0].shape[:2]))
        first = _enlarged(frames[0], factor)
        height, width = first.shape[:2]
        grid = np.stack(np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)))
        known, before = np.zeros((2, height, width), np.float32), first
        for frame in frames[1:]:
            now = _enlarged(frame, factor)
            if not np.array_equal(now, before):
                stepped = known + _fetch(self.estimator(before, now), grid + known)
                known, before = self._corrected(stepped, first, now, grid, CORRECT_WITHIN * factor), now
            yield _shrunk(known, factor)

    def _corrected(
        self,
        flow: Field,
        first: UInt8[np.ndarray, "h w 3"],
        now: UInt8[np.ndarray, "h w 3"],
        grid: Field,
        within: float,
    ) -> Field:
        """The flow plus the remaining flow from the first frame, where the latter is less than `within`."""
        x, y = grid + flow
        rest = self.estimator(first, cv2.remap(now, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))
        trusted = np.hypot(rest[0], rest[1]) < within
        return np.where(trusted, rest + _fetch(flow, grid + rest), flow).astype(np.float32)


def _enlarged(frame: UInt8[np.ndarray, "h w 3"], factor: int) -> UInt8[np.ndarray, "h2 w2 3"]:
    return frame if factor == 1 else cv2.resize(frame, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)


def _shrunk(flow: Float32[np.ndarray, "2 h2 w2"], factor: int) -> Field:
    """Averages the flow over each original pixel; enlarging kept pixel centres, so there is no offset."""
    if factor == 1:
        return flow
    _, height, width = flow.shape
    size = (width // factor, height // factor)
    return np.stack([cv2.resize(part, size, interpolation=cv2.INTER_AREA) for part in flow]) / np.float32(factor)


def _fetch(field: Field, places: Field) -> Field:
    """The field sampled bilinearly at places (x, y); the border is repeated outside."""
    x, y = places
    return np.stack([cv2.remap(part, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) for part in field])
