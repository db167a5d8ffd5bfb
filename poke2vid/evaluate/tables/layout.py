"""A table in the paper's layout, as Markdown, LaTeX and JSON."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from poke2vid.evaluate.report import table
from poke2vid.files import without_nan
from poke2vid.measures.statistics import Interval, shown


@dataclass(frozen=True)
class Cell:
    """One number of a table.

    Attributes:
        interval: the mean over training seeds and clips, and its 95 % interval over videos; None where there is none.
        seeds: the value of every training seed on its own.
        clips: number of clips it was measured on.
        published: the paper's number, if the data are the paper's; it prints two decimals everywhere.
        note: reason why there is no number.
    """

    interval: Interval | None = None
    seeds: tuple[float, ...] = ()
    clips: int = 0
    published: float | None = None
    note: str = ""

    def markdown(self) -> str:
        if self.interval is not None:
            return f"{self.interval}{self._each()}{self._paper()}"
        return self._absent() + self._paper()

    def latex(self) -> str:
        if self.interval is None:
            return escaped(self._absent()) + self._paper()
        mean, *bounds = str(self.interval).split(" ", 1)
        return "".join([mean, *(f" {{\\scriptsize {bound}}}" for bound in bounds), self._each(), self._paper()])

    def _absent(self) -> str:
        return self.note or ("--" if self.published is not None else "")

    def _each(self) -> str:
        return f" ({', '.join(map(shown, self.seeds))})" if len(self.seeds) > 1 else ""

    def _paper(self) -> str:
        return f"; paper {self.published:.2f}" if self.published is not None else ""


@dataclass(frozen=True)
class Line:
    """One row; `marks` is a warning beside its label, such as that it has not converged."""

    label: str
    cells: dict[str, Cell]
    marks: str = ""


@dataclass(frozen=True)
class Table:
    """One table to print.

    Attributes:
        columns: column -> its heading.
        by_measure: True swaps lines and columns, as Tab. 2 does.
        notes: sentences below the table.
    """

    number: int
    caption: str
    columns: dict[str, str]
    lines: tuple[Line, ...]
    notes: tuple[str, ...]
    by_measure: bool = False

    def to_json(self) -> dict[str, Any]:
        """JSON values; null for what could not be measured."""
        found = without_nan(asdict(self))
        assert isinstance(found, dict)
        return found

    def to_markdown(self) -> str:
        heads, body = self._grid("markdown")
        rows = table(["", *heads], [[label, *cells] for label, cells in body])
        return "\n".join([f"## {self.caption}", "", *rows, "", *(f"- {note}" for note in self.notes), ""])

    def to_latex(self) -> str:
        """A `table` with booktabs' rules; its notes stand below it, in plain sight."""
        heads, body = self._grid("latex")
        return "\n".join([
            r"\begin{table}",
            rf"\caption{{{escaped(self.caption)}}}",
            rf"\begin{{tabular}}{{l{'r' * len(heads)}}}",
            r"\toprule",
            " & ".join(["", *map(escaped, heads)]) + r" \\",
            r"\midrule",
            *(" & ".join([escaped(label), *cells]) + r" \\" for label, cells in body),
            r"\bottomrule",
            r"\end{tabular}",
            r"\par\footnotesize",
            *(rf"{escaped(note.rstrip('.'))}.\par" for note in self.notes),
            r"\end{table}",
            "",
        ])  # fmt: skip

    def _grid(self, form: str) -> tuple[list[str], list[tuple[str, list[str]]]]:
        """Headings, and lines of a label and its cells' texts."""

        def shown(cell: Cell) -> str:
            return cell.markdown() if form == "markdown" else cell.latex()

        marked = " *{}*" if form == "markdown" else " ({})"
        labels = [line.label + (marked.format(line.marks) if line.marks else "") for line in self.lines]
        if self.by_measure:
            body = [(head, [shown(line.cells[column]) for line in self.lines]) for column, head in self.columns.items()]
            return labels, body
        body = [
            (label, [shown(line.cells[column]) for column in self.columns])
            for label, line in zip(labels, self.lines, strict=True)
        ]
        return list(self.columns.values()), body


def escaped(text: str) -> str:
    """Escapes plain text for LaTeX."""
    special = {
        "\\": r"\textbackslash{}", "_": r"\_", "&": r"\&", "%": r"\%", "#": r"\#", "$": r"\$", "{": r"\{", "}": r"\}",
        "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "↓": r"$\downarrow$", "↑": r"$\uparrow$", "<": "$<$", ">": "$>$",
    }  # fmt: skip
    return "".join(special.get(character, character) for character in text)


def joined(tables: Sequence[Table], head: str) -> str:
    """Markdown of several tables one below the other."""
    return "\n".join([head, "", *(one.to_markdown() for one in tables)])
