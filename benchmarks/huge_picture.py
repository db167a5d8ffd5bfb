"""The way of a picture of sixty megapixels into the page: the first word of it, the picture, and how long the page stood still.

A headless Chromium without a GPU. The browser's report of long tasks (its `longtask` entries, from 50 ms on) says for how long
nothing could be pressed; beside it the same of the picture that the page begins with, which is as small as any.
"""

import statistics
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from PIL import Image
from timing import RESULTS, Machine, table, write_results

import poke2vid

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "helpers"))
from browser import chromium, opened, serving, wait_for  # the browser that tests use

EXAMPLE = Path(poke2vid.__file__).parent / "assets" / "examples" / "flower.jpg"
TILES, SIDE = (4, 4), (2250, 1670)  # sixty megapixels
WORD_GOAL, STALL_GOAL = 1000, 100  # ms
WATCH = """() => {
    window.tasks = [];
    window.word = null;
    window.began = performance.now();
    window.before = poke2vid.stage.picture;
    window.longTasks ??= new PerformanceObserver((list) => list.getEntries().forEach(({ duration }) => tasks.push(duration)));
    longTasks.observe({ entryTypes: ['longtask'] });
    const loading = document.getElementById('loading');
    new MutationObserver((_, observer) => {
        if (loading.hidden) return;
        word ??= performance.now() - began;
        observer.disconnect();
    }).observe(loading, { attributes: true });
}"""


def main(
    out: Annotated[Path, typer.Option("--out", help="Folder for huge_picture.json and huge_picture.md.")] = RESULTS,
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="Of opening both pictures, in turns.")] = 5,
    quick: Annotated[bool, typer.Option("--quick", help="One round: does it run?")] = False,
) -> None:
    """Open a huge picture and a small one on the page."""
    found: dict[str, list[dict[str, float]]] = {"huge": [], "small": []}
    with tempfile.TemporaryDirectory() as place, chromium() as browser, Machine() as machine, serving() as url:
        with Image.open(EXAMPLE) as image:
            small, huge = Path(place) / "small.jpg", Path(place) / "huge.jpg"
            image.save(small, quality=90)
            Image.fromarray(np.tile(np.asarray(image.convert("RGB").resize(SIDE)), (*TILES, 1))).save(huge, quality=90)
        page = opened(browser, url)
        for _ in range(1 if quick else rounds):
            for name, path in (("huge", huge), ("small", small)):
                found[name].append(open_once(page, path))
    write_results(out, "huge_picture", machine, {"opened": found}, text(found))


def open_once(page: Any, path: Path) -> dict[str, float]:
    page.evaluate(WATCH)
    page.set_input_files("#file", path)
    wait_for(page, "poke2vid.stage.picture !== before && !poke2vid.player.inFlight")
    shown = page.evaluate("performance.now() - began")
    page.wait_for_timeout(300)  # what follows is drawn, too
    word, tasks = page.evaluate("[word, tasks]")
    return {"word_ms": shown if word is None else word, "shown_ms": shown, "longest_ms": max(tasks, default=0.0)}


def text(found: dict[str, list[dict[str, float]]]) -> str:
    header = ("picture", "first word, ms", "shown, ms", "longest task of the page, ms", "worst of all rounds")
    rows = [
        (
            name,
            *(f"{statistics.median(one[key] for one in rounds):.0f}" for key in ("word_ms", "shown_ms", "longest_ms")),
            f"{max(one['longest_ms'] for one in rounds):.0f}",
        )
        for name, rounds in found.items()
    ]
    return (
        f"# huge_picture\n\nA JPEG of {TILES[0] * SIDE[0]} x {TILES[1] * SIDE[1]} pixels opened on the page in headless "
        f"Chromium, beside one of 640 x 360: from the choice of the file to the first word (goal: {WORD_GOAL} ms) and to the "
        f"picture, and the longest that the page could not answer meanwhile (goal: {STALL_GOAL} ms; tasks under 50 ms count as "
        "0). Medians of rounds.\n\n" + table(header, rows)
    )


if __name__ == "__main__":
    typer.run(main)
