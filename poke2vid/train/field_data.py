"""Shards of pokes -> batches for E_phi. A batch is a pure function of (shards, config, seed, step), in any process."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Generator, Tensor
from torch.nn import functional
from torch.utils.data import Dataset

from poke2vid.data.shards import CAUSES, FIELD_FRAMES, PokeShard
from poke2vid.geometry import Affine
from poke2vid.model.touch_encoder import FIELD_SIDE
from poke2vid.train.data import generator_for
from poke2vid.train.field_config import FieldConfig, LooksConfig
from poke2vid.types import InputError, Split

AT_T = len(FIELD_FRAMES) - 1
SKIPPED = tuple(CAUSES.index(kind) for kind in ("push", "rest"))  # an impulse has no field; p = 0 teaches nothing here
EDGE = 0.5  # pixels of the field; a touch nearer to the border counts as outside


@dataclass(frozen=True)
class FieldBatch:
    """First frames, several pokes of each, and their flow; lengths in pixels of the field (`FIELD_SIDE`).

    Attributes:
        x_0: in [-1, 1], at the model's size.
        parts: part ids at the field's side, 0 beside the object, -1 where unknown.
        owner: index of every poke's picture.
        at, p, given: touches of every poke: l, the shift, and True where there is one.
        flow: D, from x_0 to x_T.
        weight: 0 for a poke whose point an augmentation has moved out of the picture.
        kinds: index in `CAUSES`.
    """

    x_0: Float[Tensor, "n 3 h w"]
    parts: Int[Tensor, "n s s"]
    owner: Int[Tensor, " b"]
    at: Float[Tensor, "b t 2"]
    p: Float[Tensor, "b t 2"]
    given: Bool[Tensor, "b t"]
    flow: Float[Tensor, "b 2 s s"]
    weight: Float[Tensor, " b"]
    kinds: Int[Tensor, " b"]


@dataclass(frozen=True)
class _Scene:
    """Place of a scene: its shard, its number there, and its pokes with a known field."""

    shard: PokeShard
    number: int
    pokes: np.ndarray


class FieldBatches(Dataset[FieldBatch]):
    """Item `step` is the batch of that training step.

    Raises:
        InputError: if a shard's pictures are smaller than the model's, or none of a split's scenes has a field.
    """

    def __init__(self, shards: Sequence[PokeShard], config: FieldConfig, split: Split = "train") -> None:
        self.config, self.split = config, split
        for shard in shards:
            if shard.resolution < config.touch.resolution:
                raise InputError(
                    f"{shard.folder} holds pictures of {shard.resolution} pixels and the model takes "
                    f"{config.touch.resolution}; simulate larger ones, or choose another preset."
                )
        self.scenes = [scene for shard in shards if shard.split == split for scene in _scenes(shard)]
        if not self.scenes:
            raise InputError(f"no scene of the {split} split has a poke whose field is known; simulate more scenes.")

    def __len__(self) -> int:
        return 2**31 - 1  # batches are drawn by step number, not by epoch

    def __getitem__(self, step: int) -> FieldBatch:
        config = self.config
        parts = []
        for k in range(config.scenes):
            generator = generator_for(config.seed, "fields", self.split, step, k)
            scene = self.scenes[int(torch.randint(len(self.scenes), (), generator=generator))]
            order = torch.randperm(len(scene.pokes), generator=generator)
            chosen = scene.pokes[order.repeat(1 + config.pokes // len(order))[: config.pokes].numpy()]
            one = read_pokes(scene.shard, scene.number, chosen, config.touch.resolution)
            parts.append(one if config.looks is None else varied(one, config.looks, generator))
        return joined(parts)

    def every(self, step: int = 4) -> list[FieldBatch]:
        """Every step-th scene with all its pokes, not augmented, for scores."""
        return [
            read_pokes(scene.shard, scene.number, scene.pokes, self.config.touch.resolution)
            for scene in self.scenes[::step]
        ]


def _scenes(shard: PokeShard) -> list[_Scene]:
    owner, kind, row = shard.array("owner"), shard.array("kind"), shard.array("row")
    usable = ~np.isin(kind, SKIPPED) & ((row >= 0) | (kind == CAUSES.index("beside")))
    found = [_Scene(shard, n, np.flatnonzero(usable & (owner == n))) for n in range(shard.scenes)]
    return [scene for scene in found if len(scene.pokes)]


def read_pokes(shard: PokeShard, scene: int, pokes: np.ndarray, resolution: int) -> FieldBatch:
    """Reads one scene and some of its pokes from the store, at the model's size."""
    unit = FIELD_SIDE / shard.resolution
    picture = torch.from_numpy(np.array(shard.array("pictures")[scene])).permute(2, 0, 1).float() / 127.5 - 1
    x_0 = functional.interpolate(picture[None], size=(resolution, resolution), mode="area")
    parts = torch.from_numpy(np.array(shard.array("parts")[scene])).long()
    at = torch.from_numpy(np.array(shard.array("at")[pokes]))
    p = torch.from_numpy(np.array(shard.array("shift")[pokes])) * unit
    given = torch.isfinite(at[..., 0])
    at = torch.where(given[..., None], (at + 0.5) * unit - 0.5, torch.zeros(()))
    rows = shard.array("row")[pokes]
    flow = torch.zeros(len(pokes), 2, parts.shape[-1], parts.shape[-1])
    known = rows >= 0
    if known.any():
        flow[torch.from_numpy(known)] = (
            torch.from_numpy(np.array(shard.array("flow")[rows[known], AT_T])).float() * unit
        )
    if not torch.isfinite(flow).all():
        raise InputError(
            f"{shard.folder} holds flow that is not finite; list the damage by `poke2vid verify STORE`, then make the store "
            "again."
        )
    if parts.shape[-1] != FIELD_SIDE:
        size = (FIELD_SIDE, FIELD_SIDE)
        flow = functional.interpolate(flow, size=size, mode="nearest-exact")
        parts = functional.interpolate(parts[None, None].float(), size=size, mode="nearest-exact")[0, 0].long()
    return FieldBatch(
        x_0, parts[None], torch.zeros(len(pokes), dtype=torch.long), at, p, given, flow, torch.ones(len(pokes)),
        torch.from_numpy(np.array(shard.array("kind")[pokes])).long(),
    )  # fmt: skip


