"""The store of pokes with known causes: layout on disk, memory-mapped reading, and verification.

    STORE/manifest.json              written last; without it the store is unfinished
    STORE/shards/<name>/entry.json   which scenes, and a checksum for every array
        pictures.u8      n h w 3         x_0 of every scene, RGB
        parts.u8         n s s           part ids at half the side, 0 for the surroundings
        modes.f32        n 2             frequency of the slowest mode in Hz and its damping; both 0 if gravity decides
        owner.i32        m               the scene of every poke
        kind.u8          m               its number in `shards.CAUSES`
        at.f32           m 2 2           l of one or two touched points, (x, y); NaN if there is no second
        shift.f32        m 2 2           p of each
        path.f32         m 2 11 2        displacement of each in x_0 ... x_10
        row.i32          m               its row in `flow`; -1 if nothing moves, and for films
        film.i32         m               its row among the films; -1 for all others
        flow.f16         r 3 2 s s       from x_0 to the frames 3, 6 and 10
        visible.bits     r s*s/8         mask of the pixels of x_0 that still show at 10, packed
        film_frames.u8   q f h w 3       x_1 ... x_f
        film_flow.f16    q f 2 s s
        film_visible.bits q f s*s/8
        film_path.f32    q f+1 2 2       as path, from x_0 on
        film_held.u8     q f 2           1 if a hand holds that point in the step that leads to each frame

Arrays are raw, little-endian, headless. All lengths are in pixels of the frames, also in the flow at half their side.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, field_validator

from poke2vid.data.manifest import MADE, FileRecord, SealedRecord, read_sealed, read_values, sha256_of, validated
from poke2vid.data.shards import FIELD_FRAMES, TOUCHES, PokeShard
from poke2vid.data.store import file_faults
from poke2vid.files import MANIFEST
from poke2vid.types import InputError, Split

SHARDS, ENTRY = "shards", "entry.json"
KIND, VERSION = "poke2vid-pokes", 1
MAKE = MADE[KIND][1]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PokeSettings(_Record):
    """Settings that determine the arrays.

    Attributes:
        resolution: side of the frames, in pixels; flow and masks come at half of it.
        pokes: number per scene.
        films: one poke in `films` is filmed.
        film_frames: number of frames of a film, after the first; a pull is released after 16 at most.
        shard_scenes: scenes of a full shard.
        looks: "plain" as in simulated videos, or "wild" and the digest of the photographs.
        generation, physics: versions of the scenes and of the physics.
    """

    resolution: int
    pokes: int = Field(ge=1, le=1000)
    films: int = Field(default=50, ge=1)
    film_frames: int = Field(default=25, ge=20, le=250)
    shard_scenes: int = Field(default=32, ge=1)
    looks: str = "plain"
    generation: int
    physics: str

    @field_validator("resolution")
    @classmethod
    def _side(cls, resolution: int) -> int:
        if not 32 <= resolution <= 512 or resolution % 16:
            raise ValueError(
                f"{resolution} is no side of pictures that are poked; models have 64, 128 or 256 pixels, so choose one of these"
            )
        return resolution

    def shapes(self, scenes: int, pokes: int, fields: int, films: int) -> dict[str, tuple[np.dtype, tuple[int, ...]]]:
        """Type and shape of every array of a shard, by file name."""
        h, s, f = self.resolution, self.resolution // 2, self.film_frames
        byte, int32, half, single = (np.dtype(kind) for kind in ("u1", "<i4", "<f2", "<f4"))
        return {
            "pictures.u8": (byte, (scenes, h, h, 3)),
            "parts.u8": (byte, (scenes, s, s)),
            "modes.f32": (single, (scenes, 2)),
            "owner.i32": (int32, (pokes,)),
            "kind.u8": (byte, (pokes,)),
            "at.f32": (single, (pokes, TOUCHES, 2)),
            "shift.f32": (single, (pokes, TOUCHES, 2)),
            "path.f32": (single, (pokes, TOUCHES, FIELD_FRAMES[-1] + 1, 2)),
            "row.i32": (int32, (pokes,)),
            "film.i32": (int32, (pokes,)),
            "flow.f16": (half, (fields, len(FIELD_FRAMES), 2, s, s)),
            "visible.bits": (byte, (fields, s * s // 8)),
            "film_frames.u8": (byte, (films, f, h, h, 3)),
            "film_flow.f16": (half, (films, f, 2, s, s)),
            "film_visible.bits": (byte, (films, f, s * s // 8)),
            "film_path.f32": (single, (films, f + 1, TOUCHES, 2)),
            "film_held.u8": (byte, (films, f, TOUCHES)),
        }


class ShardEntry(_Record):
    """One shard (`entry.json`): scenes `first` ... `first + scenes - 1` of a family and split."""

    name: str
    family: str
    split: Split
    seed: int
    first: int
    scenes: int
    pokes: int
    fields: int
    films: int
    rejected: dict[str, int]
    settings: PokeSettings
    files: dict[str, FileRecord]

    def digest(self) -> str:
        return sha256_of(self.model_dump(mode="json"))

    @property
    def shapes(self) -> dict[str, tuple[np.dtype, tuple[int, ...]]]:
        return self.settings.shapes(self.scenes, self.pokes, self.fields, self.films)


class PokeManifest(SealedRecord):
    """Contents of a store: settings and the digest of every shard's entry; `digest` covers all other fields."""

    kind: Literal["poke2vid-pokes"] = "poke2vid-pokes"
    version: Literal[1] = 1
    settings: PokeSettings
    shards: dict[str, str]
    digest: str = ""


