"""A model outside PyTorch: the same numbers from ONNX Runtime, in whatever way it is asked, and a page of static files."""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from poke2vid.cli import app
from poke2vid.export.check import STEP_LIMITS, Check
from poke2vid.export.engine import OnnxPlayer, read_description
from poke2vid.export.folder import is_export
from poke2vid.export.graphs import STATE_INPUTS
from poke2vid.export.names import GRAPHS
from poke2vid.export.rewrite import with_plain_elu
from poke2vid.export.run import export_model, export_page, graphs_of
from poke2vid.export.site import site_files
from poke2vid.export.touch_engine import OnnxTouchPlayer, player_of
from poke2vid.export.write import OPERATORS
from poke2vid.files import digest_of
from poke2vid.live.law_of_rest import LiveModel
from poke2vid.live.session import Session
from poke2vid.model.config import ModelConfig
from poke2vid.model.files import SMALLER, save_model
from poke2vid.model.poke_video import PokeVideo
from poke2vid.pokes import rasterise
from poke2vid.types import AS_TRAINED, InputError, LivePlayer, Poke, Rest

SIDE = 32
KINDS: dict[str, dict[str, Any]] = {
    "motion": {"decoder": "motion"},
    "rgb": {},
    "bottleneck": {"dynamics": "bottleneck"},
    "depth1 literal": {"depth": 1, "colour": "literal", "state_range": "literal", "poke_encoder": "literal"},
    "impulse": {"decoder": "motion", "poke_kind": "impulse"},
}

DEAR = ("bottleneck", "depth1 literal")  # to export one takes seconds
TRIED = [pytest.param(kind, marks=pytest.mark.thorough) if kind in DEAR else kind for kind in KINDS]


@pytest.fixture(autouse=True)
def without_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


@cache
def model(kind: str) -> PokeVideo:
    torch.manual_seed(0)
    found = PokeVideo(ModelConfig(resolution=SIDE, channels=4, **KINDS[kind])).eval()
    if found.config.decoder == "motion":
        nn.init.normal_(found.decoder.head.weight, std=0.1)  # type: ignore[union-attr, arg-type]
    return found


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A folder with the graphs of a kind of model."""
    place = tmp_path_factory.mktemp("exports")

    @cache
    def make(kind: str) -> Path:
        save_model(place / f"{kind}.safetensors", model(kind), {"trained_on": "nothing"})
        export_model(place / f"{kind}.safetensors", place / kind)
        return place / kind

    return make


@pytest.fixture(scope="module")
def single(exported: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An export without half precision, in the place of an earlier one of another kind, which was the current folder."""
    earlier = copied(exported("motion"), tmp_path_factory.mktemp("single") / "earlier")
    assert OnnxPlayer(earlier).about["decoder"] == "motion"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(earlier)
        export_model(exported("rgb").with_suffix(".safetensors"), Path(), half=False)
    return earlier


