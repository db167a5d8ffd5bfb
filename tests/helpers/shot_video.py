"""Videos written with any codec, tags and time stamps, and what the reader makes of them."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from poke2vid.media.video import Viewing


def encode(path: Path, frames: list[np.ndarray], codec: str = "libx264", **about: Any) -> Path:
    """Writes frames with tags, time stamps (in thousandths of a second) and options as given."""
    times, options = about.pop("times", None), about.pop("options", {})
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=25, options=options)
        first: Any = frames[0]
        stream.height, stream.width = (first.height, first.width) if hasattr(first, "planes") else first.shape[:2]
        stream.pix_fmt = about.pop("pix_fmt", "yuv420p")
        context = stream.codec_context
        if times:
            context.time_base = Fraction(1, 1000)
        for name, value in about.items():
            setattr(context, name, value)
        for i, picture in enumerate(frames):
            frame = picture if isinstance(picture, av.VideoFrame) else av.VideoFrame.from_ndarray(picture, "rgb24")
            frame.pts, frame.time_base = (times[i], Fraction(1, 1000)) if times else (i, Fraction(1, 25))
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def viewed(path: Path, side: int = 64, fps: float | None = None) -> tuple[list[np.ndarray], list[int], str]:
    viewing = Viewing(path, side, "stretch", fps)
    shown = list(viewing)
    return [one.frame for one in shown], [one.shot for one in shown], "; ".join(viewing.notes)
