"""The command `animate`: pokes a picture."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from poke2vid.cli.options import SubjectOption, WeightsOption


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
    model: Annotated[
        Path | None,
        typer.Option("--model", help="A model file, a run's folder or an export; without it the shipped base."),
    ] = None,
    subject: SubjectOption = "none",
    weights_dir: WeightsOption = None,
    plain: Annotated[bool, typer.Option("--plain", help="Draw no arrow and no target dot.")] = False,
    size: Annotated[
        int | None,
        typer.Option(
            "--size", help="Longer side of what is written, 16 to 4096; a picture is never enlarged. Default: 512."
        ),
    ] = None,
) -> None:
    """Poke a picture and write what happens."""
    from poke2vid.export.names import holds_graphs
    from poke2vid.files import keep_apart
    from poke2vid.live.animate import animate as run
    from poke2vid.live.animate import choose_script, oversized, remarks_on
    from poke2vid.live.animator import Animator, load
    from poke2vid.live.canvas import LARGEST_SIDE, MAX_SIDE
    from poke2vid.model.files import use_suitable_threads
    from poke2vid.model.subject import with_subject

    if size is not None and not 16 <= size <= LARGEST_SIDE:
        raise typer.BadParameter(f"{size} is outside 16 ... {LARGEST_SIDE} pixels", param_hint="--size")
    keep_apart((image, script, model), output)
    # Load a model or an export
    if model is not None and holds_graphs(model):
        from poke2vid.export.touch_engine import player_of  # loads ONNX Runtime, which a model does not need

        player = player_of(model)
        animator = Animator(with_subject(player, subject, weights_dir), player.about)
    else:
        animator = load(model, subject=subject, weights_dir=weights_dir)
    # Play the pokes and report
    use_suitable_threads(animator.player)
    events = choose_script(script, at or [], shift or [], kind, frames)
    asked = {} if at is None else {"name": lambda number: f"--at {at[number]}"}
    for remark in (*remarks_on(animator.player, events), *oversized(image, output, events.frames + 1, size)):
        print(f"poke2vid: {remark}", file=sys.stderr)
    numbers = run(animator, image, events, output, fps=fps, plain=plain, max_side=size or MAX_SIDE, **asked)
    for poke in numbers["pokes"]:
        how = "pushed" if poke["kind"] == "impulse" else "pulled"
        print(
            f"poked at {poke['at']}, {how} by {poke['shift']}: now at {poke['arrived']} (tracker: {numbers['tracker']})"
        )
    print(f"{numbers['frames']} frames at {numbers['frames_per_second']} a second -> {', '.join(map(str, output))}")
