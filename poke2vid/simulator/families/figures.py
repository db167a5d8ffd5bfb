"""Small human figures: jointed dolls that stand on their feet or hang on a cord, with clothes, hair and a pose.

Right and left are the figure's own. It faces -y; its left is at +x. Trunk and head extend along the z of their pieces,
limbs along -z. Muscles are springs about the built pose, each proportional to the weight it carries.
"""

from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np

from poke2vid.simulator.families import lofts, skeleton
from poke2vid.simulator.families.lofts import Profile, domed, egg, loft, pleated, rod, skull
from poke2vid.simulator.families.skeleton import Piece, Rotation, Skeleton, Solid, Vector, direction, turned
from poke2vid.simulator.looks import textures
from poke2vid.simulator.looks.surroundings import random_view, surround
from poke2vid.simulator.mjcf import MjcfBuilder
from poke2vid.simulator.scene import Family, Scene

Top = Literal["long", "short", "bare"]
Bottom = Literal["trousers", "shorts", "skirt", "dress"]
Hair = Literal["cropped", "bob", "long", "ponytail", "pigtails", "bun", "hat"]

DENSITY, CLOTH_DENSITY = 100.0, 0.4  # kg/m^3, a stuffed doll's; kg/m^2
# The built pose of a standing figure already balances most of its weight: only the rest is simulated.
STANDING_GRAVITY, HANGING_GRAVITY = -1.5, -5.0
HANGING_SHARE = 0.3  # of all scenes
SPARE = 0.1  # metres of cord above its hook, out of the picture; they show when the figure is pulled down
SWING_DAMPING = 0.1  # share of critical, of the cord, whose only spring is gravity
# Joint strengths: frequency of the carried part swinging on the joint alone, as a share of the lowest.
STRENGTH = {
    "sway": 1.0, "waist": 1.5, "chest": 2.0, "neck": 2.8, "head": 3.0, "shoulder": 1.5, "elbow": 1.8, "wrist": 4.0,
    "hip": 1.5, "knee": 1.8, "ankle": 3.0, "skirt": 2.2, "hair": 1.8, "cord": 1.0, "pulley": 2.5,
}  # fmt: skip
# Upper arm and forearm of the left: outwards, backwards, upwards.
ARMS = {
    "down": ((0.16, 0.0, -1.0), (0.06, -0.22, -1.0)), "akimbo": ((0.75, 0.3, -0.7), (-0.75, -0.5, -0.3)),
    "waving": ((0.95, -0.1, -0.15), (0.3, -0.25, 1.0)), "raised": ((0.45, -0.1, 0.9), (0.05, -0.3, 1.0)),
    "aside": ((1.0, -0.1, -0.4), (0.9, -0.4, -0.2)), "reaching": ((0.2, -0.7, -0.6), (0.1, -1.0, 0.15)),
    "folded": ((0.3, 0.15, -1.0), (-0.45, -0.8, 0.1)),
}  # fmt: skip
ARM_ODDS, SIDES = (0.42, 0.12, 0.12, 0.1, 0.1, 0.07, 0.07), ((1.0, "left"), (-1.0, "right"))


@dataclass(frozen=True)
class FigureSpecies:
    """Parameters that one figure keeps in all poses. Lengths as shares of its height unless said otherwise.

    Attributes:
        height: from sole to crown, in metres.
        heads: height in units of the head's height: 4 is a small child, 6.5 an adult.
        legs: height of the hip joints.
        shoulders, hips: half the distance of the shoulder joints, and half the width of the pelvis.
        girth: of limbs and trunk, relative to a slim figure.
        belly: half-width of the waist over that of the pelvis.
        arms: length of an arm without its hand, over that of the trunk.
        sleeves, bottom, hair: clothes and hair style.
        frequency, damping: as in `Scene`.
    """

    height: float
    heads: float
    legs: float
    shoulders: float
    hips: float
    girth: float
    belly: float
    arms: float
    sleeves: Top
    bottom: Bottom
    hair: Hair
    frequency: float
    damping: float
    colour_seed: int


