"""Conversion of the authors' checkpoints to our models (docs/decisions/001)."""

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypeGuard

import torch
from torch import Tensor

from poke2vid.model.config import ModelConfig, released_config
from poke2vid.model.files import save_model
from poke2vid.model.poke_video import PokeVideo
from poke2vid.types import InputError

RELEASED_RESOLUTIONS = (32, 64, 128, 256)
_MODEL = "model"  # key of the network in a checkpoint, which also holds optimisers
_PARALLEL = "module."  # prefix of every name in a network that was saved inside DataParallel
_RES_BLOCK = {"conv1.conv": "first", "conv2.conv": "second", "res_conv.conv": "shortcut"}
_GATES = ("update_gate", "reset_gate", "out_gate")  # z, r, candidate: the order within our `from_input`


def convert_checkpoint(source: Path, target: Path) -> PokeVideo:
    """Writes the network of a released checkpoint as a model file of ours.

    Raises:
        InputError: if `source` is not such a checkpoint, or `target` cannot be written.
    """
    config, tensors = convert_released(read_released(source))
    model = released_model(config, tensors)
    with source.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    save_model(target, model, {"converted_from": source.name, "converted_from_sha256": digest})
    return model


def read_released(path: Path) -> dict[str, Tensor]:
    """The network in a checkpoint of the released code: its entry "model", or the whole file if it holds nothing else.

    Only tensors and plain values are read from the file; none of its code is run.

    Raises:
        InputError: if the file is missing, is not a torch checkpoint, or holds no network.
    """
    if not path.is_file():
        raise InputError(f"there is no file {path}; check the path.")
    try:
        contents = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # on other kinds of bytes torch's reader may raise anything
        raise InputError(
            f"{path} cannot be read as a checkpoint of plain tensors: it is damaged, not written by torch.save, or holds "
            "objects that would run code; use a checkpoint as the released code wrote it."
        ) from error
    network = contents.get(_MODEL, contents) if isinstance(contents, Mapping) else None
    if not _is_network(network):
        raise InputError(f"{path} holds no network by names; use a checkpoint as the released code wrote it.")
    return dict(network)


def _is_network(value: object) -> TypeGuard[Mapping[str, Tensor]]:
    return isinstance(value, Mapping) and all(
        isinstance(name, str)
        and isinstance(tensor, Tensor)
        and tensor.is_floating_point()
        and tensor.layout == torch.strided
        for name, tensor in value.items()
    )


def convert_released(state: Mapping[str, Tensor]) -> tuple[ModelConfig, dict[str, Tensor]]:
    """The released network under our names: its config, and a `state_dict` for `PokeVideo(config)`.

    The frames' size is not stored but follows from the weights' shapes, given the published 16 x 16 bottleneck. Nor is
    the unit of pokes stored; it is taken as the pixel, as for the paper's fixed-length models. The code's variant of
    variable length has the same tensors but was trained on flow divided by its data set's largest.

    Raises:
        InputError: naming every tensor that is missing, unexpected or of another shape.
    """
    if state and all(name.startswith(_PARALLEL) for name in state):
        state = {name.removeprefix(_PARALLEL): tensor for name, tensor in state.items()}
    found = {name: tuple(tensor.shape) for name, tensor in state.items()}
    configs = [released_config(resolution) for resolution in RELEASED_RESOLUTIONS]
    shapes, config = max(
        ((released_shapes(config), config) for config in configs), key=lambda pair: len(pair[0].items() & found.items())
    )
    _require(shapes, found, config.resolution)
    if not all(bool(torch.isfinite(tensor).all()) for tensor in state.values()):
        raise InputError("the released network holds weights that are not finite numbers; use another checkpoint.")
    state = {name: tensor.detach().to(torch.float32) for name, tensor in state.items()}
    tensors = {
        f"{ours}.{kind}": state[f"{theirs}.{kind}"] for theirs, ours in _moved(config) for kind in ("weight", "bias")
    }
    for k, hidden in enumerate(config.level_channels):
        tensors |= _merged_cell(state, k, hidden)
    return config, tensors


def released_model(config: ModelConfig, tensors: Mapping[str, Tensor]) -> PokeVideo:
    """Model from the output of `convert_released`, ready to run."""
    with torch.device("meta"):
        model = PokeVideo(config)
    model.load_state_dict(tensors, assign=True)
    return model.eval()


