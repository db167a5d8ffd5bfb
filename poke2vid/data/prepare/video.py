"""One video to its arrays in a store: decoded, measured, and moved into place once complete."""

import contextlib
import hashlib
import os
import shutil
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, TypeVar

import cv2
import numpy as np
import torch
from jaxtyping import Float32, UInt8

from poke2vid.data.manifest import ArraySettings, Entry, FileRecord, Skipped, safe_id
from poke2vid.data.sources.footage import Footage, Source
from poke2vid.data.store import stored_flow
from poke2vid.files import reason, write_json
from poke2vid.flow.estimator import FlowEstimator, build_estimator
from poke2vid.geometry import resize_flow
from poke2vid.media.video import kept_fps
from poke2vid.pokes import foreground_motion, require_motion
from poke2vid.processes import Tick
from poke2vid.types import InputError

WORK_PREFIX = ".work-"  # of an unfinished video's folder, beside the finished ones
SMALLEST_WORKING_SIDE = 128  # pixels: below this, flow is estimated on larger frames and shrunk with them

Item = TypeVar("Item")


@dataclass
class Stopwatch:
    """Seconds spent on decoding and on flow, and the frames they were spent on."""

    frames: int = 0
    decoding: float = 0.0
    flow: float = 0.0

    def add(self, other: "Stopwatch") -> None:
        self.frames += other.frames
        self.decoding += other.decoding
        self.flow += other.flow


@dataclass(frozen=True)
class Outcome:
    """Result for one video: an entry, a reason to skip it, or an error that stops the run (a full disk)."""

    kept: Entry | None = None
    skipped: Skipped | None = None
    fatal: str | None = None
    watch: Stopwatch = field(default_factory=Stopwatch)


class _CannotWrite(Exception):
    """Raised when the store's disk, not the video, is at fault."""


