"""The page from a local server, loaded cold: when its first picture is painted, and when it can be poked.

Every load is in a context of its own, so nothing is cached, neither by the browser nor by the page's service worker; times are
the browser's own, from the start of the navigation.
"""

import statistics
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from timing import RESULTS, Machine, table, write_results

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "helpers"))
from browser import SHOWN, chromium, serving, wait_for  # the browser that tests use

GOAL_MS = 1000  # for the picture
WIDTHS = {"desktop": (1280, 800), "phone": (390, 844)}
WATCH = """
    const look = () => {
        if (window.poke2vid?.player?.picture && document.getElementById('loading').hidden) window.pokeable = performance.now();
        else requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
"""
PAINTED = """new Promise((done) => new PerformanceObserver((list) => {
    const ofPicture = list.getEntries().filter(({ id }) => id === 'first');
    if (ofPicture.length) done(ofPicture[0].startTime);
}).observe({ type: 'largest-contentful-paint', buffered: true }))"""


def main(
    out: Annotated[Path, typer.Option("--out", help="Folder for first_picture.json and first_picture.md.")] = RESULTS,
    loads: Annotated[int, typer.Option("--loads", min=1, help="Cold loads at each width.")] = 9,
    quick: Annotated[bool, typer.Option("--quick", help="One load at one width: does it run?")] = False,
) -> None:
    """Load the page cold, again and again."""
    loads, widths = (1, ["desktop"]) if quick else (loads, list(WIDTHS))
    found: dict[str, list[dict[str, float]]] = {name: [] for name in widths}
    with serving() as url, chromium() as browser, Machine() as machine:
        version = browser.version
        if not quick:  # the server has read its files then, as it has for every visitor but the first
            load(browser, url, WIDTHS["desktop"])
        for _ in range(loads):
            for name in widths:
                found[name].append(load(browser, url, WIDTHS[name]))
    write_results(out, "first_picture", machine, {"loads": found}, text(found, version))


def load(browser: Any, url: str, size: tuple[int, int]) -> dict[str, float]:
    """Milliseconds of one cold load: until the picture of the first example is painted, and until it can be poked."""
    context = browser.new_context(viewport={"width": size[0], "height": size[1]})
    page = context.new_page()
    page.add_init_script(SHOWN + WATCH)
    page.goto(url, wait_until="commit")
    wait_for(page, "window.pokeable !== undefined")
    times = {"picture_ms": page.evaluate(PAINTED), "pokeable_ms": page.evaluate("pokeable")}
    context.close()
    return times


def text(found: dict[str, list[dict[str, float]]], version: str) -> str:
    header = ("window", f"picture, ms (goal: {GOAL_MS})", "can be poked, ms")
    rows = [
        (
            " x ".join(map(str, WIDTHS[name])),
            *(spread([one[key] for one in loads]) for key in ("picture_ms", "pokeable_ms")),
        )
        for name, loads in found.items()
    ]
    count = len(next(iter(found.values())))
    return (
        f"# first_picture\n\nThe page in headless Chromium {version} from a server on the same machine, {count} cold loads at "
        "each size, medians and the lowest and highest. The picture: the paint of the first example, which is in the HTML. "
        "Can be poked: the engine is compiled and warm, the model is there and has seen the picture.\n\n"
        + table(header, rows)
    )


def spread(values: list[float]) -> str:
    return f"{statistics.median(values):.0f} ({min(values):.0f}-{max(values):.0f})"


if __name__ == "__main__":
    typer.run(main)
