"""One planned day: what feeds the building's bus and what draws from it, charge and price."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import matplotlib.dates as mdates
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ems.agents import Agent
from ems.agents.dispatch_plan import DispatchPlan
from ems.core.horizon import Horizon
from ems.pipelines.comparison import BASELINES, DayRecord
from ems.report.figures.page import Origin, days_in_words, new_page
from ems.report.figures.paper import SCREEN, Paper
from ems.report.figures.style import (
    BLACK,
    BLUE,
    DARK_GREY,
    EXPORT,
    FORESIGHT,
    HATCHES,
    MODE_LINES,
    VERMILLION,
    beside,
    device_colours,
    euros,
    styled,
)
from ems.types import Floats

_VISIBLE_KW = 1e-6
_MOST_TICKS = 14
_ENTRY_IN = 0.19
_DASHES: tuple[tuple[Any, ...], ...] = (
    ((0, (5, 2)), (0, (3, 1, 1, 1)), (0, (1, 1)), (0, (2, 3))),
    ("solid", (0, (8, 1)), (0, (8, 1, 1, 1)), (0, (8, 1, 1, 1, 1, 1))),
)
"""Line styles of cars and of stationary stores, one for each hatch of the stack."""


@runtime_checkable
class _Store(Protocol):
    """What an agent with a charge knows of it."""

    capacity_kwh: float
    initial_soc_kwh: float


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
    paper: Paper = SCREEN,
) -> Figure:
    """The plan of one day in three panels over its local time.

    Top: mean power of each step [kW], what feeds the bus above zero, what draws from it below.
    Middle, where there is a store: its charge at the end of each step [kWh]. Bottom: prices
    [ct/kWh]. Any number of agents, steps of any length, days of any length.
    """
    note = f"tariff {tariff} · cost {euros(record.kpis.cost_eur)}"
    if record.mode not in BASELINES:
        note += f" · {foresight}"
    title = f"{record.building} · {days_in_words([record.day])} · {MODE_LINES[record.mode].label}"
    return _draw(record.schedule, title, note, origin, paper)


def _draw(schedule: DispatchPlan, title: str, note: str, origin: Origin, paper: Paper) -> Figure:
    stores = [agent for agent in schedule.agents if "soc_kwh" in schedule.plans[agent.name].series]
    ratios = [3.4, 1.5, 1.3] if stores else [3.4, 1.3]
    n_entries = 3 + sum(len(layers) for layers in _layers(schedule))
    scale_in = max(1.1, _ENTRY_IN * n_entries / ratios[0])
    figure = new_page(scale_in * sum(ratios), title, note, origin, paper)
    axes = figure.subplots(len(ratios), sharex=True, height_ratios=ratios)
    _power(axes[0], schedule)
    if stores:
        _charge(axes[1], schedule, stores)
    _prices(axes[-1], schedule.horizon)
    _local_time(axes[-1], schedule.horizon)
    figure.align_ylabels(axes)
    return figure


# --- power ---------------------------------------------------------------------------------


def _power(ax: Any, schedule: DispatchPlan) -> None:
    feeds, draws = _layers(schedule)
    edges = _edges(schedule.horizon)
    above = _stack(ax, edges, feeds, sign=1.0) + _curtailed(ax, edges, schedule, feeds)
    below = _stack(ax, edges, draws, sign=-1.0)
    _headroom(ax, _height(feeds), _height(draws))
    ax.axhline(0.0, color=BLACK, linewidth=1.0)
    ax.set_ylabel("mean power [kW]\n← draws | feeds →")
    ax.yaxis.set_major_formatter(lambda value, _: f"{abs(value):g}")
    _power_legend(ax, above[::-1], below)


def _power_legend(ax: Any, above: list[Any], below: list[Any]) -> None:
    """Both stacks in one legend, from the top of the panel to its bottom."""
    heads = {"feeds the bus": above, "draws from the bus": below}
    handles = [
        handle
        for head, layers in heads.items()
        if layers
        for handle in (Line2D([], [], linestyle="none", label=head), *layers)
    ]
    beside(ax, handles=handles)
    for text in ax.get_legend().get_texts():
        if text.get_text() in heads:
            text.set_weight("bold")


def _stack(ax: Any, edges: Floats, layers: list[_Layer], sign: float) -> list[Any]:
    base_kw = np.zeros(len(edges) - 1)
    handles = []
    for layer in layers:
        top_kw = base_kw + sign * layer.power_kw
        handles.append(
            ax.stairs(
                top_kw,
                edges,
                baseline=base_kw,
                fill=True,
                facecolor=layer.colour,
                edgecolor=DARK_GREY,
                linewidth=0.4,
                hatch=layer.hatch or None,
                label=layer.label,
            )
        )
        base_kw = top_kw
    return handles


def _curtailed(ax: Any, edges: Floats, schedule: DispatchPlan, feeds: list[_Layer]) -> list[Any]:
    """What the sun offered and nobody took, as an outline on top of what feeds."""
    series = [plan.series for plan in schedule.plans.values() if "curtailed_kw" in plan.series]
    curtailed_kw = np.sum([np.zeros(len(edges) - 1), *(s["curtailed_kw"] for s in series)], axis=0)
    if not np.any(curtailed_kw > _VISIBLE_KW):
        return []
    base_kw = np.sum([layer.power_kw for layer in feeds] or [np.zeros(len(edges) - 1)], axis=0)
    outline = {"facecolor": "none", "edgecolor": DARK_GREY, "linewidth": 1.0, "linestyle": "dotted"}
    layer = ax.stairs(
        base_kw + curtailed_kw, edges, baseline=base_kw, fill=True, label="curtailed", **outline
    )
    return [layer]


def _height(layers: list[_Layer]) -> float:
    """The highest point of a stack [kW]."""
    return float(np.max(np.sum([layer.power_kw for layer in layers], axis=0), initial=0.0))


def _headroom(ax: Any, above_kw: float, below_kw: float) -> None:
    """Leave air beyond both stacks."""
    air_kw = 0.06 * max(above_kw + below_kw, _VISIBLE_KW)
    ax.set_ylim(min(ax.get_ylim()[0], -below_kw - air_kw), max(ax.get_ylim()[1], above_kw + air_kw))


def _layers(schedule: DispatchPlan) -> tuple[list[_Layer], list[_Layer]]:
    """What feeds and what draws, from zero outwards; whatever is always zero is left out."""
    feeds: list[_Layer] = []
    draws: list[_Layer] = []
    for agent, colour, hatch, (feeding, drawing) in _looks(schedule):
        net_kw = schedule.plans[agent.name].net_load_kw
        feeds.append(
            _Layer(label=feeding, power_kw=np.maximum(-net_kw, 0.0), colour=colour, hatch=hatch)
        )
        is_grid = agent.kind == "grid"
        draws.append(
            _Layer(
                label=drawing,
                power_kw=np.maximum(net_kw, 0.0),
                colour=EXPORT if is_grid else colour,
                hatch="\\\\\\" if is_grid else hatch,
            )
        )
    return _visible(feeds), _visible(draws)


def _visible(layers: list[_Layer]) -> list[_Layer]:
    return [layer for layer in layers if np.any(layer.power_kw > _VISIBLE_KW)]


def _looks(schedule: DispatchPlan) -> Iterator[tuple[Agent, str, str, tuple[str, str]]]:
    """Each agent with its colour, hatch and labels, from what never moves to what closes."""
    agents = sorted(schedule.agents, key=lambda agent: agent.layer)
    own = device_colours(agent.name for agent in agents if agent.colour is None)
    seen: Counter[str] = Counter()
    for agent in agents:
        if agent.colour is None:
            yield agent, *own[agent.name], agent.flow_labels
        else:
            yield agent, agent.colour, _hatch(seen[agent.colour]), agent.flow_labels
            seen[agent.colour] += 1


def _hatch(i: int) -> str:
    return HATCHES[i % len(HATCHES)]


# --- charge --------------------------------------------------------------------------------


def _charge(ax: Any, schedule: DispatchPlan, stores: list[Agent]) -> None:
    """The charge at the start and at the end of each step, and the capacity as a dotted line."""
    edges = _edges(schedule.horizon)
    looks = {agent.name: (colour, hatch) for agent, colour, hatch, _ in _looks(schedule)}
    for agent in sorted(stores, key=lambda agent: agent.kind != "storage"):
        soc_kwh = schedule.plans[agent.name].series["soc_kwh"]
        colour, hatch = looks[agent.name]
        dashes = _DASHES[agent.kind == "storage"][HATCHES.index(hatch)]
        times, label = edges[1:], agent.title
        if isinstance(agent, _Store):
            times, soc_kwh = edges, np.concatenate(([agent.initial_soc_kwh], soc_kwh))
            label = f"{label} (capacity {agent.capacity_kwh:g} kWh)"
            ax.axhline(agent.capacity_kwh, color=colour, linewidth=1.0, linestyle="dotted")
        ax.plot(times, soc_kwh, color=colour, linestyle=dashes, linewidth=1.8, label=label)
    ax.set_ylim(bottom=0.0)
    ax.set_ylabel("state of charge\n[kWh]")
    beside(ax)


# --- price ---------------------------------------------------------------------------------


def _prices(ax: Any, horizon: Horizon) -> None:
    edges = _edges(horizon)
    for price, colour, dashes, label in (
        (horizon.import_eur_per_kwh, VERMILLION, "solid", "import"),
        (horizon.export_eur_per_kwh, BLUE, (0, (4, 2)), "export"),
    ):
        ax.stairs(
            100.0 * price,
            edges,
            baseline=None,
            color=colour,
            linewidth=1.8,
            linestyle=dashes,
            label=label,
        )
    ax.margins(y=0.15)
    low, high = ax.get_ylim()
    ax.set_ylim(min(low, 0.0), max(high, 0.0))
    ax.axhline(0.0, color=BLACK, linewidth=0.8)
    ax.set_ylabel("price [ct/kWh]")
    beside(ax)


# --- time ----------------------------------------------------------------------------------


def _edges(horizon: Horizon) -> Floats:
    """The starts of the steps and the end of the last, as days of matplotlib in UTC."""
    end = horizon.ts_utc[-1] + np.timedelta64(round(horizon.step_h * 3600), "s")
    edges: Floats = mdates.date2num(np.append(horizon.ts_utc, end))
    return edges


def _local_time(ax: Any, horizon: Horizon) -> None:
    """Ticks at full local hours; the hour that a 25-hour day has twice stands there twice."""
    edges = _edges(horizon)
    begin = pd.Timestamp(horizon.ts_utc[0], tz="UTC")
    end = begin + pd.Timedelta(hours=horizon.step_h * horizon.n_steps)
    quarters = pd.date_range(begin.ceil("15min"), end, freq="15min").tz_convert(horizon.timezone)
    length_h = horizon.step_h * horizon.n_steps
    every = next((h for h in (1, 2, 3, 6, 12) if length_h / h <= _MOST_TICKS), 24)
    ticks = quarters[(quarters.minute == 0) & (quarters.hour % every == 0)]
    labels = [f"{tick.hour:02d}" for tick in ticks]
    if length_h > 26:
        labels = [
            f"{label}\n{tick.day} {tick:%b}" if tick.hour == 0 else label
            for label, tick in zip(labels, ticks, strict=True)
        ]
    elif ticks.size and ticks[-1] == end.tz_convert(horizon.timezone) and ticks[-1].hour == 0:
        labels[-1] = "24"
    numbers = mdates.date2num(ticks.tz_convert("UTC").tz_localize(None).to_numpy())
    ax.set_xticks(numbers, labels)
    ax.set_xlim(edges[0], edges[-1])
    odd = f", {length_h:g}-hour day" if length_h in (23.0, 25.0) else ""
    ax.set_xlabel(f"local time [h] ({horizon.timezone}{odd})")
