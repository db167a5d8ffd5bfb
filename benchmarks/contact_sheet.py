"""A contact sheet of the page: every state at four sizes, light and dark, as the browser draws it.

A state is a name and the actions that lead there from the freshly opened page; a new part of the page adds a line to STATES.
"""

import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from PIL import Image, ImageDraw, ImageFont

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "helpers"))
from browser import chromium, opened, serving, wait_for  # the browser that tests use
from page_actions import come_to_rest, drag, pause, place, wait_for_frames

SIZES = ((1280, 800), (390, 844), (740, 360), (240, 420))
SCHEMES = ("light", "dark")
LED = (390, 844)  # where a state is led to: every button is there; then the window changes
SETTLED_MS = 400  # after that
STEM = (0.5, 0.35)  # of the flower that comes first
PULL = (0.09, 0.05)
CELL = 300  # pixels of a screenshot's width on the sheet, at most
HIGH = 240  # and of its height
LABEL = 16
MAX_BYTES = 700_000


def untouched(page: Any) -> None:
    """The page as it opens."""
    page.wait_for_timeout(700)  # the hint appears


def dragging(page: Any) -> None:
    drag(page, STEM, PULL)
    wait_for_frames(page, 12)
    pause(page)


def released(page: Any) -> None:
    drag(page, STEM, PULL, let_go=True)
    come_to_rest(page)
    page.wait_for_timeout(700)  # the hint goes


def scrubbed(page: Any) -> None:
    """Three pokes, one of them a pin, and the playhead at an earlier moment."""
    drag(page, STEM, PULL, let_go=True)
    wait_for_frames(page, 25)
    page.click("#mode-pin")
    drag(page, (0.55, 0.3), (-0.08, 0.02), let_go=True)
    wait_for_frames(page, 20)
    page.click("#mode-pull")
    drag(page, STEM, (0.05, -0.05), let_go=True)
    come_to_rest(page)
    page.focus("#moment")
    for _ in range(4):
        page.keyboard.press("PageDown")
    wait_for(page, "poke2vid.player.isEarlier && !poke2vid.player.inFlight")
    page.wait_for_timeout(600)


def heat_map(page: Any) -> None:
    page.keyboard.press("h")
    page.mouse.click(*place(page, STEM))
    page.wait_for_selector("#legend", state="visible")
    page.wait_for_timeout(400)


def panel(page: Any) -> None:
    page.click("#tune")
    page.wait_for_timeout(500)


def dialog(key: str) -> Callable[[Any], None]:
    def open_it(page: Any) -> None:
        drag(page, STEM, PULL, let_go=True)
        wait_for_frames(page, 10)
        page.keyboard.press(key)
        page.wait_for_timeout(400)

    return open_it


def message(page: Any) -> None:
    drag(page, STEM, PULL, let_go=True)
    wait_for_frames(page, 5)
    page.keyboard.press("r")
    page.wait_for_selector("#toast:not([hidden])")
    page.wait_for_timeout(400)


def error(page: Any) -> None:
    file = {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"no picture"}
    page.set_input_files("#file", [file])
    page.wait_for_selector("#toast:not([hidden])")
    page.wait_for_timeout(400)


def exhibit(page: Any) -> None:
    wait_for(page, "poke2vid.player.time > 8")
    page.evaluate("poke2vid.player.play(false)")


def painted(page: Any) -> None:
    """A stroke that keeps a part of the flower still, with the brush in hand."""
    page.click("#mode-brush")
    drag(page, STEM, PULL, let_go=True)
    wait_for(page, "poke2vid.player.hands.pending.length === 0 && !poke2vid.player.inFlight")


def compared(page: Any) -> None:
    """Before and after, side by side."""
    drag(page, STEM, PULL)
    wait_for_frames(page, 12)
    pause(page)
    page.keyboard.down("b")


STATES: dict[str, tuple[str, Callable[[Any], None]]] = {  # what the address says, and what is done then
    "first sight": ("", untouched),
    "dragging": ("", dragging),
    "released": ("", released),
    "an earlier moment": ("", scrubbed),
    "what moves": ("", heat_map),
    "a brush": ("", painted),
    "before and after": ("", compared),
    "settings": ("", panel),
    "save": ("", dialog("s")),
    "help": ("", dialog("?")),
    "a message": ("", message),
    "an error": ("", error),
    "an exhibit": ("?demo", exhibit),
}


def main(
    out: Annotated[Path, typer.Option("--out", help="The sheet, a JPEG file.")] = Path("contact-sheet.jpg"),
    shots: Annotated[Path | None, typer.Option("--shots", help="A folder for the screenshots themselves.")] = None,
    only: Annotated[list[str] | None, typer.Option("--only", help="A state's name; may be repeated.")] = None,
) -> None:
    """Draw the contact sheet."""
    names = [name for name in STATES if not only or name in only]
    found: dict[tuple[str, int, str], Image.Image] = {}
    with chromium() as browser, serving() as url:
        for name in names:
            query, lead = STATES[name]
            page = opened(browser, url + query, viewport=viewport(LED))
            lead(page)
            for number, size in enumerate(SIZES):
                page.set_viewport_size(viewport(size))
                for scheme in SCHEMES:
                    page.emulate_media(color_scheme=scheme)
                    page.wait_for_timeout(SETTLED_MS)
                    found[name, number, scheme] = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
            page.context.close()
    if shots:
        shots.mkdir(parents=True, exist_ok=True)
        for (name, number, scheme), shot in found.items():
            shot.save(shots / f"{name.replace(' ', '-')}-{SIZES[number][0]}-{scheme}.png")
    write(sheet(names, found), out)


def viewport(size: tuple[int, int]) -> dict[str, int]:
    return {"width": size[0], "height": size[1]}


def sheet(names: list[str], found: dict[tuple[str, int, str], Image.Image]) -> Image.Image:
    """Rows are states, columns sizes, light before dark."""
    columns = [(number, scheme) for number in range(len(SIZES)) for scheme in SCHEMES]
    scales = [min(CELL / width, HIGH / height, 1) for width, height in SIZES]
    widths = [round(SIZES[number][0] * scales[number]) + 8 for number, _ in columns]
    page = Image.new("RGB", (sum(widths) + 8, len(names) * (HIGH + LABEL + 8)), "#808080")
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(12)
    for row, name in enumerate(names):
        x, y = 8, row * (HIGH + LABEL + 8)
        for (number, scheme), width in zip(columns, widths, strict=True):
            shot = found[name, number, scheme]
            wide, high = SIZES[number]
            pen.text((x, y + 2), name if x == 8 else f"{wide} x {high}", "white", font)
            page.paste(
                shot.resize((width - 8, round(shot.height * scales[number])), Image.Resampling.LANCZOS), (x, y + LABEL)
            )
            x += width
    return page


def write(image: Image.Image, out: Path) -> None:
    """As good as the size allows."""
    for quality in range(90, 20, -5):
        data = io.BytesIO()
        image.save(data, "JPEG", quality=quality, optimize=True)
        if data.tell() < MAX_BYTES:
            break
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(data.getvalue())


if __name__ == "__main__":
    typer.run(main)
