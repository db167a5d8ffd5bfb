"""The paper's tables as data: their rows with the model of each, and their columns."""

from dataclasses import dataclass, field

from poke2vid.baselines.systems import SYSTEMS
from poke2vid.measures.table import REPORTS

FVD, MOVINET, TRACKS = REPORTS["distances"]


@dataclass(frozen=True)
class Suite:
    """One table.

    Attributes:
        rows: label, as the paper has it -> a key of `presets.ABLATIONS` or `SYSTEMS`, or "full".
        beside: rows that the paper lacks, in the same form.
        columns: the paper's own; ours that the paper lacks come after them.
        resolution: of the paper's frames in this table, in pixels.
        rows_are_methods: False if the paper has one line per measure instead (Tab. 2).
    """

    number: int
    caption: str
    rows: dict[str, str]
    columns: tuple[str, ...]
    resolution: int
    rows_are_methods: bool = True
    beside: dict[str, str] = field(default_factory=dict)

    @property
    def all_columns(self) -> tuple[str, ...]:
        return (*self.columns, *(column for column in BEYOND if column not in self.columns))

    @property
    def compares_systems(self) -> bool:
        """True where systems of others have rows."""
        return not SYSTEMS.keys().isdisjoint(self.all_rows.values())

    @property
    def all_rows(self) -> dict[str, str]:
        return self.rows | self.beside


BEYOND = (  # our columns that the paper lacks, after its own
    "lpips_vgg", "psnr", "ssim", "lpips_alex", "lpips", MOVINET, TRACKS, "poke_epe", "followed_epe", "response_epe",
    "background",
)  # fmt: skip
PAINTED = {"Ours, the paper's G": "painted"}  # where the base has a motion decoder; else the same model twice
SUITES: dict[int, Suite] = {
    1: Suite(
        1, "Comparison with video prediction (Tab. 1)",
        {"SAVP": "savp", "IVRNN": "ivrnn", "SRVP": "srvp", "Ours": "full"}, (FVD,), 64,
        beside=PAINTED,
    ),
    2: Suite(
        2, "Comparison with controlled video synthesis (Tab. 2)",
        {"Ours": "full", "Hao et al.": "hao"}, (FVD, "lpips_vgg", "psnr", "ssim"), 128, rows_are_methods=False,
        beside=PAINTED,
    ),
    3: Suite(
        3, "Ablations (Tab. 3)",
        {
            "Ours RNN": "bottleneck_rnn", "Ours w/o L_traj": "no_trajectory_loss", "Ours (single)": "single_stage",
            "Ours full": "full",
        },
        ("lpips_vgg", "psnr", FVD), 64,
    ),
    4: Suite(
        4, "Order N of the modelled derivative (Tab. 4)",
        {"N = 1": "depth1", "N = 2": "depth2", "Ours (N = 3)": "depth3"},
        ("lpips_vgg", "psnr", FVD), 64,
    ),
}  # fmt: skip
