"""The membership attack against hand-worked losses."""

from __future__ import annotations

import numpy as np
import pytest

from ems.federated.privacy import auc


@pytest.mark.parametrize(
    ("members", "others", "expected"),
    [([1.0, 2.0], [3.0, 4.0], 1.0), ([1.0, 3.0], [2.0, 4.0], 0.75), ([1.0], [1.0, 1.0], 0.5)],
)
def test_the_auc_counts_pairs(members: list[float], others: list[float], expected: float) -> None:
    assert auc(np.array(members), np.array(others)) == expected
    assert auc(np.array(others), np.array(members)) == 1.0 - expected
