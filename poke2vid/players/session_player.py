"""Player for a model, or anything else that a live session can drive."""

from dataclasses import asdict

import numpy as np
import torch
from jaxtyping import UInt8

from poke2vid.files import digest_of
from poke2vid.live.animator import Animator
from poke2vid.live.canvas import resize
from poke2vid.live.law_of_rest import live
from poke2vid.players.player import ALL_KINDS
from poke2vid.types import InputError, LivePlayer, Poke, PokeKind, TouchPlayer

# Raised where the same weights, picture and poke make other frames, so that older measurements are not taken for theirs;
# 2: within reach (decision 028).
SESSION = 2


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
        self.digest = digest_of(weights, {"player": kind, "about": animator.about, "rest": rest, "session": SESSION})
        self.kinds: frozenset[PokeKind] = (
            ALL_KINDS if isinstance(player, TouchPlayer) else frozenset({player.poke_kind})
        )

    def play(
        self, first: UInt8[np.ndarray, "h w 3"], poke: Poke | None, frames: int
    ) -> UInt8[np.ndarray, "{frames} h w 3"]:
        """Plays a poke; raises InputError if a frame of the model holds NaN or infinity."""
        height, width = first.shape[:2]
        session = self._animator.open(first, max_side=max(height, width))
        if poke is not None:
            session.poke(poke.location, poke.shift, poke.kind)
        pictures = []
        for number in range(1, frames + 1):
            with np.errstate(invalid="ignore"):  # frames that are not finite are rejected below
                picture = session.step()
            frame = session.frame
            assert frame is not None
            if not all(part is None or part.isfinite().all() for part in (frame.x_hat, frame.flow, frame.repaint)):
                raise InputError(f"frame {number} holds numbers that are not finite")
            pictures.append(resize(picture, (height, width)))  # a model above the picture's size gives larger frames
        return np.stack(pictures)
