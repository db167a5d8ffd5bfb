"""Scores of a model's own field on the scenes that it was trained on and on those held out, of stores of pokes.

    python benchmarks/seen_unseen.py MODEL --store STORE [--store STORE] [--scenes 96] [--out FILE]

Level scores mean that more scenes of the same kind are not what is missing. Beside them, on the held-out scenes: with the
true object in place of o, and with the mean of what E_phi says of the picture and of its mirror image. "far" is the error
on object pixels beyond 15 % of the side from the touch, as a share of a still picture's.
"""

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from shown import show

from poke2vid.data.poke_store import PokeStore
from poke2vid.model.files import load_player
from poke2vid.model.touch_encoder import FIELD_SIDE, TouchEncoder
from poke2vid.model.touch_video import TouchVideo
from poke2vid.train.field_config import FieldConfig
from poke2vid.train.field_data import FieldBatch, FieldBatches
from poke2vid.train.field_trainer import FieldPrediction, predict, scored
from poke2vid.types import InputError

Predicted = Callable[[FieldBatch], FieldPrediction]
CERTAIN = 50.0  # logit of o where the object is known
MIRROR = torch.tensor([-1.0, 1.0])


def known_object(net: TouchEncoder, config: FieldConfig) -> Predicted:
    """Predictions with the true object as o."""

    def predicted(batch: FieldBatch) -> FieldPrediction:
        encode = net.encode
        certain = torch.where(batch.parts > 0, CERTAIN, -CERTAIN)[:, None]
        net.encode = lambda x_0: replace(encode(x_0), objectness=certain)  # type: ignore[method-assign]
        try:
            return predict(net, batch, config)
        finally:
            del net.encode

    return predicted


def both_ways(net: TouchEncoder, config: FieldConfig) -> Predicted:
    """Means of the predictions for a picture and for its mirror image."""

    def predicted(batch: FieldBatch) -> FieldPrediction:
        at = torch.where(batch.given[..., None], batch.at * MIRROR + torch.tensor([FIELD_SIDE - 1.0, 0.0]), batch.at)
        turned = replace(
            batch, x_0=batch.x_0.flip(-1), parts=batch.parts.flip(-1), at=at, p=batch.p * MIRROR,
            flow=batch.flow.flip(-1) * MIRROR[:, None, None],
        )  # fmt: skip
        one, other = predict(net, batch, config), predict(net, turned, config)
        return replace(one, u=(one.u + other.u.flip(-1) * MIRROR[:, None, None]) / 2)

    return predicted


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("model", type=Path)
    parser.add_argument("--store", type=Path, action="append", required=True)
    parser.add_argument("--scenes", type=int, default=96, help="of each family and split, at most about as many")
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    model = load_player(chosen.model).model
    if not isinstance(model, TouchVideo):
        raise InputError(f"{chosen.model} has no field of its own; give a model that sees what it touches.")
    net, config = model.touch_encoder, FieldConfig(touch=model.config.touch)
    one_way: Predicted = lambda batch: predict(net, batch, config)  # noqa: E731
    rows = (
        ("scenes of the training", "train", one_way), ("unseen", "test", one_way),
        ("unseen, the true object as o", "test", known_object(net, config)),
        ("unseen, both ways", "test", both_ways(net, config)),
    )  # fmt: skip
    lines = ["| | scenes | far | near | touched, px | background, px |", "|---" * 6 + "|"]
    shards = [shard for store in chosen.store for shard in PokeStore.open(store).shards]
    for family in sorted({shard.family for shard in shards}):
        ours = [shard for shard in shards if shard.family == family]
        for name, split, predicted in rows:
            found = FieldBatches(ours, config, split=split)
            batches = found.every(max(1, len(found.scenes) // chosen.scenes))
            said = scored(predicted, batches)
            cells = f"{said.far:.3f} | {said.near:.3f} | {said.touched:.2f} | {said.background:.3f}"
            lines.append(f"| {family}, {name} | {len(batches)} | {cells} |")
    show(lines, chosen.out)


if __name__ == "__main__":
    main()
