"""Videos to a clip store: decode, estimate flow, keep what moves. Resumable; the result is the same for any workers."""

import contextlib
import functools
import shutil
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NoReturn, get_args

from tqdm import tqdm

from poke2vid.data.manifest import (
    DEFAULT_LAGS,
    ArraySettings,
    DamagedRecord,
    Entry,
    ListedVideo,
    Manifest,
    ShotRecord,
    Skipped,
    SplitSettings,
    held_out,
    safe_id,
    validated,
)
from poke2vid.data.prepare.report import PrepareReport, written_before_cuts
from poke2vid.data.prepare.video import (
    WORK_PREFIX,
    Outcome,
    Stopwatch,
    VideoPreparer,
    threads_restored,
)
from poke2vid.data.sources.dataset import TEST, DataSet, Listing
from poke2vid.data.sources.folder import PassedOver, find_videos
from poke2vid.data.sources.footage import Source
from poke2vid.data.store import is_whole, read_entry, read_manifest
from poke2vid.files import MANIFEST, reason, write_json
from poke2vid.flow.estimator import build_estimator
from poke2vid.pokes import MIN_MOTION
from poke2vid.processes import Died, alone_in, run_jobs
from poke2vid.types import InputError, Split

REASONS_SHOWN = 5
MOST_SHOTS_TRIED = 200  # numbers, to recognise the folder of a shot whose entry is damaged


@dataclass(frozen=True, kw_only=True)
class PrepareSettings:
    """Settings of a `prepare` run.

    Attributes:
        resolution: side of the square frames, in pixels; even.
        fps: frames a second to keep at most; None keeps all.
        fit: method of making a frame square: "crop", "stretch" or "pad".
        lags: the T of every flow x_0 -> x_T that is kept, in frames; the paper's clips have T = 10.
        flow: the flow estimator, "dis" or "raft"; "exact" for simulated videos, whose flow is known.
        seed, test_fraction: random ranking of the videos, and the share of them held out for tests.
        test: globs over video names; if given, exactly the matching videos are held out instead.
        min_motion: least motion of the foreground, as a share of the frame's side; stiller videos are skipped.
        workers: number of processes; 0 works in this one.
    """

    resolution: int
    fps: float | None = None
    fit: str = "crop"
    lags: tuple[int, ...] = DEFAULT_LAGS
    flow: str = "dis"
    seed: int = 0
    test_fraction: float = 0.2
    test: tuple[str, ...] = ()
    min_motion: float = MIN_MOTION
    workers: int = 2

    def __post_init__(self) -> None:
        _ = self.arrays, self.split  # raise InputError for invalid values
        if self.workers < 0:
            raise InputError(f"workers is {self.workers}; choose 0 (this process) or more.")

    @property
    def arrays(self) -> ArraySettings:
        values = {name: getattr(self, name) for name in ArraySettings.model_fields}
        return validated(ArraySettings, values, "the setting")

    @property
    def split(self) -> SplitSettings:
        values = {"seed": self.seed, "fraction": self.test_fraction, "patterns": self.test}
        return validated(SplitSettings, values, "the split")


def prepare(
    source: Path, out: Path, settings: PrepareSettings, weights_dir: Path | None = None, quiet: bool = False
) -> PrepareReport:
    """Prepares every video at `source` into the store `out`; keeps what an earlier, even a killed, run has finished.

    Args:
        source: a video, or a folder of videos or of frames (`sources.folder`).
        out: a new folder, or the store of a run with the same settings.
        weights_dir: for flow estimators that need weights.
        quiet: no progress bar.

    Raises:
        InputError: if the source holds no video, `out` is something else or a store of other settings or videos, the
            disk is full, or no video could be kept. An unusable video is skipped with its reason.
    """
    found = find_videos(source)
    # Built here first, so that missing weights stop the run before any worker starts.
    build_estimator(settings.arrays.flow, weights_dir)
    return fill_store(found.videos, out, settings, weights_dir, quiet, found.passed_over)


def prepare_dataset(
    dataset: DataSet, listing: Listing, out: Path, settings: PrepareSettings, weights_dir: Path | None = None,
    quiet: bool = False,
) -> PrepareReport:  # fmt: skip
    """Prepares a copy of a published data set, at its own rate and in its own split.

    Args:
        listing: of the copy (`DataSet.listed`).
        settings: whose `fps`, `fit`, `test`, `test_fraction` and `seed` are replaced by the data set's.

    Raises:
        InputError: as `prepare`.
    """
    settings = replace(settings, fps=dataset.fps, fit=dataset.fit, test=(TEST,), test_fraction=0.0, seed=0)
    build_estimator(settings.arrays.flow, weights_dir)
    return fill_store(listing.videos, out, settings, weights_dir, quiet, listing.passed_over, (dataset, listing))


