"""How good forecasts are on every building of a database, and how long they take, in one run.

``python benchmarks/forecasts.py [--db FILE] [--markdown] [--figures FOLDER] [--perfect_weather]``

Rolling origin as in ``ems.forecast.rolling_origin``: each model learns again every 28 days from all
that lies before, and is scored on the 48 hours after every local midnight, and after every
6 hours. For each building its whole load, the base load that is left without the devices that are
planned, its heat pumps and its PV, of which only hours of daylight are scored; and the day-ahead
price, of which only hours are scored that are not published at the origin. Skill is against the
first model of each series.

``--perfect_weather``: what forecasts of the weather could be worth. The weather that came is told
as if it had been forecast: that of the database, and the sun that the roofs of the other buildings
saw. An upper bound, not a result: no forecast of the weather is right.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import numpy as np
import pandas as pd
import sklearn
from rich.console import Console
from rich.table import Table

from ems.core.mode import Mode
from ems.economics.tariff_file import load_tariff
from ems.errors import DataError
from ems.forecast.clear_sky import ClearSkyRoof, Sun
from ems.forecast.features import TEMPERATURE
from ems.forecast.information import ForecastInformation, Information, forecast_days, models_of
from ems.forecast.load import LearnedLoad
from ems.forecast.persistence import SameHourLastWeek
from ems.forecast.price import PriceForecast, known_until
from ems.forecast.pv import LEAST_CLEAR, ClearSkyPersistence, LearnedPV, PVPersistence
from ems.forecast.rolling_origin import (
    ModelScores,
    Scores,
    first_origin,
    origins_every,
    rolling_forecast,
    rolling_scores,
    score,
)
from ems.forecast.series import Forecaster, Series
from ems.forecast.weather import WeatherAgent
from ems.pipelines.captured import PERFECT, Captured, captured
from ems.pipelines.comparison import Window, chains_of, choose_window, run_mode
from ems.pipelines.perfect import perfect_plan
from ems.pipelines.spec import BASELINES, LEARN_DAYS, ComparisonSpec
from ems.report.figures.forecasts import fan_chart, skill_by_month
from ems.report.figures.page import Origin, save
from ems.site.assets import Assets
from ems.site.building import Building
from ems.site.meters import MeterData
from ems.site.weather import RecordedWeather
from ems.store.connection import get_con
from ems.store.read import list_buildings, read_history
from ems.types import Bools, Floats, Ints

N_STEPS = 48
FIRST_DAYS = 56
"""Days of known values before the first forecast that is scored."""
LOAD: tuple[Forecaster, ...] = (SameHourLastWeek(), LearnedLoad())
PV: tuple[Forecaster, ...] = (PVPersistence(), ClearSkyPersistence(), LearnedPV())
PRICE: tuple[Forecaster, ...] = (SameHourLastWeek(), PriceForecast())
PERFECT_START, PERFECT_DAYS = date(2015, 12, 15), 386
"""The days of docs/foresight.md."""
COLUMNS = ("series", "model", "origins", "hours", "unknown", "mean", "MAE", "bias", "skill", "CRPS")
COLUMNS += ("80 % holds", "its width")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--db", type=Path, default=ROOT / "ems_data.duckdb")
    parser.add_argument("--building", help="only this one")
    parser.add_argument("--markdown", action="store_true", help="tables for the docs")
    parser.add_argument("--figures", type=Path, help="draw into this folder")
    parser.add_argument("--perfect_weather", action="store_true", help="an upper bound")
    args = parser.parse_args()
    print(
        f"machine   {platform.processor() or platform.machine()}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}, scikit-learn {sklearn.__version__}"
    )
    with get_con(args.db) as con:
        names = [args.building] if args.building else list_buildings(con)
        histories = [read_history(con, name) for name in names]
        if args.perfect_weather:
            everyone = [read_history(con, name) for name in list_buildings(con)]
            for history in histories:
                with_perfect_weather(history, everyone)
            return
    if args.figures is not None:
        for history in histories:
            print(draw(history, args.figures))
    speed(histories[0])
    found: dict[str, tuple[ModelScores, ...]] = {}
    rows = []
    for series, models in every_series(histories):
        for every_h in (24, 6):
            try:
                scores = scored(models, series, every_h)
            except DataError as error:
                print(error)
                continue
            rows += [row(of, series, every_h) for of in scores]
            if every_h == 24:
                found[series.who] = scores
    show(rows, args.markdown)
    by_lead(found, args.markdown)
    if args.figures is not None:
        print(draw_months(found, histories, args.figures))


# --- series ---------------------------------------------------------------------------------------


def every_series(
    histories: Sequence[MeterData],
) -> Iterator[tuple[Series, tuple[Forecaster, ...]]]:
    """Every series of every building with the models that compete for it."""
    for history in histories:
        name = history.building.removeprefix("DE_KN_")
        building = Building(history, load_tariff("dynamic"), Assets())
        yield of(history, f"{name} load", history.load_kwh), LOAD
        yield of(history, f"{name} base load", building.base_kwh, least=-np.inf), LOAD
        for feed in history.feeds_of("partial_usage"):
            yield of(history, f"{name} {feed.name}", history.energy_kwh[feed.name]), LOAD
        if np.nanmax(history.pv_kwh, initial=0.0) > 0.0:
            yield of(history, f"{name} PV", history.pv_kwh), PV
    longest = max(histories, key=lambda history: len(history.ts_utc))
    yield price_of(longest), PRICE


def of(history: MeterData, who: str, energy_kwh: Floats, least: float = 0.0) -> Series:
    """Energies as mean powers [kW]."""
    return Series(
        who=who,
        unit="kW",
        ts_utc=history.ts_utc,
        step_h=history.step_h,
        timezone=history.timezone,
        place=history.place,
        values=energy_kwh / history.step_h,
        weather=history.weather,
        least=least,
    )


def price_of(history: MeterData) -> Series:
    """The day-ahead price over a building's time [€/MWh]."""
    return Series(
        who="day-ahead price",
        unit="€/MWh",
        ts_utc=history.ts_utc,
        step_h=history.step_h,
        timezone=history.timezone,
        place=history.place,
        values=history.price_eur_per_mwh,
    )


