"""Reports whose reference rows say what they must, and runs that are cut off and go on."""

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

from poke2vid.data.prepare.run import PrepareSettings, prepare
from poke2vid.data.store import Store
from poke2vid.evaluate.heldout.clips import ClipSettings, EvaluationClips
from poke2vid.evaluate.heldout.distances import difference, distances, floors
from poke2vid.evaluate.heldout.evaluate import evaluate, model_row, reference_rows
from poke2vid.evaluate.heldout.judges import find_judges
from poke2vid.evaluate.heldout.report import HeldoutReport, summarised
from poke2vid.evaluate.heldout.rows import FOLDS, Batched, Measured, Row, fold_of, load, path_of, save
from poke2vid.evaluate.heldout.scoring import Plan, features_of, score_row, shared_clips
from poke2vid.evaluate.report import write_report
from poke2vid.files import read_tensors
from poke2vid.measures.moments import Moments, frechet_distance
from poke2vid.measures.statistics import Interval
from poke2vid.measures.table import REPORTS, columns
from poke2vid.media.pictures import to_uint8
from poke2vid.model.files import LoadedModel
from poke2vid.model.poke_video import PokeVideo
from poke2vid.tracking.trackers import tracker_for
from poke2vid.train.config import to_json
from poke2vid.train.presets import preset
from poke2vid.types import InputError

pytestmark = pytest.mark.usefixtures("no_public_weights")


TINY = preset("tiny")


