"""Drawing and exact motion: the camera against itself, flow against pictures, masks against depth."""

import numpy as np
import pytest
import simulated  # before MuJoCo: it skips where that is missing
import torch

# isort: split
from poke2vid.geometry import warp
from poke2vid.simulator.actions import Pull
from poke2vid.simulator.camera import look_at
from poke2vid.simulator.families.plants import PLANTS
from poke2vid.simulator.render import Renderer
from poke2vid.simulator.scene import View
from poke2vid.simulator.surface import Surface, bind
from poke2vid.simulator.trajectory import Trajectory
from poke2vid.simulator.world import World
from poke2vid.types import InputError

SIDE = 96


def surface_of(world: World, renderer: Renderer, trajectory: Trajectory, start: int = 0) -> Surface:
    buffers = renderer.buffers(trajectory.states[start])
    return bind(buffers, world.camera.at(SIDE), trajectory, world.geom_parts, start=start)


def swung(view: View = simulated.FRONT) -> tuple[World, Trajectory]:
    """A pendulum let go from the side: ten frames."""
    world = World(simulated.pendulum(view))
    world.data.qpos[3] = 0.3
    return world, world.record(10)


def test_camera_projects_and_unprojects():
    camera = look_at(np.array([0.1, 0.2, 0.5]), 33.0, 20.0, 2.0, 40.0, roll=10.0).at(SIDE)
    points = np.random.default_rng(0).normal(0, 0.3, (20, 3))
    pixels, depth = camera.project(points)
    assert camera.unproject(pixels, depth) == pytest.approx(points)
    middle, distance = camera.project(np.array([0.1, 0.2, 0.5]))
    assert middle == pytest.approx([(SIDE - 1) / 2] * 2)  # pixel centres are whole numbers
    assert distance == pytest.approx(2.0)
    assert np.cross(camera.axes[0], camera.axes[1]) == pytest.approx(camera.axes[2])  # right, down, forward


@pytest.mark.parametrize(("azimuth", "right"), [(0, (1, 0, 0)), (90, (0, 1, 0))])
def test_camera_stands_where_it_says(azimuth, right):
    camera = look_at(np.zeros(3), azimuth, 0.0, 1.0, 40.0)
    assert camera.axes[0] == pytest.approx(right)
    assert camera.axes[1] == pytest.approx((0, 0, -1))  # down
    over = look_at(np.zeros(3), 0.0, 30.0, 1.0, 40.0)
    assert over.position[2] == pytest.approx(0.5)


def test_a_shift_in_pixels_is_a_shift_in_pixels():
    camera = look_at(np.zeros(3), 20.0, 10.0, 1.5, 35.0).at(SIDE)
    before, depth = camera.project(np.array([0.05, -0.1, 0.1]))
    after, _ = camera.project(np.array([0.05, -0.1, 0.1]) + camera.shift(4.0, -3.0, float(depth)))
    assert after - before == pytest.approx([4.0, -3.0])


def test_pixels_and_depth_are_where_the_camera_says():
    world = World(simulated.pendulum())
    with Renderer(world, SIDE) as renderer:
        buffers = renderer.buffers(world.data.qpos)
    rows, columns = np.nonzero(np.append(world.geom_parts, 0)[buffers.geoms])
    points = world.camera.at(SIDE).unproject(
        np.stack((columns, rows), -1).astype(float), buffers.depth[rows, columns].astype(float)
    )
    assert points[:, 1] == pytest.approx(-0.02, abs=2e-3)  # the paddle's front
    # Its sides, to a pixel: from the first centre to the last is one less than their number.
    metre = float(buffers.depth[rows[0], columns[0]]) / world.camera.at(SIDE).focal
    assert np.ptp(points[:, 0]) + metre == pytest.approx(0.3, abs=metre)
    assert np.ptp(points[:, 2]) + metre == pytest.approx(0.6, abs=metre)
    assert points[:, 2].mean() == pytest.approx(0.65, abs=0.6 * metre)


def test_exact_flow_brings_a_frame_back_onto_the_first():
    world, trajectory = swung()
    with Renderer(world, SIDE) as renderer:
        first, (last, depth) = renderer.frame(trajectory.states[0]), renderer.frame_and_depth(trajectory.states[9])
        surface = surface_of(world, renderer, trajectory)
    flow = surface.flow(trajectory, 9)
    assert np.abs(flow[:, surface.mask]).max() > 8  # pixels
    pictures = torch.from_numpy(np.stack((first, last)).astype(np.float32)).permute(0, 3, 1, 2)
    back = warp(pictures[1:], torch.from_numpy(flow)[None])[0].permute(1, 2, 0).numpy()
    seen = surface.visible(trajectory, 9, depth)
    inner = (
        seen & surface.mask & np.roll(surface.mask, 2, 1) & np.roll(surface.mask, -2, 1) & np.roll(surface.mask, -2, 0)
    )
    assert inner.sum() > 300
    error, unmoved = (np.abs(picture - first)[inner].mean() for picture in (back, last.astype(np.float32)))
    assert error < 4.0  # of 255: what two resamplings of the pattern cost
    assert unmoved > 5 * error
    # What the paddle leaves and covers is the only surroundings that change.
    still = seen & ~surface.mask
    assert np.quantile(np.abs(last.astype(float) - first)[still], 0.98) <= 1.0


