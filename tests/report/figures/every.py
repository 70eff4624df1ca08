"""Every figure with usual and with odd contents."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from functools import cache, partial
from typing import Any

import numpy as np
from learning.made_habits import drawn, history_of, one_start
from matplotlib.figure import Figure
from report.figures import made_community as street
from report.figures.made import (
    LONG_NAME,
    days_of,
    forecast_pair,
    horizon,
    month_scores,
    portfolio_row,
    record,
    results,
    schedule,
    summaries,
)

from ems.core.mode import Mode
from ems.learning.search import rate_grid
from ems.learning.usage import UseHistory
from ems.pipelines.captured import Captured, error_costs
from ems.pipelines.comparison import summarise
from ems.pipelines.integrated import FrontierPoint
from ems.pipelines.probability import DeviceSearch, search_device
from ems.pipelines.spec import BASELINES, PLANNED, SINGLE_ERRORS, Controller, SearchSpec
from ems.report.figures.buildings import energies_by_building
from ems.report.figures.community import (
    community_flows,
    community_price,
    four_costs,
    gain_per_home,
    gini_against_cost,
)
from ems.report.figures.day import planned_day
from ems.report.figures.days import cumulative_cost, savings_by_day
from ems.report.figures.forecasts import error_cost, fan_chart, skill_by_month
from ems.report.figures.frontier import cost_comfort_frontier
from ems.report.figures.habits import pmf_evolution, prior_and_learned
from ems.report.figures.learning import grid_map, learning_curves
from ems.report.figures.modes import captured_shares, mode_overview, savings_by_building
from ems.report.figures.style import MODE_LINES
from ems.report.figures.windows import DayMap, day_maps, load_duration

Draw = Callable[..., Figure]
"""Takes ``origin`` and ``paper``."""

BUILDINGS = [f"DE_KN_residential{i}" for i in range(1, 8)]
LONG_NAMES = [f"{LONG_NAME}_{i}" for i in range(7)]
FORECASTS = "planned on learned forecasts; plans hedged over 10 futures; devices as usual"
PLAN = {"tariff": "a-tariff-of-my-own.toml", "foresight": FORECASTS}
MAPPED = (("price [ct/kWh]", "YlOrBr"), ("load [kW]", "Blues"), ("charge of the car [kWh]", "BuGn"))
SPEC = SearchSpec(rates=rate_grid((5.0, 20.0), (0.05, 0.2)), priors=("learned",), n_train=2)


def head(building: str, what: str) -> dict[str, str]:
    title = f"{building} · {what} · 11 Oct 2015 – 9 Oct 2017 (702 of 730 days)"
    return {"title": title, "note": f"tariff a-tariff-of-my-own.toml · {FORECASTS}"}


def day(of: object = None, **kwargs: Any) -> Draw:
    return partial(planned_day, record(schedule(of or horizon(), **kwargs)), **PLAN)  # type: ignore[arg-type]


def over_days(draw: Draw, n_days: int, **kwargs: Any) -> Draw:
    return partial(draw, results(n_days, **kwargs), **PLAN)


def duration(building: str, n_days: int) -> Draw:
    rng = np.random.default_rng(1)
    kw = [rng.uniform(-8.0, 11.0 + 90.0 * k, 24 * n_days) for k in range(6)]
    curves = list(zip(MODE_LINES.values(), kw, strict=False))
    return partial(load_duration, curves, **head(building, "load duration at the grid"))


def maps(building: str, n_days: int, n_maps: int = 3) -> Draw:
    rng = np.random.default_rng(2)
    days = [date(2015, 10, 11) + timedelta(days=i) for i in range(n_days) if i % 29 != 8]
    made = [
        DayMap(label=label, days=days, table=rng.normal(0, 99, (24, len(days))), colours=colours)
        for label, colours in (MAPPED * 2)[:n_maps]
    ]
    return partial(day_maps, made, **head(building, "price, load and charge"))


def captured_row(group: str, mode: Mode, baseline: Mode, share: float) -> tuple[str, Captured]:
    row = Captured(
        building=group,
        mode=mode,
        baseline=baseline,
        saved_eur=10.0 * share,
        possible_eur=10.0,
        share=share,
        low=share - 0.05,
        high=share + 0.1,
    )
    return group, row


def shares(groups: Sequence[str], least: float = -0.2) -> list[tuple[str, Captured]]:
    """Every planned mode of each group against both baselines."""
    rng = np.random.default_rng(3)
    return [
        captured_row(group, mode, baseline, float(rng.uniform(least, 0.95)))
        for group in groups
        for mode in PLANNED
        for baseline in BASELINES
    ]


def captured(groups: Sequence[str], least: float = -0.2) -> Draw:
    *rows, (group, last) = shares(groups, least)
    nothing = replace(last, share=None, low=None, high=None)
    texts = head("Share", "captured of what perfect foresight saves")
    return partial(captured_shares, [*rows, (group, nothing)], **texts)


def errors(building: str, n_days: int) -> Draw:
    modes: tuple[Mode, ...] = ("centralized_phases", *SINGLE_ERRORS[:2], "centralized_perfect")
    rows = error_costs(results(n_days, building=building, modes=modes, scale=9.0))
    return partial(error_cost, rows, **head(building, "what forecast errors cost"))


def by_building(groups: Sequence[str]) -> Draw:
    made = {g: summarise(results(7, building=g, scale=0.1 + i)) for i, g in enumerate(groups)}
    return partial(savings_by_building, made, **head("Savings by mode", "building"))


def overview(groups: Sequence[str]) -> Draw:
    return partial(mode_overview, summaries(groups), days=days_of(groups), **PLAN)


def energies(*rows: Any) -> Draw:
    return partial(energies_by_building, rows)


def frontier_points(n_points: int, step_eur: float, least: float) -> list[FrontierPoint]:
    """Distinct points, and people's habits beside them."""
    summary = summaries(["home"])[3]
    names = ["cost-only", *(f"w = {0.05 * i:g} €" for i in range(1, n_points - 1)), "habit-only"]
    return [
        FrontierPoint(
            controller=Controller(name=name, weight_eur=0.0, movable=name != "habit-only"),
            summary=replace(
                summary,
                kpis=replace(summary.kpis, bill_eur=30.0 + step_eur * i * i, wear_eur=0.0),
            ),
            mean_start_probability=0.1,
            unusual=0.9 - (0.9 - least) * i / (n_points - 1),
        )
        for i, name in enumerate(names)
    ]


