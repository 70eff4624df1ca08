"""What the planning pipelines share on the command line: options, windows, and the stored run."""

from __future__ import annotations

import argparse
import re
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common import (
    DEFAULT_DB,
    DEFAULT_RESULTS,
    DEFAULT_TRACKING,
    Parser,
    day,
    not_negative,
    path,
    positive,
    positive_int,
    whole_number,
)

from ems.errors import EmsError, InvalidSpec

if TYPE_CHECKING:
    from rich.console import Console

    from ems.economics.settlement import Savings
    from ems.learning.habit import PmfUpdate
    from ems.pipelines.comparison import ComparisonSpec, DayRecord, Window
    from ems.site.building import Building
    from ems.store.results import RunRow, Status

MODE_NAMES = {
    "decentralized": "decentralized",
    "decentralised": "decentralized",
    "centralized": "centralized",
    "centralised": "centralized",
    "centralized_phases": "centralized_phases",
    "centralised_phases": "centralized_phases",
}
ON_OFF = {"on": True, "off": False}
EPILOG = (
    "With --foresight perfect every plan knows the true load, sun and prices of its day and of its "
    "look-ahead: the savings are upper bounds. With --foresight forecast it is made from what is "
    "known at its instant and settled against what happened. Definitions: docs/metrics.md, "
    "equations: docs/model.md, forecasts: docs/forecasts.md."
)


def add_what(p: Parser, *, building: str, mode: str, n_days: int, modes: Sequence[str]) -> None:
    """Options that say which days of which building are planned, and under which mode."""
    what = p.add_argument_group("what to plan")
    what.add_argument(
        "--building",
        default=building,
        help=f"a name, or all where many can be planned ({building})",
    )
    what.add_argument(
        "--mode",
        default=mode,
        metavar="MODE",
        choices=modes,
        help=f"{', '.join(m for m in modes if 'ised' not in m)}; or spelled -ised ({mode})",
    )
    what.add_argument("--start", type=day, help="first day, YYYY-MM-DD (default: the first)")
    what.add_argument(
        "--n_days", type=n_days_or_all, default=n_days, help=f"days, or all to the end ({n_days})"
    )
    what.add_argument(
        "--tariff", default="dynamic", help="dynamic, flat, tou, spot, or a TOML file"
    )


def add_foresight(p: Parser) -> None:
    """Options that say what a plan knows and how it is carried out."""
    known = p.add_argument_group("what a plan knows")
    known.add_argument("--foresight", choices=("perfect", "forecast"), default="perfect")
    known.add_argument(
        "--forecaster",
        choices=("learned", "persistence"),
        default="learned",
        help="what forecasts come from (learned)",
    )
    known.add_argument(
        "--replan_hours",
        type=positive,
        default=6.0,
        help="centralized_phases plans again every so many hours of the local clock (6)",
    )
    known.add_argument(
        "--dispatch",
        choices=("setpoints", "balance"),
        default="setpoints",
        help="the battery follows its set-points, or balances what comes otherwise (setpoints)",
    )
    known.add_argument(
        "--risk",
        choices=("neutral", "hedged"),
        default="neutral",
        help="plan for the mean, or for several futures at once (neutral)",
    )
    known.add_argument(
        "--n_scenarios", type=positive_int, default=10, help="futures of a hedged plan, 5–20 (10)"
    )


def add_how(p: Parser) -> None:
    """Options that say how programs are solved."""
    how = p.add_argument_group("how to solve")
    how.add_argument("--lookahead_h", type=float, default=24.0, help="hours beyond the day (24)")
    how.add_argument("--solver", default="HiGHS", help="a solver PuLP knows (default: HiGHS)")
    how.add_argument("--mip_gap", type=float, default=1e-6, help="relative gap (default: 1e-6)")
    how.add_argument("--time_limit", type=positive, help="longest time for one solve [s]")
    how.add_argument("--seed", type=whole_number, default=0, help="the solver's seed (default: 0)")
    how.add_argument("--workers", type=positive_int, default=1, help="processes (default: 1)")


def add_scheduler(p: Parser) -> None:
    """The option of the pipelines whose work can be spread over machines."""
    p.add_argument(
        "--scheduler",
        metavar="tcp://HOST:PORT",
        help="a Dask cluster instead of --workers (docs/cloud.md)",
    )


