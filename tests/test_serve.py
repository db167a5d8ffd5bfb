"""The server: its files and who may have them, and the engine behind its WebSocket, whatever clients send."""

import asyncio
import contextlib
import gzip
import io
import json
import logging
import mmap
import os
import platform
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import pytest
import torch
import uvicorn
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from starlette.types import ASGIApp
from torch import Tensor, nn
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

import poke2vid
from poke2vid.export.run import graphs_of
from poke2vid.live.law_of_rest import LiveModel
from poke2vid.live.session import Session
from poke2vid.model.config import ModelConfig
from poke2vid.model.files import save_model
from poke2vid.model.poke_video import PokeVideo
from poke2vid.serve import app as serving
from poke2vid.serve import conversation, protocol, transport
from poke2vid.serve.app import LOOPBACK, build_app
from poke2vid.serve.conversation import Engine
from poke2vid.serve.files import accepts_gzip, matches
from poke2vid.serve.heat import HeatMap, even_shifts, forward
from poke2vid.serve.rooms import Bucket, Compute, Limits, Moment, Room, Rooms
from poke2vid.serve.run import build_engine, configured, listen
from poke2vid.types import Frame, InputError, Player, PokeKind, Rest, State

RESOLUTION = 32
WASM = b"\0asm" + bytes(range(256)) * 2000
FILES = {
    "index.html": b"<!doctype html><title>poke2vid</title>",
    "js/main.js": b"export {};",
    "vendor/ort.mjs": b"export {};",
    "vendor/ort.wasm.gz": gzip.compress(WASM),
    "model/step.onnx": b"onnx",
    "manifest.webmanifest": b"{}",
    "config.json": b"{}",
}


def model(*, poke_kind: PokeKind = "shift", decoder: Any = "motion") -> LiveModel:
    """Untrained, but with a last layer that is not zero, so that something happens."""
    torch.manual_seed(0)
    player = PokeVideo(ModelConfig(resolution=RESOLUTION, channels=4, decoder=decoder, poke_kind=poke_kind)).eval()
    if decoder == "motion":
        nn.init.normal_(player.decoder.head.weight, std=0.3)
    return LiveModel(player)


def picture(height: int = 48, width: int = 64) -> np.ndarray:
    ys, xs = np.mgrid[:height, :width] / 7
    waves = np.stack((np.sin(xs + ys / 2), np.cos(xs / 2 - ys), np.sin(xs * ys / 20)), axis=-1)
    return np.rint(127.5 * (1 + waves)).astype(np.uint8)


def file_of(pixels: np.ndarray, kind: str = "PNG") -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format=kind)
    return stream.getvalue()


PNG = file_of(picture())


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Server:
    """A server in this process, on a port of its own."""

    port: int
    rooms: Rooms

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/ws"

    @contextlib.contextmanager
    def client(self, **options: Any) -> Iterator["Client"]:
        with connect(self.url, max_size=None, compression=None, **options) as socket_:
            yield Client(socket_)

    def until(self, sessions: int) -> None:
        """Waits for so many sessions to be left."""
        deadline = time.monotonic() + 10
        while len(self.rooms) != sessions:
            assert time.monotonic() < deadline, f"{len(self.rooms)} sessions are left"
            time.sleep(0.01)


class Client:
    """The page's side of the conversation, in its simplest form."""

    def __init__(self, socket_: ClientConnection) -> None:
        self.socket = socket_
        self.seq = 0

    def send(self, type_: str, **values: Any) -> int:
        self.seq += 1
        self.socket.send(json.dumps({"type": type_, "seq": self.seq, **values}))
        return self.seq

    def receive(self) -> Any:
        got = self.socket.recv(timeout=20)
        return json.loads(got) if isinstance(got, str) else got

    def ask(self, type_: str, **values: Any) -> Any:
        self.send(type_, **values)
        return self.receive()

    def open(self, data: bytes = PNG) -> Any:
        self.send("open")
        self.socket.send(data)
        return self.receive()

    def step(self, *actions: dict[str, Any]) -> "Fields":
        got = self.ask("step", actions=list(actions))
        assert isinstance(got, bytes), got
        return fields_of(got)

    def closed(self) -> tuple[int, str]:
        """The code and reason with which the server ends the connection; answers before that are skipped."""
        with pytest.raises(ConnectionClosed) as error:
            while True:
                self.socket.recv(timeout=20)
        assert error.value.rcvd is not None
        return error.value.rcvd.code, error.value.rcvd.reason


@dataclass
class Fields:
    """A binary answer."""

    seq: int
    time: int
    flow: np.ndarray | None = None
    repaint: np.ndarray | None = None
    x_hat: np.ndarray | None = None


def fields_of(data: bytes) -> Fields:
    version, flags, r, seq, time_, step_ms = struct.unpack("<BBHIIf", data[:16])
    assert version == 1 and r == RESOLUTION and step_ms >= 0
    found, rest = Fields(seq, time_), data[16:]
    for flag, name, channels in ((1, "flow", 2), (2, "repaint", 3)):
        if flags & flag:
            size = 2 * channels * r * r
            setattr(found, name, np.frombuffer(rest[:size], "<f2").reshape(channels, r, r))
            rest = rest[size:]
    if flags & 4:
        found.x_hat = np.frombuffer(rest, np.uint8).reshape(r, r, 3)
        rest = b""
    assert rest == b""
    return found


