"""Features of MoViNet-A0-Stream (Kondratyuk et al. 2021): 600 Kinetics-600 logits, from an int8 graph fast on a CPU.

A Frechet distance over them works like FVD but has other values: never compare it with a published FVD.
"""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32, Float64
from torch import Tensor
from torch.nn import functional

from poke2vid.pretrained import weights
from poke2vid.pretrained.clips import check_clips, eight_bit_levels
from poke2vid.types import InputError

SIDE = 172  # pixels of the frames that the network sees
CLASSES = 600
PROTOCOL = "MoViNet-A0-Stream logits after the last frame, 8 bits rounded, anti-aliased bilinear to 172; 1"


class MoViNetFeatures:
    """Logits after a clip's last frame, as a `VideoFeatures`. Not safe to share between threads."""

    name = "FVD-like (MoViNet-A0)"
    family = (
        "Frechet distance over MoViNet-A0-Stream Kinetics-600 logits (int8), frames x_1..x_T without x_0, anti-aliased "
        "bilinear resize to 172; never to be compared with a published FVD, which is I3D's"
    )
    dimensions = CLASSES
    shortest = 1

    def __init__(self, path: Path) -> None:
        """Loads the network from a verified TFLite file, see `build_movinet`.

        Raises:
            InputError: if the library that runs it is not installed.
        """
        try:
            from ai_edge_litert.interpreter import Interpreter
        except ImportError as error:
            raise InputError(
                f"The column {self.name} needs the package ai-edge-litert, which does not import here ({error}): run "
                "`pip install 'poke2vid[movinet]'`, or do without this column."
            ) from error
        # One thread, because the net is too small for more. The interpreter must outlive its runner.
        self._interpreter = Interpreter(str(path), num_threads=1)
        self._run: Any = self._interpreter.get_signature_runner()
        inputs = self._run.get_input_details()
        self._rest = {
            name: np.zeros(detail["shape"], detail["dtype"]) for name, detail in inputs.items() if name != "image"
        }
        self.digest = hashlib.sha256(PROTOCOL.encode() + path.read_bytes()).hexdigest()

    @torch.inference_mode()
    def __call__(self, x_0: Float[Tensor, "b 3 h w"], frames: Float[Tensor, "b t 3 h w"]) -> Float64[Tensor, "b 600"]:
        """Logits of each clip, on the CPU; x_0 is only checked.

        Raises:
            InputError: if there is no frame, or they are not finite or not in [-1, 1].
        """
        check_clips(x_0, frames, self.shortest, self.name)
        logits = [self._logits(preprocess(clip)) for clip in frames]
        return torch.from_numpy(np.stack(logits)).double()

    def _logits(self, images: Float32[np.ndarray, "t 172 172 3"]) -> Float32[np.ndarray, " 600"]:
        """Logits of one clip, frame by frame from the initial state; the network's state is passed along."""
        states, logits = self._rest, np.empty(0, np.float32)
        for image in images:
            states = dict(self._run(image=image[None, None], **states))
            logits = states.pop("logits")[0]
        return logits


def preprocess(frames: Float[Tensor, "t 3 h w"]) -> Float32[np.ndarray, "t 172 172 3"]:
    """Frames in [-1, 1] as input for the network: rounded to eight bits, then 172x172 in [0, 1], channels last.

    Bilinear about pixel centres, with antialiasing if frames shrink.
    """
    levels = eight_bit_levels(frames)
    resized = functional.interpolate(levels, (SIDE, SIDE), mode="bilinear", align_corners=False, antialias=True)
    return np.ascontiguousarray(resized.div(255).permute(0, 2, 3, 1).cpu().numpy())


def build_movinet(weights_dir: str | Path | None = None, allow_download: bool = False) -> MoViNetFeatures:
    """Builds the features with the public weights.

    Raises:
        InputError: if the weights or the library cannot be found.
    """
    return MoViNetFeatures(weights.locate("movinet_a0", weights_dir, allow_download))
