"""Single pictures: files, bytes and arrays to uint8 RGB `h w 3`, and from there to floats in [-1, 1] and back."""

import contextlib
import io
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float32, UInt8
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from poke2vid.files import atomic
from poke2vid.media.code_points import SRGB, of_picture
from poke2vid.media.greys import check_samples, eight_bit_grey, is_deep, scaled
from poke2vid.media.hdr import Primaries, Transfer, to_sdr
from poke2vid.media.profiles import to_srgb
from poke2vid.types import InputError

MAX_PIXELS = 64 * 2**20  # of one picture or frame: limits the memory that a hostile file can claim
_HEAD = 65536  # bytes of a file in which its colours are named
_COLOURS = "poke2vid colours"  # entry of Pillow's `info`, which copies of a picture keep
WEBP_QUALITY = 90
HALF = 128  # level of opacity from which a pixel belongs to the object


def read_picture(source: str | Path | bytes | Image.Image | np.ndarray) -> UInt8[np.ndarray, "h w 3"]:
    """Reads a picture as meant to be seen: turned by its EXIF tag, on white where transparent, first frame if animated.

    Colours are brought to sRGB by the picture's ICC profile, or else by its code points (HDR, wide gamut); deep greys are
    reduced as `greys` says. Arrays are uint8 or uint16, `h w`, `h w 3` or `h w 4`; 16-bit pictures are reduced to 8 bits.

    Raises:
        InputError: if there is no such file, or it is not a picture, empty, cut short, or larger than MAX_PIXELS; the
            size is checked before anything is decoded.
    """
    if isinstance(source, np.ndarray):
        return _flatten(_from_array(source))
    if isinstance(source, Image.Image):
        return _flatten(source)
    return _decoded(source, _flatten)


def read_cutout(source: str | Path | bytes) -> UInt8[np.ndarray, "h w 4"]:
    """Reads a picture that is transparent around its object, turned by its EXIF tag: RGB and opacity.

    Raises:
        InputError: see `read_picture`; also if it is fully opaque or fully transparent.
    """
    picture = _decoded(source, lambda image: np.array(_upright(image).convert("RGBA")))
    opacity = picture[..., 3]
    if opacity.min() > HALF or opacity.max() < HALF:
        name = "the picture" if isinstance(source, bytes) else str(source)
        raise InputError(
            f"{name} is no cut-out: nothing of it is transparent, or all is; give a PNG with an alpha channel."
        )
    return picture


def _decoded(
    source: str | Path | bytes, finish: Callable[[Image.Image], UInt8[np.ndarray, "h w c"]]
) -> UInt8[np.ndarray, "h w c"]:
    with reading(source) as image:
        return finish(image)


def _head(source: str | Path | bytes) -> bytes:
    if isinstance(source, bytes):
        return source[:_HEAD]
    with Path(source).open("rb") as file:
        return file.read(_HEAD)


@contextlib.contextmanager
def reading(source: str | Path | bytes) -> Iterator[Image.Image]:
    """Opens a picture; raises InputError, in one sentence that names it, for any fault of the file until it is closed."""
    name = "the picture" if isinstance(source, bytes) else str(source)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # check_size raises a clearer error
            with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as image:
                check_size(*image.size, name)
                image.info[_COLOURS] = of_picture(_head(source))
                yield image
    except InputError:
        raise
    except FileNotFoundError as error:
        raise InputError(f"there is no picture {name}; check the path.") from error
    except IsADirectoryError as error:
        raise InputError(f"{name} is a folder, not a picture; name a file in it.") from error
    except PermissionError as error:
        raise InputError(f"{name} cannot be read: permission denied.") from error
    except UnidentifiedImageError as error:
        raise InputError(f"{name} is not a picture that can be read; use PNG, JPEG, WebP, TIFF or BMP.") from error
    except Image.DecompressionBombError as error:
        raise InputError(_too_large(name)) from error
    except Exception as error:  # Pillow's readers raise many kinds of error on damaged files
        raise InputError(f"{name} is damaged or cut short; take an intact copy.") from error


