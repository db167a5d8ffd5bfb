"""RAFT-small (Teed and Deng, ECCV 2020): optical flow by recurrent look-ups in all-pairs correlations.

Written from the paper; attribute names are those of the public checkpoint's keys.
"""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float32, UInt8
from torch import Tensor, nn
from torch.nn import functional

from poke2vid.geometry import pixel_grid, resize_flow, to_normalised
from poke2vid.pretrained import weights

STRIDE = 8  # pixels a cell of the grid on which flow is refined
LEVELS = 4  # of the correlation pyramid
RADIUS = 3  # of the look-up window, in cells of a level
HIDDEN, CONTEXT, FEATURES = 96, 64, 128  # channels
Norm = Callable[[Tensor], Tensor]


class Bottleneck(nn.Module):
    """A residual block, 1x1 - 3x3 - 1x1, with a quarter of the channels inside."""

    def __init__(self, in_channels: int, out_channels: int, stride: int, norm: Norm) -> None:
        super().__init__()
        inner = out_channels // 4
        self.conv1 = nn.Conv2d(in_channels, inner, 1)
        self.conv2 = nn.Conv2d(inner, inner, 3, stride=stride, padding=1)
        self.conv3 = nn.Conv2d(inner, out_channels, 1)
        self.downsample = nn.Sequential(nn.Conv2d(in_channels, out_channels, 1, stride=stride)) if stride > 1 else None
        self.norm = norm

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c2 h2 w2"]:
        y = x
        for conv in (self.conv1, self.conv2, self.conv3):
            y = functional.relu(self.norm(conv(y)))
        shortcut = x if self.downsample is None else self.norm(self.downsample(x))
        return functional.relu(shortcut + y)


