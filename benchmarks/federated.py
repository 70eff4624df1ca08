"""Do homes forecast better together than alone? Every rival on the same hours, in one run.

``python benchmarks/federated.py [--db FILE] [--first DAY] [--learn_days 154] [--score_days 81]
[--seeds 0 1] [--rounds 20] [--strategies fedavg fedprox]``

Rolling origin: all rivals learn again every 28 days from the days since ``--first`` before it, and
forecast 48 hours from every midnight. Persistence is the reference of the skill in CRPS; own trees
are ``LearnedLoad``; own network, federations and the pool make as many optimiser steps each.
The mean over homes counts every home once; its interval is a block bootstrap over whole weeks.
"""

from __future__ import annotations

import argparse
import platform
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import numpy as np

from ems.federated.load import FederatedLoad, Federation, NetworkLoad
from ems.federated.network import TrainSpec
from ems.federated.rounds import FederationSpec, StrategyName, federate, pool
from ems.forecast.clock import Clock
from ems.forecast.load import LearnedLoad
from ems.forecast.persistence import SameHourLastWeek
from ems.forecast.rolling_origin import (
    REFIT_DAYS,
    pinball_loss,
    rolling_forecast,
    truth_of,
)
from ems.forecast.series import Forecast, Forecaster, Series
from ems.store.connection import get_con
from ems.store.read import list_buildings, read_history
from ems.types import Floats, Ints

LEAD_H = 48
RESAMPLES = 2000


def main() -> None:
    """Score every rival on every home and print one table."""
    args = arguments()
    n_days = args.learn_days + args.score_days
    with get_con(args.db) as con:
        names = [n for n in list_buildings(con) if "residential" in n]
        homes = {n: window(home(read_history(con, n)), args.first, n_days) for n in names}
    homes = {n: one for n, one in homes.items() if one is not None}
    origins = {n: midnights(one, args.learn_days) for n, one in homes.items()}
    crps: dict[str, list[dict[str, Floats]]] = {}
    for seed in args.seeds:
        for label, models, took_s in rivals(homes, origins, args, seed):
            if label in DETERMINISTIC and seed != args.seeds[0]:
                continue
            begun = time.perf_counter()
            of_homes = {
                n: crps_by_origin(rolling_forecast(models[n], one, origins[n], steps(one)), one)
                for n, one in homes.items()
            }
            crps.setdefault(label, []).append(of_homes)
            seconds = took_s + time.perf_counter() - begun
            print(f"seed {seed} {label}: {seconds:.0f} s", file=sys.stderr, flush=True)
    print(f"{platform.platform()}, {len(homes)} homes from {args.first}, seeds {args.seeds}\n")
    show(crps, list(homes))


DETERMINISTIC = ("last week", "own trees")


