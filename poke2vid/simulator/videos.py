"""Simulated training videos as ordinary files, each with a sidecar that records its origin. Resumable at any moment.

OUT/plants-train-0-000000.mp4
OUT/plants-train-0-000000.json    the order, versions, scene, rejected scenes before it, a checksum
OUT/plants-train-0-000000.truth.safetensors    on request: the exact flow and more, see `truth`; the sidecar then lists
                                  the actions and has checksums of both files
OUT/report.json                   written last: number of videos, speed, rejected scenes by reason
"""

import hashlib
import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

from tqdm import tqdm

from poke2vid.files import is_sealed, write_json
from poke2vid.media.encoding import write_video
from poke2vid.processes import Died, Tick, alone_in, run_jobs
from poke2vid.simulator.backgrounds import Backgrounds, PhotoGoneError
from poke2vid.simulator.families.registry import family_named
from poke2vid.simulator.film import SEEDS, Order, take
from poke2vid.simulator.render import SIZES
from poke2vid.simulator.scene import GENERATION
from poke2vid.simulator.truth import VERSION, record_of_actions, truth_path, write_truth
from poke2vid.simulator.world import FPS, PHYSICS
from poke2vid.types import InputError, Split

REPORT = "report.json"


@dataclass(frozen=True)
class VideosReport:
    """Summary of a run: videos made and reused, scenes tried and rejected, timing.

    Attributes:
        videos: made in this run, in addition to `reused` from earlier ones.
        rejected: number of unused scenes by kind of fault, over all videos of the set.
        scenes: number tried, over all videos of the set.
        seconds: duration of this run.
    """

    videos: int
    reused: int
    rejected: dict[str, int]
    scenes: int
    seconds: float
    workers: int

    @property
    def summary(self) -> str:
        """One line for a log."""
        spoilt = sum(self.rejected.values())
        pace = self.videos / max(self.seconds, 1e-9) / max(self.workers, 1)
        return (
            f"{self.videos + self.reused} videos ({self.reused} from before) in {self.seconds:.1f} s, {pace:.2f} a second "
            f"and worker; {spoilt} of {self.scenes} scenes rejected ({spoilt / max(self.scenes, 1):.1%})"
        )


def order_videos(
    family: str, videos: int, frames: int, resolution: int, split: str = "train", seed: int = 0,
    backgrounds: Backgrounds | None = None,
) -> list[Order]:  # fmt: skip
    """The videos 0 ... videos - 1 of a set.

    Raises:
        InputError: for an invalid family, split, size or seed.
    """
    if split not in ("train", "test"):
        raise InputError(f"there is no split {split!r}; choose train or test.")
    if not 0 <= seed < SEEDS:
        raise InputError(
            f"there is no set of seed {seed}; choose 0 ... {SEEDS - 1}: the benchmark's scenes lie behind."
        )
    if not SIZES[0] <= resolution <= SIZES[1] or resolution % 2:
        raise InputError(
            f"frames of {resolution} pixels cannot be made; choose an even size, {SIZES[0]} ... {SIZES[1]}."
        )
    name = family_named(family).name
    return [Order(name, cast(Split, split), number, frames, resolution, seed, backgrounds) for number in range(videos)]


def order_families(
    families: Sequence[str], videos: Mapping[str, int], frames: int, resolution: int, seed: int = 0,
    backgrounds: Backgrounds | None = None,
) -> list[Order]:  # fmt: skip
    """The videos of several families, `videos` of them for each split. Raises as `order_videos`."""
    return [
        order
        for family in dict.fromkeys(families)  # duplicates would put two workers on one file
        for split, count in videos.items()
        for order in order_videos(family, count, frames, resolution, split, seed, backgrounds)
    ]


