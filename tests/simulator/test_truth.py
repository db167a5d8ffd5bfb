"""The exact truth beside a simulated video: what it says, what the sidecar says was done, how a set with it is continued."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import simulated  # noqa: F401  before MuJoCo: it skips where that is missing
import torch

# isort: split
from poke2vid.cli import main
from poke2vid.files import read_about, read_tensors, write_tensors
from poke2vid.simulator.actions import Pull, Push
from poke2vid.simulator.camera import Camera
from poke2vid.simulator.film import Order, take
from poke2vid.simulator.truth import Truth, read_truth, record_of_actions, truth_path
from poke2vid.simulator.videos import order_families, order_videos, simulate_videos
from poke2vid.types import InputError

SIDE, FRAMES = 128, 14


def orders() -> list[Order]:
    """Two plants that are pulled from early on, and a flexible body."""
    return [*order_families(["plants"], {"train": 2}, FRAMES, SIDE), order_videos("objects", 5, FRAMES, SIDE)[4]]


@pytest.fixture(scope="module")
def with_truth(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Never written to: see `copied`."""
    out = tmp_path_factory.mktemp("truth")
    simulate_videos(orders(), out, workers=0, quiet=True, truth=True)
    return out


@pytest.fixture
def copied(with_truth: Path, tmp_path: Path) -> Path:
    for name, content in contents(with_truth).items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.name != "report.json"}


def truth_of(folder: Path, order: Order) -> Truth:
    return read_truth(folder / f"{order.name}.truth.safetensors")


def sidecar_of(folder: Path, order: Order) -> dict:
    return json.loads((folder / f"{order.name}.json").read_text())


@pytest.mark.parametrize("number", [0, 2])
def test_what_is_read_is_what_the_surface_says(with_truth, number):
    order = orders()[number]
    truth = truth_of(with_truth, order)
    assert truth.depth.shape == (FRAMES, SIDE, SIDE) and truth.flow.shape == (FRAMES - 1, 2, SIDE, SIDE)
    with take(order) as film:
        first = film.surface(0)
        for frame in (0, 5, FRAMES - 1):
            surface = film.surface(frame)
            assert np.array_equal(truth.part_ids[frame], surface.part_ids)
            assert np.array_equal(truth.mask[frame], surface.mask)
            assert np.array_equal(truth.depth[frame], surface.shown.depth)
            if frame:
                later = film.renderer.fine_buffers(film.trajectory.states[frame])
                assert np.array_equal(truth.flow[frame - 1], first.flow(film.trajectory, frame))
                assert np.array_equal(truth.visible[frame - 1], first.visible(film.trajectory, frame, later))


def share_on_own_part(truth: Truth, sign: int = 1) -> tuple[float, float]:
    """Of the object's visible pixels, and of all hidden ones: whom the flow leads to the part that they show in frame 0."""
    y, x = np.mgrid[:SIDE, :SIDE]
    seen, hidden = [], []
    for flow, visible, parts in zip(truth.flow, truth.visible, truth.part_ids[1:], strict=True):
        column, row = (np.rint(place + sign * shift).astype(int) for place, shift in zip((x, y), flow, strict=True))
        there = parts[row.clip(0, SIDE - 1), column.clip(0, SIDE - 1)]
        same = there == truth.part_ids[0]
        seen.append(same[visible & truth.mask[0]])
        hidden.append(same[~visible])
    return float(np.concatenate(seen).mean()), float(np.concatenate(hidden).mean())


def test_flow_leads_a_visible_pixel_to_its_own_part_and_a_hidden_one_elsewhere(with_truth):
    for order in orders()[:2]:
        truth = truth_of(with_truth, order)
        visible, hidden = share_on_own_part(truth)
        assert visible > 0.94 and hidden < 0.5  # at the edges, the nearest pixel may be the neighbour's
        assert share_on_own_part(truth, sign=-1)[0] < visible - 0.03
        assert not truth.flow[:, :, ~truth.mask[0]].any()
    assert hidden < 0.1 and share_on_own_part(truth, sign=-1)[0] < 0.7  # the second plant is swung about


