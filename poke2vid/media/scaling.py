"""Decoded frames to upright 8-bit RGB arrays of one size: colours, square pixels, fit, and turn."""

from typing import Literal

import av
import numpy as np
from av.video.reformatter import ColorPrimaries, Colorspace, ColorTrc, Interpolation, VideoReformatter
from jaxtyping import UInt8

from poke2vid.media.hdr import Primaries, Transfer, to_sdr
from poke2vid.media.turning import Turn
from poke2vid.types import InputError

Fit = Literal["crop", "stretch", "pad"]

HD_WIDTH, HD_HEIGHT = 1280, 720  # from one of these on, untagged colours are BT.709, as in every player
_UNSPECIFIED = 2  # of AVColorSpace, AVColorTransferCharacteristic and AVColorPrimaries alike
_UNKNOWN_MATRICES = {8: "YCgCo", 10: "BT.2020 of constant luminance", 14: "ICtCp", 15: "IPT"}  # AVColorSpace
_TRANSFERS: dict[int, Transfer] = {ColorTrc.ARIB_STD_B67: "hlg", ColorTrc.SMPTE2084: "pq"}
_PRIMARIES: dict[int, Primaries] = {
    ColorPrimaries.BT2020: "bt2020",
    ColorPrimaries.SMPTE431: "p3",  # with another white, which is taken for D65
    ColorPrimaries.SMPTE432: "p3",
}


def colours_of(frame: av.VideoFrame) -> tuple[Transfer, Primaries]:
    """Transfer function and primaries by the frame's tags; BT.709, BT.601 and untagged ones count as SDR of BT.709.

    HDR without a tag of primaries is BT.2020, which BT.2100 knows alone.
    """
    transfer = _TRANSFERS.get(int(frame.color_trc), "sdr")
    untagged: Primaries = "bt709" if transfer == "sdr" else "bt2020"
    tag = int(frame.color_primaries)
    return transfer, untagged if tag == _UNSPECIFIED else _PRIMARIES.get(tag, "bt709")


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
        scaled = self._reformatter.reformat(
            frame,
            width=width,
            height=height,
            format="rgb24" if plain else "rgb48le",
            src_colorspace=_matrix(frame),
            interpolation=Interpolation.AREA if shrinks else Interpolation.BICUBIC,
            threads=1,  # threads cost more than they save on frames this small
        ).to_ndarray()
        return turn(self._fitted(scaled if plain else to_sdr(scaled, transfer, primaries)))

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


def _matrix(frame: av.VideoFrame) -> Colorspace | None:
    """Matrix from YUV to RGB that swscale would not choose by itself; None for the frame's own.

    Raises:
        InputError: for codings of colour that swscale does not know.
    """
    tag = int(frame.colorspace)
    if tag in _UNKNOWN_MATRICES:
        raise InputError(f"its colours are coded as {_UNKNOWN_MATRICES[tag]}, which cannot be read; export BT.709.")
    untagged_hd = tag == _UNSPECIFIED and (frame.width >= HD_WIDTH or frame.height >= HD_HEIGHT)
    if untagged_hd and colours_of(frame)[0] != "sdr":
        return Colorspace.BT2020
    return Colorspace.ITU709 if untagged_hd else None
