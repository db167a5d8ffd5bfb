"""The command `impulse`: motion against the strength of an impulse."""

from pathlib import Path
from typing import Annotated

import typer

from poke2vid.cli.options import out_folder


def impulse(
    model: Annotated[Path, typer.Argument(help="A model trained on impulses, or its training run's folder.")],
    out: Annotated[Path, out_folder("Folder for the report, its plot and videos.")],
    scenes: Annotated[int, typer.Option("--scenes", min=1, help="How many simulated scenes.")] = 16,
    family: Annotated[str, typer.Option("--family", help="plants, figures or objects.")] = "plants",
    seed: Annotated[
        int, typer.Option("--seed", min=0, max=15, help="Of the scenes and of the intervals: 0 ... 15.")
    ] = 0,
) -> None:
    """Plot how much an object moves against the strength of an impulse, beside the simulated truth."""
    from poke2vid.files import keep_apart
    from poke2vid.model.files import load_model, use_suitable_threads
    from poke2vid.simulator.availability import require_physics

    keep_apart((model,), (out,))
    require_physics()
    from poke2vid.evaluate.impulse.run import measure_impulses

    loaded = load_model(model)
    use_suitable_threads(loaded.model)
    report = measure_impulses(loaded, out, scenes=scenes, family=family, seed=seed)
    print(report.to_markdown())
    print(f"the plot -> {out / 'motion.png'}")
