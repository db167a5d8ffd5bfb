"""Potted plants: stems of sprung segments, stalks and blades. Stiffness follows from thickness, as in a beam."""

from dataclasses import dataclass
from typing import Literal
from xml.etree.ElementTree import Element

import numpy as np

from poke2vid.simulator import shapes
from poke2vid.simulator.looks import textures
from poke2vid.simulator.looks.surroundings import random_view, surround
from poke2vid.simulator.mjcf import MjcfBuilder
from poke2vid.simulator.scene import Family, Scene

Habit = Literal["upright", "bushy", "rosette"]
HABITS: tuple[Habit, ...] = ("upright", "bushy", "rosette")
# A plant grows under its own weight, so its built shape already balances most of it: only the rest is simulated.
GRAVITY = -2.0
LEAF_DENSITY = 0.25  # kg/m^2
WOOD_DENSITY = 700.0  # kg/m^3
MAX_LEAVES = 30
STEM_BEND, LEAF_BEND = 0.45, 0.9  # radians: limit of one joint; without it a struck plant folds into a ball
PETAL_HUES = (5.0, 30.0, 65.0, 88.0, 310.0, 345.0)  # of LCh


@dataclass(frozen=True)
class PlantSpecies:
    """Parameters shared by plants of one kind. Lengths in metres, angles in degrees.

    Attributes:
        habit: leaves along few stems, along stems with branches, or all from the ground.
        stems, leaves, branches: (least, most) number.
        height: of the stems.
        thickness: radius of a stem at its foot.
        taper: radius at the tip as a share of that.
        lean, bend: outward lean of the stems, and their curve along the way.
        turn: around the stem from one leaf to the next.
        stalk: length of a leaf's stalk.
        sinew: radius of a stalk as a share of the stem's: the thicker, the more of the plant follows a pulled leaf.
        rise: of the stalks above the horizontal.
        blade: length of the largest leaf.
        slender: width over length of a leaf.
        point, widest, droop, fold, waves: as in `shapes.leaf`.
        bare: leafless share of a stem, from below.
        bloom: number of petals at the tips; 0 for none.
        frequency, damping: as in `Scene`.
    """

    habit: Habit
    stems: tuple[int, int]
    leaves: tuple[int, int]
    branches: tuple[int, int]
    height: float
    thickness: float
    taper: float
    lean: float
    bend: float
    turn: float
    stalk: float
    sinew: float
    rise: float
    blade: float
    slender: float
    point: float
    widest: float
    droop: float
    fold: float
    waves: float
    bare: float
    bloom: int
    frequency: float
    damping: float
    colour_seed: int


def draw_species(rng: np.random.Generator) -> PlantSpecies:
    habit: Habit = HABITS[rng.choice(3, p=[0.45, 0.3, 0.25])]
    rosette = habit == "rosette"
    stems = {"upright": (1, 4), "bushy": (1, 2), "rosette": (8, 16)}[habit]
    few = int(rng.integers(*stems))
    height = float(rng.uniform(0.16, 0.4) if rosette else rng.uniform(0.28, 0.6))
    slender = float(rng.uniform(0.08, 0.3) if rosette and rng.random() < 0.6 else rng.uniform(0.28, 0.75))
    return PlantSpecies(
        habit=habit,
        stems=(few, few + (4 if rosette else 1)),
        leaves=(8, 16) if habit == "upright" else (14, 26),
        branches=(3, 6) if habit == "bushy" else (0, 0),
        height=height,
        thickness=float(rng.uniform(0.0025, 0.004) if rosette else rng.uniform(0.004, 0.009)),
        taper=float(rng.uniform(0.35, 0.6)),
        lean=float(rng.uniform(18, 45) if rosette else rng.uniform(3, 22)),
        bend=float(rng.uniform(10, 55) if rosette else rng.uniform(0, 30)),
        turn=float(rng.choice([90.0, 137.5, 180.0])),
        stalk=float(rng.uniform(0.015, 0.08)),
        sinew=float(rng.uniform(0.25, 0.5)),
        rise=float(rng.uniform(0, 60)),
        blade=float(height * (rng.uniform(0.5, 0.9) if rosette else rng.uniform(0.22, 0.4))),
        slender=slender,
        point=float(rng.uniform(0.6, 1.6)),
        widest=float(rng.uniform(0.3, 0.65)),
        droop=float(rng.uniform(0.0, 0.45)),
        fold=float(rng.uniform(0.0, 0.3)),
        waves=float(rng.uniform(0, 0.06) if rng.random() < 0.4 else 0.0),
        bare=float(rng.uniform(0.1, 0.45)),
        bloom=int(rng.integers(5, 9)) if rng.random() < 0.3 else 0,
        frequency=float(rng.uniform(0.9, 2.0)),
        damping=float(rng.uniform(0.05, 0.14)),
        colour_seed=int(rng.integers(2**31)),
    )


