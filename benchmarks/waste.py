"""FLOPs that the released training step computes for nothing, and a check that ours does not. Counts, not timings.

The released dynamics step (`released_eager.training_terms`, its losses on one batch) is mended one waste at a time, in
the order of `WASTES`; a waste is what its mending saves. The last must cost what `poke2vid train` costs on the same
architecture with the same losses. Everything runs on torch's meta device: shapes only, so seconds suffice.
"""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from released_eager import EagerVGG19, GruCell, ReleasedEager, perceptual, training_terms
from timing import RESULTS, Machine, table, write_results
from torch import Tensor, nn
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from poke2vid.losses import weighted_sum
from poke2vid.model.config import released_config
from poke2vid.model.poke_video import PokeVideo
from poke2vid.pretrained.features import VGG19Features
from poke2vid.train import steps
from poke2vid.train.config import LossWeights, TrainConfig
from poke2vid.train.data import Batch

FRAMES = 10  # T
WASTES = {  # in the order in which they are mended; PAPER-NOTES section 7
    "target_graphs": "targets with gradients: E_sigma and VGG-19 of the true frames keep and run a graph",
    "decoded_truth": "decoded truth: G(E_sigma(x_i)), which no loss reads",
    "vgg_gradients": "VGG-19 with gradients for its own weights",
    "vgg_tail": "VGG-19's last two convolutions, which no loss reads",
    "phi_every_step": "phi convolved anew at every step: the input half of the first cell's gates",
    "single_gates": "unmerged gates: a convolution call for each of z, r and candidate",
    "object_encoder_gradients": "gradients for sigma_0 and E_sigma(x_0), which this step's optimiser does not have",
}


@dataclass(frozen=True)
class Wastes:
    """Wastes that are present; all of them is the released step."""

    target_graphs: bool = True
    decoded_truth: bool = True
    vgg_gradients: bool = True
    vgg_tail: bool = True
    phi_every_step: bool = True
    single_gates: bool = True
    object_encoder_gradients: bool = True

    @staticmethod
    def before(number: int) -> "Wastes":
        """All wastes but the first `number`, which are mended."""
        return Wastes(**{field.name: k >= number for k, field in enumerate(fields(Wastes))})


@dataclass(frozen=True)
class Count:
    """FLOPs (one multiply-accumulate is two) and convolution calls, forward and backward."""

    flops: int
    convolutions: int


