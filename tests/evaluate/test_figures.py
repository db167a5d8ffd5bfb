"""The paper's figures: how sequences are laid out, which pokes they are shown with, and that a store and a model make them."""

import json
import math
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from moving_square import write_square
from torch import nn

from poke2vid.data.prepare.run import PrepareSettings, prepare
from poke2vid.data.store import Store
from poke2vid.evaluate.figures.layout import Strip, cycled, enrolment, flow_scale, moments
from poke2vid.evaluate.figures.poke_file import read_pokes
from poke2vid.evaluate.figures.selection import background_poke, choose_clips, user_pokes
from poke2vid.evaluate.figures.write import write_figures
from poke2vid.evaluate.neighbours.generalisation import unseen_videos
from poke2vid.media.video import iterate_frames
from poke2vid.media.viz import ARROW, enlargement
from poke2vid.model.files import PAPER_BASE, LoadedModel
from poke2vid.model.poke_video import PokeVideo
from poke2vid.players.named import load_beside
from poke2vid.pokes import foreground_mask
from poke2vid.train.config import to_json
from poke2vid.train.presets import preset
from poke2vid.types import InputError, Poke

TINY = preset("tiny")
GREY = 120


def row(label: str, poke: Poke | None = None, flow: np.ndarray | None = None, length: int = 11) -> Strip:
    """A sequence of grey frames of 32 pixels."""
    frames = np.full((length, 32, 32, 3), GREY, np.uint8)
    return Strip(label, frames, () if poke is None else (poke,), flow)


def red(picture: np.ndarray) -> int:
    """Number of pixels that have roughly the arrow's colour: its line is thin and smoothed."""
    return int((np.abs(picture.astype(int) - np.array(ARROW)).max(axis=-1) < 60).sum())


def columns_of(picture: np.ndarray, count: int, factor: int) -> list[np.ndarray]:
    """The last `count` columns of an enrolment without flow."""
    width, gap = 32 * factor, 4
    ends = [picture.shape[1] - gap - k * (width + gap) for k in range(count)]
    return [picture[:, end - width : end] for end in reversed(ends)]


# Layout


def test_small_frames_are_enlarged_and_large_ones_are_not() -> None:
    for size, factor in (((64, 64), 3), ((32, 32), 6), ((128, 128), 2), ((512, 300), 1)):
        assert enlargement(np.zeros((*size, 3), np.uint8), 192) == factor


@pytest.mark.parametrize(
    ("T", "shown"), [(10, [1, 3, 5, 7, 9, 10]), (4, [1, 2, 3, 4]), (1, [1]), (25, [1, 6, 11, 16, 21, 25])]
)
def test_an_enrolment_shows_frames_at_equal_steps_and_the_last(T: int, shown: list[int]) -> None:
    assert moments(T) == shown


