"""Tiny videos with a known motion, for tests of everything that reads videos."""

from functools import cache
from pathlib import Path

import numpy as np

from poke2vid.media.video import write_video


@cache
def _texture(seed: int, height: int, width: int) -> np.ndarray:
    """Tinted noise, coarse and fine, that flow can be found on and that a codec, which blurs colours, keeps."""
    rng = np.random.default_rng(seed)
    noise = np.zeros((height, width))
    for cell in (4, 8, 16):
        coarse = rng.integers(0, 70, (height // cell + 1, width // cell + 1))
        noise += np.kron(coarse, np.ones((cell, cell)))[:height, :width]
    smooth = (noise + np.roll(noise, 1, 0) + np.roll(noise, 1, 1) + np.roll(noise, 1, (0, 1))) / 4
    return (smooth[..., None] + rng.integers(0, 40, 3)).astype(np.uint8)


def moving_square(
    num_frames: int, *, step: tuple[int, int] = (1, 0), size: tuple[int, int] = (64, 64), side: int = 24, seed: int = 0
) -> list[np.ndarray]:
    """A textured square that moves by `step` (dx, dy) pixels a frame before a still wall, and bounces at its edges."""
    height, width = size
    wall, square = _texture(seed, height, width), _texture(seed + 1, side, side)
    frames = []
    for i in range(num_frames):
        x, y = _bounced(width // 8 + step[0] * i, width - side), _bounced(height // 3 + step[1] * i, height - side)
        frame = wall.copy()
        frame[y : y + side, x : x + side] = square
        frames.append(frame)
    return frames


def _bounced(position: int, last: int) -> int:
    return last - abs(position % (2 * last) - last)


def write_square(
    path: Path, num_frames: int = 14, *, fps: float = 25, seed: int = 0, step: tuple[int, int] = (1, 0)
) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_video(path, moving_square(num_frames, step=step, seed=seed), 25)
    return path
