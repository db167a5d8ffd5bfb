"""PokeBench's scores on a disc whose motion is known by formula: what is right comes out perfect, what is wrong by how much."""

import functools
import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from poke2vid.evaluate.bench.grid import predictions, write_grid, write_grids
from poke2vid.evaluate.bench.measure import ExactFlow, Measurement, Scores, Timing, TrackedFrames
from poke2vid.evaluate.bench.report import BenchReport, read_report, summarise
from poke2vid.evaluate.bench.roles import ALL_ROLES, poke_of, roles_of
from poke2vid.evaluate.bench.run import run_bench
from poke2vid.evaluate.plots import bars, curves
from poke2vid.flow.chain import FlowChain
from poke2vid.flow.classical import DisFlow
from poke2vid.live.session import Animator
from poke2vid.measures import motion as scores
from poke2vid.measures.statistics import Interval, rank_correlation
from poke2vid.measures.table import REPORTS, columns
from poke2vid.media.pictures import read_picture
from poke2vid.media.video import iterate_frames
from poke2vid.media.viz import ARROW
from poke2vid.model.files import save_model
from poke2vid.model.poke_video import PokeVideo
from poke2vid.players.named import REFERENCES, load_players
from poke2vid.players.player import ALL_KINDS
from poke2vid.players.references import PATCH_SIGMA, Copy, ShiftPatch
from poke2vid.players.session_player import SessionPlayer
from poke2vid.pokebench.records import PokeRecord
from poke2vid.pokebench.scene import TrueScene
from poke2vid.tracking.trackers import bench_tracker, lpips_if_found
from poke2vid.train.presets import preset
from poke2vid.types import InputError, Poke

