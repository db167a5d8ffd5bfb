"""Runs of PokeBench: what is measured once, what again, and what it costs; on one process and on two."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from known_disc import (
    BRIEF,
    FEW,
    LAST,
    MOMENTS,
    POKES,
    SHIFTS,
    Counting,
    CountingTracker,
    Disc,
    T,
    mean,
    model,
    picture,
    run,
)

from poke2vid.evaluate.bench.measure import (
    Measurement,
    Timing,
    TrackedFrames,
)
from poke2vid.flow.chain import FlowChain
from poke2vid.model.files import save_model
from poke2vid.players.named import load_players
from poke2vid.players.player import ALL_KINDS
from poke2vid.players.references import Copy
from poke2vid.tracking.trackers import bench_tracker, lpips_if_found
from poke2vid.types import InputError, Poke

pytestmark = pytest.mark.usefixtures("no_public_weights")


def test_a_second_run_plays_and_tracks_nothing(tmp_path: Path) -> None:
    player, counter = Counting(), CountingTracker()
    tracker = FlowChain(counter)
    before = run(tmp_path, {"p/q": player}, make_tracker=lambda: tracker, scenes=BRIEF[:2])
    assert player.asked == 2 * len(FEW)
    calls = counter.calls
    assert run(tmp_path, {"p/q": player}, make_tracker=lambda: tracker, scenes=BRIEF[:2]) == before
    assert (player.asked, counter.calls) == (2 * len(FEW), calls)


def test_only_what_is_missing_is_measured(tmp_path: Path) -> None:
    player = Counting()
    run(tmp_path, {"p": player}, scenes=BRIEF[:1])
    more = run(tmp_path, {"p": player}, scenes=BRIEF[:2])
    assert player.asked == 2 * len(FEW) and more.about["scenes"] == 2
    (tmp_path / "scenes" / "p" / "a-1.json").write_text('{"key": ')
    assert run(tmp_path, {"p": player}, scenes=BRIEF[:2]) == more
    assert player.asked == 3 * len(FEW)


@pytest.mark.parametrize(
    "changed",
    [
        {"bench": "discs 9"},
        {"arrive": 5},
        {"player": Counting("retrained")},
        {"scenes": [replace(BRIEF[0], seed=9)]},  # drawn anew
    ],
)
def test_a_changed_key_measures_again(tmp_path: Path, changed: dict[str, Any]) -> None:
    player = changed.pop("player", Counting())
    run(tmp_path, {"p": Counting()}, scenes=BRIEF[:1])
    run(tmp_path, {"p": player}, **{"scenes": BRIEF[:1], **changed})
    assert player.asked == len(FEW)


def test_players_whose_names_make_the_same_file_name_are_kept_apart(tmp_path: Path) -> None:
    first, second = Counting("1"), Counting("2")
    for _ in range(2):
        run(tmp_path, {"a/b": first, "a_b": second}, scenes=BRIEF[:1])
    assert (first.asked, second.asked) == (len(FEW), len(FEW))


def test_a_scene_costs_as_many_looks_as_were_promised() -> None:
    counter, scene = CountingTracker(), Disc()
    still = TrackedFrames(scene, lambda k: np.repeat(scene.first[None], LAST, 0), FlowChain(counter), MOMENTS)
    Measurement(scene, still, MOMENTS).scores()
    assert counter.calls == 0, "of equal frames nobody need ask"
    Measurement(scene, TrackedFrames(scene, scene.frames, FlowChain(counter), MOMENTS), MOMENTS).scores()
    # Two looks a step: shifts go on for T frames and then rest, the impulse is back at T.
    assert counter.calls == 2 * T * (len(SHIFTS) + 1)


def test_a_tracker_goes_along_every_frame_to_t_and_fewer_after_it_and_always_to_the_last() -> None:
    assert Timing(5, 10, 25).stations(True) == [*range(1, 11), 13, 16, 19, 22, 25]
    assert Timing(2, 4, 6).stations(True) == [1, 2, 3, 4, 6]
    assert Timing(5, 10, 10).stations(True) == list(range(1, 11))
    assert Timing(5, 10, 25).stations(False) == [5, 10, 25]


class Drifting:
    """A disc that goes to the right, a pixel in 250 frames, whatever it is asked."""

    digest, kinds, asked = "drifting", ALL_KINDS, list[tuple[str, int]]()

    def play(self, first: np.ndarray, poke: Poke | None, frames: int) -> np.ndarray:
        self.asked.append(("none" if poke is None else poke.kind, frames))
        last = picture(1, False, float(frames // 250), 0.0)
        return np.concatenate((np.repeat(first[None], frames - 1, axis=0), last[None]))


def test_the_drift_over_a_thousand_frames_is_measured_on_two_scenes_of_each_family_and_kept(tmp_path: Path) -> None:
    resting = (*FEW, POKES[8])
    scenes = [Disc(f"{f}-{k}", f, 1, records=resting) for f, k in (("b", 1), ("a", 3), ("a", 2), ("a", 1))]
    player, counter = Drifting(), CountingTracker()
    tracker = FlowChain(counter)
    player.asked.clear()
    found = run(tmp_path, {"p": player}, scenes=scenes, make_tracker=lambda: tracker)
    assert [asked for asked in player.asked if asked[1] > LAST] == [("none", 1000)] * 3
    cell = found.rows["all"]["p"]["long_drift"]
    assert (cell.samples, cell.scenes) == (3, 3) and cell.mean == pytest.approx(4.0, abs=0.3)
    assert sorted(file.stem for file in (tmp_path / "long" / "p").iterdir()) == ["a-1", "a-2", "b-1"]
    assert mean(found, "copy", "long_drift") == mean(found, "shift-patch", "long_drift") == 0.0
    calls, asked = counter.calls, len(player.asked)
    assert run(tmp_path, {"p": player}, scenes=scenes, make_tracker=lambda: tracker) == found
    assert (counter.calls, len(player.asked)) == (calls, asked)


def test_a_run_on_some_scenes_of_each_family_takes_the_first_by_name_and_says_how_many(tmp_path: Path) -> None:
    scenes = [Disc(name, name[0], records=FEW) for name in ("b-2", "a-2", "b-1", "a-1", "a-3")]
    found = run(tmp_path, scenes=scenes, per_family=1)
    assert sorted(file.stem for file in (tmp_path / "scenes" / "copy").iterdir()) == ["a-1", "b-1"]
    assert (found.about["scenes"], found.about["scenes_of_the_bench"]) == (2, 5)
    assert "scenes 2, scenes of the bench 5" in found.to_markdown()
    with pytest.raises(InputError, match="0 scenes of each family"):
        run(tmp_path, scenes=scenes, per_family=0)


@pytest.mark.slow
@pytest.mark.thorough
def test_two_processes_measure_the_same_to_the_last_bit(tmp_path: Path) -> None:
    save_model(tmp_path / "tiny.safetensors", model(), {})
    scenes = [replace(scene, records=(*FEW, POKES[8])) for scene in BRIEF]
    reload = partial(load_players, [str(tmp_path / "tiny.safetensors")], 10)
    alone, together = (
        run(tmp_path / str(workers), reload(), scenes=scenes, workers=workers, reload=reload) for workers in (1, 2)
    )
    assert together == alone
    files = {str(file.relative_to(tmp_path / "1")): file.read_bytes() for file in (tmp_path / "1").rglob("*.json")}
    assert len(files) == 2 * (5 + 3)
    assert files == {str(f.relative_to(tmp_path / "2")): f.read_bytes() for f in (tmp_path / "2").rglob("*.json")}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"scenes": []}, "holds no scene"),
        ({"scenes": [BRIEF[0], BRIEF[0]]}, "two scenes are called 'a-1'"),
        ({"arrive": 1}, r"at frame 1 of 6; choose 2 \.\.\. 6"),
        ({"arrive": 7}, "at frame 7 of 6"),
        ({"players": {"oracle": Copy()}}, "cannot be called 'oracle'"),
    ],
)
def test_what_cannot_be_run_is_a_sentence(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        run(tmp_path, **changes)


def test_lpips_judges_where_its_weights_are(tmp_path: Path, shared: Path) -> None:
    found = run(tmp_path, scenes=[Disc(records=POKES[2:3])], weights_dir=shared / "weights")
    assert found.about["tracker"] == bench_tracker().name
    assert mean(found, "oracle", "poke_epe") < 2.0 < 5.0 < mean(found, "copy", "poke_epe")
    assert mean(found, "oracle", "lpips") == pytest.approx(0.0, abs=1e-6)
    assert mean(found, "copy", "lpips") > 0.001
    assert lpips_if_found(None) is None


def test_the_truth_is_worked_out_once_for_all_rows(tmp_path: Path) -> None:
    class Slow(Disc):
        def flow(self, poke: int, frame: int) -> np.ndarray:
            asked.append((poke, frame))
            return super().flow(poke, frame)

    asked: list[tuple[int, int]] = []
    run(tmp_path, scenes=[Slow(records=FEW)])
    assert len(asked) == len(set(asked)) == 2 * 3 + 1  # two shifts at three frames, and what rests at the last


def test_what_a_scene_reads_is_not_kept(tmp_path: Path) -> None:
    class Keeping(Disc):
        def frames(self, poke: int) -> np.ndarray:
            self.__dict__["cache"] = super().frames(poke)
            return self.__dict__["cache"]

    scene = Keeping(records=FEW)
    run(tmp_path, scenes=[scene])
    assert "cache" not in scene.__dict__
