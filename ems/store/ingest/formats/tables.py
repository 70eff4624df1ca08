"""Tables that other programs write: Parquet and JSON lines."""

from __future__ import annotations

import io
import json

import pandas as pd

from ems.store.ingest.text_table import AsText, decoded


def parquet_text(raw: bytes, name: str) -> AsText:
    """A Parquet file as the text of a table; times in ISO 8601."""
    return frame_text(pd.read_parquet(io.BytesIO(raw)))


def json_text(raw: bytes, name: str) -> AsText:
    """A file with one JSON object a line, or with a list of them; keys are columns."""
    text = decoded(raw, name).strip()
    parts = [text] if text.startswith("[") else [line for line in text.splitlines() if line.strip()]
    found = [_DECODER.decode(part) for part in parts]
    records = found[0] if text.startswith("[") else found
    for number, record in enumerate(records, start=1):
        if not isinstance(record, dict):
            raise ValueError(f"line {number} is no object")
    return frame_text(pd.DataFrame.from_records(records))


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands there twice")
    return found


_DECODER = json.JSONDecoder(parse_int=str, parse_float=str, object_pairs_hook=_once)
"""Numbers stay as they are written."""


def frame_text(frame: pd.DataFrame) -> AsText:
    """A frame as the text of a table, its index of times as a column."""
    if isinstance(frame.index, pd.DatetimeIndex):
        frame = frame.reset_index(names=str(frame.index.name or "time"))
    times = frame.select_dtypes(include=["datetime", "datetimetz"]).columns
    for column in times:
        frame[column] = [t.isoformat() if not pd.isna(t) else "" for t in frame[column]]
    return AsText(frame.to_csv(index=False))
