"""The base's graphs without weights, as the package carries them: a page opens at once, and weights are stored once."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from torch import Tensor

from poke2vid.export.engine import read_description
from poke2vid.export.names import DESCRIPTION, TOUCH_GRAPHS
from poke2vid.files import atomic, read_tensors, write_json
from poke2vid.model.eight_bits import from_eight_bits
from poke2vid.types import InputError

# Prefix of the names of a graph's tensors that are the model's own, and suffix of those stored in half precision.
WEIGHTS = "model."
HALF = "_half"


def write_skeleton(graphs: Path, out: Path) -> None:
    """Writes the graphs of an export without their weights.

    Args:
        graphs: a folder that `poke2vid export MODEL --out` wrote.
        out: an empty folder.
    """
    out.mkdir(parents=True, exist_ok=True)
    for name in TOUCH_GRAPHS:
        model = onnx.load(graphs / f"{name}.onnx")
        for tensor in model.graph.initializer:
            if _is_weight(tensor):
                tensor.ClearField("raw_data")
        (out / f"{name}.onnx").write_bytes(model.SerializeToString(deterministic=True))
    about: dict[str, Any] = _without_half(read_description(graphs))
    write_json(out / DESCRIPTION, about)


def _without_half(about: dict[str, Any]) -> dict[str, Any]:
    """The description for single precision only: half is no faster on a CPU, and its weights are the same."""
    about["graphs"] = {
        name: {key: value for key, value in entry.items() if "fp16" not in key}
        for name, entry in about["graphs"].items()
    }
    about["checks"] = {"fp32": about["checks"]["fp32"]}
    return about


def assemble(skeleton: Path, weights: Path, out: Path) -> None:
    """Writes the graphs as they were exported, with weights, to `out`, an existing folder.

    Args:
        weights: the model's file.

    Raises:
        InputError: if the two do not belong together.
    """
    tensors = from_eight_bits(read_tensors(weights)[0])
    for name in TOUCH_GRAPHS:
        model = onnx.load(skeleton / f"{name}.onnx")
        for tensor in model.graph.initializer:
            if _is_weight(tensor):
                tensor.raw_data = _bytes(tensor, tensors, weights)
        with atomic(out / f"{name}.onnx") as file:
            file.write_bytes(model.SerializeToString(deterministic=True))
    with atomic(out / DESCRIPTION) as file:  # last, as it says that the graphs are there
        file.write_bytes((skeleton / DESCRIPTION).read_bytes())


def _is_weight(tensor: onnx.TensorProto) -> bool:
    return tensor.name.startswith(WEIGHTS) and tensor.name.endswith(HALF)


def _bytes(tensor: onnx.TensorProto, tensors: dict[str, Tensor], weights: Path) -> bytes:
    name = "model/" + tensor.name.removeprefix(WEIGHTS).removesuffix(HALF)
    found = tensors.get(name)
    if found is None or list(found.shape) != list(tensor.dims):
        raise InputError(f"{weights} is not the model that the package's graphs are of; install poke2vid anew.")
    return found.numpy().astype(np.float16).tobytes()
