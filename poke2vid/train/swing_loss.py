"""Loss and scores of the maps of time on films: pulled, released, and pushed."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from poke2vid.model.response import respond
from poke2vid.model.swing import Law, free_step, held_step, home_of, law_of, maps_of, stays_of
from poke2vid.model.touch_encoder import FIELD_SIDE, TouchEncoder
from poke2vid.train.field_config import FieldConfig
from poke2vid.train.film_data import FilmBatch
from poke2vid.train.precision import convolving

TOUCHED = 0.03  # of the side: radius of the touched spot, whose path counts by itself
WINDOW = 12  # frames; half a period of a slow swing
MEANS = 0.3  # weight of curves whose mean must be met; 4 leaves half of a person's way where it was let go of
OUTLYING = 4.0  # of such a curve; a larger error counts linearly, no longer by its square
SMALLEST = 0.25  # pixels of the field; smaller motion is no scale for errors
THIN = 2  # every second pixel of the field is enough


@dataclass(frozen=True)
class Swung:
    """Predictions for films, with hertz and damping told and untold, and the truth, on every second pixel of the field.

    Attributes:
        told, untold, true: u at x_1 ... x_F. After a release, predictions start from the true place
            at the law's speed: a session has nothing better.
        lively: told and untold with gradients to the laws alone, not to A: a film ends a second after the release, and
            what still swings then must not be learnt as staying where it is.
        inside: the object.
        near: 1 at l, less away from it.
    """

    told: Float[Tensor, "n f 2 h w"]
    untold: Float[Tensor, "n f 2 h w"]
    lively: tuple[Float[Tensor, "n f 2 h w"], Float[Tensor, "n f 2 h w"]]
    true: Float[Tensor, "n f 2 h w"]
    inside: Float[Tensor, "n 1 h w"]
    near: Float[Tensor, "n 1 h w"]


def swing(net: TouchEncoder, batch: FilmBatch, config: FieldConfig) -> Swung:
    """Rolls out the films of a batch."""
    n = len(batch.x_0)
    with convolving(config.precision, batch.x_0.device):
        features = net.encode(batch.x_0.contiguous(memory_format=torch.channels_last))
        touched = net(features.levels, batch.at)
    with torch.no_grad():  # maps of time must explain when things move, not how far
        given = torch.ones(n, 1, dtype=torch.bool, device=batch.x_0.device)
        thrown = respond(touched.influence[:, None], features.mask, batch.at[:, None], batch.p[:, None], given)
    size = (FIELD_SIDE, FIELD_SIDE)
    large = functional.interpolate(touched.swing, size=size, mode="bilinear", align_corners=False)[..., ::THIN, ::THIN]
    maps, stays = maps_of(large, batch.release == 0), stays_of(large, batch.p)
    true = batch.u[..., ::THIN, ::THIN]
    known = batch.hertz > 0
    laws = [law_of(maps, batch.hertz, batch.damping, told) for told in (known, torch.zeros_like(known))]
    thrown = thrown[..., ::THIN, ::THIN]
    told, untold = (rolled(law, stays, true, thrown, batch) for law in laws)
    lively = (told, untold)
    if torch.is_grad_enabled():
        first, second = (rolled(law, stays.detach(), true, thrown, batch) for law in laws)
        lively = (first, second)
    inside = (batch.parts[:, None, ::THIN, ::THIN] > 0).float()
    cells = torch.arange(FIELD_SIDE, device=true.device, dtype=true.dtype)[::THIN]
    dx, dy = (cells - c[:, None] for c in batch.at.unbind(dim=1))
    squared = dx[:, None, :].square() + dy[:, :, None].square()
    near = torch.exp(-squared / (2 * (TOUCHED * FIELD_SIDE) ** 2))[:, None]
    return Swung(told, untold, lively, true, inside, near)


def rolled(
    law: Law, stays: Float[Tensor, "n 2 h w"], true: Float[Tensor, "n f 2 h w"], thrown: Float[Tensor, "n 2 h w"],
    batch: FilmBatch,
) -> Float[Tensor, "n f 2 h w"]:  # fmt: skip
    """u at every frame under a law. The hand takes its path of least jerk to the object's true place at its arrival."""
    n, frames = true.shape[:2]
    pushed = batch.release == 0
    last = torch.arange(n, device=true.device)
    target = true[last, (batch.arrive - 1).clamp_min(0)]
    u = torch.zeros_like(target)
    let_go_at = torch.where(pushed[:, None, None, None], thrown, true[last, (batch.release - 1).clamp_min(0)])
    home = home_of(let_go_at, stays)
    v = torch.where(pushed[:, None, None, None], law.kick * thrown, 0.0)
    found = []
    for frame in range(1, frames + 1):
        share = (frame / batch.arrive.clamp_min(1)).clamp(max=1)
        hand = (share**3 * (10 + share * (6 * share - 15)))[:, None, None, None] * target
        if frame > 1:
            let_go = (batch.release == frame - 1)[:, None, None, None]
            u = torch.where(let_go, true[:, frame - 2], u)
        held = (frame <= batch.release)[:, None, None, None]
        first_of_push = (pushed & (frame == 1))[:, None, None, None]
        v = torch.where(first_of_push, v, torch.where(held, held_step(u, v, hand, law), free_step(u, v, home, law)))
        u = u + v
        found.append(u)
    return torch.stack(found, dim=1)


