"""Two plain plots, drawn with OpenCV: bars with intervals, and curves."""

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from jaxtyping import UInt8

from poke2vid.measures.statistics import Interval

Picture = UInt8[np.ndarray, "h w 3"]
WIDTH, HEIGHT = 760, 440  # of a plot, in pixels
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 190, 44, 56  # margins; the legend is to the right
_INK, _FAINT = (40, 40, 40), (215, 215, 215)
# Okabe and Ito's colours, which colour-blind people tell apart too.
_COLOURS = ((0, 114, 178), (213, 94, 0), (0, 158, 115), (204, 121, 167), (230, 159, 0), (86, 180, 233), (0, 0, 0))


def bars(values: Mapping[str, Interval], title: str) -> Picture:
    """Bar plot: one bar per row, from 0, with its interval as a whisker and its mean as a number."""
    sheet = _sheet(title)
    top = _y_axis(
        sheet, max(value.high if np.isfinite(value.high) else value.mean for value in values.values()), WIDTH - 20
    )
    step = (WIDTH - _LEFT - 20) / len(values)
    for number, (name, value) in enumerate(values.items()):
        left, right = round(_LEFT + (number + 0.2) * step), round(_LEFT + (number + 0.8) * step)
        middle = (left + right) // 2
        colour = _COLOURS[number % len(_COLOURS)]
        cv2.rectangle(sheet, (left, _y(value.mean, top)), (right, _y(0, top)), colour, -1)
        if np.isfinite([value.low, value.high]).all():  # one scene alone has no interval
            cv2.line(sheet, (middle, _y(value.low, top)), (middle, _y(value.high, top)), _INK, 2)
            for end in (value.low, value.high):
                cv2.line(sheet, (middle - 6, _y(end, top)), (middle + 6, _y(end, top)), _INK, 2)
        _text(sheet, _cut(name, step), left, HEIGHT - _BOTTOM + 20)
        _text(sheet, f"{value.mean:.3g}", left, HEIGHT - _BOTTOM + 38)
    return sheet


def curves(points: Mapping[str, Sequence[tuple[float, float]]], x_title: str, y_title: str) -> Picture:
    """Line plot: one line per row through its (x, y), both axes from 0."""
    sheet, shown = _sheet(y_title), {name: row for name, row in points.items() if row}
    ticks = _ticks(max(x for row in shown.values() for x, _ in row))
    right = ticks[-1]
    top = _y_axis(sheet, max(y for row in shown.values() for _, y in row), WIDTH - _RIGHT)
    _text(sheet, x_title, _LEFT, HEIGHT - 12)
    for tick in ticks:
        _text(sheet, f"{tick:.3g}", _x(tick, right) - 4, HEIGHT - _BOTTOM + 20)
    for number, (name, row) in enumerate(shown.items()):
        colour, places = _COLOURS[number % len(_COLOURS)], [(_x(x, right), _y(y, top)) for x, y in row]
        cv2.polylines(
            sheet, [np.array(places, np.int32)], isClosed=False, color=colour, thickness=2, lineType=cv2.LINE_AA
        )
        for place in places:
            cv2.circle(sheet, place, 4, colour, -1, cv2.LINE_AA)
        y = _TOP + 20 * number + 10
        cv2.line(sheet, (WIDTH - _RIGHT + 16, y - 4), (WIDTH - _RIGHT + 36, y - 4), colour, 3)
        _text(sheet, _cut(name, _RIGHT - 50), WIDTH - _RIGHT + 44, y)
    return sheet


def _sheet(title: str) -> Picture:
    sheet = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
    _text(sheet, title, 14, 22)
    return sheet


def _y_axis(sheet: Picture, highest: float, right: int) -> float:
    """Draws the y axis, with faint lines as far as `right`; returns the value at its top."""
    ticks = _ticks(highest)
    for tick in ticks:
        y = _y(tick, ticks[-1])
        cv2.line(sheet, (_LEFT, y), (right, y), _FAINT, 1)
        _text(sheet, f"{tick:.3g}", 14, y + 5)
    cv2.line(sheet, (_LEFT, _TOP), (_LEFT, HEIGHT - _BOTTOM), _INK, 1)
    cv2.line(sheet, (_LEFT, HEIGHT - _BOTTOM), (right, HEIGHT - _BOTTOM), _INK, 1)
    return ticks[-1]


def _ticks(highest: float) -> list[float]:
    """Round numbers from 0 to `highest` or a little above, at most seven."""
    size = 10.0 ** np.floor(np.log10(max(highest, 1e-6)))
    step = next(float(size * part) for part in (0.2, 0.5, 1.0, 2.0) if highest <= 6 * size * part)
    return [step * k for k in range(max(1, int(np.ceil(highest / step - 1e-9))) + 1)]


def _x(value: float, right: float) -> int:
    return round(_LEFT + value / max(right, 1e-9) * (WIDTH - _LEFT - _RIGHT))


def _y(value: float, top: float) -> int:
    return round(HEIGHT - _BOTTOM - value / max(top, 1e-9) * (HEIGHT - _BOTTOM - _TOP))


def _cut(name: str, width: float) -> str:
    """The end of a name, as much as fits: paths differ there."""
    fits = max(3, int(width / 9))
    return name if len(name) <= fits else f"..{name[2 - fits :]}"


def _text(sheet: Picture, text: str, x: int, y: int) -> None:
    cv2.putText(sheet, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, 0.48, _INK, 1, cv2.LINE_AA)
