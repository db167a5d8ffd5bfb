"""A player on a bench's scenes: the roles of pokes that it can play, the poke that it is handed, and its frames."""

from typing import get_args

import numpy as np
from jaxtyping import UInt8

from poke2vid.players.player import PokePlayer, checked_frames
from poke2vid.pokebench.records import PokeRecord, PokeRole
from poke2vid.pokebench.scene import TrueScene
from poke2vid.types import Poke, PokeKind

ALL_ROLES: frozenset[PokeRole] = frozenset(get_args(PokeRole))


def roles_of(player: PokePlayer) -> frozenset[PokeRole]:
    """Roles that a player can be asked for; the columns of others stay empty."""
    return frozenset(role for role in ALL_ROLES if role == "none" or _kind_of(role) in player.kinds)


def poke_of(record: PokeRecord) -> Poke | None:
    """The poke of a record; None for the role without one."""
    if record.at is None:
        return None
    return Poke(record.at, record.shift, _kind_of(record.role))


def _kind_of(role: PokeRole) -> PokeKind:
    return "impulse" if role == "impulse" else "shift"


def play(
    name: str, player: PokePlayer, scene: TrueScene, poke: int, frames: int
) -> UInt8[np.ndarray, "{frames} h w 3"]:  # fmt: skip
    """Frames 1 ... `frames` of a player after one poke of a scene; raises InputError that names player, scene and poke."""
    where = f"player {name!r} on scene {scene.name!r}, poke {poke}"
    return checked_frames(player, scene.first, poke_of(scene.pokes[poke]), frames, where)
