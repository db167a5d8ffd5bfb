"""Results of physics and drawing, from which every visible point's path follows. Needs no MuJoCo."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64, Int32


@dataclass(frozen=True)
class Trajectory:
    """Poses of everything over time: enough to draw every frame and compute every point's path without physics.

    Attributes:
        positions, rotations: of every geom in the world, at every frame.
        vertices: of every flexible body, at every frame.
        states: MuJoCo's qpos at every frame, for the renderer.
    """

    positions: Float64[np.ndarray, "t g 3"]
    rotations: Float64[np.ndarray, "t g 3 3"]
    vertices: Float64[np.ndarray, "t v 3"]
    states: Float64[np.ndarray, "t q"]

    def __len__(self) -> int:
        return len(self.states)


@dataclass(frozen=True)
class Buffers:
    """Geom, flexible body and depth at the centre of every pixel.

    Attributes:
        geoms: the geom's number, -1 for none.
        flexes: the flexible body's number, -1 for none.
        depth: in metres along the optical axis.
    """

    geoms: Int32[np.ndarray, "h w"]
    flexes: Int32[np.ndarray, "h w"]
    depth: Float32[np.ndarray, "h w"]
