"""Models on disk: what was saved is what runs, and what cannot be trusted is refused in a sentence."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from poke2vid.files import read_tensors, write_tensors
from poke2vid.model import files
from poke2vid.model.config import ModelConfig
from poke2vid.model.files import MODEL_FORMAT, VERSION, describe, load_model, model_tensors, save_model
from poke2vid.model.poke_video import PokeVideo
from poke2vid.train import checkpoint
from poke2vid.train.presets import preset
from poke2vid.types import InputError

SMALL = ModelConfig(resolution=32, channels=4, decoder="motion")


def model(config: ModelConfig = SMALL, seed: int = 0) -> PokeVideo:
    """Untrained, and no parameter left at zero, so that each of them shows in what the model does."""
    torch.manual_seed(seed)
    made = PokeVideo(config).eval()
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return made


def prediction(of: PokeVideo) -> torch.Tensor:
    """Two frames after a poke."""
    generator = torch.Generator().manual_seed(0)
    side = of.resolution
    x_0 = torch.rand(1, 3, side, side, generator=generator) * 2 - 1
    poke_map = torch.randn(1, 1, 3, side, side, generator=generator)
    with torch.inference_mode():
        return of.rollout(x_0, poke_map, torch.tensor([[0, 0]])).frames


def save_checkpoint(run: Path, of: PokeVideo, step: int) -> Path:
    config = replace(preset("tiny"), model=of.config)
    tensors = {**model_tensors(of), "optimiser/0/step": torch.tensor(3.0)}  # which no model has
    return checkpoint.save(run, tensors, config, step, {"store": "abc"})


def write(path: Path, about: dict[str, Any], of: PokeVideo | None = None) -> Path:
    """A file of ours with an account of itself of our own making."""
    write_tensors(path, model_tensors(of or model()), about)
    return path


def account(**changes: Any) -> dict[str, Any]:
    return {"format": MODEL_FORMAT, "version": VERSION, "model": asdict(SMALL)} | changes


# There and back


@pytest.mark.parametrize(
    "config",
    [
        SMALL,
        replace(SMALL, decoder="rgb", poke_kind="impulse"),
        replace(SMALL, dynamics="bottleneck", poke_encoder="literal"),
        replace(SMALL, depth=1, state_range="literal"),
        ModelConfig(resolution=16, channels=3, colour="literal"),
    ],
    ids=["motion", "rgb, impulse", "bottleneck", "depth 1", "other size"],
)
def test_a_model_does_after_loading_what_it_did_before_saving(tmp_path: Path, config: ModelConfig) -> None:
    before = model(config)
    save_model(tmp_path / "a.safetensors", before, {})
    loaded = load_model(tmp_path / "a.safetensors")
    assert loaded.model.config == config
    assert not loaded.model.training
    assert torch.equal(prediction(loaded.model), prediction(before))


def test_a_model_file_says_where_the_model_comes_from(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_model(path, model(), {"step": 7, "store": "abc", "code": "0.1.0"})
    about = load_model(path).about
    assert (about["step"], about["store"], about["code"]) == (7, "abc", "0.1.0")
    assert (about["format"], about["version"]) == (MODEL_FORMAT, VERSION)
    assert load_model(path).path == path


def test_saving_twice_gives_the_same_bytes_and_other_weights_give_others(tmp_path: Path) -> None:
    paths = [tmp_path / f"{name}.safetensors" for name in "abc"]
    for path, seed in zip(paths, (0, 0, 1), strict=True):
        save_model(path, model(seed=seed), {})
    first, again, other = (path.read_bytes() for path in paths)
    assert first == again != other


# What a path can mean


def test_a_checkpoint_is_a_model_too(tmp_path: Path) -> None:
    trained = model()
    loaded = load_model(save_checkpoint(tmp_path, trained, 20))
    assert torch.equal(prediction(loaded.model), prediction(trained))
    assert loaded.about["step"] == 20


def test_a_run_folder_means_its_newest_checkpoint(tmp_path: Path) -> None:
    for step, seed in ((100_000, 1), (20, 2), (9, 3)):  # the newest is by step, not by the time of writing
        save_checkpoint(tmp_path, model(seed=seed), step)
    loaded = load_model(tmp_path)
    assert loaded.about["step"] == 100_000
    assert loaded.path == checkpoint.path_of(tmp_path, 100_000)
    assert torch.equal(prediction(loaded.model), prediction(model(seed=1)))


@pytest.mark.parametrize("inside", [None, "checkpoints", "checkpoints/notes.txt"])
def test_a_folder_without_a_checkpoint_is_refused(tmp_path: Path, inside: str | None) -> None:
    if inside is not None:
        path = tmp_path / inside
        path.mkdir(parents=True) if not path.suffix else (path.parent.mkdir(), path.touch())
    with pytest.raises(InputError, match=r"holds no checkpoint yet"):
        load_model(tmp_path)


def test_a_path_to_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there is no file .*none\.safetensors"):
        load_model(tmp_path / "none.safetensors")


def test_no_path_means_the_model_in_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "PAPER_BASE", tmp_path / "base.safetensors")
    save_model(tmp_path / "base.safetensors", model(seed=5), {})
    assert torch.equal(prediction(load_model(None).model), prediction(model(seed=5)))
    assert describe(None)[2] == tmp_path / "base.safetensors"


def test_the_shipped_base_moves_a_picture_where_it_is_poked() -> None:
    if not files.PAPER_BASE.is_file():
        pytest.skip(f"the base is not in the package yet ({files.PAPER_BASE.name})")
    loaded = load_model(None)
    assert loaded.model.resolution == 64
    frames = prediction(loaded.model)
    assert frames.shape == (1, 2, 3, 64, 64)
    assert bool(torch.isfinite(frames).all())
    assert {"format", "version", "model"} < loaded.about.keys()


# Older files


def of_version_1(path: Path) -> Path:
    """The same file as it was written when every model was the paper's architecture."""
    tensors, about = read_tensors(path)
    assert about["model"].pop("architecture") == "paper"
    write_tensors(path, tensors, about | {"version": 1})
    return path


