"""A data set's recipe from raw videos to its row in the table, on a miniature of the data set."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from moving_square import moving_square

from poke2vid.files import read_json
from poke2vid.media.video import write_video

pytestmark = pytest.mark.slow

RECIPES = Path(__file__).parents[2] / "recipes"
SMALL = ("stage_1_steps=1", "stage_2_steps=1", "batch=2", "model.channels=4", "data.waypoints=[]")


def recipe(name: str, *arguments: Path | str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Runs a recipe with the package that is tested as `poke2vid`, and without public weights."""
    place = Path(arguments[1]).parent / "bin"
    place.mkdir(exist_ok=True)
    program = place / "poke2vid"
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m poke2vid "$@"\n')
    program.chmod(0o755)
    environment = {name: value for name, value in os.environ.items() if name != "POKE2VID_WEIGHTS"}
    environment |= {"PATH": f"{place}:{os.environ['PATH']}", "TORCH_HOME": str(place), **settings}
    command = ["bash", str(RECIPES / name), *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240)


def test_a_data_set_comes_from_its_videos_to_its_row_by_one_command(tmp_path: Path) -> None:
    raw = tmp_path / "iPER"
    raw.mkdir()
    for number, name in enumerate(("001_1_1", "001_1_2", "030_2_1")):
        write_video(raw / f"{name}.mp4", moving_square(24, step=(2, number), seed=number), 25)
    (raw / "train.txt").write_text("001/1/1\n001/1/2\n")
    settings = " ".join(f"--set {setting}" for setting in SMALL)
    work = tmp_path / "work"
    asked = {"PRESET": "ablation_motion64", "CLIPS": "2", "SETTINGS": settings, "DOWNLOAD": ""}
    done = recipe("iper64.sh", raw, work, "cpu", **asked)
    assert done.returncode == 0, done.stderr[-2000:]
    table, *_ = read_json(work / "tables" / "tables.json")["tables"]
    rows = {line["label"]: line for line in table["lines"]}
    cells = rows["Ours"]["cells"]
    assert cells["FVD"]["published"] == 144.92 and cells["FVD"]["note"] == "no I3D weights"
    assert cells["poke_epe"]["clips"] == 2 and 0 < cells["poke_epe"]["interval"]["mean"] < 10
    assert (
        rows["SAVP"]["cells"]["FVD"]["published"] is not None
    )  # it was not asked for, and its published number stands there
    assert len(list((work / "tables" / "runs").iterdir())) == 1
    again = recipe("iper64.sh", raw, work, "cpu", **asked)  # goes on from there: nothing is made twice
    assert again.returncode == 0 and "step/s" not in again.stderr, again.stderr[-2000:]


@pytest.mark.parametrize(("name", "arguments", "said"), [
    ("dataset.sh", ("kinetics", "64"), "take plants, iper, taichi or human36m"),
    ("dataset.sh", ("iper", "256"), "tables are of 64 and 128 pixels"),
])  # fmt: skip
def test_a_recipe_that_does_not_exist_is_refused_before_anything_is_made(
    tmp_path: Path, name: str, arguments: tuple[str, ...], said: str
) -> None:
    done = subprocess.run(
        ["bash", str(RECIPES / name), *arguments, str(tmp_path), str(tmp_path / "work")], capture_output=True, text=True
    )
    assert done.returncode == 2 and said in done.stderr and list(tmp_path.iterdir()) == []


def test_every_recipe_of_a_data_set_is_one_of_dataset_sh() -> None:
    for name in ("plants", "iper", "taichi", "human36m"):
        for side in (64, 128):
            assert f'dataset.sh" {name} {side} "$@"' in (RECIPES / f"{name}{side}.sh").read_text()
