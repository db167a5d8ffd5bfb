"""Published data sets by name."""

from poke2vid.data.sources.dataset import DataSet
from poke2vid.data.sources.human36m import HUMAN36M
from poke2vid.data.sources.iper import IPER
from poke2vid.data.sources.plants import PLANTS
from poke2vid.data.sources.taichi import TAICHI
from poke2vid.data.sources.vegetation import VEGETATION
from poke2vid.types import InputError

DATASETS: dict[str, DataSet] = {known.name: known for known in (PLANTS, IPER, TAICHI, HUMAN36M, VEGETATION)}


def dataset_named(name: str) -> DataSet:
    """Returns the data set of this name; raises InputError for an unknown one."""
    if name not in DATASETS:
        raise InputError(f"there is no data set {name!r}; choose one of {', '.join(DATASETS)}.")
    return DATASETS[name]
