"""Players that a benchmark asks to play a poke on a picture: models, and two reference players that need no truth."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol, get_args, runtime_checkable

import cv2
import numpy as np
import torch
from jaxtyping import UInt8

from poke2vid.files import digest_of
from poke2vid.live.canvas import resize
from poke2vid.live.law_of_rest import live
from poke2vid.live.session import Animator, load
from poke2vid.pokebench.records import PokeRecord, PokeRole
from poke2vid.types import Frame, InputError, LivePlayer, TouchPlayer

ALL_ROLES: frozenset[PokeRole] = frozenset(get_args(PokeRole))
SHIFT_ROLES: frozenset[PokeRole] = ALL_ROLES - {"impulse"}
IMPULSE_ROLES: frozenset[PokeRole] = frozenset({"impulse", "none"})
REFERENCES = ("shift-patch", "copy", "oracle", "exact")  # rows that every report has; no player may take their names
PATCH_SIGMA = 0.1  # of the side: below 15 % / sqrt(e), so that the longest poke of PokeBench folds nothing


@runtime_checkable
class BenchPlayer(Protocol):
    """A player that can be scored.

    Attributes:
        digest: equal for players that play alike; results are reused by it.
        roles: kinds of pokes it can play; the columns of others stay empty.
    """

    @property
    def digest(self) -> str: ...
    @property
    def roles(self) -> frozenset[PokeRole]: ...

    def play(
        self, first: UInt8[np.ndarray, "h w 3"], poke: PokeRecord, frames: int
    ) -> UInt8[np.ndarray, "{frames} h w 3"]:
        """The frames 1 ... `frames` after a poke of `first`, at its size; lengths are in its pixels."""


class SessionPlayer:
    """A model, or anything else that a `Session` can drive; its frames have the picture's own size.

    Shifts are held from frame 0 to the end, also those of the background and of length 0; an impulse lasts one step. A
    model trained on shifts is not given impulses, and one trained on impulses no shifts, since it never learnt them.
    """

    def __init__(self, animator: Animator) -> None:
        self._animator = animator
        player = animator.player
        weights = player.state_dict() if isinstance(player, torch.nn.Module) else {}
        kind = f"{type(player).__module__}.{type(player).__qualname__}"
        lives = live(player)
        rest = asdict(lives.default_rest) if isinstance(lives, LivePlayer) else None
        self.digest = digest_of(weights, {"player": kind, "about": animator.about, "rest": rest})
        if isinstance(player, TouchPlayer):
            self.roles = ALL_ROLES
        else:
            self.roles = IMPULSE_ROLES if player.poke_kind == "impulse" else SHIFT_ROLES

    def play(
        self, first: UInt8[np.ndarray, "h w 3"], poke: PokeRecord, frames: int
    ) -> UInt8[np.ndarray, "{frames} h w 3"]:
        """Plays a poke; raises InputError if a frame of the model holds NaN or infinity."""
        height, width = first.shape[:2]
        session = self._animator.open(first, max_side=max(height, width))
        if poke.at is not None:
            session.poke(poke.at, poke.shift, "impulse" if poke.role == "impulse" else "shift")
        pictures = []
        for number in range(1, frames + 1):
            with np.errstate(invalid="ignore"):  # frames that are not finite are rejected below
                picture = session.step()
            _require_finite(session.frame, number)
            pictures.append(resize(picture, (height, width)))  # a model above the picture's size gives larger frames
        return np.stack(pictures)


def _require_finite(frame: Frame | None, number: int) -> None:
    assert frame is not None
    parts = (frame.x_hat, frame.flow, frame.repaint)
    if not all(bool(part.isfinite().all()) for part in parts if part is not None):
        raise InputError(f"frame {number} holds numbers that are not finite")


@dataclass(frozen=True)
class Copy:
    """The first frame, repeated: the score of doing nothing."""

    digest: str = "copy 1"
    roles: frozenset[PokeRole] = ALL_ROLES

    def play(
        self, first: UInt8[np.ndarray, "h w 3"], poke: PokeRecord, frames: int
    ) -> UInt8[np.ndarray, "{frames} h w 3"]:
        return np.repeat(first[None], frames, axis=0)


@dataclass(frozen=True)
class ShiftPatch:
    """Player that drags the pixels around the poke along: the score of obeying the poke without knowing of objects.

    At frame t the picture is warped so that the poked pixel lies at l + s(t) p and pixels farther away follow less: a
    pixel shows x_0 at its own place minus s(t) p times a Gaussian of its distance from l + s(t) p, with a sigma of
    `PATCH_SIGMA` of the side. Shifts have s(t) = min(t / T, 1), on the background too; impulses go out until T / 2 and
    back until T.

    Attributes:
        arrive: T, in frames.
    """

    arrive: int
    roles: frozenset[PokeRole] = ALL_ROLES

    @property
    def digest(self) -> str:
        return f"shift-patch 1, sigma {PATCH_SIGMA}, arrive {self.arrive}"

    def play(
        self, first: UInt8[np.ndarray, "h w 3"], poke: PokeRecord, frames: int
    ) -> UInt8[np.ndarray, "{frames} h w 3"]:
        return np.stack([self._warped(first, poke, self._share(poke, t)) for t in range(1, frames + 1)])

    def _share(self, poke: PokeRecord, t: int) -> float:
        gone = min(t / self.arrive, 1.0)
        return 1 - abs(2 * gone - 1) if poke.role == "impulse" else gone

    def _warped(self, first: UInt8[np.ndarray, "h w 3"], poke: PokeRecord, share: float) -> UInt8[np.ndarray, "h w 3"]:
        if poke.at is None or share == 0 or poke.shift == (0.0, 0.0):
            return first
        height, width = first.shape[:2]
        x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
        dx, dy = share * poke.shift[0], share * poke.shift[1]
        squared = (x - poke.at[0] - dx) ** 2 + (y - poke.at[1] - dy) ** 2
        weight = np.exp(-squared / (2 * (PATCH_SIGMA * max(height, width)) ** 2)).astype(np.float32)
        return cv2.remap(
            first,
            x - np.float32(dx) * weight,
            y - np.float32(dy) * weight,
            interpolation=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )


def load_players(names: Sequence[str]) -> dict[str, BenchPlayer]:
    """Loads players from paths of models or of training runs. References are skipped, since they always run.

    A player is named after its file or folder, or by its whole path if two names would be the same.

    Raises:
        InputError: if a path holds no model, or one is given twice.
    """
    paths = [name for name in names if name not in REFERENCES]
    short = [Path(path).stem if Path(path).suffix == ".safetensors" else Path(path).name for path in paths]
    players: dict[str, BenchPlayer] = {}
    for path, name in zip(paths, short, strict=True):
        unique = name if short.count(name) == 1 and name and name not in REFERENCES else path
        if unique in players:
            raise InputError(f"{path} was given twice; name every player once.")
        players[unique] = SessionPlayer(load(path))
    return players
