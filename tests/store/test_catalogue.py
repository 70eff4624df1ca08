from __future__ import annotations

import pytest

from ems.errors import DataError
from ems.store.catalogue import feed_of, kind_of, split_column, timezone_of


def test_columns_split_after_the_number_of_the_building() -> None:
    assert split_column("DE_KN_industrial3_area_room_1") == ("DE_KN_industrial3", "area_room_1")
    assert split_column("DE_KN_public12_grid_import") == ("DE_KN_public12", "grid_import")


@pytest.mark.parametrize("column", ["temperature", "DE_KN_residential_pv", "DE_KN_residential1"])
def test_other_columns_are_refused(column: str) -> None:
    with pytest.raises(DataError, match="names no building and feed"):
        split_column(column)


def test_kind_and_zone_follow_from_the_name() -> None:
    assert kind_of("DE_KN_industrial2") == "industrial"
    assert kind_of("home") == "unknown"
    assert timezone_of("DE_KN_public1") == "Europe/Berlin"


@pytest.mark.parametrize("name", ["pv", "pv_roof", "pv_facade"])
def test_every_pv_is_generation(name: str) -> None:
    assert feed_of(name).role == "pv"


def test_a_pvc_press_is_a_load() -> None:
    assert (feed_of("pvc_press").role, feed_of("pvc_press").category) == ("load", "fixed")
