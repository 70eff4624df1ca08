"""The page around the axes: title, origin of the data, synthetic mark, caption, and the file."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from ems.errors import DataError
from ems.report.figures.paper import SCREEN, Paper
from ems.report.figures.style import DARK_GREY, SYNTHETIC, VERMILLION, look
from ems.site.meters import MeterData

_TITLE_PITCH, _NOTE_PITCH, _SOURCE_PITCH = 0.66, 0.729, 0.60
"""Room of a letter, as a share of its size; notes leave some to the mark at their right."""
_LINE_PITCH = 1.42
"""From line to line, as a share of the letters' size."""
_EDGE_IN, _SOURCE_LESS_PT = 0.10, 0.5
_PLACES = 6


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where the data of a figure come from: a line with source and licence, and whether made up."""

    source: str
    synthetic: bool

    @classmethod
    def of(cls, history: MeterData) -> Origin:
        """The origin of a building's history."""
        return cls(source=history.source, synthetic=history.synthetic)


def new_page(
    body_in: float, title: str, note: str, origin: Origin, paper: Paper = SCREEN
) -> Figure:
    """A figure as wide as ``paper`` with a body of ``body_in`` inches of a screen for its axes.

    Above stand the bold ``title`` and the ``note``, with the mark of synthetic data at the right;
    below the source. Long texts are wrapped and the page grows; where its height is given, the
    body takes what is left. On paper with captions only the mark stands in the figure, and the
    texts are its label. pyplot does not know the figure.
    """
    lines = _Lines.on(paper, title, note, origin)
    foot_in = lines.foot_in
    rest_in = paper.body_in(body_in)
    height_in = paper.height_in or lines.head_in + rest_in + foot_in
    body = (0.006, foot_in / height_in, 0.988, 1.0 - (lines.head_in + foot_in) / height_in)
    scale = paper.scale
    layout = ConstrainedLayoutEngine(rect=body, h_pad=0.06 * scale, w_pad=0.04 * scale)
    figure = Figure(figsize=(paper.width_in, height_in), dpi=paper.dpi, layout=layout)
    figure.set_label(caption(title, note, origin))
    edge_in = _EDGE_IN * paper.scale
    left, right = edge_in / paper.width_in, 1 - edge_in / paper.width_in
    top_in = height_in - edge_in
    for line in lines.titles:
        figure.text(left, top_in / height_in, line, size=paper.title_pt, weight="bold", va="top")
        top_in -= _pitch_in(paper.title_pt)
    if origin.synthetic:
        _mark(figure, right - 0.005, (top_in - 0.03 * paper.scale) / height_in, paper)
    for line in lines.notes:
        figure.text(left, top_in / height_in, line, size=paper.text_pt, color=DARK_GREY, va="top")
        top_in -= _pitch_in(paper.text_pt)
    source_pt = paper.small_pt - _SOURCE_LESS_PT
    for i, line in enumerate(reversed(lines.sources)):
        bottom_in = edge_in / 2 + i * _pitch_in(source_pt)
        figure.text(left, bottom_in / height_in, line, size=source_pt, color=DARK_GREY)
    return figure


def caption(title: str, note: str, origin: Origin) -> str:
    """Title, note and source as the text below a figure."""
    made_up = "Synthetic twin, not measured. " if origin.synthetic else ""
    return f"{title}. {note}. {made_up}Data: {origin.source}."


@dataclass(frozen=True, kw_only=True)
class _Lines:
    """The texts around the body, wrapped, and how high they are [in]."""

    titles: Sequence[str]
    notes: Sequence[str]
    sources: Sequence[str]
    head_in: float
    foot_in: float

    @classmethod
    def on(cls, paper: Paper, title: str, note: str, origin: Origin) -> _Lines:
        edge_in, source_pt = _EDGE_IN * paper.scale, paper.small_pt - _SOURCE_LESS_PT
        if paper.captioned:
            mark_in = _pitch_in(paper.text_pt) + edge_in if origin.synthetic else 0.0
            return cls(titles=(), notes=(), sources=(), head_in=edge_in + mark_in, foot_in=0.0)
        width_pt = 72.0 * paper.width_in
        titles = wrapped(title, int(width_pt / paper.title_pt / _TITLE_PITCH))
        notes = wrapped(note, int(width_pt / paper.text_pt / _NOTE_PITCH))
        of_source = int(width_pt / source_pt / _SOURCE_PITCH)
        sources = wrapped(f"Data: {origin.source}", of_source)
        head_in = 2 * edge_in + _pitch_in(paper.title_pt) * len(titles)
        return cls(
            titles=titles,
            notes=notes,
            sources=sources,
            head_in=head_in + _pitch_in(paper.text_pt) * len(notes),
            foot_in=edge_in + _pitch_in(source_pt) * len(sources),
        )


