"""Fields: interlaced video, marked as such or not, becomes whole frames; whole frames stay as they are."""

from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from shot_video import encode, viewed

from poke2vid.media.deinterlacing import unmarked_fields
from poke2vid.media.video import iterate_frames


def test_interlaced_frames_are_deinterlaced(tmp_path: Path) -> None:
    moving = [np.roll(np.kron([[40, 220]], np.ones((64, 32))).astype(np.uint8), 3 * i, 1) for i in range(24)]
    woven = []
    for i in range(12):
        frame = moving[2 * i].copy()
        frame[1::2] = moving[2 * i + 1][1::2]  # the lower field comes half a frame later
        woven.append(np.stack([frame] * 3, -1))
    with av.open(str(tmp_path / "inter.mp4"), "w") as container:
        stream: Any = container.add_stream("libx264", rate=25, options={"x264-params": "tff=1", "flags": "+ildct+ilme"})
        stream.height = stream.width = 64
        stream.pix_fmt = "yuv420p"
        for picture in woven:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(stream.encode())

    frames, _, notes = viewed(tmp_path / "inter.mp4")
    assert len(frames) == 12 and "interlaced" in notes
    assert combed(frames[6]) < combed(woven[6]) / 4


def fields(height: int, count: int, upper_first: bool) -> list[np.ndarray]:
    """A panning texture at twice the rate, two pictures woven into each frame."""
    texture = cv2.resize(np.random.default_rng(0).integers(0, 255, (60, 80), dtype=np.uint8), (640, height))
    woven = []
    for i in range(count):
        early, late = (np.roll(texture, 5 * (2 * i + k), 1) for k in (0, 1))
        frame = (late if upper_first else early).copy()
        frame[::2] = (early if upper_first else late)[::2]
        woven.append(np.stack([frame] * 3, -1))
    return woven


@pytest.mark.parametrize("upper_first", [True, False])
def test_interlaced_video_that_does_not_say_so_is_found_and_deinterlaced(tmp_path: Path, upper_first: bool) -> None:
    path = encode(tmp_path / "a.mkv", fields(480, 30, upper_first), "ffv1", pix_fmt="yuv420p")
    assert unmarked(path) == ("tff" if upper_first else "bff")
    frames = list(iterate_frames(path))
    assert len(frames) == 30 and frames[0].shape == (480, 640, 3)
    assert combed(frames[10]) < combed(fields(480, 11, upper_first)[10]) / 3
    assert "interlaced" in viewed(path)[2]


@pytest.mark.parametrize("moves", ["pans", "rests", "stripes"])
def test_whole_frames_of_an_interlaced_format_s_height_stay_as_they_are(tmp_path: Path, moves: str) -> None:
    texture = cv2.resize(np.random.default_rng(0).integers(0, 255, (60, 80), dtype=np.uint8), (640, 480))
    if moves == "stripes":  # every other line another grey, and moving
        texture[::2] //= 2
    shift = 0 if moves == "rests" else 7
    pictures = [np.stack([np.roll(texture, shift * i, 1)] * 3, -1) for i in range(12)]
    path = encode(tmp_path / "a.mkv", pictures, "ffv1", pix_fmt="yuv444p")
    assert unmarked(path) is None
    np.testing.assert_allclose(next(iterate_frames(path)).astype(int), pictures[0], atol=3)


def unmarked(path: Path) -> str | None:
    with av.open(str(path)) as container:
        return unmarked_fields(container.decode(video=0))


def combed(frame: np.ndarray) -> float:
    grey = frame[..., 0].astype(int)
    return float(np.abs(2 * grey[1:-1] - grey[:-2] - grey[2:]).mean())
