"""Pictures of correlation maps, as Fig. 5 shows them."""

from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Float32

from poke2vid.evaluate.structure.maps import CorrelationMap
from poke2vid.media.viz import ARROW, LargePicture, Picture, grid
from poke2vid.types import Pair

SHOWN_SIDE = 384  # pixels of drawn maps
LOWEST_BAR = 96  # pixels
OPACITY = 0.62  # of the heat over the picture


def sheet(picture: Picture, maps: Sequence[CorrelationMap]) -> LargePicture:
    """The picture, one panel per location, and the colour bar, side by side (Fig. 5)."""
    panels = grid([[larger(picture), *(overlay(picture, found) for found in maps)]], gap=6)
    missing = max(0, LOWEST_BAR - panels.shape[0])  # a wide, low picture is lower than the bar's text
    panels = np.pad(panels, ((missing // 2, missing - missing // 2), (0, 0), (0, 0)), constant_values=255)
    return np.concatenate((panels, colour_bar(panels.shape[0])), axis=1)


def larger(picture: Picture) -> LargePicture:
    """Enlarges a picture to the size that is drawn."""
    factor = max(1.0, SHOWN_SIDE / max(picture.shape[:2]))
    size = (round(picture.shape[1] * factor), round(picture.shape[0] * factor))
    return picture if factor == 1 else cv2.resize(picture, size, interpolation=cv2.INTER_CUBIC)


def overlay(picture: Picture, found: CorrelationMap) -> LargePicture:
    """The picture, of any size, in grey under the heat's colours, with a ring around l."""
    below = larger(picture)
    size = (below.shape[1], below.shape[0])
    grey = cv2.cvtColor(below, cv2.COLOR_RGB2GRAY)[..., None].astype(np.float32)
    above = colours(cv2.resize(found.heat.astype(np.float32), size, interpolation=cv2.INTER_LINEAR)).astype(np.float32)
    drawn = np.rint((1 - OPACITY) * grey + OPACITY * above).astype(np.uint8)
    return marked(drawn, found.poke_at, found.heat.shape[1])


def marked(drawn: Picture, location: Pair, width: int) -> Picture:
    """Draws a ring around l, which is in pixels of the same picture at `width` pixels wide."""
    factor = drawn.shape[1] / width
    centre = (round(factor * (location[0] + 0.5) - 0.5), round(factor * (location[1] + 0.5) - 0.5))
    radius = max(4, round(max(drawn.shape[:2]) / 64))
    drawn = drawn.copy()
    for colour, thickness in (((255, 255, 255), 4), (ARROW, 2)):
        cv2.circle(drawn, centre, radius, colour, thickness, cv2.LINE_AA)
    return drawn


def colours(heat: Float32[np.ndarray, "h w"]) -> Picture:
    """Colours of the heat: dark is 0, bright is 1."""
    levels = np.rint(heat.clip(0, 1) * 255).astype(np.uint8)
    return cv2.cvtColor(cv2.applyColorMap(levels, cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB)


def colour_bar(height: int) -> Picture:
    """Legend of the colours: 1, moves as the poke, at the top; 0, no closer than a still pixel, at the bottom."""
    bar = np.full((height, 96, 3), 255, np.uint8)
    ramp = np.linspace(1, 0, height - 40, dtype=np.float32)[:, None].repeat(18, axis=1)
    grey = np.full((*ramp.shape, 3), 128.0)  # as over a picture
    bar[20:-20, 10:28] = np.rint((1 - OPACITY) * grey + OPACITY * colours(ramp)).astype(np.uint8)
    for text, y in (("1 follows", 26), ("0 still", height - 16)):
        cv2.putText(bar, text, (32, y), cv2.FONT_HERSHEY_SIMPLEX, 0.38, (40, 40, 40), 1, cv2.LINE_AA)
    return bar
