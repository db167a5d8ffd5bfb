"""A data set's recipe from raw videos to its row in the table, on a miniature of the data set."""

import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from moving_square import moving_square, write_square

from poke2vid.evaluate.tables.published import published
from poke2vid.evaluate.tables.suites import SUITES
from poke2vid.files import read_json
from poke2vid.media.video import write_video
from poke2vid.simulator.availability import missing_requirements

pytestmark = pytest.mark.slow

RECIPES = Path(__file__).parents[2] / "recipes"
SMALL = ("stage_1_steps=1", "stage_2_steps=1", "batch=2", "model.channels=4", "data.waypoints=[]")
SHORT = ("hold=1", "fall=0", "batch=2")  # of the systems that the paper compares with


def recipe(
    name: str, *arguments: Path | str, timeout: float = 240, **settings: str
) -> subprocess.CompletedProcess[str]:
    """Runs a recipe with the package that is tested as `poke2vid`, and without public weights."""
    place = Path(arguments[0]).parent / "bin"
    place.mkdir(exist_ok=True)
    program = place / "poke2vid"
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m poke2vid "$@"\n')
    program.chmod(0o755)
    environment = {name: value for name, value in os.environ.items() if name != "POKE2VID_WEIGHTS"}
    environment |= {"PATH": f"{place}:{os.environ['PATH']}", "TORCH_HOME": str(place), **settings}
    command = ["bash", str(RECIPES / name), *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=timeout)


def miniature(name: str, raw: Path) -> None:
    """Two or three videos of a data set in its own layout."""
    files = {
        "plants": ("VID_0_1.mp4", "VID_3_1.mp4"),
        "iper": ("001_1_1.mp4", "001_1_2.mp4", "030_2_1.mp4"),
        "taichi": ("train/a#000000#000060.mp4", "test/b#000000#000060.mp4"),
        "human36m": ("S1/Videos/Walking.54138969.mp4", "S9/Videos/Eating.60457274.mp4"),
    }[name]
    frames, fps = {"plants": (90, 25), "iper": (24, 25), "taichi": (40, 25), "human36m": (160, 50)}[name]
    for number, file in enumerate(files):
        path = raw / file
        path.parent.mkdir(parents=True, exist_ok=True)
        slow = 1 / 8 if name == "human36m" else 1 / 2 if name == "taichi" else 1  # these are thinned out
        shown = [moving_square(frames, step=(2, number), seed=number)[int(k * slow)] for k in range(frames)]
        write_video(path, shown, fps)
    if name == "iper":
        (raw / "train.txt").write_text("001/1/1\n001/1/2\n")


@pytest.mark.parametrize(
    ("name", "side", "systems"),
    [
        ("iper", 64, None),
        ("plants", 64, "small"),
        *(
            pytest.param(*asked, marks=pytest.mark.thorough)
            for asked in (
                ("taichi", 64, None),
                ("human36m", 128, "small"),
                ("iper", 128, None),
                ("plants", 128, None),
                ("taichi", 128, None),
                ("human36m", 64, None),
            )
        ),
    ],
)
def test_a_data_set_comes_from_its_videos_to_its_row_by_one_command(
    tmp_path: Path, name: str, side: int, systems: str | None
) -> None:
    raw, work = tmp_path / "raw", tmp_path / "work"
    miniature(name, raw)
    settings = " ".join(f"--set {setting}" for setting in SMALL) + "".join(f" --set-system {s}" for s in SHORT)
    asked = {"PRESET": "ablation_motion64", "CLIPS": "2", "SETTINGS": settings, "DOWNLOAD": ""}
    asked |= {"SYSTEMS": systems} if systems else {}
    done = recipe(f"{name}{side}.sh", raw, work, "cpu", **asked)
    assert done.returncode == 0, done.stderr[-2000:]
    table, *_ = read_json(work / "tables" / "tables.json")["tables"]
    rows = {line["label"]: line["cells"] for line in table["lines"]}
    column = {"plants": "pp", "human36m": "h36m"}.get(name, name)
    others = SUITES[1 if side == 64 else 2].rows.keys() - {"Ours"}
    for label in {"Ours", *others}:
        cells = rows[label]
        assert cells["FVD"]["published"] == published(1 if side == 64 else 2, label, "FVD", column) is not None
        if label == "Ours" or systems:
            assert cells["FVD"]["note"] == "no I3D weights"
            assert cells["poke_epe"]["clips"] == 2 and 0 < cells["poke_epe"]["interval"]["mean"] < 40
        else:  # it was not asked for, and its published number stands there
            assert cells["FVD"]["note"] == "not asked for"
    assert any("not all of" in note for note in table["notes"])  # it is a miniature
    if not systems:
        assert len(list((work / "tables" / "runs").iterdir())) == 1


