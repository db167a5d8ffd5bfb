"""Correlation maps of a model that sees what it touches: from its own field, without frames and a tracker."""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32, Float64
from tqdm import tqdm

from poke2vid import pokes as poking
from poke2vid.evaluate.structure.correlate import (
    MAP_SIDE,
    CorrelationMap,
    Correlator,
    Picture,
    Settings,
    map_of,
    random_shifts,
)
from poke2vid.geometry import Affine
from poke2vid.live.canvas import Canvas
from poke2vid.model.response import BASIS, respond
from poke2vid.model.swing import SWING
from poke2vid.model.touch_encoder import FIELD_SIDE
from poke2vid.model.touch_video import CELLS_SHUFFLED, TouchDynamics, grasp, on_cells
from poke2vid.types import InputError, Pair, Player, Poke


class SeeingCorrelator:
    """A `Correlator` from the model's own field u*, at rest under every poke; pokes that hold nothing move nothing."""

    tracker = "none (the model's own field)"

    def __init__(self, player: TouchDynamics, settings: Settings) -> None:
        self.player, self.settings = player, settings

    def canvas(self, picture: Picture) -> Canvas:
        """Canvas of the picture at the size of the maps."""
        return Canvas(picture, self.player.resolution, MAP_SIDE)

    @torch.inference_mode()
    def ask(
        self, canvas: Canvas, location: Pair, shifts: Float64[np.ndarray, "k 2"] | None = None,
        bar: tqdm | None = None,
    ) -> CorrelationMap:  # fmt: skip
        """The map of one location; as `Correlator.ask`."""
        if shifts is None:
            shifts = random_shifts(self.settings.pokes, self.settings.longest * max(canvas.size), self.settings.seed)
        pokes = [Poke(location, (float(dx), float(dy))) for dx, dy in shifts]
        for poke in pokes:
            poking.check(poke, canvas.size[1], canvas.size[0])
        state = self.player.start(canvas.x_0)
        modelled = [canvas.modelled(poke) for poke in pokes]
        influence = self.player.touch(state, modelled[0].location)[:, :BASIS]
        to_field = Affine.resize((self.player.resolution,) * 2, (FIELD_SIDE,) * 2)
        at = torch.tensor([[to_field.point(*modelled[0].location)]])
        mask, flows = state.context[1], []
        for poke in modelled:
            p = torch.tensor([[to_field.vector(*poke.shift)]])
            u = respond(influence[:, None], mask, at, p, grasp(mask, at))
            if not bool(u.isfinite().all()):
                raise InputError("the model's field holds numbers that are not finite; use another model.")
            flows.append(canvas.carried(u[0].numpy()))
            if bar is not None:
                bar.update()
        shown = [canvas.shown(poke) for poke in pokes]
        return map_of(
            np.stack(flows), np.array([poke.shift for poke in shown]), shown[0].location, self.settings.measure
        )

    @torch.inference_mode()
    def along(self, canvas: Canvas, location: Pair) -> Float32[np.ndarray, "h w"]:
        """Probability that a place moves along with l, which E_phi was trained to predict, on the shown picture."""
        state = self.player.start(canvas.x_0)
        at = canvas.modelled(Poke(location, (0.0, 0.0))).location
        said = self.player.touch(state, at)
        logits = on_cells(said)[0, SWING:].repeat_interleave(CELLS_SHUFFLED, -2).repeat_interleave(CELLS_SHUFFLED, -1)
        probability = torch.sigmoid(logits) * _coarser(self.player.object_of(state, at)[0], said.shape[-1])
        return canvas.enlarged(probability.numpy())[0]


def _coarser(mask: torch.Tensor, side: int) -> torch.Tensor:
    """Object mask o on coarser cells; a cell that holds something of the object counts fully."""
    return torch.nn.functional.adaptive_max_pool2d((2 * mask).clamp(max=1), side)


def correlator_for(
    player: Player, settings: Settings, weights_dir: Path | None = None
) -> Correlator | SeeingCorrelator:
    """The correlator that fits a player; raises InputError if it needs a tracker whose weights are missing."""
    if isinstance(player, TouchDynamics):
        return SeeingCorrelator(player, settings)
    return Correlator(player, settings, weights_dir)