def simulate_videos(
    orders: Sequence[Order], out: Path, workers: int = 2, quiet: bool = False, truth: bool = False
) -> VideosReport:
    """Makes every order as a video in `out`; intact files that already exist are kept.

    Args:
        truth: also write each video's exact truth. A video that lacks it is made again; truth that exists is kept even
            if not asked for.

    Raises:
        InputError: if `out` is a store, or holds another set's videos under these names, the disk is full, a worker dies,
            or this machine cannot draw.
    """
    started = time.perf_counter()
    if is_sealed(out):
        raise InputError(f"{out} is a store or a benchmark; choose another --out for videos.")
    with alone_in(out):
        finished = {order.name: made for order in orders if (made := _finished(order, out, truth))}
        pending = [order for order in orders if order.name not in finished]
        bar = tqdm(total=sum(order.frames for order in pending), unit="frame", desc="simulate", disable=quiet or None)
        with bar:
            for order, sidecar in run_jobs(
                partial(_Studio, out, truth), pending, min(workers, len(pending)), bar.update
            ):
                if isinstance(sidecar, Died):
                    raise InputError(
                        f"the process that made {order.name} died (exit code {sidecar.code}); it may have lacked memory, "
                        "so run again with fewer --workers."
                    )
                if isinstance(sidecar, str):
                    raise InputError(sidecar)
                finished[order.name] = sidecar
        rejected: Counter[str] = Counter()
        for done in finished.values():
            rejected.update(done["rejected"])
        report = VideosReport(
            videos=len(pending), reused=len(orders) - len(pending), rejected=dict(sorted(rejected.items())),
            scenes=len(finished) + sum(rejected.values()), seconds=time.perf_counter() - started, workers=workers,
        )  # fmt: skip
        write_json(out / REPORT, asdict(report))
    return report


@dataclass(frozen=True)
class _Studio:
    """Makes videos one after the other; one per worker process."""

    out: Path
    truth: bool

    def __call__(self, order: Order, tick: Tick) -> dict[str, Any] | str:
        """Makes one video; returns its sidecar, or one sentence about what went wrong."""
        try:
            with take(order) as film:
                frames = []
                for number in range(order.frames):
                    frames.append(film.frame(number))
                    tick()
                truth = film.truth() if self.truth else None
            path = self.out / f"{order.name}.mp4"
            write_video(path, frames, FPS)
            origin = {
                "order": order.record(),
                "generation": GENERATION,
                "physics": PHYSICS,
                "scene_seed": film.scene_seed,
                "scene_digest": film.scene_digest,
                "parts": film.world.parts,
                "rejected": film.rejected,
                "fps": FPS,
            }
            sidecar = origin | {"sha256": _hash(path)}
            if truth is not None:
                beside, happening = truth_path(path), film.happening
                write_truth(beside, truth, origin)
                camera = film.world.camera.at(order.resolution)
                sidecar["truth"] = {
                    "version": VERSION,
                    "sha256": _hash(beside),
                    **record_of_actions(camera, film.trajectory, happening.actions, happening.wind),
                }
            write_json(path.with_suffix(".json"), sidecar)
        except (InputError, PhotoGoneError) as error:
            return str(error)
        return sidecar


def _finished(order: Order, out: Path, truth: bool) -> dict[str, Any] | None:
    """Sidecar of a finished order: same order, video intact, and its truth too if wanted; None otherwise."""
    path = out / f"{order.name}.json"
    try:
        sidecar = json.loads(path.read_text(encoding="utf-8"))
        made_by = (sidecar["order"], sidecar["generation"], sidecar["physics"])
        checksum, rejected = sidecar["sha256"], sidecar["rejected"]
    except (OSError, KeyError, TypeError, ValueError):
        return None  # missing or damaged: make it again
    if made_by != (order.record(), GENERATION, PHYSICS):
        raise InputError(f"{path} belongs to a video of other settings or another version; choose another --out.")
    try:
        whole = checksum == _hash(path.with_suffix(".mp4")) and isinstance(rejected, dict)
        if truth:
            told = sidecar["truth"]
            whole &= (told["version"], told["sha256"]) == (VERSION, _hash(truth_path(path)))
    except (OSError, KeyError, TypeError):
        return None
    return sidecar if whole else None


def _hash(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
