"""Many pokes of one picture at once, each by itself, with frames as the model makes them: for maps of what moves together.

`PokePlayer.play` gives pictures of one poke; a map needs the flow of many.
"""

from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from poke2vid import pokes as poking
from poke2vid.types import Frame, Player, Poke


def play_batch(player: Player, x_0: Float[Tensor, "1 3 r r"], pokes: Sequence[Poke], frames: int) -> Iterator[Frame]:
    """Frames 1 ... `frames` of every poke, one batch at a time: member k of a frame shows poke k.

    Shifts are held to the end (Eq. 1), impulses last one step (Eq. 9), by the player's own `step`, without a law of rest.

    Args:
        player: of the paper's form; one that sees what it touches has no `encode_poke`.
        pokes: of one kind, in pixels of x_0.
    """
    assert len({poke.kind for poke in pokes}) == 1, "members of a batch are held alike"
    maps = torch.stack([poking.rasterise([poke], player.resolution) for poke in pokes])
    state, drive = player.start(x_0.expand(len(pokes), -1, -1, -1)), player.encode_poke(maps)
    for number in range(frames):
        held = number == 0 or pokes[0].kind == "shift"
        state, frame = player.step(state, drive if held else None)
        yield frame
