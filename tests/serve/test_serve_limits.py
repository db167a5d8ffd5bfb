"""The server's limits: on requests, sessions, memory and time."""

import contextlib
import mmap
import platform
import subprocess
import sys
import time

import pytest
from alone import run_alone
from small_server import Clock, poke, serve
from websockets.exceptions import ConnectionClosed

from poke2vid.serve import app as serving
from poke2vid.serve.rooms import Bucket, Limits, Room, Rooms
from poke2vid.types import InputError

# Limits


def test_a_client_that_asks_too_much_at_once_is_told() -> None:
    with serve(limits=Limits(in_flight=2), workers=1) as server, server.client() as client:
        client.open()
        asked = [client.send("heat", at=[5, 5]) for _ in range(3)]
        answer = client.receive()
        assert answer["type"] == "error" and answer["seq"] == asked[2] and "2 requests wait" in answer["message"]


def test_too_many_actions_pokes_and_held_points_are_refused() -> None:
    limits = Limits(actions=3, held=2, pokes_per_second=5)
    clock = Clock()
    with serve(limits=limits, clock=clock) as server, server.client() as client:
        client.open()
        assert "4 actions" in client.ask("step", actions=[poke(5, 5)] * 4)["message"]
        assert (
            "3 pokes would be held" in client.ask("step", actions=[poke(5, 5, pointer=p) for p in range(3)])["message"]
        )
        client.step(poke(5, 5), poke(5, 5))
        assert "5 times a second" in client.ask("step", actions=[poke(5, 5)])["message"]
        clock.now += 0.3
        client.step(poke(5, 5))


def test_too_many_pictures_are_refused() -> None:
    clock = Clock()
    with serve(limits=Limits(opens_per_minute=8), clock=clock) as server, server.client() as client:
        assert [client.open()["type"] for _ in range(3)] == ["opened", "opened", "error"]
        clock.now += 8
        assert client.open()["type"] == "opened"


def test_too_many_heat_maps_are_refused() -> None:
    clock = Clock()
    with serve(limits=Limits(heats_per_minute=4), clock=clock) as server, server.client() as client:
        client.open()
        assert client.ask("heat", at=[5, 5])["type"] == "heat"
        client.receive()
        assert "4 heat maps a minute" in client.ask("heat", at=[5, 5])["message"]
        clock.now += 16
        assert client.ask("heat", at=[5, 5])["type"] == "heat"


@pytest.mark.parametrize("message", ["x" * 70_000, bytes(300_000), "é" * 40_000])
def test_a_message_that_is_too_large_ends_the_connection(message: str | bytes) -> None:
    with serve(limits=Limits(picture_bytes=200_000)) as server, server.client() as client:
        client.open()
        client.socket.send(message)
        assert client.closed()[0] == 1009
        server.until(0)


def test_the_server_can_be_full() -> None:
    with serve(limits=Limits(sessions=2)) as server:
        with server.client() as first, server.client() as second, server.client() as third:
            first.open()
            second.open()
            assert third.closed() == (1013, "the server is full, try again later")
        server.until(0)
        with server.client() as again:
            assert again.open()["type"] == "opened"


def test_one_address_cannot_take_all_sessions_unless_it_is_this_machine_where_a_proxy_may_speak_for_many() -> None:
    async def entered(addresses: list[str]) -> list[bool]:
        rooms = Rooms(Limits(sessions=5, sessions_per_address=2))
        found = [rooms.enter(address) for address in addresses]
        first = found[0]
        assert isinstance(first, Room)
        rooms.leave(first)
        again = rooms.enter(addresses[0])
        assert isinstance(again, Room)
        reasons = {one for one in found if isinstance(one, str)}
        assert all("2 sessions are open from your address" in reason for reason in reasons)
        return [isinstance(one, Room) for one in found]

    stranger, mapped, other = "203.0.113.7", "::ffff:203.0.113.7", "203.0.113.8"
    assert run_alone(entered([stranger, mapped, stranger, mapped, other])) == [True, True, False, False, True]
    home = [f"2001:db8::{k}" for k in range(3)]
    assert run_alone(entered([*home, "2001:db8:0:1::1"])) == [True, True, False, True]
    assert run_alone(entered([f"fe80::{k}%eth0" for k in range(4)])) == [True] * 4  # neighbours on one wire
    assert run_alone(entered([f"64:ff9b::203.0.113.{k}" for k in range(4)])) == [True] * 4
    for own in ("127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", ""):
        assert run_alone(entered([own] * 4)) == [True] * 4


@pytest.mark.skipif(not platform.libc_ver()[0].startswith("glibc"), reason="needs glibc")
def test_memory_that_is_free_goes_back_to_the_system_from_below_what_is_in_use() -> None:
    code = """
from pathlib import Path
from poke2vid.serve.memory import give_back, share_one_pool
resident = lambda: int(Path("/proc/self/statm").read_text().split()[1])
share_one_pool()
blocks = [b"x" * 2**16 for _ in range(2000)]
last = blocks[-1]
del blocks
before = resident()
give_back()
print(before - resident())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) * mmap.PAGESIZE > 100e6


def test_who_talks_nonsense_without_end_is_shown_out() -> None:
    with serve() as server, server.client() as client:
        for _ in range(80):
            with contextlib.suppress(ConnectionClosed):
                client.socket.send("nonsense")
        assert client.closed() == (1008, "too many messages that cannot be understood")


def test_sessions_that_are_left_alone_expire(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "EXPIRY_SECONDS", 0.01)
    clock = Clock()
    with serve(limits=Limits(idle_seconds=300, open_seconds=10), clock=clock) as server:
        with server.client() as client, server.client() as silent:
            client.open()
            server.until(2)
            clock.now += 11
            assert silent.closed()[0] == 1008
            clock.now += 280
            assert client.step().time == 1
            clock.now += 299
            assert client.step().time == 2
            clock.now += 301
            code, reason = client.closed()
            assert code == 1008 and "300 seconds" in reason
        server.until(0)


def test_a_bucket_gives_what_it_gets() -> None:
    clock = Clock()
    bucket = Bucket(10, 5, clock)
    assert [bucket.take() for _ in range(6)] == [True] * 5 + [False]
    clock.now += 0.25
    assert bucket.take(2) and not bucket.take()
    clock.now += 1000
    assert bucket.take(5) and not bucket.take()
    assert [round(bucket.wait(), 6) for _ in range(3)] == [0.1, 0.2, 0.3]  # on credit, each after the one before


def test_steps_are_paced_and_not_refused() -> None:
    with serve(limits=Limits(steps_per_second=40)) as server, server.client() as client:
        client.open()
        began = time.monotonic()
        assert [client.step().time for _ in range(20)] == list(range(1, 21))
        assert time.monotonic() - began > 0.2  # ten are saved up, ten take a quarter of a second


def test_messages_are_read_no_faster_than_they_may_come() -> None:
    with serve(limits=Limits(messages_per_second=40)) as server, server.client() as client:
        client.open()
        began = time.monotonic()
        assert [client.ask("mark")["mark"] for _ in range(50)] == list(range(1, 51))
        assert time.monotonic() - began > 0.25


def test_limits_are_above_nothing() -> None:
    with pytest.raises(InputError, match="sessions is 0"):
        Limits(sessions=0)
