from __future__ import annotations

import numpy as np
from small_store import building, household, sunshine

from ems.store.metering import with_metering


def test_pv_that_lowers_import_is_behind_the_import_meter() -> None:
    load, pv = household(60) + 8.0, sunshine(60)
    data = with_metering(building({"grid_import": load - pv, "pv": pv}))
    assert data.load_rule == "import+pv-export"
    assert all(feed.behind_import for feed in data.feeds)


def test_pv_that_import_does_not_see_has_its_own_meter() -> None:
    data = with_metering(building({"grid_import": household(60), "pv": sunshine(60)}))
    assert data.load_rule == "import"
    assert [feed.name for feed in data.feeds if not feed.behind_import] == ["pv"]


def test_a_metered_load_that_rests_in_the_sun_is_not_taken_for_own_use() -> None:
    pv = sunshine(60)
    lamps = (8.0 - pv) * household(60, seed=6)
    feeds = {"grid_import": household(60) + lamps, "pv": pv, "lamps": lamps}
    assert [f.name for f in with_metering(building(feeds)).feeds if not f.behind_import] == ["pv"]


def test_pv_beside_an_export_meter_is_behind_it() -> None:
    load, pv = household(60), sunshine(60)
    feeds = {"grid_import": load, "grid_export": 0 * pv, "pv": pv}
    assert with_metering(building(feeds)).load_rule == "import+pv-export"


def test_a_heat_pump_above_import_has_its_own_meter() -> None:
    feeds = {"grid_import": household(60), "heat_pump": 2.0 * household(60, seed=5)}
    data = with_metering(building(feeds))
    assert data.load_rule == "import+submetered"
    assert [feed.name for feed in data.feeds if not feed.behind_import] == ["heat_pump"]


def test_a_late_reading_now_and_then_proves_nothing() -> None:
    feeds = {"grid_import": household(60), "dishwasher": np.zeros(1440)}
    feeds["dishwasher"][::50] = 2.0
    assert with_metering(building(feeds)).load_rule == "import"


def test_sunny_and_stuck_steps_prove_nothing() -> None:
    load, pv = household(60) + 1.0, sunshine(60)
    feeds = {
        "grid_import": np.maximum(load - pv, 0.0),
        "grid_export": np.maximum(pv - load, 0.0),
        "pv": pv,
        "heat_pump": load * 0.9,
    }
    feeds["grid_import"][700:] = 0.0
    assert with_metering(building(feeds)).load_rule == "import+pv-export"


def test_without_an_import_meter_nothing_is_decided() -> None:
    data = building({"pv": sunshine(10)})
    assert with_metering(data) is data
