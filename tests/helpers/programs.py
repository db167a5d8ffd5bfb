"""Programs in processes of their own that import nothing heavy again: they are forked from one process that has done so.

To import PyTorch takes seconds, and tests start a hundred programs. A program whose start is what a test is about is
started by itself. Forks share their hash seed, so what hangs on the order of a set is alike in all of them.
"""

import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path

# The parent never returns from `request`; a child does, with what it shall run, and ends as any program does. ONNX Runtime is
# not among the imports: it starts a thread, which a fork does not have and waits for in vain when it ends. PyTorch's
# compiler is, since its optimisers import it.
_PARENT = """
import json, os, runpy, sys
import av, cv2, numpy, PIL.Image, pydantic, safetensors.torch, torch, torch._dynamo, typer

def request():
    for line in sys.stdin:
        asked = json.loads(line)
        if "arguments" in asked:
            answer = os.fork()
            if not answer:
                return asked
        else:
            ended, status = os.waitpid(asked["pid"], os.WNOHANG)
            answer = os.waitstatus_to_exitcode(status) if ended else None
        print(json.dumps([asked["number"], answer]), flush=True)
    sys.exit()

asked = request()
numpy.random.seed()  # else all forks would draw alike
if asked["alone"]:
    os.setsid()
for number, path in enumerate((os.devnull, asked["out"], asked["err"])):
    os.dup2(os.open(path, os.O_RDWR), number)
os.chdir(asked["folder"])
os.environ.clear()
os.environ.update(asked["environment"])
sys.argv = asked["arguments"]
if sys.argv[0].endswith(".py"):
    sys.path.insert(0, os.path.dirname(sys.argv[0]))
    runpy.run_path(sys.argv[0], run_name="__main__")
else:
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""


@cache
def _parent() -> subprocess.Popen[str]:
    """Lives until this process ends, and with it the parent's input."""
    return subprocess.Popen([sys.executable, "-c", _PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


_NUMBERS = itertools.count()


def _ask(**values: object) -> int | None:
    """The parent's answer, which comes at once; what an interrupted question left behind is passed over."""
    parent, number = _parent(), next(_NUMBERS)
    assert parent.stdin is not None and parent.stdout is not None
    parent.stdin.write(json.dumps({**values, "number": number}) + "\n")
    parent.stdin.flush()
    while line := parent.stdout.readline():
        of, answer = json.loads(line)
        if of == number:
            return answer
    raise AssertionError("the process that programs are forked from has died")


class Program:
    """A program at work: a module, as with `python -m`, or a file. One that is waited for in vain is killed.

    Args:
        environment: variables besides those of this process.
        alone: in a session and a process group of its own, as one that a terminal or batch system starts.
    """

    def __init__(
        self, program: str | Path, *arguments: object, environment: Mapping[str, str] | None = None, alone: bool = False
    ) -> None:
        self._command, self._alone = [str(program), *map(str, arguments)], alone
        self._out, self._err = (tempfile.NamedTemporaryFile("r") for _ in range(2))  # noqa: SIM115 (closed in `wait`)
        self._done: subprocess.CompletedProcess[str] | None = None
        started = _ask(
            arguments=self._command, environment={**os.environ, **(environment or {})}, folder=str(Path.cwd()), alone=alone,
            out=self._out.name, err=self._err.name,
        )  # fmt: skip
        assert started is not None and started > 1
        self.pid = started

    def poll(self) -> int | None:
        """The exit code, as `subprocess` has it, or None while it runs."""
        if self._done is None:
            code = _ask(pid=self.pid)
            if code is None:
                return None
            with self._out as out, self._err as err:
                self._done = subprocess.CompletedProcess(self._command, code, out.read(), err.read())
        return self._done.returncode

    def wait(self, timeout: float = 240) -> subprocess.CompletedProcess[str]:
        """What it said and how it ended, once it has; after so many seconds it is killed, and the test fails."""
        try:
            end = time.monotonic() + timeout
            while self.poll() is None:
                assert time.monotonic() < end, f"{self._command} did not end within {timeout} s"
                time.sleep(0.01)
        except BaseException:
            self.kill()
            raise
        assert self._done is not None
        return self._done

    def send(self, number: signal.Signals) -> None:
        """A signal, which a program that has ended fails a test by, saying what it said."""
        assert self.poll() is None, f"it has ended: {self._done}"
        (os.killpg if self._alone else os.kill)(self.pid, number)

    def kill(self) -> None:
        """Ends it, and those of its group."""
        if self.poll() is None:
            (os.killpg if self._alone else os.kill)(self.pid, signal.SIGKILL)

    def left_none_behind(self, patience: float = 30) -> bool:
        """Whether, soon after its end, nothing of its group is at work; for one that was started `alone`."""
        end = time.monotonic() + patience
        while _at_work(self.pid):
            if time.monotonic() > end:
                return False
            time.sleep(0.02)
        return True

    def __repr__(self) -> str:
        return f"{self._command}, pid {self.pid}, {self._done}"


def _at_work(group: int) -> bool:
    """Whether a process of a group has not ended; one that nobody has waited for has."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, found = stat.read_text().rpartition(")")[2].split()[:3]
        except OSError:  # it has just ended
            continue
        if int(found) == group and state not in "ZX":
            return True
    return False


def run(program: str | Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """A program to its end."""
    return Program(program, *arguments).wait()


def poke2vid(*arguments: object) -> subprocess.CompletedProcess[str]:
    """The command line of the package."""
    return run("poke2vid.cli", *arguments)
