"""How well a habit is learned: grid of learning rates, and log loss over the days."""

from __future__ import annotations

from collections.abc import Sequence, Sized
from typing import Any

import matplotlib.dates as mdates
import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from ems.agents.words import spoken
from ems.errors import InvalidSpec
from ems.learning.pmf import N_HOURS
from ems.learning.priors import prior_named
from ems.learning.rivals import standard_models
from ems.learning.scores import SiteForecasts, prequential
from ems.learning.usage import UseHistory
from ems.pipelines.probability import DeviceSearch
from ems.report.figures.page import Origin, days_in_words, new_page
from ems.report.figures.paper import SCREEN, Paper
from ems.report.figures.parts import EACH_DAY_UP_TO, bar, day_axis, legend, panels
from ems.report.figures.style import (
    BLACK,
    BLUE,
    DOTTED,
    GREEN,
    ORANGE,
    SKY,
    SMALL,
    VERMILLION,
    styled,
)

UNIFORM_BITS = float(np.log2(N_HOURS))
"""Log loss of the uniform distribution, log₂ 24 ≈ 4.585 bits per start."""

_MOST_COLUMNS, _MOST_ROWS = 8, 14
"""Largest grid with a number in every cell."""
_MORE = LinearSegmentedColormap.from_list("more", ["#F7FBFF", SKY])
_LESS = _MORE.reversed("less")
"""Light enough for black numbers and both frames."""
_SETTLED = 0.1
"""Running means are drawn after this share of the starts; before that they jump."""


def heading(search: DeviceSearch, what: str) -> tuple[str, str]:
    """Title and note of a figure of one device from one prior."""
    history, rate = search.history, search.rate
    title = f"{history.building} · {spoken(history.device)} · {what}"
    note = (
        f"{days_in_words(history.days.tolist())} · prior {search.prior} · "
        f"best of {count(search.grid.rates, 'cell')} by log loss: "
        f"lr_tau {rate.lr_tau:g} days, lr_max {rate.lr_max:g} · "
        f"{count(search.updates, 'update')}, {count(search.forecasts.days, 'scored day')}"
    )
    return title, note


def count(things: Sized, name: str) -> str:
    """The number of items, in words."""
    return f"{len(things)} {name}{'' if len(things) == 1 else 's'}"


def grid_map(search: DeviceSearch, *, origin: Origin, paper: Paper = SCREEN) -> Figure:
    """Log loss and learning score of every cell of a search; see :func:`rate_map`.

    Raises ``InvalidSpec`` if two different cells have equal lr_tau and lr_max.
    """
    rates = search.grid.rates
    places = [(rate.lr_tau, rate.lr_max) for rate in rates]
    if len(set(places)) < len(set(rates)):
        raise InvalidSpec(
            f"{search.history.who}: {len(set(rates))} different cells at {len(set(places))} "
            "pairs of lr_tau and lr_max; draw those of one lr_min and uniform_share"
        )
    title, note = heading(search, "how fast to follow the habit")
    return rate_map(
        places,
        search.grid.log_loss_bits[:, 0].tolist(),
        search.grid.learning_score[:, 0].tolist(),
        best=(search.cell, search.by_learning_score),
        unit=_bits_of(search),
        title=title,
        note=f"{note} · {search.disagreement}",
        origin=origin,
        paper=paper,
    )


@styled
def rate_map(
    places: Sequence[tuple[float, float]],
    log_loss_bits: Sequence[float],
    learning_score: Sequence[float],
    *,
    best: tuple[int, int],
    unit: str,
    title: str,
    note: str,
    origin: Origin,
    paper: Paper = SCREEN,
) -> Figure:
    """Log loss [``unit``] and learning score [√nat] of every cell, with the best of each framed.

    ``places``: lr_tau [days] and lr_max of each cell; ``best``: the cell with the lowest log loss,
    and the one the learning score would choose. Darker is better in both. Numbers are shown in the
    cells if they fit.
    """
    taus, maxima = (sorted({place[k] for place in places}) for k in range(2))
    row = [taus.index(tau) for tau, _ in places]
    column = [maxima.index(most) for _, most in places]
    body_in = float(np.clip(0.42 * len(taus), 1.7, 6.0)) + 1.0
    n_stacked = 2 if paper.narrow else 1
    body = new_page(body_in * n_stacked, title, note, origin, paper)
    frames = (
        ("least log loss", best[0], VERMILLION, "solid"),
        ("greatest learning score", best[1], BLACK, (0, (2.5, 1.5))),
    )
    of_panel = (
        (f"log loss [{unit}]", log_loss_bits, _LESS),
        ("learning score [√nat]", learning_score, _MORE),
    )
    axes = panels(body, 2, paper, sharey=True)
    for i, (ax, (label, values, colours)) in enumerate(zip(axes, of_panel, strict=True)):
        table = np.full((len(taus), len(maxima)), np.nan)
        table[row, column] = values
        image = ax.imshow(table, cmap=colours, aspect="auto", origin="lower")
        bar(body, image, ax, label, aspect=30, ticks=MaxNLocator(5))
        if len(maxima) <= _MOST_COLUMNS and len(taus) <= _MOST_ROWS:
            for y, x, value in zip(row, column, values, strict=True):
                ax.text(x, y, f"{value:.3f}", size=SMALL, ha="center", va="center")
        drawn = [
            _framed(ax, column[cell], row[cell], name, colour, dashes)
            for name, cell, colour, dashes in frames
        ]
        above = {"loc": "lower left", "bbox_to_anchor": (0.0, 1.0), "borderaxespad": 0.2}
        ax.legend(handles=[drawn[i]], **above)
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)
        _ticks(ax.xaxis, maxima)
        ax.set_xlabel("lr_max [greatest share of one day]")
    _ticks(axes[0].yaxis, taus)
    for ax in axes[:n_stacked]:
        ax.set_ylabel("lr_tau [days]")
    return body.figure


