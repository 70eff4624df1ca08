from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ems.errors import InvalidSpec
from ems.twin.streams import red_noise, scaled_to_total, stream


def test_a_stream_depends_on_seed_and_name_only() -> None:
    assert stream(3, "a", "b").random() == stream(3, "a", "b").random()
    values = {stream(*key).random() for key in [(3, "a", "b"), (4, "a", "b"), (3, "ab"), (3, "b")]}
    assert len(values) == 4


def test_red_noise_has_unit_variance_and_the_memory_asked_for() -> None:
    noise = red_noise(stream(1, "noise"), 400_000, 10.0)
    assert noise.mean() == pytest.approx(0.0, abs=0.03)
    assert noise.std() == pytest.approx(1.0, abs=0.02)
    assert np.corrcoef(noise[:-10], noise[10:])[0, 1] == pytest.approx(np.exp(-1), abs=0.02)


@given(
    shape=st.lists(st.floats(0.01, 10.0), min_size=2, max_size=30),
    share=st.floats(0.05, 0.95),
    cap=st.floats(0.1, 5.0),
)
def test_scaling_keeps_total_and_cap(shape: list[float], share: float, cap: float) -> None:
    total = share * cap * len(shape)
    scaled = scaled_to_total(np.array(shape), total, who="x", cap_kwh=cap)
    assert scaled.sum() == pytest.approx(total, rel=1e-9)
    assert scaled.max() <= cap * (1 + 1e-12)


@pytest.mark.parametrize("total", [-1.0, 2.0, 3.0])
def test_a_total_out_of_reach_says_so(total: float) -> None:
    with pytest.raises(InvalidSpec, match=r"pump: total_kwh = .* outside \[0, 2\)"):
        scaled_to_total(np.array([1.0, 0.0, 1.0]), total, who="pump", cap_kwh=1.0)
