"""Prediction by the systems that the paper compares with: the frames that each sees and the samples that it draws."""

import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from poke2vid.baselines.baseline import Baseline, BaselineClips, BaselineConfig
from poke2vid.baselines.files import LoadedBaseline, network_of
from poke2vid.baselines.hao import HaoConfig
from poke2vid.baselines.ivrnn import Ivrnn, IvrnnConfig
from poke2vid.baselines.savp.config import SavpConfig
from poke2vid.baselines.savp.system import Savp
from poke2vid.baselines.srvp import Srvp, SrvpConfig
from poke2vid.evaluate.heldout.sources import baseline_row
from poke2vid.train.data import Batch
from poke2vid.types import Poke

TINY: dict[str, Any] = {
    "savp": SavpConfig(channels=4, latents=3, posterior_channels=4, critic_channels=2, judged=4),
    "ivrnn": IvrnnConfig(resolution=32, channels=4, latent=3),
    "srvp": SrvpConfig(
        resolution=32, channels=2, code=12, state=5, latent=5, inference_width=16, dynamics_width=16, euler_steps=2
    ),
    "hao": HaoConfig(resolution=32, channels=2),
}
PREDICTORS = ("savp", "ivrnn", "srvp")
COUNT = 3  # predicted frames


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def built(system: str, **changes: object) -> Baseline:
    """A tiny network of the system, ready to predict."""
    torch.manual_seed(0)
    network = network_of(BaselineConfig(network=replace(TINY[system], **changes), hold=1))
    if isinstance(network, Ivrnn):  # the last norms of p scale by zero at first: p would see nothing
        for net in network.prior:
            nn.init.normal_(net.leave[1].weight, 0.0, 0.3, generator=seeded(5))
    if isinstance(network, Srvp):  # batch norms need statistics: without, a frame is too faint to matter
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = 1.0
        network.terms("model", BaselineClips(noise(3, 5, 3, 32, 32)), 0, seeded())
    return network.eval()


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=seeded(seed)) * 2 - 1


def clips_of(system: str) -> Batch:
    """Two clips with two frames before x_0, three after it, and five told points."""
    side, pixels = TINY[system].resolution, (3, TINY[system].resolution, TINY[system].resolution)
    start = torch.rand(2, 5, 1, 2, generator=seeded(2)) * (side - 12) + 4
    return Batch(
        kinds=("poke", "poke"),
        frames=noise(2, 1 + COUNT, *pixels),
        poke_maps=torch.zeros(2, 1, *pixels),
        schedule=torch.zeros(2, COUNT, dtype=torch.long),
        displacement=torch.zeros(2, 2, side, side),
        waypoints=torch.zeros(2, 0, 2, side, side),
        pokes=((Poke((5.0, 5.0), (2.0, 1.0)),),) * 2,
        earlier=noise(2, 2, *pixels, seed=1),
        paths=start + torch.arange(1.0 + COUNT)[:, None],
    )


def row_predicts(network: Baseline, batch: Batch) -> Tensor:
    """Frames of the system's row in the tables."""
    loaded = LoadedBaseline(network, BaselineConfig(network=network.config, hold=1), {}, Path("run"))  # type: ignore[arg-type]
    predict = baseline_row("theirs", loaded).predict
    assert predict is not None
    with torch.no_grad():
        return predict(batch)


def every_frame_differs(one: Tensor, other: Tensor) -> bool:
    return not any(torch.equal(a, b) for a, b in zip(one.unbind(dim=1), other.unbind(dim=1), strict=True))


# Frames seen


@pytest.mark.parametrize("system", PREDICTORS)
def test_a_video_predictor_sees_frames_minus_1_and_0(system: str) -> None:
    network, side = built(system), TINY[system].resolution
    given = noise(1, 2, 3, side, side)
    with torch.no_grad():
        predicted = network.predict(given, COUNT, seeded())
        for number in range(2):
            changed = given.clone()
            changed[:, number] *= -1
            assert every_frame_differs(network.predict(changed, COUNT, seeded()), predicted), number - 1


