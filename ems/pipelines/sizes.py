"""Several sizes of a battery or of PV in one table: a comparison of modes for each, same days.

What every size saves is measured against the house as it stands: its own PV, no battery, nobody
planning. So the metered PV (scale 1) is always among the sizes. The best rule has the size of its
row: the saving against it is what planning adds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from ems.core.mode import Mode
from ems.economics.settlement import DayKpis, Savings, savings
from ems.errors import DataError
from ems.pipelines.comparison import ModeSummary
from ems.pipelines.spec import PLANNED, ComparisonSpec
from ems.site.assets import Assets


@dataclass(frozen=True, kw_only=True)
class Size:
    """One size: usable capacity of the battery [kWh], None without one, and multiple of the PV.

    ``label``: its name in tables and stores; only what differs between the sizes is in it.
    """

    battery_kwh: float | None
    pv_scale: float
    label: str


@dataclass(frozen=True, kw_only=True)
class SizeRow:
    """One size under one mode; ``size`` None: as metered, the house as it stands."""

    building: str
    size: Size | None
    mode: Mode
    kpis: DayKpis
    vs_metered: Savings | None
    vs_rule: Savings | None


def size_of(assets: Assets, several: Sequence[Assets]) -> Size:
    """The size of some assets among others, named by what differs between them.

    >>> from ems.agents import BatteryAgent
    >>> small, large = (Assets(battery=BatteryAgent(capacity_kwh=kwh)) for kwh in (8.0, 15.0))
    >>> size_of(large, [small, large]).label
    'battery 15 kWh'
    """
    battery_kwh = _battery_kwh(assets)
    parts = []
    if len({_battery_kwh(other) for other in several}) > 1:
        parts.append("no battery" if battery_kwh is None else f"battery {battery_kwh:g} kWh")
    if len({other.pv_scale for other in several}) > 1:
        parts.append(f"PV x {assets.pv_scale:g}")
    return Size(battery_kwh=battery_kwh, pv_scale=assets.pv_scale, label=", ".join(parts))


def _battery_kwh(assets: Assets) -> float | None:
    return None if assets.battery is None else assets.battery.capacity_kwh


def sized(spec: ComparisonSpec, several: Sequence[Assets]) -> Mapping[Size, ComparisonSpec]:
    """The specification of each size, in order."""
    return {size_of(assets, several): replace(spec, assets=assets) for assets in several}


def size_rows(found: Mapping[Size, Sequence[ModeSummary]]) -> tuple[SizeRow, ...]:
    """As metered, then every planned mode of every size, building by building.

    Raises ``DataError`` if no size has the metered PV: nothing shows the house as it stands.
    """
    own = [summaries for size, summaries in found.items() if size.pv_scale == 1]
    if not own:
        raise DataError("sizes: none has the metered PV (pv_scale 1), so no saving can be told")
    stands = {row.building: row.kpis for row in own[0] if row.mode == "as_metered"}
    return tuple(row for name, kpis in stands.items() for row in _rows(name, kpis, found))


def _rows(
    building: str, metered: DayKpis, found: Mapping[Size, Sequence[ModeSummary]]
) -> Iterator[SizeRow]:
    nothing: dict[str, None] = {"size": None, "vs_metered": None, "vs_rule": None}
    yield SizeRow(building=building, mode="as_metered", kpis=metered, **nothing)
    for size, summaries in found.items():
        for row in summaries:
            if row.building == building and row.mode in PLANNED:
                yield SizeRow(
                    building=building,
                    size=size,
                    mode=row.mode,
                    kpis=row.kpis,
                    vs_metered=savings(row.kpis, metered),
                    vs_rule=row.against["rule_based"],
                )
