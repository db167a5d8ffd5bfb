"""Writes a model as ONNX files: its graphs in two precisions, described for `model.json`."""

import contextlib
import hashlib
import json
import logging
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import Tensor, nn

from poke2vid import __version__
from poke2vid.export import touch
from poke2vid.export.graphs import BATCH, STATE_INPUTS, EncodeImage, EncodePoke, Signature, Step
from poke2vid.export.names import DRIVE, FORMAT, VERSION
from poke2vid.export.rewrite import with_plain_elu
from poke2vid.files import digest_of
from poke2vid.live.law_of_rest import FADING, STEADY, STOPPED, LiveModel
from poke2vid.model.files import LoadedPlayer
from poke2vid.model.touch_video import TouchVideo
from poke2vid.pokes import MAX_SHIFT, patch_radius
from poke2vid.types import POKE_GAIN

OPSET = 20
UNITS = {
    "x_0": "the picture padded to a square and shrunk, RGB in [-1, 1], b 3 r r",
    "poke_map": "b 3 r r: around each l (dx, dy) as shares of the side times poke_gain, and 1; zero elsewhere; pokes summed",
    "touched": "1 where something touches the object in this step (phi is encode_poke's), 0 where nothing does (rest_phi)",
    "pace": "lambda of what is held: 1, and less once it has been held still for long; live.py says how much",
    "stiffness": "k of the law of rest, 0 ... 1",
    "momentum": "rho of the law of rest, 0 ... 0.99",
    "home": "sigma as encode_image gave it; velocity is zero at first",
    "x_hat": "the frame in [-1, 1]",
    "flow": "pixels of the model: x_hat at a pixel is x_0 at that pixel plus flow, plus repaint",
    "repaint": "in units of frame intensity",
}
# Operators that models like ours need, and that onnxruntime-web has kernels for in both WebGPU and WebAssembly.
OPERATORS = {
    "Add", "Atanh", "AveragePool", "Cast", "Clip", "Concat", "Constant", "Conv", "ConvTranspose", "DepthToSpace", "Div",
    "Elu", "Exp", "Expand", "Gather", "Greater", "GridSample", "Identity", "InstanceNormalization", "LeakyRelu", "Less",
    "Log", "MatMul", "Max", "Min", "Mul", "Neg", "Pow", "ReduceMean", "ReduceSum", "Relu", "Reshape", "Resize", "Shape",
    "Sigmoid", "Slice", "Split", "Sqrt", "Squeeze", "Sub", "Tanh", "Transpose", "Unsqueeze", "Where",
}  # fmt: skip


def signature_of(live: LiveModel) -> Signature:
    """A model's signature, found by a trial step: only the model knows which tensors its state holds."""
    side = live.resolution
    with torch.inference_mode():
        state = live.start(torch.zeros(1, 3, side, side))
        _, frame = live.step(state, None)
    return Signature(len(state.sigma), len(state.context), frame.flow is not None and frame.repaint is not None)


def weights_digest(live: LiveModel) -> str:
    """Digest of a model's weights and shape."""
    return digest_of(live.model.state_dict(), asdict(live.model.config))


def write_graphs(loaded: LoadedPlayer, folder: Path, *, half: bool = True) -> dict[str, Any]:
    """Writes a model's graphs to an existing folder; returns the contents of `model.json`, without its checks."""
    model = loaded.model.float().eval()
    if isinstance(model, TouchVideo):
        about, programs = touch.describe(model, loaded, OPSET), touch.programs(model)
    else:
        live = LiveModel(model)
        signature = signature_of(live)
        about, programs = describe(live, loaded, signature), _programs(live, signature)
    for name, (module, arguments, inputs, outputs) in programs.items():
        exported = _exported(module, arguments, inputs, outputs)
        graph = with_plain_elu(exported)
        if isinstance(model, TouchVideo):
            graph = touch.lighter(graph)
        _require_known_operators(graph, name)
        entry: dict[str, Any] = {"file": f"{name}.onnx"}
        _save(graph, folder / f"{name}.onnx", about)
        if half:
            entry["fp16"] = f"{name}.fp16.onnx"
            _save(halved(exported), folder / f"{name}.fp16.onnx", about)
        for key, file in list(entry.items()):
            data = (folder / file).read_bytes()
            suffix = "" if key == "file" else "_fp16"
            entry |= {f"bytes{suffix}": len(data), f"sha256{suffix}": hashlib.sha256(data).hexdigest()}
        entry |= {"inputs": _shapes(graph.graph.input), "outputs": _shapes(graph.graph.output)}
        about["graphs"][name] = entry
    return about


