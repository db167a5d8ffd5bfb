"""Things that swing from a rod: chains, ropes, strings of beads or lanterns, wind chimes; with or without a pendant."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, get_args
from xml.etree.ElementTree import Element

import numpy as np
from jaxtyping import Float64

from poke2vid.simulator import shapes
from poke2vid.simulator.looks import textures
from poke2vid.simulator.mjcf import SCENE, Mesh, MjcfBuilder

ChainStyle = Literal["links", "beads", "rope", "tubes", "lanterns"]
Pendant = Literal["none", "ball", "bell", "lantern"]
TOP = 1.0  # metres above the origin: height from which everything hangs
GRAVITY = 9.81
THREAD = 0.0016  # metres: radius, thicker than a real one so that it shows
CORD_MASS = 2e-4  # kilograms, of a piece of thread
STEEL, ALUMINIUM, WOOD, HEMP, CORK = 7800.0, 2700.0, 900.0, 900.0, 300.0  # kg/m^3
PAPER = 0.2  # kg/m^2, of lanterns
WALL = 0.001  # metres: thickness of a tube's wall
WIRE = 0.26  # radius of a link's wire as a share of half the link's width
TWIST = 0.03  # stiffness of a joint against twisting, as a share of gravity's against swinging


@dataclass(frozen=True)
class Chain:
    """Parameters shared by chains of one kind. Lengths in metres.

    Attributes:
        strands: number of strands side by side.
        gap: between them.
        length: of a strand, without its pendant.
        link: length of a link, or between two beads.
        thickness: radius of a rope, a bead or a tube, or half the width of a link.
        uneven: difference in length between strands, as a share.
        damping: of every joint, as a share of critical for the pendulum below it.
    """

    style: ChainStyle
    pendant: Pendant
    strands: int
    gap: float
    length: float
    link: float
    thickness: float
    uneven: float
    damping: float
    colour_seed: int


@dataclass(frozen=True)
class Piece:
    """A rigid piece of a strand.

    Attributes:
        length: downwards, in metres.
        mass: in kilograms.
        draw: adds its geoms, given its body (z up, the piece from 0 downwards) and mass.
    """

    length: float
    mass: float
    draw: Callable[[Element, float], None]


def draw_chain(rng: np.random.Generator) -> Chain:
    style: ChainStyle = get_args(ChainStyle)[rng.choice(5, p=[0.3, 0.22, 0.18, 0.13, 0.17])]
    bare = 0.3 if style == "beads" else 0.0
    pendant: Pendant = get_args(Pendant)[rng.choice(4, p=[bare, 0.25, 0.3, 0.45 - bare])]
    if style in ("tubes", "lanterns"):
        pendant = "none"
    strands = int(rng.integers(3, 6) if style == "tubes" else rng.choice([1, 2, 3, 4], p=[0.4, 0.25, 0.2, 0.15]))
    radius = float(
        rng.uniform(
            *{
                "links": (0.011, 0.016), "beads": (0.011, 0.02), "rope": (0.005, 0.009), "tubes": (0.009, 0.014),
                "lanterns": (0.04, 0.055),
            }[style]
        )
    )  # fmt: skip
    links = {"links": (2.4, 3.4), "beads": (1.9, 3.0), "lanterns": (2.5, 3.5)}
    return Chain(
        style=style,
        pendant=pendant,
        strands=strands,
        gap=float(max(rng.uniform(0.08, 0.16), 2.6 * radius, 0.14 if pendant != "none" else 0.0)),
        length=float(rng.uniform(0.16, 0.26) if style == "tubes" else rng.uniform(0.32, 0.55)),
        link=float(radius * rng.uniform(*links[style]) if style in links else 0.04),
        thickness=radius,
        uneven=float(rng.uniform(0.0, 0.35)),
        damping=float(rng.uniform(0.05, 0.11)),
        colour_seed=int(rng.integers(2**31)),
    )


def build_chain(species: Chain, builder: MjcfBuilder, rng: np.random.Generator) -> None:
    """Adds strands side by side along x, hanging from a rod or beam at `TOP`."""
    maker = _ChainMaker(species, builder)
    for k in range(species.strands):
        x = species.gap * (k - (species.strands - 1) / 2)
        length = species.length * (1 - species.uneven * rng.random())
        _hang(builder, (x, 0.0, TOP), maker.pieces(f"chain{k + 1}", length, rng), species.damping)


def swing(builder: MjcfBuilder, body: Element, pull: float, inertia: float, damping: float) -> None:
    """Joint of a pendulum of `inertia` (kg m^2) righted by `pull` (N m a radian); `damping` as a share of critical."""
    builder.joint(body, "ball", stiffness=TWIST * pull, damping=2 * damping * np.sqrt(inertia * pull))


def _hang(builder: MjcfBuilder, top: tuple[float, float, float], pieces: Sequence[Piece], damping: float) -> None:
    """Hangs pieces one below the other on ball joints. Each joint is damped for the pendulum of all pieces below it."""
    lengths, masses = np.array([piece.length for piece in pieces]), np.array([piece.mass for piece in pieces])
    starts = np.cumsum(lengths) - lengths
    body, at = builder.world, top
    for k, piece in enumerate(pieces):
        below = starts[k:] + lengths[k:] / 2 - starts[k]
        pull = GRAVITY * float(masses[k:] @ below)
        inertia = float(masses[k:] @ (below**2 + lengths[k:] ** 2 / 12))
        body = builder.body(body, at)
        swing(builder, body, pull, inertia, damping)
        piece.draw(body, piece.mass)
        at = (0.0, 0.0, -piece.length)


class _ChainMaker:
    """The materials and meshes that the strands of one scene share."""

    def __init__(self, species: Chain, builder: MjcfBuilder) -> None:
        self._species, self._builder = species, builder
        colours = np.random.default_rng(species.colour_seed)
        tone = textures.lch(colours.uniform(25, 80), 8, 80)
        self._thread = builder.material("thread", rgba=(*tone, 1), specular=0.0)
        self._rod(colours)
        metal = textures.metal(colours)
        pictures = {
            "links": lambda: [metal], "tubes": lambda: [metal], "rope": lambda: [_rope_picture(colours)],
            "beads": lambda: [textures.plastic(colours, _bright(colours)) for _ in range(3)],
            "lanterns": lambda: [textures.paper(colours) for _ in range(3)],
        }[species.style]()  # fmt: skip
        meshed, matt = species.style in ("links", "lanterns"), species.style in ("rope", "lanterns")
        self._materials = [
            builder.material(f"strand{k}", picture, cube=not meshed, specular=0.05 if matt else 0.5)
            for k, picture in enumerate(pictures)
        ]
        if species.style == "links":
            builder.mesh("link", _link(species.thickness, species.link))
        if species.style == "lanterns":
            builder.mesh("paper", shapes.revolve(_round(species.thickness, 0.9), 18))
        self._pendant = None if species.pendant == "none" else self._pendant_assets(colours, metal)

    def pieces(self, part: str, length: float, rng: np.random.Generator) -> list[Piece]:
        """Pieces of a strand, from the top down."""
        species, radius, link = self._species, self._species.thickness, self._species.link
        if species.style == "tubes":
            tube = partial(self._solid, part, "cylinder", length, 0)
            mass = ALUMINIUM * 2 * np.pi * radius * WALL * length
            return [*[Piece(link, CORD_MASS, partial(self._cord, part, link))] * 2, Piece(length, mass, tube)]
        mass = {
            "links": STEEL * np.pi * (WIRE * radius) ** 2 * 2 * (link + radius), "rope": HEMP * np.pi * radius**2 * link,
            "beads": WOOD * 4 / 3 * np.pi * (0.8 * radius) ** 3, "lanterns": PAPER * 4 * np.pi * radius**2,
        }[species.style]  # fmt: skip
        pieces = []
        for k in range(max(3, round(length / link))):
            paint = int(rng.integers(len(self._materials)))
            draw = {
                "links": partial(self._ring, part, k), "rope": partial(self._solid, part, "capsule", link, paint),
                "beads": partial(self._bead, part, paint), "lanterns": partial(self._lantern, part, paint),
            }[species.style]  # fmt: skip
            pieces.append(Piece(link, mass, draw))
        if self._pendant is not None:
            drop, mass = self._pendant
            pieces.append(Piece(drop, mass, partial(self._end, part.replace("chain", species.pendant), drop)))
        return pieces

    def _rod(self, colours: np.random.Generator) -> None:
        """Adds a rod longer than any picture is wide."""
        metallic = colours.random() < 0.5
        picture = textures.metal(colours) if metallic else textures.wood(colours, size=128)
        self._builder.geom(
            self._builder.world, SCENE, "capsule", fromto=(-0.9, 0, TOP, 0.9, 0, TOP), size=0.008 if metallic else 0.014,
            material=self._builder.material("rod", picture, cube=True, specular=0.3),
        )  # fmt: skip

    def _cord(self, part: str, length: float, body: Element, mass: float) -> None:
        self._builder.geom(
            body, part, "capsule", fromto=(0, 0, 0, 0, 0, -length), size=THREAD, material=self._thread, mass=mass
        )

    def _solid(self, part: str, kind: str, length: float, paint: int, body: Element, mass: float) -> None:
        """Adds a tube or a piece of rope."""
        self._builder.geom(
            body, part, kind, fromto=(0, 0, 0, 0, 0, -length), size=self._species.thickness,
            material=self._materials[paint], mass=mass,
        )  # fmt: skip

    def _ring(self, part: str, k: int, body: Element, mass: float) -> None:
        """Adds a chain link, a quarter turn from the one above."""
        self._builder.geom(
            body, part, "mesh", mesh="link", pos=(0, 0, -self._species.link / 2), euler=(0, 0, np.pi / 2 * (k % 2) + 0.5),
            material=self._materials[0], mass=mass,
        )  # fmt: skip

    def _bead(self, part: str, paint: int, body: Element, mass: float) -> None:
        """Adds a bead of one of three sizes, each with its colour, on its piece of thread."""
        link, size = self._species.link, self._species.thickness * (1.0, 0.8, 0.62)[paint]
        self._cord(part, link, body, 0.0)
        self._builder.geom(
            body, part, "sphere", size=size, pos=(0, 0, -link / 2), material=self._materials[paint], mass=mass
        )

    def _lantern(self, part: str, paint: int, body: Element, mass: float) -> None:
        """Adds a paper lantern on its piece of thread."""
        link = self._species.link
        self._cord(part, link, body, 0.0)
        self._builder.geom(
            body, part, "mesh", mesh="paper", pos=(0, 0, -link / 2 - 0.9 * self._species.thickness),
            material=self._materials[paint], mass=mass,
        )  # fmt: skip

    def _pendant_assets(self, colours: np.random.Generator, metal: textures.Picture) -> tuple[float, float]:
        """Adds the mesh and material of the pendants; returns a pendant's length and mass."""
        builder, kind, size = self._builder, self._species.pendant, float(colours.uniform(0.035, 0.06))
        if kind == "ball":
            t = np.linspace(0, np.pi, 13)
            profile, mass = np.stack((np.sin(t), 1 - np.cos(t)), -1) * [[1.0, 1.0]], CORK * 4 / 3 * np.pi * size**3
            profile[[0, -1], 0] = 0.0
            picture = textures.plastic(colours, _bright(colours))
        elif kind == "bell":
            profile, picture, mass = _BELL, metal, 100.0 * size**2
        else:
            profile, picture, mass = _round(1.3, 0.5 + float(colours.random())), textures.paper(colours), 20.0 * size**2
        builder.mesh("end", shapes.revolve(profile * size, 20), shell=False)
        builder.material("end", picture, specular=0.0 if kind == "lantern" else 0.5)
        return float(size * np.ptp(profile[:, 1])), mass

    def _end(self, part: str, drop: float, body: Element, mass: float) -> None:
        self._builder.geom(body, part, "mesh", mesh="end", pos=(0, 0, -drop), material="end", mass=mass)


