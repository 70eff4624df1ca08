"""How well a habit is learned: the grid of learning rates, and the log loss over the days."""

from __future__ import annotations

from collections.abc import Sequence, Sized
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import matplotlib.dates as mdates
import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from ems.errors import InvalidSpec
from ems.learning.pmf import N_HOURS
from ems.learning.priors import prior_named
from ems.learning.rivals import standard_models
from ems.learning.scores import SiteForecasts, prequential
from ems.learning.usage import UseHistory
from ems.pipelines.probability import DeviceSearch
from ems.report.figures.days import EACH_DAY_UP_TO
from ems.report.figures.page import Origin, days_in_words, new_page
from ems.report.figures.paper import SCREEN, Paper
from ems.report.figures.style import (
    BLACK,
    BLUE,
    GREEN,
    ORANGE,
    SKY,
    SMALL,
    VERMILLION,
    beside,
    styled,
    words,
)
from ems.types import Floats

UNIFORM_BITS = float(np.log2(N_HOURS))
"""Log loss of the uniform distribution, log₂ 24 ≈ 4.585 bits a start."""

_NUMBERS_UP_TO = 8
"""Up to so many columns a number fits into every cell."""
_ROW_IN, _LOWEST_IN, _TALLEST_IN = 0.42, 1.7, 6.0
_MORE = LinearSegmentedColormap.from_list("more", ["#F7FBFF", SKY])
_LESS = _MORE.reversed("less")
"""Light enough for black numbers and both frames."""
_SETTLED = 0.1
"""Running means are drawn behind this share of the starts; before it they jump."""


def heading(search: DeviceSearch, what: str) -> tuple[str, str]:
    """Title and note of a figure of one device from one prior."""
    history, rate = search.history, search.rate
    title = f"{history.building} · {words(history.device)} · {what}"
    note = (
        f"{days_in_words(history.days.tolist())} · prior {search.prior} · "
        f"best of {count(search.grid.rates, 'cell')} by log loss: "
        f"lr_tau {rate.lr_tau:g} days, lr_max {rate.lr_max:g} · "
        f"{count(search.updates, 'update')}, {count(search.forecasts.days, 'scored day')}"
    )
    return title, note


def count(things: Sized, name: str) -> str:
    """How many there are, in words."""
    return f"{len(things)} {name}{'' if len(things) == 1 else 's'}"


def date_axis(ax: Any, paper: Paper = SCREEN) -> None:
    """Dates below ``ax``: every day while they fit, else few, as months where they are many."""
    begin, end = ax.get_xlim()
    by_month = end - begin > 150
    each_day = end - begin <= (5 if paper.narrow else EACH_DAY_UP_TO)
    least, most = (2, 4) if paper.narrow else (4, 9)
    # multiples count days from the first of each month: the 29th would stand upon the 1st
    few = mdates.AutoDateLocator(minticks=least, maxticks=most, interval_multiples=by_month)
    ax.xaxis.set_major_locator(mdates.DayLocator() if each_day else few)
    ax.xaxis.set_major_formatter(mdates.DateFormatter("%b %Y" if by_month else "%d %b"))
    ax.set_xlabel("local day")


# --- the grid of learning rates -------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class RateMap:
    """The scores of a grid of learning rates, and what is said above them.

    ``places``: lr_tau [days] and lr_max of each cell; ``log_loss_bits`` [``unit``] and
    ``learning_score`` [√nat], one a cell; ``cell`` is the best by log loss, ``by_learning_score``
    the one that the learning score would choose.
    """

    title: str
    note: str
    unit: str
    places: Sequence[tuple[float, float]]
    log_loss_bits: Sequence[float]
    learning_score: Sequence[float]
    cell: int
    by_learning_score: int

    @classmethod
    def of(cls, search: DeviceSearch) -> RateMap:
        """The grid of one device from one prior."""
        title, note = heading(search, "how fast to follow the habit")
        disagreement = search.disagreement[0].upper() + search.disagreement[1:]
        return cls(
            title=title,
            note=f"{note}. {disagreement}.",
            unit=_bits_of(search),
            places=_places(search),
            log_loss_bits=search.grid.log_loss_bits[:, 0].tolist(),
            learning_score=search.grid.learning_score[:, 0].tolist(),
            cell=search.cell,
            by_learning_score=search.by_learning_score,
        )


