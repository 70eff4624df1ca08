"""Check files that people write: known keys, values of the right type.

An ``Entry`` describes a table of such a file. pydantic finds the errors; ``check`` reports the
first in one line: file and table, key, value, and what is expected.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from ems.errors import EmsError


class Entry(BaseModel):
    """A table of a file: closed, frozen, no value converted.

    A field's description is what the error message says is expected; ``EXPECTED`` is the same for
    the table as a whole.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)
    EXPECTED: ClassVar[str] = "a table"


Checked = TypeVar("Checked", bound=Entry)


def read_toml(path: Path, who: str, error: type[EmsError]) -> dict[str, Any]:
    """The tables of a TOML file. Raises ``error`` if it cannot be read or parsed."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))  # Windows editors put a mark
    except OSError as reason:
        raise error(f"{who}: cannot read {path}: {reason.strerror}; check the path") from reason
    except UnicodeDecodeError as reason:
        raise error(
            f"{who}: {path} is not a text file in UTF-8; save it in that encoding"
        ) from reason
    except (ValueError, RecursionError) as reason:  # TOML's own errors are ValueErrors
        told = str(reason).split(";")[0]
        raise error(f"{who}: {path} is not valid TOML: {told}") from reason


def check(entry: type[Checked], values: object, who: str, error: type[EmsError]) -> Checked:
    """``values`` as an ``entry``. Raises ``error``, beginning with ``who``, if they do not fit."""
    try:
        return entry.model_validate(values)
    except ValidationError as found:
        raise error(_one_line(entry, found.errors()[0], who)) from found


def _one_line(entry: type[Entry], details: ErrorDetails, who: str) -> str:
    location, problem = details["loc"], details["type"]
    tables = _names(location)
    where = ", ".join([who, *tables[:-1]])
    keys = [i for i, part in enumerate(location) if isinstance(part, str)]  # others: array places
    around = _entry_at(entry, location[: keys[-1]] if keys else ())
    field = around.model_fields.get(str(location[keys[-1]])) if keys else None
    expected = field.description if field else None
    if problem == "missing" and field:
        inner = _inner(field.annotation)
        expected = expected or (inner.EXPECTED if inner else None)
        return f"{where}: {tables[-1]} is missing" + (f", expected {expected}" if expected else "")
    if problem == "extra_forbidden":
        return f"{where}: unknown key {location[-1]!r}, known are {', '.join(around.model_fields)}"
    if problem == "value_error":  # a validator of ours, which says all of it
        return f"{', '.join([who, *tables])}: {details['ctx']['error']}"
    if problem == "model_type":
        expected = expected or _entry_at(entry, location).EXPECTED
    expected = expected or details["msg"].removeprefix("Input should be ")
    key = tables[-1] if tables else "it"
    return f"{where}: {key} = {details['input']!r}, expected {expected}"


def _names(location: Sequence[int | str]) -> list[str]:
    """Keys on the path to a value; array items carry their number: ``file 1``."""
    names: list[str] = []
    for part in location:
        if isinstance(part, int):
            # People count from 1.
            names[-1] += f" {part + 1}"
        else:
            names.append(part)
    return names


def _entry_at(entry: type[Entry], location: Sequence[int | str]) -> type[Entry]:
    for part in location:
        if part in entry.model_fields:
            entry = _inner(entry.model_fields[str(part)].annotation) or entry
    return entry


def _inner(annotation: Any) -> type[Entry] | None:
    """The entry inside an annotation such as ``tuple[Entry, ...]`` or ``Entry | None``."""
    if isinstance(annotation, type) and issubclass(annotation, Entry):
        return annotation
    return next((found for part in get_args(annotation) if (found := _inner(part))), None)
