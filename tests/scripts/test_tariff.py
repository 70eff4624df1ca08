"""``scripts/tariff.py``: the file, what it shows, and what it refuses."""

from __future__ import annotations

from contextlib import chdir
from pathlib import Path

import pytest
from called_script import A, call, one_line
from pipeline_run import Place
from terminal import at_terminal

NAME = "tariff.py"
REST = ("--vat", "included", "--feed_in_ct_per_kwh", "8,1", "--base_fee_eur_per_year", "144")
FLAT = ("--price", "flat", "--import_ct_per_kwh", "30", *REST, "--demand_charge_eur_per_kw", "0")


def test_every_pipeline_takes_the_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    done = call(NAME, *FLAT, "--out", file)
    assert done.code == 0, done.err
    assert "30.00" in done.out
    assert "about 1,194 € for a home that buys 3,500 kWh" in done.words
    place = Place(tmp_path)
    planned = place.call(A, "--tariff", file, "--n_days", "1", "--mode", "centralized")
    assert planned.code == 0, planned.err
    assert "import 30 ct/kWh (your answer)" in planned.words
    assert "base_fee 144 €/year (your answer; in no cost, since no plan changes it)" in (
        planned.words
    )


def test_a_demand_charge_of_the_file_is_planned_and_given_once(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    charged = (*FLAT[:-1], "3", "--demand_period", "month")
    assert call(NAME, *charged, "--out", file).code == 0
    place = Place(tmp_path)
    days = ("--n_days", "1", "--mode", "centralized", "--building", "residential1")
    planned = place.call(A, "--tariff", file, *days)
    assert planned.code == 0, planned.err
    asked = place.call(A, "--tariff", "flat", *days, "--demand_charge_eur_per_kw", "3")
    assert asked.code == 0, asked.err
    charges = place.found(
        "SELECT value FROM day_result WHERE mode = 'as_metered' AND kpi = 'demand_charge_eur'"
    )
    assert len(charges) == 2
    assert charges[0] == charges[1] > (0.0,)
    other = place.call(A, "--tariff", file, *days, "--demand_charge_eur_per_kw", "4")
    one_line(other, "demand_charge_eur_per_kw is 4 a month, but the tariff mine has 3 a month")


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ((), "--price is missing: how is a kWh priced"),
        (("--price", "flat"), "--import_ct_per_kwh is missing"),
        (("--price", "cheap"), '"cheap" for --price. Choose from'),
        (FLAT[:-2], "--demand_charge_eur_per_kw is missing"),
        ((*FLAT[:-1], "3"), "--demand_period is missing: of each month or year"),
        ((*FLAT, "--import_ct_per_kwh", "0.3"), "'0.3' is out of range.*30 cents are 30, not 0.30"),
        ((*FLAT, "--import_ct_per_kwh", "nan"), "'nan' is out of range"),
        ((*FLAT, "--vat", "excluded", "--vat_pct", "0.19"), "19 % are 19, not 0.19"),
        ((*FLAT, "--base_fee_eur_per_year", "-5"), "'-5' is out of range"),
        ((*FLAT, "--night_ct_per_kwh", "20"), "it belongs to price day_night"),
        ((*FLAT, "--feed_in_ct_per_kwh", "market"), "only a dynamic price knows"),
        ((*FLAT, "--out", "gone/x.toml"), "there is no folder gone; make it first"),
        ((*FLAT, "--out", "."), "is a folder; name a file in it"),
        ((*FLAT, "--out", "there.toml"), "there.toml is there; give another name, or --overwrite"),
    ],
)
def test_what_is_refused_writes_nothing(tmp_path: Path, args: tuple[str, ...], says: str) -> None:
    (tmp_path / "there.toml").write_text("mine")
    with chdir(tmp_path):
        one_line(call(NAME, *args), says)
    assert [file.name for file in tmp_path.iterdir()] == ["there.toml"]
    assert (tmp_path / "there.toml").read_text() == "mine"


def test_a_file_is_replaced_where_that_is_said(tmp_path: Path) -> None:
    file = tmp_path / "there.toml"
    file.write_text("mine")
    assert call(NAME, *FLAT, "--out", file, "--overwrite").code == 0
    assert "import_ct_per_kwh" in file.read_text()


def test_a_terminal_is_asked_again_after_what_cannot_be(tmp_path: Path) -> None:
    lines = ["day_night", "0.34", "34", "22", "22", "6", "included", "8", "100", "0"]
    done = at_terminal(NAME, lines=lines, cwd=tmp_path)
    assert done.code == 0, done.err
    assert "30 cents are 30, not 0.30" in done.words
    assert "what does a kWh cost at night" in done.words
    assert "VAT [%]" not in done.words
    assert "22.00" in done.out
    assert "34.00" in done.out
    assert "from_hour = 22" in (tmp_path / "my_tariff.toml").read_text()


def test_who_stops_answering_gets_one_line(tmp_path: Path) -> None:
    done = at_terminal(NAME, "--price", "flat", lines=["30"], cwd=tmp_path)
    assert done.code == 2
    assert done.err == (
        "error: no answer to: do the prices and fees you name include VAT: included or excluded?\n"
    )
    assert list(tmp_path.iterdir()) == []
