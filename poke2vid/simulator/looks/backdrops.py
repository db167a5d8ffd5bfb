"""Surroundings: out-of-focus pictures behind the object, and floors seen from above.

A backdrop is composed small, defocused by a lens's disc in (nearly) linear light, and only then developed and enlarged:
lamps bloom into discs as in photographs, at the cost of a small picture.
"""

from collections.abc import Callable
from typing import Literal, get_args

import cv2
import numpy as np
from jaxtyping import UInt8

from poke2vid.simulator.looks.textures import (
    Colour,
    Field,
    Paint,
    Picture,
    Rng,
    cloth,
    cloth_colours,
    finish,
    fractal,
    grid,
    lch,
    mix,
    natural,
    pick,
    shade,
    step,
    uneven,
    wood,
)
from poke2vid.types import InputError

BackdropKind = Literal[
    "wall", "wallpaper", "bricks", "tiles", "window", "shelf", "room", "foliage", "hedge", "studio", "night"
]
FloorKind = Literal["planks", "table", "tiles", "carpet", "concrete", "lawn", "cloth"]
COMPOSED = 160  # pixels a side at which a backdrop is composed; blur would hide the detail of a larger one
SMALLEST_PHOTO = 8  # pixels a side


def _bare(colour: Colour, side: int) -> Paint:
    return np.full((side, side, 3), colour, dtype=np.float32)


def _box(side: int, top: float, bottom: float, left: float, right: float, soft: float = 0.008) -> Field:
    """Mask of a rectangle given in shares of the side, with soft edges."""
    y, x = grid(side, side)
    inside = np.minimum(np.minimum(y - top, bottom - y), np.minimum(x - left, right - x))
    return step(inside, -soft, soft)


def _lamplight(rng: Rng, side: int, depth: float = 0.45) -> Field:
    """Slightly uneven light from one side or corner that falls off by up to `depth`."""
    y, x = grid(side, side)
    at_y, at_x = rng.uniform(-0.3, 1.0), rng.uniform(-0.3, 1.3)
    far = np.hypot(y - at_y, x - at_x) / rng.uniform(0.9, 1.6)
    return (1.08 - rng.uniform(0.3, 1) * depth * step(far, 0.0, 1.2)) * (0.97 + 0.06 * fractal(rng, (side, side), 2, 2))


def _defocus(paint: Paint, radius: float) -> Paint:
    """Lens blur: every point becomes a disc of `radius` (share of the side), and bright ones bloom."""
    r = radius * paint.shape[0]
    if r < 0.5:
        return paint
    reach = int(np.ceil(r))
    offsets = np.arange(-reach, reach + 1)
    disc = np.clip(r + 0.5 - np.hypot(offsets[:, None], offsets[None, :]), 0, 1).astype(np.float32)
    blurred = cv2.filter2D(paint * paint, -1, disc / disc.sum(), borderType=cv2.BORDER_REFLECT)
    return np.sqrt(np.maximum(blurred, 0))


