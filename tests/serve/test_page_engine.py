"""The page's engine in a real browser: the numbers of a session, in the page and from a server."""

import gzip
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import uvicorn
from page_probe import (
    HALF_TOLERANCE,
    ISOLATION,
    WEB,
    Probe,
    encoded,
    floats,
    host,
    pictured,
    played,
    png,
    resident_mb,
    smooth,
)

from poke2vid.export.run import export_model, graphs_of
from poke2vid.export.site import STATIC, Files, site_files
from poke2vid.live.animator import load
from poke2vid.live.canvas import Canvas
from poke2vid.live.law_of_rest import LiveModel
from poke2vid.live.session import Session
from poke2vid.measures import correlation
from poke2vid.media.pictures import read_picture
from poke2vid.model.config import ModelConfig
from poke2vid.model.files import save_model
from poke2vid.model.poke_video import PokeVideo
from poke2vid.pokes import rasterise
from poke2vid.serve import protocol
from poke2vid.serve.app import build_app
from poke2vid.serve.heat import even_shifts, forward
from poke2vid.serve.rooms import Limits
from poke2vid.serve.run import build_engine, configured, listen
from poke2vid.types import Frame, Pair, Poke

pytestmark = pytest.mark.slow
FLOW_TOLERANCE = 1e-3  # pixels of the model over 25 steps; 1.5e-5 was measured


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """The page, the base's graphs, and what tests do in it."""
    graphs = graphs_of(Path("small64"), tmp_path_factory.mktemp("graphs") / "model", half=False)
    files = site_files() | {f"model/{path.name}": path for path in graphs.iterdir()}
    return files | {f"tests/{path.name}": path for path in WEB.iterdir()}


@pytest.fixture(scope="module")
def probe(browser: Any, site: Files) -> Iterator[Probe]:
    with host(site, ISOLATION) as url:
        page = browser.new_page()
        page.goto(f"{url}tests/page.html")
        yield Probe(page)
        page.context.close()


# What comes from others


def test_the_files_of_others_are_what_their_list_says_with_their_licences() -> None:
    vendor = STATIC / "vendor"
    packages = json.loads((vendor / "VERSIONS.json").read_text(encoding="utf-8"))
    digests = {name: digest for package in packages.values() for name, digest in package["sha256"].items()}
    for path in vendor.glob("*.*"):
        if path.name != "VERSIONS.json":
            assert hashlib.sha256(path.read_bytes()).hexdigest() == digests.pop(path.name)
            if path.suffix == ".gz":
                assert hashlib.sha256(gzip.decompress(path.read_bytes())).hexdigest() == digests.pop(path.stem)
    assert digests == {}
    for package in packages.values():
        assert package["version"] and package["licence_files"]
        assert all((vendor / name).stat().st_size > 500 for name in package["licence_files"])


def test_the_page_fetches_nothing_from_elsewhere() -> None:
    ours = [
        path for path in STATIC.rglob("*") if path.suffix in (".js", ".html", ".css") and "vendor" not in path.parts
    ]
    assert len(ours) > 15
    fetched = re.compile(r"""(import|fetch|src|href|url)\s*[=(]?\s*["'`(]+\s*(https?:)?//""")
    assert [path.name for path in ours if fetched.search(path.read_text(encoding="utf-8"))] == []


# The engine


AT = (250.0, 160.0)


