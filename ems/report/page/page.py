"""A report as plain values, and the self-contained HTML page made of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2
from markupsafe import Markup, escape

from ems.errors import DataError
from ems.report.page import words
from ems.report.page.explain import ExplainedHour
from ems.report.page.template import PAGE

COLOURS = (
    "sun",
    "grid",
    "sold",
    "house",
    "battery",
    "car",
    "machine",
    "heat",
    "worth",
    "saved",
    "lost",
    "plan",
)
"""The CSS classes of figures."""
_ADDRESS = re.compile(r"\bhttps?://[^\s;,<>\"')]+|\b10\.\d{4,9}/[^\s;,<>\"')]+")
"""An address, or a DOI."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table; ``n_texts``: how many first columns are texts and not numbers; ``words``: all are.

    ``folded``: opened by hand.
    """

    caption: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    n_texts: int = 1
    words: bool = False
    folded: bool = False


@dataclass(frozen=True, kw_only=True)
class Section:
    """A part of the page: texts, then figures, tables, the hours of a day, and commands to run."""

    title: str
    paragraphs: Sequence[str] = ()
    figures: Sequence[Markup] = ()
    tables: Sequence[Table] = ()
    hours: Sequence[ExplainedHour] = ()
    commands: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Report:
    """What stands on the page, from its top to its bottom."""

    title: str
    subtitle: str
    synthetic: bool
    sections: Sequence[Section]


def render(report: Report) -> str:
    """The page as HTML that loads nothing from elsewhere."""
    page = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    ).from_string(PAGE)
    return page.render(report=report, colours=COLOURS, linked=linked, kind=_kind, ct=words.ct)


def _kind(table: Table, column: int) -> str:
    """The CSS class of a column."""
    return "text" if table.words or column < table.n_texts else "number"


def linked(text: str) -> Markup:
    """A text with its addresses and DOIs as links to click; nothing is loaded by them."""
    done, parts = 0, []
    for match in _ADDRESS.finditer(text):
        what = match.group(0).rstrip(".")
        address = what if what.startswith("http") else f"https://doi.org/{what}"
        link = Markup('<a href="{}" rel="noreferrer">{}</a>').format(address, what)
        parts += [escape(text[done : match.start()]), link]
        done = match.start() + len(what)
    return Markup("").join([*parts, escape(text[done:])])


def write_report(report: Report, path: Path) -> Path:
    """Write the page beside its place and rename it into it; returns ``path``.

    Raises ``DataError`` when it cannot be written.
    """
    beside = path.with_name(f".{path.name}.tmp")
    text = render(report)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(text, encoding="utf-8")
        beside.replace(path)
    except OSError as error:
        raise DataError(
            f"{path}: the report cannot be written ({error}); check permissions"
        ) from error
    finally:
        if path.parent.is_dir():
            beside.unlink(missing_ok=True)
    return path
