"""The page's engine, canvas and compositor in a real browser: the same numbers as the program's."""

import base64
import contextlib
import gzip
import hashlib
import http.server
import io
import json
import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
import uvicorn
from browser import chromium
from PIL import Image

from poke2vid.export.run import export_model, graphs_of
from poke2vid.export.site import STATIC, Files, content, site_files
from poke2vid.live.canvas import Canvas
from poke2vid.live.law_of_rest import LiveModel
from poke2vid.live.session import Session, load
from poke2vid.measures import correlation
from poke2vid.media.pictures import read_picture
from poke2vid.model.config import ModelConfig
from poke2vid.model.files import save_model
from poke2vid.model.poke_video import PokeVideo
from poke2vid.pokes import rasterise
from poke2vid.serve import protocol
from poke2vid.serve.app import build_app
from poke2vid.serve.files import TYPES
from poke2vid.serve.heat import even_shifts, forward
from poke2vid.serve.rooms import Limits
from poke2vid.serve.run import build_engine, configured, listen
from poke2vid.types import Frame, Pair, Poke, Rest

WEB = Path(__file__).parent / "web"
EXAMPLE = Path(__file__).parent.parent / "poke2vid" / "assets" / "examples" / "flower.jpg"
ISOLATION = {"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp"}
FLOW_TOLERANCE = 1e-3  # pixels of the model over 25 steps; 1.5e-5 was measured
HALF_TOLERANCE = 5e-3  # of flow of up to 8 pixels in half precision, as a server sends it
EVALUATE = "async ([name, values]) => (await import('./probe.js'))[name](...values)"


class Handler(http.server.BaseHTTPRequestHandler):
    """Static files from a table, as any host would send them."""

    protocol_version = "HTTP/1.1"
    files: Files
    headers_sent: dict[str, str]

    def do_GET(self) -> None:
        address = self.path.split("?")[0].lstrip("/")
        packed = f"{address}.gz" in self.files
        found = self.files.get(f"{address}.gz" if packed else address)
        body = b"" if found is None else content(found)
        self.send_response(404 if found is None else 200)
        self.send_header("Content-Type", TYPES.get(Path(address).suffix, "application/octet-stream"))
        self.send_header("Content-Length", str(len(body)))
        for name, value in {**self.headers_sent, **({"Content-Encoding": "gzip"} if packed else {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing."""


@contextlib.contextmanager
def host(files: Files, headers: dict[str, str]) -> Iterator[str]:
    handler = type("Host", (Handler,), {"files": files, "headers_sent": headers})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/"
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """The page, the base's graphs, and what tests do in it."""
    graphs = graphs_of(Path("small64"), tmp_path_factory.mktemp("graphs") / "model", half=False)
    files = site_files() | {f"model/{path.name}": path for path in graphs.iterdir()}
    return files | {f"tests/{path.name}": path for path in WEB.iterdir()}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as found:
        yield found


class Probe:
    """A page, and the functions of web/probe.js in it."""

    def __init__(self, page: Any) -> None:
        self.page = page

    def __call__(self, name: str, *values: Any) -> Any:
        return self.page.evaluate(EVALUATE, [name, list(values)])


@pytest.fixture(scope="module")
def probe(browser: Any, site: Files) -> Iterator[Probe]:
    with host(site, ISOLATION) as url:
        page = browser.new_page()
        page.goto(f"{url}tests/page.html")
        yield Probe(page)


def png(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def encoded(data: bytes | np.ndarray) -> str:
    return base64.b64encode(data if isinstance(data, bytes) else np.ascontiguousarray(data, "<f4").tobytes()).decode()


def floats(text: str, *shape: int) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), "<f4").reshape(shape)


def levels(text: str, width: int, height: int) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), np.uint8).reshape(height, width, 4)[..., :3].astype(int)


def pictured(width: int, height: int, seed: int = 0) -> np.ndarray:
    """The example at another size, with noise that every rounding shows in."""
    resized = np.asarray(Image.open(EXAMPLE).convert("RGB").resize((width, height), Image.Resampling.BICUBIC)).astype(
        int
    )
    noise = np.random.default_rng(seed).integers(-30, 31, resized.shape)
    return (resized + noise).clip(0, 255).astype(np.uint8)


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
SCRIPT[13] = [{"type": "release", "pointer": 3}, {"type": "rest", "stiffness": 0.2, "momentum": 0.9}]
SCRIPT[16] = [{"type": "release", "pointer": 9}]
SCRIPT[21] = [{"type": "rest", "stiffness": 0.0, "momentum": 0.0, "anchored": False}]
SCRIPT[23] = [{"type": "poke", "pointer": 3, "at": AT, "shift": (-30, 10), "kind": "impulse"}]


