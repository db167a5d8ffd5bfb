"""Simulates pokes into a store, shard by shard: resumable at any moment, the same bytes for any number of workers."""

import contextlib
import hashlib
import os
import shutil
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from tqdm import tqdm

from poke2vid.data.manifest import DamagedRecord, FileRecord, validated
from poke2vid.data.poke_store import (
    ENTRY,
    MANIFEST,
    SHARDS,
    PokeManifest,
    PokeSettings,
    PokeStore,
    ShardEntry,
    is_poke_store,
    read_poke_manifest,
    read_shard_entry,
    shard_faults,
)
from poke2vid.data.shards import CAUSES, FIELD_FRAMES, TOUCHES
from poke2vid.files import reason, write_json
from poke2vid.processes import Died, Tick, alone_in, run_jobs
from poke2vid.simulator.backgrounds import PhotoGoneError
from poke2vid.simulator.causes import FIELD_FRAMES as SIMULATED_FRAMES
from poke2vid.simulator.causes import KINDS, Cause, PokedOrder, PokedScene, poke_scene
from poke2vid.simulator.families.registry import family_named
from poke2vid.simulator.film import SEEDS
from poke2vid.simulator.looks.photographs import Photographs
from poke2vid.simulator.scene import GENERATION
from poke2vid.simulator.world import PHYSICS
from poke2vid.types import InputError, Split

assert KINDS == CAUSES and SIMULATED_FRAMES == FIELD_FRAMES, "the store's table says what the simulator makes"
WORK_PREFIX = ".work-"


@dataclass(frozen=True)
class PokesReport:
    """Summary of a run: scenes and pokes in the store, those made now, bytes a poke, faults by kind."""

    scenes: int
    pokes: int
    films: int
    made: int
    bytes_a_poke: float
    rejected: dict[str, int]
    seconds: float
    workers: int

    @property
    def summary(self) -> str:
        """One line for a log."""
        pace = self.made / max(self.seconds, 1e-9) / max(self.workers, 1)
        spoilt = sum(count for kind, count in self.rejected.items() if not kind.startswith("poke: "))
        return (
            f"{self.pokes} pokes of {self.scenes} scenes, {self.films} of them films; {self.made} made in "
            f"{self.seconds:.1f} s, {pace:.1f} a second and worker; {self.bytes_a_poke / 1000:.1f} kB a poke; "
            f"{spoilt} scenes rejected"
        )


@dataclass(frozen=True)
class _Shard:
    """One shard to make."""

    family: str
    split: Split
    seed: int
    first: int
    scenes: int
    settings: PokeSettings
    wild: Photographs | None

    @property
    def name(self) -> str:
        return f"{self.family}-{self.split}-{self.seed}-{self.first:06d}"

    def orders(self) -> list[PokedOrder]:
        s = self.settings
        family = family_named(self.family).name
        return [
            PokedOrder(family, self.split, number, s.pokes, s.resolution, s.films, s.film_frames, self.seed, self.wild)
            for number in range(self.first, self.first + self.scenes)
        ]


def poke_settings(
    resolution: int, pokes: int, films: int, film_frames: int, photographs: Photographs | None = None
) -> PokeSettings:
    """Settings of a store; raises InputError for an invalid size or count."""
    values = {
        "resolution": resolution, "pokes": pokes, "films": films, "film_frames": film_frames,
        "generation": GENERATION, "physics": PHYSICS,
        "looks": "plain" if photographs is None else f"wild {photographs.digest}",
    }  # fmt: skip
    return validated(PokeSettings, values, "the setting")