def draw_species(rng: np.random.Generator) -> FigureSpecies:
    age, stout = rng.random() ** 0.8, rng.random() ** 1.6  # from child to adult, and slim to stout
    girth = 0.95 + 0.4 * stout
    return FigureSpecies(
        height=float(rng.uniform(0.42, 0.5) + 0.16 * age),
        heads=float(4.0 + 2.0 * age + rng.uniform(-0.25, 0.25)),
        legs=float(0.405 + 0.06 * age + rng.uniform(-0.015, 0.015)),
        shoulders=float(rng.uniform(0.088, 0.112)),
        hips=float(rng.uniform(0.078, 0.092) * girth**0.7),
        girth=float(girth),
        belly=float(rng.uniform(0.78, 0.95) + 0.25 * stout),
        arms=float(rng.uniform(0.88, 1.0)),
        sleeves=get_args(Top)[rng.choice(3, p=[0.45, 0.4, 0.15])],
        bottom=get_args(Bottom)[rng.choice(4, p=[0.48, 0.22, 0.15, 0.15])],
        hair=get_args(Hair)[rng.choice(7, p=[0.3, 0.15, 0.15, 0.1, 0.1, 0.1, 0.1])],
        frequency=float(rng.uniform(0.9, 1.7)),
        damping=float(rng.uniform(0.05, 0.13)),
        colour_seed=int(rng.integers(2**31)),
    )


def build_figure(species: FigureSpecies, rng: np.random.Generator) -> Scene:
    hanging = bool(rng.random() < HANGING_SHARE)
    ground = not hanging or bool(rng.random() < 0.6)
    view = random_view(rng, elevation=(3, 20) if ground else (-12, 15))
    view = replace(view, azimuth=float(np.clip(rng.normal(0, 26), -55, 55)), fill=float(rng.uniform(0.82, 0.97)))
    builder = MjcfBuilder(gravity=HANGING_GRAVITY if hanging else STANDING_GRAVITY)
    figure = _Figure(builder, species, rng)
    if hanging:
        figure.hang()
        beyond = float(rng.uniform(0.09, 0.13))  # of the cord, past the upper edge
        fill = 0.97 + beyond - float(rng.uniform(0.0, 0.1))
        view = replace(view, fill=fill, offset=(view.offset[0], fill / 2 - 0.5 - beyond))
    else:
        figure.stand()
    surround(builder, rng, view, shadow=0.22 * species.height / 0.5, ground=ground)
    return Scene(builder.text(), builder.textures, view, species.frequency, species.damping)


