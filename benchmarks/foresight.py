"""What forecasts capture and what they take: a published kind of study, and the time of a year.

``python benchmarks/foresight.py [study|year] [--db FILE] [--building NAME ...]``

``study``: 14 days, a battery of 5 kWh kept between 30 % and 90 %, charge ≤ 1.0 kW, discharge
≤ 0.95 kW, one-way efficiencies 0.95, from 60 % to 60 %, no export, 0.1907 €/kWh at 02:54–15:24 and
17:24–20:24 local and 0.1419 otherwise. The published figures of such a study: control planned once
a day captured 83–89 % of the saving of an oracle, rolling control more than 99 %. Here with the
hourly loads of our buildings; an hour that both prices share has their mean, weighted by time.

``year``: a year of one building with battery and EV, planned again every hour with 24 h of
look-ahead, and hedged days with ten scenarios; every part is timed in the same run.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import numpy as np

from ems.agents import BatteryAgent, GridAgent
from ems.core.mode import Mode
from ems.economics.tariff import Figure, Tariff
from ems.economics.tariff_file import load_tariff
from ems.errors import EmsError
from ems.pipelines.captured import captured
from ems.pipelines.comparison import DayResult, choose_window, run_mode
from ems.pipelines.forecasting import known_on
from ems.pipelines.perfect import perfect_plan
from ems.pipelines.spec import LEARN_DAYS, ComparisonSpec
from ems.site.assets import Assets
from ems.site.building import Building
from ems.site.meters import MeterData
from ems.store.connection import get_con
from ems.store.read import list_buildings, read_history
from ems.types import Floats

HIGH_EUR, LOW_EUR = 0.1907, 0.1419
HIGH_H = ((2.9, 15.4), (17.4, 20.4))
STUDY_DAYS, STUDY_WINDOWS = 14, 4
STUDY_BATTERY = BatteryAgent(
    capacity_kwh=4.5,
    min_soc_kwh=1.5,
    initial_soc_kwh=3.0,
    max_charge_kw=1.0,
    max_discharge_kw=0.95,
    round_trip_efficiency=0.95**2,
    wear_eur_per_kwh=0.0,
)


@dataclass(frozen=True, kw_only=True)
class StudyTariff(Tariff):
    """Two prices by the local clock, and nothing for what is exported."""

    def import_eur_per_kwh(self, spot_eur_per_mwh: Floats, local_hour: Floats) -> Floats:
        """The mean price of each hour [€/kWh]."""
        high_h = np.zeros(len(local_hour))
        for begin, end in HIGH_H:
            high_h += np.clip(np.minimum(end, local_hour + 1) - np.maximum(begin, local_hour), 0, 1)
        return LOW_EUR + (HIGH_EUR - LOW_EUR) * high_h

    def export_eur_per_kwh(self, spot_eur_per_mwh: Floats) -> Floats:
        """Nothing."""
        return np.zeros(len(spot_eur_per_mwh))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("what", choices=("study", "year"))
    parser.add_argument("--db", type=Path, default=ROOT / "ems_data.duckdb")
    parser.add_argument("--building", nargs="*")
    args = parser.parse_args()
    print(
        f"machine   {platform.processor() or platform.machine()}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}"
    )
    with get_con(args.db) as con:
        names = args.building or list_buildings(con)
        histories = [read_history(con, name) for name in names]
    for history in histories:
        try:
            study(history) if args.what == "study" else year(history)
        except EmsError as error:
            print(f"{history.building:24} left out: {error}")


def study(history: MeterData) -> None:
    """Captured shares of once-daily and rolling control in windows spread over the record."""
    building = Building(_load_only(history), _study_tariff(), _study_assets())
    days = building.plannable_days
    starts = [days[len(days) * (2 * i + 1) // (2 * STUDY_WINDOWS)] for i in range(STUDY_WINDOWS)]
    for forecaster in ("persistence", "learned"):
        shares = {
            (mode, dispatch): _study_shares(building, starts, forecaster, mode, dispatch, hours)
            for mode, hours in (("centralized", 24.0), ("centralized_phases", 1.0))
            for dispatch in ("setpoints", "balance")
        }
        for (mode, dispatch), found in shares.items():
            text = "  ".join(f"{100 * share:6.1f} %" for share in found)
            print(
                f"{history.building:24} {forecaster:12} {mode:19} {dispatch:10} {text}", flush=True
            )


def _study_shares(
    building: Building,
    starts: list[date],
    forecaster: str,
    mode: Mode,
    dispatch: str,
    hours: float,
) -> list[float]:
    spec = ComparisonSpec(
        tariff=building.tariff,
        assets=building.assets,
        modes=(mode,),
        foresight="forecast",
        forecaster=forecaster,
        dispatch=dispatch,  # type: ignore[arg-type]
        phase_h=hours,
    )
    found = []
    for start in starts:
        window = choose_window(building, start, STUDY_DAYS)
        known = known_on(building, spec, window)
        values = perfect_plan(building, spec, window).values
        results: list[DayResult] = []
        for one in ("as_metered", "rule_based", mode, "centralized_perfect"):
            records = run_mode(building, spec, window, one, values, known=known)  # type: ignore[arg-type]
            results += [record.result for record in records]
        row = next(row for row in captured(results) if row.baseline == "as_metered")
        found.append(np.nan if row.share is None else row.share)
    return found


def _load_only(history: MeterData) -> MeterData:
    """The building's load as if nothing were generated, all of it imported."""
    meter = next(feed for feed in history.feeds if feed.role == "import")
    return replace(
        history,
        feeds=(meter,),
        energy_kwh={meter.name: history.load_kwh},
        pv_kwh=np.zeros(len(history.ts_utc)),
        load_rule="import",
    )


