"""Sentences of a table: how long its rows trained, and what its numbers are and are not."""

from collections.abc import Sequence

from poke2vid.baselines.baseline import BaselineConfig
from poke2vid.baselines.systems import SYSTEMS
from poke2vid.data.manifest import Manifest
from poke2vid.data.sources.dataset import count
from poke2vid.evaluate.heldout.judges import Judges
from poke2vid.evaluate.tables.layout import Line
from poke2vid.evaluate.tables.order import Order, Results
from poke2vid.evaluate.tables.runs import Run
from poke2vid.evaluate.tables.suites import Suite
from poke2vid.measures.statistics import FEWEST_CLUSTERS
from poke2vid.measures.table import MEASURES, columns
from poke2vid.train.config import TrainConfig

SHOWN = (
    "video predictors see frames -1 and 0, one sample a clip; ours sees frame 0 and a poke; Hao et al.'s frame 0 and the "
    "true path of five points, the poked one among them; distances are over the predicted frames alone"
)
TAUGHT = (
    "ours has a motion decoder and learns from the store's flow and from where pokes end, exact where it is simulated; video "
    "predictors, and ours with the paper's own G, learn from frames alone, Hao et al. from frames and paths"
)
BUDGET = "a training, one a seed, by its median step, on the machine and beside the work it had, so rows are alike only about"
CONVERGED = 100_000  # steps; the released checkpoints have some 150,000; rows of fewer are marked as not converged


def marks(runs: Sequence[Run], seeds: int) -> str:
    """Length of a row's training, whether it can have converged, and how many seeds of those asked for it lacks."""
    if not runs:
        return ""
    config = runs[0].config
    enough = published_steps(runs[0].variant) if isinstance(config, BaselineConfig) else CONVERGED
    judged = "not converged" if config.num_steps < enough else "convergence not tested"
    lacking = f", {len(runs)} of {seeds} seeds" if len(runs) < seeds else ""
    return f"{config.num_steps:,} steps, {config.num_steps * config.batch:,} clips seen, {judged}{lacking}"


def published_steps(system: str) -> int:
    """Length of a system's training as published, the longest of its presets."""
    return max(config.num_steps for config in SYSTEMS[system].presets.values())


def _cost(runs: Sequence[Run]) -> str:
    """Size of a row's network, and the time of each of its trainings."""
    timed = [(run.config.num_steps, run.size["step_s"]) for run in runs if run.size["step_s"]]
    each = " and ".join(f"{seconds:.2g} s a step ({steps * seconds / 60:.0f} minutes)" for steps, seconds in timed)
    return f"{runs[0].size['parameters']:,} parameters" + (f", {each}" if each else "")


def _otherwise(base: TrainConfig, run: Run) -> str:
    """Differences of how a row of ours is trained from how the base is; empty where there are none."""
    config = run.config
    if isinstance(config, BaselineConfig):
        return ""
    found = []
    if config.perceptual != base.perceptual:
        found.append(f"perceptual network {config.perceptual}")
    if (config.stage_1_steps, config.stage_2_steps) != (base.stage_1_steps, base.stage_2_steps):
        found.append(f"{config.stage_1_steps:,} steps of stage 1 and {config.stage_2_steps:,} of stage 2")
    return " and ".join(found)


def lpips_note(judges: Judges) -> str:
    """Sentence on which networks LPIPS ran on, beside the paper's."""
    names = ", ".join(judge.name for judge in judges.lpips) or "no network, since no weights were found"
    return f"LPIPS v0.1 on {names}; the paper's is on vgg (VGG-16)"


def copy_of(title: str, manifests: Sequence[Manifest]) -> str:
    """Name of a data set, and what the stores that are copies of it lack: numbers on a part are not numbers on all."""
    lacks = dict.fromkeys(remark for manifest in manifests for remark in manifest.remarks or ())
    if skipped := {video.name for manifest in manifests for video in manifest.skipped}:
        lacks[f"{count(len(skipped))} skipped"] = None
    if any(manifest.remarks is None for manifest in manifests):
        return "; ".join((f"a copy of {title}; its stores do not say whether it is complete", *lacks))
    return f"not all of {title}: {'; '.join(lacks)}" if lacks else f"{title}, as the paper"


