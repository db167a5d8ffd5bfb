"""Simulated test scenes, each pushed at a few points with rising strength: the truth for impulse models."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Bool, Float32, UInt8

from poke2vid.evaluate.impulse.curves import FRAMES, MAGNITUDES, curves
from poke2vid.pokes import IMPULSE_UNIT
from poke2vid.simulator.actions import Push, Touch
from poke2vid.simulator.families.registry import family_named
from poke2vid.simulator.film import SETS, STRIDE
from poke2vid.simulator.interactions import REACH, random_touch
from poke2vid.simulator.opened import OpenScene, open_scene
from poke2vid.simulator.scene import INDIVIDUALS, Scene, generator
from poke2vid.simulator.trajectory import Trajectory
from poke2vid.simulator.world import UnstableError
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
        yield replace(made, rejected=dict(rejected))


def _scene(
    name: str, scene: Scene, side: int, rng: np.random.Generator, magnitudes: Sequence[float], frames: int
) -> ImpulseScene:
    """Simulates a scene; raises UnstableError if it does not hold together or has too few points to push."""
    with open_scene(scene, side) as opened:
        pokes = [
            _push(opened, point, direction + DIRECTIONS * number, magnitude, frames)
            for number, point in enumerate(_points(opened, rng, frames))
            for direction in range(DIRECTIONS)
            for magnitude in magnitudes
        ]
        return ImpulseScene(name, opened.first, opened.surface.mask, tuple(pokes))


@dataclass(frozen=True)
class _Point:
    """A pixel, what is touched there, and the angle of its first direction, from right towards down."""

    location: tuple[int, int]
    touch: Touch
    angle: float

    def along(self, direction: int) -> tuple[float, float]:
        """Unit vector (right, down) of a direction."""
        angle = self.angle + np.pi / 2 * direction
        return float(np.cos(angle)), float(np.sin(angle))


def _points(opened: OpenScene, rng: np.random.Generator, frames: int) -> list[_Point]:
    """Those of some random points whose push moves the object most."""
    found: dict[tuple[int, int], tuple[float, _Point]] = {}
    for _ in range(CANDIDATES):
        touched = random_touch(opened.world, opened.side, rng)
        if touched is None or not _can_be_pushed(opened, *touched):
            continue
        point = _Point(*touched, float(rng.uniform(0, 2 * np.pi)))
        motion = curves(_flows(opened, _future(opened, point, 0, 1.0, frames)), opened.surface.mask)
        found[point.location] = (float(motion.max()), point)
    if len(found) < POINTS:
        raise UnstableError("too few points that can be pushed")
    return [point for _, point in sorted(found.values(), key=lambda item: -item[0])[:POINTS]]


def _can_be_pushed(opened: OpenScene, location: tuple[int, int], touch: Touch) -> bool:
    """True if the point shows and can be pulled by a whole unit: near a fastening, a push needs forces that tear."""
    x, y = location
    return bool(opened.surface.mask[y, x] and REACH * touch.lever >= _metres(opened, touch, 1.0))


def _metres(opened: OpenScene, touch: Touch, magnitude: float) -> float:
    """Length of a push in the world, also beyond one unit, where `interactions.metres` would shorten it."""
    return magnitude * IMPULSE_UNIT * opened.side * touch.depth / opened.surface.camera.focal


def _future(opened: OpenScene, point: _Point, direction: int, magnitude: float, frames: int) -> Trajectory:
    opened.world.rest()
    length, (right, down) = _metres(opened, point.touch, magnitude), point.along(direction)
    return opened.world.record(frames + 1, [Push(point.touch, (length * right, length * down))])


def _flows(opened: OpenScene, future: Trajectory) -> Float32[np.ndarray, "t 2 h w"]:
    return np.stack([opened.surface.flow(future, t) for t in range(1, len(future.states))])


def _push(opened: OpenScene, point: _Point, number: int, magnitude: float, frames: int) -> TruePoke:
    future = _future(opened, point, number % DIRECTIONS, magnitude, frames)
    length, (right, down) = magnitude * IMPULSE_UNIT * opened.side, point.along(number % DIRECTIONS)
    poke = Poke(point.location, (length * right, length * down), "impulse")
    drawn = np.stack([opened.renderer.frame(state) for state in future.states[1:]]) if number == 0 else None
    return TruePoke(number, magnitude, poke, _flows(opened, future), drawn)
