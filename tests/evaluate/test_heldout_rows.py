"""What is kept of a row: scores, moments, and the distances that follow from them."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from held_out import ANY
from torch import Tensor

from poke2vid.evaluate.heldout.distances import difference, distances, floors, too_few
from poke2vid.evaluate.heldout.rows import FOLDS, Batched, Fewest, Measured, fold_of, load, path_of, save, with_followed
from poke2vid.measures.moments import Moments, frechet_distance
from poke2vid.measures.statistics import Interval

pytestmark = pytest.mark.usefixtures("no_public_weights")


def with_features(features: Tensor, videos: list[str]) -> Measured:
    return Measured().plus(Batched(videos, features={"F": features}))


def some_features(count: int, seed: int = 0) -> Tensor:
    return torch.randn(count, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_a_row_that_was_written_is_the_row_that_is_read(tmp_path: Path) -> None:
    measured = Measured().plus(Batched(["a", "b"], {"psnr": [1.0, 2.0]}, {"F": some_features(2)}))
    measured = measured.plus(Batched(["a"], {"psnr": [3.0], "pck": [1.0]}))
    path, key = path_of(tmp_path, "a/row of any name", {"k": 1}), {"k": 1}
    save(path, measured, key, complete=False)
    found, complete = load(path, key)
    assert not complete and found.videos == ["a", "b", "a"]
    assert found.values["psnr"].tolist() == [1, 2, 3]
    assert np.isnan(found.values["pck"][:2]).all() and found.values["pck"][2] == 1
    for before, after in zip(measured.moments["F"], found.moments["F"], strict=True):
        assert torch.equal(before.scatter, after.scatter) and before.count == after.count
    assert len(load(path, {"k": 2})[0]) == 0  # other settings: nothing is known
    assert path_of(tmp_path, "a/row of any name", {"k": 2}) != path
    path.write_bytes(path.read_bytes()[:-9])
    assert len(load(path, key)[0]) == 0  # damaged: measured anew


def test_an_error_counts_as_followed_where_the_tracker_finds_the_true_point_within_a_third_of_the_pokes_length() -> (
    None
):
    truth = Measured(
        {"poke_epe": np.array([0.9, 1.1, 2.0, math.nan]), "poke_length": np.array([3.0, 3.0, 6.0, 3.0])}, ["a"] * 4
    )
    row = Measured({"poke_epe": np.array([2.0, 0.1, 3.0, 4.0]), "psnr": np.arange(4.0)}, ["a"] * 4)
    found = with_followed(row, truth)
    np.testing.assert_array_equal(found.values["followed_epe"], [2.0, math.nan, 3.0, math.nan])
    assert "followed_epe" not in row.values  # the row that is kept has no column that another row decides
    lost = Measured({"poke_epe": np.full(4, 9.0), "poke_length": np.full(4, 3.0)}, ["a"] * 4)
    assert with_followed(row, lost) is row
    pushed = Measured({"psnr": np.arange(4.0)}, ["a"] * 4)
    assert with_followed(pushed, Measured({"psnr": np.arange(4.0)}, ["a"] * 4)) is pushed


def test_moments_in_tenths_are_together_those_of_all_and_a_video_is_in_one_of_them() -> None:
    videos = [f"video{k % 23}" for k in range(60)]
    measured = with_features(some_features(40), videos[:40])
    before = [part.count for part in measured.moments["F"]]
    more = measured.plus(Batched(videos[40:], features={"F": some_features(20, seed=1)}))
    assert [part.count for part in measured.moments["F"]] == before  # whoever is interrupted has the one or the other
    measured = more
    parts = measured.moments["F"]
    assert len(parts) == FOLDS and sum(part.count for part in parts) == 60
    assert parts[fold_of("video3")].count == sum(fold_of(v) == fold_of("video3") for v in videos)
    features = torch.cat((some_features(40), some_features(20, seed=1)))
    other = with_features(some_features(50, seed=2) + 0.5, [f"video{k % 23}" for k in range(50)])
    found = distances(measured, other, ANY)["F"]
    expected = frechet_distance(Moments.of(features), Moments.of(some_features(50, seed=2) + 0.5))
    assert found.interval.mean == pytest.approx(expected, rel=1e-9)
    assert found.interval.low < expected < found.interval.high
    assert (found.generated, found.real) == (60, 50)
    assert all(value > 0 for value in found.without) and len(found.without) == len({fold_of(v) for v in videos})


def test_a_floor_says_what_real_clips_of_other_videos_are_apart() -> None:
    """Clips of one video are alike: halves of the videos differ by more than as many independent clips would."""
    generator = torch.Generator().manual_seed(0)
    names = [f"video{k}" for k in range(40)]
    own = {name: torch.randn(3, generator=generator, dtype=torch.float64) for name in names}
    alike, free = Measured(), Measured()
    for _ in range(10):
        noise = torch.randn(40, 3, generator=generator, dtype=torch.float64)
        same = torch.stack([own[name] for name in names]) + 0.1 * noise
        alike = alike.plus(Batched(names, features={"F": same}))
        free = free.plus(Batched([f"{name}/{k}" for k, name in enumerate(names)], features={"F": noise}))
    clustered, independent = floors(alike, 400)["F"], floors(free, 400)["F"]
    assert clustered.half > 100 and (clustered.generated, clustered.real, clustered.dimensions) == (400, 400, 3)
    assert clustered.halves > 5 * clustered.independent
    assert independent.halves < 5 * 2 * independent.independent  # halves have half as many clips
    assert "warning" not in clustered.sentence()
    few = floors(alike, 3)["F"].sentence()
    assert "warning" in few and "dimensions (3)" in few and few.count(f"{floors(alike, 3)['F'].independent:.3g}") == 1
    one = with_features(some_features(20), ["a"] * 20)
    assert str(distances(one, one, ANY)["F"].interval) == "0"  # without any interval
    assert math.isnan(floors(one, 20)["F"].halves) and "half of the videos" not in floors(one, 20)["F"].sentence()


def test_a_difference_of_distances_is_paired() -> None:
    videos = [f"video{k % 23}" for k in range(60)]
    real = with_features(some_features(60), videos)
    near, far = (with_features(some_features(60, seed=1) + by, videos) for by in (0.5, 0.9))
    a, b = (distances(row, real, ANY)["F"] for row in (far, near))
    found = difference([a], [b])
    assert found.mean == pytest.approx(a.interval.mean - b.interval.mean)
    assert found.high - found.low < (a.interval.high - a.interval.low) + (b.interval.high - b.interval.low)
    assert difference([a, a], [a, a]) == Interval(0.0, 0.0, 0.0)


def test_too_few_clips_or_videos_give_no_distance_and_the_reason() -> None:
    many = with_features(
        torch.randn(40, 8, generator=torch.Generator().manual_seed(0)), [f"v{k % 12}" for k in range(40)]
    )
    few = with_features(torch.randn(3, 8), ["v0", "v1", "v2"])
    alike = with_features(torch.randn(40, 8), [f"v{k % 9}" for k in range(40)])
    assert too_few(many, many, Fewest()) == {} and distances(many, many, Fewest()).keys() == {"F"}
    assert too_few(few, many, Fewest()) == {"F": "too few clips: 3 and 40, where 8 features need 4"}
    assert "too few videos: clips of 9," in too_few(many, alike, Fewest())["F"]
    assert distances(many, few, Fewest()) == distances(many, alike, Fewest()) == {}
