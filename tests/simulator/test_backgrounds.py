"""Photographs of the user's behind simulated objects: what they change, what they must not, and what is refused."""

import hashlib
import json
import operator
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import programs
import pytest
import simulated  # before MuJoCo: it skips where that is missing

# isort: split
from poke2vid.data.prepare.simulated import SimulatedVideo, simulate_store
from poke2vid.data.store import Store, verify
from poke2vid.media.pictures import write_picture
from poke2vid.simulator import backgrounds
from poke2vid.simulator.backgrounds import PHOTO_SHARE, Backgrounds
from poke2vid.simulator.families.plants import PLANTS
from poke2vid.simulator.film import Order, take
from poke2vid.simulator.mjcf import BACKDROP
from poke2vid.simulator.scene import GENERATION, Scene, generator
from poke2vid.simulator.videos import order_videos, simulate_videos
from poke2vid.simulator.world import PHYSICS
from poke2vid.types import InputError

SIDE, FRAMES = 64, 12
RED, BLUE = (210, 20, 20), (20, 20, 210)


def plain(colour: tuple[int, int, int], height: int = 60, width: int = 90) -> np.ndarray:
    return np.full((height, width, 3), colour, np.uint8)


def folder_of(place: Path, **photos: np.ndarray) -> Path:
    place.mkdir()
    for name, picture in photos.items():
        write_picture(place / f"{name}.png", picture)
    return place


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A red photograph and a blue one."""
    return folder_of(tmp_path / "photos", red=plain(RED), blue=plain(BLUE))


def orders(count: int, photos: Backgrounds | None) -> list[Order]:
    return order_videos("plants", count, FRAMES, SIDE, backgrounds=photos)


def before_photos(order: Order, photos: Backgrounds) -> tuple[Scene, Scene]:
    """An order's scene as the family builds it, and as it shall be with photographs."""
    seed = order.scene_seed(0)
    scene = PLANTS.scene(seed, "train")
    return scene, photos.behind(scene, generator("plants", "train", "background", seed))


def one_with_and_one_without(photos: Backgrounds) -> tuple[Order, Order]:
    """The first order whose scene gets a photograph, and the first whose scene gets none."""
    changed = {order: operator.is_not(*before_photos(order, photos)) for order in orders(20, photos)}
    return next(order for order in changed if changed[order]), next(order for order in changed if not changed[order])


def photographed(photos: Backgrounds) -> Order:
    return one_with_and_one_without(photos)[0]


def blank(side: int = 64) -> Scene:
    textures = {name: np.zeros((side, side, 3), np.uint8) for name in (BACKDROP, "leaf")}
    return Scene("", textures, simulated.FRONT, None, 0.1)


def contents(out: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in out.iterdir() if file.name != "report.json"}


def test_half_of_the_scenes_get_a_photograph_and_every_photograph_is_used(folder):
    photos, scene = Backgrounds.find(folder), blank()
    made = [photos.behind(scene, np.random.default_rng(seed)) for seed in range(300)]
    changed = [found.textures[BACKDROP] for found in made if found is not scene]
    assert len(changed) / len(made) == pytest.approx(PHOTO_SHARE, abs=0.1)
    red = [bool(picture[..., 0].mean() > picture[..., 2].mean()) for picture in changed]
    assert 0.35 < np.mean(red) < 0.65
    assert {picture.shape for picture in changed} == {(64, 64, 3)}
    assert all(found.textures["leaf"] is scene.textures["leaf"] for found in made)


def test_every_scene_has_its_own_chance_of_a_photograph(folder):
    photos = Backgrounds.find(folder)
    for order in one_with_and_one_without(photos):
        with take(order) as film:
            assert film.scene_digest == before_photos(order, photos)[1].digest


