"""Runs a benchmark: every player on every scene, measured once and kept; the same result on one core or several."""

import contextlib
import copy
import functools
import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from poke2vid.evaluate.bench import measure
from poke2vid.evaluate.bench.measure import ExactFlow, Measurement, Scores, Timing, TrackedFrames
from poke2vid.evaluate.bench.report import BenchReport, summarise
from poke2vid.evaluate.bench.roles import play, roles_of
from poke2vid.files import write_json
from poke2vid.flow.chain import FlowChain
from poke2vid.measures.table import LONG_FRAMES, LONG_SCENES
from poke2vid.players.named import REFERENCES, TRUTHS, reference_players
from poke2vid.players.player import PokePlayer
from poke2vid.pokebench.scene import TrueScene
from poke2vid.pretrained.features import Lpips
from poke2vid.processes import Died, Tick, one_thread, run_jobs
from poke2vid.tracking.trackers import bench_tracker, lpips_if_found
from poke2vid.types import InputError

Players = Mapping[str, PokePlayer]  # by their names in the report
Rows = Mapping[str, PokePlayer | None]  # in the order of the report; None for the truth, tracked or exact


@dataclass(frozen=True)
class _Job:
    """One unit of measurement, kept in one file; picklable if the scene is.

    Attributes:
        long: the drift over `LONG_FRAMES` instead of all pokes.
        key: everything that the result depends on.
    """

    row: str
    scene: TrueScene
    long: bool
    file: Path
    key: dict[str, Any]

    @property
    def place(self) -> tuple[str, str, bool]:
        return self.row, self.scene.name, self.long


def run_bench(
    scenes: Sequence[TrueScene], players: Players, *, out: Path, bench: str, arrive: int, fps: float,
    weights_dir: Path | None = None, make_tracker: Callable[[], FlowChain] = bench_tracker, seed: int = 0, quiet: bool = False,
    per_family: int | None = None, workers: int = 1, reload: Callable[[], Players] | None = None, acceptance: str = "",
) -> BenchReport:  # fmt: skip
    """Scores players and the reference rows `players.REFERENCES` on every scene.

    Each result of one player on one scene is saved at once in OUT/scenes/<player>/<scene>.json (its drift over a
    thousand frames in OUT/long) and used again, as by a run that resumes, if player, scene, bench, tracker, weights and
    formulas are the same.

    Args:
        players: by their names in the report.
        bench: the benchmark's name and identity: equal only if its scenes are.
        arrive: T, the frame at which shifts arrive, at least 2 and at most the number of frames.
        fps: frames a second of the scenes; for the report.
        weights_dir: folder to search first for the weights of LPIPS, see `weights.find`.
        make_tracker: builds the tracker, which sees the frames and nothing else, in every process.
        seed: of the intervals.
        per_family: number of scenes to take of each family, the first by name; None for all.
        workers: number of processes. The result is the same, to the last bit.
        reload: makes the same players again in a worker process; needed for more than one worker, and picklable, as
            scenes and `make_tracker` must be then.
        acceptance: summary of the scenes tried for the bench; for the report.

    Raises:
        InputError: if there is no scene, two have the same name, a player is called like a reference, `arrive` does not
            fit, or a player's frames are not what was asked for: names player and scene.
    """
    # Rows, jobs and their worker
    chosen = first_of_each_family(scenes, per_family)
    timing = _timing(chosen, arrive)
    used, lpips = make_tracker(), lpips_if_found(weights_dir)
    rows = _rows(players, timing)
    common = {
        "version": measure.VERSION, "bench": bench, "tracker": used.name, "lpips": lpips is not None, **asdict(timing),
    }  # fmt: skip
    jobs, found = _jobs(chosen, rows, out, common), dict[tuple[str, str, bool], list[Scores]]()
    make = partial(_Worker, rows, timing, used, lpips)
    if workers > 1:
        if reload is None:
            raise InputError(f"{workers} processes cannot share these players; give `reload`, or take 1 worker.")
        make = partial(_make_worker, reload, timing, make_tracker, weights_dir)
    with tqdm(total=len(jobs), unit="result", disable=True if quiet else None) as bar:
        # Reuse results of earlier runs
        for job in jobs:
            if (known := _read(job.file, job.key)) is not None:
                found[job.place] = known
        bar.update(len(found))
        # Measure what is left
        left = [job for job in jobs if job.place not in found]
        processes = min(workers, len(left)) if workers > 1 else 0
        with contextlib.closing(run_jobs(make, left, processes, lambda: None)) as results:
            for job, result in results:
                found[job.place] = _scores(job, result)
                bar.update()
    # Summarise all rows
    about = {
        "bench": bench, "scenes": len(chosen), "scenes_of_the_bench": len(scenes),
        "pokes": sum(len(scene.pokes) for scene in chosen), "resolution": max(chosen[0].first.shape[:2]),
        "frames": timing.last, "arrive": arrive, "fps": fps, "tracker": used.name,
        "lpips": "squeeze" if lpips else "no weights found", "seed": seed, "acceptance": acceptance,
    }  # fmt: skip
    measured = {
        row: {s.name: found[row, s.name, False] + found.get((row, s.name, True), []) for s in chosen} for row in rows
    }
    return summarise(measured, {scene.name: scene.family for scene in chosen}, about, seed)


def first_of_each_family(scenes: Sequence[TrueScene], count: int | None) -> list[TrueScene]:
    """The first `count` scenes of each family by name, in their old order; all for None."""
    if count is not None and count < 1:
        raise InputError(f"{count} scenes of each family were asked for; at least 1 must be.")
    kept: dict[str, set[str]] = {}
    for scene in sorted(scenes, key=lambda scene: scene.name):
        names = kept.setdefault(scene.family, set())
        if count is None or len(names) < count:
            names.add(scene.name)
    return [scene for scene in scenes if scene.name in kept[scene.family]]


