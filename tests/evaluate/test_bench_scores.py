"""PokeBench's scores on a disc whose motion is known: what is right comes out perfect, what is wrong by how much."""

import math

import numpy as np
import pytest
import torch
from known_disc import ERRORS, GRID, POKES, SHIFTS, SIDE, Disc, Flows, T, length, measured
from torch import Tensor

from poke2vid.evaluate.bench.measure import ExactFlow, long_drift
from poke2vid.evaluate.bench.roles import ALL_ROLES
from poke2vid.flow.chain import FlowChain
from poke2vid.flow.classical import DisFlow
from poke2vid.measures import motion as scores
from poke2vid.measures.statistics import rank_correlation
from poke2vid.pokebench.scene import TrueScene

pytestmark = pytest.mark.usefixtures("no_public_weights")


def test_the_disc_is_a_scene() -> None:
    assert isinstance(Disc(), TrueScene)


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


def test_what_no_pixel_shows_is_left_out_of_a_report() -> None:
    class Bare(Disc):
        """A scene without an object."""

        part_ids = np.zeros((SIDE, SIDE), np.int32)

    scene = Bare()
    tracker = FlowChain(DisFlow(fast=True))
    assert long_drift(scene, 8, scene.first, tracker).values == {}
    assert long_drift(Disc(), 8, scene.first, tracker).values == {"long_drift": 0.0}
    assert "rest_drift" not in measured(ExactFlow(scene), scene)
