"""One planned day: power on the building's bus, charge and prices."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import matplotlib.dates as mdates
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ems.agents import Agent
from ems.agents.dispatch_plan import DispatchPlan
from ems.core.horizon import Horizon
from ems.core.mode import LABELS
from ems.pipelines.comparison import DayRecord
from ems.pipelines.spec import UNPLANNED
from ems.report.figures.page import Origin, days_in_words, new_page
from ems.report.figures.paper import SCREEN, Paper
from ems.report.figures.parts import legend, steps
from ems.report.figures.style import (
    BLACK,
    BLUE,
    DARK_GREY,
    DASHED,
    DOTTED,
    FORESIGHT,
    HATCHES,
    VERMILLION,
    Line,
    device_colours,
    euros,
    styled,
)
from ems.types import Floats

_VISIBLE_KW = 1e-6
_MOST_TICKS, _TICK_LETTERS = 14, 7
_ENTRY_IN = 0.19
"""Height of a legend entry of powers."""
_DASHES: tuple[Any, ...] = ("solid", (0, (5, 2)), (0, (8, 1, 1, 1)), (0, (3, 1, 1, 1)), (0, (2, 3)))
_IMPORT = Line(label="import", colour=VERMILLION, marker="")
_EXPORT = Line(label="export", colour=BLUE, marker="", dashes=DASHED)
_WORTH = Line(label="worth in the plan", colour=BLACK, marker="", dashes=DOTTED)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Layer:
    """One area of the stack; ``power_kw`` ≥ 0, shape ``(n_steps,)``."""

    label: str
    power_kw: Floats
    colour: str
    hatch: str = ""


@styled
def planned_day(
    record: DayRecord,
    *,
    tariff: str,
    origin: Origin,
    foresight: str = FORESIGHT,
    why: str = "",
    worth_eur_per_kwh: Floats | None = None,
    paper: Paper = SCREEN,
) -> Figure:
    """The plan of one day in three panels over local time.

    Top: mean power of each step [kW], feeding above zero, drawing below. Middle, if there is a
    store: the charge of each at the ends of steps, in percent of its capacity. Bottom: prices
    [ct/kWh], with the value of a kWh on the bus if given, ``worth_eur_per_kwh`` [€/kWh], shape
    ``(n_steps,)``. Works for any number of agents and steps, and days of any length. ``why``: why
    this day is shown, for the note.
    """
    note = f"tariff {tariff} · bill {euros(record.kpis.bill_eur)}"
    if record.mode not in UNPLANNED:
        note += f" · {foresight}"
    if why:
        note = f"{why} · {note}"
    title = f"{record.building} · {days_in_words([record.day])} · {LABELS[record.mode]}"
    plan = record.schedule
    stores = [agent for agent in plan.agents if "soc_kwh" in plan.plans[agent.name].series]
    feeds, draws = _layers(plan)
    entries_in = 0.0 if paper.narrow else _ENTRY_IN * (3 + len(feeds) + len(draws))
    ratios = [max(3.7, entries_in), *([1.6] if stores else []), 1.4]
    body = new_page(sum(ratios), title, note, origin, paper)
    axes = body.subplots(len(ratios), sharex=True, height_ratios=ratios)
    _power(axes[0], plan, feeds, draws, paper)
    if stores:
        _charge(axes[1], plan, stores, paper)
    _prices(axes[-1], plan.horizon, worth_eur_per_kwh, paper)
    local_time(axes[-1], plan.horizon, paper)
    body.align_ylabels(axes)
    return body.figure


def _layers(plan: DispatchPlan) -> tuple[list[_Layer], list[_Layer]]:
    """What feeds and what draws, from zero outwards; series that are always zero are left out."""
    sides: tuple[list[_Layer], list[_Layer]] = ([], [])
    for agent, colour, hatch in _looks(plan):
        net_kw = plan.plans[agent.name].net_load_kw
        for side, label, sign in zip(sides, agent.flow_labels, (-1.0, 1.0), strict=True):
            power_kw = np.maximum(sign * net_kw, 0.0)
            look = ("white", "\\\\\\") if agent.closes_balance and sign > 0 else (colour, hatch)
            if np.any(power_kw > _VISIBLE_KW):
                side.append(_Layer(label=label, power_kw=power_kw, colour=look[0], hatch=look[1]))
    return sides


def _looks(plan: DispatchPlan) -> Iterator[tuple[Agent, str, str]]:
    """Each agent with colour and hatch, from inflexible to balancing."""
    agents = sorted(plan.agents, key=lambda agent: agent.layer)
    own = device_colours(agent.name for agent in agents if agent.colour is None)
    seen: Counter[str] = Counter()
    for agent in agents:
        if agent.colour is None:
            yield agent, *own[agent.name]
        else:
            yield agent, agent.colour, HATCHES[seen[agent.colour] % len(HATCHES)]
            seen[agent.colour] += 1


def _power(
    ax: Any, plan: DispatchPlan, feeds: list[_Layer], draws: list[_Layer], paper: Paper
) -> None:
    edges = step_edges(plan.horizon)
    above, top_kw = _stack(ax, edges, feeds, 1.0)
    below, bottom_kw = _stack(ax, edges, draws, -1.0)
    series = [one.series for one in plan.plans.values() if "curtailed_kw" in one.series]
    lost_kw = np.sum([np.zeros_like(top_kw), *(one["curtailed_kw"] for one in series)], axis=0)
    if np.any(lost_kw > _VISIBLE_KW):
        look = {
            "facecolor": "none",
            "edgecolor": DARK_GREY,
            "linestyle": "dotted",
            "linewidth": 1.0,
        }
        top_kw = top_kw + lost_kw
        above.append(
            ax.stairs(
                top_kw, edges, baseline=top_kw - lost_kw, fill=True, label="curtailed", **look
            )
        )
    air_kw = 0.06 * max(top_kw.max() - bottom_kw.min(), _VISIBLE_KW)
    ax.set_ylim(bottom_kw.min() - air_kw, top_kw.max() + air_kw)
    ax.axhline(0.0, color=BLACK, linewidth=1.0)
    ax.set_ylabel("mean power [kW]\n← draws | feeds →")
    ax.yaxis.set_major_formatter(lambda value, _: f"{abs(value):g}")
    heads = [
        Line2D([], [], linestyle="none", label=f"{side}:")
        for side in ("feeds the building", "draws from it")
    ]
    if paper.narrow:
        legend(ax, paper, handles=[*above, *below])
    else:
        legend(ax, paper, handles=[heads[0], *above[::-1], heads[1], *below])


def _stack(ax: Any, edges: Floats, layers: list[_Layer], sign: float) -> tuple[list[Any], Floats]:
    """The areas, and the end of the last one [kW]."""
    end_kw, areas = np.zeros(len(edges) - 1), []
    for layer in layers:
        base_kw, end_kw = end_kw, end_kw + sign * layer.power_kw
        look = {"facecolor": layer.colour, "edgecolor": DARK_GREY, "linewidth": 0.4}
        look |= {"label": layer.label, "hatch": layer.hatch or None}
        areas.append(ax.stairs(end_kw, edges, baseline=base_kw, fill=True, **look))
    return areas, end_kw


def _charge(ax: Any, plan: DispatchPlan, stores: list[Agent], paper: Paper) -> None:
    """The charge at the start and end of each step, as a share of each store's capacity."""
    edges = step_edges(plan.horizon)
    colours = {agent.name: colour for agent, colour, _ in _looks(plan)}
    for i, agent in enumerate(sorted(stores, key=lambda agent: -agent.layer)):
        held_kwh = list(agent.stored_kwh().values())[:1]
        charge_kwh = np.append(held_kwh, plan.plans[agent.name].series["soc_kwh"])
        size_kwh = float(getattr(agent, "capacity_kwh", charge_kwh.max()))
        at, charge_kwh = _with_trips(edges, charge_kwh, getattr(agent, "trip_kwh", np.zeros(0)))
        # In percent, since a car of 60 kWh would flatten a battery of 5 to a line.
        charge_pct = 100.0 * charge_kwh / max(size_kwh, _VISIBLE_KW)
        look = {"color": colours[agent.name], "linestyle": _DASHES[i % len(_DASHES)]}
        label = f"{agent.title}, {size_kwh:g} kWh"
        ax.plot(at, charge_pct, label=label, linewidth=1.8, **look)
    ax.set_ylim(0.0, 105.0)
    ax.set_yticks([0, 50, 100])
    ax.set_ylabel("charge\n[%]")
    legend(ax, paper)


