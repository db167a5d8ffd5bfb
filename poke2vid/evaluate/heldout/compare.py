"""Rows compared: scored on the same clips, with distances to random real ones."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from poke2vid.evaluate.heldout.clips import EvaluationClips
from poke2vid.evaluate.heldout.distances import Distance, Floor, distances, floors
from poke2vid.evaluate.heldout.judges import Judges
from poke2vid.evaluate.heldout.rows import Measured, Row
from poke2vid.evaluate.heldout.scoring import Plan, features_of, score_row, shared_clips
from poke2vid.measures.table import REPORTS


@dataclass(frozen=True)
class Compared:
    """Measured rows by name, the truth last; their distances, and the floors of these.

    Attributes:
        about: everything but the rows that decides the numbers, so that they can be repeated.
    """

    rows: dict[str, Measured]
    distances: dict[str, dict[str, Distance]]
    floors: dict[str, Floor]
    about: dict[str, Any]


def compare(
    rows: Iterable[Row], clips: EvaluationClips, plan: Plan, judges: Judges, work: Path, quiet: bool = False
) -> Compared:  # fmt: skip
    """Scores rows on the same clips; the first must be the truth. Each is asked for when the one before is measured."""
    measured = dict[str, Measured]()
    for row in rows:
        truth = next(iter(measured.values()), None)
        measured[row.name] = score_row(row, clips, judges, plan, work, truth, quiet)
    name, truth = next(iter(measured.items()))
    measured[name] = measured.pop(name)
    real = features_of(clips, judges, plan, work, quiet)
    count = min(plan.distribution_clips, len(truth))
    return Compared(
        measured, {name: distances(row, real) for name, row in measured.items()}, floors(real, count, clips.seed),
        _about(clips, judges, truth, plan, len(real)),
    )  # fmt: skip


def _about(clips: EvaluationClips, judges: Judges, truth: Measured, plan: Plan, real: int) -> dict[str, Any]:
    settings, count = clips.settings, min(plan.distribution_clips, len(truth))
    counts = {
        column: int(np.isfinite(values).sum())
        for column, values in truth.values.items()
        if column in REPORTS["heldout"]
    }
    return {
        "clips": len(truth), "clips_available": len(clips), "videos": len(set(truth.videos)), "split": settings.split,
        "clips_of_columns": counts, "seed": clips.seed, "resolution": clips.resolution, "horizon": settings.horizon,
        "poke_stds": settings.poke_stds, "poke_margin": settings.poke_margin, "min_motion": settings.min_motion,
        "poke_kind": settings.poke_kind,
        "distribution_clips": count, "real_clips": real,
        "real_clips_that_are_truths_of_generated_ones": shared_clips(clips, count, real),
        "tracker": judges.tracker, "caution": judges.caution, "responses_against": f"{judges.flow} flow of the store",
        "truth": judges.floor, "lpips": ", ".join(judge.name for judge in judges.lpips) or "no weights found",
        "store": clips.key["store"][:12], "judges": judges.key, "batch": plan.batch,
    }  # fmt: skip