def swing_loss(said: Swung, batch: FilmBatch, config: FieldConfig) -> Tensor:
    """Absolute error as a share of the poke's length, of the whole object and of the touched spot, held and free frames
    alike, told and untold alike; for free frames also the error of how far things swing.

    For the absolute error alone, the best prediction of a swing of unknown phase is no swing, so released things would
    creep back; and a thing that may or may not fall over would stay, as its median does. So how much moves as a whole,
    how much of it along the held flow, and the path of pushed things also count by their squares, which the mean meets.
    How much moves counts for the laws alone, as what still moves when a film ends need not stay there; a push's path for
    the laws once more.
    """
    length = batch.p.norm(dim=-1).clamp_min(1.0)[:, None, None, None]
    frames = torch.arange(1, said.true.shape[1] + 1, device=said.true.device)
    held = (frames <= batch.release[:, None]).float()
    free = (frames <= batch.frames[:, None]).float() - held
    whole = said.inside * batch.weight[:, None, None, None]
    spot = said.inside * said.near + 1e-6
    spot = spot / spot.sum((2, 3), keepdim=True) * batch.weight[:, None, None, None]
    total = said.true.new_zeros(())
    for u, swinging in zip((said.told, said.untold), said.lively, strict=True):
        squared = (u - said.true).square().sum(dim=2)
        error = ((squared + config.softness**2).sqrt() - config.softness) / length
        for place in (whole, spot):
            for chosen in (held, free):
                weight = place * chosen[:, :, None, None]
                total = total + (error * weight).sum() / weight.sum().clamp_min(1)
        apart = (_reach(swinging, free) - _reach(said.true, free)).abs() / length
        weight = whole * _windowed(free[:, :, None, None])
        total = total + config.lively * (apart * weight).sum() / weight.sum().clamp_min(1)
        along, moves = means_apart(u, swinging, said, batch, free)
        total = total + MEANS * along + config.motion * moves
    return total / 4


def means_apart(
    u: Float[Tensor, "n f 2 h w"],
    swinging: Float[Tensor, "n f 2 h w"],
    said: Swung,
    batch: FilmBatch,
    free: Float[Tensor, "n f"],
) -> tuple[Tensor, Tensor]:
    """Errors of curves: those of `u` along the held flow, as a share of the held, and (of pushed things) of the spot's
    path as a share of its peak; and those of how much of `swinging` moves, as a share of the held, and of its spot's path.
    """
    last = torch.arange(len(u), device=u.device)
    held = said.true[last, (batch.release - 1).clamp_min(0)] * said.inside
    area = said.inside.sum((1, 2, 3))
    length = (held.norm(dim=1).sum((1, 2)) / area.clamp_min(1)).clamp_min(SMALLEST)
    energy = held.square().sum((1, 2, 3)).clamp_min(SMALLEST**2 * area).clamp_min(1e-6)
    near = said.inside * said.near + 1e-6
    near = near / near.sum((2, 3), keepdim=True)
    true_path = (said.true * near[:, None]).sum((3, 4))
    peak = true_path[last, true_path.norm(dim=-1).argmax(dim=1)]
    peak_energy = peak.square().sum(dim=-1).clamp_min(SMALLEST**2)
    pushed = (batch.release == 0).to(u.dtype)[:, None]
    counts = free * batch.weight[:, None]

    def motion(v: Tensor) -> Tensor:
        moved = ((v.square().sum(dim=2) + 1e-6).sqrt() * said.inside).sum((2, 3)) / area.clamp_min(1)[:, None]
        return moved / length[:, None]

    def projection(v: Tensor) -> Tensor:
        return (v * held[:, None]).sum((2, 3, 4)) / energy[:, None]

    def path(v: Tensor) -> Tensor:
        return ((v * near[:, None]).sum((3, 4)) * peak[:, None]).sum(dim=-1) / peak_energy[:, None]

    def apart(curve: Callable[[Tensor], Tensor], v: Tensor, which: Tensor) -> Tensor:
        weight = counts * which
        error = functional.huber_loss(curve(v), curve(said.true), reduction="none", delta=OUTLYING)
        return (error * weight).sum() / weight.sum().clamp_min(1)

    of_all = apart(projection, u, 1 - pushed) + apart(path, u, pushed)
    return of_all, apart(motion, swinging, 1 - pushed) + apart(path, swinging, pushed)


def _reach(u: Float[Tensor, "n f 2 h w"], free: Float[Tensor, "n f"]) -> Float[Tensor, "n t h w"]:
    """Root mean square of u over windows of free frames, for every place: how far it swings, in any phase."""
    frames = free[:, :, None, None]
    energy = _windowed(u.square().sum(dim=2) * frames) / _windowed(frames).clamp_min(1e-6)
    return (energy + 1e-4).sqrt()


