"""Pictures and videos in and out."""

import io
import struct
import wave
import zlib
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from moving_square import moving_square
from PIL import Image

from poke2vid.media import encoding
from poke2vid.media.video import (
    expected_frames,
    iterate_frames,
    kept_fps,
    probe,
    read_picture,
    to_float,
    to_uint8,
    write_video,
)
from poke2vid.types import InputError

COLOURS = np.array([[[200, 10, 30], [20, 180, 40]], [[5, 60, 220], [250, 240, 10]]], np.uint8)  # all four differ


def png(image: Image.Image, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, format="PNG", **options)
    return file.getvalue()


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds no pixels."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )


def grey_ramp(num_frames: int) -> list[np.ndarray]:
    """Frame i is grey 8 * i, so that a decoded frame tells its number."""
    return [np.full((32, 32, 3), 8 * i, np.uint8) for i in range(num_frames)]


def number_of(frame: np.ndarray) -> int:
    return round(float(frame.mean()) / 8)


# Pictures


def test_a_picture_is_the_same_from_a_file_bytes_an_image_and_an_array(tmp_path):
    path = tmp_path / "ein Bild mit Lücken ö.png"
    path.write_bytes(png(Image.fromarray(COLOURS)))
    for source in (path, str(path), path.read_bytes(), Image.fromarray(COLOURS), COLOURS):
        np.testing.assert_array_equal(read_picture(source), COLOURS)


def test_exif_orientation_turns_the_picture(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held such that the picture must be turned clockwise to stand upright
    turned = read_picture(png(Image.fromarray(COLOURS), exif=exif))
    np.testing.assert_array_equal(turned, np.rot90(COLOURS, -1))


def test_transparency_shows_white():
    rgba = np.zeros((1, 3, 4), np.uint8)
    rgba[0, :, 0] = 200
    rgba[0, :, 3] = (255, 0, 128)
    for picture in (read_picture(rgba), read_picture(png(Image.fromarray(rgba)))):
        np.testing.assert_array_equal(picture[0, :2], [[200, 0, 0], [255, 255, 255]])
        np.testing.assert_allclose(picture[0, 2], [227, 127, 127], atol=1)


def test_a_palette_with_a_transparent_colour_shows_white():
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putpixel((1, 0), 1)
    np.testing.assert_array_equal(read_picture(png(image, transparency=1)), [[[10, 20, 30], [255, 255, 255]]])


def test_grey_becomes_three_equal_channels():
    grey = np.array([[0, 100, 255]], np.uint8)
    for picture in (read_picture(grey), read_picture(png(Image.fromarray(grey)))):
        np.testing.assert_array_equal(picture, np.repeat(grey[..., None], 3, -1))


def test_sixteen_bits_keep_their_brightness():
    grey = np.array([[0, 0x8080, 0xFFFF]], np.uint16)
    for picture in (read_picture(grey), read_picture(png(Image.fromarray(grey)))):
        np.testing.assert_array_equal(picture[0, :, 0], [0, 128, 255])


def test_cmyk_is_converted(tmp_path):
    path = tmp_path / "print.tif"
    Image.fromarray(np.array([[[0, 255, 255, 0]]], np.uint8), mode="CMYK").save(path)
    np.testing.assert_allclose(read_picture(path)[0, 0], [255, 0, 0], atol=2)


def test_an_animation_gives_its_first_frame(tmp_path):
    path = tmp_path / "a.gif"
    write_video(path, grey_ramp(5)[1:], 10)
    assert number_of(read_picture(path)) == 1


@pytest.mark.parametrize(("width", "height"), [(9000, 8000), (60000, 60000)])
def test_a_bomb_is_refused_by_its_header(width, height):
    with pytest.raises(InputError, match=r"too large.*64 megapixels"):
        read_picture(png_header(width, height))


def test_what_is_no_picture_is_refused_in_one_sentence(tmp_path):
    whole = png(Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)))
    (tmp_path / "text.png").write_text("hello")
    for source, says in (
        (tmp_path / "missing.png", "there is no picture .*missing.png"),
        (tmp_path, "is a folder"),
        (tmp_path / "text.png", "text.png is not a picture"),
        (b"", "not a picture"),
        (whole[: len(whole) // 2], "damaged or cut short"),
        (png_header(10, 10), "damaged or cut short"),
        (png_header(0, 10), "not a picture|empty|damaged"),
        (np.zeros((0, 4, 3), np.uint8), "empty"),
        (np.zeros((4, 4, 3), np.float32), "float32"),
        (np.zeros((4, 4, 2), np.uint8), "shape"),
    ):
        with pytest.raises(InputError, match=says) as caught:
            read_picture(source)
        assert str(caught.value).endswith(".") and "\n" not in str(caught.value)


def test_bytes_become_minus_one_to_one_and_come_back():
    levels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1).repeat(3, -1)
    x = to_float(levels)
    assert x.shape == (1, 3, 16, 16) and x.min() == -1 and x.max() == 1
    np.testing.assert_array_equal(to_uint8(x), levels)


def test_floats_outside_the_range_are_clamped():
    np.testing.assert_array_equal(to_uint8(torch.tensor([-3.0, 0.0, 3.0]).view(3, 1, 1))[0, 0], [0, 128, 255])


# Videos


@pytest.mark.parametrize(("suffix", "tolerance"), [(".mp4", 6), (".webm", 10), (".gif", 12)])
def test_a_written_video_reads_back(tmp_path, suffix, tolerance):
    frames, path = moving_square(12), tmp_path / f"mit Lücke{suffix}"
    write_video(path, frames, 25)
    back = list(iterate_frames(path))
    info = probe(path)
    assert len(back) == 12 and (info.width, info.height) == (64, 64) and info.fps == pytest.approx(25, rel=0.01)
    assert expected_frames(path) == pytest.approx(12, abs=1)
    assert np.abs(np.stack(back).astype(int) - np.stack(frames)).mean() < tolerance


@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".gif", ".webp"])
def test_the_same_frames_give_the_same_bytes(tmp_path, suffix):
    frames = moving_square(24, size=(66, 98))
    contents = set()
    for i in range(4):
        write_video(tmp_path / f"{i}{suffix}", frames, 30)
        contents.add((tmp_path / f"{i}{suffix}").read_bytes())
    assert len(contents) == 1


