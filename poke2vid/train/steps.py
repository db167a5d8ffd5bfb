"""What one training step minimises, in either stage (Sec. 3.2); no loop, no files."""

import torch
from torch import Tensor, nn

from poke2vid import losses
from poke2vid.model.poke_video import PokeVideo
from poke2vid.train.config import TrainConfig
from poke2vid.train.data import Batch, generator_for
from poke2vid.types import Rollout

Terms = dict[str, Tensor]


def trainable(model: PokeVideo, config: TrainConfig, stage: int) -> list[nn.Module]:
    """The parts that a stage trains: E_sigma and G, then E_phi, F (with its U) and G."""
    if stage == 1:
        return [model.object_encoder, model.decoder]
    parts: list[nn.Module] = [model.poke_encoder, model.dynamics, model.decoder]
    return parts if config.freeze_object_encoder else [model.object_encoder, *parts]


def freeze_others(model: PokeVideo, parts: list[nn.Module]) -> None:
    """Exactly the given parts receive gradients; what another stage left behind is forgotten."""
    model.requires_grad_(False)
    model.zero_grad(set_to_none=True)
    for part in parts:
        part.requires_grad_(True)


def terms(model: PokeVideo, batch: Batch, extractor: nn.Module | None, config: TrainConfig, step: int) -> Terms:
    """The unweighted loss terms of the step with this number."""
    if config.stage(step) == 1:
        return reconstruction_terms(model, batch, extractor, config, step)
    return dynamics_terms(model, batch, extractor, config, step)


def reconstruction_terms(
    model: PokeVideo, batch: Batch, extractor: nn.Module | None, config: TrainConfig, step: int
) -> Terms:
    """Stage 1: G(E_sigma(x_i)) against x_i, for some frames of each clip, the last of the horizon among them."""
    T = config.data.horizon
    generator = generator_for(config.seed, "stage-1 frames", step)
    chosen = 1 + torch.randperm(T - 1, generator=generator)[: config.stage_1_frames - 1]
    chosen = torch.cat((chosen, torch.tensor([T])))
    x = batch.frames[:, chosen]
    result = model.reconstruct(x, batch.frames[:, 0])
    return {
        **frame_terms(result, x, extractor, config, step),
        **motion_terms(result, batch, len(chosen) - 1),
    }


def dynamics_terms(
    model: PokeVideo, batch: Batch, extractor: nn.Module | None, config: TrainConfig, step: int
) -> Terms:
    """Stage 2: the rollout under the batch's pokes against the true frames and their states (Eq. 6, 7)."""
    x = batch.frames[:, 1:]
    result = model.rollout(batch.frames[:, 0], batch.poke_maps, batch.schedule)
    found = {
        **frame_terms(result, x, extractor, config, step),
        **motion_terms(result, batch, config.data.horizon - 1),
    }
    if config.weights.trajectory:
        with torch.no_grad():
            sigma = model.levels_of(x)
        found["trajectory"] = losses.trajectory_loss(result.sigma, sigma, squared=config.squared_trajectory)
    return found


def frame_terms(result: Rollout, x: Tensor, extractor: nn.Module | None, config: TrainConfig, step: int) -> Terms:
    """L_rec: pixels, and features of all frames or of some drawn for this step."""
    found = {"pixel": losses.pixel_loss(result.frames, x)}
    if extractor is not None and config.weights.perceptual:
        generator = generator_for(config.seed, "perceptual frames", step)
        chosen = torch.randperm(x.shape[1], generator=generator)[: config.perceptual_frames]
        found["perceptual"] = losses.perceptual_loss(result.frames[:, chosen], x[:, chosen], extractor)
    return found


def motion_terms(result: Rollout, batch: Batch, last: int) -> Terms:
    """For a decoder that warps: its flow against D and the pokes, and how much it repaints. `last`: which frame is x_T."""
    if result.flow is None or result.repaint is None:
        return {}
    targets, shifts, given = (t.to(result.flow.device) for t in poke_targets(batch))
    return {
        "flow": losses.flow_loss(result.flow[:, last], batch.displacement),
        "poke": losses.poke_loss(result.flow[:, last], targets, shifts, given),
        "repaint": losses.repaint_loss(result.repaint),
    }


def poke_targets(batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
    """Of the pokes that should be obeyed or ignored: where the point should be at x_T, how far it came, and which exist."""
    most = max(1, *(len(pokes) for pokes in batch.pokes))
    targets, shifts = torch.zeros(len(batch.pokes), most, 2), torch.zeros(len(batch.pokes), most, 2)
    given = torch.zeros(len(batch.pokes), most)
    for b, (kind, pokes) in enumerate(zip(batch.kinds, batch.pokes, strict=True)):
        for k, poke in enumerate(pokes):
            if poke.kind == "shift":  # an impulse names no target
                shift = torch.zeros(2) if kind == "background" else torch.tensor(poke.shift)
                targets[b, k], shifts[b, k], given[b, k] = torch.tensor(poke.location) + shift, shift, 1
    return targets, shifts, given