def poke(x: float, y: float, dx: float = 6.0, dy: float = -3.0, pointer: int = 0, **more: Any) -> dict[str, Any]:
    return {"type": "poke", "pointer": pointer, "at": [x, y], "shift": [dx, dy], **more}


@contextlib.contextmanager
def running(app: ASGIApp, limits: Limits) -> Iterator[int]:
    """The port of a server in a thread of its own."""
    with contextlib.closing(listen("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(configured(app, limits))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join(15)
            assert not thread.is_alive()


@contextlib.contextmanager
def serve(
    player: Player | None = None, limits: Limits | None = None, *, clock: Callable[[], float] = time.monotonic,
    decoder: str = "motion", workers: int = 2,
) -> Iterator[Server]:  # fmt: skip
    limits = limits or Limits()
    rooms = Rooms(limits, clock)
    engine = Engine(player or model(), decoder, rooms, Compute(workers))
    with running(build_app(FILES, engine, hosts=LOOPBACK), limits) as port:
        yield Server(port, rooms)


@contextlib.contextmanager
def browse(hosts: frozenset[str] | None = LOOPBACK) -> Iterator[httpx.Client]:
    """A client of a server that has files only."""
    with (
        running(build_app(FILES, hosts=hosts), Limits()) as port,
        httpx.Client(base_url=f"http://127.0.0.1:{port}") as page,
    ):
        yield page


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serve(limits=Limits(sessions=8, steps_per_second=1e6, opens_per_minute=1e6)) as one:
        yield one


@pytest.fixture(scope="module")
def page() -> Iterator[httpx.Client]:
    with browse() as client:
        yield client


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


# Heat


class Pulled:
    """A Player that knows the answer: the left half does as the last poke says, the right half stays."""

    resolution = RESOLUTION
    poke_kind: PokeKind = "shift"

    def start(self, x_0: Tensor) -> State:
        return State((torch.zeros(len(x_0), 1, 1, 1),), (x_0,))

    def encode_poke(self, poke_map: Tensor) -> Tensor:
        return poke_map

    def step(self, state: State, phi: Tensor | None) -> tuple[State, Frame]:
        x_0 = state.context[0]
        flow = torch.zeros(len(x_0), 2, RESOLUTION, RESOLUTION)
        if phi is not None:
            shift = phi[:, :2].amax(dim=(-2, -1)) + phi[:, :2].amin(dim=(-2, -1))
            flow[..., : RESOLUTION // 2] = -shift[..., None, None] * RESOLUTION / 30
        return state, Frame(x_0, flow, torch.zeros_like(x_0))


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


# What clients do wrong


WRONG = [
    ("nonsense", "cannot be understood"),
    ("", "cannot be understood"),
    ("[" * 5000, "cannot be understood"),
    ('{"type": "step"}', "seq"),
    ('{"type": "fly", "seq": 1}', "fly"),
    ('{"type": "step", "seq": -1}', "seq"),
    ('{"type": "step", "seq": 4294967296}', "seq"),
    ('{"type": "step", "seq": "1"}', "seq"),
    ('{"type": "step", "seq": 1, "more": 2}', "more"),
    ('{"type": "step", "seq": 1, "actions": [{"type": "poke", "at": [1], "shift": [0, 0]}]}', "actions.0"),
    ('{"type": "step", "seq": 1, "actions": [{"type": "poke", "at": [1, 1e999], "shift": [0, 0]}]}', "actions.0"),
    ('{"type": "step", "seq": 1, "actions": [{"type": "poke", "at": [1, NaN], "shift": [0, 0]}]}', "actions.0"),
    ('{"type": "step", "seq": 1, "actions": [{"type": "rest", "stiffness": 2, "momentum": 0}]}', "stiffness"),
    ('{"type": "step", "seq": 1, "actions": [{"type": "poke", "at": [99, 1], "shift": [0, 0]}]}', "outside"),
    ('{"type": "step", "seq": 1, "actions": [{"type": "release", "pointer": 5}]}', "pointer 5 holds nothing"),
    ('{"type": "step", "seq": 1, "actions": [{"type": "drag", "pointer": 5, "to": [0, 0]}]}', "holds nothing"),
    ('{"type": "heat", "seq": 1, "at": [-5, 1]}', "outside"),
    ('{"type": "restore", "seq": 1, "mark": 3}', "not kept"),
    (b"picture", "announced"),
]


@pytest.mark.parametrize(("message", "named"), WRONG)
def test_every_wrong_message_is_answered_with_one_sentence_and_the_session_lives_on(
    server: Server, message: str | bytes, named: str
) -> None:
    with server.client() as client:
        client.open()
        before = client.step()
        client.socket.send(message)
        answer = client.receive()
        assert answer["type"] == "error" and answer["fatal"] is False
        assert named in answer["message"] and answer["message"].endswith(".") and len(answer["message"]) < 400
        assert client.step().time == before.time + 1


def test_when_one_action_cannot_be_done_none_is(server: Server) -> None:
    with server.client() as client, server.client() as other:
        client.open()
        other.open()
        assert client.ask("step", actions=[poke(20, 20), {"type": "release", "pointer": 9}])["type"] == "error"
        np.testing.assert_array_equal(client.step().flow, other.step().flow)


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (b"", "damaged"),
        (b"GIF89a", "damaged"),
        (file_of(picture(), "GIF"), "kind that is not taken"),
        (PNG[:200], "damaged"),
        (file_of(np.zeros((300, 300, 3), np.uint8)), "the limit is 65536"),
    ],
)
def test_what_is_no_picture_is_refused_and_the_one_before_stays(data: bytes, named: str) -> None:
    with serve(limits=Limits(picture_pixels=65536)) as server, server.client() as client:
        client.open()
        client.step()
        answer = client.open(data)
        assert answer["type"] == "error" and answer["seq"] == client.seq and named in answer["message"]
        assert client.step().time == 2


def test_nothing_can_be_done_without_a_picture(server: Server) -> None:
    with server.client() as client:
        for type_, more in (("step", {}), ("mark", {}), ("restore", {"mark": 1}), ("heat", {"at": [1, 1]})):
            answer = client.ask(type_, **more)
            assert answer["type"] == "error" and "no picture is open" in answer["message"]
        asked = client.send("open")
        following = client.send("step")
        assert [client.receive()["seq"] for _ in range(2)] == [asked, following]  # each has its answer


def test_an_impulse_model_takes_no_shifts() -> None:
    with serve(model(poke_kind="impulse")) as server, server.client() as client:
        assert client.open()["poke_kind"] == "impulse"
        assert "impulse" in client.ask("step", actions=[poke(5, 5)])["message"]
        client.step(poke(5, 5, kind="impulse"))


class Blind(Pulled):
    """Sees nothing but what is no number."""

    def step(self, state: State, phi: Tensor | None) -> tuple[State, Frame]:
        state, frame = super().step(state, phi)
        return state, Frame(frame.x_hat, frame.flow * torch.nan, frame.repaint)


def test_numbers_that_are_none_are_not_sent() -> None:
    with serve(Blind()) as server, server.client() as client:
        client.open()
        assert "not finite" in client.ask("step", actions=[])["message"]


class Broken(Pulled):
    """Has a fault of ours."""

    def step(self, state: State, phi: Tensor | None) -> tuple[State, Frame]:
        raise RuntimeError("a fault")


def test_a_fault_of_ours_ends_one_connection_and_tells_nothing_of_it(caplog: pytest.LogCaptureFixture) -> None:
    with serve(Broken()) as server, server.client() as client, caplog.at_level(logging.ERROR):
        client.open()
        client.send("step")
        code, reason = client.closed()
        assert code == 1011 and "fault" not in reason
        with server.client() as other:
            other.open()
    assert "a fault" in caplog.text  # for us


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)
REQUEST = st.fixed_dictionaries(
    {"type": st.sampled_from(["open", "step", "mark", "restore", "heat", "x"]), "seq": st.integers(-1, 2**33) | JSON},
    optional={
        "at": st.lists(st.floats(), min_size=2, max_size=2) | JSON,
        "mark": st.integers() | JSON,
        "actions": JSON
        | st.lists(
            st.fixed_dictionaries(
                {"type": st.sampled_from(["poke", "drag", "release", "rest"])},
                optional={
                    "pointer": st.integers(-3, 3) | JSON,
                    "at": st.lists(st.floats(-10, 70), min_size=2, max_size=2) | JSON,
                    "shift": st.lists(st.floats(-1e7, 1e7), min_size=2, max_size=2) | JSON,
                    "to": st.lists(st.floats(-1e7, 1e7), min_size=2, max_size=2) | JSON,
                    "stiffness": st.floats() | JSON,
                    "momentum": st.floats() | JSON,
                },
            ),
            max_size=5,
        ),
    },
)
MESSAGES = st.lists(st.binary(max_size=60) | st.text(max_size=60) | REQUEST.map(json.dumps) | st.just(PNG), max_size=12)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(messages=MESSAGES, opened=st.booleans())
def test_whatever_is_sent_the_server_lives_and_writes_no_traceback(
    server: Server, caplog: pytest.LogCaptureFixture, messages: list[str | bytes], opened: bool
) -> None:
    caplog.clear()
    with caplog.at_level(logging.ERROR), server.client() as client:
        if opened:
            client.open()
        for message in messages:
            try:
                client.socket.send(message)
            except UnicodeEncodeError:  # a lone surrogate, which the client's library refuses
                continue
        with contextlib.suppress(TimeoutError):
            while True:
                got = client.socket.recv(timeout=0.02)
                if isinstance(got, str):
                    assert json.loads(got)["type"] in ("error", "opened", "marked", "restored", "heat")
    with server.client() as client:
        assert client.open()["type"] == "opened"
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


