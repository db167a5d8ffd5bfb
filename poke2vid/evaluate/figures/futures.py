"""Predicted frames of a model or baseline for one poke."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8

from poke2vid.players.named import REFERENCES, load_players, reference_players
from poke2vid.players.player import PokePlayer
from poke2vid.types import InputError, Poke, PokeKind

NAMED = ("copy", "shift-patch")  # baselines that need no file


def play(
    player: PokePlayer, name: str, first: UInt8[np.ndarray, "h w 3"], poke: Poke, length: int
) -> UInt8[np.ndarray, "t h w 3"]:
    """x_0 and `length` predicted frames after a poke, which is in pixels of x_0.

    Raises:
        InputError: if the player gives frames with numbers that are not finite; names it.
    """
    try:
        return np.concatenate((first[None], player.play(first, poke, length)))
    except InputError as error:
        raise InputError(f"{name} cannot be shown: {error}") from error


def load_beside(names: Sequence[str], kind: PokeKind, horizon: int) -> dict[str, PokePlayer]:
    """Loads the players shown beside the model, by name in the given order: `NAMED` ones, and models or training runs.

    Args:
        kind: of the pokes that they will be given.
        horizon: T, when the shift patch arrives.

    Raises:
        InputError: if a path holds no model, one is given twice, or a model knows no pokes of this kind.
    """
    for name in names:
        if name in set(REFERENCES) - set(NAMED):  # load_players leaves them out
            raise InputError(f"--beside {name} needs a simulated truth; name a model's file, {' or '.join(NAMED)}.")
    files = iter(load_players([name for name in names if name not in NAMED]).items())
    players: dict[str, PokePlayer] = {}
    for name in names:
        label, player = (name, reference_players(horizon)[name]) if name in NAMED else next(files)
        if label in players:
            raise InputError(f"--beside {name} was given twice; name each once.")
        if kind not in player.kinds:
            raise InputError(
                f"--beside {name} knows no {kind} pokes, and the model it stands beside no other; leave it away."
            )
        players[label] = player
    return players
