"""Motion correlation against known truth: the same pokes in the simulator and the model, scored against true parts.

A map is tested on two questions. Does it find the *part* that l belongs to (Fig. 5 shows parts)? And does it find what
really *moves together*? These differ: an arm takes the hand along, a torso all of the body, and a chain link all that
hangs below. The simulator answers the second exactly: the exact flow of the same pokes goes through the same function.
So the exact map's own score on parts is the most that motion can tell about parts, and the distance to l is the
baseline to beat.
"""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float64, Int32
from tqdm import tqdm

from poke2vid.evaluate.report import legend, row_table, write_text
from poke2vid.evaluate.structure import scene as simulated
from poke2vid.evaluate.structure.correlators import Correlator, FieldCorrelator, correlator_for
from poke2vid.evaluate.structure.drawing import colour_bar, larger, marked, overlay
from poke2vid.evaluate.structure.maps import CorrelationMap, Settings, map_of
from poke2vid.evaluate.structure.scene import SIDE, TrueObject
from poke2vid.files import check_suffixes, write_json
from poke2vid.measures import correlation
from poke2vid.measures.statistics import Interval, cluster_mean, rank_correlation
from poke2vid.measures.table import MEASURES, REPORTS, columns
from poke2vid.media.pictures import write_picture
from poke2vid.media.viz import LargePicture, Picture, flow_colours, grid
from poke2vid.simulator.actions import Touch
from poke2vid.types import InputError, Pair, Player

SUFFIXES = (".png", ".md", ".json")
DISTANCE = "distance to l"  # the baseline row of nearness alone
LARGEST = 1.5  # cap on disagreement before E_phi's two outputs are added: more than a still one's says no more
NEARER = 0.1  # weight of the distance, which decides between places that the model rates the same


@dataclass(frozen=True)
class Asked:
    """One touched point of a scene: the exact map and the model's, both at the size of the frame.

    Attributes:
        scores: row -> column -> value.
    """

    scene: TrueObject
    location: Pair
    touch: Touch
    exact: CorrelationMap
    model: CorrelationMap
    failed: dict[str, int]
    scores: dict[str, dict[str, float]]


def ask(scene: TrueObject, location: Pair, touch: Touch, correlator: Correlator, bar: tqdm | None = None) -> Asked:
    """Applies the same pokes in the simulator and in the model; the model gets the true point's shifts as its pokes."""
    # The exact map and the model's; a model above the frame's size is tracked at its own
    settings, canvas = correlator.settings, correlator.canvas(scene.first)
    asked = settings.pokes, settings.longest, settings.seed, settings.frames
    truth = simulated.true_responses(scene, touch, *asked, bar)
    exact = map_of(truth.flows, truth.shifts, location, settings.measure)
    model = correlator.ask(canvas, location, truth.shifts, bar)
    model = replace(model, poke_at=location, values={name: _at_side(values) for name, values in model.values.items()})
    # Scores by each measure, of the distance to l, which needs no motion, and of what the model says itself
    judge = partial(score, part_ids=scene.part_ids, part=touch.part)
    scores = {
        f"{row}, {measure}": judge(found.by(measure).disagreement, exact.by(measure))
        for measure in REPORTS["maps"]
        for row, found in (("model", model), ("exact", exact))
    }
    scores[DISTANCE] = judge(_away(location), exact)
    if isinstance(correlator, FieldCorrelator):
        stays = 1 - _at_side(correlator.along(canvas, location).astype(np.float64))
        both = model.by("mean-square").disagreement.clip(0, LARGEST) + stays / 2
        said = {"what moves along": stays, "both": both, "both, then nearness": both + NEARER * _away(location)}
        scores |= {f"model, {row}": judge(found, exact) for row, found in said.items()}
    return Asked(scene, location, touch, exact, model, truth.failed, scores)