def raw(server: Server, head: str = "", path: str = "/ws") -> socket.socket:
    """A connection without a library, after its handshake."""
    made = socket.create_connection(("127.0.0.1", server.port), timeout=10)
    made.sendall(
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{head}\r\n".encode()
    )
    got = b""
    while b"\r\n\r\n" not in got:
        got += made.recv(1)
    assert b" 101 " in got
    return made


def frame_of(opcode: int, data: bytes, *, final: bool = True) -> bytes:
    """A client's frame, masked with zeros."""
    length = struct.pack("!B", 128 | len(data)) if len(data) < 126 else struct.pack("!BQ", 255, len(data))
    return bytes([opcode | (128 if final else 0)]) + length + bytes(4) + data


@pytest.mark.parametrize(
    "data",
    [
        frame_of(1, b"\xff\xfe"),  # no UTF-8
        frame_of(3, b"x"),  # no such opcode
        frame_of(1, b"x")[:-1] + b"\x00" * 40,
        b"\x81\x05hello",  # not masked
        frame_of(9, bytes(200)),  # a ping too long
        frame_of(0, b"x"),  # goes on from nothing
        b"\x81\xff" + b"\xff" * 8,  # of length 2^64 - 1
    ],
)
def test_what_is_no_websocket_frame_ends_only_its_own_connection(
    server: Server, caplog: pytest.LogCaptureFixture, data: bytes
) -> None:
    with caplog.at_level(logging.ERROR), raw(server) as made:
        made.sendall(data)
        made.settimeout(10)
        while made.recv(4096):
            pass
    server.until(0)
    assert caplog.records == []


