"""Report of a benchmark: every column for every player, over all scenes and by family, with intervals over scenes."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from poke2vid.evaluate.bench.measure import Scores
from poke2vid.evaluate.plots import bars, curves
from poke2vid.evaluate.report import legend, table, write_report
from poke2vid.measures.motion import FOLLOWED_WITHIN
from poke2vid.measures.statistics import Interval, cluster_mean
from poke2vid.measures.table import MEASURES, REPORTS, columns
from poke2vid.media.pictures import write_picture
from poke2vid.players.named import REFERENCES, TRUTHS, reference_players

OVERALL = "all"  # the scope of all families together
PAIRED = ("poke_epe", "followed_epe", "response_epe")  # columns in which players are compared poke by poke
BEATEN = tuple(sorted(reference_players(arrive=1)))  # references that every other row is compared with
_TRUTH = {"oracle": "truth, tracked", "exact": "truth"}  # names of those rows in plots
Scenes = Mapping[str, Sequence[Scores]]  # scene -> scores of a player
Results = Mapping[str, Scenes]  # by player
Values = Mapping[tuple[str, tuple[int, ...]], float]  # (scene, pokes) -> value of a column


@dataclass(frozen=True)
class Average(Interval):
    """A mean, its 95 % interval over resampled scenes, and its numbers of values and of scenes."""

    samples: int
    scenes: int


Averages = dict[str, Average]  # by column


@dataclass(frozen=True)
class BenchReport:
    """Results of a benchmark.

    Attributes:
        about: settings of the measurement.
        rows: "all" or family -> player -> column -> average. Columns that a player was not asked are missing.
        differences: player -> reference -> column -> average of player minus reference, poke by poke: below 0 is better.
        responses: "all" or family -> player -> for every length of shifts (mean length, mean response of the untouched
            object), both in pixels.
    """

    about: dict[str, Any]
    rows: dict[str, dict[str, Averages]]
    differences: dict[str, dict[str, Averages]]
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
        rows, compared = self.rows[OVERALL], []
        for column in (column for column in ("poke_epe", "response_epe") if column in rows[player]):
            beside = [
                f"{_verdict(cells[column])} {name} ({rows[name][column].mean:.3g})"
                for name, cells in self.differences[player].items()
                if column in cells
            ]
            mean, floor = rows[player][column].mean, rows["oracle"][column].mean
            compared.append(
                f"{MEASURES[column].heading} {mean:.3g} px, {' and '.join(beside)}, where the tracker errs by {floor:.3g} "
                "on the true frames"
            )
        return f"`{player}`: {'; '.join(compared) if compared else 'was not asked any shift'}."

    @property
    def summary(self) -> str:
        """One line for a log."""
        rows, shown = self.rows[OVERALL], self.players
        named = [*shown, *(name for name in (*BEATEN, "oracle") if name not in shown)]

        def means(column: str) -> str:
            cells = {name: rows[name].get(column) for name in named}
            return ", ".join(f"{name} {cell.mean:.3g}" if cell else f"{name} -" for name, cell in cells.items())

        measured = f"poke-EPE {means('poke_epe')} px; response-EPE {means('response_epe')} px"
        return f"{self.about['bench']}, {self.about['scenes']} scenes: {measured}"

    def to_json(self) -> dict[str, Any]:
        return {"about": self.about, "columns": columns("bench"), **asdict(self)}

    def to_markdown(self) -> str:
        # Verdicts and settings
        lines = ["# PokeBench", "", *(f"{self.verdict(name)}\n" for name in self.players)]
        about = [f"{key.replace('_', ' ')} {value}" for key, value in self.about.items() if key != "acceptance"]
        lines += [f"Measured on: {', '.join(about)}.", ""]
        if self.about.get("acceptance"):
            lines += [f"How the bench came about: {self.about['acceptance']}.", ""]
        lines += [
            "Means with 95 % intervals, by resampling scenes. An empty cell: not measured, because the player was not",
            "trained on such pokes, weights are missing, a row has no frames, or nothing varies.", "",
        ]  # fmt: skip
        # Rows by scope, and differences
        for scope in self.scopes:
            title = "All scenes" if scope == OVERALL else scope.capitalize()
            lines += [f"## {title}", "", *_table(self.rows[scope]), ""]
        compared = [
            [player, reference, *(cells.get(c, "") for c in PAIRED)]
            for player, row in self.differences.items()
            for reference, cells in row.items()
        ]
        lines += ["## Differences", "", "Player minus reference, poke by poke; below 0 the player is better.", ""]
        lines += [*table(["player", "reference", *PAIRED], compared), "", "## Legend", ""]
        # Legend
        about_rows = {name: player.about for name, player in reference_players(arrive=1).items()} | TRUTHS
        return "\n".join([*lines, *(f"- `{row}`: {text}" for row, text in about_rows.items()), *legend("bench"), ""])

    def write(self, folder: Path) -> None:
        """Writes report.md for people, report.json for programs, and plots: response.png and bars of PAIRED's columns.

        If there are several families, each has plots of its own: response-plants.png ...
        """
        write_report(self, folder)
        for scope in self.scopes:
            self._plot(folder, scope)

    def _plot(self, folder: Path, scope: str) -> None:
        end, of = ("", "all scenes") if scope == OVERALL else (f"-{scope}", scope)
        if any(self.responses[scope].values()):
            title = f"motion of the object away from the poke, px: {of}"
            named = {_TRUTH.get(player, player): points for player, points in self.responses[scope].items()}
            sheet = curves(named, "length of the poke, px", title)
            write_picture(folder / f"response{end}.png", sheet)
        for column in PAIRED:
            cells = {player: row[column] for player, row in self.rows[scope].items() if column in row}
            shown = {_TRUTH.get(p, p): cell for p, cell in cells.items() if p != "exact"}  # 0 by definition
            if shown:
                title = f"{MEASURES[column].title}: {of}, {max(cell.scenes for cell in cells.values())} scenes"
                write_picture(folder / f"{column}{end}.png", bars(shown, title))


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
        player: {other: _difference(scenes, results[other], seed) for other in BEATEN if other != player}
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
    seen = {
        key for key, share in _values(results["oracle"], "poke_epe_share").items() if share <= 100 * FOLLOWED_WITHIN
    }

    def judged(scene: str, sample: Scores) -> Scores:
        if (scene, sample.pokes) not in seen or "poke_epe" not in sample.values:
            return sample
        return replace(sample, values={**sample.values, "followed_epe": sample.values["poke_epe"]})

    return {
        player: {scene: [judged(scene, sample) for sample in samples] for scene, samples in scenes.items()}
        for player, scenes in results.items()
    }


def _values(scenes: Scenes, column: str) -> Values:
    """Values of a column where it was measured."""
    return {
        (scene, sample.pokes): sample.values[column]
        for scene, samples in scenes.items()
        for sample in samples
        if column in sample.values
    }


def _averages(found: Mapping[str, Values], seed: int, differences: bool = False) -> Averages:
    """Averages by column of values, or of differences; a column without any is left out."""
    row = {}
    for column, values in found.items():
        if values:
            scenes = [scene for scene, _ in values]
            mean = cluster_mean([*values.values()], scenes, seed)
            mean = mean if differences else mean.within(MEASURES[column].span)
            row[column] = Average(mean.mean, mean.low, mean.high, len(values), len(set(scenes)))
    return row


def _row(scenes: Scenes, within: set[str], seed: int) -> Averages:
    kept = {scene: scores for scene, scores in scenes.items() if scene in within}
    return _averages({column: _values(kept, column) for column in REPORTS["bench"]}, seed)


def _difference(player: Scenes, reference: Scenes, seed: int) -> Averages:
    """Player minus reference over the pokes that both played; pairs stay together when scenes are resampled."""
    found = {}
    for column in PAIRED:
        ours, theirs = _values(player, column), _values(reference, column)
        found[column] = {key: ours[key] - theirs[key] for key in ours if key in theirs}
    return _averages(found, seed, differences=True)


def _responses(scenes: Scenes, within: set[str]) -> list[tuple[float, float]]:
    """Pairs (mean length, mean response) of the shifts of every asked length, in pixels, shortest first."""
    groups: dict[float, list[tuple[float, float]]] = {}
    for sample in (sample for scene in sorted(within) for sample in scenes[scene]):
        if "response" in sample.values:
            pair = (sample.values["poke_length"], sample.values["response"])
            groups.setdefault(sample.length, []).append(pair)
    means = [np.mean(groups[length], axis=0) for length in sorted(groups)]
    return [(float(x), float(y)) for x, y in means]


def _table(rows: Mapping[str, Averages]) -> list[str]:
    """Table with one line per column, because there are more columns than players, and its number of values."""
    lines = []
    for column in REPORTS["bench"]:
        cells = [row.get(column) for row in rows.values()]
        if any(cells):
            counts = max(cell.samples for cell in cells if cell)
            lines.append([column, *("" if cell is None else cell for cell in cells), counts])
    return table(["", *rows, "values"], lines)


def _verdict(difference: Interval) -> str:
    """Words for a difference: below 0 the player is better; 95 % intervals that hold 0 decide nothing."""
    if difference.high < 0:
        return "better than"
    return "worse than" if difference.low > 0 else "not told apart from"
