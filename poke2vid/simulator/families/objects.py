"""Objects of several kinds: chains, mobiles, reeds, cloth and jelly; the species decides which."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np

from poke2vid.simulator.families.chains import Chain, build_chain, draw_chain
from poke2vid.simulator.families.mobiles import Mobile, build_mobile, draw_mobile
from poke2vid.simulator.families.reeds import GRAVITY as REED_GRAVITY
from poke2vid.simulator.families.reeds import Reeds, build_reeds, draw_reeds
from poke2vid.simulator.families.soft_objects import (
    JELLY_GRAVITY,
    Cloth,
    Jelly,
    build_cloth,
    build_jelly,
    draw_cloth,
    draw_jelly,
)
from poke2vid.simulator.looks.surroundings import random_view, surround
from poke2vid.simulator.mjcf import MjcfBuilder
from poke2vid.simulator.scene import Family, Scene, View

Kind = Literal["chain", "mobile", "reeds", "cloth", "jelly"]
Traits = Chain | Mobile | Reeds | Cloth | Jelly
SHARES: dict[Kind, float] = {"chain": 0.26, "mobile": 0.2, "reeds": 0.22, "cloth": 0.2, "jelly": 0.12}
WIDEST = 0.86  # of the frame: hanging objects show whole, with their support
_DRAW: dict[Kind, Callable[[np.random.Generator], Traits]] = {
    "chain": draw_chain, "mobile": draw_mobile, "reeds": draw_reeds, "cloth": draw_cloth, "jelly": draw_jelly,
}  # fmt: skip


@dataclass(frozen=True)
class ObjectSpecies:
    """Kind and kind-specific parameters shared by objects of one species."""

    kind: Kind
    traits: Traits


def draw_species(rng: np.random.Generator) -> ObjectSpecies:
    kind: Kind = get_args(Kind)[rng.choice(len(SHARES), p=list(SHARES.values()))]
    return ObjectSpecies(kind, _DRAW[kind](rng))


def build_object(species: ObjectSpecies, rng: np.random.Generator) -> Scene:
    match species.traits:
        case Reeds() as reeds:
            builder = MjcfBuilder(gravity=REED_GRAVITY)
            build_reeds(reeds, builder, rng)
            return _scene(builder, rng, random_view(rng, (2, 22)), 0.15, reeds.frequency, reeds.damping)
        case Jelly() as jelly:
            builder = MjcfBuilder(gravity=JELLY_GRAVITY)
            build_jelly(jelly, builder, rng)
            return _scene(builder, rng, random_view(rng, (12, 32)), 1.7 * jelly.radius)
        case Cloth() as cloth:
            builder = MjcfBuilder(viscosity=cloth.viscosity)
            build_cloth(cloth, builder, rng)
            return _scene(builder, rng, _before(rng, 35))
        case Chain() as chain:
            builder = MjcfBuilder()
            build_chain(chain, builder, rng)
            return _scene(builder, rng, _before(rng, 40))
        case Mobile() as mobile:
            builder, view = MjcfBuilder(), replace(random_view(rng), elevation=float(rng.uniform(-14, 8)))
            view = replace(view, fill=min(view.fill, WIDEST))
            build_mobile(mobile, builder, rng, view.azimuth)
            return _scene(builder, rng, view)


def _before(rng: np.random.Generator, sideways: float) -> View:
    """A front view of something hanging before a wall, up to `sideways` degrees to either side."""
    view = random_view(rng)
    azimuth, elevation = float(rng.uniform(-sideways, sideways)), float(rng.uniform(-8, 10))
    return replace(view, azimuth=azimuth, elevation=elevation, fill=min(view.fill, WIDEST))


def _scene(
    builder: MjcfBuilder, rng: np.random.Generator, view: View, shadow: float | None = None, frequency: float | None = None,
    damping: float = 0.0,
) -> Scene:  # fmt: skip
    """The finished scene; with a shadow the object stands on a floor, without one it hangs before a wall."""
    surround(builder, rng, view, shadow, ground=shadow is not None)
    return Scene(builder.text(), builder.textures, view, frequency, damping)


OBJECTS: Family[ObjectSpecies] = Family("objects", draw_species, build_object)
