"""Features of tracks for a Frechet distance: motion, whatever it looks like."""

import math

import pytest
import torch
from films import film
from torch import Tensor, nn

from poke2vid.measures.moments import Moments, frechet_distance
from poke2vid.tracking import tracks
from poke2vid.tracking.tracks import TrackFeatures, track_features
from poke2vid.types import InputError

# Tracks: flow in


def straight(dx: float, dy: float, t: int = 10, side: int = 64) -> Tensor:
    """A picture that moves as one, (dx, dy) pixels a frame."""
    steps = torch.arange(1.0, t + 1).view(1, t, 1, 1, 1)
    return (steps * torch.tensor([dx, dy]).view(1, 1, 2, 1, 1)).expand(1, t, 2, side, side).contiguous()


def by_cell(found: Tensor) -> tuple[Tensor, Tensor]:
    """Velocity and acceleration of the only clip, `row column direction`."""
    velocity, acceleration = found[0].view(2, tracks.CELLS, tracks.CELLS, tracks.DIRECTIONS)
    return velocity, acceleration


def swinging(n: int, t: int = 10, side: int = 32, seed: int = 0) -> Tensor:
    """Clips whose parts swing: smooth in space and time, each with its own direction and phase."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randn(n, 2, 4, 4, generator=generator)
    field = nn.functional.interpolate(coarse, (side, side), mode="bicubic")
    phase = torch.rand(n, 1, generator=generator) * 2 * math.pi
    swing = (phase + torch.arange(1, t + 1) * 0.6).sin() - phase.sin()
    return 2 * field[:, None] * swing[:, :, None, None, None]


def test_even_motion_is_velocity_in_one_direction_and_no_acceleration():
    velocity, acceleration = by_cell(track_features(straight(2, 0)))
    assert torch.allclose(velocity[..., 0], torch.tensor(100 * 2 / 64).double())
    assert velocity[..., 1:].abs().max() < 1e-9
    assert acceleration.abs().max() < 1e-9


@pytest.mark.parametrize(("vector", "direction"), [((0, 1), 2), ((-1, 0), 4), ((0, -1), 6), ((1, 1), 1), ((-1, 1), 3)])
def test_directions_go_clockwise_from_the_right(vector: tuple[int, int], direction: int):
    velocity, _ = by_cell(track_features(straight(*vector)))
    assert torch.allclose(velocity[..., direction], torch.tensor(100 * math.hypot(*vector) / 64).double())
    assert torch.allclose(velocity.sum(-1), velocity[..., direction])


def test_between_two_directions_a_vector_counts_for_both():
    for degrees, shares in ((22.5, (0.5, 0.5)), (9, (0.8, 0.2)), (-9, (0.8, 0))):
        turn = math.radians(degrees)
        velocity, _ = by_cell(track_features(straight(math.cos(turn), math.sin(turn))))
        assert (velocity[0, 0, :2] * 64 / 100).tolist() == pytest.approx(shares, abs=1e-5)


def test_motion_is_found_in_the_cell_where_the_point_starts():
    flow = torch.zeros(1, 10, 2, 48, 48)
    flow[:, :, 1, :16, 32:] = torch.arange(1.0, 11).view(10, 1, 1)  # the top right ninth moves down
    velocity, _ = by_cell(track_features(flow))
    assert velocity[0, 2, 2] == pytest.approx(100 / 48, rel=0.05)
    velocity[0, 2] = 0
    assert velocity.abs().max() < 0.05


def test_the_definition_is_the_same_at_every_resolution():
    def turning(side: int) -> Tensor:
        middles = (torch.arange(side) + 0.5) / side - 0.5  # in shares of the frame
        y, x = torch.meshgrid(middles, middles, indexing="ij")
        angles = torch.arange(1, 9).view(8, 1, 1) * 0.03
        dx, dy = x * (angles.cos() - 1) - y * angles.sin(), x * angles.sin() + y * (angles.cos() - 1)
        return torch.stack((dx, dy), dim=1)[None] * side

    found = [track_features(turning(side)) for side in (32, 64, 128)]
    assert found[0].abs().max() > 0.5
    assert torch.allclose(found[0], found[1], atol=1e-5)
    assert torch.allclose(found[0], found[2], atol=1e-5)


def test_features_grow_in_proportion_to_the_motion():
    flow = swinging(3)
    assert torch.allclose(track_features(2 * flow), 2 * track_features(flow))


def test_a_clips_tracks_do_not_depend_on_its_batch():
    flow = swinging(4)
    assert torch.allclose(track_features(flow)[2:3], track_features(flow[2:3]), atol=1e-12)


def test_a_mirrored_motion_has_mirrored_features_and_not_the_same():
    flow = swinging(1)
    mirrored = flow.flip(-1) * torch.tensor([-1.0, 1.0]).view(2, 1, 1)
    there = by_cell(track_features(flow))
    back = by_cell(track_features(mirrored))
    swapped = [(4 - k) % 8 for k in range(8)]
    for a, b in zip(there, back, strict=True):
        assert torch.allclose(a.flip(1)[..., swapped], b, atol=1e-6)
        assert not torch.allclose(a, b, atol=1e-2)


def test_a_motion_mirrored_in_every_clip_is_far_away():
    flow = torch.cat([straight(1, 0.3 * k) for k in range(5)])
    mirrored = flow.flip(-1) * torch.tensor([-1.0, 1.0]).view(2, 1, 1)
    assert distance(flow, mirrored) > 10 * distance(flow, 1.05 * flow)


def test_acceleration_knows_the_order_of_events_which_velocity_does_not():
    speeds = torch.tensor([0.0, 0.5, 1, 2, 3])
    faster, slower = (
        (s.cumsum(0).view(1, 5, 1, 1, 1) * torch.tensor([1.0, 0]).view(2, 1, 1)).expand(1, 5, 2, 32, 32)
        for s in (speeds, speeds.flip(0))
    )
    (v, a), (v_2, a_2) = by_cell(track_features(faster)), by_cell(track_features(slower))
    assert torch.allclose(v, v_2, atol=1e-6)
    assert torch.allclose(a[..., 0], torch.tensor(100 * 3 / 32 / 4).double(), atol=1e-5)
    assert torch.allclose(a_2[..., 4], a[..., 0], atol=1e-5)
    assert a_2[..., 0].abs().max() < 1e-6


def distance(first: Tensor, second: Tensor) -> float:
    return frechet_distance(Moments.of(track_features(first)), Moments.of(track_features(second)))


def test_the_distance_is_zero_for_the_same_set_and_grows_with_noise_in_the_motion():
    flow, generator = swinging(150), torch.Generator().manual_seed(5)
    jitter = torch.randn(150, 10, 2, 1, 1, generator=generator)
    distances = [distance(flow, flow + scale * jitter) for scale in (0, 0.1, 0.3, 1)]
    assert distances[0] < 1e-9
    assert distances[1] < 0.5 * distances[2] < 0.25 * distances[3]
    other = distance(flow, swinging(150, seed=1))
    assert other < distances[3], "another sample of the same motion is nearer than a shaking one"


def test_flow_without_acceleration_or_not_finite_is_refused():
    with pytest.raises(InputError, match="at least 2 frames"):
        track_features(straight(1, 0, t=1))
    flow = straight(1, 0)
    flow[0, 3, 1, 5, 5] = float("nan")
    with pytest.raises(InputError, match="NaN"):
        track_features(flow)


# Tracks: frames in


@pytest.fixture(scope="module")
def track() -> TrackFeatures:
    return TrackFeatures()


def test_motion_is_measured_on_frames(track: TrackFeatures):
    clip = film(1.5, 0)
    velocity, _ = by_cell(track(clip[:, 0], clip[:, 1:]))
    # The left column's neighbours come in from outside; what leaves on the right is not seen either.
    assert torch.allclose(velocity[:, 1, 0], torch.tensor(100 * 1.5 / 64).double(), rtol=0.1)
    assert velocity[:, 1, 2:7].abs().max() < 0.3


def test_a_still_clip_has_no_motion_whatever_it_shows(track: TrackFeatures):
    x_0 = film(0, 0)[:, 0]
    assert track(x_0, x_0[:, None].expand(1, 5, 3, 64, 64)).abs().max() == 0


def test_appearance_does_not_count_where_the_flow_is_the_same(track: TrackFeatures):
    dark, bright = film(1, -1, steps=5), film(1, -1, steps=5, brighter=40)
    assert (bright - dark).mean() > 0.2
    a, b = track(dark[:, 0], dark[:, 1:]), track(bright[:, 0], bright[:, 1:])
    assert a.max() > 1
    assert torch.allclose(a, b, atol=0.05)
    moving_otherwise = film(-1, -1, steps=5)
    assert (track(moving_otherwise[:, 0], moving_otherwise[:, 1:]) - a).abs().max() > 1


def test_motion_counts_from_x_0_on(track: TrackFeatures):
    clip = film(1, 0, steps=4)
    with_start = track(clip[:, 0], clip[:, 1:])
    assert (track(clip[:, 1], clip[:, 1:]) - with_start).abs().max() > 0.1, "x_1 for x_0: the first step is gone"
