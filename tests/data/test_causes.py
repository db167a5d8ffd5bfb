"""Pokes with known causes: what is simulated, how it is stored, and what a store refuses."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import simulated  # before MuJoCo: it skips where that is missing
from typer.testing import CliRunner

# isort: split
from poke2vid.cli.app import app
from poke2vid.data.poke_store import PokeStore, verify_pokes
from poke2vid.data.shards import CAUSES, FIELD_FRAMES, PokeShard, unpacked
from poke2vid.data.simulate_pokes import poke_settings, simulate_pokes
from poke2vid.data.store import Store
from poke2vid.simulator import causes
from poke2vid.simulator.actions import Pull, touched_path
from poke2vid.simulator.causes import PokedOrder, poke_scene
from poke2vid.simulator.families.registry import family_named
from poke2vid.simulator.looks.photographs import Photographs, carried
from poke2vid.simulator.looks.wild import turned, wild
from poke2vid.simulator.scene import generator
from poke2vid.simulator.world import World
from poke2vid.types import InputError

SIDE, SCENES, POKES, FILM = 64, 3, 8, 20


def order(number: int = 0, films: int = 4, photographs: Photographs | None = None) -> PokedOrder:
    return PokedOrder("figures", "train", number, POKES, SIDE, films, FILM, 0, photographs)


def make(out: Path, workers: int = 0, scenes: int = SCENES) -> PokeStore:
    settings = poke_settings(SIDE, POKES, 4, FILM).model_copy(update={"shard_scenes": 2})
    simulate_pokes(["figures"], {"train": scenes, "test": 1}, out, settings, workers=workers, quiet=True)
    return PokeStore.open(out)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("pokes") / "store").path


@pytest.fixture
def shards(path: Path) -> tuple[PokeShard, ...]:
    return PokeStore.open(path).split("train")


# What is simulated


def test_a_second_hand_changes_nothing_and_holds_its_point() -> None:
    scene = family_named("figures").scene(0, "train")
    paths = []
    for hands in (1, 2):
        world = World(scene, hands=hands)
        touch = next(found for y in range(20, 60) for x in range(20, 108, 8) if (found := world.touch(x, y, 128)))
        pulls = [Pull(touch, (0.03, 0.0))]
        if hands == 2:
            world.rest()
            alone = touched_path(world.camera.at(128), world.record(11, pulls), touch)
            world.rest()
            pulls.append(Pull(touch, (0.03, 0.0), hand=1))
        world.rest()
        paths.append(touched_path(world.camera.at(128), world.record(11, pulls), touch))
        if hands == 2:
            assert np.allclose(alone, paths[0], atol=0.05), "an idle hand is not felt"
    assert np.allclose(*paths, atol=0.6), "two hands that want the same pull alike"


def test_a_target_that_moves_is_first_elsewhere() -> None:
    scene = family_named("figures").scene(0, "train")
    world = World(scene)
    touch = next(found for y in range(20, 60) for x in range(20, 108, 8) if (found := world.touch(x, y, 128)))
    pull = Pull(touch, (0.0, 0.0), via=(0.05, 0.0))
    assert pull.offset(0.5).tolist() == [0.05, 0.0] and pull.offset(1.0).tolist() == [0.0, 0.0]
    path = touched_path(world.camera.at(128), world.record(11, [pull]), touch)
    away = path - path[0]
    assert away[5, 0] > 2 and abs(away[10, 0]) < away[5, 0] / 2


def test_what_moves_is_the_answer_to_the_poke(shards: tuple[PokeShard, ...]) -> None:
    """The field at the touched point is the shift, and nothing beside the object moves."""
    misses = []
    for shard in shards:
        row, at, p, kind = (shard.array(name) for name in ("row", "at", "shift", "kind"))
        for m in np.flatnonzero(row >= 0):
            flow = shard.array("flow")[row[m], -1].astype(np.float32)
            parts = shard.array("parts")[shard.array("owner")[m]]
            assert np.abs(flow[:, parts == 0]).max() == 0
            x, y = ((at[m, 0] + 0.5) / 2 - 0.5).round().astype(int)
            if CAUSES[kind[m]] == "pull" and 1 <= x < SIDE // 2 - 1 and 1 <= y < SIDE // 2 - 1:
                about = (
                    flow[:, y - 1 : y + 2, x - 1 : x + 2].reshape(2, -1).T
                )  # at half the side a thin part is beside it
                misses.append(np.hypot(*(about - p[m, 0]).T).min() / np.hypot(*p[m, 0]))
            path = shard.array("path")[m, 0]
            assert np.allclose(path[FIELD_FRAMES[-1]], p[m, 0], atol=1e-4) and np.abs(path[0]).max() == 0
    assert len(misses) > 5 and np.median(misses) < 0.15


def test_a_pinned_point_stays_and_a_touch_beside_moves_nothing(shards: tuple[PokeShard, ...]) -> None:
    seen = set()
    for shard in shards:
        for m, kind in enumerate(shard.array("kind")):
            seen.add(name := CAUSES[kind])
            p, row = shard.array("shift")[m], shard.array("row")[m]
            if name == "pinned" and row >= 0:
                assert np.hypot(*p[1]) < 1.0 < np.hypot(*p[0]) + 0.6
            if name in ("beside", "rest"):
                assert row == -1 and shard.array("film")[m] == -1
            assert np.isfinite(shard.array("at")[m, 1]).all() == (name in ("two", "pinned"))
    assert {"pull"} < seen


def test_a_film_goes_on_through_the_release_and_a_push_is_labelled_by_what_it_causes() -> None:
    found: dict[str, int] = {}
    for number in range(12):
        for cause in poke_scene(order(number, films=2)).causes:
            if (film := cause.film) is None:
                continue
            found[cause.kind] = found.get(cause.kind, 0) + 1
            assert film.frames.shape == (FILM, SIDE, SIDE, 3) and film.flow.shape == (FILM, 2, SIDE // 2, SIDE // 2)
            away = film.path[:, 0]
            if cause.kind == "push":
                assert not film.held.any()
                assert np.allclose(cause.shift[0], away[np.hypot(*away.T).argmax()], atol=1e-3)
                assert np.hypot(*cause.shift[0]) > causes.LEAST * SIDE
            else:
                assert film.held[0, 0] and not film.held[-1, 0], "held first, then let go of"
        if {"push", "pull"} <= found.keys():
            return
    pytest.fail(f"no push or no pull was filmed: {found}")


# Looks


def test_wild_looks_leave_shape_physics_and_pokes_alone_and_plain_ones_as_they_were() -> None:
    photographs = Photographs()
    plain, strange = poke_scene(order()), poke_scene(order(photographs=photographs))
    assert not np.array_equal(plain.frame, strange.frame)
    assert np.array_equal(plain.part_ids, strange.part_ids)
    for one, other in zip(plain.causes, strange.causes, strict=True):
        assert one.kind == other.kind and np.array_equal(one.at, other.at) and np.array_equal(one.shift, other.shift)
        assert (one.flow is None) == (other.flow is None)
        if one.flow is not None and other.flow is not None:
            assert np.array_equal(one.flow, other.flow)


def test_wild_scenes_are_the_same_on_every_call_and_paint_with_photographs() -> None:
    scene = family_named("plants").scene(3, "train")
    photographs = Photographs.find() if carried() else Photographs()
    one, other = (wild(scene, generator("wild test", 0), photographs) for _ in range(2))
    assert one.digest == other.digest != scene.digest
    assert {name: t.shape for name, t in one.textures.items()} == {name: t.shape for name, t in scene.textures.items()}
    if carried():
        differing = wild(scene, generator("wild test", 0), Photographs())
        assert differing.digest != one.digest


def test_a_tint_paints_one_part_and_nothing_else() -> None:
    from dataclasses import replace

    scene = simulated.pendulum()
    assert replace(scene, tints={"paddle": (1.0, 0.0, 0.0)}).digest != scene.digest
    world = World(replace(scene, tints={"paddle": (1.0, 0.0, 0.0)}))
    own = world.geom_parts == world.parts.index("paddle") + 1
    assert (world.model.geom_matid[own] == -1).all()
    assert world.model.geom_rgba[own].tolist() == [[1.0, 0.0, 0.0, 1.0]]


def test_a_hue_is_turned_and_the_shape_kept() -> None:
    picture = np.zeros((8, 8, 3), np.uint8)
    picture[..., 1] = 180
    other = turned(picture, np.random.default_rng(1))
    assert other.shape == picture.shape and not np.array_equal(other, picture)


# The store


def test_the_store_is_whole_and_says_what_a_poke_costs(path: Path) -> None:
    assert verify_pokes(path) == []
    store = PokeStore.open(path)
    assert len(store.shards) == 3 and sum(entry.pokes for entry in store.entries) == (SCENES + 1) * POKES
    assert store.bytes_a_poke > 1000
    assert {shard.split for shard in store.shards} == {"train", "test"}


def test_packed_masks_come_back(shards: tuple[PokeShard, ...]) -> None:
    bits = shards[0].array("visible")
    masks = unpacked(bits, SIDE // 2)
    assert masks.shape == (len(bits), SIDE // 2, SIDE // 2) and 0.5 < masks.mean() <= 1
    assert np.array_equal(np.packbits(masks.reshape(len(bits), -1), axis=-1), bits)


def test_the_same_bytes_for_any_number_of_workers_and_after_an_interruption(path: Path, tmp_path: Path) -> None:
    first = make(tmp_path / "store", scenes=2)
    assert first.digest != PokeStore.open(path).digest
    again = make(tmp_path / "store", workers=2)  # a larger set goes on from the smaller
    assert again.digest == PokeStore.open(path).digest
    for file in sorted(path.rglob("*.*")):
        assert (tmp_path / "store" / file.relative_to(path)).read_bytes() == file.read_bytes()


def test_a_damaged_shard_is_found_and_made_anew(path: Path, tmp_path: Path) -> None:
    shutil.copytree(path, tmp_path / "store")
    victim = next((tmp_path / "store").rglob("at.f32"))
    victim.write_bytes(victim.read_bytes()[:-4] + b"\0\0\0\1")
    stray = tmp_path / "store" / "notes.txt"
    stray.write_text("mine")
    problems = verify_pokes(tmp_path / "store")
    assert len(problems) == 2 and "does not match its checksum" in "".join(problems)
    stray.unlink()
    assert make(tmp_path / "store").digest == PokeStore.open(path).digest
    assert verify_pokes(tmp_path / "store") == []


def test_an_altered_manifest_is_refused(path: Path, tmp_path: Path) -> None:
    shutil.copytree(path, tmp_path / "store")
    file = tmp_path / "store" / "manifest.json"
    values = json.loads(file.read_text())
    values["settings"]["films"] = 7
    file.write_text(json.dumps(values))
    with pytest.raises(InputError, match="altered"):
        PokeStore.open(tmp_path / "store")


def test_another_set_of_settings_is_refused(path: Path, tmp_path: Path) -> None:
    shutil.copytree(path, tmp_path / "store")
    settings = poke_settings(SIDE, POKES, 5, FILM).model_copy(update={"shard_scenes": 2})
    with pytest.raises(InputError, match="films 4, not 5"):
        simulate_pokes(["figures"], {"train": SCENES, "test": 1}, tmp_path / "store", settings, quiet=True)
    (tmp_path / "store" / "manifest.json").unlink()  # as after an interruption
    with pytest.raises(InputError, match="films 4, not 5"):
        simulate_pokes(["figures"], {"train": SCENES, "test": 1}, tmp_path / "store", settings, quiet=True)
    with pytest.raises(InputError, match="not asked for"):
        make(tmp_path / "store", scenes=1)


def test_each_kind_of_store_is_refused_where_the_other_is_needed(path: Path, store_path: Path) -> None:
    with pytest.raises(InputError, match="store of pokes, and a store of videos is needed"):
        Store.open(path)
    with pytest.raises(InputError, match="store of videos, and a store of pokes is needed"):
        PokeStore.open(store_path)
    with pytest.raises(InputError, match="not a store of pokes"):
        PokeStore.open(path / "shards")


# The command


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--scenes", "0", "--pokes", "2", "--store"], "less than 1"),
        (["--scenes", "2", "--pokes", "0", "--store"], "less than 1"),
        (["--scenes", "2", "--pokes", "2"], "need all three"),
        (["--pokes", "2", "--store"], "need all three"),
        (["--scenes", "2", "--pokes", "2", "--store", "--looks", "odd"], "plain or wild"),
        (["--scenes", "2", "--pokes", "2", "--store", "--resolution", "60"], "resolution"),
        (["--scenes", "2", "--pokes", "2", "--store", "--seed", "99"], "seed 99"),
    ],
)
def test_what_cannot_be_is_one_sentence(options: list[str], says: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["simulate", "figures", "--out", str(tmp_path / "store"), *options])
    told = result.output + str(result.exception or "")
    assert says in " ".join(told.replace("│", " ").split()) and result.exit_code != 0
    assert not (tmp_path / "store" / "manifest.json").exists()


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--scenes", "1", "--pokes", "1", "--store", "--flow", "dis"], "--flow"),
        (["--scenes", "1", "--pokes", "1", "--store", "--test-videos", "3"], "--test-videos"),
        (["--store", "--looks", "wild"], "--looks"),
        (["--films", "5"], "--films"),
        (["--flow", "dis"], "--flow"),
        (["--test-videos", "3"], "--test-videos"),
        (["--scenes", "1", "--pokes", "1", "--store", "--split", "test"], "--split"),
    ],
)
def test_options_that_say_nothing_of_what_is_made_are_refused(options: list[str], named: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["simulate", "plants", "--out", str(tmp_path / "out"), *options])
    assert result.exit_code == 2 and named in result.output and not (tmp_path / "out").exists()
