"""The time grid: local days of 23, 24 and 25 hours, prices, energy and the bill."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from ems.core.affine import Affine
from ems.core.horizon import Horizon
from ems.errors import InvalidSpec


def horizon(n_steps: int = 24, start: str = "2016-05-31T22:00", **fields: Any) -> Horizon:
    values: dict[str, Any] = {
        "start_utc": np.datetime64(start),
        "step_h": 1.0,
        "import_eur_per_kwh": np.full(n_steps, 0.3),
        "export_eur_per_kwh": np.full(n_steps, 0.08),
    }
    return Horizon(**values | fields)


@pytest.mark.smoke
@pytest.mark.parametrize(
    ("start", "step_h", "n_steps", "hours"),
    [
        ("2016-05-31T22:00", 1.0, 24, list(range(24))),
        ("2016-03-26T23:00", 1.0, 23, [0, 1, *range(3, 24)]),
        ("2016-10-29T22:00", 1.0, 25, [0, 1, 2, 2, *range(3, 24)]),
        ("2016-05-31T22:00", 0.25, 5, [0, 0.25, 0.5, 0.75, 1.0]),
        ("2016-10-30T00:30", 0.5, 3, [2.5, 2.0, 2.5]),
    ],
)
def test_local_hours(start: str, step_h: float, n_steps: int, hours: list[float]) -> None:
    day = horizon(n_steps, start, step_h=step_h)
    assert_allclose(day.local_hour, hours)
    assert_array_equal(np.diff(day.ts_utc).astype(float), step_h * 3600)
    assert str(day.local[0].tz) == "Europe/Berlin"


def test_another_time_zone() -> None:
    assert horizon(2, "2016-06-01T04:00", timezone="America/New_York").local_hour[0] == 0.0


def test_energy_is_power_times_step() -> None:
    quarter = horizon(4, step_h=0.25)
    assert quarter.energy_kwh(8.0) == 2.0
    assert_allclose(quarter.power_kw(np.array([2.0])), 8.0)
    x = quarter.energy_kwh(Affine.of_columns(0, 4)).value(np.full(4, 8.0))
    assert_allclose(x, 2.0)


def test_the_bill_by_hand() -> None:
    """(2 · 0.30 − 0) · 0.5 = 0.30 €, (0 − 4 · 0.08) · 0.5 = −0.16 €."""
    half = horizon(2, step_h=0.5)
    assert_allclose(half.bill_eur(np.array([2.0, 0.0]), np.array([0.0, 4.0])), [0.30, -0.16])


def test_a_window_keeps_its_instants_and_prices() -> None:
    whole = horizon(24, import_eur_per_kwh=np.arange(24.0), step_h=0.25)
    part = whole.window(5, 9)
    assert_array_equal(part.ts_utc, whole.ts_utc[5:9])
    assert_array_equal(part.import_eur_per_kwh, [5, 6, 7, 8])
    assert part.step_h == 0.25
    for first, last in [(0, 25), (-1, 3), (4, 4), (5, 4)]:
        with pytest.raises(InvalidSpec, match="outside the 24 steps"):
            whole.window(first, last)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"step_h": 0.0}, r"step_h is 0.0, allowed is 0 < step_h <= 24"),
        ({"step_h": float("nan")}, "step_h is nan"),
        ({"step_h": -1.0}, r"step_h is -1.0"),
        ({"import_eur_per_kwh": [0.1, np.nan]}, r"import_eur_per_kwh\[1\] is nan"),
        ({"export_eur_per_kwh": [np.inf, 0.1]}, r"export_eur_per_kwh\[0\] is inf"),
        ({"import_eur_per_kwh": []}, "import_eur_per_kwh is empty"),
        ({"export_eur_per_kwh": [0.1] * 3}, "24 import prices but 3 export prices"),
        ({"timezone": "Mars/Olympus"}, "timezone is 'Mars/Olympus'"),
        ({"start_utc": np.datetime64("NaT", "s")}, "start_utc is NaT"),
    ],
)
def test_bad_horizons(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidSpec, match=message):
        horizon(**fields)


def test_prices_are_copied_and_read_only() -> None:
    given = np.full(3, 0.3)
    day = horizon(3, import_eur_per_kwh=given)
    given[0] = 9.0
    assert day.import_eur_per_kwh[0] == 0.3
    with pytest.raises(ValueError, match="read-only"):
        day.import_eur_per_kwh[0] = 1.0


def test_pickles() -> None:
    day = horizon(25, "2016-10-29T22:00")
    again = pickle.loads(pickle.dumps(day))
    assert_array_equal(again.local_hour, day.local_hour)
