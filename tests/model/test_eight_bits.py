"""Weights in a byte each."""

import torch

from poke2vid.model.eight_bits import STEPS, from_eight_bits, in_eight_bits


def test_weights_are_off_by_half_a_step_and_are_halves_to_the_bit() -> None:
    generator = torch.Generator().manual_seed(0)
    w = torch.randn(32, 16, 3, 3, generator=generator) * torch.logspace(-3, 1, 32)[:, None, None, None]
    w[5] = 0
    stored = in_eight_bits({"a.weight": w, "a.bias": torch.ones(32) / 3})
    assert stored["a.weight"].dtype == torch.int8 and stored["a.bias"].dtype == torch.float16
    found = from_eight_bits(stored)
    assert found.keys() == {"a.weight", "a.bias"}
    largest = w.abs().amax(dim=(1, 2, 3), keepdim=True)
    assert ((found["a.weight"] - w).abs() <= largest / 127 * (1 + 1 / 8) / 2 + 1e-9).all()
    assert torch.equal(found["a.weight"].half().float(), found["a.weight"])
    assert (found["a.weight"][5] == 0).all() and stored["a.weight" + STEPS].shape == (32,)


def test_what_was_stored_once_hardly_changes_when_it_is_stored_again() -> None:
    w = torch.randn(16, 64, 3, 3, generator=torch.Generator().manual_seed(1))
    once = from_eight_bits(in_eight_bits({"w": w}))
    again = from_eight_bits(in_eight_bits(once))
    assert torch.allclose(once["w"], again["w"], atol=float(w.abs().max()) / 127 / 2 * 1.2)


def test_small_tensors_and_files_of_halves_are_only_converted() -> None:
    small = torch.randn(8, 4, 3, 3).half()
    stored = in_eight_bits({"w": small})
    assert stored.keys() == {"w"} and torch.equal(stored["w"], small)
    assert torch.equal(from_eight_bits({"w": small, "v": torch.ones(3)})["w"], small.float())