def add_where(p: Parser) -> None:
    """Options that say where things are."""
    where = p.add_argument_group("where things are")
    where.add_argument("--db", type=path, default=DEFAULT_DB, help="measurements (%(default)s)")
    where.add_argument(
        "--results", type=path, default=DEFAULT_RESULTS, help="results folder (%(default)s)"
    )
    where.add_argument(
        "--tracking_uri", default=DEFAULT_TRACKING, help="MLflow store (%(default)s)"
    )
    where.add_argument("--figures", choices=ON_OFF, default="on", help="draw figures (on)")
    where.add_argument("--report", choices=ON_OFF, default="on", help="write the HTML report (on)")


def add_assets(p: Parser) -> None:
    """Options that say what is planned besides the meters' own devices."""
    group = p.add_argument_group("assets")
    group.add_argument("--battery", choices=ON_OFF, default="on", help="a battery (on)")
    group.add_argument("--battery_kwh", type=positive, default=15.0, help="capacity (15)")
    group.add_argument("--battery_kw", type=positive, default=5.0, help="power (5)")
    group.add_argument("--battery_start_kwh", type=float, help="charge at the start (8)")
    group.add_argument("--battery_efficiency", type=float, default=0.95, help="round trip (0.95)")
    group.add_argument("--wear_eur_per_kwh", type=float, default=0.02, help="of throughput (0.02)")
    group.add_argument("--ev", choices=ON_OFF, default="on", help="plan the EV (on)")
    group.add_argument(
        "--ev_strategy", choices=("free", "three_phase"), default="free", help="(free)"
    )
    group.add_argument("--v2g_kw", type=not_negative, default=0.0, help="vehicle to grid power (0)")
    group.add_argument("--appliances", choices=ON_OFF, default="on", help="move them (on)")
    group.add_argument("--heat_shift_h", type=float, default=2.0, help="heat band (2)")
    group.add_argument(
        "--shift_discomfort_eur_per_h", type=float, default=0.02, help="per start (0.02)"
    )
    group.add_argument("--max_import_kw", type=positive, default=float("inf"), help="limit (none)")
    group.add_argument(
        "--max_export_kw", type=not_negative, default=float("inf"), help="limit (none); 0 forbids"
    )
    group.add_argument(
        "--demand_charge_eur_per_kw",
        type=float,
        default=0.0,
        help="on the peak of each block of 28 days (0)",
    )
    group.add_argument("--curtailable_pv", choices=ON_OFF, default="off", help="(off)")
    group.add_argument(
        "--one_meter",
        choices=ON_OFF,
        default="off",
        help="as if circuits with meters of their own were behind the building's meter (off)",
    )


def n_days_or_all(text: str) -> int | None:
    """An argument that is a number of days, or all of them."""
    return None if text == "all" else positive_int(text)


