"""Objects: every kind comes to rest, answers to a pull as its like does, and cloth moves as its flow says."""

import functools
from pathlib import Path

import numpy as np
import pytest
import simulated  # noqa: F401  # before MuJoCo: it skips where that is missing

# isort: split
import mujoco

from poke2vid.pokebench.disk import Future, StoredScene, write_record, write_truth
from poke2vid.pokebench.records import CameraRecord, PokeRecord, SceneRecord
from poke2vid.simulator.actions import Pull, Touch
from poke2vid.simulator.families.mobiles import _Bar, _Leaf
from poke2vid.simulator.families.objects import OBJECTS, SHARES, Kind, draw_species
from poke2vid.simulator.families.soft_objects import _tetrahedra
from poke2vid.simulator.render import Renderer
from poke2vid.simulator.scene import INDIVIDUALS, generator
from poke2vid.simulator.surface import bind
from poke2vid.simulator.world import World
from poke2vid.types import InputError

SIDE = 128


def kind_of(seed: int) -> Kind:
    return draw_species(generator("objects", "train", "species", seed // INDIVIDUALS)).kind


@functools.cache
def seed_of(kind: Kind) -> int:
    """The first scene of a kind."""
    return next(seed for seed in range(0, 400, INDIVIDUALS) if kind_of(seed) == kind)


@functools.cache
def settled(kind: Kind) -> World:
    return World(OBJECTS.scene(seed_of(kind), "train"))


def world_of(kind: Kind) -> World:
    """One of a kind, at rest."""
    world = settled(kind)
    world.rest()
    return world


@functools.cache
def drawn(kind: Kind) -> Renderer:
    try:
        return Renderer(settled(kind), SIDE)
    except InputError as error:
        pytest.skip(str(error))


def lowest(world: World) -> Touch:
    """The lowest body that hangs, touched in its middle."""
    own = world.model.geom_bodyid[world.geom_parts > 0]
    moving = own[world.model.body_weldid[own] != 0]
    body = int(moving[world.data.xipos[moving, 2].argmin()])
    anchor, point = world.model.body_ipos[body].copy(), world.data.xipos[body].copy()
    return Touch(body, anchor, point, float(world.camera.project(point)[1]), 1)


def moved(world: World, touch: Touch, frames: int, pull: Pull) -> np.ndarray:
    """Displacement of the touched point from its start, (right, down) in metres, frame by frame."""
    states = world.record(frames, [pull]).states
    data, path = mujoco.MjData(world.model), np.empty((frames, 3))
    for frame, state in enumerate(states):
        data.qpos[:] = state
        mujoco.mj_kinematics(world.model, data)
        path[frame] = data.xpos[touch.body] + data.xmat[touch.body].reshape(3, 3) @ touch.anchor
    return (path - touch.point) @ world.camera.axes[:2].T


def touch_at(world: World, x: float, y: float) -> Touch:
    """A touch of a flexible body at this share of its width and height, as the picture shows it."""
    pixels = world.camera.at(SIDE).project(world.data.flexvert_xpos)[0]
    low, high = pixels.min(0), pixels.max(0)
    touch = world.touch(*(low + np.array([x, y]) * (high - low)), SIDE)
    assert touch is not None
    return touch


def test_the_same_seed_gives_the_same_scene_and_another_seed_another():
    for kind in SHARES:
        seed = seed_of(kind)
        digest = OBJECTS.scene(seed, "train").digest
        assert OBJECTS.scene(seed, "train").digest == digest
        assert OBJECTS.scene(seed + 1, "train").digest != digest  # another individual
        assert OBJECTS.scene(seed, "test").digest != digest


def test_every_kind_and_style_comes_up():
    species = [draw_species(generator("objects", "train", "species", number)) for number in range(200)]
    kinds = [one.kind for one in species]
    for kind, share in SHARES.items():
        assert kinds.count(kind) / len(kinds) == pytest.approx(share, abs=0.1)
    styles = {getattr(one.traits, "style", one.kind) for one in species}
    assert styles == {
        "links", "beads", "rope", "tubes", "lanterns", "mobile", "grass", "plumes", "cattails", "wheat", "towel",
        "curtain", "flag", "block", "dome", "pudding",
    }  # fmt: skip


@pytest.mark.parametrize("kind", SHARES)
def test_it_comes_to_rest_and_stays(kind):
    world = world_of(kind)
    still = world.record(25)
    camera = world.camera.at(SIDE)
    for points in (still.positions[:, world.geom_parts > 0], still.vertices):
        pixels = camera.project(points)[0]
        assert np.abs(pixels - pixels[0]).max(initial=0.0) < 0.05
    expected = {"cloth": "cloth", "jelly": "jelly", "mobile": "bar1", "chain": "chain1", "reeds": ("reed1", "blade1")}
    assert set(world.parts) & set(np.atleast_1d(expected[kind]))


@pytest.mark.parametrize("kind", ["chain", "mobile"])
def test_what_hangs_goes_where_it_is_pulled(kind):
    world = world_of(kind)
    touch, shift = lowest(world), np.array([0.1, -0.006]) * world.size  # up a little, as on a pendulum's arc
    path = moved(world, touch, 14, Pull(touch, tuple(shift)))
    assert path[10] == pytest.approx(shift, abs=0.1 * shift[0])
    assert path[13] == pytest.approx(shift, abs=0.1 * shift[0])


def test_a_chain_swings_past_where_it_hung_and_less_and_less():
    world = world_of("chain")
    touch, shift = lowest(world), 0.1 * world.size
    path = moved(world, touch, 100, Pull(touch, (shift, -0.006 * world.size), 0, 10, 14))[14:, 0]
    assert -shift < path.min() < -0.3 * shift
    assert path[np.argmin(path) :].max() > 0.1 * shift  # and back again
    assert np.abs(path[-25:]).max() < 0.8 * np.abs(path[:25]).max()


def test_a_mobile_hangs_level_and_tilts_when_an_ornament_grows_lighter():
    world = world_of("mobile")
    bars = [world.model.geom(f"{name}/1").bodyid[0] for name in world.parts if name.startswith("bar")]
    assert len(bars) >= 2

    def level() -> float:
        """The cosine of the largest tilt."""
        return float(world.data.xmat[bars].reshape(-1, 3, 3)[:, 2, 2].min())

    assert level() > np.cos(np.radians(0.5))
    ornament = lowest(world).body
    mass = world.model.body_mass[ornament]
    world.model.body_mass[ornament] = 0.3 * mass
    world.record(25)
    tilted = level()
    world.model.body_mass[ornament] = mass
    assert tilted < np.cos(np.radians(2.0))


def test_a_bar_balances_where_its_torques_cancel():
    left, right = _Leaf(0.1, "disc", 0.1), _Leaf(0.1, "star", 0.16)
    bar = _Bar(0.1, 0.5, left, right)
    assert left.mass * bar.arm + bar.own * (bar.arm - 0.25) == pytest.approx(right.mass * (0.5 - bar.arm))
    assert bar.arm > 0.25  # nearer to the heavier side


def test_reeds_swing_with_their_frequency_and_come_back():
    world = world_of("reeds")
    species = draw_species(generator("objects", "train", "species", seed_of("reeds") // INDIVIDUALS))
    assert world.scene.frequency == species.traits.frequency
    tip = int(world.data.xipos[:, 2].argmax())
    touch = Touch(tip, world.model.body_ipos[tip].copy(), world.data.xipos[tip].copy(), 1.0, 1)
    shift = 0.05 * world.size
    path = moved(world, touch, 90, Pull(touch, (shift, 0.0), 0, 10, 14))
    assert path[14:, 0].min() < -0.1 * shift
    assert np.abs(path[-10:]).max() < 0.4 * shift


def test_cloth_hangs_on_at_its_pinned_edge_and_follows_a_pull():
    world = world_of("cloth")
    bodies = world.model.flex_vertbodyid
    held = world.model.body_dofnum[bodies] == 0
    assert 2 <= held.sum() <= 0.5 * len(bodies)
    touch = touch_at(world, 0.75, 0.85)
    shift = 0.06 * world.size
    trajectory = world.record(40, [Pull(touch, (shift, 0.0), 0, 10, 12)])
    assert np.abs(trajectory.vertices[:, held] - trajectory.vertices[0, held]).max() < 1e-9
    vertex = int(np.flatnonzero(bodies == touch.body)[0])
    path = (trajectory.vertices[:, vertex] - trajectory.vertices[0, vertex]) @ world.camera.axes[:2].T
    assert path[10] == pytest.approx([shift, 0.0], abs=0.3 * shift)
    assert np.abs(path[-1]).max() < 0.5 * shift


def test_touching_cloth_at_a_peg_takes_hold_of_what_can_move():
    world = world_of("cloth")
    camera = world.camera.at(SIDE)
    bodies = world.model.flex_vertbodyid
    held = world.model.body_dofnum[bodies] == 0
    pixels = camera.project(world.data.flexvert_xpos)[0]
    middle = pixels.mean(0)
    touches = [world.touch(*(pixel + 0.05 * (middle - pixel)), SIDE) for pixel in pixels[held]]
    soft = [touch for touch in touches if touch is not None and world.parts[touch.part - 1] == "cloth"]
    assert soft
    assert all(world.model.body_dofnum[touch.body] == 3 for touch in soft)


def test_jelly_wobbles_and_its_foot_stays_on_the_plate():
    world = world_of("jelly")
    held = world.model.body_dofnum[world.model.flex_vertbodyid] == 0
    top = int(world.data.flexvert_xpos[:, 2].argmax())
    body = int(world.model.flex_vertbodyid[top])
    touch = Touch(body, np.zeros(3), world.data.xpos[body].copy(), 1.0, 1)
    shift = 0.05 * world.size
    trajectory = world.record(60, [Pull(touch, (shift, 0.0), 0, 10, 12)])
    assert np.abs(trajectory.vertices[:, held] - trajectory.vertices[0, held]).max() < 1e-9
    path = (trajectory.vertices[:, top] - trajectory.vertices[0, top]) @ world.camera.axes[0]
    assert path[10] == pytest.approx(shift, rel=0.2)
    assert path[12:].min() < -0.05 * shift  # past where it rested
    assert np.abs(path[-5:]).max() < 0.2 * shift


def test_tetrahedra_fill_the_grid_without_turning_inside_out():
    right, back, up = 3, 4, 2
    points = np.stack(np.meshgrid(np.arange(right), np.arange(back), np.arange(up), indexing="ij"), -1).reshape(-1, 3)
    corners = points[_tetrahedra(right, back, up)].astype(float)
    volumes = np.linalg.det(corners[:, 1:] - corners[:, :1]) / 6
    assert volumes == pytest.approx(1 / 6)
    assert volumes.sum() == pytest.approx((right - 1) * (back - 1) * (up - 1))


@pytest.mark.parametrize("kind", ["cloth", "jelly"])
def test_exact_flow_of_a_flexible_body_is_the_motion_of_its_vertices(kind):
    world, renderer = world_of(kind), drawn(kind)
    touch = touch_at(world, 0.5, 0.45)
    trajectory = world.record(11, [Pull(touch, (0.08 * world.size, 0.0))])
    buffers, camera = renderer.buffers(trajectory.states[0]), world.camera.at(SIDE)
    surface = bind(buffers, camera, trajectory, world.geom_parts, world.flex_parts, world.triangles)
    assert (buffers.flexes == 0).sum() > 0.05 * SIDE**2
    assert set(np.unique(surface.part_ids[buffers.flexes == 0])) == {world.parts.index(kind) + 1}
    flow = surface.flow(trajectory, 10)
    pixels = camera.project(trajectory.vertices)[0]
    moves, depth = pixels[10] - pixels[0], camera.project(trajectory.vertices[0])[1]
    checked = 0
    for (x, y), move, away in zip(pixels[0], moves, depth, strict=True):
        column, row = round(x), round(y)
        seen = buffers.flexes[row - 1 : row + 2, column - 1 : column + 2] == 0
        if seen.all() and abs(buffers.depth[row, column] - away) < 0.005:  # on this side, and not at the rim
            assert flow[:, row, column] == pytest.approx(move, abs=0.1 * np.abs(moves).max() + 0.1)
            checked += 1
    assert checked >= 10
    assert np.abs(flow[:, buffers.flexes < 0]).max() < 1e-3  # plates and rods stand still


@pytest.mark.parametrize("kind", ["cloth", "jelly"])  # of cloth, no geom shows at all
def test_flexible_bodies_of_a_benchmark_are_read_as_they_were_written(kind, tmp_path):
    world, renderer = world_of(kind), drawn(kind)
    trajectory = world.record(11, [Pull(touch_at(world, 0.5, 0.45), (0.08 * world.size, 0.0))])
    camera = world.camera.at(SIDE)
    buffers = renderer.buffers(trajectory.states[0])
    surface = bind(buffers, camera, trajectory, world.geom_parts, world.flex_parts, world.triangles)
    frames = [renderer.frame(state) for state in trajectory.states]
    visible = np.stack([surface.visible(trajectory, k, renderer.fine_buffers(trajectory.states[k])) for k in range(11)])
    visible[10, 3, :5] = False  # else all of it may be
    write_truth(tmp_path, frames[0], surface, [Future(trajectory, frames[1:], visible)], 25.0)
    scene = stored(tmp_path, world)
    assert np.array_equal(scene.part_ids, surface.part_ids)
    assert np.abs(scene.flow(0, 10)).max() > 5  # pixels
    assert scene.flow(0, 10) == pytest.approx(surface.flow(trajectory, 10), abs=1e-3)
    assert np.array_equal(scene.visible(0, 10), visible[10])


def stored(folder: Path, world: World) -> StoredScene:
    """A scene of a benchmark, with one poke, whose truth lies in the folder."""
    camera = world.camera
    known = {"position": camera.position.tolist(), "axes": camera.axes.tolist(), "fovy": camera.fovy}
    poke = PokeRecord(role="shift", at=(1.0, 1.0), shift=(1.0, 1.0), point=0, length=0.1, part=1)
    record = SceneRecord(
        name="one", family="objects", number=0, generation=1, physics="MuJoCo", resolution=SIDE, seed=0, digest="",
        parts=world.parts, camera=CameraRecord.model_validate(known), pokes=(poke,), states="", rejected={}, files={},
    )  # fmt: skip
    return StoredScene(folder, write_record(folder, record), 10, SIDE, "")


def test_triangles_are_the_surface_alone():
    cloth, jelly = world_of("cloth"), world_of("jelly")
    assert len(cloth.triangles) == 1
    assert len(cloth.triangles[0]) == cloth.model.flex_elemnum[0]
    faces = np.sort(jelly.triangles[0], axis=1)
    edges = np.sort(np.concatenate((faces[:, :2], faces[:, 1:], faces[:, ::2])), axis=1)
    _, shared = np.unique(edges, axis=0, return_counts=True)
    assert (shared == 2).all()  # closed: every edge belongs to two triangles
