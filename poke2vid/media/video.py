"""Videos, as files or folders of frames, to uint8 RGB frames `h w 3`.

Only the modules of this folder use a decoder or an encoder; this one re-exports what the rest of the program needs.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from poke2vid.media.decoding import Decoded, Source, opened
from poke2vid.media.encoding import write_video
from poke2vid.media.kinds import PICTURES, VIDEOS
from poke2vid.media.pictures import read_picture, to_float, to_uint8
from poke2vid.media.scaling import Fit, Scaler, colours_of, square_pixels
from poke2vid.media.shots import SIDE, Seen, numbered, thumbnail
from poke2vid.media.stills import animation, folder_of_frames, is_animated, pictures_in
from poke2vid.media.timing import Timed, broken_at_gaps, kept_fps, paced
from poke2vid.types import InputError

__all__ = [
    "PICTURES",
    "VIDEOS",
    "Fit",
    "Shown",
    "VideoInfo",
    "Viewing",
    "expected_frames",
    "iterate_frames",
    "kept_fps",
    "pictures_in",
    "probe",
    "read_picture",
    "to_float",
    "to_uint8",
    "write_video",
]

Frame = UInt8[np.ndarray, "h w 3"]
MISSING_SECONDS, MISSING_SHARE = 0.5, 0.1  # of its length: what a video may lack without a word; sound often is longer


@dataclass(frozen=True)
class VideoInfo:
    """Size, rate and length of an unprocessed video.

    Attributes:
        width, height: as shown, that is, turned and with square pixels.
        fps: frames a second: on average, or the usual number if the rate is variable.
        frames: number of frames; None if the file does not say.
    """

    width: int
    height: int
    fps: float
    frames: int | None


def probe(path: Path) -> VideoInfo:
    """Size and rate of a video file or a folder of frames, from its time stamps and first frame.

    Raises:
        InputError: see `iterate_frames`.
    """
    with _read(path) as source:
        first = next(source.frames, None)
        if first is None:
            raise _empty(path)
        height, width = first.turn.shape(*square_pixels(first.frame, source.aspect))
        return VideoInfo(width, height, source.pace.fps, source.count)


def expected_frames(path: Path, fps: float | None = None) -> int:
    """Approximate number of frames from `iterate_frames`, from the header alone; 0 if unknown. For progress bars."""
    try:
        with _read(path, paced=False) as source:
            rate = source.pace.fps
            return round((source.count or source.seconds * rate) * kept_fps(rate, fps) / rate)
    except InputError:
        return 0


def iterate_frames(
    path: Path, size: int | None = None, fit: Fit = "crop", fps: float | None = None
) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
    """Yields the frames of a video file, or of a folder of pictures in natural order, in even steps of time.

    A video of variable rate is evened out to its usual rate: a frame is held until the next, at most through a gap.

    Args:
        size: side of the square frames in pixels; None keeps the source's own size.
        fit: "crop" the longer side, "stretch" both, or "pad" the shorter with black.
        fps: keep the frames nearest to the ticks of this rate; None, or a rate above the source's, keeps all.

    Raises:
        InputError: if there is no such file, it is not a video or damaged, or the folder holds no pictures; names file
            and reason. Damage may show only after some frames.
    """
    scaler = Scaler(size, fit)
    with _read(path) as source:
        empty = True
        for moment in _paced(_undamaged(source, path), source, fps):
            empty = False
            if moment.shown:
                frame = scaler(moment.item.frame, source.aspect, moment.item.turn)
                for _ in range(moment.shown):
                    yield frame
        if empty:
            raise _empty(path)


@dataclass(frozen=True)
class Shown:
    """One frame, with the number of its shot, from 0; nothing may span two shots."""

    frame: Frame
    shot: int


@dataclass
class Viewing:
    """The shots of a video, read once; damaged stretches are left out, and gaps and hard cuts begin a new shot.

    Attributes:
        size, fit, fps: see `iterate_frames`.
        notes: a sentence without a full stop for whatever is not as usual; complete once all frames were read.
    """

    path: Path
    size: int
    fit: Fit = "crop"
    fps: float | None = None
    notes: list[str] = field(default_factory=list)

    def __iter__(self) -> Iterator[Shown]:
        """Yields the frames; raises InputError as `iterate_frames` does, but for damage only if nothing is left."""
        scaler, small = Scaler(self.size, self.fit), Scaler(SIDE, self.fit)
        with _read(self.path) as source:
            log = _Log()
            kept = log.of_pace(_paced(log.of_damage(source.frames), source, self.fps))

            def seen() -> Iterator[Seen[tuple[Frame | None, int]]]:
                for moment in kept:
                    shown = moment.item
                    frame = scaler(shown.frame, source.aspect, shown.turn) if moment.shown else None
                    # Frames that are thinned out are looked at, too: a cut shows best between neighbours.
                    look = small(shown.frame, source.aspect, shown.turn) if frame is None else frame
                    yield Seen((frame, moment.shown), thumbnail(look), moment.breaks)

            for shot, (frame, times) in numbered(seen()):
                for _ in range(times):
                    assert frame is not None
                    yield Shown(frame, shot)
            self.notes += log.notes(source, kept_fps(source.pace.fps, self.fps))
        if not log.any:
            raise _empty(self.path) if not source.remarks.fault else _damaged(self.path, source.remarks.fault)


@dataclass
class _Log:
    """Counts of what happened to the frames on their way."""

    any: bool = False
    left_out: list[tuple[float, float]] = field(default_factory=list)  # seconds
    colours: str = ""
    shown: int = 0
    held: int = 0
    passed: int = 0  # of good frames, those that are not shown
    breaks: int = 0
    breaks_not_in_time: int = 0  # by damage, or by another size of frame
    end: float = 0.0  # seconds, of the last frame's showing as far as the file says how long that is

    def of_damage(self, frames: Iterator[Decoded]) -> Iterator[Timed[Decoded]]:
        """Leaves damaged frames out, and marks the first after them, and the first of another size."""
        before: Decoded | None = None  # the last good one
        bad: list[float] = []
        for decoded in frames:
            length = (decoded.frame.duration or 0) * float(decoded.frame.time_base or 0)
            self.end = max(self.end, decoded.time + length)
            if not decoded.whole:
                bad.append(decoded.time)
                continue
            resized = before is not None and (
                (before.frame.width, before.frame.height) != (decoded.frame.width, decoded.frame.height)
            )
            lost = decoded.breaks or bool(bad)
            if lost:
                self.left_out.append((before.time if before else 0.0, decoded.time))
            if not self.any:
                transfer, primaries = colours_of(decoded.frame)
                self.colours = "" if (transfer, primaries) == ("sdr", "bt709") else f"{transfer} {primaries}".upper()
            before, bad, self.any = decoded, [], True
            self.breaks_not_in_time += lost or resized
            yield Timed(decoded.time, decoded, breaks=lost or resized)
        if bad:
            self.left_out.append((before.time if before else 0.0, bad[-1]))

    def of_pace(self, timed: Iterator[Timed[Decoded]]) -> Iterator[Timed[Decoded]]:
        for moment in timed:
            self.shown += moment.shown
            self.held += max(moment.shown - 1, 0)
            self.passed += moment.shown == 0
            self.breaks += moment.breaks
            yield moment

    def notes(self, source: Source, fps: float) -> list[str]:
        notes = []
        fault = source.remarks.fault
        if fault:
            spans = [f"from {start:.2f} s to {end:.2f} s" for start, end in self.left_out] or ["at its end"]
            notes.append(f"damaged {', '.join(spans)} ({fault}): this is left out")
        if source.remarks.deinterlaced:
            notes.append("interlaced: two fields are made one frame")
        if self.colours:
            notes.append(f"colours of {self.colours} are brought to SDR of BT.709")
        if not source.pace.even:
            gaps = self.breaks - self.breaks_not_in_time
            passed = self.passed if fps == source.pace.fps else 0  # else they were thinned out on purpose
            if self.held or passed or not self.breaks_not_in_time:  # a hole alone makes stamps look uneven, too
                notes.append(
                    f"variable frame rate: evened out to {fps:g} a second, where {self.held} of {self.shown} frames repeat "
                    "the one before" + (f" and {passed} of the video's are passed over" if passed else "")
                )
            if gaps > 0:
                notes.append(f"{gaps} {'gaps' if gaps > 1 else 'gap'} in time, where a new shot begins")
        longest = max(MISSING_SECONDS, 1 / source.pace.fps, MISSING_SHARE * source.seconds)
        if source.seconds - self.end > longest:
            notes.append(f"ends after {self.end:.2f} s, and the file says that it is {source.seconds:.2f} s long")
        return notes


def _paced(timed: Iterator[Timed[Decoded]], source: Source, fps: float | None) -> Iterator[Timed[Decoded]]:
    pace = source.pace
    if not pace.even:
        timed = broken_at_gaps(timed, pace, kept_fps(pace.fps, fps))
    return paced(timed, pace, fps)


def _undamaged(source: Source, path: Path) -> Iterator[Timed[Decoded]]:
    for decoded in source.frames:
        if not decoded.whole or decoded.breaks:
            raise _damaged(path, source.remarks.fault)
        yield Timed(decoded.time, decoded)
    if source.remarks.fault:
        raise _damaged(path, source.remarks.fault)


def _damaged(path: Path, fault: str) -> InputError:
    return InputError(f"the video {path} is damaged: {fault}.")


def _empty(path: Path) -> InputError:
    return InputError(f"the video {path} holds no frames; take an intact copy.")


@contextlib.contextmanager
def _read(path: Path, *, paced: bool = True) -> Iterator[Source]:
    if path.is_dir():
        yield folder_of_frames(path)
    elif is_animated(path):
        yield animation(path)
    else:
        with opened(path, paced=paced) as source:
            yield source
