"""What judges predictions and was not used to train them: the tracker that sees only frames, and LPIPS."""

from pathlib import Path

from poke2vid.features import Lpips, build_lpips
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


def describe(tracker: FlowEstimator) -> str:
    """The tracker's name and whatever its flow depends on: two trackers of one description measure the same."""
    if isinstance(tracker, RaftFlow):
        return f"{tracker.name} ({tracker.iterations} iterations, frames of at least {tracker.smallest_side})"
    return tracker.name


def lpips_if_found(weights_dir: Path | None) -> Lpips | None:
    """LPIPS, or None where its weights are nowhere to be found."""
    try:
        return build_lpips(weights_dir)
    except InputError:
        return None
