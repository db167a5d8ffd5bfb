"""Motion correlation (Fig. 5): the map, its scores, and the command, on responses whose answer is known."""

import json
import sys

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from poke2vid.cli.correlate import correlate as command
from poke2vid.evaluate.structure.correlate import correlate
from poke2vid.evaluate.structure.correlators import FrameCorrelator
from poke2vid.evaluate.structure.maps import SHORTEST, Settings, map_of, random_shifts, with_frames
from poke2vid.live.script import parse_pairs
from poke2vid.measures import correlation
from poke2vid.measures.table import REPORTS
from poke2vid.media.pictures import read_picture
from poke2vid.model.files import save_model
from poke2vid.model.poke_video import PokeVideo
from poke2vid.train.presets import preset
from poke2vid.types import InputError

SHIFTS = random_shifts(100, 8.0, seed=3)
STILL = float(correlation.still_difference(SHIFTS).var())


def flows_of(*movers: np.ndarray) -> np.ndarray:
    """One pixel a mover, whose motion in every video is given as `k 2`; as flows of a picture one pixel high."""
    return np.stack(movers, axis=-1)[:, :, None].astype(np.float32)


def variances(*movers: np.ndarray, shifts: np.ndarray = SHIFTS) -> list[float]:
    return correlation.motion_variance(flows_of(*movers), shifts)[0].tolist()


def test_a_pixel_that_does_as_the_poke_has_no_variance_and_a_still_one_has_much():
    follows, still = variances(SHIFTS, 0 * SHIFTS)
    assert follows == pytest.approx(0, abs=1e-12)
    assert still == pytest.approx(STILL)
    assert 0.05 < still < 0.09  # of two even distances, 0.9 of a unit and 1 of a unit wide


def test_the_difference_is_of_length_and_angle_in_their_units():
    shifts = np.array([[4.0, 0.0], [0.0, 8.0]])
    flows = flows_of(np.array([[0.0, 4.0], [0.0, 4.0]]))  # a right angle off, then half as long
    assert correlation.difference(flows, shifts)[:, 0, 0].tolist() == pytest.approx([0.5, 0.5])


def test_angles_are_compared_the_short_way_round():
    shifts = 5 * np.array([[np.cos(3.1), np.sin(3.1)], [np.cos(3.1), -np.sin(3.1)]])
    flows = flows_of(shifts * [1, -1])  # 0.08 apart across the negative axis
    assert correlation.difference(flows, shifts)[:, 0, 0] == pytest.approx(2 * (np.pi - 3.1) / np.pi, abs=1e-6)


def test_the_more_of_the_poke_a_pixel_takes_the_less_it_varies():
    found = variances(*(share * SHIFTS for share in (1.0, 0.75, 0.5, 0.25)), 0 * SHIFTS)
    assert found == sorted(found)
    lengths = np.hypot(*SHIFTS.T) / np.hypot(*SHIFTS.T).max()
    wholly = [k for k in range(100) if lengths[k] * 0.75 > correlation.STILL]
    assert len(wholly) == 100
    assert found[1] == pytest.approx(lengths.var() * 0.25**2, rel=1e-4)


def test_what_moves_by_itself_is_no_more_bound_than_what_is_still():
    other = random_shifts(100, 8.0, seed=4)
    assert variances(other)[0] > 0.5 * STILL


def test_an_opposite_mover_is_bound_by_the_papers_measure_and_the_loosest_of_all_by_the_mean_square():
    flows = flows_of(SHIFTS, -SHIFTS, 0 * SHIFTS)
    assert correlation.motion_variance(flows, SHIFTS)[0, 1] == pytest.approx(0, abs=1e-12)
    follows, opposite, still = correlation.mean_square(flows, SHIFTS)[0]
    assert follows == pytest.approx(0, abs=1e-12)
    assert opposite == pytest.approx(1)
    assert opposite > still


def test_a_track_lost_in_a_third_of_the_videos_tops_a_still_pixel_in_variance_and_not_in_mean_square():
    lost = SHIFTS.copy()
    lost[::3] *= -1
    flows = flows_of(lost, 0 * SHIFTS)
    variance, square = correlation.motion_variance(flows, SHIFTS)[0], correlation.mean_square(flows, SHIFTS)[0]
    assert variance[0] > variance[1]
    assert square[0] < square[1]


