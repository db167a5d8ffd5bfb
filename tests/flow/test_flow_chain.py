"""Flow from frame to frame, corrected against the first."""

import cv2
import numpy as np
import pytest

from poke2vid.flow.chain import CORRECT_WITHIN, FlowChain
from poke2vid.flow.classical import DisFlow
from poke2vid.tracking.trackers import bench_tracker, tracker_for
from poke2vid.types import InputError

SIDE, STEPS = 96, 10
BAR = (slice(20, 76), slice(40, 46))  # rows and columns of a thin bar, six pixels wide


def scenery(seed: int, side: int) -> np.ndarray:
    noise = np.random.default_rng(seed).integers(0, 256, (side // 3, side // 3, 3)).astype(np.uint8)
    return cv2.resize(noise, (side, side), interpolation=cv2.INTER_CUBIC)


def film(dx: float, dy: float, steps: int = STEPS) -> list[np.ndarray]:
    """A thin bar that goes before a wall that does not."""
    wall, bar, mask = scenery(0, SIDE), scenery(1, SIDE), np.zeros((SIDE, SIDE), np.float32)
    mask[BAR] = 1
    frames = []
    for step in range(steps + 1):
        move = np.array([[1, 0, dx * step / steps], [0, 1, dy * step / steps]], np.float32)
        there = cv2.warpAffine(mask, move, (SIDE, SIDE))[..., None]
        frames.append((there * cv2.warpAffine(bar, move, (SIDE, SIDE)) + (1 - there) * wall).astype(np.uint8))
    return frames


def of_the_bar(flow: np.ndarray) -> np.ndarray:
    return np.median(flow[:, BAR[0], 42:44].reshape(2, -1), axis=1)


@pytest.mark.parametrize("way", [(16.0, 0.0), (-14.0, 5.0)])
def test_a_thin_part_is_followed_over_a_way_that_one_jump_loses(way: tuple[float, float]) -> None:
    frames = film(*way)
    *_, chained = FlowChain(DisFlow(fine_up_to=256), smallest_side=192)(frames)
    assert np.hypot(*(of_the_bar(chained) - way)) < 0.5
    assert np.hypot(*(of_the_bar(DisFlow()(frames[0], frames[-1])) - way)) > 5
    assert np.abs(chained[:, 5:15, 5:15]).max() < 0.2, "the wall stays"


def test_every_frame_has_its_flow_on_the_way() -> None:
    flows = list(FlowChain(DisFlow())(film(10.0, -5.0)))
    assert len(flows) == STEPS
    for step, flow in enumerate(flows, 1):
        assert of_the_bar(flow) == pytest.approx((step, -0.5 * step), abs=0.5)


def test_a_picture_that_moves_as_one_moves_by_as_much_at_any_enlargement() -> None:
    wide = scenery(2, 2 * SIDE)
    frames = [wide[40 + step : 40 + step + SIDE, 40 - 2 * step : 40 - 2 * step + SIDE] for step in range(5)]
    for side in (SIDE, 2 * SIDE):
        *_, flow = FlowChain(DisFlow(fine_up_to=256), smallest_side=side)(frames)
        middle = flow[:, 24:-24, 24:-24].reshape(2, -1)
        assert np.median(middle, axis=1) == pytest.approx((8.0, -4.0), abs=0.1)


class Constant:
    """Says the same of every two pictures, but one thing first."""

    name = "constant"

    def __init__(self, step: float, correction: float) -> None:
        self._says = [step, correction]

    def __call__(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        said = np.zeros((2, *first.shape[:2]), np.float32)
        said[0] = self._says[0]
        self._says.reverse()
        return said


@pytest.mark.parametrize(("correction", "total"), [(0.0, 6.0), (0.25, 6.75), (CORRECT_WITHIN + 0.1, 6.0)])
def test_steps_add_up_and_only_small_corrections_are_believed(correction: float, total: float) -> None:
    frames = [scenery(seed, 32) for seed in range(4)]
    *_, flow = FlowChain(Constant(2.0, correction))(frames)
    assert flow[0] == pytest.approx(total) and not flow[1].any()


def test_what_does_not_change_does_not_move_whatever_the_estimator_says() -> None:
    frames = [scenery(0, 32)] * 4
    assert all(not flow.any() for flow in FlowChain(Constant(1.0, 0.0))(frames))


def test_differently_set_trackers_have_different_names() -> None:
    """Results are kept by them."""
    made = [DisFlow(), DisFlow(fast=True), DisFlow(fine_up_to=256), DisFlow(fine_up_to=256, fast=True)]
    names = {FlowChain(estimator, side).name for estimator in made for side in (1, 256)}
    assert len(names) == 8 and DisFlow().name == "dis"


def test_the_second_tracker_is_another_and_follows_what_moves_as_one() -> None:
    tracker = bench_tracker("farneback")
    assert tracker.name.startswith("farneback") and tracker.name != bench_tracker().name
    wide, frames = scenery(3, 3 * 64), []
    for step in range(6):
        move = np.array([[1, 0, 1.5 * step - 64], [0, 1, -step - 64]], np.float32)
        frames.append(cv2.warpAffine(wide, move, (64, 64)))
    *_, flow = tracker(frames)
    np.testing.assert_allclose(np.median(flow[:, 20:44, 16:40].reshape(2, -1), axis=1), (7.5, -5), atol=0.3)
    with pytest.raises(InputError, match=r"no tracker 'lucas'.*dis, farneback"):
        bench_tracker("lucas")


def test_a_cross_check_asks_for_its_tracker_by_name() -> None:
    tracker, caution = tracker_for("dis", None, "farneback")
    assert tracker.name == bench_tracker("farneback").name and caution == ""
    with pytest.raises(InputError, match="choose auto or farneback"):
        tracker_for("dis", None, "lucas")
