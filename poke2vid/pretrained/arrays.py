"""Numpy arrays in a pickle, read without running it.

Unpickling runs whatever a file asks for. This reader knows the opcodes of nested dicts of float32 arrays and refuses all
others; nothing is imported or called on a file's behalf.
"""

import pickletools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from poke2vid.types import InputError

Arrays = dict[str, np.ndarray]
_RECONSTRUCT = {"numpy.core.multiarray _reconstruct", "numpy._core.multiarray _reconstruct"}
_NDARRAY, _DTYPE, _FLOAT = "numpy ndarray", "numpy dtype", ("f4", "<")


@dataclass(frozen=True)
class _Name:
    """Name of a class or function that the file mentions; never looked up."""

    name: str


@dataclass
class _Built:
    """An array or dtype, by the calls that would make it; `state` arrives after it was referred to."""

    maker: str
    arguments: tuple[Any, ...]
    state: tuple[Any, ...] = ()


def read_arrays(path: Path) -> Arrays:
    """Arrays of a pickled tree of dicts, by their keys joined with "/".

    Raises:
        InputError: if the file holds anything else than dicts of little-endian float32 arrays.
    """
    try:
        return {"/".join(keys): _array(value) for keys, value in _leaves(_tree(path.read_bytes()), ())}
    except (ValueError, TypeError, IndexError, KeyError, AttributeError) as error:
        raise InputError(
            f"{path} is no tree of arrays and is not read any further ({error}): take the published file."
        ) from error


def _tree(content: bytes) -> Any:
    """Tree that the pickle's opcodes describe, with `_Built` for arrays."""
    stack: list[Any] = []
    marks: list[int] = []
    memo: dict[int, Any] = {}

    def since_mark() -> list[Any]:
        first = marks.pop()
        found = stack[first:]
        del stack[first:]
        return found

    value: Any
    for opcode, value, _ in pickletools.genops(content):
        match opcode.name:
            case "PROTO" | "FRAME":
                pass
            case "STOP":
                return stack.pop()
            # Plain values
            case "BININT" | "BININT1" | "BININT2" | "SHORT_BINUNICODE" | "BINUNICODE" | "SHORT_BINBYTES" | "BINBYTES":
                stack.append(value)
            case "NONE" | "NEWTRUE" | "NEWFALSE":
                stack.append({"NONE": None, "NEWTRUE": True, "NEWFALSE": False}[opcode.name])
            # The memo
            case "MEMOIZE":
                memo[len(memo)] = stack[-1]
            case "BINPUT" | "LONG_BINPUT":
                memo[value] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                stack.append(memo[value])
            # Containers
            case "MARK":
                marks.append(len(stack))
            case "EMPTY_DICT":
                stack.append({})
            case "TUPLE":
                stack.append(tuple(since_mark()))
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                length = int(opcode.name[-1])
                stack[-length:] = [tuple(stack[-length:])]
            case "SETITEM":
                entry = stack.pop()
                key = stack.pop()
                stack[-1][key] = entry
            case "SETITEMS":
                entries = since_mark()
                stack[-1].update(zip(entries[::2], entries[1::2], strict=True))
            # Names, calls and states: noted, never followed
            case "GLOBAL":
                stack.append(_Name(value))
            case "STACK_GLOBAL":
                stack[-2:] = [_Name(f"{stack[-2]} {stack[-1]}")]
            case "REDUCE":
                stack[-2:] = [_Built(stack[-2].name, stack[-1])]
            case "BUILD":
                state = stack.pop()
                stack[-1].state = state
            case other:
                raise ValueError(f"it has the opcode {other}")
    raise ValueError("it has no end")


def _leaves(tree: Any, keys: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    if not isinstance(tree, dict):
        yield keys, tree
        return
    for key, value in tree.items():
        if not isinstance(key, str):
            raise ValueError(f"the key {key!r} is no text")
        yield from _leaves(value, (*keys, key))


def _array(built: Any) -> np.ndarray:
    """The array of numpy's own calls: _reconstruct(ndarray, ...), then the state (version, shape, dtype, fortran, bytes)."""
    if not (isinstance(built, _Built) and built.maker in _RECONSTRUCT and built.arguments[0] == _Name(_NDARRAY)):
        raise ValueError(f"it holds something that is no array: {str(built)[:60]}")
    _, shape, dtype, fortran, content = built.state
    if dtype.maker != _DTYPE or (dtype.arguments[0], dtype.state[1]) != _FLOAT:
        raise ValueError(f"it holds an array of {dtype.arguments[0]}, where little-endian f4 is expected")
    return np.frombuffer(content, "<f4").reshape(shape, order="F" if fortran else "C")
