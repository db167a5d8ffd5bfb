"""Scores against numbers worked out by hand, and honest intervals."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from poke2vid.measures import motion as scores
from poke2vid.measures.statistics import Interval, cluster_mean, cluster_ratio, jackknife, shown
from poke2vid.measures.table import MEASURES
from poke2vid.types import Poke

pytestmark = pytest.mark.usefixtures("no_public_weights")


def flow_of(dx: float, dy: float, height: int = 8, width: int = 10) -> Tensor:
    """The same vector everywhere."""
    return torch.tensor([dx, dy]).view(2, 1, 1).expand(2, height, width).clone()


# Where the poked point goes


def test_the_poked_point_arrives_where_the_flow_takes_it() -> None:
    assert scores.arrival(flow_of(3.0, -2.0), Poke((4.0, 5.0), (1.0, 1.0))) == (7.0, 3.0)


def test_x_is_the_column_and_y_the_row_of_the_flow() -> None:
    flow = flow_of(0.0, 0.0)
    flow[:, 5:8, 1:4] = torch.tensor([3.0, -2.0]).view(2, 1, 1)
    assert scores.arrival(flow, Poke((2.0, 6.0), (1.0, 1.0))) == (5.0, 4.0)
    assert scores.arrival(flow, Poke((6.0, 2.0), (1.0, 1.0))) == (6.0, 2.0)


def test_a_single_wild_vector_does_not_move_the_point_but_its_neighbours_do() -> None:
    flow = flow_of(1.0, 0.0)
    flow[:, 5, 4] = 90.0
    assert scores.arrival(flow, Poke((4.0, 5.0), (1.0, 1.0))) == (5.0, 5.0)
    flow[:, 4:6, 3:6] = 2.0  # six of the nine
    assert scores.arrival(flow, Poke((4.0, 5.0), (1.0, 1.0))) == (6.0, 7.0)


@pytest.mark.parametrize("corner", [(0.0, 0.0), (9.0, 7.0), (-0.5, 7.5), (9.5, -0.5)])
def test_a_point_at_the_border_arrives_as_well(corner: tuple[float, float]) -> None:
    assert scores.arrival(flow_of(3.0, -2.0), Poke(corner, (1.0, 1.0))) == (corner[0] + 3, corner[1] - 2)


def test_the_poke_error_is_the_distance_from_the_target() -> None:
    poke = Poke((4.0, 5.0), (1.0, 2.0))
    assert scores.poke_error(flow_of(1.0, 2.0), poke) == 0.0
    assert scores.poke_error(flow_of(1.0 + 3.0, 2.0 - 4.0), poke) == pytest.approx(5.0)
    assert scores.poke_error(flow_of(0.0, 0.0), poke) == pytest.approx(math.sqrt(5))


def test_mean_motion_is_the_mean_length_over_the_given_pixels() -> None:
    flow = flow_of(0.0, 0.0)
    flow[:, :4] = torch.tensor([3.0, 4.0]).view(2, 1, 1)
    everywhere = torch.ones(8, 10, dtype=torch.bool)
    assert scores.mean_motion(flow, everywhere) == pytest.approx(2.5)
    upper = everywhere.clone()
    upper[4:] = False
    assert scores.mean_motion(flow, upper) == pytest.approx(5.0)
    assert scores.mean_motion(flow, ~upper) == 0.0
    assert math.isnan(scores.mean_motion(flow, ~everywhere))


# Intervals


def normal(count: int) -> list[float]:
    return np.random.default_rng(1).normal(3.0, 2.0, count).tolist()


SAMPLES = 1500


def test_the_interval_of_independent_clips_is_that_of_the_textbook() -> None:
    values = normal(400)
    found = cluster_mean(values, [str(k) for k in range(400)])
    half = 1.96 * np.std(values) / math.sqrt(400)
    assert found.mean == pytest.approx(np.mean(values))
    assert found.low == pytest.approx(found.mean - half, abs=half / 8)
    assert found.high == pytest.approx(found.mean + half, abs=half / 8)


def test_the_interval_depends_on_videos_and_not_on_how_many_clips_are_cut_from_them() -> None:
    videos = [str(k) for k in range(20)]
    once = cluster_mean(normal(20), videos)
    often = cluster_mean([v for v in normal(20) for _ in range(50)], [v for v in videos for _ in range(50)])
    assert (often.low, often.high) == pytest.approx((once.low, once.high))
    believed = cluster_mean([v for v in normal(20) for _ in range(50)], [str(k) for k in range(1000)])
    assert believed.high - believed.low < (once.high - once.low) / 5


def test_the_mean_is_over_clips_so_a_longer_video_weighs_more() -> None:
    assert cluster_mean([0.0, 0.0, 0.0, 1.0], ["a", "a", "a", "b"]).mean == 0.25


def test_a_longer_video_weighs_more_in_the_interval_too() -> None:
    values, videos = [], []
    for k in range(40):
        count = 9 if k % 2 else 1
        values += [0.0 if k % 2 else 1.0] * count
        videos += [str(k)] * count
    found = cluster_mean(values, videos)
    assert found.mean == pytest.approx(0.1)
    assert found.low < 0.1 < found.high < 0.25


def test_three_clusters_have_students_t() -> None:
    found = cluster_mean([1.0, 2.0, 6.0], ["a", "b", "c"])
    half = 4.303 * np.std([1.0, 2.0, 6.0], ddof=1) / math.sqrt(3)
    assert (found.mean, found.low, found.high) == pytest.approx((3.0, 3.0 - half, 3.0 + half))


@pytest.mark.parametrize("videos", [["a", "a"], ["a", "b"]])
def test_one_video_and_two_have_no_interval(videos: list[str]) -> None:
    found = cluster_mean([1.0, 3.0], videos)
    assert found == Interval(2.0, -math.inf, math.inf) and str(found) == "2"


@pytest.mark.parametrize("clusters", [3, 4, 6, 12])
def test_an_interval_covers_what_it_promises(clusters: int) -> None:
    rng, names, covered = np.random.default_rng(0), [str(k) for k in range(clusters)], np.zeros(2)
    for seed in range(SAMPLES):
        draws = rng.normal(size=clusters).tolist(), rng.exponential(size=clusters).tolist()
        normal, skewed = (cluster_mean(draw, names, seed) for draw in draws)
        covered += (normal.low <= 0 <= normal.high, skewed.low <= 1 <= skewed.high)
    assert covered[0] / SAMPLES >= 0.93
    assert covered[1] / SAMPLES >= (0.86 if clusters == 3 else 0.92)


def test_paired_differences_that_are_all_the_same_have_no_width() -> None:
    assert cluster_mean([0.5] * 6, [str(k) for k in range(6)]) == Interval(0.5, 0.5, 0.5)


def test_one_cluster_that_differs_from_all_others_leaves_the_interval_finite() -> None:
    found = cluster_mean([0.0] * 11 + [1.0], [str(k) for k in range(12)])
    half = 2.262 * np.std([0.0] * 11 + [1.0], ddof=1) / math.sqrt(12)
    assert (found.low, found.high) == pytest.approx((1 / 12 - half, 1 / 12 + half))


def test_what_could_not_be_measured_is_left_out() -> None:
    assert cluster_mean([1.0, math.nan, 3.0], ["a", "a", "a"]).mean == 2.0
    assert math.isnan(cluster_mean([math.nan], ["a"]).mean)


def test_the_same_seed_gives_the_same_interval() -> None:
    videos = [str(k % 7) for k in range(50)]
    assert cluster_mean(normal(50), videos, seed=3) == cluster_mean(normal(50), videos, seed=3)


def test_a_ratio_of_sums_is_not_ruled_by_the_smallest_denominator() -> None:
    found = cluster_ratio([1.0, 1.0], [10.0, 0.01], ["a", "b"])
    assert found.mean == pytest.approx(2 / 10.01)
    assert cluster_ratio([1.0, math.nan, 4.0], [2.0, 1.0, 2.0], ["a", "b", "c"]).mean == 1.25
    assert str(cluster_ratio([3.0], [1.0], ["a"])) == "3"


def test_the_jackknife_of_a_mean_is_the_textbooks_interval() -> None:
    groups = np.random.default_rng(0).normal(5.0, 1.0, 10)
    without = [(groups.sum() - g) / 9 for g in groups]
    found = jackknife(float(groups.mean()), without)
    half = 2.262 * groups.std(ddof=1) / math.sqrt(10)
    assert (found.low, found.high) == pytest.approx((groups.mean() - half, groups.mean() + half))
    assert str(jackknife(2.0, [1.0])) == "2"


def test_the_jackknife_of_unequal_groups_weighs_each_by_its_size() -> None:
    rng = np.random.default_rng(0)
    groups = [rng.normal(5.0, 1.0, size) for size in (5, 41, 9, 20, 12, 30, 3, 17, 25, 38)]
    everything = np.concatenate(groups)
    n, mean = len(everything), float(everything.mean())
    without = [float((everything.sum() - g.sum()) / (n - len(g))) for g in groups]
    found = jackknife(mean, without, [len(g) / n for g in groups])
    # Of a mean the pseudo-values are the groups' own means
    spread = np.mean([(g.mean() - mean) ** 2 / (n / len(g) - 1) for g in groups]) ** 0.5
    assert (found.low, found.high) == pytest.approx((mean - 2.262 * spread, mean + 2.262 * spread))
    assert 0.5 < spread / (everything.std() / math.sqrt(n)) < 1.5  # what independent clips have
    assert jackknife(mean, without, [0.1] * 10) == jackknife(mean, without)


def test_numbers_for_people_have_three_digits_and_no_exponents() -> None:
    assert [shown(value) for value in (0.01234, 1.0, 99.99, 999.4, 1234.5, -2010.4, math.nan)] == [
        "0.0123", "1", "100", "999", "1234", "-2010", "nan",
    ]  # fmt: skip
    assert str(Interval(1060.0, 59.4, 2060.7)) == "1060 [59.4, 2061]"


def test_an_interval_ends_at_the_values_that_are_possible() -> None:
    assert Interval(0.8, -0.2, 1.4).within((0.0, 1.0)) == Interval(0.8, 0.0, 1.0)
    assert Interval(0.8, 0.5, 1.4).within((0.0, math.inf)) == Interval(0.8, 0.5, 1.4)
    alone = Interval(0.8, -math.inf, math.inf)
    assert alone.within((0.0, 1.0)) == alone


def test_the_spans_of_shares_and_correlations_are_known() -> None:
    assert MEASURES["pck"].span == MEASURES["returned"].span == MEASURES["together"].span == (0.0, 1.0)
    assert MEASURES["rank"].span == MEASURES["ssim"].span == (-1.0, 1.0)
    assert MEASURES["poke_epe"].span == (0.0, math.inf)
