"""Soft objects: hanging cloth, and jelly on a plate. MuJoCo's flexible bodies; every vertex is a small body."""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from jaxtyping import Bool, Float64, Int64

from poke2vid.simulator import shapes
from poke2vid.simulator.looks import textures
from poke2vid.simulator.mjcf import SCENE, MjcfBuilder

ClothStyle = Literal["towel", "curtain", "flag"]
JellyStyle = Literal["block", "dome", "pudding"]
TOP = 1.0  # metres above the origin: height from which cloth hangs
GRAVITY = 9.81
JELLY_GRAVITY = -1.0  # a jelly sets under its own weight, so its built shape already balances most of it
WALL = 0.5  # metres: rods and lines extend so far beyond the cloth on either side, into the walls
PATHS = np.array(
    [(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)]
)  # along a cell's edges, to its far corner


@dataclass(frozen=True)
class Cloth:
    """Parameters shared by cloths of one kind. Lengths in metres.

    Attributes:
        density: in kg/m^2.
        young: in Pa, for a sheet `thickness` thick; the two make it stretch little and bend easily.
        folds: number of waves across it.
        depth: of the waves, as a share of their length.
        sag: of the upper edge between its supports, as a share of their distance.
        tail: extra length of a flag in its middle, as a share of its height.
        damping: of its swinging to and fro, as a share of critical.
    """

    style: ClothStyle
    width: float
    height: float
    density: float
    young: float
    thickness: float
    folds: float
    depth: float
    sag: float
    tail: float
    damping: float
    colour_seed: int

    @property
    def grid(self) -> tuple[int, int]:
        """Number of vertices down and across."""
        return (8, 11) if self.style == "curtain" else (9, 9)

    @property
    def viscosity(self) -> float:
        """Viscosity of the air that gives the cloth its `damping`; Pa s.

        MuJoCo drags a body of equivalent diameter d with 3 pi d times the viscosity, and a square plate has a d of two
        thirds of its side. As a pendulum the cloth swings with omega^2 = 3 g / 2 h, and a rate of 2 omega is critical.
        """
        rate = 2 * self.damping * np.sqrt(1.5 * GRAVITY / self.height)
        return float(rate * self.density * self.patch / (2 * np.pi))

    @property
    def patch(self) -> float:
        """Side of the square represented by one vertex."""
        rows, columns = self.grid
        return float(np.sqrt(self.width * self.height / (rows * columns)))


def draw_cloth(rng: np.random.Generator) -> Cloth:
    style: ClothStyle = get_args(ClothStyle)[rng.choice(3, p=[0.35, 0.35, 0.3])]
    height = float(rng.uniform(0.4, 0.65))
    slender = {"towel": (0.6, 1.1), "curtain": (0.65, 1.0), "flag": (0.5, 0.8)}[style]
    return Cloth(
        style=style,
        width=height * float(rng.uniform(*slender)),
        height=height,
        density=float(rng.uniform(0.15, 0.4)),
        young=float(np.exp(rng.uniform(*np.log((4e4, 1e5))))),
        thickness=float(rng.uniform(1.8e-3, 2.8e-3)),
        folds=float(rng.uniform(1.3, 2.2) if style == "curtain" else rng.uniform(0.6, 1.6)),
        depth=float(rng.uniform(0.1, 0.2) if style == "curtain" else rng.uniform(0.02, 0.09)),
        sag=float(rng.uniform(0.03, 0.12)),
        tail=float(rng.choice([0.0, 0.0, 0.25, -0.25])) if style == "flag" else 0.0,
        damping=float(rng.uniform(0.05, 0.08)),
        colour_seed=int(rng.integers(2**31)),
    )


