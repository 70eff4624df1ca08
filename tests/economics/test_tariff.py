"""Prices by hand, and every way in which a tariff file can be wrong."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pytest
from small_building import local_index, made

from ems.economics.tariff import Tariff, built_in_tariffs
from ems.economics.tariff_file import load_tariff
from ems.errors import InvalidSpec
from ems.site.assets import Assets
from ems.site.building import Building

FEES_CT = 6.71 + 6.354 + 0.445 + 0.378 + 0.040 + 1.66 + 2.05 + 1.50
NOON = np.array([12.0])


def price(tariff: Tariff, spot_eur_per_mwh: float, hour: float = 12.0) -> float:
    return float(tariff.import_eur_per_kwh(np.array([spot_eur_per_mwh]), np.array([hour]))[0])


@pytest.mark.smoke
@pytest.mark.parametrize(
    ("spot", "expected"),
    [(30.0, 0.2634303), (0.0, 0.2277303), (-100.0, 0.1087303), (-250.0, -0.0697697)],
)
def test_dynamic_is_spot_with_fees_and_vat_also_below_zero(spot: float, expected: float) -> None:
    tariff = load_tariff("dynamic")
    assert price(tariff, spot) == pytest.approx((spot / 1000 + FEES_CT / 100) * 1.19)
    assert price(tariff, spot) == pytest.approx(expected)
    assert tariff.export_eur_per_kwh(np.array([spot])).tolist() == [0.1231]


def test_spot_is_the_same_both_ways() -> None:
    tariff, spot = load_tariff("spot"), np.array([50.0, 0.0, -130.09])
    assert tariff.import_eur_per_kwh(spot, np.zeros(3)).tolist() == [0.05, 0.0, -0.13009]
    assert tariff.export_eur_per_kwh(spot).tolist() == [0.05, 0.0, -0.13009]


def test_flat_needs_no_spot_price() -> None:
    tariff, unknown = load_tariff("flat"), np.array([np.nan])
    assert not tariff.uses_spot
    assert tariff.import_eur_per_kwh(unknown, NOON)[0] == pytest.approx(0.288)
    assert tariff.export_eur_per_kwh(unknown).tolist() == [0.1231]


@pytest.mark.parametrize(
    ("hour", "expected"),
    [(0.0, 0.228), (5.75, 0.228), (6.0, 0.298), (21.75, 0.298), (22.0, 0.228), (23.75, 0.228)],
)
def test_night_passes_midnight(hour: float, expected: float) -> None:
    assert price(load_tariff("tou"), 30.0, hour) == expected


@pytest.mark.parametrize(
    ("day", "night_h"),
    [(date(2016, 6, 1), 8), (date(2016, 3, 27), 7), (date(2016, 10, 30), 9)],
)
@pytest.mark.parametrize("step_h", [1.0, 0.25])
def test_the_night_is_counted_on_the_wall_clock(day: date, night_h: int, step_h: float) -> None:
    """22 to 6 holds 8 hours, 7 when the clock jumps from 2 to 3, 9 when it falls back."""
    building = Building(
        made(local_index(day, 1, step_h)), load_tariff("tou"), Assets(battery=None, ev=None)
    )
    prices = building.problem([day]).horizon.import_eur_per_kwh
    assert np.sum(prices == 0.228) * step_h == night_h
    assert np.sum(prices == 0.298) * step_h == 16


def test_every_built_in_figure_names_its_source() -> None:
    assert built_in_tariffs() == ("dynamic", "flat", "spot", "tou")
    for name in built_in_tariffs():
        tariff = load_tariff(name)
        assert tariff.name == name
        assert tariff.description
        assert all(len(figure.source) > 6 for figure in tariff.figures)
    sum_ct = sum(f.value for f in load_tariff("dynamic").figures if f.name.startswith("fees."))
    assert sum_ct == pytest.approx(FEES_CT)


VALUE = '{ value = 30, source = "assumed" }'
FEED_IN = f"feed_in_ct_per_kwh = {VALUE}\n"
FLAT = f'kind = "flat"\nimport_ct_per_kwh = {VALUE}\n{FEED_IN}'
LOW = f"[low]\nfrom_hour = 1\nto_hour = 5\nimport_ct_per_kwh = {VALUE}\n"
TOU = FLAT.replace("flat", "tou")
DYNAMIC = 'kind = "dynamic"\nvat = { value = 0.2, source = "assumed" }\n'


def written(folder: Path, text: str | bytes) -> str:
    file = folder / "mine.toml"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return str(file)


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    tariff = load_tariff(written(tmp_path, TOU + LOW.replace("30", "10")))
    assert tariff.name == "mine"
    assert [price(tariff, 0.0, hour) for hour in (0.5, 1.0, 4.75, 5.0)] == [0.3, 0.1, 0.1, 0.3]


def test_a_file_of_an_editor_that_marks_utf_8(tmp_path: Path) -> None:
    assert price(load_tariff(written(tmp_path, FLAT.encode("utf-8-sig"))), 0.0) == 0.3


def test_dynamic_without_feed_in_sells_at_spot(tmp_path: Path) -> None:
    text = DYNAMIC + f"[fees_ct_per_kwh]\ngrid = {VALUE}\n"
    tariff = load_tariff(written(tmp_path, text))
    assert price(tariff, 100.0) == pytest.approx((0.10 + 0.30) * 1.2)
    assert tariff.export_eur_per_kwh(np.array([100.0])).tolist() == [0.1]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("kind = ", "is not valid TOML"),
        (FLAT.replace("assumed", "Zähler").encode("latin-1"), "save it in that encoding"),
        ("", r"mine.toml: kind is missing, expected dynamic, flat, tou or spot"),
        ('kind = ["flat"]', r"kind = \['flat'\], expected dynamic, flat, tou or spot"),
        (FLAT.replace(FEED_IN, ""), r"\(flat\): feed_in_ct_per_kwh is missing, expected \{ value"),
        (FLAT + f"vat = {VALUE}", r"\(flat\): unknown key 'vat', known are kind, name, desc"),
        (FLAT.replace(VALUE, "30"), r"import_ct_per_kwh = 30, expected \{ value = …, source"),
        (FLAT.replace(', source = "assumed"', "", 1), "import_ct_per_kwh: source is missing, exp"),
        (
            FLAT.replace("assumed", " ", 1),
            r"source = ' ', expected the source of the figure or \"a",
        ),
        (FLAT.replace("30", "nan", 1), "import_ct_per_kwh: value = nan, expected a finite number"),
        (FLAT.replace("30", "true", 1), "value = True, expected a finite number"),
        (FLAT.replace("30", '"30"', 1), "value = '30', expected a finite number"),
        (DYNAMIC, "fees_ct_per_kwh is missing, expected a table of fees"),
        (DYNAMIC + "fees_ct_per_kwh = 3", "fees_ct_per_kwh = 3, expected a table of fees"),
        (DYNAMIC + "fees_ct_per_kwh.grid = 3", r"fees_ct_per_kwh: grid = 3, expected \{ value"),
        (DYNAMIC.replace("0.2", "19"), "vat: value = 19, expected a share from 0 to 1"),
        (TOU, "low is missing, expected a table"),
        (TOU + LOW.replace("1", "25"), "low: from_hour = 25, expected an hour from 0 to 24"),
        (TOU + LOW.replace("5", "true"), "low: to_hour = True, expected an hour"),
        (TOU + LOW.replace("1", "24").replace("5", "0"), "low: from_hour 24 and to_hour 0 are the"),
        (TOU + LOW + "hours = 3", "low: unknown key 'hours', known are from_hour"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path: Path, text: str | bytes, says: str) -> None:
    with pytest.raises(InvalidSpec, match=says) as error:
        load_tariff(written(tmp_path, text))
    assert "\n" not in str(error.value)
    assert "mine.toml" in str(error.value)


@pytest.mark.parametrize("name", ["cheap", "no/such.toml", "."])
def test_an_unknown_name_lists_the_built_in(name: str) -> None:
    with pytest.raises(InvalidSpec, match=r"not built in \(dynamic, flat, spot, tou\)"):
        load_tariff(name)