def test_the_map_is_that_of_any_size_of_frame_and_any_order_of_videos():
    rng = np.random.default_rng(0)
    flows = rng.normal(size=(100, 2, 5, 7)).astype(np.float32) * 4
    found = correlation.motion_variance(flows, SHIFTS)
    assert correlation.motion_variance(4 * flows, 4 * SHIFTS) == pytest.approx(found, abs=1e-6)
    order = rng.permutation(100)
    assert correlation.motion_variance(flows[order], SHIFTS[order]) == pytest.approx(found)


def test_what_hardly_moves_points_nowhere():
    below = 0.9 * correlation.STILL * np.hypot(*SHIFTS.T).max()
    pointing = below * SHIFTS / np.hypot(*SHIFTS.T)[:, None]
    assert variances(pointing)[0] == pytest.approx(STILL, rel=0.1)


def test_half_of_a_rigid_toy_moves_with_l_and_is_told_from_the_rest_without_an_error():
    part = np.zeros((6, 8), dtype=bool)
    part[:, :4] = True
    flows = np.where(part, SHIFTS[:, :, None, None], 0).astype(np.float32)
    found = map_of(flows, SHIFTS, (1.0, 2.0))
    for measure in REPORTS["maps"]:
        heat = found.by(measure).heat
        assert heat[part].min() == pytest.approx(1)
        assert heat[~part].max() == pytest.approx(0)
        assert correlation.auc(heat.ravel(), part.ravel()) == 1
        assert correlation.iou(heat.ravel() > correlation.otsu(heat.ravel()), part.ravel()) == 1


def test_a_picture_that_moves_along_against_and_not_at_all_is_told_apart_by_the_sign_of_its_response():
    flows = np.zeros((100, 2, 6, 9), np.float32)
    flows[:, :, :, :3] = SHIFTS[:, :, None, None]  # moves with the poke
    flows[:, :, :, 3:6] = -SHIFTS[:, :, None, None]  # against it
    response = correlation.signed_response(flows, SHIFTS)
    assert (
        response[:, :3] == pytest.approx(1) and response[:, 3:6] == pytest.approx(-1) and (response[:, 6:] == 0).all()
    )
    found = map_of(flows, SHIFTS, (1.0, 2.0), "signed-response")
    assert found.disagreement == pytest.approx(1 - response) and found.still["signed-response"] == 0
    along = np.zeros((6, 9), dtype=bool)
    along[:, :3] = True
    assert np.array_equal(correlation.above_otsu(found.heat), along)
    assert correlation.above_otsu(found.by("variance").heat)[:, 3:6].all()  # the paper's measure binds what is opposite


def test_the_signed_response_is_a_share_of_the_poke_and_motion_across_it_is_none():
    across = SHIFTS[:, ::-1] * [1, -1]
    with_drift = 0.5 * SHIFTS + [3.0, 1.0]  # of the whole picture, whatever the poke
    half, sideways, drifting = correlation.signed_response(flows_of(0.5 * SHIFTS, across, with_drift), SHIFTS)[0]
    assert (half, sideways) == pytest.approx((0.5, 0), abs=1e-6)
    assert drifting == pytest.approx(0.5, abs=0.2)


@pytest.mark.parametrize(
    "shifts", [np.ones((1, 2)), np.zeros((0, 2)), np.array([[1.0, 0.0], [0.0, 0.0]])], ids=["one", "none", "no length"]
)
def test_pokes_that_cannot_vary_are_refused(shifts):
    with pytest.raises(InputError, match="two or more"):
        correlation.difference(np.zeros((len(shifts), 2, 1, 1)), shifts)


def test_pokes_that_are_all_alike_are_refused():
    with pytest.raises(InputError, match="all alike"):
        correlation.still_difference(np.ones((5, 2)))


# Scores


@pytest.mark.parametrize("seed", range(5))
def test_the_area_under_the_curve_is_the_share_of_pairs_in_order_also_with_ties(seed):
    rng = np.random.default_rng(seed)
    scores, positive = rng.integers(0, 6, 60).astype(float), rng.random(60) < 0.4
    pairs = [(a > b) + 0.5 * (a == b) for a in scores[positive] for b in scores[~positive]]
    assert correlation.auc(scores, positive) == pytest.approx(np.mean(pairs))


def test_the_area_is_a_half_where_nothing_is_known_and_unknown_where_one_kind_is_missing():
    assert correlation.auc(np.zeros(10), np.arange(10) < 3) == 0.5
    assert np.isnan(correlation.auc(np.arange(3.0), np.ones(3, dtype=bool)))