def build_cloth(species: Cloth, builder: MjcfBuilder, rng: np.random.Generator) -> None:
    """Builds a cloth to be seen from the front along +y, with its upper edge at `TOP`."""
    colours = np.random.default_rng(species.colour_seed)
    rows, columns = species.grid
    v, u = (t.ravel() for t in np.meshgrid(np.linspace(0, 1, rows), np.linspace(0, 1, columns), indexing="ij"))
    pegs = int(colours.integers(2, 4))
    along = v * (1 - species.tail * np.abs(2 * u - 1))
    points = _sheet(species, u, along, pegs, rng)
    pinned = _pinned(species.style, u, v, pegs)
    picture = textures.cloth(colours, folds=float(colours.uniform(0, 0.5)), size=128)
    mass, side = species.density * species.patch**2, species.patch
    inertia = mass * side**2 * np.array([1 / 12, 0.16, 1 / 12])  # of a plate, because the air drag depends on it
    builder.flex(
        "cloth", _vertices(builder, points, pinned, mass, inertia), shapes.grid_faces(rows, columns),
        np.stack((u, along / along.max()), -1), builder.material("cloth", picture, specular=0.03), radius=species.thickness / 2,
        young=species.young, poisson=0.0, thickness=species.thickness, damping=1e-3, elastic2d="both",
    )  # fmt: skip
    _hang(species, builder, points[pinned], colours)


def _sheet(
    species: Cloth, u: Float64[np.ndarray, " n"], v: Float64[np.ndarray, " n"], pegs: int, rng: np.random.Generator
) -> Float64[np.ndarray, "n 3"]:
    """The hanging cloth's rest shape, with its folds settled so that gravity changes little."""
    width, height, phase = species.width, species.height, rng.uniform(0, 2 * np.pi)
    amplitude = species.depth * width / species.folds
    wave = np.sin(2 * np.pi * species.folds * u * (1 + 0.1 * np.sin(3 * u + phase)) + phase)
    x, z = width * (u - 0.5), TOP - height * v
    if species.style == "towel":
        between = u * (pegs - 1) % 1
        z = z - 4 * species.sag * width / (pegs - 1) * between * (1 - between) * (1 - 0.7 * v)
        return np.stack((x, amplitude * wave * (0.15 + 0.85 * v) ** 0.5 * (v > 0), z), -1)
    if species.style == "flag":
        return np.stack((x, amplitude * wave * v, z), -1)
    return np.stack((x * (1 + 0.08 * v), amplitude * wave * (0.7 + 0.3 * v), z), -1)


def _pinned(
    style: ClothStyle, u: Float64[np.ndarray, " n"], v: Float64[np.ndarray, " n"], pegs: int
) -> Bool[np.ndarray, " n"]:
    """Mask of the held vertices: those under a peg, or the upper edge."""
    if style != "towel":
        return v == 0
    held = np.abs(u[:, None] - np.linspace(0, 1, pegs)).argmin(0)
    return np.isin(np.arange(len(u)), held)


def _hang(species: Cloth, builder: MjcfBuilder, held: Float64[np.ndarray, "k 3"], colours: np.random.Generator) -> None:
    """Adds the cloth's support: a line with pegs, or a rod."""
    reach, style = species.width / 2 + WALL, species.style
    pole = textures.metal(colours) if style != "towel" and colours.random() < 0.5 else textures.wood(colours, size=128)
    material = builder.material("rod", pole, cube=True, specular=0.3)
    if style == "towel":
        builder.geom(
            builder.world,
            SCENE,
            "capsule",
            fromto=(-reach, 0, TOP, reach, 0, TOP),
            size=0.0025,
            rgba=(0.85, 0.83, 0.78, 1),
        )
        for point in held:
            pos = (point[0] * 0.97, point[1], TOP - 0.008)
            builder.geom(builder.world, SCENE, "box", pos=pos, size=(0.006, 0.008, 0.026), material=material)
        return
    radius, ends = 0.011, species.width / 2 + (0.05 if style == "flag" else WALL)
    middle = TOP + (0.0 if style == "flag" else radius)
    builder.geom(
        builder.world, SCENE, "capsule", fromto=(-ends, 0, middle, ends, 0, middle), size=radius, material=material
    )
    for end in (-ends, ends) if style == "flag" else ():
        builder.geom(builder.world, SCENE, "sphere", pos=(end, 0, TOP), size=0.018, material=material)
        builder.geom(
            builder.world, SCENE, "capsule", fromto=(0.9 * end, 0, TOP, 0, 0, TOP + 0.7 * ends), size=0.002,
            material=material,
        )  # fmt: skip


