"""The command line as people meet it: what it writes, what it says, and with which exit code it ends.

`POKE2VID_REGENERATE=1 pytest tests/cli/test_cli.py` writes docs/cli.txt anew.
"""

import json
import os
import re
import shutil
import struct
import subprocess
import sys
import warnings
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import typer
from moving_square import write_square
from PIL import Image
from torch import nn

from poke2vid import __version__
from poke2vid.cli import app, main
from poke2vid.data.prepare.run import PrepareSettings, prepare
from poke2vid.media.video import iterate_frames
from poke2vid.model.config import ModelConfig
from poke2vid.model.files import load_model, save_model
from poke2vid.model.info import count_flops
from poke2vid.model.poke_video import PokeVideo

HELP = Path(__file__).resolve().parents[2] / "docs" / "cli.txt"
TYPER = ".".join(typer.__version__.split(".")[:2])
POKE = ("--at", "20,10", "--shift", "8,0")
FRAMES = ("--frames", "4")


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str


Run = Callable[..., Ran]


def _show_warning(message: Any, category: Any, filename: Any, lineno: Any, file: Any = None, line: Any = None) -> None:
    sys.stderr.write(warnings.formatwarning(message, category, filename, lineno))


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Runs `poke2vid ARGUMENTS` in this process, and shows warnings as Python shows them to a user."""
    monkeypatch.delenv("POKE2VID_WEIGHTS", raising=False)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path.parent / "no-hub"))
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr(sys.modules["__main__"], "__package__", None, raising=False)  # else help speaks of pytest

    def call(*arguments: object) -> Ran:
        monkeypatch.setattr(sys, "argv", ["poke2vid", *map(str, arguments)])
        capfd.readouterr()
        threads = torch.get_num_threads()
        with warnings.catch_warnings(), pytest.raises(SystemExit) as stop:
            warnings.simplefilter("default")
            for quiet in (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning):
                warnings.simplefilter("ignore", quiet)
            warnings.showwarning = _show_warning
            main()
        torch.set_num_threads(threads)
        out, err = capfd.readouterr()
        code = stop.value.code
        assert code is None or isinstance(code, int)
        return Ran(code or 0, out, err)

    return call


def subprocess_run(*arguments: object) -> Ran:
    command = [sys.executable, "-m", "poke2vid.cli", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    return Ran(done.returncode, done.stdout, done.stderr)


def pixels(height: int = 48, width: int = 64) -> np.ndarray:
    """Smooth, and different everywhere."""
    ys, xs = np.mgrid[:height, :width] / 7
    waves = np.stack((np.sin(xs + ys / 2), np.cos(xs / 2 - ys), np.sin(xs * ys / 20)), axis=-1)
    return np.rint(127.5 * (1 + waves)).astype(np.uint8)


@pytest.fixture(scope="session")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that moves things, wherever to."""
    torch.manual_seed(0)
    model = PokeVideo(ModelConfig(resolution=32, channels=4, decoder="motion"))
    nn.init.normal_(model.decoder.head.weight, std=1.0)
    path = tmp_path_factory.mktemp("model") / "small.safetensors"
    save_model(path, model, {"step": 12, "code": __version__})
    return path


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """64 x 48 pixels."""
    Image.fromarray(pixels()).save(tmp_path / "picture.png")
    return tmp_path / "picture.png"


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three short videos of a moving square, prepared at 32 pixels; not to be altered."""
    folder = tmp_path_factory.mktemp("cli")
    for k, step in enumerate([(1, 0), (2, 1), (-1, 2)]):
        write_square(folder / "videos" / f"square{k}.mp4", 16, seed=k, step=step)
    prepare(folder / "videos", folder / "store", PrepareSettings(resolution=32, lags=(4,), workers=0), quiet=True)
    return folder / "store"


def files_below(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


def assert_refused(ran: Ran, says: str) -> None:
    """Exit 2, and one sentence of plain English on stderr."""
    assert ran.code == 2, ran
    assert ran.err.startswith("poke2vid: ") and ran.err.endswith("\n")
    assert ran.err.count("\n") == 1, ran.err
    assert re.search(says, ran.err), ran.err
    assert "Traceback" not in ran.out + ran.err and "Errno" not in ran.err


def video(path: Path) -> np.ndarray:
    return np.stack(list(iterate_frames(path))).astype(int)


def numbers(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text())


# animate


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


# What animate refuses


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


def one_flipped_byte(path: Path, model_file: Path) -> None:
    content = bytearray(model_file.read_bytes())
    content[-1000] ^= 1
    path.write_bytes(content)


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


def test_what_becomes_very_large_or_hardly_moves_is_remarked_on(run: Run, tmp_path: Path, model_file: Path) -> None:
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


# info


def section(text: str, title: str) -> dict[str, float]:
    """The rows "name   number" below a title."""
    body = text.split(f"\n{title}\n")[1].split("\n\n")[0]
    rows = (row.rsplit(maxsplit=1) for row in body.splitlines())
    return {name.strip(): float(value.replace(",", "")) for name, value in rows}


def test_info_counts_every_parameter_once(run: Run, model_file: Path) -> None:
    ran = run("info", model_file)
    assert (ran.code, ran.err) == (0, "")
    counts = section(ran.out, "parameters")
    total = counts.pop("total")
    assert len(counts) == 4 and min(counts.values()) > 0
    assert sum(counts.values()) == total == sum(p.numel() for p in load_model(model_file).model.parameters())


def test_info_counts_two_flops_a_multiply_accumulate(run: Run, model_file: Path) -> None:
    model = load_model(model_file).model
    counted: list[int] = []

    def count(layer: nn.Module, _: Any, out: torch.Tensor) -> None:
        if isinstance(layer, nn.Conv2d):
            counted.append(2 * out.numel() * layer.in_channels // layer.groups * layer.kernel_size[0] ** 2)

    for layer in (*model.poke_encoder.modules(), *model.dynamics.modules()):  # phi goes into F_1's gates once a poke
        layer.register_forward_hook(count)
    model.encode_poke(torch.zeros(1, 3, 32, 32))
    by_hand = sum(counted)
    flops = count_flops(model)
    assert flops["encode a poke"] == by_hand > 0
    assert flops["ten frames from one picture"] == by_hand + flops["open a picture"] + 10 * flops["each frame"]
    shown = section(run("info", model_file).out, "GFLOP")
    assert shown == {name: pytest.approx(value / 1e9, abs=6e-4) for name, value in flops.items()}


def test_info_tells_the_shape_and_the_origin(run: Run, model_file: Path) -> None:
    out = run("info", model_file).out
    for line in (r"resolution +32", r"channels +4", r"decoder +motion", r"levels +8 x 8 x 8, 4 x 16 x 16", r"step: 12"):
        assert re.search(rf"^  {line}$", out, re.MULTILINE), out
    assert str(model_file) in out


def test_info_of_what_is_no_model_is_refused(run: Run, tmp_path: Path) -> None:
    assert_refused(run("info", tmp_path / "none.safetensors"), "there is no file")
    assert_refused(run("info", tmp_path), "holds no checkpoint")


def test_info_checks_the_hash(run: Run, tmp_path: Path, model_file: Path) -> None:
    one_flipped_byte(tmp_path / "bad.safetensors", model_file)
    assert_refused(run("info", tmp_path / "bad.safetensors"), r"bad\.safetensors is damaged")


# Stores


def test_verify_finds_a_flipped_byte_and_says_where(run: Run, tmp_path: Path, store: Path) -> None:
    copy = tmp_path / "store"
    shutil.copytree(store, copy)
    whole = run("verify", copy)
    assert (whole.code, whole.err) == (0, "")
    assert "is whole" in whole.out
    damaged = sorted(copy.glob("videos/*/flow_4.f16"))[1]
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    ran = run("verify", copy)
    assert_refused(ran, "1 problem")
    assert ran.out == f"{damaged} does not match its checksum\n"


def test_verify_of_what_is_no_store_is_refused(run: Run, tmp_path: Path) -> None:
    ran = run("verify", tmp_path)
    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert f"{tmp_path} is not a store" in ran.out + ran.err


def test_prepare_refuses_what_holds_no_videos_and_leaves_nothing(run: Run, tmp_path: Path, store: Path) -> None:
    (tmp_path / "empty").mkdir()
    before = files_below(tmp_path)
    for source, says in ((tmp_path / "none", "there is no file or folder"), (tmp_path / "empty", "holds no videos")):
        assert_refused(run("prepare", source, "--out", tmp_path / "out"), says)
    for option, says in (
        (("--flow", "guess"), "flow"),
        (("--resolution", "33"), "resolution"),
        (("--fit", "squeeze"), "fit"),
    ):
        assert_refused(run("prepare", store.parent / "videos", "--out", tmp_path / "out", *option), says)
    assert files_below(tmp_path) == before


# Training


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--preset", "huge64"), r"there is no preset 'huge64'; choose one of paper64, "),
        (("--preset", "tiny", "--perceptual", "alexnet"), r"perceptual: .*'vgg19', 'vgg16', 'squeeze' or 'none'"),
        (("--preset", "tiny", "--perceptual", "vgg19"), r"weights vgg19 .*vgg19-dcbb9e9d\.pth.*--weights-dir"),
        (("--preset", "tiny", "--set", "batchsize=3"), r"batchsize"),
        (("--preset", "tiny", "--set", "batch"), r"'batch' is not of the form key=value"),
        (("--preset", "small64"), r"store holds frames of 32 pixels and the model takes 64"),
        (("--preset", "tiny", "--resume"), r"holds no checkpoint to resume from"),
    ],
)
def test_training_that_cannot_start_is_refused_and_leaves_nothing(
    run: Run, tmp_path: Path, store: Path, options: tuple[str, ...], says: str
) -> None:
    assert_refused(run("train", "--data", store, "--out", tmp_path / "run", "--workers", 0, *options), says)
    assert files_below(tmp_path) == set()


@pytest.mark.parametrize("command", ["train", "evaluate"])
def test_data_that_is_no_store_is_refused(run: Run, tmp_path: Path, model_file: Path, command: str) -> None:
    arguments = ("--preset", "tiny") if command == "train" else (model_file,)
    ran = run(command, *arguments, "--data", tmp_path, "--out", tmp_path / "out")
    assert_refused(ran, r"is not a store \(no manifest\.json\)")
    assert files_below(tmp_path) == set()


def test_evaluation_of_an_unknown_split_is_refused(run: Run, tmp_path: Path, model_file: Path, store: Path) -> None:
    ran = run("evaluate", model_file, "--data", store, "--out", tmp_path / "out", "--split", "exam")
    assert_refused(ran, "exam")


def test_from_videos_to_a_poked_picture_in_four_commands(run: Run, tmp_path: Path, store: Path, picture: Path) -> None:
    again, trained, report = tmp_path / "store", tmp_path / "run", tmp_path / "report"
    videos = store.parent / "videos"
    prepared = run("prepare", videos, "--out", again, "--resolution", 32, "--lag", 4, "--workers", 1)
    assert prepared.code == 0, prepared.err
    assert run("verify", again).code == 0

    steps = ("--set", "stage_1_steps=2", "--set", "stage_2_steps=3", "--workers", 0)
    training = run("train", "--preset", "tiny", "--data", again, "--out", trained, "--minutes", 5, *steps)
    assert training.code == 0, training.err
    checkpoint = trained / "checkpoints" / "step-00000005.safetensors"
    assert training.out.splitlines()[-1] == f"done: {checkpoint}"
    assert checkpoint.is_file()
    assert_refused(run("train", "--preset", "tiny", "--data", again, "--out", trained, *steps), "already holds a run")
    assert_refused(run("train", "--preset", "tiny", "--data", again, "--out", trained, "--resume", *steps), "complete")

    evaluated = run("evaluate", trained, "--data", again, "--out", report, "--clips", 3)
    assert evaluated.code == 0, evaluated.err
    assert (report / "report.md").read_text() in evaluated.out
    assert set(numbers(report / "report.json")["rows"]) == {"model", "copy", "truth"}

    animated = run("animate", picture, *POKE, *FRAMES, "--model", trained, "-o", tmp_path / "poked.mp4")
    assert animated.code == 0, animated.err
    assert video(tmp_path / "poked.mp4").shape == (5, 48, 64, 3)


def test_training_stops_when_its_time_is_up_and_is_saved(run: Run, tmp_path: Path, store: Path) -> None:
    ran = run("train", "--preset", "tiny", "--data", store, "--out", tmp_path / "run", "--minutes", 0, "--workers", 0)
    assert ran.code == 0, ran.err
    assert load_model(tmp_path / "run").about["step"] == 1


# Help


def commands() -> Iterator[tuple[str, Any]]:
    for name, command in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
        yield name, command
        yield from ((f"{name} {part}", below) for part, below in getattr(command, "commands", {}).items())


def test_the_help_of_every_command_is_the_one_in_the_documentation(run: Run) -> None:
    found = [f"# Written by tests/cli/test_cli.py, as typer {TYPER} prints it.\n"]
    for command in ("", *(name for name, _ in commands())):
        arguments = [*command.split(), "--help"]
        ran = run(*arguments)
        assert (ran.code, ran.err) == (0, "")
        text = "\n".join(line.rstrip() for line in ran.out.strip().splitlines())
        found.append(f"$ poke2vid {' '.join(arguments)}\n{text}\n")
    if os.environ.get("POKE2VID_REGENERATE") == "1":
        HELP.write_text("\n".join(found), encoding="utf-8")
    expected = HELP.read_text(encoding="utf-8").splitlines()
    if f"typer {TYPER} " not in expected[0]:
        pytest.skip(f"typer {TYPER} lays help out in its own way: {expected[0]}")
    assert "\n".join(found).splitlines() == expected


def test_every_option_says_what_it_does(run: Run) -> None:
    for _, command in commands():
        assert command.help
        assert [p.name for p in command.params if not getattr(p, "help", "")] == []


def test_help_and_version_come_quickly_and_without_torch() -> None:
    code = "import sys; sys.argv = ['poke2vid', 'train', '--help']\nfrom poke2vid.cli import main\ntry:\n    main()\n"
    code += "finally:\n    print([m for m in ('torch', 'numpy', 'av') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_version_is_the_packages(run: Run) -> None:
    ran = run("--version")
    assert (ran.code, ran.out) == (0, f"{__version__}\n")


@pytest.mark.parametrize("arguments", [("wobble",), ("animate",), ("train", "--preset", "tiny"), ("verify", "a", "b")])
def test_a_command_line_that_is_not_understood_ends_with_code_two_and_no_traceback(
    run: Run, arguments: tuple[str, ...]
) -> None:
    ran = run(*arguments)
    assert ran.code == 2
    assert "Traceback" not in ran.err and "Usage: poke2vid" in ran.err
