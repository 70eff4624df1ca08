"""What a home believes that the pool will pay, learned from what it paid: nobody announces it.

The price forecaster of the ground floor with the pool's history as its series; scored from rolling
origins against the same hour of the week before.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ems.community.community import CommunityMode
from ems.forecast.learned import MIN_DAYS
from ems.forecast.persistence import SameHourLastWeek
from ems.forecast.price import PriceForecast
from ems.forecast.rolling_origin import ModelScores, first_origin, origins_every, rolling_scores
from ems.forecast.series import Series
from ems.pipelines.community import CommunityPiece
from ems.site.building import Building

KWH_PER_MWH = 1000.0
N_HOURS = 48


def pool_series(
    pieces: Sequence[CommunityPiece], mode: CommunityMode, building: Building
) -> Series:
    """The price of a shared kWh to its seller over a window, NaN on days left out [€/MWh].

    ``building``: any of the homes, for place and zone.
    """
    step_h = pieces[0].horizon.step_h
    step = np.timedelta64(round(3600 * step_h), "s")
    first, last = pieces[0].horizon.ts_utc[0], pieces[-1].horizon.ts_utc[-1]
    values = np.full(int((last - first) / step) + 1, np.nan)
    for piece in pieces:
        at = int((piece.horizon.ts_utc[0] - first) / step)
        price = piece.accounts[mode].shared_eur_per_kwh
        values[at : at + len(price)] = KWH_PER_MWH * price
    return Series(
        who="pool price",
        unit="€/MWh",
        ts_utc=first + np.arange(len(values)) * step,
        step_h=step_h,
        timezone=building.history.timezone,
        place=building.history.place,
        values=values,
    )


def pool_scores(series: Series) -> tuple[ModelScores, ...]:
    """Persistence and the learned price over the 48 hours after every midnight.

    Raises ``DataError`` for too short a history.
    """
    n_steps = round(N_HOURS / series.step_h)
    origins = origins_every(series, 24, first_origin(series, MIN_DAYS), n_steps)
    models = (SameHourLastWeek(), PriceForecast(published=False))
    return rolling_scores(models, series, origins, n_steps)
