"""Atomic file writes, and tensors with a JSON object in one safetensors file with a checksum."""

import contextlib
import errno
import hashlib
import json
import math
import os
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from poke2vid.types import InputError

REPORTS = (".gif", ".html", ".md", ".mp4", ".png", ".webm", ".webp")  # no part of a model, store, run or export
MANIFEST = "manifest.json"  # of a store or a benchmark: it lists all of their files
_SEALED = ("entry.json", "scene.json")  # in each video, shard or scene of a store, which lists all of its files
_ENTRY = "poke2vid"  # header entry by which a safetensors file is known as ours


@contextlib.contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yields a temporary file beside `path` (same suffix) that replaces it if the block succeeds, else is deleted.

    A symbolic link is written through: the file it names is replaced. A replaced file keeps its mode; a new one has the
    mode that the umask gives.

    Raises:
        InputError: if the folder cannot be written or the disk is full; an earlier file at `path` is still there.
    """
    temporary: Path | None = None
    try:
        whole = Path(os.path.realpath(path))
        if whole.is_symlink():
            raise OSError(errno.ELOOP, "its links lead in a circle")
        whole.parent.mkdir(parents=True, exist_ok=True)
        temporary = _new_beside(whole)
        mode = temporary.stat().st_mode
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        # A library may have put a file of its own in its place, as safetensors does, which only its owner may read.
        temporary.chmod((whole.stat().st_mode if whole.exists() else mode) & 0o7777)
        temporary.replace(whole)
    except OSError as error:
        raise InputError(f"cannot write {path}: {reason(error)}.") from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _new_beside(path: Path) -> Path:
    """Creates an empty hidden file beside a file, with a random name, its suffix, and the mode that the umask gives."""
    while True:
        fresh = path.with_name(f".{path.stem[:100]}-{secrets.token_hex(4)}{path.suffix}")
        with contextlib.suppress(FileExistsError):
            os.close(os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
            return fresh


def writable(folder: Path) -> Path:
    """The folder, made where there was none; raises InputError if no file can be made in it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _new_beside(folder / "writable").unlink()
    except OSError as error:
        raise InputError(f"cannot write into {folder}: {reason(error)}.") from error
    return folder


def keep_apart(inputs: Iterable[Path | str | None], outputs: Iterable[Path | None]) -> None:
    """Checks, before anything is written, that no output would overwrite an input or another output.

    Another path to the same file counts as the file itself: a link, a hard link, a name in another case. So does a file
    that already lies in an input folder, unless it is a picture, a video or a page, which no model or store reads, and
    anything among the videos, shards or scenes of a store, which lists all that belongs there.

    Raises:
        InputError: naming both.
    """
    given = [Path(path) for path in inputs if path is not None]
    wanted = [path for path in outputs if path is not None]
    for number, output in enumerate(wanted):
        for source in given:
            if _is_among_sealed(output, source):
                raise InputError(f"{output} would lie among the files of {source}; choose an output beside it.")
            if _same(output, source) or _part_of(output, source):
                raise InputError(f"{output} is an input ({source}), and would be overwritten; choose another output.")
        for other in wanted[:number]:
            if _same(output, other):
                raise InputError(f"{output} is named as an output twice (the other is {other}); choose another name.")


def check_suffixes(paths: Iterable[Path], known: Sequence[str]) -> None:
    """Raises InputError for the first path with another suffix, in any case."""
    for path in paths:
        if path.suffix.lower() not in known:
            raise InputError(f"{path} has no known kind; let the name end in {', '.join(known)}.")


def _same(one: Path, other: Path) -> bool:
    """Tells if two paths name one file or folder."""
    if one.exists() and other.exists():
        return one.samefile(other)  # also hard links
    return os.path.realpath(one).casefold() == os.path.realpath(other).casefold()


def _part_of(output: Path, folder: Path) -> bool:
    """Tells if an output is a file that an input folder already holds and that may be read from it."""
    if output.is_dir() or not output.exists() or not folder.is_dir() or output.suffix.lower() in REPORTS:
        return False
    return Path(os.path.realpath(folder)) in Path(os.path.realpath(output)).parents


