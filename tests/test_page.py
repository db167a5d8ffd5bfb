"""The page in a real browser: a picture comes in, is dragged, follows, and what was done can be taken away and played again."""

import base64
import json
import math
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from browser import chromium, opened, serving, wait_for
from PIL import Image
from typer.testing import CliRunner

from poke2vid.cli import app
from poke2vid.live.script import read_script, replay
from poke2vid.live.session import load
from poke2vid.media.pictures import read_picture, write_picture

pytestmark = pytest.mark.slow
WIDTH, HEIGHT = 480, 320
GRABBED = (0.3, 0.45)  # of the picture
PULL = (0.09, -0.06)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving() as address:
        yield address


@pytest.fixture(scope="module")
def server_url() -> Iterator[str]:
    with serving("--engine", "server") as address:
        yield address


@pytest.fixture
def page(browser: Any, url: str) -> Iterator[Any]:
    page = opened(browser, url, accept_downloads=True)
    yield page
    complaints = page.complaints
    page.context.close()
    assert complaints == []


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two patterned balls before a plain wall, at a size that page and program both show as it is.

    Waves all over are no object to the base, so nothing of them moves.
    """
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(float)
    ys, xs = y / 16, x / 16
    waves = np.stack((np.sin(xs + ys / 2), np.cos(xs / 2 - ys), np.sin(xs * ys / 60)), axis=-1)
    wall = np.stack((np.cos(x / 200), np.sin(y / 150), np.cos((x + y) / 220)), axis=-1)
    balls = ((0.3, 0.46, 60), (0.67, 0.56, 75))  # where, and the radius in pixels
    away = [np.hypot(x - cx * WIDTH, y - cy * HEIGHT) - r for cx, cy, r in balls]
    inside = sum(1 / (1 + np.exp(np.clip(d, -60, 60) / 1.5)) for d in away)[..., None]
    colours = (0.55 + 0.12 * wall) * (1 - inside) + (0.45 + 0.4 * waves) * inside
    path = tmp_path_factory.mktemp("pictures") / "balls.png"
    write_picture(path, np.rint(255 * colours.clip(0, 1)).astype(np.uint8))
    return path


def shown(page: Any) -> np.ndarray:
    """The compositor's last drawing, at the picture's own size."""
    size = page.evaluate("[poke2vid.player.compositor.width, poke2vid.player.compositor.height]")
    data = page.evaluate(
        """() => {
            poke2vid.player.draw();
            const { data } = poke2vid.player.compositor.pixels();
            let text = '';
            for (let i = 0; i < data.length; i += 32768) text += String.fromCharCode(...data.subarray(i, i + 32768));
            return btoa(text);
        }"""
    )
    flat = np.frombuffer(base64.b64decode(data), np.uint8)
    return flat.reshape(size[1], size[0], 4)[..., :3].astype(int)


def place(page: Any, share: tuple[float, float]) -> tuple[float, float]:
    """A point of the picture, on the screen."""
    box = page.locator("#picture").bounding_box()
    return box["x"] + share[0] * box["width"], box["y"] + share[1] * box["height"]


def drag(page: Any, at: tuple[float, float], by: tuple[float, float], *, let_go: bool = False) -> None:
    """As a hand does: in small moves, while frames come."""
    page.mouse.move(*place(page, at))
    page.mouse.down()
    for i in range(1, 9):
        page.mouse.move(*place(page, (at[0] + by[0] * i / 8, at[1] + by[1] * i / 8)))
        page.wait_for_timeout(40)
    if let_go:
        page.mouse.up()


def wait_for_frames(page: Any, count: int) -> None:
    now = page.evaluate("poke2vid.player.time")
    wait_for(page, f"poke2vid.player.time >= {now + count}")


def pause(page: Any) -> None:
    page.evaluate("poke2vid.player.play(false)")
    wait_for(page, "!poke2vid.player.inFlight")


def near(change: np.ndarray, at: tuple[float, float], by: tuple[float, float]) -> float:
    """Mean change around where the grabbed point went."""
    height, width = change.shape[:2]
    x, y = round((at[0] + by[0]) * width), round((at[1] + by[1]) * height)
    r = width // 12
    return float(change[max(y - r, 0) : y + r, max(x - r, 0) : x + r].mean())


def far(change: np.ndarray) -> float:
    """Mean change of the strip at the far side."""
    return float(change[:, -change.shape[1] // 8 :].mean())


def open_picture(page: Any, path: Path) -> None:
    page.set_input_files("#file", path)
    wait_for(page, f"poke2vid.player.picture.name === {json.dumps(path.name)}")


def downloaded(page: Any, kind: str) -> Path:
    page.click("#share")
    with page.expect_download(timeout=120_000) as waiting:
        page.click(f"[data-save={kind}]")
    page.wait_for_selector("#save-dialog", state="hidden")
    return Path(waiting.value.path())


def test_a_dragged_picture_follows_where_it_is_dragged_and_stays_elsewhere(page: Any, picture: Path) -> None:
    open_picture(page, picture)
    before = shown(page)
    np.testing.assert_array_equal(before, read_picture(picture))
    drag(page, GRABBED, PULL)
    wait_for_frames(page, 10)  # while the finger is down
    change = np.abs(shown(page) - before)
    assert near(change, GRABBED, PULL) > 8
    assert far(change) < near(change, GRABBED, PULL) / 5
    moved = change.mean()
    page.mouse.up()
    wait_for(page, "poke2vid.player.asleep")  # swings, comes to rest, and stops asking for frames
    assert np.abs(shown(page) - before).mean() < 0.25 * moved  # a little may stay where it was put (decision 022)
    assert page.evaluate("poke2vid.stats().frames") > 20


def test_it_can_be_poked_again_before_it_rests_and_with_a_second_poke_held(page: Any, picture: Path) -> None:
    open_picture(page, picture)
    still = shown(page)
    page.click("#mode-pin")
    drag(page, GRABBED, PULL, let_go=True)
    wait_for_frames(page, 6)
    page.click("#mode-pull")
    drag(page, (0.7, 0.6), (-0.08, 0.05))
    wait_for_frames(page, 10)
    change = np.abs(shown(page) - still)
    assert near(change, GRABBED, PULL) > 6
    assert near(change, (0.7, 0.6), (-0.08, 0.05)) > 6
    assert page.evaluate("poke2vid.player.held.size") == 2
    page.mouse.up()
    wait_for_frames(page, 1)
    assert page.evaluate("[...poke2vid.player.held.keys()].length") == 1  # the pin


def test_a_script_from_the_page_gives_the_program_the_same_frames(page: Any, picture: Path, tmp_path: Path) -> None:
    """Dragged, let go of and poked again mid-motion by a hand, at whatever speed the machine has."""
    open_picture(page, picture)
    drag(page, GRABBED, PULL, let_go=True)
    wait_for_frames(page, 5)
    drag(page, (0.6, 0.6), (-0.07, -0.05))
    wait_for_frames(page, 8)
    pause(page)
    page.mouse.up()  # while paused: that is felt in the next frame, which is not part of the script
    browsers, frames = shown(page), page.evaluate("poke2vid.player.time")
    script = downloaded(page, "json")
    events = read_script(script)
    assert events.frames == frames
    assert {event.type for event in events.events} == {"poke", "drag", "release"}
    last = replay(events, load().open(picture))[-1].picture.astype(int)
    assert np.abs(browsers - read_picture(picture)).mean() > 2
    assert np.abs(browsers - last).mean() < 0.7  # of 255: a texture unit interpolates in steps of 1/256, OpenCV of 1/32
    assert np.quantile(np.abs(browsers - last), 0.999) < 8
    video = tmp_path / "out.mp4"
    done = CliRunner().invoke(
        app, ["animate", str(picture), "--script", str(script), "--plain", "-o", str(video)], catch_exceptions=False
    )
    assert done.exit_code == 0
    *_, final = decoded(video.read_bytes())
    assert np.abs(final.astype(int) - browsers).mean() < 3  # H.264


def decoded(data: bytes) -> list[np.ndarray]:
    with av.open(BytesIO(data)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def test_a_script_is_played_in_the_page_and_a_wrong_one_is_refused_by_the_name_of_its_field(
    page: Any, picture: Path, tmp_path: Path
) -> None:
    open_picture(page, picture)
    path = tmp_path / "pokes.json"
    events = [{"type": "poke", "frame": 0, "at": [150, 140], "shift": [45, -20]}, {"type": "release", "frame": 12}]
    path.write_text(json.dumps({"version": 1, "frames": 14, "events": events}))
    page.set_input_files("#script-file", path)
    wait_for(page, "poke2vid.player.time >= 14 && !poke2vid.player.replayed")
    pause(page)
    written = page.evaluate("poke2vid.script()")
    assert [event["type"] for event in written["events"]] == ["poke", "release"]
    assert written["events"][0]["at"] == [150, 140]
    events[1]["frame"] = 99
    path.write_text(json.dumps({"version": 1, "frames": 14, "events": events}))
    page.set_input_files("#script-file", path)
    page.wait_for_selector("#toast:not([hidden])")
    assert "events.1.frame" in page.inner_text("#toast")


def test_undo_takes_the_last_poke_back_and_reset_all_of_them(page: Any, picture: Path) -> None:
    open_picture(page, picture)
    drag(page, GRABBED, PULL, let_go=True)
    wait_for_frames(page, 3)
    pause(page)
    before, frames = shown(page), page.evaluate("poke2vid.player.time")
    drag(page, (0.7, 0.6), (-0.08, 0.05))
    for taken in range(1, 5):
        page.keyboard.press(".")
        wait_for(page, f"poke2vid.player.time === {frames + taken} && !poke2vid.player.inFlight")
    assert np.abs(shown(page) - before).mean() > 0.3
    page.mouse.up()
    page.keyboard.press("z")
    wait_for(page, f"poke2vid.player.time === {frames} && !poke2vid.player.inFlight")
    np.testing.assert_array_equal(shown(page), before)
    assert sum(event["type"] == "poke" for event in page.evaluate("poke2vid.script().events")) == 1
    page.click("#reset")
    wait_for(page, "poke2vid.player.time === 0")
    np.testing.assert_array_equal(shown(page), read_picture(picture))


def test_everything_works_with_keys_alone(page: Any, picture: Path) -> None:
    open_picture(page, picture)
    before = shown(page)
    page.focus("#stage")
    page.keyboard.press("Enter")
    assert "grabbed at" in page.inner_text("#live")
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    wait_for_frames(page, 10)
    assert page.evaluate("poke2vid.player.held.size") == 1
    assert np.abs(shown(page) - before).mean() > 0.5
    page.keyboard.press("Enter")
    assert page.evaluate("poke2vid.player.held.size") == 0
    page.keyboard.press("?")
    assert page.is_visible("#help-dialog")
    page.keyboard.press("Escape")
    page.keyboard.press("p")
    assert page.get_attribute("#play", "aria-pressed") == "false"


def test_a_file_that_is_no_picture_is_refused_in_one_sentence_and_nothing_is_lost(
    page: Any, picture: Path, tmp_path: Path
) -> None:
    open_picture(page, picture)
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"\x89PNG\r\n\x1a\n but not really")
    page.set_input_files("#file", bad)
    page.wait_for_selector("#toast:not([hidden])")
    assert "bad.png is not a picture" in page.inner_text("#toast")
    assert page.get_attribute("#toast", "role") == "alert"
    assert page.evaluate("poke2vid.player.picture.name") == picture.name
    drag(page, GRABBED, PULL, let_go=True)
    wait_for_frames(page, 3)


@pytest.mark.parametrize("kind", ["webm", "mp4", "gif"])
def test_what_was_done_is_saved_as_a_video_of_every_frame(page: Any, picture: Path, kind: str) -> None:
    open_picture(page, picture)
    still = shown(page)
    drag(page, GRABBED, PULL)
    wait_for_frames(page, 6)
    pause(page)
    page.mouse.up()
    frames, last = page.evaluate("poke2vid.player.time"), shown(page)
    saved = decoded(downloaded(page, kind).read_bytes())
    assert len(saved) == frames + 1  # the picture at rest comes first
    assert saved[0].shape == (HEIGHT, WIDTH, 3)
    assert np.abs(saved[0].astype(int) - still).mean() < 8
    assert np.abs(saved[-1].astype(int) - last).mean() < 8
    assert np.abs(saved[-1].astype(int) - still).mean() > 2


def test_a_moment_is_saved_at_the_picture_s_own_size(page: Any, tmp_path: Path) -> None:
    large = tmp_path / "large.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 90, 3), np.uint8)).resize((900, 1200)).save(large)
    open_picture(page, large)
    drag(page, GRABBED, PULL)
    wait_for_frames(page, 8)
    page.mouse.up()
    with Image.open(downloaded(page, "png")) as saved:
        assert saved.size == (900, 1200)


def test_what_moves_together_lights_up(page: Any) -> None:
    """On the flower that the page begins with; on mere waves nothing moves together."""
    before, petal = shown(page), (0.47, 0.4)
    page.click("#heat")
    page.mouse.click(*place(page, petal))
    page.wait_for_selector("#legend:not([hidden])")
    heat = np.array(page.evaluate("[...poke2vid.player.heatMap]"))
    heat = heat.reshape(2 * (math.isqrt(len(heat)),))
    assert heat.min() >= 0 and heat.max() <= 1
    height, width = before.shape[:2]
    x, y = (
        round(c)
        for c in page.evaluate(f"poke2vid.player.canvas.modelled([{petal[0] * width}, {petal[1] * height}]).at")
    )
    assert heat[y - 1 : y + 2, x - 1 : x + 2].mean() > heat.mean() + 0.3
    assert np.abs(shown(page) - before).mean() > 5
    page.keyboard.press("Escape")
    page.wait_for_selector("#legend", state="hidden")
    np.testing.assert_array_equal(shown(page), before)


def test_several_fingers_pull_at_once_on_a_phone(browser: Any, url: str) -> None:
    page = opened(browser, url, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    client = page.context.new_cdp_session(page)
    points = [place(page, (0.3, 0.5)), place(page, (0.7, 0.5))]

    def touch(kind: str, by: float) -> None:
        fingers = [{"x": x + by, "y": y - by, "id": k} for k, (x, y) in enumerate(points)]
        client.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [] if kind == "touchEnd" else fingers})

    touch("touchStart", 0)
    for i in range(6):
        touch("touchMove", 4 * i)
        page.wait_for_timeout(40)
    wait_for_frames(page, 4)
    assert page.evaluate("poke2vid.player.held.size") == 2
    assert page.evaluate("scrollY") == 0
    touch("touchEnd", 0)
    wait_for(page, "poke2vid.player.held.size === 0")
    widths = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert widths[0] <= widths[1]
    assert page.complaints == []
    page.context.close()


COPIED = """(async () => {
    const { files } = await (await fetch('files.json')).json();
    const needed = files.filter((name) => !/(ort[.]webgpu|asyncify|fp16)/.test(name));
    const found = await Promise.all(needed.map((name) => caches.match(new URL(name, location.href))));
    return found.every(Boolean);
})()"""


def test_it_works_offline_once_it_was_loaded(browser: Any, url: str) -> None:
    page = opened(browser, url)
    wait_for(page, "navigator.serviceWorker.controller !== null")
    wait_for(page, COPIED)
    page.context.set_offline(True)
    page.reload()
    page.wait_for_selector("#loading", state="hidden")
    before = shown(page)
    drag(page, (0.47, 0.4), PULL)  # the petals of the flower that the page begins with
    wait_for_frames(page, 8)
    assert np.abs(shown(page) - before).mean() > 0.3
    page.mouse.up()
    page.context.close()


def test_the_same_page_moves_pictures_on_the_server(browser: Any, server_url: str, picture: Path) -> None:
    page = opened(browser, server_url)
    assert page.evaluate("poke2vid.stats().backend") == "server"
    assert "sent to the server" in page.inner_text("#privacy")
    open_picture(page, picture)
    before = shown(page)
    drag(page, GRABBED, PULL)
    wait_for_frames(page, 10)
    change = np.abs(shown(page) - before)
    assert near(change, GRABBED, PULL) > 8 and far(change) < near(change, GRABBED, PULL) / 5
    pause(page)
    last = replay(read_script_of(page), load().open(picture))[-1].picture.astype(int)
    assert np.abs(shown(page) - last).mean() < 0.7  # fields travel in half precision
    page.mouse.up()
    assert page.complaints == []
    page.context.close()


def test_a_flick_that_is_over_between_two_frames_still_moves_what_it_touched(page: Any, picture: Path) -> None:
    """Held for a few frames more, so that it is seen; and the script says what was done, so that it plays alike."""
    open_picture(page, picture)
    before = shown(page)
    x, y = place(page, GRABBED)
    box = page.locator("#picture").bounding_box()
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + PULL[0] * box["width"], y + PULL[1] * box["height"])
    page.mouse.up()
    wait_for_frames(page, 7)
    pause(page)
    assert near(np.abs(shown(page) - before), GRABBED, PULL) > 4
    page.evaluate("poke2vid.player.play(true)")
    wait_for(page, "poke2vid.player.held.size === 0 && poke2vid.player.felt.size === 0")
    poke, *_, release = page.evaluate("poke2vid.script().events")
    assert (poke["type"], release["type"]) == ("poke", "release")
    assert release["frame"] - poke["frame"] == 8
    events = [{"type": "poke", "frame": 0, "at": [9, 9], "shift": [9, 0], "pointer": 99}]
    events += [{"type": "release", "frame": 2, "pointer": 99}]  # whose pointer is used again below
    script = {"version": 1, "image": None, "frames": 20, "events": [{"kind": "shift", **event} for event in events]}
    page.evaluate("(script) => poke2vid.player.replay(script)", script)
    wait_for(page, "!poke2vid.player.replayed && poke2vid.player.time > 0")
    drag(page, (0.7, 0.6), (-0.08, 0.05))  # and while another one moves
    page.evaluate(
        """() => {
            const { player } = poke2vid;
            player.poke(99, [100, 100], [0, 0]);
            player.drag(99, [140, 90]);
            player.letGo(99);
        }"""
    )
    mine = "poke2vid.script().events.filter(({ pointer, frame }) => pointer === 99 && frame >= 20)"
    wait_for(page, f"{mine}.length === 3")
    flick = page.evaluate(mine)
    assert flick[-1]["frame"] - flick[0]["frame"] == 8
    page.mouse.up()
    wait_for(page, "poke2vid.player.held.size === 0")
    page.mouse.click(x, y)  # no flick: let go of at once
    assert page.evaluate("poke2vid.player.held.size") == 0


def test_a_tap_says_how_to_push(page: Any) -> None:
    page.click("#mode-push")
    page.mouse.click(*place(page, GRABBED))
    page.wait_for_selector("#toast:not([hidden])")
    assert "drag" in page.inner_text("#toast")
    assert page.evaluate("poke2vid.player.canUndo") is False


def test_keys_of_one_letter_can_be_switched_off_for_good(page: Any) -> None:
    page.keyboard.press("?")
    page.uncheck("#single-keys")
    page.keyboard.press("Escape")
    for _ in range(2):
        page.keyboard.press("p")
        assert page.get_attribute("#play", "aria-pressed") == "true"
        page.focus("#stage")
        page.keyboard.press("Enter")
        assert page.evaluate("poke2vid.player.held.size") == 1
        page.keyboard.press("Escape")
        assert page.evaluate("poke2vid.player.held.size") == 0
        page.reload()
        page.wait_for_selector("#loading", state="hidden")
    page.click("#help")
    page.check("#single-keys")


def test_a_phone_on_its_side_has_examples_picture_and_controls_beside_each_other(browser: Any, url: str) -> None:
    page = opened(browser, url, viewport={"width": 667, "height": 375}, has_touch=True, is_mobile=True)
    strip, table, dock = (page.locator(name).bounding_box() for name in (".strip", "#picture", ".dock"))
    assert strip["x"] + strip["width"] <= table["x"] and table["x"] + table["width"] <= dock["x"]
    assert all(box["y"] >= 0 and box["y"] + box["height"] <= 375 for box in (strip, table, dock))
    credit = page.locator("#credit").bounding_box()
    assert "CC" in page.inner_text("#credit") and credit["y"] >= table["y"] + table["height"]
    third = page.locator("#examples li:nth-child(3) button")
    assert third.get_attribute("aria-current") != "true"
    third.tap()
    wait_for(page, "document.querySelector('#examples li:nth-child(3) button').getAttribute('aria-current') === 'true'")
    assert page.evaluate("poke2vid.player.picture.name") == "person.jpg"
    assert page.complaints == []
    page.context.close()


def test_what_was_done_can_be_played_again_after_the_server_was_away(
    browser: Any, server_url: str, picture: Path
) -> None:
    page = opened(browser, server_url)
    open_picture(page, picture)
    drag(page, GRABBED, PULL, let_go=True)
    wait_for(page, "poke2vid.player.held.size === 0 && poke2vid.player.felt.size === 0")
    done = page.evaluate("poke2vid.script().events")
    page.evaluate(
        """() => {
            window.Usual = WebSocket;
            window.WebSocket = class extends Usual { constructor() { super(location.href.replace('http', 'ws') + 'away'); } };
        }"""
    )
    page.evaluate("poke2vid.engine.socket.close()")
    page.wait_for_timeout(200)
    page.mouse.click(*place(page, GRABBED))
    page.wait_for_selector("#toast-action:has-text('Start again')")
    page.click("#toast-action")
    page.wait_for_selector("#retry:not([hidden])")  # it is still away
    page.evaluate("() => { window.WebSocket = Usual; }")
    page.click("#retry")
    page.wait_for_selector("#toast-action:has-text('Play it again')")
    page.click("#examples li:nth-child(2) button")  # another picture meanwhile
    wait_for(page, "poke2vid.player.picture.name === 'robot.jpg'")
    page.click("#toast-action")
    wait_for(page, "poke2vid.player.time > 0 && !poke2vid.player.replayed")
    assert page.evaluate("poke2vid.player.picture.name") == picture.name
    assert page.evaluate("poke2vid.script().events")[: len(done)] == done
    page.context.close()


def test_undo_while_paused_takes_one_poke_back_and_nothing_else(page: Any, picture: Path) -> None:
    open_picture(page, picture)
    drag(page, GRABBED, PULL)
    wait_for_frames(page, 9)
    pause(page)
    page.mouse.up()  # the release is on its way
    page.click("#mode-pin")
    for at in ((0.7, 0.6), (0.5, 0.2)):
        drag(page, at, (-0.08, 0.05), let_go=True)
    assert page.evaluate("[...poke2vid.player.pins]") == page.evaluate("[...poke2vid.player.held.keys()]") == [1, 2]
    page.focus("#stage")
    page.keyboard.press("z")
    wait_for(page, "!poke2vid.player.inFlight")
    assert page.evaluate("[...poke2vid.player.pins]") == page.evaluate("[...poke2vid.player.held.keys()]") == [1]
    page.keyboard.press("z")
    wait_for(page, "!poke2vid.player.inFlight")
    assert page.is_hidden("#pins")
    page.evaluate("poke2vid.player.play(true)")
    wait_for(page, "poke2vid.player.asleep && poke2vid.player.felt.size === 0")
    types = [event["type"] for event in page.evaluate("poke2vid.script().events")]
    assert types.count("poke") == types.count("release") == 1


def test_what_undo_comes_back_to_swings_on(page: Any, picture: Path) -> None:
    open_picture(page, picture)
    drag(page, GRABBED, PULL, let_go=True)
    wait_for(page, "poke2vid.player.felt.size === 0")
    pause(page)
    page.mouse.click(*place(page, (0.7, 0.6)))
    page.evaluate("poke2vid.player.play(true)")
    wait_for(page, "poke2vid.player.asleep")
    page.keyboard.press("z")
    wait_for(page, "!poke2vid.player.asleep")
    wait_for(page, "poke2vid.player.asleep")
    assert np.abs(shown(page) - read_picture(picture)).mean() < 2  # a little may stay where it was put


def test_a_step_that_fails_leaves_nobody_holding_who_let_go(page: Any, picture: Path) -> None:
    open_picture(page, picture)
    drag(page, GRABBED, PULL)
    wait_for_frames(page, 9)
    pause(page)
    page.mouse.up()
    page.evaluate(
        """() => {
            const { engine } = poke2vid;
            const step = engine.step.bind(engine);
            engine.step = async () => { engine.step = step; throw new Error('Not now.'); };
        }"""
    )
    page.evaluate("poke2vid.player.play(true)")
    page.wait_for_selector("#toast:has-text('Not now.')")
    assert page.evaluate("[poke2vid.player.held.size, poke2vid.player.felt.size]") == [0, 1]
    page.mouse.click(*place(page, (0.7, 0.6)))
    wait_for(page, "poke2vid.player.asleep && poke2vid.player.felt.size === 0 && poke2vid.player.held.size === 0")


FAILS_ONCE = """() => {
    const { engine } = poke2vid;
    const step = engine.step.bind(engine);
    engine.step = async (actions) => {
        if (!actions.some(({ type }) => type === 'release')) return step(actions);
        engine.step = step;
        throw new Error('Not now.');
    };
}"""


def test_a_script_whose_step_fails_ends_and_lets_go(page: Any, picture: Path) -> None:
    open_picture(page, picture)
    events = [
        {"type": "poke", "frame": 0, "at": [150, 140], "shift": [45, -20], "pointer": 0, "kind": "shift"},
        {"type": "release", "frame": 6, "pointer": 0},
    ]
    page.evaluate(FAILS_ONCE)
    script = {"version": 1, "image": None, "frames": 20, "events": events}
    assert page.evaluate("(script) => poke2vid.player.replay(script)", script) is True
    page.wait_for_selector("#toast:has-text('Not now.')")
    assert page.evaluate("[poke2vid.player.replayed, poke2vid.player.held.size, poke2vid.player.felt.size]") == [
        None,
        0,
        1,
    ]
    page.evaluate("poke2vid.player.play(true)")
    wait_for(page, "poke2vid.player.asleep && poke2vid.player.felt.size === 0")


def test_a_pin_needs_something_that_it_holds(page: Any, picture: Path) -> None:
    open_picture(page, picture)
    page.click("#mode-pin")
    drag(page, GRABBED, PULL)
    page.keyboard.press("r")  # with the finger down
    wait_for(page, "!poke2vid.player.inFlight")
    page.mouse.up()
    assert page.evaluate("[poke2vid.player.pins.size, poke2vid.player.held.size]") == [0, 0]
    assert page.is_hidden("#pins")


def test_a_script_does_not_play_on_a_picture_that_could_not_be_put_back(page: Any, picture: Path) -> None:
    open_picture(page, picture)
    drag(page, GRABBED, PULL, let_go=True)
    wait_for(page, "poke2vid.player.asleep")
    script = page.evaluate("poke2vid.script()")
    page.evaluate("poke2vid.player.setRest({ stiffness: 0.3, momentum: 0.5 })")
    page.evaluate("() => { poke2vid.engine.open = async () => { throw new Error('Too often.'); }; }")
    assert page.evaluate("(script) => poke2vid.player.replay(script)", script) is False
    assert page.evaluate("poke2vid.player.replayed") is None
    page.wait_for_selector("#toast:has-text('Too often.')")
    assert page.evaluate("poke2vid.player.rest") == {"stiffness": 0.3, "momentum": 0.5}


def test_starting_over_ends_a_heat_map_that_is_on_its_way(page: Any) -> None:
    page.keyboard.press("h")
    page.mouse.click(*place(page, (0.47, 0.4)))
    page.keyboard.press("r")
    wait_for(page, "!poke2vid.player.inFlight")
    page.wait_for_timeout(500)
    assert page.is_hidden("#toast") and page.is_hidden("#heat-pill") and page.is_hidden("#legend")


def test_a_gif_lasts_as_long_as_what_was_done_also_at_the_pace_of_a_screen(page: Any, picture: Path) -> None:
    """Viewers show no more than fifty frames a second."""
    open_picture(page, picture)
    page.evaluate("poke2vid.player.rate = 60")
    drag(page, GRABBED, PULL)
    wait_for_frames(page, 30)
    pause(page)
    page.mouse.up()
    frames = page.evaluate("poke2vid.player.time")
    with Image.open(downloaded(page, "gif")) as saved:
        delays = []
        for number in range(saved.n_frames):
            saved.seek(number)
            delays.append(saved.info["duration"])
    assert min(delays) >= 20
    assert abs(sum(delays) - 1000 * (frames + 1) / 60) <= 30


def read_script_of(page: Any) -> Any:
    from poke2vid.live.script import Script

    return Script.model_validate(page.evaluate("poke2vid.script()"))


def test_a_poke_ends_a_script_that_plays_and_lets_go_of_what_it_held(page: Any, picture: Path, tmp_path: Path) -> None:
    open_picture(page, picture)
    path = tmp_path / "pokes.json"
    events = [
        {"type": "poke", "frame": 0, "at": [150, 140], "shift": [45, -20], "pointer": 0},
        {"type": "poke", "frame": 3, "at": [150, 140], "shift": [9, 0], "pointer": 0, "kind": "impulse"},
        {"type": "poke", "frame": 5, "at": [300, 140], "shift": [45, -20], "pointer": 1},
    ]
    path.write_text(json.dumps({"version": 1, "frames": 2000, "events": events}))
    page.set_input_files("#script-file", path)
    wait_for(page, "poke2vid.player.time > 8")
    assert page.evaluate("[...poke2vid.player.held.keys()]") == [1]  # an impulse lets its pointer go first
    drag(page, GRABBED, PULL, let_go=True)
    wait_for(page, "poke2vid.player.held.size === 0 && poke2vid.player.felt.size === 0")
    assert page.evaluate("poke2vid.player.replayed") is None
    assert page.is_hidden("#toast")


def test_undo_takes_back_a_poke_that_no_frame_has_shown_yet_and_keeps_the_sliders_swing(
    page: Any, picture: Path
) -> None:
    open_picture(page, picture)
    pause(page)
    page.evaluate("poke2vid.player.setRest({ stiffness: 0.3, momentum: 0.5 })")
    drag(page, GRABBED, PULL)
    page.evaluate("poke2vid.player.play(true)")  # so both are felt in the first step
    wait_for_frames(page, 3)
    page.mouse.up()
    pause(page)
    frames = page.evaluate("poke2vid.player.time")
    drag(page, (0.7, 0.6), (-0.08, 0.05), let_go=True)
    assert page.evaluate("poke2vid.player.time") == frames
    page.keyboard.press("z")
    wait_for(page, "!poke2vid.player.inFlight && poke2vid.player.pending.length === 0")
    assert page.evaluate("poke2vid.player.time") == frames
    page.keyboard.press("z")
    wait_for(page, "!poke2vid.player.inFlight && poke2vid.player.time === 0")
    assert page.evaluate("poke2vid.player.rest") == {"stiffness": 0.3, "momentum": 0.5}
    page.keyboard.press(".")
    wait_for(page, "poke2vid.player.time === 1")
    rest = {"type": "rest", "frame": 0, "stiffness": 0.3, "momentum": 0.5}
    assert page.evaluate("poke2vid.script().events") == [rest]
