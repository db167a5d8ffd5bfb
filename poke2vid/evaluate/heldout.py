"""A model on a store's unseen videos: every clip is poked as its own flow says, and judged against its own future."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from poke2vid import pokes as poking
from poke2vid.evaluate import scores
from poke2vid.evaluate.statistics import Interval, cluster_mean
from poke2vid.evaluate.tracking import best_tracker, lpips_if_found
from poke2vid.files import atomic, write_json
from poke2vid.flow.estimator import FlowEstimator
from poke2vid.model.files import LoadedModel
from poke2vid.model.poke_video import PokeVideo
from poke2vid.pictures import to_uint8
from poke2vid.store import Store
from poke2vid.train.config import DataConfig, from_json
from poke2vid.train.data import ClipBatches, Sample, stack
from poke2vid.types import InputError, Split

COLUMNS = {  # column -> what it says
    "psnr": "PSNR, dB: mean over frames, then clips; data range of a frame",
    "lpips": "LPIPS v0.1 (squeeze): mean over frames, then clips",
    "sharpness": "gradient energy over the truth's; 1 is as sharp",
    "poke_epe": "px between where the poked point is at frame T and its target",
    "halfway_epe": "px between where the poked point is half way, at frame T/2, and where the truth has it then, both tracked",
    "poke_length": "px, the mean length of the pokes: the error of staying where one is",
    "background": "px that pixels outside the foreground move by frame T",
    "ignored_poke": "px that the picture moves by frame T when its background is poked",
}


@dataclass(frozen=True)
class Report:
    """Scores of a model and of its reference rows, each value with its interval.

    Attributes:
        rows: row -> column -> interval. "copy" repeats x_0; "truth" is the true clip through the same tracker: the floor.
        about: what was measured how: clips, videos, seed, resolution, horizon, tracker.
    """

    rows: dict[str, dict[str, Interval]]
    about: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        rows = {name: {column: asdict(value) for column, value in row.items()} for name, row in self.rows.items()}
        return {"about": self.about, "columns": COLUMNS, "rows": rows}

    def to_markdown(self) -> str:
        columns = [c for c in COLUMNS if any(c in row for row in self.rows.values())]
        lines = ["| | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
        for name, row in self.rows.items():
            lines.append(f"| {name} | " + " | ".join(str(row[c]) if c in row else "" for c in columns) + " |")
        legend = [f"- `{c}`: {COLUMNS[c]}" for c in columns]
        measured = ", ".join(f"{k} {v}" for k, v in self.about.items())
        return "\n".join(
            [*lines, "", f"Measured on: {measured}. Brackets: 95 % intervals over videos.", "", *legend, ""]
        )


def evaluate(
    loaded: LoadedModel, store_path: Path, *, num_clips: int = 200, seed: int = 0, split: str = "test",
    weights_dir: Path | None = None, quiet: bool = False,
) -> Report:  # fmt: skip
    """Scores a model on `num_clips` clips drawn from a store's split, "test" or "train"."""
    if split not in get_args(Split):
        raise InputError(f"there is no split {split!r}; choose one of {', '.join(get_args(Split))}.")
    part: Split = "test" if split == "test" else "train"
    store = Store.open(store_path)
    tracker, lpips = best_tracker(weights_dir), lpips_if_found(weights_dir)
    trained = _trained_data(loaded)
    horizon = trained.horizon
    data = replace(
        trained,
        waypoints=(),  # the scores need D at T only, which any store for this model holds
        max_length=horizon,
        long_share=0.0,
        background_share=0.0,
        untouched_share=0.0,
        max_pokes=1,
        augment=None,
    )
    config = loaded.model.config
    unit = loaded.about.get("full_motion")
    clips = ClipBatches(store, data, config, batch=1, seed=seed, split=part, full_motion=unit)
    beside = ClipBatches(
        store, replace(data, background_share=1.0), config, batch=1, seed=seed, split=part, full_motion=unit
    )
    found: dict[str, list[dict[str, float]]] = {"model": [], "copy": [], "truth": []}
    videos = []
    for step in tqdm(range(num_clips), unit="clip", disable=True if quiet else None):
        sample, ignored = clips.sample(step, 0, horizon), beside.sample(step, 0, horizon)
        videos.append(sample.video)
        x_0, x = sample.frames[:1], sample.frames[1:]
        predicted = {"model": predict(loaded.model, sample), "copy": x_0.expand_as(x), "truth": x}
        for row, x_hat in predicted.items():
            found[row].append(_score(x_hat, x, x_0, sample, tracker, lpips))
        found["model"][-1]["ignored_poke"] = _moved(predict(loaded.model, ignored)[-1], ignored.frames[0], tracker)
    rows = {
        row: {c: cluster_mean([s[c] for s in values], videos, seed) for c in COLUMNS if c in values[0]}
        for row, values in found.items()
    }
    about = {
        "clips": num_clips, "videos": len(set(videos)), "split": split, "seed": seed, "resolution": store.resolution,
        "horizon": horizon, "poke_stds": data.poke_stds, "min_motion": data.min_motion,
        "tracker": tracker.name, "store": store.digest[:12], "model": str(loaded.path),
    }  # fmt: skip
    return Report(rows, about)


