"""Published data sets, each on a miniature of its own layout: what belongs to it, in which split, at which rate."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from moving_square import moving_square

from poke2vid.data.manifest import Skipped
from poke2vid.data.prepare.report import PrepareReport
from poke2vid.data.prepare.run import PrepareSettings, prepare_dataset
from poke2vid.data.sources.dataset import Excerpt, Listing
from poke2vid.data.sources.folder import find_videos
from poke2vid.data.sources.registry import DATASETS, dataset_named
from poke2vid.data.store import Store
from poke2vid.evaluate.tables.notes import copy_of
from poke2vid.files import read_json, write_json
from poke2vid.media.pictures import write_picture
from poke2vid.media.video import write_video
from poke2vid.types import InputError

SETTINGS = PrepareSettings(resolution=32, lags=(4,), workers=0)


def clip(path: Path, frames: int = 14, fps: float = 25, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    written = path.with_suffix(".mp4")  # a reader goes by the contents
    write_video(written, moving_square(frames, step=(2, 0), seed=seed), fps)
    return written.rename(path)


def made(name: str, raw: Path, out: Path) -> tuple[Listing, PrepareReport]:
    listing = dataset_named(name).listed(raw)
    return listing, prepare_dataset(dataset_named(name), listing, out, SETTINGS, quiet=True)


def names(raw: Path, name: str) -> tuple[list[str], list[str]]:
    listing = dataset_named(name).listed(raw)
    return [[video.name for video in listing.of(split)] for split in ("train", "test")]  # type: ignore[return-value]


# Poking-Plants


def test_the_last_fifth_of_every_plant_is_held_out_and_no_frame_is_in_both(tmp_path: Path) -> None:
    for plant, take in ((0, 1), (12, 2)):
        clip(tmp_path / "raw" / f"VID_{plant}_{take}.mkv", frames=40, seed=plant)
    clip(tmp_path / "raw" / "holiday.mp4")
    listing, report = made("plants", tmp_path / "raw", tmp_path / "store")
    assert listing.remarks == ("2 videos instead of 27",)
    assert [other.name for other in listing.passed_over] == ["holiday"]
    store = Store.open(tmp_path / "store")
    lengths = {split: {v.name: len(v.frames) for v in store.split(split)} for split in ("train", "test")}
    assert lengths["train"] == {"train/VID_0_1": 32, "train/VID_12_2": 32}
    assert lengths["test"] == {"test/VID_0_1": 8, "test/VID_12_2": 8}
    whole = tmp_path / "raw" / "VID_0_1.mkv"
    parts = {v.name: v.frames for split in ("train", "test") for v in store.split(split)}
    numbers = [number_in(whole, parts[name][k]) for name, k in (("train/VID_0_1", 31), ("test/VID_0_1", 0))]
    assert numbers == [31, 32]
    assert report.digest == made("plants", tmp_path / "raw", tmp_path / "store")[1].digest


def number_in(path: Path, frame: np.ndarray) -> int:
    """Number of the most similar frame of a video; a store's are shrunk in two steps, so not the same to the bit."""
    (video,) = find_videos(path).videos
    with video.open() as footage:
        all_of_it = np.stack([shown.frame for shown in footage.frames(32, "crop", None)]).astype(int)
    return int(np.abs(all_of_it - frame).mean(axis=(1, 2, 3)).argmin())


# iPER


def test_iper_is_split_by_its_list_which_may_lie_beside_it(tmp_path: Path) -> None:
    raw = tmp_path / "iPER_256_video_release"
    for name in ("001_1_1", "001_1_2", "030_2_1"):
        clip(raw / f"{name}.mp4")
    (tmp_path / "train.txt").write_text("001/1/1\n001/1/2\n007/1/1\n")
    assert names(raw, "iper") == [["train/001_1_1", "train/001_1_2"], ["test/030_2_1"]]
    assert dataset_named("iper").listed(raw).remarks == (
        "3 videos instead of 206",
        "train.txt names 3 videos instead of 164, and all others count as tests: there is no val.txt",
        "train.txt names 1 video (007_1_1) that is not there",
    )
    (tmp_path / "train.txt").rename(raw / "train.txt")
    assert not dataset_named("iper").listed(raw).passed_over, "the list is used, not passed over"