@pytest.fixture(scope="module")
def commanded(exported: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """What the command makes of a model that was exported before, and what it prints."""
    weights, out = exported("rgb").with_suffix(".safetensors"), tmp_path_factory.mktemp("commanded") / "out"
    done = CliRunner().invoke(app, ["export", str(weights), "--out", str(out)], catch_exceptions=False)
    assert done.exit_code == 0
    return out, done.output


def x_0(batch: int) -> torch.Tensor:
    return torch.rand(batch, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(batch)) * 2 - 1


def phi_of(player: LivePlayer, batch: int) -> torch.Tensor:
    pokes = [Poke((8.0 + 3 * b, 12.0), (4.0 - b, 2.0)) for b in range(batch)]
    return player.encode_poke(torch.stack([rasterise([poke], SIDE) for poke in pokes]))


@pytest.mark.slow
@pytest.mark.parametrize("kind", TRIED)
@pytest.mark.parametrize("batch", [1, 3])
def test_every_kind_of_model_computes_the_same_outside_pytorch(
    exported: Callable[[str], Path], kind: str, batch: int
) -> None:
    """Touched, held for long, let go of, and as trained, for one picture and for several at once."""
    live, player = LiveModel(model(kind)), OnnxPlayer(exported(kind))
    assert isinstance(player, LivePlayer)
    assert (player.resolution, player.poke_kind) == (SIDE, live.poke_kind)
    assert player.default_rest == live.default_rest
    ours, theirs = live.start(x_0(batch)), player.start(x_0(batch))
    phi = phi_of(live, batch)
    torch.testing.assert_close(phi_of(player, batch), phi, rtol=0, atol=1e-4)
    rest = Rest(0.2, 0.7)
    done = [(phi, rest, 0), (phi, rest, 1), (phi, rest, 30), (phi, rest, 200), (None, rest, 0), (None, rest, 40)]
    for drive, law, unchanged in [*done, (None, AS_TRAINED, 0), (phi, AS_TRAINED, 30), (phi, rest, 0)]:
        ours, expected = live.live_step(ours, drive, law, unchanged)
        theirs, frame = player.live_step(theirs, drive, law, unchanged)
        for part in STATE_INPUTS:
            for a, b in zip(getattr(theirs, part), getattr(ours, part), strict=True):
                torch.testing.assert_close(a, b, rtol=0, atol=1e-4)
        for name in ("x_hat", "flow", "repaint"):
            a, b = getattr(frame, name), getattr(expected, name)
            assert (a is None) == (b is None)
            if a is not None:
                torch.testing.assert_close(a, b, rtol=0, atol=5e-4)


@pytest.mark.parametrize("kind", TRIED)
def test_graphs_need_only_what_a_browser_has_and_tell_what_they_are(exported: Callable[[str], Path], kind: str) -> None:
    folder = exported(kind)
    about = read_description(folder)
    for name in GRAPHS:
        for precision in ("file", "fp16"):
            graph = onnx.load(folder / about["graphs"][name][precision])
            onnx.checker.check_model(graph)
            assert {node.op_type for node in graph.graph.node} <= OPERATORS
            assert {node.domain for node in graph.graph.node} <= {"", "ai.onnx"}
            told = {entry.key: entry.value for entry in graph.metadata_props}
            assert (told["format"], told["resolution"], told["weights"]) == (
                "poke2vid-onnx",
                str(SIDE),
                about["weights"],
            )
            assert "pixels of the model" in json.loads(told["units"])["flow"]
            assert json.loads(told["model"]) == about["model"]
            assert json.loads(told["default_rest"]) == about["default_rest"]
            inputs = {value.name for value in graph.graph.input}
            assert inputs == set(about["graphs"][name]["inputs"])
            assert all(about["graphs"][name]["inputs"][i][0] == "b" for i in inputs - {"stiffness", "momentum"})
    assert about["weights"] == digest_of(model(kind).state_dict(), about["model"])
    assert about["origin"] == {"trained_on": "nothing"}
    step = about["graphs"]["step"]["inputs"]
    shapes = [["b", level["channels"], level["side"], level["side"]] for level in about["levels"]]
    assert shapes == [step[f"sigma_{n + 1}"] for n in range(about["num_levels"])]


def test_no_graph_works_out_at_every_step_what_never_changes(exported: Callable[[str], Path]) -> None:
    """Of a model that warps, and one that paints: no arithmetic with shapes, and none of the slow Elu in single precision."""
    for kind in ("motion", "rgb"):
        found = {node.op_type for node in onnx.load(exported(kind) / "step.onnx").graph.node}
        assert not found & {"Shape", "Range", "Expand", "Gather", "Elu"}
        assert "Elu" in {node.op_type for node in onnx.load(exported(kind) / "step.fp16.onnx").graph.node}


def test_elu_by_other_operators_is_elu() -> None:
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Elu", ["x"], ["h"], "0"), onnx.helper.make_node("Elu", ["h"], ["y"], "1", alpha=0.5)],
        "two",
        [value("x", onnx.TensorProto.FLOAT, ["n"])],
        [value("y", onnx.TensorProto.FLOAT, ["n"]), value("h", onnx.TensorProto.FLOAT, ["n"])],
    )
    before = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)], ir_version=10)
    after = with_plain_elu(before)
    onnx.checker.check_model(after)
    assert [node.op_type for node in after.graph.node] == [
        "Relu",
        "Sub",
        "Exp",
        "Sub",
        "Add",
        "Elu",
    ]  # one of another alpha
    x = np.array([-1e30, -100.0, -3.0, -1e-6, 0.0, 1e-6, 3.0, 1e30], np.float32)
    found = [onnxruntime.InferenceSession(m.SerializeToString()).run(None, {"x": x}) for m in (before, after)]
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("kind", ["motion", "rgb"])
def test_an_export_says_how_far_it_is_from_its_model(exported: Callable[[str], Path], kind: str) -> None:
    checks = read_description(exported(kind))["checks"]
    assert checks.keys() == {"fp32", "fp16"}
    for precision, limit in STEP_LIMITS.items():
        assert 0 < checks[precision]["step"] <= limit == checks[precision]["step_limit"]
        assert 0 < checks[precision]["rollout"] <= checks[precision]["rollout_limit"]
    assert checks["fp32"]["step"] < checks["fp16"]["step"]


