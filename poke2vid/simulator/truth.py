"""The exact truth of a simulated video: a file beside it, read without MuJoCo, and the actions listed in its sidecar.

NAME.truth.safetensors    flow, visible, part_ids and depth as in `Truth`, and the sidecar's origin as metadata
NAME.json                 under "truth": the file's checksum, the camera, every pull and push, the wind

    truth = read_truth(Path("videos/plants-train-0-000000.truth.safetensors"))

60 frames of 128 pixels are 14.6 MB and take a core 0.4 s, on top of the video's 0.3 s (the first videos of each
family's seed 0). Flow and depth are unpacked float32: half precision would be off by up to 0.03 pixels of flow at
shifts beyond 64, and by half a millimetre of depth, so it would not be exact.
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
    """Exact part ids, depth, flow and visibility of a video, at its own size.

    Attributes:
        part_ids: 0 for the surroundings; part k is the sidecar's `parts[k - 1]`.
        depth: along the optical axis, in metres.
        flow: from frame 0 to the frames 1 ... t - 1, (dx, dy) in pixels: `flow[k - 1]` goes to frame k. Also known
            where the point is hidden or out of the picture.
        visible: true for pixels of frame 0 that still show in the frames 1 ... t - 1, see `Surface.visible`.
    """

    part_ids: Int16[np.ndarray, "t h w"]
    depth: Float32[np.ndarray, "t h w"]
    flow: Float32[np.ndarray, "t-1 2 h w"]
    visible: Bool[np.ndarray, "t-1 h w"]

    @property
    def mask(self) -> Bool[np.ndarray, "t h w"]:
        """Mask of the object's pixels."""
        return self.part_ids > 0


def truth_path(video: Path) -> Path:
    """Path of the truth file of a video."""
    return video.with_suffix(".truth.safetensors")


def write_truth(path: Path, truth: Truth, origin: Mapping[str, Any]) -> None:
    """Writes a truth file atomically; `origin` says of which video, in JSON values."""
    tensors = {name: torch.from_numpy(getattr(truth, name)) for name in DTYPES}
    write_tensors(path, tensors, {"format": FORMAT, "version": VERSION, **origin})


def read_truth(path: Path) -> Truth:
    """Reads and verifies a file that `poke2vid simulate --truth` wrote.

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


def record_of_actions(
    camera: Camera, trajectory: Trajectory, actions: Sequence[Pull | Push], wind: Wind | None
) -> dict[str, Any]:
    """Sidecar record of the camera, every pull and push in the order of their starts, and the wind.

    `wind[k]` blows from frame k - 1 to k. Lengths are rounded to a micrometre, or a millionth of a pixel, and the wind
    to a millimetre a second; the camera keeps all digits, so that its projections are as accurate as the arrays.
    """
    return {
        "camera": {"position": camera.position.tolist(), "axes": camera.axes.tolist(), "fovy": camera.fovy},
        "interactions": [_told(camera, trajectory, action) for action in actions],
        "wind": None if wind is None else _rounded(wind, 3),
    }


def _told(camera: Camera, trajectory: Trajectory, action: Pull | Push) -> dict[str, Any]:
    """Sidecar record of one interaction. Frame numbers may exceed the video's last: it then ends earlier.

    start: the last frame before the action. arrive: the first in which a pull is at its target. release: the last in
    which it is held. part: as in `part_ids`. at_0, at_start: the touched point in frame 0, where the flow starts, and
    in `start`, where the shift starts. shift: the requested one, parallel to the picture; `shift_pixels`: the same at
    the point's depth. The flow has the actual one. A push's shift is that of a free point in three frames.
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
    """Nested lists for JSON; adding zero turns -0.0 into 0.0."""
    return (np.round(values, digits) + 0.0).tolist()