def test_only_what_lies_behind_the_object_changes(folder):
    order = photographed(Backgrounds.find(folder))
    states, flows, pictures, scenes = [], [], [], set()
    for ordered in (order, replace(order, backgrounds=None)):  # one after the other: they share a drawing context
        with take(ordered) as film:
            states.append(film.trajectory.states)
            flows.append(film.surface(0).flow(film.trajectory, FRAMES - 1))
            pictures.append(film.frame(0).astype(int))
            scenes.add((film.scene_seed, film.scene_digest))
            buffers, model = film.renderer.buffers(film.trajectory.states[0]), film.world.model
    assert np.array_equal(*states) and np.array_equal(*flows) and np.hypot(*flows[0]).max() > 0.5
    assert len({seed for seed, _ in scenes}) == 1 and len({digest for _, digest in scenes}) == 2
    shown = np.array([model.geom(number).name == f"scene/{BACKDROP}" for number in range(model.ngeom)] + [False])
    wide = np.ones((3, 3), np.uint8)  # pixels at an edge show some of both
    behind = shown[buffers.geoms].astype(np.uint8)
    within, outside = cv2.erode(behind, wide) == 1, cv2.dilate(behind, wide) == 0
    assert within.sum() > 400 and outside.sum() > 400
    assert np.array_equal(pictures[0][outside], pictures[1][outside])
    assert np.abs(pictures[0] - pictures[1])[within].mean() > 15
    dominant = np.sort(pictures[0][within], axis=-1)
    assert (dominant[:, 2] > 2 * dominant[:, 1]).mean() > 0.95, "it is red or blue, as the photograph is"


@pytest.mark.slow
@pytest.mark.thorough
def test_a_set_does_not_depend_on_workers_nor_on_where_the_photographs_lie(tmp_path, folder):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for old, new in (("red", "a"), ("blue", "z")):  # of which the first becomes the last
        shutil.copy(folder / f"{old}.png", elsewhere / f"{new}.png")
    one, two = tmp_path / "one", tmp_path / "two"
    simulate_videos(orders(3, Backgrounds.find(folder)), one, workers=0, quiet=True)
    simulate_videos(orders(2, Backgrounds.find(elsewhere)), two, workers=2, quiet=True)
    report = simulate_videos(orders(3, Backgrounds.find(folder)), two, workers=2, quiet=True)
    assert (report.videos, report.reused) == (1, 2)
    assert contents(one) == contents(two)
    assert not any(str(tmp_path).encode() in data for data in contents(one).values())


def test_a_folder_of_videos_with_other_photographs_is_left_alone(tmp_path, folder):
    out = tmp_path / "out"
    simulate_videos(orders(1, Backgrounds.find(folder)), out, workers=0, quiet=True)
    before = contents(out)
    write_picture(folder / "red.png", plain((200, 30, 20)))
    for photos in (Backgrounds.find(folder), None):
        with pytest.raises(InputError, match="choose another --out"):
            simulate_videos(orders(1, photos), out, workers=0, quiet=True)
    assert contents(out) == before


@pytest.mark.slow
def test_a_store_redoes_what_had_other_photographs(tmp_path, folder):
    def fill(out: Path, photos: Backgrounds | None, workers: int = 0) -> int:
        chosen = [replace(photographed(Backgrounds.find(folder)), backgrounds=photos)]
        return simulate_store(chosen, out, [6], "exact", workers=workers, quiet=True).reused

    photos, out = Backgrounds.find(folder), tmp_path / "out"
    assert fill(out, photos) == 0
    assert fill(out, photos) == 1
    coloured, known = Store.open(out).videos[0].frames[0].copy(), Store.open(out).videos[0].flow(6, 0).copy()
    assert fill(tmp_path / "spawned", photos, workers=1) == 0
    assert Store.open(tmp_path / "spawned").digest == Store.open(out).digest
    assert fill(out, None) == 0
    assert verify(out) == []
    assert not np.array_equal(Store.open(out).videos[0].frames[0], coloured)
    assert np.array_equal(Store.open(out).videos[0].flow(6, 0), known)
    write_picture(folder / "red.png", plain((200, 30, 20)))
    write_picture(folder / "blue.png", plain((30, 20, 200)))
    assert fill(out, Backgrounds.find(folder)) == 0
    assert not any(str(tmp_path).encode() in file.read_bytes() for file in out.rglob("*.json"))


def test_sets_without_photographs_are_recorded_as_before_there_were_any(folder):
    order = orders(1, None)[0]
    assert json.dumps(order.record()) == (
        '{"family": "plants", "split": "train", "number": 0, "frames": 12, "resolution": 64, "seed": 0}'
    )
    text = "Order(family='plants', split='train', number=0, frames=12, resolution=64, seed=0)"
    before = hashlib.sha256(f"{text} {GENERATION} {PHYSICS}".encode()).hexdigest()
    assert SimulatedVideo(order).digest() == before
    coloured = replace(order, backgrounds=Backgrounds.find(folder))
    assert coloured.record()["backgrounds"] == Backgrounds.find(folder).digest
    assert SimulatedVideo(coloured).digest() != before