def draw(history: MeterData, folder: Path) -> Path:
    """A week of what the default models expect of a building, every midnight anew."""
    shown = [
        (series, models[-1])
        for series, models in every_series([history])
        if models is not PRICE and "base" not in series.who
    ]
    first = max(first_origin(series, 2 * FIRST_DAYS) for series, _ in shown)
    pairs = []
    for series, model in shown:
        origins = origins_every(series, 24, first, N_STEPS)[:7]
        learned = model.fit(series, int(origins[0]))
        pairs.append((series, learned.forecast(series, origins, 24)))
    title = f"{history.building} · what seven midnights expected"
    figure = fan_chart(pairs, title=title, origin=Origin.of(history))
    return save(figure, folder / f"{history.building}_forecasts.png")


def draw_months(
    found: dict[str, tuple[ModelScores, ...]], histories: Sequence[MeterData], folder: Path
) -> Path:
    """The skill of the learned models by month: a panel for each kind, a row for each building."""
    panels: dict[str, dict[str, ModelScores]] = {}
    for who, scores in found.items():
        building, kind = who.split(" ", 1)
        panels.setdefault(kind.replace("_", " "), {})[building] = scores[-1]
    title = "How much better than persistence the learned forecasts are, month by month"
    figure = skill_by_month(panels, title=title, origin=Origin.of(histories[0]))
    return save(figure, folder / "forecast_skill_by_month.png")


# --- scores ---------------------------------------------------------------------------------------


def scored(models: Sequence[Forecaster], series: Series, every_h: int) -> tuple[ModelScores, ...]:
    """The scores of all models from the same origins."""
    origins = origins_every(series, every_h, first_origin(series, FIRST_DAYS), N_STEPS)
    left_out = None
    if models is PRICE:
        left_out = published(series, origins)
    if models is PV:
        left_out = dark(series, origins)
    return rolling_scores(models, series, origins, N_STEPS, left_out)


