"""Pokes with known causes: one scene, several pokes from the same first frame, and the motion that each one causes.

A training video does not say what was done to the object. Here every sample is x_0, a poke, and the exact motion caused
by that poke alone. Most pokes are *fields* (the flow at a few frames up to T), a few are *films*.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int32, UInt8

from poke2vid.simulator.actions import Pull, Push, Touch, touched_path
from poke2vid.simulator.families.registry import family_named
from poke2vid.simulator.film import ATTEMPTS, SETS, STRIDE
from poke2vid.simulator.interactions import TOUCH_SIDE, TRIES, metres, random_touch
from poke2vid.simulator.looks.photographs import Photographs
from poke2vid.simulator.looks.wild import wild
from poke2vid.simulator.opened import surface_at_rest
from poke2vid.simulator.render import Renderer
from poke2vid.simulator.scene import INDIVIDUALS, FamilyName, Scene, generator
from poke2vid.simulator.trajectory import Trajectory
from poke2vid.simulator.world import UnstableError, World
from poke2vid.types import InputError, Split

CauseKind = Literal["pull", "two", "pinned", "moving", "push", "beside", "rest"]
KINDS: tuple[CauseKind, ...] = get_args(CauseKind)
FIELD_SHARES = {"pull": 0.64, "two": 0.1, "pinned": 0.1, "moving": 0.06, "beside": 0.06, "rest": 0.04}
FILM_SHARES = {"pull": 0.45, "two": 0.1, "pinned": 0.1, "moving": 0.05, "push": 0.3}
HANDS = 2
T = 10  # the frame in which a field's pull has arrived
FIELD_FRAMES = (3, 6, T)
FILM_ARRIVE = (6, 10)
FILM_HOLD = (0, 6)  # frames between arrival and release
LENGTHS = (0.03, 0.18)  # of a pull, or of the peak of a push, as a share of the frame's side
LEAST = 0.008  # of the side: pulls that move the touched point less are rejected
PUSH_PROBE = 0.05  # of the side: the trial push from which the right strength is computed
APART = 0.08  # of the side: least distance between two touched points
NEAR, BEYOND = 0.02, 0.02  # of the side: least distance of a touch beside the object from it, and from the border
POKE_TRIES = 12  # draws for one poke: some are out of reach or tear the object


@dataclass(frozen=True)
class PokedOrder:
    """One scene to poke; the same order always gives the same scene and pokes.

    Attributes:
        number: of the scene in its family, split and set; every scene is another species.
        pokes: number of pokes.
        resolution: side of the frames in pixels; flow comes at half of it.
        films: one poke in `films` is filmed.
        film_frames: number of frames of a film, after the first.
        seed: of the set.
        wild: photographs to paint the scene with, in colours that its family never has; None for its own looks.
    """

    family: FamilyName
    split: Split
    number: int
    pokes: int
    resolution: int
    films: int
    film_frames: int
    seed: int = 0
    wild: Photographs | None = None

    @property
    def name(self) -> str:
        return f"{self.family}-{self.split}-{self.seed}-{self.number:06d}"

    def scene_seed(self, attempt: int) -> int:
        return self.number * INDIVIDUALS + attempt * STRIDE + self.seed * SETS

    def is_film(self, poke: int) -> bool:
        return (self.number * self.pokes + poke) % self.films == self.films - 1


@dataclass(frozen=True)
class Film:
    """A poke from the first frame through release and free swing.

    Attributes:
        frames: x_1 ... x_F.
        flow: from x_0 to each of them, (dx, dy) in pixels of the frames, at half their side.
        visible: true for pixels of x_0, at half the side, that still show.
        path: displacement of each touched point in x_0 ... x_F, in pixels; zero if there is no second point.
        held: true if a hand holds that point in the step that leads to each frame.
    """

    frames: UInt8[np.ndarray, "f h w 3"]
    flow: Float32[np.ndarray, "f 2 s s"]
    visible: Bool[np.ndarray, "f s s"]
    path: Float32[np.ndarray, "f1 2 2"]
    held: Bool[np.ndarray, "f 2"]


@dataclass(frozen=True)
class Cause:
    """A poke and the motion that it alone causes.

    Attributes:
        kind: "pull" of one point; "two" points; "pinned": the second point is held in place; "moving": a pull via
            another target; "push": an impulse; "beside" the object or at "rest" (p = 0): nothing moves.
        at: l of one or two touched points, (x, y) in pixels of x_0.
        shift: p of each: the actual shift at T; of a push, the largest one; of a touch beside, the requested one.
        path: displacement of each point in x_0 ... x_T, in pixels.
        flow: at `FIELD_FRAMES`, as in `Film`; None if nothing moves, and for films.
        visible: true for pixels of x_0, at half the side, that still show at T.
    """

    kind: CauseKind
    at: Float32[np.ndarray, "k 2"]
    shift: Float32[np.ndarray, "k 2"]
    path: Float32[np.ndarray, "k t 2"]
    flow: Float32[np.ndarray, "3 2 s s"] | None = None
    visible: Bool[np.ndarray, "s s"] | None = None
    film: Film | None = None


@dataclass(frozen=True)
class PokedScene:
    """A first frame with all of its pokes.

    Attributes:
        frame: x_0.
        part_ids: at half the side; 0 for the surroundings.
        frequency, damping: of the slowest mode, in Hz and as a share of critical; both 0 if gravity decides.
        rejected: number of scenes and pokes rejected, by kind of fault.
    """

    frame: UInt8[np.ndarray, "h w 3"]
    part_ids: Int32[np.ndarray, "s s"]
    frequency: float
    damping: float
    causes: tuple[Cause, ...]
    rejected: dict[str, int]


def poke_scene(order: PokedOrder) -> PokedScene:
    """Simulates an order with the first of its scenes that is stable and can be touched.

    Raises:
        InputError: if none does, or this machine cannot draw.
    """
    rejected = Counter[str]()
    for attempt in range(ATTEMPTS):
        seed = order.scene_seed(attempt)
        scene = family_named(order.family).scene(seed, order.split)
        if order.wild is not None:
            scene = wild(scene, generator(order.family, order.split, "wild", seed), order.wild)
        rng = generator(order.family, order.split, "causes", seed)
        try:
            world = World(scene, hands=HANDS)
            with Renderer(world, order.resolution) as renderer:
                return _Prober(order, scene, world, renderer, rng, rejected).scene()
        except UnstableError as fault:
            rejected[str(fault)] += 1
    raise InputError(f"none of {ATTEMPTS} scenes for {order.name} can be poked: {dict(rejected)}.")


class _Prober:
    """Tries pokes on one scene."""

    def __init__(
        self, order: PokedOrder, scene: Scene, world: World, renderer: Renderer, rng: np.random.Generator,
        rejected: Counter[str],
    ) -> None:  # fmt: skip
        self._order, self._scene, self._world, self._renderer = order, scene, world, renderer
        self._rng, self._rejected = rng, rejected
        self._camera = world.camera.at(order.resolution)
        self._half = order.resolution // 2
        self._surface = surface_at_rest(world, renderer, self._half)

    def scene(self) -> PokedScene:
        """The first frame and all of its pokes.

        Raises:
            UnstableError: if no part of it can be poked.
        """
        self._world.rest()
        frame = self._renderer.frame(self._world.data.qpos)
        causes = tuple(self._cause(number) for number in range(self._order.pokes))
        return PokedScene(
            frame, self._surface.part_ids, self._scene.frequency or 0.0, self._scene.damping, causes,
            dict(sorted(self._rejected.items())),
        )  # fmt: skip

    def _cause(self, number: int) -> Cause:
        film = self._order.is_film(number)
        shares = FILM_SHARES if film else FIELD_SHARES
        kind: Any = self._rng.choice(list(shares), p=list(shares.values()))
        for _ in range(POKE_TRIES):
            try:
                if kind == "beside":
                    cause = self._beside()
                elif kind == "rest":
                    cause = self._rest()
                elif kind == "push":
                    cause = self._push()
                else:
                    cause = self._pull(kind, film)
            except UnstableError as fault:
                self._rejected[f"poke: {fault}"] += 1
                continue
            if cause is not None:
                return cause
            kind = "pull" if kind in ("beside", "two", "pinned") else kind  # no room for it: a plain pull instead
        raise UnstableError("cannot be poked")

    def _touch(self) -> tuple[tuple[int, int], Touch]:
        self._world.rest()
        found = random_touch(self._world, TOUCH_SIDE, self._rng)
        if found is None:
            raise UnstableError("nothing to touch")
        return found

    def _metres(self, touch: Touch, length: float) -> tuple[float, float]:
        """Shift (right, down) in metres, as long as this share of the side, in a random direction."""
        angle = float(self._rng.uniform(0, 2 * np.pi))
        return metres(self._world, touch, length * self._order.resolution, angle, self._order.resolution)

    def _length(self) -> float:
        return float(np.exp(self._rng.uniform(*np.log(LENGTHS))))

    def _pull(self, kind: CauseKind, film: bool) -> Cause | None:
        """One or two pulls; None if no second point was found or the touched point hardly moved."""
        arrive = int(self._rng.integers(*FILM_ARRIVE, endpoint=True)) if film else T
        release = arrive + int(self._rng.integers(*FILM_HOLD, endpoint=True)) if film else None
        _, touch = self._touch()
        via = self._metres(touch, self._length()) if kind == "moving" else None
        pulls = [Pull(touch, self._metres(touch, self._length()), 0, arrive, release, via)]
        if kind in ("two", "pinned"):
            other = self._second(touch)
            if other is None:
                return None
            shift = (0.0, 0.0) if kind == "pinned" else self._metres(other, self._length())
            pulls.append(Pull(other, shift, 0, arrive, release, hand=1))
        self._world.rest()
        frames = self._order.film_frames if film else T
        trajectory = self._world.record(frames + 1, pulls)
        paths = np.stack([touched_path(self._camera, trajectory, pull.touch) for pull in pulls])
        if np.hypot(*(paths[0, arrive] - paths[0, 0])) < LEAST * self._order.resolution:
            return None
        held = np.arange(1, frames + 1) <= (frames if release is None else release)
        return self._seen(kind, paths, paths[:, min(arrive, frames)] - paths[:, 0], trajectory, film, held)

    def _second(self, first: Touch) -> Touch | None:
        """Another point of the object, at least `APART` away; None if none was found."""
        start = self._camera.project(first.point)[0]
        for _ in range(POKE_TRIES):
            _, touch = self._touch()
            if np.hypot(*(self._camera.project(touch.point)[0] - start)) > APART * self._order.resolution:
                return touch
        return None

    def _push(self) -> Cause | None:
        """An impulse scaled so that the point's peak displacement has a random length; None if that fails."""
        _, touch = self._touch()
        probe, wanted = self._metres(touch, PUSH_PROBE), self._length() * self._order.resolution
        frames = self._order.film_frames
        peak = np.hypot(*self._peak(self._pushed(touch, probe, frames), touch))
        if peak < 1e-3:
            return None
        gain = wanted / peak
        trajectory = self._pushed(touch, (probe[0] * gain, probe[1] * gain), frames)
        path = touched_path(self._camera, trajectory, touch)[None]
        shift = self._peak(trajectory, touch)
        if not LEAST * self._order.resolution <= np.hypot(*shift) <= 2 * LENGTHS[1] * self._order.resolution:
            return None
        return self._seen("push", path, shift[None], trajectory, True, np.zeros(frames, bool))

    def _pushed(self, touch: Touch, shift: tuple[float, float], frames: int) -> Trajectory:
        self._world.rest()
        return self._world.record(frames + 1, [Push(touch, shift)])

    def _peak(self, trajectory: Trajectory, touch: Touch) -> Float64[np.ndarray, "2"]:
        """Largest displacement of the touched point, in pixels."""
        away = touched_path(self._camera, trajectory, touch)
        away = away - away[0]
        farthest: Float64[np.ndarray, 2] = away[np.hypot(*away.T).argmax()]
        return farthest

    def _seen(
        self, kind: CauseKind, paths: Float64[np.ndarray, "k t 2"], shift: Float64[np.ndarray, "k 2"],
        trajectory: Trajectory, film: bool, held: Bool[np.ndarray, " f"],
    ) -> Cause:  # fmt: skip
        """The poke with its motion."""
        at, moved = paths[:, 0].astype(np.float32), (paths - paths[:, :1]).astype(np.float32)
        start = moved[:, : T + 1]
        if not film:
            flow = np.stack([self._flow(trajectory, frame) for frame in FIELD_FRAMES])
            visible = self._visible(trajectory, T)
            return Cause(kind, at, shift.astype(np.float32), start, flow, visible)
        numbers = range(1, len(trajectory))
        both = np.zeros((len(trajectory), 2, 2), np.float32)
        both[:, : len(paths)] = moved.swapaxes(0, 1)
        holds = np.zeros((len(held), 2), bool)
        holds[:, : len(paths)] = held[:, None]
        filmed = Film(
            np.stack([self._renderer.frame(trajectory.states[n]) for n in numbers]),
            np.stack([self._flow(trajectory, n) for n in numbers]),
            np.stack([self._visible(trajectory, n) for n in numbers]), both, holds,
        )  # fmt: skip
        return Cause(kind, at, shift.astype(np.float32), start, film=filmed)

    def _flow(self, trajectory: Trajectory, frame: int) -> Float32[np.ndarray, "2 s s"]:
        """Flow at half the side, in pixels of the frames."""
        return self._surface.flow(trajectory, frame) * np.float32(2)

    def _visible(self, trajectory: Trajectory, frame: int) -> Bool[np.ndarray, "s s"]:
        return self._surface.visible(
            trajectory, frame, self._renderer.buffers(trajectory.states[frame], self._order.resolution)
        )

    def _beside(self) -> Cause | None:
        """A touch beside the object; None if there is no room."""
        side = self._order.resolution
        margin = BEYOND * side
        for _ in range(TRIES):
            x, y = self._rng.uniform(margin, side - 1 - margin, size=2)
            if self._clear(x, y):
                length, angle = self._length() * side, self._rng.uniform(0, 2 * np.pi)
                return _still("beside", (x, y), (length * np.cos(angle), length * np.sin(angle)))
        return None

    def _clear(self, x: float, y: float) -> bool:
        """True if no pixel of the object is within `NEAR`."""
        reach = int(np.ceil(NEAR * self._half))
        column, row = (round((c + 0.5) / 2 - 0.5) for c in (x, y))
        around = self._surface.mask[max(row - reach, 0) : row + reach + 1, max(column - reach, 0) : column + reach + 1]
        return not around.any()

    def _rest(self) -> Cause:
        """A touch of the object with no shift (p = 0)."""
        _, touch = self._touch()
        x, y = self._camera.project(touch.point)[0]
        return _still("rest", (float(x), float(y)), (0.0, 0.0))


def _still(kind: CauseKind, at: tuple[float, float], shift: tuple[float, float]) -> Cause:
    """A poke that moves nothing."""
    path = np.zeros((1, T + 1, 2), np.float32)
    return Cause(kind, np.array([at], np.float32), np.array([shift], np.float32), path)
