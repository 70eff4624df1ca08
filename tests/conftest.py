"""Fixtures that every test may use."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parent.parent

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # a shell that starts tests in the background lets them and their children ignore Ctrl-C
    signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("ems", derandomize=True, deadline=None, print_blob=False)
settings.load_profile("ems")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real measurements, or a skip that says why."""
    folder = Path(os.environ.get("EMS_SHARED_DATA", ROOT.parent / "shared" / "data"))
    if not (folder / "opsd_household").is_dir():
        missing = pytest.fail if os.environ.get("EMS_CI") else pytest.skip
        missing(f"no real data at {folder}; set EMS_SHARED_DATA to the folder that holds it")
    return folder
