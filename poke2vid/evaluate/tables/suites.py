"""The paper's tables as data: their rows with the model of each, and their columns."""

from dataclasses import dataclass

from poke2vid.measures.table import REPORTS

FVD, MOVINET, TRACKS = REPORTS["distances"]
UNBUILT = "no implementation here yet"


@dataclass(frozen=True)
class RowSpec:
    """One row of a table.

    Attributes:
        label: as the paper has it.
        variant: a key of `presets.ABLATIONS`, or "full"; None for a method that is not implemented here.
    """

    label: str
    variant: str | None


@dataclass(frozen=True)
class Suite:
    """One table.

    Attributes:
        columns: the paper's own; ours that the paper lacks come after them.
        resolution: of the paper's frames in this table, in pixels.
        rows_are_methods: False if the paper has one line per measure instead (Tab. 2).
    """

    number: int
    caption: str
    rows: tuple[RowSpec, ...]
    columns: tuple[str, ...]
    resolution: int
    rows_are_methods: bool = True


BEYOND = (  # our columns that the paper lacks, after its own
    "lpips_alex", "lpips", MOVINET, TRACKS, "poke_epe", "response_epe", "background",
)  # fmt: skip
SUITES: dict[int, Suite] = {
    1: Suite(
        1, "Comparison with video prediction (Tab. 1)",
        (RowSpec("SAVP", None), RowSpec("IVRNN", None), RowSpec("SRVP", None), RowSpec("Ours", "full")), (FVD,), 64,
    ),
    2: Suite(
        2, "Comparison with controlled video synthesis (Tab. 2)",
        (RowSpec("Ours", "full"), RowSpec("Hao et al.", None)), (FVD, "lpips_vgg", "psnr", "ssim"), 128, rows_are_methods=False,
    ),
    3: Suite(
        3, "Ablations (Tab. 3)",
        (
            RowSpec("Ours RNN", "bottleneck_rnn"), RowSpec("Ours w/o L_traj", "no_trajectory_loss"),
            RowSpec("Ours (single)", "single_stage"), RowSpec("Ours full", "full"),
        ),
        ("lpips_vgg", "psnr", FVD), 64,
    ),
    4: Suite(
        4, "Order N of the modelled derivative (Tab. 4)",
        (RowSpec("N = 1", "depth1"), RowSpec("N = 2", "depth2"), RowSpec("Ours (N = 3)", "depth3")),
        ("lpips_vgg", "psnr", FVD), 64,
    ),
}  # fmt: skip
