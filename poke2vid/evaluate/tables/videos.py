"""All systems of the tables side by side on the same clips, as a video and a picture (App. A.5)."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from poke2vid.evaluate.figures.layout import Strip, cycled, enrolment
from poke2vid.evaluate.heldout.clips import EvaluationClips
from poke2vid.evaluate.heldout.rows import Row
from poke2vid.evaluate.heldout.scoring import predicted
from poke2vid.evaluate.tables.kept import Frames, Kept
from poke2vid.files import digest_of
from poke2vid.media.encoding import write_video
from poke2vid.media.pictures import to_uint8, write_picture
from poke2vid.train.data import stack

SHOWN = 5  # clips, the first of the random order: none was chosen by what came out
FPS = 5.0


def shown_clips(row: Row, clips: EvaluationClips) -> Frames:
    """The clips of a video as a row predicts them, x_0 first. Raises InputError if a prediction is not finite."""
    numbers = range(min(SHOWN, len(clips)))
    batch = stack([clips[k] for k in numbers])
    ahead = batch.frames[:, 1:] if row.predict is None else predicted(row, batch, list(numbers))
    return np.stack([to_uint8(clip) for clip in torch.cat((batch.frames[:, :1], ahead), dim=1)])


def write_comparison(
    rows: Mapping[str, Row], kept: Mapping[str, Kept], clips: EvaluationClips, out: Path
) -> list[Path]:  # fmt: skip
    """Writes the tables' clips as video and picture, one column and one line a system; files that exist are kept.

    Args:
        rows: label -> row; the truth comes first.
        kept: label -> what is left of a row that was measured before; these come after the truth.

    Returns:
        The video and the picture, named after a digest of rows and clips.

    Raises:
        InputError: if a prediction is not finite or a file cannot be written.
    """
    shown = range(min(SHOWN, len(clips)))
    shape = (len(shown), clips.settings.horizon + 1, clips.resolution, clips.resolution, 3)
    there = {label: one.shown for label, one in kept.items() if one.shown is not None and one.shown.shape == shape}
    digests = {label: row.digest for label, row in rows.items()} | {
        label: kept[label].about["digest"] for label in there
    }
    digest = digest_of({}, {"rows": digests, "clips": clips.key})[:8]
    video, picture = (out / f"systems-{digest}.{kind}" for kind in ("mp4", "png"))
    if video.exists() and picture.exists():
        return [video, picture]
    samples = [clips[k] for k in shown]
    made = {label: shown_clips(row, clips) for label, row in rows.items()}
    truth, *others = made
    columns = {truth: made[truth]} | there | {label: made[label] for label in others}
    lines = [
        [Strip(label, frames[k], samples[k].pokes) for label, frames in columns.items()] for k in shown
    ]  # fmt: skip
    write_video(video, cycled(lines, FPS), FPS)
    write_picture(picture, enrolment([strip for line in lines for strip in line]))
    return [video, picture]
