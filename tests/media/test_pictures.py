"""Colours and depths of single pictures: ICC profiles, deep greys, and what is refused rather than shown black."""

import io
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms

from poke2vid.media.code_points import of_picture
from poke2vid.media.pictures import read_cutout, read_picture
from poke2vid.types import InputError

RAMP = np.linspace(0, 65535, 12).astype(np.int64).reshape(3, 4)
LEVELS = np.round(RAMP / 257).astype(np.uint8)


def tiff(values: np.ndarray, bits: int, *, white_is_zero: bool = False, sample_format: int = 1) -> bytes:
    """A grey TIFF, written by hand, because Pillow writes few of these kinds."""
    big = values.dtype.byteorder == ">"
    e, data, height, width = ">" if big else "<", values.tobytes(), *values.shape
    tags = [(256, width), (257, height), (258, bits), (259, 1), (262, 0 if white_is_zero else 1), (273, 0), (277, 1)]
    tags += [(278, height), (279, len(data)), (339, sample_format)]
    start = 8 + 2 + 12 * len(tags) + 4
    entries = b"".join(struct.pack(e + "HHII", tag, 4, 1, start if tag == 273 else value) for tag, value in tags)
    return (b"MM\0*" if big else b"II*\0") + struct.pack(e + "IH", 8, len(tags)) + entries + bytes(4) + data


def separate_planes() -> bytes:
    """A TIFF of 16 bits a colour, one colour after the other."""
    tags = [(256, 2), (257, 3), (258, 0), (259, 1), (262, 2), (273, 0), (277, 3), (278, 3), (279, 0), (284, 2)]
    start = 8 + 2 + 12 * len(tags) + 4
    beside = struct.pack("<3H3I3I", 16, 16, 16, *(start + 30 + 12 * plane for plane in range(3)), 12, 12, 12)
    places = {258: (3, 3, start), 273: (4, 3, start + 6), 279: (4, 3, start + 18)}
    entries = b"".join(struct.pack("<HHII", tag, *places.get(tag, (4, 1, value))) for tag, value in tags)
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4) + beside + bytes(range(36))


