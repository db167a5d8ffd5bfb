"""One client over one WebSocket: requests are read, checked, computed in turn and answered; nothing is sent unasked."""

import asyncio
import contextlib
import io
import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import asdict
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image
from starlette.websockets import WebSocket

from poke2vid import pokes as poking
from poke2vid.live.apply import apply
from poke2vid.live.session import Session
from poke2vid.media.pictures import read_picture
from poke2vid.serve import protocol
from poke2vid.serve.heat import heat_of
from poke2vid.serve.protocol import MessageError
from poke2vid.serve.rooms import Compute, Limits, Moment, Room, Rooms
from poke2vid.types import AS_TRAINED, InputError, LivePlayer, Player, Poke, TouchPlayer

TOO_LARGE, REFUSED, LATER, BROKEN = 1009, 1008, 1013, 1011  # WebSocket close codes
ABORT = "poke2vid.abort"  # key in an ASGI scope: function that drops a connection whose client has stopped reading
CLOSE_SECONDS = 2.0  # that a client has to receive the reason for a close
FORMATS = ("PNG", "JPEG", "WEBP")

log = logging.getLogger(__name__)


class Engine:
    """State that all conversations share.

    Attributes:
        player: the model.
        decoder: the page's name for the model's way of making frames.
    """

    def __init__(self, player: Player, decoder: str, rooms: Rooms, compute: Compute) -> None:
        self.player, self.decoder, self.rooms, self.compute = player, decoder, rooms, compute

    async def converse(self, websocket: WebSocket) -> None:
        """Handles one connection, from the opening handshake to its end."""
        await websocket.accept()
        room = self.rooms.enter(websocket.client.host if websocket.client else "")
        if isinstance(room, str):
            await websocket.close(LATER, room)
            return
        try:
            await Conversation(self, room, websocket).run()
        finally:
            self.rooms.leave(room)


@runtime_checkable
class Wire(Protocol):
    """The part of an accepted WebSocket that a conversation uses."""

    @property
    def scope(self) -> MutableMapping[str, Any]: ...
    async def receive(self) -> MutableMapping[str, Any]: ...
    async def send_text(self, data: str) -> None: ...
    async def send_bytes(self, data: bytes) -> None: ...
    async def close(self, code: int, reason: str | None) -> None: ...