def describe(live: LiveModel, loaded: LoadedPlayer, signature: Signature) -> dict[str, Any]:
    """Contents of `model.json`, which a program needs to run the graphs; `graphs` is still empty."""
    config, rest, count = live.model.config, live.default_rest, signature.num_levels
    shapes = list(zip(config.level_channels, config.level_sides, strict=True))
    levels = shapes[:1] * count if config.dynamics == "bottleneck" else shapes[:count]
    origin = {k: v for k, v in loaded.about.items() if k in ("trained_on", "step", "code", "store", "converted_from")}
    return {
        "format": FORMAT,
        "version": VERSION,
        "poke2vid": __version__,
        "resolution": live.resolution,
        "poke_kind": live.poke_kind,
        "decoder": "motion" if signature.warps else "rgb",
        "poke_gain": POKE_GAIN,
        "patch_radius": patch_radius(live.resolution),
        "max_shift": MAX_SHIFT,
        "default_rest": {"stiffness": rest.stiffness, "momentum": rest.momentum},
        "pace": {"steady": STEADY, "fading": FADING, "stopped": STOPPED},
        "levels": [{"channels": c, "side": s} for c, s in levels],
        "num_levels": signature.num_levels,
        "num_context": signature.num_context,
        "weights": weights_digest(live),
        "model": asdict(config),
        "origin": origin,
        "units": UNITS,
        "opset": OPSET,
        "graphs": {},
    }


def _programs(
    live: LiveModel, signature: Signature
) -> dict[str, tuple[nn.Module, tuple[Tensor, ...], tuple[str, ...], tuple[str, ...]]]:
    side, batch = live.resolution, 2  # the exporter would take a batch of 1 for a constant
    with torch.no_grad():
        x_0 = torch.zeros(batch, 3, side, side)
        state, drive = live.start(x_0), live.encode_poke(x_0)
    scalars = (torch.ones(batch, 1, 1, 1), torch.ones(batch, 1, 1, 1), torch.tensor([0.1]), torch.tensor([0.8]))
    # Cloned: at the start sigma is home, and the exporter would merge one tensor given twice into one input.
    parts = tuple(t.clone() for part in STATE_INPUTS for t in getattr(state, part))
    return {
        "encode_image": (EncodeImage(live), (x_0,), ("x_0",), signature.image_outputs),
        "encode_poke": (EncodePoke(live), (x_0,), ("poke_map",), (DRIVE,)),
        "step": (Step(live, signature), (drive, *scalars, *parts), signature.step_inputs, signature.step_outputs),
    }


def _exported(
    module: nn.Module, arguments: tuple[Tensor, ...], inputs: Sequence[str], outputs: Sequence[str]
) -> onnx.ModelProto:
    dim = torch.export.Dim(BATCH)
    shapes = [None if name in ("stiffness", "momentum") else {0: dim} for name in inputs]
    fixed = len(arguments) if len(arguments) <= 5 else 5  # a step takes five tensors by name and the rest as one tuple
    dynamic = (*shapes[:fixed], tuple(shapes[fixed:])) if len(arguments) > fixed else tuple(shapes)
    with _quiet(), torch.no_grad():
        program = torch.onnx.export(
            module.eval(),
            arguments,
            dynamo=True,
            opset_version=OPSET,
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_shapes=dynamic,
            verbose=False,
        )
    assert program is not None
    return _plain(program.model_proto)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silences the exporter's logs and warnings about its passes; a user who exports wants the files."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir", "torch.export")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _plain(model: onnx.ModelProto) -> onnx.ModelProto:
    """A graph without the exporter's stack traces and module paths, which would differ from machine to machine."""
    plain = onnx.ModelProto()
    plain.CopyFrom(model)
    del plain.metadata_props[:]
    del plain.graph.metadata_props[:]
    del plain.functions[:]
    del plain.graph.value_info[:]
    plain.doc_string = plain.graph.doc_string = ""
    plain.producer_name, plain.producer_version, plain.graph.name = "poke2vid", __version__, "poke2vid"
    for number, node in enumerate(plain.graph.node):
        del node.metadata_props[:]
        node.doc_string, node.name = "", f"{number}_{node.op_type}"
    for value in (*plain.graph.input, *plain.graph.output):
        value.doc_string = ""
        del value.metadata_props[:]
    for tensor in plain.graph.initializer:
        tensor.doc_string = ""
        del tensor.metadata_props[:]
    onnx.checker.check_model(plain)
    return plain


