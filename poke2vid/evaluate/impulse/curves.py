"""Size and duration of an object's motion against the strength of its impulse (App. B.1, B.2).

The paper shows three videos and says: after small pokes plants "immediately return to their initial states", after
large ones they do not "within the 25 frames". Here that is a curve: the mean displacement of the object from frame 0,
frame by frame, for the model and for the simulated truth. Pure functions of flows; scenes are in `scenes`, pictures in
`figures`.

A magnitude m is given to the model as a shift of m times `IMPULSE_UNIT` of the side: its unit is the liveliest motion
in its training data (docs/decisions/006). The truth is a push of the same shift, whose unit is a speed: a free point
would travel it within three frames (docs/decisions/015). The two units do not agree: in training clips the whole object
is pulled or blown at, while one push at a leaf moves little else. So levels are compared only within a row; between
rows, only what has no unit: the shape over time, and the order over magnitudes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float64

from poke2vid.evaluate.report import legend, table
from poke2vid.measures.statistics import Interval, cluster_mean, rank_correlation
from poke2vid.measures.table import LATE, MEASURES, REPORTS, RETURNED, columns

MAGNITUDES = (0.25, 0.5, 1.0, 2.0)  # of the unit; training goes up to 1
FRAMES = 25  # as in the paper, for a model trained on 10


def curves(flows: Float[np.ndarray, "*b t 2 h w"], mask: Bool[np.ndarray, "h w"]) -> Float64[np.ndarray, "*b t"]:
    """The mean displacement of the object in pixels, for every frame.

    Args:
        flows: from frame 0 to each frame t, (dx, dy) in pixels at the pixels of frame 0.
        mask: the object in frame 0; an empty one gives NaN.
    """
    if not mask.any():
        return np.full(flows.shape[:-3], np.nan)
    length = np.hypot(flows[..., 0, :, :], flows[..., 1, :, :]).astype(np.float64)
    return length[..., mask].mean(axis=-1)


@dataclass(frozen=True)
class Response:
    """Motion of one row ("truth", "model") after one impulse.

    Attributes:
        scene: the cluster for intervals.
        poke: number of the point and direction in the scene; each gets every magnitude.
        magnitude: strength in units.
        motion: `curves` at frames 1 ... T, in pixels.
    """

    row: str
    scene: str
    poke: int
    magnitude: float
    motion: Float64[np.ndarray, " t"]


def measures(motion: Float64[np.ndarray, " t"]) -> dict[str, float]:
    """All columns of one curve; shares are NaN where nothing moved at all."""
    peak = float(motion.max())
    moved = peak > 1e-6
    end_share = float(motion[-1]) / peak if moved else float("nan")
    late_share = float(motion[-LATE:].max()) / peak if moved else float("nan")
    returned = float(late_share < RETURNED) if moved else float("nan")
    return {
        "peak": peak, "end": float(motion[-1]), "end_share": end_share, "late_share": late_share, "returned": returned,
    }  # fmt: skip


@dataclass(frozen=True)
class Curve:
    """Motion over time at one magnitude: mean over pokes and 95 % interval over scenes, at frames 1 ... T, in px."""

    mean: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


@dataclass(frozen=True)
class ImpulseReport:
    """Curves and scores of an impulse evaluation.

    Attributes:
        rows: row -> magnitude -> column -> interval over scenes.
        curves: row -> magnitude -> curve.
        order: row -> Spearman's rho of the peak with the magnitude, the mean over pokes.
        slower: row -> `late_share` at the largest magnitude minus that at the smallest of the same poke: above 0,
            stronger impulses come to rest later.
        about: settings of the measurement.
    """

    rows: Mapping[str, Mapping[float, Mapping[str, Interval]]]
    curves: Mapping[str, Mapping[float, Curve]]
    order: Mapping[str, Interval]
    slower: Mapping[str, Interval]
    about: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        found = asdict(self)
        rows, motion = (
            {row: {f"{m:g}": value for m, value in by_magnitude.items()} for row, by_magnitude in found[part].items()}
            for part in ("rows", "curves")
        )
        return {
            "about": found["about"], "columns": columns("impulse"), "rows": rows, "rank_correlation": found["order"],
            "late_share_difference": found["slower"], "curves": motion,
        }  # fmt: skip

    def to_markdown(self) -> str:
        rows = [
            [row, f"{magnitude:g}", *(found[column] for column in REPORTS["impulse"])]
            for row, by_magnitude in self.rows.items()
            for magnitude, found in by_magnitude.items()
        ]
        told = ", ".join(f"{name} {value}" for name, value in self.about.items())
        return "\n".join([
            *table(["", "magnitude", *REPORTS["impulse"]], rows), "",
            "Rank correlation of the peak with the magnitude (1: a stronger impulse always moves it more):", "",
            *(f"- {row}: {value}" for row, value in self.order.items()), "", *self.findings(), "", *legend("impulse"), "",
            f"Measured on: {told}. Brackets: 95 % intervals over scenes.", "",
        ])  # fmt: skip

    def findings(self) -> list[str]:
        """Verdict per row on the paper's sentence on small and large pokes (App. B.2), as far as the intervals decide.

        It holds if most small pokes returned and most large ones did not; it does not if one of these is reversed.
        """
        told = [
            "The paper: after small pokes the object returns to rest within these frames, after large ones it does not.",
            "",
        ]
        for row, by_magnitude in self.rows.items():
            small, large = min(by_magnitude), max(by_magnitude)
            first, last = by_magnitude[small]["returned"], by_magnitude[large]["returned"]
            verdict = "undecided"
            if first.low > 0.5 and last.high < 0.5:
                verdict = "holds"
            elif first.high < 0.5 or last.low > 0.5:
                verdict = "does not hold"
            told.append(
                f"- {row}: {verdict}. Returned: a share of {first} at {small:g}, of {last} at "
                f"{large:g}; late_share at {large:g} less that at {small:g}: {self.slower[row]}."
            )
        return told


def summarise(responses: Sequence[Response], about: Mapping[str, Any], seed: int = 0) -> ImpulseReport:
    """Report of means with intervals over scenes, since pokes of one scene are not independent."""
    rows: dict[str, dict[float, dict[str, Interval]]] = {}
    found: dict[str, dict[float, Curve]] = {}
    order: dict[str, Interval] = {}
    slower: dict[str, Interval] = {}
    for row in dict.fromkeys(response.row for response in responses):
        own = [response for response in responses if response.row == row]
        rows[row], found[row] = {}, {}
        for magnitude in sorted({response.magnitude for response in own}):
            same = [response for response in own if response.magnitude == magnitude]
            scenes, scores = [r.scene for r in same], [measures(r.motion) for r in same]
            rows[row][magnitude] = {
                c: cluster_mean([s[c] for s in scores], scenes, seed).within(MEASURES[c].span)
                for c in REPORTS["impulse"]
            }
            found[row][magnitude] = _curve([r.motion for r in same], scenes, seed)
        pokes = _by_poke(own)
        scenes = [scene for scene, _ in pokes]
        order[row] = cluster_mean([_rank(same) for same in pokes.values()], scenes, seed)
        slower[row] = cluster_mean([_slower(same) for same in pokes.values()], scenes, seed)
    return ImpulseReport(rows, found, order, slower, about)


def _curve(motions: Sequence[Float64[np.ndarray, " t"]], scenes: list[str], seed: int) -> Curve:
    means = (cluster_mean([float(m[t]) for m in motions], scenes, seed) for t in range(len(motions[0])))
    points = [mean.within(MEASURES["peak"].span) for mean in means]
    mean, low, high = (tuple(getattr(p, name) for p in points) for name in ("mean", "low", "high"))
    alone = np.isinf(low).any()  # a single scene has no band
    return Curve(mean, mean if alone else low, mean if alone else high)


def _by_poke(own: Sequence[Response]) -> dict[tuple[str, int], list[Response]]:
    """Responses of each point and direction, with rising magnitude."""
    pokes: dict[tuple[str, int], list[Response]] = {}
    for response in sorted(own, key=lambda r: r.magnitude):
        pokes.setdefault((response.scene, response.poke), []).append(response)
    return pokes


def _rank(same: Sequence[Response]) -> float:
    return rank_correlation([float(r.motion.max()) for r in same], [r.magnitude for r in same])


def _slower(same: Sequence[Response]) -> float:
    return measures(same[-1].motion)["late_share"] - measures(same[0].motion)["late_share"]
