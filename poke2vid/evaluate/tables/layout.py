"""A table in the paper's layout, as Markdown, LaTeX and JSON."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from poke2vid.evaluate.statistics import Interval


@dataclass(frozen=True)
class Cell:
    """One number.

    Attributes:
        interval: the mean over training seeds and clips, and its 95 % interval over videos; None where there is none.
        seeds: the value of every training seed on its own.
        clips: it was measured on.
        published: the paper's, where the data are the paper's.
        note: why there is no number.
    """

    interval: Interval | None = None
    seeds: tuple[float, ...] = ()
    clips: int = 0
    published: float | None = None
    note: str = ""

    def markdown(self) -> str:
        said = self.note or "" if self.interval is None else str(self.interval)
        if len(self.seeds) > 1:
            said += f" ({', '.join(f'{value:.3g}' for value in self.seeds)})"
        return f"{said}; paper {self.published:g}" if self.published is not None else said

    def latex(self) -> str:
        if self.interval is None:
            said = "--"
        else:
            mean, low, high = (f"{value:.3g}" for value in (self.interval.mean, self.interval.low, self.interval.high))
            said = f"{mean} {{\\scriptsize[{low}, {high}]}}"
        return f"{said} ({self.published:g})" if self.published is not None else said


@dataclass(frozen=True)
class Line:
    """One row; `marks` says beside its label what must be known of it, such as that it has not converged."""

    label: str
    cells: dict[str, Cell]
    marks: str = ""


@dataclass(frozen=True)
class Table:
    """What is printed.

    Attributes:
        columns: column -> its heading.
        by_measure: True prints a line for every column and a column for every line, as Tab. 2 does.
        notes: sentences below.
    """

    number: int
    caption: str
    columns: dict[str, str]
    lines: tuple[Line, ...]
    notes: tuple[str, ...]
    by_measure: bool = False

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def to_markdown(self) -> str:
        heads, body = self._grid("markdown")
        rows = ["| | " + " | ".join(heads) + " |", "|---" * (len(heads) + 1) + "|"]
        rows += [f"| {label} | " + " | ".join(cells) + " |" for label, cells in body]
        return "\n".join([f"## {self.caption}", "", *rows, "", *(f"- {note}" for note in self.notes), ""])

    def to_latex(self) -> str:
        """A `tabular` with booktabs' rules; notes as comments."""
        heads, body = self._grid("latex")
        return "\n".join(
            [
                *(f"% {note}" for note in self.notes),
                f"\\begin{{tabular}}{{l{'r' * len(heads)}}}",
                "\\toprule",
                " & ".join(["", *map(_escaped, heads)]) + " \\\\",
                "\\midrule",
                *(" & ".join([_escaped(label), *cells]) + " \\\\" for label, cells in body),
                "\\bottomrule",
                "\\end{tabular}",
                "",
            ]
        )

    def _grid(self, form: str) -> tuple[list[str], list[tuple[str, list[str]]]]:
        """Headings, and lines of a label and what stands in its cells."""

        def shown(cell: Cell) -> str:
            return cell.markdown() if form == "markdown" else cell.latex()

        labels = [line.label + (f" *{line.marks}*" if line.marks and form == "markdown" else "") for line in self.lines]
        if self.by_measure:
            body = [(head, [shown(line.cells[column]) for line in self.lines]) for column, head in self.columns.items()]
            return labels, body
        body = [
            (label, [shown(line.cells[column]) for column in self.columns])
            for label, line in zip(labels, self.lines, strict=True)
        ]
        return list(self.columns.values()), body


def _escaped(text: str) -> str:
    for plain, written in (("\\", r"\textbackslash{}"), ("_", r"\_"), ("&", r"\&"), ("%", r"\%"), ("#", r"\#")):
        text = text.replace(plain, written)
    return text


def joined(tables: Sequence[Table], head: str) -> str:
    """Several tables one below the other."""
    return "\n".join([head, "", *(table.to_markdown() for table in tables)])
