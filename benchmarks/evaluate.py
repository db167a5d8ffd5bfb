"""Time to score clips of a store, against the same networks and trackers called bare; and memory by number of clips."""

import os
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from material import write_videos
from timing import RESULTS, Machine, as_json, interleaved, ratio, run_measured, table, write_results

from poke2vid.data.prepare.run import PrepareSettings, prepare
from poke2vid.data.store import Store
from poke2vid.evaluate.heldout.clips import ClipSettings, EvaluationClips
from poke2vid.evaluate.heldout.judges import Judges, find_judges
from poke2vid.evaluate.heldout.scoring import Plan, score_row
from poke2vid.evaluate.heldout.sources import model_row
from poke2vid.media.pictures import to_float, to_uint8
from poke2vid.model.files import load_model, suitable_threads
from poke2vid.model.poke_video import PokeVideo
from poke2vid.pretrained.features import Lpips
from poke2vid.pretrained.i3d import I3D, I3DFeatures
from poke2vid.tracking.trackers import ChainTracker
from poke2vid.tracking.tracks import TrackFeatures, track_chain, track_features
from poke2vid.train.data import Batch, stack
from poke2vid.train.presets import preset

TARGET = 0.85  # share of the wall time that goes into networks and trackers
T, BATCH = 10, 16


