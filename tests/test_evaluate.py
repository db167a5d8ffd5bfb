"""Scores against numbers worked out by hand, honest intervals, and reports whose reference rows say what they must."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from moving_square import write_square
from torch import Tensor, nn

from poke2vid.evaluate import scores
from poke2vid.evaluate.heldout import COLUMNS, Report, evaluate, write_report
from poke2vid.evaluate.statistics import Interval, cluster_mean
from poke2vid.model.files import LoadedModel
from poke2vid.model.poke_video import PokeVideo
from poke2vid.prepare import PrepareSettings, prepare
from poke2vid.train.config import to_json
from poke2vid.train.presets import preset
from poke2vid.types import InputError, Poke, Rollout

TINY = preset("tiny")


def clip(*values: float, side: int = 6) -> Tensor:
    """Frames of one value each."""
    return torch.tensor(values).view(-1, 1, 1, 1).expand(-1, 3, side, side).clone()


def flow_of(dx: float, dy: float, height: int = 8, width: int = 10) -> Tensor:
    """The same vector everywhere."""
    return torch.tensor([dx, dy]).view(2, 1, 1).expand(2, height, width).clone()


# PSNR and sharpness


def test_psnr_is_ten_times_the_logarithm_of_the_range_squared_over_the_error() -> None:
    assert scores.psnr(clip(0.2), clip(0.0)) == pytest.approx(20.0, abs=1e-3)  # 10 log10(2^2 / 0.2^2)


def test_psnr_is_averaged_over_frames_and_not_their_errors() -> None:
    assert scores.psnr(clip(0.2, 0.02), clip(0.0, 0.0)) == pytest.approx((20 + 40) / 2, abs=1e-3)


def test_equal_frames_have_the_highest_psnr_and_not_an_infinite_one() -> None:
    assert scores.psnr(clip(0.3, -1.0), clip(0.3, -1.0)) == 100.0


def test_what_is_brighter_than_white_counts_as_white() -> None:
    assert scores.psnr(clip(7.0), clip(1.0)) == 100.0


def test_sharpness_is_the_gradient_energy_over_the_truths() -> None:
    truth = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    assert scores.sharpness(truth, truth) == pytest.approx(1.0)
    assert scores.sharpness(truth / 2, truth) == pytest.approx(0.25, rel=1e-5)
    assert scores.sharpness(clip(0.4, 0.1, side=8), truth) == 0.0


def test_sharpness_sees_edges_along_both_axes() -> None:
    stripes = clip(0.0, side=8)
    stripes[..., ::2] = 1.0
    assert scores.sharpness(stripes, stripes.mT) == pytest.approx(1.0)
    assert scores.sharpness(stripes, (stripes + stripes.mT) / 2) == pytest.approx(2.0)  # half as high, twice as many


def test_a_blurred_clip_is_less_sharp() -> None:
    truth = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    assert 0 < scores.sharpness(nn.functional.avg_pool2d(truth, 3, 1, 1), truth) < 0.3


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
    assert scores.mean_motion(flow, ~everywhere) == 0.0


# Intervals


def normal(count: int) -> list[float]:
    return np.random.default_rng(1).normal(3.0, 2.0, count).tolist()


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


def test_the_interval_contains_the_mean_and_stays_within_the_clusters_means() -> None:
    found = cluster_mean([1.0, 2.0, 4.0, 8.0], ["a", "b", "b", "c"])
    assert 1.0 <= found.low < found.mean < found.high <= 8.0


def test_one_video_alone_has_no_interval() -> None:
    assert cluster_mean([1.0, 3.0], ["a", "a"]) == Interval(2.0, 2.0, 2.0)


def test_what_could_not_be_measured_is_left_out() -> None:
    assert cluster_mean([1.0, math.nan, 3.0], ["a", "a", "a"]).mean == 2.0
    assert math.isnan(cluster_mean([math.nan], ["a"]).mean)


def test_the_same_seed_gives_the_same_interval() -> None:
    videos = [str(k % 7) for k in range(50)]
    assert cluster_mean(normal(50), videos, seed=3) == cluster_mean(normal(50), videos, seed=3)


# The report


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four videos of a moving square at 32 pixels, the second held out."""
    folder = tmp_path_factory.mktemp("evaluate")
    for k, step in enumerate([(1, 0), (2, 1), (-1, 2), (2, 0)]):
        write_square(folder / "videos" / f"square{k}.mp4", 20, seed=k, step=step)
    settings = PrepareSettings(resolution=32, lags=(4,), workers=0, test=("square1",))
    prepare(folder / "videos", folder / "store", settings, quiet=True)
    return folder / "store"


