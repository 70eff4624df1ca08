"""Options, specifications and building selection shared by the planning pipelines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from command_line import (
    DEFAULT_DB,
    DEFAULT_RESULTS,
    DEFAULT_TRACKING,
    Count,
    Day,
    Days,
    Folder,
    NotNegative,
    Number,
    PathName,
    Positive,
    Scales,
    Sizes,
    Switch,
    Whole,
    among,
    command,
    group,
    mode_among,
    option,
)
from console import SYNTHETIC, counted, doing, say

from ems.agents import BatteryAgent, GridAgent, HeatSpec
from ems.agents.ev import EVSpec, EvStrategy
from ems.agents.words import listed, spoken
from ems.core.mode import Dispatch
from ems.core.solve import require_available, solver_notes
from ems.core.solver import Solver
from ems.economics.tariff import built_in_tariffs
from ems.errors import EmsError, InvalidSpec
from ems.pipelines.spec import (
    LEARN_DAYS,
    PLANNED,
    ComparisonSpec,
    ForesightName,
    Risk,
    foresight_words,
    require_workers,
)
from ems.site.assets import Assets, CrossFlow, DemandPeriod

if TYPE_CHECKING:
    from datetime import date

    from duckdb import DuckDBPyConnection
    from rich.console import Console

    from ems.pipelines.comparison import Window
    from ems.site.building import Building
    from ems.site.meters import MeterData

DEFAULT_BUILDING = "DE_KN_residential4"
CarOption = Literal["auto", "on", "off"]
EPILOG = (
    "With --foresight perfect every plan knows the true load, sun and prices of its day and of its "
    "look-ahead: the savings are upper bounds. With --foresight forecast it is made from what is "
    "known at its instant and settled against what happened. Definitions: docs/metrics.md, "
    "equations: docs/model.md, forecasts: docs/forecasts.md."
)
PV_SCALE_HELP = "PV behind the meter as a multiple of the metered, assumed"
SEVERAL_HELP = "several with commas are compared in one table"
CONFIG_HELP = "options in a TOML file, as every run keeps its own"
EXPORTS = ("csv", "xlsx", "parquet")
"""As ``ems.store.export.FORMATS``, which imports DuckDB."""
SCHEDULER_HELP = "tcp://HOST:PORT or tls://… of a Dask cluster instead of --workers (docs/cloud.md)"


# --- options ------------------------------------------------------------------------------------


@group("what to plan")
class What:
    """Which days of which building are planned, and under which mode."""

    building: str | None = option(
        "a name or the end of one, or all where many can be planned "
        f"[default: the only one, else {DEFAULT_BUILDING}]",
        None,
    )
    mode: Annotated[str, mode_among(*PLANNED, "all")] = option(
        f"{', '.join(PLANNED)} or all; or spelled -ised", "all"
    )
    start: Day | None = option("first day [default: the first that can be planned]", None)
    n_days: Days = option("days to plan, or all to the end", 7)
    tariff: str = option(
        f"{', '.join(built_in_tariffs())}, or a TOML file, as scripts/tariff.py writes", "dynamic"
    )


@command
class OneMode(What):
    """Just one mode is planned."""

    mode: Annotated[str, mode_among(*PLANNED)] = option(
        f"{', '.join(PLANNED)}; or spelled -ised", "centralized"
    )
    n_days: Days = option("days to plan, or all to the end", 10)


@group("assets")
class AssetOptions:
    """What is planned besides the meters' own devices."""

    battery: Switch = option("plan a battery", "on")
    battery_kwh: Positive = option("usable capacity [kWh]", BatteryAgent.capacity_kwh)
    battery_kw: Positive = option(
        "power, charging and discharging [kW]", BatteryAgent.max_charge_kw
    )
    battery_start_kwh: Number | None = option(
        "charge at the start [kWh] "
        f"[default: the same share of any capacity as {BatteryAgent.initial_soc_kwh:g} of "
        f"{BatteryAgent.capacity_kwh:g}]",
        None,
    )
    battery_efficiency: Number = option("round trip", BatteryAgent.round_trip_efficiency)
    wear_eur_per_kwh: Number = option(
        "ageing per kWh charged or discharged, assumed [€/kWh]", BatteryAgent.wear_eur_per_kwh
    )
    calendar_eur_per_kwh_a: Number = option(
        "ageing of the battery by time alone, assumed [€ per kWh of capacity and year]",
        BatteryAgent.calendar_eur_per_kwh_a,
    )
    ev: CarOption = option(
        "the electric car: auto plans a metered one, on also assumes one where none is metered, "
        "off leaves it as metered",
        "auto",
    )
    ev_kwh: Positive = option(
        "the car's battery [kWh]; a larger metered session shows a larger one", EVSpec.capacity_kwh
    )
    ev_kw: Positive = option("charger of an assumed car [kW]", EVSpec.max_charge_kw)
    ev_seed: Whole = option("seed of the trips of an assumed car", EVSpec.seed)
    ev_strategy: EvStrategy = option(
        "when the car charges: free, or three_phase (cheap hours first, sure by its deadline)",
        EVSpec.strategy,
    )
    v2g_kw: NotNegative = option("power from the car to the house [kW]", EVSpec.max_discharge_kw)
    appliances: Switch = option("move the starts of appliances", "on")
    heat_time_constant_h: Number = option(
        "in which the house loses 63 % of extra warmth, assumed [h]", HeatSpec.time_constant_h
    )
    heat_warmer_k: Number = option(
        "how much warmer than metered the house may be, assumed [K]", HeatSpec.warmer_k
    )
    heat_mass_share: Number = option(
        "part of the house's capacity in its walls, 0 for air and walls as one, assumed",
        HeatSpec.mass_share,
    )
    heat_start_eur: Number = option("wear of a heat pump's start [€]", HeatSpec.start_eur)
    shift_discomfort_eur_per_h: Number = option(
        "what moving a start costs in comfort, assumed [€/h]", Assets.shift_discomfort_eur_per_h
    )
    max_import_kw: Positive = option("limit of the connection [kW]", GridAgent.max_import_kw)
    max_export_kw: NotNegative = option(
        "limit of the connection [kW]; 0 forbids", GridAgent.max_export_kw
    )
    demand_charge_eur_per_kw: Number = option(
        "on the highest import of each --demand_period [€/kW]", GridAgent.demand_charge_eur_per_kw
    )
    demand_period: DemandPeriod = option(
        "calendar period of the demand charge", Assets.demand_period
    )
    cross_flow: CrossFlow = option(
        "what both registers counted in one step is booked in every mode, or absorbed by a battery",
        Assets.cross_flow,
    )
    curtailable_pv: Switch = option("PV may be turned down", "off")
    one_meter: Switch = option(
        "as if circuits with meters of their own were behind the building's meter", "off"
    )
    pv_scale: NotNegative = option(PV_SCALE_HELP, Assets.pv_scale)


