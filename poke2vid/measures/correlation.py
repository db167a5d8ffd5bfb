"""Motion correlation (Sec. 4.2, Fig. 5): how closely every pixel goes with the poked one, and how such a map is scored.

Pure functions of flows from x_0 to the last frame of K videos, each after another poke at the same location l. For
pixel x and video k with flow D_k(x) and poke p_k, the paper takes the L2 distance between the two in a [magnitude,
angle] representation,

    d_k(x)^2 = ((|D_k(x)| - |p_k|) / L)^2 + (wrap(angle D_k(x) - angle p_k) / pi)^2,                    (ours: L and pi)

and maps its variance over k: low variance is high correlation. What the paper leaves open is decided here:

- L is the length of the longest of the K pokes and `wrap` takes a difference of angles to [-pi, pi]. For pokes of
  uniform length and direction, both terms of a pixel that ignores them are then uniform over [0, 1]: neither outweighs
  the other, and nothing depends on the size of the frames.
- The unit is the same for all videos. With each poke's own length, a pixel that never moves would always be off by 1
  and have no variance: still background would seem bound to l. With one unit its distance varies as the poke's length
  does, and a pixel that follows a share s of the poke has (1 - s)^2 of that variance.
- A pixel that moves less than `STILL` of L has no measurable angle; it gets atan2(0, 0) = 0, as if it pointed right.
  The pokes point everywhere, so its difference of angles is as uniform as that of noise.
- A pixel that moves exactly as the poke has variance 0. By the paper's definition so has one that always moves just as
  far the other way, such as the far arm of a lever: its motion is bound to l, too. A still pixel's variance follows
  from the pokes alone, see `still_difference`; `heat` says how far below it a pixel is.

Variance has a weakness with tracked motion: a pixel that follows in most videos but is lost by the tracker in some has
more variance than one that never moves, because its distance jumps between 0 and 1. On true frames of simulated objects
(11 points of 6 scenes, 60 pokes each, 128 pixels) the tracked map finds l's part with an area under the ROC curve of
0.75 on the object, where exact flow gives 0.98: a thin leaf may come last in its own map. `mean_square`, the second
moment about 0 instead of the mean, avoids this (0.93 tracked, 0.98 exact), and sees that the far arm of a lever moves
the other way; it is the default of `structure.maps.Settings` (docs/decisions/017).
"""

import numpy as np
from jaxtyping import Bool, Float, Float64

from poke2vid.measures.statistics import ranks
from poke2vid.types import InputError

STILL = 0.05  # of the longest poke: smaller motion has no direction, since trackers err by as much
BINS = 256  # of the histogram in which Otsu's threshold is found


def difference(
    flows: Float[np.ndarray, "k 2 h w"], shifts: Float[np.ndarray, "k 2"]
) -> Float64[np.ndarray, "k h w"]:  # fmt: skip
    """d_k(x): distance of each pixel's motion from the poke in [magnitude, angle]; 0 if it moves as the poke.

    Args:
        flows: (dx, dy) from x_0 to the last frame of every video, in any one unit of length.
        shifts: the pokes p_k in that unit.

    Raises:
        InputError: if there are fewer than two pokes, or one has no length and thus no direction.
    """
    lengths = _lengths(shifts)
    longest, moved = lengths.max(), np.hypot(flows[:, 0], flows[:, 1]).astype(np.float64)
    angles = np.where(moved < STILL * longest, 0.0, np.arctan2(flows[:, 1], flows[:, 0]))
    turned = angles - np.arctan2(shifts[:, 1], shifts[:, 0])[:, None, None]
    turned = (turned + np.pi) % (2 * np.pi) - np.pi
    return np.hypot((moved - lengths[:, None, None]) / longest, turned / np.pi)


def _lengths(shifts: Float[np.ndarray, "k 2"]) -> Float64[np.ndarray, " k"]:
    """Lengths of the pokes; raises InputError if there are fewer than two, or one has none."""
    lengths = np.hypot(shifts[:, 0], shifts[:, 1]).astype(np.float64)
    if len(lengths) < 2 or not lengths.min() > 0:
        raise InputError(
            f"{len(lengths)} pokes of {lengths.min(initial=np.inf):g} pixels or more have no variance; give two or more "
            "that are longer than 0."
        )
    return lengths


def motion_variance(
    flows: Float[np.ndarray, "k 2 h w"], shifts: Float[np.ndarray, "k 2"]
) -> Float64[np.ndarray, "h w"]:  # fmt: skip
    """The paper's correlation map: the variance over the videos of `difference`. Low is correlated; 0 follows."""
    return difference(flows, shifts).var(axis=0)


