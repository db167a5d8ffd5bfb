"""The prepared clip store: reading, the split, and what `verify` finds."""

import json
import shutil
from multiprocessing.reduction import ForkingPickler
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from moving_square import write_square

from poke2vid.data.manifest import ArraySettings, SplitSettings, held_out, safe_id
from poke2vid.data.prepare.run import PrepareSettings, prepare
from poke2vid.data.store import Store, restored_flow, stored_flow, verify
from poke2vid.types import InputError

SETTINGS = PrepareSettings(resolution=32, lags=(1, 4), workers=0)
names_lists = st.lists(st.text(min_size=1, max_size=12), min_size=1, max_size=20, unique=True)


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A store of three videos; not to be changed."""
    root = tmp_path_factory.mktemp("stores")
    for i, name in enumerate(("a b/ö.mp4", "a b/two.mp4", "three.mp4")):
        write_square(root / "videos" / name, 8 + i, seed=i)
    prepare(root / "videos", root / "store", SETTINGS, quiet=True)
    return root / "store"


@pytest.fixture
def copy(made, tmp_path) -> Path:
    """The same, to be damaged."""
    return Path(shutil.copytree(made, tmp_path / "store"))


def rewrite(path: Path, **changes) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def an_array(store: Path, file: str = "frames.u8") -> Path:
    return sorted((store / "videos").glob(f"*/{file}"))[0]


def test_a_store_reads_back_with_shapes_and_types(made):
    store = Store.open(made)
    assert (store.resolution, store.lags) == (32, (1, 4))
    assert [video.name for video in store.videos] == ["a b/two", "a b/ö", "three"]
    for video in store.videos:
        t = video.num_frames
        assert video.frames.shape == (t, 32, 32, 3) and video.frames.dtype == np.uint8
        assert video.motion.shape == (t - 1,) and video.activity(4).shape == (t - 4,)
        assert video.flow(4, t - 5).shape == (2, 32, 32) and video.flow(4, 0).dtype == np.float32
        assert video.fps == 25


def test_every_video_is_in_exactly_one_split(made):
    store = Store.open(made)
    assert (len(store.split("train")), len(store.split("test"))) == (2, 1)
    names = [video.name for video in (*store.split("train"), *store.split("test"))]
    assert sorted(names) == [video.name for video in store.videos]


def test_what_is_not_stored_is_refused(made):
    video = Store.open(made).videos[0]
    with pytest.raises(InputError, match="no flows over 3 frames, only over 1, 4"):
        video.flow(3, 0)
    for start in (-1, video.num_frames - 4):
        with pytest.raises(InputError, match="start in 0"):
            video.flow(4, start)


def test_a_stored_video_is_small_to_send_to_a_worker_and_reads_the_same_there(made):
    video = Store.open(made).videos[0]
    _ = video.frames
    sent = bytes(ForkingPickler.dumps(video))
    assert len(sent) < 2000
    np.testing.assert_array_equal(ForkingPickler.loads(sent).frames, video.frames)


def test_a_missing_array_says_what_to_do(copy):
    video = Store.open(copy).videos[0]
    (video.folder / "frames.u8").unlink()
    with pytest.raises(InputError, match="missing or cut short; run `poke2vid verify`"):
        _ = video.frames


@pytest.mark.parametrize(("resolution", "stored"), [(64, 64), (66, 33), (128, 64)])
def test_vectors_are_in_pixels_of_the_frames_at_whatever_resolution_they_are_stored(resolution, stored):
    settings = ArraySettings(resolution=resolution)
    flow = np.zeros((2, resolution, resolution), np.float32)
    flow[0], flow[1] = 6.0, np.linspace(-4, 4, resolution)[:, None]
    kept = stored_flow(flow, settings)
    assert kept.shape == (2, stored, stored) and kept.dtype == np.float16
    np.testing.assert_allclose(kept[0], 6, rtol=1e-3)
    np.testing.assert_allclose(restored_flow(kept, settings), flow, atol=0.1)


def test_an_intact_store_verifies(made):
    assert verify(made) == []


@pytest.mark.parametrize("file", ["frames.u8", "flow_4.f16", "motion.f32", "activity_1.f32"])
def test_verify_finds_a_flipped_bit_a_truncated_and_a_missing_array(copy, file):
    path = an_array(copy, file)
    whole = bytearray(path.read_bytes())
    whole[len(whole) // 2] ^= 1
    path.write_bytes(whole)
    assert verify(copy) == [f"{path} does not match its checksum"]
    path.write_bytes(whole[:-1])
    assert verify(copy) == [f"{path} has {len(whole) - 1} bytes instead of {len(whole)}"]
    path.unlink()
    assert verify(copy) == [f"{path} is missing"]


def test_verify_finds_what_does_not_belong(copy):
    strays = [copy / "notes.txt", copy / "videos" / "other", an_array(copy).parent / "flow_9.f16"]
    strays[0].write_text("")
    strays[1].mkdir()
    strays[2].write_bytes(b"")
    assert sorted(verify(copy)) == sorted(f"{stray} does not belong to the store" for stray in strays)


def test_verify_finds_an_altered_entry_and_a_missing_one(copy):
    entry = an_array(copy, "entry.json")
    rewrite(entry, fps=24.0)
    assert verify(copy) == [f"{entry} is not the one that the manifest lists"]
    entry.unlink()
    assert len(verify(copy)) == 1 and "entry.json is missing" in verify(copy)[0]


def test_where_the_source_lay_does_not_count(copy):
    rewrite(an_array(copy, "entry.json"), source="/elsewhere/a.mp4")
    assert verify(copy) == []


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"kind": "something"}, "not written by poke2vid"),
        ({"version": 2}, "format 2.*update poke2vid"),
        ({"videos": []}, "does not match its own digest"),
        ({"surprise": 1}, "surprise: extra inputs"),
        ({"videos": [{}], "skipped": 3}, "videos.0.name.*skipped"),
    ],
)
def test_a_bad_manifest_is_refused_in_one_sentence(copy, changes, says):
    rewrite(copy / "manifest.json", **changes)
    with pytest.raises(InputError, match=says) as caught:
        Store.open(copy)
    assert "\n" not in str(caught.value)
    assert verify(copy) == [str(caught.value)]


def test_a_missing_an_unfinished_and_a_garbled_manifest_are_refused(copy, tmp_path):
    with pytest.raises(InputError, match="is not a store"):
        Store.open(tmp_path / "nothing")
    (copy / "manifest.json").write_text("{")
    with pytest.raises(InputError, match="damaged"):
        Store.open(copy)
    (copy / "manifest.json").unlink()
    with pytest.raises(InputError, match="unfinished store"):
        Store.open(copy)


@given(names_lists, st.floats(0, 0.99), st.integers(0, 99), st.randoms())
def test_the_split_holds_out_whole_videos_independent_of_their_order(names, fraction, seed, random):
    settings = SplitSettings(seed=seed, fraction=fraction)
    test = held_out(names, settings)
    shuffled = names[:]
    random.shuffle(shuffled)
    assert held_out(shuffled, settings) == test <= set(names)
    if len(names) == 1 or fraction == 0:
        assert not test
    else:
        assert len(test) == min(max(1, round(fraction * len(names))), len(names) - 1)


def test_another_seed_holds_out_other_videos():
    names = [f"video {i}" for i in range(40)]
    assert held_out(names, SplitSettings(seed=0)) != held_out(names, SplitSettings(seed=1))


def test_patterns_decide_the_split_where_given():
    names = ["p1/wave", "p1/bend", "p2/wave"]
    assert held_out(names, SplitSettings(patterns=("p2/*", "*bend"))) == {"p2/wave", "p1/bend"}


@given(names_lists)
def test_folder_names_are_unique_and_safe_for_any_file_system(names):
    ids = [safe_id(name) for name in names]
    assert len(set(ids)) == len(ids)
    assert all(all(c.isascii() and (c.isalnum() or c in "-_") for c in i) and len(i) <= 60 for i in ids)