def write_picture(path: Path, picture: UInt8[np.ndarray, "h w 3"]) -> None:
    """Writes a PNG, or a .webp that is a tenth of one, atomically; raises InputError if it cannot be written."""
    with atomic(path) as temporary:
        if path.suffix == ".webp":
            Image.fromarray(picture).save(temporary, format="WEBP", quality=WEBP_QUALITY, method=6)
        else:
            Image.fromarray(picture).save(temporary, format="PNG")


def to_float(frames: UInt8[np.ndarray, "*b h w 3"]) -> Float32[Tensor, "*b 3 h w"]:
    """Converts uint8 frames to floats in [-1, 1], channels first."""
    whole = torch.from_numpy(np.array(frames))  # a copy: memory maps are read-only
    return whole.movedim(-1, -3).float().div(127.5).sub(1).contiguous()


def to_uint8(frames: Float[Tensor, "*b 3 h w"]) -> UInt8[np.ndarray, "*b h w 3"]:
    """Inverse of `to_float`: rounds, and clamps values outside [-1, 1]."""
    levels = frames.detach().float().add(1).mul(127.5).round().clamp(0, 255).byte()
    return np.ascontiguousarray(levels.movedim(-3, -1).cpu().numpy())


def _from_array(array: np.ndarray) -> Image.Image:
    colours = array.shape[2:] in ((), (3,), (4,))
    if array.ndim not in (2, 3) or not colours or array.dtype not in (np.uint8, np.uint16):
        raise InputError(
            f"an array of shape {array.shape} and type {array.dtype} is not a picture; "
            "give uint8 or uint16 of shape (h, w), (h, w, 3) or (h, w, 4)."
        )
    if array.size == 0:
        raise InputError(f"the picture is empty (shape {array.shape}); give at least one pixel.")
    check_size(array.shape[1], array.shape[0], "the picture")
    return Image.fromarray(_eight_bits(array))


def _flatten(image: Image.Image) -> UInt8[np.ndarray, "h w 3"]:
    """Decodes, turns by the EXIF tag, and lays on white."""
    check_size(*image.size, "the picture")
    image = _upright(image)
    if image.mode == "RGBA":
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return np.array(image.convert("RGB"))


def _upright(image: Image.Image) -> Image.Image:
    """The picture in sRGB with 8 bits, with opacity if it has any (mode "RGB" or "RGBA"), turned by its EXIF tag."""
    profile, colours = image.info.get("icc_profile"), image.info.get(_COLOURS, SRGB)
    tags = getattr(image, "tag_v2", {})  # a turned copy has none of these
    check_samples(tags)
    image = ImageOps.exif_transpose(image)
    shown = to_srgb(eight_bit_grey(image, tags) if is_deep(image) else image, profile)
    level = image.info.get("transparency")
    if is_deep(image) and isinstance(level, int):  # Pillow drops it
        shown.putalpha(Image.fromarray(np.where(np.asarray(image) == level, 0, 255).astype(np.uint8)))
    return shown if profile or colours == SRGB else _to_sdr(shown, *colours)


def _to_sdr(image: Image.Image, transfer: Transfer, primaries: Primaries) -> Image.Image:
    """A picture whose numbers are a signal of HDR or of a wide gamut; in strips, because light takes 20 bytes a pixel."""
    signal = np.asarray(image)
    rows = max(1, 2**20 // signal.shape[1])
    strips = [
        to_sdr(signal[start : start + rows, :, :3].astype(np.uint16) * 257, transfer, primaries)
        for start in range(0, len(signal), rows)
    ]
    shown = Image.fromarray(np.concatenate(strips))
    if image.mode == "RGBA":
        shown.putalpha(image.getchannel("A"))
    return shown


def _eight_bits(array: np.ndarray) -> UInt8[np.ndarray, "..."]:
    return array if array.dtype == np.uint8 else scaled(array, 65535)


def check_size(width: int, height: int, name: str) -> None:
    if width < 1 or height < 1:
        raise InputError(f"{name} is empty ({width} x {height}); give at least one pixel.")
    if width * height > MAX_PIXELS:
        raise InputError(_too_large(name, f" ({width} x {height})"))


def _too_large(name: str, size: str = "") -> str:
    return f"{name} is too large{size}; the limit is {MAX_PIXELS // 2**20} megapixels, so shrink it first."