# Limits


def test_a_client_that_asks_too_much_at_once_is_told() -> None:
    with serve(limits=Limits(in_flight=2), workers=1) as server, server.client() as client:
        client.open()
        asked = [client.send("heat", at=[5, 5]) for _ in range(3)]
        answer = client.receive()
        assert answer["type"] == "error" and answer["seq"] == asked[2] and "2 requests wait" in answer["message"]


def test_too_many_actions_pokes_and_held_points_are_refused() -> None:
    limits = Limits(actions=3, held=2, pokes_per_second=5)
    clock = Clock()
    with serve(limits=limits, clock=clock) as server, server.client() as client:
        client.open()
        assert "4 actions" in client.ask("step", actions=[poke(5, 5)] * 4)["message"]
        assert (
            "3 pokes would be held" in client.ask("step", actions=[poke(5, 5, pointer=p) for p in range(3)])["message"]
        )
        client.step(poke(5, 5), poke(5, 5))
        assert "5 times a second" in client.ask("step", actions=[poke(5, 5)])["message"]
        clock.now += 0.3
        client.step(poke(5, 5))


def test_too_many_pictures_are_refused() -> None:
    clock = Clock()
    with serve(limits=Limits(opens_per_minute=8), clock=clock) as server, server.client() as client:
        assert [client.open()["type"] for _ in range(3)] == ["opened", "opened", "error"]
        clock.now += 8
        assert client.open()["type"] == "opened"


def test_too_many_heat_maps_are_refused() -> None:
    clock = Clock()
    with serve(limits=Limits(heats_per_minute=4), clock=clock) as server, server.client() as client:
        client.open()
        assert client.ask("heat", at=[5, 5])["type"] == "heat"
        client.receive()
        assert "4 heat maps a minute" in client.ask("heat", at=[5, 5])["message"]
        clock.now += 16
        assert client.ask("heat", at=[5, 5])["type"] == "heat"


@pytest.mark.parametrize("message", ["x" * 70_000, bytes(300_000), "é" * 40_000])
def test_a_message_that_is_too_large_ends_the_connection(message: str | bytes) -> None:
    with serve(limits=Limits(picture_bytes=200_000)) as server, server.client() as client:
        client.open()
        client.socket.send(message)
        assert client.closed()[0] == 1009
        server.until(0)


def test_the_server_can_be_full() -> None:
    with serve(limits=Limits(sessions=2)) as server:
        with server.client() as first, server.client() as second, server.client() as third:
            first.open()
            second.open()
            assert third.closed() == (1013, "the server is full, try again later")
        server.until(0)
        with server.client() as again:
            assert again.open()["type"] == "opened"


def test_one_address_cannot_take_all_sessions_unless_it_is_this_machine_where_a_proxy_may_speak_for_many() -> None:
    async def entered(addresses: list[str]) -> list[bool]:
        rooms = Rooms(Limits(sessions=5, sessions_per_address=2))
        found = [rooms.enter(address) for address in addresses]
        first = found[0]
        assert isinstance(first, Room)
        rooms.leave(first)
        again = rooms.enter(addresses[0])
        assert isinstance(again, Room)
        reasons = {one for one in found if isinstance(one, str)}
        assert all("2 sessions are open from your address" in reason for reason in reasons)
        return [isinstance(one, Room) for one in found]

    stranger, mapped, other = "203.0.113.7", "::ffff:203.0.113.7", "203.0.113.8"
    assert asyncio.run(entered([stranger, mapped, stranger, mapped, other])) == [True, True, False, False, True]
    home = [f"2001:db8::{k}" for k in range(3)]
    assert asyncio.run(entered([*home, "2001:db8:0:1::1"])) == [True, True, False, True]
    assert asyncio.run(entered([f"fe80::{k}%eth0" for k in range(4)])) == [True] * 4  # neighbours on one wire
    assert asyncio.run(entered([f"64:ff9b::203.0.113.{k}" for k in range(4)])) == [True] * 4
    for own in ("127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", ""):
        assert asyncio.run(entered([own] * 4)) == [True] * 4


