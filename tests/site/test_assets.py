from __future__ import annotations

import pytest

from ems.agents import HeatSpec
from ems.errors import InvalidSpec
from ems.site.assets import Assets, EVSpec

NAN = float("nan")


@pytest.mark.parametrize(
    ("field", "value", "allowed"),
    [
        ("must_be_full_by_hour", 24, "0 to 23"),
        ("arrival_hour", -1, "0 to 23"),
        ("efficiency", 0.0, "0 < x <= 1"),
        ("efficiency", 1.01, "0 < x <= 1"),
        ("efficiency", NAN, "0 < x <= 1"),
        ("capacity_kwh", 0.0, "> 0"),
        ("capacity_kwh", float("inf"), "> 0"),
        ("trip_kwh", -1.0, "0 to the capacity 60"),
        ("trip_kwh", 61.0, "0 to the capacity 60"),
        ("max_charge_kw", -1.0, ">= 0"),
        ("max_discharge_kw", NAN, ">= 0"),
        ("wear_eur_per_kwh", -0.1, ">= 0"),
    ],
)
def test_a_car_outside_what_is_allowed(field: str, value: float, allowed: str) -> None:
    with pytest.raises(InvalidSpec, match=f"ev: {field} is {value}, allowed is {allowed}"):
        EVSpec(**{field: value})  # type: ignore[arg-type]


def test_a_car_must_be_away_for_a_while() -> None:
    with pytest.raises(InvalidSpec, match="both 7, they must differ"):
        EVSpec(arrival_hour=7, must_be_full_by_hour=7)


@pytest.mark.parametrize("value", [-0.1, NAN, float("inf")])
def test_discomfort_is_not_negative(value: float) -> None:
    with pytest.raises(InvalidSpec, match=f"shift_discomfort_eur_per_h is {value}, allowed is "):
        Assets(shift_discomfort_eur_per_h=value)


@pytest.mark.parametrize("field", ["time_constant_h", "warmer_k", "start_eur", "mass_share"])
@pytest.mark.parametrize("value", [-0.1, NAN, float("inf")])
def test_a_house_outside_what_is_allowed(field: str, value: float) -> None:
    with pytest.raises(InvalidSpec, match=f"heat pump: {field} is {value}, allowed is "):
        HeatSpec(**{field: value})
