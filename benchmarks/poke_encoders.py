"""E_phi of the paper against the one that sees the picture, at equal budget: same pokes, same minutes, same losses.

    python benchmarks/poke_encoders.py --data STORE... [--minutes 6] [--seed 0] [--out FILE]

Both have the same descent through the picture, the same mask of the object, an ascent of the same widths, and learn by the
same optimisers. The paper's knows the poke by phi = E_phi(p, l) alone (`model/encoders.py`), 8 x 8 cells beside the picture's
features there, and says u* itself; the other compares every place with the touched one at all sizes and says a response, to
which p comes last. An encoded touch serves any p, an encoded poke one: so a step of the paper's sees as many pokes.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from shown import show
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from poke2vid.data.poke_store import PokeStore
from poke2vid.data.shards import PokeShard
from poke2vid.model.config import ModelConfig
from poke2vid.model.encoders import PokeEncoder
from poke2vid.model.response import gate
from poke2vid.model.touch_encoder import FIELD_SIDE, PictureFeatures, TouchEncoder
from poke2vid.pokes import rasterise
from poke2vid.train.field_config import FieldConfig
from poke2vid.train.field_data import FieldBatch, FieldBatches
from poke2vid.train.field_trainer import FieldPrediction, FieldScores, field_terms, optimisers_of, predict, scored
from poke2vid.train.presets import FIELD_PRESETS
from poke2vid.types import Poke

COLUMNS = ("far", "near", "touched", "background", "explained")
Ask = Callable[[FieldBatch], FieldPrediction]


class PaperResponse(nn.Module):
    """u* from phi = E_phi(p, l) and the picture's features, which meet at 8 x 8 cells."""

    def __init__(self, config: FieldConfig) -> None:
        super().__init__()
        seen = TouchEncoder(config.touch)
        self.stem, self.down, self.find = seen.stem, seen.down, seen.find
        paper = ModelConfig(resolution=FIELD_SIDE)
        self.poke_encoder = PokeEncoder(paper)
        _, c2, c3, c4 = config.touch.seeing
        d1, d2, d3, _ = config.touch.touching
        c1 = config.touch.seeing[0]

        def step(inputs: int, outputs: int) -> nn.Sequential:
            return nn.Sequential(
                nn.Conv2d(inputs, outputs, 3, 1, 1), nn.GroupNorm(8, outputs), nn.ELU(),
                nn.Conv2d(outputs, outputs, 3, 1, 1), nn.GroupNorm(8, outputs), nn.ELU(),
            )  # fmt: skip

        self.up = nn.ModuleList([step(c3 + c4 + paper.level_channels[0], d3), step(d3 + c2, d2), step(d2 + c1, d1)])
        self.head = nn.Conv2d(d1, 8, 3, 1, 1)
        self.along = nn.Conv2d(d2, 1, 3, 1, 1)
        nn.init.zeros_(self.head.weight)

    def forward(self, batch: FieldBatch, config: FieldConfig) -> FieldPrediction:
        maps = torch.stack([_poke_map(batch, k) for k in range(len(batch.p))])
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=config.precision == "bf16"):
            features: PictureFeatures = TouchEncoder.encode(self, batch.x_0)  # type: ignore[arg-type]
            h1, h2, h3, h4 = features.repeated(batch.owner).levels
            phi = self.poke_encoder(maps)
            h = self.up[0](torch.cat((h3, functional.interpolate(h4, scale_factor=2), phi), dim=1))
            coarse = h = self.up[1](torch.cat((functional.interpolate(h, scale_factor=2), h2), dim=1))
            h = self.up[2](torch.cat((functional.interpolate(h, scale_factor=2), h1), dim=1))
            u, along = functional.pixel_shuffle(self.head(h), 2).float(), self.along(coarse).float()
        single = (~batch.given[:, 1:].any(dim=1)).nonzero()[:, 0]
        u = u * gate(features.mask[batch.owner])
        return FieldPrediction(u, features, along[single], along[single], single)


