"""Nearest training frames of a picture, in the space of the object encoder E_sigma (App. B.3).

Compared is sigma_0^1, the coarsest level (8 x 8 cells, or 16 x 16 in the released code), flattened to one vector and
scaled to length 1. The metric is the Euclidean distance of two such vectors, sqrt(2 - 2 cos): 0 for the same direction,
1.41 for a right angle, 2 for the opposite one. docs/decisions/016 says why E_sigma, where the paper's text says E_phi.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor
from tqdm import tqdm

from poke2vid.data.store import Store, StoredVideo, hash_file
from poke2vid.files import atomic, digest_of, write_json
from poke2vid.live.canvas import MAX_SIDE, Canvas, resize
from poke2vid.media.pictures import read_picture, to_float, write_picture
from poke2vid.media.viz import LargePicture, Picture, grid
from poke2vid.model.files import LoadedModel
from poke2vid.model.poke_video import PokeVideo
from poke2vid.types import InputError, Split

FORMAT, VERSION = "poke2vid-neighbours", 1
METRIC = "Euclidean distance of E_sigma(x)^1 scaled to length 1: 0 the same, 1.41 at a right angle, 2 opposite"
LARGE = 2**28  # bytes of float32 features; larger indexes are kept in half precision
CACHE = "POKE2VID_CACHE"  # the environment variable that moves the cache
SUFFIXES = (".png", ".json")
INDEX_SUFFIX = ".faiss"
_BATCH = 64  # frames
SIDE, _CAPTION = 192, 40  # of a picture in the grid and of the lines below it, in pixels


@dataclass(frozen=True)
class Neighbour:
    """A frame of the store.

    Attributes:
        video, frame: its name and number.
        distance: 0 ... 2, as `METRIC` says.
    """

    video: str
    frame: int
    distance: float

    @property
    def caption(self) -> str:
        return f"frame {self.frame}, distance {self.distance:.3f}"


@torch.inference_mode()
def features(model: PokeVideo, x: Float[Tensor, "b 3 h w"]) -> Float32[np.ndarray, "b d"]:
    """sigma_0^1 of frames in [-1, 1] as vectors of length 1."""
    coarsest = model.object_encoder(x)[0].flatten(1).float()
    return (coarsest / coarsest.norm(dim=1, keepdim=True).clamp_min(1e-12)).numpy(force=True)


class FrameIndex:
    """Exact search over all frames of one split of a store: every query is compared with every frame.

    Attributes:
        videos: of the split, by name.
        reused: whether it came from a file.
    """

    def __init__(self, model: PokeVideo, videos: Sequence[StoredVideo], index: Any, *, reused: bool) -> None:
        self.videos, self.reused = tuple(videos), reused
        self._model, self._index = model, index
        self._ends = list(accumulate(video.num_frames for video in videos))

    def __len__(self) -> int:
        """Number of frames."""
        return self._ends[-1]

    def nearest(self, x_0: Float[Tensor, "1 3 h w"], count: int = 1) -> list[Neighbour]:
        """The nearest frame of each of the `count` nearest videos, the nearest first.

        Only the best frame of a video counts, since those beside it show the same thing. Returns fewer if the split has
        fewer videos.

        Args:
            x_0: one frame at the model's resolution, in [-1, 1].
        """
        longest = max(video.num_frames for video in self.videos)
        enough = min(len(self), (count - 1) * longest + 1)  # this many frames come from at least `count` videos
        squared, rows = self._index.search(features(self._model, x_0), enough)
        found: dict[int, Neighbour] = {}
        for distance, row in zip(squared[0], rows[0], strict=True):
            number = int(np.searchsorted(self._ends, row, side="right"))
            video = self.videos[number]
            frame = int(row) - (self._ends[number] - video.num_frames)
            found.setdefault(number, Neighbour(video.name, frame, float(np.sqrt(max(0.0, distance)))))
        return list(found.values())[:count]

    def picture(self, neighbour: Neighbour) -> Picture:
        """The frame itself, at the store's size."""
        (video,) = (video for video in self.videos if video.name == neighbour.video)
        return np.array(video.frames[neighbour.frame])


