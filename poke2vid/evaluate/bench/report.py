"""Report of a benchmark: every column for every player, over all scenes and by family, with intervals over scenes."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from poke2vid.evaluate.bench.measure import COLUMNS, Sample
from poke2vid.evaluate.bench.plots import bars, curves
from poke2vid.files import atomic, write_json
from poke2vid.measures.statistics import Interval, cluster_mean
from poke2vid.media.pictures import write_picture
from poke2vid.players.named import REFERENCES
from poke2vid.types import InputError

OVERALL = "all"  # the scope of all families together
PAIRED = {  # column -> its name for people
    "poke_epe": "poke-EPE",
    "followed_epe": "poke-EPE where the tracker follows the truth",
    "response_epe": "response-EPE",
}
FOLLOWED = (
    100 / 3
)  # % of a poke's length: a point that the tracker misses by more in the true frames counts as not followed
BEATEN = ("copy", "shift-patch")  # references that every other row is compared with
ROWS = {
    "shift-patch": "the pixels around the poke, dragged along (a Gaussian, sigma 10 % of the side)",
    "copy": "the first frame, repeated",
    "oracle": "the true frames through the same tracker: the noise floor",
    "exact": "the exact flow instead of a tracked one: 0 where a column is an error, and elsewhere the truth's own value",
}
_TRUTH = {"oracle": "truth, tracked", "exact": "truth"}  # names of those rows in plots
Results = Mapping[str, Mapping[str, Sequence[Sample]]]  # player -> scene -> samples


@dataclass(frozen=True)
class Cell:
    """A mean, its 95 % interval over resampled scenes, and its numbers of values and of scenes."""

    interval: Interval
    samples: int
    scenes: int

    @staticmethod
    def of(values: Sequence[tuple[str, float]], seed: int) -> "Cell":
        """Cell of (scene, value) pairs, at least one."""
        scenes, numbers = [scene for scene, _ in values], [value for _, value in values]
        return Cell(cluster_mean(numbers, scenes, seed), len(values), len(set(scenes)))

    def to_json(self) -> dict[str, float]:
        return {**asdict(self.interval), "samples": self.samples, "scenes": self.scenes}

    @staticmethod
    def from_json(values: Mapping[str, Any]) -> "Cell":
        interval = Interval(values["mean"], values["low"], values["high"])
        return Cell(interval, values["samples"], values["scenes"])


Row = dict[str, Cell]


@dataclass(frozen=True)
class BenchReport:
    """Results of a benchmark.

    Attributes:
        about: settings of the measurement.
        rows: "all" or family -> player -> column -> cell. Columns that a player was not asked are missing.
        differences: player -> reference -> column -> cell of player minus reference, poke by poke: below 0 is better.
        responses: "all" or family -> player -> for every length of shifts (mean length, mean response of the untouched
            object), both in pixels.
    """

    about: dict[str, Any]
    rows: dict[str, dict[str, Row]]
    differences: dict[str, dict[str, Row]]
    responses: dict[str, dict[str, list[tuple[float, float]]]]

    @property
    def players(self) -> list[str]:
        """Names of the scored players; without any, a reference that plays."""
        return [name for name in self.rows[OVERALL] if name not in REFERENCES] or ["shift-patch"]

    @property
    def scopes(self) -> list[str]:
        """All scenes, then every family if there are several."""
        families = [scope for scope in self.rows if scope != OVERALL]
        return [OVERALL, *(families if len(families) > 1 else [])]

    def verdict(self, player: str) -> str:
        """Sentence that compares a player's main columns with the references' and with the noise floor."""
        compared = [self._compared(player, column) for column in ("poke_epe", "response_epe")]
        known = [text for text in compared if text]
        return f"`{player}`: {'; '.join(known) if known else 'was not asked any shift'}."

    def _compared(self, player: str, column: str) -> str | None:
        rows, differences = self.rows[OVERALL], self.differences[player]
        if column not in rows[player]:
            return None
        beside = [
            f"{_verdict(cells[column].interval)} {name} ({rows[name][column].interval.mean:.3g})"
            for name, cells in differences.items()
            if column in cells
        ]
        floor = f"where the tracker errs by {rows['oracle'][column].interval.mean:.3g} on the true frames"
        return f"{PAIRED[column]} {rows[player][column].interval.mean:.3g} px, {' and '.join(beside)}, {floor}"

    @property
    def summary(self) -> str:
        """One line for a log."""
        rows, scenes, shown = self.rows[OVERALL], self.about["scenes"], self.players
        beside = [name for name in (*BEATEN, "oracle") if name not in shown]

        def values(column: str) -> str:
            def mean(name: str) -> str:
                return f"{rows[name][column].interval.mean:.3g}" if column in rows[name] else "-"

            return ", ".join(f"{name} {mean(name)}" for name in (*shown, *beside))

        obeyed, understood = values("poke_epe"), values("response_epe")
        return f"{self.about['bench']}, {scenes} scenes: poke-EPE {obeyed} px; response-EPE {understood} px"

    def to_json(self) -> dict[str, Any]:
        return {
            "about": self.about,
            "columns": COLUMNS,
            "rows": {scope: _rows_json(rows) for scope, rows in self.rows.items()},
            "differences": {player: _rows_json(rows) for player, rows in self.differences.items()},
            "responses": self.responses,
        }

    @staticmethod
    def from_json(values: Mapping[str, Any]) -> "BenchReport":
        """The inverse of `to_json`."""
        return BenchReport(
            dict(values["about"]),
            {scope: _rows_from(rows) for scope, rows in values["rows"].items()},
            {player: _rows_from(rows) for player, rows in values["differences"].items()},
            {
                scope: {player: [(x, y) for x, y in points] for player, points in rows.items()}
                for scope, rows in values["responses"].items()
            },
        )

    def to_markdown(self) -> str:
        lines = ["# PokeBench", "", *(f"{self.verdict(name)}\n" for name in self.players)]
        about = ", ".join(
            f"{key.replace('_', ' ')} {value}" for key, value in self.about.items() if key != "acceptance"
        )
        lines += [f"Measured on: {about}.", ""]
        if self.about.get("acceptance"):
            lines += [f"How the bench came about: {self.about['acceptance']}.", ""]
        lines += [
            "Means with 95 % intervals, by resampling scenes. An empty cell: not measured, because the player was not"
        ]
        lines += ["trained on such pokes, weights are missing, a row has no frames, or nothing varies.", ""]
        for scope in self.scopes:
            title = "All scenes" if scope == OVERALL else scope.capitalize()
            lines += [f"## {title}", "", *_table(self.rows[scope]), ""]
        lines += ["## Differences", "", "Player minus reference, poke by poke; below 0 the player is better.", ""]
        lines += ["| player | reference | " + " | ".join(PAIRED) + " |", "|---" * (2 + len(PAIRED)) + "|"]
        for player, row in self.differences.items():
            for reference, cells in row.items():
                shown = " | ".join(str(cells[c].interval) if c in cells else "" for c in PAIRED)
                lines.append(f"| {player} | {reference} | {shown} |")
        lines += ["", "## Legend", "", *(f"- `{row}`: {text}" for row, text in ROWS.items())]
        lines += [f"- `{column}`: {text}" for column, text in COLUMNS.items()]
        return "\n".join([*lines, ""])

    def write(self, folder: Path) -> None:
        """Writes report.md for people, report.json for programs, and plots: response.png and bars of PAIRED's columns.

        If there are several families, each has plots of its own: response-plants.png ...
        """
        write_json(folder / "report.json", self.to_json())
        with atomic(folder / "report.md") as temporary:
            temporary.write_text(self.to_markdown(), encoding="utf-8")
        for scope in self.scopes:
            self._plot(folder, scope)

    def _plot(self, folder: Path, scope: str) -> None:
        end, of = ("", "all scenes") if scope == OVERALL else (f"-{scope}", scope)
        if any(self.responses[scope].values()):
            title = f"motion of the object away from the poke, px: {of}"
            named = {_TRUTH.get(player, player): points for player, points in self.responses[scope].items()}
            sheet = curves(named, "length of the poke, px", title)
            write_picture(folder / f"response{end}.png", sheet)
        for column, name in PAIRED.items():
            cells = {player: row[column] for player, row in self.rows[scope].items() if column in row}
            without = {player: cell.interval for player, cell in cells.items() if player != "exact"}  # 0 by definition
            shown = {_TRUTH.get(player, player): interval for player, interval in without.items()}
            if shown:
                title = f"{name}, px: {of}, {max(cell.scenes for cell in cells.values())} scenes"
                write_picture(folder / f"{column}{end}.png", bars(shown, title))


def read_report(folder: Path) -> BenchReport:
    """Reads the report that `BenchReport.write` wrote; raises InputError if there is none or it is damaged."""
    file = folder / "report.json"
    try:
        return BenchReport.from_json(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{file} is missing or damaged; run `poke2vid bench run` again.") from error


def summarise(results: Results, families: Mapping[str, str], about: Mapping[str, Any], seed: int) -> BenchReport:
    """Report of all results; `families` maps scene names to families."""
    results, scopes = _with_followed(results), {OVERALL: set(families)}
    for family in sorted(set(families.values())):
        scopes[family] = {scene for scene, of in families.items() if of == family}
    rows = {
        scope: {player: _row(scenes, within, seed) for player, scenes in results.items()}
        for scope, within in scopes.items()
    }
    differences = {
        player: {
            reference: _difference(scenes, results[reference], seed) for reference in BEATEN if reference != player
        }
        for player, scenes in results.items()
        if player not in ("copy", "exact")
    }
    responses = {
        scope: {player: _responses(scenes, within) for player, scenes in results.items()}
        for scope, within in scopes.items()
    }
    return BenchReport(dict(about), rows, differences, responses)


def _with_followed(results: Results) -> Results:
    """Adds `followed_epe` where, by the oracle, the tracker can follow the poked point; on thin parts it often cannot.

    The choice depends on truth and tracker alone, so it is the same for every player.
    """
    seen = {key for key, share in _values(results["oracle"], "poke_epe_share").items() if share <= FOLLOWED}

    def judged(scene: str, sample: Sample) -> Sample:
        if (scene, sample.pokes) not in seen or "poke_epe" not in sample.values:
            return sample
        return replace(sample, values={**sample.values, "followed_epe": sample.values["poke_epe"]})

    return {
        player: {scene: [judged(scene, sample) for sample in samples] for scene, samples in scenes.items()}
        for player, scenes in results.items()
    }


def _values(scenes: Mapping[str, Sequence[Sample]], column: str) -> dict[tuple[str, tuple[int, ...]], float]:
    """Values of a column where it was measured: (scene, pokes) -> value."""
    return {
        (scene, sample.pokes): sample.values[column]
        for scene, samples in scenes.items()
        for sample in samples
        if column in sample.values
    }


def _row(scenes: Mapping[str, Sequence[Sample]], within: set[str], seed: int) -> Row:
    row = {}
    for column in COLUMNS:
        values = [(scene, value) for (scene, _), value in _values(scenes, column).items() if scene in within]
        if values:
            row[column] = Cell.of(values, seed)
    return row


def _difference(
    player: Mapping[str, Sequence[Sample]], reference: Mapping[str, Sequence[Sample]], seed: int
) -> Row:  # fmt: skip
    """Player minus reference over the pokes that both played; pairs stay together when scenes are resampled."""
    row = {}
    for column in PAIRED:
        ours, theirs = _values(player, column), _values(reference, column)
        values = [(key[0], ours[key] - theirs[key]) for key in ours if key in theirs]
        if values:
            row[column] = Cell.of(values, seed)
    return row


def _responses(scenes: Mapping[str, Sequence[Sample]], within: set[str]) -> list[tuple[float, float]]:
    """Pairs (mean length, mean response) of the shifts of every asked length, in pixels, shortest first."""
    groups: dict[float, list[tuple[float, float]]] = {}
    for sample in (sample for scene in sorted(within) for sample in scenes[scene]):
        if "response" in sample.values:
            pair = (sample.values["poke_length"], sample.values["response"])
            groups.setdefault(sample.length, []).append(pair)
    means = [np.mean(groups[length], axis=0) for length in sorted(groups)]
    return [(float(x), float(y)) for x, y in means]


def _table(rows: Mapping[str, Row]) -> list[str]:
    """Table with one line per column, because there are more columns than players, and its number of values."""
    lines = ["| | " + " | ".join(rows) + " | values |", "|---" * (len(rows) + 2) + "|"]
    for column in COLUMNS:
        cells = [row.get(column) for row in rows.values()]
        if any(cells):
            shown = " | ".join("" if cell is None else str(cell.interval) for cell in cells)
            lines.append(f"| {column} | {shown} | {max(cell.samples for cell in cells if cell)} |")
    return lines


def _verdict(difference: Interval) -> str:
    """Words for a difference: below 0 the player is better; 95 % intervals that hold 0 decide nothing."""
    if difference.high < 0:
        return "better than"
    return "worse than" if difference.low > 0 else "not told apart from"


def _rows_json(rows: Mapping[str, Row]) -> dict[str, Any]:
    return {name: {column: cell.to_json() for column, cell in row.items()} for name, row in rows.items()}


def _rows_from(rows: Mapping[str, Any]) -> dict[str, Row]:
    return {name: {column: Cell.from_json(cell) for column, cell in row.items()} for name, row in rows.items()}
