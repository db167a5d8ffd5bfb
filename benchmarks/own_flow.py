"""Scores of models' own fields u on PokeBench's shifts, without any tracker or picture.

    python benchmarks/own_flow.py MODEL... --bench DIR [--scenes 20] [--out FILE]

Two reference rows are other true pokes. "longer": the true field of the next longer (for the longest, the next
shorter) pull of the same point, scaled to the poke's length. "turned": that of a pull of the same length at right
angles, simulated here and turned back. A map of influence that does not depend on the pull's length, or direction,
can hardly beat them.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from shown import show
from torch import Tensor
from tqdm import tqdm

from poke2vid.evaluate.bench.measure import Measurement, Scores, Timing
from poke2vid.evaluate.bench.run import first_of_each_family
from poke2vid.geometry import resize_flow
from poke2vid.live.animator import Animator
from poke2vid.measures.statistics import cluster_mean
from poke2vid.model.files import load_player
from poke2vid.model.touch_video import TouchVideo
from poke2vid.pokebench.disk import Bench, StoredScene
from poke2vid.pokebench.records import PokeRecord
from poke2vid.pokebench.scene import TrueScene
from poke2vid.simulator.actions import Pull, touched_path
from poke2vid.simulator.families.registry import family_named
from poke2vid.simulator.interactions import metres
from poke2vid.simulator.render import Renderer
from poke2vid.simulator.surface import bind
from poke2vid.simulator.trajectory import Trajectory
from poke2vid.simulator.world import UnstableError, World
from poke2vid.types import InputError

COLUMNS = ("response_epe", "poke_epe", "diff_epe", "background", "rank")
Fields = Callable[[TrueScene, int, int], Tensor]  # scene, poke, frame -> flow


class Played:
    """Fields in the form that `Measurement` reads."""

    roles = frozenset({"shift"})

    def __init__(self, scene: TrueScene, fields: Fields) -> None:
        self._scene, self._fields = scene, fields

    def flow(self, poke: int, frame: int) -> Tensor:
        return self._fields(self._scene, poke, frame)

    def frames(self, poke: int) -> None:
        return None


def of_model(path: Path) -> Fields:
    """u of a model that sees what it touches, at a frame after a shift."""
    loaded = load_player(path)
    if not isinstance(loaded.model, TouchVideo):
        raise InputError(f"{path} has no field of its own; `poke2vid bench run` scores its frames.")
    animator = Animator(loaded.model.eval(), loaded.about)
    known: dict[tuple[str, int], dict[int, Tensor]] = {}

    def fields(scene: TrueScene, poke: int, frame: int) -> Tensor:
        key = scene.name, poke
        if key not in known:
            known.clear()
            record, side = scene.pokes[poke], scene.first.shape[0]
            session = animator.open(scene.first, max_side=side)
            assert record.at is not None
            session.poke(record.at, record.shift)
            found = {}
            for number in range(1, 26):
                session.advance()
                found[number] = resize_flow(session.state.sigma[0], (side, side))[0]
            known[key] = found
        return known[key][frame]

    return fields


def still(scene: TrueScene, poke: int, frame: int) -> Tensor:
    return torch.zeros(2, *scene.first.shape[:2])


def longer(scene: TrueScene, poke: int, frame: int) -> Tensor:
    """The true field of another pull of the same point in the same direction, scaled."""
    record = scene.pokes[poke]
    same = [k for k, other in enumerate(scene.pokes) if other.role == "shift" and other.point == record.point]
    place = same.index(poke)
    other = same[place + 1] if place + 1 < len(same) else same[place - 1]
    scale = np.hypot(*record.shift) / max(np.hypot(*scene.pokes[other].shift), 1e-6)
    return torch.from_numpy(scene.flow(other, frame)) * float(scale)


class Turned:
    """The true field of an equally long pull of the same point at right angles, turned back.

    If the point is out of reach there or the object comes apart, shorter pulls are tried, scaled to the poke's length.
    """

    def __init__(self, moments: Timing) -> None:
        self._arrive, self._last = moments.arrive, moments.last
        self._scene: TrueScene | None = None
        self._known: dict[int, tuple[Trajectory, float, float]] = {}

    def __call__(self, scene: TrueScene, poke: int, frame: int) -> Tensor:
        if scene is not self._scene:
            self._scene, self._known = scene, {}
            assert isinstance(scene, StoredScene)
            world = self._world = World(family_named(scene.record.family).scene(scene.record.seed, "test"))
            world.rest()
            with Renderer(world, scene.resolution) as renderer:
                buffers = renderer.buffers(world.data.qpos)
            camera = world.camera.at(scene.resolution)
            self._surface = bind(buffers, camera, world.record(1), world.geom_parts, world.flex_parts, world.triangles)
        record, side = scene.pokes[poke], scene.first.shape[0]
        assert record.at is not None
        if poke not in self._known:
            self._known[poke] = self._across(record, side)
        future, reached, quarter = self._known[poke]
        dx, dy = self._surface.flow(future, frame) * float(np.hypot(*record.shift)) / max(reached, 1e-6)
        return quarter * torch.from_numpy(np.stack((dy, -dx)))

    def _across(self, record: PokeRecord, side: int) -> tuple[Trajectory, float, float]:
        """Future of a pull to the right (1) or else to the left (-1), how far the point gets, and the side taken."""
        assert record.at is not None
        for share in (1.0, 0.5, 0.25, 0.125):
            for quarter in (1.0, -1.0):
                self._world.rest()
                touch = self._world.touch(*record.at, side)
                assert touch is not None
                angle = float(np.arctan2(record.shift[1], record.shift[0])) + quarter * np.pi / 2
                shift = metres(self._world, touch, share * record.length * side, angle, side)
                try:
                    future = self._world.record(self._last + 1, [Pull(touch, shift, 0, self._arrive)])
                except UnstableError:
                    continue
                path = touched_path(self._world.camera.at(side), future, touch)
                return future, float(np.hypot(*(path[self._arrive] - path[0]))), quarter
        raise InputError(f"the point {record.at} cannot be pulled across {record.shift}; leave the scene out.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("models", nargs="*", type=Path)
    parser.add_argument("--bench", type=Path, required=True)
    parser.add_argument("--scenes", type=int, default=20)
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    bench = Bench.open(chosen.bench)
    scenes = first_of_each_family(bench.scenes(), chosen.scenes)
    moments = Timing(5, bench.manifest.arrive, bench.manifest.frames)
    rows: dict[str, Fields] = {str(path): of_model(path) for path in chosen.models}
    rows |= {"another true poke, longer": longer, "another true poke, turned": Turned(moments), "copy": still}
    samples: dict[str, list[tuple[str, str, Scores]]] = {name: [] for name in rows}
    for scene in tqdm(scenes, unit="scene"):
        for name, fields in rows.items():
            with torch.inference_mode():
                found = Measurement(scene, Played(scene, fields), moments).scores()  # type: ignore[arg-type]
            samples[name] += [(scene.family, scene.name, sample) for sample in found]
    lines = table(samples, sorted({scene.family for scene in scenes}))
    show(lines, chosen.out)


def table(samples: dict[str, list[tuple[str, str, Scores]]], families: list[str]) -> list[str]:
    """Markdown lines of all rows: response by family, then all columns; means over scenes with 95 % intervals."""
    heads = [*(f"response, {family}" for family in families), *COLUMNS]
    lines = [f"| | {' | '.join(heads)} |", "|---" * (len(heads) + 1) + "|"]
    for name, found in samples.items():
        cells = [cell(found, "response_epe", family) for family in families] + [cell(found, c, None) for c in COLUMNS]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def cell(found: list[tuple[str, str, Scores]], column: str, family: str | None) -> str:
    kept = [(scene, s.values[column]) for f, scene, s in found if column in s.values and family in (None, f)]
    if not kept:
        return ""
    return str(cluster_mean([value for _, value in kept], [scene for scene, _ in kept]))


if __name__ == "__main__":
    main()
