"""Decoded frames to upright 8-bit RGB arrays of one size: colours, square pixels, fit, and turn."""

from typing import Literal

import av
import numpy as np
from av.video.reformatter import Colorspace, Interpolation, VideoReformatter
from jaxtyping import UInt, UInt8

from poke2vid.media.code_points import UNSPECIFIED, colours
from poke2vid.media.hdr import Primaries, Transfer, to_sdr
from poke2vid.media.turning import Turn
from poke2vid.types import InputError

Fit = Literal["crop", "stretch", "pad"]

HD_WIDTH, HD_HEIGHT = 1280, 720  # from one of these on, untagged colours are BT.709, as in every player
_UNKNOWN_MATRICES = {8: "YCgCo", 10: "BT.2020 of constant luminance", 14: "ICtCp", 15: "IPT"}  # AVColorSpace


def colours_of(frame: av.VideoFrame) -> tuple[Transfer, Primaries]:
    """Transfer function and primaries by the frame's tags."""
    return colours(int(frame.color_trc), int(frame.color_primaries))


def square_pixels(frame: av.VideoFrame, aspect: float) -> tuple[int, int]:
    """Height and width of the frame with square pixels, before any turning."""
    return frame.height, max(1, round(frame.width * aspect))


class Scaler:
    """Decoded frames to scaled, fitted and turned RGB arrays; reuses one reformatter to set up its filter only once."""

    def __init__(self, size: int | None, fit: Fit) -> None:
        self._size, self._fit, self._reformatter = size, fit, VideoReformatter()

    def __call__(self, frame: av.VideoFrame, aspect: float, turn: Turn) -> UInt8[np.ndarray, "h w 3"]:
        height, width = self._target(*square_pixels(frame, aspect))
        shrinks = height < frame.height or width < frame.width
        transfer, primaries = colours_of(frame)
        plain = transfer == "sdr" and primaries == "bt709"
        opacity = any(component.is_alpha for component in frame.format.components)
        kind = ("rgba" if plain else "rgba64le") if opacity else "rgb24" if plain else "rgb48le"
        scaled = self._reformatter.reformat(
            frame,
            width=width,
            height=height,
            format=kind,
            src_colorspace=_matrix(frame),
            interpolation=Interpolation.AREA if shrinks else Interpolation.BICUBIC,
            threads=1,  # threads cost more than they save on frames this small
        ).to_ndarray()
        shown = scaled[..., :3] if plain else to_sdr(scaled[..., :3], transfer, primaries)
        return turn(self._fitted(_on_white(shown, scaled[..., 3]) if opacity else shown))

    def _target(self, height: int, width: int) -> tuple[int, int]:
        size = self._size
        if size is None:
            return height, width
        if self._fit == "stretch":
            return size, size
        side = min(height, width) if self._fit == "crop" else max(height, width)
        return max(1, round(height * size / side)), max(1, round(width * size / side))

    def _fitted(self, frame: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h2 w2 3"]:
        """Crops a frame that is too large to its middle; pads one that is too small with black."""
        if self._size is None or frame.shape[:2] == (self._size, self._size):
            return frame
        height, width = frame.shape[:2]
        if self._fit == "crop":
            top, left = (height - self._size) // 2, (width - self._size) // 2
            return frame[top : top + self._size, left : left + self._size]
        padded = np.zeros((self._size, self._size, 3), np.uint8)
        top, left = (self._size - height) // 2, (self._size - width) // 2
        padded[top : top + height, left : left + width] = frame
        return padded


def _on_white(colours: UInt8[np.ndarray, "h w 3"], opacity: UInt[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w 3"]:
    share = (opacity / np.iinfo(opacity.dtype).max)[..., None]
    return np.rint(colours * share + 255 * (1 - share)).astype(np.uint8)


def _matrix(frame: av.VideoFrame) -> Colorspace | None:
    """Matrix from YUV to RGB that swscale would not choose by itself; None for the frame's own.

    Raises:
        InputError: for codings of colour that swscale does not know.
    """
    tag = int(frame.colorspace)
    if tag in _UNKNOWN_MATRICES:
        raise InputError(f"its colours are coded as {_UNKNOWN_MATRICES[tag]}, which cannot be read; export BT.709.")
    if tag != UNSPECIFIED:
        return None
    if colours_of(frame)[0] != "sdr":
        return Colorspace.BT2020
    return Colorspace.ITU709 if frame.width >= HD_WIDTH or frame.height >= HD_HEIGHT else None
