"""The program: its commands in the order of their use, and its exit codes."""

import contextlib
import errno
import io
import os
import signal
import sys
from typing import Annotated, NoReturn

import typer

from poke2vid import __version__
from poke2vid.cli.benchmark import bench
from poke2vid.cli.correlate import correlate
from poke2vid.cli.evaluation import evaluate, tables
from poke2vid.cli.exporting import export
from poke2vid.cli.figures import figures
from poke2vid.cli.impulse import impulse
from poke2vid.cli.making import datasets, prepare, simulate, verify
from poke2vid.cli.neighbours import neighbours
from poke2vid.cli.poking import animate
from poke2vid.cli.serving import serve
from poke2vid.cli.training import convert, info, train

INTERRUPTED = "interrupted; no unfinished file is left. Run the same command again to go on."

app = typer.Typer(
    name="poke2vid",
    help="Poke a picture and it moves.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def main() -> NoReturn:
    """Runs it; exits with 0 done, 1 our fault, 2 what the user can mend (one sentence), 130 interrupted (SIGTERM included),
    with all that was finished saved and no unfinished file left.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal of ASCII alone still shows every message
            stream.reconfigure(errors="backslashreplace")
    with contextlib.suppress(ValueError):  # in a thread, whose process then decides by itself
        signal.signal(signal.SIGTERM, _interrupt)
    try:
        app()
    except SystemExit as end:
        _flush()
        if _was_interrupted(end):
            print(f"poke2vid: {INTERRUPTED}", file=sys.stderr)
        raise
    except ValueError as error:
        from poke2vid.types import InputError  # imports torch, which --help must not

        if not isinstance(error, InputError):
            raise
        print(f"poke2vid: {error}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        _no_room()
    _flush()
    sys.exit(0)


def _was_interrupted(end: SystemExit) -> bool:
    """Tells if Ctrl-C or SIGTERM ended a command that has not said so itself; Typer makes an exit of that."""
    exited = end.__context__
    return exited is not None and isinstance(exited.__cause__, KeyboardInterrupt)


def _flush() -> None:
    """Writes what was printed, while a full disk behind the standard output can still be reported."""
    try:
        sys.stdout.flush()
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            _no_room()


def _no_room() -> NoReturn:
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python fails once more at its end
    print("poke2vid: the output cannot be written: the disk is full; free some space and try again.", file=sys.stderr)
    sys.exit(2)


def _interrupt(*_: object) -> NoReturn:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second one does not cut the tidying short
    raise KeyboardInterrupt


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


for command in (
    animate,
    prepare,
    datasets,
    verify,
    simulate,
    train,
    convert,
    info,
    evaluate,
    tables,
    figures,
    correlate,
    neighbours,
    impulse,
    export,
    serve,
):
    app.command()(command)
app.add_typer(bench, name="bench")
