"""Reports whose reference rows say what they must, on clips of videos that were not trained on."""

import json
from pathlib import Path

import pytest
import torch
from held_out import ANY, SETTINGS, loaded, moving_squares
from moving_square import write_square
from toy_system import toy_preset, with_toys

from poke2vid.data.prepare.run import PrepareSettings, prepare
from poke2vid.data.store import Store
from poke2vid.evaluate.heldout.clips import EvaluationClips
from poke2vid.evaluate.heldout.evaluate import evaluate
from poke2vid.evaluate.heldout.report import HeldoutReport
from poke2vid.evaluate.heldout.sources import load_any
from poke2vid.evaluate.report import write_report
from poke2vid.measures.table import REPORTS, columns
from poke2vid.tracking.trackers import tracker_for
from poke2vid.train.baseline_loop import train_baseline
from poke2vid.types import InputError

pytestmark = pytest.mark.usefixtures("no_public_weights")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return moving_squares(tmp_path_factory.mktemp("evaluate"))


# The clips


def test_no_clip_comes_twice_and_the_first_ones_are_the_same_for_any_number(store: Path) -> None:
    clips = EvaluationClips(Store.open(store), 32, SETTINGS, seed=0)
    assert len(clips) == 2 * 16  # twenty frames hold sixteen starts of clips of five
    frames = torch.stack([clips[k].frames for k in range(len(clips))])
    assert all(not torch.equal(a, b) for k, a in enumerate(frames) for b in frames[:k])
    again = EvaluationClips(Store.open(store), 32, SETTINGS, seed=0)
    assert torch.equal(again[7].frames, frames[7]) and again[7].pokes == clips[7].pokes
    other = EvaluationClips(Store.open(store), 32, SETTINGS, seed=1)
    assert any(not torch.equal(other[k].frames, frames[k]) for k in range(5))
    assert clips.key != other.key and clips.key == again.key


def test_a_clip_is_poked_where_it_moves_and_its_first_frame_beside_that(store: Path) -> None:
    clips = EvaluationClips(Store.open(store), 32, SETTINGS, seed=0)
    for k in range(6):
        sample, beside = clips[k], clips.beside(k)
        (poke,), (ignored,) = sample.pokes, beside.pokes
        x, y = (round(c) for c in poke.location)
        assert sample.displacement[:, y, x].tolist() == pytest.approx(poke.shift)
        assert torch.equal(beside.frames, sample.frames[:1].expand_as(beside.frames))
        assert poke.location != ignored.location


def test_a_store_of_another_size_is_refused_in_one_sentence(store: Path) -> None:
    with pytest.raises(InputError, match=r"frames of 32 pixels and the model takes 64"):
        EvaluationClips(Store.open(store), 64, SETTINGS, seed=0)


@pytest.mark.parametrize("flow", ["exact", "raft", "dis"])
def test_the_tracker_is_not_the_one_that_made_the_pokes_or_the_report_says_so(
    flow: str, no_public_weights: None
) -> None:
    tracker, caution = tracker_for(flow, None)
    assert ("raft_small" in caution) == (flow == "dis")
    assert tracker.name.startswith("dis (fast) from frame to frame")


# The report


@pytest.fixture(scope="module")
def report(store: Path, no_public_weights: None) -> HeldoutReport:
    return evaluate(loaded(), store, num_clips=8, fewest=ANY, quiet=True)


@pytest.fixture(scope="module")
def moving_report(store: Path, no_public_weights: None) -> HeldoutReport:
    return evaluate(loaded(moving=True), store, num_clips=8, fewest=ANY, quiet=True)


def test_a_report_has_the_copy_the_model_and_the_truth_with_every_column_that_can_be_measured(
    report: HeldoutReport,
) -> None:
    measured = [column for column in REPORTS["heldout"] if "lpips" not in column]
    assert list(report.rows) == ["copy", "model", "truth"]
    assert list(report.rows["model"]) == measured
    assert list(report.rows["copy"]) == [c for c in measured if c != "ignored_poke"]
    of_frames = ("psnr", "ssim", "sharpness")  # which the truth has by definition
    assert list(report.rows["truth"]) == [c for c in measured if c not in ("ignored_poke", "halfway_epe", *of_frames)]


