"""Evaluation on a store's unseen videos: each clip is poked as its own flow says and compared with its true future.

`compare` scores any rows on the same clips; `evaluate` compares one model with the references.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from poke2vid import __version__
from poke2vid.data.store import Store
from poke2vid.evaluate.heldout.clips import EvaluationClips, split_named
from poke2vid.evaluate.heldout.distances import Distance, Floor, distances, floors, too_few
from poke2vid.evaluate.heldout.judges import Judges, find_judges
from poke2vid.evaluate.heldout.report import HeldoutReport, summarised
from poke2vid.evaluate.heldout.rows import Fewest, Measured, Row, with_followed
from poke2vid.evaluate.heldout.scoring import Plan, features_of, predicted, score_row, shared_clips
from poke2vid.evaluate.heldout.sources import Loaded, reference_rows, row_of, settings_for, side_of
from poke2vid.files import digest_of
from poke2vid.measures.table import REPORTS
from poke2vid.media.pictures import to_uint8
from poke2vid.media.video import write_video
from poke2vid.pretrained.features import LpipsName
from poke2vid.train.data import stack
from poke2vid.train.distributed import device_named


def evaluate(
    loaded: Loaded, store_path: Path, *, num_clips: int = 200, distribution_clips: int = 1000, seed: int = 0,
    split: str = "test", weights_dir: Path | None = None, work: Path | None = None, videos: Path | None = None,
    lpips: tuple[LpipsName, ...] | None = None, device: str = "cpu", allow_download: bool = False,
    poke_margin: float | None = None, evenly: bool = False, confirmed: bool = False, tracker: str = "auto",
    fewest: Fewest | None = None, quiet: bool = False,
) -> HeldoutReport:  # fmt: skip
    """Scores a model or a system of others, beside copy-the-first-frame and the truth.

    Args:
        loaded: see `load_any`.
        num_clips: number of clips from the store's `split`, "test" or "train"; all of them if it has fewer.
        distribution_clips: number of first clips, and of real ones, for Frechet distances (paper: 1000).
        work: folder for measured rows, from which a stopped run resumes; None keeps nothing.
        lpips: networks of LPIPS, whose weights must exist; None takes all whose weights are found.
        allow_download: fetch missing public weights where they can be downloaded.
        poke_margin: least distance of a poke from the rim of what moves, as a share of the side; None as in training.
        evenly, confirmed: as in `ClipSettings`.
        tracker: "auto", one that did not make the store's pokes, or "farneback", for a cross-check.
        fewest: least clips and videos of a distance; None as `Fewest` says.
        videos: folder for an MP4 of every predicted clip beside its truth; None writes none.

    Raises:
        InputError: if store and model do not fit, or a prediction is not finite.
    """
    store, place = Store.open(store_path), device_named(device)
    settings = replace(settings_for(loaded, split_named(split)), evenly=evenly, confirmed=confirmed)
    settings = settings if poke_margin is None else replace(settings, poke_margin=poke_margin)
    clips = EvaluationClips(store, side_of(loaded, store.resolution), settings, seed)
    judges = find_judges(store, weights_dir, lpips, place, allow_download, tracker).for_clips_of(settings.horizon)
    row, plan = (
        row_of("model", loaded, place),
        Plan(num_clips, distribution_clips, fewest=fewest or Fewest()),
    )
    with TemporaryDirectory() as temporary:
        rows = (*reference_rows(), row)
        found = compare(rows, clips, plan, judges, work or Path(temporary), quiet)
    if videos is not None:
        write_clips(row, clips, plan, videos, quiet)
    about = {
        "rows": {row.name: row.digest[:12] for row in rows}, "model": str(loaded.path),
        "model_step": loaded.about.get("step", "unknown"), "code": __version__,
    }  # fmt: skip
    scores = {name: summarised(with_followed(one, found.rows["truth"]), seed) for name, one in found.rows.items()}
    families = {
        **judges.missing,
        **{e.name: found.left_out.get(e.name) or e.family for e in judges.extractors},
    }
    return HeldoutReport(scores, found.distances, families, found.floors, found.about | about)


@dataclass(frozen=True)
class Compared:
    """Measured rows by name, the truth last; their distances, and the floors of these.

    Attributes:
        left_out: column of distances -> the reason that no row has any.
        about: everything but the rows that decides the numbers, so that they can be repeated.
    """

    rows: dict[str, Measured]
    distances: dict[str, dict[str, Distance]]
    floors: dict[str, Floor]
    about: dict[str, Any]
    left_out: dict[str, str]


def compare(
    rows: Iterable[Row], clips: EvaluationClips, plan: Plan, judges: Judges, work: Path, quiet: bool = False
) -> Compared:  # fmt: skip
    """Scores rows on the same clips; the first must be the truth. Each is asked for when the one before is measured."""
    # Rows, the truth first because the others are scored against it, and real clips
    measured = dict[str, Measured]()
    for row in rows:
        truth = next(iter(measured.values()), None)
        measured[row.name] = score_row(row, clips, judges, plan, work, truth, quiet)
    name, truth = next(iter(measured.items()))
    measured[name] = measured.pop(name)
    real = features_of(clips, judges, plan, work, quiet)
    # Settings of the measurement
    settings, count = clips.settings, min(plan.distribution_clips, len(truth))
    columns = {c: int(np.isfinite(values).sum()) for c, values in truth.values.items() if c in REPORTS["heldout"]}
    about = {
        "clips": len(truth), "clips_available": len(clips), "videos": len(set(truth.videos)), "split": settings.split,
        "clips_of_columns": columns, "seed": clips.seed, "resolution": clips.resolution, "horizon": settings.horizon,
        "poke_stds": settings.poke_stds, "poke_margin": settings.poke_margin, "min_motion": settings.min_motion,
        "poke_kind": settings.poke_kind, "evenly": settings.evenly, "confirmed": settings.confirmed,
        "distribution_clips": count, "real_clips": len(real),
        "real_clips_that_are_truths_of_generated_ones": shared_clips(clips, count, len(real)),
        "real_clips_that_share_frames_with_generated_ones": clips.sharing_frames(clips.others(len(real)), count),
        "tracker": judges.tracker, "caution": judges.caution, "responses_against": f"{judges.flow} flow of the store",
        "truth": judges.floor, "lpips": ", ".join(judge.name for judge in judges.lpips) or "no weights found",
        "store": clips.key["store"][:12], "judges": judges.key, "batch": plan.batch,
    }  # fmt: skip
    apart = {name: distances(row, real, plan.fewest) for name, row in measured.items()}
    left_out = too_few(next(reversed(measured.values())), real, plan.fewest)
    floor = {column: one for column, one in floors(real, count, clips.seed).items() if column not in left_out}
    return Compared(measured, apart, floor, about, left_out)


def write_clips(row: Row, clips: EvaluationClips, plan: Plan, folder: Path, quiet: bool = False) -> None:
    """Writes the plan's clips as FOLDER/<row>-<digest>/<number>.mp4: truth left, prediction right, both from x_0 on.

    The digest is of the row and the clips; existing files are left as they are.
    """
    place = folder / f"{row.name}-{digest_of({}, {'row': row.digest, 'clips': clips.key})[:8]}"
    files = {k: place / f"{k:05d}.mp4" for k in range(min(plan.clips, len(clips)))}
    left = [k for k, file in files.items() if not file.exists()]
    for first in tqdm(range(0, len(left), plan.batch), unit="batch", desc="videos", disable=True if quiet else None):
        numbers = left[first : first + plan.batch]
        samples = [clips[k] for k in numbers]
        for k, sample, x_hat in zip(numbers, samples, predicted(row, stack(samples), numbers), strict=True):
            pair = torch.cat((sample.frames, torch.cat((sample.frames[:1], x_hat))), dim=-1)
            write_video(files[k], list(to_uint8(pair)), clips.fps)
