"""What a visitor sees: the first seconds, words instead of numbers, and no line that is cut off at any width."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import READY, opened, wait_for
from page_actions import GRABBED, HEIGHT, PULL, WIDTH, downloaded, drag, open_picture, shown, wait_for_frames
from PIL import Image

from poke2vid.media.pictures import read_picture

pytestmark = pytest.mark.slow

NEED_PICTURE = ("reset", "undo", "play", "step", "heat", "record", "share")
CUT_OFF = """() => [...document.querySelectorAll('button, label, p, h2, span')].filter((element) => {
    const shown = element.checkVisibility({ visibilityProperty: true }) && !element.closest('.hidden-text');
    if (!shown || getComputedStyle(element).clipPath !== 'none') return false;
    const { left, right } = element.getBoundingClientRect();
    const block = getComputedStyle(element).display !== 'inline' && element.clientWidth > 0;
    return left < -0.5 || right > innerWidth + 0.5 || (block && element.scrollWidth > element.clientWidth + 1);
}).map((element) => element.id || element.textContent.trim())"""
LAID_OUT = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
SIZES = ((1280, 800), (1000, 700), (720, 900), (390, 844), (320, 640), (240, 560), (740, 360), (560, 320))


def test_a_first_visit_sees_the_example_at_once_and_one_poke_that_leaves_no_trace(
    browser: Any, served_url: str
) -> None:
    page = browser.new_context(viewport={"width": 1280, "height": 800}, java_script_enabled=False).new_page()
    page.goto(served_url)
    assert page.locator("#first").bounding_box()["width"] > 500
    assert page.evaluate("document.getElementById('first').naturalWidth") == 640
    for name in NEED_PICTURE:
        assert page.is_disabled(f"#{name}")
    page.context.close()
    page = opened(browser, served_url, first=True)
    wait_for(page, "poke2vid.player.time > 5")
    assert page.evaluate("poke2vid.player.replayed !== null") and page.is_visible("#hint")
    for name in NEED_PICTURE[2:]:
        assert page.is_enabled(f"#{name}")
    page.evaluate("poke2vid.player.rate = Infinity")
    wait_for(page, "poke2vid.player.time === 0 && poke2vid.player.asleep")
    assert page.evaluate("poke2vid.player.canUndo") is False
    assert page.locator("#first").count() == 0
    page.reload()
    wait_for(page, READY)
    page.wait_for_timeout(500)
    assert page.evaluate("poke2vid.player.time") == 0  # it plays once
    assert page.complaints == []
    page.context.close()


def test_every_example_has_a_script_that_moves_it_and_is_not_taken_for_the_visitor_s_own(page: Any) -> None:
    page.evaluate("poke2vid.player.rate = 60")
    for name in ("robot.jpg", "person.jpg", "fly.jpg", "flower.jpg"):  # the last is there already
        page.click(f"#examples [data-file='{name}']")
        wait_for(page, f"poke2vid.player.picture.name === '{name}'")
        page.click("#watch")
        wait_for(page, "poke2vid.player.fields?.flow.some((value) => Math.abs(value) > 0.5)")
    assert page.is_hidden("#toast")  # which would offer the way back


def test_no_line_is_cut_off_at_any_width_and_sliders_leave_the_picture_in_sight(page: Any) -> None:
    for width, height in SIZES:
        page.set_viewport_size({"width": width, "height": height})
        page.evaluate(LAID_OUT)
        assert page.evaluate(CUT_OFF) == [], (width, height)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        box = page.locator("#picture").bounding_box()
        assert box["width"] * box["height"] > 0.09 * width * height, (width, height)
        if not page.is_visible("#tune"):
            continue
        page.click("#tune")
        page.wait_for_timeout(400)
        picture, panel = page.locator("#picture").bounding_box(), page.locator("#panel").bounding_box()
        beside = picture["x"] + picture["width"] <= panel["x"] + 1
        above = picture["y"] + picture["height"] <= panel["y"] + 1
        assert (beside or above) and picture["width"] > 60, (width, height)
        page.click("#panel-close")
        page.wait_for_timeout(400)


def test_words_come_first_and_numbers_where_they_are_asked_for(page: Any) -> None:
    panel = page.inner_text("#panel")
    for word in ("Loose", "Firm", "Calm", "Lively"):
        assert word in panel
    assert not any(sign.isdigit() for sign in panel) and page.is_hidden("#readout")
    page.check("#numbers")
    assert "25 steps/s" in page.inner_text("#panel")
    page.uncheck("#numbers")
    page.click("#info")
    wait_for(page, "document.getElementById('readout').textContent.includes('WASM')")
    page.click("#info")
    assert page.is_hidden("#readout")
    page.click("#help")
    assert "Single-key shortcuts" in page.inner_text("#help-dialog")
    page.keyboard.press("Escape")


def test_a_transparent_picture_lies_on_the_page_s_ground_in_light_and_dark_and_is_saved_on_white(
    page: Any, balls: Path, tmp_path: Path
) -> None:
    pixels = np.dstack([read_picture(balls), np.zeros((HEIGHT, WIDTH), np.uint8)])
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    pixels[..., 3][np.hypot(x - 0.3 * WIDTH, y - 0.46 * HEIGHT) < 70] = 255
    path = tmp_path / "cutout.png"
    Image.fromarray(pixels).save(path)
    open_picture(page, path)
    grounds = []
    for _ in range(2):
        ground = page.evaluate("getComputedStyle(document.getElementById('stage')).backgroundColor.match(/\\d+/g)")
        grounds.append(ground)
        picture = shown(page)
        np.testing.assert_allclose(picture[5, 5], [int(level) for level in ground], atol=1)
        np.testing.assert_allclose(picture[147, 144], pixels[147, 144, :3], atol=1)
        drag(page, GRABBED, PULL, let_go=True)
        wait_for_frames(page, 3)
        assert np.abs(shown(page) - picture).mean() > 0.2
        page.click("#reset")
        wait_for(page, "poke2vid.player.time === 0 && !poke2vid.player.inFlight")
        page.click("#theme")
    assert grounds[0] != grounds[1]
    saved = np.asarray(Image.open(downloaded(page, "png")).convert("RGB"))
    np.testing.assert_array_equal(saved[5, 5], (255, 255, 255))


def test_what_lies_on_the_picture_lets_it_be_touched_and_compared_and_keeps_its_words_on_the_screen(
    served: Any, balls: Path, tmp_path: Path
) -> None:
    tall = tmp_path / "tall.png"
    Image.open(balls).resize((150, 400)).save(tall)
    open_picture(served, tall)
    for width, height in ((740, 360), (390, 844), (240, 420)):
        served.set_viewport_size({"width": width, "height": height})
        served.evaluate(LAID_OUT)
        before = served.locator("#info").bounding_box()
        served.click("#info")
        wait_for(served, "document.getElementById('readout').textContent !== ''")
        box = served.locator("#readout").bounding_box()
        assert before == served.locator("#info").bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= width and box["width"] > 100 and box["height"] < 70
        served.click("#info")
    drag(served, GRABBED, PULL, let_go=True)
    served.click("#mode-brush")
    pill = served.locator("#brush-pill").bounding_box()
    through = served.evaluate(
        "([x, y]) => document.elementFromPoint(x, y).closest('#stage') !== null",
        [pill["x"] + pill["width"] / 2, pill["y"] + 3],
    )
    assert through
    served.click("#mode-pull")
    served.keyboard.down("b")
    wait_for(served, "getComputedStyle(document.querySelector('.hud')).visibility === 'hidden'")
    served.keyboard.up("b")
    served.click("#examples [data-file='robot.jpg']")
    served.wait_for_selector("#toast-action:has-text('Back to tall.png')")
    for number in range(4):
        assert served.evaluate(
            """(number) => {
                const button = document.querySelectorAll('#examples button')[number];
                const { x, y, width, height } = button.getBoundingClientRect();
                return button.contains(document.elementFromPoint(x + width / 2, y + height / 2));
            }""",
            number,
        )
    served.click("#toast-close")
    assert served.is_hidden("#toast")