HELD: list[list[dict[str, Any]]] = [[] for _ in range(60)]  # for so long that a held poke fades, and acts again
HELD[0] = [{"type": "poke", "pointer": 3, "at": AT, "shift": (40.5, -20), "kind": "shift"}]
HELD[40] = [{"type": "rest", "stiffness": 0.2, "momentum": 0.9}]
HELD[45] = [{"type": "poke", "pointer": 4, "at": (100, 40), "shift": (25, 0), "kind": "impulse"}]


def played(session: Session, script: list[list[dict[str, Any]]]) -> list[Frame]:
    pointers: dict[int, int] = {}
    frames = []
    for actions in script:
        for action in actions:
            match action["type"]:
                case "poke":
                    if action["pointer"] in pointers:
                        session.release(pointers.pop(action["pointer"]))
                    pointer = session.poke(action["at"], action["shift"], action.get("kind", "shift"))
                    if action.get("kind", "shift") == "shift":
                        pointers[action["pointer"]] = pointer
                case "drag":
                    session.drag(pointers[action["pointer"]], action["to"])
                case "release":
                    session.release(pointers.pop(action["pointer"]))
                case "rest":
                    session.rest = Rest(action["stiffness"], action["momentum"], action.get("anchored", True))
        frames.append(session.advance())
    return frames


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


def test_memory_is_flat_over_a_thousand_steps(browser: Any, probe: Probe, fresh: dict[str, Any]) -> None:
    """Of the largest renderer, which is the page's with its worker: states that are not let go of are 0.2 MB a step."""
    processes = browser.new_browser_cdp_session().send("SystemInfo.getProcessInfo")["processInfo"]
    renderers = [process["id"] for process in processes if process["type"] == "renderer"]
    probe("manySteps", 300)
    before = max(resident_mb(pid) for pid in renderers)
    probe("manySteps", 1200)
    assert max(resident_mb(pid) for pid in renderers) - before < 60


def resident_mb(pid: int) -> float:
    if not Path("/proc").is_dir():
        pytest.skip("needs /proc to see how much memory a process has")
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


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


# The canvas

SIZES = [(5, 3), (64, 64), (63, 65), (333, 500), (700, 400), (1024, 1024), (1021, 769), (513, 7), (40, 30)]


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("resolution", [64, 128])
def test_the_model_sees_the_same_picture(probe: Probe, size: tuple[int, int], resolution: int) -> None:
    data = png(pictured(*size))
    canvas = Canvas(read_picture(data), resolution)
    found = probe("openPicture", encoded(data), resolution)
    assert (found["height"], found["width"]) == canvas.size
    assert (found["shownHeight"], found["shownWidth"]) == canvas.picture.shape[:2]
    assert np.abs(levels(found["shown"], found["shownWidth"], found["shownHeight"]) - canvas.picture).max() <= 1
    x_0 = floats(found["x0"], 3, resolution, resolution)
    assert np.abs(x_0 - canvas.x_0[0].numpy()).max() <= 1.01 / 127.5
    if min(size) >= resolution:  # it only shrinks, and that is exact
        np.testing.assert_array_equal(x_0, canvas.x_0[0].numpy())
    height, width = canvas.size
    points = [(0.0, 0.0), (-0.5, -0.5), (width - 0.5, height - 0.5), (width / 3, height / 7)]
    for point, place in zip(points, probe("located", points, (3.0, -2.0)), strict=True):
        expected = canvas.modelled(Poke(point, (3.0, -2.0)))
        assert (*place["at"], *place["shift"]) == (*expected.location, *expected.shift)
        np.testing.assert_allclose(place["back"], point, atol=1e-6 * max(size))


def test_transparent_pictures_lie_on_white(probe: Probe) -> None:
    alpha = np.random.default_rng(1).integers(0, 256, (200, 300, 1), dtype=np.uint8)
    data = png(np.concatenate((pictured(300, 200), alpha), axis=-1))
    found = probe("openPicture", encoded(data), 64)
    assert np.abs(levels(found["shown"], 300, 200) - read_picture(data)).max() <= 1


