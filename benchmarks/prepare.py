"""Time of `prepare` a frame, against decoding it alone, and the stages that take the rest. One core."""

import tempfile
from collections import deque
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
import torch
import typer
from jaxtyping import Float32, UInt8
from material import SOURCE_SIDE, write_videos
from stages import REST, Stages
from timing import RESULTS, Machine, as_json, interleaved, ratio, table, write_results

from poke2vid.data.manifest import ArraySettings
from poke2vid.data.prepare import video as prepare_video
from poke2vid.data.prepare.video import SMALLEST_WORKING_SIDE, VideoPreparer
from poke2vid.data.sources import folder
from poke2vid.data.sources.folder import FileFootage, SourceVideo
from poke2vid.flow.estimator import FlowEstimator, build_estimator
from poke2vid.media.video import iterate_frames

TARGET_FPS = 40.0  # our aim: frames a second and core at 128 pixels with both flows
DECODE, FLOW, MOTION = "decode and resize", "flow over the lag", "flow between neighbours (motion)"


class _TimedEstimator:
    """A timed estimator; its two uses are told apart by the size of the frames."""

    def __init__(self, estimator: FlowEstimator, stages: Stages, working: int) -> None:
        self.name, self._estimator, self._stages, self._working = estimator.name, estimator, stages, working

    def __call__(
        self, first: UInt8[np.ndarray, "h w 3"], second: UInt8[np.ndarray, "h w 3"]
    ) -> Float32[np.ndarray, "2 h w"]:
        with self._stages.stage(FLOW if first.shape[0] == self._working else MOTION):
            return self._estimator(first, second)


def main(
    out: Annotated[Path, typer.Option("--out", help="Folder for prepare.json and prepare.md.")] = RESULTS,
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="Interleaved repetitions.")] = 5,
    frames: Annotated[int, typer.Option("--frames", min=12, help="Length of the synthetic video.")] = 150,
    quick: Annotated[bool, typer.Option("--quick", help="Smallest sizes, one round: does it run?")] = False,
) -> None:
    """Prepare a synthetic 256-pixel video at 64 and 128 pixels with DIS."""
    if quick:
        rounds, frames = 1, 16
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder, Machine() as machine:
        path = write_videos(Path(folder), 1, frames)[0]
        found = {str(side): measure(path, side, Path(folder) / str(side), rounds) for side in (64, 128)}
    write_results(
        out, "prepare", machine, {"frames": frames, "source_side": SOURCE_SIDE, "by_resolution": found}, _page(found)
    )


def measure(path: Path, side: int, work: Path, rounds: int) -> dict[str, Any]:
    """Frames a second and core of `prepare` and of decoding alone at one resolution, and the stages of `prepare`."""
    # Preparers with and without timers
    settings = ArraySettings(resolution=side, lags=(10,))  # the aim is for one lag and the neighbours
    working = max(side, SMALLEST_WORKING_SIDE)
    stages, videos = Stages(), work / "videos"
    videos.mkdir(parents=True)
    plain = VideoPreparer(videos, settings, build_estimator("dis"))
    timed = VideoPreparer(videos, settings, _TimedEstimator(build_estimator("dis"), stages, working))
    video = SourceVideo(path.name, path)
    counted = 0

    def prepare(preparer: VideoPreparer) -> None:
        nonlocal counted
        outcome = preparer(video, lambda: None)
        assert outcome.kept, outcome.skipped
        counted = outcome.watch.frames

    def staged() -> None:
        places = (
            (folder.SourceVideo, "digest", "hash the source"),
            (folder, "probe", "probe"),
            (prepare_video, "shrink", "shrink frames"),
            (prepare_video, "resize_flow", "resize and halve flow"),
            (prepare_video, "stored_flow", "resize and halve flow"),
            (prepare_video, "foreground_motion", "foreground motion"),
            (prepare_video._ArrayWriter, "append", "write and hash"),
            (prepare_video._ArrayWriter, "finish", "write and hash"),
        )
        with stages.stage(REST), stages.around(*places):
            original = FileFootage.frames
            FileFootage.frames = _stage_of_each(original, stages)
            try:
                prepare(timed)
            finally:
                FileFootage.frames = original

    # Time all of them in turns
    candidates = {
        "prepare": lambda: prepare(plain),
        "decode": lambda: deque(iterate_frames(path, working), maxlen=0),
        "decode at the source's size": lambda: deque(iterate_frames(path), maxlen=0),
        "prepare with timers": staged,
    }
    timings = interleaved(candidates, rounds=rounds)
    compared = ratio(timings["prepare"], timings["decode"])
    total = sum(stages.seconds.values())
    passes = stages.calls["probe"]
    return {
        "working_side": working,
        "frames": counted,
        "fps": {name: counted / timing.median for name, timing in timings.items()},
        "fps_by_cpu_time": {name: counted / float(np.median(timing.cpu)) for name, timing in timings.items()},
        "prepare_over_decode": vars(compared),
        "ms_a_frame": {name: 1000 * s / (counted * passes) for name, s in stages.seconds.items()},
        "share": {name: s / total for name, s in stages.seconds.items()},
        "timings": as_json(timings),
    }


def _stage_of_each(original: Any, stages: Stages) -> Any:
    """`FileFootage.frames`, with every frame timed as it is asked for."""

    def frames(footage: FileFootage, *args: Any) -> Any:
        source = original(footage, *args)
        while True:
            with stages.stage(DECODE):
                frame = next(source, None)
            if frame is None:
                return
            yield frame

    return frames


def _page(found: dict[str, dict[str, Any]]) -> str:
    rows = [
        (
            f"{side} px",
            f"{result['fps']['prepare']:.0f}",
            f"{result['fps_by_cpu_time']['prepare']:.0f}",
            f"{result['fps']['decode']:.0f}",
            f"{result['prepare_over_decode']['median']:.1f} "
            f"({result['prepare_over_decode']['low']:.1f}-{result['prepare_over_decode']['high']:.1f})",
            f"{result['fps']['decode at the source' + chr(39) + 's size']:.0f}",
        )
        for side, result in found.items()
    ]
    header = (
        "resolution", "prepare, frames/s", "by processor time", "decode alone, frames/s", "prepare / decode, time",
        "decode at 256 px, frames/s",
    )  # fmt: skip
    stages = sorted(
        {name for r in found.values() for name in r["share"]}, key=lambda n: -found["128"]["share"].get(n, 0)
    )
    parts = [
        (name, *(f"{r['ms_a_frame'].get(name, 0):.2f} ({r['share'].get(name, 0):.0%})" for r in found.values()))
        for name in stages
    ]
    return (
        f"# prepare\n\nOne core, DIS, flow over 10 frames and between neighbours for every frame; the target is "
        f"{TARGET_FPS:.0f} frames/s at 128 px.\n\n{table(header, rows)}\n\nMilliseconds a frame by stage (share):\n\n"
        f"{table(('stage', *(f'{side} px' for side in found)), parts)}"
    )


if __name__ == "__main__":
    typer.run(main)