@pytest.mark.parametrize("system", PREDICTORS)
def test_a_video_predictor_sees_nothing_later_or_earlier_no_poke_and_no_path(system: str) -> None:
    network, batch = built(system), clips_of(system)
    assert batch.earlier is not None and batch.paths is not None
    other = replace(
        batch,
        frames=torch.cat((batch.frames[:, :1], -batch.frames[:, 1:]), dim=1),
        earlier=torch.cat((-batch.earlier[:, :1], batch.earlier[:, 1:]), dim=1),
        poke_maps=batch.poke_maps + 1,
        displacement=batch.displacement + 1,
        pokes=((Poke((9.0, 3.0), (-4.0, 0.0)),),) * 2,
        paths=batch.paths + 3,
    )
    predicted = row_predicts(network, batch)
    assert predicted.shape == (2, COUNT, *batch.frames.shape[2:])
    assert torch.equal(row_predicts(network, other), predicted)


def test_hao_et_al_see_x_0_and_the_told_vectors_alone() -> None:
    network, batch = built("hao"), clips_of("hao")
    assert batch.earlier is not None and batch.paths is not None
    predicted = row_predicts(network, batch)
    unseen = replace(
        batch,
        frames=torch.cat((batch.frames[:, :1], -batch.frames[:, 1:]), dim=1),
        earlier=-batch.earlier,
        poke_maps=batch.poke_maps + 1,
        displacement=batch.displacement + 1,
        pokes=((Poke((9.0, 3.0), (-4.0, 0.0)),),) * 2,
    )
    assert torch.equal(row_predicts(network, unseen), predicted)
    turned = torch.cat((-batch.frames[:, :1], batch.frames[:, 1:]), dim=1)
    assert every_frame_differs(row_predicts(network, replace(batch, frames=turned)), predicted)
    farther = torch.cat((batch.paths[:, :, :1], batch.paths[:, :, 1:] + 2), dim=2)
    assert every_frame_differs(row_predicts(network, replace(batch, paths=farther)), predicted)


# SAVP


def shows_candidate(network: Savp, number: int) -> None:
    """Lays the whole mask on one candidate: first the four kernels' pictures, then the frame before, then x_-1."""
    nn.init.zeros_(network.generator.mask.weight)
    with torch.no_grad():
        network.generator.mask.bias.fill_(0)[number] = 100


def sure(network: Savp, mean: float) -> None:
    """Makes q(z) the same for all frames: N(mean, e^-10)."""
    nn.init.zeros_(network.posterior.head.weight)
    with torch.no_grad():
        network.posterior.head.bias[: network.config.latents] = mean
        network.posterior.head.bias[network.config.latents :] = -10


def drawn_by(network: Savp) -> list[Tensor]:
    """z of every step of the rollouts after this call."""
    drawn: list[Tensor] = []
    network.generator.register_forward_pre_hook(lambda _, given: drawn.append(given[2].detach()))
    return drawn


def assert_standard_normal(z: Tensor) -> None:
    """Holds about a thousand numbers or more against N(0, 1), each of them drawn for itself."""
    assert z.mean().item() == pytest.approx(0, abs=0.1)
    assert z.std().item() == pytest.approx(1, abs=0.1)
    assert len(z.unique()) == z.numel()


def test_savp_moves_x_0_first_and_then_what_it_has_made() -> None:
    network = built("savp")
    assert isinstance(network, Savp)
    shows_candidate(network, 0)
    nn.init.zeros_(network.generator.kernel_head.weight)
    with torch.no_grad():  # the first kernel fetches from one pixel to the right
        kernel = network.generator.kernel_head.bias.fill_(0)[:25].view(5, 5)
        kernel[2, 2], kernel[2, 3] = -1, 1
    given = noise(2, 2, 3, 64, 64)
    predicted = network.predict(given, COUNT, seeded())
    for n in range(COUNT):
        torch.testing.assert_close(predicted[:, n, :, :, : -1 - n], given[:, 1, :, :, 1 + n :], atol=1e-5, rtol=0)


def test_savp_copies_x_0_as_the_frame_before_and_x_minus_1_as_the_first_one() -> None:
    network, given = built("savp"), noise(2, 2, 3, 64, 64)
    assert isinstance(network, Savp)
    for candidate, copied in ((4, 1), (5, 0)):
        shows_candidate(network, candidate)
        predicted = network.predict(given, COUNT, seeded())
        torch.testing.assert_close(predicted, given[:, copied : copied + 1].expand_as(predicted))


def test_savp_predicts_with_z_of_the_posterior_in_the_context_and_of_n_0_1_after_it() -> None:
    network = built("savp", latents=100)
    assert isinstance(network, Savp)
    sure(network, mean=5)
    drawn = drawn_by(network)
    network.predict(noise(2, 2, 3, 64, 64), 6, seeded())
    z = torch.stack(drawn, dim=1)  # of x_0, which is known, and of six frames that are not
    assert z.shape == (2, 7, 100)
    torch.testing.assert_close(z[:, 0], torch.full((2, 100), 5.0), atol=0.05, rtol=0)
    assert_standard_normal(z[:, 1:])


