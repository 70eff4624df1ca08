"""A report as plain values, and the self-contained HTML page made of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2
from markupsafe import Markup, escape

from ems.errors import DataError
from ems.report.inline import Picture
from ems.report.page import words
from ems.report.page.explain import ExplainedHour

_ADDRESS = re.compile(r"\bhttps?://[^\s;,<>\"')]+|\b10\.\d{4,9}/[^\s;,<>\"')]+")
"""An address, or a DOI."""


@dataclass(frozen=True)
class Table:
    """A table; the first ``n_texts`` columns are texts and not numbers, None: all of them.

    ``folded``: opened by hand.
    """

    caption: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    n_texts: int | None = 1
    folded: bool = False


@dataclass(frozen=True)
class Section:
    """A part of the page: texts, pictures, tables, the hours of a day, and a command to run."""

    title: str
    paragraphs: Sequence[str] = ()
    pictures: Sequence[Picture] = ()
    tables: Sequence[Table] = ()
    hours: Sequence[ExplainedHour] = ()
    command: str = ""


@dataclass(frozen=True, kw_only=True)
class Report:
    """What stands on the page, from its top to its bottom."""

    title: str
    subtitle: str
    synthetic: bool
    sections: Sequence[Section]


def render(report: Report) -> str:
    """The page as HTML that loads nothing from elsewhere."""
    pages = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = pages.get_template("report.html.j2")
    return page.render(report=report, linked=linked, ct=words.ct)


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
