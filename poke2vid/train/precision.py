"""Precision of the networks in training: bf16 where the machine is faster at it, else fp32."""

import contextlib
import time
from collections.abc import Callable
from typing import Literal, cast, get_args

import torch
from torch import Tensor, nn

from poke2vid.types import InputError

Precision = Literal["fp32", "bf16"]
TRIAL_STEPS = 3  # timed steps of each precision, after an untimed one
GAIN = 0.9  # bf16 is taken if its steps need less than this share of fp32's time: smaller gains may be noise


def convolving(precision: Precision, device: torch.device) -> contextlib.AbstractContextManager[object]:
    """Context in which convolutions compute in that precision; sums, warps and norms choose their own."""
    if precision == "fp32":
        return contextlib.nullcontext()  # autocast refuses devices without arithmetic, on which FLOPs are counted
    return torch.autocast(device.type, dtype=torch.bfloat16)


class Convolving(nn.Module):
    """A frozen network that computes in a given precision and returns fp32, in which losses are computed."""

    def __init__(self, network: nn.Module, precision: Precision) -> None:
        super().__init__()
        self.network, self.precision = network, precision

    def forward(self, x: Tensor) -> list[Tensor]:
        with convolving(self.precision, x.device):
            return [feature.float() for feature in self.network(x)]


def kept(asked: str | None, own: Precision) -> Precision:
    """A resumed run's own precision.

    Raises:
        InputError: if another one was asked for.
    """
    if asked not in (own, "auto", None):
        raise InputError(f"the run was begun with --precision {own}; go on with it, or leave the option away.")
    return own


def faster(asked: str, step: Callable[[Precision], Callable[[], object]]) -> Precision:
    """The precision that was asked for; for "auto" the faster one.

    Args:
        step: gives, for a precision, a function that does one training step.

    Raises:
        InputError: for an unknown name.
    """
    if asked in get_args(Precision):
        return cast(Precision, asked)
    if asked != "auto":
        raise InputError(f"there is no precision {asked!r}; choose fp32, bf16 or auto.")
    seconds = {precision: _seconds(step(precision)) for precision in get_args(Precision)}
    chosen: Precision = "bf16" if seconds["bf16"] < GAIN * seconds["fp32"] else "fp32"
    print(f"a step takes {seconds['fp32']:.2f} s in fp32 and {seconds['bf16']:.2f} s in bf16: {chosen}.")
    return chosen


def _seconds(step: Callable[[], object]) -> float:
    """Time of the fastest of some steps: other load on the machine only adds to it."""
    step()
    times = []
    for _ in range(TRIAL_STEPS):
        began = time.perf_counter()
        step()
        times.append(time.perf_counter() - began)
    return min(times)
