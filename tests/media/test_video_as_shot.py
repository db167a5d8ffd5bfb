"""Videos as cameras write them: turned, HDR, untagged, of variable rate, interlaced, damaged, animated."""

import itertools
import struct
from collections import Counter
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from moving_square import moving_square
from PIL import Image
from shot_video import encode, viewed

from poke2vid.media import hdr
from poke2vid.media.damage import Damage
from poke2vid.media.timing import Pace, Timed, broken_at_gaps, pace_of, paced
from poke2vid.media.turning import Turn
from poke2vid.media.video import Viewing, iterate_frames, probe, write_video
from poke2vid.types import InputError

CORNERS = np.array([[[200, 10, 30], [20, 180, 40], [0, 0, 0]], [[5, 60, 220], [250, 240, 10], [99, 99, 99]]], np.uint8)


def grey_ramp(num_frames: int) -> list[np.ndarray]:
    return [np.full((32, 32, 3), 6 * i, np.uint8) for i in range(num_frames)]


def number_of(frame: np.ndarray) -> int:
    return round(float(frame.mean()) / 6)


# Display matrices


MATRICES = [(a, 0, 0, d) for a in (1, -1) for d in (1, -1)] + [(0, b, c, 0) for b in (1, -1) for c in (1, -1)]


@pytest.mark.parametrize("matrix", MATRICES)
def test_every_flip_and_quarter_turn_is_shown_as_its_matrix_says(matrix: tuple[int, int, int, int]) -> None:
    a, b, c, d = (65536 * part for part in matrix)
    turn = Turn.of_matrix(struct.pack("=9i", a, b, 0, c, d, 0, 0, 0, 1 << 30))
    shown = turn(CORNERS)
    assert shown.shape[:2] == turn.shape(2, 3)
    for y, x in itertools.product(range(2), range(3)):  # the definition: (x, y) is sent to (a x + c y, b x + d y)
        column = _at(matrix[0] * x + matrix[2] * y, matrix[0] + matrix[2], shown.shape[1])
        row = _at(matrix[1] * x + matrix[3] * y, matrix[1] + matrix[3], shown.shape[0])
        np.testing.assert_array_equal(shown[row, column], CORNERS[y, x])


def _at(position: int, sign: int, length: int) -> int:
    """Index of a coordinate after the picture was moved back to begin at 0."""
    return position if sign > 0 else position + length - 1


@pytest.mark.parametrize(
    ("matrix", "name"), [((-1, 0, 0, 1), "hflip"), ((1, 0, 0, -1), "vflip"), ((0, 1, 1, 0), "transpose")]
)
def test_a_mirrored_file_is_shown_mirrored(tmp_path: Path, matrix: tuple[int, int, int, int], name: str) -> None:
    frame = moving_square(1, size=(48, 64))[0]
    data = encode(tmp_path / "plain.mp4", [frame] * 3).read_bytes()
    a, b, c, d = (65536 * part for part in matrix)
    old = struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30)
    at = data.rindex(old)  # the matrix of the track; the film's comes before it
    path = tmp_path / "mirrored.mp4"
    path.write_bytes(data[:at] + struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30) + data[at + len(old) :])
    meant = {"hflip": frame[:, ::-1], "vflip": frame[::-1], "transpose": frame.swapaxes(0, 1)}[name]
    shown = next(iterate_frames(path))
    assert shown.shape == meant.shape and (probe(path).height, probe(path).width) == meant.shape[:2]
    assert np.abs(shown.astype(int) - meant).mean() < 12


# Colours


def test_hlg_and_pq_follow_their_standards() -> None:
    half = hdr.hlg_light(np.array([0, 0.5, 0.75, 1.0], np.float32))
    np.testing.assert_allclose(half, [0, 1 / 12, 0.26496, 1], atol=1e-4)  # BT.2100: E = 1/12 at 0.5; BT.2408: 26.5 %
    np.testing.assert_allclose(
        hdr.pq_light(np.array([0.5081, 0.5807, 0.7518, 1], np.float32)), [100, 203, 1000, 10000], rtol=2e-3
    )
    light = np.array([0.1, 1, 100, 5000], np.float32)
    np.testing.assert_allclose(hdr.pq_light(hdr.pq_signal(light)), light, rtol=1e-3)