@pytest.mark.skipif(not platform.libc_ver()[0].startswith("glibc"), reason="needs glibc")
def test_memory_that_is_free_goes_back_to_the_system_from_below_what_is_in_use() -> None:
    code = """
from pathlib import Path
from poke2vid.serve.memory import give_back, take_from_one_pool
resident = lambda: int(Path("/proc/self/statm").read_text().split()[1])
take_from_one_pool()
blocks = [b"x" * 2**16 for _ in range(2000)]
last = blocks[-1]
del blocks
before = resident()
give_back()
print(before - resident())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) * mmap.PAGESIZE > 100e6


def test_who_talks_nonsense_without_end_is_shown_out() -> None:
    with serve() as server, server.client() as client:
        for _ in range(80):
            with contextlib.suppress(ConnectionClosed):
                client.socket.send("nonsense")
        assert client.closed() == (1008, "too many messages that cannot be understood")


def test_sessions_that_are_left_alone_expire(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "EXPIRY_SECONDS", 0.01)
    clock = Clock()
    with serve(limits=Limits(idle_seconds=300, open_seconds=10), clock=clock) as server:
        with server.client() as client, server.client() as silent:
            client.open()
            server.until(2)
            clock.now += 11
            assert silent.closed()[0] == 1008
            clock.now += 280
            assert client.step().time == 1
            clock.now += 299
            assert client.step().time == 2
            clock.now += 301
            code, reason = client.closed()
            assert code == 1008 and "300 seconds" in reason
        server.until(0)


def test_a_bucket_gives_what_it_gets() -> None:
    clock = Clock()
    bucket = Bucket(10, 5, clock)
    assert [bucket.take() for _ in range(6)] == [True] * 5 + [False]
    clock.now += 0.25
    assert bucket.take(2) and not bucket.take()
    clock.now += 1000
    assert bucket.take(5) and not bucket.take()
    assert [round(bucket.wait(), 6) for _ in range(3)] == [0.1, 0.2, 0.3]  # on credit, each after the one before


def test_steps_are_paced_and_not_refused() -> None:
    with serve(limits=Limits(steps_per_second=40)) as server, server.client() as client:
        client.open()
        began = time.monotonic()
        assert [client.step().time for _ in range(20)] == list(range(1, 21))
        assert time.monotonic() - began > 0.2  # ten are saved up, ten take a quarter of a second


def test_messages_are_read_no_faster_than_they_may_come() -> None:
    with serve(limits=Limits(messages_per_second=40)) as server, server.client() as client:
        client.open()
        began = time.monotonic()
        assert [client.ask("mark")["mark"] for _ in range(50)] == list(range(1, 51))
        assert time.monotonic() - began > 0.25


def test_limits_are_above_nothing() -> None:
    with pytest.raises(InputError, match="sessions is 0"):
        Limits(sessions=0)


# Nobody slows the others


class Counting(Pulled):
    """Counts its steps by the client that asked, told apart by the picture's top left pixel."""

    def __init__(self) -> None:
        self.steps: dict[float, int] = {}

    def step(self, state: State, phi: Tensor | None) -> tuple[State, Frame]:
        who = round(float(state.context[0][0, 0, 0, 0]), 2)
        self.steps[who] = self.steps.get(who, 0) + 1
        return super().step(state, phi)


@dataclass
class Line:
    """A WebSocket without a network; it stays until it has so many frames, and where it is stalled it takes none."""

    asks: list[dict[str, Any]]
    stays_for: int
    stalled: bool = False
    answers: list[str | bytes] = field(default_factory=list)
    scope: dict[str, Any] = field(default_factory=dict)

    async def receive(self) -> dict[str, Any]:
        await asyncio.sleep(0)
        if self.asks:
            return self.asks.pop(0)
        while len(self.frames) < self.stays_for:
            await asyncio.sleep(0.005)
        return {"type": "websocket.disconnect"}

    @property
    def frames(self) -> list[bytes]:
        return [answer for answer in self.answers if isinstance(answer, bytes)]

    async def send_text(self, text: str) -> None:
        await self.send_bytes(text)

    async def send_bytes(self, data: str | bytes) -> None:
        if self.stalled:
            await asyncio.Event().wait()
        self.answers.append(data)

    async def close(self, code: int, reason: str) -> None:
        await self.send_bytes(reason)


def asks(grey: int, steps: int) -> list[dict[str, Any]]:
    def text(**values: Any) -> dict[str, Any]:
        return {"type": "websocket.receive", "text": json.dumps(values)}

    data = file_of(np.full((RESOLUTION, RESOLUTION, 3), grey, np.uint8))
    opening = [text(type="open", seq=0), {"type": "websocket.receive", "bytes": data}]
    return opening + [text(type="step", seq=k + 1) for k in range(steps)]


def test_for_a_client_that_takes_no_answers_no_more_is_computed() -> None:
    player = Counting()
    limits = Limits(in_flight=1000, steps_per_second=1e6)
    aborted: list[bool] = []

    async def both() -> None:
        rooms, compute = Rooms(Limits(in_flight=2, send_seconds=0.2)), Compute(1)
        patient = Engine(player, "motion", Rooms(limits), compute)
        strict = Engine(player, "motion", rooms, compute)
        stalled = Line(asks(0, 500), 500, stalled=True, scope={conversation.ABORT: lambda: aborted.append(True)})
        good = Line(asks(255, 40), 40)
        talks = []
        for engine, line in ((strict, stalled), (patient, good)):
            room = engine.rooms.enter("")
            assert isinstance(room, Room)
            talks.append(conversation.Conversation(engine, room, line).run())
        await asyncio.gather(*talks)
        assert len(good.frames) == 40
        assert stalled.answers == []
        compute.close()

    asyncio.run(both())
    assert player.steps[1.0] == 40
    assert player.steps.get(-1.0, 0) <= 2
    assert aborted == [True]


