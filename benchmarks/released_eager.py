"""The released model in plain eager PyTorch, run as its authors run it: the reference for our speed.

Three convolutions a GRU over input and state together, at every step; phi convolved anew at every step; frames decoded one
at a time; a training step that keeps graphs nobody reads. Nothing is slowed down beyond that. Parameters have the names of
the released checkpoints, so a `state_dict` goes through `poke2vid.model.conversion`, and both can run the same weights.
"""

from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from poke2vid.pretrained.features import VGG19Features

WIDTH = 512  # channels of the coarsest state
BOTTLENECK = 16  # its side in cells
POKE_WIDTH = 32  # channels after the first convolution of the poke encoder
PERCEPTUAL_WEIGHT, TRAJECTORY_WEIGHT = 5.0, 0.1
States = list[Tensor]  # coarsest first


class Layer(nn.Module):
    """Convolution with bias, InstanceNorm, activation; a transposed one doubles the side."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        stride: int = 1,
        up: bool = False,
        normed: bool = True,
        activation: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.conv: nn.Module
        if up:
            self.conv = nn.ConvTranspose2d(in_channels, out_channels, 3, 2, 1, 1)
        else:
            self.conv = nn.Conv2d(in_channels, out_channels, 3, stride, 1)
        self.norm = nn.InstanceNorm2d(out_channels) if normed else nn.Identity()
        self.activation = activation or nn.Identity()

    def forward(self, h: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c2 h2 w2"]:
        return self.activation(self.norm(self.conv(h)))


class ResBlock(nn.Module):
    """Two layers beside a shortcut, which is the identity if shapes allow it, else a layer."""

    def __init__(self, in_channels: int, out_channels: int, *, up: bool = False) -> None:
        super().__init__()
        self.conv1 = Layer(in_channels, out_channels, up=up, activation=_activation(up))
        self.conv2 = Layer(out_channels, out_channels)
        self.res_conv: nn.Module = nn.Identity()
        if up or in_channels != out_channels:
            self.res_conv = Layer(in_channels, out_channels, up=up, activation=_activation(up))

    def forward(self, h: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c2 h2 w2"]:
        shortcut = self.res_conv(h)
        h = self.conv2(self.conv1(h))
        h += shortcut
        return h


def _activation(up: bool) -> nn.Module:
    return nn.ReLU(inplace=True) if up else nn.ELU()


def _halvings(in_channels: int, first: int, count: int) -> list[Layer]:
    """Stride-2 layers, each twice as wide as the one before."""
    widths = [in_channels, *(first * 2**k for k in range(count))]
    return [Layer(a, b, stride=2, activation=nn.ELU()) for a, b in pairwise(widths)]


class ObjectEncoder(nn.Module):
    def __init__(self, stages: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(_halvings(3, WIDTH >> stages, stages))
        self.bottleneck = ResBlock(WIDTH // 2, WIDTH)

    def forward(self, x: Float[Tensor, "b 3 h w"]) -> States:
        states: States = []
        for block in self.blocks:
            x = block(x)
            states.insert(0, x)
        return [self.bottleneck(x), *states]


class PokeEncoder(nn.Module):
    def __init__(self, stages: int) -> None:
        super().__init__()
        self.model = nn.Sequential(*_halvings(2, POKE_WIDTH, stages))
        self.bottleneck = nn.Sequential(ResBlock(POKE_WIDTH << (stages - 1), WIDTH), ResBlock(WIDTH, WIDTH))

    def forward(self, poke: Float[Tensor, "b 2 h w"]) -> Float[Tensor, "b c_phi h_1 w_1"]:
        return self.bottleneck(self.model(poke))


class GruCell(nn.Module):
    def __init__(self, in_channels: int, hidden: int, *, up: bool) -> None:
        super().__init__()
        self.reset_gate = nn.Conv2d(in_channels + hidden, hidden, 3, 1, 1)
        self.update_gate = nn.Conv2d(in_channels + hidden, hidden, 3, 1, 1)
        self.out_gate = nn.Conv2d(in_channels + hidden, hidden, 3, 1, 1)
        gates: list[nn.Conv2d | nn.ConvTranspose2d] = [self.reset_gate, self.update_gate, self.out_gate]
        self.up_gate: nn.Module = nn.Identity()
        if up:
            self.up_gate = nn.ConvTranspose2d(in_channels, in_channels, 3, 2, 1, 1)
            gates.append(self.up_gate)
        for layer in gates:
            nn.init.orthogonal_(layer.weight)
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)

    def forward(self, u: Float[Tensor, "b c_u h1 w1"], sigma: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        u = self.up_gate(u)
        both = torch.cat((u, sigma), dim=1)
        z = torch.sigmoid(self.update_gate(both))
        r = torch.sigmoid(self.reset_gate(both))
        candidate = torch.tanh(self.out_gate(torch.cat((u, sigma * r), dim=1)))
        return sigma * (1 - z) + candidate * z


class Gru(nn.Module):
    """One cell a level. The two coarsest levels share a size; before every other cell its input is enlarged."""

    def __init__(self, stages: int) -> None:
        super().__init__()
        widths = [WIDTH >> k for k in range(stages + 1)]
        inputs = [WIDTH, *widths[:-1]]
        self.cells = nn.ModuleList(
            GruCell(c_u, c, up=k > 1) for k, (c_u, c) in enumerate(zip(inputs, widths, strict=True))
        )

    def forward(self, phi: Float[Tensor, "b c_phi h_1 w_1"], states: States) -> States:
        moved: States = []
        u = phi
        for cell, sigma in zip(self.cells, states, strict=True):
            u = cell(u, sigma)
            moved.append(u)
        return moved


class Decoder(nn.Module):
    def __init__(self, stages: int) -> None:
        super().__init__()
        widths = [WIDTH >> k for k in range(1, stages + 1)]
        outs = [*widths[1:], widths[-1]]
        self.in_block = ResBlock(WIDTH, widths[0])
        self.blocks = nn.ModuleList(ResBlock(2 * c, c2, up=True) for c, c2 in zip(widths, outs, strict=True))
        self.out_conv = Layer(widths[-1], 3, normed=False, activation=nn.Tanh())

    def forward(self, states: States) -> Float[Tensor, "b 3 h w"]:
        h = self.in_block(states[0])
        for block, sigma in zip(self.blocks, states[1:], strict=True):
            h = block(torch.cat((h, sigma), dim=1))
        return self.out_conv(h)


class ReleasedEager(nn.Module):
    """The released generator for square frames of `resolution` pixels: 32, 64, 128 or 256."""

    def __init__(self, resolution: int) -> None:
        super().__init__()
        stages = (resolution // BOTTLENECK).bit_length() - 1
        self.shape_enc = ObjectEncoder(stages)
        self.dynamics_enc = PokeEncoder(stages)
        self.fusion_block = Gru(stages)
        self.dec = Decoder(stages)

    def forward(
        self, x_0: Float[Tensor, "b 3 h w"], poke: Float[Tensor, "b 2 h w"], num_frames: int
    ) -> tuple[Float[Tensor, "b t 3 h w"], list[States]]:
        """The predicted frames and the state of each, under a poke that is held (Eq. 1).

        Args:
            x_0: in [-1, 1].
            poke: (dx, dy) in pixels of these frames on a patch around l, zero elsewhere.
        """
        phi = self.dynamics_enc(poke)
        states = self.shape_enc(x_0)
        frames, all_states = [], []
        for _ in range(num_frames):
            states = self.fusion_block(phi, states)
            frames.append(self.dec(states))
            all_states.append(states)
        return torch.stack(frames, dim=1), all_states

    def reconstruct(self, x: Float[Tensor, "b 3 h w"]) -> tuple[Float[Tensor, "b 3 h w"], States]:
        """A given frame encoded and decoded, and its state."""
        states = self.shape_enc(x)
        return self.dec(states), states


class EagerVGG19(nn.Module):
    """VGG-19 as the released loss runs it: unfrozen, and with the last two convolutions and the pool that nothing reads.

    It takes over the layers of `features`, which must not be used any more.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, features: VGG19Features) -> None:
        super().__init__()
        last = [
            nn.Conv2d(512, 512, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(512, 512, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
        ]
        layers = [*features, *last]
        # in place, as in torchvision's net, which that code uses
        self.layers = nn.ModuleList(nn.ReLU(inplace=True) if isinstance(h, nn.ReLU) else h for h in layers)
        self.taps = features.taps
        self.register_buffer("mean", features.mean.clone())
        self.register_buffer("std", features.std.clone())
        self.requires_grad_(True)
        self.eval()

    def forward(self, x: Float[Tensor, "b 3 h w"]) -> list[Tensor]:
        """The normalised frame itself and the features at the five taps."""
        x = ((x + 1) / 2 - self.mean) / self.std
        read = [x]
        for number, layer in enumerate(self.layers):
            x = layer(x)
            if number in self.taps:
                read.append(x)
        return read


def perceptual(
    vgg: EagerVGG19, target: Float[Tensor, "b 3 h w"], predicted: Float[Tensor, "b 3 h w"]
) -> Float[Tensor, ""]:
    """Sum over the normalised pixels and the five taps of the mean absolute difference; a graph also for the target."""
    wanted, found = vgg(target), vgg(predicted)
    return torch.stack([(a - b).abs().mean() for a, b in zip(wanted, found, strict=True)]).sum()


@dataclass(frozen=True)
class TrainingTerms:
    """The generator's own losses in one released iteration's dynamics step, before the critics' share.

    Attributes:
        perceptual, trajectory: unweighted means over the frames.
        frames: the predicted clip, for the critics.
        unread: the true frames decoded, which no loss reads; that code holds them, and their graph, until after `backward`.
    """

    perceptual: Float[Tensor, ""]
    trajectory: Float[Tensor, ""]
    frames: Float[Tensor, "b t 3 h w"]
    unread: Float[Tensor, "b t 3 h w"]

    @property
    def total(self) -> Float[Tensor, ""]:
        return PERCEPTUAL_WEIGHT * self.perceptual + TRAJECTORY_WEIGHT * self.trajectory


def training_terms(
    model: ReleasedEager, vgg: EagerVGG19, clip: Float[Tensor, "b t1 3 h w"], poke: Float[Tensor, "b 2 h w"]
) -> TrainingTerms:
    """The dynamics step on x_0 ... x_T, frame by frame as released: each true frame is encoded and decoded with a graph.

    The optimiser of this step has E_phi, the GRUs and G, so the gradients that reach E_sigma and VGG are thrown away.
    """
    frames, states = model(clip[:, 0], poke, clip.shape[1] - 1)
    similarities, wanted, unread = [], [], []
    for i, x in enumerate(clip[:, 1:].unbind(dim=1)):
        x_hat, sigma = model.reconstruct(x)
        wanted.append(sigma)
        unread.append(x_hat)
        similarities.append(perceptual(vgg, x, frames[:, i]))
    distances = [
        torch.stack([nn.functional.mse_loss(a, b) for a, b in zip(found, sigma, strict=True)]).mean()
        for found, sigma in zip(states, wanted, strict=True)
    ]
    return TrainingTerms(
        torch.stack(similarities).mean(), torch.stack(distances).mean(), frames, torch.stack(unread, dim=1)
    )


def static_term(model: ReleasedEager, vgg: EagerVGG19, x_0: Float[Tensor, "b 3 h w"]) -> Float[Tensor, ""]:
    """The other step of every released iteration, with an optimiser of its own for E_sigma and G: x_0 reconstructed."""
    x_hat, _ = model.reconstruct(x_0)
    return perceptual(vgg, x_0, x_hat)
