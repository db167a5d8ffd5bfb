"""The command `correlate`: maps of what moves with a location of a picture (Fig. 5)."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from poke2vid.cli.options import ModelOption, SubjectOption, WeightsOption

FAINT_HEAT = 0.5  # heat at the touched point; it is 1 if the point goes where it is pulled


def correlate(
    output: Annotated[
        list[Path],
        typer.Option(
            "-o",
            "--output",
            help="png: the maps; npz: the maps as numbers (of a picture only); json: scores, settings; md (of scenes "
            "only): the table. Repeatable.",
        ),
    ],
    image: Annotated[Path | None, typer.Argument(help="The picture, of any size; none is needed with --scene.")] = None,
    at: Annotated[
        list[str] | None, typer.Option("--at", metavar="X,Y", help="The location, in pixels; a map each. Repeatable.")
    ] = None,
    scene: Annotated[
        list[str] | None,
        typer.Option(
            "--scene",
            metavar="FAMILY:N",
            help="Instead of a picture the N-th held-out scene of plants, figures or objects, beside its exact map and "
            "scored against its true parts. Repeatable.",
        ),
    ] = None,
    pokes: Annotated[int, typer.Option("--pokes", help="Random pokes at each location, 2 to 1000.")] = 100,
    longest: Annotated[
        float, typer.Option("--longest", help="Of the pokes, as a share of the picture's longer side.")
    ] = 0.1,
    frames: Annotated[
        int | None, typer.Option("--frames", min=1, help="After which a response is measured. Default: as trained, 10.")
    ] = None,
    points: Annotated[
        int, typer.Option("--points", min=1, help="With --scene and no --at: points on so many different parts.")
    ] = 3,
    measure: Annotated[
        str,
        typer.Option(
            "--measure", help="mean-square, which forgives a lost track; variance, as the paper; or signed-response."
        ),
    ] = "mean-square",
    tracker: Annotated[
        str, typer.Option("--tracker", help="dis, farneback (OpenCV), or raft (slower, needs weights).")
    ] = "dis",
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the pokes.")] = 0,
    model: ModelOption = None,
    subject: SubjectOption = "none",
    weights_dir: WeightsOption = None,
) -> None:
    """Map how closely everything moves with a location, by many random pokes of it."""
    from poke2vid.evaluate.structure.correlate import correlate
    from poke2vid.evaluate.structure.correlators import correlator_for
    from poke2vid.evaluate.structure.maps import Settings, with_frames
    from poke2vid.files import keep_apart
    from poke2vid.live.script import parse_pairs
    from poke2vid.media.pictures import read_picture
    from poke2vid.model.files import called, load_player, use_suitable_threads
    from poke2vid.model.subject import with_subject

    # Check the options
    keep_apart((image, model), output)
    settings = Settings(pokes=pokes, longest=longest, seed=seed, tracker=tracker, measure=measure)
    locations = parse_pairs("--at", at or [])
    _require_one(image, scene, locations)
    # Load the model
    loaded = load_player(model)
    use_suitable_threads(loaded.model)
    settings = with_frames(settings, frames, loaded.about)
    player = with_subject(loaded.model, subject, weights_dir)
    origin = called(loaded.path) + (" with a subject" if subject != "none" else "")
    # One picture
    if image is not None:
        picture, correlator = read_picture(image), correlator_for(player, settings, weights_dir)
        _tell(correlate(correlator, picture, locations, output, origin), output)
        return
    # Simulated scenes with known truth
    from poke2vid.simulator.availability import require_physics

    require_physics()
    from poke2vid.evaluate.structure.report import correlate_scenes

    print(correlate_scenes(player, scene or [], points, locations, output, settings, origin, weights_dir))


def _require_one(image: Path | None, scene: list[str] | None, locations: list[Any]) -> None:
    """Raises InputError unless there is a picture with a location, or a scene."""
    from poke2vid.types import InputError

    if (image is None) == (not scene):
        raise InputError("give a picture with --at X,Y, or --scene FAMILY:N, and not both.")
    if image is not None and not locations:
        raise InputError("say where to poke: --at X,Y, in pixels of the picture.")


def _tell(numbers: dict[str, Any], output: list[Path]) -> None:
    """Prints the result at each location and the files, and on stderr the maps that say little."""
    for place in numbers["locations"]:
        share, there = place["share_above_half"], place["heat_at_l"]
        print(f"at {place['at']}: heat {there} there, above 0.5 on {share:.1%} of the picture")
        if there < FAINT_HEAT:
            print(
                f"poke2vid: at {place['at']} the touched point itself hardly follows a poke, so this map says little; "
                "touch it elsewhere, or give another model.",
                file=sys.stderr,
            )
    print(f"{numbers['seconds']} s -> {', '.join(map(str, output))}")
