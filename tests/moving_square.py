"""Tiny videos with a known motion, for tests of everything that reads videos."""

from functools import cache
from pathlib import Path

import numpy as np

from poke2vid.video import write_video


@cache
def _texture(seed: int, height: int, width: int) -> np.ndarray:
    """Smooth tinted noise that flow can be estimated on and that a video codec, which blurs colours, keeps."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 200, (height // 4 + 2, width // 4 + 2))
    fine = np.kron(coarse, np.ones((4, 4)))[:height, :width]
    smooth = (fine + np.roll(fine, 1, 0) + np.roll(fine, 1, 1) + np.roll(fine, 2, 0)) / 4
    return (smooth[..., None] + rng.integers(0, 50, 3)).astype(np.uint8)


def moving_square(
    num_frames: int, *, step: tuple[int, int] = (1, 0), size: tuple[int, int] = (64, 64), side: int = 24, seed: int = 0
) -> list[np.ndarray]:
    """A textured square that moves by `step` (dx, dy) pixels a frame before a still wall of (height, width)."""
    height, width = size
    wall, square = _texture(seed, height, width), _texture(seed + 1, side, side)
    frames = []
    for i in range(num_frames):
        x, y = width // 8 + step[0] * i, height // 3 + step[1] * i
        frame = wall.copy()
        frame[y : y + side, x : x + side] = square[: height - y, : width - x]
        frames.append(frame)
    return frames


def write_square(
    path: Path, num_frames: int = 14, *, fps: float = 25, seed: int = 0, step: tuple[int, int] = (1, 0)
) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_video(path, moving_square(num_frames, step=step, seed=seed), 25)
    return path