def halved(model: onnx.ModelProto) -> onnx.ModelProto:
    """A graph in half precision; inputs, outputs and the warp stay single, as coordinates need more than 11 bits."""
    from onnxruntime.transformers.float16 import convert_float_to_float16

    reached, warp = {"flow"}, []
    for node in model.graph.node:  # nodes are in the order of computation
        if reached & set(node.input):
            reached |= set(node.output)
            warp.append(node.name)
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    with _quiet():
        return _without_detours(convert_float_to_float16(copy, keep_io_types=True, node_block_list=warp))


def _without_detours(model: onnx.ModelProto) -> onnx.ModelProto:
    """Removes casts to half and straight back, which the converter puts between any two nodes that it leaves single."""
    halves = {
        node.output[0]: node.input[0]
        for node in model.graph.node
        if node.op_type == "Cast" and node.attribute[0].i == onnx.TensorProto.FLOAT16
    }
    for node in model.graph.node:
        if node.op_type == "Cast" and node.attribute[0].i == onnx.TensorProto.FLOAT and node.input[0] in halves:
            node.input[0] = halves[node.input[0]]
            node.op_type = "Identity"
            del node.attribute[:]
    while True:
        used = {name for node in model.graph.node for name in node.input} | {o.name for o in model.graph.output}
        idle = [node for node in model.graph.node if not used & set(node.output)]
        if not idle:
            return _sorted(model)
        for node in idle:
            model.graph.node.remove(node)


def _sorted(model: onnx.ModelProto) -> onnx.ModelProto:
    """Puts every node after those it needs, as the format demands; the converter appends its casts at the end."""
    known = {value.name for value in (*model.graph.input, *model.graph.initializer)} | {""}
    waiting, order = list(model.graph.node), []
    while waiting:
        ready = [node for node in waiting if known.issuperset(node.input)]
        assert ready, "a graph has no circles"
        order += ready
        known |= {name for node in ready for name in node.output}
        waiting = [node for node in waiting if not known.issuperset(node.output)]
    ordered = [onnx.NodeProto.FromString(node.SerializeToString()) for node in order]
    del model.graph.node[:]
    model.graph.node.extend(ordered)
    return model


def _require_known_operators(model: onnx.ModelProto, name: str) -> None:
    unknown = sorted({node.op_type for node in model.graph.node} - OPERATORS)
    assert not unknown, f"{name} needs operators that a browser may not have: {', '.join(unknown)}"


def _save(model: onnx.ModelProto, path: Path, about: dict[str, Any]) -> None:
    """Saves a graph with the model's description in the file itself, for readers without `model.json`."""
    del model.metadata_props[:]
    for key, value in about.items():
        if key != "graphs":  # a graph describes itself
            entry = model.metadata_props.add()
            entry.key, entry.value = key, value if isinstance(value, str) else json.dumps(value)
    path.write_bytes(model.SerializeToString(deterministic=True))


def _shapes(values: Sequence[onnx.ValueInfoProto]) -> dict[str, list[int | str]]:
    return {
        value.name: [dim.dim_value if dim.HasField("dim_value") else BATCH for dim in value.type.tensor_type.shape.dim]
        for value in values
    }
