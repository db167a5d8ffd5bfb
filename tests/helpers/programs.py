"""Programs in processes of their own that import nothing heavy again: they are forked from one process that has done so.

To import PyTorch takes seconds, and tests start some fifty programs. A program that gets signals, or whose start is
what a test is about, is started by itself.
"""

import json
import os
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

# The parent never returns from `request`; a child does, with what it shall run, and ends as any program does. ONNX Runtime is
# not among the imports: it starts a thread, which a fork does not have and waits for in vain when it ends.
_PARENT = """
import json, os, runpy, sys
import av, cv2, numpy, PIL.Image, pydantic, safetensors.torch, torch, typer

def request():
    for line in sys.stdin:
        asked = json.loads(line)
        child = os.fork()
        if not child:
            return asked
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        print(code, flush=True)
    sys.exit()

asked = request()
for number, path in enumerate((os.devnull, asked["out"], asked["err"])):
    os.dup2(os.open(path, os.O_RDWR), number)
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


def run(program: str | Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """A program to its end: a module, as with `python -m`, or a file."""
    parent = _parent()
    assert parent.stdin is not None and parent.stdout is not None
    command = [str(program), *map(str, arguments)]
    with tempfile.NamedTemporaryFile("r") as out, tempfile.NamedTemporaryFile("r") as err:
        asked = {"arguments": command, "environment": dict(os.environ), "out": out.name, "err": err.name}
        parent.stdin.write(json.dumps(asked) + "\n")
        parent.stdin.flush()
        code = int(parent.stdout.readline())
        return subprocess.CompletedProcess(command, code, out.read(), err.read())


def poke2vid(*arguments: object) -> subprocess.CompletedProcess[str]:
    """The command line of the package."""
    return run("poke2vid.cli", *arguments)
