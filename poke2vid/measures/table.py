"""Table of all measures: every fact about one that reports, plots and tables print.

Adding a measure takes its function and a row here, named in `REPORTS` for every report that lists it.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from jaxtyping import Float
from torch import Tensor

from poke2vid.measures import correlation, frames
from poke2vid.measures.motion import CORRECT_WITHIN, FAR, TOUCHED_RADIUS
from poke2vid.pretrained.i3d import I3DFeatures
from poke2vid.pretrained.movinet import MoViNetFeatures
from poke2vid.tracking.tracks import TrackFeatures

ReportName = Literal["heldout", "distances", "bench", "structure", "maps", "impulse"]
LONG_FRAMES, LONG_SCENES = 1000, 2  # of `long_drift`: frames played, and scenes of a family, since they take long
LATE, RETURNED = 5, 0.1  # of impulses: frames at the end, and the share of the peak below which an object is at rest
SHARE = (0.0, 1.0)


@dataclass(frozen=True)
class Measure:
    """One measure: a column of reports, or a kind of map.

    Attributes:
        name: key in files and in legends.
        heading: name for people.
        unit: such as "px"; empty for a number without one.
        better: direction of improvement; "neither" for what is compared with the truth's own value.
        definition: meaning, in one sentence.
        notes: report -> end of that sentence there.
        function: of clips (`frames`), or of a poked point's responses (`correlation`); None where the report computes it.
        follows: of maps, the value of a pixel that moves exactly as the poke.
        span: values that its means can have; their intervals end there.
    """

    name: str
    heading: str
    unit: str
    better: Literal["lower", "higher", "neither"]
    definition: str
    notes: Mapping[ReportName, str] = field(default_factory=dict)
    function: Callable[..., Any] | None = None
    follows: float = 0.0
    span: tuple[float, float] = (0.0, math.inf)

    @property
    def title(self) -> str:
        """Heading with the unit."""
        return f"{self.heading}, {self.unit}" if self.unit else self.heading

    @property
    def arrow(self) -> str:
        return {"lower": "↓", "higher": "↑", "neither": ""}[self.better]


_TABLE = (
    # Frames
    Measure(
        "psnr", "PSNR", "dB", "higher",
        f"PSNR, dB; data range [-1, 1], of each frame, then the mean over time and clips; at most {frames.PSNR_LIMIT:g}",
        {"bench": "; after shifts"}, frames.psnr,
    ),
    Measure(
        "ssim", "SSIM", "", "higher",
        f"SSIM, Wang et al. 2004: Gaussian window {frames.WINDOW} x {frames.WINDOW}, sigma {frames.SIGMA}, K {frames.K_1} and "
        f"{frames.K_2}, data range 1 of frames in [0, 1], windows within the frame, mean over colours, time and clips",
        {"bench": "; after shifts"}, frames.ssim, span=(-1.0, 1.0),
    ),
    *(
        Measure(
            name, f"LPIPS ({net})", "", "lower", f"LPIPS v0.1 on {network}, ",
            {"heldout": f"frames in [-1, 1] at their own size: mean over time, then clips{note}",
             "bench": "after shifts: mean over the frames T/2, T and the last, then pokes"},
        )
        for name, net, network, note in (
            ("lpips_vgg", "vgg", "VGG-16", ", as the paper's"), ("lpips_alex", "alex", "AlexNet", ""),
            ("lpips", "squeeze", "SqueezeNet 1.1", ""),
        )
    ),
    Measure(
        "sharpness", "sharpness", "", "neither", "gradient energy over the truth's; 1 is as sharp", {}, frames.sharpness,
    ),
    Measure("impulse_psnr", "PSNR after impulses", "dB", "higher", "PSNR after impulses, as `psnr`"),
    # Obeying the poke
    Measure(
        "poke_epe", "poke-EPE", "px", "lower", "px between where the poked point is at frame T and its target",
        {"bench": ", which is the truth's own end point"},
    ),
    Measure(
        "poke_error_share", "poke-EPE by length", "", "lower",
        "poke_epe as a share of the pokes' length: 1 is the error of staying",
    ),
    Measure("poke_epe_share", "poke-EPE by length", "%", "lower", "poke_epe in % of the poke's length, mean over pokes"),
    Measure(
        "followed_epe", "poke-EPE where the tracker follows the truth", "px", "lower",
        "poke_epe of the pokes that the tracker follows in the true frames to within a third of their length; ",
        {"heldout": "the row `truth` is selected by this and no floor", "bench": "`oracle` is selected by this and no floor"},
    ),
    Measure(
        "pck", "PCK", "", "higher", "share of ",
        {
            "heldout": f"pokes longer than {CORRECT_WITHIN:.0%} of the side whose point is that near to its target at frame T",
            "bench": f"the poked points that are within {100 * CORRECT_WITHIN:.0f} % of the side from their targets at T; over "
            f"shifts that were to go {100 * FAR:.0f} % of the side or farther, because after a shorter one standing still is "
            "near enough",
        }, span=SHARE,
    ),
    Measure(
        "halfway_epe", "EPE half way", "px", "lower",
        "px between where the poked point is at frame T/2 and where the truth has it then", {"heldout": ", both tracked"},
    ),
    Measure(
        "hold_epe", "EPE at the end", "px", "lower",
        "px between the poked point at the last frame and where the truth has it then: shifts are held",
    ),
    Measure(
        "poke_length", "poke length", "px", "neither", "px, the mean length of the pokes",
        {"bench": ", all shifts: the poke_epe of staying where one is"},
    ),
    # Moving along
    Measure(
        "response_epe", "response-EPE", "px", "lower", "px of error of the motion to frame T ",
        {
            "heldout": "tracked against the store's flow, over foreground farther than "
            f"{TOUCHED_RADIUS:.0%} of the side from the poke",
            "bench": f"of the visible object, without what is within {100 * TOUCHED_RADIUS:.0f} % of the side of the poke, "
            "which a dragged patch of pixels gets right without knowing of objects",
        },
    ),
    Measure(
        "response", "response", "px", "neither",
        "px that the pixels of response_epe move on average; the row `exact` has the true value",
    ),
    Measure(
        "diff_epe", "diff-EPE", "px", "lower",
        "px of error of the difference between two shifts' futures at T, over all pairs, visible object",
    ),
    Measure(
        "rank", "rank correlation", "", "higher", "Spearman's correlation ",
        {
            "bench": "of the response with the poke's length, along one direction at one point; 0: the response does not vary; "
            "the row `exact` has the truth's own value, which may be below 1: what is far from a poke need not move the more, "
            "the longer it is",
            "structure": "with the exact map by the same measure, over the object",
        }, span=(-1.0, 1.0),
    ),
    Measure(
        "impulse_epe", "EPE after impulses", "px", "lower",
        "px of error of the motion of the visible object after an impulse, mean of the frames T/2 and T",
    ),
    # Leaving the rest alone
    Measure(
        "background", "background", "px", "lower", "px that ",
        {
            "heldout": "pixels outside the foreground move by frame T",
            "bench": "the visible surroundings of the object move by T",
        },
    ),
    Measure(
        "ignored_poke", "ignored poke", "px", "lower", "px that the whole picture moves by ",
        {"heldout": "frame T when its background is poked", "bench": "the last frame when its background is poked"},
    ),
    Measure(
        "rest_drift", "drift at rest", "px", "lower",
        "px that the object moves by the last frame under a shift of no length and without any poke",
    ),
    Measure(
        "long_drift", "long drift", "px", "lower",
        f"px that the object moves by frame {LONG_FRAMES} without any poke; on the first {LONG_SCENES} scenes of each family, "
        "and only of players, since the truth ends before",
    ),
    # Distances of distributions
    *(
        Measure(name, name, "", "lower", "Frechet distance to random real clips")
        for name in (I3DFeatures.name, MoViNetFeatures.name, TrackFeatures.name)
    ),
    # Scores of correlation maps against true parts
    Measure(
        "auc_object", "AUC on the object", "", "higher",
        "area under the ROC curve of \"belongs to l's part\", over the object's pixels; 0.5 is chance", span=SHARE,
    ),
    Measure("auc_all", "AUC", "", "higher", "auc_object over all pixels, most of which are background", span=SHARE),
    Measure(
        "iou_otsu", "IoU by Otsu", "", "higher",
        "IoU of the part with what lies above Otsu's threshold of the heat on the object (mean over points: mIoU)", span=SHARE,
    ),
    Measure(
        "iou_best", "best IoU", "", "higher", "iou_otsu at the best threshold, which nobody knows: an upper bound", span=SHARE,
    ),
    Measure(
        "together", "AUC of moving together", "", "higher",
        'AUC of "moves with l in truth" (heat of the exact map above 0.5), over the object', span=SHARE,
    ),
    # Kinds of correlation maps
    Measure(
        "variance", "variance", "", "lower", "variance over the pokes of the motion's difference from the poke (Sec. 4.2)",
        {}, correlation.motion_variance,
    ),
    Measure(
        "mean-square", "mean square", "", "lower",
        "mean square over the pokes of the same difference, which forgives a lost track", {}, correlation.mean_square,
    ),
    Measure(
        "signed-response", "signed response", "", "higher",
        "mean over the pokes of the motion along the poke, as a share of its length: 1 follows, 0 is still, -1 is opposite",
        {}, correlation.signed_response, follows=1.0, span=(-math.inf, math.inf),
    ),
    # Responses to impulses
    Measure(
        "peak", "peak", "px", "neither", "px, the largest mean displacement of the object from frame 0, over frames 1 ... T",
    ),
    Measure("end", "end", "px", "neither", "px, the mean displacement of the object at frame T"),
    Measure(
        "end_share", "end by peak", "", "neither",
        "at frame T relative to the peak: 0 is back at rest, 1 is still at its farthest", span=SHARE,
    ),
    Measure(
        "late_share", "late by peak", "", "neither",
        f"the largest of the last {LATE} frames relative to the peak: swinging through rest does not count as rest", span=SHARE,
    ),
    Measure("returned", "returned", "", "neither", f"share of pokes whose late_share is below {RETURNED:g}", span=SHARE),
)  # fmt: skip
MEASURES: Mapping[str, Measure] = {measure.name: measure for measure in _TABLE}
REPORTS: Mapping[ReportName, tuple[str, ...]] = {  # report -> its measures, in its order
    "heldout": (
        "psnr", "ssim", "lpips_vgg", "lpips_alex", "lpips", "sharpness", "poke_epe", "poke_error_share", "followed_epe",
        "pck", "halfway_epe", "poke_length", "response_epe", "background", "ignored_poke",
    ),
    "distances": (I3DFeatures.name, MoViNetFeatures.name, TrackFeatures.name),
    "bench": (
        "poke_epe", "poke_epe_share", "followed_epe", "pck", "halfway_epe", "hold_epe", "response_epe", "response",
        "poke_length", "diff_epe", "rank", "background", "ignored_poke", "rest_drift", "long_drift", "psnr", "ssim", "lpips",
        "impulse_epe", "impulse_psnr",
    ),
    "structure": ("auc_object", "auc_all", "iou_otsu", "iou_best", "rank", "together"),
    "maps": ("variance", "mean-square", "signed-response"),
    "impulse": ("peak", "end", "end_share", "late_share", "returned"),
}  # fmt: skip


def columns(report: ReportName) -> dict[str, str]:
    """Columns of a report in its order, with their meanings there."""
    measures = (MEASURES[name] for name in REPORTS[report])
    return {measure.name: measure.definition + measure.notes.get(report, "") for measure in measures}


def of_frames(
    report: ReportName, x_hat: Float[Tensor, "*b t 3 h w"], x: Float[Tensor, "*b t 3 h w"]
) -> dict[str, Float[Tensor, "*b"]]:
    """Values of a report's measures of frames, in [-1, 1], by name."""
    measures = (MEASURES[name] for name in REPORTS[report])
    return {measure.name: measure.function(x_hat, x) for measure in measures if measure.function is not None}
