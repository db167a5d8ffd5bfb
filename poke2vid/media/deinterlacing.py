"""Interlaced frames to whole ones, by FFmpeg's bwdif: one frame for two fields, so that the rate stays as it was."""

from collections import deque
from collections.abc import Iterable
from typing import Generic, Literal, TypeVar

import av

Note = TypeVar("Note")
Parity = Literal["tff", "bff"]  # the upper or the lower field comes first
FIELD_HEIGHTS = (480, 486, 512, 576, 1080, 1088)  # of the interlaced formats; no other height is looked at for fields
PROBED = 25  # frames that are looked at
SURE = 8  # of them, that must be combed, and twice as many as are not


class Deinterlacer(Generic[Note]):
    """A filter that begins with the first interlaced frame; what comes before passes through untouched.

    Each frame is pushed with a note, which comes out again with the frame made of it, one push later.

    Args:
        unmarked: order of the fields of frames that do not say that they are interlaced; None if frames tell the truth.
    """

    def __init__(self, unmarked: Parity | None = None) -> None:
        self._unmarked = unmarked
        self._graph: av.filter.Graph | None = None
        self._shape: tuple[int, int, str] | None = None
        self._notes: deque[Note] = deque()

    @property
    def began(self) -> bool:
        return self._graph is not None

    def push(self, frame: av.VideoFrame, note: Note) -> list[tuple[av.VideoFrame, Note]]:
        """The frames that are finished, with their notes."""
        if self._graph is None and not frame.interlaced_frame and self._unmarked is None:
            return [(frame, note)]
        ready = []
        shape = (frame.width, frame.height, frame.format.name)
        if self._graph is None or shape != self._shape:
            ready = self.flush()
            self._graph, self._shape = _graph_for(frame, _bwdif(self._unmarked)), shape
        self._notes.append(note)
        self._graph.vpush(frame)
        return ready + self._pulled()

    def flush(self) -> list[tuple[av.VideoFrame, Note]]:
        """The frames that are still inside."""
        if self._graph is None or not self._notes:
            return []
        self._graph.vpush(None)
        return self._pulled()

    def _pulled(self) -> list[tuple[av.VideoFrame, Note]]:
        assert self._graph is not None
        ready = []
        while self._notes:
            try:
                ready.append((self._graph.vpull(), self._notes.popleft()))
            except (av.BlockingIOError, av.EOFError):
                break
        return ready


def unmarked_fields(frames: Iterable[av.VideoFrame]) -> Parity | None:
    """Order of the fields of frames that are combed without saying so, by FFmpeg's idet over the first `PROBED`.

    None if they are whole, move too little to tell, or are marked as interlaced themselves.
    """
    graph: av.filter.Graph | None = None
    counts = dict.fromkeys(("tff", "bff", "progressive"), 0.0)
    for _, frame in zip(range(PROBED), frames, strict=False):
        if frame.interlaced_frame:
            return None
        if graph is None:
            graph = _graph_for(frame, ("idet", ""))
        graph.vpush(frame)
        while True:
            try:
                told = graph.vpull().metadata
            except (av.BlockingIOError, av.EOFError):
                break
            counts = {name: float(told.get(f"lavfi.idet.multiple.{name}", 0)) for name in counts}
    combed = counts["tff"] + counts["bff"]
    if combed < SURE or combed < 2 * counts["progressive"]:
        return None
    return "tff" if counts["tff"] >= counts["bff"] else "bff"


def _bwdif(unmarked: Parity | None) -> tuple[str, str]:
    """The filter; frames that are marked as whole pass through as they are, in a stream that mixes both."""
    if unmarked is not None:
        return "bwdif", f"mode=send_frame:parity={unmarked}:deint=all"
    return "bwdif", "mode=send_frame:parity=auto:deint=interlaced"


def _graph_for(frame: av.VideoFrame, used: tuple[str, str]) -> av.filter.Graph:
    graph = av.filter.Graph()
    graph.threads = 1
    source = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base)
    graph.link_nodes(source, graph.add(*used), graph.add("buffersink"))
    graph.configure()
    return graph
