"""Summary of a `prepare` run, as one line and as two files."""

from dataclasses import asdict, dataclass
from pathlib import Path

from poke2vid.data.manifest import Skipped
from poke2vid.files import atomic, write_json


@dataclass(frozen=True)
class PrepareReport:
    """Summary of a `prepare` run: kept, skipped, timings.

    Attributes:
        kept: names of the videos in the store, `reused` of them from an earlier run.
        frames: number decoded in this run; the milliseconds are per such frame.
        digest: of the store.
    """

    kept: tuple[str, ...]
    reused: int
    skipped: tuple[Skipped, ...]
    frames: int
    decode_ms: float
    flow_ms: float
    seconds: float
    digest: str

    @property
    def summary(self) -> str:
        """One line for a log."""
        videos = f"kept {len(self.kept)} videos ({self.reused} from before), skipped {len(self.skipped)}"
        pace = f"{self.decode_ms:.1f} ms a frame for decoding, {self.flow_ms:.1f} ms for flow"
        return f"{videos}; {self.frames} frames in {self.seconds:.1f} s: {pace}"

    def write(self, store: Path) -> None:
        """Writes `report.json` and `report.md`, with the reason for every skipped video."""
        skipped = [video.model_dump(mode="json") for video in self.skipped]
        write_json(store / "report.json", {**asdict(self), "skipped": skipped})
        rows = [f"| {video.name} | {video.reason} |" for video in self.skipped]
        table = ["", "| skipped | reason |", "|---|---|", *rows] if rows else []
        with atomic(store / "report.md") as temporary:
            temporary.write_text("\n".join(["# Preparation", "", self.summary, *table, ""]), encoding="utf-8")