def frontier(n_points: int, step_eur: float = 2.0, least: float = 0.0) -> Draw:
    points = frontier_points(n_points, step_eur, least)
    title = head(LONG_NAME, "what comfort costs")["title"]
    return partial(cost_comfort_frontier, points, title=title, **PLAN)


def shared(draw: Draw, *contents: Callable[[], Any]) -> Draw:
    """A figure of the made street; its contents are made when it is drawn."""
    note = f"tariff a-tariff-of-my-own.toml, fee 4 ct/kWh · mid-market, dynamic key · {FORECASTS}"
    where = {"what": f"{LONG_NAME} and 4 more homes", "note": note}
    return lambda **on: draw(*(made() for made in contents), **where, **on)


@cache
def searched(history: str) -> DeviceSearch:
    histories: dict[str, Callable[[], UseHistory]] = {
        "450 days": lambda: drawn(450, 1, building=LONG_NAME),
        "4 days": lambda: history_of(one_start(19, 20, 19, 7)),
        "heat pump": lambda: replace(
            drawn(90, 4, use=1.0, device="heat_pump"), category="partial_usage"
        ),
    }
    return next(search_device(histories[history](), [], SPEC))


def learned(draw: Draw, history: str = "450 days") -> Draw:
    return lambda **where: draw(searched(history), **where)


