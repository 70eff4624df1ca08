"""Write one table with any columns into a DuckDB file of the user."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pandas as pd

from ems.errors import DataError
from ems.store.connection import is_locked


def save_table(path: str | Path, name: str, frame: pd.DataFrame) -> None:
    """Write ``frame`` as the table ``name``, replacing one of that name; others are kept.

    Raises :class:`DataError` if the file cannot be opened or written.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        con = duckdb.connect(str(path))
        try:
            con.register("incoming", frame)
            con.execute(f'CREATE OR REPLACE TABLE "{name}" AS SELECT * FROM incoming')
        finally:
            con.close()
    except (duckdb.Error, OSError) as error:
        said = str(error).strip().splitlines()[0]
        reason = (
            "is locked by another process" if is_locked(error) else f"cannot be written: {said}"
        )
        raise DataError(f"{path}: the table {name} {reason}; give another file") from error
