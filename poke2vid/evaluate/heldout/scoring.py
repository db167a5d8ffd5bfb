"""Scores a row on the clips of a store: batched, resumable, in memory that does not grow with the number of frames.

The networks (model, LPIPS, extractors) run on batches in this thread. Tracking, half of the work, runs in other threads
meanwhile, since OpenCV holds no lock.
"""

import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32, UInt8
from torch import Tensor
from tqdm import tqdm

from poke2vid import pokes as poking
from poke2vid.evaluate.heldout.clips import EvaluationClips
from poke2vid.evaluate.heldout.judges import Judges
from poke2vid.evaluate.heldout.rows import Batched, Fewest, Measured, Row, load, path_of, save
from poke2vid.measures import motion
from poke2vid.measures.table import of_frames
from poke2vid.media.pictures import to_uint8
from poke2vid.tracking.trackers import ChainTracker, Tracker
from poke2vid.tracking.tracks import track_chain
from poke2vid.train.data import Batch, Sample, stack
from poke2vid.types import InputError

SAVE_EVERY = 20.0  # seconds
Flows = dict[int, np.ndarray]


@dataclass(frozen=True)
class Plan:
    """Amount of clips to measure, batch size and threads.

    Attributes:
        clips: number of clips for scores.
        distribution_clips: number of first clips used for distances (paper: 1000).
        batch: clips at a time.
        threads: tracking threads; None takes one per core, or one if the tracker is a network.
        fewest: least clips and videos of a distance.
    """

    clips: int
    distribution_clips: int = 1000
    batch: int = 16
    threads: int | None = None
    fewest: Fewest = field(default_factory=Fewest)

    def threads_for(self, judges: Judges) -> int:
        """Number of tracking threads; a container may have fewer cores than the machine."""
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        return self.threads or (cores if judges.parallel else 1)


def score_row(
    row: Row, clips: EvaluationClips, judges: Judges, plan: Plan, folder: Path, truth: Measured | None = None,
    quiet: bool = False,
) -> Measured:  # fmt: skip
    """Scores a row; saves progress in `folder` and reuses an earlier result from there.

    Args:
        truth: scores of the true frames on the same clips, which hold the true half-way place of the poked point; None
            leaves out the column `halfway_epe`.

    Raises:
        InputError: if a prediction holds numbers that are not finite; names row and clip.
    """
    total, scorer = min(plan.clips, len(clips)), _Scorer(row, clips, judges, plan, truth)
    amount = {"clips": total, "distribution_clips": min(plan.distribution_clips, total)}
    key: dict[str, Any] = {"row": row.digest, "clips": clips.key, "judges": judges.key, "plan": amount}
    if truth is None and row.predict is not None:
        key["halfway"] = False
    return _resumed(row.name, key, folder, total, plan, judges, scorer.score, quiet)


def features_of(
    clips: EvaluationClips, judges: Judges, plan: Plan, folder: Path, quiet: bool = False
) -> Measured:  # fmt: skip
    """Moments of random real clips, the other side of every distance (App. F). Kept and resumed as rows are.

    They are as many as rows have, but others, see `EvaluationClips.others`: as few clips as possible are on both sides, see
    `shared_clips`.
    """
    total = min(plan.distribution_clips, plan.clips, len(clips))
    others = clips.others(total)
    which = "as many of every film" if clips.settings.evenly else "the last clips"
    key = {"row": which, "clips": clips.key, "judges": judges.key, "plan": {"distribution_clips": total}}

    def measure(numbers: range, pool: ThreadPoolExecutor) -> Batched:
        samples = [clips[others[k]] for k in numbers]
        frames = torch.stack([sample.frames for sample in samples])
        paths = [pool.submit(_path, clip) for clip in to_uint8(frames)] if judges.tracks else []
        features = judges.features(frames[:, 0], frames[:, 1:])
        features |= judges.features_of_motion([path.result() for path in paths])
        return Batched([clips.video_of(others[k]) for k in numbers], features=features)

    return _resumed("real", key, folder, total, plan, judges, measure, quiet)