def _at_side(values: Float64[np.ndarray, "h w"]) -> Float64[np.ndarray, "h2 w2"]:
    """Map at the frame's size."""
    small: Float64[np.ndarray, "h2 w2"] = cv2.resize(values, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return values if values.shape == (SIDE, SIDE) else small


def _away(location: Pair) -> Float64[np.ndarray, "h w"]:
    """Distance to l, scaled to a maximum of 1."""
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float64)
    away: Float64[np.ndarray, "h w"] = np.hypot(x - location[0], y - location[1])
    return away / away.max()


def score(
    disagreement: Float64[np.ndarray, "h w"], exact: CorrelationMap, part_ids: Int32[np.ndarray, "h w"], part: int
) -> dict[str, float]:
    """All columns of one map; NaN for what cannot be told.

    Args:
        disagreement: 0 for pixels taken to follow, larger for those that follow less.
        part: id of the part that l belongs to.
    """
    mask, same = part_ids > 0, part_ids == part
    on_object, warm = -disagreement[mask], correlation.heat(disagreement)[mask]
    return {
        "auc_object": correlation.auc(on_object, same[mask]),
        "auc_all": correlation.auc(-disagreement.ravel(), same.ravel()),
        "iou_otsu": correlation.iou(correlation.above_otsu(warm), same[mask]),
        "iou_best": correlation.best_iou(on_object, same[mask]),
        "rank": rank_correlation(on_object.tolist(), (-exact.disagreement[mask]).tolist()),
        "together": correlation.auc(on_object, exact.heat[mask] > 0.5),
    }


@dataclass(frozen=True)
class StructureReport:
    """Scores of correlation maps over scenes.

    Attributes:
        rows: row -> column -> mean over points with its interval over scenes.
        points: every touched point with its own scores.
        about: settings of the measurement.
    """

    rows: dict[str, dict[str, Interval]]
    points: list[dict[str, Any]]
    about: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        return {"about": self.about, "columns": columns("structure"), **asdict(self)}

    def to_markdown(self) -> str:
        measured = ", ".join(f"{key} {value}" for key, value in self.about.items())
        brackets = f"Measured on: {measured}. Brackets: 95 % intervals over scenes."
        return "\n".join([*row_table(REPORTS["structure"], self.rows), "", brackets, "", *legend("structure"), ""])


def structure_report(
    correlator: Correlator, scenes: Sequence[str], points: int, model: str, at: Sequence[Pair] = (), quiet: bool = False
) -> tuple[StructureReport, LargePicture]:
    """Scores a model's maps on simulated scenes beside the exact ones; returns the report and a sheet to look at.

    Args:
        scenes: as FAMILY:N.
        points: number of points touched in each scene, on different parts.
        model: its name in the report.
        at: given points of every scene instead, in pixels of its frame.

    Raises:
        InputError: if a scene is unknown, a point cannot be pulled, the model knows no shifts, or this machine cannot
            draw.
    """
    if correlator.player.poke_kind == "impulse":
        raise InputError("this model was trained on impulses, and scenes are pulled by shifts; give it a picture.")
    # Ask simulator and model about every point of every scene
    named, settings = [simulated.parse_scene(scene) for scene in scenes], correlator.settings
    asked = list[Asked]()
    total = 2 * settings.pokes * len(named) * (len(at) or points)
    with tqdm(total=total, unit="poke", desc="structure", disable=True if quiet else None) as bar:
        for family, number in named:
            scene = simulated.find_object(family, number)
            chosen = simulated.given_points(scene, at) if at else simulated.choose_points(scene, points, settings.seed)
            asked += [ask(scene, location, touch, correlator, bar) for location, touch in chosen]
    # Means with intervals over scenes
    clusters, shown = [one.scene.name for one in asked], REPORTS["structure"]
    rows = {
        row: {
            c: cluster_mean([one.scores[row][c] for one in asked], clusters, settings.seed).within(MEASURES[c].span)
            for c in shown
        }
        for row in asked[0].scores
    }
    for row in [name for name in rows if name.startswith("model")]:  # paired difference to the baseline, scene by scene
        apart = {c: [one.scores[row][c] - one.scores[DISTANCE][c] for one in asked] for c in shown}
        rows[f"{row} minus {DISTANCE}"] = {c: cluster_mean(apart[c], clusters, settings.seed) for c in shown}
    # Every point on its own, and the settings
    numbers = [
        {
            "scene": one.scene.name, "scene_seed": one.scene.seed, "rejected": one.scene.rejected, "at": list(one.location),
            "part": one.scene.world.parts[one.touch.part - 1],
            "pixels": int((one.scene.part_ids == one.touch.part).sum()), "drawn_again": one.failed, "scores": one.scores,
        }
        for one in asked
    ]  # fmt: skip
    about = {
        "model": model, "scenes": len(named), "points": len(asked), "side": SIDE, "pokes": settings.pokes,
        "longest": settings.longest, "frames": settings.frames, "seed": settings.seed, "tracker": correlator.tracker,
        "pokes drawn again": sum(sum(one.failed.values()) for one in asked),
    }  # fmt: skip
    return StructureReport(rows, numbers, about), sheet(asked)


