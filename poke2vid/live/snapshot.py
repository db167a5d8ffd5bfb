"""A session on disk: picture, state and last frame as tensors, the rest as JSON, in one checked safetensors file."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from poke2vid.files import digest_of, read_tensors, write_tensors
from poke2vid.live.canvas import Canvas, Picture
from poke2vid.model.subject import WithSubject
from poke2vid.types import Frame, InputError, Player, Poke, State

FORMAT, VERSION = "poke2vid-session", 2
_PARTS = tuple(field.name for field in fields(State))


@dataclass(frozen=True)
class Saved:
    """Contents of a session's file.

    Attributes:
        picture: as shown before anything moved; `size` is that of the user's.
        moves: what strokes of a brush let move, of a model that moves the whole picture; None without strokes.
        about: the rest of the session, as `write` was given it; not yet checked.
    """

    picture: Picture
    size: tuple[int, int]
    state: State
    frame: Frame | None
    moves: Tensor | None
    about: dict[str, Any]


def identity(player: Player) -> str:
    """Identity of a model: a digest of its weights and shape, else the player's own `digest`, else its class's name."""
    if isinstance(player, torch.nn.Module):
        return digest_of(player.state_dict(), {"config": repr(getattr(player, "config", type(player).__name__))})
    if isinstance(player, WithSubject):
        return f"{identity(player.model)} with a subject"
    return str(getattr(player, "digest", type(player).__qualname__))


def write(
    path: Path, player: Player, canvas: Canvas, state: State, frame: Frame | None, moves: Tensor | None,
    about: dict[str, Any],
) -> None:  # fmt: skip
    """Writes a session's file. Raises InputError if it cannot be written."""
    tensors = {"picture": torch.from_numpy(canvas.picture)}
    for part in _PARTS:
        # Cloned: at the start sigma is home, and the file format allows no two names for one tensor.
        tensors |= {f"{part}/{n}": level.clone() for n, level in enumerate(getattr(state, part))}
    if frame is not None:
        tensors |= {f"frame/{name}": part.clone() for name, part in vars(frame).items() if part is not None}
    if moves is not None:
        tensors["moves"] = moves.clone()
    header = {"format": FORMAT, "version": VERSION, "player": identity(player), "size": list(canvas.size)}
    write_tensors(path, tensors, {**header, "session": about})


def read(path: Path, player: Player) -> Saved:
    """Reads a session's file. Raises InputError if it is missing, damaged, no session, or saved with another model."""
    tensors, about = read_tensors(path)
    if about.get("format") != FORMAT:
        raise InputError(f"{path} is a poke2vid file but no session; use one that was saved with Session.save.")
    if about.get("version") != VERSION:
        raise InputError(
            f"{path} has format version {about.get('version')}, this program reads {VERSION}; "
            "install the matching poke2vid."
        )
    if about.get("player") != identity(player):
        raise InputError(f"{path} was saved with another model; load it with the one that it was saved with.")
    with checked(path):
        state = State(**{part: _numbered(tensors, part) for part in _PARTS})
        parts = {name.removeprefix("frame/"): t for name, t in tensors.items() if name.startswith("frame/")}
        height, width = about["size"]
        return Saved(
            tensors["picture"].numpy(),
            (int(height), int(width)),
            state,
            Frame(**parts) if parts else None,
            tensors.get("moves"),
            about["session"],
        )


@contextlib.contextmanager
def checked(path: Path) -> Iterator[None]:
    """Turns the error of a missing or malformed entry in a file into one InputError."""
    try:
        yield
    except InputError:
        raise
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise InputError(f"{path} does not describe a session that this program knows; save it anew.") from error


def require_alike(fresh: State, saved: State) -> None:
    """Raises ValueError unless a saved state has the shapes of a fresh one of the same session."""
    for part in _PARTS:
        shapes = [[(tuple(t.shape), t.dtype) for t in getattr(state, part)] for state in (fresh, saved)]
        if shapes[0] != shapes[1]:
            raise ValueError(f"{part} has the shapes {shapes[1]}, not {shapes[0]}")


def require_map(moves: Tensor | None, canvas: Canvas) -> None:
    """Raises ValueError unless a map of what moves, where there is one, has the model's size and lies in 0 ... 1."""
    if moves is None:
        return
    like = canvas.x_0[:, :1]
    if moves.shape != like.shape or moves.dtype != like.dtype or not bool(((moves >= 0) & (moves <= 1)).all()):
        raise ValueError(f"moves is no map of {tuple(like.shape)} in 0 ... 1")


def poke_of(value: Mapping[str, Any]) -> Poke:
    return Poke(pair_of(value["location"]), pair_of(value["shift"]), value["kind"])


def pair_of(value: Any) -> tuple[float, float]:
    x, y = value
    return float(x), float(y)


def _numbered(tensors: Mapping[str, Tensor], part: str) -> tuple[Tensor, ...]:
    count = sum(name.startswith(f"{part}/") for name in tensors)
    return tuple(tensors[f"{part}/{n}"] for n in range(count))
