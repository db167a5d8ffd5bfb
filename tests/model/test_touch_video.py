"""A model that sees what it touches: rest, arrival, release and re-poking; the layers of a picture; sessions and files."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from knowing import SMALL, Knows, picture

from poke2vid.live.animator import load
from poke2vid.live.canvas import Canvas
from poke2vid.live.session import Session
from poke2vid.model.carry import background, backward, composed, filled, layers, scatter
from poke2vid.model.files import load_model, load_player, save_touch_video
from poke2vid.model.swing import FPS, rest_of
from poke2vid.model.touch_video import TouchVideo, TouchVideoConfig
from poke2vid.types import AS_TRAINED, InputError, LivePlayer, Rest, TouchPlayer

# Time


@pytest.mark.parametrize(("hertz", "damping"), [(0.7, 0.05), (1.3, 0.12), (2.5, 0.3)])
def test_an_oscillator_swings_with_its_period_and_decay(hertz: float, damping: float) -> None:
    rest, u, v, path = rest_of(hertz, damping), 1.0, 0.0, []
    for _ in range(200):
        v = rest.momentum * v - rest.stiffness * u
        u += v
        path.append(u)
    turns = [k for k in range(1, 199) if path[k - 1] > path[k] < path[k + 1]]
    omega = 2 * math.pi * hertz * math.sqrt(1 - damping**2)
    assert (turns[1] - turns[0]) / FPS == pytest.approx(2 * math.pi / omega, abs=1.5 / FPS)
    ratio = path[turns[1]] / path[turns[0]]
    assert ratio == pytest.approx(math.exp(-damping * 2 * math.pi / math.sqrt(1 - damping**2)), rel=0.3)


def test_an_untouched_picture_stays_to_the_bit() -> None:
    session = Session(TouchVideo(TouchVideoConfig(touch=SMALL)).eval(), picture())
    first = session.picture.copy()
    for _ in range(30):
        assert np.array_equal(session.step(), first)


def test_a_held_point_arrives_lags_on_the_way_and_swings_back_through_rest() -> None:
    session = Session(Knows(), picture())
    pointer = session.poke((32, 32), (8, 0))
    path = []
    for _ in range(25):
        session.step()
        path.append(float(session.state.sigma[0][0, 0, 32, 32]))
    assert path[0] < 0.35 * 8, "it does not jump"
    assert path[9] == pytest.approx(8, abs=0.5) and path[-1] == pytest.approx(8, abs=0.15)
    session.release(pointer)
    swing = []
    for _ in range(120):
        session.step()
        swing.append(float(session.state.sigma[0][0, 0, 32, 32]))
    assert abs(swing[0] - path[-1]) < 2, "nothing jumps at a release"
    assert min(swing) < -1 and abs(swing[-1]) < 0.1, "past rest, then to rest"


def test_an_impulse_goes_as_far_as_it_was_asked_to_and_comes_back() -> None:
    session = Session(Knows(), picture())
    session.poke((32, 32), (0, 6), "impulse")
    path = []
    for _ in range(60):
        session.step()
        path.append(float(session.state.sigma[0][0, 1, 32, 32]))
    assert max(path) == pytest.approx(6, rel=0.1) and abs(path[-1]) < 1


def test_a_second_poke_of_a_moved_picture_takes_the_point_that_shows() -> None:
    """Grabbed where it shows, to be pulled 4 on: so it shall end 12 from where x_0 has it."""
    model = Knows()
    session = Session(model, picture())
    first = session.poke((32, 32), (8, 0))
    for _ in range(25):
        session.step()
    session.release(first)
    session.poke((40, 32), (4, 0))
    assert dict(session._now.origins)[1][0] == pytest.approx(32, abs=0.6)
    for _ in range(40):
        session.step()
    assert float(session.state.sigma[0][0, 0, 32, 32]) == pytest.approx(12, abs=0.7)


def test_a_hold_pins_what_moves() -> None:
    session = Session(Knows(), picture())
    first = session.poke((32, 32), (8, 0))
    for _ in range(25):
        session.step()
    session.release(first)
    session.hold((40, 32))
    for _ in range(40):
        session.step()
    assert float(session.state.sigma[0][0, 0, 32, 32]) == pytest.approx(8, abs=0.7)


def test_a_touch_of_the_wall_moves_nothing_and_one_of_the_rim_takes_hold() -> None:
    wall, rim = Session(Knows(), picture()), Session(Knows(), picture())
    wall.poke((6, 6), (8, 0))
    rim.poke((32, 32 - 20.5), (8, 0))
    for session in (wall, rim):
        for _ in range(25):
            session.step()
    assert wall.state.sigma[0].abs().max() == 0
    assert float(rim.state.sigma[0][0, 0, 32, 32]) > 6


def test_a_finger_on_the_wall_pins_nothing_and_stops_no_swing() -> None:
    alone, beside = Session(Knows(), picture()), Session(Knows(), picture())
    for session in (alone, beside):
        pointer = session.poke((32, 32), (8, 0))
        for _ in range(25):
            session.step()
        if session is beside:
            session.hold((4, 4))
            for _ in range(5):
                session.step()
        assert float(session.state.sigma[0][0, 0, 32, 32]) == pytest.approx(8, abs=0.2)
        session.release(pointer)
    swings = [
        [float(s.step() is None) + float(s.state.sigma[0][0, 0, 32, 32]) for _ in range(20)] for s in (alone, beside)
    ]
    assert np.allclose(*swings, atol=0.1) and min(swings[1]) < -1


@pytest.mark.parametrize("rest", [rest_of(0.65, 0.12), rest_of(2.6, 0.12), AS_TRAINED])
def test_an_impulse_goes_as_far_whatever_the_law_of_rest(rest: Rest) -> None:
    session = Session(Knows(), picture(), rest=rest)
    session.poke((32, 32), (0, 6), "impulse")
    path = []
    for _ in range(150):
        session.step()
        path.append(float(session.state.sigma[0][0, 1, 32, 32]))
    assert max(path) == pytest.approx(6, rel=0.1) and abs(path[-1]) < 1


def test_thin_things_of_which_the_mask_is_half_sure_are_held_as_the_response_has_them() -> None:
    model = Knows()
    model.disc = 0.3 * model.disc
    session = Session(model, picture())
    session.poke((32, 32), (8, 0))
    for _ in range(30):
        session.step()
    assert float(session.state.sigma[0][0, 0, 32, 32]) == pytest.approx(0.6 * 8, abs=0.2)


def test_the_samples_of_a_batch_are_moved_each_by_itself() -> None:
    disc = Knows().disc.expand(2, -1, -1, -1)
    u = torch.zeros(2, 2, 64, 64)
    u[0, 0], u[1, 0] = 2 * disc[0, 0], 12 * disc[1, 0]
    assert torch.equal(backward(u, disc)[:1], backward(u[:1], disc[:1]))


def test_a_drag_encodes_nothing_anew() -> None:
    model = Knows()
    asked: list[tuple[float, float]] = []
    plain = model.touch
    model.touch = lambda state, location: (asked.append(location), plain(state, location))[1]  # type: ignore[method-assign]
    session = Session(model, picture())
    pointer = session.poke((32, 32), (2, 0))
    for x in range(40, 50):
        session.drag(pointer, (x, 32))
        session.step()
    assert len(asked) == 1


def test_a_session_goes_on_bit_for_bit_from_its_file(tmp_path: Path) -> None:
    model = Knows()
    session = Session(model, picture(90, 120))
    session.poke((60, 45), (10, 3))
    for _ in range(7):
        session.step()
    session.poke((50, 45), (0, 5), "impulse")
    session.save(tmp_path / "session.safetensors")
    other = Session.load(tmp_path / "session.safetensors", model)
    for _ in range(9):
        assert np.array_equal(session.step(), other.step())


def test_a_session_that_is_put_into_a_state_touches_what_shows_in_it() -> None:
    """The middle has gone eight to the right; who touches there and holds, holds the middle."""
    first, other = Session(Knows(), picture()), Session(Knows(), picture())
    first.poke((32, 32), (8, 0))
    for _ in range(25):
        first.step()
    other.state = first.state
    assert np.array_equal(other.picture, first.picture)
    other.hold((40, 32))
    assert dict(other._now.origins)[0][0] == pytest.approx(32, abs=0.6)
    for _ in range(30):
        other.step()
    assert float(other.state.sigma[0][0, 0, 32, 32]) == pytest.approx(8, abs=0.7)


def test_undo_and_fork_leave_what_is_touched_as_it_was() -> None:
    session = Session(Knows(), picture())
    session.poke((32, 32), (6, 0))
    for _ in range(12):
        session.step()
    session.poke((40, 40), (0, 9))
    fork = session.fork()
    for _ in range(12):
        fork.step()
    assert session.undo() and len(session.held) == 1
    for _ in range(13):
        session.step()
    u, v = (one.state.sigma[0][0, :, 32, 32] for one in (session, fork))
    assert u.tolist() == pytest.approx([6, 0], abs=0.3) and float(v[1]) > 1


def test_it_is_what_sessions_drive_and_poke_maps_are_refused() -> None:
    model = TouchVideo(TouchVideoConfig(touch=SMALL))
    assert isinstance(model, LivePlayer) and isinstance(model, TouchPlayer)
    with pytest.raises(InputError, match="not poke maps"):
        model.encode_poke(torch.zeros(1, 3, 64, 64))


@pytest.mark.parametrize("resolution", [64, 128])
def test_a_shift_in_pixels_of_the_picture_is_that_far_at_every_size(resolution: int) -> None:
    session = Session(Knows(resolution), picture(256, 256))
    session.poke((128, 128), (24, 0))
    for _ in range(30):
        session.step()
    assert float(session.state.sigma[0][0, 0, 32, 32]) == pytest.approx(24 / 4, abs=0.3)


# Layers


def test_a_scatter_keeps_the_sum_and_shares_between_pixels() -> None:
    values = torch.zeros(1, 1, 8, 8)
    values[0, 0, 3, 2] = 1
    u = torch.zeros(1, 2, 8, 8)
    u[0, 0], u[0, 1] = 1.25, -1.0
    there = scatter(values, u)
    assert there[0, 0, 2, 3].item() == pytest.approx(0.75) and there[0, 0, 2, 4].item() == pytest.approx(0.25)
    assert there.sum().item() == pytest.approx(1)


def test_holes_are_filled_smoothly_and_what_is_known_is_kept() -> None:
    values = torch.arange(16.0).view(1, 1, 1, 16).expand(1, 1, 16, 16).clone()
    known = torch.ones(1, 1, 16, 16)
    known[..., 5:9, 5:9] = 0
    result = filled(values * known, known)
    assert torch.equal(result[known > 0], values[known > 0])
    assert (result - values)[0, 0, 5:9, 5:9].abs().max() < 2.5
    assert filled(values * 0, known * 0).abs().max() == 0


def test_the_backward_flow_of_a_moved_disc_points_back() -> None:
    mask = Knows().disc
    u = torch.zeros(1, 2, 64, 64)
    u[:, 0] = 5 * mask[:, 0]
    flow = backward(u, mask)
    assert flow[0, 0, 32, 40].item() == pytest.approx(-5, abs=1e-4)
    assert flow[0, 1].abs().max() < 1e-4


def test_a_trace_of_the_mask_far_from_what_moves_is_not_dragged_along() -> None:
    """Below what counts as arrived, so nothing is known of it; what the disc has left is near, and its motion is carried on."""
    y, x = torch.meshgrid(*2 * (torch.arange(64.0),), indexing="ij")
    disc = ((x - 24) ** 2 + (y - 32) ** 2 < 10**2).float()[None, None]
    mask = disc.clone()
    mask[..., 58:60] = 0.2
    u = torch.zeros(1, 2, 64, 64)
    u[:, 0] = -6 * disc[:, 0]
    flow = backward(u, mask)
    assert flow[..., 56:].abs().max() < 1e-4
    assert flow[0, 0, 32, 20].item() == pytest.approx(6, abs=1e-4)
    assert 32 + flow[0, 0, 32, 32].item() > 34, "the wall beside the disc is fetched, not the disc"


def test_layers_put_together_are_the_picture_and_a_moved_one_leaves_the_wall() -> None:
    x_0 = torch.from_numpy(picture()).permute(2, 0, 1)[None].float() / 127.5 - 1
    mask = Knows().disc
    for soft in (mask, 0.7 * mask + 0.1):
        assert torch.allclose(composed(*layers(x_0, soft), torch.zeros(1, 2, 64, 64)), x_0, atol=1e-6)
    u = torch.zeros(1, 2, 64, 64)
    u[:, 0] = 12 * mask[:, 0]
    moved = composed(*layers(x_0, mask), backward(u, mask))
    grey = 120 / 127.5 - 1
    assert torch.allclose(moved[0, :, 32, 44], x_0[0, :, 32, 32], atol=0.05), "the middle has gone twelve to the right"
    assert (moved[0, :, 32, 13:20] - grey).abs().max() < 0.1, "the wall shows where it was"
    assert (moved[0, :, :, :8] - grey).abs().max() < 1e-4
    assert (background(x_0, mask) - grey).abs().max() < 0.1


def test_the_shown_picture_is_moved_at_its_own_size() -> None:
    model = Knows()
    session = Session(model, picture(256, 256))
    assert np.array_equal(session.step(), picture(256, 256))
    session.poke((128, 128), (40, 0))
    for _ in range(30):
        shown = session.step()
    sharp = np.abs(np.diff(shown[128, 110:200].astype(int), axis=0)).max()
    assert sharp > 5, "the pattern is that of the user's picture, not of 64 pixels enlarged"
    assert np.abs(shown[:, :40].astype(int) - 120).max() <= 1
    assert isinstance(session.canvas, Canvas)


# Files


def test_a_model_comes_back_in_half_precision(tmp_path: Path) -> None:
    torch.manual_seed(1)
    model = TouchVideo(TouchVideoConfig(touch=SMALL))
    torch.nn.init.normal_(model.touch_encoder.head.weight, std=0.1)
    file = tmp_path / "touch.safetensors"
    save_touch_video(file, model, {"trained_on": "nothing"})
    loaded = load_player(file)
    assert isinstance(loaded.model, TouchVideo) and loaded.model.config == model.config
    assert loaded.about["trained_on"] == "nothing"
    for name, tensor in loaded.model.state_dict().items():
        assert torch.allclose(tensor, model.state_dict()[name], atol=1e-3)
    session = load(file).open(picture())
    session.poke((32, 32), (3, 0))
    assert session.step().shape == (64, 64, 3)
    with pytest.raises(InputError, match="sees what it touches"):
        load_model(file)


@pytest.mark.parametrize("change", ["nan", "missing", "config"])
def test_a_file_that_is_none_is_one_sentence(change: str, tmp_path: Path) -> None:
    from poke2vid.files import read_tensors, write_tensors

    file = tmp_path / "touch.safetensors"
    save_touch_video(file, TouchVideo(TouchVideoConfig(touch=SMALL)), {})
    tensors, about = read_tensors(file)
    name = next(iter(tensors))
    if change == "nan":
        tensors[name] = tensors[name] * float("nan")
    elif change == "missing":
        del tensors[name]
    else:
        about["model"]["colour"] = "red"
    write_tensors(file, tensors, about)
    with pytest.raises(InputError):
        load_player(file)


def test_info_says_what_a_picture_a_touch_a_drag_and_a_frame_cost(tmp_path: Path) -> None:
    from poke2vid.model.info import count_touch_flops, report

    model = TouchVideo(TouchVideoConfig(touch=SMALL))
    save_touch_video(tmp_path / "touch.safetensors", model, {"trained_on": "nothing"})
    told = report(tmp_path / "touch.safetensors")
    assert "a touch" in told and "trained_on" in told and f"{sum(p.numel() for p in model.parameters()):,}" in told
    costs = count_touch_flops(model)
    assert costs["open a picture"] > 0 and costs["a touch"] > 100 * costs["a drag"] and costs["each frame"] == 0