def test_a_client_that_stops_reading_is_let_go_while_another_is_served(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "CONTROLS_SAVED", 10**9)
    monkeypatch.setattr(transport, "MAX_UNSENT", 2**16)
    with serve(limits=Limits(send_seconds=0.3, steps_per_second=1e6)) as server, server.client() as good:
        good.open()
        with raw(server) as stalled:
            stalled.sendall(frame_of(1, b'{"type": "open", "seq": 0}') + frame_of(2, PNG))
            stalled.settimeout(20)
            ping = frame_of(9, bytes(125)) * 4000
            with contextlib.suppress(OSError):  # ends as soon as it is thrown out
                for _ in range(200):
                    stalled.sendall(ping)  # every one makes a pong that nobody takes
            assert [good.step().time for _ in range(20)] == list(range(1, 21))
            server.until(1)


@pytest.mark.parametrize("opcode", [9, 10])
def test_pings_and_pongs_without_end_are_not_looked_at(opcode: int, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    handler = "handle_ping" if opcode == 9 else "handle_pong"
    handle = getattr(transport.SafeWebSocket, handler)
    monkeypatch.setattr(transport.SafeWebSocket, handler, lambda self, *event: (seen.append(1), handle(self, *event)))
    with serve() as server, raw(server) as made:
        server.until(1)
        made.sendall(frame_of(opcode, b"now and then") * 20)
        while len(seen) < 20:
            time.sleep(0.01)
        server.until(1)
        with contextlib.suppress(OSError):
            for _ in range(100):
                made.sendall(frame_of(opcode, b"") * 1000)
        server.until(0)
    assert len(seen) < 2000


def test_a_flood_of_messages_is_read_in_sips_and_ends_with_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    take = transport.SafeWebSocket.send_receive_event_to_app
    monkeypatch.setattr(transport.SafeWebSocket, "send_receive_event_to_app", lambda self: (seen.append(1), take(self)))
    with serve() as server, raw(server) as made:
        with contextlib.suppress(OSError):  # ends as soon as it is thrown out
            for _ in range(100):
                made.sendall(frame_of(1, b"x") * 10_000)
        server.until(0)
    assert len(seen) < 2 * transport.READ_BYTES // len(frame_of(1, b"x")) + transport.MAX_LATE


def test_fragments_without_end_are_not_kept() -> None:
    with serve(limits=Limits(open_seconds=100)) as server, raw(server) as made:
        server.until(1)
        with contextlib.suppress(OSError):
            made.sendall(frame_of(1, b"", final=False))
            for _ in range(100):
                made.sendall(frame_of(0, b"", final=False) * 1000)
        server.until(0)
        assert made.fileno() != -1 and len(server.rooms) == 0, "though the client still holds its end"
        with server.client() as other:
            assert other.open()["type"] == "opened", "and others are served"


def test_a_connection_that_asks_for_nothing_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "REQUEST_SECONDS", 0.6)
    with serve() as server, server.client() as client:
        client.open()
        for start in (b"", b"GET / HTTP/1.1\r\nHost: "):
            with socket.create_connection(("127.0.0.1", server.port), timeout=10) as made:
                made.sendall(start)
                with contextlib.suppress(ConnectionResetError):
                    assert made.recv(10) == b""
        asking = b"GET /config.json HTTP/1.1\r\nHost: localhost\r\n\r\n"
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as made:
            for _ in range(7):
                made.sendall(asking)
                got = b""
                while not got.endswith(b"{}"):
                    got += (part := made.recv(4096))
                    assert part
                time.sleep(0.1)
        assert client.step().time == 1  # a WebSocket lives on


class Busy(Pulled):
    """Knows how many of its steps were ever under way at once."""

    def __init__(self) -> None:
        self.now = self.most = 0

    def step(self, state: State, phi: Tensor | None) -> tuple[State, Frame]:
        self.now += 1
        self.most = max(self.most, self.now)
        time.sleep(0.005)
        self.now -= 1
        return super().step(state, phi)


def test_one_client_never_has_more_than_one_thread() -> None:
    player = Busy()
    with serve(player, Limits(steps_per_second=1e6), workers=4) as server, server.client() as client:
        client.open()
        client.send("heat", at=[20, 20])
        assert [client.step().time for _ in range(10)] == list(range(1, 11))
        assert client.receive()["type"] == "heat"
    assert player.most == 1


def test_threads_serve_in_the_order_in_which_they_are_asked() -> None:
    done: list[str] = []

    async def line_up() -> None:
        compute = Compute(1)
        await asyncio.gather(*(compute(done.append, name) for name in "abcd"))
        compute.close()

    asyncio.run(line_up())
    assert done == list("abcd")


def test_a_session_is_freed_when_its_client_leaves(server: Server) -> None:
    server.until(0)
    with server.client() as client:
        client.open()
        client.send("heat", at=[5, 5])  # leaves while it is computed
        server.until(1)
        assert len(server.rooms) == 1
    server.until(0)
    made = raw(server)
    server.until(1)
    made.close()  # without a word
    server.until(0)
    assert len(server.rooms) == 0
    with server.client() as other:
        assert other.open()["type"] == "opened", "the place is free for the next"


# Who may ask