# The clips


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five videos of a moving square at 32 pixels, the second and the last held out."""
    folder = tmp_path_factory.mktemp("evaluate")
    for k, step in enumerate([(1, 0), (2, 1), (-1, 2), (2, 0), (1, 2)]):
        write_square(folder / "videos" / f"square{k}.mp4", 20, seed=k, step=step)
    settings = PrepareSettings(resolution=32, lags=(4,), workers=0, test=("square1", "square4"))
    prepare(folder / "videos", folder / "store", settings, quiet=True)
    return folder / "store"


SETTINGS = ClipSettings(horizon=4)


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


# What is kept of a row


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
    found = distances(measured, other)["F"]
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
    assert "warning" in few and "dimensions (3)" in few and few.count(f"{floors(alike, 3)['F'].independent:.3g}") == 2
    one = with_features(some_features(20), ["a"] * 20)
    assert str(distances(one, one)["F"].interval) == "0"  # without any interval
    assert math.isnan(floors(one, 20)["F"].halves) and "half of the videos" not in floors(one, 20)["F"].sentence()


def test_a_difference_of_distances_is_paired() -> None:
    videos = [f"video{k % 23}" for k in range(60)]
    real = with_features(some_features(60), videos)
    near, far = (with_features(some_features(60, seed=1) + by, videos) for by in (0.5, 0.9))
    a, b = (distances(row, real)["F"] for row in (far, near))
    found = difference([a], [b])
    assert found.mean == pytest.approx(a.interval.mean - b.interval.mean)
    assert found.high - found.low < (a.interval.high - a.interval.low) + (b.interval.high - b.interval.low)
    assert difference([a, a], [a, a]) == Interval(0.0, 0.0, 0.0)


# The report


def loaded(*, moving: bool = False, about: dict[str, Any] | None = None) -> LoadedModel:
    """An untrained model of the tiny preset; `moving`: with a last layer that is not zero."""
    torch.manual_seed(0)
    model = PokeVideo(replace(TINY.model, channels=4)).eval()
    if moving:
        nn.init.normal_(model.decoder.head.weight, std=0.3)
    return LoadedModel(model, {"train": to_json(TINY)} if about is None else about, Path("model.safetensors"))


@pytest.fixture(scope="module")
def report(store: Path, no_public_weights: None) -> HeldoutReport:
    return evaluate(loaded(), store, num_clips=8, quiet=True)


@pytest.fixture(scope="module")
def moving_report(store: Path, no_public_weights: None) -> HeldoutReport:
    return evaluate(loaded(moving=True), store, num_clips=8, quiet=True)


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
    assert evaluate(loaded(), store, num_clips=8, quiet=True) == report
    assert evaluate(loaded(), store, num_clips=8, seed=1, quiet=True).rows["copy"] != report.rows["copy"]


def test_more_clips_than_there_are_is_all_of_them(store: Path) -> None:
    found = evaluate(loaded(), store, num_clips=500, distribution_clips=3, quiet=True)
    assert (found.about["clips"], found.about["distribution_clips"], found.about["real_clips"]) == (32, 3, 3)
    assert found.about["real_clips_that_are_truths_of_generated_ones"] == 0
    assert found.distances["model"]["track Frechet"].generated == 3


def test_clips_of_several_videos_give_an_interval(store: Path) -> None:
    rows = evaluate(loaded(), store, num_clips=8, split="train", quiet=True)
    assert rows.about["split"] == "train" and rows.about["videos"] > 1
    seen = rows.rows["copy"]["psnr"]
    assert seen.low < seen.mean < seen.high


# Batches, and going on


class CutOffError(Exception):
    pass


def judged(store: Path) -> tuple[EvaluationClips, Any]:
    opened = Store.open(store)
    return EvaluationClips(opened, 32, SETTINGS, seed=0), find_judges(opened, None)


def test_the_size_of_batches_and_the_number_of_threads_change_nothing(store: Path, tmp_path: Path) -> None:
    clips, judges = judged(store)
    row = model_row("moving", loaded(moving=True).model)
    truth = score_row(reference_rows()[0], clips, judges, Plan(11), tmp_path, quiet=True)
    found = [
        score_row(row, clips, judges, Plan(11, batch=batch, threads=threads), tmp_path / str(batch), truth, quiet=True)
        for batch, threads in ((1, 1), (4, 3), (16, 1))
    ]
    for other in found[1:]:
        assert other.videos == found[0].videos
        for column, values in found[0].values.items():
            # A last bit decides how a pixel is rounded to eight, and that moves what the tracker finds by a hundredth or so.
            assert other.values[column] == pytest.approx(values, rel=2e-2, abs=1e-2, nan_ok=True), column
        ours, theirs = (distances(m, truth)["track Frechet"].interval.mean for m in (found[0], other))
        assert ours == pytest.approx(theirs, rel=1e-2)


def test_real_clips_are_others_than_the_generated_ones_as_far_as_the_split_goes(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clips, judges = judged(store)
    asked: list[int] = []
    take = EvaluationClips.__getitem__
    monkeypatch.setattr(EvaluationClips, "__getitem__", lambda self, k: (asked.append(k), take(self, k))[1])
    features_of(clips, judges, Plan(9, distribution_clips=5, batch=2), tmp_path, quiet=True)
    assert sorted(asked) == list(range(len(clips) - 5, len(clips)))
    assert [shared_clips(clips, 5, 5), shared_clips(clips, 20, 20), shared_clips(clips, 99, 99)] == [0, 8, 32]


def test_an_extractor_that_needs_longer_clips_is_left_out_and_says_so(store: Path) -> None:
    class Long:
        name, family, dimensions, shortest, digest = "FVD", "a family", 3, 9, "x"

        def __call__(self, x_0: Tensor, frames: Tensor) -> Tensor:
            raise AssertionError("clips are too short for it")

    _, judges = judged(store)
    found = replace(judges, extractors=(Long(), *judges.extractors)).for_clips_of(4)
    assert [e.name for e in found.extractors] == ["track Frechet"]
    assert found.missing["FVD"] == "no clips of 9 frames: these have 4"
    assert [e.name for e in replace(judges, extractors=(Long(),)).for_clips_of(10).extractors] == ["FVD"]


def test_a_worker_that_fails_ends_the_run_with_its_error_and_what_was_whole_is_kept(
    store: Path, tmp_path: Path
) -> None:
    clips, judges = judged(store)
    followed: list[int] = []

    class Failing:
        name, parallel = "another", True

        def __call__(self, frames: Any, wanted: Any) -> Any:
            followed.append(1)
            if len(followed) > 5:
                raise CutOffError
            return {k: np.zeros((2, 32, 32), np.float32) for k in range(1, 5)}

    failing = replace(judges, make_tracker=Failing, tracker="another", extractors=())
    row, plan = reference_rows()[0], Plan(12, batch=4, threads=2)
    with pytest.raises(CutOffError):
        score_row(row, clips, failing, plan, tmp_path, quiet=True)
    (kept,) = tmp_path.iterdir()
    tensors, about = read_tensors(kept)
    assert len(about["videos"]) == 4 and not about["complete"]
    assert tensors["values/poke_epe"].shape == (4,)


def test_nothing_is_downloaded_unless_it_is_allowed(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []
    monkeypatch.setattr(
        "poke2vid.evaluate.heldout.judges.find_extractors", lambda folder, allow: (asked.append(allow), ([], {}))[1]
    )
    evaluate(loaded(), store, num_clips=1, quiet=True)
    evaluate(loaded(), store, num_clips=1, allow_download=True, quiet=True)
    assert asked == [False, True]


def test_a_run_that_was_cut_off_goes_on_and_ends_with_the_same_numbers(store: Path, tmp_path: Path) -> None:
    clips, judges = judged(store)
    model, asked = loaded(moving=True).model, []

    def predict(batch: Any) -> Tensor:
        asked.append(len(batch.frames))
        if len(asked) == limit:
            raise CutOffError
        return model.rollout(batch.frames[:, 0], batch.poke_maps, batch.schedule).frames

    row, plan = Row("cut", "a digest", predict), Plan(12, batch=4, threads=1)
    limit = 5  # in the third batch: each asks twice, once for the ignored poke
    with pytest.raises(CutOffError):
        score_row(row, clips, judges, plan, tmp_path / "a", quiet=True)
    asked.clear()
    limit = 0
    resumed = score_row(row, clips, judges, plan, tmp_path / "a", quiet=True)
    assert asked == [4, 4]  # the third batch alone
    whole = score_row(row, clips, judges, plan, tmp_path / "b", quiet=True)
    assert resumed.values.keys() == whole.values.keys()
    for column, values in whole.values.items():
        np.testing.assert_array_equal(resumed.values[column], values)
    assert torch.equal(resumed.moments["track Frechet"][0].scatter, whole.moments["track Frechet"][0].scatter)
    asked.clear()
    score_row(row, clips, judges, plan, tmp_path / "b", quiet=True)
    assert asked == []  # it is all there


def test_what_is_kept_does_not_grow_with_frames_and_no_frame_is_written(store: Path, tmp_path: Path) -> None:
    clips, judges = judged(store)
    sizes = []
    for count in (4, 24):
        score_row(reference_rows()[1], clips, judges, Plan(count), tmp_path / str(count), quiet=True)
        (kept,) = (tmp_path / str(count)).iterdir()
        sizes.append(kept.stat().st_size)
    assert sizes[1] - sizes[0] < 20 * 200  # numbers and names; a clip's frames are 15 kB


def test_frames_that_are_not_finite_stop_the_run_and_name_row_and_clip(store: Path, tmp_path: Path) -> None:
    clips, judges = judged(store)
    broken = Row("broken", "x", lambda batch: torch.where(batch.frames[:, 1:] > 2, 0.0, float("nan")))
    with pytest.raises(InputError, match=r"^broken predicts frames that are not finite numbers on clip 0"):
        score_row(broken, clips, judges, Plan(4), tmp_path, quiet=True)


def test_clips_are_written_as_videos_where_they_are_asked_for_also_of_what_was_scored_before(
    store: Path, tmp_path: Path
) -> None:
    evaluate(loaded(), store, num_clips=3, work=tmp_path / "work", quiet=True)
    assert not (tmp_path / "videos").exists()
    evaluate(loaded(), store, num_clips=3, work=tmp_path / "work", videos=tmp_path / "videos", quiet=True)
    (place,) = (tmp_path / "videos").iterdir()
    assert sorted(p.name for p in place.iterdir()) == ["00000.mp4", "00001.mp4", "00002.mp4"]
    from poke2vid.media.video import iterate_frames

    frames = list(iterate_frames(place / "00001.mp4"))
    first = to_uint8(EvaluationClips(Store.open(store), 32, SETTINGS, 0)[1].frames[:1])[0]
    assert len(frames) == 5 and frames[0].shape == (32, 64, 3)
    assert np.abs(frames[0][:, :32].astype(float) - first).mean() < 6  # the truth on the left
    evaluate(loaded(moving=True), store, num_clips=3, videos=tmp_path / "videos", quiet=True)  # another model: its own
    (other,) = set((tmp_path / "videos").iterdir()) - {place}
    assert (other / "00001.mp4").read_bytes() != (place / "00001.mp4").read_bytes()


def test_pixel_errors_of_a_motion_known_by_hand(store: Path, tmp_path: Path) -> None:
    """A row that shows x_0 shifted as a whole by the poke: it arrives, and its response is the poke's shift everywhere."""
    clips, judges = judged(store)

    def shifted(batch: Any) -> Tensor:
        moved = []
        for frames, (poke,) in zip(batch.frames, batch.pokes, strict=True):
            steps = [
                torch.roll(frames[0], tuple(round(c * t / 4) for c in poke.shift[::-1]), (1, 2)) for t in (1, 2, 3, 4)
            ]
            moved.append(torch.stack(steps))
        return torch.stack(moved)

    row = score_row(Row("shifted", "s", shifted), clips, judges, Plan(10), tmp_path, quiet=True)
    found, copy = (
        summarised(row),
        summarised(score_row(reference_rows()[1], clips, judges, Plan(10), tmp_path, quiet=True)),
    )
    assert found["poke_epe"].mean < 0.5 * copy["poke_epe"].mean
    assert found["background"].mean > 0.5 * found["poke_length"].mean  # all of the wall goes along
    assert copy["background"].mean == 0
    assert copy["response_epe"].mean == pytest.approx(
        row.values["response_length"][~np.isnan(row.values["response_length"])].mean()
    )


def test_lpips_is_a_column_where_its_weights_are(store: Path, shared: Path) -> None:
    rows = evaluate(loaded(), store, num_clips=2, weights_dir=shared / "weights", quiet=True).rows
    for column in ("lpips", "lpips_alex", "lpips_vgg"):
        assert column not in rows["truth"]
        assert rows["copy"][column].mean > 0.001
    (chosen,) = {
        c
        for c in evaluate(
            loaded(), store, num_clips=2, weights_dir=shared / "weights", lpips=("alex",), quiet=True
        ).rows["copy"]
        if "lpips" in c
    }
    assert chosen == "lpips_alex"


def test_a_model_without_a_training_run_is_judged_at_the_papers_horizon(store: Path) -> None:
    with pytest.raises(InputError, match=r"flow at lags \[4\] but \[10\] are needed"):
        evaluate(loaded(about={}), store, num_clips=1, quiet=True)


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
