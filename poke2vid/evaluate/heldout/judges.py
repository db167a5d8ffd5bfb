"""Judges of predictions on a store: a tracker that did not make its pokes, LPIPS, and extractors of features."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor

from poke2vid.data.store import Store
from poke2vid.measures.extractors import VideoFeatures, find_extractors
from poke2vid.pretrained.features import LPIPS_NETS, Lpips, LpipsName, build_lpips
from poke2vid.pretrained.i3d import I3DFeatures
from poke2vid.tracking.trackers import Tracker, lpips_if_found, tracker_for
from poke2vid.tracking.tracks import TrackFeatures, track_features

VERSION = 1  # of the formulas; results of another version are measured again


@dataclass(frozen=True)
class Judges:
    """Tracker, LPIPS and feature extractors that judge frames.

    Attributes:
        make_tracker: builds a tracker; called once in every thread, since threads cannot share one.
        tracker: name of the tracker.
        caution: problem of that tracker for this store; empty if none.
        flow: source of the store's own flow, which responses are measured against.
        lpips: on each network that was asked for, or whose weights are found.
        extractors: one per column of distances.
        missing: unavailable column -> the reason.
        device: of LPIPS and of the extractors' torch networks; the tracker stays on the CPU.
        parallel: whether several trackers at once are faster; a network tracker uses torch's threads.
    """

    make_tracker: Callable[[], Tracker]
    tracker: str
    caution: str
    flow: str
    lpips: tuple[Lpips, ...]
    extractors: tuple[VideoFeatures, ...]
    missing: Mapping[str, str]
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    parallel: bool = True

    def for_clips_of(self, frames: int) -> "Judges":
        """The same judges without the extractors that need longer clips."""
        short = [e for e in self.extractors if e.shortest > frames]
        reasons = {e.name: f"no clips of {e.shortest} frames: these have {frames}" for e in short}
        kept = tuple(e for e in self.extractors if e not in short)
        return replace(self, extractors=kept, missing={**self.missing, **reasons})

    @property
    def tracks(self) -> bool:
        """True if an extractor sees motion alone, and needs the flow to every frame."""
        return any(isinstance(e, TrackFeatures) for e in self.extractors)

    @property
    def floor(self) -> str:
        """Sentence on the meaning of the true frames' errors."""
        if self.flow == "exact":
            return "its errors are the tracker's own: what is below them cannot be told apart"
        return (
            f"its errors are the disagreement of the tracker and the store's {self.flow} flow, which named the targets; a "
            "model may come out below them"
        )

    @property
    def key(self) -> dict[str, Any]:
        """Key of the judges: equal if their judgements are."""
        return {
            "version": VERSION, "tracker": self.tracker, "lpips": ", ".join(judge.name for judge in self.lpips),
            "extractors": {extractor.name: extractor.digest for extractor in self.extractors},
        }  # fmt: skip

    def features(self, x_0: Tensor, frames: Tensor) -> dict[str, Tensor]:
        """Features of clips by the extractors that see pictures; I3D's torch network runs on `device`."""
        found = {}
        for extractor in self.extractors:
            if not isinstance(extractor, TrackFeatures):
                place = self.device if isinstance(extractor, I3DFeatures) else torch.device("cpu")
                found[extractor.name] = extractor(x_0.to(place), frames.to(place))
        return found

    def features_of_motion(self, paths: Sequence[Float32[np.ndarray, "t 2 h w"]]) -> dict[str, Tensor]:
        """Features of clips by the extractors that see motion alone.

        Args:
            paths: of every clip, flow from x_0 to each later frame by `tracks.track_chain`.
        """
        return {
            e.name: track_features(torch.from_numpy(np.stack(paths)))
            for e in self.extractors
            if isinstance(e, TrackFeatures)
        }


def find_judges(
    store: Store, weights_dir: Path | None, lpips: tuple[LpipsName, ...] | None = None, device: torch.device | None = None,
    allow_download: bool = False, tracker: str = "auto",
) -> Judges:  # fmt: skip
    """Finds LPIPS, feature extractors, and a tracker that did not make the store's pokes, as far as available here.

    Args:
        tracker: see `tracker_for`.

    Raises:
        InputError: if the weights of an LPIPS that was asked for are missing, or the tracker is unknown.
    """
    flow, place = store.manifest.settings.flow, device or torch.device("cpu")
    found_tracker, caution = tracker_for(flow, weights_dir, tracker)
    extractors, missing = find_extractors(weights_dir, allow_download)
    if lpips is None:
        found = [judge for name in LPIPS_NETS if (judge := lpips_if_found(weights_dir, name)) is not None]
    else:
        found = [build_lpips(weights_dir, allow_download, name) for name in lpips]
    return Judges(
        partial(_tracker, flow, weights_dir, tracker), found_tracker.name, caution, flow,
        tuple(judge.to(place) for judge in found),
        tuple(extractors), missing, place, found_tracker.parallel,
    )  # fmt: skip


def _tracker(flow: str, weights_dir: Path | None, name: str) -> Tracker:
    return tracker_for(flow, weights_dir, name)[0]
