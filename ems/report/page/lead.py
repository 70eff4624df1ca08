"""The first lines of the page: the result in one sentence and one picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ems.core.mode import LABELS, Mode
from ems.economics.intervals import drawn_sums, middle
from ems.economics.settlement import DayKpis
from ems.pipelines.captured import LEAST_DAYS
from ems.pipelines.comparison import DayResult, ModeSummary, best_rule
from ems.pipelines.spec import PLANNED
from ems.report.figures.amounts import Amount, amount_bars
from ems.report.figures.page import Origin
from ems.report.figures.paper import PAGE
from ems.report.figures.style import MODE_COLOURS
from ems.report.inline import Picture
from ems.report.page import words
from ems.report.page.page import Section
from ems.report.savings import saved_each_eur
from ems.types import Floats

_NOTHING_EUR = 0.005


@dataclass(frozen=True, kw_only=True, eq=False)
class Found:
    """What came out for one building: as metered, the best rule, and the best of our plans.

    ``added_eur``: what each day adds to what the plan saves beyond the rule [€], ``(n_days,)``.
    """

    building: str
    rule: Mode
    plan: Mode
    kpis: dict[Mode, DayKpis]
    added_eur: Floats

    @classmethod
    def of(
        cls, building: str, summaries: Sequence[ModeSummary], results: Sequence[DayResult]
    ) -> Found:
        """Best is what costs least over these days, wear included, as for the rules."""
        kpis = {row.mode: row.kpis for row in summaries if row.building == building}
        planned = [mode for mode in PLANNED if mode in kpis]
        # To a hundredth of a cent: the first of equals.
        plan = min(planned, key=lambda mode: round(kpis[mode].with_wear_eur, 4))
        rule = best_rule(summaries, building)
        own = [result for result in results if result.building == building]
        days = [[day.kpis for day in own if day.mode == mode] for mode in (plan, rule)]
        return cls(
            building=building, rule=rule, plan=plan, kpis=kpis, added_eur=saved_each_eur(*days)
        )

    @property
    def interval_eur(self) -> tuple[float, float] | None:
        """The 95 % of what planning adds [€], None for too few days or days that do not vary."""
        if len(self.added_eur) < LEAST_DAYS or not np.ptp(self.added_eur):
            return None
        return middle(*drawn_sums(self.added_eur, seed=0))

    @property
    def added_with_wear_eur(self) -> float:
        """What the plan saves beyond the rule, wear of the battery counted [€]."""
        return self.kpis[self.rule].with_wear_eur - self.kpis[self.plan].with_wear_eur

    @property
    def costs(self) -> dict[str, Mode]:
        """The three that are compared, by name."""
        return {
            LABELS["as_metered"]: "as_metered",
            f"best rule: {LABELS[self.rule]}": self.rule,
            f"best plan: {LABELS[self.plan]}": self.plan,
        }


def lead_section(
    names: Sequence[str],
    summaries: Sequence[ModeSummary],
    results: Sequence[DayResult],
    knowledge: str,
    origin: Origin,
) -> Section:
    """The result first: one sentence, what stands beside it, one picture.

    ``names``: of the buildings; ``knowledge``: what the plans knew, in a sentence.
    """
    found = [Found.of(name, summaries, results) for name in names]
    if len(found) > 1:
        return Section("In short", (_of_all(found), knowledge), [_added(found, origin)])
    one = found[0]
    told = (_sentence(one), f"{_beside(one)} {knowledge}")
    return Section("In short", told, [_costs(one, origin)])


def _sentence(found: Found) -> str:
    metered, rule, plan = (
        words.eur(found.kpis[mode].cost_eur) for mode in ("as_metered", found.rule, found.plan)
    )
    n_days = len(found.added_eur)
    on = "this day" if n_days == 1 else f"these {words.counted(n_days, 'day')}"
    return (
        f"On {on} {found.building} cost {metered} as metered, {rule} under the best rule that "
        f"needs no forecast ({LABELS[found.rule]}) and {plan} under the best plan "
        f"({LABELS[found.plan]}): {_adds(found)}."
    )


def _adds(found: Found) -> str:
    """What planning adds to the rule, with its interval, and with wear counted."""
    rule_eur, plan_eur = (found.kpis[mode].cost_eur for mode in (found.rule, found.plan))
    added_eur, interval_eur = rule_eur - plan_eur, found.interval_eur
    worn = f"{words.eur(found.added_with_wear_eur)} with wear of the battery counted"
    if abs(added_eur) < _NOTHING_EUR:
        return f"planning adds nothing to what the rule saves, {worn}"
    within = ""
    if interval_eur is not None:
        low, high = interval_eur if added_eur > 0 else (-interval_eur[1], -interval_eur[0])
        within = f" (95 %: {_bound(low)} … {_bound(high)}{words.NBSP}€)"
    if added_eur > 0:
        return f"planning adds {words.eur(added_eur)}{within} to what the rule saves, {worn}"
    return f"planning costs {words.eur(-added_eur)}{within} more than the rule; it adds {worn}"


def _bound(amount_eur: float) -> str:
    """A bound of an interval, with a decimal where it is small."""
    return words.number(amount_eur, 1 if abs(amount_eur) < 10 else 0)


def _beside(found: Found) -> str:
    """What stands beside the cost: wear, and the highest import before and after."""
    kpis = [found.kpis[mode] for mode in ("as_metered", found.rule, found.plan)]
    metered, rule, plan = kpis
    worn = (
        "Wear of the battery is assumed and in none of these costs: "
        f"{words.eur(rule.wear_eur)} under the rule, {words.eur(plan.wear_eur)} under the plan. "
    )
    earned = " A negative cost is money earned." if min(k.cost_eur for k in kpis) < 0 else ""
    return (
        f"{worn if max(rule.wear_eur, plan.wear_eur) > 0 else ''}The highest import is "
        f"{words.kw(metered.peak_import_kw)} as metered, {words.kw(rule.peak_import_kw)} under the "
        f"rule and {words.kw(plan.peak_import_kw)} under the plan.{earned}"
    )


def _costs(found: Found, origin: Origin) -> Picture:
    bars = [
        Amount(
            name,
            found.kpis[mode].cost_eur,
            words.eur(found.kpis[mode].cost_eur),
            colour=MODE_COLOURS[mode],
        )
        for name, mode in found.costs.items()
    ]
    title = f"{found.building}: what {words.counted(len(found.added_eur), 'day')} cost"
    figure = amount_bars(bars, unit="€", title=title, origin=origin, paper=PAGE)
    return Picture(figure, title, "the bill, with the stores put back")


def _of_all(found: Sequence[Found]) -> str:
    """The sums over all buildings."""
    metered_eur = sum(one.kpis["as_metered"].cost_eur for one in found)
    rule_eur = sum(one.kpis[one.rule].cost_eur for one in found)
    plan_eur = sum(one.kpis[one.plan].cost_eur for one in found)
    worn_eur = sum(one.added_with_wear_eur for one in found)
    above = sum((one.interval_eur or (0.0, 0.0))[0] > 0 for one in found)
    return (
        f"{len(found)}{words.NBSP}buildings cost {words.eur(metered_eur)} together as metered, "
        f"{words.eur(rule_eur)} under the best rule of each and {words.eur(plan_eur)} under the "
        f"best plan of each: planning adds {words.eur(rule_eur - plan_eur)} to what the rules "
        f"save, {words.eur(worn_eur)} with wear of the battery counted, and provably something "
        f"(95 %) in {above} of {len(found)} buildings."
    )


def _added(found: Sequence[Found], origin: Origin) -> Picture:
    bars = [
        Amount(
            one.building,
            float(one.added_eur.sum()),
            words.eur(float(one.added_eur.sum())),
            one.interval_eur,
            MODE_COLOURS[one.plan],
        )
        for one in found
    ]
    title = "What planning adds to the best rule of each building"
    figure = amount_bars(bars, unit="€", title=title, origin=origin, paper=PAGE)
    return Picture(figure, title, "with the 95 % interval")