@pytest.fixture(scope="module", autouse=True)
def no_public_weights(tmp_path_factory: pytest.TempPathFactory):
    """The same tracker and the same columns on every machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("POKE2VID_WEIGHTS", raising=False)
        patch.setenv("TORCH_HOME", str(tmp_path_factory.mktemp("hub")))
        yield


def loaded(*, moving: bool = False, about: dict[str, Any] | None = None) -> LoadedModel:
    """An untrained model of the tiny preset; `moving`: with a last layer that is not zero."""
    torch.manual_seed(0)
    model = PokeVideo(replace(TINY.model, channels=4)).eval()
    if moving:
        nn.init.normal_(model.decoder.head.weight, std=0.3)
    return LoadedModel(model, {"train": to_json(TINY)} if about is None else about, Path("model.safetensors"))


@pytest.fixture(scope="module")
def report(store: Path, no_public_weights: None) -> Report:
    return evaluate(loaded(), store, num_clips=8, quiet=True)


@pytest.fixture(scope="module")
def moving_report(store: Path, no_public_weights: None) -> Report:
    return evaluate(loaded(moving=True), store, num_clips=8, quiet=True)


def test_a_report_has_the_model_the_copy_and_the_truth_with_every_column_that_can_be_measured(report: Report) -> None:
    measured = [column for column in COLUMNS if column != "lpips"]
    assert list(report.rows) == ["model", "copy", "truth"]
    assert list(report.rows["model"]) == measured
    assert list(report.rows["copy"]) == [c for c in measured if c != "ignored_poke"]
    assert list(report.rows["truth"]) == [c for c in measured if c not in ("ignored_poke", "halfway_epe")]


def test_the_truth_is_perfect_but_for_the_trackers_own_error(report: Report) -> None:
    truth, copy = report.rows["truth"], report.rows["copy"]
    assert truth["psnr"] == Interval(100.0, 100.0, 100.0)
    assert truth["sharpness"].mean == pytest.approx(1.0)
    assert 0 < truth["poke_epe"].mean < 0.75 * copy["poke_epe"].mean  # frames this small are hard to track
    assert truth["background"].mean < copy["poke_epe"].mean / 3


def test_the_copy_never_moves_so_it_misses_every_poke_by_its_length(report: Report) -> None:
    copy = report.rows["copy"]
    assert copy["poke_epe"].mean == pytest.approx(copy["poke_length"].mean, rel=0.02)
    assert 0.3 * copy["poke_epe"].mean < copy["halfway_epe"].mean < 0.8 * copy["poke_epe"].mean  # it moves steadily
    assert copy["background"].mean == pytest.approx(0.0, abs=0.02)
    assert copy["psnr"].mean < 40


def test_an_untrained_model_is_the_copy(report: Report) -> None:
    model, copy = dict(report.rows["model"]), report.rows["copy"]
    assert model.pop("ignored_poke").mean == pytest.approx(0.0, abs=0.02)
    assert model == copy


def test_a_model_that_moves_is_scored_by_its_own_frames(report: Report, moving_report: Report) -> None:
    assert moving_report.rows["copy"] == report.rows["copy"]
    assert moving_report.rows["truth"] == report.rows["truth"]
    still, moving = report.rows["model"], moving_report.rows["model"]
    assert moving["psnr"].mean < still["psnr"].mean
    assert moving["ignored_poke"].mean > 0.1
    assert moving["background"].mean > still["background"].mean


def test_a_report_says_what_was_measured(report: Report) -> None:
    about = report.about
    assert (about["clips"], about["videos"], about["split"], about["horizon"]) == (8, 1, "test", 4)
    assert (about["resolution"], about["tracker"], about["seed"]) == (32, "dis", 0)
    assert about["model"] == "model.safetensors"


def test_the_same_seed_gives_the_same_report_and_another_other_clips(store: Path, report: Report) -> None:
    assert evaluate(loaded(), store, num_clips=8, quiet=True) == report
    assert evaluate(loaded(), store, num_clips=8, seed=1, quiet=True).rows["copy"] != report.rows["copy"]


def test_clips_of_one_video_alone_give_no_interval_and_those_of_several_do(store: Path, report: Report) -> None:
    assert report.about["videos"] == 1
    unseen = report.rows["copy"]["psnr"]
    assert unseen.low == unseen.mean == unseen.high
    rows = evaluate(loaded(), store, num_clips=8, split="train", quiet=True)
    assert rows.about["split"] == "train" and rows.about["videos"] > 1
    seen = rows.rows["copy"]["psnr"]
    assert seen.low < seen.mean < seen.high


class Recorder(PokeVideo):
    """An untrained model that remembers its pokes."""

    def rollout(self, x_0: Tensor, poke_maps: Tensor, schedule: Tensor) -> Rollout:
        self.seen.append(poke_maps[0, 0])
        return super().rollout(x_0, poke_maps, schedule)


def test_every_clip_is_poked_once_where_it_moves_and_once_beside_that(store: Path) -> None:
    recorder = Recorder(replace(TINY.model, channels=4)).eval()
    recorder.seen = []
    evaluate(replace(loaded(), model=recorder), store, num_clips=5, quiet=True)
    assert len(recorder.seen) == 10
    for obeyed, ignored in zip(recorder.seen[::2], recorder.seen[1::2], strict=True):
        assert obeyed[2].sum() == ignored[2].sum() == 9  # one poke each, on a patch of 3 x 3
        assert not torch.equal(obeyed[2], ignored[2])


def test_lpips_is_a_column_where_its_weights_are(store: Path, shared: Path) -> None:
    rows = evaluate(loaded(), store, num_clips=2, weights_dir=shared / "weights", quiet=True).rows
    assert rows["truth"]["lpips"].mean == pytest.approx(0.0, abs=1e-6)
    assert rows["copy"]["lpips"].mean > 0.01


def test_a_model_without_a_training_run_is_judged_at_the_papers_horizon(store: Path) -> None:
    with pytest.raises(InputError, match=r"flow at lags \[4\] but this training needs \[10\]"):
        evaluate(loaded(about={}), store, num_clips=1, quiet=True)


def test_a_report_is_written_for_people_and_for_programs(tmp_path: Path, report: Report) -> None:
    write_report(report, tmp_path / "new")
    values = json.loads((tmp_path / "new" / "report.json").read_text())
    row = report.rows["copy"]["psnr"]
    assert values["rows"]["copy"]["psnr"] == {"mean": row.mean, "low": row.low, "high": row.high}
    assert values["about"] == report.about
    text = (tmp_path / "new" / "report.md").read_text()
    header, _, *rows = [line for line in text.splitlines() if line.startswith("|")]
    assert [cell.strip() for cell in header.split("|")[2:-1]] == list(report.rows["model"])
    assert [line.split("|")[1].strip() for line in rows] == ["model", "copy", "truth"]
    assert str(row) in rows[1]
    assert all(line.count("|") == header.count("|") for line in rows)
    for column in report.rows["model"]:
        assert f"- `{column}`: {COLUMNS[column]}" in text
