"""Mobiles: levels of bars balanced on threads, with paper shapes at their ends."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, get_args
from xml.etree.ElementTree import Element

import numpy as np
from jaxtyping import Float64

from poke2vid.simulator import shapes
from poke2vid.simulator.families.chains import GRAVITY, THREAD, TOP, swing
from poke2vid.simulator.looks import textures
from poke2vid.simulator.mjcf import SCENE, Mesh, MjcfBuilder

Ornament = Literal["disc", "star", "moon", "heart", "fish", "bird", "drop"]
PAPER_DENSITY = 0.6  # kg/m^2, of the ornaments' card
BAR_RADIUS = 0.003  # metres
BAR_DENSITY = 900.0  # kg/m^3: thin wood
THREAD_MASS = 1e-4  # kilograms
GAP = 2e-4  # metres between an ornament's sides
CEILING = 2.0  # metres of thread above the mobile


@dataclass(frozen=True)
class Mobile:
    """Parameters shared by mobiles of one kind. Lengths in metres.

    Attributes:
        levels: number of bars below each other.
        span: of the uppermost bar.
        shrink: span of a bar as a share of the one above.
        rise: of a bar's middle above its ends, as a share of its span; it keeps the bar from tipping over.
        drop: length of the longest thread.
        ornaments: shapes at the ends, used in turn.
        size: of the largest ornament.
        damping: of every joint, as a share of critical for the pendulum below it.
    """

    levels: int
    span: float
    shrink: float
    rise: float
    drop: float
    ornaments: tuple[Ornament, ...]
    size: float
    damping: float
    colour_seed: int


@dataclass(frozen=True)
class _Leaf:
    """An ornament on its thread."""

    drop: float
    ornament: Ornament
    size: float

    @property
    def mass(self) -> float:
        return PAPER_DENSITY * 0.5 * self.size**2 + THREAD_MASS


@dataclass(frozen=True)
class _Bar:
    """A bar on its thread; `left` and `right` hang from its ends."""

    drop: float
    span: float
    left: "_Bar | _Leaf"
    right: "_Bar | _Leaf"

    @property
    def own(self) -> float:
        """The bar's own mass."""
        return BAR_DENSITY * np.pi * BAR_RADIUS**2 * self.span

    @property
    def mass(self) -> float:
        return self.left.mass + self.right.mass + self.own + THREAD_MASS

    @property
    def arm(self) -> float:
        """Distance from the left end to the point of balance."""
        return self.span * (self.right.mass + self.own / 2) / (self.left.mass + self.right.mass + self.own)


def draw_mobile(rng: np.random.Generator) -> Mobile:
    names = get_args(Ornament)
    kinds = rng.choice(len(names), int(rng.integers(1, 4)), replace=False)
    levels, span = int(rng.integers(2, 4)), float(rng.uniform(0.4, 0.52))
    return Mobile(
        levels=levels,
        span=span,
        shrink=float(rng.uniform(0.5, 0.68)),
        rise=float(rng.uniform(0.06, 0.13)),
        drop=float(rng.uniform(0.1, 0.16)),
        ornaments=tuple(names[k] for k in kinds),
        size=span * float(rng.uniform(0.3, 0.4) if levels == 2 else rng.uniform(0.25, 0.32)),
        damping=float(rng.uniform(0.03, 0.06)),
        colour_seed=int(rng.integers(2**31)),
    )


def build_mobile(species: Mobile, builder: MjcfBuilder, rng: np.random.Generator, azimuth: float) -> None:
    """Builds a mobile on a thread from a ceiling out of view; `azimuth` (degrees) is the direction it is seen from."""
    maker = _MobileMaker(species, builder, rng, np.radians(azimuth))
    builder.geom(
        builder.world, SCENE, "capsule", fromto=(0, 0, TOP, 0, 0, TOP + CEILING), size=THREAD, material="thread"
    )
    maker.hang(builder.world, (0.0, 0.0, TOP), maker.plan(species.levels, species.span), 0.0)


