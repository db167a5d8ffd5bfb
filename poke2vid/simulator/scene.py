"""What a generated scene is before anything is compiled, and the seeds it comes from."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Generic, Literal, TypeVar

import numpy as np
from jaxtyping import UInt8

from poke2vid.types import Split

FamilyName = Literal["plants", "figures", "objects", "cabinets"]
GENERATION = 2  # one more whenever the same seed gives another scene or another motion than before
INDIVIDUALS = 4  # scenes of one species, or of one figure
Species = TypeVar("Species")


@dataclass(frozen=True)
class View:
    """From where a scene is seen; the distance follows from how much of the frame the object shall fill.

    Attributes:
        azimuth, elevation, roll, fovy: in degrees, as in `camera.look_at`.
        fill: share of the frame's side that the object takes, by its longer extent.
        offset: how far the object's middle sits from the frame's, (x, y) as a share of the side.
    """

    azimuth: float
    elevation: float
    fovy: float
    fill: float
    offset: tuple[float, float] = (0.0, 0.0)
    roll: float = 0.0


@dataclass(frozen=True)
class Scene:
    """One scene to compile: MJCF whose textures are still blank, the pictures for them, and how it shall swing.

    Attributes:
        mjcf: the whole scene; names as `mjcf` states them.
        textures: the picture of every texture by name.
        view: where the camera goes once the object has settled.
        frequency: in Hz, of the object's slowest elastic mode; all its joint stiffnesses are scaled to reach it. None:
            gravity decides, as for a chain.
        damping: of that mode, as a share of critical. Damping is proportional to stiffness, so faster modes die sooner.
        tints: parts that have one flat colour instead of their material, by name; (r, g, b) in 0 ... 1.
    """

    mjcf: str
    textures: Mapping[str, UInt8[np.ndarray, "h w 3"]]
    view: View
    frequency: float | None
    damping: float
    tints: Mapping[str, tuple[float, float, float]] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """sha256 over all of it."""
        sha = hashlib.sha256(repr((self.mjcf, self.view, self.frequency, self.damping)).encode())
        for name in sorted(self.textures):
            sha.update(name.encode() + self.textures[name].tobytes())
        if self.tints:
            sha.update(repr(sorted(self.tints.items())).encode())
        return sha.hexdigest()


@dataclass(frozen=True)
class Family(Generic[Species]):
    """A kind of object.

    Attributes:
        draw: the parameters that individuals of one species share, or one figure in several poses.
        build: an individual in surroundings of its own.
    """

    name: FamilyName
    draw: Callable[[np.random.Generator], Species]
    build: Callable[[Species, np.random.Generator], Scene]

    def scene(self, seed: int, split: Split) -> Scene:
        """The scene of a seed: the same bytes on every call. Splits share no species."""
        species = self.draw(generator(self.name, split, "species", seed // INDIVIDUALS))
        return self.build(species, generator(self.name, split, "scene", seed))


def generator(*key: str | int) -> np.random.Generator:
    """A stream of random numbers of its own for every key."""
    return np.random.default_rng(int.from_bytes(hashlib.sha256(repr(key).encode()).digest()[:16], "little"))
