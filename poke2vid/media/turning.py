"""Display matrices: the flips and quarter turns that a video file asks its players for."""

import struct
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

_LAYOUT = struct.Struct("=9i")  # libavutil/display.h: a b u c d v x y w, of which a ... d are 16.16 fixed point


@dataclass(frozen=True)
class Turn:
    """One of the eight ways to lay a rectangle down again: transposed first, then mirrored.

    Attributes:
        transposed: rows become columns.
        left_right, upside_down: mirrored afterwards, in the axes as shown.
    """

    transposed: bool = False
    left_right: bool = False
    upside_down: bool = False

    @staticmethod
    def of_matrix(data: bytes) -> "Turn":
        """Reads a display matrix, which sends the point (x, y) to (a x + c y, b x + d y), y pointing down.

        Other angles are rounded to a quarter turn. ffmpeg's own rule (`ffmpeg_filter.c`) gives the same for all eight.
        """
        if len(data) < _LAYOUT.size:
            return Turn()
        a, b, _, c, d, *_ = _LAYOUT.unpack(data[: _LAYOUT.size])
        if abs(a) + abs(d) >= abs(b) + abs(c):
            return Turn(False, a < 0, d < 0)
        return Turn(True, c < 0, b < 0)

    def shape(self, height: int, width: int) -> tuple[int, int]:
        """Height and width as shown."""
        return (width, height) if self.transposed else (height, width)

    def __call__(self, frame: UInt8[np.ndarray, "h w c"]) -> UInt8[np.ndarray, "h2 w2 c"]:
        """The frame as shown."""
        shown = frame.swapaxes(0, 1) if self.transposed else frame
        rows, columns = (
            slice(None, None, -1 if self.upside_down else 1),
            slice(None, None, -1 if self.left_right else 1),
        )
        return np.ascontiguousarray(shown[rows, columns])
