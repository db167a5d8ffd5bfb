"""The commands `prepare`, `datasets`, `verify` and `simulate`, which make and check training data."""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from poke2vid.cli.options import WeightsOption, out_folder

if TYPE_CHECKING:
    from poke2vid.data.sources.dataset import Listing

FamiliesArgument = Annotated[
    list[str] | None, typer.Argument(metavar="FAMILY", help="plants, figures, objects, cabinets.")
]
TruthOption = Annotated[
    bool, typer.Option("--truth", help="Each video's exact flow, parts and depth, too: 15 MB for 60 frames of 128 px.")
]
# Options for stores of pokes only.
BackgroundsOption = Annotated[
    Path | None, typer.Option("--backgrounds", help="A folder of your photographs, to stand behind half of the scenes.")
]
ScenesOption = Annotated[
    int | None, typer.Option("--scenes", help="With --store and --pokes: scenes of each family to poke, for training.")
]
PokesOption = Annotated[
    int | None, typer.Option("--pokes", help="Of each scene: a store of pokes with known causes, not of videos.")
]
TestScenesOption = Annotated[
    int | None, typer.Option("--test-scenes", min=0, help="With --pokes: held-out scenes of each family; default 20.")
]
FilmsOption = Annotated[
    int | None, typer.Option("--films", min=1, help="With --pokes: one poke in so many is filmed; default 50.")
]
LooksOption = Annotated[
    str | None, typer.Option("--looks", help="With --pokes: plain (the default), or wild: any colours, photographs.")
]

VIDEO_FRAMES, FILM_FRAMES = 60, 25
VIDEOS, TEST_VIDEOS, TEST_SCENES, FILMS = 100, 10, 20, 50


def prepare(
    source: Annotated[Path, typer.Argument(help="A video, or a folder of videos or of frame folders.")],
    out: Annotated[Path, out_folder("The store to write; a run that was cut off is continued.")],
    dataset: Annotated[
        str | None, typer.Option("--dataset", help="SOURCE is a copy of it; `poke2vid datasets` lists them.")
    ] = None,
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
    fit: Annotated[
        str | None, typer.Option("--fit", help="crop the middle (the default), stretch, or pad to a square.")
    ] = None,
    test: Annotated[
        list[str] | None, typer.Option("--test", help="Names (globs) of the test videos; default: a fifth, by hash.")
    ] = None,
    test_fraction: Annotated[
        float | None, typer.Option("--test-fraction", min=0, max=0.9, help="Share of videos held out; default 0.2.")
    ] = None,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Processes.")] = 2,
    seed: Annotated[int | None, typer.Option("--seed", help="Of the split; default 0.")] = None,
    weights_dir: WeightsOption = None,
) -> None:
    """Turn videos into a store that training reads: frames, flow and motion, checked and memory-mapped."""
    from poke2vid.data.manifest import DEFAULT_LAGS
    from poke2vid.data.prepare.run import PrepareSettings, prepare_dataset
    from poke2vid.data.prepare.run import prepare as run
    from poke2vid.data.sources.registry import dataset_named
    from poke2vid.files import keep_apart

    keep_apart((source,), (out,))
    settings = PrepareSettings(
        resolution=resolution, fps=fps, flow=flow, lags=tuple(lag or DEFAULT_LAGS), fit=fit or "crop",
        test=tuple(test or []), test_fraction=0.2 if test_fraction is None else test_fraction, workers=workers,
        seed=seed or 0,
    )  # fmt: skip
    if dataset is None:
        print(run(source, out, settings, weights_dir=weights_dir).summary)
        return
    split = {"--test": test or None, "--test-fraction": test_fraction, "--seed": seed}
    _refuse({"--fps": fps, "--fit": fit, **split}, f"the data set {dataset}")
    known = dataset_named(dataset)
    listing = known.listed(source)
    print(f"{known.title}: {summary_of(listing)}.", flush=True)
    print(prepare_dataset(known, listing, out, settings, weights_dir=weights_dir).summary)


