"""Forecasts beside what came, and how good they were from month to month."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.dates as mdates
import numpy as np
from matplotlib.figure import Figure

from ems.errors import InvalidSpec
from ems.forecast.rolling_origin import ModelScores
from ems.forecast.series import MEDIAN, Forecast, Series
from ems.report.figures.page import Origin, new_page
from ems.report.figures.paper import SCREEN, Paper
from ems.report.figures.style import BLACK, BLUE, LIGHT_GREY, SKY, beside, styled
from ems.types import Floats, Instants

_PANEL_IN = 1.7
_ROW_IN, _TITLE_IN = 0.2, 0.36
MOST_SKILL = 0.6
"""Where the colours of skill end, above and below zero."""
LEAST_HOURS = 168
"""A month with fewer hours scored says too little to be drawn."""


@styled
def fan_chart(
    pairs: Sequence[tuple[Series, Forecast]], *, title: str, origin: Origin, paper: Paper = SCREEN
) -> Figure:
    """A panel for each series: the forecasts one behind the other, and what really came.

    Of each forecast the steps up to the next origin are drawn, at most its whole length. Raises
    ``InvalidSpec`` when there is nothing to draw.
    """
    if not pairs:
        raise InvalidSpec("figure: no forecast is given, give at least one")
    note = "each forecast until the next one is made, from what was known at its origin"
    figure = new_page(_PANEL_IN * len(pairs) + 0.4, title, note, origin, paper)
    axes = figure.subplots(len(pairs), sharex=True, squeeze=False)[:, 0]
    for ax, (series, forecast) in zip(axes, pairs, strict=True):
        ends = [*forecast.origins[1:], forecast.origins[-1] + forecast.n_steps]
        lengths = np.minimum(np.array(ends) - forecast.origins, forecast.n_steps)
        steps = np.concatenate(
            [first + np.arange(n) for first, n in zip(forecast.origins, lengths, strict=True)]
        )
        drawn = np.concatenate(
            [quantiles[:, :n] for quantiles, n in zip(forecast.values, lengths, strict=True)],
            axis=1,
        )
        inside = steps < len(series)
        steps, drawn = steps[inside], drawn[:, inside]
        when = series.local[steps].tz_localize(None).to_numpy()
        ax.fill_between(
            when, drawn[0], drawn[-1], color=SKY, alpha=0.5, linewidth=0, label="80 % interval"
        )
        ax.plot(when, drawn[MEDIAN], color=BLUE, label=f"median, {forecast.model}")
        ax.plot(when, series.values[steps], color=BLACK, linewidth=1.0, label="what came")
        ax.set_title(series.who)
        ax.set_ylabel(f"[{series.unit}]")
        beside(ax)
    axes[-1].xaxis.set_major_locator(mdates.DayLocator())
    axes[-1].xaxis.set_major_formatter(mdates.DateFormatter("%d %b"))
    axes[-1].set_xlabel(f"local day ({pairs[0][0].timezone})")
    figure.align_ylabels(axes)
    return figure


@styled
def skill_by_month(
    panels: Mapping[str, Mapping[str, ModelScores]],
    *,
    title: str,
    origin: Origin,
    paper: Paper = SCREEN,
) -> Figure:
    """Skill of a model in each month: a panel for each kind of series, a row for each building.

    ``panels``: the scores of a building under its name, under the name of their kind. Blue is
    better than the reference, red worse; months with fewer than ``LEAST_HOURS`` hours scored are
    grey. Raises ``InvalidSpec`` when there is nothing to draw.
    """
    scores = [each for rows in panels.values() for each in rows.values()]
    named = [np.datetime64(name, "M") for each in scores for name in each.by_month]
    if not named:
        raise InvalidSpec("figure: no month is scored, give at least one model with one")
    months = np.arange(min(named), max(named) + 1)
    heights = [len(rows) for rows in panels.values()]
    body_in = _ROW_IN * sum(heights) + _TITLE_IN * len(panels) + 0.6
    note = (
        "skill = 1 − MAE / MAE of persistence, midnight forecasts of 48 h; grey: too little known"
    )
    figure = new_page(body_in, title, note, origin, paper)
    axes = figure.subplots(len(panels), sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    edges = mdates.date2num(np.append(months, months[-1] + 1).astype("datetime64[D]"))
    for ax, (kind, rows) in zip(axes, panels.items(), strict=True):
        ax.set_facecolor(LIGHT_GREY)
        image = ax.pcolormesh(
            edges,
            np.arange(len(rows) + 1.0),
            np.array([_skills(each, months) for each in rows.values()]),
            cmap="RdBu",
            vmin=-MOST_SKILL,
            vmax=MOST_SKILL,
            gid=kind,
        )
        ax.set_yticks(np.arange(len(rows)) + 0.5, list(rows))
        ax.set_ylim(len(rows), 0)
        ax.set_title(kind)
        ax.tick_params(length=0)
    bar = figure.colorbar(image, ax=list(axes), aspect=40, pad=0.01, extend="both", label="skill")
    bar.outline.set_visible(False)
    axes[-1].xaxis.set_major_locator(mdates.MonthLocator(bymonth=(1, 7)))
    axes[-1].xaxis.set_major_formatter(mdates.DateFormatter("%b %Y"))
    return figure


def _skills(scores: ModelScores, months: Instants) -> Floats:
    """The skill in each month, NaN where too few hours were scored."""
    found = [scores.by_month.get(str(month)) for month in months]
    return np.array(
        [np.nan if each is None or each.n < LEAST_HOURS else each.skill for each in found]
    )
