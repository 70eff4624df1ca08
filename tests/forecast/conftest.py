"""Learned models of a fifth of the trees: what is tested does not hang on the last percent."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ems.forecast import learned


@pytest.fixture(autouse=True, scope="module")
def few_trees() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(learned, "N_TREES", 20)
        patch.setattr(learned, "SHRINKAGE", 0.3)
        yield