def datasets(
    folder: Annotated[
        Path | None, typer.Argument(help="Holds copies in folders of these names; else POKE2VID_DATA.")
    ] = None,
) -> None:
    """List the published data sets that `prepare --dataset` knows, and what of them is on this disk."""
    from poke2vid.data.sources.registry import DATASETS
    from poke2vid.types import InputError

    if folder is None and os.environ.get("POKE2VID_DATA"):
        folder = Path(os.environ["POKE2VID_DATA"])
    for known in DATASETS.values():
        print(f"{known.name}: {known.title}, {known.contents}; licence: {known.licence}\n  {known.page}")
        print(f"  expected: {known.layout}")
        if folder is None:
            continue
        raw = folder / known.name
        try:
            print(f"  {raw}: {summary_of(known.listed(raw))}" if raw.exists() else f"  {raw}: not there")
        except InputError as error:
            print(f"  {error}")
    if folder is None:
        print(
            "To see what of them is on this disk name a folder that holds copies (copies/iper ...), or set POKE2VID_DATA to it."
        )


def summary_of(listing: "Listing") -> str:
    """Contents of a copy of a data set and what is missing from it, in a line."""
    parts = [f"{len(listing.of('train'))} for training, {len(listing.of('test'))} for tests", *listing.remarks]
    return "; ".join([*parts, f"{len(listing.passed_over)} passed over"] if listing.passed_over else parts)


def verify(store: Annotated[Path, typer.Argument(help="A store made by `prepare`.")]) -> None:
    """Check every file of a store against its recorded size and hash."""
    from poke2vid.data.poke_store import is_poke_store, verify_pokes
    from poke2vid.data.store import verify as verify_videos

    problems = verify_pokes(store) if is_poke_store(store) else verify_videos(store)
    tell(store, problems, "the command that made the store redoes what it can")


def tell(place: Path, problems: Sequence[str], mends: str) -> None:
    """Says that a folder is whole, or names its problems and what mends them; ends the command with 2 then."""
    for problem in problems:
        print(problem)
    if problems:
        count = f"{len(problems)} problem{'s' * (len(problems) > 1)}"
        print(f"poke2vid: {count}; {mends}.", file=sys.stderr)
        raise typer.Exit(2)
    print(f"{place} is whole.")


def simulate(
    families: FamiliesArgument = None,
    out: Annotated[Path | None, out_folder("A folder; a run that was cut off is continued.")] = None,
    videos: Annotated[int | None, typer.Option("--videos", min=1, help="How many of each family; default 100.")] = None,
    frames: Annotated[
        int | None,
        typer.Option("--frames", min=2, max=10_000, help="Of each video, at 25 a second: 60; of each film: 25."),
    ] = None,
    resolution: Annotated[int, typer.Option("--resolution", help="Side of the square frames, 16 to 1024.")] = 128,
    split: Annotated[
        str | None, typer.Option("--split", help="train, as without it, or test: they share no species.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Another seed, another set: 0 to 15.")] = 0,
    backgrounds: BackgroundsOption = None,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Processes.")] = 2,
    store: Annotated[bool, typer.Option("--store", help="Write a prepared store instead of video files.")] = False,
    test_videos: Annotated[
        int | None,
        typer.Option("--test-videos", min=0, help="With --store: held-out videos of each family; default 10."),
    ] = None,
    flow: Annotated[
        str | None, typer.Option("--flow", help="With --store: exact (the default), or estimated by dis or raft.")
    ] = None,
    lag: Annotated[
        list[int] | None, typer.Option("--lag", min=1, help="With --store: as in prepare; default 3, 6, 10.")
    ] = None,
    truth: TruthOption = False,
    scenes: ScenesOption = None,
    pokes: PokesOption = None,
    test_scenes: TestScenesOption = None,
    films: FilmsOption = None,
    looks: LooksOption = None,
    check: Annotated[bool, typer.Option("--check", help="Say whether this machine can simulate and draw.")] = False,
    weights_dir: WeightsOption = None,
) -> None:
    """Make videos of simulated objects that are pulled, pushed and blown at."""
    from poke2vid.files import keep_apart
    from poke2vid.simulator.availability import missing_requirements, require_physics

    # Checks of machine and options
    if check:
        problems = missing_requirements()
        print("\n".join(problems) if problems else "this machine can simulate and draw.")
        raise typer.Exit(2 if problems else 0)
    require_physics()
    if out is None:
        raise typer.BadParameter("say where they go: --out FOLDER", param_hint="--out")
    _require_fitting(store, split, truth)
    keep_apart((backgrounds,), (out,))
    # A store of pokes
    if scenes is not None or pokes is not None:
        others = {"--videos": videos, "--test-videos": test_videos, "--flow": flow, "--lag": lag, "--split": split}
        _refuse({**others, "--truth": truth or None}, "a store of pokes")
        print(
            _simulate_pokes(
                families, out, scenes, pokes, TEST_SCENES if test_scenes is None else test_scenes, films or FILMS, frames,
                resolution, seed, workers, store, looks or "plain", backgrounds,
            )
        )  # fmt: skip
        return
    # Videos, or a store of them
    _refuse({"--test-scenes": test_scenes, "--films": films, "--looks": looks}, "videos")
    if not store:
        _refuse({"--flow": flow, "--lag": lag or None, "--test-videos": test_videos}, "a folder of videos")
    from poke2vid.data.manifest import DEFAULT_LAGS
    from poke2vid.data.prepare.simulated import simulate_store
    from poke2vid.simulator.backgrounds import Backgrounds
    from poke2vid.simulator.videos import order_families, simulate_videos

    photos = None if backgrounds is None else Backgrounds.find(backgrounds)
    count, held_out = videos or VIDEOS, TEST_VIDEOS if test_videos is None else test_videos
    wanted = {"train": count, "test": held_out} if store else {split or "train": count}
    orders = order_families(families or [""], wanted, frames or VIDEO_FRAMES, resolution, seed, photos)
    if store:
        print(simulate_store(orders, out, lag or DEFAULT_LAGS, flow or "exact", workers, weights_dir).summary)
    else:
        print(simulate_videos(orders, out, workers, truth=truth).summary)


