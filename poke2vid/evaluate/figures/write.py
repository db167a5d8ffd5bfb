"""The paper's qualitative figures from a store and a model: enrolments, videos, comparisons, and an index of them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from poke2vid.data.store import Store
from poke2vid.evaluate.figures.layout import Strip, cycled, enrolment, flow_scale
from poke2vid.evaluate.figures.poke_file import read_pokes
from poke2vid.evaluate.figures.selection import FigureClip, choose_clips
from poke2vid.evaluate.heldout.clips import trained_data
from poke2vid.evaluate.neighbours.generalisation import generalisation_grid, unseen_videos
from poke2vid.evaluate.report import table, write_text
from poke2vid.flow.estimator import FlowEstimator
from poke2vid.live.animator import Animator
from poke2vid.media.encoding import write_video
from poke2vid.media.pictures import write_picture
from poke2vid.model.files import LoadedModel
from poke2vid.players.named import load_beside
from poke2vid.players.player import PokePlayer, checked_frames
from poke2vid.players.session_player import SessionPlayer
from poke2vid.tracking.trackers import best_tracker
from poke2vid.types import InputError, Poke

FPS = 5.0  # of the videos: at a recording's 25, the arrow on the first frame would vanish too fast to be seen
COMPARED = 3  # clips in one comparison (App. A.5)
OURS = "ours"
Written = dict[str, str]  # a file's name -> what it shows, for the index


def write_figures(
    loaded: LoadedModel, store_path: Path, out: Path, *, num_clips: int = 4, seed: int = 0, beside: Sequence[str] = (),
    pokes: Path | None = None, frames: int | None = None, flow: bool = True, fps: float = FPS,
    generalisation: bool = False, weights_dir: Path | None = None,
) -> list[str]:  # fmt: skip
    """Writes OUT/clip_<k>.png and .mp4 of every clip; with `beside`, OUT/comparison_<k>.png and .mp4; and OUT/index.md.

    Args:
        beside: players shown next to the model, see `players.named.load_beside`.
        pokes: a file of pokes in place of the drawn ones, see `poke_file.read_pokes`.
        frames: number of predicted frames; None for the model's horizon T.
        flow: whether enrolments end with each row's flow from x_0 to the last frame.
        fps: of the videos.
        generalisation: also write OUT/generalisation.mp4 and .png (App. B.3), which searches the store's frames.

    Returns:
        The names of the files, the index last.

    Raises:
        InputError: before anything is written, if an input does not fit; while writing, if a file cannot be written; after
            all else is written, if the generalisation cannot be.
    """
    # Check and load all inputs first
    store, horizon = Store.open(store_path), trained_data(loaded).horizon
    length = horizon if frames is None else frames
    if length < horizon:
        raise InputError(f"--frames {length} ends before the model's pokes arrive; ask for {horizon} or more.")
    kind = loaded.model.poke_kind
    players = load_beside(beside, kind, horizon)
    chosen = {} if pokes is None else read_pokes(pokes, num_clips, store.resolution, kind)
    clips = choose_clips(loaded, store, num_clips, seed, length, chosen)
    ours = SessionPlayer(Animator(loaded.model, loaded.about))
    tracker = best_tracker(weights_dir) if flow else None
    # Clips, comparisons and generalisation
    written: Written = {}
    scales: dict[int, float] = {}
    for clip in clips:
        rows = rows_of(clip, ours, tracker)
        if flow:
            scales[clip.number] = flow_scale(rows)
        written |= _write_clip(clip, rows, out, fps)
    for first in range(0, len(clips), COMPARED) if players else ():
        written |= _write_comparison(clips[first : first + COMPARED], {OURS: ours, **players}, out, fps)
    # Index of the files
    about = {
        "model": f"{loaded.path}, {loaded.about.get('step', 'unknown')} training steps, digest {ours.digest[:12]}",
        "store": f"{store_path}, digest {store.digest[:12]}, test split, {store.resolution} px",
        "seed": str(seed),
        "predicted frames": f"{length}; pokes are drawn from flow over T = {horizon} frames",
        "poke kind": kind,
        "user pokes": "drawn by the seed" if pokes is None else f"{pokes}; drawn by the seed for clips it leaves out",
        "tracker of the flow": tracker.name if tracker is not None else "none, no flow is shown",
    }
    for name, player in players.items():  # a model's hash is cut; a reference's digest is words
        digest = player.digest if " " in player.digest else player.digest[:12]
        about[f"shown beside: {name}"] = f"digest {digest}"
    write_text(out / "index.md", index(about, written, clips, scales))
    # The search among all training frames comes last: whatever ends it, the rest is there
    if generalisation:
        try:
            written |= _write_generalisation(loaded, store, seed, out)
        except InputError as error:
            raise InputError(f"all figures but the generalisation are in {out}; of that: {error}") from error
        write_text(out / "index.md", index(about, written, clips, scales))
    return [*written, "index.md"]


def _played(player: PokePlayer, name: str, clip: FigureClip, poke: Poke) -> UInt8[np.ndarray, "t h w 3"]:
    """x_0 of a clip and a player's frames after a poke, as many as the clip has."""
    first = clip.frames[0]
    frames = checked_frames(player, first, poke, len(clip.frames) - 1, f"{name} cannot be shown")
    return np.concatenate((first[None], frames))


