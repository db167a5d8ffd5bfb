"""`poke2vid serve` as a process: it serves until it is interrupted, and says in a sentence what is wrong."""

import contextlib
import os
import signal
import struct
import subprocess
import sys
from pathlib import Path

import httpx
import numpy as np
import pytest
import torch
from alone import run_alone
from programs import poke2vid
from small_server import PATIENCE, RESOLUTION, model

from poke2vid.export.run import graphs_of
from poke2vid.model.files import save_model
from poke2vid.serve import protocol
from poke2vid.serve.rooms import Limits
from poke2vid.serve.run import build_engine, listen
from poke2vid.types import Frame

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
            assert httpx.get(url + "config.json", timeout=PATIENCE).json()["engine"] == engine
            listed = httpx.get(url + "files.json", timeout=PATIENCE).json()["files"]
            assert "vendor/ort-wasm-simd-threaded.wasm" in listed and "config.json" in listed
            assert ("model/model.json" in listed) == (engine == "browser")
            running.send_signal(signal.SIGINT if engine == "browser" else signal.SIGTERM)
            assert running.wait(PATIENCE) == 130
            assert running.stderr.read() == ""  # it ends as it should
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
            assert (
                httpx.get(url + "config.json", timeout=PATIENCE).status_code == 200
            )  # from now on it listens to signals, too
            running.send_signal(signal.SIGINT)
            assert running.wait(PATIENCE) == 130
        finally:
            running.kill()


@pytest.mark.slow
@pytest.mark.thorough
def test_another_model_is_made_ready_for_browsers_and_leaves_nothing_behind(tmp_path: Path) -> None:
    save_model(tmp_path / "mine.safetensors", model(decoder="rgb").model, {})  # its graphs are soon made
    place = tmp_path / "temporary"
    place.mkdir()
    with command("--model", str(tmp_path / "mine.safetensors"), TMPDIR=str(place)) as running:
        try:
            assert running.stdout is not None and running.stderr is not None
            assert "preparing" in running.stderr.readline()
            url = next(word for word in running.stdout.readline().split() if word.startswith("http"))
            about = httpx.get(url + "model/model.json", timeout=PATIENCE).json()
            assert about["resolution"] == RESOLUTION
            assert httpx.get(url + "model/" + about["graphs"]["step"]["file"], timeout=PATIENCE).status_code == 200
            assert list(place.iterdir()) != []
            running.terminate()
            assert running.wait(PATIENCE) == 130
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
            done = poke2vid("serve", *arguments)
            assert done.returncode == 2 and done.stdout == ""
            assert named in done.stderr and done.stderr.startswith("poke2vid: ") and done.stderr.count("\n") == 1


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

    assert run_alone(build()) == ("layers", 128)
