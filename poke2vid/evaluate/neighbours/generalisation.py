"""Figure of App. B.3: unseen pictures, each poked in several ways, beside their nearest training frames."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32
from torch import Generator

from poke2vid import pokes as poking
from poke2vid.data.store import Store, StoredVideo
from poke2vid.evaluate.neighbours.index import SIDE, FrameIndex, captioned, fitted, open_index
from poke2vid.geometry import Affine, transform
from poke2vid.live.animator import DEFAULT_FRAMES, Animator
from poke2vid.media.pictures import write_picture
from poke2vid.media.video import write_video
from poke2vid.media.viz import LargePicture, Picture, draw_pokes, grid
from poke2vid.model.files import LoadedModel
from poke2vid.types import InputError, Poke, PokeKind

PICTURES, POKES = 4, 4  # as in the paper
LENGTHS = (0.04, 0.16)  # of the shortest and the longest poke, as shares of the side
_CANDIDATES = 64  # locations drawn, of which those farthest from each other are taken
_FPS = 25.0  # of the video
_HELD = 12  # frames of it for which x_0 stands still, so that its arrows can be seen


@dataclass(frozen=True)
class Unseen:
    """A picture that was not trained on.

    Attributes:
        name: caption below it.
        picture: of any size.
        pokes: one column each; in pixels of the picture.
    """

    name: str
    picture: Picture
    pokes: tuple[Poke, ...]


def unseen_videos(
    store: Store, kind: PokeKind = "shift", pictures: int = PICTURES, pokes: int = POKES, seed: int = 0
) -> list[Unseen]:
    """First frames of held-out videos that move from the start, drawn by the seed, each with pokes on its moving parts.

    A poke's location comes from the foreground of D from frame 0 over the store's longest lag (`pokes.sample_poke`),
    far from the others; it points along D there, every second one against it; lengths rise evenly over `LENGTHS`.

    Raises:
        InputError: if too few videos of the test split move from their first frame on.
    """
    lag = max(store.lags)
    moving = [video for video in store.split("test") if _moves(video, lag, store.resolution)]
    if len(moving) < pictures:
        raise InputError(
            f"{len(moving)} videos of the test split move from their first frame on and {pictures} are needed; "
            "ask for fewer or prepare more."
        )
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.randperm(len(moving), generator=generator)[:pictures].tolist()
    return [_unseen(moving[number], lag, kind, pokes, generator) for number in sorted(chosen)]


def _moves(video: StoredVideo, lag: int, side: int) -> bool:
    activity = video.activity(lag)
    return len(activity) > 0 and float(activity[0]) >= poking.MIN_MOTION * side


def _unseen(video: StoredVideo, lag: int, kind: PokeKind, count: int, generator: Generator) -> Unseen:
    flow = torch.from_numpy(np.array(video.flow(lag, 0)))
    drawn = [poking.sample_poke(flow, generator) for _ in range(_CANDIDATES)]
    places = np.array([poke.location for poke in drawn], np.float32)
    lengths = np.linspace(*LENGTHS, count) * flow.shape[-1]
    pokes = []
    for number, (which, length) in enumerate(zip(_spread(places, count), lengths, strict=True)):
        dx, dy = drawn[which].shift
        scale = float(length) / max(float(np.hypot(dx, dy)), 1e-6) * (-1) ** number
        pokes.append(Poke(drawn[which].location, (dx * scale, dy * scale), kind))
    return Unseen(video.name, np.array(video.frames[0]), tuple(pokes))


def _spread(places: Float32[np.ndarray, "n 2"], count: int) -> list[int]:
    """Indices of the first place, then always of the one farthest from all that were taken."""
    taken = [0]
    while len(taken) < count:
        away = np.linalg.norm(places[:, None] - places[taken], axis=-1).min(axis=1)
        taken.append(int(away.argmax()))
    return taken


def generalisation_grid(
    loaded: LoadedModel, unseen: Sequence[Unseen], store: Store, out: Path, frames: int = DEFAULT_FRAMES, quiet: bool = False
) -> None:  # fmt: skip
    """Writes `out`, a video with one row per picture and one column per poke, and a .png beside it; arrows are on x_0.

    The last column is the nearest frame of the store's train split, which stands still. The .png has two lines per
    picture: x_0 with its arrows, then the last frames with their target dots.

    Args:
        out: .mp4, .webm, .gif or .webp.

    Raises:
        InputError: as `open_index` and `Session.poke`, or if a file cannot be written.
    """
    searched = open_index(loaded, store, "train", quiet=quiet)
    rows = [_played(loaded, item, frames) for item in unseen]
    beside = [_neighbour(searched, loaded, item) for item in unseen]
    moments = [
        grid([[*(clip[t] for clip in row), other] for row, other in zip(rows, beside, strict=True)], gap=6)
        for t in range(frames + 1)
    ]
    write_video(out, [moments[0]] * _HELD + moments[1:], _FPS)
    still = []
    for row, other in zip(rows, beside, strict=True):
        still += [[*(clip[0] for clip in row), other], [clip[-1] for clip in row]]
    write_picture(out.with_suffix(".png"), grid(still, gap=6))


def _played(loaded: LoadedModel, item: Unseen, frames: int) -> list[list[LargePicture]]:
    """Clips of a picture, one per poke, x_0 first, with arrow, target dot and caption."""
    clips = []
    for poke in item.pokes:
        played = Animator(loaded.model).animate(item.picture, [poke], frames, max_side=SIDE)
        shown = [fitted(picture) for picture in played.frames]
        to_large = Affine.resize(played.frames.shape[1:3], shown[0].shape[:2])
        drawn = draw_pokes(shown, [transform(p, to_large) for p in played.pokes])
        share = float(np.hypot(*poke.shift)) / max(item.picture.shape[:2])
        clips.append([captioned(picture, item.name, f"{poke.kind}, {share:.0%} of the side") for picture in drawn])
    return clips


def _neighbour(index: FrameIndex, loaded: LoadedModel, item: Unseen) -> LargePicture:
    (nearest,) = index.nearest(Animator(loaded.model).open(item.picture).canvas.x_0)
    return captioned(index.picture(nearest), f"nearest: {nearest.video}", nearest.caption)
