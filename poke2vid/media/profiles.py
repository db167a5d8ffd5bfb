"""Colours of pictures to sRGB, by the ICC profile that they carry."""

import functools
import io

import numpy as np
from PIL import Image, ImageCms

ALIKE = 2  # levels of 255: a profile that changes no colour by more is sRGB under another name, and is not applied
_MODES = {"RGB ": "RGB", "GRAY": "L", "CMYK": "CMYK"}  # colour space of a profile: mode of the pictures it describes


def to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """The picture in sRGB (mode "RGB" or "RGBA"), by its profile if that is sound and describes pictures of its mode.

    A damaged or unsuitable profile is ignored, as browsers do. CMYK without a profile keeps Pillow's plain conversion.
    """
    if image.mode == "LAB":
        return _converted(image, _lab_to_srgb()) or image
    alpha = image.convert("RGBA").getchannel("A") if image.has_transparency_data else None
    colours = _converted_by(image, profile) if profile else None
    if colours is None:
        return image.convert("RGB" if alpha is None else "RGBA")
    if alpha is not None:
        colours.putalpha(alpha)
    return colours


def _converted_by(image: Image.Image, data: bytes) -> Image.Image | None:
    """The picture's colours without opacity; None if the profile does not fit or changes nothing."""
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(data))
        mode = _MODES.get(profile.profile.xcolor_space)
        if mode is None or (mode == "CMYK") != (image.mode == "CMYK"):
            return None
        if mode == "L" and image.mode not in ("1", "L", "LA"):
            return None
        transform = ImageCms.buildTransform(profile, ImageCms.createProfile("sRGB"), mode, "RGB")
        if mode == "RGB" and _changes_nothing(transform):
            return None
        return _converted(image.convert(mode), transform)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None


def _converted(image: Image.Image, transform: ImageCms.ImageCmsTransform) -> Image.Image | None:
    return ImageCms.applyTransform(image, transform)


def _changes_nothing(transform: ImageCms.ImageCmsTransform) -> bool:
    levels = np.linspace(0, 255, 9).astype(np.uint8)
    lattice = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), -1).reshape(27, 27, 3)
    changed = _converted(Image.fromarray(lattice), transform)
    return changed is not None and int(np.abs(np.asarray(changed).astype(int) - lattice).max()) <= ALIKE


@functools.cache
def _lab_to_srgb() -> ImageCms.ImageCmsTransform:
    return ImageCms.buildTransform(ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), "LAB", "RGB")
