"""An exported model that sees what it touches, as a Player: E_phi's graphs in ONNX Runtime, the rest as in PyTorch."""

from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from poke2vid.export.engine import OnnxPlayer, Precision, graph_session, read_description, require_precision
from poke2vid.export.names import LEVELS, TOUCH_GRAPHS, TOUCH_VERSION
from poke2vid.model.response import BASIS
from poke2vid.model.swing import LAW, SWING
from poke2vid.model.touch_encoder import Touched, with_zeros
from poke2vid.model.touch_video import CELLS_SHUFFLED, TouchDynamics, packed
from poke2vid.types import InputError


class OnnxTouchPlayer(TouchDynamics):
    """A `LivePlayer` and `TouchPlayer` that runs an exported folder.

    Attributes:
        about: contents of `model.json`.
        digest: of the weights, with the precision; identifies the model of a saved session.
    """

    def __init__(self, folder: str | Path, precision: Precision = "fp32", threads: int = 1) -> None:
        """Loads the graphs.

        Raises:
            InputError: if the folder is no export of such a model, lacks the precision, or a graph is not the one that
                was exported.
        """
        require_precision(precision)
        folder = Path(folder)
        self.about = read_description(folder)
        if self.about.get("kind") != "touch":
            raise InputError(f"{folder} holds a model of the paper's form; open it as one.")
        graphs = self.about["graphs"]
        self._graphs = {name: graph_session(folder, graphs[name], precision, threads) for name in TOUCH_GRAPHS}
        self.digest = f"{self.about['weights']} {precision}"

    @property
    def resolution(self) -> int:
        """Side of the square frames it takes and gives, in pixels."""
        return int(self.about["resolution"])

    def seen(self, x_0: Float[Tensor, "b 3 h w"]) -> tuple[Float[Tensor, "b 1 s s"], tuple[Tensor, ...]]:
        """The mask o and E_phi's levels of a picture."""
        found = self._graphs["encode_image"].run(["mask", *LEVELS], {"x_0": x_0.numpy(force=True)})
        mask, *levels = (torch.from_numpy(values) for values in found)
        return mask, tuple(levels)

    def touched(self, levels: tuple[Tensor, ...], at: Float[Tensor, "b 2"]) -> Float[Tensor, "b k1 c h2 w2"]:
        """E_phi's output for a touch at l, in pixels of the field (`model.touch_video.packed`)."""
        values = {name: level.numpy(force=True) for name, level in zip(LEVELS, levels, strict=True)}
        found = self._graphs["encode_touch"].run(["influence"], {**values, "at": at.numpy(force=True)})
        said = torch.from_numpy(found[0])
        return _modernised(said) if self.about["version"] < TOUCH_VERSION else said


def _modernised(said: Float[Tensor, "b k1 c h2 w2"]) -> Float[Tensor, "b k1 c h2 w2"]:
    """Version 3's output in today's form of `packed`: it has only the maps of a law, each repeated on its cell."""
    cells = said[:, BASIS, :, ::CELLS_SHUFFLED, ::CELLS_SHUFFLED]
    return packed(Touched(said[:, :BASIS], cells[:, LAW:], with_zeros(cells[:, :LAW], SWING)))


def player_of(folder: str | Path, precision: Precision = "fp32", threads: int = 1) -> OnnxPlayer | OnnxTouchPlayer:
    """A Player for an export of either kind. Raises InputError as its class does."""
    sees = read_description(Path(folder)).get("kind") == "touch"
    return (OnnxTouchPlayer if sees else OnnxPlayer)(folder, precision, threads)
