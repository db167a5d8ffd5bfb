"""Cabinets: what turns turns about its hinge, what slides slides out, and the case stands still."""

import numpy as np
import pytest
import simulated  # before MuJoCo: it skips where that is missing

# isort: split
from poke2vid.pokebench.build import spec_named
from poke2vid.simulator.actions import Pull, Touch
from poke2vid.simulator.families.cabinets import FARTHEST, WIDEST, Cabinet, build_cabinet, draw_cabinet
from poke2vid.simulator.families.registry import family_named
from poke2vid.simulator.scene import generator
from poke2vid.simulator.world import World

assert simulated
FAMILY = family_named("cabinets")


def world_of(seed: int) -> World:
    return World(FAMILY.scene(seed, "train"))


def touch_of(world: World, kind: str) -> Touch | None:
    """Something of this kind that shows."""
    for y in range(8, 120, 4):
        for x in range(8, 120, 4):
            touch = world.touch(x, y, 128)
            if touch is not None and world.parts[touch.part - 1].startswith(kind):
                return touch
    return None


def moving(kind: str) -> tuple[World, Touch]:
    for seed in range(40):
        world = world_of(seed)
        if (touch := touch_of(world, kind)) is not None:
            return world, touch
    pytest.fail(f"no {kind} shows in forty cabinets")


def test_the_same_seed_is_the_same_cabinet_and_splits_share_none() -> None:
    assert FAMILY.scene(5, "train").digest == FAMILY.scene(5, "train").digest
    assert FAMILY.scene(5, "train").digest != FAMILY.scene(5, "test").digest
    kinds = {draw_cabinet(generator("cabinet test", n)).colour_seed for n in range(20)}
    assert len(kinds) == 20


def test_every_cabinet_has_something_to_open() -> None:
    for n in range(200):
        fronts = [front for row in draw_cabinet(generator("cabinet test", n)).fronts for front in row]
        assert any(front != "open" for front in fronts)


def test_they_come_to_rest_and_hold_together() -> None:
    for seed in range(12):
        world = world_of(seed)
        world.rest()
        future = world.record(6)
        assert np.abs(future.positions[-1] - future.positions[0]).max() < 1e-3


def test_a_door_turns_about_an_upright_hinge_and_the_case_stays() -> None:
    world, touch = moving("door")
    assert world.moves(touch)
    world.rest()
    future = world.record(11, [Pull(touch, (0.04, 0.0))])
    case = world.geom_parts == world.parts.index("case") + 1
    assert np.abs(future.positions[-1, case] - future.positions[0, case]).max() == 0
    door = np.flatnonzero(world.geom_parts == touch.part)
    turned = future.rotations[-1, door[0]] @ future.rotations[0, door[0]].T
    assert np.allclose(turned[2], (0, 0, 1), atol=1e-6), "the axis is upright"
    assert np.abs(future.positions[-1, door, 2] - future.positions[0, door, 2]).max() < 1e-6


def test_a_drawer_slides_straight_out_and_no_farther_than_it_goes() -> None:
    world, touch = moving("drawer")
    joint = next(j for j in range(world.model.njnt) if world.model.jnt_bodyid[j] == touch.body)
    world.rest()
    future = world.record(11, [Pull(touch, (0.05, 0.03))])
    drawer = np.flatnonzero(world.geom_parts == touch.part)
    away = future.positions[-1, drawer] - future.positions[0, drawer]
    assert np.abs(away[:, [0, 2]]).max() < 1e-6, "along y alone"
    assert np.allclose(future.rotations[-1, drawer], future.rotations[0, drawer], atol=1e-6)
    low, high = world.model.jnt_range[joint]
    assert low <= 0 <= high and high - low < 1.01 * FARTHEST * 2


def test_a_neighbour_does_not_move_with_what_is_pulled() -> None:
    species = Cabinet(
        fronts=(("left door", "drawer"),), widths=(0.3, 0.3), heights=(0.4,), depth=0.3, finish="wood", two_tone=True,
        knob=0.01, bar=True, colour_seed=3,
    )  # fmt: skip
    world = World(build_cabinet(species, generator("cabinet test", 1)))
    assert set(world.parts) == {"case", "door1", "drawer2"}
    touch = touch_of(world, "drawer")
    assert touch is not None
    world.rest()
    future = world.record(11, [Pull(touch, (0.05, 0.02))])
    door = world.geom_parts == world.parts.index("door1") + 1
    assert np.abs(future.positions[-1, door] - future.positions[0, door]).max() < 2e-3


def test_a_case_cannot_be_moved_and_limits_are_those_of_hinges() -> None:
    world, _ = moving("door")
    case = touch_of(world, "case")
    assert case is not None and not world.moves(case)
    for j in range(world.model.njnt):
        if world.model.jnt_type[j] == 3 and world.model.jnt_limited[j]:  # a hinge
            assert np.ptp(world.model.jnt_range[j]) == pytest.approx(WIDEST, abs=1e-6)


def test_they_have_a_bench_of_their_own_name() -> None:
    assert spec_named("cabinets-v1").scenes == {"cabinets": 100}
    assert "cabinets" not in spec_named("pokebench-v1").scenes