_BELL = np.array([
    (0.0, 0.0), (0.85, 0.0), (1.0, 0.02), (0.93, 0.16), (0.72, 0.5), (0.62, 0.95), (0.55, 1.3), (0.35, 1.5), (0.14, 1.56),
    (0.12, 1.75), (0.0, 1.78),
])  # fmt: skip


def _bright(colours: np.random.Generator) -> textures.Colour:
    """A random colour for beads and balls."""
    return textures.lch(colours.uniform(35, 75), colours.uniform(15, 60), colours.uniform(0, 360))


def _rope_picture(colours: np.random.Generator, size: int = 64) -> textures.Picture:
    """Picture of a rope: slanted strands of hemp, natural or dyed."""
    y, x = textures.grid(size, size)
    hemp = textures.lch(colours.uniform(55, 75), 22, 75)
    colour = textures.natural(colours, "cloth") if colours.random() < 0.4 else hemp
    lay = 0.5 + 0.5 * np.sin(2 * np.pi * (3 * y + 2 * x)).astype(np.float32)
    fibres = textures.fractal(colours, (size, size), cells=16)
    return textures.finish(textures.uneven(colour, 20, 0.8 * lay + 0.2 * fibres))


def _round(radius: float, high: float) -> Float64[np.ndarray, "n 2"]:
    """Profile of a paper lantern with flat collars, from 0 up; its height is `high` times its width."""
    angle = np.linspace(-1.2, 1.2, 9)
    belly = np.stack((radius * np.cos(angle), high * radius * (np.sin(angle) / np.sin(1.2) + 1)), -1)
    return np.concatenate(([(0.0, 0.0)], belly, [(0.0, 2 * high * radius)]))


def _link(half: float, pitch: float) -> Mesh:
    """An oval ring of wire in the x-z plane, of half width `half`; links `pitch` apart rest in each other's bend."""
    wire, around, across = WIRE * half, np.linspace(0, 2 * np.pi, 21), np.linspace(0, 2 * np.pi, 7)
    turn, roll = (t.ravel() for t in np.meshgrid(around, across, indexing="ij"))
    straight = max(pitch / 2 + 2 * wire - half, 0.0)
    out = half - wire + wire * np.cos(roll)
    side = np.sign(np.sin(turn)) * (np.abs(np.sin(turn)) > 1e-9)
    vertices = np.stack((out * np.cos(turn), wire * np.sin(roll), out * np.sin(turn) + straight * side), -1)
    faces = shapes.grid_faces(len(around), len(across))[:, ::-1]
    return Mesh(vertices, faces, np.stack((turn, roll), -1) / (2 * np.pi))
