"""Accessibility: what axe-core finds in every state of the page, light and dark, and the order in which keys get around."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from browser import opened
from page_actions import GRABBED, PULL, drag, place, wait_for_frames

pytestmark = pytest.mark.slow

AXE = Path(__file__).resolve().parents[2] / "web" / "node_modules" / "axe-core" / "axe.min.js"
RUN = """async (rules) => {
    const { violations } = await axe.run(document, { resultTypes: ['violations'], ...(rules && { runOnly: rules }) });
    return violations.flatMap(({ id, nodes }) => nodes.map(({ target, any, all, none }) =>
        `${id} of ${target.join(' ')}: ${[...any, ...all, ...none].map(({ message }) => message).join('; ')}`));
}"""
SETTLED = """() => Promise.all(document.getAnimations().filter((animation) =>
    animation.effect.getComputedTiming().iterations !== Infinity).map((animation) => animation.finished.catch(() => {})))"""


def untouched(page: Any) -> None:
    """The page as it was opened."""


def poked(page: Any) -> None:
    page.click("#mode-pin")
    drag(page, GRABBED, PULL, let_go=True)
    wait_for_frames(page, 9)
    page.wait_for_selector("#timeline:not([hidden])")


def heat_map(page: Any) -> None:
    page.click("#heat")
    page.mouse.click(*place(page, (0.5, 0.35)))
    page.wait_for_selector("#legend:not([hidden])")


def saving(page: Any) -> None:
    poked(page)
    page.click("#share")


def message(page: Any) -> None:
    poked(page)
    page.click("#reset")
    page.wait_for_selector("#toast:not([hidden])")


def error(page: Any) -> None:
    page.set_input_files("#file", [{"name": "notes.txt", "mimeType": "text/plain", "buffer": b"no picture"}])
    page.wait_for_selector("#toast.error:not([hidden])")


def settings(page: Any) -> None:
    """Those of a phone, which come over the page."""
    page.set_viewport_size({"width": 390, "height": 844})
    page.click("#tune")


def brush(page: Any) -> None:
    page.click("#mode-brush")
    drag(page, GRABBED, PULL, let_go=True)
    page.wait_for_selector("#legend:not([hidden])")


def compared(page: Any) -> None:
    page.click("#mode-pull")
    poked(page)
    page.evaluate("poke2vid.stage.comparing.hold(true)")


def script(page: Any, **fields: Any) -> None:
    given = {"version": 1, "image": "robot.jpg", "frames": 4, "events": [], **fields}
    file = {"name": "pokes.json", "mimeType": "application/json", "buffer": json.dumps(given).encode()}
    page.set_input_files("#script-file", [file])
    page.wait_for_selector("#ask-dialog[open]" if not fields else "#toast-action:has-text('Show all')")


def faults(page: Any) -> None:
    script(page, version=2, speed=3, frames=0)
    page.click("#toast-action:has-text('Show all')")


def camera(page: Any) -> None:
    page.evaluate("() => document.getElementById('camera-dialog').showModal()")


STATES: tuple[Callable[[Any], None], ...] = (
    untouched, poked, heat_map, brush, compared, saving, message, error, script, faults, camera, settings,
    lambda page: page.click("#help"),
)  # fmt: skip


@pytest.mark.skipif(not AXE.is_file(), reason="needs axe-core (cd web && npm install)")
def test_axe_finds_no_fault_in_any_state_light_or_dark(served: Any) -> None:
    served.evaluate(AXE.read_text(encoding="utf-8"))
    assert faults_of(served, STATES) == {}


@pytest.mark.thorough
@pytest.mark.skipif(not AXE.is_file(), reason="needs axe-core (cd web && npm install)")
def test_axe_finds_no_fault_in_an_exhibit(browser: Any, served_url: str) -> None:
    page = opened(browser, f"{served_url}?demo=60")
    page.evaluate(AXE.read_text(encoding="utf-8"))
    assert faults_of(page, (untouched, poked)) == {}
    page.context.close()


def faults_of(page: Any, states: tuple[Callable[[Any], None], ...]) -> dict[tuple[str, str], list[str]]:
    """Faults by state and colours."""
    found = {}
    for lead in states:
        lead(page)
        for scheme, rules in (("light", None), ("dark", ["color-contrast"])):  # names and roles are the same in both
            page.emulate_media(color_scheme=scheme)
            page.evaluate(SETTLED)
            if faults := page.evaluate(RUN, rules):
                found[lead.__name__, scheme] = faults
        page.keyboard.press("Escape")
        page.evaluate(
            """() => {
                document.getElementById('toast').hidden = true;
                poke2vid.stage.comparing.hold(false);
                poke2vid.player.releaseAll();
            }"""
        )
    page.emulate_media(color_scheme="light")
    return found


STOPS = """() => {
    const at = document.activeElement;
    const { outlineStyle, outlineWidth } = getComputedStyle(at);
    const ring = outlineStyle !== 'none' && parseFloat(outlineWidth) >= 2 || at.id === 'stage';
    return [at === document.body ? '' : at.id || at.className, ring];
}"""
REACHED = """() => [...document.querySelectorAll('a[href], button, input:not([hidden]), [tabindex="0"]')].filter((element) =>
    element.checkVisibility({ visibilityProperty: true }) && !element.disabled && element.tabIndex >= 0)
    .map((element) => element.id || element.className)"""


def test_keys_reach_everything_in_the_order_of_the_page_and_see_where_they_are(served: Any) -> None:
    page = served
    poked(page)
    wanted = page.evaluate(REACHED)
    assert {"stage", "moment", "mode-pin", "share", "strength"} <= set(wanted)
    page.evaluate("document.activeElement.blur()")
    page.focus(".brand")
    found = [page.evaluate(STOPS)]
    for _ in wanted[1:]:
        page.keyboard.press("Tab")
        found.append(page.evaluate(STOPS))
    assert [name for name, _ in found] == wanted
    assert [name for name, ring in found[1:] if not ring] == []
    page.focus("#help")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.closest('dialog')?.id") == "help-dialog"
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.id") == "help"
