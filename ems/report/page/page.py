"""A report as plain values, and its rendering as a self-contained HTML page."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2
from markupsafe import Markup, escape

from ems.errors import DataError
from ems.report.inline import Picture
from ems.report.page.hours import ToldHours

_ADDRESS = re.compile(r"\bhttps?://[^\s;,<>\"')]+|\b10\.\d{4,9}/[^\s;,<>\"')]+")
"""Matches an address or a DOI."""


@dataclass(frozen=True)
class Table:
    """A table; the first ``n_texts`` columns are texts, not numbers; None: all of them.

    ``folded``: collapsed until opened.
    """

    caption: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    n_texts: int | None = 1
    folded: bool = False


@dataclass(frozen=True)
class Section:
    """A section of the page: texts, pictures, tables, hours of a day, and a command to run."""

    title: str
    paragraphs: Sequence[str] = ()
    pictures: Sequence[Picture] = ()
    tables: Sequence[Table] = ()
    hours: Sequence[ToldHours] = ()
    command: str = ""


@dataclass(frozen=True, kw_only=True)
class Report:
    """The contents of the page, top to bottom."""

    title: str
    subtitle: str
    synthetic: bool
    sections: Sequence[Section]


def templates(folder: Path) -> jinja2.Environment:
    """The templates of a folder: what is put in is text, and what is missing is an error."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def render(report: Report) -> str:
    """The page as HTML without external resources."""
    page = templates(Path(__file__).parent).get_template("report.html.j2")
    return page.render(report=report, linked=linked)


def linked(text: str) -> Markup:
    """The text with addresses and DOIs as links; nothing is loaded from them."""
    done, parts = 0, []
    for match in _ADDRESS.finditer(text):
        # A full stop at the end belongs to the sentence.
        what = match.group(0).rstrip(".")
        address = what if what.startswith("http") else f"https://doi.org/{what}"
        link = Markup('<a href="{}" rel="noreferrer">{}</a>').format(address, what)
        parts += [escape(text[done : match.start()]), link]
        done = match.start() + len(what)
    return Markup("").join([*parts, escape(text[done:])])


def write_report(report: Report, path: Path) -> Path:
    """Write the page; returns ``path``. Raises ``DataError`` if it cannot be written."""
    return write_whole(render(report), path)


def write_whole(html: str, path: Path) -> Path:
    """Write a page to a temporary file and rename it; returns ``path``.

    Raises ``DataError`` if it cannot be written.
    """
    beside = path.with_name(f".{path.name}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(html, encoding="utf-8")
        beside.replace(path)
    except OSError as error:
        raise DataError(
            f"{path}: the report cannot be written ({error}); check permissions"
        ) from error
    finally:
        if path.parent.is_dir():
            beside.unlink(missing_ok=True)
    return path
