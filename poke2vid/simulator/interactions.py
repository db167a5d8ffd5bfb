"""Random pulls, pushes and wind for a training video.

The video does not record them; `simulate --truth` does."""

from dataclasses import dataclass

import numpy as np

from poke2vid.simulator.actions import Pull, Push, Touch, Wind
from poke2vid.simulator.world import FPS, World

ARRIVE = (6, 14)  # frames
HOLD = (0, 8)
FREE = (3, 16)
LENGTHS = (0.02, 0.16)  # of a pull or push, as a share of the frame's side
REACH = 0.35  # of the touched point's lever, 20 degrees: the farthest that anything is pulled
TOUCH_SIDE = 128  # pixels: side of the picture on which touched points are chosen, at any drawn size
TRIES = 400  # pixels tried for one touch; with the thinnest plants one in fifty hits something that moves
SHARES = {"pull": 0.65, "push": 0.2, "rest": 0.15}


@dataclass(frozen=True)
class Interactions:
    """All actions on an object in one video."""

    actions: tuple[Pull | Push, ...]
    wind: Wind | None


def happen(world: World, rng: np.random.Generator, frames: int) -> Interactions:
    """Random interactions for `frames` frames of a world at rest. Draws no picture, so no driver affects the result."""
    actions: list[Pull | Push] = []
    time = int(rng.integers(0, 3))
    while time < frames - 2:
        kind = rng.choice(list(SHARES), p=list(SHARES.values()))
        free = int(rng.integers(*FREE, endpoint=True))
        found = None if kind == "rest" else random_touch(world, TOUCH_SIDE, rng)
        if found is None:
            time += free
            continue
        touch, length = found[1], TOUCH_SIDE * float(np.exp(rng.uniform(*np.log(LENGTHS))))
        shift = metres(world, touch, length, float(rng.uniform(0, 2 * np.pi)), TOUCH_SIDE)
        if kind == "push":
            actions.append(Push(touch, shift, time))
            time += 1 + free
        else:
            arrive, hold = int(rng.integers(*ARRIVE, endpoint=True)), int(rng.integers(*HOLD, endpoint=True))
            actions.append(Pull(touch, shift, time, arrive, time + arrive + hold))
            time += arrive + hold + free
    return Interactions(tuple(actions), gusts(rng, frames) if rng.random() < 0.5 else None)


def random_touch(world: World, side: int, rng: np.random.Generator) -> tuple[tuple[int, int], Touch] | None:
    """A random pixel (x, y) of a frame of this side that shows something movable, and the touch there.

    None if `TRIES` random pixels hit nothing movable.
    """
    for _ in range(TRIES):
        x, y = (int(place) for place in rng.integers(side, size=2))
        touch = world.touch(x, y, side)
        if touch is not None and world.moves(touch):
            return (x, y), touch
    return None


def metres(world: World, touch: Touch, length: float, angle: float, side: int) -> tuple[float, float]:
    """Shift (right, down) in metres of `length` pixels, limited to `REACH` of the lever.

    The angle is measured from right towards down.
    """
    far = min(length * touch.depth / world.camera.at(side).focal, REACH * touch.lever)
    return float(far * np.cos(angle)), float(far * np.sin(angle))


def gusts(rng: np.random.Generator, frames: int) -> Wind:
    """A breeze from one side with varying strength: an Ornstein-Uhlenbeck process, time constant about a second."""
    direction, strength = rng.uniform(0, 2 * np.pi), rng.uniform(0.3, 1.8)  # metres a second: a breeze
    keep = np.exp(-1 / FPS)
    speed = np.empty((frames, 3))
    state = rng.normal(size=3)
    for frame in range(frames):
        speed[frame] = state
        state = keep * state + np.sqrt(1 - keep**2) * rng.normal(size=3)
    ahead = np.array([np.cos(direction), np.sin(direction), 0.0])
    across = np.array([-np.sin(direction), np.cos(direction), 0.0])
    ramp = np.minimum(np.arange(frames) / FPS, 1.0)  # a gradual start, so that it does not slam doors
    wind = strength * ((0.7 + 0.7 * speed[:, :1]) * ahead + 0.4 * speed[:, 1:2] * across + [0, 0, 0.15] * speed[:, 2:])
    return ramp[:, None] * wind
