"""The command `figures`: the paper's qualitative figures."""

from pathlib import Path
from typing import Annotated

import typer

from poke2vid.cli.options import PaperModelOption, WeightsOption, out_folder


def figures(
    data: Annotated[Path, typer.Option("--data", help="A store made by `prepare`.")],
    out: Annotated[Path, out_folder("Folder for pictures, videos and index.md.")],
    model: PaperModelOption = None,
    clips: Annotated[int, typer.Option("--clips", min=1, help="How many clips of the test split.")] = 4,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of clips and pokes.")] = 0,
    beside: Annotated[
        list[str] | None,
        typer.Option("--beside", help="Compare with it: a model file or run, copy or shift-patch. Repeatable."),
    ] = None,
    pokes: Annotated[
        Path | None,
        typer.Option("--pokes", help='Your own pokes, JSON: [{"clip": 1, "at": [x, y], "shift": [dx, dy]}, ...].'),
    ] = None,
    frames: Annotated[
        int | None,
        typer.Option("--frames", min=1, max=1000, help="How many to predict; default: until a poke arrives."),
    ] = None,
    flow: Annotated[bool, typer.Option("--flow/--no-flow", help="A last column with each row's flow.")] = True,
    generalisation: Annotated[
        bool,
        typer.Option(
            "--generalisation", help="App. B.3, too: unseen things, four pokes each, the nearest training frame."
        ),
    ] = False,
    fps: Annotated[float, typer.Option("--fps", min=1, max=120, help="Frames a second of the videos.")] = 5.0,
    weights_dir: WeightsOption = None,
) -> None:
    """Show test clips beside what a model makes of them: simulated, user and background pokes, as pictures and videos."""
    from poke2vid.evaluate.figures.write import write_figures
    from poke2vid.files import keep_apart
    from poke2vid.model.files import load_model, use_suitable_threads
    from poke2vid.players.named import REFERENCES

    others = [player for player in beside or [] if player not in REFERENCES]
    keep_apart((data, model, pokes, *others), (out,))
    loaded = load_model(model)
    use_suitable_threads(loaded.model)
    written = write_figures(
        loaded, data, out, num_clips=clips, seed=seed, beside=beside or [], pokes=pokes, frames=frames, flow=flow, fps=fps,
        generalisation=generalisation, weights_dir=weights_dir,
    )  # fmt: skip
    print(f"{len(written)} files, see {out / 'index.md'}")
