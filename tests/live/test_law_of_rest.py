"""The law of rest: what nothing touches stays exactly, what was let go of comes back, and a held poke is the paper's step."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import poke2vid
from poke2vid.live.animator import load
from poke2vid.live.law_of_rest import LiveModel
from poke2vid.model.config import ModelConfig
from poke2vid.model.poke_video import PokeVideo
from poke2vid.pokes import rasterise
from poke2vid.types import AS_TRAINED, InputError, Poke, PokeKind, Rest, State

LONG = 1000  # steps: what a person who leaves the page open sees
EXAMPLES = Path(poke2vid.__file__).parent / "assets" / "examples"
POKE = Poke((20.0, 12.0), (4.0, -2.0))


def live_model(decoder: str = "motion", dynamics: str = "hierarchy", poke_kind: PokeKind = "shift") -> LiveModel:
    """Untrained, with gates half open, so that F alone would leave sigma_0 at once."""
    torch.manual_seed(0)
    config = ModelConfig(resolution=32, channels=4, decoder=decoder, dynamics=dynamics, poke_kind=poke_kind)  # type: ignore[arg-type]
    model = PokeVideo(config).eval()
    for name, parameter in model.dynamics.named_parameters():
        if name.endswith("from_input.bias"):
            nn.init.normal_(parameter, std=0.5)
    if decoder == "motion":
        nn.init.normal_(model.decoder.head.weight, std=0.3)  # type: ignore[union-attr, arg-type]
    return LiveModel(model)


def x_0(batch: int = 1) -> torch.Tensor:
    return torch.rand(batch, 3, 32, 32, generator=torch.Generator().manual_seed(1)) * 2 - 1


def phi_of(player: LiveModel, poke: Poke = POKE) -> torch.Tensor:
    return player.encode_poke(rasterise([poke], 32)[None])


def far(state: State) -> float:
    """Largest distance from sigma_0."""
    return max(float((now - home).abs().max()) for now, home in zip(state.sigma, state.home, strict=True))


@torch.no_grad()
def run(player: LiveModel, state: State, steps: int, rest: Rest, phi: torch.Tensor | None = None) -> list[State]:
    states = []
    for _ in range(steps):
        state, _ = player.live_step(state, phi, rest)
        states.append(state)
    return states


@pytest.mark.parametrize("decoder", ["motion", "rgb"])
@pytest.mark.parametrize("dynamics", ["hierarchy", "bottleneck"])
@torch.no_grad()
def test_what_nothing_touches_stays_to_the_bit_and_the_trained_dynamics_alone_would_not(
    decoder: str, dynamics: str
) -> None:
    player = live_model(decoder, dynamics)
    start = player.start(x_0())
    end = run(player, start, 50, Rest())[-1]
    for now, home in zip(end.sigma, start.sigma, strict=True):
        assert torch.equal(now, home)
    assert far(run(player, start, 50, AS_TRAINED)[-1]) > 0.1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("picture", "steps"), [("robot", 100), pytest.param("flower", LONG, marks=pytest.mark.thorough), ("person", 100)]
)
def test_a_trained_model_leaves_a_picture_alone_for_a_hundred_steps_and_for_a_thousand(
    picture: str, steps: int
) -> None:
    animator = load("small64")
    session = animator.open(EXAMPLES / f"{picture}.jpg")
    for _ in range(steps):
        frame = session.advance()
    assert frame.flow is not None and float(frame.flow.abs().max()) == 0
    np.testing.assert_array_equal(session.picture, session.canvas.picture)


@pytest.mark.slow
def test_the_base_model_comes_back_after_a_poke_and_swings_past_its_rest() -> None:
    session = load("small64").open(EXAMPLES / "flower.jpg")
    height, width = session.canvas.size
    pointer = session.poke((0.47 * width, 0.4 * height), (0.09 * width, -0.05 * width))
    for _ in range(15):
        pulled = session.advance()
    session.release(pointer)
    assert pulled.flow is not None
    touched = pulled.flow.norm(dim=1).flatten().argmax()
    along = []
    for _ in range(LONG):
        frame = session.advance()
        assert frame.flow is not None
        along.append(float(frame.flow[0, 0].flatten()[touched]))
    began = float(pulled.flow[0, 0].flatten()[touched])
    assert began < -3  # backward flow: the flower was pulled to the right
    assert max(along[:30]) > 0.3  # past its rest, to the other side
    assert abs(along[200]) < 0.05
    assert float(frame.flow.abs().max()) < 0.01


def test_a_held_poke_is_the_paper_s_step_to_the_bit() -> None:
    player = live_model()
    phi, state = phi_of(player), player.start(x_0())
    plain = player.model.start(x_0())
    with torch.no_grad():
        for _ in range(6):
            state, frame = player.live_step(state, phi, Rest())
            plain, expected = player.model.step(plain, phi)
            assert torch.equal(frame.x_hat, expected.x_hat)


@torch.no_grad()
def test_what_is_held_still_comes_to_rest_once_no_clip_was_ever_as_long() -> None:
    """sigma' = sigma + lambda (F(sigma, phi) - sigma), lambda 1 for 25 frames, then a tenth less each frame, at last 0."""
    player = live_model()
    phi, F = phi_of(player), player.model.dynamics
    state, sigma = player.start(x_0()), player.start(x_0()).sigma
    for n in range(120):
        before = state.sigma
        state, _ = player.live_step(state, phi, Rest(), n)
        share = 1.0 if n < 25 else 0.9 ** (n - 24)
        sigma = tuple(
            s + (share if share > 1e-3 else 0) * (a - s) for s, a in zip(sigma, F.advance(sigma, phi), strict=True)
        )
        for found, expected in zip(state.sigma, sigma, strict=True):
            torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)
    assert all(torch.equal(now, last) for now, last in zip(state.sigma, before, strict=True))
    longer, _ = player.live_step(state, phi, AS_TRAINED, 120)
    assert max(float((a - b).abs().max()) for a, b in zip(longer.sigma, state.sigma, strict=True)) > 1e-3


