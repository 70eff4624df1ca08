"""Text files of rows and columns, read without guessing: every field stays a text.

Real exports have lines above the header, a row of units below it, totals at the end, any of four
encodings, and sometimes a separator at the end of every row. The header is the first line that has
all wanted columns. Every row must have as many fields as the header, or its further fields must be
empty: a row with a field too many would shift its values by one column.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ems.errors import DataError
from ems.store.ingest.containers import files_in
from ems.types import Ints

MOST_COLUMNS = 10_000
HEADER_WITHIN = 200
"""Lines among which the header is looked for."""
_TOTAL = re.compile(
    r"\s*(sum|total|gesamt|insgesamt|somme|suma|totaal|mittel|durchschnitt|average|mean|min|max|"
    r"anzahl|count|ende|end|quelle|source|erstellt|created|export|stand|hinweis|note|#)",
    re.IGNORECASE,
)
_HAS_DIGIT = re.compile(r"\d")
LONGEST_SHOWN = 60
"""Characters of a line that a message shows."""
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@dataclass(frozen=True, kw_only=True, eq=False)
class TextTable:
    """Rows of texts, and where each stands.

    ``table``: a column for each of the header; ``names``, ``lines``: the file of each row, and its
    line there, the first is 1; ``remarks``: what was left out, in words.
    """

    table: pd.DataFrame
    names: NDArray[np.object_]
    lines: Ints
    remarks: tuple[str, ...] = ()

    def where(self, i: int) -> str:
        """File and line of row ``i``."""
        return f"{self.names[i]}, row {self.lines[i]}"

    def at(self, rows: Ints) -> TextTable:
        """Only these rows, in this order."""
        return replace(
            self,
            table=self.table.iloc[rows].reset_index(drop=True),
            names=self.names[rows],
            lines=self.lines[rows],
        )

    def __len__(self) -> int:
        return len(self.lines)


class AsText(NamedTuple):
    """A file as the text of a table; ``remarks``: what its reader left out, in words."""

    text: str
    remarks: tuple[str, ...] = ()


def decoded(raw: bytes, name: str) -> str:
    """The text of a file in UTF-8, UTF-16 or Windows-1252, with or without a mark.

    Raises ``DataError`` for bytes that are no text.
    """
    for mark, encoding in _MARKS:
        if raw.startswith(mark):
            return _decoded(raw, encoding, name)
    head = raw[:4000]
    if head.count(0) * 3 > len(head):  # every other byte of Latin text in UTF-16 is zero
        return _decoded(raw, "utf-16-be" if head[:1] == b"\0" else "utf-16-le", name)
    if 0 in raw:
        raise DataError(f"{name}: holds zero bytes, it is no text; export it as CSV")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return _decoded(raw, "cp1252", name)


def _decoded(raw: bytes, encoding: str, name: str) -> str:
    try:
        return raw.decode(encoding)
    except UnicodeError as error:
        raise DataError(f"{name}: is no text in {encoding} ({error}); save it as UTF-8") from error


def text_table(
    text: str, name: str, separator: str, wanted: Sequence[str], *, key: str
) -> TextTable:
    """The rows below the header, which is the first line with all ``wanted`` columns.

    ``key``: the wanted column with the times. Lines above its first time and below its last one are
    left out where they are units, a total or a remark. Raises ``DataError`` with file and row for
    any other line without a time, and for a row that does not fit the header.
    """
    text = with_newlines(text)
    top, header = _header(text, name, separator, wanted)
    body = _after_line(text, top)
    counts, lines = _field_counts(body, separator, name, above=top + 1)
    most = int(counts.max(initial=0))
    if not most:
        raise DataError(f"{name}: has no rows below its header")
    frame = _parsed(body, separator, max(most, len(header)), name)
    kept, remarks = _data_rows(frame, counts, lines, header.index(key), name)
    _require_fitting(frame, counts, lines, kept, header, name)
    table = frame.iloc[kept, : len(header)].reset_index(drop=True)
    table.columns = pd.Index(header)
    names = np.full(len(kept), name, dtype=np.object_)
    return TextTable(table=table, names=names, lines=lines[kept], remarks=remarks)


def with_newlines(text: str) -> str:
    """The text with the line ends of Windows and old Macs as newlines."""
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def _header(text: str, name: str, separator: str, wanted: Sequence[str]) -> tuple[int, list[str]]:
    """How many lines stand above the end of the header line, and its names."""
    likeliest: list[str] = []
    for number, line in enumerate(first_lines(text, HEADER_WITHIN)):
        if line.count(separator) > MOST_COLUMNS:
            raise DataError(f"{name}: has more than {MOST_COLUMNS:,} columns")
        fields = fields_of(line, separator)
        if set(wanted) <= set(fields):
            twice = [column for column in wanted if fields.count(column) > 1]
            if twice:
                raise DataError(f"{name}: column '{twice[0]}' stands there twice; rename one")
            return number, fields
        if len(fields) > len(likeliest):
            likeliest = fields
    missing = next((column for column in wanted if column not in likeliest), wanted[0])
    shown = ", ".join(repr(column[:40]) for column in likeliest[:8])
    raise DataError(
        f"{name} has no column '{missing[:LONGEST_SHOWN]}' with separator {separator!r} "
        f"(it has {shown})"
    )


def first_lines(text: str, n: int) -> Iterator[str]:
    """The first ``n`` lines of a text, without a copy of all of it."""
    at = 0
    for _ in range(n):
        end = text.find("\n", at)
        if end < 0:
            yield text[at:]
            return
        yield text[at:end]
        at = end + 1


def fields_of(line: str, separator: str) -> list[str]:
    """The stripped fields of one line; empty ones at its end are none."""
    try:
        fields = next(csv.reader([line.rstrip("\n")], delimiter=separator), [])
    except csv.Error:
        return []
    fields = [field.strip().strip("\ufeff") for field in fields]
    while fields and not fields[-1]:
        fields.pop()
    return fields


def _after_line(text: str, number: int) -> str:
    """Everything behind line ``number``, counted from 0."""
    at = -1
    for _ in range(number + 1):
        at = text.find("\n", at + 1)
        if at < 0:
            return ""
    return text[at + 1 :]


def _field_counts(body: str, separator: str, name: str, *, above: int) -> tuple[Ints, Ints]:
    """Fields of each record, 0 for an empty line, and the line of the file in which it begins.

    ``above``: lines of the file above ``body``.
    """
    if '"' in body:
        return _counts_with_quotes(body, separator, name, above)
    raw = np.frombuffer(body.encode("utf-8"), dtype=np.uint8)
    ends = np.flatnonzero(raw == ord("\n"))
    if not raw.size:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    if not ends.size or ends[-1] != len(raw) - 1:
        ends = np.append(ends, len(raw))
    starts = np.append(0, ends[:-1] + 1)
    separators = np.flatnonzero(raw == ord(separator))
    counts = np.searchsorted(separators, ends) - np.searchsorted(separators, starts) + 1
    counts[ends == starts] = 0
    return counts.astype(np.int64), above + np.arange(1, len(ends) + 1)


def _counts_with_quotes(body: str, separator: str, name: str, above: int) -> tuple[Ints, Ints]:
    counts, lines, line = [], [], above + 1
    reader = csv.reader(io.StringIO(body, newline=""), delimiter=separator)
    try:
        for record in reader:
            counts.append(len(record))
            lines.append(line)
            line = above + reader.line_num + 1
    except csv.Error as error:
        raise DataError(f"{name}, row {line}: is no CSV ({error})") from error
    return np.array(counts, dtype=np.int64), np.array(lines, dtype=np.int64)


def _parsed(body: str, separator: str, n_columns: int, name: str) -> pd.DataFrame:
    """All records as texts, short ones filled up with empty texts."""
    try:
        return pd.read_csv(
            io.BytesIO(body.encode()),  # a text in memory would take four bytes a character
            sep=separator,
            header=None,
            names=range(n_columns),
            index_col=False,
            dtype=str,
            keep_default_na=False,
            skip_blank_lines=False,
            na_filter=False,
        )
    except (ValueError, MemoryError, OverflowError) as error:  # parser errors are ValueErrors
        raise DataError(f"{name} cannot be read as CSV: {str(error).splitlines()[0]}") from error


def _data_rows(
    frame: pd.DataFrame, counts: Ints, lines: Ints, key: int, name: str
) -> tuple[Ints, tuple[str, ...]]:
    """The rows between the units below the header and the totals at the end."""
    if len(frame) != len(counts):
        raise DataError(f"{name} cannot be read as CSV: a quote is not closed")
    keys = frame[key].to_numpy(dtype=object)
    first = next((row for row in range(len(keys)) if _is_time(keys[row])), None)
    if first is None:
        raise DataError(f"{name}: has no rows below its header")
    last = next(row for row in reversed(range(len(keys))) if _is_time(keys[row]))
    for row in range(first):
        if any(frame.iloc[row].str.contains(r"^\s*[-+]?\d", regex=True)):
            raise DataError(f"{name}, row {lines[row]}: has values but no time")
    below = [row for row in range(last + 1, len(frame)) if counts[row]]
    odd = [row for row in below if not _is_total(frame.iloc[row], key)]
    if odd:
        raise DataError(
            f"{name}, row {lines[odd[0]]}: '{frame[key].iloc[odd[0]][:LONGEST_SHOWN]}' is no time; "
            "mend or delete the row"
        )
    remarks = []
    if below:
        shown = " ".join(text for text in frame.iloc[below[0]] if text)[:LONGEST_SHOWN]
        remarks.append(
            f"{name}: {len(below)} line{'s' * (len(below) > 1)} below the data left out (row "
            f"{lines[below[0]]}: '{shown}')"
        )
    kept = np.arange(first, last + 1)
    return kept[counts[kept] > 0], tuple(remarks)


def _is_time(text: str) -> bool:
    """Whether a text may be a time: a total may name its year, and a remark its day."""
    return bool(_HAS_DIGIT.search(text)) and not _TOTAL.match(text)


def _is_total(fields: pd.Series[str], key: int) -> bool:
    """Whether a line below the data is a sum or a remark, and no row whose time is broken."""
    return bool(_TOTAL.match(fields.iloc[key])) or not any(map(_HAS_DIGIT.search, fields))


def _require_fitting(
    frame: pd.DataFrame, counts: Ints, lines: Ints, kept: Ints, header: Sequence[str], name: str
) -> None:
    """Refuse a row with more or fewer fields than the header."""
    short = np.flatnonzero(counts[kept] < len(header))
    if short.size:
        row = kept[short[0]]
        raise DataError(
            f"{name}, row {lines[row]}: has {counts[row]} fields, the header has {len(header)}; "
            "mend or delete the row"
        )
    for column in range(len(header), frame.shape[1]):
        full = np.flatnonzero((frame[column].iloc[kept] != "").to_numpy())
        if full.size:
            row = kept[full[0]]
            raise DataError(
                f"{name}, row {lines[row]}: has {counts[row]} fields, the header has "
                f"{len(header)}; is the separator right, and does the header name every column?"
            )


def even_table(path: Path) -> pd.DataFrame:
    """A table with a comma as separator, whose rows all have as many fields as its header.

    Raises a one-line ``DataError`` for a file that cannot be read, and with its row for one that
    does not fit.
    """
    files = files_in(path)
    if len(files) > 1:
        raise DataError(f"{path}: the archive holds {len(files)} files; give one of them")
    text = with_newlines(decoded(files[0][1], str(path)))
    counts, lines = _field_counts(text, ",", str(path), above=0)
    if not counts.size or not counts[0]:
        raise DataError(f"{path}: is empty; expected a CSV with a header")
    header = text.split("\n", 1)[0]
    if counts[0] > MOST_COLUMNS:
        raise DataError(f"{path}: has {counts[0]:,} columns, at most {MOST_COLUMNS:,} are read")
    if counts[0] == 1 and ";" in header:
        return pd.read_csv(io.StringIO(header))  # whoever asks for its columns says what is wrong
    odd = np.flatnonzero((counts != counts[0]) & (counts > 0))
    if odd.size:
        row = int(odd[0])
        raise DataError(
            f"{path}, row {lines[row]}: has {counts[row]} fields, the header has {counts[0]}; mend "
            "or delete the row"
        )
    try:
        return pd.read_csv(io.StringIO(text))
    except (ValueError, csv.Error, OverflowError, MemoryError) as error:
        raise DataError(f"{path}: not a CSV ({str(error).splitlines()[0]})") from error