class _MobileMaker:
    """Builds one mobile."""

    def __init__(self, species: Mobile, builder: MjcfBuilder, rng: np.random.Generator, facing: float) -> None:
        self._species, self._builder, self._rng, self._facing = species, builder, rng, facing
        self._bars = self._ornaments = 0
        colours = np.random.default_rng(species.colour_seed)
        dark = colours.random() < 0.5
        builder.material("thread", rgba=(*textures.lch(25 if dark else 80, 5, 80), 1), specular=0.0)
        builder.material("bar", textures.wood(colours, size=64), cube=True, specular=0.2)
        self._papers = [builder.material(f"paper{k}", textures.paper(colours), specular=0.03) for k in range(4)]
        for ornament in species.ornaments:
            builder.mesh(ornament, _ornament(ornament, species.size))
            builder.mesh(f"{ornament}-small", _ornament(ornament, 0.75 * species.size))

    def plan(self, levels: int, span: float) -> _Bar:
        """Plans a bar with `levels` - 1 levels below it; at least one end carries an ornament."""
        species, rng = self._species, self._rng
        smaller = span * species.shrink * rng.uniform(0.9, 1.1)
        sides: list[_Bar | _Leaf] = [self._leaf(), self._leaf()]
        if levels > 1:
            sides[0] = self.plan(levels - 1, smaller)
            if levels == 2 or rng.random() < 0.35:
                sides[1] = self.plan(1, smaller)
        if rng.random() < 0.5:
            sides.reverse()
        return _Bar(species.drop * rng.uniform(0.45, 0.8), span, *sides)

    def _leaf(self) -> _Leaf:
        species, rng = self._species, self._rng
        ornament = species.ornaments[int(rng.integers(len(species.ornaments)))]
        size = species.size * (1.0 if rng.random() < 0.5 else 0.75)
        return _Leaf(species.drop * rng.uniform(0.35, 1.0), ornament, size)

    def hang(self, parent: Element, pos: tuple[float, float, float], node: _Bar | _Leaf, yaw: float) -> None:
        """Adds a thread and the node tied to it; `yaw` is the parent's turn about the vertical."""
        builder, damping = self._builder, self._species.damping
        part = self._name(node)
        thread = builder.body(parent, pos)
        swing(builder, thread, node.mass * GRAVITY * node.drop, node.mass * node.drop**2, damping)
        builder.geom(
            thread,
            part,
            "capsule",
            fromto=(0, 0, 0, 0, 0, -node.drop),
            size=THREAD,
            material="thread",
            mass=THREAD_MASS,
        )
        if isinstance(node, _Leaf):
            turn = self._facing + self._rng.normal(0, 0.5)
            body = builder.body(thread, (0, 0, -node.drop), euler=(0, 0, turn - yaw))
            reach = node.size / 2
            swing(builder, body, node.mass * GRAVITY * reach, 1.3 * node.mass * reach**2, damping)
            name = node.ornament + ("" if node.size == self._species.size else "-small")
            paper = self._papers[int(self._rng.integers(len(self._papers)))]
            builder.geom(
                body, part, "mesh", mesh=name, euler=(np.pi / 2, 0, 0), material=paper, mass=node.mass - THREAD_MASS
            )
            return
        turn = yaw + self._rng.uniform(-0.9, 0.9) if yaw else self._facing + self._rng.uniform(-0.6, 0.6)
        self._bar(builder.body(thread, (0, 0, -node.drop), euler=(0, 0, turn - yaw)), part, node, turn)

    def _bar(self, body: Element, part: str, bar: _Bar, yaw: float) -> None:
        """Adds the bar, highest at its point of balance, and everything that hangs from its ends."""
        builder, species = self._builder, self._species
        sink, ends = species.rise * bar.span, (-bar.arm, bar.span - bar.arm)
        pull = GRAVITY * sink * (bar.mass - bar.own / 2)
        inertia = (
            sum(side.mass * end**2 for side, end in zip((bar.left, bar.right), ends, strict=True))
            + bar.own * bar.span**2 / 12
        )
        swing(builder, body, pull, inertia, species.damping)
        for side, end in zip((bar.left, bar.right), ends, strict=True):
            bow = [(0.0, 0.0, 0.0), (0.5 * end, 0.0, -0.3 * sink), (end, 0.0, -sink)]
            for start, stop in pairwise(bow):
                builder.geom(
                    body, part, "capsule", fromto=(*start, *stop), size=BAR_RADIUS, material="bar",
                    mass=bar.own * abs(end) / bar.span / 2,
                )  # fmt: skip
            self.hang(body, bow[-1], side, yaw)

    def _name(self, node: _Bar | _Leaf) -> str:
        if isinstance(node, _Bar):
            self._bars += 1
            return f"bar{self._bars}"
        self._ornaments += 1
        return f"{node.ornament}{self._ornaments}"


