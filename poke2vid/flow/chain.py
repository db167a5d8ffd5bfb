"""Flow over many frames: from frame to frame, and after every step corrected against the first one."""

import math
from collections.abc import Iterator, Sequence

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from poke2vid.flow.estimator import FlowEstimator

CORRECT_WITHIN = 1.0  # pixels of the frames: a larger correction is taken for a mistake, as where something is hidden
Field = Float32[np.ndarray, "2 h w"]


class FlowChain:
    """Where every pixel of the first frame is in later ones, for an estimator that is good at small steps only.

    A thin part that goes far between two frames is lost by any estimator; from one frame to the next it moves a pixel or two.
    The step from frame i to i + 1 is added along the path, F' = F + f(l + F); then frame i + 1 is fetched back by F' and
    compared with the first frame once more, which takes away what the steps have piled up.

    Attributes:
        smallest_side: smaller frames are estimated at twice, three times ... their size, to reach it.
    """

    def __init__(self, estimator: FlowEstimator, smallest_side: int = 1) -> None:
        self.estimator, self.smallest_side = estimator, smallest_side

    @property
    def name(self) -> str:
        """Whatever its flow depends on: two chains of one name measure the same."""
        return (
            f"{self.estimator.name} from frame to frame, frames of at least {self.smallest_side}, corrected within "
            f"{CORRECT_WITHIN:g} px"
        )

    def __call__(self, frames: Sequence[UInt8[np.ndarray, "h w 3"]]) -> Iterator[Field]:
        """(dx, dy) in pixels from the first frame to each of the others, in turn.

        A frame that equals the one before it adds nothing, whatever the estimator would say.
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
        """The flow and what is left to the first frame, where that is less than `within`."""
        x, y = grid + flow
        rest = self.estimator(first, cv2.remap(now, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))
        trusted = np.hypot(rest[0], rest[1]) < within
        return np.where(trusted, rest + _fetch(flow, grid + rest), flow).astype(np.float32)


def _enlarged(frame: UInt8[np.ndarray, "h w 3"], factor: int) -> UInt8[np.ndarray, "h2 w2 3"]:
    return frame if factor == 1 else cv2.resize(frame, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)


def _shrunk(flow: Float32[np.ndarray, "2 h2 w2"], factor: int) -> Field:
    """Means over what belongs to one pixel; pixels grew about their centres, so no place moves."""
    if factor == 1:
        return flow
    _, height, width = flow.shape
    size = (width // factor, height // factor)
    return np.stack([cv2.resize(part, size, interpolation=cv2.INTER_AREA) for part in flow]) / np.float32(factor)


def _fetch(field: Field, places: Field) -> Field:
    """The field at places (x, y), between pixels linearly; the border goes on for ever."""
    x, y = places
    return np.stack([cv2.remap(part, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) for part in field])
