"""An exported page among other people: links that carry what was done, and the page within the page of another host."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import READY, SharedPage, sharing, wait_for
from page_actions import GRABBED, PULL, drag, open_picture, pause, shown, wait_for_frames
from page_probe import ISOLATION, host

from poke2vid.export.run import export_page
from poke2vid.export.site import Files

pytestmark = pytest.mark.slow

MOST = 16_000  # characters of a link
CLIPBOARD = ["clipboard-read", "clipboard-write"]
MOVES = "poke2vid.player.fields?.flow.some((value) => Math.abs(value) > 0.5)"
NO_STORAGE = """if (window.top !== window) for (const [owner, name] of [
    [window, 'localStorage'], [window, 'indexedDB'], [window, 'caches'], [Navigator.prototype, 'serviceWorker'],
]) Object.defineProperty(owner, name, { get() { throw new DOMException('refused', 'SecurityError'); } });"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """The files that `poke2vid export --web` writes."""
    folder = tmp_path_factory.mktemp("web") / "site"
    return {path.relative_to(folder).as_posix(): path for path in export_page(None, folder, half=False)}


@pytest.fixture(scope="module")
def exported_url(site: Files) -> Iterator[str]:
    with host(site, ISOLATION) as address:
        yield f"{address}index.html"


@pytest.fixture(scope="module")
def shared_exported(browser: Any, exported_url: str) -> Iterator[SharedPage]:
    yield from sharing(browser, exported_url, permissions=CLIPBOARD)


@pytest.fixture
def exported(shared_exported: SharedPage, request: pytest.FixtureRequest) -> Iterator[Any]:
    with shared_exported.lent(request.session) as page:
        yield page


def copied(page: Any, way: str) -> str:
    """Text that a button of the save dialog copies."""
    page.click("#share")
    page.click(f"#send-{way}")
    wait_for(page, "document.getElementById('send-what').textContent !== ''")
    text = page.evaluate("navigator.clipboard.readText()")
    assert text == page.input_value("#sent") and page.is_visible("#sent")
    said = page.inner_text("#send-what")
    page.keyboard.press("Escape")
    assert said.startswith("Copied.")
    return text


def goes_to(page: Any, link: str) -> None:
    """Follows a link within the page that is open, as one from a message does."""
    page.evaluate("(hash) => { location.hash = hash; }", link.partition("#")[2])


def test_a_link_carries_picture_and_pokes_and_plays_them(exported: Any, balls: Path) -> None:
    open_picture(exported, balls)
    drag(exported, GRABBED, PULL)
    wait_for_frames(exported, 8)
    pause(exported)
    exported.mouse.up()
    script, last = exported.evaluate("poke2vid.script()"), shown(exported)
    link = copied(exported, "link")
    assert len(link) <= MOST
    exported.evaluate("() => document.querySelector('#examples button').click()")
    wait_for(exported, "poke2vid.player.picture.name === 'flower.jpg'")
    goes_to(exported, link)
    wait_for(exported, f"poke2vid.player.picture.name === 'balls.png' && poke2vid.player.time >= {script['frames']}")
    felt = {
        (event["type"], event["frame"]) for event in script["events"]
    }  # of drags in one frame only the last is felt
    again = exported.evaluate("poke2vid.script().events")
    assert {(event["type"], event["frame"]) for event in again if event["frame"] < script["frames"]} == felt
    wait_for(exported, MOVES)
    assert np.abs(shown(exported) - last).mean() < 12  # a lossy picture, some frames later
    assert "#poke=" in exported.url
    drag(exported, GRABBED, PULL, let_go=True)
    assert "#" not in exported.url  # from here on a reload brings back what the visitor did


def test_a_link_offers_the_way_back_to_what_was_done_before(exported: Any) -> None:
    drag(exported, (0.47, 0.4), PULL)
    wait_for_frames(exported, 6)
    pause(exported)
    exported.mouse.up()
    link, script = copied(exported, "link"), exported.evaluate("poke2vid.script()")
    exported.evaluate("poke2vid.player.play(true)")
    goes_to(exported, link)
    exported.wait_for_selector("#toast-action:has-text('Back to flower.jpg')")
    exported.click("#toast-action")
    wait_for(exported, f"poke2vid.player.time >= {script['frames']} && !poke2vid.player.recalls")
    pause(exported)
    count = len(script["events"])
    assert exported.evaluate("poke2vid.script()")["events"][:count] == script["events"]
    assert "#" not in exported.url


@pytest.mark.parametrize(("end", "said"), [("poke=abc", "This link is damaged"), ("top", "not from poke2vid")])
def test_a_damaged_or_foreign_end_of_an_address_is_said_once_and_changes_nothing(
    exported: Any, end: str, said: str
) -> None:
    goes_to(exported, f"#{end}")
    exported.wait_for_selector(f"#toast:has-text('{said}')")
    assert exported.inner_text("#toast-text").count(".") == 1
    assert exported.evaluate("poke2vid.player.picture.name") == "flower.jpg"
    assert "#" not in exported.url


def test_what_is_too_much_for_a_link_is_said(exported: Any) -> None:
    events = [{"type": "poke", "frame": 0, "at": [320, 126], "shift": [0, 0], "pointer": 0, "kind": "shift"}]
    rng = np.random.default_rng(0)
    for frame in range(1, 4000):
        shift = rng.uniform(-30, 30, 2).tolist()
        events.append({"type": "drag", "frame": frame, "at": [320, 126], "shift": shift, "pointer": 0})
    script = {"version": 1, "image": None, "frames": 4000, "events": events}
    sentence = exported.evaluate(
        """async (script) => {
            const { linkOf } = await import('./js/link.js');
            const { picture } = poke2vid.player;
            return linkOf(location.href, script, picture, 'flower.jpg').then(() => '', (error) => error.message);
        }""",
        script,
    )
    assert sentence == "You did too much for one link; record a part of it, or save a video."


@pytest.mark.thorough
def test_a_link_plays_within_a_page_of_another_host(browser: Any, exported: Any, site: Files) -> None:
    """Without threads, for no other page is isolated, and where the browser lets it keep nothing."""
    drag(exported, (0.47, 0.4), PULL)
    wait_for_frames(exported, 8)
    pause(exported)
    exported.mouse.up()
    line = copied(exported, "embed")
    assert line.startswith(f'<iframe src="{exported.url}#poke=') and len(line) < 2000  # an example is only named
    with host(site, {}) as address:
        mine = line.replace(exported.url, f"{address}index.html")
        with host({"index.html": f"<!doctype html><title>Mine</title>{mine}".encode()}, {}) as other:
            page = browser.new_context(viewport={"width": 700, "height": 700}).new_page()
            page.add_init_script(NO_STORAGE)
            errors: list[str] = []
            page.on("pageerror", lambda error: errors.append(str(error)))
            page.goto(f"{other.replace('127.0.0.1', 'localhost')}index.html")
            frame = page.query_selector("iframe").content_frame()
            wait_for(frame, READY)  # what is not there yet counts as hidden for a selector
            assert frame.evaluate("[crossOriginIsolated, poke2vid.stats().threads]") == [False, 1]
            assert frame.evaluate("poke2vid.player.picture.name") == "flower.jpg"
            wait_for(frame, MOVES)
            assert frame.evaluate("poke2vid.player.replayed !== null || poke2vid.player.time > 8")
            assert errors == []
            page.context.close()
