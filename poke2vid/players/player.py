"""Protocol of everything that turns a poke of a picture into frames: models, reference players, baselines."""

from typing import Any, Protocol, get_args, runtime_checkable

import numpy as np
from jaxtyping import UInt8

from poke2vid.types import InputError, Poke, PokeKind

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


@runtime_checkable
class ReferencePlayer(PokePlayer, Protocol):
    """A player that needs no file.

    Attributes:
        about: its description in the legends of reports.
    """

    @property
    def about(self) -> str: ...


def checked_frames(
    player: PokePlayer, first: UInt8[np.ndarray, "h w 3"], poke: Poke | None, frames: int, where: str
) -> UInt8[np.ndarray, "{frames} h w 3"]:
    """Frames of a player, checked, since a player may be anyone's code.

    Raises:
        InputError: if they are not what was asked for, or the player raises one; begins with `where`.
    """
    try:
        made: Any = player.play(first, poke, frames)
    except InputError as error:
        raise InputError(f"{where}: {str(error).rstrip('.')}.") from error
    shape = getattr(made, "shape", None)
    if not isinstance(made, np.ndarray) or shape != (frames, *first.shape):
        found = type(made).__name__ if shape is None else f"shape {tuple(shape)}"
        raise InputError(f"{where}: gave {found} instead of frames of shape {(frames, *first.shape)}.")
    if np.issubdtype(made.dtype, np.floating) and not np.isfinite(made).all():
        raise InputError(f"{where}: gave frames with numbers that are not finite.")
    if made.dtype != np.uint8:
        raise InputError(f"{where}: gave frames of {made.dtype} instead of uint8.")
    return made