def test_tone_mapping_keeps_the_dark_and_never_turns_back() -> None:
    light = np.linspace(0.1, 1000, 500, dtype=np.float32)
    mapped = hdr.tone_mapped(light, 1000)
    np.testing.assert_allclose(mapped[light < 90], light[light < 90], rtol=1e-3)
    assert (np.diff(mapped) > -1e-3).all() and mapped[-1] == pytest.approx(hdr.WHITE, rel=1e-3)


def hdr_signal(colour: tuple[int, int, int], transfer: str) -> np.ndarray:
    """The 16-bit BT.2020 signal of an SDR colour, by the mappings of BT.2408 turned round."""
    level = np.array(colour) / 255
    if transfer == "hlg":
        light = np.where(level < 0.081, level / 4.5, ((level + 0.099) / 1.099) ** (1 / 0.45))
    else:
        light = hdr.srgb_light(level.astype(np.float32))
    wide = np.linalg.inv([[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]]) @ light
    if transfer == "pq":
        return hdr.pq_signal((wide * 203).astype(np.float32))
    scene = wide * 0.26496
    return np.where(
        scene <= 1 / 12, np.sqrt(3 * scene), 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073
    )


@pytest.mark.parametrize("transfer", ["hlg", "pq"])
@pytest.mark.parametrize("colour", [(198, 48, 55), (60, 150, 80), (90, 90, 90), (30, 40, 160)])
def test_colours_of_hdr_come_back_as_sdr(transfer: Any, colour: tuple[int, int, int]) -> None:
    signal = np.rint(hdr_signal(colour, transfer) * 65535).astype(np.uint16)
    np.testing.assert_allclose(hdr.to_sdr(signal[None, None], transfer, "bt2020")[0, 0], colour, atol=2)


def test_highlights_of_hdr_do_not_exceed_white_and_stay_apart() -> None:
    grey = np.linspace(0, 65535, 40).astype(np.uint16)[None, :, None].repeat(3, -1)
    for transfer, least in (("hlg", 30), ("pq", 20)):
        shown = hdr.to_sdr(grey, transfer, "bt2020")[0, :, 0].astype(int)
        assert (np.diff(shown) >= 0).all() and shown[-1] == 255 and len(set(shown)) >= least