class _Convolutions(TorchDispatchMode):
    """Counts calls of convolutions, those of a backward pass too."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.calls += func._overloadpacket in (torch.ops.aten.convolution, torch.ops.aten.convolution_backward)
        return func(*args, **(kwargs or {}))


@contextmanager
def counted() -> Iterator[list[Count]]:
    """A list that holds one `Count` of the block once it has ended."""
    found: list[Count] = []
    calls = _Convolutions()
    with FlopCounterMode(display=False) as flops, calls:
        yield found
    found.append(Count(flops.get_total_flops(), calls.calls))


def main(
    out: Annotated[Path, typer.Option("--out", help="Folder for waste.json and waste.md.")] = RESULTS,
    quick: Annotated[bool, typer.Option("--quick", help="One clip of three frames at 64 pixels only.")] = False,
) -> None:
    """Count the FLOPs of the released step, of each waste in it, and of ours."""
    with Machine() as machine:
        sizes = ((64, 1, 3),) if quick else ((64, 10, FRAMES), (128, 10, FRAMES))
        found = {str(side): count(side, batch, frames) for side, batch, frames in sizes}
    write_results(out, "waste", machine, {"by_resolution": found}, _page(found))


def count(side: int, batch: int, num_frames: int) -> dict[str, Any]:
    """The chain of counts from the released step to one without waste, and ours, for a batch of clips."""
    clip = torch.zeros(batch, num_frames + 1, 3, side, side, device="meta")
    poke_map = torch.zeros(batch, 3, side, side, device="meta")
    with counted() as whole:
        model, vgg = _released(side)
        training_terms(model, vgg, clip, poke_map[:, :2]).total.backward()
    chain = [mended(side, clip, poke_map[:, :2], Wastes.before(number)) for number in range(len(WASTES) + 1)]
    assert chain[0] == whole[0], "what is mended here is not the released step"
    return {
        "clips": batch,
        "frames": num_frames,
        "released": vars(whole[0]),
        "wastes": {
            name: {"flops": a.flops - b.flops, "convolutions": a.convolutions - b.convolutions}
            for name, a, b in zip(WASTES, chain, chain[1:], strict=False)
        },
        "mended": vars(chain[-1]),
        "ours": vars(ours(side, clip, poke_map)),
    }


def _released(side: int) -> tuple[ReleasedEager, EagerVGG19]:
    with torch.device("meta"):
        return ReleasedEager(side), EagerVGG19(VGG19Features())


def ours(side: int, clip: Tensor, poke_map: Tensor) -> Count:
    """Forward and backward of a step of stage 2, by the functions that `poke2vid train` calls, without critics."""
    weights = LossWeights(frame_critic=0.0, clip_critic=0.0, feature_matching=0.0)
    config = TrainConfig(model=released_config(side), weights=weights, batch=len(clip), stage_1_steps=0)
    with torch.device("meta"):
        model, extractor = PokeVideo(config.model), VGG19Features()
    steps.freeze_others(model, steps.trainable(model, config, 2))
    schedule = torch.zeros(len(clip), clip.shape[1] - 1, dtype=torch.long, device="meta")
    still = torch.zeros(len(clip), 2, side, side, device="meta")
    batch = Batch(**_batch_fields(clip, poke_map, schedule, still))
    with counted() as found:
        predicted = steps.predict(model, batch, config, 0)
        weighted_sum(steps.terms(model, predicted, batch, extractor, config, 0), vars(weights)).backward()
    return found[0]


def _batch_fields(clip: Tensor, poke_map: Tensor, schedule: Tensor, still: Tensor) -> dict[str, Any]:
    """Fields of a `Batch` by name; empty if a field is for other models."""
    known = {
        "kinds": ("poke",) * len(clip),
        "frames": clip,
        "poke_maps": poke_map[:, None],
        "schedule": schedule,
        "displacement": still,
        "pokes": ((),) * len(clip),
    }
    others = {field.name: still[:, None][:, :0] for field in fields(Batch) if field.name not in known}
    return known | others


def mended(side: int, clip: Tensor, poke: Tensor, wastes: Wastes) -> Count:
    """`training_terms` and its backward pass, with some of the wastes taken out and the losses as they are."""
    model, vgg = _released(side)
    if not wastes.vgg_gradients:
        vgg.requires_grad_(False)
    if not wastes.vgg_tail:
        vgg.layers = vgg.layers[: vgg.taps[-1] + 1]
    with counted() as found:
        frames, states = _rolled_out(model, clip, poke, wastes)
        similarities, distances, unread = [], [], []
        for i, x in enumerate(clip[:, 1:].unbind(dim=1)):
            with nullcontext() if wastes.target_graphs else torch.no_grad():
                sigma = model.shape_enc(x)
            if wastes.decoded_truth:
                unread.append(model.dec(sigma))
            similarities.append(_perceptual(vgg, x, frames[i], wastes))
            distances.append(
                torch.stack([functional.mse_loss(a, b) for a, b in zip(states[i], sigma, strict=True)]).mean()
            )
        (5 * torch.stack(similarities).mean() + 0.1 * torch.stack(distances).mean()).backward()
    return found[0]


def _perceptual(vgg: EagerVGG19, x: Tensor, x_hat: Tensor, wastes: Wastes) -> Tensor:
    if wastes.target_graphs:
        return perceptual(vgg, x, x_hat)
    with torch.no_grad():
        wanted = vgg(x)
    return torch.stack([(a - b).abs().mean() for a, b in zip(wanted, vgg(x_hat), strict=True)]).sum()


def _rolled_out(
    model: ReleasedEager, clip: Tensor, poke: Tensor, wastes: Wastes
) -> tuple[list[Tensor], list[list[Tensor]]]:
    """Frames and states over time."""
    phi = model.dynamics_enc(poke)
    with nullcontext() if wastes.object_encoder_gradients else torch.no_grad():
        states = model.shape_enc(clip[:, 0])
    first, *others = model.fusion_block.cells
    drive = None if wastes.phi_every_step else _drive(first, phi)
    frames, all_states = [], []
    for _ in range(clip.shape[1] - 1):
        u = first(phi, states[0]) if drive is None else _advance(first, drive, states[0], wastes.single_gates)
        moved = [u]
        for cell, sigma in zip(others, states[1:], strict=True):
            u = cell(u, sigma) if wastes.single_gates else _advance(cell, _drive(cell, cell.up_gate(u)), sigma, False)
            moved.append(u)
        states = moved
        all_states.append(states)
        frames.append(model.dec(states))
    return frames, all_states


def _drive(cell: GruCell, u: Tensor) -> Tensor:
    """The input's share of all three gates, in one convolution."""
    gates = (cell.update_gate, cell.reset_gate, cell.out_gate)
    weight = torch.cat([gate.weight[:, : u.shape[1]] for gate in gates])
    return functional.conv2d(u, weight, torch.cat([_bias(gate) for gate in gates]), padding=1)


