"""Drift of an untouched picture, and its return after a poke: with the law of rest and without.

Not a timing. In pixels of the model: the mean length of the decoder's backward flow over the picture, so no tracker is
needed. Models that paint have no flow; their mean absolute change of frame (of [-1, 1]) is given instead.
"""

from pathlib import Path
from typing import Annotated

import torch
import typer
from timing import RESULTS, Machine, table, write_results
from tqdm import tqdm

import poke2vid
from poke2vid.live.animator import Animator, load
from poke2vid.live.law_of_rest import STEADY
from poke2vid.live.session import Session
from poke2vid.types import AS_TRAINED, Frame, Rest

PICTURES = Path(poke2vid.__file__).parent / "assets" / "examples"
AT, SHIFT = (0.47, 0.4), (0.08, -0.04)  # of the picture's width; models are trained on a tenth at most
PULLED = 15  # frames that the poke is held before it is let go
LAWS: dict[str, Rest] = {"F alone": AS_TRAINED, "creep taken away": Rest(0.0, 0.0), "law of rest": Rest()}

SWEPT = {f"k = {k}, rho = {rho}": Rest(k, rho) for k in (0.05, 0.1, 0.2) for rho in (0.0, 0.7, 0.8, 0.93)}


def main(
    models: Annotated[list[Path] | None, typer.Argument(help="Models beside the base in the package.")] = None,
    out: Annotated[Path, typer.Option("--out", help="Folder for drift.json and drift.md.")] = RESULTS,
    frames: Annotated[int, typer.Option("--frames", min=1)] = 1000,
    sweep: Annotated[
        bool, typer.Option("--sweep", help="Other stiffnesses and momenta, let go of; drift_sweep.*.")
    ] = False,
    quick: Annotated[bool, typer.Option("--quick", help="Thirty frames of one picture: does it run?")] = False,
) -> None:
    """Leave pictures alone, poke them, hold them and let go."""
    torch.set_num_threads(1)
    frames = 30 if quick else frames
    pictures = sorted(PICTURES.glob("*.jpg"))[: 1 if quick else None]
    cases = ("let go",) if sweep else ("untouched", "let go", "held")
    marks = [m for m in (10, 25, 100, frames) if m <= frames]
    values: dict[str, dict[str, dict[str, list[float]]]] = {}
    rows = []
    # Every model, law and case
    with Machine() as machine:
        for path in (None, *(models or [])):
            animator, name = load(path or "small64"), "small64" if path is None else path.stem
            for law, rest in tqdm((SWEPT if sweep else LAWS).items(), desc=name, disable=None):
                found = {}
                for case in cases:
                    totals = run(animator, pictures, rest, case, frames)
                    found[case] = [round(totals[mark - 1] / len(pictures), 4) for mark in marks]
                values.setdefault(name, {})[law] = found
                rows.append((name, law, *(" / ".join(f"{v:.3f}" for v in found[case]) for case in found)))
    # The page
    what = (
        "of a picture that was"
        if sweep
        else (
            "of a picture that nobody touches; of one that is held all the time, where F is alone for "
            f"{STEADY} frames and then fades; and of one that was"
        )
    )
    page = (
        f"# drift\n\nMean over {len(pictures)} bundled pictures, after {' / '.join(map(str, marks))} frames, in pixels of the "
        f"model: {what} pulled by a tenth of its width for {PULLED} frames and let go.\n\n"
        + table(("model", "law", *cases), rows)
    )
    write_results(
        out,
        "drift_sweep" if sweep else "drift",
        machine,
        {"frames": marks, "pictures": [p.name for p in pictures], "drift": values},
        page,
    )


def run(animator: Animator, pictures: list[Path], rest: Rest, case: str, frames: int) -> list[float]:
    """Displacement of every frame after the picture was left alone or let go of, summed over pictures."""
    totals = [0.0] * frames
    for picture in pictures:
        session = animator.open(picture, rest=rest)
        prepare(session, case)
        for i in range(frames):
            totals[i] += moved(session.advance(), session)
    return totals


def prepare(session: Session, case: str) -> None:
    if case == "untouched":
        return
    height, width = session.canvas.size
    pointer = session.poke((AT[0] * width, AT[1] * height), (SHIFT[0] * width, SHIFT[1] * width))
    if case == "let go":
        for _ in range(PULLED):
            session.advance()
        session.release(pointer)


def moved(frame: Frame, session: Session) -> float:
    if frame.flow is not None:
        return float(frame.flow.norm(dim=1).mean())
    return float((frame.x_hat - session.canvas.x_0).abs().mean())


if __name__ == "__main__":
    typer.run(main)
