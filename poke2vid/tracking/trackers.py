"""Judges of predictions that were not used in training: trackers that see only frames, and LPIPS."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, UInt8

from poke2vid.flow.chain import FlowChain
from poke2vid.flow.classical import DisFlow, FarnebackFlow
from poke2vid.flow.estimator import FlowEstimator, build_estimator
from poke2vid.flow.raft import RaftFlow
from poke2vid.pretrained.features import Lpips, LpipsName, build_lpips
from poke2vid.tracking.tracks import track_chain
from poke2vid.types import InputError

CHAINS = ("dis", "farneback")  # trackers that need no weights
TRACKED_SIDE = 256  # pixels that small frames are enlarged to: RAFT's error at 64 pixels falls from 0.44 to 0.31


@runtime_checkable
class Tracker(Protocol):
    """Flow from x_0 to later frames of a clip, from the frames alone.

    Attributes:
        name: equal if the results are.
        parallel: whether several trackers at once are faster.
    """

    name: str
    parallel: bool

    def __call__(
        self, frames: Sequence[UInt8[np.ndarray, "h w 3"]], wanted: Sequence[int]
    ) -> dict[int, Float32[np.ndarray, "2 h w"]]:
        """Flow (dx, dy) in pixels from `frames[0]` to `frames[k]` for every k wanted."""


class ChainTracker:
    """Tracker that goes from frame to frame, each step corrected against the first frame."""

    parallel = True

    def __init__(self, chain: FlowChain) -> None:
        self._chain, self.name = chain, chain.name

    def __call__(
        self, frames: Sequence[UInt8[np.ndarray, "h w 3"]], wanted: Sequence[int]
    ) -> dict[int, Float32[np.ndarray, "2 h w"]]:
        """Flow to the wanted frames; tracks through all frames in any case."""
        return {k: flow for k, flow in enumerate(self._chain(frames), 1) if k in wanted}


class JumpTracker:
    """Tracker that goes from the first frame to each wanted one directly."""

    parallel = False

    def __init__(self, estimator: FlowEstimator) -> None:
        self._estimator = estimator
        self.name = f"{estimator.name} from the first frame, frames of at least {TRACKED_SIDE}"

    def __call__(
        self, frames: Sequence[UInt8[np.ndarray, "h w 3"]], wanted: Sequence[int]
    ) -> dict[int, Float32[np.ndarray, "2 h w"]]:
        """Flow to each wanted frame; zero, without asking the estimator, for a frame equal to the first."""
        still = np.zeros((2, *frames[0].shape[:2]), np.float32)
        return {
            k: still if np.array_equal(frames[0], frames[k]) else self._estimator(frames[0], frames[k]) for k in wanted
        }


def tracker_for(flow: str, weights_dir: Path | None, name: str = "auto") -> tuple[Tracker, str]:
    """Picks a tracker that did not make a store's training pokes; returns it with a caution if there is none.

    Args:
        flow: the store's estimator; "exact" for flow from a simulator.
        name: "auto", or "farneback" for a cross-check by another tracker.
    """
    if name == "farneback":
        return ChainTracker(bench_tracker(name)), ""
    if name != "auto":
        raise InputError(f"there is no tracker {name!r} here; choose auto or farneback.")
    if flow != "dis":
        return ChainTracker(track_chain()), ""
    if (raft := _raft(weights_dir)) is not None:
        return JumpTracker(raft), ""
    return ChainTracker(track_chain()), (
        "the tracker is built on the estimator that made the training pokes, since the weights raft_small were not found; "
        "errors common to both do not show"
    )


def best_tracker(weights_dir: Path | None) -> FlowEstimator:
    """RAFT-small if its weights are found, because the training pokes came from another estimator; else DIS."""
    return _raft(weights_dir) or build_estimator("dis")


def _raft(weights_dir: Path | None) -> RaftFlow | None:
    try:
        return RaftFlow(weights_dir, smallest_side=TRACKED_SIDE)
    except InputError:
        return None


def bench_tracker(name: str = "dis") -> FlowChain:
    """Point tracker of PokeBench, the same on every machine because it needs no weights.

    On true frames at 128 pixels the error of DIS is a quarter of RAFT-small's in one jump from the first frame to T
    (docs/experiments.md, 2026-11-25). A model whose training pokes came from DIS, the default of `prepare`, was at
    least not trained on flow from frame to frame; one trained on exact flow has never met this tracker.

    Args:
        name: "dis", or "farneback" for a cross-check: another method, and more noise (docs/pokebench.md).

    Raises:
        InputError: for an unknown name.
    """
    match name:
        case "dis":
            return FlowChain(DisFlow(fine_up_to=TRACKED_SIDE, fast=True), smallest_side=TRACKED_SIDE)
        case "farneback":
            return FlowChain(FarnebackFlow(), smallest_side=TRACKED_SIDE)
        case _:
            raise InputError(f"there is no tracker {name!r} here; choose one of {', '.join(CHAINS)}.")


def lpips_if_found(weights_dir: Path | None, name: LpipsName = "squeeze") -> Lpips | None:
    """LPIPS, or None if its weights are not found."""
    try:
        return build_lpips(weights_dir, name=name)
    except InputError:
        return None
