"""The planned day shows the numbers of the schedule and nothing else."""

from __future__ import annotations

from typing import Any

import matplotlib.dates as mdates
import numpy as np
import pytest
from report.figures.made import TWIN, all_text, horizon, record, schedule, stairs_of

from ems.agents.dispatch_plan import DispatchPlan
from ems.core.mode import Mode
from ems.report.figures import planned_day
from ems.report.figures.style import MODE_LINES


def _figure(of: DispatchPlan) -> Any:
    return planned_day(record(of), tariff="dynamic", origin=TWIN)


def _heights_kw(ax: Any) -> dict[str, Any]:
    """For each layer what it adds to its stack, draws as negative."""
    data = {p.get_label(): p.get_data() for p in ax.patches}
    return {label: values - baseline for label, (values, _, baseline) in data.items()}


def test_each_layer_is_the_net_load_of_its_agent() -> None:
    made = schedule(horizon(), devices=("washing_machine",))
    layers = _heights_kw(_figure(made).axes[0])
    net_kw = {name: plan.net_load_kw for name, plan in made.plans.items()}
    for label, agent, sign in (
        ("PV", "pv", -1),
        ("grid import", "grid", -1),
        ("grid export", "grid", 1),
        ("battery charge", "battery", 1),
        ("battery discharge", "battery", -1),
        ("EV charge", "ev", 1),
        ("EV discharge (V2G)", "ev", -1),
        ("base load", "base_load", 1),
        ("base load (negative)", "base_load", -1),
        ("washing machine", "washing_machine", 1),
    ):
        expected = np.maximum(sign * net_kw[agent], 0.0)
        np.testing.assert_allclose(layers[label], -sign * expected, atol=1e-12, err_msg=label)
    assert len(layers) == 10


@pytest.mark.parametrize("step_h", [1.0, 0.25])
def test_both_stacks_reach_equally_far_from_zero(step_h: float) -> None:
    layers = _heights_kw(_figure(schedule(horizon(step_h=step_h))).axes[0])
    np.testing.assert_allclose(sum(layers.values()), 0.0, atol=1e-9)


def test_steps_are_labelled_by_their_start_and_last_to_the_next() -> None:
    of = horizon(step_h=0.25)
    _, edges, _ = stairs_of(_figure(schedule(of)).axes[0], "PV")
    assert len(edges) == 97
    np.testing.assert_array_equal(edges[:-1], mdates.date2num(of.ts_utc))


def test_charge_stands_at_the_end_of_its_step_and_begins_where_the_store_stood() -> None:
    made = schedule(horizon())
    ax = _figure(made).axes[1]
    line = next(line for line in ax.lines if line.get_label().startswith("battery"))
    np.testing.assert_array_equal(line.get_ydata()[1:], made.plans["battery"].series["soc_kwh"])
    assert line.get_ydata()[0] == 8.0
    np.testing.assert_array_equal(line.get_xdata()[:-1], mdates.date2num(made.horizon.ts_utc))
    assert [entry.get_text() for entry in ax.get_legend().get_texts()] == [
        "battery (capacity 15 kWh)",
        "EV (capacity 60 kWh)",
    ]
    levels = [line.get_ydata()[0] for line in ax.lines if line.get_linestyle() == ":"]
    assert sorted(levels) == [15.0, 60.0]


def test_a_later_window_begins_with_the_charge_of_that_moment() -> None:
    made = schedule(horizon())
    ax = _figure(made.window(10, 20)).axes[1]
    line = next(line for line in ax.lines if line.get_label().startswith("battery"))
    assert line.get_ydata()[0] == pytest.approx(made.plans["battery"].series["soc_kwh"][9])


def test_prices_are_in_ct_and_may_be_negative() -> None:
    of = horizon()
    ax = _figure(schedule(of)).axes[-1]
    for label, price in (("import", of.import_eur_per_kwh), ("export", of.export_eur_per_kwh)):
        values, _, _ = stairs_of(ax, label)
        np.testing.assert_allclose(values, 100.0 * price)
    assert ax.get_ylim()[0] < 100.0 * of.export_eur_per_kwh.min() < 0.0
    assert ax.get_ylabel() == "price [ct/kWh]"


@pytest.mark.parametrize(
    ("day", "hours", "note"),
    [
        ("2016-06-01", "00 02 04 06 08 10 12 14 16 18 20 22 24", "(Europe/Berlin)"),
        ("2016-03-27", "00 04 06 08 10 12 14 16 18 20 22 24", "23-hour day"),
        ("2016-10-30", "00 02 02 04 06 08 10 12 14 16 18 20 22 24", "25-hour day"),
    ],
)
def test_hours_are_local_and_the_doubled_one_stands_twice(day: str, hours: str, note: str) -> None:
    of = horizon(day)
    ax = _figure(schedule(of)).axes[-1]
    assert " ".join(label.get_text() for label in ax.get_xticklabels()) == hours
    assert note in ax.get_xlabel()
    _, edges, _ = stairs_of(ax, "import")
    assert len(edges) == of.n_steps + 1
    assert set(ax.get_xticks()) <= set(edges)


def test_a_building_without_a_store_has_no_panel_of_charge() -> None:
    figure = _figure(schedule(horizon(), batteries=0, cars=0))
    assert [ax.get_ylabel().split(" [")[0] for ax in figure.axes] == ["mean power", "price"]


def test_what_is_never_on_is_not_in_the_legend() -> None:
    figure = _figure(schedule(horizon(), pv=False, batteries=0))
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


def test_a_device_keeps_its_colour_whoever_runs_beside_it() -> None:
    def colour(devices: tuple[str, ...]) -> Any:
        ax = _figure(schedule(horizon(), devices=devices)).axes[0]
        return next(p for p in ax.patches if p.get_label() == "heat pump").get_facecolor()

    alone = colour(("heat_pump",))
    assert colour(("dishwasher", "heat_pump", "washing_machine")) == alone


@pytest.mark.parametrize(
    ("mode", "bound"), [("as_metered", False), ("rule_based", False), ("decentralized", True)]
)
def test_only_a_plan_is_called_an_upper_bound(mode: Mode, bound: bool) -> None:
    text = all_text(_figure(schedule(horizon(), mode=mode)))
    assert ("perfect foresight: upper bound" in text) == bound
    assert MODE_LINES[mode].label in text


def test_the_title_names_building_day_tariff_and_cost() -> None:
    made = record(schedule(horizon()))
    text = all_text(planned_day(made, tariff="my-tariff", origin=TWIN))
    assert "DE_KN_residential9 · Wed 1 Jun 2016 · centralized" in text
    assert "tariff my-tariff" in text
    assert f"{made.kpis.cost_eur:.2f} €" in text
