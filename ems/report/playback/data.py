"""What the playback shows, as plain values that become JSON.

Energies are whole Wh, wallets whole cents, prices thousandths of a ct/kWh; so a week of twenty
homes is some hundred kilobytes. Totals are those of the whole window, to the cent, whatever part of
it the slider shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ems.community.community import LABELS
from ems.pipelines.community import CommunityPiece, CommunitySpec
from ems.pipelines.community_totals import CommunityResult, HomeRow, ModeRow
from ems.report.community import RULE_LABELS, CommunitySteps, FairPoint
from ems.report.figures.page import Origin, span_in_words
from ems.report.page import words
from ems.types import Floats, Ints

MOST_HOMES, MOST_STEPS, MOST_ROWS = 60, 700, 1000
"""Most homes in the ring, steps of the slider, and rows of the table."""
_ENERGIES = ("generation", "demand", "stored", "import", "export", "received", "supplied")
"""Less than this is what whole Wh round away [kWh]."""
Data = dict[str, Any]


def playback_data(
    pieces: Sequence[CommunityPiece],
    result: CommunityResult,
    spec: CommunitySpec,
    *,
    origin: Origin,
    points: Sequence[FairPoint] = (),
) -> Data:
    """Everything on the page.

    ``points``: rules and keys to compare by their Gini, before anything is handed over. Beyond
    ``MOST_STEPS`` the slider has the first whole days, beyond ``MOST_HOMES`` the ring has the homes
    with most energy through their meters and the others as one; ``cut`` tells it. Raises
    ``InvalidSpec`` without pieces.
    """
    here = CommunitySteps.of(pieces, spec.settled_mode)
    alone = CommunitySteps.of(pieces, "alone")
    ring, n = _ring(here), _shown_steps(here)
    days = here.days
    return {
        "title": f"{words.counted(len(here.names), 'home')}, "
        f"{span_in_words(days[0], days[-1], len(days))}",
        "subtitle": _subtitle(pieces, spec),
        "synthetic": origin.synthetic,
        "source": origin.source,
        "cut": _cut(here, ring, n),
        "said": _facts(result, spec),
        "step_h": here.clock.step_h,
        "clock": _clock(here, n),
        "day_starts": np.flatnonzero(np.diff(here.day_of_step[:n].astype(int), prepend=0)).tolist(),
        "homes": list(ring.names),
        "energy_wh": {
            name: ring.of(getattr(here, f"{name}_kwh")[:n] * 1000.0) for name in _ENERGIES
        },
        "wallet_ct": ring.of(100.0 * np.cumsum(here.bill_eur[:n], axis=0)),
        "alone_ct": ring.of(100.0 * np.cumsum(alone.bill_eur[:n], axis=0)),
        "prices_mct": _prices(here, n),
        "modes": [_mode(row) for row in result.modes],
        "baseline": LABELS["rule_alone"],
        "households": _households(result, here, ring),
        "n_households": len(result.homes),
        "points": [_point(point, spec) for point in points],
    }


# --- what is shown ----------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class _Ring:
    """The homes of the ring: their columns, and whether the last is all others together."""

    names: tuple[str, ...]
    columns: Ints
    others: Ints

    def of(self, values: Floats) -> list[list[int]]:
        """Values of shape ``(n_steps, n_homes)`` in whole numbers, a list for each of the ring."""
        shown = values[:, self.columns]
        if len(self.others):
            shown = np.column_stack([shown, values[:, self.others].sum(axis=1)])
        whole: list[list[int]] = np.rint(shown.T).astype(int).tolist()
        return whole


def _ring(steps: CommunitySteps) -> _Ring:
    n = len(steps.names)
    if n <= MOST_HOMES:
        return _Ring(names=steps.names, columns=np.arange(n), others=np.arange(0))
    through_kwh = (steps.import_kwh + steps.export_kwh).sum(axis=0)
    ranked = np.argsort(-through_kwh, kind="stable")
    columns, others = np.sort(ranked[: MOST_HOMES - 1]), np.sort(ranked[MOST_HOMES - 1 :])
    names = (*(steps.names[i] for i in columns), f"{len(others)} others")
    return _Ring(names=names, columns=columns, others=others)


def _shown_steps(steps: CommunitySteps) -> int:
    """The steps of the first whole days that fit, of one day at least."""
    ends = np.searchsorted(steps.day_of_step, np.array(steps.days, "datetime64[D]"), "right")
    fit = ends[ends <= MOST_STEPS]
    return int(fit[-1] if len(fit) else ends[0])


def _cut(steps: CommunitySteps, ring: _Ring, n: int) -> list[str]:
    """What the slider and the ring leave out."""
    told = []
    if n < steps.n_steps:
        last = steps.day_of_step[n - 1].astype(object)
        shown = sum(day <= last for day in steps.days)
        told.append(
            f"The slider shows the first {words.counted(shown, 'day')} of {len(steps.days)}; "
            "comparison and households are of all."
        )
    if len(ring.others):
        told.append(
            f"The ring shows the {len(ring.columns)} homes with most energy through their meters, "
            f"and the other {len(ring.others)} as one."
        )
    if len(steps.names) > MOST_ROWS:
        told.append(
            f"The lists of homes show the {MOST_ROWS} with the least gain of {len(steps.names)}."
        )
    return told


def _facts(result: CommunityResult, spec: CommunitySpec) -> list[str]:
    """What the numbers rest on."""
    told = [
        "Cost: the bill with the stores put back as they were, wear and discomfort, both "
        "assumptions. Gain: less cost than planned alone, with the same devices and batteries.",
        "A wallet is the bill for energy alone, so far. Each number is rounded on its own.",
        f"Coincidence of the loads: {words.number(result.coincidence, 2)} "
        "(1: all homes peak at once; the lower, the more there is to share).",
    ]
    if result.worthless_steps:
        told.append(
            f"In {result.worthless_steps} of {result.n_steps} steps the fee of "
            f"{words.ct(100.0 * spec.fee_eur_per_kwh)}/kWh leaves nothing to gain by sharing."
        )
    return told


def _subtitle(pieces: Sequence[CommunityPiece], spec: CommunitySpec) -> str:
    account = pieces[0].accounts[spec.settled_mode]
    return " · ".join(
        (
            f"{LABELS[spec.settled_mode]}, with everything known ahead",
            f"price: {RULE_LABELS[account.rule]}",
            f"key: {account.key}",
            f"fee {words.ct(100.0 * spec.fee_eur_per_kwh)}/kWh",
            f"tariff {spec.tariff.name}",
        )
    )


# --- over time --------------------------------------------------------------------------------


def _clock(steps: CommunitySteps, n: int) -> list[str]:
    """The local time at which each step starts."""
    local = steps.clock.local[steps.place[:n]]
    return [f"{t:%a} {t.day} {t:%b %Y, %H:%M}" for t in local]


def _prices(steps: CommunitySteps, n: int) -> dict[str, list[int | None]]:
    """Prices of each step; the seller's is None where nothing is shared."""
    series = {
        "retail": steps.retail_eur_per_kwh,
        "most": steps.most_eur_per_kwh,
        "least": steps.feed_in_eur_per_kwh,
        "shared": np.where(steps.sharing, steps.shared_eur_per_kwh, np.nan),
    }
    return {
        name: [None if np.isnan(price) else round(1e5 * price) for price in prices[:n].tolist()]
        for name, prices in series.items()
    }