@pytest.mark.parametrize(("transfer", "tag"), [("hlg", 18), ("pq", 16)])
@pytest.mark.parametrize("rest", [9, 2])  # primaries and matrix of BT.2020, or untagged
def test_an_hdr_file_is_brought_to_sdr(tmp_path: Path, transfer: str, tag: int, rest: int) -> None:
    r, g, b = hdr_signal((198, 48, 55), transfer)
    y = 0.2627 * r + 0.678 * g + 0.0593 * b
    planes = (64 + 876 * y, 512 + 896 * (b - y) / 1.8814, 512 + 896 * (r - y) / 1.4746)
    frame = av.VideoFrame(64, 64, "yuv420p10le")
    for plane, level in zip(frame.planes, planes, strict=True):
        plane.update(np.full(plane.buffer_size // 2, round(float(level)), "<u2").tobytes())
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("ffv1", rate=25)
        stream.height = stream.width = 64
        stream.pix_fmt = "yuv420p10le"
        context = stream.codec_context
        context.color_trc, context.color_primaries, context.colorspace, context.color_range = tag, rest, rest, 1
        for i in range(3):
            frame.pts, frame.time_base = i, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    frames, _, notes = viewed(path)
    np.testing.assert_allclose(frames[0][32, 32], (198, 48, 55), atol=4)
    assert f"{transfer.upper()} BT2020" in notes


@pytest.mark.parametrize(("height", "tag", "matrix"), [(720, 2, 709), (480, 2, 601), (720, 6, 601), (480, 1, 709)])
@pytest.mark.parametrize("full", [False, True])
def test_untagged_colours_are_bt709_from_hd_on(tmp_path: Path, height: int, tag: int, matrix: int, full: bool) -> None:
    colour, (red, blue) = np.array([200, 60, 40]) / 255, {709: (0.2126, 0.0722), 601: (0.299, 0.114)}[matrix]
    y = red * colour[0] + (1 - red - blue) * colour[1] + blue * colour[2]
    chroma = (colour[2] - y) / (2 - 2 * blue), (colour[0] - y) / (2 - 2 * red)
    levels = (255 * y, *(128 + 255 * c for c in chroma)) if full else (16 + 219 * y, *(128 + 224 * c for c in chroma))
    frame = av.VideoFrame(64, height, "yuv420p")
    for plane, level in zip(frame.planes, levels, strict=True):
        plane.update(np.full(plane.buffer_size, round(float(level)), np.uint8).tobytes())
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream: Any = container.add_stream("libx264", rate=25, options={"qp": "0"})
        stream.height, stream.width, stream.pix_fmt = height, 64, "yuv420p"
        stream.codec_context.colorspace, stream.codec_context.color_range = tag, 2 if full else 1
        frame.color_range = 2 if full else 1
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    shown = next(iterate_frames(tmp_path / "a.mp4", 16, "stretch"))
    np.testing.assert_allclose(shown[8, 8], (200, 60, 40), atol=4)


@pytest.mark.parametrize(
    ("name", "codec", "kind"),
    [
        ("a.mov", "qtrle", "argb"),
        ("a.mov", "prores_ks", "yuva444p10le"),
        ("a.mkv", "ffv1", "yuva444p"),
        ("a.webm", "libvpx", "yuva420p"),
        ("a.webm", "libvpx-vp9", "yuva420p"),
    ],
)
def test_transparent_parts_of_a_video_are_white(tmp_path: Path, name: str, codec: str, kind: str) -> None:
    picture = np.zeros((64, 64, 4), np.uint8)
    picture[20:44, 20:44] = (200, 60, 40, 255)
    frame: Any = av.VideoFrame.from_ndarray(picture, "rgba").reformat(format=kind)
    path = encode(tmp_path / name, [frame] * 3, codec, pix_fmt=kind, options={"auto-alt-ref": "0"})
    pictures = list(iterate_frames(path))
    assert len(pictures) == 3
    for shown in pictures:
        np.testing.assert_allclose(shown[5, 5], 255, atol=2)
        np.testing.assert_allclose(shown[32, 32], (200, 60, 40), atol=6)


# Time


def test_a_constant_rate_is_known_in_spite_of_rounded_stamps_and_a_dropped_frame() -> None:
    ntsc = [round(i * 1001 / 30, 0) / 1000 for i in range(200)]
    reordered = [time for first in range(0, 200, 4) for time in ntsc[first : first + 4][::-1]]  # as B-frames are
    assert pace_of(ntsc, 29.97) == Pace(29.97) and pace_of(reordered, 29.97) == Pace(29.97)
    assert pace_of(ntsc[:100] + ntsc[101:], 29.8) == Pace(29.8)
    unseen = [i * 0.04 + 0.001 for i in range(0, 40, 10)]  # VP8 has packets that are never shown
    assert pace_of(sorted([i * 0.04 for i in range(40)] + unseen), 25) == Pace(25)
    assert pace_of([0, 0.04], 25) == Pace(25)
    assert pace_of([0, 4, 2, 1, 3, 8, 6, 5, 7], 1) == Pace(1)  # a slide show, whose B-frames are seconds away


def test_a_variable_rate_is_known_with_its_usual_rate() -> None:
    slow_in_between = (
        [i * 0.04 for i in range(10)] + [0.4 + i * 0.16 for i in range(5)] + [1.2 + i * 0.04 for i in range(10)]
    )
    assert pace_of(slow_in_between, 15.6) == Pace(25, even=False)
    drifting = np.cumsum([1 / 30] * 60 + [1 / 24] * 50).tolist()
    assert pace_of(drifting, 27) == Pace(30, even=False)
    paused = [i / 30 for i in range(60)] + [10 + i / 30 for i in range(60)]
    assert pace_of(paused, 10) == Pace(30, even=False)


def shown_at(times: list[float], pace: Pace, fps: float | None) -> list[int]:
    timed = (Timed(time, i) for i, time in enumerate(times))
    return [moment.item for moment in paced(timed, pace, fps) for _ in range(moment.shown)]


def test_frames_are_held_until_the_next_is_nearer() -> None:
    assert shown_at([0, 0.04, 0.08, 0.26, 0.28], Pace(25, even=False), None) == [0, 1, 2, 2, 2, 3, 3, 4]
    assert shown_at([i * 0.04 for i in range(20)], Pace(25, even=False), 12.5) == list(range(0, 20, 2))


def test_a_gap_is_a_break_and_a_slow_stretch_is_none() -> None:
    times = [0, 0.04, 0.08, 0.24, 0.28, 1.28, 1.32]
    marked = broken_at_gaps((Timed(time, i) for i, time in enumerate(times)), Pace(25, even=False), 25)
    assert [moment.item for moment in marked if moment.breaks] == [5]


@pytest.mark.parametrize("fps", [None, 12.5])
def test_a_file_of_variable_rate_is_evened_out(tmp_path: Path, fps: float | None) -> None:
    times = [*range(0, 400, 40), *range(400, 1200, 160), *range(1200, 1600, 40)]
    frames = [np.full((32, 32, 3), time // 40 * 6, np.uint8) for time in times]
    path = encode(tmp_path / "vfr.mkv", frames, times=times)
    shown, shots, notes = viewed(path, 32, fps)
    rate = fps or 25
    assert probe(path).fps == 25 and len(shown) == pytest.approx(1.6 * rate, abs=1) and set(shots) == {0}
    off = [number_of(frame) / 25 - i / rate for i, frame in enumerate(shown)]
    assert np.abs(off).max() <= 0.08 + 0.02 and "variable frame rate" in notes
    assert len(list(iterate_frames(path, 32, fps=fps))) == len(shown)


def test_frames_that_an_even_rate_passes_over_are_counted(tmp_path: Path) -> None:
    times = [*range(0, 400, 40), *range(400, 400 + 14 * 160, 160)]
    _, _, notes = viewed(encode(tmp_path / "slow.mkv", grey_ramp(24), times=times), 32)
    assert "evened out to 6.25 a second" in notes and "and 8 of the video's are passed over" in notes


def test_no_shot_spans_a_gap(tmp_path: Path) -> None:
    frames, times = grey_ramp(30), [*range(0, 600, 40), *range(3000, 3600, 40)]
    shown, shots, notes = viewed(encode(tmp_path / "gap.mkv", frames, times=times), 32)
    assert Counter(shots) == {0: 15, 1: 15} and [number_of(frame) for frame in shown] == list(range(30))
    assert "1 gap" in notes


def test_only_gaps_are_counted_as_gaps(tmp_path: Path) -> None:
    """Another size of frame begins a shot, and is no gap in time."""
    data = b"".join(
        encode(
            tmp_path / "part.webm", [np.full((side, side, 3), 90, np.uint8)] * len(times), "libvpx", times=times
        ).read_bytes()
        for side, times in ((32, range(0, 400, 40)), (48, range(400, 1200, 160)))
    )
    path = tmp_path / "two.webm"
    path.write_bytes(data)
    _, shots, notes = viewed(path, 32)
    assert set(shots) == {0, 1} and "variable" in notes and "gap" not in notes


@pytest.mark.parametrize("fit", ["crop", "stretch", "pad"])
def test_frames_that_are_thinned_out_make_no_cut(tmp_path: Path, fit: Any) -> None:
    write_video(tmp_path / "wide.mp4", moving_square(40, size=(64, 160)), 25)
    shown = list(Viewing(tmp_path / "wide.mp4", 64, fit, fps=10))
    assert len(shown) == 16 and {one.shot for one in shown} == {0}


# Damage


def test_damage_spoils_what_refers_to_it_up_to_the_next_key_frame() -> None:
    damage = Damage()
    order = [(0, True), (3, False), (1, False), (2, False), (6, True), (4, False), (5, False), (7, False)]
    for stamp, key in order:
        damage.packet(stamp, key)
        if stamp == 3:
            damage.fault()
    assert [damage.spoils(stamp) for stamp in range(8)] == [False, True, True, True, True, True, False, False]


def test_the_damaged_stretch_is_left_out_and_named(tmp_path: Path) -> None:
    frames = moving_square(40, size=(64, 96))
    options = {"x264-params": "keyint=10:min-keyint=10:scenecut=0:bframes=0"}
    path = encode(tmp_path / "whole.mp4", frames, options=options)
    with av.open(str(path)) as container:
        places = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    data = bytearray(path.read_bytes())
    start, size = places[14]
    data[start + 12 : start + size] = np.random.default_rng(0).integers(0, 256, size - 12, np.uint8).tobytes()
    (tmp_path / "damaged.mp4").write_bytes(data)
    shown, shots, notes = viewed(tmp_path / "damaged.mp4")
    kept = Counter(shots)
    assert kept[0] == 14 and kept[1] == 20 and "damaged from 0.52 s to 0.80 s" in notes
    whole = [frame for frame, _ in zip(viewed(path)[0], range(40), strict=False)]
    np.testing.assert_array_equal(shown[:14], whole[:14])
    np.testing.assert_array_equal(shown[14:], whole[20:])
    with pytest.raises(InputError, match=r"damaged.mp4 is damaged"):
        list(iterate_frames(tmp_path / "damaged.mp4"))


def test_of_a_file_cut_short_the_rest_is_used(tmp_path: Path) -> None:
    write_video(tmp_path / "whole.mp4", moving_square(40), 25)
    contents = (tmp_path / "whole.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(contents[: int(0.6 * len(contents))])  # its index comes first (faststart)
    shown, _, notes = viewed(tmp_path / "cut.mp4")
    assert 10 < len(shown) < 40 and "damaged" in notes and "the file says that it is 1.60 s long" in notes
    assert "the file says" not in viewed(tmp_path / "whole.mp4")[2]


# Pictures that are videos


@pytest.mark.parametrize(("suffix", "kind"), [(".webp", "WEBP"), (".png", "PNG"), (".avif", "AVIF")])
def test_animated_pictures_are_videos(tmp_path: Path, suffix: str, kind: str) -> None:
    first, *others = [Image.fromarray(frame) for frame in grey_ramp(8)]
    path = tmp_path / f"a{suffix}"
    first.save(path, format=kind, save_all=True, append_images=others, duration=40, loop=0)
    assert [number_of(frame) for frame in iterate_frames(path)] == list(range(8))
    assert probe(path).fps == pytest.approx(25) and probe(path).frames == 8


def test_frames_of_several_sizes_are_refused_in_one_sentence(tmp_path: Path) -> None:
    for i in range(5):
        Image.new("RGB", (64, 48)).save(tmp_path / f"{i}.png")
    Image.new("RGB", (100, 100)).save(tmp_path / "cover.jpg")
    with pytest.raises(InputError, match=r"2 sizes: 5 of 64 x 48, but also cover.jpg \(100 x 100\)") as caught:
        list(iterate_frames(tmp_path))
    assert "\n" not in str(caught.value)


# The samples


def test_the_sample_videos_are_right(shared: Path) -> None:
    cases = shared / "cases"
    if not cases.is_dir():
        pytest.skip("needs the sample files")
    corner = {name: viewed(cases / f"{name}.mp4", 64)[0][0][:20, :20].mean((0, 1)) for name in ("hflip", "hlg")}
    np.testing.assert_allclose(corner["hlg"], (198, 48, 55), atol=12)
    np.testing.assert_allclose(corner["hflip"], (57, 194, 50), atol=12)  # mirrored: green is left
    frames, shots, _ = viewed(cases / "static_cut.mp4")
    assert Counter(shots) == {0: 20, 1: 20}
    assert len(viewed(cases / "vfr.mp4")[0]) == 40
    assert "interlaced" in viewed(cases / "inter.mp4")[2]
    frames, _, notes = viewed(cases / "bitrot.mp4")
    assert len(frames) == 16 and "damaged from 0.60 s" in notes and "the file says" not in notes
    assert len(viewed(cases / "cam.MTS")[0]) == 40
    with pytest.raises(InputError, match="2 sizes"):
        viewed(cases / "frames_mixed")


def test_joined_recordings_whose_stamps_begin_anew_keep_every_frame_and_a_cut_between_them() -> None:
    first, second = [k / 30 for k in range(90)], [0.01 + k / 30 for k in range(90)]
    pace = pace_of([*first, *second], 30.0)
    assert pace.fps == 30.0
    moments = iter([Timed(time, k) for k, time in enumerate([*first, *second])])
    shown = list(paced(broken_at_gaps(moments, pace, 30.0), pace, None))
    assert [moment.item for moment in shown if moment.shown] == list(range(180))
    assert [moment.item for moment in shown if moment.breaks] == [90]
