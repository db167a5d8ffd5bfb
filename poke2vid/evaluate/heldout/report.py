"""Report of rows on one set of clips: scores, and distances to random real clips."""

from dataclasses import asdict, dataclass
from typing import Any

from poke2vid.evaluate.heldout.distances import Distance, Floor
from poke2vid.evaluate.heldout.rows import Measured
from poke2vid.evaluate.report import legend, row_table
from poke2vid.files import without_nan
from poke2vid.measures.statistics import FEWEST_CLUSTERS, Interval, cluster_mean, cluster_ratio
from poke2vid.measures.table import MEASURES, REPORTS, columns


@dataclass(frozen=True)
class HeldoutReport:
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
        found: dict[str, Any] = without_nan({"about": self.about, "columns": columns("heldout"), **asdict(self)})
        return found

    def to_markdown(self) -> str:
        shown = [c for c in REPORTS["heldout"] if any(c in row for row in self.rows.values())]
        brackets = "Brackets: 95 % intervals over videos."
        if self.about["videos"] < FEWEST_CLUSTERS:
            brackets = f"Brackets: none, as all clips are of fewer than {FEWEST_CLUSTERS} videos."
        apart = {name: {c: found.interval for c, found in row.items()} for name, row in self.distances.items()}
        families = [
            f"- {column}: {family}" + (f"; {self.floors[column].sentence()}" if column in self.floors else "")
            for column, family in self.families.items()
        ]
        about = [f"- {k}: {v}" for k, v in self.about.items() if v not in ("", {}) and k not in ("judges", "rows")]
        return "\n".join([
            *row_table(shown, self.rows), "", brackets, "",
            *row_table([*self.families], apart, "Frechet distance to random real clips"), "", *families, "",
            *legend("heldout", shown), "", "Measured on:", "", *about, "",
        ])  # fmt: skip


def summarised(measured: Measured, seed: int = 0) -> dict[str, Interval]:
    """Means and intervals of the columns that a row has."""
    values = {column: numbers.tolist() for column, numbers in measured.values.items()}
    found = {c: cluster_mean(values[c], measured.videos, seed) for c in REPORTS["heldout"] if c in values}
    if "poke_epe" in values:
        found["poke_error_share"] = cluster_ratio(values["poke_epe"], values["poke_length"], measured.videos, seed)
    return {column: found[column].within(MEASURES[column].span) for column in REPORTS["heldout"] if column in found}
