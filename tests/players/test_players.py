"""Players of PokeBench: references, models, and whoever answers with something that was not asked."""

import math
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from known_disc import BRIEF, LAST, POKES, SIDE, TINY, Counting, Disc, T, Wrong, model, poke, run, shorter
from torch import Generator, Tensor, nn

from poke2vid.baselines.baseline import Baseline, BaselineClips, BaselineConfig
from poke2vid.baselines.files import LoadedBaseline
from poke2vid.baselines.hao import HaoConfig
from poke2vid.evaluate.bench.roles import handed, poke_of, roles_of
from poke2vid.live.animator import Animator
from poke2vid.model.files import save_model
from poke2vid.model.poke_video import PokeVideo
from poke2vid.players.named import load_players
from poke2vid.players.references import PATCH_SIGMA, Copy, ShiftPatch
from poke2vid.players.session_player import SessionPlayer
from poke2vid.players.told_player import ToldPlayer
from poke2vid.types import InputError, Poke

pytestmark = pytest.mark.usefixtures("no_public_weights")


def test_the_shift_patch_takes_the_poked_pixel_to_its_target_and_leaves_the_far_ground() -> None:
    first, record = Disc().first, poke("shift", (20.0, 24.0), (6.0, -2.0))
    clip = ShiftPatch(T).play(first, poke_of(record), LAST)
    assert clip.shape == (LAST, SIDE, SIDE, 3)
    for t in range(T, LAST + 1):
        assert np.array_equal(clip[t - 1][22, 26], first[24, 20])  # held
    assert np.array_equal(clip[T // 2 - 1][23, 23], first[24, 20])
    y, x = np.mgrid[:SIDE, :SIDE]
    far = np.hypot(x - 26, y - 22) > 4 * PATCH_SIGMA * SIDE
    assert far.mean() > 0.4 and np.array_equal(clip[-1][far], first[far])
    assert not np.array_equal(clip[-1], first)


def test_the_shift_patch_drags_the_ground_too_and_lets_impulses_go() -> None:
    first = Disc().first
    ground = ShiftPatch(T).play(first, poke_of(POKES[6]), LAST)
    assert np.array_equal(ground[-1][7, 7], first[4, 4])
    impulse = ShiftPatch(T).play(first, poke_of(POKES[5]), LAST)
    assert np.array_equal(impulse[T // 2 - 1][24, 24], first[24, 20])
    for t in range(T, LAST + 1):
        assert np.array_equal(impulse[t - 1], first)


def test_a_player_is_told_how_far_an_impulse_throws_the_touched_point_not_how_fast() -> None:
    scene = Disc(turns=True)  # each place of it goes another way
    (number,) = [k for k, record in enumerate(scene.pokes) if record.role == "impulse"]
    given = handed(scene, number, LAST)
    assert given is not None and given.kind == "impulse" and given.location == scene.pokes[number].at
    x, y = (round(c) for c in given.location)
    truth = [scene.flow(number, frame)[:, y, x] for frame in range(1, LAST + 1)]
    farthest = max(float(np.hypot(*flow)) for flow in truth)
    assert farthest > 0 and math.hypot(*given.shift) == pytest.approx(farthest)
    assert handed(scene, 0, LAST) == poke_of(scene.pokes[0])  # a shift is as the record says


@pytest.mark.parametrize("number", [7, 8])
def test_without_a_shift_nothing_is_dragged(number: int) -> None:
    first = Disc().first
    assert np.array_equal(ShiftPatch(T).play(first, poke_of(POKES[number]), 2), np.stack((first, first)))


def test_the_copy_is_the_first_frame() -> None:
    first = Disc().first
    assert np.array_equal(Copy().play(first, poke_of(POKES[2]), 3), np.stack((first,) * 3))


@pytest.mark.parametrize("side", [48, 24])
def test_a_model_plays_at_the_size_of_the_picture_whatever_its_own(side: int) -> None:
    assert TINY.resolution == 32
    first = cv2.resize(Disc().first, (side, side), interpolation=cv2.INTER_AREA)
    record = poke("shift", (side / 2, side / 2), (3.0, 0.0), 0)
    clip = SessionPlayer(Animator(model())).play(first, poke_of(record), 3)
    assert clip.shape == (3, side, side, 3) and clip.dtype == np.uint8
    assert not np.array_equal(clip[2], first) and not np.array_equal(clip[2], clip[0])


def test_a_model_is_given_the_poke_in_pixels_of_the_picture() -> None:
    class Seen(PokeVideo):
        def encode_poke(self, poke_map: Tensor) -> Tensor:
            maps.append(poke_map[0])
            return super().encode_poke(poke_map)

    maps: list[Tensor] = []
    player = SessionPlayer(Animator(Seen(TINY).eval()))
    player.play(Disc().first, poke_of(poke("shift", (5.0, 41.0), (6.0, 0.0), 0)), 3)
    (seen,) = maps  # held: encoded once
    rows, columns = seen[2].nonzero(as_tuple=True)
    assert (columns.float().mean(), rows.float().mean()) == (3.0, 27.0)  # (5.5, 41.5) * 32 / 48 - 0.5, rounded
    assert seen[0].max() == pytest.approx(30 * 6 / 48)
    player.play(Disc().first, poke_of(POKES[8]), 3)
    assert len(maps) == 1
    player.play(Disc().first, poke_of(POKES[7]), 3)  # a finger that rests is a poke
    assert len(maps) == 2 and maps[1][0].max() == 0 < maps[1][2].max()


def test_a_model_is_asked_only_what_it_was_trained_on() -> None:
    assert roles_of(SessionPlayer(Animator(model()))) == {"shift", "background", "zero", "none"}
    impulses = SessionPlayer(Animator(model(poke_kind="impulse")))
    assert roles_of(impulses) == {"impulse", "none"}
    assert impulses.play(Disc().first, poke_of(POKES[5]), 2).shape == (2, SIDE, SIDE, 3)


def test_two_models_have_the_same_digest_only_with_the_same_weights() -> None:
    assert SessionPlayer(Animator(model())).digest == SessionPlayer(Animator(model())).digest
    assert SessionPlayer(Animator(model())).digest != SessionPlayer(Animator(model(moving=False))).digest


class Follows(Baseline):
    """A system that is told of two points, and shows where the first is: white there, black elsewhere."""

    seen, told = 1, 2

    def terms(self, group: str, clips: BaselineClips, step: int, generator: Generator) -> dict[str, Tensor]:
        raise AssertionError("nobody trains it")

    def predict(self, frames: Tensor, count: int, generator: Generator, paths: Tensor | None = None) -> Tensor:
        assert paths is not None and frames.shape[1] == 1
        self.paths = paths
        made = torch.full((1, count, *frames.shape[2:]), -1.0)
        for t, (x, y) in enumerate(paths[0, 0, 1:].nan_to_num(0).round().long().tolist()):
            made[0, t, :, y, x] = 1
        return made


def follows() -> tuple[Follows, LoadedBaseline]:
    network = Follows()
    return network, LoadedBaseline(network, BaselineConfig(network=HaoConfig(resolution=SIDE), hold=1), {}, Path("run"))


def test_a_system_that_is_told_of_points_is_told_where_a_straight_poke_goes() -> None:
    network, loaded = follows()
    first = np.zeros(
        (SIDE, 2 * SIDE, 3), np.uint8
    )  # twice as wide as the system's frames, so its pixels are two of these
    player = ToldPlayer(loaded, arrive=T)
    held = Poke((2 * SIDE / 2 - 0.5, SIDE / 2 - 0.5), (24.0, -8.0))  # the middle
    clip = player.play(first, held, LAST)
    assert clip.shape == (LAST, *first.shape) and clip.dtype == np.uint8
    path, other = network.paths[0]
    middle = SIDE / 2 - 0.5
    assert path[0].tolist() == pytest.approx([middle, middle])
    assert path[T].tolist() == pytest.approx([middle + 12, middle - 4])
    assert torch.allclose(path[T // 2], (path[0] + path[T]) / 2) and torch.equal(path[LAST], path[T])
    assert other.isnan().all()
    y, x = np.unravel_index(clip[-1, :, :, 0].argmax(), clip.shape[1:3])
    assert abs(x - held.location[0] - 24) <= 2 and abs(y - held.location[1] + 8) <= 2
    player.play(first, None, LAST)
    assert network.paths.isnan().all()
    assert roles_of(player) == {"shift", "background", "zero", "none"}


def test_a_told_player_is_known_by_weights_and_arrival_and_a_video_predictor_is_none() -> None:
    network, loaded = follows()
    assert ToldPlayer(loaded, T).digest == ToldPlayer(follows()[1], T).digest != ToldPlayer(loaded, T + 1).digest
    network.seen = 2  # type: ignore[misc]
    with pytest.raises(
        InputError, match=r"run is a run of hao, which predicts from 2 frames and takes no poke; .*model"
    ):
        ToldPlayer(loaded, T)


def test_players_are_loaded_by_path_and_named_by_their_files(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        save_model(tmp_path / folder / "leaf.safetensors", model(), {})
    save_model(tmp_path / "tree.safetensors", model(), {})
    leaves, tree = [str(tmp_path / f / "leaf.safetensors") for f in "ab"], str(tmp_path / "tree.safetensors")
    assert list(load_players(["copy", tree, "oracle", leaves[0]], 10)) == ["tree", "leaf"]
    assert list(load_players(leaves, 10)) == leaves
    with pytest.raises(InputError, match="given twice"):
        load_players([tree, tree], 10)


def test_a_player_that_fails_in_another_process_is_named(tmp_path: Path) -> None:
    reload = partial(dict, odd=Wrong(shorter))
    with pytest.raises(InputError, match=r"player 'odd' on scene 'a-1', poke 0: gave shape \(5, 48"):
        run(tmp_path, reload(), scenes=BRIEF[:1], workers=2, reload=reload)


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (shorter, r"shape \(5, 48, 48, 3\) instead of frames of shape \(6, 48, 48, 3\)"),
        (lambda clip: clip[:, ::2], r"shape \(6, 24, 48, 3\)"),
        (lambda clip: list(clip), "gave list"),
        (lambda clip: clip / 255, "float64 instead of uint8"),
        (lambda clip: clip * np.float32(np.nan), "not finite"),
    ],
)
def test_frames_that_nobody_asked_for_are_refused_by_name(tmp_path: Path, made: Any, said: str) -> None:
    with pytest.raises(InputError, match=rf"player 'odd' on scene 'a-1', poke 0: .*{said}.*\.$"):
        run(tmp_path, {"odd": Wrong(made)}, scenes=BRIEF[:1])


def test_a_model_that_blows_up_is_refused_by_name(tmp_path: Path) -> None:
    broken = model()
    nn.init.constant_(broken.decoder.head.bias, math.nan)
    with pytest.raises(InputError, match="player 'broken' on scene 'a-1', poke 0: frame 1 holds numbers that are not"):
        run(tmp_path, {"broken": SessionPlayer(Animator(broken))}, scenes=BRIEF[:1])


def test_players_that_cannot_be_made_again_are_not_sent_to_other_processes(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"2 processes .* take 1 worker\.$"):
        run(tmp_path, {"p": Counting()}, scenes=BRIEF[:1], workers=2)
