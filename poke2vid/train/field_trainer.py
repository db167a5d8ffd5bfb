"""One training step of E_phi on fields, and the state that a checkpoint must keep."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from poke2vid.model.response import respond
from poke2vid.model.touch_encoder import FIELD_SIDE, PictureFeatures, TouchEncoder
from poke2vid.train import checkpoint
from poke2vid.train.field_config import FieldConfig
from poke2vid.train.field_data import FieldBatch
from poke2vid.train.film_data import FilmBatch
from poke2vid.train.muon import Muon
from poke2vid.train.precision import convolving
from poke2vid.train.still_data import StillBatch
from poke2vid.train.swing_loss import swing, swing_loss
from poke2vid.train.trainer import require_finite
from poke2vid.types import InputError

MODEL, RAW = "touch/", "raw/"
FROM_ZERO = (
    "head.",
    "swing.1.",
)  # layers that start at zero: their outputs have a scale, so Muon's updates (singular values of 1) would be too large
TIME = "swing."
FAR, NEAR = (
    0.15,
    0.03,
)  # of the side, from the nearest touch: the pixels that PokeBench counts, and all but the touched spot


class FieldTrainer:
    """E_phi, the running mean of its weights, its optimisers, and the number of steps done."""

    def __init__(self, config: FieldConfig) -> None:
        self.config, self.step = config, 0
        torch.manual_seed(config.seed)
        self.net = TouchEncoder(config.touch).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.mean = TouchEncoder(config.touch).requires_grad_(False)
        self.mean.load_state_dict(self.net.state_dict())
        if config.time_alone:
            for name, w in self.net.named_parameters():
                w.requires_grad_(name.startswith(TIME))
        self.optimisers = optimisers_of(self.net, config)

    def advance(
        self, batch: FieldBatch, films: FilmBatch | None = None, stills: StillBatch | None = None
    ) -> dict[str, float]:
        """One step on fields, and on films and stills if given; returns the values to log.

        Raises:
            InputError: naming a term that is not finite, or the gradient; no weight has been changed by it.
        """
        config = self.config
        for optimiser, rate in self.optimisers.values():
            for group in optimiser.param_groups:
                group["lr"] = rate * config.pace(self.step)
        terms = {} if config.time_alone else field_terms(predict(self.net, batch, config), batch, config)
        if films is not None:
            terms["swing"] = swing_loss(swing(self.net, films, config), films, config)
        if stills is not None and not config.time_alone:
            terms["found"] = found_loss(objectness(self.net, stills, config), stills)
        require_finite(terms, self.step)
        loss = sum((1.0 if name == "object" else getattr(config, name)) * term for name, term in terms.items())
        assert isinstance(loss, Tensor)
        self.net.zero_grad(set_to_none=True)
        loss.backward()
        norm = float(nn.utils.clip_grad_norm_(self.net.parameters(), config.clip_gradient))
        if not math.isfinite(norm):
            raise InputError(
                f"the gradient is not finite at step {self.step + 1}; go on with --resume, a lower learning_rate."
            )
        for optimiser, _ in self.optimisers.values():
            optimiser.step()
        self.step += 1
        keep = min(config.average, self.step / (self.step + 10))  # the first steps are soon forgotten
        with torch.no_grad():
            torch._foreach_lerp_(list(self.mean.parameters()), list(self.net.parameters()), 1 - keep)
        return {f"loss/{name}": float(term.detach()) for name, term in terms.items()} | {"gradient_norm": norm}

    def tensors(self) -> dict[str, Tensor]:
        """Everything that a checkpoint must hold to go on from here."""
        found = {MODEL + name: tensor for name, tensor in self.mean.state_dict().items()}
        found |= {RAW + name: tensor for name, tensor in self.net.state_dict().items()}
        for name, (optimiser, _) in self.optimisers.items():
            found |= checkpoint.optimiser_tensors(optimiser, name)
        return found

    def load(self, tensors: dict[str, Tensor], step: int) -> None:
        """Loads the output of `tensors` after `step` steps; raises RuntimeError if it is another network's."""
        checkpoint.load_module(self.mean, tensors, MODEL)
        checkpoint.load_module(self.net, tensors, RAW)
        for name, (optimiser, _) in self.optimisers.items():
            checkpoint.load_optimiser(optimiser, tensors, name)
        self.step = step

    def begin_from(self, weights: dict[str, Tensor]) -> list[str]:
        """Starts from a trained network; returns the names of weights left as drawn (as those of a stem that it lacks).

        In the first layer the picture's own channels come first, in the maps of time those of a law: the common part is
        taken over, new channels start at zero, surplus ones are dropped.
        """
        own = self.net.state_dict()
        fresh = [name for name, tensor in own.items() if name not in weights or weights[name].shape != tensor.shape]
        taken = {name: weights[name] for name in own if name not in fresh}
        for name in fresh:
            old, new = weights.get(name), own[name]
            if old is None or old.dim() != new.dim():
                continue
            grown = [axis for axis in range(new.dim()) if old.shape[axis] != new.shape[axis]]
            if grown == [1] or (grown == [0] and name.startswith("swing.1.")):
                shared = tuple(slice(min(sizes)) for sizes in zip(old.shape, new.shape, strict=True))
                taken[name] = torch.zeros_like(new)
                taken[name][shared] = old[shared]
        self.net.load_state_dict(own | taken)
        self.mean.load_state_dict(self.net.state_dict())
        return [name for name in fresh if name not in taken]


