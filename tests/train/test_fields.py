"""E_phi learns from pokes with known causes: batches that stay true, steps that learn, runs that stop and go on."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from poked_discs import SIDE, write_discs
from torch import nn

from poke2vid.data.poke_store import PokeStore, verify_pokes
from poke2vid.files import digest_of, read_tensors
from poke2vid.model.files import PAPER_BASE, load_player, save_touch_video
from poke2vid.model.response import respond
from poke2vid.model.touch_encoder import TouchConfig, TouchEncoder
from poke2vid.model.touch_video import TouchVideo
from poke2vid.train import precision
from poke2vid.train.field_config import FieldConfig, LooksConfig
from poke2vid.train.field_data import FieldBatch, FieldBatches, joined, read_pokes, varied
from poke2vid.train.field_loop import train_fields
from poke2vid.train.field_trainer import FieldTrainer, field_terms, predict, scores
from poke2vid.train.muon import Muon, orthogonal
from poke2vid.train.precision import faster
from poke2vid.train.presets import FIELD_PRESETS
from poke2vid.train.settings import override, read
from poke2vid.types import InputError

TINY = FieldConfig(
    touch=TouchConfig(seeing=(8, 16, 16, 16), touching=(8, 16, 16, 16), compared=(8, 8)),
    steps=6, scenes=3, pokes=3, warmup=2, sample_every=3, checkpoint_every=2, looks=None,
)  # fmt: skip
QUIET = LooksConfig(
    flip=0, moved=0, rotation=0, scale=0, translation=0, brightness=0, contrast=0, saturation=0, channels=0, noise=0, blur=0,
    jpeg=0,
)  # fmt: skip


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_discs(tmp_path_factory.mktemp("discs") / "store").path


@pytest.fixture
def store(path: Path) -> PokeStore:
    return PokeStore.open(path)


@pytest.fixture
def one(store: PokeStore) -> FieldBatch:
    return read_pokes(store.shards[-1], 0, np.arange(3), 64)


# Batches


def test_the_store_of_discs_is_a_store(path: Path) -> None:
    assert verify_pokes(path) == []


def test_a_pull_is_read_in_pixels_of_the_field(one: FieldBatch, store: PokeStore) -> None:
    shard = store.shards[-1]
    assert torch.allclose(one.p[:, 0], torch.from_numpy(np.array(shard.array("shift")[:3, 0])) * 64 / SIDE)
    x, y = one.at[0, 0].round().long().tolist()
    assert one.parts[0, y, x] > 0 and torch.allclose(one.flow[0, :, y, x], one.p[0, 0], atol=2e-2)
    assert one.given.tolist() == [[True, False]] * 3
    assert one.flow[:, :, one.parts[0] == 0].abs().max() == 0


@pytest.mark.parametrize("kind", ["flip", "moved"])
def test_a_varied_picture_keeps_its_pokes_true(one: FieldBatch, kind: str) -> None:
    """The touched pixel is still of the disc, its field is still the shift, and lengths change with the size alone."""
    looks = replace(QUIET, **({"flip": 1.0} if kind == "flip" else {"moved": 1.0, "rotation": 30.0, "scale": 0.3}))
    other = varied(one, looks, torch.Generator().manual_seed(3))
    assert not torch.equal(other.x_0, one.x_0)
    turned = other.p[:, 0] - one.p[:, 0]
    assert turned.abs().max() > 0.1
    ratio = other.p.norm(dim=-1)[:, 0] / one.p.norm(dim=-1)[:, 0]
    assert torch.allclose(ratio, ratio[:1].expand(3), atol=1e-4)
    for k in range(3):
        x, y = other.at[k, 0].round().long().tolist()
        assert other.parts[0, y, x] > 0
        assert torch.allclose(other.flow[k, :, y, x], other.p[k, 0], atol=0.05)
        assert other.x_0[0, :, y, x].mean() > one.x_0[0, :, 0, 0].mean() + 0.3, "the picture shows the disc there"


def test_a_touch_that_leaves_the_picture_counts_for_nothing(one: FieldBatch) -> None:
    looks = replace(QUIET, moved=1.0, translation=2.0)
    weights = [varied(one, looks, torch.Generator().manual_seed(seed)).weight.sum().item() for seed in range(8)]
    assert min(weights) == 0


def test_light_and_camera_change_the_picture_and_nothing_else(one: FieldBatch) -> None:
    looks = replace(QUIET, brightness=0.3, contrast=0.3, saturation=0.5, channels=1.0, noise=0.1, blur=1.0, jpeg=1.0)
    other = varied(one, looks, torch.Generator().manual_seed(0))
    assert not torch.equal(other.x_0, one.x_0) and other.x_0.abs().max() <= 1
    for name in ("parts", "at", "p", "flow", "weight"):
        assert torch.equal(getattr(other, name), getattr(one, name))


def test_a_batch_is_a_function_of_its_step(store: PokeStore) -> None:
    config = replace(TINY, looks=LooksConfig())
    one, other = (FieldBatches(store.shards, config) for _ in range(2))
    again = other[7]
    for name in ("x_0", "at", "p", "flow", "weight", "owner"):
        assert torch.equal(getattr(one[7], name), getattr(again, name))
    assert not torch.equal(one[8].at, again.at)
    assert one[7].owner.tolist() == [0] * 3 + [1] * 3 + [2] * 3


def test_stores_that_do_not_fit_are_refused(store: PokeStore) -> None:
    with pytest.raises(InputError, match="64 pixels and the model takes 128"):
        FieldBatches(store.shards, replace(TINY, touch=replace(TINY.touch, resolution=128)))
    with pytest.raises(InputError, match="no scene of the test split"):
        FieldBatches(store.split("train"), TINY, split="test")


# Steps


@pytest.mark.slow
def test_it_learns_what_a_disc_does(store: PokeStore) -> None:
    """Far from the touch the error falls well below a still picture's, on discs it has not seen."""
    config = replace(TINY, steps=150, scenes=4, warmup=10)
    batches, trainer = FieldBatches(store.shards, config), FieldTrainer(config)
    unseen = FieldBatches(store.shards, config, split="test").every(1)
    before = scores(trainer.mean, unseen, config)
    assert before.near == pytest.approx(1) and before.background == 0
    for step in range(config.steps):
        trainer.advance(batches[step])
    after = scores(trainer.mean, unseen, config)
    assert after.near < 0.6 and after.touched < before.touched / 2 and after.background < 0.5 and after.mask > 0.5


