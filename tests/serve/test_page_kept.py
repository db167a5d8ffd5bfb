"""Nothing that is done on the page is lost: not by a reload, the logo, the way back, a closed tab or starting over."""

import json
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from browser import READY, opened, wait_for
from page_actions import (
    BACK,
    DONE,
    GRABBED,
    PULL,
    WRITTEN,
    come_to_rest,
    drag,
    open_picture,
    pause,
    shown,
    wait_for_frames,
)
from PIL import Image

from poke2vid.media.pictures import read_picture

pytestmark = pytest.mark.slow

STORED = """async () => {
    const request = indexedDB.open('poke2vid');
    const database = await new Promise((done) => { request.onsuccess = () => done(request.result); });
    const all = database.transaction('visit').objectStore('visit').getAll();
    return new Promise((done) => { all.onsuccess = () => { database.close(); done(all.result); }; });
}"""

LATE_NEWS = "(id) => { document.getElementById(id).dispatchEvent(new Event('close')); }"


@pytest.fixture
def page(served: Any) -> Any:
    """A page that is quickly there, also again: nothing here depends on where frames are computed."""
    return served


def poked(page: Any, balls: Path) -> tuple[dict[str, Any], np.ndarray]:
    """A picture with a pin in it, paused: its script and what is shown."""
    open_picture(page, balls)
    page.click("#mode-pin")
    drag(page, GRABBED, PULL, let_go=True)
    wait_for_frames(page, 6)
    page.click("#mode-pull")
    drag(page, (0.7, 0.6), (-0.08, 0.05), let_go=True)
    wait_for(page, "poke2vid.player.held.size === 1 && poke2vid.player.felt.size === 1")
    pause(page)
    wait_for(page, WRITTEN)
    return page.evaluate("poke2vid.script()"), shown(page)


def logo(page: Any) -> Any:
    with page.expect_navigation():
        page.click(".brand")
    return page


def there_and_back(page: Any) -> Any:
    page.goto("about:blank")  # a page of the server would ask it for an icon
    page.go_back()
    return page


def another_tab(page: Any) -> Any:
    tab = page.context.new_page()
    tab.complaints = page.complaints
    tab.goto(page.url)
    page.close()
    return tab


def test_picture_and_all_that_was_done_come_back_until_they_are_cleared(
    browser: Any, served_url: str, balls: Path
) -> None:
    page = opened(browser, served_url)
    script, last = poked(page, balls)
    ways: list[Callable[[Any], Any]] = [logo, there_and_back, another_tab]
    for way in ways:
        page = way(page)
        wait_for(page, BACK)
        pause(page)
        assert page.evaluate("poke2vid.player.picture.name") == balls.name
        again = page.evaluate("poke2vid.script()")
        count = len(script["events"])
        assert again["events"][:count] == script["events"]
        assert page.evaluate("[...poke2vid.player.pins]") == [0]
        assert page.evaluate("poke2vid.stage.nextPointer") == 2
        if again["frames"] == script["frames"]:
            np.testing.assert_allclose(shown(page), last, atol=1)
        wait_for(page, WRITTEN)
        script, last = again, shown(page)
    for pokes in (1, 0):  # and each poke can be undone
        page.click("#undo")
        wait_for(page, "!poke2vid.player.inFlight")
        assert sum(event["type"] == "poke" for event in page.evaluate("poke2vid.script()?.events ?? []")) == pokes
    np.testing.assert_array_equal(shown(page), read_picture(balls))
    page.evaluate("() => document.getElementById('forget').click()")
    wait_for(page, "poke2vid.player.picture.name === 'flower.jpg'")
    page.wait_for_timeout(700)  # by then it would be written
    assert page.evaluate(STORED) == []
    page.reload()
    wait_for(page, READY)
    assert page.evaluate("poke2vid.player.picture.name") == "flower.jpg"
    assert page.evaluate("poke2vid.player.time") == 0
    assert page.complaints == []
    page.context.close()


