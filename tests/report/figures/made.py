"""Made plans, results and portfolio rows of any shape, and what stands in a figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import date, timedelta
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.text import Text

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
from ems.forecast.rolling_origin import ModelScores, Scores
from ems.forecast.series import LEVELS, Forecast, Series
from ems.pipelines.comparison import DayRecord, DayResult, ModeSummary, summarise
from ems.pipelines.spec import MODES
from ems.report.figures.forecasts import LEAST_HOURS
from ems.report.figures.page import Origin
from ems.site.place import KONSTANZ
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
                "stored_eur": float(rng.uniform(-1.0, 1.0)) * (mode != "as_metered"),
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


def forecast_pair(origins: Sequence[int], n_steps: int = 30) -> tuple[Series, Forecast]:
    """A load that rises by 1 kW an hour for four days, and forecasts whose median is right."""
    ts_utc = np.datetime64("2016-06-01", "s") + np.arange(96) * np.timedelta64(3600, "s")
    series = Series(
        who="house load",
        unit="kW",
        ts_utc=ts_utc,
        step_h=1.0,
        timezone="Europe/Berlin",
        place=KONSTANZ,
        values=np.arange(96.0),
    )
    centre = np.array(origins)[:, None, None] + np.arange(n_steps)[None, None, :]
    forecast = Forecast(
        who=series.who,
        unit="kW",
        model="made",
        origins=np.array(origins),
        values=centre + 10.0 * (LEVELS[None, :, None] - 0.5),
    )
    return series, forecast


def month_scores(skills: Mapping[str, float] | None = None, n: int = LEAST_HOURS) -> ModelScores:
    """A model's skill by month, from ``n`` hours each."""
    skills = {"2016-03": 0.1, "2016-09": -0.3} if skills is None else skills
    same = {"n_unknown": 0, "mae": 1.0, "bias": 0.0, "coverage": 0.8, "width": 1.0}
    scores = {
        month: Scores(n=n, skill=skill, pinball=(0.5,) * 9, **same)  # type: ignore[arg-type]
        for month, skill in skills.items()
    }
    overall = Scores(n=n, skill=0.0, pinball=(0.5,) * 9, **same)  # type: ignore[arg-type]
    return ModelScores(
        who="house", unit="kW", model="made", overall=overall, by_month=scores, by_lead={}
    )


# --- what stands in a figure -----------------------------------------------------------------


def all_text(figure: Figure) -> str:
    return "\n".join(text.get_text() for text in _texts(figure))


def titles(axes: Sequence[Any]) -> list[str]:
    return [ax.get_title(loc="left") for ax in axes]


def stairs_of(ax: Any, label: str) -> Any:
    return next(p for p in ax.patches if p.get_label() == label).get_data()


def points(figure: Figure) -> dict[str, tuple[float, float]]:
    """Where every named marker stands."""
    lines = [line for ax in figure.axes for line in ax.lines if line.get_gid() is not None]
    return {line.get_gid(): (line.get_xdata()[0], line.get_ydata()[0]) for line in lines}


def clashes(figure: Figure) -> list[str]:
    """Texts that overlap each other or leave the page, and legends that cover axes."""
    FigureCanvasAgg(figure).draw()
    boxes = [(text.get_text(), Text.get_window_extent(text)) for text in _texts(figure)]
    page = figure.bbox.padded(1.0)
    found = [f"{text!r} leaves the page" for text, box in boxes if not _within(box, page)]
    found += [
        f"{one!r} overlaps {other!r}"
        for (one, a), (other, b) in combinations(boxes, 2)
        if _overlap(a, b)
    ]
    for legend in figure.findobj(Legend):
        box = legend.get_window_extent()
        panels = [ax.get_window_extent() for ax in figure.axes]
        found += ["a legend covers axes" for panel in panels if _overlap(box, panel, 2.0)]
    return found


def _within(box: Any, page: Any) -> bool:
    return bool(page.x0 <= box.x0 and box.x1 <= page.x1 and page.y0 <= box.y0 and box.y1 <= page.y1)


def _overlap(one: Any, other: Any, least: float = 1.0) -> bool:
    wide = min(one.x1, other.x1) - max(one.x0, other.x0)
    return bool(wide > least and min(one.y1, other.y1) - max(one.y0, other.y0) > least)


def _texts(figure: Figure) -> list[Any]:
    """Every text that is drawn; of the ticks those in sight."""
    ticks = [
        (tick, low <= tick.get_loc() <= high)
        for ax in figure.axes
        for axis in (ax.xaxis, ax.yaxis)
        for low, high in [sorted(axis.get_view_interval())]
        for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks())
    ]
    hidden = {text for tick, seen in ticks for text in tick.findobj(Text) if not seen}
    hidden |= {tick.label2 for tick, _ in ticks}
    found = figure.findobj(lambda artist: isinstance(artist, Text) and artist not in hidden)
    return [text for text in found if text.get_visible() and text.get_text().strip()]
