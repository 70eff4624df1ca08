"""Report section on assumptions: every figure of the tariff, and the assets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ems.agents.ev import LATEST_H
from ems.economics.tariff import Tariff
from ems.pipelines.spec import ComparisonSpec
from ems.report.page import words
from ems.report.page.page import Section, Table
from ems.site.assets import Assets, EVSpec
from ems.site.building import Building

_SPELLED = {"vat": "VAT", "eeg levy": "EEG levy", "chp levy": "CHP levy", "feed in": "feed-in"}


def assumptions_section(
    spec: ComparisonSpec, buildings: Sequence[Building], discomfort: str
) -> Section:
    """Every figure of the tariff with its source, and the assets of the buildings.

    ``discomfort``: the discomfort of a moved start, in words.
    """
    tariff = spec.tariff
    told = (
        f"Tariff “{tariff.name}”: {tariff.description.rstrip('.')}. Where the source is “assumed” "
        "the figure is ours. Standing charges are in no bill: no plan changes them."
    )
    figures, assets = list(_figures(tariff)), list(_assets(spec, buildings, discomfort))
    heads = ("figure", "value", "source")
    tables = [Table("assets and rules", ("what", "how"), assets, n_texts=None)]
    if figures:  # the plain day-ahead price has none
        tables = [Table("every figure of the tariff", heads, figures, n_texts=None), *tables]
    return Section("The assumptions", (told,), tables=tables)


def _figures(tariff: Tariff) -> Iterator[tuple[str, str, str]]:
    for figure in tariff.figures:
        name = figure.name.removeprefix("fees.").replace("_", " ").replace(".", " ")
        value, unit = figure.value, figure.unit
        if unit == "1":
            value, unit = 100 * value, "%"
        said = f"{value:g}{words.NBSP}{unit}".replace("-", "−")
        yield _SPELLED.get(name, name), said, figure.source
    if tariff.kind == "tou":
        begin, end = tariff.low_hours
        yield "low import from … to", f"{begin:g}:00 … {end:g}:00", "hours of the low price"


def _assets(
    spec: ComparisonSpec, buildings: Sequence[Building], discomfort: str
) -> Iterator[tuple[str, str]]:
    assets = spec.assets
    yield "battery", _battery(assets)
    yield "car", "not planned" if assets.ev is None else _car(assets.ev, buildings)
    yield "appliances", _appliances(assets, buildings, discomfort)
    yield "sun", "may be curtailed" if assets.curtailable_pv else "is never curtailed"
    yield "grid connection", _grid(assets)
    if assets.one_meter:
        yield "meters", "as if circuits with meters of their own were behind the building's meter"
    if assets.cross_flow == "absorbed":
        yield (
            "registers",
            "what import and export counted in the same step is taken by the battery in every row "
            "but as metered",
        )
    yield (
        "plans",
        f"local days with {spec.lookahead_h:g} h of look-ahead, at whose end a stored kWh "
        "is worth what it is to the plan that knows everything; "
        f"solved to within {spec.solver.mip_gap:g} of their cost",
    )


def _battery(assets: Assets) -> str:
    battery = assets.battery
    if battery is None:
        return "none"
    return (
        f"{battery.capacity_kwh:g} kWh, {battery.max_charge_kw:g} kW, "
        f"{100 * battery.round_trip_efficiency:g} % round trip, wear "
        f"{battery.wear_eur_per_kwh:g} €/kWh of throughput (assumed), and by time alone "
        f"{battery.calendar_eur_per_kwh_a:g} €/kWh of capacity a year (assumed, in no figure: no "
        "plan changes it, but who has no battery does not pay it); begins with "
        f"{battery.initial_soc_kwh:g} kWh"
    )


def _car(ev: EVSpec, buildings: Sequence[Building]) -> str:
    full_by = f"{ev.must_be_full_by_hour}:00"
    uses = {
        True: f"metered: plugged in from when it was metered to charge to {full_by}, and by then "
        "as full as its people had it (assumed)",
        False: f"assumed: drives {ev.trip_kwh:g} kWh a day, plugged in from {ev.arrival_hour}:00 "
        f"or up to {LATEST_H:g} h later, full by {full_by}; a load on top of the meter in "
        "every row",
    }
    owners: dict[bool, list[str]] = {True: [], False: []}
    for building in buildings:
        metered = bool(building.view.meters("ev"))
        if metered or ev.assumed:
            owners[metered].append(building.history.building)
    if not any(owners.values()):
        return "none is metered"
    several = all(owners.values())
    parts = [f"{ev.capacity_kwh:g} kWh, {100 * ev.efficiency:g} % one way"]
    for metered, names in owners.items():
        if names:
            who = f"{words.listed(names)} " if several else ""
            parts.append(f"{who}{uses[metered]}")
    if ev.max_discharge_kw > 0:
        parts.append(f"gives back up to {ev.max_discharge_kw:g} kW")
    if ev.strategy == "three_phase":
        parts.append("three-phase strategy")
    return "; ".join(parts)


def _appliances(assets: Assets, buildings: Sequence[Building], discomfort: str) -> str:
    if not assets.appliances:
        return "not moved"
    names = dict.fromkeys(
        words.spoken(name) for building in buildings for name in building.appliance_names
    )
    parts = []
    if names:
        runs = f"{words.listed([*names])}: whole runs, each within its own day"
        parts.append(f"{runs}; {discomfort}, which steers the plan and is no money")
    devices = [device for building in buildings for device in building.truth.devices]
    parts += dict.fromkeys(device.modelled for device in devices if device.modelled)
    return "; ".join(parts) or "none"


def _grid(assets: Assets) -> str:
    grid = assets.grid
    parts = []
    if np.isfinite(grid.max_import_kw):
        parts.append(f"at most {grid.max_import_kw:g} kW bought")
    if np.isfinite(grid.max_export_kw):
        parts.append(f"at most {grid.max_export_kw:g} kW sold")
    if grid.demand_charge_eur_per_kw > 0:
        parts.append(
            f"{grid.demand_charge_eur_per_kw:g} €/kW of the highest import of each "
            f"{assets.demand_period}"
        )
    return ", ".join(parts) or "no limit and no demand charge"