def papers_tables(folder: Path) -> list[Any]:
    """Those in the paper's layout, without the paired differences."""
    return [table for table in read_json(folder / "tables.json")["tables"] if "(Tab. " in table["caption"]]


@pytest.mark.thorough
@pytest.mark.timeout(1700)
def test_all_four_tables_come_by_one_command_and_go_on_by_it(tmp_path: Path) -> None:
    if missing := missing_requirements():
        pytest.skip(missing[0])
    real, work = tmp_path / "real", tmp_path / "work"
    for number, step in enumerate([(1, 0), (2, 1)]):
        write_square(real / f"square{number}.mp4", 60, seed=number, step=step)
    settings = "--clips 2 --distribution-clips 2" + "".join(f" --set {setting}" for setting in SMALL[:-1])
    asked = {"VIDEOS": "3", "TEST_VIDEOS": "2", "SETTINGS": settings + "".join(f" --set-system {s}" for s in SHORT)}
    done = recipe("systems.sh", work, real, "1", timeout=800, **asked)
    assert done.returncode == 0, done.stderr[-2000:]
    tables = [*papers_tables(work / "systems"), *papers_tables(work / "ablations")]
    assert [table["number"] for table in tables] == [1, 2, 3, 4]
    for table in tables:
        rows = {line["label"]: line["cells"] for line in table["lines"]}
        assert rows.keys() >= SUITES[table["number"]].rows.keys()
        for label in SUITES[table["number"]].rows:
            assert rows[label]["poke_epe"]["clips"] == 2, f"Table {table['number']}: {label}"
    full = [run for run in (work / "ablations" / "runs").iterdir() if run.name.startswith("full-")]
    assert len(full) == 1 and full[0].is_symlink()  # it is trained once for all four
    before = {path: path.stat().st_mtime_ns for path in work.rglob("*.safetensors")}
    again = recipe("systems.sh", work, real, "1", timeout=800, **asked)
    assert again.returncode == 0, again.stderr[-2000:]
    assert {path: path.stat().st_mtime_ns for path in work.rglob("*.safetensors")} == before


@pytest.mark.thorough
@pytest.mark.timeout(900)
def test_the_ablations_come_by_one_command_with_two_seeds_a_row(tmp_path: Path) -> None:
    if missing := missing_requirements():
        pytest.skip(missing[0])
    settings = "--clips 2 --distribution-clips 2" + "".join(f" --set {setting}" for setting in SMALL)
    asked = {"VIDEOS": "3", "TEST_VIDEOS": "4", "SETTINGS": settings}
    done = recipe("tables.sh", tmp_path / "work", "4", "ablation_motion64", timeout=800, **asked)
    assert done.returncode == 0, done.stderr[-2000:]
    (table,) = papers_tables(tmp_path / "work" / "tables")
    rows = {line["label"]: line["cells"] for line in table["lines"]}
    for label in SUITES[4].rows:
        assert rows[label]["poke_epe"]["clips"] == 2 and len(rows[label]["poke_epe"]["seeds"]) == 2, label


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
