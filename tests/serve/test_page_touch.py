"""The page with a model that sees what it touches, in a real browser: the same numbers as a session's."""

import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
import uvicorn
from browser import READY, opened, wait_for
from page_probe import HALF_TOLERANCE, ISOLATION, WEB, Probe, encoded, floats, host, pictured, played, png, resident_mb

from poke2vid.export.run import export_model, graphs_of
from poke2vid.export.site import Files, config_json, files_json, site_files
from poke2vid.live.session import Session
from poke2vid.media.pictures import read_picture
from poke2vid.model.files import load_player, save_touch_video
from poke2vid.model.response import CELL
from poke2vid.model.swing import LAW, PUSHED, SWING, rest_of
from poke2vid.model.touch_encoder import TouchConfig
from poke2vid.model.touch_video import TouchVideo, TouchVideoConfig
from poke2vid.serve.app import build_app
from poke2vid.serve.heat import heat_of
from poke2vid.serve.rooms import Limits
from poke2vid.serve.run import build_engine, configured, listen
from poke2vid.types import Frame, Pair, Poke

pytestmark = pytest.mark.slow
FLOW_TOLERANCE = 2e-3  # pixels of the model over 25 steps
SMALL = {"seeing": (8, 16, 16, 16), "touching": (8, 8, 16, 16), "compared": (8, 8), "swing": 8, "stays": True}
AT = (250.0, 160.0)
SCRIPT: list[list[dict[str, Any]]] = [[] for _ in range(25)]
SCRIPT[0] = [{"type": "poke", "pointer": 3, "at": AT, "shift": (40.5, -20), "kind": "shift"}]
SCRIPT[4] = [{"type": "drag", "pointer": 3, "to": (300, 120)}]
SCRIPT[6] = [  # a second finger, which pins its point, and a push
    {"type": "poke", "pointer": 9, "at": (100, 200.5), "shift": (0, 0)},
    {"type": "poke", "pointer": 4, "at": (410.4, 99), "shift": (25, 10), "kind": "impulse"},
]
SCRIPT[9] = [
    {"type": "poke", "pointer": 3, "at": (300, 130), "shift": (0, 44), "kind": "shift"}
]  # of the moved picture
SCRIPT[12] = [
    {"type": "brush", "path": [(80, 30), (190.5, 150), (70, 210)], "radius": 37, "still": True},
    {"type": "brush", "path": [(120, 90)], "radius": 20, "still": False},
]
SCRIPT[13] = [{"type": "release", "pointer": 3}, {"type": "rest", "stiffness": 0.2, "momentum": 0.9}]
SCRIPT[16] = [{"type": "release", "pointer": 9}]
SCRIPT[20] = [{"type": "rest", "stiffness": 0.0, "momentum": 0.0, "anchored": False}]
SCRIPT[22] = [{"type": "poke", "pointer": 3, "at": AT, "shift": (-30, 10), "kind": "impulse"}]


def touch_video() -> TouchVideo:
    """At 64 pixels, with weights at random, but for a sharp mask, and influences about those of a thing that follows."""
    torch.manual_seed(3)
    model = TouchVideo(TouchVideoConfig(touch=TouchConfig(resolution=64, **SMALL)))  # type: ignore[arg-type]
    encoder = model.touch_encoder
    torch.nn.init.normal_(encoder.head.weight, std=0.002)
    torch.nn.init.normal_(encoder.swing[1].weight, std=0.01)
    encoder.swing[1].bias.data[PUSHED.start :] = torch.tensor([0.3, -0.2, 0.5, 0.2, -0.1, 0.3, -0.2, 0.4])
    encoder.head.bias.data[:4] = encoder.head.bias.data[CELL + 4 : 2 * CELL] = 1
    encoder.find[2][1].weight.data *= 6
    return model.eval()


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[int, TouchVideo]:
    """As they are read from files, in half precision, by resolution; their graphs lie in `folder`.

    The larger one is the base, whose graphs come with the package: an export takes long.
    """
    place = tmp_path_factory.mktemp("touch")
    small = place / "64.safetensors"
    save_touch_video(small, touch_video(), {})
    export_model(small, place / "64" / "model", half=False)
    graphs_of(None, place / "128" / "model", half=False)
    found = {}
    for resolution, path in ((64, small), (128, None)):
        model = load_player(path).model
        assert isinstance(model, TouchVideo) and model.resolution == resolution
        model.folder = place / str(resolution) / "model"
        found[resolution] = model
    return found


