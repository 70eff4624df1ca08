"""Who decides what a day does, and how a plan is carried out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

Mode = Literal[
    "as_metered",
    "self_consumption",
    "timer",
    "price_threshold",
    "rule_based",
    "value_based",
    "decentralized",
    "centralized",
    "centralized_phases",
    "pv_unknown",
    "load_unknown",
    "price_unknown",
    "devices_unknown",
    "centralized_perfect",
    "perfect_foresight",
]
"""Who decides: the people, a rule that people run, the value of charge
(``ems.control.value_based``), or one of our plans. ``rule_based``: the one of the rules that cost a
building least over all days. ``…_unknown``: the mode of ours
that plans most often, with everything known except that. ``centralized_perfect``: everything known,
day by day. ``perfect_foresight``: all days at once."""

LABELS: Mapping[Mode, str] = {
    "as_metered": "as metered",
    "self_consumption": "self-consumption",
    "timer": "timer",
    "price_threshold": "price threshold",
    "rule_based": "best rule",
    "value_based": "value of charge",
    "decentralized": "decentralized",
    "centralized": "centralized",
    "centralized_phases": "centralized, phases",
    "pv_unknown": "only the sun unknown",
    "load_unknown": "only load and heat unknown",
    "price_unknown": "only the price unknown",
    "devices_unknown": "only devices unknown",
    "centralized_perfect": "perfect plan",
    "perfect_foresight": "all days at once",
}
"""What figures, tables and pages call each mode."""

Dispatch = Literal["setpoints", "balance"]
"""How a store carries out its plan: following set-points, or balancing deviations."""
