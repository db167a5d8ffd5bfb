"""Gradients of L_rec's feature terms on a frame, by network: what `FeatureNet.scale` is measured with.

    python benchmarks/feature_scales.py --weights-dir FOLDER

Pictures are the package's four examples at 64 and 128 pixels; predictions are the picture moved by one to four pixels, and
blurred. Every number is a geometric mean over pictures of |d L / d x_hat|, relative to VGG-16's.
"""

import argparse
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from poke2vid.losses import perceptual_loss
from poke2vid.media.pictures import read_picture, to_float
from poke2vid.pretrained.features import FeatureNet, build_features

EXAMPLES = Path(__file__).parents[1] / "poke2vid" / "assets" / "examples"


def predictions(x: Tensor) -> dict[str, Tensor]:
    """Typical wrong predictions of a picture `1 3 h w`."""
    moved = {f"moved by {d}": x.roll((d, d), (-2, -1)) for d in (1, 2, 4)}
    return moved | {f"blurred by {k}": functional.avg_pool2d(x, k, 1, k // 2, count_include_pad=False) for k in (3, 5)}


def slopes(net: FeatureNet, x: Tensor) -> dict[str, float]:
    """Norm of the unscaled loss's gradient on each prediction."""
    found = {}
    for name, x_hat in predictions(x).items():
        x_hat = x_hat.clone().requires_grad_()
        (slope,) = torch.autograd.grad(perceptual_loss(x_hat[None], x[None], net), x_hat)
        found[name] = float(slope.norm())
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights-dir", type=Path)
    folder = parser.parse_args().weights_dir
    nets = {name: build_features(name, folder) for name in ("vgg16", "squeeze")}
    ratios = []
    for side in (64, 128):
        pictures = [picture(path, side) for path in sorted(EXAMPLES.glob("*.jpg"))]
        logs = {
            name: [torch.tensor(list(slopes(net, x).values())).log() for x in pictures] for name, net in nets.items()
        }
        means = {name: torch.stack(found) for name, found in logs.items()}
        for k, kind in enumerate(predictions(pictures[0])):
            columns = {name: means[name][:, k].mean().exp() for name in nets}
            ratios.append(columns["squeeze"] / columns["vgg16"])
            print(
                f"{side} px, {kind}: vgg16 {columns['vgg16']:.3g}, squeeze {columns['squeeze']:.3g} = {ratios[-1]:.3g} times"
            )
    together = torch.stack(ratios).log().mean().exp()
    print(
        f"squeeze by vgg16, geometric mean: {together:.4g} ({min(ratios):.3g} ... {max(ratios):.3g}); scale {1 / together:.4g}"
    )


def picture(path: Path, side: int) -> Tensor:
    """The middle square of a picture, `1 3 side side`."""
    x = to_float(read_picture(path)[None])
    height, width = x.shape[-2:]
    short = min(height, width)
    top, left = (height - short) // 2, (width - short) // 2
    x = x[..., top : top + short, left : left + short]
    return functional.interpolate(x, (side, side), mode="bilinear", antialias=True)


if __name__ == "__main__":
    main()
