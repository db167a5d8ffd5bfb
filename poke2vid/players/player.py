"""Protocol of everything that turns a poke of a picture into frames: models, reference players, baselines."""

from typing import Protocol, get_args, runtime_checkable

import numpy as np
from jaxtyping import UInt8

from poke2vid.types import Poke, PokeKind

ALL_KINDS: frozenset[PokeKind] = frozenset(get_args(PokeKind))


@runtime_checkable
class PokePlayer(Protocol):
    """A source of predicted frames.

    Attributes:
        digest: equal for players that play alike; results are reused by it.
        kinds: kinds of pokes it can play.
    """

    @property
    def digest(self) -> str: ...
    @property
    def kinds(self) -> frozenset[PokeKind]: ...

    def play(
        self, first: UInt8[np.ndarray, "h w 3"], poke: Poke | None, frames: int
    ) -> UInt8[np.ndarray, "{frames} h w 3"]:
        """Frames 1 ... `frames` after a poke of `first` in frame 0, or after none, at its size; lengths in its pixels.

        Shifts are held to the end, impulses last one step. Raises InputError for a frame that is not finite.
        """
