"""Motion in time: laws from maps and known causes, the hand's way, and training on films."""

import math

import pytest
import torch

from poke2vid.model.swing import (
    ARRIVAL,
    DAMPING,
    FPS,
    HERTZ,
    LAW,
    SWING,
    causes_of,
    free_step,
    hand_share,
    held_step,
    home_of,
    law_of,
    maps_of,
    rest_of,
    stays_of,
)
from poke2vid.types import InputError, Rest


def law(maps: dict[int, float] | None = None, hertz: float = HERTZ, damping: float = DAMPING, told: bool = True):
    """The law of one place."""
    values = torch.zeros(1, LAW, 1, 1)
    for channel, value in (maps or {}).items():
        values[0, channel] = value
    return law_of(values, torch.tensor([hertz]), torch.tensor([damping]), torch.tensor([told]))


def swung(of, u: float, v: float, frames: int) -> list[float]:
    """A free place's way."""
    at, speed, path = torch.full((1, 1, 1, 1), u), torch.full((1, 1, 1, 1), v), []
    for _ in range(frames):
        speed = free_step(at, speed, torch.zeros_like(at), of)
        at = at + speed
        path.append(at.item())
    return path


@pytest.mark.parametrize(("hertz", "damping"), [(0.7, 0.05), (1.3, 0.12), (2.5, 0.3), (1.0, 0.9)])
def test_a_law_of_rest_says_its_hertz_and_damping(hertz: float, damping: float) -> None:
    assert causes_of(rest_of(hertz, damping)) == pytest.approx((hertz, damping), rel=1e-4)


@pytest.mark.parametrize(("rest", "half"), [(Rest(0.05, 0.0), 14), (Rest(0.1, 0.0), 7), (Rest(0.05, 0.5), 7)])
def test_what_creeps_back_takes_about_as_long_under_the_law_that_is_made_of_it(rest: Rest, half: int) -> None:
    hertz, damping = causes_of(rest)
    back = next(frame for frame, u in enumerate(swung(law(hertz=hertz, damping=damping), 1.0, 0.0, 60), 1) if u < 0.5)
    assert half / 2.5 < back < 2.5 * half, (hertz, damping)


def test_what_never_comes_back_hardly_does_and_what_cannot_be_is_one_sentence() -> None:
    hertz, damping = causes_of(Rest(0.0, 0.0))
    assert swung(law(hertz=hertz, damping=damping), 1.0, 0.0, 50)[-1] > 0.9
    with pytest.raises(InputError, match=r"6\.0 Hz"):
        rest_of(6.0, 0.1)


def test_told_things_swing_as_told_and_untold_ones_as_usual() -> None:
    told, untold = law(hertz=2.0, damping=0.05), law(hertz=2.0, damping=0.05, told=False)
    usual = law()
    assert told.stiffness.item() == pytest.approx(rest_of(2.0, 0.05).stiffness, rel=1e-4)
    assert torch.equal(untold.stiffness, usual.stiffness) and torch.equal(untold.momentum, usual.momentum)
    faster = law({2: math.log(2.0)}, hertz=1.0)
    assert faster.stiffness.item() == pytest.approx(law(hertz=2.0).stiffness.item(), rel=1e-4)
    assert law({4: 1.0}, told=False).stiffness > usual.stiffness and torch.equal(
        law({4: 1.0}).stiffness, usual.stiffness
    )


@pytest.mark.parametrize(("hertz", "damping"), [(0.5, 0.05), (1.3, 0.12), (2.5, 0.5), (11.0, 0.9)])
def test_a_kick_throws_as_far_as_it_shall_however_stiff_a_thing_is(hertz: float, damping: float) -> None:
    of = law(hertz=hertz, damping=damping)
    way = [of.kick.item(), *swung(of, of.kick.item(), of.kick.item(), 60)]
    assert max(way) == pytest.approx(1, rel=0.06)
    assert law({6: math.log(3)}).kick.item() == pytest.approx(3 * law().kick.item(), rel=1e-5)


