"""The exact truth of a simulated video: a file beside it, read without MuJoCo, and what its sidecar then says was done.

NAME.truth.safetensors    flow, visible, part_ids and depth as `Truth` has them, and the sidecar's origin as metadata
NAME.json                 under "truth": the file's checksum, the camera, every pull and push, the wind

    truth = read_truth(Path("videos/plants-train-0-000000.truth.safetensors"))

60 frames of 128 pixels are 14.6 MB and take a core 0.4 s, beside the 0.3 s of the video (the first videos of each family's
seed 0). Flow and depth are float32, and nothing is packed: half of the bits would cost the flow up to 0.03 pixels at shifts
beyond 64, and the depth half a millimetre, and what is called exact shall be.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int16

from poke2vid.files import read_tensors, write_tensors
from poke2vid.simulator.actions import Pull, Push, Wind
from poke2vid.simulator.camera import Camera, Vector
from poke2vid.simulator.trajectory import Trajectory
from poke2vid.types import InputError

FORMAT, VERSION = "poke2vid-truth", 1
DTYPES = {"part_ids": torch.int16, "depth": torch.float32, "flow": torch.float32, "visible": torch.bool}


@dataclass(frozen=True)
class Truth:
    """What is known exactly of a video, at its own size.

    Attributes:
        part_ids: 0 where the surroundings show; part k is the sidecar's `parts[k - 1]`.
        depth: along the optical axis, in metres.
        flow: from frame 0 to the frames 1 ... t - 1, (dx, dy) in pixels: `flow[k - 1]` goes to frame k. It is known where
            the point is hidden or has left the picture, too.
        visible: which pixels of frame 0 still show in the frames 1 ... t - 1, as `Surface.visible` decides.
    """

    part_ids: Int16[np.ndarray, "t h w"]
    depth: Float32[np.ndarray, "t h w"]
    flow: Float32[np.ndarray, "t-1 2 h w"]
    visible: Bool[np.ndarray, "t-1 h w"]

    @property
    def mask(self) -> Bool[np.ndarray, "t h w"]:
        """Where the object shows."""
        return self.part_ids > 0


def truth_path(video: Path) -> Path:
    """Where the truth of a video lies."""
    return video.with_suffix(".truth.safetensors")


def write_truth(path: Path, truth: Truth, origin: Mapping[str, Any]) -> None:
    """Atomically; `origin` says of which video, in values of JSON."""
    tensors = {name: torch.from_numpy(getattr(truth, name)) for name in DTYPES}
    write_tensors(path, tensors, {"format": FORMAT, "version": VERSION, **origin})


def read_truth(path: Path) -> Truth:
    """A file that `poke2vid simulate --truth` wrote, verified.

    Raises:
        InputError: if it is missing, damaged, of another kind or of another version.
    """
    tensors, about = read_tensors(path)
    if about.get("format") != FORMAT:
        raise InputError(f"{path} is not the truth of a simulated video; those are called NAME.truth.safetensors.")
    if about.get("version") != VERSION:
        raise InputError(
            f"{path} has format version {about.get('version')}, and this poke2vid reads {VERSION}; make it anew."
        )
    if {name: tensor.dtype for name, tensor in tensors.items()} != DTYPES or not _fit(tensors):
        raise InputError(f"{path} does not hold the arrays of a truth in their types and shapes; make it anew.")
    return Truth(**{name: tensor.numpy() for name, tensor in tensors.items()})


def _fit(tensors: Mapping[str, torch.Tensor]) -> bool:
    shape = tensors["part_ids"].shape
    if len(shape) != 3 or shape[0] < 1:
        return False
    t, h, w = shape
    expected = {"part_ids": (t, h, w), "depth": (t, h, w), "flow": (t - 1, 2, h, w), "visible": (t - 1, h, w)}
    return all(tuple(tensors[name].shape) == expected[name] for name in DTYPES)


def what_happened(
    camera: Camera, trajectory: Trajectory, actions: Sequence[Pull | Push], wind: Wind | None
) -> dict[str, Any]:
    """For a sidecar: the camera, every pull and push in the order of their starts, and the wind.

    `wind[k]` blows from frame k - 1 to k. Lengths are rounded to a micrometre, or a millionth of a pixel, and the wind to a
    millimetre a second; the camera keeps all digits, so that what it projects is not worse than the arrays are.
    """
    return {
        "camera": {"position": camera.position.tolist(), "axes": camera.axes.tolist(), "fovy": camera.fovy},
        "interactions": [_told(camera, trajectory, action) for action in actions],
        "wind": None if wind is None else _rounded(wind, 3),
    }


def _told(camera: Camera, trajectory: Trajectory, action: Pull | Push) -> dict[str, Any]:
    """One interaction. Frames may lie behind the last one: then the video ends before.

    start: the last frame before anything is done. arrive: the first in which a pull is at its target. release: the last in
    which it is held. part: as in `part_ids`. at_0, at_start: where the touched point is in frame 0, from which the flow goes,
    and in `start`, from which the shift goes. shift: what was asked for, parallel to the picture, and `shift_pixels` as it is
    at the point's depth; what came of it is in the flow. A push's shift is what a free point would travel in three frames.
    """
    touch, start = action.touch, action.start
    assert touch.carrier is not None, "World.touch says what carries the point"
    path = touch.carrier.path(trajectory)
    right, down = action.shift
    shift: Vector = right * camera.axes[0] + down * camera.axes[1]
    before, after = (camera.project(point)[0] for point in (path[start], path[start] + shift))
    pull = action if isinstance(action, Pull) else None
    return {
        "kind": "push" if pull is None else "pull",
        "start": start,
        "arrive": None if pull is None else start + pull.arrive,
        "release": None if pull is None else pull.release,
        "part": touch.part,
        "at_0": {"pixel": _rounded(camera.project(path[0])[0]), "point": _rounded(path[0])},
        "at_start": {"pixel": _rounded(before), "point": _rounded(path[start])},
        "shift": _rounded(shift),
        "shift_pixels": _rounded(after - before),
    }


def _rounded(values: np.ndarray, digits: int = 6) -> Any:
    """Nested lists for JSON; a sum with zero, lest there be a -0.0."""
    return (np.round(values, digits) + 0.0).tolist()