def test_photographs_that_vanish_spoil_nothing_for_the_next_run(tmp_path, folder):
    unread = Path(shutil.copytree(folder, tmp_path / "unread"))  # no copy of which is in this process's memory
    both = [
        replace(o, backgrounds=Backgrounds.find(unread)) for o in one_with_and_one_without(Backgrounds.find(folder))
    ]
    kept = {file: file.read_bytes() for file in unread.iterdir()}
    for file in kept:
        file.write_bytes(b"another")
    with pytest.raises(InputError, match=r"(red|blue)\.png is gone or has changed"):
        simulate_videos(both, tmp_path / "videos", workers=0, quiet=True)
    report = simulate_store(both, tmp_path / "store", [6], "exact", workers=0, quiet=True)
    assert report.kept == (both[1].name,) and "is gone or has changed" in report.skipped[0].reason
    for file, data in kept.items():
        file.write_bytes(data)
    assert simulate_videos(both, tmp_path / "videos", workers=0, quiet=True).videos == 2
    assert simulate_store(both, tmp_path / "store", [6], "exact", workers=0, quiet=True).skipped == ()


def test_a_large_photograph_is_as_good_as_a_small_copy(tmp_path):
    y, x = np.mgrid[:900, :1800] / 900
    waves = np.stack((np.sin(9 * x), np.sin(7 * y), np.cos(5 * x + 3 * y)), -1)
    large = np.rint(127.5 * (1 + waves)).astype(np.uint8)
    small = cv2.resize(large, (640, 320), interpolation=cv2.INTER_AREA)
    scene = blank()
    for seed in range(8):
        made = [
            Backgrounds.find(place).behind(scene, np.random.default_rng(seed)).textures[BACKDROP].astype(int)
            for place in (folder_of(tmp_path / f"{seed}l", a=large), folder_of(tmp_path / f"{seed}s", a=small))
        ]
        assert np.abs(made[0] - made[1]).max() <= 3


def test_photographs_that_cannot_be_used_are_one_sentence(tmp_path, folder, monkeypatch):
    def refused(place: Path) -> str:
        with pytest.raises(InputError) as caught:
            Backgrounds.find(place)
        return str(caught.value)

    nothing = folder_of(tmp_path / "nothing")
    (nothing / "notes.txt").write_text("no picture")
    (nothing / ".hidden.png").write_bytes(b"what a file browser leaves")
    assert refused(nothing) == (
        f"the folder {nothing} holds no pictures; put photographs in it (apng, avif, bmp, jfif, jpe, jpeg, jpg, "
        "pbm, pgm, png, pnm, ppm, tif, tiff, webp)."
    )
    assert refused(tmp_path / "none") == (
        f"there is no folder {tmp_path / 'none'}; give --backgrounds a folder of photographs."
    )
    assert "there is no folder" in refused(folder / "red.png")
    monkeypatch.setattr(backgrounds, "MOST_PHOTOS", 1)
    assert "holds 2 pictures; choose at most 1 of them" in refused(folder)
    monkeypatch.undo()
    write_picture(folder / "thin.png", plain(RED, height=7))
    assert refused(folder).startswith(
        f"{folder / 'thin.png'} is too small for a background (90 x 7); it needs at least 8"
    )
    (folder / "cut.png").write_bytes((folder / "red.png").read_bytes()[:60])
    assert refused(folder).startswith(f"{folder / 'cut.png'} is ")


@pytest.mark.slow
def test_the_command_line_takes_photographs_for_files_and_stores(tmp_path, folder):
    run = partial(programs.poke2vid, "simulate", "plants")
    small = ("--videos", 1, "--frames", FRAMES, "--resolution", SIDE, "--workers", 1, "--backgrounds")
    done = run(*small, folder, "--out", tmp_path / "videos")
    assert done.returncode == 0, done.stderr
    sidecar = json.loads((tmp_path / "videos" / "plants-train-0-000000.json").read_text())
    assert sidecar["order"]["backgrounds"] == Backgrounds.find(folder).digest
    done = run(*small, folder, "--store", "--test-videos", 0, "--lag", 6, "--out", tmp_path / "store")
    assert done.returncode == 0, done.stderr
    expected = SimulatedVideo(orders(1, Backgrounds.find(folder))[0]).digest()
    entries = [json.loads(path.read_text()) for path in (tmp_path / "store").rglob("entry.json")]
    assert [entry["source_sha256"] for entry in entries] == [expected]
    refused = run(*small, tmp_path / "none", "--out", tmp_path / "new")
    assert refused.returncode == 2 and not (tmp_path / "new").exists()
    assert refused.stderr.count("\n") == 1 and "there is no folder" in refused.stderr