@torch.inference_mode()
def predict(model: PokeVideo, sample: Sample) -> Tensor:
    """x_hat_1 ... x_hat_T of one sample."""
    batch = stack([sample])
    return model.rollout(batch.frames[:, 0], batch.poke_maps, batch.schedule).frames[0].clamp(-1, 1)


def _score(
    x_hat: Tensor, x: Tensor, x_0: Tensor, sample: Sample, tracker: FlowEstimator, lpips: Any
) -> dict[str, float]:
    flow = _tracked(x_0[0], x_hat[-1], tracker)
    (poke,) = sample.pokes
    found = {
        "psnr": scores.psnr(x_hat, x),
        "sharpness": scores.sharpness(x_hat, x),
        "background": scores.mean_motion(flow, ~poking.foreground_mask(sample.displacement)),
    }
    if poke.kind == "shift":  # an impulse names no target
        found["poke_epe"] = scores.poke_error(flow, poke)
        found["poke_length"] = float(np.hypot(*poke.shift))
        if x_hat is not x:  # of the truth itself it would say 0, which is no floor
            half = len(x) // 2 - 1
            there, truth = (scores.arrival(_tracked(x_0[0], y[half], tracker), poke) for y in (x_hat, x))
            found["halfway_epe"] = float(np.hypot(there[0] - truth[0], there[1] - truth[1]))
    if lpips is not None:
        with torch.inference_mode():
            found["lpips"] = float(lpips(x_hat, x).mean())
    return found


def _moved(x_hat: Tensor, x_0: Tensor, tracker: FlowEstimator) -> float:
    flow = _tracked(x_0, x_hat, tracker)
    return scores.mean_motion(flow, torch.ones_like(flow[0], dtype=torch.bool))


def _tracked(x_0: Tensor, x_hat: Tensor, tracker: FlowEstimator) -> Tensor:
    """The tracker's flow from one frame `3 h w` to the other."""
    return torch.from_numpy(tracker(to_uint8(x_0), to_uint8(x_hat)))


def _trained_data(loaded: LoadedModel) -> DataConfig:
    """How the model's own training clips were drawn, if its file says so; the paper's way otherwise."""
    train = loaded.about.get("train")
    return from_json(train).data if train is not None else DataConfig()


def write_report(report: Report, folder: Path) -> None:
    """report.md for people, report.json for programs."""
    write_json(folder / "report.json", report.to_json())
    with atomic(folder / "report.md") as temporary:
        temporary.write_text(report.to_markdown(), encoding="utf-8")
