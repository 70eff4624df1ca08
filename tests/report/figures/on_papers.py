"""Every figure that can be drawn for a column and a slide, and what is crowded in one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from functools import cache, partial
from itertools import combinations
from typing import Any

import numpy as np
from learning.made_habits import drawn, history_of, one_start
from matplotlib.figure import Figure
from report.figures.made import LONG_NAME, clashes, days_of, results, summaries

from ems.core.mode import Mode
from ems.learning.search import rate_grid
from ems.learning.usage import UseHistory
from ems.pipelines.captured import Captured, error_costs
from ems.pipelines.comparison import BASELINES, PLANNED, SINGLE_ERRORS, summarise
from ems.pipelines.integrated import Controller, FrontierPoint
from ems.pipelines.probability import DeviceSearch, SearchSpec, search_device
from ems.report.figures import mode_overview
from ems.report.figures.by_building import savings_by_building
from ems.report.figures.captured import captured_shares
from ems.report.figures.day_maps import DayMap, day_maps
from ems.report.figures.duration import load_duration
from ems.report.figures.error_cost import error_cost
from ems.report.figures.frontier import cost_comfort_frontier
from ems.report.figures.habits import pmf_evolution
from ems.report.figures.learning import grid_map
from ems.report.figures.page import days_in_words
from ems.report.figures.style import MODE_LINES

Draw = Callable[..., Figure]
"""Takes ``origin`` and ``paper``."""

BUILDINGS = [f"DE_KN_residential{i}" for i in range(1, 8)]
LONG_NAMES = [f"{LONG_NAME}_{i}" for i in range(7)]
FIRST = date(2015, 10, 11)
FORECASTS = "planned on learned forecasts; plans hedged over 10 futures; devices as usual"
QUANTITIES = (
    ("price [ct/kWh]", "YlOrBr"),
    ("load without stores [kW]", "Blues"),
    ("charge of the battery [kWh]", "Greens"),
    ("charge of the EV [kWh]", "Greens"),
)


def head(building: str, what: str, n_days: int) -> dict[str, str]:
    days = [FIRST + timedelta(days=i) for i in range(n_days)]
    title = f"{building} · {what} · {days_in_words(days)}"
    return {"title": title, "note": f"tariff a-tariff-of-my-own.toml · {FORECASTS}"}


def duration(building: str, n_days: int, least_kw: float = -8.0) -> Draw:
    rng = np.random.default_rng(1)
    curves = [
        (line, rng.uniform(least_kw, 11.0 + 90.0 * k, 24 * n_days))
        for k, line in enumerate(MODE_LINES.values())
    ]
    return partial(load_duration, curves, **head(building, "load duration at the grid", n_days))


def maps(building: str, n_days: int, n_maps: int = 4) -> Draw:
    rng = np.random.default_rng(2)
    days = [FIRST + timedelta(days=i) for i in range(n_days) if i % 29 != 8]
    made = [
        DayMap(label=label, days=days, table=rng.normal(0, 99, (24, len(days))), colours=colours)
        for label, colours in (*QUANTITIES, *QUANTITIES)[:n_maps]
    ]
    what = "price, load and charge · centralized, phases"
    return partial(day_maps, made, **head(building, what, n_days))


def shares(groups: Sequence[str], least: float = -0.2) -> Draw:
    """All planned modes of each group; the last against rule-based has nothing to capture."""
    rng = np.random.default_rng(3)
    rows = []
    for group in groups:
        for mode in PLANNED:
            for baseline in BASELINES:
                share, half = rng.uniform(least, 0.95), rng.uniform(0.01, 0.1)
                row = Captured(
                    building=group,
                    mode=mode,
                    baseline=baseline,
                    saved_eur=share * 1234.5,
                    possible_eur=1234.5,
                    share=share,
                    low=share - half,
                    high=share + half,
                )
                rows.append((group, row))
    nothing = {"share": None, "low": None, "high": None}
    rows[-1] = (rows[-1][0], replace(rows[-1][1], **nothing))
    return partial(captured_shares, rows, **head("Share", "what perfect foresight saves", 99))


def errors(building: str, n_days: int) -> Draw:
    """Sun alone, load alone, and all that a mode did not know."""
    modes: tuple[Mode, ...] = ("centralized_phases", *SINGLE_ERRORS[:2], "centralized_perfect")
    rows = error_costs(results(n_days, building=building, modes=modes, scale=9.0))
    return partial(error_cost, rows, **head(building, "what forecast errors cost", n_days))


def by_building(groups: Sequence[str], n_days: int = 7) -> Draw:
    made = {
        group: summarise(results(n_days, building=group, scale=0.1 + i))
        for i, group in enumerate(groups)
    }
    return partial(savings_by_building, made, **head("Savings by mode", "building", n_days))


def overview(groups: Sequence[str]) -> Draw:
    return partial(
        mode_overview,
        summaries(groups),
        days=days_of(groups),
        tariff="dynamic",
        foresight=FORECASTS,
    )


def frontier(n_points: int, step_eur: float = 2.0, least: float = 0.0) -> Draw:
    """A frontier of distinct points, and people's habits beside it."""
    summary = summaries(["home"])[3]
    names = ["cost-only", *(f"w = {0.05 * i:g} €" for i in range(1, n_points - 1)), "habit-only"]
    points = []
    for i, name in enumerate(names):
        kpis = replace(summary.kpis, bill_eur=30.0 + step_eur * i * i, wear_eur=0.0)
        points.append(
            FrontierPoint(
                controller=Controller(name=name, weight_eur=0.0, movable=name != "habit-only"),
                summary=replace(summary, kpis=kpis),
                mean_start_probability=0.1,
                unusual=0.9 - (0.9 - least) * i / (n_points - 1),
            )
        )
    title = head(LONG_NAME, "what comfort costs", 7)["title"]
    return partial(cost_comfort_frontier, points, title=title, tariff="tou", foresight=FORECASTS)