def correlate_scenes(
    player: Player, scenes: Sequence[str], points: int, at: Sequence[Pair], outputs: Sequence[Path], settings: Settings,
    model: str, weights_dir: Path | None = None, quiet: bool = False,
) -> str:  # fmt: skip
    """Writes `structure_report` by suffix: .png the sheet, .md the table, .json all numbers. Returns the table.

    Raises:
        InputError: before anything is computed if a suffix or a scene's name is unknown; then as `structure_report`.
    """
    check_suffixes(outputs, SUFFIXES)
    began = time.perf_counter()
    correlator = correlator_for(player, settings, weights_dir)
    report, drawn = structure_report(correlator, scenes, points, model, at, quiet)
    report.about["seconds"] = round(time.perf_counter() - began, 1)
    for path in outputs:
        match path.suffix.lower():
            case ".json":
                write_json(path, report.to_json())
            case ".md":
                write_text(path, report.to_markdown())
            case _:
                write_picture(path, drawn)
    return report.to_markdown()


def sheet(asked: Sequence[Asked]) -> LargePicture:
    """Sheet with one row per point: the picture with l, true parts, the exact map, the model's, and a colour bar."""
    rows = []
    for one in asked:
        first, parts = one.scene.first, part_colours(one.scene.part_ids, one.touch.part)
        plain = [marked(larger(picture), one.location, SIDE) for picture in (first, parts)]
        rows.append([*plain, overlay(first, one.exact), overlay(first, one.model)])
    head = np.full((28, rows[0][0].shape[1], 3), 255, np.uint8)
    heads = [cv2.putText(head.copy(), title, (4, 20), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (40, 40, 40), 1, cv2.LINE_AA)
             for title in ("l", "true parts", "exact map", "the model's map")]  # fmt: skip
    drawn = np.concatenate((grid([heads], gap=6), grid(rows, gap=6)))
    bar = np.full((drawn.shape[0], 96, 3), 255, np.uint8)
    bar[len(head) : len(head) + rows[0][0].shape[0]] = colour_bar(rows[0][0].shape[0])
    return np.concatenate((drawn, bar), axis=1)


def part_colours(part_ids: Int32[np.ndarray, "h w"], part: int) -> Picture:
    """Picture of the parts, each in a pale hue of its own; the one that l belongs to is black."""
    turn = part_ids * 2.399963  # the golden angle: neighbouring numbers differ
    hues = flow_colours(0.6 * np.stack((np.cos(turn), np.sin(turn))).astype(np.float32), 1.0)
    return np.where((part_ids > 0)[..., None], np.where((part_ids == part)[..., None], 0, hues), 255).astype(np.uint8)
