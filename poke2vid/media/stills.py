"""Videos that are made of pictures: folders of frames, and animated WebP, AVIF and PNG."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import av
from PIL import ExifTags, Image

from poke2vid.media.decoding import ASSUMED_FPS, Decoded, Remarks, Source
from poke2vid.media.kinds import ANIMATIONS, PICTURES, is_hidden
from poke2vid.media.pictures import read_picture, reading
from poke2vid.media.timing import Pace, pace_of
from poke2vid.types import InputError

_LIES_ON_ITS_SIDE = (5, 6, 7, 8)  # EXIF orientations that swap height and width
_SHORTEST = 0.011  # seconds: browsers show frames of 10 ms and less for 100 ms
_INSTEAD = 0.1


def pictures_in(folder: Path) -> list[Path]:
    """Picture files of a folder of frames, in natural order (frame_2 before frame_10).

    Raises:
        InputError: if it holds no pictures.
    """
    pictures = [path for path in folder.iterdir() if path.suffix.lower() in PICTURES and not is_hidden(path)]
    if not pictures:
        raise InputError(f"the folder {folder} holds no pictures; name a video file or a folder of frames.")
    return sorted(pictures, key=lambda path: _natural_key(path.name))


def folder_of_frames(folder: Path) -> Source:
    """A folder of frames as a video.

    Raises:
        InputError: if it holds no pictures, or pictures of several sizes.
    """
    pictures = pictures_in(folder)
    _require_one_size(folder, pictures)
    frames = (Decoded(i / ASSUMED_FPS, _frame_of(picture)) for i, picture in enumerate(pictures))
    return Source(Pace(ASSUMED_FPS), 1.0, len(pictures), 0.0, frames, Remarks())


def is_animated(path: Path) -> bool:
    """True for a WebP, AVIF or PNG of several frames; false too if it cannot be opened."""
    if path.suffix.lower() not in ANIMATIONS:
        return False
    try:
        with Image.open(path) as image:
            return bool(getattr(image, "is_animated", False))
    except Exception:  # Pillow's readers raise many kinds of error on damaged files
        return False


def animation(path: Path) -> Source:
    """An animated picture as a video."""
    with reading(path) as image:
        count: int = getattr(image, "n_frames", 1)
        times = [0.0]
        for i in range(count):
            image.seek(i)
            image.load()
            shown = float(image.info.get("duration", 0)) / 1000
            times.append(times[-1] + (_INSTEAD if shown < _SHORTEST else shown))
    stated = count / times[-1]
    return Source(pace_of(times[:-1], stated), 1.0, count, times[-1], _frames_of(path, times[:-1]), Remarks())


def _frames_of(path: Path, times: list[float]) -> Iterator[Decoded]:
    with reading(path) as image:
        for i, time in enumerate(times):
            image.seek(i)
            yield Decoded(time, av.VideoFrame.from_ndarray(read_picture(image.copy()), format="rgb24"))


def _frame_of(picture: Path) -> av.VideoFrame:
    return av.VideoFrame.from_ndarray(read_picture(picture), format="rgb24")


def _require_one_size(folder: Path, pictures: list[Path]) -> None:
    """Raises InputError, in one sentence that says which pictures are in the minority."""
    sizes = {picture: _size(picture) for picture in pictures}
    counted = Counter(size for size in sizes.values() if size)
    if len(counted) < 2:
        return
    (most, number), *_ = counted.most_common()
    others = [f"{path.name} ({size[0]} x {size[1]})" for path, size in sizes.items() if size and size != most]
    more = f" and {len(others) - 3} more" if len(others) > 3 else ""
    raise InputError(
        f"the folder {folder} holds pictures of {len(counted)} sizes: {number} of {most[0]} x {most[1]}, but also "
        f"{', '.join(others[:3])}{more}; give every video's frames a folder of their own, all of one size."
    )


def _size(picture: Path) -> tuple[int, int] | None:
    """Width and height as shown, by the header; None if it cannot be read, which reading the frames will say."""
    try:
        with Image.open(picture) as image:
            width, height = image.size
            if image.format != "PNG" and image.getexif().get(ExifTags.Base.Orientation) in _LIES_ON_ITS_SIDE:
                return height, width  # of a PNG, which hardly ever has a tag, all would have to be decoded first
            return width, height
    except Exception:  # Pillow's readers raise many kinds of error on damaged files
        return None


def _natural_key(name: str) -> tuple[list[tuple[int, str]], str]:
    parts = re.findall(r"\d+|\D+", name)
    return [(int(part), "") if part.isdecimal() else (-1, part.lower()) for part in parts], name
