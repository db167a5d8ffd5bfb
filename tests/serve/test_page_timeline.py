"""The timeline under the picture: any moment can be shown, played on from and poked at, and nothing that was done is lost."""

from typing import Any

import numpy as np
import pytest
from browser import wait_for
from page_actions import PULL, come_to_rest, drag, place, shown, step, wait_for_frames

pytestmark = pytest.mark.slow

STEM = (0.5, 0.35)  # of the first example
PLAYER = "poke2vid.player"
IDLE = f"!{PLAYER}.inFlight"

# Fields of every frame are remembered, and those that are not the same when they come again.
WATCHED = """() => {
    const { engine, player } = poke2vid;
    const step = engine.step.bind(engine);
    const seen = new Map();
    window.unlike = [];
    engine.step = async (actions) => {
        const fields = await step(actions);
        const time = player.time + 1;
        const before = seen.get(time);
        if (before && before.some((value, i) => value !== fields.flow[i])) unlike.push(time);
        seen.set(time, fields.flow.slice());
        return fields;
    };
}"""


def state(page: Any) -> list[Any]:
    return page.evaluate(f"[{PLAYER}.time, {PLAYER}.end, {PLAYER}.isEarlier, {PLAYER}.playing]")


def seek(page: Any, frame: int) -> None:
    page.evaluate(f"{PLAYER}.seek({frame})")


def poke_twice(page: Any) -> dict[str, Any]:
    """Two pokes, the second one pinned; the script of all that was done, once it rests."""
    page.evaluate(f"{PLAYER}.setRest({{ stiffness: 0.4, momentum: 0.1 }})")  # soon still
    drag(page, STEM, PULL, let_go=True)
    wait_for_frames(page, 20)
    page.click("#mode-pin")
    drag(page, (0.55, 0.3), (-0.08, 0.02), let_go=True)
    page.click("#mode-pull")
    come_to_rest(page)
    return page.evaluate("poke2vid.script()")


def test_the_timeline_shows_each_poke_once_there_is_one_and_moves_nothing(page: Any) -> None:
    assert page.is_hidden("#timeline")
    before = page.locator("#picture").bounding_box()
    drag(page, STEM, PULL)
    page.wait_for_selector("#timeline:not([hidden])")
    assert page.locator("#picture").bounding_box() == before
    page.mouse.up()
    wait_for(page, f"{PLAYER}.felt.size === 0")
    span, *others = page.evaluate(f"{PLAYER}.spans")
    assert (span["from"], span["pinned"], others) == (0, None, []) and span["to"] >= 8
    come_to_rest(page)
    wait_for(page, f"document.getElementById('moment').valueAsNumber === {PLAYER}.end")
    for width, height in ((1280, 800), (390, 844), (740, 360), (240, 420)):
        page.set_viewport_size({"width": width, "height": height})
        wait_for(
            page,
            f"innerWidth === {width} && document.getElementById('picture').getBoundingClientRect().right < {width}",
        )
        line, picture = page.locator("#timeline").bounding_box(), page.locator("#stage").bounding_box()
        assert abs(line["x"] - picture["x"]) < 1 and abs(line["width"] - picture["width"]) < 1
        assert 0 <= line["y"] - picture["y"] - picture["height"] < 1 and line["y"] + line["height"] < height
    page.click("#reset")
    page.wait_for_selector("#timeline", state="hidden")


def test_any_moment_is_shown_again_as_it_was_and_nothing_is_lost(page: Any) -> None:
    page.evaluate(WATCHED)
    script = poke_twice(page)
    last = shown(page)
    end = page.evaluate(f"{PLAYER}.end")
    first, second = page.evaluate(f"{PLAYER}.spans")
    assert second["to"] is None and second["from"] < second["pinned"] <= end
    for frame in (end - 1, 20, 19, 3, 0):
        seek(page, frame)
        assert state(page) == [frame, end, True, False]
        held = [0] * (first["from"] < frame <= first["to"]) + [1] * (second["from"] < frame)
        assert page.evaluate(f"[...{PLAYER}.held.keys()]") == held
        assert page.evaluate("poke2vid.script()") == script
    assert page.evaluate(f"[...{PLAYER}.pins]") == [] and page.inner_text("#play-text") == "Play"
    np.testing.assert_array_less(0, np.abs(shown(page) - last).sum())
    seek(page, end)
    assert state(page)[:3] == [end, end, False]
    assert page.evaluate(f"[...{PLAYER}.pins]") == [1]
    np.testing.assert_array_equal(shown(page), last)
    page.evaluate(f"{PLAYER}.history.forgetMarks()")  # as an engine has after many pokes
    seek(page, 3)
    seek(page, end)
    assert page.evaluate(f"{PLAYER}.history.moments.every(({{ frame }}) => !{PLAYER}.history.isLost(frame))")
    np.testing.assert_array_equal(shown(page), last)
    assert page.evaluate("unlike") == []


