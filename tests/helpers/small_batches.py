"""Batches of the smallest preset from a small store."""

from dataclasses import replace

from poke2vid.data.store import Store
from poke2vid.train.config import TrainConfig
from poke2vid.train.data import Batch, ClipBatches, stack
from poke2vid.train.presets import preset

TINY = preset("tiny")


def clips(
    store: Store, *, batch: int = 4, seed: int = 0, split: str = "train", config: TrainConfig = TINY, **data: object
) -> ClipBatches:
    return ClipBatches(store, replace(config.data, **data), config.model, batch=batch, seed=seed, split=split)


def of_kind(data: ClipBatches, kind: str, length: int) -> Batch:
    """The first few samples of a kind."""
    drawn = (data.sample(step, 0, length) for step in range(400))
    return stack([sample for sample in drawn if sample.kind == kind][:5])
