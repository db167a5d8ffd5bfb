"""Many live sessions on one server: steps a second, latency, dropped connections, and whether its memory stays flat.

A server in a process of its own, `poke2vid serve --engine server`, and clients that poke, drag, let go and take marks
over WebSocket, as pages do; first each at a film's pace, then all as fast as they are answered. Compared with the same
Session stepped in a process that does nothing else. The clients run on the same machine and take their share of it.
"""

import asyncio
import io
import json
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from PIL import Image
from timing import RESULTS, Machine, table, write_results
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

import poke2vid
from poke2vid.live.animator import load
from poke2vid.live.session import Session
from poke2vid.media.pictures import read_picture, to_uint8

PICTURE = Path(poke2vid.__file__).parent / "assets" / "examples" / "flower.jpg"
PACE = 25.0  # steps a second and client, as a film's
ROUND = 60  # steps between two pokes: drags for a third, then lets go
PHASES: dict[str, float | None] = {f"{PACE:g} steps a second each": PACE, "as fast as they are answered": None}
MARK = 10  # steps between two marks, so that as many as are kept soon exist
SETTLED = 60.0  # seconds, at most half a phase, in which marks pile up and buffers grow to their size


@dataclass
class Client:
    """Measurements of one client.

    Attributes:
        latencies: by phase, from asking for a step to having its answer, in ms.
        dropped: why the connection ended before its time; empty otherwise.
    """

    latencies: dict[str, list[float]] = field(default_factory=dict)
    dropped: str = ""


def main(
    out: Annotated[Path, typer.Option("--out", help="Folder for serve.json and serve.md.")] = RESULTS,
    seconds: Annotated[float, typer.Option("--seconds", min=1, help="Of the whole run.")] = 600.0,
    sessions: Annotated[int, typer.Option("--sessions", min=1, help="At once.")] = 8,
    quick: Annotated[bool, typer.Option("--quick", help="Four seconds: does it run?")] = False,
) -> None:
    """Serve several clients at once for a while."""
    torch.set_num_threads(1)
    seconds = 4.0 if quick else seconds
    values: dict[str, Any] = {"sessions": sessions, "seconds": seconds}
    with Machine() as machine:
        alone = [reference(1.0 if quick else 5.0)]
        with server(sessions) as (url, process):
            clients, memory = asyncio.run(run(url, sessions, seconds, process.pid))
        alone.append(reference(1.0 if quick else 5.0))
    values["phases"] = {name: summary(clients, name, seconds / len(PHASES)) for name in PHASES}
    values["dropped"] = [client.dropped for client in clients if client.dropped]
    values["reference_steps_per_second"] = round(statistics.mean(alone), 1)
    values["memory"] = flatness(memory)
    write_results(out, "serve", machine, values, page(values))


def reference(seconds: float) -> float:
    """Steps a second of the same Session, in this process and on one core, while nothing else is asked of it."""
    session = Session(load().player, read_picture(view()), history=0, record=False)
    began, count = time.perf_counter(), 0
    while (took := time.perf_counter() - began) < seconds:
        for action in script(count, session.canvas.size[1]):
            match action["type"]:
                case "poke":
                    pointer = session.poke(tuple(action["at"]), tuple(action["shift"]))
                case "drag":
                    session.drag(pointer, tuple(action["to"]))
                case "release":
                    session.release(pointer)
        session.advance()
        count += 1
    return count / took


def view() -> bytes:
    """x_0 as the page sends it: a picture file of the model's size."""
    animator = load()
    small = to_uint8(Session(animator.player, read_picture(PICTURE)).canvas.x_0)[0]
    stream = io.BytesIO()
    Image.fromarray(small).save(stream, format="PNG")
    return stream.getvalue()


def script(step: int, side: int) -> list[dict[str, Any]]:
    """Actions before a step: of a poke that is dragged along, then released."""
    number, phase = divmod(step, ROUND)
    x, y = (0.3 + 0.1 * (number % 5)) * side, (0.3 + 0.08 * (number % 6)) * side
    if phase == 0:
        return [{"type": "poke", "pointer": 1, "at": [x, y], "shift": [0.0, 0.0]}]
    if phase < ROUND // 3:
        return [{"type": "drag", "pointer": 1, "to": [x + 0.005 * phase * side, y - 0.003 * phase * side]}]
    return [{"type": "release", "pointer": 1}] if phase == ROUND // 3 else []


