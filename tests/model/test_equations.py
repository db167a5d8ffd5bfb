"""The paper's equations, one by one, against numbers computed another way."""

import math

import pytest
import torch
from torch import nn

from poke2vid.model.config import ModelConfig
from poke2vid.model.dynamics import BottleneckDynamics, HierarchicalDynamics
from poke2vid.model.gru import ConvGRUCell
from poke2vid.model.poke_video import NO_POKE, PokeVideo


def pixel(value: float) -> torch.Tensor:
    return torch.full((1, 1, 1, 1), value, dtype=torch.double)


@torch.no_grad()
def scalar_gru(cell: ConvGRUCell, u: float, sigma: float) -> float:
    """The four equations of the GRU with the centre weights of the kernels, on plain numbers."""
    w_z, w_r, w_c = (float(w) for w in cell.from_input.weight[:, 0, 1, 1])
    b_z, b_r, b_c = (float(b) for b in cell.from_input.bias)
    v_z, v_r = (float(v) for v in cell.from_state.weight[:, 0, 1, 1])
    v_c = float(cell.from_reset.weight[0, 0, 1, 1])
    z = 1 / (1 + math.exp(-(w_z * u + v_z * sigma + b_z)))
    r = 1 / (1 + math.exp(-(w_r * u + v_r * sigma + b_r)))
    candidate = math.tanh(w_c * u + v_c * (r * sigma) + b_c)
    return (1 - z) * sigma + z * candidate


@pytest.mark.parametrize("seed", range(5))
def test_a_conv_gru_on_one_pixel_is_the_four_scalar_equations(seed: int) -> None:
    torch.manual_seed(seed)
    cell = ConvGRUCell(1, 1).double().requires_grad_(False)
    nn.init.normal_(cell.from_input.bias)  # zero biases would hide a gate that uses another's
    for u, sigma in torch.randn(20, 2, dtype=torch.double).tolist():
        found = cell(pixel(u), pixel(sigma))
        assert abs(found.item() - scalar_gru(cell, u, sigma)) < 1e-12


def test_the_update_of_equation_13_as_printed_is_not_the_grus() -> None:
    """sigma + z sigma + z h, where a GRU has sigma - z sigma + z h (docs/decisions/019)."""
    torch.manual_seed(0)
    cell = ConvGRUCell(1, 1).double().requires_grad_(False)
    for u, sigma in ((0.7, -0.4), (-1.3, 0.9)):
        found = cell(pixel(u), pixel(sigma)).item()
        gate, reset = (torch.sigmoid(t) for t in cell_gates(cell, u, sigma))
        candidate = math.tanh(
            float(cell.from_input.weight[2, 0, 1, 1]) * u
            + float(cell.from_input.bias[2])
            + float(cell.from_reset.weight[0, 0, 1, 1]) * float(reset) * sigma
        )
        printed = sigma + float(gate) * sigma + float(gate) * candidate
        assert min(sigma, candidate) <= found <= max(sigma, candidate)
        assert found == pytest.approx(printed - 2 * float(gate) * sigma, abs=1e-12)
        assert abs(found - printed) > 1e-2


def cell_gates(cell: ConvGRUCell, u: float, sigma: float) -> torch.Tensor:
    """The arguments of z's and r's sigmoids on one pixel."""
    from_input = cell.from_input.weight[:2, 0, 1, 1] * u + cell.from_input.bias[:2]
    return (from_input + cell.from_state.weight[:, 0, 1, 1] * sigma).detach()


def test_the_scalar_equations_tell_a_swapped_gate() -> None:
    torch.manual_seed(0)
    cell = ConvGRUCell(1, 1).double().requires_grad_(False)
    nn.init.normal_(cell.from_input.bias)
    expected = scalar_gru(cell, 0.7, -0.4)
    with torch.no_grad():
        for parameter in (cell.from_input.weight, cell.from_input.bias, cell.from_state.weight):
            parameter[:2] = parameter[:2].flip(0)
    found = cell(pixel(0.7), pixel(-0.4))
    assert abs(found.item() - expected) > 1e-3


def test_the_split_convolutions_are_one_convolution_of_input_and_state() -> None:
    torch.manual_seed(0)
    cell = ConvGRUCell(3, 4).double()
    nn.init.normal_(cell.from_input.bias)
    u, sigma = torch.randn(2, 3, 5, 6).double(), torch.randn(2, 4, 5, 6).double()
    state_halves = [*cell.from_state.weight.split(4), cell.from_reset.weight]
    whole = [torch.cat(halves, dim=1) for halves in zip(cell.from_input.weight.split(4), state_halves, strict=True)]

    def gate(k: int, state: torch.Tensor) -> torch.Tensor:
        bias = cell.from_input.bias[4 * k : 4 * k + 4]
        return nn.functional.conv2d(torch.cat((u, state), dim=1), whole[k], bias, padding=1)

    z, r = torch.sigmoid(gate(0, sigma)), torch.sigmoid(gate(1, sigma))
    expected = (1 - z) * sigma + z * torch.tanh(gate(2, r * sigma))
    torch.testing.assert_close(cell(u, sigma), expected, rtol=0, atol=1e-12)


def test_every_gate_starts_orthogonal_over_input_and_state_together() -> None:
    torch.manual_seed(0)
    cell = ConvGRUCell(6, 4)
    state_halves = [*cell.from_state.weight.split(4), cell.from_reset.weight]
    for input_half, state_half in zip(cell.from_input.weight.split(4), state_halves, strict=True):
        rows = torch.cat((input_half, state_half), dim=1).flatten(1)
        torch.testing.assert_close(rows @ rows.T, torch.eye(4), rtol=0, atol=1e-5)