def _vertices(
    builder: MjcfBuilder, points: Float64[np.ndarray, "n 3"], pinned: Bool[np.ndarray, " n"], mass: float,
    inertia: Float64[np.ndarray, "3"],
) -> list[str]:  # fmt: skip
    """Adds a body for every vertex, free to move unless it is pinned; returns their names."""
    names = [f"vertex{number}" for number in range(len(points))]
    for name, point, held in zip(names, points, pinned, strict=True):
        body = builder.body(builder.world, point, name=name)
        weight = {"mass": f"{mass:.9g}", "diaginertia": " ".join(f"{value:.9g}" for value in inertia)}
        builder.element(body, "inertial", {"pos": "0 0 0"} | weight)
        for axis in () if held else np.eye(3):
            builder.joint(body, "slide", axis=axis)
    return names


@dataclass(frozen=True)
class Jelly:
    """Parameters shared by jellies of one kind. Lengths in metres.

    Attributes:
        radius, height: half the width, and the height.
        taper: width of the top as a share of the foot's.
        young: in Pa.
        damping: time constant of the inner friction, in seconds.
    """

    style: JellyStyle
    radius: float
    height: float
    taper: float
    young: float
    damping: float
    colour_seed: int

    grid = (5, 5, 4)  # vertices: right, back, up


def draw_jelly(rng: np.random.Generator) -> Jelly:
    style: JellyStyle = get_args(JellyStyle)[rng.integers(3)]
    height = float(rng.uniform(0.06, 0.1))
    frequency = rng.uniform(2.0, 3.6)  # Hz
    return Jelly(
        style=style,
        radius=height * float(rng.uniform(0.65, 0.95)),
        height=height,
        taper=float({"block": rng.uniform(0.85, 1.0), "dome": 0.5, "pudding": rng.uniform(0.6, 0.8)}[style]),
        # A slab with a fixed foot shears with 4 h f = sqrt(G / density), and G is a third of Young's modulus.
        young=float(3 * 1000 * (4 * height * frequency) ** 2),
        damping=float(rng.uniform(0.06, 0.12) / (np.pi * frequency)),
        colour_seed=int(rng.integers(2**31)),
    )


def build_jelly(species: Jelly, builder: MjcfBuilder, rng: np.random.Generator) -> None:
    """Builds a jelly on a plate at the origin."""
    colours = np.random.default_rng(species.colour_seed)
    foot = _plate(species, builder, colours)
    points = _solid(species) @ _about_z(rng.uniform(0, 2 * np.pi)).T + [0, 0, foot]
    height = (points[:, 2] - foot) / species.height
    volume = np.pi * species.radius**2 * species.height * (1 + species.taper) ** 2 / 4
    mass = 1000 * volume / len(points)
    inertia = np.full(3, mass * (volume / len(points)) ** (2 / 3) / 6)
    material = builder.material("jelly", _jelly_picture(species, colours), specular=0.7, shininess=0.7)
    uv = np.stack((points[:, 0] / (2 * species.radius) + 0.5, 1 - 0.98 * height.clip(0, 1)), -1)
    builder.flex(
        "jelly", _vertices(builder, points, height < 1e-6, mass, inertia), _tetrahedra(*species.grid), uv, material,
        radius=1e-3, young=species.young, poisson=0.35, damping=species.damping,
    )  # fmt: skip


