"""Plain plots, drawn with OpenCV: bars with intervals, and curves with or without bands."""

from collections.abc import Mapping, Sequence

import cv2
import numpy as np

from poke2vid.measures.statistics import Interval
from poke2vid.media.viz import Picture

Points = Sequence[tuple[float, float]]  # (x, y) in the plot's units
Colour = tuple[int, int, int]
HEIGHT, WIDTH = 440, 760  # of a plot, in pixels
_LEFT, _TOP, _BOTTOM, _EDGE = 64, 44, 56, 16  # margins
_LEGEND = 174  # width of the names to the right
_INK, _FAINT = (40, 40, 40), (215, 215, 215)
# Okabe and Ito's colours, which colour-blind people tell apart too.
COLOURS = ((0, 114, 178), (213, 94, 0), (0, 158, 115), (204, 121, 167), (230, 159, 0), (86, 180, 233), (0, 0, 0))
RISING = tuple(COLOURS[k] for k in (5, 2, 4, 1, 3, 0))  # for rows of rising strength
_OPACITY = 0.2  # of a band


class _Sheet:
    """A white sheet with a title and axes from 0.

    Attributes:
        picture: the sheet, to draw on.
    """

    def __init__(self, title: str, highest: float, x_ticks: Sequence[float], end: int, width: int) -> None:
        """Draws title, axes and ticks.

        Args:
            highest: value that the y axis must reach.
            end: pixel at which the x axis ends.
        """
        ticks = _ticks(highest)
        self.picture: Picture = np.full((HEIGHT, width, 3), 255, np.uint8)
        self._end, self._highest = end, (max([*x_ticks, 1e-9]), max(ticks[-1], 1e-9))
        bottom = HEIGHT - _BOTTOM
        self.text(title, 14, 22)
        for tick in ticks:
            cv2.line(self.picture, (_LEFT, self.y(tick)), (end, self.y(tick)), _FAINT, 1)
            self.text(f"{tick:.3g}", 14, self.y(tick) + 5)
        for tick in x_ticks:
            self.text(f"{tick:.3g}", self.x(tick) - 4, bottom + 20)
        cv2.line(self.picture, (_LEFT, _TOP), (_LEFT, bottom), _INK, 1)
        cv2.line(self.picture, (_LEFT, bottom), (end, bottom), _INK, 1)

    def x(self, value: float) -> int:
        return round(_LEFT + value / self._highest[0] * (self._end - _LEFT))

    def y(self, value: float) -> int:
        return round(HEIGHT - _BOTTOM - value / self._highest[1] * (HEIGHT - _BOTTOM - _TOP))

    def places(self, points: Points) -> np.ndarray:
        """Pixels (x, y) of points."""
        return np.array([(self.x(x), self.y(y)) for x, y in points], np.int32)

    def text(self, text: str, x: int, y: int) -> None:
        cv2.putText(self.picture, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, 0.48, _INK, 1, cv2.LINE_AA)


def bars(values: Mapping[str, Interval], title: str) -> Picture:
    """Bar plot: one bar per row, from 0, with its interval as a whisker and its mean as a number."""
    highest = max(value.high if np.isfinite(value.high) else value.mean for value in values.values())
    sheet, step = _Sheet(title, highest, (), WIDTH - 20, WIDTH), (WIDTH - _LEFT - 20) / len(values)
    for number, (name, value) in enumerate(values.items()):
        left, right = round(_LEFT + (number + 0.2) * step), round(_LEFT + (number + 0.8) * step)
        colour, middle = COLOURS[number % len(COLOURS)], (left + right) // 2
        cv2.rectangle(sheet.picture, (left, sheet.y(value.mean)), (right, sheet.y(0)), colour, -1)
        if np.isfinite([value.low, value.high]).all():  # one scene alone has no interval
            low, high = sheet.y(value.low), sheet.y(value.high)
            cv2.line(sheet.picture, (middle, low), (middle, high), _INK, 2)
            for end in (low, high):
                cv2.line(sheet.picture, (middle - 6, end), (middle + 6, end), _INK, 2)
        sheet.text(_cut(name, step), left, sheet.y(0) + 20)
        sheet.text(f"{value.mean:.3g}", left, sheet.y(0) + 38)
    return sheet.picture


def curves(
    lines: Mapping[str, Points], x_title: str, title: str, bands: Mapping[str, tuple[Points, Points]] | None = None,
    palette: Sequence[Colour] = COLOURS, width: int = WIDTH,
) -> Picture:  # fmt: skip
    """Line plot: one line per row through its (x, y), both axes from 0, and the rows' names to the right.

    Args:
        bands: row -> lower and upper curve, filled between; a row without has a dot at every point.
        palette: colours of the rows in their order.
    """
    bands, shown = bands or {}, {name: points for name, points in lines.items() if points}
    drawn = [*shown.values(), *(high for _, high in bands.values())]
    x_ticks, end = _ticks(max(x for points in drawn for x, _ in points)), width - _LEGEND - _EDGE
    sheet = _Sheet(title, max(y for points in drawn for _, y in points), x_ticks, end, width)
    sheet.text(x_title, _LEFT, HEIGHT - 12)
    colours = {name: palette[number % len(palette)] for number, name in enumerate(shown)}
    for name, (low, high) in bands.items():
        above = sheet.picture.copy()
        outline = np.concatenate((sheet.places(high), sheet.places(low)[::-1]))
        cv2.fillPoly(above, [outline], colours[name], cv2.LINE_AA)
        cv2.addWeighted(above, _OPACITY, sheet.picture, 1 - _OPACITY, 0, dst=sheet.picture)
    for number, (name, points) in enumerate(shown.items()):
        places, y = sheet.places(points), _TOP + 20 * number + 10
        cv2.polylines(sheet.picture, [places], False, colours[name], 2, cv2.LINE_AA)
        for place in places if name not in bands else ():
            cv2.circle(sheet.picture, place.tolist(), 4, colours[name], -1, cv2.LINE_AA)
        cv2.line(sheet.picture, (end + 16, y - 4), (end + 36, y - 4), colours[name], 3)
        sheet.text(_cut(name, _LEGEND - 34), end + 44, y)
    return sheet.picture


def _ticks(highest: float) -> list[float]:
    """Round numbers from 0 to `highest` or a little above, at most seven."""
    size = 10.0 ** np.floor(np.log10(max(highest, 1e-6)))
    step = next(float(size * part) for part in (0.2, 0.5, 1.0, 2.0) if highest <= 6 * size * part)
    return [step * k for k in range(max(1, int(np.ceil(highest / step - 1e-9))) + 1)]


def _cut(name: str, width: float) -> str:
    """The end of a name, as much as fits: paths differ there."""
    fits = max(3, int(width / 9))
    return name if len(name) <= fits else f"..{name[2 - fits :]}"
