"""The learned habit: how its PMF moved, and the result against prior and starts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import matplotlib.dates as mdates
import numpy as np
from matplotlib.figure import Figure

from ems.errors import InvalidSpec
from ems.learning.habit import PmfUpdate
from ems.learning.pmf import N_HOURS
from ems.learning.priors import Prior, prior_named
from ems.learning.rivals import DirichletModel
from ems.learning.usage import UseHistory
from ems.pipelines.probability import DeviceSearch
from ems.report.figures.learning import count, heading
from ems.report.figures.page import Origin, new_page
from ems.report.figures.paper import SCREEN, Paper
from ems.report.figures.parts import bar, day_axis, legend_of_all, panels
from ems.report.figures.style import (
    BLACK,
    BLUE,
    DARK_GREY,
    DOTTED,
    LIGHT_GREY,
    ORANGE,
    SMALL,
    styled,
)
from ems.site.calendar import DAY_TYPES, DayType, day_type_index
from ems.types import Floats

LEVEL = 0.9
"""Level of the credible intervals."""

_TYPE_NAMES: Mapping[DayType, str] = {
    "working_day": "working days",
    "weekend_or_holiday": "weekends and holidays",
}
_TYPE_LOOKS: Mapping[DayType, dict[str, Any]] = {
    "working_day": {"color": BLUE, "linewidth": 1.8},
    "weekend_or_holiday": {"color": ORANGE, "linewidth": 1.8, "linestyle": (0, (3, 1.2))},
}
_EDGES = np.arange(N_HOURS + 1.0)
_NOTHING: dict[str, Any] = {"color": BLACK, "linewidth": 1.2, "linestyle": DOTTED}


def pmf_evolution(
    search: DeviceSearch,
    *,
    origin: Origin,
    others: Sequence[UseHistory] = (),
    paper: Paper = SCREEN,
) -> Figure:
    """The best cell's PMF over the days; see :func:`habit_course`.

    ``others``: the same device in other buildings, needed only for the ``transfer`` prior.
    """
    title, note = heading(search, "how the learned habit moved")
    prior = prior_named(search.prior, search.history, others)
    first, last = search.history.days[[0, -1]].tolist()
    texts: dict[str, Any] = {"title": title, "note": note, "origin": origin, "paper": paper}
    return habit_course(search.updates, prior, first=first, last=last, **texts)


@styled
def habit_course(
    updates: Sequence[PmfUpdate],
    prior: Prior,
    *,
    first: date,
    last: date,
    title: str,
    note: str,
    origin: Origin,
    paper: Paper = SCREEN,
) -> Figure:
    """A PMF over the days: hour × day for each day type, and complete PMFs of some days.

    ``prior``: before ``first``; ``updates``: every step to ``last``, in order. A PMF holds from the
    end of its update day to the next one of its type. Below are the PMFs of both types after the
    first, the last and the quartiles of the update days, on narrow paper after the first, the
    middle and the last. Raises ``InvalidSpec`` without updates.
    """
    if not updates:
        raise InvalidSpec(f"figure: {title}: nothing was learned, choose more days")
    body = new_page(7.4 if paper.narrow else 6.4, title, note, origin, paper)
    maps, below = body.subfigures(2, 1, squeeze=False, height_ratios=[2.0, 1.0])[:, 0]
    chosen = chosen_days(updates, 3 if paper.narrow else 5)
    axes = maps.subplots(len(DAY_TYPES), sharex=True, sharey=True)
    begin, end = mdates.date2num(first), mdates.date2num(last) + 1.0
    most = max(prior.hours.max(), *(update.hours.max() for update in updates))
    for kind, (ax, name) in enumerate(zip(axes, DAY_TYPES, strict=True)):
        steps = [update for update in updates if update.day_type == name]
        edges = [begin, *(mdates.date2num(step.day) + 1.0 for step in steps), end]
        table = np.stack([prior.hours[kind], *(step.hours for step in steps)], axis=1)
        look = {"cmap": "Blues", "vmin": 0.0, "vmax": most, "gid": name, "rasterized": True}
        mesh = ax.pcolormesh(edges, _EDGES, table, **look)
        for day in chosen:
            at = mdates.date2num(day) + 1.0
            ax.axvline(at, color=BLACK, linewidth=0.8, linestyle=(0, (2, 2)))
        ax.set_title(f"{_TYPE_NAMES[name]} · {count(steps, 'update')}")
        ax.set_yticks(range(0, N_HOURS + 1, 6))
        ax.set_ylabel("local hour [h]")
    axes[0].set_xlim(begin, end)
    axes[0].tick_params(axis="x", length=0)
    day_axis(axes[-1], paper)
    bar(maps, mesh, axes, "probability [per hour]", aspect=30)
    _whole(below, updates, prior, chosen, paper)
    return body.figure


def _whole(
    below: Any,
    updates: Sequence[PmfUpdate],
    prior: Prior,
    chosen: Sequence[date],
    paper: Paper,
) -> None:
    """The PMFs of both day types after some days."""
    axes = below.subplots(1, len(chosen), sharey=True, squeeze=False)[0]
    for ax, day in zip(axes, chosen, strict=True):
        for kind, name in enumerate(DAY_TYPES):
            hours = pmf_after(updates, prior, kind, day)
            ax.stairs(hours, _EDGES, baseline=None, label=_TYPE_NAMES[name], **_TYPE_LOOKS[name])
        ax.axhline(1.0 / N_HOURS, label="uniform", **_NOTHING)
        _hours_below(ax, every_h=12 if paper.narrow else 6)
        ax.set_title(f"{day.day} {day:%b %Y}", size=SMALL if paper.narrow else None)
    axes[0].set_ylim(bottom=0.0)
    axes[0].set_ylabel("probability\n[per hour]")
    legend_of_all(below, axes[0].get_legend_handles_labels()[0], paper)


def chosen_days(updates: Sequence[PmfUpdate], n_days: int = 5) -> list[date]:
    """``n_days`` update days, evenly from the first to the last, without repetition."""
    places = np.rint(np.linspace(0, len(updates) - 1, n_days)).astype(int)
    return list(dict.fromkeys(updates[place].day for place in places))


def pmf_after(updates: Sequence[PmfUpdate], prior: Prior, kind: int, day: date) -> Floats:
    """The PMF of one day type at the end of ``day``, shape ``(24,)``; the prior before any step."""
    steps = [u.hours for u in updates if u.day_type == DAY_TYPES[kind] and u.day <= day]
    return steps[-1] if steps else prior.hours[kind]


@styled
def prior_and_learned(
    search: DeviceSearch,
    *,
    origin: Origin,
    others: Sequence[UseHistory] = (),
    paper: Paper = SCREEN,
) -> Figure:
    """Prior and learned PMF of both day types, and the frequencies of the people's own starts.

    The frequencies have central credible intervals from ``DirichletModel`` with the same prior:
    where the learned PMF leaves them, it follows recent days rather than all. ``others``: the same
    device in other buildings, needed only for the ``transfer`` prior.
    """
    history = search.history
    prior = prior_named(search.prior, history, others)
    counted = DirichletModel(device=history.device, place=history.place, prior=prior)
    counted.train(history)
    title, note = heading(search, "prior and learned habit")
    body = new_page(3.6 * (2 if paper.narrow else 1), title, note, origin, paper)
    axes = panels(body, 2, paper, sharey=True)
    for kind, ax in enumerate(axes):
        day = _day_of(kind, history)
        _own(ax, history, kind)
        middles, label = _EDGES[:-1] + 0.5, f"{100 * LEVEL:.0f} % credible interval"
        ends = counted.credible_interval(day, LEVEL)
        ax.vlines(middles, *ends, color=DARK_GREY, linewidth=1.2, label=label)
        for hours, name, look in (
            (pmf_after(search.updates, prior, kind, day), "learned (best cell)", _LEARNED),
            (prior.hours[kind], f"prior: {prior.name}", _NOTHING),
        ):
            ax.stairs(hours, _EDGES, baseline=None, label=name, **look)
        _hours_below(ax, every_h=3)
        ax.set_ylabel("probability [per hour]" if paper.narrow or kind == 0 else "")
    axes[0].set_ylim(bottom=0.0)
    legend_of_all(body, axes[0].get_legend_handles_labels()[0], paper)
    return body.figure


_LEARNED = {"color": BLUE, "linewidth": 2.0}


def _own(ax: Any, history: UseHistory, kind: int) -> None:
    """The people's own starts of one day type as frequencies, with their number."""
    of_type = history.day_types == kind
    own = history.own_starts[of_type]
    starts = history.starts[of_type][own > 0.0].sum(axis=0)
    itself = history.category == "partial_usage"
    ax.set_title(
        f"{_TYPE_NAMES[DAY_TYPES[kind]]} · {starts.sum():,.0f} "
        f"{'days in use' if itself else 'own starts'}"
    )
    look = {"fill": True, "color": LIGHT_GREY, "gid": "own"}
    label = "energy by hour" if itself else "own starts"
    ax.stairs(starts / max(float(starts.sum()), 1.0), _EDGES, label=label, **look)


def _day_of(kind: int, history: UseHistory) -> date:
    """The first day of this type, starting at the last known day."""
    day: date = history.days[-1].item()
    while day_type_index(day, history.place) != kind:
        day += timedelta(days=1)
    return day


def _hours_below(ax: Any, *, every_h: int) -> None:
    ax.set_xlim(0, N_HOURS)
    ax.set_xticks(range(0, N_HOURS + 1, every_h))
    ax.set_xlabel("local hour [h]")
