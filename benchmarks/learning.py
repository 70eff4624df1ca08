"""How fast habits are learned, and with ``--db`` or ``--twin`` how well, each in one run.

``python benchmarks/learning.py [--db FILE] [--twin]``

1. speed: a grid of 20 cells × 25 devices × 600 days as arrays, the same cells through
   ``ProbabilityModelAgent`` (the numbers must agree), and scipy's ``jensenshannon`` beside ours
2. ``--db``: every device of every building of a database: does learning beat the uniform prior and
   all-history frequencies, in bits per own start one day ahead (the table of ``docs/learning.md``)
3. ``--twin``: distance to the true PMFs over time, and days until a changed habit is followed
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import numpy as np
from scipy.spatial.distance import jensenshannon

from ems.economics.intervals import ratio_interval
from ems.learning.pmf import js_distance, shift
from ems.learning.priors import Prior, learned, transfer, uniform
from ems.learning.probability_model import ProbabilityModelAgent
from ems.learning.rate import LearningRate
from ems.learning.rivals import Model, standard_models
from ems.learning.scores import (
    ModelScores,
    contest,
    days_to_half,
    distance_to_truth,
    prequential,
    reliability,
)
from ems.learning.search import GridResult, grid_search, rate_grid
from ems.learning.usage import UseHistory, use_histories
from ems.site.calendar import day_types
from ems.site.meters import MeterData
from ems.site.place import KONSTANZ
from ems.store.connection import get_con
from ems.store.read import list_buildings, read_history
from ems.twin.generate import Twin, TwinBuilding, generate

RATES = rate_grid([5, 10, 20, 30, 50], [0.05, 0.10, 0.15, 0.20])
REFERENCES = ("uniform", "all_history", "fixed:learned")
CHANGE_HOURS = 4


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--db", type=Path, help="a database to answer the question on")
    parser.add_argument("--twin", action="store_true", help="compare with the twin's truth")
    args = parser.parse_args()
    print(
        f"machine   {platform.processor() or platform.machine()}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}, numpy {np.__version__}"
    )
    speed()
    if args.db is not None:
        portfolio(args.db)
    if args.twin:
        truth()


# --- speed ---------------------------------------------------------------------------------------


def speed() -> None:
    """The grid as arrays and agent by agent."""
    histories = [made(seed) for seed in range(25)]
    priors = [uniform()] * len(histories)
    result = grid_search(histories, priors, RATES)
    grid_s = median_s(lambda: grid_search(histories, priors, RATES))
    big = rate_grid(np.linspace(5, 50, 25).tolist(), np.linspace(0.02, 0.3, 20).tolist())
    big_s = median_s(lambda: grid_search(histories, priors, big), repeats=1)
    agent_s = median_s(lambda: through_agents(histories[:1]), repeats=1) * len(histories)
    worst = float(np.max(np.abs(through_agents(histories[:1]) - result.log_loss_bits[:, 0])))
    print(f"\n20 cells × 25 devices × 600 days    {grid_s:8.2f} s")
    print(f"500 cells × 25 devices × 600 days   {big_s:8.2f} s")
    print(f"20 cells, agent by agent            {agent_s:8.2f} s (25 × one device)")
    print(f"largest difference in log loss      {worst:8.1g} bit")
    p, q = np.random.default_rng(0).dirichlet(np.ones(24), (2, 10_000))
    ours_s = median_s(lambda: js_distance(p, q))
    scipy_s = median_s(lambda: jensenshannon(p, q, axis=1))
    print(f"10,000 JS distances {1000 * ours_s:.1f} ms, scipy {1000 * scipy_s:.1f} ms")


def made(seed: int) -> UseHistory:
    """600 days of a device used on two days of three."""
    rng = np.random.default_rng(seed)
    days = np.datetime64("2015-01-01", "D") + np.arange(600)
    habit = rng.dirichlet(np.full(24, 0.5))
    n_starts = rng.choice([0, 1, 2], size=600, p=[0.35, 0.5, 0.15])
    starts = rng.multinomial(n_starts, habit).astype(float)
    return UseHistory(
        building=f"home{seed}",
        place=KONSTANZ,
        device="dishwasher",
        category="discrete_phase",
        days=days,
        day_types=day_types(days, KONSTANZ),
        starts=starts,
        n_starts=n_starts.astype(float),
        shifted=np.zeros(600, dtype=bool),
    )


def through_agents(histories: list[UseHistory]) -> np.ndarray:
    """The log loss of every cell on the first history, one agent after the other."""
    losses = []
    for rate in RATES:
        for history in histories:
            agent = ProbabilityModelAgent(
                device=history.device, place=history.place, prior=uniform(), rate=rate
            )
            said = prequential(agent, history)
            losses.append(said.log_loss_bits.sum() / said.own_starts.sum())
    return np.array(losses)


def median_s(run: Callable[[], object], repeats: int = 5) -> float:
    """Median seconds of ``repeats`` runs."""
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        run()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


# --- a database ----------------------------------------------------------------------------------


def portfolio(db: Path) -> None:
    """The table of the docs, in Markdown."""
    with get_con(db) as con:
        histories = [
            history
            for name in list_buildings(con)
            for history in use_histories(read_history(con, name)).values()
        ]
    started = time.perf_counter()
    found = {history.who: scored(history, histories) for history in histories}
    print(f"\n{len(histories)} devices scored in {time.perf_counter() - started:.1f} s\n")
    print(
        "| device | known days | unknown | own starts scored | all-history, bit a start | "
        "rate rule − uniform prior | rate rule − all-history |"
    )
    print("|---|---:|---:|---:|---:|---:|---:|")
    for history in histories:
        rows = found[history.who]
        ours = rows["rate:uniform"]
        print(
            f"| {history.who.removeprefix('DE_KN_')} | {len(history)} | {history.n_unknown} | "
            f"{ours.n_starts:.0f} | {rows['all_history'].log_loss_bits.mean:.2f} | "
            f"{signed(ours, 'uniform')} | {signed(ours, 'all_history')} |"
        )
    summary(found)
    calibration(histories)
    disagreement(histories)


def scored(history: UseHistory, histories: list[UseHistory]) -> dict[str, ModelScores]:
    """Every model from every prior on one device."""
    same = [other for other in histories if other.device == history.device]
    priors: list[Prior] = [uniform(), learned(history.device), transfer(history.building, same)]
    models = standard_models(history.device, history.place, priors)
    return contest(models, history, references=REFERENCES)


def signed(row: ModelScores, reference: str) -> str:
    """A gain in bits with its interval."""
    gain = row.gain_bits[reference]
    return f"{gain.mean:+.2f} ({gain.low:+.2f} … {gain.high:+.2f})"


def summary(found: dict[str, dict[str, ModelScores]]) -> None:
    """Means over the devices, and on how many the interval lies above or below zero."""
    print(
        "\n| model | log loss, bit | Brier | RPS, h | gain on uniform | gain on all-history | "
        "better / worse than all-history | use: log loss, bit | use: Brier |"
    )
    print("|---|---:|---:|---:|---:|---:|---:|---:|---:|")
    for name in next(iter(found.values())):
        rows = [models[name] for models in found.values()]
        against = [row.gain_bits["all_history"] for row in rows]
        better, worse = sum(g.low > 0 for g in against), sum(g.high < 0 for g in against)
        means = [
            statistics.fmean(getattr(row, kind).mean for row in rows)
            for kind in ("log_loss_bits", "brier", "crps_h", "use_log_loss_bits", "use_brier")
        ]
        print(
            f"| {name} | {means[0]:.3f} | {means[1]:.3f} | {means[2]:.2f} | "
            f"{over_devices([r.gain_bits['uniform'].mean for r in rows])} | "
            f"{over_devices([g.mean for g in against])} | {better} / {worse} of {len(rows)} | "
            f"{means[3]:.3f} | {means[4]:.3f} |"
        )


def over_devices(gains: list[float]) -> str:
    """The mean over devices with a bootstrap interval over devices."""
    low, high = ratio_interval(np.array(gains), np.ones(len(gains)), seed=0)
    return f"{np.mean(gains):+.3f} ({low:+.3f} … {high:+.3f})"


def calibration(histories: list[UseHistory]) -> None:
    """ "Used today" as the rate rule predicts it, all devices together."""
    said = [
        prequential(ProbabilityModelAgent(device=h.device, place=h.place, prior=uniform()), h)
        for h in histories
    ]
    bins: dict[float, list[tuple[int, float, float]]] = {}
    for forecasts in said:
        for part in reliability(forecasts):
            row = (part.n_days, part.mean_predicted, part.observed_share)
            bins.setdefault(part.low, []).append(row)
    print("\n| given | days | mean given | used |\n|---|---:|---:|---:|")
    for low, parts in sorted(bins.items()):
        n, given, used = np.array(parts).T
        print(
            f"| {low:.1f}–{low + 0.1:.1f} | {n.sum():.0f} | {n @ given / n.sum():.2f} | "
            f"{n @ used / n.sum():.2f} |"
        )


def disagreement(histories: list[UseHistory]) -> None:
    """The grid by log loss and by learning score."""
    for name, priors in {
        "uniform": [uniform() for _ in histories],
        "learned": [learned(history.device) for history in histories],
    }.items():
        result = grid_search(histories, priors, RATES)
        print(f"\nprior {name}: log loss [bit], rows lr_tau 5, 10, 20, 30, 50, columns lr_max")
        print(result.log_loss_bits.mean(axis=1).reshape(5, 4).round(3))
        print("learning score")
        print(result.learning_score.mean(axis=1).reshape(5, 4).round(3))
        print(agreement(result))


def agreement(result: GridResult) -> str:
    """How often both scores choose the same cell, and what the learning score's choice costs."""
    n = len(result.who)
    ours = [result.best_by_log_loss(k) for k in range(n)]
    theirs = [result.best_by_learning_score(k) for k in range(n)]
    costs = [
        result.log_loss_bits[b, k] - result.log_loss_bits[a, k]
        for k, (a, b) in enumerate(zip(ours, theirs, strict=True))
    ]
    same = sum(a == b for a, b in zip(ours, theirs, strict=True))
    rank = np.corrcoef(
        result.log_loss_bits.mean(axis=1).argsort().argsort(),
        (-result.learning_score.mean(axis=1)).argsort().argsort(),
    )[0, 1]
    return (
        f"same cell on {same} of {n} devices; the learning score's choice costs "
        f"{np.mean(costs):.3f} bit a start (at most {max(costs):.3f}); rank correlation {rank:+.2f}"
    )


