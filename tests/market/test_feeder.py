"""Voltages by hand, and the feeder that everybody compares on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ems.errors import InvalidSpec, SolveError
from ems.market.feeder import BARAN_WU_33, Feeder, linear_voltages, power_flow, read_feeder


def feeder(n: int = 1, r: float = 0.01, x: float = 0.02) -> Feeder:
    """A line of ``n`` equal branches."""
    return Feeder(
        name="line",
        upstream=np.arange(n) - 1,
        r_pu=np.full(n, r),
        x_pu=np.full(n, x),
        base_kva=1000.0,
        base_kv=10.0,
    )


def test_two_buses_by_hand() -> None:
    """v² solves v⁴ − (1 − 2(rP + xQ)) v² + |z|²|s|² = 0; linear v² = 1 − 2(rP + xQ)."""
    p, q = np.array([1.0]), np.array([0.5])
    b = 1 - 2 * (0.01 * 1.0 + 0.02 * 0.5)
    c = (0.01**2 + 0.02**2) * (1.0**2 + 0.5**2)
    v = np.sqrt((b + np.sqrt(b**2 - 4 * c)) / 2)
    found = power_flow(feeder(), p, q)
    assert found.voltage_pu == pytest.approx([v])
    assert found.loss_kw == pytest.approx([1000 * 0.01 * 1.25 / v**2])
    assert linear_voltages(feeder(), p, q) == pytest.approx([np.sqrt(b)])


def test_a_line_of_three_carries_what_lies_behind() -> None:
    p, q = np.array([0.1, 0.2, 0.3]), np.zeros(3)
    squares = 1 - 2 * 0.01 * np.cumsum([0.6, 0.5, 0.3])
    assert linear_voltages(feeder(3), p, q) == pytest.approx(np.sqrt(squares))


def test_the_33_buses_of_baran_and_wu() -> None:
    """Published: 202.68 kW lost, 0.91309 pu at bus 18."""
    net, p, q = read_feeder(BARAN_WU_33)
    exact = power_flow(net, p, q)
    assert p.sum() * net.base_kva == pytest.approx(3715)
    assert q.sum() * net.base_kva == pytest.approx(2300)
    assert round(float(exact.voltage_pu.min()), 5) == 0.91309
    assert exact.voltage_pu.argmin() + 2 == 18
    assert round(float(exact.loss_kw.sum()), 2) == 202.68
    assert round(float(linear_voltages(net, p, q).min()), 5) == 0.91593


def test_many_loads_at_once_are_each_alone() -> None:
    net, p, q = read_feeder(BARAN_WU_33)
    scale = np.linspace(-1.0, 1.5, 6)[:, None]
    together = power_flow(net, scale * p, scale * q)
    for i in range(6):
        alone = power_flow(net, scale[i] * p, scale[i] * q)
        assert together.voltage_pu[i] == pytest.approx(alone.voltage_pu, abs=1e-9)
    linear = linear_voltages(net, scale * p, scale * q)
    assert (linear >= together.voltage_pu - 1e-9).all()  # what it leaves out only lowers


def test_what_cannot_be_carried_is_said() -> None:
    with pytest.raises(SolveError, match="beyond what the feeder can carry"):
        power_flow(feeder(), np.array([50.0]), np.array([0.0]))
    with pytest.raises(SolveError, match="no voltage at bus 0"):
        linear_voltages(feeder(), np.array([60.0]), np.array([0.0]))


def test_what_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidSpec, match="upstream of bus 0 is 0"):
        Feeder(
            name="ring",
            upstream=np.array([0]),
            r_pu=np.ones(1),
            x_pu=np.ones(1),
            base_kva=1.0,
            base_kv=1.0,
        )
    with pytest.raises(InvalidSpec, match=r"must both be \(…, 1\)"):
        power_flow(feeder(), np.ones(2), np.ones(2))
    with pytest.raises(InvalidSpec, match="not finite"):
        power_flow(feeder(), np.array([np.nan]), np.ones(1))
    file = tmp_path / "feeder.toml"
    text = BARAN_WU_33.read_text("utf-8")
    file.write_text(text.replace("from_bus = 17", "from_bus = 99"), "utf-8")
    with pytest.raises(InvalidSpec, match="bus 99 has no branch"):
        read_feeder(file)
    file.write_text(text.replace("to_bus = 33", "to_bus = 32"), "utf-8")
    with pytest.raises(InvalidSpec, match="two branches"):
        read_feeder(file)
