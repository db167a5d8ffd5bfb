"""A store of moving squares, two of them held out, and an untrained model to be judged on them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from moving_square import write_square
from torch import nn

from poke2vid.data.prepare.run import PrepareSettings, prepare
from poke2vid.data.store import Store
from poke2vid.evaluate.heldout.clips import ClipSettings, EvaluationClips
from poke2vid.evaluate.heldout.judges import find_judges
from poke2vid.evaluate.heldout.rows import Fewest
from poke2vid.model.files import LoadedModel
from poke2vid.model.poke_video import PokeVideo
from poke2vid.train.config import to_json
from poke2vid.train.presets import preset

TINY = preset("tiny")
SETTINGS = ClipSettings(horizon=4)
ANY = Fewest(share=0, videos=1)  # small stores have distances, too


def moving_squares(folder: Path) -> Path:
    """Five videos of a moving square at 32 pixels, the second and the last held out."""
    for k, step in enumerate([(1, 0), (2, 1), (-1, 2), (2, 0), (1, 2)]):
        write_square(folder / "videos" / f"square{k}.mp4", 20, seed=k, step=step)
    settings = PrepareSettings(resolution=32, lags=(4,), workers=0, test=("square1", "square4"))
    prepare(folder / "videos", folder / "store", settings, quiet=True)
    return folder / "store"


def loaded(*, moving: bool = False, about: dict[str, Any] | None = None) -> LoadedModel:
    """An untrained model of the tiny preset; `moving`: with a last layer that is not zero."""
    torch.manual_seed(0)
    model = PokeVideo(replace(TINY.model, channels=4)).eval()
    if moving:
        nn.init.normal_(model.decoder.head.weight, std=0.3)
    return LoadedModel(model, {"train": to_json(TINY)} if about is None else about, Path("model.safetensors"))


def judged(store: Path) -> tuple[EvaluationClips, Any]:
    opened = Store.open(store)
    return EvaluationClips(opened, 32, SETTINGS, seed=0), find_judges(opened, None)
