"""F_n: one convolutional gated recurrent unit (Eq. 3, App. E.1)."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

CLOSED_GATE = -3.0  # b_z at the start: a step keeps 95 % of the state
OPEN_GATE = 0.0  # b_z at the start in the released code: a step keeps half of it


class ConvGRUCell(nn.Module):
    """The convolutional GRU.

        z = sigmoid(W_z * [u, sigma] + b_z)         r = sigmoid(W_r * [u, sigma] + b_r)
        candidate = tanh(W_c * [u, r sigma] + b_c)  sigma' = (1 - z) sigma + z candidate

    `*` is a 3x3 convolution. Every W is held as its input half (`from_input`: z, r, candidate) and its state half
    (`from_state`: z, r; `from_reset`: candidate), which is the same sum. So an input that is constant over time, as a
    held poke in a rollout, is convolved once (`drive`) and not at every step.
    """

    def __init__(self, in_channels: int, hidden_channels: int, *, update_bias: float = CLOSED_GATE) -> None:
        super().__init__()
        self.hidden_channels = hidden_channels
        self.from_input = nn.Conv2d(in_channels, 3 * hidden_channels, 3, 1, 1)
        self.from_state = nn.Conv2d(hidden_channels, 2 * hidden_channels, 3, 1, 1, bias=False)
        self.from_reset = nn.Conv2d(hidden_channels, hidden_channels, 3, 1, 1, bias=False)
        self._initialise(update_bias)

    def _initialise(self, update_bias: float) -> None:
        """Makes each of W_z, W_r, W_c orthogonal as a whole, over input and state together; biases are zero except b_z.

        With b_z = 0 an untrained cell halves its state at every step: after ten steps nothing is left of the picture. So it
        starts nearly closed (docs/decisions/007).
        """
        hidden, in_channels = self.hidden_channels, self.from_input.in_channels
        state_halves = [*self.from_state.weight.data.split(hidden), self.from_reset.weight.data]
        for input_half, state_half in zip(self.from_input.weight.data.split(hidden), state_halves, strict=True):
            whole = torch.empty(hidden, in_channels + hidden, 3, 3)
            nn.init.orthogonal_(whole)
            input_half.copy_(whole[:, :in_channels])
            state_half.copy_(whole[:, in_channels:])
        assert self.from_input.bias is not None
        nn.init.zeros_(self.from_input.bias)
        nn.init.constant_(self.from_input.bias[:hidden], update_bias)

    def drive(self, u: Float[Tensor, "b c_u h w"]) -> Float[Tensor, "b c_drive h w"]:
        """The input's share of all three gates, biases included."""
        return self.from_input(u)

    def rest_drive(self) -> Float[Tensor, "1 c_drive 1 1"]:
        """The drive of an all-zero input: the biases, for any batch and size."""
        assert self.from_input.bias is not None
        return self.from_input.bias.view(1, -1, 1, 1)

    def advance(
        self, drive: Float[Tensor, "#b c_drive #h #w"], sigma: Float[Tensor, "b c h w"]
    ) -> Float[Tensor, "b c h w"]:
        """sigma' from an already computed drive."""
        drive_z, drive_r, drive_candidate = drive.chunk(3, dim=1)
        state_z, state_r = self.from_state(sigma).chunk(2, dim=1)
        z = torch.sigmoid(drive_z + state_z)
        r = torch.sigmoid(drive_r + state_r)
        candidate = torch.tanh(drive_candidate + self.from_reset(r * sigma))
        return (1 - z) * sigma + z * candidate

    def forward(self, u: Float[Tensor, "b c_u h w"], sigma: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        return self.advance(self.drive(u), sigma)
