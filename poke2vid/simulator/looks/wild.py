"""Scenes painted unlike their family: parts in any colour, foreign textures, photographs behind them.

Training only on green plants before calm walls does not transfer to photographs. Everything here draws from a separate
random stream, so it does not change a scene's shape, physics and pokes.
"""

import re
from dataclasses import replace

import cv2
import numpy as np
from jaxtyping import UInt8

from poke2vid.simulator.looks.backdrops import photo_backdrop
from poke2vid.simulator.looks.photographs import Photographs
from poke2vid.simulator.looks.textures import Colour, lch
from poke2vid.simulator.mjcf import BACKDROP, FLOOR, SCENE
from poke2vid.simulator.scene import Scene

PHOTO_SHARE = 0.6  # of scenes, before a photograph instead of a painted backdrop
SHARP_SHARE = 0.5  # of those: in focus, with all its clutter
FLOOR_SHARE = 0.3  # of scenes: the floor shows a photograph, too
COLOUR_SHARE = 0.45  # of scenes: some parts have one flat colour each
PART_SHARE = 0.5  # of the parts of such a scene
HUE_SHARE = 0.6  # of scenes: all of the object's textures are turned to other hues
FOREIGN_SHARE = 0.5  # of textures of such a scene: a piece of a photograph instead
COLLAGE_SHARE = 0.4  # of scenes: flat, unmoving shapes are scattered over the backdrop
_PART = re.compile(r'name="([^"/]+)/\d+"')


def wild(scene: Scene, rng: np.random.Generator, photographs: Photographs) -> Scene:
    """The scene in other colours, before another backdrop; without photographs the painted backdrops stay."""
    textures = dict(scene.textures)
    own = sorted(name for name in textures if name not in (BACKDROP, FLOOR))
    if rng.random() < HUE_SHARE:
        for name in own:
            foreign = photographs.draw(rng) if rng.random() < FOREIGN_SHARE else None
            textures[name] = turned(textures[name], rng) if foreign is None else piece(foreign, textures[name], rng)
    for name, share in ((BACKDROP, PHOTO_SHARE), (FLOOR, FLOOR_SHARE)):
        photo = photographs.draw(rng) if name in textures and rng.random() < share else None
        if photo is None:
            continue
        sharp = name == FLOOR or rng.random() < SHARP_SHARE
        side = textures[name].shape[0]
        textures[name] = piece(photo, textures[name], rng) if sharp else photo_backdrop(rng, photo, side)
    if rng.random() < COLLAGE_SHARE:
        textures[BACKDROP] = collage(textures[BACKDROP], rng, photographs)
    return replace(scene, textures=textures, tints=_tints(scene, rng) if rng.random() < COLOUR_SHARE else {})


def collage(
    picture: UInt8[np.ndarray, "h w 3"], rng: np.random.Generator, photographs: Photographs
) -> UInt8[np.ndarray, "h w 3"]:
    """A backdrop with shapes on it, of flat colour or pieces of photographs, sharp or out of focus."""
    result = picture.copy()
    side = picture.shape[0]
    for _ in range(int(rng.integers(2, 9))):
        shape = np.zeros((side, side), np.uint8)
        corners = rng.uniform(0, side, size=2) + rng.uniform(0.03, 0.25) * side * rng.normal(
            size=(int(rng.integers(3, 9)), 2)
        )
        cv2.fillPoly(
            shape, [cv2.convexHull(corners.astype(np.int32)) if rng.random() < 0.7 else corners.astype(np.int32)], 255
        )
        flat = np.array(lch(rng.uniform(12, 95), rng.uniform(0, 55), rng.uniform(0, 360))) * 255
        photo = photographs.draw(rng) if rng.random() < 0.4 else None
        paint = np.broadcast_to(flat, picture.shape) if photo is None else piece(photo, picture, rng)
        edge = cv2.GaussianBlur(shape, (0, 0), float(rng.choice([0.7, 3.0, 8.0])))[..., None] / np.float32(255)
        result = (result * (1 - edge) + paint * edge).astype(np.uint8)
    return result


def _tints(scene: Scene, rng: np.random.Generator) -> dict[str, Colour]:
    """Flat colours for some of the object's parts."""
    parts = sorted(set(_PART.findall(scene.mjcf)) - {SCENE})
    chosen = [part for part in parts if rng.random() < PART_SHARE]
    return {part: lch(rng.uniform(12, 95), rng.uniform(0, 60), rng.uniform(0, 360)) for part in chosen}


def turned(picture: UInt8[np.ndarray, "h w 3"], rng: np.random.Generator) -> UInt8[np.ndarray, "h w 3"]:
    """A texture in another hue, with other contrast."""
    lab = cv2.cvtColor(picture.astype(np.float32) / 255, cv2.COLOR_RGB2Lab)
    angle, gain = rng.uniform(0, 2 * np.pi), rng.uniform(0.3, 1.8)
    a, b = lab[..., 1].copy(), lab[..., 2].copy()
    lab[..., 1] = gain * (np.cos(angle) * a - np.sin(angle) * b)
    lab[..., 2] = gain * (np.sin(angle) * a + np.cos(angle) * b)
    mean = float(lab[..., 0].mean())
    lab[..., 0] = np.clip(rng.uniform(15, 85) + (lab[..., 0] - mean) * rng.uniform(0.6, 1.6), 0, 100)
    return (np.clip(cv2.cvtColor(lab, cv2.COLOR_Lab2RGB), 0, 1) * 255).round().astype(np.uint8)


def piece(
    photo: UInt8[np.ndarray, "h w 3"], like: UInt8[np.ndarray, "h2 w2 3"], rng: np.random.Generator
) -> UInt8[np.ndarray, "h2 w2 3"]:
    """A random piece of a photograph, in focus, at the size of a texture; six faces stacked vertically for a cube."""
    height, width = like.shape[:2]
    faces = 6 if height == 6 * width else 1
    shorter = min(photo.shape[:2])
    side = int(rng.integers(max(8, shorter // 3), shorter + 1))
    top, left = (int(rng.integers(extent - side + 1)) for extent in photo.shape[:2])
    crop = photo[top : top + side, left : left + side]
    crop = crop[:, ::-1] if rng.random() < 0.5 else crop
    interpolation = cv2.INTER_AREA if side > width else cv2.INTER_LINEAR
    shrunk = cv2.resize(np.ascontiguousarray(crop), (width, height // faces), interpolation=interpolation)
    bright = np.clip(shrunk.astype(np.float32) * rng.uniform(0.6, 1.2), 0, 255).astype(np.uint8)
    return np.concatenate([bright] * faces)
