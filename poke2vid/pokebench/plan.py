"""Plans a scene's pokes: four shifts and an impulse at each of two reachable points, and three that move nothing."""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool

from poke2vid.pokebench.records import PokeRecord
from poke2vid.simulator.actions import Pull, Push, Touch, touched_path
from poke2vid.simulator.interactions import TRIES, metres, random_touch
from poke2vid.simulator.opened import OpenScene
from poke2vid.simulator.trajectory import Trajectory
from poke2vid.simulator.world import UnstableError
from poke2vid.types import Pair

LENGTHS = (0.02, 0.05, 0.10, 0.15)  # of shifts, as shares of the frame's side
OTHER_LENGTH = 0.10  # of impulses and background pokes
POINTS = 2
CANDIDATES = 400  # touched points tried before a scene is given up
TRIALS = 30  # pairs of point and direction that are simulated, the costly part
ANGLES = 3  # directions tried per point
WIDE = 0.02  # of the side: radius that a touched part fills around the point, or no tracker follows it (lab book)
AROUND = np.linspace(0, 2 * np.pi, 8, endpoint=False)
REACHED = 0.1  # of the longest shift: how near the point must come to its target to count as reachable
APART = 0.15  # of the side: distance between the two points, and between a background poke and the object
INSIDE = 0.05  # of the side: distance of pokes and their targets from the border


@dataclass(frozen=True)
class PlannedPoke:
    """A poke and its simulated true future; None where nothing moves."""

    record: PokeRecord
    future: Trajectory | None


@dataclass(frozen=True)
class _Point:
    location: tuple[int, int]
    touch: Touch
    angle: float


class Planner:
    """Plans and simulates all pokes of one scene."""

    def __init__(self, opened: OpenScene, rng: np.random.Generator, frames: int, arrive: int) -> None:
        self._world, self._rng, self._frames, self._arrive = opened.world, rng, frames, arrive
        self._side, self._trials = opened.side, TRIALS
        self._surface = opened.surface

    def pokes(self) -> list[PlannedPoke]:
        """All planned pokes: eight shifts, two impulses, then background, zero and none.

        Raises:
            UnstableError: if no two points of the object can be reached, or the object comes apart.
        """
        points = self._points()
        planned = [self._shift(number, point, length) for number, point in enumerate(points) for length in LENGTHS] + [
            self._impulse(number, point) for number, point in enumerate(points)
        ]
        first = points[0]
        planned += [
            PlannedPoke(self._background(), None),
            PlannedPoke(_record("zero", _pair(*first.location), (0.0, 0.0), 0, 0.0, first.touch.part), None),
            PlannedPoke(_record("none", None, (0.0, 0.0), -1, 0.0, 0), None),
        ]
        return planned

    def _points(self) -> list[_Point]:
        found = list[_Point]()
        for _ in range(CANDIDATES):
            touched = random_touch(self._world, self._side, self._rng)
            if touched is None or self._trials == 0:
                break
            (x, y), touch = touched
            far = all(np.hypot(x - p.location[0], y - p.location[1]) > APART * self._side for p in found)
            if far and self._inside(x, y) and self._is_wide(x, y, touch) and (point := self._reachable(x, y, touch)):
                found.append(point)
                if len(found) == POINTS:
                    return found
        raise UnstableError("too few reachable points")

    def _is_wide(self, x: int, y: int, touch: Touch) -> bool:
        """True if the same part shows all around the point."""
        radius = WIDE * self._side
        around = (self._world.touch(x + radius * np.cos(a), y + radius * np.sin(a), self._side) for a in AROUND)
        return all(other is not None and other.part == touch.part for other in around)

    def _reachable(self, x: int, y: int, touch: Touch) -> _Point | None:
        """The point with a direction in which the longest shift reaches its target in the frame; None if none does."""
        for angle in self._rng.uniform(0, 2 * np.pi, ANGLES):
            point = _Point((x, y), touch, float(angle))
            wanted = LENGTHS[-1] * self._side * np.array([np.cos(angle), np.sin(angle)])
            shift = metres(self._world, touch, LENGTHS[-1] * self._side, point.angle, self._side)
            allowed = np.hypot(*shift) * self._world.camera.at(self._side).focal / touch.depth
            if not self._inside(*(np.array([x, y]) + wanted)) or allowed < (1 - REACHED) * np.hypot(*wanted):
                continue
            if self._trials == 0:
                return None
            self._trials -= 1
            end = self._end(self._world.record(self._arrive + 1, [Pull(touch, shift, 0, self._arrive)]), point)
            self._world.rest()
            if np.hypot(*(end - wanted)) <= REACHED * np.hypot(*wanted):
                return point
        return None

    def _end(self, future: Trajectory, point: _Point) -> np.ndarray:
        """Displacement of the touched point at T, in pixels."""
        path = touched_path(self._world.camera.at(self._side), future, point.touch)
        return path[self._arrive] - path[0]

    def _shift(self, number: int, point: _Point, length: float) -> PlannedPoke:
        self._world.rest()
        shift = metres(self._world, point.touch, length * self._side, point.angle, self._side)
        future = self._world.record(self._frames + 1, [Pull(point.touch, shift, 0, self._arrive)])
        end = self._end(future, point)
        return PlannedPoke(
            _record("shift", _pair(*point.location), _pair(*end.tolist()), number, length, point.touch.part), future
        )

    def _impulse(self, number: int, point: _Point) -> PlannedPoke:
        self._world.rest()
        pixels = OTHER_LENGTH * self._side
        shift = metres(self._world, point.touch, pixels, point.angle, self._side)
        future = self._world.record(self._frames + 1, [Push(point.touch, shift)])
        asked = (pixels * np.cos(point.angle), pixels * np.sin(point.angle))
        return PlannedPoke(
            _record("impulse", _pair(*point.location), _pair(*asked), number, OTHER_LENGTH, point.touch.part), future
        )

    def _background(self) -> PokeRecord:
        """A shift of a background point away from the object."""
        free = _away_from(self._surface.mask, APART * self._side)
        for _ in range(TRIES):
            x, y = (int(place) for place in self._rng.integers(self._side, size=2))
            if free[y, x] and self._inside(x, y):
                angle = self._rng.uniform(0, 2 * np.pi)
                shift = OTHER_LENGTH * self._side * np.array([np.cos(angle), np.sin(angle)])
                return _record("background", _pair(x, y), _pair(*shift.tolist()), -1, OTHER_LENGTH, 0)
        raise UnstableError("no room beside the object")

    def _inside(self, x: float, y: float) -> bool:
        low, high = INSIDE * self._side, (1 - INSIDE) * self._side - 1
        return bool(low <= x <= high and low <= y <= high)


def _away_from(mask: Bool[np.ndarray, "h w"], distance: float) -> Bool[np.ndarray, "h w"]:
    """Pixels that are farther than `distance` from every pixel of the mask."""
    return cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE) > distance


def _pair(x: float, y: float) -> Pair:
    return round(float(x), 4), round(float(y), 4)


def _record(role: str, at: Pair | None, shift: Pair, point: int, length: float, part: int) -> PokeRecord:
    return PokeRecord.model_validate(
        {"role": role, "at": at, "shift": shift, "point": point, "length": length, "part": part}
    )