@command
class SizedAssets(AssetOptions):
    """What is planned besides the meters' own devices, in one size or several."""

    battery_kwh: Sizes = option(f"usable capacity [kWh]; {SEVERAL_HELP}", BatteryAgent.capacity_kwh)
    pv_scale: Scales = option(f"{PV_SCALE_HELP}; {SEVERAL_HELP}", Assets.pv_scale)


@group("what a plan knows")
class Foresight:
    """What a plan knows and how it is carried out."""

    foresight: ForesightName = option(
        "the truth, or forecasts, which need history before the first day", ComparisonSpec.foresight
    )
    forecaster: Literal["learned", "persistence", "lstm"] = option(
        "what forecasts come from: learned need 28 known days, persistence of load and sun 14, of "
        "prices 28; lstm: learned, loads by a network (requirements-learning.txt)",
        ComparisonSpec.forecaster,
    )
    replan_hours: Positive = option(
        "centralized_phases plans again every so many hours of the local clock [h]",
        ComparisonSpec.phase_h,
    )
    dispatch: Dispatch = option(
        "the battery follows its set-points, or balances what comes otherwise",
        ComparisonSpec.dispatch,
    )
    risk: Risk = option("plan for the mean, or for several futures at once", ComparisonSpec.risk)
    n_scenarios: Count = option("futures of a hedged plan, 5 to 20", ComparisonSpec.n_scenarios)


