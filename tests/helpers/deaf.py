"""Work for a worker process that hears no signal, where another process can find it."""

import signal
import time
from collections.abc import Callable

from poke2vid.processes import Tick


def deaf() -> Callable[[str, Tick], str]:
    """Work that gives back its job, and goes on for an hour over the job "b"."""

    def work(job: str, tick: Tick) -> str:
        if job == "b":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            time.sleep(3600)
        return job

    return work
