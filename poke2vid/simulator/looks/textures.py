"""Procedural surfaces: leaves, stems, pots, wood, cloth, skin, faces, paper, and their natural colours.

Randomness comes only from the generator passed in. Pictures are uint8 RGB; inside, paint is float32 sRGB in [0, 1].
Fibres, grain and strands run down the columns.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal, TypeVar, get_args

import cv2
import numpy as np
from jaxtyping import Float, Float32, UInt8

Rng = np.random.Generator
Picture = UInt8[np.ndarray, "h w 3"]
Paint = Float32[np.ndarray, "h w 3"]  # sRGB in [0, 1]
Field = Float[np.ndarray, "#h #w"]  # mostly in [0, 1]; a single row or column is broadcast
Colour = tuple[float, float, float]  # sRGB in [0, 1], as MuJoCo's rgba takes it
Material = Literal["leaf", "stem", "bark", "wood", "skin", "hair", "clay", "glaze", "metal", "cloth", "wall", "stone"]
LeafKind = Literal["plain", "margin", "centre", "splash", "striped", "autumn"]
ClothKind = Literal["plain", "stripes", "checks", "tartan", "dots", "knit", "floral"]
PotKind = Literal["terracotta", "glazed", "dipped", "concrete"]
PaperKind = Literal["plain", "stripes", "dots", "checks", "floral", "washed"]
T = TypeVar("T")

# CIE LCh ranges seen in photographs, one row per variety: weight, lightness (of 100), chroma, hue (degrees).
_Row = tuple[float, tuple[float, float], tuple[float, float], tuple[float, float]]
_COLOURS: dict[Material, tuple[_Row, ...]] = {
    "leaf": ((6, (36, 54), (24, 40), (114, 130)), (2, (26, 36), (16, 28), (122, 142)), (2, (54, 68), (32, 48), (106, 118)),
             (1, (50, 66), (8, 18), (130, 170)), (0.5, (26, 38), (14, 26), (350, 385))),
    "stem": ((3, (40, 58), (18, 36), (105, 122)), (1, (34, 48), (10, 22), (60, 90)), (0.5, (32, 44), (15, 25), (15, 40))),
    "bark": ((3, (30, 48), (6, 16), (55, 78)), (1, (48, 62), (3, 8), (70, 100)), (1, (24, 34), (8, 16), (45, 62))),
    "wood": ((2, (52, 74), (18, 32), (64, 80)), (2, (36, 52), (18, 32), (54, 68)), (1, (22, 34), (8, 18), (45, 62))),
    "skin": ((3, (68, 80), (15, 24), (48, 66)), (2, (54, 68), (20, 28), (52, 66)), (2, (34, 52), (16, 26), (48, 62))),
    "hair": ((3, (12, 24), (3, 10), (45, 65)), (2, (28, 42), (14, 24), (52, 68)), (1, (56, 72), (20, 34), (72, 84)),
             (0.5, (34, 46), (30, 42), (46, 56)), (0.7, (58, 80), (0, 4), (60, 90))),
    "clay": ((1, (50, 64), (28, 42), (46, 58)), (0.3, (60, 72), (14, 24), (62, 76))),
    "glaze": ((2, (80, 93), (0, 8), (60, 110)), (2, (30, 62), (10, 30), (0, 360)), (1, (18, 32), (0, 14), (0, 360)),
              (1, (62, 80), (10, 28), (0, 360))),
    "metal": ((3, (48, 74), (0, 4), (200, 280)), (1, (56, 70), (22, 36), (78, 88)), (0.7, (48, 60), (26, 36), (50, 60))),
    "cloth": ((3, (30, 60), (8, 32), (0, 360)), (2, (62, 84), (6, 24), (0, 360)), (2, (18, 34), (2, 20), (230, 300)),
              (1, (32, 50), (28, 44), (10, 60)), (2, (74, 90), (0, 8), (60, 110)), (1, (14, 40), (0, 5), (0, 360))),
    "wall": ((4, (76, 93), (1, 9), (60, 110)), (2, (66, 86), (4, 16), (0, 360)), (1, (34, 60), (6, 20), (0, 360))),
    "stone": ((1, (44, 74), (1, 8), (50, 110)),),
}  # fmt: skip


def lch(lightness: float, chroma: float, hue: float) -> Colour:
    """The sRGB colour of a lightness (0 to 100), a chroma (30 is a muted paint, 60 a toy) and a hue in degrees."""
    angle = math.radians(hue)
    lab = np.array([[[lightness, chroma * math.cos(angle), chroma * math.sin(angle)]]], dtype=np.float32)
    return tuple(np.clip(cv2.cvtColor(lab, cv2.COLOR_Lab2RGB), 0, 1)[0, 0].tolist())


def _muted(hue: float) -> float:
    """Share of a chroma to use at a hue: sRGB is narrowest around teal, so a chroma muted elsewhere is garish there."""
    return 1 - 0.4 * max(0.0, math.cos(math.radians(hue - 190)))


def natural(rng: Rng, material: Material) -> Colour:
    """A random colour that this material has in photographs."""
    rows = _COLOURS[material]
    weights = np.array([row[0] for row in rows])
    _, lightness, chroma, hues = rows[int(rng.choice(len(rows), p=weights / weights.sum()))]
    hue = rng.uniform(*hues)
    return lch(rng.uniform(*lightness), _muted(hue) * rng.uniform(*chroma), hue)


def shade(colour: Colour, lighter: float = 0.0, chroma: float = 1.0, turn: float = 0.0) -> Colour:
    """The colour made `lighter` (in L of 100), its chroma multiplied, its hue turned by degrees."""
    lightness, a, b = cv2.cvtColor(np.array([[colour]], dtype=np.float32), cv2.COLOR_RGB2Lab)[0, 0].tolist()
    hue = math.degrees(math.atan2(b, a))
    chroma *= math.hypot(a, b) * _muted(hue + turn) / _muted(hue)
    return lch(min(max(lightness + lighter, 0), 100), chroma, hue + turn)


def cloth_colours(rng: Rng, count: int = 3) -> list[Colour]:
    """Matching clothes colours: a main one, a related or opposite one, a pale or dark neutral."""
    colours = [natural(rng, "cloth")]
    way = 1 if sum(colours[0]) < 1.4 else -1
    neutral = lch(rng.uniform(78, 90), 5, 90) if way > 0 else lch(rng.uniform(16, 30), 8, 270)
    while len(colours) < count:
        turn = pick(rng, (0.0, rng.uniform(-40, 40), 180.0))
        relative = shade(colours[0], way * rng.uniform(14, 32), rng.uniform(0.6, 1.0), turn)
        colours.append(pick(rng, (relative, relative, neutral)))
    return colours


def pick(rng: Rng, choices: Sequence[T]) -> T:
    return choices[int(rng.integers(len(choices)))]


def fractal(
    rng: Rng, shape: tuple[int, int], octaves: int = 6, cells: int = 3, gain: float = 0.55,
    stretch: tuple[int, int] = (1, 1),
) -> Field:  # fmt: skip
    """Smooth noise in [0, 1] (mean 0.5, deviation 0.2), seamless if both sides are multiples of 2 to the octaves.

    The coarsest octave has about `cells` lumps along the shorter side, each further one is `gain` times as strong; `stretch`
    lengthens lumps along (y, x). Octaves are enlarged with Gaussians, so no lattice shows.
    """
    height, width = (-(-side // by) for side, by in zip(shape, stretch, strict=True))
    doublings = max(0, math.ceil(math.log2(max(1.0, min(height, width) / cells))))
    noise = np.zeros((-(-height // 2**doublings), -(-width // 2**doublings)), dtype=np.float32)
    for octave in range(doublings + 1):
        if octave:
            noise = cv2.pyrUp(cv2.copyMakeBorder(noise, 2, 2, 2, 2, cv2.BORDER_WRAP))[4:-4, 4:-4]
        if octave < octaves:
            noise = noise + gain**octave * (rng.random(noise.shape, dtype=np.float32) - 0.5)
    noise = cv2.resize(noise[:height, :width], (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC)
    noise -= noise.mean()
    return np.clip(0.5 + noise * (0.2 / max(float(noise.std()), 1e-6)), 0, 1, dtype=np.float32)


def grid(height: int, width: int) -> tuple[Field, Field]:
    """Pixel centres (y, x) in (0, 1), as a column and a row that broadcast."""
    y, x = ((np.arange(side, dtype=np.float32) + 0.5) / side for side in (height, width))
    return y[:, None], x[None, :]


def step(x: Field, low: float, high: float) -> Field:
    """Smooth step from 0 at `low` to 1 at `high`; `high` may be the smaller."""
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def _veil(paint: Paint | Colour, share: Field) -> Paint:
    """Product of share and paint; numpy would loop over three channels at a time, ten times slower."""
    share = np.ascontiguousarray(share, dtype=np.float32)
    return cv2.merge([share * float(c) for c in paint]) if isinstance(paint, tuple) else paint * cv2.merge((share,) * 3)


def mix(base: Paint | Colour, top: Paint | Colour, share: Field) -> Paint:
    """Blend of `base` (share 0) and `top` (share 1)."""
    return _veil(base, 1 - share) + _veil(top, share)


def uneven(colour: Colour, spread: float, share: Field) -> Paint:
    """The colour, darker by `spread` (in L of 100) where `share` is 0 and as much lighter where it is 1."""
    return mix(shade(colour, -spread), shade(colour, spread, 1.05, -4), share)


def finish(paint: Paint, light: Field | float = 1.0) -> Picture:
    """Picture of the paint, multiplied by `light`."""
    lit = np.ascontiguousarray(np.broadcast_to(np.asarray(light, dtype=np.float32), paint.shape[:2]))
    return cv2.multiply(np.ascontiguousarray(paint), cv2.merge((lit, lit, lit)), scale=255, dtype=cv2.CV_8U)


def leaf(
    rng: Rng, colour: Colour | None = None, kind: LeafKind | None = None, underside: bool = False, size: int = 128
) -> Picture:
    """A leaf blade: columns from stalk to tip, rows across it, the midrib in the middle row; a few are grass-like.

    Without a `kind` it is mostly plain. The `underside` is paler and greyer, with raised veins.
    """
    colour = colour or natural(rng, "leaf")
    kind = kind or pick(rng, (*get_args(LeafKind), *("plain",) * 5))
    y, u = grid(size, size)
    v, across = 2 * y - 1, np.abs(2 * y - 1)
    rough, fine = fractal(rng, (size, size), 5, gain=0.45), fractal(rng, (size, size), cells=10, stretch=(1, 2)) - 0.5
    if rng.random() < 0.15:  # veins along the blade, not out from the midrib
        phase = rng.integers(5, 9) * across + 0.15 * (rough - 0.5)
    else:
        lean, bend = rng.uniform(0.12, 0.35), rng.uniform(0.7, 1.3)
        phase = rng.integers(6, 11) * (u - lean * across**bend) + 0.5 * (v > 0) * rng.random() + 0.25 * (rough - 0.5)
    between = np.abs(phase - np.round(phase))  # 0 on a side vein, 0.5 half way to the next
    veins = np.exp(-((between / 0.09) ** 2)) * (1 - 0.75 * across)
    rib = np.exp(-((v / 0.05) ** 2)) * (1 - 0.7 * u)
    pale = shade(colour, rng.uniform(9, 20), 0.85, -8)
    paint = mix(uneven(colour, 7, rough), *_leaf_mark(rng, kind, colour, rough, u, across, between))
    rim = shade(colour, *pick(rng, ((-12, 0.9, 0), (10, 0.9, -12), (-16, 0.8, -70), (0, 1, 0))))
    paint = mix(paint, rim, 0.6 * step(across + 0.2 * (rough - 0.5), 0.75, 1.0))
    if underside:
        paint = mix(paint, shade(colour, 14, 0.5), np.full_like(rough, 0.75))
    paint = mix(paint, pale, np.maximum(veins * rng.uniform(0.15, 0.6), rib * rng.uniform(0.5, 0.95)))
    relief = 1 + rng.uniform(0.05, 0.16) * np.cos(2 * np.pi * (phase - 0.3)) * (1 - across) + 0.12 * fine
    return finish(paint, relief * (1 - 0.12 * np.exp(-((v / 0.12) ** 2)) * (1 - rib)))


def _leaf_mark(
    rng: Rng, kind: str | None, colour: Colour, rough: Field, u: Field, across: Field, between: Field
) -> tuple[Paint | Colour, Field]:
    """Colour and mask of the markings on a blade."""
    cream = lch(rng.uniform(70, 88), rng.uniform(12, 28), rng.uniform(98, 115))
    if kind == "margin":
        return cream, 0.9 * step(across + 0.9 * rough - 0.45 - rng.uniform(0.5, 0.8), 0, 0.08)
    if kind == "centre":
        middle = step(across + rough - rng.uniform(0.7, 0.95), 0.15, 0)
        return shade(colour, rng.uniform(16, 30), 0.9, -8), 0.85 * middle
    if kind == "splash":
        return cream, 0.9 * step(fractal(rng, rough.shape[:2], 4, 6, stretch=(1, 2)), 0.58, 0.68)
    if kind == "striped":
        stripes = step(between + 0.2 * rough, 0.38, 0.26) * step(across, 0.95, 0.8)
        return shade(colour, rng.uniform(12, 26), 0.8), 0.8 * stripes
    if kind == "autumn":
        ripe = rng.uniform(0, 1)  # from red to the lighter yellow
        turned = lch(36 + 30 * ripe, rng.uniform(34, 50), 38 + 46 * ripe)
        brown = mix(turned, lch(30, 22, 55), step(rough * (0.6 + 0.6 * across), 0.62, 0.75))
        return brown, step(
            0.8 * across + 0.5 * u + 1.6 * rough - 0.8, *pick(rng, ((0.5, 1.1), (0.0, 0.6), (-0.4, 0.1)))
        )
    return colour, np.zeros_like(rough)


def stem(rng: Rng, colour: Colour | None = None, size: int = 128) -> Picture:
    """A green or woody shoot: fibres down the columns, a node now and then."""
    colour = colour or natural(rng, "stem")
    fibres, patches = fractal(rng, (size, size), cells=8, stretch=(8, 1)), fractal(rng, (size, size))
    y, x = grid(size, size)
    nodes = np.abs((y * rng.integers(2, 5) + 0.02 * np.sin(6.28 * x)) % 1 - 0.5)
    rings = step(nodes, 0.06, 0.01) * (0.3 + 0.4 * patches)
    return finish(mix(uneven(colour, 9, 0.5 * (fibres + patches)), shade(colour, -10, 0.8, -30), rings))


def bark(rng: Rng, colour: Colour | None = None, size: int = 128) -> Picture:
    """Bark: ridges and cracks down the columns."""
    colour, patches = colour or natural(rng, "bark"), fractal(rng, (size, size))
    ridges = np.abs(2 * fractal(rng, (size, size), cells=6, gain=0.6, stretch=(4, 1)) - 1)
    paint = mix(shade(colour, -16, 0.8), shade(colour, 10, 0.9), step(ridges, 0.0, 0.45))
    return finish(paint, 0.65 + 0.5 * fractal(rng, (size, size), 6, 12, 0.7) + 0.2 * patches)


def pot(rng: Rng, kind: PotKind | None = None, size: int = 128) -> Picture:
    """The wall of a flower pot: rows from its mouth to its foot, columns around it."""
    kind = kind or pick(rng, ("terracotta", "glazed", *get_args(PotKind)))
    y, _ = grid(size, size)
    rough, rings = fractal(rng, (size, size)), fractal(rng, (size, size), cells=16, stretch=(1, 12))
    colour = natural(rng, "clay" if kind == "terracotta" else "stone" if kind == "concrete" else "glaze")
    paint = uneven(colour, 5, 0.6 * rough + 0.4 * rings)
    if kind == "terracotta":  # lime stains left by water
        paint = mix(paint, lch(78, 8, 70), rng.uniform(0, 0.5) * step(0.5 * y + rough, 0.75, 1.1))
    if kind == "dipped":  # glaze run down over clay or another glaze
        run, line = y + 0.3 * (fractal(rng, (size, size), 2, 4, stretch=(4, 1)) - 0.5), rng.uniform(0.35, 0.7)
        paint = mix(paint, natural(rng, pick(rng, ("clay", "glaze"))), step(run, line - 0.01, line + 0.02))
    if kind == "glazed" and rng.random() < 0.4:  # a painted band
        paint = mix(paint, natural(rng, "glaze"), step(np.abs(y - rng.uniform(0.15, 0.6)), 0.07, 0.06))
    return finish(paint, 1.03 - 0.15 * y)


def wood(rng: Rng, colour: Colour | None = None, size: int = 256) -> Picture:
    """A sawn board, its grain down the columns: rings that bend, pores, streaks."""
    colour = colour or natural(rng, "wood")
    bend = fractal(rng, (size, size), octaves=3, cells=2, gain=0.35, stretch=(8, 1))
    rings = (rng.uniform(5, 10) * grid(size, size)[1] + rng.uniform(1, 5) * bend) % 1
    pores, streaks = (fractal(rng, (size, size), cells=n, stretch=(16, 1)) for n in (48, 4))
    late = 0.55 * (step(rings, 0.0, 0.8) - step(rings, 0.85, 1.0)) + 0.45 * streaks
    return finish(mix(shade(colour, 6, 0.95, 3), shade(colour, -10, 1.05, -5), late), 0.88 + 0.24 * pores)


def metal(rng: Rng, colour: Colour | None = None, size: int = 128) -> Picture:
    """Brushed metal with a few soft bands of reflection along the columns."""
    bands = fractal(rng, (size, size), octaves=2, cells=2, gain=0.4, stretch=(16, 1))
    brushed = fractal(rng, (size, size), cells=32, stretch=(1, 16))
    return finish(uneven(colour or natural(rng, "metal"), 15, bands), 0.92 + 0.16 * brushed)


def plastic(rng: Rng, colour: Colour | None = None, size: int = 128) -> Picture:
    """Plastic: nearly even colour with slight traces of light and wear."""
    return finish(uneven(colour or natural(rng, pick(rng, ("glaze", "cloth"))), 5, fractal(rng, (size, size), cells=2)))


def _plain(rng: Rng, size: int, colours: Sequence[Colour]) -> Paint:
    return uneven(colours[0], 3, fractal(rng, (size, size), cells=24))


def _woven(rng: Rng, size: int, colours: Sequence[Colour], cross: bool, even: bool) -> Paint:
    """A mirrored sequence of threads of random (or `even`) widths: stripes, or a check if `cross`."""
    sett = np.arange(2) if even else rng.permutation(np.arange(7) % len(colours))
    threads = np.repeat((*sett, *sett[::-1]), rng.choice((6,) if even else (1, 2, 6, 9), 2 * len(sett)))
    at = np.arange(4 * size) * len(threads) * int(rng.integers(1, 5) + 4 * even) // (4 * size) % len(threads)
    yarn = np.asarray(colours, dtype=np.float32)[threads[at]].reshape(size, 4, 3).mean(axis=1)  # four threads a pixel
    across = yarn[:, None] if cross or rng.random() < 0.6 else yarn[None, :]
    return 0.5 * (across + yarn[None, :]) if cross else np.broadcast_to(across, (size, size, 3))


def _cells(rng: Rng, size: int, n: int, jitter: float) -> tuple[Field, Field, Field]:
    """A staggered n x n lattice: offsets (dy, dx) from each cell's centre in cells, and a random number per cell."""
    y, x = (t * n for t in grid(size, size))
    row = np.floor(y).astype(np.int64)
    shifted = x + np.float32(0.5) * (row % 2).astype(np.float32)
    column = np.floor(shifted).astype(np.int64) % n
    move_y, move_x, number = (table[row, column] for table in rng.random((3, n, n), dtype=np.float32))
    return y - row - 0.5 - jitter * (move_y - 0.5), shifted % 1 - 0.5 - jitter * (move_x - 0.5), number


