"""`poke2vid tables`: trains a table's runs, scores every row on the same clips, and prints it as the paper does."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from poke2vid import __version__
from poke2vid.baselines.systems import SYSTEMS
from poke2vid.data.store import Store
from poke2vid.evaluate.heldout.clips import ClipSettings, EvaluationClips
from poke2vid.evaluate.heldout.distances import Distance
from poke2vid.evaluate.heldout.evaluate import Compared, compare
from poke2vid.evaluate.heldout.judges import Judges, find_judges
from poke2vid.evaluate.heldout.rows import Row
from poke2vid.evaluate.heldout.scoring import Plan
from poke2vid.evaluate.heldout.sources import load_any, player_row, reference_rows, row_of
from poke2vid.evaluate.report import write_text
from poke2vid.evaluate.tables.cells import cell
from poke2vid.evaluate.tables.differences import STILL, tables_below
from poke2vid.evaluate.tables.kept import Kept, Shelf
from poke2vid.evaluate.tables.layout import Cell, Line, Table, joined
from poke2vid.evaluate.tables.notes import copy_of, marks, notes_of
from poke2vid.evaluate.tables.order import Order, Results
from poke2vid.evaluate.tables.published import DATASETS, published
from poke2vid.evaluate.tables.runs import FULL, SHARED, Run, check_all, planned_run, train_all, without_weights
from poke2vid.evaluate.tables.suites import SUITES, Suite
from poke2vid.evaluate.tables.videos import shown_clips, write_comparison
from poke2vid.files import without_nan, writable, write_json
from poke2vid.measures.table import MEASURES
from poke2vid.players.named import load_beside
from poke2vid.players.player import PokePlayer
from poke2vid.train.distributed import device_named
from poke2vid.train.presets import BASELINE_PRESETS
from poke2vid.train.settings import override
from poke2vid.types import InputError

UNTRAINED, UNASKED = "not trained yet", "not asked for"


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

    `out/runs` holds the training runs, `out/rows` their measurements, `out/kept` what is left of them for other machines
    (`kept.py`), `out/tables.md`, `.tex`, `.json` the tables, and `out/videos` the first clips of the tables that compare
    systems, all of them side by side.

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
    if order.dataset is not None:
        _check_published(order.dataset, (store, test))
    base, place = order.base, device_named(order.device)
    planned, notes = _plan(order, store, out / "runs")
    settings = _clip_settings(order)
    clips = EvaluationClips(test, base.model.resolution, settings, order.seed)
    judges = find_judges(test, weights_dir, order.lpips, place, order.allow_download).for_clips_of(settings.horizon)
    shelf = _shelf(order, store, test, clips, judges, out)
    planned = {variant: [_known(run, shelf) for run in found] for variant, found in planned.items()}
    if order.trained_only:
        planned, notes = _complete(planned, notes)
    notes |= without_weights(planned, weights_dir, place)
    beside = load_beside(order.beside, base.model.poke_kind, settings.horizon)
    check_all([run for found in planned.values() for run in found], store, weights_dir, place)
    # Train, then score
    runs = sorted((run for found in planned.values() for run in found), key=lambda run: run.seed)  # whole tables early
    train_all(runs, store_path, jobs=order.jobs, device=order.device, weights_dir=weights_dir, quiet=quiet)
    results = _measure(planned, beside, clips, judges, order.plan, out / "rows", quiet)
    if order.dataset is not None:
        results = replace(results, data=copy_of(DATASETS[order.dataset].title, (store.manifest, test.manifest)))
    tables = [_table(SUITES[n], planned, notes, results, order) for n in order.suites]
    for number in order.suites:
        rows = {label: v for label, v in _different(SUITES[number], planned).items() if v in planned}
        marked = {label: marks(planned[v], order.seeds) for label, v in rows.items()}
        tables += tables_below(SUITES[number], rows, marked, results)
    _write(tables, results.compared.about, out)
    _keep(planned, results, shelf, clips)
    compared = [SUITES[n] for n in order.suites if SUITES[n].compares_systems]  # of ablations, nothing would be seen
    if compared:
        _write_videos(compared, planned, beside, clips, judges.device, out / "videos")
    return tables


def _check_published(name: str, stores: Sequence[Store]) -> None:
    """Raises InputError if a store is not a copy of the data set that published numbers are of."""
    known = DATASETS[name]
    for store in stores:
        if store.manifest.dataset != known.name:
            raise InputError(
                f"{store.path} was not prepared as {known.title}, so no published number is comparable; prepare it by "
                f"`poke2vid prepare --dataset {known.name}`, or leave out --dataset."
            )


def _plan(order: Order, store: Store, folder: Path) -> tuple[dict[str, list[Run]], dict[str, str]]:
    """Runs by variant, one per seed; and the reason for each variant that is not possible."""
    rows = {label: variant for n in order.suites for label, variant in SUITES[n].all_rows.items()}
    if unknown := sorted(set(order.only or ()) - rows.keys()):
        raise InputError(f"--only {unknown[0]!r} is no row of these tables; they have {', '.join(rows)}.")
    wanted = {variant for label, variant in rows.items() if order.only is None or label in order.only}
    planned, notes = dict[str, list[Run]](), {variant: UNASKED for variant in rows.values() if variant not in wanted}
    _check_settings(order.system_settings)
    for variant in sorted(wanted):
        try:
            planned[variant] = [
                planned_run(order.base, variant, seed, store.digest, folder, order.published, order.system_settings)
                for seed in range(order.seeds)
            ]
        except InputError as error:
            notes[variant] = str(error)
    return planned, notes


def _complete(
    planned: dict[str, list[Run]], notes: dict[str, str]
) -> tuple[dict[str, list[Run]], dict[str, str]]:  # fmt: skip
    """The runs that are complete, and a reason for each variant that has none."""
    found = {variant: [run for run in runs if run.is_complete] for variant, runs in planned.items()}
    return {v: runs for v, runs in found.items() if runs}, notes | {
        v: UNTRAINED for v, runs in found.items() if not runs
    }


def _shelf(
    order: Order, store: Store, test: Store, clips: EvaluationClips, judges: Judges, out: Path
) -> Shelf:  # fmt: skip
    """Rows that were measured before on such clips, by such judges."""
    plan, total = order.plan, min(order.plan.clips, len(clips))
    conditions = {
        "clips": {name: value for name, value in clips.key.items() if name != "store"},
        "judges": judges.key,
        "plan": {"clips": total, "distribution_clips": min(plan.distribution_clips, total)} | asdict(plan.fewest),
    }
    stores = {"train": store.digest[:12], "test": test.digest[:12]}
    videos = [clips.video_of(k) for k in range(total)]
    return Shelf(writable(order.kept or out / "kept"), conditions, stores, videos, strict=order.kept is None)


def _known(run: Run, shelf: Shelf) -> Run:
    """The run with what was measured of it before; one that is complete here is measured here."""
    kept = shelf.find(run.name, run.settings)
    return run if run.is_complete else replace(run, kept=kept)


def _keep(planned: dict[str, list[Run]], results: Results, shelf: Shelf, clips: EvaluationClips) -> None:
    """Keeps what was measured just now."""
    compared, device = results.compared, results.judges.device
    for run in {run.folder.name: run for found in planned.values() for run in found}.values():
        name = run.folder.name
        if run.kept is None and not shelf.path(run.name, run.settings).exists():
            shown = shown_clips(_row_of(name, run, device), clips)
            about = compared.about["runs"][name]
            shelf.keep(run.name, Kept(compared.rows[name], compared.distances[name], about, shown))


def _row_of(name: str, run: Run, device: torch.device) -> Row:
    """Row of a trained run."""
    return row_of(name, load_any(run.folder), device)


def _write_videos(
    suites: Sequence[Suite], planned: dict[str, list[Run]], beside: dict[str, PokePlayer], clips: EvaluationClips,
    device: torch.device, out: Path,
) -> None:  # fmt: skip
    """Writes the first seed of every row of the tables side by side."""
    truth, copy = reference_rows()
    rows = {label: variant for suite in suites for label, variant in _different(suite, planned).items()}
    first = {label: planned[variant][0] for label, variant in rows.items() if variant in planned}
    kept = {label: run.kept for label, run in first.items() if run.kept is not None}
    made = {label: _row_of(label, run, device) for label, run in first.items() if label not in kept}
    others = {name: player_row(name, player) for name, player in beside.items()}
    write_comparison({"truth": truth, **made, **others, "copy": copy}, kept, clips, out)


def _clip_settings(order: Order) -> ClipSettings:
    """Clips of the tables, the same whichever rows are asked for: where systems of others have rows, with all that any sees."""
    trained = ClipSettings.of_training(order.base.data, order.base.model.poke_kind, None, "test")
    settings = replace(trained, evenly=order.evenly, confirmed=order.confirmed)
    if not any(SUITES[number].compares_systems for number in order.suites):
        return settings
    networks = [system.network for system in SYSTEMS.values()]
    return replace(
        settings,
        earlier=max(network.seen - 1 for network in networks),
        told=max(network.told for network in networks),
    )


def _check_settings(settings: Sequence[str]) -> None:
    """Raises InputError for a setting that not all systems of others share; a row would silently go missing."""
    for setting in settings:
        name = setting.split("=")[0].strip()
        if name.startswith("network") or name in ("seed", *SHARED):
            raise InputError(
                f"--set-system {setting!r}: {name} is not for all systems to share; train that one by `poke2vid train`."
            )
    for config in BASELINE_PRESETS.values():
        override(config, settings)


def _measure(
    planned: dict[str, list[Run]], beside: dict[str, PokePlayer], clips: EvaluationClips, judges: Judges, plan: Plan,
    work: Path, quiet: bool,
) -> Results:  # fmt: skip
    """Scores every row on the same clips; rows that share a run share the result."""
    runs = {run.folder.name: run for found in planned.values() for run in found}
    kept = {name: run.kept for name, run in runs.items() if run.kept is not None}
    made = {name: one.about for name, one in kept.items()}

    def rows() -> Iterator[Row]:
        yield from reference_rows()
        for name, run in runs.items():
            if name in kept:
                continue
            row = _row_of(name, run, judges.device)
            made[name] = {"seed": run.seed, "digest": row.digest, "train": run.settings, **run.size}
            yield row
        yield from (player_row(name, player) for name, player in beside.items())

    compared = compare(rows(), clips, plan, judges, work, quiet)
    names = {variant: [run.folder.name for run in found] for variant, found in planned.items()}
    for name, one in kept.items():
        _check_alike(name, one, compared)
    found = replace(
        compared, about=compared.about | {"code": __version__, "runs": made},
        rows=compared.rows | {name: one.measured for name, one in kept.items()},
        distances=compared.distances | {name: _of_parts(one.distances, compared) for name, one in kept.items()},
    )  # fmt: skip
    alone = {name: [name] for name in ("truth", "copy", *beside)}
    return Results(found, alone | names, judges, tuple(beside), clips.settings, clips.lags)


def _of_parts(kept: dict[str, Distance], compared: Compared) -> dict[str, Distance]:
    """Distances of a kept row with the sizes of the videos' parts, which are those of any row on these clips."""
    return {name: one.of_parts(compared.distances["copy"][name].shares) for name, one in kept.items()}


