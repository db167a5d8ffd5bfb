"""`evaluate` and the rest of the paper's section 4."""

from pathlib import Path
from typing import Annotated

import typer

from poke2vid.cli.options import WeightsOption


def evaluate(
    model: Annotated[Path, typer.Argument(help="A model file or a training run's folder.")],
    data: Annotated[Path, typer.Option("--data", help="A store made by `prepare`.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for report.md and report.json.")],
    clips: Annotated[int, typer.Option("--clips", min=1, help="How many clips to draw.")] = 200,
    split: Annotated[str, typer.Option("--split", help="test or train.")] = "test",
    seed: Annotated[int, typer.Option("--seed", help="Of clips and pokes.")] = 0,
    weights_dir: WeightsOption = None,
) -> None:
    """Score a model on unseen videos beside copy-the-first-frame and the truth."""
    from poke2vid.evaluate.heldout import evaluate as run
    from poke2vid.evaluate.heldout import write_report
    from poke2vid.model.files import load_model

    report = run(load_model(model), data, num_clips=clips, seed=seed, split=split, weights_dir=weights_dir)
    write_report(report, out)
    print(report.to_markdown())