def test_colours_survive_a_video(tmp_path):
    red = np.zeros((32, 32, 3), np.uint8)
    red[..., 0] = 255
    write_video(tmp_path / "red.mp4", [red] * 3, 25)
    np.testing.assert_allclose(next(iterate_frames(tmp_path / "red.mp4"))[16, 16], [255, 0, 0], atol=3)


def test_odd_sizes_grow_by_a_repeated_row_and_column(tmp_path):
    frames = moving_square(3, size=(65, 97))
    write_video(tmp_path / "odd.mp4", frames, 25)
    back = next(iterate_frames(tmp_path / "odd.mp4"))
    assert back.shape == (66, 98, 3)
    assert np.abs(back[:65, :97].astype(int) - frames[0]).mean() < 6


def test_animations_loop_and_keep_time(tmp_path):
    for suffix in (".gif", ".webp"):
        write_video(tmp_path / f"a{suffix}", grey_ramp(30), 30)
        with Image.open(tmp_path / f"a{suffix}") as image:
            durations = []
            for i in range(image.n_frames):
                image.seek(i)
                image.load()
                durations.append(image.info["duration"])
            assert image.info["loop"] == 0 and sum(durations) == pytest.approx(1000, abs=20)


def test_a_png_holds_exactly_one_frame(tmp_path):
    write_video(tmp_path / "a.png", [COLOURS], 25)
    np.testing.assert_array_equal(read_picture(tmp_path / "a.png"), COLOURS)
    with pytest.raises(InputError, match="a PNG holds one"):
        write_video(tmp_path / "a.png", [COLOURS] * 2, 25)


def test_what_cannot_be_written_leaves_what_was_there(tmp_path):
    (tmp_path / "file").write_text("in the way")
    for path, frames, fps, says in (
        (tmp_path / "a.xyz", [COLOURS], 25, "suffix must be one of .mp4"),
        (tmp_path / "file" / "a.mp4", [COLOURS], 25, "cannot write .*a.mp4"),
        (tmp_path / "a.mp4", [], 25, "at least one"),
        (tmp_path / "a.mp4", [COLOURS, COLOURS[:1]], 25, "one size"),
        (tmp_path / "a.mp4", [COLOURS], 0.0, "frames a second"),
    ):
        with pytest.raises(InputError, match=says):
            write_video(path, frames, fps)
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_a_folder_of_frames_is_a_video_in_natural_order(tmp_path):
    for i, frame in enumerate(grey_ramp(12)):
        write_video(tmp_path / f"frame_{i}.png", [frame], 25)
    (tmp_path / "notes.txt").write_text("not a frame")
    assert [number_of(frame) for frame in iterate_frames(tmp_path)] == list(range(12))
    assert probe(tmp_path).frames == 12
    assert next(iterate_frames(tmp_path, 16)).shape == (16, 16, 3)


