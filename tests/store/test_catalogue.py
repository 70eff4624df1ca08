from __future__ import annotations

import pytest

from ems.errors import DataError
from ems.site.place import KONSTANZ
from ems.store.catalogue import feed_of, kind_of, place_of, require_name, split_column, timezone_of


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
    assert place_of("DE_KN_public1") == KONSTANZ


def test_a_town_that_is_not_known() -> None:
    with pytest.raises(DataError, match=r"DE_KNX_public1: .* where 'DE_KNX' is .* give --place"):
        place_of("DE_KNX_public1")


@pytest.mark.parametrize("name", ["my_home", "DE_KN_residential1", "9", "_a", "a.b-c", "h" * 80])
def test_names_that_are_allowed(name: str) -> None:
    require_name("building", name)


@pytest.mark.parametrize(
    "name",
    ["", "../a", ".a", "-a", "a b", "a/b", "a\\b", "a\n", "Büro", "h" * 81, "all", "ALL", "a\0"],
)
def test_names_that_are_no_names_of_files(name: str) -> None:
    with pytest.raises(DataError, match=r"building .*: allowed are 1 to 80 of") as bad:
        require_name("building", name)
    assert "\n" not in str(bad.value)
    assert len(str(bad.value)) < 260


@pytest.mark.parametrize("name", ["pv", "pv_roof", "pv_facade"])
def test_every_pv_is_generation(name: str) -> None:
    assert feed_of(name).role == "pv"


def test_a_pvc_press_is_a_load() -> None:
    assert (feed_of("pvc_press").role, feed_of("pvc_press").category) == ("load", "fixed")
