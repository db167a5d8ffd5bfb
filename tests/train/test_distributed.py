"""Several processes train as one does with the same global batch."""

import json
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from programs import run as finished
from small_runs import FULL, command, in_ranks, metrics, signalled

from poke2vid.files import read_tensors
from poke2vid.losses import flow_loss, poke_loss
from poke2vid.train import checkpoint, loop
from poke2vid.train.distributed import Group, local_device
from poke2vid.train.trainer import Trainer
from poke2vid.types import InputError

# A smaller rate: ADAM's first steps divide a gradient by its own size, which makes much of a rounding difference.
CONFIG = replace(FULL, learning_rate=1e-4)


@pytest.fixture(scope="module")
def together(store_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run by two processes on the CPU (gloo), both stages and both critics."""
    run = tmp_path_factory.mktemp("together") / "run"
    done = finished(*command(CONFIG, store_path, run, processes=2))
    assert done.returncode == 0, done.stderr
    return run


@pytest.mark.slow
def test_two_processes_have_the_loss_curve_of_one_with_the_same_global_batch(
    together: Path, store_path: Path, tmp_path: Path
) -> None:
    loop.train(CONFIG, store_path, tmp_path / "alone", workers=0, quiet=True)
    alone, shared = metrics(tmp_path / "alone"), metrics(together)
    assert len(alone) == len(shared) == CONFIG.num_steps
    compared, norms = 0, []
    exact = {f"loss/{term}" for term in ("pixel", "flow", "poke", "repaint", "trajectory")}
    for one, two in zip(alone, shared, strict=True):
        assert one.keys() == two.keys()
        for name in one:
            if name == "gradient_norm":
                norms.append(abs(two[name] / one[name] - 1))
            elif not name.startswith("gradient/"):  # told by the first process about its own share
                near = 1e-5 if name in exact else 2e-3
                assert two[name] == pytest.approx(one[name], rel=near, abs=1e-6), f"step {one['step']}: {name}"
                compared += name.startswith(("loss/", "critic/"))
    # Where an absolute error is about zero, the last bit decides its gradient's sign: a single norm may be off by a little.
    assert np.median(norms) < 5e-4 and max(norms) < 1e-2
    assert compared > 80
    assert alone[0]["loss/pixel"] != pytest.approx(alone[-1]["loss/pixel"], rel=2e-3)  # the tolerance could tell


@pytest.mark.slow
def test_two_processes_end_with_the_weights_of_one(together: Path, store_path: Path, tmp_path: Path) -> None:
    run = tmp_path / "alone"
    loop.train(CONFIG, store_path, run, workers=0, quiet=True)
    one, about = read_tensors(checkpoint.path_of(run, CONFIG.num_steps))
    two, about_two = read_tensors(checkpoint.path_of(together, CONFIG.num_steps))
    assert about == about_two and one.keys() == two.keys()
    first = Trainer(CONFIG, None, torch.device("cpu")).state()
    for side in ("model/", "critics/"):
        apart, moved = (
            torch.cat([(x[n] - y[n]).flatten() for n in first if n.startswith(side)]).norm()
            for x, y in ((two, one), (one, first))
        )
        # Single weights may differ more: where a gradient is nothing but rounding, ADAM makes a full step of it.
        assert float(apart / moved) < 0.1, f"{side}: {apart} apart after moving {moved}"


@pytest.mark.slow
def test_only_the_first_process_writes_and_a_run_of_two_is_resumed_by_two(
    together: Path, store_path: Path, tmp_path: Path
) -> None:
    assert [line["step"] for line in metrics(together)] == list(range(1, CONFIG.num_steps + 1))
    run = tmp_path / "run"
    for done in in_ranks(*2 * [command(CONFIG, store_path, run, "--minutes", "0")]):
        assert done.returncode == 0, done.stderr
    assert checkpoint.newest(run) == checkpoint.path_of(run, 1)
    for done in in_ranks(*2 * [command(CONFIG, store_path, run, "--resume")]):
        assert done.returncode == 0, done.stderr
    assert metrics(run) == metrics(together)
    assert (
        checkpoint.path_of(run, CONFIG.num_steps).read_bytes()
        == checkpoint.path_of(together, CONFIG.num_steps).read_bytes()
    )


@pytest.mark.slow
def test_a_batch_that_cannot_be_shared_is_refused_with_the_remedy(store_path: Path, tmp_path: Path) -> None:
    for done in in_ranks(*2 * [command(replace(CONFIG, batch=3), store_path, tmp_path / "run")]):
        assert done.returncode == 2
        assert "a batch of 3 cannot be shared evenly by 2 processes; choose --set batch=N" in done.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
@pytest.mark.thorough
def test_a_signal_to_torchrun_saves_the_run_once(store_path: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    arguments = command(replace(CONFIG, stage_2_steps=5000), store_path, run, processes=2)
    _, errors = signalled(arguments, run, 2, signal.SIGTERM, all_of_it=False)
    assert f"stopped at step {len(metrics(run))}; go on with --resume" in errors
    assert checkpoint.newest(run) == checkpoint.path_of(run, len(metrics(run)))


@pytest.mark.slow
def test_processes_with_different_settings_refuse_to_train_together(store_path: Path, tmp_path: Path) -> None:
    for done in in_ranks(*(command(replace(CONFIG, seed=seed), store_path, tmp_path / "run") for seed in range(2))):
        assert done.returncode == 2
        assert "the processes found different settings; start all of them with the same options" in done.stderr
    assert not (tmp_path / "run").exists()


def test_shares_cover_a_batch_once() -> None:
    parts = [Group(rank, 4).share(12) for rank in range(4)]
    assert [k for part in parts for k in part] == list(range(12))
    assert Group().share(7) == range(7)
    with pytest.raises(InputError, match="multiple of 4"):
        Group(0, 4).share(10)


def test_a_process_that_is_alone_sends_nothing_and_changes_nothing() -> None:
    group = Group()
    weight = torch.nn.Parameter(torch.ones(2))
    group.average_gradients([weight])
    assert weight.grad is None and group.leads
    assert group.any(True, False) == (True, False)
    group.require_same("stores", "whatever", "prepare it again")
    with pytest.raises(InputError, match="as it is"), group.together():
        raise InputError("as it is")
    term = torch.ones((), requires_grad=True) * 3
    assert group.average({"pixel": term}) == {"pixel": torch.tensor(3.0)}


def test_cuda_under_torchrun_is_the_process_own_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_RANK", "3")
    assert local_device("cuda") == "cuda:3"
    assert local_device("cpu") == "cpu" and local_device("cuda:1") == "cuda:1"
    monkeypatch.delenv("LOCAL_RANK")
    assert local_device("cuda") == "cuda"


def test_motion_losses_of_a_batch_are_the_mean_of_its_samples() -> None:
    """So that shares of a batch average to the whole, however many pokes and moving pixels each sample has."""
    generator = torch.Generator().manual_seed(0)
    flow, D = (4 * torch.randn(4, 2, 12, 12, generator=generator) for _ in range(2))
    targets, shifts = 11 * torch.rand(4, 3, 2, generator=generator), torch.randn(4, 3, 2, generator=generator)
    given = torch.tensor([[1.0, 1, 1], [1, 0, 0], [0, 0, 0], [1, 1, 0]])
    for loss, arguments in ((flow_loss, (flow, D)), (poke_loss, (flow, targets, shifts, given))):
        halves = [float(loss(*(a[part] for a in arguments))) for part in (slice(0, 2), slice(2, 4))]
        assert float(loss(*arguments)) == pytest.approx(sum(halves) / 2)


def test_settings_on_the_command_line_make_the_config_that_is_compared(store_path: Path, tmp_path: Path) -> None:
    assert finished(*command(CONFIG, store_path, tmp_path / "run", "--minutes", "0")).returncode == 0
    written = json.loads((tmp_path / "run" / "config.json").read_text())
    from poke2vid.train.config import from_json

    assert from_json(written) == CONFIG


LEAVES = """
import os, sys
from pathlib import Path
import torch
from poke2vid.train.distributed import join

with join(torch.device("cpu")) as group:
    layer = torch.nn.Linear(3, 3)
    group.any(False)
    torch.optim.Adam(layer.parameters())  # imports what would keep the group
names = [(task / "comm").read_text().strip() for task in Path("/proc/self/task").iterdir()]
Path(sys.argv[1], os.environ["RANK"]).write_text(" ".join(name for name in names if "gloo" in name))
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="needs Linux's list of threads")
def test_a_group_that_is_left_leaves_no_threads_that_could_abort_the_process_at_its_end(tmp_path: Path) -> None:
    (tmp_path / "leaves.py").write_text(LEAVES)
    for done in in_ranks(*2 * [[str(tmp_path / "leaves.py"), str(tmp_path)]]):
        assert done.returncode == 0, done.stderr
    assert [(tmp_path / rank).read_text() for rank in "01"] == ["", ""]