USUAL: Mapping[str, Draw] = {
    "planned day": day(devices=("dishwasher", "heat_pump"), curtailed=True),
    "savings by day": over_days(savings_by_day, 14, without=(3, 4, 9)),
    "savings by day, long": over_days(savings_by_day, 40, without=(8, 20)),
    "cost": over_days(cumulative_cost, 7, building=LONG_NAME),
    "overview of one": overview(BUILDINGS[:1]),
    "overview of seven": overview(BUILDINGS),
    "savings by building": by_building(BUILDINGS),
    "captured by one": captured(BUILDINGS[:1]),
    "captured by seven": captured(BUILDINGS),
    "duration": duration(LONG_NAME, 7),
    "maps": maps(LONG_NAME, 450),
    "errors": errors(LONG_NAME, 9),
    "frontier": frontier(5),
    "fan": partial(fan_chart, [forecast_pair([0, 24, 48])] * 2, title="Forecasts"),
    "skill": partial(
        skill_by_month,
        {"load": {n: month_scores() for n in BUILDINGS}, "PV": {"b": month_scores()}},
        title="Skill",
    ),
    "energies": energies(*(portfolio_row(n, load_kwh=3e3 * 2.3**i) for i, n in enumerate("abcde"))),
    "community flows": shared(community_flows, street.steps),
    "community price": shared(community_price, street.steps),
    "community gains": shared(gain_per_home, street.result),
    "community four costs": shared(four_costs, street.result, street.spec),
    "community Gini": shared(gini_against_cost, lambda: street.POINTS),
    "rates": learned(grid_map),
    "curves": learned(learning_curves),
    "habit": learned(pmf_evolution),
    "prior and learned": learned(prior_and_learned),
}
"""Each figure once, drawn on every paper."""

ODD: Mapping[str, Draw] = {
    "a 25-hour day in quarter hours": day(horizon("2016-10-30", step_h=0.25)),
    "ten days": day(horizon(n_days=10)),
    "only base load": day(pv=False, batteries=0, cars=0, devices=()),
    "two batteries, three cars": day(batteries=2, cars=3),
    "twenty machines": day(devices=[f"machine_of_the_workshop_{i}" for i in range(20)]),
    "savings of 1 day": over_days(savings_by_day, 1),
    "savings of 400 days": over_days(savings_by_day, 400),
    "cost of 400 days": over_days(cumulative_cost, 400),
    "overview, long names": overview(LONG_NAMES[:2]),
    "buildings: one": by_building(BUILDINGS[:1]),
    "buildings, long names": by_building(LONG_NAMES),
    "captured far below nothing": captured(BUILDINGS[:1], least=-70.0),
    "captured by two runs": captured([f"{b}\n{FORECASTS}" for b in BUILDINGS[:2]]),
    "captured, long names": captured(LONG_NAMES),
    "duration of 1 day": duration(BUILDINGS[0], 1),
    "maps of 1 day": maps(BUILDINGS[0], 1),
    "maps of 5 days": maps(BUILDINGS[0], 5),
    "maps of many stores": maps(BUILDINGS[0], 31, 6),
    "errors of 1 day": errors(BUILDINGS[0], 1),
    "errors of 380 days": errors(BUILDINGS[0], 380),
    "frontier of 8, near": frontier(8, step_eur=0.02, least=0.6),
    "frontier of cents": frontier(3, step_eur=0.0026),
    "energies of nothing": energies(portfolio_row("a", load_kwh=0.0, pv_kwh=0.0, n_problems=0)),
    "energies of all sizes": energies(
        portfolio_row("a", load_kwh=20.0, n_problems=5),
        portfolio_row("b", load_kwh=9e6, n_problems=5),
    ),
    "community flows of 400 days": shared(community_flows, partial(street.many_days, 400)),
    "community price of 16 days": shared(community_price, partial(street.many_days, 16)),
    "community price of nobody": shared(community_price, partial(street.steps, "alone")),
    "community, long names": shared(
        gain_per_home, partial(street.of_gains, [9.0, 1e4, -0.4, -300.0], LONG_NAME)
    ),
    "community of 30": shared(gain_per_home, partial(street.of_gains, range(30))),
    "community of 300": shared(gain_per_home, partial(street.of_gains, range(-9, 291), LONG_NAME)),
    "community of 300 losers": shared(gain_per_home, partial(street.of_gains, range(-300, 0))),
    "community Gini of one": shared(gini_against_cost, lambda: street.POINTS[:1]),
    "community Gini of a loser": shared(gini_against_cost, lambda: street.POINTS[2:3]),
    "rates of 4 days": learned(grid_map, "4 days"),
    "curves of 4 days": learned(learning_curves, "4 days"),
    "habit of 4 days": learned(pmf_evolution, "4 days"),
    "habit of a heat pump": learned(prior_and_learned, "heat pump"),
}
"""Contents that are hard to lay out, drawn on a screen and in a column."""
