"""Keeps a server's memory flat, where the C library is glibc; elsewhere nothing is done."""

import contextlib
import ctypes
import sys

_M_ARENA_MAX = -8  # of glibc's malloc.h


def take_from_one_pool() -> None:
    """Has all threads take memory from one pool.

    glibc gives each thread a pool of its own, and what one thread made and another freed stays there for a while: eight
    clients were served from 724 ... 948 MB, up and down, and from one pool from 697 MB without a change.
    """
    _call("mallopt", _M_ARENA_MAX, 1)


def give_back() -> None:
    """Returns what is free to the system, also from between what is in use; a few milliseconds."""
    _call("malloc_trim", 0)


def _call(name: str, *arguments: int) -> None:
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):  # another C library
            getattr(ctypes.CDLL(None), name)(*arguments)
