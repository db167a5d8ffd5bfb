"""Photographs for wild scenes: those shipped with other packages, and a folder of the user's."""

import hashlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from poke2vid.simulator.backgrounds import Backgrounds, shrunk_photo
from poke2vid.types import InputError

# Only things that plausibly stand still: with people or flowers here, the model would learn that these do not move.
# package -> folder in it -> file -> licence, as the packages' own data pages state them
CARRIED: dict[str, tuple[str, dict[str, str]]] = {
    "skimage": (
        "data",
        {
            "brick.png": "CC0 (CC0Textures)",
            "coffee.png": "CC0 (R. Michetti, Pikolo Espresso Bar)",
            "grass.png": "CC0 (CC0Textures)",
            "gravel.png": "CC0 (CC0Textures)",
            "hubble_deep_field.jpg": "public domain (NASA)",
            "rocket.jpg": "CC0 (SpaceX)",
        },
    ),
    "sklearn": ("datasets/images", {"china.jpg": "CC BY 2.0 (Flickr user 61443686@N00)"}),
}


@dataclass(frozen=True)
class Photographs:
    """Photographs identified and ordered by the hash of their bytes.

    Attributes:
        files: (hash, path) of each.
    """

    files: tuple[tuple[str, str], ...] = ()

    @staticmethod
    def find(folder: Path | None = None) -> "Photographs":
        """Finds the photographs of installed packages and of a folder.

        Raises:
            InputError: if the folder is missing or one of its pictures cannot be used, or there is no photograph at all.
        """
        found = {hashlib.sha256(path.read_bytes()).hexdigest(): str(path) for path in carried()}
        if folder is not None:
            found |= {photo.sha256: str(folder / photo.name) for photo in Backgrounds.find(folder).photos}
        if not found:
            raise InputError(
                "there are no photographs to paint wild scenes with; install scikit-image and scikit-learn, which carry "
                "some, or give a folder by --backgrounds."
            )
        return Photographs(tuple(sorted(found.items())))

    @property
    def digest(self) -> str:
        """sha256 over the photographs."""
        return hashlib.sha256(" ".join(sha for sha, _ in self.files).encode()).hexdigest()

    def draw(self, rng: np.random.Generator) -> UInt8[np.ndarray, "h w 3"] | None:
        """A random photograph, no larger than a texture needs; None if there are none.

        Raises:
            PhotoGoneError: if it is gone or has changed.
        """
        if not self.files:
            return None
        sha256, path = self.files[int(rng.integers(len(self.files)))]
        return shrunk_photo(Path(path), sha256)


def carried() -> list[Path]:
    """The photographs of installed packages; imports none of them."""
    found = []
    for package, (folder, files) in CARRIED.items():
        spec = importlib.util.find_spec(package)
        if spec is not None and spec.origin is not None:
            found += [path for name in files if (path := Path(spec.origin).parent / folder / name).is_file()]
    return found