def _require_fitting(store: bool, split: str | None, truth: bool) -> None:
    """Raises BadParameter for options that ask for what a store has anyway."""
    if store and split is not None:
        raise typer.BadParameter(
            "a store has both splits; say how many are held out: --test-videos", param_hint="--split"
        )
    if store and truth:
        raise typer.BadParameter("a store has its exact flow; leave one of the two away", param_hint="--truth")


def _refuse(others: Mapping[str, object], made: str) -> None:
    """Raises BadParameter for a given option that has no effect on what is made."""
    for option, value in others.items():
        if value is not None:
            raise typer.BadParameter(f"{made} does not look at it; leave it away", param_hint=option)


def _simulate_pokes(
    families: list[str] | None, out: Path, scenes: int | None, pokes: int | None, test_scenes: int, films: int,
    frames: int | None, resolution: int, seed: int, workers: int, store: bool, looks: str, backgrounds: Path | None,
) -> str:  # fmt: skip
    """Makes a store of pokes with known causes; returns the line to print."""
    if scenes is None or pokes is None or not store:
        raise typer.BadParameter(
            "pokes with known causes need all three: --scenes N --pokes K --store", param_hint="--pokes"
        )
    for name, value in (("--scenes", scenes), ("--pokes", pokes)):
        if value < 1:
            raise typer.BadParameter(f"{value} is less than 1; choose 1 or more", param_hint=name)
    if looks not in ("plain", "wild"):
        raise typer.BadParameter(f"there are no looks {looks!r}; choose plain or wild", param_hint="--looks")
    if backgrounds is not None and looks == "plain":
        raise typer.BadParameter("photographs belong to wild looks: add --looks wild", param_hint="--backgrounds")
    from poke2vid.data.simulate_pokes import poke_settings, simulate_pokes
    from poke2vid.simulator.looks.photographs import Photographs

    photographs = Photographs.find(backgrounds) if looks == "wild" else None
    settings = poke_settings(resolution, pokes, films, frames or FILM_FRAMES, photographs)
    wanted: dict[Literal["train", "test"], int] = {"train": scenes, "test": test_scenes}
    return simulate_pokes(families or [""], wanted, out, settings, seed, workers, photographs).summary
