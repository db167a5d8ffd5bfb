"""Storage of weights in a byte each, so that two base models fit into one package; computation stays in full precision.

Every output channel of a convolution has a step of its own; its weights are whole numbers in -127 ... 127 of steps. A
step has so few digits that every weight is exactly a half: an exported graph, which stores halves, holds the same ones.
"""

import torch
from torch import Tensor

MANY = 4096  # size from which a tensor is worth compressing; smaller ones are stored as halves
LARGEST = 127
DIGITS = 4  # binary digits of a step; with the seven of a weight they make the eleven of a half
STEPS = "/steps"  # suffix of the name of a tensor's steps


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
    """Weights in float32 from the output of `in_eight_bits`; tensors without steps are only converted."""
    found = {}
    for name, tensor in tensors.items():
        if name.endswith(STEPS):
            continue
        steps = tensors.get(name + STEPS)
        found[name] = tensor.float() if steps is None else tensor.float() * steps[:, None, None, None]
    return found


def _few_digits(values: Tensor) -> Tensor:
    """Rounds values up to `DIGITS` binary digits; zero becomes 1."""
    mantissa, exponent = torch.frexp(torch.where(values > 0, values, torch.ones_like(values)))
    return torch.ldexp(torch.ceil(mantissa * 2**DIGITS) / 2**DIGITS, exponent)
