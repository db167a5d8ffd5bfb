"""What clients send that they should not: one sentence, or the end of their own connection, and nothing else."""

import contextlib
import json
import logging
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_server import PATIENCE, PNG, Pulled, Server, file_of, frame_of, model, picture, poke, raw, serve
from torch import Tensor

from poke2vid.serve.rooms import Limits
from poke2vid.types import Frame, State


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serve(limits=Limits(sessions=8, steps_per_second=1e6, opens_per_minute=1e6)) as one:
        yield one


# What clients do wrong


WRONG = [
    ("nonsense", "cannot be understood"),
    ("", "cannot be understood"),
    ("[" * 5000, "cannot be understood"),
    ('{"type": "step"}', "seq"),
    ('{"type": "fly", "seq": 1}', "fly"),
    ('{"type": "step", "seq": -1}', "seq"),
    ('{"type": "step", "seq": 4294967296}', "seq"),
    ('{"type": "step", "seq": "1"}', "seq"),
    ('{"type": "step", "seq": 1, "more": 2}', "more"),
    ('{"type": "step", "seq": 1, "actions": [{"type": "poke", "at": [1], "shift": [0, 0]}]}', "actions.0"),
    ('{"type": "step", "seq": 1, "actions": [{"type": "poke", "at": [1, 1e999], "shift": [0, 0]}]}', "actions.0"),
    ('{"type": "step", "seq": 1, "actions": [{"type": "poke", "at": [1, NaN], "shift": [0, 0]}]}', "actions.0"),
    ('{"type": "step", "seq": 1, "actions": [{"type": "rest", "stiffness": 2, "momentum": 0}]}', "stiffness"),
    ('{"type": "step", "seq": 1, "actions": [{"type": "poke", "at": [99, 1], "shift": [0, 0]}]}', "outside"),
    ('{"type": "step", "seq": 1, "actions": [{"type": "release", "pointer": 5}]}', "pointer 5 holds nothing"),
    ('{"type": "step", "seq": 1, "actions": [{"type": "drag", "pointer": 5, "to": [0, 0]}]}', "holds nothing"),
    ('{"type": "act", "seq": 1}', "actions"),
    ('{"type": "act", "seq": 1, "actions": [{"type": "drag", "pointer": 5, "to": [0, 0]}]}', "holds nothing"),
    ('{"type": "heat", "seq": 1, "at": [-5, 1]}', "outside"),
    ('{"type": "restore", "seq": 1, "mark": 3}', "not kept"),
    (b"picture", "announced"),
]


@pytest.mark.parametrize(("message", "named"), WRONG)
def test_every_wrong_message_is_answered_with_one_sentence_and_the_session_lives_on(
    server: Server, message: str | bytes, named: str
) -> None:
    with server.client() as client:
        client.open()
        before = client.step()
        client.socket.send(message)
        answer = client.receive()
        assert answer["type"] == "error" and answer["fatal"] is False
        assert named in answer["message"] and answer["message"].endswith(".") and len(answer["message"]) < 400
        assert client.step().time == before.time + 1


def test_when_one_action_cannot_be_done_none_is(server: Server) -> None:
    with server.client() as client, server.client() as other:
        client.open()
        other.open()
        assert client.ask("step", actions=[poke(20, 20), {"type": "release", "pointer": 9}])["type"] == "error"
        np.testing.assert_array_equal(client.step().flow, other.step().flow)


def test_what_is_done_without_a_step_shows_in_the_next_one(server: Server) -> None:
    stroke = {"type": "brush", "path": [[4, 4], [30, 20]], "radius": 9, "still": True}
    with server.client() as client, server.client() as other:
        client.open()
        other.open()
        assert client.ask("act", actions=[stroke])["type"] == "acted"
        refused = client.ask("act", actions=[{**stroke, "still": False}, {"type": "release", "pointer": 9}])
        assert refused["type"] == "error"
        ours, theirs = client.step(poke(20, 20)), other.step(stroke, poke(20, 20))
        assert ours.time == theirs.time == 1
        np.testing.assert_array_equal(ours.flow, theirs.flow)
        looked = client.ask("look")
        assert looked["type"] == "look" and looked["moves"] == other.ask("look")["moves"]


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (b"", "damaged"),
        (b"GIF89a", "damaged"),
        (file_of(picture(), "GIF"), "kind that is not taken"),
        (PNG[:200], "damaged"),
        (file_of(np.zeros((300, 300, 3), np.uint8)), "the limit is 65536"),
    ],
)
def test_what_is_no_picture_is_refused_and_the_one_before_stays(data: bytes, named: str) -> None:
    with serve(limits=Limits(picture_pixels=65536)) as server, server.client() as client:
        client.open()
        client.step()
        answer = client.open(data)
        assert answer["type"] == "error" and answer["seq"] == client.seq and named in answer["message"]
        assert client.step().time == 2


