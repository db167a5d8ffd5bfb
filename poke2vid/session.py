"""A live session, the one way to run a model: poke, drag, hold, release, step."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

from poke2vid import pokes as poking
from poke2vid.canvas import MAX_SIDE, Canvas, Picture
from poke2vid.geometry import transform
from poke2vid.model.files import load_model
from poke2vid.pictures import read_picture
from poke2vid.types import Frame, InputError, Pair, Player, Poke, PokeKind, State

PictureSource = str | Path | bytes | Image.Image | np.ndarray
DEFAULT_FRAMES = 25


class Session:
    """One picture and what is being done to it. Locations and shifts are in pixels of the picture the user gave.

    Attributes:
        canvas: the picture on the model's canvas.
        state: where the object is in its motion.
        frame: the last predicted frame as the model made it; None before the first step.
        time: how many steps were taken.
    """

    def __init__(self, player: Player, picture: Picture, *, max_side: int = MAX_SIDE) -> None:
        self.player = player
        self.canvas = Canvas(picture, player.resolution, max_side)
        with torch.inference_mode():
            self.state: State = player.start(self.canvas.x_0)
        self.frame: Frame | None = None
        self.time = 0
        self._held: dict[int, Poke] = {}
        self._impulses: list[Poke] = []
        self._phi: Tensor | None = None
        self._phi_is_current = True
        self._next_pointer = 0

    @property
    def held(self) -> dict[int, Poke]:
        """The shift pokes that are in force, by pointer."""
        return dict(self._held)

    def poke(self, location: Pair, shift: Pair, kind: PokeKind = "shift") -> int:
        """Touches the picture as it is shown now; a shift is held until it is released, an impulse lasts one step.

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
        if kind == "impulse":
            self._impulses.append(poke)
        else:
            self._held[self._next_pointer] = poke
        self._phi_is_current = False
        self._next_pointer += 1
        return self._next_pointer - 1

    def drag(self, pointer: int, to: Pair) -> None:
        """Moves the target of a held poke: the point that was grabbed shall go to `to`, which may lie outside the picture."""
        poke = self._held.get(pointer)
        if poke is None:
            raise InputError(f"pointer {pointer} holds nothing; poke before you drag.")
        shift = (float(to[0]) - poke.location[0], float(to[1]) - poke.location[1])
        moved = Poke(poke.location, shift)
        self._check(moved)
        self._held[pointer] = moved
        self._phi_is_current = False

    def release(self, pointer: int | None = None) -> None:
        """Lets go of one pointer, or of all."""
        if pointer is None:
            self._held.clear()
        elif self._held.pop(pointer, None) is None:
            raise InputError(f"pointer {pointer} holds nothing; it was released before or never poked.")
        self._phi_is_current = False

    @torch.inference_mode()
    def step(self) -> Picture:
        """The next frame, at the shown size."""
        self.state, self.frame = self.player.step(self.state, self._interaction())
        self.time += 1
        if self._impulses:
            self._impulses.clear()
            self._phi_is_current = False
        return self.canvas.render(self.frame)

    def _check(self, poke: Poke) -> None:
        """In pixels of the user's picture, and in the model's, where a small picture makes a shift larger."""
        height, width = self.canvas.size
        poking.check(poke, width, height)
        poking.check(self.canvas.modelled(poke), self.player.resolution, self.player.resolution)

    def _interaction(self) -> Tensor | None:
        """phi of all that touches the object now; computed anew only when that changed."""
        if not self._phi_is_current:
            active = [self.canvas.modelled(poke) for poke in (*self._held.values(), *self._impulses)]
            poke_map = poking.rasterise(active, self.player.resolution)[None]
            self._phi = self.player.encode_poke(poke_map) if active else None
            self._phi_is_current = True
        return self._phi


@dataclass(frozen=True)
class Animation:
    """What came of a poke.

    Attributes:
        frames: the picture as shown, then every predicted frame.
        state: where the object was at the end; a session whose `state` is set to it goes on from there.
        pokes: what was done at the start, in pixels of `frames`; for drawing and measuring.
    """

    frames: UInt8[np.ndarray, "t h w 3"]
    state: State
    pokes: tuple[Poke, ...]


class Animator:
    """A loaded model and what a person does with it.

    Attributes:
        player: the model.
        about: its file's account of itself: config, training step, data.
    """

    def __init__(self, player: Player, about: dict[str, Any] | None = None) -> None:
        self.player = player
        self.about = about or {}

    def open(self, image: PictureSource, *, max_side: int = MAX_SIDE) -> Session:
        """A session on a picture: a path, the bytes of a picture file, a Pillow image or a uint8 array `h w 3`."""
        return Session(self.player, read_picture(image), max_side=max_side)

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
        shown = tuple(transform(poke, session.canvas.to_shown) for poke in pokes)
        pictures = [session.canvas.picture, *(session.step() for _ in range(frames))]
        return Animation(np.stack(pictures), session.state, shown)


def load(path: str | Path | None = None) -> Animator:
    """The model of a file, of a training run's folder, or (None) the one in the package, ready to be poked."""
    loaded = load_model(None if path is None else Path(path))
    return Animator(loaded.model, loaded.about)
