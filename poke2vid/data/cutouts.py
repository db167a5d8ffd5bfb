"""Cut-outs pasted on photographs: pictures with an exact object mask.

Simulated scenes show what moves, but never a petal's grain or a dog's fur. A cut-out (a photograph that is transparent
around its object) has no motion to learn from, but teaches where an object ends in a photograph.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from poke2vid.media.pictures import read_cutout
from poke2vid.media.video import PICTURES
from poke2vid.simulator.backgrounds import shrunk_photo
from poke2vid.simulator.looks.photographs import Photographs
from poke2vid.simulator.looks.wild import piece
from poke2vid.types import InputError, Split

MOST_CUTOUTS = 2000  # all are kept in memory
KEPT_SIDE = 320  # pixels: larger cut-outs are shrunk to this
HELD_OUT = 8  # every eighth, by its hash
EMPTY_SHARE = 0.06  # of pictures: no object
FURTHER_SHARE = 0.3  # of pictures: one more, smaller object; repeatedly
BLUR_SHARE = 0.5  # of pictures: the background is out of focus
SHADOW_SHARE = 0.4  # of cut-outs: casts a shadow on the background
STANDING_SHARE = 0.6  # of cut-outs: upright and low in the picture; the others at any place and angle

Cutout = UInt8[np.ndarray, "_ _ 4"]


@dataclass(frozen=True)
class Cutouts:
    """The cut-outs of a folder and photographs to lay them on. Only file contents matter, not names.

    Attributes:
        pictures: RGB and opacity of each, in the order of their hashes.
        digest: sha256 over all files.
    """

    pictures: tuple[Cutout, ...]
    photographs: Photographs
    digest: str

    @staticmethod
    def find(folder: Path, photographs: Photographs, split: Split = "train") -> "Cutouts":
        """The cut-outs of one split.

        Raises:
            InputError: if there is no such folder, it holds too few or too many pictures, or one is not a cut-out.
        """
        try:
            files = sorted(p for p in folder.iterdir() if p.suffix.lower() in PICTURES and not p.name.startswith("."))
        except OSError as error:
            raise InputError(
                f"there is no folder {folder} to be read; give --cutouts one of PNGs with transparency."
            ) from error
        by_hash = {hashlib.sha256(file.read_bytes()).hexdigest(): file for file in files}
        if not HELD_OUT <= len(by_hash) <= MOST_CUTOUTS:
            raise InputError(
                f"the folder {folder} holds {len(by_hash)} different pictures; give --cutouts {HELD_OUT} to {MOST_CUTOUTS}."
            )
        hashes = sorted(by_hash)
        chosen = [sha for k, sha in enumerate(hashes) if (k % HELD_OUT == 0) == (split == "test")]
        digest = hashlib.sha256(" ".join([*hashes, photographs.digest]).encode()).hexdigest()
        return Cutouts(tuple(_shrunk(read_cutout(by_hash[sha])) for sha in chosen), photographs, digest)

    def compose(
        self, rng: np.random.Generator, side: int
    ) -> tuple[UInt8[np.ndarray, "side side 3"], Float32[np.ndarray, "side side"]]:
        """A random picture, and the share of each pixel that belongs to an object."""
        sha256, path = self.photographs.files[int(rng.integers(len(self.photographs.files)))]
        like = np.empty((side, side, 3), np.uint8)
        picture = piece(shrunk_photo(Path(path), sha256), like, rng).astype(np.float32)
        if rng.random() < BLUR_SHARE:
            picture = cv2.GaussianBlur(picture, (0, 0), float(np.exp(rng.uniform(0, 2.2))) * side / 256).astype(
                np.float32
            )
        inside = np.zeros((side, side), np.float32)
        if rng.random() < EMPTY_SHARE:
            return picture.astype(np.uint8), inside
        largest = rng.uniform(0.35, 1.15)
        while True:
            one = self.pictures[int(rng.integers(len(self.pictures)))]
            colour, opacity = placed(one, rng, side, largest)
            if rng.random() < SHADOW_SHARE:
                picture *= 1 - _shadow(opacity, rng)[..., None]
            picture = picture * (1 - opacity[..., None]) + colour * opacity[..., None]
            inside = np.maximum(inside, opacity)
            if rng.random() >= FURTHER_SHARE:
                return picture.round().clip(0, 255).astype(np.uint8), inside
            largest = rng.uniform(0.15, 0.5)


def placed(
    cutout: Cutout, rng: np.random.Generator, side: int, largest: float
) -> tuple[Float32[np.ndarray, "side side 3"], Float32[np.ndarray, "side side"]]:
    """Colour and opacity of a relit cut-out at a random place; its longer side is `largest` of the picture's."""
    height, width = cutout.shape[:2]
    scale = largest * side / max(height, width)
    size = max(2, round(width * scale)), max(2, round(height * scale))
    weighted = _weighted(cutout)
    small = cv2.resize(weighted, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    if rng.random() < 0.5:
        small = np.ascontiguousarray(small[:, ::-1])
    upright = rng.random() < STANDING_SHARE
    angle = rng.uniform(-15, 15) if upright else rng.uniform(-180, 180)
    x = rng.uniform(0.2, 0.8) * side
    y = side * rng.uniform(0.75, 1.05) - size[1] / 2 if upright else rng.uniform(0.2, 0.8) * side
    turn = cv2.getRotationMatrix2D((size[0] / 2, size[1] / 2), angle, 1.0)
    turn[:, 2] += (x - size[0] / 2, y - size[1] / 2)
    laid = cv2.warpAffine(small, turn, (side, side), flags=cv2.INTER_LINEAR)
    if rng.random() < 0.5:
        laid = cv2.GaussianBlur(laid, (0, 0), float(rng.uniform(0.4, 1.2)))
    opacity = np.clip(laid[..., 3] / 255, 0, 1)
    gain, lift = rng.uniform(0.6, 1.3), rng.uniform(-25, 25)
    colour = laid[..., :3] / np.maximum(opacity, 1e-3)[..., None]
    return np.clip(colour * gain + lift, 0, 255).astype(np.float32), opacity.astype(np.float32)


def _shadow(opacity: Float32[np.ndarray, "s s"], rng: np.random.Generator) -> Float32[np.ndarray, "s s"]:
    """Darkening of the background by an object's shadow: its outline, moved and blurred."""
    side = opacity.shape[0]
    dx, dy = (float(d) for d in rng.integers(-side // 12, side // 12 + 1, size=2))
    moved = cv2.warpAffine(opacity, np.array([[1.0, 0.0, dx], [0.0, 1.0, dy]]), (side, side))
    return rng.uniform(0.2, 0.7) * cv2.GaussianBlur(moved, (0, 0), float(rng.uniform(0.01, 0.05)) * side)


def _shrunk(cutout: Cutout) -> Cutout:
    scale = KEPT_SIDE / max(cutout.shape[:2])
    if scale >= 1:
        return cutout
    size = max(1, round(cutout.shape[1] * scale)), max(1, round(cutout.shape[0] * scale))
    small = cv2.resize(_weighted(cutout), size, interpolation=cv2.INTER_AREA)
    colour = small[..., :3] / np.maximum(small[..., 3:] / 255, 1e-3)
    return np.concatenate((colour, small[..., 3:]), axis=-1).round().clip(0, 255).astype(np.uint8)


def _weighted(cutout: Cutout) -> Float32[np.ndarray, "_ _ 4"]:
    """Colours times opacity: else the colours under transparent parts would show at the edges of a resized cut-out."""
    weighted = cutout.astype(np.float32)
    weighted[..., :3] *= weighted[..., 3:] / 255
    return weighted