def test_single_and_double_touches_come_out_in_their_order(store: PokeStore) -> None:
    """One network call for all touches of a batch is the same as one a poke."""
    torch.manual_seed(0)
    net = TouchEncoder(TINY.touch)
    nn.init.normal_(net.head.weight, std=0.1)
    batch = joined([read_pokes(store.shards[-1], n, np.arange(3), 64) for n in range(2)])
    at, p, given = batch.at.clone(), batch.p.clone(), batch.given.clone()
    at[1, 1], p[1, 1], given[1, 1] = torch.tensor([30.0, 20.0]), torch.tensor([1.0, 2.0]), True
    batch = replace(batch, at=at, p=p, given=given)
    with torch.no_grad():
        said = predict(net, batch, TINY)
        u, features = said.u, said.features
        assert said.single.tolist() == [0, 2, 3, 4, 5] and said.along.shape == (5, 1, 16, 16)
        for k in range(6):
            t = 2 if k == 1 else 1
            own = features.repeated(batch.owner[k : k + 1].repeat(t))
            maps = net(own.levels, at[k, :t]).influence[None]
            alone = respond(maps, own.mask[:1], at[k : k + 1, :t], p[k : k + 1, :t], given[k : k + 1, :t])
            assert torch.allclose(u[k], alone[0], atol=1e-3, rtol=1e-3)


def test_the_terms_of_a_still_prediction_are_known_by_hand(one: FieldBatch) -> None:
    said = predict(TouchEncoder(TINY.touch), one, TINY)
    terms = field_terms(replace(said, u=torch.zeros_like(one.flow)), one, TINY)
    d = one.p.norm(dim=-1)[:, 0]
    expected = ((d.square() + TINY.softness**2).sqrt() - TINY.softness) / d.clamp_min(1)
    assert terms["object"].item() == pytest.approx(expected.mean().item(), rel=0.01)
    assert terms["background"] == 0
    exact = field_terms(replace(said, u=one.flow), one, TINY)
    assert exact["object"].item() == pytest.approx(0, abs=1e-6)


def test_what_moves_along_is_scored_cell_by_cell_of_the_object(one: FieldBatch) -> None:
    """All of a disc goes as far as the touched point: to say so costs nothing, wherever there is no disc anything does."""
    said = predict(TouchEncoder(TINY.touch), one, TINY)
    disc = nn.functional.max_pool2d((one.parts > 0).float()[:, None], 4).expand(3, -1, -1, -1)
    right = field_terms(replace(said, along=60 * disc - 30), one, TINY)["along"].item()
    wrong = field_terms(replace(said, along=30 - 60 * disc), one, TINY)["along"].item()
    other = field_terms(replace(said, along=60 * disc - 30 + 50 * (1 - disc)), one, TINY)["along"].item()
    assert right < 1 < 10 < wrong and other == pytest.approx(right)


