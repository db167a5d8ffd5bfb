"""The command line: parse, build, call. No logic, and nothing heavy is imported before a command runs."""

import os
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from poke2vid import __version__

app = typer.Typer(
    name="poke2vid",
    help="Poke a picture and it moves.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
ModelOption = Annotated[
    Path | None, typer.Option("--model", help="A model file or a training run's folder; without it the shipped base.")
]
WeightsOption = Annotated[
    Path | None,
    typer.Option("--weights-dir", help="Where public weights lie; else POKE2VID_WEIGHTS or the hub's cache."),
]


def main() -> NoReturn:
    """Exit 0 done, 1 our fault, 2 what the user can mend (one sentence), 130 interrupted with everything saved."""
    try:
        app()
    except KeyboardInterrupt:
        print("poke2vid: interrupted", file=sys.stderr)
        sys.exit(130)
    except ValueError as error:
        from poke2vid.types import InputError  # torch comes with it, so not for --help

        if not isinstance(error, InputError):
            raise
        print(f"poke2vid: {error}", file=sys.stderr)
        sys.exit(2)
    sys.exit(0)


def _version(wanted: bool | None) -> None:
    if wanted:
        print(__version__)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool | None, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = None,
) -> None:
    pass


@app.command()
def animate(
    image: Annotated[Path, typer.Argument(help="The picture: PNG, JPEG, WebP, TIFF, BMP or GIF, of any size.")],
    output: Annotated[
        list[Path],
        typer.Option(
            "-o",
            "--output",
            help="mp4, webm, gif or webp: the video; png: a grid of frames; json: numbers. Repeatable.",
        ),
    ],
    at: Annotated[
        list[str] | None, typer.Option("--at", metavar="X,Y", help="Where to poke, in pixels. Repeatable.")
    ] = None,
    shift: Annotated[
        list[str] | None,
        typer.Option("--shift", metavar="DX,DY", help="Where to pull it, in pixels; one for every --at."),
    ] = None,
    script: Annotated[
        Path | None, typer.Option("--script", help="A poke script (JSON) in place of --at and --shift.")
    ] = None,
    kind: Annotated[
        str | None, typer.Option("--kind", help="shift: pull and hold (default); impulse: push once.")
    ] = None,
    frames: Annotated[
        int | None, typer.Option("--frames", min=1, max=10_000, help="How many frames to predict. Default: 25.")
    ] = None,
    fps: Annotated[float, typer.Option("--fps", min=1, max=120, help="Frames a second of the video.")] = 25.0,
    model: ModelOption = None,
    plain: Annotated[bool, typer.Option("--plain", help="Draw no arrow and no target dot.")] = False,
) -> None:
    """Poke a picture and write what happens."""
    from poke2vid.animate import animate as run
    from poke2vid.animate import choose_script
    from poke2vid.model.files import use_suitable_threads
    from poke2vid.session import load

    animator = load(model)
    use_suitable_threads(animator.player)
    events = choose_script(script, at or [], shift or [], kind, frames)
    numbers = run(animator, image, events, output, fps=fps, plain=plain)
    for poke in numbers["pokes"]:
        print(
            f"poked at {poke['at']}, pulled by {poke['shift']}: now at {poke['arrived']} (tracker: {numbers['tracker']})"
        )
    print(f"{numbers['frames']} frames at {numbers['frames_per_second']} a second -> {', '.join(map(str, output))}")


@app.command()
def prepare(
    source: Annotated[Path, typer.Argument(help="A video, or a folder of videos or of frame folders.")],
    out: Annotated[Path, typer.Option("--out", help="The store to write; a run that was cut off is continued.")],
    resolution: Annotated[
        int, typer.Option("--resolution", help="Side of the square frames: 32, 64, 128 or 256.")
    ] = 64,
    fps: Annotated[
        float | None, typer.Option("--fps", min=0.1, help="Thin the frames out to this rate; default: keep all.")
    ] = None,
    flow: Annotated[
        str, typer.Option("--flow", help="dis (OpenCV) or raft (RAFT-small, needs its public weights).")
    ] = "dis",
    lag: Annotated[
        list[int] | None, typer.Option("--lag", min=1, help="Frames from x_0 to x_T; repeatable; default 3, 6, 10.")
    ] = None,
    fit: Annotated[str, typer.Option("--fit", help="crop the middle, stretch, or pad to a square.")] = "crop",
    test: Annotated[
        list[str] | None, typer.Option("--test", help="Names (globs) of the test videos; default: a fifth, by hash.")
    ] = None,
    test_fraction: Annotated[
        float, typer.Option("--test-fraction", min=0, max=0.9, help="Share of videos held out.")
    ] = 0.2,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Processes.")] = 2,
    seed: Annotated[int, typer.Option("--seed", help="Of the split.")] = 0,
    weights_dir: WeightsOption = None,
) -> None:
    """Turn videos into a store that training reads: frames, flow and motion, checked and memory-mapped."""
    from poke2vid.manifest import DEFAULT_LAGS
    from poke2vid.prepare import PrepareSettings
    from poke2vid.prepare import prepare as run

    settings = PrepareSettings(
        resolution=resolution, fps=fps, flow=flow, lags=tuple(lag or DEFAULT_LAGS), fit=fit, test=tuple(test or []),
        test_fraction=test_fraction, workers=workers, seed=seed,
    )  # fmt: skip
    print(run(source, out, settings, weights_dir=weights_dir).summary)


