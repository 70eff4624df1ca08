"""Which Azure workspace a job goes to and what it computes, from a JSON file.

Every field must be there and no other, so that a misspelt one cannot be overlooked. A value in
angle brackets is a placeholder: enough to look at a job, not to submit it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from ems.errors import InvalidSpec

ADDRESS = ("subscription_id", "resource_group", "workspace_name")
"""The fields that say where a job goes; nothing else of it depends on them."""

_TEXTS: Mapping[str, tuple[str, str]] = {
    "subscription_id": (r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", "a GUID"),
    "resource_group": (r"[\w.()-]{1,90}", "letters, digits and . _ - ( )"),
    "workspace_name": (r"[A-Za-z0-9][\w-]{2,32}", "3 to 33 letters, digits and _ -"),
    "compute": (r"[A-Za-z][A-Za-z0-9-]{1,31}", "2 to 32 letters, digits and -"),
    "experiment_name": (r"[A-Za-z0-9][\w-]{0,254}", "letters, digits and _ -"),
    "database": (r"azureml:[\w./:@-]+", "azureml:NAME:VERSION, or null for the synthetic twin"),
    "building": (r"[\w.-]+", "letters, digits and . _ -"),
    "device": (r"[\w.-]+", "letters, digits and . _ -, or null for all"),
}
_OPTIONAL = ("database", "device")
_PLACEHOLDER = r"<[^<>]*>"
MOST_DAYS = 36_500
MOST_TRIALS = 1000
"""The most trials Azure ML starts in one sweep."""


@dataclass(frozen=True, kw_only=True)
class AzureConfig:
    """A workspace, and what is computed there.

    ``database``: a data asset that holds a measurements database; None: the synthetic twin.
    ``n_days``: days that Pipeline B plans. ``device``: the one that Pipeline C searches; None: all.
    ``lr_tau_values`` [days], ``lr_max_values``: the learning grid, one trial a cell.
    ``timeout_h``: after which a job, and each trial, is cancelled [h].
    """

    subscription_id: str
    resource_group: str
    workspace_name: str
    compute: str
    experiment_name: str
    database: str | None
    building: str
    n_days: int
    device: str | None
    lr_tau_values: tuple[float, ...]
    lr_max_values: tuple[float, ...]
    max_concurrent_trials: int
    timeout_h: float

    def __post_init__(self) -> None:
        for name, (pattern, allowed) in _TEXTS.items():
            _require_text(name, getattr(self, name), pattern, allowed)
        _require_whole("n_days", self.n_days, MOST_DAYS)
        _require_whole("max_concurrent_trials", self.max_concurrent_trials, MOST_TRIALS)
        _require_numbers("lr_tau_values", self.lr_tau_values, 1e6)
        _require_numbers("lr_max_values", self.lr_max_values, 1.0)
        _require_numbers("timeout_h", (self.timeout_h,), 24.0 * 30)
        if self.n_trials > MOST_TRIALS:
            raise InvalidSpec(f"grid: {self.n_trials} trials, allowed are at most {MOST_TRIALS}")

    @property
    def n_trials(self) -> int:
        """Cells of the learning grid."""
        return len(self.lr_tau_values) * len(self.lr_max_values)

    @property
    def placeholders(self) -> tuple[str, ...]:
        """The fields that still hold a placeholder."""
        named = ((name, getattr(self, name)) for name in _TEXTS)
        return tuple(name for name, value in named if value and re.fullmatch(_PLACEHOLDER, value))

    def require_address(self) -> None:
        """Raise ``InvalidSpec`` while any value is a placeholder."""
        if self.placeholders:
            raise InvalidSpec(
                f"config: {', '.join(self.placeholders)} still hold a placeholder in <…>; give "
                "your own values, or use --dry_run"
            )


def read_config(file: Path) -> AzureConfig:
    """The configuration in a JSON file; raises ``InvalidSpec`` that names the file and field."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidSpec(
            f"config {file}: {error.strerror}; copy config.example.json and fill it in"
        ) from error
    except UnicodeDecodeError as error:
        raise InvalidSpec(f"config {file}: not UTF-8 text: {error.reason}") from error
    except json.JSONDecodeError as error:
        raise InvalidSpec(
            f"config {file}: no JSON: {error.msg} in line {error.lineno}, column {error.colno}"
        ) from error
    if not isinstance(found, dict):
        raise InvalidSpec(f"config {file}: it must be an object {{…}} with named fields")
    known = [field.name for field in fields(AzureConfig)]
    _require_names(file, found, known)
    values: dict[str, Any] = {
        name: tuple(v) if isinstance(v, list) else v for name, v in found.items()
    }
    try:
        return AzureConfig(**values)
    except InvalidSpec as error:
        raise InvalidSpec(f"config {file}: {error}") from error


def _require_names(file: Path, found: Mapping[str, Any], known: list[str]) -> None:
    unknown = [name for name in found if name not in known]
    missing = [name for name in known if name not in found]
    if unknown:
        raise InvalidSpec(f"config {file}: unknown {', '.join(unknown)}; known: {', '.join(known)}")
    if missing:
        raise InvalidSpec(f"config {file}: missing {', '.join(missing)}; see config.example.json")


def _require_text(name: str, value: object, pattern: str, allowed: str) -> None:
    if value is None and name in _OPTIONAL:
        return
    if not isinstance(value, str) or not re.fullmatch(f"{pattern}|{_PLACEHOLDER}", value):
        raise InvalidSpec(f"{name} is {json.dumps(value)}, allowed: {allowed}")


def _require_whole(name: str, value: object, most: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise InvalidSpec(f"{name} is {json.dumps(value)}, allowed: a whole number 1 to {most}")


def _require_numbers(name: str, values: object, most: float) -> None:
    allowed = f"numbers above 0, up to {most:g}"
    if not isinstance(values, tuple) or not values:
        raise InvalidSpec(f"{name} is {json.dumps(values)}, allowed: {allowed}, in brackets")
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= most:
            raise InvalidSpec(f"{name} is {json.dumps(value)}, allowed: {allowed}")
    if len(set(values)) < len(values):
        raise InvalidSpec(f"{name} is {json.dumps(values)}: name each once")