def wrapped(text: str, letters: int) -> list[str]:
    """Lines of at most so many letters: between parts where that takes no more lines, and even.

    >>> wrapped("prior uniform · best of 20 cells · 820 scored days", 46)
    ['prior uniform · best of 20 cells', '820 scored days']
    >>> wrapped("so no word of a text stands alone", 30)
    ['so no word of a', 'text stands alone']
    """
    hard_space = "\N{NO-BREAK SPACE}"
    parts = text.split(" · ")
    whole = [part.replace(" ", hard_space) if len(part) < letters - 1 else part for part in parts]
    lines = _even(f"{hard_space}· ".join(whole), letters)
    if len(lines) > len(_even(text, letters)):
        lines = _even(text, letters)
    return [line.replace(hard_space, " ").strip(" ·") for line in lines]


def _even(text: str, letters: int) -> list[str]:
    """As few lines as fit, the longest as short as they allow."""

    def lines(width: int) -> list[str]:
        return textwrap.wrap(text, width, break_on_hyphens=False)

    fewest = len(lines(letters))
    longest = max(map(len, text.split(" ")))
    widths = range(min(longest, letters), letters)
    return next((lines(width) for width in widths if len(lines(width)) <= fewest), lines(letters))


def _pitch_in(size_pt: float) -> float:
    return _LINE_PITCH * size_pt / 72.0


def _mark(figure: Figure, right: float, top: float, paper: Paper) -> None:
    """The mark of synthetic data."""
    box = {"boxstyle": "round,pad=0.25", "facecolor": "white", "edgecolor": VERMILLION}
    letters: dict[str, Any] = {"size": paper.text_pt, "weight": "bold", "color": VERMILLION}
    figure.text(right, top, SYNTHETIC, ha="right", va="top", bbox=box, **letters)


def save(figure: Figure, path: Path, paper: Paper = SCREEN) -> Path:
    """Write ``figure`` as PNG or SVG by the name of ``path``, beside it and then renamed into it.

    Its caption is kept in the file, and its layout is fixed from now on: the same figure is the
    same file, in every format. Returns ``path``. Raises ``DataError`` when it cannot be written.
    """
    beside = path.with_name(f".{path.name}.tmp")
    kind = path.suffix.removeprefix(".")
    told = {"Description": str(figure.get_label())} | ({"Date": None} if kind == "svg" else {})
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with mpl.rc_context(look(paper)):
            _fix_layout(figure)
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


def _fix_layout(figure: Figure) -> None:
    """Fix every place to a millionth of the page, once.

    The layout's solver is exact to the last bit but one, and the names in an SVG follow all bits.
    """
    if not isinstance(figure.get_layout_engine(), ConstrainedLayoutEngine):
        return
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for part in figure.subfigs:
        part.bbox_relative.set_points(part.bbox_relative.get_points().round(_PLACES))
    for ax in figure.axes:
        box = ax.get_position(original=True)
        ax.set_position(box.from_extents(*box.get_points().round(_PLACES).ravel()))


def days_in_words(days: Sequence[date]) -> str:
    """The span of sorted ``days`` and how many of it are meant.

    >>> days_in_words([date(2016, 6, 1), date(2016, 6, 2), date(2016, 6, 4)])
    '1–4 Jun 2016 (3 of 4 days)'
    """
    return span_in_words(days[0], days[-1], len(days))


def span_in_words(first: date, last: date, n_days: int) -> str:
    """The span from the first to the last day, and how many of it are meant.

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
