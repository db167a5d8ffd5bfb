"""The runtime checker of types and shapes for the whole suite: beartype, with PEP 484's rule that an int is a float.

Each function is checked in its first calls of every test. What comes after them in the same test is alike, and to check all
took a third of the suite's time. A check is made when its function is first called: most functions are not, in one process.
"""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import jaxtyping
from beartype import BeartypeConf, beartype

CALLS = 8  # of a function in a test that are checked

checked = beartype(conf=BeartypeConf(is_pep484_tower=True))
_jaxtyped = jaxtyping.jaxtyped
_test = 0  # the number of the one that runs


def begin_test() -> None:
    """From here on every function is checked anew."""
    global _test
    _test += 1


def _at_first(fn: Any = None, **options: Any) -> Any:
    """`jaxtyped` as the import hook applies it: a function whose first calls of a test are checked."""
    if fn is None:
        return functools.partial(_at_first, **options)
    if not inspect.isfunction(fn) or inspect.iscoroutinefunction(fn) or inspect.isasyncgenfunction(fn):
        return _jaxtyped(fn, **options)
    return _sampled(fn, functools.cache(lambda: _jaxtyped(fn, **options)))


def _sampled(fn: Callable[..., Any], whole: Callable[[], Callable[..., Any]]) -> Callable[..., Any]:
    test, left = -1, 0

    @functools.wraps(fn)
    def call(*args: Any, **kwargs: Any) -> Any:
        nonlocal test, left
        if test != _test:
            test, left = _test, CALLS
        if left == 0:
            return fn(*args, **kwargs)
        left -= 1
        return whole()(*args, **kwargs)

    return call


jaxtyping.jaxtyped = _at_first  # the hook looks it up in each module that it compiles
