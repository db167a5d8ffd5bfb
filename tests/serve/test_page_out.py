"""Files that leave the page are as good as the program's; the share sheet; huge pictures on their way in."""

from io import BytesIO
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from browser import wait_for
from page_actions import (
    GRABBED,
    HEIGHT,
    PULL,
    WIDTH,
    downloaded,
    drag,
    open_picture,
    pause,
    shown,
    wait_for_frames,
)
from PIL import Image
from typer.testing import CliRunner

from poke2vid.cli import app
from poke2vid.media.pictures import read_picture

pytestmark = pytest.mark.slow

BT709, LIMITED = 1, 1  # code points of ITU-T H.273, and ffmpeg's of the range
MESSAGE_BYTES = 3e6

NOISE = """async ([side, count]) => {
    const { messageGif } = await import('/js/record/gif.js');
    const tried = [];
    const gif = await messageGif(async (look, writer) => {
        tried.push(look);
        const width = Math.min(look.side, side);
        const frame = new ImageData(width, width);
        const words = new Uint32Array(frame.data.buffer);
        for (let i = 0; i < words.length; i++) words[i] = 0xff000000 | ((Math.random() * 0x1000000) & 0xe0e0e0);
        for (let number = 0; number < count; number++) {
            words.copyWithin(1, 0); // everything moves
            await writer.add(frame, number, 12);
            if (writer.isTooLarge) return (number + 1) / count;
        }
        writer.finish(count, 12);
        return 1;
    });
    return [gif.blob.size, gif.size, tried.length];
}"""

WHOLE = """async () => { // pixels of the moment at the picture's own size, drawn at once and not in strips
    const { PlainCompositor } = await import('/js/compositor/plain.js');
    const { picture, canvas, fields } = poke2vid.player;
    const whole = new PlainCompositor(document.createElement('canvas'), picture.source, canvas);
    whole.draw(fields);
    return URL.createObjectURL(await whole.toBlob('image/png'));
}"""


@pytest.fixture
def page(served: Any) -> Any:
    """A page that is quickly there, also again: nothing here depends on where frames are computed."""
    return served


def poked(page: Any, picture: Path) -> None:
    open_picture(page, picture)
    drag(page, GRABBED, PULL)
    wait_for_frames(page, 6)
    pause(page)
    page.mouse.up()


def psnr(frame: np.ndarray, true: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / ((frame.astype(float) - true) ** 2).mean()))


def first_frame(data: bytes) -> tuple[np.ndarray, tuple[int, ...]]:
    """First frame of a video, and its tags of colour."""
    with av.open(BytesIO(data), "r") as container:
        context: Any = container.streams.video[0].codec_context
        frame = next(container.decode(video=0))
        tags = (context.color_primaries, context.color_trc, context.colorspace, context.color_range)
        return frame.to_ndarray(format="rgb24"), tags


def test_a_video_s_first_frame_is_as_true_as_the_program_s_and_tagged(page: Any, balls: Path, tmp_path: Path) -> None:
    poked(page, balls)
    made = downloaded(page, "mp4").read_bytes()
    script, film = downloaded(page, "json"), tmp_path / "x.mp4"
    order = ["animate", str(balls), "--script", str(script), "--plain", "-o", str(film)]
    assert CliRunner().invoke(app, order, catch_exceptions=False).exit_code == 0
    true = read_picture(balls)
    frame, tags = first_frame(made)
    programs, _ = first_frame(film.read_bytes())
    assert frame.shape == programs.shape == true.shape
    assert psnr(frame, true) > psnr(programs, true) - 1
    assert tags == (BT709, BT709, BT709, LIMITED)
    assert b"colrnclx" + bytes((0, BT709, 0, BT709, 0, BT709, 0)) in made


@pytest.mark.thorough
def test_a_gif_for_a_message_is_small_and_what_was_made_is_said(page: Any, balls: Path) -> None:
    poked(page, balls)
    frames, last = page.evaluate("poke2vid.player.time"), shown(page)
    small = downloaded(page, "gif")
    assert "360 × 240 pixels, 13 frames a second" in page.inner_text("#toast")
    assert small.stat().st_size < MESSAGE_BYTES
    gif: Any
    with Image.open(small) as gif:
        assert gif.size == (360, 240)
        assert gif.n_frames == frames // 2 + 1
        gif.seek(gif.n_frames - 1)
        final = np.asarray(gif.convert("RGB").resize((WIDTH, HEIGHT))).astype(int)
    assert np.abs(final - last).mean() < 8 < 2 * np.abs(last - read_picture(balls)).mean()


