"""The tariff file that follows from a few answers about a bill.

What a bill says without VAT is written with it; what a dynamic tariff adds to the market price is
written without, since VAT is on the market price too:
import = (spot + surcharge) · (1 + VAT)   [€/kWh].
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from ems.economics.tariff import DemandPeriod
from ems.errors import InvalidSpec

Pricing = Literal["flat", "day_night", "dynamic"]
Vat = Literal["included", "excluded"]
Market = Literal["market"]
MARKET: Market = "market"
DIGITS = 6
"""Decimals of a figure with VAT added or taken off."""


@dataclass(frozen=True, kw_only=True)
class TariffAnswers:
    """What was answered; None where a question does not arise.

    ``price``: how a kWh is priced. ``import_ct_per_kwh``: all day, or by day; ``night_…``: price
    and local hours of the night; ``surcharge_ct_per_kwh``: all that a dynamic tariff adds to the
    market price. ``vat``: whether these, the fee and the charge include it. ``vat_pct``: how much
    it is, where a figure needs it. ``feed_in_ct_per_kwh``: a price, or ``market`` for the hour's.
    """

    price: Pricing
    import_ct_per_kwh: float | None = None
    night_ct_per_kwh: float | None = None
    night_from_hour: float | None = None
    night_to_hour: float | None = None
    surcharge_ct_per_kwh: float | None = None
    vat: Vat
    vat_pct: float | None = None
    feed_in_ct_per_kwh: float | Market
    base_fee_eur_per_year: float
    demand_charge_eur_per_kw: float
    demand_period: DemandPeriod | None = None

    def __post_init__(self) -> None:
        for name in QUESTIONS:
            given, asked = getattr(self, name) is not None, name in arising(vars(self))
            if given and not asked:
                raise InvalidSpec(f"{name} is {getattr(self, name)}, but {_why_not(name)}")
            if asked and not given:
                raise InvalidSpec(f"{name} is missing: {QUESTIONS[name]}")
        if self.feed_in_ct_per_kwh == MARKET and self.price != "dynamic":
            raise InvalidSpec(
                "feed_in_ct_per_kwh is market, which only a dynamic price knows; give ct/kWh"
            )
        begin, end = self.night_from_hour, self.night_to_hour
        if begin is not None and end is not None and begin % 24 == end % 24:
            raise InvalidSpec(
                f"night_from_hour is {begin:g} and night_to_hour {end:g}, the same hour: they must "
                "differ"
            )

    def toml(self) -> str:
        """The file, valid for ``load_tariff``."""
        return "\n".join([*self._lines(), ""])

    def _lines(self) -> Iterator[str]:
        yield "# Written from answers by scripts/tariff.py; change a figure as you like."
        yield f'kind = "{ {"flat": "flat", "day_night": "tou", "dynamic": "dynamic"}[self.price] }"'
        yield f'description = "{_DESCRIPTIONS[self.price]}"'
        if self.price == "dynamic":
            yield f"vat = {_figure((self.vat_pct or 0.0) / 100.0, 'your answer')}"
        else:
            yield f"import_ct_per_kwh = {self._gross(self.import_ct_per_kwh, 'ct/kWh')}"
        if self.feed_in_ct_per_kwh != MARKET:
            yield f"feed_in_ct_per_kwh = {_figure(self.feed_in_ct_per_kwh, 'your answer')}"
        yield f"base_fee_eur_per_year = {self._gross(self.base_fee_eur_per_year, '€/year')}"
        if self.demand_charge_eur_per_kw > 0:
            yield from ("", "[demand_charge]", f'period = "{self.demand_period}"')
            yield f"eur_per_kw = {self._gross(self.demand_charge_eur_per_kw, '€/kW')}"
        if self.price == "day_night":
            yield from ("", "[low]", f"from_hour = {self.night_from_hour:g}")
            yield f"to_hour = {self.night_to_hour:g}"
            yield f"import_ct_per_kwh = {self._gross(self.night_ct_per_kwh, 'ct/kWh')}"
        if self.price == "dynamic":
            yield from ("", "[fees_ct_per_kwh]", f"surcharge = {self._net_surcharge()}")

    def _gross(self, value: float | None, unit: str) -> str:
        """A figure with VAT; on a dynamic tariff the price formula adds it to nothing else."""
        value = value or 0.0
        if self.vat == "included" or self.vat_pct is None:
            return _figure(value, "your answer")
        gross = value * (1.0 + self.vat_pct / 100.0)
        return _figure(gross, f"your answer {value:g} {unit}, {self.vat_pct:g} % VAT added")

    def _net_surcharge(self) -> str:
        value, vat_pct = self.surcharge_ct_per_kwh or 0.0, self.vat_pct or 0.0
        if self.vat == "excluded":
            return _figure(value, "your answer")
        net = value / (1.0 + vat_pct / 100.0)
        return _figure(net, f"your answer {value:g} ct/kWh, {vat_pct:g} % VAT taken off")


QUESTIONS = {
    "price": "how is a kWh priced: flat, day_night or dynamic (by the market's hour)?",
    "import_ct_per_kwh": "what does a kWh cost, by day if there are two prices [ct/kWh]?",
    "night_ct_per_kwh": "what does a kWh cost at night [ct/kWh]?",
    "night_from_hour": "from which local hour on is it night [0 to 24]?",
    "night_to_hour": "until which local hour [0 to 24]?",
    "surcharge_ct_per_kwh": (
        "what comes on top of the market price, grid fees, levies and margin together [ct/kWh]?"
    ),
    "vat": "do the prices and fees you name include VAT: included or excluded?",
    "vat_pct": "how much is VAT [%]?",
    "feed_in_ct_per_kwh": "what is paid for a kWh fed in [ct/kWh; 0 for nothing, or market]?",
    "base_fee_eur_per_year": "what is the base fee [€/year; 0 for none]?",
    "demand_charge_eur_per_kw": "is the highest import paid for [€/kW; 0 for no]?",
    "demand_period": "of each month or year?",
}
"""Every question by the name of its answer, in the order in which they are asked."""
_ONLY = {
    "import_ct_per_kwh": ("price", ("flat", "day_night")),
    **dict.fromkeys(
        ("night_ct_per_kwh", "night_from_hour", "night_to_hour"), ("price", ("day_night",))
    ),
    "surcharge_ct_per_kwh": ("price", ("dynamic",)),
}
_DESCRIPTIONS = {
    "flat": "one price for every hour",
    "day_night": "a price by day and one at night",
    "dynamic": "day-ahead price + surcharge + VAT",
}


def arising(answers: dict[str, object]) -> tuple[str, ...]:
    """The questions that arise from the answers known so far, in order."""
    return tuple(name for name in QUESTIONS if _arises(name, answers))


def _arises(name: str, answers: dict[str, object]) -> bool:
    if name in _ONLY:
        other, values = _ONLY[name]
        return answers[other] in values
    if name == "vat_pct":
        return answers["price"] == "dynamic" or answers["vat"] == "excluded"
    if name == "demand_period":
        return answers["demand_charge_eur_per_kw"] not in (None, 0.0)
    return True


def _why_not(name: str) -> str:
    if name in _ONLY:
        return f"it belongs to price {' or '.join(_ONLY[name][1])}"
    if name == "vat_pct":
        return "prices that include VAT need none; leave it out"
    return "there is no demand charge; leave it out"


def _figure(value: object, source: str) -> str:
    amount = round(float(str(value)), DIGITS)
    return f"{{ value = {amount!r}, source = {json.dumps(source, ensure_ascii=False)} }}"