def test_models_and_checkpoints_of_version_1_are_of_the_papers_architecture(tmp_path: Path) -> None:
    save_model(tmp_path / "a.safetensors", model(), {})
    for path in (tmp_path / "a.safetensors", save_checkpoint(tmp_path, model(), 20)):
        loaded = load_model(of_version_1(path))
        assert loaded.about["version"] == 1
        assert loaded.model.config == SMALL and SMALL.architecture == "paper"
        assert torch.equal(prediction(loaded.model), prediction(model()))
        assert describe(path)[0] == SMALL


def test_each_version_has_its_own_keys_and_no_others(tmp_path: Path) -> None:
    described = asdict(SMALL)
    unsaid = {key: value for key, value in described.items() if key != "architecture"}
    for version, description in ((1, described), (VERSION, unsaid)):
        path = write(tmp_path / "a.safetensors", account(version=version, model=description))
        with pytest.raises(InputError, match=r"differing: architecture\)"):
            load_model(path)
    path = write(tmp_path / "a.safetensors", account(version=1, model=unsaid | {"chanels": 4}))
    with pytest.raises(InputError, match=r"differing: chanels\)"):
        load_model(path)


# What is read without the weights


def test_a_model_is_described_by_its_header(tmp_path: Path) -> None:
    path = write(tmp_path / "a.safetensors", account(step=3))
    config, about, found = describe(path)
    assert (config, about["step"], found) == (SMALL, 3, path)
    path.write_bytes(path.read_bytes()[:-1] + b"\xff")  # damage in the weights
    assert describe(path)[0] == SMALL
    with pytest.raises(InputError, match="is damaged"):
        load_model(path)


# What is refused


@pytest.mark.parametrize("version", [VERSION + 1, 0, "1", None])
def test_another_format_version_is_refused_by_its_number(tmp_path: Path, version: object) -> None:
    path = write(tmp_path / "a.safetensors", account(version=version))
    with pytest.raises(InputError, match=rf"has format version {version}, this program reads 1 to {VERSION}"):
        load_model(path)


@pytest.mark.parametrize("kind", ["poke2vid-store", "", None])
def test_a_file_of_ours_that_is_no_model_is_refused(tmp_path: Path, kind: str | None) -> None:
    path = write(tmp_path / "a.safetensors", account(format=kind))
    with pytest.raises(InputError, match="is a poke2vid file but not a model"):
        load_model(path)


@pytest.mark.parametrize(
    ("description", "named"),
    [
        (asdict(SMALL) | {"chanels": 4}, "chanels"),
        (asdict(SMALL) | {"resolution": 33}, "resolution 33"),
        (asdict(SMALL) | {"channels": 0}, "channels 0"),
        (None, "model description"),
        ("motion", "model description"),
    ],
)
def test_a_description_that_is_not_understood_is_refused_by_the_key(
    tmp_path: Path, description: Any, named: str
) -> None:
    path = write(tmp_path / "a.safetensors", account(model=description))
    with pytest.raises(InputError, match=named):
        load_model(path)
    with pytest.raises(InputError, match=named):
        describe(path)


def test_a_file_without_a_description_is_refused(tmp_path: Path) -> None:
    about = account()
    del about["model"]
    with pytest.raises(InputError, match="model description"):
        load_model(write(tmp_path / "a.safetensors", about))


def test_weights_of_another_model_than_the_described_are_refused(tmp_path: Path) -> None:
    wider = write(tmp_path / "a.safetensors", account(), model(replace(SMALL, channels=8)))
    painter = write(tmp_path / "b.safetensors", account(), model(replace(SMALL, decoder="rgb")))
    for path in (wider, painter):
        with pytest.raises(InputError, match="do not fit the model"):
            load_model(path)


def test_a_missing_and_a_surplus_weight_are_refused(tmp_path: Path) -> None:
    tensors = model_tensors(model())
    name = next(iter(tensors))
    without = {k: v for k, v in tensors.items() if k != name}
    for broken in (without, tensors | {"model/spare": torch.zeros(1)}):
        write_tensors(tmp_path / "a.safetensors", broken, account())
        with pytest.raises(InputError, match="do not fit the model"):
            load_model(tmp_path / "a.safetensors")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_weights_that_are_not_finite_are_refused(tmp_path: Path, value: float) -> None:
    broken = model()
    with torch.no_grad():
        list(broken.parameters())[-1].view(-1)[-1] = value
    save_model(tmp_path / "a.safetensors", broken, {})
    with pytest.raises(InputError, match="not finite numbers"):
        load_model(tmp_path / "a.safetensors")