@group("how to solve")
class Solving:
    """How programs are solved."""

    lookahead_h: Number = option("hours beyond the day [h]", ComparisonSpec.lookahead_h)
    solver: str = option("a solver PuLP knows", Solver.name)
    mip_gap: Number = option("relative gap at which a plan counts as optimal", Solver.mip_gap)
    time_limit: Positive | None = option("longest time for one solve [s]", Solver.time_limit_s)
    seed: Whole = option("of the solver and of the scenarios", Solver.seed)
    workers: Count = option("processes", 1)
    scheduler: str | None = option(SCHEDULER_HELP, None)


@group("where things are")
class Where:
    """Where things are and what is written."""

    config: PathName | None = option(CONFIG_HELP, None)
    db: PathName = option("measurements", DEFAULT_DB)
    results: Folder = option("results folder", DEFAULT_RESULTS)
    tracking_uri: str = option("MLflow store", DEFAULT_TRACKING)
    figures: Switch = option("draw figures", "on")
    report: Switch = option("write the HTML report", "on")

    @property
    def results_db(self) -> Path:
        """The results database below the results folder."""
        return self.results / "ems_results.duckdb"


@command
class PlanWhere(Where):
    """Where things are, and the files that hold the results of a planning run as well."""

    export: Annotated[tuple[str, ...], among(*EXPORTS)] = option(
        f"also write the results as files: {', '.join(EXPORTS)}, several with commas "
        "[default: none, DuckDB only]",
        (),
    )


def count_of(n_days: int | str) -> int | None:
    """The requested number of days, None for all."""
    return None if n_days == "all" else int(n_days)


# --- what they make -----------------------------------------------------------------------------


def specification(
    what: What, assets: AssetOptions, foresight: Foresight, solving: Solving
) -> ComparisonSpec:
    """The specification; raises ``InvalidSpec`` if the options contradict each other."""
    from ems.economics.tariff_file import load_tariff  # pydantic, which --help does without

    solver = Solver(
        name=solving.solver,
        mip_gap=solving.mip_gap,
        time_limit_s=solving.time_limit,
        seed=solving.seed,
    )
    tariff = load_tariff(what.tariff)
    spec = ComparisonSpec(
        tariff=tariff,
        assets=assets_of(assets).under(tariff),
        modes=PLANNED if what.mode == "all" else (what.mode,),  # type: ignore[arg-type]
        solver=solver,
        lookahead_h=solving.lookahead_h,
        phase_h=foresight.replan_hours,
        foresight=foresight.foresight,
        forecaster=foresight.forecaster,
        dispatch=foresight.dispatch,
        risk=foresight.risk,
        n_scenarios=foresight.n_scenarios,
        scenario_seed=solving.seed,
    )
    require_available(solver)
    require_workers(solving.workers, solving.scheduler)
    return spec


