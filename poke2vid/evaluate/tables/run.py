"""`poke2vid tables`: trains a table's runs, scores every row on the same clips, and prints it as the paper does."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from poke2vid import __version__
from poke2vid.baselines.baseline import BaselineConfig
from poke2vid.baselines.files import load_baseline
from poke2vid.baselines.systems import SYSTEMS
from poke2vid.data.store import Store
from poke2vid.evaluate.heldout.clips import ClipSettings, EvaluationClips
from poke2vid.evaluate.heldout.distances import Distance, difference, mean_interval
from poke2vid.evaluate.heldout.evaluate import Compared, compare
from poke2vid.evaluate.heldout.judges import Judges, find_judges
from poke2vid.evaluate.heldout.rows import Measured, Row
from poke2vid.evaluate.heldout.scoring import Plan
from poke2vid.evaluate.heldout.sources import baseline_row, model_row, player_row, reference_rows
from poke2vid.evaluate.report import write_text
from poke2vid.evaluate.tables.layout import Cell, Line, Table, joined
from poke2vid.evaluate.tables.published import DATASETS, published
from poke2vid.evaluate.tables.runs import FULL, Run, planned_run, train_all
from poke2vid.evaluate.tables.suites import BEYOND, SUITES, Suite
from poke2vid.evaluate.tables.videos import write_comparison
from poke2vid.files import without_nan, write_json
from poke2vid.measures.statistics import FEWEST_CLUSTERS, cluster_mean
from poke2vid.measures.table import MEASURES, REPORTS
from poke2vid.model.files import load_model
from poke2vid.players.named import load_players
from poke2vid.players.player import PokePlayer
from poke2vid.pretrained.features import LpipsName
from poke2vid.train.config import TrainConfig
from poke2vid.train.distributed import device_named
from poke2vid.types import InputError

SHOWN = (
    "video predictors see frames -1 and 0, one sample a clip; ours sees frame 0 and a poke; Hao et al.'s frame 0 and the "
    "true path of five points, the poked one among them; distances are over the predicted frames alone"
)
CONVERGED = 100_000  # steps; the released checkpoints have some 150,000; rows of fewer are marked as not converged


@dataclass(frozen=True)
class Order:
    """Settings of a `poke2vid tables` run.

    Attributes:
        suites: numbers of tables.
        base: settings of the full model; ablation rows take one thing away.
        seeds: number of training runs per row.
        dataset: published data set that the store holds, for the paper's numbers; None if none.
        published: train the systems of others with the published hyperparameters, not with those for two cores.
        beside: models or runs that are scored beside the rows, without training.
        jobs: number of runs trained at the same time, with one thread each.
        lpips, allow_download: as in `heldout.evaluate`.
    """

    suites: tuple[int, ...]
    base: TrainConfig
    seeds: int
    plan: Plan
    dataset: str | None = None
    published: bool = False
    beside: tuple[str, ...] = ()
    jobs: int = 1
    device: str = "cpu"
    seed: int = 0
    lpips: tuple[LpipsName, ...] | None = None
    allow_download: bool = False


@dataclass(frozen=True)
class _Results:
    """Compared rows, and the names of each variant's, one per training seed.

    Attributes:
        beside: names of the rows that were not trained for the tables.
        clips: settings of the clips.
    """

    compared: Compared
    names: dict[str, list[str]]
    judges: Judges
    beside: tuple[str, ...]
    clips: ClipSettings

    def rows(self, variant: str) -> list[Measured]:
        return [self.compared.rows[name] for name in self.names[variant]]

    def distances(self, variant: str) -> list[dict[str, Distance]]:
        return [self.compared.distances[name] for name in self.names[variant]]


def parse_suites(text: str) -> tuple[int, ...]:
    """The tables that `--suite` names: 1, 2, 3, 4, several with commas, or all."""
    if text == "all":
        return tuple(SUITES)
    try:
        numbers = tuple(int(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if not numbers or not set(numbers) <= SUITES.keys():
        raise InputError(
            f"--suite {text!r} is none of {', '.join(map(str, SUITES))} and not all; the paper has these tables."
        )
    return numbers


def make_tables(
    order: Order, store_path: Path, out: Path, weights_dir: Path | None = None, quiet: bool = False,
    test_path: Path | None = None,
) -> list[Table]:  # fmt: skip
    """Trains, scores and writes tables; reuses all that exists with the same settings.

    `out/runs` holds the training runs, `out/rows` their measurements, `out/tables.md`, `.tex`, `.json` the tables, and
    `out/videos` the first clips of every table, all of its rows side by side.

    Args:
        test_path: store whose test videos are scored, where it is not the one that rows are trained on.

    Raises:
        InputError: if store and settings do not fit, or a data set is not one of the paper's.
        Interrupted: when training was stopped; everything is saved.
    """
    if order.dataset is not None and order.dataset not in DATASETS:
        raise InputError(f"there is no published data set {order.dataset!r}; choose one of {', '.join(DATASETS)}.")
    if order.seeds < 1:
        raise InputError(f"{order.seeds} seeds train nothing; give at least 1, and 2 to see what chance does.")
    # Everything that can be wrong is found before hours of training
    store = Store.open(store_path)
    test = store if test_path is None else Store.open(test_path)
    base, place = order.base, device_named(order.device)
    planned, notes = _plan(order, store, out / "runs")
    settings = _clip_settings(base, planned)
    clips = EvaluationClips(test, base.model.resolution, settings, order.seed)
    judges = find_judges(test, weights_dir, order.lpips, place, order.allow_download).for_clips_of(settings.horizon)
    beside = load_players(order.beside)
    # Train, then score
    runs = sorted((run for found in planned.values() for run in found), key=lambda run: run.seed)  # whole tables early
    train_all(runs, store_path, jobs=order.jobs, device=order.device, weights_dir=weights_dir, quiet=quiet)
    results = _measure(planned, beside, clips, judges, order.plan, out / "rows", quiet)
    tables = [_table(SUITES[n], planned, notes, results, order) for n in order.suites]
    tables += [_differences(SUITES[n], planned, results) for n in order.suites if n in (3, 4)]
    _write(tables, results.compared.about, out)
    for number in order.suites:
        _write_videos(SUITES[number], planned, beside, clips, judges.device, out / "videos")
    return tables


def _plan(order: Order, store: Store, folder: Path) -> tuple[dict[str, list[Run]], dict[str, str]]:
    """Runs by variant, one per seed; and the reason for each variant that is not possible."""
    wanted = {variant for n in order.suites for variant in SUITES[n].all_rows.values()}
    planned, notes = dict[str, list[Run]](), dict[str, str]()
    for variant in sorted(wanted):
        try:
            planned[variant] = [
                planned_run(order.base, variant, seed, store.digest, folder, order.published)
                for seed in range(order.seeds)
            ]
        except InputError as error:
            notes[variant] = str(error)
    return planned, notes


def _row_of(name: str, run: Run, device: torch.device) -> Row:
    """Row of a trained run."""
    if run.variant in SYSTEMS:
        return baseline_row(name, load_baseline(run.folder), device)
    return model_row(name, load_model(run.folder).model, device)


def _write_videos(
    suite: Suite, planned: dict[str, list[Run]], beside: dict[str, PokePlayer], clips: EvaluationClips, device: torch.device,
    out: Path,
) -> None:  # fmt: skip
    """Writes the first seed of every row side by side."""
    truth, copy = reference_rows()
    made = {label: _row_of(label, planned[v][0], device) for label, v in suite.all_rows.items() if v in planned}
    others = {name: player_row(name, player) for name, player in beside.items()}
    write_comparison(suite.number, {"truth": truth, **made, **others, "copy": copy}, clips, out)


def _clip_settings(base: TrainConfig, planned: dict[str, list[Run]]) -> ClipSettings:
    """Clips that every planned row can be asked about: with the frames that others see, and the points they are told."""
    settings = ClipSettings.of_training(base.data, base.model.poke_kind, None, "test")
    networks = [SYSTEMS[variant].network for variant in planned if variant in SYSTEMS]
    return replace(
        settings,
        earlier=max([network.seen - 1 for network in networks], default=0),
        told=max([network.told for network in networks], default=0),
    )


def _measure(
    planned: dict[str, list[Run]], beside: dict[str, PokePlayer], clips: EvaluationClips, judges: Judges, plan: Plan,
    work: Path, quiet: bool,
) -> _Results:  # fmt: skip
    """Scores every row on the same clips; rows that share a run share the result."""
    runs = {run.folder.name: run for found in planned.values() for run in found}
    made = dict[str, Any]()

    def rows() -> Iterator[Row]:
        yield from reference_rows()
        for name, run in runs.items():
            row = _row_of(name, run, judges.device)
            made[name] = {"seed": run.seed, "digest": row.digest, "train": run.settings}
            yield row
        yield from (player_row(name, player) for name, player in beside.items())

    compared = compare(rows(), clips, plan, judges, work, quiet)
    names = {variant: [run.folder.name for run in found] for variant, found in planned.items()}
    found = replace(compared, about=compared.about | {"code": __version__, "runs": made})
    alone = {name: [name] for name in ("truth", "copy", *beside)}
    return _Results(found, alone | names, judges, tuple(beside), clips.settings)


def _table(
    suite: Suite, planned: dict[str, list[Run]], notes: dict[str, str], results: _Results, order: Order
) -> Table:  # fmt: skip
    columns = [*suite.columns, *BEYOND]
    lines = []
    for label, variant in suite.all_rows.items():
        if label in suite.beside and planned.get(variant) == planned.get(FULL):
            continue  # the base has no motion decoder
        cells = {}
        for column in columns:
            cell = _cell(results, variant, column) if variant in planned else Cell(note="not possible")
            cells[column] = replace(cell, published=published(suite.number, label, column, order.dataset))
        lines.append(Line(label, cells, _marks(planned.get(variant, []))))
    untrained = {name: name for name in results.beside}
    for label, name in (untrained | {"copy of x_0": "copy", "the true frames": "truth"}).items():
        lines.append(Line(label, {column: _cell(results, name, column) for column in columns}))
    said = [f"{label}: {notes[variant]}" for label, variant in suite.all_rows.items() if variant in notes]
    headings = {c: f"{MEASURES[c].title} {MEASURES[c].arrow}" for c in columns}
    return Table(
        suite.number, suite.caption, headings, tuple(lines), (*_notes(suite, lines, results, order), *said),
        by_measure=not suite.rows_are_methods,
    )  # fmt: skip


def _cell(results: _Results, name: str, column: str) -> Cell:
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


def _marks(runs: Sequence[Run]) -> str:
    """Length of a row's training, and whether it can have converged."""
    if not runs:
        return ""
    config = runs[0].config
    enough = published_steps(runs[0].variant) if isinstance(config, BaselineConfig) else CONVERGED
    judged = "not converged" if config.num_steps < enough else "convergence not tested"
    return f"{config.num_steps:,} steps, {config.num_steps * config.batch:,} clips seen, {judged}"


