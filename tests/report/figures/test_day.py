"""The planned day shows the numbers of the plan and nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import matplotlib.dates as mdates
import numpy as np
import pytest
from report.figures.made import TWIN, all_text, horizon, record, schedule, stairs_of

from ems.agents.dispatch_plan import DispatchPlan
from ems.core.mode import LABELS, Mode
from ems.report.figures.day import planned_day


def _figure(of: DispatchPlan) -> Any:
    return planned_day(record(of), tariff="my-tariff", origin=TWIN)


def _heights_kw(of: DispatchPlan) -> dict[str, Any]:
    """For each layer what it adds to its stack, draws as negative."""
    data = {p.get_label(): p.get_data() for p in _figure(of).axes[0].patches}
    return {label: values - baseline for label, (values, _, baseline) in data.items()}


def test_each_layer_is_the_net_load_of_its_agent_over_its_steps() -> None:
    made = schedule(horizon(step_h=0.25), devices=("washing_machine",))
    layers = _heights_kw(made)
    assert len(layers) == 10
    for agent in made.agents:
        net_kw = made.plans[agent.name].net_load_kw
        for label, sign in zip(agent.flow_labels, (1.0, -1.0), strict=True):
            expected = sign * np.maximum(-sign * net_kw, 0.0)
            drawn = layers.get(label, np.zeros_like(expected))
            np.testing.assert_allclose(drawn, expected, atol=1e-12, err_msg=label)
    np.testing.assert_allclose(sum(layers.values()), 0.0, atol=1e-9)
    _, edges, _ = stairs_of(_figure(made).axes[0], "PV")
    np.testing.assert_array_equal(edges[:-1], mdates.date2num(made.horizon.ts_utc))


def test_charge_stands_at_the_end_of_its_step_and_begins_where_the_store_stood() -> None:
    made = schedule(horizon())
    ax = _figure(made).axes[1]
    line = next(line for line in ax.lines if line.get_label().startswith("battery"))
    held_kwh = np.array([8.0, *made.plans["battery"].series["soc_kwh"]])
    np.testing.assert_allclose(line.get_ydata(), 100.0 * held_kwh / 15.0)
    np.testing.assert_array_equal(line.get_xdata()[:-1], mdates.date2num(made.horizon.ts_utc))
    assert [entry.get_text() for entry in ax.get_legend().get_texts()] == [
        "battery, 15 kWh",
        "car, 60 kWh",
    ]
    assert ax.get_ylabel() == "charge\n[%]"
    lines = _figure(made.window(10, 20)).axes[1].lines
    later = next(line for line in lines if line.get_label().startswith("battery"))
    assert later.get_ydata()[0] == pytest.approx(
        100.0 * made.plans["battery"].series["soc_kwh"][9] / 15.0
    )


def test_prices_are_in_ct_and_may_be_negative() -> None:
    of = horizon()
    ax = _figure(schedule(of)).axes[-1]
    for label, price in (("import", of.import_eur_per_kwh), ("export", of.export_eur_per_kwh)):
        np.testing.assert_allclose(stairs_of(ax, label).values, 100.0 * price)
    assert ax.get_ylim()[0] < 100.0 * of.export_eur_per_kwh.min() < 0.0


@pytest.mark.parametrize(
    ("day", "hours", "note"),
    [
        ("2016-06-01", "00 02 04 06 08 10 12 14 16 18 20 22 24", "(Europe/Berlin)"),
        ("2016-03-27", "00 04 06 08 10 12 14 16 18 20 22 24", "23-hour day"),
        ("2016-10-30", "00 02 02 04 06 08 10 12 14 16 18 20 22 24", "25-hour day"),
    ],
)
def test_hours_are_local_and_the_doubled_one_stands_twice(day: str, hours: str, note: str) -> None:
    ax = _figure(schedule(horizon(day))).axes[-1]
    assert " ".join(label.get_text() for label in ax.get_xticklabels()) == hours
    assert note in ax.get_xlabel()
    assert set(ax.get_xticks()) <= set(stairs_of(ax, "import").edges)


def test_what_is_not_there_is_not_drawn() -> None:
    figure = _figure(schedule(horizon(), pv=False, batteries=0, cars=0))
    assert [ax.get_ylabel().split("\n")[0] for ax in figure.axes] == ["mean power [kW]", "price"]
    assert "PV" not in all_text(figure)
    assert "battery" not in all_text(figure)


def test_curtailed_sun_is_an_outline_on_top_of_what_feeds() -> None:
    made = schedule(horizon(), curtailed=True)
    ax = _figure(made).axes[0]
    values, _, base_kw = stairs_of(ax, "curtailed")
    lost_kw = made.plans["pv"].series["curtailed_kw"]
    np.testing.assert_allclose(values - base_kw, lost_kw, atol=1e-12)
    feeds_kw = sum(np.maximum(-plan.net_load_kw, 0.0) for plan in made.plans.values())
    np.testing.assert_allclose(base_kw, feeds_kw, atol=1e-12)
    outline = next(p for p in ax.patches if p.get_label() == "curtailed")
    assert outline.get_linewidth() > 0
    assert ax.get_ylim()[1] >= values.max()


def test_agents_have_their_own_colours_and_hatches_tell_equal_ones_apart() -> None:
    made = schedule(horizon(), batteries=2)
    patches = {p.get_label(): p for p in _figure(made).axes[0].patches}
    one, other = patches["battery charge"], patches["battery 1 charge"]
    assert one.get_facecolor() == other.get_facecolor()
    assert one.get_hatch() != other.get_hatch()
    alone = _figure(schedule(horizon(), devices=("heat_pump",))).axes[0].patches
    (same,) = (p.get_facecolor() for p in alone if p.get_label() == "heat pump")
    assert patches["heat pump"].get_facecolor() == same


@pytest.mark.parametrize("mode", ["as_metered", "rule_based", "decentralized"])
def test_only_a_plan_is_called_an_upper_bound(mode: Mode) -> None:
    made = record(schedule(horizon(), mode=mode))
    text = all_text(planned_day(made, tariff="my-tariff", origin=TWIN))
    assert ("perfect foresight: upper bound" in text) == (mode == "decentralized")
    assert f"DE_KN_residential9 · Wed 1 Jun 2016 · {LABELS[mode]}" in text
    assert "tariff my-tariff" in text
    assert f"bill {made.kpis.bill_eur:.2f} €" in text


def test_a_car_that_comes_home_and_charges_falls_first_and_then_rises() -> None:
    made = schedule(horizon(), batteries=0)
    car: Any = next(agent for agent in made.agents if agent.name == "ev")
    trip_kwh = np.zeros(24)
    trip_kwh[13] = 8.0
    charge_kw, before_kwh = np.where(np.arange(24) == 13, 4.0, 0.0), 20.0
    held_kwh = car.store.soc_after(made.horizon, charge_kw, np.zeros(24), before_kwh, trip_kwh)
    driven = replace(car, trip_kwh=trip_kwh)
    plan = replace(made.plans["ev"], series={**made.plans["ev"].series, "soc_kwh": held_kwh})
    agents = tuple(driven if agent is car else agent for agent in made.agents)
    ax = _figure(replace(made, agents=agents, plans={**made.plans, "ev": plan})).axes[1]
    at, charge_pct = ax.lines[0].get_data()
    assert len(at) == 26
    assert at[13] == at[14]
    np.testing.assert_allclose(0.6 * charge_pct[13:15], [20.0, 12.0])
    np.testing.assert_allclose(0.6 * charge_pct[15], held_kwh[13])
    assert charge_pct[14] < charge_pct[15]
