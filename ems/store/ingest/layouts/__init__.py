"""Known layouts of portals and devices: what their columns mean, one TOML file each.

To add one, write a file beside this one with the keys of :class:`Layout`, and its source in a
comment. A ``*`` in the name of a column stands for any text, such as the number of a meter. Only
what is known is written: a column that is not listed is not read.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import Field

from ems.checked import Entry, check, read_toml
from ems.errors import DataError

LOCAL_TIME = "local time of the house"
"""``timestamp_zone`` of a portal used in many zones: the house says which."""


class LayoutFeed(Entry):
    """A column and its meter."""

    column: str
    role: Literal["import", "export", "pv", "load", "charge", "discharge"]
    kind: Literal["interval", "cumulative"]
    unit: Literal["kWh", "Wh", "kW", "W"]


class Layout(Entry):
    """How the files of one portal look.

    ``time_column``: where day and time stand apart; ``timestamp_format`` is then that of both with
    a space between. ``also``: further columns that show that it is this portal. ``country`` is
    empty for what is used in many.
    """

    name: str
    country: str
    separator: Literal[",", ";", "\t"]
    decimal: Literal[".", ","]
    timestamp_column: str
    time_column: str | None = None
    timestamp_format: str
    timestamp_zone: str
    label: Literal["start", "end"]
    also: tuple[str, ...] = Field(default=(), strict=False, description="a list of texts")
    feed: tuple[LayoutFeed, ...] = Field(min_length=1, strict=False, description="[[feed]] tables")

    @property
    def needed(self) -> frozenset[str]:
        """The columns without which it is another portal, in lower case."""
        times = (self.timestamp_column, self.time_column or self.timestamp_column)
        return frozenset(map(_plain, (*times, *self.also)))

    def times(self, header: Sequence[str]) -> tuple[str, ...]:
        """The column or the two columns of the time, as the header writes them."""
        wanted = [self.timestamp_column, *([self.time_column] if self.time_column else [])]
        return tuple(name for want in wanted for name in header if _plain(name) == _plain(want))

    def columns(self, header: Sequence[str]) -> dict[str, LayoutFeed]:
        """The columns of a header that are meters; capitals and spaces around do not count."""
        return {
            name: feed
            for feed in self.feed
            for name in header
            if _pattern(feed.column).fullmatch(_plain(name))
        }


def _plain(name: str) -> str:
    return name.strip().casefold()


def _pattern(column: str) -> re.Pattern[str]:
    """The column as a pattern in which ``*`` is any text."""
    return re.compile(".*".join(re.escape(part) for part in _plain(column).split("*")))


@cache
def known_layouts() -> tuple[Layout, ...]:
    """All layouts, in the order of their files. Raises ``DataError`` for one that is not valid."""
    return tuple(
        check(Layout, read_toml(path, "layout", DataError), f"layout: {path.name}", DataError)
        for path in sorted(Path(__file__).parent.glob("*.toml"))
    )


def layout_of(header: Sequence[str]) -> Layout | None:
    """The layout that knows most of the columns of a header, None if none does.

    >>> layout_of([" Consumption (kwh)", " Start", " End"]).name
    'Octopus Energy, half-hours'
    """
    names = frozenset(map(_plain, header))
    fitting = [layout for layout in known_layouts() if layout.needed <= names]
    known = {layout.name: (len(layout.columns(header)), len(layout.needed)) for layout in fitting}
    best = max(fitting, key=lambda layout: known[layout.name], default=None)
    return best if best is not None and known[best.name][0] else None
