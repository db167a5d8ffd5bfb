"""Ten frames from one picture and one poke: every preset against the released model in plain eager PyTorch."""

import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from material import moving_things
from released_eager import ReleasedEager
from released_player import ReleasedPlayer
from timing import RESULTS, Machine, Ratio, as_json, interleaved, ratio, run_measured, table, write_results

from poke2vid import pokes
from poke2vid.files import write_tensors
from poke2vid.live.session import Session
from poke2vid.media.pictures import write_picture
from poke2vid.model.config import ModelConfig, released_config
from poke2vid.model.files import MODEL_FORMAT, VERSION, model_tensors
from poke2vid.model.poke_video import PokeVideo
from poke2vid.train.presets import PRESETS
from poke2vid.types import Player, Poke

FRAMES = 10
SHOWN_SIDE = 512  # pixels of the picture that a session renders
RESOLUTIONS = (64, 128)
TARGETS = {"paper64": 8.0, "paper128": 4.0, "small128": 12.0}  # our aims: times faster than the released model
MEMORY_TARGET = 600  # MB, of `poke2vid animate` as a process
REFERENCE = "released, eager"


def main(
    out: Annotated[Path, typer.Option("--out", help="Folder for animate.json and animate.md.")] = RESULTS,
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="Interleaved repetitions.")] = 7,
    threads: Annotated[list[int] | None, typer.Option("--threads", min=1, help="Repeatable; default 1 and 2.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Few presets, one round, no memory: does it run?")] = False,
) -> None:
    """Time random weights: speed does not depend on them."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    counts = [n for n in (threads or [1, 2]) if n <= cores]
    frames = FRAMES
    if quick:
        rounds, counts, frames = 1, [1], 2
    found: dict[str, Any] = {}
    with Machine() as machine:
        for side in RESOLUTIONS[:1] if quick else RESOLUTIONS:
            models = {name: PokeVideo(config).eval() for name, config in configs(side).items()}
            if quick:
                models = dict(list(models.items())[:2])
            found[str(side)] = {str(n): measure(models, side, n, rounds, frames) for n in counts}
        memory = (
            {} if quick else {name: peak_memory(name, c) for side in RESOLUTIONS for name, c in configs(side).items()}
        )
    values = {"frames": frames, "shown_side": SHOWN_SIDE, "by_resolution": found, "peak_memory_mb": memory}
    write_results(out, "animate", machine, values, _page(found, memory, frames))


def configs(side: int) -> dict[str, ModelConfig]:
    """Models of the presets of one size, each shape once; and the small and the released one, even without a preset."""
    small = ModelConfig(resolution=side, channels=16, decoder="motion")
    wanted = {name: row.model for name, row in PRESETS.items() if row.model.resolution == side}
    wanted |= {f"small{side}": small, f"released{side}": released_config(side)}
    unlike: dict[ModelConfig, str] = {}
    for name, config in wanted.items():
        depth = None if config.depth == config.num_levels else config.depth
        unlike.setdefault(replace(config, depth=depth, poke_kind="shift"), name)
    return {name: config for config, name in unlike.items()}


def measure(models: dict[str, PokeVideo], side: int, threads: int, rounds: int, frames: int) -> dict[str, Any]:
    """Seconds for `frames` frames by the networks alone, and in a session shown at `SHOWN_SIDE`, and their ratios."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    eager = ReleasedEager(side).eval()
    players: dict[str, Player] = {REFERENCE: ReleasedPlayer(eager, side), **models}
    x_0 = torch.rand(1, 3, side, side) * 2 - 1
    poke_map = pokes.rasterise([Poke((side / 2, side / 2), (side / 10, 0.0))], side)[None]
    picture = moving_things(1, side=SHOWN_SIDE)[0]
    eager_poke = poke_map[:, :2] * (side / pokes.POKE_GAIN)

    @torch.inference_mode()
    def reference() -> object:
        return eager(x_0, eager_poke, frames)

    network = {name: _network(player, x_0, poke_map, frames) for name, player in players.items()}
    network[REFERENCE] = reference
    shown = {name: _shown(player, picture, frames) for name, player in players.items()}
    return {"network": _compared(network, rounds), "session": _compared(shown, rounds)}


def _network(player: Player, x_0: torch.Tensor, poke_map: torch.Tensor, frames: int) -> Callable[[], object]:
    """A run of the networks alone, as a session calls them."""

    @torch.inference_mode()
    def run() -> object:
        state, phi = player.start(x_0), player.encode_poke(poke_map)
        for _ in range(frames):
            state, frame = player.step(state, phi)
        return frame

    return run


def _shown(player: Player, picture: np.ndarray, frames: int) -> Callable[[], object]:
    def run() -> object:
        session = Session(player, picture)
        session.poke((SHOWN_SIDE / 2, SHOWN_SIDE / 2), (SHOWN_SIDE / 10, 0.0))
        return [session.step() for _ in range(frames)]

    return run


def _compared(candidates: dict[str, Callable[[], object]], rounds: int) -> dict[str, Any]:
    timings = interleaved(candidates, rounds=rounds)
    against = {name: vars(ratio(timings[REFERENCE], timing)) for name, timing in timings.items()}
    return {"timings": as_json(timings), "times_faster": against}


def peak_memory(name: str, config: ModelConfig) -> float:
    """Peak megabytes of `poke2vid animate`, as a process of its own that writes an MP4 of 25 frames."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        about = {"format": MODEL_FORMAT, "version": VERSION, "model": vars(config)}
        write_tensors(folder / "model.safetensors", model_tensors(PokeVideo(config)), about)
        write_picture(folder / "picture.png", moving_things(1, side=SHOWN_SIDE)[0])
        command = [sys.executable, "-m", "poke2vid.cli", "animate", "picture.png", "--at", "256,256", "--shift", "50,0"]
        command += ["--model", "model.safetensors", "-o", "out.mp4"]
        return run_measured(command, folder)[1]


def _page(found: dict[str, Any], memory: dict[str, float], frames: int) -> str:
    parts = [
        f"# animate\n\n{frames} frames from one picture and one poke, random weights. The reference is the released model in "
        "plain eager PyTorch (`released_eager.py`) at the same size, in the same interleaved rounds; ratios are medians over "
        f"rounds (lowest-highest). \"Shown\" is a `Session` that renders at {SHOWN_SIDE} x {SHOWN_SIDE}."
    ]  # fmt: skip
    for side, by_threads in found.items():
        for threads, result in by_threads.items():
            rows = [_row(name, result, memory, frames) for name in result["network"]["timings"]]
            header = (
                "model", "ms a frame", "times faster", "target", "shown: ms a frame", "shown: times faster", "animate: peak MB"
            )  # fmt: skip
            parts.append(f"## {side} pixels, {threads} thread{'s' if threads != '1' else ''}\n\n{table(header, rows)}")
    if memory:
        parts.append(f"The memory target is {MEMORY_TARGET} MB.")
    return "\n\n".join(parts)


def _row(name: str, result: dict[str, Any], memory: dict[str, float], frames: int) -> tuple[object, ...]:
    network, session = result["network"], result["session"]
    return (
        name,
        f"{1000 * network['timings'][name]['median'] / frames:.1f}",
        Ratio(**network["times_faster"][name]),
        TARGETS.get(name, ""),
        f"{1000 * session['timings'][name]['median'] / frames:.1f}",
        Ratio(**session["times_faster"][name]),
        f"{memory[name]:.0f}" if name in memory else "",
    )


if __name__ == "__main__":
    typer.run(main)
