"""`poke2vid animate` as people meet it: what it writes and draws."""

import json
from pathlib import Path

import numpy as np
import pytest
from command_line import FRAMES, POKE, Run, assert_refused, files_below, numbers, pixels, video
from PIL import Image


def test_one_run_writes_every_kind_of_file_that_was_asked_for(
    run: Run, tmp_path: Path, picture: Path, model_file: Path
) -> None:
    names = [tmp_path / "out" / f"poked.{suffix}" for suffix in ("mp4", "webm", "gif", "webp", "png", "json")]
    outputs = [argument for name in names for argument in ("-o", name)]
    ran = run("animate", picture, *POKE, *FRAMES, "--model", model_file, *outputs)
    assert (ran.code, ran.err) == (0, "")
    assert all(str(name) in ran.out for name in names)
    assert files_below(tmp_path / "out") == set(names)
    for suffix in ("mp4", "webm"):
        assert video(tmp_path / "out" / f"poked.{suffix}").shape == (5, 48, 64, 3)
    for suffix in ("gif", "webp"):
        with Image.open(tmp_path / "out" / f"poked.{suffix}") as animated:
            assert (animated.n_frames, animated.size) == (5, (64, 48))
    with Image.open(tmp_path / "out" / "poked.png") as grid:
        assert grid.size == (5 * 66 - 2, 2 * 50 - 2)  # five frames above their flows
    found = numbers(tmp_path / "out" / "poked.json")
    assert (found["frames"], found["picture"]) == (4, [64, 48])
    (poke,) = found["pokes"]
    assert (poke["at"], poke["shift"], poke["target"]) == ([20, 10], [8, 0], [28, 10])


def test_a_video_begins_with_the_picture_and_then_moves(
    run: Run, tmp_path: Path, picture: Path, model_file: Path
) -> None:
    run("animate", picture, *POKE, *FRAMES, "--model", model_file, "--plain", "-o", tmp_path / "a.mp4")
    frames = video(tmp_path / "a.mp4")
    assert np.abs(frames[0] - pixels()).mean() < 8
    assert np.abs(frames[4] - frames[0]).mean() > 2 * np.abs(frames[0] - pixels()).mean()


def test_frames_and_their_rate_are_as_asked(run: Run, tmp_path: Path, picture: Path, model_file: Path) -> None:
    run("animate", picture, *POKE, "--frames", 7, "--fps", 10, "--model", model_file, "-o", tmp_path / "a.webp")
    with Image.open(tmp_path / "a.webp") as animated:
        assert animated.n_frames == 8
        animated.load()
        assert animated.info["duration"] == 100


def test_the_arrow_and_the_target_dot_are_drawn_unless_plain(
    run: Run, tmp_path: Path, picture: Path, model_file: Path
) -> None:
    arguments = ("animate", picture, *POKE, *FRAMES, "--model", model_file, "-o")
    assert run(*arguments, tmp_path / "marked.mp4").code == run(*arguments, tmp_path / "plain.mp4", "--plain").code == 0
    marked, plain = video(tmp_path / "marked.mp4"), video(tmp_path / "plain.mp4")
    differs = np.abs(marked - plain).max(axis=-1) > 40
    assert differs[0, 10, 20:27].all()  # the arrow, from l to l + p
    drawn, bare = (np.abs(frames[0, 10, 20:27] - pixels()[10, 20:27]).mean() for frames in (marked, plain))
    assert drawn > 40 > 20 > bare
    assert differs[1:, 9:12, 27:30].all()  # the dot, at l + p
    assert not differs[1:, 10, 18:23].any()
    assert not differs[:, 25:].any()


def test_a_shift_may_be_negative(run: Run, tmp_path: Path, picture: Path, model_file: Path) -> None:
    for given in (("--shift", "-10,5"), ("--shift=-10,5",)):
        ran = run(
            "animate", picture, "--at", "20,10", *given, *FRAMES, "--model", model_file, "-o", tmp_path / "a.json"
        )
        assert ran.code == 0, ran.err
        assert numbers(tmp_path / "a.json")["pokes"][0]["shift"] == [-10, 5]


def test_several_pokes_are_taken_in_pairs(run: Run, tmp_path: Path, picture: Path, model_file: Path) -> None:
    second = ("--at", "50,40", "--shift", "0,-6")
    for name, pokes in (("one", POKE), ("two", (*POKE, *second))):
        outputs = ("-o", tmp_path / f"{name}.json", "-o", tmp_path / f"{name}.mp4")
        ran = run("animate", picture, *pokes, *FRAMES, "--model", model_file, "--plain", *outputs)
    found = numbers(tmp_path / "two.json")["pokes"]
    assert [(poke["at"], poke["shift"]) for poke in found] == [([20, 10], [8, 0]), ([50, 40], [0, -6])]
    assert ran.out.count("poked at") == 2
    assert np.abs(video(tmp_path / "one.mp4") - video(tmp_path / "two.mp4")).max() > 20


