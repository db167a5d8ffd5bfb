"""Plants of the Dynamic Texture Database, which App. B.3 adds to Poking-Plants: videos of folders that are named after plants.

The paper does not name the classes that it took, so any folder counts whose name has one of `WORDS` in it. A fifth by hash is
held out, which nothing published is measured on.
"""

import hashlib
import re
from pathlib import Path

from poke2vid.data.sources.dataset import DataSet, Listing, files_in, named
from poke2vid.data.sources.folder import PassedOver
from poke2vid.types import Split

WORDS = frozenset(
    ["plant", "tree", "leaf", "leave", "foliage", "grass", "flower", "bush", "vegetation", "forest", "wheat", "reed"]
)  # or with an s
TEST_SHARE = 0.2


def find(raw: Path) -> Listing:
    videos, rest = files_in(raw)
    ours = [video for video in videos if any(map(_is_of_plants, Path(video.name).parts[:-1]))]
    rest += [PassedOver(video.name, "not in a folder named after plants") for video in videos if video not in ours]
    return Listing(tuple(named(_split(video.name), video) for video in ours), tuple(rest))


def _is_of_plants(folder: str) -> bool:
    """Tells whether a folder's name has one of `WORDS` in it, as a whole word: `trees_2`, not `street`."""
    words = re.split(r"[^a-z]+", folder.lower())
    return any(word in WORDS or word.removesuffix("s") in WORDS for word in words)


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
