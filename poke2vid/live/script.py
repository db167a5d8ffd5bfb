"""Poke scripts: pokes as a JSON file, replayed through a Session (format version 1)."""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from poke2vid.files import fault_of, read_json
from poke2vid.live.action import Action
from poke2vid.live.apply import apply
from poke2vid.live.brush import MAX_POINTS, Stroke
from poke2vid.live.canvas import Canvas, Picture
from poke2vid.live.session import Session
from poke2vid.pokes import MAX_SHIFT
from poke2vid.types import MAX_MOMENTUM, Frame, InputError, Pair, Poke, Rest

_MAX_FRAMES = 10_000
_MAX_POINTER = 2**31
Form = TypeVar("Form")
Pixels = tuple[Annotated[float, Field(allow_inf_nan=False)], Annotated[float, Field(allow_inf_nan=False)]]
Coordinate = Annotated[float, Field(ge=-MAX_SHIFT, le=MAX_SHIFT, allow_inf_nan=False)]
Near = tuple[Coordinate, Coordinate]
Pointer = Annotated[int, Field(ge=-_MAX_POINTER, le=_MAX_POINTER)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PokeEvent(_Strict):
    """A touch: at `at`, with `shift`, both in pixels of the original picture, in the picture shown at `frame`."""

    type: Literal["poke"]
    frame: int = Field(ge=0)
    at: Pixels
    shift: Pixels
    pointer: Pointer = 0
    kind: Literal["shift", "impulse"] = "shift"


class DragEvent(_Strict):
    """The grabbed point shall now go to `at` + `shift`; a finger that moves says `at` where it is and `shift` (0, 0)."""

    type: Literal["drag"]
    frame: int = Field(ge=0)
    at: Pixels
    shift: Pixels
    pointer: Pointer = 0


class ReleaseEvent(_Strict):
    """The pointer lets go."""

    type: Literal["release"]
    frame: int = Field(ge=0)
    pointer: Pointer = 0


class RestEvent(_Strict):
    """From here on, how the object moves while nothing touches it (`types.Rest`); before the first, as suits the model."""

    type: Literal["rest"]
    frame: int = Field(ge=0)
    stiffness: float = Field(ge=0, le=1)
    momentum: float = Field(ge=0, le=MAX_MOMENTUM)
    anchored: bool = True


class BrushEvent(_Strict):
    """A stroke on the picture as it was given: from here on what it covers stays still, or may move (`brush.Stroke`)."""

    type: Literal["brush"]
    frame: int = Field(ge=0)
    path: tuple[Near, ...] = Field(min_length=1, max_length=MAX_POINTS)
    radius: float = Field(gt=0, le=MAX_SHIFT)
    still: bool = True


Event = Annotated[PokeEvent | DragEvent | ReleaseEvent | RestEvent | BrushEvent, Field(discriminator="type")]


class Script(_Strict):
    """Actions on a picture, frame by frame. An event of frame f happens before frame f + 1 is predicted.

    The published description is assets/poke-script.schema.json; `schema` makes it.

    Attributes:
        image: the picture's path, relative to the script; None where it is given otherwise.
        frames: how many frames are predicted.
    """

    version: Literal[1]
    image: str | None = None
    frames: int = Field(ge=1, le=_MAX_FRAMES)
    events: tuple[Event, ...]

    @model_validator(mode="after")
    def _events_lie_within(self) -> "Script":
        for number, event in enumerate(self.events):
            if event.frame >= self.frames:
                raise ValueError(
                    f"events.{number} is at frame {event.frame}, but the script ends after {self.frames} frames"
                )
        return self


def schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a poke script. It cannot say that an event must lie before the script's end."""
    about = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "poke2vid poke script, version 1"}
    return {**Script.model_json_schema(), **about}


def recorded(session: Session) -> Script:
    """A session's actions as a script that gives the same frames again; undone pokes are left out.

    Raises:
        InputError: if the session has made no step, or more than a script may have.
    """
    if not 1 <= session.time <= _MAX_FRAMES:
        raise InputError(f"the session made {session.time} frames; a poke script holds 1 to {_MAX_FRAMES}.")
    # Later actions show in no frame.
    events = [_event_of(done) for done in session.done if done.frame < session.time]
    return Script(version=1, frames=session.time, events=tuple(events))


