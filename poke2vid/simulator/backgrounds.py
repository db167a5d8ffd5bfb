"""A user's own photographs behind simulated objects, in place of procedural backdrops."""

import functools
import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8

from poke2vid.media.pictures import read_picture
from poke2vid.media.video import PICTURES
from poke2vid.simulator.looks.backdrops import COMPOSED, SMALLEST_PHOTO, photo_backdrop
from poke2vid.simulator.mjcf import BACKDROP
from poke2vid.simulator.scene import Scene
from poke2vid.types import InputError

PHOTO_SHARE = 0.5  # of all scenes; the others keep their procedural backdrop, so that a few photographs do not dominate
MOST_PHOTOS = 2000  # all are read before the first video, and their list is sent with every order
KEPT_SIDE = 2 * COMPOSED  # pixels: a backdrop shows half of the shorter side or more, so more would not be seen
KEPT_PHOTOS = 128  # in each process, about 60 MB


class PhotoGoneError(Exception):
    """A photograph was removed or changed during a run. The video is not at fault, so it is not skipped."""


@dataclass(frozen=True, order=True)
class Photo:
    """One file of the folder, identified by the hash of its bytes."""

    sha256: str
    name: str


@dataclass(frozen=True)
class Backgrounds:
    """The photographs of a folder. Videos depend on their contents only, not on their paths or names.

    Attributes:
        photos: in the order of their hashes.
    """

    folder: Path
    photos: tuple[Photo, ...]

    @classmethod
    def find(cls, folder: Path) -> "Backgrounds":
        """Reads every picture of a folder, so that a bad one stops the run before it begins. Hidden files are skipped.

        Raises:
            InputError: if there is no such folder, it holds no pictures or too many, or one of them cannot be used.
        """
        if not folder.is_dir():
            raise InputError(f"there is no folder {folder}; give --backgrounds a folder of photographs.")
        try:
            files = [p for p in folder.iterdir() if p.suffix.lower() in PICTURES and not p.name.startswith(".")]
        except OSError as error:
            raise InputError(f"the folder {folder} cannot be read; give --backgrounds one that can.") from error
        if not files:
            kinds = ", ".join(sorted(suffix[1:] for suffix in PICTURES))
            raise InputError(f"the folder {folder} holds no pictures; put photographs in it ({kinds}).")
        if len(files) > MOST_PHOTOS:
            raise InputError(f"the folder {folder} holds {len(files)} pictures; choose at most {MOST_PHOTOS} of them.")
        return cls(folder, tuple(sorted(_checked(file) for file in sorted(files))))

    @property
    def digest(self) -> str:
        """sha256 over the photographs."""
        return hashlib.sha256(" ".join(photo.sha256 for photo in self.photos).encode()).hexdigest()

    def behind(self, scene: Scene, rng: np.random.Generator) -> Scene:
        """The scene with part of a random photograph behind it, or unchanged (1 - `PHOTO_SHARE` of all scenes).

        Raises:
            PhotoGoneError: if the photograph is gone or has changed.
        """
        if rng.random() >= PHOTO_SHARE:
            return scene
        photo = self.photos[int(rng.integers(len(self.photos)))]
        before = scene.textures[BACKDROP]
        picture = photo_backdrop(rng, shrunk_photo(self.folder / photo.name, photo.sha256), before.shape[0])
        assert picture.shape == before.shape, "the MJCF has declared the size"
        return replace(scene, textures={**scene.textures, BACKDROP: picture})


def _checked(file: Path) -> Photo:
    height, width = read_picture(file).shape[:2]
    if min(height, width) < SMALLEST_PHOTO:
        raise InputError(
            f"{file} is too small for a background ({width} x {height}); it needs at least {SMALLEST_PHOTO} pixels a "
            "side, so take it out of the folder."
        )
    return Photo(hashlib.sha256(file.read_bytes()).hexdigest(), file.name)


@functools.lru_cache(maxsize=KEPT_PHOTOS)
def shrunk_photo(file: Path, sha256: str) -> UInt8[np.ndarray, "h w 3"]:
    """Photograph `file`, shrunk to `KEPT_SIDE`; raises PhotoGoneError if its hash is no longer `sha256`."""
    try:
        data = file.read_bytes()
    except OSError:
        data = b""
    if hashlib.sha256(data).hexdigest() != sha256:
        raise PhotoGoneError(f"{file} is gone or has changed since the run began; put it back and run again.")
    picture = read_picture(data)
    scale = KEPT_SIDE / min(picture.shape[:2])
    if scale >= 1:
        return picture
    height, width = (round(extent * scale) for extent in picture.shape[:2])
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
