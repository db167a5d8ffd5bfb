"""What is done to a picture: the account of it, and what a player that sees is told: points of x_0 and where they shall go."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor

from poke2vid import geometry
from poke2vid.live import snapshot
from poke2vid.live.canvas import Canvas
from poke2vid.types import Frame, Pair, Poke, PokeKind, Rest, State, TouchPlayer


@dataclass(frozen=True)
class Done:
    """One thing that was done to a session, before the frame after `frame` was predicted; `script.recorded` writes it down.

    Attributes:
        at, shift: of a poke, its location and shift; of a drag, its target and (0, 0). In pixels of the user's picture.
    """

    frame: int
    type: Literal["poke", "drag", "release", "rest"]
    pointer: int = 0
    at: Pair = (0.0, 0.0)
    shift: Pair = (0.0, 0.0)
    kind: PokeKind = "shift"
    rest: Rest | None = None


def done_of(value: Mapping[str, Any]) -> Done:
    """What `asdict` made of one, from a file."""
    rest = value["rest"]
    pairs = {name: snapshot.pair_of(value[name]) for name in ("at", "shift")}
    return Done(**{**value, **pairs, "rest": None if rest is None else Rest(**rest)})


def origin(canvas: Canvas, poke: Poke, frame: Frame | None) -> Pair:
    """Where in x_0 that lies which shows at a poke's location in the last frame, in pixels of the model's frames."""
    x, y = canvas.modelled(poke).location
    if frame is None or frame.flow is None:
        return x, y
    dx, dy = geometry.sample(frame.flow[:1], torch.tensor([[[[x, y]]]]))[0, :, 0, 0].tolist()
    last = frame.flow.shape[-1] - 0.5
    return min(max(x + dx, -0.5), last), min(max(y + dy, -0.5), last)


def from_rest(
    canvas: Canvas, held: Sequence[tuple[int, Poke]], impulses: Sequence[Poke], origins: Mapping[int, Pair]
) -> list[Poke]:
    """All that touches, in pixels of the model: users count shifts from where a point showed when it was grabbed, here they
    count from where it is in x_0.

    Args:
        origins: by pointer; those of impulses, which have none, by -1, -2 ...
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
    """What the player is driven by, None where nothing touches, and the influences that are still needed.

    Every touched point of x_0 is encoded once for as long as it is held.
    """
    influences = {
        poke.location: known[poke.location] if poke.location in known else player.touch(state, poke.location)
        for poke in active
    }
    if not active:
        return None, influences
    return player.drive(state, active, [influences[poke.location] for poke in active]), influences
