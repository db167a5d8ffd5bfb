"""Honest timing: warm-up, interleaved rounds, medians with their spread, ratios within rounds; and the machine."""

import contextlib
import datetime
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from poke2vid import __version__
from poke2vid.files import atomic, write_json

RESULTS = Path(__file__).parent / "results"
BUSY = 0.3  # cores that others use: above this the numbers are not to be quoted


@dataclass(frozen=True)
class Timing:
    """Times of repeated runs of one candidate.

    Attributes:
        wall: seconds by the clock, one entry a round.
        cpu: seconds of processor time of this process (all threads), one entry a round; other programs affect it less.
    """

    wall: tuple[float, ...]
    cpu: tuple[float, ...]

    @property
    def median(self) -> float:
        """Seconds by the clock."""
        return statistics.median(self.wall)

    @property
    def spread(self) -> tuple[float, float]:
        """Fastest and slowest round, in seconds."""
        return min(self.wall), max(self.wall)


@dataclass(frozen=True)
class Ratio:
    """Time of one candidate as a multiple of another's, each round against the same round of the other.

    Attributes:
        median, low, high: over the rounds, by the clock.
        cpu: median over the rounds, by processor time.
    """

    median: float
    low: float
    high: float
    cpu: float

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.low:.2f}-{self.high:.2f})"


def interleaved(
    candidates: Mapping[str, Callable[[], object]], *, rounds: int, warm_up: int = 1, report: bool = True
) -> dict[str, Timing]:
    """Runs A B C A B C ..., so that all that drifts (clock, heat, other programs) affects all candidates alike."""
    for run in candidates.values():
        for _ in range(warm_up):
            run()
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in candidates}
    for number in range(rounds):
        for name, run in candidates.items():
            wall, cpu = time.perf_counter(), time.process_time()
            run()
            taken[name].append((time.perf_counter() - wall, time.process_time() - cpu))
        if report:
            print(f"\r  round {number + 1}/{rounds}", end="", file=sys.stderr, flush=True)
    if report:
        print("\r" + " " * 20 + "\r", end="", file=sys.stderr, flush=True)
    return {name: Timing(*zip(*pairs, strict=True)) for name, pairs in taken.items()}


def ratio(numerator: Timing, denominator: Timing) -> Ratio:
    """Time of `numerator` as a multiple of the other's; both are of the same interleaved rounds."""
    wall = [a / b for a, b in zip(numerator.wall, denominator.wall, strict=True)]
    cpu = [a / max(b, 1e-9) for a, b in zip(numerator.cpu, denominator.cpu, strict=True)]
    return Ratio(statistics.median(wall), min(wall), max(wall), statistics.median(cpu))


class Machine:
    """The machine, and how much of it other programs use while the context is open.

    Attributes:
        others: cores that other programs used on average while it was open; None if unknown.
    """

    def __init__(self) -> None:
        self.others: float | None = None
        self.load_before = os.getloadavg()[0]

    def __enter__(self) -> "Machine":
        self._began, self._busy, self._own = time.perf_counter(), _busy_seconds(), _own_seconds()
        # Without a better source: the load average lags, and may be our own last run's.
        if self._busy is None and self.load_before > BUSY:
            self._warn(f"the load average is {self.load_before:.2f} before anything was measured")
        return self

    def __exit__(self, *_: object) -> None:
        busy = _busy_seconds()
        if busy is None or self._busy is None:
            return
        others = (busy - self._busy) - (_own_seconds() - self._own)
        self.others = max(0.0, others / max(time.perf_counter() - self._began, 1e-9))
        if self.others > BUSY:
            self._warn(f"other programs used {self.others:.2f} cores meanwhile")

    @staticmethod
    def _warn(what: str) -> None:
        print(f"benchmark: {what}; the numbers are indicative only.", file=sys.stderr)

    def describe(self) -> dict[str, Any]:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        return {
            "cpu": _cpu_model(),
            "cores": os.cpu_count(),
            "cores_allowed": cores,
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
            "instructions": torch.backends.cpu.get_cpu_capability(),
            "python": platform.python_version(),
            "poke2vid": __version__,
            "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "load_before": round(self.load_before, 2),
            "cores_used_by_others": None if self.others is None else round(self.others, 2),
            "quiet": (self.load_before if self.others is None else self.others) <= BUSY,
        }


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    facts = dict(part.partition(":")[::2] for part in lines if ":" in part)
    named = {key.strip(): value.strip() for key, value in facts.items()}
    return f"{named.get('model name', platform.machine())}, family {named.get('cpu family')} model {named.get('model')}"


