"""Stopping a training by a signal: the current step is finished and saved."""

import math
import signal
import time
from types import FrameType

import torch

from poke2vid.types import InputError


class Interrupted(Exception):
    """Raised after SIGINT or SIGTERM, with the run saved."""


def deadline_of(minutes: float | None) -> float:
    """Time of `time.monotonic` at which a training is to stop; infinite without minutes.

    Raises:
        InputError: for less than no time.
    """
    if minutes is None:
        return math.inf
    if not minutes >= 0:
        raise InputError(f"{minutes} minutes is no time; give a number from 0 up.")
    return time.monotonic() + 60 * minutes


def single_thread(_: int) -> None:
    torch.set_num_threads(1)
    for number in (signal.SIGINT, signal.SIGTERM):  # a terminal or batch system signals all processes; the loop decides
        signal.signal(number, signal.SIG_IGN)


class Signals:
    """Context in which SIGINT and SIGTERM are only noted, so that the current step is finished and saved.

    A second signal interrupts at once; the last checkpoint stays whole.
    """

    def __init__(self) -> None:
        self.received = False

    def __enter__(self) -> "Signals":
        self.before = {s: signal.signal(s, self._note) for s in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.received:
            raise KeyboardInterrupt
        self.received = True
