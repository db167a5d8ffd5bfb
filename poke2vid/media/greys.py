"""Numbers of TIFF and of deep grey pictures, of 12, 16 or 32 bits, to 8 bits; refused where nobody can say which is white."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from poke2vid.types import InputError

_BITS, _PHOTOMETRIC, _PLANES, _SAMPLE_FORMAT = 258, 262, 284, 339  # TIFF tags
_WHITE_IS_ZERO, _SEPARATE, _SIGNED = 0, 2, 2
_EMPTY_BITS = 4  # 16 bits of which the four highest are empty would be all but black


def is_deep(image: Image.Image) -> bool:
    return image.mode == "F" or image.mode.startswith("I")


def check_samples(tags: Mapping[int, Any]) -> None:
    """Raises InputError for TIFF pictures that Pillow reads as other ones: signed bytes, and planes of 16 bits."""
    bits = _first(tags.get(_BITS, 8))
    if bits == 8 and _first(tags.get(_SAMPLE_FORMAT, 1)) == _SIGNED:
        raise InputError("the picture's numbers are signed bytes, which have no agreed white; save it with 0 to 255.")
    if bits > 8 and tags.get(_PLANES) == _SEPARATE:
        raise InputError(f"its colours lie in separate planes of {bits} bits; save them interleaved, or with 8 bits.")


def eight_bit_grey(image: Image.Image, tags: Mapping[int, Any]) -> Image.Image:
    """An 8-bit picture (mode "L") of a deep one, which had these tags if it was a TIFF.

    16 bits are taken from end to end, as PNG and PGM define them. TIFF defines no range for 32 bits: the smallest of 8,
    16 and 32 bits that holds all values counts.

    Raises:
        InputError: for floating point, negative numbers, and numbers that would come out black.
    """
    if image.mode == "F":
        raise InputError("a picture of floating-point numbers has no agreed range; save it with 8 or 16 bits.")
    values = np.asarray(image).astype(np.int64)
    white = 65535
    if tags:
        bits, signed = _first(tags.get(_BITS, 16)), _first(tags.get(_SAMPLE_FORMAT, 1)) == _SIGNED
        if bits == 32 and not signed:
            values = values % 2**32  # Pillow delivers them as signed numbers
        white = _white_of_tiff(values, bits, signed)
        if tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO:  # Pillow turns 8 bits round, and no others
            values = white - values
    most = int(values.max())
    if white > 255 and 0 < most <= white >> _EMPTY_BITS:
        raise InputError(f"the brightest pixel is {most} of {white}, so it would look black; stretch its range.")
    return Image.fromarray(scaled(values, white))


def scaled(values: np.ndarray, white: int) -> UInt8[np.ndarray, "..."]:
    """Whole numbers from 0 to `white` as 0 to 255, rounded; larger ones are white."""
    return ((values.clip(0, white).astype(np.int64) * 255 + white // 2) // white).astype(np.uint8)


def _white_of_tiff(values: np.ndarray, bits: int, signed: bool) -> int:
    low, high = int(values.min()), int(values.max())
    if low < 0:
        raise InputError(f"the picture holds negative numbers (down to {low}); save it with 8 or 16 bits from 0 up.")
    if bits < 16:
        return int(2**bits - 1)
    if bits == 16:
        return 2**15 - 1 if signed else 2**16 - 1
    for white in (2**8 - 1, 2**16 - 1):
        if high <= white:
            return white
    full = 2**31 - 1 if signed else 2**32 - 1
    if high < full // 2:
        raise InputError(f"32-bit numbers up to {high} have no agreed range; save the picture with 8 or 16 bits.")
    return full


def _first(value: int | tuple[int, ...]) -> int:
    return value[0] if isinstance(value, tuple) else int(value)