@pytest.mark.thorough
def test_what_a_poke_at_an_earlier_moment_replaced_is_brought_back_also_after_a_reload(page: Any, balls: Path) -> None:
    poked(page, balls)
    page.evaluate("poke2vid.player.play(true)")
    page.evaluate("poke2vid.player.seek(4)")
    script = page.evaluate("poke2vid.script()")  # with the frames that came meanwhile
    drag(page, (0.7, 0.6), (-0.05, 0.02), let_go=True)
    wait_for(page, "poke2vid.player.time > 8 && poke2vid.player.held.size === 0")
    pause(page)
    wait_for(page, WRITTEN)
    page.reload()
    wait_for(page, BACK)
    spans = page.evaluate("poke2vid.player.spans.map(({ from }) => from)")
    assert spans[-1] == 4
    page.click("#undo")
    wait_for(page, "!poke2vid.player.inFlight && poke2vid.player.isEarlier")
    assert page.evaluate("poke2vid.script()") == script
    page.evaluate("() => document.getElementById('forget').click()")
    wait_for(page, "poke2vid.player.picture.name === 'flower.jpg'")


def comes_back(page: Any) -> None:
    wait_for(page, WRITTEN)
    page.reload()
    wait_for(page, BACK)


def test_watching_an_example_takes_nothing_of_the_visitor_s_away(page: Any) -> None:
    drag(page, GRABBED, PULL, let_go=True)
    wait_for(page, "poke2vid.player.held.size === 0 && poke2vid.player.felt.size === 0")
    done = page.evaluate("poke2vid.script().events")
    for leave, back in (("#reset", "#undo"), ("#examples [data-file='robot.jpg']", "#toast-action")):
        page.click("#watch")
        wait_for(page, "poke2vid.player.replayed !== null && poke2vid.player.time > 3")
        assert page.inner_text("#replaying-text") == "See how it moves" and page.is_hidden("#timeline")
        page.click("#replay-stop")
        page.click(leave)
        page.wait_for_selector("#toast-action:not([hidden])")
        page.click(back)
        wait_for(page, "poke2vid.player.picture.name === 'flower.jpg' && poke2vid.player.time > 0")
        wait_for(page, "!poke2vid.player.inFlight && !poke2vid.player.recalls")
        assert page.evaluate("poke2vid.script().events")[: len(done)] == done
    page.wait_for_selector("#timeline:not([hidden])")
    page.evaluate("() => document.getElementById('forget').click()")
    wait_for(page, "poke2vid.player.picture.name === 'flower.jpg' && !poke2vid.player.canUndo")


@pytest.mark.thorough
def test_starting_over_can_be_undone_after_a_reload_too(page: Any, balls: Path) -> None:
    script, _ = poked(page, balls)
    page.click("#reset")
    page.wait_for_selector("#toast:has-text('Started over.')")
    wait_for(page, f"async () => Boolean((await ({DONE})()).taken)")
    page.reload()
    wait_for(page, f"{READY} && poke2vid.player.canUndo")
    np.testing.assert_array_equal(shown(page), read_picture(balls))
    page.click("#undo")
    wait_for(page, f"!poke2vid.player.inFlight && poke2vid.player.time >= {script['frames']}")
    pause(page)
    assert page.evaluate("poke2vid.script().events")[: len(script["events"])] == script["events"]


@pytest.mark.thorough
def test_a_picture_that_was_left_comes_back_until_something_else_is_kept_and_is_offered_then(
    page: Any, balls: Path, tmp_path: Path
) -> None:
    script, _ = poked(page, balls)
    page.click("#examples [data-file='robot.jpg']")  # which nobody touches
    wait_for(page, "poke2vid.player.picture.name === 'robot.jpg'")
    page.wait_for_timeout(700)  # by then it would be written
    page.reload()
    wait_for(page, BACK)
    assert page.evaluate("poke2vid.player.picture.name") == balls.name
    other = tmp_path / "other.png"
    other.write_bytes(balls.read_bytes())
    open_picture(page, other)
    drag(page, GRABBED, PULL, let_go=True)
    wait_for_frames(page, 3)
    comes_back(page)
    assert page.evaluate("poke2vid.player.picture.name") == other.name
    page.click("#toast-action:has-text('Back to balls.png')")
    wait_for(page, f"poke2vid.player.picture.name === '{balls.name}' && poke2vid.player.time >= {script['frames']}")
    assert page.evaluate("poke2vid.script().events")[: len(script["events"])] == script["events"]


