"""Time of a training step by part, from running `poke2vid train` itself with timers around its parts.

Each setting trains in a process of its own, so that its peak memory is its own. Then our step on the released
architecture is compared with the released step, both in one process, in turns.
"""

import json
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from material import make_store
from released_eager import EagerVGG19, ReleasedEager, training_terms
from stages import REST, Stages
from timing import RESULTS, Machine, Ratio, as_json, interleaved, ratio, run_measured, table, write_results
from torch import Tensor, nn

from poke2vid import losses
from poke2vid.data.store import Store
from poke2vid.model.config import released_config
from poke2vid.model.poke_video import PokeVideo
from poke2vid.pokes import POKE_GAIN
from poke2vid.pretrained.features import FeatureNet, SqueezeFeatures, VGG19Features
from poke2vid.train import checkpoint, loop, steps
from poke2vid.train.adversary import Adversary
from poke2vid.train.config import LossWeights, TrainConfig
from poke2vid.train.data import ClipBatches
from poke2vid.train.log import RunLog
from poke2vid.train.memory import keep_freed_memory
from poke2vid.train.presets import preset
from poke2vid.train.trainer import Trainer

NETS: dict[str, Callable[[], FeatureNet]] = {"squeeze": SqueezeFeatures, "vgg19": VGG19Features}
DATA, LOGGING, OPTIMISER, RARE = "data", "logging", "optimiser", "samples and checkpoint"
GENERATOR, GENERATOR_BACK = "generator, forward", "generator, backward"
TARGETS, FEATURES, FEATURES_BACK = (
    "E_sigma of true frames",
    "perceptual features, forward",
    "perceptual features, backward",
)
CRITICS, CRITICS_BACK = "critics for the generator, forward", "critics for the generator, backward"
CRITICS_OWN = "critics, their own step"
LOSSES_BACK = "other losses, backward"
OUTSIDE = (DATA, LOGGING, OPTIMISER, REST)  # all that is no network; our aim is under a tenth of a step
SECONDS_TARGET = {("paper64", "squeeze"): 8.0, ("paper64", "vgg19"): 14.0}
MEMORY_TARGET = 6.0  # GB
RELEASED_TARGET = 0.7  # of the released step's time


@dataclass(frozen=True)
class Setting:
    """One row of the table: a preset with a feature network, with or without critics."""

    preset: str
    perceptual: str
    critics: bool

    @property
    def name(self) -> str:
        return f"{self.preset}, {self.perceptual}{', critics' if self.critics else ''}"

    def config(self, num_steps: int, quick: bool) -> TrainConfig:
        """The preset with stage 2 and the critics from the first step on; small if `quick`."""
        row = preset(self.preset)
        if quick:
            row = replace(row, batch=2, critics=replace(row.critics, channels=16))
        names = ("frame_critic", "clip_critic", "feature_matching")
        weights = {name: getattr(LossWeights(), name) if self.critics else 0.0 for name in names}
        return replace(
            row,
            data=replace(row.data, long_share=0.0),  # clips of T frames only, so that steps are alike
            weights=replace(row.weights, **weights),
            critics=replace(row.critics, start=0),
            perceptual=self.perceptual,
            stage_1_steps=0,
            stage_2_steps=num_steps,
        )


SETTINGS = (
    Setting("small64", "squeeze", False),
    Setting("small64", "squeeze", True),
    Setting("paper64", "squeeze", True),
    Setting("paper64", "vgg19", True),
)