def published_steps(system: str) -> int:
    """Length of a system's training as published, the longest of its presets."""
    return max(config.num_steps for config in SYSTEMS[system].presets.values())


def lpips_note(judges: Judges) -> str:
    """Sentence on which networks LPIPS ran on, beside the paper's."""
    names = ", ".join(judge.name for judge in judges.lpips) or "no network, since no weights were found"
    return f"LPIPS v0.1 on {names}; the paper's is on vgg (VGG-16)"


def _notes(suite: Suite, lines: Sequence[Line], results: _Results, order: Order) -> list[str]:
    # Data and size of the frames
    base, about, judges = order.base, results.compared.about, results.judges
    data = "not a data set of the paper: no number of its beside"
    if order.dataset:
        data = f"{DATASETS[order.dataset]}, as the paper"
    size = f"{about['resolution']} pixels"
    if about["resolution"] != suite.resolution:
        size += f" (the paper: {suite.resolution})"
    # Measurement, training and judges
    counts = {column: max(line.cells[column].clips for line in lines) for column in lines[0].cells}
    notes = [
        f"store {about['store']} ({data}); {about['clips']} clips of {about['videos']} test videos, {about['horizon']} frames "
        f"of {size}, clips drawn by seed {about['seed']}",
        "clips measured: " + ", ".join(f"{MEASURES[column].title} {count}" for column, count in counts.items()),
        f"{order.seeds} training seed(s), each on its own in round brackets; square brackets: 95 % intervals over videos"
        + (f", none of fewer than {FEWEST_CLUSTERS} videos" if about["videos"] < FEWEST_CLUSTERS else ""),
        f"batch {base.batch}, width {base.model.channels} (the paper: 32), perceptual network {base.perceptual}, "
        + ("both critics" if base.has_critics else "no critics"),
        f"poke-EPE and background by the tracker {judges.tracker}; response-EPE against {judges.flow} flow"
        + (f"; {judges.caution}" if judges.caution else ""),
        f"the true frames: {judges.floor}",
        lpips_note(judges),
        *(f"{MEASURES[name].title}: {reason}" for name, reason in judges.missing.items()),
    ]
    # Distances, and what cannot be compared
    for extractor in judges.extractors:
        floor = results.compared.floors.get(extractor.name)
        why = results.compared.left_out.get(extractor.name) or (floor.sentence() if floor else "")
        notes.append(f"{extractor.name}: {extractor.family}" + (f"; {why}" if why else ""))
    if shared := about["real_clips_that_are_truths_of_generated_ones"]:
        notes.append(
            f"{shared} of the real clips that distances are taken to are also truths of generated ones, since the split has no "
            "more: that makes the distances smaller"
        )
    if order.dataset:
        notes.append(
            "the paper's PSNR is, by its released code, that of 160 frames pooled, and its SSIM's data range that of a batch "
            "(docs/decisions/018): ours are of each frame"
        )
    if results.clips.earlier or results.clips.told:
        notes.append(SHOWN)
    return notes