def _dots(rng: Rng, size: int, colours: Sequence[Colour]) -> Paint:
    dy, dx, number = _cells(rng, size, 2 * int(rng.integers(2, 7)), pick(rng, (0.0, 0.0, 0.3)))
    ink = np.asarray(colours, dtype=np.float32)[np.where(number > 0.6, -1, 1)]
    return mix(colours[0], ink, step(np.hypot(dy, dx) - rng.uniform(0.14, 0.32), 0.05, -0.02))


def _floral(rng: Rng, size: int, colours: Sequence[Colour]) -> Paint:
    """Small scattered flowers with leaves."""
    n, petals = 2 * int(rng.integers(2, 5)), int(rng.integers(4, 7))
    green = lch(rng.uniform(30, 60), rng.uniform(12, 28), rng.uniform(110, 150))
    dy, dx, number = _cells(rng, size, n + 2, 0.5)
    turned = dy * np.cos(6.28 * number) + dx * np.sin(6.28 * number)
    paint = mix(_plain(rng, size, colours), green, step(np.hypot(dy, dx) + np.abs(turned), 0.4, 0.33))
    dy, dx, number = _cells(rng, size, n, 0.3)
    r, angle = np.hypot(dy, dx), np.arctan2(dy, dx)
    edge = r / (0.2 + 0.16 * number + 0.1 * np.abs(np.cos(petals / 2 * angle + 6.28 * number)))
    return mix(mix(paint, colours[1], step(edge, 1.05, 0.92)), colours[-1], step(r, 0.12, 0.08))


