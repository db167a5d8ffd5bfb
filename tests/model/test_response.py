"""The response to touches: what the form guarantees whatever the weights say, and what E_phi can tell apart."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from poke2vid.model.response import BASIS, CELL, basis, coupling, displacement, forces, respond, within_reach
from poke2vid.model.swing import SWING
from poke2vid.model.touch_encoder import FIELD_SIDE, TouchConfig, TouchEncoder, place_maps
from poke2vid.types import InputError

HALF = FIELD_SIDE // 2


def maps_of(field: Tensor) -> Tensor:
    """Influence maps whose coefficient k moves pixel (x, y) by field[:, :, k, :, y, x]; b t k 2 64 64 -> b t k 8 32 32."""
    b, t, k = field.shape[:3]
    cells = field.reshape(b, t, k, 2, HALF, 2, HALF, 2)
    return cells.permute(0, 1, 2, 3, 5, 7, 4, 6).reshape(b, t, k, CELL, HALF, HALF)


def rigid(pulls: int = 1) -> Tensor:
    """Everything goes where the touched point goes."""
    field = torch.zeros(1, pulls, BASIS, 2, FIELD_SIDE, FIELD_SIDE)
    field[:, :, 0, 0] = 1
    field[:, :, 1, 1] = 1
    return maps_of(field)


def drawn(seed: int = 0, pulls: int = 2) -> Tensor:
    """Smooth maps that fall off from each touch, not all linear."""
    generator = torch.Generator().manual_seed(seed)
    field = 0.1 * torch.randn(1, pulls, BASIS, 2, 1, 1, generator=generator).expand(
        -1, -1, -1, -1, FIELD_SIDE, FIELD_SIDE
    )
    return rigid(pulls) + maps_of(field.contiguous())


def given(pulls: int) -> Tensor:
    return torch.ones(1, pulls, dtype=torch.bool)


@pytest.mark.parametrize("gain", [0.0, 0.5, 2.0])
def test_twice_the_poke_moves_everything_twice_as_far_and_none_moves_nothing(gain: float) -> None:
    at, p = torch.tensor([[[20.0, 30.0]]]), torch.tensor([[[3.0, -4.0]]])
    mask = torch.rand(1, 1, FIELD_SIDE, FIELD_SIDE)
    once = respond(drawn(pulls=1), mask, at, p, given(1))
    more = respond(drawn(pulls=1), mask, at, gain * p, given(1))
    assert torch.allclose(more, gain * once, atol=1e-4)


def test_a_pull_gets_as_far_as_those_of_the_training_and_a_longer_one_less_than_it_asks_for() -> None:
    assert within_reach((6.0, -8.0), 64) == (6.0, -8.0)
    lengths = [np.hypot(*within_reach((0.6 * r, 0.8 * r), 64)) / 64 for r in range(1, 400)]
    assert np.diff(lengths).min() > -1e-12 and lengths[-1] == pytest.approx(0.3)
    x, y = within_reach((-300.0, 400.0), 128)
    assert y / x == pytest.approx(-4 / 3)


def test_the_basis_tells_a_pull_from_a_push_and_its_first_two_functions_are_the_shift() -> None:
    p = torch.tensor([3.0, 4.0])
    assert basis(p)[:2].tolist() == [3.0, 4.0]
    assert basis(p)[2].item() == pytest.approx(5.0) == basis(-p)[2].item()
    angle = math.atan2(4, 3)
    expected = [5 * f(n * angle) for n, f in ((2, math.cos), (2, math.sin), (3, math.cos), (3, math.sin))]
    assert basis(p)[3:].tolist() == pytest.approx(expected, abs=1e-5)
    assert basis(torch.zeros(2)).abs().max() < 1e-5


def test_a_map_is_read_where_the_pixel_is() -> None:
    """A field that is its own coordinates, shuffled as the network's head shuffles it, and read at a broken place."""
    y, x = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    field = torch.zeros(1, 1, BASIS, 2, 64, 64)
    field[0, 0, 0, 0], field[0, 0, 0, 1] = x, y
    found = coupling(maps_of(field), torch.tensor([[[10.25, 41.5]]]))
    assert found.shape == (1, 1, 1, 2, BASIS)
    assert found[0, 0, 0, :, 0].tolist() == pytest.approx([10.25, 41.5])
    u = displacement(maps_of(field), torch.tensor([[[1.0, 0.0]]]))
    psi = basis(torch.tensor([1.0, 0.0]))[0]
    assert torch.allclose(u[0, 0], psi * x) and torch.allclose(u[0, 1], psi * y)


@pytest.mark.parametrize("seed", range(3))
def test_every_touched_point_arrives(seed: int) -> None:
    at = torch.tensor([[[15.0, 20.0], [45.0, 40.0]]])
    field = torch.zeros(1, 2, BASIS, 2, 64, 64)
    for k, (x, y) in enumerate(at[0].tolist()):
        field[0, k] = torch.exp(-(place_maps(torch.tensor([[x, y]]), 64)[0, :2].square().sum(0)) / 0.1)
    influence = maps_of(field) * drawn(seed)
    p = torch.tensor([[[4.0, 1.0], [-2.0, 3.0]]])
    u = respond(influence, torch.ones(1, 1, 64, 64), at, p, given(2))
    for (x, y), shift in zip(at[0].long().tolist(), p[0], strict=True):
        assert torch.allclose(u[0, :, y, x], shift, atol=0.35), "within the ridge"


