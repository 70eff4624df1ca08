"""Output formats of a figure: screen, column of a paper, slide, report page."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

MM_PER_IN = 25.4
LINE_PITCH = 1.42
"""Line spacing as a multiple of the font size."""
_LETTER = 0.6
"""Mean width of a letter as a multiple of its size."""


@dataclass(frozen=True, kw_only=True)
class Paper:
    """Size, fonts and resolution of a figure.

    ``width_in``; ``height_in``: of the whole figure [in], None: as needed. ``title_pt``,
    ``text_pt``, ``small_pt``: font sizes [pt]. ``dpi``: resolution of a PNG. ``captioned``: title,
    note and source are in a caption, not in the figure. ``narrow``: panels and legends are stacked
    instead of side by side. ``inline``: part of a web page; text stays text, and the page is the
    background.
    """

    name: str
    width_in: float
    height_in: float | None = None
    title_pt: float
    text_pt: float
    small_pt: float
    dpi: int
    captioned: bool = False
    narrow: bool = False
    inline: bool = False

    @property
    def scale(self) -> float:
        """Its font size relative to a screen."""
        return self.text_pt / SCREEN.text_pt

    def letters(self, size_pt: float, share: float = 1.0) -> int:
        """How many letters fit into a ``share`` of the width."""
        return int(72.0 * self.width_in * share / (_LETTER * size_pt))

    def beside(self, name: str) -> str:
        """A name left of a panel, wrapped to a quarter of the width (narrow: a third).

        >>> COLUMN.beside("DE_KN_residential_quarter_17\\nrun 1")
        'DE_KN_residential_\\nquarter_17\\nrun 1'
        """
        width = self.letters(self.small_pt, 0.36 if self.narrow else 0.25)
        # Underscores may end a line, so that long names of buildings wrap.
        parts = (textwrap.fill(part.replace("_", "_ "), width) for part in name.split("\n"))
        return "\n".join(parts).replace("_ ", "_")

    def row_in(self, least_in: float, names: Iterable[str]) -> float:
        """Height of a row on a screen [in] that fits the longest of ``names``."""
        lines = max(self.beside(name).count("\n") + 1 for name in names)
        return max(least_in, (1.2 * lines + 0.6) * SCREEN.small_pt / 72.0)


SCREEN = Paper(name="screen", width_in=10.0, title_pt=12.0, text_pt=9.5, small_pt=8.0, dpi=150)
COLUMN = Paper(
    name="column",
    width_in=85.0 / MM_PER_IN,
    title_pt=8.0,
    text_pt=7.0,
    small_pt=6.0,
    dpi=600,
    captioned=True,
    narrow=True,
)
"""One column of a two-column paper, 85 mm wide."""
SLIDE = Paper(
    name="slide",
    width_in=40.0 / 3.0,
    height_in=7.5,
    title_pt=19.0,
    text_pt=13.0,
    small_pt=11.0,
    dpi=144,
)
"""A slide of 16:9, 1920 dots wide."""
PAGE = Paper(
    name="page",
    width_in=5.2,
    title_pt=11.0,
    text_pt=9.0,
    small_pt=8.0,
    dpi=96,
    captioned=True,
    narrow=True,
    inline=True,
)
"""The HTML report: wide enough for a screen when scaled up, readable on a phone."""

PAPERS: Mapping[str, Paper] = {paper.name: paper for paper in (SCREEN, COLUMN, SLIDE)}
"""Formats written to files."""