def test_what_iper_s_second_list_says_is_held_against_the_first(tmp_path: Path) -> None:
    for name in ("001_1_1", "002_1_1", "003_1_1", "004_1_1"):
        clip(tmp_path / f"{name}.mp4")
    (tmp_path / "train.txt").write_text("001/1/1\n")  # cut short: 002 and 003 were for training
    (tmp_path / "val.txt").write_text("004/1/1\n005/1/1\n")
    listing = dataset_named("iper").listed(tmp_path)
    assert names(tmp_path, "iper") == [["train/001_1_1"], ["test/004_1_1"]]
    assert listing.missing == ("005_1_1",)
    assert listing.remarks[1:] == (
        "val.txt names 1 video (005_1_1) that is not there",
        "neither train.txt nor val.txt names 2 videos (002_1_1 first)",
    )
    assert sorted(other.name for other in listing.passed_over) == ["002_1_1", "003_1_1"]
    (tmp_path / "val.txt").write_text("004/1/1\n001/1/1\n")
    with pytest.raises(InputError, match=r"both name 1 video \(001_1_1\)"):
        dataset_named("iper").listed(tmp_path)


@pytest.mark.parametrize(("text", "said"), [(None, "no train.txt"), ("", "no list"), ("a/b\n", "no list")])
def test_iper_without_its_list_is_refused_with_the_place_to_get_it(tmp_path: Path, text: str | None, said: str) -> None:
    clip(tmp_path / "raw" / "001_1_1.mp4")
    if text is not None:
        (tmp_path / "raw" / "train.txt").write_text(text)
    with pytest.raises(InputError, match=said) as error:
        dataset_named("iper").listed(tmp_path / "raw")
    assert "svip-lab" in str(error.value)


def test_a_store_says_what_its_copy_lacks_and_one_without_a_test_video_is_refused(tmp_path: Path) -> None:
    raw, out = tmp_path / "raw", tmp_path / "store"
    for k, name in enumerate(("001_1_1", "001_1_2", "030_2_1")):
        clip(raw / f"{name}.mp4", seed=k)
    (raw / "train.txt").write_text("001/1/1\n001/1/2\n")
    whole = (raw / "030_2_1.mp4").read_bytes()
    (raw / "030_2_1.mp4").write_bytes(whole[:200])
    with pytest.raises(InputError, match=r"none of the 1 test videos could be kept: test/030_2_1: "):
        made("iper", raw, out)
    (raw / "030_2_1.mp4").write_bytes(whole)
    assert "cut it in two" not in (out / "report.md").read_text()
    listing, report = made("iper", raw, out)
    assert report.reused == 2
    manifest = Store.open(out).manifest
    assert (
        manifest.remarks
        == listing.remarks
        == (
            "3 videos instead of 206",
            "train.txt names 2 videos instead of 164, and all others count as tests: there is no val.txt",
        )
    )
    assert copy_of("iPER", [manifest, manifest]) == f"not all of iPER: {'; '.join(listing.remarks)}"
    some = manifest.model_copy(update={"remarks": (), "skipped": (Skipped(name="test/a", reason="it is damaged"),)})
    assert copy_of("iPER", [some]) == "not all of iPER: 1 video skipped"
    assert copy_of("iPER", [manifest.model_copy(update={"remarks": ()})]) == "iPER, as the paper"
    older = some.model_copy(update={"remarks": None})
    unknown = "a copy of iPER; its stores do not say whether it is complete"
    assert copy_of("iPER", [manifest, older]) == "; ".join((unknown, *listing.remarks, "1 video skipped"))
    assert "remarks" not in older.to_json() and {"dataset", "remarks"} <= manifest.to_json().keys()


def test_a_store_that_learns_what_its_copy_lacks_keeps_its_digest_and_with_it_its_runs(tmp_path: Path) -> None:
    raw, out = tmp_path / "raw", tmp_path / "store"
    for k, name in enumerate(("001_1_1", "030_2_1")):
        clip(raw / f"{name}.mp4", seed=k)
    (raw / "train.txt").write_text("001/1/1\n")
    _, first = made("iper", raw, out)
    known = read_json(out / "manifest.json")
    write_json(out / "manifest.json", {name: value for name, value in known.items() if name != "remarks"})
    assert Store.open(out).manifest.remarks is None  # as before it could be said
    (raw / "val.txt").write_text("030/2/1\n")
    listing, again = made("iper", raw, out)
    assert again.digest == first.digest == Store.open(out).digest and again.reused == 2
    assert Store.open(out).manifest.remarks == listing.remarks != tuple(known["remarks"])


