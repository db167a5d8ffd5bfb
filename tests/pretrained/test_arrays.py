"""Arrays are read from pickles without running them, and carried over into our networks by name and axis."""

import pickle
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch

from poke2vid.pretrained import from_jax
from poke2vid.pretrained.arrays import read_arrays
from poke2vid.pretrained.features import AlexFeatures, VGG16Features
from poke2vid.pretrained.i3d import I3D
from poke2vid.types import InputError


class Evil:
    """Would make a file when unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> object:
        return (Path.touch, (self.path,))


def random(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random(shape, np.float32)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "weights.ckpt"


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_tree_of_arrays_is_read_in_full(path: Path, protocol: int):
    shared = random(5)
    tree = {
        "net": {"a": random(2, 3), "fortran": np.asfortranarray(random(2, 3, seed=1)), "one": shared},
        "two": shared,
    }
    if protocol in (2, 5):  # protocols whose arrays are stored by other calls than those that published files hold
        path.write_bytes(pickle.dumps(tree, protocol))
        with pytest.raises(InputError, match="no tree of arrays"):
            read_arrays(path)
        return
    path.write_bytes(pickle.dumps(tree, protocol))
    found = read_arrays(path)
    assert list(found) == ["net/a", "net/fortran", "net/one", "two"]
    for name, value in zip(found, (*tree["net"].values(), shared), strict=True):
        np.testing.assert_array_equal(found[name], value)


def test_nothing_in_a_file_is_run(path: Path, tmp_path: Path):
    path.write_bytes(pickle.dumps({"a": Evil(tmp_path / "touched")}, 4))
    with pytest.raises(InputError, match="no tree of arrays"):
        read_arrays(path)
    assert not (tmp_path / "touched").exists()


@pytest.mark.parametrize(
    "value",
    [
        {"a": np.zeros(2)},
        {"a": np.zeros(2, ">f4")},
        {"a": 3},
        {1: random(2)},
        OrderedDict(a=random(2)),
        [random(2)],
        {"a": {2}},
    ],
    ids=["float64", "big endian", "number", "key", "class", "list", "set"],
)
def test_anything_else_is_refused_in_one_sentence(path: Path, value: object):
    path.write_bytes(pickle.dumps(value, 4))
    with pytest.raises(InputError, match="no tree of arrays") as error:
        read_arrays(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("cut", [0, 10, -1])
def test_half_a_file_is_refused(path: Path, cut: int):
    path.write_bytes(pickle.dumps({"a": random(9)}, 4)[:cut])
    with pytest.raises(InputError, match="no tree of arrays"):
        read_arrays(path)


def test_the_inflated_network_takes_the_arrays_of_its_package():
    arrays = {}
    for key, value in I3D().state_dict().items():
        *unit, layer, part = key.split(".")
        if part in ("num_batches_tracked",) or (layer, part) == ("bn", "weight"):
            continue
        module, *branch = unit
        names = {"b0": "Branch_0/Conv3d_0a_1x1", "b1a": "Branch_1/Conv3d_0a_1x1", "b1b": "Branch_1/Conv3d_0b_3x3",
                 "b2a": "Branch_2/Conv3d_0a_1x1", "b2b": "Branch_2/Conv3d_0b_3x3", "b3b": "Branch_3/Conv3d_0b_1x1"}  # fmt: skip
        place = "Logits/Conv3d_0c_1x1" if module == "logits" else "/".join((module, *(names[b] for b in branch)))
        jax = {"weight": "kernel", "bias": "bias", "running_mean": "mean", "running_var": "var"}[part]
        collection = "batch_stats" if "running" in part else "params"
        layer = {"conv3d": "Conv_0", "bn": "BatchNorm_0"}[layer]
        array = value.numpy()
        arrays[f"{collection}/{place}/{layer}/{jax}"] = (
            array.transpose(2, 3, 4, 1, 0)
            if jax == "kernel"
            else array.reshape(1, 1, 1, 1, -1)
            if "running" in part
            else array
        )
    net = I3D()
    found = from_jax.i3d(arrays)
    assert all(torch.equal(found[key], value) for key, value in net.state_dict().items() if key.endswith("bn.weight"))
    net.load_state_dict(found)


@pytest.mark.parametrize(
    ("kind", "convert", "name"),
    [(AlexFeatures, from_jax.alexnet, "AlexNet_0"), (VGG16Features, from_jax.vgg16, "VGG16_0")],
)
def test_convolutions_come_in_order_and_with_their_axes(kind: type, convert, name: str):
    net = kind()
    weights = [(key, value.numpy()) for key, value in net.state_dict().items()]
    arrays = {"NetLinLayer_0/Conv_0/kernel": random(1, 1, 64, 1)}
    for number in range(len(weights) // 2):
        (_, weight), (_, bias) = weights[2 * number : 2 * number + 2]
        arrays[f"{name}/Conv_{number}/kernel"] = weight.transpose(2, 3, 1, 0)
        arrays[f"{name}/Conv_{number}/bias"] = bias
    found = convert(arrays)
    assert list(found) == list(net.state_dict())
    assert all(torch.equal(found[key], value) for key, value in net.state_dict().items())
