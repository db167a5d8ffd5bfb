"""Settings of a `poke2vid tables` run, and its results."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from poke2vid.evaluate.heldout.clips import ClipSettings
from poke2vid.evaluate.heldout.distances import Distance
from poke2vid.evaluate.heldout.evaluate import Compared
from poke2vid.evaluate.heldout.judges import Judges
from poke2vid.evaluate.heldout.rows import Measured, is_followed, with_followed
from poke2vid.evaluate.heldout.scoring import Plan
from poke2vid.pretrained.features import LpipsName
from poke2vid.train.config import TrainConfig


@dataclass(frozen=True)
class Order:
    """Settings of a `poke2vid tables` run.

    Attributes:
        suites: numbers of tables.
        base: settings of the full model; ablation rows take one thing away.
        seeds: number of training runs per row.
        dataset: published data set that the store holds, for the paper's numbers; None if none.
        published: train the systems of others with the published hyperparameters, not with those for two cores.
        system_settings: `a.b=v` settings that override those of every such system.
        beside: models or runs that are scored beside the rows, without training.
        only: labels of the rows to train and score; all for None.
        trained_only: train nothing; score the runs that are complete and say which are not.
        kept: folder of measured rows (`kept.py`), read and added to; None for one in the output.
        evenly, confirmed: as in `ClipSettings`.
        jobs: number of runs trained at the same time, with one thread each.
        lpips, allow_download: as in `heldout.evaluate`.
    """

    suites: tuple[int, ...]
    base: TrainConfig
    seeds: int
    plan: Plan
    dataset: str | None = None
    published: bool = False
    system_settings: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    only: tuple[str, ...] | None = None
    trained_only: bool = False
    kept: Path | None = None
    evenly: bool = False
    confirmed: bool = False
    jobs: int = 1
    device: str = "cpu"
    seed: int = 0
    lpips: tuple[LpipsName, ...] | None = None
    allow_download: bool = False


@dataclass(frozen=True)
class Results:
    """Compared rows, and the names of each variant's, one per training seed.

    Attributes:
        beside: names of the rows that were not trained for the tables.
        clips: settings of the clips.
        lags: of the store's flow within T, at which points are followed.
        data: the data set that the clips are a copy of, and what that lacks; empty where it is none.
    """

    compared: Compared
    names: dict[str, list[str]]
    judges: Judges
    beside: tuple[str, ...]
    clips: ClipSettings
    lags: tuple[int, ...]
    data: str = ""

    def rows(self, variant: str) -> list[Measured]:
        """Measurements of each seed, with what the truth's row decides."""
        rows = self.compared.rows
        return [with_followed(rows[name], rows["truth"]) for name in self.names[variant]]

    @property
    def followed(self) -> "Results":
        """The same with the clips alone whose poke the tracker follows in the true frames; NaN elsewhere."""
        known = is_followed(self.compared.rows["truth"])
        rows = {
            name: replace(row, values={c: np.where(known, values, np.nan) for c, values in row.values.items()})
            for name, row in self.compared.rows.items()
        }
        return replace(self, compared=replace(self.compared, rows=rows))

    def distances(self, variant: str) -> list[dict[str, Distance]]:
        return [self.compared.distances[name] for name in self.names[variant]]
