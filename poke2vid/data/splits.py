"""Videos of a split, and the remedy where there are none."""

from collections.abc import Sequence
from typing import get_args

from poke2vid.types import ClipSource, ClipVideo, InputError, Split

SPLIT_BY_TIME = (  # for whoever has one video and wants a test
    "one video is not enough for both, so cut it in two by time (`ffmpeg -i CLIP -t 60 first.mp4` and `ffmpeg -ss 60 -i CLIP "
    "second.mp4`), put both in one folder, and prepare that with --test 'second*'"
)


def require_videos(store: ClipSource, split: Split) -> Sequence[ClipVideo]:
    """The videos of a split.

    Raises:
        InputError: if there are none; says how a single video is split by time.
    """
    found = store.split(split)
    if not found:
        single = sum(len(store.split(other)) for other in get_args(Split)) == 1
        remedy = SPLIT_BY_TIME if single else "prepare it with some held out (--test or --test-fraction)"
        raise InputError(f"the store has no {split} videos; {remedy}.")
    return found