def test_savp_trains_one_rollout_on_z_of_the_posterior_and_one_on_n_0_1_after_the_context() -> None:
    network = built("savp", latents=100)
    assert isinstance(network, Savp)
    sure(network, mean=5)
    drawn = drawn_by(network)
    with torch.no_grad():
        network.rollouts((noise(2, 8, 3, 64, 64) + 1) / 2, 0, seeded())
    posterior, prior = torch.stack(drawn, dim=1).split(2)
    torch.testing.assert_close(posterior, torch.full((2, 7, 100), 5.0), atol=0.05, rtol=0)
    assert torch.equal(prior[:, 0], posterior[:, 0])
    assert_standard_normal(prior[:, 1:])


def test_savp_has_another_future_for_another_seed_where_the_context_leaves_no_doubt() -> None:
    network, given = built("savp"), noise(1, 2, 3, 64, 64)
    assert isinstance(network, Savp)

    class Sure(nn.Module):
        def forward(self, frames: Tensor) -> tuple[Tensor, Tensor]:
            return torch.zeros(1, 1, 3), torch.zeros(1, 1, 3)

    network.posterior = Sure()  # type: ignore[assignment]
    first, second = (network.predict(given, COUNT, seeded(seed)) for seed in (1, 2))
    assert every_frame_differs(first, second)


# SRVP


class KnownPrior(nn.Module):
    """p(z_t | y_t-1) = N(shift + share y_t-1, scale^2)."""

    def __init__(self, shift: float, share: float, scale: float) -> None:
        super().__init__()
        self.shift, self.share, self.raw = shift, share, math.log(math.expm1(scale))

    def forward(self, y: Tensor) -> Tensor:
        return torch.cat((self.shift + self.share * y, torch.full_like(y, self.raw)), dim=-1)


