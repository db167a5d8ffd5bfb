"""Sets of simulated videos: as files and as a store, cut off and continued, on one process and on two."""

import json
from functools import partial
from pathlib import Path

import numpy as np
import programs
import pytest
import simulated  # noqa: F401  before MuJoCo: it skips where that is missing

# isort: split
from poke2vid.data.prepare.simulated import simulate_store
from poke2vid.data.store import Store, verify
from poke2vid.flow.estimator import build_estimator
from poke2vid.media.video import iterate_frames
from poke2vid.simulator import availability, world
from poke2vid.simulator.film import Order, take
from poke2vid.simulator.scene import generator
from poke2vid.simulator.videos import order_videos, simulate_videos
from poke2vid.types import InputError

SIDE, FRAMES = 64, 16


def orders(count: int, split: str = "train", seed: int = 0) -> list[Order]:
    return order_videos("plants", count, FRAMES, SIDE, split, seed)


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.name != "report.json"}


def test_videos_are_ordinary_files_with_a_sidecar(tmp_path):
    report = simulate_videos(orders(2), tmp_path, workers=0, quiet=True)
    assert report.videos == 2 and report.scenes >= 2
    frames = np.stack(list(iterate_frames(tmp_path / "plants-train-0-000001.mp4")))
    assert frames.shape == (FRAMES, SIDE, SIDE, 3)
    assert np.abs(np.diff(frames.astype(int), axis=0)).max() > 30  # something moves
    sidecar = json.loads((tmp_path / "plants-train-0-000001.json").read_text())
    assert sidecar["order"]["number"] == 1 and sidecar["fps"] == 25.0
    assert "shift" not in json.dumps(sidecar)  # nobody is told what was done to it


@pytest.mark.slow
@pytest.mark.thorough
def test_a_set_is_the_same_for_any_workers_and_after_being_cut_off(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    simulate_videos(orders(3), one, workers=0, quiet=True)
    simulate_videos(orders(2), two, workers=2, quiet=True)
    (two / "plants-train-0-000000.mp4").write_bytes(b"cut short")
    report = simulate_videos(orders(3), two, workers=2, quiet=True)
    assert (report.videos, report.reused) == (2, 1)
    assert contents(one) == contents(two)


def test_other_seeds_and_splits_are_other_scenes(tmp_path):
    digests = set()
    for order in (*orders(2), *orders(1, "test"), *orders(1, seed=1)):
        with take(order) as film:
            digests.add(film.scene_digest)
    assert len(digests) == 4


def test_what_happens_does_not_depend_on_the_size():
    order = orders(1)[0]
    larger = Order(order.family, order.split, order.number, order.frames, 2 * SIDE)
    with take(order) as small, take(larger) as large:
        assert np.array_equal(small.trajectory.states, large.trajectory.states)


def test_a_scene_that_breaks_is_counted_and_replaced():
    order = Order("figures", "train", (1 << 39) + 172, FRAMES, SIDE)  # it sways for longer than we wait
    with take(order) as film:
        assert film.rejected == {"does not come to rest": 1}
        assert film.scene_seed == order.scene_seed(1)


def test_scenes_that_all_break_are_one_sentence(monkeypatch):
    monkeypatch.setattr(world, "SETTLE_SECONDS", 1 / world.FPS)  # in one frame nothing comes to rest
    with (
        pytest.raises(
            InputError, match=r"none of 20 scenes for plants-train-0-000000 held together.*'does not come .*: 20"
        ),
        take(orders(1)[0]),
    ):
        pass


def test_a_store_with_exact_flow_is_whole_and_agrees_with_an_estimate(tmp_path):
    both = [*orders(3), *orders(3, "test")]
    simulate_store(both, tmp_path / "exact", [4, 8], "exact", workers=0, quiet=True)
    simulate_store(both, tmp_path / "dis", [8], "dis", workers=0, quiet=True)
    assert verify(tmp_path / "exact") == []
    exact, estimated = Store.open(tmp_path / "exact"), Store.open(tmp_path / "dis")
    assert {video.split for video in exact.videos} == {"train", "test"}
    assert exact.lags == (4, 8) and exact.manifest.settings.flow == "exact"
    guesses = {video.name: video for video in estimated.videos}  # what hardly moves is left out, by either measure
    pairs = [(video, guesses[video.name]) for video in exact.videos if video.name in guesses]
    assert len(pairs) >= 2
    for known, guessed in pairs:
        assert np.abs(known.frames[0].astype(int) - guessed.frames[0]).mean() < 2  # of 255: drawn at another size
        start = int(np.argmax(known.activity(8)))
        truth, guess = known.flow(8, start), guessed.flow(8, start)
        moving = np.hypot(*truth) > 0.5
        assert moving.sum() > 20
        # DIS smears thin leaves into what is behind them, so it follows the truth and does not reach it.
        assert np.corrcoef(truth[:, moving].ravel(), guess[:, moving].ravel())[0, 1] > 0.4
        assert np.hypot(*(truth - guess))[moving].mean() < 0.8 * np.hypot(*truth)[moving].mean()


@pytest.mark.slow
@pytest.mark.thorough
def test_a_store_is_the_same_for_any_workers(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    simulate_store(orders(2), one, [8], "exact", workers=0, quiet=True)
    simulate_store(orders(2), two, [8], "exact", workers=2, quiet=True)
    assert Store.open(one).digest == Store.open(two).digest


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("trees", 1, 10, 64), "no family 'trees'.*plants, figures, objects"),
        (("", 1, 10, 64), "say which family"),
        (("plants", 1, 10, 63), "63 pixels"),
        (("plants", 1, 10, 8), "8 pixels"),
        (("plants", 1, 10, 64, "valid"), "no split 'valid'"),
        (("plants", 1, 10, 64, "test", 16), "no set of seed 16; choose 0 ... 15"),  # PokeBench's first scene
        (("plants", 1, 10, 64, "train", -1), "no set of seed -1"),
    ],
)
def test_impossible_orders_are_refused(arguments, says):
    with pytest.raises(InputError, match=says):
        order_videos(*arguments)