def test_the_playhead_goes_by_mouse_and_by_keys_and_escape_comes_back(page: Any) -> None:
    poke_twice(page)
    wait_for(page, f"document.getElementById('moment').valueAsNumber === {PLAYER}.end")
    end = page.evaluate(f"{PLAYER}.end")
    box = page.locator("#moment").bounding_box()
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] - 4, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2, middle, steps=5)
    page.mouse.up()
    wait_for(page, f"{IDLE} && Math.abs({PLAYER}.time - {end} / 2) < 3")
    page.keyboard.press("Home")
    wait_for(page, f"{IDLE} && {PLAYER}.time === 0")
    assert state(page)[2:] == [True, False]
    page.keyboard.press("ArrowRight")
    wait_for(page, f"{IDLE} && {PLAYER}.time === 1")
    page.keyboard.press("End")
    wait_for(page, f"!{PLAYER}.isEarlier && {PLAYER}.playing")
    seek(page, page.evaluate(f"{PLAYER}.spans[0].from") + 2)
    wait_for(page, "document.getElementById('moment').getAttribute('aria-valuetext').includes('one poke is held')")
    page.keyboard.press("Escape")
    wait_for(page, f"!{PLAYER}.isEarlier && {PLAYER}.playing")
    assert page.evaluate(f"[...{PLAYER}.pins]") == [1]


def test_playing_on_from_an_earlier_moment_does_again_what_was_done(page: Any) -> None:
    page.evaluate(WATCHED)
    script = poke_twice(page)
    seek(page, 5)
    page.click("#play")
    wait_for(page, f"!{PLAYER}.isEarlier")
    come_to_rest(page)
    assert page.evaluate("unlike") == []
    again = page.evaluate("poke2vid.script()")
    assert again["events"] == script["events"] and again["frames"] >= script["frames"]
    assert page.evaluate(f"[...{PLAYER}.pins]") == [1]
    seek(page, again["frames"] - 1)
    step(page, 1)  # to the end, paused
    assert state(page)[2:] == [False, False]
    page.mouse.click(*place(page, STEM))
    wait_for(page, f"{PLAYER}.spans.length === 3")  # it moves at once


def test_a_poke_at_an_earlier_moment_goes_on_from_there_and_undo_brings_back_the_rest(page: Any) -> None:
    page.evaluate(WATCHED)
    script = poke_twice(page)
    at = page.evaluate(f"{PLAYER}.spans[0].from") + 5  # while the first poke is held
    seek(page, at)
    drag(page, (0.6, 0.3), (0.0, 0.1), let_go=True)
    assert page.evaluate(f"{PLAYER}.playing") and "Undo" in page.inner_text("#toast")
    come_to_rest(page, f"{PLAYER}.held.size === 0")
    spans = page.evaluate(f"{PLAYER}.spans")
    assert [span["from"] for span in spans[1:]] == [at] and spans[0]["to"] == at
    page.click("#undo")
    wait_for(page, f"{IDLE} && {PLAYER}.isEarlier")
    assert state(page) == [at, script["frames"], True, False]
    assert page.evaluate("poke2vid.script()") == script
    page.click("#undo")  # of the pin, which is the last poke; the moment stays
    wait_for(page, f"{IDLE} && {PLAYER}.spans.length === 1")
    assert page.evaluate(f"{PLAYER}.time") == at
    page.click("#undo")
    wait_for(page, f"{IDLE} && {PLAYER}.playing && !{PLAYER}.canUndo")
    assert page.evaluate(f"[{PLAYER}.spans, {PLAYER}.isEarlier]") == [[], False]


