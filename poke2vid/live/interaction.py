"""Pokes as a player that sees what it touches takes them: as points of x_0, each encoded once."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from poke2vid import geometry
from poke2vid.live.canvas import Canvas
from poke2vid.types import Frame, Pair, Poke, State, TouchPlayer


def origin(canvas: Canvas, poke: Poke, frame: Frame | None) -> Pair:
    """Point of x_0 that shows at a poke's location in the last frame, in pixels of the model's frames."""
    x, y = canvas.modelled(poke).location
    if frame is None or frame.flow is None:
        return x, y
    dx, dy = geometry.sample(frame.flow[:1], torch.tensor([[[[x, y]]]]))[0, :, 0, 0].tolist()
    last = frame.flow.shape[-1] - 0.5
    return min(max(x + dx, -0.5), last), min(max(y + dy, -0.5), last)


def from_rest(
    canvas: Canvas, held: Sequence[tuple[int, Poke]], impulses: Sequence[Poke], origins: Mapping[int, Pair]
) -> list[Poke]:
    """All active pokes in pixels of the model: a user's shift counts from where a point showed when it was grabbed, a
    returned one from where it is in x_0.

    Args:
        origins: points of x_0 by pointer; impulses have no pointer and count -1, -2 ...
    """
    active = []
    for pointer, poke in held:
        (x, y), (dx, dy) = (seen := canvas.modelled(poke)).location, seen.shift
        start = origins.get(pointer, seen.location)
        active.append(Poke(start, (x + dx - start[0], y + dy - start[1])))
    for number, poke in enumerate(impulses, 1):
        active.append(replace(canvas.modelled(poke), location=origins.get(-number, canvas.modelled(poke).location)))
    return active


def driven(
    player: TouchPlayer, state: State, active: Sequence[Poke], known: Mapping[Pair, Tensor]
) -> tuple[Tensor | None, dict[Pair, Tensor]]:
    """The player's drive, None without active pokes, and the influences that are still needed.

    Every touched point of x_0 is encoded once, for as long as it is held.
    """
    influences = {
        poke.location: known[poke.location] if poke.location in known else player.touch(state, poke.location)
        for poke in active
    }
    if not active:
        return None, influences
    return player.drive(state, active, [influences[poke.location] for poke in active]), influences
