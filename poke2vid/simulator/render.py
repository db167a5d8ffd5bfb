"""Drawing a world: frames, and the geom and depth at every pixel. MuJoCo's classic renderer, without a display."""

import functools
from typing import Any

import cv2
import mujoco
import numpy as np
from jaxtyping import Float32, UInt8

from poke2vid.simulator.mjcf import EXTENT, FAR, NEAR
from poke2vid.simulator.trajectory import Buffers
from poke2vid.simulator.world import World
from poke2vid.types import InputError

SUPERSAMPLING = 2  # frames are drawn this many times larger and shrunk: far cheaper than the driver's anti-aliasing
SIZES = (16, 1024)  # of frames, in pixels
CANVAS = 1024  # pixels: least side of the drawing buffer; half of it takes as long to set up, twice of it twice as long
CANNOT_DRAW = (
    "this machine cannot draw without a display ({}); import poke2vid.simulator before mujoco or set MUJOCO_GL=egl, and if "
    "that is done, `poke2vid simulate --check` says what is missing."
)
FLEX = int(mujoco.mjtObj.mjOBJ_FLEX)
GEOM = int(mujoco.mjtObj.mjOBJ_GEOM)


class Renderer:
    """Draws one world at one size. Close it or use `with`, or else the driver's memory fills up."""

    def __init__(self, world: World, resolution: int) -> None:
        """Raises InputError if the size is out of range or this machine cannot draw (`simulate --check` tells why)."""
        self.resolution = _drawable(resolution)
        self._model, self._data = world.model, mujoco.MjData(world.model)
        _gl_context().make_current()
        self._scene = mujoco.MjvScene(world.model, maxgeom=2000)
        for flag in (
            mujoco.mjtRndFlag.mjRND_SHADOW,
            mujoco.mjtRndFlag.mjRND_REFLECTION,
            mujoco.mjtRndFlag.mjRND_SKYBOX,
        ):
            self._scene.flags[flag] = False
        self._option = mujoco.MjvOption()
        self._camera = mujoco.MjvCamera()
        self._camera.type, self._camera.fixedcamid = mujoco.mjtCamera.mjCAMERA_FIXED, 0
        self._canvas = max(CANVAS, SUPERSAMPLING * resolution)
        world.model.vis.global_.offwidth = world.model.vis.global_.offheight = self._canvas
        try:
            self._context = mujoco.MjrContext(world.model, mujoco.mjtFontScale.mjFONTSCALE_50.value)
        except mujoco.FatalError as error:
            raise InputError(CANNOT_DRAW.format(error)) from error
        self._context.readDepthMap = mujoco.mjtDepthMap.mjDEPTH_ZEROFAR

    def __enter__(self) -> "Renderer":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._context.free()

    def frame(self, state: np.ndarray, resolution: int | None = None) -> UInt8[np.ndarray, "h w 3"]:
        """Anti-aliased picture of a state (MuJoCo's qpos), at the renderer's size unless another is given."""
        side = self.resolution if resolution is None else _drawable(resolution)
        self._draw(state, side * SUPERSAMPLING)
        return _shrunk(self._colours(side * SUPERSAMPLING), side)

    def buffers(self, state: np.ndarray, resolution: int | None = None) -> Buffers:
        """Geom, flexible body and depth at the centre of every pixel."""
        return self._buffers(state, self.resolution if resolution is None else _drawable(resolution))

    def fine_buffers(self, state: np.ndarray) -> Buffers:
        """Buffers at the supersampled size that frames are shrunk from; for `Surface.visible`."""
        return self._buffers(state, self.resolution * SUPERSAMPLING)

    def _buffers(self, state: np.ndarray, side: int) -> Buffers:
        flags = self._scene.flags
        flags[mujoco.mjtRndFlag.mjRND_SEGMENT] = flags[mujoco.mjtRndFlag.mjRND_IDCOLOR] = True
        try:
            self._draw(state, side)
        finally:
            flags[mujoco.mjtRndFlag.mjRND_SEGMENT] = flags[mujoco.mjtRndFlag.mjRND_IDCOLOR] = False
        number = self._colours(side).astype(np.int32) @ np.array([1, 2**8, 2**16], np.int32)
        known = np.full((2, self._scene.ngeom + 1), -1, np.int32)
        for geom in self._scene.geoms[: self._scene.ngeom]:
            if geom.segid >= 0 and geom.objtype in (GEOM, FLEX):
                known[int(geom.objtype == FLEX), geom.segid + 1] = geom.objid
        geoms, flexes = known[:, number]
        return Buffers(geoms, flexes, self._depth(side))

    def _draw(self, state: np.ndarray, side: int) -> None:
        """Draws into the driver's buffers, from which `_colours` and `_depth` read."""
        data = self._data
        data.qpos[:] = state
        mujoco.mj_kinematics(self._model, data)
        mujoco.mj_comPos(self._model, data)
        mujoco.mj_camlight(self._model, data)
        mujoco.mj_flex(self._model, data)
        mujoco.mjv_updateScene(
            self._model, data, self._option, None, self._camera, mujoco.mjtCatBit.mjCAT_ALL.value, self._scene
        )
        _gl_context().make_current()
        if side > self._canvas:
            mujoco.mjr_resizeOffscreen(side, side, self._context)
            self._canvas = side
        # The current buffer is global driver state that another renderer of this process may have changed.
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN.value, self._context)
        mujoco.mjr_render(mujoco.MjrRect(0, 0, side, side), self._scene, self._context)

    def _colours(self, side: int) -> UInt8[np.ndarray, "s s 3"]:
        picture = np.empty((side, side, 3), np.uint8)
        mujoco.mjr_readPixels(picture, None, mujoco.MjrRect(0, 0, side, side), self._context)
        return picture[::-1]

    def _depth(self, side: int) -> Float32[np.ndarray, "s s"]:
        """Depth in metres. Reading it back adds 1/15 to a frame's time, so it is read only on demand."""
        raw = np.empty((side, side), np.float32)
        mujoco.mjr_readPixels(None, raw, mujoco.MjrRect(0, 0, side, side), self._context)
        near, far = NEAR * EXTENT, FAR * EXTENT
        depth = near * far / (near + raw[::-1].astype(np.float64) * (far - near))  # raw: 1 at near, 0 at far
        return depth.astype(np.float32)


def _shrunk(picture: UInt8[np.ndarray, "s s 3"], side: int) -> UInt8[np.ndarray, "h w 3"]:
    return cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA)


def _drawable(resolution: int) -> int:
    if not SIZES[0] <= resolution <= SIZES[1]:
        raise InputError(f"frames of {resolution} pixels cannot be drawn; choose {SIZES[0]} ... {SIZES[1]}.")
    return resolution


@functools.cache
def _gl_context() -> Any:
    """The process's only drawing context; making one takes a tenth of a second."""
    try:
        context = mujoco.GLContext(64, 64)
    except Exception as error:  # drivers raise many kinds of error
        raise InputError(CANNOT_DRAW.format(error)) from error
    # Without a display GLFW only warns; MuJoCo's first attempt to draw then fails, and the second kills the process.
    if not getattr(context, "_context", True):
        raise InputError(CANNOT_DRAW.format("GLFW made no window"))
    return context
