"""Physics: what a world does when it is let be, pulled, pushed, blown at, or wrong from the start."""

import numpy as np
import pytest
import simulated  # before MuJoCo: it skips where that is missing

# isort: split
import mujoco

from poke2vid.simulator.actions import Pull, Push, Touch, touched_path
from poke2vid.simulator.families.objects import OBJECTS
from poke2vid.simulator.families.plants import PLANTS
from poke2vid.simulator.interactions import TOUCH_SIDE, happen, random_touch
from poke2vid.simulator.mjcf import TIMESTEP, MjcfBuilder
from poke2vid.simulator.render import Renderer
from poke2vid.simulator.scene import Family, generator
from poke2vid.simulator.surface import bind
from poke2vid.simulator.world import FPS, UnstableError, World

SIDE = 128


def touched(world: World, x: float, y: float) -> Touch:
    touch = world.touch(x, y, SIDE)
    assert touch is not None
    return touch


def path(world: World, touch: Touch, frames: int, *actions: Pull | Push) -> np.ndarray:
    """Path of the touched point, in pixels, frame by frame."""
    return touched_path(world.camera.at(SIDE), world.record(frames, actions), touch)


def test_a_free_body_falls_along_the_parabola():
    world = World(simulated.ball())
    world.model.opt.gravity[:] = 0, 0, -9.81
    world.data.qvel[3:6] = 1.0, 0.0, 2.0  # after the hand's three
    geom = int(np.flatnonzero(world.geom_parts)[0])
    fall = world.record(11).positions[:, geom]
    t = np.arange(11) / FPS
    assert fall[:, 0] == pytest.approx(t, abs=1e-5)
    # The steps' own sum; the closed form is half a step ahead, 8 mm after ten frames.
    assert fall[:, 2] == pytest.approx(1 + 2 * t - 9.81 / 2 * t * (t + TIMESTEP), abs=1e-5)
    assert fall[:, 2] == pytest.approx(1 + 2 * t - 9.81 / 2 * t**2, abs=9.81 / 2 * t[-1] * TIMESTEP + 1e-5)


def test_the_slowest_mode_swings_with_the_frequency_asked_for():
    # With gravity off it is the springs alone.
    world = World(simulated.pendulum())
    world.model.opt.gravity[:] = 0
    world.model.dof_damping[:] = 0
    world.data.qpos[3] = 0.05
    angles = world.record(76).states[:, 3]
    crossings = np.flatnonzero(np.diff(np.sign(angles)))
    assert FPS / (2 * np.diff(crossings).mean()) == pytest.approx(1.0, rel=0.05)


def test_energy_falls_where_nothing_is_added():
    world = World(simulated.pendulum())
    world.model.opt.enableflags |= int(mujoco.mjtEnableBit.mjENBL_ENERGY)
    world.data.qpos[3] = 0.8
    mujoco.mj_forward(world.model, world.data)
    energies = [world.data.energy.sum()]
    for _ in range(50):
        world.record(2)
        mujoco.mj_forward(world.model, world.data)
        energies.append(world.data.energy.sum())
    swing = energies[0] - energies[-1]
    assert swing > 0
    assert np.diff(energies).max() < 1e-3 * swing
    assert energies[25] < energies[0] - 0.5 * swing


def test_a_world_that_nobody_touches_stays_as_it_is():
    world = World(PLANTS.scene(5, "train"))
    trajectory, camera = world.record(25), world.camera.at(SIDE)
    own = world.geom_parts > 0
    moved = camera.project(trajectory.positions[:, own])[0] - camera.project(trajectory.positions[:1, own])[0]
    assert np.abs(moved).max() < 0.05


def test_touch_finds_the_surface_under_the_pixel():
    world = World(simulated.pendulum())
    touch = touched(world, 70.0, 75.0)
    assert world.camera.at(SIDE).project(touch.point)[0] == pytest.approx([70.0, 75.0], abs=1e-6)
    assert world.parts[touch.part - 1] == "paddle"
    assert world.touch(5.0, 5.0, SIDE) is None  # the wall behind