def _busy_seconds() -> float | None:
    """Processor time that the whole machine has spent since it started; None if the kernel does not say."""
    try:
        fields = Path("/proc/stat").read_text(encoding="utf-8").splitlines()[0].split()[1:]
    except OSError:
        return None
    user, nice, system, _idle, _iowait, irq, softirq, steal = (int(field) for field in fields[:8])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def _own_seconds() -> float:
    """Processor time of this process, of its finished children, and of its descendants that still run."""
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages) + _living_seconds()


def _living_seconds() -> float:
    """Processor time of the processes below this one, and of their finished children; 0 if the kernel does not say."""
    parents, spent = dict[int, int](), dict[int, int]()
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError, IndexError):  # it ended meanwhile
            fields = path.read_text(encoding="utf-8").rpartition(")")[2].split()
            pid = int(path.parent.name)
            parents[pid], spent[pid] = int(fields[1]), sum(map(int, fields[11:15]))
    below, found = {os.getpid()}, set[int]()
    while below:
        below = {pid for pid, parent in parents.items() if parent in below}
        found |= below
    return sum(spent[pid] for pid in found) / os.sysconf("SC_CLK_TCK")


# On Linux a forked process starts with its parent's memory as its peak, so a small launcher starts what is measured.
_LAUNCHER = """
import json, resource, subprocess, sys
done = subprocess.run(sys.argv[1:], stdout=subprocess.PIPE, text=True)
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
print(json.dumps({"output": done.stdout, "code": done.returncode, "peak": peak}))
"""


def run_measured(command: Sequence[str], folder: Path | None = None) -> tuple[str, float]:
    """Runs a command; returns what it prints and its peak memory in MB (10^6 bytes).

    Raises:
        RuntimeError: if it fails.
    """
    launcher = [sys.executable, "-c", _LAUNCHER, *command]
    done = subprocess.run(launcher, cwd=folder, stdout=subprocess.PIPE, text=True, check=True)
    found = json.loads(done.stdout)
    if found["code"]:
        raise RuntimeError(f"{' '.join(command)} ended with {found['code']}")
    return found["output"], found["peak"] * (1 if sys.platform == "darwin" else 1024) / 1e6


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table; the first column is text, the others are numbers."""
    rule = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in (header, rule, *rows))


def write_results(folder: Path, name: str, machine: Machine, values: Mapping[str, Any], text: str) -> None:
    """Writes `name`.json and `name`.md, each atomically and with the machine; prints the table, too."""
    about = machine.describe()
    write_json(folder / f"{name}.json", {"machine": about, **values})
    quiet = "nothing else ran" if about["quiet"] else "**other programs ran meanwhile: indicative only**"
    used = about["cores_used_by_others"]
    footer = (
        f"{about['cpu']}, {about['cores']} cores ({about['cores_allowed']} allowed), {about['instructions']}, "
        f"torch {about['torch']}, {about['date']}; {quiet} (load before {about['load_before']}, "
        f"others meanwhile {'unknown' if used is None else used} cores)."
    )
    page = f"{text}\n\n{footer}\n"
    with atomic(folder / f"{name}.md") as temporary:
        temporary.write_text(page, encoding="utf-8")
    print(page)


def as_json(timings: Mapping[str, Timing]) -> dict[str, Any]:
    return {name: {**asdict(timing), "median": timing.median} for name, timing in timings.items()}
