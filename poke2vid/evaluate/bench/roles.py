"""A player on a bench's scenes: the roles of pokes that it can play, the poke that it is handed, and its frames."""

from typing import get_args

import numpy as np
from jaxtyping import UInt8

from poke2vid.measures.motion import nearest_pixel
from poke2vid.players.player import PokePlayer, checked_frames
from poke2vid.pokebench.records import PokeRecord, PokeRole
from poke2vid.pokebench.scene import TrueScene
from poke2vid.types import Pair, Poke, PokeKind

ALL_ROLES: frozenset[PokeRole] = frozenset(get_args(PokeRole))


def roles_of(player: PokePlayer) -> frozenset[PokeRole]:
    """Roles that a player can be asked for; the columns of others stay empty."""
    return frozenset(role for role in ALL_ROLES if role == "none" or _kind_of(role) in player.kinds)


def poke_of(record: PokeRecord, excursion: Pair | None = None) -> Poke | None:
    """The poke of a record; None for the role without one.

    Args:
        excursion: shift of an impulse; None gives the record's own, a speed.
    """
    if record.at is None:
        return None
    return Poke(record.at, excursion or record.shift, _kind_of(record.role))


def handed(scene: TrueScene, number: int, frames: int) -> Poke | None:
    """The poke that players are handed; None for the role without one.

    A shift is the way of the touched point to frame T. A record's impulse is a speed in the simulator's own unit, which no
    picture shows; players are told what it causes instead: how far the touched point swings out within `frames` frames.
    """
    record = scene.pokes[number]
    return poke_of(record, excursion(scene, number, frames) if record.role == "impulse" else None)


def excursion(scene: TrueScene, number: int, frames: int) -> Pair:
    """Largest displacement of a poke's touched point in the truth's first `frames` frames, in pixels."""
    at = scene.pokes[number].at
    assert at is not None
    y, x = nearest_pixel(at, *scene.part_ids.shape)
    away = [scene.flow(number, frame)[:, y, x] for frame in range(1, frames + 1)]
    dx, dy = max(away, key=lambda displacement: float(np.hypot(*displacement)))
    return float(dx), float(dy)


def _kind_of(role: PokeRole) -> PokeKind:
    return "impulse" if role == "impulse" else "shift"


def play(
    name: str, player: PokePlayer, scene: TrueScene, poke: int, frames: int
) -> UInt8[np.ndarray, "{frames} h w 3"]:  # fmt: skip
    """Frames 1 ... `frames` of a player after one poke of a scene; raises InputError that names player, scene and poke."""
    where = f"player {name!r} on scene {scene.name!r}, poke {poke}"
    return checked_frames(player, scene.first, handed(scene, poke, frames), frames, where)
