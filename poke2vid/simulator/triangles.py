"""Points on a flexible body: bound to a triangle of its surface and moved with it.

A point's place is (v, w, offset): v and w weigh the second and third corner of its triangle, 1 - v - w the first (below
0 or above 1 beside the triangle), and the offset goes along the unit normal, in metres, because the drawn skin lies
outside of the triangles.
"""

import numpy as np
from jaxtyping import Float64, Int32

CANDIDATES = 6  # triangles of a flexible body that may lie under a pixel
FLAT = 1e-10  # square metres: a triangle with less than half of this area has no usable normal


def carried(corners: Float64[np.ndarray, "*n 3 3"], places: Float64[np.ndarray, "*n 3"]) -> Float64[np.ndarray, "*n 3"]:
    """World positions of points with these places, for triangles with these corners."""
    a, b, c = np.moveaxis(corners, -2, 0)
    v, w, offset = (places[..., k, None] for k in range(3))
    return a + v * (b - a) + w * (c - a) + offset * _unit(np.cross(b - a, c - a))


def nearest_triangles(
    points: Float64[np.ndarray, "n 3"], vertices: Float64[np.ndarray, "v 3"], faces: Int32[np.ndarray, "f 3"]
) -> tuple[Int32[np.ndarray, "n 3"], Float64[np.ndarray, "n 3"]]:
    """The triangle nearest to each point, and the point's place on it.

    Only the triangles with the nearest middles are tried: those of a sheet are of similar size.
    """
    corners = vertices[faces]
    to_middle = ((points[:, None] - corners.mean(1)) ** 2).sum(-1)
    count = min(CANDIDATES, len(faces))
    tried = np.argpartition(to_middle, count - 1, axis=1)[:, :count]
    a, b, c = (corners[tried, k] for k in range(3))
    ab, ac, to = b - a, c - a, points[:, None] - a
    normal = np.cross(ab, ac)
    area = np.maximum((normal**2).sum(-1), FLAT**2)
    v = (np.cross(to, ac) * normal).sum(-1) / area
    w = (np.cross(ab, to) * normal).sum(-1) / area
    weights = np.stack((1 - v - w, v, w), -1).clip(0)
    weights /= weights.sum(-1, keepdims=True)
    away = weights[..., :1] * a + weights[..., 1:2] * b + weights[..., 2:] * c - points[:, None]
    best = np.where(area > FLAT**2, (away**2).sum(-1), np.inf).argmin(1)
    rows = np.arange(len(points))
    places = np.stack((v, w, (to * _unit(normal)).sum(-1)), -1)
    return faces[tried[rows, best]].astype(np.int32), places[rows, best]


def _unit(normals: Float64[np.ndarray, "*n 3"]) -> Float64[np.ndarray, "*n 3"]:
    """Normals scaled to length one; shorter for triangles without area, whose normals mean nothing."""
    return normals / np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), FLAT)
