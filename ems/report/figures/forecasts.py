"""Forecasts against reality, their skill by month, and the cost of errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.dates as mdates
import numpy as np
from matplotlib.figure import Figure

from ems.errors import InvalidSpec
from ems.forecast.rolling_origin import ModelScores
from ems.forecast.series import MEDIAN, Forecast, Series
from ems.pipelines.captured import ErrorCost
from ems.pipelines.spec import SINGLE_ERRORS
from ems.report.figures.page import Origin, new_page
from ems.report.figures.paper import SCREEN, Paper
from ems.report.figures.parts import bar, legend, panels
from ems.report.figures.style import (
    BLACK,
    BLUE,
    DARK_GREY,
    GREY,
    LIGHT_GREY,
    MODE_LINES,
    SKY,
    number,
    styled,
)
from ems.types import Floats, Instants

_ROW_IN, _TITLE_IN = 0.2, 0.36
MOST_SKILL = 0.6
"""Limit of the skill colours, above and below zero."""
LEAST_HOURS = 168
"""Months with fewer scored hours are not drawn."""
_DOT_PT, _SMALL_DOT_PT, _FEW_DAYS = 4.5, 3.2, 150
"""Dots are smaller with more than this number of days."""


@styled
def fan_chart(
    pairs: Sequence[tuple[Series, Forecast]],
    *,
    title: str,
    origin: Origin,
    paper: Paper = SCREEN,
) -> Figure:
    """A panel for each series: consecutive forecasts, and the observed values.

    Of each forecast, the steps up to the next origin are drawn, at most its length. Raises
    ``InvalidSpec`` if there is nothing to draw.
    """
    if not pairs:
        raise InvalidSpec("figure: no forecast is given, give at least one")
    note = "each forecast until the next one is made, from what was known at its origin"
    body = new_page(1.7 * len(pairs) + 0.4, title, note, origin, paper)
    axes = body.subplots(len(pairs), sharex=True, squeeze=False)[:, 0]
    for ax, (series, forecast) in zip(axes, pairs, strict=True):
        steps, drawn = _newest(forecast, len(series))
        when = series.local[steps].tz_localize(None).to_numpy()
        fan = {"color": SKY, "alpha": 0.5, "linewidth": 0, "label": "80 % interval"}
        ax.fill_between(when, drawn[0], drawn[-1], **fan)
        ax.plot(when, drawn[MEDIAN], color=BLUE, label=f"median, {forecast.model}")
        ax.plot(when, series.values[steps], color=BLACK, linewidth=1.0, label="what came")
        ax.set_title(series.who)
        ax.set_ylabel(f"[{series.unit}]")
        legend(ax, paper)
    axes[-1].xaxis.set_major_locator(mdates.DayLocator())
    axes[-1].xaxis.set_major_formatter(mdates.DateFormatter("%d %b"))
    axes[-1].set_xlabel(f"local day ({pairs[0][0].timezone})")
    body.align_ylabels(axes)
    return body.figure


def _newest(forecast: Forecast, n_known: int) -> tuple[Any, Floats]:
    """The known steps of the forecasts, and their quantiles until the next origin."""
    ends = [*forecast.origins[1:], forecast.origins[-1] + forecast.n_steps]
    lengths = np.minimum(np.array(ends) - forecast.origins, forecast.n_steps)
    steps = np.concatenate(
        [first + np.arange(n) for first, n in zip(forecast.origins, lengths, strict=True)]
    )
    of_each = [quantiles[:, :n] for quantiles, n in zip(forecast.values, lengths, strict=True)]
    known = steps < n_known
    return steps[known], np.concatenate(of_each, axis=1)[:, known]


@styled
def skill_by_month(
    kinds: Mapping[str, Mapping[str, ModelScores]],
    *,
    title: str,
    origin: Origin,
    paper: Paper = SCREEN,
) -> Figure:
    """Monthly skill of a model: a panel per kind of series, a row per building.

    ``kinds``: scores by building, by kind. Blue is better than the reference, red worse; months
    with fewer than ``LEAST_HOURS`` scored hours are grey. Raises ``InvalidSpec`` if there is
    nothing to draw.
    """
    scores = [each for rows in kinds.values() for each in rows.values()]
    named = [np.datetime64(name, "M") for each in scores for name in each.by_month]
    if not named:
        raise InvalidSpec("figure: no month is scored, give at least one model with one")
    months = np.arange(min(named), max(named) + 1)
    heights = [len(rows) for rows in kinds.values()]
    body_in = _ROW_IN * sum(heights) + _TITLE_IN * len(kinds) + 0.6
    note = (
        "skill = 1 − MAE / MAE of persistence, midnight forecasts of 48 h; grey: too little known"
    )
    body = new_page(body_in, title, note, origin, paper)
    axes = body.subplots(len(kinds), sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    edges = mdates.date2num(np.append(months, months[-1] + 1).astype("datetime64[D]"))
    for ax, (kind, rows) in zip(axes, kinds.items(), strict=True):
        table = np.array([_skills(each, months) for each in rows.values()])
        look = {"cmap": "RdBu", "vmin": -MOST_SKILL, "vmax": MOST_SKILL, "gid": kind}
        mesh = ax.pcolormesh(edges, np.arange(len(rows) + 1.0), table, **look)
        ax.set_facecolor(LIGHT_GREY)
        ax.set_yticks(np.arange(len(rows)) + 0.5, list(rows))
        ax.set_ylim(len(rows), 0)
        ax.set_title(kind)
        ax.tick_params(length=0)
    bar(body, mesh, list(axes), "skill", aspect=40, extend="both")
    axes[-1].xaxis.set_major_locator(mdates.MonthLocator(bymonth=(1, 7)))
    axes[-1].xaxis.set_major_formatter(mdates.DateFormatter("%b %Y"))
    return body.figure


def _skills(scores: ModelScores, months: Instants) -> Floats:
    """The skill in each month, NaN if too few hours were scored."""
    found = [scores.by_month.get(str(month)) for month in months]
    return np.array(
        [np.nan if each is None or each.n < LEAST_HOURS else each.skill for each in found]
    )


@styled
def error_cost(
    rows: Sequence[ErrorCost], *, title: str, note: str, origin: Origin, paper: Paper = SCREEN
) -> Figure:
    """€ above the perfect plan over kWh of forecast error, a point per day, a panel per row.

    The line is Σ € / Σ kWh, the wedge the middle 95 % of its bootstrap; the panel gives both, and
    Spearman's ρ over the days. Raises ``InvalidSpec`` without rows.
    """
    if not rows:
        raise InvalidSpec("figure: no forecast errors, run with --foresight forecast")
    body_in = 2.6 * len(rows) if paper.narrow else 3.4
    body = new_page(body_in, title, note, origin, paper)
    for ax, row in zip(panels(body, len(rows), paper, sharey=True), rows, strict=True):
        _days(ax, row, paper)
    for ax in body.axes if paper.narrow else body.axes[:1]:
        ax.set_ylabel("above the perfect plan [€/day]")
    return body.figure


def _days(ax: Any, row: ErrorCost, paper: Paper) -> None:
    """The days of a row, and the line of their sums."""
    line = MODE_LINES[row.mode]
    dots: dict[str, Any] = {
        "marker": line.marker,
        "color": line.colour,
        "markersize": paper.scale * (_DOT_PT if len(row.days) <= _FEW_DAYS else _SMALL_DOT_PT),
        "markeredgecolor": DARK_GREY,
        "markeredgewidth": 0.5 * paper.scale,
        "linestyle": "none",
    }
    ax.axhline(0.0, color=GREY, linewidth=0.8 * paper.scale, zorder=1)
    ax.plot(row.error_kwh, row.above_eur, gid=row.mode, **dots)
    reach_kwh = np.array([0.0, row.error_kwh.max()])
    if row.low is not None and row.high is not None:
        wedge = {"color": BLACK, "alpha": 0.2, "linewidth": 0, "zorder": 1.5}
        ax.fill_between(reach_kwh, reach_kwh * row.low, reach_kwh * row.high, **wedge)
    ax.plot(reach_kwh, reach_kwh * row.eur_per_kwh, color=BLACK, gid=f"{row.mode}/line")
    alone = row.mode in SINGLE_ERRORS
    ax.set_title(f"{'' if alone else 'all unknown · '}{line.label}\n{in_words(row)}")
    ax.set_xlabel(f"{_KWH.get(row.mode, 'sun + load')} that came otherwise [kWh/day]")
    ax.set_xlim(left=0.0)


_KWH = {"pv_unknown": "sun", "load_unknown": "load"}
"""The quantity of each single error."""


def in_words(row: ErrorCost) -> str:
    """Cost of a kWh of error with its interval, and the rank correlation."""
    told = f"{number(100.0 * row.eur_per_kwh, 1)} ct/kWh"
    if row.low is not None and row.high is not None:
        told += f" ({number(100.0 * row.low, 1)} … {number(100.0 * row.high, 1)})"
    rank = row.rank_correlation
    return told if rank is None else f"{told}, ρ {number(rank, 2)}"
