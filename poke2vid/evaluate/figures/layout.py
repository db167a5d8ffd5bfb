"""Sequences as the paper shows them: enrolled in a picture (Fig. 3, 4, 6-19), or side by side in a video (App. A).

Works on frames, pokes and flow from any source.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from jaxtyping import Float32, UInt8

from poke2vid.media.viz import (
    LargePicture,
    caption,
    caption_width,
    draw_pokes,
    enlarge,
    enlarged_poke,
    enlargement,
    flow_colours,
    flow_key,
)
from poke2vid.types import Poke

COLUMNS = 6  # of an enrolment, after that of x_0, at most
CYCLES = 3  # of a video
_SIDE = 192  # pixels of a shown frame's longer side, up to the nearest whole multiple of its own
_LINE, _GAP = 24, 4  # pixels: the height of a line of text, and the white between two pictures
_KEY = 48  # pixels, the side of the disc that explains flow colours
# Quantile of a row's vector lengths that counts as its longest: trackers go astray on the few pixels beyond.
_LONGEST = 0.998
_LEAST_SCALE = 0.005  # of the side: with a smaller scale, colours would show the tracker's own noise


@dataclass(frozen=True)
class Strip:
    """One sequence to be shown: a row of an enrolment, or a column of a video.

    Attributes:
        label: its name for people.
        frames: x_0 ... x_T, of any size but the same in all rows.
        pokes: to be drawn, in pixels of the frames.
        flow: from x_0 to the last frame, (dx, dy) in pixels of the frames; None leaves its place white.
    """

    label: str
    frames: UInt8[np.ndarray, "t h w 3"]
    pokes: tuple[Poke, ...] = ()
    flow: Float32[np.ndarray, "2 h w"] | None = None


def moments(T: int) -> list[int]:
    """Frames of 1 ... T that an enrolment shows: at most `COLUMNS`, at equal steps, and the last: 1, 3, 5, 7, 9, 10."""
    step = max(1, math.ceil(T / (COLUMNS - 1))) if T > COLUMNS else 1
    return [*range(1, T, step), T]


def flow_scale(rows: Sequence[Strip]) -> float:
    """Flow length in pixels drawn in full colour, the same in all rows: the longest vectors except stray ones."""
    lengths = [np.quantile(np.hypot(*row.flow), _LONGEST) for row in rows if row.flow is not None]
    return max(_LEAST_SCALE * max(rows[0].frames.shape[1:3]), *map(float, lengths))


def enrolment(rows: Sequence[Strip]) -> LargePicture:
    """Picture of rows of frames beside their labels: x_0 with the arrow, moments with the target dot, and any flow.

    Frame numbers stand above; below the flow, its colour disc and the length of a full colour.
    """
    _require_alike(rows)
    length, height, width = rows[0].frames.shape[:3]
    factor = enlargement(rows[0].frames[0], _SIDE)
    shown = [0, *moments(length - 1)]
    label_width = max(caption_width(row.label) for row in rows)
    cell = (_LINE, width * factor)
    has_flow = any(row.flow is not None for row in rows)
    header = [caption("", _LINE, label_width), *(caption(f"frame {i}", *cell, "centre") for i in shown)]
    if has_flow:
        header.append(caption(f"flow, 0 to {length - 1}", *cell, "centre"))
    lines = [_beside(header)]
    for row in rows:
        labelled = caption(row.label, height * factor, label_width)
        line = [labelled, *_drawn(row, shown, factor)]
        if has_flow:
            line.append(_flow(row, flow_scale(rows), factor))
        lines.append(_beside(line))
    if has_flow:
        lines.append(_key(flow_scale(rows), lines[0].shape[1]))
    return _framed(_below(lines))


def cycled(rows: Sequence[Sequence[Strip]], fps: float) -> list[LargePicture]:
    """Frames of a video in which sequences move side by side, all of them three times (App., "Preliminaries").

    Labels stand above each column, "cycle 1/3" at the bottom left and the rate at the bottom right.

    Args:
        rows: one line of columns, or several below each other with equal labels; every sequence has the same length.
        fps: frame rate that the video will be written at, for the label.
    """
    first = rows[0]
    _require_alike([column for row in rows for column in row])
    assert all([c.label for c in row] == [c.label for c in first] for row in rows), "one header for all lines"
    length, width, factor = len(first[0].frames), first[0].frames.shape[2], enlargement(first[0].frames[0], _SIDE)
    header = _beside([caption(column.label, _LINE, width * factor, "centre") for column in first])
    drawn = [[_drawn(column, range(length), factor) for column in row] for row in rows]
    bodies = [_below([header, *(_beside([column[i] for column in row]) for row in drawn)]) for i in range(length)]
    half = header.shape[1] // 2
    frames = []
    for cycle in range(1, CYCLES + 1):
        said = caption(f"cycle {cycle}/{CYCLES}", _LINE, half)
        rate = caption(f"{fps:g} fps", _LINE, header.shape[1] - half, "right")
        frames += [_framed(_below([body, np.concatenate((said, rate), axis=1)])) for body in bodies]
    return frames


def _require_alike(rows: Sequence[Strip]) -> None:
    assert rows and len({row.frames.shape for row in rows}) == 1, "sequences are shown together at one size and length"


def _drawn(row: Strip, shown: Sequence[int], factor: int) -> list[LargePicture]:
    """The given frames, 0 first, enlarged, with arrow and dots."""
    pictures = [enlarge(row.frames[i], factor) for i in shown]
    return draw_pokes(pictures, [enlarged_poke(poke, factor) for poke in row.pokes])


def _flow(row: Strip, largest: float, factor: int) -> LargePicture:
    """A row's flow in colours, in a thin frame because most of it is white; all white if the row has none."""
    height, width = row.frames.shape[1:3]
    if row.flow is None:
        return np.full((height * factor, width * factor, 3), 255, np.uint8)
    coloured = enlarge(flow_colours(row.flow, largest), factor)
    coloured[[0, -1], :] = coloured[:, [0, -1]] = 200
    return coloured


def _key(largest: float, width: int) -> LargePicture:
    """Legend of the flow colours, at the right end of a line of this width."""
    said = caption(f"towards where; full colour: {largest:.1f} px", _KEY, width - _KEY - _GAP, "right")
    return _beside([said, flow_key(_KEY)])


def _joined(pictures: Sequence[LargePicture], axis: int) -> LargePicture:
    """Joins pictures with white between them: of one width from top to bottom (0), or of one height side by side (1)."""
    height, width = pictures[0].shape[:2]
    gap = np.full((_GAP, width, 3) if axis == 0 else (height, _GAP, 3), 255, np.uint8)
    parts = [part for picture in pictures for part in (picture, gap)]
    return np.concatenate(parts[:-1], axis=axis)


_beside, _below = partial(_joined, axis=1), partial(_joined, axis=0)


def _framed(picture: LargePicture) -> LargePicture:
    """Adds a white margin, one row or column wider where H.264 needs even sides."""
    height, width = picture.shape[:2]
    pads = ((_GAP, _GAP + height % 2), (_GAP, _GAP + width % 2), (0, 0))
    return np.pad(picture, pads, constant_values=255)