def _framed(ax: Any, x: int, y: int, name: str, colour: str, dashes: Any) -> Rectangle:
    look = {"facecolor": "none", "edgecolor": colour, "linestyle": dashes, "linewidth": 2.0}
    frame = Rectangle((x - 0.46, y - 0.46), 0.92, 0.92, label=name, gid=name, **look)
    ax.add_patch(frame)
    return frame


def _ticks(axis: Any, values: Sequence[float]) -> None:
    """Ticks at each value, or at as many as remain readable."""
    every = -(-len(values) // 8)
    axis.set_ticks(range(0, len(values), every), [f"{value:.3g}" for value in values[::every]])


def _bits_of(search: DeviceSearch) -> str:
    """The unit of the log loss: a device that starts itself has one profile per day."""
    return "bit per day" if search.history.category == "partial_usage" else "bit per start"


@styled
def learning_curves(
    search: DeviceSearch,
    *,
    origin: Origin,
    others: Sequence[UseHistory] = (),
    paper: Paper = SCREEN,
) -> Figure:
    """Mean log loss so far over the scored days, and the bits saved against uniform.

    The best cell against the uniform distribution, all-history frequencies and the best rival. Top:
    Σ bits / Σ starts up to each day [bit per start]. Bottom: bits saved since the first scored day;
    a rising curve knows more than nothing. ``others``: the same device in other buildings, needed
    only for the ``transfer`` prior.
    """
    title, note = heading(search, "log loss one day ahead")
    body = new_page(5.4, title, note, origin, paper)
    mean, saved = body.subplots(2, sharex=True, height_ratios=[1.2, 1.0])
    for look, (name, forecasts) in zip(_LOOKS, _curves(search, others).items(), strict=False):
        bits, starts = forecasts.log_loss_bits.cumsum(), forecasts.own_starts.cumsum()
        begun = starts > 0.0
        days, so_far = forecasts.days[begun], bits[begun] / starts[begun]
        marked = look | {"marker": "o" if len(days) <= EACH_DAY_UP_TO else None, "gid": name}
        settled = starts[begun] >= _SETTLED * starts[-1]
        label = f"{name}: {so_far[-1]:.3f}"
        mean.plot(days[settled] + _NOON, so_far[settled], label=label, **marked)
        saved.plot(days + _NOON, UNIFORM_BITS * starts[begun] - bits[begun], **marked)
    none = {"color": BLACK, "linewidth": 1.2, "linestyle": DOTTED, "gid": "uniform"}
    mean.axhline(UNIFORM_BITS, label=f"uniform: {UNIFORM_BITS:.3f}", **none)
    saved.axhline(0.0, **none)
    mean.set_title(f"mean so far, from {100 * _SETTLED:.0f} % of the starts on")
    mean.set_ylabel(f"mean log loss so far\n[{_bits_of(search)}]")
    saved.set_ylabel("saved so far\nagainst uniform [bit]")
    legend(mean, paper, title="mean of all scored days")
    first, last = mdates.date2num(search.forecasts.days[[0, -1]])
    saved.set_xlim(first, last + 1.0)
    day_axis(saved, paper)
    body.align_ylabels()
    return body.figure


_NOON = np.timedelta64(12, "h")
"""A day's score is drawn at its middle."""
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
    losses = {name: scores.log_loss_bits.mean for name, scores in search.rivals.items()}
    best = min((name for name in losses if name not in (own, "uniform")), key=lambda n: losses[n])
    n_train = len(history) - len(search.forecasts.days)
    curves = {"best cell": search.forecasts}
    for name in dict.fromkeys(("all_history", best)):
        label = spoken(name) + (" (best rival)" if name == best else "")
        curves[label] = prequential(models[name], history, n_train=n_train)
    return curves
