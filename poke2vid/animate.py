"""One picture, poked: the files that `poke2vid animate` leaves."""

import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8

from poke2vid import viz
from poke2vid.canvas import Canvas, Picture, resize, transform
from poke2vid.evaluate import scores
from poke2vid.files import write_json
from poke2vid.flow.estimator import build_estimator
from poke2vid.geometry import Affine
from poke2vid.pictures import write_picture
from poke2vid.script import PokeEvent, Script, read_script, replay
from poke2vid.session import Animator, PictureSource
from poke2vid.types import InputError, Poke
from poke2vid.video import write_video

VIDEO_SUFFIXES = (".mp4", ".gif", ".webp", ".webm")
SUFFIXES = (*VIDEO_SUFFIXES, ".png", ".json")
_GRID_FRAMES = 8
_GRID_SIDE = 192
_MOVED = 0.005  # of the picture's longer side: what moves less counts as still


def parse_pokes(at: Sequence[str], shift: Sequence[str], kind: str) -> list[Poke]:
    """The pokes of `--at X,Y --shift DX,DY` pairs.

    Raises:
        InputError: if a pair is not two numbers, there are not as many shifts as locations, or the kind is unknown.
    """
    if not at or len(at) != len(shift):
        raise InputError(f"{len(at)} --at and {len(shift)} --shift were given; give at least one of each, in pairs.")
    if kind not in ("shift", "impulse"):
        raise InputError(f"--kind {kind!r} is unknown; choose shift or impulse.")
    pairs = zip(_pairs("--at", at), _pairs("--shift", shift), strict=True)
    return [Poke(location, p, "impulse" if kind == "impulse" else "shift") for location, p in pairs]


def _pairs(option: str, texts: Sequence[str]) -> list[tuple[float, float]]:
    pairs = []
    for text in texts:
        try:
            x, y = (float(part) for part in text.split(","))
        except ValueError as error:
            raise InputError(f"{option} {text!r} is not two numbers with a comma between, such as 120,80.") from error
        if not (math.isfinite(x) and math.isfinite(y)):
            raise InputError(f"{option} {text!r} is not finite; give plain pixels.")
        pairs.append((x, y))
    return pairs


def choose_script(script: Path | None, at: Sequence[str], shift: Sequence[str], kind: str, frames: int) -> Script:
    """What the command line says is to be done: a script's file, or pokes at the start.

    Raises:
        InputError: if both are given, or neither is whole.
    """
    if script is None:
        return script_of(parse_pokes(at, shift, kind), frames)
    if at or shift:
        raise InputError("--script and --at, --shift were both given; leave one of them out.")
    return read_script(script)


def script_of(pokes: Sequence[Poke], frames: int) -> Script:
    """All pokes at the start, held to the end."""
    events = tuple(
        PokeEvent(type="poke", frame=0, at=p.location, shift=p.shift, pointer=k, kind=p.kind)
        for k, p in enumerate(pokes)
    )
    return Script(version=1, frames=frames, events=events)


def animate(
    animator: Animator, image: PictureSource, script: Script, outputs: Sequence[Path], *, fps: float, plain: bool
) -> dict[str, Any]:
    """Replays a script on a picture and writes every output by its suffix: a video, .png a grid of frames, .json numbers.

    Returns:
        The numbers.

    Raises:
        InputError: before anything is computed if a suffix is unknown; then as `Session` and `write_video`.
    """
    for path in outputs:
        if path.suffix.lower() not in SUFFIXES:
            raise InputError(f"{path} has no known kind; let the name end in {', '.join(SUFFIXES)}.")
    session = animator.open(image)
    began = time.perf_counter()
    frames = replay(script, session)
    seconds = time.perf_counter() - began
    events = [event for event in script.events if isinstance(event, PokeEvent) and event.frame == 0]
    pokes = [Poke(event.at, event.shift, event.kind) for event in events]
    numbers = measure(frames, pokes, session.canvas) | {"frames_per_second": round(script.frames / seconds, 1)}
    shown = [session.canvas.shown(poke) for poke in pokes]
    for path in outputs:
        match path.suffix.lower():
            case ".json":
                write_json(path, numbers)
            case ".png":
                write_picture(path, frame_grid(frames, shown, plain))
            case _:
                write_video(path, frames if plain else viz.draw_pokes(frames, shown), fps)
    return numbers


def measure(frames: Sequence[Picture], pokes: Sequence[Poke], canvas: Canvas) -> dict[str, Any]:
    """Where each poked point is in the last frame, in the user's pixels, by a tracker that sees frames only (DIS)."""
    tracker = build_estimator("dis")
    flow = torch.from_numpy(tracker(frames[0], frames[-1]))
    height, width = canvas.size
    to_user = canvas.to_shown.inverse()
    found = []
    for poke in pokes:
        arrived = to_user.point(*scores.arrival(flow, canvas.shown(poke)))
        entry: dict[str, Any] = {"at": _rounded(poke.location), "shift": _rounded(poke.shift), "kind": poke.kind}
        entry["arrived"] = _rounded(arrived)
        if poke.kind == "shift":
            target = (poke.location[0] + poke.shift[0], poke.location[1] + poke.shift[1])
            entry["target"] = _rounded(target)
            entry["distance_px"] = round(math.dist(arrived, target), 2)
        found.append(entry)
    moved = float((flow.norm(dim=0) > _MOVED * max(flow.shape[-2:])).float().mean())
    return {
        "picture": [width, height],
        "frames": len(frames) - 1,
        "tracker": tracker.name,
        "pokes": found,
        "share_of_picture_that_moved": round(moved, 4),
    }


def _rounded(pair: tuple[float, float]) -> list[float]:
    return [round(pair[0], 2), round(pair[1], 2)]


def frame_grid(frames: Sequence[Picture], pokes: Sequence[Poke], plain: bool) -> UInt8[np.ndarray, "h2 w2 3"]:
    """x_0 with the arrow and frames spread over the clip with the target dot; below them how far each pixel has come."""
    height, width = frames[0].shape[:2]
    scale = min(1.0, _GRID_SIDE / max(height, width))
    size = (max(1, round(height * scale)), max(1, round(width * scale)))
    shown = np.unique(np.linspace(0, len(frames) - 1, _GRID_FRAMES).round().astype(int))
    small = [resize(frames[i], size) for i in shown]
    affine = Affine.resize((height, width), size)
    row = small if plain else viz.draw_pokes(small, [transform(poke, affine) for poke in pokes])
    tracker = build_estimator("dis")
    flows = [tracker(small[0], frame) for frame in small]
    largest = max(1.0, max(float(np.hypot(*f).max()) for f in flows))
    return viz.grid([row, [viz.flow_colours(f, largest) for f in flows]])