def test_a_photograph_is_turned_as_its_tag_says(probe: Probe) -> None:
    image = Image.fromarray(pictured(90, 60))
    tags = image.getexif()
    tags[0x0112] = 6
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=95, exif=tags)
    found = probe("openPicture", encoded(stream.getvalue()), 64)
    assert (found["width"], found["height"]) == (60, 90)
    assert np.abs(levels(found["shown"], 60, 90) - read_picture(stream.getvalue())).mean() < 2


@pytest.mark.parametrize("data", [b"", b"no picture", png(np.zeros((9, 9, 3), np.uint8))[:40]])
def test_a_file_that_is_no_picture_is_refused_in_one_sentence(probe: Probe, data: bytes) -> None:
    sentence = probe("refused", encoded(data))
    assert "holiday.png is" in sentence and sentence.count(".") <= 2


def test_a_picture_of_too_many_pixels_is_refused_with_the_limit(probe: Probe) -> None:
    stream = io.BytesIO()
    Image.new("1", (9000, 8000)).save(stream, "PNG")
    assert "the limit is 64 megapixels" in probe("refused", encoded(stream.getvalue()))


# The compositor


def smooth(channels: int, resolution: int, size: float, seed: int) -> np.ndarray:
    coarse = np.random.default_rng(seed).normal(0, size, (8, 8, channels)).astype(np.float32)
    fine = cv2.resize(coarse, (resolution, resolution), interpolation=cv2.INTER_CUBIC)
    return fine.reshape(resolution, resolution, channels).transpose(2, 0, 1).copy()


@pytest.mark.parametrize("kind", ["any-webgl", "plain"])
@pytest.mark.parametrize("size", [(512, 300), (201, 333)])
def test_the_compositor_draws_what_a_canvas_renders(probe: Probe, kind: str, size: tuple[int, int]) -> None:
    resolution = 64
    data = png(pictured(*size))
    canvas = Canvas(read_picture(data), resolution)
    probe("openPicture", encoded(data), resolution)
    flow, repaint = smooth(2, resolution, 3, 0), smooth(3, resolution, 0.05, 1)
    x_hat = smooth(3, resolution, 0.5, 2).clip(-1, 1)
    frames: list[dict[str, str | None]] = [
        {"flow": encoded(flow), "repaint": None, "xHat": None},
        {"flow": encoded(flow), "repaint": encoded(repaint), "xHat": None},
        {"flow": None, "repaint": None, "xHat": encoded(x_hat)},
    ]
    nothing = torch.zeros(1, 3, resolution, resolution)
    moved = torch.from_numpy(flow)[None]
    expected = [
        canvas.picture,
        canvas.render(Frame(nothing, moved, nothing)),
        canvas.render(Frame(nothing, moved, torch.from_numpy(repaint)[None])),
        canvas.render(Frame(torch.from_numpy(x_hat)[None])),
    ]
    heat = np.zeros((resolution, resolution), np.float32)
    heat[:, : resolution // 2] = 1
    found = probe("composed", kind, frames, encoded(heat))
    assert (found["kind"], found["width"], found["height"]) == (kind.removeprefix("any-"), *size)
    assert found["blob"] > 1000
    images = [levels(image, *size) for image in found["images"]]
    np.testing.assert_array_equal(images[0], expected[0])
    for image, should in zip(images[1:], expected[1:], strict=True):
        difference = np.abs(image - should)
        assert difference.mean() < 0.5 and np.percentile(difference, 99.9) <= 3
    heated = levels(found["heated"], *size)
    hot, cold = heated[:, : size[0] // 4], heated[:, -size[0] // 4 :]
    assert (hot[..., 0] - hot[..., 2]).mean() > 60  # the colours' upper end is yellow
    assert np.abs(cold[..., 0] - cold[..., 2]).mean() < 30 and cold.mean() < images[1].mean()  # nearly grey, and dimmed


def test_both_compositors_lay_heat_alike(probe: Probe) -> None:
    probe("openPicture", encoded(png(pictured(300, 200))), 64)
    frame = {"flow": encoded(smooth(2, 64, 3, 0)), "repaint": None, "xHat": None}
    heat = encoded(smooth(1, 64, 0.5, 3).clip(0, 1))
    images = [levels(probe("composed", kind, [frame], heat)["heated"], 300, 200) for kind in ("any-webgl", "plain")]
    assert np.abs(images[0] - images[1]).mean() < 0.5


def test_a_lost_context_comes_back_with_the_picture(probe: Probe) -> None:
    probe("openPicture", encoded(png(pictured(300, 200))), 64)
    assert probe("afterLoss")


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