def test_the_path_of_a_touched_point_is_that_of_its_body():
    world = World(PLANTS.scene(5, "train"))
    found = random_touch(world, SIDE, np.random.default_rng(0))
    assert found is not None
    (x, y), touch = found
    trajectory = world.record(20, [Pull(touch, (0.03, 0.01))])
    data, points = mujoco.MjData(world.model), []
    for state in trajectory.states:
        data.qpos[:] = state
        mujoco.mj_kinematics(world.model, data)
        points.append(data.xpos[touch.body] + data.xmat[touch.body].reshape(3, 3) @ touch.anchor)
    went = touched_path(world.camera.at(SIDE), trajectory, touch)
    assert went == pytest.approx(world.camera.at(SIDE).project(np.array(points))[0], abs=1e-9)
    assert went[0] == pytest.approx([x, y], abs=1e-9)
    assert np.hypot(*(went[-1] - went[0])) > 2


@pytest.mark.parametrize(("family", "seed", "off"), [(PLANTS, 5, 0.05), (OBJECTS, 4, 0.15), (OBJECTS, 12, 0.3)])
def test_the_path_of_a_touched_point_is_that_of_the_pixel(family: Family, seed: int, off: float):
    # The picture shows facets and a skin 1 mm thick; the ray meets what they stand for, 4 mm deeper where it grazes jelly.
    world, rng = World(family.scene(seed, "train")), np.random.default_rng(1)
    camera, found = world.camera.at(SIDE), [random_touch(world, SIDE, rng) for _ in range(6)]
    happening = happen(world, rng, 30)
    trajectory = world.record(30, happening.actions, happening.wind)
    with Renderer(world, SIDE) as renderer:
        buffers = renderer.buffers(trajectory.states[0])
    surface = bind(buffers, camera, trajectory, world.geom_parts, world.flex_parts, world.triangles)
    flows = {frame: surface.flow(trajectory, frame) for frame in (0, 8, 29)}
    for touch in found:
        assert touch is not None
        (x, y), touched_there = touch
        went = touched_path(camera, trajectory, touched_there)
        assert went[0] == pytest.approx([x, y], abs=1e-6)
        for frame, flow in flows.items():
            assert went[frame] - (x, y) == pytest.approx(
                flow[:, y, x], abs=float(off + 0.02 * np.hypot(*flow[:, y, x]))
            )


def test_random_touches_are_those_of_the_seed_and_of_what_moves():
    world = World(PLANTS.scene(5, "train"))
    found = [random_touch(world, TOUCH_SIDE, np.random.default_rng(seed)) for seed in range(40)]
    again = random_touch(world, TOUCH_SIDE, np.random.default_rng(3))
    assert again is not None and found[3] is not None and again[0] == found[3][0]
    parts = {world.parts[touch[1].part - 1] for touch in found if touch is not None}
    assert len(parts) > 3 and "pot" not in parts
    assert "pot" in world.parts


def test_what_cannot_move_is_never_touched_and_nothing_happens():
    builder = MjcfBuilder()
    builder.geom(builder.world, "rock", "sphere", size=0.1, pos=(0, 0, 1))
    world = World(simulated.scene_of(builder))
    assert not world.moves(touched(world, 64.0, 64.0))
    assert random_touch(world, SIDE, np.random.default_rng(0)) is None
    assert happen(world, generator("rock"), 20).actions == ()


def test_a_pulled_point_arrives_is_held_and_swings_back():
    world = World(simulated.pendulum())
    touch = touched(world, 64.0, 80.0)
    # On the arc that the point can follow, 10 pixels to the right.
    pivot = world.camera.at(SIDE).project(np.array([0.0, 0.0, 1.0]))[0]
    start = np.array([64.0, 80.0])
    angle = -10 / np.hypot(*(start - pivot))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    shift = turn @ (start - pivot) + pivot - start
    scale = touch.depth / world.camera.at(SIDE).focal
    went = path(world, touch, 60, Pull(touch, tuple(shift * scale), 0, 10, 25)) - start
    assert went[10] == pytest.approx(shift, abs=0.5)
    assert went[24] == pytest.approx(shift, abs=0.5)
    assert 0 < went[3, 0] < 0.4 * shift[0] and 0.6 * shift[0] < went[7, 0]
    assert went[25:].min(0)[0] < -0.1 * shift[0]  # past where it rested
    assert np.abs(went[-1]).max() < 0.6 * np.abs(shift).max()


