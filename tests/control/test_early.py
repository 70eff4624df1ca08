"""Of equal plans the earliest: what is put off and then not needed is never used."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ems.agents import BaseLoadAgent, BatteryAgent, GridAgent
from ems.control.optimizer import GlobalOptimizer
from ems.core.horizon import Horizon
from ems.types import Floats

BATTERY = BatteryAgent(
    capacity_kwh=1.0,
    initial_soc_kwh=1.0,
    final_soc_kwh=0.0,
    round_trip_efficiency=1.0,
    wear_eur_per_kwh=0.0,
)


def hours(n: int) -> Horizon:
    return Horizon(
        start_utc=np.datetime64("2016-06-01T00:00"),
        step_h=1.0,
        import_eur_per_kwh=np.full(n, 0.30),
        export_eur_per_kwh=np.zeros(n),
    )


def paid_eur(believed_kw: Floats, real_kw: Floats) -> float:
    """The bill when every hour is planned anew and the first hour of each plan is carried out."""
    battery, bill_eur = BATTERY, 0.0
    for t, load_kw in enumerate(real_kw):
        rest = hours(len(real_kw) - t)
        load = BaseLoadAgent(load_kw=np.append(load_kw, believed_kw[t + 1 :]))
        plan = GlobalOptimizer([load, battery], GridAgent()).optimize_centralized(rest)
        done = battery.execute(rest.window(0, 1), plan.plans["battery"], battery)
        bill_eur += 0.30 * max(0.0, load_kw + float(done.net_load_kw[0]))
        battery = replace(battery, initial_soc_kwh=float(done.series["soc_kwh"][0]))
    return bill_eur


def test_a_kwh_that_waits_for_a_load_that_does_not_come_is_lost() -> None:
    """Believed 1, 1, 1, 1 kW, really 1, 1, 1, 0: the oracle pays for two of three kWh."""
    believed_kw, real_kw = np.ones(4), np.array([1.0, 1.0, 1.0, 0.0])
    assert paid_eur(believed_kw, real_kw) == pytest.approx(0.60, abs=1e-6)