def _event_of(action: Action) -> Event:
    match action.type:
        case "poke":
            return PokeEvent(
                type="poke",
                frame=action.frame,
                at=action.at,
                shift=action.shift,
                pointer=action.pointer,
                kind=action.kind,
            )
        case "drag":
            return DragEvent(type="drag", frame=action.frame, at=action.at, shift=action.shift, pointer=action.pointer)
        case "release":
            return ReleaseEvent(type="release", frame=action.frame, pointer=action.pointer)
        case "rest":
            assert action.rest is not None
            return RestEvent(type="rest", frame=action.frame, **asdict(action.rest))
        case "brush":
            assert action.stroke is not None
            return BrushEvent(type="brush", frame=action.frame, **asdict(action.stroke))


def _action_of(event: Event) -> Action:
    match event:
        case PokeEvent():
            return Action(event.frame, "poke", event.pointer, event.at, event.shift, event.kind)
        case DragEvent():
            return Action(event.frame, "drag", event.pointer, event.at, event.shift)
        case ReleaseEvent():
            return Action(event.frame, "release", event.pointer)
        case RestEvent():
            return Action(event.frame, "rest", rest=Rest(event.stiffness, event.momentum, event.anchored))
        case BrushEvent():
            return Action(event.frame, "brush", stroke=Stroke(event.path, event.radius, event.still))


def parse_pairs(option: str, texts: Sequence[str]) -> list[Pair]:
    """Pairs of numbers from a command-line option `OPTION X,Y` that may be given several times.

    Raises:
        InputError: if one is not two finite numbers; names the option.
    """
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


def read_script(path: Path) -> Script:
    """Reads a script from its file.

    Raises:
        InputError: if the file is missing, is no JSON, or breaks the format; names every wrong field.
    """
    return read_written(path, "poke script", Script.model_validate)


def read_written(path: Path, what: str, parse: Callable[[Any], Form]) -> Form:
    """Reads a JSON file that a person may have written, and is called `what`. Raises as `read_script`."""
    try:
        return parse(read_json(path))
    except FileNotFoundError as error:
        raise InputError(f"there is no {what} {path}; check the path.") from error
    except ValidationError as error:
        problems = [fault_of(e) for e in error.errors()]
        raise InputError(f"the {what} {path} is wrong: {'; '.join(problems)}.") from error
    except IsADirectoryError as error:
        raise InputError(f"{path} is a folder, not a {what}; name a JSON file in it.") from error
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"the {what} {path} is not a JSON file that can be read ({error}).") from error


@dataclass(frozen=True)
class Moment:
    """One shown picture of a replay; pokes in pixels of the user's picture.

    Attributes:
        canvas: the session's.
        frame: as the model made it; None for the given picture. Rendered only on demand: a long replay of large pictures
            would not fit in memory.
        begun: pokes that begin in this picture, with the session's pointers.
        held: by the session's pointer, the shifts that were in force when this picture was made.
    """

    canvas: Canvas
    frame: Frame | None
    begun: tuple[tuple[int, Poke], ...]
    held: dict[int, Poke]

    @property
    def picture(self) -> Picture:
        """The picture at the shown size."""
        return self.canvas.picture if self.frame is None else self.canvas.render(self.frame)


def name_of_event(number: int) -> str:
    """Name of a script's event in messages; numbers count from 0, as in the file."""
    return f"events.{number} of the poke script"


def replay(script: Script, session: Session, name: Callable[[int], str] = name_of_event) -> list[Moment]:
    """Replays a script: returns the picture as given, then every predicted frame.

    Raises:
        InputError: for an event that does not fit what happened before it; `name` says which, from its number.
    """
    pointers: dict[int, int] = {}  # the script's pointer -> the session's
    moments: list[Moment] = []
    frame_shown, held = session.frame, session.held
    events: dict[int, list[tuple[int, Event]]] = {}
    for number, event in enumerate(script.events):
        events.setdefault(event.frame, []).append((number, event))
    for frame in range(script.frames):
        begun: list[tuple[int, Poke]] = []
        for number, event in events.get(frame, ()):
            try:
                pointer = apply(_action_of(event), session, pointers)
            except InputError as error:
                raise InputError(f"{name(number)}: {error}") from error
            if pointer is not None and isinstance(event, PokeEvent):
                begun.append((pointer, Poke(event.at, event.shift, event.kind)))
        moments.append(Moment(session.canvas, frame_shown, tuple(begun), held))
        held = session.held
        frame_shown = session.advance()
    return [*moments, Moment(session.canvas, frame_shown, (), held)]
