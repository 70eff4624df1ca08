"""Made schedules, results and portfolio rows of any shape, and what stands in a figure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from datetime import date, timedelta
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.legend import Legend

from ems.agents import (
    Agent,
    BaseLoadAgent,
    BatteryAgent,
    DiscretePhaseDevice,
    EVAgent,
    GridAgent,
    PVAgent,
)
from ems.agents.dispatch_plan import DispatchPlan
from ems.core.horizon import Horizon
from ems.core.mode import Mode
from ems.core.participant import Plan
from ems.economics.settlement import DayKpis, settle
from ems.pipelines.comparison import MODES, DayRecord, DayResult, ModeSummary, summarise
from ems.report.figures import Origin
from ems.store.read import FeedProblem, PortfolioRow

TWIN = Origin(source="made for a test; CC0-1.0", synthetic=True)
REAL = Origin(source="a meter; CC BY 4.0 (attribution required)", synthetic=False)
LONG_NAME = "DE_KN_residential_quarter_with_a_very_long_name_indeed_number_17_north_wing"


def horizon(day: str = "2016-06-01", *, n_days: int = 1, step_h: float = 1.0) -> Horizon:
    begin = pd.Timestamp(day, tz="Europe/Berlin")
    length_h = (begin + pd.DateOffset(days=n_days) - begin) / pd.Timedelta(hours=1)
    n = round(length_h / step_h)
    rng = np.random.default_rng(n)
    return Horizon(
        start_utc=np.datetime64(begin.tz_convert("UTC").tz_localize(None), "s"),
        step_h=step_h,
        import_eur_per_kwh=rng.uniform(-0.05, 0.3, n),
        export_eur_per_kwh=rng.uniform(-0.08, 0.12, n),
    )


def schedule(
    of: Horizon,
    *,
    mode: Mode = "centralized",
    devices: Sequence[str] = ("dishwasher", "heat_pump"),
    pv: bool = True,
    curtailed: bool = False,
    batteries: int = 1,
    cars: int = 1,
) -> DispatchPlan:
    """A schedule of random plans whose powers balance at the grid."""
    rng = np.random.default_rng(3)
    n = of.n_steps
    zeros = np.zeros(n)
    agents: list[Agent] = []
    plans: dict[str, Plan] = {}

    def add(agent: Agent, net_kw: Any, **series: Any) -> None:
        agents.append(agent)
        plans[agent.name] = Plan(agent=agent.name, net_load_kw=net_kw, series=series)

    base_kw = rng.uniform(-0.05, 0.6, n)
    add(BaseLoadAgent(name="base_load", load_kw=base_kw), base_kw)
    if pv:
        sun_kw = 5.0 * np.clip(np.sin((of.local_hour - 6) / 12 * np.pi), 0.0, None)
        lost_kw = 0.2 * sun_kw * curtailed
        pv_agent = PVAgent(name="pv", available_kw=sun_kw, curtailable=curtailed)
        series = {"generation_kw": sun_kw - lost_kw}
        add(
            pv_agent,
            lost_kw - sun_kw,
            **(series | ({"curtailed_kw": lost_kw} if curtailed else {})),
        )
    for name in devices:
        power_kw = rng.uniform(0.1, 1.0, n) * (rng.random(n) < 0.5)
        add(DiscretePhaseDevice(name=name, cycles=()), power_kw, power_kw=power_kw)
    for i in range(cars):
        net_kw = np.where(np.arange(n) < n / 2, 3.0, -2.0) * (rng.random(n) < 0.4)
        car = EVAgent(
            name=f"ev_{i}" if i else "ev",
            trip_kwh=zeros,
            plugged_in=np.ones(n, bool),
            min_soc_kwh=zeros,
            max_soc_kwh=zeros + 60.0,
            max_discharge_kw=4.0,
            initial_soc_kwh=20.0,
        )
        add(car, net_kw, **_stored(car.store, of, net_kw, 20.0))
    for i in range(batteries):
        net_kw = np.where(np.arange(n) % 2, -0.5, 0.6)
        battery = BatteryAgent(name=f"battery_{i}" if i else "battery")
        add(battery, net_kw, **_stored(battery.store, of, net_kw, battery.initial_soc_kwh))
    grid = GridAgent()
    net_kw = np.sum([plan.net_load_kw for plan in plans.values()], axis=0)
    return DispatchPlan(
        mode=mode,
        horizon=of,
        agents=(*agents, grid),
        plans={**plans, "grid": grid.settle(net_kw)},
        objective_eur=np.nan,
    )


def _stored(store: Any, of: Horizon, net_kw: Any, initial_kwh: float) -> dict[str, Any]:
    charge_kw, discharge_kw = np.maximum(net_kw, 0.0), np.maximum(-net_kw, 0.0)
    soc_kwh = store.soc_after(of, charge_kw, discharge_kw, initial_kwh)
    return {"charge_kw": charge_kw, "discharge_kw": discharge_kw, "soc_kwh": soc_kwh}


def record(of: DispatchPlan, building: str = "DE_KN_residential9") -> DayRecord:
    day = of.horizon.local[0].date()
    return DayRecord(building=building, day=day, mode=of.mode, schedule=of, kpis=settle(of))


def results(
    n_days: int,
    *,
    building: str = "DE_KN_residential9",
    modes: Sequence[Mode] = MODES,
    without: Sequence[int] = (),
    first: date = date(2016, 3, 1),
    scale: float = 1.0,
) -> list[DayResult]:
    """Random days; each mode is a little cheaper than the one before it."""
    rng = np.random.default_rng(5)
    found = []
    for i in range(n_days):
        for k, mode in enumerate(modes):
            values = {field.name: float(rng.uniform(0.5, 2.0)) for field in fields(DayKpis)}
            values |= {
                "days": 1.0,
                "bill_eur": scale * float(rng.uniform(0.0, 3.0) - 0.3 * k),
                "stored_change_kwh": float(rng.uniform(-5.0, 5.0)) * (mode != "as_metered"),
                "mean_import_eur_per_kwh": 0.28,
                "mean_export_eur_per_kwh": 0.12,
                "generation_kwh": 6.0,
                "demand_kwh": 5.0,
            }
            if i not in without:
                day = first + timedelta(days=i)
                found.append(
                    DayResult(building=building, day=day, mode=mode, kpis=DayKpis(**values))
                )
    return found


def summaries(buildings: Sequence[str], n_days: int = 7) -> tuple[ModeSummary, ...]:
    """Summaries of buildings that differ by orders of magnitude."""
    return summarise(
        [
            result
            for i, building in enumerate(buildings)
            for result in results(n_days, building=building, scale=10.0**i)
        ]
    )


def days_of(buildings: Sequence[str], n_days: int = 7) -> dict[str, list[date]]:
    """The days of :func:`results`."""
    return {
        name: [date(2016, 3, 1) + timedelta(days=i) for i in range(n_days)] for name in buildings
    }


def portfolio_row(
    building: str, *, load_kwh: float = 7000.0, pv_kwh: float = 9000.0, n_problems: int = 3
) -> PortfolioRow:
    feeds = ("grid_import", "pv_roof", "grid_export", "pv_facade", "grid_import_2")
    return PortfolioRow(
        building=building,
        kind="residential",
        days=1385,
        plannable_days=1012,
        load_rule="import+pv-export",
        known_load_kwh=load_kwh,
        metered_import_kwh=0.8 * load_kwh,
        metered_export_kwh=0.5 * pv_kwh,
        metered_pv_kwh=pv_kwh,
        pv_peak_kw=5.0,
        devices={"fixed": ("freezer",)},
        has_import_meter=True,
        problems=(
            FeedProblem(feed="freezer", rule="out of service", days=999, steps=9999),
            *(
                FeedProblem(feed=feed, rule="out of service", days=500 - i, steps=9)
                for i, feed in enumerate(feeds[:n_problems])
            ),
        ),
    )


# --- what stands in a figure -----------------------------------------------------------------


def all_text(figure: Figure) -> str:
    return "\n".join(text.get_text() for text in _texts(figure))


def stairs_of(ax: Any, label: str) -> Any:
    return next(p for p in ax.patches if p.get_label() == label).get_data()


def clashes(figure: Figure) -> list[str]:
    """Texts that overlap each other, leave the page, or legends that cover the data."""
    FigureCanvasAgg(figure).draw()
    texts = [(text.get_text(), text.get_window_extent()) for text in _texts(figure)]
    page = figure.bbox
    found = [
        f"{text!r} leaves the page"
        for text, box in texts
        if box.x0 < page.x0 - 1 or box.x1 > page.x1 + 1 or box.y0 < page.y0 or box.y1 > page.y1 + 1
    ]
    found += [
        f"{one!r} overlaps {other!r}"
        for (one, a), (other, b) in combinations(texts, 2)
        if min(a.x1, b.x1) - max(a.x0, b.x0) > 1 and min(a.y1, b.y1) - max(a.y0, b.y0) > 1
    ]
    for ax in figure.axes:
        for legend in (artist for artist in ax.get_children() if isinstance(artist, Legend)):
            box = legend.get_window_extent()
            found += [
                f"the legend of {ax.get_ylabel()!r} covers data"
                for other in figure.axes
                if box.shrunk(0.95, 0.95).overlaps(other.get_window_extent())
            ]
    return found


def _texts(figure: Figure) -> list[Any]:
    """Every text that is drawn, ticks in sight among them."""
    artists = list(figure.texts)
    if figure._supylabel is not None:  # type: ignore[attr-defined]
        artists.append(figure._supylabel)  # type: ignore[attr-defined]
    for ax in figure.axes:
        artists += [*ax.texts, ax.title, ax._left_title, ax.xaxis.label, ax.yaxis.label]
        for axis in (ax.xaxis, ax.yaxis):
            low, high = sorted(axis.get_view_interval())
            artists += [
                tick.label1
                for tick in axis.get_major_ticks()
                if low <= tick.get_loc() <= high and tick.label1.get_visible()
            ]
        for legend in (artist for artist in ax.get_children() if isinstance(artist, Legend)):
            artists += [*legend.get_texts(), legend.get_title()]
    shown = [text for text in artists if text.get_visible() and text.get_text().strip()]
    return list(dict.fromkeys(shown))
