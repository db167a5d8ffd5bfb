"""Cut-outs before photographs: pictures in which the object is known to the pixel."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from poked_discs import write_discs

from poke2vid.data.cutouts import HELD_OUT, KEPT_SIDE, Cutouts, placed
from poke2vid.files import digest_of, read_tensors
from poke2vid.media.pictures import read_cutout
from poke2vid.model.touch_encoder import TouchConfig, TouchEncoder
from poke2vid.simulator.looks.photographs import Photographs
from poke2vid.train.field_config import FieldConfig
from poke2vid.train.field_loop import train_fields
from poke2vid.train.field_trainer import found_loss, objectness
from poke2vid.train.presets import FIELD_PRESETS
from poke2vid.train.still_data import StillBatch, StillBatches
from poke2vid.types import InputError


def disc(side: int, colour: tuple[int, int, int]) -> Image.Image:
    """A disc that fills a picture, transparent about it."""
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    picture = np.zeros((side, side, 4), np.uint8)
    picture[..., :3] = colour
    picture[..., 3] = np.where(np.hypot(x, y) < side / 2 - 2, 255, 0)
    return Image.fromarray(picture)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Red discs, and green photographs."""
    cut, behind = tmp_path_factory.mktemp("cutouts"), tmp_path_factory.mktemp("photographs")
    for k in range(2 * HELD_OUT):
        disc(40 + k, (200, 10 + k, 10)).save(cut / f"{k}.png")
    for k in range(2):
        Image.new("RGB", (200, 200), (20, 120 + 20 * k, 20)).save(behind / f"{k}.png")
    return cut, behind


@pytest.fixture(scope="module")
def green(folders: tuple[Path, Path]) -> Photographs:
    """The green photographs alone: those that packages carry may be red."""
    found = Photographs.find(folders[1])
    return Photographs(tuple(file for file in found.files if Path(file[1]).parent == folders[1]))


@pytest.fixture(scope="module")
def cutouts(folders: tuple[Path, Path], green: Photographs) -> Cutouts:
    return Cutouts.find(folders[0], green)


def test_what_is_said_to_be_inside_is_where_the_cut_out_shows(cutouts: Cutouts) -> None:
    rng = np.random.default_rng(0)
    shares = []
    for _ in range(40):
        picture, inside = cutouts.compose(rng, 96)
        red = picture[..., 0].astype(int) > picture[..., 1].astype(int)
        assert (red == (inside > 0.5)).mean() > 0.97  # soft edges, where red and green are level
        shares.append(inside.mean())
    assert max(shares) > 0.2
    assert min(shares) == 0  # now and then nothing stands there


def test_a_placed_cut_out_has_its_size_and_no_rim_of_what_lies_under_its_transparent_parts() -> None:
    cutout = np.array(disc(100, (200, 10, 10)))
    cutout[cutout[..., 3] == 0] = (0, 0, 255, 0)
    colour, opacity = placed(cutout, np.random.default_rng(3), 128, 0.5)
    area = np.pi / 4 * (0.5 * 128 * 96 / 100) ** 2
    assert opacity.sum() == pytest.approx(area, rel=0.05)
    shown = colour[opacity > 0.05]
    assert (shown[:, 2] < shown[:, 0]).all()


def test_a_batch_is_a_function_of_its_step_and_held_out_discs_are_others(cutouts: Cutouts, folders, green) -> None:
    config = FieldConfig(stills=3)
    batches = StillBatches(cutouts, config)
    one, again, other = batches[5], batches[5], batches[6]
    assert one.x_0.shape == (3, 3, 64, 64)
    assert one.inside.shape == (3, 64, 64)
    torch.testing.assert_close(one.x_0, again.x_0, rtol=0, atol=0)
    torch.testing.assert_close(one.inside, again.inside, rtol=0, atol=0)
    assert not torch.equal(one.x_0, other.x_0)
    unseen = Cutouts.find(folders[0], green, "test")
    assert len(unseen.pictures) == 2
    assert len(cutouts.pictures) == 2 * HELD_OUT - 2
    green_levels = {int(picture[20, 20, 1]) for picture in cutouts.pictures}
    assert green_levels.isdisjoint(int(picture[20, 20, 1]) for picture in unseen.pictures)
    assert unseen.digest == cutouts.digest


def test_a_sure_and_right_answer_costs_nothing_and_a_wrong_one_its_confidence() -> None:
    inside = torch.zeros(1, 64, 64)
    inside[:, :32] = 1
    stills = StillBatch(torch.zeros(1, 3, 64, 64), inside)
    logits = 20 * (2 * inside - 1)
    assert found_loss(logits, stills) < 1e-6
    assert found_loss(-logits, stills) == pytest.approx(20)
    assert found_loss(0 * logits, stills) == pytest.approx(np.log(2))


@pytest.mark.parametrize(
    ("prepare", "says"),
    [
        (lambda folder: None, "holds 0 different pictures"),
        (
            lambda folder: [Image.new("RGBA", (9, 9), (k, 0, 0, 255)).save(folder / f"{k}.png") for k in range(8)],
            "no cut-out",
        ),
        (lambda folder: [(folder / f"{k}.png").write_bytes(b"PNG %d" % k) for k in range(8)], "not a picture"),
    ],
)
def test_folders_that_do_not_fit_are_refused(prepare, says: str, tmp_path: Path, green: Photographs) -> None:
    prepare(tmp_path)
    with pytest.raises(InputError, match=says):
        Cutouts.find(tmp_path, green)


