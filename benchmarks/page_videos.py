"""Not a timing: files that the page makes beside the program's, of the bundled pictures, each poked once by hand.

The first frame shows the picture at rest, so it is held against the picture itself. The browser is Chromium without a GPU,
whose H.264 encoder takes no fineness for its frames.
"""

import sys
import tempfile
from io import BytesIO
from pathlib import Path
from typing import Annotated, Any

import av
import numpy as np
import typer
from PIL import Image
from timing import RESULTS, Machine, table, write_results
from typer.testing import CliRunner

import poke2vid
from poke2vid.cli import app
from poke2vid.media.pictures import read_picture

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "helpers"))
from browser import chromium, opened, serving  # the browser that tests use
from page_actions import downloaded, drag, open_picture, pause, wait_for_frames

EXAMPLES = Path(poke2vid.__file__).parent / "assets" / "examples"
TOUCHED = {"flower": (0.47, 0.4), "robot": (0.5, 0.4), "person": (0.5, 0.5), "fly": (0.5, 0.5)}  # shares of the picture
PULL = (0.1, -0.06)
FRAMES = 50


def main(
    out: Annotated[Path, typer.Option("--out", help="Folder for page_videos.json and page_videos.md.")] = RESULTS,
    quick: Annotated[bool, typer.Option("--quick", help="One picture: does it run?")] = False,
) -> None:
    """Make files of every bundled picture on the page, and the same film with the program."""
    found: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as place, chromium() as browser, Machine() as machine, serving() as url:
        page = opened(browser, url, accept_downloads=True)
        for name, at in list(TOUCHED.items())[: 1 if quick else None]:
            picture = Path(place) / f"my-{name}.jpg"  # another name than the example's
            picture.write_bytes((EXAMPLES / f"{name}.jpg").read_bytes())
            page.evaluate("poke2vid.player.play(true)")
            open_picture(page, picture)
            drag(page, at, PULL, let_go=True)
            wait_for_frames(page, 5 if quick else FRAMES)
            pause(page)
            found[name] = measured(page, picture, Path(place) / "program.mp4")
    write_results(out, "page_videos", machine, {"pictures": found}, text(found))


def measured(page: Any, picture: Path, film: Path) -> dict[str, Any]:
    files = {kind: downloaded(page, kind) for kind in ("mp4", "webm", "gif", "gif-large")}
    order = [
        "animate",
        str(picture),
        "--script",
        str(downloaded(page, "json")),
        "--plain",
        "--size",
        "4096",
        "-o",
        str(film),
    ]
    done = CliRunner().invoke(app, order, catch_exceptions=False)
    if done.exit_code != 0:
        raise typer.Exit(done.exit_code)
    true = read_picture(picture)
    with Image.open(files["gif"]) as gif:
        look = {"size": list(gif.size), "frames": getattr(gif, "n_frames", 1)}
    return {
        "bytes": {"program": film.stat().st_size, **{kind: path.stat().st_size for kind, path in files.items()}},
        "psnr": {
            "program": psnr(film.read_bytes(), true),
            **{kind: psnr(files[kind].read_bytes(), true) for kind in ("mp4", "webm")},
        },
        "gif": look,
    }


def psnr(data: bytes, true: np.ndarray) -> float:
    """Decibels of the first frame, of as much of it as the picture has."""
    with av.open(BytesIO(data), "r") as container:
        frame = next(container.decode(video=0)).to_ndarray(format="rgb24")[: true.shape[0], : true.shape[1]]
    return float(10 * np.log10(255**2 / ((frame.astype(float) - true) ** 2).mean()))


def text(found: dict[str, dict[str, Any]]) -> str:
    header = (
        "picture", "MP4: first frame, dB", "WebM", "program's MP4", "MP4, KB", "WebM", "program's MP4", "GIF, KB", "its size",
        "larger GIF, KB",
    )  # fmt: skip
    rows = [
        (
            name,
            *(f"{one['psnr'][kind]:.1f}" for kind in ("mp4", "webm", "program")),
            *(f"{one['bytes'][kind] / 1000:.0f}" for kind in ("mp4", "webm", "program", "gif")),
            " x ".join(map(str, one["gif"]["size"])),
            f"{one['bytes']['gif-large'] / 1000:.0f}",
        )
        for name, one in found.items()
    ]
    return (
        "# page_videos\n\nFiles of the page in headless Chromium without a GPU beside the MP4 of `poke2vid animate`, the same "
        "script and size: PSNR of the first frame against the picture, and bytes.\n\n" + table(header, rows)
    )


if __name__ == "__main__":
    typer.run(main)