@pytest.mark.parametrize(
    ("origin", "taken"),
    [
        (None, True),
        ("http://127.0.0.1:{port}", True),
        ("https://127.0.0.1:{port}", True),
        ("http://127.0.0.1:1", False),
        ("http://localhost:{port}", False),
        ("http://evil.example", False),
        ("http://evil.example:{port}", False),
        ("null", False),
        ("", False),
        ("http://[", False),
        ("file://", False),
    ],
)
def test_only_our_own_page_may_connect(server: Server, origin: str | None, taken: bool) -> None:
    headers = {} if origin is None else {"Origin": origin.format(port=server.port)}
    if taken:
        with server.client(additional_headers=headers) as client:
            assert client.open()["type"] == "opened"
    else:
        with pytest.raises(InvalidStatus) as error, server.client(additional_headers=headers):
            pass
        assert error.value.response.status_code == 403


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8000", "[::1]:80", "LOCALHOST"])
def test_the_machine_itself_may_be_named(page: httpx.Client, host: str) -> None:
    assert page.get("/", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "", "[", "@"])
def test_a_foreign_name_for_this_machine_is_turned_away(page: httpx.Client, server: Server, host: str) -> None:
    answer = page.get("/", headers={"Host": host})
    assert answer.status_code == 421 and "nosniff" in answer.headers["X-Content-Type-Options"]
    with socket.create_connection(("127.0.0.1", server.port)) as made:
        made.sendall(f"GET /ws HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n".encode())
        assert b" 101 " not in made.recv(4096)


def test_a_server_for_others_goes_by_any_name() -> None:
    with browse(None) as page:
        assert page.get("/", headers={"Host": "poke.example"}).status_code == 200


# Files


@pytest.mark.parametrize(
    ("address", "type_"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/index.html", "text/html; charset=utf-8"),
        ("/js/main.js", "text/javascript; charset=utf-8"),
        ("/vendor/ort.mjs", "text/javascript; charset=utf-8"),
        ("/vendor/ort.wasm", "application/wasm"),
        ("/model/step.onnx", "application/octet-stream"),
        ("/manifest.webmanifest", "application/manifest+json"),
        ("/config.json?x=1", "application/json"),
    ],
)
def test_every_file_has_its_type_and_all_safety_headers(page: httpx.Client, address: str, type_: str) -> None:
    for method in ("GET", "HEAD"):
        answer = page.request(method, address)
        assert answer.status_code == 200 and answer.headers["Content-Type"] == type_
        assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert answer.headers["Cross-Origin-Embedder-Policy"] == "require-corp"
        assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert "'unsafe-inline'" not in answer.headers["Content-Security-Policy"]
        assert "'wasm-unsafe-eval'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == "no-cache" and answer.headers["ETag"]
        assert bool(answer.content) == (method == "GET")


def test_the_page_may_connect_to_its_own_server_only(page: httpx.Client) -> None:
    host = page.base_url.netloc.decode()
    policy = page.get("/").headers["Content-Security-Policy"]
    assert policy.endswith(f"; connect-src 'self' ws://{host} wss://{host}")
    for name in ("a; script-src *", "a b", "[::1]:80", ""):
        assert serving.connections(name) == "; connect-src 'self'"


def test_what_is_kept_zipped_is_sent_zipped_to_those_who_can_unzip(page: httpx.Client) -> None:
    zipped = page.get("/vendor/ort.wasm", headers={"Accept-Encoding": "br, gzip"})
    plain = page.get("/vendor/ort.wasm", headers={"Accept-Encoding": "identity"})
    assert zipped.headers["Content-Encoding"] == "gzip" and "Content-Encoding" not in plain.headers
    assert int(zipped.headers["Content-Length"]) == len(FILES["vendor/ort.wasm.gz"])
    assert int(plain.headers["Content-Length"]) == len(WASM)
    assert zipped.content == plain.content == WASM  # the client has unzipped the first
    assert zipped.headers["Vary"] == plain.headers["Vary"] == "Accept-Encoding"
    assert zipped.headers["ETag"] != plain.headers["ETag"]
    assert page.get("/vendor/ort.wasm.gz").status_code == 404


def test_a_file_that_the_client_has_is_not_sent_again(page: httpx.Client) -> None:
    first = page.get("/js/main.js")
    again = page.get("/js/main.js", headers={"If-None-Match": f'"other", W/{first.headers["ETag"]}'})
    assert again.status_code == 304 and again.content == b"" and again.headers["ETag"] == first.headers["ETag"]
    assert again.headers["Cross-Origin-Embedder-Policy"] == "require-corp"
    assert page.get("/js/main.js", headers={"If-None-Match": '"other"'}).status_code == 200


@pytest.mark.parametrize(
    ("header", "accepted"),
    [
        ("gzip", True),
        ("GZIP;q=0.5", True),
        ("*", True),
        ("", False),
        ("gzip;q=0", False),
        ("br", False),
        ("gzip;q=x", False),
    ],
)
def test_accepted_encodings_are_read(header: str, accepted: bool) -> None:
    assert accepts_gzip(header) is accepted


def test_tags_are_compared() -> None:
    assert (
        matches('W/"a", "b"', '"b"') and matches("*", '"a"') and not matches("", '"a"') and not matches('"ab"', '"a"')
    )


TRAVERSAL = [
    "/../pyproject.toml", "/..%2f..%2fpyproject.toml", "/%2e%2e/%2e%2e/etc/passwd", "//etc/passwd", "/js/../../app.py",
    "/js/..%5c..%5capp.py", "/js//main.js", "/index.html%00", "/js", "/js/", "/.git/config", "/app.py", "/INDEX.HTML",
    "/%", "/" + "a" * 5000,
]  # fmt: skip