def _bias(gate: nn.Conv2d) -> Tensor:
    assert gate.bias is not None
    return gate.bias


def _advance(cell: GruCell, drive: Tensor, sigma: Tensor, single_gates: bool) -> Tensor:
    """A step of a cell with a known drive; z and r from one convolution or from two."""
    skipped = cell.update_gate.in_channels - sigma.shape[1]
    halves = [gate.weight[:, skipped:] for gate in (cell.update_gate, cell.reset_gate, cell.out_gate)]
    if single_gates:
        both = torch.cat([functional.conv2d(sigma, half, padding=1) for half in halves[:2]], dim=1)
    else:
        both = functional.conv2d(sigma, torch.cat(halves[:2]), padding=1)
    drive_z, drive_r, drive_candidate = drive.chunk(3, dim=1)
    state_z, state_r = both.chunk(2, dim=1)
    z, r = torch.sigmoid(drive_z + state_z), torch.sigmoid(drive_r + state_r)
    candidate = torch.tanh(drive_candidate + functional.conv2d(sigma * r, halves[2], padding=1))
    return sigma * (1 - z) + candidate * z


def _page(found: dict[str, dict[str, Any]]) -> str:
    text = [
        "# waste\n\nForward and backward of the released dynamics step (perceptual and trajectory losses, no critics, no "
        "static step), each waste counted as what its mending saves, one after the other; and the step that `poke2vid train` "
        "takes on the same architecture. Merging the gates saves calls and no FLOPs."
    ]
    for side, result in found.items():
        whole = result["released"]["flops"]
        rows: list[tuple[object, ...]] = [("released step", *_cells(result["released"], whole))]
        rows += [(f"- {WASTES[name]}", *_cells(waste, whole)) for name, waste in result["wastes"].items()]
        rows += [("= without waste", *_cells(result["mended"], whole)), ("ours", *_cells(result["ours"], whole))]
        header = ("step", "GFLOP", "of the released step", "convolution calls")
        text.append(f"## {side} pixels, {result['clips']} clips of {result['frames']} frames\n\n{table(header, rows)}")
    return "\n\n".join(text)


def _cells(count: dict[str, int], whole: int) -> tuple[str, ...]:
    return f"{count['flops'] / 1e9:,.1f}", f"{count['flops'] / whole:.1%}", f"{count['convolutions']:,}"


if __name__ == "__main__":
    typer.run(main)
