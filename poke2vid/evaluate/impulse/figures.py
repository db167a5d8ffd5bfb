"""Figures of an impulse model: motion over time, truth beside model, and videos with rising strength (App. B.2)."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from poke2vid.evaluate.impulse.curves import Curve, ImpulseReport
from poke2vid.evaluate.plots import RISING, curves
from poke2vid.media.pictures import write_picture
from poke2vid.media.video import write_video
from poke2vid.media.viz import Picture, draw_arrow, enlarge, enlarged_poke, enlargement, grid
from poke2vid.types import Poke

_WIDTH = 640  # of one panel, in pixels
_SMALLEST = 192  # pixels per side that small frames are enlarged to, about
_HELD = 15  # video frames for which x_0 stands still, so that its arrow can be seen
_SAMPLES = 6  # moments on a still sheet


def plot(report: ImpulseReport, path: Path) -> None:
    """Plots truth and model, a panel each: one line per magnitude, and around it the 95 % interval over scenes.

    Every panel has its own scale, because the units of magnitude do not agree (see `impulse.curves`).
    """
    shown = [row for row in ("truth", "model") if row in report.curves]
    panels = [_panel(f"{row}: mean displacement of the object, px", report.curves[row]) for row in shown]
    write_picture(path, np.concatenate(panels, axis=1))


def _panel(title: str, found: Mapping[float, Curve]) -> Picture:
    def points(values: Sequence[float]) -> list[tuple[float, float]]:
        return list(enumerate((0.0, *values)))  # in frame 0 nothing has moved yet

    lines = {f"magnitude {m:g}": points(curve.mean) for m, curve in found.items()}
    bands = {f"magnitude {m:g}": (points(curve.low), points(curve.high)) for m, curve in found.items()}
    return curves(lines, "frames after the impulse", title, bands, RISING, _WIDTH)


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
    factor = enlargement(first, _SMALLEST)
    arrows = [enlarged_poke(poke, factor) for poke in pokes]
    length = len(next(iter(rows.values()))[0])
    start = grid([[draw_arrow(enlarge(first, factor), arrow) for arrow in arrows] for _ in rows], gap=4)
    large = [[[enlarge(picture, factor) for picture in clip] for clip in clips] for clips in rows.values()]
    moments = [grid([[clip[t] for clip in clips] for clips in large], gap=4) for t in range(length)]
    write_video(path, [start] * _HELD + moments, fps)
    kept = np.linspace(0, length - 1, _SAMPLES).round().astype(int)
    still = [
        [draw_arrow(enlarge(first, factor), arrows[k]), *(clips[k][t] for t in kept)]
        for k in (0, -1)
        for clips in large
    ]
    write_picture(path.with_suffix(".png"), grid(still, gap=4))
