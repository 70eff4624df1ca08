"""The laws that are built in, the fee that follows, and laws that cannot be read or do not hold."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from ems.community.law import Law, built_in_laws, read_law
from ems.economics.tariff_file import load_tariff
from ems.errors import InvalidSpec

SUMMER = date(2016, 6, 1), date(2016, 6, 7)


def test_six_laws_are_built_in_and_every_figure_has_a_source() -> None:
    assert built_in_laws() == ("at_local", "at_regional", "de_42b", "de_42c", "fr_acc", "it_cer")
    for name in built_in_laws():
        law = read_law(name)
        assert law.name == name
        for figure in law.figures:
            assert figure.source.startswith(("EnWG", "SNE-V", "DM "))
            assert figure.source.endswith("(reference from memory, not checked against the text)")
        said = (law.grid_fee_share, law.settlement_min)
        assert [figure.value for figure in law.figures] == [x for x in said if x is not None]


@pytest.mark.parametrize(
    ("name", "part"), [("de_42b", 0.0), ("de_42c", 1.0), ("at_local", 0.43), ("at_regional", 0.72)]
)
def test_the_fee_is_the_part_of_the_grid_fee_with_vat(name: str, part: float) -> None:
    """6.71 ct/kWh and 19 %."""
    fee = read_law(name).fee_eur_per_kwh(load_tariff("dynamic"))
    assert fee == pytest.approx(part * 0.0671 * 1.19)


def test_without_a_grid_fee_there_is_no_fee_to_take_a_part_of() -> None:
    assert read_law("de_42b").fee_eur_per_kwh(load_tariff("flat")) == 0.0
    with pytest.raises(InvalidSpec, match=r"law at_local: takes .* tariff flat names no grid_fee"):
        read_law("at_local").fee_eur_per_kwh(load_tariff("flat"))
    for name in ("it_cer", "fr_acc"):
        with pytest.raises(InvalidSpec, match=f"law {name}: says no share of the grid fee"):
            read_law(name).fee_eur_per_kwh(load_tariff("dynamic"))


def test_steps_of_the_settlement() -> None:
    assert (read_law("de_42b").settlement_min, read_law("it_cer").settlement_min) == (15, 60)


def test_a_law_holds_from_its_day_on() -> None:
    law = read_law("de_42c")
    law.require_in_force(date(2026, 6, 1), date(2026, 6, 7))
    with pytest.raises(InvalidSpec, match=r"law de_42c: holds from 2026-06-01, .* on 2016-06-01"):
        law.require_in_force(*SUMMER)
    with pytest.raises(InvalidSpec, match="begins on 2026-05-31"):
        law.require_in_force(date(2026, 5, 31), date(2026, 6, 7))
    read_law("at_local").require_in_force(*SUMMER)


GOOD = """name = "mine"
description = "a law of our own"
until_day = { value = 2016-06-06, source = "assumed" }
"""


def own(folder: Path, text: str) -> Law:
    file = folder / "mine.toml"
    file.write_text(text, encoding="utf-8")
    return read_law(str(file))


def test_a_law_of_ones_own(tmp_path: Path) -> None:
    law = own(tmp_path, GOOD)
    law.require_in_force(date(2016, 6, 1), date(2016, 6, 6))
    with pytest.raises(InvalidSpec, match=r"law mine: holds until 2016-06-06, .* on 2016-06-07"):
        law.require_in_force(*SUMMER)


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ("grid_fee_share = { value = 0.5 }", "source is missing"),
        ('grid_fee_share = { value = 57, source = "x" }', "value = 57, expected "),
        ('settlement_min = { value = 0, source = "x" }', "value = 0, expected whole minutes"),
        ('from_day = { value = "2016", source = "x" }', "value = '2016', expected a day such as"),
        ("premium = 3", "unknown key 'premium', known are name, description, from_day"),
        ("name", "is not valid TOML"),
    ],
)
def test_a_law_that_is_not_right_is_refused_in_one_line(
    tmp_path: Path, more: str, says: str
) -> None:
    with pytest.raises(InvalidSpec, match=says) as caught:
        own(tmp_path, GOOD + more)
    assert len(str(caught.value).splitlines()) == 1


def test_an_unknown_law_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(InvalidSpec, match=r"law 'de_42': not known \(at_local, at_regional, de_4"):
        read_law("de_42")
    with pytest.raises(InvalidSpec, match=r"law none\.toml: cannot read none\.toml"):
        read_law("none.toml")
