from __future__ import annotations

import tomllib
from typing import Any

import pytest

from ems.errors import InvalidSpec
from ems.twin.catalogue import CATALOGUE_FILE, catalogue_of

CYCLE = {"total_kwh": 100, "cycle_kwh": 1.0, "profile": [1.0], "working": [], "free": []}


def tables(**of_building: Any) -> dict[str, Any]:
    """A catalogue of one home with a base load that names its hours."""
    base = {"type": "base", "total_kwh": 1000, "working": "day"}
    home = {"name": "home", "kind": "residential", "has_export_meter": False, "base": base}
    span = {"start_utc": "2016-01-01T00", "last_utc": "2016-01-31T23", "load_rule": "import"}
    shared = {"name": "base", "noise": 0.4, "day_noise": 0.2, "free": {"times": 0.5, "plus": 0.1}}
    return {
        "hours": {"day": [1.0] * 12 + [2.0] * 12},
        "types": {"base": shared},
        "buildings": [home | span | of_building],
    }


def test_a_device_takes_the_values_of_its_type_below_its_own() -> None:
    base = {"type": "base", "total_kwh": 9, "working": "day", "noise": 0.1}
    flat = {"name": "pump", "total_kwh": 5.5, "working": 0.7, "free": [0.2] * 24}
    (home,) = catalogue_of(tables(base=base, fixed=[flat]))
    assert (home.base.name, home.base.noise, home.base.day_noise) == ("base", 0.1, 0.2)
    assert home.base.working == (1.0,) * 12 + (2.0,) * 12
    assert home.base.free == (0.6,) * 12 + (1.1,) * 12
    assert (home.fixed[0].working, home.fixed[0].free) == ((0.7,) * 24, (0.2,) * 24)
    assert home.cycles == ()


@pytest.mark.parametrize(
    ("of_building", "message"),
    [
        ({"colour": "red"}, "home: unknown key 'colour', known are name, "),
        ({"base": {"type": "base", "total_kwh": 9}}, "base: working is missing; add it"),
        ({"base": {"type": "villa"}}, "catalogue: type 'villa' is unknown, known are base"),
        ({"base": {"type": "base", "working": "dya"}}, "hours 'dya' is unknown, known are day"),
        ({"base": {"name": "b", "total_kwh": 9, "working": [1.0], "free": 1}}, "b: working has 1 "),
        ({"base": 3}, "home: base = 3, expected FixedSpec"),
        ({"has_export_meter": 1}, "home: has_export_meter = 1, expected bool"),
        ({"surplus_heater_kw": "3.5"}, "home: surplus_heater_kw = '3.5', expected float"),
        ({"load_rule": "guess"}, "home: load_rule = 'guess', expected Literal"),
        ({"cycles": [CYCLE | {"name": "dryer", "working": [0.5]}]}, "dryer: working = 0.5, exp"),
        ({"cycles": [CYCLE | {"name": "dryer", "free": [{"share": 1}]}]}, "dryer, free: at_h is"),
    ],
)
def test_what_is_out_of_place_is_refused(of_building: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidSpec) as refused:
        catalogue_of(tables(**of_building))
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_every_name_of_the_catalogue_is_used() -> None:
    text = CATALOGUE_FILE.read_text(encoding="utf-8")
    written = tomllib.loads(text)
    assert not [name for name in written["types"] if f'type = "{name}"' not in text]
    assert not [name for name in written["hours"] if f'working = "{name}"' not in text]
