"""Value types shared by the whole program, and the conventions they follow. Imports none of our other modules.

Conventions (stated here once, pinned by tests/test_conventions.py):

- Frames are float32 in [-1, 1], RGB, axes `b t 3 h w`; uint8 exists in files, in shown pictures and at the edges.
- A location is `(x right, y down)` in pixels; `(0, 0)` is the *centre* of the top-left pixel.
- Flow and shift are `(dx, dy)` in pixels of the frames they accompany, from the earlier to the later frame.
- The public API and poke scripts use pixels of the picture the user gave, whatever size the model runs at.
- Time is counted in frames; seconds appear only as `fps`.
- State levels are coarsest first: `sigma[0]` is the paper's sigma^1. Batch first, time second.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, UInt8
from torch import Tensor

PokeKind = Literal["shift", "impulse"]
Pair = tuple[float, float]  # (x, y) or (dx, dy)
POKE_GAIN = 30.0  # a shift of a tenth of the frame's side is 3 in the poke map; pokes of real clips are at most that

MAX_MOMENTUM = 0.99  # of `Rest`; with 1 a swing would never end

# Value of `__pydantic_config__` in config classes: a misspelt key is an error where pydantic reads one.
STRICT = {"extra": "forbid"}


class InputError(ValueError):
    """Error that a user can cause and fix; the message is one sentence that names the value, the limit and the fix."""


@dataclass(frozen=True)
class Poke:
    """One local interaction: the paper's l and p (Sec. 3).

    Attributes:
        location: l, `(x, y)` in pixels of the picture shown when the poke begins.
        shift: p, `(dx, dy)` in pixels of the same picture.
        kind: "shift" pulls the point to l + p and holds it (Eq. 1); "impulse" pushes once and lets go (Eq. 9).
    """

    location: Pair
    shift: Pair
    kind: PokeKind = "shift"


@dataclass(frozen=True)
class Displacement:
    """Optical flow between two frames of one clip: the paper's D (Sec. 3.2).

    Attributes:
        start, end: frame numbers within the clip, start < end.
        flow: `(dx, dy)` per pixel of frame `start`, in pixels of the clip's frames.
        motion: M(X) of Eq. 10 for these frames, the mean flow magnitude between neighbouring frames, in pixels a frame.
    """

    start: int
    end: int
    flow: Float[Tensor, "2 h w"]
    motion: float = 0.0


@dataclass(frozen=True)
class Clip:
    """A stretch of video with the flows that pokes are drawn from.

    Attributes:
        frames: x_0 ... x_T in [-1, 1].
        fps: frames per second of this stretch.
        flows: the known displacements between frames of the clip.
    """

    frames: Float[Tensor, "t 3 h w"]
    fps: float
    flows: tuple[Displacement, ...] = ()


@dataclass(frozen=True)
class State:
    """Everything that a step needs: the parts that change and the parts that stay fixed.

    Attributes:
        sigma: the predicted object state, one tensor `b c_n h_n w_n` a level, coarsest first.
        context: what the decoder keeps of x_0; within a session only a brush changes it.
        velocity: of a `LivePlayer`: speed of the untouched object's swing; like sigma, in units of sigma a frame.
        home: of a `LivePlayer`: sigma_0, where the object comes to rest; fixed within a session.
        drift: of a `LivePlayer`: F(sigma_0, 0) - sigma_0, by which the trained F would creep away from rest; fixed too.
    """

    sigma: tuple[Tensor, ...]
    context: tuple[Tensor, ...] = ()
    velocity: tuple[Tensor, ...] = ()
    home: tuple[Tensor, ...] = ()
    drift: tuple[Tensor, ...] = ()


@dataclass(frozen=True)
class Rest:
    """Law of motion of an object while nothing touches it, or nothing new does; not in the paper (docs/decisions/020).

    Attributes:
        stiffness: k, the share of its distance from sigma_0 by which the state is pulled back in every frame; 0 ... 1.
        momentum: rho, the share of its speed kept from frame to frame; 0 creeps back, 0.8 swings; 0 ... 0.99.
        anchored: False leaves everything to the trained F, which creeps away from an untouched picture and keeps
            deforming one that is held still for long.
    """

    stiffness: float = 0.1
    momentum: float = 0.8
    anchored: bool = True

    def __post_init__(self) -> None:
        if not 0 <= self.stiffness <= 1:  # also refuses NaN
            raise InputError(f"the stiffness {self.stiffness} of rest is a share and must lie in 0 ... 1.")
        if not 0 <= self.momentum <= MAX_MOMENTUM:
            raise InputError(f"the momentum {self.momentum} of rest must lie in 0 ... {MAX_MOMENTUM}.")


AS_TRAINED = Rest(stiffness=0.0, momentum=0.0, anchored=False)


@dataclass(frozen=True)
class Frame:
    """One predicted frame x_hat_i and, if the decoder tells, how it was made.

    Attributes:
        x_hat: the frame in [-1, 1].
        flow: backward flow in pixels: x_hat at a pixel comes from x_0 at that pixel plus the flow. None: painted, not warped.
        repaint: added to the warped x_0, in units of frame intensity.
        mask: of a model that moves only the object's layer: o, where the object shows in x_0; fixed within a session.
    """

    x_hat: Float[Tensor, "b 3 h w"]
    flow: Float[Tensor, "b 2 h w"] | None = None
    repaint: Float[Tensor, "b 3 h w"] | None = None
    mask: Float[Tensor, "b 1 h w"] | None = None


@dataclass(frozen=True)
class Rollout:
    """A predicted clip: x_hat_1 ... x_hat_T with the states they were decoded from.

    Attributes:
        frames: x_hat_1 ... x_hat_T in [-1, 1]; x_0 is not among them.
        sigma: the predicted states over time, `b t c_n h_n w_n` a level, coarsest first.
        flow, repaint: as in `Frame`, over time; None for a decoder that paints.
        state: state at the end; a further rollout continues from it.
    """

    frames: Float[Tensor, "b t 3 h w"]
    sigma: tuple[Tensor, ...]
    flow: Float[Tensor, "b t 2 h w"] | None
    repaint: Float[Tensor, "b t 3 h w"] | None
    state: State


Split = Literal["train", "test"]


@runtime_checkable
class ClipVideo(Protocol):
    """A prepared video, as training reads it; arrays may be memory-mapped. Lengths are in pixels of its frames."""

    @property
    def name(self) -> str: ...
    @property
    def fps(self) -> float: ...
    @property
    def num_frames(self) -> int: ...
    @property
    def frames(self) -> UInt8[np.ndarray, "t h w 3"]: ...
    @property
    def motion(self) -> Float[np.ndarray, " n"]:
        """Mean flow magnitude between neighbouring frames."""

    def activity(self, lag: int) -> Float[np.ndarray, " n"]:
        """Mean motion of the foreground within `lag` frames, for every start frame."""

    def flow(self, lag: int, start: int) -> Float[np.ndarray, "2 h w"]:
        """D from frame `start` to frame `start + lag`."""


@runtime_checkable
class ClipSource(Protocol):
    """Prepared videos of one size, split into train and test: a store, or a simulator that writes no store."""

    @property
    def resolution(self) -> int: ...
    @property
    def lags(self) -> tuple[int, ...]: ...
    @property
    def digest(self) -> str:
        """Hash of the contents; the same on any machine."""

    def split(self, split: Split) -> Sequence[ClipVideo]: ...


@runtime_checkable
class Player(Protocol):
    """Anything that can be poked: a model, a baseline, an exported engine. `Session` drives it frame by frame."""

    @property
    def resolution(self) -> int:
        """Side of the square frames it takes and gives, in pixels."""

    @property
    def poke_kind(self) -> PokeKind:
        """Kind of poke that it was trained on."""

    def start(self, x_0: Float[Tensor, "b 3 h w"]) -> State:
        """sigma_0 and the decoder's context for a first frame in [-1, 1]."""

    def encode_poke(self, poke_map: Float[Tensor, "b 3 h w"]) -> Tensor:
        """Drive of a poke map made by `pokes.rasterise`, the input of `step`: not phi itself, but phi after F_1's input
        convolution.
        """

    def step(self, state: State, drive: Tensor | None) -> tuple[State, Frame]:
        """The next state and its frame; the drive is None if nothing touches the object."""