@pytest.fixture(scope="module")
def site(models: dict[int, TouchVideo]) -> Files:
    """The page, both models' graphs, and what tests do in it."""
    files = site_files() | {f"tests/{path.name}": path for path in WEB.iterdir()}
    for resolution, model in models.items():
        files |= {f"{resolution}/model/{path.name}": path for path in model.folder.iterdir()}
    return files


@pytest.fixture(scope="module")
def probe(browser: Any, site: Files) -> Iterator[Probe]:
    with host(site, ISOLATION) as url:
        page = browser.new_page()
        page.goto(f"{url}tests/page.html")
        yield Probe(page)
        page.context.close()


@pytest.fixture(scope="module")
def picture() -> bytes:
    return png(pictured(512, 300))


def flows(found: list[dict[str, Any]], expected: list[Frame]) -> float:
    """Largest difference of flow in pixels of the model, of all but one in five hundred.

    Where as much of a cell has arrived as just counts (`ARRIVED`), rounding decides whether its motion is known.
    """
    differences = [
        np.quantile(np.abs(floats(fields["flow"], *frame.flow.shape[1:]) - frame.flow[0].numpy()), 0.998)
        for fields, frame in zip(found, expected, strict=True)
        if frame.flow is not None
    ]
    return float(max(differences))


@pytest.mark.parametrize("resolution", [64, 128], scope="module")
def test_a_script_gives_the_frames_that_a_session_gives(
    probe: Probe, models: dict[int, TouchVideo], picture: bytes, resolution: int
) -> None:
    info = probe("openEngine", {"prefer": "wasm"}, encoded(picture), f"{resolution}/")
    probe.resolution = resolution
    assert (info["backend"], info["resolution"], info["decoder"]) == ("wasm", resolution, "layers")
    found = probe("steps", SCRIPT)
    expected = played(Session(models[resolution], read_picture(picture)), SCRIPT)
    assert max(float(frame.flow.abs().max()) for frame in expected if frame.flow is not None) > 2
    assert flows(found, expected) < FLOW_TOLERANCE
    for fields, frame in zip(found, expected, strict=True):
        assert frame.mask is not None and fields["repaint"] is None
        mask = floats(fields["mask"], resolution, resolution)
        assert 0.1 < mask.mean() < 0.8
        np.testing.assert_allclose(mask, frame.mask[0, 0], atol=1e-4)


def reopened(probe: Probe, picture: bytes, resolution: int = 64) -> None:
    """The picture at rest; an engine that runs already is not assembled anew."""
    if probe.resolution == resolution:
        probe("reopen")
    else:
        probe("openEngine", {"prefer": "wasm"}, encoded(picture), f"{resolution}/")
        probe.resolution = resolution


def test_an_influence_of_an_export_of_version_3_is_read_as_it_was_meant(probe: Probe) -> None:
    """Maps of a law and the logit of what moves along, each repeated on its cell; nothing is known of what stays."""
    row = torch.randn(LAW + 1, 16, 16).repeat_interleave(2, dim=1).repeat_interleave(2, dim=2)
    influence = torch.cat((torch.randn(7, 8, 32, 32), row[None]))
    script = """async (values) => {
        const { modernised, cellsOf } = await import('/js/engine/touch/drive.js');
        const influence = modernised(Float32Array.from(values));
        return [Array.from(cellsOf(influence, 0, 16)), Array.from(influence.slice(0, 7 * 8 * 1024))];
    }"""
    cells, others = probe.page.evaluate(script, influence.flatten().tolist())
    expected = torch.cat((row[:LAW, ::2, ::2], torch.zeros(SWING - LAW, 16, 16), row[LAW:, ::2, ::2]))
    assert torch.equal(torch.tensor(cells).unflatten(0, (16, 16, 16)), expected)
    assert torch.equal(torch.tensor(others), influence[:7].flatten())


def test_an_untouched_picture_stays_to_the_bit(probe: Probe, picture: bytes) -> None:
    reopened(probe, picture)
    for fields in probe("steps", [[], [], []]):
        assert not floats(fields["flow"], -1).any()