def main(
    out: Annotated[Path, typer.Option("--out", help="Folder for train_step.json and train_step.md.")] = RESULTS,
    num_steps: Annotated[int, typer.Option("--steps", min=1, help="Steps that count, after one that does not.")] = 5,
    threads: Annotated[int | None, typer.Option("--threads", min=1, help="Default: as many as torch takes.")] = None,
    released_batch: Annotated[int, typer.Option("--released-batch", min=1, help="Clips a step of the comparison.")] = 4,
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="Interleaved repetitions of the comparison.")] = 3,
    quick: Annotated[bool, typer.Option("--quick", help="One setting, one step of two clips: does it run?")] = False,
    only: Annotated[str | None, typer.Option("--only", hidden=True, help="A setting's name: measure it here.")] = None,
) -> None:
    """Train random weights on synthetic videos."""
    if threads is not None:
        torch.set_num_threads(threads)
    if only is not None:
        setting = next(setting for setting in SETTINGS if setting.name == only)
        keep_freed_memory()  # as `poke2vid train` does
        print(json.dumps(measure(setting, 1 if quick else num_steps, quick)))
        return
    with Machine() as machine:
        chosen = SETTINGS[1:2] if quick else SETTINGS
        found = {setting.name: _alone(setting, num_steps, torch.get_num_threads(), quick) for setting in chosen}
        compared = None if quick else compare_released(released_batch, rounds)
    values = {"steps": num_steps, "settings": found, "released": compared}
    write_results(out, "train_step", machine, values, _page(found, compared))


def _alone(setting: Setting, num_steps: int, threads: int, quick: bool) -> dict[str, Any]:
    """`measure` in a process of its own, with the peak memory of that process."""
    command = [sys.executable, __file__, "--only", setting.name, "--steps", str(num_steps), "--threads", str(threads)]
    printed, peak = run_measured([*command, *(["--quick"] if quick else [])])
    return json.loads(printed.splitlines()[-1]) | {"peak_memory_gb": peak / 1000}


def measure(setting: Setting, num_steps: int, quick: bool) -> dict[str, Any]:
    """Seconds a step by stage, of `num_steps` steps of `poke2vid train` between one to warm up and the last.

    The last one also draws its sample grid, measures each term's gradient and saves: what a run does now and then. Batches
    are made in the same process.
    """
    # Note times at the end of each step
    config, stages, counted = setting.config(num_steps + 2, quick), Stages(), dict[str, float]()
    ends: list[tuple[float, float]] = []  # by the clock and by processor time
    logged: Callable[..., None] = RunLog.numbers

    def numbers(log: RunLog, *args: Any) -> None:
        """Ends a step; everything up to the end of the first was warming up."""
        with stages.stage(LOGGING):
            logged(log, *args)
        if not ends:
            stages.clear()
        ends.append((time.perf_counter(), time.process_time()))
        if len(ends) == num_steps + 1:
            counted.update(stages.seconds)

    # Train with timers in place
    with tempfile.TemporaryDirectory() as place:
        store = make_store(Path(place), config.model.resolution, lags=(*config.data.waypoints, config.data.horizon))
        with stages.stage(REST), stages.around(*_places()), _Hooks(stages):
            loop.build_features, features = (lambda *_, **__: NETS[setting.perceptual]()), loop.build_features
            RunLog.numbers = numbers  # type: ignore[method-assign]
            try:
                loop.train(config, store, Path(place) / "run", workers=0, quiet=True)
            finally:
                loop.build_features, RunLog.numbers = features, logged  # type: ignore[method-assign]
    assert RARE not in counted
    total, ends = sum(counted.values()), ends[: num_steps + 1]
    return {
        "batch": config.batch,
        "resolution": config.model.resolution,
        "threads": torch.get_num_threads(),
        "step_seconds": [b - a for (a, _), (b, _) in pairwise(ends)],
        "step_cpu_seconds": [b - a for (_, a), (_, b) in pairwise(ends)],
        "seconds_a_step": total / num_steps,
        "stages": {name: seconds / num_steps for name, seconds in counted.items()},
        "share": {name: seconds / total for name, seconds in counted.items()},
        "share_outside_networks": sum(counted.get(name, 0.0) for name in OUTSIDE) / total,
        "samples_and_checkpoint_seconds": stages.seconds[RARE],
    }


