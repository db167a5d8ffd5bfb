"""One video to its arrays in a store: decoded, measured, and moved into place once complete."""

import contextlib
import hashlib
import itertools
import os
import shutil
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, TypeVar

import cv2
import numpy as np
import torch
from jaxtyping import Float32, UInt8

from poke2vid.data.manifest import ArraySettings, Entry, FileRecord, ShotRecord, Skipped, safe_id
from poke2vid.data.prepare.shake import Shake
from poke2vid.data.sources.footage import Footage, Source
from poke2vid.data.store import stored_flow
from poke2vid.files import reason, write_json
from poke2vid.flow.estimator import SMALLEST_WORKING_SIDE, FlowEstimator, build_estimator
from poke2vid.geometry import resize_flow
from poke2vid.media.video import kept_fps
from poke2vid.pokes import foreground_motion, require_motion
from poke2vid.processes import Tick
from poke2vid.types import InputError

WORK_PREFIX = ".work-"  # of an unfinished video's folder, beside the finished ones

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
    """Result for one video: an entry for each shot, a reason to skip it, or an error that stops the run (a full disk)."""

    kept: tuple[Entry, ...] = ()
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
            shots = self._write_shots(footage, work, watch, tick)
            notes = list(footage.notes)
        good = [shot for shot in shots if not shot.fault]
        if not good:
            raise InputError(none_usable([shot.fault for shot in shots], notes))
        if len(shots) > 1:
            left_out = [
                f"shot {i} is left out: {shot.fault.rstrip('.')}" for i, shot in enumerate(shots, 1) if shot.fault
            ]
            notes.append("; ".join([f"{len(shots)} shots, of which {len(good)} kept", *left_out]))
        shake = Shake.total([shot.shake for shot in good])
        notes += [shake.note] if shake.note else []
        entries = tuple(
            Entry(
                name=ShotRecord.name(video.name, number),
                source=video.place,
                source_sha256=source_sha256,
                source_width=origin.width,
                source_height=origin.height,
                source_fps=origin.fps,
                source_frames=origin.frames,
                fps=kept_fps(origin.fps, settings.fps),
                num_frames=shot.num_frames,
                settings=settings,
                files=shot.files,
                shot=None
                if len(shots) == 1
                else ShotRecord(video=video.name, number=number, kept=len(good), found=len(shots), first=shot.first),
                notes=tuple(notes) if number == 1 else (),
            )
            for number, shot in enumerate(good, 1)
        )
        # The first bears the video's name and comes last: once it is there, the video is complete.
        for entry, shot in reversed(list(zip(entries, good, strict=True))):
            self._publish(entry, shot.folder)
        return Outcome(kept=entries, watch=watch)

    def _write_shots(self, footage: Footage, work: Path, watch: Stopwatch, tick: Tick) -> list["_Shot"]:
        settings, shots, first = self.settings, list[_Shot](), 0
        working = settings.resolution if self.estimator is None else max(settings.resolution, SMALLEST_WORKING_SIDE)
        frames = _timed(footage.frames(working, settings.fit, settings.fps), watch)
        for number, shown in itertools.groupby(frames, key=lambda one: one.shot):
            shot = _Shot(work / str(number), first)
            with _ArrayWriter(shot.folder) as writer:
                self._write_arrays(footage, shot, (one.frame for one in shown), writer, watch, tick)
                shot.files = writer.finish()
            try:
                self._check_motion(shot)
            except InputError as error:
                shot.fault = str(error)
                shutil.rmtree(shot.folder, ignore_errors=True)  # a film of a thousand cuts must not fill the disk
            first += shot.num_frames
            shots.append(shot)
        return shots

    def _write_arrays(
        self,
        footage: Footage,
        shot: "_Shot",
        frames: Iterator[UInt8[np.ndarray, "h w 3"]],
        writer: "_ArrayWriter",
        watch: Stopwatch,
        tick: Tick,
    ) -> None:
        settings = self.settings
        recent: deque[UInt8[np.ndarray, "h w 3"]] = deque(maxlen=max(settings.lags) + 1)
        halves: deque[UInt8[np.ndarray, "h w 3"]] = deque(maxlen=2)
        for number, frame in enumerate(frames):
            recent.append(frame)
            halves.append(shrink(frame, frame.shape[0] // 2))
            writer.append("frames.u8", shrink(frame, settings.resolution))
            started, end = time.perf_counter(), shot.first + number
            if number:
                flow = self._flow(footage, end, 1, halves[0], halves[1])
                shot.shake.add(flow)
                # 64 bits, because the sum is over all pixels.
                motion = np.hypot(flow[0], flow[1]).mean(dtype=np.float64) * settings.resolution / flow.shape[-1]
                writer.append("motion.f32", np.array([motion], "<f4"))
            for lag in settings.lags:
                if len(recent) > lag:
                    flow = self._resized(self._flow(footage, end, lag, recent[-1 - lag], frame))
                    writer.append(f"flow_{lag}.f16", stored_flow(flow, settings))
                    writer.append(f"activity_{lag}.f32", np.array([foreground_motion(torch.from_numpy(flow))], "<f4"))
            shot.num_frames += 1
            watch.flow += time.perf_counter() - started
            tick()

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

    def _check_motion(self, shot: "_Shot") -> None:
        settings, longest, num_frames = self.settings, max(self.settings.lags), shot.num_frames
        if num_frames <= longest:
            raise InputError(f"too short: it has {num_frames} frames, and a flow over {longest} needs {longest + 1}.")
        most = max(float(np.fromfile(shot.folder / f"activity_{lag}.f32", "<f4").max()) for lag in settings.lags)
        require_motion(most, settings.resolution, settings.min_motion)
        assert set(shot.files) == set(settings.shapes(num_frames))

    def _publish(self, entry: Entry, work: Path) -> None:
        """Moves the finished folder into place in one step, so that a video is always complete."""
        place = self.folder / safe_id(entry.name)
        try:
            write_json(work / "entry.json", entry.to_json())
            if place.exists():
                shutil.rmtree(place)
            work.rename(place)
        except InputError as error:
            raise _CannotWrite(str(error)) from error
        except OSError as error:
            raise _CannotWrite(f"cannot write {place}: {reason(error)}.") from error


@dataclass
class _Shot:
    """A shot while it is written.

    Attributes:
        first: number of its first frame in the video.
        fault: reason not to keep it, or "".
    """

    folder: Path
    first: int
    num_frames: int = 0
    files: dict[str, FileRecord] = field(default_factory=dict)
    shake: Shake = field(default_factory=Shake)
    fault: str = ""


def none_usable(faults: Sequence[str], notes: Sequence[str]) -> str:
    """Reason to skip a video none of whose shots can be used."""
    about = "".join(f"; {note}" for note in notes)
    if len(faults) == 1:
        return f"{faults[0].rstrip('.')}{about}."
    first, *others = dict.fromkeys(fault.rstrip(".") for fault in faults)
    more = f"; other shots: {others[0]}" if others else ""
    return f"it has {len(faults)} shots, and none of them can be used: {first}{more}{about}."


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
