"""Training: what a stage trains, and that a run can be trusted to stop and go on."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from small_batches import TINY, clips, of_kind

from poke2vid.data.store import Store
from poke2vid.files import digest_of
from poke2vid.losses import weighted_sum
from poke2vid.model.files import load_model
from poke2vid.model.poke_video import PokeVideo
from poke2vid.pretrained.features import SCALES
from poke2vid.train import checkpoint, loop, steps
from poke2vid.train.config import DataConfig, from_json, to_json
from poke2vid.train.data import stack
from poke2vid.train.presets import PRESETS, preset
from poke2vid.train.settings import override
from poke2vid.train.trainer import Trainer, decay, require_finite
from poke2vid.types import InputError

# What a stage trains


@pytest.mark.parametrize("name", ["tiny", "paper64", "bottleneck_rnn", "depth1", "single_stage"])
def test_exactly_the_named_parts_of_a_stage_receive_a_gradient(store: Store, name: str) -> None:
    """Every parameter of a trained part above a floor, none of a frozen one."""
    found = preset(name)
    config = replace(
        TINY, model=replace(found.model, resolution=32, channels=4, depth=found.model.depth),
        freeze_object_encoder=found.freeze_object_encoder, weights=found.weights,
    )  # fmt: skip
    batch = of_kind(clips(store, config=config, untouched_share=0, background_share=0), "poke", 4)
    for stage, step in ((1, 0), (2, config.stage_1_steps)):
        torch.manual_seed(0)
        model = PokeVideo(config.model)
        if config.model.decoder == "motion":  # a zero head passes no gradient back in its very first step
            torch.nn.init.normal_(model.decoder.head.weight, std=0.05)
        parts = steps.trainable(model, config, stage)
        steps.freeze_others(model, parts)
        terms = steps.terms(model, steps.predict(model, batch, config, step), batch, None, config, step)
        weighted_sum(terms, vars(config.weights)).backward()
        trained = {id(p) for part in parts for p in part.parameters()}
        for parameter_name, parameter in model.named_parameters():
            if id(parameter) not in trained:
                assert parameter.grad is None, f"stage {stage}: {parameter_name} is frozen"
            else:
                assert parameter.grad is not None and float(parameter.grad.abs().max()) > 1e-9, (
                    f"stage {stage}: {parameter_name}"
                )


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [*sorted(PRESETS.keys() - {"released128"}), pytest.param("released128", marks=pytest.mark.thorough)]
)
def test_every_preset_trains_in_both_its_stages_with_its_critics(store: Store, name: str) -> None:
    """At 32 pixels and T = 4: a step of each stage moves what that stage trains, and every term is a number."""
    found = preset(name)
    released = found.model.architecture == "released"
    config = replace(
        found,
        model=replace(
            found.model, resolution=32, channels=found.model.channels if released else 4,
            depth=None if found.model.depth is None else min(found.model.depth, 2),
        ),
        data=replace(found.data, horizon=4, waypoints=(), max_length=6, augment=None, min_motion=0.005),
        critics=replace(found.critics, start=0, channels=64 if released else 4),
        perceptual="none", batch=2, stage_1_steps=min(found.stage_1_steps, 1), stage_2_steps=1,
    )  # fmt: skip
    trainer = Trainer(config, None, torch.device("cpu"))
    if config.model.decoder == "motion":  # a zero head passes no gradient back in its very first step
        torch.nn.init.normal_(trainer.model.decoder.head.weight, std=0.05)
    for step in range(config.num_steps):
        before = {n: p.detach().clone() for n, p in trainer.model.named_parameters()}
        critics = [] if trainer.adversary is None else [p.detach().clone() for p in trainer.adversary.parameters()]
        values = trainer.advance(clips(store, config=config, batch=2)[step])
        assert all(np.isfinite(v) for v in values.values())
        moved = {n.split(".")[0] for n, p in trainer.model.named_parameters() if not torch.equal(p, before[n])}
        parts = steps.trainable(trainer.model, config, config.stage(step))
        assert moved == {n for n, part in trainer.model.named_children() if any(part is trained for trained in parts)}
        if config.has_critics and trainer.adversary is not None:
            assert any(not torch.equal(p, q) for p, q in zip(trainer.adversary.parameters(), critics, strict=True))
            assert ("critic/clip_real" in values) is (config.stage(step) == 2)
        assert ("loss/trajectory" in values) is (config.stage(step) == 2 and config.weights.trajectory > 0)


def test_stage_one_trains_e_sigma_and_g_and_stage_two_everything_but_e_sigma() -> None:
    model = PokeVideo(TINY.model)
    assert steps.trainable(model, TINY, 1) == [model.object_encoder, model.decoder]
    assert steps.trainable(model, TINY, 2) == [model.poke_encoder, model.dynamics, model.decoder]
    assert model.object_encoder in steps.trainable(model, preset("single_stage"), 2)


def test_the_learning_rate_falls_along_a_cosine_in_each_stage() -> None:
    config = replace(TINY, decay=0.1, stage_1_steps=10, stage_2_steps=20)
    assert decay(config, 0) == pytest.approx(1.0) == decay(config, 10)
    assert decay(config, 5) == pytest.approx(0.55) == decay(config, 20)
    assert decay(replace(config, decay=1.0), 27) == pytest.approx(1.0)


@pytest.mark.slow
def test_tiny_overfits_one_clip(store: Store) -> None:
    """Both stages, E_sigma frozen in the second: after 60 + 300 steps the error is under 0.65 of the still picture's.

    0.55 was measured. It cannot reach zero: the flow term holds the motion to DIS, which is not exact at 32 pixels.
    """
    config = replace(TINY, stage_1_steps=60, stage_2_steps=300)
    data = clips(store, config=config, batch=1, untouched_share=0.0, background_share=0.0)
    batch = stack([data.sample(1, 0, 4)])
    trainer = Trainer(config, None, torch.device("cpu"))
    for _ in range(config.num_steps):
        trainer.advance(batch)
    still = float((batch.frames[:, 1:] - batch.frames[:, :1]).abs().mean())
    reached = float((loop.predict(trainer.model, batch, 2).frames - batch.frames[:, 1:]).abs().mean())
    assert reached < 0.65 * still, f"{reached:.4f} against {still:.4f} for the still picture"


# Runs


def run(store_path: Path, out: Path, **kwargs: object) -> Path:
    config = kwargs.pop(
        "config",
        replace(TINY, stage_1_steps=3, stage_2_steps=5, checkpoint_every=3, sample_every=4, clip_gradient=0.05),
    )
    return loop.train(config, store_path, out, workers=0, quiet=True, **kwargs)


def test_a_run_leaves_checkpoints_metrics_boards_and_grids(store_path: Path, tmp_path: Path) -> None:
    saved = run(store_path, tmp_path / "run")
    assert saved == checkpoint.path_of(tmp_path / "run", 8)
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(1, 9))
    assert [line["stage"] for line in lines] == [1] * 3 + [2] * 5
    assert {"loss/pixel", "loss/flow", "loss/repaint", "loss/trajectory", "gradient_norm"} < set(lines[-1])
    assert {p.name for p in (tmp_path / "run" / "samples").iterdir()} >= {"train-00000004.png", "held-out-00000008.png"}
    assert list((tmp_path / "run" / "tensorboard").iterdir())
    assert from_json(json.loads((tmp_path / "run" / "config.json").read_text())).stage_2_steps == 5
    loaded = load_model(tmp_path / "run")
    assert loaded.path == saved and loaded.about["step"] == 8 and loaded.about["store"] == Store.open(store_path).digest


def numbers_of(run_folder: Path) -> list[dict]:
    """Everything a run logged but its speed."""
    lines = [json.loads(line) for line in (run_folder / "metrics.jsonl").read_text().splitlines()]
    return [
        {name: value for name, value in line.items() if name not in ("clips_per_second", "data_share")}
        for line in lines
    ]


def weights_of(path: Path) -> dict[str, torch.Tensor]:
    return load_model(path).model.state_dict()


def test_a_run_that_was_stopped_and_resumed_ends_where_an_unbroken_one_does(store_path: Path, tmp_path: Path) -> None:
    whole = run(store_path, tmp_path / "whole")
    run(store_path, tmp_path / "broken", max_minutes=0)  # stops, saved, after its first step
    while checkpoint.newest(tmp_path / "broken") != checkpoint.path_of(tmp_path / "broken", 8):
        run(store_path, tmp_path / "broken", resume=True, max_minutes=0)
    for name, weight in weights_of(whole).items():
        assert torch.equal(weight, weights_of(tmp_path / "broken")[name]), name
    assert numbers_of(tmp_path / "whole") == numbers_of(tmp_path / "broken")


def test_a_run_may_start_from_a_trained_model_and_remembers_which(store_path: Path, tmp_path: Path) -> None:
    first = run(store_path, tmp_path / "first")
    begun = run(store_path, tmp_path / "second", init=tmp_path / "first", max_minutes=0)  # its first step, and saved
    drawn = run(store_path, tmp_path / "third", max_minutes=0)
    start, step, fresh = weights_of(first), weights_of(begun), weights_of(drawn)
    name = "decoder.refine.weight"
    assert (start[name] - step[name]).abs().max() < 0.01 < (start[name] - fresh[name]).abs().max()
    known = load_model(begun).about["init"]
    assert known == digest_of(start, {}) and load_model(drawn).about["init"] is None
    ended = run(store_path, tmp_path / "second", resume=True)
    assert load_model(ended).about["init"] == known
    other = replace(TINY, model=replace(TINY.model, channels=4))
    with pytest.raises(InputError, match="another shape"):
        run(store_path, tmp_path / "fourth", init=first, config=other)


def test_a_run_folder_is_never_overwritten_and_never_resumed_with_other_settings(
    store_path: Path, tmp_path: Path
) -> None:
    run(store_path, tmp_path / "run", max_minutes=0)
    with pytest.raises(InputError, match="--resume"):
        run(store_path, tmp_path / "run")
    other = replace(TINY, stage_1_steps=3, stage_2_steps=6)
    with pytest.raises(InputError, match="other settings"):
        run(store_path, tmp_path / "run", resume=True, config=other)
    with pytest.raises(InputError, match="without --resume"):
        run(store_path, tmp_path / "empty", resume=True)


def test_bf16_computes_convolutions_coarsely_and_losses_exactly(store: Store) -> None:
    """The terms of a first step differ by bfloat16's rounding and no more, and every loss is fp32."""
    batch = clips(store)[0]
    found = {}
    for precision in ("fp32", "bf16"):
        config = replace(TINY, precision=precision)
        trainer = Trainer(config, ConvFeatures(), torch.device("cpu"))
        for step in (0, config.stage_1_steps):
            predicted = steps.predict(trainer.model, batch, config, step)
            assert predicted.result.frames.dtype == torch.float32
            assert all(level.dtype == torch.float32 for level in predicted.result.sigma)
            terms = steps.terms(trainer.model, predicted, batch, trainer.extractor, config, step)
            assert all(term.dtype == torch.float32 for term in terms.values())
            found[precision, step] = {name: float(term.detach()) for name, term in terms.items()}
    for step in (0, TINY.stage_1_steps):
        exact, coarse = found["fp32", step], found["bf16", step]
        assert coarse == pytest.approx(exact, rel=0.05, abs=1e-3)
        assert coarse != exact


