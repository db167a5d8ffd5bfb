"""Time stamps of a video: constant or variable rate, gaps, and the frames that a lower or an even rate shows."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

import numpy as np

SAME_RATE = 0.999  # a rate within a thousandth of the source's counts as equal (30 and 29.97)
GAP = 5.5  # usual intervals: after a longer pause nobody knows what happened, so it is a cut
REORDERED, REORDERED_FRAMES = 1.0, 16  # seconds, or usual intervals, by which a frame may come before an earlier one
UNEVEN = 0.6  # usual intervals by which a stamp may be early or late at a constant rate: containers round times
DROPPED = 0.02  # share of the frames that a camera may drop, one at a time, and still have a constant rate
_SAME_STAMP = 0.25  # usual intervals: packets nearer than this are one frame (alternate references, fields)

Item = TypeVar("Item")


@dataclass(frozen=True)
class Timed(Generic[Item]):
    """Something at a time of the video.

    Attributes:
        time: in seconds.
        shown: times that it is shown in a row: 0 if thinned out, 2 or more if held until the next one comes.
        breaks: true if nothing may span from the one before to this one.
    """

    time: float
    item: Item
    shown: int = 1
    breaks: bool = False


@dataclass(frozen=True)
class Pace:
    """Rate of a video.

    Attributes:
        fps: frames a second; the usual number at a variable rate.
        even: true if all frames follow each other in equal steps.
    """

    fps: float
    even: bool = True


def pace_of(times: Sequence[float], stated: float) -> Pace:
    """Pace by the time stamps of all frames, in the order of the file; `stated` is the container's average, exact if even.

    The usual rate is that of the median interval; 60, 30, 25 ... and their 1.001 parts are recognised.
    """
    pieces = _pieces(times)
    if len(pieces) > 1:  # joined recordings, each with stamps of its own
        intervals = np.concatenate([np.diff(np.unique(piece)) for piece in pieces])
        return Pace(_named_rate(1 / float(np.median(intervals))) if len(intervals) else stated, even=False)
    stamps = np.unique(np.asarray(times, np.float64))
    if len(stamps) < 3:
        return Pace(stated)
    usual = float(np.median(np.diff(stamps)[np.diff(stamps) > _SAME_STAMP * np.median(np.diff(stamps))]))
    kept = [stamps[0]]
    for stamp in stamps[1:]:
        if stamp - kept[-1] > _SAME_STAMP * usual:
            kept.append(stamp)
    intervals = np.diff(kept)
    usual = float(np.median(intervals))
    odd = np.abs(intervals - usual) > UNEVEN * usual
    regular = np.cumsum(np.where(odd, usual, intervals))
    drift = float(np.abs(regular - np.linspace(regular[0], regular[-1], len(regular))).max())
    few = float(odd.mean()) <= DROPPED and float(intervals.max()) <= (2 + UNEVEN) * usual
    if few and drift <= UNEVEN * usual:
        return Pace(stated)
    return Pace(_named_rate(1 / usual), even=False)


def _pieces(times: Sequence[float]) -> list[list[float]]:
    """Stamps in the order of the file, cut where they go back farther than frames are reordered."""
    pieces: list[list[float]] = [[]]
    highest = -math.inf
    stamps = np.unique(np.asarray(times, np.float64))
    usual = float(np.median(np.diff(stamps))) if len(stamps) > 1 else 0.0
    farthest = max(REORDERED, REORDERED_FRAMES * usual)  # slow videos: a B-frame may be seconds away
    for time in times:
        if time < highest - farthest:
            pieces.append([])
            highest = -math.inf
        pieces[-1].append(time)
        highest = max(highest, time)
    return pieces


def _named_rate(fps: float) -> float:
    """The common rate within half a percent, because stamps of whole milliseconds blur it; else the rate itself."""
    common = [base * factor for base in (12, 15, 24, 25, 30, 48, 50, 60, 90, 120, 240) for factor in (1, 1000 / 1001)]
    nearest = min(common, key=lambda rate: abs(rate - fps))
    within = abs(nearest - fps) <= 0.005 * fps or abs(1 / nearest - 1 / fps) <= 0.0006
    return float(nearest if within else fps)


def kept_fps(source: float, fps: float | None) -> float:
    """Frame rate after thinning out: never above the source's."""
    return float(source if fps is None or fps >= source * SAME_RATE else fps)


