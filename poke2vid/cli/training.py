"""The commands `train`, `convert` and `info`, which make and describe models."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from poke2vid.cli.options import WeightsOption, out_folder

if TYPE_CHECKING:
    from poke2vid.train.field_config import FieldConfig


def train(
    data: Annotated[
        list[Path],
        typer.Option("--data", help="A store by `prepare` or `simulate`; of pokes (fields64, time128, ...) several."),
    ],
    out: Annotated[Path, out_folder("The run's folder.")],
    preset: Annotated[str, typer.Option("--preset", help="See the table in poke2vid/train/presets.py.")] = "small64",
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="A.B=V", help="Override one setting. Repeatable.")
    ] = None,
    perceptual: Annotated[
        str | None, typer.Option("--perceptual", help="vgg19, vgg16, squeeze or none: the network behind L_rec.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the newest checkpoint.")] = False,
    init: Annotated[
        Path | None, typer.Option("--init", help="A model of that shape to start from; `base` is the shipped one.")
    ] = None,
    minutes: Annotated[float | None, typer.Option("--minutes", help="Stop, saved, after this long.")] = None,
    device: Annotated[str, typer.Option("--device", help="cpu, cuda, cuda:1 ...")] = "cpu",
    workers: Annotated[int, typer.Option("--workers", min=0, help="Processes that prepare batches.")] = 1,
    threads: Annotated[
        int | None, typer.Option("--threads", min=1, help="CPU threads of the networks; default: all.")
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option("--precision", help="fp32, bf16, or auto: the faster; default: auto for pokes, else fp32."),
    ] = None,
    cutouts: Annotated[
        Path | None,
        typer.Option("--cutouts", help="fields presets: pictures with transparency, for what an object is."),
    ] = None,
    backgrounds: Annotated[
        Path | None, typer.Option("--backgrounds", help="Photographs to lay the cut-outs on, beside installed ones.")
    ] = None,
    weights_dir: WeightsOption = None,
) -> None:
    """Train a model in its two stages; stops cleanly at any time and goes on with --resume."""
    import torch

    from poke2vid.files import keep_apart
    from poke2vid.model.files import BASE, PAPER_BASE
    from poke2vid.train.loop import train as run
    from poke2vid.train.memory import keep_freed_memory
    from poke2vid.train.presets import BASELINE_PRESETS, FIELD_PRESETS
    from poke2vid.train.presets import preset as find
    from poke2vid.train.settings import override
    from poke2vid.train.stopping import Interrupted

    keep_apart((*data, init, cutouts, backgrounds), (out,))
    keep_freed_memory()
    if threads is not None:
        torch.set_num_threads(threads)
    chosen = [*(settings or []), *([f'perceptual="{perceptual}"'] if perceptual else [])]
    try:
        # Models that see what they touch
        if preset in FIELD_PRESETS:
            if device != "cpu":
                raise typer.BadParameter(f"{preset} trains on the CPU; leave it away", param_hint="--device")
            saved = _fields(
                override(FIELD_PRESETS[preset], chosen), data, out, resume, BASE if str(init) == "base" else init, workers,
                minutes, precision or _usual(chosen), cutouts, backgrounds,
            )  # fmt: skip
        # Systems that the paper compares with
        elif preset in BASELINE_PRESETS:
            _for_pokes_alone(data, cutouts, backgrounds)
            _for_our_models_alone(init, perceptual, precision)
            saved = _system(preset, chosen, data[0], out, resume, workers, device, minutes)
        # Models of the paper's form
        else:
            _for_pokes_alone(data, cutouts, backgrounds)
            saved = run(
                override(find(preset), chosen), data[0], out, resume=resume,
                init=PAPER_BASE if str(init) == "base" else init, workers=workers, weights_dir=weights_dir, device=device,
                max_minutes=minutes, precision=precision,
            )  # fmt: skip
    except Interrupted as stopped:
        print(f"poke2vid: {stopped}", file=sys.stderr)
        raise typer.Exit(130) from stopped
    if os.environ.get("RANK", "0") == "0":  # under torchrun only one process prints
        print(f"done: {saved}")


def _fields(
    config: "FieldConfig", data: list[Path], out: Path, resume: bool, init: Path | None, workers: int, minutes: float | None,
    precision: str | None, cutouts: Path | None, backgrounds: Path | None,
) -> Path:  # fmt: skip
    """Trains E_phi on stores of pokes."""
    from poke2vid.train.field_loop import train_fields

    return train_fields(
        config, data, out, resume=resume, init=init, workers=workers, max_minutes=minutes, precision=precision,
        cutouts=cutouts, photographs=backgrounds,
    )  # fmt: skip


def _system(
    preset: str, settings: list[str], data: Path, out: Path, resume: bool, workers: int, device: str, minutes: float | None
) -> Path:  # fmt: skip
    """Trains a system that the paper compares with."""
    from poke2vid.train.baseline_loop import train_baseline
    from poke2vid.train.presets import BASELINE_PRESETS
    from poke2vid.train.settings import override

    config = override(BASELINE_PRESETS[preset], settings)
    return train_baseline(config, data, out, resume=resume, workers=workers, device=device, max_minutes=minutes)


def _usual(settings: list[str]) -> str | None:
    """The precision where none was asked for: that of the settings, else the faster one."""
    return None if any(setting.split("=")[0].strip() == "precision" for setting in settings) else "auto"


def _for_pokes_alone(data: list[Path], cutouts: Path | None, backgrounds: Path | None) -> None:
    """Refuses options that the preset does not use."""
    if len(data) > 1:
        raise typer.BadParameter("only trainings on pokes read several stores; give one", param_hint="--data")
    for name, given in (("--cutouts", cutouts), ("--backgrounds", backgrounds)):
        if given is not None:
            raise typer.BadParameter("only trainings on pokes read it; leave it away", param_hint=name)


def _for_our_models_alone(init: Path | None, perceptual: str | None, precision: str | None) -> None:
    """Refuses options that a system of another's does not have."""
    for name, given in (("--init", init), ("--perceptual", perceptual), ("--precision", precision)):
        if given is not None:
            raise typer.BadParameter("the systems of others are trained without it; leave it away", param_hint=name)


def convert(
    checkpoint: Annotated[
        Path, typer.Argument(help="A checkpoint (.pt) that the paper's authors published or their code wrote.")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="The model file to write (.safetensors).")],
) -> None:
    """Turn a checkpoint of the paper's released code into a model that animate takes."""
    from poke2vid.files import keep_apart
    from poke2vid.model.conversion import convert_checkpoint
    from poke2vid.model.info import count_parameters

    keep_apart((checkpoint,), (output,))
    model = convert_checkpoint(checkpoint, output)
    print(f"the released model for {model.resolution} pixels, {count_parameters(model):,} parameters -> {output}")


def info(
    model: Annotated[Path | None, typer.Argument(help="A model or checkpoint; without it the shipped base.")] = None,
) -> None:
    """Print a model's shape, parameters, FLOPs a frame and origin."""
    from poke2vid.baselines import info as of_systems
    from poke2vid.files import read_about
    from poke2vid.model.files import BASELINE, resolve
    from poke2vid.model.info import report

    path = resolve(model)
    print(of_systems.report(path) if read_about(path).get("kind") == BASELINE else report(model))
