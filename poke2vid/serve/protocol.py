"""The WebSocket's protocol, version 1: requests as JSON, answers as JSON or packed fields; the server only answers.

A client may have a few requests in flight; `seq` says which of them an answer belongs to. Locations are in pixels of
the picture that the client sent.
"""

import base64
import json
import struct
from typing import Annotated, Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from torch import Tensor

from poke2vid.files import fault_of
from poke2vid.live.action import Action
from poke2vid.live.brush import MAX_POINTS, Stroke
from poke2vid.media.pictures import to_uint8
from poke2vid.pokes import MAX_SHIFT
from poke2vid.types import MAX_MOMENTUM, Frame, InputError, Rest

VERSION = 1
HEADER = struct.Struct("<BBHIIf")  # version, flags, resolution, seq, time, milliseconds of the step
FLOW, REPAINT, X_HAT = 1, 2, 4
_HALF = float(np.finfo(np.float16).max)  # larger values would arrive as infinite
_MAX_SEQ, _MAX_POINTER = 2**32 - 1, 2**53  # limits of the header's field; of JavaScript's integers

Number = Annotated[float, Field(ge=-MAX_SHIFT, le=MAX_SHIFT, allow_inf_nan=False)]
Pixels = tuple[Number, Number]
Pointer = Annotated[int, Field(ge=-_MAX_POINTER, le=_MAX_POINTER)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class PokeAction(_Strict):
    """A touch: a shift is held until its pointer lets go or pokes again, an impulse lasts one step."""

    type: Literal["poke"]
    pointer: Pointer = 0
    at: Pixels
    shift: Pixels
    kind: Literal["shift", "impulse"] = "shift"


class DragAction(_Strict):
    """A new target for the grabbed point: `to`, which may lie outside the picture."""

    type: Literal["drag"]
    pointer: Pointer = 0
    to: Pixels


class ReleaseAction(_Strict):
    """The pointer lets go."""

    type: Literal["release"]
    pointer: Pointer = 0


class RestAction(_Strict):
    """The law of motion, from now on, for an object that nothing touches."""

    type: Literal["rest"]
    stiffness: float = Field(ge=0, le=1)
    momentum: float = Field(ge=0, le=MAX_MOMENTUM)
    anchored: bool = True


class BrushAction(_Strict):
    """A stroke on the picture as it was sent: what it covers stays still from now on, or may move."""

    type: Literal["brush"]
    path: Annotated[tuple[Pixels, ...], Field(min_length=1, max_length=MAX_POINTS)]
    radius: Annotated[float, Field(gt=0, le=MAX_SHIFT)]
    still: bool = True


AnyAction = Annotated[PokeAction | DragAction | ReleaseAction | RestAction | BrushAction, Field(discriminator="type")]


def action_of(sent: AnyAction, frame: int) -> Action:
    """A client's action, done before the frame after `frame` is predicted."""
    match sent:
        case PokeAction():
            return Action(frame, "poke", sent.pointer, sent.at, sent.shift, sent.kind)
        case DragAction():
            return Action(frame, "drag", sent.pointer, sent.to)
        case ReleaseAction():
            return Action(frame, "release", sent.pointer)
        case RestAction():
            return Action(frame, "rest", rest=Rest(sent.stiffness, sent.momentum, sent.anchored))
        case BrushAction():
            return Action(frame, "brush", stroke=Stroke(sent.path, sent.radius, sent.still))


class _Request(_Strict):
    seq: int = Field(ge=0, le=_MAX_SEQ)


class Open(_Request):
    """Opens a session on the picture in the binary frame that follows."""

    type: Literal["open"]


class Step(_Request):
    """Does all actions in order, then one step; if one action is impossible, nothing is done."""

    type: Literal["step"]
    actions: tuple[AnyAction, ...] = ()


class Act(_Request):
    """Does all actions in order, without a step: strokes of which one message cannot hold all."""

    type: Literal["act"]
    actions: tuple[AnyAction, ...]


class Mark(_Request):
    """Keeps this moment, for `Restore`."""

    type: Literal["mark"]


class Restore(_Request):
    """Goes back to a kept moment."""

    type: Literal["restore"]
    mark: int = Field(ge=0, le=_MAX_POINTER)


class Look(_Request):
    """Asks for what may move, which strokes of a brush have changed."""

    type: Literal["look"]


class Heat(_Request):
    """Asks for the map of what moves together with a point of the picture at rest."""

    type: Literal["heat"]
    at: Pixels


Request = Open | Step | Act | Mark | Restore | Look | Heat
_requests: TypeAdapter[Request] = TypeAdapter(Annotated[Request, Field(discriminator="type")])


class MessageError(InputError):
    """A message that breaks the protocol.

    Attributes:
        seq: of the request, if it could be read.
    """

    def __init__(self, message: str, seq: int | None = None) -> None:
        super().__init__(message)
        self.seq = seq


def read_request(text: str) -> Request:
    """Parses a client's text frame. Raises MessageError, which names the first wrong field."""
    try:
        return _requests.validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        what = fault_of({"loc": [str(part)[:40] for part in first["loc"][:8]], "msg": first["msg"][:160]})
        raise MessageError(f"the message cannot be understood ({what}).", _seq_of(text)) from None


class _Numbered(BaseModel):
    model_config = ConfigDict(strict=True)
    seq: int = Field(ge=0, le=_MAX_SEQ)


def _seq_of(text: str) -> int | None:
    try:
        return _Numbered.model_validate_json(text).seq
    except ValidationError:
        return None


def answer(type_: str, seq: int | None, **values: Any) -> str:
    """A text frame for the client."""
    return json.dumps({"type": type_, "seq": seq, **values}, ensure_ascii=False)


def error(seq: int | None, message: str, *, fatal: bool = False) -> str:
    """A text frame that says in one sentence what went wrong; after a fatal one the connection ends."""
    return answer("error", seq, message=message, fatal=fatal)


def pack_frame(frame: Frame, seq: int, time: int, step_ms: float) -> bytes:
    """Packs a predicted frame: its flow and repaint in half precision, or the picture itself if there is no flow.

    Raises:
        InputError: if it holds numbers that are not finite.
    """
    if frame.flow is None:
        _require_finite(frame.x_hat)
        levels = to_uint8(frame.x_hat[0].clamp(-1, 1))
        return _header(X_HAT, frame, seq, time, step_ms) + levels.tobytes()
    _require_finite(frame.flow)
    flags, body = FLOW, pack_halves(frame.flow[0])
    if frame.repaint is not None:
        _require_finite(frame.repaint)
        if bool(frame.repaint.any()):
            flags, body = flags | REPAINT, body + pack_halves(frame.repaint[0])
    return _header(flags, frame, seq, time, step_ms) + body


def pack_halves(values: Float[Tensor, "..."]) -> bytes:
    """Values as little-endian float16."""
    return values.float().clamp(-_HALF, _HALF).numpy(force=True).astype("<f2").tobytes()


def halves_text(values: Float[Tensor, "..."]) -> str:
    """The same as base64, for JSON."""
    return base64.b64encode(pack_halves(values)).decode()


def _header(flags: int, frame: Frame, seq: int, time: int, step_ms: float) -> bytes:
    return HEADER.pack(VERSION, flags, frame.x_hat.shape[-1], seq, time % 2**32, step_ms)


def _require_finite(values: Tensor) -> None:
    if not bool(torch.isfinite(values).all()):
        raise InputError(
            "the model's answer holds numbers that are not finite; poke less far, or open the picture again."
        )
