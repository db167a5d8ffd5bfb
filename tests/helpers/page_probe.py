"""Modules of the page within a browser: a host of files, functions that are called in a page, arrays that travel as text."""

import base64
import contextlib
import http.server
import io
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

import poke2vid
from poke2vid.export.site import Files, content
from poke2vid.live.brush import Stroke
from poke2vid.live.session import Session
from poke2vid.serve.files import TYPES
from poke2vid.types import Frame, Rest

WEB = Path(__file__).parent / "web"

EXAMPLE = Path(poke2vid.__file__).parent / "assets" / "examples" / "flower.jpg"

ISOLATION = {"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp"}

HALF_TOLERANCE = 5e-3  # of flow of up to 8 pixels in half precision, as a server sends it

EVALUATE = "async ([name, values]) => (await import('./probe.js'))[name](...values)"


class Handler(http.server.BaseHTTPRequestHandler):
    """Static files from a table, as any host would send them."""

    protocol_version = "HTTP/1.1"
    files: Files
    headers_sent: dict[str, str]

    def do_GET(self) -> None:
        address = self.path.split("?")[0].lstrip("/")
        packed = f"{address}.gz" in self.files
        found = self.files.get(f"{address}.gz" if packed else address)
        body = b"" if found is None else content(found)
        self.send_response(404 if found is None else 200)
        self.send_header("Content-Type", TYPES.get(Path(address).suffix, "application/octet-stream"))
        self.send_header("Content-Length", str(len(body)))
        for name, value in {**self.headers_sent, **({"Content-Encoding": "gzip"} if packed else {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing."""


@contextlib.contextmanager
def host(files: Files, headers: dict[str, str]) -> Iterator[str]:
    handler = type("Host", (Handler,), {"files": files, "headers_sent": headers})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/"
    finally:
        server.shutdown()
        server.server_close()


class Probe:
    """A page, and the functions of web/probe.js in it."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.resolution: int | None = None  # of the model that runs, where a test remembers it

    def __call__(self, name: str, *values: Any) -> Any:
        return self.page.evaluate(EVALUATE, [name, list(values)])


def png(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def encoded(data: bytes | np.ndarray) -> str:
    return base64.b64encode(data if isinstance(data, bytes) else np.ascontiguousarray(data, "<f4").tobytes()).decode()


def floats(text: str, *shape: int) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), "<f4").reshape(shape)


def levels(text: str, width: int, height: int) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), np.uint8).reshape(height, width, 4)[..., :3].astype(int)


def pictured(width: int, height: int, seed: int = 0) -> np.ndarray:
    """The example at another size, with noise that every rounding shows in."""
    resized = np.asarray(Image.open(EXAMPLE).convert("RGB").resize((width, height), Image.Resampling.BICUBIC)).astype(
        int
    )
    noise = np.random.default_rng(seed).integers(-30, 31, resized.shape)
    return (resized + noise).clip(0, 255).astype(np.uint8)


def smooth(channels: int, resolution: int, size: float, seed: int) -> np.ndarray:
    coarse = np.random.default_rng(seed).normal(0, size, (8, 8, channels)).astype(np.float32)
    fine = cv2.resize(coarse, (resolution, resolution), interpolation=cv2.INTER_CUBIC)
    return fine.reshape(resolution, resolution, channels).transpose(2, 0, 1).copy()


def played(session: Session, script: list[list[dict[str, Any]]]) -> list[Frame]:
    pointers: dict[int, int] = {}
    frames = []
    for actions in script:
        for action in actions:
            match action["type"]:
                case "poke":
                    if action["pointer"] in pointers:
                        session.release(pointers.pop(action["pointer"]))
                    pointer = session.poke(action["at"], action["shift"], action.get("kind", "shift"))
                    if action.get("kind", "shift") == "shift":
                        pointers[action["pointer"]] = pointer
                case "drag":
                    session.drag(pointers[action["pointer"]], action["to"])
                case "release":
                    session.release(pointers.pop(action["pointer"]))
                case "rest":
                    session.rest = Rest(action["stiffness"], action["momentum"], action.get("anchored", True))
                case "brush":
                    session.brush(Stroke(tuple(action["path"]), action["radius"], action["still"]))
        frames.append(session.advance())
    return frames


def resident_mb(pid: int) -> float:
    if not Path("/proc").is_dir():
        pytest.skip("needs /proc to see how much memory a process has")
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
