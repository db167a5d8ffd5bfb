"""Player for a system that is told the paths of points: one straight path, the poke's."""

import numpy as np
import torch
from jaxtyping import UInt8

from poke2vid.baselines.files import LoadedBaseline
from poke2vid.files import digest_of
from poke2vid.live.canvas import Canvas, resize
from poke2vid.types import Frame, InputError, Poke, PokeKind

# Raised where the same weights, picture and poke make other frames, so that older measurements are not taken for theirs.
STRAIGHT = 1


class ToldPlayer:
    """A system that sees x_0 and is told paths of points, poked: it is told that the poked point goes straight to its target.

    There it arrives in frame T and stays. Of other points nothing is told, and without a poke of none.

    Attributes:
        digest: of its weights and T.
        kinds: shifts alone; it has no pushes.
    """

    kinds: frozenset[PokeKind] = frozenset({"shift"})

    def __init__(self, loaded: LoadedBaseline, arrive: int) -> None:
        """Makes a player of a trained system.

        Args:
            arrive: T, in frames.

        Raises:
            InputError: if it predicts from more than one frame, or is told of no points.
        """
        network = loaded.network
        if network.seen != 1 or not network.told:
            raise InputError(
                f"{loaded.path} is a run of {loaded.config.network.system}, which predicts from {network.seen} frames and "
                "takes no poke; score it by `poke2vid tables`, and give a model here."
            )
        self.digest = digest_of({}, {"system": loaded.digest, "arrive": arrive, "straight": STRAIGHT})
        self._network, self._resolution = network, int(loaded.config.network.resolution)
        self._arrive = arrive

    def play(
        self, first: UInt8[np.ndarray, "h w 3"], poke: Poke | None, frames: int
    ) -> UInt8[np.ndarray, "{frames} h w 3"]:
        """Plays a poke; raises InputError if a frame of the system holds NaN or infinity."""
        height, width = first.shape[:2]
        canvas = Canvas(first, self._resolution, max_side=max(height, width))
        paths = torch.full((1, self._network.told, frames + 1, 2), torch.nan)
        if poke is not None:
            assert poke.kind in self.kinds
            held, share = canvas.modelled(poke), (torch.arange(frames + 1) / self._arrive).clamp(max=1)
            # It is shown points by their nearest pixel, and a poke of the outermost half of one would have none.
            begin = torch.tensor(held.location).clamp(0, self._resolution - 1)
            paths[0, 0] = begin + share[:, None] * torch.tensor(held.shift)
        # Nothing is drawn by a system that is told where points go.
        made = self._network.predict(canvas.x_0[:, None], frames, torch.Generator().manual_seed(0), paths)[0]
        if not made.isfinite().all():
            raise InputError("a frame holds numbers that are not finite")
        return np.stack([resize(canvas.render(Frame(x_hat[None])), (height, width)) for x_hat in made])
