"""A real browser for tests of the page: Debian's Chromium, driven by Playwright. Without them tests are skipped and say so."""

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

ARGUMENTS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-gpu",
    "--enable-unsafe-swiftshader",  # WebGL without a GPU
]
PATIENCE_MS = 120_000  # a test machine may be busy


def found_chromium() -> str:
    """The path of a Chromium; skips the test, and says why, where there is none or no Playwright."""
    pytest.importorskip("playwright.sync_api", reason="needs playwright")
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("needs a Chromium on the PATH (Debian: apt install chromium)")
    return path


@contextlib.contextmanager
def chromium() -> Iterator[Any]:
    """A browser of its own, without a screen and without a GPU."""
    path = found_chromium()
    from playwright import sync_api

    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


@contextlib.contextmanager
def serving(*options: str) -> Iterator[str]:
    """`poke2vid serve` as a process of its own; its address."""
    command = [sys.executable, "-m", "poke2vid.cli", "serve", "--port", "0", *options]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if "http://" not in line:
            process.kill()
            raise AssertionError(f"serve said {line!r} and {process.communicate()[1][-2000:]}")
        yield "http://" + line.split("http://")[1].split()[0]
    finally:
        process.terminate()
        try:
            process.wait(timeout=PATIENCE_MS / 1000)
        except subprocess.TimeoutExpired:
            process.kill()
            raise


# What the page says and does, for a test that waits in vain
STATE = """() => {
    const { player } = globalThis.poke2vid ?? {};
    const names = ['time', 'end', 'playing', 'asleep', 'inFlight', 'isEarlier', 'recalls', 'nobodys'];
    const kept = names.map((name) => [name, player?.[name]]);
    const said = [...document.querySelectorAll('#toast, #loading, dialog[open]')].filter((one) => one.checkVisibility());
    const replayed = Boolean(player?.replayed), hidden = document.hidden;
    return JSON.stringify([Object.fromEntries(kept), { replayed, hidden }, ...said.map((one) => one.innerText)]);
}"""


def wait_for(page: Any, condition: str) -> None:
    """Until an expression holds. Playwright's own way evaluates text within the page, which the page forbids."""
    end = time.monotonic() + PATIENCE_MS / 1000
    while not page.evaluate(condition):
        assert time.monotonic() < end, f"never came true: {condition}; {page.evaluate(STATE)}"
        page.wait_for_timeout(20)


READY = "typeof poke2vid === 'object' && document.getElementById('loading').hidden"  # the page and its engine


SHOWN = (
    "try { localStorage.setItem('poke2vid.shown', 'yes'); } catch {}"  # the poke that plays by itself on a first visit
)


def opened(browser: Any, url: str, *, first: bool = False, **context: Any) -> Any:
    """The page with its first example, ready to be poked; whatever it complains of fails the test at `assert_content`.

    Args:
        first: True for a first visit, on which a poke plays by itself.
    """
    page = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **context}).new_page()
    if not first:
        page.add_init_script(SHOWN)
    page.complaints = []
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.on("console", lambda said: page.complaints.append(said.text) if said.type == "error" else None)
    page.set_default_timeout(PATIENCE_MS)
    page.goto(url)
    wait_for(page, READY)
    return page


AS_OPENED = """async (patience) => {
    const { engine, player, stage } = poke2vid;
    for (const dialog of document.querySelectorAll('dialog[open]')) dialog.close();
    delete engine.step; // what a test put in their place
    delete engine.open;
    player.stopReplay();
    player.play(true);
    player.rate = 25;
    player.hands.rest = { ...engine.info.defaultRest }; // which another picture takes over
    document.getElementById('mode-pull').click();
    stage.nextPointer = 0;
    const before = stage.picture, end = performance.now() + patience;
    document.querySelector('#examples button').click();
    while (stage.picture === before) {
        if (performance.now() > end) throw new Error('the example was never shown');
        await new Promise((resolve) => setTimeout(resolve, 5));
    }
    document.getElementById('toast').hidden = true;
}"""


class SharedPage:
    """One page for many tests, each of which finds it as it was opened: to load and warm up an engine takes seconds.

    What a failed test leaves behind is thrown away, so that the next one begins with a page of its own.
    """

    def __init__(self, open_page: Callable[[], Any]) -> None:
        self._open_page = open_page
        self._page: Any = None

    @contextlib.contextmanager
    def lent(self, session: pytest.Session) -> Iterator[Any]:
        """The page for one test; what it complains of meanwhile fails that test."""
        if self._page is None:
            self._page = self._open_page()
            self._viewport = self._page.viewport_size
        else:
            self._page.set_viewport_size(self._viewport)
            self._page.evaluate(AS_OPENED, PATIENCE_MS)
        page, failed = self._page, session.testsfailed
        yield page
        complaints = list(page.complaints)
        if complaints or session.testsfailed > failed:
            self.close()
        assert complaints == []

    def close(self) -> None:
        if self._page is not None:
            self._page.context.close()
        self._page = None


def sharing(browser: Any, url: str, **context: Any) -> Iterator[SharedPage]:
    """A shared page for a fixture to yield from; it is opened once a test asks for it."""
    shared = SharedPage(lambda: opened(browser, url, **context))
    yield shared
    shared.close()
