"""Training runs of seconds, with everything switched on, for tests of what a run leaves and how it goes on."""

import json
import os
import signal
import socket
import subprocess
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from programs import Program

from poke2vid.model.critics import CriticConfig
from poke2vid.train.config import TrainConfig
from poke2vid.train.presets import preset

TINY = preset("tiny")
_CRITICS = {"frame_critic": 0.2, "clip_critic": 1.0, "feature_matching": 2.0}
# Both stages, both critics from the third step of each, waypoints, a falling learning rate, clips of several lengths.
FULL = replace(
    TINY,
    stage_1_steps=4,
    stage_2_steps=8,
    decay=0.1,
    weights=replace(TINY.weights, **_CRITICS),
    critics=CriticConfig(channels=4, start=2, frames=6, frame_penalty=1e-4),
    data=replace(TINY.data, waypoints=(2,), long_share=0.3),
    checkpoint_every=3,
    sample_every=5,
)


def settings(config: TrainConfig) -> list[str]:
    """The `--set` options that turn the preset `tiny` into this config."""
    given: list[str] = []

    def compare(value: Any, before: Any, path: str) -> None:
        for name in vars(value):
            new, old = getattr(value, name), getattr(before, name)
            if hasattr(new, "__dataclass_fields__") and new != old:
                compare(new, old, f"{path}{name}.")
            elif new != old:
                given.extend(("--set", f"{path}{name}={json.dumps(new)}"))

    compare(config, TINY, "")
    return given


def command(config: TrainConfig, store: Path, run: Path, *more: str, processes: int = 1) -> list[str]:
    """The program that trains it and its arguments, torchrun for several processes."""
    start = ["poke2vid.cli", "train", "--preset", "tiny", "--data", str(store), "--out", str(run)]
    launcher = ["torch.distributed.run", "--standalone", "--nproc-per-node", str(processes), "-m"]
    return [
        *(launcher if processes > 1 else []), *start, "--threads", "1", "--workers", "0", *settings(config), *more
    ]  # fmt: skip


def in_ranks(*commands: list[str]) -> list[subprocess.CompletedProcess[str]]:
    """Programs that find each other as those that torchrun starts do; the first is of rank 0.

    As torchrun does, it ends all once one has failed, a few seconds later.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    group = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(len(commands))}
    started = [
        Program(*command, environment={**group, "RANK": str(rank), "LOCAL_RANK": str(rank)})
        for rank, command in enumerate(commands)
    ]
    try:
        while None in (codes := [program.poll() for program in started]):
            if any(code for code in codes):
                break
            time.sleep(0.01)
        return [program.wait(10 if any(codes) else 240) for program in started]
    finally:
        for program in started:
            program.kill()


def signalled(
    arguments: list[str], run: Path, after: int, number: signal.Signals, *, all_of_it: bool
) -> tuple[int, str]:
    """Starts a run in its own process group and signals it after so many steps; exit code and errors.

    Args:
        all_of_it: signal the group, as a terminal does, not the program alone.
    """
    program = Program(*arguments, alone=True)
    log, deadline = run / "metrics.jsonl", time.monotonic() + 240
    try:
        while not log.exists() or log.read_text().count("\n") < after:
            assert program.poll() is None and time.monotonic() < deadline, f"the run did not begin: {program}"
            time.sleep(0.01)
        if all_of_it:
            program.send(number)
        else:
            os.kill(program.pid, number)
        done = program.wait()
    finally:
        program.kill()
    assert program.left_none_behind()
    return done.returncode, done.stderr


def metrics(run: Path) -> list[dict[str, Any]]:
    """Everything a run logged but how long it took."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k not in ("clips_per_second", "data_share")} for line in lines]
