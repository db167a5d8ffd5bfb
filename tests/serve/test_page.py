"""The page in a real browser: a picture is dragged, follows and swings, and what was done can be taken away again."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import wait_for
from page_actions import (
    GRABBED,
    PULL,
    come_to_rest,
    drag,
    far,
    near,
    open_picture,
    pause,
    place,
    shown,
    step,
    wait_for_frames,
)

from poke2vid.media.pictures import read_picture

pytestmark = pytest.mark.slow


def test_a_dragged_picture_follows_where_it_is_dragged_and_stays_elsewhere(page: Any, balls: Path) -> None:
    open_picture(page, balls)
    before = shown(page)
    np.testing.assert_array_equal(before, read_picture(balls))
    drag(page, GRABBED, PULL)
    wait_for_frames(page, 10)  # while the finger is down
    change = np.abs(shown(page) - before)
    assert near(change, GRABBED, PULL) > 8
    assert far(change) < near(change, GRABBED, PULL) / 5
    moved = change.mean()
    page.mouse.up()
    come_to_rest(page)  # swings, comes to rest, and stops asking for frames
    assert np.abs(shown(page) - before).mean() < 0.25 * moved  # a little may stay where it was put (decision 022)
    assert page.evaluate("poke2vid.stats().frames") > 20


def test_it_can_be_poked_again_before_it_rests_and_with_a_second_poke_held(page: Any, balls: Path) -> None:
    open_picture(page, balls)
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


def test_undo_takes_the_last_poke_back_and_reset_all_of_them(page: Any, balls: Path) -> None:
    open_picture(page, balls)
    drag(page, GRABBED, PULL, let_go=True)
    wait_for_frames(page, 3)
    pause(page)
    before, frames = shown(page), page.evaluate("poke2vid.player.time")
    drag(page, (0.7, 0.6), (-0.08, 0.05))
    step(page, 4)
    assert np.abs(shown(page) - before).mean() > 0.3
    page.mouse.up()
    page.keyboard.press("z")
    wait_for(page, f"poke2vid.player.time === {frames} && !poke2vid.player.inFlight")
    np.testing.assert_array_equal(shown(page), before)
    assert sum(event["type"] == "poke" for event in page.evaluate("poke2vid.script().events")) == 1
    page.click("#reset")
    wait_for(page, "poke2vid.player.time === 0")
    np.testing.assert_array_equal(shown(page), read_picture(balls))


def test_everything_works_with_keys_alone(page: Any, balls: Path) -> None:
    open_picture(page, balls)
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
    assert page.inner_text("#play") == "Play"


def test_a_file_that_is_no_picture_is_refused_in_one_sentence_and_nothing_is_lost(
    page: Any, balls: Path, tmp_path: Path
) -> None:
    open_picture(page, balls)
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"\x89PNG\r\n\x1a\n but not really")
    page.set_input_files("#file", bad)
    page.wait_for_selector("#toast:not([hidden])")
    assert "bad.png is not a picture" in page.inner_text("#toast")
    assert page.get_attribute("#toast", "role") == "alert"
    assert page.evaluate("poke2vid.player.picture.name") == balls.name
    drag(page, GRABBED, PULL, let_go=True)
    wait_for_frames(page, 3)


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


def test_a_flick_that_is_over_between_two_frames_still_moves_what_it_touched(page: Any, balls: Path) -> None:
    """Held for a few frames more, so that it is seen; and the script says what was done, so that it plays alike."""
    open_picture(page, balls)
    before = shown(page)
    pause(page)  # no frame comes between
    x, y = place(page, GRABBED)
    box = page.locator("#picture").bounding_box()
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + PULL[0] * box["width"], y + PULL[1] * box["height"])
    page.mouse.up()
    step(page, 7)
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


def test_undo_while_paused_takes_one_poke_back_and_nothing_else(page: Any, balls: Path) -> None:
    open_picture(page, balls)
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
    come_to_rest(page, "poke2vid.player.felt.size === 0")
    types = [event["type"] for event in page.evaluate("poke2vid.script().events")]
    assert types.count("poke") == types.count("release") == 1


def test_what_undo_comes_back_to_swings_on(page: Any, balls: Path) -> None:
    open_picture(page, balls)
    drag(page, GRABBED, PULL, let_go=True)
    wait_for(page, "poke2vid.player.felt.size === 0")
    pause(page)
    page.mouse.click(*place(page, (0.7, 0.6)))
    page.evaluate("poke2vid.player.play(true)")
    come_to_rest(page)
    page.keyboard.press("z")
    wait_for(page, "!poke2vid.player.asleep")
    come_to_rest(page)
    assert np.abs(shown(page) - read_picture(balls)).mean() < 2  # a little may stay where it was put


def test_a_step_that_fails_leaves_nobody_holding_who_let_go(page: Any, balls: Path) -> None:
    open_picture(page, balls)
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
    come_to_rest(page, "poke2vid.player.felt.size === 0 && poke2vid.player.held.size === 0")


def test_a_pin_needs_something_that_it_holds(page: Any, balls: Path) -> None:
    open_picture(page, balls)
    page.click("#mode-pin")
    drag(page, GRABBED, PULL)
    page.keyboard.press("r")  # with the finger down
    wait_for(page, "!poke2vid.player.inFlight")
    page.mouse.up()
    assert page.evaluate("[poke2vid.player.pins.size, poke2vid.player.held.size]") == [0, 0]
    assert page.is_hidden("#pins")


def test_starting_over_ends_a_heat_map_that_is_on_its_way(page: Any) -> None:
    page.keyboard.press("h")
    page.mouse.click(*place(page, (0.47, 0.4)))
    page.keyboard.press("r")
    wait_for(page, "!poke2vid.player.inFlight")
    page.wait_for_timeout(500)
    assert page.is_hidden("#toast") and page.is_hidden("#heat-pill") and page.is_hidden("#legend")


def test_undo_takes_back_a_poke_that_no_frame_has_shown_yet_and_keeps_the_sliders_swing(page: Any, balls: Path) -> None:
    open_picture(page, balls)
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
    wait_for(page, "!poke2vid.player.inFlight && poke2vid.player.pending.every(({ type }) => type === 'release')")
    assert page.evaluate("poke2vid.player.time") == frames
    page.keyboard.press("z")
    wait_for(page, "!poke2vid.player.inFlight && poke2vid.player.time === 0")
    assert page.evaluate("poke2vid.player.rest") == {"stiffness": 0.3, "momentum": 0.5}
    page.keyboard.press(".")
    wait_for(page, "poke2vid.player.time === 1")
    rest = {"type": "rest", "frame": 0, "stiffness": 0.3, "momentum": 0.5}
    assert page.evaluate("poke2vid.script().events") == [rest]
