"""Fixtures that several test files use."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from browser import SharedPage, chromium, serving, sharing
from moving_square import write_square
from page_actions import write_balls
from typechecker import begin_test

from poke2vid.data.prepare.run import PrepareSettings, prepare
from poke2vid.data.store import Store

torch.set_num_threads(1)
os.environ["OMP_NUM_THREADS"] = "1"  # programs that tests start share two cores with other tests
os.environ["POKE2VID_OFFLINE"] = "1"  # a test never downloads
SHARED = Path(__file__).resolve().parents[2] / "shared"  # data and weights beside the checkout, where they exist


def pytest_runtest_setup() -> None:
    begin_test()


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with public weights and test data; tests that need it are skipped without it."""
    if not SHARED.is_dir():
        pytest.skip(f"needs the public weights and data in {SHARED}")
    return SHARED


@pytest.fixture(scope="session")
def store_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five videos of a moving square, at 32 pixels, with flow at lags 2 and 4."""
    folder = tmp_path_factory.mktemp("training")
    for k, step in enumerate([(1, 0), (2, 1), (-1, 2), (3, 0), (0, 2)]):
        write_square(folder / "videos" / f"square{k}.mp4", 40, seed=k, step=step)
    settings = PrepareSettings(resolution=32, lags=(2, 4), workers=0)
    prepare(folder / "videos", folder / "store", settings, quiet=True)
    return folder / "store"


@pytest.fixture
def store(store_path: Path) -> Store:
    return Store.open(store_path)


@pytest.fixture(scope="module")
def no_public_weights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The same trackers and the same columns on every machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("POKE2VID_WEIGHTS", raising=False)
        patch.setenv("TORCH_HOME", str(tmp_path_factory.mktemp("hub")))
        yield


# The page in a browser


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """One browser for all tests of a process: to start it, a server and an engine takes seconds."""
    with chromium() as found:
        yield found


@pytest.fixture(scope="session")
def page_url() -> Iterator[str]:
    """Address of a server with the base, whose page computes in the browser."""
    with serving() as address:
        yield address


@pytest.fixture(scope="session")
def shared_page(browser: Any, page_url: str) -> Iterator[SharedPage]:
    yield from sharing(browser, page_url, accept_downloads=True)


@pytest.fixture
def page(shared_page: SharedPage, request: pytest.FixtureRequest) -> Iterator[Any]:
    """The page with its first example, as it was opened."""
    with shared_page.lent(request.session) as page:
        yield page


@pytest.fixture(scope="session")
def served_url() -> Iterator[str]:
    """Address of a server that computes for its page: there is no engine to load, so pages come three times as fast."""
    with serving("--engine", "server") as address:
        yield address


@pytest.fixture(scope="session")
def shared_served(browser: Any, served_url: str) -> Iterator[SharedPage]:
    yield from sharing(browser, served_url, accept_downloads=True)


@pytest.fixture
def served(shared_served: SharedPage, request: pytest.FixtureRequest) -> Iterator[Any]:
    """A page whose server computes, as it was opened."""
    with shared_served.lent(request.session) as page:
        yield page


@pytest.fixture(scope="module")
def balls(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A picture of two things that can be dragged."""
    path = tmp_path_factory.mktemp("pictures") / "balls.png"
    write_balls(path)
    return path
