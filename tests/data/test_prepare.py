"""Videos to a store: what is measured, what is skipped, and that it can be killed at any moment."""

import hashlib
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from moving_square import moving_square, write_square

from poke2vid.data.prepare.run import PrepareSettings, prepare
from poke2vid.data.sources.folder import find_videos
from poke2vid.data.store import Store, verify
from poke2vid.media.video import write_video
from poke2vid.processes import alone_in
from poke2vid.types import InputError

SETTINGS = PrepareSettings(resolution=32, lags=(4,), workers=0)


def write_videos(folder: Path, num_videos: int, num_frames: int = 7) -> Path:
    for i in range(num_videos):
        write_square(folder / f"video {i} ü.mp4", num_frames, seed=i)
    return folder


def array_hashes(store: Path) -> dict[str, str]:
    files = [file for file in (store / "videos").rglob("*") if file.is_file() and file.name != "entry.json"]
    return {str(file.relative_to(store)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def settings_with(**changes) -> PrepareSettings:
    return PrepareSettings(**{**{"resolution": 32, "lags": (4,), "workers": 0}, **changes})


# What is measured


@pytest.mark.parametrize("resolution", [32, 64, 128])
def test_flow_motion_and_activity_are_in_pixels_of_the_stores_frames(tmp_path, resolution):
    write_video(tmp_path / "a.mp4", moving_square(10, step=(4, 0), size=(128, 128), side=64), 25)
    prepare(tmp_path / "a.mp4", tmp_path / "store", settings_with(resolution=resolution), quiet=True)
    video = Store.open(tmp_path / "store").videos[0]
    scale = resolution / 128
    middle = int(48 * scale)  # inside the square, which covers 16 ... 80 at frame 0
    dx, dy = video.flow(4, 0)[:, int(70 * scale), middle]
    assert dx == pytest.approx(16 * scale, rel=0.15) and abs(dy) < 1.5 * scale
    assert video.activity(4)[0] == pytest.approx(16 * scale, rel=0.25)
    assert video.motion[0] == pytest.approx(4 * scale / 4, rel=0.3)  # the square covers a quarter of the frame
    assert video.frames.shape == (10, resolution, resolution, 3)


def test_the_stores_frames_are_the_videos(tmp_path):
    frames = moving_square(10)
    write_video(tmp_path / "a.mp4", frames, 25)
    prepare(tmp_path / "a.mp4", tmp_path / "store", settings_with(resolution=64), quiet=True)
    stored = Store.open(tmp_path / "store").videos[0].frames
    assert np.abs(stored.astype(int) - np.stack(frames)).mean() < 8


def test_a_lower_rate_is_recorded_and_counts(tmp_path):
    write_square(tmp_path / "a.mp4", 30)
    report = prepare(tmp_path / "a.mp4", tmp_path / "store", settings_with(fps=12.5), quiet=True)
    video = Store.open(tmp_path / "store").videos[0]
    assert (video.num_frames, video.fps, report.frames) == (15, 12.5, 15)
    entry = json.loads(next((tmp_path / "store").glob("videos/*/entry.json")).read_text())
    assert (entry["source_fps"], entry["source_frames"], entry["source_width"]) == (25, 30, 64)


def test_a_folder_of_frames_makes_the_same_arrays_as_a_lossless_video_would(tmp_path):
    frames = moving_square(8)
    for i, frame in enumerate(frames):
        write_video(tmp_path / "clip" / f"{i}.png", [frame], 25)
    prepare(tmp_path / "clip", tmp_path / "store", settings_with(resolution=64), quiet=True)
    video = Store.open(tmp_path / "store").videos[0]
    assert video.name == "clip"
    # enlarged to 128 for flow and shrunk again, so nearly but not quite the same
    assert np.abs(video.frames.astype(int) - np.stack(frames)).mean() < 4


# What is skipped, what is refused


def test_unusable_videos_are_skipped_with_their_reason(tmp_path):
    source = write_videos(tmp_path / "in", 2)
    (source / "corrupt.mp4").write_bytes(bytes(3000))
    (source / "empty.mp4").write_bytes(b"")
    write_square(source / "short.mp4", 4)
    write_video(source / "still.mp4", moving_square(1) * 10, 25)
    report = prepare(source, tmp_path / "store", SETTINGS, quiet=True)
    assert report.kept == ("video 0 ü", "video 1 ü")
    reasons = {video.name: video.reason for video in report.skipped}
    assert reasons.keys() == {"corrupt", "empty", "short", "still"}
    assert "corrupt.mp4 cannot be read" in reasons["corrupt"] and "empty.mp4 cannot be read" in reasons["empty"]
    assert "has 4 frames, and a flow over 4 needs 5" in reasons["short"]
    assert "nothing moves" in reasons["still"] and "less than 0.16" in reasons["still"]
    assert str(tmp_path) not in str(reasons)
    written = json.loads((tmp_path / "store" / "report.json").read_text())
    assert {video["name"] for video in written["skipped"]} == reasons.keys()
    assert "| still | nothing moves" in (tmp_path / "store" / "report.md").read_text()
    assert verify(tmp_path / "store") == []


def test_nothing_kept_is_an_error_with_the_reasons(tmp_path):
    write_square(tmp_path / "in" / "short.mp4", 3)
    with pytest.raises(InputError, match=r"none of the 1 videos could be kept: short: too short"):
        prepare(tmp_path / "in", tmp_path / "store", SETTINGS, quiet=True)


def test_a_store_of_other_settings_or_videos_is_not_mixed(tmp_path):
    source, out = write_videos(tmp_path / "in", 2), tmp_path / "store"
    prepare(source, out, SETTINGS, quiet=True)
    before = array_hashes(out)
    for changes, says in (
        ({"resolution": 64}, "has resolution 32, not 64; choose another --out"),
        ({"seed": 3}, "has seed 0, not 3"),
        ({"min_motion": 0.1}, "has min_motion 0.005"),
    ):
        with pytest.raises(InputError, match=says):
            prepare(source, out, settings_with(**changes), quiet=True)
    other = write_videos(tmp_path / "other", 1).rename(tmp_path / "renamed")
    (other / "video 0 ü.mp4").rename(other / "new.mp4")
    with pytest.raises(InputError, match="which is not in the source"):
        prepare(other, out, SETTINGS, quiet=True)
    assert array_hashes(out) == before and verify(out) == []


def test_a_folder_that_is_no_store_is_left_alone(tmp_path):
    source = write_videos(tmp_path / "in", 1)
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("years of work")
    with pytest.raises(InputError, match="is not a store"):
        prepare(source, tmp_path / "thesis", SETTINGS, quiet=True)
    assert [file.name for file in (tmp_path / "thesis").iterdir()] == ["chapter.txt"]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"resolution": 33}, "resolution: 33 is no side of frames; models have 32, 64, 128 or 256"),
        ({"lags": (4, 1)}, "lags must be positive, ascending"),
        ({"lags": ()}, "lags"),
        ({"fps": -1.0}, "fps.*greater than 0"),
        ({"test_fraction": 1.0}, "fraction.*less than 1"),
        ({"workers": -1}, "workers is -1"),
        ({"fit": "squash"}, "fit: input should be 'crop', 'stretch' or 'pad'"),
        ({"flow": "guess"}, "flow: input should be 'dis', 'raft' or 'exact'"),
    ],
)
def test_impossible_settings_are_refused_by_name(changes, says):
    with pytest.raises(InputError, match=says):
        settings_with(**changes)