@pytest.mark.parametrize("damage", [np.random.default_rng(0).bytes(400), b"", b"[1]", b"null", b'{"order": 1}'])
def test_a_damaged_sidecar_is_made_anew(tmp_path, damage):
    simulate_videos(orders(1), tmp_path, workers=0, quiet=True)
    before = contents(tmp_path)
    (tmp_path / "plants-train-0-000000.json").write_bytes(damage)
    assert simulate_videos(orders(1), tmp_path, workers=0, quiet=True).videos == 1
    assert contents(tmp_path) == before


def test_a_folder_of_another_set_is_left_alone(tmp_path):
    simulate_videos(orders(1), tmp_path, workers=0, quiet=True)
    before = contents(tmp_path)
    with pytest.raises(InputError, match="choose another --out"):
        simulate_videos(order_videos("plants", 1, FRAMES + 1, SIDE), tmp_path, workers=0, quiet=True)
    assert contents(tmp_path) == before


def test_streams_of_random_numbers_differ_by_key():
    drawn = {generator("plants", split, what, seed).random() for split in "ab" for what in "cd" for seed in range(3)}
    assert len(drawn) == 12


def test_check_says_what_is_missing(monkeypatch):
    assert availability.missing_requirements() == []
    monkeypatch.setattr(availability, "_TRIAL", "raise RuntimeError('no EGL here')")
    (sentence,) = availability.missing_requirements()
    assert "no EGL here" in sentence and "apt-get install libegl1" in sentence
    monkeypatch.setattr(availability.importlib.util, "find_spec", lambda name: None)
    assert availability.missing_requirements() == [
        "the simulator needs MuJoCo; install it with: pip install 'poke2vid[simulator]'"
    ]


@pytest.mark.slow
def test_the_command_line_simulates_checks_and_refuses(tmp_path):
    run = partial(programs.poke2vid, "simulate")
    done = run(
        "plants", "plants", "--videos", "1", "--frames", "12", "--resolution", "64", "--out", str(tmp_path / "videos")
    )
    assert done.returncode == 0, done.stderr
    assert "1 videos" in done.stdout and (tmp_path / "videos" / "plants-train-0-000000.mp4").is_file()
    assert run("--check").stdout.strip() == "this machine can simulate and draw."
    refused = run("trees", "--out", str(tmp_path / "trees"))
    assert refused.returncode == 2 and "Traceback" not in refused.stderr and "trees" in refused.stderr
    assert not (tmp_path / "trees").exists()
    for store in ((), ("--store",)):
        refused = run("plants", *store, "--seed", "16", "--out", str(tmp_path / "bench"))
        assert refused.returncode == 2 and "no set of seed 16" in refused.stderr
    refused = run("plants", "--store", "--split", "test", "--out", str(tmp_path / "both"))
    assert refused.returncode == 2 and "a store has both splits" in refused.stderr and "Traceback" not in refused.stderr


def test_the_estimator_of_a_store_must_exist(tmp_path):
    with pytest.raises(InputError, match="no flow estimator"):
        build_estimator("exact")
    with pytest.raises(InputError, match="'dis', 'raft' or 'exact'"):
        simulate_store(orders(1), tmp_path, [8], "guess", workers=0, quiet=True)


def test_no_video_is_put_into_a_store(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(InputError, match="is a store or a benchmark"):
        simulate_videos([], tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["manifest.json"]