def _windowed(values: Float[Tensor, "n f h w"]) -> Float[Tensor, "n t h w"]:
    """Means over windows of `WINDOW` frames, half a window apart."""
    return functional.avg_pool3d(values[:, None], (WINDOW, 1, 1), (WINDOW // 2, 1, 1))[:, 0]


AFTER = tuple(range(2, 25, 2))  # frames after the release
IMPULSE_FRAMES = 25


@dataclass(frozen=True)
class SwingScores:
    """Errors on films, as shares.

    Attributes:
        held: the error while pulled, over a still picture's.
        free, free_untold: the error after the release, over that of snapping back at once.
        curve, curve_untold: largest distance between the films' and predictions' mean curves `AFTER` the release, of
            the projection on the held flow or of the mean motion, as shares of the held.
        impulse, impulse_untold: the same for the touched point's path after a push, as a share of its peak.
        pulls, pushes: number of films.
    """

    held: float
    free: float
    free_untold: float
    curve: float
    curve_untold: float
    impulse: float
    impulse_untold: float
    pulls: int
    pushes: int


@torch.no_grad()
def swing_scores(net: TouchEncoder, batches: list[FilmBatch], config: FieldConfig) -> SwingScores:
    """Scores over all films of some batches."""
    errors, curves, paths = torch.zeros(5), [], []
    pulls = pushes = 0
    for batch in batches:
        said = swing(net, batch, config)
        frames = torch.arange(1, said.true.shape[1] + 1)
        pulled = batch.release > 0
        held = (frames <= batch.release[:, None]) & pulled[:, None]
        free = ~held & pulled[:, None] & (frames <= batch.frames[:, None])
        # Errors of pulled films
        still, told, untold = (
            mean_motion(u, said.inside) for u in (said.true, said.told - said.true, said.untold - said.true)
        )
        errors += torch.stack(
            [
                (told * held).sum(),
                (still * held).sum(),
                (told * free).sum(),
                (untold * free).sum(),
                (still * free).sum(),
            ]
        )
        pulls, pushes = pulls + int(pulled.sum()), pushes + int((~pulled).sum())
        # Curves after a release, paths after a push
        for k in torch.arange(len(pulled)).tolist():
            release = int(batch.release[k])
            if release and release + AFTER[-1] <= int(batch.frames[k]):
                curves.append(
                    torch.stack([let_go(u[k], said.inside[k], release) for u in (said.true, said.told, said.untold)])
                )
            elif not release:
                paths.append(
                    torch.stack(
                        [pushed_path(u[k], batch.at[k], said.inside[k]) for u in (said.true, said.told, said.untold)]
                    )
                )
    e = errors.tolist()
    return SwingScores(
        e[0] / max(e[1], 1e-9), e[2] / max(e[4], 1e-9), e[3] / max(e[4], 1e-9), *_distances(curves), *_distances(paths), pulls,
        pushes,
    )  # fmt: skip


def mean_motion(u: Float[Tensor, "n f 2 h w"], inside: Float[Tensor, "n 1 h w"]) -> Float[Tensor, "n f"]:
    """Mean length of u over the object."""
    return (u.norm(dim=2) * inside).sum((2, 3)) / inside.sum((2, 3)).clamp_min(1)


def let_go(u: Float[Tensor, "f 2 h w"], inside: Float[Tensor, "1 h w"], release: int) -> Float[Tensor, "2 a"]:
    """The projection on the held flow and the mean motion, as shares of the held, `AFTER` the release."""
    held = u[release - 1] * inside
    after = u[[release - 1 + frames for frames in AFTER]] * inside
    projection = (after * held).sum((1, 2, 3)) / held.square().sum().clamp_min(1e-9)
    return torch.stack((projection, after.norm(dim=1).sum((1, 2)) / held.norm(dim=0).sum().clamp_min(1e-9)))


def pushed_path(
    u: Float[Tensor, "f 2 h w"], at: Float[Tensor, "2"], inside: Float[Tensor, "1 h w"]
) -> Float[Tensor, " t"]:
    """Projection of the touched place's path on its peak, as a share of the peak."""
    cells = torch.arange(u.shape[-1]) * float(THIN)
    far = torch.hypot(cells[None] - at[0], cells[:, None] - at[1])
    row, column = divmod(int((far + 1e6 * (1 - inside[0])).argmin()), u.shape[-1])
    path = u[:IMPULSE_FRAMES, :, row, column]
    farthest = path[path.norm(dim=1).argmax()]
    return (path @ farthest) / farthest.square().sum().clamp_min(1e-9)


def _distances(curves: list[Tensor]) -> tuple[float, float]:
    """Largest distance of each prediction's mean curve from the truth's; NaN without any."""
    if not curves:
        return float("nan"), float("nan")
    true, *others = torch.stack(curves).mean(dim=0)
    told, untold = (float((true - other).abs().max()) for other in others)
    return told, untold
