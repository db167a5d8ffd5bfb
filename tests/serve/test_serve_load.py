"""Many clients of one server: none slows the others, and a connection that is left is freed."""

import asyncio
import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from alone import run_alone
from small_server import PATIENCE, PNG, RESOLUTION, Pulled, Server, file_of, frame_of, raw, serve
from torch import Tensor

from poke2vid.serve import conversation, transport
from poke2vid.serve.conversation import Engine
from poke2vid.serve.rooms import Compute, Limits, Room, Rooms
from poke2vid.types import Frame, State


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serve(limits=Limits(sessions=8, steps_per_second=1e6, opens_per_minute=1e6)) as one:
        yield one


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

    run_alone(both())
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
            stalled.settimeout(PATIENCE)
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
    made: list[transport.PatientHttp] = []
    begin = transport.PatientHttp.connection_made
    monkeypatch.setattr(transport.PatientHttp, "connection_made", lambda self, to: (made.append(self), begin(self, to)))
    asking = b"GET /config.json HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with serve() as server, server.client() as client:
        client.open()
        monkeypatch.setattr(transport, "REQUEST_SECONDS", 0.1)
        for start in (b"", b"GET / HTTP/1.1\r\nHost: "):
            with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as idle:
                idle.sendall(start)
                with contextlib.suppress(ConnectionResetError):
                    assert idle.recv(10) == b""
        monkeypatch.setattr(transport, "REQUEST_SECONDS", 1e6)  # from here on it looks when it is told to

        def look(protocol: transport.PatientHttp) -> None:
            looked = threading.Event()
            protocol.loop.call_soon_threadsafe(lambda: (protocol._look(), looked.set()))
            assert looked.wait(PATIENCE)

        with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as busy:
            for _ in range(7):
                busy.sendall(asking)
                got = b""
                while not got.endswith(b"{}"):
                    got += (part := busy.recv(4096))
                    assert part
                look(made[-1])
            look(made[-1])  # nothing was asked since
            with contextlib.suppress(ConnectionResetError):
                assert busy.recv(10) == b""
        look(made[0])
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

    run_alone(line_up())
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