def _solid(species: Jelly) -> Float64[np.ndarray, "n 3"]:
    """Grid of vertices, bent into shape; the foot's middle is at the origin."""
    x, y, h = (t.ravel() for t in np.meshgrid(*(np.linspace(0, 1, n) for n in species.grid), indexing="ij"))
    x, y = 2 * x - 1, 2 * y - 1
    if species.style != "block":
        x, y = x * np.sqrt(1 - y**2 / 2), y * np.sqrt(1 - x**2 / 2)
    z = h
    if species.style == "dome":
        angle = 0.4 * np.pi * h  # the uppermost layer is a cap, not a point
        wide, z = np.cos(angle), np.sin(angle) + (1 - np.sin(0.4 * np.pi)) * h * (1 - x**2 - y**2)
    else:
        wide = 1 + (species.taper - 1) * h - (0.05 * h**6 if species.style == "pudding" else 0)
    return np.stack((species.radius * x * wide, species.radius * y * wide, species.height * z), -1)


def _tetrahedra(right: int, back: int, up: int) -> Int64[np.ndarray, "k 4"]:
    """Six tetrahedra for every cell of a grid, around its diagonal; neighbours share faces. Positively oriented."""
    strides = np.array([back * up, up, 1])
    corners = np.stack(np.meshgrid(*(np.arange(n - 1) for n in (right, back, up)), indexing="ij"), -1).reshape(-1, 3)
    walks = np.concatenate((np.zeros((6, 1), int), np.cumsum(strides[PATHS], axis=1)), axis=1)
    odd = np.linalg.det(np.eye(3)[PATHS]) < 0
    walks[odd] = walks[odd][:, [0, 2, 1, 3]]
    return ((corners @ strides)[:, None, None] + walks).reshape(-1, 4)


def _about_z(angle: float) -> Float64[np.ndarray, "3 3"]:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])


def _plate(species: Jelly, builder: MjcfBuilder, colours: np.random.Generator) -> float:
    """Adds a plate on the floor; returns the height of its middle."""
    radius = species.radius * float(colours.uniform(1.2, 1.35) * (1.25 if species.style == "block" else 1.0))
    profile = np.array([
        (0.0, 0.0), (0.55 * radius, 0.0), (0.6 * radius, 0.003), (radius, 0.014), (radius, 0.017), (0.92 * radius, 0.008),
        (0.0, 0.008),
    ])  # fmt: skip
    mesh = builder.mesh("plate", shapes.revolve(profile, 28), shell=False)
    glaze = textures.natural(colours, "glaze")
    builder.geom(
        builder.world,
        "plate",
        "mesh",
        mesh=mesh,
        material=builder.material("plate", textures.plastic(colours, glaze), specular=0.5),
    )
    return 0.008


def _jelly_picture(species: Jelly, colours: np.random.Generator) -> textures.Picture:
    """Picture with rows from the top to the foot: a clear fruit colour, or custard under caramel."""
    size = 64
    y, _ = textures.grid(size, size)
    if species.style == "pudding" and colours.random() < 0.6:
        custard, caramel = textures.lch(84, 34, 88), textures.lch(colours.uniform(28, 42), 34, 58)
        edge = 0.06 * (textures.fractal(colours, (size, size), 4, 4)[:1] - 0.5)  # of the caramel as it runs down
        return textures.finish(textures.mix(custard, caramel, textures.step(y - 2.5 * edge, 0.18, 0.1)))
    hue = textures.pick(colours, (22.0, 30.0, 60.0, 85.0, 130.0, 350.0, 325.0))
    colour = textures.lch(colours.uniform(38, 62), colours.uniform(40, 62), hue)
    clear = np.broadcast_to(y, (size, size)) + 0.25 * (textures.fractal(colours, (size, size), 4, 3) - 0.5)
    return textures.finish(
        textures.mix(textures.shade(colour, 10, 1.0, 6), textures.shade(colour, -12, 1.1, -4), clear.clip(0, 1))
    )