def assets_of(asked: AssetOptions) -> Assets:
    """The assets of the options."""
    start_kwh = asked.battery_start_kwh
    if start_kwh is None:
        share = BatteryAgent.initial_soc_kwh / BatteryAgent.capacity_kwh
        start_kwh = share * asked.battery_kwh
    battery = BatteryAgent(
        capacity_kwh=asked.battery_kwh,
        max_charge_kw=asked.battery_kw,
        max_discharge_kw=asked.battery_kw,
        round_trip_efficiency=asked.battery_efficiency,
        initial_soc_kwh=start_kwh,
        wear_eur_per_kwh=asked.wear_eur_per_kwh,
        calendar_eur_per_kwh_a=asked.calendar_eur_per_kwh_a,
    )
    ev = EVSpec(
        assumed=asked.ev == "on",
        capacity_kwh=asked.ev_kwh,
        max_charge_kw=asked.ev_kw,
        seed=asked.ev_seed,
        strategy=asked.ev_strategy,
        max_discharge_kw=asked.v2g_kw,
        # Without V2G every kWh must be charged anyway, so wear would change no plan.
        wear_eur_per_kwh=asked.wear_eur_per_kwh if asked.v2g_kw > 0 else EVSpec.wear_eur_per_kwh,
    )
    return Assets(
        battery=battery if asked.battery == "on" else None,
        ev=None if asked.ev == "off" else ev,
        demand_period=asked.demand_period,
        appliances=asked.appliances == "on",
        grid=GridAgent(
            max_import_kw=asked.max_import_kw,
            max_export_kw=asked.max_export_kw,
            demand_charge_eur_per_kw=asked.demand_charge_eur_per_kw,
        ),
        curtailable_pv=asked.curtailable_pv == "on",
        one_meter=asked.one_meter == "on",
        heat=HeatSpec(
            time_constant_h=asked.heat_time_constant_h,
            warmer_k=asked.heat_warmer_k,
            mass_share=asked.heat_mass_share,
            start_eur=asked.heat_start_eur,
        ),
        cross_flow=asked.cross_flow,
        shift_discomfort_eur_per_h=asked.shift_discomfort_eur_per_h,
        pv_scale=asked.pv_scale,
    )


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """A building with the window of days that will be planned."""

    building: Building
    window: Window

    @property
    def synthetic(self) -> bool:
        """Whether its data come from the twin."""
        return self.building.history.synthetic


def building_named(known: Sequence[str], asked: str | None) -> str:
    """The building meant by ``asked``: its name, or an unambiguous end of it.

    Without a name the only building, else ``DEFAULT_BUILDING``. Raises ``InvalidSpec``.

    >>> building_named(["DE_KN_residential1", "DE_KN_residential2"], "residential1")
    'DE_KN_residential1'
    """
    if asked is None:
        asked = known[0] if len(known) == 1 else DEFAULT_BUILDING
        if asked not in known:
            raise InvalidSpec(f"which building? Give --building, one of {', '.join(known)}")
    ends = [name for name in known if name == asked or name.endswith(f"_{asked}")]
    if asked in known or len(ends) == 1:
        return asked if asked in known else ends[0]
    raise InvalidSpec(f"building {asked!r} is unknown; known are {', '.join(known)}")


def open_building(con: DuckDBPyConnection, name: str | None, spec: ComparisonSpec) -> Building:
    """One building of the database with its assets; an unknown name lists the known ones."""
    from ems.site.building import Building
    from ems.store.read import list_buildings, read_history

    name = building_named(list_buildings(con), name)
    return Building(read_history(con, name), spec.tariff, spec.assets)


def choose(con: DuckDBPyConnection, what: What, spec: ComparisonSpec, out: Console) -> list[Chosen]:
    """The requested buildings; with ``all`` those that have the window, with reasons for the
    others."""
    from ems.pipelines.comparison import choose_window
    from ems.store.read import list_buildings

    every = what.building == "all"
    chosen = []
    for name in list_buildings(con) if every else [what.building]:
        building = open_building(con, name, spec)
        try:
            require_taught(building, spec, what.start)
            window = choose_window(building, what.start, count_of(what.n_days), spec.history_days)
        except EmsError as error:
            if not every:
                raise
            say(out, f"left out  {error}", style="yellow")
            continue
        chosen.append(Chosen(building=building, window=window))
    if not chosen:
        raise InvalidSpec("no building has the days asked for; choose another --start or --n_days")
    return chosen