def test_the_truth_is_perfect_but_for_the_trackers_own_error(report: HeldoutReport) -> None:
    truth, copy = report.rows["truth"], report.rows["copy"]
    assert 0 < truth["poke_epe"].mean < 0.75 * copy["poke_epe"].mean  # frames this small are hard to track
    assert truth["background"].mean < copy["poke_epe"].mean / 3
    assert truth["response_epe"].mean < copy["response_epe"].mean


def test_the_copy_never_moves_so_it_misses_every_poke_by_its_length(report: HeldoutReport) -> None:
    copy = report.rows["copy"]
    assert copy["poke_epe"].mean == pytest.approx(copy["poke_length"].mean, rel=1e-6)
    assert copy["poke_error_share"].mean == pytest.approx(1.0)
    assert copy["pck"].mean == 0.0  # pokes that are shorter than what counts as correct are not asked
    assert 0.3 * copy["poke_epe"].mean < copy["halfway_epe"].mean < 0.8 * copy["poke_epe"].mean  # it moves steadily
    assert copy["background"].mean == 0.0
    assert copy["psnr"].mean < 40


def test_an_untrained_model_is_the_copy(report: HeldoutReport) -> None:
    model, copy = dict(report.rows["model"]), report.rows["copy"]
    assert model.pop("ignored_poke").mean == pytest.approx(0.0, abs=0.02)
    assert model == copy
    assert report.distances["model"] == report.distances["copy"]


def test_a_model_that_moves_is_scored_by_its_own_frames(report: HeldoutReport, moving_report: HeldoutReport) -> None:
    assert moving_report.rows["copy"] == report.rows["copy"]
    assert moving_report.rows["truth"] == report.rows["truth"]
    still, moving = report.rows["model"], moving_report.rows["model"]
    assert moving["psnr"].mean < still["psnr"].mean
    assert moving["ssim"].mean < still["ssim"].mean
    assert moving["ignored_poke"].mean > 0.1
    assert moving["background"].mean > still["background"].mean


def test_the_truths_tracks_are_nearest_to_those_of_real_clips_and_a_still_pictures_are_not(
    report: HeldoutReport,
) -> None:
    apart = {name: row["track Frechet"] for name, row in report.distances.items()}
    assert apart["truth"].interval.mean < apart["copy"].interval.mean
    assert (apart["copy"].generated, apart["copy"].real) == (8, 8)
    assert "not comparable with published FVD" in report.families["track Frechet"]
    assert report.families["FVD"].startswith("no I3D weights")
    assert "FVD" not in report.distances["copy"]
    assert report.floors["track Frechet"].generated == 8


def test_a_report_says_what_was_measured(report: HeldoutReport) -> None:
    about = report.about
    assert (about["clips"], about["clips_available"], about["split"], about["horizon"]) == (8, 32, "test", 4)
    assert (about["resolution"], about["seed"], about["poke_kind"]) == (32, 0, "shift")
    assert about["tracker"].startswith("dis (fast)") and "made the training pokes" in about["caution"]
    assert about["responses_against"] == "dis flow of the store"
    assert "disagreement of the tracker and the store's dis flow" in about["truth"]
    assert about["clips_of_columns"]["poke_epe"] == 8 and about["judges"]["version"] == 1
    assert set(about["rows"]) == {"truth", "copy", "model"}
    assert about["model"] == "model.safetensors"


def test_the_same_seed_gives_the_same_report_and_another_other_clips(store: Path, report: HeldoutReport) -> None:
    assert evaluate(loaded(), store, num_clips=8, fewest=ANY, quiet=True) == report
    assert evaluate(loaded(), store, num_clips=8, seed=1, fewest=ANY, quiet=True).rows["copy"] != report.rows["copy"]


def test_more_clips_than_there_are_is_all_of_them(store: Path) -> None:
    found = evaluate(loaded(), store, num_clips=500, distribution_clips=3, fewest=ANY, quiet=True)
    assert (found.about["clips"], found.about["distribution_clips"], found.about["real_clips"]) == (32, 3, 3)
    assert found.about["real_clips_that_are_truths_of_generated_ones"] == 0
    assert found.distances["model"]["track Frechet"].generated == 3