def open_index(
    loaded: LoadedModel, store: Store, split: Split = "train", path: Path | None = None, *, batch: int = _BATCH,
    quiet: bool = False,
) -> FrameIndex:  # fmt: skip
    """Opens the index of a split: reads its file if intact and of this model and store, else builds and writes it.

    Args:
        path: the index, a .faiss file, with a .json of the same name beside it that holds its key and hash; None: in
            the user's cache, POKE2VID_CACHE or ~/.cache/poke2vid/neighbours.
        batch: number of frames encoded at a time; does not change the result.

    Raises:
        InputError: if faiss is missing, the store's frames are of another size than the model's, the split is empty, or
            the index cannot be written.
    """
    require_faiss()
    model = loaded.model
    if store.resolution != model.resolution:
        raise InputError(
            f"the store holds frames of {store.resolution} pixels and the model takes {model.resolution}; "
            f"prepare the videos with --resolution {model.resolution} or choose another model."
        )
    videos = store.split(split)
    if not videos:
        raise InputError(f"the {split} split of {store.path} is empty; choose the other one or another store.")
    if path is not None and path.suffix != INDEX_SUFFIX:
        raise InputError(f"an index cannot be kept in {path}; give it a name that ends in {INDEX_SUFFIX}.")
    frames = sum(video.num_frames for video in videos)
    key = _key(model, store, split, frames)
    cache = Path(os.environ.get(CACHE) or Path.home() / ".cache" / "poke2vid") / "neighbours"
    path = path or cache / f"{digest_of({}, key)[:20]}{INDEX_SUFFIX}"
    if (index := _read(path, key)) is not None:
        return FrameIndex(model, videos, index, reused=True)
    index = _build(model, videos, bool(key["half"]), batch, quiet)
    _write(path, index, key)
    return FrameIndex(model, videos, index, reused=False)


def require_faiss() -> Any:
    """Imports faiss; raises InputError if it is not installed."""
    try:
        import faiss  # an optional extra, needed only here
    except ImportError as error:
        raise InputError(
            "nearest neighbours are searched by faiss; install it with: pip install 'poke2vid[neighbours]'."
        ) from error
    return faiss


def _key(model: PokeVideo, store: Store, split: Split, frames: int) -> dict[str, Any]:
    """Key of all that decides an index; of the model only E_sigma, so its other parts may train on."""
    config = asdict(model.config)
    shape = {name: config[name] for name in ("resolution", "architecture", "channels", "state_range")}
    length = model.config.level_channels[0] * model.config.level_sides[0] ** 2
    return {
        "format": FORMAT, "version": VERSION, "object_encoder": digest_of(model.object_encoder.state_dict(), shape),
        "store": store.digest, "split": split, "frames": frames, "length": length, "half": 4 * frames * length > LARGE,
    }  # fmt: skip


def _read(path: Path, key: dict[str, Any]) -> Any | None:
    """The index at `path`, or None if it is not there, belongs to something else, or is damaged in any way."""
    faiss = require_faiss()
    try:
        about = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        if about["key"] != key or about["sha256"] != hash_file(path):
            return None
        index = faiss.read_index(str(path))
    except (OSError, KeyError, TypeError, ValueError, RuntimeError, RecursionError):
        return None
    return index if (index.ntotal, index.d) == (key["frames"], key["length"]) else None


def _build(model: PokeVideo, videos: Sequence[StoredVideo], half: bool, batch: int, quiet: bool) -> Any:
    """Builds an exact index, with only one batch of frames in memory at a time."""
    faiss = require_faiss()
    length = model.config.level_channels[0] * model.config.level_sides[0] ** 2
    index = faiss.IndexFlatL2(length)
    if half:
        index = faiss.IndexScalarQuantizer(length, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_L2)
    total = sum(video.num_frames for video in videos)
    with tqdm(total=total, unit="frame", desc="index", disable=True if quiet else None) as bar:
        for video in videos:
            for start in range(0, video.num_frames, batch):
                frames = np.array(video.frames[start : start + batch])
                index.add(features(model, to_float(frames)))
                bar.update(len(frames))
    return index


