"""What tests do to the page, and what they see of it: a hand that drags, frames that come, files that are saved."""

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
from browser import READY, wait_for

from poke2vid.media.pictures import write_picture

WIDTH, HEIGHT = 480, 320

GRABBED = (0.3, 0.45)  # of the picture

PULL = (0.09, -0.06)

BACK = f"{READY} && poke2vid.player.time > 0 && !poke2vid.player.recalls"  # a visit, all of it
# What a visit has written
DONE = """async () => {
    const request = indexedDB.open('poke2vid');
    const database = await new Promise((done) => { request.onsuccess = () => done(request.result); });
    const one = database.transaction('visit').objectStore('visit').get('done');
    return new Promise((done) => { one.onsuccess = () => { database.close(); done(one.result); }; });
}"""
WRITTEN = f"""async () => {{
    const kept = await ({DONE})();
    return JSON.stringify(kept?.past?.script) === JSON.stringify(poke2vid.player.past()?.script);
}}"""


def write_balls(path: Path) -> None:
    """Two patterned balls before a plain wall, at a size that page and program both show as it is.

    Waves all over are no object to the base, so nothing of them moves.
    """
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(float)
    ys, xs = y / 16, x / 16
    waves = np.stack((np.sin(xs + ys / 2), np.cos(xs / 2 - ys), np.sin(xs * ys / 60)), axis=-1)
    wall = np.stack((np.cos(x / 200), np.sin(y / 150), np.cos((x + y) / 220)), axis=-1)
    balls = ((0.3, 0.46, 60), (0.67, 0.56, 75))  # where, and the radius in pixels
    away = [np.hypot(x - cx * WIDTH, y - cy * HEIGHT) - r for cx, cy, r in balls]
    inside = sum(1 / (1 + np.exp(np.clip(d, -60, 60) / 1.5)) for d in away)[..., None]
    colours = (0.55 + 0.12 * wall) * (1 - inside) + (0.45 + 0.4 * waves) * inside
    write_picture(path, np.rint(255 * colours.clip(0, 1)).astype(np.uint8))


def shown(page: Any) -> np.ndarray:
    """The compositor's last drawing, at the picture's own size."""
    size = page.evaluate("[poke2vid.player.compositor.width, poke2vid.player.compositor.height]")
    data = page.evaluate(
        """() => {
            poke2vid.player.draw();
            const { data } = poke2vid.player.compositor.pixels();
            let text = '';
            for (let i = 0; i < data.length; i += 32768) text += String.fromCharCode(...data.subarray(i, i + 32768));
            return btoa(text);
        }"""
    )
    flat = np.frombuffer(base64.b64decode(data), np.uint8)
    return flat.reshape(size[1], size[0], 4)[..., :3].astype(int)


def place(page: Any, share: tuple[float, float]) -> tuple[float, float]:
    """A point of the picture, on the screen."""
    return places(page, [share])[0]


def places(page: Any, shares: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Points of the picture, on the screen: to ask for its place takes a busy page as long as a frame."""
    box = page.locator("#picture").bounding_box()
    return [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in shares]


def drag(page: Any, at: tuple[float, float], by: tuple[float, float], *, let_go: bool = False) -> None:
    """As a hand does: in small moves, while frames come."""
    first, *others = places(page, [(at[0] + by[0] * i / 8, at[1] + by[1] * i / 8) for i in range(9)])
    page.mouse.move(*first)
    page.mouse.down()
    for other in others:
        page.mouse.move(*other)
        page.wait_for_timeout(20)
    if let_go:
        page.mouse.up()


def wait_for_frames(page: Any, count: int) -> None:
    now = page.evaluate("poke2vid.player.time")
    wait_for(page, f"poke2vid.player.time >= {now + count}")


def come_to_rest(page: Any, condition: str = "true") -> None:
    """Waits until nothing moves and no frame is asked for; without drawing the hundreds of frames until then."""
    page.evaluate(
        """() => {
            const { player } = poke2vid;
            player.rate = Infinity;
            player.draw = () => {};
            void (async () => {
                while (!player.asleep && player.rate === Infinity) await player.step(() => !player.asleep);
            })();
        }"""
    )
    wait_for(page, f"poke2vid.player.asleep && {condition}")
    page.evaluate("() => { const { player } = poke2vid; delete player.draw; player.rate = 25; player.draw(); }")


def pause(page: Any) -> None:
    page.evaluate("poke2vid.player.play(false)")
    wait_for(page, "!poke2vid.player.inFlight")


def near(change: np.ndarray, at: tuple[float, float], by: tuple[float, float]) -> float:
    """Mean change around where the grabbed point went."""
    height, width = change.shape[:2]
    x, y = round((at[0] + by[0]) * width), round((at[1] + by[1]) * height)
    r = width // 12
    return float(change[max(y - r, 0) : y + r, max(x - r, 0) : x + r].mean())


def far(change: np.ndarray) -> float:
    """Mean change of the strip at the far side."""
    return float(change[:, -change.shape[1] // 8 :].mean())


def step(page: Any, count: int) -> None:
    """Frame by frame, of a page that is paused: so many, however busy the machine is."""
    for _ in range(count):
        time = page.evaluate("poke2vid.player.time")
        page.keyboard.press(".")
        wait_for(page, f"poke2vid.player.time === {time + 1} && !poke2vid.player.inFlight")


def open_picture(page: Any, path: Path) -> None:
    page.set_input_files("#file", path)
    wait_for(page, f"poke2vid.player.picture.name === {json.dumps(path.name)}")


def downloaded(page: Any, kind: str) -> Path:
    page.click("#share")
    with page.expect_download(timeout=120_000) as waiting:
        page.click(f"[data-save={kind}]")
    page.wait_for_selector("#save-dialog", state="hidden")
    return Path(waiting.value.path())
