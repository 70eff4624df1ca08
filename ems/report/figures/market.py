"""A market: supply and demand of one auction, its day, its frequency, and who talks to whom."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import matplotlib.dates as mdates
import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from ems.core.horizon import Horizon
from ems.errors import InvalidSpec
from ems.market.account import MarketAccount
from ems.market.frequency import BANDS_HZ
from ems.market.orders import TICKS_PER_EUR_PER_MWH
from ems.market.scenario import Scenario
from ems.report.figures.day import local_time, step_edges
from ems.report.figures.page import Origin, new_page
from ems.report.figures.paper import SCREEN, Paper
from ems.report.figures.parts import bar, legend
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
    VERMILLION,
    YELLOW,
    styled,
)
from ems.types import Floats

KW_PER_MW = 1000.0
FUELS = (GREY, VERMILLION, PURPLE, BLUE, LIGHT_GREY)
"""Plants that burn something, in the order of the scenario."""
FREE = (YELLOW, SKY, GREEN)
"""Renewables, in the order of the scenario."""
WIDEST = 1.6
"""Where the price is far below floor or cap, the axis ends at so many times the dearest offer."""


def clock(scenario: Scenario) -> Horizon:
    """The steps of a scenario for the time axis, in UTC."""
    none = np.zeros(scenario.n_steps)
    return Horizon(
        start_utc=scenario.start_utc,
        step_h=scenario.step_h,
        import_eur_per_kwh=none,
        export_eur_per_kwh=none,
        timezone="UTC",
    )


def dearest_step(account: MarketAccount) -> int:
    """The auction with the highest price; the first of several."""
    return int(account.price_eur_per_mwh.argmax())


@styled
def supply_and_demand(
    account: MarketAccount, step: int, *, note: str, origin: Origin, paper: Paper = SCREEN
) -> Figure:
    """Offers and bids of one auction by price, and between which prices it could clear.

    Powers [MW], prices [€/MWh]. Raises ``InvalidSpec`` for an auction without orders.
    """
    book = account.run.records[step].book
    if not len(book.owner):
        raise InvalidSpec(f"auction {step} has no orders, so no curves")
    scenario = account.run.scenario
    when = str(scenario.ts_utc[step])[:16].replace("T", " ")
    title = f"{scenario.name} · supply and demand · {when} UTC"
    body = new_page(3.6, title, note, origin, paper)
    ax: Any = body.subplots()
    low, high = (
        float(values[step]) / TICKS_PER_EUR_PER_MWH
        for values in (account.clearing.low, account.clearing.high)
    )
    volume_mw = float(account.clearing.volume[step]) / KW_PER_MW
    ends = []
    for is_bid, colour, name in ((False, VERMILLION, "offers"), (True, BLUE, "bids")):
        power_mw, price = _curve(book.price, book.quantity, book.is_bid == is_bid, is_bid)
        if len(power_mw) > 1:
            ax.step(power_mw, price, where="pre", color=colour, label=name, linewidth=2.0)
            ends.append(price)
    inside = np.concatenate(ends)
    inside = inside[(inside > scenario.floor_eur_per_mwh) & (inside < scenario.cap_eur_per_mwh)]
    top = WIDEST * max(
        float(inside.max(initial=1.0)), high if high < scenario.cap_eur_per_mwh else 0
    )
    bottom = min(0.0, float(inside.min(initial=0.0)))
    ax.set_ylim(1.1 * bottom - 0.02 * top, top)
    if low < high:
        ax.fill_between([0.0, volume_mw], low, min(high, top), color=FAINT_GREY, label="clears")
    ax.axhline(float(account.price_eur_per_mwh[step]), color=BLACK, linestyle=DASHED, linewidth=1.0)
    ax.axvline(volume_mw, color=DARK_GREY, linestyle=DOTTED, linewidth=1.0)
    ax.set_xlim(left=0.0)
    ax.set_xlabel("power [MW]")
    ax.set_ylabel("price [€/MWh]")
    legend(ax, paper)
    return body.figure


def _curve(price: Any, quantity: Any, mine: Any, is_bid: bool) -> tuple[Floats, Floats]:
    """Corners of a curve: the power up to each order, and its price."""
    order = np.argsort(-price[mine] if is_bid else price[mine], kind="stable")
    prices = price[mine][order] / TICKS_PER_EUR_PER_MWH
    ends_mw = np.cumsum(quantity[mine][order]) / KW_PER_MW
    return np.concatenate([[0.0], ends_mw]), np.concatenate([prices[:1], prices])


@styled
def dispatch_and_price(
    account: MarketAccount, *, note: str, origin: Origin, paper: Paper = SCREEN
) -> Figure:
    """Who feeds in, stacked, what is drawn, and the price below it. Powers [MW], price [€/MWh]."""
    scenario = account.run.scenario
    title = f"{scenario.name} · dispatch and price · {scenario.n_steps} auctions"
    body = new_page(4.9, title, note, origin, paper)
    axes: Any = body.subplots(2, sharex=True, height_ratios=(2, 1))
    edges = step_edges(clock(scenario))
    base = np.zeros(scenario.n_steps)
    for name, (colour, fed_mw) in _fed_in(account).items():
        if fed_mw.any():
            axes[0].stairs(
                base + fed_mw, edges, baseline=base, fill=True, facecolor=colour, label=name
            )
            base = base + fed_mw
    drawn_mw = np.maximum(account.delivered_kw, 0).sum(axis=1) / KW_PER_MW
    axes[0].stairs(drawn_mw, edges, baseline=None, color=BLACK, linewidth=1.2, label="drawn")
    axes[0].set_ylabel("mean power [MW]")
    axes[1].stairs(account.price_eur_per_mwh, edges, baseline=None, color=BLACK, linewidth=1.4)
    axes[1].set_ylabel("price\n[€/MWh]")
    axes[1].margins(y=0.1)
    legend(axes[0], paper)
    _time(axes[1], scenario, paper)
    body.align_ylabels(axes)
    return body.figure


def _fed_in(account: MarketAccount) -> Mapping[str, tuple[str, Floats]]:
    """Colour and power of everybody who feeds in: renewables, others, stores, the building [MW]."""
    scenario = account.run.scenario
    fed_mw = np.maximum(-account.delivered_kw, 0) / KW_PER_MW
    place = {name: i for i, name in enumerate(scenario.names)}
    free = [plant.name for plant in scenario.generators if plant.renewable]
    burning = [plant.name for plant in scenario.generators if not plant.renewable]
    found = {
        name: (colours[i % len(colours)], fed_mw[:, place[name]])
        for names, colours in ((free, FREE), (burning, FUELS))
        for i, name in enumerate(names)
    }
    stores = [place[store.battery.name] for store in scenario.stores]
    found["stores"] = (ORANGE, fed_mw[:, stores].sum(axis=1))
    if scenario.building is not None:
        found[scenario.building] = (BLACK, fed_mw[:, place[scenario.building]])
    return found


@styled
def grid_frequency(
    account: MarketAccount, *, note: str, origin: Origin, paper: Paper = SCREEN
) -> Figure:
    """Lowest and highest frequency of every auction [Hz], with the bands.

    Raises ``InvalidSpec`` if none was computed.
    """
    runs = [record.frequency for record in account.run.records]
    known = [run for run in runs if run is not None]
    if len(known) < len(runs):
        raise InvalidSpec("the market was run without physics: no frequency to draw")
    scenario = account.run.scenario
    title = f"{scenario.name} · frequency · {scenario.n_steps} auctions"
    body = new_page(3.2, title, note, origin, paper)
    ax: Any = body.subplots()
    edges = step_edges(clock(scenario))
    lowest = np.array([run.lowest_hz for run in known])
    highest = np.array([float(run.frequency_hz.max()) for run in known])
    ax.stairs(highest, edges, baseline=lowest, fill=True, facecolor=BLUE, label="range")
    nominal = known[0].area.nominal_hz
    for band_hz, dashes in zip(BANDS_HZ, (DASHED, DOTTED, "-"), strict=True):
        for side in (-1.0, 1.0):
            ax.axhline(
                nominal + side * band_hz,
                color=VERMILLION,
                linestyle=dashes,
                linewidth=1.0,
                label=f"± {1000 * band_hz:.0f} mHz" if side > 0 else None,
            )
    ax.set_ylim(
        min(lowest.min(), nominal - BANDS_HZ[-1]) - 0.02,
        max(highest.max(), nominal + BANDS_HZ[-1]) + 0.02,
    )
    ax.set_ylabel("frequency [Hz]")
    legend(ax, paper)
    _time(ax, scenario, paper)
    return body.figure


@styled
def who_talks(
    account: MarketAccount, *, note: str, origin: Origin, paper: Paper = SCREEN
) -> Figure:
    """How many messages of each kind went from whom to whom, lost ones included.

    Raises ``InvalidSpec`` if none were kept.
    """
    log = account.run.router.log
    if not log:
        raise InvalidSpec("the market was run without keeping its messages: nothing to draw")
    names = account.run.scenario.names
    counts = Counter((one.message.kind, _partner(one.message)) for one in log)
    kinds = sorted({kind for kind, _ in counts})
    table = np.array([[counts[kind, name] for kind in kinds] for name in names], dtype=float)
    title = f"{account.run.scenario.name} · messages between bidders and operator"
    body = new_page(0.3 * len(names) + 1.4, title, note, origin, paper)
    ax: Any = body.subplots()
    shown = np.ma.masked_equal(table, 0.0)
    mesh = ax.pcolormesh(shown, cmap="Blues", norm=LogNorm(1.0, max(table.max(), 2.0)))
    for row, column in np.argwhere(table > 0):
        dark = np.log(table[row, column]) > 0.6 * np.log(table.max())
        ax.text(
            column + 0.5,
            row + 0.5,
            f"{table[row, column]:.0f}",
            ha="center",
            va="center",
            size=paper.small_pt,
            color="white" if dark else BLACK,
        )
    ax.set_xticks(np.arange(len(kinds)) + 0.5, [kind.replace("_", "\n").lower() for kind in kinds])
    ax.set_yticks(np.arange(len(names)) + 0.5, names)
    ax.invert_yaxis()
    ax.grid(visible=False)
    bar(body, mesh, ax, "messages")
    return body.figure


def _partner(message: Any) -> str:
    """The bidder of a message."""
    return str(message.receiver if message.sender == "operator" else message.sender)


def _time(ax: Any, scenario: Scenario, paper: Paper) -> None:
    horizon = clock(scenario)
    edges = step_edges(horizon)
    ax.set_xlim(edges[0], edges[-1])
    if scenario.n_steps * scenario.step_h > 30.0:
        ax.xaxis.set_major_formatter(mdates.ConciseDateFormatter(ax.xaxis.get_major_locator()))
    else:
        local_time(ax, horizon, paper)
    ax.set_xlabel("time [UTC]")
