"""Simulated test scenes, each pushed at a few points with rising strength: the truth for impulse models."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float32, UInt8

from poke2vid.evaluate.impulse.curves import FRAMES, MAGNITUDES, curves
from poke2vid.pokes import IMPULSE_UNIT
from poke2vid.simulator.actions import Push, Touch
from poke2vid.simulator.families.registry import family_named
from poke2vid.simulator.film import SETS, STRIDE
from poke2vid.simulator.interactions import REACH, random_touch
from poke2vid.simulator.render import Renderer
from poke2vid.simulator.scene import INDIVIDUALS, Scene, generator
from poke2vid.simulator.surface import Surface, bind
from poke2vid.simulator.trajectory import Trajectory
from poke2vid.simulator.world import UnstableError, World
from poke2vid.types import InputError, Poke

POINTS, DIRECTIONS = 2, 2  # per scene; directions are at right angles
CANDIDATES = 8  # points pushed once, of which those that move the most are kept: most leaves move only themselves
ATTEMPTS = 20  # scenes tried per place


@dataclass(frozen=True)
class TruePoke:
    """An impulse of one magnitude and its true future.

    Attributes:
        number: of the point and direction, the same for all magnitudes.
        poke: in pixels of the scene's frames.
        flows: exact, from frame 0 to frames 1 ... T, in pixels.
        frames: 1 ... T, for viewing; only for the scene's first point and direction.
    """

    number: int
    magnitude: float
    poke: Poke
    flows: Float32[np.ndarray, "t 2 h w"]
    frames: UInt8[np.ndarray, "t h w 3"] | None


@dataclass(frozen=True)
class ImpulseScene:
    """A scene at rest and the impulses given to it.

    Attributes:
        mask: the object in frame 0.
        pokes: every point and direction with every magnitude, rising.
    """

    name: str
    first: UInt8[np.ndarray, "h w 3"]
    mask: Bool[np.ndarray, "h w"]
    pokes: tuple[TruePoke, ...]
    rejected: dict[str, int] = field(default_factory=dict)


def impulse_scenes(
    count: int, side: int, *, family: str = "plants", seed: int = 0, magnitudes: Sequence[float] = MAGNITUDES,
    frames: int = FRAMES,
) -> Iterator[ImpulseScene]:  # fmt: skip
    """Scenes of the test split, each of a species of its own that no training video shows, drawn at `side` pixels.

    Args:
        seed: of the set, 0 ... 15, as for simulated videos.

    Raises:
        InputError: for an unknown family, or if no scene for one place holds together.
    """
    known = family_named(family)
    for number in range(count):
        rejected, made = Counter[str](), None
        for attempt in range(ATTEMPTS):
            scene_seed = seed * SETS + number * INDIVIDUALS + attempt * STRIDE
            rng = generator("impulse", known.name, scene_seed)
            name = f"{known.name}-{seed}-{number:03d}"
            try:
                made = _scene(name, known.scene(scene_seed, "test"), side, rng, magnitudes, frames)
                break
            except UnstableError as fault:
                rejected[str(fault)] += 1
        if made is None:
            raise InputError(f"none of {ATTEMPTS} scenes for {known.name} {number} could be pushed: {dict(rejected)}.")
        yield ImpulseScene(made.name, made.first, made.mask, made.pokes, dict(rejected))


def _scene(
    name: str, scene: Scene, side: int, rng: np.random.Generator, magnitudes: Sequence[float], frames: int
) -> ImpulseScene:
    """Simulates a scene; raises UnstableError if it does not hold together or has too few points to push."""
    world = World(scene)
    with Renderer(world, side) as renderer:
        still = world.record(1)
        camera, buffers = world.camera.at(side), renderer.buffers(still.states[0])
        surface = bind(buffers, camera, still, world.geom_parts, world.flex_parts, world.triangles)
        first = renderer.frame(still.states[0])
        pokes = [
            _push(world, renderer, surface, point, direction + DIRECTIONS * number, magnitude, frames)
            for number, point in enumerate(_points(world, surface, side, rng, frames))
            for direction in range(DIRECTIONS)
            for magnitude in magnitudes
        ]
    return ImpulseScene(name, first, surface.mask, tuple(pokes))


@dataclass(frozen=True)
class _Point:
    """A pixel, what is touched there, and the angle of its first direction, from right towards down."""

    location: tuple[int, int]
    touch: Touch
    angle: float


def _points(world: World, surface: Surface, side: int, rng: np.random.Generator, frames: int) -> list[_Point]:
    """Those of some random points whose push moves the object most."""
    found: dict[tuple[int, int], tuple[float, _Point]] = {}
    for _ in range(CANDIDATES):
        touched = random_touch(world, side, rng)
        if touched is None or not _can_be_pushed(world, surface, *touched, side):
            continue
        point = _Point(*touched, float(rng.uniform(0, 2 * np.pi)))
        future = _future(world, point, 0, 1.0, side, frames)
        motion = curves(np.stack([surface.flow(future, t) for t in range(1, frames + 1)]), surface.mask)
        found[point.location] = (float(motion.max()), point)
    if len(found) < POINTS:
        raise UnstableError("too few points that can be pushed")
    return [point for _, point in sorted(found.values(), key=lambda item: -item[0])[:POINTS]]


def _can_be_pushed(world: World, surface: Surface, location: tuple[int, int], touch: Touch, side: int) -> bool:
    """True if the point shows and can be pulled by a whole unit: near a fastening, a push needs forces that tear."""
    x, y = location
    return bool(surface.mask[y, x] and REACH * touch.lever >= _metres(world, touch, side, 1.0))


def _metres(world: World, touch: Touch, side: int, magnitude: float) -> float:
    """Length of a push in the world, also beyond one unit, where `interactions.metres` would shorten it."""
    return magnitude * IMPULSE_UNIT * side * touch.depth / world.camera.at(side).focal


def _future(world: World, point: _Point, direction: int, magnitude: float, side: int, frames: int) -> Trajectory:
    world.rest()
    length = _metres(world, point.touch, side, magnitude)
    right, down = _along(point, direction)
    return world.record(frames + 1, [Push(point.touch, (length * right, length * down))])


def _along(point: _Point, direction: int) -> tuple[float, float]:
    angle = point.angle + np.pi / 2 * direction
    return float(np.cos(angle)), float(np.sin(angle))


def _push(
    world: World, renderer: Renderer, surface: Surface, point: _Point, number: int, magnitude: float, frames: int
) -> TruePoke:
    side, direction = renderer.resolution, number % DIRECTIONS
    future = _future(world, point, direction, magnitude, side, frames)
    right, down = _along(point, direction)
    length = magnitude * IMPULSE_UNIT * side
    return TruePoke(
        number,
        magnitude,
        Poke(point.location, (length * right, length * down), "impulse"),
        np.stack([surface.flow(future, t) for t in range(1, frames + 1)]),
        _drawn(renderer, future) if number == 0 else None,
    )


def _drawn(renderer: Renderer, future: Trajectory) -> UInt8[np.ndarray, "t h w 3"]:
    return np.stack([renderer.frame(state) for state in future.states[1:]])