class ConvFeatures(torch.nn.Module):
    """Phi of one drawn convolution."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.conv = torch.nn.Conv2d(3, 4, 3).requires_grad_(False)

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        return [self.conv(x)]


def test_a_run_keeps_its_precision(store_path: Path, tmp_path: Path) -> None:
    run(store_path, tmp_path / "run", max_minutes=0, precision="bf16")
    with pytest.raises(InputError, match="begun with --precision bf16"):
        run(store_path, tmp_path / "run", resume=True, precision="fp32")
    saved = run(store_path, tmp_path / "run", resume=True, precision="auto")
    assert load_model(saved).about["train"]["precision"] == "bf16"
    with pytest.raises(InputError, match="no precision 'half'"):
        run(store_path, tmp_path / "other", precision="half")


def test_a_loss_that_is_not_finite_is_named_before_it_reaches_a_weight() -> None:
    with pytest.raises(InputError, match=r"perceptual, flow is not finite at step 8"):
        require_finite(
            {"pixel": torch.ones(()), "perceptual": torch.tensor(float("nan")), "flow": torch.tensor(float("inf"))}, 7
        )


# Settings


def test_every_preset_survives_being_written_and_read() -> None:
    for config in PRESETS.values():
        assert from_json(json.loads(json.dumps(to_json(config)))) == config


def test_settings_are_overridden_by_name() -> None:
    config = override(TINY, ["data.horizon=5", "model.channels=16", "clip_gradient=null", "perceptual=squeeze"])
    assert (config.data.horizon, config.model.channels, config.clip_gradient, config.perceptual) == (
        5,
        16,
        None,
        "squeeze",
    )


@pytest.mark.parametrize(
    ("setting", "named"),
    [("data.horizen=5", "horizen"), ("batch=0", "batch"), ("model.resolution=65", "65"), ("nonsense", "nonsense"),
     ("modle.channels=4", "modle"), ("weights.pixel=-1", "pixel"), ("perceptual=vgg", "perceptual"), ("batch=x", "batch")],
)  # fmt: skip
def test_a_wrong_setting_is_refused_by_name(setting: str, named: str) -> None:
    with pytest.raises(InputError, match=named):
        override(TINY, [setting])


def test_every_wrong_setting_is_named_at_once() -> None:
    with pytest.raises(InputError, match=r"(?s)horizen.*batsch"):
        from_json({**to_json(TINY), "batsch": 3, "data": {**to_json(TINY)["data"], "horizen": 1}})


def test_the_paper_presets_have_the_papers_settings() -> None:
    config = preset("paper64")
    assert (config.batch, config.learning_rate, config.betas, config.data.horizon) == (10, 1e-4, (0.9, 0.99), 10)
    assert (config.weights.pixel, config.weights.perceptual, config.weights.trajectory) == (1, 1, 0.1)
    assert config.model.level_channels == (128, 64, 32) and preset("paper128").model.num_levels == 4
    assert config.data.background_share == 0.1 and config.perceptual == "vgg19"
    assert isinstance(config.data, DataConfig)


def test_features_are_scaled_by_their_network_and_vggs_are_not(store: Store) -> None:
    assert (SCALES["vgg19"], SCALES["vgg16"], SCALES["squeeze"]) == (1, 1, 1 / 32)

    class Phi(torch.nn.Module):
        def forward(self, y: torch.Tensor) -> tuple[torch.Tensor, ...]:
            return (y,)

    found = {}
    for name in ("vgg19", "squeeze"):
        config = override(TINY, [f"perceptual={name}", "weights.perceptual=1"])
        trainer = Trainer(config, Phi(), torch.device("cpu"))
        found[name] = trainer.advance(clips(store)[0], balance=True)["loss/perceptual"]
    assert found["squeeze"] == found["vgg19"] / 32


def test_the_balance_is_of_g_in_both_stages_and_of_f_in_the_second(store: Store) -> None:
    config = override(TINY, ["stage_1_steps=1", "stage_2_steps=1"])
    trainer, batches = Trainer(config, None, torch.device("cpu")), clips(store)
    first, second = (trainer.advance(batches[k], balance=True) for k in (0, 1))
    assert "gradient/pixel" in first
    assert not any(name.startswith("gradient/F/") for name in first)
    assert second["gradient/F/trajectory"] > 0
    assert second["gradient/F/pixel"] > 0
    assert second["gradient/trajectory"] == 0
