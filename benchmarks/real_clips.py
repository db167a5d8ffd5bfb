"""Pokes of real clips unseen in training: errors of the touched point, of what moves with it, of what stands still.

    python benchmarks/real_clips.py MODEL... --clips FOLDER [--clips FOLDER] [--weights-dir DIR] [--tracker NAME] [--out FILE]

At some moments of every clip, scaled to a given side, the point that moves most is poked with the motion that
RAFT-small finds there over the lag. Players get x_0 and the poke; their frames are tracked from frame to frame,
by DIS or Farneback's, as are the clip's own (the row "truth"): not by what made the pokes. If the truth's row is not
well below that of a still picture, the numbers at this size and lag mean nothing. A clip shows a hand's effect and
other motion; the response counts both.
"""

import argparse
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from jaxtyping import Float, UInt8
from shown import show
from tqdm import tqdm

from poke2vid.flow.raft import RaftFlow
from poke2vid.measures.statistics import cluster_mean
from poke2vid.media.video import iterate_frames
from poke2vid.players.named import load_players, reference_players
from poke2vid.players.player import PokePlayer
from poke2vid.tracking.trackers import CHAINS, bench_tracker
from poke2vid.types import InputError, Poke

MOVES, STILL = 0.02, 0.005  # of the side, over the lag: limits of moving and of standing still
FAR = 0.15  # of the side, from the poke, as in PokeBench
ARRIVE = 10  # frames that a player is given
SMOOTH = 0.01  # of the side: a poke is the motion of a fingertip, not of a pixel
COLUMNS = ("poke-EPE", "response-EPE", "background")


@dataclass(frozen=True)
class Moment:
    """A stretch of a clip: its frames x_0 ... x_lag, the motion in them by RAFT, and one poke."""

    clip: str
    frames: Sequence[UInt8[np.ndarray, "h w 3"]]
    flow: Float[np.ndarray, "2 h w"]
    poke: Poke


def moments(path: Path, raft: RaftFlow, side: int, lag: int, every: int) -> Iterator[Moment]:
    """Moments of a clip in which something moves."""
    frames = list(iterate_frames(path, side, "crop"))
    for start in range(0, len(frames) - lag, every):
        stretch = frames[start : start + lag + 1]
        flow = raft(stretch[0], stretch[-1])
        smooth = np.stack([cv2.GaussianBlur(part, (0, 0), SMOOTH * side) for part in flow])
        length = np.hypot(*smooth)
        margin = int(0.05 * side)
        inside = np.zeros_like(length)
        inside[margin:-margin, margin:-margin] = 1
        y, x = np.unravel_index(int((length * inside).argmax()), length.shape)
        if length[y, x] < 2 * MOVES * side:
            continue
        shift = (float(smooth[0, y, x]), float(smooth[1, y, x]))
        yield Moment(path.stem, stretch, flow, Poke((float(x), float(y)), shift))


def errors(moment: Moment, found: Float[np.ndarray, "2 h w"]) -> dict[str, float]:
    """Errors of a tracked motion from x_0, in pixels."""
    side = found.shape[-1]
    y, x = np.mgrid[:side, :side]
    assert moment.poke.location is not None
    away = np.hypot(x - moment.poke.location[0], y - moment.poke.location[1])
    length, apart = np.hypot(*moment.flow), np.hypot(*(found - moment.flow))
    column, row = round(moment.poke.location[0]), round(moment.poke.location[1])
    reached = np.stack([cv2.GaussianBlur(part, (0, 0), SMOOTH * side) for part in found])[:, row, column]
    far, still = (length > MOVES * side) & (away > FAR * side), length < STILL * side
    return {
        "poke-EPE": float(np.hypot(*(reached - np.array(moment.poke.shift)))),
        "response-EPE": float(apart[far].mean()) if far.any() else float("nan"),
        "background": float(np.hypot(*found)[still].mean()) if still.any() else float("nan"),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("models", nargs="*")
    parser.add_argument("--clips", type=Path, action="append", required=True)
    parser.add_argument("--weights-dir", type=Path)
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--lag", type=int, default=8, help="frames of the clip between x_0 and x_T")
    parser.add_argument("--every", type=int, default=30, help="frames of the clip between moments")
    parser.add_argument("--most", type=int, default=4, help="moments of one clip, those that move most")
    parser.add_argument("--tracker", default="dis", choices=CHAINS)
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    raft, tracker = RaftFlow(chosen.weights_dir), bench_tracker(chosen.tracker)
    players: dict[str, PokePlayer] = {**load_players(chosen.models, ARRIVE), **reference_players(ARRIVE)}
    rows: dict[str, list[tuple[str, dict[str, float]]]] = {name: [] for name in (*players, "truth")}
    paths = [path for folder in chosen.clips for path in sorted(folder.glob("*.mp4"))]
    if not paths:
        raise InputError("the folders hold no .mp4; name folders of clips.")
    lines = []
    for folder in chosen.clips:
        rows = {name: [] for name in rows}
        for path in tqdm(sorted(folder.glob("*.mp4")), unit="clip"):
            found = list(moments(path, raft, chosen.side, chosen.lag, chosen.every))
            for moment in sorted(found, key=lambda one: -np.hypot(*one.poke.shift))[: chosen.most]:
                for name, player in players.items():
                    clip = [moment.frames[0], *player.play(moment.frames[0], moment.poke, ARRIVE)]
                    *_, flow = tracker(clip)
                    rows[name].append((moment.clip, errors(moment, flow)))
                *_, flow = tracker(list(moment.frames))
                rows["truth"].append((moment.clip, errors(moment, flow)))
        lines += [
            f"{folder.name}: {len(rows['truth'])} moments, {chosen.side} px, {chosen.lag} frames",
            "",
            *table(rows),
            "",
        ]
    show(lines, chosen.out)


def table(rows: dict[str, list[tuple[str, dict[str, float]]]]) -> list[str]:
    """Markdown lines of all rows; means with 95 % intervals over clips."""
    lines = [f"| | {' | '.join(f'{column}, px' for column in COLUMNS)} |", "|---" * (len(COLUMNS) + 1) + "|"]
    for name, found in rows.items():
        means = (cluster_mean([s[c] for _, s in found], [clip for clip, _ in found]) for c in COLUMNS)
        cells = [str(mean.within((0.0, math.inf))) for mean in means]  # all are lengths
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


if __name__ == "__main__":
    main()
