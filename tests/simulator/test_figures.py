"""Figures: one doll from pose to pose, what it is made of, and how it answers to a pulled hand."""

import simulated  # noqa: F401  # before MuJoCo: it skips where that is missing

# isort: split
import functools

import mujoco
import numpy as np
import pytest

from poke2vid.simulator.actions import Pull, Touch
from poke2vid.simulator.families.figures import FIGURES, draw_species
from poke2vid.simulator.render import Renderer
from poke2vid.simulator.scene import INDIVIDUALS, generator
from poke2vid.simulator.world import World
from poke2vid.types import InputError

BOTH = [
    f"{side}_{part}" for side in ("left", "right") for part in ("upper_arm", "forearm", "hand", "thigh", "shin", "foot")
]
PARTS = {"pelvis", "torso", "neck", "head", *BOTH}
STANDING, HANGING = 8, 12  # seeds


@functools.cache
def world_of(seed: int) -> World:
    return World(FIGURES.scene(seed, "train"))


def held(world: World, name: str) -> Touch:
    """The middle of a body, as if it had been touched there."""
    body = world.model.body(name).id
    anchor = world.model.body_ipos[body].copy()
    point = world.data.xpos[body] + world.data.xmat[body].reshape(3, 3) @ anchor
    return Touch(body, anchor, point, float(world.camera.project(point)[1]), 1)


def moved(world: World, touch: Touch, frames: int, pull: Pull) -> np.ndarray:
    """Displacement of the touched point from its start, (right, down) in metres, frame by frame."""
    world.rest()
    states, data, path = world.record(frames, [pull]).states, mujoco.MjData(world.model), []
    for state in states:
        data.qpos[:] = state
        mujoco.mj_kinematics(world.model, data)
        path.append(data.xpos[touch.body] + data.xmat[touch.body].reshape(3, 3) @ touch.anchor - touch.point)
    world.rest()
    return np.array(path) @ world.camera.axes[:2].T


def test_same_seed_same_scene():
    assert FIGURES.scene(5, "train").digest == FIGURES.scene(5, "train").digest
    assert len({FIGURES.scene(seed, split).digest for seed in (5, 6) for split in ("train", "test")}) == 4


def test_one_figure_keeps_its_limbs_and_clothes_from_pose_to_pose():
    first, second = world_of(STANDING), world_of(STANDING + 1)
    for name in ("head", "left_forearm", "right_shin"):
        assert first.model.body(name).mass == pytest.approx(second.model.body(name).mass)
    for name in ("skin", "face", "top", "bottom"):
        assert (first.scene.textures[name] == second.scene.textures[name]).all()
    other = world_of(STANDING + INDIVIDUALS)
    assert first.model.body("head").mass != pytest.approx(other.model.body("head").mass)
    assert not np.allclose(first.data.qpos, second.data.qpos)


def test_a_seed_stands_for_a_species():
    drawn = [draw_species(generator("figures", "train", "species", k)) for k in range(40)]
    assert len({species.colour_seed for species in drawn}) == 40
    assert {species.bottom for species in drawn} == {"trousers", "shorts", "skirt", "dress"}
    assert min(species.heads for species in drawn) < 4.6 < 5.4 < max(species.heads for species in drawn)


@pytest.mark.parametrize("seed", [STANDING, HANGING])
def test_its_parts_are_named_and_complete(seed):
    assert set(world_of(seed).parts) >= PARTS


def test_some_stand_and_some_hang():
    hanging = ['name="cord"' in FIGURES.scene(seed, "train").mjcf for seed in range(0, 64, 4)]
    assert 0 < sum(hanging) < len(hanging) / 2
    assert "cord" in world_of(HANGING).parts and "cord" not in world_of(STANDING).parts


@pytest.mark.parametrize("seed", [0, 16, 20, 36, 52])
def test_it_settles_in_its_pose(seed):
    world = world_of(seed)
    data = mujoco.MjData(world.model)
    mujoco.mj_kinematics(world.model, data)
    sunk = np.linalg.norm(world.data.xpos - data.xpos, axis=1).max()
    assert sunk < 0.3 * world.size
    assert np.ptp(world.record(10).positions, axis=0).max() < 1e-4