@pytest.mark.parametrize("kind", ["motion", "rgb"])
def test_half_precision_is_near_and_smaller(exported: Callable[[str], Path], kind: str) -> None:
    about = read_description(exported(kind))
    for graph in about["graphs"].values():
        assert graph["bytes_fp16"] < graph["bytes"]  # by little here: tiny graphs are mostly structure
    live, player = LiveModel(model(kind)), OnnxPlayer(exported(kind), "fp16")
    state, phi = live.start(x_0(1)), phi_of(live, 1)
    (_, expected), (_, frame) = (
        live.live_step(state, phi, Rest()),
        player.live_step(player.start(x_0(1)), phi_of(player, 1), Rest()),
    )
    torch.testing.assert_close(frame.x_hat, expected.x_hat, rtol=0, atol=0.05)


def test_a_session_drives_an_export_like_the_model_itself(exported: Callable[[str], Path], tmp_path: Path) -> None:
    ys, xs = np.mgrid[:60, :90] / 7
    picture = np.rint(127.5 * (1 + np.stack((np.sin(xs), np.cos(ys), np.sin(xs + ys)), axis=-1))).astype(np.uint8)
    player = OnnxPlayer(exported("motion"))
    sessions = [Session(model("motion"), picture), Session(player, picture)]
    shown: list[list[np.ndarray]] = [[], []]
    for frames, session in zip(shown, sessions, strict=True):
        pointer = session.poke((40.0, 30.0), (12.0, -6.0))
        frames += [session.step() for _ in range(8)]
        session.drag(pointer, (30.0, 40.0))
        frames += [session.step() for _ in range(5)]
        session.release(pointer)
        frames += [session.step() for _ in range(12)]
    apart = np.abs(np.stack(shown[0]).astype(int) - np.stack(shown[1]))
    assert apart.max() <= 2
    assert np.abs(np.stack(shown[0])[7].astype(int) - picture).mean() > 1
    sessions[1].save(tmp_path / "session.safetensors")
    np.testing.assert_array_equal(
        Session.load(tmp_path / "session.safetensors", player).step(), sessions[1].fork().step()
    )
    with pytest.raises(InputError, match="another model"):
        Session.load(tmp_path / "session.safetensors", OnnxPlayer(exported("motion"), "fp16"))


def test_the_same_model_gives_the_same_files(exported: Callable[[str], Path], commanded: tuple[Path, str]) -> None:
    again, _ = commanded
    for path in exported("rgb").iterdir():
        assert (again / path.name).read_bytes() == path.read_bytes(), path.name


def site_picture(name: str) -> Path:
    found = site_files()[f"examples/{name}"]
    assert isinstance(found, Path)
    return found


def read(path: Path) -> np.ndarray:
    from poke2vid.media.pictures import read_picture

    return read_picture(path)


# What cannot be done


def copied(folder: Path, to: Path) -> Path:
    shutil.copytree(folder, to)
    return to


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda f: (f / "model.json").unlink(), "poke2vid export MODEL"),
        (lambda f: (f / "model.json").write_text("{"), "does not describe"),
        (lambda f: (f / "model.json").write_text("[]"), "does not describe"),
        (lambda f: (f / "model.json").write_text('{"format": "x", "version": 1, "graphs": {}}'), "does not describe"),
        (lambda f: _edit(f, default_rest={"stiffness": 7}), "does not describe"),
        (lambda f: _edit(f, resolution=None), "does not describe"),
        (lambda f: (f / "step.onnx").unlink(), "step.onnx cannot be read"),
        (lambda f: (f / "step.onnx").write_bytes(b"graph"), "not the graph that was exported"),
        (lambda f: _edit(f, version=99), r"has format \('poke2vid-onnx', 99\)"),
    ],
)
def test_a_folder_that_is_no_export_or_a_damaged_one_is_refused(
    exported: Callable[[str], Path], tmp_path: Path, spoil: Callable[[Path], object], said: str
) -> None:
    folder = copied(exported("rgb"), tmp_path / "copy")
    spoil(folder)
    with pytest.raises(InputError, match=said):
        OnnxPlayer(folder)


