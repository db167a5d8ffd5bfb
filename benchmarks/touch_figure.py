"""The README's picture and animation of the base: the bundled pictures, one touch each.

    python benchmarks/touch_figure.py [MODEL] [OUT.jpg] [OUT.gif]

Columns: x_0 with the touch, what moves along, frames 4 and 12 (held), 16 and 21 (released after 12). The animation: a
pull to one side, dragged to the other, released.
"""

import sys
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image

import poke2vid
from poke2vid.files import atomic
from poke2vid.media import viz
from poke2vid.types import Pair, Poke

EXAMPLES = Path(poke2vid.__file__).parent / "assets" / "examples"
TOUCHES = {  # l in shares of width and height, p in shares of the longer side
    "flower": ((0.5, 0.35), (0.1, 0.0)),
    "person": ((0.42, 0.22), (0.08, 0.02)),
    "fly": ((0.75, 0.45), (0.0, -0.08)),
    "robot": ((0.6, 0.12), (0.1, -0.03)),
}
HELD, FREE, HEIGHT = 12, 20, 240
SHOWN = (3, 11, 15, 20)


def row(animator: poke2vid.Animator, name: str) -> list[np.ndarray]:
    """One picture, touched, held and let go of."""
    (x, y), (dx, dy) = TOUCHES[name]
    session = animator.open(EXAMPLES / f"{name}.jpg", max_side=320)
    height, width = session.canvas.size
    longer = max(height, width)
    poke = Poke((width * x, height * y), (longer * dx, longer * dy))
    first = session.canvas.picture.copy()
    pointer = session.poke(poke.location, poke.shift)
    frames = [session.step() for _ in range(HELD)]
    moved = session.state.sigma[0][0].norm(dim=0).numpy()
    session.release(pointer)
    frames += [session.step() for _ in range(FREE)]
    side = max(first.shape[:2])
    top, left = (side - first.shape[0]) // 2, (side - first.shape[1]) // 2
    share = cv2.resize(moved / max(float(moved.max()), 1e-6), (side, side))
    share = share[top : top + first.shape[0], left : left + first.shape[1], None]
    heat = (0.35 * first + 0.65 * share * np.array([255.0, 150.0, 0.0])).clip(0, 255).astype(np.uint8)
    tiles = [viz.draw_arrow(first.copy(), session.canvas.shown(poke)), heat, *(frames[k] for k in SHOWN)]
    return [fitted(tile) for tile in tiles]


MOVED, AWAY, DRAGGED, SWINGING = ("flower", "robot", "person"), 14, 14, 26


def animation(animator: poke2vid.Animator) -> list[np.ndarray]:
    """Frames of three pictures side by side, with an arrow for the poke on each."""
    columns = []
    for name in MOVED:
        (x, y), (dx, dy) = TOUCHES[name]
        session = animator.open(EXAMPLES / f"{name}.jpg", max_side=300)
        height, width = session.canvas.size
        longer = max(height, width)
        at, there = (width * x, height * y), (longer * dx, longer * dy)
        back = (-there[0], there[1])
        pointer = session.poke(at, there)
        frames = [drawn(session, session.step(), at, there) for _ in range(AWAY)]
        session.drag(pointer, to=(at[0] + back[0], at[1] + back[1]))
        frames += [drawn(session, session.step(), at, back) for _ in range(DRAGGED)]
        session.release(pointer)
        frames += [session.step() for _ in range(SWINGING)]
        columns.append([fitted(frame) for frame in frames])
    return [np.concatenate(tiles, axis=1) for tiles in zip(*columns, strict=True)]


def drawn(session: poke2vid.Session, frame: np.ndarray, at: Pair, shift: Pair) -> np.ndarray:
    return viz.draw_arrow(frame.copy(), session.canvas.shown(Poke(at, shift)))


def fitted(tile: np.ndarray) -> np.ndarray:
    """Cut or padded to one height."""
    spare = HEIGHT - tile.shape[0]
    if spare < 0:
        return tile[-spare // 2 :][:HEIGHT]
    return np.pad(tile, ((spare // 2, spare - spare // 2), (0, 0), (0, 0)))


def main() -> None:
    model = sys.argv[1] if len(sys.argv) > 1 else "touch128"
    out = Path(sys.argv[2] if len(sys.argv) > 2 else "docs/media/touch.jpg")
    torch.set_num_threads(1)
    animator = poke2vid.load(model)
    with atomic(out) as file:
        Image.fromarray(viz.grid([row(animator, name) for name in TOUCHES])).save(file, quality=85)
    first, *others = (Image.fromarray(frame).quantize(128) for frame in animation(animator))
    with atomic(Path(sys.argv[3] if len(sys.argv) > 3 else "docs/media/demo.gif")) as file:
        first.save(file, save_all=True, append_images=others, duration=40, loop=0, optimize=True)


if __name__ == "__main__":
    main()