def _differences(suite: Suite, planned: dict[str, list[Run]], results: _Results) -> Table:
    """Every row minus the full model, paired by clips or left-out videos, so what is common to both cancels out."""
    *others, (full_label, full) = suite.rows.items()
    lines = []
    columns = [c for c in (*suite.columns, *BEYOND) if _cell(results, "copy", c).interval is not None]
    for label, variant in others:
        if variant in planned and full in planned:
            cells = {column: _difference(results, variant, full, column) for column in columns}
            lines.append(Line(f"{label} less {full_label}", cells))
    caption = f"Table {suite.number}: differences to the full model, paired by clip"
    return Table(
        suite.number, caption, {c: MEASURES[c].title for c in columns}, tuple(lines),
        (
            "means over training seeds; an interval that holds 0 tells nothing apart; it is over videos, not over seeds",
            "distances are paired by leaving out the same tenth or so of the videos",
        ),
    )  # fmt: skip


def _difference(results: _Results, name: str, full: str, column: str) -> Cell:
    if column in REPORTS["distances"]:
        ours, theirs = ([row[column] for row in results.distances(variant)] for variant in (name, full))
        return Cell(difference(ours, theirs), (), ours[0].generated)
    first, second = (np.mean([m.values[column] for m in results.rows(variant)], axis=0) for variant in (name, full))
    clips = results.rows("truth")[0].videos
    return Cell(cluster_mean((first - second).tolist(), clips), (), int(np.isfinite(first - second).sum()))


def _write(tables: Sequence[Table], about: dict[str, Any], out: Path) -> None:
    head = "# The paper's tables\n\nWritten by `poke2vid tables`."
    write_json(out / "tables.json", {"about": without_nan(about), "tables": [table.to_json() for table in tables]})
    write_text(out / "tables.md", joined(tables, head))
    write_text(out / "tables.tex", "\n".join(table.to_latex() for table in tables))
