"""The page around a figure: texts of any length, the file, spans of days; colours and words."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from datetime import date, timedelta
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from report.figures.made import TWIN, clashes

from ems.agents.words import spoken
from ems.errors import DataError
from ems.pipelines.spec import MODES
from ems.report.figures.page import Origin, days_in_words, new_page, save, wrapped
from ems.report.figures.style import DEVICES, HATCHES, MODE_LINES, device_colours, euros

WORDS = st.text("abcdef-", min_size=1, max_size=12)
PARTS = st.lists(st.lists(WORDS, min_size=1, max_size=8).map(" ".join), min_size=1, max_size=6)


@pytest.mark.parametrize("n_words", [1, 90])
def test_long_texts_wrap_and_the_page_grows(n_words: int) -> None:
    text = "building " * n_words
    body = new_page(3.0, text, text, Origin(source=text, synthetic=True))
    body.subplots().set_ylabel("power [kW]")
    assert clashes(body.figure) == []
    one = new_page(3.0, "a", "a", TWIN).figure.get_figheight()
    assert (body.figure.get_figheight() > one) == (n_words > 1)


@settings(derandomize=True, max_examples=100, deadline=None)
@given(PARTS, st.integers(14, 80))
def test_wrapped_lines_fit_say_everything_and_keep_parts_whole(
    parts: list[str], letters: int
) -> None:
    text = " · ".join(parts)
    lines = wrapped(text, letters).split("\n")
    assert all(len(line) <= letters for line in lines)
    assert " ".join(lines).replace(" ·", "").split() == text.replace(" ·", "").split()
    for part in parts:
        fits = len(part) < letters - 1 and len(textwrap.wrap(part, letters)) == 1
        assert not fits or any(part in line for line in lines)


def test_a_place_that_cannot_be_written_is_told_and_nothing_is_left(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "taken.png").mkdir()
    for bad in ("file/figure.png", "taken.png", f"{'long' * 80}.png"):
        with pytest.raises(DataError, match="cannot be written"):
            save(Figure(), tmp_path / bad)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "taken.png"]


@pytest.mark.parametrize(
    ("first", "n", "left_out", "said"),
    [
        (date(2016, 6, 1), 1, (), "Wed 1 Jun 2016"),
        (date(2016, 6, 1), 7, (), "1–7 Jun 2016 (7 days)"),
        (date(2016, 6, 28), 5, (1,), "28 Jun – 2 Jul 2016 (4 of 5 days)"),
        (date(2016, 12, 31), 2, (), "31 Dec 2016 – 1 Jan 2017 (2 days)"),
        (date(2016, 6, 1), 366, (), "1 Jun 2016 – 1 Jun 2017 (366 days)"),
    ],
)
def test_days_in_words(first: date, n: int, left_out: tuple[int, ...], said: str) -> None:
    days = [first + timedelta(days=i) for i in range(n) if i not in left_out]
    assert days_in_words(days) == said


def test_modes_that_share_a_panel_can_be_told_apart_without_colour() -> None:
    def grey(colour: str) -> float:
        red, green, blue = to_rgb(colour)
        return 0.299 * red + 0.587 * green + 0.114 * blue

    assert len({MODE_LINES[mode].label for mode in MODES}) == len(MODES)
    assert len({MODE_LINES[mode].marker for mode in MODES}) == len(MODES)
    for one, other in combinations([MODE_LINES[mode] for mode in MODES], 2):
        differ = abs(grey(one.colour) - grey(other.colour)) > 0.12
        assert differ or one.dashes != other.dashes or one.width_pt != other.width_pt


@given(
    st.lists(st.text("abcdefgh_", min_size=1), max_size=len(DEVICES) * len(HATCHES), unique=True)
)
def test_devices_look_different_while_looks_last(names: list[str]) -> None:
    looks = device_colours(names)
    assert len(set(looks.values())) == len(names)
    assert looks == device_colours(names[::-1])


def test_names_and_amounts_as_people_read_them() -> None:
    assert [spoken(n) for n in ("pv_roof", "ev", "heat_pump")] == ["PV roof", "car", "heat pump"]
    assert (euros(-1234.5), euros(-0.001)) == ("−1,234.50 €", "0.00 €")
    usual = ("dishwasher", "heat_pump", "washing_machine")
    assert all(device_colours([n])[n] == device_colours(usual)[n] for n in usual)


def test_figures_need_neither_pyplot_nor_seaborn() -> None:
    modules = "buildings day days forecasts frontier habits learning modes windows".split()  # noqa: SIM905
    code = "".join(f"import ems.report.figures.{module}\n" for module in modules)
    code += "import sys; print(*{'seaborn', 'matplotlib.pyplot'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split() == []
