"""The page of a market: what it came to, who earned what, and what is not said by it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from ems.market.account import BidderRow, MarketAccount, MarketTotals
from ems.report.figures.market import (
    dearest_step,
    dispatch_and_price,
    grid_frequency,
    supply_and_demand,
    who_talks,
)
from ems.report.figures.page import Origin
from ems.report.figures.paper import PAGE, SCREEN, Paper
from ems.report.inline import Picture
from ems.report.page.page import Report, Section, Table, write_report

LIMITS = (
    "One bus and one feeder: no congestion, no angles, no protection. Every auction starts at "
    "rest; what it leaves unbalanced lasts until the next. The voltage is that of the feeder of "
    "Baran and Wu, loaded in proportion to what is drawn. Neither is learned or drawn.",
    "Profits are those of honest bidders unless said otherwise; 'possible' is what each could have "
    "earned at these very prices without moving them.",
)


def cell(value: float | None, places: int = 0) -> str:
    """A number for a table, a dash for none."""
    if value is None or not np.isfinite(value):
        return "–"
    return f"{round(value, places) + 0.0:,.{places}f}"


def _of_possible(row: BidderRow) -> str:
    if row.possible_eur is None or row.possible_eur < 0.5:
        return "–"
    return f"{cell(100 * row.profit_eur / row.possible_eur)} %"


def _bands(totals: MarketTotals) -> str:
    if not totals.outside_s:
        return "not computed"
    outside = ", ".join(
        f"{seconds / 60:.1f} min beyond ±{band} mHz"
        for seconds, band in zip(totals.outside_s, (50, 100, 200), strict=True)
    )
    shed = f", {cell(totals.shed_mwh, 2)} MWh shed" if totals.shed_mwh else ""
    return f"{totals.lowest_hz:.3f} to {totals.highest_hz:.3f} Hz, {outside}{shed}"


BIDDER_CELLS: Mapping[str, Callable[[BidderRow], str]] = {
    "offered MWh": lambda row: cell(row.offered_mwh, 1),
    "sold MWh": lambda row: cell(row.sold_mwh, 1),
    "bought MWh": lambda row: cell(row.bought_mwh, 1),
    "revenue €": lambda row: cell(-row.paid_eur),
    "imbalance €": lambda row: cell(-row.imbalance_eur),
    "cost €": lambda row: cell(row.cost_eur),
    "profit €": lambda row: cell(row.profit_eur),
    "of possible": _of_possible,
}
TOTAL_LINES: Mapping[str, Callable[[MarketTotals], str]] = {
    "traded": lambda one: (
        f"{cell(one.traded_mwh, 1)} MWh at {cell(one.price_eur_per_mwh, 2)} €/MWh"
    ),
    "payments": lambda one: f"{cell(one.payments_eur)} € by buyers",
    "cost": lambda one: f"{cell(one.cost_eur)} € of fuel, wear and charge",
    "renewable": lambda one: f"{cell(100 * one.renewable_share, 1)} %",
    "CO₂": lambda one: f"{cell(one.kg_per_mwh)} kg/MWh",
    "unserved": lambda one: f"{cell(one.unserved_mwh, 1)} MWh",
    "curtailed": lambda one: f"{cell(one.curtailed_mwh, 1)} MWh of renewables not taken",
    "frequency": _bands,
    "voltage": lambda one: f"lowest {cell(one.lowest_pu, 3)} pu on the feeder",
    "imbalance": lambda one: f"{cell(one.operator_eur)} € paid to the operator",
}


def market_figures(
    account: MarketAccount, *, note: str, origin: Origin, paper: Paper = SCREEN
) -> Mapping[str, Figure]:
    """Every figure of a market by the name of its file."""
    step = dearest_step(account)
    return {
        "supply_and_demand": supply_and_demand(
            account, step, note=note, origin=origin, paper=paper
        ),
        "dispatch_and_price": dispatch_and_price(account, note=note, origin=origin, paper=paper),
        "grid_frequency": grid_frequency(account, note=note, origin=origin, paper=paper),
        "who_talks": who_talks(account, note=note, origin=origin, paper=paper),
    }


def market_report(account: MarketAccount, *, note: str, origin: Origin) -> Report:
    """The page of a market."""
    scenario, totals = account.run.scenario, account.totals
    drawn = market_figures(account, note=note, origin=origin, paper=PAGE)
    titles = {
        "dispatch_and_price": "Who fed in, and at which price",
        "supply_and_demand": "Supply and demand of the dearest auction",
        "grid_frequency": "Frequency",
        "who_talks": "Who talked to whom",
    }
    lead = (
        f"{totals.n_auctions:,} auctions traded {cell(totals.traded_mwh)} MWh at "
        f"{cell(totals.price_eur_per_mwh, 2)} €/MWh on average: buyers paid "
        f"{cell(totals.payments_eur)} €, generation cost {cell(totals.cost_eur)} €, "
        f"{cell(100 * totals.renewable_share)} % of it was renewable."
    )
    rows = [
        [row.name, row.kind, *(show(row) for show in BIDDER_CELLS.values())]
        for row in account.bidders
    ]
    grid = [[name, show(totals)] for name, show in TOTAL_LINES.items()]
    pictures = {name: Picture(figure, titles[name]) for name, figure in drawn.items()}
    return Report(
        title=f"Market {scenario.name}",
        subtitle=f"{scenario.description}; {note}",
        synthetic=origin.synthetic,
        sections=(
            Section("What it came to", (lead,), (pictures["dispatch_and_price"],)),
            Section(
                "Bidders",
                tables=(
                    Table(
                        "money of the whole run; a consumer's profit is what it pays",
                        ["bidder", "kind", *BIDDER_CELLS],
                        rows,
                        n_texts=2,
                    ),
                ),
            ),
            Section("Price", pictures=(pictures["supply_and_demand"],)),
            Section(
                "Grid",
                pictures=(pictures["grid_frequency"],),
                tables=(Table("the market as a whole", ["figure", "value"], grid, n_texts=None),),
            ),
            Section("Messages", pictures=(pictures["who_talks"],)),
            Section("What this does not say", LIMITS),
        ),
    )


def write_market_report(account: MarketAccount, file: Path, *, note: str, origin: Origin) -> Path:
    """The page as a file. Raises ``DataError`` if it cannot be written."""
    return write_report(market_report(account, note=note, origin=origin), file)
