"""Training: what a batch shows, what a stage trains, and that a run can be trusted to stop and go on."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from poke2vid.data.augment import AugmentConfig
from poke2vid.data.store import Store
from poke2vid.files import digest_of
from poke2vid.losses import poke_loss, weighted_sum
from poke2vid.model.files import load_model
from poke2vid.model.poke_video import NO_POKE, PokeVideo
from poke2vid.pokes import IMPULSE_UNIT, POKE_GAIN, foreground_mask
from poke2vid.train import checkpoint, loop, steps
from poke2vid.train.config import DataConfig, TrainConfig, from_json, to_json
from poke2vid.train.data import Batch, ClipBatches, stack, usable_starts
from poke2vid.train.presets import PRESETS, preset
from poke2vid.train.settings import override
from poke2vid.train.trainer import Trainer, decay, require_finite
from poke2vid.types import InputError, Poke

TINY = preset("tiny")


def clips(
    store: Store, *, batch: int = 4, seed: int = 0, split: str = "train", config: TrainConfig = TINY, **data: object
) -> ClipBatches:
    return ClipBatches(store, replace(config.data, **data), config.model, batch=batch, seed=seed, split=split)


def same(a: Batch, b: Batch) -> bool:
    tensors = ("frames", "poke_maps", "schedule", "displacement")
    return a.kinds == b.kinds and a.pokes == b.pokes and all(torch.equal(getattr(a, n), getattr(b, n)) for n in tensors)


# What a batch shows


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_the_same_seed_gives_the_same_batches_whatever_the_number_of_workers(store: Store, workers: int) -> None:
    data = clips(store, augment=AugmentConfig(), long_share=0.5)
    for step, batch in zip(range(3, 7), loop.batches(data, 3, 7, workers), strict=True):
        assert same(batch, clips(store, augment=AugmentConfig(), long_share=0.5)[step])


def test_another_seed_gives_other_batches(store: Store) -> None:
    assert not same(clips(store, seed=0)[0], clips(store, seed=1)[0])
    assert not same(clips(store)[0], clips(store)[1])


def test_a_tenth_of_the_clips_is_poked_in_the_background_and_stays_still(store: Store) -> None:
    data = clips(store, batch=40, long_share=0)
    kinds = [kind for step in range(25) for kind in data[step].kinds]
    assert 0.07 < kinds.count("background") / len(kinds) < 0.13
    assert 0.03 < kinds.count("untouched") / len(kinds) < 0.08


def of_kind(data: ClipBatches, kind: str, length: int) -> Batch:
    """The first few samples of a kind."""
    drawn = (data.sample(step, 0, length) for step in range(400))
    return stack([sample for sample in drawn if sample.kind == kind][:5])


@pytest.mark.parametrize("length", [4, 6])
def test_background_and_untouched_clips_repeat_their_first_frame(store: Store, length: int) -> None:
    for kind in ("background", "untouched"):
        batch = of_kind(clips(store), kind, length)
        torch.testing.assert_close(batch.frames, batch.frames[:, :1].expand_as(batch.frames), rtol=0, atol=0)
        assert not batch.displacement.any()
        assert bool((batch.schedule == (0 if kind == "background" else NO_POKE)).all())
        assert (kind == "background") is bool(batch.poke_maps.any())


def test_a_poke_is_the_flow_at_its_place_and_its_future_is_the_videos(store: Store) -> None:
    data = clips(store, background_share=0, untouched_share=0)
    for step in range(20):
        sample = data.sample(step, 0, 4)
        ((x, y), p) = sample.pokes[0].location, sample.pokes[0].shift
        torch.testing.assert_close(torch.tensor(p), sample.displacement[:, y, x], rtol=0, atol=1e-6)
        assert bool(foreground_mask(sample.displacement)[y, x])
        assert bool((sample.schedule == 0).all())
        assert not torch.equal(sample.frames[0], sample.frames[-1])


def test_a_released_poke_ends_when_it_arrives_and_the_video_goes_on(store: Store) -> None:
    batch = of_kind(clips(store), "release", 6)
    assert bool((batch.schedule == torch.tensor([0, 0, 0, 0, NO_POKE, NO_POKE])).all())
    assert float((batch.frames[:, 6] - batch.frames[:, 4]).abs().amax()) > 0.05


def test_a_held_poke_keeps_the_frame_it_arrived_at(store: Store) -> None:
    batch = of_kind(clips(store), "hold", 6)
    assert bool((batch.schedule == 0).all())
    assert torch.equal(batch.frames[:, 5], batch.frames[:, 4]) and torch.equal(batch.frames[:, 6], batch.frames[:, 4])
    assert not torch.equal(batch.frames[:, 3], batch.frames[:, 4])


def test_a_second_poke_is_drawn_from_the_frame_it_is_made_in(store: Store) -> None:
    data = clips(store, max_length=12)
    batch = of_kind(data, "repoke", 10)
    for schedule, maps in zip(batch.schedule.tolist(), batch.poke_maps, strict=True):
        begin = schedule.index(1)
        assert schedule[:4] == [0] * 4 and 4 <= begin <= 6
        assert schedule[begin : begin + 4] == [1] * 4 and schedule.count(1) == 4
        assert bool(maps[0].any()) and bool(maps[1].any()) and not torch.equal(maps[0], maps[1])


class Freezing:
    """A source made by hand: one video that moves for six frames and then stands still."""

    resolution, lags, digest = 32, (4,), "by hand"
    name, fps, num_frames = "freezing", 25.0, 30
    frames = np.random.default_rng(0).integers(0, 256, (30, 32, 32, 3), dtype=np.uint8)
    motion = np.array([1.0] * 6 + [0.0] * 23, dtype=np.float32)

    def split(self, split: str) -> list["Freezing"]:
        return [self]

    def activity(self, lag: int) -> np.ndarray:
        return np.array([3.0] * 6 + [0.0] * 20, dtype=np.float32)

    def flow(self, lag: int, start: int) -> np.ndarray:
        flow = np.zeros((2, 32, 32), dtype=np.float32)
        flow[0, 8:16, 8:16] = 3.0 if start < 6 else 0.0
        return flow


def test_an_object_that_came_to_rest_is_not_poked_again() -> None:
    data = ClipBatches(Freezing(), replace(TINY.data, max_length=14), TINY.model, batch=1, seed=0)
    kinds = [data.sample(step, 0, 14).kind for step in range(200)]
    assert {"release", "hold"} <= set(kinds)
    for step, kind in enumerate(kinds):
        if kind == "repoke":
            assert data.sample(step, 0, 14).schedule.tolist().index(1) < 6, "only while it still moves"


def test_rollouts_are_as_long_as_asked_and_sometimes_longer_than_the_horizon(store: Store) -> None:
    data = clips(store, long_share=0.5)
    lengths = {data[step].frames.shape[1] - 1 for step in range(40)}
    assert lengths == {4, 5, 6}


def test_several_pokes_at_once_share_one_map(store: Store) -> None:
    data = clips(store, max_pokes=3, background_share=0, untouched_share=0)
    counts = {len(data.sample(step, 0, 4).pokes) for step in range(60)}
    assert counts == {1, 2, 3}


def test_an_impulse_touches_the_first_step_only_and_is_as_strong_as_its_clip_moves(store: Store) -> None:
    config = replace(TINY, model=replace(TINY.model, poke_kind="impulse"))
    data = clips(store, config=config, background_share=0, untouched_share=0)
    strengths, motions = [], []
    for step in range(40):
        sample = data.sample(step, 0, 4)
        assert sample.schedule.tolist() == [0, NO_POKE, NO_POKE, NO_POKE]
        strengths.append(float(sample.poke_maps[0, :2].norm(dim=0).max()))
        motions.append(next(float(s.video.motion[:36].mean()) for s in data.sources if s.video.name == sample.video))
    full = POKE_GAIN * IMPULSE_UNIT  # what an impulse of magnitude 1 is in the map
    assert min(strengths) > 0 and max(strengths) <= full + 1e-4
    assert float(torch.corrcoef(torch.tensor([strengths, motions]))[0, 1]) > 0.5


def test_clips_that_do_not_move_are_not_drawn(store: Store) -> None:
    video = store.videos[0]
    assert len(usable_starts(video, TINY.data, 32)) > 0
    assert len(usable_starts(video, replace(TINY.data, min_motion=0.9), 32)) == 0
    with pytest.raises(InputError, match="moves"):
        clips(store, min_motion=0.9)


def test_a_store_that_does_not_fit_is_refused_with_the_remedy(store: Store) -> None:
    with pytest.raises(InputError, match="--resolution 64"):
        ClipBatches(store, TINY.data, preset("small64").model, batch=1, seed=0)
    with pytest.raises(InputError, match="--lag 10"):
        clips(store, horizon=10, max_length=10)


def test_training_and_test_clips_come_from_different_videos(store: Store) -> None:
    train, test = ({s.video.name for s in clips(store, split=split).sources} for split in ("train", "test"))
    assert train and test and not train & test


def test_waypoints_are_the_flow_to_earlier_frames_and_turn_with_the_clip(store: Store) -> None:
    """On unaugmented clips they are the store's own; a flip turns them with the flow at T."""
    data = clips(store, waypoints=(2,), long_share=0.0, background_share=0.0, untouched_share=0.0)
    videos = {video.name: video for video in store.split("train")}
    for step in range(10):
        sample = data.sample(step, 0, 4)
        video = videos[sample.video]
        starts = [
            k for k in range(video.num_frames - 4) if np.array_equal(video.flow(4, k), sample.displacement.numpy())
        ]
        assert any(np.array_equal(video.flow(2, k), sample.waypoints[0].numpy()) for k in starts)
    still = of_kind(clips(store, waypoints=(2,)), "background", 4)
    assert still.waypoints.shape[1] == 1 and not still.waypoints.any()