def optimisers_of(net: nn.Module, config: FieldConfig) -> dict[str, tuple[torch.optim.Optimizer, float]]:
    """Muon for convolutions, AdamW for all else, each with its highest rate."""
    learnt = [(name, w) for name, w in net.named_parameters() if w.requires_grad]
    matrices = [w for name, w in learnt if w.dim() == 4 and not name.startswith(FROM_ZERO)]
    others = [w for name, w in learnt if w.dim() != 4 or name.startswith(FROM_ZERO)]
    dtype = torch.bfloat16 if config.precision == "bf16" else torch.float32
    adam = torch.optim.AdamW(others, lr=config.learning_rate, weight_decay=config.weight_decay)
    return {
        "muon/": (Muon(matrices, config.matrix_rate, dtype=dtype), config.matrix_rate),
        "adam/": (adam, config.learning_rate),
    }


@dataclass(frozen=True)
class FieldPrediction:
    """A network's predictions for a batch.

    Attributes:
        u: u* of every poke.
        features: features of its pictures.
        along, swing: as in `Touched`, of the pokes with one touch, whose indices are `single`.
    """

    u: Float[Tensor, "b 2 s s"]
    features: PictureFeatures
    along: Float[Tensor, "n 1 a a"]
    swing: Float[Tensor, "n c a a"]
    single: Tensor


def predict(net: TouchEncoder, batch: FieldBatch, config: FieldConfig) -> FieldPrediction:
    """Predicts the fields of a batch."""
    several = batch.given[:, 1:].any(dim=1)
    groups = [(which.nonzero()[:, 0], t) for which, t in ((~several, 1), (several, batch.at.shape[1]))]
    owner = torch.cat([batch.owner[chosen].repeat_interleave(t) for chosen, t in groups])
    places = torch.cat([batch.at[chosen, :t].flatten(0, 1) for chosen, t in groups])
    with convolving(config.precision, batch.x_0.device):
        features = net.encode(batch.x_0.contiguous(memory_format=torch.channels_last))
        touched = net(features.repeated(owner).levels, places)
    # Most pokes have one touch: absent touches get no maps and no solve.
    found, first, mask = [], 0, features.mask
    for chosen, t in groups:
        if not len(chosen):
            continue
        last = first + t * len(chosen)
        maps = touched.influence[first:last].unflatten(0, (-1, t))
        found.append(
            respond(maps, mask[batch.owner[chosen]], batch.at[chosen, :t], batch.p[chosen, :t], batch.given[chosen, :t])
        )
        first = last
    order = torch.cat([chosen for chosen, _ in groups]).argsort()
    single = slice(0, len(groups[0][0]))
    return FieldPrediction(
        torch.cat(found)[order], features, touched.along[single], touched.swing[single], groups[0][0]
    )


def field_terms(said: FieldPrediction, batch: FieldBatch, config: FieldConfig) -> dict[str, Tensor]:
    """The unweighted terms: errors in shares of the poke's length, over the object and beside it; cross-entropies of o
    and of what moves along.
    """
    u, features = said.u, said.features
    length = batch.p.norm(dim=-1).amax(dim=1).clamp_min(1.0)[:, None, None]
    error = charbonnier((u - batch.flow).square().sum(dim=1), config.softness) / length
    parts = batch.parts[batch.owner]
    weight = batch.weight / batch.weight.sum().clamp_min(1)
    terms = {
        name: (weight * mean_over(error, where)).sum()
        for name, where in (("object", parts > 0), ("background", parts == 0))
    }
    known = batch.parts >= 0
    entropy = nn.functional.binary_cross_entropy_with_logits(
        features.objectness[:, 0], (batch.parts > 0).float(), reduction="none"
    )
    return terms | {"mask": mean_over(entropy, known).mean(), "along": along_loss(said, batch)}


def objectness(net: TouchEncoder, stills: StillBatch, config: FieldConfig) -> Float[Tensor, "n s s"]:
    """Logits of o in stills."""
    with convolving(config.precision, stills.x_0.device):
        return net.encode(stills.x_0.contiguous(memory_format=torch.channels_last)).objectness[:, 0]


