"""A training video from a seed: a scene, random actions on it, its frames, and on request the exact motion."""

import contextlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from jaxtyping import UInt8

from poke2vid.simulator.backgrounds import Backgrounds
from poke2vid.simulator.families.registry import family_named
from poke2vid.simulator.interactions import Interactions, happen
from poke2vid.simulator.render import Renderer
from poke2vid.simulator.scene import FamilyName, generator
from poke2vid.simulator.surface import Surface, bind
from poke2vid.simulator.trajectory import Trajectory
from poke2vid.simulator.truth import Truth
from poke2vid.simulator.world import UnstableError, World
from poke2vid.types import InputError, Split

ATTEMPTS = 20  # scenes tried for one video
STRIDE = 1 << 24  # seed distance between attempts; no set has so many videos
SETS = 1 << 40  # seed distance between sets
SEEDS = 16  # number of set seeds; PokeBench's scenes come after the last of them


@dataclass(frozen=True)
class Order:
    """One video to make; the same order always gives the same video.

    Attributes:
        number: of the video in its family, split and set.
        frames: number of frames.
        resolution: their side, in pixels; the motion does not depend on it.
        seed: of the set.
        backgrounds: the user's photographs; some scenes get one instead of their backdrop.
    """

    family: FamilyName
    split: Split
    number: int
    frames: int
    resolution: int
    seed: int = 0
    backgrounds: Backgrounds | None = field(default=None, repr=False)  # stores hash the rest's repr, see `record`

    @property
    def name(self) -> str:
        return f"{self.family}-{self.split}-{self.seed}-{self.number:06d}"

    def record(self) -> dict[str, Any]:
        """Everything that determines the video, for its sidecar; nothing that differs between machines.

        Without photographs the record has no such field, so that sets older than the option can be continued.
        """
        known = asdict(replace(self, backgrounds=None))
        del known["backgrounds"]
        return known if self.backgrounds is None else known | {"backgrounds": self.backgrounds.digest}

    def scene_seed(self, attempt: int) -> int:
        return self.number + attempt * STRIDE + self.seed * SETS


@dataclass(frozen=True)
class Take:
    """A simulated video, ready to be drawn.

    Attributes:
        scene_seed, scene_digest: of the scene that was stable.
        happening: the actions on it; not shown in any frame, and written only with the truth.
        rejected: number of scenes rejected before it, by kind of fault.
    """

    order: Order
    scene_seed: int
    scene_digest: str
    world: World
    happening: Interactions
    trajectory: Trajectory
    rejected: dict[str, int]
    renderer: Renderer

    def frame(self, number: int, resolution: int | None = None) -> UInt8[np.ndarray, "h w 3"]:
        """Draws a frame, at the order's size or another."""
        return self.renderer.frame(self.trajectory.states[number], resolution)

    def surface(self, number: int) -> Surface:
        """The object's surface points that a frame shows, for exact motion."""
        buffers, world = self.renderer.buffers(self.trajectory.states[number]), self.world
        camera = world.camera.at(self.order.resolution)
        return bind(buffers, camera, self.trajectory, world.geom_parts, world.flex_parts, world.triangles, start=number)

    def truth(self) -> Truth:
        """Exact flow, visibility, parts and depth of the video, at the order's size."""
        frames, side = self.order.frames, self.order.resolution
        part_ids = np.empty((frames, side, side), np.int16)
        depth = np.empty((frames, side, side), np.float32)
        flow = np.empty((frames - 1, 2, side, side), np.float32)
        visible = np.empty((frames - 1, side, side), bool)
        first, world = self.surface(0), self.world
        for number, state in enumerate(self.trajectory.states):
            buffers = self.renderer.buffers(state)
            # No triangles: finding a pixel's place on a cloth takes 30 ms, and later frames do not need it.
            shown = bind(buffers, first.camera, self.trajectory, world.geom_parts, world.flex_parts, start=number)
            part_ids[number], depth[number] = shown.part_ids, buffers.depth
            if number > 0:
                flow[number - 1] = first.flow(self.trajectory, number)
                visible[number - 1] = first.visible(self.trajectory, number, self.renderer.fine_buffers(state))
        return Truth(part_ids, depth, flow, visible)


@contextlib.contextmanager
def take(order: Order) -> Iterator[Take]:
    """Simulates an order with the first of its scenes that is stable.

    Raises:
        InputError: if none does, or this machine cannot draw.
        PhotoGoneError: if a photograph is gone or has changed.
    """
    family, rejected = family_named(order.family), Counter[str]()
    for attempt in range(ATTEMPTS):
        seed = order.scene_seed(attempt)
        scene = family.scene(seed, order.split)
        if order.backgrounds is not None:
            chance = generator(order.family, order.split, "background", seed)
            scene = order.backgrounds.behind(scene, chance)
        rng = generator(order.family, order.split, "happening", seed)
        with contextlib.ExitStack() as stack:
            try:
                world = World(scene)
                happening = happen(world, rng, order.frames)
                trajectory = world.record(order.frames, happening.actions, happening.wind)
                renderer = stack.enter_context(Renderer(world, order.resolution))
            except UnstableError as fault:
                rejected[str(fault)] += 1
                continue
            yield Take(order, seed, scene.digest, world, happening, trajectory, dict(rejected), renderer)
            return
    raise InputError(f"none of {ATTEMPTS} scenes for {order.name} held together: {dict(rejected)}.")
