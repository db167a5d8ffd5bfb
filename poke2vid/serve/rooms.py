"""Admission to the server: limits for clients, sessions that expire, and a fair share of the processor."""

import asyncio
import ipaddress
import itertools
import os
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import torch

from poke2vid.live.session import Session
from poke2vid.types import InputError

_T = TypeVar("_T")
Clock = Callable[[], float]
NAT64 = ipaddress.ip_network("64:ff9b::/96")  # IPv4 addresses as an IPv6-only network sees them


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits on what clients may ask of the server.

    Attributes:
        sessions: at once, over all clients.
        sessions_per_address: at once from one address (IPv6: from one /64); this machine itself
            may have all, because a proxy connects from here.
        picture_bytes, picture_pixels: of a sent picture.
        text_bytes: of a JSON message.
        actions: in one step.
        held: pokes in force at once.
        messages_per_second: of any kind; more are read later.
        pokes_per_second: more are refused.
        steps_per_second: more are answered later.
        opens_per_minute: pictures; more are refused.
        heats_per_minute: heat maps; more are refused.
        marks, mark_bytes: number of kept moments, and their memory; the oldest are dropped.
        in_flight: requests without an answer yet.
        open_seconds: time for a new connection to open a picture.
        idle_seconds: time after which a connection that asks for nothing is closed.
        send_seconds: time for a client to take an answer.
    """

    sessions: int = 16
    sessions_per_address: int = 8
    picture_bytes: int = 16 * 2**20
    picture_pixels: int = 16 * 2**20
    text_bytes: int = 64 * 2**10
    actions: int = 64
    held: int = 64
    messages_per_second: float = 500.0
    pokes_per_second: float = 100.0
    steps_per_second: float = 120.0
    opens_per_minute: float = 60.0
    heats_per_minute: float = 30.0
    marks: int = 64
    mark_bytes: int = 64 * 2**20
    in_flight: int = 2
    open_seconds: float = 10.0
    idle_seconds: float = 300.0
    send_seconds: float = 10.0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not value > 0:
                raise InputError(f"the limit {name} is {value}; it must be above 0.")


class Bucket:
    """A token bucket: so many tokens a second; unused ones are saved up for one burst.

    Attributes:
        rate: tokens a second.
    """

    def __init__(self, rate: float, burst: float, clock: Clock) -> None:
        self.rate, self._burst, self._clock = rate, max(burst, 1.0), clock
        self._tokens, self._then = self._burst, clock()

    def take(self, count: int = 1) -> bool:
        """Takes tokens if there are enough; else takes none and returns False."""
        self._fill()
        if count > self._tokens:
            return False
        self._tokens -= count
        return True

    def wait(self) -> float:
        """Takes one token, on credit if need be; returns the seconds until it is due."""
        self._fill()
        self._tokens -= 1
        return max(0.0, -self._tokens / self.rate)

    def _fill(self) -> None:
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + (now - self._then) * self.rate)
        self._then = now


@dataclass(frozen=True)
class Moment:
    """A session that is never stepped itself (only its forks are), and the pokes that the client's pointers hold."""

    session: Session
    pointers: dict[int, int]

    @property
    def size(self) -> int:
        """Bytes of memory that only this moment uses; what never changes within a session is shared."""
        state, frame = self.session.state, self.session.frame
        shown = () if frame is None else (frame.x_hat, frame.flow, frame.repaint, frame.mask)
        own = (*state.sigma, *state.velocity, *(tensor for tensor in shown if tensor is not None))
        return sum(tensor.nbytes for tensor in own)