def mean_square(
    flows: Float[np.ndarray, "k 2 h w"], shifts: Float[np.ndarray, "k 2"]
) -> Float64[np.ndarray, "h w"]:  # fmt: skip
    """The alternative map: the mean square over the videos of `difference`; 0 follows. See the head of this file."""
    return (difference(flows, shifts) ** 2).mean(axis=0)


def signed_response(
    flows: Float[np.ndarray, "k 2 h w"], shifts: Float[np.ndarray, "k 2"]
) -> Float64[np.ndarray, "h w"]:  # fmt: skip
    """Mean over the videos of D_k(x) . p_k / |p_k|^2: 1 follows, 0 is still or moves across, -1 goes the other way.

    Unlike `difference` it has no angle of a still pixel to choose, and motion that the pokes did not cause averages out.
    `above_otsu` of its `heat` is a mask of what moves along. Raises InputError as `difference`.
    """
    along = np.einsum("kchw,kc->khw", flows.astype(np.float64), shifts.astype(np.float64))
    return (along / np.square(_lengths(shifts))[:, None, None]).mean(axis=0)


def still_difference(shifts: Float[np.ndarray, "k 2"]) -> Float64[np.ndarray, " k"]:
    """`difference` of a pixel that never moves; its variance is about 0.07 for pokes of even length and direction.

    Raises:
        InputError: if it does not vary, because all pokes are alike.
    """
    away = difference(np.zeros((len(shifts), 2, 1, 1)), shifts)[:, 0, 0]
    if np.ptp(away) < 1e-6:
        raise InputError(f"the {len(shifts)} pokes are all alike, so nothing varies; give different ones.")
    return away


def heat(disagreement: Float64[np.ndarray, "*n"]) -> Float64[np.ndarray, "*n"]:
    """Correlation for display: 1 for no variance, 0 for a still pixel's or more.

    Args:
        disagreement: variance or mean square, divided by that of a still pixel under the same pokes.
    """
    return (1 - disagreement).clip(0.0, 1.0)


def auc(scores: Float[np.ndarray, " n"], positive: Bool[np.ndarray, " n"]) -> float:
    """Area under the ROC curve: how often a positive outscores a negative; ties count half. NaN if one kind is missing.

    By ranks (Mann-Whitney): (sum of the positives' ranks - P (P + 1) / 2) / (P N).
    """
    num_positive = int(positive.sum())
    num_negative = len(positive) - num_positive
    if num_positive == 0 or num_negative == 0:
        return float("nan")
    above = float(ranks(scores.astype(np.float64))[positive].sum()) - num_positive * (num_positive + 1) / 2
    return above / (num_positive * num_negative)


def otsu(scores: Float[np.ndarray, " n"]) -> float:
    """The threshold that splits the scores into two groups with the largest variance between them (Otsu 1979).

    Candidates are the edges of a histogram of `BINS` bins from the least to the largest score; of several equally good
    ones, as across a gap, it is the middle. If all scores are equal, none lies above the threshold.
    """
    low, high = float(scores.min()), float(scores.max())
    if low == high:
        return high
    counts, edges = np.histogram(scores, bins=BINS, range=(low, high))
    middles = (edges[:-1] + edges[1:]) / 2
    below, sums = counts.cumsum()[:-1], (counts * middles).cumsum()
    above, total = len(scores) - below, sums[-1]
    between = below * above * (sums[:-1] / below - (total - sums[:-1]) / above) ** 2
    best = np.flatnonzero(np.isclose(between, between.max(), rtol=1e-9))
    return float(edges[1 + best].mean())


def above_otsu(scores: Float[np.ndarray, "*n"]) -> Bool[np.ndarray, "*n"]:
    """Mask of the scores above Otsu's threshold: of a map's heat, what moves along with the poked point."""
    return scores > otsu(scores.ravel())


def iou(chosen: Bool[np.ndarray, " n"], part: Bool[np.ndarray, " n"]) -> float:
    """Intersection over union; NaN where both are empty."""
    union = int((chosen | part).sum())
    return float((chosen & part).sum()) / union if union else float("nan")


def best_iou(scores: Float[np.ndarray, " n"], part: Bool[np.ndarray, " n"]) -> float:
    """The IoU at the best threshold for the part, an upper bound for any threshold. NaN where the part is empty."""
    size = int(part.sum())
    if size == 0:
        return float("nan")
    order = (-scores).argsort(kind="stable")
    ranked, hits = scores[order], part[order].cumsum()
    chosen = np.arange(1, len(ranked) + 1)
    whole = np.append(ranked[1:] < ranked[:-1], True)  # a threshold takes all pixels of equal score, or none
    return float((hits / (chosen + size - hits))[whole].max())