@pytest.mark.thorough
def test_an_example_that_a_second_tab_opens_takes_nothing_of_the_visit_away(page: Any, balls: Path) -> None:
    script, _ = poked(page, balls)
    tab = page.context.new_page()
    tab.goto(page.url)
    wait_for(tab, BACK)
    tab.click("#examples [data-file='robot.jpg']")
    wait_for(tab, "poke2vid.player.picture.name === 'robot.jpg'")
    tab.wait_for_timeout(700)  # by then it would be written
    tab.close()
    page.reload()  # what is kept by now is the other tab's, with frames that came there
    wait_for(page, BACK)
    assert page.evaluate("poke2vid.player.picture.name") == balls.name
    assert page.evaluate("poke2vid.script().events")[: len(script["events"])] == script["events"]


@pytest.mark.thorough
def test_a_poke_that_no_frame_has_shown_is_kept_and_coming_back_adds_no_frames(page: Any, balls: Path) -> None:
    open_picture(page, balls)
    pause(page)
    page.evaluate("poke2vid.player.setRest({ stiffness: 0.4, momentum: 0.1 })")  # soon still
    drag(page, GRABBED, PULL, let_go=True)
    assert page.evaluate("[poke2vid.player.time, poke2vid.player.pending.length > 0]") == [0, True]
    comes_back(page)
    assert page.evaluate("poke2vid.script().events.some(({ type }) => type === 'poke')")
    come_to_rest(page)
    frames = page.evaluate("poke2vid.player.time")
    for _ in range(2):
        comes_back(page)
        page.wait_for_timeout(800)  # of the page's half a second of stillness
        assert page.evaluate("poke2vid.player.time") == frames


@pytest.mark.thorough
def test_starting_over_can_be_undone_also_after_more_was_done(page: Any, balls: Path) -> None:
    script, last = poked(page, balls)
    page.click("#reset")
    page.wait_for_selector("#toast:has-text('Started over.')")
    np.testing.assert_array_equal(shown(page), read_picture(balls))
    page.evaluate("poke2vid.player.play(true)")
    drag(page, (0.7, 0.6), (-0.08, 0.05), let_go=True)
    wait_for_frames(page, 3)
    pause(page)
    page.keyboard.press("z")
    wait_for(page, "!poke2vid.player.inFlight")
    assert not any(event["type"] == "poke" for event in page.evaluate("poke2vid.script()?.events ?? []"))
    assert page.is_enabled("#undo")
    page.keyboard.press("z")
    wait_for(page, f"!poke2vid.player.recalls && poke2vid.player.time === {script['frames']}")
    np.testing.assert_allclose(shown(page), last, atol=1)
    assert page.evaluate("poke2vid.script()") == script
    page.click("#reset")
    page.click("#toast-action")
    wait_for(page, f"!poke2vid.player.recalls && poke2vid.player.time === {script['frames']}")
    assert page.evaluate("[...poke2vid.player.pins]") == [0]


def test_another_picture_offers_the_way_back_to_what_was_done(page: Any, balls: Path) -> None:
    script, _ = poked(page, balls)
    page.click("#examples li:nth-child(2) button")
    page.wait_for_selector("#toast-action:has-text('Back to')")
    page.click("#toast-action")
    wait_for(page, f"poke2vid.player.time === {script['frames']} && !poke2vid.player.recalls")
    assert page.evaluate("poke2vid.player.picture.name") == balls.name
    assert page.evaluate("poke2vid.script()") == script


