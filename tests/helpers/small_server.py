"""A server of a small model in this process, and clients that say what they like to it."""

import contextlib
import gzip
import io
import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import numpy as np
import pytest
import torch
import uvicorn
from PIL import Image
from starlette.types import ASGIApp
from torch import Tensor, nn
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from poke2vid.live.law_of_rest import LiveModel
from poke2vid.model.config import ModelConfig
from poke2vid.model.poke_video import PokeVideo
from poke2vid.serve.app import LOOPBACK, build_app
from poke2vid.serve.conversation import Engine
from poke2vid.serve.rooms import Compute, Limits, Rooms
from poke2vid.serve.run import configured, listen
from poke2vid.types import Frame, Player, PokeKind, State

PATIENCE = 240.0  # seconds: a test machine may be busy


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
        deadline = time.monotonic() + PATIENCE
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
        got = self.socket.recv(timeout=PATIENCE)
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
                self.socket.recv(timeout=PATIENCE)
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
            thread.join(PATIENCE)
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
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE) as page,
    ):
        yield page


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


def raw(server: Server, head: str = "", path: str = "/ws") -> socket.socket:
    """A connection without a library, after its handshake."""
    made = socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE)
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
