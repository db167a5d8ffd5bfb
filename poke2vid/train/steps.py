"""Loss of one training step, in either stage (Sec. 3.2); no loop, no files."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from poke2vid import losses
from poke2vid.model.poke_video import PokeVideo
from poke2vid.pretrained.features import SCALES
from poke2vid.train.config import DataConfig, TrainConfig
from poke2vid.train.data import Batch, generator_for
from poke2vid.train.precision import convolving
from poke2vid.types import Rollout

Terms = dict[str, Tensor]
TOUCHED = 2  # pixels around a poked point that should follow D
ALIKE = 0.5  # a pixel comes along if its D differs from the poke's by at most this share of the poke's length


def trainable(model: PokeVideo, config: TrainConfig, stage: int) -> list[nn.Module]:
    """The parts that a stage trains: E_sigma and G, then E_phi, F (with its U) and G."""
    if stage == 1:
        return [model.object_encoder, model.decoder]
    parts: list[nn.Module] = [model.poke_encoder, model.dynamics, model.decoder]
    return parts if config.freeze_object_encoder else [model.object_encoder, *parts]


def freeze_others(model: PokeVideo, parts: list[nn.Module]) -> None:
    """Freezes all but the given parts, and clears the gradients of an earlier stage."""
    model.requires_grad_(False)
    model.zero_grad(set_to_none=True)
    for part in parts:
        part.requires_grad_(True)


@dataclass(frozen=True)
class Prediction:
    """Prediction of a step, and the truth.

    Attributes:
        times: number in the clip, from 1, of each frame of `result` and `x`.
    """

    result: Rollout
    x: Float[Tensor, "b t 3 h w"]
    times: tuple[int, ...]


def predict(model: PokeVideo, batch: Batch, config: TrainConfig, step: int) -> Prediction:
    """Stage 1: G(E_sigma(x_i)) of some frames of each clip. Stage 2: the rollout under the batch's pokes."""
    x_0 = batch.frames[:, 0]
    with convolving(config.precision, x_0.device):
        if config.stage(step) == 2:
            times = tuple(range(1, batch.frames.shape[1]))
            x = batch.frames[:, 1:]
            result = model.rollout(x_0, batch.poke_maps, batch.schedule)
        else:
            times = _stage_1_times(config, step)
            x = batch.frames[:, list(times)]
            result = model.reconstruct(x, x_0)
    return Prediction(_in_fp32(result), x, times)


def _in_fp32(result: Rollout) -> Rollout:
    """The rollout in fp32, for losses; tensors already in fp32 are not copied."""
    flow, repaint = (None if tensor is None else tensor.float() for tensor in (result.flow, result.repaint))
    sigma = tuple(level.float() for level in result.sigma)
    return replace(result, frames=result.frames.float(), sigma=sigma, flow=flow, repaint=repaint)


def _stage_1_times(config: TrainConfig, step: int) -> tuple[int, ...]:
    """Some frames drawn for this step, the last of the horizon among them, because its flow is known."""
    T = config.data.horizon
    generator = generator_for(config.seed, "stage-1 frames", step)
    chosen = 1 + torch.randperm(T - 1, generator=generator)[: config.stage_1_frames - 1]
    return (*chosen.tolist(), T)


def terms(
    model: PokeVideo, predicted: Prediction, batch: Batch, extractor: nn.Module | None, config: TrainConfig, step: int
) -> Terms:
    """The unweighted loss terms of the step with this number, without those of the critics."""
    found = {
        **frame_terms(predicted.result, predicted.x, extractor, config, step),
        **motion_terms(predicted, batch, config.data, config.flow_softness),
    }
    if config.stage(step) == 2 and config.weights.trajectory:  # Eq. 7
        with torch.no_grad(), convolving(config.precision, predicted.x.device):
            sigma = tuple(level.float() for level in model.levels_of(predicted.x))
        found["trajectory"] = losses.trajectory_loss(predicted.result.sigma, sigma, squared=config.squared_trajectory)
    return found


