"""Tables that other programs write: Parquet and JSON lines."""

from __future__ import annotations

import io
import json

import pandas as pd

from ems.store.ingest.text_table import decoded


def parquet_text(raw: bytes, name: str) -> str:
    """A Parquet file as the text of a table; times in ISO 8601."""
    return frame_text(pd.read_parquet(io.BytesIO(raw)))


def json_text(raw: bytes, name: str) -> str:
    """A file with one JSON object a line; keys are columns."""
    lines = [line for line in decoded(raw, name).splitlines() if line.strip()]
    records = [json.loads(line) for line in lines]
    for number, record in enumerate(records, start=1):
        if not isinstance(record, dict):
            raise ValueError(f"line {number} is no object")
    return frame_text(pd.DataFrame.from_records(records))


def frame_text(frame: pd.DataFrame) -> str:
    """A frame as the text of a table, its index of times as a column."""
    if isinstance(frame.index, pd.DatetimeIndex):
        frame = frame.reset_index(names=str(frame.index.name or "time"))
    times = frame.select_dtypes(include=["datetime", "datetimetz"]).columns
    for column in times:
        frame[column] = [t.isoformat() if not pd.isna(t) else "" for t in frame[column]]
    return frame.to_csv(index=False)