# Muon and precision


@pytest.mark.parametrize("shape", [(6, 20), (20, 6), (8, 8)])
def test_an_orthogonal_update_moves_every_direction_alike(shape: tuple[int, int]) -> None:
    matrix = torch.randn(*shape, generator=torch.Generator().manual_seed(0)) @ torch.diag(
        torch.logspace(-1, 0, shape[1])
    )
    values = torch.linalg.svdvals(orthogonal(matrix))
    assert values.min() > 0.4 and values.max() < 1.3
    assert orthogonal(torch.zeros(*shape)).abs().max() == 0
    turned = orthogonal(-matrix)
    assert torch.allclose(turned, -orthogonal(matrix), atol=1e-5)


def test_muon_goes_down_a_badly_scaled_valley() -> None:
    torch.manual_seed(0)
    weight = nn.Parameter(torch.zeros(4, 4))
    target, scale = torch.randn(4, 4), torch.diag(torch.tensor([10.0, 1.0, 0.3, 0.1]))
    optimiser = Muon([weight], rate=0.05, decay=0.0)
    for _ in range(400):
        optimiser.zero_grad()
        (scale @ (weight - target)).square().sum().backward()
        optimiser.step()
    assert (weight - target).abs().max() < 0.3


def test_precision_is_what_was_asked_for_or_the_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    assert faster("bf16", lambda precision: pytest.fail("nothing is timed")) == "bf16"
    spent, clock = {"fp32": 0.004, "bf16": 0.001}, [0.0]  # a clock that only steps move
    monkeypatch.setattr(precision, "time", SimpleNamespace(perf_counter=lambda: clock[0]))

    def step(name: str) -> Callable[[], None]:
        return lambda: clock.__setitem__(0, clock[0] + spent[name])

    assert faster("auto", step) == "bf16"
    spent["bf16"] = 0.01
    assert faster("auto", step) == "fp32"
    with pytest.raises(InputError, match="fp32, bf16 or auto"):
        faster("fp8", step)


# Runs


def test_a_run_that_was_stopped_goes_on_bit_for_bit(path: Path, tmp_path: Path) -> None:
    whole = train_fields(TINY, [path], tmp_path / "whole", quiet=True)
    train_fields(TINY, [path], tmp_path / "parts", max_minutes=0, quiet=True)
    assert len(list((tmp_path / "parts" / "checkpoints").iterdir())) == 1
    parts = train_fields(TINY, [path], tmp_path / "parts", resume=True, quiet=True)
    one, other = (read_tensors(file)[0] for file in (whole, parts))
    assert digest_of(one, {}) == digest_of(other, {})
    steps = [json.loads(line)["step"] for line in (tmp_path / "parts" / "metrics.jsonl").read_text().splitlines()]
    assert steps == list(range(1, 7))
    assert (tmp_path / "whole" / "samples").is_dir() and "discs" in (tmp_path / "whole" / "scores.jsonl").read_text()


def test_a_run_is_a_model_that_can_be_poked(path: Path, tmp_path: Path) -> None:
    train_fields(TINY, [path], tmp_path / "run", quiet=True)
    loaded = load_player(tmp_path / "run")
    assert loaded.about["step"] == 6 and loaded.model.resolution == 64
    kept = read_tensors(next((tmp_path / "run" / "checkpoints").glob("*06.safetensors")))[0]
    assert isinstance(loaded.model, TouchVideo)
    for name, tensor in loaded.model.touch_encoder.state_dict().items():
        assert torch.equal(tensor, kept[f"touch/{name}"]), "the running mean, not the last weights"


def test_a_smaller_picture_starts_from_what_the_larger_ones_network_sees_of_it() -> None:
    large = FieldTrainer(replace(TINY, touch=replace(TINY.touch, resolution=128)))
    small = FieldTrainer(TINY)
    assert small.begin_from(large.net.state_dict()) == []
    first = "down.0.0.weight"
    assert torch.equal(small.net.state_dict()[first], large.net.state_dict()[first][:, :3])


def test_a_larger_picture_starts_from_the_smaller_ones_network(path: Path, tmp_path: Path) -> None:
    train_fields(TINY, [path], tmp_path / "run", quiet=True)
    config = replace(TINY, touch=replace(TINY.touch, resolution=128))
    trainer = FieldTrainer(config)
    start = load_player(tmp_path / "run").model
    assert isinstance(start, TouchVideo)
    net = start.touch_encoder
    fresh = trainer.begin_from(net.state_dict())
    assert fresh and all(name.startswith("stem.") for name in fresh)
    x = torch.rand(1, 3, 64, 64) * 2 - 1
    large = x.repeat_interleave(2, 2).repeat_interleave(2, 3)
    at = torch.tensor([[30.0, 30.0]])
    small = net(net.encode(x).levels, at).influence
    enlarged = trainer.mean(trainer.mean.encode(large).levels, at).influence
    assert torch.allclose(enlarged, small, atol=1e-3), "the stem starts without a say"


