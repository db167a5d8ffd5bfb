"""Uvicorn's HTTP and WebSocket protocols, made safe against clients that send without end and read nothing."""

import asyncio
import logging
import time

from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame

from poke2vid.serve.conversation import ABORT
from poke2vid.serve.rooms import Bucket

REQUEST_SECONDS = 20.0  # for a request's headers to arrive
MAX_FRAGMENTS = 4096  # of one message: each costs memory, even an empty one
READ_BYTES = 4096  # at once; asyncio's 256 KiB hold 40000 empty frames, and everyone waits while they are parsed
CONTROLS_PER_SECOND, CONTROLS_SAVED = 20, 200  # pings and pongs of one client; libraries send one in 20 seconds
MAX_LATE = 64  # messages read and thrown away between our close and the client's
MAX_UNSENT = 4 * 2**20  # bytes that may wait to be sent to a client, pongs included


def _silent() -> logging.Logger:
    """A muted logger: uvicorn logs tracebacks that any client can provoke; our own code logs our own faults."""
    logger = logging.getLogger("poke2vid.serve.transport")
    logger.setLevel(logging.CRITICAL + 1)
    return logger


class SafeWebSocket(WebSocketsSansIOProtocol):
    """Ends a connection that piles up fragments, pings or unsent answers, and lets the application end it at once."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.logger = _silent()
        self._fragments = self._late = 0
        self._controls = Bucket(CONTROLS_PER_SECOND, CONTROLS_SAVED, time.monotonic)
        super().connection_made(transport)

    def handle_ping(self) -> None:
        if self._affordable():
            super().handle_ping()

    def handle_pong(self, event: Frame) -> None:
        if self._affordable():
            super().handle_pong(event)

    def _affordable(self) -> bool:
        """Tells if one more ping or pong may be handled; aborts the connection if there were too many."""
        if self.transport.is_closing():
            return False
        allowed = self._controls.take()
        if not allowed:
            self.transport.abort()
        return allowed

    def handle_connect(self, event) -> None:  # type: ignore[no-untyped-def]
        super().handle_connect(event)
        if hasattr(self, "scope"):  # the task that reads it has not begun yet
            self.scope[ABORT] = self.transport.abort  # type: ignore[literal-required]

    def handle_cont(self, event: Frame) -> None:
        self._fragments = 0 if event.fin else self._fragments + 1
        if self._fragments > MAX_FRAGMENTS:
            self.transport.abort()
        elif not self.transport.is_closing():
            super().handle_cont(event)

    def send_receive_event_to_app(self) -> None:
        self._late += self.close_sent
        if self._late > MAX_LATE:
            self.transport.abort()
        elif not self.transport.is_closing():
            super().send_receive_event_to_app()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.transport.get_write_buffer_size() > MAX_UNSENT:
            self.transport.abort()


class PatientHttp(H11Protocol):
    """Closes a connection whose request does not arrive in time."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        transport.max_size = READ_BYTES  # type: ignore[attr-defined]  # also for a WebSocket upgraded from it
        super().connection_made(transport)
        self._seen = self.cycle
        self._timer = self.loop.call_later(REQUEST_SECONDS, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        self._timer.cancel()
        super().connection_lost(exc)

    def _look(self) -> None:
        """Aborts the connection unless a request's headers came since the last look, or one is being answered."""
        if self.transport.get_protocol() is not self or self.transport.is_closing():
            return
        busy = self.cycle is not None and not self.cycle.response_complete
        if not busy and self.cycle is self._seen:
            self.transport.abort()
            return
        self._seen = self.cycle
        self._timer = self.loop.call_later(REQUEST_SECONDS, self._look)
