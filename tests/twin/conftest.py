"""Twins for all tests: to make one takes a second."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from ems.twin.generate import Twin, generate

SEED = 7


@pytest.fixture(scope="session")
def hourly() -> Twin:
    return generate(SEED, 60)


@pytest.fixture(scope="session")
def other() -> Twin:
    """The twin of another seed."""
    return generate(SEED + 1, 60)


@pytest.fixture(scope="session")
def quarterly() -> Twin:
    return generate(SEED, 15)


@pytest.fixture(scope="session")
def shared_data_columns(shared_data: Path) -> frozenset[str]:
    """Meter columns of the real file, without its timestamps."""
    path = shared_data / "opsd_household" / "household_data_60min_singleindex.csv.gz"
    return frozenset(c for c in pd.read_csv(path, nrows=0).columns if c.startswith("DE_KN_"))
