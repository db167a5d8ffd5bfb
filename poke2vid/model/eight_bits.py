"""Weights in a byte each, so that two bases fit into one package; what is computed with them is as precise as ever.

Every output channel of a convolution has a step of its own, and its weights are whole numbers of steps in -127 ... 127. A step
has so few digits that the weights are halves to the bit: an exported graph, which stores halves, holds the very same ones.
"""

import torch
from torch import Tensor

MANY = 4096  # numbers of a tensor that is worth it; smaller ones are kept as halves
LARGEST = 127
DIGITS = 4  # binary, of a step: with the seven of a weight these are the eleven that a half has
STEPS = "/steps"  # ends the name of a tensor's steps


def in_eight_bits(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Tensors for a file: int8 and float32 steps for large convolutions, halves for the rest."""
    found = {}
    for name, tensor in weights.items():
        if tensor.dim() != 4 or tensor.numel() < MANY:
            found[name] = tensor.half()
            continue
        steps = _few_digits(tensor.float().abs().amax(dim=(1, 2, 3)) / LARGEST)
        found[name] = (tensor.float() / steps[:, None, None, None]).round().to(torch.int8)
        found[name + STEPS] = steps
    return found


def from_eight_bits(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The weights that such tensors say, in float32; others are only converted."""
    found = {}
    for name, tensor in tensors.items():
        if name.endswith(STEPS):
            continue
        steps = tensors.get(name + STEPS)
        found[name] = tensor.float() if steps is None else tensor.float() * steps[:, None, None, None]
    return found


def _few_digits(values: Tensor) -> Tensor:
    """The next larger numbers with so few digits; 1 for what is nothing."""
    mantissa, exponent = torch.frexp(torch.where(values > 0, values, torch.ones_like(values)))
    return torch.ldexp(torch.ceil(mantissa * 2**DIGITS) / 2**DIGITS, exponent)