def fill_store(
    videos: Sequence[Source], out: Path, settings: PrepareSettings, weights_dir: Path | None = None, quiet: bool = False,
    passed_over: tuple[PassedOver, ...] = (), copy: tuple[DataSet, Listing] | None = None,
) -> PrepareReport:  # fmt: skip
    """Fills a store as `prepare` does, from any kind of source.

    Args:
        passed_over: named in the report.
        copy: the published data set of which the videos are a copy; report and manifest say what it lacks.
    """
    started = time.perf_counter()
    _check_patterns(settings.test, videos)
    with alone_in(_videos_folder(out)):
        job = _Preparation(out, settings, videos)
        watch = job.run(weights_dir, quiet)
        return job.finish(watch, time.perf_counter() - started, passed_over, copy)


class _Preparation:
    """State of one run: finished videos, pending ones, and outcomes."""

    def __init__(self, out: Path, settings: PrepareSettings, videos: Sequence[Source]) -> None:
        self._out, self._folder, self._settings = out, out / "videos", settings
        earlier = _earlier_manifest(out, settings)
        self._entries, self._stale = _finished(self._folder, settings.arrays, videos)
        self._reused = len(self._entries)
        self._before_cuts = self._reused if settings.arrays.flow != "exact" and written_before_cuts(out) else 0
        self._skipped = {
            skipped.name: skipped
            for video in videos
            for skipped in (earlier.skipped if earlier else ())
            if skipped.name == video.name and skipped.source_sha256 == video.digest()
        }
        self._pending = [video for video in videos if video.name not in self._entries | self._skipped]

    def run(self, weights_dir: Path | None, quiet: bool) -> Stopwatch:
        """Prepares the pending videos; entries and skip reasons collect in this object, arrays on disk."""
        total = Stopwatch()
        if not self._pending:
            return total
        self._clear()
        make = functools.partial(VideoPreparer.build, self._folder, self._settings.arrays, weights_dir)
        workers = min(self._settings.workers, len(self._pending))
        expected = sum(video.expected_frames(self._settings.fps) for video in self._pending)
        bar = tqdm(total=expected, unit="frame", desc="prepare", disable=True if quiet else None)
        with (
            bar,
            threads_restored(),
            contextlib.closing(run_jobs(make, self._pending, workers, bar.update)) as results,
        ):
            for video, outcome in results:
                self._note(video, outcome)
                if isinstance(outcome, Outcome):
                    total.add(outcome.watch)
        return total

    def finish(
        self,
        watch: Stopwatch,
        seconds: float,
        passed_over: tuple[PassedOver, ...],
        copy: tuple[DataSet, Listing] | None,
    ) -> PrepareReport:
        """Writes the manifest, as the last file of the store, and the report."""
        skipped = tuple(self._skipped[name] for name in sorted(self._skipped))
        names = sorted(self._entries)
        manifest = self._manifest(names, skipped, copy)
        remarks = [(copy[0].title, remark) for remark in copy[1].remarks] if copy else []
        frames = max(watch.frames, 1)
        report = PrepareReport(
            kept=tuple(names),
            reused=self._reused,
            before_cuts=self._before_cuts,
            skipped=skipped,
            frames=watch.frames,
            decode_ms=1000 * watch.decoding / frames,
            flow_ms=1000 * watch.flow / frames,
            seconds=seconds,
            digest=manifest.digest,
            shots={entry.shot.video: entry.shot.found for _, entry in sorted(self._entries.items()) if entry.shot},
            remarks=(*remarks, *((name, note) for name in names for note in self._entries[name].notes)),
            passed_over=passed_over,
            missing=copy[1].missing if copy else (),
            dataset=copy[0].name if copy else None,
        )
        report.write(self._out)
        for split in get_args(Split) if copy else ():  # whose split is its own: nothing else can take their place
            if not any(name.startswith(f"{split}/") for name in names):
                _refuse([video for video in skipped if video.name.startswith(f"{split}/")], f"{split} videos")
        if not names:
            _refuse(skipped, "videos")
        write_json(self._out / MANIFEST, manifest.to_json())
        return report

    def _clear(self) -> None:
        """Marks the store unfinished and removes partial work of a killed run."""
        (self._out / MANIFEST).unlink(missing_ok=True)
        for stale in (*self._folder.glob(f"{WORK_PREFIX}*"), *self._stale):
            shutil.rmtree(stale, ignore_errors=True)

    def _note(self, video: Source, outcome: Outcome | Died) -> None:
        match outcome:
            case Died(code):
                why = f"its worker process died (exit code {code}); it may have lacked memory, so run again"
                self._skipped[video.name] = Skipped(name=video.name, reason=why)
            case Outcome(fatal=str(why)):
                raise InputError(why)
            case Outcome(skipped=Skipped() as skipped):
                self._skipped[video.name] = skipped
            case Outcome(kept=entries):
                self._entries |= {entry.name: entry for entry in entries}

    def _manifest(
        self, names: Sequence[str], skipped: tuple[Skipped, ...], copy: tuple[DataSet, Listing] | None
    ) -> Manifest:
        source = {name: self._entries[name].source_sha256 for name in names}
        once = sorted({source[name]: name for name in reversed(names)}.values())  # each video under its first name
        chosen = held_out(names if self._settings.split.patterns else once, self._settings.split)
        held_sources = {source[name] for name in chosen}  # copies of a video must be on the same side of the split
        test = {name for name in names if source[name] in held_sources}
        return Manifest(
            settings=self._settings.arrays,
            split=self._settings.split,
            videos=tuple(
                ListedVideo(
                    name=name,
                    id=safe_id(name),
                    split="test" if name in test else "train",
                    num_frames=self._entries[name].num_frames,
                    fps=self._entries[name].fps,
                    digest=self._entries[name].digest(),
                )
                for name in names
            ),
            skipped=skipped,
            dataset=copy[0].name if copy else None,
            remarks=copy[1].remarks if copy else None,
        ).sealed()


