"""Forecasts beside what came: the median, the 80 % interval and the truth."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.dates as mdates
import numpy as np
from matplotlib.figure import Figure

from ems.errors import InvalidSpec
from ems.forecast.series import MEDIAN, Forecast, Series
from ems.plots.page import Origin, new_page
from ems.plots.style import BLACK, BLUE, SKY, beside, styled

_PANEL_IN = 1.7


@styled
def fan_chart(pairs: Sequence[tuple[Series, Forecast]], *, title: str, origin: Origin) -> Figure:
    """A panel for each series: the forecasts one behind the other, and what really came.

    Of each forecast the steps up to the next origin are drawn, at most its whole length. Raises
    ``InvalidSpec`` when there is nothing to draw.
    """
    if not pairs:
        raise InvalidSpec("figure: no forecast is given, give at least one")
    note = "each forecast until the next one is made, from what was known at its origin"
    figure = new_page(_PANEL_IN * len(pairs) + 0.4, title, note, origin)
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