def frame_terms(result: Rollout, x: Tensor, extractor: nn.Module | None, config: TrainConfig, step: int) -> Terms:
    """L_rec: pixels, and features of all frames or of some drawn for this step."""
    found = {"pixel": losses.pixel_loss(result.frames, x)}
    if extractor is not None and config.weights.perceptual:
        generator = generator_for(config.seed, "perceptual frames", step)
        chosen = torch.randperm(x.shape[1], generator=generator)[: config.perceptual_frames]
        found["perceptual"] = SCALES[config.perceptual] * losses.perceptual_loss(
            result.frames[:, chosen], x[:, chosen], extractor
        )
    return found


def motion_terms(predicted: Prediction, batch: Batch, data: DataConfig, softness: float) -> Terms:
    """Terms of a decoder that warps: its flow against D and the pokes at x_T and the waypoints, and its repaint."""
    result = predicted.result
    if result.flow is None or result.repaint is None:
        return {}
    known = {data.horizon: batch.displacement, **dict(zip(data.waypoints, batch.waypoints.unbind(dim=1), strict=True))}
    flows, pokes = [], []
    for time, D in known.items():
        if time not in predicted.times:
            continue
        flow = result.flow[:, predicted.times.index(time)]
        targets, shifts, given = (t.to(flow.device) for t in poke_targets(batch, D))
        flows.append(losses.flow_loss(flow, D, softness))
        pokes.append(losses.poke_loss(flow, targets, shifts, given))
    return {
        "flow": torch.stack(flows).mean(),
        "poke": torch.stack(pokes).mean(),
        "repaint": losses.repaint_loss(result.repaint),
    }


def poke_targets(batch: Batch, D: Float[Tensor, "b 2 h w"]) -> tuple[Tensor, Tensor, Tensor]:
    """Targets of the pixels touched by pokes to be obeyed or ignored, how far D says they came, and which exist.

    A poke also touches the pixels around l, each with its own D: with l alone, a field that fetches everything between
    l and l + p from l would obey the poke at every time, and smear the point. Only pixels that move with l until T
    count: beside a thin part most stay, and the median of all, the optimum of an absolute error, disobeys the poke.

    Returns:
        targets and shifts `b k 2` in pixels, and `b k`, 1 where one exists, as `losses.poke_loss` takes them.
    """
    height, width = D.shape[-2:]
    reach = torch.arange(-TOUCHED, TOUCHED + 1)
    offsets = torch.cartesian_prod(reach, reach)
    most = max(1, *(len(pokes) for pokes in batch.pokes))
    locations = torch.zeros(len(batch.pokes), most, len(offsets), 2, dtype=torch.long)
    touched = torch.zeros(len(batch.pokes), most, 1, 2, dtype=torch.long)
    given = torch.zeros(len(batch.pokes), most, len(offsets))
    for b, pokes in enumerate(batch.pokes):
        for k, poke in enumerate(pokes):
            if poke.kind == "shift":  # an impulse names no target
                touched[b, k] = torch.tensor([round(c) for c in poke.location])
                locations[b, k] = touched[b, k] + offsets
                given[b, k] = 1
    x, y = locations.unbind(dim=-1)
    given = given * ((x >= 0) & (x < width) & (y >= 0) & (y < height))
    x, y = x.clamp(0, width - 1), y.clamp(0, height - 1)
    clips = torch.arange(len(D))[:, None, None]
    at_t = batch.displacement.cpu()
    p = at_t[clips, :, touched[..., 1].clamp(0, height - 1), touched[..., 0].clamp(0, width - 1)]
    given = given * ((at_t[clips, :, y, x] - p).norm(dim=-1) <= ALIKE * p.norm(dim=-1))
    shifts = D.cpu()[clips, :, y, x].flatten(1, 2)  # at x_T the shift of l is p itself; 0 in the background
    return torch.stack((x, y), dim=-1).flatten(1, 2) + shifts, shifts, given.flatten(1)