def test_every_law_comes_to_rest_whatever_the_maps_say() -> None:
    generator = torch.Generator().manual_seed(0)
    maps = 20 * torch.randn(1, LAW, 16, 16, generator=generator)
    for told in (True, False):
        of = law_of(maps, torch.tensor([1.3]), torch.tensor([0.1]), torch.tensor([told]))
        u, v = torch.ones(1, 2, 16, 16), torch.ones(1, 2, 16, 16)
        for _ in range(300):
            v = free_step(u, v, torch.zeros_like(u), of)
            u = u + v
        assert torch.isfinite(u).all() and u.abs().max() < 400 and torch.isfinite(of.kick).all()


def test_a_hand_goes_along_a_path_of_least_jerk_and_is_then_at_its_target() -> None:
    hand, way = torch.zeros(()), []
    for frame in range(ARRIVAL + 3):
        target = 1.0 if frame < ARRIVAL else 2.0
        hand = hand + hand_share(torch.tensor(float(frame))) * (target - hand)
        way.append(hand.item())
    for frame in range(1, ARRIVAL + 1):
        t = frame / ARRIVAL
        assert way[frame - 1] == pytest.approx(t**3 * (10 - 15 * t + 6 * t * t), abs=1e-5)
    assert way[ARRIVAL:] == [2.0, 2.0, 2.0], "dragged on, it goes where it is asked at once"


def test_what_is_held_lags_and_arrives() -> None:
    of, u, v = law(), torch.zeros(1, 1, 1, 1), torch.zeros(1, 1, 1, 1)
    way = []
    for frame in range(30):
        t = min((frame + 1) / ARRIVAL, 1.0)
        v = held_step(u, v, torch.full_like(u, t**3 * (10 - 15 * t + 6 * t * t)), of)
        u = u + v
        way.append(u.item())
    assert way[4] < 0.45 and way[9] == pytest.approx(1, abs=0.1) and way[-1] == pytest.approx(1, abs=1e-3)
    assert FPS == 25


# What stays where it is put, and what is pushed


def swing_maps(values: dict[int, float]) -> torch.Tensor:
    """E_phi's maps at one place."""
    maps = torch.zeros(1, SWING, 1, 1)
    for channel, value in values.items():
        maps[0, channel] = value
    return maps


def test_without_a_say_what_is_let_go_of_comes_back_to_where_it_was() -> None:
    u = torch.randn(1, 2, 1, 1, generator=torch.Generator().manual_seed(0))
    home = home_of(u, stays_of(swing_maps({}), torch.tensor([[3.0, 4.0]])))
    assert torch.equal(home, torch.zeros_like(u))


def test_what_stays_comes_to_rest_where_it_was_put_or_farther_on() -> None:
    """tanh(1/2) of 2: so far it stays; and what is tipped to the left falls on to the left."""
    u = torch.tensor([3.0, -1.0])[None, :, None, None]
    stays = stays_of(swing_maps({9: 1.0}), torch.tensor([[5.0, 0.0]]))
    assert stays.flatten().tolist() == pytest.approx([2 * math.tanh(0.5), 0])
    home, at, speed = home_of(u, stays), u, torch.zeros_like(u)
    for _ in range(200):
        speed = free_step(at, speed, home, law())
        at = at + speed
    assert torch.allclose(at, home, atol=1e-4) and torch.allclose(home, 2 * math.tanh(0.5) * u)
    right, left = (stays_of(swing_maps({13: 1.0}), torch.tensor([[x, 0.0]])) for x in (5.0, -0.1))
    assert torch.allclose(right, -left) and right[0, 1] > 0.9 and right[0, 0] == 0
    turned = home_of(u, right) / right[0, 1]
    assert torch.allclose(turned, torch.tensor([1.0, 3.0])[None, :, None, None])
    far = stays_of(swing_maps({9: 100.0, 12: -100.0}), torch.tensor([[0.0, 0.0]]))
    assert far.flatten().tolist() == pytest.approx([2.0, -2.0]), "no farther than twice"


def test_a_push_may_have_departures_of_its_own() -> None:
    swing = swing_maps({0: 0.3, 2: 0.1, 4: 0.2, 6: 0.4, 7: 1.0, 8: -0.5}).expand(2, -1, -1, -1)
    pulled, pushed = maps_of(swing, torch.tensor([False, True]))
    assert pulled.flatten().tolist() == pytest.approx([0.3, 0, 0.1, 0, 0.2, 0, 0.4])
    assert pushed.flatten().tolist() == pytest.approx([0.3, 0, 1.1, -0.5, 1.2, -0.5, 0.4])