def main(
    out: Annotated[Path, typer.Option("--out", help="Folder for evaluate.json and evaluate.md.")] = RESULTS,
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="Interleaved repetitions.")] = 3,
    clips: Annotated[int, typer.Option("--clips", min=2, help="Of a round.")] = 48,
    many: Annotated[
        int, typer.Option("--many", min=8, help="Clips of the largest run whose memory is looked at.")
    ] = 1000,
    quick: Annotated[bool, typer.Option("--quick", help="Smallest sizes, one round: does it run?")] = False,
) -> None:
    """Score small64 and paper64 on made-up videos at 64 pixels."""
    if quick:
        rounds, clips, many = 1, 2, 8
    with tempfile.TemporaryDirectory() as place, Machine() as machine:
        store = _store(Path(place), 2 if quick else 20, 26 if quick else 130)
        models = {"small64": load_model(None).model}
        if not quick:
            torch.manual_seed(0)
            models["paper64"] = PokeVideo(preset("paper64").model).eval()
        found = {name: measure(model, store, clips, rounds, quick) for name, model in models.items()}
        counts = (many,) if quick else (many // 8, many // 2, many)
        whole = {count: _whole(Path(place), count) for count in counts}
    values = {
        "clips": clips,
        "models": found,
        "whole": {str(n): {"seconds": s, "memory_mb": mb} for n, (s, mb) in whole.items()},
    }
    write_results(out, "evaluate", machine, values, _page(found, whole))


def _store(place: Path, videos: int, frames: int) -> Store:
    write_videos(place / "videos", videos, frames, 64)
    settings = PrepareSettings(resolution=64, lags=(T,), test_fraction=0.5, workers=0)
    prepare(place / "videos", place / "store", settings, quiet=True)
    return Store.open(place / "store")


def measure(model: PokeVideo, store: Store, clips: int, rounds: int, quick: bool) -> dict[str, Any]:
    """Times with LPIPS and the tracks' features, and (unless `quick`) with I3D's as well; weights are random."""
    torch.manual_seed(0)
    lpips, i3d = Lpips(), I3DFeatures(I3D().eval())
    chosen, drawn = find_judges(store, None), EvaluationClips(store, 64, ClipSettings(horizon=T), 0)
    row, results = model_row("model", model), {}
    cases = (("LPIPS, tracks", (TrackFeatures(),)), ("LPIPS, tracks, I3D", (TrackFeatures(), i3d)))
    for name, extractors in cases[: 1 if quick else None]:
        judges = replace(
            chosen, make_tracker=lambda: ChainTracker(track_chain()), tracker=track_chain().name, parallel=True, lpips=(lpips,),
            extractors=extractors,
        )  # fmt: skip
        count = clips if len(extractors) == 1 else max(2, clips // 8)

        def score(judges: Judges = judges, count: int = count) -> None:
            with tempfile.TemporaryDirectory() as work:
                score_row(row, drawn, judges, Plan(count, batch=BATCH), Path(work), quiet=True)

        bare = Bare(model, drawn, judges, count)
        timings = interleaved(
            {"evaluate": score, "bare": bare.all, "networks": bare.networks, "trackers": bare.trackers}, rounds=rounds
        )
        results[name] = {
            "ms_a_clip": {part: 1e3 * timing.median / count for part, timing in timings.items()},
            "evaluate_over_bare": vars(ratio(timings["evaluate"], timings["bare"])),
            "timings": as_json(timings),
        }
    return results


class Bare:
    """The same networks and trackers on clips read before the clock starts; nothing is scored, kept or written."""

    def __init__(self, model: PokeVideo, clips: EvaluationClips, judges: Judges, count: int) -> None:
        assert judges.lpips
        self._model, self._lpips, self._own = model, judges.lpips[0], threading.local()
        self._extractors = [e for e in judges.extractors if not isinstance(e, TrackFeatures)]
        starts = range(0, count, BATCH)
        self._batches = [
            tuple(
                stack([draw(k) for k in range(first, min(first + BATCH, count))])
                for draw in (clips.__getitem__, clips.beside)
            )
            for first in starts
        ]
        self._shown = [[self._frames(asked) for asked in pair] for pair in self._batches]

    def all(self) -> None:
        """Runs both, trackers in threads beside the networks, as `evaluate` does."""
        with ThreadPoolExecutor() as pool:
            for pair in self._batches:
                shown = [self._frames(asked) for asked in pair]
                paths = [[pool.submit(self._follow, list(frames)) for frames in part] for part in shown]
                self._judge(pair[0], shown[0])
                track_features(torch.from_numpy(np.stack([path.result() for path in paths[0]])))
                for path in paths[1]:
                    path.result()

    def networks(self) -> None:
        """Runs the networks alone: rollouts, LPIPS, feature networks."""
        for pair, shown in zip(self._batches, self._shown, strict=True):
            for asked in pair:
                self._frames(asked)
            self._judge(pair[0], shown[0])

    def trackers(self) -> None:
        """Runs the trackers alone, on frames that were predicted before."""
        with ThreadPoolExecutor() as pool:
            for shown in self._shown:
                for path in [pool.submit(self._follow, list(frames)) for part in shown for frames in part]:
                    path.result()

    @torch.inference_mode()
    def _frames(self, asked: Batch) -> np.ndarray:
        with suitable_threads(self._model):
            x_hat = self._model.rollout(asked.frames[:, 0], asked.poke_maps, asked.schedule).frames.clamp(-1, 1)
        return to_uint8(torch.cat((asked.frames[:, :1], x_hat), dim=1))

    @torch.inference_mode()
    def _judge(self, batch: Batch, shown: np.ndarray) -> None:
        x_hat = to_float(shown[:, 1:].reshape(-1, *shown.shape[2:])).unflatten(0, (len(shown), -1))
        self._lpips(x_hat.flatten(0, 1), batch.frames[:, 1:].flatten(0, 1))
        for extractor in self._extractors:
            extractor(batch.frames[:, 0], x_hat)

    def _follow(self, frames: list[np.ndarray]) -> np.ndarray:
        if not hasattr(self._own, "chain"):
            self._own.chain = track_chain()
        return np.stack(list(self._own.chain(frames)))


def _whole(place: Path, clips: int) -> tuple[float, float]:
    """Seconds and peak MB of `poke2vid evaluate` from start to report, with copy, truth and real clips."""
    command = [
        sys.executable, "-m", "poke2vid.cli", "evaluate", str(_base(place)), "--data", str(place / "store"), "--out",
        str(place / f"out-{clips}"), "--clips", str(clips),
    ]  # fmt: skip
    hidden = {"POKE2VID_WEIGHTS": str(place), "TORCH_HOME": str(place)}  # no weights, so that all machines do the same
    began, before = time.perf_counter(), {name: os.environ.get(name) for name in hidden}
    os.environ.update(hidden)
    peak = run_measured(command)[1]
    for name, value in before.items():
        os.environ.pop(name) if value is None else os.environ.update({name: value})
    return time.perf_counter() - began, peak


def _base(place: Path) -> Path:
    """The model in the package, saved with training clips that any store can give: ten frames, with flow to the last."""
    from poke2vid.model.files import save_model
    from poke2vid.train.config import to_json

    path = place / "base.safetensors"
    if not path.exists():
        save_model(path, load_model(None).model, {"train": to_json(preset("paper64"))})
    return path


def _page(found: dict[str, Any], whole: dict[int, tuple[float, float]]) -> str:
    rows = []
    for model, results in found.items():
        for judges, result in results.items():
            ms = result["ms_a_clip"]
            parts = [f"{ms[part]:.0f}" for part in ("evaluate", "bare", "networks", "trackers")]
            rows.append((f"{model}, {judges}", *parts, f"{100 / result['evaluate_over_bare']['median']:.0f} %"))
    head = (
        "a row of a table, ms a clip",
        "evaluate",
        "the same calls, bare",
        "networks alone",
        "trackers alone",
        "bare / evaluate",
    )
    text = (
        "Clips of ten frames at 64 pixels: two rollouts (one for the ignored poke), LPIPS, points followed through both by DIS "
        "in threads, features; against the same calls on clips that are already in memory, and nothing else. Weights of LPIPS "
        "and I3D are random, which costs the same. The target is that less than "
        f"{100 - 100 * TARGET:.0f} % of the time goes elsewhere than into networks and trackers."
    )
    ends = table(
        ("clips", "`poke2vid evaluate` from start to report, s", "peak memory, MB"),
        [(n, f"{seconds:.0f}", f"{mb:.0f}") for n, (seconds, mb) in whole.items()],
    )
    after = (
        "The second table is small64 without any public weights (no LPIPS, tracks alone), with the rows copy and truth and as "
        "many real clips."
    )
    return f"# evaluate\n\n{text}\n\n{table(head, rows)}\n\n{after}\n\n{ends}"


if __name__ == "__main__":
    typer.run(main)
