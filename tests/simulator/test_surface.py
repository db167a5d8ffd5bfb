"""Drawing and exact motion: the camera against itself, flow against pictures, masks against depth."""

import os
import subprocess
import sys

import cv2
import numpy as np
import pytest
import simulated  # before MuJoCo: it skips where that is missing
import torch

# isort: split
from poke2vid.geometry import warp
from poke2vid.simulator.actions import Pull
from poke2vid.simulator.camera import look_at
from poke2vid.simulator.families.objects import draw_species
from poke2vid.simulator.families.plants import PLANTS
from poke2vid.simulator.families.registry import FAMILIES
from poke2vid.simulator.interactions import metres
from poke2vid.simulator.mjcf import MjcfBuilder
from poke2vid.simulator.render import Renderer
from poke2vid.simulator.scene import INDIVIDUALS, Scene, View, generator
from poke2vid.simulator.surface import Surface, bind
from poke2vid.simulator.trajectory import Trajectory
from poke2vid.simulator.triangles import nearest_triangles
from poke2vid.simulator.world import World
from poke2vid.types import InputError

SIDE = 96
FINE = 128
# A scene of every family and of each kind of objects, and the seed from which it is looked for: ones with some pattern.
KINDS = {"plants": 0, "figures": 80, "chain": 40, "mobile": 40, "reeds": 80, "cloth": 40, "jelly": 80}


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
        first, last = renderer.frame(trajectory.states[0]), renderer.frame(trajectory.states[9])
        later = renderer.fine_buffers(trajectory.states[9])
        surface = surface_of(world, renderer, trajectory)
    flow = surface.flow(trajectory, 9)
    assert np.abs(flow[:, surface.mask]).max() > 8  # pixels
    pictures = torch.from_numpy(np.stack((first, last)).astype(np.float32)).permute(0, 3, 1, 2)
    back = warp(pictures[1:], torch.from_numpy(flow)[None])[0].permute(1, 2, 0).numpy()
    seen = surface.visible(trajectory, 9, later)
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
        later = renderer.fine_buffers(trajectory.states[9])
        surface, moved = surface_of(world, renderer, trajectory), surface_of(world, renderer, trajectory, 9)
    seen = surface.visible(trajectory, 9, later)
    covered = moved.mask & ~surface.mask  # wall, behind the paddle now
    assert covered.sum() > 100
    assert seen[covered].mean() < 0.05
    assert seen[surface.mask].mean() > 0.97
    assert seen[~moved.mask & ~surface.mask].mean() > 0.98


