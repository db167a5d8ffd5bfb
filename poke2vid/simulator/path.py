"""Exact path of one touched surface point, from a trajectory alone. Draws nothing."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int32

from poke2vid.simulator.camera import Vector
from poke2vid.simulator.trajectory import Trajectory
from poke2vid.simulator.triangles import carried, nearest_triangles


@dataclass(frozen=True)
class RigidPoint:
    """A point with a fixed `place` in the frame of a rigid geom."""

    geom: int
    place: Vector

    def path(self, trajectory: Trajectory) -> Float64[np.ndarray, "t 3"]:
        """World position in every frame."""
        turned: Float64[np.ndarray, "t 3"] = trajectory.rotations[:, self.geom] @ self.place
        return turned + trajectory.positions[:, self.geom]


@dataclass(frozen=True)
class SoftPoint:
    """A point with a fixed place on a triangle of a flexible body.

    Attributes:
        corners: of the triangle, as indices into all flexible vertices.
        place: as in `triangles`.
    """

    corners: Int32[np.ndarray, "3"]
    place: Vector

    @staticmethod
    def bound(point: Vector, vertices: Float64[np.ndarray, "v 3"], faces: Int32[np.ndarray, "f 3"]) -> "SoftPoint":
        """Binds a world point, on or just above one of these triangles, to the nearest one."""
        corners, places = nearest_triangles(point[None], vertices, faces)
        return SoftPoint(corners[0], places[0])

    def path(self, trajectory: Trajectory) -> Float64[np.ndarray, "t 3"]:
        """World position in every frame."""
        corners = trajectory.vertices[:, self.corners]
        return carried(corners, np.broadcast_to(self.place, (len(corners), 3)))