def test_srvp_draws_each_z_from_the_prior_at_the_state_before(monkeypatch: pytest.MonkeyPatch) -> None:
    network, advance = built("srvp"), Srvp.advance
    assert isinstance(network, Srvp)
    network.prior = KnownPrior(shift=3, share=0.5, scale=0.5)  # type: ignore[assignment]
    steps: list[tuple[Tensor, Tensor, Tensor]] = []

    def watched(self: Srvp, y: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
        after, norms = advance(self, y, z)
        steps.append((y, z, after))
        return after, norms

    monkeypatch.setattr(Srvp, "advance", watched)
    with torch.no_grad():
        network.predict(noise(50, 2, 3, 32, 32), 4, seeded())
    assert len(steps) == 1 + 4  # from frame -1 to frame 0, then four predicted ones
    for (_, _, after), (y, _, _) in pairwise(steps):
        assert torch.equal(y, after)
    assert_standard_normal(torch.stack([(z - (3 + 0.5 * y)) / 0.5 for y, z, _ in steps[1:]]))


def test_srvp_decodes_the_states_that_its_samples_drive(monkeypatch: pytest.MonkeyPatch) -> None:
    network = built("srvp")
    assert isinstance(network, Srvp)

    class Drive(nn.Module):
        def forward(self, y_and_z: Tensor) -> Tensor:
            return y_and_z[:, 5:]

    network.f, network.prior = Drive(), KnownPrior(shift=7, share=0, scale=1e-3)  # type: ignore[assignment]
    decoded: list[Tensor] = []
    network.decoder.register_forward_pre_hook(lambda _, given: decoded.append(given[1]))
    with torch.no_grad():
        network.predict(noise(2, 2, 3, 32, 32), 4, seeded())
    (y,) = decoded
    torch.testing.assert_close(y.diff(dim=1), torch.full((2, 3, 5), 7.0), atol=0.02, rtol=0)


def test_srvp_holds_q_of_z_t_against_p_at_y_of_t_minus_1() -> None:
    """With y_t = t - 1, q = N(0, 1) and p(z_t | y_t-1) = N(y_t-1, 1), each number of z_t diverges by (t - 2)^2 / 2."""
    network = built("srvp")
    assert isinstance(network, Srvp)

    class Drift(nn.Module):
        def forward(self, y_and_z: Tensor) -> Tensor:
            return torch.ones(len(y_and_z), 5)

    network.f, network.prior = Drift(), KnownPrior(shift=0, share=1, scale=1)  # type: ignore[assignment]
    first_state = network.infer_state[-1]
    for layer, raw in ((first_state, -50.0), (network.infer_latent, math.log(math.expm1(1)))):
        assert isinstance(layer, nn.Linear)
        nn.init.zeros_(layer.weight)
        with torch.no_grad():
            layer.bias.copy_(torch.tensor([0.0] * 5 + [raw] * 5))  # means, then raw scales: of y_1 none is left
    terms = network.terms("model", BaselineClips(noise(2, 6, 3, 32, 32)), 0, seeded())
    assert terms["kl_z"].item() == pytest.approx(5 * (0 + 1 + 4 + 9 + 16) / 2, rel=1e-4)


# IVRNN


def imagined(network: Ivrnn, seed: int) -> tuple[list[Tensor], list[tuple[list[Tensor], Tensor]]]:
    """Samples of one predicted frame, and for each level the coarser samples that p was given and p's mean."""
    calls: list[tuple[list[Tensor], Tensor]] = []
    handles = [
        net.register_forward_hook(lambda _, given, made: calls.append((given[1], made[0].mean)))
        for net in network.prior
    ]
    with torch.no_grad():
        embeddings = network.embedding((noise(2, 2, 3, 32, 32) + 1) / 2)
        states = network.first_states(embeddings).prior
        samples, _ = network.imagine([e[:, -1:] for e in embeddings], states, seeded(seed))
    for handle in handles:
        handle.remove()
    return samples, calls


@pytest.mark.parametrize("dense_prior", [True, False])
def test_ivrnn_draws_finer_latents_given_its_samples_of_all_coarser_ones(dense_prior: bool) -> None:
    network = built("ivrnn", dense_prior=dense_prior)
    assert isinstance(network, Ivrnn)
    samples, calls = imagined(network, seed=1)
    _, others = imagined(network, seed=2)
    assert len(samples) == len(calls) == 3
    for level, ((given, mean), (_, other)) in enumerate(zip(calls, others, strict=True)):
        expected = samples[:level] if dense_prior else []
        assert len(given) == len(expected)
        assert all(torch.equal(a, b) for a, b in zip(given, expected, strict=True))
        assert torch.equal(mean, other) == (not expected)


def test_ivrnn_renders_the_samples_of_its_prior(monkeypatch: pytest.MonkeyPatch) -> None:
    network, imagine, render = built("ivrnn"), Ivrnn.imagine, Ivrnn.render
    drawn: list[list[Tensor]] = []
    rendered: list[list[Tensor]] = []

    def watched_imagine(self: Ivrnn, *given: Any) -> Any:
        samples, states = imagine(self, *given)
        drawn.append(samples)
        return samples, states

    def watched_render(self: Ivrnn, last: Tensor, samples: list[Tensor], states: Any) -> Any:
        rendered.append(samples)
        return render(self, last, samples, states)

    monkeypatch.setattr(Ivrnn, "imagine", watched_imagine)
    monkeypatch.setattr(Ivrnn, "render", watched_render)
    with torch.no_grad():
        network.predict(noise(1, 2, 3, 32, 32), COUNT, seeded())
    assert len(drawn) == len(rendered) == COUNT
    for of_prior, shown in zip(drawn, rendered, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(of_prior, shown, strict=True))
    assert not torch.equal(drawn[0][0], drawn[1][0])


def test_ivrnn_predicts_with_the_prior_that_it_trains() -> None:
    """Frame by frame, its states carried on, p is what training makes of all frames at once."""
    network = built("ivrnn", dense_prior=False)  # else p would depend on samples, which are of q in training
    assert isinstance(network, Ivrnn)
    found: list[Tensor] = []
    for net in network.prior:
        net.register_forward_hook(lambda _, given, made: found.append(made[0].mean))
    with torch.no_grad():
        embeddings = network.embedding((noise(2, 5, 3, 32, 32) + 1) / 2)
        states = network.first_states(embeddings)
        before, now = [e[:, 1:-1] for e in embeddings], [e[:, 2:] for e in embeddings]
        network.distributions(before, now, states, seeded())
        at_once = found[:]
        found.clear()
        carried = states.prior
        for t in range(3):
            _, carried = network.imagine([e[:, t : t + 1] for e in before], carried, seeded())
    for level, mean in enumerate(at_once):
        torch.testing.assert_close(torch.cat(found[level::3], dim=1), mean, atol=1e-5, rtol=1e-4)
