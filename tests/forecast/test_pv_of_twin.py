"""PV forecasts on the synthetic twin, whose roofs and clouds are known."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from ems.forecast.clear_sky import ClearSkyRoof, Sun
from ems.forecast.pv import ClearSkyPersistence, LearnedPV, PVPersistence
from ems.forecast.rolling_origin import rolling_scores
from ems.forecast.series import Forecaster, Series
from ems.store.ingest.twin import twin_dataset

N_DAYS = 330


@pytest.fixture(scope="module")
def roofs() -> Mapping[str, Series]:
    """The generation of every building with one roof."""
    found = {}
    for data in twin_dataset(7, 60).buildings:
        pv = [feed.name for feed in data.feeds if feed.role == "pv"]
        if len(pv) == 1:
            n = N_DAYS * 24
            found[data.building] = Series(
                who=data.building,
                unit="kW",
                ts_utc=data.ts_utc[:n],
                step_h=1.0,
                timezone=data.timezone,
                place=data.place,
                values=data.energy_kwh[pv[0]][:n],
                least=0.0,
            )
    return found


@pytest.mark.parametrize(
    ("building", "tilt_deg", "azimuth_deg"),
    [("DE_KN_residential1", 30.0, 165.0), ("DE_KN_residential4", 30.0, 205.0)],
)
def test_the_way_the_roof_looks_is_recovered(
    roofs: Mapping[str, Series], building: str, tilt_deg: float, azimuth_deg: float
) -> None:
    roof = roofs[building]
    sun = Sun.over(roof, 0)
    found = ClearSkyRoof.fit(building, roof.values, sun).normal
    assert found[0] == pytest.approx(tilt_deg, abs=15.0)
    assert found[1] == pytest.approx(azimuth_deg, abs=10.0)


def test_eighty_of_a_hundred_sunny_hours_lie_in_the_interval(roofs: Mapping[str, Series]) -> None:
    """From every 31st hour of 90 days, refitted every 28: the error of a share is about 0.05."""
    made = roofs["DE_KN_residential4"]
    origins = np.arange(240 * 24, len(made) - 48, 31)
    sun = Sun.over(made, 48)
    night = ~sun.up[origins[:, None] + np.arange(48)]
    models: list[Forecaster] = [PVPersistence(), ClearSkyPersistence(), LearnedPV()]
    of_clock, of_sun, of_trees = rolling_scores(models, made, origins, 48, night)
    assert of_trees.overall.coverage == pytest.approx(0.8, abs=0.1)
    assert of_sun.overall.coverage == pytest.approx(0.8, abs=0.15)
    assert of_trees.overall.crps < of_sun.overall.crps < 0.95 * of_clock.overall.crps
    assert of_trees.overall.skill > 0.0
