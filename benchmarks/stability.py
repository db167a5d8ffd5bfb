"""Share of simulated scenes that go wrong, by fault: thousands of seeds settled, pulled, pushed and blown at.

No timing, no drawing. An interrupted sweep goes on: every outcome is a line of OUT/stability.jsonl as soon as it is
known, and scenes that have one are not run again. Lines with another number of frames, generation or physics belong to
other sweeps and are kept.
"""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from timing import RESULTS, Machine, table, write_results
from tqdm import tqdm

from poke2vid.processes import Died, Tick, run_jobs
from poke2vid.simulator.families.registry import FAMILIES, family_named
from poke2vid.simulator.film import Order
from poke2vid.simulator.interactions import TOUCH_SIDE, happen
from poke2vid.simulator.scene import GENERATION, INDIVIDUALS, generator
from poke2vid.simulator.world import PHYSICS, UnstableError, World

SET = 11  # no training or test set has this seed
TARGET = 0.02
SOUND, DIED = "sound", "died"
JOURNAL = "stability.jsonl"


@dataclass(frozen=True)
class _Maker:
    def __call__(self) -> Callable[[Order, Tick], str]:
        return _outcome


def _outcome(order: Order, tick: Tick) -> str:
    """Outcome of one scene: sound, or the kind of fault."""
    seed = order.scene_seed(0)
    tick()
    try:
        world = World(family_named(order.family).scene(seed, order.split))
        happening = happen(world, generator(order.family, order.split, "happening", seed), order.frames)
        world.record(order.frames, happening.actions, happening.wind)
    except UnstableError as fault:
        return str(fault)
    return SOUND


def _key(order: Order) -> dict[str, Any]:
    """Key of an outcome; `Order(family, "train", number, frames, ...)` of the set shows the scene."""
    return {
        "family": order.family, "number": order.number, "seed": order.scene_seed(0), "frames": order.frames,
        "generation": GENERATION, "physics": PHYSICS,
    }  # fmt: skip


def _known(journal: Path) -> dict[str, str]:
    """Outcomes in the journal by their order's key; a last line that was cut short is skipped."""
    known = {}
    for line in journal.read_text(encoding="utf-8").splitlines() if journal.exists() else ():
        try:
            entry = json.loads(line)
            key, outcome = json.dumps(entry["order"]), str(entry["outcome"])
        except (ValueError, KeyError, TypeError):
            continue
        if outcome != DIED:  # it may have been killed
            known[key] = outcome
    return known


def _sweep(orders: list[Order], journal: Path, workers: int, quiet: bool) -> list[tuple[Order, str]]:
    """Every order with its outcome, in the order of `orders`; only those without one are run."""
    known = _known(journal)
    pending = [order for order in orders if json.dumps(_key(order)) not in known]
    journal.parent.mkdir(parents=True, exist_ok=True)
    with (
        journal.open("a", encoding="utf-8") as stream,
        tqdm(total=len(orders), initial=len(orders) - len(pending), unit="scene", disable=quiet or None) as bar,
    ):
        if journal.stat().st_size:
            stream.write("\n")  # after a line that may be cut short
        for order, result in run_jobs(_Maker(), pending, workers, lambda: None):
            outcome = DIED if isinstance(result, Died) else result
            stream.write(json.dumps({"order": _key(order), "outcome": outcome}) + "\n")
            stream.flush()
            known[json.dumps(_key(order))] = outcome
            bar.update()
    return [(order, known[json.dumps(_key(order))]) for order in orders]


def main(
    out: Annotated[Path, typer.Option("--out", help="Folder for stability.json, .md and .jsonl.")] = RESULTS,
    scenes: Annotated[int, typer.Option("--scenes", min=3, help="In all, as many of each family.")] = 10_000,
    frames: Annotated[int, typer.Option("--frames", min=4, help="Of interaction, for each.")] = 60,
    workers: Annotated[int, typer.Option("--workers", min=0, help="Processes.")] = 1,
    quick: Annotated[bool, typer.Option("--quick", help="A scene of each family: does it run?")] = False,
) -> None:
    """Sweep over scenes, every one of a species of its own; one that was cut off goes on."""
    if quick:
        scenes, frames, workers = len(FAMILIES), 8, 0
    orders = [
        Order(family, "train", number * INDIVIDUALS, frames, TOUCH_SIDE, SET)
        for number in range(scenes // len(FAMILIES))
        for family in FAMILIES
    ]
    with Machine() as machine:
        found = _sweep(orders, out / JOURNAL, workers, quick)
    counts: dict[str, Counter[str]] = {family: Counter() for family in FAMILIES}
    for order, outcome in found:
        counts[order.family][outcome] += 1
    outcomes = {family: dict(sorted(of_family.items())) for family, of_family in counts.items()}
    unsound = [_key(order) | {"outcome": outcome} for order, outcome in found if outcome != SOUND]
    values = {"frames": frames, "outcomes": outcomes, "unsound": unsound}
    write_results(out, "stability", machine, values, _page(outcomes))


def _page(values: dict[str, dict[str, int]]) -> str:
    faults = sorted({fault for counts in values.values() for fault in counts} - {SOUND})
    rows = []
    for family, counts in values.items():
        total = sum(counts.values())
        shares = (f"{counts.get(fault, 0)} ({counts.get(fault, 0) / total:.2%})" for fault in faults)
        rows.append((family, total, *shares, f"{1 - counts.get(SOUND, 0) / total:.2%}"))
    header = ("family", "scenes", *faults, "unsound in all")
    text = f"Every fault is caught and counted, and its scene rejected; the target is under {TARGET:.0%}."
    return f"# stability\n\n{text}\n\n{table(header, rows)}"


if __name__ == "__main__":
    typer.run(main)