pytestmark = pytest.mark.usefixtures("no_public_weights")
SIDE, RADIUS, CENTRE, T, LAST = 48, 12.0, 24.0, 4, 6
MOMENTS = Timing(T // 2, T, LAST)
ERRORS = {"poke_epe", "poke_epe_share", "halfway_epe", "hold_epe", "response_epe", "diff_epe", "impulse_epe"}


# A world with a known answer


def poke(role: str, at: tuple[float, float] | None, shift: tuple[float, float], point: int = -1) -> PokeRecord:
    length = round(math.hypot(*shift) / SIDE, 3)
    values = {"role": role, "at": at, "shift": shift, "point": point, "length": length, "part": int(point >= 0)}
    return PokeRecord.model_validate(values)


POKES = (
    poke("shift", (20.0, 24.0), (1.0, 0.0), 0),
    poke("shift", (20.0, 24.0), (2.0, 0.0), 0),
    poke("shift", (20.0, 24.0), (6.0, 0.0), 0),
    poke("shift", (26.0, 30.0), (0.0, -1.0), 1),
    poke("shift", (26.0, 30.0), (0.0, -4.0), 1),
    poke("impulse", (20.0, 24.0), (4.0, 0.0), 0),
    poke("background", (4.0, 4.0), (3.0, 3.0)),
    poke("zero", (20.0, 24.0), (0.0, 0.0), 0),
    poke("none", None, (0.0, 0.0)),
)
SHIFTS = [number for number, record in enumerate(POKES) if record.role == "shift"]


@functools.cache
def texture(seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).uniform(0, 255, (SIDE, SIDE, 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 1.2)
    return np.clip((smooth - 127) * 2.5 + 127, 0, 255)


GRID = np.stack(np.mgrid[:SIDE, :SIDE][::-1]).astype(np.float64)  # (x, y) of every pixel
ON_DISC = np.hypot(*(GRID - CENTRE)) <= RADIUS


@functools.cache
def moved(turns: bool, dx: float, dy: float) -> np.ndarray:
    """Target of every pixel under the disc's motion; negative dx and dy undo it."""
    if not turns:
        return GRID + np.array([dx, dy]).reshape(2, 1, 1)
    angle = (dx + dy) * 0.06
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    return np.einsum("ij,jhw->ihw", turn, GRID - CENTRE) + CENTRE


@functools.cache
def picture(seed: int, turns: bool, dx: float, dy: float) -> np.ndarray:
    places = moved(turns, -dx, -dy)
    inside = np.clip(RADIUS + 0.5 - np.hypot(*(places - CENTRE)), 0, 1)[..., None]
    disc = cv2.remap(texture(seed), *places.astype(np.float32), cv2.INTER_LINEAR)
    return np.rint(inside * disc + (1 - inside) * texture(seed + 1000)).astype(np.uint8)


@dataclass(frozen=True)
class Disc:
    """A textured disc on a still ground: it goes where a shift wants it, out and back after an impulse, as a whole.

    `turns`: instead of going there it turns about its centre; shifts are then the true way of the poked pixel.
    """

    name: str = "disc"
    family: str = "discs"
    seed: int = 0
    turns: bool = False
    records: tuple[PokeRecord, ...] = POKES

    @property
    def digest(self) -> str:
        return f"{self.name} {self.seed} {self.turns} {self.records}"

    @property
    def pokes(self) -> tuple[PokeRecord, ...]:
        return tuple(self._true(number, record) for number, record in enumerate(self.records))

    @property
    def first(self) -> np.ndarray:
        return picture(self.seed, self.turns, 0.0, 0.0)

    @property
    def part_ids(self) -> np.ndarray:
        return ON_DISC.astype(np.int32)

    def frames(self, poke: int) -> np.ndarray:
        return np.stack([picture(self.seed, self.turns, *self._gone(poke, frame)) for frame in range(1, LAST + 1)])

    def flow(self, poke: int, frame: int) -> np.ndarray:
        return ((moved(self.turns, *self._gone(poke, frame)) - GRID) * ON_DISC).astype(np.float32)

    def visible(self, poke: int, frame: int) -> np.ndarray:
        dx, dy = self._gone(poke, frame)
        return ON_DISC | (np.hypot(*(moved(self.turns, -dx, -dy) - CENTRE)) > RADIUS)

    def _gone(self, number: int, frame: int) -> tuple[float, float]:
        record, share = self.records[number], min(frame / T, 1.0)
        share = {"shift": share, "impulse": 1 - abs(2 * share - 1)}.get(record.role, 0.0)
        return share * record.shift[0], share * record.shift[1]

    def _true(self, number: int, record: PokeRecord) -> PokeRecord:
        if not self.turns or record.role != "shift":
            return record
        x, y = (int(c) for c in record.at)
        return record.model_copy(update={"shift": tuple(self.flow(number, T)[:, y, x].tolist())})


@dataclass
class Flows:
    """Futures made of flows alone: `of(truth, poke number, frame)`."""

    of: Callable[[Tensor, int, int], Tensor]
    roles: frozenset[Any] = ALL_ROLES
    scene: TrueScene = field(default_factory=Disc)

    def flow(self, poke: int, frame: int) -> Tensor:
        return self.of(torch.from_numpy(self.scene.flow(poke, frame)), poke, frame)

    def frames(self, poke: int) -> None:
        return None


def measured(played: Any, scene: TrueScene | None = None) -> dict[str, dict[tuple[int, ...], float]]:
    """column -> pokes -> value."""
    found: dict[str, dict[tuple[int, ...], float]] = {}
    for sample in Measurement(Disc() if scene is None else scene, played, MOMENTS).scores():
        for column, value in sample.values.items():
            found.setdefault(column, {})[sample.pokes] = value
    return found


def length(number: int) -> float:
    return math.hypot(*POKES[number].shift)


def test_the_disc_is_a_scene() -> None:
    assert isinstance(Disc(), TrueScene)


# Flows against flows: no tracker


@pytest.mark.parametrize("turns", [False, True])
def test_truth_against_truth_has_no_error_at_all(turns: bool) -> None:
    scene = Disc(turns=turns)
    found = measured(ExactFlow(scene), scene)
    assert set(found) >= ERRORS
    for column in (*ERRORS, "background", "ignored_poke", "rest_drift"):
        assert set(found[column].values()) == {0.0}, column
    assert set(found["pck"].values()) == {1.0}
    assert list(found["rank"].values()) == pytest.approx([1.0, 1.0])
    assert not {"psnr", "ssim", "lpips", "impulse_psnr"} & set(found)  # there are no frames


def test_every_shift_pair_and_point_is_measured() -> None:
    found = measured(ExactFlow(Disc()))
    assert list(found["poke_epe"]) == [(number,) for number in SHIFTS]
    assert len(found["diff_epe"]) == 10 and (0, 4) in found["diff_epe"]
    assert set(found["rank"]) == {(0, 1, 2), (3, 4)}
    assert list(found["impulse_epe"]) == [(5,)]
    assert list(found["ignored_poke"]) == [(6,)]
    assert list(found["rest_drift"]) == [(7,), (8,)]


@pytest.mark.parametrize("turns", [False, True])
def test_staying_misses_every_poke_by_its_length(turns: bool) -> None:
    scene = Disc(turns=turns)
    found = measured(Flows(lambda truth, *_: 0 * truth, scene=scene), scene)
    for number in SHIFTS:
        assert found["poke_length"][number,] == pytest.approx(math.hypot(*scene.pokes[number].shift))
        assert found["poke_epe"][number,] == pytest.approx(found["poke_length"][number,], rel=0.01)
        assert found["poke_epe_share"][number,] == pytest.approx(100, rel=0.01)
    assert list(found["rank"].values()) == [0.0, 0.0]  # it does not vary, and should


def test_staying_misses_the_response_by_the_true_motion_and_half_of_the_way_half_way() -> None:
    found = measured(Flows(lambda truth, *_: 0 * truth))
    for number in SHIFTS:
        assert found["response_epe"][number,] == pytest.approx(length(number))
        assert found["response"][number,] == 0.0
        assert found["halfway_epe"][number,] == pytest.approx(length(number) / 2)
        assert found["hold_epe"][number,] == pytest.approx(length(number))
    assert found["diff_epe"][0, 4] == pytest.approx(math.hypot(1, 4))
    assert found["diff_epe"][0, 2] == pytest.approx(5.0)
    assert found["impulse_epe"][5,] == pytest.approx((4 + 0) / 2)  # out at T/2, back at T


def test_going_twice_as_far_misses_every_poke_by_its_length_too() -> None:
    found = measured(Flows(lambda truth, *_: 2 * truth))
    for number in SHIFTS:
        assert found["poke_epe"][number,] == pytest.approx(length(number))
        assert found["response"][number,] == pytest.approx(2 * length(number))
    assert found["rank"][0, 1, 2] == 1.0


def test_letting_go_after_t_and_arriving_too_soon_are_seen_where_they_happen() -> None:
    let_go = measured(Flows(lambda truth, _, frame: truth * (frame <= T)))
    at_once = measured(Flows(lambda truth, number, frame: torch.from_numpy(Disc().flow(number, T))))
    for number in SHIFTS:
        key = (number,)
        assert [let_go[c][key] for c in ("poke_epe", "halfway_epe")] == [0.0, 0.0]
        assert let_go["hold_epe"][key] == pytest.approx(length(number))
        assert [at_once[c][key] for c in ("poke_epe", "hold_epe")] == [0.0, 0.0]
        assert at_once["halfway_epe"][key] == pytest.approx(length(number) / 2)


def test_a_leak_into_the_background_is_seen_there_and_nowhere_else() -> None:
    ground = torch.from_numpy(Disc().part_ids == 0)
    leaking = measured(Flows(lambda truth, *_: truth + 0.5 * ground))
    assert list(leaking["background"].values()) == pytest.approx([math.hypot(0.5, 0.5)] * len(SHIFTS))
    assert set(leaking["response_epe"].values()) == set(leaking["poke_epe"].values()) == {0.0}
    assert leaking["ignored_poke"][6,] == pytest.approx(math.hypot(0.5, 0.5) * ground.float().mean().item(), rel=1e-4)
    assert leaking["rest_drift"][8,] == 0.0


def test_what_the_object_hides_is_not_background() -> None:
    hidden = {number: torch.from_numpy(~Disc().visible(number, T)) for number in SHIFTS}
    assert all(mask.any() for mask in hidden.values())
    found = measured(Flows(lambda truth, number, _: truth + 9.0 * hidden[number] if number in hidden else truth))
    assert set(found["background"].values()) == {0.0}


def test_common_drift_cancels_in_the_difference_and_counts_everywhere_else() -> None:
    found = measured(Flows(lambda truth, *_: truth + torch.tensor([3.0, 4.0]).view(2, 1, 1)))
    assert max(found["diff_epe"].values()) == pytest.approx(0.0, abs=1e-5)
    for column in ("poke_epe", "halfway_epe", "hold_epe", "response_epe", "background"):
        assert list(found[column].values()) == pytest.approx([5.0] * len(SHIFTS)), column
    assert list(found["rest_drift"].values()) == pytest.approx([5.0, 5.0])


def test_the_touched_point_is_not_part_of_the_response() -> None:
    y, x = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")

    def only_touched(truth: Tensor, number: int, _: int) -> Tensor:
        at = POKES[number].at or (0.0, 0.0)
        return truth * (torch.hypot(x - at[0], y - at[1]) <= scores.TOUCHED_RADIUS * SIDE)

    found = measured(Flows(only_touched))
    assert set(found["poke_epe"].values()) == {0.0}
    assert [found["response_epe"][n,] for n in SHIFTS] == pytest.approx([length(n) for n in SHIFTS])
    assert set(found["response"].values()) == {0.0}


def test_responding_less_to_longer_pokes_is_ranked_minus_one() -> None:
    found = measured(Flows(lambda truth, number, _: truth / max(length(number), 0.1) ** 2))
    assert found["rank"] == pytest.approx({(0, 1, 2): -1.0, (3, 4): -1.0})


def test_noise_is_not_ranked_where_each_poke_hides_other_pixels() -> None:
    """The same flow after every poke must not look like a response because it is averaged over other pixels: it has rank 0."""

    class Hiding(Disc):
        def visible(self, poke: int, frame: int) -> np.ndarray:
            return super().visible(poke, frame) & (np.arange(SIDE) > 16 + poke)

    noise = torch.randn(2, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    assert set(measured(Flows(lambda *_: noise, scene=Hiding()), Hiding())["rank"].values()) == {0.0}


def test_nothing_is_ranked_where_the_truth_does_not_respond() -> None:
    """Only a spot around each poked point moves: what is far from it is not asked to."""

    class Stiff(Disc):
        def flow(self, poke: int, frame: int) -> np.ndarray:
            at = self.records[poke].at or (0.0, 0.0)
            return super().flow(poke, frame) * (np.hypot(GRID[0] - at[0], GRID[1] - at[1]) < 3)

    found = measured(Flows(lambda truth, number, _: truth + length(number), scene=Stiff()), Stiff())
    assert "rank" not in found and found["response_epe"]
    assert all(value > 0 for value in found["response"].values())


def test_dragging_a_patch_is_mostly_no_response(report: BenchReport) -> None:
    """The pixels that the shift patch moves most are not judged as the rest of the object."""
    weight = math.exp(-(scores.TOUCHED_RADIUS**2) / (2 * PATCH_SIGMA**2))
    assert weight < 0.35
    assert mean(report, "shift-patch", "response", "a") < 0.35 * mean(report, "exact", "response", "a")


def test_a_touched_point_that_is_hidden_is_not_judged_but_the_rest_is() -> None:
    class Hidden(Disc):
        def visible(self, poke: int, frame: int) -> np.ndarray:
            seen = super().visible(poke, frame)
            seen[22:27, 18:23] = False
            return seen

    found = measured(Flows(lambda truth, *_: 0 * truth, scene=Hidden()), Hidden())
    assert list(found["poke_epe"]) == list(found["hold_epe"]) == [(3,), (4,)] and "pck" not in found
    assert list(found["response_epe"]) == [(number,) for number in SHIFTS]


def test_a_player_is_measured_by_the_pokes_it_knows() -> None:
    shifts = measured(Flows(lambda truth, *_: truth, ALL_ROLES - {"impulse"}))
    assert "poke_epe" in shifts and "impulse_epe" not in shifts
    impulses = measured(Flows(lambda truth, *_: truth, frozenset({"impulse", "none"})))
    assert set(impulses) == {"impulse_epe", "rest_drift"} and list(impulses["rest_drift"]) == [(8,)]


# Formulas


def stem(side: int = 9) -> tuple[Tensor, Tensor]:
    """A part one pixel wide that moves by (3, 4) on a ground that does not."""
    where = torch.zeros(side, side, dtype=torch.bool)
    where[:, 4] = True
    return where, torch.tensor([3.0, 4.0]).view(2, 1, 1) * where


def test_a_part_thinner_than_three_pixels_is_followed_by_its_own_pixels() -> None:
    where, truth = stem()
    assert scores.touched_error(0 * truth, truth, where, (4.0, 5.0)) == 5.0
    assert scores.touched_error(truth, truth, where, (4.0, 5.0)) == 0.0
    assert scores.touched_error(truth + 9.0 * ~where, truth, where, (4.0, 5.0)) == 0.0


def test_one_wild_vector_of_three_does_not_move_a_point() -> None:
    where, truth = stem()
    flow = truth.clone()
    flow[:, 5, 4] = 99.0
    assert scores.touched_error(flow, truth, where, (4.0, 5.0)) == 0.0


def test_a_point_of_which_nothing_shows_has_no_error() -> None:
    where, truth = stem()
    assert math.isnan(scores.touched_error(truth, truth, ~where & False, (4.0, 5.0)))
    assert math.isnan(scores.is_correct(math.nan, 100))


@pytest.mark.parametrize(("error", "correct"), [(0.0, 1.0), (4.9, 1.0), (5.0, 1.0), (5.1, 0.0), (90.0, 0.0)])
def test_a_point_is_correct_within_a_twentieth_of_the_side(error: float, correct: float) -> None:
    assert scores.is_correct(error, 100) == correct


def test_the_share_of_correct_points_counts_pokes_that_standing_still_does_not_satisfy() -> None:
    assert [POKES[number].length for number in SHIFTS] == [0.021, 0.042, 0.125, 0.021, 0.083]
    for share, correct in ((0.0, 0.0), (0.5, 0.0), (0.7, 1.0)):  # of 6 pixels; 5 % of 48 is 2.4
        assert measured(Flows(lambda truth, *_, share=share: share * truth))["pck"] == {(2,): correct}


def test_the_rank_correlation_is_spearmans() -> None:
    rank = rank_correlation
    assert rank([1, 2, 3], [10, 20, 1000]) == pytest.approx(1.0)
    assert rank([3, 2, 1], [10, 20, 1000]) == pytest.approx(-1.0)
    assert rank([1, 2, 3, 4], [2, 1, 4, 3]) == pytest.approx(0.6)  # 1 - 6 * 4 / (4 * 15)
    assert rank([1, 1, 2], [1, 2, 3]) == pytest.approx(math.sqrt(3) / 2)  # ties share their rank
    assert rank([2.0, 2.0, 2.0], [1.0, 2.0, 3.0]) == 0.0  # ignores it
    for first, second in (([1], [1]), ([1, 2, 3], [2, 2, 2]), ([2, 2], [2, 2]), ([1, math.nan], [1, 2])):
        assert math.isnan(rank(first, second))


def test_an_error_over_no_pixels_is_not_a_number() -> None:
    where, truth = stem()
    assert math.isnan(scores.endpoint_error(truth, truth, where & False))
    assert math.isnan(scores.mean_motion(truth, where & False))


# Reference players


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


@pytest.mark.parametrize("number", [7, 8])
def test_without_a_shift_nothing_is_dragged(number: int) -> None:
    first = Disc().first
    assert np.array_equal(ShiftPatch(T).play(first, poke_of(POKES[number]), 2), np.stack((first, first)))


def test_the_copy_is_the_first_frame() -> None:
    first = Disc().first
    assert np.array_equal(Copy().play(first, poke_of(POKES[2]), 3), np.stack((first,) * 3))


# Models

TINY = replace(preset("tiny").model, channels=4)


def model(*, moving: bool = True, **changes: Any) -> PokeVideo:
    torch.manual_seed(0)
    made = PokeVideo(replace(TINY, **changes)).eval()
    if moving:
        nn.init.normal_(made.decoder.head.weight, std=0.5)
    return made


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


def test_players_are_loaded_by_path_and_named_by_their_files(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        save_model(tmp_path / folder / "leaf.safetensors", model(), {})
    save_model(tmp_path / "tree.safetensors", model(), {})
    leaves, tree = [str(tmp_path / f / "leaf.safetensors") for f in "ab"], str(tmp_path / "tree.safetensors")
    assert list(load_players(["copy", tree, "oracle", leaves[0]])) == ["tree", "leaf"]
    assert list(load_players(leaves)) == leaves
    with pytest.raises(InputError, match="given twice"):
        load_players([tree, tree])


# Running


class Counting:
    """Plays the shift patch, and remembers what it was asked."""

    def __init__(self, digest: str = "counting") -> None:
        self.digest, self.kinds, self.asked = digest, ALL_KINDS, 0

    def play(self, first: np.ndarray, poke: Poke | None, frames: int) -> np.ndarray:
        self.asked += 1
        return ShiftPatch(T).play(first, poke, frames)


FEW = tuple(POKES[number] for number in (1, 4, 7))
BRIEF = [Disc("a-1", "a", 1, records=FEW), Disc("a-2", "a", 2, records=FEW)]


class CountingTracker:
    name = "dis"

    def __init__(self) -> None:
        self.calls, self._dis = 0, DisFlow()

    def __call__(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        self.calls += 1
        return self._dis(first, second)


SCENES = [Disc("a-1", "a", 1), Disc("a-2", "a", 2), Disc("b-1", "b", 3, turns=True)]


def run(out: Path, players: dict[str, Any] | None = None, **changes: Any) -> BenchReport:
    given = {"bench": "discs 0123", "arrive": T, "fps": 25.0, "quiet": True, "scenes": SCENES, **changes}
    return run_bench(given.pop("scenes"), {} if players is None else players, out=out, **given)


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bench")


@pytest.fixture(scope="module")
def report(out: Path, no_public_weights: None) -> BenchReport:
    return run(out, {"tiny": SessionPlayer(Animator(model()))})


def mean(report: BenchReport, player: str, column: str, scope: str = "all") -> float:
    return report.rows[scope][player][column].mean


def test_every_report_has_the_reference_rows_and_every_family(report: BenchReport) -> None:
    assert list(report.rows) == ["all", "a", "b"]
    assert list(report.rows["all"]) == ["tiny", *REFERENCES]
    assert list(report.rows["all"]["copy"]) == [c for c in REPORTS["bench"] if c != "lpips"]
    assert list(report.rows["all"]["oracle"]) == [c for c in REPORTS["bench"] if c not in ("lpips", "long_drift")]
    assert "long_drift" not in report.rows["all"]["exact"]
    assert list(report.rows["all"]["tiny"]) == [c for c in REPORTS["bench"] if c != "lpips" and "impulse" not in c]
    assert report.rows["b"]["oracle"]["poke_epe"].scenes == 1


def test_the_reference_rows_say_what_they_must(report: BenchReport) -> None:
    for column in ERRORS:
        assert mean(report, "exact", column) == 0.0, column
    assert mean(report, "copy", "poke_epe") == pytest.approx(mean(report, "copy", "poke_length"), rel=0.02)
    assert mean(report, "oracle", "poke_epe") < 0.3 * mean(report, "copy", "poke_epe")
    assert mean(report, "oracle", "response_epe") < 0.4 * mean(report, "copy", "response_epe")
    assert mean(report, "oracle", "rank") == pytest.approx(1.0)
    assert mean(report, "copy", "rank") == mean(report, "copy", "long_drift") == 0.0
    assert (mean(report, "oracle", "psnr"), mean(report, "oracle", "ssim")) == (100.0, pytest.approx(1.0))
    assert mean(report, "copy", "psnr") < 30 and mean(report, "copy", "ssim") < 0.95
    assert mean(report, "copy", "ignored_poke") == pytest.approx(0.0, abs=0.02)
    assert mean(report, "copy", "rest_drift") == pytest.approx(0.0, abs=0.02)


def test_the_shift_patch_obeys_the_poke_and_understands_nothing(report: BenchReport) -> None:
    assert mean(report, "shift-patch", "poke_epe", "a") < 0.6 * mean(report, "copy", "poke_epe", "a")
    assert mean(report, "shift-patch", "response_epe") > 2 * mean(report, "oracle", "response_epe")
    assert mean(report, "shift-patch", "ignored_poke") > 0.1
    assert mean(report, "shift-patch", "rest_drift") == mean(report, "copy", "rest_drift")


def test_a_cell_says_how_many_values_of_how_many_scenes_it_rests_on(report: BenchReport) -> None:
    cells = report.rows["all"]["copy"]
    assert (cells["poke_epe"].samples, cells["poke_epe"].scenes) == (3 * len(SHIFTS), 3)
    assert cells["diff_epe"].samples == 3 * 10
    assert cells["rest_drift"].samples == 3 * 2
    assert cells["poke_epe"].low <= cells["poke_epe"].mean <= cells["poke_epe"].high


def test_families_are_means_of_their_own_scenes(report: BenchReport) -> None:
    a, b = (mean(report, "copy", "poke_epe", family) for family in "ab")
    assert a != pytest.approx(b)
    assert mean(report, "copy", "poke_epe") == pytest.approx((2 * a + b) / 3)


def test_differences_are_taken_poke_by_poke(report: BenchReport) -> None:
    assert set(report.differences) == {"tiny", "shift-patch", "oracle"}
    assert list(report.differences["shift-patch"]) == ["copy"]
    gain = report.differences["oracle"]["copy"]["poke_epe"]
    expected = mean(report, "oracle", "poke_epe") - mean(report, "copy", "poke_epe")
    assert gain.mean == pytest.approx(expected)
    assert gain.low <= gain.mean <= gain.high < 0
    assert list(report.differences["tiny"]) == ["copy", "shift-patch"]


def test_pairing_makes_intervals_narrower_than_the_scenes_are_apart(tmp_path: Path) -> None:
    scenes = [Disc(str(k), seed=k, turns=bool(k % 2), records=FEW) for k in range(4)]
    found = run(tmp_path, {"same": Copy("another")}, scenes=scenes)
    row = found.differences["same"]["copy"]["poke_epe"]
    assert (row.mean, row.low, row.high) == (0.0, 0.0, 0.0)
    alone = found.rows["all"]["same"]["poke_epe"]
    assert alone.high - alone.low > 0.05


def test_responses_are_the_mean_motion_for_every_asked_length(report: BenchReport) -> None:
    lengths = sorted({POKES[number].length for number in SHIFTS})
    assert list(report.responses) == ["all", "a", "b"]
    assert [len(points) for points in report.responses["all"].values()] == [len(lengths)] * 5
    exact = report.responses["all"]["exact"]
    assert [y for _, y in exact] == sorted(y for _, y in exact)
    assert max(y for _, y in report.responses["all"]["copy"]) < 0.1 * exact[-1][1]
    a, b = (report.responses[family]["exact"] for family in "ab")
    assert exact[0][1] == pytest.approx((2 * a[0][1] + b[0][1]) / 3)


def test_pokes_that_the_tracker_cannot_follow_are_left_out_for_every_player_alike() -> None:
    def sample(number: int, error: float) -> Scores:
        return Scores((number,), "shift", 0.1, {"poke_epe": error, "poke_epe_share": 10 * error})  # of ten pixels

    floor = [sample(0, 1.0), sample(1, 3.3), sample(2, 3.4)]
    rows = {"model": [sample(k, 7.0 + k) for k in range(3)], "copy": [sample(k, 10.0) for k in range(3)]}
    results = {name: {"s": samples} for name, samples in {**rows, "shift-patch": rows["copy"], "oracle": floor}.items()}
    found = summarise(results, {"s": "f"}, {}, 0)
    assert mean(found, "model", "followed_epe") == 7.5 and mean(found, "model", "poke_epe") == 8.0
    assert found.rows["all"]["copy"]["followed_epe"].samples == 2
    assert found.differences["model"]["copy"]["followed_epe"].mean == -2.5


def test_a_report_survives_being_written(tmp_path: Path, report: BenchReport) -> None:
    report.write(tmp_path / "new")
    assert read_report(tmp_path / "new") == report
    text = (tmp_path / "new" / "report.md").read_text()
    assert str(report.rows["all"]["copy"]["poke_epe"]) in text
    assert str(report.differences["tiny"]["copy"]["response_epe"]) in text
    for said in (
        "## All scenes",
        "## A",
        "## B",
        "tracker dis (fast, fine up to 256) from frame to frame",
        "lpips no weights found",
        "seed 0",
        "fps 25",
    ):
        assert said in text
    for column in REPORTS["bench"]:
        assert f"- `{column}`: {columns('bench')[column]}" in text
    tables = [line for line in text.splitlines() if line.startswith("| poke_epe ")]
    assert len(tables) == 3 and all(line.count("|") == 8 for line in tables)
    assert "NaN" not in (tmp_path / "new" / "report.json").read_text()
    for plot in ("response", "poke_epe", "response_epe"):
        sheets = [read_picture(tmp_path / "new" / f"{plot}{of}.png") for of in ("", "-a", "-b")]
        assert all(sheet.std() > 10 for sheet in sheets)
        assert not any(np.array_equal(sheets[0], sheet) for sheet in sheets[1:])


def test_a_report_opens_with_how_the_player_does_beside_copy_patch_and_floor() -> None:
    def samples(error: float) -> dict[str, list[Scores]]:
        values = {"poke_epe": error, "poke_epe_share": 10 * error, "response_epe": error / 2}
        return {f"s{k}": [Scores((0,), "shift", 0.1, values)] for k in range(3)}

    errors = {"mine": 4.0, "other": 9.0, "shift-patch": 4.0, "copy": 8.0, "oracle": 1.0, "exact": 0.0}
    results = {name: samples(error) for name, error in errors.items()}
    about = {"bench": "b", "scenes": 3, "acceptance": "plants: 4 scenes tried for 3 places (1 no room)"}
    lines = summarise(results, dict.fromkeys(("s0", "s1", "s2"), "f"), about, 0).to_markdown().splitlines()
    assert lines[2] == (
        "`mine`: poke-EPE 4 px, better than copy (8) and not told apart from shift-patch (4), where the tracker errs by 1 "
        "on the true frames; response-EPE 2 px, better than copy (4) and not told apart from shift-patch (2), where the "
        "tracker errs by 0.5 on the true frames."
    )
    assert lines[4].startswith("`other`: poke-EPE 9 px, worse than copy (8)")
    assert "How the bench came about: plants: 4 scenes tried for 3 places (1 no room)." in lines


def test_a_player_that_was_asked_no_shift_has_a_sentence_too() -> None:
    shift = {"s": [Scores((0,), "shift", 0.1, {"poke_epe": 1.0, "poke_epe_share": 10.0})]}
    rest = {"s": [Scores((1,), "none", 0.0, {"rest_drift": 0.5})]}
    results = {"pushed": rest, "shift-patch": shift, "copy": shift, "oracle": shift}
    assert summarise(results, {"s": "f"}, {}, 0).verdict("pushed") == "`pushed`: was not asked any shift."


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"about": {}, "rows": {"all": {"copy": {"psnr": {}}}}}'])
def test_a_damaged_report_is_a_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / "report.json").write_text(text)
    with pytest.raises(InputError, match=r"report\.json is missing or damaged"):
        read_report(tmp_path)


def test_the_summary_is_one_line_with_the_headlines(report: BenchReport) -> None:
    assert report.summary.startswith("discs 0123, 3 scenes: poke-EPE tiny ")
    assert f"copy {mean(report, 'copy', 'response_epe'):.3g}" in report.summary
    assert "\n" not in report.summary


def test_a_second_run_plays_and_tracks_nothing(tmp_path: Path) -> None:
    player, counter = Counting(), CountingTracker()
    tracker = FlowChain(counter)
    before = run(tmp_path, {"p/q": player}, tracker=tracker, scenes=BRIEF[:2])
    assert player.asked == 2 * len(FEW)
    calls = counter.calls
    assert run(tmp_path, {"p/q": player}, tracker=tracker, scenes=BRIEF[:2]) == before
    assert (player.asked, counter.calls) == (2 * len(FEW), calls)


def test_only_what_is_missing_is_measured(tmp_path: Path) -> None:
    player = Counting()
    run(tmp_path, {"p": player}, scenes=BRIEF[:1])
    more = run(tmp_path, {"p": player}, scenes=BRIEF[:2])
    assert player.asked == 2 * len(FEW) and more.about["scenes"] == 2
    (tmp_path / "scenes" / "p" / "a-1.json").write_text('{"key": ')
    assert run(tmp_path, {"p": player}, scenes=BRIEF[:2]) == more
    assert player.asked == 3 * len(FEW)


@pytest.mark.parametrize(
    "changed",
    [
        {"bench": "discs 9"},
        {"arrive": 5},
        {"player": Counting("retrained")},
        {"scenes": [replace(BRIEF[0], seed=9)]},  # drawn anew
    ],
)
def test_a_changed_key_measures_again(tmp_path: Path, changed: dict[str, Any]) -> None:
    player = changed.pop("player", Counting())
    run(tmp_path, {"p": Counting()}, scenes=BRIEF[:1])
    run(tmp_path, {"p": player}, **{"scenes": BRIEF[:1], **changed})
    assert player.asked == len(FEW)


def test_players_whose_names_make_the_same_file_name_are_kept_apart(tmp_path: Path) -> None:
    first, second = Counting("1"), Counting("2")
    for _ in range(2):
        run(tmp_path, {"a/b": first, "a_b": second}, scenes=BRIEF[:1])
    assert (first.asked, second.asked) == (len(FEW), len(FEW))


def test_a_scene_costs_as_many_looks_as_were_promised() -> None:
    counter, scene = CountingTracker(), Disc()
    still = TrackedFrames(scene, lambda k: np.repeat(scene.first[None], LAST, 0), FlowChain(counter), MOMENTS)
    Measurement(scene, still, MOMENTS).scores()
    assert counter.calls == 0, "of equal frames nobody need ask"
    Measurement(scene, TrackedFrames(scene, scene.frames, FlowChain(counter), MOMENTS), MOMENTS).scores()
    # Two looks a step: shifts go on for T frames and then rest, the impulse is back at T.
    assert counter.calls == 2 * T * (len(SHIFTS) + 1)


def test_a_tracker_goes_along_every_frame_to_t_and_fewer_after_it_and_always_to_the_last() -> None:
    assert Timing(5, 10, 25).stations(True) == [*range(1, 11), 13, 16, 19, 22, 25]
    assert Timing(2, 4, 6).stations(True) == [1, 2, 3, 4, 6]
    assert Timing(5, 10, 10).stations(True) == list(range(1, 11))
    assert Timing(5, 10, 25).stations(False) == [5, 10, 25]


def test_the_seed_changes_intervals_and_not_means(out: Path, report: BenchReport) -> None:
    again = run(out, {"tiny": SessionPlayer(Animator(model()))}, seed=1)
    assert mean(again, "copy", "poke_epe") == mean(report, "copy", "poke_epe")
    assert again.about["seed"] == 1


class Drifting:
    """A disc that goes to the right, a pixel in 250 frames, whatever it is asked."""

    digest, kinds, asked = "drifting", ALL_KINDS, list[tuple[str, int]]()

    def play(self, first: np.ndarray, poke: Poke | None, frames: int) -> np.ndarray:
        self.asked.append(("none" if poke is None else poke.kind, frames))
        last = picture(1, False, float(frames // 250), 0.0)
        return np.concatenate((np.repeat(first[None], frames - 1, axis=0), last[None]))


def test_the_drift_over_a_thousand_frames_is_measured_on_two_scenes_of_each_family_and_kept(tmp_path: Path) -> None:
    resting = (*FEW, POKES[8])
    scenes = [Disc(f"{f}-{k}", f, 1, records=resting) for f, k in (("b", 1), ("a", 3), ("a", 2), ("a", 1))]
    player, counter = Drifting(), CountingTracker()
    tracker = FlowChain(counter)
    player.asked.clear()
    found = run(tmp_path, {"p": player}, scenes=scenes, tracker=tracker)
    assert [asked for asked in player.asked if asked[1] > LAST] == [("none", 1000)] * 3
    cell = found.rows["all"]["p"]["long_drift"]
    assert (cell.samples, cell.scenes) == (3, 3) and cell.mean == pytest.approx(4.0, abs=0.3)
    assert sorted(file.stem for file in (tmp_path / "long" / "p").iterdir()) == ["a-1", "a-2", "b-1"]
    assert mean(found, "copy", "long_drift") == mean(found, "shift-patch", "long_drift") == 0.0
    calls, asked = counter.calls, len(player.asked)
    assert run(tmp_path, {"p": player}, scenes=scenes, tracker=tracker) == found
    assert (counter.calls, len(player.asked)) == (calls, asked)


def test_a_run_on_some_scenes_of_each_family_takes_the_first_by_name_and_says_how_many(tmp_path: Path) -> None:
    scenes = [Disc(name, name[0], records=FEW) for name in ("b-2", "a-2", "b-1", "a-1", "a-3")]
    found = run(tmp_path, scenes=scenes, per_family=1)
    assert sorted(file.stem for file in (tmp_path / "scenes" / "copy").iterdir()) == ["a-1", "b-1"]
    assert (found.about["scenes"], found.about["scenes_of_the_bench"]) == (2, 5)
    assert "scenes 2, scenes of the bench 5" in found.to_markdown()
    with pytest.raises(InputError, match="0 scenes of each family"):
        run(tmp_path, scenes=scenes, per_family=0)


def test_two_processes_measure_the_same_to_the_last_bit(tmp_path: Path) -> None:
    save_model(tmp_path / "tiny.safetensors", model(), {})
    scenes = [replace(scene, records=(*FEW, POKES[8])) for scene in BRIEF]
    reload = partial(load_players, [str(tmp_path / "tiny.safetensors")])
    alone, together = (
        run(tmp_path / str(workers), reload(), scenes=scenes, workers=workers, reload=reload) for workers in (1, 2)
    )
    assert together == alone
    files = {str(file.relative_to(tmp_path / "1")): file.read_bytes() for file in (tmp_path / "1").rglob("*.json")}
    assert len(files) == 2 * (5 + 3)
    assert files == {str(f.relative_to(tmp_path / "2")): f.read_bytes() for f in (tmp_path / "2").rglob("*.json")}


def test_players_that_cannot_be_made_again_are_not_sent_to_other_processes(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"2 processes .* take 1 worker\.$"):
        run(tmp_path, {"p": Counting()}, scenes=BRIEF[:1], workers=2)


class Wrong:
    """Gives something else than it should."""

    digest, kinds = "wrong", ALL_KINDS

    def __init__(self, made: Callable[[np.ndarray], Any]) -> None:
        self._made = made

    def play(self, first: np.ndarray, poke: Poke | None, frames: int) -> Any:
        return self._made(np.repeat(first[None], frames, axis=0))


def shorter(clip: np.ndarray) -> np.ndarray:
    return clip[:-1]


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


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"scenes": []}, "holds no scene"),
        ({"scenes": [BRIEF[0], BRIEF[0]]}, "two scenes are called 'a-1'"),
        ({"arrive": 1}, r"at frame 1 of 6; choose 2 \.\.\. 6"),
        ({"arrive": 7}, "at frame 7 of 6"),
        ({"players": {"oracle": Copy()}}, "cannot be called 'oracle'"),
    ],
)
def test_what_cannot_be_run_is_a_sentence(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        run(tmp_path, **changes)


def test_lpips_judges_where_its_weights_are(tmp_path: Path, shared: Path) -> None:
    found = run(tmp_path, scenes=[Disc(records=POKES[2:3])], weights_dir=shared / "weights")
    assert found.about["tracker"] == bench_tracker().name
    assert mean(found, "oracle", "poke_epe") < 2.0 < 5.0 < mean(found, "copy", "poke_epe")
    assert mean(found, "oracle", "lpips") == pytest.approx(0.0, abs=1e-6)
    assert mean(found, "copy", "lpips") > 0.001
    assert lpips_if_found(None) is None


def test_the_truth_is_worked_out_once_for_all_rows(tmp_path: Path) -> None:
    class Slow(Disc):
        def flow(self, poke: int, frame: int) -> np.ndarray:
            asked.append((poke, frame))
            return super().flow(poke, frame)

    asked: list[tuple[int, int]] = []
    run(tmp_path, scenes=[Slow(records=FEW)])
    assert len(asked) == len(set(asked)) == 2 * 3 + 1  # two shifts at three frames, and what rests at the last


def test_what_a_scene_reads_is_not_kept(tmp_path: Path) -> None:
    class Keeping(Disc):
        def frames(self, poke: int) -> np.ndarray:
            self.__dict__["cache"] = super().frames(poke)
            return self.__dict__["cache"]

    scene = Keeping(records=FEW)
    run(tmp_path, scenes=[scene])
    assert "cache" not in scene.__dict__


# To look at


def test_a_grid_shows_the_truth_above_the_predictions_with_arrow_and_target(tmp_path: Path) -> None:
    scene = Disc()
    shown = predictions(scene, {"copy": Copy(), "patch": ShiftPatch(T)}, 2)
    assert list(shown) == ["truth", "copy", "patch"]
    assert np.array_equal(shown["truth"], scene.frames(2))
    write_grid(scene, shown, 2, tmp_path / "grid.png")
    sheet, cell = read_picture(tmp_path / "grid.png"), 3 * SIDE + 2  # enlarged threefold, and a gap
    assert sheet.shape == (3 * cell - 2, 7 * cell - 2, 3)  # a name, the first frame, five later ones
    red = (np.abs(sheet.astype(int) - ARROW).sum(-1) < 60).astype(int)
    counts = [[red[cell * i : cell * (i + 1), cell * j : cell * (j + 1)].sum() for j in range(7)] for i in range(3)]
    for row in counts:
        assert row[0] == 0 and all(row[1:])
    found = sheet[cell : 2 * cell - 2, 2 * cell : 3 * cell - 2]
    y, x = np.nonzero(red[cell : 2 * cell - 2, 2 * cell : 3 * cell - 2])
    assert (x.mean(), y.mean()) == pytest.approx((3 * 26 + 1, 3 * 24 + 1), abs=1.0)  # the dot of (20 + 6, 24)
    assert found.shape == (3 * SIDE, 3 * SIDE, 3)


def test_each_family_has_a_grid_of_its_first_scene_and_longest_shift(tmp_path: Path) -> None:
    scenes = [Disc(name, name[0], records=POKES[:5]) for name in ("b-1", "a-2", "a-1")]
    write_grids(scenes, {"copy": Copy()}, T, tmp_path, 25.0)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a-1.mp4", "a-1.png", "b-1.mp4", "b-1.png"]
    write_grid(
        scenes[0], predictions(scenes[0], {"copy": Copy(), "shift-patch": ShiftPatch(T)}, 2), 2, tmp_path / "2.png"
    )
    assert (tmp_path / "2.png").read_bytes() == (tmp_path / "b-1.png").read_bytes()


def test_a_grid_can_move(tmp_path: Path) -> None:
    scene = Disc()
    write_grid(scene, predictions(scene, {"copy": Copy()}, 4), 4, tmp_path / "grid.mp4")
    frames = list(iterate_frames(tmp_path / "grid.mp4"))
    assert len(frames) == LAST
    half = frames[0].shape[0] // 2
    truth, copied = ([frame[rows] for frame in frames] for rows in (slice(0, half), slice(half, None)))
    assert np.abs(truth[0].astype(int) - truth[-1]).mean() > 4 * np.abs(copied[0].astype(int) - copied[-1]).mean()


def test_a_grid_leaves_out_who_was_not_trained_on_such_pokes() -> None:
    players = {"copy": Copy(), "shifts": SessionPlayer(Animator(model()))}
    assert list(predictions(Disc(), players, 5)) == ["truth", "copy"]


def test_bars_are_as_high_as_their_values() -> None:
    sheet = bars({"one": Interval(1.0, 1.0, 1.0), "two": Interval(2.0, 2.0, 2.0)}, "title")
    blue, orange = ((sheet == colour).all(-1).any(1).sum() for colour in ((0, 114, 178), (213, 94, 0)))
    assert orange == pytest.approx(2 * blue, abs=4)


def test_curves_go_through_their_points_and_rows_without_points_are_left_out() -> None:
    sheet = curves({"a": [(0.0, 0.0), (10.0, 5.0)], "b": [], "c": [(0.0, 10.0), (10.0, 0.0)]}, "x", "y")
    blue, orange = ((sheet == colour).all(-1) for colour in ((0, 114, 178), (213, 94, 0)))
    assert blue.any() and orange.any()
    assert np.nonzero(blue)[0].min() < np.nonzero(orange)[0].max()


def test_results_are_plain_json_with_their_key(out: Path, report: BenchReport) -> None:
    values = json.loads((out / "scenes" / "tiny" / "a-1.json").read_text())
    assert values["key"]["scene"] == "a-1" and values["key"]["tracker"] == bench_tracker().name
    assert values["samples"][0]["pokes"] == [0] and values["samples"][0]["role"] == "shift"