def require_taught(building: Building, spec: ComparisonSpec, start: date | None) -> None:
    """Refuse forecasts that have too little history to start with."""
    if spec.foresight == "forecast":
        from ems.pipelines.forecasting import require_history  # only forecasts need to learn

        require_history(building, spec, start)


def describe(out: Console, spec: ComparisonSpec, chosen: Sequence[Chosen]) -> None:
    """Print what is planned, on which data and assumptions."""
    tell_data(out, [item.building.history for item in chosen])
    for item in chosen:
        days, skipped = item.window.days, item.window.skipped
        n = counted(len(days), "day")
        say(out, f"window    {item.window.building}: {n}, {days[0]} to {days[-1]}")
        for skipped_day, reason in list(skipped.items())[:3]:
            say(out, f"          {skipped_day} is left out: {reason}", style="yellow")
        if len(skipped) > 3:
            more = counted(len(skipped) - 3, "more day")
            say(out, f"          and {more} left out", style="yellow")
    say(out, f"tariff    {spec.tariff.name}: {spec.tariff.description}")
    for figure in spec.tariff.figures:
        share = figure.unit == "1"
        amount = f"{100 * figure.value:g} %" if share else f"{figure.value:g} {figure.unit}"
        unbilled = "; in no cost, since no plan changes it" if figure.name == "base_fee" else ""
        say(out, f"          {figure.name} {amount} ({figure.source}{unbilled})")
    say(out, f"assets    {_assets_told(spec, chosen)}")
    for item in chosen:
        for told in _left_out_told(item.building):
            say(out, f"left out  {told}", style="yellow")
    say(out, f"plans     local days with {spec.lookahead_h:g} h look-ahead, {_knowledge(spec)}")
    for note in solver_notes(spec.solver):
        say(out, f"solver    {note}")
    if spec.foresight == "forecast":
        for item in chosen:
            say(out, f"history   {item.window.building}: {_history_told(spec, item)}")
        say(out, f"weather   {weather_told(spec, chosen[0].building)}")


def _history_told(spec: ComparisonSpec, item: Chosen) -> str:
    """How much history forecasts need, and how much there is."""
    from ems.pipelines.forecasting import HistoryNeed

    return HistoryNeed.of(item.building, spec).told(item.window.days[0])


def tell_data(out: Console, histories: Sequence[Any]) -> None:
    """Print the source of the measurements, marking synthetic data first."""
    if histories[0].synthetic:
        out.print(SYNTHETIC, style="bold yellow")
    say(out, f"data      {histories[0].source}")
    for place in dict.fromkeys(history.place for history in histories):
        say(out, f"place     {place}")


def weather_told(spec: ComparisonSpec, building: Building) -> str:
    """The source of the weather in forecasts."""
    from ems.pipelines.forecasting import models_for

    return models_for(building, spec).weather_text


def _knowledge(spec: ComparisonSpec) -> str:
    if spec.foresight == "perfect":
        return "known exactly (perfect foresight: upper bound)"
    again = f"again every {spec.phase_h:g} h by centralized_phases"
    carried = "set-points" if spec.dispatch == "setpoints" else "set-points, the battery balances"
    futures = f", hedged with {spec.n_scenarios} futures" if spec.risk == "hedged" else ""
    return f"on {spec.forecaster} forecasts, {again}{futures}; carried out: {carried}"


def foresight_text(spec: ComparisonSpec) -> str:
    """Label of every result: an upper bound, or made on forecasts."""
    return foresight_words(spec.foresight, spec.forecaster)


