"""What a control rule tells every device of a building, step by step."""

from __future__ import annotations

from dataclasses import dataclass

from ems.types import Bools, Floats, Ints


@dataclass(frozen=True, kw_only=True, eq=False)
class RuleSignal:
    """The signals of a rule without a forecast, all of shape ``(n_steps,)``.

    ``buy``: where stores fill up from the grid; ``hold``: where they give nothing back.
    ``replaces_eur_per_kwh``: what a kWh bought in that step replaces later at the prices published
    for its day [€/kWh]; ∞ for a rule that does not look. ``wait``: where a machine that its people
    have filled may still wait for enough sun. ``known_until``: the first step whose price is not
    published yet.
    """

    buy: Bools
    hold: Bools
    replaces_eur_per_kwh: Floats
    wait: Bools
    known_until: Ints
