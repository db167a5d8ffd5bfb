"""Jointed bodies: rigid pieces placed by a pose, sprung joints between them, and their MJCF.

Every spring is proportional to the inertia it carries, so that all joints swing alike at any size.
"""

from dataclasses import dataclass, field
from typing import Any
from xml.etree.ElementTree import Element

import numpy as np
from jaxtyping import Float64
from numpy.typing import ArrayLike

from poke2vid.simulator.mjcf import MjcfBuilder

Vector = Float64[np.ndarray, "3"]
Rotation = Float64[np.ndarray, "3 3"]
MassPoints = list[tuple[float, Vector]]  # kilograms, position in the world


@dataclass(frozen=True)
class Solid:
    """A mesh of the builder and its mass distribution: kilograms at heights along its axis."""

    mesh: str
    lumps: tuple[tuple[float, float], ...]


@dataclass
class Piece:
    """A rigid part of the figure, placed by the pose: its frame in the world, its geoms and its mass.

    Attributes:
        lumps: kilograms and position, in its frame.
    """

    name: str
    rotation: Rotation
    origin: Vector
    geoms: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    lumps: list[tuple[float, Vector]] = field(default_factory=list)

    def at(self, x: float, y: float, z: float) -> Vector:
        """World position of a point in the piece's frame."""
        return self.origin + self.rotation @ np.array([x, y, z])

    def put(
        self, solid: Solid, material: str, part: str, pos: tuple[float, float, float] = (0, 0, 0),
        rotation: Rotation | None = None,
    ) -> None:  # fmt: skip
        """Adds a solid at a position in the piece's frame."""
        rotation = np.eye(3) if rotation is None else rotation
        self.lumps += [(mass, np.array(pos) + height * rotation[:, 2]) for mass, height in solid.lumps]
        mass = sum(mass for mass, _ in solid.lumps)
        placed = {"mesh": solid.mesh, "mass": mass, "pos": pos, "xyaxes": rotation[:, :2].T, "material": material}
        self.geoms.append((part, "mesh", placed))


@dataclass(frozen=True)
class Bond:
    """A sprung joint between two pieces: a ball or a hinge.

    Attributes:
        pivot: in the world.
        strength: frequency of the carried part swinging on this joint alone, relative to other bonds.
        hinge: axis in the world and (lower, upper) limits in radians; None for a ball.
    """

    pieces: tuple[str, str]
    pivot: Vector
    strength: float
    hinge: tuple[Vector, tuple[float, float]] | None


class Skeleton:
    """Pieces and bonds; any piece can be the root."""

    def __init__(self, builder: MjcfBuilder) -> None:
        self._builder = builder
        self.pieces: dict[str, Piece] = {}
        self._bonds: list[Bond] = []

    def piece(self, name: str, rotation: Rotation, origin: Vector) -> Piece:
        self.pieces[name] = piece = Piece(name, rotation, origin)
        return piece

    def bond(
        self, inner: Piece, outer: Piece, pivot: Vector, strength: float,
        hinge: tuple[Vector, tuple[float, float]] | None = None,
    ) -> None:  # fmt: skip
        self._bonds.append(Bond((inner.name, outer.name), pivot, strength, hinge))

    def mass_points(self, root: str, came_from: str = "") -> MassPoints:
        """Mass points, in the world, of a piece and everything attached to it."""
        piece = self.pieces[root]
        points = [(mass, piece.at(*place)) for mass, place in piece.lumps]
        for _, other in self._neighbours(root, came_from):
            points += self.mass_points(other, root)
        return points

    def emit(self, root: str, parent: Element, rotation: Rotation, origin: Vector, came_from: str = "") -> Element:
        """Writes a piece and everything attached to it into a body with this frame; the caller adds its own joints."""
        piece = self.pieces[root]
        body = self._builder.body(
            parent, rotation.T @ (piece.origin - origin), name=root, xyaxes=(rotation.T @ piece.rotation)[:, :2].T
        )
        for part, kind, attributes in piece.geoms:
            self._builder.geom(body, part, kind, **attributes)
        for bond, other in self._neighbours(root, came_from):
            child = self.emit(other, body, piece.rotation, piece.origin, root)
            to = self.pieces[other]
            known: dict[str, Any] = {"pos": to.rotation.T @ (bond.pivot - to.origin), "damping": 0}
            known["stiffness"] = bond.strength**2 * inertia(self.mass_points(other, root), bond.pivot)
            if bond.hinge is None:
                self._builder.joint(child, "ball", **known)
            else:
                self._builder.joint(child, "hinge", axis=to.rotation.T @ bond.hinge[0], range=bond.hinge[1], **known)
        return body

    def _neighbours(self, name: str, came_from: str) -> list[tuple[Bond, str]]:
        ends = [(bond, bond.pieces[1 - bond.pieces.index(name)]) for bond in self._bonds if name in bond.pieces]
        return [(bond, other) for bond, other in ends if other != came_from]


def turned(x: float, y: float, z: float) -> Rotation:
    """Rotation by degrees about x, then y, then z."""
    (ca, cb, cc), (sa, sb, sc) = np.cos(np.radians([x, y, z])), np.sin(np.radians([x, y, z]))
    about_x = np.array([[1, 0, 0], [0, ca, -sa], [0, sa, ca]])
    about_y = np.array([[cb, 0, sb], [0, 1, 0], [-sb, 0, cb]])
    about_z = np.array([[cc, -sc, 0], [sc, cc, 0], [0, 0, 1]])
    return about_z @ about_y @ about_x


def direction(vector: ArrayLike) -> Vector:
    """Unit vector."""
    return np.asarray(vector, float) / np.linalg.norm(vector)


def articulate(upper: Vector, lower: Vector, straight: Vector) -> tuple[Rotation, Rotation, Vector, float]:
    """Frames of two limbs with these directions, the axis that both share as x, and the joint's angle of flexion.

    Args:
        straight: the axis to use if the limbs are in line.
    """
    axis = np.cross(upper, lower)
    bent = float(np.linalg.norm(axis))
    axis = axis / bent if bent > 0.02 else direction(straight - straight @ upper * upper)
    first, second = (np.stack((axis, np.cross(-way, axis), -way), -1) for way in (upper, lower))
    return first, second, axis, float(np.arctan2(bent, upper @ lower))


def bend(hip: Vector, ankle: Vector, length: float, forward: Vector) -> Vector:
    """Position of the knee between two bones of equal length, bent towards `forward`."""
    way = ankle - hip
    half = float(np.linalg.norm(way)) / 2
    aside = direction(forward - forward @ way * way / (way @ way))
    return hip + way / 2 + np.sqrt(max(length**2 - half**2, 0.0)) * aside


def inertia(points: MassPoints, pivot: Vector) -> float:
    """Inertia of point masses about a point, in kg m^2: the same as about an axis perpendicular to all of them."""
    return float(sum(mass * ((place - pivot) ** 2).sum() for mass, place in points))


def centre(points: MassPoints) -> Vector:
    """Centre of mass."""
    return np.asarray(sum(mass * place for mass, place in points) / sum(mass for mass, _ in points))