# --- the twin ------------------------------------------------------------------------------------


def truth() -> None:
    """Distance to the truth and days to half of a planted change, over the twin's devices."""
    twin = generate(7)
    truths, histories = true_pmfs(twin), twin_histories(twin)
    distances: dict[str, list[np.ndarray]] = {}
    followed: dict[str, list[float]] = {}
    for history in histories:
        pmf = truths[history.building, history.device]
        changed = shift(pmf, CHANGE_HOURS)
        half = history.days[len(history) // 2].item()
        planted = history.with_changed_habit(half, CHANGE_HOURS)
        for name in models_of(history):
            said = prequential(models_of(history)[name], history)
            distances.setdefault(name, []).append(distance_to_truth(said, pmf))
            after = prequential(models_of(history)[name], planted)
            followed.setdefault(name, []).append(days_to_half(after, half, changed[0]))
    print(
        f"\ntwin, {len(histories)} devices: mean JS distance to the true PMF after n known days, "
        f"and median days until half of a habit {CHANGE_HOURS} h later is learned"
    )
    print("| model | 30 | 100 | 300 | last | days to half (devices that never) |")
    print("|---|---:|---:|---:|---:|---:|")
    for name, curves in distances.items():
        at = [np.mean([c[min(n, len(c)) - 1] for c in curves]) for n in (2, 72, 272, 10**6)]
        never = sum(np.isinf(days) for days in followed[name])
        print(
            f"| {name} | "
            + " | ".join(f"{value:.3f}" for value in at)
            + f" | {np.median(followed[name]):.0f} ({never}) |"
        )


def models_of(history: UseHistory) -> dict[str, Model]:
    """Fresh models that start from the uniform prior, and the agent with other least rates."""
    models = standard_models(history.device, history.place, [uniform()])
    for lr_min in (0.01, 0.02):
        models[f"rate, lr_min {lr_min}"] = ProbabilityModelAgent(
            device=history.device,
            place=history.place,
            prior=uniform(),
            rate=LearningRate(lr_min=lr_min),
        )
    return models


def true_pmfs(twin: Twin) -> dict[tuple[str, str], np.ndarray]:
    """The PMFs behind each device that people start, shape ``(2, 24)``."""
    return {
        key: rows["probability"].to_numpy().reshape(2, 24)
        for key, rows in twin.true_pmf.groupby(["building", "feed"], sort=False)
    }


def twin_histories(twin: Twin) -> list[UseHistory]:
    """The devices of the twin that people start, as their meters show them."""
    return [
        history
        for building in twin.buildings
        for history in use_histories(metered(building)).values()
        if history.category != "partial_usage"
    ]


def metered(building: TwinBuilding) -> MeterData:
    """A building of the twin without prices: its sub-meters are all that is needed."""
    none = np.full(len(building.ts_utc), np.nan)
    return MeterData(
        building=building.name,
        kind=building.kind,
        place=building.place,
        timezone=building.timezone,
        step_h=building.step_h,
        ts_utc=building.ts_utc,
        feeds=building.feeds,
        energy_kwh=building.energy_kwh,
        load_kwh=none,
        pv_kwh=none,
        price_eur_per_mwh=none,
        load_rule=building.load_rule,
        synthetic=True,
        source="synthetic twin",
        data_hash="",
    )


if __name__ == "__main__":
    main()