@dataclass(frozen=True)
class PokeStore:
    """A finished store of pokes, opened for reading."""

    path: Path
    manifest: PokeManifest
    entries: tuple[ShardEntry, ...]
    shards: tuple[PokeShard, ...]

    @staticmethod
    def open(path: Path) -> "PokeStore":
        """Opens a store; raises InputError unless `path` is a finished store of pokes that this version reads."""
        manifest = read_poke_manifest(path)
        shards, entries = [], []
        for name, digest in manifest.shards.items():
            entry = read_shard_entry(path / SHARDS / name)
            if entry.digest() != digest:
                raise InputError(f"{path / SHARDS / name} is not what the manifest lists; run `poke2vid verify`.")
            entries.append(entry)
            resolution = entry.settings.resolution
            folder = path / SHARDS / name
            shards.append(
                PokeShard(entry.family, entry.split, entry.scenes, entry.pokes, resolution, entry.shapes, folder)
            )
        return PokeStore(path, manifest, tuple(entries), tuple(shards))

    @property
    def resolution(self) -> int:
        return self.manifest.settings.resolution

    @property
    def digest(self) -> str:
        """Digest of settings and contents: two stores with the same digest hold the same arrays."""
        return self.manifest.digest

    def split(self, split: Split) -> tuple[PokeShard, ...]:
        return tuple(shard for shard in self.shards if shard.split == split)

    @property
    def bytes_a_poke(self) -> float:
        size = sum(record.size for entry in self.entries for record in entry.files.values())
        return size / max(1, sum(entry.pokes for entry in self.entries))


def is_poke_store(path: Path) -> bool:
    """True if a folder holds pokes, finished or not, and not videos."""
    return (path / SHARDS).is_dir()


def read_poke_manifest(path: Path) -> PokeManifest:
    """The manifest of the store at `path`.

    Raises:
        InputError: if there is no manifest, or a foreign or newer one.
        DamagedRecord: if it is ours, but damaged or altered.
    """
    file = path / MANIFEST
    if not file.is_file():
        if is_poke_store(path):
            raise InputError(f"{path} is an unfinished store of pokes; finish it with the same `{MAKE}` again.")
        raise InputError(f"{path} is not a store of pokes (no {MANIFEST}); make one with `{MAKE}`.")
    return read_sealed(file, PokeManifest, KIND, VERSION, "make")


def read_shard_entry(folder: Path) -> ShardEntry:
    """The entry of a shard; raises InputError if its folder has no valid `entry.json`."""
    return validated(ShardEntry, read_values(folder / ENTRY, "make"), str(folder / ENTRY))


def verify_pokes(path: Path) -> list[str]:
    """Lists every fault of a store of pokes, one sentence each. Reads all files."""
    try:
        manifest = read_poke_manifest(path)
    except InputError as error:
        return [str(error)]
    problems = [
        f"{stray} does not belong to the store"
        for stray in sorted({*path.iterdir()} - {path / MANIFEST, path / SHARDS})
    ]
    folder = path / SHARDS
    present = {place.name for place in folder.iterdir()} if folder.is_dir() else set()
    problems += [f"{folder / name} does not belong to the store" for name in sorted(present - set(manifest.shards))]
    for name, digest in manifest.shards.items():
        problems += shard_faults(folder / name, digest)
    return problems


def shard_faults(folder: Path, digest: str | None = None) -> Iterator[str]:
    """Faults of one shard: in its record, its files or their contents."""
    try:
        entry = read_shard_entry(folder)
    except InputError as error:
        yield str(error)
        return
    if digest is not None and entry.digest() != digest:
        yield f"{folder / ENTRY} is not the one that the manifest lists"
    if set(entry.files) != set(entry.shapes):
        yield f"{folder / ENTRY} does not list the arrays of a shard"
    for file, record in sorted(entry.files.items()):
        yield from file_faults(folder / file, record)
    for stray in sorted({file.name for file in folder.iterdir()} - {ENTRY, *entry.files}):
        yield f"{folder / stray} does not belong to the store"
