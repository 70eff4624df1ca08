"""Excel workbooks: the first sheet that holds rows."""

from __future__ import annotations

import csv
import io
from datetime import date, datetime, time

from ems.errors import DataError


def text(raw: bytes, name: str) -> str:
    """The first sheet with more than one row as the text of a table; times in ISO 8601."""
    try:
        import openpyxl
    except ImportError as error:
        raise DataError(f"{name}: Excel needs openpyxl; pip install openpyxl") from error
    book = openpyxl.load_workbook(io.BytesIO(raw), read_only=True, data_only=True)
    for sheet in book.worksheets:
        rows = [[_cell(value) for value in row] for row in sheet.iter_rows(values_only=True)]
        rows = [row for row in rows if any(row)]
        if len(rows) > 1:
            written = io.StringIO()
            csv.writer(written, lineterminator="\n").writerows(rows)
            return written.getvalue()
    raise DataError(f"{name}: no sheet of the workbook has rows")


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        # Excel keeps fractions of a day, a few microseconds off.
        seconds = round(value.microsecond / 1e6)
        value = value.replace(microsecond=0)
        return datetime.fromtimestamp(value.timestamp() + seconds).isoformat()
    if isinstance(value, date | time):
        return value.isoformat()
    return str(value)
