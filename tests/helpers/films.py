"""Films of a textured picture that moves as one."""

import cv2
import numpy as np
from torch import Tensor

from poke2vid.media.pictures import to_float


def scenery(seed: int, side: int) -> np.ndarray:
    texture = np.random.default_rng(seed).integers(30, 200, (side // 6, side // 6, 3)).astype(np.uint8)
    return cv2.resize(texture, (side, side), interpolation=cv2.INTER_CUBIC)


def film(dx: float, dy: float, steps: int = 10, side: int = 64, seed: int = 0, brighter: int = 0) -> Tensor:
    """x_0 ... x_T of a textured picture that moves as one by (dx, dy) pixels a frame, `1 t 3 h w`."""
    wide = scenery(seed, 3 * side)
    frames = []
    for step in range(steps + 1):
        move = np.array([[1, 0, dx * step - side], [0, 1, dy * step - side]], np.float32)
        frames.append(cv2.warpAffine(wide, move, (side, side)) + np.uint8(brighter))
    return to_float(np.stack(frames))[None]
