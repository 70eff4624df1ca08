"""Formatting of amounts, counts and names in the report."""

from __future__ import annotations

from ems.agents.words import NBSP, ct, kw, kwh, listed, number, spoken
from ems.economics.settlement import Savings

__all__ = [
    "NBSP",
    "amount",
    "counted",
    "ct",
    "eur",
    "kw",
    "kwh",
    "listed",
    "number",
    "percent",
    "saving",
    "spoken",
]


def counted(n: int, one: str, many: str | None = None) -> str:
    """A number with its noun.

    >>> counted(1, "day").replace(NBSP, " "), counted(7, "day").replace(NBSP, " ")
    ('1 day', '7 days')
    """
    return f"{n}{NBSP}{one if n == 1 else many or f'{one}s'}"


def amount(amount_eur: float) -> str:
    """An amount of money without its unit [€]."""
    return number(amount_eur, 2)


def eur(amount_eur: float) -> str:
    """An amount of money."""
    return f"{amount(amount_eur)}{NBSP}€"


def saving(of: Savings | None) -> str:
    """A saving [€] with its percentage; a dash if there is none."""
    if of is None:
        return "–"
    share = "" if of.savings_pct is None else f"{NBSP}({number(of.savings_pct, 0)}{NBSP}%)"
    return f"{amount(of.savings_eur)}{share}"


def percent(fraction: float | None) -> str:
    """A fraction in percent; a dash if undefined."""
    return "–" if fraction is None else f"{number(100 * fraction, 0)}{NBSP}%"
