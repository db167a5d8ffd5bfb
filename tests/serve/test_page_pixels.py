"""The page's canvas and compositors in a real browser: the pixels that the program's canvas has."""

import io
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from page_probe import ISOLATION, WEB, Probe, encoded, floats, host, levels, pictured, png, smooth
from PIL import Image

from poke2vid.export.site import site_files
from poke2vid.live.canvas import Canvas
from poke2vid.media.pictures import read_picture
from poke2vid.types import Frame, Poke

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def probe(browser: Any) -> Iterator[Probe]:
    """A page without a model."""
    files = site_files() | {f"tests/{path.name}": path for path in WEB.iterdir()}
    with host(files, ISOLATION) as url:
        page = browser.new_page()
        page.goto(f"{url}tests/page.html")
        yield Probe(page)
        page.context.close()
        page.close()


# The canvas

SIZES = [(5, 3), (64, 64), (63, 65), (333, 500), (700, 400), (1024, 1024), (1021, 769), (513, 7), (40, 30)]


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("resolution", [64, 128])
def test_the_model_sees_the_same_picture(probe: Probe, size: tuple[int, int], resolution: int) -> None:
    data = png(pictured(*size))
    canvas = Canvas(read_picture(data), resolution)
    found = probe("openPicture", encoded(data), resolution)
    assert (found["height"], found["width"]) == canvas.size
    assert (found["shownHeight"], found["shownWidth"]) == canvas.picture.shape[:2]
    assert np.abs(levels(found["shown"], found["shownWidth"], found["shownHeight"]) - canvas.picture).max() <= 1
    x_0 = floats(found["x0"], 3, resolution, resolution)
    assert np.abs(x_0 - canvas.x_0[0].numpy()).max() <= 1.01 / 127.5
    if min(size) >= resolution:  # it only shrinks, and that is exact
        np.testing.assert_array_equal(x_0, canvas.x_0[0].numpy())
    height, width = canvas.size
    points = [(0.0, 0.0), (-0.5, -0.5), (width - 0.5, height - 0.5), (width / 3, height / 7)]
    for point, place in zip(points, probe("located", points, (3.0, -2.0)), strict=True):
        expected = canvas.modelled(Poke(point, (3.0, -2.0)))
        assert (*place["at"], *place["shift"]) == (*expected.location, *expected.shift)
        np.testing.assert_allclose(place["back"], point, atol=1e-6 * max(size))


def test_transparent_pictures_lie_on_white(probe: Probe) -> None:
    alpha = np.random.default_rng(1).integers(0, 256, (200, 300, 1), dtype=np.uint8)
    data = png(np.concatenate((pictured(300, 200), alpha), axis=-1))
    found = probe("openPicture", encoded(data), 64)
    assert np.abs(levels(found["shown"], 300, 200) - read_picture(data)).max() <= 1


def test_a_photograph_is_turned_as_its_tag_says(probe: Probe) -> None:
    image = Image.fromarray(pictured(90, 60))
    tags = image.getexif()
    tags[0x0112] = 6
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=95, exif=tags)
    found = probe("openPicture", encoded(stream.getvalue()), 64)
    assert (found["width"], found["height"]) == (60, 90)
    assert np.abs(levels(found["shown"], 60, 90) - read_picture(stream.getvalue())).mean() < 2


@pytest.mark.parametrize("data", [b"", b"no picture", png(np.zeros((9, 9, 3), np.uint8))[:40]])
def test_a_file_that_is_no_picture_is_refused_in_one_sentence(probe: Probe, data: bytes) -> None:
    sentence = probe("refused", encoded(data))
    assert "holiday.png is" in sentence and sentence.count(".") <= 2


def test_a_picture_of_too_many_pixels_is_refused_with_the_limit(probe: Probe) -> None:
    stream = io.BytesIO()
    Image.new("1", (9000, 8000)).save(stream, "PNG")
    assert "the limit is 64 megapixels" in probe("refused", encoded(stream.getvalue()))


# The compositor


