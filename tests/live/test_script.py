"""The published format of poke scripts, and a replay that must not change.

`POKE2VID_REGENERATE=1 pytest tests/live/test_script.py` writes the schema and the golden frames anew.
"""

import json
import os
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

import poke2vid
from poke2vid.files import write_json
from poke2vid.live.animator import load
from poke2vid.live.canvas import resize
from poke2vid.live.script import Script, read_script, replay, schema
from poke2vid.media.pictures import read_picture, write_picture

PACKAGE = Path(poke2vid.__file__).parent
EXAMPLES = PACKAGE / "assets" / "examples"
PUBLISHED = (PACKAGE / "assets" / "poke-script.schema.json", PACKAGE.parent / "docs" / "poke-script.schema.json")
GOLDEN = Path(__file__).parents[1] / "golden" / "robot-pokes.png"
SHOWN = (
    0,
    5,
    10,
    15,
    20,
    28,
    30,
    34,
    38,
    44,
    50,
)  # frames; poked at 0, dragged at 15, let go at 28, poked at 34, let go at 44
SIZE = (90, 160)
REGENERATE = os.environ.get("POKE2VID_REGENERATE") == "1"


@pytest.fixture(scope="module", autouse=True)
def regenerated() -> None:
    if REGENERATE:
        for path in PUBLISHED:
            write_json(path, schema())
        write_picture(GOLDEN, replayed())


def replayed() -> np.ndarray:
    script = read_script(EXAMPLES / "robot-pokes.json")
    moments = replay(script, load("small64").open(EXAMPLES / "robot.jpg"))
    return np.concatenate([resize(moments[i].picture, SIZE) for i in SHOWN], axis=1)


@pytest.mark.parametrize("path", PUBLISHED, ids=["package", "docs"])
def test_the_published_schema_is_the_one_the_program_checks_by(path: Path) -> None:
    assert json.loads(path.read_text(encoding="utf-8")) == schema()


def test_the_schema_is_one_and_takes_the_bundled_script() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())
    bundled = json.loads((EXAMPLES / "robot-pokes.json").read_text(encoding="utf-8"))
    assert list(jsonschema.Draft202012Validator(schema()).iter_errors(bundled)) == []


POKE: dict[str, Any] = {"type": "poke", "frame": 0, "at": [20, 10], "shift": [8, 0]}
REST: dict[str, Any] = {"type": "rest", "frame": 0, "stiffness": 0.1, "momentum": 0.8}


@pytest.mark.parametrize(
    ("events", "good"),
    [
        ([POKE, {"type": "drag", "frame": 1, "at": [1, 1], "shift": [0, 0], "pointer": 3}, REST], True),
        ([{"type": "release", "frame": 2}], True),
        ([{**POKE, "at": [1, 2, 3]}], False),
        ([{**POKE, "speed": 1}], False),
        ([{**POKE, "kind": "tickle"}], False),
        ([{**POKE, "frame": 0.5}], False),
        ([{**REST, "momentum": 1}], False),
        ([{"type": "stroke", "frame": 0}], False),
        ([{"type": "release"}], False),
    ],
)
def test_the_schema_and_the_program_agree_on_what_a_script_is(events: list[dict[str, Any]], good: bool) -> None:
    script = {"version": 1, "frames": 5, "events": events}
    assert jsonschema.Draft202012Validator(schema()).is_valid(script) == good
    if good:
        Script.model_validate(script)
    else:
        with pytest.raises(ValueError):
            Script.model_validate(script)


def test_a_script_replays_as_it_always_did() -> None:
    """Poked, dragged to the other side, let go, poked again before it rests: the frames that were looked at."""
    golden, found = read_picture(GOLDEN).astype(int), replayed().astype(int)
    assert found.shape == golden.shape
    assert np.abs(found - golden).mean() < 0.2  # of 255: another processor rounds otherwise
    assert np.abs(found - golden).max() <= 16
    still = np.tile(golden[:, : SIZE[1]], (1, len(SHOWN), 1))
    assert np.abs(golden - still).mean() > 2


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_script_with_a_byte_order_mark_is_read(tmp_path: Path, encoding: str) -> None:
    text = (EXAMPLES / "robot-pokes.json").read_text(encoding="utf-8")
    (tmp_path / "marked.json").write_text(text, encoding=encoding)
    assert read_script(tmp_path / "marked.json") == read_script(EXAMPLES / "robot-pokes.json")
