"""Numbers of a table's cells: a row's own, and those by which two rows differ on the same clips."""

import numpy as np

from poke2vid.evaluate.heldout.distances import difference as apart
from poke2vid.evaluate.heldout.distances import mean_interval
from poke2vid.evaluate.tables.layout import Cell
from poke2vid.evaluate.tables.order import Results
from poke2vid.measures.statistics import cluster_mean
from poke2vid.measures.table import MEASURES, REPORTS


def cell(results: Results, name: str, column: str) -> Cell:
    """Mean of a row, over its training seeds, or the reason why there is none."""
    rows = results.rows(name)
    if column in REPORTS["distances"]:
        found = [row[column] for row in results.distances(name) if column in row]
        if not found:
            why = {**results.compared.left_out, **results.judges.missing}
            return Cell(note=why.get(column, "too few clips").split(":")[0])
        return Cell(mean_interval(found), tuple(d.interval.mean for d in found), found[0].generated)
    if column not in rows[0].values:
        return Cell()
    mean = np.mean([row.values[column] for row in rows], axis=0)
    each = tuple(float(np.nanmean(row.values[column])) for row in rows)
    interval = cluster_mean(mean.tolist(), rows[0].videos).within(MEASURES[column].span)
    return Cell(interval, each, int(np.isfinite(mean).sum()))


def difference(results: Results, name: str, other: str, column: str) -> Cell:
    """A row's mean minus another's, paired by clip, or a distance's by the videos that are left out."""
    if column in REPORTS["distances"]:
        ours, theirs = ([row[column] for row in results.distances(variant)] for variant in (name, other))
        return Cell(apart(ours, theirs), (), ours[0].generated)
    first, second = (np.mean([m.values[column] for m in results.rows(variant)], axis=0) for variant in (name, other))
    clips = results.rows("truth")[0].videos
    return Cell(cluster_mean((first - second).tolist(), clips), (), int(np.isfinite(first - second).sum()))
