"""Ten photographs, four touches each, the last of the four beside the object: whatever comes out is shown.

    python benchmarks/photographs.py [MODEL] [OUT.jpg]

The first column is x_0, the others the frame in which the pull has been held for a while. Six pictures come with
scikit-image and scikit-learn (`pip install scikit-image scikit-learn`), four with the package.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from tqdm import tqdm

import poke2vid
from poke2vid.files import atomic
from poke2vid.media import viz
from poke2vid.media.pictures import read_picture
from poke2vid.types import Poke

EXAMPLES = Path(poke2vid.__file__).parent / "assets" / "examples"
HELD, SIDE, TILE = 14, 420, (240, 150)  # frames; pixels of the longer side in a session; width and height of a tile
TOUCHES = {  # l in shares of width and height, p in shares of the longer side
    "flower": ((0.5, 0.35, 0.1, 0), (0.62, 0.3, 0.06, -0.06), (0.42, 0.35, -0.08, 0.03), (0.25, 0.72, 0, -0.08)),
    "person": ((0.42, 0.22, 0.08, 0.02), (0.3, 0.45, -0.08, 0), (0.5, 0.6, 0, 0.06), (0.8, 0.3, 0.08, 0)),
    "fly": ((0.75, 0.45, 0, -0.08), (0.2, 0.5, 0, 0.08), (0.42, 0.25, -0.06, 0), (0.9, 0.1, 0.06, 0)),
    "robot": ((0.6, 0.12, 0.1, -0.03), (0.32, 0.55, -0.08, 0), (0.6, 0.7, 0, -0.06), (0.85, 0.2, 0.06, 0)),
    "chelsea": ((0.55, 0.42, 0.06, 0), (0.2, 0.15, -0.06, -0.03), (0.72, 0.2, 0.06, -0.05), (0.95, 0.1, 0, 0.06)),
    "coffee": ((0.45, 0.3, 0.08, 0), (0.3, 0.6, -0.06, 0.02), (0.75, 0.4, 0.08, 0), (0.9, 0.85, 0, -0.06)),
    "astronaut": ((0.43, 0.2, 0.08, 0), (0.3, 0.6, -0.06, 0.03), (0.65, 0.55, 0.06, 0), (0.85, 0.3, 0.08, 0)),
    "rocket": ((0.5, 0.3, 0.08, 0), (0.5, 0.7, 0.06, 0), (0.5, 0.85, 0, -0.06), (0.8, 0.9, 0, -0.06)),
    "dahlia": ((0.5, 0.4, 0.08, 0), (0.35, 0.5, -0.06, 0.03), (0.65, 0.35, 0.05, -0.05), (0.1, 0.1, 0.06, 0.03)),
    "temple": ((0.5, 0.3, 0.06, 0), (0.2, 0.6, -0.06, 0), (0.7, 0.5, 0, -0.06), (0.5, 0.05, 0, 0.06)),
}


def photographs() -> dict[str, np.ndarray]:
    """The pictures by name, `h w 3`."""
    from skimage import data
    from sklearn.datasets import load_sample_images

    samples = load_sample_images()
    by_file = {Path(file).stem: image for file, image in zip(samples.filenames, samples.images, strict=True)}
    own = {name: read_picture(EXAMPLES / f"{name}.jpg") for name in ("flower", "person", "fly", "robot")}
    theirs = {name: getattr(data, name)()[..., :3] for name in ("chelsea", "coffee", "astronaut", "rocket")}
    return own | theirs | {"dahlia": by_file["flower"], "temple": by_file["china"]}


def row(animator: poke2vid.Animator, picture: np.ndarray, touches: tuple[tuple[float, ...], ...]) -> list[np.ndarray]:
    """The picture, and the frame that each touch ends in."""
    image = Image.fromarray(picture)
    image.thumbnail((SIDE, SIDE))
    small = np.array(image)
    height, width = small.shape[:2]
    tiles = [small]
    for x, y, dx, dy in touches:
        session = animator.open(small)
        poke = Poke((x * width, y * height), (dx * max(width, height), dy * max(width, height)))
        session.poke(poke.location, poke.shift)
        frames = [session.step() for _ in range(HELD)]
        tiles.append(viz.draw_arrow(frames[-1].copy(), poke))
    return [fitted(tile) for tile in tiles]


def fitted(picture: np.ndarray) -> np.ndarray:
    """A picture within a black tile."""
    image = Image.fromarray(picture)
    scale = min(TILE[0] / image.width, TILE[1] / image.height)
    image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.LANCZOS)
    tile = Image.new("RGB", TILE)
    tile.paste(image, ((TILE[0] - image.width) // 2, (TILE[1] - image.height) // 2))
    return np.array(tile)


def main() -> None:
    model = sys.argv[1] if len(sys.argv) > 1 else "touch128"
    out = Path(sys.argv[2] if len(sys.argv) > 2 else "docs/media/photographs.jpg")
    torch.set_num_threads(1)
    animator, pictures = poke2vid.load(model), photographs()
    rows = [row(animator, pictures[name], touches) for name, touches in tqdm(TOUCHES.items(), unit="picture")]
    with atomic(out) as file:
        Image.fromarray(viz.grid(rows)).save(file, quality=80)


if __name__ == "__main__":
    main()