def joined(parts: Sequence[FieldBatch]) -> FieldBatch:
    """Several batches as one."""
    owners, first = [], 0
    for part in parts:
        owners.append(part.owner + first)
        first += len(part.x_0)
    fields = ("x_0", "parts", "at", "p", "given", "flow", "weight", "kinds")
    return FieldBatch(
        owner=torch.cat(owners), **{name: torch.cat([getattr(part, name) for part in parts]) for name in fields}
    )


def varied(one: FieldBatch, looks: LooksConfig, generator: Generator) -> FieldBatch:
    """Augmentation: the same pokes on a picture that is flipped, moved, lit and recorded differently."""
    one = replace(one, x_0=recorded(relit(one.x_0, looks, generator), looks, generator))
    affine = Affine.identity()
    size = (FIELD_SIDE, FIELD_SIDE)
    if _chance(generator) < looks.flip:
        affine = affine.then(Affine.flip(size))
    if _chance(generator) < looks.moved:
        scale = (1 + looks.scale) ** _uniform(generator)
        affine = affine.then(Affine.rotate(looks.rotation * _uniform(generator), size, scale))
        reach = looks.translation * FIELD_SIDE
        affine = affine.then(Affine.translate(reach * _uniform(generator), reach * _uniform(generator)))
    elif affine != Affine.identity():
        return _flipped(one)
    return one if affine == Affine.identity() else _moved(one, affine)


def _flipped(one: FieldBatch) -> FieldBatch:
    """Mirrors left and right, exactly."""
    mirror = torch.tensor([-1.0, 1.0])
    at = one.at * mirror + torch.tensor([FIELD_SIDE - 1.0, 0.0])
    return replace(
        one, x_0=one.x_0.flip(-1), parts=one.parts.flip(-1), at=at, p=one.p * mirror,
        flow=one.flow.flip(-1) * mirror[:, None, None],
    )  # fmt: skip