def broken_at_gaps(timed: Iterator[Timed[Item]], pace: Pace, fps: float) -> Iterator[Timed[Item]]:
    """Marks the first frame after a gap: GAP usual intervals, and longer than a step of the rate `fps`."""
    longest = max(GAP / pace.fps, 1.5 / fps)
    before: float | None = None
    for moment in timed:
        gap = before is not None and not 0 <= moment.time - before <= longest  # back in time: joined recordings
        before = moment.time
        yield replace(moment, breaks=True) if gap else moment


def paced(timed: Iterator[Timed[Item]], pace: Pace, fps: float | None) -> Iterator[Timed[Item]]:
    """Says how often each frame is shown at the rate `kept_fps(pace.fps, fps)`, beginning anew after every break."""
    target = kept_fps(pace.fps, fps)
    if pace.even and target == pace.fps:
        return timed
    return _nearest_to_ticks(timed, pace.fps, target) if pace.even else _held(timed, pace.fps, target)


def _nearest_to_ticks(timed: Iterator[Timed[Item]], source_fps: float, fps: float) -> Iterator[Timed[Item]]:
    """Shows for every k the frame nearest to time k / fps after the first; no frame twice."""
    best: tuple[float, Timed[Item]] | None = None  # in ticks after the first
    passed: list[Timed[Item]] = []  # since the best, not shown
    start = 0.0

    def settled(last: bool) -> Iterator[Timed[Item]]:
        if best is not None:
            late = last and round(best[0]) - best[0] > fps / source_fps / 2  # the nearest lies past the end
            yield replace(best[1], shown=0) if late else best[1]
        yield from passed

    for moment in timed:
        if best is None or moment.breaks:
            yield from settled(last=True)
            best, passed, start = (0.0, moment), [], moment.time
            continue
        ticks = (moment.time - start) * fps
        if round(ticks) != round(best[0]):
            yield from settled(last=False)
            best, passed = (ticks, moment), []
        elif abs(ticks - round(ticks)) < abs(best[0] - round(best[0])):
            yield replace(best[1], shown=0)
            yield from passed
            best, passed = (ticks, moment), []
        else:
            passed.append(replace(moment, shown=0))
    yield from settled(last=True)


def _held(timed: Iterator[Timed[Item]], source_fps: float, fps: float) -> Iterator[Timed[Item]]:
    """Shows at every tick the frame nearest in time, so that a frame before a pause is held through half of it."""
    before: Timed[Item] | None = None
    start, tick = 0.0, 0  # of the stretch, and the next tick to fill
    for moment in timed:
        if before is None or moment.breaks:
            if before is not None:
                end = before.time + 0.5 / source_fps
                count = _ticks_until(end, start, fps) - tick
                yield replace(before, shown=max(count, 0))
            before, start, tick = moment, moment.time, 0
            continue
        next_tick = max(_ticks_until((before.time + moment.time) / 2, start, fps), tick)
        yield replace(before, shown=next_tick - tick)
        before, tick = moment, next_tick
    if before is not None:
        yield replace(before, shown=max(_ticks_until(before.time + 0.5 / source_fps, start, fps) - tick, 0))


def _ticks_until(time: float, start: float, fps: float) -> int:
    """Number of ticks, counted from the one at `start`, that lie before `time`; a tick at `time` counts as later."""
    return max(0, int(np.ceil((time - start) * fps - 1e-6)))
