"""A run that can be left alone overnight: repeatable to the bit, stoppable at any step, and never worse for an accident."""

import os
import shlex
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from programs import run as finished
from small_runs import FULL, command, metrics, signalled

from poke2vid.files import read_tensors
from poke2vid.model.files import checkpoints_of, load_model
from poke2vid.train import checkpoint, loop
from poke2vid.train.config import TrainConfig
from poke2vid.train.trainer import require_finite
from poke2vid.types import InputError


def train(store_path: Path, run: Path, config: TrainConfig = FULL, **kwargs: object) -> Path:
    return loop.train(config, store_path, run, workers=0, quiet=True, **kwargs)


@pytest.fixture(scope="module")
def whole(store_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of both stages with both critics that nothing disturbed."""
    run = tmp_path_factory.mktemp("whole") / "run"
    train(store_path, run)
    return run


def last(run: Path) -> Path:
    return checkpoint.path_of(run, FULL.num_steps)


# To the bit


def test_two_runs_with_one_seed_write_the_same_bytes(whole: Path, store_path: Path, tmp_path: Path) -> None:
    train(store_path, tmp_path / "again")
    assert last(tmp_path / "again").read_bytes() == last(whole).read_bytes()
    assert metrics(tmp_path / "again") == metrics(whole)


def test_another_seed_writes_others(whole: Path, store_path: Path, tmp_path: Path) -> None:
    train(store_path, tmp_path / "other", replace(FULL, seed=1), max_minutes=0)
    assert metrics(tmp_path / "other")[0] != metrics(whole)[0]


def test_a_checkpoint_holds_both_sides_of_the_game_and_their_optimisers(whole: Path) -> None:
    tensors, about = read_tensors(last(whole))
    assert {name.split("/")[0] for name in tensors} == {"model", "critics", "optimiser", "critic-optimiser"}
    assert about["step"] == FULL.num_steps and about["train"]["critics"]["start"] == 2
    steps = {float(t) for name, t in tensors.items() if name.endswith("/step")}
    assert steps == {8.0, 6.0}  # ADAM counts stage 2 for the generator, six steps of it for D_T, two and six for D_S
    assert "critics/clip_critic.last.weight" in tensors


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.thorough)])
def test_train_2k_is_train_k_a_signal_and_resume(whole: Path, store_path: Path, tmp_path: Path, number: int) -> None:
    run = tmp_path / "run"
    arguments = [
        *command(FULL, store_path, run),
        "--workers",
        "1",
    ]  # which is told too, as by a terminal or batch system
    code, errors = signalled(arguments, run, 3, number, all_of_it=True)
    assert code == 130, errors
    assert "Traceback" not in errors and "--resume" in errors
    stopped = len(metrics(run))
    assert 3 <= stopped < FULL.num_steps and checkpoint.newest(run) == checkpoint.path_of(run, stopped)
    resumed = finished(*arguments, "--resume")
    assert resumed.returncode == 0, resumed.stderr
    assert last(run).read_bytes() == last(whole).read_bytes()
    assert metrics(run) == metrics(whole)


def test_a_run_may_be_stopped_after_every_single_step(whole: Path, store_path: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    train(store_path, run, max_minutes=0)
    while checkpoint.newest(run) != last(run):
        train(store_path, run, resume=True, max_minutes=0)
    assert last(run).read_bytes() == last(whole).read_bytes()


# Never worse for an accident


def test_a_clip_that_holds_nan_stops_the_run_naming_the_video_and_keeping_the_last_good_checkpoint(
    store_path: Path, tmp_path: Path
) -> None:
    damaged = tmp_path / "store"
    shutil.copytree(store_path, damaged)
    run = tmp_path / "run"
    train(damaged, run, max_minutes=0)  # saved after its first step
    good = checkpoint.newest(run)
    assert good is not None
    before = good.read_bytes()
    for file in damaged.glob("videos/*/flow_2.f16"):  # the waypoints: pokes are still drawn from the flow at lag 4
        values = np.fromfile(file, np.float16)
        values[::7] = np.nan
        values.tofile(file)
    with pytest.raises(
        InputError, match=r"the video square\d of the store holds numbers that are not finite in frames"
    ):
        train(damaged, run, resume=True)
    assert checkpoint.newest(run) == good and good.read_bytes() == before
    assert all(np.isfinite(v) for line in metrics(run) for v in line.values())


def test_a_loss_that_is_not_finite_is_named_with_its_step() -> None:
    terms = {"flow": torch.tensor(float("nan")), "poke": torch.tensor(1.0)}
    with pytest.raises(InputError, match=r"the loss term flow is not finite at step 2; the last checkpoint is good"):
        require_finite(terms, 1)


@pytest.mark.parametrize("harm", ["cut short", "one bit flipped", "empty"])
def test_a_damaged_checkpoint_is_refused_and_the_one_before_it_offered(
    store_path: Path, tmp_path: Path, harm: str
) -> None:
    run = tmp_path / "run"
    for resume in (False, True):
        train(store_path, run, max_minutes=0, resume=resume)
    older, newest = checkpoints_of(run)
    intact = newest.read_bytes()
    middle = len(intact) // 2
    flipped = intact[:middle] + bytes([intact[middle] ^ 8]) + intact[middle + 1 :]
    newest.write_bytes({"cut short": intact[:middle], "one bit flipped": flipped, "empty": b""}[harm])
    with pytest.raises(InputError, match=rf"(damaged|cut short).*delete it to go on from {older.name}"):
        train(store_path, run, resume=True)
    with pytest.raises(InputError):
        load_model(run)
    newest.unlink()
    train(store_path, run, resume=True, max_minutes=0)
    assert newest.read_bytes() == intact  # the step is made again, to the bit


def in_a_shell(command: list[str]) -> str:
    return shlex.join([sys.executable, "-m", *command])


def own_mount(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs a script where a file system of its own may be mounted; the caller skips where the machine forbids that."""
    return subprocess.run(
        ["unshare", "--mount", "--map-root-user", "sh", "-ec", script], cwd=folder, capture_output=True, text=True,
        timeout=280, check=False,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.thorough
@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs unshare (util-linux) to mount a small disk")
def test_a_full_disk_stops_the_run_with_one_sentence_and_with_space_it_goes_on(
    whole: Path, store_path: Path, tmp_path: Path
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if own_mount("mount -t tmpfs -o size=1m tmpfs disk", tmp_path).returncode:
        pytest.skip("this machine lets nobody mount a file system, so its disk cannot be made small")
    size = last(whole).stat().st_size
    room = int(2.5 * size)  # not enough for three checkpoints and what is logged
    arguments = in_a_shell(command(FULL, store_path, disk / "run"))
    done = own_mount(
        f"""
        mount -t tmpfs -o size={room} tmpfs disk
        {arguments} 2> errors && exit 9
        echo $? > code
        ls disk/run/checkpoints > left
        mount -o remount,size={20 * size} disk
        {arguments} --resume
        cp -r disk/run after
        """,
        tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "code").read_text().strip() == "2"
    sentence = (tmp_path / "errors").read_text()
    assert "Traceback" not in sentence
    assert "the disk is full; free some space" in sentence.splitlines()[-1]
    left = (tmp_path / "left").read_text().split()
    assert left and last(whole).name not in left and all(name.startswith("step-") for name in left)
    assert last(tmp_path / "after").read_bytes() == last(whole).read_bytes()


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs unshare (util-linux) to mount a small disk")
def test_a_disk_that_fills_up_between_checkpoints_is_one_sentence_too(store_path: Path, tmp_path: Path) -> None:
    """The log is what fails first, and fails again when it is closed; TensorBoard writes from a thread of its own."""
    (tmp_path / "disk").mkdir()
    if own_mount("mount -t tmpfs -o size=1m tmpfs disk", tmp_path).returncode:
        pytest.skip("this machine lets nobody mount a file system, so its disk cannot be made small")
    config = replace(FULL, stage_2_steps=200, checkpoint_every=1000, sample_every=1000)
    arguments = in_a_shell(command(config, store_path, tmp_path / "disk" / "run"))
    done = own_mount(
        f"""
        mount -t tmpfs -o size=64k tmpfs disk
        head -c 40000 /dev/zero > disk/filler
        {arguments} 2> errors && exit 9
        echo $? > code
        """,
        tmp_path,
    )
    assert done.returncode == 0, done.stderr
    sentence = (tmp_path / "errors").read_text()
    assert (tmp_path / "code").read_text().strip() == "2", sentence
    assert "Traceback" not in sentence and "Exception in thread" not in sentence
    assert sentence.count("the disk is full") == 1 and "go on with --resume" in sentence.splitlines()[-1]


def test_a_run_goes_on_with_another_learning_rate_and_nothing_else_changed(store_path: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    train(store_path, run, max_minutes=0)
    slower = replace(FULL, learning_rate=1e-5, clip_gradient=0.5, critics=replace(FULL.critics, learning_rate=1e-5))
    train(store_path, run, slower, resume=True, max_minutes=0)
    newest = checkpoint.newest(run)
    assert newest == checkpoint.path_of(run, 2)
    assert read_tensors(newest)[1]["train"]["learning_rate"] == 1e-5
    with pytest.raises(InputError, match="Only learning rates and clip_gradient may change"):
        train(store_path, run, replace(slower, batch=2), resume=True)


def test_a_signal_in_the_very_last_step_is_a_finished_run(store_path: Path, tmp_path: Path) -> None:
    """A run that is complete has nothing to go on with, so it does not ask for it."""
    config = replace(FULL, stage_1_steps=0, stage_2_steps=1)
    before = signal.getsignal(signal.SIGTERM)
    trained = loop.Trainer.advance

    def told(self: loop.Trainer, *args: object, **kwargs: object) -> dict[str, float]:
        os.kill(os.getpid(), signal.SIGTERM)
        return trained(self, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop.Trainer, "advance", told)
        assert train(store_path, tmp_path / "run", config) == checkpoint.path_of(tmp_path / "run", 1)
        with pytest.raises(loop.Interrupted):
            train(store_path, tmp_path / "longer", replace(config, stage_2_steps=2))
    assert signal.getsignal(signal.SIGTERM) == before
