"""Writes frames as video files that any browser plays."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter
from jaxtyping import UInt8
from PIL import Image

from poke2vid.files import atomic
from poke2vid.types import InputError

_Frame = UInt8[np.ndarray, "_ _ 3"]
WRITABLE = (".mp4", ".webm", ".gif", ".webp", ".png")
MAX_FPS = 1000.0
ENCODER_THREADS = 2  # fixed, because an encoder's output depends on it


@dataclass(frozen=True)
class _Codec:
    """Name of an ffmpeg encoder, with options for it and for its container."""

    name: str
    options: dict[str, str]
    container: dict[str, str]


# "bitexact" keeps dates and random identifiers out of the file; "faststart" lets a browser play during the download.
# x264's macroblock tree makes the bytes vary from run to run at some frame sizes (seen at 98 x 66), so it is off.
H264 = _Codec(
    "libx264",
    {"crf": "16", "preset": "medium", "x264-params": "mbtree=0"},
    {"movflags": "faststart", "fflags": "bitexact"},
)
# Keeps every pixel exactly; not for browsers.
LOSSLESS = _Codec("libx264rgb", {"qp": "0", "preset": "medium", "x264-params": "mbtree=0"}, {"fflags": "bitexact"})
VP9 = _Codec("libvpx-vp9", {"crf": "24", "b": "0", "deadline": "good", "cpu-used": "4"}, {"fflags": "bitexact"})


def write_video(path: Path, frames: Sequence[UInt8[np.ndarray, "_ _ 3"]], fps: float) -> None:
    """Writes frames of one size atomically, in the format of the suffix; the same frames give the same bytes.

    .mp4 is H.264 for any browser (odd sizes grow by a repeated row or column), .webm VP9, .gif and .webp are animated
    and loop, .png takes a single frame. A GIF keeps time in hundredths of a second, at 50 frames a second or fewer.

    Raises:
        InputError: if there is no frame, their sizes differ, `fps` is not positive, the suffix is another, or the file
            cannot be written; an existing file is then kept.
    """
    _check(path, len(frames), fps)
    with atomic(path) as temporary:
        match path.suffix.lower():
            case ".mp4":
                _encode(temporary, _alike(path, frames), fps, H264)
            case ".webm":
                _encode(temporary, _alike(path, frames), fps, VP9)
            case ".gif":
                _write_gif(temporary, _alike(path, frames), len(frames), fps)
            case ".webp":
                _write_webp(temporary, _alike(path, frames), len(frames), fps)
            case ".png":
                Image.fromarray(frames[0]).save(temporary, format="PNG")


def write_lossless(path: Path, frames: Sequence[UInt8[np.ndarray, "_ _ 3"]], fps: float) -> None:
    """Writes frames atomically as a lossless .mkv; the same frames give the same bytes.

    Raises:
        InputError: see `write_video`.
    """
    if path.suffix != ".mkv" or not frames or len({frame.shape for frame in frames}) != 1:
        raise InputError(f"cannot write {path}: it must be an .mkv of at least one frame, all of one size.")
    with atomic(path) as temporary:
        try:
            with av.open(str(temporary), "w", options=LOSSLESS.container) as container:
                rate = Fraction(fps).limit_denominator(1001)
                stream: Any = container.add_stream(LOSSLESS.name, rate=rate, options=LOSSLESS.options)
                stream.height, stream.width = frames[0].shape[:2]
                stream.pix_fmt = "rgb24"
                stream.codec_context.thread_count = ENCODER_THREADS
                for frame in frames:
                    container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
                container.mux(stream.encode())
        except av.FFmpegError as error:
            raise InputError(f"cannot write the video: {error.strerror}.") from error


def _check(path: Path, count: int, fps: float) -> None:
    suffix = path.suffix.lower()
    if suffix not in WRITABLE:
        raise InputError(f"cannot write {path}: the suffix must be one of {', '.join(WRITABLE)}.")
    if count == 0:
        raise InputError(f"cannot write {path}: there is no frame; give at least one.")
    if not 0 < fps <= MAX_FPS:
        raise InputError(f"cannot write {path} at {fps:g} frames a second; choose more than 0 and at most {MAX_FPS:g}.")
    if suffix == ".png" and count > 1:
        raise InputError(f"cannot write {count} frames to {path}: a PNG holds one; choose .mp4, .gif or .webp.")


def _alike(path: Path, frames: Iterable[_Frame]) -> Iterator[_Frame]:
    """Yields frames one by one, possibly drawn lazily; raises InputError at the first of another size."""
    shape = None
    for frame in frames:
        shape = shape or frame.shape
        if frame.shape != shape:
            raise InputError(f"cannot write {path}: the frames must be of one size, not {shape} and {frame.shape}.")
        yield frame


def _encode(path: Path, frames: Iterator[_Frame], fps: float, codec: _Codec) -> None:
    first = next(frames)
    try:
        with av.open(str(path), "w", options=codec.container) as container:
            stream: Any = container.add_stream(
                codec.name, rate=Fraction(fps).limit_denominator(1001), options=codec.options
            )
            stream.height, stream.width = _even(first).shape[:2]
            _describe(stream.codec_context)
            reformatter = VideoReformatter()
            for i, frame in enumerate(chain((first,), frames)):
                picture = reformatter.reformat(
                    av.VideoFrame.from_ndarray(_even(frame), format="rgb24"),
                    format="yuv420p",
                    dst_colorspace=Colorspace.ITU709,
                    dst_color_range=ColorRange.MPEG,
                    threads=1,
                )
                picture.pts, picture.time_base = i, 1 / stream.codec_context.framerate
                container.mux(stream.encode(picture))
            container.mux(stream.encode())
    except av.FFmpegError as error:
        raise InputError(f"cannot write the video: {error.strerror}.") from error


def _describe(context: Any) -> None:
    """Sets the pixel format that every browser plays, tagged BT.709: players guess untagged colours by the size."""
    context.pix_fmt = "yuv420p"
    context.colorspace = context.color_primaries = context.color_trc = 1
    context.color_range = ColorRange.MPEG
    context.thread_count = ENCODER_THREADS


def _even(frame: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h2 w2 3"]:
    """Makes sides even, as 4:2:0 video requires, by repeating the last row or column."""
    height, width = frame.shape[:2]
    return np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")


def _write_gif(path: Path, frames: Iterator[_Frame], count: int, fps: float) -> None:
    # Pillow's default palette takes 150 ms a frame; an octree takes 2 ms.
    pictures = (Image.fromarray(frame).quantize(method=Image.Quantize.FASTOCTREE) for frame in frames)
    durations = _durations(count, fps, 10, 20)
    next(pictures).save(path, format="GIF", save_all=True, append_images=pictures, duration=durations, loop=0)


def _write_webp(path: Path, frames: Iterator[_Frame], count: int, fps: float) -> None:
    pictures = map(Image.fromarray, frames)
    durations = _durations(count, fps, 1, 1)
    next(pictures).save(
        path,
        format="WEBP",
        save_all=True,
        append_images=list(pictures),
        duration=durations,
        loop=0,
        quality=90,
        method=2,
    )


def _durations(count: int, fps: float, unit: int, least: int) -> list[int]:
    """Milliseconds for each frame in whole units, rounded so that the total stays accurate."""
    ends = [unit * round(1000 * i / (fps * unit)) for i in range(count + 1)]
    return [max(least, end - start) for start, end in pairwise(ends)]
