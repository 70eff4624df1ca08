"""The page: titles of any length, the file, spans of days in words."""

from __future__ import annotations

import textwrap
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure
from report.figures.made import TWIN, clashes

from ems.errors import DataError
from ems.report.figures.page import Origin, days_in_words, new_page, save, wrapped
from ems.report.figures.paper import SCREEN


@pytest.mark.parametrize("n_words", [1, 30, 90])
def test_long_texts_wrap_and_the_body_keeps_its_height(n_words: int) -> None:
    text = "building " * n_words
    figure = new_page(3.0, text, text, Origin(source=text, synthetic=True))
    figure.subplots().set_ylabel("power [kW]")
    assert clashes(figure) == []
    one = new_page(3.0, "a", "a", TWIN).get_figheight()
    assert (figure.get_figheight() > one) == (n_words > 1)


@pytest.mark.parametrize(
    ("first", "n", "left_out", "words"),
    [
        (date(2016, 6, 1), 1, (), "Wed 1 Jun 2016"),
        (date(2016, 6, 1), 7, (), "1–7 Jun 2016 (7 days)"),
        (date(2016, 6, 28), 5, (1,), "28 Jun – 2 Jul 2016 (4 of 5 days)"),
        (date(2016, 12, 31), 2, (), "31 Dec 2016 – 1 Jan 2017 (2 days)"),
        (date(2016, 6, 1), 366, (), "1 Jun 2016 – 1 Jun 2017 (366 days)"),
    ],
)
def test_days_in_words(first: date, n: int, left_out: tuple[int, ...], words: str) -> None:
    days = [first + timedelta(days=i) for i in range(n) if i not in left_out]
    assert days_in_words(days) == words


def test_a_place_that_cannot_be_written_is_told_and_nothing_is_left(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataError, match="cannot be written"):
        save(Figure(), tmp_path / "file" / "figure.png")
    (tmp_path / "taken.png").mkdir()
    with pytest.raises(DataError, match="cannot be written"):
        save(Figure(), tmp_path / "taken.png")
    with pytest.raises(DataError, match="cannot be written"):
        save(Figure(), tmp_path / f"{'long' * 80}.png")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "taken.png"]


def test_the_same_figure_is_the_same_file_to_the_bit(tmp_path: Path) -> None:
    one, other = (new_page(1.0, "title", "note", TWIN) for _ in range(2))
    assert (
        save(one, tmp_path / "a.png").read_bytes() == save(other, tmp_path / "b.png").read_bytes()
    )
    assert one.dpi == SCREEN.dpi


WORDS = st.text("abcdef-", min_size=1, max_size=12)
PARTS = st.lists(st.lists(WORDS, min_size=1, max_size=8).map(" ".join), min_size=1, max_size=6)


@settings(derandomize=True, max_examples=200, deadline=None)
@given(PARTS, st.integers(14, 80))
def test_wrapped_lines_fit_say_everything_and_are_as_few_as_can_be(
    parts: list[str], letters: int
) -> None:
    text = " · ".join(parts)
    lines = wrapped(text, letters)
    assert all(len(line) <= letters for line in lines)
    assert " ".join(lines).replace(" ·", "").split() == text.replace(" ·", "").split()
    assert len(lines) <= len(textwrap.wrap(text, letters, break_on_hyphens=False))


def test_no_lonely_word_is_left_below_a_long_note() -> None:
    note = (
        "10 Oct 2015 – 4 Feb 2018 (848 days) · prior uniform · best of 20 cells by log loss: "
        "lr_tau 10 days, lr_max 0.05 · 170 updates, 820 scored days"
    )
    lines = wrapped(note, 103)
    assert min(map(len, lines)) > 40
    assert all(line in note for line in lines)