def test_a_test_pattern_decides_the_split_and_must_match(tmp_path):
    source = write_videos(tmp_path / "in", 3)
    prepare(source, tmp_path / "store", settings_with(test=("video 1*",)), quiet=True)
    assert [video.name for video in Store.open(tmp_path / "store").split("test")] == ["video 1 ü"]
    with pytest.raises(InputError, match="matches no video"):
        prepare(source, tmp_path / "other", settings_with(test=("nobody",)), quiet=True)


def test_a_full_disk_stops_the_run_in_one_sentence_and_loses_nothing(tmp_path):
    source, out = write_videos(tmp_path / "in", 2), tmp_path / "store"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4000, hard))  # bytes a file: less than any frames.u8
    try:
        with pytest.raises(InputError, match=r"cannot write .*file too large"):
            prepare(source, out, SETTINGS, quiet=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list((out / "videos").iterdir())
    assert len(prepare(source, out, SETTINGS, quiet=True).kept) == 2


# Resuming


def test_a_second_run_does_nothing_again(tmp_path):
    source = write_videos(tmp_path / "in", 2)
    write_video(source / "still.mp4", moving_square(1) * 10, 25)
    first = prepare(source, tmp_path / "store", SETTINGS, quiet=True)
    second = prepare(source, tmp_path / "store", SETTINGS, quiet=True)
    assert (second.reused, second.frames) == (2, 0)
    assert second.digest == first.digest and second.skipped == first.skipped


def test_a_changed_or_a_new_video_is_prepared_and_the_rest_reused(tmp_path):
    source = write_videos(tmp_path / "in", 3)
    first = prepare(source, tmp_path / "store", SETTINGS, quiet=True)
    write_square(source / "video 1 ü.mp4", 12, seed=9)
    write_square(source / "video 7 ü.mp4", 12, seed=7)
    second = prepare(source, tmp_path / "store", SETTINGS, quiet=True)
    assert (second.reused, second.frames, len(second.kept)) == (2, 24, 4)
    assert second.digest != first.digest and verify(tmp_path / "store") == []


def test_a_damaged_manifest_entry_or_array_is_mended_by_another_run(tmp_path):
    source, out = write_videos(tmp_path / "in", 3), tmp_path / "store"
    digest = prepare(source, out, SETTINGS, quiet=True).digest
    folders = sorted((out / "videos").iterdir())
    (folders[0] / "entry.json").write_text("{")
    flipped = bytearray((folders[1] / "frames.u8").read_bytes())
    flipped[100] ^= 1
    (folders[1] / "frames.u8").write_bytes(flipped)
    (out / "manifest.json").write_text("{")
    again = prepare(source, out, SETTINGS, quiet=True)
    assert (again.reused, again.digest) == (1, digest) and verify(out) == []


def test_the_store_does_not_depend_on_the_order_of_files_or_its_place(tmp_path):
    first = prepare(write_videos(tmp_path / "in", 3), tmp_path / "a", SETTINGS, quiet=True)
    for i in reversed(range(3)):
        write_square(tmp_path / "elsewhere" / f"video {i} ü.mp4", 7, seed=i)
    assert prepare(tmp_path / "elsewhere", tmp_path / "b", SETTINGS, quiet=True).digest == first.digest


def test_a_run_that_was_killed_goes_on_to_the_same_store(tmp_path):
    source, killed = write_videos(tmp_path / "in", 3, num_frames=25), tmp_path / "killed"
    arguments = "resolution=32, lags=(4,), workers=0"
    script = (
        "from pathlib import Path; from poke2vid.data.prepare.run import PrepareSettings, prepare; "
        f"prepare(Path({str(source)!r}), Path({str(killed)!r}), PrepareSettings({arguments}), quiet=True)"
    )
    process = subprocess.Popen([sys.executable, "-c", script])
    wait_for(lambda: finished(killed) and list(killed.glob("videos/.work-*")))
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (killed / "manifest.json").exists() and list(killed.glob("videos/.work-*"))
    done = len(finished(killed))
    resumed = prepare(source, killed, SETTINGS, quiet=True)
    whole = prepare(source, tmp_path / "whole", SETTINGS, quiet=True)
    assert resumed.reused == done >= 1
    assert resumed.digest == whole.digest and array_hashes(killed) == array_hashes(tmp_path / "whole")
    assert verify(killed) == []


def finished(store: Path) -> list[Path]:
    return [entry for entry in store.glob("videos/*/entry.json") if not entry.parent.name.startswith(".")]


def wait_for(condition, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.005)


def test_two_runs_do_not_work_on_one_store(tmp_path):
    source, out = write_videos(tmp_path / "in", 1), tmp_path / "store"
    (out / "videos").mkdir(parents=True)
    with alone_in(out / "videos"), pytest.raises(InputError, match="another process is at work"):
        prepare(source, out, SETTINGS, quiet=True)
    assert len(prepare(source, out, SETTINGS, quiet=True).kept) == 1


# Workers


def test_any_number_of_workers_makes_the_same_store(tmp_path):
    source = write_videos(tmp_path / "in", 2)
    torch.set_num_threads(2)  # more than a worker uses
    try:
        digests = {prepare(source, tmp_path / str(n), settings_with(workers=n), quiet=True).digest for n in (0, 1, 2)}
        assert torch.get_num_threads() == 2, "preparing in this process leaves its threads as they were"
    finally:
        torch.set_num_threads(1)
    assert len(digests) == 1
    assert array_hashes(tmp_path / "0") == array_hashes(tmp_path / "1") == array_hashes(tmp_path / "2")


def test_a_worker_that_dies_costs_its_video_only(tmp_path):
    source, out = write_videos(tmp_path / "in", 2), tmp_path / "store"
    write_square(source / "long.mp4", 60)
    killer = threading.Thread(target=kill_worker_at, args=(out, "long"))
    killer.start()
    report = prepare(source, out, settings_with(workers=1), quiet=True)
    killer.join()
    assert report.kept == ("video 0 ü", "video 1 ü")
    assert [(video.name, "worker process died" in video.reason) for video in report.skipped] == [("long", True)]
    assert prepare(source, out, SETTINGS, quiet=True).kept == ("long", "video 0 ü", "video 1 ü")  # tried again


def kill_worker_at(store: Path, name: str) -> None:
    wait_for(lambda: list(store.glob(f"videos/.work-{name}-*")))
    work = next(store.glob(f"videos/.work-{name}-*"))
    os.kill(int(work.name.rsplit("-", 1)[1]), signal.SIGKILL)


# Finding videos


def test_videos_are_named_by_their_place_and_sorted(tmp_path):
    for name in ("b/x.mp4", "b/x.gif", "a/y.MP4", "z.webm", ".hidden.mp4", ".cache/c.mp4", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    for i in range(2):
        (tmp_path / "frames").mkdir(exist_ok=True)
        (tmp_path / "frames" / f"{i}.jpg").write_bytes(b"")
    (tmp_path / "b" / "cover.jpg").write_bytes(b"")
    found = find_videos(tmp_path).videos
    assert [video.name for video in found] == ["a/y", "b/x.gif", "b/x.mp4", "frames", "z"]
    assert found[3].path == tmp_path / "frames"


def test_one_file_is_one_video(tmp_path):
    (tmp_path / "a clip.mov").write_bytes(b"")
    assert [video.name for video in find_videos(tmp_path / "a clip.mov").videos] == ["a clip"]


def test_no_video_found_is_an_error(tmp_path):
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(InputError, match="holds no videos"):
        find_videos(tmp_path)
    with pytest.raises(InputError, match="there is no file or folder"):
        find_videos(tmp_path / "missing")


def test_one_video_under_two_names_stands_on_one_side_of_the_split(tmp_path: Path) -> None:
    for k in range(6):
        write_square(tmp_path / "videos" / f"square{k}.mp4", 14, seed=k)
        shutil.copy(tmp_path / "videos" / f"square{k}.mp4", tmp_path / "videos" / f"copy{5 - k}.mp4")
    prepare(tmp_path / "videos", tmp_path / "store", PrepareSettings(resolution=32, lags=(4,), workers=0), quiet=True)
    side = {video.name: video.split for video in Store.open(tmp_path / "store").videos}
    assert set(side.values()) == {"train", "test"}
    assert all(side[f"square{k}"] == side[f"copy{5 - k}"] for k in range(6))
