"""Subject of a picture from a saliency network, in addition to the model's own object mask o (`--subject auto`).

U2-Net's small version finds what stands out in any picture. If a touch is on that subject, only the subject may move:
holes in o are closed, and everything outside the subject stays. If the touch is not on it, o decides.
"""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from poke2vid import geometry
from poke2vid.model.response import BASIS, gate
from poke2vid.model.touch_encoder import FIELD_SIDE
from poke2vid.model.touch_video import GRASP, TouchDynamics
from poke2vid.pretrained import weights
from poke2vid.types import InputError, Pair, Player, State

SUBJECTS = ("auto", "none")
SALIENT = 0.5  # of s around l; below it the touch is not on the subject
NETWORK_SIDE = 320  # side of U2-Net's input in pixels
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of RGB in [0, 1] on ImageNet, to normalise its input

Saliency = Callable[[Float[Tensor, "b 3 h w"]], Float[Tensor, "b 1 s s"]]


class U2Net:
    """s of pictures in [-1, 1]: how much each pixel of the field stands out, in 0 ... 1 (Qin et al. 2020).

    About half a second a picture on one core.
    """

    def __init__(self, file: Path) -> None:
        """Loads the graph; raises InputError if it cannot be run."""
        import onnxruntime  # imported here: playing a model needs no second runtime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = 1, 3
        try:
            self._graph = onnxruntime.InferenceSession(file.read_bytes(), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime's own exceptions have no common class
            raise InputError(f"{file} cannot be run; take the published file anew.") from error

    def __call__(self, x_0: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 1 s s"]:
        x = functional.interpolate((x_0 + 1) / 2, size=(NETWORK_SIDE,) * 2, mode="bilinear", align_corners=False)
        x = x / x.amax(dim=(1, 2, 3), keepdim=True).clamp_min(1e-6)
        mean, std = (x.new_tensor(values).view(3, 1, 1) for values in (MEAN, STD))
        name = self._graph.get_inputs()[0].name
        planes = [self._graph.run(None, {name: one[None].numpy(force=True)})[0] for one in (x - mean) / std]
        s = torch.from_numpy(np.concatenate(planes)).to(x_0.device)
        low, high = (f(s, dim=(1, 2, 3), keepdim=True) for f in (torch.amin, torch.amax))
        s = (s - low) / (high - low).clamp_min(1e-6)
        return functional.interpolate(s, size=(FIELD_SIDE,) * 2, mode="area")


class WithSubject(TouchDynamics):
    """A model that sees what it touches, with a subject beside o. Its states hold s and so fit no other model."""

    def __init__(self, model: TouchDynamics, saliency: Saliency) -> None:
        self.model, self.saliency = model, saliency

    @property
    def resolution(self) -> int:
        """Side of the square frames it takes and gives, in pixels."""
        return self.model.resolution

    def seen(self, x_0: Float[Tensor, "b 3 h w"]) -> tuple[Float[Tensor, "b 1 s s"], tuple[Tensor, ...]]:
        """The union of o and s; as levels E_phi's own, o, s, and s once more, which no brush changes."""
        mask, levels = self.model.seen(x_0)
        s = self.saliency(x_0)
        return torch.maximum(mask, s), (*levels, mask, s, s)

    def touched(self, levels: tuple[Tensor, ...], at: Float[Tensor, "b 2"]) -> Float[Tensor, "b k1 c h2 w2"]:
        """E_phi's output for a touch, limited to the subject, or to o if l is not on the subject."""
        *own, mask, s, seen = levels
        said = self.model.touched(tuple(own), at)
        share = gate(_subject(mask, s, seen, at)) / gate(torch.maximum(mask, s)).clamp_min(1e-6)
        cells = functional.pixel_unshuffle(share, 2)  # dx and dy of the four pixels of a cell, as influences have them
        return torch.cat((said[:, :BASIS] * torch.cat((cells, cells), dim=1)[:, None], said[:, BASIS:]), dim=1)

    def object_of(self, state: State, location: Pair | None = None) -> Float[Tensor, "b 1 s s"]:
        """The union of o and s, or as much of it as a touch at l may move: s if l is on the subject, else o."""
        *_, mask, s, seen = state.context
        if location is None:
            return super().object_of(state)
        return _subject(mask, s, seen, mask.new_tensor([self._to_field.point(*location)]).expand(len(mask), 2))

    def with_object(self, state: State, mask: Float[Tensor, "b 1 s s"]) -> State:
        """The same state with another union; o and s follow where it differs, so that a touch moves what was painted."""
        before, changed = self.object_of(state), super().with_object(state, mask)
        *others, own, s, seen = changed.context
        raised, lowered = mask > before, mask < before
        parts = (
            torch.where(raised, mask.maximum(part), torch.where(lowered, mask.minimum(part), part)) for part in (own, s)
        )
        return replace(changed, context=(*others, *parts, seen))


def _subject(
    mask: Float[Tensor, "b 1 s s"],
    s: Float[Tensor, "b 1 s s"],
    seen: Float[Tensor, "b 1 s s"],
    at: Float[Tensor, "b 2"],
) -> Float[Tensor, "b 1 s s"]:
    """The object that a touch at l, in pixels of the field, may move: s if l is on the subject as it was seen, else o."""
    about = functional.max_pool2d(seen, 2 * GRASP + 1, 1, GRASP)
    salient = geometry.sample(about, at[:, None, None])[..., :1, :1] >= SALIENT
    return torch.where(salient, s, mask)


def with_subject(model: Player, subject: str, weights_dir: str | Path | None = None) -> Player:
    """The model itself for "none"; for "auto" the model with a subject in addition to o.

    Raises:
        InputError: for another name, a model of the paper's form, or missing weights.
    """
    if subject not in SUBJECTS:
        raise InputError(f"there is no subject {subject!r}; choose one of {', '.join(SUBJECTS)}.")
    if subject == "none":
        return model
    if not isinstance(model, TouchDynamics):
        raise InputError("a subject is for models that see what they touch; leave --subject away with this one.")
    file = weights.locate("u2netp", weights_dir, allow_download=not os.environ.get("POKE2VID_OFFLINE"))
    return WithSubject(model, U2Net(file))
