"""The tables of the README and of docs/foresight.md, each from one command, printed as markdown.

``python benchmarks/tables.py TABLE [--db FILE] [--building NAME ...] [--start DAY] [--n_days N]``

``year``: one house under every mode, everything known. ``sources``: where its money comes from, one
thing at a time. ``wear``: the same at 0, 1, 2 and 4 ct a kWh through the battery. ``registers``:
what both registers counted in one step booked in every mode, or absorbed by the battery.
``forecasts``: the house on forecasts, once a day and every 6 h; ``carried_out``: the same hedged,
and with set-points to the letter. ``buildings``: on forecasts, all of them.

*Saved* is the bill with the stores put back, with the middle 95 % of the bootstrap over days; wear
stands beside it. *Rule*: of all rules that need no plan the one that costs least with its wear,
over the whole window and known only in hindsight, which is hard on the plans.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import numpy as np

from ems.agents import BatteryAgent
from ems.core.mode import LABELS, Mode
from ems.economics.intervals import drawn_sums, holm, middle, p_value, ratio_interval
from ems.economics.settlement import DayKpis, savings, total
from ems.economics.tariff_file import load_tariff
from ems.errors import EmsError
from ems.pipelines.captured import CONTROLLED, LEAST_DAYS, LEAST_POSSIBLE_EUR_PER_DAY
from ems.pipelines.comparison import choose_window, run_mode
from ems.pipelines.forecasting import known_on
from ems.pipelines.parallel import in_parallel
from ems.pipelines.perfect import perfect_plan
from ems.pipelines.spec import RULES, SINGLE_ERRORS, ComparisonSpec
from ems.site.assets import Assets
from ems.site.building import Building
from ems.site.meters import MeterData
from ems.store.connection import get_con
from ems.store.read import list_buildings, read_history
from ems.types import Floats

HOUSE = "DE_KN_residential4"
WEAR_CT = (0.0, 1.0, 2.0, 4.0)
CALLED: Mapping[str, str] = {
    **LABELS,
    "centralized": "once a day",
    "centralized_phases": "every 6 h",
    "centralized_perfect": "everything known, day by day",
}
"""What plans on forecasts are called."""


# --- what is run --------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Case:
    """Some days of a building under all modes of ``spec``; ``label`` says what is special."""

    label: str
    spec: ComparisonSpec
    history: MeterData
    start: date | None
    n_days: int | None


@dataclass(frozen=True, kw_only=True, eq=False)
class Outcome:
    """Every day of a case under every mode."""

    label: str
    building: str
    days: Mapping[Mode, Sequence[DayKpis]]

    @cached_property
    def totals(self) -> Mapping[Mode, DayKpis]:
        """Each mode over all days."""
        return {mode: total(days) for mode, days in self.days.items()}

    @cached_property
    def rule(self) -> Mode:
        """The rule that costs least with its wear."""
        rules = [mode for mode in RULES if mode in self.days]
        return min(rules, key=lambda mode: self.totals[mode].with_wear_eur)

    def saved_eur(self, mode: Mode, base: Mode, figure: str = "cost_eur") -> Floats:
        """What ``mode`` saves on each day against ``base`` [€]."""
        ours, theirs = (
            np.array([getattr(day, figure) for day in self.days[each]]) for each in (mode, base)
        )
        return theirs - ours


def outcome(case: Case) -> Outcome:
    """Run a case."""
    spec, building = case.spec, Building(case.history, case.spec.tariff, case.spec.assets)
    window = choose_window(building, case.start, None, spec.history_days)
    first, last = window.days[0], window.days[-1]
    if case.n_days is not None:  # a record may be shorter
        most = (last - first).days + 1
        window = choose_window(building, first, min(case.n_days, most))
    perfect = perfect_plan(building, spec, window)
    known = None if spec.foresight == "perfect" else known_on(building, spec, window)
    days: dict[Mode, Sequence[DayKpis]] = {}
    for mode in spec.all_modes:
        if mode == "perfect_foresight":
            days[mode] = [record.kpis for record in perfect.records]
        elif mode not in (*SINGLE_ERRORS, "rule_based"):  # the best is chosen here
            records = run_mode(building, spec, window, mode, perfect.values, known=known)
            days[mode] = [record.kpis for record in records]
    return Outcome(label=case.label, building=case.history.building, days=days)


# --- how it is told -----------------------------------------------------------------------------


def amount(eur: float) -> str:
    """Euros to the cent, without a negative zero."""
    return f"{round(eur, 2) + 0.0:.2f}"


def percent(share: float | None) -> str:
    """A share in percent, a dash for none."""
    return "–" if share is None else f"{100 * share:.0f} %"


def with_interval(values: Floats) -> str:
    """A sum over days with its 95 % interval, none for too few days."""
    if len(values) < LEAST_DAYS or not np.ptp(values):
        return amount(float(values.sum()))
    low, high = middle(*drawn_sums(values, seed=0))
    return f"{amount(float(values.sum()))} ({bound(low)} … {bound(high)})"


def bound(eur: float) -> str:
    """A bound of an interval, with a decimal where it is small."""
    decimals = 1 if abs(eur) < 10 else 0
    return f"{round(eur, decimals) + 0.0:.{decimals}f}"


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], texts: int) -> str:
    """A markdown table whose first ``texts`` columns are words."""
    rule = ["---"] * texts + ["---:"] * (len(heads) - texts)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (heads, rule, *rows))


MODE_HEADS = (
    *("bill €", "cost €", "wear €", "saved vs metered €", "vs rule €", "after wear €"),
    *("import kWh", "self-sufficiency"),
)


def captured_cell(found: Outcome, mode: Mode) -> str:
    """The share of what the perfect plan saves, bill and wear, with its interval."""
    if mode == "as_metered":
        return "–"
    saved, possible = (
        found.saved_eur(each, "as_metered", "with_wear_eur")
        for each in (mode, "centralized_perfect")
    )
    if possible.sum() < LEAST_POSSIBLE_EUR_PER_DAY * len(possible):
        return "–"
    share = percent(float(saved.sum() / possible.sum()))
    if len(saved) < LEAST_DAYS or mode == "centralized_perfect":
        return share
    low, high = ratio_interval(saved, possible, seed=0)
    return share if np.isnan(low) else f"{share} ({100 * low:.0f} … {100 * high:.0f})"


def mode_cells(found: Outcome, mode: Mode) -> list[str]:
    """``MODE_HEADS`` of a mode."""
    kpis = found.totals[mode]
    vs_metered, vs_rule, after = "–", "–", "–"
    if mode != "as_metered":
        pct = savings(kpis, found.totals["as_metered"]).savings_pct
        vs_metered = with_interval(found.saved_eur(mode, "as_metered"))
        vs_metered += "" if pct is None else f", {pct:.0f} %"
    if mode not in ("as_metered", found.rule):
        vs_rule = with_interval(found.saved_eur(mode, found.rule))
        after = with_interval(found.saved_eur(mode, found.rule, "with_wear_eur"))
    return [
        *(amount(eur) for eur in (kpis.bill_eur, kpis.cost_eur, kpis.wear_eur)),
        *(vs_metered, vs_rule, after),
        *(f"{kpis.import_kwh:.0f}", percent(kpis.self_sufficiency)),
    ]


def modes_table(outcomes: Sequence[Outcome], *, forecasts: bool) -> str:
    """A row for each mode of each outcome."""
    called = CALLED if forecasts else LABELS
    heads = ("building, days", "mode", *MODE_HEADS, *(("captured",) if forecasts else ()))
    rows = []
    for found in outcomes:
        name = f"{found.building.removeprefix('DE_KN_')}, {len(found.days['as_metered'])}"
        name += f", {found.label}" if found.label else ""
        for mode in found.days:
            best = " (rule)" if mode == found.rule else ""
            cells = mode_cells(found, mode)
            cells += [captured_cell(found, mode)] if forecasts else []
            rows.append((name, f"{called[mode]}{best}", *cells))
    return table(heads, rows, 2)


def planned_table(head: str, outcomes: Sequence[Outcome]) -> str:
    """A row for each outcome: its rule and its centralized plan."""
    heads = (
        *(head, "rule: cost €", "wear €", "plan: cost €", "wear €"),
        *("plan saves vs metered €", "vs rule €", "after wear €"),
    )
    rows = []
    for found in outcomes:
        pairs = [found.totals[mode] for mode in (found.rule, "centralized")]
        rows.append(
            (
                found.label,
                *(amount(eur) for kpis in pairs for eur in (kpis.cost_eur, kpis.wear_eur)),
                with_interval(found.saved_eur("centralized", "as_metered")),
                with_interval(found.saved_eur("centralized", found.rule)),
                with_interval(found.saved_eur("centralized", found.rule, "with_wear_eur")),
            )
        )
    return table(heads, rows, 1)


def many(outcomes: Sequence[Outcome]) -> str:
    """How many of the savings against the rule can be told from zero, all looked at together."""
    chances = [
        p_value(found.saved_eur(mode, found.rule), seed=0)
        for found in outcomes
        for mode in found.days
        if mode in CONTROLLED and len(found.days[mode]) >= LEAST_DAYS
    ]
    alone, together = sum(p <= 0.05 for p in chances), sum(holm(chances))
    return (
        f"Of {len(chances)} savings of plans against the rule {alone} exclude zero, where "
        f"{0.05 * len(chances):.1g} would by chance alone; looked at together (Holm) {together}."
    )


def ageing(found: Outcome) -> str:
    """What the battery ages by time alone, which no saving has in it."""
    kpis = found.totals[found.rule]
    return (
        f"The battery ages by time: {amount(kpis.calendar_wear_eur)} € in "
        f"{len(found.days[found.rule])} days (assumed), in every row but as metered, in no figure."
    )


# --- the tables ---------------------------------------------------------------------------------

PERFECT = ComparisonSpec(tariff=load_tariff("dynamic"))
ONE_MODE = replace(PERFECT, modes=("centralized",))
ON_FORECASTS = replace(
    PERFECT,
    modes=("centralized", "centralized_phases"),
    foresight="forecast",
    dispatch="balance",
)
NO_BATTERY = Assets(battery=None)
BATTERY_ONLY = Assets(appliances=False, ev=None)
SPOT = load_tariff("spot")


def specs(what: str) -> Iterator[tuple[str, ComparisonSpec]]:
    """The rows of a table with what is run for each."""
    match what:
        case "year":
            yield "", PERFECT
        case "forecasts" | "buildings":
            yield "", ON_FORECASTS
        case "carried_out":
            yield "hedged", replace(ON_FORECASTS, risk="hedged")
            yield "set-points", replace(ON_FORECASTS, dispatch="setpoints")
        case "wear":
            for ct in WEAR_CT:
                battery = BatteryAgent(wear_eur_per_kwh=ct / 100)
                yield f"{ct:g}", replace(ONE_MODE, assets=Assets(battery=battery))
        case "registers":
            yield "booked", ONE_MODE
            yield "absorbed", replace(ONE_MODE, assets=Assets(cross_flow="absorbed"))
        case "sources":
            yield "no battery, dynamic tariff", replace(ONE_MODE, assets=NO_BATTERY)
            yield "only the battery, dynamic tariff", replace(ONE_MODE, assets=BATTERY_ONLY)
            yield "all together, dynamic tariff", ONE_MODE
            spot = replace(ONE_MODE, tariff=SPOT)
            yield "all together, spot price both ways", spot
            yield "no battery, spot price both ways", replace(spot, assets=NO_BATTERY)


def told(what: str, outcomes: Sequence[Outcome]) -> Iterator[str]:
    """The table and what stands below it."""
    match what:
        case "year" | "forecasts" | "carried_out" | "buildings":
            yield modes_table(outcomes, forecasts=what != "year")
        case "wear":
            yield planned_table("wear ct/kWh", outcomes)
        case "registers" | "sources":
            each = [replace(o, label=f"{o.building}, {o.label}") for o in outcomes]
            yield planned_table("what is planned", outcomes if what == "sources" else each)
    yield many(outcomes)
    for found in outcomes:
        if found.totals[found.rule].calendar_wear_eur and what in ("year", "forecasts"):
            yield ageing(found)


WINDOWS: Mapping[str, tuple[date | None, int | None]] = {
    "year": (date(2015, 10, 14), 448),
    "sources": (date(2015, 10, 14), 448),
    "wear": (date(2015, 10, 14), 448),
    "registers": (None, 448),
    "forecasts": (date(2015, 12, 15), 386),
    "carried_out": (date(2015, 12, 15), 386),
    "buildings": (None, 90),
}
"""First day and number of days; None: the first that can be planned."""


def main() -> None:
    """Run what the table needs, and print it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("what", choices=sorted(WINDOWS))
    parser.add_argument("--db", type=Path, default=ROOT / "ems_data.duckdb")
    parser.add_argument("--building", nargs="*", help="default: those of the documents")
    parser.add_argument("--start", type=date.fromisoformat)
    parser.add_argument("--n_days", type=int)
    parser.add_argument("--workers", type=int, default=1)
    args = parser.parse_args()
    start, n_days = WINDOWS[args.what]
    try:
        with get_con(args.db) as con:
            every = list_buildings(con)
            names = args.building or (every if args.what in ("buildings", "registers") else [HOUSE])
            histories = [read_history(con, name) for name in names]
    except EmsError as error:
        sys.exit(f"error: {error}")
    if args.what == "registers":
        roles = [{feed.role for feed in history.feeds} for history in histories]
        histories = [h for h, has in zip(histories, roles, strict=True) if "export" in has]
    cases = [
        Case(
            label=label,
            spec=spec,
            history=history,
            start=args.start or start,
            n_days=args.n_days or n_days,
        )
        for history in histories
        for label, spec in specs(args.what)
    ]
    found = list(in_parallel(outcome, [(case,) for case in cases], args.workers))
    print("\n\n".join(told(args.what, found)))


if __name__ == "__main__":
    main()