def _check_alike(name: str, kept: Kept, compared: Compared) -> None:
    """Raises InputError if a kept row lacks a column that the still picture has, or parts of a distance."""
    columns = compared.rows["copy"].values.keys() - kept.measured.values.keys()
    distances = compared.distances["copy"]
    parts = {
        n
        for n, one in distances.items()
        if n not in kept.distances or len(kept.distances[n].without) != len(one.without)
    }
    if lacks := sorted(columns | parts):
        raise InputError(
            f"the kept row {name} has no {lacks[0]} like that of other rows; remove its file, and it is made anew."
        )


def _table(
    suite: Suite, planned: dict[str, list[Run]], notes: dict[str, str], results: Results, order: Order
) -> Table:  # fmt: skip
    columns = suite.all_columns
    lines = []
    for label, variant in _different(suite, planned).items():
        cells = {}
        for column in columns:
            missing = notes[variant] if notes.get(variant) in (UNTRAINED, UNASKED) else "not possible"
            found = cell(results, variant, column) if variant in planned else Cell(note=missing)
            cells[column] = replace(found, published=published(suite.number, label, column, order.dataset))
        lines.append(Line(label, cells, marks(planned.get(variant, []), order.seeds)))
    untrained = {name: name for name in results.beside}
    for label, name in (untrained | {STILL: "copy", "the true frames": "truth"}).items():
        lines.append(Line(label, {column: cell(results, name, column) for column in columns}))
    said = [
        f"{label}: {why}" for label, variant in suite.all_rows.items() if (why := notes.get(variant)) and why != UNASKED
    ]
    headings = {c: f"{MEASURES[c].title} {MEASURES[c].arrow}" for c in columns}
    return Table(
        suite.number, suite.caption, headings, tuple(lines), (*notes_of(suite, lines, planned, results, order), *said),
        by_measure=not suite.rows_are_methods,
    )  # fmt: skip


def _different(suite: Suite, planned: dict[str, list[Run]]) -> dict[str, str]:
    """Rows of a table, but those beside it that are the full model again: a base without a motion decoder has such."""
    again = {variant for variant, runs in planned.items() if runs == planned.get(FULL)}
    return {label: v for label, v in suite.all_rows.items() if label not in suite.beside or v not in again}


def _write(tables: Sequence[Table], about: dict[str, Any], out: Path) -> None:
    head = "# The paper's tables\n\nWritten by `poke2vid tables`."
    write_json(out / "tables.json", {"about": without_nan(about), "tables": [table.to_json() for table in tables]})
    write_text(out / "tables.md", joined(tables, head))
    write_text(out / "tables.tex", "\n".join(table.to_latex() for table in tables))
