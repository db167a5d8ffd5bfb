"""Tai-Chi-HD: crops of videos of YouTube, 256 x 256, every second frame.

The clips are made by the loading script of its owners, which writes `train/` and `test/` by its table; videos that have
vanished are missing from everybody's copy, so the table (if it lies in the folder) says how much of it is there.
"""

import csv
from fnmatch import fnmatchcase
from pathlib import Path
from typing import cast, get_args

from poke2vid.data.sources.dataset import DataSet, Listing, count, files_in, first_of, named, stem
from poke2vid.data.sources.folder import PassedOver, SourceVideo
from poke2vid.types import InputError, Split

STEP = 2  # the paper downsamples in time by a factor of two
TABLE = "taichi-metadata*.csv"
VIDEOS: dict[Split, int] = {"train": 252, "test": 28}
COLUMNS = ("video_id", "start", "end")


def find(raw: Path) -> Listing:
    videos, rest = files_in(raw)
    rest = [other for other in rest if not fnmatchcase(other.name, TABLE)]
    table = _table(raw)
    placed = [(video, _split(raw, video, table)) for video in videos]
    rest += [
        PassedOver(video.name, "neither in train/ nor in test/, nor in a table with a column partition")
        for video, split in placed
        if split is None
    ]
    ours = [(video, split) for video, split in placed if split is not None]
    remarks = [
        f"clips of {count(found)} for {use} instead of {wanted}"
        for (part, wanted), use in zip(VIDEOS.items(), ("training", "tests"), strict=True)
        if (found := len({_row(stem(video))[0] for video, split in ours if split == part})) != wanted
    ]
    if not table:
        remarks.append(f"there is no table ({TABLE}) that says which clips are missing")
    there = {_row(stem(video)): split for video, split in ours}
    if absent := [row for row in table if row not in there]:
        remarks.append(f"of the table's {count(len(table), 'clip')} {len(absent)} not there")
    if other := [row[0] for row, split in there.items() if table.get(row) and table[row] != split]:
        remarks.append(f"folder and table have different splits for {first_of(other, 'clip')}; the folder's is taken")
    return Listing(
        tuple(named(split, video, stem(video), STEP) for video, split in ours), tuple(rest), tuple(remarks),
        tuple(f"{video}#{first:06d}#{last:06d}" for video, first, last in sorted(absent)),
    )  # fmt: skip


def _split(raw: Path, video: SourceVideo, table: dict[tuple[str, int, int], str]) -> Split | None:
    """The split by the folder that the loading script has chosen, or by its table."""
    for part in (*video.path.relative_to(raw).parts[:-1], table.get(_row(stem(video)), "")):
        if part in get_args(Split):
            return cast(Split, part)
    return None


def _row(name: str) -> tuple[str, int, int]:
    """Video, first and last frame in a clip's name, `<video>#<start>#<end>`."""
    video, _, frames = name.partition("#")
    start, _, end = frames.partition("#")
    return (video, int(start), int(end)) if start.isdecimal() and end.isdecimal() else (name, -1, -1)


def _table(raw: Path) -> dict[tuple[str, int, int], str]:
    """Split of every clip in the loading script's table, "" in the version without it; empty without a table."""
    path = next(iter(sorted(raw.glob(TABLE))), None)
    if path is None:
        return {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
        table = {
            (row["video_id"].split("#")[0], int(row["start"]), int(row["end"])): row.get("partition") or ""
            for row in rows
        }
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    except (UnicodeDecodeError, KeyError, ValueError, TypeError, AttributeError, csv.Error) as error:
        raise InputError(
            f"cannot read {path}: its columns must be {', '.join(COLUMNS)} and others, with whole numbers in the last two"
        ) from error
    if not table:
        raise InputError(f"{path} holds no rows")
    return table


TAICHI = DataSet(
    name="taichi",
    title="Tai-Chi-HD",
    contents="clips of 280 videos, 252 for training, 265,000 frames",
    page="https://github.com/AliaksandrSiarohin/video-preprocessing",
    licence="none stated; the videos are their authors', on YouTube",
    layout="the output of load_videos.py: train/ and test/ with <video>#<start>#<end>.mp4 or folders of frames",
    find=find,
)
