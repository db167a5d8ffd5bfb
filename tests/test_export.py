"""A step is a pure function of tensors, so that it can leave PyTorch."""

import pytest
import torch
from torch import Tensor, nn

from poke2vid.model.config import ModelConfig
from poke2vid.model.poke_video import PokeVideo
from poke2vid.types import State


class Step(nn.Module):
    """One step on a flat tuple of tensors, as an exported graph sees it."""

    def __init__(self, model: PokeVideo, num_levels: int) -> None:
        super().__init__()
        self.model, self.num_levels = model, num_levels

    def forward(self, phi: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        after, frame = self.model.step(State(state[: self.num_levels], state[self.num_levels :]), phi)
        return (frame.x_hat, *after.sigma)


@pytest.mark.parametrize("decoder", ["rgb", "motion"])
def test_a_step_exports_as_one_graph_and_computes_the_same(decoder: str) -> None:
    torch.manual_seed(0)
    model = PokeVideo(ModelConfig(resolution=32, channels=4, decoder=decoder)).eval()
    state = model.start(torch.rand(1, 3, 32, 32) * 2 - 1)
    phi = torch.randn_like(model.encode_poke(torch.zeros(1, 3, 32, 32)))
    arguments = (phi, *(t.detach() for t in (*state.sigma, *state.context)))
    step = Step(model, len(state.sigma))
    exported = torch.export.export(step, arguments).module()
    with torch.no_grad():
        for found, expected in zip(exported(*arguments), step(*arguments), strict=True):
            torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)
