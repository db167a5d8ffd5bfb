"""Page tests of where things stand: nothing shifts under a finger, and words about a picture leave it in sight."""

from typing import Any

import pytest
from browser import opened, wait_for
from page_actions import GRABBED, PULL, drag, wait_for_frames

pytestmark = pytest.mark.slow

OBSERVED = """() => {
    window.shifts = [];
    new PerformanceObserver((list) => {
        for (const { value, sources } of list.getEntries()) {
            const nodes = sources.map(({ node }) => node?.nodeType === Node.TEXT_NODE ? node.parentElement : node);
            const of = nodes.map((node) => node?.id || node?.className || node?.nodeName);
            const isPicture = nodes.every((node) => !node || node.closest('#frame, .credit'));
            shifts.push({ value, of, isPicture });
        }
    }).observe({ type: 'layout-shift', buffered: true });
}"""
DRAWN = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done))))"
LEAST = 0.001  # in sum, where nobody would see it


def shifts(page: Any) -> list[dict[str, Any]]:
    """Shifts since the last call, those that follow a touch as well."""
    page.evaluate(DRAWN)
    return page.evaluate("shifts.splice(0)")


@pytest.mark.parametrize(
    "size", [pytest.param((1280, 800), marks=pytest.mark.thorough), (390, 844)], ids=["desktop", "phone"]
)
def test_nothing_shifts_when_the_page_comes_and_when_it_is_played_with(
    browser: Any, page_url: str, size: tuple[int, int]
) -> None:
    page = opened(browser, page_url, viewport={"width": size[0], "height": size[1]})
    page.evaluate(OBSERVED)
    page.click("#mode-pin")
    drag(page, GRABBED, PULL, let_go=True)
    wait_for_frames(page, 5)
    page.wait_for_selector("#timeline:not([hidden])")
    for key, dialog in (("s", "#save-dialog"), ("?", "#help-dialog")):
        page.keyboard.press(key)
        page.wait_for_selector(dialog)
        page.keyboard.press("Escape")
    page.keyboard.press("r")
    page.wait_for_selector("#toast:not([hidden])")
    found = shifts(page)
    assert sum(shift["value"] for shift in found) < LEAST, found
    page.evaluate("() => { toast.hidden = true; }")  # it lies over a phone's examples
    # A picture of other proportions, or room for a phone's settings, moves the picture and nothing else
    for number, name in ((3, "person.jpg"), (4, "fly.jpg")):
        page.click(f"#examples li:nth-child({number}) button")
        wait_for(page, f"poke2vid.player.picture.name === '{name}'")
    if page.is_visible("#tune"):
        page.click("#tune")
        page.evaluate(DRAWN)
        page.click("#panel-close")
    others = [shift for shift in shifts(page) if not shift["isPicture"]]
    assert sum(shift["value"] for shift in others) < LEAST, others
    assert page.complaints == []
    page.context.close()


def test_the_hint_leaves_a_small_picture_in_sight(page: Any) -> None:
    page.evaluate("() => { hint.hidden = false; hint.classList.remove('gone'); }")
    for width, height in ((1280, 800), (390, 844), (740, 360), (240, 560), (240, 420)):
        page.set_viewport_size({"width": width, "height": height})
        wait_for(page, f"innerWidth === {width}")
        page.evaluate(DRAWN)
        hint, picture = page.locator("#hint").bounding_box(), page.locator("#picture").bounding_box()
        assert hint["width"] * hint["height"] < 0.15 * picture["width"] * picture["height"], (width, height)
        assert hint["y"] > picture["y"] + picture["height"] / 2 and hint["x"] >= picture["x"]
        assert hint["height"] < 0.27 * picture["height"], (width, height)
    page.evaluate("() => { hint.hidden = true; }")
