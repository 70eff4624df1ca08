"""Numbers as people and portals write them, and the marks they use where there is none."""

from __future__ import annotations

import re
from typing import cast

import numpy as np
import pandas as pd

from ems.errors import DataError
from ems.store.ingest.text_table import LONGEST_SHOWN, TextTable
from ems.types import Bools, Floats

MISSING = frozenset(
    {"", "-", "--", "---", "–", "—", "n/a", "na", "n.a.", "#n/a", "#nv", "nan", "null", "none"}
    | {
        "nil",
        "unavailable",
        "unknown",
        "missing",
        "?",
        "*",
        "k.a.",
        "n.v.",
        "n.v",
        "n.d.",
        "no data",
        "nodata",
        "fehlt",
        "#wert!",
        "#value!",
    }
)
"""Marks of a missing value, in lower case."""
_POWER_OF_TEN = re.compile(r"[-+]?\d(?:\.\d+)?[eE][-+]\d{1,2}")
"""A number as programs write small ones, such as 1.2e-05."""
_SPACES = " \u00a0\u202f\u2009'\u2019_"
"""What separates thousands without being a decimal sign anywhere."""


def numbers(rows: TextTable, column: str, decimal: str) -> Floats:
    """A column as numbers, NaN where it has a mark of a missing value.

    Thousands may be separated by spaces, apostrophes, or the sign that is not the decimal one where
    a number with both proves it. Raises ``DataError`` with the row of anything else.
    """
    texts = rows.table[column].str.strip()
    plain = texts.str.replace(",", ".", regex=False) if decimal == "," else texts
    values = _plain(plain)
    # A point in a file with decimal commas, and the other way round, is for the slow road.
    other = "." if decimal == "," else ","
    doubtful = ~np.isfinite(values) | _holds(texts, other) | _holds(texts, "e") | _holds(texts, "E")
    if doubtful.any():
        values = values.copy()
        values[doubtful] = _slowly(rows, column, texts, doubtful, decimal, other)
    return values


def _plain(texts: pd.Series[str]) -> Floats:
    """The texts as numbers, NaN where they are none."""
    try:  # four times as fast, but for clean columns only
        return np.asarray(texts.to_numpy(dtype=object), dtype=np.float64)
    except ValueError:
        return pd.to_numeric(texts, errors="coerce").to_numpy(np.float64, na_value=np.nan)


def _holds(texts: pd.Series[str], sign: str) -> Bools:
    return texts.str.contains(sign, regex=False).to_numpy(dtype=bool)


def _slowly(
    rows: TextTable,
    column: str,
    texts: pd.Series[str],
    doubtful: Bools,
    decimal: str,
    other: str,
) -> Floats:
    """The numbers that are not plain."""
    proven = bool(
        texts.str.fullmatch(rf"[-+]?\d{{1,3}}(?:\{other}\d{{3}})+\{decimal}\d+", na=False).any()
    )
    found = np.full(int(doubtful.sum()), np.nan)
    for place, i in enumerate(np.flatnonzero(doubtful)):
        text = texts.iloc[int(i)]
        if text.lower() in MISSING:
            continue
        number = _number(text, decimal, other, proven=proven)
        if number is None:
            hint = (
                f"; if '{other}' separates thousands here, remove it"
                if text.count(other) and not proven
                else ""
            )
            raise DataError(
                f"{rows.where(int(i))}, column '{column[:LONGEST_SHOWN]}': "
                f"'{text[:LONGEST_SHOWN]}' is no number with decimal = '{decimal}'{hint}"
            )
        found[place] = number
    return cast(Floats, found)


def _number(text: str, decimal: str, other: str, *, proven: bool) -> float | None:
    """A number, or None if the text is none or could be two."""
    plain = text.translate({ord(space): None for space in _SPACES})
    if plain != text and not _in_threes(text, decimal):
        return None
    if other in plain:
        whole, _, _ = plain.partition(decimal)
        groups = whole.lstrip("+-").split(other)
        in_threes = (
            len(groups) > 1
            and 1 <= len(groups[0]) <= 3
            and groups[0] != "0"
            and all(len(group) == 3 for group in groups[1:])
        )
        # Two separators of thousands prove themselves; one may be a decimal sign.
        if not in_threes or not (proven or len(groups) > 2):
            return None
        plain = plain.replace(other, "")
    plain = plain.replace(decimal, ".")
    if "e" in plain.lower() and not _POWER_OF_TEN.fullmatch(plain):
        return None
    try:
        value = float(plain)
    except (ValueError, OverflowError):
        return None
    return value if np.isfinite(value) else None


def _in_threes(text: str, decimal: str) -> bool:
    """Whether spaces or apostrophes separate groups of three digits."""
    whole, _, _ = text.strip().lstrip("+-").partition(decimal)
    for space in _SPACES:
        whole = whole.replace(space, " ")
    first, *others = whole.split(" ")
    return (
        1 <= len(first) <= 3
        and first.isdigit()
        and all(len(group) == 3 and group.isdigit() for group in others)
    )
