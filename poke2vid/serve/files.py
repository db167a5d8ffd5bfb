"""The page's files in a table that is built once; an address outside the table is not found, whatever it looks like."""

import hashlib
import zlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

CHUNK = 256 * 2**10  # bytes sent at a time, so that no whole file is buffered for a slow client
TYPES = {
    ".css": "text/css; charset=utf-8",
    ".gif": "image/gif",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".jpg": "image/jpeg",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".map": "application/json",
    ".md": "text/markdown; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".mp4": "video/mp4",
    ".onnx": "application/octet-stream",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".wasm": "application/wasm",
    ".webm": "video/webm",
    ".webmanifest": "application/manifest+json",
    ".webp": "image/webp",
    ".woff2": "font/woff2",
}


@dataclass(frozen=True)
class Served:
    """One file, ready to be sent.

    Attributes:
        body: bytes as stored.
        zipped: True if `body` is gzip.
        size: in bytes, uncompressed.
        digest: of `body`.
    """

    body: bytes
    type: str
    zipped: bool
    size: int
    digest: str


def table(files: Mapping[str, Path | bytes]) -> dict[str, Served]:
    """Files by address; `X.gz` is served at `X`."""
    made = {}
    for name, source in files.items():
        body = source if isinstance(source, bytes) else source.read_bytes()
        zipped = name.endswith(".gz")
        address = name.removesuffix(".gz")
        size = int.from_bytes(body[-4:], "little") if zipped else len(body)  # the last four bytes of gzip
        type_ = TYPES.get(PurePosixPath(address).suffix.lower(), "application/octet-stream")
        made[address] = Served(body, type_, zipped, size, hashlib.sha256(body).hexdigest()[:32])
    return made


def respond(file: Served, request: Request) -> Response:
    """Answer to GET or HEAD: the file, or 304 if the client has it already."""
    as_it_is = not file.zipped or accepts_gzip(request.headers.get("accept-encoding", ""))
    encoded = file.zipped and as_it_is
    etag = f'"{file.digest}{"-gzip" if encoded else ""}"'
    headers = {"ETag": etag, "Cache-Control": "no-cache"}  # names hold no version, so browsers must ask each time
    if file.zipped:
        headers["Vary"] = "Accept-Encoding"
    if matches(request.headers.get("if-none-match", ""), etag):
        return Response(status_code=304, headers=headers)
    if encoded:
        headers["Content-Encoding"] = "gzip"
    headers |= {"Content-Length": str(len(file.body) if as_it_is else file.size), "Content-Type": file.type}
    if request.method == "HEAD":
        return Response(headers=headers)
    return StreamingResponse(_chunks(file.body) if as_it_is else _unzipped(file.body), headers=headers)


def accepts_gzip(header: str) -> bool:
    """Tells if an Accept-Encoding header allows gzip; `q=0` refuses it."""
    for part in header.lower().split(","):
        coding, _, parameters = part.partition(";")
        if coding.strip() in ("gzip", "*"):
            name, _, value = parameters.strip().partition("=")
            try:
                return name.strip() != "q" or float(value) > 0
            except ValueError:
                return False
    return False


def matches(header: str, etag: str) -> bool:
    """Tells if an If-None-Match header contains the tag."""
    return any(part.strip().removeprefix("W/") in (etag, "*") for part in header.split(","))


async def _chunks(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), CHUNK):
        yield body[start : start + CHUNK]


async def _unzipped(body: bytes) -> AsyncIterator[bytes]:
    """Decompresses in chunks, so that no request holds the whole file."""
    unzip = zlib.decompressobj(wbits=31)
    for start in range(0, len(body), CHUNK):
        rest = body[start : start + CHUNK]
        while rest:
            yield unzip.decompress(rest, CHUNK)
            rest = unzip.unconsumed_tail
    yield unzip.flush()