@pytest.mark.parametrize("seed", [STANDING, HANGING])
@pytest.mark.parametrize("name", ["left_hand", "head"])
def test_a_pulled_part_arrives_and_swings_back(seed, name):
    world = world_of(seed)
    touch = held(world, name)
    shift = np.array([-0.08, -0.02]) * world.size
    way = moved(world, touch, 16, Pull(touch, (float(shift[0]), float(shift[1]))))
    assert np.linalg.norm(way[[10, 15]] - shift, axis=1).max() < 0.1 * np.linalg.norm(shift)
    swing = moved(world, touch, 150, Pull(touch, (float(shift[0]), float(shift[1])), release=10))
    assert np.linalg.norm(swing[-25:], axis=1).max() < 0.4 * np.linalg.norm(shift)


def test_the_body_answers_and_the_feet_stay():
    world = world_of(STANDING)
    touch = held(world, "head")
    world.rest()
    trajectory = world.record(12, [Pull(touch, (0.08 * world.size, 0.0))])
    geoms = {part: np.flatnonzero(world.geom_parts == 1 + world.parts.index(part)) for part in world.parts}
    travel = np.linalg.norm(trajectory.positions[11] - trajectory.positions[0], axis=1)
    ankle = np.linalg.norm(_ankles(world, trajectory.states[11]) - _ankles(world, trajectory.states[0]), axis=1)
    world.rest()
    assert travel[geoms["left_foot"]].max() == travel[geoms["right_foot"]].max() == 0
    assert ankle.max() < 0.01 * world.size
    assert travel[geoms["torso"]].min() > 0.005 * world.size
    assert travel[geoms["left_hand"]].max() > 0.005 * world.size


def test_a_shin_is_pulled_less_the_nearer_its_ankle_is():
    world = world_of(STANDING)
    camera, ankle = world.camera.at(256), _ankles(world, world.data.qpos)[0]
    shin = world.data.xpos[int(world.model.eq_obj1id[world.model.neq - 2])]
    levers = []
    for share in (0.25, 0.5, 0.75):
        touch = world.touch(*camera.project((1 - share) * shin + share * ankle)[0], 256)
        assert touch is not None and world.parts[touch.part - 1].endswith("shin")
        levers.append(touch.lever)
        assert touch.lever == pytest.approx(np.linalg.norm(touch.point - ankle))
    assert levers[0] > levers[1] > levers[2]


def test_pulls_do_not_tear_the_feet_off():
    world = world_of(STANDING)
    bonds = [
        np.linalg.norm(_ankles(world, world.data.qpos)[k] - world.model.eq_data[world.model.neq - 2 + k, 3:6])
        for k in (0, 1)
    ]
    assert max(bonds) < 0.001 * world.size
    way = world.record(20, [Pull(held(world, "left_shin"), (0.03 * world.size, -0.03 * world.size))])
    world.rest()
    ends = _ankles(world, way.states[-1]) - world.model.eq_data[world.model.neq - 2 :, 3:6]
    assert np.linalg.norm(ends, axis=1).max() < 0.02 * world.size


def _ankles(world: World, state: np.ndarray) -> np.ndarray:
    """Positions of the ends of the shins that the feet hold."""
    data = mujoco.MjData(world.model)
    data.qpos[:] = state
    mujoco.mj_kinematics(world.model, data)
    ends = []
    for equality in range(world.model.neq):
        body = int(world.model.eq_obj1id[equality])
        if world.model.body(body).name.endswith("shin"):
            ends.append(data.xpos[body] + data.xmat[body].reshape(3, 3) @ world.model.eq_data[equality, :3])
    assert len(ends) == 2
    return np.array(ends)


def test_its_head_and_limbs_show():
    world = world_of(STANDING)
    try:
        renderer = Renderer(world, 128)
    except InputError as error:
        pytest.skip(str(error))
    with renderer:
        buffers = renderer.buffers(world.data.qpos)
    shown = {world.parts[part - 1] for part in np.unique(world.geom_parts[buffers.geoms[buffers.geoms >= 0]]) if part}
    assert shown >= {"head", "torso", "pelvis", "left_thigh", "right_thigh", "left_foot", "right_foot"}
    rows, _ = np.nonzero(np.isin(buffers.geoms, np.flatnonzero(world.geom_parts)))
    assert 0.6 * 128 < np.ptp(rows) < 128
