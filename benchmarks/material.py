"""Material for the benchmarks, made from a seed: textured things that move, as pictures, videos and a store."""

import math
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8

from poke2vid.data.manifest import DEFAULT_LAGS
from poke2vid.data.prepare.run import PrepareSettings, prepare
from poke2vid.media.video import write_video

FPS = 25.0
SOURCE_SIDE = 256  # pixels, usual for data sets of this field
THINGS = 4


def moving_things(num_frames: int, seed: int = 0, side: int = SOURCE_SIDE) -> list[UInt8[np.ndarray, "h w 3"]]:
    """Textured ellipses that swing and turn before a textured wall, moving some 1-3 % of the side a frame."""
    rng = np.random.default_rng(seed)
    wall = _texture(rng, side)
    things = [(_texture(rng, side), rng.uniform(0, 1, 6)) for _ in range(THINGS)]
    return [_drawn(wall, things, i / FPS) for i in range(num_frames)]


def _texture(rng: np.random.Generator, side: int) -> UInt8[np.ndarray, "h w 3"]:
    """Coloured noise of several scales, on which flow can be found and which a codec keeps."""
    total = np.zeros((side, side, 3), np.float32)
    for cells, weight in ((4, 60), (12, 50), (32, 40), (80, 25)):
        coarse = rng.uniform(-1, 1, (cells, cells, 3)).astype(np.float32)
        total += weight * cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)
    return np.clip(total + rng.uniform(90, 165, 3), 0, 255).astype(np.uint8)


def _drawn(wall: np.ndarray, things: list[tuple[np.ndarray, np.ndarray]], seconds: float) -> np.ndarray:
    frame, side = wall.copy(), wall.shape[0]
    for texture, (a, b, c, d, e, f) in things:
        phase = 2 * math.pi * (0.5 + 0.5 * a) * seconds + 6 * b
        x, y = side * (0.5 + 0.3 * math.sin(phase + 6 * c)), side * (0.5 + 0.3 * math.cos(0.8 * phase + 6 * d))
        turn = cv2.getRotationMatrix2D((side / 2, side / 2), 25 * math.sin(phase), 1.0)
        turn[:, 2] += x - side / 2, y - side / 2
        mask = np.zeros(wall.shape[:2], np.uint8)
        axes = (round(side * (0.08 + 0.08 * e)), round(side * (0.06 + 0.06 * f)))
        cv2.ellipse(mask, (round(x), round(y)), axes, 25 * math.sin(phase), 0, 360, 255, -1)
        moved = cv2.warpAffine(texture, turn, (side, side), borderMode=cv2.BORDER_REFLECT)
        frame[mask > 0] = moved[mask > 0]
    return frame


def write_videos(folder: Path, num_videos: int, num_frames: int, side: int = SOURCE_SIDE) -> list[Path]:
    paths = [folder / f"things-{seed}.mp4" for seed in range(num_videos)]
    for seed, path in enumerate(paths):
        write_video(path, moving_things(num_frames, seed, side), FPS)
    return paths


def make_store(
    folder: Path, resolution: int, num_videos: int = 2, num_frames: int = 64, lags: tuple[int, ...] = DEFAULT_LAGS
) -> Path:
    """A store of synthetic videos, all of them for training; videos and store lie in `folder`."""
    write_videos(folder / "videos", num_videos, num_frames, side=max(64, resolution))
    settings = PrepareSettings(resolution=resolution, lags=lags, test_fraction=0.0, workers=0)
    prepare(folder / "videos", folder / "store", settings, quiet=True)
    return folder / "store"
