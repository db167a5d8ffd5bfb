"""What is wrong is said in a sentence, whatever the terminal, the disk and the folder are."""

import codecs
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from programs import Program, poke2vid

from poke2vid.data.manifest import require_kind
from poke2vid.live.script import read_script
from poke2vid.model.files import resolve
from poke2vid.train.loop import train
from poke2vid.train.presets import preset
from poke2vid.types import InputError

SCRIPT = {"version": 1, "frames": 3, "events": [{"type": "poke", "frame": 0, "at": [5, 5], "shift": [3, 0]}]}


def program(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs `python -m poke2vid` as a terminal does."""
    return subprocess.run(
        [sys.executable, "-m", "poke2vid", *map(str, arguments)],
        capture_output=True, text=True, timeout=120, check=False, env=os.environ | environment,
    )  # fmt: skip


def test_the_package_itself_is_the_program() -> None:
    done = program("--version")
    assert done.returncode == 0 and done.stdout.strip()


def test_a_terminal_of_ascii_alone_shows_every_message(tmp_path: Path) -> None:
    done = program("animate", tmp_path / "Blüte×2.png", "--at", "1,1", "--shift", "1,1", "-o", "a.gif",
                   PYTHONIOENCODING="ascii", PYTHONUTF8="1")  # fmt: skip
    assert done.returncode == 2, done
    assert r"Bl\xfcte\xd72.png" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, as Linux has it")
@pytest.mark.parametrize("arguments", [("info",), ("--help",)])
def test_a_full_disk_behind_the_output_is_said(arguments: tuple[str, ...]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "poke2vid", *arguments], stdout=full, stderr=subprocess.PIPE, text=True, timeout=120,
            check=False,
        )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr == ("poke2vid: the output cannot be written: the disk is full; free some space and try again.\n")


@pytest.mark.parametrize("driver", ["nonsense", "off", "gl"])
def test_a_driver_that_cannot_draw_is_named(driver: str, tmp_path: Path) -> None:
    pytest.importorskip("mujoco")
    arguments = ("simulate", "plants", "--out", tmp_path / "videos")
    done = Program("poke2vid", *arguments, environment={"MUJOCO_GL": driver}).wait()
    assert done.returncode == 2, done
    assert done.stderr.startswith(
        f"poke2vid: MUJOCO_GL is '{driver}', by which MuJoCo cannot draw; unset it, or choose"
    )
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "videos").exists()


def test_errors_about_a_poke_speak_of_the_option_that_named_it(tmp_path: Path) -> None:
    Image.new("RGB", (40, 30)).save(tmp_path / "photo.png")
    places = ("--at", "5,5", "--shift", "3,0", "--at", "400,5", "--shift", "3,0")
    done = poke2vid("animate", tmp_path / "photo.png", *places, "-o", tmp_path / "a.gif")
    assert done.returncode == 2
    assert done.stderr.startswith("poke2vid: --at 400,5: the poke at (400, 5) lies outside the picture")


def test_a_script_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    path = tmp_path / "script.json"
    path.write_bytes(codecs.BOM_UTF8 + json.dumps(SCRIPT).encode())
    assert read_script(path).frames == 3


def test_a_fault_of_a_whole_script_has_no_empty_place_and_no_jargon(tmp_path: Path) -> None:
    path = tmp_path / "script.json"
    path.write_text(json.dumps(SCRIPT | {"frames": 1, "events": [{**SCRIPT["events"][0], "frame": 7}]}))  # type: ignore[dict-item,index]
    with pytest.raises(InputError) as refused:
        read_script(path)
    assert str(refused.value) == (
        f"the poke script {path} is wrong: events.0 is at frame 7, but the script ends after 1 frames."
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[]", "is wrong: it should be an object, in braces."),
        ("[" * 100_000, "is not a JSON file that can be read (its lists or objects are nested too deeply)."),
    ],
)
def test_what_is_no_script_at_all_is_said_without_jargon(text: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "script.json"
    path.write_text(text)
    with pytest.raises(InputError) as refused:
        read_script(path)
    assert str(refused.value) == f"the poke script {path} {says}"


def test_a_store_is_not_called_a_model_without_checkpoints(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(InputError, match="is a store or a benchmark, not a model"):
        resolve(tmp_path)


@pytest.mark.parametrize(
    ("found", "wanted", "says"),
    [
        ("poke2vid-store", "poke2vid-bench", r"is a store of videos, and a benchmark is needed; .*`poke2vid bench build`"),
        ("poke2vid-bench", "poke2vid-store", r"is a benchmark, and a store of videos is needed; .*`poke2vid prepare`"),
        ("poke2vid-pokes", "poke2vid-bench", r"is a store of pokes, and a benchmark is needed"),
        ("another", "poke2vid-store", r"was not written by poke2vid; give a folder made by `poke2vid prepare`"),
    ],
)  # fmt: skip
def test_a_folder_of_another_kind_is_called_what_it_is(found: str, wanted: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        require_kind({"kind": found}, wanted, Path("folder/manifest.json"))


@pytest.mark.parametrize("workers", [0, 1])
def test_a_number_that_is_not_finite_names_the_video_and_the_command(
    workers: int, store_path: Path, tmp_path: Path
) -> None:
    store = shutil.copytree(store_path, tmp_path / "store")
    for array in store.glob("videos/*/flow_*.f16"):
        np.memmap(array, np.float16, "r+")[:] = np.nan
    with pytest.raises(InputError) as refused:
        train(preset("tiny"), store, tmp_path / "run", workers=workers, quiet=True)
    assert re.fullmatch(
        r"the video square\d of the store holds numbers that are not finite in frames \d+ \.\.\. \d+; list the damage "
        r"by `poke2vid verify STORE`, then make the store again\.", str(refused.value)
    )  # fmt: skip


@pytest.mark.parametrize("size", [(2000, 160), (160, 2000), (1200, 20)])
def test_a_map_of_a_low_or_narrow_picture_is_drawn(size: tuple[int, int], tmp_path: Path) -> None:
    Image.linear_gradient("L").resize(size).convert("RGB").save(tmp_path / "photo.png")
    place = f"{size[0] // 2},{size[1] // 2}"
    done = poke2vid("correlate", tmp_path / "photo.png", "--at", place, "--pokes", 2, "-o", tmp_path / "map.png")
    assert done.returncode == 0, done.stderr
    with Image.open(tmp_path / "map.png") as drawn:
        assert min(drawn.size) >= 96
