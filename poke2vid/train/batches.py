"""Batches of training steps, made ahead by worker processes."""

from collections.abc import Iterator
from typing import TypeVar

from torch.utils.data import DataLoader, Dataset

from poke2vid.train.stopping import single_thread
from poke2vid.types import InputError

BatchType = TypeVar("BatchType")


def batches(made: Dataset[BatchType], first: int, last: int, workers: int) -> Iterator[BatchType]:
    """The batches of steps first ... last - 1, in order; the same for any number of workers.

    Raises:
        InputError: as `made` does, in its own sentence, also if it was a worker's.
    """
    loader = DataLoader(
        made, sampler=range(first, last), batch_size=None, num_workers=workers, prefetch_factor=4 if workers else None,
        worker_init_fn=single_thread,
    )  # fmt: skip
    try:
        yield from loader
    except InputError as error:
        if not str(error).startswith("Caught "):  # as a worker's does, with its traceback before it
            raise
        sentence = str(error).strip().splitlines()[-1]
        raise InputError(sentence.removeprefix(f"{InputError.__module__}.{InputError.__qualname__}: ")) from error