@runtime_checkable
class TouchPlayer(Protocol):
    """A Player that sees what is touched: instead of `encode_poke`, each touch is encoded once; shifts come last."""

    def touch(self, state: State, location: Pair) -> Tensor:
        """Influence of a touch at l, in pixels of the model's frames; a drag keeps using it."""

    def drive(self, state: State, pokes: Sequence[Poke], influences: Sequence[Tensor]) -> Tensor:
        """Input of `step` for all pokes in force, given the influence of each."""

    def object_of(self, state: State) -> Tensor:
        """o, `b 1 s s`: how much every place may move, 0 ... 1."""

    def with_object(self, state: State, mask: Tensor) -> State:
        """The same state of a picture with another o."""

    def decode(self, state: State) -> Frame:
        """Frame of a state; it shows where x_0's points are now, so that one can be touched."""


@runtime_checkable
class LivePlayer(Player, Protocol):
    """A Player that also knows how an object moves while nothing touches it (`Rest`)."""

    @property
    def default_rest(self) -> Rest:
        """Law of rest that suits it: a pulled object swings back; a pushed one moves on as it was trained to."""

    def live_step(self, state: State, drive: Tensor | None, rest: Rest, unchanged: int = 0) -> tuple[State, Frame]:
        """The next state and its frame. With a drive as `step`, but slowing to rest once it has been the same for many
        (`unchanged`) frames; without one under `rest`.
        """
