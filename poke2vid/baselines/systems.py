"""List of the systems: one line each."""

from dataclasses import dataclass

from poke2vid.baselines import hao, ivrnn, srvp
from poke2vid.baselines.baseline import Baseline, BaselineConfig
from poke2vid.baselines.savp import config as savp
from poke2vid.baselines.savp.system import Savp


@dataclass(frozen=True)
class System:
    """One system of the paper's Tables 1 and 2.

    Attributes:
        title: its name in the tables.
        network: its class, and `config`, the class of its sizes; the class takes one as its only argument.
        presets: by name: the published hyperparameters, and those for two cores, which end in `-small`.
    """

    title: str
    network: type[Baseline]
    config: type
    presets: dict[str, BaselineConfig]


SYSTEMS: dict[str, System] = {
    "srvp": System("SRVP", srvp.Srvp, srvp.SrvpConfig, srvp.PRESETS),
    "ivrnn": System("IVRNN", ivrnn.Ivrnn, ivrnn.IvrnnConfig, ivrnn.PRESETS),
    "savp": System("SAVP", Savp, savp.SavpConfig, savp.PRESETS),
    "hao": System("Hao et al.", hao.Hao, hao.HaoConfig, hao.PRESETS),
}