def _ornament(kind: Ornament, size: float) -> Mesh:
    """A flat paper shape in the x-y plane that hangs from the origin, y up; about as wide and high as `size`."""
    t = np.linspace(0, 2 * np.pi, 41)
    if kind in ("fish", "moon"):
        first, second = _fish() if kind == "fish" else _moon()
    else:
        outline = {"disc": _disc, "star": _star, "heart": _heart, "bird": _bird, "drop": _drop}[kind](t)
        first, second = outline, np.zeros_like(outline)
    points = np.stack((first, second)).reshape(-1, 2)
    low, high = points.min(0), points.max(0)
    texcoords = (points - low) / (high - low)
    faces = shapes.grid_faces(2, len(first))
    corners = points[faces]
    area = np.abs(np.linalg.det(np.diff(corners, axis=1)))
    middle = area @ corners.mean(1) / area.sum()  # it hangs straight if the thread is tied above this
    hook = points[np.abs(points[:, 0] - middle[0]) < 0.15 * np.ptp(points[:, 0])][:, 1].max()
    flat = (points - [middle[0], hook]) * (size / (high - low).max())
    front = np.concatenate((flat, np.full((len(flat), 1), GAP / 2)), axis=1)
    return Mesh(front, faces, texcoords).two_sided(GAP)


def _polar(radius: Float64[np.ndarray, " n"], angle: Float64[np.ndarray, " n"]) -> Float64[np.ndarray, "n 2"]:
    """Points at these radii and angles, from the top, clockwise seen from above the plane."""
    return np.stack((radius * np.sin(angle), radius * np.cos(angle)), -1)


def _disc(t: Float64[np.ndarray, " n"]) -> Float64[np.ndarray, "n 2"]:
    return _polar(np.ones_like(t), t)


def _star(t: Float64[np.ndarray, " n"]) -> Float64[np.ndarray, "n 2"]:
    corners = np.linspace(0, 2 * np.pi, 11)
    points = _polar(np.where(np.arange(11) % 2, 0.42, 1.0), corners)
    return np.stack([np.interp(t, corners, points[:, k]) for k in range(2)], -1)


def _heart(t: Float64[np.ndarray, " n"]) -> Float64[np.ndarray, "n 2"]:
    return (
        np.stack((16 * np.sin(t) ** 3, 13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)), -1) / 16
    )


def _drop(t: Float64[np.ndarray, " n"]) -> Float64[np.ndarray, "n 2"]:
    return np.stack((0.75 * np.sin(t) * np.sin(t / 2), np.cos(t)), -1)


def _bird(t: Float64[np.ndarray, " n"]) -> Float64[np.ndarray, "n 2"]:
    """A swallow seen from above: swept wings and a forked tail; symmetric about y."""
    half = np.array([(0, 0.55), (0.1, 0.45), (0.13, 0.32), (0.55, 0.3), (1.0, -0.1), (0.5, 0.02), (0.14, -0.08), (0.1, -0.3),
                     (0.26, -0.75), (0.0, -0.42)])  # fmt: skip
    points = np.concatenate((half, half[-2::-1] * [-1, 1]))
    along = np.linspace(0, 2 * np.pi, len(points))
    return np.stack([np.interp(t, along, points[:, k]) for k in range(2)], -1)


def _fish() -> tuple[Float64[np.ndarray, "n 2"], Float64[np.ndarray, "n 2"]]:
    """Back and belly of a fish, from the mouth to the tail."""
    x = np.linspace(-1, 1, 33)
    body = 0.5 * np.sqrt(np.clip(1 - ((x + 0.3) / 0.72) ** 2, 0, None))
    tail = np.where(x > 0.3, 0.08 + 0.55 * (x - 0.3), 0.0)
    half = np.maximum(np.maximum(body, tail), 0.02)
    return np.stack((x, half), -1), np.stack((x, -half), -1)


def _moon() -> tuple[Float64[np.ndarray, "n 2"], Float64[np.ndarray, "n 2"]]:
    """Outer and inner arc of a crescent."""
    t = np.linspace(0, np.pi, 25)
    outer, inner = _polar(np.ones_like(t), t), _polar(np.ones_like(t), t) * [0.35, 1.0]
    return outer - [0.3, 0], inner - [0.3, 0]
