"""The page around the axes: title, origin of the data, synthetic mark, and the PNG file."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from ems.errors import DataError
from ems.history import MeterHistory
from ems.plots.style import DARK_GREY, RC, SMALL_PT, SYNTHETIC, TEXT_PT, TITLE_PT, VERMILLION

WIDTH_IN = 10.0
DPI = 150
_TITLE_LETTERS, _NOTE_LETTERS, _SOURCE_LETTERS = 84, 104, 160
_TITLE_IN, _NOTE_IN, _SOURCE_IN, _EDGE_IN = 0.23, 0.19, 0.15, 0.10


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where the data of a figure come from: a line with source and licence, and whether made up."""

    source: str
    synthetic: bool

    @classmethod
    def of(cls, history: MeterHistory) -> Origin:
        """The origin of a building's history."""
        return cls(source=history.source, synthetic=history.synthetic)


def new_page(body_in: float, title: str, note: str, origin: Origin) -> Figure:
    """A figure of ``WIDTH_IN`` inches with a body of ``body_in`` inches for its axes.

    Above stand the bold ``title`` and the ``note``, with the mark of synthetic data at the right;
    below the source. Long texts are wrapped and the page grows. pyplot does not know the figure.
    """
    titles = textwrap.wrap(title, _TITLE_LETTERS)
    notes = textwrap.wrap(note, _NOTE_LETTERS)
    sources = textwrap.wrap(f"Data: {origin.source}", _SOURCE_LETTERS, break_on_hyphens=False)
    head_in = 2 * _EDGE_IN + _TITLE_IN * len(titles) + _NOTE_IN * len(notes)
    foot_in = _EDGE_IN + _SOURCE_IN * len(sources)
    height_in = head_in + body_in + foot_in
    body = (0.006, foot_in / height_in, 0.988, body_in / height_in)
    layout = ConstrainedLayoutEngine(rect=body, h_pad=0.06, w_pad=0.04)
    figure = Figure(figsize=(WIDTH_IN, height_in), dpi=DPI, layout=layout)
    left, right = _EDGE_IN / WIDTH_IN, 1 - _EDGE_IN / WIDTH_IN
    top_in = height_in - _EDGE_IN
    for line in titles:
        figure.text(left, top_in / height_in, line, size=TITLE_PT, weight="bold", va="top")
        top_in -= _TITLE_IN
    if origin.synthetic:
        mark = {"boxstyle": "round,pad=0.25", "facecolor": "white", "edgecolor": VERMILLION}
        figure.text(
            right - 0.005,
            (top_in - 0.03) / height_in,
            SYNTHETIC,
            size=TEXT_PT,
            weight="bold",
            color=VERMILLION,
            ha="right",
            va="top",
            bbox=mark,
        )
    for line in notes:
        figure.text(left, top_in / height_in, line, size=TEXT_PT, color=DARK_GREY, va="top")
        top_in -= _NOTE_IN
    for i, line in enumerate(reversed(sources)):
        bottom_in = _EDGE_IN / 2 + i * _SOURCE_IN
        figure.text(left, bottom_in / height_in, line, size=SMALL_PT - 0.5, color=DARK_GREY)
    return figure


def save(figure: Figure, path: Path) -> Path:
    """Write ``figure`` as PNG of ``DPI`` dots an inch, beside the place and then renamed into it.

    Returns ``path``. Raises ``DataError`` when it cannot be written.
    """
    beside = path.with_name(f".{path.name}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with mpl.rc_context(dict(RC)):
            figure.savefig(beside, format="png", dpi=DPI)
        beside.replace(path)
    except OSError as error:
        raise DataError(
            f"{path}: the figure cannot be written ({error}); check permissions"
        ) from error
    finally:
        if path.parent.is_dir():
            beside.unlink(missing_ok=True)
    return path


def days_in_words(days: Sequence[date]) -> str:
    """The span of sorted ``days`` and how many of it are meant.

    >>> days_in_words([date(2016, 6, 1), date(2016, 6, 2), date(2016, 6, 4)])
    '1–4 Jun 2016 (3 of 4 days)'
    """
    first, last = days[0], days[-1]
    if first == last:
        return f"{first:%a} {first.day} {first:%b %Y}"
    span = (last - first).days + 1
    count = f"{span} days" if span == len(days) else f"{len(days)} of {span} days"
    begin = f"{first.day}"
    if (first.year, first.month) != (last.year, last.month):
        begin += f" {first:%b}"
    if first.year != last.year:
        begin += f" {first.year}"
    dash = "–" if begin.isdigit() else " – "
    return f"{begin}{dash}{last.day} {last:%b %Y} ({count})"
