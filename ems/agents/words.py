"""Formatting of amounts, names and lists in sentences."""

from __future__ import annotations

from collections.abc import Sequence

NBSP = "\u00a0"
"""Non-breaking space between a number and its unit."""


def spoken(name: str) -> str:
    """A feed's or agent's name as its people say it.

    >>> spoken("washing_machine"), spoken("pv_roof"), spoken("ev")
    ('washing machine', 'PV roof', 'car')
    """
    known = {"pv": "PV", "ev": "car"}
    return " ".join(known.get(word, word) for word in name.split("_"))


def listed(names: Sequence[str]) -> str:
    """Names as an English list.

    >>> listed(["a"]), listed(["a", "b", "c"])
    ('a', 'a, b and c')
    """
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def number(value: float, digits: int) -> str:
    """A number with a true minus and no negative zero.

    >>> number(-0.001, 1), number(-2.0, 1)
    ('0.0', '−2.0')
    """
    # Adding 0.0 turns −0.0 into 0.0.
    return f"{round(value, digits) + 0.0:.{digits}f}".replace("-", "−")


def ct(amount_ct: float) -> str:
    """An amount in ct."""
    return f"{number(amount_ct, 1)}{NBSP}ct"


def kw(power_kw: float) -> str:
    """A power."""
    return f"{number(power_kw, 1)}{NBSP}kW"


def kwh(energy_kwh: float) -> str:
    """An energy."""
    return f"{number(energy_kwh, 1)}{NBSP}kWh"
