"""The web server: the page's files, its WebSocket if the server computes, and checks of who may connect."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from fastapi import FastAPI
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket

from poke2vid import __version__
from poke2vid.serve.conversation import Engine
from poke2vid.serve.files import respond, table
from poke2vid.serve.memory import give_back

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
EXPIRY_SECONDS = 1.0  # between checks for idle sessions
TRIM_SECONDS = 10.0  # between returns of free memory to the system

HEADERS = {
    # Together these two give the page shared memory, which WebAssembly threads need.
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": (
        "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' blob: data:; "
        "media-src 'self' blob:; worker-src 'self'; object-src 'none'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def build_app(
    files: Mapping[str, Path | bytes], engine: Engine | None = None, *, hosts: frozenset[str] | None = None
) -> ASGIApp:
    """The server as an ASGI application.

    Args:
        files: the page's files by address; read once, here.
        engine: computes for clients; None if their browsers compute.
        hosts: names by which the server may be addressed; None for any. A foreign page can make its own name resolve to
            127.0.0.1, and would then count as the same origin.
    """
    served = table(files)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        keeping = [] if engine is None else [asyncio.create_task(task(engine)) for task in (_expire, _trim)]
        yield
        for task in keeping:
            task.cancel()
        if engine is not None:
            engine.compute.close()

    app = FastAPI(title="poke2vid", docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)

    @app.api_route("/healthz", methods=["GET", "HEAD"])
    async def healthz() -> Response:
        rooms = None if engine is None else engine.rooms
        counts = (0, 0) if rooms is None else (len(rooms), rooms.limits.sessions)
        about = {"version": __version__, "sessions": counts[0], "capacity": counts[1]}
        return JSONResponse(about, headers={"Cache-Control": "no-store"})

    if engine is not None:
        app.add_api_websocket_route("/ws", _guarded(engine))

    @app.api_route("/{address:path}", methods=["GET", "HEAD"])
    async def file(address: str, request: Request) -> Response:
        found = served.get(address or "index.html")
        return PlainTextResponse("there is no such file", 404) if found is None else respond(found, request)

    return Gate(app, hosts)


async def _expire(engine: Engine) -> None:
    while True:
        await asyncio.sleep(EXPIRY_SECONDS)
        engine.rooms.expire()


async def _trim(engine: Engine) -> None:
    while True:
        await asyncio.sleep(TRIM_SECONDS)
        await engine.compute(give_back)


def _guarded(engine: Engine) -> Callable[[WebSocket], Awaitable[None]]:
    async def converse(websocket: WebSocket) -> None:
        if not same_origin(websocket.headers):
            await websocket.close(1008)  # before it is accepted: the client sees a 403
            return
        await engine.converse(websocket)

    return converse


def same_origin(headers: Headers) -> bool:
    """Tells if a WebSocket was opened by our own page, or by a program that is no browser and sends no Origin.

    The scheme is not compared, because a proxy may speak https for us.
    """
    origin = headers.get("origin")
    if origin is None:
        return True
    with contextlib.suppress(ValueError):
        parts = urlsplit(origin)
        usual = {"http": 80, "https": 443}.get(parts.scheme)
        ours = urlsplit(f"//{headers.get('host', '')}")
        if usual is not None and parts.hostname:
            return (parts.hostname, parts.port or usual) == (ours.hostname, ours.port or usual)
    return False


class Gate:
    """Middleware that refuses requests to a foreign host name, and adds the headers to every answer."""

    def __init__(self, app: ASGIApp, hosts: frozenset[str] | None) -> None:
        self._app, self._hosts = app, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
        elif not self._expected(Headers(scope=scope)):
            if scope["type"] == "websocket":
                await WebSocket(scope, receive, send).close(1008)
            else:
                refused = PlainTextResponse("this server does not answer by that name", 421)
                await refused(scope, receive, _with_headers(send, ""))
        elif scope["type"] == "websocket":
            await self._app(scope, receive, send)
        else:
            await self._app(scope, receive, _with_headers(send, Headers(scope=scope).get("host", "")))

    def _expected(self, headers: Headers) -> bool:
        if self._hosts is None:
            return True
        named = headers.getlist("host")
        with contextlib.suppress(ValueError):
            return len(named) == 1 and urlsplit(f"//{named[0]}").hostname in self._hosts
        return False


def connections(host: str) -> str:
    """The policy's connect-src: the page's own server, also by name: some browsers count no WebSocket among 'self'."""
    # Plain names only: anything else could extend the policy, and [::1] is no valid source in it.
    named = re.fullmatch(r"[\w.-]+(:\d+)?", host, re.ASCII)
    sockets = f" ws://{host} wss://{host}" if named else ""
    return f"; connect-src 'self'{sockets}"


def _with_headers(send: Send, host: str) -> Send:
    async def answer(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers[name] = value
            headers["Content-Security-Policy"] += connections(host)
        await send(message)

    return answer
