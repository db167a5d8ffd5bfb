"""Actions on an object: touching, pulling or pushing a point of it, and wind."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from poke2vid.simulator.camera import Camera, Vector
from poke2vid.simulator.path import RigidPoint, SoftPoint
from poke2vid.simulator.trajectory import Trajectory


@dataclass(frozen=True)
class Touch:
    """A point of an object's surface.

    Attributes:
        body: the body that the point belongs to.
        anchor: position in that body's frame.
        point: position in the world at the moment of the touch.
        depth: distance from the camera along the optical axis, in metres.
        part: the part id.
        carrier: tracks the exact point from frame to frame, see `touched_path`; None if the body was chosen directly.
        lever: distance from the nearest fastening, in metres; pulling much farther than half of it tears the object.
    """

    body: int
    anchor: Vector
    point: Vector
    depth: float
    part: int
    lever: float = np.inf
    carrier: RigidPoint | SoftPoint | None = None


def touched_path(camera: Camera, trajectory: Trajectory, touch: Touch) -> Float64[np.ndarray, "t 2"]:
    """Pixel position (x, y) of the touched point in every frame of the trajectory, also where it is hidden."""
    assert touch.carrier is not None, "World.touch says what carries the point"
    return camera.project(touch.carrier.path(trajectory))[0]


@dataclass(frozen=True)
class Pull:
    """A *shift*: the touched point goes to its target within `arrive` frames and is held until `release`.

    Attributes:
        start: the frame in which it begins.
        shift: (right, down) in metres, parallel to the picture.
        release: the frame in which the hand lets go; None never lets go.
        via: (right, down) in metres of a waypoint, reached in half of the time; None goes straight.
        hand: 0 or 1, which of the two hands of `World(scene, hands=2)` pulls; pulls of one hand must not overlap.
    """

    touch: Touch
    shift: tuple[float, float]
    start: int = 0
    arrive: int = 10
    release: int | None = None
    via: tuple[float, float] | None = None
    hand: int = 0

    def offset(self, time: float) -> Float64[np.ndarray, "2"]:
        """Offset (right, down) from the start in metres, after this share (0 ... 1) of the time until arrival."""
        if self.via is None:
            return _smooth(time) * np.array(self.shift)
        first, second = _smooth(min(2 * time, 1.0)), _smooth(max(2 * time - 1, 0.0))
        return first * np.array(self.via) + second * (np.array(self.shift) - np.array(self.via))


def _smooth(time: float) -> float:
    """Minimum-jerk curve from 0 to 1."""
    return time**3 * (10 - 15 * time + 6 * time**2)


@dataclass(frozen=True)
class Push:
    """An *impulse*: a force on the touched point during the frame `start`, then none. `shift` as in `Pull`."""

    touch: Touch
    shift: tuple[float, float]
    start: int = 0


Wind = Float64[np.ndarray, "t 3"]  # metres a second, for every frame
