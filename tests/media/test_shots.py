"""Hard cuts are found; flashes, fast motion and pans are none."""

import numpy as np
import pytest
from moving_square import moving_square

from poke2vid.media.shots import Seen, numbered, thumbnail

SIZE = (128, 128)


def shots(frames: list[np.ndarray], broken: tuple[int, ...] = ()) -> list[int]:
    seen = (Seen(i, thumbnail(frame), i in broken) for i, frame in enumerate(frames))
    order = list(numbered(seen))
    assert [i for _, i in order] == list(range(len(frames)))
    return [shot for shot, _ in order]


def scene(seed: int, num_frames: int = 12, step: tuple[int, int] = (3, 2)) -> list[np.ndarray]:
    return moving_square(num_frames, size=SIZE, side=48, seed=seed, step=step)


def world(width: int = 1600) -> np.ndarray:
    """A long landscape, of which a camera sees a part; coarse enough to be told apart when it is passed by."""
    rng = np.random.default_rng(3)
    return np.kron(rng.integers(0, 255, (8, width // 16, 3)), np.ones((16, 16, 1))).astype(np.uint8)


def test_cuts_are_found_at_their_frame() -> None:
    assert shots(scene(0) + scene(5, 9) + scene(9, 7)) == [0] * 12 + [1] * 9 + [2] * 7


def test_a_cut_between_still_pictures_is_found() -> None:
    assert shots(scene(0, 1) * 10 + scene(5, 1) * 10) == [0] * 10 + [1] * 10


def test_a_cut_in_fast_motion_is_found() -> None:
    fast = scene(0, 12, (17, 11)), scene(7, 12, (13, 19))
    assert shots(fast[0] + fast[1]) == [0] * 12 + [1] * 12


def test_shots_of_two_frames_are_told_apart() -> None:
    assert shots(scene(0, 2) + scene(4, 2) + scene(8, 8))[:5] == [0, 0, 1, 1, 2]


@pytest.mark.parametrize("step", [(1, 0), (9, 7), (23, 17), (37, 5)])
def test_a_fast_object_is_no_cut(step: tuple[int, int]) -> None:
    assert set(shots(scene(0, 30, step))) == {0}


@pytest.mark.parametrize("step", [4, 12, 24, 40, 64])
def test_a_pan_is_no_cut(step: int) -> None:
    assert set(shots([world()[:, step * i : step * i + 128] for i in range(14)])) == {0}


@pytest.mark.parametrize("length", [1, 2, 3])
@pytest.mark.parametrize("light", [70, 140, 255])
def test_a_flash_is_no_cut(length: int, light: int) -> None:
    frames = scene(0, 20)
    for i in range(8, 8 + length):
        frames[i] = np.clip(frames[i].astype(int) + light, 0, 255).astype(np.uint8)
    assert set(shots(frames)) == {0}


def test_a_short_insert_is_no_flash() -> None:
    frames = scene(0, 20)
    frames[8:10] = scene(6, 2)
    assert shots(frames) == [0] * 8 + [1] * 2 + [2] * 10


def test_known_breaks_begin_a_shot() -> None:
    assert shots(scene(0, 8), broken=(3, 6)) == [0, 0, 0, 1, 1, 1, 2, 2]


def test_a_slow_change_is_no_cut() -> None:
    first, second = scene(0, 1)[0].astype(float), scene(5, 1)[0].astype(float)
    assert set(shots([(first * (1 - a) + second * a).astype(np.uint8) for a in np.linspace(0, 1, 25)])) == {0}
