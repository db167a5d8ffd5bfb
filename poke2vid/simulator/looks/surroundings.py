"""Surroundings of every object: a floor, a backdrop out of focus, and light."""

import numpy as np

from poke2vid.simulator.looks.backdrops import backdrop, floor
from poke2vid.simulator.mjcf import BACKDROP, FLOOR, SCENE, MjcfBuilder
from poke2vid.simulator.scene import View

FLOOR_HALF = 1.6  # metres
BACKDROP_GAPS = (0.15, 1.0)  # metres behind the object


def surround(
    builder: MjcfBuilder, rng: np.random.Generator, view: View, shadow: float | None, ground: bool = True
) -> None:
    """Adds light, a backdrop and a floor.

    Args:
        view: light mostly comes over the photographer's shoulder.
        shadow: radius of the soft shadow painted on the floor under the object, in metres; None paints none.
        ground: adds a floor at z = 0; without one the backdrop fills the frame.
    """
    _light(builder, rng, view)
    if ground:
        share = None if shadow is None else shadow / (2 * FLOOR_HALF)
        material = builder.material(FLOOR, floor(rng, shadow=share), specular=0.05)
        size = (FLOOR_HALF, FLOOR_HALF, 0.1)
        builder.element(
            builder.world, "geom",
            {"name": f"{SCENE}/{FLOOR}", "type": "plane", "size": " ".join(map(str, size)), "material": material},
        )  # fmt: skip
    material = builder.material(BACKDROP, backdrop(rng), specular=0.0)
    gap = float(rng.uniform(*BACKDROP_GAPS))  # stored as the geom's size, where `World` reads it
    builder.element(
        builder.world, "geom",
        {"name": f"{SCENE}/{BACKDROP}", "type": "plane", "size": f"1 1 {gap:.4f}", "material": material},
    )  # fmt: skip


def _light(builder: MjcfBuilder, rng: np.random.Generator, view: View) -> None:
    """Adds a key light from the front and above, a weaker one from the other side, and ambient light."""
    warm = rng.uniform(-0.08, 0.08)
    tint = np.array([1 + warm, 1.0, 1 - warm])
    side = float(rng.choice([-1, 1]))
    ambient, key = rng.uniform(0.42, 0.55), rng.uniform(0.55, 0.8)
    builder.ambient(ambient * tint)
    builder.light(_beside(view, side * rng.uniform(20, 75), rng.uniform(30, 60)), key * tint)
    builder.light(_beside(view, -side * rng.uniform(60, 120), rng.uniform(5, 30)), 0.35 * key / tint, 0.05)


def _beside(view: View, degrees: float, height: float) -> tuple[float, float, float]:
    """Direction of light from a lamp `degrees` to the camera's right and `height` degrees up."""
    a, e = np.radians(view.azimuth + degrees), np.radians(height)
    return float(-np.sin(a) * np.cos(e)), float(np.cos(a) * np.cos(e)), float(-np.sin(e))


def random_view(rng: np.random.Generator, elevation: tuple[float, float] = (4, 28)) -> View:
    """A random view that a photographer might choose."""
    return View(
        azimuth=float(rng.uniform(0, 360)),
        elevation=float(rng.uniform(*elevation)),
        fovy=float(rng.uniform(25, 45)),
        fill=float(rng.uniform(0.78, 0.98)),
        offset=(float(rng.normal(0, 0.03)), float(rng.normal(0.01, 0.02))),
        roll=float(rng.normal(0, 1.5)),
    )
