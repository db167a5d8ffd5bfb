"""Scores a row on the clips of a store: batched, resumable, in memory that does not grow with the number of frames.

The networks (model, LPIPS, extractors) run on batches in this thread. Tracking, half of the work, runs in other threads
meanwhile, since OpenCV holds no lock.
"""

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32, UInt8
from torch import Tensor
from tqdm import tqdm

from poke2vid import pokes as poking
from poke2vid.evaluate.clips import EvaluationClips
from poke2vid.evaluate.rows import Batched, Measured, Row, load, path_of, save
from poke2vid.measures import counterfactual
from poke2vid.measures import frames as similarity
from poke2vid.measures import motion as scores
from poke2vid.measures.extractors import VideoFeatures
from poke2vid.media.pictures import to_uint8
from poke2vid.pretrained.features import Lpips
from poke2vid.pretrained.i3d import I3DFeatures
from poke2vid.tracking.trackers import ChainTracker, Tracker
from poke2vid.tracking.tracks import TrackFeatures, track_chain, track_features
from poke2vid.train.data import Batch, Sample, stack
from poke2vid.types import InputError

VERSION = 1  # of the formulas; results of another version are measured again
SAVE_EVERY = 20.0  # seconds
Flows = dict[int, np.ndarray]


@dataclass(frozen=True)
class Judges:
    """Tracker, LPIPS and feature extractors that judge frames.

    Attributes:
        make_tracker: builds a tracker; called once in every thread, since threads cannot share one.
        tracker: name of the tracker.
        caution: problem of that tracker for this store; empty if none.
        flow: source of the store's own flow, which responses are measured against.
        lpips: None if its weights are not found.
        extractors: one per column of distances.
        missing: unavailable column -> the reason.
        device: of LPIPS and of the extractors' torch networks; the tracker stays on the CPU.
        parallel: whether several trackers at once are faster; a network tracker uses torch's threads.
    """

    make_tracker: Callable[[], Tracker]
    tracker: str
    caution: str
    flow: str
    lpips: Lpips | None
    extractors: tuple[VideoFeatures, ...]
    missing: Mapping[str, str]
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    parallel: bool = True

    def for_clips_of(self, frames: int) -> "Judges":
        """The same judges without the extractors that need longer clips."""
        short = {
            e.name: f"no clips of {e.shortest} frames: these have {frames}"
            for e in self.extractors
            if e.shortest > frames
        }
        kept = tuple(e for e in self.extractors if e.name not in short)
        return replace(self, extractors=kept, missing={**self.missing, **short})

    @property
    def floor(self) -> str:
        """Sentence on the meaning of the true frames' errors."""
        if self.flow == "exact":
            return "its errors are the tracker's own: what is below them cannot be told apart"
        return (
            f"its errors are the disagreement of the tracker and the store's {self.flow} flow, which named the targets; a "
            "model may come out below them"
        )

    @property
    def key(self) -> dict[str, Any]:
        """Key of the judges: equal if their judgements are."""
        return {
            "version": VERSION, "tracker": self.tracker, "lpips": "" if self.lpips is None else self.lpips.name,
            "extractors": {extractor.name: extractor.digest for extractor in self.extractors},
        }  # fmt: skip


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
    total = min(plan.clips, len(clips))
    key: dict[str, Any] = {
        "row": row.digest,
        "clips": clips.key,
        "judges": judges.key,
        "plan": plan.key_for(len(clips)),
    }
    if truth is None and row.predict is not None:
        key["halfway"] = False
    path = path_of(folder, row.name, key)
    measured, complete = load(path, key)
    if complete:
        return measured
    scorer = _Scorer(row, clips, judges, plan, truth)
    threads = plan.threads or (_cores() if judges.parallel else 1)
    with (
        tqdm(total=total, initial=len(measured), unit="clip", desc=row.name, disable=True if quiet else None) as bar,
        _Kept(path, key, measured) as kept,
        _pool(threads) as pool,
    ):
        while (done := len(kept.measured)) < total:
            numbers = range(done, min(done + plan.batch, total))
            kept.add(scorer.score(numbers, pool))
            bar.update(len(numbers))
    return kept.measured


