"""Report on a trained system: sizes, parameters, origin."""

import json
from pathlib import Path

from poke2vid.baselines.files import load_baseline
from poke2vid.baselines.systems import SYSTEMS


def report(path: Path) -> str:
    """Text of `poke2vid info` for a run of one of the systems that the paper compares with.

    Raises:
        InputError: as `load_baseline`.
    """
    loaded = load_baseline(path)
    network = loaded.network
    counted = {
        name: sum(p.numel() for p in part.parameters()) for name, part in network.named_children()
    } | {"total": sum(p.numel() for p in network.parameters())}  # fmt: skip
    lines = [
        f"{loaded.path}",
        "",
        f"{SYSTEMS[loaded.config.network.system].title}, a system that the paper compares with",
    ]
    lines += [f"  {key:<24}{value}" for key, value in vars(loaded.config.network).items()]
    lines += [f"  {'sees':<24}{network.seen} frame(s), told of {network.told} points", "", "parameters"]
    lines += [f"  {name:<24}{count:>12,}" for name, count in counted.items() if count]
    rest = {key: value for key, value in loaded.about.items() if key != "train"}
    return "\n".join([*lines, "", "origin", *(f"  {key}: {json.dumps(value)}" for key, value in rest.items())])