def _moved(one: FieldBatch, affine: Affine) -> FieldBatch:
    """Applies an affine map of the field; parts are unknown where the picture does not reach."""
    size = (FIELD_SIDE, FIELD_SIDE)
    large = (one.x_0.shape[-2], one.x_0.shape[-1])
    to_field = Affine.resize(large, size)
    picture = to_field.then(affine).then(to_field.inverse()).frames(one.x_0, large)
    a, b = torch.tensor(affine.a), torch.tensor(affine.b)
    at = one.at @ a.T + b
    inside = ((at > EDGE) & (at < FIELD_SIDE - 1 - EDGE)).all(dim=-1) | ~one.given
    # Nearest: the mean of a leaf's motion and the wall's is the motion of neither, and part ids cannot be mixed.
    carried = torch.cat((one.parts[:, None].float(), one.flow.flatten(0, 1)[None]), dim=1)
    carried = _nearest(carried, affine)
    flow = torch.einsum("ij,bjhw->bihw", a, carried[0, 1:].unflatten(0, (-1, 2)))
    return replace(
        one, x_0=picture, parts=carried[:, 0].round().long(), at=at, p=one.p @ a.T, flow=flow,
        weight=one.weight * inside.all(dim=-1),
    )  # fmt: skip


def _nearest(field: Float[Tensor, "1 c s s"], affine: Affine) -> Float[Tensor, "1 c s s"]:
    """Parts and flow under an affine map without mixing pixels; beyond the border, parts are -1 and flow 0."""
    inverse = affine.inverse()
    theta = torch.tensor([[*inverse.a[0], inverse.b[0]], [*inverse.a[1], inverse.b[1]]])
    cells = torch.arange(FIELD_SIDE).float()
    y, x = torch.meshgrid(cells, cells, indexing="ij")
    places = torch.stack((x, y, torch.ones_like(x)), dim=-1) @ theta.T
    grid = (2 * places + 1) / FIELD_SIDE - 1
    outside = (grid.abs() > 1).any(dim=-1)
    moved = functional.grid_sample(field, grid[None], mode="nearest", padding_mode="reflection", align_corners=False)
    moved[:, 1:, outside] = 0
    moved[:, :1, outside] = -1  # neither object nor surroundings: the mirror image there moves unlike the simulation
    return moved


def relit(x: Float[Tensor, "1 3 h w"], looks: LooksConfig, generator: Generator) -> Float[Tensor, "1 3 h w"]:
    """Changes the light: saturation, contrast, brightness, and sometimes the order of the colours."""
    if _chance(generator) < looks.channels:
        x = x[:, torch.randperm(3, generator=generator)]
    grey = x.mean(dim=1, keepdim=True)
    x = grey + (x - grey) * (1 + looks.saturation * _uniform(generator))
    x = x.mean() + (x - x.mean()) * (1 + looks.contrast * _uniform(generator))
    return (x + looks.brightness * _uniform(generator)).clamp(-1, 1)


def recorded(x: Float[Tensor, "1 3 h w"], looks: LooksConfig, generator: Generator) -> Float[Tensor, "1 3 h w"]:
    """Changes the camera: blur, noise, compression."""
    if _chance(generator) < looks.blur:
        x = functional.avg_pool2d(functional.pad(x, (1, 1, 1, 1), mode="replicate"), 3, 1)
    if looks.noise:
        x = x + looks.noise * _chance(generator) ** 2 * torch.randn(x.shape, generator=generator)
    if _chance(generator) < looks.jpeg:
        quality = int(20 + 70 * _chance(generator))
        picture = ((x[0].permute(1, 2, 0).clamp(-1, 1) + 1) * 127.5).round().byte().numpy()
        _, encoded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
        x = torch.from_numpy(cv2.imdecode(encoded, cv2.IMREAD_COLOR)).permute(2, 0, 1)[None].float() / 127.5 - 1
    return x.clamp(-1, 1)


def _chance(generator: Generator) -> float:
    return float(torch.rand((), generator=generator))


def _uniform(generator: Generator) -> float:
    return 2 * _chance(generator) - 1
