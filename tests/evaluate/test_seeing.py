"""Maps of what moves with a location, as a model that sees what it touches predicts them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from knowing import Knows, picture
from typer.testing import CliRunner

from poke2vid.cli import app
from poke2vid.evaluate.structure.correlate import correlate
from poke2vid.evaluate.structure.correlators import FieldCorrelator, FrameCorrelator, correlator_for
from poke2vid.evaluate.structure.maps import Settings
from poke2vid.model.config import ModelConfig
from poke2vid.model.files import save_touch_video
from poke2vid.model.poke_video import PokeVideo
from poke2vid.model.response import BASIS
from poke2vid.model.swing import SWING
from poke2vid.model.touch_encoder import Touched
from poke2vid.model.touch_video import packed
from poke2vid.types import InputError


def test_a_disc_that_moves_as_one_is_hot_and_its_wall_is_cold() -> None:
    """On a picture that is no square, so that maps have to be cut out of the model's."""
    asked = correlator_for(Knows(), Settings(pokes=8))
    assert isinstance(asked, FieldCorrelator)
    shown = asked.canvas(picture(96, 128))
    found = asked.ask(shown, (64.0, 48.0))
    assert found.heat.shape == (96, 128)
    y, x = np.mgrid[:96, :128]
    away = np.hypot(x - 63.5, y - 47.5)
    assert found.heat[away < 36].min() > 0.9 and found.heat[away > 44].max() < 0.1
    along = asked.along(shown, (64.0, 48.0))
    assert along.shape == (96, 128) and 0.3 < along[48, 64] <= 0.5 and along[2, 2] == 0, "its logits are zero"


class Sure(Knows):
    """Says of every place that it moves along, and nothing sensible of time."""

    def touch(self, state, location):
        influence = super().touch(state, location)[:, :BASIS]
        generator = torch.Generator().manual_seed(0)
        return packed(
            Touched(influence, torch.full((1, 1, 16, 16), 2.0), torch.randn(1, SWING, 16, 16, generator=generator))
        )


def test_what_moves_along_is_told_from_how_it_moves_in_time() -> None:
    asked = FieldCorrelator(Sure(), Settings(pokes=4))
    along = asked.along(asked.canvas(picture()), (32.0, 32.0))
    assert along[20:44, 20:44].min() > 0.87 and along[1, 1] == 0


def test_a_touch_of_the_wall_has_nothing_with_it() -> None:
    asked = FieldCorrelator(Knows(), Settings(pokes=4))
    assert asked.ask(asked.canvas(picture()), (3.0, 3.0)).heat.max() == 0


def test_other_models_are_asked_by_their_frames() -> None:
    torch.manual_seed(0)
    assert isinstance(correlator_for(PokeVideo(ModelConfig(resolution=32, channels=4)), Settings()), FrameCorrelator)


def test_the_file_says_who_measured_and_numbers_that_are_none_are_refused(tmp_path: Path) -> None:
    asked = FieldCorrelator(Knows(), Settings(pokes=4))
    numbers = correlate(asked, picture(), [(32.0, 32.0)], [tmp_path / "map.png"], "a disc", quiet=True)
    assert "own field" in numbers["tracker"] and numbers["locations"][0]["heat_at_l"] > 0.99
    asked.player.touch = lambda state, location: torch.full((1, 8, 8, 32, 32), torch.nan)  # type: ignore[method-assign]
    with pytest.raises(InputError, match="finite"):
        asked.ask(asked.canvas(picture()), (32.0, 32.0))


def test_the_command_warns_where_the_touched_point_does_not_follow(tmp_path: Path) -> None:
    from PIL import Image

    torch.manual_seed(0)
    save_touch_video(tmp_path / "drawn.safetensors", Knows(), {"trained_on": "nothing"})
    Image.fromarray(picture()).save(tmp_path / "disc.png")
    arguments = [
        "correlate",
        str(tmp_path / "disc.png"),
        "--at",
        "32,32",
        "--pokes",
        "4",
        "-o",
        str(tmp_path / "map.png"),
    ]
    result = CliRunner().invoke(app, [*arguments, "--model", str(tmp_path / "drawn.safetensors")])
    assert result.exit_code == 0 and "hardly follows" in result.stderr
    assert (tmp_path / "map.png").exists()
