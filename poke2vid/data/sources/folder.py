"""User clips: a video file, a folder of videos, a folder of frames, or folders of such folders."""

import contextlib
import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from poke2vid.data.sources.footage import Origin
from poke2vid.media.video import PICTURES, VIDEOS, Fit, expected_frames, iterate_frames, pictures_in, probe
from poke2vid.types import InputError


@dataclass(frozen=True)
class SourceVideo:
    """A video before it is prepared.

    Attributes:
        name: its unique path below the source, in POSIX form, without suffix unless two would collide.
        path: the video file, or the folder that holds its frames.
    """

    name: str
    path: Path

    @property
    def place(self) -> str:
        return str(self.path)

    def digest(self) -> str:
        """sha256 of the file, or of the names and contents of a folder's frames; "" if it cannot be read."""
        total = hashlib.sha256()
        try:
            for file in pictures_in(self.path) if self.path.is_dir() else [self.path]:
                if self.path.is_dir():
                    total.update(f"{file.name}\0{file.stat().st_size}\0".encode())
                with file.open("rb") as stream:
                    while block := stream.read(1 << 20):
                        total.update(block)
        except (OSError, InputError):
            return ""
        return total.hexdigest()

    def expected_frames(self, fps: float | None) -> int:
        return expected_frames(self.path, fps)

    @contextlib.contextmanager
    def open(self) -> Iterator["FileFootage"]:
        info = probe(self.path)
        yield FileFootage(self.path, Origin(info.width, info.height, info.fps, info.frames))


@dataclass(frozen=True)
class FileFootage:
    """A video file, or a folder of frames."""

    path: Path
    origin: Origin

    def frames(self, side: int, fit: Fit, fps: float | None) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
        return iterate_frames(self.path, side, fit, fps)

    def exact_flow(self, start: int, end: int) -> None:
        """None: exact flow is unknown."""


def find_videos(source: Path) -> list[SourceVideo]:
    """All videos at or below `source`, sorted by name.

    A folder with two or more pictures and no video file is one video. Hidden files and folders are skipped.

    Raises:
        InputError: if there is no such path, or no video in it.
    """
    if not source.exists():
        raise InputError(f"there is no file or folder {source}; check the path.")
    if source.is_file():
        return [SourceVideo(source.stem, source)]
    paths = _videos_below(source)
    if not paths:
        raise InputError(f"{source} holds no videos; give a video file, a folder of videos, or a folder of frames.")
    bare = Counter(_name(source, path, suffix=False) for path in paths)
    names = {path: _name(source, path, suffix=bare[_name(source, path, suffix=False)] > 1) for path in paths}
    return sorted((SourceVideo(name, path) for path, name in names.items()), key=lambda video: video.name)


def _videos_below(folder: Path) -> list[Path]:
    entries = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    files = [entry for entry in entries if entry.is_file()]
    videos = [file for file in files if file.suffix.lower() in VIDEOS]
    pictures = [file for file in files if file.suffix.lower() in PICTURES]
    if not videos and len(pictures) >= 2:
        videos = [folder]
    return videos + [path for entry in entries if entry.is_dir() for path in _videos_below(entry)]


def _name(source: Path, path: Path, *, suffix: bool) -> str:
    if path == source:  # the given path is itself a video
        return source.resolve().name
    relative = path.relative_to(source)
    return (relative if suffix or path.is_dir() else relative.with_suffix("")).as_posix()