class _Kept:
    """Measurements of a row, added by whole batches; saved now and then, at the end, and when an error ends the run.

    Attributes:
        measured: all that was added so far.
    """

    def __init__(self, path: Path, key: Mapping[str, Any], measured: Measured) -> None:
        self._path, self._key, self.measured, self._saved = path, key, measured, time.monotonic()

    def __enter__(self) -> "_Kept":
        return self

    def add(self, batch: Batched) -> None:
        self.measured = self.measured.plus(batch)
        if time.monotonic() - self._saved > SAVE_EVERY:
            self._save(complete=False)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._save(complete=kind is None)

    def _save(self, complete: bool) -> None:
        save(self._path, self.measured, self._key, complete)
        self._saved = time.monotonic()


@contextlib.contextmanager
def _pool(threads: int) -> Iterator[ThreadPoolExecutor]:
    """Thread pool that drops its waiting work on an error."""
    pool = ThreadPoolExecutor(threads)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def features_of(
    clips: EvaluationClips, judges: Judges, plan: Plan, folder: Path, quiet: bool = False
) -> Measured:  # fmt: skip
    """Moments of random real clips, the other side of every distance (App. F). Kept and resumed as rows are.

    They are the last clips of the random order, while rows use the first, so that as few clips as possible are on both
    sides, see `shared_clips`. There are as many as rows have.
    """
    total = min(plan.distribution_clips, plan.clips, len(clips))
    key = {"row": "the last clips", "clips": clips.key, "judges": judges.key, "plan": {"distribution_clips": total}}
    path = path_of(folder, "real", key)
    measured, complete = load(path, key)
    if complete:
        return measured
    with (
        tqdm(total=total, initial=len(measured), unit="clip", desc="real", disable=True if quiet else None) as bar,
        _Kept(path, key, measured) as kept,
        _pool(plan.threads or _cores()) as pool,
    ):
        while (done := len(kept.measured)) < total:
            samples = [clips[len(clips) - 1 - k] for k in range(done, min(done + plan.batch, total))]
            frames = torch.stack([sample.frames for sample in samples])
            tracked = any(isinstance(extractor, TrackFeatures) for extractor in judges.extractors)
            tracks = [pool.submit(_tracks, clip) for clip in to_uint8(frames)] if tracked else []
            features = {
                e.name: _features(e, frames[:, 0], frames[:, 1:], judges.device)
                for e in judges.extractors
                if not isinstance(e, TrackFeatures)
            }
            for e in judges.extractors:
                if isinstance(e, TrackFeatures):
                    features[e.name] = track_features(torch.from_numpy(np.stack([track.result() for track in tracks])))
            kept.add(Batched([sample.video for sample in samples], features=features))
            bar.update(len(samples))
    return kept.measured


def shared_clips(clips: EvaluationClips, count: int, real: int) -> int:
    """Number of real clips that are also truths of generated ones, if a split is too small for two separate sets."""
    return max(0, min(count, len(clips)) + min(real, len(clips)) - len(clips))


def _tracks(frames: UInt8[np.ndarray, "t h w 3"]) -> Float32[np.ndarray, "t1 2 h w"]:
    """Flow from x_0 to every later frame; the chain costs nothing to build."""
    return np.stack(list(track_chain()(list(frames))))


