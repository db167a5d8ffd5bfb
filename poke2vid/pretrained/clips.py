"""Checks and 8-bit rounding of clips, common to all feature extractors."""

from jaxtyping import Float, Float32
from torch import Tensor

from poke2vid.types import InputError

WIDEST = 2.0  # frames are in [-1, 1]; predictions may go a little beyond and are clamped


def check_clips(x_0: Float[Tensor, "b 3 h w"], frames: Float[Tensor, "b t 3 h w"], shortest: int, column: str) -> None:
    """Rejects clips that would give meaningless features.

    Args:
        shortest: least number of frames, besides x_0, that the extractor needs.
        column: the extractor's name, for the message.

    Raises:
        InputError: if there are too few frames, one is NaN or infinite, or they are not in [-1, 1].
    """
    if frames.shape[1] < shortest:
        raise InputError(
            f"{column} needs clips of at least {shortest} frames beside x_0, not {frames.shape[1]}: take longer ones."
        )
    for name, part in (("x_0", x_0), ("the frames", frames)):
        if not part.isfinite().all():
            bad = int((~part.isfinite()).flatten(1).any(dim=1).sum())
            raise InputError(
                f"{bad} of {len(part)} clips have NaN or infinite values in {name}, of which {column} takes none: "
                "repair or leave out these clips."
            )
        if part.numel() and part.abs().max() > WIDEST:
            raise InputError(
                f"{column} takes frames in [-1, 1], and {name} reach from {part.min():.4g} to {part.max():.4g}: scale them "
                "as `pictures.to_float` does."
            )


def eight_bit_levels(frames: Float[Tensor, "*b 3 h w"]) -> Float32[Tensor, "*b 3 h w"]:
    """Frames in [-1, 1] as whole numbers 0 ... 255, rounded and clamped as in files.

    The paper's released code truncates instead, which darkens by half a level on average.
    """
    return frames.detach().float().add(1).mul(127.5).round().clamp(0, 255)
