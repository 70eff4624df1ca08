"""Other kinds of files as the text of a table, told by their first bytes, never by their names.

The text has a header, a comma between its fields and a point for decimals; from there on every file
is read alike.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Callable
from typing import NamedTuple

from ems.errors import DataError
from ems.store.ingest.formats import green_button, home_assistant, nem12, tables, workbook
from ems.store.ingest.text_table import AsText, decoded

_BROKEN: tuple[type[Exception], ...] = (
    *(ValueError, KeyError, TypeError, IndexError, AttributeError, OverflowError, SyntaxError),
    *(OSError, EOFError, RecursionError, MemoryError, NotImplementedError),
    *(zipfile.BadZipFile, struct.error, zlib.error),
)
"""What the readers of damaged files raise."""
_MARK = b"\xef\xbb\xbf"


class Kind(NamedTuple):
    """A kind of file: what it is called, how it begins, and how it becomes the text of a table."""

    name: str
    begins: tuple[bytes, ...]
    text: Callable[[bytes, str], AsText]


KINDS = (
    Kind("Excel", (b"PK\x03\x04",), workbook.text),
    Kind("Parquet", (b"PAR1",), tables.parquet_text),
    Kind("database of Home Assistant", (b"SQLite format 3\x00",), home_assistant.database_text),
    Kind("energy export of Home Assistant", (b"entity_id,type,unit",), home_assistant.energy_text),
    Kind("history of Home Assistant", (b"entity_id,state,",), home_assistant.history_text),
    Kind("statistics of Home Assistant", (b"statistic_id,",), home_assistant.statistics_text),
    Kind("Green Button", (b"<?xml", b"<feed"), green_button.text),
    Kind("JSON lines", (b"{", b"[{"), tables.json_text),
    Kind("NEM12", (b"100,NEM12", b"200,"), nem12.text),
)
NOT_READ = {
    b"\xd0\xcf\x11\xe0": "an Excel file of before 2007, or one with a password",
    b"%pdf": "a PDF",
    b"<html": "a web page",
    b"<!doctype html": "a web page",
}
"""What people also give, by how it begins in lower case."""


def kind_of(raw: bytes) -> Kind | None:
    """The kind of a file; None for a plain text of a table."""
    start = raw[:1000].removeprefix(_MARK).lstrip()
    return next((kind for kind in KINDS if start.startswith(kind.begins)), None)


def as_text(raw: bytes, name: str) -> AsText:
    """A file as the text of a table.

    Raises a one-line ``DataError`` if it is damaged, or of a kind that is not read.
    """
    start = raw[:1000].removeprefix(_MARK).lstrip()[:20].lower()
    what = next((what for begin, what in NOT_READ.items() if start.startswith(begin)), None)
    if what is not None:
        raise DataError(f"{name}: is {what}; save it as CSV or .xlsx")
    kind = kind_of(raw)
    if kind is None:
        return AsText(decoded(raw, name))
    try:
        return kind.text(raw, name)
    except _BROKEN as error:
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise DataError(f"{name}: is no {kind.name} that can be read ({reason})") from error
