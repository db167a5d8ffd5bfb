"""A running scene: compiled, tuned, settled and framed; then poked, blown at and recorded.

MuJoCo does the physics. This module adds the stiffness (from the wanted swing frequency), a hand that pulls a touched
point parallel to the picture, and checks that reject unstable scenes.
"""

from collections.abc import Sequence

import mujoco
import numpy as np
from jaxtyping import Float64, Int32

from poke2vid.simulator.actions import Pull, Push, Touch, Wind
from poke2vid.simulator.camera import Camera, Vector, look_at
from poke2vid.simulator.hand import Hand, quaternion
from poke2vid.simulator.mjcf import BACKDROP, CAMERA, HAND, SCENE, SECOND_HAND, TIMESTEP, with_second_hand
from poke2vid.simulator.path import RigidPoint, SoftPoint
from poke2vid.simulator.scene import Scene, View
from poke2vid.simulator.trajectory import Trajectory

PHYSICS = f"MuJoCo {mujoco.__version__}"
FPS = 25.0
STEPS = round(1 / (FPS * TIMESTEP))  # of physics in one frame
SETTLE_SECONDS = 10.0
SETTLE_DAMPING = 8.0  # times the scene's own, while it comes to rest
REST_SPEED = 1e-5  # metres a second with settling damping: 1/50 pixel within 25 frames without it
FLOWN_OFF = 2.5  # object sizes, of any corner from its rest position; the farthest of 599 sound scenes was at 1.22
TORN = 0.04  # object sizes between the two ends of a bond; 1 in 100 figures gets there, 1 in 100 others beyond 0.012
BOND = (0.98, 0.999)  # solimp: harder than the hand's grip, or feet leave their ankles by up to 0.08 sizes
AIR = 1.2  # kg/m^3
IMPULSE_FRAMES = 3.0  # frames in which a free point would travel the whole shift of an impulse

# MuJoCo's own handler writes MUJOCO_LOG.TXT into the user's folder; `_check` reads MuJoCo's warning counts instead.
mujoco.set_mju_user_warning(lambda message: None)


class UnstableError(Exception):
    """Raised when a scene's physics goes wrong; the message is the kind of fault, for counting."""


