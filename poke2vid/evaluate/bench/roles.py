"""Roles of a bench's pokes: which a player can play, and the poke that it is handed."""

from typing import get_args

from poke2vid.players.player import PokePlayer
from poke2vid.pokebench.records import PokeRecord, PokeRole
from poke2vid.types import Poke

ALL_ROLES: frozenset[PokeRole] = frozenset(get_args(PokeRole))


def roles_of(player: PokePlayer) -> frozenset[PokeRole]:
    """Roles that a player can be asked for; the columns of others stay empty."""
    impulses: frozenset[PokeRole] = frozenset({"impulse"})
    shifts = ALL_ROLES - impulses - {"none"}
    known = {"shift": shifts, "impulse": impulses}
    return frozenset[PokeRole]({"none"}).union(*(known[kind] for kind in player.kinds))


def poke_of(record: PokeRecord) -> Poke | None:
    """The poke of a record; None for the role without one."""
    if record.at is None:
        return None
    return Poke(record.at, record.shift, "impulse" if record.role == "impulse" else "shift")
