"""Meshes used by several families: sheets and solids of revolution, with texture coordinates. Metres; z up."""

import numpy as np
from jaxtyping import Float64, Int64

from poke2vid.simulator.mjcf import Mesh


def grid_faces(rows: int, columns: int) -> Int64[np.ndarray, "f 3"]:
    """Two triangles for every cell of a grid of vertices numbered row by row."""
    corner = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)).reshape(-1, 1)
    upper, lower = np.array([0, columns, 1]), np.array([1, columns, columns + 1])
    return np.concatenate((corner + upper, corner + lower))


def leaf(
    length: float, width: float, point: float, widest: float, droop: float, fold: float, waves: float = 0.0,
    along: int = 9, across: int = 5,
) -> Mesh:  # fmt: skip
    """A two-sided blade along +x, its stalk at the origin.

    Args:
        width: at the widest place.
        point: shape of the tip: 0.5 is blunt, 1.5 drawn out.
        widest: position of the widest place along the blade, 0 ... 1.
        droop: drop of the tip, as a share of the length.
        fold: rise of the rims above the midrib, as a share of the width.
        waves: undulation of the rims, as a share of the width.
    """
    u = np.linspace(0, 1, along)
    power = np.log(0.5) / np.log(widest)
    profile = np.sin(np.pi * u**power).clip(0) ** np.where(u > widest, point, 0.7)
    half = width / 2 * np.maximum(profile, 0.02)
    v = np.linspace(-1, 1, across)
    x = np.broadcast_to(u[:, None] * length, (along, across))
    y = half[:, None] * v
    rise = fold * width * np.abs(v) * profile[:, None] + waves * width * v**2 * np.sin(6 * np.pi * u)[:, None]
    z = rise - droop * length * (u**2)[:, None]
    vertices = np.stack((x, y, np.broadcast_to(z, x.shape)), -1).reshape(-1, 3)
    texcoords = np.stack(np.meshgrid(u, (v + 1) / 2, indexing="ij"), -1).reshape(-1, 2)
    return Mesh(vertices, grid_faces(along, across), texcoords).two_sided()


def revolve(profile: Float64[np.ndarray, "n 2"], around: int = 16) -> Mesh:
    """A solid of revolution about z from (radius, height) pairs, from the bottom up; closed where the radius is zero."""
    angles = np.linspace(0, 2 * np.pi, around + 1)
    circle = np.stack((np.cos(angles), np.sin(angles)), -1)
    rings = profile[:, None, :1] * circle
    heights = np.broadcast_to(profile[:, None, 1:], (len(profile), around + 1, 1))
    vertices = np.concatenate((rings, heights), -1).reshape(-1, 3)
    lengths = np.concatenate(([0], np.cumsum(np.hypot(*np.diff(profile, axis=0).T))))
    u, v = np.meshgrid(np.linspace(0, 1, around + 1), lengths / lengths[-1])
    return Mesh(vertices, grid_faces(len(profile), around + 1)[:, ::-1], np.stack((u, v), -1).reshape(-1, 2))
