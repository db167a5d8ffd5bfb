"""The prepared clip store: layout on disk, memory-mapped reading, the split, and verification.

    STORE/manifest.json             written last; without it the store is unfinished
    STORE/report.json, report.md    summary of the preparation
    STORE/videos/<id>/entry.json    the video's origin, what was kept, a checksum for every array
        frames.u8                   t h w 3, RGB
        flow_<lag>.f16              n 2 h' w', flow from frame i to i + lag for i < n = t - lag, (dx, dy)
        motion.f32                  t - 1, mean flow magnitude between neighbouring frames
        activity_<lag>.f32          n, mean magnitude of the foreground of that flow

Arrays are raw, little-endian, headless. All lengths are in pixels of the store's *frames*, even if a flow is stored
at half their resolution (above manifest.HALVED_ABOVE).
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float16, Float32, UInt8

from poke2vid.data.manifest import (
    KIND,
    VERSION,
    ArraySettings,
    Entry,
    FileRecord,
    ListedVideo,
    Manifest,
    read_sealed,
    read_values,
    validated,
)
from poke2vid.data.mapped import mapped
from poke2vid.files import MANIFEST
from poke2vid.geometry import resize_flow
from poke2vid.types import InputError, Split

REPORTS = ("report.json", "report.md")


def stored_flow(flow: Float32[np.ndarray, "2 h w"], settings: ArraySettings) -> Float16[np.ndarray, "2 h2 w2"]:
    """A flow in pixels of the store's frames as stored: maybe at half resolution, with unchanged vectors."""
    side = settings.flow_side
    if flow.shape[-1] == side:
        return flow.astype("<f2")
    resized = resize_flow(torch.from_numpy(flow)[None], (side, side))[0] * (flow.shape[-1] / side)
    return resized.numpy().astype("<f2")


def restored_flow(stored: Float16[np.ndarray, "2 h w"], settings: ArraySettings) -> Float32[np.ndarray, "2 h2 w2"]:
    """Inverse of `stored_flow`, except for detail lost at half resolution."""
    side, flow = settings.resolution, torch.from_numpy(stored.astype(np.float32))
    if side == stored.shape[-1]:
        return flow.numpy()
    return (resize_flow(flow[None], (side, side))[0] * (stored.shape[-1] / side)).numpy()


@dataclass(frozen=True)
class StoredVideo:
    """One video of a store; safe to pickle and fork: every access maps its file again, in some 50 microseconds.

    Attributes:
        name: the video's path below its source.
        split: "train" or "test".
        fps: frames a second, of the frames kept.
        num_frames: t.
        settings: of the store.
        folder: of the arrays.
    """

    name: str
    split: Split
    fps: float
    num_frames: int
    settings: ArraySettings
    folder: Path

    @property
    def frames(self) -> UInt8[np.ndarray, "t h w 3"]:
        """All frames, memory-mapped: index before you compute."""
        return self._map("frames.u8")

    @property
    def motion(self) -> Float32[np.ndarray, " n"]:
        """Mean flow magnitude from frame i to i + 1, in pixels a frame: averaged over a clip it is M(X) of Eq. 10."""
        return self._map("motion.f32")

    def activity(self, lag: int) -> Float32[np.ndarray, " n"]:
        """Mean motion of the foreground from frame i to i + lag, in pixels; memory-mapped."""
        return self._map(f"activity_{self._known(lag)}.f32")

    def flow(self, lag: int, start: int) -> Float32[np.ndarray, "2 h w"]:
        """D from frame `start` to `start + lag`, (dx, dy) in pixels of the frames, at their resolution."""
        flows = self._map(f"flow_{self._known(lag)}.f16")
        if not 0 <= start < len(flows):
            raise InputError(
                f"{self.name!r} has no flow from frame {start} over {lag}; start in 0 ... {len(flows) - 1}."
            )
        return restored_flow(flows[start], self.settings)

    def _known(self, lag: int) -> int:
        if lag not in self.settings.lags:
            raise InputError(f"the store has no flows over {lag} frames, only over {_listed(self.settings.lags)}.")
        return lag

    def _map(self, file: str) -> np.memmap:
        dtype, shape = self.settings.shapes(self.num_frames)[file]
        return mapped(self.folder / file, dtype, shape)


