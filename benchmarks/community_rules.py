"""What each home gains under every rule and key, on the measured homes.

    python benchmarks/community_rules.py FILE.duckdb --fee_ct 5 --tariff dynamic

The homes are planned together once; rules and keys only settle. One row a rule and key: gain of the
least and the greatest winner, who loses, Gini of the gains. Above it: what planning and sharing is
worth, with 95 % intervals from blocks of weeks. ``--foresight forecast``: only that, with the ways
on forecasts, by the day.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import date

import numpy as np

from ems.community.community import LABELS
from ems.community.fairness import gini
from ems.economics.intervals import drawn_sums, middle
from ems.economics.tariff_file import load_tariff
from ems.pipelines.community import (
    KEY_NAMES,
    RULE_NAMES,
    CommunityPiece,
    CommunitySpec,
    common_window,
    run_community,
)
from ems.pipelines.community_rules import settled_again
from ems.pipelines.community_totals import ways_found
from ems.pipelines.pool_price import pool_scores, pool_series
from ems.site.assets import Assets
from ems.site.building import Building
from ems.store.connection import get_con
from ems.store.read import list_buildings, read_history
from ems.types import Floats

LOST_EUR = 0.005


def main() -> None:
    """Run the window once, settle it under every rule and key, print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("database")
    parser.add_argument("--n_days", type=int)
    parser.add_argument("--start", type=date.fromisoformat)
    parser.add_argument("--fee_ct", type=float, default=5.0)
    parser.add_argument("--tariff", default="dynamic")
    parser.add_argument("--foresight", choices=("perfect", "forecast"), default="perfect")
    asked = parser.parse_args()
    tariff = load_tariff(asked.tariff)
    with get_con(asked.database) as con:
        histories = [read_history(con, name) for name in list_buildings(con)]
    homes = [
        Building(history, tariff, Assets())
        for history in histories
        if history.kind == "residential"
    ]
    spec = CommunitySpec(
        tariff=tariff,
        homes=len(homes),
        fee_eur_per_kwh=asked.fee_ct / 100,
        foresight=asked.foresight,
    )
    window = common_window(homes, asked.start, asked.n_days)
    pieces = []
    for piece in run_community(homes, spec, window):
        pieces.append(piece)
        print(piece.days[-1], file=sys.stderr, flush=True)
    print(f"{len(window.days)} days from {window.days[0]}, {len(window.skipped)} left out\n")
    print(_costs(pieces, spec))
    if spec.foresight == "forecast":
        return
    print(f"\n{_pool(pieces, replace(spec, rule='competitive'), homes[0])}")
    print("\n| rule | key | least gain € | greatest gain € | worse off than alone | Gini |")
    print("|---|---|---|---|---|---:|")
    alone = np.array([piece.accounts["alone"].cost_eur for piece in pieces])
    names = [home.name for home in pieces[0].homes]
    for rule in RULE_NAMES:
        for key in KEY_NAMES:
            under = replace(spec, rule=rule, key=key)
            here = np.array([settled_again(piece, under).cost_eur for piece in pieces])
            print(_row(rule, key, alone - here, names), flush=True)


def _pool(pieces: Sequence[CommunityPiece], spec: CommunitySpec, home: Building) -> str:
    """How well a home can foresee what the pool pays where its price follows λ."""
    priced = [replace(piece, accounts={"together": settled_again(piece, spec)}) for piece in pieces]
    persistence, learned = pool_scores(pool_series(priced, "together", home))
    return (
        f"Price of the pool (competitive), 48 h ahead: persistence {persistence.overall.mae:.1f} "
        f"€/MWh off, learned {learned.overall.mae:.1f}, skill {learned.overall.skill:.2f}"
    )


def _costs(pieces: Sequence[CommunityPiece], spec: CommunitySpec) -> str:
    """Each way against the best rules alone, the rules chosen over the whole window."""
    found = ways_found(pieces, spec)
    weeks = {
        mode: np.array([account.cost_eur.sum() for account in one.accounts])
        for mode, one in found.items()
    }
    rows = ["| way | cost € | less than the best rules alone € |", "|---|---:|---:|"]
    for mode, one in found.items():
        how = f" ({one.how})" if one.how else ""
        saved = "–" if mode == "rule_alone" else _told(weeks["rule_alone"] - weeks[mode])
        rows.append(f"| {LABELS[mode]}{how} | {one.cost_eur:.2f} | {saved} |")
    for mode in [spec.priced_mode, *([spec.settled_mode] if spec.foresight == "forecast" else [])]:
        gain = _told(weeks["rule_together"] - weeks[mode])
        rows.append(f"\n{LABELS[mode]} against the best rule together: {gain} €")
    return "\n".join(rows)


def _row(rule: str, key: str, gains_eur: Floats, names: Sequence[str]) -> str:
    total = gains_eur.sum(axis=0)
    least, most = int(total.argmin()), int(total.argmax())
    lost = [names[home][-1] for home in np.flatnonzero(total < -LOST_EUR)]
    unequal = "–" if lost else f"{gini(np.maximum(total, 0.0)):.2f}"
    return (
        f"| {rule} | {key} | {names[least][-1]}: {_told(gains_eur[:, least])} | "
        f"{names[most][-1]}: {_told(gains_eur[:, most])} | {', '.join(lost) or 'nobody'} | "
        f"{unequal} |"
    )


def _told(weeks_eur: Floats) -> str:
    low, high = middle(drawn_sums(weeks_eur, seed=0)[0])
    return f"{weeks_eur.sum():.2f} ({low:.2f} … {high:.2f})"


if __name__ == "__main__":
    main()
