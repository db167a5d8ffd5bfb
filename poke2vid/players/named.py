"""Players by name or file."""

from collections.abc import Sequence
from pathlib import Path

from poke2vid.baselines.files import load_baseline
from poke2vid.files import read_about
from poke2vid.live.animator import load
from poke2vid.model.files import BASELINE, resolve
from poke2vid.players.player import PokePlayer, ReferencePlayer
from poke2vid.players.references import Copy, ShiftPatch
from poke2vid.players.session_player import SessionPlayer
from poke2vid.players.told_player import ToldPlayer
from poke2vid.types import InputError, PokeKind


def reference_players(arrive: int) -> dict[str, ReferencePlayer]:
    """Players that run beside every model, by the names of their rows.

    Args:
        arrive: T, the frame in which a shift arrives.
    """
    return {"shift-patch": ShiftPatch(arrive), "copy": Copy()}


TRUTHS = {  # rows of a bench that no player makes -> what they are
    "oracle": "the true frames through the same tracker: the noise floor",
    "exact": "the exact flow instead of a tracked one: 0 where a column is an error, and elsewhere the truth's own value",
}
REFERENCES = (*reference_players(arrive=1), *TRUTHS)  # rows of every report of a bench; no player may take their names


def load_players(names: Sequence[str], arrive: int) -> dict[str, PokePlayer]:
    """Loads players from paths of models or of training runs. References are skipped, since they always run.

    A player is named after its file or folder, or by its whole path if two names would be the same.

    Args:
        arrive: T, when a point arrives of which a system of others is told.

    Raises:
        InputError: if a path holds no model and no system that can be poked, or one is given twice.
    """
    paths = [name for name in names if name not in REFERENCES]
    short = [Path(path).stem if Path(path).suffix == ".safetensors" else Path(path).name for path in paths]
    players: dict[str, PokePlayer] = {}
    for path, name in zip(paths, short, strict=True):
        unique = name if short.count(name) == 1 and name and name not in REFERENCES else path
        if unique in players:
            raise InputError(f"{path} was given twice; name every player once.")
        players[unique] = _player(path, arrive)
    return players


def _player(name: str, arrive: int) -> PokePlayer:
    path = resolve(Path(name))
    if path.suffix == ".safetensors" and path.exists() and read_about(path).get("kind") == BASELINE:
        return ToldPlayer(load_baseline(path), arrive)
    return SessionPlayer(load(name))


def load_beside(names: Sequence[str], kind: PokeKind, arrive: int) -> dict[str, PokePlayer]:
    """Loads the players shown beside a model, by name in the given order: reference players, models, training runs.

    Args:
        kind: of the pokes that they will be given.
        arrive: T, when the shift patch arrives.

    Raises:
        InputError: if a path holds no model, one is given twice, or a model knows no pokes of this kind; or for a system of
            others, which tables tell more than a poke.
    """
    references = reference_players(arrive)
    for name in names:
        if name in TRUTHS:
            raise InputError(
                f"--beside {name} needs a simulated truth; name a model's file or {' or '.join(references)}."
            )
        if names.count(name) > 1:
            raise InputError(f"--beside {name} was given twice; name each once.")
    files = iter(load_players(names, arrive).items())
    players = dict((name, references[name]) if name in references else next(files) for name in names)
    for name, player in players.items():
        if isinstance(player, ToldPlayer):
            raise InputError(
                f"--beside {name} is a system that the paper compares with; it is a row of `poke2vid tables`, and `poke2vid "
                "bench run` pokes it. Name a model here."
            )
        if kind not in player.kinds:
            raise InputError(
                f"--beside {name} knows no {kind} pokes, and the model it stands beside no other; leave it away."
            )
    return players