def grid_map(search: DeviceSearch, *, origin: Origin, paper: Paper = SCREEN) -> Figure:
    """Log loss and learning score of every cell of a search; see :func:`rate_map`.

    Raises ``InvalidSpec`` when two different cells share lr_tau and lr_max.
    """
    return rate_map(RateMap.of(search), origin=origin, paper=paper)


@styled
def rate_map(cells: RateMap, *, origin: Origin, paper: Paper = SCREEN) -> Figure:
    """Log loss [bit per start] and learning score [√nat] of every cell, the best of each framed.

    Darker is better in both. The numbers stand in the cells as long as they fit.
    """
    taus, maxima = (sorted({place[k] for place in cells.places}) for k in range(2))
    body_in = float(np.clip(_ROW_IN * len(taus), _LOWEST_IN, _TALLEST_IN)) + 1.0
    shape = (2, 1) if paper.narrow else (1, 2)
    figure = new_page(body_in * shape[0], cells.title, cells.note, origin, paper)
    axes = np.ravel(figure.subplots(*shape, sharey=True))
    panels = (
        (f"log loss [{cells.unit}]", cells.log_loss_bits, _LESS),
        ("learning score [√nat]", cells.learning_score, _MORE),
    )
    for ax, (label, values, colours) in zip(axes, panels, strict=True):
        table = np.full((len(taus), len(maxima)), np.nan)
        for (tau, most), value in zip(cells.places, values, strict=True):
            table[taus.index(tau), maxima.index(most)] = value
        _heat(figure, ax, table, label, colours)
        _ticks(ax.xaxis, maxima)
        ax.set_xlabel("lr_max [greatest share of one day]")
    chosen = (
        ("least log loss", cells.cell, VERMILLION, "solid"),
        ("greatest learning score", cells.by_learning_score, BLACK, (0, (2.5, 1.5))),
    )
    for own, ax in enumerate(axes):
        for name, cell, colour, dashes in chosen:
            tau, most = cells.places[cell]
            frame = _frame(ax, maxima.index(most), taus.index(tau), colour, dashes, name)
            if name == chosen[own][0]:
                above = {"loc": "lower left", "bbox_to_anchor": (0.0, 1.0), "borderaxespad": 0.2}
                ax.legend(handles=[frame], **above)
    _ticks(axes[0].yaxis, taus)
    for ax in axes if paper.narrow else axes[:1]:
        ax.set_ylabel("lr_tau [days]")
    return figure


def _bits_of(search: DeviceSearch) -> str:
    """The unit of the log loss: a device that starts itself has one profile a day."""
    return "bit per day" if search.history.category == "partial_usage" else "bit per start"


def _places(search: DeviceSearch) -> list[tuple[float, float]]:
    rates = search.grid.rates
    places = [(rate.lr_tau, rate.lr_max) for rate in rates]
    if len(set(places)) < len(set(rates)):
        raise InvalidSpec(
            f"{search.history.who}: {len(set(rates))} different cells at {len(set(places))} pairs "
            "of lr_tau and lr_max; draw those of one lr_min and uniform_share"
        )
    return places


def _heat(figure: Figure, ax: Any, table: Floats, label: str, colours: Any) -> None:
    image = ax.imshow(table, cmap=colours, aspect="auto", origin="lower")
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    bar = figure.colorbar(image, ax=ax, aspect=30, pad=0.02, ticks=MaxNLocator(5))
    bar.set_label(label)
    bar.outline.set_visible(False)
    if table.shape[1] > _NUMBERS_UP_TO or _ROW_IN * table.shape[0] > _TALLEST_IN:
        return
    for (row, column), value in np.ndenumerate(table):
        if np.isfinite(value):
            ax.text(column, row, f"{value:.3f}", size=SMALL, ha="center", va="center")


