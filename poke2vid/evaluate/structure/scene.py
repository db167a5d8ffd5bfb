"""Objects whose true response to any poke is known: held-out scenes of the simulator, pulled at random at one point."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float32, Float64, Int32, UInt8
from tqdm import tqdm

from poke2vid.evaluate.structure.maps import SHORTEST, random_shifts
from poke2vid.pokebench.plan import WIDE
from poke2vid.simulator.actions import Pull, Touch, touched_path
from poke2vid.simulator.families.registry import family_named
from poke2vid.simulator.interactions import REACH
from poke2vid.simulator.opened import open_scene
from poke2vid.simulator.scene import INDIVIDUALS, FamilyName, generator
from poke2vid.simulator.surface import Surface
from poke2vid.simulator.world import UnstableError, World
from poke2vid.types import InputError, Pair

SIDE = 128  # pixels of a scene's frame, as in PokeBench
SCENES = 1000  # of a family that are searched
REACHED = 0.03  # of the side: a point that cannot be pulled this far is not used
CAME = 0.5  # of the shortest poke: a pull that moves its point less has failed, and another is drawn
DRAWS = 4  # times the wanted number of pokes: drawn before a point is given up


@dataclass(frozen=True)
class TrueObject:
    """A held-out scene at rest, as frame 0 shows it.

    Attributes:
        name: FAMILY:N, the N-th scene of the family's test split that holds together and has something to touch.
        seed: of the scene.
        rejected: reason -> number of scenes before it that were not used.
    """

    name: str
    seed: int
    world: World
    surface: Surface
    first: UInt8[np.ndarray, "h w 3"]
    rejected: dict[str, int]

    @property
    def part_ids(self) -> Int32[np.ndarray, "h w"]:
        """Part id of every pixel; 0 on the surroundings."""
        return self.surface.part_ids

    def reach(self, touch: Touch) -> float:
        """Distance that a point may be pulled, in pixels at its depth."""
        return REACH * touch.lever * self.surface.camera.focal / touch.depth

    def candidates(self, rng: np.random.Generator) -> list[tuple[Pair, Touch]]:
        """Random pixels, one well within every part that is wide enough to be tracked and can be pulled."""
        found = []
        self.world.rest()
        for part in range(1, int(self.part_ids.max()) + 1):
            own = (self.part_ids == part).astype(np.uint8)
            inner = np.argwhere(cv2.distanceTransform(own, cv2.DIST_L2, cv2.DIST_MASK_PRECISE) >= WIDE * SIDE)
            if not len(inner):
                continue
            y, x = (float(place) for place in rng.choice(inner))
            touch = self.touch((x, y))
            if touch is not None and touch.part == part and self.reach(touch) >= REACHED * SIDE:
                found.append(((x, y), touch))
        return found

    def touch(self, location: Pair) -> Touch | None:
        """Touch at a location; None if nothing there can move."""
        touch = self.world.touch(*location, SIDE)
        return touch if touch is not None and self.world.moves(touch) else None


@dataclass(frozen=True)
class TrueResponses:
    """True responses to K pulls at one point.

    Attributes:
        flows: exact, from frame 0 to T; 0 on the surroundings.
        shifts: true displacements of the touched point at T, in pixels, which serve as the pokes.
        failed: reason -> number of pulls that were drawn again.
    """

    flows: Float32[np.ndarray, "k 2 h w"]
    shifts: Float64[np.ndarray, "k 2"]
    failed: dict[str, int]


def parse_scene(text: str) -> tuple[FamilyName, int]:
    """Parses FAMILY:N, such as plants:3; raises InputError for anything else."""
    family, _, number = text.partition(":")
    name = family_named(family).name
    if not number.isascii() or not number.isdigit() or not 1 <= int(number) <= SCENES:
        raise InputError(f"--scene {text!r} names no scene; give a family and a number from 1, such as {name}:3.")
    return name, int(number)


def find_object(family: FamilyName, number: int) -> TrueObject:
    """The number-th (from 1) test scene that holds together and has something to touch; each is a species of its own.

    Raises:
        InputError: if there are not so many, or this machine cannot draw.
    """
    rejected, held = Counter[str](), 0
    for seed in range(0, SCENES * INDIVIDUALS, INDIVIDUALS):
        try:
            with open_scene(family_named(family).scene(seed, "test"), SIDE) as opened:
                known = opened.world, opened.surface, opened.first
        except UnstableError as fault:
            rejected[str(fault)] += 1
            continue
        scene = TrueObject(f"{family}:{number}", seed, *known, dict(rejected))
        if not scene.candidates(generator(family, number, seed)):
            rejected["nothing wide enough to touch"] += 1
            continue
        held += 1
        if held == number:
            return scene
    raise InputError(f"only {held} of {SCENES} scenes of {family} hold together; choose a lower number than {number}.")


def choose_points(scene: TrueObject, count: int, seed: int) -> list[tuple[Pair, Touch]]:
    """Points on up to `count` different parts, drawn from all that can be touched; in the order of their parts.

    Raises:
        InputError: if `DRAWS` draws find none.
    """
    rng = generator(scene.name, "points", seed)
    found = next((some for _ in range(DRAWS) if (some := scene.candidates(rng))), [])
    if not found:
        raise InputError(f"nothing of {scene.name} was found that can be pulled; choose another --seed or scene.")
    return [found[k] for k in sorted(rng.permutation(len(found))[:count])]


def given_points(scene: TrueObject, at: Sequence[Pair]) -> list[tuple[Pair, Touch]]:
    """Touches at the points that a person names, in pixels of the frame of `SIDE`.

    Raises:
        InputError: if one shows nothing that can be pulled.
    """
    scene.world.rest()
    points = []
    for location in at:
        touch = scene.touch(location)
        if touch is None or scene.reach(touch) < REACHED * SIDE:
            raise InputError(
                f"at ({location[0]:g}, {location[1]:g}) {scene.name} shows nothing that can be pulled {REACHED:.0%} of the "
                f"side; name another pixel of the {SIDE} x {SIDE} frame, or leave --at out."
            )
        points.append((location, touch))
    return points


def true_responses(
    scene: TrueObject, touch: Touch, count: int, longest: float, seed: int, arrive: int, bar: tqdm | None = None
) -> TrueResponses:
    """`count` random pulls of a point, each from rest, arriving at frame `arrive`.

    Args:
        longest: length of the longest pull, as a share of the side; less if the point's reach is shorter.

    Raises:
        InputError: if fewer than `count` of `DRAWS * count` pulls keep the object in one piece and move the point.
    """
    limit = min(longest * SIDE, scene.reach(touch))
    flows, ends, failed = [], [], Counter[str]()
    for draw in range(DRAWS):
        for shift in random_shifts(count, limit, seed + draw):
            metres = shift * touch.depth / scene.surface.camera.focal
            scene.world.rest()
            try:
                pull = Pull(touch, (float(metres[0]), float(metres[1])), 0, arrive)
                future = scene.world.record(arrive + 1, [pull])
            except UnstableError as fault:
                failed[str(fault)] += 1
                continue
            path = touched_path(scene.surface.camera, future, touch)
            end = path[arrive] - path[0]
            if np.hypot(*end) < CAME * SHORTEST * limit:
                failed["hardly moves"] += 1
                continue
            flows.append(scene.surface.flow(future, arrive))
            ends.append(end)
            if bar is not None:
                bar.update()
            if len(flows) == count:
                scene.world.rest()
                return TrueResponses(np.stack(flows), np.stack(ends), dict(failed))
    raise InputError(f"only {len(flows)} of {count} pulls at a point of {scene.name} went well: {dict(failed)}.")
