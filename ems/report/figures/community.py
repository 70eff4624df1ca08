"""A community: its flows, who gains, its price, what explains its cost, and how even gains are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.dates as mdates
import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from ems.community.community import LABELS, CommunityMode
from ems.errors import InvalidSpec
from ems.pipelines.community import CommunitySpec
from ems.pipelines.community_totals import CommunityResult, HomeRow
from ems.report.community import RULE_LABELS, CommunitySteps, FairPoint
from ems.report.figures.day import local_time, step_edges
from ems.report.figures.page import Origin, days_in_words, new_page, wrapped
from ems.report.figures.paper import SCREEN, Paper
from ems.report.figures.parts import EACH_DAY_UP_TO, day_axis, legend, legend_of_all, panels, rows
from ems.report.figures.style import (
    BLACK,
    BLUE,
    DARK_GREY,
    DASHED,
    DOTTED,
    FAINT_GREY,
    GREEN,
    GREY,
    LIGHT_GREY,
    ORANGE,
    PURPLE,
    SKY,
    SMALL,
    VERMILLION,
    YELLOW,
    Line,
    euros,
    styled,
)
from ems.types import Floats

NAMED_UP_TO = 30
"""Up to this number of homes each has a row with its name."""
_DEMAND = Line(label="demand", colour=BLACK, marker="")
_GENERATION = Line(label="generation", colour=ORANGE, marker="", dashes=DASHED)
_TOP = Line(label="retail less fee", colour=VERMILLION, marker="", width_pt=1.2)
_BOTTOM = Line(label="feed-in", colour=BLUE, marker="", dashes=DASHED, width_pt=1.2)
_RETAIL = Line(label="retail", colour=GREY, marker="", dashes=DOTTED, width_pt=1.2)
_SHARED = Line(label="earned by the seller", colour=BLACK, marker="", width_pt=2.4)
_FLOWS = (("shared", GREEN, ""), ("bought", SKY, "///"), ("sold", YELLOW, "..."))
_RULES: Mapping[str, tuple[str, str]] = {
    "mid_market": (BLUE, "o"),
    "supply_demand_ratio": (ORANGE, "s"),
    "double_auction": (VERMILLION, "D"),
    "competitive": (PURPLE, "^"),
    "bill_sharing": (GREEN, "v"),
}
_KEYS: Mapping[str, Any] = {
    "dynamic": "full",
    "equal": "none",
    "static": "left",
    "priority": "bottom",
}


# --- over time ------------------------------------------------------------------------------------


@styled
def community_flows(
    steps: CommunitySteps, *, what: str, note: str, origin: Origin, paper: Paper = SCREEN
) -> Figure:
    """Demand and generation above; below what is shared and bought, and downwards what is sold.

    Mean power [kW], beyond ``EACH_DAY_UP_TO`` days the energy of each day [kWh/day]. Demand is all
    use but what batteries take. ``what``: the homes and the mode, for the title.
    """
    title = f"{what} · flows · {days_in_words(steps.days)}"
    body = new_page(4.9, title, note, origin, paper)
    axes = body.subplots(2, sharex=True)
    edges = _edges(steps)
    for line, energy_kwh in ((_DEMAND, steps.demand_kwh), (_GENERATION, steps.generation_kwh)):
        drawn = _drawn(steps, energy_kwh.sum(axis=1))
        look = {"color": line.colour, "linestyle": line.dashes, "linewidth": 1.5 * paper.scale}
        axes[0].stairs(drawn, edges, baseline=None, label=line.label, **look)
    shared, bought, sold = (
        _drawn(steps, flow) for flow in (steps.shared_kwh, steps.bought_kwh, steps.sold_kwh)
    )
    for ends, base, (label, colour, hatch) in zip(
        (shared, shared + bought, -sold), (0.0 * shared, shared, 0.0 * sold), _FLOWS, strict=True
    ):
        look = {"facecolor": colour, "edgecolor": DARK_GREY, "linewidth": 0.4, "hatch": hatch}
        if np.nansum(np.abs(ends - base)) > 0:
            axes[1].stairs(ends, edges, baseline=base, fill=True, label=label, **look)
    axes[1].axhline(0.0, color=BLACK, linewidth=0.8)
    axes[1].yaxis.set_major_formatter(lambda value, _: f"{abs(value):g}")
    unit = "energy [kWh/day]" if _by_day(steps) else "mean power [kW]"
    axes[0].set_ylabel(unit)
    axes[1].set_ylabel(f"{unit}\n← out | in →")
    for ax in axes:
        legend(ax, paper)
    _time(axes[-1], steps, paper)
    body.align_ylabels(axes)
    return body.figure


@styled
def community_price(
    steps: CommunitySteps, *, what: str, note: str, origin: Origin, paper: Paper = SCREEN
) -> Figure:
    """The price of a shared kWh in its box [ct/kWh], and what is shared at it.

    The box reaches from the feed-in price to the retail price less the fee. λ is drawn where
    something is shared. Beyond ``EACH_DAY_UP_TO`` days each price is the mean of a day, weighted
    by the kWh shared.
    """
    title = f"{what} · price of a shared kWh · {days_in_words(steps.days)}"
    body = new_page(4.9, title, note, origin, paper)
    axes = body.subplots(2, sharex=True, height_ratios=[2.0, 1.0])
    edges = _edges(steps)
    top, bottom = (
        _priced(steps, prices) for prices in (steps.most_eur_per_kwh, steps.feed_in_eur_per_kwh)
    )
    box = {"facecolor": FAINT_GREY, "edgecolor": "none", "label": "box: both sides gain"}
    axes[0].stairs(top, edges, baseline=bottom, fill=True, **box)
    lines = [(_TOP, top), (_BOTTOM, bottom)]
    if np.any(steps.fee_eur_per_kwh):
        lines.insert(0, (_RETAIL, _priced(steps, steps.retail_eur_per_kwh)))
    earned = _priced(steps, steps.shared_eur_per_kwh, shared_only=True)
    lines.append((_SHARED, earned))
    for line, prices in lines:
        look = {"color": line.colour, "linestyle": line.dashes, "label": line.label}
        width = {"linewidth": line.width_pt * paper.scale}
        axes[0].stairs(prices, edges, baseline=None, **look, **width)
    axes[0].set_ylim(*_limits([prices for _, prices in lines]))
    axes[0].axhline(0.0, color=BLACK, linewidth=0.8)
    axes[0].set_ylabel("price [ct/kWh]")
    unit = "[kWh/day]" if _by_day(steps) else "[kW]"
    look = {"facecolor": GREEN, "edgecolor": DARK_GREY, "linewidth": 0.4, "label": "shared"}
    axes[1].stairs(_drawn(steps, steps.shared_kwh), edges, baseline=0.0, fill=True, **look)
    axes[1].set_ylabel(f"shared\n{unit}")
    legend(axes[0], paper)
    _time(axes[-1], steps, paper)
    body.align_ylabels(axes)
    return body.figure


def _limits(lines: Sequence[Floats]) -> tuple[float, float]:
    """From below the least to above the greatest price, zero among them."""
    low, high = min(0.0, np.nanmin(lines)), max(0.0, np.nanmax(lines))
    air = 0.06 * max(high - low, 1.0)
    return low - air * (low < 0), high + air


def _by_day(steps: CommunitySteps) -> bool:
    return len(steps.span) > EACH_DAY_UP_TO


def _edges(steps: CommunitySteps) -> Floats:
    if not _by_day(steps):
        return step_edges(steps.clock)
    edges: Floats = mdates.date2num(steps.span[0]) + np.arange(len(steps.span) + 1.0)
    return edges


def _drawn(steps: CommunitySteps, energy_kwh: Floats) -> Floats:
    """Mean power of each step [kW], or the energy of each day [kWh]; NaN for days left out."""
    if _by_day(steps):
        return steps.by_day(energy_kwh)
    return steps.on_clock(steps.clock.power_kw(energy_kwh))


def _priced(steps: CommunitySteps, prices: Floats, *, shared_only: bool = False) -> Floats:
    """Prices of each step, or of each day weighted by the kWh shared [ct/kWh].

    ``shared_only``: nothing where nothing is shared; else such a day has its plain mean.
    """
    if not _by_day(steps):
        known = steps.sharing | (not shared_only)
        return steps.on_clock(np.where(known, 100.0 * prices, np.nan))
    shared_kwh = steps.by_day(steps.shared_kwh)
    of_step = shared_kwh[(steps.day_of_step - steps.day_of_step[0]).astype(int)]
    weight = np.where(of_step > 0, steps.shared_kwh, 0.0 if shared_only else 1.0)
    total = steps.by_day(weight)
    known_day = np.nan_to_num(total) > 0
    paid = steps.by_day(100.0 * prices * weight)
    return np.where(known_day, paid / np.where(known_day, total, 1.0), np.nan)


def _time(ax: Any, steps: CommunitySteps, paper: Paper) -> None:
    if _by_day(steps):
        ax.set_xlim(*_edges(steps)[[0, -1]])
        day_axis(ax, paper)
    else:
        local_time(ax, steps.clock, paper)


# --- who gains ------------------------------------------------------------------------------------


@styled
def gain_per_home(
    result: CommunityResult, *, what: str, note: str, origin: Origin, paper: Paper = SCREEN
) -> Figure:
    """What each home pays alone and here [€], and its gain [€], the greatest first.

    Losers are hatched. Beyond ``NAMED_UP_TO`` homes the gains alone, without names. Raises
    ``InvalidSpec`` without homes.
    """
    if not result.homes:
        raise InvalidSpec("figure: no homes, give a result with at least two")
    homes = sorted(result.homes, key=lambda home: -home.gain_eur)
    n_losers = sum(_loses(home) for home in homes)
    lose = "nobody is worse off" if not n_losers else f"{n_losers} of {len(homes)} worse off"
    texts = (f"{what} · gain per home", f"gain: less to pay than alone · {lose} · {note}")
    draw = _named_gains if len(homes) <= NAMED_UP_TO else _many_gains
    return draw(homes, *texts, origin, paper)


def _loses(home: HomeRow) -> bool:
    """Whether a home is worse off by a cent."""
    return round(home.gain_eur, 2) < 0


def _bar_look(home: HomeRow) -> dict[str, Any]:
    if _loses(home):
        return {"facecolor": VERMILLION, "edgecolor": DARK_GREY, "hatch": "///", "linewidth": 0.4}
    return {"facecolor": GREEN, "edgecolor": DARK_GREY, "linewidth": 0.4}


def _named_gains(
    homes: Sequence[HomeRow], title: str, note: str, origin: Origin, paper: Paper
) -> Figure:
    names = [home.name for home in homes]
    body_in = paper.row_in(0.28, names) * len(homes) + 1.0
    body = new_page(body_in * (2 if paper.narrow else 1), title, note, origin, paper)
    cost, gain = panels(body, 2, paper, sharey=True)
    for ax in (cost, gain):
        rows(ax, names, paper)
        ax.axvline(0.0, color=BLACK, linewidth=0.8 * paper.scale, zorder=1.5)
    for place, home in enumerate(homes):
        ends = [home.alone_eur, home.here_eur]
        cost.plot(ends, [place, place], color=LIGHT_GREY, linewidth=2.0 * paper.scale)
        look: dict[str, Any] = {"linestyle": "none", "color": BLUE}
        open_face: dict[str, Any] = look | {"marker": "s", "markerfacecolor": "white"}
        cost.plot(home.alone_eur, place, gid=f"{home.name}/alone", **open_face)
        cost.plot(home.here_eur, place, marker="o", gid=f"{home.name}/here", **look)
        gain.barh(place, home.gain_eur, height=0.7, **_bar_look(home))
        said: dict[str, Any] = {"va": "center", "size": SMALL, "textcoords": "offset points"}
        gain.annotate(euros(home.gain_eur), (max(home.gain_eur, 0.0), place), (5, 0), **said)
    gain.margins(x=0.2)
    gain.autoscale_view()
    cost.set_xlabel("cost [€]")
    gain.set_xlabel("gain [€]")
    keys: list[Any] = [
        Line2D([], [], marker="s", markerfacecolor="white", color=BLUE, ls="none", label="alone"),
        Line2D([], [], marker="o", color=BLUE, ls="none", label="here"),
    ]
    legend_of_all(body, keys, paper)
    return body.figure


def _many_gains(
    homes: Sequence[HomeRow], title: str, note: str, origin: Origin, paper: Paper
) -> Figure:
    body = new_page(3.6, title, note, origin, paper)
    ax = body.subplots()
    gains = np.array([home.gain_eur for home in homes])
    n_gain = sum(not _loses(home) for home in homes)
    edges = np.arange(len(homes) + 1.0)
    looks = {"gain": (slice(0, n_gain), homes[0]), "worse off": (slice(n_gain, None), homes[-1])}
    for label, (part, like) in looks.items():
        if len(gains[part]):
            where = edges[part.start : part.start + len(gains[part]) + 1]
            ax.stairs(gains[part], where, fill=True, label=label, **_bar_look(like))
    ax.axhline(0.0, color=BLACK, linewidth=0.8 * paper.scale)
    ax.axhline(float(np.median(gains)), color=BLACK, linestyle=DOTTED, label="median")
    ax.set_xlim(0.0, len(homes))
    ends = f"homes, the greatest gain first · most {homes[0].name} · least {homes[-1].name}"
    ax.set_xlabel(wrapped(ends, paper.letters(paper.text_pt, 0.7)))
    ax.set_ylabel("gain [€]")
    legend(ax, paper)
    return body.figure


# --- what explains it -----------------------------------------------------------------------------


@styled
def four_costs(
    result: CommunityResult,
    spec: CommunitySpec,
    *,
    what: str,
    note: str,
    origin: Origin,
    paper: Paper = SCREEN,
) -> Figure:
    """Cost [€] by the best rules and planned, alone and together, and what each saves.

    Against the best rules alone: planned alone, planning is the saving; by rule together, sharing
    is; planned together, both.
    """
    modes: tuple[CommunityMode, ...] = ("rule_alone", "alone", "rule_together", spec.settled_mode)
    costs_eur = [result.cost_eur(mode) for mode in modes]
    names = [LABELS[mode] for mode in modes]
    told = f"bill with the stores put back as they were, wear and discomfort · {note}"
    body_in = paper.row_in(0.36, names) * len(names) + 0.9
    height_in = body_in * (2 if paper.narrow else 1)
    body = new_page(height_in, f"{what} · four costs", told, origin, paper)
    cost, saved = panels(body, 2, paper, sharey=True)
    for ax in (cost, saved):
        rows(ax, names, paper)
        ax.grid(visible=False)
        ax.axvline(0.0, color=BLACK, linewidth=0.8 * paper.scale, zorder=3.0)
        ax.margins(x=0.25)
    why = ("", " (planning)", " (sharing)", " (both)")
    for place, (cost_eur, of) in enumerate(zip(costs_eur, why, strict=True)):
        look = {"edgecolor": DARK_GREY, "linewidth": 0.4, "hatch": ("", "///")[place % 2]}
        colour = (LIGHT_GREY, SKY)[place // 2]
        _said_bar(cost, place, cost_eur, "", {"facecolor": colour} | look)
        if place:
            saved_eur = costs_eur[0] - cost_eur
            _said_bar(saved, place, saved_eur, of, {"facecolor": colour} | look)
    cost.set_xlabel("cost [€]")
    saved.set_xlabel(f"less than {LABELS['rule_alone']} [€]")
    keys = [
        Patch(facecolor=LIGHT_GREY, edgecolor=DARK_GREY, label="alone"),
        Patch(facecolor=SKY, edgecolor=DARK_GREY, label="together"),
    ]
    legend_of_all(body, keys, paper)  # type: ignore[arg-type]
    return body.figure


def _said_bar(ax: Any, place: int, amount_eur: float, why: str, look: Mapping[str, Any]) -> None:
    ax.barh(place, amount_eur, height=0.66, **look)
    said: dict[str, Any] = {"va": "center", "size": SMALL, "textcoords": "offset points"}
    ax.annotate(f"{euros(amount_eur)}{why}", (max(amount_eur, 0.0), place), (5, 0), **said)


@styled
def gini_against_cost(
    points: Sequence[FairPoint], *, what: str, note: str, origin: Origin, paper: Paper = SCREEN
) -> Figure:
    """How uneven the gains are, 0 all the same … 1 one home has all, over what all pay [€].

    A point for each rule and key; where a home is worse off than alone there is no Gini, and the
    point stands in a band above. Raises ``InvalidSpec`` without points.
    """
    if not points:
        raise InvalidSpec("figure: no rules to compare, give at least one result")
    told = f"Gini of gains: 0 all the same, 1 one home has all · {note}"
    body = new_page(4.0, f"{what} · Gini against cost", told, origin, paper)
    ax = body.subplots()
    known = [point.gini for point in points if point.gini is not None]
    top = max(0.1, 1.15 * max(known, default=0.0))
    band = 1.15 * top
    ticks = [float(tick) for tick in np.linspace(0.0, 1.0, 11) if tick <= top]
    names = [f"{tick:.1f}" for tick in ticks]
    if len(known) < len(points):
        ax.axhspan(1.06 * top, 1.24 * top, color=FAINT_GREY, linewidth=0)
        ticks, names = [*ticks, band], [*names, "someone\nis worse off"]
    ax.set_yticks(ticks, names)
    ax.set_ylim(0.0, 1.24 * top if len(known) < len(points) else top)
    for point in points:
        colour, marker = _RULES[point.rule]
        look: dict[str, Any] = {"color": colour, "marker": marker, "fillstyle": _KEYS[point.key]}
        size: dict[str, Any] = {
            "markersize": 8.0 * paper.scale,
            "markerfacecoloralt": "white",
            "clip_on": False,
        }
        place = band if point.gini is None else point.gini
        ax.plot(point.cost_eur, place, linestyle="none", gid=point.name, **look, **size)
    ax.margins(x=0.12)
    ax.set_xlabel("cost of all homes [€]")
    ax.set_ylabel("Gini of gains [0 … 1]")
    legend(ax, paper, handles=_point_keys(points))
    return body.figure


def _point_keys(points: Sequence[FairPoint]) -> list[Line2D]:
    """A sample for every rule and every key that is drawn."""
    rules = dict.fromkeys(point.rule for point in points)
    keys = dict.fromkeys(point.key for point in points)
    empty: dict[str, Any] = {"linestyle": "none", "markerfacecoloralt": "white"}
    return [
        *(
            Line2D([], [], color=_RULES[r][0], marker=_RULES[r][1], label=RULE_LABELS[r], **empty)
            for r in rules
        ),
        *(
            Line2D([], [], color=GREY, marker="o", fillstyle=_KEYS[k], label=f"{k} key", **empty)
            for k in keys
        ),
    ]
