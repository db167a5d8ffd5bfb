"""Difference of exported graphs from their model in 25 frames: many pictures and pokes, single and half precision.

Not a timing. `poke2vid export` checks one picture and one poke; its bounds come from here. In pixels of the model: the
largest difference of the decoder's backward flow anywhere in any frame (of models that paint: of x_hat, of [-1, 1]).
"""

import statistics
import tempfile
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from live_browser import moving_model
from timing import RESULTS, Machine, table, write_results
from tqdm import tqdm

import poke2vid
from poke2vid.export.check import HELD, LET_GO
from poke2vid.export.engine import OnnxPlayer, Precision
from poke2vid.export.run import export_model
from poke2vid.live.canvas import Canvas
from poke2vid.live.law_of_rest import LiveModel
from poke2vid.media.pictures import read_picture
from poke2vid.model.files import load_model, save_model
from poke2vid.pokes import rasterise
from poke2vid.types import LivePlayer, Poke

PICTURES = Path(poke2vid.__file__).parent / "assets" / "examples"
TRAINED = "small64, in the package"
DRAWN = ("small64", "paper64", "small128", "paper128")  # presets with drawn weights, beside it
PRECISIONS: tuple[Precision, ...] = ("fp32", "fp16")
LONGEST = 0.1  # of the side, as in training


def main(
    out: Annotated[Path, typer.Option("--out", help="Folder for graphs.json and graphs.md.")] = RESULTS,
    pokes: Annotated[int, typer.Option("--pokes", min=1, help="On every picture.")] = 16,
    quick: Annotated[bool, typer.Option("--quick", help="small64, one picture, one poke: does it run?")] = False,
) -> None:
    """Roll models and their graphs out side by side."""
    torch.set_num_threads(1)
    pictures = sorted(PICTURES.glob("*.jpg"))[: 1 if quick else None]
    pokes = 1 if quick else pokes
    found: dict[str, dict[str, list[float]]] = {}
    with Machine() as machine, tempfile.TemporaryDirectory() as place:
        for name in (TRAINED, *(() if quick else DRAWN)):
            path = Path(place) / f"{name}.safetensors"
            if name == TRAINED:
                loaded = load_model(None)
                save_model(path, loaded.model, {})
            else:
                save_model(path, moving_model(name), {})
            export_model(path, Path(place) / name)
            live = LiveModel(load_model(path).model)
            for precision in PRECISIONS:
                player = OnnxPlayer(Path(place) / name, precision)
                found.setdefault(name, {})[precision] = differences(live, player, pictures, pokes)
    values = {"pictures": [p.name for p in pictures], "pokes": pokes, "frames": HELD + LET_GO, "largest": found}
    write_results(out, "graphs", machine, values, page(found, len(pictures) * pokes))


def differences(live: LiveModel, player: OnnxPlayer, pictures: list[Path], pokes: int) -> list[float]:
    """Largest difference of every rollout."""
    generator, side, found = torch.Generator().manual_seed(0), live.resolution, []
    for picture in tqdm(pictures, desc=player.digest[-4:], disable=None):
        x_0 = Canvas(read_picture(picture), side).x_0
        for _ in range(pokes):
            x, y, dx, dy = torch.rand(4, generator=generator).tolist()
            shift = ((2 * dx - 1) * LONGEST * side, (2 * dy - 1) * LONGEST * side)
            poke = Poke((x * (side - 1), y * (side - 1)), shift, live.poke_kind)
            found.append(rolled_out(live, player, x_0, poke))
    return found


@torch.inference_mode()
def rolled_out(live: LiveModel, player: OnnxPlayer, x_0: torch.Tensor, poke: Poke) -> float:
    """Largest difference while a poke is held and then released."""
    both: tuple[LivePlayer, LivePlayer] = (live, player)
    states = [one.start(x_0) for one in both]
    phis = [one.encode_poke(rasterise([poke], live.resolution)[None]) for one in both]
    largest = 0.0
    for number in range(HELD + LET_GO):
        shown = []
        for k, one in enumerate(both):
            states[k], frame = one.live_step(states[k], phis[k] if number < HELD else None, live.default_rest)
            shown.append(frame.x_hat if frame.flow is None else frame.flow)
        largest = max(largest, float((shown[0] - shown[1]).abs().max()))
    return largest


def page(found: dict[str, dict[str, list[float]]], count: int) -> str:
    rows: list[tuple[Any, ...]] = [
        (
            name,
            precision,
            f"{statistics.median(values):.2g}",
            f"{max(values):.2g}",
        )
        for name, by_precision in found.items()
        for precision, values in by_precision.items()
    ]
    return (
        f"# graphs\n\nExported graphs beside their model, {HELD + LET_GO} frames, poked and let go, {count} pokes each: "
        "the largest difference of flow anywhere, in pixels of the model; of models that paint (paper64, paper128) of x_hat, "
        "of [-1, 1]. The first is small64 as it is in the package, the others have drawn weights.\n\n"
        + table(("model", "precision", "median", "largest"), rows)
    )


if __name__ == "__main__":
    typer.run(main)
