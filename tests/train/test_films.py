"""Films of pokes: how they are read, and what is learnt of time from them."""

import json
import math
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from poked_discs import ARRIVE, DAMPING, FILM_FRAMES, HERTZ, RELEASE, swing, write_discs

from poke2vid.data.poke_store import PokeStore, verify_pokes
from poke2vid.files import read_tensors
from poke2vid.model.swing import LAW, STAYS, law_of
from poke2vid.model.touch_encoder import TouchConfig, TouchEncoder
from poke2vid.train.field_config import FieldConfig, LooksConfig
from poke2vid.train.field_loop import train_fields
from poke2vid.train.field_trainer import FieldTrainer
from poke2vid.train.film_data import FilmBatch, FilmBatches
from poke2vid.train.swing_loss import Swung, let_go, means_apart, pushed_path, rolled, swing_loss, swing_scores
from poke2vid.train.swing_loss import swing as played
from poke2vid.types import InputError

TINY = FieldConfig(
    touch=TouchConfig(seeing=(8, 16, 16, 16), touching=(8, 16, 16, 16), compared=(8, 8), swing=8, stays=True), films=3,
    steps=4, scenes=2, pokes=2, warmup=2, sample_every=4, checkpoint_every=2, looks=None,
)  # fmt: skip


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> PokeStore:
    return write_discs(tmp_path_factory.mktemp("filmed") / "store", scenes=6, filmed=True)


@pytest.fixture(scope="module")
def batch(store: PokeStore) -> FilmBatch:
    return FilmBatches(store.shards, TINY, split="test").every()[0]


# Batches


def test_films_are_read_with_their_moments_and_causes(store: PokeStore, batch: FilmBatch) -> None:
    assert verify_pokes(store.path) == []
    assert len(FilmBatches(store.shards, TINY)) == 12 and len(batch.x_0) == 6
    pulls, pushes = batch.release > 0, batch.release == 0
    assert int(pulls.sum()) == 3 and set(batch.release[pulls].tolist()) == {RELEASE}
    assert set(batch.arrive[pulls].tolist()) == {ARRIVE} and set(batch.arrive[pushes].tolist()) == {0}
    assert set(batch.frames.tolist()) == {FILM_FRAMES}
    assert batch.hertz.tolist() == pytest.approx([HERTZ] * 6) and batch.damping.tolist() == pytest.approx([DAMPING] * 6)
    inside = batch.parts[0] > 0
    middle = batch.u[0, :, :, inside].mean(dim=-1)
    expected = torch.from_numpy(swing(pushed=False)[1:])[:, None].float() * batch.p[0]
    assert torch.allclose(middle, expected, atol=0.02)


def test_a_batch_is_drawn_by_seed_and_step_and_flips_as_fields_do(store: PokeStore) -> None:
    films = FilmBatches(store.shards, TINY)
    assert torch.equal(films[3].u, films[3].u) and not torch.equal(films[3].at, films[4].at)
    looks = LooksConfig(flip=1.0, moved=0.0, channels=0.0, noise=0.0, blur=0.0, jpeg=0.0)
    flipped = FilmBatches(store.shards, replace(TINY, looks=looks))[3]
    assert torch.allclose(flipped.p, films[3].p * torch.tensor([-1.0, 1.0]))
    assert torch.allclose(flipped.u, films[3].u.flip(-1) * torch.tensor([-1.0, 1.0])[:, None, None], atol=1e-5)


def test_a_film_that_ends_sooner_is_no_film_of_a_thing_that_stops(store: PokeStore, tmp_path: Path) -> None:
    """Frames that there are not are neither held nor free."""
    batch = FilmBatches(store.shards, TINY, split="test").every()[0]
    cut = replace(batch, frames=torch.full_like(batch.frames, 20))
    trainer = FieldTrainer(TINY)
    said = played(trainer.net, batch, TINY)
    wrong = replace(said, told=said.told.clone(), untold=said.untold.clone())
    wrong.told[:, 24:] += 5
    assert swing_loss(said, cut, TINY).item() == pytest.approx(swing_loss(wrong, cut, TINY).item(), rel=1e-4)
    assert swing_loss(wrong, batch, TINY) > swing_loss(said, batch, TINY) + 0.05


