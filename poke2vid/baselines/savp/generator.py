"""SAVP's generator, one recurrent cell a frame, and its posterior over z (Lee et al., arXiv 1804.01523).

All frames in here are in [0, 1].
"""

from collections.abc import Iterator
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from poke2vid.baselines.savp.config import SavpConfig

KERNEL_SIDE = 5  # pixels, of a CDNA kernel; it moves a pixel by at most two
_LEAST = 1e-12  # added to every weight of a kernel, so that none sums to zero
_SOFT_START = 0.01  # of PyTorch's first weights, in the layer that makes kernels
_LEAK = 0.2  # slope of the posterior's LeakyReLU below zero
_LOG_VARIANCE = 10.0  # the posterior's log variance is clipped to this on either side
_SMALLEST_SIDE = 8  # pixels, of the map that the kernels are read from, at 64 and at 128 pixels

Memory = tuple[Tensor, Tensor]  # hidden state h and cell state c of an LSTM


class State(NamedTuple):
    """Memories of a rollout: of every ConvLSTM in the order of the layers, and of the LSTM that z passes through."""

    maps: tuple[Memory, ...]
    latent: Memory


class Made(NamedTuple):
    """One predicted frame in [0, 1] and the way it was made.

    Attributes:
        frame: sum over the candidates of mask times candidate.
        masks: share of every candidate in every pixel; over the k kernels' pictures, x_t-1, x_first, the painted one.
        kernels: CDNA kernels, applied to x_t-1.
    """

    frame: Float[Tensor, "b 3 h w"]
    masks: Float[Tensor, "b n h w"]
    kernels: Float[Tensor, "b k 5 5"]


def instance_norm(channels: int) -> nn.GroupNorm:
    """InstanceNorm with scale and shift: a GroupNorm of one channel a group is the same and faster on a CPU."""
    return nn.GroupNorm(channels, channels)


def joined(z: Float[Tensor, "b c_z"], *maps: Float[Tensor, "b _c h w"]) -> Float[Tensor, "b c h w"]:
    """Maps of one size and z, repeated in every pixel, side by side in channels."""
    return torch.cat((*maps, z[:, :, None, None].expand(-1, -1, *maps[0].shape[-2:])), dim=1)


class ConvLSTM(nn.Module):
    """The convolutional LSTM (Shi et al. 2015), with InstanceNorm on its gates and on its cell; `*` is a 5x5 convolution.

    i, f, o, g = InstanceNorm(W * [u, z, h])
    c' = InstanceNorm(sigmoid(f) c + sigmoid(i) tanh(g))      h' = sigmoid(o) tanh(c')
    """

    def __init__(self, in_channels: int, hidden_channels: int, latents: int) -> None:
        super().__init__()
        self.hidden_channels = hidden_channels
        self.gates = nn.Conv2d(in_channels + latents + hidden_channels, 4 * hidden_channels, 5, 1, 2, bias=False)
        self.norm = instance_norm(4 * hidden_channels)
        nn.init.ones_(self.norm.bias[hidden_channels : 2 * hidden_channels])  # the usual forget bias
        self.cell_norm = instance_norm(hidden_channels)

    def start(self, like: Tensor, side: int) -> Memory:
        zeros = like.new_zeros(like.shape[0], self.hidden_channels, side, side)
        return zeros, zeros

    def forward(self, u: Float[Tensor, "b c_u h w"], z: Float[Tensor, "b c_z"], memory: Memory) -> Memory:
        h, c = memory
        gates = self.norm(self.gates(joined(z, u, h)))
        opened, candidate = gates.split((3 * self.hidden_channels, self.hidden_channels), dim=1)
        i, f, o = torch.sigmoid(opened).chunk(3, dim=1)
        c = self.cell_norm(f * c + i * torch.tanh(candidate))
        return o * torch.tanh(c), c


