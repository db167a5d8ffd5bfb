"""Plants of the Dynamic Texture Database, which App. B.3 adds to Poking-Plants: videos of folders that are named after plants.

The paper does not name the classes that it took, so any folder counts whose name has one of `WORDS` in it. For training
only, but for a fifth by hash, which nothing published is measured on.
"""

import hashlib
from pathlib import Path

from poke2vid.data.sources.dataset import DataSet, Listing, files_in, named
from poke2vid.data.sources.folder import PassedOver
from poke2vid.types import Split

WORDS = (
    "plant",
    "tree",
    "leaf",
    "leaves",
    "foliage",
    "grass",
    "flower",
    "bush",
    "vegetation",
    "forest",
    "wheat",
    "reed",
)
TEST_SHARE = 0.2


def find(raw: Path) -> Listing:
    videos, rest = files_in(raw)
    ours = [
        video for video in videos if any(word in part.lower() for part in Path(video.name).parts[:-1] for word in WORDS)
    ]
    rest += [PassedOver(video.name, "not in a folder named after plants") for video in videos if video not in ours]
    return Listing(tuple(named(_split(video.name), video) for video in ours), tuple(rest))


def _split(name: str) -> Split:
    share = int(hashlib.sha256(name.encode()).hexdigest()[:8], 16) / 2**32
    return "test" if share < TEST_SHARE else "train"


VEGETATION = DataSet(
    name="vegetation",
    title="the plants of the Dynamic Texture Database",
    contents="some of its 10,000 videos",
    page="http://vision.eecs.yorku.ca/research/dtdb",
    licence="none stated",
    layout="folders of videos named after plants (trees, grass, ...)",
    find=find,
)
