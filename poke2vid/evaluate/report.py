"""Evaluation report of rows on one set of clips: a table for people (Markdown) and for programs (JSON)."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from poke2vid.evaluate.distances import Distance, Floor
from poke2vid.evaluate.rows import Measured
from poke2vid.files import atomic, without_nan, write_json
from poke2vid.measures import frames as similarity
from poke2vid.measures.counterfactual import CORRECT_WITHIN, TOUCHED_RADIUS
from poke2vid.measures.statistics import Interval, cluster_mean, cluster_ratio

COLUMNS = {  # column -> its meaning, in report order
    "psnr": f"PSNR, {similarity.DEFINITIONS['psnr']}",
    "ssim": f"SSIM, {similarity.DEFINITIONS['ssim']}",
    "lpips": "LPIPS v0.1 on the network named below (the paper's is on VGG-16; another is not comparable with it), frames in "
    "[-1, 1] at their own size: mean over time, then clips",
    "sharpness": similarity.DEFINITIONS["sharpness"],
    "poke_epe": "px between where the poked point is at frame T and its target",
    "poke_error_share": "poke_epe as a share of the pokes' length: 1 is the error of staying",
    "pck": f"share of pokes longer than {CORRECT_WITHIN:.0%} of the side whose point is that near to its target at frame T",
    "halfway_epe": "px between where the poked point is at frame T/2 and where the truth has it then, both tracked",
    "poke_length": "px, the mean length of the pokes",
    "response_epe": "px between tracked motion and the store's flow to frame T, over foreground farther than "
    f"{TOUCHED_RADIUS:.0%} of the side from the poke",
    "background": "px that pixels outside the foreground move by frame T",
    "ignored_poke": "px that the picture moves by frame T when its background is poked",
}


@dataclass(frozen=True)
class Report:
    """Scores of rows on the same clips, each value with its interval.

    Attributes:
        rows: row -> column -> interval. "copy" repeats x_0; "truth" is the true clip through the same tracker.
        distances: row -> column -> distance to random real clips.
        families: column of distances -> description of its numbers, or the reason there are none.
        floors: column of distances -> their size from too few clips alone.
        about: settings of the measurement: clips, videos, seed, resolution, horizon, tracker.
    """

    rows: dict[str, dict[str, Interval]]
    distances: dict[str, dict[str, Distance]]
    families: dict[str, str]
    floors: dict[str, Floor]
    about: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """JSON values; null for what could not be measured."""
        rows = {name: {column: asdict(value) for column, value in row.items()} for name, row in self.rows.items()}
        distances = {name: {column: asdict(v) for column, v in row.items()} for name, row in self.distances.items()}
        floors = {name: asdict(floor) for name, floor in self.floors.items()}
        return without_nan(
            {
                "about": self.about, "columns": COLUMNS, "rows": rows, "distances": distances, "families": self.families,
                "floors": floors,
            }
        )  # fmt: skip

    def to_markdown(self) -> str:
        columns = [c for c in COLUMNS if any(c in row for row in self.rows.values())]
        lines = ["| | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
        for name, row in self.rows.items():
            lines.append(f"| {name} | " + " | ".join(str(row.get(c, "")) for c in columns) + " |")
        measured = [f"- {k}: {v}" for k, v in self.about.items() if v not in ("", {}) and k not in ("judges", "rows")]
        legend = [f"- `{c}`: {COLUMNS[c]}" for c in columns]
        brackets = "Brackets: 95 % intervals over videos."
        if self.about["videos"] == 1:
            brackets = "All clips are of one video, so there are no intervals."
        parts = [*lines, "", brackets, "", *self._distance_lines(), *legend]
        return "\n".join([*parts, "", "Measured on:", "", *measured, ""])

    def _distance_lines(self) -> list[str]:
        names = list(self.families)
        lines = [
            "| Frechet distance to random real clips | " + " | ".join(names) + " |",
            "|---" * (len(names) + 1) + "|",
        ]
        for name, row in self.distances.items():
            cells = [str(row[c].interval) if c in row else "" for c in names]
            lines.append(f"| {name} | " + " | ".join(cells) + " |")
        legend = [
            f"- {column}: {self.families[column]}"
            + (f"; {self.floors[column].sentence()}" if column in self.floors else "")
            for column in names
        ]
        return [*lines, "", *legend, ""]


def summarised(measured: Measured, seed: int = 0) -> dict[str, Interval]:
    """Means and intervals of the columns that a row has."""
    values = dict(measured.values)
    found = {c: cluster_mean(values[c].tolist(), measured.videos, seed) for c in COLUMNS if c in values}
    if "poke_epe" in values:
        found["poke_error_share"] = cluster_ratio(
            values["poke_epe"].tolist(), values["poke_length"].tolist(), measured.videos, seed
        )
    return {column: found[column] for column in COLUMNS if column in found}


def write_report(report: Report, folder: Path) -> None:
    """Writes report.md for people and report.json for programs."""
    write_json(folder / "report.json", report.to_json())
    with atomic(folder / "report.md") as temporary:
        temporary.write_text(report.to_markdown(), encoding="utf-8")
