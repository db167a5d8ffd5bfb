"""The records of a benchmark on disk: what was asked of every scene, and hashes of what came of it."""

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
        role: "shift" and "impulse" touch the object; "background" is a shift beside it, "zero" a shift of no length on it, and
            "none" no poke at all: after these three nothing moves.
        at: l; None for "none".
        shift: p, for a shift the way to the truth's own end point at frame T.
        point: which of the scene's touched points, 0 or 1; -1 for "background" and "none".
        length: of what was asked of the simulator, as a share of the frame's side; what a shift reached may be a little less.
        part: the touched part's id; 0 where none is.
    """

    role: PokeRole
    at: Pair | None
    shift: Pair
    point: int
    length: float
    part: int

    @property
    def moves(self) -> bool:
        """Whether its future is kept; otherwise it is the first frame, repeated."""
        return self.role in ("shift", "impulse")


class CameraRecord(_Record):
    """As `simulator.camera.Camera`."""

    position: tuple[float, float, float]
    axes: tuple[tuple[float, float, float], tuple[float, float, float], tuple[float, float, float]]
    fovy: float


class SceneRecord(_Record):
    """One scene (`scene.json`).

    Attributes:
        number: its place among the bench's scenes of its family.
        generation, physics: of the simulator that made it.
        seed, digest: of the simulator's scene.
        parts: names, in the order of part ids from 1.
        states: sha256 over the physics states of all pokes, to the last bit: the same machine and the same versions give it
            again, others need not.
        rejected: why scenes were not used before this one, and how often.
        files: for damage.
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
        """sha256 over what was asked and, to 0.01 px, how far the poked points went: what other machines agree on.

        They need not agree on the last bits of physics, nor on how a driver draws it. Rounding has edges: noise of 1e-7 px
        crosses one in 1 of 100,000 numbers.
        """
        kept = {"name", "family", "number", "generation", "resolution", "seed", "parts"}
        asked = [{**poke.model_dump(mode="json"), "shift": _hundredths(poke.shift)} for poke in self.pokes]
        return _sha256({**self.model_dump(mode="json", include=kept), "pokes": asked})


class BenchManifest(_Record):
    """What a bench holds (`manifest.json`, written last).

    Attributes:
        name: "pokebench-v1" or "mini".
        resolution: side of the frames, in pixels.
        frames: predicted after the first.
        arrive: T, the frame at which shifts arrive.
        generation, physics: what made the scenes.
        scenes: name -> identity; equal wherever the bench is built, see `SceneRecord.identity`.
        files: scene name -> sha256 of its record, which holds those of its files.
        places: family -> how many scenes it has here.
        rejected: family -> why scenes of it were not used -> how often.
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
        """How many scenes were tried for how many places, by family and reason; for people."""
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
    """In whole hundredths of a pixel. Shifts have four decimals, and the edges of this rounding lie half-way between two of
    those: a shift that is read back with another last bit never crosses one."""
    return [round(100 * value + 0.005) for value in shift]


def _sha256(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
