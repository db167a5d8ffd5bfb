"""Inputs of a store: sources that can be listed, and the footage each gives when opened."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32

from poke2vid.media.video import Fit, Shown


@dataclass(frozen=True)
class Origin:
    """Size, rate and length of footage, known before a frame is read.

    Attributes:
        width, height: of the original, in pixels.
        fps: frames a second of the original.
        frames: number of frames of the original; None if unknown.
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

    @property
    def notes(self) -> Sequence[str]:
        """Sentences about what is not as usual; complete once all frames were read."""

    def frames(self, side: int, fit: Fit, fps: float | None) -> Iterator[Shown]:
        """Square frames, thinned out to at most `fps`, with the numbers of their shots."""

    def exact_flow(self, start: int, end: int) -> Float32[np.ndarray, "2 h w"] | None:
        """True motion between two of those frames, in pixels of the field; None if it must be estimated."""


@runtime_checkable
class Source(Protocol):
    """One video that a store can hold; picklable."""

    @property
    def name(self) -> str:
        """Name, unique in a store."""

    @property
    def place(self) -> str:
        """Location, for messages."""

    def digest(self) -> str:
        """sha256 of its contents; "" if it cannot be read."""

    def expected_frames(self, fps: float | None) -> int:
        """Approximate number of frames, for a progress bar."""

    def open(self) -> AbstractContextManager[Footage]:
        """Opens the footage; raises InputError if it cannot be read."""
