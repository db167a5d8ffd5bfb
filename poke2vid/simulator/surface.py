"""Exact motion: what shows at every pixel of one frame, and where that point of the surface is in every other frame.

Needs a trajectory and no physics. A point of a rigid geom keeps its place in the geom's frame; one of a flexible body
keeps its barycentric coordinates in its triangle.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int32

from poke2vid.simulator.camera import Camera
from poke2vid.simulator.trajectory import Buffers, Trajectory

CANDIDATES = 6  # triangles of a flexible body that may lie under a pixel
OCCLUSION = 0.01  # metres: what lies this much behind the nearest surface is hidden


@dataclass(frozen=True)
class Surface:
    """The object as one frame shows it: frame `start` of `bind`, mostly 0.

    Attributes:
        camera: at the size of the frame.
        part_ids: 0 where the surroundings show.
        depth: of every pixel in that frame, in metres.
        rows, columns: the object's pixels.
        geoms: of each of them; -1 on a flexible body.
        places: rigid: in the geom's frame; flexible: barycentric.
        corners: of the triangle on a flexible body, as numbers of vertices.
    """

    camera: Camera
    part_ids: Int32[np.ndarray, "h w"]
    depth: Float32[np.ndarray, "h w"]
    rows: Int32[np.ndarray, " n"]
    columns: Int32[np.ndarray, " n"]
    geoms: Int32[np.ndarray, " n"]
    places: Float64[np.ndarray, "n 3"]
    corners: Int32[np.ndarray, "n 3"]

    @property
    def mask(self) -> Bool[np.ndarray, "h w"]:
        """Where the object shows."""
        return self.part_ids > 0

    def points(self, trajectory: Trajectory, frame: int) -> Float64[np.ndarray, "n 3"]:
        """Where the points of the object's pixels are in a frame, in the world."""
        rotation, position = trajectory.rotations[frame, self.geoms], trajectory.positions[frame, self.geoms]
        points = np.einsum("nij,nj->ni", rotation, self.places) + position
        soft = self.geoms < 0
        if soft.any():
            corners = trajectory.vertices[frame][self.corners[soft]]
            points[soft] = np.einsum("nk,nki->ni", self.places[soft], corners)
        return points

    def flow(self, trajectory: Trajectory, frame: int) -> Float32[np.ndarray, "2 h w"]:
        """From the surface's frame to `frame`, (dx, dy) in pixels; zero on the surroundings, which do not move."""
        pixels, _ = self.camera.project(self.points(trajectory, frame))
        flow = np.zeros((2, *self.part_ids.shape), np.float32)
        flow[:, self.rows, self.columns] = pixels.T - np.stack((self.columns, self.rows))
        return flow

    def visible(
        self, trajectory: Trajectory, frame: int, depth: Float32[np.ndarray, "h2 w2"]
    ) -> Bool[np.ndarray, "h w"]:
        """Which pixels of the surface's frame still show in `frame`: neither hidden, by its depth (maybe finer), nor out."""
        side, (height, width) = self.camera.resolution, depth.shape
        rows, columns = np.indices(self.part_ids.shape)
        flow, expected = self.flow(trajectory, frame), self.depth.astype(np.float64)
        _, expected[self.rows, self.columns] = self.camera.project(self.points(trajectory, frame))
        x = ((columns + flow[0] + 0.5) * width / side - 0.5).round().astype(int)
        y = ((rows + flow[1] + 0.5) * height / side - 0.5).round().astype(int)
        inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
        seen = np.zeros(self.part_ids.shape)
        seen[inside] = depth[y[inside], x[inside]]
        return inside & (seen > expected - OCCLUSION - _slope(self.depth))


def _slope(depth: Float32[np.ndarray, "h w"]) -> Float32[np.ndarray, "h w"]:
    """How fast the depth changes from pixel to pixel on the surface itself: the lesser change to either side."""
    across, down = np.abs(np.diff(depth, axis=1)), np.abs(np.diff(depth, axis=0))
    x = np.minimum(np.pad(across, ((0, 0), (1, 0)), mode="edge"), np.pad(across, ((0, 0), (0, 1)), mode="edge"))
    y = np.minimum(np.pad(down, ((1, 0), (0, 0)), mode="edge"), np.pad(down, ((0, 1), (0, 0)), mode="edge"))
    return x + y


def bind(
    buffers: Buffers, camera: Camera, trajectory: Trajectory, geom_parts: Int32[np.ndarray, " g"],
    flex_parts: Int32[np.ndarray, " f"] | None = None, triangles: Sequence[Int32[np.ndarray, "k 3"]] = (),
    start: int = 0,
) -> Surface:  # fmt: skip
    """The surface that the buffers of frame `start` show.

    Args:
        triangles: of every flexible body, as numbers among all flexible vertices.
    """
    part_ids = np.where(buffers.geoms >= 0, geom_parts[buffers.geoms], 0).astype(np.int32)
    if flex_parts is not None and len(flex_parts):
        part_ids = np.where(buffers.flexes >= 0, flex_parts[buffers.flexes], part_ids)
    rows, columns = (indices.astype(np.int32) for indices in np.nonzero(part_ids))
    pixels = np.stack((columns, rows), -1).astype(np.float64)
    points = camera.unproject(pixels, buffers.depth[rows, columns].astype(np.float64))
    geoms, flexes = buffers.geoms[rows, columns], buffers.flexes[rows, columns]
    local = points - trajectory.positions[start, geoms]
    places = np.einsum("nji,nj->ni", trajectory.rotations[start, geoms], local)
    corners = np.zeros((len(rows), 3), np.int32)
    for flex, faces in enumerate(triangles):
        here = flexes == flex
        if here.any():
            corners[here], places[here] = _nearest_triangles(points[here], trajectory.vertices[start], faces)
    return Surface(camera, part_ids, buffers.depth, rows, columns, np.where(flexes >= 0, -1, geoms), places, corners)


def _nearest_triangles(
    points: Float64[np.ndarray, "n 3"], vertices: Float64[np.ndarray, "v 3"], faces: Int32[np.ndarray, "f 3"]
) -> tuple[Int32[np.ndarray, "n 3"], Float64[np.ndarray, "n 3"]]:
    """The triangle on which each point lies, and its barycentric coordinates there.

    Only the triangles with the nearest middles are tried: those of a sheet are all about as large.
    """
    corners = vertices[faces]
    to_middle = ((points[:, None] - corners.mean(1)) ** 2).sum(-1)
    count = min(CANDIDATES, len(faces))
    tried = np.argpartition(to_middle, count - 1, axis=1)[:, :count]
    a, b, c = (corners[tried, k] for k in range(3))
    ab, ac, to = b - a, c - a, points[:, None] - a
    normal = np.cross(ab, ac)
    area = (normal**2).sum(-1) + 1e-18
    v = (np.cross(to, ac) * normal).sum(-1) / area
    w = (np.cross(ab, to) * normal).sum(-1) / area
    weights = np.stack((1 - v - w, v, w), -1).clip(0)
    weights /= weights.sum(-1, keepdims=True)
    away = weights[..., :1] * a + weights[..., 1:2] * b + weights[..., 2:] * c - points[:, None]
    best = (away**2).sum(-1).argmin(1)
    rows = np.arange(len(points))
    return faces[tried[rows, best]].astype(np.int32), weights[rows, best]