def test_a_marked_moment_comes_back_with_all_that_was_held(probe: Probe, picture: bytes) -> None:
    reopened(probe, picture)
    at_first = probe("mark")
    head = probe("steps", SCRIPT[:11])
    mark = probe("mark")
    tail = probe("steps", SCRIPT[11:])
    assert probe("restore", mark) == head[-1]
    assert probe("steps", SCRIPT[11:]) == tail
    assert probe("restore", mark) == head[-1]  # and once more: a mark is not used up
    assert probe("restore", at_first) is None  # nothing was predicted yet
    assert probe("steps", SCRIPT[:11]) == head


def test_the_oldest_of_many_marks_are_forgotten(probe: Probe, picture: bytes) -> None:
    reopened(probe, picture)
    marks = [probe("mark") for _ in range(70)]
    assert "no longer kept" in probe("restoreError", marks[5])
    assert probe("restore", marks[6]) is None


def test_what_cannot_be_done_is_said_and_changes_nothing(probe: Probe, picture: bytes) -> None:
    reopened(probe, picture)
    possible = {"type": "poke", "pointer": 1, "at": [20, 20], "shift": [9, 9]}
    drag = {"type": "drag", "pointer": 7, "to": [3, 3]}
    assert "Pointer 7 holds nothing" in probe("stepError", [possible, drag])
    assert "outside the picture" in probe("stepError", [{**possible, "at": [64, 3]}])
    (fields,) = probe("steps", [[]])
    assert fields["time"] == 1 and not floats(fields["flow"], -1).any()


def heat_at(model: TouchVideo, picture: bytes, at: Pair) -> np.ndarray:
    session = Session(model, read_picture(picture))
    heat = heat_of(session, session.canvas.modelled(Poke(at, (0, 0))).location)
    heat.slice()
    assert heat.done
    return heat.map()


@pytest.mark.parametrize("resolution", [64, 128], scope="module")
def test_what_moves_along_is_said_without_a_poke(
    probe: Probe, models: dict[int, TouchVideo], picture: bytes, resolution: int
) -> None:
    reopened(probe, picture, resolution)
    found = probe("heatAndLife", AT)
    expected = heat_at(models[resolution], picture, AT)
    np.testing.assert_allclose(floats(found["map"], resolution, resolution), expected, atol=1e-4)
    assert 0.9 < expected.max() <= 1 and expected.min() < 0.3
    assert found["shares"][-1] == 1


def test_memory_is_flat_over_a_thousand_steps(browser: Any, probe: Probe, picture: bytes) -> None:
    """Of the largest renderer; a moment is 0.2 MB, a touch 0.4."""
    reopened(probe, picture)
    processes = browser.new_browser_cdp_session().send("SystemInfo.getProcessInfo")["processInfo"]
    renderers = [process["id"] for process in processes if process["type"] == "renderer"]
    probe("manySteps", 200)
    before = max(resident_mb(pid) for pid in renderers)
    probe("manySteps", 1000)
    assert max(resident_mb(pid) for pid in renderers) - before < 60


# On a server


@pytest.fixture(scope="module", params=["model", "graphs"])
def remote(request: pytest.FixtureRequest, browser: Any, site: Files, models: dict[int, TouchVideo]) -> Iterator[Probe]:
    """A page of a server that computes with the model, or with its graphs."""
    before = torch.get_num_threads()
    folder = models[64].folder
    engine = build_engine(folder if request.param == "graphs" else folder.parent.with_suffix(".safetensors"), Limits())
    server = uvicorn.Server(configured(build_app(site, engine), Limits()))
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


def test_an_engine_on_the_server_gives_the_same(remote: Probe, models: dict[int, TouchVideo], picture: bytes) -> None:
    info = remote("openEngine", {"prefer": "server"}, encoded(picture))
    assert (info["backend"], info["resolution"], info["decoder"]) == ("server", 64, "layers")
    expected = played(Session(models[64], read_picture(picture)), SCRIPT)
    mark = remote("mark")
    found = remote("steps", SCRIPT, True)
    assert flows(found, expected) < HALF_TOLERANCE
    assert expected[0].mask is not None
    np.testing.assert_allclose(floats(found[0]["mask"], 64, 64), expected[0].mask[0, 0], atol=1e-3)
    assert remote("restore", mark) is None
    assert remote("steps", SCRIPT[:3]) == found[:3]
    heat = floats(remote("heatAndLife", AT)["map"], 64, 64)
    np.testing.assert_allclose(heat, heat_at(models[64], picture, AT), atol=1e-3)
    remote("closeEngine")


