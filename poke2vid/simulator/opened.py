"""A simulated scene opened: its world at rest, a renderer, and the object as the first frame shows it."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from poke2vid.simulator.render import Renderer
from poke2vid.simulator.scene import Scene
from poke2vid.simulator.surface import Surface, bind
from poke2vid.simulator.world import World


@dataclass(frozen=True)
class OpenScene:
    """A scene at rest while its renderer is open."""

    world: World
    renderer: Renderer
    surface: Surface

    @property
    def side(self) -> int:
        """Side of the frames, in pixels."""
        return self.renderer.resolution

    @property
    def first(self) -> UInt8[np.ndarray, "h w 3"]:
        """Frame 0."""
        self.world.rest()
        return self.renderer.frame(self.world.data.qpos)


@contextlib.contextmanager
def open_scene(scene: Scene, side: int) -> Iterator[OpenScene]:
    """Opens a scene with frames of `side` pixels; closes its renderer at the end of the block.

    Raises:
        UnstableError: if the scene does not hold together.
        InputError: if this machine cannot draw.
    """
    world = World(scene)
    with Renderer(world, side) as renderer:
        yield OpenScene(world, renderer, surface_at_rest(world, renderer))


def surface_at_rest(world: World, renderer: Renderer, side: int | None = None) -> Surface:
    """The object's surface as it shows at rest, at the renderer's size unless another is given."""
    world.rest()
    buffers, camera = renderer.buffers(world.data.qpos, side), world.camera.at(side or renderer.resolution)
    return bind(buffers, camera, world.record(1), world.geom_parts, world.flex_parts, world.triangles)
