"""Nothing of the user's is overwritten by mistake: outputs that are inputs, links, modes, folders in use."""

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from deaf import deaf
from moving_square import write_square
from PIL import Image
from programs import Program, poke2vid

from poke2vid import processes
from poke2vid.files import atomic, keep_apart, write_tensors
from poke2vid.processes import alone_in
from poke2vid.train.loop import train
from poke2vid.train.presets import preset
from poke2vid.types import InputError


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Image.new("RGB", (40, 30), (200, 90, 40)).save(path)
    return path


# Outputs that are inputs


def test_an_output_that_is_an_input_is_refused_by_any_of_its_names(picture: Path) -> None:
    folder = picture.parent
    (folder / "link.png").symlink_to(picture)
    (folder / "dangling.png").symlink_to(folder / "another.png")
    os.link(picture, folder / "hard.png")
    (folder / "below").mkdir()
    for name in ("photo.png", "link.png", "hard.png", "below/../photo.png", "PHOTO.PNG"):
        with pytest.raises(InputError, match=r"is an input .*; choose another output\.$"):
            keep_apart([picture], [folder / name])
    keep_apart([picture, None, folder / "missing.json"], [folder / "new.png", folder / "dangling.png", None])


def test_a_relative_path_and_an_absolute_one_are_the_same_file(picture: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(picture.parent)
    with pytest.raises(InputError):
        keep_apart([Path("photo.png")], [picture])


def test_a_part_of_an_input_folder_is_not_overwritten_but_new_files_may_lie_there(tmp_path: Path) -> None:
    store = tmp_path / "store"
    store.mkdir()
    (store / "manifest.json").write_text("{}")
    (store / "map.png").write_bytes(b"of last time")
    with pytest.raises(InputError, match="is an input"):
        keep_apart([store], [store / "manifest.json"])
    with pytest.raises(InputError, match="is an input"):
        keep_apart([store], [store])
    keep_apart([store], [store / "answers.json", store / "map.png", store / "report"])
    (store / "videos" / "one").mkdir(parents=True)
    (store / "videos" / "one" / "entry.json").write_text("{}")
    for among in ("videos", "videos/new", "videos/one", "videos/one/map.png"):
        with pytest.raises(InputError, match="among the files of"):
            keep_apart([store], [store / among])
    (store / "report").mkdir()
    keep_apart([store], [store / "answers.json", store / "report", store / "report" / "map.png"])


def test_one_output_may_not_be_named_twice(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="twice"):
        keep_apart([], [tmp_path / "a.mp4", tmp_path / "b.mp4", tmp_path / "." / "a.mp4"])


REFUSED = {
    "animate": ("animate", "photo.png", "--at", "5,5", "--shift", "3,0", "-o", "photo.png"),
    "animate, script": ("animate", "photo.png", "--script", "pokes.json", "-o", "pokes.json"),
    "animate, model": ("animate", "photo.png", "--model", "model.json", "--at", "5,5", "--shift", "3,0", "-o", "model.json"),
    "correlate": ("correlate", "photo.png", "--at", "5,5", "-o", "./photo.png"),
    "neighbours": ("neighbours", "photo.png", "--data", "store", "-o", "photo.png"),
    "convert": ("convert", "weights.pt", "-o", "weights.pt"),
    "prepare": ("prepare", "videos", "--out", "videos"),
    "train": ("train", "--preset", "tiny", "--data", "store", "--out", "store"),
    "train, init": ("train", "--preset", "tiny", "--data", "store", "--init", "run", "--out", "run"),
    "evaluate": ("evaluate", "model.json", "--data", "store", "--out", "store"),
    "tables": ("tables", "--data", "store", "--out", "store"),
    "figures": ("figures", "--data", "store", "--out", "store/../store"),
    "export": ("export", "run", "--out", "run"),
    "export, page": ("export", "run", "--web", "run"),
    "bench run": ("bench", "run", "run", "--bench", "bench", "--out", "bench"),
    "simulate": ("simulate", "plants", "--backgrounds", "videos", "--out", "videos"),
    "impulse": ("impulse", "run", "--out", "run"),
}  # fmt: skip


@pytest.mark.parametrize("arguments", REFUSED.values(), ids=REFUSED.keys())
def test_every_command_refuses_before_anything_is_written(
    arguments: tuple[str, ...], picture: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from poke2vid.cli import main

    monkeypatch.chdir(picture.parent)
    for name in ("pokes.json", "model.json", "weights.pt"):
        Path(name).write_text("{}")
    for name in ("store", "videos", "run", "bench"):
        Path(name).mkdir()
        (Path(name) / "something.txt").write_text("kept")
    before = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}
    monkeypatch.setattr(sys, "argv", ["poke2vid", *arguments])
    with pytest.raises(SystemExit) as stopped:
        main()
    said = capsys.readouterr().err
    assert stopped.value.code == 2, said
    assert "is an input" in said and said.count("\n") == 1
    assert {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()} == before


# Links and modes


def test_a_link_is_written_through(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    real, link = tmp_path / "far" / "real.txt", tmp_path / "link.txt"
    real.write_text("before")
    link.symlink_to(real)
    with atomic(link) as file:
        assert file.parent == real.parent  # a rename cannot cross file systems
        file.write_text("after")
    assert link.is_symlink() and real.read_text() == "after"


def test_a_link_to_nothing_yet_makes_what_it_names(tmp_path: Path) -> None:
    link = tmp_path / "link.txt"
    link.symlink_to("new.txt")
    with atomic(link) as file:
        file.write_text("made")
    assert link.is_symlink() and (tmp_path / "new.txt").read_text() == "made"


def test_a_replaced_file_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "secret.json"
    path.write_text("{}")
    path.chmod(0o600)
    with atomic(path) as file:
        file.write_text("[]")
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.fixture
def umask_077() -> Iterator[None]:
    before = os.umask(0o077)
    yield
    os.umask(before)


def test_a_new_file_has_the_mode_that_the_umask_gives(tmp_path: Path, umask_077: None) -> None:
    with atomic(tmp_path / "mine.txt") as file:
        file.write_text("mine")
    assert (tmp_path / "mine.txt").stat().st_mode & 0o777 == 0o600


def test_a_file_of_tensors_has_it_too(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        write_tensors(tmp_path / "mine.safetensors", {"w": torch.zeros(3)}, {})
    finally:
        os.umask(before)
    assert (tmp_path / "mine.safetensors").stat().st_mode & 0o777 == 0o644


# Folders in use, and what a stop leaves


def test_a_folder_is_made_where_a_link_leads(tmp_path: Path) -> None:
    write_square(tmp_path / "videos" / "one.mp4", 14)
    (tmp_path / "link").symlink_to(tmp_path / "there")
    ran = poke2vid("prepare", tmp_path / "videos", "--resolution", 64, "--out", tmp_path / "link")
    assert ran.returncode == 0, ran.stderr
    assert (tmp_path / "there" / "manifest.json").exists() and (tmp_path / "link").is_symlink()


def test_links_in_a_circle_are_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "a.json").symlink_to(tmp_path / "b.json")
    (tmp_path / "b.json").symlink_to(tmp_path / "a.json")
    with pytest.raises(InputError, match="links lead in a circle"), atomic(tmp_path / "a.json"):
        pass
    assert (tmp_path / "a.json").is_symlink()


def test_a_second_training_in_a_folder_is_refused(store_path: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    with alone_in(run), pytest.raises(InputError, match=r"another process is at work in .*run; wait for it"):
        train(preset("tiny"), store_path, run, workers=0, quiet=True)
    assert not run.exists()  # made by the lock, and nothing was put into it


def test_sigterm_leaves_no_unfinished_file(picture: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    poke = ("--at", "20,15", "--shift", "4,0", "--frames", "700")
    running = Program("poke2vid.cli", "animate", picture, *poke, "-o", out / "clip.gif")
    limit = time.monotonic() + 240
    while not (out.is_dir() and any(out.iterdir())) and running.poll() is None and time.monotonic() < limit:
        time.sleep(0.05)
    assert list(out.iterdir()), "the video was begun"
    running.send(signal.SIGTERM)
    assert running.wait(60).returncode in (130, -signal.SIGINT)  # a shell shows both as 130
    assert list(out.iterdir()) == []


def test_sigterm_ends_workers_without_a_trace_and_says_how_to_go_on(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_square(tmp_path / "videos" / f"{name}.mp4", 3000)
    store = tmp_path / "store"
    running = Program("poke2vid.cli", "prepare", tmp_path / "videos", "--out", store, alone=True)
    limit = time.monotonic() + 240
    while len(list(store.glob("videos/.work-*/*"))) < 2 and running.poll() is None and time.monotonic() < limit:
        time.sleep(0.05)
    assert running.poll() is None, running
    os.kill(running.pid, signal.SIGTERM)  # it alone: it ends its workers
    done = running.wait(60)
    assert running.left_none_behind()
    assert done.returncode == 130 and done.stderr.endswith("Run the same command again to go on.\n")
    assert list(store.glob("videos/.*")) == []


def test_a_worker_that_does_not_end_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "PATIENCE", 0.2)
    done = processes.run_jobs(deaf, ["a", "b"], 2, lambda: None)
    started = time.monotonic()
    assert next(done)[1] == "a"
    done.close()
    assert time.monotonic() - started < 60 and not multiprocessing.active_children()


def test_two_names_that_differ_in_case_are_two_files_where_both_exist(picture: Path) -> None:
    other = picture.with_name("Photo.png")
    if other.exists():
        pytest.skip("this file system does not tell cases apart")
    other.write_bytes(b"another")
    keep_apart([picture], [other])  # is not refused
    with pytest.raises(InputError):
        keep_apart([picture, other], [other])
    assert (picture.read_bytes() != b"another") and other.read_bytes() == b"another"
