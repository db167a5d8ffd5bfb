"""Section 4 on the command line: what the commands write, and that what cannot be is one sentence and exit code 2."""

import json
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from poke2vid.cli import main
from poke2vid.media.video import iterate_frames
from poke2vid.model.files import save_model
from poke2vid.model.poke_video import PokeVideo
from poke2vid.train.config import to_json
from poke2vid.train.presets import preset

TINY = preset("tiny")
Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> Call:
    """Runs `poke2vid ARGUMENTS` without any public weights: exit code, output, errors."""
    monkeypatch.delenv("POKE2VID_WEIGHTS", raising=False)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path.parent / "no-hub"))
    monkeypatch.setenv("POKE2VID_CACHE", str(tmp_path / "cache"))

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["poke2vid", *map(str, arguments)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as stop:
            main()
        out, err = capfd.readouterr()
        return int(stop.value.code or 0), out, err

    return run


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Untrained models that move things: one for shifts and one for impulses, of 32 pixels and four frames; one of 64."""
    folder, found = tmp_path_factory.mktemp("models"), {}
    for name, config in (
        ("shift", TINY.model),
        ("impulse", replace(TINY.model, poke_kind="impulse")),
        ("large", replace(TINY.model, resolution=64)),
    ):
        torch.manual_seed(0)
        model = PokeVideo(replace(config, channels=4))
        nn.init.normal_(model.decoder.head.weight, std=0.3)
        found[name] = folder / f"{name}.safetensors"
        save_model(found[name], model, {"train": to_json(TINY), "full_motion": 1.0})
    return found


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 48, 3), dtype=np.uint8)).save(
        tmp_path / "picture.png"
    )
    return tmp_path / "picture.png"


def assert_refused(ran: tuple[int, str, str], sentence: str) -> None:
    code, out, err = ran
    assert code == 2, ran
    said = [line for line in err.splitlines() if line.startswith("poke2vid: ")]
    assert len(said) == 1 and re.search(sentence, said[0]), err
    assert "Traceback" not in out + err


def test_a_table_by_one_command(call: Call, store_path: Path, tmp_path: Path) -> None:
    steps = ("--set", "stage_1_steps=1", "--set", "stage_2_steps=2")
    code, out, err = call(
        "tables", "--suite", 1, "--preset", "tiny", *steps, "--data", store_path, "--out", tmp_path / "t", "--clips", 4,
        "--seeds", 1,
    )  # fmt: skip
    assert code == 0, err
    assert (tmp_path / "t" / "tables.md").read_text().split("##", 1)[1] in out
    assert "| SAVP | not possible" in out and "no preset savp32-small" in out and "not converged" in out
    table, *_ = json.loads((tmp_path / "t" / "tables.json").read_text())["tables"]
    assert [line["label"] for line in table["lines"][:4]] == ["SAVP", "IVRNN", "SRVP", "Ours"]
    assert table["lines"][3]["cells"]["poke_epe"]["clips"] == 4


def test_figures_by_one_command(call: Call, store_path: Path, models: dict[str, Path], tmp_path: Path) -> None:
    code, out, err = call(
        "figures", "--model", models["shift"], "--data", store_path, "--out", tmp_path / "f", "--clips", 1, "--beside", "copy",
    )  # fmt: skip
    assert code == 0, err
    assert "5 files" in out and (tmp_path / "f" / "index.md").is_file()


def test_a_map_by_one_command(call: Call, models: dict[str, Path], picture: Path, tmp_path: Path) -> None:
    code, _, err = call(
        "correlate", picture, "--at", "20,20", "--pokes", 6, "--model", models["shift"], "-o", tmp_path / "map.png",
        "-o", tmp_path / "map.json",
    )  # fmt: skip
    assert code == 0, err
    assert (tmp_path / "map.png").is_file() and json.loads((tmp_path / "map.json").read_text())


def test_neighbours_by_one_command(
    call: Call, store_path: Path, models: dict[str, Path], picture: Path, tmp_path: Path
) -> None:
    pytest.importorskip("faiss", reason="neighbours are searched with faiss")
    code, out, err = call(
        "neighbours", picture, "--data", store_path, "--model", models["shift"], "-o", tmp_path / "n.png"
    )
    assert code == 0, err
    assert "frames searched" in out and (tmp_path / "n.png").is_file()


def test_evaluation_writes_videos_only_if_asked(
    call: Call, store_path: Path, models: dict[str, Path], tmp_path: Path
) -> None:
    code, out, err = call(
        "evaluate", models["shift"], "--data", store_path, "--out", tmp_path / "e", "--clips", 3, "--videos",
    )  # fmt: skip
    assert code == 0, err
    assert "no I3D weights" in out and "too few clips: 3 and 3" in out
    (clip,) = (tmp_path / "e" / "videos").rglob("00000.mp4")
    assert len(list(iterate_frames(clip))) == 5


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("evaluate", "{large}", "--data", "{store}", "--out", "{out}"), "frames of 32 pixels and the model takes 64"),
        (("evaluate", "{shift}", "--data", "{store}", "--out", "{out}", "--lpips", "resnet"), "no LPIPS on 'resnet'"),
        (("evaluate", "{shift}", "--data", "{store}", "--out", "{out}", "--lpips", "alex,vgg"), r"alexnet\.features\.pth"),
        (("tables", "--suite", "5", "--data", "{store}", "--out", "{out}"), "--suite '5' is none of 1, 2, 3, 4"),
        (("tables", "--data", "{store}", "--out", "{out}"), "frames of 32 pixels and the model takes 64"),
        (("tables", "--preset", "tiny", "--dataset", "x", "--data", "{store}", "--out", "{out}"), "no published data set"),
        (("figures", "--model", "{large}", "--data", "{store}", "--out", "{out}"), "frames of 32 pixels"),
        (("correlate", "{picture}", "--at", "99,20", "--model", "{shift}", "-o", "{out}.png"), "outside the picture"),
        (("correlate", "{picture}", "--at", "9,20", "--model", "{store}", "-o", "{out}.png"), "not a model"),
        (("correlate", "{picture}", "--at", "here", "--model", "{shift}", "-o", "{out}.png"), "two numbers"),
        (("neighbours", "{picture}", "--data", "{nowhere}", "-o", "{out}.png"), "is not a store"),
        (("neighbours", "{picture}", "--data", "{store}", "--model", "{large}", "-o", "{out}.png"), "32"),
        (("impulse", "{shift}", "--out", "{out}"), "impulse"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_one_sentence(
    call: Call, arguments: tuple[str, ...], sentence: str, store_path: Path, models: dict[str, Path], picture: Path,
    tmp_path: Path,
) -> None:  # fmt: skip
    places = {
        "store": store_path,
        "picture": picture,
        "out": tmp_path / "out",
        "nowhere": tmp_path / "nowhere",
        **models,
    }
    assert_refused(call(*(part.format(**places) for part in arguments)), sentence)
    assert not (tmp_path / "out").exists() and not (tmp_path / "out.png").exists()