def is_sealed(folder: Path) -> bool:
    """Tells if a folder is a store or a benchmark, by the manifest that lists its files."""
    return (folder / MANIFEST).exists()


def _is_among_sealed(output: Path, folder: Path) -> bool:
    """Tells if an output would lie in the folder of a store's videos, shards or scenes, or in one of these."""
    whole, place = Path(os.path.realpath(folder)), Path(os.path.realpath(output))
    between = [one for one in (place, *place.parents) if whole in one.parents]
    return any(next(one.glob(f"*/{name}"), None) is not None for one in between for name in _SEALED)


def reason(error: OSError) -> str:
    """Description of a file error and its fix, without an errno."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "the disk is full; free some space and try again"
    return f"{(error.strerror or str(error)).lower()}; choose a place that can be written"


def read_json(path: Path) -> Any:
    """Parses a JSON file as editors save it: UTF-8, UTF-16 or UTF-32, with or without a byte order mark.

    Raises:
        OSError: if it cannot be read.
        ValueError: if it is no JSON, in words for the user.
    """
    try:
        return json.loads(path.read_bytes())
    except UnicodeDecodeError as error:
        raise ValueError("its text is not UTF-8; save it as UTF-8") from error
    except RecursionError as error:
        raise ValueError("its lists or objects are nested too deeply") from error


def write_json(path: Path, value: Any) -> None:
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def without_nan(value: Any) -> Any:
    """A JSON value with null for NaN and infinities, which are not JSON: programs in other languages refuse them."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: without_nan(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(part) for part in value]
    return value


def digest_of(tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> str:
    """sha256 over the JSON object and over names, types, shapes and bytes of the tensors, sorted by name."""
    sha = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        sha.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        sha.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return sha.hexdigest()


def write_tensors(path: Path, tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> None:
    """Writes tensors and a JSON object to one safetensors file, atomically, with a digest of both in its header."""
    whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    # One header entry, because safetensors writes several in any order and equal files should have equal bytes.
    header = {_ENTRY: json.dumps({"about": dict(about), "digest": digest_of(whole, about)}, sort_keys=True)}
    with atomic(path) as temporary:
        try:
            save_file(whole, temporary, metadata=header)
        except SafetensorError as error:  # how that library reports a full disk, too
            raise OSError(errno.ENOSPC if "os error 28" in str(error) else errno.EIO, str(error)) from error


def read_about(path: Path) -> dict[str, Any]:
    """Reads the JSON object of a file written by `write_tensors`, without its tensors.

    Raises:
        InputError: if the file is missing, is not a safetensors file, or is not one of ours.
    """
    return _open(path)[0]


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Reads and verifies the tensors and JSON object of a file written by `write_tensors`.

    Raises:
        InputError: as `read_about`, or if the tensors or the object do not match their digest.
    """
    about, digest = _open(path)
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    if digest_of(tensors, about) != digest:
        raise InputError(f"{path} is damaged: its contents do not match its checksum; take an intact copy.")
    return tensors, about


def _open(path: Path) -> tuple[dict[str, Any], str]:
    if not path.is_file():
        raise InputError(f"there is no file {path}; check the path.")
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise InputError(
            f"{path} is not a poke2vid file or was cut short; models are .safetensors files written by poke2vid."
        ) from error
    try:
        entry = json.loads(header[_ENTRY])
        about, digest = entry["about"], entry["digest"]
        if not isinstance(about, dict):
            raise TypeError(about)
        return about, digest
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise InputError(f"{path} was not written by poke2vid; use a model made by `poke2vid train`.") from error


def fault_of(error: Mapping[str, Any]) -> str:
    """An error of pydantic in plain words, after the place of the field that is wrong, if it is one field."""
    place, what = ".".join(map(str, error["loc"])), str(error["msg"]).removeprefix("Value error, ")
    if error.get("type") in ("model_type", "dataclass_type", "dict_type"):
        what = "it should be an object, in braces"
    return f"{place}: {what[:1].lower()}{what[1:]}" if place else what
