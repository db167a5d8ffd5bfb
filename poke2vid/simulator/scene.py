"""A generated scene before compilation, and the random streams it is drawn from."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Generic, Literal, TypeVar

import numpy as np
from jaxtyping import UInt8

from poke2vid.types import Split

FamilyName = Literal["plants", "figures", "objects", "cabinets"]
GENERATION = 2  # increased whenever a change makes the same seed give another scene or motion
INDIVIDUALS = 4  # scenes of one species, or of one figure
Species = TypeVar("Species")


@dataclass(frozen=True)
class View:
    """Camera direction of a scene; the distance follows from `fill`.

    Attributes:
        azimuth, elevation, roll, fovy: in degrees, as in `camera.look_at`.
        fill: the object's longer extent in the frame, as a share of the side.
        offset: of the object's middle from the frame's, (x, y) as a share of the side.
    """

    azimuth: float
    elevation: float
    fovy: float
    fill: float
    offset: tuple[float, float] = (0.0, 0.0)
    roll: float = 0.0


@dataclass(frozen=True)
class Scene:
    """One scene to compile: MJCF with blank textures, the pictures for them, and how the object swings.

    Attributes:
        mjcf: the whole scene; names follow the rules of the module `mjcf`.
        textures: the picture of every texture by name.
        view: the camera's view once the object has settled.
        frequency: in Hz, of the object's slowest elastic mode; all its joint stiffnesses are scaled to reach it. None:
            gravity decides, as for a chain.
        damping: of that mode, as a share of critical. It is proportional to stiffness, so faster modes decay sooner.
        tints: flat colours that replace the material of parts, by part name; (r, g, b) in 0 ... 1.
    """

    mjcf: str
    textures: Mapping[str, UInt8[np.ndarray, "h w 3"]]
    view: View
    frequency: float | None
    damping: float
    tints: Mapping[str, tuple[float, float, float]] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """sha256 over all fields."""
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
        draw: draws a species: the parameters shared by its individuals, or by one figure's poses.
        build: builds an individual of it in random surroundings.
    """

    name: FamilyName
    draw: Callable[[np.random.Generator], Species]
    build: Callable[[Species, np.random.Generator], Scene]

    def scene(self, seed: int, split: Split) -> Scene:
        """The scene of a seed: the same bytes on every call. Splits share no species."""
        species = self.draw(generator(self.name, split, "species", seed // INDIVIDUALS))
        return self.build(species, generator(self.name, split, "scene", seed))


def generator(*key: str | int) -> np.random.Generator:
    """An independent random generator for every key."""
    return np.random.default_rng(int.from_bytes(hashlib.sha256(repr(key).encode()).digest()[:16], "little"))
