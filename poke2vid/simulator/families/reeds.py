"""Clumps of grass, reeds, cattails and wheat: long thin stems of sprung segments, in the ground or a vase."""

from dataclasses import dataclass
from typing import Literal, get_args
from xml.etree.ElementTree import Element

import numpy as np

from poke2vid.simulator import shapes
from poke2vid.simulator.looks import textures
from poke2vid.simulator.mjcf import Mesh, MjcfBuilder

ReedStyle = Literal["grass", "plumes", "cattails", "wheat"]
GRAVITY = -2.0  # as for plants: the built shape already balances most of the weight
DENSITY = 350.0  # kg/m^3, of hollow stems
BLADE_DENSITY = 0.3  # kg/m^2
SIZES = (1.0, 0.85, 0.7)  # of stems and blades, as shares of the longest


@dataclass(frozen=True)
class Reeds:
    """Parameters shared by clumps of one kind. Lengths in metres, angles in degrees.

    Attributes:
        count: of stems and blades.
        bladed: share of blades among them.
        segments: of each.
        height: of the longest.
        thickness: radius of a stem, or half the width of a blade, at its foot.
        spread: of the feet about the middle.
        lean, bend: outward lean, and curve along the way.
        head: length of a plume, spike or ear.
        vase: true if they stand in a vase.
        frequency, damping: as in `Scene`.
    """

    style: ReedStyle
    count: int
    bladed: float
    segments: int
    height: float
    thickness: float
    spread: float
    lean: float
    bend: float
    head: float
    vase: bool
    frequency: float
    damping: float
    colour_seed: int


def draw_reeds(rng: np.random.Generator) -> Reeds:
    style: ReedStyle = get_args(ReedStyle)[rng.integers(4)]
    vase = bool(rng.random() < 0.4)
    height = float(rng.uniform(0.4, 0.75))
    grass = style == "grass"
    return Reeds(
        style=style,
        count=int(rng.integers(18, 31) if grass else rng.integers(9, 17) if vase else rng.integers(14, 25)),
        bladed=1.0 if grass else float(rng.uniform(0.2, 0.6) if style != "wheat" else rng.uniform(0, 0.3)),
        segments=4,
        height=height,
        thickness=float(rng.uniform(0.004, 0.008) if grass else rng.uniform(0.0022, 0.0036)),
        spread=0.02 if vase else float(rng.uniform(0.03, 0.1)),
        lean=float(rng.uniform(8, 22)),
        bend=float(rng.uniform(15, 60) if grass else rng.uniform(3, 22)),
        head=height * float(rng.uniform(0.14, 0.24)),
        vase=vase,
        frequency=float(rng.uniform(0.8, 1.8)),
        damping=float(rng.uniform(0.05, 0.12)),
        colour_seed=int(rng.integers(2**31)),
    )


def build_reeds(species: Reeds, builder: MjcfBuilder, rng: np.random.Generator) -> None:
    """Builds a clump in the ground at the origin, or in a vase that stands there."""
    maker = _ReedMaker(species, builder, rng)
    top = maker.vase() if species.vase else 0.0
    for k in range(species.count):
        around = rng.uniform(0, 2 * np.pi)
        away = np.sqrt((k + 0.5) / species.count)
        foot = (species.spread * away * np.cos(around), species.spread * away * np.sin(around), top)
        lean = np.radians(species.lean) * away * rng.uniform(0.5, 1.4)
        maker.grow(k + 1, foot, around + rng.normal(0, 0.5), lean, k < round(species.bladed * species.count))


