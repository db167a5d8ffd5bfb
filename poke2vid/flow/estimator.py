"""Optical flow estimators: their protocol, and a factory by name."""

from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, UInt8

from poke2vid.types import InputError

ESTIMATORS = ("dis", "raft")
SMALLEST_WORKING_SIDE = 128  # pixels: below this, flow is estimated on larger frames and shrunk with them


@runtime_checkable
class FlowEstimator(Protocol):
    """Estimator of the motion of every pixel from one frame to another.

    Attributes:
        name: as given to `build_estimator`, for logs and stores.
    """

    name: str

    def __call__(
        self, first: UInt8[np.ndarray, "h w 3"], second: UInt8[np.ndarray, "h w 3"]
    ) -> Float32[np.ndarray, "2 h w"]:
        """Flow (dx, dy) in pixels: (x, y) in `first` moves to (x + dx, y + dy) in `second`. Frames are RGB."""


def build_estimator(name: str, weights_dir: str | Path | None = None) -> FlowEstimator:
    """Builds the estimator of a name; do not share it between threads.

    Args:
        name: "dis" (OpenCV, needs no weights) or "raft" (RAFT-small, more accurate and slower).
        weights_dir: folder to search first for weights, see `weights.find`.

    Raises:
        InputError: if the name is unknown, or its weights cannot be found.
    """
    # Imported only when chosen: a training node needs no OpenCV.
    match name:
        case "dis":
            from poke2vid.flow.classical import DisFlow

            return DisFlow()
        case "raft":
            from poke2vid.flow.raft import RaftFlow

            return RaftFlow(weights_dir)
        case _:
            raise InputError(f"There is no flow estimator called {name!r}; choose one of {', '.join(ESTIMATORS)}.")
