"""What judges predictions and was not used to train them: the tracker that sees only frames, and LPIPS."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, UInt8

from poke2vid.flow.chain import FlowChain
from poke2vid.flow.classical import DisFlow
from poke2vid.flow.estimator import FlowEstimator, build_estimator
from poke2vid.flow.raft import RaftFlow
from poke2vid.pretrained.features import Lpips, build_lpips
from poke2vid.tracking.tracks import track_chain
from poke2vid.types import InputError

TRACKED_SIDE = 256  # small frames are enlarged to it: RAFT's error at 64 pixels falls from 0.44 to 0.31


@runtime_checkable
class Tracker(Protocol):
    """Flow from x_0 to later frames of a clip, for whoever sees nothing but the frames.

    Attributes:
        name: equal where the results are.
        parallel: whether several at once are faster.
    """

    name: str
    parallel: bool

    def __call__(
        self, frames: Sequence[UInt8[np.ndarray, "h w 3"]], wanted: Sequence[int]
    ) -> dict[int, Float32[np.ndarray, "2 h w"]]:
        """(dx, dy) in pixels from `frames[0]` to `frames[k]` for every k wanted."""


class ChainTracker:
    """From frame to frame, each step corrected against the first frame."""

    def __init__(self, chain: FlowChain) -> None:
        self._chain, self.name, self.parallel = chain, chain.name, True

    def __call__(
        self, frames: Sequence[UInt8[np.ndarray, "h w 3"]], wanted: Sequence[int]
    ) -> dict[int, Float32[np.ndarray, "2 h w"]]:
        """All of the way, whatever is wanted of it."""
        return {k: flow for k, flow in enumerate(self._chain(frames), 1) if k in wanted}


class JumpTracker:
    """From the first frame to each wanted one at once."""

    def __init__(self, estimator: FlowEstimator, settings: str) -> None:
        self._estimator, self.name, self.parallel = (
            estimator,
            f"{estimator.name} from the first frame, {settings}",
            False,
        )

    def __call__(
        self, frames: Sequence[UInt8[np.ndarray, "h w 3"]], wanted: Sequence[int]
    ) -> dict[int, Float32[np.ndarray, "2 h w"]]:
        """Where nothing changed, nothing moved, whatever the estimator would say."""
        still = np.zeros((2, *frames[0].shape[:2]), np.float32)
        return {
            k: still if np.array_equal(frames[0], frames[k]) else self._estimator(frames[0], frames[k]) for k in wanted
        }


def tracker_for(flow: str, weights_dir: Path | None) -> tuple[Tracker, str]:
    """A tracker that did not make a store's training pokes, and a caution where there is none.

    Args:
        flow: the store's estimator; "exact" where a simulator said what moved.
    """
    if flow != "dis":
        return ChainTracker(track_chain()), ""
    try:
        raft = RaftFlow(weights_dir, smallest_side=TRACKED_SIDE)
        return JumpTracker(raft, f"frames of at least {TRACKED_SIDE}"), ""
    except InputError:
        return ChainTracker(track_chain()), (
            "the tracker is built on the estimator that made the training pokes, since the weights raft_small were not found; "
            "errors common to both do not show"
        )


def best_tracker(weights_dir: Path | None) -> FlowEstimator:
    """RAFT-small where its weights are, because the training pokes came from another estimator; else DIS, by name."""
    try:
        return RaftFlow(weights_dir, smallest_side=TRACKED_SIDE)
    except InputError:
        return build_estimator("dis")


def bench_tracker() -> FlowChain:
    """What follows points in PokeBench, on every machine alike, because it needs no weights.

    On true frames at 128 pixels it errs by a quarter of what RAFT-small does from the first frame to T in one jump
    (docs/experiments.md, 2026-11-25). A model whose training pokes came from DIS, as `prepare` makes them by default, was at
    least not trained on flow from frame to frame; one that was trained on exact flow has never met it.
    """
    return FlowChain(DisFlow(fine_up_to=TRACKED_SIDE, fast=True), smallest_side=TRACKED_SIDE)


def lpips_if_found(weights_dir: Path | None) -> Lpips | None:
    """LPIPS, or None where its weights are nowhere to be found."""
    try:
        return build_lpips(weights_dir)
    except InputError:
        return None