def published(series: Series, origins: Ints) -> Bools:
    """Which steps of each forecast have a published price."""
    ahead = known_until(series.ts_utc, origins, series.timezone) - origins
    return np.arange(N_STEPS) < ahead[:, None]


def dark(series: Series, origins: Ints) -> Bools:
    """Which steps of each forecast have no sun."""
    sun = Sun.over(series, N_STEPS)
    night: Bools = ~sun.up[origins[:, None] + np.arange(N_STEPS)]
    return night


def row(of_model: ModelScores, series: Series, every_h: int) -> tuple[str, ...]:
    """A model's row of the table."""
    s = of_model.overall
    return (
        of_model.who,
        of_model.model,
        "00:00" if every_h == 24 else f"every {every_h} h",
        f"{s.n}",
        f"{s.n_unknown}",
        f"{np.nanmean(series.values):.3g}",
        *numbers(s),
    )


def numbers(s: Scores) -> tuple[str, ...]:
    """MAE, bias, skill, CRPS, coverage and width as text."""
    return (
        f"{s.mae:.3f}",
        f"{s.bias:+.3f}",
        f"{s.skill:+.1%}",
        f"{s.crps:.3f}",
        f"{s.coverage:.1%}",
        f"{s.width:.3f}",
    )


def by_lead(found: dict[str, tuple[ModelScores, ...]], markdown: bool) -> None:
    """Skill and coverage of the learned models by lead."""
    for title, column in (("skill by lead", "skill"), ("80 % holds, by lead", "coverage")):
        leads = list(next(iter(found.values()))[0].by_lead)
        rows = [
            (
                who,
                scores[-1].model,
                *(
                    f"{getattr(scores[-1].by_lead[lead], column):.1%}"
                    if lead in scores[-1].by_lead
                    else "–"
                    for lead in leads
                ),
            )
            for who, scores in found.items()
        ]
        print(f"\n{title}, from 00:00")
        show(rows, markdown, ("series", "model", *(f"{a}–{b} h" for a, b in leads)))


def show(
    rows: Sequence[tuple[str, ...]], markdown: bool, columns: tuple[str, ...] = COLUMNS
) -> None:
    """A table on the console, or as Markdown."""
    if markdown:
        words = sum(name in ("series", "model", "origins") for name in columns)
        print("\n| " + " | ".join(columns) + " |")
        print("|" + "---|" * words + "---:|" * (len(columns) - words))
        for cells in rows:
            print("| " + " | ".join(cells) + " |")
        return
    table = Table(*columns)
    for cells in rows:
        table.add_row(*cells)
    Console(width=150).print(table)


# --- what forecasts of the weather could be worth -------------------------------------------------


def with_perfect_weather(history: MeterData, everyone: Sequence[MeterData]) -> None:
    """Scores of the sun, and the share captured by plans of every 6 h that balance errors."""
    building = Building(history, load_tariff("dynamic"), Assets())
    series = of(history, f"{history.building} PV", history.pv_kwh)
    window = choose_window(building, PERFECT_START, PERFECT_DAYS)
    spans = [building.span(day) for day in window.days]
    origins = np.array([span.start for span in spans])
    told = {
        "persists": None,
        "as measured": issued(history, history.weather),
        "as neighbours' roofs saw it": issued(history, neighbours_sun(history, everyone)),
    }
    reference = rolling_forecast(LearnedPV(), series, origins, N_STEPS)
    for name, recorded in told.items():
        pv = LearnedPV(weather=WeatherAgent(recorded=recorded))
        forecast = rolling_forecast(pv, series, origins, N_STEPS)
        found = score(forecast, reference, series, dark(series, origins)).overall
        share = captured_with(building, window, recorded)
        print(
            f"{history.building} weather {name:28}  sun: {' '.join(numbers(found))}  saved "
            f"{share.saved_eur:.2f} of {share.possible_eur:.2f} €, captured {share.share:.1%}"
        )


