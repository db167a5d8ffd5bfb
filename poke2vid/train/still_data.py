"""Cut-outs -> stills for o, the object's place. A batch is a pure function of (cut-outs, config, seed, step)."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float
from torch import Generator, Tensor
from torch.nn import functional

from poke2vid.media.pictures import to_float
from poke2vid.model.touch_encoder import FIELD_SIDE
from poke2vid.train.data import generator_for
from poke2vid.train.field_config import FieldConfig
from poke2vid.train.field_data import recorded, relit
from poke2vid.types import Split

if TYPE_CHECKING:
    from poke2vid.data.cutouts import Cutouts  # it decodes pictures, which training without stills does not need

FINER = 2  # composed at twice the model's side, so that edges are as soft as a camera's


@dataclass(frozen=True)
class StillBatch:
    """Pictures without known motion, and the place of the objects in them.

    Attributes:
        x_0: in [-1, 1], at the model's size.
        inside: share of each pixel of the field that is an object's, in 0 ... 1.
    """

    x_0: Float[Tensor, "n 3 h w"]
    inside: Float[Tensor, "n s s"]


class StillBatches:
    """Item `step` is the batch of that training step."""

    def __init__(self, cutouts: "Cutouts", config: FieldConfig, split: Split = "train") -> None:
        self.cutouts, self.config, self.split = cutouts, config, split

    def __getitem__(self, step: int) -> StillBatch:
        config, found = self.config, []
        for k in range(config.stills):
            generator = generator_for(config.seed, "stills", self.split, step, k)
            x_0, inside = self._one(generator)
            if config.looks is not None and self.split == "train":
                x_0 = recorded(relit(x_0, config.looks, generator), config.looks, generator)
            found.append((x_0, inside))
        return StillBatch(torch.cat([x_0 for x_0, _ in found]), torch.stack([inside for _, inside in found]))

    def _one(self, generator: Generator) -> tuple[Float[Tensor, "1 3 h w"], Float[Tensor, "s s"]]:
        side = FINER * self.config.touch.resolution
        rng = np.random.default_rng(int(torch.randint(2**62, (), generator=generator)))
        picture, inside = self.cutouts.compose(rng, side)
        fine = to_float(picture)[None]
        x_0 = functional.interpolate(fine, size=(side // FINER,) * 2, mode="area")
        return x_0, functional.adaptive_avg_pool2d(torch.from_numpy(inside)[None], FIELD_SIDE)[0]