def test_a_store_without_the_waypoints_lags_says_how_to_prepare_it(store: Store) -> None:
    with pytest.raises(InputError, match=r"lags \[2, 4\] but this training needs \[3, 4\]; .* --lag 3 --lag 4"):
        clips(store, waypoints=(3,))


def test_what_a_poke_touches_is_the_pixels_around_it_each_with_its_own_displacement(store: Store) -> None:
    batch = of_kind(clips(store), "poke", 4)
    targets, shifts, given = steps.poke_targets(batch, batch.displacement)
    side = 2 * steps.TOUCHED + 1
    assert targets.shape == (len(batch.pokes), side**2, 2)
    for b, (poke,) in enumerate(batch.pokes):
        x, y = (int(c) for c in poke.location)
        middle = side**2 // 2
        torch.testing.assert_close(shifts[b, middle], torch.tensor(poke.shift), rtol=0, atol=1e-6)
        corner = batch.displacement[b, :, y - steps.TOUCHED, x - steps.TOUCHED]
        if given[b, 0]:  # cut off at the border
            torch.testing.assert_close(shifts[b, 0], corner, rtol=0, atol=0)
            torch.testing.assert_close(targets[b, 0], torch.tensor([x, y]) - steps.TOUCHED + corner, rtol=0, atol=1e-6)
    beside = of_kind(clips(store), "background", 4)
    assert not steps.poke_targets(beside, beside.displacement)[1].any()
    untouched = of_kind(clips(store), "untouched", 4)
    assert not steps.poke_targets(untouched, untouched.displacement)[2].any()