def test_the_sidecar_says_what_was_done_and_the_flow_what_came_of_it(with_truth):
    for order in orders()[:2]:
        sidecar, truth = sidecar_of(with_truth, order), truth_of(with_truth, order)
        camera = Camera(
            np.array(sidecar["truth"]["camera"]["position"]), np.array(sidecar["truth"]["camera"]["axes"]),
            sidecar["truth"]["camera"]["fovy"], SIDE,
        )  # fmt: skip
        pull = sidecar["truth"]["interactions"][0]
        assert pull["kind"] == "pull" and 0 <= pull["start"] < pull["arrive"] <= pull["release"]
        start, arrive = pull["start"], pull["arrive"]
        x, y = np.rint(pull["at_0"]["pixel"]).astype(int)
        assert truth.part_ids[0, y, x] == pull["part"] <= len(sidecar["parts"])
        seen, depth = camera.project(np.array(pull["at_0"]["point"]))
        assert seen == pytest.approx(pull["at_0"]["pixel"], abs=1e-3)
        assert truth.depth[0, y, x] == pytest.approx(depth, abs=2e-3)
        # The shift in the world is the one in pixels, and is parallel to the picture.
        point, shift = np.array(pull["at_start"]["point"]), np.array(pull["shift"])
        (before, after), depths = camera.project(np.stack((point, point + shift)))
        assert before == pytest.approx(pull["at_start"]["pixel"], abs=1e-3)
        assert after - before == pytest.approx(pull["shift_pixels"], abs=1e-3)
        assert depths[0] == pytest.approx(depths[1], abs=1e-5)
        came = truth.flow[arrive - 1, :, y, x] - (truth.flow[start - 1, :, y, x] if start else 0)
        assert np.hypot(*pull["shift_pixels"]) > 8
        assert came == pytest.approx(pull["shift_pixels"], abs=0.6)  # leaves that resist lag a little


def test_the_sidecar_tells_every_pull_and_push_and_the_wind():
    with take(Order("plants", "train", 2, 30, 64)) as film:
        happening, camera = film.happening, film.world.camera.at(64)
        told = record_of_actions(camera, film.trajectory, happening.actions, happening.wind)
        again = record_of_actions(camera, film.trajectory, happening.actions, np.full((30, 3), -0.12345))
    for action, interaction in zip(happening.actions, told["interactions"], strict=True):
        if isinstance(action, Pull):
            assert interaction["arrive"] == action.start + action.arrive and interaction["release"] == action.release
    pushes = [k for k, action in enumerate(happening.actions) if isinstance(action, Push)]
    assert 0 < len(pushes) < len(happening.actions)
    for k in pushes:
        push = told["interactions"][k]
        assert (push["kind"], push["start"]) == ("push", happening.actions[k].start)
        assert push["arrive"] is None and push["release"] is None
        right, down = happening.actions[k].shift
        assert push["shift"] == pytest.approx(right * camera.axes[0] + down * camera.axes[1], abs=1e-6)
    assert (told["wind"] is None) == (happening.wind is None)
    assert again["wind"] == [[-0.123] * 3] * 30


def test_the_truth_changes_neither_the_video_nor_what_a_sidecar_said_without(with_truth, tmp_path):
    simulate_videos(orders(), tmp_path, workers=0, quiet=True)
    for order in orders():
        assert (tmp_path / f"{order.name}.mp4").read_bytes() == (with_truth / f"{order.name}.mp4").read_bytes()
        plain, told = sidecar_of(tmp_path, order), sidecar_of(with_truth, order)
        assert set(told.pop("truth")) == {"version", "sha256", "camera", "interactions", "wind"}
        assert list(told.items()) == list(plain.items())  # in the same order
        assert not truth_path(tmp_path / f"{order.name}.mp4").exists()
        about = read_about(truth_path(with_truth / f"{order.name}.mp4"))
        assert about["order"] == plain["order"] and about["scene_digest"] == plain["scene_digest"]


