"""Speed of a live session by engine: steps a second, and the time until a poke shows.

The same work in the same process, in turns: PyTorch eager (the reference), PyTorch compiled, ONNX Runtime. Random
weights: speed does not depend on them. `live_browser.py` measures the page, because a tab cannot take turns with a
process.
"""

import io
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from material import moving_things
from PIL import Image
from timing import RESULTS, Machine, as_json, interleaved, ratio, table, write_results
from torch import Tensor

from poke2vid.export.engine import OnnxPlayer
from poke2vid.export.graphs import Step
from poke2vid.export.run import export_model
from poke2vid.export.write import signature_of
from poke2vid.live.law_of_rest import LiveModel, pace
from poke2vid.live.session import Session
from poke2vid.media.pictures import read_picture
from poke2vid.model.files import save_model
from poke2vid.model.poke_video import PokeVideo
from poke2vid.train.presets import PRESETS
from poke2vid.types import AS_TRAINED, Frame, LivePlayer, Rest, State

SHOWN_SIDE = 512  # pixels of the picture that a session decodes and renders
NAMES = ("small64", "paper64", "small128", "paper128")
EAGER, COMPILED, ONNX = "torch, eager", "torch, compiled", "ONNX Runtime"
PARTS = ("sigma", "velocity", "home", "drift", "context")


class Compiled:
    """A `LivePlayer` whose step is compiled by torch.compile, on the flat tensors of an exported step."""

    def __init__(self, live: LiveModel) -> None:
        self._live, self._signature = live, signature_of(live)
        self._step = torch.compile(Step(live, self._signature), dynamic=False)
        self.resolution, self.poke_kind, self.default_rest = live.resolution, live.poke_kind, live.default_rest
        self.start, self.encode_poke = live.start, live.encode_poke

    def step(self, state: State, phi: Tensor | None) -> tuple[State, Frame]:
        return self.live_step(state, phi, AS_TRAINED)

    def live_step(self, state: State, phi: Tensor | None, rest: Rest, unchanged: int = 0) -> tuple[State, Frame]:
        side = state.sigma[0].shape[-1]
        nothing = self._live.model.dynamics.rest_drive().expand(1, -1, side, side)
        touched = torch.full((1, 1, 1, 1), 0.0 if phi is None and rest.anchored else 1.0)
        share = torch.full((1, 1, 1, 1), pace(unchanged, rest))
        scalars = (touched, share, torch.tensor([rest.stiffness]), torch.tensor([rest.momentum]))
        parts = [tensor for part in PARTS for tensor in getattr(state, part)]
        found = self._step(nothing if phi is None else phi, *scalars, *parts)
        n = self._signature.num_levels
        return replace(state, sigma=found[:n], velocity=found[n : 2 * n]), Frame(*found[2 * n :])


