"""A video predictor of three weights, x_t = x_{t-1} + bias, with a critic of one: for tests of what all systems share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import pytest
import torch
from torch import Generator, Tensor, nn

from poke2vid.baselines.baseline import Baseline, BaselineClips, BaselineConfig
from poke2vid.baselines.systems import SYSTEMS, System
from poke2vid.train.presets import BASELINE_PRESETS
from poke2vid.types import STRICT


@dataclass(frozen=True, kw_only=True)
class ToyConfig:
    system: Literal["toy", "told"] = "toy"
    resolution: int = 32
    widths: tuple[int, ...] = (1, 2)

    __pydantic_config__: ClassVar[dict[str, str]] = STRICT


class Toy(Baseline):
    def __init__(self, config: ToyConfig) -> None:
        super().__init__()
        self.config = config
        self.bias, self.weight = nn.Parameter(torch.zeros(3)), nn.Parameter(torch.ones(1))
        self.frozen_meanwhile: list[tuple[str, bool]] = []

    def groups(self) -> Mapping[str, Sequence[nn.Parameter]]:
        return {"generator": [self.bias], "critics": [self.weight]}

    def terms(self, group: str, clips: BaselineClips, step: int, generator: Generator) -> dict[str, Tensor]:
        self.frozen_meanwhile.append((group, self.bias.requires_grad))
        noise = torch.randn((), generator=generator)
        x_hat = clips.frames[:, :-1] + self.bias[:, None, None]
        if group == "critics":
            return {"critic": (self.weight * x_hat.mean() - noise) ** 2}
        return {"pixel": (x_hat - clips.frames[:, 1:]).abs().mean(), "gan": 0.01 * self.weight.sum() * x_hat.mean()}

    def predict(self, frames: Tensor, count: int, generator: Generator, paths: Tensor | None = None) -> Tensor:
        steps = torch.arange(1, count + 1, device=frames.device)[None, :, None, None, None]
        return (frames[:, -1:] + steps * self.bias[:, None, None]).clamp(-1, 1)


class Told(Toy):
    """The same on pairs of frames, told of three points; it paints nothing of them, but counts them."""

    seen, told, pairs = 1, 3, True

    def terms(self, group: str, clips: BaselineClips, step: int, generator: Generator) -> dict[str, Tensor]:
        assert clips.paths is not None and clips.paths.shape[1:] == (self.told, 2, 2) and clips.frames.shape[1] == 2
        return super().terms(group, clips, step, generator)


def toy_preset(system: str = "toy", **settings: Any) -> BaselineConfig:
    """Six steps at 32 pixels on clips that move within four frames."""
    given = {"hold": 4, "fall": 2, "batch": 2, "length": 6, "horizon": 4, "min_motion": 0.005} | settings
    return BaselineConfig(network=ToyConfig(system=system), **given)  # type: ignore[arg-type]


def with_toys(patch: pytest.MonkeyPatch) -> None:
    """Registers both as systems, with presets `toy32-small` and `told32-small`."""
    for name, network in (("toy", Toy), ("told", Told)):
        presets = {f"{name}32-small": toy_preset(name)}
        patch.setitem(SYSTEMS, name, System(name.upper(), network, ToyConfig, presets))
        for preset, config in presets.items():
            patch.setitem(BASELINE_PRESETS, preset, config)
