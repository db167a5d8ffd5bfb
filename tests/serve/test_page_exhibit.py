"""The page as an exhibit (`?demo`): a loop until somebody touches, a visitor who plays, the loop again, and no way out."""

from collections.abc import Iterator
from typing import Any

import pytest
from browser import opened, wait_for
from page_actions import GRABBED, PULL, drag, place

pytestmark = pytest.mark.slow

PLAYER = "poke2vid.player"
LOOPS = f"!document.getElementById('hint').hidden && {PLAYER}.replayed !== null"
HIDDEN = ("open", "camera", "record", "share", "load-script", "forget")
# A visitor who stays, however long a busy machine takes from one click to the next
STAYS = "window.visitor = setInterval(() => window.dispatchEvent(new PointerEvent('pointermove')), 100)"
LEAVES = "clearInterval(window.visitor)"
PREVENTED = """() => {
    const picture = document.getElementById('stage');
    const of = (type, kind, options) => !picture.dispatchEvent(new kind(type, { bubbles: true, cancelable: true, ...options }));
    return [
        of('contextmenu', MouseEvent), of('dragover', DragEvent), of('drop', DragEvent), of('paste', ClipboardEvent),
        of('wheel', WheelEvent, { ctrlKey: true }), of('keydown', KeyboardEvent, { key: 's', ctrlKey: true }),
        of('keydown', KeyboardEvent, { key: 'ArrowLeft', altKey: true }), of('keydown', KeyboardEvent, { key: 'F5' }),
    ];
}"""


@pytest.fixture(scope="module")
def exhibit(browser: Any, page_url: str) -> Iterator[Any]:
    """An exhibit whose loop comes back after a second."""
    page = opened(browser, f"{page_url}?demo=1", first=True)
    page.evaluate(f"{PLAYER}.rate = Infinity")
    yield page
    complaints = page.complaints
    page.context.close()
    assert complaints == []


def test_an_exhibit_plays_the_examples_until_somebody_touches_and_again_once_nobody_does(exhibit: Any) -> None:
    wait_for(exhibit, LOOPS)
    assert exhibit.is_hidden("#timeline")
    first = exhibit.evaluate(f"{PLAYER}.picture.name")
    wait_for(exhibit, f"{LOOPS} && {PLAYER}.picture.name !== '{first}'")  # one after another, by themselves
    shown = exhibit.evaluate(f"{PLAYER}.picture.name")
    exhibit.mouse.move(*place(exhibit, GRABBED))
    exhibit.mouse.down()
    wait_for(exhibit, f"{PLAYER}.felt.size === 1 && {PLAYER}.replayed === null")
    exhibit.wait_for_timeout(1200)  # longer than a visitor may be away
    assert exhibit.evaluate(f"[{PLAYER}.picture.name, {PLAYER}.held.size]") == [shown, 1]  # but a finger is there
    exhibit.evaluate(STAYS)
    exhibit.mouse.up()
    exhibit.click("#mode-pin")
    exhibit.click("#theme")
    exhibit.click("#mode-brush")
    exhibit.click("#brush-loose")
    exhibit.fill("#brush-size", "0.12")
    exhibit.evaluate("() => document.getElementById('single-keys').click()")
    exhibit.click("#mode-pin")
    drag(exhibit, GRABBED, PULL, let_go=True)
    exhibit.click("#help")
    exhibit.evaluate(LEAVES)
    wait_for(exhibit, f"{LOOPS} && {PLAYER}.picture.name !== '{shown}'")
    assert exhibit.is_hidden("#help-dialog") and exhibit.is_hidden("#toast")
    assert exhibit.get_attribute("#mode-pull", "aria-checked") == "true"
    assert exhibit.inner_text("#theme-text") == "Dark"
    assert exhibit.get_attribute("#brush-still", "aria-pressed") == "true"
    assert exhibit.input_value("#brush-size") == "0.06" and exhibit.is_checked("#single-keys")
    assert exhibit.evaluate(f"[{PLAYER}.pins.size, {PLAYER}.canUndo]")[0] == 0


def test_nothing_leads_out_of_an_exhibit_and_nothing_of_a_visit_is_kept(exhibit: Any) -> None:
    for name in HIDDEN:
        assert exhibit.is_hidden(f"#{name}"), name
    assert exhibit.locator("a[href]").count() == 0
    assert exhibit.evaluate(PREVENTED) == [True] * 8
    chosen: list[Any] = []
    exhibit.on("filechooser", lambda asked: chosen.append(asked))
    exhibit.evaluate(STAYS)
    drag(exhibit, GRABBED, PULL, let_go=True)
    exhibit.keyboard.press("o")
    exhibit.keyboard.press("s")
    exhibit.click(".brand")
    exhibit.fill("#strength", "2")
    wait_for(exhibit, f"document.getElementById('hint').hidden && {PLAYER}.canUndo")
    exhibit.evaluate(LEAVES)
    exhibit.evaluate("window.dispatchEvent(new Event('pagehide'))")  # when a visit is kept
    assert exhibit.is_hidden("#save-dialog") and chosen == [] and exhibit.url.endswith("?demo=1")
    assert exhibit.evaluate("getComputedStyle(document.body).userSelect") == "none"
    assert set(exhibit.evaluate("Object.keys(localStorage)")) <= {"poke2vid.choice"}  # how this machine computes best
    assert exhibit.evaluate("indexedDB.databases().then((all) => all.length)") == 0