@dataclass(frozen=True)
class Store:
    """A finished store, opened for reading."""

    path: Path
    manifest: Manifest

    @staticmethod
    def open(path: Path) -> "Store":
        """Opens a store; raises InputError unless `path` is a finished store that this version reads."""
        return Store(path, read_manifest(path))

    @property
    def resolution(self) -> int:
        return self.manifest.settings.resolution

    @property
    def lags(self) -> tuple[int, ...]:
        return self.manifest.settings.lags

    @property
    def digest(self) -> str:
        """Digest of settings and contents: two stores with the same digest hold the same arrays."""
        return self.manifest.digest

    @property
    def videos(self) -> tuple[StoredVideo, ...]:
        """All videos, sorted by name."""
        settings, folder = self.manifest.settings, self.path / "videos"
        return tuple(
            StoredVideo(video.name, video.split, video.fps, video.num_frames, settings, folder / video.id)
            for video in self.manifest.videos
        )

    def split(self, split: Split) -> tuple[StoredVideo, ...]:
        return tuple(video for video in self.videos if video.split == split)


def read_manifest(path: Path) -> Manifest:
    """The manifest of the store at `path`.

    Raises:
        InputError: if there is no manifest, or a foreign or newer one.
        DamagedRecord: if it is ours, but damaged or altered.
    """
    file = path / MANIFEST
    if not file.is_file():
        if (path / "videos").is_dir():
            raise InputError(f"{path} is an unfinished store; finish it with the same `poke2vid prepare` again.")
        raise InputError(f"{path} is not a store (no {MANIFEST}); make one with `poke2vid prepare`.")
    return read_sealed(file, Manifest, KIND, VERSION, "prepare")


def read_entry(folder: Path) -> Entry:
    """The entry of a video; raises InputError if its folder has no valid `entry.json`."""
    return validated(Entry, read_values(folder / "entry.json", "prepare"), str(folder / "entry.json"))


def is_whole(folder: Path, entry: Entry) -> bool:
    """True if every array of a video exists and matches its checksum."""
    return not any(fault for file, record in entry.files.items() for fault in file_faults(folder / file, record))


def verify(path: Path) -> list[str]:
    """Lists every fault of a store, one sentence each: missing, cut short, altered, stray. Reads all files."""
    try:
        manifest = read_manifest(path)
    except InputError as error:
        return [str(error)]
    known = {MANIFEST, "videos", *REPORTS}
    problems = [f"{entry} does not belong to the store" for entry in sorted(path.iterdir()) if entry.name not in known]
    folders = {path / "videos" / video.id: video for video in manifest.videos}
    present = set((path / "videos").iterdir()) if (path / "videos").is_dir() else set()
    problems += [f"{stray} does not belong to the store" for stray in sorted(present - set(folders))]
    for folder, video in folders.items():
        problems += _faults(folder, video, manifest.settings)
    return problems


def _faults(folder: Path, video: ListedVideo, settings: ArraySettings) -> Iterator[str]:
    try:
        entry = read_entry(folder)
    except InputError as error:
        yield str(error)
        return
    if entry.digest() != video.digest:
        yield f"{folder / 'entry.json'} is not the one that the manifest lists"
    expected = settings.shapes(entry.num_frames)
    if set(entry.files) != set(expected):
        yield f"{folder / 'entry.json'} lists {_listed(sorted(entry.files))} instead of {_listed(sorted(expected))}"
    for file, record in sorted(entry.files.items()):
        yield from file_faults(folder / file, record)
    for stray in sorted({file.name for file in folder.iterdir()} - {"entry.json", *entry.files}):
        yield f"{folder / stray} does not belong to the store"


def file_faults(file: Path, record: FileRecord) -> Iterator[str]:
    if not file.is_file():
        yield f"{file} is missing"
    elif file.stat().st_size != record.size:
        yield f"{file} has {file.stat().st_size} bytes instead of {record.size}"
    elif hash_file(file) != record.sha256:
        yield f"{file} does not match its checksum"


def hash_file(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _listed(values: Sequence[object]) -> str:
    return ", ".join(map(str, values))
