"""The simulator's pinhole camera: world points to pixels and back. Depth is along the optical axis, in metres."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

Vector = Float64[np.ndarray, "3"]


@dataclass(frozen=True)
class Camera:
    """A camera that does not move, for square frames.

    Attributes:
        position: of its centre, in metres.
        axes: the picture's right, down and forward as orthonormal rows.
        fovy: full opening angle, in degrees.
        resolution: side of the frames, in pixels.
    """

    position: Vector
    axes: Float64[np.ndarray, "3 3"]
    fovy: float
    resolution: int

    @property
    def focal(self) -> float:
        """Focal length in pixels: the width in the picture of a metre seen from a metre away."""
        return 0.5 * self.resolution / math.tan(math.radians(self.fovy) / 2)

    @property
    def centre(self) -> float:
        """The principal point, both coordinates; pixel centres sit at whole numbers."""
        return (self.resolution - 1) / 2

    def project(
        self, points: Float64[np.ndarray, "*n 3"]
    ) -> tuple[Float64[np.ndarray, "*n 2"], Float64[np.ndarray, "*n"]]:
        """Pixels (x, y) and depths of world points; depth is negative behind the camera."""
        seen = (points - self.position) @ self.axes.T
        depth = seen[..., 2]
        return self.focal * seen[..., :2] / depth[..., None] + self.centre, depth

    def unproject(
        self, pixels: Float64[np.ndarray, "*n 2"], depth: Float64[np.ndarray, "*n"]
    ) -> Float64[np.ndarray, "*n 3"]:
        """World points seen at these pixels at these depths."""
        plane = (pixels - self.centre) / self.focal
        seen = np.concatenate((plane, np.ones_like(plane[..., :1])), axis=-1) * depth[..., None]
        return seen @ self.axes + self.position

    def ray(self, x: float, y: float) -> Vector:
        """The unit direction from the camera through a pixel."""
        direction = self.unproject(np.array([x, y], np.float64), np.array(1.0)) - self.position
        return direction / np.linalg.norm(direction)

    def shift(self, dx: float, dy: float, depth: float) -> Vector:
        """World vector, parallel to the picture, of a shift in pixels at this depth."""
        return (dx * self.axes[0] + dy * self.axes[1]) * depth / self.focal

    def at(self, resolution: int) -> "Camera":
        """The same view at another size of frames."""
        return Camera(self.position, self.axes, self.fovy, resolution)


def look_at(
    target: Vector, azimuth: float, elevation: float, distance: float, fovy: float, roll: float = 0.0
) -> Camera:
    """A camera with `target` in the middle of its view, for frames of one pixel (see `Camera.at`).

    Args:
        azimuth: degrees about the vertical; 0 looks along +y, 90 along -x.
        elevation: degrees above the horizon.
        distance: from the target, in metres.
        roll: degrees that the camera is turned about its axis; the picture turns the other way.
    """
    a, e, r = math.radians(azimuth), math.radians(elevation), math.radians(roll)
    forward = np.array([-math.sin(a) * math.cos(e), math.cos(a) * math.cos(e), -math.sin(e)])
    right = np.array([math.cos(a), math.sin(a), 0.0])
    down = np.cross(forward, right)
    turned = math.cos(r) * right + math.sin(r) * down
    return Camera(target - distance * forward, np.stack((turned, np.cross(forward, turned), forward)), fovy, 1)
