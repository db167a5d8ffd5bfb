"""Flow that the flow back confirms: what moves is, what only lies next to it is not."""

import numpy as np
import pytest
import torch
from moving_square import moving_square

from poke2vid.flow.back import FlowBack


@pytest.mark.parametrize("side", [64, 128])
def test_what_lies_beside_what_moves_is_not_confirmed(side: int) -> None:
    square = side * 3 // 8
    frames = moving_square(2, step=(side // 16, 0), size=(side, side), side=square, seed=3)
    x, y = side // 8, side // 3
    moves = torch.zeros(side, side, dtype=torch.bool)
    moves[y : y + square, x : x + square] = True
    spread = torch.zeros_like(moves)  # as an estimator spreads motion over the still wall
    rim = side // 16
    spread[y - rim : y + square + rim, x - rim : x + square + rim] = True
    flow = torch.zeros(2, side, side)
    flow[0, spread] = side / 16
    confirmed = FlowBack().confirms(flow, frames[0], frames[1])
    assert confirmed.shape == (side, side) and confirmed.dtype == torch.bool
    assert confirmed[moves].float().mean() > 0.7
    beside = spread & ~moves
    beside[:, x + square :] = False  # the square comes there, so the wall's way back cannot be known
    assert confirmed[beside].float().mean() < 0.3
    assert not confirmed[~spread].any(), "what does not move is no place for a poke"


def test_a_flow_the_wrong_way_is_not_confirmed() -> None:
    frames = moving_square(2, step=(4, 0), seed=3)
    flow = torch.full((2, 64, 64), -4.0)
    assert FlowBack().confirms(flow, np.asarray(frames[0]), np.asarray(frames[1])).float().mean() < 0.05