def specification(args: argparse.Namespace) -> ComparisonSpec:
    """What the command line asks for."""
    from ems.agents import BatteryAgent, GridAgent
    from ems.core.solver import Solver, require_available
    from ems.economics.tariff import load_tariff
    from ems.pipelines.comparison import PLANNED, ComparisonSpec
    from ems.site.assets import Assets, EVSpec

    solver = Solver(
        name=args.solver, mip_gap=args.mip_gap, time_limit_s=args.time_limit, seed=args.seed
    )
    require_available(solver)
    start_kwh = args.battery_start_kwh
    battery = BatteryAgent(
        capacity_kwh=args.battery_kwh,
        max_charge_kw=args.battery_kw,
        max_discharge_kw=args.battery_kw,
        round_trip_efficiency=args.battery_efficiency,
        initial_soc_kwh=min(8.0, args.battery_kwh) if start_kwh is None else start_kwh,
        wear_eur_per_kwh=args.wear_eur_per_kwh,
    )
    ev = EVSpec(
        strategy=args.ev_strategy,
        max_discharge_kw=args.v2g_kw,
        wear_eur_per_kwh=args.wear_eur_per_kwh if args.v2g_kw > 0 else 0.0,
    )
    return ComparisonSpec(
        tariff=load_tariff(args.tariff),
        assets=Assets(
            battery=battery if ON_OFF[args.battery] else None,
            ev=ev if ON_OFF[args.ev] else None,
            appliances=ON_OFF[args.appliances],
            grid=GridAgent(
                max_import_kw=args.max_import_kw,
                max_export_kw=args.max_export_kw,
                demand_charge_eur_per_kw=args.demand_charge_eur_per_kw,
            ),
            curtailable_pv=ON_OFF[args.curtailable_pv],
            one_meter=ON_OFF[args.one_meter],
            heat_shift_h=args.heat_shift_h,
            shift_discomfort_eur_per_h=args.shift_discomfort_eur_per_h,
        ),
        modes=PLANNED if args.mode == "all" else (MODE_NAMES[args.mode],),  # type: ignore[arg-type]
        solver=solver,
        lookahead_h=args.lookahead_h,
        phase_h=args.replan_hours,
        foresight=args.foresight,
        forecaster=args.forecaster,
        dispatch=args.dispatch,
        risk=args.risk,
        n_scenarios=args.n_scenarios,
        scenario_seed=args.seed,
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


def open_building(con: Any, name: str, spec: ComparisonSpec) -> Building:
    """One building of the database; an unknown name lists the known ones."""
    from ems.site.building import Building
    from ems.store.read import list_buildings, read_history

    known = list_buildings(con)
    if name not in known:
        raise InvalidSpec(f"building {name!r} is unknown; known are {', '.join(known)}")
    return Building(read_history(con, name), spec.tariff, spec.assets)


def choose(con: Any, args: argparse.Namespace, spec: ComparisonSpec, out: Console) -> list[Chosen]:
    """The buildings asked for; with ``all`` those that have the window, and why others have not."""
    from ems.pipelines.comparison import choose_window
    from ems.store.read import list_buildings

    known = list_buildings(con)
    chosen = []
    for name in known if args.building == "all" else [args.building]:
        building = open_building(con, name, spec)
        try:
            window = choose_window(building, args.start, args.n_days, spec.history_days)
        except EmsError as error:
            if args.building != "all":
                raise
            out.print(f"left out  {error}", style="yellow")
            continue
        chosen.append(Chosen(building=building, window=window))
    if not chosen:
        raise InvalidSpec("no building has the days asked for; choose another --start or --n_days")
    return chosen


def describe(out: Console, spec: ComparisonSpec, chosen: Sequence[Chosen]) -> None:
    """Say what is planned, on which data and under which assumptions."""
    history = chosen[0].building.history
    if history.synthetic:
        out.print("SYNTHETIC DATA: made up, not measurements", style="bold yellow")
    out.print(f"data      {history.source}")
    for place in dict.fromkeys(item.building.history.place for item in chosen):
        out.print(f"place     {place}", markup=False)
    for item in chosen:
        days, skipped = item.window.days, item.window.skipped
        out.print(f"window    {item.window.building}: {len(days)} days, {days[0]} to {days[-1]}")
        for skipped_day, reason in list(skipped.items())[:3]:
            out.print(f"          {skipped_day} is left out: {reason}", style="yellow")
        if len(skipped) > 3:
            out.print(f"          and {len(skipped) - 3} more days are left out", style="yellow")
    out.print(f"tariff    {spec.tariff.name}: {spec.tariff.description}")
    for figure in spec.tariff.figures:
        out.print(f"          {figure.name} {figure.value:g} {figure.unit} ({figure.source})")
    out.print(f"assets    {_assets(spec, chosen)}")
    out.print(f"plans     local days with {spec.lookahead_h:g} h look-ahead, {_knowledge(spec)}")
    if spec.foresight == "forecast":
        out.print(f"weather   {_weather_told(spec, chosen[0].building)}")


def _weather_told(spec: ComparisonSpec, building: Building) -> str:
    from ems.forecast.information import models_of

    return models_of(spec.forecaster, building.history.weather_forecast).weather_text


def _knowledge(spec: ComparisonSpec) -> str:
    if spec.foresight == "perfect":
        return "known exactly (perfect foresight: upper bound)"
    again = f"again every {spec.phase_h:g} h by centralized_phases"
    carried = "set-points" if spec.dispatch == "setpoints" else "set-points, the battery balances"
    futures = f", hedged with {spec.n_scenarios} futures" if spec.risk == "hedged" else ""
    return f"on {spec.forecaster} forecasts, {again}{futures}; carried out: {carried}"


def foresight_text(spec: ComparisonSpec) -> str:
    """What is said of every result: an upper bound, or made on forecasts."""
    from ems.pipelines.comparison import foresight_words

    return foresight_words(spec.foresight, spec.forecaster)


def _assets(spec: ComparisonSpec, chosen: Sequence[Chosen]) -> str:
    assets, parts = spec.assets, []
    if assets.battery is not None:
        b = assets.battery
        parts.append(
            f"battery {b.capacity_kwh:g} kWh, {b.max_charge_kw:g} kW, starts and ends at "
            f"{b.initial_soc_kwh:g} kWh, wear {b.wear_eur_per_kwh:g} €/kWh (assumed)"
        )
    if assets.ev is not None:
        assumed = [c for c in chosen if not c.building.history.feeds_of("ev")]
        metered = f"full by {assets.ev.must_be_full_by_hour}:00"
        use = (
            f", assumed to drive {assets.ev.trip_kwh:g} kWh a day where none is metered: a load on "
            "top of the meter in every row, as metered too"
            if assumed
            else ""
        )
        parts.append(f"EV {metered}{use}")
    if assets.appliances:
        parts.append(
            f"appliances, {assets.shift_discomfort_eur_per_h:g} €/h discomfort, "
            f"heat ± {assets.heat_shift_h:g} h (assumed)"
        )
    return "; ".join(parts) or "none"


@dataclass(frozen=True, kw_only=True)
class StoredRun:
    """A run in the results database; what is handed over is kept at once."""

    file: Path
    row: RunRow

    def days(self, records: Sequence[DayRecord]) -> None:
        """Keep the results and plans of some days."""
        from ems.store.frames import day_tables
        from ems.store.results import append_days

        append_days(self.file, self.row, day_tables(records))

    def updates(self, building: str, model: str, updates: Sequence[PmfUpdate]) -> None:
        """Keep how the usage PMFs of a model moved."""
        from ems.store.frames import pmf_frame
        from ems.store.results import append_pmf_updates

        append_pmf_updates(self.file, self.row, pmf_frame(building, model, updates))


@contextmanager
def stored_run(
    args: argparse.Namespace,
    pipeline: str,
    parameters: Mapping[str, object],
    synthetic: bool,
    run_id: str,
) -> Iterator[StoredRun]:
    """A run in the results database, marked FINISHED, KILLED or FAILED at its end."""
    from ems.store.results import RunRow, save_run, set_status
    from ems.tracking.parameters import plain

    row = RunRow(
        run_id=run_id,
        pipeline=pipeline,
        building=args.building,
        started_utc=datetime.now(UTC).replace(tzinfo=None),
        parameters=plain(parameters),
        status="RUNNING",
        synthetic=synthetic,
        mlflow_run_id=run_id,
    )
    stored = StoredRun(file=results_db(args), row=row)
    save_run(stored.file, row)
    try:
        yield stored
    except BaseException as error:
        status: Status = "KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED"
        set_status(stored.file, run_id, status)
        raise
    set_status(stored.file, run_id, "FINISHED")


def results_db(args: argparse.Namespace) -> Path:
    """The results database below the results folder."""
    folder: Path = args.results
    return folder / "ems_results.duckdb"


def command_line() -> str:
    """What a person types to run this again, without a password in an address."""
    script, *options = sys.argv
    told = [re.sub(r"//[^/@]*@", "//…@", option) for option in options]
    return shlex.join(["python", f"scripts/{Path(script).name}", *told])


def report_file(args: argparse.Namespace, experiment: str, run_id: str) -> Path:
    """Where the report of a run stands."""
    folder: Path = args.results
    return folder / "reports" / f"{experiment}_{run_id}.html"


def figure_folder(args: argparse.Namespace, run_id: str) -> Path:
    """Where the figures of a run stand, those that are drawn of it later among them."""
    from ems.report.stored.runs import SHORT_ID

    folder: Path = args.results
    return folder / "visualizations" / run_id[:SHORT_ID]


def run_parameters(
    args: argparse.Namespace, spec: ComparisonSpec, chosen: Sequence[Chosen]
) -> dict[str, object]:
    """Everything needed to run it again."""
    history, uncertain = chosen[0].building.history, spec.foresight == "forecast"
    return {
        "building": args.building,
        "mode": args.mode,
        "start": str(chosen[0].window.days[0]),
        "n_days": args.n_days or "all",
        "n_days_planned": sum(len(item.window.days) for item in chosen),
        "n_days_left_out": sum(len(item.window.skipped) for item in chosen),
        "workers": args.workers,
        "spec": spec,
        **({"weather": _weather_told(spec, chosen[0].building)} if uncertain else {}),
        "data": {"source": history.source, "hash": history.data_hash, "db": args.db.name},
    }


def days_of(chosen: Sequence[Chosen], building: str) -> tuple[date, ...]:
    """The planned days of one building."""
    return next(item.window.days for item in chosen if item.window.building == building)


def saving_text(saving: Savings | None) -> str:
    """A saving with its percentage; a dash where there is none."""
    if saving is None:
        return "–"
    pct = "" if saving.savings_pct is None else f" ({saving.savings_pct:.0f} %)"
    return f"{saving.savings_eur:.2f}{pct}"


def percent_text(fraction: float | None) -> str:
    """A fraction in percent; a dash where it is not defined."""
    return "–" if fraction is None else f"{100 * fraction:.0f} %"
