"""Anybody's clips: a video file, a folder of videos, a folder of frames, or folders of such folders."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from poke2vid.types import InputError
from poke2vid.video import PICTURES, VIDEOS


@dataclass(frozen=True)
class SourceVideo:
    """A video before it is prepared.

    Attributes:
        name: its path below the source, in POSIX form, without suffix unless two would collide; unique.
        path: the video file, or the folder that holds its frames.
    """

    name: str
    path: Path


def find_videos(source: Path) -> list[SourceVideo]:
    """All videos at or below `source`, sorted by name whatever order the file system gives.

    A folder that holds two pictures or more and no video file is one video. Hidden files and folders are passed over.

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
    if path == source:  # the folder given is itself a video
        return source.resolve().name
    relative = path.relative_to(source)
    return (relative if suffix or path.is_dir() else relative.with_suffix("")).as_posix()
