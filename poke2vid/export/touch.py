"""Graphs of a model that sees what it touches: one of a picture, one of a touch; all else needs no network."""

from typing import Any

import numpy as np
import onnx
import torch
from jaxtyping import Float
from torch import Tensor, nn

from poke2vid import __version__
from poke2vid.export.names import FORMAT, LEVELS, TOUCH_VERSION
from poke2vid.files import digest_of
from poke2vid.model.files import LoadedPlayer
from poke2vid.model.touch_encoder import FIELD_SIDE
from poke2vid.model.touch_video import TouchVideo
from poke2vid.pokes import MAX_SHIFT

UNITS = {
    "x_0": "the picture padded to a square and shrunk, RGB in [-1, 1], b 3 r r",
    "mask": "o, where something that moves shows, in 0 ... 1, at the field's side",
    "at": "l, (x, y) in pixels of a picture of the field's side",
    "influence": (
        "b 8 8 h w at half the field's side: seven functions of p times the eight channels of a cell (dx of its four pixels, "
        "then dy), as model/response.py reads them; as the eighth row 15 maps of time (model/swing.py), the logit of what "
        "moves along and 16 of zeros, on 16 x 16 cells, shuffled as pixel_shuffle by 2 does"
    ),
}


class SeePicture(nn.Module):
    """`x_0` to the mask o and E_phi's levels."""

    def __init__(self, model: TouchVideo) -> None:
        super().__init__()
        self.model = model

    def forward(self, x_0: Float[Tensor, "b 3 h w"]) -> tuple[Tensor, ...]:
        mask, levels = self.model.seen(x_0)
        return (mask, *levels)


class SeeTouch(nn.Module):
    """E_phi's levels and l to the influence of a touch."""

    def __init__(self, model: TouchVideo) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, level_1: Tensor, level_2: Tensor, level_3: Tensor, level_4: Tensor, at: Float[Tensor, "b 2"]
    ) -> Tensor:
        return self.model.touched((level_1, level_2, level_3, level_4), at)


def programs(
    model: TouchVideo,
) -> dict[str, tuple[nn.Module, tuple[Tensor, ...], tuple[str, ...], tuple[str, ...]]]:
    """Every graph's module, example arguments, and names of inputs and outputs."""
    batch, side = 2, model.resolution  # the exporter would take a batch of 1 for a constant
    with torch.no_grad():
        x_0 = torch.zeros(batch, 3, side, side)
        _, levels = model.seen(x_0)
    at = torch.tensor([[20.0, 31.5], [40.25, 12.0]])
    return {
        "encode_image": (SeePicture(model), (x_0,), ("x_0",), ("mask", *LEVELS)),
        "encode_touch": (SeeTouch(model), (*levels, at), (*LEVELS, "at"), ("influence",)),
    }


def digest(model: TouchVideo) -> str:
    """Digest of a model's weights and shape."""
    return digest_of(model.state_dict(), model.config.to_json())


def describe(model: TouchVideo, loaded: LoadedPlayer, opset: int) -> dict[str, Any]:
    """Contents of `model.json`, which a program needs to run the graphs; `graphs` is still empty."""
    rest = model.default_rest
    origin = {key: loaded.about[key] for key in ("trained_on", "step", "code", "stores") if key in loaded.about}
    return {
        "format": FORMAT,
        "version": TOUCH_VERSION,
        "kind": "touch",
        "poke2vid": __version__,
        "resolution": model.resolution,
        "field": FIELD_SIDE,
        "poke_kind": model.poke_kind,
        "decoder": "layers",
        "max_shift": MAX_SHIFT,
        "default_rest": {"stiffness": rest.stiffness, "momentum": rest.momentum},
        "weights": digest(model),
        "model": model.config.to_json(),
        "origin": origin,
        "units": UNITS,
        "opset": opset,
        "graphs": {},
    }


def lighter(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same graph in half the bytes: weights that are exact in half precision are stored so, and cast when read."""
    light = onnx.ModelProto()
    light.CopyFrom(model)
    casts = []
    for tensor in light.graph.initializer:
        values = onnx.numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or not np.array_equal(values.astype(np.float16).astype(np.float32), values):
            continue
        name = tensor.name
        tensor.CopyFrom(onnx.numpy_helper.from_array(values.astype(np.float16), f"{name}_half"))
        casts.append(onnx.helper.make_node("Cast", [f"{name}_half"], [name], f"cast_{name}", to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *(onnx.NodeProto.FromString(node.SerializeToString()) for node in light.graph.node)]
    del light.graph.node[:]
    light.graph.node.extend(nodes)
    onnx.checker.check_model(light)
    return light
