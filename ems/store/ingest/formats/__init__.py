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
from ems.store.ingest.text_table import decoded

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
    text: Callable[[bytes, str], str]


KINDS = (
    Kind("Excel", (b"PK\x03\x04",), workbook.text),
    Kind("Parquet", (b"PAR1",), tables.parquet_text),
    Kind("database of Home Assistant", (b"SQLite format 3\x00",), home_assistant.text),
    Kind("Green Button", (b"<?xml", b"<feed"), green_button.text),
    Kind("JSON lines", (b"{",), tables.json_text),
    Kind("NEM12", (b"100,NEM12", b"200,"), nem12.text),
)


def kind_of(raw: bytes) -> Kind | None:
    """The kind of a file; None for a plain text of a table."""
    start = raw[:1000].removeprefix(_MARK).lstrip()
    return next((kind for kind in KINDS if start.startswith(kind.begins)), None)


def as_text(raw: bytes, name: str) -> str:
    """A file as the text of a table. Raises a one-line ``DataError`` if it is damaged."""
    kind = kind_of(raw)
    if kind is None:
        return decoded(raw, name)
    try:
        return kind.text(raw, name)
    except _BROKEN as error:
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise DataError(f"{name}: is no {kind.name} that can be read ({reason})") from error
