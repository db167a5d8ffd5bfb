"""Checks that this machine can simulate and draw, and says what to install otherwise. Does not import MuJoCo."""

import importlib.util
import os
import subprocess
import sys
from ctypes.util import find_library

from poke2vid.types import InputError

DRIVERS = {"egl": "EGL", "osmesa": "OSMesa"}  # MuJoCo's name: library; fastest first
KNOWN_DRIVERS = (
    "",
    "egl",
    "osmesa",
    "glfw",
    "glx",
    "wgl",
    "cgl",
    "enable",
    "enabled",
    "on",
    "true",
    "1",
)  # in MUJOCO_GL
DEBIAN = "apt-get install libegl1 libegl-mesa0 libgl1-mesa-dri (or libosmesa6)"
PIP = "pip install 'poke2vid[simulator]'"
TRIAL_SECONDS = 200  # a busy machine takes a minute to import and draw
_TRIAL = "import poke2vid.simulator.render as render; render._gl_context(); print('drawn')"


def choose_driver() -> None:
    """Picks MuJoCo's driver for drawing without a display, unless the user has; limits drawing to one thread."""
    if sys.platform.startswith("linux") and "MUJOCO_GL" not in os.environ:
        found = [name for name, library in DRIVERS.items() if find_library(library)]
        os.environ["MUJOCO_GL"] = found[0] if found else "egl"
    # Two processes draw more frames than one process with two threads.
    os.environ.setdefault("LP_NUM_THREADS", "1")


def require_physics() -> None:
    """Raises InputError if MuJoCo is not installed, or would refuse the driver in MUJOCO_GL."""
    if importlib.util.find_spec("mujoco") is None:
        raise InputError(f"the simulator needs MuJoCo; install it with: {PIP}")
    driver = os.environ.get("MUJOCO_GL", "")
    if driver.lower().strip() not in KNOWN_DRIVERS:
        raise InputError(
            f"MUJOCO_GL is {driver!r}, by which MuJoCo cannot draw; unset it, or choose egl, osmesa or glfw."
        )
    if driver == "osmesa" and not find_library(DRIVERS[driver]):
        raise InputError(f"MUJOCO_GL is 'osmesa', and its library is not installed; unset it, or on Debian: {DEBIAN}")


def missing_requirements() -> list[str]:
    """One sentence per missing thing, with its remedy; empty if scenes can be simulated and drawn.

    Drawing is tried in a separate process, because a broken driver may crash it.
    """
    try:
        require_physics()
    except InputError as error:
        return [str(error)]
    try:
        trial = subprocess.run(
            [sys.executable, "-c", _TRIAL], capture_output=True, text=True, timeout=TRIAL_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return [f"drawing did not end within {TRIAL_SECONDS} s; try MUJOCO_GL=osmesa, or on Debian: {DEBIAN}"]
    if trial.returncode == 0 and "drawn" in trial.stdout:
        return []
    last = (trial.stderr.strip().splitlines() or [f"it ended with code {trial.returncode}"])[-1]
    return [f"MuJoCo cannot draw by MUJOCO_GL={os.environ.get('MUJOCO_GL', '')} ({last}); on Debian: {DEBIAN}"]
