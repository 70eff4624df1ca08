"""Fixtures that every test may use."""

from __future__ import annotations

import os
import re
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parent.parent

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # a shell that starts tests in the background lets them and their children ignore Ctrl-C
    signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("ems", derandomize=True, deadline=None, print_blob=False)
settings.load_profile("ems")


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say in one line which tests were left out because a library is not installed."""
    reasons = [str(report.longrepr) for report in terminalreporter.stats.get("skipped", ())]
    wanted = Counter(m[0] for text in reasons if (m := re.search(r"pip install -r [\w.-]+", text)))
    if wanted:
        told = ", ".join(f"{n} for `{command}`" for command, n in sorted(wanted.items()))
        terminalreporter.write_line(f"left out for want of a library: {told}")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real measurements, or a skip that says why."""
    folder = Path(os.environ.get("EMS_SHARED_DATA", ROOT.parent / "shared" / "data"))
    if not (folder / "opsd_household").is_dir():
        missing = pytest.fail if os.environ.get("EMS_CI") else pytest.skip
        missing(f"no real data at {folder}; set EMS_SHARED_DATA to the folder that holds it")
    return folder
