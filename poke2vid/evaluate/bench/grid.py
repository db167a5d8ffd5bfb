"""Grids of truth above predictions: a sheet or a video to look at."""

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8

from poke2vid.evaluate.bench.roles import handed, play, roles_of
from poke2vid.evaluate.bench.run import first_of_each_family
from poke2vid.media.encoding import write_video
from poke2vid.media.pictures import write_picture
from poke2vid.media.viz import LargePicture, Picture, draw_pokes, enlarge, enlarged_poke, enlargement, grid
from poke2vid.players.player import PokePlayer
from poke2vid.players.references import ShiftPatch
from poke2vid.pokebench.scene import TrueScene
from poke2vid.types import Poke

COLUMNS = 6  # of a sheet: the first frame and five moments, the last frame among them
_SMALLEST = 128  # pixels per side that small frames are enlarged to, about


def write_grids(
    scenes: Sequence[TrueScene], players: Mapping[str, PokePlayer], arrive: int, folder: Path, fps: float
) -> None:  # fmt: skip
    """Writes FOLDER/<scene>.png and .mp4 for each family's first scene by name: the longest shift at its first point.

    The truth is at the top, then the players, then the shift patch, which all should beat.

    Args:
        arrive: T, the frame at which shifts arrive.

    Raises:
        InputError: if a file cannot be written, or a player's frames are not what was asked for.
    """
    shown = {**players, "shift-patch": ShiftPatch(arrive)}
    for scene in first_of_each_family(scenes, 1):
        shifts = [k for k, poke in enumerate(scene.pokes) if poke.role == "shift" and poke.point == 0]
        if not shifts:
            continue
        poke = max(shifts, key=lambda k: scene.pokes[k].length)
        fresh = copy.copy(scene)  # its caches are freed with the copy
        rows = predictions(fresh, shown, poke)
        for suffix in (".png", ".mp4"):
            write_grid(fresh, rows, poke, folder / f"{scene.name}{suffix}", fps)


def predictions(
    scene: TrueScene, players: Mapping[str, PokePlayer], poke: int
) -> dict[str, UInt8[np.ndarray, "t h w 3"]]:
    """Frames of every player that knows this kind of poke, for one poke; `truth` is first. Input of `write_grid`."""
    truth = scene.frames(poke)
    known = {name: player for name, player in players.items() if scene.pokes[poke].role in roles_of(player)}
    return {"truth": truth, **{name: play(name, player, scene, poke, len(truth)) for name, player in known.items()}}


def write_grid(
    scene: TrueScene, shown: Mapping[str, UInt8[np.ndarray, "t h w 3"]], poke: int, path: Path, fps: float = 25.0
) -> None:
    """Writes one row per name, in the given order: the first frame with the poke's arrow, then frames with its target.

    A .png shows moments from left to right; .mp4, .webm, .gif and .webp show one moving picture per row.

    Args:
        shown: name -> frames 1 ... t, all of one size; see `predictions`.
        poke: its number in the scene.

    Raises:
        InputError: if the file cannot be written.
    """
    given = handed(scene, poke, len(next(iter(shown.values()))))
    rows = {name: _drawn(scene.first, frames, given) for name, frames in shown.items()}
    length = len(next(iter(rows.values())))
    if path.suffix.lower() == ".png":
        kept = np.linspace(0, length - 1, min(COLUMNS, length)).round().astype(int)
        return write_picture(path, _sheet({name: [row[i] for i in kept] for name, row in rows.items()}))
    pictures = [_sheet({name: [row[0], row[i]] for name, row in rows.items()}) for i in range(1, length)]
    return write_video(path, pictures, fps)


def _drawn(first: Picture, frames: UInt8[np.ndarray, "t h w 3"], poke: Poke | None) -> list[LargePicture]:
    """Frame 0 and those after it, enlarged, with arrow and target."""
    factor = enlargement(first, _SMALLEST)
    pictures = [enlarge(picture, factor) for picture in (first, *frames)]
    return pictures if poke is None else draw_pokes(pictures, [enlarged_poke(poke, factor)])


def _sheet(rows: Mapping[str, list[Picture]]) -> LargePicture:
    """Picture of the rows one below the other, each beside its name."""
    return grid([[_label(name, row[0]), *row] for name, row in rows.items()])


def _label(name: str, beside: Picture) -> Picture:
    """A white picture as large as the one beside it, with the name in it."""
    empty = np.full_like(beside, 255)
    height, width = beside.shape[:2]
    size = min(0.5, 0.5 * (width - 12) / max(1, cv2.getTextSize(name, cv2.FONT_HERSHEY_SIMPLEX, 0.5, 1)[0][0]))
    cv2.putText(empty, name, (6, height // 2), cv2.FONT_HERSHEY_SIMPLEX, size, (40, 40, 40), 1, cv2.LINE_AA)
    return empty
