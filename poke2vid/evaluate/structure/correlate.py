"""Understanding object structure (Sec. 4.2, Fig. 5): many random pokes at one location show what moves with it."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from poke2vid import pokes as poking
from poke2vid.evaluate.structure.correlators import Correlator, Picture
from poke2vid.evaluate.structure.drawing import SHOWN_SIDE, sheet
from poke2vid.evaluate.structure.maps import SHORTEST, CorrelationMap
from poke2vid.files import atomic, check_suffixes, write_json
from poke2vid.live.canvas import Canvas
from poke2vid.measures.motion import nearest_pixel
from poke2vid.media.pictures import write_picture
from poke2vid.types import Pair, Poke

SUFFIXES = (".png", ".npz", ".json")


def correlate(
    correlator: Correlator, picture: Picture, at: Sequence[Pair], outputs: Sequence[Path], model: str,
    quiet: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """Maps every location and writes every output by its suffix: .png the maps, .npz their numbers, .json the rest.

    Args:
        at: locations, in pixels of the picture.
        model: its name in the .json.

    Returns:
        The contents of the .json.

    Raises:
        InputError: before anything is computed if a suffix is unknown or a location lies outside the picture.
    """
    # Check all inputs first
    check_suffixes(outputs, SUFFIXES)
    for location in at:
        poking.check(Poke(location, (0.0, 0.0)), picture.shape[1], picture.shape[0], "the location")
    settings, canvas, began = correlator.settings, correlator.canvas(picture), time.perf_counter()
    with tqdm(total=settings.pokes * len(at), unit="poke", desc="correlate", disable=True if quiet else None) as bar:
        maps = [correlator.ask(canvas, location, bar=bar) for location in at]
    seconds = time.perf_counter() - began
    numbers: dict[str, Any] = {
        "picture": [picture.shape[1], picture.shape[0]], "map": [canvas.picture.shape[1], canvas.picture.shape[0]],
        "model": model, "tracker": correlator.tracker, "pokes": settings.pokes,
        "lengths": [round(SHORTEST * settings.longest, 6), settings.longest], "frames": settings.frames,
        "seed": settings.seed, "measure": settings.measure, "seconds": round(seconds, 2),
        "locations": [_numbers(location, found) for location, found in zip(at, maps, strict=True)],
    }  # fmt: skip
    # Write every output
    for path in outputs:
        match path.suffix.lower():
            case ".json":
                write_json(path, numbers)
            case ".npz":
                _write_arrays(path, maps)
            case _:
                write_picture(path, sheet(Canvas(picture, correlator.player.resolution, SHOWN_SIDE).picture, maps))
    return numbers


def _numbers(location: Pair, found: CorrelationMap) -> dict[str, Any]:
    heat, variance = found.heat, found.values["variance"]
    inside = nearest_pixel(found.poke_at, *heat.shape)
    return {
        "at": list(location), "still_variance": round(found.still["variance"], 5),
        "variance_at_l": round(float(variance[inside]), 5), "heat_at_l": round(float(heat[inside]), 3),
        "share_above_half": round(float((heat > 0.5).mean()), 4),
    }  # fmt: skip


def _write_arrays(path: Path, maps: Sequence[CorrelationMap]) -> None:
    """Writes every measure's maps (`variance`, `mean_square` ...) and `heat`, each `n h w`, and `at`, `n 2`, in pixels."""
    found = {name: [one.values[name] for one in maps] for name in maps[0].values} | {"heat": [one.heat for one in maps]}
    arrays: dict[str, Any] = {n.replace("-", "_"): np.stack(each).astype(np.float32) for n, each in found.items()}
    arrays["at"] = np.array([one.poke_at for one in maps])
    with atomic(path) as temporary:
        np.savez_compressed(temporary, **arrays)