# Laws


def test_under_its_own_law_a_thing_that_is_let_go_of_or_pushed_moves_as_it_did(batch: FilmBatch) -> None:
    maps = torch.zeros(6, LAW, 32, 32)
    maps[:, 0], maps[:, 1] = 20, -20  # what is held is where the hand is
    law = law_of(maps, batch.hertz, batch.damping, torch.ones(6, dtype=torch.bool))
    true = batch.u[..., ::2, ::2]
    inside = (batch.parts[:, None, ::2, ::2] > 0).float()
    comes_back = torch.zeros(6, 2, 32, 32)
    found = rolled(law, comes_back, true, batch.p[:, :, None, None] * inside, batch)
    error = (found - true).norm(dim=2)[:, :, None] * inside[:, None]
    assert error[:, :ARRIVE].max() < 0.05, "the hand's own path"
    assert error.max() < 0.35 * batch.p.norm(dim=-1).max(), "a damped cosine in steps of a frame"
    wrong = law_of(maps, batch.hertz / 2, batch.damping, torch.ones(6, dtype=torch.bool))
    other = rolled(wrong, comes_back, true, batch.p[:, :, None, None] * inside, batch)
    assert ((other - true).norm(dim=2)[:, :, None] * inside[:, None]).mean() > 4 * error.mean()


def test_curves_are_shares_of_what_was_held_and_of_the_peak(batch: FilmBatch) -> None:
    inside = (batch.parts[:, None, ::2, ::2] > 0).float()
    pull, push = int((batch.release > 0).nonzero()[0]), int((batch.release == 0).nonzero()[0])
    curve = let_go(batch.u[pull, ..., ::2, ::2], inside[pull], RELEASE)
    share = swing(pushed=False)[[RELEASE + frames for frames in range(2, 25, 2)]]
    assert curve[0].tolist() == pytest.approx(share.tolist(), abs=0.01)
    assert curve[1].tolist() == pytest.approx(np.abs(share).tolist(), abs=0.01)
    path = pushed_path(batch.u[push, ..., ::2, ::2], batch.at[push], inside[push])
    assert path.tolist() == pytest.approx(swing(pushed=True)[1:26].tolist(), abs=0.01)


# Training


@pytest.mark.slow
@pytest.mark.thorough
def test_time_is_learnt_from_films(store: PokeStore) -> None:
    """Untold, the discs' 2 Hz must be found: 1.3 Hz is where the maps begin."""
    torch.manual_seed(0)
    config = replace(TINY, steps=80, films=4, learning_rate=0.02, swing=5.0)
    trainer, films = FieldTrainer(config), FilmBatches(store.shards, config)
    from poke2vid.train.field_data import FieldBatches

    field_batches, unseen = FieldBatches(store.shards, config), FilmBatches(store.shards, config, split="test").every()
    before = swing_scores(trainer.net, unseen, config)
    for step in range(config.steps):
        values = trainer.advance(field_batches[step], films[step])
    after = swing_scores(trainer.net, unseen, config)
    assert math.isfinite(values["loss/swing"])
    assert after.free_untold < 0.7 * before.free_untold and after.held < before.held
    assert (after.pulls, after.pushes) == (3, 3)


