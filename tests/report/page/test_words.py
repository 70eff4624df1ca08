"""How amounts, counts and names are written."""

from __future__ import annotations

import doctest

import pytest

import ems.report.page.words
from ems.economics.settlement import Savings
from ems.report.page import words


def test_the_examples_hold() -> None:
    assert doctest.testmod(ems.report.page.words).failed == 0


@pytest.mark.parametrize(
    ("savings_eur", "savings_pct", "said"),
    [
        (3.871, 27.4, "3.87 (27 %)"),
        (-0.001, -0.2, "0.00 (0 %)"),
        (-3.8, -132.0, "−3.80 (−132 %)"),
        (0.5, None, "0.50"),
    ],
)
def test_a_saving_is_written_with_a_true_minus_and_no_negative_zero(
    savings_eur: float, savings_pct: float | None, said: str
) -> None:
    saving = Savings(savings_eur=savings_eur, stored_eur=0.0, savings_pct=savings_pct)
    assert words.saving(saving).replace("\u00a0", " ") == said


def test_what_is_not_defined_is_a_dash() -> None:
    assert words.saving(None) == "–"
    assert words.percent(None) == "–"


def test_one_is_not_plural() -> None:
    said = [words.counted(n, "day").replace("\u00a0", " ") for n in (0, 1, 2)]
    assert said == ["0 days", "1 day", "2 days"]


def test_units_stay_with_their_number() -> None:
    assert all(" " not in text for text in (words.ct(-1.0), words.kw(0.2), words.eur(3.0)))
