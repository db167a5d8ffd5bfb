"""Scoring clips of a store, against the same networks and trackers called bare; and memory against the number of clips."""

import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from material import write_videos
from timing import RESULTS, Machine, as_json, interleaved, ratio, run_measured, table, write_results

from poke2vid.evaluate.clips import ClipSettings, EvaluationClips
from poke2vid.evaluate.distribution.i3d import I3D, I3DFeatures
from poke2vid.evaluate.distribution.tracks import TrackFeatures, track_chain, track_features
from poke2vid.evaluate.heldout import find_judges, model_row
from poke2vid.evaluate.scoring import Judges, Plan, score_row
from poke2vid.features import Lpips
from poke2vid.model.files import load_model, use_suitable_threads
from poke2vid.model.poke_video import PokeVideo
from poke2vid.pictures import to_uint8
from poke2vid.prepare import PrepareSettings, prepare
from poke2vid.store import Store
from poke2vid.train.data import stack
from poke2vid.train.presets import preset

TARGET = 0.85  # DESIGN.md section 10: the networks' share of the wall time
T, BATCH = 10, 16


def main(
    out: Annotated[Path, typer.Option("--out", help="Folder for evaluate.json and evaluate.md.")] = RESULTS,
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="Interleaved repetitions.")] = 3,
    clips: Annotated[int, typer.Option("--clips", min=2, help="Of a round.")] = 96,
    many: Annotated[
        int, typer.Option("--many", min=8, help="Clips of the largest run whose memory is looked at.")
    ] = 1000,
    quick: Annotated[bool, typer.Option("--quick", help="Smallest sizes, one round: does it run?")] = False,
) -> None:
    """Score small64 and paper64 on made-up videos at 64 pixels."""
    if quick:
        rounds, clips, many = 1, 4, 12
    with tempfile.TemporaryDirectory() as place, Machine() as machine:
        store = _store(Path(place), 2 if quick else 20, 26 if quick else 130)
        models = {"small64": load_model(None).model}
        if not quick:
            torch.manual_seed(0)
            models["paper64"] = PokeVideo(preset("paper64").model).eval()
        found = {name: measure(model, store, clips, rounds) for name, model in models.items()}
        counts = (many // 8, many // 2, many)
        memory = {count: _memory(Path(place), count) for count in counts}
    values = {"clips": clips, "models": found, "memory_mb": {str(n): mb for n, mb in memory.items()}}
    write_results(out, "evaluate", machine, values, _page(found, memory))


def _store(place: Path, videos: int, frames: int) -> Store:
    write_videos(place / "videos", videos, frames, 64)
    settings = PrepareSettings(resolution=64, lags=(T,), test_fraction=0.5, workers=0)
    prepare(place / "videos", place / "store", settings, quiet=True)
    return Store.open(place / "store")


def measure(model: PokeVideo, store: Store, clips: int, rounds: int) -> dict[str, Any]:
    """Both ways on the same clips: with LPIPS and the tracks' features, and with I3D's beside them; weights are random."""
    use_suitable_threads(model)
    torch.manual_seed(0)
    lpips, i3d = Lpips(), I3DFeatures(I3D().eval())
    chosen = find_judges(store, None)
    settings = ClipSettings(horizon=T)
    drawn = EvaluationClips(store, 64, settings, 0)
    row, results = model_row("model", model), {}
    for name, extractors in (("LPIPS, tracks", (TrackFeatures(),)), ("LPIPS, tracks, I3D", (TrackFeatures(), i3d))):
        judges = Judges(chosen.make_tracker, chosen.tracker, "", "dis", lpips, extractors, {})
        count = clips if len(extractors) == 1 else max(2, clips // 8)

        def score(judges: Judges = judges, count: int = count) -> None:
            with tempfile.TemporaryDirectory() as work:
                score_row(row, drawn, judges, Plan(count, batch=BATCH), Path(work), quiet=True)

        timings = interleaved({"evaluate": score, "bare": _bare(model, drawn, judges, count)}, rounds=rounds)
        results[name] = {
            "ms_a_clip": 1e3 * timings["evaluate"].median / count,
            "evaluate_over_bare": vars(ratio(timings["evaluate"], timings["bare"])),
            "bare_share": 1 / ratio(timings["evaluate"], timings["bare"]).median,
            "timings": as_json(timings),
        }
    return results


def _bare(model: PokeVideo, clips: EvaluationClips, judges: Judges, count: int) -> Callable[[], None]:
    """The same networks and trackers on the same clips, read before the clock starts; nothing is scored, kept or written."""
    assert judges.lpips is not None
    lpips = judges.lpips
    batches = [
        (stack([clips[k] for k in numbers]), stack([clips.beside(k) for k in numbers]))
        for numbers in (range(k, min(k + BATCH, count)) for k in range(0, count, BATCH))
    ]

    @torch.inference_mode()
    def run() -> None:
        with ThreadPoolExecutor() as pool:
            for batch, beside in batches:
                paths = []
                for asked in (batch, beside):
                    x_hat = model.rollout(asked.frames[:, 0], asked.poke_maps, asked.schedule).frames.clamp(-1, 1)
                    shown = to_uint8(torch.cat((asked.frames[:, :1], x_hat), dim=1))
                    paths.append([pool.submit(_follow, list(frames)) for frames in shown])
                    if asked is batch:
                        predicted = x_hat
                lpips(predicted.flatten(0, 1), batch.frames[:, 1:].flatten(0, 1))
                for extractor in judges.extractors:
                    if not isinstance(extractor, TrackFeatures):
                        extractor(batch.frames[:, 0], predicted)
                flows = [[future.result() for future in path] for path in paths]
                track_features(torch.from_numpy(np.stack(flows[0])))

    return run


def _follow(frames: list[np.ndarray]) -> np.ndarray:
    return np.stack(list(track_chain()(frames)))


def _memory(place: Path, clips: int) -> float:
    """MB that `poke2vid evaluate` holds at most."""
    command = [
        sys.executable, "-m", "poke2vid.cli", "evaluate", str(_base(place)), "--data", str(place / "store"), "--out",
        str(place / f"out-{clips}"), "--clips", str(clips),
    ]  # fmt: skip
    return run_measured(command)[1]


def _base(place: Path) -> Path:
    """The model in the package, as one whose training clips any store can give: of ten frames, with flow to the last."""
    from poke2vid.model.files import save_model
    from poke2vid.train.config import to_json

    path = place / "base.safetensors"
    if not path.exists():
        save_model(path, load_model(None).model, {"train": to_json(preset("paper64"))})
    return path


def _page(found: dict[str, Any], memory: dict[int, float]) -> str:
    rows = [
        (f"{model}, {judges}", f"{r['ms_a_clip']:.0f}", f"{r['ms_a_clip']:.0f}", f"{100 * r['bare_share']:.0f} %")
        for model, results in found.items()
        for judges, r in results.items()
    ]
    head = ("a row of a table", "ms a clip", "s for 1000 clips", "networks' and trackers' share")
    text = (
        "Clips of ten frames at 64 pixels: two rollouts (one for the ignored poke), LPIPS, points followed through both, "
        "features; against the same calls on clips that are already in memory, and nothing else. Weights of LPIPS and I3D are "
        f"random, which costs the same. The target is a share above {100 * TARGET:.0f} %."
    )
    peaks = table(("clips", "peak memory of `poke2vid evaluate`, MB"), [(n, f"{mb:.0f}") for n, mb in memory.items()])
    return f"# evaluate\n\n{text}\n\n{table(head, rows)}\n\n{peaks}"


if __name__ == "__main__":
    typer.run(main)
