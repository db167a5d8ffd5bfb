"""The hand that pulls: MuJoCo parts that drag one point of a body parallel to the picture."""

import mujoco
import numpy as np
from jaxtyping import Float64

from poke2vid.simulator.actions import Pull
from poke2vid.simulator.camera import Camera, Vector

LEAD = 0.01  # metres


class Hand:
    """A body on rails parallel to the picture's axes, tied to the touched point while it holds it."""

    def __init__(self, model: mujoco.MjModel, name: str) -> None:
        self.holds: Pull | None = None
        self._body = model.body(name).id
        self._joints = [model.joint(f"{name}_{axis}").id for axis in "xyz"]
        self._positions = [int(model.jnt_qposadr[joint]) for joint in self._joints]
        self._speeds = [int(model.jnt_dofadr[joint]) for joint in self._joints]
        self._rails = [model.equality(f"{name}_{axis}").id for axis in "xy"]
        self.bond = model.equality(name).id
        self._axes = np.eye(3)
        self._start = np.zeros(3)

    def align(self, model: mujoco.MjModel, camera: Camera) -> None:
        self._axes = camera.axes
        model.body_quat[self._body] = quaternion(camera.axes)

    def grab(self, model: mujoco.MjModel, data: mujoco.MjData, pull: Pull) -> None:
        touch = pull.touch
        self._start, self.holds = self._axes @ self._point(data, pull), pull
        data.qpos[self._positions] = self._start
        data.qvel[self._speeds] = 0
        model.eq_obj2id[self.bond] = touch.body
        # MuJoCo derives a bond's stiffness from the masses at its ends; the massless hand must still grip firmly.
        model.body_invweight0[self._body] = model.body_invweight0[touch.body]
        model.dof_invweight0[self._speeds] = model.body_invweight0[touch.body, 0]
        model.eq_data[self.bond, :3] = 0
        model.eq_data[self.bond, 3:6] = touch.anchor
        data.eq_active[[*self._rails, self.bond]] = 1
        self.drive(model, data, 0.0)

    def drive(self, model: mujoco.MjModel, data: mujoco.MjData, share: float) -> None:
        """Moves to the pull's position after this share of its time, but not so far ahead that the object tears."""
        assert self.holds is not None
        there = (self._axes @ self._point(data, self.holds))[:2]
        ahead = self._start[:2] + self.holds.offset(share) - there
        ahead *= min(1.0, LEAD / max(float(np.hypot(*ahead)), 1e-9))
        model.eq_data[self._rails, 0] = there + ahead

    def _point(self, data: mujoco.MjData, pull: Pull) -> Vector:
        """Current position of the held point."""
        body = pull.touch.body
        return data.xpos[body] + data.xmat[body].reshape(3, 3) @ pull.touch.anchor

    def let_go(self, data: mujoco.MjData) -> None:
        self.holds = None
        data.eq_active[[*self._rails, self.bond]] = 0
        data.qpos[self._positions] = 0
        data.qvel[self._speeds] = 0


def quaternion(axes: Float64[np.ndarray, "3 3"]) -> Float64[np.ndarray, "4"]:
    """Quaternion of the rotation that takes the unit vectors to the rows of `axes`."""
    quaternion = np.empty(4)
    mujoco.mju_mat2Quat(quaternion, np.ascontiguousarray(axes.T).ravel())
    return quaternion