def main(
    out: Annotated[Path, typer.Option("--out", help="Folder for live.json and live.md.")] = RESULTS,
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="Interleaved repetitions.")] = 9,
    steps: Annotated[int, typer.Option("--steps", min=1, help="Of each repetition.")] = 25,
    quick: Annotated[bool, typer.Option("--quick", help="One small model, one round, nothing compiled.")] = False,
) -> None:
    """Time every engine on the presets that a live page may run."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    counts = [1] if quick else [n for n in (1, 2) if n <= cores]
    rounds, steps = (1, 2) if quick else (rounds, steps)
    found: dict[str, Any] = {}
    with Machine() as machine, tempfile.TemporaryDirectory() as place:
        for name in NAMES[:1] if quick else NAMES:
            torch.manual_seed(0)
            model = PokeVideo(PRESETS[name].model).eval()
            save_model(Path(place) / f"{name}.safetensors", model, {})
            about = export_model(Path(place) / f"{name}.safetensors", Path(place) / name, half=False)
            size = sum(graph["bytes"] for graph in about["graphs"].values())
            by_threads = {n: measure(model, Path(place) / name, n, rounds, steps, compiled=not quick) for n in counts}
            found[name] = {"graphs_mb": round(size / 1e6, 2), "threads": {str(n): v for n, v in by_threads.items()}}
    write_results(out, "live", machine, {"steps": steps, "shown_side": SHOWN_SIDE, "models": found}, page(found, steps))


def measure(model: PokeVideo, graphs: Path, threads: int, rounds: int, steps: int, *, compiled: bool) -> dict[str, Any]:
    """Seconds for `steps` steps, without and with showing, and for opening a picture; and latency of single pokes."""
    torch.set_num_threads(threads)
    live = LiveModel(model)
    players: dict[str, LivePlayer] = {EAGER: live}
    if compiled:
        torch.compiler.reset()
        players[COMPILED] = Compiled(live)
    players[ONNX] = OnnxPlayer(graphs, threads=threads)
    picture = moving_things(1, side=SHOWN_SIDE)[0]
    encoded = io.BytesIO()
    Image.fromarray(picture).save(encoded, format="JPEG", quality=90)
    cases: dict[str, dict[str, Callable[[], object]]] = {
        "steps": {name: _steps(player, picture, steps, shown=False) for name, player in players.items()},
        "shown": {name: _steps(player, picture, steps, shown=True) for name, player in players.items()},
        "opening": {name: _opening(player, encoded.getvalue()) for name, player in players.items()},
    }
    result: dict[str, Any] = {}
    for case, candidates in cases.items():
        timings = interleaved(candidates, rounds=rounds)
        against = {name: vars(ratio(timings[EAGER], timing)) for name, timing in timings.items()}
        result[case] = {"timings": as_json(timings), "times_faster": against}
    result["latency"] = {name: latency(player, picture, rounds * steps) for name, player in players.items()}
    return result


def _steps(player: LivePlayer, picture: np.ndarray, steps: int, *, shown: bool) -> Callable[[], object]:
    """A run of steps: a poke is held for half of them, then released."""
    session = Session(player, picture, history=0, record=False)

    def run() -> object:
        pointer = session.poke((200.0, 200.0), (40.0, -20.0))
        for i in range(steps):
            if i == steps // 2:
                session.release(pointer)
            frame = session.step() if shown else session.advance()
        session.release()
        return frame

    return run


def _opening(player: LivePlayer, encoded: bytes) -> Callable[[], object]:
    return lambda: Session(player, read_picture(encoded), history=0, record=False)


def latency(player: LivePlayer, picture: np.ndarray, count: int) -> dict[str, float]:
    """Milliseconds that a person waits: from a drag of a held poke to the frame that shows it, at the shown size."""
    session = Session(player, picture, history=0, record=False)
    pointer = session.hold((200.0, 200.0))
    taken = []
    for i in range(count):
        began = time.perf_counter()
        session.drag(pointer, (200.0 + 40 * np.sin(i / 5), 200.0 + 40 * np.cos(i / 5)))
        session.step()
        taken.append(1000 * (time.perf_counter() - began))
    return {"p50_ms": float(np.quantile(taken, 0.5)), "p95_ms": float(np.quantile(taken, 0.95)), "count": count}


def page(found: dict[str, Any], steps: int) -> str:
    parts = [
        f"# live\n\nOne session, {steps} steps a repetition, half of them with a poke held. Networks only: `Session.advance`; "
        f"shown: `Session.step`, which renders {SHOWN_SIDE} x {SHOWN_SIDE} pixels. Poke to frame: from a drag to the rendered "
        "frame that contains it. Opening: a JPEG's bytes to a session that can be poked. Ratios are medians over rounds, "
        "against eager PyTorch."
    ]
    header = ("engine", "steps/s", "times faster", "shown: steps/s", "poke to frame p50, ms", "p95, ms", "opening, ms")
    for name, model in found.items():
        for threads, result in model["threads"].items():
            rows = []
            for engine, timing in result["steps"]["timings"].items():
                shown, opening = (result[case]["timings"][engine]["median"] for case in ("shown", "opening"))
                wait = result["latency"][engine]
                rows.append(
                    (
                        engine,
                        f"{steps / timing['median']:.0f}",
                        f"{result['steps']['times_faster'][engine]['median']:.2f}",
                        f"{steps / shown:.0f}",
                        f"{wait['p50_ms']:.1f}",
                        f"{wait['p95_ms']:.1f}",
                        f"{1000 * opening:.0f}",
                    )
                )
            title = f"{name} ({model['graphs_mb']} MB of graphs), {threads} thread{'s' if threads != '1' else ''}"
            parts.append(f"## {title}\n\n{table(header, rows)}")
    return "\n\n".join(parts)


if __name__ == "__main__":
    typer.run(main)
