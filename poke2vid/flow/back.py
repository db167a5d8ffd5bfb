"""Flow that is confirmed by the flow back: where both agree, a point most likely moves as it says."""

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from poke2vid.flow.classical import DisFlow
from poke2vid.flow.estimator import SMALLEST_WORKING_SIDE
from poke2vid.geometry import resize_flow, warp

WITHIN = 0.1  # of the way: from there and back again a confirmed point misses itself by less


class FlowBack:
    """Judge of a flow by DIS's flow back. Not safe to share between threads."""

    def __init__(self) -> None:
        self._dis = DisFlow()

    def confirms(
        self, flow: Float[Tensor, "2 h w"], first: UInt8[np.ndarray, "h w 3"], last: UInt8[np.ndarray, "h w 3"]
    ) -> Bool[Tensor, "h w"]:
        """Mask of the points of `first` that the flow and the one back bring to within `WITHIN` of the way of where they were.

        DIS spreads motion over what lies next to it; from there the way back leads elsewhere, since there the still thing is
        matched with itself.
        """
        size = first.shape[:2]
        factor = -(-SMALLEST_WORKING_SIDE // min(size))
        enlarged = [cv2.resize(x, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC) for x in (last, first)]
        back = torch.from_numpy(self._dis(*enlarged))[None]
        there = warp(resize_flow(back, size) if factor > 1 else back, flow[None])[0]
        return (flow + there).norm(dim=0) < WITHIN * flow.norm(dim=0)
