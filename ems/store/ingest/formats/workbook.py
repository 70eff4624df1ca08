"""Excel workbooks: the first sheet that holds rows."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta

import openpyxl

from ems.errors import DataError
from ems.store.ingest.text_table import AsText


def text(raw: bytes, name: str) -> AsText:
    """The first sheet with more than one row as the text of a table; times in ISO 8601."""
    book = openpyxl.load_workbook(io.BytesIO(raw), read_only=True, data_only=True)
    for sheet in book.worksheets:
        rows = [row for row in sheet.iter_rows(values_only=True) if any(row)]
        if len(rows) > 1:
            written = io.StringIO()
            csv.writer(written, lineterminator="\n").writerows(_texts(rows))
            return AsText(written.getvalue())
    raise DataError(f"{name}: no sheet of the workbook has rows")


def _texts(rows: Sequence[Sequence[object]]) -> list[list[str]]:
    width = max(map(len, rows))
    only_days = [all(_is_day(row[i]) for row in rows if i < len(row)) for i in range(width)]
    return [
        [_text(cell, only_days=only_days[i]) for i, cell in enumerate(row)]
        + [""] * (width - len(row))
        for row in rows
    ]


def _is_day(cell: object) -> bool:
    """Whether a cell is no time of day; a column of such cells holds days."""
    return not isinstance(cell, datetime) or cell.time() == time()


def _text(cell: object, *, only_days: bool) -> str:
    if cell is None:
        return ""
    if isinstance(cell, datetime):
        # Excel keeps fractions of a day, a few microseconds off.
        found = (cell + timedelta(milliseconds=500)).replace(microsecond=0)
        return found.date().isoformat() if only_days else found.isoformat()
    if isinstance(cell, time):
        return _text(datetime.combine(date(2000, 1, 1), cell), only_days=False)[11:]
    if isinstance(cell, date):
        return cell.isoformat()
    if isinstance(cell, timedelta):  # a time of day, which may be 24:00:00
        minutes, seconds = divmod(round(cell.total_seconds()), 60)
        return f"{minutes // 60:02d}:{minutes % 60:02d}:{seconds:02d}"
    return str(cell)
