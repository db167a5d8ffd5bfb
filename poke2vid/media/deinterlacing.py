"""Interlaced frames to whole ones, by FFmpeg's bwdif: one frame for two fields, so that the rate stays as it was."""

from collections import deque
from typing import Generic, TypeVar

import av

Note = TypeVar("Note")


class Deinterlacer(Generic[Note]):
    """A filter that begins with the first interlaced frame; what comes before passes through untouched.

    Each frame is pushed with a note, which comes out again with the frame made of it, one push later.
    """

    def __init__(self) -> None:
        self._graph: av.filter.Graph | None = None
        self._shape: tuple[int, int, str] | None = None
        self._notes: deque[Note] = deque()

    @property
    def began(self) -> bool:
        return self._graph is not None

    def push(self, frame: av.VideoFrame, note: Note) -> list[tuple[av.VideoFrame, Note]]:
        """The frames that are finished, with their notes."""
        if self._graph is None and not frame.interlaced_frame:
            return [(frame, note)]
        ready = []
        shape = (frame.width, frame.height, frame.format.name)
        if self._graph is None or shape != self._shape:
            ready = self.flush()
            self._graph, self._shape = _graph_for(frame), shape
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


def _graph_for(frame: av.VideoFrame) -> av.filter.Graph:
    graph = av.filter.Graph()
    graph.threads = 1
    source = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base)
    # Frames that are marked as whole pass through as they are, in a stream that mixes both.
    graph.link_nodes(
        source, graph.add("bwdif", "mode=send_frame:parity=auto:deint=interlaced"), graph.add("buffersink")
    )
    graph.configure()
    return graph
