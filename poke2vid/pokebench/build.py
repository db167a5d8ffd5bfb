"""Builds a benchmark: held-out scenes, their pokes and true futures. Resumable; the same for any number of workers."""

import hashlib
import shutil
from collections import Counter
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from tqdm import tqdm

from poke2vid.data.store import file_faults, hash_file
from poke2vid.files import MANIFEST, write_json
from poke2vid.pokebench.disk import RECORD, Bench, Future, read_record, write_record, write_truth
from poke2vid.pokebench.plan import PlannedPoke, Planner
from poke2vid.pokebench.records import BenchManifest, CameraRecord, SceneRecord
from poke2vid.processes import Died, Tick, alone_in, run_jobs
from poke2vid.simulator.families.registry import family_named
from poke2vid.simulator.film import STRIDE
from poke2vid.simulator.opened import OpenScene, open_scene
from poke2vid.simulator.scene import GENERATION, INDIVIDUALS, FamilyName, generator
from poke2vid.simulator.world import FPS, PHYSICS, UnstableError
from poke2vid.types import InputError

ATTEMPTS = 60  # scenes tried per place in the bench: not every object has two points that reach far enough
# First seed of benchmark scenes. Sets of training and test videos have seeds 0 ... 15 and end below; set 16 would begin
# exactly here.
SEED = 1 << 44
POKES_A_SCENE = 13


@dataclass(frozen=True)
class BenchSpec:
    """A benchmark by name and version: the same scenes and pokes wherever it is built.

    Attributes:
        scenes: number of scenes of each family.
        resolution: side of the frames, in pixels.
        frames: number of frames after the first; shifts arrive at frame `arrive` and are held.
    """

    name: str
    scenes: dict[FamilyName, int]
    resolution: int
    frames: int = 25
    arrive: int = 10


SPECS = {
    spec.name: spec
    for spec in (
        BenchSpec("pokebench-v1", {"plants": 100, "figures": 100, "objects": 100}, 128),
        BenchSpec("cabinets-v1", {"cabinets": 100}, 128),
        BenchSpec("mini", {"plants": 4, "figures": 4, "objects": 4}, 64),
    )
}


@dataclass(frozen=True)
class SceneOrder:
    """One scene to build: a numbered place in a bench."""

    spec: BenchSpec
    family: FamilyName
    number: int

    @property
    def name(self) -> str:
        return f"{self.family}-{self.number:03d}"

    def seed(self, attempt: int) -> int:
        """Seed of one attempt at the scene; every scene is a species of its own."""
        return SEED + (self.number + attempt * STRIDE) * INDIVIDUALS


def spec_named(name: str) -> BenchSpec:
    if name not in SPECS:
        raise InputError(f"there is no benchmark {name!r}; choose one of {', '.join(SPECS)}.")
    return SPECS[name]


def build_bench(spec: BenchSpec, out: Path, workers: int = 2, quiet: bool = False) -> Bench:
    """Builds the benchmark in `out`; scenes that an earlier run has finished are kept.

    Raises:
        InputError: if `out` holds something else, the disk is full, or this machine cannot draw.
    """
    orders = [SceneOrder(spec, family, k) for family, count in spec.scenes.items() for k in range(count)]
    folder = out / "scenes"
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file; choose a folder for --out.")
    if out.exists() and any(entry.name not in ("scenes", MANIFEST) for entry in out.iterdir()):
        raise InputError(f"{out} holds something else than a benchmark; choose another --out.")
    with alone_in(folder):
        for stale in folder.glob(".work-*"):
            shutil.rmtree(stale, ignore_errors=True)
        listed = _listed(out)
        pending = [order for order in orders if not _finished(folder / order.name, order, listed.get(order.name))]
        bar = tqdm(total=len(pending) * POKES_A_SCENE, unit="poke", desc="bench", disable=quiet or None)
        with bar:
            for order, fault in run_jobs(partial(_Studio, folder), pending, min(workers, len(pending)), bar.update):
                if isinstance(fault, Died):
                    raise InputError(f"the process that made {order.name} died (exit code {fault.code}); run again.")
                if fault is not None:
                    raise InputError(fault)
        _write_manifest(spec, orders, out)
    return Bench.open(out)