@pytest.mark.parametrize("kind", ["any-webgl", "plain"])
@pytest.mark.parametrize("size", [(512, 300), (201, 333)])
def test_the_compositor_draws_what_a_canvas_renders(probe: Probe, kind: str, size: tuple[int, int]) -> None:
    resolution = 64
    data = png(pictured(*size))
    canvas = Canvas(read_picture(data), resolution)
    probe("openPicture", encoded(data), resolution)
    flow, repaint = smooth(2, resolution, 3, 0), smooth(3, resolution, 0.05, 1)
    x_hat = smooth(3, resolution, 0.5, 2).clip(-1, 1)
    frames: list[dict[str, str | None]] = [
        {"flow": encoded(flow), "repaint": None, "xHat": None},
        {"flow": encoded(flow), "repaint": encoded(repaint), "xHat": None},
        {"flow": None, "repaint": None, "xHat": encoded(x_hat)},
    ]
    nothing = torch.zeros(1, 3, resolution, resolution)
    moved = torch.from_numpy(flow)[None]
    expected = [
        canvas.picture,
        canvas.render(Frame(nothing, moved, nothing)),
        canvas.render(Frame(nothing, moved, torch.from_numpy(repaint)[None])),
        canvas.render(Frame(torch.from_numpy(x_hat)[None])),
    ]
    heat = np.zeros((resolution, resolution), np.float32)
    heat[:, : resolution // 2] = 1
    found = probe("composed", kind, frames, encoded(heat))
    assert (found["kind"], found["width"], found["height"]) == (kind.removeprefix("any-"), *size)
    assert found["blob"] > 1000
    images = [levels(image, *size) for image in found["images"]]
    np.testing.assert_array_equal(images[0], expected[0])
    for image, should in zip(images[1:], expected[1:], strict=True):
        difference = np.abs(image - should)
        assert difference.mean() < 0.5 and np.percentile(difference, 99.9) <= 3
    heated = levels(found["heated"], *size)
    hot, cold = heated[:, : size[0] // 4], heated[:, -size[0] // 4 :]
    assert (hot[..., 0] - hot[..., 2]).mean() > 60  # the colours' upper end is yellow
    assert np.abs(cold[..., 0] - cold[..., 2]).mean() < 30 and cold.mean() < images[1].mean()  # nearly grey, and dimmed


def test_both_compositors_lay_heat_alike(probe: Probe) -> None:
    probe("openPicture", encoded(png(pictured(300, 200))), 64)
    frame = {"flow": encoded(smooth(2, 64, 3, 0)), "repaint": None, "xHat": None}
    heat = encoded(smooth(1, 64, 0.5, 3).clip(0, 1))
    images = [levels(probe("composed", kind, [frame], heat)["heated"], 300, 200) for kind in ("any-webgl", "plain")]
    assert np.abs(images[0] - images[1]).mean() < 0.5


def test_a_lost_context_comes_back_with_the_picture(probe: Probe) -> None:
    probe("openPicture", encoded(png(pictured(300, 200))), 64)
    assert probe("afterLoss")


# The compositor of a layer that moves


def layered(width: int, height: int, resolution: int, seed: int) -> tuple[Frame, np.ndarray]:
    """A frame of an object with a soft rim that moves by several pixels, and the mask alone."""
    y, x = np.mgrid[:resolution, :resolution] / (resolution - 1)
    away = np.hypot(x - 0.45, y - 0.5) + 0.05 * np.sin(9 * np.arctan2(y - 0.5, x - 0.45))
    mask = (6 * (0.3 - away) + 0.5).clip(0, 1).astype(np.float32)
    flow = smooth(2, resolution, 3 * resolution / 64, seed) * (away < 0.4)
    nothing = torch.zeros(1, 3, resolution, resolution)
    return Frame(nothing, torch.from_numpy(flow)[None], nothing, torch.from_numpy(mask)[None, None]), mask


def drawn(frame: Frame) -> dict[str, str | None]:
    assert frame.flow is not None and frame.mask is not None
    return {
        "flow": encoded(frame.flow.numpy()),
        "repaint": None,
        "xHat": None,
        "mask": encoded(frame.mask.numpy()),
    }


@pytest.mark.parametrize("kind", ["any-webgl", "plain"])
@pytest.mark.parametrize(("size", "resolution"), [((512, 300), 64), ((201, 333), 64), ((480, 480), 128)])
def test_the_compositor_moves_the_layer_as_a_canvas_does(
    probe: Probe, kind: str, size: tuple[int, int], resolution: int
) -> None:
    data = png(pictured(*size))
    canvas = Canvas(read_picture(data), resolution)
    probe("openPicture", encoded(data), resolution)
    frame, mask = layered(*size, resolution, 0)
    still = replace(frame, flow=torch.zeros_like(frame.flow))  # type: ignore[arg-type]
    found = probe("composed", kind, [drawn(frame), drawn(still)], encoded((mask > 0.5).astype(np.float32)))
    assert (found["kind"], found["width"], found["height"]) == (kind.removeprefix("any-"), *size)
    images = [levels(image, *size) for image in found["images"]]
    np.testing.assert_array_equal(images[0], canvas.picture)
    assert np.abs(images[2] - canvas.picture).max() <= 1
    difference = np.abs(images[1] - canvas.render(frame))
    assert np.abs(canvas.render(frame) - canvas.picture.astype(int)).mean() > 3
    assert difference.mean() < 0.5 and np.percentile(difference, 99.9) <= 6, (difference.mean(), difference.max())
    heated = levels(found["heated"], *size)
    assert (heated[..., 0] - heated[..., 2]).max() > 60


def test_both_compositors_lay_heat_over_a_moved_layer_alike(probe: Probe) -> None:
    probe("openPicture", encoded(png(pictured(300, 200))), 64)
    frame, mask = layered(300, 200, 64, 1)
    kinds = ("any-webgl", "plain")
    images = [levels(probe("composed", k, [drawn(frame)], encoded(mask))["heated"], 300, 200) for k in kinds]
    assert np.abs(images[0] - images[1]).mean() < 0.5


def test_a_saved_picture_is_at_its_own_size_though_its_backdrop_is_not(probe: Probe) -> None:
    size = (1100, 1100)  # square, as other layouts are rounded at the size that is shown
    large = cv2.resize(pictured(275, 275), size, interpolation=cv2.INTER_CUBIC)
    canvas = Canvas(large, 64, max_side=1100)
    probe("openPicture", encoded(png(large)), 64)
    frame, mask = layered(*size, 64, 2)
    difference = np.abs(levels(probe("atFullSize", drawn(frame)), *size) - canvas.render(frame))
    large_mask = cv2.resize(mask, size, interpolation=cv2.INTER_LINEAR)
    sure = (large_mask == 0) | (large_mask > 0.999)  # between them shows what was filled, at another size
    assert difference[sure].mean() < 0.3 and difference.mean() < 3


def test_a_lost_context_comes_back_with_its_layers(probe: Probe) -> None:
    probe("openPicture", encoded(png(pictured(300, 200))), 64)
    assert probe("afterLoss", drawn(layered(300, 200, 64, 1)[0]))
