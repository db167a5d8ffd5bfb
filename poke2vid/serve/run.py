"""The work of `poke2vid serve`: a page, graphs or an engine behind it, a socket, a server that runs until stopped."""

import contextlib
import errno
import logging
import os
import signal
import socket
import sys
import tempfile
import threading
import webbrowser
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import torch
import uvicorn
from starlette.types import ASGIApp

from poke2vid.export.names import holds_graphs
from poke2vid.export.site import EngineKind, Files, config_json, files_json, site_files
from poke2vid.live.law_of_rest import live
from poke2vid.model.files import load_player
from poke2vid.model.subject import with_subject
from poke2vid.model.touch_video import TouchVideo
from poke2vid.serve.app import LOOPBACK, build_app
from poke2vid.serve.conversation import Engine
from poke2vid.serve.memory import share_one_pool
from poke2vid.serve.rooms import Compute, Limits, Rooms
from poke2vid.serve.transport import PatientHttp, SafeWebSocket
from poke2vid.types import InputError


def serve(
    model: Path | None, *, host: str, port: int, engine: EngineKind, limits: Limits, open_browser: bool = False,
    subject: str = "none", weights_dir: Path | None = None,
) -> None:  # fmt: skip
    """Serves until interrupted; a subject (`model/subject.py`) is used only if the server computes.

    Raises:
        InputError: if the model cannot be read or the port is not available.
    """
    signal.signal(signal.SIGTERM, _stop)
    logging.basicConfig(format="poke2vid: %(message)s", level=logging.ERROR)
    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(contextlib.closing(listen(host, port)))
        if engine == "server":
            app = build_app(
                page("server", None), build_engine(model, limits, subject, weights_dir), hosts=hosts_of(host)
            )
        else:
            app = build_app(
                page("browser", graphs(model, stack.enter_context(own_folder()) / "model")), hosts=hosts_of(host)
            )
        url = url_of(host, listening)
        if not is_loopback(host):
            print("poke2vid: everyone who can reach this machine can use this server.", file=sys.stderr)
        print(f"poke2vid is at {url} (Ctrl-C stops it)", flush=True)
        if open_browser:
            threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()  # some browsers block
        uvicorn.Server(configured(app, limits)).run(sockets=[listening])
        raise KeyboardInterrupt  # stopped by a signal that this process was started to ignore, as jobs of a script are


def _stop(*_: object) -> NoReturn:
    raise KeyboardInterrupt  # SIGTERM ends it as cleanly as Ctrl-C


@contextlib.contextmanager
def own_folder() -> Iterator[Path]:
    """Temporary folder for all that the program and its libraries write; removed at the end."""
    with tempfile.TemporaryDirectory(prefix="poke2vid-", ignore_cleanup_errors=True) as name:
        before, tempfile.tempdir = tempfile.tempdir, name
        environment = os.environ.get("TMPDIR")
        os.environ["TMPDIR"] = name  # for libraries that are not written in Python
        try:
            yield Path(name)
        finally:
            tempfile.tempdir = before
            os.environ.pop("TMPDIR") if environment is None else os.environ.update(TMPDIR=environment)


def graphs(model: Path | None, place: Path) -> Path:
    """The folder of a model's graphs, made in `place` if there is none yet."""
    from poke2vid.export.run import graphs_of  # loads the ONNX libraries, which a computing server does not need

    if model is not None:
        print(f"poke2vid: preparing {model} for browsers ...", file=sys.stderr, flush=True)
    return graphs_of(model, place, half=False)  # half precision is no faster in a tab


def page(engine: EngineKind, graphs: Path | None) -> Files:
    """All files of the page, with the model's graphs if browsers compute."""
    files = site_files()
    if graphs is not None:
        files |= {f"model/{path.name}": path for path in sorted(graphs.iterdir()) if path.is_file()}
    files["config.json"] = config_json(engine)
    files["files.json"] = files_json(files, [name.removesuffix(".gz") for name in files])
    return files


def build_engine(model: Path | None, limits: Limits, subject: str = "none", weights_dir: Path | None = None) -> Engine:
    """The engine that computes for clients, with a model or with the graphs of an export."""
    torch.set_num_threads(1)  # the threads of `Compute` are enough
    share_one_pool()
    if model is not None and holds_graphs(model):
        from poke2vid.export.touch_engine import player_of  # loads ONNX Runtime, which a model does not need

        player = player_of(model)
        return Engine(with_subject(player, subject, weights_dir), player.about["decoder"], Rooms(limits), Compute())
    loaded = load_player(model).model
    decoder = "layers" if isinstance(loaded, TouchVideo) else loaded.config.decoder
    return Engine(live(with_subject(loaded, subject, weights_dir)), decoder, Rooms(limits), Compute())


def configured(app: ASGIApp, limits: Limits) -> uvicorn.Config:
    """Uvicorn's settings: no message larger than a picture, no compression, no log of clients."""
    return uvicorn.Config(
        app,
        loop="asyncio",  # the same on every machine, whatever else is installed
        http=PatientHttp,
        ws=SafeWebSocket,
        ws_max_size=max(limits.picture_bytes, limits.text_bytes),
        ws_per_message_deflate=False,
        ws_ping_interval=20.0,
        ws_ping_timeout=20.0,
        log_config=None,
        log_level="error",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=2,
    )


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 stands for any free port."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError) as error:
        raise InputError(
            f"the host {host!r} is no address of this machine; leave --host out for this machine only."
        ) from error
    listening = socket.socket(family, kind, protocol)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(128)
    except OSError as error:
        listening.close()
        raise InputError(_why_not(host, port, error)) from error
    return listening


def _why_not(host: str, port: int, error: OSError) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return f"port {port} of {host} is in use; choose another, or 0 for one that is free."
        case errno.EACCES:
            return f"port {port} of {host} may not be used; choose one from 1024 on, or 0 for one that is free."
        case _:
            return f"{host} is no address of this machine; leave --host out for this machine only."


def is_loopback(host: str) -> bool:
    return host in LOOPBACK or host.startswith("127.")


def hosts_of(host: str) -> frozenset[str] | None:
    """Names by which the server may be addressed: all are known if it serves this machine only, else None (any)."""
    return LOOPBACK | {host} if is_loopback(host) else None


def url_of(host: str, listening: socket.socket) -> str:
    """Address to type into a browser on this machine."""
    name = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://{f'[{name}]' if ':' in name else name}:{listening.getsockname()[1]}/"