def shared_clips(clips: EvaluationClips, count: int, real: int) -> int:
    """Number of real clips that are also truths of generated ones, if a split is too small for two separate sets."""
    return len(set(range(count)) & set(clips.others(real)))


def _resumed(
    name: str, key: Mapping[str, Any], folder: Path, total: int, plan: Plan, judges: Judges,
    measure: Callable[[range, ThreadPoolExecutor], Batched], quiet: bool,
) -> Measured:  # fmt: skip
    """Measures `total` clips by whole batches, going on where an earlier run with the same key ended.

    What was measured is saved now and then, at the end, and when an error ends the run.
    """
    path = path_of(folder, name, key)
    measured, complete = load(path, key)
    if complete:
        return measured
    saved, pool = time.monotonic(), ThreadPoolExecutor(plan.threads_for(judges))
    bar = tqdm(total=total, initial=len(measured), unit="clip", desc=name, disable=True if quiet else None)
    try:
        while (done := len(measured)) < total:
            numbers = range(done, min(done + plan.batch, total))
            measured = measured.plus(measure(numbers, pool))
            bar.update(len(numbers))
            if time.monotonic() - saved > SAVE_EVERY:
                save(path, measured, key, complete=False)
                saved = time.monotonic()
    finally:
        pool.shutdown(cancel_futures=True)  # waiting work is dropped
        bar.close()
        save(path, measured, key, complete=len(measured) >= total)
    return measured


def _path(frames: UInt8[np.ndarray, "t h w 3"]) -> Float32[np.ndarray, "t1 2 h w"]:
    """Flow from x_0 to every later frame; the chain costs nothing to build."""
    return np.stack(list(track_chain()(list(frames))))


@torch.inference_mode()
def predicted(row: Row, batch: Batch, numbers: Sequence[int]) -> Float[Tensor, "b t 3 h w"]:
    """Predicted frames of a row for a batch, on the CPU.

    Raises:
        InputError: if one is not finite; names row and clip.
    """
    assert row.predict is not None
    x_hat = row.predict(batch).cpu()
    finite = x_hat.flatten(1).isfinite().all(dim=1)
    if not finite.all():
        first = numbers[int((~finite).nonzero()[0])]
        raise InputError(
            f"{row.name} predicts frames that are not finite numbers on clip {first}; use an earlier checkpoint."
        )
    return x_hat.clamp(-1, 1)


class _Trackers(threading.local):
    """Trackers of the current thread, since threads cannot share one."""

    def __init__(self, make: Callable[[], Tracker]) -> None:
        self.tracker, self.chain = make(), ChainTracker(track_chain())