class Conversation:
    """One connection that was given a room."""

    def __init__(self, engine: Engine, room: Room, websocket: Wire) -> None:
        self._engine, self._room, self._websocket = engine, room, websocket
        self._limits: Limits = room.limits
        self._sending = asyncio.Lock()
        self._in_flight: set[asyncio.Task[None]] = set()
        self._opening: int | None = None  # the seq of an "open" whose picture has not come yet

    async def run(self) -> None:
        """Serves the client until it leaves or is made to leave."""
        reading = asyncio.create_task(self._read())
        try:
            first: set[asyncio.Future[Any]] = {reading, self._room.ended}
            await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if reading.done() and not reading.cancelled() and reading.exception() is not None:
                log.error("reading failed", exc_info=reading.exception())
                self._room.end(BROKEN, "something went wrong on the server; open the picture again")
            for task in (reading, *self._in_flight):
                task.cancel()
            await asyncio.gather(reading, *self._in_flight, return_exceptions=True)
        if self._room.ended.done():
            await self._close(*self._room.ended.result())

    async def _close(self, code: int, reason: str) -> None:
        try:
            async with asyncio.timeout(min(CLOSE_SECONDS, self._limits.send_seconds)):
                await self._websocket.close(code, reason[:100])
        except Exception:  # the client has stopped reading, or has just left
            self._abort()

    def _abort(self) -> None:
        abort = self._websocket.scope.get(ABORT)
        if abort is not None:
            abort()

    # Reading

    async def _read(self) -> None:
        """Reads messages until the client leaves; ends the room if the client breaks the rules."""
        while True:
            message = await self._websocket.receive()
            if message["type"] == "websocket.disconnect":
                return
            await asyncio.sleep(self._room.messages.wait())  # unread messages wait in the client's memory
            text, data = message.get("text"), message.get("bytes")
            if text is not None and len(text.encode()) > self._limits.text_bytes:
                self._room.end(TOO_LARGE, f"a message may have {self._limits.text_bytes} bytes")
                return
            if data is not None and len(data) > self._limits.picture_bytes:
                self._room.end(TOO_LARGE, f"a picture may have {self._limits.picture_bytes} bytes")
                return
            if data is None and self._opening is not None:
                await self._send(protocol.error(self._opening, "a picture was announced, but a text followed."))
                self._opening = None
            try:
                self._take(text, data)
            except MessageError as error:
                if not self._room.offences.take():
                    self._room.end(REFUSED, "too many messages that cannot be understood")
                    return
                await self._send(protocol.error(error.seq, str(error)))

    def _take(self, text: str | None, data: bytes | None) -> None:
        """Starts work on a message. Raises MessageError if that is impossible."""
        if data is not None:
            opening, self._opening = self._opening, None
            if opening is None:
                raise MessageError('a picture must be announced by a message {"type": "open"}.')
            self._begin(opening, lambda: self._open(opening, data))
            return
        request = protocol.read_request(text or "")
        if isinstance(request, protocol.Open):
            self._opening = request.seq
            self._room.use()
        else:
            self._begin(request.seq, lambda: self._serve(request))

    def _begin(self, seq: int, work: Callable[[], Awaitable[None]]) -> None:
        if len(self._in_flight) >= self._limits.in_flight:
            raise MessageError(
                f"{self._limits.in_flight} requests wait for their answers already; ask again after one of them.", seq
            )
        self._room.use()
        task = asyncio.create_task(self._answer(seq, work))
        self._in_flight.add(task)
        task.add_done_callback(self._in_flight.discard)

    async def _answer(self, seq: int, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except InputError as error:
            with contextlib.suppress(Exception):
                await self._send(protocol.error(seq, str(error)))
        except Exception:
            log.exception("a request failed")
            self._room.end(BROKEN, "something went wrong on the server; open the picture again")

    async def _send(self, *messages: str | bytes) -> None:
        """Sends messages with no other answer in between; a client that does not take them in time is disconnected."""
        try:
            async with asyncio.timeout(self._limits.send_seconds), self._sending:
                for message in messages:
                    if isinstance(message, str):
                        await self._websocket.send_text(message)
                    else:
                        await self._websocket.send_bytes(message)
        except TimeoutError:
            self._room.end(REFUSED, f"an answer was not taken within {self._limits.send_seconds:g} seconds")
        except Exception:  # the client has left; `_read` notices too
            log.debug("an answer found nobody")

    # Answering

    async def _serve(self, request: protocol.Request) -> None:
        match request:
            case protocol.Step() | protocol.Act():
                await self._act(request)
            case protocol.Heat():
                await self._heat(request)
            case protocol.Mark():
                async with self._room.turn:
                    self._moment()
                    number = self._room.mark()
                await self._send(protocol.answer("marked", request.seq, mark=number))
            case protocol.Restore():
                await self._restore(request)
            case protocol.Look():
                async with self._room.turn:
                    await asyncio.sleep(self._room.steps.wait())  # it costs as much as a step
                    seen = await self._engine.compute(layer_of, self._moment().session)
                await self._send(protocol.answer("look", request.seq, **seen))

    def _moment(self) -> Moment:
        if self._room.now is None:
            raise InputError('no picture is open; send {"type": "open"} and a picture first.')
        return self._room.now

    async def _open(self, seq: int, data: bytes) -> None:
        if not self._room.opens.take():
            raise InputError(f"a client may open {self._limits.opens_per_minute:g} pictures a minute; wait a little.")
        player, compute = self._engine.player, self._engine.compute
        async with self._room.turn, compute.seldom:  # one at a time: a large picture takes much time and memory
            session, seen = await compute(opened, player, data, self._limits.picture_pixels)
        self._room.open(session)
        rest = player.default_rest if isinstance(player, LivePlayer) else AS_TRAINED
        height, width = session.canvas.size
        about = {
            "resolution": player.resolution,
            "size": [width, height],
            "poke_kind": player.poke_kind,
            "decoder": self._engine.decoder,
            "default_rest": {"stiffness": rest.stiffness, "momentum": rest.momentum},
            "limits": asdict(self._limits),
            **seen,
        }
        await self._send(protocol.answer("opened", seq, **about))

    async def _act(self, request: protocol.Step | protocol.Act) -> None:
        if len(request.actions) > self._limits.actions:
            raise InputError(f"{len(request.actions)} actions came with one step; {self._limits.actions} may.")
        pokes = sum(isinstance(action, protocol.PokeAction | protocol.BrushAction) for action in request.actions)
        if pokes and not self._room.pokes.take(pokes):
            raise InputError(f"a client may poke {self._limits.pokes_per_second:g} times a second; poke less often.")
        async with self._room.turn:
            await asyncio.sleep(self._room.steps.wait())
            moment, answer = await self._engine.compute(acted, self._moment(), request, self._limits.held)
            self._room.now = moment
        await self._send(answer)

    async def _restore(self, request: protocol.Restore) -> None:
        async with self._room.turn:
            self._moment()
            session = self._room.restore(request.mark).session
            if session.frame is None:
                answer: str | bytes = protocol.answer("restored", request.seq)
            else:
                pack = protocol.pack_frame
                answer = await self._engine.compute(pack, session.frame, request.seq, session.time, 0.0)
        await self._send(answer)

    async def _heat(self, request: protocol.Heat) -> None:
        session = self._moment().session
        canvas = session.canvas
        if not self._room.heats.take():
            raise InputError(
                f"a client may ask for {self._limits.heats_per_minute:g} heat maps a minute; wait a little."
            )
        poke = Poke(request.at, (0.0, 0.0))
        poking.check(poke, canvas.size[1], canvas.size[0], "the point")
        heat = heat_of(session, canvas.modelled(poke).location)
        async with self._engine.compute.one_heat:
            while not heat.done:
                async with self._room.turn:  # steps may run between two slices
                    await self._engine.compute(heat.slice)
            values = await self._engine.compute(heat.map)
        await self._send(protocol.answer("heat", request.seq), protocol.pack_halves(torch.from_numpy(values)))


# Work done in a thread


def opened(player: Player, data: bytes, max_pixels: int) -> tuple[Session, dict[str, Any]]:
    """A session on the bytes of a picture file, and extra facts that a client needs to show its frames.

    Raises:
        InputError: if the bytes are no picture of an accepted kind.
    """
    session = Session(player, decoded(data, max_pixels), history=0, record=False)
    return session, layer_of(session)


def layer_of(session: Session) -> dict[str, Any]:
    """Of a model that moves only the object's layer, that layer's mask in x_0; of any other what strokes let move."""
    mask = session.fork().advance().mask if isinstance(session.player, TouchPlayer) else None
    if mask is not None:
        return {"kind": "touch", "mask": protocol.halves_text(mask[0, 0])}
    return {} if session.moves is None else {"moves": protocol.halves_text(session.moves[0, 0])}


def decoded(data: bytes, max_pixels: int) -> UInt8[np.ndarray, "h w 3"]:
    """Decodes a picture; its kind and size are checked first."""
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            width, height = image.size
    except Exception:  # Pillow's readers raise nearly anything on a damaged file
        raise InputError("the picture is damaged or of a kind that is not taken; send PNG, JPEG or WebP.") from None
    if width * height > max_pixels:
        raise InputError(f"the picture has {width} x {height} pixels; the limit is {max_pixels}, so shrink it first.")
    return read_picture(data)


def acted(moment: Moment, request: protocol.Step | protocol.Act, max_held: int) -> tuple[Moment, str | bytes]:
    """Does the actions, and one step if that is asked for; returns the moment after it, and the answer to send.

    Raises:
        InputError: if an action cannot be done, or the model answers with numbers that are not finite.
    """
    began = time.perf_counter()
    session, pointers = moment.session.fork(), dict(moment.pointers)
    for number, action in enumerate(request.actions):
        try:
            apply(protocol.action_of(action, session.time), session, pointers)
        except InputError as error:
            raise InputError(f"actions.{number}: {error}") from None
    if len(pointers) > max_held:
        raise InputError(f"{len(pointers)} pokes would be held at once; {max_held} may be, so release some.")
    if isinstance(request, protocol.Act):
        return Moment(session, pointers), protocol.answer("acted", request.seq)
    frame = session.advance()
    took = 1000 * (time.perf_counter() - began)
    return Moment(session, pointers), protocol.pack_frame(frame, request.seq, session.time, took)
