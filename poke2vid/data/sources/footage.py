"""What a store is filled from: sources that can be listed, and the footage each gives when it is opened."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, UInt8

from poke2vid.media.video import Fit


@dataclass(frozen=True)
class Origin:
    """What footage says of itself before a frame is read.

    Attributes:
        width, height: in pixels, as they are there.
        fps: frames a second, and `frames`, how many, as they are there; None where nobody knows.
    """

    width: int
    height: int
    fps: float
    frames: int | None


@runtime_checkable
class Footage(Protocol):
    """One opened video."""

    @property
    def origin(self) -> Origin: ...

    def frames(self, side: int, fit: Fit, fps: float | None) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
        """Square frames, thinned out to at most `fps`."""

    def exact_flow(self, start: int, end: int) -> Float32[np.ndarray, "2 h w"] | None:
        """The true motion between two of those frames, in pixels of the field; None where it must be estimated."""


@runtime_checkable
class Source(Protocol):
    """One video that a store can hold; picklable."""

    @property
    def name(self) -> str:
        """Unique among those of a store."""

    @property
    def place(self) -> str:
        """Where it is, for a person."""

    def digest(self) -> str:
        """sha256 of what it would give; "" if it cannot be read."""

    def expected_frames(self, fps: float | None) -> int:
        """About how many there are, for a progress bar."""

    def open(self) -> AbstractContextManager[Footage]:
        """Raises InputError if it cannot be read."""
