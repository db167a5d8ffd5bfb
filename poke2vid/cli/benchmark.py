"""The commands `bench build`, `bench verify` and `bench run` of PokeBench."""

from pathlib import Path
from typing import Annotated

import typer

from poke2vid.cli.making import tell
from poke2vid.cli.options import WeightsOption, out_folder

bench = typer.Typer(
    help="PokeBench: one first frame, many pokes, the true future of each.", no_args_is_help=True, rich_markup_mode=None
)


@bench.command("build")
def bench_build(
    name: Annotated[str, typer.Argument(help="pokebench-v1 (300 scenes, 128 pixels) or mini (12 scenes, 64 pixels).")],
    out: Annotated[Path, out_folder("A folder; a build that was cut off is continued.")],
    workers: Annotated[int, typer.Option("--workers", min=1, help="Processes.")] = 2,
) -> None:
    """Simulate a benchmark: the same scenes, pokes and futures wherever it is built."""
    from poke2vid.simulator.availability import require_physics

    require_physics()
    from poke2vid.pokebench.build import build_bench, spec_named

    built = build_bench(spec_named(name), out, workers)
    manifest = built.manifest
    print(f"{name}: {len(manifest.scenes)} scenes, identity {manifest.identity[:12]}; {manifest.acceptance}")


@bench.command("verify")
def bench_verify(folder: Annotated[Path, typer.Argument(help="A benchmark made by `bench build`.")]) -> None:
    """Check a benchmark's identity and every file of it."""
    from poke2vid.pokebench.disk import Bench

    tell(folder, Bench.open(folder).verify(), "`poke2vid bench build` mends them")


@bench.command("run")
def bench_run(
    players: Annotated[
        list[str],
        typer.Argument(metavar="PLAYER...", help="Model files or runs; copy, shift-patch and oracle always run."),
    ],
    folder: Annotated[Path, typer.Option("--bench", help="A benchmark made by `bench build`.")],
    out: Annotated[Path, out_folder("Folder for the report; what it holds already is not measured again.")],
    scenes: Annotated[
        int | None,
        typer.Option("--scenes", min=1, help="Only so many of each family, the first by name; default: all."),
    ] = None,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Processes; the result is the same.")] = 1,
    seed: Annotated[int, typer.Option("--seed", help="Of the intervals' resampling.")] = 0,
    tracker: Annotated[
        str, typer.Option("--tracker", help="dis (OpenCV), or farneback: another method, for a cross-check.")
    ] = "dis",
    weights_dir: WeightsOption = None,
) -> None:
    """Score models on a benchmark, beside reference rows, with intervals, plots, grids to look at and a summary."""
    from functools import partial

    from poke2vid.evaluate.bench.grid import write_grids
    from poke2vid.evaluate.bench.run import run_bench
    from poke2vid.files import keep_apart
    from poke2vid.players.named import REFERENCES, load_players
    from poke2vid.pokebench.disk import Bench
    from poke2vid.tracking.trackers import bench_tracker

    keep_apart((folder, *(player for player in players if player not in REFERENCES)), (out,))
    opened = Bench.open(folder)
    manifest, stored, loaded = opened.manifest, opened.scenes(), load_players(players, opened.manifest.arrive)
    report = run_bench(
        stored, loaded, out=out, bench=f"{manifest.name} {manifest.identity[:12]}",
        arrive=manifest.arrive, fps=manifest.fps, weights_dir=weights_dir, seed=seed, per_family=scenes,
        workers=workers, reload=partial(load_players, players, manifest.arrive), acceptance=manifest.acceptance,
        make_tracker=partial(bench_tracker, tracker),
    )  # fmt: skip
    report.write(out)
    write_grids(stored, loaded, manifest.arrive, out / "grids", manifest.fps)
    print(report.to_markdown())
    print(report.summary)