def _knit(rng: Rng, size: int, colours: Sequence[Colour]) -> Paint:
    """V-shaped stitches, in rows that may change colour."""
    y, x = grid(size, size)
    n = int(rng.integers(10, 17))
    at = n * y + 0.8 * np.abs((n * x) % 1 - 0.5)
    rows = rng.integers(0, len(colours), n + 2) if rng.random() < 0.5 else np.zeros(n + 2, dtype=np.int64)
    yarn = np.asarray(colours, dtype=np.float32)[np.repeat(rows, rng.choice((1, 2, 3), n + 2))]
    stitch = (0.6 + 0.4 * np.abs(np.sin(np.pi * at)) ** 0.6) * (0.8 + 0.2 * np.abs(np.sin(np.pi * 2 * n * x)))
    return yarn[np.floor(at).astype(np.int64)] * (1.08 * stitch)[..., None]


_WEAVES: dict[str, Callable[[Rng, int, Sequence[Colour]], Paint]] = {
    "plain": _plain, "dots": _dots, "knit": _knit, "floral": _floral,
    "stripes": partial(_woven, cross=False, even=False), "checks": partial(_woven, cross=True, even=True),
    "tartan": partial(_woven, cross=True, even=False),
}  # fmt: skip


def cloth(
    rng: Rng, kind: ClothKind | None = None, colours: Sequence[Colour] | None = None, folds: float | None = None,
    size: int = 128,
) -> Picture:  # fmt: skip
    """Woven or knitted cloth of up to three colours; `folds` (0 to 1) is the depth of folds down the columns."""
    kind = kind or pick(rng, get_args(ClothKind))
    colours = colours or cloth_colours(rng)
    y, x = (np.sin(np.pi * size / 2 * t) for t in grid(size, size))  # threads
    depth = (rng.random() if folds is None else folds) * (0.7 * fractal(rng, (size, size), 3, 3, 0.4, (4, 1)) - 0.45)
    light = 1 + depth + 0.04 * x * y + 0.1 * (fractal(rng, (size, size), cells=8) - 0.5)
    return finish(_WEAVES[str(kind)](rng, size, colours), light)


