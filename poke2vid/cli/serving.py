"""The command `serve`: the page, on this machine or for others."""

from pathlib import Path
from typing import Annotated

import typer

from poke2vid.cli.options import SubjectOption, WeightsOption


def serve(
    model: Annotated[
        Path | None,
        typer.Option("--model", help="A model file, a run's folder or an export; without it the shipped base."),
    ] = None,
    host: Annotated[
        str, typer.Option("--host", help="The address to listen on; 0.0.0.0 lets others in.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0 takes one that is free.")] = 0,
    engine: Annotated[
        str, typer.Option("--engine", help="browser: pictures stay in the browser; server: it computes here.")
    ] = "browser",
    subject: SubjectOption = "none",
    weights_dir: WeightsOption = None,
    open_browser: Annotated[bool, typer.Option("--open/--no-open", help="Show the page in a browser.")] = False,
    sessions: Annotated[int, typer.Option("--sessions", min=1, help="With --engine server: clients at once.")] = 16,
    sessions_per_address: Annotated[
        int, typer.Option("--sessions-per-address", min=1, help="Of those, from one other address (IPv6: /64).")
    ] = 8,
    picture_mb: Annotated[
        float, typer.Option("--picture-mb", min=0.1, max=64, help="Largest file of a picture, in MiB.")
    ] = 16.0,
    picture_megapixels: Annotated[
        float, typer.Option("--picture-megapixels", min=0.01, max=64, help="Largest picture.")
    ] = 16.0,
    pokes_per_second: Annotated[float, typer.Option("--pokes-per-second", min=1, help="Of one client.")] = 100.0,
    steps_per_second: Annotated[float, typer.Option("--steps-per-second", min=1, help="Of one client.")] = 120.0,
    idle_minutes: Annotated[
        float, typer.Option("--idle-minutes", min=0.1, help="After which a client that does nothing is let go.")
    ] = 5.0,
) -> None:
    """Serve the page: drop in a picture, poke it, and it moves."""
    from typing import get_args

    from poke2vid.export.site import EngineKind
    from poke2vid.serve.rooms import Limits
    from poke2vid.serve.run import serve as run
    from poke2vid.types import InputError

    # Check the options
    kinds = {kind: kind for kind in get_args(EngineKind)}
    if engine not in kinds:
        raise InputError(f"there is no engine {engine!r}; choose one of {', '.join(kinds)}.")
    if subject != "none" and engine != "server":
        raise InputError(
            "a page that computes in the browser has no saliency network; add --engine server to --subject."
        )
    # Limits, then serve
    limits = Limits(
        sessions=sessions,
        sessions_per_address=sessions_per_address,
        picture_bytes=int(picture_mb * 2**20),
        picture_pixels=int(picture_megapixels * 1e6),
        pokes_per_second=pokes_per_second,
        steps_per_second=steps_per_second,
        idle_seconds=60 * idle_minutes,
    )
    try:
        run(
            model, host=host, port=port, engine=kinds[engine], limits=limits, open_browser=open_browser, subject=subject,
            weights_dir=weights_dir,
        )  # fmt: skip
    except KeyboardInterrupt:
        raise typer.Exit(130) from None  # nothing was cut short