class _Scorer:
    """Scores batches of one row."""

    def __init__(self, row: Row, clips: EvaluationClips, judges: Judges, plan: Plan, truth: Measured | None) -> None:
        self._row, self._clips, self._judges, self._plan, self._truth = row, clips, judges, plan, truth
        self._horizon = clips.settings.horizon
        self._half = max(1, self._horizon // 2)
        self._own = _Trackers(judges.make_tracker)

    def score(self, numbers: range, pool: ThreadPoolExecutor) -> Batched:
        """All scores and features of some clips."""
        # Predict, and begin to track
        samples = [self._clips[k] for k in numbers]
        batch = stack(samples)
        x_0, x = batch.frames[:, :1], batch.frames[:, 1:]
        x_hat = x if self._row.predict is None else predicted(self._row, batch, numbers)
        few = max(0, min(len(samples), self._plan.distribution_clips - numbers.start))  # clips that have features
        tracked, shown = few if self._judges.tracks else 0, to_uint8(torch.cat((x_0, x_hat), dim=1))
        followed = [pool.submit(self._follow, [*frames], k < tracked) for k, frames in enumerate(shown)]
        ignored = self._ignored(numbers, pool)
        # Score frames meanwhile
        values = self._of_frames(x_hat, x) if self._row.predict is not None else {}
        features = self._judges.features(x_0[:few, 0], x_hat[:few]) if few else {}
        # Score motion
        flows, paths = zip(*(future.result() for future in followed), strict=True)
        if few:
            features |= self._judges.features_of_motion([path for path in paths[:few] if path is not None])
        found = [self._of_motion(*clip) for clip in zip(flows, samples, numbers, strict=True)]
        for column in sorted({column for one in found for column in one}):
            values[column] = [one.get(column, float("nan")) for one in found]
        if ignored is not None:
            values["ignored_poke"] = [future.result() for future in ignored]
        return Batched([self._clips.video_of(k) for k in numbers], values, features)

    @torch.inference_mode()
    def _of_frames(self, x_hat: Tensor, x: Tensor) -> dict[str, list[float]]:
        values = {name: value.tolist() for name, value in of_frames("heldout", x_hat, x).items()}
        for lpips in self._judges.lpips:
            distances = lpips(*(y.flatten(0, 1).to(self._judges.device) for y in (x_hat, x))).cpu()
            values[lpips.measure] = distances.unflatten(0, x.shape[:2]).mean(dim=1).tolist()
        return values

    def _ignored(self, numbers: range, pool: ThreadPoolExecutor) -> list[Future[float]] | None:
        """Motion of the whole picture by frame T after background pokes; None for the truth and unresponsive rows."""
        if self._row.predict is None or not self._row.responds:
            return None
        batch = stack([self._clips.beside(k) for k in numbers])
        shown = to_uint8(torch.cat((batch.frames[:, :1], predicted(self._row, batch, numbers)), dim=1))
        return [pool.submit(self._moved, [*frames]) for frames in shown]

    def _moved(self, frames: Sequence[UInt8[np.ndarray, "h w 3"]]) -> float:
        flow = torch.from_numpy(self._own.tracker(frames, (self._horizon,))[self._horizon])
        return motion.mean_motion(flow, torch.ones_like(flow[0], dtype=torch.bool))

    def _follow(
        self, frames: Sequence[UInt8[np.ndarray, "h w 3"]], all_the_way: bool
    ) -> tuple[Flows, np.ndarray | None]:
        """Flow to T/2 and T by the tracker; if asked, also to every frame by the chain, in one pass if they are one."""
        wanted, each = (self._half, self._horizon), range(1, len(frames))
        tracker, chain = self._own.tracker, self._own.chain
        path = chain(frames, each) if all_the_way or tracker.name == chain.name else {}
        flows = {k: path[k] for k in wanted} if tracker.name == chain.name else tracker(frames, wanted)
        return flows, np.stack([path[k] for k in each]) if all_the_way else None

    def _of_motion(self, flows: Flows, sample: Sample, number: int) -> dict[str, float]:
        flow, D = torch.from_numpy(flows[self._horizon]), sample.displacement
        (poke,), foreground = sample.pokes, poking.foreground_mask(sample.displacement)
        rest = motion.untouched(foreground, poke.location)
        found = {
            "background": motion.mean_motion(flow, ~foreground),
            "response_epe": motion.endpoint_error(flow, D, rest),
            "response_length": motion.mean_motion(D, rest),
        }
        if poke.kind == "impulse":  # an impulse has no target
            return found
        found["poke_epe"] = motion.poke_error(flow, poke)
        found["poke_length"] = float(np.hypot(*poke.shift))
        if found["poke_length"] > motion.CORRECT_WITHIN * D.shape[-1]:  # below that, staying would be correct
            found["pck"] = motion.is_correct(found["poke_epe"], D.shape[-1])
        found["half_x"], found["half_y"] = motion.arrival(torch.from_numpy(flows[self._half]), poke)
        if self._truth is not None:  # for the truth itself it would always be 0, no floor
            there = self._truth.values["half_x"][number], self._truth.values["half_y"][number]
            found["halfway_epe"] = float(np.hypot(found["half_x"] - there[0], found["half_y"] - there[1]))
        return found
