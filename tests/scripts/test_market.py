"""``scripts/05_market.py``: what it shows and keeps, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from called_script import call, one_line
from pipeline_run import Place

NAME = "05_market.py"


def test_an_hour_is_shown_stored_and_tracked(tmp_path: Path) -> None:
    place = Place(tmp_path)
    trip = ("--emergency", "coal_plant_1@0.5", "--loss", "0.05")
    done = call(NAME, "run", *place.args("--hours", "1", *trip))
    assert done.code == 0, done.err
    for told in (
        "SYNTHETIC DATA",
        "12 of 5 minutes",
        "400 homes like it bid as street",
        "coal_plant_1 stops at hour 0.5",
        "of possible",
        "the market was suspended in",
    ):
        assert told in done.words
    paid = place.found("SELECT value FROM market_bidder WHERE kpi = 'paid_eur'")
    assert len(paid) == 12
    assert sum(value for (value,) in paid) == pytest.approx(0.0, abs=1e-6)
    price = place.found("SELECT value FROM market_auction WHERE quantity = 'price_eur_per_mwh'")
    assert len(price) == 12
    assert max(value for (value,) in price) == 4000.0
    lost = place.found("SELECT count(*) FROM market_message WHERE came_s IS NULL")
    sent = place.found("SELECT count(*) FROM market_message")
    assert 0 < lost[0][0] < 0.2 * sent[0][0]
    (said,) = place.found(
        "SELECT said FROM market_message WHERE kind = 'GENERATION_BID' "
        "AND sender = 'coal_plant_1' LIMIT 1"
    )[0]
    assert json.loads(said) == {"quantity_kw": 50_000.0, "price_eur_per_mwh": 45.0}
    runs = {name for (name,) in place.tracked("SELECT name FROM runs")}
    assert {"market all", "market coal_plant_1", "market street"} <= runs


def test_the_worked_example_needs_no_measurements(tmp_path: Path) -> None:
    done = Place(tmp_path).call(
        NAME, "--scenario", "worked_example", "--db", tmp_path / "none.duckdb", "--k", "0.5"
    )
    assert done.code == 0, done.err
    assert "120.0 MWh at 60.00 €/MWh" in done.words


def test_figures_and_page(tmp_path: Path) -> None:
    place = Place(tmp_path)
    more = ("--figures", "on", "--report", "on")
    done = place.call(NAME, "--scenario", "worked_example", *more)
    assert done.code == 0, done.err
    (page,) = place.results.glob("reports/market_*.html")
    text = page.read_text(encoding="utf-8")
    for told in ("What it came to", "6,600", "coal_plant_1", "What this does not say"):
        assert told in text
    assert len(list(place.results.glob("visualizations/*/*.png"))) == 4


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--emergency", "coal_plant_1"), "must be a plant and an hour such as coal_plant_1@12"),
        (("--emergency", "city@1"), "no plant is called city, known are solar_farm_1"),
        (("--k", "1.5"), r"k is 1.5, must lie in \[0, 1\]"),
        (("--cap", "20"), "must lie within floor and cap, -500 to 20"),
        (("--hours", "25"), "300 auctions, it has 1 to 288"),
        (("--loss", "2"), r"loss = 2, must lie in \[0, 1\]"),
        (("--scenario", "gone.toml"), "cannot read gone.toml"),
    ],
)
def test_what_cannot_be_is_one_line(given: tuple[str, ...], said: str, tmp_path: Path) -> None:
    one_line(Place(tmp_path).call(NAME, *given), said)
