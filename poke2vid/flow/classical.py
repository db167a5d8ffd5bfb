"""Optical flow without a network: dense inverse search (Kroeger et al. 2016) and Farneback's (2003), by OpenCV."""

import math
from typing import Any

import cv2
import numpy as np
import torch
from jaxtyping import Float32, UInt8

from poke2vid.geometry import resize_flow

FINE_UP_TO = 128  # pixels: up to this size the preset's half resolution loses too much
SMALLEST_SIDE = 32  # pixels: below this DIS has too few pyramid levels, and OpenCV refuses 11 and less


class DisFlow:
    """DIS optical flow: the default estimator. Not safe to share between threads."""

    def __init__(self, fine_up_to: int = FINE_UP_TO, fast: bool = False) -> None:
        """Sets up the estimator.

        Args:
            fine_up_to: frames up to this size, in pixels, are matched at their full resolution.
            fast: the preset FAST, with fewer iterations and sparser patches: as good for small motion, in 3/4 the time.
        """
        self._fine_up_to = fine_up_to
        # Estimators with equal names give equal flow; the default has the name known to `build_estimator`.
        chosen = (*(["fast"] if fast else []), *([f"fine up to {fine_up_to}"] if fine_up_to != FINE_UP_TO else []))
        self.name = f"dis ({', '.join(chosen)})" if chosen else "dis"
        cv2.setNumThreads(1)  # one worker process per core is faster than many threads per frame
        self._dis = cv2.DISOpticalFlow.create(
            cv2.DISOpticalFlow_PRESET_FAST if fast else cv2.DISOpticalFlow_PRESET_MEDIUM
        )
        self._preset_finest_scale = self._dis.getFinestScale()

    def __call__(
        self, first: UInt8[np.ndarray, "h w 3"], second: UInt8[np.ndarray, "h w 3"]
    ) -> Float32[np.ndarray, "2 h w"]:
        """Flow (dx, dy) in pixels from `first` to `second`, RGB frames of one size."""
        height, width = first.shape[:2]
        factor = math.ceil(SMALLEST_SIDE / min(height, width))
        flow = self._estimate(_grey(first, factor), _grey(second, factor))
        if factor == 1:
            return flow
        return resize_flow(torch.from_numpy(flow)[None], (height, width))[0].numpy()

    def _estimate(
        self, first: UInt8[np.ndarray, "h w"], second: UInt8[np.ndarray, "h w"]
    ) -> Float32[np.ndarray, "2 h w"]:
        self._dis.setFinestScale(0 if max(first.shape) <= self._fine_up_to else self._preset_finest_scale)
        no_guess: Any = None  # OpenCV's stubs ask for an array, but DIS would use it as an initial flow
        flow = np.asarray(self._dis.calc(first, second, no_guess), dtype=np.float32)
        return np.ascontiguousarray(flow.transpose(2, 0, 1))


class FarnebackFlow:
    """Farneback's flow, by polynomials that two pictures are expanded into: for cross-checks, since no pokes come from it.

    It shares no step with DIS: no patches are compared, and nothing is searched.
    """

    name = "farneback"

    def __call__(
        self, first: UInt8[np.ndarray, "h w 3"], second: UInt8[np.ndarray, "h w 3"]
    ) -> Float32[np.ndarray, "2 h w"]:
        """Flow (dx, dy) in pixels from `first` to `second`, RGB frames of one size."""
        cv2.setNumThreads(1)  # as for DIS
        no_guess: Any = None
        flow = cv2.calcOpticalFlowFarneback(
            _grey(first, 1), _grey(second, 1), no_guess,
            pyr_scale=0.5, levels=4, winsize=15, iterations=3, poly_n=7, poly_sigma=1.5, flags=0,
        )  # fmt: skip
        return np.ascontiguousarray(np.asarray(flow, np.float32).transpose(2, 0, 1))


def _grey(frame: UInt8[np.ndarray, "h w 3"], factor: int) -> UInt8[np.ndarray, "h2 w2"]:
    """The luminance of a frame, enlarged by a whole factor."""
    grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    if factor == 1:
        return grey
    return cv2.resize(grey, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