@contextmanager
def server(sessions: int) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A server that does not limit its clients' pace."""
    command = [sys.executable, "-m", "poke2vid.cli", "serve", "--engine", "server", "--sessions", str(sessions)]
    with subprocess.Popen([*command, "--steps-per-second", "100000"], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = next(word for word in process.stdout.readline().split() if word.startswith("http"))
            yield url.replace("http", "ws") + "ws", process
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(20)


async def run(url: str, sessions: int, seconds: float, pid: int) -> tuple[list[Client], list[tuple[float, float]]]:
    """All clients at once, and the server's memory meanwhile, as seconds by the clock and MB."""
    picture, clients, memory = view(), [Client() for _ in range(sessions)], list[tuple[float, float]]()
    began = time.perf_counter()
    talks = [asyncio.create_task(talk(url, picture, client, k, seconds)) for k, client in enumerate(clients)]
    while (now := time.perf_counter()) < began + seconds:
        memory.append((now, resident(pid)))
        await asyncio.sleep(min(1.0, seconds / 20))
    await asyncio.gather(*talks)
    return clients, memory


async def talk(url: str, picture: bytes, client: Client, number: int, seconds: float) -> None:
    """Runs one client through all phases, or until it is dropped."""
    try:
        async with connect(url, max_size=None, compression=None) as socket:
            await socket.send(json.dumps({"type": "open", "seq": 0}))
            await socket.send(picture)
            side = json.loads(await socket.recv())["size"][0]
            seq = 0
            for name, pace in PHASES.items():
                latencies = client.latencies.setdefault(name, [])
                due = time.perf_counter() + number * 0.01 if pace else 0.0
                end = time.perf_counter() + seconds / len(PHASES)
                while time.perf_counter() < end:
                    if pace is not None:
                        due += 1 / pace
                        await asyncio.sleep(max(0.0, due - time.perf_counter()))
                    latencies.append(await step(socket, seq, side))
                    seq += 1
    except (ConnectionClosed, OSError, AssertionError) as error:
        client.dropped = f"{type(error).__name__}: {error}"[:200]


async def step(socket: ClientConnection, number: int, side: int) -> float:
    """Asks for a step; returns how many ms it took. After every `MARK` steps a mark is taken, too."""
    asked = time.perf_counter()
    await socket.send(json.dumps({"type": "step", "seq": number, "actions": script(number, side)}))
    answer = await socket.recv()
    took = 1000 * (time.perf_counter() - asked)
    assert isinstance(answer, bytes), answer
    if number % MARK == 0:
        await socket.send(json.dumps({"type": "mark", "seq": number}))
        await socket.recv()
    return took


def resident(pid: int) -> float:
    """MB (10^6 bytes) of memory that a process holds now; 0 where the system does not say."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("VmRSS")), 0.0)


def summary(clients: list[Client], phase: str, seconds: float) -> dict[str, Any]:
    found = [client.latencies.get(phase, []) for client in clients]
    rates, latencies = [len(one) / seconds for one in found], np.concatenate(found)
    p50, p95, p99 = np.percentile(latencies, (50, 95, 99)) if latencies.size else (np.nan,) * 3
    return {
        "steps_per_second": round(sum(rates), 1),
        "steps_per_second_of_each": [round(rate, 2) for rate in sorted(rates)],
        "latency_ms": {"p50": round(p50, 2), "p95": round(p95, 2), "p99": round(p99, 2)},
    }


def flatness(memory: list[tuple[float, float]]) -> dict[str, Any]:
    """Growth of the server's memory after it has settled; by phase, because another pace needs other buffers."""
    times, sizes = np.array(memory).T
    passed, phase = times - times[0], (times[-1] - times[0]) / len(PHASES)
    wait = min(SETTLED, phase / 2)
    settled = passed >= wait
    slopes = []
    for number in range(len(PHASES)):
        inside = (passed >= number * phase + wait) & (passed <= (number + 1) * phase)
        slopes.append(np.polyfit(passed[inside], sizes[inside], 1)[0] * 60 if inside.sum() > 2 else 0.0)
    every = max(1, len(sizes) // 60)
    return {
        "mb_settled": round(float(sizes[settled][0]), 1),
        "mb_at_the_end": round(float(sizes[-1]), 1),
        "mb_at_most": round(float(sizes.max()), 1),
        "mb_a_minute": [round(float(slope), 3) for slope in slopes],
        "mb": [round(float(size), 1) for size in sizes[::every]],
    }


def page(values: dict[str, Any]) -> str:
    alone, rows = values["reference_steps_per_second"], []
    for name, found in values["phases"].items():
        each, latency = found["steps_per_second_of_each"], found["latency_ms"]
        total = found["steps_per_second"]
        share = f"{total / alone:.2f}"
        rows.append((name, total, share, f"{each[0]:.1f} - {each[-1]:.1f}", *latency.values()))
    memory = values["memory"]
    header = ("pace", "steps/s", "of one alone", "of each client", "p50 ms", "p95 ms", "p99 ms")
    return (
        f"# serve\n\n{values['sessions']} clients of one `poke2vid serve --engine server` (the base, 128 pixels) for "
        f"{values['seconds']:g} seconds, which run on the same machine. The same Session stepped alone in one process makes "
        f"{alone} steps a second.\n\n"
        + table(header, rows)
        + f"\n\nDropped connections: {len(values['dropped'])}.\n\nThe server's memory: {memory['mb_settled']} MB once "
        f"settled, {memory['mb_at_the_end']} MB at the end, {memory['mb_at_most']} MB at most, "
        f"{' and '.join(f'{slope:+.2f}' for slope in memory['mb_a_minute'])} MB a minute within the phases."
    )


if __name__ == "__main__":
    typer.run(main)
