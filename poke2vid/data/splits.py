"""Videos of a split, and the remedy where there are none."""

from collections.abc import Sequence
from typing import get_args

from poke2vid.data.store import Store
from poke2vid.types import ClipSource, ClipVideo, InputError, Split

SPLIT_BY_TIME = (  # for whoever has one video and wants a test
    "one video is not enough for both, so cut it in two by time (`ffmpeg -i CLIP -t 60 first.mp4` and `ffmpeg -ss 60 -i CLIP "
    "second.mp4`), put both in one folder, and prepare that with --test 'second*'"
)


def require_videos(store: ClipSource, split: Split) -> Sequence[ClipVideo]:
    """The videos of a split.

    Raises:
        InputError: if there are none; says how a single video is split by time, or what became of a published split.
    """
    found = store.split(split)
    if not found:
        raise InputError(f"the store has no {split} videos; {_remedy(store, split)}.")
    return found


def _remedy(store: ClipSource, split: Split) -> str:
    if isinstance(store, Store) and store.manifest.dataset is not None:  # its split is published: none can be chosen
        if any(video.name.startswith(f"{split}/") for video in store.manifest.skipped):
            return (
                f"all of them were skipped, as {store.path / 'report.md'} says, so mend the copy and prepare it again"
            )
        return "all of them are copies of others, so check the copy and prepare it again"
    if sum(len(store.split(other)) for other in get_args(Split)) == 1:
        return SPLIT_BY_TIME
    return "prepare it with some held out (--test or --test-fraction)"