def _poke_map(batch: FieldBatch, k: int) -> Tensor:
    pokes = [
        Poke((float(at[0]), float(at[1])), (float(p[0]), float(p[1])))
        for at, p, given in zip(batch.at[k], batch.p[k], batch.given[k], strict=True)
        if given and bool((at >= 0).all()) and bool((at <= FIELD_SIDE - 1).all())
    ]
    return rasterise(pokes, FIELD_SIDE)


def trained(net: nn.Module, ask: Ask, batches: FieldBatches, config: FieldConfig, minutes: float) -> int:
    """Trains for so long, the rate falling along a half cosine of time; returns the steps."""
    optimisers, seconds, step = optimisers_of(net, config), 60 * minutes, 0
    spent = 0.0
    with tqdm(total=round(seconds), unit="s") as bar:
        while spent < seconds:
            batch = batches[step]  # what makes a batch is not the network's time
            began = time.thread_time()
            pace = min(1.0, (step + 1) / 50) * 0.5 * (1 + torch.cos(torch.tensor(torch.pi * spent / seconds)).item())
            for optimiser, rate in optimisers.values():
                for group in optimiser.param_groups:
                    group["lr"] = rate * max(pace, 0.02)
            terms = field_terms(ask(batch), batch, config)
            loss = sum((1.0 if name == "object" else getattr(config, name)) * term for name, term in terms.items())
            net.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[union-attr]
            nn.utils.clip_grad_norm_(net.parameters(), config.clip_gradient)
            for optimiser, _ in optimisers.values():
                optimiser.step()
            step, spent = step + 1, spent + time.thread_time() - began
            bar.update(round(spent) - bar.n)
    return step


def held_out(shards: Sequence[PokeShard], config: FieldConfig) -> dict[str, list[FieldBatch]]:
    """Every third unseen scene of each family."""
    families = sorted({shard.family for shard in shards if shard.split == "test"})
    return {f: FieldBatches([s for s in shards if s.family == f], config, "test").every(3) for f in families}


def row(name: str, steps: int, found: dict[str, FieldScores]) -> str:
    cells = [" / ".join(f"{getattr(found[family], column):.3f}" for family in found) for column in COLUMNS]
    return f"| {name} | {steps} | {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--data", type=Path, action="append", required=True)
    parser.add_argument("--minutes", type=float, default=6)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--precision", default="bf16", choices=("fp32", "bf16"))
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    preset = FIELD_PRESETS["fields64"]
    config = replace(
        preset, films=0, seed=chosen.seed, precision=chosen.precision, touch=replace(preset.touch, swing=0, stays=False)
    )
    shards = [shard for path in chosen.data for shard in PokeStore.open(path).shards]
    batches, unseen = FieldBatches(shards, config), held_out(shards, config)
    lines = [f"| E_phi | steps in {chosen.minutes:g} min | {' | '.join(COLUMNS)} |", "|---" * (len(COLUMNS) + 2) + "|"]
    for name in ("the paper's, 8 x 8", "sees the picture"):
        torch.manual_seed(chosen.seed)
        net: nn.Module = PaperResponse(config) if name.startswith("the paper") else TouchEncoder(config.touch)
        net = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        ask: Ask = _asked(net, config)
        steps = trained(net, ask, batches, config, chosen.minutes)
        net.eval()
        lines.append(row(name, steps, {family: scored(ask, found) for family, found in unseen.items()}))
    lines += ["", f"Families: {' / '.join(unseen)}; shares of a still picture's error, and pixels of a field of 64."]
    show(lines, chosen.out)


def _asked(net: nn.Module, config: FieldConfig) -> Ask:
    if isinstance(net, TouchEncoder):
        return lambda batch: predict(net, batch, config)
    return lambda batch: net(batch, config)


if __name__ == "__main__":
    main()
