"""A store of pokes without a simulator: discs that go rigidly where they are pulled, before a wall that stays."""

import hashlib
from pathlib import Path

import numpy as np

from poke2vid.data.poke_store import ENTRY, MANIFEST, SHARDS, PokeManifest, PokeSettings, PokeStore, ShardEntry
from poke2vid.data.shards import CAUSES
from poke2vid.files import write_json
from poke2vid.manifest import FileRecord
from poke2vid.types import Split

SIDE, POKES = 64, 4


def write_discs(out: Path, scenes: int = 12, test: int = 3, seed: int = 0) -> PokeStore:
    """A whole store; every scene has pulls, and one touch beside the disc."""
    settings = PokeSettings(resolution=SIDE, pokes=POKES, films=50, generation=0, physics="none")
    rng, digests = np.random.default_rng(seed), {}
    for split, count in (("train", scenes), ("test", test)):
        name = f"discs-{split}-0-000000"
        digests[name] = _write_shard(out / SHARDS / name, name, split, count, settings, rng)  # type: ignore[arg-type]
    manifest = PokeManifest(settings=settings, shards=digests).sealed()
    write_json(out / MANIFEST, manifest.model_dump(mode="json"))
    return PokeStore.open(out)


def _write_shard(
    folder: Path, name: str, split: Split, count: int, settings: PokeSettings, rng: np.random.Generator
) -> str:
    fields = count * (POKES - 1)
    arrays = {
        file: np.zeros(shape, dtype)
        for file, (dtype, shape) in settings.shapes(count, count * POKES, fields, 0).items()
    }
    arrays["row.i32"][:], arrays["film.i32"][:], arrays["at.f32"][:] = -1, -1, np.nan
    y, x = np.mgrid[:SIDE, :SIDE]
    row = 0
    for n in range(count):
        cx, cy, radius = rng.uniform(22, 42), rng.uniform(22, 42), rng.uniform(9, 14)
        inside = (x - cx) ** 2 + (y - cy) ** 2 < radius**2
        arrays["pictures.u8"][n] = rng.integers(60, 100, 3)
        arrays["pictures.u8"][n][inside] = rng.integers(150, 250, 3)
        parts = inside[::2, ::2]
        arrays["parts.u8"][n] = parts
        for k in range(POKES):
            m = n * POKES + k
            arrays["owner.i32"][m] = n
            p = rng.uniform(-6, 6, 2)
            arrays["shift.f32"][m, 0] = p
            if k == POKES - 1:
                arrays["kind.u8"][m], arrays["at.f32"][m, 0] = CAUSES.index("beside"), (4, 60)
                continue
            arrays["at.f32"][m, 0] = (cx, cy) + rng.uniform(-0.5, 0.5, 2) * radius
            arrays["path.f32"][m, 0] = np.linspace(0, 1, 11)[:, None] * p
            arrays["row.i32"][m] = row
            arrays["flow.f16"][row] = np.array([0.2, 0.6, 1.0])[:, None, None, None] * (p[:, None, None] * parts)
            row += 1
    folder.mkdir(parents=True)
    files = {}
    for file, array in arrays.items():
        data = array.tobytes()
        (folder / file).write_bytes(data)
        files[file] = FileRecord(sha256=hashlib.sha256(data).hexdigest(), size=len(data))
    entry = ShardEntry(
        name=name, family="discs", split=split, seed=0, first=0, scenes=count, pokes=count * POKES, fields=fields, films=0,
        rejected={}, settings=settings, files=files,
    )  # fmt: skip
    write_json(folder / ENTRY, entry.model_dump(mode="json"))
    return entry.digest()