def paper(rng: Rng, kind: PaperKind | None = None, size: int = 128) -> Picture:
    """Printed or washed paper with its fibres, for mobiles and lanterns."""
    kind = kind or pick(rng, get_args(PaperKind))
    colours = [shade(colour, 6, 1.1) for colour in cloth_colours(rng)]
    paint = _WEAVES["plain" if kind == "washed" else str(kind)](rng, size, colours)
    if kind == "washed":
        paint = mix(paint, colours[1], step(fractal(rng, (size, size), 4, 2), 0.2, 0.8))
    return finish(paint, 0.95 + 0.1 * fractal(rng, (size, size), cells=16, gain=0.8))


def skin(rng: Rng, colour: Colour | None = None, size: int = 128) -> Picture:
    """Blotchy skin."""
    return finish(uneven(colour or natural(rng, "skin"), 3, fractal(rng, (size, size), cells=4)))


def hair(rng: Rng, colour: Colour | None = None, size: int = 128, width: int | None = None) -> Picture:
    """Hair strands down the columns, `size` high and `width` (or `size`) wide."""
    colour, shape = colour or natural(rng, "hair"), (size, width or size)
    locks, strands = fractal(rng, shape, cells=5, stretch=(5, 1)), fractal(rng, shape, cells=32, stretch=(16, 1))
    return finish(uneven(colour, 11, 0.5 * (locks + strands)))