def test_flow_is_zero_where_and_when_nothing_moves():
    world, trajectory = swung()
    with Renderer(world, SIDE) as renderer:
        surface = surface_of(world, renderer, trajectory)
    assert np.abs(surface.flow(trajectory, 0)).max() < 1e-2  # the depth buffer's precision
    assert not surface.flow(trajectory, 9)[:, ~surface.mask].any()


def test_flow_from_a_later_frame_continues_the_earlier():
    world, trajectory = swung()
    with Renderer(world, SIDE) as renderer:
        early, late = (surface_of(world, renderer, trajectory, start) for start in (0, 4))
    whole, first = early.flow(trajectory, 9), early.flow(trajectory, 4)
    rest = torch.from_numpy(late.flow(trajectory, 9))[None]
    there = warp(rest, torch.from_numpy(first)[None])[0].numpy()
    inner = early.mask & np.roll(early.mask, 3, 1) & np.roll(early.mask, -3, 1) & np.roll(early.mask, -3, 0)
    assert (first + there)[:, inner] == pytest.approx(whole[:, inner], abs=0.3)


def test_a_rolled_camera_turns_the_flow():
    """A quarter turn of the camera turns the picture, and every vector with it, the other way."""
    flows = []
    for roll in (0.0, 90.0):
        world, trajectory = swung(View(0.0, 0.0, 30.0, 0.6, roll=roll))
        with Renderer(world, SIDE) as renderer:
            flows.append(surface_of(world, renderer, trajectory).flow(trajectory, 9))
    upright, rolled = flows
    turned = np.rot90(upright, axes=(1, 2))  # counterclockwise, as the camera turned clockwise
    expected = np.stack((turned[1], -turned[0]))  # (dx, dy) -> (dy, -dx), likewise
    both = np.abs(expected).max(0).astype(bool) & np.abs(rolled).max(0).astype(bool)
    assert both.sum() > 500
    assert rolled[:, both] == pytest.approx(expected[:, both], abs=0.05)


def test_hidden_and_departed_pixels_are_told_apart_from_visible_ones():
    world, trajectory = swung()
    with Renderer(world, SIDE) as renderer:
        _, depth = renderer.frame_and_depth(trajectory.states[9])
        surface, later = surface_of(world, renderer, trajectory), surface_of(world, renderer, trajectory, 9)
    seen = surface.visible(trajectory, 9, depth)
    covered = later.mask & ~surface.mask  # wall, behind the paddle now
    assert covered.sum() > 100
    assert seen[covered].mean() < 0.05
    assert seen[surface.mask].mean() > 0.97
    assert seen[~later.mask & ~surface.mask].mean() > 0.98


def test_a_still_scene_gives_a_still_video():
    world = World(PLANTS.scene(9, "train"))
    trajectory = world.record(10)
    with Renderer(world, SIDE) as renderer:
        first, last = renderer.frame(trajectory.states[0]), renderer.frame(trajectory.states[9])
        flow = surface_of(world, renderer, trajectory).flow(trajectory, 9)
    assert np.abs(flow).max() < 0.05
    assert np.abs(first.astype(int) - last).mean() < 0.05  # of 255


def test_the_same_seed_gives_the_same_bytes():
    def film() -> np.ndarray:
        world = World(PLANTS.scene(9, "train"))
        body = int(np.flatnonzero(world.model.body_weldid)[-1])
        camera = world.camera.at(SIDE)
        x, y = camera.project(world.data.xpos[body])[0]
        touch = world.touch(float(x), float(y), SIDE)
        actions = [Pull(touch, (0.05, 0.0))] if touch else []
        trajectory = world.record(6, actions)
        with Renderer(world, SIDE) as renderer:
            return np.stack([renderer.frame(state) for state in trajectory.states])

    assert np.array_equal(film(), film())


@pytest.mark.parametrize("side", [8, 2000])
def test_sizes_that_cannot_be_drawn_are_refused(side):
    with pytest.raises(InputError, match=f"{side} pixels"):
        Renderer(World(simulated.ball()), side)