def _jobs(scenes: Sequence[TrueScene], rows: Rows, out: Path, common: dict[str, Any]) -> list[_Job]:
    """All jobs, scene by scene, so that a scene is read once for all rows."""
    jobs, patient = [], {scene.name for scene in first_of_each_family(scenes, LONG_SCENES)}
    for scene in scenes:
        known = {**common, "scene": scene.name, "scene_digest": scene.digest}
        digests = {name: f"{name} 1" if player is None else player.digest for name, player in rows.items()}
        keys = {name: {**known, "player": digest} for name, digest in digests.items()}
        jobs += [_Job(name, scene, False, _file(out / "scenes", name, scene), key) for name, key in keys.items()]
        if scene.name in patient:
            jobs += [
                _Job(name, scene, True, _file(out / "long", name, scene), {**keys[name], "long": LONG_FRAMES})
                for name, player in rows.items()
                if player is not None and "none" in roles_of(player)
            ]
    return jobs


def _scores(job: _Job, result: list[Scores] | str | Died) -> list[Scores]:
    if isinstance(result, Died):
        what = f"{job.row!r} on scene {job.scene.name!r}"
        raise InputError(f"the process that measured {what} died (exit code {result.code}); run again.")
    if isinstance(result, str):
        raise InputError(result)
    return result


def _make_worker(
    reload: Callable[[], Players], timing: Timing, make_tracker: Callable[[], FlowChain], weights_dir: Path | None
) -> "_Worker":  # fmt: skip
    """Builds a worker in its own process."""
    return _Worker(_rows(reload(), timing), timing, make_tracker(), lpips_if_found(weights_dir))


class _SceneCache:
    """A scene that keeps flows and visibility for all players: 4 MB for one of PokeBench. Frames are read anew."""

    def __init__(self, scene: TrueScene) -> None:
        own = copy.copy(scene)  # the caches of a scene are freed with its copy, so they do not pile up over hundreds
        self.name, self.family, self.digest = own.name, own.family, own.digest
        self.pokes, self.first, self.part_ids, self.frames = own.pokes, own.first, own.part_ids, own.frames
        self.flow, self.visible = functools.cache(own.flow), functools.cache(own.visible)


class _Worker:
    """Runs one job per call; keeps the current scene and its truth in memory for the next row."""

    def __init__(self, rows: Rows, timing: Timing, tracker: FlowChain, lpips: Lpips | None) -> None:
        self._rows, self._timing, self._tracker, self._lpips = rows, timing, tracker, lpips
        self._scene: TrueScene | None = None

    def __call__(self, job: _Job, tick: Tick) -> list[Scores] | str:
        """Runs a job; returns its scores, or an error in one sentence."""
        if self._scene is None or self._scene.name != job.scene.name:
            self._scene = _SceneCache(job.scene)
        try:
            with one_thread():  # several cores are for several workers
                scores = (self._long_drift if job.long else self._scores)(job.row, self._scene)
            write_json(job.file, {"key": job.key, "samples": [asdict(one) for one in scores]})
        except InputError as error:
            return str(error)
        return scores

    def _scores(self, row: str, scene: TrueScene) -> list[Scores]:
        played: measure.Played = ExactFlow(scene)
        if (player := self._rows[row]) is not None:
            future = partial(play, row, player, scene, frames=self._timing.last)
            played = TrackedFrames(scene, future, self._tracker, self._timing, roles_of(player))
        elif row == "oracle":
            played = TrackedFrames(scene, scene.frames, self._tracker, self._timing)
        return Measurement(scene, played, self._timing, self._lpips).scores()

    def _long_drift(self, row: str, scene: TrueScene) -> list[Scores]:
        """Drift after the first poke of role "none"; nothing if there is none."""
        player = self._rows[row]
        assert player is not None
        for number, poke in enumerate(scene.pokes):
            if poke.role == "none":
                late = play(row, player, scene, number, LONG_FRAMES)[-1]
                return [measure.long_drift(scene, number, late, self._tracker)]
        return []


def _timing(scenes: Sequence[TrueScene], arrive: int) -> Timing:
    if not scenes:
        raise InputError("the benchmark holds no scene; build it with `poke2vid bench build`.")
    names = [scene.name for scene in scenes]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"two scenes are called {twice!r}; every scene needs a name of its own.")
    last = len(copy.copy(scenes[0]).frames(0))
    if not 2 <= arrive <= last:
        raise InputError(f"shifts cannot arrive at frame {arrive} of {last}; choose 2 ... {last}.")
    return Timing(arrive // 2, arrive, last)


def _rows(players: Players, timing: Timing) -> Rows:
    taken = sorted(set(players) & set(REFERENCES))
    if taken:
        raise InputError(f"a player cannot be called {taken[0]!r}, which is a reference row; give it another name.")
    return {**players, **reference_players(timing.arrive), **dict.fromkeys(TRUTHS)}


def _read(file: Path, key: Mapping[str, Any]) -> list[Scores] | None:
    """Scores of an earlier run; None if there are none, or they have another key."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        if found["key"] != key:
            return None
        return [Scores(**{**values, "pokes": tuple(values["pokes"])}) for values in found["samples"]]
    except (OSError, ValueError, KeyError, TypeError):  # damaged in any way: measure again
        return None


def _file(folder: Path, row: str, scene: TrueScene) -> Path:
    return folder / _plain(row) / f"{_plain(scene.name)}.json"


def _plain(name: str) -> str:
    """File name that any file system takes, since paths of models can be names of players."""
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", name).lstrip(".")
    if plain == name:
        return plain
    return f"{plain[-80:]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
