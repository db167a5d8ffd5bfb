"""poke2vid: poke a picture and it moves. Importing this touches no device, network or codec, and not even torch."""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"
_HOMES = {  # public name -> the module it lives in, imported when first used
    "Clip": "types",
    "InputError": "types",
    "Player": "types",
    "Poke": "types",
    "Rest": "types",
    "Rollout": "types",
    "State": "types",
    "Animation": "live.animator",
    "Animator": "live.animator",
    "Session": "live.session",
    "load": "live.animator",
}
__all__ = [*_HOMES, "__version__"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'poke2vid' has no attribute {name!r}")
    return getattr(import_module(f"poke2vid.{_HOMES[name]}"), name)
