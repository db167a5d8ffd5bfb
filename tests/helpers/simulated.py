"""Hand-made scenes for tests of the simulator: few bodies, no pictures, known answers."""

import numpy as np
import pytest

from poke2vid.simulator.availability import missing_requirements

# Not importorskip("mujoco"): poke2vid.simulator chooses the driver before MuJoCo is imported.
if missing := missing_requirements():
    pytest.skip(missing[0], allow_module_level=True)

from poke2vid.simulator.mjcf import MjcfBuilder
from poke2vid.simulator.scene import Scene, View

FRONT = View(azimuth=0.0, elevation=0.0, fovy=30.0, fill=0.6)


def scene_of(builder: MjcfBuilder, view: View = FRONT, frequency: float | None = None, damping: float = 0.1) -> Scene:
    return Scene(builder.text(), builder.textures, view, frequency, damping)


def ball(view: View = FRONT) -> Scene:
    """One free ball where nothing pulls it."""
    builder = MjcfBuilder(gravity=0.0)
    body = builder.body(builder.world, (0, 0, 1))
    builder.joint(body, "free")
    builder.geom(body, "ball", "sphere", size=0.1, density=500.0)
    return scene_of(builder, view)


def pendulum(view: View = FRONT) -> Scene:
    """A patterned paddle that hangs from a sprung hinge and swings within the picture's plane."""
    builder = MjcfBuilder()
    y, x = np.mgrid[:64, :64]
    waves = 127 + 60 * np.sin(x / 5.0) + 60 * np.sin(y / 7.0)
    picture = np.stack((waves, waves[::-1], 255 - waves), -1).astype(np.uint8)
    material = builder.material("pattern", picture, specular=0.0, cube=True)
    builder.ambient((1, 1, 1))
    body = builder.body(builder.world, (0, 0, 1))
    builder.joint(body, "hinge", axis=(0, 1, 0), stiffness=1.0, damping=0.0)
    builder.geom(body, "paddle", "box", size=(0.15, 0.02, 0.3), pos=(0, 0, -0.35), material=material, density=200.0)
    still = builder.body(builder.world, (0, 0.4, 0.9))
    builder.geom(still, "scene", "box", size=(3.0, 0.01, 3.0), rgba=(0.3, 0.5, 0.4, 1))
    return scene_of(builder, view, frequency=1.0)
