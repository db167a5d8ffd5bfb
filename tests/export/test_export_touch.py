"""A model that sees what it touches, outside PyTorch: two graphs, the same numbers, one sentence where kinds do not fit."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from poke2vid.export import touch
from poke2vid.export.engine import read_description
from poke2vid.export.names import DESCRIPTION
from poke2vid.export.run import SKELETONS, export_model, graphs_of
from poke2vid.export.skeleton import assemble, write_skeleton
from poke2vid.export.touch import describe, digest
from poke2vid.export.touch_engine import OnnxTouchPlayer, player_of
from poke2vid.export.write import write_graphs
from poke2vid.files import write_json
from poke2vid.live.session import Session
from poke2vid.model import touch_video
from poke2vid.model.files import BASE, SMALLER, load_player, save_touch_video
from poke2vid.model.swing import LAW
from poke2vid.model.touch_encoder import TouchConfig, Touched
from poke2vid.model.touch_video import TouchVideo, TouchVideoConfig
from poke2vid.types import InputError, LivePlayer, TouchPlayer

SMALL = TouchConfig(seeing=(8, 8, 8, 8), touching=(8, 8, 8, 8), compared=(8, 8), swing=8, stays=True)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    model = TouchVideo(TouchVideoConfig(touch=TouchConfig(**{**vars(SMALL), "resolution": 128})))
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
    assert isinstance(player_of(str(folder), "fp16"), OnnxTouchPlayer)


@pytest.mark.slow
@pytest.mark.thorough
def test_graphs_of_a_model_that_also_sees_the_mirror_image_say_the_same(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = TouchVideo(TouchVideoConfig(touch=SMALL, mirrored=True))
    for last in (model.touch_encoder.head, model.touch_encoder.swing[1]):
        torch.nn.init.normal_(last.weight, std=0.01)
    save_touch_video(tmp_path / "model.safetensors", model, {})
    export_model(tmp_path / "model.safetensors", tmp_path / "graphs", half=False)
    about = read_description(tmp_path / "graphs")
    assert about["model"]["mirrored"] and about["checks"]["fp32"]["rollout"] < 1e-3
    stored, player = load_player(tmp_path / "model.safetensors").model, player_of(tmp_path / "graphs")
    assert isinstance(stored, TouchVideo) and isinstance(player, OnnxTouchPlayer)
    x_0, at = torch.rand(1, 3, 64, 64), torch.tensor([[20.0, 30.5]])
    with torch.inference_mode():
        (o, levels), (said, seen) = stored.seen(x_0), player.seen(x_0)
        assert torch.allclose(o, said, atol=1e-5)
        assert torch.allclose(stored.touched(levels, at), player.touched(seen, at), atol=1e-4)


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


# The base's graphs in the package


@pytest.mark.parametrize("file", [BASE, SMALLER], ids=lambda path: path.stem)
def test_the_graphs_of_a_model_in_the_package_are_put_together_from_its_weights(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = load_player(file)
    assert isinstance(loaded.model, TouchVideo)
    with monkeypatch.context() as patch:
        patch.setattr("poke2vid.export.run.write_graphs", None)  # it is not exported
        graphs = graphs_of(file, tmp_path / "graphs")
    about = read_description(graphs)
    described = json.loads(
        json.dumps(describe(loaded.model, loaded, about["opset"]))
    )  # else they were not made anew when this changed
    assert {key: about[key] for key in described if key != "graphs"} == {
        k: v for k, v in described.items() if k != "graphs"
    }
    assert about["checks"]["fp32"]["step"] <= 1e-4
    for skeleton in SKELETONS:
        assert sum(path.stat().st_size for path in skeleton.iterdir()) < 2e5, "the weights lie in the package once"
    side = loaded.model.resolution
    x_0 = torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(0)) * 2 - 1
    player = player_of(graphs)
    states = [one.start(x_0) for one in (loaded.model, player)]
    with torch.no_grad():
        said = [
            one.touch(state, (0.47 * side, 0.55 * side))
            for one, state in zip((loaded.model, player), states, strict=True)
        ]
    assert torch.allclose(*said, atol=1e-3)


def test_a_skeleton_takes_its_own_weights_to_the_byte_and_no_others(file: Path, folder: Path, tmp_path: Path) -> None:
    write_skeleton(folder, tmp_path / "skeleton")
    (tmp_path / "graphs").mkdir()
    assemble(tmp_path / "skeleton", file, tmp_path / "graphs")
    for name in ("encode_image.onnx", "encode_touch.onnx"):
        assert (tmp_path / "graphs" / name).read_bytes() == (folder / name).read_bytes()
        assert (tmp_path / "skeleton" / name).stat().st_size < 60_000
    with pytest.raises(InputError, match="install poke2vid anew"):
        assemble(tmp_path / "skeleton", BASE, tmp_path / "graphs")


@pytest.mark.slow
@pytest.mark.thorough
def test_an_export_of_version_3_plays_as_it_did(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those have the maps of a law alone, repeated on cells."""
    torch.manual_seed(1)
    model = TouchVideo(TouchVideoConfig(touch=TouchConfig(**{**vars(SMALL), "stays": False})))
    torch.nn.init.normal_(model.touch_encoder.head.weight, std=0.1)
    torch.nn.init.normal_(model.touch_encoder.swing[1].weight, std=0.1)
    save_touch_video(tmp_path / "model.safetensors", model, {})

    def as_it_was(touched: Touched) -> torch.Tensor:
        row = torch.cat((touched.swing[:, :LAW], touched.along), dim=1)
        row = torch.nn.functional.interpolate(row, scale_factor=2, mode="nearest")
        return torch.cat((touched.influence, row[:, None]), dim=1)

    with monkeypatch.context() as then:
        then.setattr(touch_video, "packed", as_it_was)
        then.setattr(touch, "TOUCH_VERSION", 3)
        (tmp_path / "old").mkdir()
        about = write_graphs(load_player(tmp_path / "model.safetensors"), tmp_path / "old", half=False)
        write_json(tmp_path / "old" / DESCRIPTION, about)
    assert read_description(tmp_path / "old")["version"] == 3
    x_0, at = torch.rand(1, 3, 64, 64) * 2 - 1, torch.tensor([[20.0, 31.5]])
    old, now = OnnxTouchPlayer(tmp_path / "old"), load_player(tmp_path / "model.safetensors").model
    with torch.no_grad():
        found, expected = (player.touched(player.seen(x_0)[1], at) for player in (old, now))
    assert torch.allclose(found, expected, atol=1e-4) and expected[:, 7].abs().max() > 0.1