def _refuse(skipped: Sequence[Skipped], what: str) -> NoReturn:
    """Raises InputError with the reasons for which none could be kept."""
    reasons = "; ".join(f"{video.name}: {video.reason.rstrip('.')}" for video in skipped[:REASONS_SHOWN])
    more = f"; and {len(skipped) - REASONS_SHOWN} more, in report.md" if len(skipped) > REASONS_SHOWN else ""
    raise InputError(f"none of the {len(skipped)} {what} could be kept: {reasons}{more}.")


def _check_patterns(patterns: Sequence[str], videos: Sequence[Source]) -> None:
    for pattern in patterns:
        if not any(fnmatchcase(video.name, pattern) for video in videos):
            names = ", ".join(video.name for video in videos[:REASONS_SHOWN])
            raise InputError(f"the test pattern {pattern!r} matches no video; names look like {names}.")


def _videos_folder(out: Path) -> Path:
    """The folder of a store's videos, created if missing.

    Raises:
        InputError: if `out` is not a store, or cannot be written.
    """
    folder = out / "videos"
    if out.exists() and not folder.is_dir() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out} exists and is not a store; choose another --out.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot write {folder}: {reason(error)}.") from error
    return folder


def _earlier_manifest(out: Path, settings: PrepareSettings) -> Manifest | None:
    """The manifest of a finished store at `out`, if there is one.

    Raises:
        InputError: if it is a store with other settings.
    """
    if not (out / MANIFEST).is_file():
        return None
    try:
        earlier = read_manifest(out)
    except DamagedRecord:
        return None
    old = earlier.settings.model_dump() | earlier.split.model_dump()
    new = settings.arrays.model_dump() | settings.split.model_dump()
    for name in new:
        if old[name] != new[name]:
            raise InputError(f"the store {out} has {name} {old[name]}, not {new[name]}; choose another --out.")
    return earlier


def _finished(
    folder: Path, settings: ArraySettings, videos: Sequence[Source]
) -> tuple[dict[str, Entry], tuple[Path, ...]]:
    """Entries that need no work (same settings, same source, all arrays intact), and folders of shots that do.

    Raises:
        InputError: if the store holds a video that is not among `videos`.
    """
    by_name = {video.name: video for video in videos}
    by_id = {safe_id(name): name for name in by_name}
    digest = functools.cache(lambda name: by_name[name].digest())  # a video of many shots is read once
    found: dict[str, Entry] = {}
    shots: dict[Path, str] = {}  # folders of further shots, with the name of their video
    for place in sorted(folder.iterdir()):
        if place.name.startswith((WORK_PREFIX, ".")):  # work folders, and hidden files of file browsers
            continue
        entry = _readable_entry(place)
        name = by_id.get(place.name) or _video_of_shot(place, entry, by_name)
        if name is None:
            raise InputError(f"{folder.parent} holds {place.name}, which is not in the source; choose another --out.")
        if place.name not in by_id:
            shots[place] = name
        if entry is None:
            continue  # damaged: prepare it again
        if is_whole(place, entry) and entry.settings == settings and entry.source_sha256 == digest(name):
            found[entry.name] = entry
    complete = {
        name: entry
        for name, entry in found.items()
        if (entry.shot is None and name in by_name) or (entry.shot and _all_there(entry.shot, found))
    }
    kept = {folder / safe_id(name) for name in complete}
    return complete, tuple(place for place in shots if place not in kept)


def _readable_entry(place: Path) -> Entry | None:
    try:
        return read_entry(place)
    except InputError:
        return None


def _video_of_shot(place: Path, entry: Entry | None, names: Collection[str]) -> str | None:
    """Name of the video that a folder holds a further shot of; of a damaged one, by trying numbers."""
    if entry is not None:
        return entry.shot.video if entry.shot and entry.shot.video in names else None
    tried = ((name, number) for name in names for number in range(2, MOST_SHOTS_TRIED))
    return next((name for name, number in tried if safe_id(ShotRecord.name(name, number)) == place.name), None)


def _all_there(shot: ShotRecord, found: Mapping[str, Entry]) -> bool:
    """True if all shots that were kept of a video are among the entries, and come from the same run."""
    records = (found.get(ShotRecord.name(shot.video, number)) for number in range(1, shot.kept + 1))
    return all(
        entry is not None and entry.shot is not None and (entry.shot.kept, entry.shot.found) == (shot.kept, shot.found)
        for entry in records
    )