# --- totals -----------------------------------------------------------------------------------


def _mode(row: ModeRow) -> Data:
    return {
        "name": LABELS[row.mode],
        "cost_eur": _cents(row.cost_eur),
        "shared_kwh": round(row.shared_kwh, 1),
        "bought_kwh": round(row.bought_kwh, 1),
        "sold_kwh": round(row.sold_kwh, 1),
        "peak_kw": round(row.peak_import_kw, 1),
    }


def _households(result: CommunityResult, steps: CommunitySteps, ring: _Ring) -> list[Data]:
    """Every home in the order of the ring, or those with the least gain if there are too many."""
    bills_eur = steps.bill_eur.sum(axis=0)
    place = {int(column): number for number, column in enumerate(ring.columns)}
    by_gain = sorted(range(len(result.homes)), key=lambda i: result.homes[i].gain_eur)
    return [
        _household(result.homes[i], float(bills_eur[i]), place.get(i))
        for i in sorted(by_gain[:MOST_ROWS])
    ]


def _household(home: HomeRow, bill_eur: float, place: int | None) -> Data:
    """``place``: of the home in the ring, None if it is among the others."""
    own = home.self_sufficiency
    return {
        "name": home.name,
        "place": place,
        "bill_eur": _cents(bill_eur),
        "stores_eur": _cents(-home.kpis.stored_eur),
        "own_eur": _cents(home.kpis.wear_eur + home.kpis.discomfort_eur),
        "here_eur": _cents(home.here_eur),
        "alone_eur": _cents(home.alone_eur),
        "gain_eur": _cents(home.gain_eur),
        "import_kwh": round(home.kpis.import_kwh, 1),
        "export_kwh": round(home.kpis.export_kwh, 1),
        "received_kwh": round(home.received_kwh, 1),
        "supplied_kwh": round(home.supplied_kwh, 1),
        "own_use_kwh": round(home.own_use_kwh, 1),
        "self_sufficiency_pct": None if own is None else round(100.0 * own),
    }


def _point(point: FairPoint, spec: CommunitySpec) -> Data:
    return {
        "name": point.name,
        "cost_eur": _cents(point.cost_eur),
        "gini": None if point.gini is None else round(point.gini, 3),
        "shown": (point.rule, point.key) == (spec.rule, spec.key) and not spec.hands_over,
    }


def _cents(amount_eur: float) -> float:
    """An amount to the cent, without a negative zero."""
    return round(amount_eur, 2) + 0.0
