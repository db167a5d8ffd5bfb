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

import poke2vid
from poke2vid.export.run import export_model, graphs_of
from poke2vid.export.touch_engine import player_of
from poke2vid.live.canvas import Canvas
from poke2vid.live.session import Session
from poke2vid.media.pictures import read_picture, write_picture
from poke2vid.model.files import save_model
from poke2vid.model.motion_decoder import MotionDecoder
from poke2vid.model.poke_video import PokeVideo
from poke2vid.train.presets import PRESETS
from poke2vid.types import Poke

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "helpers"))
from browser import chromium, opened, serving, wait_for  # the browser that tests use

SHOWN_SIDE = 512  # pixels of the picture
BASE = "touch128"  # as it is in the package, on a bundled picture, touched where it moves
TOUCHED = Poke((320.0, 126.0), (30.0, 0.0))
EXAMPLE = Path(poke2vid.__file__).parent / "assets" / "examples" / "flower.jpg"
NAMES = ("small64", "paper64", "small128", "paper128")
TOUCH_GOAL = 80  # ms, once a touch
GOALS = {BASE: 25, "small64": 60, "small128": 25}  # steps a second
LATENCY_GOAL = 80  # ms, p95
RATES = {"at_25": 25, "fastest": "Infinity"}  # steps a second that the page asks for
HEAD_STD = 0.03  # about a pixel of flow everywhere
MOVE_MS = 25  # between two moves of the finger
STEPS = """async ({ count, at }) => {
    const { engine } = poke2vid;
    await engine.step([{ type: 'poke', pointer: 7, at, shift: [4, -3], kind: 'shift' }]);
    const began = performance.now();
    for (let i = 0; i < count; i++) await engine.step([]);
    const taken = performance.now() - began;
    await engine.step([{ type: 'release', pointer: 7 }]);
    return taken / count;
}"""

TOUCH = """async ({ count, at }) => { // the first step of a touch, which encodes it; each at another place
    const { engine } = poke2vid;
    const taken = [];
    for (let i = 0; i < count; i++) {
        const began = performance.now();
        await engine.step([{ type: 'poke', pointer: 7, at: [at[0] + i / 4, at[1]], shift: [4, -3], kind: 'shift' }]);
        taken.push(performance.now() - began);
        await engine.step([{ type: 'release', pointer: 7 }]);
    }
    return taken;
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
    quick: Annotated[bool, typer.Option("--quick", help="The base alone, two seconds: does it run?")] = False,
) -> None:
    """Drag on the page with every model that it may run."""
    seconds, rounds = (2.0, 1) if quick else (seconds, rounds)
    torch.set_num_threads(1)
    found: dict[str, Any] = {}
    # The browser outlives the count of who used the cores: what it used is known only while it runs.
    with tempfile.TemporaryDirectory() as place, chromium() as browser, Machine() as machine:
        picture = Path(place) / "picture.png"
        write_picture(picture, moving_things(1, side=SHOWN_SIDE)[0])
        for name in (BASE,) if quick else (BASE, *NAMES):
            graphs, shown = Path(place) / name, picture
            middle = Poke((SHOWN_SIDE / 2, SHOWN_SIDE / 2), (40.0, -20.0))
            if name == BASE:
                graphs, shown, middle = graphs_of(None, graphs, half=False), EXAMPLE, TOUCHED
            else:
                save_model(graphs.with_suffix(".safetensors"), moving_model(name), {})
                export_model(graphs.with_suffix(".safetensors"), graphs, half=False)
            native, canvas = native_ms(graphs, shown, middle, 20 if quick else 100)
            with serving("--model", str(graphs)) as url:
                page = opened(browser, url)
                page.evaluate("() => { window.before = poke2vid.stage.picture; }")  # it may be of the same name
                page.set_input_files("#file", shown)
                wait_for(page, "poke2vid.stage.picture !== before && !poke2vid.player.inFlight")
                found[name] = {"native_ms": native, **measure(page, seconds, rounds, middle, canvas)}
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


def native_ms(graphs: Path, picture: Path, poke: Poke, steps: int) -> tuple[float, Canvas]:
    """Milliseconds a step in ONNX Runtime as a program, a poke held; and where a picture's pixels are in its frames."""
    session = Session(player_of(graphs), read_picture(picture), history=0, record=False)
    session.poke(poke.location, poke.shift)
    session.advance()
    began = time.perf_counter()
    for _ in range(steps):
        session.advance()
    return 1000 * (time.perf_counter() - began) / steps, session.canvas