def test_what_is_missing_is_said(tmp_path: Path, green: Photographs) -> None:
    with pytest.raises(InputError, match="no folder"):
        Cutouts.find(tmp_path / "none", green)
    with pytest.raises(InputError, match="there is no picture"):
        read_cutout(tmp_path / "none.png")


# Training


TINY = FieldConfig(
    touch=TouchConfig(seeing=(8, 16, 16, 16), touching=(8, 16, 16, 16), compared=(8, 8)),
    steps=4, scenes=2, pokes=2, stills=4, warmup=1, sample_every=4, checkpoint_every=2, looks=None,
)  # fmt: skip


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_discs(tmp_path_factory.mktemp("discs") / "store").path


def test_a_run_scores_unseen_cut_outs_remembers_which_they_were_and_goes_on_bit_for_bit(
    store: Path, folders: tuple[Path, Path], tmp_path: Path
) -> None:
    given = {"cutouts": folders[0], "photographs": folders[1], "quiet": True}
    whole = train_fields(TINY, [store], tmp_path / "whole", **given)
    scored = [json.loads(line) for line in (tmp_path / "whole" / "scores.jsonl").read_text().splitlines()]
    assert [line["step"] for line in scored if line["family"] == "stills"] == [4]
    assert list((tmp_path / "whole" / "samples").glob("*held-out-stills*"))
    logged = [json.loads(line) for line in (tmp_path / "whole" / "metrics.jsonl").read_text().splitlines()]
    assert all(line["loss/found"] > 0 for line in logged)
    train_fields(TINY, [store], tmp_path / "parts", max_minutes=0, **given)
    parts = train_fields(TINY, [store], tmp_path / "parts", resume=True, **given)
    one, other = (read_tensors(file) for file in (whole, parts))
    assert digest_of(one[0], {}) == digest_of(other[0], {})
    assert one[1]["cutouts"] == Cutouts.find(folders[0], Photographs.find(folders[1])).digest


def test_stills_alone_teach_where_an_object_is(cutouts: Cutouts) -> None:
    config = replace(TINY, stills=16, learning_rate=0.01)
    batches, unseen = (StillBatches(cutouts, config)[0], StillBatches(cutouts, config)[1])
    torch.manual_seed(0)
    net = TouchEncoder(config.touch)
    optimiser = torch.optim.AdamW(net.parameters(), lr=0.01)
    before = float(found_loss(objectness(net, unseen, config), unseen).detach())
    for _ in range(30):
        optimiser.zero_grad()
        found_loss(objectness(net, batches, config), batches).backward()
        optimiser.step()
    after = float(found_loss(objectness(net, unseen, config), unseen).detach())
    assert after < 0.3 * before


def test_equal_files_are_one_cut_out(tmp_path: Path, green: Photographs) -> None:
    for k in range(HELD_OUT):
        disc(40, (200, 10, 10)).save(tmp_path / f"{k}.png")
    with pytest.raises(InputError, match="holds 1 different"):
        Cutouts.find(tmp_path, green)


def test_a_large_cut_out_is_shrunk_without_what_lies_under_its_transparent_parts(
    tmp_path: Path, green: Photographs
) -> None:
    for k in range(HELD_OUT):
        cutout = np.array(disc(700 + k, (200, 10, 10)))
        cutout[cutout[..., 3] == 0] = (0, 0, 255, 0)
        Image.fromarray(cutout).save(tmp_path / f"{k}.png")
    (*_, one) = Cutouts.find(tmp_path, green).pictures
    assert one.shape == (KEPT_SIDE, KEPT_SIDE, 4)
    edge = one[(one[..., 3] > 8) & (one[..., 3] < 250)]
    assert len(edge) > 100 and (edge[:, 2] < 20).all()


def test_stills_and_cut_outs_come_together_or_not_at_all(
    store: Path, folders: tuple[Path, Path], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="--cutouts FOLDER"):
        train_fields(TINY, [store], tmp_path / "run", quiet=True)
    with pytest.raises(InputError, match="stills=4"):
        train_fields(replace(TINY, stills=0), [store], tmp_path / "run", cutouts=folders[0], quiet=True)
    with pytest.raises(InputError, match="leave --backgrounds away"):
        train_fields(replace(TINY, stills=0), [store], tmp_path / "run", photographs=folders[1], quiet=True)
    with pytest.raises(InputError, match="set stills to 0"):
        replace(FIELD_PRESETS["time64"], stills=4)


def test_a_run_that_starts_from_one_with_cut_outs_remembers_them(
    store: Path, folders: tuple[Path, Path], tmp_path: Path
) -> None:
    many = replace(TINY, stills=100, steps=1, sample_every=1)  # more than are scored
    first = train_fields(many, [store], tmp_path / "first", cutouts=folders[0], photographs=folders[1], quiet=True)
    digest = read_tensors(first)[1]["cutouts"]
    second = train_fields(replace(TINY, stills=0, steps=1), [store], tmp_path / "second", init=first, quiet=True)
    assert digest and read_tensors(second)[1]["cutouts"] == digest
