"""The same thing has the same colour in every figure and on the page."""

from __future__ import annotations

from typing import get_args

from report.page.made import usual

from ems.core.mode import LABELS, Mode
from ems.pipelines.spec import RULES
from ems.report.figures.page import Origin
from ems.report.figures.style import MODE_COLOURS, MODE_LINES
from ems.report.page.result import result_sections


def test_every_mode_drawn_as_a_line_has_the_same_colour_as_a_bar() -> None:
    assert {mode: MODE_COLOURS[mode] for mode in MODE_LINES} == {
        mode: line.colour for mode, line in MODE_LINES.items()
    }
    assert {MODE_COLOURS[rule] for rule in RULES} == {MODE_LINES["rule_based"].colour}
    assert set(MODE_COLOURS) <= set(get_args(Mode))


def test_the_bars_of_the_page_have_the_colours_of_the_modes() -> None:
    (section,) = result_sections(usual().summaries, [], Origin(source="made", synthetic=True))
    (ax,) = section.pictures[0].figure.axes
    labels = [label.get_text() for label in ax.get_yticklabels()]
    named = {LABELS[mode]: colour for mode, colour in MODE_COLOURS.items()}
    for label, bar in zip(labels, ax.patches, strict=True):
        colour = "#{:02X}{:02X}{:02X}".format(*(round(255 * c) for c in bar.get_facecolor()[:3]))
        assert colour == named[label.removesuffix(" (best rule)").replace("\n", " ")].upper()
