"""All coordinate maths: pixels, normalised coordinates, and vectors under resizing, flipping, rotating and warping.

Pixel centres sit at integer coordinates (types.py), so a picture of width w covers [-0.5, w - 0.5].
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from poke2vid.types import Poke

Size = tuple[int, int]  # (height, width) in pixels, in the order of tensor axes


def pixel_grid(size: Size, like: Tensor) -> Float[Tensor, "h w 2"]:
    """The location (x, y) of every pixel of a frame of `size`, on the device and in the dtype of `like`."""
    height, width = size
    ys = torch.arange(height, device=like.device, dtype=like.dtype)
    xs = torch.arange(width, device=like.device, dtype=like.dtype)
    y, x = torch.meshgrid(ys, xs, indexing="ij")
    return torch.stack((x, y), dim=-1)


def to_normalised(locations: Float[Tensor, "*n 2"], size: Size) -> Float[Tensor, "*n 2"]:
    """Pixels to [-1, 1] over the picture's *area* (torch's align_corners=False): x = -0.5 becomes -1."""
    height, width = size
    extent = locations.new_tensor((width, height))
    return (2 * locations + 1) / extent - 1


def to_pixels(locations: Float[Tensor, "*n 2"], size: Size) -> Float[Tensor, "*n 2"]:
    """The inverse of `to_normalised`."""
    height, width = size
    extent = locations.new_tensor((width, height))
    return ((locations + 1) * extent - 1) / 2


@dataclass(frozen=True)
class Affine:
    """An affine map of the plane in pixel coordinates, y = A x + b, and its action on locations, vectors, frames and flow.

    Every resize, crop, flip and rotation of the project is one of these, so that locations and vectors follow the picture.

    Attributes:
        a: the 2 x 2 matrix A, by rows.
        b: the translation, in pixels of the target.
    """

    a: tuple[tuple[float, float], tuple[float, float]]
    b: tuple[float, float]

    @staticmethod
    def identity() -> "Affine":
        return Affine(((1.0, 0.0), (0.0, 1.0)), (0.0, 0.0))

    @staticmethod
    def resize(source: Size, target: Size) -> "Affine":
        """Resize of a picture from `source` to `target`: areas map onto areas, not pixel centres onto pixel centres."""
        scale_y, scale_x = target[0] / source[0], target[1] / source[1]
        return Affine(((scale_x, 0.0), (0.0, scale_y)), ((scale_x - 1) / 2, (scale_y - 1) / 2))

    @staticmethod
    def translate(x: float, y: float) -> "Affine":
        return Affine(((1.0, 0.0), (0.0, 1.0)), (float(x), float(y)))

    @staticmethod
    def flip(size: Size) -> "Affine":
        """Mirroring: left and right exchanged."""
        return Affine(((-1.0, 0.0), (0.0, 1.0)), (size[1] - 1.0, 0.0))

    @staticmethod
    def rotate(degrees: float, size: Size, scale: float = 1.0) -> "Affine":
        """Rotation about the centre of the picture; positive turns x (right) towards y (down), that is, clockwise on screen."""
        c, s = scale * math.cos(math.radians(degrees)), scale * math.sin(math.radians(degrees))
        centre_x, centre_y = (size[1] - 1) / 2, (size[0] - 1) / 2
        return Affine(
            ((c, -s), (s, c)),
            (centre_x - c * centre_x + s * centre_y, centre_y - s * centre_x - c * centre_y),
        )

    def then(self, following: "Affine") -> "Affine":
        """Composition: first this map, then `following`."""
        (p, q), (r, s) = following.a
        (a, b), (c, d) = self.a
        x, y = self.b
        return Affine(
            ((p * a + q * c, p * b + q * d), (r * a + s * c, r * b + s * d)),
            (p * x + q * y + following.b[0], r * x + s * y + following.b[1]),
        )

    def inverse(self) -> "Affine":
        (a, b), (c, d) = self.a
        determinant = a * d - b * c
        assert determinant != 0, "a picture cannot be squeezed to a line"
        p, q, r, s = d / determinant, -b / determinant, -c / determinant, a / determinant
        return Affine(((p, q), (r, s)), (-(p * self.b[0] + q * self.b[1]), -(r * self.b[0] + s * self.b[1])))

    def point(self, x: float, y: float) -> tuple[float, float]:
        """A location under this map."""
        (a, b), (c, d) = self.a
        return a * x + b * y + self.b[0], c * x + d * y + self.b[1]

    def vector(self, dx: float, dy: float) -> tuple[float, float]:
        """A shift under this map; the translation does not change it."""
        (a, b), (c, d) = self.a
        return a * dx + b * dy, c * dx + d * dy

    def _source(self, size: Size, like: Tensor) -> Float[Tensor, "h w 2"]:
        """Location in the original that each pixel of a canvas of `size` shows; it may lie outside."""
        inverse = self.inverse()
        return pixel_grid(size, like) @ like.new_tensor(inverse.a).T + like.new_tensor(inverse.b)

    def frames(self, frames: Float[Tensor, "b c h w"], size: Size) -> Float[Tensor, "b c h2 w2"]:
        """The pictures under this map, bilinear, on a canvas of `size`; outside the source its mirror image shows."""
        grid = to_normalised(self._source(size, frames), (frames.shape[-2], frames.shape[-1]))
        return functional.grid_sample(
            frames,
            grid.expand(frames.shape[0], -1, -1, -1),
            mode="bilinear",
            padding_mode="reflection",
            align_corners=False,
        )

    def flow(self, flow: Float[Tensor, "b 2 h w"], size: Size) -> Float[Tensor, "b 2 h2 w2"]:
        """A flow field under this map: moved like a picture, and every vector turned and scaled by A.

        Where the picture's mirror image shows, its motion is mirrored too, so the vectors are mirrored first.
        """
        extent = flow.new_tensor((flow.shape[-1], flow.shape[-2]))
        reflections = ((self._source(size, flow) + 0.5) / extent).floor()
        moved = self.frames(flow, size) * (1 - 2 * (reflections % 2)).permute(2, 0, 1)
        return torch.einsum("ij,bjhw->bihw", flow.new_tensor(self.a), moved)


def transform(poke: Poke, affine: Affine) -> Poke:
    """The same poke after the picture went through an affine map."""
    return Poke(affine.point(*poke.location), affine.vector(*poke.shift), poke.kind)


def resize_flow(flow: Float[Tensor, "b 2 h w"], size: Size) -> Float[Tensor, "b 2 h2 w2"]:
    """Flow for frames of another size: bilinear (averaged where it shrinks), its vectors scaled with the frames."""
    height, width = flow.shape[-2:]
    shrinks = size[0] < height or size[1] < width
    resized = functional.interpolate(flow, size=size, mode="bilinear", align_corners=False, antialias=shrinks)
    return resized * flow.new_tensor((size[1] / width, size[0] / height)).view(1, 2, 1, 1)


def sample(field: Float[Tensor, "b c h w"], locations: Float[Tensor, "b h2 w2 2"]) -> Float[Tensor, "b c h2 w2"]:
    """The field read at locations in pixels, bilinear; outside the field, its border value."""
    grid = to_normalised(locations, (field.shape[-2], field.shape[-1]))
    return functional.grid_sample(field, grid, mode="bilinear", padding_mode="border", align_corners=False)


def warp(x_0: Float[Tensor, "b c h w"], flow: Float[Tensor, "b 2 h w"]) -> Float[Tensor, "b c h w"]:
    """Backward warping: the value at a pixel is x_0 at that pixel plus the flow (in pixels)."""
    locations = pixel_grid((flow.shape[-2], flow.shape[-1]), flow) + flow.permute(0, 2, 3, 1)
    return sample(x_0, locations)
