"""iPER: 206 videos of 30 people, split by the list that comes with it."""

import re
from pathlib import Path

from poke2vid.data.sources.dataset import DataSet, Listing, count, files_in, named, stem
from poke2vid.data.sources.folder import PassedOver
from poke2vid.types import InputError

VIDEOS = 206
LISTS = ("train.txt", "val.txt")
NAME = re.compile(r"(\d+)_(\d+)_(\d+)")  # person, clothing, kind of movement


def find(raw: Path) -> Listing:
    """Videos named in `train.txt` are for training, the others for tests; the list lies in the folder or beside it."""
    videos, rest = files_in(raw)
    ours = [video for video in videos if NAME.fullmatch(stem(video))]
    rest += [
        PassedOver(video.name, "not named <person>_<clothing>_<movement>") for video in videos if video not in ours
    ]
    train = _names(raw, LISTS[0])
    found = {stem(video) for video in ours}
    remarks = [f"{count(len(ours))} instead of {VIDEOS}"] if len(ours) != VIDEOS else []
    if absent := sorted(train - found):
        remarks.append(f"train.txt names {count(len(absent))} that are not there, {absent[0]} first")
    return Listing(
        tuple(named("train" if stem(video) in train else "test", video, stem(video)) for video in ours),
        tuple(other for other in rest if other.name not in LISTS), tuple(remarks),
    )  # fmt: skip


def _names(raw: Path, file: str) -> frozenset[str]:
    """Names in a list of lines like `001/1/1`; raises InputError without the list."""
    path = next((place / file for place in (raw, raw.resolve().parent) if (place / file).is_file()), None)
    if path is None:
        raise InputError(f"there is no {file}, the list of the training videos, in it or beside it")
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
    layout="a folder with the unpacked iPER_1024_video_release (or 256) and train.txt",
    find=find,
)
