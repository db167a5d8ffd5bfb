"""Tables below a table: rows less a reference, paired by clip, and the clips alone whose poke can be judged."""

from collections.abc import Mapping, Sequence

from poke2vid.evaluate.heldout.rows import is_followed
from poke2vid.evaluate.tables.cells import cell, difference
from poke2vid.evaluate.tables.layout import Cell, Line, Table
from poke2vid.evaluate.tables.order import Results
from poke2vid.evaluate.tables.runs import FULL
from poke2vid.evaluate.tables.suites import PAINTED, Suite
from poke2vid.measures.table import MEASURES, REPORTS

STILL = "copy of x_0"
SAID = (
    "means over training seeds; an interval that holds 0 tells nothing apart; it is over videos, not over seeds",
    "distances are paired by leaving out the same tenth or so of the videos",
)
JUDGED = (
    "a poke that the tracker does not follow in the true frames may lie on what does not move: who obeys it gets another "
    "picture than the true one, who stands still risks nothing; which clips are left in is decided by truth and tracker alone",
)


def tables_below(suite: Suite, rows: Mapping[str, str], marks: Mapping[str, str], results: Results) -> list[Table]:
    """Differences to the full model; where systems are compared, also to the paper's own G and to a still picture, on all clips
    and on those judged.

    Args:
        rows: label -> variant, of the rows that are there.
        marks: label -> warning beside it.
    """
    if not suite.compares_systems:
        ablated = {label: rows[label] for label in suite.rows if label in rows}
        return [_less(suite, next(reversed(suite.rows)), "the full model", ablated, marks, results)]
    everything = {**rows, **{name: name for name in results.beside}, STILL: "copy"}
    references = [label for label, variant in everything.items() if variant in (FULL, *PAINTED.values())]
    tables = [_less(suite, label, label, everything, marks, results) for label in references]
    tables.append(_less(suite, STILL, "a still picture", everything, marks, results))
    if not is_followed(results.compared.rows["truth"]).any():
        return tables
    judged = results.followed
    columns = [c for c in _measured(suite, results) if c not in REPORTS["distances"] and c != "followed_epe"]
    own = _judged(suite, everything, marks, judged, columns)
    return [*tables, own, _less(suite, STILL, "a still picture, on those clips", everything, marks, judged, columns)]


def _judged(
    suite: Suite, rows: Mapping[str, str], marks: Mapping[str, str], judged: Results, columns: Sequence[str]
) -> Table:
    """The table again on the clips whose poke can be judged, without distances, whose features are not kept by clip."""
    lines = [
        Line(label, {c: cell(judged, name, c) for c in columns}, marks.get(label, "")) for label, name in rows.items()
    ]
    known = is_followed(judged.compared.rows["truth"])
    caption = (
        f"Table {suite.number} on the {known.sum()} of {len(known)} clips whose poke is followed in the true frames"
    )
    headings = {c: f"{MEASURES[c].title} {MEASURES[c].arrow}" for c in columns}
    return Table(suite.number, caption, headings, tuple(lines), JUDGED, by_measure=not suite.rows_are_methods)


def _measured(suite: Suite, results: Results) -> list[str]:
    """Columns of the table that a still picture has."""
    return [column for column in suite.all_columns if cell(results, "copy", column).interval is not None]


def _less(
    suite: Suite, reference: str, called: str, rows: Mapping[str, str], marks: Mapping[str, str], results: Results,
    columns: Sequence[str] | None = None,
) -> Table:  # fmt: skip
    """Every row minus a reference, paired by clips or left-out videos, so what is common to both cancels out."""
    shown = _measured(suite, results) if columns is None else columns
    there = rows if reference in rows else {}
    lines = [
        Line(f"{label} less {reference}", _apart(results, name, rows[reference], shown), marks.get(label, ""))
        for label, name in there.items()
        if label != reference
    ]  # fmt: skip
    caption = f"Table {suite.number}: differences to {called}, paired by clip"
    return Table(suite.number, caption, {c: MEASURES[c].title for c in shown}, tuple(lines), SAID)


def _apart(results: Results, name: str, reference: str, columns: Sequence[str]) -> dict[str, Cell]:
    return {column: difference(results, name, reference, column) for column in columns}
