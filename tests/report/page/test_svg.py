"""The page's own figures: well-formed, finite, escaped, and as large as what they show."""

from __future__ import annotations

import re
from collections.abc import Callable
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from ems.errors import InvalidSpec
from ems.report.page.svg import WIDTH, Band, bars, beside, stacked, steps

Draw = Callable[..., Markup]
NASTY = 'a < b & "c" > <script>alert(1)</script>'


def tree(figure: Markup) -> ElementTree.Element:
    return ElementTree.fromstring(str(figure))


def band(*values: float, label: str = "sun", colour: str = "sun") -> Band:
    return Band(label=label, colour=colour, values=np.array(values, dtype=float))


def numbers(figure: Markup) -> list[float]:
    found = [
        text
        for element in tree(figure).iter()
        for key, text in element.attrib.items()
        if key in ("d", "x", "y", "width", "height", "viewBox")
    ]
    return [float(n) for text in found for n in re.findall(r"-?\d+\.?\d*", text)]


@pytest.mark.parametrize("draw", [stacked, steps])
@pytest.mark.parametrize(
    "values", [(0.0, 0.0), (5.0, 5.0), (-2.0, -2.0), (3.0,), (0.0,), (1e-12, 0.0), (1e6, -1e6)]
)
def test_constant_and_single_values_are_drawn(draw: Draw, values: tuple[float, ...]) -> None:
    figure = draw([band(*values)], [(0, "00:00")], unit="kW", title="t")
    assert "nan" not in str(figure).lower()
    assert "inf" not in str(figure).lower()
    assert tree(figure).find(".//svg") is not None


@given(st.lists(st.floats(-1e5, 1e5, allow_nan=False), min_size=1, max_size=30))
def test_any_series_stays_inside_its_picture(values: list[float]) -> None:
    for draw in (stacked, steps):
        figure = draw([band(*values)], [(0, "00:00")], unit="kW", title="t")
        assert all(-0.1 <= number <= WIDTH + 0.1 for number in numbers(figure))


@pytest.mark.parametrize("draw", [stacked, steps])
def test_names_cannot_break_out(draw: Draw) -> None:
    figure = draw([band(1.0, label=NASTY)], [(0, NASTY)], unit=NASTY, title=NASTY)
    assert "<script" not in figure
    shown = ["".join(element.itertext()) for element in tree(figure).iter("text")]
    assert NASTY in shown
    assert tree(figure).find(".//svg").attrib["aria-label"] == NASTY  # type: ignore[union-attr]


def test_names_beside_bars_cannot_break_out_and_long_ones_are_shortened() -> None:
    figure = bars([(NASTY, 1.0)], say=lambda _: NASTY, title=NASTY, unit=NASTY)
    assert "<script" not in figure
    texts = ["".join(element.itertext()) for element in tree(figure).iter("text")]
    assert texts == [f"{NASTY[:33]}…", NASTY]


def test_a_bar_is_as_long_as_its_value() -> None:
    figure = bars([("a", 2.0), ("b", -1.0), ("c", 0.0)], say=str, title="t", unit="€")
    rects = list(tree(figure).iter("rect"))
    widths = [float(rect.attrib["width"]) for rect in rects]
    assert widths[0] == pytest.approx(2 * widths[1], abs=0.2)
    assert widths[2] == 0.0
    assert [rect.attrib["class"] for rect in rects] == ["fill saved", "fill lost", "fill saved"]


def test_only_zeros_are_drawn_as_bars_of_no_length() -> None:
    figure = bars([("a", 0.0)], say=str, title="t", unit="€")
    assert [rect.attrib["width"] for rect in tree(figure).iter("rect")] == ["0.0"]
    (said,) = [text for text in tree(figure).iter("text") if text.text == "0.0"]
    assert float(said.attrib["x"]) < WIDTH - 50


def test_a_stack_puts_each_band_on_the_one_before() -> None:
    figure = stacked(
        [band(1.0, label="a"), band(2.0, label="b", colour="grid"), band(-3.0, label="c")],
        [],
        unit="kW",
        title="t",
    )
    paths = [p.attrib["d"] for p in tree(figure).iter("path") if "fill" in p.attrib["class"]]
    spans = [[float(y) for y in re.findall(r"[ V](-?[\d.]+)", path)] for path in paths]
    assert spans[0][1] == pytest.approx(spans[1][0], abs=0.11)  # b begins where a ends
    heights = [abs(span[0] - span[1]) for span in spans]
    assert heights[1] == pytest.approx(2 * heights[0], abs=0.3)
    assert heights[2] == pytest.approx(3 * heights[0], abs=0.4)


def test_the_legend_names_every_band_once() -> None:
    figure = steps(
        [band(1.0, label="bought"), band(2.0, label="bought"), band(3.0, label="sold")],
        [],
        unit="ct",
        title="t",
    )
    keys = ["".join(s.itertext()) for s in tree(figure).findall(".//span/span")]
    assert keys == ["bought", "sold"]


def test_axes_have_a_few_round_values() -> None:
    figure = steps([band(0.0, 18.0)], [], unit="ct", title="t")
    assert [t.text for t in tree(figure).iter("text")] == ["0", "5", "10", "15"]


def test_nothing_to_draw_is_said() -> None:
    with pytest.raises(InvalidSpec, match="no bands"):
        steps([], [], unit="kW", title="t")
    with pytest.raises(InvalidSpec, match="no bands"):
        stacked([band()], [], unit="kW", title="t")
    with pytest.raises(InvalidSpec, match="no rows"):
        bars([], say=str, title="t", unit="€")


@pytest.mark.parametrize("values", [(0.0, 0.0), (2.0, -1.0), (0.0, 1e-12)])
def test_an_outcome_is_an_area_and_its_plan_a_line_each_with_its_key(
    values: tuple[float, ...],
) -> None:
    area = band(*values, label="as it came", colour="battery")
    line = band(3.0, -3.0, label=NASTY, colour="plan")
    figure = beside(area, line, [(0, "00:00")], unit="kW", title="t")
    assert all(-0.1 <= number <= WIDTH + 0.1 for number in numbers(figure))
    keys = [element.get("class") for element in tree(figure).iter("i")]
    assert keys == ["key battery", "dash plan"]
    drawn = [element.get("class") for element in tree(figure).iter("path")]
    assert drawn.index("line halo") + 1 == drawn.index("line plan")
    assert drawn.count("fill battery") == (max(values) > 1e-3)
    assert drawn.index("line plan") > max(
        [i for i, name in enumerate(drawn) if name == "fill battery"], default=-1
    )
    assert "<script" not in str(figure)
    with pytest.raises(InvalidSpec, match="at least one with a step"):
        beside(band(), band(), [], unit="kW", title="t")