def test_a_field_that_stretches_the_touched_point_along_its_way_is_no_obedience() -> None:
    """It has the right flow at the poked point at every time, but its neighbours are not where they should be."""
    D = torch.zeros(1, 2, 32, 32)
    D[:, 0, 8:24, 8:24] = 6.0
    poke = Poke((14, 16), (6.0, 0.0))
    batch = Batch(("poke",), torch.zeros(1, 2, 3, 32, 32), torch.zeros(1, 1, 3, 32, 32), torch.zeros(1, 1).long(), D,
                  torch.zeros(1, 0, 2, 32, 32), ((poke,),))  # fmt: skip
    moved, stretched = torch.zeros(2, 1, 2, 32, 32)
    moved[:, 0] = -6.0
    columns = torch.arange(32.0)
    stretched[:, 0] = -(columns - 14).clamp(0, 6)
    touched = steps.poke_targets(batch, D)
    assert poke_loss(moved, *touched).item() == pytest.approx(0)
    point = (torch.tensor([[[20.0, 16.0]]]), torch.tensor([[[6.0, 0.0]]]), torch.ones(1, 1))
    assert poke_loss(stretched, *point).item() == pytest.approx(0)
    assert poke_loss(stretched, *touched).item() > 0.3 / 32


def test_pixels_beside_a_thin_part_are_not_what_a_poke_on_it_touches() -> None:
    """Most of the pixels around it stay, and the median of all, which an absolute error asks for, would be to disobey."""
    D = torch.zeros(1, 2, 32, 32)
    D[:, 0, 8:24, 13:15] = 6.0  # two of the five columns around l
    D[:, 0, 8:24, 15] = 2.0  # another part, which moves otherwise
    poke = Poke((14, 16), (6.0, 0.0))
    batch = Batch(("poke",), torch.zeros(1, 2, 3, 32, 32), torch.zeros(1, 1, 3, 32, 32), torch.zeros(1, 1).long(), D,
                  torch.zeros(1, 1, 2, 32, 32), ((poke,),))  # fmt: skip
    _, shifts, given = steps.poke_targets(batch, D)
    assert given.sum() == 10 and (shifts[given > 0] == torch.tensor([6.0, 0.0])).all()
    _, half_way, given = steps.poke_targets(batch, D / 2)
    assert given.sum() == 10 and (half_way[given > 0] == torch.tensor([3.0, 0.0])).all(), (
        "what comes along does so until T"
    )
    at_the_border = replace(batch, pokes=((Poke((31.6, 5.0), (0.0, 0.0)),),))
    assert steps.poke_targets(at_the_border, D)[2].any(), "a location is rounded to the last pixel, as in its map"
    moved, unmoved = torch.zeros(2, 1, 2, 32, 32)
    moved[:, 0] = -6.0
    assert poke_loss(moved, *steps.poke_targets(batch, D)).item() == 0
    assert poke_loss(unmoved, *steps.poke_targets(batch, D)).item() == pytest.approx(6 / 32)


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


@pytest.mark.parametrize("name", sorted(PRESETS))
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
