"""Where simulated pokes land, with and without `data.poke_margin`: discs of exactly known motion, flow by DIS.

    python benchmarks/poke_margin.py [--videos 12] [--pokes 25] [--out FILE]

Textured discs go to and fro before a textured wall. Flow over the lag is estimated and stored as `prepare` does it, and
pokes are drawn from it by the paper's rule (Sec. 3.2). For every margin: the share of pokes outside the disc, the share
near its rim, and the error of p, which beside the disc should be
zero: its median, and its mean, to which stretches of wholly wrong flow contribute most.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from jaxtyping import Float32, UInt8
from shown import show
from torch import Generator

from poke2vid.data.prepare.video import SMALLEST_WORKING_SIDE
from poke2vid.flow.classical import DisFlow
from poke2vid.geometry import resize_flow
from poke2vid.measures.statistics import cluster_mean
from poke2vid.pokes import sample_poke

MARGINS = (0.0, 0.016, 0.032, 0.048)  # shares of the side
RIM = 0.0234  # of the side: 1.5 pixels of 64
LAG, PERIOD = 10, 40  # frames
LEAST = 0.03  # of the side: displacement over the lag


@dataclass(frozen=True)
class Disc:
    """A disc that swings along a line, in shares of the side."""

    centre: tuple[float, float]
    radius: float
    reach: tuple[float, float]
    seed: int

    @staticmethod
    def of_seed(seed: int) -> "Disc":
        rng = np.random.default_rng(seed)
        angle, length = rng.uniform(0, 2 * np.pi), rng.uniform(0.04, 0.1)
        x, y = rng.uniform(0.4, 0.6, 2)
        reach = (float(length * np.cos(angle)), float(length * np.sin(angle)))
        return Disc((float(x), float(y)), float(rng.uniform(0.13, 0.22)), reach, seed)

    def at(self, frame: int) -> Float32[np.ndarray, "2"]:
        return np.array(self.reach, np.float32) * np.float32(np.sin(2 * np.pi * frame / PERIOD))

    def picture(self, frame: int, side: int) -> UInt8[np.ndarray, "h w 3"]:
        wall, disc = (_texture(2 * self.seed + k, side) for k in range(2))
        dx, dy = self.at(frame) * side
        move = np.array([[1, 0, dx], [0, 1, dy]], np.float32)
        y, x = np.mgrid[:side, :side]
        away = np.hypot(x - self.centre[0] * side - dx, y - self.centre[1] * side - dy)
        share = (self.radius * side - away + 0.5).clip(0, 1)[..., None]
        moved = cv2.warpAffine(disc, move, (side, side), borderMode=cv2.BORDER_REFLECT)
        return np.rint(share * moved + (1 - share) * wall).astype(np.uint8)


def _texture(seed: int, side: int) -> UInt8[np.ndarray, "h w 3"]:
    rng = np.random.default_rng(seed)
    fine, coarse = (rng.integers(20, 236, (cells, cells, 3)).astype(np.uint8) for cells in (side // 3, side // 10))
    both = [cv2.resize(noise, (side, side), interpolation=cv2.INTER_CUBIC) for noise in (fine, coarse)]
    return cv2.addWeighted(both[0], 0.5, both[1], 0.5, 0)


def table(side: int, videos: int, pokes: int) -> list[str]:
    """Markdown rows of one resolution."""
    dis, working = DisFlow(), max(side, SMALLEST_WORKING_SIDE)
    found: dict[float, list[tuple[str, float, float, float]]] = {margin: [] for margin in MARGINS}
    for number in range(videos):
        disc, generator = Disc.of_seed(number), Generator().manual_seed(number)
        moving = [start for start in range(PERIOD) if np.hypot(*(disc.at(start + LAG) - disc.at(start))) >= LEAST]
        for start in np.random.default_rng(number).choice(moving, pokes).tolist():
            first, second = (disc.picture(frame, working) for frame in (start, start + LAG))
            flow = torch.from_numpy(dis(first, second))
            flow = flow if working == side else resize_flow(flow[None], (side, side))[0]
            shift = (disc.at(start + LAG) - disc.at(start)) * side
            for margin in MARGINS:
                poke = sample_poke(flow, generator, margin=margin * side)
                assert poke.location is not None
                scale = working / side  # pixel centres of the working size, in which the disc is drawn
                at = (np.array(poke.location) + 0.5) * scale - 0.5
                inside = disc.radius * side - np.hypot(
                    *(at / scale - disc.at(start) * side - np.array(disc.centre) * side)
                )
                error = np.hypot(*(np.array(poke.shift) - (shift if inside >= 0 else 0)))
                found[margin].append((f"{number}", float(inside < 0), float(abs(inside) <= RIM * side), float(error)))
    rows = []
    for margin, samples in found.items():
        clusters = [video for video, *_ in samples]
        outside, rim, error = (cluster_mean([sample[k] for sample in samples], clusters) for k in (1, 2, 3))
        shares = " | ".join(
            f"{100 * one.mean:.0f} % [{100 * one.low:.0f}, {100 * one.high:.0f}]" for one in (outside, rim)
        )
        median = float(np.median([sample[3] for sample in samples]))
        rows.append(f"| {side} | {margin:g} | {shares} | {median:.2f} | {error} |")
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--videos", type=int, default=12)
    parser.add_argument("--pokes", type=int, default=25, help="of every video and margin")
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    lines = [
        "| side, px | margin, share of it | outside | near the rim | median error of p, px | mean |",
        "|---" * 6 + "|",
    ]
    for side in (64, 128):
        lines += table(side, chosen.videos, chosen.pokes)
    show(lines, chosen.out)


if __name__ == "__main__":
    main()