def test_a_frame_is_cropped_stretched_or_padded_to_a_square(tmp_path):
    frame = np.zeros((32, 64, 3), np.uint8)
    frame[:, :16, 0], frame[:, 16:48, 1], frame[:, 48:, 2] = 255, 255, 255  # red, green twice as wide, blue
    write_video(tmp_path / "0.png", [frame], 25)
    write_video(tmp_path / "1.png", [frame], 25)
    crop, stretch, pad = (next(iterate_frames(tmp_path, 16, fit)) for fit in ("crop", "stretch", "pad"))
    assert crop.shape == stretch.shape == pad.shape == (16, 16, 3)
    assert (crop == (0, 255, 0)).all()
    np.testing.assert_array_equal(stretch[8, [0, 8, 15]], [[255, 0, 0], [0, 255, 0], [0, 0, 255]])
    assert (pad[:4] == 0).all() and (pad[12:] == 0).all()
    np.testing.assert_array_equal(pad[8, [0, 8, 15]], [[255, 0, 0], [0, 255, 0], [0, 0, 255]])


def test_shrinking_averages_instead_of_skipping(tmp_path):
    board = (np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8)
    for i in range(2):
        write_video(tmp_path / f"{i}.png", [np.stack([board] * 3, -1)], 25)
    assert np.abs(next(iterate_frames(tmp_path, 16)).astype(int) - 127).max() <= 2


@pytest.mark.parametrize("degrees", [90, 180, -90])
def test_rotation_metadata_turns_the_frames(tmp_path, degrees):
    path = tmp_path / "turned.mp4"
    frame = moving_square(1, size=(48, 64))[0]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        stream.set_display_rotation(degrees)
        for _ in range(3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    decoded = next(iterate_frames(path))
    assert decoded.shape == np.rot90(frame, degrees // 90).shape
    assert np.abs(decoded.astype(int) - np.rot90(frame, degrees // 90)).mean() < 12
    assert (probe(path).height, probe(path).width) == decoded.shape[:2]


@pytest.mark.parametrize("fps", [7, 10, 12, 24])
def test_a_lower_rate_keeps_the_frames_nearest_to_its_ticks(tmp_path, fps):
    path = tmp_path / "ramp.mp4"
    write_video(path, grey_ramp(30), 30)
    kept = [number_of(frame) for frame in iterate_frames(path, fps=fps)]
    wanted = [k * 30 / fps for k in range(len(kept))]
    assert len(kept) == pytest.approx(fps, abs=1) and len(set(kept)) == len(kept)
    assert np.abs(np.array(kept) - wanted).max() <= 0.5


@pytest.mark.parametrize("fps", [30, 29.98, 60, None])
def test_a_rate_that_the_source_does_not_reach_keeps_every_frame(tmp_path, fps):
    path = tmp_path / "ramp.mp4"
    write_video(path, grey_ramp(10), 30)
    assert [number_of(frame) for frame in iterate_frames(path, fps=fps)] == list(range(10))
    assert kept_fps(30, fps) == 30


def test_what_is_no_video_is_refused_naming_file_and_reason(tmp_path):
    write_video(tmp_path / "whole.mp4", moving_square(20), 25)
    contents = (tmp_path / "whole.mp4").read_bytes()
    (tmp_path / "empty.mp4").write_bytes(b"")
    (tmp_path / "corrupt.mp4").write_bytes(bytes(1000))
    (tmp_path / "headless.mp4").write_bytes(contents[len(contents) // 2 :])
    (tmp_path / "folder").mkdir()
    with wave.open(str(tmp_path / "sound.wav"), "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(bytes(1000))
    for name, says in (
        ("missing.mp4", "there is no video"),
        ("empty.mp4", "cannot be read"),
        ("corrupt.mp4", "cannot be read"),
        ("headless.mp4", "cannot be read"),
        ("folder", "no pictures"),
        ("sound.wav", "no video"),
    ):
        for use in (probe, lambda path: list(iterate_frames(path))):
            with pytest.raises(InputError, match=says) as caught:
                use(tmp_path / name)
            assert name in str(caught.value) and "\n" not in str(caught.value)
        assert expected_frames(tmp_path / name) == 0


@pytest.mark.parametrize("share", [0.5, 0.9])
def test_a_video_cut_short_says_so(tmp_path, share):
    write_video(tmp_path / "whole.mp4", moving_square(40), 25)
    contents = (tmp_path / "whole.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(contents[: int(share * len(contents))])  # its index comes first (faststart)
    assert probe(tmp_path / "cut.mp4").frames == 40
    with pytest.raises(InputError, match=r"cut.mp4 is damaged"):
        list(iterate_frames(tmp_path / "cut.mp4"))


def test_an_encoder_may_use_any_suffix_in_capitals(tmp_path):
    write_video(tmp_path / "A.MP4", grey_ramp(3), 25)
    assert len(list(iterate_frames(tmp_path / "A.MP4"))) == 3


def test_every_kind_that_is_offered_can_be_written(tmp_path):
    for suffix in encoding.WRITABLE:
        write_video(tmp_path / f"a{suffix}", grey_ramp(1), 25)
        assert Path(tmp_path / f"a{suffix}").stat().st_size > 0
