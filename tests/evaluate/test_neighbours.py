"""Nearest training frames: found exactly, kept in an index that follows its model and store, and shown; App. B.3's grid."""

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("faiss", reason="needs the extra `neighbours`")

from poke2vid.cli.neighbours import neighbours
from poke2vid.data.store import Store
from poke2vid.evaluate.heldout.clips import split_named
from poke2vid.evaluate.neighbours import index as module
from poke2vid.evaluate.neighbours.generalisation import Unseen, generalisation_grid, unseen_videos
from poke2vid.evaluate.neighbours.index import (
    SIDE,
    FrameIndex,
    ask,
    captioned,
    draw_answers,
    features,
    open_index,
    write_answers,
)
from poke2vid.media.pictures import read_picture, to_float, write_picture
from poke2vid.media.video import iterate_frames
from poke2vid.model.config import ModelConfig
from poke2vid.model.files import LoadedModel, save_model
from poke2vid.model.poke_video import PokeVideo
from poke2vid.types import InputError, Poke

CONFIG = ModelConfig(resolution=32, channels=4, decoder="motion")


def loaded(seed: int = 0, config: ModelConfig = CONFIG) -> LoadedModel:
    torch.manual_seed(seed)
    return LoadedModel(PokeVideo(config).eval(), {}, Path("drawn.safetensors"))


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("POKE2VID_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "neighbours"


def index_of(store: Store, model: LoadedModel | None = None, batch: int = 64, path: Path | None = None) -> FrameIndex:
    return open_index(model or loaded(), store, "train", path, batch=batch, quiet=True)


# What is found


def test_every_frame_finds_itself(store: Store) -> None:
    index = index_of(store)
    assert len(index) == sum(video.num_frames for video in store.split("train"))
    for video in store.split("train"):
        for frame in (0, 7, video.num_frames - 1):
            (nearest,) = index.nearest(to_float(video.frames[frame : frame + 1]))
            assert np.array_equal(index.picture(nearest), video.frames[frame])  # a still stretch shows one frame twice
            assert nearest.video == video.name
            assert nearest.distance == pytest.approx(0, abs=2e-3)


def test_the_order_and_the_distances_are_those_of_comparing_with_every_frame(store: Store) -> None:
    model, videos = loaded(), store.split("train")
    x = to_float(store.split("test")[0].frames[3:4])
    wanted = []
    for video in videos:
        away = np.linalg.norm(features(model.model, to_float(video.frames[:])) - features(model.model, x), axis=1)
        wanted.append((float(away.min()), video.name, int(away.argmin())))
    found = index_of(store, model).nearest(x, len(videos))
    assert [(n.video, n.frame) for n in found] == [(name, frame) for _, name, frame in sorted(wanted)]
    assert [n.distance for n in found] == pytest.approx([away for away, _, _ in sorted(wanted)], abs=1e-3)


def test_features_have_length_one_and_know_no_other_part_of_the_model(store: Store) -> None:
    model = loaded().model
    x = to_float(store.videos[0].frames[:3])
    before = features(model, x)
    assert np.linalg.norm(before, axis=1) == pytest.approx(np.ones(3), abs=1e-5)
    with torch.no_grad():
        for part in (model.poke_encoder, model.dynamics, model.decoder):
            for weight in part.parameters():
                weight.add_(1.0)
    assert np.array_equal(features(model, x), before)


def test_a_video_counts_once_and_there_are_no_more_than_there_are(store: Store) -> None:
    index = index_of(store)
    found = index.nearest(to_float(store.split("train")[0].frames[:1]), 50)
    names = [n.video for n in found]
    assert sorted(names) == sorted(video.name for video in store.split("train"))
    assert [n.distance for n in found] == sorted(n.distance for n in found)


@pytest.mark.parametrize("batch", [1, 7, 1000])
def test_the_batch_does_not_matter(store: Store, batch: int, cache: Path) -> None:
    x = to_float(store.split("test")[0].frames[5:6])
    whole = index_of(store, batch=40).nearest(x, 3)
    for file in cache.iterdir():
        file.unlink()
    again = index_of(store, batch=batch)
    assert not again.reused
    found = again.nearest(x, 3)
    assert [(n.video, n.frame) for n in found] == [(n.video, n.frame) for n in whole]
    assert [n.distance for n in found] == pytest.approx([n.distance for n in whole], abs=1e-3)


def test_half_precision_finds_the_same(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    x = to_float(store.split("test")[0].frames[5:6])
    whole = index_of(store).nearest(x, 3)
    monkeypatch.setattr(module, "LARGE", 0)
    half = index_of(store)
    assert not half.reused, "another precision is another index"
    assert [(n.video, n.frame) for n in half.nearest(x, 3)] == [(n.video, n.frame) for n in whole]
    assert [n.distance for n in half.nearest(x, 3)] == pytest.approx([n.distance for n in whole], abs=1e-3)


# The index as a file


def test_an_index_is_reused_and_is_where_the_cache_is(store: Store, cache: Path) -> None:
    assert not index_of(store).reused
    assert sorted(file.suffix for file in cache.iterdir()) == [".faiss", ".json"]
    assert index_of(store).reused


def test_an_index_follows_its_object_encoder_and_no_other_part(store: Store, tmp_path: Path) -> None:
    path, model = tmp_path / "own.faiss", loaded()
    index_of(store, model, path=path)
    with torch.no_grad():
        next(model.model.dynamics.parameters()).add_(1.0)
    assert index_of(store, model, path=path).reused
    with torch.no_grad():
        next(model.model.object_encoder.parameters()).add_(0.1)
    assert not index_of(store, model, path=path).reused
    assert index_of(store, model, path=path).reused


def test_an_index_follows_its_store_and_split(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "own.faiss"
    index_of(store, path=path)
    other = Store(store.path, store.manifest.model_copy(update={"digest": "0" * 64}))
    assert not index_of(other, path=path).reused
    assert not open_index(loaded(), other, "test", path, quiet=True).reused
    assert len(open_index(loaded(), other, "test", path, quiet=True)) == sum(v.num_frames for v in store.split("test"))


def flip_a_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100])


def remove_what_vouches(path: Path) -> None:
    path.with_suffix(".json").unlink()


def garble_what_vouches(path: Path) -> None:
    path.with_suffix(".json").write_text('["' + "[" * 5000)


@pytest.mark.parametrize("damage", [flip_a_byte, cut_short, remove_what_vouches, garble_what_vouches, Path.unlink])
def test_a_damaged_index_is_built_anew(store: Store, tmp_path: Path, damage: Callable[[Path], object]) -> None:
    path = tmp_path / "own.faiss"
    x = to_float(store.split("test")[0].frames[5:6])
    whole = index_of(store, path=path).nearest(x, 3)
    damage(path)
    mended = index_of(store, path=path)
    assert not mended.reused
    assert mended.nearest(x, 3) == whole
    assert index_of(store, path=path).reused


# What a user gets


@pytest.fixture
def picture(store: Store, tmp_path: Path) -> Path:
    path = tmp_path / "picture.png"
    write_picture(path, np.array(store.split("train")[0].frames[4]))
    return path


def model_file(tmp_path: Path, config: ModelConfig = CONFIG) -> Path:
    path = tmp_path / "model.safetensors"
    save_model(path, loaded(config=config).model, {})
    return path


def test_the_command_writes_a_grid_and_numbers(
    store: Store, tmp_path: Path, picture: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wide = tmp_path / "wide.png"
    write_picture(wide, np.full((20, 50, 3), 90, np.uint8))
    output = [tmp_path / "grid.png", tmp_path / "found.json"]
    neighbours([picture, wide], store.path, output, model_file(tmp_path), count=2)
    found = json.loads(output[1].read_text())
    assert [len(answer["neighbours"]) for answer in found["pictures"]] == [2, 2]
    assert found["pictures"][0]["neighbours"][0]["video"] == store.split("train")[0].name
    assert found["store"] == store.digest
    cell = captioned(np.zeros((8, 8, 3), np.uint8), "a", "b")
    assert cell.shape[1] == SIDE
    height, width = read_picture(output[0]).shape[:2]
    assert (height, width) == (2 * cell.shape[0] + 6, 3 * cell.shape[1] + 2 * 6)
    assert f"{store.split('train')[0].name} frame" in capsys.readouterr().out


def test_a_picture_of_any_shape_fits_its_cell_and_a_long_name_is_cut() -> None:
    for shape in ((10, 300), (300, 10), (64, 64), (1, 1)):
        cell = captioned(np.zeros((*shape, 3), np.uint8), "x" * 500, "frame 1")
        assert cell.shape[1] == SIDE
        assert (cell[:SIDE] == 0).any() and (cell[SIDE:] < 255).any()


def test_answers_without_neighbours_enough_are_shorter_rows(store: Store, picture: Path) -> None:
    answers = ask(index_of(store), [picture], 50, 32)
    assert draw_answers(answers).shape[1] == (len(store.split("train")) + 1) * (SIDE + 6) - 6


def test_wrong_input_is_told_in_one_sentence(
    store: Store, tmp_path: Path, picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, output = model_file(tmp_path), [tmp_path / "grid.png"]
    with pytest.raises(
        InputError, match=r"holds frames of 32 pixels and the model takes 64; prepare .* --resolution 64"
    ):
        index_of(store, loaded(config=replace(CONFIG, resolution=64)))
    with pytest.raises(InputError, match=r"the train split of .* is empty"):
        index_of(Store(store.path, store.manifest.model_copy(update={"videos": ()})))
    with pytest.raises(InputError, match=r"is not a store"):
        neighbours([picture], tmp_path, output, model)
    with pytest.raises(InputError, match=r"no split 'validation'; choose one of train, test"):
        neighbours([picture], store.path, output, model, split="validation")
    with pytest.raises(InputError, match=r"no known kind; let the name end in \.png, \.json"):
        neighbours([picture], store.path, [tmp_path / "grid.mp4"], model)
    with pytest.raises(InputError, match=r"name that ends in \.faiss"):
        neighbours([picture], store.path, output, model, index=picture)
    with pytest.raises(InputError, match=r"there is no picture"):
        neighbours([tmp_path / "none.png"], store.path, output, model)
    assert not output[0].exists()
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(InputError, match=r"pip install 'poke2vid\[neighbours\]'"):
        neighbours([picture], store.path, output, model)
    assert split_named("test") == "test"


def test_answers_are_replaced_as_a_whole_or_not_at_all(store: Store, tmp_path: Path, picture: Path) -> None:
    model, (folder) = loaded(), tmp_path / "folder.png"
    folder.mkdir()
    with pytest.raises(InputError, match="cannot write"):
        write_answers(folder, ask(index_of(store, model), [picture], 1, 32), model, store, "train")


# App. B.3's grid


def test_the_grid_has_a_row_a_picture_and_the_neighbour_in_its_last_column(store: Store, tmp_path: Path) -> None:
    # Two videos of five are held out at the most, so one is asked for.
    unseen = unseen_videos(store, pictures=1, pokes=3, seed=1)
    wide = Unseen("wide", np.full((20, 50, 3), 90, np.uint8), (Poke((40, 10), (5.0, 0.0)),))
    out = tmp_path / "grid.mp4"
    generalisation_grid(loaded(), [*unseen, wide], store, out, frames=4, quiet=True)
    cell = captioned(np.zeros((8, 8, 3), np.uint8), "a", "b").shape
    frames = list(iterate_frames(out))
    assert frames[0].shape[:2] == (2 * cell[0] + 6, 4 * (cell[1] + 6) - 6)
    assert len(frames) == 12 + 4
    assert read_picture(out.with_suffix(".png")).shape[:2] == (4 * (cell[0] + 6) - 6, 4 * (cell[1] + 6) - 6)


def test_unseen_videos_are_held_out_and_poked_in_different_places_and_ways(store: Store) -> None:
    (item,) = unseen_videos(store, "impulse", pictures=1, pokes=4)
    assert item.name in {video.name for video in store.split("test")}
    assert len({poke.location for poke in item.pokes}) == 4
    assert {poke.kind for poke in item.pokes} == {"impulse"}
    lengths = [float(np.hypot(*poke.shift)) / 32 for poke in item.pokes]
    assert lengths == pytest.approx([0.04, 0.08, 0.12, 0.16], abs=1e-3)
    assert unseen_videos(store, "impulse", pictures=1, pokes=4)[0].pokes == item.pokes
    with pytest.raises(InputError, match=r"of the test split move from their first frame on and 99 are needed"):
        unseen_videos(store, pictures=99)
