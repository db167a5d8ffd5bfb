"""Pieces that all reports share: tables and legends in Markdown, rows of intervals in JSON, files of both."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
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


def legend(report: ReportName, shown: Iterable[str] | None = None) -> list[str]:
    """Lines of a report's columns with their meanings: of those shown, or of all."""
    meanings = columns(report)
    return [f"- `{column}`: {meanings[column]}" for column in (meanings if shown is None else shown)]


def by_column(row: Mapping[str, Any]) -> dict[str, Any]:
    """JSON values of a row of dataclasses, such as intervals."""
    return {column: asdict(value) for column, value in row.items()}


def write_text(path: Path, text: str) -> None:
    """Writes a text file atomically."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_report(report: Report, folder: Path) -> None:
    """Writes report.md for people and report.json for programs."""
    write_json(folder / "report.json", report.to_json())
    write_text(folder / "report.md", report.to_markdown())
