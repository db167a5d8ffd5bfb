"""Pieces that all reports share: tables and legends in Markdown, files of Markdown and JSON."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from poke2vid.files import atomic, write_json
from poke2vid.measures.table import ReportName, columns


@runtime_checkable
class Report(Protocol):
    """A report for people (Markdown) and for programs (JSON)."""

    def to_json(self) -> dict[str, Any]: ...
    def to_markdown(self) -> str: ...


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """Lines of a Markdown table."""
    lines = [f"| {' | '.join(map(str, row))} |" for row in (head, *rows)]
    return [lines[0].replace("|  |", "| |"), "|---" * len(head) + "|", *lines[1:]]


def row_table(columns: Sequence[str], rows: Mapping[str, Mapping[str, object]], corner: str = "") -> list[str]:
    """Lines of a Markdown table of rows by name, with a heading of the names; what a row lacks is empty."""
    return table([corner, *columns], [[name, *(row.get(c, "") for c in columns)] for name, row in rows.items()])


def legend(report: ReportName, shown: Iterable[str] | None = None) -> list[str]:
    """Lines of a report's columns with their meanings: of those shown, or of all."""
    meanings = columns(report)
    return [f"- `{column}`: {meanings[column]}" for column in (meanings if shown is None else shown)]


def write_text(path: Path, text: str) -> None:
    """Writes a text file atomically."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_report(report: Report, folder: Path) -> None:
    """Writes report.md for people and report.json for programs."""
    write_json(folder / "report.json", report.to_json())
    write_text(folder / "report.md", report.to_markdown())