def _assets_told(spec: ComparisonSpec, chosen: Sequence[Chosen]) -> str:
    assets, parts = spec.assets, []
    if assets.battery is not None:
        b = assets.battery
        parts.append(
            f"battery {b.capacity_kwh:g} kWh, {b.max_charge_kw:g} kW, starts at "
            f"{b.initial_soc_kwh:.3g} kWh, wear {b.wear_eur_per_kwh:g} €/kWh (assumed)"
        )
    buildings = [item.building for item in chosen]
    metered = any(building.view.meters("ev") for building in buildings)
    if assets.ev is not None and (metered or assets.ev.assumed):
        use = (
            f", assumed to drive {assets.ev.trip_kwh:g} kWh a day where none is metered: a "
            "load on top of the meter in every row, as metered too"
            if assets.ev.assumed and not all(b.view.meters("ev") for b in buildings)
            else ""
        )
        parts.append(f"EV full by {assets.ev.must_be_full_by_hour}:00{use}")
    if assets.appliances and any(building.appliance_names for building in buildings):
        parts.append(f"appliances, {assets.shift_discomfort_eur_per_h:g} €/h discomfort")
    if assets.pv_scale != 1:
        parts.append(f"PV {assets.pv_scale:g} times the metered (assumed), as metered too")
    devices = [device for building in buildings for device in building.truth.devices]
    parts += dict.fromkeys(device.modelled for device in devices if device.modelled)
    return "; ".join(parts) or "none"


def _left_out_told(building: Building) -> list[str]:
    """What is metered and not planned with its energy, a line for each reason."""
    energy_kwh, names = building.history.energy_kwh, dict[str, list[str]]()
    for left in building.left_out():
        name = f"{spoken(left.name)} ({np.nansum(energy_kwh[left.name]):.0f} kWh)"
        names.setdefault(left.why, []).append(name)
    return [
        f"{building.history.building}: {listed(devices)}, {why}" for why, devices in names.items()
    ]


def run_parameters(
    what: What, solving: Solving, where: Where, spec: ComparisonSpec, chosen: Sequence[Chosen]
) -> dict[str, object]:
    """Everything needed to repeat the run."""
    first, uncertain = chosen[0].building, spec.foresight == "forecast"
    return {
        "building": building_of(what, chosen),
        "mode": what.mode,
        "start": str(chosen[0].window.days[0]),
        "n_days": what.n_days,
        "n_days_planned": sum(len(item.window.days) for item in chosen),
        "n_days_left_out": sum(len(item.window.skipped) for item in chosen),
        "workers": solving.workers,
        "spec": spec,
        **({"weather": weather_told(spec, first)} if uncertain else {}),
        "data": data_parameters(first.history, where),
    }


def data_parameters(history: MeterData, where: Where) -> dict[str, object]:
    """The measurements of a run."""
    return {"source": history.source, "hash": history.data_hash, "db": where.db.name}


def building_of(what: What, chosen: Sequence[Chosen]) -> str:
    """The building's name in a run."""
    return "all" if what.building == "all" else chosen[0].window.building


def learn_ahead(out: Console, what: What, spec: ComparisonSpec, chosen: Sequence[Chosen]) -> None:
    """Train the first forecasts, so that a start with too little history is refused at once.

    Without a named start the windows have enough history; a single building's forecasts are cached
    and trained only once.
    """
    from ems.pipelines.comparison import chains_of
    from ems.pipelines.forecasting import foresight_of

    if spec.foresight == "perfect" or (what.start is None and len(chosen) > 1):
        return
    with doing(out, "learning forecasts from the days before"):
        for item in chosen:
            foresight_of(item.building, spec, chains_of(item.window, LEARN_DAYS)[0])


def require_exportable(where: PlanWhere, chosen: Sequence[Chosen], n_modes: int) -> None:
    """Refuse an export that cannot be written, before hours of planning."""
    if not where.export:
        return
    from ems.store.export import require_room

    steps = (
        item.building.span(day).stop - item.building.span(day).start
        for item in chosen
        for day in item.window.days
    )
    require_room(where.export, n_modes * sum(steps))
