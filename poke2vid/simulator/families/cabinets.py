"""Cabinets: boxes on the floor with hinged doors and sliding drawers, some ajar; nothing else moves."""

from dataclasses import dataclass
from typing import Literal, get_args
from xml.etree.ElementTree import Element

import numpy as np

from poke2vid.simulator.looks import textures
from poke2vid.simulator.looks.surroundings import random_view, surround
from poke2vid.simulator.mjcf import MjcfBuilder
from poke2vid.simulator.scene import Family, Scene, View

Front = Literal["left door", "right door", "drawer", "open"]
FRONT_SHARES = (0.25, 0.25, 0.4, 0.1)
Finish = Literal["wood", "paint", "metal"]
BOARD = 0.012  # metres: thickness of every board
GAP = 0.004  # metres: between a front and its frame
DENSITY = 600.0  # kg/m^3
AJAR = (0.0, 0.9)  # radians: opening of doors at rest
PULLED = (0.0, 0.4)  # of their depth: opening of drawers at rest
WIDEST = 1.9  # radians that a door opens
FARTHEST = 0.8  # of its depth that a drawer comes out


@dataclass(frozen=True)
class Cabinet:
    """Parameters shared by cabinets of one kind. Lengths in metres.

    Attributes:
        fronts: front of every compartment, by rows from the top.
        widths, heights: of columns and rows.
        knob: radius of the knobs.
        bar: bars as handles instead of knobs.
    """

    fronts: tuple[tuple[Front, ...], ...]
    widths: tuple[float, ...]
    heights: tuple[float, ...]
    depth: float
    finish: Finish
    two_tone: bool
    knob: float
    bar: bool
    colour_seed: int


def draw_cabinet(rng: np.random.Generator) -> Cabinet:
    """Draws a cabinet with at least one door or drawer."""
    rows, columns = (int(rng.integers(1, 4)) for _ in range(2))
    kinds = get_args(Front)
    fronts = [[kinds[rng.choice(4, p=FRONT_SHARES)] for _ in range(columns)] for _ in range(rows)]
    if all(front == "open" for row in fronts for front in row):
        fronts[0][0] = "drawer"
    size = rng.uniform(0.35, 0.6)
    return Cabinet(
        fronts=tuple(tuple(row) for row in fronts),
        widths=tuple(float(size * w) for w in _shares(rng, columns)),
        heights=tuple(float(size * rng.uniform(0.7, 1.4) * h) for h in _shares(rng, rows)),
        depth=float(size * rng.uniform(0.4, 0.8)),
        finish=get_args(Finish)[rng.choice(3, p=[0.5, 0.4, 0.1])],
        two_tone=bool(rng.random() < 0.5),
        knob=float(rng.uniform(0.008, 0.016)),
        bar=bool(rng.random() < 0.4),
        colour_seed=int(rng.integers(2**31)),
    )


def _shares(rng: np.random.Generator, count: int) -> np.ndarray:
    """Random uneven shares of a length; their sum is 1."""
    parts = rng.uniform(0.7, 1.3, count)
    return np.asarray(parts / parts.sum())


def build_cabinet(species: Cabinet, rng: np.random.Generator) -> Scene:
    """One cabinet of a kind, seen from the front and a little aside, its doors and drawers at random positions."""
    builder = MjcfBuilder()
    _Carpenter(species, builder, rng).build()
    view = random_view(rng, elevation=(6, 30))
    view = View(
        azimuth=float(rng.choice([-1, 1]) * rng.uniform(12, 52)), elevation=view.elevation, fovy=view.fovy,
        fill=min(view.fill, 0.9), offset=view.offset, roll=view.roll,
    )  # fmt: skip
    surround(builder, rng, view, shadow=0.6 * sum(species.widths))
    return Scene(builder.text(), builder.textures, view, float(rng.uniform(0.6, 1.5)), float(rng.uniform(0.25, 0.7)))


