"""The house and the heat pump's curve against formulas and another integrator."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from ems.agents.thermal import (
    HeatLoss,
    House,
    cop_outdoors,
    fitted_loss,
    heat_of,
    marginal_cop,
    power_for,
)
from ems.errors import InvalidSpec

ONE = House(capacity_kwh_per_k=8.0, time_constant_h=48.0)
TWO = House(capacity_kwh_per_k=8.0, time_constant_h=48.0, mass_share=0.75, coupling_h=2.0)


@pytest.mark.parametrize("step_h", [0.25, 1.0, 6.0])
def test_the_step_response_is_the_analytic_one(step_h: float) -> None:
    """1 kW from rest: E(t) = τ (1 − e^(−t/τ)) kWh, whatever the step."""
    keep, gain = ONE.step(step_h)
    held_kwh, steps = np.zeros(1), round(24 / step_h)
    for _ in range(steps):
        held_kwh = keep @ held_kwh + gain * step_h
    assert held_kwh[0] == pytest.approx(48 * (1 - np.exp(-24 / 48)), rel=1e-12)


@pytest.mark.parametrize("house", [ONE, TWO])
def test_another_integrator_finds_the_same(house: House) -> None:
    """Heat that changes from hour to hour, in kelvin: C dθ/dt as the field writes it."""
    heat_kw = np.array([3.0, 0.0, 1.0, 2.0, 0.0, 4.0])
    air, mass = house.air_kwh_per_k, house.capacity_kwh_per_k * house.mass_share
    lost_kw_per_k = house.capacity_kwh_per_k / house.time_constant_h

    def change_k_per_h(t: float, warm_k: np.ndarray) -> list[float]:
        to_mass_kw = air / house.coupling_h * (warm_k[0] - warm_k[-1]) if mass else 0.0
        heat = heat_kw[min(int(t), 5)]
        own = (heat - lost_kw_per_k * warm_k[0] - to_mass_kw) / air
        return [own, to_mass_kw / mass] if mass else [own]

    warm_k = np.zeros(len(house.nodes))
    for hour in range(6):
        span = (hour, hour + 1 - 1e-12)
        warm_k = solve_ivp(change_k_per_h, span, warm_k, rtol=1e-11, atol=1e-12).y[:, -1]
    keep, gain = house.step(1.0)
    held_kwh = np.zeros(len(house.nodes))
    for heat in heat_kw:
        held_kwh = keep @ held_kwh + gain * heat
    each = [air, mass][: len(house.nodes)]
    assert held_kwh == pytest.approx(warm_k * each, rel=1e-7)


@given(
    mass_share=st.just(0.0) | st.floats(0.05, 0.95),
    hours=st.floats(1.0, 500.0),
    step_h=st.sampled_from([0.25, 1.0]),
)
def test_no_heat_appears_and_what_is_made_is_kept_or_lost(
    mass_share: float, hours: float, step_h: float
) -> None:
    house = House(capacity_kwh_per_k=8.0, time_constant_h=hours, mass_share=mass_share)
    keep, gain = house.step(step_h)
    assert np.all(keep >= -1e-12)
    assert np.all(keep.sum(axis=0) < 1.0)
    assert 0 < gain.sum() < 1.0


def test_two_nodes_keep_as_much_as_one_in_the_long_run() -> None:
    """In balance, 1 kW holds τ kWh in air and mass together: H is the same."""
    keep, gain = TWO.step(1.0)
    held_kwh = np.linalg.solve(np.eye(2) - keep, gain)
    assert held_kwh[0] / TWO.air_kwh_per_k == pytest.approx(48.0 / 8.0)
    assert held_kwh.sum() == pytest.approx(48.0)


def test_the_cop_by_hand() -> None:
    """Floors at 0 °C: 0.85 (6.08 − 0.09 · 30 + 0.0005 · 900); mild air counts as 15 K."""
    assert cop_outdoors(np.array([0.0, 30.0])) == pytest.approx(
        [0.85 * 3.83, 0.85 * (6.08 - 1.35 + 0.1125)]
    )


def test_heat_of_power_by_hand() -> None:
    """At a third of full power the COP is 10 % above medium load, at full power 15 % below."""
    power_kw = np.array([0.0, 1.0, 3.0, 6.5, 10.0])
    heat_kw = [0.0, 3.3, 9.9, 6.5 * 0.975 * 3, 10 * 0.85 * 3]
    assert heat_of(power_kw, np.full(5, 3.0), 10.0) == pytest.approx(heat_kw)
    assert marginal_cop(3.0, 3.0, 10.0, more=False) == pytest.approx(3.3)
    assert marginal_cop(3.0, 3.0, 10.0, more=True) == pytest.approx(3 * (6.5 * 0.975 - 3.3) / 3.5)


@given(power_kw=st.floats(0.0, 10.0), cop=st.floats(1.0, 6.0))
def test_power_for_heat_is_the_inverse(power_kw: float, cop: float) -> None:
    heat_kw = heat_of(np.array([power_kw]), np.array([cop]), 10.0)
    assert power_for(heat_kw, np.array([cop]), 10.0) == pytest.approx([power_kw], abs=1e-9)


def test_a_loss_is_found_again_and_days_without_cold_have_none() -> None:
    temperature_c = np.linspace(-10.0, 25.0, 100)
    loss = HeatLoss(kw_per_k=0.2, limit_c=15.0)
    found = fitted_loss(loss.daily_kwh(temperature_c), temperature_c)
    assert found is not None
    assert found.kw_per_k == pytest.approx(0.2)
    assert found.limit_c == 15.0
    assert fitted_loss(np.ones(3), np.full(3, 30.0)) is None
    assert fitted_loss(np.zeros(3), np.zeros(3)) is None


@pytest.mark.parametrize(
    ("field", "value"),
    [("capacity_kwh_per_k", 0.0), ("time_constant_h", float("nan")), ("mass_share", 1.0)],
)
def test_a_house_that_cannot_be(field: str, value: float) -> None:
    with pytest.raises(InvalidSpec, match=f"house: {field} is {value}, allowed is 0"):
        House(**{"capacity_kwh_per_k": 8.0, field: value})
