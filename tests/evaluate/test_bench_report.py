"""Reports of PokeBench: rows, intervals, sentences, and files that give them back."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from known_disc import ERRORS, FEW, POKES, SHIFTS, Disc, mean, model, run

from poke2vid.evaluate.bench.measure import (
    Scores,
)
from poke2vid.evaluate.bench.report import BenchReport, summarise
from poke2vid.live.animator import Animator
from poke2vid.measures import motion as scores
from poke2vid.measures.table import REPORTS, columns
from poke2vid.media.pictures import read_picture
from poke2vid.players.named import REFERENCES
from poke2vid.players.references import PATCH_SIGMA, Copy
from poke2vid.players.session_player import SessionPlayer
from poke2vid.tracking.trackers import bench_tracker

pytestmark = pytest.mark.usefixtures("no_public_weights")


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bench")


@pytest.fixture(scope="module")
def report(out: Path, no_public_weights: None) -> BenchReport:
    return run(out, {"tiny": SessionPlayer(Animator(model()))})


def test_dragging_a_patch_is_mostly_no_response(report: BenchReport) -> None:
    """The pixels that the shift patch moves most are not judged as the rest of the object."""
    weight = math.exp(-(scores.TOUCHED_RADIUS**2) / (2 * PATCH_SIGMA**2))
    assert weight < 0.35
    assert mean(report, "shift-patch", "response", "a") < 0.35 * mean(report, "exact", "response", "a")


def test_every_report_has_the_reference_rows_and_every_family(report: BenchReport) -> None:
    assert list(report.rows) == ["all", "a", "b"]
    assert list(report.rows["all"]) == ["tiny", *REFERENCES]
    assert list(report.rows["all"]["copy"]) == [c for c in REPORTS["bench"] if c != "lpips"]
    assert list(report.rows["all"]["oracle"]) == [c for c in REPORTS["bench"] if c not in ("lpips", "long_drift")]
    assert "long_drift" not in report.rows["all"]["exact"]
    assert list(report.rows["all"]["tiny"]) == [c for c in REPORTS["bench"] if c != "lpips" and "impulse" not in c]
    assert report.rows["b"]["oracle"]["poke_epe"].scenes == 1


def test_the_reference_rows_say_what_they_must(report: BenchReport) -> None:
    for column in ERRORS:
        assert mean(report, "exact", column) == 0.0, column
    assert mean(report, "copy", "poke_epe") == pytest.approx(mean(report, "copy", "poke_length"), rel=0.02)
    assert mean(report, "oracle", "poke_epe") < 0.3 * mean(report, "copy", "poke_epe")
    assert mean(report, "oracle", "response_epe") < 0.4 * mean(report, "copy", "response_epe")
    assert mean(report, "oracle", "rank") == pytest.approx(1.0)
    assert mean(report, "copy", "rank") == mean(report, "copy", "long_drift") == 0.0
    assert (mean(report, "oracle", "psnr"), mean(report, "oracle", "ssim")) == (100.0, pytest.approx(1.0))
    assert mean(report, "copy", "psnr") < 30 and mean(report, "copy", "ssim") < 0.95
    assert mean(report, "copy", "ignored_poke") == pytest.approx(0.0, abs=0.02)
    assert mean(report, "copy", "rest_drift") == pytest.approx(0.0, abs=0.02)


def test_the_shift_patch_obeys_the_poke_and_understands_nothing(report: BenchReport) -> None:
    assert mean(report, "shift-patch", "poke_epe", "a") < 0.6 * mean(report, "copy", "poke_epe", "a")
    assert mean(report, "shift-patch", "response_epe") > 2 * mean(report, "oracle", "response_epe")
    assert mean(report, "shift-patch", "ignored_poke") > 0.1
    assert mean(report, "shift-patch", "rest_drift") == mean(report, "copy", "rest_drift")


def test_a_cell_says_how_many_values_of_how_many_scenes_it_rests_on(report: BenchReport) -> None:
    cells = report.rows["all"]["copy"]
    assert (cells["poke_epe"].samples, cells["poke_epe"].scenes) == (3 * len(SHIFTS), 3)
    assert cells["diff_epe"].samples == 3 * 10
    assert cells["rest_drift"].samples == 3 * 2
    assert cells["poke_epe"].low <= cells["poke_epe"].mean <= cells["poke_epe"].high


def test_families_are_means_of_their_own_scenes(report: BenchReport) -> None:
    a, b = (mean(report, "copy", "poke_epe", family) for family in "ab")
    assert a != pytest.approx(b)
    assert mean(report, "copy", "poke_epe") == pytest.approx((2 * a + b) / 3)


def test_differences_are_taken_poke_by_poke(report: BenchReport) -> None:
    assert set(report.differences) == {"tiny", "shift-patch", "oracle"}
    assert list(report.differences["shift-patch"]) == ["copy"]
    gain = report.differences["oracle"]["copy"]["poke_epe"]
    expected = mean(report, "oracle", "poke_epe") - mean(report, "copy", "poke_epe")
    assert gain.mean == pytest.approx(expected)
    assert gain.low <= gain.mean <= gain.high and gain.mean < 0
    assert list(report.differences["tiny"]) == ["copy", "shift-patch"]


def test_pairing_makes_intervals_narrower_than_the_scenes_are_apart(tmp_path: Path) -> None:
    scenes = [Disc(str(k), seed=k, turns=bool(k % 2), records=FEW) for k in range(4)]
    same = Copy()
    same.digest = "another"
    found = run(tmp_path, {"same": same}, scenes=scenes)
    row = found.differences["same"]["copy"]["poke_epe"]
    assert (row.mean, row.low, row.high) == (0.0, 0.0, 0.0)
    alone = found.rows["all"]["same"]["poke_epe"]
    assert alone.high - alone.low > 0.05


def test_responses_are_the_mean_motion_for_every_asked_length(report: BenchReport) -> None:
    lengths = sorted({POKES[number].length for number in SHIFTS})
    assert list(report.responses) == ["all", "a", "b"]
    assert [len(points) for points in report.responses["all"].values()] == [len(lengths)] * 5
    exact = report.responses["all"]["exact"]
    assert [y for _, y in exact] == sorted(y for _, y in exact)
    assert max(y for _, y in report.responses["all"]["copy"]) < 0.1 * exact[-1][1]
    a, b = (report.responses[family]["exact"] for family in "ab")
    assert exact[0][1] == pytest.approx((2 * a[0][1] + b[0][1]) / 3)


def test_pokes_that_the_tracker_cannot_follow_are_left_out_for_every_player_alike() -> None:
    def sample(number: int, error: float) -> Scores:
        return Scores((number,), "shift", 0.1, {"poke_epe": error, "poke_epe_share": 10 * error})  # of ten pixels

    floor = [sample(0, 1.0), sample(1, 3.3), sample(2, 3.4)]
    rows = {"model": [sample(k, 7.0 + k) for k in range(3)], "copy": [sample(k, 10.0) for k in range(3)]}
    results = {name: {"s": samples} for name, samples in {**rows, "shift-patch": rows["copy"], "oracle": floor}.items()}
    found = summarise(results, {"s": "f"}, {}, 0)
    assert mean(found, "model", "followed_epe") == 7.5 and mean(found, "model", "poke_epe") == 8.0
    assert found.rows["all"]["copy"]["followed_epe"].samples == 2
    assert found.differences["model"]["copy"]["followed_epe"].mean == -2.5


def test_a_report_survives_being_written(tmp_path: Path, report: BenchReport) -> None:
    report.write(tmp_path / "new")
    assert json.loads((tmp_path / "new" / "report.json").read_text()) == json.loads(json.dumps(report.to_json()))
    text = (tmp_path / "new" / "report.md").read_text()
    assert str(report.rows["all"]["copy"]["poke_epe"]) in text
    assert str(report.differences["tiny"]["copy"]["response_epe"]) in text
    for said in (
        "## All scenes",
        "## A",
        "## B",
        "tracker dis (fast, fine up to 256) from frame to frame",
        "lpips no weights found",
        "seed 0",
        "fps 25",
    ):
        assert said in text
    for column in REPORTS["bench"]:
        assert f"- `{column}`: {columns('bench')[column]}" in text
    tables = [line for line in text.splitlines() if line.startswith("| poke_epe ")]
    assert len(tables) == 3 and all(line.count("|") == 8 for line in tables)
    assert "NaN" not in (tmp_path / "new" / "report.json").read_text()
    for plot in ("response", "poke_epe", "response_epe"):
        sheets = [read_picture(tmp_path / "new" / f"{plot}{of}.png") for of in ("", "-a", "-b")]
        assert all(sheet.std() > 10 for sheet in sheets)
        assert not any(np.array_equal(sheets[0], sheet) for sheet in sheets[1:])


def test_a_report_opens_with_how_the_player_does_beside_copy_patch_and_floor() -> None:
    def samples(error: float) -> dict[str, list[Scores]]:
        values = {"poke_epe": error, "poke_epe_share": 10 * error, "response_epe": error / 2}
        return {f"s{k}": [Scores((0,), "shift", 0.1, values)] for k in range(3)}

    errors = {"mine": 4.0, "other": 9.0, "shift-patch": 4.0, "copy": 8.0, "oracle": 1.0, "exact": 0.0}
    results = {name: samples(error) for name, error in errors.items()}
    about = {"bench": "b", "scenes": 3, "acceptance": "plants: 4 scenes tried for 3 places (1 no room)"}
    lines = summarise(results, dict.fromkeys(("s0", "s1", "s2"), "f"), about, 0).to_markdown().splitlines()
    assert lines[2] == (
        "`mine`: poke-EPE 4 px, better than copy (8) and not told apart from shift-patch (4), where the tracker errs by 1 "
        "on the true frames; response-EPE 2 px, better than copy (4) and not told apart from shift-patch (2), where the "
        "tracker errs by 0.5 on the true frames."
    )
    assert lines[4].startswith("`other`: poke-EPE 9 px, worse than copy (8)")
    assert "How the bench came about: plants: 4 scenes tried for 3 places (1 no room)." in lines


def test_a_player_that_was_asked_no_shift_has_a_sentence_too() -> None:
    shift = {"s": [Scores((0,), "shift", 0.1, {"poke_epe": 1.0, "poke_epe_share": 10.0})]}
    rest = {"s": [Scores((1,), "none", 0.0, {"rest_drift": 0.5})]}
    results = {"pushed": rest, "shift-patch": shift, "copy": shift, "oracle": shift}
    assert summarise(results, {"s": "f"}, {}, 0).verdict("pushed") == "`pushed`: was not asked any shift."


def test_the_summary_is_one_line_with_the_headlines(report: BenchReport) -> None:
    assert report.summary.startswith("discs 0123, 3 scenes: poke-EPE tiny ")
    assert f"copy {mean(report, 'copy', 'response_epe'):.3g}" in report.summary
    assert "\n" not in report.summary


def test_the_seed_changes_intervals_and_not_means(out: Path, report: BenchReport) -> None:
    again = run(out, {"tiny": SessionPlayer(Animator(model()))}, seed=1)
    assert mean(again, "copy", "poke_epe") == mean(report, "copy", "poke_epe")
    assert again.about["seed"] == 1


def test_results_are_plain_json_with_their_key(out: Path, report: BenchReport) -> None:
    values = json.loads((out / "scenes" / "tiny" / "a-1.json").read_text())
    assert values["key"]["scene"] == "a-1" and values["key"]["tracker"] == bench_tracker().name
    assert values["samples"][0]["pokes"] == [0] and values["samples"][0]["role"] == "shift"