def found_loss(said: Float[Tensor, "n s s"], stills: StillBatch) -> Tensor:
    """Cross-entropy of o in stills."""
    return nn.functional.binary_cross_entropy_with_logits(said, stills.inside)


def along_loss(said: FieldPrediction, batch: FieldBatch) -> Tensor:
    """Cross-entropy of how far each cell's object pixels go, as a share of the poke's length, at most 1."""
    chosen = said.single
    if not len(chosen):
        return said.along.sum()
    length = batch.p[chosen].norm(dim=-1).amax(dim=1).clamp_min(1.0)[:, None, None]
    inside = (batch.parts[batch.owner[chosen]] > 0).float()[:, None]
    share = (batch.flow[chosen].norm(dim=1) / length).clamp(max=1)[:, None] * inside
    cell = FIELD_SIDE // said.along.shape[-1]
    area = nn.functional.avg_pool2d(inside, cell)
    target = nn.functional.avg_pool2d(share, cell) / area.clamp_min(1e-6)
    entropy = nn.functional.binary_cross_entropy_with_logits(said.along, target.clamp(0, 1), reduction="none")
    weight = area * batch.weight[chosen][:, None, None, None]
    per_poke = (entropy * weight).sum((1, 2, 3)) / weight.sum((1, 2, 3)).clamp_min(1e-6)
    return per_poke.mean()


def charbonnier(squared: Tensor, softness: float) -> Tensor:
    """The absolute error, smoothly quadratic below `softness`."""
    return (squared + softness * softness).sqrt() - softness


def mean_over(values: Float[Tensor, "b h w"], where: Tensor) -> Float[Tensor, " b"]:
    """The mean over some pixels of every sample; zero where there are none."""
    where = where.to(values.dtype)
    return (values * where).sum((1, 2)) / where.sum((1, 2)).clamp_min(1)


@dataclass(frozen=True)
class FieldScores:
    """Mean errors over the pokes of some scenes, in pixels of the field, and as shares of a still picture's.

    Attributes:
        far, near: on object pixels farther than `FAR` (`NEAR`) of the side from every touch, over a still picture's.
        touched: at the touched points.
        background: mean motion of the surroundings.
        explained: projection of the prediction on the true far motion; 0 for standing still.
        mask: intersection over union of o above a half with the object.
        pokes: number of pokes.
    """

    far: float
    near: float
    touched: float
    background: float
    explained: float
    mask: float
    pokes: int


def scores(net: TouchEncoder, batches: Sequence[FieldBatch], config: FieldConfig) -> FieldScores:
    """Scores as in PokeBench, but against exact flow and on fields."""
    return scored(lambda batch: predict(net, batch, config), batches)


@torch.no_grad()
def scored(predicted: Callable[[FieldBatch], FieldPrediction], batches: Sequence[FieldBatch]) -> FieldScores:
    """Scores of any function that predicts fields."""
    rows, overlaps = [], []
    cells = torch.arange(FIELD_SIDE).float()
    for batch in batches:
        said = predicted(batch)
        u, features = said.u, said.features
        parts = batch.parts[batch.owner]
        away = torch.full(parts.shape, torch.inf)
        for at, given in zip(batch.at.unbind(1), batch.given.unbind(1), strict=True):
            d = torch.hypot(cells[None, None] - at[:, 0, None, None], cells[None, :, None] - at[:, 1, None, None])
            away = torch.minimum(away, torch.where(given[:, None, None], d, torch.inf))
        error, still = (u - batch.flow).norm(dim=1), batch.flow.norm(dim=1)
        far, near = ((parts > 0) & (away > share * FIELD_SIDE) for share in (FAR, NEAR))
        hit = error[(parts > 0) & (away < 0.75)]
        along = ((u * batch.flow).sum(1) * far).sum(), (still.square() * far).sum()
        values = [mean_over(error, far).sum(), mean_over(still, far).sum(), mean_over(error, near).sum()]
        values += [mean_over(still, near).sum(), hit.sum(), torch.tensor(float(len(hit)))]
        values += [mean_over(u.norm(dim=1), parts == 0).sum(), *along, torch.tensor(float(len(u)))]
        rows.append(torch.stack([v.float() for v in values]))
        found, true = features.objectness[:, 0] > 0, batch.parts > 0
        overlaps.append((found & true).sum() / (found | true).sum().clamp_min(1))
    s = torch.stack(rows).sum(dim=0).tolist()
    return FieldScores(
        far=s[0] / max(s[1], 1e-9), near=s[2] / max(s[3], 1e-9), touched=s[4] / max(s[5], 1), background=s[6] / max(s[9], 1),
        explained=s[7] / max(s[8], 1e-9), mask=float(torch.stack(overlaps).mean()), pokes=int(s[9]),
    )  # fmt: skip
