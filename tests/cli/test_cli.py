"""The command line as people meet it: what it writes, what it says, and with which exit code it ends.

`POKE2VID_REGENERATE=1 pytest tests/cli/test_cli.py` writes docs/cli.txt anew.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import typer
from command_line import FRAMES, POKE, Run, assert_refused, files_below, numbers, one_flipped_byte, video
from torch import nn

from poke2vid import __version__
from poke2vid.cli import app
from poke2vid.model.files import load_model
from poke2vid.model.info import count_flops

HELP = Path(__file__).resolve().parents[2] / "docs" / "cli.txt"
TYPER = ".".join(typer.__version__.split(".")[:2])


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


@pytest.mark.parametrize(
    ("preset", "what"), [("fields64", "a model that sees what it touches"), ("srvp64-small", "srvp")]
)
def test_what_trains_in_one_process_is_refused_under_torchrun_before_anything_is_written(
    run: Run, tmp_path: Path, store: Path, monkeypatch: pytest.MonkeyPatch, preset: str, what: str
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    ran = run("train", "--preset", preset, "--data", store, "--out", tmp_path / "run", "--workers", 0)
    assert_refused(ran, f"{what} trains in one process; start it by `poke2vid train`, without torchrun")
    assert not (tmp_path / "run").exists()


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
