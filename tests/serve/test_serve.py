"""The engine behind the WebSocket: it says what a session says, and whoever has left is forgotten."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from small_server import RESOLUTION, Fields, Pulled, Server, fields_of, file_of, model, picture, poke, serve

from poke2vid.live.session import Session
from poke2vid.serve import app as serving
from poke2vid.serve.heat import HeatMap, even_shifts, forward
from poke2vid.serve.rooms import Limits, Moment
from poke2vid.types import Frame, Rest


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serve(limits=Limits(sessions=8, steps_per_second=1e6, opens_per_minute=1e6)) as one:
        yield one


# The engine says what a Session says


def same(found: Fields, frame: Frame) -> None:
    assert frame.flow is not None and frame.repaint is not None and found.flow is not None
    np.testing.assert_array_equal(found.flow, frame.flow[0].numpy().astype(np.float16))
    if found.repaint is None:
        assert not frame.repaint.any()
    else:
        np.testing.assert_array_equal(found.repaint, frame.repaint[0].numpy().astype(np.float16))


def test_pokes_drags_and_releases_give_what_a_session_gives(server: Server) -> None:
    session = Session(model(), picture(), history=0, record=False)
    with server.client() as client:
        opened = client.open()
        assert opened["type"] == "opened" and opened["seq"] == 1
        assert (opened["resolution"], opened["size"], opened["poke_kind"]) == (RESOLUTION, [64, 48], "shift")
        assert opened["decoder"] == "motion" and opened["default_rest"] == {"stiffness": 0.1, "momentum": 0.8}
        assert opened["limits"]["in_flight"] == 2
        same(client.step(), session.advance())
        first = session.poke((20.5, 11.0), (6.0, -3.0))
        second = session.poke((40.0, 30.0), (0.0, 5.0))
        same(client.step(poke(20.5, 11), poke(40, 30, 0, 5, pointer=7)), session.advance())
        session.drag(first, (90.0, -20.0))
        same(client.step({"type": "drag", "pointer": 0, "to": [90, -20]}), session.advance())
        session.release(second)
        second = session.poke((10.0, 40.0), (4.0, 4.0))  # the same pointer anew
        same(client.step(poke(10, 40, 4, 4, pointer=7)), session.advance())
        session.release()
        session.rest = Rest(0.5, 0.25)
        let_go = [{"type": "release", "pointer": p} for p in (0, 7)]
        same(client.step(*let_go, {"type": "rest", "stiffness": 0.5, "momentum": 0.25}), session.advance())
        session.poke((30.0, 20.0), (2.0, 2.0), "impulse")
        same(client.step(poke(30, 20, 2, 2, kind="impulse")), session.advance())
        last = client.step()
        same(last, session.advance())
        assert last.time == session.time and last.seq == client.seq


def test_two_requests_may_be_on_their_way_and_are_answered_in_order(server: Server) -> None:
    with server.client() as client:
        client.open()
        asked = [client.send("step", actions=[]) for _ in range(2)]
        answers = [fields_of(client.receive()) for _ in range(2)]
        assert [answer.seq for answer in answers] == asked
        assert [answer.time for answer in answers] == [1, 2]


def test_a_mark_is_come_back_to_with_all_that_was_held(server: Server) -> None:
    with server.client() as client:
        client.open()
        start = client.ask("mark")
        assert start == {"type": "marked", "seq": client.seq, "mark": 1}
        before = client.step(poke(20, 20))
        mark = client.ask("mark")["mark"]
        after = client.step({"type": "release", "pointer": 0})
        restored = fields_of(client.ask("restore", mark=mark))
        np.testing.assert_array_equal(restored.flow, before.flow)
        assert restored.time == before.time and restored.seq == client.seq
        again = client.step({"type": "release", "pointer": 0})  # held again, so it can be let go of again
        np.testing.assert_array_equal(again.flow, after.flow)
        assert client.ask("restore", mark=1) == {"type": "restored", "seq": client.seq}
        assert client.ask("restore", mark=99)["type"] == "error"


def test_only_the_latest_marks_are_kept() -> None:
    with serve(limits=Limits(marks=2)) as server, server.client() as client:
        client.open()
        marks = [client.ask("mark")["mark"] for _ in range(3)]
        assert client.ask("restore", mark=marks[0])["type"] == "error"
        assert client.ask("restore", mark=marks[1])["type"] == "restored"
        client.open()
        assert client.ask("restore", mark=marks[2])["type"] == "error"  # another picture, other moments


def test_marks_take_no_more_memory_than_they_may() -> None:
    player = model()
    size = Moment(Session(player, picture()), {}).size
    with serve(player) as server, server.client() as client:
        client.open()
        client.step()
        rooms = server.rooms
        (room,) = rooms._rooms
        assert room.now is not None and room.now.size == size + 4 * 8 * RESOLUTION**2  # x_hat, flow and repaint
        fitting = 3 * room.now.size
    with serve(player, Limits(mark_bytes=fitting)) as server, server.client() as client:
        client.open()
        client.step()
        marks = [client.ask("mark")["mark"] for _ in range(4)]
        assert isinstance(client.ask("restore", mark=marks[1]), bytes)
        assert "not kept" in client.ask("restore", mark=marks[0])["message"]
    with serve(player, Limits(mark_bytes=1)) as server, server.client() as client:
        client.open()
        assert client.ask("restore", mark=client.ask("mark")["mark"])["type"] == "restored"  # the last one always


def test_a_model_that_paints_is_sent_as_pixels() -> None:
    player = model(decoder="rgb")
    with serve(player, decoder="rgb") as server, server.client() as client:
        assert client.open()["decoder"] == "rgb"
        found = client.step(poke(20, 20))
    session = Session(player, picture())
    session.poke((20, 20), (6.0, -3.0))
    expected = session.advance().x_hat[0].add(1).mul(127.5).round().clamp(0, 255).byte().permute(1, 2, 0)
    assert found.flow is None and found.repaint is None
    np.testing.assert_array_equal(found.x_hat, expected.numpy())


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_all_kinds_of_pictures_that_browsers_write_are_taken(server: Server, kind: str) -> None:
    with server.client() as client:
        assert client.open(file_of(picture(9, 5), kind))["size"] == [5, 9]


def test_heat_is_one_where_all_follows_and_zero_where_nothing_moves() -> None:
    heat = HeatMap(Pulled(), torch.zeros(1, 3, RESOLUTION, RESOLUTION), (8.0, 16.0))
    slices = 0
    while not heat.done:
        heat.slice()
        slices += 1
    found = heat.map()
    assert slices == 40  # ten steps of four batches
    assert found.shape == (RESOLUTION, RESOLUTION) and found.dtype == np.float32
    assert found[4:-4, 4:8].min() > 0.99 and found[:, 20:].max() < 1e-6


def test_heat_comes_while_the_picture_lives_on(server: Server) -> None:
    with server.client() as client:
        client.open()
        asked = client.send("heat", at=[20, 20])
        steps = [client.ask("step", actions=[]) for _ in range(3)]
        assert [fields_of(step).time for step in steps] == [1, 2, 3]
        assert client.receive() == {"type": "heat", "seq": asked}
        values = np.frombuffer(client.receive(), "<f2")
    heat = HeatMap(
        model(), Session(model(), picture()).canvas.x_0, Session(model(), picture()).canvas.to_model.point(20, 20)
    )
    while not heat.done:
        heat.slice()
    np.testing.assert_array_equal(values.reshape(RESOLUTION, RESOLUTION), heat.map().astype(np.float16))


def test_pokes_of_a_heat_map_go_everywhere_and_are_the_same_each_time() -> None:
    shifts = even_shifts(32, 6.4)
    lengths = np.hypot(*shifts.T)
    assert 0.64 <= lengths.min() < 0.9 and 6.1 < lengths.max() <= 6.4
    np.testing.assert_allclose((shifts / lengths[:, None]).mean(axis=0), 0, atol=0.06)
    np.testing.assert_array_equal(shifts, even_shifts(32, 6.4))


def test_the_page_makes_its_maps_the_same_way() -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("needs node")
    rng = np.random.default_rng(0)
    flow = cv2.GaussianBlur(rng.normal(0, 8, (16, 16, 2)).astype(np.float32), (5, 5), 0).transpose(2, 0, 1)
    code = (
        f"const flow = Float32Array.from({flow.ravel().tolist()});"
        "import('./heat.js').then(m => console.log(JSON.stringify([m.randomShifts(32, 6.4, 0), [...m.inverted(flow, 16)]])))"
    )
    folder = Path(serving.__file__).parent / "static" / "js" / "engine"
    done = subprocess.run([node, "-e", code], cwd=folder, capture_output=True, text=True, timeout=60, check=True)
    shifts, moved = json.loads(done.stdout)
    np.testing.assert_allclose(even_shifts(32, 6.4), shifts, rtol=1e-12)
    np.testing.assert_allclose(forward(np.ascontiguousarray(flow)).ravel(), moved, atol=0.2)  # OpenCV counts in 32nds


def test_a_backward_flow_is_turned_round() -> None:
    flow = np.zeros((2, 16, 16), np.float32)
    flow[0], flow[1] = 2.5, -1.25
    np.testing.assert_allclose(forward(flow), -flow)
