"""Compare runs: which is better, what differs, what got worse. Plain mappings, no store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from ems.errors import InvalidSpec

Direction = Literal["higher", "lower"]

HIGHER_IS_BETTER = (
    *("savings_eur", "savings_pct", "captured_share", "self_consumption", "self_sufficiency"),
    *("stored_eur", "learning_score", "gain_bits_vs_uniform", "mean_start_probability"),
)
LOWER_IS_BETTER = (
    *(
        "cost_eur",
        "with_wear_eur",
        "bill_eur",
        "bought_eur",
        "demand_charge_eur",
        "wear_eur",
        "calendar_wear_eur",
        "discomfort_eur",
    ),
    *("import_kwh", "peak_import_kw", "curtailed_kwh", "missed_kwh", "pv_error_kwh"),
    *("load_error_kwh", "gap_eur", "build_s", "solver_s", "shift_h", "mean_shift_h", "unusual"),
    *("log_loss_bits", "log_loss_bits_low", "log_loss_bits_high"),
)
TIMINGS = ("build_s", "solver_s")
"""Metrics that differ between runs of the same thing."""

NOISE = 1e-6
"""Accuracy of every figure (€, kWh, …); smaller changes are solver rounding."""

PROVENANCE = ("software.", "data.")
"""Parameters that record how a run was made, not what was asked for."""


def base_name(metric: str) -> str:
    """The figure's name without ``total/`` or ``day/`` and without its reference.

    >>> base_name("total/savings_eur_vs_rule_based")
    'savings_eur'
    """
    name = metric.rpartition("/")[2]
    return name if name in (*HIGHER_IS_BETTER, *LOWER_IS_BETTER) else name.partition("_vs_")[0]


def is_timing(metric: str) -> bool:
    """Whether a metric is a computing time."""
    return base_name(metric) in TIMINGS


def direction(metric: str) -> Direction | None:
    """Which direction is better; None if neither is, as for the demand or the number of starts."""
    name = base_name(metric)
    if name in HIGHER_IS_BETTER:
        return "higher"
    return "lower" if name in LOWER_IS_BETTER else None


def metric_named(name: str, known: Sequence[str]) -> str:
    """The metric meant by ``name``: itself, its total, or that against as metered.

    Raises ``InvalidSpec`` with the known names that resemble it.

    >>> metric_named("savings_eur", ["total/savings_eur_vs_as_metered"])
    'total/savings_eur_vs_as_metered'
    """
    for candidate in (name, f"total/{name}", f"total/{name}_vs_as_metered"):
        if candidate in known:
            return candidate
    alike = [metric for metric in sorted(known) if name.casefold() in metric.casefold()]
    shown = ", ".join((alike or sorted(known))[:12]) or "none"
    raise InvalidSpec(f"no run has a metric '{name}'; they have: {shown}")


def required_direction(metric: str) -> Direction:
    """``direction``. Raises ``InvalidSpec`` if neither is better."""
    found = direction(metric)
    if found is None:
        ranked = ", ".join((*HIGHER_IS_BETTER, *LOWER_IS_BETTER))
        raise InvalidSpec(f"'{metric}': neither more nor less is better; to rank by: {ranked}")
    return found


def different(
    one: Mapping[str, str], other: Mapping[str, str]
) -> list[tuple[str, str | None, str | None]]:
    """Name and both values of every parameter that differs; None: missing."""
    names = sorted({*one, *other})
    pairs = [(name, one.get(name), other.get(name)) for name in names]
    return [(name, a, b) for name, a, b in pairs if a != b]


@dataclass(frozen=True, kw_only=True)
class Change:
    """One metric before and after; ``where``: the run below the pipeline's, or the pipeline's."""

    where: str
    metric: str
    before: float
    after: float

    @property
    def change(self) -> float:
        """After − before."""
        return self.after - self.before

    @property
    def relative(self) -> float | None:
        """The change relative to the value before; None if that was 0."""
        return None if self.before == 0 else self.change / abs(self.before)

    @property
    def worse(self) -> bool:
        """Whether it changed in the worse direction."""
        way = direction(self.metric)
        return (way == "higher" and self.change < 0) or (way == "lower" and self.change > 0)

    def within(self, tolerance: float, least: float = 0.0) -> bool:
        """|after − before| ≤ max(least, tolerance · max(|before|, |after|))."""
        return abs(self.change) <= least or _agree(self.before, self.after, tolerance)


def changes(where: str, before: Mapping[str, float], after: Mapping[str, float]) -> list[Change]:
    """Every metric that both have, except timings and ``day/`` metrics, which have many values."""
    return [
        Change(where=where, metric=name, before=value, after=after[name])
        for name, value in sorted(before.items())
        if name in after and not is_timing(name) and not name.startswith("day/")
    ]


def regressions(found: Sequence[Change], tolerance: float) -> list[Change]:
    """What got worse by more than ``tolerance``, relative to the larger value, and ``NOISE``."""
    return [change for change in found if change.worse and not change.within(tolerance, NOISE)]


@dataclass(frozen=True, kw_only=True)
class Disagreement:
    """A figure that differs between two runs of the same thing; None: missing in one."""

    where: str
    metric: str
    step: int
    then: float | None
    now: float | None


def disagreements(
    where: str,
    then: Mapping[tuple[str, int], float],
    now: Mapping[tuple[str, int], float],
    tolerance: float,
) -> list[Disagreement]:
    """Every metric and step that differs by more than ``tolerance`` of its size; no timings."""
    found = []
    for metric, step in sorted({*then, *now}):
        a, b = then.get((metric, step)), now.get((metric, step))
        if is_timing(metric) or (a is not None and b is not None and _agree(a, b, tolerance)):
            continue
        found.append(Disagreement(where=where, metric=metric, step=step, then=a, now=b))
    return found


def _agree(a: float, b: float, tolerance: float) -> bool:
    return a == b or abs(a - b) <= tolerance * max(abs(a), abs(b))
