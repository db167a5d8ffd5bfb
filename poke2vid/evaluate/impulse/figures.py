"""Figures of an impulse model: motion over time, truth beside model, and videos with rising strength (App. B.2)."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8

from poke2vid.evaluate.impulse.curves import Curve, ImpulseReport
from poke2vid.geometry import Affine, transform
from poke2vid.media.pictures import write_picture
from poke2vid.media.video import write_video
from poke2vid.media.viz import draw_arrow, enlarge, grid
from poke2vid.types import Poke

Picture = UInt8[np.ndarray, "h w 3"]
WIDTH, HEIGHT = 520, 420  # of one panel, in pixels
_LEFT, _RIGHT, _TOP, _BOTTOM, _LEGEND = 56, 14, 44, 52, 120
_INK, _FAINT = (40, 40, 40), (215, 215, 215)
# Okabe and Ito's colours, which colour-blind people tell apart too.
_COLOURS = ((86, 180, 233), (0, 158, 115), (230, 159, 0), (213, 94, 0), (204, 121, 167), (0, 114, 178))
_OPACITY = 0.2  # of a band
_SMALLEST = 192  # pixels per side that small frames are enlarged to, about
_HELD = 15  # video frames for which x_0 stands still, so that its arrow can be seen
_SAMPLES = 6  # moments on a still sheet


def plot(report: ImpulseReport, path: Path, rows: Sequence[str] = ("truth", "model")) -> None:
    """Plots one panel per row: one line per magnitude, and around it the 95 % interval over scenes.

    Every panel has its own scale, because the units of magnitude do not agree (see `impulse.curves`).
    """
    shown = {row: report.curves[row] for row in rows if row in report.curves}
    panels = [_panel(f"{row}: mean displacement of the object, px", found) for row, found in shown.items()]
    write_picture(path, np.concatenate([*panels, _legend(list(next(iter(shown.values()))))], axis=1))


def _step(highest: float) -> float:
    """Round distance between the lines of an axis, at most six of them."""
    size = 10.0 ** np.floor(np.log10(max(highest, 1e-6)))
    return next(float(size * part) for part in (0.2, 0.5, 1.0, 2.0) if highest <= 6 * size * part)


def _panel(title: str, curves: Mapping[float, Curve]) -> Picture:
    sheet: Picture = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
    highest = max(max(curve.high) for curve in curves.values())
    step = _step(highest)
    top = float(step * np.ceil(max(highest, 1e-6) / step))
    length = len(next(iter(curves.values())).mean)
    _text(sheet, title, 14, 24)
    for tick in np.arange(0, top + step / 2, step):
        y = _y(float(tick), top)
        cv2.line(sheet, (_LEFT, y), (WIDTH - _RIGHT, y), _FAINT, 1)
        _text(sheet, f"{tick:.3g}", 14, y + 5)
    for tick in range(0, length + 1, 5):
        _text(sheet, str(tick), _x(tick, length) - 6, HEIGHT - _BOTTOM + 20)
    _text(sheet, "frames after the impulse", _LEFT, HEIGHT - 10)
    for number, curve in enumerate(curves.values()):
        colour = _COLOURS[number % len(_COLOURS)]
        upper, lower = _line(curve.high, top), _line(curve.low, top)
        band = sheet.copy()
        cv2.fillPoly(band, [np.concatenate((upper, lower[::-1]))], colour, cv2.LINE_AA)
        cv2.addWeighted(band, _OPACITY, sheet, 1 - _OPACITY, 0, dst=sheet)
    for number, curve in enumerate(curves.values()):
        line = _line(curve.mean, top)
        cv2.polylines(sheet, [line], isClosed=False, color=_COLOURS[number % len(_COLOURS)], thickness=2, lineType=16)
    cv2.line(sheet, (_LEFT, _TOP), (_LEFT, HEIGHT - _BOTTOM), _INK, 1)
    cv2.line(sheet, (_LEFT, HEIGHT - _BOTTOM), (WIDTH - _RIGHT, HEIGHT - _BOTTOM), _INK, 1)
    return sheet


def _line(values: Sequence[float], top: float) -> np.ndarray:
    """Points of a curve from frame 0, where nothing has moved yet."""
    return np.array([(_x(t, len(values)), _y(value, top)) for t, value in enumerate((0.0, *values))], np.int32)


def _legend(magnitudes: Sequence[float]) -> Picture:
    sheet = np.full((HEIGHT, _LEGEND, 3), 255, np.uint8)
    _text(sheet, "magnitude", 6, 60)
    for number, magnitude in enumerate(magnitudes):
        y = 84 + 22 * number
        cv2.line(sheet, (8, y - 4), (30, y - 4), _COLOURS[number % len(_COLOURS)], 3)
        _text(sheet, f"{magnitude:g}", 40, y)
    return sheet


def _x(frame: float, length: int) -> int:
    return round(_LEFT + frame / length * (WIDTH - _LEFT - _RIGHT))


def _y(value: float, top: float) -> int:
    return round(HEIGHT - _BOTTOM - value / top * (HEIGHT - _BOTTOM - _TOP))


def _text(sheet: Picture, text: str, x: int, y: int) -> None:
    cv2.putText(sheet, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, 0.48, _INK, 1, cv2.LINE_AA)


def write_clips(
    path: Path, first: Picture, pokes: Sequence[Poke], rows: Mapping[str, Sequence[UInt8[np.ndarray, "t h w 3"]]],
    fps: float,
) -> None:  # fmt: skip
    """Writes a video with one column per poke, of rising magnitude and arrow length, and one row per name.

    x_0 stands still for a moment with its arrows, then the video plays without them. Beside it, as .png, a few moments
    of the weakest poke and below them those of the strongest, in the order of `rows`.

    Args:
        pokes: one per column, in pixels of `first`.
        rows: name -> for every poke its frames 1 ... T.
    """
    factor = max(1, round(_SMALLEST / max(first.shape[:2])))
    large = Affine.resize(_size(first), (factor * first.shape[0], factor * first.shape[1]))
    arrows = [transform(poke, large) for poke in pokes]
    length = len(next(iter(rows.values()))[0])
    start = grid([[draw_arrow(enlarge(first, factor), arrow) for arrow in arrows] for _ in rows], gap=4)
    moments = [
        grid([[enlarge(clip[t], factor) for clip in clips] for clips in rows.values()], gap=4) for t in range(length)
    ]
    write_video(path, [start] * _HELD + moments, fps)
    kept = np.linspace(0, length - 1, _SAMPLES).round().astype(int)
    still = [
        [draw_arrow(enlarge(first, factor), arrows[k]), *(enlarge(clips[k][t], factor) for t in kept)]
        for k in (0, len(arrows) - 1)
        for clips in rows.values()
    ]
    write_picture(path.with_suffix(".png"), grid(still, gap=4))


def _size(picture: Picture) -> tuple[int, int]:
    return picture.shape[0], picture.shape[1]