def test_clips_of_several_videos_give_an_interval(store: Path) -> None:
    rows = evaluate(loaded(), store, num_clips=8, split="train", fewest=ANY, quiet=True)
    assert rows.about["split"] == "train" and rows.about["videos"] > 1
    seen = rows.rows["copy"]["psnr"]
    assert seen.low < seen.mean < seen.high


def test_lpips_is_a_column_where_its_weights_are(store: Path, shared: Path) -> None:
    rows = evaluate(loaded(), store, num_clips=2, weights_dir=shared / "weights", fewest=ANY, quiet=True).rows
    for column in ("lpips", "lpips_alex", "lpips_vgg"):
        assert column not in rows["truth"]
        assert rows["copy"][column].mean > 0.001
    (chosen,) = {
        c
        for c in evaluate(
            loaded(), store, num_clips=2, weights_dir=shared / "weights", lpips=("alex",), fewest=ANY, quiet=True
        ).rows["copy"]
        if "lpips" in c
    }
    assert chosen == "lpips_alex"


def test_a_model_without_a_training_run_is_judged_at_the_papers_horizon(store: Path) -> None:
    with pytest.raises(InputError, match=r"flow at lags \[4\] but \[10\] are needed"):
        evaluate(loaded(about={}), store, num_clips=1, fewest=ANY, quiet=True)


def test_a_report_is_written_for_people_and_for_programs(tmp_path: Path, report: HeldoutReport) -> None:
    write_report(report, tmp_path / "new")
    values = json.loads((tmp_path / "new" / "report.json").read_text())
    row = report.rows["copy"]["psnr"]
    assert values["rows"]["copy"]["psnr"] == {"mean": row.mean, "low": None, "high": None}  # of two videos, no interval
    assert values["about"] == report.about
    assert values["floors"]["track Frechet"]["real"] == 8
    text = (tmp_path / "new" / "report.md").read_text()
    header, _, *rows = [line for line in text.split("Brackets")[0].splitlines() if line.startswith("|")]
    assert [cell.strip() for cell in header.split("|")[2:-1]] == list(report.rows["model"])
    assert [line.split("|")[1].strip() for line in rows] == ["copy", "model", "truth"]
    assert str(row) in rows[0]
    assert all(line.count("|") == header.count("|") for line in rows)
    for column in report.rows["model"]:
        assert f"- `{column}`: {columns('heldout')[column]}" in text


def test_a_small_store_is_evaluated_without_distances_and_says_why(store: Path) -> None:
    report = evaluate(loaded(), store, num_clips=8, quiet=True)
    assert report.distances["model"] == {} and report.floors == {} and report.rows["model"]
    assert "- track Frechet: too few clips: 8 and " in report.to_markdown()


# Others than the paper's form


def test_the_base_is_scored_by_its_name_on_frames_of_any_size(tmp_path: Path) -> None:
    for k, step in enumerate([(1, 0), (0, 1)]):
        write_square(tmp_path / "videos" / f"{k}.mp4", 14, seed=k, step=step)
    settings = PrepareSettings(resolution=32, lags=(10,), workers=0, test=("*",))
    prepare(tmp_path / "videos", tmp_path / "store", settings, quiet=True)
    rows = evaluate(load_any(Path("touch64")), tmp_path / "store", num_clips=2, fewest=ANY, quiet=True).rows
    assert rows["model"]["poke_epe"].mean < 0.5 * rows["copy"]["poke_epe"].mean  # it obeys, also on a square
    assert rows["model"].keys() >= {"psnr", "response_epe", "ignored_poke"}


def test_a_system_of_others_is_scored_without_pokes_of_its_own(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_toys(monkeypatch)
    train_baseline(toy_preset(hold=1, fall=0), store, tmp_path, quiet=True, workers=0)
    found = evaluate(load_any(tmp_path), store, num_clips=3, fewest=ANY, quiet=True)
    assert found.rows["model"]["poke_epe"].mean == pytest.approx(found.rows["copy"]["poke_epe"].mean, rel=0.2)
    assert "ignored_poke" not in found.rows["model"] and found.about["clips"] == 3
