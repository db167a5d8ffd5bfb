"""Time of a real run by stage: timers put around functions of the package while a benchmark runs, then taken off."""

import contextlib
import functools
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

REST = "everything else"


class Stages:
    """Seconds by stage, each moment counted once: a stage inside another counts for itself alone.

    Attributes:
        seconds: by stage, including `REST` for what no stage claims.
        calls: how often each stage was entered.
    """

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.calls: defaultdict[str, int] = defaultdict(int)
        self._open: list[str] = []
        self._since = 0.0

    def clear(self) -> None:
        self.seconds.clear()
        self.calls.clear()

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Counts the time in this block for `name`."""
        self.enter(name)
        try:
            yield
        finally:
            self.leave()

    def enter(self, name: str) -> None:
        self._charge()
        self._open.append(name)
        self.calls[name] += 1

    def leave(self) -> None:
        self._charge()
        self._open.pop()

    @property
    def current(self) -> str | None:
        """The innermost open stage."""
        return self._open[-1] if self._open else None

    def switch(self, name: str) -> None:
        """Counts the innermost open block for another stage from here on; for hooks that fire in a backward pass."""
        self._charge()
        self._open[-1] = name

    def _charge(self) -> None:
        now = time.perf_counter()
        if self._open:
            self.seconds[self._open[-1]] += now - self._since
        self._since = now

    @contextlib.contextmanager
    def around(self, *places: tuple[Any, str, str]) -> Iterator[None]:
        """Timers around (owner, attribute, stage) while the block runs; the real functions do the work."""
        with contextlib.ExitStack() as undo:
            for owner, attribute, stage in places:
                own = attribute in vars(owner)
                original = getattr(owner, attribute)
                setattr(owner, attribute, self._timed(original, stage))
                undo.callback(setattr, owner, attribute, original) if own else undo.callback(delattr, owner, attribute)
            yield

    def _timed(self, function: Callable[..., Any], stage: str) -> Callable[..., Any]:
        @functools.wraps(function)
        def timed(*args: Any, **kwargs: Any) -> Any:
            with self.stage(stage):
                return function(*args, **kwargs)

        return timed

    def shares(self) -> dict[str, float]:
        """Each stage's part of the whole, 0 ... 1, in the order in which the stages were first left."""
        total = sum(self.seconds.values())
        return {name: seconds / total for name, seconds in self.seconds.items()} if total else {}
