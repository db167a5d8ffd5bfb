"""The command line run in a test, and what it wrote and said."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from poke2vid.media.video import iterate_frames

POKE = ("--at", "20,10", "--shift", "8,0")
FRAMES = ("--frames", "4")


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str


Run = Callable[..., Ran]


def subprocess_run(*arguments: object) -> Ran:
    command = [sys.executable, "-m", "poke2vid.cli", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    return Ran(done.returncode, done.stdout, done.stderr)


def pixels(height: int = 48, width: int = 64) -> np.ndarray:
    """Smooth, and different everywhere."""
    ys, xs = np.mgrid[:height, :width] / 7
    waves = np.stack((np.sin(xs + ys / 2), np.cos(xs / 2 - ys), np.sin(xs * ys / 20)), axis=-1)
    return np.rint(127.5 * (1 + waves)).astype(np.uint8)


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


def one_flipped_byte(path: Path, model_file: Path) -> None:
    content = bytearray(model_file.read_bytes())
    content[-1000] ^= 1
    path.write_bytes(content)
