"""Families of scenes by name."""

from typing import Any, get_args

from poke2vid.simulator.families.cabinets import CABINETS
from poke2vid.simulator.families.figures import FIGURES
from poke2vid.simulator.families.objects import OBJECTS
from poke2vid.simulator.families.plants import PLANTS
from poke2vid.simulator.scene import Family, FamilyName
from poke2vid.types import InputError

FAMILIES: dict[FamilyName, Family[Any]] = {family.name: family for family in (PLANTS, FIGURES, OBJECTS, CABINETS)}


def family_named(name: str) -> Family[Any]:
    """Returns the family of this name; raises InputError for an unknown one."""
    if not name:
        raise InputError(f"say which family to simulate: {', '.join(get_args(FamilyName))}.")
    for known in get_args(FamilyName):
        if name == known:
            return FAMILIES[known]
    raise InputError(f"there is no family {name!r}; choose one of {', '.join(get_args(FamilyName))}.")
