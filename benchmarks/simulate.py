"""Simulated clips a second and core, against drawing the same frames alone; and the cost of flow and video files."""

import tempfile
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from timing import RESULTS, Machine, as_json, interleaved, ratio, table, write_results

from poke2vid.media.encoding import write_video
from poke2vid.simulator.families.registry import FAMILIES
from poke2vid.simulator.film import Order, Take, take
from poke2vid.simulator.world import FPS

TARGETS = {"frames": 12.0, "with flow, masks, part ids": 8.0}  # our aims: clips of ten frames a second and core
CLIP = 10  # frames
SIDE = 128


def main(
    out: Annotated[Path, typer.Option("--out", help="Folder for simulate.json and simulate.md.")] = RESULTS,
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="Interleaved repetitions.")] = 5,
    videos: Annotated[int, typer.Option("--videos", min=1, help="Of each family, in one round.")] = 4,
    frames: Annotated[int, typer.Option("--frames", min=12, help="Of each video; `simulate` makes 60.")] = 60,
    quick: Annotated[bool, typer.Option("--quick", help="Smallest sizes, one round: does it run?")] = False,
) -> None:
    """Simulate every family at 128 pixels on one core."""
    if quick:
        rounds, videos, frames = 1, 1, 12
    with Machine() as machine:
        found = {family: measure(family, videos, frames, rounds) for family in FAMILIES}
    write_results(
        out, "simulate", machine, {"videos": videos, "frames": frames, "families": found}, _page(found, frames)
    )


def measure(family: str, videos: int, frames: int, rounds: int) -> dict[str, Any]:
    """Clips of ten frames a second and core of one family, from seeds to pictures."""
    orders = [Order(family, "train", number, frames, SIDE, seed=3) for number in range(videos)]  # type: ignore[arg-type]

    def make(exact: bool, folder: Path | None = None) -> None:
        for order in orders:
            with take(order) as film:
                pictures = [film.frame(number) for number in range(frames)]
                if exact:
                    for start in range(0, frames - CLIP + 1, CLIP):
                        surface, end = film.surface(start), start + CLIP - 1
                        surface.flow(film.trajectory, end)
                        surface.visible(film.trajectory, end, film.renderer.fine_buffers(film.trajectory.states[end]))
            if folder is not None:
                write_video(folder / "video.mp4", pictures, FPS)

    with tempfile.TemporaryDirectory() as place, _Opened(orders) as takes:

        def draw_alone() -> None:
            for film in takes:
                for number in range(frames):
                    film.frame(number)

        timings = interleaved(
            {
                "frames": lambda: make(exact=False),
                "with flow, masks, part ids": lambda: make(exact=True),
                "as video files": lambda: make(exact=False, folder=Path(place)),
                "drawing alone": draw_alone,
            },
            rounds=rounds,
        )
    clips = videos * frames / CLIP
    return {
        "clips_a_second": {name: clips / timing.median for name, timing in timings.items()},
        "by_cpu_time": {name: clips / float(np.median(timing.cpu)) for name, timing in timings.items()},
        "frames_over_drawing": vars(ratio(timings["frames"], timings["drawing alone"])),
        "timings": as_json(timings),
    }


class _Opened:
    """Takes that are kept open, so that they can be drawn repeatedly."""

    def __init__(self, orders: list[Order]) -> None:
        self._contexts = [take(order) for order in orders]

    def __enter__(self) -> list[Take]:
        return [context.__enter__() for context in self._contexts]

    def __exit__(self, *_: object) -> None:
        for context in self._contexts:
            context.__exit__(None, None, None)


def _page(found: dict[str, dict[str, Any]], frames: int) -> str:
    names = ("frames", "with flow, masks, part ids", "as video files", "drawing alone")
    rows = [
        (
            family,
            *(f"{result['clips_a_second'][name]:.1f} ({result['by_cpu_time'][name]:.1f})" for name in names),
            f"{result['frames_over_drawing']['median']:.2f}",
        )
        for family, result in found.items()
    ]
    text = (
        f"One core, {SIDE} pixels, videos of {frames} frames from seed to pictures; clips of ten frames a second, in brackets "
        f"by processor time. The targets are {TARGETS['frames']:.0f} with frames only and "
        f"{TARGETS['with flow, masks, part ids']:.0f} with flow from a clip's first frame to its last, masks of the object "
        "and of what stays visible, and part ids."
    )
    return f"# simulate\n\n{text}\n\n{table(('family', *names, 'frames / drawing, time'), rows)}"


if __name__ == "__main__":
    typer.run(main)
