"""Code points of colour (ITU-T H.273): transfer function and primaries, by the tags of videos and of pictures."""

import struct
from collections.abc import Iterator

from poke2vid.media.hdr import Primaries, Transfer

UNSPECIFIED = 2
SRGB: tuple[Transfer, Primaries] = ("sdr", "bt709")
_TRANSFERS: dict[int, Transfer] = {16: "pq", 18: "hlg"}
_PRIMARIES: dict[int, Primaries] = {9: "bt2020", 11: "p3", 12: "p3"}  # 11 has another white, which is taken for D65
_PNG = b"\x89PNG\r\n\x1a\n"
_AVIF_TAG = b"colrnclx"  # box of ISO/IEC 23008-12 (HEIF) and its kind; four numbers of 16 bits follow


def colours(transfer: int, primaries: int) -> tuple[Transfer, Primaries]:
    """Transfer function and primaries; BT.709, BT.601 and what is not specified count as SDR of BT.709.

    HDR without a tag of primaries is BT.2020, which BT.2100 knows alone.
    """
    name = _TRANSFERS.get(transfer, "sdr")
    if primaries == UNSPECIFIED:
        return name, "bt709" if name == "sdr" else "bt2020"
    return name, _PRIMARIES.get(primaries, "bt709")


def of_picture(head: bytes) -> tuple[Transfer, Primaries]:
    """The same by the first bytes of a PNG (chunk cICP) or an AVIF, whose decoder keeps quiet about them."""
    if head.startswith(_PNG):
        return next((colours(data[1], data[0]) for name, data in _chunks(head) if name == b"cICP"), SRGB)
    at = head.find(_AVIF_TAG) if head[4:8] == b"ftyp" else -1
    if at < 0 or len(head) < at + 12:
        return SRGB
    primaries, transfer = struct.unpack_from(">HH", head, at + len(_AVIF_TAG))
    return colours(transfer, primaries)


def _chunks(head: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Names and data of a PNG's chunks before its pixels."""
    at = len(_PNG)
    while at + 8 <= len(head):
        length, name = struct.unpack_from(">I4s", head, at)
        if name == b"IDAT" or at + 8 + length > len(head):
            return
        yield name, head[at + 8 : at + 8 + length]
        at += 12 + length
