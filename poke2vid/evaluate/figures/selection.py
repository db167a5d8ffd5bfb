"""Clips of a store for figures, each with pokes: from its own flow, as a person might choose, and beside the object."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Generator, Tensor
from torch.nn import functional

from poke2vid import pokes as poking
from poke2vid.data.store import Store
from poke2vid.evaluate.heldout.clips import trained_data
from poke2vid.media.pictures import to_uint8
from poke2vid.model.files import LoadedModel
from poke2vid.train.data import ClipBatches, generator_for, read_clip
from poke2vid.types import InputError, Poke

# Lengths of user pokes as shares of the side, from light to strong: pokes drawn from real clips are a tenth of it at
# most, and `pokes.IMPULSE_UNIT` is a full impulse.
SHIFT_LENGTHS = (0.05, 0.1, 0.16)
IMPULSE_LENGTHS = (0.3 * poking.IMPULSE_UNIT, 0.6 * poking.IMPULSE_UNIT, poking.IMPULSE_UNIT)
_APART = 8  # candidates, of which the one farthest from earlier pokes is taken
_BESIDE = 0.1  # of the side: distance of background pokes from all that moves, where there is room


@dataclass(frozen=True)
class FigureClip:
    """A clip of the test split and the pokes it is shown with.

    Attributes:
        number: from 1, as in the figures' file names.
        video, start: name of its video, and the number of x_0 in it.
        fps: of the recording.
        frames: x_0 ... x_T, the truth.
        pokes: label -> poke, in pixels of the frames: "simulated poke", "user poke 1" ..., "background poke".
    """

    number: int
    video: str
    start: int
    fps: float
    frames: UInt8[np.ndarray, "t h w 3"]
    pokes: dict[str, Poke]


def choose_clips(
    loaded: LoadedModel, store: Store, num_clips: int, seed: int, length: int, chosen: Mapping[int, Sequence[Poke]]
) -> list[FigureClip]:
    """Draws clips of the test split by the seed, not by their looks, each from another video while there are some left.

    Args:
        length: frames after x_0; at least the model's horizon T.
        chosen: clip number -> pokes in place of the user pokes that are drawn here.

    Raises:
        InputError: if the store's frames are not of the model's size, it lacks flow over T, or no test clip is long
            enough and moves enough.
    """
    data, config = replace(trained_data(loaded), waypoints=(), augment=None), loaded.model.config
    batches = ClipBatches(
        store, data, config, batch=1, seed=seed, split="test", full_motion=loaded.about.get("full_motion")
    )
    long_enough = [(s.video, s.starts[s.starts + length < s.video.num_frames]) for s in batches.sources]
    usable = [(video, starts) for video, starts in long_enough if len(starts)]
    if not usable:
        raise InputError(f"no clip of the test split has {length + 1} frames; ask for fewer with --frames.")
    order = torch.randperm(len(usable), generator=generator_for(seed, "figures")).tolist()
    clips = []
    margin = data.poke_margin * store.resolution
    for number in range(1, num_clips + 1):
        video, starts = usable[order[(number - 1) % len(order)]]
        generator = generator_for(seed, "figures", number)
        start = int(starts[int(torch.randint(len(starts), (), generator=generator))])
        clip = read_clip(video, start, length, data)
        D, motion = clip.flows[0].flow, clip.flows[0].motion
        if config.poke_kind == "impulse":
            simulated = poking.sample_impulse(D, motion, batches.full_motion, generator, margin)
        else:
            simulated = poking.sample_poke(D, generator, data.poke_stds, margin)
        drawn = user_pokes(D, simulated, generator)
        beside = background_poke(D, drawn[-1], generator)
        users = {f"user poke {k + 1}": poke for k, poke in enumerate(chosen.get(number, drawn))}
        pokes = {"simulated poke": simulated, **users, "background poke": beside}
        clips.append(FigureClip(number, video.name, start, clip.fps, to_uint8(clip.frames), pokes))
    return clips


def user_pokes(D: Float[Tensor, "2 h w"], simulated: Poke, generator: Generator) -> list[Poke]:
    """Three pokes as a person might choose: elsewhere on the object, each in another direction, from light to strong.

    Args:
        D: flow from x_0 to x_T, in pixels; what it moves is the object.
        simulated: the clip's own poke; the others are of its kind and keep away from it.
    """
    side, candidates = D.shape[-1], _inner(poking.foreground_mask(D)).nonzero().flip(-1)  # (x, y)
    first_angle = 2 * math.pi * float(torch.rand((), generator=generator))
    lengths = SHIFT_LENGTHS if simulated.kind == "shift" else IMPULSE_LENGTHS
    found: list[Poke] = []
    for k, share in enumerate(lengths):
        tried = candidates[torch.randint(len(candidates), (_APART,), generator=generator)].tolist()
        taken = [poke.location for poke in (simulated, *found)]
        x, y = max(tried, key=lambda place: min(math.dist(place, other) for other in taken))
        angle = first_angle + k * 2 * math.pi / len(lengths) + float(torch.rand((), generator=generator)) - 0.5
        found.append(Poke((x, y), _inwards((x, y), share * side, angle, side), simulated.kind))
    return found


def _inwards(at: tuple[float, float], length: float, angle: float, side: int) -> tuple[float, float]:
    """A shift of this length and angle, turned by eighths of a circle until its target lies in the frame, if it can."""
    turned = [angle + k * math.pi / 4 for k in range(8)]
    shifts = [(length * math.cos(a), length * math.sin(a)) for a in turned]
    seen = [p for p in shifts if all(1 <= c + d <= side - 2 for c, d in zip(at, p, strict=True))]
    return seen[0] if seen else shifts[0]


def background_poke(D: Float[Tensor, "2 h w"], poke: Poke, generator: Generator) -> Poke:
    """The same poke on the background, where it must do nothing (App. E.2); location and target are far from motion.

    Exact flow is not quite zero on nearly still parts of an object, so the poke keeps away from all that moves at all;
    if the frame has no room for that, as with estimated flow, from the foreground; else it is only not on the
    foreground.
    """
    for moving in (torch.hypot(*D) > 0, poking.foreground_mask(D)):
        places = _beside(moving, poke.shift)
        if places:
            return replace(poke, location=places[int(torch.randint(len(places), (), generator=generator))])
    return poking.moved_to_background(poke, D, generator)


def _beside(moving: Bool[Tensor, "h w"], shift: tuple[float, float]) -> list[tuple[float, float]]:
    """Pixels (x, y) far from all that moves whose targets are far from it, too."""
    radius = max(1, round(_BESIDE * moving.shape[-1]))
    away = functional.max_pool2d(moving.float()[None, None], 2 * radius + 1, stride=1, padding=radius)[0, 0] == 0
    return [(x, y) for y, x in _inner(away).nonzero().tolist() if _holds(away, x + shift[0], y + shift[1])]


def _holds(mask: Bool[Tensor, "h w"], x: float, y: float) -> bool:
    """True if a location lies in the frame and on the mask."""
    height, width = mask.shape
    column, row = round(x), round(y)
    return 0 <= column < width and 0 <= row < height and bool(mask[row, column])


def _inner(mask: Bool[Tensor, "h w"]) -> Bool[Tensor, "h w"]:
    """Pixels whose whole poke patch lies on the mask, as a person touches an object and not its edge.

    If the mask is too thin, its pixels whose patch lies in the frame; if there are none, all its pixels.
    """
    r = poking.patch_radius(mask.shape[-1])
    whole = functional.max_pool2d((~mask).float()[None, None], 2 * r + 1, stride=1, padding=r)[0, 0] == 0
    within = torch.zeros_like(mask)
    within[r:-r, r:-r] = True
    for kept in (mask & whole & within, mask & within):
        if kept.any():
            return kept
    return mask