def _with_trips(edges: Floats, charge_kwh: Floats, trip_kwh: Floats) -> tuple[Floats, Floats]:
    """Places and charge of a line that falls where a car has driven, then rises as it charges.

    What was driven leaves at the start of a step. Without its own fall there, a car that comes home
    and charges within one step would seem to lose charge while charging.
    """
    trips = np.flatnonzero(trip_kwh[: len(edges) - 1] > 0)
    left_kwh = charge_kwh[trips] - trip_kwh[trips]
    return np.insert(edges, trips + 1, edges[trips]), np.insert(charge_kwh, trips + 1, left_kwh)


def _prices(ax: Any, horizon: Horizon, worth_eur_per_kwh: Floats | None, paper: Paper) -> None:
    edges = step_edges(horizon)
    steps(ax, 100.0 * horizon.import_eur_per_kwh, edges, _IMPORT, paper)
    steps(ax, 100.0 * horizon.export_eur_per_kwh, edges, _EXPORT, paper)
    if worth_eur_per_kwh is not None:
        steps(ax, 100.0 * worth_eur_per_kwh, edges, _WORTH, paper)
    ax.margins(y=0.15)
    low, high = ax.get_ylim()
    ax.set_ylim(min(low, 0.0), max(high, 0.0))
    ax.axhline(0.0, color=BLACK, linewidth=0.8)
    ax.set_ylabel("price\n[ct/kWh]")
    legend(ax, paper)


