"""User pokes for the figures, read from a JSON file: [{"clip": 1, "at": [x, y], "shift": [dx, dy]}, ...]."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from poke2vid import pokes as poking
from poke2vid.live.script import Pixels, read_written
from poke2vid.types import InputError, Poke, PokeKind


class UserPoke(BaseModel):
    """A poke of x_0 of clip `clip`, counted from 1 as in the figures' file names; in pixels of the store's frames."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    clip: int = Field(ge=1)
    at: Pixels
    shift: Pixels


def read_pokes(path: Path, num_clips: int, side: int, kind: PokeKind) -> dict[int, list[Poke]]:
    """Reads and checks the pokes of a file; returns them by clip number, in the file's order.

    Args:
        num_clips: number of clips to be poked.
        side: of the frames, in pixels.
        kind: of the pokes that the model was trained on.

    Raises:
        InputError: if the file is missing, is no JSON or breaks the format (names every wrong field), or a poke lies
            outside the frame or belongs to no clip.
    """
    entries = read_written(path, "file of pokes", TypeAdapter(list[UserPoke]).validate_python)
    found: dict[int, list[Poke]] = {}
    for number, entry in enumerate(entries):
        if entry.clip > num_clips:
            raise InputError(
                f"poke {number} of {path} is for clip {entry.clip}, and there are clips 1 to {num_clips}; "
                "ask for more with --clips."
            )
        poke = Poke(entry.at, entry.shift, kind)
        poking.check(poke, side, side, f"poke {number} of {path}")
        found.setdefault(entry.clip, []).append(poke)
    return found