class World:
    """One scene at rest, and the actions on it."""

    def __init__(self, scene: Scene, hands: int = 1) -> None:
        """Compiles, tunes, settles and frames the scene.

        Args:
            hands: 1 or 2; with two, two points can be held at once.

        Raises:
            UnstableError: if it does not compile, does not come to rest, or comes apart.
        """
        self.scene = scene
        try:
            self.model = mujoco.MjModel.from_xml_string(scene.mjcf if hands == 1 else with_second_hand(scene.mjcf))
        except ValueError as error:
            raise UnstableError(f"does not compile: {error}") from error
        self.data = mujoco.MjData(self.model)
        self.parts, self.geom_parts, self.flex_parts = self._parts()
        self._paint()
        self._hands = tuple(Hand(self.model, name) for name in (HAND, SECOND_HAND)[:hands])
        connects = np.flatnonzero(self.model.eq_type == mujoco.mjtEq.mjEQ_CONNECT)
        self._bonds = connects[~np.isin(connects, [hand.bond for hand in self._hands])]
        self.model.eq_solimp[self._bonds, :2] = BOND
        self._tune()
        self._faces = self._wind_faces()
        self._settle()
        self.camera = self._frame(scene.view)
        for hand in self._hands:
            hand.align(self.model, self.camera)
        mujoco.mj_forward(self.model, self.data)
        self._rest = self.data.qpos.copy()

    @property
    def size(self) -> float:
        """The object's longest extent at rest, in metres."""
        points = self._object_points()
        return float(np.ptp(points, axis=0).max())

    @property
    def triangles(self) -> tuple[Int32[np.ndarray, "k 3"], ...]:
        """Surface triangles of every flexible body, as indices into all flexible vertices."""
        model, faces = self.model, []
        for flex in range(model.nflex):
            if model.flex_dim[flex] == 2:
                numbers, start, count = model.flex_elem, model.flex_elemdataadr[flex], model.flex_elemnum[flex]
            else:
                numbers, start, count = model.flex_shell, model.flex_shelldataadr[flex], model.flex_shellnum[flex]
            faces.append(numbers[start : start + 3 * count].reshape(-1, 3) + model.flex_vertadr[flex])
        return tuple(faces)

    def rest(self) -> None:
        """Resets the scene to its settled state."""
        mujoco.mj_resetData(self.model, self.data)
        self.data.qpos[:] = self._rest
        mujoco.mj_forward(self.model, self.data)

    def touch(self, x: float, y: float, resolution: int) -> Touch | None:
        """The object's point now at a pixel; None if the surroundings show there."""
        camera = self.camera.at(resolution)
        direction = camera.ray(x, y)
        geom = np.full(1, -1, np.int32)
        distance = mujoco.mj_ray(self.model, self.data, camera.position, direction, None, True, -1, geom, None)
        part, body = (self.geom_parts[geom[0]], int(self.model.geom_bodyid[geom[0]])) if distance >= 0 else (0, -1)
        bound = -1  # the flexible body that carries the point, if no geom does
        for flex in range(self.model.nflex):
            to_flex = mujoco.mj_rayFlex(
                self.model, self.data, 0, False, True, True, False, flex, camera.position, direction, None, None
            )
            if to_flex >= 0 and (distance < 0 or to_flex < distance):
                distance, part, bound = to_flex, self.flex_parts[flex], flex
        if distance < 0 or part == 0:
            return None
        point = camera.position + distance * direction
        carrier: RigidPoint | SoftPoint
        if bound >= 0:
            body = self._nearest_vertex(bound, point)
            carrier = SoftPoint.bound(point, self.data.flexvert_xpos, self.triangles[bound])
        else:
            turned = self.data.geom_xmat[geom[0]].reshape(3, 3)
            carrier = RigidPoint(int(geom[0]), turned.T @ (point - self.data.geom_xpos[geom[0]]))
        anchor = self.data.xmat[body].reshape(3, 3).T @ (point - self.data.xpos[body])
        root = int(self.model.body_rootid[body])
        soft = body in self.model.flex_vertbodyid  # a vertex is fastened only to its neighbours
        lever = self.size if soft else float(np.linalg.norm(point - self._held(body, root), axis=1).min())
        return Touch(body, anchor, point, float(camera.project(point)[1]), int(part), lever, carrier)

    def _held(self, body: int, root: int) -> Float64[np.ndarray, "n 3"]:
        """Points where a rigid body is fastened: its root's origin and its own bonds."""
        own = self._bonds[self.model.eq_obj1id[self._bonds] == body]
        turned = self.data.xmat[body].reshape(3, 3)
        return np.concatenate(
            (self.data.xpos[root][None], self.data.xpos[body] + self.model.eq_data[own, :3] @ turned.T)
        )

    def moves(self, touch: Touch) -> bool:
        """True if the touched body can move at all: a pot cannot."""
        return bool(self.model.body_weldid[touch.body] != 0)

    def _nearest_vertex(self, flex: int, point: Vector) -> int:
        """Body of the nearest movable vertex."""
        start, count = self.model.flex_vertadr[flex], self.model.flex_vertnum[flex]
        bodies = self.model.flex_vertbodyid[start : start + count]
        away = np.linalg.norm(self.data.xpos[bodies] - point, axis=1)
        return int(bodies[np.where(self.model.body_dofnum[bodies] > 0, away, np.inf).argmin()])

    def record(self, frames: int, actions: Sequence[Pull | Push] = (), wind: Wind | None = None) -> Trajectory:
        """Runs the physics from the current state, which is frame 0.

        Args:
            actions: pulls by one hand must not overlap.
            wind: for every frame; None is no wind.

        Raises:
            UnstableError: if it explodes, flies off or comes apart.
        """
        mujoco.mj_forward(self.model, self.data)
        recorder = _Recorder(self.model, frames)
        recorder.keep(0, self.data)
        for frame in range(1, frames):
            if wind is not None:
                speed = float(np.linalg.norm(wind[frame]))
                self.data.xfrc_applied[:, :3] = 0.5 * AIR * speed * self._faces[:, None] * wind[frame]
            for step in range(STEPS):
                self._act(actions, frame - 1 + step / STEPS)
                mujoco.mj_step(self.model, self.data)
            self._check()
            mujoco.mj_kinematics(self.model, self.data)
            mujoco.mj_flex(self.model, self.data)
            recorder.keep(frame, self.data)
        self.data.xfrc_applied[:] = 0
        self.data.qfrc_applied[:] = 0
        for hand in self._hands:
            hand.let_go(self.data)
        return recorder.trajectory()

    def _act(self, actions: Sequence[Pull | Push], time: float) -> None:
        """Applies the actions due at a time, in frames."""
        self.data.qfrc_applied[:] = 0
        for action in actions:
            if isinstance(action, Push):
                if action.start <= time < action.start + 1:
                    self._push(action)
                continue
            hand = self._hands[action.hand]
            if action.release is not None and time >= action.release:
                if hand.holds is action:
                    hand.let_go(self.data)
            elif time >= action.start:
                if hand.holds is not action:
                    hand.grab(self.model, self.data, action)
                hand.drive(self.model, self.data, min((time + 1 / STEPS - action.start) / action.arrive, 1.0))

    def _push(self, push: Push) -> None:
        """Applies the force that brings the touched point to its speed within one frame, given the inertia there."""
        model, data = self.model, self.data
        point = data.xpos[push.touch.body] + data.xmat[push.touch.body].reshape(3, 3) @ push.touch.anchor
        jacobian = np.zeros((3, model.nv))
        mujoco.mj_jac(model, data, jacobian, None, point, push.touch.body)
        along = self.camera.axes[:2] @ jacobian
        solved = np.zeros_like(along)
        mujoco.mj_solveM(model, data, solved, along)
        speed = np.array(push.shift) * FPS / IMPULSE_FRAMES
        force = np.linalg.solve(along @ solved.T + 1e-9 * np.eye(2), speed * FPS)
        data.qfrc_applied[:] += along.T @ force

    def _paint(self) -> None:
        for name, picture in self.scene.textures.items():
            texture = self.model.texture(name)
            start = int(texture.adr[0])
            self.model.tex_data[start : start + picture.size] = picture.ravel()
        for part, colour in self.scene.tints.items():
            for parts, material, rgba in (
                (self.geom_parts, self.model.geom_matid, self.model.geom_rgba),
                (self.flex_parts, self.model.flex_matid, self.model.flex_rgba),
            ):
                here = np.flatnonzero(
                    parts == self.parts.index(part) + 1
                )  # numbers: the bindings' flex_matid is too long
                material[here], rgba[here] = -1, (*colour, 1.0)

    def _parts(self) -> tuple[tuple[str, ...], Int32[np.ndarray, " g"], Int32[np.ndarray, " f"]]:
        """Part names in the order of their ids from 1, and the part id of every geom and flexible body."""
        geoms = [self.model.geom(i).name.split("/")[0] for i in range(self.model.ngeom)]
        kind = mujoco.mjtObj.mjOBJ_FLEX  # the bindings have no `model.flex`
        flexes = [mujoco.mj_id2name(self.model, kind, i).split("/")[0] for i in range(self.model.nflex)]
        names = tuple(dict.fromkeys(name for name in geoms + flexes if name != SCENE))
        ids = {name: i + 1 for i, name in enumerate(names)} | {SCENE: 0}
        return names, np.array([ids[name] for name in geoms], np.int32), np.array([ids[n] for n in flexes], np.int32)

    def _wind_faces(self) -> Float64[np.ndarray, " b"]:
        """Area of every body that faces the wind, in square metres, averaged over all directions.

        MuJoCo's own wind makes a physics step ten times slower; this drag ignores the body's own speed, which joint
        damping covers.
        """
        model, faces = self.model, np.zeros(self.model.nbody)
        a, b, c = 2 * model.geom_aabb[:, 3:].T
        np.add.at(faces, model.geom_bodyid, np.where(self.geom_parts > 0, (a * b + b * c + c * a) / 2, 0.0))
        vertices = self.data.flexvert_xpos
        for triangles in self.triangles:
            p, q, r = (vertices[triangles[:, k]] for k in range(3))
            area = np.linalg.norm(np.cross(q - p, r - p), axis=-1) / 2
            np.add.at(faces, model.flex_vertbodyid[triangles], area[:, None] / 6)
        return faces

    def _tune(self) -> None:
        """Scales all joint stiffnesses so that the slowest elastic mode has the scene's frequency; damps in proportion.

        The modes are those of M q'' = -K q about the built pose: the least eigenvalue of M^-1 K is omega_1^2.
        """
        model, data = self.model, self.data
        mujoco.mj_forward(model, data)
        stiffness = model.jnt_stiffness[model.dof_jntid] if self.scene.frequency is not None else np.zeros(model.nv)
        elastic = np.flatnonzero(stiffness > 0)
        if self.scene.frequency is None or not len(elastic):
            return
        mass = np.zeros((model.nv, model.nv))
        mujoco.mj_fullM(model, data, mass)
        root = np.sqrt(stiffness[elastic])
        compliance = np.linalg.inv(mass)[np.ix_(elastic, elastic)] * root[:, None] * root
        omega = 2 * np.pi * self.scene.frequency
        model.jnt_stiffness[:] *= omega**2 / np.linalg.eigvalsh(compliance)[0]
        model.dof_damping[elastic] = model.jnt_stiffness[model.dof_jntid[elastic]] * 2 * self.scene.damping / omega

    def _settle(self) -> None:
        """Runs gravity with heavy damping until nothing moves."""
        model, data = self.model, self.data
        own, air, soft = model.dof_damping.copy(), model.opt.viscosity, model.flex_damping.copy()
        self._home, self._home_size = self._object_points(), self.size  # as built, until it has settled
        model.dof_damping[:] *= SETTLE_DAMPING
        model.flex_damping[:] *= SETTLE_DAMPING
        model.opt.viscosity *= SETTLE_DAMPING
        for _ in range(round(SETTLE_SECONDS * FPS)):
            mujoco.mj_step(model, data, STEPS)
            self._check()
            if self._speed() < REST_SPEED:
                break
        model.dof_damping[:], model.opt.viscosity, model.flex_damping[:] = own, air, soft
        if self._speed() >= REST_SPEED:
            raise UnstableError("does not come to rest")
        self._home, self._home_size = self._object_points(), self.size
        data.qvel[:], data.qacc_warmstart[:], data.time = 0, 0, 0.0

    def _speed(self) -> float:
        """Speed of the fastest body, in metres a second."""
        mujoco.mj_comVel(self.model, self.data)
        return float(np.abs(self.data.cvel[:, 3:]).max(initial=0.0))

    def _check(self) -> None:
        """Raises UnstableError unless all is finite, near its rest position and in one piece; called once a frame."""
        data = self.data
        if data.warning.number.any() or not np.isfinite(data.qpos).all():
            raise UnstableError("explodes")
        if np.linalg.norm(self._object_points() - self._home, axis=1).max(initial=0.0) > FLOWN_OFF * self._home_size:
            raise UnstableError("flies off")
        if len(self._bonds) and self._gaps().max() > TORN * self._home_size:
            raise UnstableError("comes apart")

    def _gaps(self) -> Float64[np.ndarray, " e"]:
        """Distance between the two ends of every bond, in metres."""
        model, data, ends = self.model, self.data, []
        for bodies, start in ((model.eq_obj1id, 0), (model.eq_obj2id, 3)):
            body, anchor = bodies[self._bonds], model.eq_data[self._bonds, start : start + 3]
            ends.append(data.xpos[body] + np.einsum("eij,ej->ei", data.xmat[body].reshape(-1, 3, 3), anchor))
        gaps: Float64[np.ndarray, " e"] = np.linalg.norm(ends[0] - ends[1], axis=1)
        return gaps

    def _object_points(self) -> Float64[np.ndarray, "n 3"]:
        """World positions of the corners of every geom's box and of the flexible vertices of the object."""
        model, data = self.model, self.data
        own = np.flatnonzero(self.geom_parts)
        signs = np.array(np.meshgrid(*[(-1.0, 1.0)] * 3)).reshape(3, -1).T
        local = model.geom_aabb[own, None, :3] + signs * model.geom_aabb[own, None, 3:]
        corners = np.einsum("gij,gcj->gci", data.geom_xmat[own].reshape(-1, 3, 3), local) + data.geom_xpos[own, None]
        return np.concatenate((corners.reshape(-1, 3), data.flexvert_xpos))

    def _frame(self, view: View) -> Camera:
        """Sets up the camera so that the object fills the wanted share of the frame, and the backdrop behind it."""
        mujoco.mj_forward(self.model, self.data)
        points = self._object_points()
        target, distance = (points.min(0) + points.max(0)) / 2, 3 * float(np.ptp(points, axis=0).max())
        for _ in range(6):  # iterated, because perspective depends on the distance
            camera = look_at(target, view.azimuth, view.elevation, distance, view.fovy, view.roll)
            pixels, depth = camera.project(points)  # in shares of the side, as the frame is one pixel
            if depth.min() <= 0:
                raise UnstableError("cannot be framed")
            low, high = pixels.min(0), pixels.max(0)
            middle = (low + high) / 2 - np.array(view.offset)
            target = target + camera.shift(float(middle[0]), float(middle[1]), float(depth.mean()))
            distance *= float((high - low).max()) / view.fill
        camera = look_at(target, view.azimuth, view.elevation, distance, view.fovy, view.roll)
        self._place(camera, float(camera.project(points)[1].max()))
        return camera

    def _place(self, camera: Camera, behind: float) -> None:
        """Places MuJoCo's camera, and a frame-filling backdrop beyond the depth `behind`, where the object ends."""
        model = self.model
        number = model.camera(CAMERA).id
        model.cam_pos[number], model.cam_fovy[number] = camera.position, camera.fovy
        model.cam_quat[number] = quaternion(camera.axes * np.array([[1.0], [-1.0], [-1.0]]))
        backdrop = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_GEOM, f"{SCENE}/{BACKDROP}")
        if backdrop >= 0:
            away = behind + model.geom_size[backdrop, 2]
            model.geom_pos[backdrop] = camera.position + away * camera.axes[2]
            model.geom_quat[backdrop] = quaternion(camera.axes * np.array([[1.0], [-1.0], [-1.0]]))
            model.geom_sameframe[backdrop] = 0  # it is no longer at its body's origin
            model.geom_size[backdrop, :2] = 1.02 * away * np.tan(np.radians(camera.fovy) / 2)


class _Recorder:
    """Collects a trajectory, frame by frame."""

    def __init__(self, model: mujoco.MjModel, frames: int) -> None:
        self._positions = np.empty((frames, model.ngeom, 3))
        self._rotations = np.empty((frames, model.ngeom, 3, 3))
        self._vertices = np.empty((frames, model.nflexvert, 3))
        self._states = np.empty((frames, model.nq))

    def keep(self, frame: int, data: mujoco.MjData) -> None:
        self._positions[frame], self._states[frame] = data.geom_xpos, data.qpos
        self._rotations[frame] = data.geom_xmat.reshape(-1, 3, 3)
        self._vertices[frame] = data.flexvert_xpos

    def trajectory(self) -> Trajectory:
        return Trajectory(self._positions, self._rotations, self._vertices, self._states)
