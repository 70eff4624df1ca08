"""Small houses, what was planned for them, and the pages of these runs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cache
from itertools import chain
from typing import Any

import numpy as np
from report.page.parsed import Page
from small_building import at, local_index, made

from ems.agents import BatteryAgent
from ems.economics.tariff_file import load_tariff
from ems.pipelines.captured import captured
from ems.pipelines.comparison import (
    DayRecord,
    ModeSummary,
    Window,
    choose_window,
    summarise,
)
from ems.pipelines.parallel import run_windows
from ems.pipelines.spec import ComparisonSpec
from ems.report.page import Report, comparison_report
from ems.site.assets import Assets, EVSpec
from ems.site.building import Building
from ems.site.meters import MeterData
from ems.store.read import FeedProblem, PortfolioRow

FIRST = date(2016, 6, 1)
SPEC = ComparisonSpec(
    tariff=load_tariff("dynamic"), modes=("centralized",), assets=Assets(ev=EVSpec(assumed=True))
)
GUESSING = replace(
    SPEC,
    tariff=load_tariff("tou"),
    foresight="forecast",
    forecaster="persistence",
    modes=("centralized", "centralized_phases"),
)
BARE = Assets(battery=None, ev=None, appliances=False)
V2G = Assets(
    battery=BatteryAgent(), ev=EVSpec(assumed=True, max_discharge_kw=5.0, strategy="three_phase")
)
COMMAND = "python scripts/01_run.py --n_days 2"


def house(*, sunny: bool = True, **fields: Any) -> MeterData:
    """Four days with a dishwasher, a heat pump and, unless it is dark, the sun."""
    index = local_index(FIRST, 4)
    loads = {
        "dishwasher": at(index, ("2016-06-01 19:00", 2, 0.8), ("2016-06-02 19:00", 2, 0.8)),
        "heat_pump": at(index, ("2016-06-01 05:00", 3, 1.0), ("2016-06-02 05:00", 3, 1.0)),
    }
    pv_kwh = np.where((index.hour >= 9) & (index.hour < 17), 3.0, 0.0)
    return replace(made(index, loads, pv_kwh=pv_kwh if sunny else None), **fields)


def changing_house() -> MeterData:
    """Forty days of clouds, meals, heat and washing that change from day to day."""
    rng, index = np.random.default_rng(5), local_index(FIRST, 40)
    hour, day = index.hour, np.arange(len(index)) // 24
    washed = [f"{index[24 * i]:%Y-%m-%d} {17 + rng.integers(4)}:00" for i in range(40)]
    loads = {
        "dishwasher": at(index, *((start, 2, 0.8) for start in washed)),
        "heat_pump": np.where((hour >= 5) & (hour < 8), rng.uniform(0.5, 1.5, 40)[day], 0.0),
        "fridge": np.where(hour == rng.integers(11, 14, 40)[day], 1.5, 0.1),
    }
    light = np.where((hour >= 8) & (hour < 18), 4.0, 0.0)
    price = 30.0 + 20.0 * np.sin(hour / 6 * np.pi)
    pv_kwh = light * rng.uniform(0.1, 1.0, 40)[day]
    return made(index, loads, pv_kwh=pv_kwh, price_eur_per_mwh=price)


def habit_house() -> MeterData:
    """Forty winter days on which people wash at 19 h."""
    index = local_index(date(2016, 1, 4), 40)
    washed = at(index, *((f"{index[24 * day]:%Y-%m-%d} 19:00", 2, 0.8) for day in range(40)))
    pv_kwh = np.where((index.hour >= 10) & (index.hour < 15), 3.0, 0.0)
    return made(index, {"dishwasher": washed}, pv_kwh=pv_kwh)


@dataclass(frozen=True, kw_only=True, eq=False)
class Done:
    """A finished run of Pipeline A on one house."""

    building: Building
    window: Window
    records: tuple[DayRecord, ...]
    summaries: tuple[ModeSummary, ...]
    spec: ComparisonSpec

    @property
    def planned(self) -> list[DayRecord]:
        """Its days as first planned."""
        return [record for record in self.records if record.mode == self.spec.modes[0]]


def done(
    history: MeterData, spec: ComparisonSpec = SPEC, n_days: int = 2, first: date = FIRST
) -> Done:
    """The run of a history."""
    building = Building(history, spec.tariff, spec.assets)
    window = choose_window(building, first, n_days)
    records = tuple(chain.from_iterable(run_windows([building], spec, [window])))
    return Done(
        building=building,
        window=window,
        records=records,
        summaries=summarise(records),
        spec=spec,
    )


@cache
def usual() -> Done:
    """Two sunny days with battery and car."""
    return done(house())


@cache
def guessed(**fields: Any) -> Done:
    """Two days whose plans were made on forecasts."""
    return done(changing_house(), replace(GUESSING, **fields), first=FIRST + timedelta(days=36))


def row(building: str, *problems: FeedProblem) -> PortfolioRow:
    """What the database knows of a building."""
    return PortfolioRow(
        building=building,
        kind="residential",
        days=9,
        plannable_days=9,
        load_rule="import",
        known_load_kwh=1.0,
        metered_import_kwh=1.0,
        metered_export_kwh=0.0,
        metered_pv_kwh=0.0,
        pv_peak_kw=0.0,
        devices={},
        has_import_meter=True,
        problems=problems,
    )


def report(run: Done, **changes: Any) -> Report:
    """The report of a run, with some of what it is made of changed."""
    given: dict[str, Any] = {
        "command": COMMAND,
        "run_id": "abc",
        "spec": run.spec,
        "chosen": [(run.building, run.window)],
        "known": [row(run.window.building)],
        "summaries": run.summaries,
        "captured": captured([record.result for record in run.records]),
        "results": [record.result for record in run.records],
        "example": run.planned[0],
    }
    return comparison_report(**{**given, **changes})


def page(run: Done, **changes: Any) -> Page:
    """The page of a run; without changes it is made once."""
    return Page.of(report(run, **changes)) if changes else _page(run)


@cache
def _page(run: Done) -> Page:
    return Page.of(report(run))
