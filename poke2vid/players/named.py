"""Players by name or file."""

from collections.abc import Sequence
from pathlib import Path

from poke2vid.live.session import load
from poke2vid.players.player import PokePlayer
from poke2vid.players.references import Copy, ShiftPatch
from poke2vid.players.session_player import SessionPlayer
from poke2vid.types import InputError

REFERENCES = (
    "shift-patch",
    "copy",
    "oracle",
    "exact",
)  # rows that every report of a bench has; no player may take their names


def reference_players(arrive: int) -> dict[str, PokePlayer]:
    """Players that run beside every model, by the names of their rows.

    Args:
        arrive: T, the frame in which a shift arrives.
    """
    return {"shift-patch": ShiftPatch(arrive), "copy": Copy()}


def load_players(names: Sequence[str]) -> dict[str, PokePlayer]:
    """Loads players from paths of models or of training runs. References are skipped, since they always run.

    A player is named after its file or folder, or by its whole path if two names would be the same.

    Raises:
        InputError: if a path holds no model, or one is given twice.
    """
    paths = [name for name in names if name not in REFERENCES]
    short = [Path(path).stem if Path(path).suffix == ".safetensors" else Path(path).name for path in paths]
    players: dict[str, PokePlayer] = {}
    for path, name in zip(paths, short, strict=True):
        unique = name if short.count(name) == 1 and name and name not in REFERENCES else path
        if unique in players:
            raise InputError(f"{path} was given twice; name every player once.")
        players[unique] = SessionPlayer(load(path))
    return players
