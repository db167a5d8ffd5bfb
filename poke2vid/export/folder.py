"""The folder of an export: filled completely or not at all, and never over somebody else's files."""

import contextlib
import json
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from poke2vid.export.names import DESCRIPTION, FORMAT
from poke2vid.files import reason
from poke2vid.types import InputError

FILES = "files.json"  # a page's list of its own files
_UNFINISHED = ".poke2vid-"  # name prefix of a folder that is being filled


def is_export(folder: Path) -> bool:
    """Tells if a folder holds a model's graphs, or the page with them."""
    return any(_description(place) for place in (folder, folder / "model"))


@contextlib.contextmanager
def replacing(out: Path) -> Iterator[Path]:
    """A fresh folder whose files move to `out` if the block succeeds, replacing those of an earlier export.

    Raises:
        InputError: if `out` is a file, holds anything but an earlier export, or cannot be written.
    """
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file; name a folder for the export.")
    earlier = _earlier(out)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        fresh = (out if out.is_dir() else out.parent) / f"{_UNFINISHED}{secrets.token_hex(4)}"
        fresh.mkdir()  # with the mode that the umask gives
    except OSError as error:
        raise InputError(f"cannot write {out}: {reason(error)}.") from error
    try:
        yield fresh
        if out.is_dir():  # kept itself: it may be mounted, or a shell's current folder
            _move(fresh, out, earlier)
        else:
            fresh.rename(out)
    except OSError as error:
        raise InputError(f"cannot write {out}: {reason(error)}.") from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _move(fresh: Path, out: Path, earlier: list[Path]) -> None:
    """Moves files into place, descriptions last: until then `OnnxPlayer` refuses graphs that do not fit theirs."""
    new = [path.relative_to(fresh) for path in fresh.rglob("*") if path.is_file()]
    for path in sorted(new, key=lambda path: (path.name in (DESCRIPTION, FILES), path)):
        (out / path).parent.mkdir(parents=True, exist_ok=True)
        (fresh / path).replace(out / path)
    for path in set(earlier) - set(new):
        (out / path).unlink()
        with contextlib.suppress(OSError):  # not empty yet
            (out / path).parent.rmdir()


def _earlier(out: Path) -> list[Path]:
    """The files of an earlier export, relative to its folder. Raises InputError if there are others beside them."""
    if not out.is_dir():
        return []
    known, found = _known(out), []
    for path in out.rglob("*"):
        inside = path.relative_to(out)
        if path.is_dir() or inside.parts[0].startswith(_UNFINISHED):
            continue
        if inside.as_posix() not in known:
            raise InputError(f"{out} holds other files, such as {inside}; name a new or empty folder for the export.")
        found.append(inside)
    return found


def _known(out: Path) -> set[str]:
    """Files that an earlier export lists as its own."""
    known: set[str] = set()
    for prefix in ("", "model/"):
        about = _description(out / prefix)
        if about is not None:
            graphs = about.get("graphs", {}).values()
            files = [graph[key] for graph in graphs for key in ("file", "fp16") if key in graph]
            known |= {prefix + name for name in (DESCRIPTION, *files)}
    if f"model/{DESCRIPTION}" in known:
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            known |= {FILES, *json.loads((out / FILES).read_text(encoding="utf-8"))["files"]}
    return known


def _description(folder: Path) -> dict[str, Any] | None:
    try:
        about = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
        return about if about["format"] == FORMAT else None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