SCRIPT: list[list[dict[str, Any]]] = [[] for _ in range(25)]
SCRIPT[0] = [{"type": "poke", "pointer": 3, "at": AT, "shift": (40.5, -20), "kind": "shift"}]
SCRIPT[4] = [{"type": "drag", "pointer": 3, "to": (200, 90)}]
SCRIPT[6] = [
    {"type": "poke", "pointer": 9, "at": (100, 30.5), "shift": (-20, 33)},
    {"type": "poke", "pointer": 4, "at": (510.4, 299), "shift": (25, 0), "kind": "impulse"},
]
SCRIPT[9] = [{"type": "poke", "pointer": 3, "at": (300, 200), "shift": (0, 44), "kind": "shift"}]  # the finger anew
SCRIPT[12] = [
    {"type": "brush", "path": [(80, 30), (190.5, 150), (70, 210)], "radius": 37, "still": True},
    {"type": "brush", "path": [(120, 90)], "radius": 20, "still": False},
]
SCRIPT[13] = [{"type": "release", "pointer": 3}, {"type": "rest", "stiffness": 0.2, "momentum": 0.9}]
SCRIPT[16] = [{"type": "release", "pointer": 9}]
SCRIPT[21] = [{"type": "rest", "stiffness": 0.0, "momentum": 0.0, "anchored": False}]
SCRIPT[23] = [{"type": "poke", "pointer": 3, "at": AT, "shift": (-30, 10), "kind": "impulse"}]


HELD: list[list[dict[str, Any]]] = [[] for _ in range(60)]  # for so long that a held poke fades, and acts again
HELD[0] = [{"type": "poke", "pointer": 3, "at": AT, "shift": (40.5, -20), "kind": "shift"}]
HELD[40] = [{"type": "rest", "stiffness": 0.2, "momentum": 0.9}]
HELD[45] = [{"type": "poke", "pointer": 4, "at": (100, 40), "shift": (25, 0), "kind": "impulse"}]


@pytest.fixture(scope="module")
def picture() -> bytes:
    return png(pictured(512, 300))


@pytest.fixture(scope="module")
def engine(probe: Probe, picture: bytes) -> dict[str, Any]:
    """A running engine with the picture open; what it says of itself."""
    return probe("openEngine", {"prefer": "wasm"}, encoded(picture))


@pytest.fixture
def fresh(probe: Probe, engine: dict[str, Any]) -> dict[str, Any]:
    probe("reopen")
    return engine


def worst(found: list[dict[str, Any]], expected: list[Frame]) -> float:
    """Largest difference of flow in pixels, and of repaint in hundredths of the range."""
    differences = []
    for fields, frame in zip(found, expected, strict=True):
        assert frame.flow is not None and frame.repaint is not None
        differences += [
            np.abs(floats(fields["flow"], *frame.flow.shape[1:]) - frame.flow[0].numpy()).max(),
            50 * np.abs(floats(fields["repaint"], *frame.repaint.shape[1:]) - frame.repaint[0].numpy()).max(),
        ]
    return float(max(differences))


def test_a_script_gives_the_frames_that_a_session_gives(probe: Probe, fresh: dict[str, Any], picture: bytes) -> None:
    assert (fresh["backend"], fresh["resolution"], fresh["pokeKind"], fresh["decoder"]) == (
        "wasm",
        64,
        "shift",
        "motion",
    )
    assert set(fresh["stages"]) == {"runtime", "model", "warming up"}
    found = probe("steps", SCRIPT)
    expected = played(load("small64").open(picture), SCRIPT)
    assert [fields["time"] for fields in found] == list(range(1, 26))
    assert max(float(frame.flow.abs().max()) for frame in expected if frame.flow is not None) > 2
    assert worst(found, expected) < FLOW_TOLERANCE
    probe("reopen")
    assert worst(probe("steps", HELD), played(load("small64").open(picture), HELD)) < FLOW_TOLERANCE
    probe("reopen")  # starts over, and asks ahead
    assert probe("steps", SCRIPT, True) == found


def test_it_has_threads_where_the_page_is_isolated(probe: Probe, fresh: dict[str, Any]) -> None:
    assert probe.page.evaluate("crossOriginIsolated")
    assert 1 <= fresh["threads"] <= 4


