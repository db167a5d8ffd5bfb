"""Arrays of a store, mapped from their files."""

from pathlib import Path

import numpy as np

from poke2vid.types import InputError


def mapped(file: Path, dtype: np.dtype, shape: tuple[int, ...]) -> np.memmap:
    """A file as a read-only array; InputError if it is missing or cut short."""
    try:
        # A string, because numpy resolves a Path first, which takes longer than the mapping.
        return np.memmap(str(file), dtype, mode="r", shape=shape)
    except (OSError, ValueError) as error:
        raise InputError(f"{file} is missing or cut short; run `poke2vid verify` on the store.") from error
