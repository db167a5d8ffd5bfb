"""Training of one model by several processes: each takes its share of every batch; gradients are averaged (torchrun).

The step itself is unaware of it. Gradients are averaged here and not by DistributedDataParallel, because a step calls
several methods of the model, trains two networks against each other and differentiates twice (docs/decisions/013).
"""

import contextlib
import hashlib
import importlib
import os
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, distributed, nn

from poke2vid.types import InputError


class Group:
    """The processes of a run; by default a single one, which sends nothing.

    Attributes:
        rank: this process's number; 0 writes files and prints.
        size: number of processes.
    """

    def __init__(self, rank: int = 0, size: int = 1, device: torch.device | None = None) -> None:
        self.rank, self.size = rank, size
        self.device = device or torch.device("cpu")

    @property
    def leads(self) -> bool:
        return self.rank == 0

    def share(self, batch: int) -> range:
        """Range of the samples of a global batch that are this process's.

        Raises:
            InputError: if the batch cannot be shared evenly.
        """
        if batch % self.size:
            raise InputError(
                f"a batch of {batch} cannot be shared evenly by {self.size} processes; choose --set batch=N with N a "
                f"multiple of {self.size}."
            )
        each = batch // self.size
        return range(self.rank * each, (self.rank + 1) * each)

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replaces every gradient by the mean over the processes; a missing one counts as zero."""
        if self.size == 1:
            return
        trained = [p for p in parameters if p.requires_grad]
        for p in trained:
            if p.grad is None:
                p.grad = torch.zeros_like(p)
        gradients = [p.grad for p in trained if p.grad is not None]
        whole = torch.cat([g.reshape(-1) for g in gradients])  # one message instead of hundreds
        distributed.all_reduce(whole)
        whole /= self.size
        for gradient, mean in zip(gradients, whole.split([g.numel() for g in gradients]), strict=True):
            gradient.copy_(mean.view_as(gradient))

    def average(self, terms: dict[str, Tensor]) -> dict[str, Tensor]:
        """The terms' means over the processes, without their graphs; the names must be the same in all."""
        values = {name: term.detach() for name, term in terms.items()}
        if self.size == 1 or not values:
            return values
        whole = torch.stack(list(values.values()))
        distributed.all_reduce(whole)
        return dict(zip(values, (whole / self.size).unbind(), strict=True))

    def any(self, *flags: bool) -> tuple[bool, ...]:
        """Combines each flag over the processes: true if it is true in any; all of them get the same answers."""
        if self.size == 1:
            return flags
        told = torch.tensor(flags, dtype=torch.float32, device=self.device)
        distributed.all_reduce(told, distributed.ReduceOp.MAX)
        return tuple(bool(flag) for flag in told.tolist())

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """Ends the block in all processes if it fails in one, so that none waits for a message that never comes.

        Raises:
            InputError: the process's own, or one that points to it.
        """
        failed: InputError | None = None
        try:
            yield
        except InputError as error:
            failed = error
        (broken,) = self.any(failed is not None)
        if failed is not None:
            raise failed
        if broken:
            raise InputError("another process of this run had to stop; what it says is the reason.")

    def copy_from_first(self, tensors: dict[str, Tensor]) -> None:
        """Copies the first process's tensors to all, in place: initial weights may differ in the last digit by CPU."""
        if self.size > 1:
            for tensor in tensors.values():
                distributed.broadcast(tensor, 0)

    def require_same(self, what: str, value: object, remedy: str) -> None:
        """Raises InputError unless all processes hold the same value; `what` names it, in the plural."""
        if self.size == 1:
            return
        number = int.from_bytes(hashlib.sha256(repr(value).encode()).digest()[:6], "little")
        extremes = torch.tensor([number, -number], dtype=torch.int64, device=self.device)
        distributed.all_reduce(extremes, distributed.ReduceOp.MAX)
        if int(extremes[0]) != -int(extremes[1]):
            raise InputError(f"the processes found different {what}; {remedy}.")


def num_processes() -> int:
    """Number of processes that torchrun started together; 1 without it."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def require_one_process(what: str) -> None:
    """Raises InputError under torchrun with several processes, each of which would write `what` into the same folder."""
    if num_processes() > 1:
        raise InputError(f"{what} trains in one process; start it by `poke2vid train`, without torchrun.")


@contextlib.contextmanager
def join(device: torch.device) -> Iterator[Group]:
    """The group that torchrun's environment names, for as long as the block lasts; without torchrun, this process alone.

    Raises:
        InputError: if the other processes cannot be reached.
    """
    size = num_processes()
    if size == 1:
        yield Group(device=device)
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)  # the device that nccl uses
    # Imported before there is a group, as its functions keep the group that exists at import as a default for ever.
    # When an optimiser imported it later, the group's threads outlived it, and one process in fifty aborted at exit.
    importlib.import_module("torch.distributed.nn.functional")
    try:
        distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    except (RuntimeError, ValueError) as error:
        raise InputError(
            f"cannot join the other {size - 1} processes ({error}); start all of them by torchrun."
        ) from error
    try:
        yield Group(distributed.get_rank(), size, device)
    finally:
        distributed.destroy_process_group()


def device_named(name: str) -> torch.device:
    """The device of that name, tested before anything is written.

    Raises:
        InputError: if it cannot be used here.
    """
    try:
        place = torch.device(name)
        torch.zeros(1, device=place)
    except (RuntimeError, AssertionError) as error:
        raise InputError(
            f"the device {name!r} cannot be used here; choose cpu, or cuda where there is a GPU."
        ) from error
    return place


def local_device(name: str) -> str:
    """Name of this process's device: `cuda` under torchrun becomes its own GPU of the node."""
    own = os.environ.get("LOCAL_RANK")
    return f"cuda:{own}" if name == "cuda" and own is not None else name
