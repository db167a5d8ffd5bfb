"""Records of a benchmark on disk: the pokes of every scene, and hashes of the results."""

import hashlib
import json
from typing import Literal

from pydantic import BaseModel, ConfigDict

from poke2vid.data.manifest import FileRecord
from poke2vid.types import Pair

PokeRole = Literal["shift", "impulse", "background", "zero", "none"]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PokeRecord(_Record):
    """One poke of a scene. Locations and shifts in pixels of the bench's frames.

    Attributes:
        role: "shift" and "impulse" touch the object; "background" is a shift beside it, "zero" a shift of length 0 on
            it, and "none" no poke at all; these three move nothing.
        at: location l; None for "none".
        shift: p; of a shift, the true displacement of its point at frame T.
        point: number of the scene's touched point, 0 or 1; -1 for "background" and "none".
        length: asked of the simulator, as a share of the frame's side; a shift may reach a little less.
        part: id of the touched part; 0 for none.
    """

    role: PokeRole
    at: Pair | None
    shift: Pair
    point: int
    length: float
    part: int

    @property
    def moves(self) -> bool:
        """True if its future is stored; otherwise that is the first frame, repeated."""
        return self.role in ("shift", "impulse")


class CameraRecord(_Record):
    """Fields of a `simulator.camera.Camera`."""

    position: tuple[float, float, float]
    axes: tuple[tuple[float, float, float], tuple[float, float, float], tuple[float, float, float]]
    fovy: float


class SceneRecord(_Record):
    """One scene (`scene.json`).

    Attributes:
        number: its place among the bench's scenes of its family.
        generation, physics: versions of the simulator that made it.
        seed, digest: of the simulator's scene.
        parts: names, in the order of part ids from 1.
        states: sha256 over the physics states of all pokes, to the last bit; the same on the same machine and versions,
            not always on others.
        rejected: reason why scenes before this one were not used -> how often.
        files: hashes and sizes of its files, to detect damage.
    """

    name: str
    family: str
    number: int
    generation: int
    physics: str
    resolution: int
    seed: int
    digest: str
    parts: tuple[str, ...]
    camera: CameraRecord
    pokes: tuple[PokeRecord, ...]
    states: str
    rejected: dict[str, int]
    files: dict[str, FileRecord]

    @property
    def identity(self) -> str:
        """sha256 over the pokes asked and, to 0.01 px, the displacements of their points: the same on other machines.

        Machines may differ in the last bits of physics, and in how a driver draws. Noise of 1e-7 px still changes the
        rounding of 1 in 100,000 numbers.
        """
        kept = {"name", "family", "number", "generation", "resolution", "seed", "parts"}
        asked = [{**poke.model_dump(mode="json"), "shift": _hundredths(poke.shift)} for poke in self.pokes]
        return _sha256({**self.model_dump(mode="json", include=kept), "pokes": asked})


class BenchManifest(_Record):
    """Contents of a bench (`manifest.json`, written last).

    Attributes:
        name: such as "pokebench-v1" or "mini".
        resolution: side of the frames, in pixels.
        frames: number of frames predicted after the first.
        arrive: T, the frame at which shifts arrive.
        generation, physics: versions of the simulator that made the scenes.
        scenes: name -> identity; equal wherever the bench is built, see `SceneRecord.identity`.
        files: scene name -> sha256 of its record, which holds the hashes of its files.
        places: family -> number of its scenes.
        rejected: family -> reason why its scenes were not used -> how often.
    """

    kind: Literal["poke2vid-bench"] = "poke2vid-bench"
    version: Literal[2] = 2
    name: str
    resolution: int
    frames: int
    arrive: int
    fps: float
    generation: int
    physics: str
    scenes: dict[str, str]
    files: dict[str, str]
    places: dict[str, int]
    rejected: dict[str, dict[str, int]]
    identity: str = ""

    @property
    def acceptance(self) -> str:
        """Summary for people: scenes tried and places filled, by family, with reasons for rejection."""
        return "; ".join(_accepted(family, count, self.rejected[family]) for family, count in self.places.items())

    def sealed(self) -> "BenchManifest":
        return self.model_copy(update={"identity": self.expected_identity()})

    def expected_identity(self) -> str:
        kept = {"name", "version", "resolution", "frames", "arrive", "fps", "generation", "scenes"}
        return _sha256(self.model_dump(mode="json", include=kept))


def _accepted(family: str, places: int, rejected: dict[str, int]) -> str:
    reasons = ", ".join(f"{times} {reason}" for reason, times in rejected.items())
    told = f"{family}: {places + sum(rejected.values())} scenes tried for {places} places"
    return f"{told} ({reasons})" if reasons else told


def _hundredths(shift: Pair) -> list[int]:
    """Shift in whole hundredths of a pixel. Shifts have four decimals, and the edges of this rounding lie half-way
    between two of those, so a last bit that differs when read back never crosses one."""
    return [round(100 * value + 0.005) for value in shift]


def _sha256(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