def test_nothing_can_be_done_without_a_picture(server: Server) -> None:
    with server.client() as client:
        for type_, more in (("step", {}), ("mark", {}), ("restore", {"mark": 1}), ("heat", {"at": [1, 1]})):
            answer = client.ask(type_, **more)
            assert answer["type"] == "error" and "no picture is open" in answer["message"]
        asked = client.send("open")
        following = client.send("step")
        assert [client.receive()["seq"] for _ in range(2)] == [asked, following]  # each has its answer


def test_an_impulse_model_takes_no_shifts() -> None:
    with serve(model(poke_kind="impulse")) as server, server.client() as client:
        assert client.open()["poke_kind"] == "impulse"
        assert "impulse" in client.ask("step", actions=[poke(5, 5)])["message"]
        client.step(poke(5, 5, kind="impulse"))


class Blind(Pulled):
    """Sees nothing but what is no number."""

    def step(self, state: State, phi: Tensor | None) -> tuple[State, Frame]:
        state, frame = super().step(state, phi)
        return state, Frame(frame.x_hat, frame.flow * torch.nan, frame.repaint)


def test_numbers_that_are_none_are_not_sent() -> None:
    with serve(Blind()) as server, server.client() as client:
        client.open()
        assert "not finite" in client.ask("step", actions=[])["message"]


class Broken(Pulled):
    """Has a fault of ours."""

    def step(self, state: State, phi: Tensor | None) -> tuple[State, Frame]:
        raise RuntimeError("a fault")


def test_a_fault_of_ours_ends_one_connection_and_tells_nothing_of_it(caplog: pytest.LogCaptureFixture) -> None:
    with serve(Broken()) as server, server.client() as client, caplog.at_level(logging.ERROR):
        client.open()
        client.send("step")
        code, reason = client.closed()
        assert code == 1011 and "fault" not in reason
        with server.client() as other:
            other.open()
    assert "a fault" in caplog.text  # for us


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


REQUEST = st.fixed_dictionaries(
    {"type": st.sampled_from(["open", "step", "mark", "restore", "heat", "x"]), "seq": st.integers(-1, 2**33) | JSON},
    optional={
        "at": st.lists(st.floats(), min_size=2, max_size=2) | JSON,
        "mark": st.integers() | JSON,
        "actions": JSON
        | st.lists(
            st.fixed_dictionaries(
                {"type": st.sampled_from(["poke", "drag", "release", "rest"])},
                optional={
                    "pointer": st.integers(-3, 3) | JSON,
                    "at": st.lists(st.floats(-10, 70), min_size=2, max_size=2) | JSON,
                    "shift": st.lists(st.floats(-1e7, 1e7), min_size=2, max_size=2) | JSON,
                    "to": st.lists(st.floats(-1e7, 1e7), min_size=2, max_size=2) | JSON,
                    "stiffness": st.floats() | JSON,
                    "momentum": st.floats() | JSON,
                },
            ),
            max_size=5,
        ),
    },
)


MESSAGES = st.lists(st.binary(max_size=60) | st.text(max_size=60) | REQUEST.map(json.dumps) | st.just(PNG), max_size=12)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(messages=MESSAGES, opened=st.booleans())
def test_whatever_is_sent_the_server_lives_and_writes_no_traceback(
    server: Server, caplog: pytest.LogCaptureFixture, messages: list[str | bytes], opened: bool
) -> None:
    caplog.clear()
    with caplog.at_level(logging.ERROR), server.client() as client:
        if opened:
            client.open()
        for message in messages:
            try:
                client.socket.send(message)
            except UnicodeEncodeError:  # a lone surrogate, which the client's library refuses
                continue
        with contextlib.suppress(TimeoutError):
            while True:
                got = client.socket.recv(timeout=0.02)
                if isinstance(got, str):
                    assert json.loads(got)["type"] in ("error", "opened", "marked", "restored", "heat")
    with server.client() as client:
        assert client.open()["type"] == "opened"
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


@pytest.mark.parametrize(
    "data",
    [
        frame_of(1, b"\xff\xfe"),  # no UTF-8
        frame_of(3, b"x"),  # no such opcode
        frame_of(1, b"x")[:-1] + b"\x00" * 40,
        b"\x81\x05hello",  # not masked
        frame_of(9, bytes(200)),  # a ping too long
        frame_of(0, b"x"),  # goes on from nothing
        b"\x81\xff" + b"\xff" * 8,  # of length 2^64 - 1
    ],
)
def test_what_is_no_websocket_frame_ends_only_its_own_connection(
    server: Server, caplog: pytest.LogCaptureFixture, data: bytes
) -> None:
    with caplog.at_level(logging.ERROR), raw(server) as made:
        made.sendall(data)
        made.settimeout(PATIENCE)
        while made.recv(4096):
            pass
    server.until(0)
    assert caplog.records == []