def test_the_model_runs_in_a_worker_and_not_in_the_page(probe: Probe, fresh: dict[str, Any]) -> None:
    assert any(worker.url.endswith("js/engine/worker.js") for worker in probe.page.workers)
    loaded = probe.page.evaluate("performance.getEntriesByType('resource').map((entry) => entry.name)")
    assert not [name for name in loaded if "ort" in name or name.endswith((".wasm", ".onnx"))]


def test_a_marked_moment_comes_back_with_all_that_was_held(probe: Probe, fresh: dict[str, Any]) -> None:
    at_first = probe("mark")
    head = probe("steps", SCRIPT[:11])
    mark = probe("mark")
    tail = probe("steps", SCRIPT[11:])
    assert probe("restore", mark) == head[-1]
    assert probe("steps", SCRIPT[11:]) == tail
    assert probe("restore", mark) == head[-1]  # and once more: a mark is not used up
    assert probe("restore", at_first) is None  # nothing was predicted yet
    assert probe("steps", SCRIPT[:11]) == head


def test_the_oldest_of_many_marks_are_forgotten(probe: Probe, fresh: dict[str, Any]) -> None:
    marks = [probe("mark") for _ in range(70)]
    assert "no longer kept" in probe("restoreError", marks[5])
    assert probe("restore", marks[6]) is None


@pytest.mark.parametrize(
    ("action", "sentence"),
    [
        ({"type": "drag", "pointer": 7, "to": [3, 3]}, "Pointer 7 holds nothing; poke before you drag."),
        ({"type": "release", "pointer": 7}, "Pointer 7 holds nothing"),
        ({"type": "poke", "pointer": 7, "at": [64, 3], "shift": [1, 1]}, "outside the picture"),
        ({"type": "poke", "pointer": 7, "at": [6, 3], "shift": [1e7, 1]}, "beyond 1000000"),
        ({"type": "poke", "pointer": 7, "at": [6, 3], "shift": [1, 1], "kind": "shove"}, "kind shove is unknown"),
        ({"type": "rest", "stiffness": 0.1, "momentum": 1}, "momentum 1 of rest must lie in 0 ... 0.99"),
        ({"type": "fly"}, '"fly" is unknown'),
    ],
)
def test_what_cannot_be_done_is_said_and_changes_nothing(
    probe: Probe, fresh: dict[str, Any], action: dict[str, Any], sentence: str
) -> None:
    possible = {"type": "poke", "pointer": 1, "at": [20, 20], "shift": [9, 9]}
    assert sentence in probe("stepError", [possible, action])
    (fields,) = probe("steps", [[]])
    assert fields["time"] == 1
    assert not floats(fields["flow"], -1).any()  # the possible one was not done either


@torch.inference_mode()
def heat_of(x_0: torch.Tensor, at: Pair) -> np.ndarray:
    """The map of a point of the picture at rest, by evaluate's definition."""
    model = LiveModel(load("small64").player)  # type: ignore[arg-type]
    shifts = even_shifts(32, 6.4)
    maps = torch.stack([rasterise([Poke(at, (float(dx), float(dy)))], 64) for dx, dy in shifts])
    state, phi = model.start(x_0.expand(len(maps), -1, -1, -1)), model.encode_poke(maps)
    for _ in range(10):
        state, frame = model.step(state, phi)
    assert frame.flow is not None
    flows = np.stack([forward(flow) for flow in frame.flow.numpy()])
    still = (correlation.still_difference(shifts) ** 2).mean()
    return correlation.heat(correlation.mean_square(flows, shifts.astype(np.float32)) / still)


def test_a_heat_map_is_as_defined_and_life_goes_on_while_it_is_made(
    probe: Probe, fresh: dict[str, Any], picture: bytes
) -> None:
    canvas = Canvas(read_picture(picture), 64)
    expected = heat_of(canvas.x_0, canvas.modelled(Poke(AT, (0, 0))).location)
    assert expected.max() > 0.5
    found = probe("heatAndLife", AT)
    assert np.abs(floats(found["map"], 64, 64) - expected).max() < 0.02
    assert found["made"] > 20 and found["ticks"] > 20
    assert found["shares"] == sorted(found["shares"]) and found["shares"][-1] == 1


