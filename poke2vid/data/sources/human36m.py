"""Human3.6m: seven actors, 50 frames a second thinned out to 6.25, S9 and S11 for tests.

The paper crops the centre, without a size; frames are square but for two pixels, so here the whole square is kept.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from poke2vid.data.sources.dataset import DataSet, Listing, files_in, named, stem
from poke2vid.data.sources.folder import PassedOver, SourceVideo

TRAIN, TEST = ("S1", "S5", "S6", "S7", "S8"), ("S9", "S11")
VIDEOS = 120  # of an actor: fifteen actions, twice, by four cameras
CAMERAS = ("54138969", "55011271", "58860488", "60457274")
ACTIONS = (
    "Directions", "Discussion", "Eating", "Greeting", "Phoning", "Photo", "Posing", "Purchases", "Sitting", "SittingDown",
    "Smoking", "Waiting", "WalkDog", "WalkTogether", "Walking",
)  # fmt: skip
TAKES = ("", " 1")  # of an action, in the names of its videos, but for
OTHER_TAKES = {
    "S1": {"Eating": ("", " 2"), "Sitting": (" 1", " 2"), "SittingDown": ("", " 2")},
    "S5": {
        "Directions": (" 1", " 2"), "Discussion": (" 2", " 3"), "Greeting": (" 1", " 2"), "Photo": ("", " 2"),
        "Waiting": (" 1", " 2"),
    },
    "S6": {"Eating": (" 1", " 2"), "Posing": ("", " 2"), "Sitting": (" 1", " 2"), "Waiting": ("", " 3")},
    "S7": {"Phoning": ("", " 2"), "Waiting": (" 1", " 2"), "Walking": (" 1", " 2")},
    "S8": {"WalkTogether": (" 1", " 2")},
    "S9": {"Discussion": (" 1", " 2")},
    "S11": {"Discussion": (" 1", " 2"), "Greeting": ("", " 2"), "Phoning": (" 2", " 3"), "Smoking": ("", " 2")},
}  # fmt: skip
ALSO = {"TakingPhoto": "Photo", "WalkingDog": "WalkDog"}  # of some actors
NAME = re.compile(r".+\.\d{8}")  # action and take, camera
OVERVIEW = "_ALL"  # recordings of everything, not of an action


def find(raw: Path) -> Listing:
    videos, rest = files_in(raw)
    ours, remarks = [], []
    for video in videos:
        actor = _actor(raw, video)
        if actor is None:
            rest.append(PassedOver(video.name, f"not in a folder of {', '.join((*TRAIN, *TEST))}"))
        elif video.path.is_dir():
            rest.append(PassedOver(video.name, "frames, which do not say their rate; the videos do"))
        elif stem(video).startswith(OVERVIEW) or not NAME.fullmatch(stem(video)):
            rest.append(PassedOver(video.name, "not an action seen by one camera"))
        else:
            ours.append(named("test" if actor in TEST else "train", video, f"{actor}/{stem(video)}"))
    found = {actor: sum(f"/{actor}/" in video.name for video in ours) for actor in (*TRAIN, *TEST)}
    if absent := [actor for actor, videos in found.items() if not videos]:
        remarks.append(f"no video of {', '.join(absent)}")
    if few := [f"{actor} ({videos})" for actor, videos in found.items() if 0 < videos < VIDEOS]:
        remarks.append(f"fewer than {VIDEOS} videos of {', '.join(few)}")
    there = {_usual(video.name.partition("/")[2]) for video in ours}
    return Listing(tuple(ours), tuple(rest), tuple(remarks), tuple(name for name in _published() if name not in there))


def _published() -> Iterator[str]:
    """Names of all videos, as `S1/Eating 2.54138969`."""
    for actor in (*TRAIN, *TEST):
        for action in ACTIONS:
            for take in OTHER_TAKES[actor].get(action, TAKES):
                yield from (f"{actor}/{action}{take}.{camera}" for camera in CAMERAS)


def _usual(name: str) -> str:
    for other, usual in ALSO.items():
        name = name.replace(other, usual)
    return name


def _actor(raw: Path, video: SourceVideo) -> str | None:
    return next((part for part in video.path.relative_to(raw).parts if part in TRAIN or part in TEST), None)


HUMAN36M = DataSet(
    name="human36m",
    title="Human3.6m",
    contents="840 videos: 7 actors, 15 actions twice, 4 cameras; some 2.1 million frames",
    page="http://vision.imar.ro/human3.6m",
    licence="academic use, with an account",
    layout="S1, S5, S6, S7, S8, S9 and S11 with Videos/<action>.<camera>.mp4 in each",
    find=find,
    fps=6.25,
)
