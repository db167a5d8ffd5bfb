"""A benchmark on disk: one folder per scene, read without MuJoCo.

BENCH/manifest.json              written last; without it the bench is unfinished
BENCH/scenes/<name>/scene.json   the record: pokes, camera, hashes
    first.png                    frame 0
    futures.mkv                  the frames 1 ... t of every poke that moves something, one after the other, lossless
    truth.safetensors            frame 0 bound to the object's geoms, their poses in every frame, and visibility masks
"""

import functools
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int32, UInt8
from torch import Tensor

from poke2vid.data.manifest import FileRecord, require_kind, validated
from poke2vid.data.store import file_faults, hash_file
from poke2vid.files import MANIFEST, read_tensors, write_json, write_tensors
from poke2vid.media.encoding import write_lossless, write_video
from poke2vid.media.pictures import read_picture
from poke2vid.media.video import iterate_frames
from poke2vid.pokebench.records import BenchManifest, CameraRecord, PokeRecord, SceneRecord
from poke2vid.simulator.camera import Camera
from poke2vid.simulator.surface import Surface
from poke2vid.simulator.trajectory import Trajectory
from poke2vid.types import InputError

RECORD = "scene.json"
FIRST, FUTURES, TRUTH = "first.png", "futures.mkv", "truth.safetensors"
MEND = "`poke2vid bench build` with the same arguments mends it"


@dataclass(frozen=True)
class Future:
    """True future of one poke, to be written."""

    trajectory: Trajectory
    frames: Sequence[UInt8[np.ndarray, "h w 3"]]
    visible: Bool[np.ndarray, "t h w"]


def write_truth(
    folder: Path, first: UInt8[np.ndarray, "h w 3"], surface: Surface, futures: Sequence[Future], fps: float
) -> None:
    """Writes all files of a scene but its record."""
    write_video(folder / FIRST, [first], fps)
    write_lossless(folder / FUTURES, [frame for future in futures for frame in future.frames], fps)
    seen = np.unique(surface.geoms[surface.geoms >= 0])
    number = np.full(max(int(surface.geoms.max(initial=-1)) + 2, 1), -1)
    number[seen] = np.arange(len(seen))
    tensors = {
        "part_ids": surface.part_ids.astype(np.int16),
        "rows": surface.rows.astype(np.int16),
        "columns": surface.columns.astype(np.int16),
        "geoms": number[surface.geoms].astype(np.int16),
        "places": surface.places.astype(np.float32),
        "corners": surface.corners.astype(np.int16),
    }
    for k, future in enumerate(futures):
        tensors[f"positions.{k}"] = future.trajectory.positions[:, seen].astype(np.float32)
        tensors[f"rotations.{k}"] = future.trajectory.rotations[:, seen].astype(np.float32)
        tensors[f"vertices.{k}"] = future.trajectory.vertices.astype(np.float32)
        tensors[f"visible.{k}"] = np.packbits(future.visible, axis=-1)
    write_tensors(folder / TRUTH, {name: torch.from_numpy(array) for name, array in tensors.items()}, {})


@dataclass(frozen=True)
class StoredScene:
    """A scene of a bench (`pokebench.scene.TrueScene`). Raises InputError for a file that differs from its record.

    Attributes:
        digest: sha256 of its record, which holds the hashes of its files.
    """

    folder: Path
    record: SceneRecord
    num_frames: int
    resolution: int
    digest: str

    @property
    def name(self) -> str:
        return self.record.name

    @property
    def family(self) -> str:
        return self.record.family

    @property
    def pokes(self) -> tuple[PokeRecord, ...]:
        return self.record.pokes

    @property
    def first(self) -> UInt8[np.ndarray, "h w 3"]:
        return read_picture(self._file(FIRST))

    @property
    def part_ids(self) -> Int32[np.ndarray, "h w"]:
        return self._surface.part_ids

    def frames(self, poke: int) -> UInt8[np.ndarray, "t h w 3"]:
        place = self._place(poke)
        if place is None:
            return np.repeat(self.first[None], self.num_frames, axis=0)
        return self._all_frames[place * self.num_frames : (place + 1) * self.num_frames]

    def flow(self, poke: int, frame: int) -> Float32[np.ndarray, "2 h w"]:
        place = self._place(poke)
        if place is None:
            return np.zeros((2, self.resolution, self.resolution), np.float32)
        return self._surface.flow(self._trajectory(place), frame)

    def visible(self, poke: int, frame: int) -> Bool[np.ndarray, "h w"]:
        place = self._place(poke)
        if place is None:
            return np.ones((self.resolution, self.resolution), bool)
        bits = self._tensors[f"visible.{place}"][frame].numpy()
        return np.unpackbits(bits, axis=-1, count=self.resolution).astype(bool)

    def _place(self, poke: int) -> int | None:
        """Index among the pokes with a stored future; None if nothing moves."""
        if not self.pokes[poke].moves:
            return None
        return sum(earlier.moves for earlier in self.pokes[:poke])

    @functools.cached_property
    def _tensors(self) -> dict[str, Tensor]:
        return read_tensors(self._file(TRUTH))[0]

    @functools.cached_property
    def _all_frames(self) -> UInt8[np.ndarray, "t h w 3"]:
        file, wanted = self._file(FUTURES), self.num_frames * sum(poke.moves for poke in self.pokes)
        frames = list(iterate_frames(file))
        if len(frames) != wanted:
            raise InputError(f"{file} holds {len(frames)} frames instead of {wanted}; {MEND}.")
        return np.stack(frames)

    def _file(self, name: str) -> Path:
        """Path of a scene's file, checked against its recorded hash; hashing is cheap beside decoding."""
        for fault in file_faults(self.folder / name, self.record.files[name]):
            raise InputError(f"{fault}; {MEND}.")
        return self.folder / name

    @functools.cached_property
    def _surface(self) -> Surface:
        arrays = {name: self._tensors[name].numpy() for name in ("part_ids", "rows", "columns", "geoms", "corners")}
        whole = {name: array.astype(np.int32) for name, array in arrays.items()}
        camera = camera_of(self.record.camera).at(self.resolution)
        places = self._tensors["places"].numpy().astype(np.float64)
        return Surface(camera=camera, places=places, shown=None, **whole)

    def _trajectory(self, place: int) -> Trajectory:
        kept = ("positions", "rotations", "vertices")
        arrays = {name: self._tensors[f"{name}.{place}"].numpy().astype(np.float64) for name in kept}
        return Trajectory(**arrays, states=np.zeros((len(arrays["positions"]), 0)))


