"""One training step, and the state that a checkpoint must keep: the generator, its critics and their optimisers."""

import hashlib
import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from poke2vid.losses import weighted_sum
from poke2vid.model.files import MODEL_PREFIX, model_tensors
from poke2vid.model.poke_video import PokeVideo
from poke2vid.train import checkpoint, steps
from poke2vid.train.adversary import Adversary
from poke2vid.train.config import TrainConfig
from poke2vid.train.data import Batch
from poke2vid.train.distributed import Group
from poke2vid.train.precision import Convolving
from poke2vid.types import InputError

_REMEDY = (
    "the last checkpoint is good: check the store by `poke2vid verify`, then go on with --resume and a lower learning_rate or "
    "clip_gradient"
)
_CRITICS = "critics/"
_OPTIMISER, _CRITIC_OPTIMISER = "optimiser/", "critic-optimiser/"


class Trainer:
    """The generator, its critics, an ADAM for each, and the number of steps done.

    Args:
        extractor: Phi of L_rec; None where there are no feature terms.
    """

    def __init__(
        self, config: TrainConfig, extractor: nn.Module | None, device: torch.device, group: Group | None = None
    ) -> None:
        self.config, self.group = config, group or Group(device=device)
        self.extractor = extractor
        if extractor is not None and config.precision != "fp32":
            self.extractor = Convolving(extractor, config.precision)
        torch.manual_seed(config.seed)
        self.model = PokeVideo(config.model).to(device)
        torch.manual_seed(
            _seed(config.seed, "critics")
        )  # so that the generator starts the same with and without critics
        self.adversary = Adversary(config).to(device) if config.has_critics else None
        self.critic_optimiser = None if self.adversary is None else _adam(self.adversary.parameters(), config)
        self.step = 0
        self._enter_stage(config.stage(0))

    def _enter_stage(self, stage: int) -> None:
        """Starts ADAM over a stage's parameters and freezes all others; each stage has its own moments."""
        parts = steps.trainable(self.model, self.config, stage)
        steps.freeze_others(self.model, parts)
        self.optimiser = _adam((p for part in parts for p in part.parameters()), self.config)

    def advance(self, batch: Batch, *, balance: bool = False) -> dict[str, float]:
        """One step on this process's share of a batch; returns the values to log, averaged over the processes.

        The critics learn first, on predictions that are constants to them; then the generator, with the critics frozen.

        Args:
            balance: also measure the gradient that each weighted term alone has on the decoder.

        Raises:
            InputError: naming the terms that are not finite, or the gradient; no weight has been changed by it.
        """
        config, step = self.config, self.step
        if step == config.stage_1_steps and step > 0:
            self._enter_stage(config.stage(step))
        _set_rate(self.optimiser, config.learning_rate * decay(config, step))
        predicted = steps.predict(self.model, batch, config, step)
        terms = steps.terms(self.model, predicted, batch, self.extractor, config, step)
        logged = {f"loss/{name}": term for name, term in self._finite(terms).items()}
        if self.adversary is not None and self.critic_optimiser is not None and any(self.adversary.playing(step)):
            found, judged = self._play(self.adversary, self.critic_optimiser, predicted)
            terms |= judged
            logged |= {f"critic/{name}": term for name, term in found.items()}
            logged |= {f"loss/{name}": term for name, term in self._finite(judged).items()}
        weights = vars(config.weights)
        if balance:
            logged |= {f"gradient/{name}": norm for name, norm in self._gradients(terms, weights).items()}
        self.optimiser.zero_grad(set_to_none=True)
        weighted_sum(terms, weights).backward()
        norm = self._update("generator", self.optimiser, self.model.parameters(), config.clip_gradient)
        self.step += 1
        return {name: float(value) for name, value in logged.items()} | {"gradient_norm": norm}

    def _play(
        self, adversary: Adversary, optimiser: torch.optim.Optimizer, predicted: steps.Prediction
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Steps the critics; returns their terms, and the generator's terms from the updated critics."""
        config, step = self.config, self.step
        x_hat, x = predicted.result.frames, predicted.x
        draw = adversary.draw(step, x.shape[1], self.group)
        adversary.requires_grad_(True)
        _set_rate(optimiser, config.critics.learning_rate * decay(config, step))
        found = adversary.critic_terms(x_hat, x, step, draw)
        told = self._finite(found)
        optimiser.zero_grad(set_to_none=True)
        adversary.total(found).backward()
        playing = [critic for critic in adversary.playing(step) if critic is not None]
        self._update("critics", optimiser, [p for critic in playing for p in critic.parameters()], None)
        adversary.requires_grad_(False)
        return told, adversary.generator_terms(x_hat, x, step, draw)

    def _finite(self, terms: dict[str, Tensor]) -> dict[str, Tensor]:
        """The terms averaged over the processes; raises InputError unless all are finite."""
        averaged = self.group.average(terms)
        require_finite(averaged, self.step)
        return averaged

    def _update(
        self, side: str, optimiser: torch.optim.Optimizer, parameters: Iterable[nn.Parameter], largest: float | None
    ) -> float:
        """ADAM's step with gradients averaged over the processes and clipped; returns their norm before clipping."""
        trained = [p for p in parameters if p.requires_grad]
        self.group.average_gradients(trained)
        norm = float(nn.utils.clip_grad_norm_(trained, largest or math.inf))
        if not math.isfinite(norm):
            raise InputError(f"the gradient of the {side} is not finite at step {self.step + 1}; {_REMEDY}.")
        optimiser.step()
        return norm

    def _gradients(self, terms: dict[str, Tensor], weights: dict[str, float]) -> dict[str, Tensor]:
        """Norm of each weighted term's own gradient on G, and in stage 2 on F (of this process's share): their balance."""
        parts = {"": self.model.decoder, "F/": self.model.dynamics}
        trained = {prefix: [p for p in part.parameters() if p.requires_grad] for prefix, part in parts.items()}
        every = [p for parameters in trained.values() for p in parameters]
        norms = {}
        for name, term in terms.items():
            slopes = iter(torch.autograd.grad(weights[name] * term, every, retain_graph=True, allow_unused=True))
            for prefix, parameters in trained.items():
                found = [g.square().sum() for _, g in zip(parameters, slopes, strict=False) if g is not None]
                if parameters:
                    norms[prefix + name] = torch.stack(found or [torch.zeros(())]).sum().sqrt()
        return norms

    def state(self) -> dict[str, Tensor]:
        """Weights and buffers of generator and critics, not copied."""
        found = model_tensors(self.model)
        return found if self.adversary is None else found | _prefixed(_CRITICS, self.adversary.state_dict())

    def tensors(self) -> dict[str, Tensor]:
        """Everything that a checkpoint must hold to go on from here."""
        found = self.state() | checkpoint.optimiser_tensors(self.optimiser, _OPTIMISER)
        if self.critic_optimiser is not None:
            found |= checkpoint.optimiser_tensors(self.critic_optimiser, _CRITIC_OPTIMISER)
        return found

    def load(self, tensors: dict[str, Tensor], step: int) -> None:
        """Loads the output of `tensors` after `step` steps.

        Raises:
            RuntimeError: if they are those of another model or other critics.
        """
        checkpoint.load_module(self.model, tensors, MODEL_PREFIX)
        if step > 0:
            self._enter_stage(self.config.stage(step - 1))
        checkpoint.load_optimiser(self.optimiser, tensors, _OPTIMISER)
        if self.adversary is not None and self.critic_optimiser is not None:
            checkpoint.load_module(self.adversary, tensors, _CRITICS)
            checkpoint.load_optimiser(self.critic_optimiser, tensors, _CRITIC_OPTIMISER)
        self.step = step


def decay(config: TrainConfig, step: int) -> float:
    """Factor on the learning rate in the step with this number: half a cosine over the stage, 1 to `config.decay`."""
    first, length = (
        (0, config.stage_1_steps) if config.stage(step) == 1 else (config.stage_1_steps, config.stage_2_steps)
    )
    done = (step - first) / max(1, length)
    return config.decay + (1 - config.decay) * 0.5 * (1 + math.cos(math.pi * done))


def require_finite(terms: dict[str, Tensor], step: int) -> None:
    """Raises InputError naming the terms that are not finite, before they reach a weight."""
    broken = [name for name, term in terms.items() if not torch.isfinite(term)]
    if broken:
        raise InputError(f"the loss term {', '.join(broken)} is not finite at step {step + 1}; {_REMEDY}.")


def _adam(parameters: Iterable[nn.Parameter], config: TrainConfig) -> torch.optim.Adam:
    return torch.optim.Adam(parameters, lr=config.learning_rate, betas=config.betas)


def _set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    for group in optimiser.param_groups:
        group["lr"] = rate


def _prefixed(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {prefix + name: tensor for name, tensor in tensors.items()}


def _seed(seed: int, name: str) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed}/{name}".encode()).digest()[:4], "little")
