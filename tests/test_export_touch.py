"""A model that sees what it touches, outside PyTorch: two graphs, the same numbers, one sentence where kinds do not fit."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from poke2vid.export.engine import OnnxPlayer, read_description
from poke2vid.export.run import export_model, graphs_of
from poke2vid.export.touch import digest
from poke2vid.export.touch_engine import OnnxTouchPlayer, player_of
from poke2vid.model.files import load_player, save_touch_video
from poke2vid.model.touch_encoder import TouchConfig
from poke2vid.model.touch_video import TouchVideo, TouchVideoConfig
from poke2vid.session import Session
from poke2vid.types import InputError, LivePlayer, TouchPlayer

SMALL = TouchConfig(seeing=(8, 8, 8, 8), touching=(8, 8, 8, 8), compared=(8, 8), swing=8)


@pytest.fixture(scope="module", params=[64, 128])
def file(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    model = TouchVideo(TouchVideoConfig(touch=TouchConfig(**{**vars(SMALL), "resolution": request.param})))
    for last in (model.touch_encoder.head, model.touch_encoder.swing[1]):
        torch.nn.init.normal_(last.weight, std=0.01)
    with torch.no_grad():  # about as much as a trained one has it: what is touched comes along
        model.touch_encoder.head.bias[:4] = model.touch_encoder.head.bias[12:16] = 1
    path = tmp_path_factory.mktemp("touch") / "model.safetensors"
    save_touch_video(path, model, {"trained_on": "nothing"})
    return path


@pytest.fixture(scope="module")
def folder(file: Path) -> Path:
    export_model(file, file.parent / "graphs", half=True)
    return file.parent / "graphs"


def picture() -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.kron(rng.integers(0, 255, (6, 8, 3)), np.ones((20, 20, 1))).astype(np.uint8)


def test_what_it_says_of_itself_fits_the_model(file: Path, folder: Path) -> None:
    about = read_description(folder)
    model = load_player(file).model
    assert isinstance(model, TouchVideo)
    assert (about["kind"], about["decoder"], about["field"]) == ("touch", "layers", 64)
    assert about["resolution"] == model.resolution and about["weights"] == digest(model)
    assert about["graphs"]["encode_touch"]["outputs"] == {"influence": ["b", 8, 8, 32, 32]}
    assert about["checks"]["fp32"]["step"] < 1e-5 and about["checks"]["fp32"]["rollout"] < 1e-3
    assert about["origin"] == {"trained_on": "nothing"}


def test_a_session_on_the_graphs_shows_what_one_on_the_model_does(file: Path, folder: Path) -> None:
    """Pulled, dragged, let go of, pushed, and touched with two fingers, one of which pins."""
    sessions = [Session(player, picture()) for player in (load_player(file).model, player_of(folder))]
    assert isinstance(sessions[1].player, LivePlayer) and isinstance(sessions[1].player, TouchPlayer)
    for session in sessions:
        pointer = session.poke((80, 60), (9, -4))
        for _ in range(6):
            session.step()
        session.drag(pointer, (70, 70))
        session.hold((120, 90))
        for _ in range(5):
            session.step()
        session.release()
        session.poke((60, 50), (5, 5), "impulse")
        for _ in range(5):
            session.step()
    moved = [session.state.sigma[0] for session in sessions]
    assert moved[0].abs().max() > 0.1 and torch.allclose(*moved, atol=5e-3)
    assert np.abs(sessions[0].picture.astype(int) - sessions[1].picture).mean() < 0.5


def test_weights_that_are_halves_are_stored_as_halves(file: Path, folder: Path) -> None:
    graphs = [onnx.load(folder / f"{name}.onnx") for name in ("encode_image", "encode_touch")]
    kinds = {tensor.data_type for graph in graphs for tensor in graph.graph.initializer if np.prod(tensor.dims) > 300}
    assert kinds == {onnx.TensorProto.FLOAT16}
    assert sum(path.stat().st_size for path in folder.glob("*[a-z].onnx")) < 1.5 * file.stat().st_size + 4e5


def test_each_kind_is_opened_as_what_it_is(folder: Path) -> None:
    with pytest.raises(InputError, match="sees what it touches"):
        OnnxPlayer(folder)
    assert isinstance(player_of(folder, "fp16"), OnnxTouchPlayer)
    base = graphs_of(None, folder.parent / "unused")
    assert isinstance(player_of(base), OnnxPlayer)
    with pytest.raises(InputError, match="paper's form"):
        OnnxTouchPlayer(base)


def test_a_graph_that_was_changed_or_a_foreign_description_is_one_sentence(folder: Path, tmp_path: Path) -> None:
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "encode_touch.onnx").write_bytes(b"no graph")
    with pytest.raises(InputError, match="not the graph that was exported"):
        player_of(tmp_path)
    about = json.loads((tmp_path / "model.json").read_text())
    (tmp_path / "model.json").write_text(json.dumps({**about, "version": 2}))
    with pytest.raises(InputError, match="format"):
        player_of(tmp_path)