def test_otsu_parts_two_heaps_in_the_middle_between_them():
    heaps = np.concatenate((np.full(30, 0.1), np.full(70, 0.9)))
    assert correlation.otsu(heaps) == pytest.approx(0.5, abs=0.01)
    assert not (np.full(4, 0.3) > correlation.otsu(np.full(4, 0.3))).any()


@pytest.mark.parametrize("seed", range(5))
def test_the_best_threshold_is_the_best_of_all(seed):
    rng = np.random.default_rng(seed)
    scores, part = rng.integers(0, 8, 50).astype(float), rng.random(50) < 0.3
    tried = [correlation.iou(scores >= threshold, part) for threshold in np.unique(scores)]
    assert correlation.best_iou(scores, part) == pytest.approx(max(tried))


# Pokes


def test_random_pokes_are_the_same_for_the_same_seed_and_even_in_length_and_direction():
    assert np.array_equal(random_shifts(100, 8.0, 3), SHIFTS)
    assert not np.array_equal(random_shifts(100, 8.0, 4), SHIFTS)
    lengths, angles = np.hypot(*SHIFTS.T), np.arctan2(SHIFTS[:, 1], SHIFTS[:, 0])
    low = 8 * SHORTEST
    assert np.histogram(lengths, bins=10, range=(low, 8))[0].tolist() == [10] * 10
    assert np.histogram(angles % (2 * np.pi), bins=10, range=(0, 2 * np.pi))[0].tolist() == [10] * 10


# A model


@pytest.fixture(scope="module")
def model() -> PokeVideo:
    torch.manual_seed(0)
    return PokeVideo(preset("tiny").model).eval()


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    y, x = np.mgrid[:40, :60]
    return np.stack((127 + 100 * np.sin(x / 3), 127 + 100 * np.sin(y / 4), 127 + 60 * np.sin((x + y) / 5)), -1).astype(
        np.uint8
    )


def settings(**given) -> Settings:
    return Settings(**{"pokes": 6, "frames": 3, "batch": 3, **given})


def test_a_model_of_any_weights_is_mapped_and_written(model, picture, tmp_path):
    outputs = [tmp_path / "map.png", tmp_path / "map.npz", tmp_path / "map.json"]
    numbers = correlate(
        FrameCorrelator(model, settings()), picture, [(10.0, 8.0), (59.0, 39.0)], outputs, "random", quiet=True
    )
    assert numbers == json.loads(outputs[2].read_text())
    assert len(numbers["locations"]) == 2
    assert "dis" in numbers["tracker"]
    width, height = numbers["map"]
    with np.load(outputs[1]) as arrays:
        assert arrays["heat"].shape == arrays["variance"].shape == (2, height, width)
        assert 0 <= arrays["heat"].min() <= arrays["heat"].max() <= 1
        assert arrays["at"][0] == pytest.approx([(10.5) * width / 60 - 0.5, 8.5 * height / 40 - 0.5])
    assert read_picture(outputs[0]).shape[1] > 3 * 384
    assert sorted(path.name for path in tmp_path.iterdir()) == ["map.json", "map.npz", "map.png"]


def test_the_map_does_not_depend_on_batches_and_threads_and_only_on_the_seed(model, picture):
    def found(**given) -> np.ndarray:
        correlator = FrameCorrelator(model, settings(**given))
        return correlator.ask(correlator.canvas(picture), (20.0, 20.0)).values["variance"]

    once = found()
    assert np.array_equal(found(), once)
    assert np.array_equal(found(threads=1), once)
    for batch in (1, 6):
        assert found(batch=batch) == pytest.approx(once, abs=0.02)  # a colour level may be rounded the other way
    assert not np.allclose(found(seed=1), once, atol=0.02)


class Dragging:
    """A player that moves the left half of its picture as it is poked, all at once, and the rest not at all."""

    resolution, poke_kind = 64, "shift"

    def start(self, x_0):
        from poke2vid.types import State

        return State((x_0,))

    def encode_poke(self, poke_map):
        from poke2vid.types import POKE_GAIN

        touched = poke_map[:, 2].flatten(1).argmax(dim=1)
        return poke_map[:, :2].flatten(2)[torch.arange(len(poke_map)), :, touched] * 64 / POKE_GAIN

    def step(self, state, phi):
        from poke2vid.types import Frame

        (x_0,) = state.sigma
        flow = torch.zeros(len(x_0), 2, 64, 64)
        flow[..., :32] = -phi[:, :, None, None]
        return state, Frame(x_0, flow, torch.zeros_like(x_0))