def test_a_set_of_plain_videos_is_given_its_truth_by_any_number_of_workers(with_truth, tmp_path):
    simulate_videos(orders()[:1], tmp_path, workers=0, quiet=True)
    report = simulate_videos(orders(), tmp_path, workers=2, quiet=True, truth=True)
    assert (report.videos, report.reused) == (3, 0)
    assert contents(tmp_path) == contents(with_truth)


def test_videos_that_have_their_truth_are_kept_with_it(copied):
    before = contents(copied)
    for truth in (True, False):
        assert simulate_videos(orders(), copied, workers=0, quiet=True, truth=truth).reused == 3
        assert contents(copied) == before


@pytest.mark.parametrize("damage", ["cut", "gone", "other", "entry", "version"])
def test_a_damaged_truth_is_made_anew(copied, damage):
    before, order = contents(copied), orders()[0]
    path, sidecar = copied / f"{order.name}.truth.safetensors", sidecar_of(copied, order)
    match damage:
        case "cut":
            path.write_bytes(path.read_bytes()[:-1000])
        case "gone":
            path.unlink()
        case "other":
            path.write_bytes(before[f"{orders()[1].name}.truth.safetensors"])
        case "entry":
            (copied / f"{order.name}.json").write_text(json.dumps(sidecar | {"truth": None}))
        case "version":
            sidecar["truth"]["version"] = 0
            (copied / f"{order.name}.json").write_text(json.dumps(sidecar))
    report = simulate_videos(orders(), copied, workers=0, quiet=True, truth=True)
    assert (report.videos, report.reused) == (1, 2)
    assert contents(copied) == before


def test_a_file_that_is_no_whole_truth_is_one_sentence(copied):
    path = copied / f"{orders()[0].name}.truth.safetensors"
    tensors, about = read_tensors(path)
    other = copied / "other.truth.safetensors"
    for changed, said, says in (
        (tensors, about | {"format": "poke2vid-model"}, "not the truth of a simulated video"),
        (tensors, about | {"version": 2}, "format version 2, and this poke2vid reads 1"),
        (tensors | {"flow": tensors["flow"][1:]}, about, "types and shapes"),
        (tensors | {"depth": tensors["depth"].double()}, about, "types and shapes"),
        ({name: tensor[:0] for name, tensor in tensors.items()}, about, "types and shapes"),
        ({"flow": torch.zeros(1)}, about, "types and shapes"),
    ):
        write_tensors(other, changed, said)
        with pytest.raises(InputError, match=says):
            read_truth(other)
    whole = path.read_bytes()
    other.write_bytes(whole[:-50])
    with pytest.raises(InputError, match="cut short"):
        read_truth(other)
    other.write_bytes(whole[:-50] + bytes(50 * [7]))
    with pytest.raises(InputError, match="damaged"):
        read_truth(other)
    with pytest.raises(InputError, match="no file"):
        read_truth(copied / "none.truth.safetensors")


def test_the_truth_is_read_without_mujoco():
    code = "import sys; from poke2vid.simulator.truth import read_truth; print('mujoco' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_the_command_line_writes_the_truth_and_refuses_it_for_a_store(monkeypatch, capsys, tmp_path):
    def run(*arguments: str) -> int | str | None:
        monkeypatch.setattr(sys, "argv", ["poke2vid", "simulate", "plants", "--truth", *arguments])
        with pytest.raises(SystemExit) as stop:
            main()
        return stop.value.code

    assert run("--store", "--out", str(tmp_path / "store")) == 2
    assert "a store has its exact flow" in capsys.readouterr().err and not (tmp_path / "store").exists()
    videos = tmp_path / "videos"
    assert run("--videos", "1", "--frames", "3", "--resolution", "32", "--workers", "1", "--out", str(videos)) == 0
    assert read_truth(videos / "plants-train-0-000000.truth.safetensors").visible.shape == (2, 32, 32)
