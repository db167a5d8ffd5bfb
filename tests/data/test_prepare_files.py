"""Folders as people have them: every file is used or named, clips never span a cut, and the camera's shake is said."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from moving_square import moving_square, write_square
from PIL import Image

from poke2vid.data.prepare.run import PrepareSettings, prepare
from poke2vid.data.prepare.shake import Shake
from poke2vid.data.sources.folder import find_videos
from poke2vid.data.splits import require_videos
from poke2vid.data.store import Store, read_entry, verify
from poke2vid.files import read_json, write_json
from poke2vid.media.video import write_video
from poke2vid.types import InputError

SETTINGS = PrepareSettings(resolution=32, lags=(4,), workers=0)


def with_cuts(path: Path, *seeds: int, length: int = 12) -> Path:
    frames = [frame for seed in seeds for frame in moving_square(length, step=(2, 1), seed=seed)]
    path.parent.mkdir(parents=True, exist_ok=True)
    write_video(path, frames, 25)
    return path


# Every file


def test_every_file_is_a_video_or_passed_over_with_its_reason(tmp_path: Path) -> None:
    for name in (
        "a.MTS",
        "b.m2ts",
        "c.ts",
        "d.VOB",
        "e/cover.jpg",
        "e/clip.mov",
        "f/one.png",
        "notes.txt",
        "x.heic",
        ".h",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "broken.mp4").symlink_to("nowhere.mp4")
    (tmp_path / "e" / "round").symlink_to(tmp_path, target_is_directory=True)
    os.mkfifo(tmp_path / "pipe.mp4")
    found = find_videos(tmp_path)
    assert [video.name for video in found.videos] == ["a", "b", "c", "d", "e/clip"]
    reasons = {other.name: other.reason for other in found.passed_over}
    assert reasons.keys() == {"broken.mp4", "e/cover.jpg", "e/round", "f/one.png", "notes.txt", "pipe.mp4", "x.heic"}
    for name, says in {
        "broken.mp4": "broken link to nowhere.mp4",
        "e/cover.jpg": "beside videos",
        "e/round": "already listed",
        "f/one.png": "single picture",
        "notes.txt": "suffix .txt",
        "pipe.mp4": "neither a file nor a folder",
        "x.heic": "HEIC",
    }.items():
        assert says in reasons[name]


def test_a_name_that_is_not_utf8_costs_only_its_file(tmp_path: Path) -> None:
    write_square(tmp_path / "in" / "a|b.mp4")
    for name in (b"bl\xfcte.mp4", b"bl\xfcten/x.mp4"):
        place = Path(os.fsdecode(os.fsencode(tmp_path) + b"/in/" + name))
        try:
            place.parent.mkdir(exist_ok=True)
            shutil.copy(tmp_path / "in" / "a|b.mp4", place)
        except OSError:
            pytest.skip("the file system takes no such name")
    report = prepare(tmp_path / "in", tmp_path / "store", SETTINGS, quiet=True)
    assert report.kept == ("a|b",)
    assert [(other.name, "not UTF-8" in other.reason) for other in report.passed_over] == [
        ("bl?te.mp4", True),
        ("bl?ten", True),
    ]
    with pytest.raises(InputError, match="not UTF-8"):
        find_videos(place)


def test_names_cannot_break_the_reports_tables(tmp_path: Path) -> None:
    write_square(tmp_path / "in" / "a.mp4")
    (tmp_path / "in" / "b|c\nd.txt").write_text("")
    prepare(tmp_path / "in", tmp_path / "store", SETTINGS, quiet=True)
    assert "\n| b\\|c d.txt | neither" in (tmp_path / "store" / "report.md").read_text()


def test_animated_pictures_are_videos_and_still_ones_are_frames(tmp_path: Path) -> None:
    first, *others = [Image.fromarray(frame) for frame in moving_square(6)]
    (tmp_path / "frames").mkdir()
    for i, frame in enumerate((first, *others)):
        frame.save(tmp_path / "frames" / f"{i}.webp")
    for suffix in ("webp", "avif", "png"):
        first.save(tmp_path / f"moving.{suffix}", save_all=True, append_images=others, duration=40)
    found = find_videos(tmp_path)
    assert [video.name for video in found.videos] == ["frames", "moving.avif", "moving.png", "moving.webp"]
    report = prepare(tmp_path, tmp_path.with_name("store"), SETTINGS, quiet=True)
    assert len(report.kept) == 4 and report.passed_over == ()


def test_the_report_names_what_is_not_used(tmp_path: Path) -> None:
    write_square(tmp_path / "in" / "a.mp4")
    (tmp_path / "in" / "notes.txt").write_text("")
    report = prepare(tmp_path / "in", tmp_path / "store", SETTINGS, quiet=True)
    assert "notes.txt passed over: neither a video nor a picture" in report.summary
    assert "| notes.txt | neither" in (tmp_path / "store" / "report.md").read_text()
    (tmp_path / "in" / "a.mp4").unlink()
    with pytest.raises(InputError, match=r"holds no videos \(notes.txt: neither"):
        prepare(tmp_path / "in", tmp_path / "other", SETTINGS, quiet=True)


# Shots


def test_a_video_with_cuts_becomes_a_video_for_each_shot(tmp_path: Path) -> None:
    with_cuts(tmp_path / "in" / "film.mp4", 0, 5, 9)
    write_square(tmp_path / "in" / "plain.mp4")
    report = prepare(tmp_path / "in", tmp_path / "store", SETTINGS, quiet=True)
    store = Store.open(tmp_path / "store")
    assert [(video.name, video.num_frames) for video in store.videos] == [
        ("film", 12), ("film#2", 12), ("film#3", 12), ("plain", 14)
    ]  # fmt: skip
    assert len({video.split for video in store.videos if video.name.startswith("film")}) == 1
    assert report.shots == {"film": 3} and "3 shots in 1 videos" in report.summary
    assert all(float(video.motion.max()) < 3 for video in store.videos), "no flow across a cut"
    assert verify(tmp_path / "store") == []
    places = {read_entry(place).name: read_entry(place) for place in (tmp_path / "store" / "videos").iterdir()}
    assert [places[name].shot.first for name in ("film", "film#2", "film#3")] == [0, 12, 24]
    assert "shot" not in (tmp_path / "store" / "videos" / store.videos[3].folder.name / "entry.json").read_text()


def test_a_cut_without_motion_has_nothing_to_learn_and_says_so(tmp_path: Path) -> None:
    still = moving_square(1)[0], moving_square(1, seed=5)[0]
    write_video(tmp_path / "cut.mp4", [still[0]] * 12 + [still[1]] * 12, 25)
    with pytest.raises(InputError, match=r"has 2 shots, and none of them can be used: nothing moves"):
        prepare(tmp_path / "cut.mp4", tmp_path / "store", SETTINGS, quiet=True)


def test_shots_that_cannot_be_used_are_left_out_and_named(tmp_path: Path) -> None:
    frames = moving_square(12, step=(2, 1)) + moving_square(1, seed=5) * 12 + moving_square(3, seed=9)
    write_video(tmp_path / "a.mp4", frames, 25)
    report = prepare(tmp_path / "a.mp4", tmp_path / "store", SETTINGS, quiet=True)
    assert report.kept == ("a",)
    (_, remark), *_ = report.remarks
    assert "3 shots, of which 1 kept" in remark and "shot 2 is left out: nothing moves" in remark and "shot 3" in remark


def test_shots_are_reused_replaced_and_mended(tmp_path: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "store"
    with_cuts(source / "film.mp4", 0, 5, 9)
    first = prepare(source, out, SETTINGS, quiet=True)
    again = prepare(source, out, SETTINGS, quiet=True)
    assert (again.reused, again.frames, again.digest) == (3, 0, first.digest)
    last = next(out.glob("videos/film-3-*"))
    (last / "entry.json").write_text("{")
    assert prepare(source, out, SETTINGS, quiet=True).digest == first.digest and verify(out) == []
    shutil.rmtree(next(out.glob("videos/film-2-*")))
    assert prepare(source, out, SETTINGS, quiet=True).digest == first.digest and verify(out) == []
    with_cuts(source / "film.mp4", 0, 5)
    assert prepare(source, out, SETTINGS, quiet=True).kept == ("film", "film#2") and verify(out) == []


def test_videos_of_a_version_that_looked_for_no_cuts_are_named_once(tmp_path: Path) -> None:
    write_square(tmp_path / "in" / "a.mp4")
    assert "no cuts" not in prepare(tmp_path / "in", tmp_path / "store", SETTINGS, quiet=True).summary
    report = tmp_path / "store" / "report.json"
    write_json(report, {name: value for name, value in read_json(report).items() if name != "shots"})  # as they were
    write_square(tmp_path / "in" / "b.mp4", seed=4)
    said = prepare(tmp_path / "in", tmp_path / "store", SETTINGS, quiet=True).summary
    assert said.count("1 video from before, prepared by a version that looked for no cuts") == 1
    assert "no cuts" not in prepare(tmp_path / "in", tmp_path / "store", SETTINGS, quiet=True).summary


def test_a_file_that_is_named_like_a_shot_keeps_its_suffix(tmp_path: Path) -> None:
    for name in ("film.mp4", "film#2.mp4", "other#2.mp4"):
        (tmp_path / name).write_bytes(b"")
    assert [video.name for video in find_videos(tmp_path).videos] == ["film", "film#2.mp4", "other#2"]


def test_one_video_alone_is_told_how_to_be_split_by_time(tmp_path: Path) -> None:
    write_square(tmp_path / "in" / "only.mp4")
    report = prepare(tmp_path / "in", tmp_path / "store", SETTINGS, quiet=True)
    assert "there is nothing to test on: one video is not enough for both, so cut it in two by time" in report.summary
    with pytest.raises(InputError, match="cut it in two by time"):
        for split in ("train", "test"):
            require_videos(Store.open(tmp_path / "store"), split)


# Shake


def test_a_background_that_moves_as_one_is_told_from_an_object() -> None:
    camera, thing, still = (np.zeros((2, 64, 64), np.float32) for _ in range(3))
    camera[0] = 1.5
    thing[1, 16:48, 16:48] = 4
    shakes = {"camera": Shake(), "object": Shake(), "still": Shake()}
    for name, flow in (("camera", camera), ("object", thing), ("still", still)):
        for _ in range(4):
            shakes[name].add(flow)
    assert (
        "moves in 100% of its frames, by 2.3% of the side a frame, which is 100% of all motion" in shakes["camera"].note
    )
    assert shakes["object"].note == shakes["still"].note == ""


def test_a_shaking_camera_is_reported(tmp_path: Path) -> None:
    wide = moving_square(14, size=(96, 96), step=(1, 1))
    shaken = [frame[6 + 4 * (i % 3) :, 6 + 3 * (i % 2) :][:64, :64] for i, frame in enumerate(wide)]
    (tmp_path / "in").mkdir()
    write_video(tmp_path / "in" / "shaken.mp4", shaken, 25)
    write_square(tmp_path / "in" / "steady.mp4")
    report = prepare(tmp_path / "in", tmp_path / "store", SETTINGS, quiet=True)
    assert [name for name, remark in report.remarks if "camera" in remark] == ["shaken"]
    assert report.remarks == prepare(tmp_path / "in", tmp_path / "store", SETTINGS, quiet=True).remarks
    assert "| shaken | the camera or" in (tmp_path / "store" / "report.md").read_text()
