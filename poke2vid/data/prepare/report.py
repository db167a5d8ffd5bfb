"""Summary of a `prepare` run, as one line and as two files."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from poke2vid.data.manifest import Skipped
from poke2vid.data.sources.folder import PassedOver
from poke2vid.data.splits import SPLIT_BY_TIME
from poke2vid.files import atomic, read_json, write_json

SHOWN = 10  # things to know in the summary
_REPORT = "report.json"


@dataclass(frozen=True)
class PrepareReport:
    """Summary of a `prepare` run: kept, skipped, timings.

    Attributes:
        kept: names of the videos, or shots of videos, in the store, `reused` of them from an earlier run.
        frames: number decoded in this run; the milliseconds are per such frame.
        digest: of the store.
        shots: number of shots found in each video that has more than one.
        remarks: a video's name and a sentence, for whatever is not as usual with it.
        passed_over: files that are no videos.
        missing: names of videos that a published data set has and this copy of it has not.
        dataset: the published data set that was prepared, whose split is its own.
        before_cuts: number reused from a version that looked for no cuts.
    """

    kept: tuple[str, ...]
    reused: int
    skipped: tuple[Skipped, ...]
    frames: int
    decode_ms: float
    flow_ms: float
    seconds: float
    digest: str
    shots: dict[str, int] = field(default_factory=dict)
    remarks: tuple[tuple[str, str], ...] = ()
    passed_over: tuple[PassedOver, ...] = ()
    missing: tuple[str, ...] = ()
    dataset: str | None = None
    before_cuts: int = 0

    @property
    def summary(self) -> str:
        """One line for a log, and one for each thing to know."""
        facts = [
            *(f"{video.name} skipped: {video.reason.rstrip('.')}" for video in self.skipped),
            *(f"{name}: {remark}" for name, remark in self.remarks),
            *(f"{other.name} passed over: {other.reason}" for other in self.passed_over),
        ]
        more = [f"and {len(facts) - SHOWN} more, in report.md"] if len(facts) > SHOWN else []
        return "\n".join(self._headline() + facts[:SHOWN] + more)

    def write(self, store: Path) -> None:
        """Writes `report.json` and `report.md`, with the reason for every video or file that is left out."""
        skipped = [video.model_dump(mode="json") for video in self.skipped]
        write_json(store / _REPORT, {**asdict(self), "skipped": skipped})
        page = ["# Preparation", "", *self._headline()]
        page += _table("skipped | reason", [(video.name, video.reason) for video in self.skipped])
        page += _table("video | remark", self.remarks)
        page += _table("passed over | reason", [(other.name, other.reason) for other in self.passed_over])
        page += ["", f"Not there ({len(self.missing)}): {', '.join(self.missing)}."] if self.missing else []
        with atomic(store / "report.md") as temporary:
            temporary.write_text("\n".join([*page, ""]), encoding="utf-8")

    def _headline(self) -> list[str]:
        videos = f"kept {len(self.kept)} videos ({self.reused} from before), skipped {len(self.skipped)}"
        pace = f"{self.decode_ms:.1f} ms a frame for decoding, {self.flow_ms:.1f} ms for flow"
        lines = [f"{videos}; {self.frames} frames in {self.seconds:.1f} s: {pace}"]
        if self.shots:
            lines.append(f"{sum(self.shots.values())} shots in {len(self.shots)} videos with cuts; no clip spans a cut")
        if self.before_cuts:
            lines.append(
                f"{self.before_cuts} video{'s' * (self.before_cuts != 1)} from before, prepared by a version that looked for "
                "no cuts: clips may span some; prepare into a new --out to be rid of these"
            )
        if len(self.kept) == 1 and self.dataset is None:
            lines.append(f"there is nothing to test on: {SPLIT_BY_TIME}")
        return lines


def written_before_cuts(store: Path) -> bool:
    """True if the store's report, which every run replaces, is of a version that looked for no cuts."""
    try:
        return "shots" not in read_json(store / _REPORT)
    except (OSError, ValueError, TypeError):
        return False


def _table(header: str, rows: Sequence[tuple[str, str]]) -> list[str]:
    lines = [f"| {_cell(name)} | {_cell(text)} |" for name, text in rows]
    return ["", f"| {header} |", "|---|---|", *lines] if rows else []


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