def test_an_impulse_is_another_poke_than_a_shift_and_has_no_target(
    run: Run, tmp_path: Path, picture: Path, model_file: Path
) -> None:
    for kind in ("shift", "impulse"):
        outputs = ("-o", tmp_path / f"{kind}.json", "-o", tmp_path / f"{kind}.mp4")
        ran = run("animate", picture, *POKE, *FRAMES, "--kind", kind, "--model", model_file, "--plain", *outputs)
        assert ran.code == 0, ran.err
        (poke,) = numbers(tmp_path / f"{kind}.json")["pokes"]
        assert poke["kind"] == kind
        assert ("target" in poke) is (kind == "shift")
    held, struck = video(tmp_path / "shift.mp4"), video(tmp_path / "impulse.mp4")
    assert np.abs(held[4] - struck[4]).max() > 20


def test_a_script_gives_the_same_file_as_the_same_pokes_on_the_command_line(
    run: Run, tmp_path: Path, picture: Path, model_file: Path
) -> None:
    event = {"type": "poke", "frame": 0, "at": [20, 10], "shift": [8, 0]}
    (tmp_path / "script.json").write_text(json.dumps({"version": 1, "frames": 4, "events": [event]}))
    said = run("animate", picture, *POKE, *FRAMES, "--model", model_file, "-o", tmp_path / "said.mp4")
    written = run(
        "animate", picture, "--script", tmp_path / "script.json", "--model", model_file, "-o", tmp_path / "written.mp4"
    )
    assert said.code == written.code == 0
    assert (tmp_path / "said.mp4").read_bytes() == (tmp_path / "written.mp4").read_bytes()


def test_a_turned_picture_is_poked_as_it_is_seen(run: Run, tmp_path: Path, model_file: Path) -> None:
    upright = pixels(64, 48)
    Image.fromarray(upright).save(tmp_path / "upright.png")
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise before it is shown
    Image.fromarray(np.rot90(upright)).save(tmp_path / "turned.png", exif=exif)
    with Image.open(tmp_path / "turned.png") as stored:
        assert stored.size == (64, 48)
    for name in ("upright", "turned"):
        arguments = ("--at", "40,60", "--shift", "0,-9", *FRAMES, "--model", model_file)
        assert run("animate", tmp_path / f"{name}.png", *arguments, "-o", tmp_path / f"{name}.mp4").code == 0
    assert (tmp_path / "upright.mp4").read_bytes() == (tmp_path / "turned.mp4").read_bytes()
    outside = ("--at", "60,40", "--shift", "1,1", "--model", model_file, "-o", tmp_path / "a.mp4")
    assert_refused(run("animate", tmp_path / "turned.png", *outside), "outside the picture, which is 48 x 64 pixels")


def test_a_large_pictures_pokes_are_told_in_its_own_pixels(run: Run, tmp_path: Path, model_file: Path) -> None:
    Image.fromarray(pixels(600, 1200)).save(tmp_path / "large.png")
    arguments = ("--at", "1100,500", "--shift", "-100,50", *FRAMES, "--model", model_file)
    ran = run("animate", tmp_path / "large.png", *arguments, "-o", tmp_path / "a.json")
    assert "poked at [1100.0, 500.0], pulled by [-100.0, 50.0]" in ran.out
    (poke,) = numbers(tmp_path / "a.json")["pokes"]
    assert (poke["at"], poke["shift"], poke["target"]) == ([1100, 500], [-100, 50], [1000, 550])


@pytest.mark.slow
@pytest.mark.thorough
def test_an_export_is_poked_as_the_model_that_it_came_from(
    run: Run, tmp_path: Path, picture: Path, model_file: Path
) -> None:
    assert run("export", str(model_file), "--out", str(tmp_path / "graphs"), "--no-fp16").code == 0
    found = []
    for model in (model_file, tmp_path / "graphs"):
        out = tmp_path / f"{model.name}.json"
        assert run("animate", str(picture), *POKE, "--model", str(model), "-o", str(out)).code == 0
        found.append(numbers(out)["pokes"][0]["arrived"])
    np.testing.assert_allclose(found[0], found[1], atol=0.02)


def test_without_a_model_the_shipped_one_is_used(run: Run, tmp_path: Path, picture: Path, model_file: Path) -> None:
    from poke2vid.model import files

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "BASE", model_file)
        assert run("animate", picture, *POKE, *FRAMES, "-o", tmp_path / "shipped.mp4").code == 0
    assert run("animate", picture, *POKE, *FRAMES, "--model", model_file, "-o", tmp_path / "named.mp4").code == 0
    assert (tmp_path / "shipped.mp4").read_bytes() == (tmp_path / "named.mp4").read_bytes()