def build_plant(species: PlantSpecies, rng: np.random.Generator) -> Scene:
    builder = MjcfBuilder(gravity=GRAVITY)
    grower = _Grower(builder, species, rng)
    grower.grow()
    view = random_view(rng)
    surround(builder, rng, view, shadow=0.2)
    return Scene(
        mjcf=builder.text(), textures=builder.textures, view=view, frequency=species.frequency,
        damping=species.damping,
    )  # fmt: skip


class _Grower:
    """Builds one plant."""

    def __init__(self, builder: MjcfBuilder, species: PlantSpecies, rng: np.random.Generator) -> None:
        self._builder, self._species, self._rng = builder, species, rng
        self._leaves = self._stems = 0
        self._scale = float(rng.uniform(0.85, 1.15))
        colours = np.random.default_rng(species.colour_seed)
        green = textures.natural(colours, "leaf")
        self._blades = []
        for k, size in enumerate((1.0, 0.82, 0.66)):
            length = species.blade * self._scale * size
            mesh = shapes.leaf(
                length, length * species.slender, species.point, species.widest,
                species.droop * float(rng.uniform(0.7, 1.3)), species.fold, species.waves,
            )  # fmt: skip
            name = builder.mesh(f"blade{k}", mesh)
            self._blades.append((name, length))
        picture = textures.leaf(colours, green)
        self._leaf_materials = [
            builder.material(
                f"leaf{k}", picture if k == 0 else textures.leaf(colours, green), rgba=_tint(rng), specular=0.25
            )
            for k in range(2)
        ]
        self._stem_material = builder.material("stem", textures.stem(colours, green), cube=True)
        self._petals = species.bloom and self._bloom_assets(colours)

    def grow(self) -> None:
        species, rng = self._species, self._rng
        top, radius = self._pot()
        count = int(rng.integers(species.stems[0], species.stems[1] + 1))
        wanted = min(int(rng.integers(*species.leaves)), MAX_LEAVES)
        for k in range(count):
            around = 360 * k / count + rng.uniform(-25, 25)
            lean = species.lean * (rng.uniform(0.4, 1.3) if count > 1 else rng.uniform(0, 0.6))
            away = radius * (0.15 if species.habit == "rosette" else 0.5) * min(1.0, (count - 1) / 2)
            a = np.radians(around)
            foot = (away * np.cos(a), away * np.sin(a), top)
            height = species.height * self._scale * rng.uniform(0.75, 1.1)
            if species.habit == "rosette":
                self._rosette_leaf(foot, around, lean, height * rng.uniform(0.4, 0.75))
            else:
                self._stem(self._builder.world, foot, around, lean, height, species.thickness, -(-wanted // count))

    def _pot(self) -> tuple[float, float]:
        """Adds a pot with soil; returns the soil's height and radius."""
        builder, rng = self._builder, self._rng
        height, radius = rng.uniform(0.09, 0.16) * self._scale, rng.uniform(0.055, 0.09) * self._scale
        foot = radius * rng.uniform(0.6, 1.0)
        belly = radius * rng.uniform(0.95, 1.2)
        rim = radius * (1.12 if rng.random() < 0.6 else 1.0)
        profile = np.array([
            (0.0, 0.0), (foot, 0.0), ((foot + belly) / 2 * 1.03, 0.35 * height), (belly, 0.75 * height),
            (radius, 0.86 * height), (rim, 0.86 * height), (rim, height), (rim * 0.9, height), (rim * 0.88, 0.9 * height),
            (0.0, 0.91 * height),
        ])  # fmt: skip
        mesh = builder.mesh("pot", shapes.revolve(profile, 24), shell=False)
        wall = builder.material("pot", textures.pot(rng), specular=0.3)
        builder.geom(builder.world, "pot", "mesh", mesh=mesh, material=wall)
        soil = builder.material("soil", textures.bark(rng), specular=0.0)
        level = 0.915 * height
        builder.geom(builder.world, "pot", "cylinder", size=(rim * 0.87, 0.002), pos=(0, 0, level), material=soil)
        return level, radius

    def _stem(
        self, parent: Element, foot: tuple[float, float, float], around: float, lean: float, height: float,
        radius: float, leaves: int, branching: bool = True,
    ) -> None:  # fmt: skip
        """Adds a tapering chain of segments with leaves on its upper part."""
        species, rng = self._species, self._rng
        self._stems += 1
        part, segments = f"stem{self._stems}", int(np.clip(round(height / 0.08), 3, 7))
        length = height / segments
        body, pos, quat = parent, foot, _turned(around, lean)
        angle = rng.uniform(0, 360)
        places = np.linspace(species.bare * segments, segments, leaves + 1)[1:]
        branches = int(rng.integers(species.branches[0], species.branches[1] + 1)) if branching else 0
        forks = (
            set(rng.choice(np.arange(1, segments), min(branches, segments - 1), replace=False)) if branches else set()
        )
        for k in range(segments):
            r = radius * (1 + (species.taper - 1) * k / segments)
            body = self._segment(body, pos, quat, part, r, length)
            pos, quat = (0.0, 0.0, length), _turned(rng.uniform(0, 360) if k else 0.0, species.bend / segments)
            for place in places[(places > k) & (places <= k + 1)]:
                angle += species.turn + rng.uniform(-20, 20)
                self._leaf(body, (0.0, 0.0, (place - k) * length), angle)
            if k in forks:
                angle += 137.5
                self._stem(
                    body, pos, angle, rng.uniform(30, 55), height * rng.uniform(0.35, 0.55), 0.6 * r,
                    max(2, leaves // (branches + 1)), branching=False,
                )  # fmt: skip
        if species.bloom and (branching or rng.random() < 0.5):
            self._bloom(body, (0.0, 0.0, length))

    def _segment(
        self,
        parent: Element,
        pos: tuple[float, float, float],
        quat: np.ndarray,
        part: str,
        radius: float,
        length: float,
    ) -> Element:
        body = self._builder.body(parent, pos, quat)
        self._builder.joint(body, "ball", stiffness=_beam(radius, length), damping=0, range=(0, STEM_BEND))
        self._builder.geom(
            body, part, "capsule", fromto=(0, 0, 0, 0, 0, length), size=radius, material=self._stem_material,
            density=WOOD_DENSITY,
        )  # fmt: skip
        return body

    def _leaf(self, parent: Element, pos: tuple[float, float, float], around: float) -> None:
        """Adds a stalk and a blade, each on a joint."""
        if self._leaves >= MAX_LEAVES:
            return
        species, rng = self._species, self._rng
        stalk = species.stalk * self._scale * rng.uniform(0.7, 1.3)
        body = self._builder.body(parent, pos, _turned(around, 90 - species.rise + rng.uniform(-15, 15)))
        radius = species.sinew * species.thickness
        self._builder.joint(body, "ball", stiffness=_beam(radius, max(stalk, 0.03)), damping=0, range=(0, LEAF_BEND))
        part = f"leaf{self._leaves + 1}"
        self._builder.geom(
            body, part, "capsule", fromto=(0, 0, 0, 0, 0, stalk), size=radius, material=self._stem_material,
            density=WOOD_DENSITY,
        )  # fmt: skip
        self._blade(body, (0, 0, stalk), part, radius, rng.uniform(0, 35))

    def _blade(self, parent: Element, pos: tuple[float, float, float], part: str, radius: float, dip: float) -> None:
        rng = self._rng
        name, length = self._blades[int(rng.integers(len(self._blades)))]
        area = 0.65 * length**2 * self._species.slender
        # The blade's x continues the stalk's z, and its upper side faces up again.
        quat = _multiply(_rotation((0, 1, 0), -90 + dip), _rotation((1, 0, 0), rng.normal(0, 15)))
        body = self._builder.body(parent, pos, quat)
        self._builder.joint(body, "ball", stiffness=_beam(0.8 * radius, 0.5 * length), damping=0, range=(0, LEAF_BEND))
        material = self._leaf_materials[int(rng.integers(len(self._leaf_materials)))]
        self._builder.geom(body, part, "mesh", mesh=name, material=material, mass=LEAF_DENSITY * area)
        self._leaves += 1

    def _rosette_leaf(self, foot: tuple[float, float, float], around: float, lean: float, height: float) -> None:
        """Adds a leaf that grows from the ground: a stalk of two segments and a long blade."""
        if self._leaves >= MAX_LEAVES:
            return
        part, radius = f"leaf{self._leaves + 1}", self._species.thickness
        body = self._segment(self._builder.world, foot, _turned(around, lean), part, radius, height / 2)
        bend = _turned(0.0, self._species.bend / 3)
        body = self._segment(body, (0, 0, height / 2), bend, part, 0.8 * radius, height / 2)
        self._blade(body, (0, 0, height / 2), part, 0.8 * radius, self._rng.uniform(0, 25) - self._species.bend / 3)

    def _bloom_assets(self, colours: np.random.Generator) -> tuple[str, str, str]:
        species = self._species
        length = species.blade * self._scale * 0.45
        mesh = self._builder.mesh("petal", shapes.leaf(length, length * 0.55, 0.5, 0.6, 0.15, 0.2, along=6))
        tone = textures.lch(colours.uniform(62, 90), colours.uniform(15, 50), textures.pick(colours, PETAL_HUES))
        petal = self._builder.material("petal", textures.leaf(colours, tone, "plain"), specular=0.1)
        heart = self._builder.material("heart", rgba=(0.85, 0.65, 0.15, 1))
        return mesh, petal, heart

    def _bloom(self, parent: Element, pos: tuple[float, float, float]) -> None:
        """Adds a flower on a short stalk, as one rigid piece."""
        assert self._petals
        mesh, petal, heart = self._petals
        part, stalk = f"flower{self._stems}", 0.04 * self._scale
        body = self._builder.body(parent, pos, _turned(self._rng.uniform(0, 360), self._rng.uniform(5, 50)))
        self._builder.joint(body, "ball", stiffness=_beam(0.0018, stalk), damping=0)
        self._builder.geom(
            body, part, "capsule", fromto=(0, 0, 0, 0, 0, stalk), size=0.0018, material=self._stem_material,
            density=WOOD_DENSITY,
        )  # fmt: skip
        for k in range(self._species.bloom):
            quat = _turned(360 * k / self._species.bloom, 0.0)
            quat = _multiply(quat, _rotation((0, 1, 0), -18.0))
            self._builder.geom(body, part, "mesh", mesh=mesh, material=petal, mass=3e-4, pos=(0, 0, stalk), quat=quat)
        size = self._species.blade * self._scale * 0.07
        self._builder.geom(
            body, part, "ellipsoid", size=(size, size, size / 2), pos=(0, 0, stalk), material=heart, mass=3e-4
        )


def _beam(radius: float, length: float) -> float:
    """Bending stiffness of a round rod with Young's modulus 1; the scene's frequency later sets the scale."""
    return float(np.pi * radius**4 / (4 * length))


def _rotation(axis: tuple[float, float, float], degrees: float) -> np.ndarray:
    half = np.radians(degrees) / 2
    return np.array([np.cos(half), *(np.sin(half) * np.array(axis))])


def _multiply(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Quaternion product: the rotation b in the frame turned by a."""
    w = a[0] * b[0] - a[1:] @ b[1:]
    return np.array([w, *(a[0] * b[1:] + b[0] * a[1:] + np.cross(a[1:], b[1:]))])


def _turned(around: float, lean: float) -> np.ndarray:
    """Rotation that tilts z by `lean` degrees in the direction `around` (degrees about the vertical)."""
    return _multiply(_rotation((0, 0, 1), around), _rotation((0, 1, 0), lean))


def _tint(rng: np.random.Generator) -> tuple[float, float, float, float]:
    r, g, b = rng.uniform(0.82, 1.0, 3)
    return float(r), float(g), float(b), 1.0


PLANTS: Family[PlantSpecies] = Family("plants", draw_species, build_plant)
