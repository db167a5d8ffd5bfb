"""A model on a store's unseen videos: every clip is poked as its own flow says, and judged against its own future."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, get_args

import torch
from torch import Tensor

from poke2vid.evaluate.clips import ClipSettings, EvaluationClips
from poke2vid.evaluate.distances import distances
from poke2vid.evaluate.distribution.extractors import find_extractors
from poke2vid.evaluate.report import Report, summarised
from poke2vid.evaluate.rows import Measured, Row
from poke2vid.evaluate.scoring import Judges, Plan, features_of, score_row, shared_clips
from poke2vid.evaluate.tracking import Tracker, lpips_if_found, tracker_for
from poke2vid.features import LpipsName, build_lpips
from poke2vid.files import digest_of
from poke2vid.model.files import LoadedModel
from poke2vid.model.poke_video import PokeVideo
from poke2vid.pictures import to_uint8
from poke2vid.store import Store
from poke2vid.train.config import DataConfig, from_json
from poke2vid.train.data import Batch, Sample, stack
from poke2vid.types import InputError, Split
from poke2vid.video import write_video


def evaluate(
    loaded: LoadedModel, store_path: Path, *, num_clips: int = 200, distribution_clips: int = 1000, seed: int = 0,
    split: str = "test", weights_dir: Path | None = None, work: Path | None = None, videos: Path | None = None,
    batch: int = 16, lpips: LpipsName | None = None, quiet: bool = False,
) -> Report:  # fmt: skip
    """Scores a model beside copy-the-first-frame and the truth.

    Args:
        num_clips: drawn from a store's split, "test" or "train"; all of it where it has fewer.
        distribution_clips: the first so many of them, and so many real ones, for Frechet distances (paper: 1000).
        work: where measured rows are kept, so that a run that was stopped goes on; None keeps nothing.
        lpips: the network of LPIPS, whose weights must be there; None is SqueezeNet where its weights are, else no column.
        videos: a folder for every predicted clip beside its truth as MP4; None writes no frame to the disk.

    Raises:
        InputError: if store and model do not fit, or a prediction is not finite.
    """
    store = Store.open(store_path)
    trained = trained_data(loaded)
    settings = ClipSettings.of_training(
        trained, loaded.model.poke_kind, loaded.about.get("full_motion"), split_named(split)
    )
    rows = (*reference_rows(), model_row("model", loaded.model))
    about = {"model": str(loaded.path)}
    with TemporaryDirectory() as temporary:
        return compare(
            rows, store, loaded.model.resolution, settings, Plan(num_clips, distribution_clips, batch),
            find_judges(store, weights_dir, lpips), work or Path(temporary), seed=seed, about=about, videos=videos, quiet=quiet,
        )  # fmt: skip


def compare(
    rows: tuple[Row, ...], store: Store, resolution: int, settings: ClipSettings, plan: Plan, judges: Judges, work: Path, *,
    seed: int = 0, about: dict[str, Any] | None = None, videos: Path | None = None, quiet: bool = False,
) -> Report:  # fmt: skip
    """Rows on the same clips of a store; the first of them is the truth."""
    clips = EvaluationClips(store, resolution, settings, seed)
    truth = score_row(rows[0], clips, judges, plan, work, quiet=quiet)
    measured: dict[str, Measured] = {}
    for row in rows[1:]:
        write = None if videos is None else partial(_write_clip, clips, videos / row.name)
        measured[row.name] = score_row(row, clips, judges, plan, work, truth, quiet, write)
    measured[rows[0].name] = truth
    count = min(plan.distribution_clips, len(truth))
    real = features_of(clips, judges, count, work, plan.batch, quiet)
    shown = dict(sorted(measured.items(), key=lambda item: item[0] == rows[0].name))
    named = {extractor.name: extractor.family for extractor in judges.extractors}
    return Report(
        {name: summarised(row, seed) for name, row in shown.items()},
        {name: distances(row, real, seed) for name, row in shown.items()},
        {**judges.missing, **named},
        {
            "clips": len(truth), "clips_available": len(clips), "videos": len(set(truth.videos)), "split": settings.split,
            "seed": seed, "resolution": resolution, "horizon": settings.horizon, "poke_stds": settings.poke_stds,
            "min_motion": settings.min_motion, "poke_kind": settings.poke_kind,
            "distribution_clips": count, "real_clips": len(real),
            "real_clips_that_are_truths_of_generated_ones": shared_clips(clips, count, len(real)),
            "tracker": judges.tracker, "caution": judges.caution, "responses_against": f"{judges.flow} flow of the store",
            "lpips": "no weights found" if judges.lpips is None else judges.lpips.name,
            "store": store.digest[:12], **(about or {}),
        },
    )  # fmt: skip


def find_judges(store: Store, weights_dir: Path | None, lpips: LpipsName | None = None) -> Judges:
    """A tracker that did not make the store's pokes, LPIPS and feature extractors, as far as they can be had here.

    Raises:
        InputError: if the weights of an LPIPS that was asked for are missing.
    """
    flow = store.manifest.settings.flow
    tracker, caution = tracker_for(flow, weights_dir)
    extractors, missing = find_extractors(weights_dir)
    make: Callable[[], Tracker] = partial(_tracker, flow, weights_dir)
    judge = lpips_if_found(weights_dir) if lpips is None else build_lpips(weights_dir, name=lpips)
    return Judges(make, tracker.name, caution, flow, judge, tuple(extractors), missing)


def _tracker(flow: str, weights_dir: Path | None) -> Tracker:
    return tracker_for(flow, weights_dir)[0]


def reference_rows() -> tuple[Row, Row]:
    """The truth, and the still picture."""
    return Row("truth", "truth 1", None), Row("copy", "copy 1", copy_first, responds=False)


def copy_first(batch: Batch) -> Tensor:
    """x_0 at all times."""
    return batch.frames[:, :1].expand_as(batch.frames[:, 1:])


def model_row(name: str, model: PokeVideo) -> Row:
    """A model's own row."""
    return Row(name, digest_of(model.state_dict(), {"config": repr(model.config)}), partial(_rollout, model))


def _rollout(model: PokeVideo, batch: Batch) -> Tensor:
    return model.rollout(batch.frames[:, 0], batch.poke_maps, batch.schedule).frames


@torch.inference_mode()
def predict(model: PokeVideo, sample: Sample) -> Tensor:
    """x_hat_1 ... x_hat_T of one sample."""
    return _rollout(model, stack([sample]))[0].clamp(-1, 1)


def _write_clip(clips: EvaluationClips, folder: Path, number: int, x_hat: Tensor) -> None:
    """The truth on the left, the prediction on the right, x_0 first in both."""
    x = clips[number].frames
    pair = torch.cat((x, torch.cat((x[:1], x_hat))), dim=-1)
    write_video(folder / f"{number:05d}.mp4", list(to_uint8(pair)), clips.fps)


def split_named(split: str) -> Split:
    if split not in get_args(Split):
        raise InputError(f"there is no split {split!r}; choose one of {', '.join(get_args(Split))}.")
    return "test" if split == "test" else "train"


def trained_data(loaded: LoadedModel) -> DataConfig:
    """How the model's own training clips were drawn, if its file says so; the paper's way otherwise."""
    train = loaded.about.get("train")
    return from_json(train).data if train is not None else DataConfig()