def test_states_of_a_gru_never_leave_the_range_of_their_start_and_one() -> None:
    torch.manual_seed(0)
    cell = ConvGRUCell(2, 3)
    for scale in (0.3, 1.0, 4.0):
        sigma = scale * torch.randn(2, 3, 8, 8)
        bound = max(1.0, float(sigma.abs().max()))
        before = sigma.clone()
        moved = sigma
        for _ in range(20):
            moved = cell(10 * torch.randn(2, 2, 8, 8), moved)
            assert float(moved.detach().abs().max()) <= bound
        assert torch.equal(sigma, before), "the input state must not be changed"


def test_f_with_one_level_is_one_gru() -> None:
    torch.manual_seed(0)
    dynamics = HierarchicalDynamics(ModelConfig(resolution=64, channels=4, depth=1))
    phi, sigma = torch.randn(2, 16, 8, 8), torch.randn(2, 16, 8, 8)
    (found,) = dynamics((sigma,), phi)
    assert len(dynamics.cells) == 1 and len(dynamics.upsamplers) == 0
    assert torch.equal(found, dynamics.cells[0](phi, sigma))


def hierarchy() -> tuple[HierarchicalDynamics, tuple[torch.Tensor, ...], torch.Tensor]:
    torch.manual_seed(0)
    config = ModelConfig(resolution=64, channels=4)
    sigma = tuple(torch.randn(2, c, 8 * 2**n, 8 * 2**n) for n, c in enumerate(config.level_channels))
    return HierarchicalDynamics(config), sigma, torch.randn(2, config.level_channels[0], 8, 8)


def test_every_level_reads_the_new_state_of_its_predecessor() -> None:
    dynamics, sigma, phi = hierarchy()
    first = dynamics.cells[0](phi, sigma[0])
    second = dynamics.cells[1](dynamics.upsamplers[0](first), sigma[1])
    third = dynamics.cells[2](dynamics.upsamplers[1](second), sigma[2])
    for found, expected in zip(dynamics(sigma, phi), (first, second, third), strict=True):
        assert torch.equal(found, expected)


def test_a_level_that_read_the_old_state_of_its_predecessor_would_be_found_out() -> None:
    dynamics, sigma, phi = hierarchy()
    found = dynamics(sigma, phi)
    stale = dynamics.cells[1](dynamics.upsamplers[0](sigma[0]), sigma[1])
    assert float((found[1] - stale).detach().abs().max()) > 1e-2


def test_phi_reaches_the_finest_level_within_one_step() -> None:
    dynamics, sigma, phi = hierarchy()
    change = dynamics(sigma, phi)[-1] - dynamics(sigma, phi + 1)[-1]
    assert float(change.detach().abs().max()) > 1e-4


def test_the_bottleneck_rnn_stacks_three_cells_at_the_bottleneck() -> None:
    torch.manual_seed(0)
    dynamics = BottleneckDynamics(ModelConfig(channels=4, dynamics="bottleneck"))
    phi, start = torch.randn(1, 16, 8, 8), torch.randn(1, 16, 8, 8)
    sigma = dynamics.initial((start,))
    first = dynamics.cells[0](phi, start)
    second = dynamics.cells[1](first, start)
    third = dynamics.cells[2](second, start)
    for found, expected in zip(dynamics(sigma, phi), (first, second, third), strict=True):
        assert torch.equal(found, expected)
    assert torch.equal(dynamics.predicted((first, second, third))[0], third)


def test_a_drive_computed_once_moves_the_state_as_phi_at_every_step_does() -> None:
    torch.manual_seed(0)
    model = PokeVideo(ModelConfig(resolution=32, channels=4)).eval()
    x_0, poke_map = torch.rand(2, 3, 32, 32) * 2 - 1, torch.randn(2, 1, 3, 32, 32)
    with torch.no_grad():
        rolled = model.rollout(x_0, poke_map, torch.zeros(2, 5, dtype=torch.long))
        state, phi = model.start(x_0), model.encode_poke(poke_map[:, 0])
        for i in range(5):
            state, frame = model.step(state, phi)
            torch.testing.assert_close(frame.x_hat, rolled.frames[:, i], rtol=0, atol=1e-5)
    for found, expected in zip(rolled.state.sigma, state.sigma, strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


def test_impulse_mode_feeds_phi_at_the_first_step_and_zero_after() -> None:
    torch.manual_seed(0)
    model = PokeVideo(ModelConfig(resolution=32, channels=4, poke_kind="impulse")).eval()
    x_0, poke_map = torch.rand(1, 3, 32, 32) * 2 - 1, torch.randn(1, 1, 3, 32, 32)
    schedule = torch.tensor([[0, NO_POKE, NO_POKE, NO_POKE]])
    with torch.no_grad():
        rolled = model.rollout(x_0, poke_map, schedule)
        state = model.start(x_0)
        for i in range(4):
            phi = model.encode_poke(poke_map[:, 0]) if i == 0 else None
            state, frame = model.step(state, phi)
            torch.testing.assert_close(frame.x_hat, rolled.frames[:, i], rtol=0, atol=1e-5)
        held = model.rollout(x_0, poke_map, torch.zeros_like(schedule))
    assert float((held.frames - rolled.frames).abs().max()) > 1e-4, "a held poke must differ from an impulse"
