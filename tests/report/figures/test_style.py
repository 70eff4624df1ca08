"""Colours that stay with what they mean and can be told apart."""

from __future__ import annotations

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st
from matplotlib.colors import to_rgb

from ems.pipelines.comparison import MODES
from ems.report.figures.style import DEVICES, HATCHES, MODE_LINES, device_colours, euros, words

names = st.text("abcdefgh_", min_size=1, max_size=12)


def test_every_mode_has_a_look_of_its_own() -> None:
    assert set(MODE_LINES) == set(MODES)
    assert len({line.colour for line in MODE_LINES.values()}) == len(MODE_LINES)
    assert len({line.label for line in MODE_LINES.values()}) == len(MODE_LINES)


def test_modes_that_share_a_panel_differ_in_grey_or_in_dashes_or_width() -> None:
    def grey(colour: str) -> float:
        red, green, blue = to_rgb(colour)
        return 0.299 * red + 0.587 * green + 0.114 * blue

    for one, other in combinations(MODE_LINES.values(), 2):
        differ = abs(grey(one.colour) - grey(other.colour)) > 0.12
        assert differ or one.dashes != other.dashes or one.width_pt != other.width_pt


@given(names=st.lists(names, max_size=len(DEVICES) * len(HATCHES), unique=True))
def test_devices_look_different_while_looks_last(names: list[str]) -> None:
    looks = device_colours(names)
    assert len(set(looks.values())) == len(names)
    assert looks == device_colours(names[::-1])


def test_the_usual_devices_do_not_collide() -> None:
    usual = ("dishwasher", "heat_pump", "washing_machine")
    together = device_colours(usual)
    assert all(device_colours([name])[name] == together[name] for name in usual)


def test_names_and_amounts_as_people_read_them() -> None:
    assert [words(n) for n in ("pv", "pv_roof", "ev", "heat_pump")] == [
        "PV",
        "PV roof",
        "EV",
        "heat pump",
    ]
    assert euros(-1234.5) == "−1,234.50 €"
    assert euros(-0.001) == "0.00 €"
