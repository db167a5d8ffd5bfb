"""A store of pokes without a simulator: discs that go rigidly where they are pulled, before a wall that stays."""

import hashlib
from pathlib import Path

import numpy as np

from poke2vid.data.manifest import FileRecord
from poke2vid.data.poke_store import ENTRY, MANIFEST, SHARDS, PokeManifest, PokeSettings, PokeStore, ShardEntry
from poke2vid.data.shards import CAUSES
from poke2vid.files import write_json
from poke2vid.types import Split

SIDE, POKES = 64, 4
FILM_FRAMES, ARRIVE, RELEASE = 40, 8, 12
HERTZ, DAMPING = 2.0, 0.1  # of every disc


def write_discs(out: Path, scenes: int = 12, test: int = 3, seed: int = 0, filmed: bool = False) -> PokeStore:
    """A whole store; every scene has pulls, and one touch beside the disc.

    Args:
        filmed: of every scene the second and the third poke are a pull that is let go of and a push, with all their frames.
    """
    settings = PokeSettings(
        resolution=SIDE, pokes=POKES, films=50, film_frames=FILM_FRAMES, generation=0, physics="none"
    )
    rng, digests = np.random.default_rng(seed), {}
    for split, count in (("train", scenes), ("test", test)):
        name = f"discs-{split}-0-000000"
        digests[name] = _write_shard(
            out / SHARDS / name, name, split, count, settings, rng, filmed  # type: ignore[arg-type]
        )  # fmt: skip
    manifest = PokeManifest(settings=settings, shards=digests).sealed()
    write_json(out / MANIFEST, manifest.model_dump(mode="json"))
    return PokeStore.open(out)


def swing(pushed: bool) -> np.ndarray:
    """Position of a disc at x_0 ... x_F, as a share of p: pulled there and released, or pushed so that its peak is p."""
    omega = 2 * np.pi * HERTZ / 25
    turning, t = omega * np.sqrt(1 - DAMPING**2), np.arange(FILM_FRAMES + 1)
    if pushed:
        way = np.exp(-DAMPING * omega * t) * np.sin(turning * t)
        return way / np.abs(way).max()
    s = np.minimum(t / ARRIVE, 1.0)
    held = s**3 * (10 + s * (6 * s - 15))
    free = np.maximum(t - RELEASE, 0)
    return held * np.where(t > RELEASE, np.exp(-DAMPING * omega * free) * np.cos(turning * free), 1.0)


def _write_shard(
    folder: Path, name: str, split: Split, count: int, settings: PokeSettings, rng: np.random.Generator, filmed: bool
) -> str:
    films = 2 * count if filmed else 0
    fields = count * (POKES - 1) - films
    arrays = {
        file: np.zeros(shape, dtype)
        for file, (dtype, shape) in settings.shapes(count, count * POKES, fields, films).items()
    }
    arrays["row.i32"][:], arrays["film.i32"][:], arrays["at.f32"][:] = -1, -1, np.nan
    y, x = np.mgrid[:SIDE, :SIDE]
    row = film = 0
    arrays["modes.f32"][:] = HERTZ, DAMPING
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
            if filmed and k in (1, 2):
                pushed = k == 2
                share = swing(pushed)
                arrays["kind.u8"][m] = CAUSES.index("push" if pushed else "pull")
                arrays["film.i32"][m] = film
                arrays["film_path.f32"][film, :, 0] = share[:, None] * p
                arrays["film_held.u8"][film, :RELEASE, 0] = not pushed
                arrays["film_flow.f16"][film] = share[1:, None, None, None] * (p[:, None, None] * parts)
                film += 1
                continue
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
        name=name, family="discs", split=split, seed=0, first=0, scenes=count, pokes=count * POKES, fields=fields, films=films,
        rejected={}, settings=settings, files=files,
    )  # fmt: skip
    write_json(folder / ENTRY, entry.model_dump(mode="json"))
    return entry.digest()
