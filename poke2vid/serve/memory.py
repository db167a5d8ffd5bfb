"""Keeps a server's memory flat if the C library is glibc; does nothing elsewhere."""

import contextlib
import ctypes
import sys

_M_ARENA_MAX = -8  # of glibc's malloc.h


def share_one_pool() -> None:
    """Makes all threads allocate from one pool.

    glibc gives each thread its own pool, and memory that one thread allocated and another freed stays there for a
    while: with eight clients a server went up and down between 724 and 948 MB; with one pool it stayed at 697 MB.
    """
    _call("mallopt", _M_ARENA_MAX, 1)


def give_back() -> None:
    """Returns free memory to the system, also from between blocks in use; takes a few milliseconds."""
    _call("malloc_trim", 0)


def _call(name: str, *arguments: int) -> None:
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):  # another C library
            getattr(ctypes.CDLL(None), name)(*arguments)
