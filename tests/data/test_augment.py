"""One draw for a whole clip: pictures, vectors and pokes stay true to one another."""

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from poke2vid.data.augment import AugmentConfig, augment, move, random_affine, recolour
from poke2vid.geometry import Affine, pixel_grid, sample, warp
from poke2vid.types import Clip, Displacement

SIDE, LENGTH = 64, 4
VELOCITY = (1.5, -1.0)  # pixels a frame
STILL = AugmentConfig(flip=0.0, rotation=0.0, scale=0.0, translation=0.0, brightness=0.0, contrast=0.0, saturation=0.0)
quick = settings(deadline=None, max_examples=25, derandomize=True)


def texture(locations: torch.Tensor) -> torch.Tensor:
    """A smooth picture known everywhere, `h w 2` to `3 h w`."""
    generator = torch.Generator().manual_seed(3)
    waves = torch.rand(2, 12, generator=generator) * 0.5 - 0.25
    phases = torch.rand(12, generator=generator) * 2 * math.pi
    mix = torch.rand(12, 3, generator=generator) - 0.5
    return (torch.sin(locations @ waves + phases) @ mix).movedim(-1, 0) / 4


def clip() -> Clip:
    """A texture that drifts, with its true flows."""
    grid, velocity = pixel_grid((SIDE, SIDE), torch.zeros(())), torch.tensor(VELOCITY)
    frames = torch.stack([texture(grid - i * velocity) for i in range(LENGTH)])
    flow = velocity.view(2, 1, 1).expand(2, SIDE, SIDE)
    last = LENGTH - 1
    speed = math.hypot(*VELOCITY)
    flows = (Displacement(0, last, flow * last, speed), Displacement(1, 2, flow.clone(), speed))
    return Clip(frames, 10.0, flows)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def interior_error(changed: Clip, which: int, sign: int = 1) -> float:
    """Mean difference of the flow's later frame, warped back, to the earlier one; in the middle, which came from inside."""
    d = changed.flows[which]
    back = warp(changed.frames[d.end][None], sign * d.flow[None])[0]
    return float((back - changed.frames[d.start])[:, 20:-20, 20:-20].abs().mean())


# Geometry


@quick
@given(st.integers(0, 10_000))
def test_flows_still_lead_from_frame_to_frame_after_any_random_geometry(seed: int) -> None:
    affine = random_affine(clip(), AugmentConfig(flip=0.5, rotation=180.0, scale=0.3), seeded(seed))
    moved = move(clip(), affine)
    for which in range(2):
        assert interior_error(moved, which) < 0.01
        assert interior_error(moved, which) < interior_error(moved, which, sign=-1) / 4


@quick
@given(st.integers(0, 10_000))
def test_a_poke_drawn_from_the_moved_flow_is_the_moved_poke(seed: int) -> None:
    affine = random_affine(clip(), AugmentConfig(rotation=180.0, scale=0.3), seeded(seed))
    field = pixel_grid((SIDE, SIDE), torch.zeros(())).permute(2, 0, 1)  # the vector at (x, y) is (x, y)
    moved = move(replace(clip(), flows=(Displacement(0, 1, field),)), affine)
    x, y = 29.0, 36.0
    there = torch.tensor(affine.point(x, y)).view(1, 1, 1, 2)
    read = sample(moved.flows[0].flow[None], there).flatten()
    assert read.tolist() == pytest.approx(affine.vector(x, y), abs=0.15)


def test_all_frames_of_a_clip_move_alike() -> None:
    still = replace(clip(), frames=clip().frames[:1].expand(LENGTH, -1, -1, -1))
    moved = move(still, Affine.rotate(20.0, (SIDE, SIDE)))
    for frame in moved.frames[1:]:
        torch.testing.assert_close(frame, moved.frames[0])
    assert (moved.frames[0] - still.frames[0]).abs().mean() > 0.01


def test_a_clip_keeps_its_size_rate_and_frame_numbers() -> None:
    before, after = clip(), augment(clip(), AugmentConfig(), seeded())
    assert after.frames.shape == before.frames.shape
    assert after.fps == before.fps
    assert [(d.start, d.end) for d in after.flows] == [(d.start, d.end) for d in before.flows]


@pytest.mark.parametrize("scale", [0.5, 1.3])
def test_a_clip_s_motion_is_scaled_with_its_picture_and_nothing_else_changes_it(scale: float) -> None:
    size = (SIDE, SIDE)
    grown = move(clip(), Affine.flip(size).then(Affine.rotate(40.0, size, scale)).then(Affine.translate(3.0, 5.0)))
    assert [d.motion for d in grown.flows] == pytest.approx([scale * d.motion for d in clip().flows])
    middle = grown.flows[1].flow[:, 28:36, 28:36].norm(dim=0)
    assert middle.mean().item() == pytest.approx(grown.flows[1].motion, rel=1e-3)