@app.command()
def verify(store: Annotated[Path, typer.Argument(help="A store made by `prepare`.")]) -> None:
    """Check every file of a store against its recorded size and hash."""
    from poke2vid.store import verify as run

    problems = run(store)
    for problem in problems:
        print(problem)
    if problems:
        print(
            f"poke2vid: {len(problems)} problems; `poke2vid prepare` with the same arguments redoes what it can.",
            file=sys.stderr,
        )
        raise typer.Exit(2)
    print(f"{store} is whole.")


@app.command()
def simulate(
    families: Annotated[list[str] | None, typer.Argument(metavar="FAMILY", help="plants, figures or objects.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="A folder; a run that was cut off is continued.")] = None,
    videos: Annotated[int, typer.Option("--videos", min=1, help="How many of each family.")] = 100,
    frames: Annotated[int, typer.Option("--frames", min=2, max=10_000, help="Of each video, at 25 a second.")] = 60,
    resolution: Annotated[int, typer.Option("--resolution", help="Side of the square frames, 16 to 1024.")] = 128,
    split: Annotated[
        str | None, typer.Option("--split", help="train, as without it, or test: they share no species.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Another seed, another set: 0 to 15.")] = 0,
    backgrounds: Annotated[
        Path | None,
        typer.Option("--backgrounds", help="A folder of your photographs, to stand behind half of the scenes."),
    ] = None,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Processes.")] = 2,
    store: Annotated[bool, typer.Option("--store", help="Write a prepared store instead of video files.")] = False,
    test_videos: Annotated[
        int,
        typer.Option("--test-videos", min=0, help="With --store: held-out videos of each family, of other species."),
    ] = 10,
    flow: Annotated[str, typer.Option("--flow", help="With --store: exact, or estimated by dis or raft.")] = "exact",
    lag: Annotated[
        list[int] | None, typer.Option("--lag", min=1, help="With --store: as in prepare; default 3, 6, 10.")
    ] = None,
    truth: Annotated[
        bool,
        typer.Option("--truth", help="Each video's exact flow, parts and depth, too: 15 MB for 60 frames of 128 px."),
    ] = False,
    check: Annotated[bool, typer.Option("--check", help="Say whether this machine can simulate and draw.")] = False,
    weights_dir: WeightsOption = None,
) -> None:
    """Make videos of simulated objects that are pulled, pushed and blown at."""
    from poke2vid.simulator.availability import require_physics, say_what_is_missing

    if check:
        problems = say_what_is_missing()
        print("\n".join(problems) if problems else "this machine can simulate and draw.")
        raise typer.Exit(2 if problems else 0)
    require_physics()
    if out is None:
        raise typer.BadParameter("say where they go: --out FOLDER", param_hint="--out")
    if store and split is not None:
        raise typer.BadParameter(
            "a store has both splits; say how many are held out: --test-videos", param_hint="--split"
        )
    if store and truth:
        raise typer.BadParameter("a store has its exact flow; leave one of the two away", param_hint="--truth")
    from poke2vid.manifest import DEFAULT_LAGS
    from poke2vid.prepare_simulated import simulate_store
    from poke2vid.simulator.backgrounds import Backgrounds
    from poke2vid.simulator.videos import order_families, simulate_videos

    photos = None if backgrounds is None else Backgrounds.find(backgrounds)
    wanted = {"train": videos, "test": test_videos} if store else {split or "train": videos}
    orders = order_families(families or [""], wanted, frames, resolution, seed, photos)
    if store:
        print(simulate_store(orders, out, lag or DEFAULT_LAGS, flow, workers, weights_dir).summary)
    else:
        print(simulate_videos(orders, out, workers, truth=truth).summary)


bench = typer.Typer(
    help="PokeBench: one first frame, many pokes, the true future of each.", no_args_is_help=True, rich_markup_mode=None
)
app.add_typer(bench, name="bench")


@bench.command("build")
def bench_build(
    name: Annotated[str, typer.Argument(help="pokebench-v1 (300 scenes, 128 pixels) or mini (12 scenes, 64 pixels).")],
    out: Annotated[Path, typer.Option("--out", help="A folder; a build that was cut off is continued.")],
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

    problems = Bench.open(folder).verify()
    for problem in problems:
        print(problem)
    if problems:
        print(f"poke2vid: {len(problems)} problems; `poke2vid bench build` mends them.", file=sys.stderr)
        raise typer.Exit(2)
    print(f"{folder} is whole.")


@bench.command("run")
def bench_run(
    players: Annotated[
        list[str],
        typer.Argument(metavar="PLAYER...", help="Model files or runs; copy, shift-patch and oracle always run."),
    ],
    folder: Annotated[Path, typer.Option("--bench", help="A benchmark made by `bench build`.")],
    out: Annotated[
        Path, typer.Option("--out", help="Folder for the report; what it holds already is not measured again.")
    ],
    scenes: Annotated[
        int | None,
        typer.Option("--scenes", min=1, help="Only so many of each family, the first by name; default: all."),
    ] = None,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Processes; the result is the same.")] = 1,
    seed: Annotated[int, typer.Option("--seed", help="Of the intervals' resampling.")] = 0,
    weights_dir: WeightsOption = None,
) -> None:
    """Score models on a benchmark, beside reference rows, with intervals, plots, grids to look at and a summary."""
    from functools import partial

    from poke2vid.evaluate.bench.grid import write_grids
    from poke2vid.evaluate.bench.players import load_players
    from poke2vid.evaluate.bench.run import run_bench
    from poke2vid.pokebench.disk import Bench

    opened = Bench.open(folder)
    manifest, stored, loaded = opened.manifest, opened.scenes(), load_players(players)
    report = run_bench(
        stored, loaded, out=out, bench=f"{manifest.name} {manifest.identity[:12]}",
        arrive=manifest.arrive, fps=manifest.fps, weights_dir=weights_dir, seed=seed, per_family=scenes,
        workers=workers, reload=partial(load_players, players), acceptance=manifest.acceptance,
    )  # fmt: skip
    report.write(out)
    write_grids(stored, loaded, manifest.arrive, out / "grids", manifest.fps)
    print(report.to_markdown())
    print(report.summary)


@app.command()
def train(
    data: Annotated[Path, typer.Option("--data", help="A store made by `prepare`.")],
    out: Annotated[Path, typer.Option("--out", help="The run's folder.")],
    preset: Annotated[str, typer.Option("--preset", help="See the table in poke2vid/train/presets.py.")] = "small64",
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="A.B=V", help="Override one setting. Repeatable.")
    ] = None,
    perceptual: Annotated[
        str | None, typer.Option("--perceptual", help="vgg19, squeeze or none: the network behind L_rec.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the newest checkpoint.")] = False,
    init: Annotated[
        Path | None, typer.Option("--init", help="A model of the same shape to start from; `base` is the shipped one.")
    ] = None,
    minutes: Annotated[float | None, typer.Option("--minutes", help="Stop, saved, after this long.")] = None,
    device: Annotated[str, typer.Option("--device", help="cpu, cuda, cuda:1 ...")] = "cpu",
    workers: Annotated[int, typer.Option("--workers", min=0, help="Processes that prepare batches.")] = 1,
    threads: Annotated[
        int | None, typer.Option("--threads", min=1, help="CPU threads of the networks; default: all.")
    ] = None,
    weights_dir: WeightsOption = None,
) -> None:
    """Train a model in its two stages; stops cleanly at any time and goes on with --resume."""
    import torch

    from poke2vid.model.files import SHIPPED
    from poke2vid.train.config import override
    from poke2vid.train.loop import Interrupted
    from poke2vid.train.loop import train as run
    from poke2vid.train.memory import keep_freed_memory
    from poke2vid.train.presets import preset as find

    keep_freed_memory()
    if threads is not None:
        torch.set_num_threads(threads)
    chosen = [*(settings or []), *([f'perceptual="{perceptual}"'] if perceptual else [])]
    try:
        saved = run(
            override(find(preset), chosen), data, out, resume=resume, init=init if str(init) != "base" else SHIPPED,
            workers=workers, weights_dir=weights_dir, device=device, max_minutes=minutes,
        )  # fmt: skip
    except Interrupted as stopped:
        print(f"poke2vid: {stopped}", file=sys.stderr)
        raise typer.Exit(130) from stopped
    if os.environ.get("RANK", "0") == "0":  # under torchrun one process speaks
        print(f"done: {saved}")


@app.command()
def convert(
    checkpoint: Annotated[
        Path, typer.Argument(help="A checkpoint (.pt) that the paper's authors published or their code wrote.")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="The model file to write (.safetensors).")],
) -> None:
    """Turn a checkpoint of the paper's released code into a model that animate takes."""
    from poke2vid.info import count_parameters
    from poke2vid.model.conversion import convert_checkpoint

    model = convert_checkpoint(checkpoint, output)
    print(f"the released model for {model.resolution} pixels, {count_parameters(model):,} parameters -> {output}")


@app.command()
def info(
    model: Annotated[Path | None, typer.Argument(help="A model or checkpoint; without it the shipped base.")] = None,
) -> None:
    """Print a model's shape, parameters, FLOPs a frame and origin."""
    from poke2vid.info import report

    print(report(model))


@app.command()
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


if __name__ == "__main__":
    main()
