"""The learned habit itself: how its PMF moved, and where it ended beside prior and starts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
from ems.report.figures.learning import count, date_axis, heading
from ems.report.figures.page import Origin, new_page
from ems.report.figures.paper import SCREEN, Paper
from ems.report.figures.style import (
    BLACK,
    BLUE,
    DARK_GREY,
    LIGHT_GREY,
    ORANGE,
    SMALL,
    beside,
    styled,
)
from ems.site.calendar import DAY_TYPES, DayType, day_type_index
from ems.types import Floats

LEVEL = 0.9
"""Of the credible intervals."""

_TYPE_NAMES: Mapping[DayType, str] = {
    "working_day": "working days",
    "weekend_or_holiday": "weekends and holidays",
}
_TYPE_LOOKS: Mapping[DayType, dict[str, Any]] = {
    "working_day": {"color": BLUE, "linewidth": 1.8},
    "weekend_or_holiday": {"color": ORANGE, "linewidth": 1.8, "linestyle": (0, (3, 1.2))},
}
_EDGES = np.arange(N_HOURS + 1.0)
_DOTTED: dict[str, Any] = {"color": BLACK, "linewidth": 1.2, "linestyle": (0, (1, 1.2))}
_CHOSEN: dict[str, Any] = {"color": BLACK, "linewidth": 0.8, "linestyle": (0, (2, 2))}
_PROBABILITY = "probability [per hour]"


# --- how the PMF moved ----------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, eq=False)
class HabitStep:
    """The PMF ``hours``, shape ``(24,)``, of one day type after the end of ``day``."""

    day: date
    day_type: DayType
    hours: Floats


@dataclass(frozen=True, kw_only=True, eq=False)
class HabitCourse:
    """How the habit of one device moved, and what is said above it.

    ``prior``: what was believed before ``first``; ``updates``: every step to ``last``, in time.
    """

    title: str
    note: str
    prior: Prior
    updates: Sequence[HabitStep | PmfUpdate]
    first: date
    last: date

    @classmethod
    def of(cls, search: DeviceSearch, others: Sequence[UseHistory] = ()) -> HabitCourse:
        """The course of the best cell of a search; ``others`` as in :func:`pmf_evolution`."""
        title, note = heading(search, "how the learned habit moved")
        days = search.history.days
        return cls(
            title=title,
            note=note,
            prior=prior_named(search.prior, search.history, others),
            updates=search.updates,
            first=days[0].item(),
            last=days[-1].item(),
        )


def pmf_evolution(
    search: DeviceSearch,
    *,
    origin: Origin,
    others: Sequence[UseHistory] = (),
    paper: Paper = SCREEN,
) -> Figure:
    """The best cell's PMF over the days; see :func:`habit_course`.

    ``others``: the same device in other buildings, needed for the ``transfer`` prior only.
    """
    return habit_course(HabitCourse.of(search, others), origin=origin, paper=paper)


@styled
def habit_course(course: HabitCourse, *, origin: Origin, paper: Paper = SCREEN) -> Figure:
    """A PMF over the days: hour × day for each day type, and whole PMFs of some days.

    A PMF holds from the end of its update day to the next one of its type. Below stand the PMFs of
    both types after the first, the last and the quartiles of the update days, on narrow paper
    after the first, the middle and the last. Raises ``InvalidSpec`` without updates.
    """
    if not course.updates:
        raise InvalidSpec(f"figure: {course.title}: nothing was learned, choose more days")
    figure = new_page(7.4 if paper.narrow else 6.4, course.title, course.note, origin, paper)
    maps, below = figure.subfigures(2, 1, height_ratios=[2.0, 1.0], squeeze=False)[:, 0]
    chosen = chosen_days(course.updates, 3 if paper.narrow else 5)
    _maps(maps, course, chosen, paper)
    panels = below.subplots(1, len(chosen), sharey=True, squeeze=False)[0]
    for ax, day in zip(panels, chosen, strict=True):
        for kind, name in enumerate(DAY_TYPES):
            hours = pmf_after(course.updates, course.prior, kind, day)
            ax.stairs(hours, _EDGES, baseline=None, label=_TYPE_NAMES[name], **_TYPE_LOOKS[name])
        ax.axhline(1.0 / N_HOURS, label="uniform", **_DOTTED)
        _hours_below(ax, every_h=12 if paper.narrow else 6)
        ax.set_title(f"{day.day} {day:%b %Y}", size=SMALL if paper.narrow else None)
    panels[0].set_ylim(bottom=0.0)
    panels[0].set_ylabel(_PROBABILITY.replace(" [", "\n["))
    if paper.narrow:
        handles, labels = panels[0].get_legend_handles_labels()
        below.legend(handles, labels, loc="outside lower center", ncols=3, columnspacing=1.0)
    else:
        beside(panels[-1])
    return figure


def chosen_days(updates: Sequence[HabitStep | PmfUpdate], n_days: int = 5) -> list[date]:
    """``n_days`` of the update days, evenly from the first to the last, each once."""
    days = [update.day for update in updates]
    places = np.rint(np.linspace(0, len(days) - 1, n_days)).astype(int)
    return list(dict.fromkeys(days[place] for place in places))


def pmf_after(
    updates: Sequence[HabitStep | PmfUpdate], prior: Prior, kind: int, day: date
) -> Floats:
    """The PMF of one day type at the end of ``day``, shape ``(24,)``; the prior before any step."""
    steps = [u.hours for u in updates if u.day_type == DAY_TYPES[kind] and u.day <= day]
    return steps[-1] if steps else prior.hours[kind]


def _maps(maps: Any, course: HabitCourse, chosen: Sequence[date], paper: Paper) -> None:
    axes = maps.subplots(len(DAY_TYPES), sharex=True, sharey=True)
    begin, end = mdates.date2num(course.first), mdates.date2num(course.last) + 1.0
    prior = course.prior
    most = max(float(prior.hours.max()), *(float(u.hours.max()) for u in course.updates))
    for kind, (ax, name) in enumerate(zip(axes, DAY_TYPES, strict=True)):
        steps = [update for update in course.updates if update.day_type == name]
        edges = [begin, *(mdates.date2num(step.day) + 1.0 for step in steps), end]
        table = np.stack([prior.hours[kind], *(step.hours for step in steps)], axis=1)
        image = ax.pcolormesh(
            edges, _EDGES, table, gid=name, cmap="Blues", vmin=0.0, vmax=most, rasterized=True
        )
        for day in chosen:
            ax.axvline(mdates.date2num(day) + 1.0, **_CHOSEN)
        ax.set_title(f"{_TYPE_NAMES[name]} · {count(steps, 'update')}")
        ax.set_yticks(range(0, N_HOURS + 1, 6))
        ax.set_ylabel("local hour [h]")
    axes[0].set_xlim(begin, end)
    date_axis(axes[-1], paper)
    axes[0].tick_params(axis="x", length=0)
    bar = maps.colorbar(image, ax=axes, aspect=30, pad=0.01)
    bar.set_label(_PROBABILITY)
    bar.outline.set_visible(False)


# --- where it ended -------------------------------------------------------------------------------


@styled
def prior_and_learned(
    search: DeviceSearch,
    *,
    origin: Origin,
    others: Sequence[UseHistory] = (),
    paper: Paper = SCREEN,
) -> Figure:
    """Prior and learned PMF of both day types, and the people's own starts as frequencies.

    The frequencies have central credible intervals, from ``DirichletModel`` with the same prior:
    where the learned PMF leaves them, it follows the latest days rather than all. ``others``: the
    same device in other buildings, needed for the ``transfer`` prior only.
    """
    history = search.history
    prior = prior_named(search.prior, history, others)
    counted = DirichletModel(device=history.device, place=history.place, prior=prior)
    counted.train(history)
    title, note = heading(search, "prior and learned habit")
    figure = new_page(3.6, title, note, origin, paper)
    axes = figure.subplots(1, 2, sharey=True)
    for kind, ax in enumerate(axes):
        day = _day_of(kind, history)
        _own(ax, history, kind)
        low_high = counted.credible_interval(day, LEVEL)
        label = f"{100 * LEVEL:.0f} % credible interval"
        ax.vlines(_EDGES[:-1] + 0.5, *low_high, color=DARK_GREY, linewidth=1.2, label=label)
        learned = pmf_after(search.updates, prior, kind, day)
        ax.stairs(
            learned, _EDGES, baseline=None, label="learned (best cell)", color=BLUE, linewidth=2.0
        )
        ax.stairs(prior.hours[kind], _EDGES, baseline=None, label=f"prior: {prior.name}", **_DOTTED)
        _hours_below(ax, every_h=3)
    axes[0].set_ylabel(_PROBABILITY)
    axes[0].set_ylim(bottom=0.0)
    beside(axes[1])
    return figure


def _own(ax: Any, history: UseHistory, kind: int) -> None:
    """The people's own starts of one day type as frequencies, and how many there are."""
    of_type = history.day_types == kind
    own = history.own_starts[of_type]
    starts = history.starts[of_type][own > 0.0].sum(axis=0)
    itself = history.category == "partial_usage"
    count = f"{starts.sum():,.0f} {'days in use' if itself else 'own starts'}"
    ax.set_title(f"{_TYPE_NAMES[DAY_TYPES[kind]]} · {count}")
    frequencies = starts / max(float(starts.sum()), 1.0)
    label = "energy by hour" if itself else "own starts"
    ax.stairs(frequencies, _EDGES, fill=True, color=LIGHT_GREY, label=label, gid="own")


def _day_of(kind: int, history: UseHistory) -> date:
    """The first day of this type from the last known one on."""
    day: date = history.days[-1].item()
    while day_type_index(day, history.place) != kind:
        day += timedelta(days=1)
    return day


def _hours_below(ax: Any, *, every_h: int) -> None:
    ax.set_xlim(0, N_HOURS)
    ax.set_xticks(range(0, N_HOURS + 1, every_h))
    ax.set_xlabel("local hour [h]")
