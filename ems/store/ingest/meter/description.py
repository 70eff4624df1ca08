"""The TOML file that describes a user's own meter (see ``docs/sources.md``), validated."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field, model_validator

from ems.checked import Entry, check, read_toml
from ems.errors import DataError
from ems.site.meters import Category, Feed, Role
from ems.site.place import Place

STAMPS_CARRY_OFFSET = "offset in every stamp"
"""``timestamp_zone`` of a file with stamps such as ``2016-10-30T02:00+01:00`` or ``…Z``."""
ALL_COLUMNS = "*"
"""``column`` of the only meter of a file with a row a day."""

_CATEGORIES: Mapping[Role, frozenset[Category]] = {
    "import": frozenset({"grid"}),
    "export": frozenset({"grid"}),
    "pv": frozenset({"pv"}),
    "load": frozenset({"ev", "discrete_phase", "partial_usage", "fixed"}),
    "charge": frozenset({"battery"}),
    "discharge": frozenset({"battery"}),
}
PER_KWH: Mapping[str, float] = {
    "MWh": 1e-3,
    "kWh": 1.0,
    "Wh": 1e3,
    "MW": 1e-3,
    "kW": 1.0,
    "W": 1e3,
    "pulses": 1.0,
}
"""How many of a unit are one kWh, or one kW."""
Minutes = Literal[1, 5, 10, 15, 30, 60]
STEPS_MIN: tuple[int, ...] = get_args(Minutes)
"""Allowed steps, and distances of rows [min]."""
_OFF_NOON_H = 4.0
"""Maximum distance between solar noon and clock noon [h]; the real maximum is 3 h, in China."""

Text = Annotated[str, Field(min_length=1, description="a text")]


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(
            f"'{name}' is no time zone; expected a name such as 'Europe/Berlin' or 'UTC'"
        ) from error
    return name


def _zone_of_stamps(name: str) -> str:
    try:
        return name if name == STAMPS_CARRY_OFFSET else _zone(name)
    except ValueError as error:
        raise ValueError(f"{error} or '{STAMPS_CARRY_OFFSET}'") from error


class PlaceEntry(Entry):
    """Location of the building."""

    name: Text
    latitude_deg: float = Field(description="a number")
    longitude_deg: float = Field(description="a number")
    country: Text
    subdivision: str = ""

    @model_validator(mode="after")
    def _is_known(self) -> PlaceEntry:
        self.place()
        return self

    def place(self) -> Place:
        """The place. Raises ``InvalidSpec`` if it is not on Earth."""
        return Place(**dict(self))


class MeterFeed(Entry):
    """One column of a file and its meter.

    ``category``: needed for loads; for others it follows from the role. ``kind``: a value for each
    row, a count that rises, or a count that starts again each local day. ``part``: only the
    positive or the negative values of a signed column, as numbers above zero. ``exchanges``: time
    stamps, as in the file, of the first reading of a new meter; the step before it is a gap, and
    the count may start again.
    """

    column: Text
    name: Text
    role: Role
    category: Category | None = None
    kind: Literal["cumulative", "daily", "interval"]
    unit: Literal["kWh", "Wh", "MWh", "kW", "W", "MW", "pulses"]
    pulses_per_kwh: float | None = Field(default=None, gt=0, description="a number above 0")
    part: Literal["positive", "negative"] | None = None
    behind_import: bool = Field(default=True, description="true or false")
    exchanges: tuple[str, ...] = Field(default=(), strict=False, description="a list of texts")

    @model_validator(mode="after")
    def _fits_together(self) -> MeterFeed:
        allowed = _CATEGORIES[self.role]
        if self._category not in allowed:
            raise ValueError(
                f"category = '{self.category}', expected {' | '.join(sorted(allowed))} for role = "
                f"'{self.role}'"
            )
        if self.kind != "interval" and self.is_power:
            raise ValueError(f"unit = '{self.unit}', expected an energy for kind = '{self.kind}'")
        if self.kind != "interval" and self.part:
            raise ValueError("part belongs to kind = 'interval', a count has no sign")
        if (self.unit == "pulses") != (self.pulses_per_kwh is not None):
            raise ValueError("pulses_per_kwh belongs to unit = 'pulses', and is needed with it")
        return self

    @property
    def _category(self) -> Category:
        only = tuple(_CATEGORIES[self.role])
        return self.category or (only[0] if len(only) == 1 else "grid")

    @property
    def is_power(self) -> bool:
        """Whether its values are powers."""
        return self.unit in ("kW", "W", "MW")

    @property
    def feed(self) -> Feed:
        """The meter as a ``Feed``."""
        return Feed(
            name=self.name,
            role=self.role,
            category=self._category,
            behind_import=self.behind_import,
        )


class MeterFile(Entry):
    """Files of one layout, read one after the other as if they were one.

    ``paths``: names or patterns such as ``2024-*.csv``. ``row``: whether a row is an interval, or a
    whole day with a column for each of its hours or shorter intervals. ``register_column``: with
    ``row = "day"``, what tells several rows of one day apart; feeds are then named by its texts.
    ``time_column``: the time of day, where it has a column of its own. ``clock_changes``: whether
    values in the hour that the clock skips are left out (``gap``) or refused (``strict``).
    """

    paths: tuple[str, ...] = Field(min_length=1, strict=False, description="at least one text")
    separator: Literal[",", ";", "\t", "|"] = ","
    decimal: Literal[".", ","] = "."
    row: Literal["interval", "day"] = "interval"
    register_column: Text | None = None
    timestamp_column: Text
    time_column: Text | None = None
    timestamp_format: Text = "ISO8601"
    clock_changes: Literal["strict", "gap"] = "strict"
    timestamp_zone: Annotated[Text, AfterValidator(_zone_of_stamps)]
    label: Literal["start", "end"]
    feed: tuple[MeterFeed, ...] = Field(
        min_length=1, strict=False, description="one or more [[file.feed]] tables"
    )

    @model_validator(mode="after")
    def _separator_is_no_decimal(self) -> MeterFile:
        if self.separator == self.decimal:
            raise ValueError(f"separator and decimal are both '{self.decimal}'")
        return self

    @model_validator(mode="after")
    def _rows_of_days_are_whole(self) -> MeterFile:
        if self.row == "interval":
            if self.register_column is not None:
                raise ValueError("register_column belongs to row = 'day'")
            return self
        if self.time_column is not None or self.label != "start":
            raise ValueError(
                "row = 'day' needs label = 'start' and no time_column: the names of its columns "
                "say which interval each is"
            )
        if self.timestamp_zone == STAMPS_CARRY_OFFSET:
            raise ValueError("row = 'day' needs a time zone in timestamp_zone: that of its days")
        for entry in self.feed:
            if entry.kind != "interval":
                raise ValueError(f"kind = '{entry.kind}', expected 'interval' with row = 'day'")
            if self.register_column is None and entry.column != ALL_COLUMNS:
                raise ValueError(
                    f"column = '{entry.column}', expected '{ALL_COLUMNS}' (all columns of the day) "
                    "with row = 'day' and no register_column"
                )
        return self


class MeterConfig(Entry):
    """The contents of the TOML file; its paths are relative to its folder."""

    building: Text
    kind: Literal["residential", "industrial", "public"]
    place: PlaceEntry = Field(description="a table [place]")
    timezone: Annotated[Text, AfterValidator(_zone)]
    step_minutes: Minutes
    synthetic: bool = Field(default=False, description="true or false")
    prices: str | None = Field(default=None, description="a path")
    file: tuple[MeterFile, ...] = Field(
        min_length=1, strict=False, description="one or more [[file]] tables"
    )

    @property
    def feeds(self) -> tuple[Feed, ...]:
        """The meters of all files."""
        return tuple(entry.feed for file in self.file for entry in file.feed)

    @model_validator(mode="after")
    def _feeds_fit_together(self) -> MeterConfig:
        names = [feed.name for feed in self.feeds]
        twice = sorted({feed for feed in names if names.count(feed) > 1})
        if twice:
            raise ValueError(f"feed '{twice[0]}' stands there twice; names must differ")
        roles = {feed.role for feed in self.feeds}
        if "import" not in roles:
            raise ValueError("no feed has role 'import'; the meter at the grid is needed")
        if len(roles & {"charge", "discharge"}) == 1:
            raise ValueError(
                "a battery needs two feeds, roles 'charge' and 'discharge'; for one signed column "
                'give it twice, with part = "positive" and "negative"'
            )
        if "export" not in roles and any(f.role == "pv" and f.behind_import for f in self.feeds):
            raise ValueError(
                "there is a feed with role 'pv' but none with role 'export'; add the feed-in meter "
                "(a column of zeros where nothing is ever fed in)"
            )
        return self

    @model_validator(mode="after")
    def _noon_is_near_noon(self) -> MeterConfig:
        """Refuse a longitude that contradicts the time zone, as with a wrong sign."""
        ahead = ZoneInfo(self.timezone).utcoffset(datetime(2016, 1, 1)) or timedelta()
        late_h = ahead / timedelta(hours=1) - self.place.longitude_deg / 15.0
        off_h = abs((late_h + 12.0) % 24.0 - 12.0)
        if off_h > _OFF_NOON_H:
            raise ValueError(
                f"at longitude_deg = {self.place.longitude_deg:g} the sun is highest {off_h:.1f} h "
                f"from noon in timezone = '{self.timezone}'; correct one of them (west of "
                "Greenwich is negative)"
            )
        return self


def read_config(config: Path) -> MeterConfig:
    """The validated TOML file.

    Raises ``DataError`` for a file that is missing, not TOML, lacks a key, or has an unknown key or
    an invalid value.
    """
    return check(
        MeterConfig, read_toml(config, "meter", DataError), f"meter: {config.name}", DataError
    )