def test_a_gif_that_would_be_too_large_is_made_smaller_until_it_fits(page: Any) -> None:
    """Noise that moves: hardly anything takes more."""
    size, (width, _), tries = page.evaluate(NOISE, [360, 48])
    assert size < MESSAGE_BYTES and width < 360 and 2 <= tries <= 4


def test_a_picture_is_saved_with_every_pixel_that_was_opened(page: Any, balls: Path, tmp_path: Path) -> None:
    """Also where the page works on a smaller copy, and in strips that leave no seam."""
    own, large = tmp_path / "own.png", tmp_path / "large.png"
    with Image.open(balls) as image:
        image.resize((1441, 1081), Image.Resampling.BICUBIC).save(own)
        image.resize((2400, 1600), Image.Resampling.BICUBIC).save(large)
    poked(page, own)
    whole = page.evaluate(WHOLE)
    with page.expect_download() as waiting:
        page.evaluate(
            "(url) => Object.assign(document.createElement('a'), { href: url, download: 'x' }).click()", whole
        )
    expected = read_picture(Path(waiting.value.path())).astype(int)
    found = read_picture(downloaded(page, "png"))
    assert found.shape == expected.shape == (1081, 1441, 3)
    assert np.abs(expected - read_picture(own)).max() > 30
    difference = np.abs(found - expected)
    assert difference.mean() < 0.3 and np.quantile(difference, 0.999) < 12  # what lies behind is filled at another size
    open_picture(page, large)
    assert page.evaluate("poke2vid.player.compositor.width") < 2400
    np.testing.assert_array_equal(read_picture(downloaded(page, "png")), read_picture(large))


SHARE = """(refuses) => {
    navigator.canShare = ({ files }) => files.length === 1 && files[0].type === 'video/mp4';
    window.shared = [];
    navigator.share = async ({ files }) => {
        if (refuses) { refuses = false; throw new DOMException('too late', 'NotAllowedError'); }
        shared.push([files[0].name, files[0].type, files[0].size]);
    };
}"""


def test_the_share_sheet_takes_the_video_where_there_is_one(page: Any, balls: Path) -> None:
    poked(page, balls)
    page.click("#share")
    assert page.is_hidden("#send")  # neither a share sheet nor, on this machine's own page, a link
    page.keyboard.press("Escape")
    page.evaluate(SHARE, True)
    page.click("#share")
    page.click("#send-file")
    page.click("#toast-action:has-text('Share…')")  # making it took longer than a press counts
    wait_for(page, "shared.length === 1")
    (name, kind, size) = page.evaluate("shared[0]")
    assert (name, kind) == ("balls.mp4", "video/mp4") and size > 1000
    page.evaluate("() => { delete navigator.canShare; delete navigator.share; }")


WATCH = """() => {
    window.opening = '';
    const before = poke2vid.stage.picture;
    new MutationObserver(() => {
        if (!document.getElementById('loading').hidden && poke2vid.stage.picture === before)
            opening = document.getElementById('loading-text').textContent;
    }).observe(document.getElementById('loading'), { attributes: true });
}"""


def test_a_picture_of_sixty_megapixels_opens_with_a_word_and_comes_up_whole(page: Any, tmp_path: Path) -> None:
    path = tmp_path / "huge.jpg"
    Image.fromarray(np.tile(np.array([[[200, 90, 60], [40, 120, 180]]], np.uint8), (6000, 5000, 1))).save(
        path, quality=60
    )
    page.evaluate(WATCH)
    open_picture(page, path)
    assert page.evaluate("opening") == "Opening huge.jpg…"
    assert page.is_hidden("#loading")
    size = page.evaluate("[poke2vid.player.picture.width, poke2vid.player.picture.height]")
    assert size == [10000, 6000]
    assert page.evaluate("poke2vid.player.picture.source.width") <= 4096
    assert page.evaluate("poke2vid.player.canvas.shownWidth") == 512
