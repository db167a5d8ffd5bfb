"""How a training is stopped by a signal: the step in work is finished and saved."""

import signal
from types import FrameType

import torch


class Interrupted(Exception):
    """SIGINT or SIGTERM came; the run is saved."""


def single_thread(_: int) -> None:
    torch.set_num_threads(1)
    for number in (signal.SIGINT, signal.SIGTERM):  # a terminal or a batch system tells all processes; the loop decides
        signal.signal(number, signal.SIG_IGN)


class Signals:
    """While it is entered, SIGINT and SIGTERM only take note, so that the step in work is finished and saved.

    A second one interrupts at once, for whoever cannot wait; the last checkpoint is whole.
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
