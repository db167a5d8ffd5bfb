"""An exported model as a Player: the graphs run by ONNX Runtime, without PyTorch's networks."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import onnxruntime
import torch
from jaxtyping import Float
from torch import Tensor

from poke2vid.export.graphs import STATE_INPUTS, Signature
from poke2vid.export.names import DESCRIPTION, DRIVE, FORMAT, GRAPHS, REST_DRIVE, TOUCH_GRAPHS, TOUCH_VERSIONS, VERSION
from poke2vid.live.law_of_rest import pace
from poke2vid.types import AS_TRAINED, Frame, InputError, PokeKind, Rest, State

Precision = Literal["fp32", "fp16"]


def read_description(folder: Path) -> dict[str, Any]:
    """Reads `model.json` of an export.

    Raises:
        InputError: if there is none, or it is damaged, foreign or of another version.
    """
    path = folder / DESCRIPTION
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
        found = about["format"], about["version"]
        sees = about.get("kind") == "touch"
        graphs = TOUCH_GRAPHS if sees else GRAPHS
        _ = [about["graphs"][name][key] for name in graphs for key in ("file", "sha256", "inputs", "outputs")]
        _ = [str(about[key]) for key in ("weights", "decoder", "poke_kind")], Rest(**about["default_rest"])
        _ = [int(about[key]) for key in ("resolution", *(() if sees else ("num_levels", "num_context")))]
    except FileNotFoundError as error:
        raise InputError(f"{folder} holds no {DESCRIPTION}; make it with `poke2vid export MODEL --out DIR`.") from error
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"{path} does not describe an exported model; export it anew.") from error
    versions = TOUCH_VERSIONS if sees else (VERSION,)
    if found not in [(FORMAT, version) for version in versions]:
        known = " or ".join(str(version) for version in versions)
        raise InputError(f"{path} has format {found}, this program reads {FORMAT} {known}; export it anew.")
    return about


class OnnxPlayer:
    """A `LivePlayer` that runs an exported folder.

    Attributes:
        about: contents of `model.json`.
        digest: of the weights, with the precision; identifies the model of a saved session.
    """

    def __init__(self, folder: str | Path, precision: Precision = "fp32", threads: int = 1) -> None:
        """Loads the graphs.

        Args:
            threads: to share one step; a small model is fastest on one.

        Raises:
            InputError: if the folder is no export, lacks the precision, or a graph is not the one that was exported.
        """
        require_precision(precision)
        folder = Path(folder)
        self.about = read_description(folder)
        if self.about.get("kind") == "touch":
            raise InputError(f"{folder} holds a model that sees what it touches; open it as one.")
        self._graphs = {name: graph_session(folder, self.about["graphs"][name], precision, threads) for name in GRAPHS}
        self.digest = f"{self.about['weights']} {precision}"
        self._signature = Signature(
            self.about["num_levels"], self.about["num_context"], self.about["decoder"] == "motion"
        )
        self._rest_drive: np.ndarray | None = None

    @property
    def resolution(self) -> int:
        return int(self.about["resolution"])

    @property
    def poke_kind(self) -> PokeKind:
        return "impulse" if self.about["poke_kind"] == "impulse" else "shift"

    @property
    def default_rest(self) -> Rest:
        return Rest(**self.about["default_rest"])

    def start(self, x_0: Float[Tensor, "b 3 h w"]) -> State:
        found = self._run("encode_image", {"x_0": x_0.numpy(force=True)})
        self._rest_drive = found[REST_DRIVE]  # the same for every picture
        sigma, drift = _numbered(found, "sigma"), _numbered(found, "drift")
        still = tuple(torch.zeros_like(level) for level in sigma)
        return State(sigma, _numbered(found, "context"), velocity=still, home=sigma, drift=drift)

    def encode_poke(self, poke_map: Float[Tensor, "b 3 h w"]) -> Tensor:
        return torch.from_numpy(self._run("encode_poke", {"poke_map": poke_map.numpy(force=True)})[DRIVE])

    def step(self, state: State, drive: Tensor | None) -> tuple[State, Frame]:
        """The paper's step, even if nothing touches the object."""
        return self.live_step(state, drive, AS_TRAINED)

    def live_step(self, state: State, drive: Tensor | None, rest: Rest, unchanged: int = 0) -> tuple[State, Frame]:
        batch = len(state.sigma[0])
        assert self._rest_drive is not None, "a state comes from start"
        given = self._rest_drive[:1] if drive is None else drive.numpy(force=True)
        touched = 0.0 if drive is None and rest.anchored else 1.0
        values = [
            _batched(given, batch),
            np.full((batch, 1, 1, 1), touched, np.float32),
            np.full((batch, 1, 1, 1), pace(unchanged, rest), np.float32),
            np.array([rest.stiffness], np.float32),
            np.array([rest.momentum], np.float32),
            *(level.numpy(force=True) for part in STATE_INPUTS for level in getattr(state, part)),
        ]
        found = self._run("step", dict(zip(self._signature.step_inputs, values, strict=True)))
        after = replace(state, sigma=_numbered(found, "next_sigma"), velocity=_numbered(found, "next_velocity"))
        shown = {name: torch.from_numpy(found[name]) for name in ("x_hat", "flow", "repaint") if name in found}
        return after, Frame(**shown)

    def _run(self, graph: str, values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        names = list(self.about["graphs"][graph]["outputs"])
        return dict(zip(names, self._graphs[graph].run(names, values), strict=True))


def require_precision(precision: str) -> None:
    """Raises InputError for an unknown precision."""
    if precision not in get_args(Precision):
        raise InputError(f"the precision {precision!r} is unknown; choose one of {', '.join(get_args(Precision))}.")


def graph_session(
    folder: Path, entry: dict[str, Any], precision: Precision, threads: int
) -> onnxruntime.InferenceSession:
    """One graph of an export, ready to run.

    Raises:
        InputError: if it is missing, not the one that was exported, or lacks the precision.
    """
    file, sha = (
        (entry["file"], entry["sha256"]) if precision == "fp32" else (entry.get("fp16"), entry.get("sha256_fp16"))
    )
    if file is None:
        raise InputError(f"{folder} was exported without half precision; export it anew without --no-fp16.")
    try:
        data = (folder / Path(file).name).read_bytes()
    except OSError as error:
        raise InputError(f"{folder / Path(file).name} cannot be read; export the model anew.") from error
    if hashlib.sha256(data).hexdigest() != sha:
        raise InputError(f"{folder / Path(file).name} is not the graph that was exported; export the model anew.")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's own exceptions have no common class
        raise InputError(
            f"{folder / file} cannot be run by ONNX Runtime {onnxruntime.__version__}: {error}."
        ) from error


def _numbered(found: dict[str, np.ndarray], part: str) -> tuple[Tensor, ...]:
    names = [name for name in found if name.rpartition("_")[0] == part]
    return tuple(torch.from_numpy(found[name]) for name in names)


def _batched(drive: np.ndarray, batch: int) -> np.ndarray:
    return drive if len(drive) == batch else np.repeat(drive, batch, axis=0)
