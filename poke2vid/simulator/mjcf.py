"""Writing MJCF, MuJoCo's scene format: bodies, joints, geoms and assets by name, and the elements common to all scenes.

A geom is named `part/number`. Geoms of the part `scene` are the surroundings; every other part is a touchable piece of
the object with a part id of its own in masks.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

import numpy as np
from jaxtyping import Float, Int, UInt8

SCENE = "scene"  # the part that is not the object
BACKDROP, FLOOR, CAMERA, HAND = "backdrop", "floor", "camera", "hand"
SECOND_HAND, ANCHOR = "hand2", "anchor"
TIMESTEP = 0.004  # seconds; the discrete integrator stays stable there
GRIP = "0.99 0.99 0.001"  # solimp of the hand's hold: cloth then follows to half a pixel; 0.999 tears chains
HAND_MASS = 1e-4  # kilograms; far below anything it touches
EXTENT = 1.0  # metres: the unit of MuJoCo's clipping planes
NEAR, FAR = 0.02, 30.0  # clipping planes, in units of EXTENT

Numbers = float | Sequence[float] | np.ndarray


@dataclass(frozen=True)
class Mesh:
    """A triangle mesh in metres, with texture coordinates for each vertex."""

    vertices: Float[np.ndarray, "v 3"]
    faces: Int[np.ndarray, "f 3"]
    texcoords: Float[np.ndarray, "v 2"]

    def two_sided(self, thickness: float = 2e-4) -> "Mesh":
        """The sheet with a second side, because MuJoCo draws triangles from the front only."""
        lower = self.vertices - np.array([0.0, 0.0, thickness])
        return Mesh(
            np.concatenate((self.vertices, lower)),
            np.concatenate((self.faces, self.faces[:, ::-1] + len(self.vertices))),
            np.concatenate((self.texcoords, self.texcoords)),
        )


@dataclass
class MjcfBuilder:
    """Builder of one scene's MJCF.

    Attributes:
        textures: pictures by name; the MJCF declares only their sizes, and they are filled in after compilation, which
            is much faster than going through PNG files.
        world: the root body.
    """

    gravity: float = -9.81
    viscosity: float = 0.0  # Pa s, of the air; damps bodies without joint damping (`flex`), but runs ten times slower
    textures: dict[str, UInt8[np.ndarray, "h w 3"]] = field(default_factory=dict)
    world: Element = field(init=False)

    def __post_init__(self) -> None:
        self._root = Element("mujoco")
        SubElement(self._root, "compiler", angle="radian", autolimits="true", boundmass="1e-6", boundinertia="1e-9")
        option = SubElement(
            self._root, "option", timestep=str(TIMESTEP), integrator="discrete", gravity=_text((0, 0, self.gravity)),
            viscosity=str(self.viscosity),
        )  # fmt: skip
        SubElement(option, "flag", contact="disable")
        SubElement(self._root, "statistic", extent=str(EXTENT), center="0 0 0")
        visual = SubElement(self._root, "visual")
        # Fewer facets than MuJoCo's default: a plant draws in a third less time and changes by 1/30 grey level.
        SubElement(visual, "quality", shadowsize="0", offsamples="0", numslices="12", numstacks="8")
        SubElement(visual, "map", znear=str(NEAR), zfar=str(FAR))
        self._headlight = SubElement(visual, "headlight", ambient="0.4 0.4 0.4", diffuse="0 0 0", specular="0 0 0")
        self._assets = SubElement(self._root, "asset")
        self.world = SubElement(self._root, "worldbody")
        self._equality = SubElement(self._root, "equality")
        self._deformable = SubElement(self._root, "deformable")
        self._counts: dict[str, int] = {}
        SubElement(self.world, "camera", name=CAMERA)
        anchor = _add_rails(self.world, HAND)
        SubElement(anchor, "inertial", pos="0 0 0", mass="1", diaginertia="1 1 1")
        _add_bonds(self._equality, HAND)

    def ambient(self, rgb: Numbers) -> None:
        """Sets the ambient light."""
        self._headlight.set("ambient", _text(rgb))

    def light(self, direction: Numbers, diffuse: Numbers, specular: Numbers = 0.2) -> None:
        """Adds a directional light shining along `direction`."""
        grey = np.broadcast_to(np.asarray(specular, float), 3)
        SubElement(
            self.world, "light", type="directional", pos="0 0 3", dir=_text(direction), diffuse=_text(diffuse),
            specular=_text(grey), ambient="0 0 0", castshadow="false",
        )  # fmt: skip

    def material(
        self, name: str, texture: UInt8[np.ndarray, "h w 3"] | None = None, rgba: Numbers | None = None,
        specular: float = 0.1, shininess: float = 0.2, repeat: tuple[float, float] | None = None, cube: bool = False,
    ) -> str:  # fmt: skip
        """Adds a material with a picture, a colour or both; returns `name`, for `geom`.

        Args:
            rgba: multiplies the picture.
            repeat: repetitions of the picture over the surface.
            cube: maps the (square) picture to the six sides of a box around the geom, for geoms without texture
                coordinates; otherwise it covers planes and meshes once.
        """
        attributes = {"name": name, "specular": str(specular), "shininess": str(shininess)}
        if texture is not None:
            self.textures[name] = np.ascontiguousarray(np.concatenate([texture] * 6) if cube else texture)
            height, width = texture.shape[:2]
            kind = "cube" if cube else "2d"
            SubElement(
                self._assets, "texture", name=name, type=kind, builtin="flat", width=str(width), height=str(height)
            )
            attributes["texture"] = name
        if rgba is not None:
            attributes["rgba"] = _text(rgba)
        if repeat is not None:
            attributes["texrepeat"] = _text(repeat)
        SubElement(self._assets, "material", attributes)
        return name

    def mesh(self, name: str, mesh: Mesh, shell: bool = True) -> str:
        """Adds a mesh for `geom`; with `shell` its mass is that of its surface, not its volume."""
        SubElement(
            self._assets, "mesh", name=name, vertex=_text(mesh.vertices), face=" ".join(map(str, mesh.faces.ravel())),
            texcoord=_text(mesh.texcoords), inertia="shell" if shell else "convex",
        )  # fmt: skip
        return name

    def body(
        self, parent: Element, pos: Numbers = (0, 0, 0), quat: Numbers | None = None, name: str | None = None,
        **attributes: Numbers,
    ) -> Element:  # fmt: skip
        """Adds a rigid body to `parent`; further attributes as in MJCF."""
        known = {"pos": _text(pos)} | {key: _text(value) for key, value in attributes.items()}
        if quat is not None:
            known["quat"] = _text(quat)
        if name is not None:
            known["name"] = name
        return SubElement(parent, "body", known)

    def joint(self, body: Element, kind: str, **attributes: Numbers | str) -> Element:
        """Adds a joint between `body` and its parent: "ball", "hinge", "slide" or "free"; angles in radians."""
        known = {key: value if isinstance(value, str) else _text(value) for key, value in attributes.items()}
        return SubElement(body, "joint", {"type": kind} | known)

    def geom(self, body: Element, part: str, kind: str, **attributes: Numbers | str) -> Element:
        """Adds a geom (surface and mass), named after its part."""
        number = self._counts[part] = self._counts.get(part, -1) + 1
        known = {key: value if isinstance(value, str) else _text(value) for key, value in attributes.items()}
        return SubElement(body, "geom", {"name": f"{part}/{number}", "type": kind} | known)

    def flex(
        self, part: str, bodies: Sequence[str], elements: Int[np.ndarray, "e n"], texcoords: Float[np.ndarray, "v 2"],
        material: str, radius: float, **elasticity: Numbers | str,
    ) -> Element:  # fmt: skip
        """Adds a flexible body, named after its part; its vertices are the origins of `bodies`, at rest as built.

        Args:
            elements: triangles of a sheet or tetrahedra of a solid, as indices into `bodies`.
            radius: half the drawn thickness, in metres.
            elasticity: as in MJCF.
        """
        number = self._counts[part] = self._counts.get(part, -1) + 1
        flex = SubElement(
            self._deformable, "flex", name=f"{part}/{number}", dim=str(elements.shape[1] - 1), body=" ".join(bodies),
            element=" ".join(map(str, elements.ravel())), texcoord=_text(texcoords), material=material, radius=str(radius),
        )  # fmt: skip
        SubElement(flex, "contact", contype="0", conaffinity="0", selfcollide="none")
        known = {key: value if isinstance(value, str) else _text(value) for key, value in elasticity.items()}
        SubElement(flex, "elasticity", known)
        return flex

    def connect(self, body1: str, body2: str, anchor: Numbers, stiffness: float = 0.02) -> None:
        """Bonds two bodies at a point of the first one's frame; `stiffness` is the bond's time constant, in seconds."""
        SubElement(self._equality, "connect", body1=body1, body2=body2, anchor=_text(anchor), solref=f"{stiffness} 1")

    def element(self, parent: Element, tag: str, attributes: Mapping[str, str]) -> Element:
        """Adds any other MJCF element."""
        return SubElement(parent, tag, dict(attributes))

    def text(self) -> str:
        ElementTree.indent(self._root)
        return ElementTree.tostring(self._root, encoding="unicode")


def with_second_hand(mjcf: str) -> str:
    """The same scene with a second hand, to hold two points at once; existing elements are unchanged."""
    root = ElementTree.fromstring(mjcf)
    world, equality = root.find("worldbody"), root.find("equality")
    assert world is not None and equality is not None, "MjcfBuilder writes both"
    _add_hand_body(world, SECOND_HAND)
    _add_bonds(equality, SECOND_HAND)
    return ElementTree.tostring(root, encoding="unicode")


def _add_rails(world: Element, name: str) -> Element:
    """Adds the hand `name`, and the body that hands are tied to while they hold nothing."""
    _add_hand_body(world, name)
    return SubElement(world, "body", {"pos": "0 0 0", "name": ANCHOR})


def _add_hand_body(world: Element, name: str) -> None:
    """Adds a massless hand on three rails parallel to the picture's axes: two are driven, depth is free."""
    hand = SubElement(world, "body", {"pos": "0 0 0", "gravcomp": "1", "name": name})
    for axis, direction in zip("xyz", np.eye(3), strict=True):
        SubElement(hand, "joint", name=f"{name}_{axis}", type="slide", axis=_text(direction), damping="0")
    SubElement(hand, "inertial", pos="0 0 0", mass=str(HAND_MASS), diaginertia="1e-8 1e-8 1e-8")


def _add_bonds(equality: Element, name: str) -> None:
    """Adds the constraints that drive a hand along its rails and tie it to the held point."""
    for axis in "xy":
        SubElement(
            equality, "joint", name=f"{name}_{axis}", joint1=f"{name}_{axis}", polycoef="0 0 0 0 0",
            solref="0.01 1", solimp=GRIP, active="false",
        )  # fmt: skip
    SubElement(
        equality, "connect", name=name, body1=name, body2=ANCHOR, anchor="0 0 0", solref="0.01 1",
        solimp=GRIP, active="false",
    )  # fmt: skip


def _text(numbers: Numbers) -> str:
    """Numbers in MJCF's notation, with nine digits so that a scene is the same on every machine."""
    return " ".join(f"{value:.9g}" for value in np.asarray(numbers, np.float64).ravel())
