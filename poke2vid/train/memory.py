"""Freed memory that a training process keeps for its next step."""

import contextlib
import ctypes
import sys

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # glibc's malloc.h


def keep_freed_memory() -> None:
    """Tells glibc to keep freed tensors: the kernel would return their pages zeroed. No effect without glibc.

    A step on the CPU frees and takes the same gigabytes again: a fifth of its time went into zeroing them
    (docs/experiments.md, 2026-11-22). For programs that own their process.
    """
    if not sys.platform.startswith("linux"):
        return
    with contextlib.suppress(OSError, AttributeError):  # another C library, such as musl
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_MAX, 0)
        libc.mallopt(_M_TRIM_THRESHOLD, -1)