@dataclass(frozen=True)
class Bench:
    """A finished benchmark, opened for reading."""

    path: Path
    manifest: BenchManifest

    @staticmethod
    def open(path: Path) -> "Bench":
        """Opens a finished bench; raises a one-sentence InputError if there is none at `path` or it was altered."""
        file = path / MANIFEST
        if not file.is_file():
            raise InputError(
                f"{path} is not a finished benchmark (no {MANIFEST}); make one with `poke2vid bench build`."
            )
        values = _read_json(file)
        require_kind(values, "poke2vid-bench", file)
        manifest = validated(BenchManifest, values, str(file))
        if manifest.identity != manifest.expected_identity():
            raise InputError(f"{file} does not match its own identity, so it was altered; build the benchmark again.")
        return Bench(path, manifest)

    def scenes(self) -> list[StoredScene]:
        """All scenes, sorted by name."""
        return [self.scene(name) for name in sorted(self.manifest.scenes)]

    def scene(self, name: str) -> StoredScene:
        """Opens a scene; raises InputError if its record differs by a byte from the one that the manifest lists."""
        folder, manifest = self.path / "scenes" / name, self.manifest
        record = read_record(folder)
        for fault in self._record_faults(name, record):
            raise InputError(f"{fault}; {MEND}.")
        return StoredScene(folder, record, manifest.frames, manifest.resolution, manifest.files[name])

    def verify(self) -> list[str]:
        """Reads all files; returns every fault in one sentence each."""
        problems = []
        for name in sorted(self.manifest.scenes):
            folder = self.path / "scenes" / name
            try:
                record = read_record(folder)
            except InputError as error:
                problems.append(str(error))
                continue
            problems += [f"{fault}." for fault in self._record_faults(name, record)]
            problems += [
                f"{fault}."
                for file, known in sorted(record.files.items())
                for fault in file_faults(folder / file, known)
            ]
        return problems

    def _record_faults(self, name: str, record: SceneRecord) -> Iterator[str]:
        folder = self.path / "scenes" / name
        if record.identity != self.manifest.scenes[name]:
            yield f"{folder} holds another scene than the manifest says"
        if hash_file(folder / RECORD) != self.manifest.files.get(name):
            yield f"{folder / RECORD} is not the one that the manifest lists"


def read_record(folder: Path) -> SceneRecord:
    """Reads a scene's record; raises InputError if it is missing or damaged."""
    return validated(SceneRecord, _read_json(folder / RECORD), str(folder / RECORD))


def write_record(folder: Path, record: SceneRecord) -> SceneRecord:
    """Adds the hashes of the scene's files to its record, writes it as the last file, and returns it."""
    files = {
        name: FileRecord(sha256=hash_file(folder / name), size=(folder / name).stat().st_size)
        for name in (FIRST, FUTURES, TRUTH)
    }
    whole = record.model_copy(update={"files": files})
    write_json(folder / RECORD, whole.model_dump(mode="json"))
    return whole


def camera_of(record: CameraRecord) -> Camera:
    """Camera of a record, at a side of one pixel as `look_at` gives it."""
    return Camera(np.array(record.position), np.array(record.axes), record.fovy, 1)


def _read_json(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{file} is missing or damaged; build the benchmark again.") from error
