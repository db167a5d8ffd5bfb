"""Log of a run for people: numbers as JSON lines and in TensorBoard, sample grids, a progress bar."""

import contextlib
import json
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import numpy as np
from tqdm import tqdm

from poke2vid.files import atomic, reason
from poke2vid.geometry import Affine, transform
from poke2vid.media import viz
from poke2vid.media.pictures import to_uint8, write_picture
from poke2vid.train.data import Batch
from poke2vid.types import InputError, Rollout

_SHOWN_FRAMES = 6
_SHOWN_SAMPLES = 4


class RunLog:
    """metrics.jsonl, tensorboard/, samples/ and the progress bar of one run; closes them all on exit.

    A resumed run drops the lines after its checkpoint that a crash left, so that every step is in the file once.
    """

    def __init__(
        self, run: Path, *, first_step: int, num_steps: int, quiet: bool = False, silent: bool = False
    ) -> None:
        """`quiet` shows no bar; `silent` also writes nothing: of several processes only one keeps the log."""
        self.run, self.silent = run, silent
        if silent:
            return
        from torch.utils.tensorboard import SummaryWriter  # imported here: it takes a second

        with writing(run):
            self._keep_until(first_step)
            self.lines = (run / "metrics.jsonl").open("a", encoding="utf-8")
            self.board = SummaryWriter(str(run / "tensorboard"), purge_step=first_step)
        self._before, threading.excepthook = threading.excepthook, self._from_thread
        interval = 0.2 if sys.stderr.isatty() else 30.0  # seconds; a log file does not need a thousand bars
        self.bar = tqdm(
            initial=first_step, total=num_steps, unit="step", disable=quiet, dynamic_ncols=True, mininterval=interval
        )

    def __enter__(self) -> "RunLog":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.silent:
            return
        self.bar.close()
        try:
            for part in (self.lines, self.board):
                part.close()
        except OSError as error:  # a full disk fails again on closing; if it is why we exit, it was reported already
            if kind is None:
                raise InputError(f"cannot write in {self.run}: {reason(error)}; then go on with --resume.") from error
        finally:
            threading.excepthook = self._before

    def _from_thread(self, failure: threading.ExceptHookArgs) -> None:
        """Hides the traceback of TensorBoard's thread on a full disk; the next write raises the same error."""
        if not issubclass(failure.exc_type, OSError) or "tensorboard" not in type(failure.thread).__module__:
            self._before(failure)

    def _keep_until(self, step: int) -> None:
        path = self.run / "metrics.jsonl"
        if not path.exists():
            return
        kept = []
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                if json.loads(line)["step"] <= step:
                    kept.append(line + "\n")
            except (ValueError, KeyError):
                continue  # the line that was being written when the run died
        with atomic(path) as temporary:
            temporary.write_text("".join(kept), encoding="utf-8")

    def numbers(self, step: int, values: dict[str, float | int]) -> None:
        """Writes one line a step: every loss term unweighted, and the speed."""
        if self.silent:
            return
        with writing(self.run):
            self.lines.write(json.dumps({"step": step, **values}) + "\n")
            self.lines.flush()
            for name, value in values.items():
                self.board.add_scalar(name, value, step)
        shown = {k.removeprefix("loss/"): f"{v:.4f}" for k, v in values.items() if k.startswith("loss/")}
        pace = {
            name.replace("_per_second", "/s"): f"{v:.1f}" for name, v in values.items() if name.endswith("_per_second")
        }
        self.bar.set_postfix({**pace, **shown}, refresh=False)
        self.bar.update(1)

    def samples(self, step: int, name: str, batch: Batch, result: Rollout) -> None:
        """Writes a grid PNG: truth over prediction, the poke's arrow on x_0, its target dot on the rest."""
        self.picture(step, name, sample_grid(batch, result))

    def picture(self, step: int, name: str, picture: viz.Picture) -> None:
        """Writes a picture to a file and to TensorBoard."""
        write_picture(self.run / "samples" / f"{name}-{step:08d}.png", picture)
        with writing(self.run):
            self.board.add_image(name, picture, step, dataformats="HWC")

    def say(self, line: str) -> None:
        if not self.silent:
            self.bar.write(line)


@contextlib.contextmanager
def writing(run: Path) -> Iterator[None]:
    """Turns a failure to write a file of the run into an InputError; the last checkpoint stays whole."""
    try:
        yield
    except OSError as error:
        raise InputError(f"cannot write in {run}: {reason(error)}; then go on with --resume.") from error


def sample_grid(batch: Batch, result: Rollout) -> viz.Picture:
    """Two rows a sample for a few samples, truth and prediction, over the clip; a third with the predicted flow."""
    rows = []
    length = result.frames.shape[1]
    shown = np.unique(np.linspace(0, length - 1, _SHOWN_FRAMES).round().astype(int))
    factor = max(1, 128 // batch.frames.shape[-1])
    for k in range(min(_SHOWN_SAMPLES, len(batch.frames))):
        x_0 = to_uint8(batch.frames[k, :1])
        pokes = [transform(poke, Affine.resize((1, 1), (factor, factor))) for poke in batch.pokes[k]]
        for frames in (batch.frames[k, 1:][shown], result.frames[k][shown]):
            row = [viz.enlarge(f, factor) for f in np.concatenate((x_0, to_uint8(frames.detach())))]
            rows.append(viz.draw_pokes(row, pokes))
        if result.flow is not None:
            flow = -result.flow[k][shown].detach().numpy(force=True)
            largest = max(1.0, float(np.abs(flow).max()))
            rows.append([rows[-1][0] * 0 + 255, *(viz.enlarge(viz.flow_colours(f, largest), factor) for f in flow)])
    return viz.grid(rows)
