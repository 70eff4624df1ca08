"""The Azure workspace and what is computed there, from a JSON file.

Every field is required and no other is allowed, so that a typo cannot go unnoticed. A value in
angle brackets is a placeholder: enough to show a job, not to submit it.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field, model_validator

from ems.checked import Entry, check
from ems.errors import InvalidSpec

ADDRESS = ("subscription_id", "resource_group", "workspace_name")
"""The fields that address the workspace; nothing else in a job depends on them."""

_PLACEHOLDER = "<[^<>]*>"
MOST_DAYS = 36_500
MOST_TRIALS = 1000
"""Maximum trials of one Azure ML sweep."""


def _or_placeholder(pattern: str) -> str:
    return f"^(?:{pattern}|{_PLACEHOLDER})$"


def _each_once(values: tuple[float, ...]) -> tuple[float, ...]:
    if len(set(values)) < len(values):
        raise ValueError(f"{list(values)}: name each once")
    return values


Guid = Annotated[
    str,
    Field(
        pattern=_or_placeholder("[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"),
        description="a GUID",
    ),
]
Name = Annotated[
    str,
    Field(pattern=_or_placeholder("[A-Za-z0-9_.-]+"), description="letters, digits and . _ -"),
]
LearningRates = Annotated[
    tuple[Annotated[float, Field(gt=0, le=1)], ...],
    Field(min_length=1, strict=False, description="numbers above 0, up to 1, in brackets"),
    AfterValidator(_each_once),
]
DayCounts = Annotated[
    tuple[Annotated[float, Field(gt=0, le=1e6)], ...],
    Field(min_length=1, strict=False, description="numbers above 0, up to 1e6, in brackets"),
    AfterValidator(_each_once),
]


class AzureConfig(Entry):
    """A workspace, and what is computed there.

    ``database``: a data asset with a measurements database; None: the synthetic twin.
    ``n_days``: days that Pipeline B plans. ``device``: searched by Pipeline C; None: all.
    ``lr_tau_values`` [days], ``lr_max_values``: the learning grid, one trial per cell.
    ``timeout_h``: time after which a job, and each trial, is cancelled [h].
    """

    EXPECTED: ClassVar[str] = "an object {…} with named fields"

    subscription_id: Guid
    resource_group: str = Field(
        pattern=_or_placeholder("[A-Za-z0-9_.()-]{1,90}"),
        description="letters, digits and . _ - ( )",
    )
    workspace_name: str = Field(
        pattern=_or_placeholder("[A-Za-z0-9][A-Za-z0-9_-]{2,32}"),
        description="3 to 33 letters, digits and _ -",
    )
    compute: str = Field(
        pattern=_or_placeholder("[A-Za-z][A-Za-z0-9-]{1,31}"),
        description="2 to 32 letters, digits and -",
    )
    experiment_name: str = Field(
        pattern=_or_placeholder("[A-Za-z0-9][A-Za-z0-9_-]{0,254}"),
        description="letters, digits and _ -",
    )
    database: str | None = Field(
        pattern=_or_placeholder("azureml:[A-Za-z0-9_./:@-]+"),
        description="azureml:NAME:VERSION, or null for the synthetic twin",
    )
    building: Name
    n_days: int = Field(ge=1, le=MOST_DAYS, description=f"a whole number 1 to {MOST_DAYS}")
    device: Name | None = Field(description="letters, digits and . _ -, or null for all")
    lr_tau_values: DayCounts
    lr_max_values: LearningRates
    max_concurrent_trials: int = Field(
        ge=1, le=MOST_TRIALS, description=f"a whole number 1 to {MOST_TRIALS}"
    )
    timeout_h: float = Field(gt=0, le=24 * 30, description="a number above 0, up to 720")

    @model_validator(mode="after")
    def _few_trials(self) -> AzureConfig:
        if self.n_trials > MOST_TRIALS:
            raise ValueError(f"grid: {self.n_trials} trials, allowed are at most {MOST_TRIALS}")
        return self

    @property
    def n_trials(self) -> int:
        """Cells of the learning grid."""
        return len(self.lr_tau_values) * len(self.lr_max_values)

    @property
    def placeholders(self) -> tuple[str, ...]:
        """The fields that still contain a placeholder."""
        return tuple(
            name
            for name, value in self
            if isinstance(value, str) and re.fullmatch(_PLACEHOLDER, value)
        )

    def require_address(self) -> None:
        """Raise ``InvalidSpec`` if any value is a placeholder."""
        if self.placeholders:
            raise InvalidSpec(
                f"config: {', '.join(self.placeholders)} still hold a placeholder in <…>; give "
                "your own values, or use --dry_run"
            )


def read_config(file: Path) -> AzureConfig:
    """The configuration in a JSON file. Raises ``InvalidSpec`` naming file and field."""
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
    return check(AzureConfig, found, f"config {file}", InvalidSpec)
