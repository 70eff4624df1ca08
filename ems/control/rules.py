"""The rules that people really run, as signals to their devices; none needs a forecast.

``self_consumption``: what every shop sells. ``timer``: stores fill up in the cheap hours of the
night. ``price_threshold``: they fill up in the cheapest quarter of a day and give in its dearer
half, by the day-ahead prices that are published the day before. All of them charge from surplus,
charge the rest of what a car needs in the cheapest published hours before it leaves, and let filled
machines wait for the sun.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np

from ems.agents.rule import RuleSignal
from ems.core.horizon import Horizon
from ems.core.mode import Mode
from ems.forecast.price import PUBLISHED_HOUR
from ems.types import Bools, Ints

NIGHT_H = (1.0, 5.0)
"""Local hours of a timer where the tariff has no cheap hours of its own [h] (assumed)."""
SUN_UNTIL_H = 16.0
"""Local hour after which a filled machine no longer waits for sun [h] (assumed)."""


def self_consumption(horizon: Horizon) -> RuleSignal:
    """Store surplus, cover deficits, never trade."""
    return _signal(horizon, buy=_never(horizon), hold=_never(horizon))


def timer(horizon: Horizon) -> RuleSignal:
    """Fill up in the low hours of a tariff with two prices, else from 1 to 5 at night."""
    buy = (horizon.local_hour >= NIGHT_H[0]) & (horizon.local_hour < NIGHT_H[1])
    for day in _days(horizon):
        levels = np.unique(horizon.import_eur_per_kwh[day])
        if len(levels) == 2:
            buy[day] = horizon.import_eur_per_kwh[day] == levels[0]
    return _signal(horizon, buy=buy, hold=buy)


def price_threshold(horizon: Horizon) -> RuleSignal:
    """Fill up in the cheapest quarter of each day, give in its dearer half."""
    buy, hold, replaces = _never(horizon), _never(horizon), np.zeros(horizon.n_steps)
    for day in _days(horizon):
        price = horizon.import_eur_per_kwh[day]
        cheap, middle = np.quantile(price, (0.25, 0.5))
        hold[day] = price < middle
        buy[day] = (price <= cheap) & hold[day]
        replaces[day] = price[price >= middle].mean()
    return _signal(horizon, buy=buy, hold=hold, replaces=replaces)


SIGNALS: Mapping[Mode, Callable[[Horizon], RuleSignal]] = {
    "self_consumption": self_consumption,
    "timer": timer,
    "price_threshold": price_threshold,
}


def _signal(
    horizon: Horizon, *, buy: Bools, hold: Bools, replaces: np.ndarray | float = np.inf
) -> RuleSignal:
    return RuleSignal(
        buy=buy,
        hold=hold,
        replaces_eur_per_kwh=np.broadcast_to(replaces, (horizon.n_steps,)),
        wait=horizon.local_hour < SUN_UNTIL_H,
        known_until=_known_until(horizon),
    )


def _known_until(horizon: Horizon) -> Ints:
    """The end of each step's local day, from 13:00 that of the next."""
    day = horizon.wall_clock.astype("datetime64[D]")
    last = day + (horizon.local_hour >= PUBLISHED_HOUR)
    return np.searchsorted(day, last, side="right")


def _never(horizon: Horizon) -> Bools:
    return np.zeros(horizon.n_steps, dtype=np.bool_)


def _days(horizon: Horizon) -> Iterator[Bools]:
    """Where each local day is."""
    days = horizon.wall_clock.astype("datetime64[D]")
    for day in np.unique(days):
        yield days == day
