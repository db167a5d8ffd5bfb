"""Fixtures of the command line's tests: `run` runs it, on a small model, picture and store."""

import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from command_line import Ran, Run, pixels
from moving_square import write_square
from PIL import Image
from torch import nn

from poke2vid import __version__
from poke2vid.cli import main
from poke2vid.data.prepare.run import PrepareSettings, prepare
from poke2vid.model.config import ModelConfig
from poke2vid.model.files import save_model
from poke2vid.model.poke_video import PokeVideo


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
