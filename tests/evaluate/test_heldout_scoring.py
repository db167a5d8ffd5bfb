"""Rows scored in batches: what changes nothing, what is kept, and runs that are cut off and go on."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from held_out import ANY, SETTINGS, judged, loaded, moving_squares
from moving_square import write_square
from torch import Tensor

from poke2vid.data.prepare.run import PrepareSettings, prepare
from poke2vid.data.store import Store
from poke2vid.evaluate.heldout.clips import EvaluationClips
from poke2vid.evaluate.heldout.distances import distances
from poke2vid.evaluate.heldout.evaluate import evaluate
from poke2vid.evaluate.heldout.report import summarised
from poke2vid.evaluate.heldout.rows import Row
from poke2vid.evaluate.heldout.scoring import Plan, features_of, score_row, shared_clips
from poke2vid.evaluate.heldout.sources import model_row, reference_rows
from poke2vid.files import read_tensors
from poke2vid.flow.back import FlowBack
from poke2vid.media.pictures import to_uint8
from poke2vid.types import InputError

pytestmark = pytest.mark.usefixtures("no_public_weights")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return moving_squares(tmp_path_factory.mktemp("evaluate"))


class CutOffError(Exception):
    pass


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
        ours, theirs = (distances(m, truth, ANY)["track Frechet"].interval.mean for m in (found[0], other))
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


def test_clips_in_turn_give_as_many_of_every_film_as_it_has(tmp_path: Path) -> None:
    for name, frames in (("train", 10), ("short", 8), ("long", 40), ("cut", 9), ("cut#2", 9)):
        write_square(tmp_path / "videos" / f"{name}.mp4", frames, step=(2, 1))
    settings = PrepareSettings(resolution=32, lags=(4,), workers=0, test=("short", "long", "cut*"))
    prepare(tmp_path / "videos", tmp_path / "store", settings, quiet=True)
    store = Store.open(tmp_path / "store")
    clips, even = (EvaluationClips(store, 32, replace(SETTINGS, evenly=evenly), seed=0) for evenly in (False, True))
    of = [even.video_of(k) for k in range(len(even))]
    short = of.count("short")
    assert set(of) == {"short", "long", "cut"} and 1 < short < of.count("cut") < of.count("long")
    assert all(set(of[3 * k : 3 * k + 3]) == set(of) for k in range(short))
    assert len({tuple(of[3 * k : 3 * k + 3]) for k in range(short)}) > 1  # no film is always the first
    assert len(clips) == len(even) and set(clips._order) == set(even._order)
    assert "evenly" not in clips.key and even.key["evenly"] is True and clips.key["videos"] == "films"
    # The other side of a distance has the same films, other clips as far as there are, and the farthest in time
    others = even.others(6)
    assert sorted(of[k] for k in others) == sorted(of[:6]) and not set(others) & set(range(6))
    assert shared_clips(even, 6, 6) == 0 and 0 < even.sharing_frames(others, 6) < 6
    [long] = {even._order[k][0] for k in range(6) if of[k] == "long"}
    starts = [[s for v, s in map(even._order.__getitem__, numbers) if v == long] for numbers in (range(6), others)]
    assert min(abs(a - b) for a in starts[0] for b in starts[1]) > SETTINGS.horizon
    assert sorted(even.others(len(even))) == list(range(len(even)))
    assert clips.others(2) == [len(clips) - 1, len(clips) - 2]


def test_confirmed_pokes_lie_on_what_moves_and_have_clips_of_their_own(store: Path) -> None:
    opened = Store.open(store)
    settings = replace(SETTINGS, told=2)
    usual, confirmed = (EvaluationClips(opened, 32, replace(settings, confirmed=c), seed=0) for c in (False, True))
    assert "confirmed" not in usual.key and confirmed.key["confirmed"] is True and len(usual) == len(confirmed)
    back, moved = FlowBack(), 0
    for k in range(10):
        clip, other = confirmed[k], usual[k]
        assert torch.equal(clip.frames, other.frames) and torch.equal(clip.displacement, other.displacement)
        first, last = to_uint8(clip.frames)[[0, -1]]
        known = back.confirms(clip.displacement, first, last)
        assert clip.paths is not None
        for x, y in (clip.pokes[0].location, *clip.paths[:, 0].tolist()):
            assert known[int(y), int(x)] or not known.any()
        moved += clip.pokes != other.pokes
    assert moved > 2


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
    evaluate(loaded(), store, num_clips=1, fewest=ANY, quiet=True)
    evaluate(loaded(), store, num_clips=1, allow_download=True, fewest=ANY, quiet=True)
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
    evaluate(loaded(), store, num_clips=3, work=tmp_path / "work", fewest=ANY, quiet=True)
    assert not (tmp_path / "videos").exists()
    evaluate(loaded(), store, num_clips=3, work=tmp_path / "work", videos=tmp_path / "videos", fewest=ANY, quiet=True)
    (place,) = (tmp_path / "videos").iterdir()
    assert sorted(p.name for p in place.iterdir()) == ["00000.mp4", "00001.mp4", "00002.mp4"]
    from poke2vid.media.video import iterate_frames

    frames = list(iterate_frames(place / "00001.mp4"))
    first = to_uint8(EvaluationClips(Store.open(store), 32, SETTINGS, 0)[1].frames[:1])[0]
    assert len(frames) == 5 and frames[0].shape == (32, 64, 3)
    assert np.abs(frames[0][:, :32].astype(float) - first).mean() < 6  # the truth on the left
    evaluate(
        loaded(moving=True), store, num_clips=3, videos=tmp_path / "videos", fewest=ANY, quiet=True
    )  # another model: its own
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
