"""One shard of a store of pokes, memory-mapped; training nodes can read it without a parser or a simulator."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, UInt8

from poke2vid.data.mapped import mapped
from poke2vid.types import Split

CAUSES = ("pull", "two", "pinned", "moving", "push", "beside", "rest")  # never reorder: stores refer to them by number
FIELD_FRAMES = (3, 6, 10)
TOUCHES = 2


@dataclass(frozen=True)
class PokeShard:
    """Scenes of one family and split with their pokes; arrays are mapped once and kept.

    Attributes:
        scenes, pokes: number of each.
        resolution: side of the frames, in pixels.
        shapes: type and shape of every array by file name, as `poke_store` lists them.
    """

    family: str
    split: Split
    scenes: int
    pokes: int
    resolution: int
    shapes: Mapping[str, tuple[np.dtype, tuple[int, ...]]]
    folder: Path

    def array(self, name: str) -> np.ndarray:
        """A whole memory-mapped array, by its file's name without the suffix; index before you compute.

        Raises:
            InputError: if its file is missing or cut short.
        """
        return self._arrays[name]

    @functools.cached_property
    def _arrays(self) -> dict[str, np.ndarray]:
        return {file.partition(".")[0]: self._map(file, *spec) for file, spec in self.shapes.items()}

    def _map(self, file: str, dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
        if 0 in shape:  # an empty file cannot be mapped
            return np.empty(shape, dtype)
        return mapped(self.folder / file, dtype, shape)


def unpacked(bits: UInt8[np.ndarray, "*n b"], side: int) -> Bool[np.ndarray, "*n s s"]:
    """Masks from their packed bits."""
    flat: Bool[np.ndarray, "*n p"] = np.unpackbits(bits, axis=-1).astype(bool)
    return flat.reshape(*flat.shape[:-1], side, side)
