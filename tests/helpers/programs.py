"""Programs in processes of their own that import nothing heavy again: they are forked from one process that has done so.

To import PyTorch takes seconds, and tests start a hundred programs. A program whose start is what a test is about is
started by itself.
"""

import json
import os
import subprocess
import sys
import tempfile
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
            ended, status = os.waitpid(asked["pid"], 0 if asked["wait"] else os.WNOHANG)
            answer = os.waitstatus_to_exitcode(status) if ended else None
        print(json.dumps(answer), flush=True)
    sys.exit()

asked = request()
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


def _ask(**values: object) -> int | None:
    parent = _parent()
    assert parent.stdin is not None and parent.stdout is not None
    parent.stdin.write(json.dumps(values) + "\n")
    parent.stdin.flush()
    return json.loads(parent.stdout.readline())


class Program:
    """A program at work: a module, as with `python -m`, or a file.

    Args:
        environment: variables besides those of this process.
        alone: in a session and a process group of its own, as one that a terminal or batch system starts.
    """

    def __init__(
        self, program: str | Path, *arguments: object, environment: Mapping[str, str] | None = None, alone: bool = False
    ) -> None:
        self._command = [str(program), *map(str, arguments)]
        self._out, self._err = (tempfile.NamedTemporaryFile("r") for _ in range(2))  # noqa: SIM115 (closed in `wait`)
        self._code: int | None = None
        started = _ask(
            arguments=self._command, environment={**os.environ, **(environment or {})}, folder=str(Path.cwd()), alone=alone,
            out=self._out.name, err=self._err.name,
        )  # fmt: skip
        assert started is not None
        self.pid = started

    def poll(self) -> int | None:
        """The exit code, as `subprocess` has it, or None while it runs."""
        if self._code is None:
            self._code = _ask(pid=self.pid, wait=False)
        return self._code

    def wait(self) -> subprocess.CompletedProcess[str]:
        """What it said and how it ended, once it has."""
        if self._code is None:
            self._code = _ask(pid=self.pid, wait=True)
        assert self._code is not None
        with self._out as out, self._err as err:
            return subprocess.CompletedProcess(self._command, self._code, out.read(), err.read())


def run(program: str | Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """A program to its end."""
    return Program(program, *arguments).wait()


def poke2vid(*arguments: object) -> subprocess.CompletedProcess[str]:
    """The command line of the package."""
    return run("poke2vid.cli", *arguments)
