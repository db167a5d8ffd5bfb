"""Files that the version of 2026-11-29 wrote, before modules moved into folders: each is still read, and plays as it did."""

import shutil
from pathlib import Path

import numpy as np
import pytest

import poke2vid
from poke2vid.data.store import verify
from poke2vid.live.script import read_script, replay
from poke2vid.live.session import Session
from poke2vid.media.pictures import read_picture
from poke2vid.model.files import load_player
from poke2vid.pokebench.disk import Bench
from poke2vid.train import checkpoint, loop
from poke2vid.train.config import from_json
from poke2vid.types import InputError

EARLIER = Path(__file__).parent / "golden" / "earlier"
LEVELS = 2  # of 255: another machine's arithmetic


def picture() -> np.ndarray:
    """Coloured tiles, on which the frames beside the models were made."""
    tiles = np.random.default_rng(0).integers(0, 255, (4, 4, 3))
    return tiles.repeat(8, 0).repeat(8, 1).astype(np.uint8)


def same(frame: np.ndarray, name: str) -> bool:
    kept = read_picture(EARLIER / name)
    return frame.shape == kept.shape and int(np.abs(frame.astype(int) - kept).max()) <= LEVELS


def played(session: Session, steps: int) -> np.ndarray:
    frames = [session.step() for _ in range(steps)]
    return frames[-1]


@pytest.mark.parametrize("kind", ["model", "touch"])
def test_models_play_as_they_did(kind: str) -> None:
    session = poke2vid.load(EARLIER / f"{kind}.safetensors").open(picture())
    session.poke((16, 16), (4, 2))
    assert same(played(session, 4), f"frame-{kind}.png")


def test_a_saved_session_goes_on() -> None:
    session = poke2vid.load(EARLIER / "model.safetensors").resume(EARLIER / "session-model.safetensors")
    assert same(played(session, 1), "frame-model.png")


def test_a_store_is_whole() -> None:
    assert verify(EARLIER / "store") == []


def test_a_run_is_a_model_and_is_known_to_be_complete(tmp_path: Path) -> None:
    assert load_player(EARLIER / "run").about["step"] == 2
    run = Path(shutil.copytree(EARLIER / "run", tmp_path / "run"))
    newest = checkpoint.newest(run)
    assert newest is not None
    config = from_json(checkpoint.read(newest)[1]["train"])
    with pytest.raises(InputError, match="all 2 steps are done"):
        loop.train(config, EARLIER / "store", run, workers=0, resume=True, quiet=True)


def test_a_bench_verifies() -> None:
    assert Bench.open(EARLIER / "bench").verify() == []


def test_a_script_is_replayed() -> None:
    session = poke2vid.load(EARLIER / "touch.safetensors").open(picture())
    moments = replay(read_script(EARLIER / "script.json"), session)
    assert len(moments) == 1 + 3  # the picture, then every frame
    assert [done.type for done in session.done] == ["poke", "drag", "release"]