def rows_of(clip: FigureClip, player: PokePlayer, tracker: FlowEstimator | None) -> list[Strip]:
    """Rows of a clip: the truth, and the player's frames after every poke, with the tracker's flow if there is one."""
    rows = [Strip("truth", clip.frames)]
    rows += [Strip(label, _played(player, OURS, clip, poke), (poke,)) for label, poke in clip.pokes.items()]
    return rows if tracker is None else [replace(r, flow=tracker(r.frames[0], r.frames[-1])) for r in rows]


def _write_clip(clip: FigureClip, rows: Sequence[Strip], out: Path, fps: float) -> Written:
    name, of = f"clip_{clip.number}", f"{clip.video}, frames {clip.start} to {clip.start + len(clip.frames) - 1}"
    write_picture(out / f"{name}.png", enrolment(rows))
    write_video(out / f"{name}.mp4", cycled([rows], fps), fps)
    said = ", ".join(row.label for row in rows)
    return {
        f"{name}.png": f"{of}: {said}, a row each",
        f"{name}.mp4": f"the same side by side, three times at {fps:g} fps (recorded at {clip.fps:g})",
    }


def _write_comparison(
    clips: Sequence[FigureClip], players: Mapping[str, PokePlayer], out: Path, fps: float
) -> Written:  # fmt: skip
    """Writes truth and players on the clips' simulated pokes; no arrows, since looks are compared (App. A.5)."""
    lines = []
    for clip in clips:
        made = [
            Strip(label, _played(player, label, clip, clip.pokes["simulated poke"]))
            for label, player in players.items()
        ]
        lines.append([Strip("truth", clip.frames), *made])
    name = f"comparison_{(clips[0].number - 1) // COMPARED + 1}"
    enrolled = [
        Strip(f"{clip.number}: {row.label}", row.frames)
        for clip, line in zip(clips, lines, strict=True)
        for row in line
    ]
    write_picture(out / f"{name}.png", enrolment(enrolled))
    write_video(out / f"{name}.mp4", cycled(lines, fps), fps)
    of = f"clip{'s' if len(clips) > 1 else ''} {', '.join(str(clip.number) for clip in clips)}"
    said = ", ".join(["truth", *players])
    return {
        f"{name}.png": f"{of} after simulated pokes, not drawn: {said}, a row each",
        f"{name}.mp4": f"the same side by side, a line a clip, three times at {fps:g} fps",
    }


def _write_generalisation(loaded: LoadedModel, store: Store, seed: int, out: Path) -> Written:
    """App. B.3's figure: four moving videos, and the nearest training frame of each.

    Raises:
        InputError: if the store has fewer than four, or the library of the index is not installed.
    """
    unseen = unseen_videos(store, loaded.model.poke_kind, seed=seed)
    generalisation_grid(loaded, unseen, store, out / "generalisation.mp4", quiet=True)
    names = ", ".join(item.name for item in unseen)
    return {
        "generalisation.mp4": f"first frames of {names}, a row each, poked in four ways; last the nearest training frame",
        "generalisation.png": "the same: x_0 with its arrows, and below it the last frames",
    }


def index(
    about: Mapping[str, str], written: Written, clips: Sequence[FigureClip], scales: Mapping[int, float]
) -> str:  # fmt: skip
    """Markdown index of the files: their contents and sources.

    Args:
        scales: clip number -> flow length drawn in full colour, in pixels.
    """
    lines = [
        "# Figures", "",
        "Clips are drawn by the seed, not chosen by their looks. The background is whatever stays still in a clip, which "
        "may be a part of the object.", "",
    ]  # fmt: skip
    lines += [f"- {name}: {value}" for name, value in about.items()]
    lines += ["", *table(["file", "shows"], [[f"[{name}]({name})", shows] for name, shows in written.items()])]
    pokes = []
    for clip in clips:
        for label, poke in clip.pokes.items():
            at, shift = (f"{a:.1f}, {b:.1f}" for a, b in (poke.location, poke.shift))
            pokes.append([clip.number, label, at, shift, f"{math.hypot(*poke.shift):.1f}"])
    lines += ["", "Pokes, in pixels of the store's frames, x to the right and y down:", ""]
    lines += table(["clip", "poke", "at x, y", "shift dx, dy", "length"], pokes)
    if scales:
        said = ", ".join(f"{number}: {scale:.1f} px" for number, scale in scales.items())
        lines += ["", f"Flow from x_0 to the last frame; full colour in clip {said}."]
    return "\n".join([*lines, ""])