def scene_of(kind: str) -> Scene:
    start = KINDS[kind]
    if kind in FAMILIES:
        return FAMILIES[kind].scene(start, "train")
    numbers = range(start // INDIVIDUALS, 200)
    number = next(n for n in numbers if draw_species(generator("objects", "train", "species", n)).kind == kind)
    return FAMILIES["objects"].scene(number * INDIVIDUALS, "train")


def pulled(world: World, surface: Surface) -> Trajectory:
    """A point far from where the object is held, drawn to the right and up: eleven frames."""
    chosen = np.random.default_rng(0).choice(len(surface.rows), 60)
    found = [world.touch(float(surface.columns[k]), float(surface.rows[k]), FINE) for k in chosen]
    moving = [touch for touch in found if touch is not None and world.model.body_weldid[touch.body] != 0]
    touch = max(moving, key=lambda touch: touch.lever)
    return world.record(11, [Pull(touch, metres(world, touch, 0.12 * FINE, -0.7, FINE), 0, 10)])


def detail(picture: np.ndarray) -> np.ndarray:
    """Pixel-scale detail of a picture, without the smooth change of light on a turning surface."""
    return picture.astype(np.float32) - cv2.GaussianBlur(picture.astype(np.float32), (0, 0), 3.0)


@pytest.mark.parametrize("kind", KINDS)
def test_exact_flow_carries_the_pattern_of_every_kind_of_object(kind):
    world = World(scene_of(kind))
    with Renderer(world, FINE) as renderer:
        camera, buffers = world.camera.at(FINE), renderer.buffers(world.data.qpos)
        bound = world.geom_parts, world.flex_parts, world.triangles
        trajectory = pulled(world, bind(buffers, camera, world.record(1), *bound))
        surface = bind(buffers, camera, trajectory, *bound)
        first, last = (detail(renderer.frame(trajectory.states[k])) for k in (0, 10))
        at_first, at_last = (
            surface.visible(trajectory, k, renderer.fine_buffers(trajectory.states[k])) for k in (0, 10)
        )
    assert np.abs(surface.flow(trajectory, 0)).max() < 0.01
    assert at_first[surface.mask].mean() > 0.96 and at_first[~surface.mask].mean() > 0.99
    flow = surface.flow(trajectory, 10)
    moving = at_last & (np.hypot(*flow) > 1.5)
    assert moving.sum() > 50

    def likeness(flow: np.ndarray) -> float:
        """Correlation of the last frame, brought back, with the first."""
        picture = torch.from_numpy(last).permute(2, 0, 1)[None]
        back = warp(picture, torch.from_numpy(flow.copy())[None])[0].permute(1, 2, 0).numpy()
        return float(np.corrcoef(back[moving].ravel(), first[moving].ravel())[0, 1])

    assert likeness(flow) > 0.7
    for wrong in (0 * flow, -flow, flow[::-1], 2 * flow):
        assert likeness(wrong) < likeness(flow) - 0.15


def test_points_on_a_triangle_without_area_are_bound_to_a_sound_one():
    vertices = np.array([(0, 0, 0), (1, 0, 0), (0, 1, 0), (0.35, 0.35, 0.008), (0.4, 0.4, 0)], np.float64)
    faces = np.array([(0, 4, 4), (0, 1, 2), (3, 3, 3)], np.int32)
    points = np.array([(0.35, 0.35, 0.01), (-0.1, 0.5, -0.02)])
    corners, places = nearest_triangles(points, vertices, faces)
    assert corners.tolist() == [[0, 1, 2]] * 2
    assert places == pytest.approx(np.array([(0.35, 0.35, 0.01), (-0.1, 0.5, -0.02)]))  # also beside it


def stem_in_sight(plate: bool = False, view: View = simulated.FRONT) -> float:
    """A stem thinner than a pixel swings to the right: the share of its lower half that still shows then."""
    builder = MjcfBuilder()
    body = builder.body(builder.world, (0, 0, 1))
    builder.joint(body, "hinge", axis=(0, 1, 0), stiffness=1.0, damping=0.0)
    builder.geom(body, "stem", "capsule", fromto=(0, 0, 0, 0, 0, -0.6), size=0.004, density=500.0)
    if plate:  # a few centimetres before where it arrives
        still = builder.body(builder.world, (0.19, -0.04, 0.65))
        builder.geom(still, "plate", "box", size=(0.14, 0.005, 0.35))
    back = builder.body(builder.world, (0, 0.4, 0.9))
    builder.geom(back, "scene", "box", size=(3.0, 0.01, 3.0), rgba=(0.3, 0.5, 0.4, 1))
    world = World(simulated.scene_of(builder, view, frequency=1.0))
    world.data.qpos[3] = 0.35
    trajectory = world.record(11)
    with Renderer(world, SIDE) as renderer:
        surface = surface_of(world, renderer, trajectory)
        seen = surface.visible(trajectory, 10, renderer.fine_buffers(trajectory.states[10]))
    stem = surface.part_ids == world.parts.index("stem") + 1
    stem[: SIDE // 2] = False
    assert stem.sum() > 10
    assert np.hypot(*surface.flow(trajectory, 10)[:, stem]).min() > 10  # pixels
    return float(seen[stem].mean())


def test_a_thin_stem_is_visible_in_the_open_and_neither_behind_a_plate_nor_outside():
    assert stem_in_sight() > 0.95
    assert stem_in_sight(plate=True) == 0
    assert stem_in_sight(view=View(0.0, 0.0, 30.0, 0.9, offset=(0.42, 0.0))) == 0


def test_what_slides_behind_an_edge_is_hidden_from_there_on():
    builder = MjcfBuilder()
    body = builder.body(builder.world, (0, 0, 0.6))
    builder.joint(body, "slide", axis=(1, 0, 0), stiffness=1.0, damping=0.0)
    builder.geom(body, "board", "box", size=(0.3, 0.01, 0.2), density=500.0)
    tilt = (np.cos(0.2), 0, np.sin(0.2), 0)  # so that the edge crosses pixels everywhere
    builder.geom(builder.world, "plate", "box", size=(0.2, 0.01, 0.4), pos=(0.4, -0.1, 0.6), quat=tilt)
    builder.geom(builder.world, "scene", "box", size=(3.0, 0.01, 3.0), pos=(0, 0.4, 0.9), rgba=(0.3, 0.5, 0.4, 1))
    world = World(simulated.scene_of(builder, frequency=1.0))
    world.data.qpos[3] = -0.2
    trajectory = world.record(11)
    with Renderer(world, SIDE) as renderer:
        surface = surface_of(world, renderer, trajectory)
        seen = surface.visible(trajectory, 10, renderer.fine_buffers(trajectory.states[10]))
    plate = np.flatnonzero(world.geom_parts == world.parts.index("plate") + 1)[0]
    ends = np.array([(-0.2, -0.01, 0.4), (-0.2, -0.01, -0.4)]) @ trajectory.rotations[0, plate].T
    top, foot = world.camera.at(SIDE).project(ends + trajectory.positions[0, plate])[0]
    board = surface.part_ids == world.parts.index("board") + 1
    there = (np.indices(board.shape)[::-1] + surface.flow(trajectory, 10))[:, board]
    normal = np.array([foot[1] - top[1], top[0] - foot[0]]) / np.linalg.norm(foot - top)
    behind = normal @ (there - top[:, None])  # pixels
    hidden, shown = behind > 0.3, behind < -0.3  # samples are half a pixel apart
    assert hidden.sum() > 200 and shown.sum() > 200
    assert not seen[board][hidden].any() and seen[board][shown].all()


def test_two_renderers_of_one_process_do_not_draw_into_each_other():
    world, other = World(PLANTS.scene(9, "train")), World(simulated.pendulum())
    state = world.data.qpos.copy()
    with Renderer(world, SIDE) as alone:
        frame, buffers = alone.frame(state), alone.buffers(state)
    with Renderer(world, SIDE) as older, Renderer(other, 2 * SIDE) as younger:
        younger.frame(other.data.qpos)
        assert np.array_equal(older.frame(state), frame)
        again = older.buffers(state)
        assert np.array_equal(again.geoms, buffers.geoms) and np.array_equal(again.depth, buffers.depth)
        assert younger.frame(other.data.qpos).std() > 10


@pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="elsewhere MuJoCo's choice does not depend on a display"
)
def test_no_driver_for_want_of_a_display_is_a_sentence_and_no_crash():
    program = (
        "import mujoco\n"
        "from poke2vid.simulator.families.plants import PLANTS\n"
        "from poke2vid.simulator.render import Renderer\n"
        "from poke2vid.simulator.world import World\n"
        "from poke2vid.types import InputError\n"
        "world = World(PLANTS.scene(9, 'train'))\n"
        "for _ in range(2):\n"  # MuJoCo itself ends the process the second time
        "    try:\n"
        "        Renderer(world, 32)\n"
        "    except InputError as error:\n"
        "        print(error)\n"
    )
    hidden = ("MUJOCO_GL", "DISPLAY", "WAYLAND_DISPLAY")
    known = {name: value for name, value in os.environ.items() if name not in hidden}
    done = subprocess.run([sys.executable, "-c", program], env=known, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("import poke2vid.simulator before mujoco or set MUJOCO_GL=egl") == 2


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
