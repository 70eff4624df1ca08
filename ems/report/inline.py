"""A matplotlib figure as inline SVG that adopts the page's colours and fonts."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from xml.etree import ElementTree

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.figure import Figure

from ems.report.figures.paper import PAGE
from ems.report.figures.style import look

COLOURS: Mapping[str, str] = {
    "#000000": "currentColor",
    "#262626": "currentColor",
    "#4d4d4d": "var(--soft)",
    "#c8c8c8": "var(--faint)",
    "#ededed": "var(--rule)",
    "#ffffff": "var(--page)",
}
"""The greys of figures, mapped to colours of a page that may be light or dark."""
_SVG, _LINK = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}href"
_COLOUR = re.compile("|".join(COLOURS))
_FAMILY = re.compile(r"font-family: [^;]*(; )?")
_LONG = re.compile(r"\d+\.\d{3,}")
_USED = re.compile(r"url\(#([^)]+)\)")


@dataclass(frozen=True, eq=False)
class Picture:
    """A figure for the page, with the heading above it."""

    figure: Figure
    title: str
    note: str = ""

    def svg(self, name: str) -> Markup:
        """The figure as an element; ``name`` must be unique within the page."""
        return inline_svg(self.figure, name)


def inline_svg(figure: Figure, name: str) -> Markup:
    """``figure`` as an ``<svg>`` element; its ids are unique for each ``name``.

    It scales to the available width. Background and greys are the page's, texts remain texts in the
    page's font, and the figure's label is read by screen readers.
    """
    drawn = io.StringIO()
    # Dates and versions would make equal figures different files.
    untold = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    with mpl.rc_context(look(PAGE) | {"svg.hashsalt": name}):
        figure.savefig(drawn, format="svg", transparent=True, metadata=untold)
    figure.set_layout_engine("none")  # a second layout would move by a hair
    root = ElementTree.fromstring(drawn.getvalue())
    root.attrib = {
        "viewBox": root.attrib["viewBox"],
        # Of a black area matplotlib leaves out the colour, since black is what SVG fills with.
        "fill": "currentColor",
        "role": "img",
        "aria-label": str(figure.get_label()),
    }
    links = [element.attrib.get(_LINK, "").removeprefix("#") for element in root.iter()]
    # Unreferenced ids are dropped; they only make the page longer.
    used = {*links, *_USED.findall(drawn.getvalue())}
    for parent in root.iter():
        for child in [c for c in parent if c.tag in (f"{_SVG}metadata", f"{_SVG}style")]:
            parent.remove(child)
        parent.tag = parent.tag.removeprefix(_SVG)
        parent.attrib = {
            key.replace(_LINK, "href"): _own(value)
            for key, value in parent.attrib.items()
            if key != "id" or value in used
        }
        parent.tail = None
    return Markup(ElementTree.tostring(root, encoding="unicode"))


def _own(value: str) -> str:
    """Replace colours and fonts, and round coordinates to a hundredth of a point."""
    value = _FAMILY.sub("", _COLOUR.sub(lambda match: COLOURS[match[0]], value))
    return _LONG.sub(lambda match: f"{float(match[0]):.2f}", value.replace("\n", ""))