def _write(path: Path, index: Any, key: dict[str, Any]) -> None:
    """Writes the index, then its .json; a reader between the two builds it anew."""
    faiss = require_faiss()
    with atomic(path) as temporary:
        try:
            faiss.write_index(index, str(temporary))
        except RuntimeError as error:  # faiss reports a full disk this way
            raise OSError(str(error).splitlines()[-1]) from error
    write_json(path.with_suffix(".json"), {"key": key, "sha256": hash_file(path)})


@dataclass(frozen=True)
class Answer:
    """A picture and its nearest frames.

    Attributes:
        name: the user's name for it.
        picture: as it is shown.
        neighbours: the nearest first, with their frames.
    """

    name: str
    picture: Picture
    neighbours: tuple[tuple[Neighbour, LargePicture], ...]


def ask(index: FrameIndex, images: Sequence[Path], count: int, resolution: int) -> list[Answer]:
    """Neighbours of pictures of any size; each is padded to a square as for poking (decision 010).

    Raises:
        InputError: if a picture cannot be read.
    """
    answers = []
    for image in images:
        canvas = Canvas(read_picture(image), resolution, MAX_SIDE)
        found = tuple((neighbour, index.picture(neighbour)) for neighbour in index.nearest(canvas.x_0, count))
        answers.append(Answer(str(image), canvas.picture, found))
    return answers


def to_json(answers: Sequence[Answer], loaded: LoadedModel, store: Store, split: Split) -> dict[str, Any]:
    """JSON values for programs: model, store, split, and every neighbour with its distance."""
    pictures = [{"picture": one.name, "neighbours": [asdict(found) for found, _ in one.neighbours]} for one in answers]
    about = {"metric": METRIC, "model": str(loaded.path), "store": store.digest, "split": split}
    return {**about, "pictures": pictures}


def draw_answers(answers: Sequence[Answer]) -> LargePicture:
    """Grid with one row per picture: itself, then its neighbours with distance, name and frame below."""
    rows = []
    for answer in answers:
        near = [captioned(picture, found.video, found.caption) for found, picture in answer.neighbours]
        rows.append([captioned(answer.picture, Path(answer.name).name, "the picture"), *near])
    return grid(rows, gap=6)


def fitted(picture: Picture) -> LargePicture:
    """Resizes a picture to a longer side of `SIDE` pixels: averaged if it shrinks, pixels repeated if it grows."""
    height, width = picture.shape[:2]
    scale = SIDE / max(height, width)
    size = (max(1, round(height * scale)), max(1, round(width * scale)))
    if scale <= 1:
        return resize(picture, size)
    return cv2.resize(picture, (size[1], size[0]), interpolation=cv2.INTER_NEAREST)


def captioned(picture: Picture, *lines: str) -> LargePicture:
    """A picture fitted into a white square of `SIDE` pixels, with up to two lines below it.

    A line that is too long loses its beginning: names and paths differ at their end.
    """
    shown = fitted(picture)
    sheet = np.full((SIDE + _CAPTION, SIDE, 3), 255, np.uint8)
    height, width = shown.shape[:2]
    top, left = (SIDE - height) // 2, (SIDE - width) // 2
    sheet[top : top + height, left : left + width] = shown
    for number, line in enumerate(lines):
        text, font = line, cv2.FONT_HERSHEY_SIMPLEX
        while len(text) > 4 and cv2.getTextSize(text, font, 0.38, 1)[0][0] > SIDE - 4:
            text = f"..{text[3:]}"
        cv2.putText(sheet, text, (2, SIDE + 15 + 17 * number), font, 0.38, (40, 40, 40), 1, cv2.LINE_AA)
    return sheet


def write_answers(path: Path, answers: Sequence[Answer], loaded: LoadedModel, store: Store, split: Split) -> None:
    """Writes a .png for people or a .json for programs, atomically; check names with `check_suffixes` before."""
    if path.suffix.lower() == ".json":
        write_json(path, to_json(answers, loaded, store, split))
    else:
        write_picture(path, draw_answers(answers))