@pytest.mark.thorough
def test_all_that_is_saved_is_of_the_moment_in_which_the_dialog_opened(page: Any, balls: Path) -> None:
    open_picture(page, balls)
    page.click("#mode-pin")
    drag(page, GRABBED, PULL, let_go=True)
    wait_for_frames(page, 5)
    frames = page.evaluate("() => { document.getElementById('share').click(); return poke2vid.player.time; }")
    last = {}
    for kind in ("mp4", "webm", "gif-large", "png", "json"):
        page.wait_for_timeout(100)  # the picture goes on meanwhile
        if kind != "json":  # the dialog stays, so that the next one is saved from it
            page.evaluate("() => { const d = document.getElementById('save-dialog'); d.close = () => delete d.close; }")
        with page.expect_download(timeout=120_000) as waiting:
            page.evaluate("(kind) => document.querySelector(`[data-save=${kind}]`).click()", kind)
            if kind == "mp4":
                page.evaluate(LATE_NEWS, "save-dialog")  # of an earlier dialog: it ends nothing
        data = Path(waiting.value.path()).read_bytes()
        wait_for(page, "document.getElementById('save-progress').hidden")
        if kind == "json":
            assert json.loads(data)["frames"] == frames
        elif kind == "png":
            last[kind] = np.asarray(Image.open(BytesIO(data)).convert("RGB"))
        else:
            with av.open(BytesIO(data)) as container:
                film = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
            assert len(film) == frames + 1
            last[kind] = film[-1]
    for kind in ("mp4", "webm", "gif-large"):
        assert np.abs(last[kind].astype(int) - last["png"]).mean() < 8
    assert np.abs(last["png"].astype(int) - read_picture(balls)).mean() > 1


def script_file(path: Path, **fields: Any) -> Path:
    events = [{"type": "poke", "frame": 0, "at": [150, 140], "shift": [45, -20]}, {"type": "release", "frame": 12}]
    path.write_text(json.dumps({"version": 1, "frames": 14, "events": events, **fields}))
    return path


def test_every_wrong_field_of_a_script_is_named_and_the_message_goes_when_the_next_thing_succeeds(
    page: Any, balls: Path, tmp_path: Path
) -> None:
    open_picture(page, balls)
    wrong = script_file(
        tmp_path / "wrong.json",
        version=2,
        speed=3,
        events=[
            {"type": "poke", "frame": 99, "at": [999, 140], "shift": "far", "kind": "pinch"},
            {"type": "jump"},
            {"type": "rest", "frame": 1, "stiffness": 7},
        ],
    )
    page.set_input_files("#script-file", wrong)
    page.wait_for_selector("#toast:has-text('version')")
    page.click("#toast-action:has-text('Show all')")
    named = page.inner_text("#faults")
    fields = ("version", "speed", "events.0.frame", "events.0.shift", "events.0.kind", "events.1.type")
    for field in (*fields, "events.2.momentum", "events.2.stiffness"):
        assert field in named
    page.keyboard.press("Escape")
    page.set_input_files("#script-file", script_file(tmp_path / "outside.json", events=[
        {"type": "poke", "frame": 0, "at": [999, 140], "shift": [4, 0]},
    ]))  # fmt: skip
    page.wait_for_selector("#toast:has-text('events.0.at: (999, 140) lies outside')")
    page.set_input_files("#script-file", script_file(tmp_path / "right.json"))
    wait_for(page, "poke2vid.player.time > 0 && !poke2vid.player.replayed")
    assert page.is_hidden("#toast")
    page.set_input_files("#script-file", wrong)
    page.wait_for_selector("#toast:has-text('version')")
    drag(page, GRABBED, PULL, let_go=True)
    page.wait_for_selector("#toast", state="hidden", timeout=4000)  # long before its time is over


def test_a_script_of_another_picture_asks_first(page: Any, balls: Path, tmp_path: Path) -> None:
    open_picture(page, balls)
    path = script_file(tmp_path / "pokes.json", image="robot.jpg")
    page.set_input_files("#script-file", path)
    page.wait_for_selector("#ask-dialog[open]")
    assert "robot.jpg" in page.inner_text("#ask-dialog")
    page.keyboard.press("Escape")
    assert page.evaluate("poke2vid.player.time") == 0
    page.set_input_files("#script-file", path)
    page.wait_for_selector("#ask-dialog[open]")
    page.evaluate(LATE_NEWS, "ask-dialog")  # that the first question was closed
    page.click("#ask-here")
    wait_for(page, "poke2vid.player.time > 0 && !poke2vid.player.replayed")
    assert page.evaluate("poke2vid.player.picture.name") == balls.name
    page.set_input_files("#script-file", path)
    page.click("#ask-there")
    wait_for(page, "poke2vid.player.picture.name === 'robot.jpg'")
    wait_for(page, "poke2vid.player.time > 0 && !poke2vid.player.replayed")
