"""A live session, the one way to run a model: poke, hold, drag, release, step; fork, undo, save and go on."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, get_args

import torch
from torch import Tensor

from poke2vid import pokes as poking
from poke2vid.geometry import Affine, Size
from poke2vid.live import interaction, snapshot
from poke2vid.live.action import Action, action_of
from poke2vid.live.brush import Stroke, check, gated, painted
from poke2vid.live.canvas import MAX_SIDE, Canvas, Picture
from poke2vid.live.law_of_rest import live
from poke2vid.types import (
    AS_TRAINED,
    Frame,
    InputError,
    LivePlayer,
    Pair,
    Player,
    Poke,
    PokeKind,
    Rest,
    State,
    TouchPlayer,
)

HISTORY = 32  # pokes that can be undone


@dataclass(frozen=True)
class _Now:
    """The changing part of a session; never modified in place, so that keeping one is enough to come back to it."""

    state: State
    frame: Frame | None = None
    time: int = 0
    held: tuple[tuple[int, Poke], ...] = ()
    impulses: tuple[Poke, ...] = ()
    origins: tuple[tuple[int, Pair], ...] = ()  # by pointer: the touched point of x_0, in pixels of the model
    next_pointer: int = 0
    rest: Rest = AS_TRAINED
    unchanged: int = 0  # frames since the pokes last changed
    done: tuple[Action, ...] = ()
    moves: Tensor | None = None  # what strokes of a brush let move, of a model that moves the whole picture


class Session:
    """One picture and the pokes on it. Locations and shifts are in pixels of the picture that the user gave.

    The same calls give the same frames, bit for bit on one machine. An untouched picture stays exactly as it is, a
    released object swings back, and one that is held still comes to rest (`Rest`, docs/decisions/020). Not safe for
    several threads at once.

    Attributes:
        player: the model.
        canvas: the picture on the model's canvas.
    """

    def __init__(
        self,
        player: Player,
        picture: Picture,
        *,
        max_side: int = MAX_SIDE,
        rest: Rest | None = None,
        history: int = HISTORY,
        record: bool = True,
        size: Size | None = None,
    ) -> None:
        """Opens a session.

        Args:
            max_side: of the shown picture, in pixels.
            rest: how the object moves untouched; None for the player's default, AS_TRAINED for the model alone.
            history: how many pokes can be undone; every one keeps a state in memory.
            record: False keeps no record of actions, so that a session of days needs no more memory than a short one.
            size: of the user's picture, if `picture` is already at a canvas's shown size.
        """
        self.player = player
        self._live = live(player)
        self.canvas = Canvas(picture, player.resolution, max_side, size)
        self._max_side, self._record = max_side, record
        default = self._live.default_rest if isinstance(self._live, LivePlayer) else AS_TRAINED
        with torch.inference_mode():
            self._now = _Now(self._live.start(self.canvas.x_0), rest=default)
        self._history: list[_Now] = []
        self._history_length = history
        self._drive: Tensor | None = None
        self._influences: dict[Pair, Tensor] = {}
        self._drive_is_current = True
        if rest is not None:
            self.rest = rest

    # Properties

    @property
    def state(self) -> State:
        """State of the object's motion."""
        return self._now.state

    @state.setter
    def state(self, state: State) -> None:
        frame = self._live.decode(state) if isinstance(self._live, TouchPlayer) else self.frame
        self._now = replace(self._now, state=state, frame=frame)

    @property
    def frame(self) -> Frame | None:
        """The last predicted frame as the model made it; None before the first step."""
        return self._now.frame

    @property
    def time(self) -> int:
        """Number of steps taken."""
        return self._now.time

    @property
    def held(self) -> dict[int, Poke]:
        """The shift pokes that are in force, by pointer."""
        return dict(self._now.held)

    @property
    def moves(self) -> Tensor | None:
        """Map of what strokes let move, `1 1 r r` in 0 ... 1, of a model that moves the whole picture; None without any."""
        return self._now.moves

    @property
    def done(self) -> tuple[Action, ...]:
        """Actions so far, undone pokes left out; empty with `record=False`."""
        return self._now.done

    @property
    def rest(self) -> Rest:
        """Law of the object's motion while nothing touches it; can be set at any time."""
        return self._now.rest

    @rest.setter
    def rest(self, rest: Rest) -> None:
        self._change(Action(self.time, "rest", rest=rest), rest=rest)

    @property
    def picture(self) -> Picture:
        """The current picture at the shown size: the last frame, or before the first step the picture itself."""
        return self.canvas.picture if self.frame is None else self.canvas.render(self.frame)

    # Actions

    def poke(self, location: Pair, shift: Pair, kind: PokeKind = "shift") -> int:
        """Touches the picture as shown now; a shift is held until it is released, an impulse lasts one step.

        Returns:
            The pointer by which a held poke can be dragged and released.

        Raises:
            InputError: if the location lies outside the picture or a number is not finite, or if the model was trained on
                impulses and is given a shift.
        """
        if kind not in get_args(PokeKind):
            raise InputError(f"the poke's kind {kind!r} is unknown; choose one of {', '.join(get_args(PokeKind))}.")
        poke = Poke((float(location[0]), float(location[1])), (float(shift[0]), float(shift[1])), kind)
        self._check(poke)
        if kind == "shift" and self.player.poke_kind == "impulse":
            raise InputError("this model was trained on impulses and knows no targets; poke with kind 'impulse'.")
        if self._history_length:
            self._history = [*self._history, self._now][-self._history_length :]
        pointer, now = self._now.next_pointer, self._now
        done = Action(now.time, "poke", pointer, poke.location, poke.shift, kind)
        start, count = interaction.origin(self.canvas, poke, self.frame), pointer + 1
        if kind == "impulse":
            impulses, name = (*now.impulses, poke), -1 - len(now.impulses)
            self._change(done, impulses=impulses, origins=(*now.origins, (name, start)), next_pointer=count)
        else:
            held = (*now.held, (pointer, poke))
            self._change(done, held=held, origins=(*now.origins, (pointer, start)), next_pointer=count)
        return pointer

    def hold(self, location: Pair) -> int:
        """Grabs a point and keeps it where it is; returns the pointer to drag it by."""
        return self.poke(location, (0.0, 0.0))

    def drag(self, grabbed: int | Pair, to: Pair) -> int:
        """Moves the target of a held poke to `to`, which may lie outside the picture.

        Args:
            grabbed: a pointer, or a location to grab now.

        Returns the pointer.
        """
        if not isinstance(grabbed, int):
            x, y = grabbed
            return self.poke(grabbed, (float(to[0]) - x, float(to[1]) - y))
        held = self.held
        if grabbed not in held:
            raise InputError(f"pointer {grabbed} holds nothing; poke before you drag.")
        location = held[grabbed].location
        moved = Poke(location, (float(to[0]) - location[0], float(to[1]) - location[1]))
        self._check(moved)
        held[grabbed] = moved
        self._change(Action(self.time, "drag", grabbed, (float(to[0]), float(to[1]))), held=tuple(held.items()))
        return grabbed

    def release(self, pointer: int | None = None) -> None:
        """Lets go of one pointer, or of all."""
        held = self.held
        if pointer is not None and pointer not in held:
            raise InputError(f"pointer {pointer} holds nothing; it was released before or never poked.")
        for one in [*held] if pointer is None else [pointer]:
            del held[one]
            origins = tuple(pair for pair in self._now.origins if pair[0] != one)
            self._change(Action(self.time, "release", one), held=tuple(held.items()), origins=origins)

    @torch.inference_mode()
    def brush(self, stroke: Stroke) -> None:
        """Keeps what a stroke covers still from the next frame on, or lets it move; `undo` takes it back.

        Raises:
            InputError: if the stroke has no points, or a number is not finite.
        """
        check(stroke)
        if self._history_length:
            self._history = [*self._history, self._now][-self._history_length :]
        now, done, x_0 = self._now, Action(self.time, "brush", stroke=stroke), self.canvas.x_0
        if not isinstance(self._live, TouchPlayer):
            moves = torch.ones_like(x_0[:, :1]) if now.moves is None else now.moves
            self._change(done, moves=painted(moves, stroke, self.canvas.to_model))
            return
        mask = self._live.object_of(now.state)
        to_field = Affine.resize((x_0.shape[-2], x_0.shape[-1]), (mask.shape[-2], mask.shape[-1]))
        state = self._live.with_object(now.state, painted(mask, stroke, self.canvas.to_model.then(to_field)))
        self._influences = {}  # of another object
        self._change(done, state=state)

    @torch.inference_mode()
    def step(self) -> Picture:
        """The next frame, at the shown size."""
        return self.canvas.render(self.advance())

    @torch.inference_mode()
    def advance(self) -> Frame:
        """The next frame as the model makes it, for callers that render it themselves."""
        now, drive = self._now, self._drive_now()
        if isinstance(self._live, LivePlayer):
            state, frame = self._live.live_step(now.state, drive, now.rest, now.unchanged)
        else:
            state, frame = self._live.step(now.state, drive)
        if now.moves is not None:
            frame = gated(frame, self.canvas.x_0, now.moves)
        self._drive_is_current = not now.impulses
        unchanged = 0 if now.impulses else now.unchanged + 1
        origins = tuple(pair for pair in now.origins if pair[0] >= 0)
        self._now = replace(
            now, state=state, frame=frame, time=now.time + 1, impulses=(), origins=origins, unchanged=unchanged
        )
        return frame

    def fork(self) -> "Session":
        """An independent copy of the session that goes on from here."""
        other = object.__new__(Session)
        other.__dict__.update(self.__dict__)
        other._history = list(self._history)
        return other

    def undo(self) -> bool:
        """Goes back to before the last poke or stroke and forgets the frames since; False if there is none to undo.

        A change of `rest` is not a poke; it is undone with the poke before it.
        """
        if not self._history:
            return False
        self._now = self._history.pop()
        self._influences = {}  # it may have been a stroke
        self._drive_is_current = False
        return True

    # On disk

    def save(self, path: str | Path) -> None:
        """Saves the whole session in one file (safetensors with JSON), atomically; the history for undo is not kept.

        Raises:
            InputError: if the file cannot be written.
        """
        now = self._now
        about = {
            "max_side": self._max_side,
            "record": self._record,
            "history": self._history_length,
            "time": now.time,
            "held": [[pointer, asdict(poke)] for pointer, poke in now.held],
            "impulses": [asdict(poke) for poke in now.impulses],
            "origins": [[pointer, list(origin)] for pointer, origin in now.origins],
            "next_pointer": now.next_pointer,
            "rest": asdict(now.rest),
            "unchanged": now.unchanged,
            "done": [asdict(done) for done in now.done],
        }
        snapshot.write(Path(path), self.player, self.canvas, now.state, now.frame, now.moves, about)

    @classmethod
    def load(cls, path: str | Path, player: Player) -> "Session":
        """Loads a saved session; on the same machine it goes on bit for bit as the saved one would have.

        Raises:
            InputError: if the file is missing, damaged or no session, or belongs to another model.
        """
        saved = snapshot.read(Path(path), player)
        about = saved.about
        with snapshot.checked(Path(path)):
            session = cls(
                player,
                saved.picture,
                max_side=int(about["max_side"]),
                rest=Rest(**about["rest"]),
                history=int(about["history"]),
                record=bool(about["record"]),
                size=saved.size,
            )
            snapshot.require_alike(session.state, saved.state)
            snapshot.require_map(saved.moves, session.canvas)
            session._now = _Now(
                saved.state,
                saved.frame,
                int(about["time"]),
                tuple((int(pointer), snapshot.poke_of(poke)) for pointer, poke in about["held"]),
                tuple(snapshot.poke_of(poke) for poke in about["impulses"]),
                tuple((int(pointer), snapshot.pair_of(origin)) for pointer, origin in about.get("origins", [])),
                int(about["next_pointer"]),
                session.rest,
                int(about["unchanged"]),
                tuple(action_of(done) for done in about["done"]),
                saved.moves,
            )
        session._drive_is_current = False
        return session

    def _change(self, done: Action, **changes: Any) -> None:
        if self._record:
            before = self._now.done
            last = before[-1] if before else None
            again = last is not None and (last.frame, last.type, last.pointer) == (done.frame, done.type, done.pointer)
            if again and done.type in ("drag", "rest"):  # of several between two frames only the last counts
                before = before[:-1]
            changes["done"] = (*before, done)
        if done.type != "rest":
            changes["unchanged"] = 0
        self._now = replace(self._now, **changes)
        self._drive_is_current = False

    def _check(self, poke: Poke) -> None:
        """Checks a poke in the user's pixels, and in the model's, where a small picture makes a shift larger."""
        height, width = self.canvas.size
        poking.check(poke, width, height)
        poking.check(self.canvas.modelled(poke), self.player.resolution, self.player.resolution)

    def _drive_now(self) -> Tensor | None:
        """The drive of all current pokes; recomputed only after they change."""
        if not self._drive_is_current:
            now = self._now
            if isinstance(self._live, TouchPlayer):
                active = interaction.from_rest(self.canvas, now.held, now.impulses, dict(now.origins))
                self._drive, self._influences = interaction.driven(self._live, now.state, active, self._influences)
            else:
                active = [self.canvas.modelled(poke) for poke in (*(poke for _, poke in now.held), *now.impulses)]
                drawn = poking.rasterise(active, self.player.resolution)[None]
                self._drive = self._live.encode_poke(drawn) if active else None
            self._drive_is_current = True
        return self._drive
