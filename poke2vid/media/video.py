"""Videos, as files or folders of frames, to uint8 RGB frames `h w 3`.

Only this module, pictures.py and encoding.py, whose functions it re-exports, use a decoder or an encoder.
"""

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import av
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter
from jaxtyping import UInt8

from poke2vid.media.encoding import write_video
from poke2vid.media.pictures import check_size, read_picture, to_float, to_uint8
from poke2vid.types import InputError

__all__ = [
    "Fit",
    "VideoInfo",
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

Fit = Literal["crop", "stretch", "pad"]
Timed = Iterator[tuple[float, av.VideoFrame]]  # frames as decoded, each with its time in seconds

PICTURES = frozenset({".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})
VIDEOS = frozenset(
    {".3gp", ".avi", ".flv", ".gif", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ogv", ".webm", ".wmv"}
)
FOLDER_FPS = 25.0  # assumed for a folder of frames, which has no time stamps
SAME_RATE = 0.999  # a rate within a thousandth of the source's counts as equal (30 and 29.97)


@dataclass(frozen=True)
class VideoInfo:
    """Size, rate and length of an unprocessed video.

    Attributes:
        width, height: as shown, that is, turned and with square pixels.
        fps: frames a second on average.
        frames: number of frames; None if the file does not say.
    """

    width: int
    height: int
    fps: float
    frames: int | None


def probe(path: Path) -> VideoInfo:
    """Size and rate of a video file or a folder of frames, from its header and first frame.

    Raises:
        InputError: see `iterate_frames`.
    """
    with _read(path) as source:
        first = next(source.frames, None)
        if first is None:
            raise InputError(f"the video {path} holds no frames; take an intact copy.")
        height, width = _square_pixels(first[1], source.aspect)
        if _quarter_turns(first[1]) % 2:
            height, width = width, height
        return VideoInfo(width, height, source.fps, source.count)


def expected_frames(path: Path, fps: float | None = None) -> int:
    """Approximate number of frames from `iterate_frames`, from the header alone; 0 if unknown. For progress bars."""
    try:
        with _read(path) as source:
            return round((source.count or source.seconds * source.fps) * kept_fps(source.fps, fps) / source.fps)
    except InputError:
        return 0


def kept_fps(source: float, fps: float | None) -> float:
    """Frame rate that `iterate_frames` delivers: never above the source's."""
    return float(source if fps is None or fps >= source * SAME_RATE else fps)


def iterate_frames(
    path: Path, size: int | None = None, fit: Fit = "crop", fps: float | None = None
) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
    """Yields the frames of a video file, or of a folder of pictures in natural order.

    Args:
        size: side of the square frames in pixels; None keeps the source's own size.
        fit: "crop" the longer side, "stretch" both, or "pad" the shorter with black.
        fps: keep the frames nearest to the ticks of this rate; None, or a rate above the source's, keeps all.

    Raises:
        InputError: if there is no such file, it is not a video or damaged, or the folder holds no pictures; names file
            and reason. Damage may show only after some frames.
    """
    scaler = _Scaler(size, fit)
    with _read(path) as source:
        target = kept_fps(source.fps, fps)
        kept = source.frames if target == source.fps else _nearest_to_ticks(source.frames, source.fps, target)
        empty = True
        for _, frame in kept:
            empty = False
            yield scaler(frame, source.aspect)
        if empty:
            raise InputError(f"the video {path} holds no frames; take an intact copy.")


# Decoding


@dataclass(frozen=True)
class _Source:
    """A video opened for reading.

    Attributes:
        fps: frames a second on average.
        aspect: width over height of one pixel.
        count, seconds: length in frames and seconds, from the header; None and 0 if it does not say.
        frames: as decoded, each with its time in seconds.
    """

    fps: float
    aspect: float
    count: int | None
    seconds: float
    frames: Timed


@contextlib.contextmanager
def _read(path: Path) -> Iterator[_Source]:
    if path.is_dir():
        pictures = pictures_in(path)
        frames = (av.VideoFrame.from_ndarray(read_picture(picture), format="rgb24") for picture in pictures)
        yield _Source(FOLDER_FPS, 1.0, len(pictures), 0.0, ((i / FOLDER_FPS, frame) for i, frame in enumerate(frames)))
        return
    if not path.exists():
        raise InputError(f"there is no video {path}; check the path.")
    try:
        container = av.open(str(path))
    except (av.FFmpegError, OSError) as error:
        raise InputError(f"the video {path} cannot be read: {_reason(error)}.") from error
    with container:
        yield _video_of(container, path)


def _video_of(container: Any, path: Path) -> _Source:
    if not container.streams.video:
        raise InputError(f"{path} holds no video; give a file such as MP4, MKV, WebM or GIF.")
    stream = container.streams.video[0]
    if not stream.codec_context.width:
        raise InputError(f"the video {path} cannot be read: it does not say how large its frames are.")
    check_size(stream.codec_context.width, stream.codec_context.height, f"the video {path}")
    stream.codec_context.thread_count = 1  # one worker process per core is faster than many threads per video
    rate = stream.average_rate or stream.guessed_rate or stream.base_rate
    fps = float(rate) if rate else FOLDER_FPS
    aspect = float(stream.sample_aspect_ratio or 1)
    seconds = (container.duration or 0) / av.time_base
    return _Source(fps, aspect, stream.frames or None, seconds, _decode(container, fps, path))


def _decode(container: Any, fps: float, path: Path) -> Timed:
    try:
        for i, frame in enumerate(container.decode(video=0)):
            yield i / fps if frame.time is None else frame.time, frame
    except (av.FFmpegError, OSError) as error:
        raise InputError(f"the video {path} is damaged: {_reason(error)}.") from error


def _reason(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error)).lower()


def pictures_in(folder: Path) -> list[Path]:
    """Picture files of a folder of frames, in natural order (frame_2 before frame_10).

    Raises:
        InputError: if it holds no pictures.
    """
    pictures = [path for path in folder.iterdir() if path.suffix.lower() in PICTURES and not path.name.startswith(".")]
    if not pictures:
        raise InputError(f"the folder {folder} holds no pictures; name a video file or a folder of frames.")
    return sorted(pictures, key=lambda path: _natural_key(path.name))


def _natural_key(name: str) -> tuple[list[tuple[int, str]], str]:
    parts = re.findall(r"\d+|\D+", name)
    return [(int(part), "") if part.isdecimal() else (-1, part.lower()) for part in parts], name


def _nearest_to_ticks(timed: Timed, source_fps: float, fps: float) -> Timed:
    """Yields for every k the frame nearest to time k / fps after the first; no frame is yielded twice."""
    best: tuple[float, av.VideoFrame] | None = None  # in ticks after the first
    start: float | None = None
    for time, frame in timed:
        start = time if start is None else start
        ticks = (time - start) * fps
        if best is None or round(ticks) != round(best[0]):
            if best is not None:
                yield best
            best = ticks, frame
        elif abs(ticks - round(ticks)) < abs(best[0] - round(best[0])):
            best = ticks, frame
    if best is not None and round(best[0]) - best[0] <= fps / source_fps / 2:  # else the nearest lies past the end
        yield best


def _quarter_turns(frame: av.VideoFrame) -> int:
    """Number of counter-clockwise quarter turns requested by the display matrix."""
    return round(frame.rotation / 90) % 4


def _square_pixels(frame: av.VideoFrame, aspect: float) -> tuple[int, int]:
    """Size (height, width) of the frame with square pixels, before any turning."""
    return frame.height, max(1, round(frame.width * aspect))


class _Scaler:
    """Decoded frames to scaled, fitted and turned RGB arrays; reuses one reformatter to set up its filter only once."""

    def __init__(self, size: int | None, fit: Fit) -> None:
        self._size, self._fit, self._reformatter = size, fit, VideoReformatter()

    def __call__(self, frame: av.VideoFrame, aspect: float) -> UInt8[np.ndarray, "h w 3"]:
        height, width = self._target(*_square_pixels(frame, aspect))
        shrinks = height < frame.height or width < frame.width
        scaled = self._reformatter.reformat(
            frame,
            width=width,
            height=height,
            format="rgb24",
            interpolation=Interpolation.AREA if shrinks else Interpolation.BICUBIC,
            threads=1,  # threads cost more than they save on frames this small
        )
        return np.ascontiguousarray(np.rot90(self._fitted(scaled.to_ndarray()), _quarter_turns(frame)))

    def _target(self, height: int, width: int) -> tuple[int, int]:
        size = self._size
        if size is None:
            return height, width
        if self._fit == "stretch":
            return size, size
        side = min(height, width) if self._fit == "crop" else max(height, width)
        return max(1, round(height * size / side)), max(1, round(width * size / side))

    def _fitted(self, frame: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h2 w2 3"]:
        """Crops a frame that is too large to its middle; pads one that is too small with black."""
        if self._size is None or frame.shape[:2] == (self._size, self._size):
            return frame
        height, width = frame.shape[:2]
        if self._fit == "crop":
            top, left = (height - self._size) // 2, (width - self._size) // 2
            return frame[top : top + self._size, left : left + self._size]
        padded = np.zeros((self._size, self._size, 3), np.uint8)
        top, left = (self._size - height) // 2, (self._size - width) // 2
        padded[top : top + height, left : left + width] = frame
        return padded
