"""A day's bill under every built-in tariff, with the figures of 2016 added up by hand.

2 kWh are bought at noon and 1 kWh at 23 h, 3 kWh are sold at one; the day-ahead price is 40 €/MWh.
"""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from ems.agents import BaseLoadAgent, GridAgent
from ems.agents.dispatch_plan import DispatchPlan
from ems.core.horizon import Horizon
from ems.economics.settlement import DayKpis, savings, settle
from ems.economics.tariff_file import load_tariff

LOCAL_HOUR = np.array([12.0, 13.0, 23.0])
NET_KW = np.array([2.0, -3.0, 1.0])
DYNAMIC = (0.040 + 0.19137) * 1.19
"""Fees: 6.71 + 6.354 + 0.445 + 0.378 + 0.040 + 1.66 + 2.05 + 1.50 = 19.137 ct/kWh, VAT 19 %."""


def day(tariff_name: str) -> DayKpis:
    tariff, spot = load_tariff(tariff_name), np.full(3, 40.0)
    horizon = Horizon(
        start_utc=np.datetime64("2016-06-01T10:00"),
        step_h=1.0,
        import_eur_per_kwh=tariff.import_eur_per_kwh(spot, LOCAL_HOUR),
        export_eur_per_kwh=tariff.export_eur_per_kwh(spot),
    )
    agents = (BaseLoadAgent(name="load", load_kw=NET_KW), GridAgent())
    plans = {"load": agents[0].unplanned(horizon), "grid": GridAgent().settle(NET_KW)}
    return settle(
        DispatchPlan(
            mode="as_metered", horizon=horizon, agents=agents, plans=plans, objective_eur=np.nan
        )
    )


@pytest.mark.parametrize(
    ("tariff", "bought_eur", "sold_eur"),
    [
        ("dynamic", 3 * DYNAMIC, 3 * 0.1231),
        ("flat", 3 * 0.288, 3 * 0.1231),
        ("tou", 2 * 0.298 + 0.228, 3 * 0.1231),
        ("spot", 3 * 0.040, 3 * 0.040),
    ],
)
def test_a_bill_by_hand(tariff: str, bought_eur: float, sold_eur: float) -> None:
    kpis = day(tariff)
    assert kpis.bought_eur == pytest.approx(bought_eur, abs=1e-12)
    assert kpis.bill_eur == kpis.cost_eur == pytest.approx(bought_eur - sold_eur, abs=1e-12)


def test_what_did_not_happen_is_zero() -> None:
    """A meter alone: nothing stored, missed, worn, moved, curtailed or expected otherwise."""
    happened = {
        *("days", "bill_eur", "bought_eur", "import_kwh", "export_kwh", "demand_kwh"),
        *("peak_import_kw", "gap_eur"),
    }
    kpis = day("flat")
    others = {f.name: getattr(kpis, f.name) for f in fields(kpis) if f.name not in happened}
    assert others == dict.fromkeys(others, 0.0)
    assert {f.name for f in fields(kpis) if f.default == 0.0} == {
        *("missed_kwh", "pv_error_kwh", "load_error_kwh", "calendar_wear_eur"),
    }
    assert (kpis.mean_shift_h, kpis.stored_eur, kpis.own_use_kwh) == (0.0, 0.0, 0.0)


def test_a_saving_is_a_percentage_of_what_was_bought_where_that_is_worth_one() -> None:
    """0.864 € were bought in an eighth of a day; a whole day asks for 0.10 €."""
    found = savings(day("spot"), day("flat"))
    assert found.savings_eur == pytest.approx(3 * (0.288 - 0.1231))
    assert found.savings_pct == pytest.approx(100 * (0.288 - 0.1231) / 0.288)
