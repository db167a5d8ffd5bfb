"""Whatever turns clips into features for a Frechet distance: one protocol, and which of them this machine can have."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol, runtime_checkable

from jaxtyping import Float, Float64
from torch import Tensor

from poke2vid.pretrained.i3d import I3DFeatures, build_i3d
from poke2vid.pretrained.movinet import MoViNetFeatures, build_movinet
from poke2vid.tracking.tracks import TrackFeatures
from poke2vid.types import InputError


@runtime_checkable
class VideoFeatures(Protocol):
    """One column of a report: features of which the Frechet distance is taken."""

    @property
    def name(self) -> str:
        """The column."""

    @property
    def family(self) -> str:
        """What numbers of this column are, and with which published ones they can be compared, for reports."""

    @property
    def dimensions(self) -> int:
        """d; with fewer clips than that a distance says little, see `distances.Floor`."""

    @property
    def shortest(self) -> int:
        """How many frames beside x_0 a clip must have."""

    @property
    def digest(self) -> str:
        """Equal where the features are, rounding aside: of the weights, and of all that is done to frames."""

    def __call__(self, x_0: Float[Tensor, "b 3 h w"], frames: Float[Tensor, "b t 3 h w"]) -> Float64[Tensor, "b d"]:
        """Features of the clips x_1 ... x_T on the CPU; a clip's do not depend on the others of its batch.

        Args:
            x_0: the frame before the clip, in [-1, 1]; only motion is measured from it.
            frames: x_1 ... x_T in [-1, 1].

        Raises:
            InputError: if there are fewer than `shortest` frames, or they are not finite or not in [-1, 1].
        """


def find_extractors(
    weights_dir: str | Path | None = None, allow_download: bool = False
) -> tuple[list[VideoFeatures], dict[str, str]]:
    """The columns that can be had here, FVD first; and of the others, by column, why not.

    Args:
        weights_dir: a folder to search before all others, see `weights.find`.
        allow_download: fetch public weights that are not here.
    """
    found: list[VideoFeatures] = []
    missing: dict[str, str] = {}
    builders: tuple[tuple[str, str, Callable[[str | Path | None, bool], VideoFeatures]], ...] = (
        (I3DFeatures.name, "no I3D weights", build_i3d),
        (MoViNetFeatures.name, "no MoViNet", build_movinet),
    )
    for column, absence, build in builders:
        try:
            found.append(build(weights_dir, allow_download))
        except InputError as error:
            missing[column] = f"{absence}: {' '.join(str(error).split())}"
    return [*found, TrackFeatures()], missing
