"""Running a benchmark: every player on every scene, measured once and kept."""

import copy
import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from tqdm import tqdm

from poke2vid.evaluate.bench.measure import (
    VERSION,
    ExactFlow,
    FirstFrameTracker,
    Measurement,
    Moments,
    Played,
    Sample,
    TrackedFrames,
)
from poke2vid.evaluate.bench.players import REFERENCES, BenchPlayer, Copy, ShiftPatch
from poke2vid.evaluate.bench.remembered import RememberedScene
from poke2vid.evaluate.bench.report import BenchReport, summarise
from poke2vid.evaluate.tracking import best_tracker, describe, lpips_if_found
from poke2vid.features import Lpips
from poke2vid.files import write_json
from poke2vid.flow.estimator import FlowEstimator
from poke2vid.pokebench.scene import TrueScene
from poke2vid.types import InputError


@dataclass(frozen=True)
class _Row:
    """A line of the report.

    Attributes:
        digest: equal where the results are.
        play: its futures of a scene.
    """

    name: str
    digest: str
    play: Callable[[TrueScene, FirstFrameTracker], Played]


@dataclass(frozen=True)
class _Judge:
    """What measures, the same for every row."""

    bench: str
    moments: Moments
    tracker: FlowEstimator
    lpips: Lpips | None

    def key(self, row: _Row, scene: TrueScene) -> dict[str, Any]:
        """Whatever a result depends on."""
        return {
            "version": VERSION, "bench": self.bench, "scene": scene.name, "player": row.digest,
            "tracker": describe(self.tracker), "lpips": self.lpips is not None, **asdict(self.moments),
        }  # fmt: skip


def run_bench(
    scenes: Sequence[TrueScene], players: Mapping[str, BenchPlayer], *, out: Path, bench: str, arrive: int, fps: float,
    weights_dir: Path | None = None, tracker: FlowEstimator | None = None, seed: int = 0, quiet: bool = False,
) -> BenchReport:  # fmt: skip
    """Scores players and the reference rows `players.REFERENCES` on every scene.

    What was measured of one player on one scene is kept at once, in OUT/scenes/<player>/<scene>.json; a run that was stopped
    goes on from there. A result is used again where player, scene, bench, tracker, weights and formulas are the same.

    Args:
        players: by the name they have in the report.
        bench: the benchmark's name and identity: equal only if its scenes are.
        arrive: T, the frame at which shifts arrive, at least 2 and at most the number of frames.
        fps: frames a second of the scenes; for the report.
        weights_dir: where to look for the weights of tracker and LPIPS first, see `weights.find`.
        tracker: None takes the best that has weights; it sees the first frame and one other, nothing else.
        seed: of the intervals.

    Raises:
        InputError: if there is no scene, two have the same name, a player is called like a reference, `arrive` does not
            fit, or a player's frames are not what was asked for: names player and scene.
    """
    moments = _moments(scenes, arrive)
    judge = _Judge(bench, moments, tracker or best_tracker(weights_dir), lpips_if_found(weights_dir))
    rows = _rows(players, moments)
    results: dict[str, dict[str, list[Sample]]] = {row.name: {} for row in rows}
    with tqdm(total=len(scenes) * len(rows), unit="result", disable=True if quiet else None) as bar:
        for scene in scenes:
            known = {row.name: _read(_file(out, row, scene), judge.key(row, scene)) for row in rows}
            bar.update(sum(samples is not None for samples in known.values()))
            results_here = {name: samples for name, samples in known.items() if samples is not None}
            # What a scene keeps of what it read goes with its copy, and does not pile up over hundreds of them.
            fresh = RememberedScene(copy.copy(scene))
            still = FirstFrameTracker(fresh.first, judge.tracker) if len(results_here) < len(rows) else None
            for row in rows:
                if row.name not in results_here:
                    assert still is not None
                    results_here[row.name] = _measured(row, fresh, still, judge, _file(out, row, scene))
                    bar.update()
                results[row.name][scene.name] = results_here[row.name]
    about = {
        "bench": bench, "scenes": len(scenes), "pokes": sum(len(scene.pokes) for scene in scenes),
        "resolution": max(scenes[0].first.shape[:2]), "frames": moments.last, "arrive": arrive, "fps": fps,
        "tracker": describe(judge.tracker), "lpips": "squeeze" if judge.lpips else "no weights found", "seed": seed,
    }  # fmt: skip
    return summarise(results, {scene.name: scene.family for scene in scenes}, about, seed)


