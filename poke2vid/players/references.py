"""Reference players that need no truth and no weights: a still picture, and a dragged patch."""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import UInt8

from poke2vid.players.player import ALL_KINDS
from poke2vid.types import Poke

PATCH_SIGMA = 0.1  # of the side: below 15 % / sqrt(e), so that the longest poke of PokeBench folds nothing


class Copy:
    """The first frame, repeated: the score of doing nothing."""

    digest = "copy 1"
    kinds = ALL_KINDS
    about = "the first frame, repeated"

    def play(
        self, first: UInt8[np.ndarray, "h w 3"], poke: Poke | None, frames: int
    ) -> UInt8[np.ndarray, "{frames} h w 3"]:
        return np.repeat(first[None], frames, axis=0)


@dataclass(frozen=True)
class ShiftPatch:
    """Player that drags the pixels around the poke along: the score of obeying the poke without knowing of objects.

    At frame t the picture is warped so that the poked pixel lies at l + s(t) p and pixels farther away follow less: a
    pixel shows x_0 at its own place minus s(t) p times a Gaussian of its distance from l + s(t) p, with a sigma of
    `PATCH_SIGMA` of the side. Shifts have s(t) = min(t / T, 1), on the background too; impulses go out until T / 2 and
    back until T.

    Attributes:
        arrive: T, in frames.
    """

    arrive: int
    kinds = ALL_KINDS
    about = "the pixels around the poke, dragged along (a Gaussian, sigma 10 % of the side)"

    @property
    def digest(self) -> str:
        return f"shift-patch 1, sigma {PATCH_SIGMA}, arrive {self.arrive}"

    def play(
        self, first: UInt8[np.ndarray, "h w 3"], poke: Poke | None, frames: int
    ) -> UInt8[np.ndarray, "{frames} h w 3"]:
        return np.stack([self._warped(first, poke, self._share(poke, t)) for t in range(1, frames + 1)])

    def _share(self, poke: Poke | None, t: int) -> float:
        gone = min(t / self.arrive, 1.0)
        return 1 - abs(2 * gone - 1) if poke is not None and poke.kind == "impulse" else gone

    def _warped(self, first: UInt8[np.ndarray, "h w 3"], poke: Poke | None, share: float) -> UInt8[np.ndarray, "h w 3"]:
        if poke is None or share == 0 or poke.shift == (0.0, 0.0):
            return first
        height, width = first.shape[:2]
        x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
        dx, dy = share * poke.shift[0], share * poke.shift[1]
        squared = (x - poke.location[0] - dx) ** 2 + (y - poke.location[1] - dy) ** 2
        weight = np.exp(-squared / (2 * (PATCH_SIGMA * max(height, width)) ** 2)).astype(np.float32)
        x, y = x - np.float32(dx) * weight, y - np.float32(dy) * weight
        return cv2.remap(first, x, y, interpolation=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
