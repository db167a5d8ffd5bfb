"""Poking-Plants, the paper's own: 27 videos of 13 pot plants, the last fifth of every video for tests.

The paper says a fifth of the frames; its code takes the last fifth of every video, which is done here, so that the published
numbers are comparable. The same plants are then seen in training: no measure of unseen ones.
"""

import re
from pathlib import Path

from poke2vid.data.sources.dataset import DataSet, Excerpt, Listing, count, files_in, stem
from poke2vid.data.sources.folder import PassedOver

VIDEOS, TEST_SHARE = 27, 0.2
NAME = re.compile(r"VID_(\d+)_(\d+)", re.IGNORECASE)  # plant, take


def find(raw: Path) -> Listing:
    videos, rest = files_in(raw)
    ours = [video for video in videos if NAME.fullmatch(stem(video))]
    rest += [PassedOver(video.name, "not named VID_<plant>_<take>") for video in videos if video not in ours]
    parts = (("train", (0.0, 1 - TEST_SHARE)), ("test", (1 - TEST_SHARE, 1.0)))
    excerpts = tuple(Excerpt(f"{split}/{stem(video)}", video, part=part) for video in ours for split, part in parts)
    few = (f"{count(len(ours))} instead of {VIDEOS}",) if len(ours) != VIDEOS else ()
    return Listing(excerpts, tuple(rest), few)


PLANTS = DataSet(
    name="plants",
    title="Poking-Plants",
    contents="27 videos of 13 plants, 43,000 frames",
    page="https://github.com/CompVis/interactive-image2video-synthesis",
    licence="none stated",
    layout="a folder with VID_<plant>_<take>.mkv",
    find=find,
)