def test_time_alone_is_learnt_on_what_else_stays_to_the_bit(store: PokeStore, tmp_path: Path) -> None:
    torch.manual_seed(0)
    first = train_fields(TINY, [store.path], tmp_path / "fields", quiet=True)
    config = replace(TINY, steps=30, films=4, learning_rate=0.02, time_alone=True, checkpoint_every=30, sample_every=30)
    last = train_fields(config, [store.path], tmp_path / "time", init=first, quiet=True, precision="auto")
    before, after = (read_tensors(file)[0] for file in (first, last))
    changed = {name for name in after if name.startswith("touch/") and not torch.equal(before[name], after[name])}
    assert changed and all(name.startswith("touch/swing.") for name in changed)
    scored = [json.loads(line) for line in (tmp_path / "time" / "scores.jsonl").read_text().splitlines()]
    early = [json.loads(line) for line in (tmp_path / "fields" / "scores.jsonl").read_text().splitlines()]
    assert scored[-1]["free_untold"] < early[-1]["free_untold"]
    with pytest.raises(InputError, match="from films"):
        replace(TINY, films=0, touch=replace(TINY.touch, swing=0), time_alone=True)


def test_a_swing_that_may_go_either_way_is_met_in_the_mean(batch: FilmBatch) -> None:
    """Half of the films stay where they were put, which nothing tells: the median of all is as good as the mean by distance."""
    pull = int((batch.release > 0).nonzero()[0])
    one = replace(batch, **{f.name: getattr(batch, f.name)[[pull, pull, pull]] for f in fields(FilmBatch)})
    release = int(one.release[0])
    true = one.u[..., ::2, ::2].clone()
    true[1:, release:] = 0
    true[:1, release:] = true[:1, release - 1 : release]
    inside = (one.parts[:, None, ::2, ::2] > 0).float()
    losses = {}
    for share in (0.0, 1 / 3, 1.0):
        u = true.clone()
        u[:, release:] = share * true[:, release - 1 : release]
        said = Swung(u, u, (u, u), true, inside, torch.ones_like(inside))
        free = (torch.arange(1, true.shape[1] + 1) > release).float().expand(3, -1)
        losses[share] = torch.stack(means_apart(u, u, said, one, free))
    assert (losses[1 / 3] < torch.minimum(losses[0.0], losses[1.0])).all()


def test_how_much_moves_as_a_whole_teaches_the_laws_and_not_what_stays(batch: FilmBatch) -> None:
    """What still swings when a film ends must not be learnt as staying there."""
    torch.manual_seed(0)
    net = TouchEncoder(TINY.touch)
    torch.nn.init.normal_(net.swing[1].weight, std=0.1)
    said = played(net, batch, TINY)
    frames = torch.arange(1, said.true.shape[1] + 1)
    free = (frames <= batch.frames[:, None]).float() - (frames <= batch.release[:, None]).float()
    _, moves = means_apart(said.told, said.lively[0], said, batch, free)
    moves.backward()
    taught = net.swing[1].weight.grad.abs().sum((1, 2, 3))
    assert taught[:LAW].sum() > 0 and (taught[STAYS] == 0).all()


def test_a_run_with_films_goes_on_bit_for_bit_and_scores_them(store: PokeStore, tmp_path: Path) -> None:
    whole = train_fields(TINY, [store.path], tmp_path / "whole", quiet=True)
    train_fields(TINY, [store.path], tmp_path / "halves", quiet=True, max_minutes=0)
    halves = train_fields(TINY, [store.path], tmp_path / "halves", quiet=True, resume=True)
    one, other = (read_tensors(file)[0] for file in (whole, halves))
    assert one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
    scored = (tmp_path / "halves" / "scores.jsonl").read_text()
    assert '"impulse"' in scored and '"curve"' in scored


def test_films_without_maps_and_maps_without_films_are_one_sentence(store: PokeStore, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="maps of time"):
        replace(TINY, touch=replace(TINY.touch, swing=0))
    plain = write_discs(tmp_path / "plain", scenes=2, test=1)
    with pytest.raises(InputError, match="--films"):
        train_fields(TINY, [plain.path], tmp_path / "run", quiet=True)
    with pytest.raises(InputError, match="swing is 3"):
        TouchConfig(swing=3)