def test_what_a_player_drags_along_is_hot_and_the_rest_is_cold():
    rng = np.random.default_rng(0)
    noise = torch.nn.functional.interpolate(torch.from_numpy(rng.random((1, 3, 64, 64))), 256, mode="bicubic")
    picture = (noise[0].clamp(0, 1).movedim(0, -1) * 255).byte().numpy()
    correlator = FrameCorrelator(Dragging(), settings(pokes=24, longest=0.05))
    found = correlator.ask(correlator.canvas(picture), (60.0, 128.0))
    assert np.median(found.heat[20:-20, 15:45]) > 0.9
    assert np.median(found.heat[20:-20, 80:]) < 0.1


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"pokes": 1}, "1 pokes"),
        ({"pokes": 5000}, "1000"),
        ({"longest": 0.0}, "longest"),
        ({"longest": float("nan")}, "longest"),
        ({"tracker": "eyes"}, "dis, farneback, raft"),
        ({"frames": 0}, "at least 1"),
    ],
)
def test_settings_that_mean_nothing_are_refused(given, says):
    with pytest.raises(InputError, match=says):
        settings(**given)


def test_a_location_outside_and_an_unknown_kind_of_file_are_refused_before_anything_is_computed(
    model, picture, tmp_path
):
    with pytest.raises(InputError, match="outside the picture"):
        correlate(FrameCorrelator(model, settings()), picture, [(60.0, 3.0)], [tmp_path / "map.png"], "random")
    with pytest.raises(InputError, match="no known kind"):
        correlate(FrameCorrelator(model, settings()), picture, [(6.0, 3.0)], [tmp_path / "map.tiff"], "random")
    assert list(tmp_path.iterdir()) == []


def test_locations_are_two_finite_numbers():
    assert parse_pairs("--at", ["1.5,2"]) == [(1.5, 2.0)]
    for wrong in ("1", "1,2,3", "a,b", "nan,1"):
        with pytest.raises(InputError, match="--at"):
            parse_pairs("--at", [wrong])


def test_a_measure_is_one_of_the_tables_maps_and_the_same_by_default_wherever_maps_are_made():
    with pytest.raises(InputError, match="no measure 'taste'; choose one of variance, mean-square"):
        Settings(measure="taste")
    assert map_of(flows_of(SHIFTS), SHIFTS, (0.0, 0.0)).measure == Settings().measure == "mean-square"


def test_the_horizon_is_the_models_own_unless_another_is_asked_for():
    assert with_frames(Settings(), None, {}).frames == 10
    assert with_frames(Settings(), 4, {}).frames == 4


# The command


def run(*arguments: str) -> tuple[int, str]:
    """Exit code and what went wrong, as `poke2vid.cli.main` would say it."""
    import typer

    app = typer.Typer()
    app.command()(command)
    done = CliRunner().invoke(app, arguments)
    if isinstance(done.exception, InputError):
        return 2, str(done.exception)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.output


def test_the_command_maps_a_picture_with_a_model_file(model, picture, tmp_path):
    from poke2vid.media.pictures import write_picture

    write_picture(tmp_path / "picture.png", picture)
    save_model(tmp_path / "model.safetensors", model, {})
    threads = torch.get_num_threads()
    try:
        code, said = run(
            str(tmp_path / "picture.png"), "--at", "10,8", "--pokes", "4", "--frames", "2", "--model",
            str(tmp_path / "model.safetensors"), "-o", str(tmp_path / "map.png"),
        )  # fmt: skip
    finally:
        torch.set_num_threads(threads)
    assert code == 0, said
    assert "map.png" in said
    assert (tmp_path / "map.png").is_file()


def test_what_the_user_can_mend_is_said_in_a_sentence(tmp_path):
    text = tmp_path / "text.png"
    text.write_text("no picture")
    out = ["-o", str(tmp_path / "map.png")]
    for arguments, says in (
        ([], "--scene"),
        ([str(text)], "--at"),
        ([str(text), "--at", "1,1"], "not a picture"),
        ([str(text), "--at", "1,1", "--scene", "plants:1"], "not both"),
        ([str(text), "--at", "1,1", "--pokes", "1"], "1 pokes"),
        ([str(text), "--at", "1,1", "--model", str(text)], "not a poke2vid file"),
    ):
        code, said = run(*arguments, *out)
        assert (code, says in said) == (2, True), said
    assert not (tmp_path / "map.png").exists()


def test_importing_the_command_loads_nothing_heavy():
    import subprocess

    code = "import sys, poke2vid.cli.correlate; print([m for m in ('torch', 'numpy', 'cv2') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
