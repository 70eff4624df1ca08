"""Sizes in one table: what each saves by hand, and that a size is the run of that size."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import date

import numpy as np
import pytest
from small_building import at, local_index, made

from ems.agents import BatteryAgent
from ems.core.mode import Mode
from ems.economics.settlement import DayKpis
from ems.economics.tariff_file import load_tariff
from ems.errors import DataError
from ems.pipelines.comparison import ModeSummary, summarise
from ems.pipelines.parallel import run_comparison
from ems.pipelines.sizes import Size, size_of, size_rows, sized
from ems.pipelines.spec import ComparisonSpec
from ems.site.assets import Assets

SPEC = ComparisonSpec(tariff=load_tariff("tou"), modes=("centralized",))
SMALL, LARGE = (Assets(battery=BatteryAgent(capacity_kwh=kwh)) for kwh in (8.0, 12.5))


def kpis(cost_eur: float) -> DayKpis:
    values = {field.name: 0.0 for field in fields(DayKpis)}
    return DayKpis(**values | {"days": 1.0, "bought_eur": 4.0, "bill_eur": cost_eur})


def found(*modes: tuple[Mode, float], building: str = "house") -> tuple[ModeSummary, ...]:
    from ems.pipelines.comparison import DayResult

    day = date(2016, 6, 1)
    return summarise(
        [DayResult(building=building, day=day, mode=m, kpis=kpis(eur)) for m, eur in modes]
    )


def test_only_what_differs_is_in_the_name_of_a_size() -> None:
    sunny = replace(LARGE, pv_scale=1.5)
    assert [size_of(one, (SMALL, LARGE)).label for one in (SMALL, LARGE)] == [
        "battery 8 kWh",
        "battery 12.5 kWh",
    ]
    assert size_of(sunny, (LARGE, sunny)).label == "PV x 1.5"
    assert size_of(sunny, (SMALL, sunny)).label == "battery 12.5 kWh, PV x 1.5"
    specs = sized(SPEC, (SMALL, LARGE))
    assert [spec.assets for spec in specs.values()] == [SMALL, LARGE]
    assert [size.battery_kwh for size in specs] == [8.0, 12.5]


def test_a_saving_is_against_the_house_as_it_stands_and_the_rule_of_that_size() -> None:
    """10 € with its own sun; with twice the sun 6 € as metered, 5 € by the rule, 4.50 € planned."""
    own, more = (
        Size(battery_kwh=8.0, pv_scale=scale, label=f"PV x {scale:g}") for scale in (1.0, 2.0)
    )
    rows = size_rows(
        {
            more: found(("as_metered", 6.0), ("rule_based", 5.0), ("centralized", 4.5)),
            own: found(("as_metered", 10.0), ("rule_based", 9.0), ("centralized", 8.5)),
        }
    )
    assert [row.size for row in rows] == [None, more, own]
    assert [row.kpis.cost_eur for row in rows] == [10.0, 4.5, 8.5]
    assert [row.vs_metered.savings_eur for row in rows[1:] if row.vs_metered] == [5.5, 1.5]
    assert [row.vs_rule.savings_eur for row in rows[1:] if row.vs_rule] == [0.5, 0.5]
    with pytest.raises(DataError, match="none has the metered PV"):
        size_rows({more: found(("as_metered", 6.0))})


def test_buildings_stand_one_after_the_other() -> None:
    size = Size(battery_kwh=8.0, pv_scale=1.0, label="battery 8 kWh")
    modes: tuple[tuple[Mode, float], ...] = (("as_metered", 2.0), ("rule_based", 2.0))
    modes = (*modes, ("decentralized", 1.5), ("centralized", 1.0))
    rows = size_rows({size: (*found(*modes, building="a"), *found(*modes, building="b"))})
    assert [(row.building, row.mode) for row in rows] == [
        (name, mode) for name in "ab" for mode in ("as_metered", "decentralized", "centralized")
    ]


def test_more_battery_never_costs_more_and_more_sun_never_buys_more() -> None:
    """Planned together with everything known; calendar ageing is in no cost."""
    index = local_index(date(2016, 6, 1), 2)
    sun = at(index, *((f"2016-06-0{day} 09:00", 8, 2.0) for day in (1, 2)))
    history = made(index, pv_kwh=sun, base_kw=0.8)
    worth, bought = [], []
    for battery_kwh, pv_scale in ((4.0, 1.0), (8.0, 1.0), (8.0, 2.0), (8.0, 0.0)):
        battery = BatteryAgent(capacity_kwh=battery_kwh, initial_soc_kwh=0.0)
        assets = Assets(battery=battery, pv_scale=pv_scale)
        records = list(run_comparison(history, replace(SPEC, assets=assets), n_days=2))
        totals = {row.mode: row.kpis for row in summarise([record.result for record in records])}
        worth.append(totals["perfect_foresight"].with_wear_eur)
        bought.append(totals["as_metered"].import_kwh)
    assert worth[1] < worth[0]
    assert worth[2] < worth[1] < worth[3]
    # 2 days at 0.8 kW: all night and, in the sun's 8 h, nothing; without sun all day.
    np.testing.assert_allclose(bought, [0.8 * 32, 0.8 * 32, 0.8 * 32, 0.8 * 48])
