"""User clips: a video file, a folder of videos, a folder of frames, or folders of such folders."""

import contextlib
import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from poke2vid.data.manifest import SHOT_MARK
from poke2vid.data.sources.footage import Origin
from poke2vid.files import reason
from poke2vid.media.kinds import PICTURES, VIDEOS, is_hidden, unusable_because
from poke2vid.media.stills import is_animated
from poke2vid.media.video import Fit, Shown, Viewing, expected_frames, pictures_in, probe
from poke2vid.types import InputError

_SHOWN = 3  # passed-over files named in an error


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
                    total.update(f"{file.name}\0{file.stat().st_size}\0".encode(errors="surrogateescape"))
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


@dataclass
class FileFootage:
    """A video file, or a folder of frames."""

    path: Path
    origin: Origin
    _viewing: Viewing | None = None

    @property
    def notes(self) -> Sequence[str]:
        return self._viewing.notes if self._viewing else ()

    def frames(self, side: int, fit: Fit, fps: float | None) -> Iterator[Shown]:
        self._viewing = Viewing(self.path, side, fit, fps)
        return iter(self._viewing)

    def exact_flow(self, start: int, end: int) -> None:
        """None: exact flow is unknown."""


@dataclass(frozen=True)
class PassedOver:
    """A file that is no video, or stands where none is expected, and the reason."""

    name: str
    reason: str


@dataclass(frozen=True)
class Found:
    """Contents of a source: every file is part of a video, or passed over; hidden files are neither.

    Attributes:
        videos, passed_over: sorted by name.
    """

    videos: tuple[SourceVideo, ...]
    passed_over: tuple[PassedOver, ...]


def find_videos(source: Path) -> Found:
    """All videos at or below `source`, sorted by name, and whatever else lies there.

    A folder with two or more pictures and no video file is one video. Animated pictures are video files.

    Raises:
        InputError: if there is no such path, or no video in it.
    """
    if not source.exists():
        raise InputError(f"there is no file or folder {source}; check the path.")
    if not _is_text(str(source)):
        raise InputError(f"the name of {str(source).encode(errors='replace').decode()} is not UTF-8; rename it.")
    if source.is_file():
        return Found((SourceVideo(source.stem, source),), ())
    search = _Search(source)
    search.folder(source)
    rest = sorted(search.passed_over, key=lambda other: other.name)
    if not search.videos:
        about = "; ".join(f"{other.name}: {other.reason}" for other in rest[:_SHOWN])
        raise InputError(
            f"{source} holds no videos{f' ({about})' if about else ''}; give a video file, a folder of videos, or a "
            "folder of frames."
        )
    bare = {path: _name(source, path, suffix=False) for path in search.videos}
    counts = Counter(bare.values())
    names = {
        path: _name(source, path, suffix=counts[name] > 1 or _looks_like_a_shot(name, counts))
        for path, name in bare.items()
    }
    return Found(
        tuple(sorted((SourceVideo(name, path) for path, name in names.items()), key=lambda video: video.name)),
        tuple(rest),
    )


class _Search:
    """Walks through a folder, and sorts what it meets."""

    def __init__(self, source: Path) -> None:
        self._source, self._visited = source, set[Path]()
        self.videos: list[Path] = []
        self.passed_over: list[PassedOver] = []

    def folder(self, folder: Path) -> None:
        if folder.resolve() in self._visited:
            return self._pass(folder, "a link to a folder that is already listed")
        self._visited.add(folder.resolve())
        try:
            entries = sorted(entry for entry in folder.iterdir() if not is_hidden(entry))
        except OSError as error:
            return self._pass(folder, f"a folder that cannot be read: {reason(error)}")
        files = [entry for entry in entries if entry.is_file()]
        pictures = [file for file in files if file.suffix.lower() in PICTURES]
        animations = {file for file in pictures if is_animated(file)}
        videos = [
            file for file in files if _is_text(file.name) and (file.suffix.lower() in VIDEOS or file in animations)
        ]
        stills = [file for file in pictures if file not in animations]
        known, still = set(files), set(stills)
        used = still.union(videos)
        one_video = not videos and len(stills) >= 2
        self.videos += [folder] if one_video else videos
        for entry in entries:
            if not _is_text(entry.name) and entry not in still:  # a frame's name is written nowhere
                self._pass(entry, "its name is not UTF-8, so no store can hold it; rename it")
            elif entry.is_dir():
                self.folder(entry)
            elif entry.is_symlink() and not entry.exists():
                self._pass(entry, f"a broken link to {entry.readlink()}")
            elif entry not in known:
                self._pass(entry, "neither a file nor a folder")
            elif entry in still and not one_video:
                why = "a picture beside videos" if videos else "a single picture, and a video has two frames or more"
                self._pass(entry, f"{why}; put frames in a folder of their own")
            elif entry not in used:
                self._pass(entry, unusable_because(entry))
        return None

    def _pass(self, path: Path, why: str) -> None:
        name = path.relative_to(self._source).as_posix() if path != self._source else path.name
        self.passed_over.append(PassedOver(name.encode(errors="replace").decode(), why))


def _is_text(name: str) -> bool:
    """False for bytes of an old encoding, which Python carries in names as lone surrogates."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _looks_like_a_shot(name: str, names: Counter[str]) -> bool:
    """True for "clip#2" beside "clip", whose second shot would have that name in the store."""
    video, _, number = name.rpartition(SHOT_MARK)
    return number.isdecimal() and video in names


def _name(source: Path, path: Path, *, suffix: bool) -> str:
    if path == source:  # the given path is itself a video
        return source.resolve().name
    relative = path.relative_to(source)
    if path.is_dir():
        return relative.as_posix() + (" (frames)" if suffix else "")
    return (relative if suffix else relative.with_suffix("")).as_posix()
