"""Simulated videos straight into a store: no video files, no decoding, and exact instead of estimated flow."""

import contextlib
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from poke2vid.data.prepare.report import PrepareReport
from poke2vid.data.prepare.run import PrepareSettings, fill_store
from poke2vid.data.sources.footage import Origin
from poke2vid.flow.estimator import build_estimator
from poke2vid.media.video import Fit, Shown
from poke2vid.simulator.film import Order, Take, take
from poke2vid.simulator.scene import GENERATION
from poke2vid.simulator.surface import Surface
from poke2vid.simulator.world import FPS, PHYSICS
from poke2vid.types import InputError

KEPT = 32  # surfaces cached at a time; more than the usual lags, and a small part of a video


def simulate_store(
    orders: Sequence[Order], out: Path, lags: Sequence[int], flow: str, workers: int, weights_dir: Path | None = None,
    quiet: bool = False,
) -> PrepareReport:  # fmt: skip
    """Makes every order a video of the store `out`, held out if of the test split. Resumable, the same for any workers.

    Raises:
        InputError: see `prepare`; also if this machine cannot draw.
    """
    held_out = any(order.split == "test" for order in orders)
    settings = PrepareSettings(
        resolution=orders[0].resolution, lags=tuple(sorted(set(lags))), flow=flow, test=("*-test-*",) if held_out else (),
        test_fraction=0.0, workers=workers,
    )  # fmt: skip
    if flow != "exact":
        build_estimator(flow, weights_dir)  # an unknown name or missing weights stop the run at once
    return fill_store([SimulatedVideo(order) for order in orders], out, settings, weights_dir, quiet)


@dataclass(frozen=True)
class SimulatedVideo:
    """A source that is simulated when it is opened."""

    order: Order

    @property
    def name(self) -> str:
        return self.order.name

    @property
    def place(self) -> str:
        return f"simulated {self.order.name}"

    def digest(self) -> str:
        """Digest of all that determines the pictures: order, scene generation, physics, and photographs if any."""
        photos = "" if self.order.backgrounds is None else f" {self.order.backgrounds.digest}"
        return hashlib.sha256(f"{self.order} {GENERATION} {PHYSICS}{photos}".encode()).hexdigest()

    def expected_frames(self, fps: float | None) -> int:
        return self.order.frames

    @contextlib.contextmanager
    def open(self) -> Iterator["SimulatedFootage"]:
        with take(self.order) as film:
            yield SimulatedFootage(film)


@dataclass(frozen=True)
class SimulatedFootage:
    """A scene in motion, drawn at the order's size."""

    film: Take
    _surfaces: dict[int, Surface] = field(default_factory=dict)

    @property
    def origin(self) -> Origin:
        order = self.film.order
        return Origin(order.resolution, order.resolution, FPS, order.frames)

    @property
    def notes(self) -> Sequence[str]:
        return ()

    def frames(self, side: int, fit: Fit, fps: float | None) -> Iterator[Shown]:
        if fps is not None and fps < FPS:
            raise InputError(f"simulated videos have {FPS:g} frames a second and are not thinned out; leave fps away.")
        for number in range(self.film.order.frames):
            yield Shown(self.film.frame(number, side), 0)

    def exact_flow(self, start: int, end: int) -> Float32[np.ndarray, "2 h w"]:
        return self._surface(start).flow(self.film.trajectory, end)

    def _surface(self, number: int) -> Surface:
        """Surface of a frame, cached because several lags start from the same frame."""
        if number not in self._surfaces:
            self._surfaces[number] = self.film.surface(number)
            if len(self._surfaces) > KEPT:
                del self._surfaces[min(self._surfaces)]
        return self._surfaces[number]