# The whole page


@pytest.fixture(scope="module")
def url(site: Files, models: dict[int, TouchVideo]) -> Iterator[str]:
    files = {name: source for name, source in site.items() if not name.startswith(("tests/", "64/", "128/"))}
    files |= {f"model/{path.name}": path for path in models[64].folder.iterdir()}
    files["config.json"] = config_json("browser")
    files["files.json"] = files_json(files, [name.removesuffix(".gz") for name in files])
    with host(files, ISOLATION) as address:
        yield f"{address}index.html"


def slid(page: Any, name: str, value: float) -> Any:
    page.get_by_test_id(name).fill(str(value))
    return page.evaluate("poke2vid.player.rest")


@pytest.mark.parametrize("compositor", [pytest.param("plain", marks=pytest.mark.thorough), "webgl"])
def test_the_page_plays_it_and_its_sliders_say_hertz_and_damping(browser: Any, url: str, compositor: str) -> None:
    page = opened(browser, f"{url}?compositor={compositor}&engine=wasm")
    usual = page.evaluate("poke2vid.engine.info.defaultRest")
    wait_for(page, "poke2vid.player.compositor !== null")
    assert page.locator("label:has(#swing)").inner_text().split() == ["Loose", "Firm"]
    page.check("#numbers")
    assert page.locator("label:has(#swing)").inner_text().split() == ["Loose", "1.30", "Hz", "Firm"]
    assert page.locator("label:has(#stiffness)").inner_text().split() == ["Calm", "0.12", "Lively"]
    found = slid(page, "swing", 2.0)
    assert (found["stiffness"], found["momentum"]) == pytest.approx(law(2.0, 0.12), abs=1e-6)
    found = slid(page, "stiffness", 0.3)
    assert (found["stiffness"], found["momentum"]) == pytest.approx(law(2.0, 0.3), abs=1e-6)
    slid(page, "swing", 1.3)
    assert slid(page, "stiffness", 0.12) == usual
    found = slid(page, "stiffness", 0.03)
    assert page.get_by_test_id("stiffness").input_value() == "0.03"
    assert found != usual and page.get_by_test_id("feel-reset").is_visible()
    page.get_by_test_id("feel-reset").click()
    assert page.evaluate("poke2vid.player.rest") == usual
    box = page.locator("#picture").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    for k in range(1, 9):
        page.mouse.move(x + 5 * k, y - 3 * k)
        page.wait_for_timeout(30)
    wait_for(page, "poke2vid.player.fields?.flow.some((value) => Math.abs(value) > 0.5)")
    assert page.evaluate("poke2vid.player.fields.mask.length") == 64 * 64
    page.mouse.up()
    page.get_by_test_id("heat").click()
    page.mouse.click(x, y)
    wait_for(page, "poke2vid.player.heatMap !== null")
    assert page.complaints == []
    page.context.close()


@pytest.mark.thorough
def test_sliders_that_were_moved_are_where_they_were_at_the_next_visit_until_they_are_set_back(
    browser: Any, url: str
) -> None:
    page = opened(browser, f"{url}?engine=wasm")
    usual = page.evaluate("poke2vid.engine.info.defaultRest")
    slid(page, "swing", 2.0)
    moved = slid(page, "stiffness", 0.03)
    for expected in (moved, usual):
        page.reload()
        wait_for(page, READY)
        assert page.evaluate("poke2vid.player.rest") == expected
        if expected == moved:
            assert [page.get_by_test_id(name).input_value() for name in ("swing", "stiffness")] == ["2", "0.03"]
            page.get_by_test_id("feel-reset").click()
    page.evaluate("localStorage.setItem('poke2vid.feel-touch', '2.0 nonsense')")
    page.reload()
    wait_for(page, READY)
    assert page.evaluate("poke2vid.player.rest") == usual and page.complaints == []
    page.context.close()


def law(hertz: float, damping: float) -> tuple[float, float]:
    rest = rest_of(hertz, damping)
    return rest.stiffness, rest.momentum