# Tai-Chi-HD


def test_taichi_takes_every_second_frame_of_the_folders_of_its_script(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    clip(raw / "train" / "a-B_c#000080#000300.mp4", frames=30)
    clip(raw / "test" / "dEf#000001#000200.mp4", frames=24, seed=1)
    clip(raw / "elsewhere" / "x.mp4")
    (raw / "taichi-metadata.csv").write_text(
        "video_id,start,end,bbox,fps,width,height\na-B_c,80,300,1-1-2-2,25,640,480\ngone,0,9,1-1-2-2,25,640,480\n"
    )
    listing, _ = made("taichi", raw, tmp_path / "store")
    assert listing.remarks == (
        "clips of 1 video for training instead of 252",
        "clips of 1 video for tests instead of 28",
        "of the table's 2 clips 1 not there",
    )
    assert "Not there (1): gone#000000#000009." in (tmp_path / "store" / "report.md").read_text()
    assert [other.name for other in listing.passed_over] == ["elsewhere/x"]
    store = Store.open(tmp_path / "store")
    (train,), (test,) = store.split("train"), store.split("test")
    assert (train.name, len(train.frames), train.fps) == ("train/a-B_c#000080#000300", 15, 12.5)
    assert len(test.frames) == 12
    assert number_in(raw / "test" / "dEf#000001#000200.mp4", test.frames[3]) == 6


def test_a_table_with_a_column_of_splits_stands_in_for_the_folders(tmp_path: Path) -> None:
    for name in ("a#000000#000010", "b#000000#000010", "c#000000#000010"):
        clip(tmp_path / f"{name}.mp4")
    (tmp_path / "taichi-metadata-new.csv").write_text(
        "video_id,start,end,bbox,fps,width,height,partition\na,0,10,,25,1,1,train\nb,0,10,,25,1,1,test\n"
    )
    assert names(tmp_path, "taichi") == [["train/a#000000#000010"], ["test/b#000000#000010"]]
    for text in ("video,first\na,0\n", "video_id,start,end\na,0\n", "video_id,start,end\na,0,x\n"):
        (tmp_path / "taichi-metadata-new.csv").write_text(text)
        with pytest.raises(InputError, match="columns must be"):
            dataset_named("taichi").listed(tmp_path)


def test_what_the_loading_script_writes_unless_asked_otherwise_is_found_by_its_table(tmp_path: Path) -> None:
    """Frames in folders that are named as videos."""
    for k, part in enumerate(("train", "test", "elsewhere")):
        folder = tmp_path / part / f"v{k}#000000#000010.mp4"
        folder.mkdir(parents=True)
        for number, picture in enumerate(moving_square(4, step=(2, 0))):
            write_picture(folder / f"{number:07d}.png", picture)
    assert "there is no table" in dataset_named("taichi").listed(tmp_path).remarks[-1]
    table = tmp_path / "taichi-metadata.csv"
    head = "video_id,start,end,bbox,fps,width,height,partition\n"
    table.write_text(f"{head}v0,0,10,,25,1,1,test\nv1,0,10,,25,1,1,test\nv2,0,10,,25,1,1,train\n")
    train, test = names(tmp_path, "taichi")
    assert (sorted(train), test) == (["train/v0#000000#000010", "train/v2#000000#000010"], ["test/v1#000000#000010"])
    assert dataset_named("taichi").listed(tmp_path).remarks[2:] == (
        "folder and table have different splits for 1 clip (v0); the folder's is taken",
    )
    table.write_text(head)
    with pytest.raises(InputError, match="holds no rows"):
        dataset_named("taichi").listed(tmp_path)


# Human3.6m


def test_human36m_is_thinned_out_to_six_and_a_quarter_a_second_and_split_by_actors(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    for seed, actor in enumerate(("S1", "S9")):
        clip(raw / actor / "Videos" / "Walking 1.54138969.mp4", frames=80, fps=50, seed=seed)
    clip(raw / "S1" / "Videos" / "_ALL.54138969.mp4")
    clip(raw / "S2" / "Videos" / "Walking.54138969.mp4")
    listing, _ = made("human36m", raw, tmp_path / "store")
    assert listing.remarks == ("no video of S5, S6, S7, S8, S11", "fewer than 120 videos of S1 (1), S9 (1)")
    assert len(listing.passed_over) == 2
    assert len(listing.missing) == 840 - 2 and "S9/Walking.58860488" in listing.missing
    report = (tmp_path / "store" / "report.md").read_text()
    assert "Not there (838): S1/Directions.54138969, S1/Directions.55011271, " in report
    (train,), (test,) = (Store.open(tmp_path / "store").split(split) for split in ("train", "test"))
    assert (train.name, test.name) == ("train/S1/Walking 1.54138969", "test/S9/Walking 1.54138969")
    assert len(train.frames) == 10 and train.fps == pytest.approx(6.25)


def test_frames_of_human36m_are_passed_over_since_they_have_no_rate(tmp_path: Path) -> None:
    for actor in ("S1", "S9"):
        clip(tmp_path / actor / "Videos" / "Walking.54138969.mp4", fps=50)
    folder = tmp_path / "S1" / "Videos" / "Eating.54138969"
    folder.mkdir()
    for number, picture in enumerate(moving_square(4, step=(2, 0))):
        write_picture(folder / f"{number:04d}.png", picture)
    (other,) = dataset_named("human36m").listed(tmp_path).passed_over
    assert other.name.endswith("Eating.54138969") and "rate" in other.reason


# Vegetation, and what all share


def test_vegetation_is_what_lies_in_folders_named_after_plants(tmp_path: Path) -> None:
    for k in range(12):
        clip(tmp_path / "Trees" / f"{k}.mp4", frames=4)
    for other in ("Fire", "Street"):
        clip(tmp_path / other / "1.mp4", frames=4)
    train, test = names(tmp_path, "vegetation")
    assert len(train) + len(test) == 12 and train and test
    assert all(name.split("/")[1] == "Trees" for name in (*train, *test))


@pytest.mark.parametrize("name", DATASETS)
def test_a_folder_that_is_no_copy_is_refused_with_what_was_expected(name: str, tmp_path: Path) -> None:
    known = dataset_named(name)
    for raw in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(InputError) as error:
            known.listed(raw)
        assert known.layout in str(error.value) and known.page in str(error.value)


def test_two_releases_in_one_folder_are_refused_by_name(tmp_path: Path) -> None:
    for release in ("iPER_1024_video_release", "iPER_256_video_release"):
        clip(tmp_path / release / "001_1_1.mp4")
        clip(tmp_path / release / "002_1_1.mp4")
    (tmp_path / "train.txt").write_text("001/1/1\n")
    with pytest.raises(InputError, match="keep one copy"):
        dataset_named("iper").listed(tmp_path)


def test_parts_of_a_video_of_variable_rate_are_all_of_it(tmp_path: Path) -> None:
    """Evened out there are more frames than the file holds, and a Matroska file does not say how many it holds."""
    path, pictures = tmp_path / "VID_0_1.mkv", moving_square(40, step=(2, 0))
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt, stream.time_base = 64, 64, "yuv420p", Fraction(1, 1000)
        for k, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = (
                40 * k + 40 * max(0, k - 20),
                Fraction(1, 1000),
            )  # half the rate from frame 20 on
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    (video,) = find_videos(path).videos
    with video.open() as footage:
        shown = list(footage.frames(16, "crop", None))
        assert footage.origin.frames is None and len(shown) > 45
    counts = []
    for part in ((0.0, 0.8), (0.8, 1.0)):
        with Excerpt("part", video, part=part).open() as footage:
            counts.append(len(list(footage.frames(16, "crop", None))))
            assert any("variable frame rate" in note for note in footage.notes)
    assert counts == [round(0.8 * len(shown)), len(shown) - round(0.8 * len(shown))]


def test_parts_of_a_video_are_sources_of_their_own(tmp_path: Path) -> None:
    (video,) = find_videos(clip(tmp_path / "a.mp4", frames=30)).videos
    whole = Excerpt("whole", video)
    parts = [Excerpt(name, video, part=part) for name, part in (("one", (0.0, 0.55)), ("two", (0.55, 1.0)))]
    assert whole.digest() == video.digest() and len({video.digest(), *(part.digest() for part in parts)}) == 3
    counts = []
    for part in parts:
        with part.open() as footage:
            counts.append(len(list(footage.frames(16, "crop", None))))
    assert counts == [16, 14] and all(
        abs(part.expected_frames(None) - n) <= 1 for part, n in zip(parts, counts, strict=True)
    )