def test_a_run_starts_from_a_model_or_a_run_and_remembers_which(path: Path, tmp_path: Path) -> None:
    train_fields(TINY, [path], tmp_path / "run", quiet=True)
    trained = load_player(tmp_path / "run").model
    assert isinstance(trained, TouchVideo)
    save_touch_video(tmp_path / "model.safetensors", trained, {})
    for n, init in enumerate((tmp_path / "run", tmp_path / "model.safetensors")):
        one = replace(TINY, steps=1, learning_rate=1e-9, matrix_rate=1e-9)
        last = train_fields(one, [path], tmp_path / f"on{n}", init=init, quiet=True)
        weight = read_tensors(last)[0]["touch/head.weight"]
        assert torch.allclose(weight, trained.touch_encoder.head.weight, atol=1e-3)
        assert len(read_tensors(last)[1]["init"]) == 64
    with pytest.raises(InputError, match="paper's form"):
        train_fields(TINY, [path], tmp_path / "other", init=PAPER_BASE, quiet=True)


def test_runs_that_do_not_fit_are_refused(path: Path, tmp_path: Path) -> None:
    train_fields(TINY, [path], tmp_path / "run", quiet=True)
    with pytest.raises(InputError, match="already holds a run"):
        train_fields(TINY, [path], tmp_path / "run", quiet=True)
    with pytest.raises(InputError, match="is complete"):
        train_fields(TINY, [path], tmp_path / "run", resume=True, quiet=True)
    with pytest.raises(InputError, match="other settings"):
        train_fields(replace(TINY, seed=1), [path], tmp_path / "run", resume=True, quiet=True)
    with pytest.raises(InputError, match="begun with --precision fp32"):
        train_fields(TINY, [path], tmp_path / "run", resume=True, precision="bf16", quiet=True)
    with pytest.raises(InputError, match="no time"):
        train_fields(TINY, [path], tmp_path / "none", max_minutes=-3, quiet=True)
    with pytest.raises(InputError, match="no checkpoint to resume"):
        train_fields(TINY, [path], tmp_path / "none", resume=True, quiet=True)


def test_a_longer_run_may_be_asked_for_on_the_way(path: Path, tmp_path: Path) -> None:
    train_fields(TINY, [path], tmp_path / "run", quiet=True)
    last = train_fields(replace(TINY, steps=8, learning_rate=1e-3), [path], tmp_path / "run", resume=True, quiet=True)
    assert last.name == "step-00000008.safetensors"


def test_a_loss_that_is_no_number_stops_before_a_weight_has_it(store: PokeStore) -> None:
    trainer = FieldTrainer(TINY)
    batch = FieldBatches(store.shards, TINY)[0]
    broken = replace(batch, flow=batch.flow * math.nan)
    with pytest.raises(InputError, match="object"):
        trainer.advance(broken)
    assert all(bool(p.isfinite().all()) for p in trainer.net.parameters())


@pytest.mark.parametrize("name", FIELD_PRESETS)
def test_presets_come_back_from_json_and_take_overrides(name: str) -> None:
    from dataclasses import asdict

    preset = FIELD_PRESETS[name]
    assert read(FieldConfig, json.loads(json.dumps(asdict(preset)))) == preset
    assert override(preset, ["touch.stem=16", "steps=9", "looks.jpeg=0"]).touch.stem == 16
    with pytest.raises(InputError, match="stemm"):
        override(preset, ["touch.stemm=16"])


@pytest.mark.parametrize(
    "wrong", [{"steps": 0}, {"pokes": 0}, {"average": 1.0}, {"learning_rate": 2.0}, {"softness": 0.0}, {"mask": -1.0}]
)
def test_settings_that_cannot_be_are_refused(wrong: dict) -> None:
    with pytest.raises(InputError):
        replace(TINY, **wrong)


def test_the_pace_warms_up_and_falls_along_a_cosine() -> None:
    config = replace(TINY, steps=1000, warmup=100, decay=0.1)
    assert config.pace(0) == pytest.approx(0.01, rel=0.01)
    assert config.pace(99) > 0.95 and config.pace(500) == pytest.approx(0.55, abs=0.01)
    assert config.pace(999) == pytest.approx(0.1, abs=0.01)
