"""E_phi asked about a picture and its mirror image: the signs that a mirror turns, and the mean of both answers."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from knowing import SMALL, picture
from torch import Tensor

from poke2vid.live.session import Session
from poke2vid.model import mirror
from poke2vid.model.files import load_player, save_touch_video
from poke2vid.model.response import basis, displacement
from poke2vid.model.swing import STAYS, home_of, stays_of
from poke2vid.model.touch_encoder import TouchConfig
from poke2vid.model.touch_video import TouchVideo, TouchVideoConfig, on_cells

MIRROR = torch.tensor([-1.0, 1.0])
SWINGS = TouchConfig(**{**vars(SMALL), "swing": 8, "stays": True})


def model_of(mirrored: bool) -> TouchVideo:
    """A network with random weights, also of the layers that start at zero."""
    torch.manual_seed(0)
    model = TouchVideo(TouchVideoConfig(touch=SWINGS, mirrored=mirrored)).eval()
    for last in (model.touch_encoder.head, model.touch_encoder.swing[1]):
        torch.nn.init.normal_(last.weight, std=0.1)
    return model


def turned(field: Tensor) -> Tensor:
    """The mirror image of a field of vectors."""
    return field.flip(-1) * MIRROR[:, None, None]


@pytest.fixture
def x_0() -> Tensor:
    return torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(1)) * 2 - 1


AT, P = torch.tensor([[20.3, 31.0]]), torch.tensor([[[3.0, 5.0]]])
THERE = torch.stack((63 - AT[:, 0], AT[:, 1]), dim=1)


def test_the_functions_of_p_change_their_signs_as_the_table_says() -> None:
    p = torch.randn(50, 2, generator=torch.Generator().manual_seed(2))
    assert torch.allclose(basis(p * MIRROR), basis(p) * torch.tensor(mirror.BASIS_SIGNS), atol=1e-5)


@torch.inference_mode()
def test_the_field_is_the_mean_of_both_answers(x_0: Tensor) -> None:
    plain, both = model_of(mirrored=False), model_of(mirrored=True)
    fields = [
        displacement(model.touched(model.seen(x)[1], at)[:, None, :7], p)
        for model, x, at, p in ((plain, x_0, AT, P), (plain, x_0.flip(-1), THERE, P * MIRROR), (both, x_0, AT, P))
    ]
    mean = (fields[0] + turned(fields[1])) / 2
    assert torch.allclose(fields[2], mean, atol=1e-4 * float(mean.abs().max()))
    # What moves along, and the laws: numbers that a mirror leaves alone
    one, other, mean_of_both = (
        model.touch_encoder(model.touch_encoder.encode(x).levels, at) if not model.config.mirrored
        else mirror.touch(model.touch_encoder, model.seen(x)[1], at)
        for model, x, at in ((plain, x_0, AT), (plain, x_0.flip(-1), THERE), (both, x_0, AT))
    )  # fmt: skip
    assert torch.allclose(mean_of_both.along, (one.along + other.along.flip(-1)) / 2, atol=1e-5)
    laws = (one.swing + other.swing.flip(-1))[:, : STAYS.start] / 2
    assert torch.allclose(mean_of_both.swing[:, : STAYS.start], laws, atol=1e-5)
    assert (fields[0] - turned(fields[1])).abs().max() > 0.1 * mean.abs().max(), "or the mean would be of one thing"


@torch.inference_mode()
def test_a_mirror_image_moves_as_a_mirror_image(x_0: Tensor) -> None:
    model = model_of(mirrored=True)
    (o, levels), (o_turned, levels_turned) = model.seen(x_0), model.seen(x_0.flip(-1))
    assert torch.equal(o, o_turned.flip(-1))
    one, other = model.touched(levels, AT), model.touched(levels_turned, THERE)
    assert torch.allclose(
        displacement(one[:, None, :7], P), turned(displacement(other[:, None, :7], P * MIRROR)), atol=1e-5
    )
    # What stays: A's turn turns the other way
    u = P[0, 0, :, None, None].expand(1, 2, 16, 16)
    homes = [
        home_of(u * sign[:, None, None], stays_of(on_cells(maps)[:, :15], P[0] * sign))
        for maps, sign in ((one, torch.ones(2)), (other, MIRROR))
    ]
    assert homes[0].abs().max() > 0.01 and torch.allclose(homes[0], turned(homes[1]), atol=1e-6)


def test_it_is_a_setting_of_the_model_and_a_session_plays_it(tmp_path: Path) -> None:
    model = model_of(mirrored=True)
    save_touch_video(tmp_path / "touch.safetensors", model, {})
    loaded = load_player(tmp_path / "touch.safetensors").model
    assert loaded.config == replace(model.config, mirrored=True)
    session = Session(loaded, picture())
    session.poke((30, 30), (6, 0))
    for _ in range(5):
        session.step()
    session.save(tmp_path / "session.safetensors")
    again = Session.load(tmp_path / "session.safetensors", loaded)
    session.poke((20, 30), (0, 6))
    again.poke((20, 30), (0, 6))
    assert (session.step() == again.step()).all()