class Encoder(nn.Module):
    """Frame to features at an eighth of its size."""

    def __init__(self, out_channels: int, norm: Norm) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 32, 7, stride=2, padding=3)
        self.layer1 = nn.Sequential(Bottleneck(32, 32, 1, norm), Bottleneck(32, 32, 1, norm))
        self.layer2 = nn.Sequential(Bottleneck(32, 64, 2, norm), Bottleneck(64, 64, 1, norm))
        self.layer3 = nn.Sequential(Bottleneck(64, 96, 2, norm), Bottleneck(96, 96, 1, norm))
        self.conv2 = nn.Conv2d(96, out_channels, 1)
        self.norm = norm

    def forward(self, frames: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b c h2 w2"]:
        x = functional.relu(self.norm(self.conv1(frames)))
        return self.conv2(self.layer3(self.layer2(self.layer1(x))))


class MotionEncoder(nn.Module):
    """Encodes the correlations around the current flow, together with that flow."""

    def __init__(self) -> None:
        super().__init__()
        self.convc1 = nn.Conv2d(LEVELS * (2 * RADIUS + 1) ** 2, 96, 1)
        self.convf1 = nn.Conv2d(2, 64, 7, padding=3)
        self.convf2 = nn.Conv2d(64, 32, 3, padding=1)
        self.conv = nn.Conv2d(128, 80, 3, padding=1)

    def forward(
        self, flow: Float[Tensor, "b 2 h w"], correlation: Float[Tensor, "b c h w"]
    ) -> Float[Tensor, "b 82 h w"]:
        seen = functional.relu(self.convc1(correlation))
        moved = functional.relu(self.convf2(functional.relu(self.convf1(flow))))
        motion = functional.relu(self.conv(torch.cat((seen, moved), dim=1)))
        return torch.cat((motion, flow), dim=1)


class ConvGRU(nn.Module):
    """Convolutional GRU: h' = (1 - z) h + z q."""

    def __init__(self, hidden: int, inputs: int) -> None:
        super().__init__()
        self.convz = nn.Conv2d(hidden + inputs, hidden, 3, padding=1)
        self.convr = nn.Conv2d(hidden + inputs, hidden, 3, padding=1)
        self.convq = nn.Conv2d(hidden + inputs, hidden, 3, padding=1)

    def forward(self, h: Float[Tensor, "b c h w"], x: Float[Tensor, "b c2 h w"]) -> Float[Tensor, "b c h w"]:
        hx = torch.cat((h, x), dim=1)
        z, r = torch.sigmoid(self.convz(hx)), torch.sigmoid(self.convr(hx))
        q = torch.tanh(self.convq(torch.cat((r * h, x), dim=1)))
        return (1 - z) * h + z * q


class FlowHead(nn.Module):
    """Hidden state to an update of the flow, in cells."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(HIDDEN, 128, 3, padding=1)
        self.conv2 = nn.Conv2d(128, 2, 3, padding=1)

    def forward(self, h: Float[Tensor, "b c h w"]) -> Float[Tensor, "b 2 h w"]:
        return self.conv2(functional.relu(self.conv1(h)))


class Update(nn.Module):
    """One refinement step: encode motion, update the hidden state, correct the flow."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = MotionEncoder()
        self.gru = ConvGRU(HIDDEN, CONTEXT + 82)
        self.flow_head = FlowHead()

    def forward(
        self,
        h: Float[Tensor, "b c h w"],
        context: Float[Tensor, "b c2 h w"],
        correlation: Float[Tensor, "b c3 h w"],
        flow: Float[Tensor, "b 2 h w"],
    ) -> tuple[Float[Tensor, "b c h w"], Float[Tensor, "b 2 h w"]]:
        """The next hidden state and the update of the flow."""
        h = self.gru(h, torch.cat((context, self.encoder(flow, correlation)), dim=1))
        return h, self.flow_head(h)


class Correlation:
    """All-pairs correlation of two feature maps, with its pyramid over the second map (Sec. 3.2)."""

    def __init__(self, first: Float[Tensor, "b c h w"], second: Float[Tensor, "b c h w"]) -> None:
        b, c, h, w = first.shape
        volume = torch.einsum("bcij,bckl->bijkl", first, second).reshape(b * h * w, 1, h, w) / c**0.5
        self.pyramid = [volume]
        for _ in range(LEVELS - 1):
            self.pyramid.append(functional.avg_pool2d(self.pyramid[-1], 2))

    def look_up(self, locations: Float[Tensor, "b h w 2"]) -> Float[Tensor, "b c h w"]:
        """Correlations in a window around every cell's (x, y), one block of channels per level, finest first."""
        b, h, w, _ = locations.shape
        side = 2 * RADIUS + 1
        # Transposed: in the published weights the slow axis of a window runs along x.
        window = pixel_grid((side, side), locations).transpose(0, 1) - RADIUS
        seen = []
        for level, volume in enumerate(self.pyramid):
            places = locations.reshape(-1, 1, 1, 2) / 2**level + window
            grid = to_normalised(places, (volume.shape[-2], volume.shape[-1]))
            seen.append(functional.grid_sample(volume, grid, align_corners=False).reshape(b, h, w, side**2))
        return torch.cat(seen, dim=-1).permute(0, 3, 1, 2)


class RaftSmall(nn.Module):
    """The RAFT-small network, 0.99 M parameters. `forward` gives flow in pixels for frames in [-1, 1]."""

    def __init__(self) -> None:
        super().__init__()
        self.fnet = Encoder(FEATURES, norm=functional.instance_norm)
        self.cnet = Encoder(HIDDEN + CONTEXT, norm=_no_norm)
        self.update_block = Update()

    def forward(
        self, first: Float[Tensor, "b 3 h w"], second: Float[Tensor, "b 3 h w"], iterations: int
    ) -> Float[Tensor, "b 2 h w"]:
        """Flow (dx, dy) from `first` to `second`; sides are multiples of 8, at least 64 so that no level is empty."""
        height, width = first.shape[-2:]
        assert height % STRIDE == 0 and width % STRIDE == 0 and min(height, width) >= STRIDE * 2 ** (LEVELS - 1)
        features_1, features_2 = self.fnet(torch.cat((first, second))).chunk(2)
        correlation = Correlation(features_1, features_2)
        h, context = self.cnet(first).split((HIDDEN, CONTEXT), dim=1)
        h, context = torch.tanh(h), functional.relu(context)
        cells = pixel_grid((height // STRIDE, width // STRIDE), first)
        flow = torch.zeros_like(h[:, :2])
        for _ in range(iterations):
            seen = correlation.look_up(cells + flow.permute(0, 2, 3, 1))
            h, change = self.update_block(h, context, seen, flow)
            flow = flow + change
        # Corners are aligned, unlike everywhere else in this project, because the weights were trained that way.
        return STRIDE * functional.interpolate(flow, size=(height, width), mode="bilinear", align_corners=True)


def _no_norm(x: Tensor) -> Tensor:
    return x


class RaftFlow:
    """RAFT-small with its public weights as an estimator for frames of any size. More accurate than DIS, and slower."""

    name = "raft"

    def __init__(
        self,
        weights_dir: str | Path | None = None,
        iterations: int = 12,
        smallest_side: int = 128,
        device: str = "cpu",
    ) -> None:
        """Loads the weights.

        Args:
            weights_dir: folder to search first for them, see `weights.find`.
            iterations: refinements of the flow; the network was trained with 12.
            smallest_side: in pixels, at least 64; smaller frames are enlarged x2, x4, ... to reach it, because a grid
                of 8 pixels is too coarse for them. On FlyingChairs shrunk to 64 pixels the error is 0.78 px without,
                0.44 px with 128 and 0.31 px with 256, each step at two to four times the cost.
            device: torch device to compute on.

        Raises:
            InputError: if the weights cannot be found.
        """
        self.net = RaftSmall()
        self.net.load_state_dict(weights.load("raft_small", weights_dir))
        self.net.requires_grad_(False).eval().to(device)
        assert smallest_side >= 64, "the coarsest correlations would vanish"
        self.iterations = iterations
        self.smallest_side = smallest_side
        self.device = torch.device(device)

    def __call__(
        self, first: UInt8[np.ndarray, "h w 3"], second: UInt8[np.ndarray, "h w 3"]
    ) -> Float32[np.ndarray, "2 h w"]:
        """Flow (dx, dy) in pixels from `first` to `second`, RGB frames of one size."""
        frames = torch.from_numpy(np.stack((first, second))).permute(0, 3, 1, 2).to(self.device) / 127.5 - 1
        return self.batch(frames[:1], frames[1:])[0].cpu().numpy()

    @torch.no_grad()
    def batch(self, first: Float[Tensor, "b 3 h w"], second: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 2 h w"]:
        """Flow (dx, dy) in pixels from each frame of `first` to that of `second`, both in [-1, 1]; no gradient."""
        height, width = first.shape[-2:]
        factor = _enlargement(min(height, width), self.smallest_side)
        size = (factor * height, factor * width)
        padded = [_pad(_enlarge(frames.to(self.device), size)) for frames in (first, second)]
        flow = self.net(padded[0], padded[1], self.iterations)[:, :, : size[0], : size[1]]
        return flow if factor == 1 else resize_flow(flow, (height, width))


def _enlargement(side: int, smallest_side: int) -> int:
    """Power of two by which a frame must be enlarged to reach the smallest side."""
    return 2 ** max(0, math.ceil(math.log2(smallest_side / side)))


def _enlarge(frames: Float[Tensor, "b 3 h w"], size: tuple[int, int]) -> Float[Tensor, "b 3 h2 w2"]:
    if frames.shape[-2:] == size:
        return frames
    return functional.interpolate(frames, size=size, mode="bicubic", align_corners=False).clamp(-1, 1)


def _pad(frames: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 h2 w2"]:
    """Pads right and bottom with the border until sides are multiples of 8; locations are unchanged."""
    height, width = frames.shape[-2:]
    return functional.pad(frames, (0, -width % STRIDE, 0, -height % STRIDE), mode="replicate")