def _develop(rng: Rng, paint: Paint, size: int) -> UInt8[np.ndarray, "h2 w2 3"]:
    """Enlarges a picture and adds a random camera's white balance, exposure, vignette and grain."""
    y, x = grid(paint.shape[0], paint.shape[1])
    light = rng.uniform(0.88, 1.06) * (1 - rng.uniform(0, 0.5) * ((y - 0.5) ** 2 + (x - 0.5) ** 2))
    warmth = rng.normal(0, 0.02)
    balanced = paint * light[..., None] * np.array([1 + warmth, 1, 1 - warmth], dtype=np.float32)
    large = cv2.resize(balanced.astype(np.float32), (size, size), interpolation=cv2.INTER_CUBIC)
    speckle = rng.random((size // 2 + 1, size // 2 + 1), dtype=np.float32) - 0.5
    grain = cv2.resize(speckle, (size, size), interpolation=cv2.INTER_LINEAR) * np.float32(rng.uniform(0.01, 0.05))
    return finish(large + grain[..., None])


def _wall(rng: Rng, side: int) -> Paint:
    """A painted wall: plaster, light falling off, sometimes a window's light on it or a skirting board."""
    colour = natural(rng, "wall")
    y, x = grid(side, side)
    plaster = 0.7 * fractal(rng, (side, side), 6, 4) + 0.3 * fractal(rng, (side, side), 6, 24)
    light = _lamplight(rng, side)
    if rng.random() < 0.35:  # panes of sunlight, slanted
        slant, width = rng.uniform(-0.8, 0.8), rng.uniform(0.25, 0.6)
        at = x + slant * y - rng.uniform(0.2, 0.8)
        panes = step(np.abs(at), width / 2 + 0.04, width / 2 - 0.04) * step(np.abs(at), 0.005, 0.04)
        light = light * (0.85 + 0.3 * panes * step(y, 1.0, 0.6))
    paint = uneven(colour, 3, plaster)
    if rng.random() < 0.3:
        paint = mix(paint, lch(rng.uniform(70, 92), 4, 85), _box(side, rng.uniform(0.8, 0.95), 2, -1, 2))
    return _defocus(paint * light[..., None], rng.uniform(0, 0.015))


def _wallpaper(rng: Rng, side: int) -> Paint:
    """Wallpaper: a pattern in two near tones of one colour."""
    colour = natural(rng, "wall")
    tones = (colour, shade(colour, rng.uniform(5, 14) * pick(rng, (-1, 1))), shade(colour, rng.uniform(-12, 8), 1.3))
    printed = cloth(rng, pick(rng, ("stripes", "dots", "floral", "floral", "checks")), tones, folds=0.0, size=side)
    paint = printed.astype(np.float32) / 255
    if rng.random() < 0.6:  # a finer repeat
        paint = np.tile(cv2.resize(paint, (side // 2, side // 2), interpolation=cv2.INTER_AREA), (2, 2, 1))
    return _defocus(paint * _lamplight(rng, side)[..., None], rng.uniform(0.004, 0.02))


def _courses(rng: Rng, side: int, rows: int, columns: int, offset: float, joint: float) -> tuple[Field, Field]:
    """Bricks or tiles: a mask that is 0 at the joints, and a random number for every brick."""
    y, x = grid(side, side)
    row, course = (y[:, 0] * rows).astype(np.int64), np.arange(rows)[:, None]
    shifted = x * columns + (offset * (course % 2)).astype(np.float32)  # one line of pixels for every course
    number = rng.random((rows, columns + 1), dtype=np.float32)[course, shifted.astype(np.int64)]
    edge_y, edge_x = 0.5 - np.abs(y * rows % 1 - 0.5), 0.5 - np.abs(shifted % 1 - 0.5)
    inside = np.minimum(edge_y / rows, (edge_x / columns)[row])
    return step(inside, joint * 0.4, joint), number[row]


def _bricks(rng: Rng, side: int) -> Paint:
    colour = pick(rng, (lch(rng.uniform(36, 52), rng.uniform(16, 32), rng.uniform(38, 60)), natural(rng, "wall")))
    rows = int(rng.integers(7, 14))
    solid, number = _courses(rng, side, rows, rows // 2, 0.5, 0.012)
    rough = fractal(rng, (side, side), 6, 12, gain=0.7)
    bricks = uneven(colour, 8, 0.55 * number + 0.45 * rough)
    mortar = uneven(lch(rng.uniform(50, 78), 5, 80), 4, rough)
    return _defocus(mix(mortar, bricks, solid) * _lamplight(rng, side)[..., None], rng.uniform(0.004, 0.018))


def _tiles(rng: Rng, side: int) -> Paint:
    """Glazed wall tiles, each with a slightly different reflection."""
    colour, rows = natural(rng, "glaze"), int(rng.integers(4, 10))
    running = bool(rng.random() < 0.5)
    solid, number = _courses(rng, side, rows, rows // 2 if running else rows, 0.5 * running, 0.008)
    sheen = step(fractal(rng, (side, side), 2, 2) + 0.25 * (number - 0.5), 0.5, 1.0)
    tiles = mix(uneven(colour, 3, number), lch(96, 2, 90), 0.45 * sheen)
    joints = _bare(shade(colour, -14 if sum(colour) > 1.5 else 16, 0.4), side)
    return _defocus(mix(joints, tiles, solid) * _lamplight(rng, side)[..., None], rng.uniform(0.004, 0.018))


def _window(rng: Rng, side: int) -> Paint:
    """A bright window in a dim room, with something green or pale outside, and perhaps curtains."""
    wall = shade(natural(rng, "wall"), rng.uniform(-35, -12))
    paint = uneven(wall, 2, fractal(rng, (side, side), 5, 4))
    skyline = fractal(rng, (side, side), 4, 2) - grid(side, side)[0] + rng.uniform(-0.3, 0.3)
    garden = uneven(natural(rng, "leaf"), 16, fractal(rng, (side, side), 6, 4))
    outside = mix(garden, (1.5, 1.55, 1.6), step(skyline, -0.1, 0.25))  # the sky is brighter than white
    top, left = rng.uniform(-0.2, 0.2), rng.uniform(-0.1, 0.35)
    bottom, right = rng.uniform(0.6, 0.9), left + rng.uniform(0.45, 0.8)
    frame = lch(rng.uniform(60, 92), 4, 80)
    paint = mix(paint, frame, _box(side, top - 0.03, bottom + 0.04, left - 0.03, right + 0.03))
    columns, rows = int(rng.integers(1, 4)), int(rng.integers(1, 4))
    for i in range(columns):
        for j in range(rows):
            x0, y0 = left + (right - left) * i / columns, top + (bottom - top) * j / rows
            pane = _box(
                side, y0 + 0.012, y0 + (bottom - top) / rows - 0.012, x0 + 0.012, x0 + (right - left) / columns - 0.012
            )
            paint = mix(paint, outside, pane)
    if rng.random() < 0.5:
        folds = fractal(rng, (side, side), 3, 8, stretch=(8, 1))
        sheer = uneven(shade(natural(rng, "cloth"), 15, 0.6), 10, folds)
        for edge in (left, right):
            paint = mix(paint, sheer, 0.9 * _box(side, -1, 2, edge - 0.14, edge + 0.1))
    return _defocus(paint, rng.uniform(0.012, 0.04))


def _shelf(rng: Rng, side: int) -> Paint:
    """Shelves of books, far out of focus."""
    board = natural(rng, "wood")
    paint = uneven(shade(board, -22), 4, fractal(rng, (side, side), 4, 3))
    num_shelves, scheme = int(rng.integers(2, 5)), [natural(rng, "cloth") for _ in range(7)]
    top = rng.uniform(-0.25, 0)
    height = (1.2 - top) / num_shelves
    for _ in range(num_shelves):
        x, foot = rng.uniform(-0.05, 0.05), round((top + height - 0.03) * side)
        while x < 1:
            width = rng.uniform(0.018, 0.06)
            if rng.random() < 0.85:
                head = round((top + height * rng.uniform(0.12, 0.4)) * side)
                colour = np.float32(rng.uniform(0.8, 1.1)) * np.asarray(pick(rng, scheme), dtype=np.float32)
                paint[max(head, 0) : max(foot, 0), round(max(x, 0) * side) : round((x + width * 0.92) * side)] = colour
            x += width
        paint[max(foot, 0) : max(foot + round(0.03 * side), 0)] = board
        top += height
    return _defocus(paint * _lamplight(rng, side)[..., None], rng.uniform(0.012, 0.035))


def _room(rng: Rng, side: int) -> Paint:
    """A wall with furniture, pictures and a lamp, too blurred to recognise."""
    paint = uneven(natural(rng, "wall"), 3, fractal(rng, (side, side), 5, 3))
    for _ in range(int(rng.integers(1, 4))):  # pictures
        top, left, h, w = rng.uniform(0, 0.35), rng.uniform(0, 0.85), rng.uniform(0.1, 0.3), rng.uniform(0.1, 0.3)
        paint = mix(paint, natural(rng, pick(rng, ("wood", "glaze"))), _box(side, top, top + h, left, left + w))
        paint = mix(paint, natural(rng, "cloth"), _box(side, top + 0.02, top + h - 0.02, left + 0.02, left + w - 0.02))
    for _ in range(int(rng.integers(1, 4))):  # furniture
        top, left, w = rng.uniform(0.45, 0.8), rng.uniform(-0.2, 0.8), rng.uniform(0.2, 0.7)
        colour = natural(rng, pick(rng, ("wood", "cloth", "wood")))
        paint = mix(
            paint, uneven(colour, 5, fractal(rng, (side, side), 4, 4)), _box(side, top, 2, left, left + w, 0.02)
        )
    light = _lamplight(rng, side, 0.6)
    if rng.random() < 0.5:
        y, x = grid(side, side)
        far = np.hypot(y - rng.uniform(0.1, 0.6), x - rng.uniform(0, 1))
        light = light + 0.6 * np.exp(-((far / 0.2) ** 2)) + 1.0 * step(far, 0.08, 0.05)
    return _defocus(paint * light[..., None], rng.uniform(0.02, 0.05))


def _discs(rng: Rng, paint: Paint, count: int, radius: tuple[float, float], lights: list[Colour], gain: float) -> Paint:
    """Adds bright points out of focus: discs with a slightly brighter rim, in linear light."""
    side = paint.shape[0]
    linear = paint * paint
    for _ in range(count):
        r, cy, cx = rng.uniform(*radius) * side, rng.uniform(-0.05, 1.05) * side, rng.uniform(-0.05, 1.05) * side
        y0, y1, x0, x1 = (min(max(int(edge), 0), side) for edge in (cy - r - 2, cy + r + 3, cx - r - 2, cx + r + 3))
        far = np.hypot(np.arange(y0, y1)[:, None] + 0.5 - cy, np.arange(x0, x1)[None, :] + 0.5 - cx) / r
        disc = step(far, 1 + 1.2 / r, 1 - 1.2 / r) * (0.75 + 0.25 * np.minimum(far, 1) ** 4)
        light = np.asarray(pick(rng, lights), dtype=np.float32) ** 2 * gain * rng.uniform(0.2, 1)
        linear[y0:y1, x0:x1] += (disc[..., None] * light).astype(np.float32)
    return np.sqrt(linear)


def _foliage(rng: Rng, side: int) -> Paint:
    """A garden: masses of leaves, gaps of sky, glints."""
    green = lch(rng.uniform(26, 48), rng.uniform(18, 34), rng.uniform(108, 132))
    masses, leaves = fractal(rng, (side, side), 4, 3), fractal(rng, (side, side), 6, 8, gain=0.75)
    paint = uneven(green, 20, step(0.4 * masses + 0.6 * leaves, 0.2, 0.8))
    autumn = lch(rng.uniform(40, 62), rng.uniform(18, 36), rng.uniform(60, 105))
    paint = mix(paint, autumn, rng.uniform(0, 0.7) * step(fractal(rng, (side, side), 5, 4), 0.55, 0.8))
    sky = step(fractal(rng, (side, side), 6, 5, gain=0.7) - 0.5 * grid(side, side)[0], 0.35, 0.6)
    paint = mix(paint, lch(rng.uniform(80, 97), 5, rng.uniform(90, 250)), rng.uniform(0, 0.9) * sky)
    paint = _defocus(paint, rng.uniform(0.015, 0.04))
    glints = [shade(green, 40, 0.8), lch(88, 16, 105), lch(92, 4, 200)]
    radius = rng.uniform(0.015, 0.05)
    return _discs(rng, paint, int(rng.integers(0, 60)), (radius * 0.8, radius * 1.2), glints, rng.uniform(0.1, 0.35))


def _hedge(rng: Rng, side: int) -> Paint:
    """Sky over trees, a hedge or hills, and perhaps a meadow."""
    y, _ = grid(side, side)
    overcast = rng.uniform(0, 1)
    zenith = lch(rng.uniform(58, 80), 24 * (1 - overcast), rng.uniform(245, 265))
    clouds = step(fractal(rng, (side, side), 6, 3, stretch=(1, 2)), rng.uniform(0.3, 0.6), 0.85)
    sky = mix(zenith, lch(rng.uniform(86, 95), rng.uniform(2, 8), rng.uniform(60, 240)), step(y, 0.0, 0.7))
    paint = mix(np.broadcast_to(sky, (side, side, 3)), lch(94, 2, 90), 0.8 * clouds)
    horizon = rng.uniform(0.35, 0.7)
    for nearer in range(int(rng.integers(1, 4))):  # farther ones are bluer and paler
        outline = cv2.resize(fractal(rng, (8, side), 5, 2), (side, 1), interpolation=cv2.INTER_AREA) - 0.5
        edge = horizon + 0.07 * nearer + rng.uniform(0.1, 0.4) * outline
        haze = max(0.0, 0.5 - 0.25 * nearer) * rng.uniform(0, 1)
        colour = lch(
            rng.uniform(22, 44) + 40 * haze, rng.uniform(10, 26) * (1 - haze), rng.uniform(108, 136) + 30 * haze
        )
        leaves = uneven(colour, 12, fractal(rng, (side, side), 6, 8, gain=0.7))
        rough = y + 0.1 * (fractal(rng, (side, side), 5, 10) - 0.5)
        paint = mix(paint, leaves, step(rough - edge, -0.01, 0.02))
    if rng.random() < 0.6:
        meadow = uneven(
            lch(rng.uniform(38, 60), rng.uniform(18, 34), rng.uniform(106, 122)), 7, fractal(rng, (side, side))
        )
        paint = mix(paint, meadow, step(y - horizon - rng.uniform(0.12, 0.3) + 0 * rough, -0.01, 0.01))
    return _defocus(paint, rng.uniform(0.008, 0.03))


def _studio(rng: Rng, side: int) -> Paint:
    """Seamless paper or cloth, with a pool of light on it."""
    colour = natural(rng, pick(rng, ("wall", "cloth", "stone")))
    y, x = grid(side, side)
    far = np.hypot((y - rng.uniform(0.2, 0.7)) * rng.uniform(0.8, 1.3), x - rng.uniform(0.3, 0.7))
    pool = np.exp(-((far / rng.uniform(0.35, 0.8)) ** 2))
    painted = rng.uniform(0, 6) * (fractal(rng, (side, side), 5, 3) - 0.5) / 20  # canvas, dabbed with a brush
    floor_light = rng.uniform(0, 0.15) * step(y, 0.6, 0.9)
    return _bare(colour, side) * (rng.uniform(0.35, 0.75) + 0.45 * pool + painted + floor_light)[..., None]


def _night(rng: Rng, side: int) -> Paint:
    """A street or a room at night: discs of lamplight in the dark."""
    ground = lch(rng.uniform(5, 20), rng.uniform(2, 10), rng.uniform(220, 310))
    paint = _defocus(uneven(ground, 7, fractal(rng, (side, side), 5, 3)), 0.03)
    warm = [lch(rng.uniform(66, 86), rng.uniform(20, 42), rng.uniform(55, 90)) for _ in range(4)]
    lights = [*warm, lch(85, 6, 90), lch(60, 34, 35), lch(66, 16, 245), lch(66, 20, 165)]
    radius = rng.uniform(0.015, 0.055)
    return _discs(rng, paint, int(rng.integers(15, 60)), (0.7 * radius, 1.3 * radius), lights, rng.uniform(0.3, 0.9))


_BACKDROPS: dict[BackdropKind, Callable[[Rng, int], Paint]] = {
    "wall": _wall, "wallpaper": _wallpaper, "bricks": _bricks, "tiles": _tiles, "window": _window, "shelf": _shelf,
    "room": _room, "foliage": _foliage, "hedge": _hedge, "studio": _studio, "night": _night,
}  # fmt: skip


def backdrop(rng: Rng, size: int = 512, kind: BackdropKind | None = None) -> Picture:
    """An out-of-focus picture to go behind the object, `size` pixels a side; None draws a random kind."""
    compose = _BACKDROPS[pick(rng, get_args(BackdropKind)) if kind is None else kind]
    return _develop(rng, compose(rng, COMPOSED), size)


def photo_backdrop(rng: Rng, photo: Picture, size: int = 512) -> UInt8[np.ndarray, "h2 w2 3"]:
    """A square crop of a photograph (half of its shorter side or more), perhaps flipped, defocused and relit."""
    shorter = min(photo.shape[:2])
    if shorter < SMALLEST_PHOTO:
        raise InputError(
            f"A photograph of {photo.shape[1]} x {photo.shape[0]} pixels is too small for a backdrop: "
            f"give one of at least {SMALLEST_PHOTO} pixels a side."
        )
    side = int(rng.integers((shorter + 1) // 2, shorter + 1))
    top, left = (int(rng.integers(extent - side + 1)) for extent in photo.shape[:2])
    crop = photo[top : top + side, left : left + side]
    crop = crop[:, ::-1] if rng.random() < 0.5 else crop
    small = cv2.resize(np.ascontiguousarray(crop), (COMPOSED, COMPOSED), interpolation=cv2.INTER_AREA)
    paint = _defocus(small.astype(np.float32) / 255, rng.uniform(0.006, 0.03))
    return _develop(rng, paint * _lamplight(rng, COMPOSED, 0.3)[..., None], size)


def _planks(rng: Rng, size: int) -> Paint:
    """Boards down the columns, each with its own tone, with staggered butt joints."""
    boards = int(rng.integers(5, 12))
    solid, number = (part.T for part in _courses(rng, size, boards, int(rng.integers(1, 3)), 0.5, 0.005))
    grain = 0.6 * fractal(rng, (size, size), cells=24, stretch=(16, 1)) + 0.4 * fractal(rng, (size, size), 6, 4)
    planks = uneven(natural(rng, "wood"), 10, 0.5 * grain + 0.5 * number)
    return mix((0.05, 0.04, 0.03), planks, 0.4 + 0.6 * solid)


def _table(rng: Rng, size: int) -> Paint:
    return cv2.resize(wood(rng, size=256), (size, size), interpolation=cv2.INTER_CUBIC) / np.float32(255)


def _slabs(rng: Rng, size: int) -> Paint:
    """Stone or ceramic tiles, perhaps in two colours like a chessboard."""
    colour, rows = natural(rng, pick(rng, ("stone", "clay", "glaze"))), int(rng.integers(4, 10))
    staggered = bool(rng.random() < 0.3)
    solid, number = _courses(rng, size, rows, rows, 0.5 * staggered, 0.006)
    tone = 0.35 * number + 0.65 * fractal(rng, (size, size), 7, 5, gain=0.65)
    tiles = uneven(colour, 6, tone) * (0.6 + 0.4 * solid)[..., None]
    if staggered or rng.random() < 0.5:
        return tiles
    y, x = (np.floor(t * rows) % 2 for t in grid(size, size))
    return mix(tiles, shade(colour, -30 if sum(colour) > 1.5 else 30, 0.8), rng.uniform(0.3, 0.9) * (y != x) * solid)


def _carpet(rng: Rng, size: int) -> Paint:
    """Short pile, plain or with a woven pattern."""
    colours = cloth_colours(rng)
    pile, worn = fractal(rng, (size, size), 3, size // 4), fractal(rng, (size, size), 4, 4)
    paint = uneven(colours[0], 7, 0.6 * pile + 0.4 * worn)
    if rng.random() < 0.5:
        printed = cloth(rng, pick(rng, ("stripes", "tartan", "dots", "floral")), colours, 0.0, size=128)
        large = cv2.resize(printed, (size, size), interpolation=cv2.INTER_LINEAR) / np.float32(255)
        paint = paint * np.float32(0.4) + large * (0.5 + 0.2 * pile)[..., None]
    return paint


def _concrete(rng: Rng, size: int) -> Paint:
    """Cast or rubbed concrete, earth or sand: stains, pores, sometimes a joint."""
    colour = pick(rng, (natural(rng, "stone"), lch(rng.uniform(38, 66), rng.uniform(8, 20), rng.uniform(60, 85))))
    stains, pores = fractal(rng, (size, size), 7, 2, gain=0.6), fractal(rng, (size, size), 3, 64)
    paint = uneven(colour, 8, 0.8 * stains + 0.2 * pores)
    return mix(paint, shade(colour, -20), 0.5 * step(pores, 0.2, 0.05))


def _lawn(rng: Rng, size: int) -> Paint:
    """Grass, trodden and dry in places."""
    green = lch(rng.uniform(34, 52), rng.uniform(20, 34), rng.uniform(106, 122))
    blades = fractal(rng, (size, size), 4, size // 8, gain=0.9, stretch=(2, 1))
    tufts = fractal(rng, (size, size), 5, 6, gain=0.7)
    dry = rng.uniform(0, 0.6) * step(fractal(rng, (size, size), 6, 3), 0.5, 0.8)
    return mix(uneven(green, 17, 0.65 * blades + 0.35 * tufts), lch(52, 24, 88), dry * (0.5 + blades))


def _spread(rng: Rng, size: int) -> Paint:
    """A table cloth."""
    large = cv2.resize(cloth(rng, folds=rng.uniform(0, 0.3), size=256), (size, size), interpolation=cv2.INTER_LINEAR)
    return large / np.float32(255)


_FLOORS: dict[FloorKind, Callable[[Rng, int], Paint]] = {
    "planks": _planks, "table": _table, "tiles": _slabs, "carpet": _carpet, "concrete": _concrete, "lawn": _lawn,
    "cloth": _spread,
}  # fmt: skip


def floor(rng: Rng, size: int = 512, shadow: float | None = None, kind: FloorKind | None = None) -> Picture:
    """A floor for the object to stand on, seen from above; None draws a random kind.

    `shadow`: paints the soft round shadow of an object in the middle, half as dark at this radius (share of the side).
    """
    paint = _FLOORS[pick(rng, get_args(FloorKind)) if kind is None else kind](rng, size)
    light = cv2.resize(_lamplight(rng, 64, 0.25).astype(np.float32), (size, size), interpolation=cv2.INTER_LINEAR)
    if shadow is not None:
        y, x = grid(size, size)
        under = step(np.hypot(y - 0.5, x - 0.5), 2 * shadow, 0)
        light = light * (1 - rng.uniform(0.45, 0.7) * under)
    return finish(paint, light)
