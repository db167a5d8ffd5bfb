"""The work of `poke2vid animate`: pokes one picture and writes videos, grids of frames and numbers."""

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8

from poke2vid.files import check_suffixes, write_json
from poke2vid.flow.estimator import build_estimator
from poke2vid.live.animator import DEFAULT_FRAMES, Animator, PictureSource
from poke2vid.live.canvas import MAX_SIDE, Canvas, Picture, resize
from poke2vid.live.law_of_rest import live
from poke2vid.live.script import Moment, PokeEvent, Script, name_of_event, parse_pairs, read_script, replay
from poke2vid.measures import motion as scores
from poke2vid.media import viz
from poke2vid.media.pictures import read_picture, write_picture
from poke2vid.media.video import write_video
from poke2vid.types import InputError, Player, Poke, TouchPlayer

VIDEO_SUFFIXES = (".mp4", ".gif", ".webp", ".webm")
SUFFIXES = (*VIDEO_SUFFIXES, ".png", ".json")
SANE_MEGAPIXELS = (
    60  # of a GIF or an animated WebP, all frames together: 10 to 30 MB; 512 pixels stay below for 200 frames
)
_GRID_FRAMES = 8
_GRID_SIDE = 192
_MOVED = 0.005  # of the picture's longer side: less motion counts as still


def parse_pokes(at: Sequence[str], shift: Sequence[str], kind: str) -> list[Poke]:
    """The pokes of `--at X,Y --shift DX,DY` pairs.

    Raises:
        InputError: if a pair is not two numbers, there are not as many shifts as locations, or the kind is unknown.
    """
    if not at or len(at) != len(shift):
        raise InputError(f"{len(at)} --at and {len(shift)} --shift were given; give at least one of each, in pairs.")
    if kind not in ("shift", "impulse"):
        raise InputError(f"--kind {kind!r} is unknown; choose shift or impulse.")
    pairs = zip(parse_pairs("--at", at), parse_pairs("--shift", shift), strict=True)
    return [Poke(location, p, "impulse" if kind == "impulse" else "shift") for location, p in pairs]


def choose_script(
    script: Path | None, at: Sequence[str], shift: Sequence[str], kind: str | None, frames: int | None
) -> Script:
    """The script that the command line asks for: a script's file, or pokes at the start.

    Raises:
        InputError: if both are given, or neither is complete.
    """
    if script is None:
        return script_of(parse_pokes(at, shift, kind or "shift"), DEFAULT_FRAMES if frames is None else frames)
    if at or shift or kind is not None or frames is not None:
        raise InputError("--script says all that is done, so leave --at, --shift, --kind and --frames out beside it.")
    return read_script(script)


def script_of(pokes: Sequence[Poke], frames: int) -> Script:
    """A script of pokes that all begin at the start and are held to the end."""
    events = tuple(
        PokeEvent(type="poke", frame=0, at=p.location, shift=p.shift, pointer=k, kind=p.kind)
        for k, p in enumerate(pokes)
    )
    return Script(version=1, frames=frames, events=events)


def animate(
    animator: Animator, image: PictureSource, script: Script, outputs: Sequence[Path], *, fps: float, plain: bool,
    max_side: int = MAX_SIDE, name: Callable[[int], str] = name_of_event,
) -> dict[str, Any]:  # fmt: skip
    """Replays a script on a picture and writes outputs by their suffix: a video, .png a grid of frames, .json numbers.

    Pictures are at most `max_side` pixels long. `name` says in messages what asked for the script's event of a number.

    Returns:
        The numbers of `measure`, and the frames per second.

    Raises:
        InputError: before anything is computed if a suffix is unknown; then as `Session` and `write_video`.
    """
    check_suffixes(outputs, SUFFIXES)
    session = animator.open(image, max_side=max_side)
    began = time.perf_counter()
    moments = replay(script, session, name)
    seconds = time.perf_counter() - began
    numbers = measure(moments, session.canvas) | {"frames_per_second": round(script.frames / seconds, 1)}
    for path in outputs:
        match path.suffix.lower():
            case ".json":
                write_json(path, numbers)
            case ".png":
                write_picture(path, frame_grid(moments, session.canvas, plain))
            case _:
                write_video(path, Pictures(moments, plain), fps)
    return numbers


def remarks_on(player: Player, script: Script) -> list[str]:
    """Explanations of what a script asks of a model that was not made for it."""
    pushed = any(isinstance(event, PokeEvent) and event.kind == "impulse" for event in script.events)
    if pushed and player.poke_kind == "shift" and not isinstance(live(player), TouchPlayer):
        return [
            "this model was trained on pulls, so a push that lasts one frame hardly moves it; the shipped base takes "
            "both, and `--preset impulse64` trains the paper's form on pushes."
        ]
    return []


