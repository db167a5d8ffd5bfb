"""Records of a prepared clip store: settings, contents and held-out videos."""

import hashlib
import json
import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from poke2vid.files import fault_of
from poke2vid.media.video import Fit
from poke2vid.types import InputError, Split

KIND = "poke2vid-store"
MADE = {  # kind of a manifest: what its folder is, and the command that makes one
    KIND: ("a store of videos", "poke2vid prepare"),
    "poke2vid-pokes": ("a store of pokes", "poke2vid simulate FAMILY --scenes N --pokes K --store"),
    "poke2vid-bench": ("a benchmark", "poke2vid bench build"),
}
VERSION = 1
SHOT_MARK = "#"  # between a video's name and the number of a further shot
DEFAULT_LAGS = (3, 6, 10)  # frames: the paper's T = 10, and steps before it for `DataConfig.waypoints`
HALVED_ABOVE = 64  # pixels: above this, flow is stored at half resolution, because it takes more space than the video


def film_of(video: str) -> str:
    """Film that a video was cut from, by its name: shots, and Tai-Chi-HD's clips of one recording, bear it before a `#`."""
    return video.partition(SHOT_MARK)[0] or video


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


SealedType = TypeVar("SealedType", bound="SealedRecord")


class SealedRecord(_Record):
    """Record whose field `digest` is that of all its other fields but those that only speak about them."""

    def sealed(self: SealedType) -> SealedType:
        return self.model_copy(update={"digest": self.expected_digest()})

    def expected_digest(self) -> str:
        return sha256_of(self.model_dump(mode="json", exclude={"digest"} | self._absent | self._unsealed))

    def to_json(self) -> dict[str, Any]:
        """The fields as written."""
        return self.model_dump(mode="json", exclude=self._absent)

    @property
    def _absent(self) -> set[str]:
        """Fields of later versions that are left out where they are empty, so that older digests hold."""
        return set()

    @property
    def _unsealed(self) -> set[str]:
        """Fields that speak about the others, and change no digest."""
        return set()


RecordType = TypeVar("RecordType", bound=BaseModel)


class ArraySettings(_Record):
    """Settings that determine the arrays of one video.

    Attributes:
        resolution: side of the square frames, in pixels; even.
        fps: frames a second to keep at most; None keeps all.
        fit: method of making a frame square.
        lags: the T of every flow x_0 -> x_T, in frames; ascending.
        flow: name of the flow estimator; "exact" if it comes from the simulator.
        min_motion: least motion of the foreground in at least one flow, as a share of the frame's side.
    """

    resolution: int
    fps: float | None = Field(default=None, gt=0, le=1000)
    fit: Fit = "crop"
    lags: tuple[int, ...] = Field(default=DEFAULT_LAGS, min_length=1)
    flow: Literal["dis", "raft", "exact"] = "dis"
    min_motion: float = Field(default=0.005, ge=0, lt=1)

    @field_validator("resolution")
    @classmethod
    def _side(cls, resolution: int) -> int:
        if not 16 <= resolution <= 2048 or resolution % 2:
            raise ValueError(
                f"{resolution} is no side of frames; models have 32, 64, 128 or 256 pixels, so choose one of these (other "
                "even sides from 16 to 2048 can be stored, but no model trains on them)"
            )
        return resolution

    @field_validator("lags")
    @classmethod
    def _ascending(cls, lags: tuple[int, ...]) -> tuple[int, ...]:
        if min(lags) < 1 or list(lags) != sorted(set(lags)):
            raise ValueError(f"lags must be positive, ascending and different, not {lags}")
        return lags

    @property
    def flow_side(self) -> int:
        """Side of the stored flow fields, in their own pixels."""
        return self.resolution if self.resolution <= HALVED_ABOVE else self.resolution // 2

    def shapes(self, num_frames: int) -> dict[str, tuple[np.dtype, tuple[int, ...]]]:
        """Type and shape of every array of a video of `num_frames` frames, by file name."""
        side, s = self.flow_side, self.resolution
        arrays: dict[str, tuple[np.dtype, tuple[int, ...]]] = {
            "frames.u8": (np.dtype("u1"), (num_frames, s, s, 3)),
            "motion.f32": (np.dtype("<f4"), (num_frames - 1,)),
        }
        for lag in self.lags:
            arrays[f"flow_{lag}.f16"] = (np.dtype("<f2"), (num_frames - lag, 2, side, side))
            arrays[f"activity_{lag}.f32"] = (np.dtype("<f4"), (num_frames - lag,))
        return arrays


class SplitSettings(_Record):
    """Rule for choosing the test split.

    Attributes:
        seed: of the ranking.
        fraction: share of the videos that becomes the test split.
        patterns: globs over names; if given, they replace seed and fraction.
    """

    seed: int = 0
    fraction: float = Field(default=0.2, ge=0, lt=1)
    patterns: tuple[str, ...] = ()


class FileRecord(_Record):
    sha256: str
    size: int  # bytes


class ShotRecord(_Record):
    """Place of a shot in its video, which is named `video`.

    The first shot that is kept bears the video's own name, the second `video#2`, and so on.

    Attributes:
        number, kept: of the shots that are kept, from 1, and how many they are.
        found: number of shots in the video.
        first: number of its first frame, of all frames that are shown at the store's rate.
    """

    video: str
    number: int = Field(ge=1)
    kept: int = Field(ge=1)
    found: int = Field(ge=1)
    first: int = Field(ge=0)

    @staticmethod
    def name(video: str, number: int) -> str:
        return video if number == 1 else f"{video}{SHOT_MARK}{number}"


