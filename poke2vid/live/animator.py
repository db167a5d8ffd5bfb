"""A loaded model that opens live sessions and animates pictures."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from poke2vid.geometry import transform
from poke2vid.live.canvas import MAX_SIDE
from poke2vid.live.session import Session
from poke2vid.media.pictures import read_picture
from poke2vid.model.files import load_player
from poke2vid.model.subject import with_subject
from poke2vid.types import InputError, Player, Poke, Rest, State

PictureSource = str | Path | bytes | Image.Image | np.ndarray
DEFAULT_FRAMES = 25


@dataclass(frozen=True)
class Animation:
    """Result of `animate`.

    Attributes:
        frames: the picture as shown, then every predicted frame.
        state: the object's at the end; a session whose `state` is set to it goes on from there.
        pokes: those at the start, in pixels of `frames`; for drawing and measuring.
    """

    frames: UInt8[np.ndarray, "t h w 3"]
    state: State
    pokes: tuple[Poke, ...]


class Animator:
    """A loaded model (`player`) that opens sessions and animates pictures; `about` is the header of its file."""

    def __init__(self, player: Player, about: dict[str, Any] | None = None) -> None:
        self.player, self.about = player, about or {}

    def open(self, image: PictureSource, *, max_side: int = MAX_SIDE, rest: Rest | None = None) -> Session:
        """A session on a picture: a path, the bytes of a picture file, a Pillow image or a uint8 array `h w 3`."""
        return Session(self.player, read_picture(image), max_side=max_side, rest=rest)

    def resume(self, path: str | Path) -> Session:
        """A session that `Session.save` wrote."""
        return Session.load(path, self.player)

    def animate(
        self, image: PictureSource, pokes: Sequence[Poke], frames: int = DEFAULT_FRAMES, *, max_side: int = MAX_SIDE
    ) -> Animation:
        """Pokes a picture at its first frame; shifts are held to the end (Eq. 1), impulses last one step (Eq. 9).

        Raises:
            InputError: if the picture cannot be read, a poke misses it, or `frames` is not at least 1.
        """
        if frames < 1:
            raise InputError(f"{frames} frames were asked for; at least 1 must be.")
        session = self.open(image, max_side=max_side)
        for poke in pokes:
            session.poke(poke.location, poke.shift, poke.kind)
        pictures = [session.canvas.picture, *(session.step() for _ in range(frames))]
        return Animation(np.stack(pictures), session.state, tuple(transform(p, session.canvas.to_shown) for p in pokes))


def load(path: str | Path | None = None, *, subject: str = "none", weights_dir: str | Path | None = None) -> Animator:
    """The model of a file, of a training run's folder, or (None) the one in the package, ready to be poked.

    With subject "auto" a saliency network helps to tell what the object is. Raises as `load_player` and `with_subject`."""
    loaded = load_player(None if path is None else Path(path))
    return Animator(with_subject(loaded.model, subject, weights_dir), loaded.about)