class _ReedMaker:
    """Builds the stems of one clump from shared materials and meshes."""

    def __init__(self, species: Reeds, builder: MjcfBuilder, rng: np.random.Generator) -> None:
        self._species, self._builder, self._rng = species, builder, rng
        colours = np.random.default_rng(species.colour_seed)
        dry = textures.lch(colours.uniform(60, 78), colours.uniform(22, 38), colours.uniform(78, 92))
        living = textures.natural(colours, "stem" if species.style == "grass" else "leaf")
        stem = dry if species.style == "wheat" or colours.random() < 0.3 else living
        self._stem = builder.material("stem", textures.stem(colours, stem), cube=True)
        self._blade_materials = [
            builder.material(f"blade{k}", textures.leaf(colours, textures.shade(stem, lighter), "plain"), specular=0.15)
            for k, lighter in enumerate((0.0, 9.0, -8.0))
        ]
        self._length = species.height / species.segments
        half = species.thickness if species.style == "grass" else 2.0 * species.thickness
        self._widths = half * np.array([0.8, 1.0, 0.85, 0.6, 0.06])
        for n, size in enumerate(SIZES if species.bladed else ()):
            for k in range(species.segments):
                strip = _strip(self._length * size, self._widths[k], self._widths[k + 1], k / 4, (k + 1) / 4)
                builder.mesh(f"blade{n}-{k}", strip)
        self._head = self._head_assets(colours, dry)

    def vase(self) -> float:
        """Adds a slender vase; returns the height of its mouth, a little below the rim."""
        builder, rng, species = self._builder, self._rng, self._species
        height = species.height * rng.uniform(0.28, 0.42)
        neck, belly, foot = 0.03, rng.uniform(0.05, 0.075), rng.uniform(0.03, 0.05)
        profile = np.array([
            (0.0, 0.0), (foot, 0.0), ((foot + belly) / 1.9, 0.15 * height), (belly, 0.4 * height),
            ((belly + neck) / 1.9, 0.68 * height), (neck, 0.86 * height), (1.15 * neck, height), (0.95 * neck, height),
            (0.9 * neck, 0.9 * height), (0.0, 0.88 * height),
        ])  # fmt: skip
        mesh = builder.mesh("vase", shapes.revolve(profile, 24), shell=False)
        material = builder.material("vase", textures.pot(rng, "glazed"), specular=0.5)
        builder.geom(builder.world, "vase", "mesh", mesh=mesh, material=material)
        return float(0.9 * height)

    def grow(self, number: int, foot: tuple[float, float, float], around: float, lean: float, bladed: bool) -> None:
        """Adds one stem or blade, leaning by `lean` towards `around` (radians)."""
        species, rng = self._species, self._rng
        part, size = f"{'blade' if bladed else 'reed'}{number}", int(rng.integers(len(SIZES)))
        length, segments = self._length * SIZES[size], species.segments
        bend = np.radians(species.bend) * rng.uniform(0.4, 1.4) / segments * (1.6 if bladed else 1.0)
        paint = self._blade_materials[int(rng.integers(3))]
        parent, pos = self._builder.world, foot
        for k in range(segments):
            # z leans towards `around`; a blade's flat side stays across that, so that it bends over its flat side.
            turn = {"euler": (0, 0, around)} if k == 0 else {"euler": (0, bend * (k + 0.5), 0)}
            body = self._builder.body(parent, pos, **turn)
            if k == 0:
                body = self._builder.body(body, (0, 0, 0), euler=(0, lean, 0))
            wide = self._widths[k] if bladed else species.thickness * (1 - 0.12 * k)
            self._builder.joint(body, "ball", stiffness=wide**2 * species.thickness**2 / length, damping=0)
            self._segment(body, part, k, length, size, paint if bladed else None)
            parent, pos = body, (0.0, 0.0, length)
        if not bladed and self._head is not None:
            self._top(parent, part, length)

    def _segment(self, body: Element, part: str, k: int, length: float, size: int, blade: str | None) -> None:
        if blade is None:
            self._builder.geom(
                body, part, "capsule", fromto=(0, 0, 0, 0, 0, length), size=self._species.thickness * (1 - 0.12 * k),
                material=self._stem, density=DENSITY,
            )  # fmt: skip
            return
        mass = BLADE_DENSITY * length * (self._widths[k] + self._widths[k + 1])
        self._builder.geom(body, part, "mesh", mesh=f"blade{size}-{k}", material=blade, mass=mass)

    def _head_assets(self, colours: np.random.Generator, dry: textures.Colour) -> tuple[str, float] | None:
        """Material and mass of the heads at the stems' tips; None if there are none."""
        species, builder = self._species, self._builder
        if species.style == "grass":
            return None
        radius, length = species.thickness, species.head
        if species.style == "cattails":
            brown = textures.lch(colours.uniform(24, 36), colours.uniform(16, 28), colours.uniform(48, 62))
            return builder.material("head", textures.plastic(colours, brown), cube=True, specular=0.02), 0.006
        t = np.linspace(0, 1, 17)
        if species.style == "plumes":
            tone = textures.lch(colours.uniform(62, 88), colours.uniform(6, 22), colours.uniform(55, 90))
            outline = 6.5 * radius * np.sin(np.pi * t**0.7) ** 0.8 * (1 + 0.25 * (colours.random(17) - 0.5))
            length, mass = 1.3 * length, 0.002
        else:
            tone, mass = dry, 0.002
            outline = 2.6 * radius * np.sin(np.pi * t**0.8) ** 0.6 * np.where(np.arange(17) % 2, 1.0, 0.6)
        outline[[0, -1]] = 0.0
        builder.mesh("head", shapes.revolve(np.stack((outline, length * t), -1), 10), shell=False)
        return builder.material("head", textures.hair(colours, tone), specular=0.0), mass

    def _top(self, parent: Element, part: str, length: float) -> None:
        """Adds a plume, a spike or an ear, on its own joint."""
        assert self._head is not None
        species, (material, mass) = self._species, self._head
        radius, head = species.thickness, species.head
        body = self._builder.body(
            parent, (0, 0, length), euler=(self._rng.normal(0, 0.1), self._rng.uniform(0, 0.25), 0)
        )
        self._builder.joint(body, "ball", stiffness=(0.6 * radius) ** 4 / head, damping=0)
        if species.style != "cattails":
            self._builder.geom(body, part, "mesh", mesh="head", material=material, mass=mass)
            return
        self._builder.geom(
            body,
            part,
            "capsule",
            fromto=(0, 0, 0.01, 0, 0, 0.7 * head),
            size=3.0 * radius,
            material=material,
            mass=mass,
        )
        self._builder.geom(
            body,
            part,
            "capsule",
            fromto=(0, 0, 0.7 * head, 0, 0, head),
            size=0.6 * radius,
            material=self._stem,
            mass=1e-4,
        )


def _strip(length: float, wide: float, wider: float, start: float, end: float) -> Mesh:
    """A two-sided piece of a blade along z, creased along its middle, with these half widths at its ends.

    Args:
        start, end: position of its ends along the whole blade, 0 ... 1.
    """
    rows = [(wide, 0.0, start), (wider, length, end)]
    vertices = np.array([(0.35 * half * abs(side), half * side, z) for half, z, _ in rows for side in (-1.0, 0.0, 1.0)])
    texcoords = np.array([(along, 0.5 + 0.5 * side) for _, _, along in rows for side in (-1.0, 0.0, 1.0)])
    faces = shapes.grid_faces(2, 3)
    back = Mesh(vertices - [2e-4, 0.0, 0.0], faces[:, ::-1], texcoords)
    return Mesh(
        np.concatenate((vertices, back.vertices)), np.concatenate((faces, back.faces + len(vertices))),
        np.concatenate((texcoords, texcoords)),
    )  # fmt: skip