def captured_with(building: Building, window: Window, recorded: RecordedWeather | None) -> Captured:
    """What plans of every 6 h save of what is possible, against as metered."""
    mode: Mode = "centralized_phases"
    spec = ComparisonSpec(
        tariff=building.tariff,
        assets=building.assets,
        modes=(mode,),
        foresight="forecast",
        dispatch="balance",
    )
    models, n_steps = models_of("learned", recorded), round(49.0 / building.view.step_h)
    known: dict[date, Information] = {}
    for piece in chains_of(window, LEARN_DAYS):
        spans = [building.span(day) for day in piece.days]
        steps = np.concatenate([np.arange(span.start, span.stop) for span in spans])
        instants = steps[building.view.hour[steps] % spec.phase_h == 0]
        forecasts = forecast_days(
            building, models, first_day=piece.days[0], instants=instants, n_steps=n_steps
        )
        foresight = ForecastInformation(building=building, forecasts=forecasts)
        known |= dict.fromkeys(piece.days, foresight)
    values = perfect_plan(building, spec, window).values
    results = [
        record.result
        for one in (*BASELINES, mode, PERFECT)
        for record in run_mode(building, spec, window, one, values, known=known)
    ]
    return next(row for row in captured(results) if row.baseline == "as_metered")


def issued(history: MeterData, weather: Mapping[str, Floats]) -> RecordedWeather:
    """What came, as if it had been forecast every 6 hours."""
    first = np.arange(0, len(history.ts_utc), round(6.0 / history.step_h))
    at = first[:, None] + np.arange(round(56.0 / history.step_h))
    inside = at < len(history.ts_utc)
    at = np.minimum(at, len(history.ts_utc) - 1)
    return RecordedWeather(
        site="perfect foresight: upper bound",
        issued_utc=history.ts_utc[first],
        first_utc=history.ts_utc[first],
        step_h=history.step_h,
        values={name: np.where(inside, values[at], np.nan) for name, values in weather.items()},
    )


def neighbours_sun(history: MeterData, everyone: Sequence[MeterData]) -> Mapping[str, Floats]:
    """Temperature, and the median clear-sky index of all other roofs times the cloudless sky.

    Hours that no other roof knows are joined by a straight line.
    """
    sun = Sun.over(of(history, "", history.load_kwh), 0)
    indices = []
    for other in everyone:
        if other.building == history.building or not np.nanmax(other.pv_kwh, initial=0.0) > 0.0:
            continue
        series = of(other, other.building, other.pv_kwh)
        seen = Sun.over(series, 0)
        clear_kw = ClearSkyRoof.fit(other.building, series.values, seen).power_kw(seen)
        lit = clear_kw > LEAST_CLEAR * clear_kw.max()
        index = np.divide(series.values, clear_kw, out=np.full(len(series), np.nan), where=lit)
        indices.append(pd.Series(index, index=other.ts_utc).reindex(history.ts_utc))
    median = pd.concat(indices, axis=1).median(axis=1).interpolate(limit_direction="both")
    ghi: Floats = median.to_numpy() * sun.ghi_w_per_m2
    return {"ghi_w_per_m2": ghi, TEMPERATURE: history.weather[TEMPERATURE]}


# --- speed ----------------------------------------------------------------------------------------


def speed(history: MeterData) -> None:
    """Seconds to learn a year of hours, and to forecast 672 origins × 48 steps."""
    until = 366 * 24
    load, price = of(history, "load", history.load_kwh), price_of(history)
    filled = np.where(np.isfinite(load.values), load.values, np.nanmedian(load.values))
    pairs = [(model, load) for model in LOAD] + [(PRICE[-1], price)]
    if np.nanmax(history.pv_kwh) > 0:
        pairs += [(model, of(history, "PV", np.nan_to_num(history.pv_kwh))) for model in PV]
    origins = np.arange(until, until + 28 * 24)
    print(
        f"\nlearn {until // 24} days of hours, forecast {len(origins)} origins × {N_STEPS} steps:"
    )
    for model, series in pairs:
        whole = Series(**{**vars(series), "values": filled}) if series is load else series
        started = time.perf_counter()
        learned = model.fit(whole, until)
        middle = time.perf_counter()
        learned.forecast(whole, origins, N_STEPS)
        ended = time.perf_counter()
        print(f"  {model.name:24s} {middle - started:6.2f} s {ended - middle:6.2f} s")


if __name__ == "__main__":
    main()
