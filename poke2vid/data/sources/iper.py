"""iPER: 206 videos of 30 people, split by the lists that come with it."""

import re
from pathlib import Path

from poke2vid.data.sources.dataset import DataSet, Listing, count, files_in, first_of, named, stem
from poke2vid.data.sources.folder import PassedOver
from poke2vid.types import InputError

VIDEOS, FOR_TRAINING = 206, 164
TRAIN, TEST = "train.txt", "val.txt"
NAME = re.compile(r"(\d+)_(\d+)_(\d+)")  # person, clothing, kind of movement


def find(raw: Path) -> Listing:
    """Videos named in `train.txt` are for training, those in `val.txt` for tests; lists lie in the folder or beside it.

    Without `val.txt` all others are for tests.
    """
    videos, rest = files_in(raw)
    ours = [video for video in videos if NAME.fullmatch(stem(video))]
    rest += [
        PassedOver(video.name, "not named <person>_<clothing>_<movement>") for video in videos if video not in ours
    ]
    train, test = _names(raw, TRAIN), _names(raw, TEST)
    if train is None:
        raise InputError(f"there is no {TRAIN}, the list of the training videos, in it or beside it")
    if both := train & (test or frozenset()):
        raise InputError(f"{TRAIN} and {TEST} both name {first_of(both)}")
    remarks = [f"{count(len(ours))} instead of {VIDEOS}"] if len(ours) != VIDEOS else []
    if test is None and len(train) != FOR_TRAINING:
        remarks.append(
            f"{TRAIN} names {count(len(train))} instead of {FOR_TRAINING}, and all others count as tests: there is no {TEST}"
        )
    found = {stem(video) for video in ours}
    remarks += [
        f"{file} names {first_of(absent)} that {'is' if len(absent) == 1 else 'are'} not there"
        for file, names in ((TRAIN, train), (TEST, test or frozenset()))
        if (absent := names - found)
    ]
    if test is not None and (unnamed := found - train - test):
        remarks.append(f"neither {TRAIN} nor {TEST} names {first_of(unnamed)}")
        rest += [
            PassedOver(video.name, f"neither in {TRAIN} nor in {TEST}") for video in ours if stem(video) in unnamed
        ]
        ours = [video for video in ours if stem(video) not in unnamed]
    return Listing(
        tuple(named("train" if stem(video) in train else "test", video, stem(video)) for video in ours),
        tuple(other for other in rest if other.name not in (TRAIN, TEST)), tuple(remarks),
        tuple(sorted((train | (test or frozenset())) - found)),
    )  # fmt: skip


def _names(raw: Path, file: str) -> frozenset[str] | None:
    """Names in a list of lines like `001/1/1`; None without the list."""
    path = next((place / file for place in (raw, raw.resolve().parent) if (place / file).is_file()), None)
    if path is None:
        return None
    try:
        lines = path.read_text(encoding="utf-8-sig").split()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is no text") from error
    names = frozenset(line.strip("/").replace("/", "_") for line in lines)
    if not names or not all(NAME.fullmatch(name) for name in names):
        raise InputError(f"{path} is no list of lines like 001/1/1")
    return names


IPER = DataSet(
    name="iper",
    title="iPER",
    contents="206 videos of 30 people, 229,000 frames",
    page="https://svip-lab.github.io/dataset/iPER_dataset.html",
    licence="research only",
    layout="a folder with the unpacked iPER_1024_video_release (or 256), train.txt and val.txt",
    find=find,
)
