"""What judges predictions and was not used to train them: the tracker that sees only frames, and LPIPS."""

from pathlib import Path

from poke2vid.features import Lpips, build_lpips
from poke2vid.flow.chain import FlowChain
from poke2vid.flow.classical import DisFlow
from poke2vid.flow.estimator import FlowEstimator, build_estimator
from poke2vid.flow.raft import RaftFlow
from poke2vid.types import InputError

TRACKED_SIDE = 256  # small frames are enlarged to it: RAFT's error at 64 pixels falls from 0.44 to 0.31


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
