"""The commands `evaluate` and `tables`: the numbers of the paper's section 4."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from poke2vid.cli.options import (
    ConfirmedOption,
    DownloadOption,
    EvenlyOption,
    KeptOption,
    LpipsOption,
    PublishedOption,
    WeightsOption,
    out_folder,
)


def evaluate(
    model: Annotated[Path, typer.Argument(help="A model, by file or name, or a training run's folder.")],
    data: Annotated[Path, typer.Option("--data", help="A store made by `prepare`.")],
    out: Annotated[Path, out_folder("Folder for report.md and report.json; a run that was cut off is continued.")],
    clips: Annotated[int, typer.Option("--clips", min=1, help="How many clips to draw (the paper: 8000).")] = 200,
    distribution_clips: Annotated[
        int,
        typer.Option(
            "--distribution-clips", min=2, help="The first so many of them for Frechet distances (paper: 1000)."
        ),
    ] = 1000,
    split: Annotated[str, typer.Option("--split", help="test or train.")] = "test",
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of clips and pokes.")] = 0,
    poke_margin: Annotated[
        float | None,
        typer.Option(
            "--poke-margin",
            min=0,
            max=0.5,
            help="Least distance of a poke from the rim of what moves, as a share of the side. Default: as in training.",
        ),
    ] = None,
    evenly: EvenlyOption = False,
    confirmed: ConfirmedOption = False,
    videos: Annotated[
        bool, typer.Option("--videos", help="Write every predicted clip beside its truth as MP4, too.")
    ] = False,
    device: Annotated[str, typer.Option("--device", help="cpu, cuda, cuda:1 ...")] = "cpu",
    tracker: Annotated[
        str,
        typer.Option(
            "--tracker", help="auto: one that did not make the store's pokes; farneback: another, for a cross-check."
        ),
    ] = "auto",
    lpips: LpipsOption = None,
    download: DownloadOption = False,
    weights_dir: WeightsOption = None,
) -> None:
    """Score a model on unseen videos beside copy-the-first-frame and the truth."""
    from poke2vid.evaluate.heldout.evaluate import evaluate as run
    from poke2vid.evaluate.heldout.sources import load_any
    from poke2vid.evaluate.report import write_report
    from poke2vid.files import keep_apart
    from poke2vid.pretrained.features import lpips_named

    keep_apart((model, data), (out,))
    report = run(
        load_any(model), data, num_clips=clips, distribution_clips=distribution_clips, seed=seed, split=split,
        weights_dir=weights_dir, work=out / "rows", videos=out / "videos" if videos else None,
        lpips=lpips_named(lpips), device=device, allow_download=download, poke_margin=poke_margin,
        evenly=evenly, confirmed=confirmed, tracker=tracker,
    )  # fmt: skip
    write_report(report, out)
    print(report.to_markdown())


def tables(
    data: Annotated[Path, typer.Option("--data", help="A store made by `prepare` or `simulate --store`.")],
    out: Annotated[Path, out_folder("Folder for runs, results and tables; what it holds is not made again.")],
    suite: Annotated[str, typer.Option("--suite", help="1, 2, 3, 4, several with commas, or all.")] = "all",
    preset: Annotated[
        str, typer.Option("--preset", help="The model that rows take one thing away from; paper64 on a GPU.")
    ] = "ablation64",
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="A.B=V", help="Override one setting of it. Repeatable.")
    ] = None,
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="Training runs of every row.")] = 2,
    clips: Annotated[int, typer.Option("--clips", min=2, help="Test clips for scores (the paper: 8000).")] = 1000,
    distribution_clips: Annotated[
        int, typer.Option("--distribution-clips", min=2, help="The first so many of them for Frechet distances.")
    ] = 1000,
    dataset: Annotated[
        str | None,
        typer.Option("--dataset", help="pp, iper, taichi or h36m, if the store is that: prints the paper's numbers."),
    ] = None,
    test: Annotated[
        Path | None, typer.Option("--test", help="Another store, whose test videos are scored instead of --data's.")
    ] = None,
    published: PublishedOption = False,
    system_settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set-system", metavar="A.B=V", help="Override one setting of the systems of others. Repeatable."
        ),
    ] = None,
    beside: Annotated[
        list[str] | None,
        typer.Option("--beside", metavar="MODEL", help="A model or run to score as it is, as touch64. Repeatable."),
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="ROW", help="Only this row, as it is labelled. Repeatable.")
    ] = None,
    trained_only: Annotated[
        bool, typer.Option("--trained-only", help="Train nothing; score the rows whose runs are complete.")
    ] = False,
    kept: KeptOption = None,
    evenly: EvenlyOption = False,
    confirmed: ConfirmedOption = False,
    jobs: Annotated[int, typer.Option("--jobs", min=1, help="Runs trained at a time, with one thread each.")] = 1,
    device: Annotated[str, typer.Option("--device", help="cpu, cuda, cuda:1 ...")] = "cpu",
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the test clips and their pokes.")] = 0,
    lpips: LpipsOption = None,
    download: DownloadOption = False,
    weights_dir: WeightsOption = None,
) -> None:
    """The paper's tables: train every row, score all on the same clips, print them in its layout."""
    from poke2vid.evaluate.heldout.scoring import Plan
    from poke2vid.evaluate.tables.layout import joined
    from poke2vid.evaluate.tables.order import Order
    from poke2vid.evaluate.tables.run import make_tables, parse_suites
    from poke2vid.files import keep_apart
    from poke2vid.pretrained.features import lpips_named
    from poke2vid.train.loop import Interrupted
    from poke2vid.train.memory import keep_freed_memory
    from poke2vid.train.presets import preset as find
    from poke2vid.train.settings import override

    keep_apart((data, test), (out,))
    # Train and score all rows
    keep_freed_memory()
    order = Order(
        parse_suites(suite), override(find(preset), settings or []), seeds, Plan(clips, distribution_clips), dataset,
        published, tuple(system_settings or ()), tuple(beside or ()), tuple(only) if only else None,
        trained_only, kept, evenly, confirmed, jobs, device, seed,
        lpips_named(lpips), download,
    )  # fmt: skip
    try:
        made = make_tables(order, data, out, weights_dir, test_path=test)
    except Interrupted as stopped:
        print(f"poke2vid: {stopped}", file=sys.stderr)
        raise typer.Exit(130) from stopped
    print(joined(made, f"-> {out}"))
