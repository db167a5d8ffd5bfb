"""Report on a model file: shape, parameters, FLOPs a frame, origin."""

import json
from pathlib import Path

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from poke2vid.files import read_about, read_tensors
from poke2vid.model.files import describe, load_player, resolve, sees
from poke2vid.model.poke_video import PokeVideo
from poke2vid.model.touch_video import TouchVideo
from poke2vid.types import Poke


def report(path: Path | None) -> str:
    """Text of `poke2vid info`. One multiply-accumulate counts as two FLOPs.

    Raises:
        InputError: if the file is no model, or its contents do not match the hash in it.
    """
    if sees(read_about(resolve(path))):
        return _report_touch(path)
    config, about, path = describe(path)
    read_tensors(path)  # checks the hash
    model = PokeVideo(config).eval()
    lines = [f"{path}", "", "model"]
    lines += [f"  {key:<16}{value}" for key, value in vars(config).items()]
    lines += [f"  {'levels':<16}{', '.join(f'{c} x {s} x {s}' for c, s in _levels(model))}", "", "parameters"]
    lines += [f"  {name:<16}{count_parameters(part):>12,}" for name, part in parts(model).items()]
    lines += [f"  {'total':<16}{count_parameters(model):>12,}", "", "GFLOP"]
    lines += [f"  {name:<28}{flops / 1e9:>8.3f}" for name, flops in count_flops(model).items()]
    rest = {k: v for k, v in about.items() if k not in ("model", "train")}
    lines += ["", "origin", *(f"  {k}: {json.dumps(v, ensure_ascii=False)}" for k, v in rest.items())]
    return "\n".join(lines)


def _report_touch(path: Path | None) -> str:
    """`report` for a model that sees what it touches."""
    loaded = load_player(path)
    model = loaded.model
    assert isinstance(model, TouchVideo)
    lines = [f"{loaded.path}", "", "model"]
    lines += [f"  {key:<16}{value}" for key, value in vars(model.config).items()]
    lines += ["", "parameters", f"  {'touch_encoder':<16}{count_parameters(model):>12,}", "", "GFLOP"]
    lines += [f"  {name:<28}{flops / 1e9:>8.3f}" for name, flops in count_touch_flops(model).items()]
    rest = {k: v for k, v in loaded.about.items() if k not in ("model", "train")}
    return "\n".join([*lines, "", "origin", *(f"  {k}: {json.dumps(v, ensure_ascii=False)}" for k, v in rest.items())])


@torch.no_grad()
def count_touch_flops(model: TouchVideo) -> dict[str, int]:
    """FLOPs of opening a picture, of a touch, of a drag, and of each frame."""
    side = model.resolution
    with FlopCounterMode(display=False) as opening:
        state = model.start(torch.zeros(1, 3, side, side))
    poke = Poke((side / 2, side / 2), (1.0, 0.0))
    with FlopCounterMode(display=False) as touching:
        influence = model.touch(state, poke.location)
    with FlopCounterMode(display=False) as dragging:
        drive = model.drive(state, [poke], [influence])
    with FlopCounterMode(display=False) as stepping:
        model.step(state, drive)
    counted = {"open a picture": opening, "a touch": touching, "a drag": dragging, "each frame": stepping}
    return {name: counter.get_total_flops() for name, counter in counted.items()}


def parts(model: PokeVideo) -> dict[str, nn.Module]:
    return {
        "object_encoder": model.object_encoder,
        "poke_encoder": model.poke_encoder,
        "dynamics": model.dynamics,
        "decoder": model.decoder,
    }


def count_parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


@torch.no_grad()
def count_flops(model: PokeVideo) -> dict[str, int]:
    """FLOPs of opening a picture, of a poke, of each frame, and of ten frames from one picture and one poke."""
    side = model.resolution
    x_0, poke_map = torch.zeros(1, 3, side, side), torch.zeros(1, 3, side, side)
    with FlopCounterMode(display=False) as opening:
        state = model.start(x_0)
    with FlopCounterMode(display=False) as poke:
        drive = model.encode_poke(poke_map)
    with FlopCounterMode(display=False) as step:
        model.step(state, drive)
    once, each = opening.get_total_flops() + poke.get_total_flops(), step.get_total_flops()
    return {
        "open a picture": opening.get_total_flops(),
        "encode a poke": poke.get_total_flops(),
        "each frame": each,
        "ten frames from one picture": once + 10 * each,
    }


def _levels(model: PokeVideo) -> list[tuple[int, int]]:
    return list(zip(model.config.level_channels, model.config.level_sides, strict=True))