def step_edges(horizon: Horizon) -> Floats:
    """The starts of the steps and the end of the last, as matplotlib days in UTC."""
    end = horizon.ts_utc[-1] + np.timedelta64(round(horizon.step_h * 3600), "s")
    edges: Floats = mdates.date2num(np.append(horizon.ts_utc, end))
    return edges


def local_time(ax: Any, horizon: Horizon, paper: Paper) -> None:
    """Ticks at full local hours; the repeated hour of a 25-hour day appears twice."""
    begin = pd.Timestamp(horizon.ts_utc[0], tz="UTC")
    length_h = horizon.step_h * horizon.n_steps
    end = begin + pd.Timedelta(hours=length_h)
    # Quarters of an hour in UTC: full local hours are among them in every time zone, and clock
    # changes come out right.
    quarters = pd.date_range(begin.ceil("15min"), end, freq="15min").tz_convert(horizon.timezone)
    most = min(_MOST_TICKS, paper.letters(paper.small_pt) // _TICK_LETTERS)
    every = next((h for h in (1, 2, 3, 6, 12) if length_h / h <= most), 24)
    ticks = quarters[(quarters.minute == 0) & (quarters.hour % every == 0)]
    ticks = ticks[:: -(-len(ticks) // (most + 1))]
    labels = [f"{tick.hour:02d}" for tick in ticks]
    if length_h > 26:
        labels = [
            f"{label}\n{tick.day} {tick:%b}" if tick.hour == 0 else label
            for label, tick in zip(labels, ticks, strict=True)
        ]
    elif ticks.size and ticks[-1] == end and ticks[-1].hour == 0:
        labels[-1] = "24"
    ax.set_xticks(mdates.date2num(ticks.tz_convert("UTC").tz_localize(None).to_numpy()), labels)
    ax.set_xlim(*step_edges(horizon)[[0, -1]])
    odd = f", {length_h:g}-hour day" if length_h in (23.0, 25.0) else ""
    ax.set_xlabel(f"local time [h] ({horizon.timezone}{odd})")