def test_random_geometry_stays_within_what_the_config_allows() -> None:
    config = AugmentConfig(flip=0.5, rotation=15.0, scale=0.2, translation=0.05)
    middle, flips, turns, sizes = (SIDE - 1) / 2, [], [], []
    shifts: list[float] = []
    for seed in range(200):
        affine = random_affine(clip(), config, seeded(seed))
        (a, b), (c, d) = affine.a
        determinant = a * d - b * c
        flips.append(determinant < 0)
        sizes.append(math.sqrt(abs(determinant)))
        turns.append(math.degrees(math.atan2(-b, d)))
        x, y = affine.point(middle, middle)
        shifts += [x - middle, y - middle]
    assert 0.35 < sum(flips) / len(flips) < 0.65
    assert -15 <= min(turns) < -13
    assert 13 < max(turns) <= 15
    assert 1 / 1.2 <= min(sizes) < 0.86
    assert 1.17 < max(sizes) <= 1.2
    assert -0.05 * SIDE <= min(shifts) < -0.045 * SIDE
    assert 0.045 * SIDE < max(shifts) <= 0.05 * SIDE


# Colour


def test_colours_change_alike_in_every_frame() -> None:
    still = replace(clip(), frames=clip().frames[:1].expand(LENGTH, -1, -1, -1))
    changed = recolour(still, AugmentConfig(), seeded())
    for frame in changed.frames[1:]:
        torch.testing.assert_close(frame, changed.frames[0])
    assert (changed.frames[0] - still.frames[0]).abs().mean() > 0.01


def test_colouring_touches_no_vector() -> None:
    before, after = clip(), recolour(clip(), AugmentConfig(), seeded())
    for d, e in zip(before.flows, after.flows, strict=True):
        torch.testing.assert_close(d.flow, e.flow, rtol=0, atol=0)
    assert [d.motion for d in before.flows] == [d.motion for d in after.flows]


def test_colours_stay_within_the_range_of_frames() -> None:
    loud = replace(clip(), frames=(clip().frames * 8).clamp(-1, 1))
    for seed in range(20):
        frames = recolour(loud, AugmentConfig(brightness=0.9, contrast=0.9, saturation=0.9), seeded(seed)).frames
        assert frames.min() >= -1
        assert frames.max() <= 1
        assert frames.dtype == torch.float32


def test_brightness_adds_the_same_everywhere() -> None:
    change = recolour(clip(), replace(STILL, brightness=0.2), seeded()).frames - clip().frames
    torch.testing.assert_close(change, change[0, 0, 0, 0].expand_as(change), atol=1e-6, rtol=0)
    assert 0.001 < change.abs().max() <= 0.2


def test_contrast_scales_about_the_clip_s_mean() -> None:
    x, y = clip().frames, recolour(clip(), replace(STILL, contrast=0.2), seeded()).frames
    factor = (y.std() / x.std()).item()
    assert 0.8 <= factor <= 1.2
    assert abs(factor - 1) > 0.001
    torch.testing.assert_close(y, x.mean() + factor * (x - x.mean()), atol=1e-5, rtol=0)


def test_saturation_scales_colours_about_their_grey() -> None:
    x, y = clip().frames, recolour(clip(), replace(STILL, saturation=0.2), seeded()).frames
    grey = x.mean(dim=1, keepdim=True)
    torch.testing.assert_close(y.mean(dim=1, keepdim=True), grey, atol=1e-6, rtol=0)
    factor = ((y - grey).norm() / (x - grey).norm()).item()
    assert 0.8 <= factor <= 1.2
    assert abs(factor - 1) > 0.001
    torch.testing.assert_close(y, grey + factor * (x - grey), atol=1e-5, rtol=0)


# Both


def test_the_same_seed_changes_a_clip_in_the_same_way_and_another_seed_otherwise() -> None:
    first, again, other = (augment(clip(), AugmentConfig(), seeded(seed)) for seed in (5, 5, 6))
    torch.testing.assert_close(first.frames, again.frames, rtol=0, atol=0)
    torch.testing.assert_close(first.flows[0].flow, again.flows[0].flow, rtol=0, atol=0)
    assert (first.frames - other.frames).abs().mean() > 0.01


def test_nothing_allowed_means_nothing_changed() -> None:
    same = augment(clip(), STILL, seeded())
    torch.testing.assert_close(same.frames, clip().frames, atol=1e-5, rtol=0)
    torch.testing.assert_close(same.flows[0].flow, clip().flows[0].flow, atol=1e-5, rtol=0)


def test_the_clip_that_was_given_is_left_alone() -> None:
    given_clip, copy = clip(), clip()
    augment(given_clip, AugmentConfig(), seeded())
    torch.testing.assert_close(given_clip.frames, copy.frames, rtol=0, atol=0)
    torch.testing.assert_close(given_clip.flows[0].flow, copy.flows[0].flow, rtol=0, atol=0)
