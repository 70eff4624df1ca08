"""How the report writes amounts, counts and names; written down nowhere else."""

from __future__ import annotations

from collections.abc import Sequence

from ems.economics.settlement import Savings

NBSP = "\u00a0"
"""Between a number and its unit, so that no line ends between them."""


def device_title(name: str) -> str:
    """What a device or agent is called by the people who live with it.

    >>> device_title("ev"), device_title("washing_machine")
    ('car', 'washing machine')
    """
    return {"ev": "car", "pv": "sun"}.get(name, name.replace("_", " "))


def counted(n: int, one: str, many: str | None = None) -> str:
    """A number with its noun.

    >>> counted(1, "day").replace(NBSP, " "), counted(7, "day").replace(NBSP, " ")
    ('1 day', '7 days')
    """
    return f"{n}{NBSP}{one if n == 1 else many or f'{one}s'}"


def listed(names: Sequence[str]) -> str:
    """Names as a person lists them.

    >>> listed(["a"]), listed(["a", "b", "c"])
    ('a', 'a, b and c')
    """
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def number(value: float, digits: int) -> str:
    """A number with a true minus and no negative zero.

    >>> number(-0.001, 1), number(-2.0, 1)
    ('0.0', '−2.0')
    """
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


def amount(amount_eur: float) -> str:
    """An amount of money without its unit [€]."""
    return number(amount_eur, 2)


def eur(amount_eur: float) -> str:
    """An amount of money."""
    return f"{amount(amount_eur)}{NBSP}€"


def saving(of: Savings | None) -> str:
    """A saving [€] with its percentage; a dash where there is none."""
    if of is None:
        return "–"
    share = "" if of.savings_pct is None else f"{NBSP}({number(of.savings_pct, 0)}{NBSP}%)"
    return f"{amount(of.savings_eur)}{share}"


def percent(fraction: float | None) -> str:
    """A fraction in percent; a dash where it is not defined."""
    return "–" if fraction is None else f"{number(100 * fraction, 0)}{NBSP}%"