def _moments(scenes: Sequence[TrueScene], arrive: int) -> Moments:
    if not scenes:
        raise InputError("the benchmark holds no scene; build it with `poke2vid bench build`.")
    names = [scene.name for scene in scenes]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"two scenes are called {twice!r}; every scene needs a name of its own.")
    last = len(copy.copy(scenes[0]).frames(0))
    if not 2 <= arrive <= last:
        raise InputError(f"shifts cannot arrive at frame {arrive} of {last}; choose 2 ... {last}.")
    return Moments(arrive // 2, arrive, last)


def _rows(players: Mapping[str, BenchPlayer], moments: Moments) -> list[_Row]:
    taken = sorted(set(players) & set(REFERENCES))
    if taken:
        raise InputError(f"a player cannot be called {taken[0]!r}, which is a reference row; give it another name.")
    asked: dict[str, BenchPlayer] = {**players, "shift-patch": ShiftPatch(moments.arrive), "copy": Copy()}
    rows = [_Row(name, player.digest, partial(_by_player, name, player, moments)) for name, player in asked.items()]
    oracle = _Row("oracle", "oracle 1", lambda scene, tracker: TrackedFrames(scene.frames, tracker))
    return [*rows, oracle, _Row("exact", "exact 1", lambda scene, tracker: ExactFlow(scene))]


def _by_player(
    name: str, player: BenchPlayer, moments: Moments, scene: TrueScene, tracker: FirstFrameTracker
) -> Played:  # fmt: skip
    return TrackedFrames(lambda poke: play(name, player, scene, poke, moments.last), tracker, player.roles)


def play(
    name: str, player: BenchPlayer, scene: TrueScene, poke: int, frames: int
) -> UInt8[np.ndarray, "{frames} h w 3"]:  # fmt: skip
    """The frames 1 ... `frames` that a player makes of one poke of a scene.

    Raises:
        InputError: if they are not what was asked for, or the player raises one; names player and scene.
    """
    where = f"player {name!r} on scene {scene.name!r}"
    first = scene.first
    try:
        made: Any = player.play(first, scene.pokes[poke], frames)
    except InputError as error:
        raise InputError(f"{where}, poke {poke}: {str(error).rstrip('.')}.") from error
    shape = getattr(made, "shape", None)
    if not isinstance(made, np.ndarray) or shape != (frames, *first.shape):
        found = type(made).__name__ if shape is None else f"shape {tuple(shape)}"
        raise InputError(f"{where}, poke {poke}: gave {found} instead of frames of shape {(frames, *first.shape)}.")
    if np.issubdtype(made.dtype, np.floating) and not np.isfinite(made).all():
        raise InputError(f"{where}, poke {poke}: gave frames with numbers that are not finite.")
    if made.dtype != np.uint8:
        raise InputError(f"{where}, poke {poke}: gave frames of {made.dtype} instead of uint8.")
    return made


def _measured(row: _Row, scene: TrueScene, still: FirstFrameTracker, judge: _Judge, file: Path) -> list[Sample]:
    samples = Measurement(scene, row.play(scene, still), judge.moments, judge.lpips).samples()
    write_json(file, {"key": judge.key(row, scene), "samples": [asdict(sample) for sample in samples]})
    return samples


def _read(file: Path, key: Mapping[str, Any]) -> list[Sample] | None:
    """What an earlier run measured; None if it did not, or measured something else."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        if found["key"] != key:
            return None
        return [Sample(**{**values, "pokes": tuple(values["pokes"])}) for values in found["samples"]]
    except (OSError, ValueError, KeyError, TypeError):  # whatever is wrong with it, measuring again mends it
        return None


def _file(out: Path, row: _Row, scene: TrueScene) -> Path:
    return out / "scenes" / _plain(row.name) / f"{_plain(scene.name)}.json"


def _plain(name: str) -> str:
    """A name that any file system takes: paths of models are names of players."""
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", name).lstrip(".")
    if plain == name:
        return plain
    return f"{plain[-80:]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