def test_the_arrow_is_on_the_first_frame_only_and_the_target_dot_on_all_others() -> None:
    poke = Poke((10, 16), (12, 0))
    picture = enrolment([row("truth"), row("poked", poke)])
    assert picture.shape[0] % 2 == picture.shape[1] % 2 == 0
    height = 4 + 24 + 4 + 6 * 32 + 4 + 6 * 32 + 4  # margin, header, two rows
    assert picture.shape[0] == height
    first, *others = columns_of(picture, 7, 6)
    upper, lower = slice(0, height // 2), slice(height // 2, None)
    assert red(picture[upper]) == 0  # nothing is drawn on the truth
    at_start, at_target = slice(6 * 8, 6 * 14), slice(6 * 21, 6 * 24)
    at_height = slice(100, 126)  # of the poke, in the lower half
    assert (first[lower][at_height, at_start] != GREY).any()
    for other in others:
        assert (other[lower][at_height, at_start] == GREY).all()
        assert red(other[lower][:, at_target]) > 5


def test_an_impulse_has_an_arrow_and_no_target() -> None:
    first, *others = columns_of(enrolment([row("pushed", Poke((10, 16), (12, 0), "impulse"))]), 7, 6)
    assert red(first) > 0 and all(red(other) == 0 for other in others)


def test_a_poke_too_short_for_an_arrow_shows_as_a_red_spot() -> None:
    first, *_ = columns_of(enrolment([row("pushed", Poke((10, 16), (0.1, 0), "impulse"))]), 7, 6)
    assert red(first) > 5


def test_all_rows_share_the_scale_of_their_flow() -> None:
    weak, strong = (np.zeros((2, 32, 32), np.float32) for _ in range(2))
    weak[0], strong[0] = 2.0, 8.0
    rows = [row("weak", flow=weak), row("strong", flow=strong), row("none")]
    assert flow_scale(rows) == pytest.approx(8.0)
    picture = enrolment(rows)
    cell = picture[:, -4 - 192 : -4]
    weakly, strongly = cell[28 + 20 + 90], cell[28 + 196 + 20 + 90]
    assert weakly[96].min() > strongly[96].min() + 100  # less saturated
    assert (cell[28 + 2 * 196 + 100] == 255).all()  # no flow: white


def test_stray_vectors_do_not_set_the_scale_and_no_motion_has_one_too() -> None:
    flow = np.zeros((2, 32, 32), np.float32)
    flow[0, :8] = 3.0
    flow[0, 20, 20] = 90.0
    assert flow_scale([row("x", flow=flow)]) == pytest.approx(3.0)
    assert flow_scale([row("x", flow=np.zeros((2, 32, 32), np.float32))]) == pytest.approx(0.16)


def test_a_video_shows_every_sequence_three_times_and_says_which_cycle() -> None:
    line = [row("truth", length=5), row("poked", Poke((10, 16), (12, 0)), length=5)]
    frames = cycled([line], fps=5)
    assert len(frames) == 15 and len({frame.shape for frame in frames}) == 1
    height, width = frames[0].shape[:2]
    assert height % 2 == width % 2 == 0
    assert width == 4 + 192 + 4 + 192 + 4
    body = slice(0, height - 32)
    for k in range(5):
        assert (frames[k][body] == frames[k + 5][body]).all()
    assert (frames[0][height - 30 :] != frames[5][height - 30 :]).any()  # "cycle 1/3", "cycle 2/3"
    assert (frames[0][height - 30 :, width // 2 :] == frames[5][height - 30 :, width // 2 :]).all()  # "5 fps"
    assert red(frames[0]) > 0 and red(frames[1]) != red(frames[0])


def test_several_lines_have_one_header_and_sequences_of_one_length() -> None:
    two = cycled([[row("a"), row("b")], [row("a"), row("b")]], fps=5)
    one = cycled([[row("a"), row("b")]], fps=5)
    assert two[0].shape[0] == one[0].shape[0] + 196 and two[0].shape[1] == one[0].shape[1]
    with pytest.raises(AssertionError):
        cycled([[row("a"), row("b", length=4)]], fps=5)


# Pokes


def disc_flow(dx: float = 4.0) -> torch.Tensor:
    """Flow of a disc in the left half that moves to the right."""
    y, x = torch.meshgrid(torch.arange(64), torch.arange(64), indexing="ij")
    inside = ((x - 20) ** 2 + (y - 32) ** 2 < 12**2).float()
    return torch.stack((dx * inside, torch.zeros_like(inside)))


@pytest.mark.parametrize("seed", range(5))
def test_a_persons_pokes_lie_on_the_object_apart_and_point_three_ways(seed: int) -> None:
    D, simulated = disc_flow(), Poke((20, 32), (4, 0))
    pokes = user_pokes(D, simulated, torch.Generator().manual_seed(seed))
    mask = foreground_mask(D)
    assert len(pokes) == 3
    assert [math.hypot(*p.shift) for p in pokes] == pytest.approx([3.2, 6.4, 10.24])
    places = [simulated.location, *(p.location for p in pokes)]
    assert all(mask[round(y), round(x)] for x, y in places)
    assert min(math.dist(a, b) for k, a in enumerate(places) for b in places[:k]) > 3
    for poke in pokes:
        assert all(0 <= a + d <= 63 for a, d in zip(poke.location, poke.shift, strict=True))
    assert pokes == user_pokes(D, simulated, torch.Generator().manual_seed(seed))


def test_the_background_is_poked_beside_all_that_moves_and_its_target_lies_there_too() -> None:
    D = disc_flow()
    for seed in range(5):
        poke = background_poke(D, Poke((20, 32), (6, 0)), torch.Generator().manual_seed(seed))
        assert poke.shift == (6, 0)
        for x, y in (poke.location, (poke.location[0] + 6, poke.location[1])):
            assert math.dist((x, y), (20, 32)) > 12 + 5


def test_what_hardly_moves_is_no_background_where_the_flow_is_exact_and_may_be_where_it_is_estimated() -> None:
    D = disc_flow()
    D[1, :, 32:60] += 1e-5  # a part of the object that the foreground mask does not see
    seeds = [torch.Generator().manual_seed(seed) for seed in range(20)]
    noise = torch.full_like(D, 0.02)
    exact, estimated = (
        [background_poke(d, Poke((20, 32), (0, 6)), seed) for seed in seeds] for d in (D, disc_flow() + noise)
    )
    assert all(poke.location[0] < 32 - 5 for poke in exact)
    assert any(poke.location[0] > 40 for poke in estimated)


def test_pokes_of_a_file_are_read_by_clip(tmp_path: Path) -> None:
    path = tmp_path / "pokes.json"
    entries = [{"clip": 2, "at": [3, 4], "shift": [5, 6]}, {"clip": 2, "at": [1, 1], "shift": [0, 2]}]
    path.write_text(json.dumps(entries))
    found = read_pokes(path, 2, 32, "shift")
    assert found == {2: [Poke((3, 4), (5, 6)), Poke((1, 1), (0, 2))]}


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("nothing", "the file of pokes .* is not a JSON file"),
        ('[{"clip": 0, "at": [1, 1], "shift": [1, 1]}]', "0.clip"),
        ('[{"clip": 1, "at": [1, 1], "shift": [1, 1], "kind": "x"}]', "kind"),
        ('[{"clip": 3, "at": [1, 1], "shift": [1, 1]}]', "there are clips 1 to 2"),
        ('[{"clip": 1, "at": [40, 1], "shift": [1, 1]}]', "outside the picture"),
        ('[{"clip": 1, "at": [NaN, 1], "shift": [1, 1]}]', "at"),
    ],
)
def test_a_file_of_pokes_that_cannot_be_used_is_refused_in_a_sentence(
    tmp_path: Path, content: str, sentence: str
) -> None:
    path = tmp_path / "pokes.json"
    path.write_text(content)
    with pytest.raises(InputError, match=sentence):
        read_pokes(path, 2, 32, "shift")
    with pytest.raises(InputError, match="no file of pokes"):
        read_pokes(tmp_path / "absent.json", 2, 32, "shift")


# From a store and a model


def loaded(**about: Any) -> LoadedModel:
    torch.manual_seed(0)
    model = PokeVideo(replace(TINY.model, channels=4)).eval()
    nn.init.normal_(model.decoder.head.weight, std=0.3)
    return LoadedModel(model, {"train": to_json(TINY), "step": 7, **about}, Path("model.safetensors"))


def test_clips_are_of_the_test_split_and_their_own_flow_pokes_them(store: Store) -> None:
    clips = choose_clips(loaded(), store, 3, 0, 4, {2: [Poke((5, 5), (1, 1))]})
    names = {video.name for video in store.split("test")}
    for clip in clips:
        assert clip.video in names and clip.frames.shape == (5, 32, 32, 3)
        video = next(v for v in store.split("test") if v.name == clip.video)
        assert (clip.frames == np.array(video.frames[clip.start : clip.start + 5])).all()
        simulated = clip.pokes["simulated poke"]
        x, y = (round(c) for c in simulated.location)
        assert video.flow(4, clip.start)[:, y, x].tolist() == pytest.approx(simulated.shift)
    users = ["user poke 1", "user poke 2", "user poke 3"]
    assert list(clips[0].pokes) == ["simulated poke", *users, "background poke"]
    assert list(clips[1].pokes) == ["simulated poke", "user poke 1", "background poke"]


def test_figures_are_written_with_an_index_and_are_the_same_for_the_same_seed(store: Store, tmp_path: Path) -> None:
    names = write_figures(loaded(), store.path, tmp_path / "a", num_clips=2, beside=["copy", "shift-patch"])
    assert names == [
        "clip_1.png", "clip_1.mp4", "clip_2.png", "clip_2.mp4", "comparison_1.png", "comparison_1.mp4", "index.md",
    ]  # fmt: skip
    assert {path.name for path in (tmp_path / "a").iterdir()} == set(names)
    assert len(list(iterate_frames(tmp_path / "a" / "clip_1.mp4"))) == 15
    assert len(list(iterate_frames(tmp_path / "a" / "comparison_1.mp4"))) == 15
    text = (tmp_path / "a" / "index.md").read_text()
    assert "7 training steps" in text and store.digest[:12] in text and "[clip_2.mp4](clip_2.mp4)" in text
    assert text.count("| background poke |") == 2
    write_figures(loaded(), store.path, tmp_path / "b", num_clips=2, beside=["copy", "shift-patch"])
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name
    write_figures(loaded(), store.path, tmp_path / "c", num_clips=2, seed=1, flow=False)
    assert (tmp_path / "c" / "clip_1.png").read_bytes() != (tmp_path / "a" / "clip_1.png").read_bytes()
    assert "none, no flow is shown" in (tmp_path / "c" / "index.md").read_text()


def test_the_figure_of_unseen_things_never_costs_the_others(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("faiss", reason="it searches with faiss")
    monkeypatch.setenv("POKE2VID_CACHE", str(tmp_path / "cache"))
    with pytest.raises(
        InputError, match=r"all figures but the generalisation are in .*4 are needed"
    ):  # one is held out
        write_figures(loaded(), store.path, tmp_path / "out", num_clips=1, generalisation=True)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"clip_1.png", "clip_1.mp4", "index.md"}
    monkeypatch.setattr("poke2vid.evaluate.figures.write.unseen_videos", partial(unseen_videos, pictures=1))
    names = write_figures(loaded(), store.path, tmp_path / "out", num_clips=1, generalisation=True)
    assert {"generalisation.mp4", "generalisation.png"} <= {path.name for path in (tmp_path / "out").iterdir()}
    assert "[generalisation.png]" in (tmp_path / "out" / "index.md").read_text() and names[-1] == "index.md"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"frames": 3}, "ends before the model's pokes arrive"),
        ({"frames": 400}, "no clip of the test split has 401 frames"),
        ({"beside": ["oracle"]}, "needs a simulated truth"),
        ({"beside": ["copy", "copy"]}, "given twice"),
        ({"beside": ["absent.safetensors"]}, "no file absent.safetensors"),
        ({"pokes": Path("absent.json")}, "no file of pokes"),
    ],
)
def test_what_does_not_fit_is_said_before_anything_is_written(
    store: Store, tmp_path: Path, options: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(InputError, match=sentence):
        write_figures(loaded(), store.path, tmp_path / "out", num_clips=1, **options)
    assert not (tmp_path / "out").exists()


def test_wrong_fields_of_a_file_of_pokes_are_named_in_plain_words(tmp_path: Path) -> None:
    (tmp_path / "pokes.json").write_text('[{"clip": 0, "at": [1, null], "shift": [2, 1], "more": 1}]')
    with pytest.raises(InputError, match=r"is wrong: 0\.clip: .*; 0\.at\.1: .*; 0\.more: ") as refused:
        read_pokes(tmp_path / "pokes.json", 1, 32, "shift")
    assert "Value error" not in str(refused.value)


def test_a_store_that_does_not_fit_the_model_is_refused(store: Store, tmp_path: Path) -> None:
    other = loaded()
    other = replace(other, model=PokeVideo(replace(TINY.model, resolution=64, channels=4)))
    with pytest.raises(InputError, match="frames of 32 pixels and the model takes 64"):
        write_figures(other, store.path, tmp_path / "out")
    far = LoadedModel(loaded().model, {}, Path("x"))  # the paper's horizon, which the store has no flow for
    with pytest.raises(InputError, match=r"lags \[2, 4\] but \[10\] are needed"):
        write_figures(far, store.path, tmp_path / "out")


def test_whoever_knows_no_such_pokes_is_not_shown_beside() -> None:
    assert list(load_beside(["shift-patch", "copy"], "shift", 10)) == ["shift-patch", "copy"]
    with pytest.raises(InputError, match="knows no impulse pokes"):
        load_beside([str(PAPER_BASE)], "impulse", 10)


def test_an_impulse_model_is_shown_with_impulses_for_as_long_as_one_likes(store: Store, tmp_path: Path) -> None:
    pushed = loaded()
    pushed = replace(pushed, model=PokeVideo(replace(TINY.model, channels=4, poke_kind="impulse")).eval())
    path = tmp_path / "pokes.json"
    path.write_text(json.dumps([{"clip": 1, "at": [15.5, 16], "shift": [2, -1]}]))
    clips = choose_clips(pushed, store, 2, 0, 9, {})
    assert {poke.kind for clip in clips for poke in clip.pokes.values()} == {"impulse"}
    lengths = [math.hypot(*clips[0].pokes[f"user poke {k}"].shift) for k in (1, 2, 3)]
    assert lengths == pytest.approx([0.96, 1.92, 3.2])  # a full impulse is a tenth of the side
    write_figures(pushed, store.path, tmp_path / "out", num_clips=1, frames=9, pokes=path)
    assert len(list(iterate_frames(tmp_path / "out" / "clip_1.mp4"))) == 30
    text = (tmp_path / "out" / "index.md").read_text()
    assert "poke kind: impulse" in text and "| 1 | user poke 1 | 15.5, 16.0 | 2.0, -1.0 | 2.2 |" in text
    assert "user poke 2" not in text


def test_a_store_without_test_videos_is_refused(tmp_path: Path) -> None:
    write_square(tmp_path / "videos" / "square.mp4", 20)
    settings = PrepareSettings(resolution=32, lags=(4,), workers=0, test_fraction=0.0)
    prepare(tmp_path / "videos", tmp_path / "store", settings, quiet=True)
    with pytest.raises(
        InputError, match="has no test videos; one video is not enough for both, so cut it in two by time"
    ):
        write_figures(loaded(), tmp_path / "store", tmp_path / "out")