def _places() -> tuple[tuple[Any, str, str], ...]:
    """Functions that are timed as a whole; `_Hooks` tells apart the parts of one backward pass."""
    return (
        (ClipBatches, "__getitem__", DATA),
        (PokeVideo, "levels_of", TARGETS),
        (Trainer, "_play", CRITICS_OWN),
        (nn.utils, "clip_grad_norm_", OPTIMISER),
        (torch.optim.Adam, "step", OPTIMISER),
        (torch.optim.Adam, "zero_grad", OPTIMISER),
        (RunLog, "samples", RARE),
        (loop, "predict", RARE),
        (checkpoint, "save", RARE),
    )


class _Hooks:
    """Timers that also mark, by hooks on tensors, where a backward pass goes from one network to the next.

    Autograd visits what was computed last first: the critics, the features, the other losses, then the generator.
    """

    def __init__(self, stages: Stages) -> None:
        self._stages = stages
        self._predict, self._features = steps.predict, losses.perceptual_loss
        self._judge, self._backward = Adversary.generator_terms, Tensor.backward

    def __enter__(self) -> "_Hooks":
        stages, switch = self._stages, self._switches

        def predict(*args: Any) -> steps.Prediction:
            with stages.stage(GENERATOR):
                found = self._predict(*args)
            switch(found.result.frames, GENERATOR_BACK)
            return found

        def features(x_hat: Tensor, x: Tensor, extractor: losses.FeatureExtractor) -> Tensor:
            with stages.stage(FEATURES):
                return switch(self._features(switch(x_hat.view_as(x_hat), LOSSES_BACK), x, extractor), FEATURES_BACK)

        def judge(adversary: Adversary, x_hat: Tensor, *args: Any) -> dict[str, Tensor]:
            with stages.stage(CRITICS):
                found = self._judge(adversary, switch(x_hat.view_as(x_hat), LOSSES_BACK), *args)
            return {name: switch(term, CRITICS_BACK) for name, term in found.items()}

        def backward(tensor: Tensor, *args: Any, **kwargs: Any) -> None:
            inside = stages.current == CRITICS_OWN
            with stages.stage(CRITICS_OWN if inside else LOSSES_BACK):
                self._backward(tensor, *args, **kwargs)

        steps.predict, losses.perceptual_loss = predict, features
        Adversary.generator_terms, Tensor.backward = judge, backward  # type: ignore[method-assign, assignment]
        return self

    def __exit__(self, *_: object) -> None:
        steps.predict, losses.perceptual_loss = self._predict, self._features
        Adversary.generator_terms, Tensor.backward = self._judge, self._backward  # type: ignore[method-assign]

    def _switches(self, tensor: Tensor, stage: str) -> Tensor:
        """The tensor itself; the stage begins when its gradient is computed."""
        if tensor.requires_grad:
            tensor.register_hook(lambda _: self._stages.switch(stage))
        return tensor