def _frame(ax: Any, column: int, row: int, colour: str, dashes: Any, name: str) -> Rectangle:
    frame = Rectangle(
        (column - 0.46, row - 0.46),
        0.92,
        0.92,
        fill=False,
        edgecolor=colour,
        linestyle=dashes,
        label=name,
        gid=name,
        clip_on=False,
    )
    frame.set_linewidth(1.3 * mpl.rcParams["lines.linewidth"])
    ax.add_patch(frame)
    return frame


def _ticks(axis: Any, values: list[float]) -> None:
    """A tick for each value, or for as many of them as read well."""
    every = -(-len(values) // 8)
    axis.set_ticks(range(0, len(values), every), [f"{value:.3g}" for value in values[::every]])


# --- scores over the days -------------------------------------------------------------------------


@styled
def learning_curves(
    search: DeviceSearch,
    *,
    origin: Origin,
    others: Sequence[UseHistory] = (),
    paper: Paper = SCREEN,
) -> Figure:
    """Mean log loss so far over the scored days, and the bits saved so far against uniform.

    The best cell beside the uniform distribution, all-history frequencies and the best rival.
    Above: Σ bits / Σ starts up to each day [bit per start]; below: what each model has saved since
    the first scored day [bit]; where its slope is up, it knows more than nothing. ``others``: the
    same device in other buildings, needed for the ``transfer`` prior only.
    """
    title, note = heading(search, "log loss one day ahead")
    figure = new_page(5.4, title, note, origin, paper)
    mean, saved = figure.subplots(2, sharex=True, height_ratios=[1.2, 1.0])
    curves = _curves(search, others)
    for look, (name, forecasts) in zip(_LOOKS, curves.items(), strict=False):
        bits, starts = forecasts.log_loss_bits.cumsum(), forecasts.own_starts.cumsum()
        begun = starts > 0.0
        days, so_far = forecasts.days[begun], bits[begun] / starts[begun]
        label = f"{name}: {so_far[-1]:.3f}"
        marked = look | {"marker": "o" if len(days) <= EACH_DAY_UP_TO else None, "gid": name}
        settled = starts[begun] >= _SETTLED * starts[-1]
        mean.plot(days[settled], so_far[settled], label=label, **marked)
        saved.plot(days, UNIFORM_BITS * starts[begun] - bits[begun], **marked)
    none = {"color": BLACK, "linewidth": 1.2, "linestyle": (0, (1, 1.2))}
    mean.axhline(UNIFORM_BITS, label=f"uniform: {UNIFORM_BITS:.3f}", gid="uniform", **none)
    saved.axhline(0.0, gid="uniform", **none)
    mean.set_title(f"mean so far, from {100 * _SETTLED:.0f} % of the starts on")
    mean.set_ylabel(f"mean log loss so far\n[{_bits_of(search)}]")
    saved.set_ylabel("saved so far\nagainst uniform [bit]")
    beside(mean, title="mean of all scored days")
    days = mdates.date2num(search.forecasts.days)
    saved.set_xlim(days[0] - 0.5, days[-1] + 0.5)
    date_axis(saved)
    mean.tick_params(axis="x", length=0)
    return figure


_LOOKS: tuple[dict[str, Any], ...] = (
    {"color": BLUE, "linewidth": 2.2, "zorder": 3},
    {"color": ORANGE, "linewidth": 1.6, "linestyle": (0, (5, 2))},
    {"color": GREEN, "linewidth": 1.6, "linestyle": (0, (3, 1.5, 1, 1.5))},
)


def _curves(search: DeviceSearch, others: Sequence[UseHistory]) -> dict[str, SiteForecasts]:
    """The best cell, all-history frequencies and the best other rival on the same days."""
    history, own = search.history, f"rate:{search.prior}"
    priors = [prior_named(search.prior, history, others)]
    models = standard_models(history.device, history.place, priors)
    rivals = {
        n: s.log_loss_bits.mean for n, s in search.rivals.items() if n not in (own, "uniform")
    }
    n_train = len(history) - len(search.forecasts.days)
    curves = {"best cell": search.forecasts}
    best = min(rivals, key=lambda n: rivals[n])
    for name in dict.fromkeys(("all_history", best)):
        label = words(name) + (" (best rival)" if name == best else "")
        curves[label] = prequential(models[name], history, n_train=n_train)
    return curves