def oversized(image: PictureSource, outputs: Sequence[Path], frames: int, size: int | None) -> list[str]:
    """Warnings of outputs whose format makes very large files of so many pixels."""
    large = [path for path in outputs if path.suffix.lower() in (".gif", ".webp")]
    if not large:
        return []
    height, width = read_picture(image).shape[:2]
    scale = min(1.0, (size or MAX_SIDE) / max(height, width))
    pixels = round(frames * height * width * scale**2 / 1e6)
    return [
        f"{path} will be very large: {frames} frames of {pixels / frames:.1f} megapixels; .mp4 and .webm are made for that, or "
        "choose a smaller --size."
        for path in large
        if pixels > SANE_MEGAPIXELS
    ]


class Pictures(Sequence[Picture]):
    """Pictures of moments, drawn one by one as they are written."""

    def __init__(self, moments: Sequence[Moment], plain: bool) -> None:
        self._moments, self._plain = moments, plain

    def __len__(self) -> int:
        return len(self._moments)

    def __getitem__(self, number: Any) -> Any:
        moment = self._moments[number]
        return moment.picture if self._plain else drawn(moment, moment.canvas)


def drawn(moment: Moment, canvas: Canvas) -> Picture:
    """A moment's picture with an arrow for every poke that begins in it, and a dot at every held point's target."""
    picture = moment.picture
    for poke in moment.held.values():
        picture = viz.draw_target(picture, canvas.shown(poke))
    for _, poke in moment.begun:
        picture = viz.draw_arrow(picture, canvas.shown(poke))
    return picture


def measure(moments: Sequence[Moment], canvas: Canvas) -> dict[str, Any]:
    """Place of each poked point when it was last held, in the user's pixels, by a tracker that sees frames only (DIS).

    An impulse is not held and names no target: its point is measured at the end.
    """
    tracker = build_estimator("dis")
    found = []
    for start, moment in enumerate(moments):
        for pointer, poke in moment.begun:
            entry: dict[str, Any] = {"frame": start, "kind": poke.kind, "at": _rounded(poke.location)}
            entry["shift"] = _rounded(poke.shift)
            held = [i for i, later in enumerate(moments) if pointer in later.held]
            end = held[-1] if held else len(moments) - 1
            flow = torch.from_numpy(tracker(moment.picture, moments[end].picture))
            arrived = canvas.to_shown.inverse().point(*scores.arrival(flow, canvas.shown(poke)))
            entry |= {"measured_at": end, "arrived": _rounded(arrived)}
            if held:
                last = moments[end].held[pointer]  # a drag may have moved the target
                target = (last.location[0] + last.shift[0], last.location[1] + last.shift[1])
                entry |= {"target": _rounded(target), "distance_px": round(math.dist(arrived, target), 2)}
            found.append(entry)
    flow = torch.from_numpy(tracker(moments[0].picture, moments[-1].picture))
    moved = float((flow.norm(dim=0) > _MOVED * max(flow.shape[-2:])).float().mean())
    height, width = canvas.size
    return {
        "picture": [width, height],
        "frames": len(moments) - 1,
        "tracker": tracker.name,
        "pokes": found,
        "share_of_picture_that_moved": round(moved, 4),
    }


def _rounded(pair: tuple[float, float]) -> list[float]:
    return [round(pair[0], 2), round(pair[1], 2)]


def frame_grid(moments: Sequence[Moment], canvas: Canvas, plain: bool) -> UInt8[np.ndarray, "h2 w2 3"]:
    """Moments spread over the clip, with their arrows and dots; below each, the flow from the first."""
    height, width = moments[0].picture.shape[:2]
    scale = min(1.0, _GRID_SIDE / max(height, width))
    size = (max(1, round(height * scale)), max(1, round(width * scale)))
    chosen = [moments[i] for i in np.unique(np.linspace(0, len(moments) - 1, _GRID_FRAMES).round().astype(int))]
    row = [resize(moment.picture if plain else drawn(moment, canvas), size) for moment in chosen]
    tracker = build_estimator("dis")
    small = [resize(moment.picture, size) for moment in chosen]
    flows = [tracker(small[0], frame) for frame in small]
    largest = max(1.0, max(float(np.hypot(*f).max()) for f in flows))
    return viz.grid([row, [viz.flow_colours(f, largest) for f in flows]])