class _Figure:
    """Builds one figure."""

    def __init__(self, builder: MjcfBuilder, species: FigureSpecies, rng: np.random.Generator) -> None:
        self._builder, self._species, self._rng = builder, species, rng
        self._bones = Skeleton(builder)
        self._solids: dict[str, Solid] = {}
        self._unit, self._head = species.height, species.height / species.heads
        self._hip, self._ankle = species.legs * self._unit, 0.045 * self._unit
        self._shank, self._neck = (self._hip - self._ankle) / 2, 0.2 * self._head
        self._trunk = self._unit - self._hip - self._head - self._neck
        waist = species.hips * species.belly * self._unit
        self._breast = max(0.86 * species.shoulders * self._unit * species.girth**0.5, 0.9 * waist)
        self._dress()

    def stand(self) -> None:
        """Builds a standing figure: feet fixed to the ground and a pelvis on springs above them."""
        rng, unit, builder = self._rng, self._unit, self._builder
        skirted = self._species.bottom in ("skirt", "dress")
        spread = self._species.hips * unit * rng.uniform(0.6, 0.9 if skirted else 1.5)
        ahead = rng.normal(0, 0.015 if skirted else 0.03) * unit
        ankles = [np.array([side * spread, side * ahead, self._ankle]) for side in (1.0, -1.0)]
        shift = np.array([rng.uniform(-0.5, 0.5) * spread, rng.normal(0, 0.01) * unit, 0.0])
        turn = turned(rng.normal(0, 2), rng.normal(0, 2.5), rng.normal(0, 6))
        joint = np.array([0.55 * self._species.hips * unit, 0.0, 0.0])
        legs = [shift + side * (turn @ joint) - ankle for side, ankle in zip((1, -1), ankles, strict=True)]
        reach = 2 * self._shank * rng.uniform(0.965, 0.992)
        shift[2] = min(np.sqrt(reach**2 - leg[:2] @ leg[:2]) - leg[2] for leg in legs)
        self._body(turn, shift)
        pelvis = self._bones.pieces["pelvis"]
        for (side, name), ankle in zip(SIDES, ankles, strict=True):
            foot = turned(0, 0, side * rng.uniform(0, 25))
            hip = pelvis.at(*(side * joint))
            self._leg(name, hip, skeleton.bend(hip, ankle, self._shank, -foot[:, 1]), ankle)
            builder.geom(
                builder.world, f"{name}_foot", "mesh", mesh=self._shoe().mesh, material="shoe",
                pos=ankle + foot @ (0, -0.9 * self._ankle, -self._ankle), xyaxes=foot[:, :2].T, mass=0.1,
            )  # fmt: skip
        body = self._bones.emit("pelvis", builder.world, np.eye(3), np.zeros(3))
        points = self._bones.mass_points("pelvis")
        mass, strength = sum(mass for mass, _ in points), STRENGTH["sway"] ** 2
        for axis, times in zip(np.eye(3), (1.0, 1.0, 4.0), strict=True):  # legs are stiff along their length
            builder.joint(body, "slide", axis=pelvis.rotation.T @ axis, stiffness=times * strength * mass, damping=0)
        builder.joint(body, "ball", stiffness=strength * skeleton.inertia(points, pelvis.origin), damping=0)
        for (_, name), ankle in zip(SIDES, ankles, strict=True):
            shin = self._bones.pieces[f"{name}_shin"]
            builder.connect(shin.name, "world", shin.rotation.T @ (ankle - shin.origin))

    def hang(self) -> None:
        """Builds a hanging figure: a stiff cord from crown or nape over a sprung pulley; gravity swings it."""
        rng, builder = self._rng, self._builder
        turn = turned(rng.normal(0, 3), 0, rng.normal(0, 10))
        above = rng.uniform(0.08, 0.25) * self._unit
        self._body(turn, np.array([0, 0, self._hip + self._ankle + above]))
        pelvis = self._bones.pieces["pelvis"]
        for side, name in SIDES:
            hip = pelvis.at(side * 0.55 * self._species.hips * self._unit, 0, 0)
            knee = hip + self._shank * turn @ direction([side * rng.uniform(0, 0.2), rng.uniform(-0.35, 0.0), -1])
            shin = self._shank * turn @ direction([side * rng.uniform(-0.05, 0.1), rng.uniform(0.0, 0.3), -1])
            self._leg(name, hip, knee, knee + shin, foot=True)
        root = self._bones.pieces["head" if rng.random() < 0.5 else "chest"]
        length = rng.uniform(0.18, 0.45) * self._unit
        if root.name == "head":
            knot = root.at(0, 0, 1.03 * self._head)
        else:
            knot = root.at(0, 0.3 * self._breast, 0.47 * self._trunk)
            length += self._neck + self._head
        points = self._bones.mass_points(root.name)
        hook = knot + np.array([0, 0, length])
        cord = builder.body(builder.world, hook, name="cord")
        builder.material("cord", rgba=(*rng.uniform(0.2, 0.8, 1).repeat(3), 1), specular=0.0)
        builder.geom(
            cord, "cord", "capsule", fromto=(0, 0, SPARE, 0, 0, -length), size=0.0035, material="cord", mass=0.01
        )
        # Tilted so that its weight is below the knot; otherwise it takes long to come to rest.
        weight = direction(skeleton.centre(points) - knot)
        down, lean, *_ = skeleton.articulate(np.array([0, 0, -1.0]), weight, np.eye(3)[0])
        tilt = lean @ down.T
        body = self._bones.emit(root.name, cord, tilt, knot + tilt @ [0, 0, length])
        mass = sum(mass for mass, _ in points)
        torque = -HANGING_GRAVITY * mass * (hook - skeleton.centre(points))[2]
        builder.joint(cord, "slide", axis=(0, 0, 1), stiffness=STRENGTH["pulley"] ** 2 * mass, damping=0)
        swing = 2 * SWING_DAMPING * np.sqrt(torque * skeleton.inertia(points, hook))
        for axis in np.eye(3)[:2]:
            builder.joint(cord, "hinge", axis=axis, damping=swing)
        stiffness = STRENGTH["cord"] ** 2 * skeleton.inertia(points, knot)
        builder.joint(body, "ball", pos=root.rotation.T @ (knot - root.origin), stiffness=stiffness, damping=0)

    def _dress(self) -> None:
        """Adds the figure's materials, the same in every pose."""
        species, builder, colours = self._species, self._builder, np.random.default_rng(self._species.colour_seed)
        skin = textures.natural(colours, "skin")
        hair = textures.natural(colours, "hair") if sum(skin) > 1.5 else textures.lch(colours.uniform(8, 20), 4, 55)
        worn = textures.cloth_colours(colours)
        blue = textures.lch(colours.uniform(24, 45), colours.uniform(8, 20), 270)
        below = [textures.pick(colours, (worn[1], worn[2], blue)), *worn[1:]]
        if np.linalg.norm(np.subtract(below[0], skin)) < 0.3:  # would look like bare skin
            below[0] = blue
        builder.material("skin", textures.skin(colours, skin, size=64))
        builder.material("nose", rgba=(*skin, 1))
        builder.material("face", textures.face(colours, skin, hair))
        builder.material("hair", textures.hair(colours, hair, size=64), specular=0.2)
        builder.material("top", textures.cloth(colours, colours=worn))
        plain = species.bottom in ("trousers", "shorts") and colours.random() < 0.7
        if species.bottom == "dress":
            builder.material("bottom", builder.textures["top"])
        else:
            builder.material("bottom", textures.cloth(colours, "plain" if plain else None, below))
        shoe = textures.pick(colours, (textures.lch(22, 5, 60), textures.lch(85, 3, 90), worn[1], worn[2]))
        builder.material("shoe", rgba=(*shoe, 1), specular=0.3)
        if species.hair == "hat":
            builder.material("hat", textures.cloth(colours, "knit", worn[::-1], size=64))

    def _body(self, turn: Rotation, origin: Vector) -> None:
        """Builds everything above the legs; `origin` is midway between the hips."""
        species, rng, unit, tall = self._species, self._rng, self._unit, self._trunk
        hips, waist, breast = species.hips * unit, species.hips * unit * species.belly, self._breast
        pelvis = self._bones.piece("pelvis", turn, origin)
        profile = domed((-0.12, 0.8 * hips), (0.0, hips), (0.14, 0.97 * hips), (0.3, waist), scale=tall, cap=0.6)
        pelvis.put(self._solid("pelvis", profile, depth=0.74), "bottom", "pelvis")
        lean = turn @ turned(rng.normal(0, 2.5), rng.normal(0, 2.5), rng.normal(0, 4))
        belly = self._bones.piece("belly", lean, pelvis.at(0, 0, 0.2 * tall))
        profile = domed((-0.06, 1.03 * hips), (0.1, 1.03 * waist), (0.34, (waist + breast) / 2), scale=tall, cap=0.6)
        belly.put(self._solid("belly", profile, depth=0.76), "top", "torso")
        lean = lean @ turned(rng.normal(0, 3), rng.normal(0, 2.5), rng.normal(0, 5))
        chest = self._bones.piece("chest", lean, belly.at(0, 0, 0.3 * tall))
        throat = 0.22 * self._head
        profile = domed(
            (-0.1, 0.9 * waist), (0.1, breast), (0.3, breast), (0.4, 0.85 * breast), (0.47, 1.2 * throat), scale=tall,
            cap=0.4,
        )  # fmt: skip
        chest.put(self._solid("chest", profile, depth=0.68), "top", "torso")
        self._bones.bond(pelvis, belly, belly.origin, STRENGTH["waist"])
        self._bones.bond(belly, chest, chest.origin, STRENGTH["chest"])
        if species.bottom in ("skirt", "dress"):
            self._skirt(pelvis)
        self._face(chest, throat)
        for side, name in SIDES:
            self._arm(name, side, chest)

    def _skirt(self, pelvis: Piece) -> None:
        species, unit = self._species, self._unit
        shape = np.random.default_rng(species.colour_seed)
        long, wide, folds = shape.uniform(0.45, 0.75) * self._hip, shape.uniform(1.4, 1.9), int(shape.integers(6, 11))
        hips = max(1.08 * species.hips, 0.6 * species.hips + 0.048 * species.girth) * unit
        waist = 1.05 * species.hips * unit * species.belly
        profile = np.array([
            (0.0, -0.9 * long), (0.96 * wide * hips, -long), (wide * hips, -long), ((0.5 + 0.5 * wide) * hips, -0.5 * long),
            (1.05 * hips, -0.15 * long), (hips, 0.0), (0.9 * hips, 0.12 * self._trunk), (waist, 0.27 * self._trunk),
            (0.0, 0.28 * self._trunk),
        ])  # fmt: skip
        name = self._builder.mesh("skirt", pleated(loft(profile, 0.8, around=32), folds, -long))
        mass = CLOTH_DENSITY * 2 * np.pi * hips * long
        skirt = self._bones.piece("skirt", pelvis.rotation, pelvis.origin)
        skirt.put(Solid(name, ((mass / 2, -0.2 * long), (mass / 2, -0.8 * long))), "bottom", "skirt")
        self._bones.bond(pelvis, skirt, pelvis.at(0, 0, 0.15 * self._trunk), STRENGTH["skirt"])

    def _face(self, chest: Piece, throat: float) -> None:
        """Builds neck, head and hair."""
        rng, tall = self._rng, self._head
        neck = self._bones.piece("neck", chest.rotation, chest.at(0, 0, 0.47 * self._trunk))
        neck.put(self._solid("neck", domed((-0.3 * self._neck, throat), (1.4 * self._neck, throat))), "skin", "neck")
        facing = chest.rotation @ turned(rng.normal(0, 5), rng.normal(0, 6), rng.normal(0, 11))
        head = self._bones.piece("head", facing, neck.at(0, 0, self._neck))
        wide, deep = 0.39 * tall, 0.43 * tall
        mass = DENSITY * 2.1 * wide * deep * tall
        egg_head = Solid(self._builder.mesh("skull", skull(wide, deep, tall / 2)), ((mass, 0.0),))
        head.put(egg_head, "face", "head", (0, 0, 0.5 * tall))
        ball: dict[str, Any] = {"material": "nose", "mass": 1e-4}
        nose = {"size": (0.045 * tall, 0.06 * tall, 0.065 * tall), "pos": (0, -0.98 * deep, 0.38 * tall)}
        ear = {"size": (0.03 * tall, 0.06 * tall, 0.09 * tall)}
        ears = [ear | {"pos": (side * 0.98 * wide, 0.02 * tall, 0.43 * tall)} for side in (1, -1)]
        head.geoms += [("head", "ellipsoid", ball | known) for known in (nose, *ears)]
        self._bones.bond(chest, neck, neck.origin, STRENGTH["neck"])
        self._bones.bond(neck, head, head.origin, STRENGTH["head"])
        self._comb(head, wide, deep)

    def _comb(self, head: Piece, wide: float, deep: float) -> None:
        """Adds hair on top of the painted one, partly on springs of its own; or a hat."""
        tall, style = self._head, self._species.hair
        if style == "hat":
            brim = np.random.default_rng(self._species.colour_seed).uniform(1.08, 1.5) * wide
            profile = np.array([
                (0, 0), (brim, 0.0), (brim, 0.04 * tall), (1.06 * wide, 0.06 * tall), (1.03 * wide, 0.2 * tall),
                (0.75 * wide, 0.36 * tall), (0, 0.42 * tall),
            ])  # fmt: skip
            hat = self._solid("hat", profile, depth=deep / wide)
            head.put(hat, "hat", "head", (0, 0.03 * tall, 0.68 * tall), turned(-8, 0, 0))
            return
        cap = self._solid("cap", egg(1.06 * wide, 0.52 * tall), depth=deep / wide)
        head.put(cap, "hair", "head", (0, 0.09 * tall, 0.57 * tall))
        if style == "bun":
            head.put(self._solid("bun", egg(0.17 * tall, 0.15 * tall)), "hair", "head", (0, 0.2 * tall, 1.06 * tall))
        if style == "bob":
            sides = domed((-0.06, 1.1 * wide), (0.4, 1.16 * wide), scale=tall, cap=0.8)
            head.put(self._solid("bob", sides, depth=0.75), "hair", "head", (0, 0.17 * tall, 0.25 * tall))
        tails = {"long": [(0.0, 0.22)], "ponytail": [(0.0, 0.45)], "pigtails": [(1.0, 0.05), (-1.0, 0.05)]}
        for k, (side, behind) in enumerate(tails.get(style, [])):
            spread = 0.95 * wide if style == "long" else 0.14 * tall
            long = (0.8 if style == "long" else 0.6) * tall
            profile = domed((-1.0, 0.6 * spread), (-0.4, spread), (0.0, 0.9 * spread), scale=long, cap=0.8)
            tail = self._solid("tail", profile, depth=0.4 if style == "long" else 1.0)
            origin = head.at(side * 1.05 * wide, behind * tall, (0.55 if style != "ponytail" else 0.75) * tall)
            out = turned(0 if side else 8, -20 * side, 0)
            lock = self._bones.piece(f"tail{k}", head.rotation @ out, origin)
            lock.put(tail, "hair", "hair")
            self._bones.bond(head, lock, origin, STRENGTH["hair"])

    def _arm(self, name: str, side: float, chest: Piece) -> None:
        species, rng, unit = self._species, self._rng, self._unit
        pose = ARMS[str(rng.choice(list(ARMS), p=ARM_ODDS))]
        upward = chest.rotation @ np.diag([side, 1.0, 1.0])
        # Stout figures carry their arms further out.
        out = np.array([0.5 * np.clip(species.girth * species.belly - 0.8, 0, 0.4) if pose[0][2] < -0.6 else 0.0, 0, 0])
        upper = upward @ direction(pose[0] + out + rng.normal(0, 0.07, 3))
        fore = upward @ direction(pose[1] + rng.normal(0, 0.07, 3))
        length = species.arms * self._trunk * 0.5
        shoulder = chest.at(side * species.shoulders * unit * species.girth**0.3, 0, 0.37 * self._trunk)
        elbow = shoulder + length * upper
        thick = 0.027 * unit * species.girth
        first, second, axis, flexed = skeleton.articulate(upper, fore, -chest.rotation[:, 0])
        arm = self._bones.piece(f"{name}_upper_arm", first, shoulder)
        dressed = "top" if species.sleeves == "long" else "skin"
        arm.put(self._solid("upper_arm", rod(length, 0.85 * thick, thick, 1.1 * thick)), dressed, arm.name)
        if species.sleeves == "short":
            sleeve = rod(0.55 * length, 1.25 * thick, 1.2 * thick, 1.16 * thick, open_end=True)
            arm.put(self._solid("sleeve", sleeve), "top", arm.name)
        forearm = self._bones.piece(f"{name}_forearm", second, elbow)
        lower = rod(0.95 * length, 0.6 * thick, 0.9 * thick, 0.87 * thick)
        forearm.put(self._solid("forearm", lower), dressed, forearm.name)
        if species.sleeves == "long":
            cuff = rod(0.9 * length, 0.85 * thick, 0.95 * thick, 0.9 * thick, open_end=True)
            forearm.put(self._solid("cuff", cuff), "top", forearm.name)
        hand = self._bones.piece(f"{name}_hand", second, elbow + 0.98 * length * fore)
        size = 0.03 * unit
        palm = self._solid("palm", egg(0.55 * size, 1.25 * size), depth=1.45)
        hand.put(palm, "skin", hand.name, (0, 0, -0.9 * size))
        thumb = self._solid("thumb", rod(0.8 * size, 0.26 * size, 0.3 * size))
        hand.put(thumb, "skin", hand.name, (0, 0.5 * size, -0.4 * size), turned(-40, 0, 0))
        self._bones.bond(chest, arm, shoulder, STRENGTH["shoulder"])
        self._bones.bond(arm, forearm, elbow, STRENGTH["elbow"], (axis, (-flexed - 0.05, 2.5 - flexed)))
        self._bones.bond(forearm, hand, hand.origin, STRENGTH["wrist"])

    def _leg(self, name: str, hip: Vector, knee: Vector, ankle: Vector, foot: bool = False) -> None:
        species, long, thick = self._species, self._shank, 0.043 * self._unit * self._species.girth
        pelvis = self._bones.pieces["pelvis"]
        first, second, axis, flexed = skeleton.articulate(
            direction(knee - hip), direction(ankle - knee), pelvis.rotation[:, 0]
        )
        thigh = self._bones.piece(f"{name}_thigh", first, hip)
        shin = self._bones.piece(f"{name}_shin", second, knee)
        trousers = species.bottom == "trousers"
        dressed, wider = ("bottom", 1.1) if trousers else ("skin", 1.0)
        thigh_profile = rod(long, 0.68 * thick * wider, 0.88 * thick * wider, 1.08 * thick * wider)
        thigh.put(self._solid("thigh", thigh_profile), dressed, thigh.name)
        if species.bottom == "shorts":
            leg = rod(0.62 * long, 1.08 * thick, 1.1 * thick, 1.16 * thick, open_end=True)
            thigh.put(self._solid("shorts", leg), "bottom", thigh.name)
        calf = rod(long, 0.4 * thick, 0.55 * thick, 0.72 * thick, 0.66 * thick)
        shin.put(self._solid("shin", calf), "skin", shin.name)
        if trousers:
            leg = rod(1.06 * long, 0.7 * thick, 0.7 * thick, 0.74 * thick, open_end=True)
            shin.put(self._solid("trousers", leg), "bottom", shin.name)
        self._bones.bond(pelvis, thigh, hip, STRENGTH["hip"])
        self._bones.bond(thigh, shin, knee, STRENGTH["knee"], (axis, (-flexed - 0.05, 2.4 - flexed)))
        if foot:
            piece = self._bones.piece(f"{name}_foot", second @ turned(25, 0, 0), ankle)
            piece.put(self._shoe(), "shoe", piece.name, (0, -0.9 * self._ankle, -self._ankle))
            self._bones.bond(shin, piece, ankle, STRENGTH["ankle"])

    def _shoe(self) -> Solid:
        """The shoe's solid, with its sole at z = 0 and its middle at the origin."""
        high, wide = 1.25 * self._ankle, 0.03 * self._unit * self._species.girth**0.5
        profile = np.array([(0, 0), (0.94, 0), (1.0, 0.2), (0.92, 0.5), (0.65, 0.85), (0, 1.0)]) * (wide, high)
        return self._solid("shoe", profile, depth=2.2)

    def _solid(self, name: str, profile: Profile, depth: float = 1.0) -> Solid:
        """A lofted mesh of elliptic sections `depth` times as deep as wide, cached so that both sides share it."""
        if name not in self._solids:
            mesh = self._builder.mesh(name, loft(profile, depth))
            self._solids[name] = Solid(mesh, tuple(lofts.lumps(profile, depth, DENSITY)))
        return self._solids[name]


FIGURES: Family[FigureSpecies] = Family("figures", draw_species, build_figure)
