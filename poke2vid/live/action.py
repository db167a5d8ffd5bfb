"""Record of one action on a session: a touch, a drag, a release, a stroke, or a change of the law of rest."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from poke2vid.live import snapshot
from poke2vid.live.brush import Stroke, stroke_of
from poke2vid.types import Pair, PokeKind, Rest


@dataclass(frozen=True)
class Action:
    """One action, done before the frame after `frame` was predicted.

    Attributes:
        frame: number of frames that were predicted before it.
        pointer: number of the finger that acts; 0 for a stroke and a change of the law.
        at, shift: of a poke, its location and shift; of a drag, two pairs whose sum is its target. In pixels of
            the user's picture.
        kind: of a poke.
        rest: the new law; None with any other type.
        stroke: of a brush; None with any other type.
    """

    frame: int
    type: Literal["poke", "drag", "release", "rest", "brush"]
    pointer: int = 0
    at: Pair = (0.0, 0.0)
    shift: Pair = (0.0, 0.0)
    kind: PokeKind = "shift"
    rest: Rest | None = None
    stroke: Stroke | None = None


def action_of(value: Mapping[str, Any]) -> Action:
    """An `Action` from the mapping that `asdict` made of it, read from a file."""
    rest, stroke = value["rest"], value.get("stroke")
    pairs = {name: snapshot.pair_of(value[name]) for name in ("at", "shift")}
    law, brush = rest and Rest(**rest), stroke and stroke_of(stroke)
    return Action(**{**value, **pairs, "rest": law, "stroke": brush})