def compare_released(batch: int, rounds: int, resolution: int = 64) -> dict[str, Any]:
    """A step with VGG-19 and L_traj, no critics: our code on the released architecture against the released step.

    First with the C library's defaults for both, which compares the code; then with freed memory kept for both, as
    `poke2vid train` keeps it. Each program "as it is run" is ours of the second against theirs of the first.
    """
    torch.manual_seed(0)
    config = TrainConfig(
        model=released_config(resolution),
        weights=LossWeights(frame_critic=0.0, clip_critic=0.0, feature_matching=0.0),
        batch=batch,
        stage_1_steps=0,
        data=replace(preset("paper64").data, long_share=0.0, background_share=0.0, untouched_share=0.0),
    )
    with tempfile.TemporaryDirectory() as place:
        store = Store.open(make_store(Path(place), resolution))
        data = ClipBatches(store, config.data, config.model, batch=batch, seed=0)[0]
    trainer = Trainer(config, VGG19Features(), torch.device("cpu"))
    eager, vgg = ReleasedEager(resolution), EagerVGG19(VGG19Features())
    parts = (eager.dynamics_enc, eager.fusion_block, eager.dec)
    optimiser = torch.optim.Adam([p for part in parts for p in part.parameters()], lr=1e-4)
    poke = data.poke_maps[:, 0, :2] * (resolution / POKE_GAIN)

    def released_step() -> None:
        optimiser.zero_grad()
        training_terms(eager, vgg, data.frames, poke).total.backward()
        optimiser.step()
        eager.shape_enc.zero_grad()
        vgg.zero_grad()

    candidates = {"ours": lambda: trainer.advance(data), "released": released_step}
    timings = interleaved(candidates, rounds=rounds)
    keep_freed_memory()  # for the rest of this process
    kept = interleaved(candidates, rounds=rounds)
    return {
        "batch": batch,
        "resolution": resolution,
        "threads": torch.get_num_threads(),
        "timings": as_json(timings),
        "timings_memory_kept": as_json(kept),
        "ours_over_released": vars(ratio(timings["ours"], timings["released"])),
        "ours_over_released_memory_kept": vars(ratio(kept["ours"], kept["released"])),
        "ours_over_released_as_run": vars(ratio(kept["ours"], timings["released"])),
    }


def _page(found: dict[str, Any], compared: dict[str, Any] | None) -> str:
    names = list(dict.fromkeys(stage for result in found.values() for stage in result["stages"]))
    rows: list[tuple[object, ...]] = [
        (stage, *(f"{r['stages'].get(stage, 0):.3f} ({r['share'].get(stage, 0):.1%})" for r in found.values()))
        for stage in names
    ]
    rows.append(("**whole step**", *(f"**{r['seconds_a_step']:.2f}**" for r in found.values())))
    targets = [SECONDS_TARGET.get((s.preset, s.perceptual)) for s in SETTINGS if s.name in found]
    rows.append(("target", *("" if target is None else f"{target:.0f}" for target in targets)))
    rows.append(("outside the networks", *(f"{r['share_outside_networks']:.1%}" for r in found.values())))
    rows.append(
        (f"peak memory, GB (target {MEMORY_TARGET:.0f})", *(f"{r['peak_memory_gb']:.2f}" for r in found.values()))
    )
    rows.append(("clips a batch", *(r["batch"] for r in found.values())))
    threads = next(iter(found.values()))["threads"]
    text = (
        f"# train_step\n\n`poke2vid train` on {threads} thread(s), stage 2, clips of T = 10, batches made in the same process; "
        "seconds a step by stage and their share. No sample grid and no checkpoint is among the steps that count.\n\n"
        + table(("stage", *found), rows)
    )
    if compared is None:
        return text
    rows = [
        (
            what,
            *(f"{compared[times][name]['median']:.2f}" for name in ("ours", "released")),
            str(Ratio(**compared[key])),
        )
        for what, times, key in (
            ("the code alone", "timings", "ours_over_released"),
            ("both keep freed memory", "timings_memory_kept", "ours_over_released_memory_kept"),
        )
    ]
    ours, theirs = compared["timings_memory_kept"]["ours"]["median"], compared["timings"]["released"]["median"]
    as_run = str(Ratio(**compared["ours_over_released_as_run"]))
    rows.append(("each as it is run: ours keeps freed memory", f"{ours:.2f}", f"{theirs:.2f}", as_run))
    return text + (
        f"\n\nThe released architecture at {compared['resolution']} pixels with VGG-19 and L_traj, {compared['batch']} clips, "
        "no critics: our step and the released one (`released_eager.training_terms`), in turns; the target is below "
        f"{RELEASED_TARGET}.\n\n{table(('', 'ours, s', 'released, s', 'ratio'), rows)}"
    )


if __name__ == "__main__":
    typer.run(main)
