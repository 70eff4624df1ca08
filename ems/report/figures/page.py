"""The page around the axes: title, data source, synthetic mark, caption and file."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, cast

import matplotlib as mpl
from matplotlib.figure import Figure, SubFigure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.text import Annotation

from ems.errors import DataError
from ems.report.figures.paper import LINE_PITCH, SCREEN, Paper
from ems.report.figures.style import DARK_GREY, SYNTHETIC, VERMILLION, look
from ems.site.meters import MeterData

_EDGE_IN, _PLACES = 0.10, 6
_MARK_LETTERS = 15
"""Letters of a title's line taken by the synthetic mark."""


@dataclass(frozen=True, kw_only=True)
class Origin:
    """The origin of a figure's data: source and licence in one line, and whether synthetic."""

    source: str
    synthetic: bool

    @classmethod
    def of(cls, history: MeterData) -> Origin:
        """The origin of a building's history."""
        return cls(source=history.source, synthetic=history.synthetic)


def new_page(
    body_in: float, title: str, note: str, origin: Origin, paper: Paper = SCREEN
) -> SubFigure:
    """The body of a figure as wide as ``paper`` and ``body_in`` screen inches high.

    Above it: bold ``title``, synthetic mark at the right, ``note``; below: the source. Texts are
    wrapped and the page grows; if its height is given, the body takes the rest. On captioned paper
    only the mark is in the figure. The whole figure is ``body.figure``, its label the caption;
    unknown to pyplot.
    """
    layout = ConstrainedLayoutEngine(h_pad=0.06 * paper.scale, w_pad=0.04 * paper.scale)
    figure = Figure(dpi=paper.dpi, layout=layout)
    figure.set_label(caption(title, note, origin))
    body = cast(SubFigure, figure.subfigures())
    texts: list[Any] = []
    if paper.captioned:
        texts += [figure.suptitle(" ", size=paper.text_pt)] if origin.synthetic else []
    else:
        left: dict[str, Any] = {"x": _EDGE_IN * paper.scale / paper.width_in, "ha": "left"}
        grey: dict[str, Any] = left | {"color": DARK_GREY}
        source_pt = paper.small_pt - 0.5
        room = paper.letters(1.1 * paper.title_pt) - _MARK_LETTERS * origin.synthetic
        head, foot = wrapped(title, room), f"Data: {origin.source}"
        told = wrapped(note, paper.letters(paper.text_pt))
        foot = wrapped(foot, paper.letters(source_pt))
        texts += [
            figure.suptitle(head, size=paper.title_pt, weight="bold", **left),
            body.suptitle(told, size=paper.text_pt, **grey),
            figure.supxlabel(foot, size=source_pt, **grey),
        ]
    if origin.synthetic:
        figure.add_artist(_mark(paper))
    around_pt = sum(LINE_PITCH * t.get_fontsize() * (t.get_text().count("\n") + 1) for t in texts)
    height_in = paper.height_in or paper.scale * body_in + around_pt / 72.0
    figure.set_size_inches(paper.width_in, height_in)
    return body


def caption(title: str, note: str, origin: Origin) -> str:
    """Title, note and source as a caption."""
    made_up = "Synthetic twin, not measured. " if origin.synthetic else ""
    return f"{title}. {note}. {made_up}Data: {origin.source}."


def wrapped(text: str, letters: int) -> str:
    """Wrap text into lines, keeping parts between ``·`` whole where they fit.

    >>> wrapped("prior uniform · best of 20 cells · 820 scored days", 46)
    'prior uniform · best of 20 cells\\n820 scored days'
    """
    hard = "\N{NO-BREAK SPACE}"
    parts = text.split(" · ")
    whole = [part.replace(" ", hard) if len(part) < letters - 1 else part for part in parts]
    said = f"{hard}· ".join(whole)

    def lines(width: int) -> list[str]:
        return textwrap.wrap(said, width, break_on_hyphens=False)

    fewest = len(lines(letters))
    longest = max(map(len, said.split(" ")))
    least = min(max(longest, letters - letters // 4), letters)  # as even lines as possible
    even = next(
        found for width in range(least, letters + 1) if len(found := lines(width)) <= fewest
    )
    return "\n".join(even).replace(f"{hard}·\n", "\n").replace(hard, " ")


def _mark(paper: Paper) -> Annotation:
    """The mark of synthetic data in the upper right corner."""
    edge_pt = -72.0 * _EDGE_IN * paper.scale
    return Annotation(
        SYNTHETIC,
        (1.0, 1.0),
        xycoords="figure fraction",
        xytext=(edge_pt, 0.9 * edge_pt),
        textcoords="offset points",
        ha="right",
        va="top",
        size=paper.text_pt,
        weight="bold",
        color=VERMILLION,
        bbox={"boxstyle": "round,pad=0.25", "facecolor": "none", "edgecolor": VERMILLION},
    )


def save(figure: Figure, path: Path, paper: Paper = SCREEN) -> Path:
    """Write ``figure`` as PNG or SVG by the suffix of ``path``, through a temporary file.

    The caption is stored in the file and the layout is fixed, so that the same figure gives the
    same file in every format. Returns ``path``. Raises ``DataError`` if it cannot be written.
    """
    beside = path.with_name(f".{path.name}.tmp")
    kind = path.suffix.removeprefix(".")
    # Without a date: equal figures must be equal files.
    told = {"Description": str(figure.get_label())} | ({"Date": None} if kind == "svg" else {})
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with mpl.rc_context(look(paper)):
            fix_layout(figure)
            figure.savefig(beside, format=kind, dpi=paper.dpi, metadata=told)
        beside.replace(path)
    except OSError as error:
        raise DataError(
            f"{path}: the figure cannot be written ({error}); check permissions"
        ) from error
    finally:
        if os.path.exists(beside):  # noqa: PTH110 - Path.exists raises for a name too long
            beside.unlink()
    return path


def fix_layout(figure: Figure) -> None:
    """Fix every position to a millionth of the page, once.

    The layout solver differs in the last bits, and names in an SVG depend on all bits.
    """
    if figure.get_layout_engine() is None:
        return
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for part in figure.findobj(SubFigure):
        part.bbox_relative.set_points(part.bbox_relative.get_points().round(_PLACES))
    for ax in figure.axes:
        box = ax.get_position(original=True)
        ax.set_position(box.from_extents(*box.get_points().round(_PLACES).ravel()))


def days_in_words(days: Sequence[date]) -> str:
    """The span of sorted ``days``, and how many days it contains.

    >>> days_in_words([date(2016, 6, 1), date(2016, 6, 2), date(2016, 6, 4)])
    '1–4 Jun 2016 (3 of 4 days)'
    """
    return span_in_words(days[0], days[-1], len(days))


def span_in_words(first: date, last: date, n_days: int) -> str:
    """The span from first to last day, and how many days of it are meant.

    >>> span_in_words(date(2016, 6, 1), date(2016, 7, 4), 34)
    '1 Jun – 4 Jul 2016 (34 days)'
    """
    if first == last:
        return f"{first:%a} {first.day} {first:%b %Y}"
    span = (last - first).days + 1
    count = f"{span} days" if span == n_days else f"{n_days} of {span} days"
    begin = f"{first.day}"
    if (first.year, first.month) != (last.year, last.month):
        begin += f" {first:%b}"
    if first.year != last.year:
        begin += f" {first.year}"
    dash = "–" if begin.isdigit() else " – "
    return f"{begin}{dash}{last.day} {last:%b %Y} ({count})"
