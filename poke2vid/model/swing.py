"""Motion in time of a touched object: every place of it is an oscillator, driven by a hand or free.

    hand    d' = d + w(n) (u* - d)            arrives ten frames after the grasp, along a smooth path; then stays there
    held    v' = rho_h v + k_h (d' - u)       the object lags behind the hand
            h' = A u'                         its rest position if it were released; zero if it springs back
    free    v' = rho v - k (u - h)            once released it swings and comes to rest
            u' = u + v'                       a release only changes the law, so nothing jumps

E_phi gives maps of these laws' parameters, once a touch. A swing's period and damping do not show in a picture; they
may be told as known causes (hertz, damping). Told, the maps say how much each place departs from them; untold, how much
from those usual in training. A turns and scales: a box that is tipped over falls further, about the edge it stands on.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from poke2vid.types import InputError, Rest

FPS = 25.0
SWING = 15  # maps from E_phi: those of a law; departures of hertz and damping after an impulse; six of A
LAW = 7  # k_h, rho_h; departures of hertz and damping when told, when untold; gain of an impulse
PUSHED, STAYS = slice(7, 9), slice(9, 15)
FARTHEST = 2.0  # limit of A's components
SWING_SIDE = 16  # side of the maps in cells
ARRIVAL = 10  # frames that the hand takes to its first target, as the pulls in training
HERTZ, DAMPING = 1.3, 0.12  # defaults, where nothing is known
FOLLOW, GLIDE = 0.45, 0.45  # k_h and rho_h where the maps are zero
FASTEST = 3.0  # limit of omega in radians a frame: a leaf is back within one frame
HIGHEST = 3.5  # frequency of a law of rest, in hertz
DAMPED = (0.02, 0.95)  # limits of damping, as a share of critical damping
CALMING = 0.25 / FPS  # a frame, at least this share of a swing is lost: all comes to rest within half a minute


@dataclass(frozen=True)
class Law:
    """Parameters of every place's oscillator; `b 1 h w` each.

    Attributes:
        follow, glide: k_h and rho_h.
        stiffness, momentum: k and rho.
        kick: initial velocity that throws a place to a distance of 1.
    """

    follow: Tensor
    glide: Tensor
    stiffness: Tensor
    momentum: Tensor
    kick: Tensor


def maps_of(swing: Float[Tensor, "b 15 h w"], pushed: Bool[Tensor, " b"]) -> Float[Tensor, "b 7 h w"]:
    """The maps of a law; a pushed place may ring differently from a released one, as it starts from another shape."""
    maps, more = swing[:, :LAW], swing[:, PUSHED] * pushed[:, None, None, None]
    follow, departures, gain = maps.split((2, 4, 1), dim=1)
    return torch.cat((follow, departures + more.repeat(1, 2, 1, 1), gain), dim=1)


def stays_of(swing: Float[Tensor, "b 15 h w"], p: Float[Tensor, "b 2"]) -> Float[Tensor, "b 2 h w"]:
    """A as a complex number: how much of its displacement by p a place keeps, and how far that is turned.

    It depends on p's direction, since a box tipped to the left falls further to the left.
    """
    always, *along = swing[:, STAYS].unflatten(1, (2, 3)).unbind(dim=2)
    direction = p / p.norm(dim=-1, keepdim=True).clamp_min(1e-6)
    parts = always + sum(part * c[:, None, None, None] for part, c in zip(along, direction.unbind(dim=1), strict=True))
    return FARTHEST * torch.tanh(parts / FARTHEST)


def home_of(u: Float[Tensor, "b 2 h w"], stays: Float[Tensor, "b 2 h w"]) -> Float[Tensor, "b 2 h w"]:
    """A u, the rest position of each place."""
    (x, y), (scaled, turned) = u.unbind(dim=1), stays.unbind(dim=1)
    return torch.stack((scaled * x - turned * y, scaled * y + turned * x), dim=1)


def law_of(
    maps: Float[Tensor, "b 7 h w"], hertz: Float[Tensor, " b"], damping: Float[Tensor, " b"], told: Bool[Tensor, " b"]
) -> Law:
    """The law from maps and known causes; where `told` is false, hertz and damping are ignored."""
    k_h, rho_h, *departures, gain = maps.unbind(dim=1)
    known = told[:, None, None]
    a, b = (torch.where(known, departures[n], departures[n + 2]) for n in (0, 1))
    hertz, damping = (
        torch.where(told, given, given.new_tensor(usual))[:, None, None]
        for given, usual in ((hertz, HERTZ), (damping, DAMPING))
    )
    omega = (2 * math.pi / FPS * hertz * torch.exp(a)).clamp(max=FASTEST)
    zeta = torch.maximum((damping * torch.exp(b)).clamp(*DAMPED), (CALMING / omega).clamp(max=DAMPED[1]))
    stiffness, momentum = oscillator(omega, zeta)
    kick = torch.exp(gain) / _peak(omega, zeta)
    follow, glide = (torch.sigmoid(m + _logit(usual)) for m, usual in ((k_h, FOLLOW), (rho_h, GLIDE)))
    return Law(*(values[:, None] for values in (follow, glide, stiffness, momentum, kick)))


def oscillator(omega: Tensor, zeta: Tensor) -> tuple[Tensor, Tensor]:
    """k and rho of v' = rho v - k u, u' = u + v', for omega in radians a frame and zeta as a share of critical damping.

    The roots of z^2 - (1 + rho - k) z + rho are e^(-zeta omega +- i omega_d): one frame of a damped cosine.
    """
    rho = torch.exp(-2 * zeta * omega)
    return 1 + rho - 2 * rho.sqrt() * torch.cos(omega * (1 - zeta.square()).sqrt()), rho


def _peak(omega: Tensor, zeta: Tensor) -> Tensor:
    """Peak of a free oscillator started with velocity 1: largest u_n = rho^((n - 1) / 2) sin(n theta) / sin(theta)."""
    theta = omega * (1 - zeta.square()).sqrt()
    n = (torch.acos(zeta) / theta).clamp_min(1)
    return torch.exp(-zeta * omega * (n - 1)) * torch.sin(n * theta) / torch.sin(theta)


def rest_of(hertz: float, damping: float) -> Rest:
    """`oscillator` as a session's law of rest.

    Raises:
        InputError: for a frequency or damping that frames at `FPS` cannot show.
    """
    if not (0 < hertz <= HIGHEST and 0 < damping < 1):
        raise InputError(f"{hertz} Hz with a damping of {damping} cannot be; choose up to {HIGHEST:g} Hz, and 0 ... 1.")
    k, rho = oscillator(torch.tensor(2 * math.pi * hertz / FPS, dtype=torch.float64), torch.tensor(damping))
    return Rest(stiffness=float(k), momentum=min(float(rho), 0.99))


def causes_of(rest: Rest) -> tuple[float, float]:
    """(hertz, damping) of a law of rest: the inverse of `rest_of`. Creeping back counts as most damped, as slow."""
    rho = max(rest.momentum, 1e-4)
    fading = -math.log(rho) / 2  # zeta omega
    swings = (1 + rho - rest.stiffness) / (2 * math.sqrt(rho))
    if swings >= 1:
        omega = max((fading - math.acosh(swings)) / DAMPED[1], 1e-4)
        return omega * FPS / (2 * math.pi), DAMPED[1]
    omega = max(math.hypot(math.acos(max(-1.0, swings)), fading), 1e-4)
    return omega * FPS / (2 * math.pi), min(max(fading / omega, DAMPED[0]), DAMPED[1])


def hand_share(frames: Tensor) -> Tensor:
    """w(n): share of its remaining way that the hand goes in the frame after n; together a path of least jerk."""
    now, then = ((frames + step).clamp(max=ARRIVAL) / ARRIVAL for step in (0, 1))
    s, s_next = (t.pow(3) * (10 + t * (6 * t - 15)) for t in (now, then))
    return torch.where(then < 1, (s_next - s) / (1 - s).clamp_min(1e-6), torch.ones_like(s))


def held_step(u: Tensor, v: Tensor, hand: Tensor, law: Law) -> Tensor:
    """v' of held places."""
    return law.glide * v + law.follow * (hand - u)


def free_step(u: Tensor, v: Tensor, home: Tensor, law: Law) -> Tensor:
    """v' of free places."""
    return law.momentum * v - law.stiffness * (u - home)


def _logit(share: float) -> float:
    return math.log(share / (1 - share))
