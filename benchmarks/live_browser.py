"""The page in a browser: steps a second, and from a finger's move to the frame that shows it.

A headless Chromium without a GPU: WebAssembly computes, and the page draws in plain JavaScript on the same cores, which a
screen's GPU would do elsewhere. The reference is the same graphs in ONNX Runtime as a program, one thread, measured in this
process right before.
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from material import moving_things
from timing import RESULTS, Machine, table, write_results
from torch import nn

from poke2vid.export.engine import OnnxPlayer
from poke2vid.export.run import export_model
from poke2vid.model.files import save_model
from poke2vid.model.motion_decoder import MotionDecoder
from poke2vid.model.poke_video import PokeVideo
from poke2vid.pictures import write_picture
from poke2vid.session import Session
from poke2vid.train.presets import PRESETS

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from browser import chromium, opened, serving, wait_for  # the browser that tests use

SHOWN_SIDE = 512  # pixels of the picture
NAMES = ("small64", "paper64", "small128", "paper128")
GOALS = {"small64": 60, "small128": 25}  # steps a second
LATENCY_GOAL = 80  # ms, p95
RATES = {"at_25": 25, "fastest": "Infinity"}  # steps a second that the page asks for
HEAD_STD = 0.03  # about a pixel of flow everywhere
MOVE_MS = 25  # between two moves of the finger
STEPS = """async (count) => {
    const { engine } = poke2vid;
    await engine.step([{ type: 'poke', pointer: 7, at: [20, 20], shift: [4, -3], kind: 'shift' }]);
    const began = performance.now();
    for (let i = 0; i < count; i++) await engine.step([]);
    const taken = performance.now() - began;
    await engine.step([{ type: 'release', pointer: 7 }]);
    return taken / count;
}"""

COUNT = """() => { // frames that are drawn and were not before
    const { player } = poke2vid;
    const told = player.onFrame;
    let last = null;
    window.drawn = 0;
    player.onFrame = () => {
        if (player.fields !== last) window.drawn++;
        last = player.fields;
        told();
    };
}"""


def main(
    out: Annotated[Path, typer.Option("--out", help="Folder for live_browser.json and live_browser.md.")] = RESULTS,
    seconds: Annotated[float, typer.Option("--seconds", min=1, help="Of dragging, for each measurement.")] = 10.0,
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="Of dragging at both rates, in turns.")] = 3,
    quick: Annotated[bool, typer.Option("--quick", help="The smallest model, two seconds: does it run?")] = False,
) -> None:
    """Drag on the page with every model that it may run."""
    seconds, rounds = (2.0, 1) if quick else (seconds, rounds)
    torch.set_num_threads(1)
    found: dict[str, Any] = {}
    # The browser outlives the count of who used the cores: what it used is known only while it runs.
    with tempfile.TemporaryDirectory() as place, chromium() as browser, Machine() as machine:
        picture = Path(place) / "picture.png"
        write_picture(picture, moving_things(1, side=SHOWN_SIDE)[0])
        for name in NAMES[:1] if quick else NAMES:
            graphs = Path(place) / name
            save_model(graphs.with_suffix(".safetensors"), moving_model(name), {})
            export_model(graphs.with_suffix(".safetensors"), graphs, half=False)
            native = native_ms(graphs, 20 if quick else 100)
            with serving("--model", str(graphs)) as url:
                page = opened(browser, url)
                page.set_input_files("#file", picture)
                wait_for(page, "poke2vid.player.picture.name === 'picture.png' && !poke2vid.player.inFlight")
                found[name] = {"native_ms": native, **measure(page, seconds, rounds)}
                page.context.close()
    version = browser_version(found)
    write_results(out, "live_browser", machine, {"shown_side": SHOWN_SIDE, "models": found}, text(found, version))


def moving_model(name: str) -> PokeVideo:
    """Drawn weights with which every pixel moves and is painted: a fresh head says that nothing does, which is soon drawn."""
    torch.manual_seed(0)
    model = PokeVideo(PRESETS[name].model).eval()
    if isinstance(model.decoder, MotionDecoder):
        nn.init.normal_(model.decoder.head.weight, std=HEAD_STD)
    return model


def native_ms(graphs: Path, steps: int) -> float:
    """Milliseconds a step in ONNX Runtime as a program, a poke held."""
    session = Session(OnnxPlayer(graphs), moving_things(1, side=SHOWN_SIDE)[0], history=0, record=False)
    session.poke((200.0, 200.0), (40.0, -20.0))
    session.advance()
    began = time.perf_counter()
    for _ in range(steps):
        session.advance()
    return 1000 * (time.perf_counter() - began) / steps


def measure(page: Any, seconds: float, rounds: int) -> dict[str, Any]:
    page.evaluate("poke2vid.player.play(false)")
    first = page.evaluate(STEPS, 5)
    step_ms = float(np.median([page.evaluate(STEPS, max(5, round(500 / first))) for _ in range(5)]))
    page.evaluate("poke2vid.player.reset()")
    wait_for(page, "!poke2vid.player.inFlight")
    page.evaluate(COUNT)
    dragged: dict[str, list[dict[str, float]]] = {name: [] for name in RATES}
    for _ in range(rounds):
        for name, rate in RATES.items():
            dragged[name].append(drag(page, rate, seconds))
    stats = page.evaluate("poke2vid.stats()")
    return {
        "step_ms": step_ms,
        "threads": stats["threads"],
        "compositor": stats["compositor"],
        **dragged,
        "browser": page.context.browser.version,
    }


def drag(page: Any, rate: int | str, seconds: float) -> dict[str, Any]:
    """A finger that circles while the page shows frames, at a rate or as fast as it can (a screen's 60 at most)."""
    page.evaluate(f"poke2vid.player.rate = {rate}")
    page.evaluate("Object.assign(poke2vid.player.measures, { latencies: [], stepTimes: [], shownAt: [] })")
    page.evaluate("poke2vid.player.play(true)")
    box = page.locator("#picture").bounding_box()
    x, y, r = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, box["width"] / 12
    page.mouse.move(x, y)
    page.mouse.down()
    frames, began, i = page.evaluate("drawn"), time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        i += 1
        page.mouse.move(x + r * np.sin(i / 6), y + r * np.cos(i / 6))
        page.wait_for_timeout(MOVE_MS)
    taken, shown = time.perf_counter() - began, page.evaluate("drawn") - frames
    stats = page.evaluate("poke2vid.stats()")
    page.mouse.up()
    page.evaluate("poke2vid.player.reset()")
    wait_for(page, "!poke2vid.player.inFlight")
    latencies = {key: stats[key] for key in ("latencyP50", "latencyP95", "latencies")}
    return {"frames_per_second": shown / taken, **latencies}


def median(dragged: list[dict[str, float]], key: str) -> float:
    return statistics.median(one[key] for one in dragged)


def waits(dragged: list[dict[str, float]]) -> str:
    tails = [one["latencyP95"] for one in dragged]
    return f"{median(dragged, 'latencyP50'):.0f} / {statistics.median(tails):.0f} ({min(tails):.0f}-{max(tails):.0f})"


def browser_version(found: dict[str, Any]) -> str:
    return next(iter(found.values()))["browser"]


def text(found: dict[str, Any], version: str) -> str:
    header = (
        "model", "threads", "step, ms", "steps/s", "goal", "times as long as a program's", "dragging, shown: frames/s of 25",
        "as fast as it goes", "poke to frame, ms, at 25/s", "as fast as it goes",
    )  # fmt: skip
    rows = [
        (
            name,
            model["threads"],
            f"{model['step_ms']:.1f}",
            f"{1000 / model['step_ms']:.0f}",
            GOALS.get(name, ""),
            f"{model['step_ms'] / model['native_ms']:.1f}",
            *(f"{median(model[rate], 'frames_per_second'):.0f}" for rate in RATES),
            *(waits(model[rate]) for rate in RATES),
        )
        for name, model in found.items()
    ]
    return (
        f"# live_browser\n\nThe page in headless Chromium {version}, WebAssembly on the CPU, drawing in plain JavaScript on "
        f"the same cores, a picture of {SHOWN_SIDE} x {SHOWN_SIDE}, drawn weights with which every pixel moves. A step is the "
        "engine alone, called from the page, worker and messages included. Poke to frame: from the time stamp of the "
        f"pointer's event to the end of drawing the frame that contains it, p50 / p95, medians of rounds, and the lowest "
        f"and highest p95 (goal: {LATENCY_GOAL} ms); at 25 steps a second up to 40 ms of it are the wait for the next step. "
        "The browser's own way to the screen is not in it. A program: ONNX Runtime's CPU provider, one thread, in this "
        "process.\n\n" + table(header, rows)
    )


if __name__ == "__main__":
    typer.run(main)