@pytest.mark.thorough
def test_memory_is_flat_over_a_thousand_steps(browser: Any, probe: Probe, fresh: dict[str, Any]) -> None:
    """Of the largest renderer, which is the page's with its worker: states that are not let go of are 0.2 MB a step."""
    processes = browser.new_browser_cdp_session().send("SystemInfo.getProcessInfo")["processInfo"]
    renderers = [process["id"] for process in processes if process["type"] == "renderer"]
    probe("manySteps", 200)
    before = max(resident_mb(pid) for pid in renderers)
    probe("manySteps", 1000)
    assert max(resident_mb(pid) for pid in renderers) - before < 60


def test_what_is_asked_of_a_closed_engine_is_answered(probe: Probe, picture: bytes) -> None:
    probe("openEngine", {"prefer": "wasm"}, encoded(picture))  # ends the one of other tests
    assert probe("closeEngine") == "The engine was closed."


def test_a_model_that_paints_and_knows_impulses_runs_too(
    probe: Probe, site: Files, picture: bytes, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    model = PokeVideo(ModelConfig(resolution=16, channels=4, poke_kind="impulse")).eval()
    save_model(tmp_path / "tiny.safetensors", model, {})
    export_model(tmp_path / "tiny.safetensors", tmp_path / "model", half=False)
    site.update({f"tiny/model/{path.name}": path for path in (tmp_path / "model").iterdir()})
    info = probe("openEngine", {"prefer": "wasm"}, encoded(picture), "tiny/")
    assert (info["resolution"], info["pokeKind"], info["defaultRest"]["stiffness"]) == (16, "impulse", 0)
    push = {"type": "poke", "pointer": 1, "at": AT, "shift": (60, 30), "kind": "impulse"}
    script: list[list[dict[str, Any]]] = [[push], [], [], [push], []]
    session = Session(model, read_picture(picture))
    for fields, frame in zip(probe("steps", script), played(session, script), strict=True):
        assert fields["flow"] is None
        assert np.abs(floats(fields["xHat"], 1, 3, 16, 16) - frame.x_hat.numpy()).max() < 1e-4
    assert "knows no targets" in probe("stepError", [{**push, "kind": "shift", "at": [8, 8]}])
    heat = floats(probe("heatAndLife", AT)["map"], 16, 16)
    assert heat.min() >= 0 and heat.max() == 1


# What comes from a server, and what is there without one


@pytest.fixture(scope="module")
def remote(browser: Any, site: Files) -> Iterator[Probe]:
    """A page of a server that computes with the base."""
    before = torch.get_num_threads()
    app = build_app(site, build_engine(Path("small64"), Limits()))
    server = uvicorn.Server(configured(app, Limits()))
    listening = listen("127.0.0.1", 0)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    page = browser.new_page()
    page.goto(f"http://127.0.0.1:{listening.getsockname()[1]}/tests/page.html")
    yield Probe(page)
    page.context.close()
    page.close()
    server.should_exit = True
    thread.join(timeout=20)
    torch.set_num_threads(before)


def test_an_engine_on_the_server_gives_the_frames_that_a_session_gives(remote: Probe, picture: bytes) -> None:
    info = remote("openEngine", {"prefer": "server"}, encoded(picture))
    assert (info["backend"], info["resolution"], info["decoder"]) == ("server", 64, "motion")
    expected = played(load("small64").open(picture), SCRIPT)
    mark = remote("mark")
    assert worst(remote("steps", HELD), played(load("small64").open(picture), HELD)) < HALF_TOLERANCE
    assert remote("restore", mark) is None
    found = remote("steps", SCRIPT, True)  # more at once than the server takes
    assert worst(found, expected) < HALF_TOLERANCE
    assert remote("restore", mark) is None
    assert remote("steps", SCRIPT[:3]) == found[:3]
    assert "poke" in remote("stepError", [{"type": "drag", "pointer": 7, "to": [3, 3]}])
    heat = remote("heatAndLife", AT)
    assert floats(heat["map"], 64, 64).max() > 0.5
    assert remote("closeEngine") == "The engine was closed."


@pytest.mark.parametrize("place", ["here", "there"])
def test_long_strokes_are_in_the_map_of_what_may_move_and_nothing_that_they_cover_follows_a_point(
    probe: Probe, remote: Probe, picture: bytes, place: str
) -> None:
    """So long that one message to a server cannot hold all of them."""
    where = {"here": probe, "there": remote}[place]
    where("openEngine", {"prefer": "wasm" if place == "here" else "server"}, encoded(picture))
    assert where("moves") is None
    rows = [[(100 + 1.1 * k, 30 + 30 * row + float(np.sqrt(k))) for k in range(256)] for row in range(9)]
    strokes = [{"type": "brush", "path": path, "radius": 25, "still": True} for path in rows]
    assert len(json.dumps(strokes)) > Limits().text_bytes
    poke = {"type": "poke", "pointer": 0, "at": (30, 40), "shift": (20, 5)}
    session = load("small64").open(picture)
    (frame,) = played(session, [[*strokes, poke]])
    (fields,) = where("steps", [[*strokes, poke]])
    assert worst([fields], [frame]) < HALF_TOLERANCE
    assert session.moves is not None
    moves = floats(where("moves"), 64, 64)
    np.testing.assert_allclose(moves, session.moves[0, 0].numpy(), atol=2e-3)
    heat = floats(where("heatAndLife", AT)["map"], 64, 64)
    assert (moves < 0.01).mean() > 0.2 and heat[moves < 0.01].max() < 0.02


def test_a_servers_frame_is_read_as_it_was_packed(probe: Probe) -> None:
    flow, repaint = (torch.from_numpy(smooth(c, 32, 1, c))[None] for c in (2, 3))
    x_hat = torch.rand(1, 3, 32, 32) * 2 - 1
    found = probe("unpacked", encoded(protocol.pack_frame(Frame(x_hat, flow, repaint), 70000, 12, 3.5)))
    assert (found["seq"], found["time"], found["stepMs"], found["xHat"]) == (70000, 12, 3.5, None)
    np.testing.assert_array_equal(floats(found["flow"], 1, 2, 32, 32), flow.half().float())
    np.testing.assert_array_equal(floats(found["repaint"], 1, 3, 32, 32), repaint.half().float())
    still = probe("unpacked", encoded(protocol.pack_frame(Frame(x_hat, flow, repaint * 0), 1, 1, 0)))
    assert still["repaint"] is None
    painted = probe("unpacked", encoded(protocol.pack_frame(Frame(x_hat), 1, 1, 0)))
    assert painted["flow"] is None
    assert np.abs(floats(painted["xHat"], 1, 3, 32, 32) - x_hat.numpy()).max() < 0.6 / 127.5


def test_a_page_from_any_host_gets_threads_and_stays_there_without_it(
    browser: Any, site: Files, picture: bytes
) -> None:
    listed = sorted(name.removesuffix(".gz") for name in site)
    files = {**site, "files.json": json.dumps({"version": "1", "files": listed}).encode()}
    page = browser.new_context().new_page()
    with host(files, {}) as url:
        page.goto(f"{url}tests/visit.html")
        page.wait_for_function("crossOriginIsolated && navigator.serviceWorker.controller !== null")
        page.wait_for_function("caches.match('/files.json').then(Boolean)")
    page.reload()  # the host is gone
    info = Probe(page)("openEngine", {"prefer": "wasm"}, encoded(picture))
    assert info["backend"] == "wasm" and page.evaluate("crossOriginIsolated")
    page.context.close()