class Entry(_Record):
    """One prepared video, or one shot of a video with hard cuts (`entry.json`).

    Attributes:
        source: path as given; not part of the digest.
        source_sha256: of the file, or of all frames of a folder.
        source_fps, fps: before and after frames were dropped.
        source_frames: number decoded, before any were dropped; None if the file does not say.
        shot: None unless the video was cut into shots.
        notes: whatever is not as usual with the video, for the report; not part of the digest.
    """

    name: str
    source: str
    source_sha256: str
    source_width: int
    source_height: int
    source_fps: float
    source_frames: int | None
    fps: float
    num_frames: int
    settings: ArraySettings
    files: dict[str, FileRecord]
    shot: ShotRecord | None = None
    notes: tuple[str, ...] = ()

    def digest(self) -> str:
        return sha256_of(self.model_dump(mode="json", exclude={"source", "notes"} | self._absent))

    def to_json(self) -> dict[str, Any]:
        """The fields as written: without a shot or notes if there are none, as before there could be any."""
        return self.model_dump(mode="json", exclude=self._absent)

    @property
    def _absent(self) -> set[str]:
        return {name for name in ("shot", "notes") if not getattr(self, name)}


class ListedVideo(_Record):
    """One video in the manifest; `digest` is that of its entry."""

    name: str
    id: str
    split: Split
    num_frames: int
    fps: float
    digest: str


class Skipped(_Record):
    """A skipped video and the reason. `source_sha256` is None if a retry may succeed."""

    name: str
    reason: str
    source_sha256: str | None = None


class Manifest(SealedRecord):
    """Contents of a store; `digest` covers all other fields but `remarks`, the same on any machine for the same input.

    Attributes:
        dataset: the published data set that it was prepared as, by its name in `prepare --dataset`.
        remarks: what that copy lacks or has otherwise than published; None for a store that does not know. No part of the
            digest, so that a store that learns of them keeps its digest, and with it the runs that were trained on it.
    """

    kind: Literal["poke2vid-store"] = "poke2vid-store"
    version: Literal[1] = 1
    settings: ArraySettings
    split: SplitSettings
    videos: tuple[ListedVideo, ...]
    skipped: tuple[Skipped, ...]
    dataset: str | None = None
    remarks: tuple[str, ...] | None = None
    digest: str = ""

    @property
    def _absent(self) -> set[str]:
        return {name for name in ("dataset", "remarks") if getattr(self, name) is None}

    @property
    def _unsealed(self) -> set[str]:
        return {"remarks"}


def require_kind(values: object, kind: str, file: Path) -> None:
    """Checks that a manifest is of a kind in `MADE`.

    Raises:
        InputError: saying what its folder is instead, or that it is not ours.
    """
    found = values.get("kind") if isinstance(values, dict) else None
    if found == kind:
        return
    wanted, command = MADE[kind]
    if found in MADE:
        raise InputError(f"{file.parent} is {MADE[found][0]}, and {wanted} is needed; make one with `{command}`.")
    raise InputError(f"{file} was not written by poke2vid; give a folder made by `{command}`.")


def validated(kind: type[RecordType], values: Any, what: str) -> RecordType:
    """A record of `values`.

    Raises:
        InputError: in one sentence, naming `what` and every wrong field.
    """
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise InputError(f"{what} is not valid: {'; '.join(map(fault_of, error.errors()))}.") from error


class DamagedRecord(InputError):
    """Raised for a damaged manifest or entry of ours; making its store again repairs it."""


def read_values(file: Path, again: str) -> Any:
    """Contents of a store's JSON; raises DamagedRecord, saying what to do `again`, if they cannot be read."""
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DamagedRecord(f"{file} is missing or damaged; {again} the store again.") from error


def read_sealed(file: Path, form: type[SealedType], kind: str, version: int, again: str) -> SealedType:
    """The manifest in a file.

    Args:
        kind: as in `MADE`.
        version: the newest that is understood.
        again: a verb, what to do with a damaged store.

    Raises:
        InputError: if it is a foreign or newer one.
        DamagedRecord: if it is ours, but damaged or altered.
    """
    values = read_values(file, again)
    require_kind(values, kind, file)
    found = values.get("version")
    if isinstance(found, int) and found > version:
        raise InputError(f"{file.parent} has format {found}, and this poke2vid reads up to {version}; update poke2vid.")
    try:
        manifest = validated(form, values, str(file))
    except InputError as error:
        raise DamagedRecord(str(error)) from error
    if manifest != manifest.sealed():
        raise DamagedRecord(f"{file} does not match its own digest, so it was altered; {again} the store again.")
    return manifest


def safe_id(name: str) -> str:
    """A readable, unique folder name for a video of any name."""
    readable = re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-")[:40]
    return f"{readable or 'video'}-{hashlib.sha256(name.encode()).hexdigest()[:10]}"


def held_out(names: Sequence[str], settings: SplitSettings) -> frozenset[str]:
    """Names in the test split, independent of the order of `names`; a single video is held out only by a pattern."""
    if settings.patterns:
        return frozenset(name for name in names if any(fnmatchcase(name, pattern) for pattern in settings.patterns))
    if len(names) < 2 or settings.fraction == 0:
        return frozenset()
    count = min(max(1, round(settings.fraction * len(names))), len(names) - 1)
    ranked = sorted(names, key=lambda name: hashlib.sha256(f"{settings.seed}:{name}".encode()).hexdigest())
    return frozenset(ranked[:count])


def sha256_of(value: Any) -> str:
    """SHA-256 of a value's JSON, whatever the order of its keys."""
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()