def test_a_push_moves_the_point_along_and_lets_go():
    one, two = (World(simulated.ball()) for _ in range(2))
    touch = touched(one, 64.0, 64.0)
    scale = touch.depth / one.camera.at(SIDE).focal
    went = path(one, touch, 5, Push(touch, (3 * scale, -1.5 * scale))) - 64.0
    again = path(two, touch, 5, Push(touch, (6 * scale, -3 * scale))) - 64.0
    assert went[-1, 0] > 2 and went[-1, 1] < -1
    assert again[-1] == pytest.approx(2 * went[-1], rel=0.1)
    assert np.diff(went, axis=0)[-1] == pytest.approx(np.diff(went, axis=0)[-2], rel=0.05)  # free: steady speed


def test_wind_moves_a_plant_and_calm_does_not():
    world = World(PLANTS.scene(5, "train"))
    wind = np.zeros((25, 3))
    wind[:] = 3 * world.camera.axes[0]
    blown = world.record(25, wind=wind)
    own = world.geom_parts > 0
    pixels = world.camera.at(SIDE).project(blown.positions[:, own])[0]
    assert (pixels[-1] - pixels[0])[:, 0].max() > 1.0  # leeward
    assert not world.data.xfrc_applied.any()  # and it dies down
    world.rest()
    calm = world.record(25, wind=np.zeros((25, 3)))
    pixels = world.camera.at(SIDE).project(calm.positions[:, own])[0]
    assert np.abs(pixels - pixels[0]).max() < 0.05


def test_rest_brings_it_back_and_the_same_actions_do_the_same():
    world = World(PLANTS.scene(5, "train"))
    before = world.data.qpos.copy()
    body = int(np.flatnonzero(world.model.body_weldid)[-1])
    touch = Touch(body, np.zeros(3), world.data.xpos[body].copy(), 1.0, 1)
    first = world.record(12, [Pull(touch, (0.03, 0.0))])
    world.rest()
    assert np.array_equal(world.data.qpos, before)
    second = world.record(12, [Pull(touch, (0.03, 0.0))])
    assert np.array_equal(first.states, second.states)


def falling() -> MjcfBuilder:
    builder = MjcfBuilder()
    body = builder.body(builder.world, (0, 0, 1))
    builder.joint(body, "free")
    builder.geom(body, "ball", "sphere", size=0.1, density=500.0)
    return builder


def restless() -> MjcfBuilder:
    builder = MjcfBuilder()
    body = builder.body(builder.world, (0, 0, 1), quat=(0.8, 0, 0.6, 0))
    builder.joint(body, "hinge", axis=(0, 1, 0))
    builder.geom(body, "rod", "capsule", fromto=(0, 0, 0, 0, 0, -0.4), size=0.02)
    return builder


def exploding() -> MjcfBuilder:
    builder = MjcfBuilder()
    body = builder.body(builder.world, (0, 0, 1))
    builder.joint(body, "slide", axis=(1, 0, 0), stiffness=-1e5)
    builder.geom(body, "ball", "sphere", size=0.1, pos=(0.1, 0, 0))
    builder.joint(body, "hinge", axis=(0, 1, 0), stiffness=-1e5)
    return builder


def torn() -> MjcfBuilder:
    """A ball on a bond that gives."""
    builder = MjcfBuilder()
    body = builder.body(builder.world, (0, 0, 1), name="ball")
    builder.joint(body, "free")
    builder.geom(body, "ball", "sphere", size=0.1, density=500.0)
    builder.connect("ball", "world", (0, 0, 0), stiffness=2.0)
    return builder


def test_flying_off_is_measured_from_where_it_rested_in_its_own_size():
    builder = MjcfBuilder(gravity=0.0)
    body = builder.body(builder.world, (0, 40, 1))  # 200 sizes from the world's origin
    builder.joint(body, "free")
    builder.geom(body, "ball", "sphere", size=0.1, density=500.0)
    world = World(simulated.scene_of(builder))
    world.data.qvel[3] = 1.0
    world.record(12)  # 0.44 m
    with pytest.raises(UnstableError, match="flies off"):
        world.record(3)  # 0.52 m, and the limit is at 0.5


@pytest.mark.parametrize(
    ("builder", "fault"),
    [
        (torn, "comes apart"),
        (falling, "flies off"),
        (restless, "does not come to rest"),
        (exploding, "explodes|flies off"),
    ],
)
def test_a_scene_that_goes_wrong_says_how(builder, fault):
    with pytest.raises(UnstableError, match=fault):
        World(simulated.scene_of(builder()))