class Room:
    """State of one connection on the server: its session, kept moments and budgets.

    Attributes:
        now: the current moment; None before a picture is opened.
        turn: lock held while computing for this room, so that it waits in line at most once.
        ended: a close code and a reason, set when the connection must end.
    """

    def __init__(self, limits: Limits, clock: Clock) -> None:
        self.limits, self._clock = limits, clock
        self.now: Moment | None = None
        self.turn = asyncio.Lock()
        self.ended: asyncio.Future[tuple[int, str]] = asyncio.get_running_loop().create_future()
        self.messages = Bucket(limits.messages_per_second, limits.messages_per_second, clock)
        self.pokes = Bucket(limits.pokes_per_second, limits.pokes_per_second, clock)
        self.steps = Bucket(limits.steps_per_second, limits.steps_per_second / 4, clock)
        self.opens = Bucket(limits.opens_per_minute / 60, limits.opens_per_minute / 4, clock)
        self.heats = Bucket(limits.heats_per_minute / 60, limits.heats_per_minute / 4, clock)
        self.offences = Bucket(5, 50, clock)
        self._marks: OrderedDict[int, Moment] = OrderedDict()
        self._numbers = itertools.count(1)
        self._entered = self._used = clock()
        self._opened = False

    def use(self) -> None:
        """Notes that the client has asked for something."""
        self._used = self._clock()

    def open(self, session: Session) -> None:
        """Starts with another picture; forgets everything about the last one."""
        self.now, self._opened = Moment(session, {}), True
        self._marks.clear()

    def mark(self) -> int:
        """Keeps this moment; returns its number."""
        assert self.now is not None
        number = next(self._numbers)
        self._marks[number] = self.now
        fitting = self.limits.mark_bytes // max(self.now.size, 1)  # all moments of a picture have one size
        while len(self._marks) > max(1, min(self.limits.marks, fitting)):
            self._marks.popitem(last=False)
        return number

    def restore(self, number: int) -> Moment:
        """Goes back to a kept moment."""
        moment = self._marks.get(number)
        if moment is None:
            raise InputError(f"the moment {number} is not kept; only the last marks are, {self.limits.marks} at most.")
        self.now = moment
        return moment

    def end(self, code: int, reason: str) -> None:
        """Asks the connection to end; the first reason counts."""
        if not self.ended.done():
            self.ended.set_result((code, reason))

    def expire(self) -> None:
        """Ends the connection if it has asked for nothing for too long."""
        now = self._clock()
        if not self._opened and now - self._entered > self.limits.open_seconds:
            self.end(1008, f"no picture was opened within {self.limits.open_seconds:g} seconds")
        elif now - self._used > self.limits.idle_seconds:
            self.end(1008, f"nothing was asked for in {self.limits.idle_seconds:g} seconds; open the picture again")


class Rooms:
    """All open connections.

    Attributes:
        limits: the same for each of them.
    """

    def __init__(self, limits: Limits, clock: Clock = time.monotonic) -> None:
        self.limits, self._clock = limits, clock
        self._rooms: dict[Room, str] = {}

    def __len__(self) -> int:
        return len(self._rooms)

    def enter(self, address: str) -> Room | str:
        """A new room for a client's address, or the reason why there is none."""
        if len(self._rooms) >= self.limits.sessions:
            return "the server is full, try again later"
        place = place_of(address)
        taken = sum(other == place for other in self._rooms.values())
        if place and taken >= self.limits.sessions_per_address:
            return f"{taken} sessions are open from your address, and that is all it may have; close one"
        room = Room(self.limits, self._clock)
        self._rooms[room] = place
        return room

    def leave(self, room: Room) -> None:
        self._rooms.pop(room, None)

    def expire(self) -> None:
        """Ends all connections that were idle for too long."""
        for room in self._rooms:
            room.expire()


def place_of(address: str) -> str:
    """Owner of an address: the address itself, of IPv6 the half (/64) that a household is given; "" on this machine."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:  # a socket without an address
        return address
    plain = getattr(found, "ipv4_mapped", None) or found
    if plain in NAT64:
        plain = ipaddress.IPv4Address(int(plain) & 0xFFFFFFFF)
    if plain.is_loopback:
        return ""
    if plain.version == 4 or plain.is_link_local:
        return str(plain)
    return str(ipaddress.ip_network((int(plain), 64), strict=False))


class Compute:
    """A pool of threads that compute for all clients, first come, first served.

    A room waits in line at most once (`Room.turn`), so every client gets the same share however much it asks for. Long
    work is cut into slices; of work that cannot be cut (`seldom`) or takes long (`one_heat`), one is done at a time.
    """

    def __init__(self, workers: int | None = None) -> None:
        self.workers = workers or len(os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else [0, 1])
        # One thread a step: more would wait for each other, and there are enough steps to keep every core busy.
        self._pool = ThreadPoolExecutor(self.workers, "compute", initializer=torch.set_num_threads, initargs=(1,))
        self.seldom = asyncio.Lock()
        self.one_heat = asyncio.Lock()

    async def __call__(self, function: Callable[..., _T], *args: Any) -> _T:
        """Runs a function in one of the threads."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, function, *args)

    def close(self) -> None:
        """Drops waiting work; running work ends by itself."""
        self._pool.shutdown(wait=False, cancel_futures=True)
