"""Worker processes for jobs, where a crash loses only its own job, and a lock that keeps a folder to one process."""

import contextlib
import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Generic, NoReturn, TypeVar, cast

import torch

from poke2vid.types import InputError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

Job = TypeVar("Job")
Result = TypeVar("Result")
PATIENCE = 30.0  # seconds that a worker has to tidy up
Tick = Callable[[], None]  # called by a worker now and then to show that it is still at work


@dataclass(frozen=True)
class Died:
    """Stands for the result of a job whose process was killed or crashed; `code` as in `Process.exitcode`."""

    code: int | None


@dataclass(frozen=True)
class _Done(Generic[Result]):
    result: Result


def run_jobs(
    make: Callable[[], Callable[[Job, Tick], Result]], jobs: Sequence[Job], num_workers: int, on_tick: Tick
) -> Generator[tuple[Job, Result | Died], None, None]:
    """Runs jobs and yields each with its result, in the order in which they finish.

    Args:
        make: called once in every worker; returns the function that does a job. Picklable, like jobs and results.
        num_workers: processes at a time; 0 does the jobs in this process, one by one.
        on_tick: called here for every tick of any worker.
    """
    if num_workers == 0:
        work = make()
        for job in jobs:
            yield job, work(job, on_tick)
        return
    queue, crew = deque(jobs), _Crew[Job, Result](make)
    try:
        while queue or crew.busy:
            while queue and len(crew.busy) < num_workers:
                crew.hire(queue.popleft())
            for pipe in crew.ready():
                job, message = crew.receive(pipe)
                if message is None:
                    on_tick()
                    continue
                if isinstance(message, _Done) and queue:
                    crew.assign(pipe, queue.popleft())
                else:
                    crew.dismiss(pipe)
                yield job, message.result if isinstance(message, _Done) else message
    finally:  # also when the caller stops early, as on Ctrl-C
        crew.stop()


class _Crew(Generic[Job, Result]):
    """Worker processes, each at the other end of a pipe, and the job that each is doing."""

    def __init__(self, make: Callable[[], Callable[[Job, Tick], Result]]) -> None:
        self._make = make
        self._context = multiprocessing.get_context("spawn")  # forking a process with threads of torch may hang
        self._processes: dict[Connection, multiprocessing.process.BaseProcess] = {}
        self.busy: dict[Connection, Job] = {}

    def hire(self, job: Job) -> None:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_serve, args=(theirs, self._make), daemon=True)
        process.start()
        theirs.close()  # so that the death of the worker closes the pipe
        self._processes[ours] = process
        self.assign(ours, job)

    def assign(self, pipe: Connection, job: Job) -> None:
        self.busy[pipe] = job
        with contextlib.suppress(OSError):  # the worker has just died: receive() will report it
            pipe.send(job)

    def ready(self) -> list[Connection]:
        return cast(list[Connection], wait(list(self.busy)))

    def receive(self, pipe: Connection) -> tuple[Job, _Done[Result] | Died | None]:
        try:
            return self.busy[pipe], pipe.recv()
        except (EOFError, OSError):
            self._processes[pipe].join()
            return self.busy[pipe], Died(self._processes[pipe].exitcode)

    def dismiss(self, pipe: Connection) -> None:
        del self.busy[pipe]
        pipe.close()
        self._processes.pop(pipe).join()

    def stop(self) -> None:
        """Ends all workers; each first removes what it has not finished, if that takes no longer than `PATIENCE`."""
        for process in self._processes.values():
            process.terminate()
        for process in self._processes.values():
            process.join(PATIENCE)
            process.kill()
            process.join()


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Limits torch to one thread for the duration of a block: in their last bits, sums depend on the number of threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextlib.contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Keeps a second process out of a folder; a killed process leaves no lock behind. No effect on Windows.

    A folder that does not exist is made, with those above it, and they are removed again if nothing was put into them.

    Raises:
        InputError: if another process is at work there, or the folder cannot be made.
    """
    made = [place for place in (folder, *folder.parents) if not place.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise InputError(f"cannot write {folder}: {why}; choose a place that can be written.") from error
    try:
        with _lock(folder):
            yield
    finally:
        with contextlib.suppress(OSError):  # one holds something, as it should
            for place in made:
                place.rmdir()


@contextlib.contextmanager
def _lock(folder: Path) -> Iterator[None]:
    if fcntl is None:
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise InputError(f"another process is at work in {folder}; wait for it, or stop it first.") from error
    finally:
        os.close(handle)


def _end(number: int, _: object) -> NoReturn:
    """Ends a worker as an exception does, so that unfinished files are removed."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second one does not cut that short
    raise SystemExit(128 + number)


def _serve(pipe: Connection, make: Callable[[], Callable[[Job, Tick], Result]]) -> None:
    """Main loop of a worker process; ends when the other end of the pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    signal.signal(signal.SIGTERM, _end)

    def tick() -> None:
        try:
            pipe.send(None)
        except OSError:  # the parent was killed: nobody wants the result
            os._exit(1)

    work = make()
    while True:
        try:
            job = pipe.recv()
        except (EOFError, OSError):
            return
        pipe.send(_Done(work(job, tick)))