@dataclass
class VideoPreparer:
    """Prepares videos one after the other with one flow estimator; one per worker process."""

    folder: Path  # of the store's videos
    settings: ArraySettings
    estimator: FlowEstimator | None  # None if the footage has exact flow

    @classmethod
    def build(cls, folder: Path, settings: ArraySettings, weights_dir: Path | None) -> "VideoPreparer":
        torch.set_num_threads(1)  # one process a core; also, sums over pixels depend on the number of threads
        estimator = None if settings.flow == "exact" else build_estimator(settings.flow, weights_dir)
        return cls(folder, settings, estimator)

    def __call__(self, video: Source, tick: Tick) -> Outcome:
        """Prepares one video; never raises for a fault of the video. `tick` is called for every frame."""
        work = self.folder / f"{WORK_PREFIX}{safe_id(video.name)}-{os.getpid()}"
        watch = Stopwatch()
        try:
            return self._prepare(video, work, watch, tick)
        except InputError as error:
            plain = str(error).replace(video.place, Path(video.place).name)  # independent of the source's folder
            sha256 = video.digest() or None
            return Outcome(skipped=Skipped(name=video.name, reason=plain, source_sha256=sha256), watch=watch)
        except _CannotWrite as error:
            return Outcome(fatal=str(error), watch=watch)
        except Exception as error:  # one video must not stop the rest; without a checksum it is retried next time
            plain = f"unexpected {type(error).__name__}: {error}"
            return Outcome(skipped=Skipped(name=video.name, reason=plain), watch=watch)
        finally:
            shutil.rmtree(work, ignore_errors=True)

    def _prepare(self, video: Source, work: Path, watch: Stopwatch, tick: Tick) -> Outcome:
        source_sha256, settings = video.digest(), self.settings
        with video.open() as footage:
            origin = footage.origin
            with _ArrayWriter(work) as writer:
                num_frames = self._write_arrays(footage, writer, watch, tick)
                files = writer.finish()
        self._check_motion(files, num_frames, work)
        entry = Entry(
            name=video.name,
            source=video.place,
            source_sha256=source_sha256,
            source_width=origin.width,
            source_height=origin.height,
            source_fps=origin.fps,
            source_frames=origin.frames,
            fps=kept_fps(origin.fps, settings.fps),
            num_frames=num_frames,
            settings=settings,
            files=files,
        )
        self._publish(entry, work)
        return Outcome(kept=entry, watch=watch)

    def _write_arrays(self, footage: Footage, writer: "_ArrayWriter", watch: Stopwatch, tick: Tick) -> int:
        settings = self.settings
        working = settings.resolution if self.estimator is None else max(settings.resolution, SMALLEST_WORKING_SIDE)
        recent: deque[UInt8[np.ndarray, "h w 3"]] = deque(maxlen=max(settings.lags) + 1)
        halves: deque[UInt8[np.ndarray, "h w 3"]] = deque(maxlen=2)
        for number, frame in enumerate(_timed(footage.frames(working, settings.fit, settings.fps), watch)):
            recent.append(frame)
            halves.append(shrink(frame, working // 2))
            writer.append("frames.u8", shrink(frame, settings.resolution))
            started = time.perf_counter()
            if number:
                flow = self._flow(footage, number, 1, halves[0], halves[1])
                # 64 bits, because the sum is over all pixels.
                motion = np.hypot(flow[0], flow[1]).mean(dtype=np.float64) * settings.resolution / flow.shape[-1]
                writer.append("motion.f32", np.array([motion], "<f4"))
            for lag in settings.lags:
                if len(recent) > lag:
                    flow = self._resized(self._flow(footage, number, lag, recent[-1 - lag], frame))
                    writer.append(f"flow_{lag}.f16", stored_flow(flow, settings))
                    writer.append(f"activity_{lag}.f32", np.array([foreground_motion(torch.from_numpy(flow))], "<f4"))
            watch.flow += time.perf_counter() - started
            tick()
        return watch.frames

    def _flow(
        self,
        footage: Footage,
        end: int,
        lag: int,
        first: UInt8[np.ndarray, "h w 3"],
        second: UInt8[np.ndarray, "h w 3"],
    ) -> Float32[np.ndarray, "2 h2 w2"]:
        """D from frame `end - lag` to `end`, in its own pixels: known, or estimated from the two pictures given."""
        if self.estimator is not None:
            return self.estimator(first, second)
        known = footage.exact_flow(end - lag, end)
        if known is None:
            raise InputError("flow is known exactly only in simulated videos; choose dis or raft.")
        return known

    def _resized(self, flow: Float32[np.ndarray, "2 h w"]) -> Float32[np.ndarray, "2 h2 w2"]:
        """The flow in pixels of the store's frames, at their resolution."""
        side = self.settings.resolution
        if flow.shape[-1] == side:
            return flow
        return resize_flow(torch.from_numpy(flow)[None], (side, side))[0].numpy()

    def _check_motion(self, files: dict[str, FileRecord], num_frames: int, work: Path) -> None:
        settings, longest = self.settings, max(self.settings.lags)
        if num_frames <= longest:
            raise InputError(f"too short: it has {num_frames} frames, and a flow over {longest} needs {longest + 1}.")
        most = max(float(np.fromfile(work / f"activity_{lag}.f32", "<f4").max()) for lag in settings.lags)
        require_motion(most, settings.resolution, settings.min_motion)
        assert set(files) == set(settings.shapes(num_frames))

    def _publish(self, entry: Entry, work: Path) -> None:
        """Moves the finished folder into place in one step, so that a video is always complete."""
        place = self.folder / safe_id(entry.name)
        try:
            write_json(work / "entry.json", entry.model_dump(mode="json"))
            if place.exists():
                shutil.rmtree(place)
            work.rename(place)
        except InputError as error:
            raise _CannotWrite(str(error)) from error
        except OSError as error:
            raise _CannotWrite(f"cannot write {place}: {reason(error)}.") from error


@contextlib.contextmanager
def threads_restored() -> Iterator[None]:
    """Restores torch's thread count afterwards, because a preparer in this process sets it to one."""
    threads = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def shrink(frame: UInt8[np.ndarray, "h w 3"], side: int) -> UInt8[np.ndarray, "h2 w2 3"]:
    """A square frame shrunk by area averaging."""
    if frame.shape[0] == side:
        return frame
    return cv2.resize(frame, (side, side), interpolation=cv2.INTER_AREA)


def _timed(frames: Iterator[Item], watch: Stopwatch) -> Iterator[Item]:
    """The same items; adds the time that each took to `watch`."""
    while True:
        started = time.perf_counter()
        frame = next(frames, None)
        watch.decoding += time.perf_counter() - started
        if frame is None:
            return
        watch.frames += 1
        yield frame


class _ArrayWriter:
    """Raw arrays that grow by appending and are hashed meanwhile."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[str, BinaryIO] = {}
        self._hashes: dict[str, hashlib._Hash] = {}

    def __enter__(self) -> "_ArrayWriter":
        shutil.rmtree(self._folder, ignore_errors=True)
        try:
            self._folder.mkdir(parents=True)
        except OSError as error:
            raise self._cannot_write(error) from error
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._files.values():
            with contextlib.suppress(OSError):  # finish() has flushed; after a failure the files are useless anyway
                file.close()

    def append(self, name: str, array: np.ndarray) -> None:
        data = np.ascontiguousarray(array).tobytes()
        try:
            if name not in self._files:
                self._files[name] = (self._folder / name).open("wb")
                self._hashes[name] = hashlib.sha256()
            self._files[name].write(data)
        except OSError as error:
            raise self._cannot_write(error) from error
        self._hashes[name].update(data)

    def finish(self) -> dict[str, FileRecord]:
        try:
            sizes = {}
            for name, file in self._files.items():
                file.flush()
                sizes[name] = file.tell()
        except OSError as error:
            raise self._cannot_write(error) from error
        return {name: FileRecord(sha256=self._hashes[name].hexdigest(), size=sizes[name]) for name in sorted(sizes)}

    def _cannot_write(self, error: OSError) -> _CannotWrite:
        return _CannotWrite(f"cannot write {self._folder}: {reason(error)}.")