@pytest.mark.slow
def test_a_session_holds_a_picture_for_minutes_as_it_was_after_seconds_and_follows_a_drag_again() -> None:
    session = load("small64").open(EXAMPLES / "flower.jpg")
    pointer = session.poke((300.0, 170.0), (40.0, -20.0))
    flows = []
    for _ in range(LONG):
        frame = session.advance()
        assert frame.flow is not None
        flows.append(frame.flow)
    assert torch.equal(flows[120], flows[-1])
    assert float((flows[24] - flows[-1]).norm(dim=1).mean()) < 0.5 * float(flows[24].norm(dim=1).mean())
    session.drag(pointer, (260.0, 190.0))
    for _ in range(10):
        frame = session.advance()
    assert frame.flow is not None
    assert float((frame.flow - flows[-1]).norm(dim=1).max()) > 1


def test_only_what_touches_the_object_anew_lets_a_held_poke_act_in_full_again() -> None:
    session = load("small64").open(EXAMPLES / "flower.jpg")
    session.poke((300.0, 170.0), (40.0, -20.0))
    for _ in range(60):
        before = session.advance()
    session.rest = Rest(0.2, 0.5)
    softly = session.fork()
    session.poke((100.0, 100.0), (5.0, 5.0), "impulse")
    moves = []
    for one in (softly, session):
        frame = one.advance()
        assert frame.flow is not None and before.flow is not None
        moves.append(float((frame.flow - before.flow).abs().max()))
    assert moves[0] < 0.2 * moves[1]


def test_as_trained_is_the_paper_s_step_also_where_nothing_touches_the_object() -> None:
    player = live_model()
    state, plain = player.start(x_0()), player.model.start(x_0())
    with torch.no_grad():
        for phi in (None, phi_of(player), None, None):
            state, frame = player.live_step(state, phi, AS_TRAINED)
            plain, expected = player.model.step(plain, phi)
            assert torch.equal(frame.x_hat, expected.x_hat)


def test_the_law_is_the_one_that_is_written() -> None:
    """v' = rho v - k d; sigma' = F(sigma, 0) - (F(sigma_0, 0) - sigma_0) + v'."""
    player, rest = live_model(), Rest(stiffness=0.3, momentum=0.6)
    start = player.start(x_0())
    pulled = run(player, start, 4, rest, phi_of(player))[-1]
    assert all(float(v.abs().max()) == 0 for v in pulled.velocity)
    F = player.model.dynamics
    nothing = F.rest_drive()
    sigma, v = pulled.sigma, pulled.velocity
    with torch.no_grad():
        creep = [a - b for a, b in zip(F.advance(start.sigma, nothing), start.sigma, strict=True)]
        for state in run(player, pulled, 3, rest):
            v = tuple(0.6 * a - 0.3 * (s - h) for a, s, h in zip(v, sigma, start.sigma, strict=True))
            sigma = tuple(a - c + b for a, c, b in zip(F.advance(sigma, nothing), creep, v, strict=True))
            for found, expected in zip((*state.sigma, *state.velocity), (*sigma, *v), strict=True):
                torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


def test_every_picture_of_a_batch_has_its_own_rest() -> None:
    player = live_model()
    pictures = x_0(3)
    both = run(player, run(player, player.start(pictures), 3, Rest(), phi_of(player))[-1], 5, Rest())[-1]
    for k in range(3):
        alone = player.start(pictures[k : k + 1])
        alone = run(player, run(player, alone, 3, Rest(), phi_of(player))[-1], 5, Rest())[-1]
        for found, expected in zip(both.sigma, alone.sigma, strict=True):
            torch.testing.assert_close(found[k], expected[0], rtol=0, atol=1e-5)


def test_a_model_of_impulses_moves_on_as_it_was_trained_and_only_its_creeping_is_taken_away() -> None:
    assert live_model(poke_kind="impulse").default_rest == Rest(stiffness=0.0, momentum=0.0)
    assert live_model().default_rest == Rest()


@pytest.mark.parametrize(
    "bad", [{"stiffness": -0.1}, {"stiffness": 1.1}, {"momentum": 1.0}, {"momentum": float("nan")}]
)
def test_a_rest_that_would_never_end_is_refused(bad: dict[str, float]) -> None:
    with pytest.raises(InputError, match=r"of rest"):
        Rest(**bad)


def test_a_session_can_be_given_another_rest_at_any_time() -> None:
    session = load("small64").open(EXAMPLES / "robot.jpg")
    pointer = session.poke((320.0, 60.0), (50.0, -10.0))
    for _ in range(10):
        session.step()
    session.release(pointer)
    stiff = session.fork()
    stiff.rest = Rest(stiffness=0.5, momentum=0.0)
    for one in (session, stiff):
        one.step()
    assert far(stiff.state) < 0.8 * far(session.state)