class _Carpenter:
    """Builds one cabinet. x goes right, y away from the viewer, z up; its front is at y = 0."""

    def __init__(self, species: Cabinet, builder: MjcfBuilder, rng: np.random.Generator) -> None:
        self._species, self._builder, self._rng = species, builder, rng
        colours = np.random.default_rng(species.colour_seed)
        self._case = builder.material("case", _picture(species.finish, colours), cube=True, specular=0.15)
        front = _picture(species.finish, colours) if species.two_tone else None
        self._front = self._case if front is None else builder.material("front", front, cube=True, specular=0.15)
        inside = textures.lch(colours.uniform(15, 40), 6, 70)
        self._inside = builder.material("inside", rgba=(*inside, 1), specular=0.0)
        self._handle = builder.material("handle", textures.metal(colours), cube=True, specular=0.5)

    def build(self) -> None:
        species = self._species
        lefts = -sum(species.widths) / 2 + np.cumsum((0.0, *species.widths))
        tops = BOARD + np.cumsum((0.0, *species.heights[::-1]))[::-1]
        self._carcass(lefts, tops)
        number = 0
        for row, fronts in enumerate(species.fronts):
            for column, front in enumerate(fronts):
                left, right = lefts[column] + BOARD / 2 + GAP, lefts[column + 1] - BOARD / 2 - GAP
                top, bottom = tops[row] - BOARD / 2 - GAP, tops[row + 1] + BOARD / 2 + GAP
                if front == "open":
                    continue
                number += 1
                if front == "drawer":
                    self._drawer(f"drawer{number}", left, right, bottom, top)
                else:
                    self._door(f"door{number}", left, right, bottom, top, front == "left door")

    def _carcass(self, lefts: np.ndarray, tops: np.ndarray) -> None:
        """Builds the fixed parts: sides, floors, dividers and a dark back."""
        body = self._builder.body(self._builder.world)
        depth, low, high = self._species.depth, float(tops[-1]), float(tops[0])
        for x in lefts:
            self._board(body, "case", self._case, (x, depth / 2, (low + high) / 2), (BOARD, depth, high - low + BOARD))
        for z in tops:
            width = float(lefts[-1] - lefts[0]) + BOARD
            self._board(body, "case", self._case, (0, depth / 2, z), (width, depth, BOARD))
        back = (float(lefts[-1] - lefts[0]), BOARD, high - low)
        self._board(body, "case", self._inside, (0, depth, (low + high) / 2), back)

    def _board(
        self,
        body: Element,
        part: str,
        material: str,
        middle: tuple[float, float, float],
        size: tuple[float, float, float],
    ) -> None:
        half = tuple(float(s) / 2 for s in size)
        self._builder.geom(
            body, part, "box", size=half, pos=tuple(map(float, middle)), material=material, density=DENSITY
        )

    def _door(self, part: str, left: float, right: float, bottom: float, top: float, hinged_left: bool) -> None:
        """Builds a panel hinged at its left or right edge, sprung about a random opening angle."""
        ajar, width = float(self._rng.uniform(*AJAR) * (self._rng.random() < 0.5)), right - left
        outward = -1.0 if hinged_left else 1.0  # a left door opens towards -y: clockwise, seen from above
        body = self._builder.body(
            self._builder.world, (left if hinged_left else right, -BOARD / 2, (bottom + top) / 2),
            quat=(np.cos(outward * ajar / 2), 0, 0, np.sin(outward * ajar / 2)),
        )  # fmt: skip
        limits = sorted((-outward * ajar, outward * (WIDEST - ajar)))
        self._builder.joint(body, "hinge", axis=(0, 0, 1), stiffness=1.0, damping=0.0, range=tuple(limits))
        side = 1.0 if hinged_left else -1.0
        self._board(body, part, self._front, (side * width / 2, 0, 0), (width, BOARD, top - bottom))
        self._grip(body, part, (side * 0.88 * width, -BOARD / 2, 0), upright=True, length=0.4 * (top - bottom))

    def _drawer(self, part: str, left: float, right: float, bottom: float, top: float) -> None:
        """Builds a box that slides out; its origin is at its back, where it is held."""
        depth = self._species.depth - 2 * BOARD
        out = float(self._rng.uniform(*PULLED) * depth * (self._rng.random() < 0.5))
        body = self._builder.body(self._builder.world, ((left + right) / 2, depth - out, (bottom + top) / 2))
        self._builder.joint(
            body, "slide", axis=(0, -1, 0), stiffness=100.0, damping=0.0, range=(-out, FARTHEST * depth - out)
        )
        width, height = right - left, top - bottom
        self._board(body, part, self._front, (0, -depth - BOARD / 2, 0), (width, BOARD, height))
        wall = 0.7 * height
        for side in (-1, 1):
            x = side * (width / 2 - BOARD)
            self._board(body, part, self._inside, (x, -depth / 2, -0.1 * height), (BOARD / 2, 0.95 * depth, wall))
        self._board(body, part, self._inside, (0, -depth / 2, -0.45 * height), (0.9 * width, 0.95 * depth, BOARD / 2))
        self._grip(body, part, (0, -depth - BOARD, 0), upright=False, length=0.4 * width)

    def _grip(self, body: Element, part: str, place: tuple[float, float, float], upright: bool, length: float) -> None:
        """Adds a knob or a bar."""
        knob = self._species.knob
        x, y, z = (float(c) for c in place)
        if not self._species.bar:
            self._builder.geom(
                body, part, "sphere", size=knob, pos=(x, y - knob, z), material=self._handle, density=DENSITY
            )
            return
        half = length / 2
        ends = (
            (x, y - knob, z - half, x, y - knob, z + half)
            if upright
            else (x - half, y - knob, z, x + half, y - knob, z)
        )
        self._builder.geom(body, part, "capsule", size=0.5 * knob, fromto=ends, material=self._handle, density=DENSITY)


def _picture(finish: Finish, colours: np.random.Generator) -> np.ndarray:
    match finish:
        case "wood":
            return textures.wood(colours, size=128)
        case "metal":
            return textures.metal(colours)
        case "paint":
            return textures.plastic(
                colours, textures.natural(colours, textures.pick(colours, ("wall", "cloth", "glaze")))
            )


CABINETS: Family[Cabinet] = Family("cabinets", draw_cabinet, build_cabinet)
