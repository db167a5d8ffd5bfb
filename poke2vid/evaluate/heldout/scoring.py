"""Scores a row on the clips of a store: batched, resumable, in memory that does not grow with the number of frames.

The networks (model, LPIPS, extractors) run on batches in this thread. Tracking, half of the work, runs in other threads
meanwhile, since OpenCV holds no lock.
"""

import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
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
from poke2vid.evaluate.heldout.rows import Batched, Measured, Row, load, path_of, save
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
    """

    clips: int
    distribution_clips: int = 1000
    batch: int = 16
    threads: int | None = None

    def key_for(self, available: int) -> dict[str, Any]:
        """Key of the amount measured, given the number of available clips."""
        clips = min(self.clips, available)
        return {"clips": clips, "distribution_clips": min(self.distribution_clips, clips)}

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
    key: dict[str, Any] = {
        "row": row.digest,
        "clips": clips.key,
        "judges": judges.key,
        "plan": plan.key_for(len(clips)),
    }
    if truth is None and row.predict is not None:
        key["halfway"] = False
    scorer = _Scorer(row, clips, judges, plan, truth)
    return _resumed(row.name, key, folder, min(plan.clips, len(clips)), plan, judges, scorer.score, quiet)


def features_of(
    clips: EvaluationClips, judges: Judges, plan: Plan, folder: Path, quiet: bool = False
) -> Measured:  # fmt: skip
    """Moments of random real clips, the other side of every distance (App. F). Kept and resumed as rows are.

    They are the last clips of the random order, while rows use the first, so that as few clips as possible are on both
    sides, see `shared_clips`. There are as many as rows have.
    """
    total = min(plan.distribution_clips, plan.clips, len(clips))
    key = {"row": "the last clips", "clips": clips.key, "judges": judges.key, "plan": {"distribution_clips": total}}

    def measure(numbers: range, pool: ThreadPoolExecutor) -> Batched:
        samples = [clips[len(clips) - 1 - k] for k in numbers]
        frames = torch.stack([sample.frames for sample in samples])
        paths = [pool.submit(_path, clip) for clip in to_uint8(frames)] if judges.tracks else []
        features = judges.features(frames[:, 0], frames[:, 1:])
        features |= judges.features_of_motion([path.result() for path in paths])
        return Batched([sample.video for sample in samples], features=features)

    return _resumed("real", key, folder, total, plan, judges, measure, quiet)


def shared_clips(clips: EvaluationClips, count: int, real: int) -> int:
    """Number of real clips that are also truths of generated ones, if a split is too small for two separate sets."""
    return max(0, min(count, len(clips)) + min(real, len(clips)) - len(clips))


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


class _Scorer:
    """Scores batches of one row."""

    def __init__(self, row: Row, clips: EvaluationClips, judges: Judges, plan: Plan, truth: Measured | None) -> None:
        self._row, self._clips, self._judges, self._plan, self._truth = row, clips, judges, plan, truth
        self._horizon = clips.settings.horizon
        self._half = max(1, self._horizon // 2)
        self._own = threading.local()

    def score(self, numbers: range, pool: ThreadPoolExecutor) -> Batched:
        """All scores and features of some clips."""
        # Predict, and begin to track
        samples = [self._clips[k] for k in numbers]
        batch, videos = stack(samples), [sample.video for sample in samples]
        x = batch.frames[:, 1:]
        x_hat = x if self._row.predict is None else predicted(self._row, batch, numbers)
        few = max(0, min(len(samples), self._plan.distribution_clips - numbers.start))  # clips that have features
        tracked = few if self._judges.tracks else 0
        shown = to_uint8(batch.frames[:, :1]), to_uint8(x_hat)
        followed = [
            pool.submit(self._follow, [*x_0, *frames], k < tracked)
            for k, (x_0, frames) in enumerate(zip(*shown, strict=True))
        ]
        ignored = self._ignored(numbers, pool)
        # Score frames meanwhile
        values = self._of_frames(x_hat, x) if self._row.predict is not None else {}
        features = self._judges.features(batch.frames[:few, 0], x_hat[:few]) if few else {}
        # Score motion
        results = [future.result() for future in followed]
        if few:
            paths = [path for _, path in results[:few] if path is not None]
            features |= self._judges.features_of_motion(paths)
        found = [
            self._of_motion(flows, sample, number)
            for (flows, _), sample, number in zip(results, samples, numbers, strict=True)
        ]
        for column in sorted({column for one in found for column in one}):
            values[column] = [one.get(column, float("nan")) for one in found]
        if ignored is not None:
            values["ignored_poke"] = [future.result() for future in ignored]
        return Batched(videos, values, features)

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
        shown = to_uint8(batch.frames[:, 0]), to_uint8(predicted(self._row, batch, numbers))
        return [pool.submit(self._moved, [x_0, *frames]) for x_0, frames in zip(*shown, strict=True)]

    def _moved(self, frames: Sequence[UInt8[np.ndarray, "h w 3"]]) -> float:
        flow = torch.from_numpy(self._tracker(frames, (self._horizon,))[self._horizon])
        return motion.mean_motion(flow, torch.ones_like(flow[0], dtype=torch.bool))

    def _follow(
        self, frames: Sequence[UInt8[np.ndarray, "h w 3"]], all_the_way: bool
    ) -> tuple[Flows, np.ndarray | None]:
        """Flow to T/2 and T by the tracker; if asked, also to every frame by the chain, in one pass if they are one."""
        wanted, each = (self._half, self._horizon), range(1, len(frames))
        if self._tracker.name == self._chain.name:
            path = self._chain(frames, each)
            flows = {k: path[k] for k in wanted}
        else:
            flows = self._tracker(frames, wanted)
            path = self._chain(frames, each) if all_the_way else {}
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

    @property
    def _tracker(self) -> Tracker:
        """Tracker of the current thread."""
        if not hasattr(self._own, "tracker"):
            self._own.tracker = self._judges.make_tracker()
        return self._own.tracker

    @property
    def _chain(self) -> Tracker:
        if not hasattr(self._own, "chain"):
            self._own.chain = ChainTracker(track_chain())
        return self._own.chain
