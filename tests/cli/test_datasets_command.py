"""`poke2vid datasets` and `prepare --dataset`, as a user meets them."""

from pathlib import Path

import pytest
from moving_square import write_square
from typer.testing import CliRunner

from poke2vid.cli.app import app


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for name in ("001_1_1", "002_1_1"):
        write_square(tmp_path / "iper" / f"{name}.mp4")
    (tmp_path / "iper" / "train.txt").write_text("001/1/1\n")
    return tmp_path


def test_the_list_says_what_is_on_this_disk(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POKE2VID_DATA", str(copy))
    said = CliRunner().invoke(app, ["datasets"]).output
    assert "1 for training, 1 for tests; 2 videos instead of 206" in said and f"{copy / 'taichi'}: not there" in said
    assert said.count("licence:") == 5
    monkeypatch.delenv("POKE2VID_DATA")
    said = CliRunner().invoke(app, ["datasets"]).output
    assert "not there" not in said and "name a folder that holds copies" in said


def test_a_copy_becomes_a_store_in_its_own_split(copy: Path) -> None:
    asked = ["prepare", str(copy / "iper"), "--dataset", "iper", "--out", str(copy / "store"), "--resolution", "32"]
    done = CliRunner().invoke(app, [*asked, "--lag", "4"])
    assert done.exit_code == 0 and "iPER: 1 for training, 1 for tests" in done.output
    assert (copy / "store" / "manifest.json").is_file()


@pytest.mark.parametrize("option", [("--fps", "5"), ("--fit", "pad"), ("--test", "a"), ("--seed", "1")])
def test_what_the_data_set_fixes_is_not_asked_for(copy: Path, option: tuple[str, str]) -> None:
    refused = CliRunner().invoke(
        app, ["prepare", str(copy / "iper"), "--dataset", "iper", "--out", str(copy / "store"), *option]
    )
    assert refused.exit_code == 2 and option[0] in refused.output
    assert not (copy / "store").exists()
