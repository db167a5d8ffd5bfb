"""The page's files by their address below it; shared by the server and the static export."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from poke2vid import __version__

PACKAGE = Path(__file__).parent.parent
STATIC, EXAMPLES = PACKAGE / "serve" / "static", PACKAGE / "assets" / "examples"
EngineKind = Literal["browser", "server"]
Files = dict[str, Path | bytes]

# Credits from assets/examples/README.md, as the page shows them.
_EXAMPLES: list[dict[str, str]] = [
    {
        "file": "flower.jpg",
        "title": "Flower",
        "credit": "MDN",
        "licence": "CC0",
        "script": "flower-pokes.json",
    },
    {
        "file": "robot.jpg",
        "title": "Robot",
        "credit": "SLEAP",
        "licence": "Clear BSD",
        "script": "robot-pokes.json",
    },
    {
        "file": "person.jpg",
        "title": "Signing",
        "credit": "Intel, American Sign Language samples",
        "licence": "CC BY 4.0",
        "script": "person-pokes.json",
    },
    {
        "file": "fly.jpg",
        "title": "Fly",
        "credit": "SLEAP",
        "licence": "Clear BSD",
        "script": "fly-pokes.json",
    },
]


def site_files() -> Files:
    """All files of the page except its model and its configuration; `.wasm.gz` as stored in the package."""
    files: Files = {
        path.relative_to(STATIC).as_posix(): path
        for path in sorted(STATIC.rglob("*"))
        if path.is_file() and not path.name.startswith(".")
    }
    files["examples/examples.json"] = _json(_EXAMPLES)
    for example in _EXAMPLES:
        for key in ("file", "script"):
            if key in example:
                files[f"examples/{example[key]}"] = EXAMPLES / example[key]
    files["poke-script.schema.json"] = PACKAGE / "assets" / "poke-script.schema.json"
    return files


def config_json(engine: EngineKind, *, exported: bool = False) -> bytes:
    """The page's config.json: its engine and version, and if it lies on a web host, where links to it are of use."""
    return _json({"engine": engine, "exported": exported, "version": __version__})


def files_json(files: Files, addresses: Iterable[str]) -> bytes:
    """The list that a service worker fetches so that the page works offline; its version changes whenever a file does.

    Args:
        files: contents of the site.
        addresses: under which they are requested; a `.wasm.gz` without its last suffix.
    """
    sha = hashlib.sha256()
    for address, source in sorted(files.items()):
        sha.update(address.encode() + b"\n" + content(source))
    return _json({"version": f"{__version__}-{sha.hexdigest()[:12]}", "files": sorted(addresses)})


def content(source: Path | bytes) -> bytes:
    return source if isinstance(source, bytes) else source.read_bytes()


def _json(value: object) -> bytes:
    return (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode()