class Layer(nn.Module):
    """Convolution of a map and z with a halving or doubling of its side, InstanceNorm, ReLU and, if recurrent, a ConvLSTM."""

    def __init__(
        self, c_in: int, c_out: int, latents: int, *, scale: Literal["down", "up"], kernel: int = 3, recurrent: bool
    ) -> None:
        super().__init__()
        self.scale = scale
        self.conv = nn.Conv2d(c_in + latents, c_out, kernel, 1, kernel // 2, bias=False)
        self.norm = instance_norm(c_out)
        self.lstm = ConvLSTM(c_out, c_out, latents) if recurrent else None

    def forward(
        self, u: Float[Tensor, "b c_u h w"], z: Float[Tensor, "b c_z"], memory: Memory | None
    ) -> tuple[Float[Tensor, "b c h2 w2"], Memory | None]:
        u = joined(z, u)
        if self.scale == "down":
            h = functional.avg_pool2d(self.conv(u), 2)
        else:
            h = self.conv(functional.interpolate(u, scale_factor=2, mode="bilinear", align_corners=False))
        h = functional.relu(self.norm(h))
        if self.lstm is None or memory is None:
            return h, None
        memory = self.lstm(h, z, memory)
        return memory[0], memory


class Posterior(nn.Module):
    """q(z_t | x_t, x_t+1): three strided convolutions, the mean over the picture, then mean and log variance; no memory.

    The first convolution has a bias and no norm.
    """

    def __init__(self, config: SavpConfig) -> None:
        super().__init__()
        c = config.posterior_channels
        self.convs = nn.ModuleList(
            nn.Conv2d(c_in, c_out, 4, 2, 1, bias=c_in == 6) for c_in, c_out in ((6, c), (c, 2 * c), (2 * c, 4 * c))
        )
        self.norms = nn.ModuleList([nn.Identity(), instance_norm(2 * c), instance_norm(4 * c)])
        self.head = nn.Linear(4 * c, 2 * config.latents)

    def forward(self, frames: Float[Tensor, "b t 3 h w"]) -> tuple[Float[Tensor, "b s n"], Float[Tensor, "b s n"]]:
        """Mean and standard deviation of z_t for each of the t - 1 pairs of neighbouring frames."""
        h = torch.cat((frames[:, :-1], frames[:, 1:]), dim=2).flatten(0, 1)
        for conv, norm in zip(self.convs, self.norms, strict=True):
            h = functional.leaky_relu(norm(conv(h)), _LEAK)
        mean, log_variance = self.head(h.mean(dim=(2, 3))).unflatten(0, (len(frames), -1)).chunk(2, dim=-1)
        return mean, (0.5 * log_variance.clamp(-_LOG_VARIANCE, _LOG_VARIANCE)).exp()


class Generator(nn.Module):
    """x_hat_t from x_t-1, x_first and z_t: a U-net of convolutions and ConvLSTMs that moves, copies and paints, then blends."""

    def __init__(self, config: SavpConfig) -> None:
        super().__init__()
        n, c = config.latents, config.channels
        down, up = _shape(config)
        self.resolution, self.num_kernels = config.resolution, config.kernels
        self.latent = nn.LSTMCell(n, n)
        ins = [6, *(width for width, _ in down[:-1])]
        self.down = nn.ModuleList(
            Layer(c_in, width, n, scale="down", kernel=5 if k == 0 else 3, recurrent=recurrent)
            for k, (c_in, (width, recurrent)) in enumerate(zip(ins, down, strict=True))
        )
        skips = [0, *(width for width, _ in reversed(down[:-1]))]
        ins = [down[-1][0], *(width for width, _ in up[:-1])]
        self.up = nn.ModuleList(
            Layer(c_in + c_skip, width, n, scale="up", recurrent=recurrent)
            for c_in, c_skip, (width, recurrent) in zip(ins, skips, up, strict=True)
        )
        self.kernel_head = nn.Linear(down[-1][0] * _SMALLEST_SIDE**2, config.kernels * KERNEL_SIDE**2)
        with torch.no_grad():  # kernels begin as the identity, all but: weights of exactly zero would have no gradient
            for parameter in self.kernel_head.parameters():
                parameter.mul_(_SOFT_START)
        # First convolutions of the painted picture and of the masks: both read the same map, so they are one.
        self.heads = nn.Conv2d(up[-1][0] + n, 2 * c, 3, 1, 1, bias=False)
        self.heads_norm = instance_norm(2 * c)
        self.paint = nn.Conv2d(c + n, 3, 3, 1, 1)
        candidates = config.kernels + 3
        self.mask = nn.Conv2d(c + 3 * candidates + n, candidates, 3, 1, 1)

    def start(self, first: Float[Tensor, "b 3 h w"]) -> State:
        """Memories before the first frame: all zero."""
        sides = [self.resolution // 2 ** (k + 1) for k in range(len(self.down))]
        sides += [2 * side for side in reversed(sides)]
        lstms = [layer.lstm for layer in (*self.down, *self.up)]
        maps = tuple(lstm.start(first, side) for lstm, side in zip(lstms, sides, strict=True) if lstm is not None)
        zeros = first.new_zeros(first.shape[0], self.latent.hidden_size)
        return State(maps, (zeros, zeros))

    def forward(
        self,
        previous: Float[Tensor, "b 3 h w"],
        first: Float[Tensor, "b 3 h w"],
        z: Float[Tensor, "b n"],
        state: State,
    ) -> tuple[Made, State]:
        latent = self.latent(z, state.latent)
        z, memories = latent[0], iter(state.maps)
        kept: list[Memory] = []
        h, skips = torch.cat((previous, first), dim=1), []
        for layer in self.down:
            h = self._advance(layer, h, z, memories, kept)
            skips.append(h)
        smallest = skips.pop()
        for k, layer in enumerate(self.up):
            h = self._advance(layer, h if k == 0 else torch.cat((h, skips.pop()), dim=1), z, memories, kept)
        return self._blend(h, smallest, z, previous, first), State(tuple(kept), latent)

    @staticmethod
    def _advance(layer: nn.Module, h: Tensor, z: Tensor, memories: Iterator[Memory], kept: list[Memory]) -> Tensor:
        h, memory = layer(h, z, next(memories) if layer.lstm is not None else None)
        if memory is not None:
            kept.append(memory)
        return h

    def _blend(
        self,
        h: Float[Tensor, "b c h w"],
        smallest: Float[Tensor, "b c2 8 8"],
        z: Float[Tensor, "b n"],
        previous: Float[Tensor, "b 3 h w"],
        first: Float[Tensor, "b 3 h w"],
    ) -> Made:
        """Blend of all candidates by a softmax in every pixel (Finn et al. 2016, Fig. 1).

        The kernels are read from the smallest map, as there; the masks from the candidates too.
        """
        raw = self.kernel_head(smallest.flatten(1))
        kernels = cdna_kernels(raw.view(-1, self.num_kernels, KERNEL_SIDE, KERNEL_SIDE))
        for_paint, for_mask = functional.relu(self.heads_norm(self.heads(joined(z, h)))).chunk(2, dim=1)
        painted = torch.sigmoid(self.paint(joined(z, for_paint)))
        others = torch.stack((previous, first, painted), dim=1)
        candidates = torch.cat((apply_kernels(previous, kernels), others), dim=1)
        masks = self.mask(joined(z, for_mask, candidates.flatten(1, 2))).softmax(dim=1)
        return Made((masks[:, :, None] * candidates).sum(dim=1), masks, kernels)


def cdna_kernels(raw: Float[Tensor, "b k 5 5"]) -> Float[Tensor, "b k 5 5"]:
    """Kernels without negative weights that sum to 1 (CDNA, Finn et al. 2016, Fig. 1); the identity for raw values of 0.

    relu(raw + identity) + 1e-12, divided by its sum.
    """
    identity = raw.new_zeros(KERNEL_SIDE, KERNEL_SIDE)
    identity[KERNEL_SIDE // 2, KERNEL_SIDE // 2] = 1
    weights = functional.relu(raw + identity) + _LEAST
    return weights / weights.sum(dim=(-2, -1), keepdim=True)


def apply_kernels(x: Float[Tensor, "b 3 h w"], kernels: Float[Tensor, "b k 5 5"]) -> Float[Tensor, "b k 3 h w"]:
    """Frames convolved with each of their own kernels (Finn et al. 2016, Fig. 1); outside the frame, its border value."""
    b, k = kernels.shape[:2]
    reach = KERNEL_SIDE // 2
    padded = functional.pad(x, (reach,) * 4, mode="replicate").transpose(0, 1)
    moved = functional.conv2d(padded, kernels.flatten(0, 1)[:, None], groups=b)
    return moved.unflatten(1, (b, k)).permute(1, 2, 0, 3, 4)


def _shape(config: SavpConfig) -> tuple[list[tuple[int, bool]], list[tuple[int, bool]]]:
    """Width of every layer down, then up, and whether it has a ConvLSTM."""
    c = config.channels
    if config.resolution == 64:
        return [(c, True), (2 * c, True), (4 * c, True)], [(2 * c, True), (c, True), (c, False)]
    return (
        [(c, False), (2 * c, True), (4 * c, True), (8 * c, True)],
        [(8 * c, True), (4 * c, True), (2 * c, False), (c, False)],
    )