@cache
def searched(history: str) -> DeviceSearch:
    histories: dict[str, Callable[[], UseHistory]] = {
        "450 days": lambda: drawn(450, 1, building=LONG_NAME),
        "4 days": lambda: history_of(one_start(19, 20, 19, 7)),
    }
    spec = SearchSpec(rates=rate_grid((5.0, 20.0), (0.05, 0.2)), priors=("learned",), n_train=2)
    return next(search_device(histories[history](), [], spec))


def learned(draw: Draw, history: str) -> Draw:
    return lambda **where: draw(searched(history), **where)


PAPER_FIGURES: Mapping[str, Draw] = {
    "duration of 1 day": duration(BUILDINGS[0], 1),
    "duration of 450 days": duration(BUILDINGS[0], 450),
    "duration, long name": duration(LONG_NAME, 7),
    "duration without export": duration(BUILDINGS[0], 7, least_kw=0.1),
    "maps of 1 day": maps(BUILDINGS[0], 1),
    "maps of 5 days": maps(BUILDINGS[0], 5),
    "maps of 14 days": maps(BUILDINGS[0], 14),
    "maps of 450 days": maps(BUILDINGS[0], 450),
    "maps, long name": maps(LONG_NAME, 40),
    "maps without a store": maps(BUILDINGS[0], 31, 2),
    "maps of many stores": maps(BUILDINGS[0], 31, 6),
    "captured by one": shares(BUILDINGS[:1]),
    "captured by seven": shares(BUILDINGS),
    "captured far below nothing": shares(BUILDINGS[:1], least=-70.0),
    "captured by two runs": shares([f"{b}\n{FORECASTS}" for b in BUILDINGS[:2]]),
    "captured, long names": shares(LONG_NAMES),
    "errors of 1 day": errors(BUILDINGS[0], 1),
    "errors of 380 days": errors(BUILDINGS[0], 380),
    "errors, long name": errors(LONG_NAME, 9),
    "buildings: one": by_building(BUILDINGS[:1]),
    "buildings: seven": by_building(BUILDINGS),
    "buildings: two runs": by_building([f"{b}\nrun 12345678" for b in BUILDINGS[:2]]),
    "buildings, long names": by_building(LONG_NAMES),
    "overview of one": overview(BUILDINGS[:1]),
    "overview, long name": overview(LONG_NAMES[:1]),
    "overview of three": overview(BUILDINGS[:3]),
    "overview of seven": overview(BUILDINGS),
    "overview, long names": overview(LONG_NAMES[:2]),
    "frontier of 3": frontier(3),
    "frontier of 5": frontier(5),
    "frontier of 8": frontier(8),
    "frontier of 8, near": frontier(8, step_eur=0.02, least=0.6),
    "frontier of cents": frontier(3, step_eur=0.0026),
    "habit of 450 days": learned(pmf_evolution, "450 days"),
    "habit of 4 days": learned(pmf_evolution, "4 days"),
    "rates, long name": learned(grid_map, "450 days"),
}


def crowded(figure: Figure) -> list[str]:
    """The clashes of a figure, those of the legends of whole figures among them."""
    in_its_panel = "the legend of 'cost over the window [€]' covers data"
    found = [clash for clash in clashes(figure) if clash != in_its_panel]
    parts = [figure, *figure.subfigs]
    legends = [legend for part in parts for legend in part.legends]
    for legend in legends:
        box = legend.get_window_extent()
        if box.x0 < -1 or box.x1 > figure.bbox.x1 + 1 or box.y0 < -1:
            found.append("a legend leaves the page")
        covered = [ax.get_tightbbox() for ax in figure.axes]
        if any(_overlap(box, other) for other in covered):
            found.append("a legend covers axes")
        texts = [text.get_window_extent() for text in legend.get_texts()]
        if any(_overlap(one, other) for one, other in combinations(texts, 2)):
            found.append("texts of a legend overlap")
    return found


def _overlap(one: Any, other: Any) -> bool:
    wide = min(one.x1, other.x1) - max(one.x0, other.x0)
    return bool(wide > 2 and min(one.y1, other.y1) - max(one.y0, other.y0) > 2)
