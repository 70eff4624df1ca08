"""The tariff that follows from answers, by hand, and answers that do not fit together."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_building import local_index, made

from ems.economics.tariff import Tariff
from ems.economics.tariff_answers import TariffAnswers, arising
from ems.economics.tariff_file import load_tariff
from ems.errors import InvalidSpec
from ems.site.assets import Assets
from ems.site.building import Building

FLAT = TariffAnswers(
    price="flat",
    import_ct_per_kwh=30.0,
    vat="included",
    feed_in_ct_per_kwh=8.1,
    base_fee_eur_per_year=144.0,
    demand_charge_eur_per_kw=0.0,
)
NIGHT = replace(
    FLAT, price="day_night", night_ct_per_kwh=20.0, night_from_hour=22.0, night_to_hour=6.0
)
DYNAMIC = replace(
    FLAT, price="dynamic", import_ct_per_kwh=None, surcharge_ct_per_kwh=17.85, vat_pct=19.0
)
HOURS = np.array([3.0, 12.0, 22.0])
SPOT = np.array([100.0, 0.0, -50.0])


def tariff(answers: TariffAnswers, folder: Path) -> Tariff:
    file = folder / "mine.toml"
    file.write_text(answers.toml(), encoding="utf-8")
    return load_tariff(str(file))


def prices_ct(answers: TariffAnswers, folder: Path) -> list[float]:
    return (100.0 * tariff(answers, folder).import_eur_per_kwh(SPOT, HOURS)).tolist()


def test_a_flat_price_is_as_answered(tmp_path: Path) -> None:
    assert prices_ct(FLAT, tmp_path) == pytest.approx([30.0, 30.0, 30.0])
    found = tariff(FLAT, tmp_path)
    assert found.name == "mine"
    assert not found.uses_spot
    assert found.export_eur_per_kwh(SPOT).tolist() == [0.081, 0.081, 0.081]
    assert found.demand_charge_eur_per_kw == 0.0
    assert [(f.name, f.value, f.unit) for f in found.figures][-1] == ("base_fee", 144.0, "€/year")


def test_vat_is_added_where_the_answer_has_none(tmp_path: Path) -> None:
    """30 · 1.19, 20 · 1.19, and 100 € · 1.19; what is fed in is paid as answered."""
    net = replace(NIGHT, vat="excluded", vat_pct=19.0, base_fee_eur_per_year=100.0)
    assert prices_ct(net, tmp_path) == pytest.approx([23.8, 35.7, 23.8])
    found = tariff(net, tmp_path)
    assert found.low_hours == (22.0, 6.0)
    assert {f.name: f.value for f in found.figures} == {
        "import": 35.7,
        "feed_in": 8.1,
        "low.import": 23.8,
        "base_fee": 119.0,
    }
    assert found.figures[0].source == "your answer 30 ct/kWh, 19 % VAT added"


def test_a_surcharge_with_vat_is_not_taxed_twice(tmp_path: Path) -> None:
    """Market 10 ct: (10 + 17.85 / 1.19) · 1.19 = 11.9 + 17.85."""
    assert prices_ct(DYNAMIC, tmp_path) == pytest.approx([29.75, 17.85, 17.85 - 5.95])
    net = replace(DYNAMIC, vat="excluded", surcharge_ct_per_kwh=15.0)
    assert prices_ct(net, tmp_path) == pytest.approx([29.75, 17.85, 11.9])


def test_the_market_pays_for_what_is_fed_in(tmp_path: Path) -> None:
    found = tariff(replace(DYNAMIC, feed_in_ct_per_kwh="market"), tmp_path)
    assert found.export_eur_per_kwh(SPOT).tolist() == [0.1, 0.0, -0.05]


@pytest.mark.parametrize("period", ["month", "year"])
def test_a_demand_charge_of_the_tariff_is_that_of_the_house(tmp_path: Path, period: str) -> None:
    asked = replace(
        FLAT,
        demand_charge_eur_per_kw=3.0,
        demand_period=period,  # type: ignore[arg-type]
        vat="excluded",
        vat_pct=20.0,
    )
    found = tariff(asked, tmp_path)
    figure = found.figures[-1]
    assert (figure.name, figure.value, figure.unit) == (
        "demand_charge",
        3.6,
        f"€/kW and {period}",
    )
    index = local_index(np.datetime64("2016-06-01").astype(object), 1)
    building = Building(made(index), found, Assets(battery=None, ev=None))
    assert building.problem(building.days).grid.demand_charge_eur_per_kw == 3.6
    assert building.assets.demand_period == period
    # Twice the same is once; another one is a mistake.
    assert building.assets.under(found) == building.assets
    other = replace(building.assets.grid, demand_charge_eur_per_kw=5.0)
    with pytest.raises(InvalidSpec, match=f"is 5 a {period}, but the tariff mine has 3.6 a"):
        Building(made(index), found, replace(building.assets, grid=other))


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"night_ct_per_kwh": 3.0}, "night_ct_per_kwh is 3.0, but it belongs to price day_night"),
        ({"surcharge_ct_per_kwh": 3.0}, "surcharge_ct_per_kwh is 3.0, but it belongs to price dyn"),
        ({"vat_pct": 19.0}, "vat_pct is 19.0, but prices that include VAT need none"),
        ({"demand_period": "month"}, "demand_period is month, but there is no demand charge"),
        ({"import_ct_per_kwh": None}, "import_ct_per_kwh is missing: what does a kWh cost"),
        ({"vat": "excluded"}, "vat_pct is missing: how much is VAT"),
        ({"demand_charge_eur_per_kw": 1.0}, "demand_period is missing: of each month or year"),
        ({"feed_in_ct_per_kwh": "market"}, "market, which only a dynamic price knows"),
    ],
)
def test_answers_that_do_not_fit_together(wrong: dict[str, object], says: str) -> None:
    with pytest.raises(InvalidSpec, match=says):
        replace(FLAT, **wrong)  # type: ignore[arg-type]


def test_a_night_has_hours() -> None:
    with pytest.raises(InvalidSpec, match="night_from_hour is 0 and night_to_hour 24, the same"):
        replace(NIGHT, night_from_hour=0.0, night_to_hour=24.0)


def test_only_the_questions_that_arise_are_asked() -> None:
    assert len(arising(vars(FLAT))) == 6
    assert set(arising(vars(DYNAMIC))) - set(arising(vars(FLAT))) == {
        "surcharge_ct_per_kwh",
        "vat_pct",
    }
    assert len(arising(dict.fromkeys(vars(FLAT)))) == 5
