"""Visits of the page: on a phone, without a network, with settings that are kept, and with a server that computes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import READY, SharedPage, opened, sharing, wait_for
from page_actions import (
    BACK,
    GRABBED,
    PULL,
    WRITTEN,
    drag,
    far,
    near,
    open_picture,
    pause,
    place,
    shown,
    wait_for_frames,
)

from poke2vid.live.animator import load
from poke2vid.live.script import Script, replay

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def shared_phone(browser: Any, page_url: str) -> Iterator[SharedPage]:
    yield from sharing(browser, page_url, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)


@pytest.fixture
def phone(shared_phone: SharedPage, request: pytest.FixtureRequest) -> Iterator[Any]:
    with shared_phone.lent(request.session) as page:
        yield page


def test_several_fingers_pull_at_once_on_a_phone(phone: Any) -> None:
    client = phone.context.new_cdp_session(phone)
    points = [place(phone, (0.3, 0.5)), place(phone, (0.7, 0.5))]

    def touch(kind: str, by: float) -> None:
        fingers = [{"x": x + by, "y": y - by, "id": k} for k, (x, y) in enumerate(points)]
        client.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [] if kind == "touchEnd" else fingers})

    touch("touchStart", 0)
    for i in range(6):
        touch("touchMove", 4 * i)
        phone.wait_for_timeout(40)
    wait_for_frames(phone, 4)
    assert phone.evaluate("poke2vid.player.held.size") == 2
    assert phone.evaluate("scrollY") == 0
    touch("touchEnd", 0)
    wait_for(phone, "poke2vid.player.held.size === 0")
    widths = phone.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert widths[0] <= widths[1]


def test_a_phone_on_its_side_has_examples_picture_and_controls_beside_each_other(phone: Any) -> None:
    phone.set_viewport_size({"width": 667, "height": 375})
    phone.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")  # laid out anew
    strip, table, dock = (phone.locator(name).bounding_box() for name in (".strip", "#picture", ".dock"))
    assert strip["x"] + strip["width"] <= table["x"] and table["x"] + table["width"] <= dock["x"]
    assert all(box["y"] >= 0 and box["y"] + box["height"] <= 375 for box in (strip, table, dock))
    credit = phone.locator("#credit").bounding_box()
    assert "CC" in phone.inner_text("#credit") and credit["y"] >= table["y"] + table["height"]
    third = phone.locator("#examples li:nth-child(3) button")
    assert third.get_attribute("aria-current") != "true"
    third.tap()
    wait_for(
        phone, "document.querySelector('#examples li:nth-child(3) button').getAttribute('aria-current') === 'true'"
    )
    assert phone.evaluate("poke2vid.player.picture.name") == "person.jpg"


COPIED = """(async () => {
    const { files } = await (await fetch('files.json')).json();
    const needed = files.filter((name) => !/(ort[.]webgpu|asyncify|fp16)/.test(name));
    const found = await Promise.all(needed.map((name) => caches.match(new URL(name, location.href))));
    return found.every(Boolean);
})()"""


def test_it_works_offline_once_it_was_loaded(browser: Any, page_url: str) -> None:
    page = opened(browser, page_url)
    wait_for(page, "navigator.serviceWorker.controller !== null")
    wait_for(page, COPIED)
    page.context.set_offline(True)
    page.reload()
    wait_for(page, READY)
    before = shown(page)
    drag(page, (0.47, 0.4), PULL)  # the petals of the flower that the page begins with
    wait_for_frames(page, 8)
    assert np.abs(shown(page) - before).mean() > 0.3
    page.mouse.up()
    page.context.close()


@pytest.mark.thorough
def test_keys_of_one_letter_can_be_switched_off_for_good(page: Any) -> None:
    page.keyboard.press("?")
    page.uncheck("#single-keys")
    page.keyboard.press("Escape")
    for reload in (False, True):
        if reload:
            wait_for(page, WRITTEN)
            page.reload()
            wait_for(page, BACK)
        page.keyboard.press("p")
        assert page.inner_text("#play") == "Pause"
        page.focus("#stage")
        page.keyboard.press("Enter")
        assert page.evaluate("poke2vid.player.held.size") == 1
        page.keyboard.press("Escape")
        assert page.evaluate("poke2vid.player.held.size") == 0
    page.click("#help")
    page.check("#single-keys")


def test_the_same_page_moves_pictures_on_the_server(served: Any, balls: Path) -> None:
    assert served.evaluate("poke2vid.stats().backend") == "server"
    assert "sent to the server" in served.inner_text("#privacy")
    open_picture(served, balls)
    before = shown(served)
    drag(served, GRABBED, PULL)
    wait_for_frames(served, 10)
    change = np.abs(shown(served) - before)
    assert near(change, GRABBED, PULL) > 8 and far(change) < near(change, GRABBED, PULL) / 5
    pause(served)
    last = replay(Script.model_validate(served.evaluate("poke2vid.script()")), load().open(balls))[-1].picture.astype(
        int
    )
    assert np.abs(shown(served) - last).mean() < 0.7  # fields travel in half precision
    served.mouse.up()


def test_what_was_done_is_back_after_the_server_was_away(served: Any, balls: Path) -> None:
    open_picture(served, balls)
    drag(served, GRABBED, PULL, let_go=True)
    wait_for(served, "poke2vid.player.held.size === 0 && poke2vid.player.felt.size === 0")
    pause(served)
    done = served.evaluate("poke2vid.script()")
    served.evaluate(
        """() => {
            window.Usual = WebSocket;
            window.WebSocket = class extends Usual { constructor() { super(location.href.replace('http', 'ws') + 'away'); } };
        }"""
    )
    served.evaluate("poke2vid.engine.socket.close()")
    wait_for(served, "poke2vid.engine.socket.readyState === WebSocket.CLOSED")
    served.evaluate("poke2vid.player.step()")
    served.wait_for_selector("#toast-action:has-text('Start again')")
    served.click("#toast-action")
    served.wait_for_selector("#retry:not([hidden])")  # it is still away
    served.evaluate("() => { window.WebSocket = Usual; }")
    served.click("#retry")
    wait_for(served, "document.getElementById('loading').hidden && !poke2vid.player.recalls")
    assert served.evaluate("poke2vid.player.picture.name") == balls.name
    again = served.evaluate("poke2vid.script()")
    assert again["events"][: len(done["events"])] == done["events"] and again["frames"] >= done["frames"]
    served.click("#undo")
    wait_for(served, "!poke2vid.player.inFlight && !poke2vid.script()?.events.length")  # no frame has no script
    served.complaints.clear()  # of a server that was away