def test_what_is_done_while_a_moment_is_sought_is_done_at_that_moment(page: Any) -> None:
    """By an engine that takes its time: the seek is still on its way when a finger comes down, drags and lets go."""
    poke_twice(page)
    page.evaluate(f"{PLAYER}.history.forgetMarks()")  # so that all is computed anew
    page.evaluate(
        """() => {
            const { engine } = poke2vid, step = engine.step.bind(engine);
            const gate = new Promise((done) => { window.goOn = done; });
            engine.step = async (actions) => {
                await gate;
                return step(actions);
            };
        }"""
    )
    page.evaluate(f"() => {{ void {PLAYER}.seek(12); }}")
    drag(page, (0.6, 0.3), (0.0, 0.1), let_go=True)
    assert page.evaluate(f"{PLAYER}.time") < 12
    page.evaluate("goOn()")
    wait_for(page, f"{PLAYER}.time > 14")
    assert page.evaluate(f"{PLAYER}.spans.at(-1).from") == 12
    page.evaluate("delete poke2vid.engine.step")
    wait_for(page, f"{PLAYER}.held.size === 0")


def test_what_was_meant_for_a_moment_is_not_done_at_another_one_or_on_another_picture(page: Any) -> None:
    poke_twice(page)
    count = "poke2vid.script().events.filter(({ type }) => type === 'poke').length"
    done = page.evaluate(
        f"""async () => {{
            const {{ player }} = poke2vid, poke = (pointer) => player.poke(pointer, [300, 120], [0, 0]);
            const first = player.seek(5);
            poke(7);
            const second = player.seek(9); // the one before is no longer wanted, nor what was done for it
            await Promise.all([first, second]);
            const found = [player.time, {count}];
            const back = player.seek(3), end = player.seek(player.end); // there before it has begun
            poke(8);
            await Promise.all([back, end]);
            await player.step();
            found.push(player.isEarlier, {count});
            const last = player.seek(4);
            poke(9);
            player.engine.restore = player.engine.open = () => Promise.reject(new Error('away'));
            await last;
            delete player.engine.restore;
            delete player.engine.open;
            return [...found, player.held.has(9)];
        }}"""
    )
    assert done == [9, 2, False, 3, False]


def test_a_held_point_has_its_place_at_every_moment_also_where_a_finger_s_number_comes_again(page: Any) -> None:
    at, ends = [320, 126], [(26, -30), (-24, 20)]
    events = [{"type": "rest", "frame": 0, "stiffness": 0.4, "momentum": 0.1}]
    for k, shift in enumerate(ends):
        events.append({"type": "poke", "frame": 30 * k, "at": at, "shift": shift, "pointer": 0, "kind": "shift"})
        events.append({"type": "release", "frame": 30 * k + 20, "pointer": 0})
    page.evaluate(f"{PLAYER}.rate = Infinity")
    script = {"version": 1, "image": None, "frames": 60, "events": events}
    page.evaluate("(script) => poke2vid.player.replay(script)", script)
    wait_for(page, f"{PLAYER}.time >= 15")
    places = {}
    for frame in (18, 48, 18, 48):  # the later ones have not been seen when they are asked for
        seek(page, frame)
        place = page.evaluate(f"{PLAYER}.placeOf(0)")
        goal = np.add(at, ends[frame > 30])
        np.testing.assert_allclose(place, goal, atol=8)
        np.testing.assert_allclose(place, places.setdefault(frame, place), atol=1e-3)


def test_sliders_and_pins_at_an_earlier_moment_can_be_undone_as_well(page: Any) -> None:
    script = poke_twice(page)
    middle = script["frames"] - 2
    for deed in (f"{PLAYER}.setRest({{ stiffness: 0.3, momentum: 0.5 }})", f"{PLAYER}.releaseAll()"):
        seek(page, middle)
        page.evaluate(deed)
        come_to_rest(page)
        assert page.evaluate("poke2vid.script().events.length") > len(script["events"]) - 1
        page.click("#undo")
        wait_for(page, f"{IDLE} && {PLAYER}.isEarlier")
        assert page.evaluate("poke2vid.script()") == script


def test_what_a_script_had_not_yet_played_is_kept_when_its_beginning_is_looked_at(page: Any) -> None:
    page.click("#watch")
    wait_for_frames(page, 8)
    seek(page, 4)
    time, end, earlier, _ = state(page)
    assert (time, earlier) == (4, True) and page.is_hidden("#replaying")
    script = page.evaluate("poke2vid.script()")
    assert end == script["frames"] and page.evaluate(f"{PLAYER}.spans.length") >= 1
    page.evaluate(f"{PLAYER}.rate = Infinity")
    page.click("#play")
    wait_for(page, f"!{PLAYER}.isEarlier")
    assert page.evaluate(f"{PLAYER}.history.moments.length") == sum(e["type"] == "poke" for e in script["events"])
