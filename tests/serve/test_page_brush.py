"""Page tests of what moves, and how far: a brush that keeps still, true places of points, before and after, faint heat."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import wait_for
from page_actions import GRABBED, HEIGHT, PULL, WIDTH, drag, open_picture, place, shown

from poke2vid.media.pictures import read_picture

pytestmark = pytest.mark.slow
BALL = "poke2vid.player.engine.mask"  # what can move
FINGER = (0.52, -0.1)  # farther than anything follows


def paint(page: Any, begin: tuple[float, float], by: tuple[float, float]) -> None:
    page.evaluate("document.getElementById('brush-size').value = 0.16")
    drag(page, begin, by, let_go=True)
    wait_for(page, "!poke2vid.player.inFlight && poke2vid.player.hands.pending.length === 0")


def about_ball(page: Any) -> float:
    """Share of the left ball that can move."""
    side = page.evaluate("poke2vid.player.engine.info.resolution")
    mask = np.array(page.evaluate(f"[...{BALL}]")).reshape(side, side)
    return float(mask[int(0.4 * side) : int(0.6 * side), int(0.22 * side) : int(0.38 * side)].mean())


def test_a_brush_keeps_still_and_lets_move_and_is_undone(page: Any, balls: Path) -> None:
    open_picture(page, balls)
    before = about_ball(page)
    page.click("#mode-brush")
    assert page.is_visible("#brush-pill") and page.inner_text("#legend").split() == ["stays", "can", "move"]
    paint(page, (0.3, 0.3), (0.0, 0.3))
    assert before > 0.5 > 0.1 > about_ball(page)
    page.click("#mode-pull")
    assert page.is_hidden("#brush-pill")
    drag(page, GRABBED, PULL)
    wait_for(page, "poke2vid.player.time > 8")
    np.testing.assert_allclose(shown(page), read_picture(balls), atol=1)
    page.mouse.up()
    page.click("#mode-brush")
    page.click("#brush-loose")
    paint(page, (0.3, 0.3), (0.0, 0.3))
    assert about_ball(page) > 0.9
    page.click("#brush-still")
    page.click("#mode-pull")
    for left in (0.1, 0.1, before):  # the stroke, the pull, the first stroke
        page.click("#undo")
        wait_for(page, "!poke2vid.player.inFlight")
        assert about_ball(page) == pytest.approx(left, abs=0.1)
    assert page.evaluate("poke2vid.script()?.events ?? []") == []


def test_strokes_are_in_the_script_and_a_script_of_them_moves_nothing_of_what_they_keep(page: Any, balls: Path) -> None:
    open_picture(page, balls)
    page.click("#mode-brush")
    paint(page, (0.3, 0.3), (0.0, 0.3))
    page.click("#mode-pull")
    drag(page, GRABBED, PULL, let_go=True)
    wait_for(page, "poke2vid.player.time > 8")
    script = page.evaluate("poke2vid.script()")
    stroke = script["events"][0]
    assert (stroke["type"], stroke["still"], stroke["radius"]) == ("brush", True, pytest.approx(0.16 * WIDTH))
    assert len(stroke["path"]) > 2 and stroke["path"][0][1] == pytest.approx(0.3 * HEIGHT, abs=2)
    page.evaluate("(script) => poke2vid.player.replay(script)", script)
    wait_for(page, "poke2vid.player.time > 6")
    np.testing.assert_allclose(shown(page), read_picture(balls), atol=1)


def test_a_finger_that_goes_farther_than_the_object_is_shown_where_that_really_is(page: Any, balls: Path) -> None:
    open_picture(page, balls)
    drag(page, GRABBED, PULL)
    wait_for(page, "poke2vid.player.asleep || poke2vid.player.time > 20")
    goal = np.array(GRABBED) * (WIDTH, HEIGHT) + np.array(PULL) * (WIDTH, HEIGHT)
    np.testing.assert_allclose(page.evaluate("poke2vid.player.placeOf(0)"), goal, atol=6)  # it follows
    page.mouse.move(*place(page, (GRABBED[0] + FINGER[0], GRABBED[1] + FINGER[1])))
    now = page.evaluate("poke2vid.player.time")
    wait_for(page, f"poke2vid.player.time > {now + 20}")
    x, y = page.evaluate("poke2vid.player.placeOf(0)")
    went = np.hypot(x - GRABBED[0] * WIDTH, y - GRABBED[1] * HEIGHT)
    assert 0.15 * WIDTH < went < 0.33 * WIDTH < FINGER[0] * WIDTH
    page.mouse.up()


def test_before_and_after_lie_side_by_side_while_a_button_or_a_key_is_held(page: Any, balls: Path) -> None:
    open_picture(page, balls)
    assert page.is_hidden("#compare")
    drag(page, GRABBED, PULL, let_go=True)
    wait_for(page, "poke2vid.player.time > 4")
    blank = "new Set(document.getElementById('overlay').getContext('2d').getImageData(4, 0, 1, 999).data).size"
    for begin, end in (
        (lambda: (page.hover("#compare"), page.mouse.down()), page.mouse.up),
        (lambda: page.keyboard.down("b"), lambda: page.keyboard.up("b")),
        (lambda: page.keyboard.down("b"), lambda: page.evaluate("window.dispatchEvent(new Event('blur'))")),
    ):
        begin()
        wait_for(page, f"{blank} > 8")  # the wall of the picture as it was
        assert page.get_attribute("#compare", "aria-pressed") == "true"
        end()
        wait_for(page, f"{blank} === 1")
    page.keyboard.up("b")


def test_a_heat_map_marks_its_point_and_says_where_little_follows_it(page: Any, balls: Path) -> None:
    open_picture(page, balls)
    for at, is_faint in (((0.95, 0.06), True), (GRABBED, False)):
        page.click("#heat")
        page.mouse.click(*place(page, at))
        page.wait_for_selector("#legend")
        assert page.is_visible("#faint") == is_faint
        np.testing.assert_allclose(page.evaluate("poke2vid.stage.marked"), np.array(at) * (WIDTH, HEIGHT), atol=2)
        page.keyboard.press("Escape")
        assert page.is_hidden("#faint") and page.evaluate("poke2vid.stage.marked") is None
    page.click("#heat")
    page.click("#mode-brush")  # which ends it
    assert page.is_hidden("#heat-pill") and page.evaluate("poke2vid.stage.choosesHeat") is False


def test_a_stroke_is_a_touch_and_a_finger_that_pulls_lets_go_when_the_brush_is_taken(page: Any, balls: Path) -> None:
    open_picture(page, balls)
    drag(page, GRABBED, PULL)
    page.evaluate("() => document.getElementById('mode-brush').click()")
    page.mouse.up()
    wait_for(page, "poke2vid.stage.fingers.size === 0 && poke2vid.player.held.size === 0")
    page.evaluate(
        """() => {
            const { listeners } = poke2vid.stage, before = listeners.onFirstTouch;
            listeners.onFirstTouch = () => { window.touchedFirst = true; listeners.onFirstTouch = before; before(); };
        }"""
    )
    paint(page, (0.3, 0.3), (0.0, 0.1))
    assert page.evaluate("window.touchedFirst") is True