def simulate_pokes(
    families: Sequence[str], scenes: Mapping[Split, int], out: Path, settings: PokeSettings, seed: int = 0,
    workers: int = 2, photographs: Photographs | None = None, quiet: bool = False,
) -> PokesReport:  # fmt: skip
    """Simulates scenes with their pokes into the store `out`; shards finished by an earlier run are kept.

    Args:
        scenes: number of scenes of each family, for each split.
        photographs: for wild looks; those that `settings` was made with.

    Raises:
        InputError: if `out` is something else or has other settings, the disk is full, nothing of a scene can be
            touched, a worker dies, or this machine cannot draw.
    """
    started = time.perf_counter()
    # List the wanted shards
    if not 0 <= seed < SEEDS:
        raise InputError(
            f"there is no set of seed {seed}; choose 0 ... {SEEDS - 1}: the benchmark's scenes lie behind."
        )
    wanted = [
        _Shard(
            family_named(family).name,
            split,
            seed,
            first,
            min(settings.shard_scenes, count - first),
            settings,
            photographs,
        )
        for family in dict.fromkeys(families or [""])
        for split, count in scenes.items()
        for first in range(0, count, settings.shard_scenes)
    ]
    wanted.sort(key=lambda shard: shard.first)  # so that an interrupted run has shards of all families
    folder = _shards_folder(out, settings)
    with alone_in(folder):
        # Clean up and find pending shards
        for stale in folder.glob(f"{WORK_PREFIX}*"):
            shutil.rmtree(stale, ignore_errors=True)
        _refuse_strangers(folder, wanted)
        pending = [shard for shard in wanted if not _finished(folder / shard.name, shard)]
        if pending:
            (out / MANIFEST).unlink(missing_ok=True)
        bar = tqdm(
            total=sum(s.scenes for s in pending) * settings.pokes, unit="poke", desc="simulate", disable=quiet or None
        )
        # Simulate pending shards in worker processes
        with bar:
            for shard, fault in run_jobs(partial(_Studio, folder), pending, min(workers, len(pending)), bar.update):
                if isinstance(fault, Died):
                    raise InputError(
                        f"the process that made {shard.name} died (exit code {fault.code}); it may have lacked memory, so "
                        "run again with fewer --workers."
                    )
                if fault is not None:
                    raise InputError(fault)
        # Write the manifest last
        entries = {shard.name: read_shard_entry(folder / shard.name) for shard in wanted}
        manifest = PokeManifest(settings=settings, shards={name: e.digest() for name, e in sorted(entries.items())})
        write_json(out / MANIFEST, manifest.sealed().model_dump(mode="json"))
    # Summarise the whole store
    rejected = Counter[str]()
    for entry in entries.values():
        rejected.update(entry.rejected)
    return PokesReport(
        scenes=sum(e.scenes for e in entries.values()), pokes=sum(e.pokes for e in entries.values()),
        films=sum(e.films for e in entries.values()), made=sum(s.scenes for s in pending) * settings.pokes,
        bytes_a_poke=PokeStore.open(out).bytes_a_poke, rejected=dict(sorted(rejected.items())),
        seconds=time.perf_counter() - started, workers=workers,
    )  # fmt: skip


def _shards_folder(out: Path, settings: PokeSettings) -> Path:
    """The folder of shards, created if missing.

    Raises:
        InputError: if `out` is something else, a store of other settings, or cannot be written.
    """
    if out.exists() and not is_poke_store(out) and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out} exists and is not a store of pokes; choose another --out.")
    if (out / MANIFEST).is_file():
        try:
            earlier = read_poke_manifest(out).settings
        except DamagedRecord:
            earlier = settings
        _refuse_other(out, earlier, settings)
    return out / SHARDS


def _refuse_other(out: Path, earlier: PokeSettings, settings: PokeSettings) -> None:
    """Raises InputError if the store was begun with other settings."""
    for name, value in settings.model_dump().items():
        if getattr(earlier, name) != value:
            raise InputError(f"the store {out} has {name} {getattr(earlier, name)}, not {value}; choose another --out.")


def _refuse_strangers(folder: Path, wanted: Sequence[_Shard]) -> None:
    """Raises InputError if the store holds a shard that is not among those asked for."""
    names = {shard.name for shard in wanted}
    for place in sorted(folder.iterdir()):
        if place.name.startswith("."):
            continue
        if place.name not in names:
            raise InputError(f"{folder.parent} holds {place.name}, which was not asked for; choose another --out.")
        with contextlib.suppress(DamagedRecord):  # unreadable shards are made again
            _refuse_other(folder.parent, read_shard_entry(place).settings, wanted[0].settings)


def _finished(folder: Path, shard: _Shard) -> bool:
    """True if the shard exists, is intact and is the wanted one."""
    try:
        entry = read_shard_entry(folder)
    except InputError:
        return False
    same = (entry.name, entry.scenes, entry.settings) == (shard.name, shard.scenes, shard.settings)
    return same and not any(shard_faults(folder))


