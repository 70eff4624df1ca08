"""A figure within a page: its own ids, the page's letters and greys, and the same each time."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from matplotlib.figure import Figure
from report.figures.made import horizon, record, schedule

from ems.report.figures.amounts import Amount, amount_bars
from ems.report.figures.day import planned_day
from ems.report.figures.page import Origin
from ems.report.figures.paper import PAGE
from ems.report.figures.style import BLACK
from ems.report.inline import Picture, inline_svg

NASTY = 'a < b & "c" <script>'
ORIGIN = Origin(source="none", synthetic=True)


def drawn(*rows: Amount) -> Figure:
    return amount_bars(rows, unit="€", title=NASTY, origin=ORIGIN, paper=PAGE)


def bars() -> Figure:
    return drawn(Amount(NASTY, 2.0, "2 €", (1.0, 3.0)), Amount("loss", -1.0, "−1 €"))


def test_texts_are_texts_and_the_label_is_what_a_screen_reader_says() -> None:
    svg = inline_svg(bars(), "one")
    root = ElementTree.fromstring(svg)
    assert root.attrib.keys() == {"viewBox", "fill", "role", "aria-label"}
    assert root.attrib["aria-label"].startswith(f"{NASTY}. ")
    texts = ["".join(element.itertext()) for element in root.iter("text")]
    assert {NASTY, "2 €", "−1 €", "SYNTHETIC DATA"} <= set(texts)
    assert "<script" not in svg


def test_it_takes_letters_and_greys_of_the_page_and_keeps_its_colours() -> None:
    svg = inline_svg(bars(), "one")
    assert "currentColor" in svg
    assert "#009e73" in svg
    assert not re.search(r"font-family|<style|<metadata|<\?xml|#000000|#ffffff|#262626", svg)


def test_a_black_area_has_the_colour_of_the_text_also_on_a_dark_page() -> None:
    """Matplotlib leaves out the fill of black, and SVG would fill with black."""
    svg = inline_svg(drawn(Amount("as metered", 2.0, "2 €", colour=BLACK)), "one")
    root = ElementTree.fromstring(svg)
    assert root.attrib["fill"] == "currentColor"
    assert not re.search("fill: *(black|#000)", svg)


def test_two_figures_share_no_id_and_every_id_is_used() -> None:
    one, other = (str(Picture(bars(), NASTY).svg(name)) for name in ("one", "other"))
    ids = [set(re.findall(r' id="([^"]+)"', svg)) for svg in (one, other)]
    assert ids[0].isdisjoint(ids[1])
    for svg, own in zip((one, other), ids, strict=True):
        assert own == set(re.findall(r'(?:href="|url\()#([^")]+)', svg)) != set()


def test_the_same_figure_is_the_same_text_however_often_it_is_asked_for() -> None:
    """Laid out again, a figure with three panels would move by a hair."""
    day = record(schedule(horizon()))
    once, again = (planned_day(day, tariff="flat", origin=ORIGIN, paper=PAGE) for _ in range(2))
    assert inline_svg(once, "one") == inline_svg(once, "one") == inline_svg(again, "one")