def test_a_touch_without_a_shift_pins_its_point() -> None:
    at, p = torch.tensor([[[15.0, 20.0], [45.0, 40.0]]]), torch.tensor([[[4.0, 1.0], [0.0, 0.0]]])
    x = place_maps(at[0], 64)[:, :2].square().sum(1)
    field = rigid(2).clone()
    near = torch.exp(-x / 0.4)[None, :, None, None].expand(1, 2, BASIS, 2, 64, 64)
    influence = maps_of(near.contiguous()) * field
    alone = respond(influence[:, :1], torch.ones(1, 1, 64, 64), at[:, :1], p[:, :1], given(1))
    pinned = respond(influence, torch.ones(1, 1, 64, 64), at, p, given(2))
    assert alone[0, :, 40, 45].norm() > 1 > 4 * pinned[0, :, 40, 45].norm()


def test_two_touches_of_one_spot_that_disagree_tear_nothing() -> None:
    at, p = torch.tensor([[[30.0, 30.0], [30.0, 30.0]]]), torch.tensor([[[5.0, 0.0], [-5.0, 0.0]]])
    force = forces(rigid(2), at, p, given(2))
    assert bool(force.isfinite().all()) and force.norm(dim=-1).max() <= 4.0 * 5.0 + 1e-4


def test_a_touch_that_is_not_there_has_no_force() -> None:
    at, p = torch.tensor([[[30.0, 30.0], [0.0, 0.0]]]), torch.tensor([[[5.0, 0.0], [9.0, 9.0]]])
    only = forces(rigid(2), at, p, torch.tensor([[True, False]]))
    assert only[0, 1].tolist() == [0.0, 0.0]
    assert torch.allclose(only[:, :1], forces(rigid(1), at[:, :1], p[:, :1], given(1)))


def test_what_is_no_object_stays() -> None:
    at, p = torch.tensor([[[30.0, 30.0]]]), torch.tensor([[[5.0, 0.0]]])
    mask = torch.zeros(1, 1, 64, 64)
    mask[..., :32] = 1
    u = respond(rigid(), mask, at, p, given(1))
    assert u[..., 32:].abs().max() == 0 and u[0, 0, 30, 30] == pytest.approx(5.0, abs=0.3)


@pytest.mark.parametrize("resolution", [64, 128])
def test_an_untrained_encoder_moves_nothing_and_its_gradient_reaches_every_weight(resolution: int) -> None:
    torch.manual_seed(0)
    net = TouchEncoder(TouchConfig(resolution=resolution, swing=8))
    x = torch.rand(2, 3, resolution, resolution) * 2 - 1
    features = net.encode(x)
    places = torch.tensor([[10.0, 20.0], [40.0, 50.0]])
    said = net(features.levels, places)
    assert said.influence.shape == (2, BASIS, CELL, HALF, HALF) and said.swing.shape == (2, SWING, 16, 16)
    assert said.influence.abs().max() == 0 and said.swing.abs().max() == 0
    for last in (net.head, net.swing[1]):
        torch.nn.init.normal_(last.weight, std=0.1)
    said = net(features.levels, places)
    parts = (said.influence, said.along, said.swing, features.objectness)
    torch.stack([part.square().mean() for part in parts]).sum().backward()
    dead = [name for name, p in net.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert dead == []


def test_the_encoder_sees_which_thing_is_touched() -> None:
    """The same place on two pictures, and two places on one picture, give other influences."""
    torch.manual_seed(0)
    net = TouchEncoder(TouchConfig())
    torch.nn.init.normal_(net.head.weight, std=0.1)
    x = torch.rand(2, 3, 64, 64) * 2 - 1
    here, there = torch.tensor([[20.0, 20.0]]), torch.tensor([[44.0, 44.0]])
    one, other = net.encode(x[:1]), net.encode(x[1:])
    assert (net(one.levels, here).influence - net(other.levels, here).influence).abs().max() > 1e-3
    assert (net(one.levels, here).influence - net(one.levels, there).influence).abs().max() > 1e-3


def test_the_place_of_a_touch_is_seen_on_every_level() -> None:
    for side in (4, 8, 16, 32):
        maps = place_maps(torch.tensor([[47.5, 15.5]]), side)  # (3/4, 1/4) of the picture
        assert maps.shape == (1, 4, side, side)
        row, column = divmod(int(maps[0, 2].argmax()), side)
        assert (column + 0.5) / side == pytest.approx(0.75, abs=0.6 / side)
        assert (row + 0.5) / side == pytest.approx(0.25, abs=0.6 / side)
        assert maps[0, 0, 0, -1] > 0 > maps[0, 0, 0, 0], "dx grows to the right"


@pytest.mark.parametrize("wrong", [{"resolution": 48}, {"touching": (8, 12, 128, 160)}])
def test_shapes_that_cannot_be_are_refused(wrong: dict) -> None:
    with pytest.raises(InputError):
        TouchConfig(**wrong)
