"""Exact motion: the surface point at every pixel of one frame, and its position in every other frame.

Needs a trajectory and no physics. A point of a rigid geom keeps its place in the geom's frame; one of a flexible body
keeps its place on a triangle and its distance from it, because the drawn skin lies outside of the triangles.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int32

from poke2vid.simulator.camera import Camera
from poke2vid.simulator.trajectory import Buffers, Trajectory
from poke2vid.simulator.triangles import carried, nearest_triangles

ROUGH = 0.003  # metres of depth: tolerance for facets, joints and thin sheets
STEEP = 0.005  # metres: largest extra tolerance where the surface is steep to the camera


@dataclass(frozen=True)
class Surface:
    """The object as one frame shows it: frame `start` of `bind`, mostly 0.

    Attributes:
        camera: at the size of the frame.
        part_ids: 0 for the surroundings.
        rows, columns: the object's pixels.
        geoms: geom of each of them; -1 on a flexible body.
        places: rigid: in the geom's frame; flexible: as in `triangles`.
        corners: of the triangle on a flexible body, as vertex indices.
        shown: the frame's buffers, needed by `visible`; None if they were not kept.
    """

    camera: Camera
    part_ids: Int32[np.ndarray, "h w"]
    rows: Int32[np.ndarray, " n"]
    columns: Int32[np.ndarray, " n"]
    geoms: Int32[np.ndarray, " n"]
    places: Float64[np.ndarray, "n 3"]
    corners: Int32[np.ndarray, "n 3"]
    shown: Buffers | None = None

    @property
    def mask(self) -> Bool[np.ndarray, "h w"]:
        """Mask of the object's pixels."""
        return self.part_ids > 0

    def points(self, trajectory: Trajectory, frame: int) -> Float64[np.ndarray, "n 3"]:
        """World positions, in a given frame, of the points at the object's pixels."""
        points, rigid = np.empty_like(self.places), self.geoms >= 0
        geoms, soft = self.geoms[rigid], ~rigid
        turned = np.einsum("nij,nj->ni", trajectory.rotations[frame, geoms], self.places[rigid])
        points[rigid] = turned + trajectory.positions[frame, geoms]
        points[soft] = carried(trajectory.vertices[frame][self.corners[soft]], self.places[soft])
        return points

    def flow(self, trajectory: Trajectory, frame: int) -> Float32[np.ndarray, "2 h w"]:
        """Flow (dx, dy) in pixels from the surface's frame to `frame`; zero on the surroundings, which do not move."""
        pixels, _ = self.camera.project(self.points(trajectory, frame))
        flow = np.zeros((2, *self.part_ids.shape), np.float32)
        flow[:, self.rows, self.columns] = pixels.T - np.stack((self.columns, self.rows))
        return flow

    def visible(self, trajectory: Trajectory, frame: int, later: Buffers) -> Bool[np.ndarray, "h w"]:
        """Mask of the pixels of the surface's frame that still show in `frame`: neither hidden nor out of the picture.

        Occlusion within a few millimetres of depth goes unnoticed: a leaf that has turned its back still counts as
        visible.

        Args:
            later: buffers of `frame`, finer than the frame so that they do not miss thin parts.
        """
        assert self.shown is not None
        ids, own = _ids(later), _ids(self.shown)
        # The surroundings do not move: at least half of the samples around a pixel's middle must show them.
        middle = (np.arange(self.camera.resolution) + 0.5) * len(ids) / self.camera.resolution - 0.5
        low, high = np.floor(middle).astype(int), np.ceil(middle).astype(int)
        still = np.isin(ids, own[~self.mask]).astype(np.int32)
        seen = sum(still[np.ix_(rows, columns)] for rows in (low, high) for columns in (low, high)) >= 2
        seen[self.rows, self.columns] = self._in_sight(trajectory, frame, later.depth, ids, own[self.mask])
        return seen

    def _in_sight(
        self, trajectory: Trajectory, frame: int, depth: Float32[np.ndarray, "h2 w2"], ids: Int32[np.ndarray, "h2 w2"],
        own: Int32[np.ndarray, " n"],
    ) -> Bool[np.ndarray, " n"]:  # fmt: skip
        """True for object pixels whose own geom shows near the point at its depth, with nothing in front of the point.

        The latter test is weighted bilinearly. If any sample of the geom sufficed, parts emerging from behind another
        would show half a pixel too early everywhere: a third of the hidden pixels then counted as visible.
        """
        side, fine = self.camera.resolution, len(depth)
        pixels, expected = self.camera.project(self.points(trajectory, frame))
        inside = ((pixels > -0.5) & (pixels < side - 0.5)).all(1)
        x, y = (pixels[inside].T + 0.5) * fine / side - 0.5
        column, row = np.floor(x).astype(int), np.floor(y).astype(int)
        allowed = ROUGH + np.minimum(_slope(depth, ids), STEEP)
        shows, covered = np.zeros(len(x), bool), np.zeros(len(x))
        for down in (-1, 0, 1, 2):
            for right in (-1, 0, 1, 2):
                there = (row + down).clip(0, fine - 1), (column + right).clip(0, fine - 1)
                nearer = expected[inside] - depth[there]
                shows |= (ids[there] == own[inside]) & (np.abs(nearer) < allowed[there])
                share = (1 - np.abs(y - row - down)).clip(0) * (1 - np.abs(x - column - right)).clip(0)
                covered += share * (nearer > allowed[there])
        sight = np.zeros(len(own), bool)
        sight[inside] = shows & (covered <= 0.5)
        return sight


def _ids(buffers: Buffers) -> Int32[np.ndarray, "h w"]:
    """One id for every sample: the geom's number, or a number below -1 for every flexible body."""
    return np.where(buffers.flexes >= 0, -2 - buffers.flexes, buffers.geoms).astype(np.int32)


def _slope(depth: Float32[np.ndarray, "h w"], ids: Int32[np.ndarray, "h w"]) -> Float32[np.ndarray, "h w"]:
    """Change of depth between neighbouring samples of the same geom: the larger of either side."""
    slope = np.zeros_like(depth)
    for axis in (0, 1):
        change = np.where(np.diff(ids, axis=axis) == 0, np.abs(np.diff(depth, axis=axis)), 0).astype(np.float32)
        before, after = ([(k, 1 - k) if axis == other else (0, 0) for other in (0, 1)] for k in (1, 0))
        slope += np.maximum(np.pad(change, before), np.pad(change, after))
    return slope


def bind(
    buffers: Buffers, camera: Camera, trajectory: Trajectory, geom_parts: Int32[np.ndarray, " g"],
    flex_parts: Int32[np.ndarray, " f"] | None = None, triangles: Sequence[Int32[np.ndarray, "k 3"]] = (),
    start: int = 0,
) -> Surface:  # fmt: skip
    """The surface seen in the buffers of frame `start`.

    Args:
        triangles: of every flexible body, as indices into all flexible vertices.
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
            corners[here], places[here] = nearest_triangles(points[here], trajectory.vertices[start], faces)
    geoms = np.where(flexes >= 0, -1, geoms)
    return Surface(camera, part_ids, rows, columns, geoms, places, corners, buffers)