def display_p3() -> bytes:
    """A profile with the primaries of P3, made from sRGB's by exchanging them."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    columns = {b"rXYZ": (0.51512, 0.24120, -0.00105), b"gXYZ": (0.29198, 0.69225, 0.04189)}
    columns[b"bXYZ"] = (0.15710, 0.06657, 0.78407)
    count = struct.unpack(">I", data[128:132])[0]
    for i in range(count):
        name, offset, _ = struct.unpack(">4sII", data[132 + 12 * i : 144 + 12 * i])
        if name in columns:
            data[offset + 8 : offset + 20] = struct.pack(">3i", *(round(65536 * part) for part in columns[name]))
    return bytes(data)


def linear_grey() -> bytes:
    """A grey profile whose levels are proportional to light, written by hand."""
    d50 = struct.pack(">3i", 63190, 65536, 54061)
    tags = [(b"wtpt", b"XYZ " + bytes(4) + d50), (b"kTRC", b"curv" + bytes(4) + struct.pack(">IHxx", 1, 256))]
    start, table, body = 128 + 4 + 12 * len(tags), struct.pack(">I", len(tags)), b""
    for name, data in tags:
        table += struct.pack(">4sII", name, start + len(body), len(data))
        body += data
    head = (
        struct.pack(">I4xI", start + len(body), 0x02400000) + b"mntrGRAYXYZ " + struct.pack(">6H", 2026, 1, 1, 0, 0, 0)
    )
    return (head + b"acsp").ljust(68, b"\0") + d50 + bytes(48) + table + body


def saved(picture: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, format=kind, **options)
    return file.getvalue()


def plain(colour: tuple[int, ...], mode: str = "RGB") -> Image.Image:
    return Image.new(mode, (4, 4), colour)


def test_a_profile_brings_colours_to_srgb() -> None:
    red = read_picture(saved(plain((177, 71, 71)), icc_profile=display_p3()))[0, 0]
    np.testing.assert_allclose(red, (192, 61, 67), atol=2)  # by the matrices of Display P3 and sRGB


def test_a_grey_profile_is_applied() -> None:
    grey = read_picture(saved(plain((64,), "L"), icc_profile=linear_grey()))[0, 0]
    np.testing.assert_allclose(grey, 137, atol=2)  # a quarter of the light


def test_opacity_and_cut_outs_keep_their_profile() -> None:
    half = plain((177, 71, 71, 255), "RGBA")
    half.putpixel((0, 0), (177, 71, 71, 0))
    data = saved(half, icc_profile=display_p3())
    shown, cutout = read_picture(data), read_cutout(data)
    np.testing.assert_array_equal(shown[0, 0], (255, 255, 255))
    np.testing.assert_allclose(shown[1, 1], (192, 61, 67), atol=2)
    np.testing.assert_array_equal(cutout[1, 1, :3], shown[1, 1])
    assert cutout[0, 0, 3] == 0 and cutout[1, 1, 3] == 255


def test_srgb_under_any_name_changes_no_pixel() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    np.testing.assert_array_equal(read_picture(saved(Image.fromarray(noise), icc_profile=profile)), noise)


@pytest.mark.parametrize("profile", [b"nonsense", display_p3()[:200], bytes(500)])
def test_a_damaged_profile_is_ignored(profile: bytes) -> None:
    np.testing.assert_array_equal(read_picture(saved(plain((10, 200, 30)), icc_profile=profile))[0, 0], (10, 200, 30))


def test_a_profile_of_another_kind_of_picture_is_ignored() -> None:
    grey = read_picture(saved(plain((100,), "L"), icc_profile=display_p3()))[0, 0]
    assert grey.max() - grey.min() <= 1  # a grey stays grey under an RGB profile
    cmyk = saved(Image.new("CMYK", (4, 4), (0, 255, 255, 0)), "TIFF", icc_profile=display_p3())
    np.testing.assert_allclose(read_picture(cmyk)[0, 0], (255, 0, 0), atol=2)


def with_code_points(picture: Image.Image, primaries: int, transfer: int) -> bytes:
    """A PNG with a chunk cICP, after its header."""
    data, body = saved(picture), b"cICP" + bytes([primaries, transfer, 0, 1])
    return data[:33] + struct.pack(">I", 4) + body + struct.pack(">I", zlib.crc32(body)) + data[33:]


@pytest.mark.parametrize(("transfer", "signal"), [(16, (122, 83, 75)), (18, (142, 68, 60))])
def test_a_picture_of_hdr_is_brought_to_sdr(transfer: int, signal: tuple[int, ...]) -> None:
    # The signals of the SDR colour (198, 48, 55) by BT.2408, as `hdr_signal` of test_video_as_shot.py gives them.
    data = with_code_points(plain(signal), 9, transfer)
    np.testing.assert_allclose(read_picture(data)[0, 0], (198, 48, 55), atol=6)
    half = plain((*signal, 255), "RGBA")
    half.putpixel((0, 0), (*signal, 0))
    shown = read_picture(with_code_points(half, 9, transfer))
    np.testing.assert_array_equal(shown[0, 0], 255)
    np.testing.assert_array_equal(shown[1, 1], read_picture(data)[0, 0])
    assert Image.fromarray(shown).size == half.size


def test_code_points_of_p3_count_and_those_of_srgb_change_nothing() -> None:
    np.testing.assert_allclose(
        read_picture(with_code_points(plain((177, 71, 71)), 12, 13))[0, 0], (192, 61, 67), atol=2
    )
    np.testing.assert_array_equal(read_picture(with_code_points(plain((177, 71, 71)), 1, 13))[0, 0], (177, 71, 71))


def test_code_points_of_an_avif_are_those_of_its_box() -> None:
    head = b"\0\0\0\x1cftypavif" + bytes(40) + b"\0\0\0\x13colrnclx" + struct.pack(">HHHB", 9, 16, 9, 0)
    assert of_picture(head) == ("pq", "bt2020")
    assert of_picture(head[:-4]) == of_picture(head.replace(b"ftyp", b"free")) == ("sdr", "bt709")
    assert of_picture(saved(plain((1, 2, 3)), "AVIF")) == of_picture(b"") == ("sdr", "bt709")


def test_deep_greys_keep_their_brightness() -> None:
    for name, data in {
        "16 bits": tiff(RAMP.astype("<u2"), 16),
        "16 bits, big end first": tiff(RAMP.astype(">u2"), 16),
        "signed": tiff((RAMP // 2).astype("<i2"), 16, sample_format=2),
        "32 bits of 16": tiff(RAMP.astype("<u4"), 32),
        "32 bits of 8": tiff((RAMP // 257).astype("<i4"), 32, sample_format=2),
        "32 bits": tiff((RAMP * 65537).astype("<u4"), 32),
        "PNG": saved(Image.fromarray(RAMP.astype(np.uint16))),
        "PGM": saved(Image.fromarray(RAMP.astype(np.uint16)), "PPM"),
    }.items():
        np.testing.assert_allclose(read_picture(data)[..., 0], LEVELS, atol=1, err_msg=name)


def test_a_deep_grey_that_stands_for_nothing_is_laid_on_white() -> None:
    levels = np.array([[0, 33000], [20000, 65535]], np.uint16)
    shown = read_picture(saved(Image.fromarray(levels), transparency=33000))
    assert shown[..., 0].tolist() == [[0, 255], [78, 255]]


def test_white_may_be_zero() -> None:
    np.testing.assert_allclose(read_picture(tiff(RAMP.astype("<u2"), 16, white_is_zero=True))[..., 0], 255 - LEVELS)


def test_sixteen_bits_a_colour_are_read() -> None:
    deep = np.stack([RAMP, RAMP[::-1], RAMP // 2], -1).astype(np.uint16)
    done, data = cv2.imencode(".png", deep[..., ::-1])
    assert done
    np.testing.assert_allclose(read_picture(data.tobytes()), deep / 257, atol=1)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (tiff((RAMP // 16).astype("<u2"), 16), "brightest pixel is 4095 of 65535"),
        (tiff((RAMP // 16).astype("<u4"), 32), "brightest pixel is 4095 of 65535"),
        (saved(Image.fromarray((RAMP // 16).astype(np.uint16))), "brightest pixel is 4095 of 65535"),
        (tiff((RAMP * 16).astype("<u4"), 32), "32-bit numbers up to 1048560"),
        (tiff((RAMP - 5).astype("<i4"), 32, sample_format=2), "negative numbers"),
        (tiff((RAMP // 257 - 128).astype("<i1"), 8, sample_format=2), "signed bytes"),
        (separate_planes(), "separate planes of 16 bits"),
        (tiff(RAMP.astype("<f4"), 32, sample_format=3), "floating-point"),
        (tiff(RAMP.astype("<f8"), 64, sample_format=3), "not a picture that can be read"),
    ],
)
def test_what_would_be_black_or_arbitrary_is_refused_in_one_sentence(data: bytes, says: str) -> None:
    with pytest.raises(InputError, match=says) as caught:
        read_picture(data)
    assert "\n" not in str(caught.value) and str(caught.value).endswith(".")


def test_the_sample_pictures_are_right(shared: Path) -> None:
    cases = shared / "cases"
    if not cases.is_dir():
        pytest.skip("needs the sample files")
    assert read_picture(cases / "i32.tif").max() == 224
    shown, meant = read_picture(cases / "p3.jpg"), read_picture(cases / "photo.png")
    assert np.abs(shown[:60, :90].mean((0, 1)) - meant[:60, :90].mean((0, 1))).max() < 2
