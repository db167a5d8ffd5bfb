"""What all systems share: their batches, a training that can be stopped and resumed, files, and the command."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from toy_system import Told, Toy, toy_preset, with_toys

from poke2vid.baselines.baseline import BaselineClips, BaselineConfig, kl_of_normals, normal
from poke2vid.baselines.files import load_baseline
from poke2vid.baselines.hao import HaoConfig
from poke2vid.baselines.info import report
from poke2vid.baselines.ivrnn import IvrnnConfig
from poke2vid.baselines.savp.config import SavpConfig
from poke2vid.baselines.srvp import SrvpConfig
from poke2vid.baselines.systems import SYSTEMS
from poke2vid.data.store import Store
from poke2vid.files import read_tensors
from poke2vid.model.files import checkpoints_of, load_player
from poke2vid.players.named import load_beside, load_players
from poke2vid.players.told_player import ToldPlayer
from poke2vid.train.baseline_data import BaselineBatches, flow_of, padded, path_of, points_of
from poke2vid.train.baseline_loop import BaselineTrainer, grid, train_baseline
from poke2vid.train.presets import preset
from poke2vid.train.settings import override
from poke2vid.types import InputError, Poke


@pytest.fixture(autouse=True)
def toys(monkeypatch: pytest.MonkeyPatch) -> None:
    with_toys(monkeypatch)


# What they are built from


def test_the_kl_of_normals_is_that_of_torch() -> None:
    generator = torch.Generator().manual_seed(0)
    mean, prior_mean = torch.randn(2, 50, generator=generator).unbind()
    scale, prior_scale = torch.rand(2, 50, generator=generator).add(0.1).unbind()
    theirs = torch.distributions.kl_divergence(
        torch.distributions.Normal(mean, scale), torch.distributions.Normal(prior_mean, prior_scale)
    )
    assert torch.allclose(kl_of_normals(mean, scale, prior_mean, prior_scale), theirs, atol=1e-6)
    assert torch.equal(kl_of_normals(torch.zeros(3), torch.ones(3)), torch.zeros(3))


def test_a_sample_of_a_normal_has_its_mean_and_scale_and_passes_gradients() -> None:
    mean = torch.full((20_000,), 2.0, requires_grad=True)
    drawn = normal(mean, torch.tensor(0.5), torch.Generator().manual_seed(1))
    found = drawn.detach()
    assert float(found.mean()) == pytest.approx(2.0, abs=0.02) and float(found.std()) == pytest.approx(0.5, abs=0.02)
    drawn.sum().backward()
    assert mean.grad is not None and float(mean.grad.min()) == 1.0


def test_the_learning_rate_holds_and_then_falls_to_zero_in_a_line() -> None:
    config = toy_preset(hold=4, fall=4, learning_rate=0.1)
    assert [config.rate(step) for step in range(8)] == pytest.approx([0.1] * 5 + [0.075, 0.05, 0.025])
    assert toy_preset(hold=3, fall=0, learning_rate=0.1).rate(2) == 0.1


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"hold": 0, "fall": 0}, "not both 0"),
        ({"batch": 0}, "batch"),
        ({"length": 1}, "length"),
        ({"learning_rate": 2}, "rate"),
    ],
)
def test_impossible_settings_are_refused_by_name(settings: dict[str, float], named: str) -> None:
    with pytest.raises(InputError, match=named):
        toy_preset(**settings)


def test_a_setting_of_the_network_is_checked_as_that_network_s() -> None:
    found = override(toy_preset(), ["network.widths=[3,4]", "batch=5"])
    assert (found.network.widths, found.batch, type(found.network)) == ((3, 4), 5, type(toy_preset().network))
    with pytest.raises(InputError, match="depth"):
        override(toy_preset(), ["network.depth=3"])


# Batches


def test_a_clip_holds_the_frames_that_a_predictor_sees_and_those_that_it_must_make(store: Store) -> None:
    batches = BaselineBatches(store, toy_preset(), Toy)
    batch = batches[3]
    assert batch.frames.shape == (2, 6, 3, 32, 32) and batch.paths is None
    assert torch.equal(batch.frames, batches[3].frames) and not torch.equal(batch.frames, batches[4].frames)
    assert float(batch.frames.min()) >= -1 and float(batch.frames.max()) <= 1
    for video, starts in batches.sources:  # x_0 has a frame before it and four after
        assert starts.min() >= 1 and starts.max() + 4 < video.num_frames


def test_a_pair_says_where_points_of_what_moves_came(store: Store) -> None:
    batches = BaselineBatches(store, toy_preset("told", batch=16), Told)
    batch = batches[0]
    assert batch.frames.shape[:2] == (16, 2) and batch.paths is not None
    given = batch.paths.isfinite().all(dim=-1).all(dim=-1)
    assert set(given.sum(dim=1).tolist()) == {1, 2, 3} and bool(given[:, 0].all())
    moved = (batch.paths[:, :, 1] - batch.paths[:, :, 0])[given].norm(dim=-1)
    assert float(moved.mean()) > 1
    followed, stayed = [], []
    for frames, path in zip(batch.frames, batch.paths[:, 0], strict=True):  # the pixel is found again where it came
        (x, y), (x1, y1) = path.round().long().clamp(0, 31).tolist()
        followed.append((frames[0, :, y, x] - frames[1, :, y1, x1]).abs().mean())
        stayed.append((frames[0, :, y, x] - frames[1, :, y, x]).abs().mean())
    assert float(torch.stack(followed).mean()) < 0.7 * float(torch.stack(stayed).mean())


def test_a_path_is_the_flow_at_the_lags_that_are_known_and_straight_between_them(store: Store) -> None:
    video = store.split("train")[0]
    flows = {lag: flow_of(video, lag, 0) for lag in store.lags}
    points = points_of(flows[4], 3, torch.Generator().manual_seed(0))
    path = path_of(flows, points, (1, 2, 3, 4))
    x, y = points.long().unbind(dim=1)
    assert path.shape == (3, 5, 2) and torch.equal(path[:, 0], points)
    for lag in (2, 4):
        assert torch.allclose(path[:, lag] - points, flows[lag][:, y, x].T, atol=1e-5)
    assert torch.allclose(path[:, 1], (path[:, 0] + path[:, 2]) / 2) and torch.allclose(
        path[:, 3], (path[:, 2] + path[:, 4]) / 2
    )
    filled = padded(path, 5)
    assert filled.shape == (5, 5, 2) and bool(filled[3:].isnan().all()) and torch.equal(filled[:3], path)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"horizon": 7}, "--lag 7"),
        ({"length": 80}, "lower min_motion"),
        ({"min_motion": 0.9}, "lower min_motion"),
    ],
)
def test_a_store_that_does_not_fit_is_refused_with_the_way_out(
    store: Store, settings: dict[str, float], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        BaselineBatches(store, toy_preset(**settings), Toy)


# Training


def test_each_optimiser_moves_its_own_parameters_while_the_others_are_frozen(store: Store) -> None:
    trainer = BaselineTrainer(toy_preset(), torch.device("cpu"))
    assert isinstance(trainer.network, Toy)
    values = trainer.advance(BaselineBatches(store, trainer.config, Toy)[0])
    assert trainer.network.frozen_meanwhile == [("generator", True), ("critics", False)]
    assert bool(trainer.network.bias.ne(0).all()) and float(trainer.network.weight.detach()) != 1
    assert values.keys() == {
        "loss/pixel",
        "loss/gan",
        "loss/critic",
        "gradient_norm/generator",
        "gradient_norm/critics",
    }


def test_a_stopped_run_goes_on_as_if_it_had_not_been(store_path: Path, tmp_path: Path) -> None:
    config = toy_preset(checkpoint_every=3)
    whole = train_baseline(config, store_path, tmp_path / "whole", quiet=True, workers=0)
    parts = tmp_path / "parts"
    train_baseline(config, store_path, parts, quiet=True, workers=0, max_minutes=0)
    assert [path.name for path in checkpoints_of(parts)] == ["step-00000001.safetensors"]
    resumed = train_baseline(config, store_path, parts, resume=True, quiet=True, workers=0)
    (first, about), (second, _) = read_tensors(whole), read_tensors(resumed)
    assert first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)
    assert (about["kind"], about["step"], about["store"]) == ("baseline", 6, Store.open(store_path).digest)
    with pytest.raises(InputError, match="is complete"):
        train_baseline(config, store_path, parts, resume=True, quiet=True)
    with pytest.raises(InputError, match="other settings"):
        train_baseline(replace(config, batch=3), store_path, parts, resume=True, quiet=True)
    with pytest.raises(InputError, match="already holds a run"):
        train_baseline(config, store_path, parts, quiet=True)


SMALLEST: dict[str, Any] = {
    "srvp": SrvpConfig(resolution=32, channels=4, code=8, state=4, latent=4, inference_width=8, dynamics_width=8),
    "ivrnn": IvrnnConfig(resolution=32, channels=4, latent=2),
    "savp": SavpConfig(channels=2, posterior_channels=4, critic_channels=2, judged=4),
    "hao": HaoConfig(resolution=32, channels=2),
}


@pytest.mark.parametrize("system", SMALLEST)
def test_every_system_resumes_to_the_bit(system: str) -> None:
    """Batch norms, spectral norms and the critics' order included: two steps, saved, and a third one twice."""
    side = SMALLEST[system].resolution
    frames = (
        torch.rand(2, 2 if system == "hao" else 6, 3, side, side, generator=torch.Generator().manual_seed(0)) * 2 - 1
    )
    paths = torch.tensor([[[[8.0, 9.0], [10.0, 7.0]]]] * 2) if system == "hao" else None
    clips = BaselineClips(frames, paths)
    config = BaselineConfig(network=SMALLEST[system], length=6, hold=3, batch=2)
    trainer = BaselineTrainer(config, torch.device("cpu"))
    for _ in range(2):
        trainer.advance(clips)
    saved = {name: tensor.clone() for name, tensor in trainer.tensors().items()}
    grid(trainer.network, clips, 0)  # a picture in between changes nothing
    logged = trainer.advance(clips)
    resumed = BaselineTrainer(config, torch.device("cpu"))
    resumed.load(saved, 2)
    assert resumed.advance(clips) == logged
    first, second = trainer.tensors(), resumed.tensors()
    assert first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def test_the_learning_rate_may_change_on_the_way_and_nothing_else(store_path: Path, tmp_path: Path) -> None:
    train_baseline(toy_preset(), store_path, tmp_path, quiet=True, workers=0, max_minutes=0)
    lower = toy_preset(learning_rate=1e-5, clip_gradient=1.0)
    saved = train_baseline(lower, store_path, tmp_path, resume=True, quiet=True, workers=0)
    assert load_baseline(saved).config == lower