def notes_of(
    suite: Suite, lines: Sequence[Line], planned: dict[str, list[Run]], results: Results, order: Order
) -> list[str]:  # fmt: skip
    """Sentences below a table: data, measurement, judges, sizes, and what cannot be compared."""
    # Data and size of the frames
    base, about, judges = order.base, results.compared.about, results.judges
    data = results.data or "not a data set of the paper: no number of its beside"
    size = f"{about['resolution']} pixels"
    if about["resolution"] != suite.resolution:
        size += f" (the paper: {suite.resolution})"
    # Measurement, training and judges
    counts = {column: max(line.cells[column].clips for line in lines) for column in lines[0].cells}
    notes = [
        f"store {about['store']} ({data}); {about['clips']} clips of {about['videos']} test videos, {about['horizon']} frames "
        f"of {size}, clips drawn by seed {about['seed']}"
        + (", in turn from each video" if about["evenly"] else "")
        + (", pokes where the flow back confirms the store's" if about["confirmed"] else ""),
        "clips measured: " + ", ".join(f"{MEASURES[column].title} {count}" for column, count in counts.items()),
        f"{order.seeds} training seed(s), each on its own in round brackets; square brackets: 95 % intervals over videos"
        + (f", none of fewer than {FEWEST_CLUSTERS} videos" if about["videos"] < FEWEST_CLUSTERS else ""),
        f"batch {base.batch}, width {base.model.channels} (the paper: 32), perceptual network {base.perceptual}, "
        + ("both critics" if base.has_critics else "no critics"),
        f"poke-EPE and background by the tracker {judges.tracker}; response-EPE against {judges.flow} flow"
        + (f"; {judges.caution}" if judges.caution else ""),
        f"the true frames: {judges.floor}",
        f"{MEASURES['followed_epe'].heading}: {columns('heldout')['followed_epe']}",
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
    if overlapping := about["real_clips_that_share_frames_with_generated_ones"]:
        notes.append(
            f"{overlapping} of the real clips that distances are taken to share frames with generated ones: what is alike is "
            "nearer, so distances of the true frames may lie below those of as many independent clips"
        )
    if order.dataset:
        notes.append(
            "the paper's PSNR is, by its released code, that of 160 frames pooled, and its SSIM's data range that of a batch "
            "(docs/decisions/018): ours are of each frame"
        )
    if results.clips.earlier or results.clips.told:
        notes.append(SHOWN)
        if base.model.decoder == "motion":
            notes.append(TAUGHT)
    systems = {label: variant for label, variant in suite.all_rows.items() if variant in SYSTEMS}
    if any(SYSTEMS[variant].network.told for variant in systems.values()):
        notes.append(
            f"those paths are the flow from x_0 at lags {', '.join(map(str, results.lags))}, straight between them; Hao et al. "
            "learn from pairs of frames that far apart, as published from all of 1 to 10"
        )
    trained = {
        label: planned[variant]
        for label, variant in suite.all_rows.items()
        if label in {line.label for line in lines} and planned.get(variant)
    }
    if trained:
        notes.append("; ".join(f"{label} {_cost(runs)}" for label, runs in trained.items()))
        notes.append(f"minutes are of {BUDGET}")
        lengths = [f"{name} {published_steps(system):,}" for name, system in systems.items() if name in trained]
        notes.append(f"rows of fewer steps are not converged: {', '.join((*lengths, f'ours {CONVERGED:,}'))}")
    notes += [f"{label}: {said}" for label, runs in trained.items() if (said := _otherwise(base, runs[0]))]
    for label, variant in suite.all_rows.items():
        kept = [run.kept for run in planned.get(variant, []) if run.kept is not None]
        if found := sorted({(*(one.about["stores"][k] for k in ("train", "test")), one.elsewhere) for one in kept}):
            each = " and ".join(
                f"trained on store {train} and scored on {test}" + (", not the stores at hand" if elsewhere else "")
                for train, test, elsewhere in found
            )
            notes.append(f"{label}: measured in an earlier run, {each}")
    return notes
