"""Visualisation: poke arrows, target dots, flow colours, captions, and grids (the paper's Fig. 3 and 4)."""

from collections.abc import Sequence
from typing import Literal

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from poke2vid.geometry import Affine, transform
from poke2vid.types import Pair, Poke

Picture = UInt8[np.ndarray, "h w 3"]
LargePicture = UInt8[np.ndarray, "_ _ 3"]  # enlarged for viewing, or several beside each other
ARROW = (230, 30, 30)  # the paper's red
_OUTLINE = (255, 255, 255)
_SUBPIXEL_BITS = 4  # cv2 draws at sixteenths of a pixel when told so
_INK = (40, 40, 40)
_FONT, _FONT_SCALE = cv2.FONT_HERSHEY_SIMPLEX, 0.5
_MARGIN = 6  # pixels on both sides of a caption


def _fixed(x: float, y: float) -> tuple[int, int]:
    return round(x * 2**_SUBPIXEL_BITS), round(y * 2**_SUBPIXEL_BITS)


def _thickness(picture: Picture) -> int:
    return max(1, round(max(picture.shape[:2]) / 160))


def draw_arrow(picture: Picture, poke: Poke) -> Picture:
    """A copy with an outlined arrow from l to l + p; a poke too short for an arrow is a red spot."""
    drawn = picture.copy()
    (x, y), (dx, dy) = poke.location, poke.shift
    thickness, length = _thickness(picture), max(1e-6, float(np.hypot(dx, dy)))
    tip = min(0.5, 4 * thickness / length)
    for colour, extra in ((_OUTLINE, 2), (ARROW, 0)):
        cv2.arrowedLine(
            drawn, _fixed(x, y), _fixed(x + dx, y + dy), colour, thickness + extra, cv2.LINE_AA, _SUBPIXEL_BITS, tip
        )
    if length < 3 * thickness:  # so short an arrow would show its outline only
        _dot(drawn, (x, y), thickness + 1)
    return drawn


def draw_target(picture: Picture, poke: Poke) -> Picture:
    """A copy with a dot where the poked point should be, l + p."""
    drawn = picture.copy()
    target = (poke.location[0] + poke.shift[0], poke.location[1] + poke.shift[1])
    _dot(drawn, target, 2 * _thickness(picture))
    return drawn


def _dot(picture: Picture, at: Pair, radius: int) -> None:
    """Draws an outlined dot into the picture."""
    for colour, extra in ((_OUTLINE, 1), (ARROW, 0)):
        cv2.circle(picture, _fixed(*at), (radius + extra) << _SUBPIXEL_BITS, colour, -1, cv2.LINE_AA, _SUBPIXEL_BITS)


def draw_pokes(pictures: Sequence[Picture], pokes: Sequence[Poke]) -> list[Picture]:
    """A clip with its pokes drawn: arrows on x_0, target dots on the frames after it (an impulse has no target)."""
    drawn = []
    for i, picture in enumerate(pictures):
        for poke in pokes:
            if i == 0:
                picture = draw_arrow(picture, poke)
            elif poke.kind == "shift":
                picture = draw_target(picture, poke)
        drawn.append(picture)
    return drawn


def flow_colours(flow: Float[np.ndarray, "2 h w"], largest: float | None = None) -> Picture:
    """Flow as colours on white: hue is direction, saturation length, full at `largest` pixels (None: the maximum)."""
    length = np.hypot(flow[0], flow[1])
    largest = max(float(length.max()) if largest is None else largest, 1e-6)
    hue = (np.degrees(np.arctan2(flow[1], flow[0])) % 360) / 2
    saturation = np.clip(length / largest, 0, 1) * 255
    hsv = np.stack((hue, saturation, np.full_like(hue, 255)), axis=-1).astype(np.uint8)
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)


def flow_key(side: int) -> UInt8[np.ndarray, "{side} {side} 3"]:
    """Colour key of `flow_colours`: a disc on white, each place in the colour of the vector to it from the centre."""
    radius = (side - 1) / 2
    y, x = np.mgrid[:side, :side].astype(np.float32) - np.float32(radius)
    disc = flow_colours(np.stack((x, y)), radius)
    disc[np.hypot(x, y) > radius] = 255
    return disc


def enlargement(picture: Picture, side: int) -> int:
    """Factor by which a picture is enlarged to a longer side of about `side` pixels; at least 1."""
    return max(1, round(side / max(picture.shape[:2])))


def enlarge(picture: Picture, factor: int) -> LargePicture:
    """Enlarges a picture without smoothing: every pixel becomes a square of `factor`."""
    return picture.repeat(factor, axis=0).repeat(factor, axis=1)


def enlarged_poke(poke: Poke, factor: int) -> Poke:
    """Poke in pixels of the picture after `enlarge`, at the centre of the enlarged pixel."""
    return transform(poke, Affine.resize((1, 1), (factor, factor)))


def caption_width(text: str) -> int:
    """Least width of a caption, in pixels, that keeps its text at full size."""
    return int(cv2.getTextSize(text, _FONT, _FONT_SCALE, 1)[0][0]) + 2 * _MARGIN


def caption(
    text: str, height: int, width: int, align: Literal["left", "centre", "right"] = "left"
) -> UInt8[np.ndarray, "{height} {width} 3"]:
    """A line of text on a white picture of this size, vertically centred, in smaller letters if it is too wide."""
    empty = np.full((height, width, 3), 255, np.uint8)
    scale = _FONT_SCALE * min(1.0, (width - 2 * _MARGIN) / max(1, caption_width(text) - 2 * _MARGIN))
    (length, tall), _ = cv2.getTextSize(text, _FONT, scale, 1)
    room = width - 2 * _MARGIN - length
    x = _MARGIN + {"left": 0, "centre": room // 2, "right": room}[align]
    cv2.putText(empty, text, (x, (height + tall) // 2), _FONT, scale, _INK, 1, cv2.LINE_AA)
    return empty


def grid(rows: Sequence[Sequence[Picture]], gap: int = 2) -> LargePicture:
    """Pictures of equal size in rows on white; a short row is filled with white."""
    height, width = rows[0][0].shape[:2]
    columns = max(len(row) for row in rows)
    sheet = np.full((len(rows) * (height + gap) - gap, columns * (width + gap) - gap, 3), 255, dtype=np.uint8)
    for i, row in enumerate(rows):
        for j, picture in enumerate(row):
            y, x = i * (height + gap), j * (width + gap)
            sheet[y : y + height, x : x + width] = picture
    return sheet