@dataclass(frozen=True)
class _Studio:
    """Makes shards one after the other; one per worker process."""

    folder: Path

    def __call__(self, shard: _Shard, tick: Tick) -> str | None:
        """Makes one shard; returns None, or one sentence about what went wrong."""
        work = self.folder / f"{WORK_PREFIX}{shard.name}-{os.getpid()}"
        try:
            scenes = []
            for order in shard.orders():
                scenes.append(poke_scene(order))
                for _ in range(order.pokes):
                    tick()
            self._write(shard, scenes, work)
        except (InputError, PhotoGoneError) as error:
            return str(error)
        except OSError as error:
            return f"cannot write {self.folder.parent}: {reason(error)}."
        finally:
            shutil.rmtree(work, ignore_errors=True)
        return None

    def _write(self, shard: _Shard, scenes: Sequence[PokedScene], work: Path) -> None:
        arrays = shard_arrays(scenes, shard.settings)
        work.mkdir()
        files = {}
        for name, array in arrays.items():
            data = array.tobytes()
            (work / name).write_bytes(data)
            files[name] = FileRecord(sha256=hashlib.sha256(data).hexdigest(), size=len(data))
        rejected = Counter[str]()
        for scene in scenes:
            rejected.update(scene.rejected)
        entry = ShardEntry(
            name=shard.name, family=shard.family, split=shard.split, seed=shard.seed, first=shard.first,
            scenes=len(scenes), pokes=len(arrays["owner.i32"]), fields=len(arrays["flow.f16"]),
            films=len(arrays["film_flow.f16"]), rejected=dict(sorted(rejected.items())), settings=shard.settings,
            files=files,
        )  # fmt: skip
        write_json(work / ENTRY, entry.model_dump(mode="json"))
        target = self.folder / shard.name
        shutil.rmtree(target, ignore_errors=True)  # a shard already there is damaged
        work.replace(target)


def shard_arrays(scenes: Sequence[PokedScene], settings: PokeSettings) -> dict[str, np.ndarray]:
    """Arrays of a shard with these scenes, by file name."""
    causes = [(number, cause) for number, scene in enumerate(scenes) for cause in scene.causes]
    fields = [cause for _, cause in causes if cause.flow is not None]
    films = [cause.film for _, cause in causes if cause.film is not None]
    shapes = settings.shapes(len(scenes), len(causes), len(fields), len(films))
    arrays = {name: np.zeros(shape, dtype) for name, (dtype, shape) in shapes.items()}
    for n, scene in enumerate(scenes):
        assert scene.part_ids.max() < 256, "part ids are kept as bytes"
        arrays["pictures.u8"][n], arrays["parts.u8"][n] = scene.frame, scene.part_ids
        arrays["modes.f32"][n] = scene.frequency, scene.damping
    _fill_pokes(arrays, causes)
    for r, cause in enumerate(fields):
        assert cause.visible is not None
        arrays["flow.f16"][r] = cause.flow
        arrays["visible.bits"][r] = np.packbits(cause.visible)
    for q, film in enumerate(films):
        arrays["film_frames.u8"][q], arrays["film_flow.f16"][q] = film.frames, film.flow
        arrays["film_visible.bits"][q] = np.packbits(film.visible.reshape(len(film.visible), -1), axis=-1)
        arrays["film_path.f32"][q], arrays["film_held.u8"][q] = film.path, film.held
    return arrays


def _fill_pokes(arrays: dict[str, np.ndarray], causes: Sequence[tuple[int, Cause]]) -> None:
    """Fills in the table of pokes."""
    arrays["row.i32"][:], arrays["film.i32"][:], arrays["at.f32"][:] = -1, -1, np.nan
    row = film = 0
    for m, (owner, cause) in enumerate(causes):
        touches = len(cause.at)
        assert touches <= TOUCHES
        arrays["owner.i32"][m], arrays["kind.u8"][m] = owner, CAUSES.index(cause.kind)
        arrays["at.f32"][m, :touches], arrays["shift.f32"][m, :touches] = cause.at, cause.shift
        arrays["path.f32"][m, :touches] = cause.path
        if cause.flow is not None:
            arrays["row.i32"][m], row = row, row + 1
        if cause.film is not None:
            arrays["film.i32"][m], film = film, film + 1