def measure(page: Any, seconds: float, rounds: int, poke: Poke, canvas: Canvas) -> dict[str, Any]:
    page.evaluate("poke2vid.player.play(false)")
    at = list(canvas.modelled(poke).location)
    first = page.evaluate(STEPS, {"count": 5, "at": at})
    counted = {"count": max(5, round(500 / first)), "at": at}
    step_ms = float(np.median([page.evaluate(STEPS, counted) for _ in range(5)]))
    touch_ms = page.evaluate(TOUCH, {"count": 20, "at": at})
    page.evaluate("poke2vid.player.reset()")
    wait_for(page, "!poke2vid.player.inFlight")
    page.evaluate(COUNT)
    (height, width), (x, y) = canvas.size, poke.location
    where = (x / width, y / height)
    dragged: dict[str, list[dict[str, float]]] = {name: [] for name in RATES}
    for _ in range(rounds):
        for name, rate in RATES.items():
            dragged[name].append(drag(page, rate, seconds, where))
    stats = page.evaluate("poke2vid.stats()")
    return {
        "step_ms": step_ms,
        "touch_ms": {"p50": float(np.median(touch_ms)), "p95": float(np.percentile(touch_ms, 95))},
        "threads": stats["threads"],
        "compositor": stats["compositor"],
        **dragged,
        "browser": page.context.browser.version,
    }


def drag(page: Any, rate: int | str, seconds: float, where: tuple[float, float]) -> dict[str, Any]:
    """A finger that circles about a place, in shares of the picture, while the page shows frames.

    At a rate, or as fast as it can: a screen's 60 a second at most.
    """
    page.evaluate(f"poke2vid.player.rate = {rate}")
    page.evaluate("Object.assign(poke2vid.player.measures, { latencies: [], stepTimes: [], shownAt: [] })")
    page.evaluate("poke2vid.player.play(true)")
    box = page.locator("#picture").bounding_box()
    x, y, r = box["x"] + where[0] * box["width"], box["y"] + where[1] * box["height"], box["width"] / 12
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
        "model", "threads", "step, ms", "steps/s", "goal", "a touch's first, ms", "times as long as a program's",
        "dragging, shown: frames/s of 25", "as fast as it goes", "poke to frame, ms, at 25/s", "as fast as it goes",
    )  # fmt: skip
    rows = [
        (
            name,
            model["threads"],
            f"{model['step_ms']:.1f}",
            f"{1000 / model['step_ms']:.0f}",
            GOALS.get(name, ""),
            f"{model['touch_ms']['p50']:.0f} / {model['touch_ms']['p95']:.0f}" if name == BASE else "",
            f"{model['step_ms'] / model['native_ms']:.1f}",
            *(f"{median(model[rate], 'frames_per_second'):.0f}" for rate in RATES),
            *(waits(model[rate]) for rate in RATES),
        )
        for name, model in found.items()
    ]
    return (
        f"# live_browser\n\nThe page in headless Chromium {version}, WebAssembly on the CPU, drawing in plain JavaScript on "
        f"the same cores, a picture of {SHOWN_SIDE} x {SHOWN_SIDE}, drawn weights with which every pixel moves; {BASE} as it "
        "is in the package, on the bundled flower, touched there. A step is the engine alone, called from the page, worker and "
        f"messages included; a touch's first step also encodes it (p50 / p95; goal: {TOUCH_GOAL} ms). Poke to frame: from the "
        "time stamp of the pointer's event to the end of drawing the frame that contains it, p50 / p95, medians of rounds, "
        f"and the lowest and highest p95 (goal: {LATENCY_GOAL} ms); at 25 steps a second up to 40 ms of it are the wait for "
        "the next step. The browser's own way to the screen is not in it. A program: ONNX Runtime's CPU provider, one thread, "
        "in this process.\n\n" + table(header, rows)
    )


if __name__ == "__main__":
    typer.run(main)
