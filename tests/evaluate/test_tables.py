"""The paper's tables: which rows they have, what is trained for them, that nothing is made twice, and how they are printed."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from toy_system import Toy, ToyConfig, toy_preset, with_toys

from poke2vid.baselines.baseline import BaselineConfig
from poke2vid.baselines.files import LoadedBaseline
from poke2vid.baselines.systems import SYSTEMS
from poke2vid.data.store import Store
from poke2vid.evaluate.heldout.clips import ClipSettings, EvaluationClips
from poke2vid.evaluate.heldout.judges import find_judges
from poke2vid.evaluate.heldout.rows import Fewest
from poke2vid.evaluate.heldout.scoring import Plan
from poke2vid.evaluate.heldout.sources import baseline_row, settings_for
from poke2vid.evaluate.tables import run as running
from poke2vid.evaluate.tables import runs
from poke2vid.evaluate.tables.layout import Cell, Line, Table
from poke2vid.evaluate.tables.notes import lpips_note, published_steps
from poke2vid.evaluate.tables.order import Order
from poke2vid.evaluate.tables.published import DATASETS, PUBLISHED, published
from poke2vid.evaluate.tables.run import make_tables, parse_suites
from poke2vid.evaluate.tables.runs import planned_run, variant_config
from poke2vid.evaluate.tables.suites import PAINTED, SUITES
from poke2vid.measures.statistics import Interval
from poke2vid.media.pictures import to_float
from poke2vid.media.video import iterate_frames
from poke2vid.pretrained.features import Lpips
from poke2vid.train.data import stack
from poke2vid.train.presets import ABLATIONS, PRESETS, preset
from poke2vid.types import InputError

pytestmark = pytest.mark.usefixtures("no_public_weights")
BASE = replace(preset("tiny"), stage_1_steps=2, stage_2_steps=4, checkpoint_every=3, sample_every=100)


# The paper's numbers


def test_every_row_of_every_table_has_the_papers_numbers_for_its_data_sets() -> None:
    for number, suite in SUITES.items():
        for label in suite.rows:
            assert PUBLISHED[number, label].keys() == set(suite.columns), (number, label)
            assert {len(values) for values in PUBLISHED[number, label].values()} == {4 if number < 3 else 2}
    assert len(PUBLISHED) == sum(len(suite.rows) for suite in SUITES.values())


def test_the_full_model_has_one_number_wherever_the_paper_gives_it_twice_but_for_ipers_psnr() -> None:
    for column in ("lpips_vgg", "psnr", "FVD"):
        for name in ("pp", "iper"):
            third, fourth = published(3, "Ours full", column, name), published(4, "Ours (N = 3)", column, name)
            assert (third == fourth) != ((column, name) == ("psnr", "iper"))
    assert published(1, "Ours", "FVD", "pp") == published(3, "Ours full", "FVD", "pp") == 89.67


def test_a_published_number_stands_beside_ours_only_on_the_published_data() -> None:
    assert published(3, "Ours full", "FVD", "iper") == 144.92
    assert published(3, "Ours full", "FVD", "taichi") is None
    assert published(3, "Ours full", "FVD", None) is None
    assert published(3, "Ours full", "poke_epe", "pp") is None


def test_the_option_names_tables_that_exist() -> None:
    assert parse_suites("all") == (1, 2, 3, 4)
    assert parse_suites("3,4") == (3, 4)
    for text in ("5", "", "three", "1;2"):
        with pytest.raises(InputError, match="--suite"):
            parse_suites(text)


# What is trained


def test_a_row_takes_one_thing_away_and_keeps_the_number_of_steps() -> None:
    base = preset("ablation64")
    rows = {variant for suite in SUITES.values() for variant in suite.rows.values()}
    wanted = rows & {"full", *ABLATIONS}
    found = {variant: variant_config(base, variant, 1) for variant in wanted}
    assert {config.num_steps for config in found.values()} == {base.num_steps}
    assert {config.seed for config in found.values()} == {1}
    assert found["full"] == found["depth3"] == replace(base, seed=1)  # at 64 pixels N is 3
    assert found["no_trajectory_loss"].weights == replace(base.weights, trajectory=0.0)
    assert (found["single_stage"].stage_1_steps, found["single_stage"].freeze_object_encoder) == (0, False)
    assert found["bottleneck_rnn"].model.dynamics == "bottleneck"
    assert [found[f"depth{n}"].model.num_dynamic_levels for n in (1, 2, 3)] == [1, 2, 3]


def test_the_papers_own_decoder_is_a_row_where_the_base_warps() -> None:
    base = preset("ablation_motion64")
    painted = variant_config(base, "painted", 0)
    assert (painted.model.decoder, base.model.decoder) == ("rgb", "motion") and painted.num_steps == base.num_steps
    assert painted.weights.perceptual and not painted.weights.flow and not painted.has_critics
    assert variant_config(preset("ablation64"), "painted", 0) == variant_config(preset("ablation64"), "full", 0)


def test_the_ablations_of_the_papers_size_are_presets_too() -> None:
    assert PRESETS["depth2"].model.depth == 2 and PRESETS["depth2"].model.channels == 32
    assert PRESETS["single_stage"].stage_2_steps == preset("paper64").num_steps


def test_rows_with_the_same_settings_share_a_run_and_other_settings_are_another(tmp_path: Path) -> None:
    base = preset("ablation64")
    full = planned_run(base, "full", 0, "store", tmp_path)
    assert planned_run(base, "depth3", 0, "store", tmp_path) == full
    others = [
        planned_run(base, "full", 1, "store", tmp_path),
        planned_run(base, "full", 0, "another store", tmp_path),
        planned_run(replace(base, batch=6), "full", 0, "store", tmp_path),
        planned_run(base, "depth2", 0, "store", tmp_path),
    ]
    assert len({full.folder, *(other.folder for other in others)}) == 5
    assert not full.is_complete


def test_the_systems_of_others_are_trained_on_the_same_clips_with_a_seed_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_toys(monkeypatch)
    first, second = (planned_run(BASE, "toy", seed, "store", tmp_path) for seed in (0, 1))
    assert isinstance(first.config, BaselineConfig) and first.config.seed == 0 and first.folder != second.folder
    assert (first.config.horizon, first.config.min_motion) == (BASE.data.horizon, BASE.data.min_motion)
    shorter = planned_run(BASE, "toy", 0, "store", tmp_path, system_settings=("hold=1", "fall=0"))
    assert shorter.config.num_steps == 1 and shorter.folder != first.folder
    with pytest.raises(InputError, match="no preset toy32: the system is not made for 32 pixels"):
        planned_run(BASE, "toy", 0, "store", tmp_path, published=True)


@pytest.mark.parametrize("row", [(1, "savp"), (1, "ivrnn"), (1, "srvp"), (2, "hao")])
def test_a_system_as_published_has_the_published_sizes_and_length(tmp_path: Path, row: tuple[int, str]) -> None:
    suite, system = row
    base = preset(f"paper{SUITES[suite].resolution}")
    run, small = (planned_run(base, system, 0, "store", tmp_path, published=way) for way in (True, False))
    assert isinstance(run.config, BaselineConfig) and isinstance(small.config, BaselineConfig)
    published = SYSTEMS[system].presets[f"{system}{SUITES[suite].resolution}"]
    assert (run.config.network, run.config.batch) == (published.network, published.batch)
    assert run.config.num_steps == published_steps(system) > 5 * small.config.num_steps


# From a store to a table


@pytest.fixture(scope="module")
def made(
    tmp_path_factory: pytest.TempPathFactory, store_path: Path, no_public_weights: None
) -> tuple[Path, list[Table]]:
    """Tables 3 and 4 of six steps a row, two seeds."""
    out = tmp_path_factory.mktemp("tables")
    return out, make_tables(
        Order((3, 4), BASE, 2, Plan(6, 4, batch=4, fewest=Fewest(share=0, videos=1))), store_path, out, quiet=True
    )


def test_every_row_is_trained_once_for_every_seed(made: tuple[Path, list[Table]]) -> None:
    folders = sorted(re.sub(r"-[0-9a-f]{8}$", "", folder.name) for folder in (made[0] / "runs").iterdir())
    variants = ("bottleneck_rnn", "depth1", "full", "no_trajectory_loss", "single_stage")  # depth2 is full at 32 pixels
    assert folders == sorted(f"{variant}-seed{seed}" for variant in variants for seed in (0, 1))


def test_a_table_says_how_far_it_is_to_be_trusted(made: tuple[Path, list[Table]]) -> None:
    third, fourth, differences, *_ = made[1]
    assert [line.label for line in third.lines[:4]] == [*SUITES[3].rows]
    assert all("6 steps, 24 clips seen, not converged" in line.marks for line in third.lines[:4])
    for line in third.lines[:4]:
        cell = line.cells["psnr"]
        assert len(cell.seeds) == 2 and cell.clips == 6
        assert cell.interval is not None and cell.interval.mean == pytest.approx(np.mean(cell.seeds), rel=1e-6)
        assert line.cells["FVD"].interval is None and line.cells["FVD"].note == "no I3D weights"
        assert line.cells["track Frechet"].clips == 4
    assert fourth.lines[2].label == "Ours (N = 3)" and fourth.lines[2].cells["psnr"].note == "not possible"
    assert any("depth 3 is outside 1 ... 2" in note for note in fourth.notes)
    assert any("2 training seed(s)" in note for note in third.notes)
    assert any("not a data set of the paper" in note for note in third.notes)
    assert differences.caption.startswith("Table 3: differences")


def test_differences_are_paired_by_clip(made: tuple[Path, list[Table]]) -> None:
    third, _, differences, *_ = made[1]
    by_label = {line.label: line.cells["psnr"].interval for line in third.lines}
    line = differences.lines[0]
    apart = {line.label: line.cells["track Frechet"].interval for line in third.lines}
    tracks = line.cells["track Frechet"].interval
    assert tracks is not None and tracks.mean == pytest.approx(
        apart["Ours RNN"].mean - apart["Ours full"].mean, abs=1e-9
    )
    found, ours, full = line.cells["psnr"].interval, by_label["Ours RNN"], by_label["Ours full"]
    assert found is not None and ours is not None and full is not None
    assert found.mean == pytest.approx(ours.mean - full.mean, abs=1e-6)


def test_what_exists_is_not_made_again(
    made: tuple[Path, list[Table]], store_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, tables = made

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("nothing is left to do")

    monkeypatch.setattr(runs, "train", refuse)
    monkeypatch.setattr("poke2vid.evaluate.heldout.scoring._Scorer.score", refuse)
    again = make_tables(
        Order((3, 4), BASE, 2, Plan(6, 4, batch=4, fewest=Fewest(share=0, videos=1))), store_path, out, quiet=True
    )
    assert [table.to_json() for table in again] == [table.to_json() for table in tables]


def test_a_run_that_was_cut_off_is_gone_on_with(
    tmp_path: Path, store_path: Path, made: tuple[Path, list[Table]]
) -> None:
    run = planned_run(BASE, "full", 0, Store.open(store_path).digest, tmp_path / "runs")
    with pytest.raises(KeyboardInterrupt), pytest.MonkeyPatch.context() as patch:
        patch.setattr("poke2vid.train.loop.Trainer.advance", _interrupting(after=4))
        runs.train_all([run], store_path, quiet=True)
    assert not run.is_complete and len(list((run.folder / "checkpoints").iterdir())) == 1
    runs.train_all([run], store_path, quiet=True)
    assert run.is_complete
    whole = next((made[0] / "runs").glob("full-seed0-*"))
    last = "checkpoints/step-00000006.safetensors"
    assert (run.folder / last).read_bytes() == (whole / last).read_bytes()


def _interrupting(after: int):
    from poke2vid.train.trainer import Trainer

    advance, count = Trainer.advance, [0]

    def interrupted(self: Trainer, *args: object, **options: object):
        count[0] += 1
        if count[0] > after:
            raise KeyboardInterrupt
        return advance(self, *args, **options)

    return interrupted


@pytest.mark.slow
@pytest.mark.thorough
def test_several_runs_at_a_time_give_the_same_models(
    tmp_path: Path, store_path: Path, made: tuple[Path, list[Table]]
) -> None:
    digest = Store.open(store_path).digest
    planned = [planned_run(BASE, variant, 0, digest, tmp_path / "runs") for variant in ("full", "depth1")]
    runs.train_all(planned, store_path, jobs=2)
    for run in planned:
        ours, theirs = (
            folder / "checkpoints/step-00000006.safetensors"
            for folder in (run.folder, made[0] / "runs" / run.folder.name)
        )
        assert ours.read_bytes() == theirs.read_bytes()


def test_what_is_written_is_what_was_made(made: tuple[Path, list[Table]]) -> None:
    out, tables = made
    found = json.loads((out / "tables.json").read_text())
    assert found["tables"] == json.loads(json.dumps([t.to_json() for t in tables]))
    assert found["about"]["clips"] == 6 and found["about"]["clips_of_columns"]["poke_epe"] == 6
    assert len(found["about"]["runs"]) == 10
    run = next(found["about"]["runs"][name] for name in found["about"]["runs"] if name.startswith("single_stage-seed1"))
    assert run["seed"] == 1 and run["train"]["stage_1_steps"] == 0 and len(run["digest"]) == 64
    text = (out / "tables.md").read_text()
    assert all(f"## {table.caption}" in text for table in tables)


@pytest.mark.parametrize(
    ("order", "sentence"),
    [
        (Order((3,), BASE, 2, Plan(4), dataset="imagenet"), "no published data set 'imagenet'"),
        (Order((3,), BASE, 2, Plan(4), dataset="iper"), "not prepared as iPER, so no published number is comparable"),
        (Order((3,), BASE, 0, Plan(4)), "0 seeds train nothing"),
        (Order((3,), BASE, 1, Plan(4), lpips=("vgg",)), r"vgg16\.features\.pth"),
        (Order((3,), BASE, 1, Plan(4), device="cuda:77"), "the device 'cuda:77' cannot be used"),
        (Order((3,), preset("ablation64"), 1, Plan(4)), "frames of 32 pixels and the model takes 64"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_trained(
    order: Order, sentence: str, store_path: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=sentence):
        make_tables(order, store_path, tmp_path / "out", quiet=True)
    assert not (tmp_path / "out").exists()


# Rows that were measured before


def test_rows_that_were_measured_need_neither_training_nor_weights_again(
    made: tuple[Path, list[Table]], store_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, tables = made
    kept = out / "kept"
    assert len(list(kept.glob("*.json"))) == len(list(kept.glob("*.webp"))) == 10
    assert max(path.stat().st_size for path in kept.iterdir()) < 30_000

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("nothing is left to do")

    monkeypatch.setattr(runs, "train", refuse)
    order = Order((3, 4), BASE, 2, Plan(6, 4, batch=4, fewest=Fewest(share=0, videos=1)))
    shutil.copytree(kept, tmp_path / "kept")
    again = make_tables(order, store_path, tmp_path, quiet=True)
    for one, other in zip(again, tables, strict=True):
        for line, known in zip(one.lines, other.lines, strict=True):
            assert (line.label, line.marks) == (known.label, known.marks)
            for column, cell in line.cells.items():
                assert (cell.interval is None) == (known.cells[column].interval is None)
                if cell.interval is not None:
                    found = (cell.interval.mean, cell.interval.low, *cell.seeds)
                    expected = (
                        known.cells[column].interval.mean,
                        known.cells[column].interval.low,
                        *known.cells[column].seeds,
                    )
                    assert found == pytest.approx(expected, rel=1e-4, abs=1e-4)
    digest = Store.open(store_path).digest[:12]
    assert f"Ours full: measured in an earlier run, trained on store {digest} and scored on {digest}" in again[0].notes
    assert any("parameters" in note and "s a step" in note for note in again[0].notes)
    assert not (tmp_path / "runs").exists()
    assert sorted(path.name for path in (tmp_path / "kept").iterdir()) == sorted(path.name for path in kept.iterdir())


def test_a_row_measured_under_other_conditions_is_another_and_a_damaged_one_is_named(
    made: tuple[Path, list[Table]], store_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(made[0] / "kept", tmp_path / "kept")
    fewest = Fewest(share=0, videos=1)
    order = Order((3,), BASE, 1, Plan(5, 4, batch=4, fewest=fewest), trained_only=True)
    table, *_ = make_tables(order, store_path, tmp_path, quiet=True)  # on five clips, not six
    assert table.lines[0].cells["psnr"].note == "not trained yet" and capsys.readouterr().err == ""
    (damaged,) = (tmp_path / "kept").glob("full-seed0-*.json")
    whole = damaged.read_text()
    same = replace(order, plan=Plan(6, 4, batch=4, fewest=fewest))
    for text, named in (
        ("{", "cannot be read"),
        (whole.replace('"psnr": [', '"psnr": [1.0, '), "not of one length"),
        ("{}", "conditions"),
    ):
        damaged.write_text(text)
        with pytest.raises(InputError, match=named) as told:
            make_tables(same, store_path, tmp_path, quiet=True)
        assert damaged.name in str(told.value) and "remove it" in str(told.value)
    damaged.write_text(re.sub(r'"square(\d)', r'"circle\1', whole))
    with pytest.raises(InputError, match="measured on other clips"):
        make_tables(same, store_path, tmp_path, quiet=True)


# How it is printed


def small_table(by_measure: bool = False) -> Table:
    cells = {
        "psnr": Cell(Interval(21.5, 20.0, 23.0), (21.0, 22.0), 8, 21.8),
        "FVD": Cell(note="no I3D weights", published=110.0),
    }
    lines = (
        Line("Ours_full", cells, "6 steps, not converged"),
        Line("copy", {"psnr": Cell(Interval(1.0, 1.0, 1.0)), "FVD": Cell()}),
    )
    return Table(3, "Ablations", {"psnr": "PSNR ↑", "FVD": "FVD ↓"}, lines, ("50 % of it",), by_measure)


def test_a_cell_shows_mean_interval_seeds_and_the_papers_number_with_its_two_decimals() -> None:
    lines = [line for line in small_table().to_markdown().splitlines() if line.startswith("|")]
    assert lines[0] == "| | PSNR ↑ | FVD ↓ |"
    assert lines[2] == (
        "| Ours_full *6 steps, not converged* | 21.5 [20, 23] (21, 22); paper 21.80 | no I3D weights; paper 110.00 |"
    )
    assert lines[3] == "| copy | 1 [1, 1] |  |"


def test_the_second_table_has_a_line_for_every_measure() -> None:
    lines = [line for line in small_table(by_measure=True).to_markdown().splitlines() if line.startswith("|")]
    assert lines[0] == "| | Ours_full *6 steps, not converged* | copy |"
    assert [line.split("|")[1].strip() for line in lines[2:]] == ["PSNR ↑", "FVD ↓"]


@pytest.mark.parametrize("by_measure", [False, True])
def test_latex_has_as_many_cells_as_columns_and_says_all_that_markdown_says(by_measure: bool) -> None:
    text = small_table(by_measure).to_latex()
    columns = re.search(r"\\begin{tabular}{(lr*)}", text)
    assert columns is not None and len(columns[1]) == 3
    body = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert all(line.count("&") == 2 for line in body) and len(body) == 3
    assert r"Ours\_full (6 steps, not converged)" in text
    for said in ("(21, 22); paper 21.80", "no I3D weights; paper 110.00", r"PSNR $\uparrow$", r"50 \% of it.\par"):
        assert said in text
    assert text.count(r"\begin") == text.count(r"\end") == 2
    assert "%" not in re.sub(r"\\%", "", text)  # nothing is a comment


def test_data_sets_have_names_for_people() -> None:
    assert set(DATASETS) == {"pp", "iper", "taichi", "h36m"}


def test_the_papers_network_of_lpips_is_named_beside_ours(store_path: Path) -> None:
    judges = find_judges(Store.open(store_path), None)
    assert lpips_note(judges).startswith("LPIPS v0.1 on no network")
    note = lpips_note(replace(judges, lpips=(Lpips("squeeze"), Lpips("alex"))))
    assert note == "LPIPS v0.1 on squeeze, alex; the paper's is on vgg (VGG-16)"


# Systems of others


def test_a_network_that_became_another_has_runs_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_toys(monkeypatch)
    before = planned_run(BASE, "toy", 0, "store", tmp_path)
    monkeypatch.setattr(Toy, "revision", 2)
    after = planned_run(BASE, "toy", 0, "store", tmp_path)
    assert before.folder != after.folder and before.config == after.config
    assert after.settings == before.settings | {"revision": 2}


def test_every_measure_of_the_paper_is_a_column_of_every_table_once() -> None:
    for suite in SUITES.values():
        columns = suite.all_columns
        assert len(set(columns)) == len(columns) and columns[: len(suite.columns)] == suite.columns
        assert {"FVD", "lpips_vgg", "lpips_alex", "psnr", "ssim", "poke_epe", "response_epe", "background"} <= set(
            columns
        )


def test_a_base_that_paints_has_no_second_row_with_the_papers_g(
    store_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SUITES, 1, replace(SUITES[1], rows={"Ours": "full", "SAVP": "savp"}))
    order = Order((1,), BASE, 1, Plan(3, 2, batch=4, fewest=Fewest(share=0, videos=1)), trained_only=True)
    painted = replace(order, base=replace(BASE, model=replace(BASE.model, decoder="rgb")))
    store, folder = Store.open(store_path), tmp_path
    for one, labels in ((order, ["Ours", "SAVP", "Ours, the paper's G"]), (painted, ["Ours", "SAVP"])):
        rows = ("full", "painted")
        planned = {v: [planned_run(one.base, v, 0, store.digest, folder)] for v in rows}
        assert list(running._different(SUITES[1], planned)) == labels


def test_a_system_is_evaluated_on_pokes_like_those_of_its_training(tmp_path: Path) -> None:
    config = replace(toy_preset(), poke_stds=1.0, poke_margin=0.05)
    loaded = LoadedBaseline(Toy(config.network), config, {}, tmp_path)
    settings = settings_for(loaded, "test")
    assert (settings.poke_stds, settings.poke_margin, settings.min_motion) == (1.0, 0.05, config.min_motion)


def test_a_table_of_systems_shows_each_what_it_may_see_and_scores_all_on_the_same_clips(
    store_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_toys(monkeypatch)
    rows = {"TOY": "toy", "TOLD": "told", "Ours": "full"}
    monkeypatch.setitem(SUITES, 1, replace(SUITES[1], rows=rows))
    monkeypatch.setitem(ABLATIONS, "painted", lambda c: replace(c, stage_1_steps=3, stage_2_steps=3))
    order = Order(
        (1,), BASE, 1, Plan(5, 4, batch=4, fewest=Fewest(share=0, videos=1)), beside=("small64",), seed=3
    )  # fmt: skip
    table, *below = make_tables(order, store_path, tmp_path, quiet=True, test_path=store_path)
    assert [line.label for line in table.lines] == [*rows, *PAINTED, "small64", "copy of x_0", "the true frames"]
    assert {line.cells["poke_epe"].clips for line in table.lines} == {5}
    by_label = {line.label: line for line in table.lines}
    assert by_label["TOY"].marks.startswith("6 steps, 12 clips seen") and by_label["small64"].marks == ""
    epe = {label: line.cells["poke_epe"].interval for label, line in by_label.items()}
    assert epe["TOY"] is not None and epe["copy of x_0"] is not None and epe["small64"] is not None
    assert epe["TOY"].mean == pytest.approx(epe["copy of x_0"].mean, rel=0.3)  # its bias is hardly learnt in six steps
    assert any("the true path of five points" in note for note in table.notes)
    assert any(re.search(r"TOY [\d,]+ parameters, \S+ s a step \(0 minutes\); TOLD", note) for note in table.notes)
    assert "rows of fewer steps are not converged: TOY 6, TOLD 6, ours 100,000" in table.notes
    assert any(note.startswith("those paths are the flow from x_0") for note in table.notes)
    # Below it: differences paired by clip, and the clips whose poke can be judged
    to_ours, to_painted, to_still, judged, judged_to_still = below
    others = ["TOY", "TOLD", *PAINTED, "small64", "copy of x_0"]
    assert [line.label for line in to_ours.lines] == [f"{n} less Ours" for n in others]
    (painted,) = PAINTED
    others[2] = "Ours"
    assert {line.label for line in to_painted.lines} == {f"{n} less {painted}" for n in others}
    assert f"{painted}: 3 steps of stage 1 and 3 of stage 2" in table.notes
    apart = to_still.lines[0].cells["poke_epe"].interval
    assert to_still.lines[0].label == "TOY less copy of x_0" and to_still.lines[0].marks == by_label["TOY"].marks
    assert apart is not None and apart.mean == pytest.approx(epe["TOY"].mean - epe["copy of x_0"].mean, rel=1e-5)
    followed = by_label["TOY"].cells["followed_epe"]
    assert judged.caption == f"Table 1 on the {followed.clips} of 5 clips whose poke is followed in the true frames"
    assert judged.lines[0].cells["poke_epe"] == followed and "FVD" not in judged.columns
    assert {line.cells["psnr"].clips for line in (*judged.lines, *judged_to_still.lines)} == {followed.clips}
    runs_made = {re.sub(r"-[0-9a-f]{8}$", "", folder.name) for folder in (tmp_path / "runs").iterdir()}
    assert runs_made == {"toy-seed0", "told-seed0", "full-seed0", "painted-seed0"}
    video, picture = sorted((tmp_path / "videos").iterdir())
    frames = list(iterate_frames(video))
    assert len(frames) == 3 * (BASE.data.horizon + 1) and frames[0].shape[1] > 7 * 192  # seven columns
    assert picture.suffix == ".png"
    again = tmp_path / "again"
    make_tables(replace(order, kept=tmp_path / "there"), store_path, tmp_path, quiet=True, test_path=store_path)
    make_tables(
        replace(order, kept=tmp_path / "there", trained_only=True), store_path, again, quiet=True, test_path=store_path
    )
    shown = list(iterate_frames(next((again / "videos").glob("*.mp4"))))
    apart = [np.abs(one.astype(int) - other).mean() for one, other in zip(frames, shown, strict=True)]
    assert {path.name for path in again.iterdir()} == {"rows", "tables.json", "tables.md", "tables.tex", "videos"}
    assert 0 < max(apart) < 25  # the columns stand in another order


def test_rows_that_are_not_trained_yet_are_named_and_nothing_is_trained(
    made: tuple[Path, list[Table]], store_path: Path, tmp_path: Path
) -> None:
    order = Order((3,), BASE, 2, Plan(6, 4, batch=4, fewest=Fewest(share=0, videos=1)), trained_only=True)
    runs = tmp_path / "runs"
    runs.mkdir()
    full = next(folder for folder in (made[0] / "runs").iterdir() if folder.name.startswith("full-seed1"))
    (runs / full.name).symlink_to(full)
    table, _ = make_tables(order, store_path, tmp_path, quiet=True)
    assert {line.marks.rsplit(", ", 1)[-1] for line in table.lines if line.label == "Ours full"} == {"1 of 2 seeds"}
    cells = {line.label: line.cells["psnr"] for line in table.lines}
    assert cells["Ours RNN"].note == "not trained yet" and cells["Ours RNN"].interval is None
    assert cells["Ours full"].interval is not None and len(cells["Ours full"].seeds) == 1
    assert any("parameters" in note and "s a step" in note for note in table.notes)
    assert [folder.name for folder in runs.iterdir()] == [full.name]


def test_only_the_rows_that_were_asked_for_are_trained(
    made: tuple[Path, list[Table]], store_path: Path, tmp_path: Path
) -> None:
    plan = Plan(6, 4, batch=4, fewest=Fewest(share=0, videos=1))
    (tmp_path / "runs").symlink_to(made[0] / "runs")
    order = Order((3,), BASE, 1, plan, only=("Ours full", "Ours RNN"), trained_only=True)
    table, _ = make_tables(order, store_path, tmp_path, quiet=True)
    cells = {line.label: line.cells["psnr"] for line in table.lines}
    assert cells["Ours full"].interval is not None and cells["Ours RNN"].interval is not None
    assert cells["Ours (single)"].note == "not asked for"
    with pytest.raises(InputError, match="no row of these tables; they have Ours RNN"):
        make_tables(replace(order, only=("Theirs",)), store_path, tmp_path, quiet=True)


def test_a_wrong_setting_of_the_systems_is_refused_before_anything_is_trained(store_path: Path, tmp_path: Path) -> None:
    order = Order((1,), BASE, 1, Plan(4), system_settings=("steps=3",))
    with pytest.raises(InputError, match="steps"):
        make_tables(order, store_path, tmp_path, quiet=True)
    assert not (tmp_path / "runs").exists()


def test_a_system_sees_the_frames_up_to_x_0_its_points_and_nothing_of_what_it_must_predict(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_toys(monkeypatch)
    clips = EvaluationClips(store, 32, ClipSettings(horizon=4, min_motion=0.005, earlier=1, told=3), seed=0)
    batch = stack([clips[k] for k in range(3)])
    given: list[tuple[torch.Tensor, torch.Tensor | None]] = []

    class Recorder(Toy):
        def predict(self, frames, count, generator, paths=None):  # type: ignore[no-untyped-def]
            given.append((frames, paths))
            return frames[:, -1:] + torch.randn(1, count, 1, 1, 1, generator=generator)

    network = Recorder(ToyConfig())
    row = baseline_row("toy", LoadedBaseline(network, toy_preset(), {}, Path("toy")))
    assert row.predict is not None
    predicted = row.predict(batch)
    for k, (frames, paths) in enumerate(given):
        source, start = clips._order[k]
        video = clips._clips.sources[source].video
        assert torch.equal(frames[0], to_float(np.asarray(video.frames[start - 1 : start + 1]))) and paths is None
    noise = torch.rand_like(batch.frames[:, 1:])
    assert torch.equal(row.predict(replace(batch, frames=torch.cat((batch.frames[:, :1], noise), dim=1))), predicted)
    # A clip's sample is its own, in whichever batch it stands
    assert torch.equal(row.predict(stack([clips[2]])), predicted[2:])
    assert not torch.equal(predicted[0] - batch.frames[0, :1], predicted[1] - batch.frames[1, :1])


def test_clips_too_short_for_the_frames_before_are_refused(store: Store) -> None:
    with pytest.raises(InputError, match="36 frames before its first one"):
        EvaluationClips(store, 32, ClipSettings(horizon=4, min_motion=0.005, earlier=36), seed=0)


@pytest.mark.parametrize("setting", ["network.widths=[1]", "seed=7", "horizon=3"])
def test_a_setting_that_systems_cannot_share_is_refused(store_path: Path, tmp_path: Path, setting: str) -> None:
    order = Order((1,), BASE, 1, Plan(4), system_settings=(setting,))
    with pytest.raises(InputError, match="not for all systems to share"):
        make_tables(order, store_path, tmp_path, quiet=True)


def test_the_clips_are_the_same_whichever_rows_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    with_toys(monkeypatch)
    whole = running._clip_settings(Order((1,), BASE, 1, Plan(4)))
    assert whole == running._clip_settings(Order((1, 2), BASE, 1, Plan(4), only=("Ours",), trained_only=True))
    assert (whole.earlier, whole.told) == (1, 5) and running._clip_settings(Order((3,), BASE, 1, Plan(4))).told == 0


def test_every_clip_has_the_frames_before_and_the_paths_that_systems_ask_for(store: Store) -> None:
    settings = ClipSettings(horizon=4, min_motion=0.005, earlier=1, told=3)
    clips = EvaluationClips(store, 32, settings, seed=0)
    without = EvaluationClips(store, 32, replace(settings, earlier=0, told=0), seed=0)
    assert 0 < len(clips) < len(without)
    clip = clips[0]
    assert clip.earlier is not None and clip.earlier.shape == (1, 3, 32, 32)
    assert clip.paths is not None and clip.paths.shape == (3, 5, 2)
    assert tuple(clip.paths[0, 0].tolist()) == clip.pokes[0].location
    arrived = clip.paths[0, -1] - clip.paths[0, 0]
    assert tuple(arrived.tolist()) == pytest.approx(clip.pokes[0].shift, abs=1e-4)
    assert "earlier" not in without.key and "told" not in without.key and clips.key["told"] == 3
    batch = stack([clips[0], clips[1]])
    assert batch.earlier is not None and batch.earlier.shape == (2, 1, 3, 32, 32)