@pytest.mark.parametrize("address", TRAVERSAL)
def test_what_is_not_in_the_table_is_not_there(server: Server, address: str) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as made:  # no client tidies the address up
        made.sendall(f"GET {address} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        got = b""
        while part := made.recv(65536):
            got += part
    assert got.startswith((b"HTTP/1.1 404", b"HTTP/1.1 400"))


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_files_are_only_read(page: httpx.Client, method: str) -> None:
    assert page.request(method, "/index.html").status_code == 405


def test_health_is_told(server: Server, page: httpx.Client) -> None:
    assert page.get("/healthz").json() == {"version": poke2vid.__version__, "sessions": 0, "capacity": 0}
    with server.client() as client:
        client.open()
        found = httpx.get(f"http://127.0.0.1:{server.port}/healthz")
        assert found.json() == {"version": poke2vid.__version__, "sessions": 1, "capacity": 8}
        assert found.headers["Cache-Control"] == "no-store"


def test_where_browsers_compute_there_is_no_socket_to_talk_to(page: httpx.Client) -> None:
    with pytest.raises(InvalidStatus) as error, connect(f"ws://{page.base_url.netloc.decode()}/ws"):
        pass
    assert error.value.response.status_code == 403
    assert page.get("/ws").status_code == 404


# The command


def command(*arguments: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "poke2vid.cli", "serve", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )


@pytest.mark.parametrize("engine", ["browser", "server"])
def test_the_command_serves_until_it_is_interrupted(engine: str) -> None:
    with command("--engine", engine) as running:
        try:
            assert running.stdout is not None and running.stderr is not None
            line = running.stdout.readline()
            url = next(word for word in line.split() if word.startswith("http://127.0.0.1:"))
            assert httpx.get(url + "config.json").json()["engine"] == engine
            listed = httpx.get(url + "files.json").json()["files"]
            assert "vendor/ort-wasm-simd-threaded.wasm" in listed and "config.json" in listed
            assert ("model/model.json" in listed) == (engine == "browser")
            running.send_signal(signal.SIGINT if engine == "browser" else signal.SIGTERM)
            assert running.wait(20) == 130
            assert running.stderr.read() in ("", "poke2vid: interrupted\n")  # typer may say nothing
        finally:
            running.kill()


@pytest.mark.skipif(os.name != "posix", reason="needs signals that a process can be started to ignore")
def test_a_job_of_a_script_that_ignores_interrupts_ends_alike() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # children inherit it
    try:
        running = command("--engine", "browser")
    finally:
        signal.signal(signal.SIGINT, before)
    with running:
        try:
            assert running.stdout is not None
            url = next(word for word in running.stdout.readline().split() if word.startswith("http://127.0.0.1:"))
            assert httpx.get(url + "config.json").status_code == 200  # from now on it listens to signals, too
            running.send_signal(signal.SIGINT)
            assert running.wait(20) == 130
        finally:
            running.kill()


@pytest.mark.slow
def test_another_model_is_made_ready_for_browsers_and_leaves_nothing_behind(tmp_path: Path) -> None:
    save_model(tmp_path / "mine.safetensors", model().model, {})
    place = tmp_path / "temporary"
    place.mkdir()
    with command("--model", str(tmp_path / "mine.safetensors"), TMPDIR=str(place)) as running:
        try:
            assert running.stdout is not None and running.stderr is not None
            assert "preparing" in running.stderr.readline()
            url = next(word for word in running.stdout.readline().split() if word.startswith("http"))
            about = httpx.get(url + "model/model.json").json()
            assert about["resolution"] == RESOLUTION
            assert httpx.get(url + "model/" + about["graphs"]["step"]["file"]).status_code == 200
            assert list(place.iterdir()) != []
            running.terminate()
            assert running.wait(20) == 130
            assert list(place.iterdir()) == []
        finally:
            running.kill()


def test_a_port_in_use_and_a_wrong_engine_are_told_in_a_sentence() -> None:
    with contextlib.closing(listen("127.0.0.1", 0)) as taken:
        for arguments, named in (
            (("--port", str(taken.getsockname()[1])), "is in use"),
            (("--engine", "steam"), "no engine 'steam'"),
            (("--host", "no.such.host.invalid"), "no address of this machine"),
        ):
            with command(*arguments) as running:
                out, err = running.communicate(timeout=60)
            assert running.returncode == 2 and out == ""
            assert named in err and err.startswith("poke2vid: ") and err.count("\n") == 1


def test_what_is_packed_fits_half_precision() -> None:
    flow = torch.full((1, 2, 4, 4), 1e9)
    packed = protocol.pack_frame(Frame(torch.zeros(1, 3, 4, 4), flow, torch.zeros(1, 3, 4, 4)), 1, 2**32 + 5, 1.0)
    assert np.isfinite(np.frombuffer(packed[16:], "<f2")).all()
    assert struct.unpack("<I", packed[8:12]) == (5,)


def test_a_server_computes_with_the_graphs_of_an_export_too(tmp_path: Path) -> None:
    async def build() -> tuple[str, int]:
        engine = build_engine(graphs_of(None, tmp_path / "graphs"), Limits())
        engine.compute.close()
        return engine.decoder, engine.player.resolution

    assert asyncio.run(build()) == ("layers", 128)