def released_shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the tensors in the released network of this size."""
    with torch.device("meta"):
        ours = {name: tuple(tensor.shape) for name, tensor in PokeVideo(config).state_dict().items()}
    shapes = {
        f"{theirs}.{kind}": ours[f"{own}.{kind}"] for theirs, own in _moved(config) for kind in ("weight", "bias")
    }
    for k, hidden in enumerate(config.level_channels):
        from_input = ours[f"dynamics.cells.{k}.from_input.weight"][1]
        for gate in _GATES:
            shapes[f"fusion_block.cells.{k}.{gate}.weight"] = (hidden, from_input + hidden, 3, 3)
            shapes[f"fusion_block.cells.{k}.{gate}.bias"] = (hidden,)
    return shapes


def _moved(config: ModelConfig) -> Iterator[tuple[str, str]]:
    """(their name, ours) of every layer whose weight and bias are taken as they are."""
    blocks = [("shape_enc.bottleneck", "object_encoder.bottleneck"), ("dec.in_block", "decoder.first")]
    blocks += [(f"dynamics_enc.bottleneck.{k}", f"poke_encoder.bottleneck.{k}") for k in range(2)]
    for k in range(config.num_levels - 1):
        yield f"shape_enc.blocks.{k}.conv", f"object_encoder.down.{k}.conv"
        yield f"dynamics_enc.model.{k}.conv", f"poke_encoder.down.{k}.conv"
        blocks.append((f"dec.blocks.{k}", f"decoder.up.{k}"))
    for theirs, ours in blocks:
        for layer, own in _RES_BLOCK.items():
            if (ours, own) != ("poke_encoder.bottleneck.1", "shortcut"):  # as wide as its input: the identity
                yield f"{theirs}.{layer}", f"{ours}.{own}"
    for k in range(2, config.num_levels):  # the two coarsest levels have one size, so no upsampler between them
        yield f"fusion_block.cells.{k}.up_gate", f"dynamics.upsamplers.{k - 1}"
    yield "dec.out_conv.conv", "decoder.to_rgb"


def _merged_cell(state: Mapping[str, Tensor], k: int, hidden: int) -> dict[str, Tensor]:
    """A GRU of three convolutions over [input, state] as `ConvGRUCell` holds it: split by input and state, stacked."""
    weights = [state[f"fusion_block.cells.{k}.{gate}.weight"] for gate in _GATES]
    from_input = [weight[:, :-hidden] for weight in weights]
    from_z, from_r, from_reset = (weight[:, -hidden:] for weight in weights)
    ours = f"dynamics.cells.{k}"
    return {
        f"{ours}.from_input.weight": torch.cat(from_input),
        f"{ours}.from_input.bias": torch.cat([state[f"fusion_block.cells.{k}.{gate}.bias"] for gate in _GATES]),
        f"{ours}.from_state.weight": torch.cat((from_z, from_r)),
        f"{ours}.from_reset.weight": from_reset.contiguous(),
    }


def _require(shapes: dict[str, tuple[int, ...]], found: dict[str, tuple[int, ...]], resolution: int) -> None:
    """Raises InputError unless names and shapes are the expected ones."""
    if not shapes.keys() & found.keys():
        raise InputError(
            f"none of the {len(found)} tensors has a name of the released generator's; use the checkpoint of a "
            "fixed-length model, not of a critic or of other code."
        )
    misshapen = [
        f"{name} ({_text(found[name])} instead of {_text(shape)})"
        for name, shape in shapes.items()
        if name in found and found[name] != shape
    ]
    problems = [
        f"{what}: {', '.join(names)}"
        for what, names in (
            ("missing", sorted(shapes.keys() - found.keys())),
            ("unexpected", sorted(found.keys() - shapes.keys())),
            ("of another shape", sorted(misshapen)),
        )
        if names
    ]
    if problems:
        raise InputError(
            f"this is not the released generator, which at {resolution} pixels differs in its tensors ("
            f"{'; '.join(problems)}); use a checkpoint with the published 16 x 16 bottleneck and 512 channels."
        )


def _text(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "one number"
