"""A matplotlib figure as SVG that stands inside a page and follows its colours and letters."""

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
"""The greys of figures, and what stands for them on a page that may be light or dark."""
_SVG, _LINK = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}href"
_COLOUR = re.compile("|".join(COLOURS))
_FAMILY = re.compile(r"font-family: [^;]*(; )?")
_LONG = re.compile(r"\d+\.\d{3,}")
_USED = re.compile(r"url\(#([^)]+)\)")


@dataclass(frozen=True, eq=False)
class Picture:
    """A figure on the page's paper, and what stands above it in the page."""

    figure: Figure
    title: str
    note: str = ""

    def svg(self, name: str) -> Markup:
        """The figure as an element of a page in which no other picture has this name."""
        return inline_svg(self.figure, name)


def inline_svg(figure: Figure, name: str) -> Markup:
    """``figure`` as an ``<svg>`` element; its ids differ from those of figures of another ``name``.

    It scales to the width it is given. Background and greys are those of the page, texts are texts
    in the page's letters, and the figure's label is what a screen reader says.
    """
    drawn = io.StringIO()
    untold = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    with mpl.rc_context(look(PAGE) | {"svg.hashsalt": name}):
        figure.savefig(drawn, format="svg", transparent=True, metadata=untold)
    figure.set_layout_engine("none")  # laid out again it would move by a hair
    root = ElementTree.fromstring(drawn.getvalue())
    root.attrib = {
        "viewBox": root.attrib["viewBox"],
        "role": "img",
        "aria-label": str(figure.get_label()),
    }
    links = [element.attrib.get(_LINK, "").removeprefix("#") for element in root.iter()]
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
    """An attribute in the page's colours and letters, with places to a hundredth of a point."""
    value = _FAMILY.sub("", _COLOUR.sub(lambda match: COLOURS[match[0]], value))
    return _LONG.sub(lambda match: f"{float(match[0]):.2f}", value.replace("\n", ""))
