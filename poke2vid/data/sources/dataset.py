"""Published data sets: what one is, and the videos of a copy of it on disk, in the split that its papers use."""

import contextlib
import hashlib
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from poke2vid.data.sources.folder import FileFootage, PassedOver, SourceVideo, find_videos
from poke2vid.data.sources.footage import Origin, Source
from poke2vid.media.video import Fit, Shown
from poke2vid.types import InputError, Split

CLIP_SUFFIX = ".mp4"  # which loading scripts also give to folders of frames
COUNTED_SIDE = 16  # pixels of frames that are only counted
TEST = "test/*"  # pattern of the held-out videos: every name begins with its split


@dataclass(frozen=True)
class Listing:
    """A copy of a data set.

    Attributes:
        videos: all that are to be prepared, named `train/...` or `test/...`.
        passed_over: files that are not part of it.
        remarks: sentences without a full stop on what is missing or not as published.
        missing: names of videos that its lists or its table have and the copy has not.
    """

    videos: tuple[Source, ...]
    passed_over: tuple[PassedOver, ...] = ()
    remarks: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    def of(self, split: Split) -> list[Source]:
        return [video for video in self.videos if video.name.startswith(f"{split}/")]


@dataclass(frozen=True)
class DataSet:
    """A published data set.

    Attributes:
        name: as in `prepare --dataset`.
        title: as the paper calls it.
        contents: videos and frames, as its papers give them.
        page: its owner's.
        licence: what its owner allows, or that nothing is stated.
        layout: what a copy looks like, one sentence.
        find: lists a copy in a folder; raises InputError if it is none.
        fps: frames a second to keep at most; None keeps all.
        fit: method of making a frame square.
    """

    name: str
    title: str
    contents: str
    page: str
    licence: str
    layout: str
    find: Callable[[Path], Listing]
    fps: float | None = None
    fit: Fit = "crop"

    def listed(self, raw: Path) -> Listing:
        """The videos of a copy.

        Raises:
            InputError: naming what was expected, and where it is to be had; or two files of one name.
        """
        try:
            found = self.find(raw)
        except InputError as error:
            raise InputError(f"{self._not_here(raw)} ({str(error).rstrip('.')}).") from error
        if not found.of("train") or not found.of("test"):
            lacking = "train" if not found.of("train") else "test"
            raise InputError(f"{self._not_here(raw)} (it holds no {lacking} videos).")
        places: dict[str, str] = {}
        for video in found.videos:
            if video.name in places:
                raise InputError(
                    f"{places[video.name]} and {video.place} are both {video.name}; keep one copy of every video in {raw}."
                )
            places[video.name] = video.place
        return found

    def _not_here(self, raw: Path) -> str:
        return f"{raw} is no copy of {self.title}: expected is {self.layout}; it is to be had at {self.page}"


@dataclass(frozen=True)
class Excerpt:
    """Every `step`-th frame of a part of a video, from and to a share of its length: a source of its own.

    Frames are counted before (by decoding the video once more), so two parts that meet are all of it and never overlap.
    """

    name: str
    video: SourceVideo
    step: int = 1
    part: tuple[float, float] = (0.0, 1.0)

    @property
    def place(self) -> str:
        return self.video.place

    def digest(self) -> str:
        """Digest of the video and of the choice of its frames."""
        whole = self.video.digest()
        if not whole or (self.step == 1 and self.part == (0.0, 1.0)):
            return whole
        return hashlib.sha256(f"{whole} every {self.step} of {self.part}".encode()).hexdigest()

    def expected_frames(self, fps: float | None) -> int:
        return round(self.video.expected_frames(fps) * (self.part[1] - self.part[0]) / self.step)

    @contextlib.contextmanager
    def open(self) -> Iterator["ExcerptFootage"]:
        with self.video.open() as footage:
            yield ExcerptFootage(footage, self.step, self.part)


@dataclass
class ExcerptFootage:
    """Footage of an `Excerpt`."""

    footage: FileFootage
    step: int
    part: tuple[float, float]
    _notes: tuple[str, ...] = ()  # from when the frames were counted

    @property
    def origin(self) -> Origin:
        whole = self.footage.origin
        frames = None if whole.frames is None else len(range(*self._range(whole.frames)))
        return Origin(whole.width, whole.height, whole.fps / self.step, frames)

    @property
    def notes(self) -> Sequence[str]:
        return self._notes or self.footage.notes

    def frames(self, side: int, fit: Fit, fps: float | None) -> Iterator[Shown]:
        """The chosen frames, thinned out to at most `fps`, which is the rate after `step`."""
        rate = None if fps is None else fps * self.step
        first, last, step = 0, sys.maxsize, self.step
        if self.part != (0.0, 1.0):
            first, last, step = self._range(sum(1 for _ in self.footage.frames(COUNTED_SIDE, fit, rate)))
            self._notes = tuple(self.footage.notes)
        for number, shown in enumerate(self.footage.frames(side, fit, rate)):
            if number >= last:
                break
            if number >= first and (number - first) % step == 0:
                yield shown

    def exact_flow(self, start: int, end: int) -> None:
        """None: exact flow is unknown."""

    def _range(self, total: int) -> tuple[int, int, int]:
        first, last = self.part
        return round(first * total), total if last == 1.0 else round(last * total), self.step


def named(split: Split, video: SourceVideo, name: str | None = None, step: int = 1) -> Source:
    """A whole video as one of a split."""
    name = f"{split}/{name or video.name}"
    return SourceVideo(name, video.path) if step == 1 else Excerpt(name, video, step)


def files_in(raw: Path) -> tuple[list[SourceVideo], list[PassedOver]]:
    """Videos and other files of a folder; raises InputError if it is none or holds no video."""
    if raw.is_file():
        raise InputError("it is a file")
    found = find_videos(raw)
    return list(found.videos), list(found.passed_over)


def stem(video: SourceVideo) -> str:
    """Name without folders and suffix, also of a folder of frames that is named as a video (`x.mp4/`)."""
    path = video.path
    return path.stem if path.suffix.lower() == CLIP_SUFFIX or not path.is_dir() else path.name


def first_of(names: Iterable[str], thing: str = "video") -> str:
    """Number of names, and the first of them in order."""
    ordered = sorted(names)
    return f"{count(len(ordered), thing)} ({ordered[0]}{' first' if len(ordered) > 1 else ''})"


def count(number: int, thing: str = "video") -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"
