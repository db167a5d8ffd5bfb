"""Frames of video files as they are decoded: with their times, whole or damaged, deinterlaced."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import av

from poke2vid.media.damage import Damage
from poke2vid.media.deinterlacing import FIELD_HEIGHTS, Deinterlacer, Parity, unmarked_fields
from poke2vid.media.pictures import check_size
from poke2vid.media.timing import Pace, pace_of
from poke2vid.media.turning import Turn
from poke2vid.types import InputError

_WITH_OPACITY = {"vp8": "libvpx", "vp9": "libvpx-vp9"}  # decoders that give the opacity of these codecs
ASSUMED_FPS = 25.0  # of what has no time stamps: folders of frames, raw streams


@dataclass(frozen=True)
class Decoded:
    """One decoded frame.

    Attributes:
        time: in seconds.
        turn: asked for by its display matrix.
        whole: false if it is damaged, or refers to a frame that is.
        breaks: true if frames were lost between the one before and this one.
    """

    time: float
    frame: av.VideoFrame
    turn: Turn = field(default_factory=Turn)
    whole: bool = True
    breaks: bool = False


@dataclass
class Remarks:
    """Findings about a stream that only decoding brings to light; they grow while its frames are read.

    Attributes:
        deinterlaced: true once an interlaced frame was met.
        fault: message of the decoder at the first damage, or "".
    """

    deinterlaced: bool = False
    fault: str = ""


@dataclass(frozen=True)
class Source:
    """A video opened for reading.

    Attributes:
        pace: rate, by its time stamps.
        aspect: width over height of one pixel.
        count, seconds: length in frames and seconds, from the header; None and 0 if it does not say.
        frames: as decoded.
    """

    pace: Pace
    aspect: float
    count: int | None
    seconds: float
    frames: Iterator[Decoded]
    remarks: Remarks


@contextlib.contextmanager
def opened(path: Path, *, paced: bool = True) -> Iterator[Source]:
    """Opens a video file; without `paced`, its rate is the header's average, and its packets are not looked through.

    Raises:
        InputError: if there is no such file or it is not a video; while frames are read, if nothing can be decoded.
    """
    if not path.exists():
        raise InputError(f"there is no video {path}; check the path.")
    try:
        container = av.open(str(path))
    except (av.FFmpegError, OSError) as error:
        raise InputError(f"the video {path} cannot be read: {reason(error)}.") from error
    with container:
        yield _video_of(container, path, paced)


def _video_of(container: Any, path: Path, paced: bool) -> Source:
    # A cover picture is a stream of one frame, and may come first.
    streams = [stream for stream in container.streams.video if not _is_cover(stream)] or container.streams.video
    if not streams:
        raise InputError(f"{path} holds no video; give a file such as MP4, MKV, WebM or GIF.")
    stream = streams[0]
    if not stream.codec_context.width:
        raise InputError(f"the video {path} cannot be read: it does not say how large its frames are.")
    check_size(stream.codec_context.width, stream.codec_context.height, f"the video {path}")
    stream.codec_context.thread_count = 1  # one worker process per core is faster than many threads per video
    rate = stream.average_rate or stream.guessed_rate or stream.base_rate
    stated = float(rate) if rate else ASSUMED_FPS
    aspect = float(stream.sample_aspect_ratio or 1)
    seconds = (container.duration or 0) / av.time_base
    pace = _pace_of_file(path, stream.index, stated) if paced else Pace(stated)
    remarks = Remarks()
    tall = stream.codec_context.height in FIELD_HEIGHTS
    fields = _unmarked_fields_of_file(path, stream.index) if paced and tall else None
    frames = _decode(container, stream, stated, path, remarks, Deinterlacer[Decoded](fields))
    return Source(pace, aspect, stream.frames or None, seconds, frames, remarks)


def _is_cover(stream: Any) -> bool:
    return bool(stream.disposition & av.stream.Disposition.attached_pic)


def _pace_of_file(path: Path, index: int, stated: float) -> Pace:
    """Pace by the time stamps of all packets, which costs reading the file but no decoding."""
    times = []
    try:
        with av.open(str(path)) as container:
            for packet in container.demux(container.streams[index]):
                if packet.size == 0 or packet.is_discard:
                    continue
                if packet.pts is None:
                    return Pace(stated)
                times.append(float(packet.pts * packet.time_base))
    except (av.FFmpegError, OSError):
        pass  # a file that is cut short has the pace of what is there
    return pace_of(times, stated)


def _unmarked_fields_of_file(path: Path, index: int) -> Parity | None:
    """Order of the fields of a file that does not say that it is interlaced; decodes its first frames once more."""
    try:
        with av.open(str(path)) as container:
            stream = container.streams[index]
            stream.codec_context.thread_count = 1
            frames: Any = container.decode(stream)
            return unmarked_fields(frames)
    except (av.FFmpegError, OSError):
        return None  # told of when the frames are read


def _decode(
    container: Any, stream: Any, fps: float, path: Path, remarks: Remarks, deinterlacer: Deinterlacer[Decoded]
) -> Iterator[Decoded]:  # fmt: skip
    """Yields all frames; after a fault the decoder goes on, and what refers to the fault is marked.

    By default decoders hide faults: they fill in what is missing, and go on with it. "explode" makes them say so.
    """
    decoder = _decoder_of(stream)
    decoder.options = {"err_detect": "explode"}
    damage, count, before = Damage(), 0, -(2**63)

    def noted(error: Exception | str) -> None:
        remarks.fault = remarks.fault or (error if isinstance(error, str) else reason(error))
        damage.fault()

    for packet in _packets(container, stream, noted):
        damage.packet(packet.pts, packet.is_keyframe)
        if packet.is_corrupt:
            noted("a packet is marked as corrupt")
        try:
            frames = decoder.decode(packet)
        except (av.FFmpegError, OSError) as error:
            noted(error)
            damage.lose(packet.pts)
            continue
        for frame in frames:
            if frame.is_corrupt:
                remarks.fault = remarks.fault or "a frame is marked as corrupt"
                damage.fault(frame.pts)
            time = count / fps if frame.time is None else frame.time
            lost = damage.lost_between(before, frame.pts)
            count, before = count + 1, before if frame.pts is None else frame.pts
            decoded = Decoded(time, frame, _turn_of(frame), not damage.spoils(frame.pts), lost)
            for ready, note in deinterlacer.push(frame, decoded):
                yield replace(note, frame=ready)
        remarks.deinterlaced = deinterlacer.began
    for ready, note in deinterlacer.flush():
        yield replace(note, frame=ready)
    if count == 0 and damage.any:
        raise InputError(f"the video {path} is damaged: {remarks.fault}.")


def _decoder_of(stream: Any) -> Any:
    """Decoder of a stream. FFmpeg's own of VP8 and VP9 drop opacity, which libvpx gives."""
    own = stream.codec_context
    name = _WITH_OPACITY.get(own.codec.canonical_name)
    if name is None or stream.metadata.get("alpha_mode") != "1":
        return own
    try:
        decoder = av.CodecContext.create(name, "r")
    except (av.FFmpegError, ValueError):  # a build without libvpx: the colours alone
        return own
    decoder.extradata, decoder.thread_count = own.extradata, 1
    return decoder


def _packets(container: Any, stream: Any, noted: Any) -> Iterator[Any]:
    """Packets up to the end of the file, or to where it cannot be read any more, and the one that drains the decoder."""
    packets = container.demux(stream)
    while True:
        try:
            yield next(packets)
        except StopIteration:
            return
        except (av.FFmpegError, OSError) as error:
            noted(error)
            return


def _turn_of(frame: Any) -> Turn:
    for data in frame.side_data:  # PyAV's types promise names here, and its code gives the data
        if data.type.name == "DISPLAYMATRIX":
            return Turn.of_matrix(bytes(data))
    return Turn()


def reason(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error)).lower()
