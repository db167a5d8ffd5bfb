"""Motion against the strength of an impulse: curves and scores by hand, then scenes and a small model end to end."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from poke2vid.cli.impulse import impulse
from poke2vid.evaluate.impulse.curves import LATE, ImpulseReport, Response, curves, measures, summarise
from poke2vid.evaluate.impulse.figures import plot, write_clips
from poke2vid.evaluate.report import write_report
from poke2vid.media.pictures import read_picture
from poke2vid.media.video import iterate_frames
from poke2vid.model.config import ModelConfig
from poke2vid.model.files import LoadedModel, save_model
from poke2vid.model.poke_video import PokeVideo
from poke2vid.types import InputError, Poke

IMPULSES = ModelConfig(resolution=32, channels=4, decoder="motion", poke_kind="impulse")


def response(row: str, scene: str, poke: int, magnitude: float, *motion: float) -> Response:
    return Response(row, scene, poke, magnitude, np.array(motion, np.float64))


def model_of(config: ModelConfig) -> PokeVideo:
    torch.manual_seed(0)
    return PokeVideo(config).eval()


# Curves


def test_a_curve_is_the_mean_length_of_the_objects_flow_in_every_frame() -> None:
    flows = np.zeros((2, 2, 4, 5), np.float32)
    mask = np.zeros((4, 5), bool)
    mask[1, 2] = mask[3, 4] = True
    flows[0, :, 1, 2] = 3.0, -4.0
    flows[1, :, 1, 2], flows[1, :, 3, 4] = (0.0, 2.0), (6.0, 8.0)
    flows[:, :, 0, 0] = 100.0  # the surroundings
    assert curves(flows, mask).tolist() == [2.5, 6.0]


def test_directions_do_not_cancel_out() -> None:
    flows = np.zeros((1, 2, 1, 2), np.float32)
    flows[0, 0, 0] = 1.0, -1.0
    assert curves(flows, np.ones((1, 2), bool)).tolist() == [1.0]


def test_curves_of_many_pokes_are_those_of_each() -> None:
    flows = np.random.default_rng(0).normal(size=(3, 2, 5, 2, 4, 4)).astype(np.float32)
    mask = np.eye(4, dtype=bool)
    assert np.array_equal(curves(flows, mask)[2, 1], curves(flows[2, 1], mask))


def test_no_object_has_no_curve() -> None:
    assert np.isnan(curves(np.ones((3, 2, 4, 4), np.float32), np.zeros((4, 4), bool))).all()


# Scores


def test_the_end_is_measured_against_the_peak() -> None:
    found = measures(np.array([1.0, 4.0, 2.0, 1.0, 0.5, 0.2, 0.1, 0.1, 0.1]))
    assert found == {"peak": 4.0, "end": 0.1, "end_share": 0.025, "late_share": 0.125, "returned": 0.0}


def test_what_swings_through_rest_at_the_last_frame_has_not_returned() -> None:
    found = measures(np.array([2.0] + [1.0] * LATE + [0.0]))
    assert found["end_share"] == 0 and found["late_share"] == 0.5 and found["returned"] == 0


def test_what_came_to_rest_has_returned() -> None:
    assert measures(np.array([2.0] + [0.1] * LATE))["returned"] == 1


def test_where_nothing_moved_there_is_no_share() -> None:
    found = measures(np.zeros(9))
    assert found["peak"] == 0 and all(np.isnan(found[c]) for c in ("end_share", "late_share", "returned"))


def report() -> ImpulseReport:
    """The truth follows the magnitude and the small one returns; the model does the opposite."""
    rest = [0.0] * LATE
    responses = []
    for scene, peak in (("a", 2.0), ("b", 4.0), ("c", 3.0)):
        responses += [
            response("truth", scene, 0, 1.0, peak, *rest),
            response("truth", scene, 0, 2.0, *[2 * peak] * (LATE + 1)),
            response("model", scene, 0, 1.0, *[3.0] * (LATE + 1)),
            response("model", scene, 0, 2.0, 1.0, *rest),
        ]
    return summarise(responses, {"scenes": 3})


def test_curves_and_scores_are_means_over_scenes_with_their_interval() -> None:
    found = report()
    assert found.curves["truth"][1.0].mean[0] == 3.0
    half = 4.303 / np.sqrt(3)  # of 2, 4 and 3, by Student's t
    low, high = found.curves["truth"][1.0].low[0], found.curves["truth"][1.0].high[0]
    assert (low, high) == pytest.approx((3 - half, 3 + half))
    assert found.rows["truth"][2.0]["peak"].mean == 6.0
    assert found.rows["truth"][1.0]["returned"].mean == 1 and found.rows["truth"][2.0]["returned"].mean == 0


def test_the_order_is_that_of_each_poke_and_has_a_sign() -> None:
    found = report()
    assert found.order["truth"].mean == pytest.approx(1) and found.order["model"].mean == pytest.approx(-1)
    assert found.slower["truth"].mean == 1.0 and found.slower["model"].mean == -1.0


def test_pokes_of_one_scene_are_not_mixed_up() -> None:
    """Each poke follows the magnitude, at levels so different that together they would not."""
    pokes = [
        response("truth", "a", poke, m, m * level, *[0.0] * LATE)
        for poke, level in ((0, 1), (1, 9))
        for m in (1.0, 2.0)
    ]
    assert summarise(pokes, {}).order["truth"].mean == pytest.approx(1)


def test_the_report_says_whether_the_papers_sentence_holds_and_does_not_assume_it() -> None:
    truth, model = (line for line in report().findings() if line.startswith("- "))
    assert truth.startswith("- truth: holds.") and model.startswith("- model: does not hold.")


def test_what_the_intervals_do_not_decide_is_not_decided() -> None:
    rests, stays = [4.0, 2.0, *[0.0] * 7], [4.0] * 9
    small = [response("truth", scene, 0, 0.25, *(stays if scene == "c" else rests)) for scene in "abc"]
    large = [response("truth", scene, 0, 2.0, *stays) for scene in "abc"]
    (line,) = (line for line in summarise([*small, *large], {}).findings() if line.startswith("- "))
    assert line.startswith("- truth: undecided. Returned: a share of 0.667 [0, 1] at 0.25, of 0 [0, 0] at 2")


def test_the_report_is_written_for_people_and_programs(tmp_path: Path) -> None:
    write_report(report(), tmp_path)
    text = (tmp_path / "report.md").read_text()
    assert "| truth | 1 | 3 [0.516, 5.48] |" in text and "- model: -1 [-1, -1]" in text
    found = json.loads((tmp_path / "report.json").read_text())
    assert found["rows"]["truth"]["2"]["peak"]["mean"] == 6.0
    assert found["rank_correlation"]["model"]["mean"] == pytest.approx(-1)
    assert found["curves"]["truth"]["1"]["mean"][0] == 3.0


# Pictures


def test_the_plot_has_a_panel_a_row_and_a_colour_a_magnitude(tmp_path: Path) -> None:
    plot(report(), tmp_path / "motion.png")
    both = read_picture(tmp_path / "motion.png")
    alone = replace(report(), curves={"truth": report().curves["truth"]})
    plot(alone, tmp_path / "one.png")
    one = read_picture(tmp_path / "one.png")
    assert both.shape[0] == one.shape[0] and both.shape[1] > 1.5 * one.shape[1]
    for colour in ((86, 180, 233), (0, 158, 115)):
        assert (both == colour).all(axis=-1).any()


def test_a_row_in_which_nothing_moves_can_be_plotted(tmp_path: Path) -> None:
    plot(summarise([response("truth", "a", 0, 1.0, *[0.0] * 9)], {}), tmp_path / "motion.png")
    picture = read_picture(tmp_path / "motion.png")
    line = (np.abs(picture.astype(int) - (86, 180, 233)).max(axis=-1) < 40).any(axis=1)
    assert line.any() and np.flatnonzero(line)[-1] > picture.shape[0] / 2  # along the axis, at the bottom


def test_clips_have_a_column_a_magnitude_and_an_arrow_as_long_as_it_is_strong(tmp_path: Path) -> None:
    first = np.full((32, 32, 3), 90, np.uint8)
    pokes = [Poke((10, 16), (length, 0.0), "impulse") for length in (2.0, 12.0)]
    clips = [np.repeat(first[None], 3, axis=0)] * 2
    write_clips(tmp_path / "clip.mp4", first, pokes, {"truth": clips, "model": clips}, 25.0)
    frames = list(iterate_frames(tmp_path / "clip.mp4"))
    side = 6 * 32
    assert frames[0].shape == (2 * side + 4, 2 * side + 4, 3) and len(frames) == 15 + 3
    still = read_picture(tmp_path / "clip.png")
    red = (still.astype(int)[..., 0] - still.astype(int)[..., 1]) > 80
    weak, strong = (int(red[row * (side + 4) :][:side, :side].any(axis=0).sum()) for row in (0, 2))
    assert strong - weak == pytest.approx(6 * 10, abs=12)


# Scenes and a model


@pytest.fixture
def physics() -> None:
    import simulated  # noqa: F401 (skips where scenes cannot be simulated)


def test_scenes_are_pushed_in_proportion_and_the_same_seed_gives_the_same(physics: None) -> None:
    from poke2vid.evaluate.impulse.scenes import DIRECTIONS, POINTS, impulse_scenes

    (scene,) = impulse_scenes(1, 32, magnitudes=(0.5, 1.0), frames=6)
    assert len(scene.pokes) == POINTS * DIRECTIONS * 2
    for weak, strong in zip(scene.pokes[::2], scene.pokes[1::2], strict=True):
        assert (weak.number, weak.poke.location) == (strong.number, strong.poke.location)
        assert strong.poke.shift == pytest.approx([2 * c for c in weak.poke.shift])
        assert np.hypot(*strong.poke.shift) == pytest.approx(0.1 * 32)
        x, y = (round(c) for c in weak.poke.location)
        assert scene.mask[y, x]
        slow, fast = curves(weak.flows, scene.mask), curves(strong.flows, scene.mask)
        assert fast[:3] == pytest.approx(2 * slow[:3], rel=0.2)  # springs: nearly linear
        ahead = strong.flows[0, :, y, x] @ np.array(strong.poke.shift)
        assert ahead > 0, "the touched point goes where it is pushed"
    shown = [poke for poke in scene.pokes if poke.frames is not None]
    assert {poke.number for poke in shown} == {0} and shown[0].frames is not None and len(shown[0].frames) == 6
    (again,) = impulse_scenes(1, 32, magnitudes=(0.5, 1.0), frames=6)
    assert np.array_equal(again.pokes[-1].flows, scene.pokes[-1].flows)
    (other,) = impulse_scenes(1, 32, seed=1, magnitudes=(0.5, 1.0), frames=6)
    assert not np.array_equal(other.first, scene.first)


@pytest.mark.slow
def test_a_small_model_is_measured_beside_the_truth(physics: None, tmp_path: Path) -> None:
    from poke2vid.evaluate.impulse.run import TRACKED, measure_impulses

    loaded = LoadedModel(model_of(IMPULSES), {"step": 3}, Path("drawn.safetensors"))
    found = measure_impulses(loaded, tmp_path, scenes=1, quiet=True)
    assert list(found.rows) == ["truth", "model", TRACKED]
    assert found.order["truth"].mean == pytest.approx(1)
    assert found.about["scenes"] == 1 and found.about["step"] == 3
    written = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
    scenes = ["scenes/plants-0-000.mp4", "scenes/plants-0-000.png"]
    assert written == ["motion.png", "report.json", "report.md", *scenes]


def test_a_model_of_shifts_is_refused(physics: None, tmp_path: Path) -> None:
    from dataclasses import replace

    save_model(tmp_path / "shifts.safetensors", model_of(replace(IMPULSES, poke_kind="shift")), {})
    with pytest.raises(InputError, match=r"was trained on shifts .* --preset impulse64"):
        impulse(tmp_path / "shifts.safetensors", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_unknown_family_is_refused(physics: None, tmp_path: Path) -> None:
    save_model(tmp_path / "impulses.safetensors", model_of(IMPULSES), {})
    with pytest.raises(InputError, match="no family 'cats'"):
        impulse(tmp_path / "impulses.safetensors", tmp_path / "out", family="cats")