def _edit(folder: Path, **changes: object) -> None:
    path = folder / "model.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_half_precision_that_was_left_out_is_missed_in_one_sentence(single: Path) -> None:
    with pytest.raises(InputError, match="without half precision"):
        OnnxPlayer(single, "fp16")


def test_an_export_takes_the_place_of_an_earlier_one_and_of_nothing_else(
    exported: Callable[[str], Path], single: Path, tmp_path: Path
) -> None:
    weights = exported("rgb").with_suffix(".safetensors")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is a file"):
        export_model(weights, tmp_path / "file")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("")
    with pytest.raises(InputError, match="holds other files"):
        export_model(weights, tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.tex").exists()
    earlier = copied(exported("motion"), tmp_path / "earlier")
    (earlier / "notes.txt").write_text("")
    with pytest.raises(InputError, match=r"holds other files, such as notes\.txt"):
        export_model(weights, earlier)
    assert OnnxPlayer(earlier).about["decoder"] == "motion"
    assert read_description(single)["decoder"] == "rgb"  # the current folder stays the one it is
    assert sorted(path.name for path in single.iterdir()) == sorted(["model.json", *(f"{n}.onnx" for n in GRAPHS)])
    assert not [path for place in (tmp_path, single.parent) for path in place.iterdir() if path.name.startswith(".")]


def test_graphs_that_compute_something_else_are_not_left_behind(
    exported: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = exported("rgb")  # its graphs are taken, since to make others takes ten seconds
    bad = Check("fp32", 0.5, 0.5, 0.5, 0.5)
    monkeypatch.setattr("poke2vid.export.run.check", lambda live, player, precision: replace(bad, precision=precision))

    def copy_graphs(loaded: Any, out: Path, *, half: bool) -> dict[str, Any]:
        shutil.copytree(folder, out, dirs_exist_ok=True)
        return read_description(folder)

    monkeypatch.setattr("poke2vid.export.run.write_graphs", copy_graphs)
    with pytest.raises(InputError, match=r"off by 0.5 in one step \(limit 0.0001\)"):
        export_model(folder.with_suffix(".safetensors"), tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_each_kind_is_opened_as_what_it_is(exported: Callable[[str], Path], tmp_path: Path) -> None:
    touch, paper = graphs_of(SMALLER, tmp_path / "touch"), exported("rgb")
    with pytest.raises(InputError, match="sees what it touches"):
        OnnxPlayer(touch)
    assert isinstance(player_of(str(touch)), OnnxTouchPlayer)
    assert graphs_of(paper, tmp_path / "unused") == paper and isinstance(player_of(paper), OnnxPlayer)
    with pytest.raises(InputError, match="paper's form"):
        OnnxTouchPlayer(paper)


# The page


def test_a_page_for_any_web_host_is_whole(tmp_path: Path) -> None:
    written = export_page(None, tmp_path / "page")
    names = {path.relative_to(tmp_path / "page").as_posix() for path in written}
    assert {"index.html", "config.json", "files.json", "model/model.json", "model/encode_touch.onnx"} <= names
    assert {"examples/examples.json", "examples/flower.jpg", "poke-script.schema.json"} <= names
    assert not [name for name in names if name.endswith(".gz")]
    wasm = (tmp_path / "page" / "vendor" / "ort-wasm-simd-threaded.wasm").read_bytes()
    assert wasm.startswith(b"\0asm")
    listed = json.loads((tmp_path / "page" / "files.json").read_text())
    assert set(listed["files"]) == names - {"files.json"}
    assert json.loads((tmp_path / "page" / "config.json").read_text())["engine"] == "browser"
    assert is_export(tmp_path / "page")
    export_page(None, tmp_path / "page")  # a newer one takes its place
    (tmp_path / "page" / "CNAME").write_text("example.org")
    with pytest.raises(InputError, match="holds other files, such as CNAME"):
        export_page(None, tmp_path / "page")
    for example in json.loads((tmp_path / "page" / "examples" / "examples.json").read_text()):
        assert f"examples/{example['file']}" in names


# The command


def test_the_command_prints_sizes_and_differences(commanded: tuple[Path, str]) -> None:
    out, said = commanded
    assert "step " in said and "MB in fp16" in said
    assert "fp32: off by" in said and "(limit 0.0001)" in said
    assert read_description(out)["resolution"] == SIDE


def test_the_command_wants_to_know_where_to() -> None:
    with pytest.raises(InputError, match="--out DIR"):
        CliRunner().invoke(app, ["export"], catch_exceptions=False)
