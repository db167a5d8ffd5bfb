"""Extractors of clip features for Frechet distances: their protocol, and those available on this machine."""

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
    """Feature extractor behind one Frechet distance, a column of a report.

    Attributes:
        name: of the column.
        family: description for reports: the column's numbers, and published ones that they can be compared with.
        dimensions: number of features, d; with fewer clips than d a distance says little, see `distances.Floor`.
        shortest: fewest frames beside x_0 that a clip must have.
        digest: hash of the weights and all processing of frames: equal if the features are, up to rounding.
    """

    name: str
    family: str
    dimensions: int
    shortest: int
    digest: str

    def __call__(self, x_0: Float[Tensor, "b 3 h w"], frames: Float[Tensor, "b t 3 h w"]) -> Float64[Tensor, "b d"]:
        """Features of the clips x_1 ... x_T on the CPU; they do not depend on the other clips of the batch.

        Args:
            x_0: the frame before the clip, in [-1, 1]; only motion is measured from it.
            frames: x_1 ... x_T in [-1, 1].

        Raises:
            InputError: if there are fewer than `shortest` frames, or they are not finite or not in [-1, 1].
        """


def find_extractors(
    weights_dir: str | Path | None = None, allow_download: bool = False
) -> tuple[list[VideoFeatures], dict[str, str]]:
    """Finds the extractors available here, FVD first, and for each missing column the reason.

    Args:
        weights_dir: folder to search before all others, see `weights.find`.
        allow_download: fetch missing public weights.
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