def rivals(
    homes: Mapping[str, Series], origins: Mapping[str, Ints], args: argparse.Namespace, seed: int
):  # type: ignore[no-untyped-def]
    """(label, forecaster of each home, seconds to learn together) of every rival."""
    train = replace(TrainSpec(), seed=seed)
    alone: list[tuple[str, Forecaster]] = [
        ("last week", SameHourLastWeek()),
        ("own trees", LearnedLoad()),
        ("own lstm", NetworkLoad(train=train, rounds=args.rounds)),
    ]
    for label, model in alone:
        yield label, dict.fromkeys(homes, model), 0.0
    instants = refits(homes, origins)
    for strategy in (*args.strategies, "pooled"):
        begun = time.perf_counter()
        made = tuple(together(homes, at, strategy, train, args.rounds) for at in instants)
        took_s = time.perf_counter() - begun
        yield strategy, dict.fromkeys(homes, FederatedLoad(federations=made)), took_s
        if strategy == "fedavg":
            personal = FederatedLoad(federations=made, own_rounds=args.rounds // 4)
            yield "fedavg + own", dict.fromkeys(homes, personal), took_s


def together(
    homes: Mapping[str, Series], at: np.datetime64, strategy: str, train: TrainSpec, rounds: int
) -> Federation:
    """One federation, or the pool, of all that lies before ``at``."""
    if strategy == "pooled":
        return pool(homes, at, FederationSpec(rounds=rounds, train=train))
    name: StrategyName = strategy  # type: ignore[assignment]
    return federate(homes, at, FederationSpec(strategy=name, rounds=rounds, train=train))


def refits(homes: Mapping[str, Series], origins: Mapping[str, Ints]) -> list[np.datetime64]:
    """The instants at which all models learn again: of the home that begins first."""
    series, first = next((one, origins[n]) for n, one in homes.items())
    length = REFIT_DAYS * series.steps_a_day
    return [series.ts_utc[at] for at in range(int(first[0]), int(first[-1]) + 1, length)]


def home(history) -> Series:  # type: ignore[no-untyped-def]
    """The whole load of a building [kW]."""
    return Series(
        who=history.building,
        unit="kW",
        ts_utc=history.ts_utc,
        step_h=history.step_h,
        timezone=history.timezone,
        place=history.place,
        values=history.load_kwh / history.step_h,
        weather=history.weather,
        least=0.0,
    )


def window(series: Series, first: str, n_days: int) -> Series | None:
    """``n_days`` local days from ``first``; None for a home without enough known values there."""
    date = np.asarray(series.local.tz_localize(None), dtype="datetime64[D]")
    inside = (date >= np.datetime64(first)) & (date < np.datetime64(first) + n_days)
    if not inside.any() or np.isfinite(series.values[inside]).mean() < 0.8:
        return None
    weather = {name: values[inside] for name, values in series.weather.items()}
    return replace(
        series, ts_utc=series.ts_utc[inside], values=series.values[inside], weather=weather
    )


def steps(series: Series) -> int:
    """Steps of a forecast."""
    return round(LEAD_H / series.step_h)


def midnights(series: Series, after_days: int) -> Ints:
    """Local midnights from the day after ``after_days`` on, with all steps inside."""
    clock = Clock.of(series)
    at = np.flatnonzero((clock.slot == 0) & (clock.day >= after_days))
    return at[at <= len(series) - steps(series)]


def crps_by_origin(forecast: Forecast, series: Series) -> Floats:
    """Mean CRPS of each origin, NaN where no truth is known."""
    truth = truth_of(forecast, series)
    loss = 2.0 * pinball_loss(forecast.values, truth).mean(axis=1)
    known = np.isfinite(loss)
    count = known.sum(axis=1)
    total = np.where(known, loss, 0.0).sum(axis=1)
    return np.divide(total, count, out=np.full(len(total), np.nan), where=count > 0)


def show(crps: Mapping[str, list[dict[str, Floats]]], names: list[str]) -> None:
    """Skill in CRPS over last week, by home and in the mean, with its 95 % interval."""
    print("| | " + " | ".join(n.removeprefix("DE_KN_") for n in names) + " | mean | 95 % |")
    print("|---|" + "---:|" * (len(names) + 2))
    reference = crps["last week"][0]
    for label, runs in crps.items():
        mean = {n: np.mean([run[n] for run in runs], axis=0) for n in names}
        each = [1.0 - np.nanmean(mean[n]) / np.nanmean(reference[n]) for n in names]
        low, high = interval(mean, reference, names)
        cells = " | ".join(f"{skill:.3f}" for skill in each)
        print(f"| {label} | {cells} | **{np.mean(each):.3f}** | {low:.3f} … {high:.3f} |")


def interval(
    mean: Mapping[str, Floats], reference: Mapping[str, Floats], names: list[str]
) -> tuple[float, float]:
    """95 % interval of the mean skill: whole weeks drawn anew, the same for all homes."""
    n = min(len(mean[name]) for name in names)
    weeks = np.array_split(np.arange(n), max(1, n // 7))
    rng = np.random.default_rng(0)
    skills = []
    for _ in range(RESAMPLES):
        days = np.concatenate([weeks[k] for k in rng.integers(0, len(weeks), len(weeks))])
        each = [
            1.0 - np.nanmean(mean[name][days]) / np.nanmean(reference[name][days]) for name in names
        ]
        skills.append(np.mean(each))
    low, high = np.quantile(skills, [0.025, 0.975])
    return float(low), float(high)


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--db", default="ems_data.duckdb")
    parser.add_argument("--first", default="2016-06-01")
    parser.add_argument("--learn_days", type=int, default=154)
    parser.add_argument("--score_days", type=int, default=81)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--strategies", nargs="+", default=["fedavg", "fedprox"])
    return parser.parse_args()


if __name__ == "__main__":
    main()
