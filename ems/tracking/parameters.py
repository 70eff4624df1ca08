"""Specifications as MLflow's flat, short parameters, and as JSON."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from datetime import date, datetime
from typing import Any

LONGEST_PARAMETER = 500
"""Length that every MLflow server stores [characters]; parameters.json is not cut."""

LONGEST_NAME = 250
LONGEST_TAG = 5000


def flat(parameters: Mapping[str, object]) -> dict[str, str]:
    """Nested parameters as text under dotted names; list items use their ``name`` if they have one.

    >>> flat({"tariff": {"fees": [{"name": "grid", "ct": 7.5}]}, "ev": None})
    {'tariff.fees.grid.name': 'grid', 'tariff.fees.grid.ct': '7.5', 'ev': 'none'}
    """
    found: dict[str, str] = {}
    for key, value in plain(parameters).items():
        found |= {_parameter_name(name): text for name, text in _leaves(key, value)}
    return found


def _leaves(name: str, value: Any) -> Iterator[tuple[str, str]]:
    """Name and text of every plain value below ``name``."""
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _leaves(f"{name}.{key}", item)
    elif isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        for i, item in enumerate(value):
            yield from _leaves(f"{name}.{item.get('name', i)}", item)
    elif value is None:
        yield name, "none"
    else:
        yield name, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _parameter_name(name: str) -> str:
    """Replace characters that MLflow rejects; it allows letters, digits, blanks and _ - . :"""
    return re.sub(r"[^\w.\- :]|^\.", "_", name)[:LONGEST_NAME] or "_"


def plain(value: Any) -> Any:
    """Dataclasses, mappings, sequences, dates and numpy numbers as JSON types."""
    if is_dataclass(value) and not isinstance(value, type):
        return {item.name: plain(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        # Sets have no order; runs must be comparable as text.
        items = sorted(value) if isinstance(value, set | frozenset) else value
        return [plain(item) for item in items]
    if isinstance(value, date | datetime):
        return value.isoformat()
    # numpy arrays and scalars, without importing numpy.
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # JSON has no inf or nan
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def shortened(value: str) -> str:
    """The text as MLflow stores it; cut text says where the whole is."""
    if len(value) <= LONGEST_PARAMETER:
        return value
    end = " … (whole in parameters.json)"
    return value[: LONGEST_PARAMETER - len(end)] + end