def face(rng: Rng, colour: Colour | None = None, hair_colour: Colour | None = None, size: int = 128) -> Picture:
    """Texture of a head for an ellipsoid, `size` high and twice as wide, the face in the middle column.

    Columns are longitudes from -180 to 180 degrees, rows are latitudes from 90 (the crown) to -90. Features are laid out in
    the frontal projection: x to the right, y down, both in [-1, 1].
    """
    bare = colour or natural(rng, "skin")
    hairy = hair_colour or (natural(rng, "hair") if sum(bare) > 1.5 else lch(rng.uniform(10, 22), 5, 55))
    shape = (size, 2 * size)
    latitude, longitude = ((t - 0.5) * turn for t, turn in zip(grid(*shape), (np.pi, 2 * np.pi), strict=True))
    x, z = np.cos(latitude) * np.sin(longitude), np.cos(latitude) * np.cos(longitude)
    y = np.sin(latitude) + 0 * longitude

    def spot(cx: float, cy: float, rx: float, ry: float, soft: float) -> Field:
        return step(z, 0, 0.25) * step(np.hypot((x - cx) / rx, (y - cy) / ry), 1 + soft, 1 - soft)

    paint = uneven(bare, 3, fractal(rng, shape, cells=4))
    gap, arch = rng.uniform(0.27, 0.33), rng.uniform(0.4, 2)  # from the middle to an eye; the bend of a brow
    iris = lch(rng.uniform(18, 48), rng.uniform(8, 22), pick(rng, (60.0, 60.0, 130.0, 250.0)))
    features = (  # colour, its share, centre (x on both sides), radii, softness
        (shade(bare, -5, 1.5, -22), rng.uniform(0.3, 0.7), 0.42, 0.25, 0.24, 0.2, 0.9),  # cheeks
        (shade(bare, -12), 0.5, gap, -0.05, 0.2, 0.14, 0.7),  # eye sockets
        (shade(bare, -16, 1.1, -8), 0.45, 0.0, 0.27, 0.14, 0.05, 0.6),  # under the nose
        (lch(90, 3, 80), 1, gap, -0.02, 0.14, 0.075, 0.25),  # eyes: white, iris, pupil
        (iris, 1, gap, -0.02, 0.075, 0.08, 0.25),
        ((0.05, 0.04, 0.04), 1, gap, -0.02, 0.035, 0.04, 0.5),
    )
    for paint_on, share, cx, *rest in features:
        for side in (-cx, cx):
            paint = mix(paint, paint_on, share * spot(side, *rest))
    for side in (-gap, gap):
        lid, brow = (np.abs(y + up - bend * (x - side) ** 2) for up, bend in ((0.1, 2.5), (0.24, arch)))
        paint = mix(paint, shade(bare, -40), 0.9 * step(lid, 0.04, 0.015) * spot(side, -0.06, 0.17, 0.12, 0.25))
        paint = mix(paint, shade(hairy, -6), 0.85 * step(brow, 0.06, 0.02) * spot(side, -0.2, 0.19, 0.2, 0.1))
    lips, mouth = np.abs(y - 0.5 + rng.uniform(-0.4, 1.2) * x**2), spot(0, 0.5, rng.uniform(0.2, 0.3), 0.16, 0.2)
    paint = mix(paint, shade(bare, -14, 1.5, -28), mouth * step(lips, 0.08, 0.04))
    paint = mix(paint, shade(bare, -38), mouth * step(lips, 0.025, 0.01))
    length, fringe = rng.uniform(-0.1, 0.9), rng.uniform(-0.68, -0.42)  # of the hair
    ragged = y + 0.3 * (fractal(rng, shape, cells=8, stretch=(3, 1)) - 0.5)
    covered = step(ragged - fringe - (length - fringe) * step(z, 0.55, 0.05), 0.06, -0.06)
    return finish(mix(paint, hair(rng, hairy, *shape) / np.float32(255), covered))