def test_clips_shorter_than_what_the_critics_judge_are_refused_before_a_step() -> None:
    config = BaselineConfig(network=SMALLEST["savp"], length=4, hold=1)
    with pytest.raises(InputError, match="length is 4"):
        BaselineTrainer(config, torch.device("cpu"))


def test_a_trained_system_is_loaded_from_its_run(store_path: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    train_baseline(toy_preset("told"), store_path, run, quiet=True, workers=0)
    loaded = load_baseline(run)
    assert isinstance(loaded.network, Told) and loaded.config == toy_preset("told")
    assert (
        loaded.digest == load_baseline(checkpoints_of(run)[-1]).digest
        and float(loaded.network.bias.detach().abs().max()) > 0
    )
    grids = list((run / "samples").glob("*.png"))
    assert [path.name for path in grids] == ["held-out-00000006.png"]
    assert "TOLD" in report(run) and re.search(r"total +4\n", report(run))
    with pytest.raises(InputError, match="which cannot be poked live"):
        load_player(run)
    (player,) = load_players([str(run)], arrive=4).values()
    assert isinstance(player, ToldPlayer)
    first = np.full((40, 60, 3), 90, np.uint8)
    clip = player.play(first, Poke((10, 10), (6, 3)), 5)
    assert clip.shape == (5, 40, 60, 3) and clip.dtype == np.uint8
    with pytest.raises(InputError, match="bench run"):
        load_beside([str(run)], "shift", 4)
    other = Path(__file__).parents[2] / "poke2vid" / "assets" / "small64.safetensors"
    with pytest.raises(InputError, match="not a run of one of"):
        load_baseline(other)


def test_a_loss_that_is_no_number_is_named_and_nothing_is_lost(
    store_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = toy_preset(checkpoint_every=1)
    train_baseline(config, store_path, tmp_path, quiet=True, workers=0, max_minutes=0)
    broken = {"pixel": torch.tensor(float("nan"), requires_grad=True)}
    monkeypatch.setattr(Toy, "terms", lambda *_: broken)
    with pytest.raises(InputError, match="the loss term pixel is not finite at step 2"):
        train_baseline(config, store_path, tmp_path, resume=True, quiet=True, workers=0)
    assert len(checkpoints_of(tmp_path)) == 1


# The command


def test_every_preset_of_a_system_is_one_of_its_name_and_size() -> None:
    for name, system in SYSTEMS.items():
        assert system.config().system == name or name == "told"
        for title, config in system.presets.items():
            assert title.removesuffix("-small") == f"{name}{config.network.resolution}"
            assert np.isfinite(config.rate(0)) and config.num_steps > 0


def test_an_unknown_preset_names_those_of_the_systems_too() -> None:
    with pytest.raises(InputError, match=r"paper64.*toy32-small"):
        preset("nonsense")
