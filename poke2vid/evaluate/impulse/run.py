"""`poke2vid impulse`: a model's responses to impulses of rising strength, beside the simulated truth."""

from collections import Counter
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from tqdm import tqdm

from poke2vid.evaluate.impulse.curves import FRAMES, MAGNITUDES, ImpulseReport, Response, curves, summarise
from poke2vid.evaluate.impulse.figures import plot, write_clips
from poke2vid.evaluate.impulse.scenes import DIRECTIONS, POINTS, ImpulseScene, impulse_scenes
from poke2vid.evaluate.report import write_report
from poke2vid.flow.chain import FlowChain
from poke2vid.live.animator import Animator
from poke2vid.model.files import LoadedModel
from poke2vid.players.session_player import SessionPlayer
from poke2vid.simulator.world import FPS, PHYSICS
from poke2vid.tracking.trackers import bench_tracker
from poke2vid.types import InputError

TRACKED = "truth, tracked"  # the row of true frames through the tracker: its noise floor


def measure_impulses(
    loaded: LoadedModel, out: Path, *, scenes: int = 16, family: str = "plants", seed: int = 0, quiet: bool = False,
) -> ImpulseReport:  # fmt: skip
    """Measures a model and writes report.md, report.json, motion.png, and scenes/<name>.mp4 and .png.

    Every scene is pushed at `POINTS` points in `DIRECTIONS` directions with every magnitude. The model sees the scene's
    first frame at its own resolution; its motion is measured by a tracker on its frames, the truth's is exact. The row
    "truth, tracked" sends true frames, of one point and direction a scene, through the same tracker.

    Raises:
        InputError: if the model was not trained on impulses, this machine cannot simulate, or a file cannot be written.
    """
    model = loaded.model
    if model.poke_kind != "impulse":
        raise InputError(
            f"{loaded.path} was trained on shifts and does not know impulses; train one with --preset impulse64 or "
            "impulse_small64."
        )
    player = SessionPlayer(Animator(model, loaded.about))
    tracker = bench_tracker()
    responses: list[Response] = []
    rejected = Counter[str]()
    drawn = impulse_scenes(scenes, model.resolution, family=family, seed=seed)
    for scene in tqdm(drawn, total=scenes, unit="scene", disable=True if quiet else None):
        rejected.update(scene.rejected)
        played = {(p.number, p.magnitude): player.play(scene.first, p.poke, len(p.flows)) for p in scene.pokes}
        responses += responses_of(scene, played, tracker)
        shown = [(p, p.frames, played[p.number, p.magnitude]) for p in scene.pokes if p.frames is not None]
        rows = {"truth": [true for _, true, _ in shown], "model": [predicted for _, _, predicted in shown]}
        write_clips(out / "scenes" / f"{scene.name}.mp4", scene.first, [p.poke for p, _, _ in shown], rows, FPS)
    about = {
        "scenes": scenes, "family": family, "split": "test", "seed": seed, "points": POINTS, "directions": DIRECTIONS,
        "magnitudes": list(MAGNITUDES), "frames": FRAMES, "resolution": model.resolution, "tracker": tracker.name,
        "rejected": dict(rejected), "physics": PHYSICS, "model": str(loaded.path),
        "step": loaded.about.get("step"), "full_motion": loaded.about.get("full_motion"),
    }  # fmt: skip
    report = summarise(responses, about, seed)
    write_report(report, out)
    plot(report, out / "motion.png")
    return report


def responses_of(
    scene: ImpulseScene, played: dict[tuple[int, float], UInt8[np.ndarray, "t h w 3"]], tracker: FlowChain
) -> list[Response]:
    """Object motion after every poke: the truth, the model, and true frames, if any, through the tracker."""
    found = []
    for true in scene.pokes:
        rows = {"truth": true.flows}
        for row, frames in (("model", played[true.number, true.magnitude]), (TRACKED, true.frames)):
            if frames is not None:
                rows[row] = np.stack(list(tracker([scene.first, *frames])))
        for row, flows in rows.items():
            found.append(Response(row, scene.name, true.number, true.magnitude, curves(flows, scene.mask)))
    return found
