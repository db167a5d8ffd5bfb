"""Fixtures that several test files use."""

import os
from pathlib import Path

import pytest
import torch

torch.set_num_threads(1)
os.environ["POKE2VID_OFFLINE"] = "1"  # a test never downloads
SHARED = Path(__file__).resolve().parents[2] / "shared"  # data and weights beside the checkout, where they exist


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with public weights and test data; tests that need it are skipped without it."""
    if not SHARED.is_dir():
        pytest.skip(f"needs the public weights and data in {SHARED}")
    return SHARED
