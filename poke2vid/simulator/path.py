"""Where one touched point of an object's surface goes: exact, from a trajectory alone. Nothing is drawn."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int32

from poke2vid.simulator.camera import Vector
from poke2vid.simulator.trajectory import Trajectory


@dataclass(frozen=True)
class RigidPoint:
    """A point that keeps its `place` in the frame of a rigid geom."""

    geom: int
    place: Vector

    def path(self, trajectory: Trajectory) -> Float64[np.ndarray, "t 3"]:
        """Where it is in the world, frame by frame."""
        turned: Float64[np.ndarray, "t 3"] = trajectory.rotations[:, self.geom] @ self.place
        return turned + trajectory.positions[:, self.geom]


@dataclass(frozen=True)
class SoftPoint:
    """A point that keeps its place over a triangle of a flexible body.

    Attributes:
        corners: of the triangle, as numbers among all flexible vertices.
        weights: barycentric; beyond 0 ... 1 where the point lies beside the triangle, on a sheet's rounded rim.
        height: along the triangle's normal, in metres: what is seen lies half a thickness off the vertices.
    """

    corners: Int32[np.ndarray, "3"]
    weights: Vector
    height: float

    def path(self, trajectory: Trajectory) -> Float64[np.ndarray, "t 3"]:
        """Where it is in the world, frame by frame."""
        corners = trajectory.vertices[:, self.corners]
        normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
        middle: Float64[np.ndarray, "t 3"] = np.einsum("k,tki->ti", self.weights, corners)
        return middle + self.height * normal


def soft_point(
    point: Vector, vertices: Float64[np.ndarray, "v 3"], faces: Int32[np.ndarray, "f 3"]
) -> SoftPoint:  # fmt: skip
    """A point of the world, on or just above one of these triangles, bound to the nearest."""
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    ab, ac, to = b - a, c - a, point - a
    normal = np.cross(ab, ac)
    area = (normal**2).sum(-1) + 1e-18
    v = (np.cross(to, ac) * normal).sum(-1) / area
    w = (np.cross(ab, to) * normal).sum(-1) / area
    weights = np.stack((1 - v - w, v, w), -1)
    inside = weights.clip(0)
    inside /= inside.sum(-1, keepdims=True)
    away = inside[:, :1] * a + inside[:, 1:2] * b + inside[:, 2:] * c - point
    best = int((away**2).sum(-1).argmin())
    height = float(to[best] @ normal[best] / np.linalg.norm(normal[best]))
    return SoftPoint(faces[best].astype(np.int32), weights[best], height)
