"""Rounded solids about a vertical axis, for limbs, trunks, hair and clothes: profiles and their meshes. Metres."""

from dataclasses import replace

import numpy as np
from jaxtyping import Float64

from poke2vid.simulator import shapes
from poke2vid.simulator.mjcf import Mesh

Profile = Float64[np.ndarray, "n 2"]  # (radius, height) pairs from the bottom up
TILE = 0.16  # metres of surface covered by one cloth picture


def loft(profile: Profile, depth: float, around: int = 14) -> Mesh:
    """A solid of elliptic sections: radii are half widths (x), and it is `depth` times as deep (y) as wide.

    Rows of its picture run downwards; the seam is at the back (+y).
    """
    mesh = shapes.revolve(profile, around)
    x, y, z = mesh.vertices.T
    girth, length = 2 * np.pi * float(profile[:, 0].max()), float(np.hypot(*np.diff(profile, axis=0).T).sum())
    u, v = mesh.texcoords.T
    texcoords = np.stack((u * max(1, round(girth / TILE)), (1 - v) * length / TILE), -1)
    return Mesh(np.stack((-y, depth * x, z), -1), mesh.faces, texcoords)


def pleated(mesh: Mesh, folds: int, hem: float) -> Mesh:
    """The mesh with folds that deepen towards the hem."""
    x, y, z = mesh.vertices.T
    swell = 1 + 0.06 * (z / hem).clip(0, 1) * np.cos(folds * np.arctan2(y, x))
    return replace(mesh, vertices=np.stack((x * swell, y * swell, z), -1))


def domed(*stations: tuple[float, float], scale: float = 1.0, cap: float = 1.0) -> Profile:
    """A closed profile through (height in units of `scale`, radius in metres), ending in domes `cap` radii high."""
    heights, radii = np.array(stations).T * np.array([[scale], [1.0]])
    dome = np.radians([0, 30, 60])
    start = np.stack((radii[0] * np.sin(dome), heights[0] - cap * radii[0] * np.cos(dome)), -1)
    end = np.stack((radii[-1] * np.sin(dome), heights[-1] + cap * radii[-1] * np.cos(dome)), -1)[::-1]
    return np.concatenate((start, np.stack((radii, heights), -1), end))


def rod(length: float, *radii: float, open_end: bool = False) -> Profile:
    """A rounded rod from the origin down, with these radii from its lower end up; an open end is cut flat."""
    heights = np.linspace(-length, 0, len(radii))
    profile = domed(*zip(heights.tolist(), radii, strict=True))
    return np.concatenate(([[0.0, -0.97 * length]], profile[3:])) if open_end else profile


def egg(wide: float, high: float) -> Profile:
    """Profile of an ellipsoid about the origin."""
    latitude = np.linspace(-np.pi / 2, np.pi / 2, 9)
    return np.stack((wide * np.cos(latitude), high * np.sin(latitude)), -1)


def skull(wide: float, deep: float, high: float) -> Mesh:
    """An egg about the origin with these half axes, its tip being the chin; for a face whose rows are latitudes."""
    latitude, around = np.linspace(-np.pi / 2, np.pi / 2, 13), 20
    jaw = np.sin(latitude).clip(None, 0) ** 2
    profile = np.stack((wide * np.cos(latitude) * (1 - 0.12 * jaw), high * np.sin(latitude)), -1)
    v, u = np.meshgrid(np.linspace(1, 0, len(latitude)), np.linspace(0, 1, around + 1), indexing="ij")
    return replace(loft(profile, deep / wide, around), texcoords=np.stack((u, v), -1).reshape(-1, 2))


def lumps(profile: Profile, depth: float, density: float) -> list[tuple[float, float]]:
    """Mass of a lofted solid as points on its axis: (kilograms, height) pairs."""
    (r, z), (r_next, z_next) = profile[:-1].T, profile[1:].T
    masses = density * np.pi * depth * ((r + r_next) / 2) ** 2 * np.abs(z_next - z)
    return list(zip(masses.tolist(), ((z + z_next) / 2).tolist(), strict=True))