def _cores() -> int:
    """Number of cores that this process may use; a container may have fewer than the machine."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


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


def _features(extractor: VideoFeatures, x_0: Tensor, frames: Tensor, device: torch.device) -> Tensor:
    """Features of clips; the I3D network of torch runs on `device`, other extractors on the CPU."""
    if isinstance(extractor, I3DFeatures):
        x_0, frames = x_0.to(device), frames.to(device)
    return extractor(x_0, frames)


class _Scorer:
    """Scores batches of one row."""

    def __init__(self, row: Row, clips: EvaluationClips, judges: Judges, plan: Plan, truth: Measured | None) -> None:
        self._row, self._clips, self._judges, self._plan, self._truth = row, clips, judges, plan, truth
        self._horizon = clips.settings.horizon
        self._own = threading.local()

    def score(self, numbers: range, pool: ThreadPoolExecutor) -> Batched:
        """All scores and features of some clips."""
        samples = [self._clips[k] for k in numbers]
        batch, videos = stack(samples), [sample.video for sample in samples]
        x = batch.frames[:, 1:]
        x_hat = x if self._row.predict is None else predicted(self._row, batch, numbers)
        shown = to_uint8(batch.frames[:, :1]), to_uint8(x_hat)
        few = max(0, min(len(samples), self._plan.distribution_clips - numbers.start))
        tracked = few if any(isinstance(e, TrackFeatures) for e in self._judges.extractors) else 0
        followed = [
            pool.submit(self._follow, [*x_0, *frames], k < tracked)
            for k, (x_0, frames) in enumerate(zip(*shown, strict=True))
        ]
        ignored = self._ignored(numbers, pool)
        values = self._of_frames(x_hat, x) if self._row.predict is not None else {}
        features = {
            extractor.name: _features(extractor, batch.frames[:few, 0], x_hat[:few], self._judges.device)
            for extractor in self._judges.extractors
            if few and not isinstance(extractor, TrackFeatures)
        }
        results = [future.result() for future in followed]
        for extractor in self._judges.extractors:
            if few and isinstance(extractor, TrackFeatures):  # its flows are tracked by now
                features[extractor.name] = track_features(
                    torch.from_numpy(np.stack([path for _, path in results[:few] if path is not None]))
                )
        motion = [
            self._of_motion(flows, sample, number)
            for (flows, _), sample, number in zip(results, samples, numbers, strict=True)
        ]
        for column in sorted({column for found in motion for column in found}):
            values[column] = [found.get(column, float("nan")) for found in motion]
        if ignored is not None:
            values["ignored_poke"] = [future.result() for future in ignored]
        return Batched(videos, values, features)

    @torch.inference_mode()
    def _of_frames(self, x_hat: Tensor, x: Tensor) -> dict[str, list[float]]:
        values = {
            "psnr": similarity.psnr(x_hat, x).tolist(),
            "ssim": similarity.ssim(x_hat, x).tolist(),
            "sharpness": similarity.sharpness(x_hat, x).tolist(),
        }
        if self._judges.lpips is not None:
            distances = self._judges.lpips(*(y.flatten(0, 1).to(self._judges.device) for y in (x_hat, x))).cpu()
            values["lpips"] = distances.unflatten(0, x.shape[:2]).mean(dim=1).tolist()
        return values

    def _ignored(self, numbers: range, pool: ThreadPoolExecutor) -> list[Future[float]] | None:
        """Motion of the whole picture by frame T after background pokes; None for the truth and unresponsive rows."""
        if self._row.predict is None or not self._row.responds:
            return None
        batch = stack([self._clips.beside(k) for k in numbers])
        x_hat = predicted(self._row, batch, numbers)
        shown = to_uint8(batch.frames[:, 0]), to_uint8(x_hat)
        return [pool.submit(self._moved, [x_0, *frames]) for x_0, frames in zip(*shown, strict=True)]

    def _moved(self, frames: Sequence[UInt8[np.ndarray, "h w 3"]]) -> float:
        flow = torch.from_numpy(self._tracker(frames, (self._horizon,))[self._horizon])
        return scores.mean_motion(flow, torch.ones_like(flow[0], dtype=torch.bool))

    def _follow(
        self, frames: Sequence[UInt8[np.ndarray, "h w 3"]], all_the_way: bool
    ) -> tuple[Flows, np.ndarray | None]:
        """Flow to T/2 and T by the tracker; if asked, also to every frame by the chain, in one pass if they are one."""
        wanted = (max(1, self._horizon // 2), self._horizon)
        if self._tracker.name == self._chain.name:
            path = self._chain(frames, range(1, len(frames)))
            flows = {k: path[k] for k in wanted}
        else:
            flows = self._tracker(frames, wanted)
            path = self._chain(frames, range(1, len(frames))) if all_the_way else {}
        return flows, np.stack([path[k] for k in range(1, len(frames))]) if all_the_way else None

    def _of_motion(self, flows: Flows, sample: Sample, number: int) -> dict[str, float]:
        half, T = max(1, self._horizon // 2), self._horizon
        flow, D = torch.from_numpy(flows[T]), sample.displacement
        (poke,), foreground = sample.pokes, poking.foreground_mask(sample.displacement)
        rest = counterfactual.untouched(foreground, poke.location)
        found = {
            "background": scores.mean_motion(flow, ~foreground),
            "response_epe": counterfactual.endpoint_error(flow, D, rest),
            "response_length": counterfactual.motion(D, rest),
        }
        if poke.kind == "impulse":  # an impulse has no target
            return found
        found["poke_epe"] = scores.poke_error(flow, poke)
        found["poke_length"] = float(np.hypot(*poke.shift))
        if found["poke_length"] > counterfactual.CORRECT_WITHIN * D.shape[-1]:  # below that, staying would be correct
            found["pck"] = counterfactual.is_correct(found["poke_epe"], D.shape[-1])
        found["half_x"], found["half_y"] = scores.arrival(torch.from_numpy(flows[half]), poke)
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
