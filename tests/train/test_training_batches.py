"""What a batch shows: clips, pokes, kinds, and the same for any number of workers."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from small_batches import TINY, clips, of_kind

from poke2vid.data.augment import AugmentConfig
from poke2vid.data.store import Store
from poke2vid.losses import poke_loss
from poke2vid.model.poke_video import NO_POKE
from poke2vid.pokes import IMPULSE_UNIT, POKE_GAIN, foreground_mask
from poke2vid.train import loop, steps
from poke2vid.train.data import Batch, ClipBatches, usable_starts
from poke2vid.train.presets import preset
from poke2vid.types import InputError, Poke


def same(a: Batch, b: Batch) -> bool:
    tensors = ("frames", "poke_maps", "schedule", "displacement")
    return a.kinds == b.kinds and a.pokes == b.pokes and all(torch.equal(getattr(a, n), getattr(b, n)) for n in tensors)


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
    with pytest.raises(InputError, match=r"lags \[2, 4\] but \[3, 4\] are needed; .* --lag 3 --lag 4"):
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
