"""Hard cuts: where one picture does not follow from the one before, other than by motion or a flash of light.

Neighbouring frames are compared as thumbnails of SIDE pixels. `distance` looks for every patch of one in the other within
REACH pixels (an eighth of the picture), so that motion costs little. A cut is a distance that is large in itself and
stands out from its neighbours, which fast motion does not, since it lasts. A flash lightens or darkens nearly the whole
picture, and after FLASH frames at most it is over and the picture is as before.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

import cv2
import numpy as np
from jaxtyping import UInt8

SIDE = 32  # pixels of a thumbnail
REACH = 4  # pixels
PATCH = 7  # pixels
LEAST = 9.0  # levels of 255: smaller distances are no cuts
CERTAIN = 60.0  # levels: larger ones are always
RATIO = 3.0  # a cut's distance over the median of its neighbours
AROUND = 4  # neighbours looked at before and after
FLASH = 4  # frames
ONE_SIGN = 0.9  # share of the pixels that a flash lightens (or darkens)

Item = TypeVar("Item")
Thumbnail = UInt8[np.ndarray, "s s 3"]


@dataclass(frozen=True)
class Seen(Generic[Item]):
    """Something with a thumbnail; `breaks` is true if a cut is known to lie before it."""

    item: Item
    thumbnail: Thumbnail
    breaks: bool = False


def thumbnail(frame: UInt8[np.ndarray, "h w 3"]) -> Thumbnail:
    """The frame at SIDE pixels, averaged over areas."""
    return cv2.resize(frame, (SIDE, SIDE), interpolation=cv2.INTER_AREA)


def distance(first: Thumbnail, second: Thumbnail) -> float:
    """Mean difference in levels of 255, of each patch of `second` from the most similar one nearby in `first`."""
    plain = float(cv2.absdiff(first, second).mean())
    if plain < LEAST:  # and no shift can make it larger
        return plain
    padded = cv2.copyMakeBorder(first, REACH, REACH, REACH, REACH, cv2.BORDER_REPLICATE)
    best = np.full((SIDE, SIDE, 3), 255, np.uint8)
    for dy in range(2 * REACH + 1):
        for dx in range(2 * REACH + 1):
            difference = cv2.absdiff(second, padded[dy : dy + SIDE, dx : dx + SIDE])
            cv2.min(best, cv2.blur(difference, (PATCH, PATCH)), dst=best)
    return float(best.mean())


def is_flash(before: Thumbnail, during: Thumbnail, after: Thumbnail) -> bool:
    """True if `during` is `before` in another light, and `after` is `before` again."""
    change = during.astype(np.int16) - before
    one_sign = max(float((change > 0).mean()), float((change < 0).mean()))
    lit = one_sign >= ONE_SIGN or float((during > 250).mean()) >= ONE_SIGN
    return lit and distance(before, after) < max(LEAST, distance(before, during) / RATIO)


def numbered(frames: Iterator[Seen[Item]]) -> Iterator[tuple[int, Item]]:
    """Yields the items with the number of their shot, from 0; a few frames late, because a cut shows by what follows."""
    window: deque[tuple[Seen[Item], float]] = deque()  # with the distance from the frame before it
    decided = 0  # of the window: frames before this one are only kept as neighbours
    shot, over = 0, False
    lit: set[int] = set()
    count = 0  # frames that have left the window
    before: Seen[Item] | None = None
    while not over or decided < len(window):
        while not over and len(window) - decided <= max(AROUND, FLASH):
            seen = next(frames, None)
            if seen is None:
                over = True
                break
            window.append((seen, distance(before.thumbnail, seen.thumbnail) if before else 0.0))
            before = seen
        if decided >= len(window):
            continue
        shot += _begins_shot(window, decided, lit, count)
        yield shot, window[decided][0].item
        decided += 1
        if decided > AROUND + 1:
            window.popleft()
            decided, count = decided - 1, count + 1


def _begins_shot(window: "deque[tuple[Seen[Item], float]]", index: int, lit: set[int], count: int) -> bool:
    """True if frame `index` of the window begins a shot; `lit` collects the ends of flashes, counted from the start."""
    seen, jump = window[index]
    if seen.breaks:
        return True
    if index == 0 or jump < LEAST or count + index in lit:
        return False
    neighbours = [
        window[i][1] for i in range(max(1, index - AROUND), min(len(window), index + AROUND + 1)) if i != index
    ]
    usual = float(np.median(neighbours)) if neighbours else 0.0
    if jump < CERTAIN and jump < RATIO * usual:
        return False
    start = window[index - 1][0].thumbnail
    for end in range(index + 1, min(index + FLASH + 1, len(window))):
        if any(window[i][0].breaks for i in range(index, end + 1)):
            break
        if is_flash(start, seen.thumbnail, window[end][0].thumbnail):
            lit.update(range(count + index, count + end + 1))
            return False
    return True
