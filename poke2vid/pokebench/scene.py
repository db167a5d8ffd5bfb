"""Interface of a benchmark scene: first frame, pokes, and the true future of each. Needs no MuJoCo."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float32, Int32, UInt8

from poke2vid.pokebench.records import PokeRecord


@runtime_checkable
class TrueScene(Protocol):
    """One first frame and the simulated true future of each poke. Frames count from 0, the first frame."""

    @property
    def name(self) -> str: ...
    @property
    def family(self) -> str: ...
    @property
    def digest(self) -> str:
        """Hash; equal only if pictures, motion and visibility all are."""

    @property
    def pokes(self) -> Sequence[PokeRecord]: ...
    @property
    def first(self) -> UInt8[np.ndarray, "h w 3"]: ...
    @property
    def part_ids(self) -> Int32[np.ndarray, "h w"]:
        """Part ids of the first frame's pixels; 0 on the surroundings."""

    def frames(self, poke: int) -> UInt8[np.ndarray, "t h w 3"]:
        """True frames 1 ... t after a poke, given by its number."""

    def flow(self, poke: int, frame: int) -> Float32[np.ndarray, "2 h w"]:
        """Exact flow from frame 0 to `frame`, in pixels."""

    def visible(self, poke: int, frame: int) -> Bool[np.ndarray, "h w"]:
        """Mask of the pixels of frame 0 that still show in `frame`."""
