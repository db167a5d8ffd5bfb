"""What `poke2vid animate` refuses, in one sentence and with exit code 2, and what it remarks on."""

import json
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from command_line import FRAMES, POKE, Run, assert_refused, files_below, one_flipped_byte, pixels, subprocess_run
from PIL import Image

from poke2vid.live import animate
from poke2vid.media.video import iterate_frames


def png_of_size(width: int, height: int) -> bytes:
    """A PNG whose header promises so many pixels, and which holds hardly any."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    end = chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(64))) + end


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, r"there is no picture .*bad\.png; check the path"),
        ("folder", r"bad\.png is a folder, not a picture"),
        (b"", r"bad\.png is not a picture that can be read"),
        (b"not a picture at all" * 99, r"bad\.png is not a picture that can be read"),
        (png_of_size(64, 48), r"bad\.png is damaged or cut short"),
        (png_of_size(0, 0), r"bad\.png is (empty|damaged|not a picture)"),
        (png_of_size(60_000, 60_000), r"bad\.png is too large.*64 megapixels"),
        (png_of_size(9_500, 9_500), r"bad\.png is too large \(9500 x 9500\).*64 megapixels"),
        (png_of_size(8_193, 8_193), r"bad\.png is too large \(8193 x 8193\)"),
    ],
    ids=["missing", "folder", "empty file", "text", "cut short", "no pixels", "bomb", "smaller bomb", "just too large"],
)
def test_a_picture_that_cannot_be_shown_is_refused_in_a_sentence(
    run: Run, tmp_path: Path, model_file: Path, content: bytes | str | None, says: str
) -> None:
    bad = tmp_path / "bad.png"
    if content == "folder":
        bad.mkdir()
    elif isinstance(content, bytes):
        bad.write_bytes(content)
    before = files_below(tmp_path)
    assert_refused(run("animate", bad, *POKE, *FRAMES, "--model", model_file, "-o", tmp_path / "out.mp4"), says)
    assert files_below(tmp_path) == before


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--at", "64,10", "--shift", "1,1"), r"\(64, 10\) lies outside the picture, which is 64 x 48 pixels"),
        (("--at", "20,-3", "--shift", "1,1"), r"\(20, -3\) lies outside the picture"),
        (("--at", "nan,10", "--shift", "1,1"), r"--at 'nan,10' is not finite"),
        (("--at", "20,10", "--shift", "inf,1"), r"--shift 'inf,1' is not finite"),
        (("--at", "20,10", "--shift", "1e9,1"), r"beyond 1e\+06"),
        (("--at", "20", "--shift", "1,1"), r"--at '20' is not two numbers"),
        (("--at", "20,10", "--shift", "1,2,3"), r"--shift '1,2,3' is not two numbers"),
        (("--at", "20;10", "--shift", "1,1"), r"--at '20;10' is not two numbers"),
        (("--at", "left,10", "--shift", "1,1"), r"--at 'left,10' is not two numbers"),
        (("--at", "20,10"), r"1 --at and 0 --shift"),
        (("--shift", "1,1"), r"0 --at and 1 --shift"),
        ((*POKE, "--at", "1,1"), r"2 --at and 1 --shift"),
        ((), r"0 --at and 0 --shift were given; give at least one"),
        ((*POKE, "--kind", "tickle"), r"--kind 'tickle' is unknown; choose shift or impulse"),
        ((*POKE, "-o", "more.avi"), r"more\.avi has no known kind"),
        ((*POKE, "-o", "nosuffix"), r"nosuffix has no known kind"),
        (("--script", "none.json"), r"--script says all that is done"),
    ],
)
def test_a_poke_or_option_that_makes_no_sense_is_refused_in_a_sentence(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, picture: Path, model_file: Path,
    arguments: tuple[str, ...], says: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    before = files_below(tmp_path)
    assert_refused(run("animate", picture, *FRAMES, "--model", model_file, "-o", "out.mp4", *arguments), says)
    assert files_below(tmp_path) == before


def test_a_script_that_is_wrong_is_refused_by_its_field(
    run: Run, tmp_path: Path, picture: Path, model_file: Path
) -> None:
    event = {"type": "poke", "frame": 0, "at": [20, 10], "shift": [8, 0]}
    for change, says in (({"frames": 0}, "frames"), ({"events": [{**event, "at": [64, 10]}]}, "outside the picture")):
        (tmp_path / "script.json").write_text(json.dumps({"version": 1, "frames": 4, "events": [event]} | change))
        ran = run(
            "animate", picture, "--script", tmp_path / "script.json", "--model", model_file, "-o", tmp_path / "a.mp4"
        )
        assert_refused(ran, says)


def test_pokes_beside_a_script_are_refused_and_not_passed_over(
    run: Run, tmp_path: Path, picture: Path, model_file: Path
) -> None:
    event = {"type": "poke", "frame": 0, "at": [20, 10], "shift": [8, 0]}
    (tmp_path / "script.json").write_text(json.dumps({"version": 1, "frames": 4, "events": [event]}))
    script = ("--script", tmp_path / "script.json", "--model", model_file, "-o", tmp_path / "a.mp4")
    assert_refused(run("animate", picture, *POKE, *script), "--script")


def foreign_tensors(path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"weight": torch.zeros(3)}, path)


def cut_short(path: Path, model_file: Path) -> None:
    path.write_bytes(model_file.read_bytes()[:-1000])


MODELS: dict[str, tuple[Callable[[Path, Path], object], str]] = {
    "missing": (lambda path, _: None, r"there is no file .*bad\.safetensors"),
    "a folder without checkpoints": (lambda path, _: path.mkdir(), r"holds no checkpoint yet"),
    "somebody else's tensors": (lambda path, _: foreign_tensors(path), r"was not written by poke2vid"),
    "a pickled checkpoint": (lambda path, _: torch.save({"w": torch.zeros(3)}, path), r"is not a poke2vid file"),
    "an empty file": (lambda path, _: path.touch(), r"is not a poke2vid file"),
    "cut short": (cut_short, r"bad\.safetensors is not a poke2vid file or was cut short"),
    "one flipped byte": (one_flipped_byte, r"bad\.safetensors is damaged"),
}


@pytest.mark.parametrize("kind", MODELS)
def test_a_model_that_cannot_be_trusted_is_refused_in_a_sentence(
    run: Run, tmp_path: Path, picture: Path, model_file: Path, kind: str
) -> None:
    make, says = MODELS[kind]
    bad = tmp_path / "bad.safetensors"
    make(bad, model_file)
    before = files_below(tmp_path)
    assert_refused(run("animate", picture, *POKE, *FRAMES, "--model", bad, "-o", tmp_path / "out.mp4"), says)
    assert files_below(tmp_path) == before


def test_a_larger_picture_is_written_if_one_asks_for_it(run: Run, tmp_path: Path, model_file: Path) -> None:
    Image.fromarray(pixels(600, 1000)).save(tmp_path / "large.png")
    for size, side in ((None, 512), (900, 900), (4096, 1000)):  # never enlarged
        options = () if size is None else ("--size", size)
        ran = run(
            "animate",
            tmp_path / "large.png",
            *POKE,
            *FRAMES,
            "--model",
            model_file,
            "-o",
            tmp_path / "out.mp4",
            *options,
        )
        assert ran.code == 0, ran.err
        assert max(next(iter(iterate_frames(tmp_path / "out.mp4"))).shape) == side
    ran = run("animate", tmp_path / "large.png", *POKE, "-o", tmp_path / "out.gif", "--size", 5000)
    assert ran.code == 2 and "5000 is outside 16 ... 4096 pixels" in ran.err


def test_what_becomes_very_large_or_hardly_moves_is_remarked_on(
    run: Run, tmp_path: Path, model_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(animate, "write_video", lambda *_: None)  # half a minute
    Image.fromarray(pixels(1500, 2000)).save(tmp_path / "large.png")
    asked = (
        "animate",
        tmp_path / "large.png",
        *POKE,
        "--frames",
        29,
        "--model",
        model_file,
        "-o",
        tmp_path / "out.webp",
    )
    assert "very large" not in run(*asked).err
    assert "out.webp will be very large: 30 frames of 3.0 megapixels" in run(*asked, "--size", 2000).err
    assert "trained on pulls" in run(*asked, "--kind", "impulse").err


@pytest.mark.parametrize("suffix", ["mp4", "gif", "png", "json"])
def test_a_place_that_cannot_be_written_is_refused_and_nothing_is_left(
    run: Run, tmp_path: Path, picture: Path, model_file: Path, suffix: str
) -> None:
    (tmp_path / "file").write_text("in the way")
    (tmp_path / f"taken.{suffix}").mkdir()
    before = files_below(tmp_path)
    for output in (tmp_path / "file" / f"out.{suffix}", tmp_path / f"taken.{suffix}"):
        ran = run("animate", picture, *POKE, *FRAMES, "--model", model_file, "-o", output)
        assert_refused(ran, rf"cannot write .*\.{suffix}")
        assert files_below(tmp_path) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_is_refused(run: Run, tmp_path: Path, picture: Path, model_file: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    ran = run("animate", picture, *POKE, *FRAMES, "--model", model_file, "-o", tmp_path / "locked" / "out.mp4")
    assert_refused(ran, "cannot write .*permission denied")


def test_a_real_process_ends_with_the_same_code_and_sentence(tmp_path: Path, model_file: Path) -> None:
    (tmp_path / "bomb.png").write_bytes(png_of_size(9_500, 9_500))  # a size that Pillow only warns of
    arguments = ("animate", tmp_path / "bomb.png", *POKE, "--model", model_file, "-o", tmp_path / "out.mp4")
    assert_refused(subprocess_run(*arguments), "too large")
    assert not (tmp_path / "out.mp4").exists()
