"""A picture of any size on a model's square canvas: locations both ways, frames at the picture's own proportions."""

from dataclasses import replace

import cv2
import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from poke2vid import geometry
from poke2vid.geometry import Affine, transform
from poke2vid.media.pictures import to_float, to_uint8
from poke2vid.model.carry import layers
from poke2vid.types import Frame, Poke

Picture = UInt8[np.ndarray, "h w 3"]
MAX_SIDE = 512  # of the shown picture, in pixels, if nobody asks for another
LARGEST_SIDE = 4096  # that can be asked for: beyond it, films no longer fit in a computer's memory


class Canvas:
    """The picture at its shown size, padded to a square by its border pixels, and shrunk to the model's resolution.

    Nothing is cut off or stretched, so every location of the picture can be poked.

    Attributes:
        picture: shown before anything moves, `h w 3`; its longer side lies between the model's side and `max_side`.
        x_0: the model's view of it, `1 3 r r` in [-1, 1].
        to_shown, to_model: from pixels of the user's picture to pixels of `picture` and of x_0.
        size: height and width of the user's picture.
    """

    def __init__(
        self, picture: Picture, resolution: int, max_side: int = MAX_SIDE, size: geometry.Size | None = None
    ) -> None:
        """Lays a picture out; give the size of the user's picture if `picture` is already at a canvas's shown size."""
        longest = max(picture.shape[:2])
        scale = min(max(longest, resolution), max(max_side, resolution)) / longest
        shown = (max(1, round(picture.shape[0] * scale)), max(1, round(picture.shape[1] * scale)))
        self.picture = resize(picture, shown)
        side = max(shown)
        self._top, self._left = (side - shown[0]) // 2, (side - shown[1]) // 2
        self._square = np.pad(
            self.picture,
            ((self._top, side - shown[0] - self._top), (self._left, side - shown[1] - self._left), (0, 0)),
            mode="edge",
        )
        self._grid = np.stack(np.meshgrid(*2 * (np.arange(side, dtype=np.float32),)), axis=-1)
        self.x_0 = to_float(resize(self._square, (resolution, resolution)))[None]
        self._layers: tuple[Tensor, np.ndarray, np.ndarray] | None = None
        self.size = size or picture.shape[:2]
        self.to_shown = Affine.resize(self.size, shown)
        to_square = self.to_shown.then(Affine.translate(self._left, self._top))
        self.to_model = to_square.then(Affine.resize((side, side), (resolution, resolution)))

    def render(self, frame: Frame) -> Picture:
        """A predicted frame at the shown size: the shown picture moved by its flow, or x_hat enlarged without one."""
        side = (self._square.shape[0], self._square.shape[1])
        if frame.flow is None or frame.repaint is None:
            return self._cut(resize(to_uint8(frame.x_hat[0].clamp(-1, 1)), side))
        scale = side[0] / frame.flow.shape[-1]
        flow = enlarge(frame.flow[0], side) * scale
        if frame.mask is not None:
            return self._cut(self._composed(flow, frame.mask))
        moved = cv2.remap(
            self._square,
            self._grid[..., 0] + flow[..., 0],
            self._grid[..., 1] + flow[..., 1],
            interpolation=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
        if bool(frame.repaint.any()):
            repaint = enlarge(frame.repaint[0], side) * (255 / 2)  # frames span [-1, 1]
            moved = np.clip(np.rint(moved + repaint), 0, 255).astype(np.uint8)
        return self._cut(moved)

    def _composed(self, flow: Float[np.ndarray, "h w 2"], mask: Float[Tensor, "1 1 m n"]) -> Picture:
        """The object's layer of the shown picture, moved, over its background; layers are cut anew where o changes."""
        if self._layers is None or not torch.equal(self._layers[0], mask):
            side = self._square.shape[0]
            picture = torch.from_numpy(self._square.astype(np.float32)).permute(2, 0, 1)[None]
            shown = torch.from_numpy(enlarge(mask[0], (side, side))).permute(2, 0, 1)[None]
            parts = layers(picture, shown.clamp(0, 1))
            layer, behind = (part[0].permute(1, 2, 0).numpy().copy() for part in parts)
            self._layers = mask, layer, behind
        _, layer, behind = self._layers
        places = self._grid + flow
        moved = cv2.remap(
            layer, places[..., 0], places[..., 1], interpolation=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        whole = moved[..., :3] + (1 - moved[..., 3:]) * behind
        return np.clip(np.rint(whole), 0, 255).astype(np.uint8)

    def _cut(self, whole: Picture) -> UInt8[np.ndarray, "h2 w2 3"]:
        height, width = self.picture.shape[:2]
        return whole[self._top : self._top + height, self._left : self._left + width]

    def enlarged(self, field: Float[np.ndarray, "c h w"]) -> Float[np.ndarray, "c h2 w2"]:
        """A field of the model's square, resampled to the shown picture, bilinear; values unchanged."""
        side = self._square.shape[0]
        large = enlarge(torch.from_numpy(field), (side, side))
        height, width = self.picture.shape[:2]
        cut = large[self._top : self._top + height, self._left : self._left + width]
        return np.ascontiguousarray(cut.transpose(2, 0, 1))

    def carried(self, flow: Float[np.ndarray, "2 h w"]) -> Float[np.ndarray, "2 h2 w2"]:
        """A flow in pixels of the model's square, resampled to the shown picture and in its pixels."""
        return self.enlarged(flow) * np.float32(self._square.shape[0] / flow.shape[-1])

    def shown(self, poke: Poke) -> Poke:
        """A poke in pixels of the shown picture."""
        return transform(poke, self.to_shown)

    def modelled(self, poke: Poke) -> Poke:
        """A poke in pixels of the model's frames."""
        moved = transform(poke, self.to_model)
        last = self.x_0.shape[-1] - 0.5
        x, y = (min(max(c, -0.5), last) for c in moved.location)  # rounding must not push a pixel at the border out
        return replace(moved, location=(x, y))


def resize(picture: Picture, size: geometry.Size) -> UInt8[np.ndarray, "h2 w2 3"]:
    """Resizes a picture: averages to shrink, bicubic to enlarge."""
    if picture.shape[:2] == tuple(size):
        return picture
    shrinks = size[0] < picture.shape[0] or size[1] < picture.shape[1]
    return cv2.resize(picture, (size[1], size[0]), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)


def enlarge(field: Float[Tensor, "c h w"], size: geometry.Size) -> Float[np.ndarray, "h2 w2 c"]:
    """A field of the model's frames at the shown size, bilinear; values unchanged."""
    large = cv2.resize(field.movedim(0, -1).numpy(force=True), (size[1], size[0]), interpolation=cv2.INTER_LINEAR)
    return large.reshape(*size, len(field))  # OpenCV drops a single channel