def _write_manifest(spec: BenchSpec, orders: list[SceneOrder], out: Path) -> None:
    records = {order.name: read_record(out / "scenes" / order.name) for order in orders}
    rejected: dict[str, Counter[str]] = {family: Counter() for family in spec.scenes}
    for record in records.values():
        rejected[record.family].update(record.rejected)
    manifest = BenchManifest(
        name=spec.name, resolution=spec.resolution, frames=spec.frames, arrive=spec.arrive, fps=FPS,
        generation=GENERATION, physics=PHYSICS, places=Counter(order.family for order in orders),
        rejected={family: dict(sorted(reasons.items())) for family, reasons in rejected.items()},
        scenes={name: record.identity for name, record in records.items()},
        files={name: hash_file(out / "scenes" / name / RECORD) for name in records},
    ).sealed()  # fmt: skip
    write_json(out / MANIFEST, manifest.model_dump(mode="json"))


def _listed(out: Path) -> dict[str, str]:
    """Hashes of the scenes' records from the manifest of a finished earlier run; empty if there is none."""
    try:
        return Bench.open(out).manifest.files
    except InputError:
        return {}


def _finished(folder: Path, order: SceneOrder, listed: str | None) -> bool:
    """Tests that the scene is complete, made by this version, and the one that the manifest lists, if there is one."""
    try:
        record = read_record(folder)
    except InputError:
        return False
    made = (record.family, record.number, record.generation, record.physics)
    if made != (order.family, order.number, GENERATION, PHYSICS) or record.resolution != order.spec.resolution:
        raise InputError(f"{folder} belongs to another benchmark or version; choose another --out.")
    if listed is not None and hash_file(folder / RECORD) != listed:
        return False
    return not any(fault for file, known in record.files.items() for fault in file_faults(folder / file, known))


@dataclass(frozen=True)
class _Studio:
    """Worker that builds one scene per call."""

    folder: Path

    def __call__(self, order: SceneOrder, tick: Tick) -> str | None:
        """Builds a scene; returns None, or an error in one sentence."""
        work = self.folder / f".work-{order.name}"
        shutil.rmtree(work, ignore_errors=True)
        try:
            self._make(order, work, tick)
            place = self.folder / order.name
            shutil.rmtree(place, ignore_errors=True)
            work.rename(place)
        except InputError as error:
            return str(error)
        finally:
            shutil.rmtree(work, ignore_errors=True)
        return None

    def _make(self, order: SceneOrder, work: Path, tick: Tick) -> None:
        spec, rejected = order.spec, Counter[str]()
        for attempt in range(ATTEMPTS):
            seed = order.seed(attempt)
            scene = family_named(order.family).scene(seed, "test")
            try:
                with open_scene(scene, spec.resolution) as opened:
                    rng = generator("pokebench", order.family, seed)
                    pokes = Planner(opened, rng, spec.frames, spec.arrive).pokes()
                    first, futures = _draw(opened, pokes, tick)
            except UnstableError as fault:
                rejected[str(fault)] += 1
                continue
            write_truth(work, first, opened.surface, futures, FPS)
            camera = opened.world.camera
            record = SceneRecord(
                name=order.name, family=order.family, number=order.number, generation=GENERATION, physics=PHYSICS,
                resolution=spec.resolution, seed=seed, digest=scene.digest, parts=opened.world.parts,
                camera=CameraRecord.model_validate(
                    {"position": camera.position.tolist(), "axes": camera.axes.tolist(), "fovy": camera.fovy}
                ),
                pokes=tuple(poke.record for poke in pokes), states=_states(pokes), rejected=dict(rejected), files={},
            )  # fmt: skip
            write_record(work, record)
            return
        raise InputError(f"none of {ATTEMPTS} scenes for {order.name} could be used: {dict(rejected)}.")


def _draw(opened: OpenScene, pokes: list[PlannedPoke], tick: Tick) -> tuple[np.ndarray, list[Future]]:
    """Renders the first frame, and the frames of every poke that moves something."""
    renderer, surface = opened.renderer, opened.surface
    first, futures = None, list[Future]()
    for poke in pokes:
        tick()
        if poke.future is None:
            continue
        states = poke.future.states
        if first is None:  # all futures begin alike
            first = renderer.frame(states[0])
        frames = [renderer.frame(state) for state in states[1:]]
        # Visibility in every frame takes a second per scene at 128 pixels.
        visible = [surface.visible(poke.future, t, renderer.fine_buffers(state)) for t, state in enumerate(states)]
        futures.append(Future(poke.future, frames, np.stack(visible)))
    assert first is not None
    return first, futures


def _states(pokes: list[PlannedPoke]) -> str:
    """sha256 over all physics states, to the last bit: with so many numbers, some always lie on a rounding edge."""
    sha = hashlib.sha256()
    for poke in pokes:
        if poke.future is not None:
            sha.update(poke.future.states.astype("<f8").tobytes())
    return sha.hexdigest()