def _study_tariff() -> StudyTariff:
    figures = (
        Figure(name="import", value=HIGH_EUR, unit="€/kWh", source="the study"),
        Figure(name="feed_in", value=0.0, unit="ct/kWh", source="no export"),
    )
    return StudyTariff(name="study", kind="flat", description="two prices", figures=figures)


def _study_assets() -> Assets:
    return Assets(
        battery=STUDY_BATTERY, ev=None, appliances=False, grid=GridAgent(max_export_kw=0.0)
    )


def year(history: MeterData) -> None:
    """The time of a year of hourly re-plans, and of hedged days."""
    building = Building(history, load_tariff("dynamic"), Assets())
    spec = ComparisonSpec(
        tariff=building.tariff,
        assets=building.assets,
        modes=("centralized_phases",),
        foresight="forecast",
        phase_h=1.0,
    )
    learned = building.days[0] + timedelta(days=spec.history_days)
    start = next(day for day in building.plannable_days if day >= learned)
    n_days = min(365, (building.days[-1] - start).days + 1)
    window = choose_window(building, start, n_days)
    values = perfect_plan(building, spec, window).values
    begin = time.perf_counter()
    known = known_on(building, spec, window)
    forecasting_s = time.perf_counter() - begin
    solver_s, plans = 0.0, 0
    begin = time.perf_counter()
    for record in run_mode(building, spec, window, "centralized_phases", values, known=known):
        plans += record.schedule.horizon.n_steps
        solver_s += record.kpis.solver_s
    planning_s = time.perf_counter() - begin
    print(
        f"{history.building}: {plans} hourly re-plans: learning and forecasting "
        f"{forecasting_s:.0f} s, planning and carrying out {planning_s:.0f} s, of which the solver "
        f"{solver_s:.0f} s; {1000 * planning_s / plans:.1f} ms a re-plan, "
        f"{planning_s / solver_s:.2f} x the solver"
    )
    hedged = replace(spec, risk="hedged", phase_h=6.0)
    last = replace(window, days=window.days[-LEARN_DAYS:])
    known = known_on(building, hedged, last)
    begin = time.perf_counter()
    days = list(run_mode(building, hedged, last, "centralized", values, known=known))
    each_s = (time.perf_counter() - begin) / len(days)
    print(f"{history.building}: a hedged day with {hedged.n_scenarios} scenarios {each_s:.3f} s")


if __name__ == "__main__":
    main()
