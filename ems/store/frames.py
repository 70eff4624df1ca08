"""Pipeline records as tables of the results database, and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ems.economics.settlement import DayKpis
from ems.learning.habit import PmfUpdate
from ems.pipelines.comparison import DayRecord, DayResult
from ems.store.results import (
    DAY_COLUMNS,
    HORIZON_COLUMNS,
    PMF_COLUMNS,
    STEP_COLUMNS,
    DayTables,
)

DERIVED = (
    "cost_eur",
    "own_use_kwh",
    "self_consumption",
    "self_sufficiency",
    "mean_shift_h",
    "with_wear_eur",
)
KPIS = (*(field.name for field in fields(DayKpis)), *DERIVED)


def day_tables(records: Sequence[DayRecord]) -> DayTables:
    """Everything stored of some days."""
    return DayTables(
        days=day_frame(records), horizon=horizon_frame(records), steps=step_frame(records)
    )


def kpi_values(kpis: DayKpis) -> dict[str, float]:
    """Every KPI by name, including derived ones; NaN if undefined."""
    values = {name: getattr(kpis, name) for name in KPIS}
    return {name: np.nan if value is None else float(value) for name, value in values.items()}


def day_frame(results: Sequence[DayResult]) -> pd.DataFrame:
    """``DAY_COLUMNS``: one row per KPI; undefined ones are left out."""
    if not results:
        return pd.DataFrame({name: [] for name in DAY_COLUMNS})
    table = np.array([list(kpi_values(result.kpis).values()) for result in results])
    known = np.isfinite(table)
    n_kpis = len(KPIS)
    frame = pd.DataFrame(
        {
            "building": np.repeat([r.building for r in results], n_kpis),
            "day": np.repeat(np.array([r.day for r in results], dtype="datetime64[s]"), n_kpis),
            "mode": np.repeat([r.mode for r in results], n_kpis),
            "kpi": np.tile(KPIS, len(results)),
            "value": table.reshape(-1),
        }
    )
    defined: pd.DataFrame = frame.loc[known.reshape(-1)]
    return defined.reset_index(drop=True)


def day_results(wide: pd.DataFrame) -> tuple[DayResult, ...]:
    """The days read by ``read_days``, as they were before ``day_frame``.

    Undefined figures are NaN.
    """
    names = [field.name for field in fields(DayKpis)]
    table = wide.reindex(columns=names).to_numpy(float)
    heads = zip(wide["building"], wide["day"], wide["mode"], strict=True)
    return tuple(
        DayResult(
            building=building,
            day=pd.Timestamp(day).date(),
            mode=mode,
            kpis=DayKpis(**dict(zip(names, values.tolist(), strict=True))),
        )
        for (building, day, mode), values in zip(heads, table, strict=True)
    )


def horizon_frame(records: Sequence[DayRecord]) -> pd.DataFrame:
    """``HORIZON_COLUMNS``: one row per step of each building and day, whatever its modes."""
    once = {(record.building, record.day): record.schedule.horizon for record in records}
    if not once:
        return pd.DataFrame({name: [] for name in HORIZON_COLUMNS})
    horizons = list(once.values())
    lengths = [horizon.n_steps for horizon in horizons]
    return pd.DataFrame(
        {
            "building": np.repeat([building for building, _ in once], lengths),
            "day": np.repeat(np.array([day for _, day in once], dtype="M8[s]"), lengths),
            "ts_utc": np.concatenate([horizon.ts_utc for horizon in horizons]),
            "local_hour": np.concatenate([horizon.local_hour for horizon in horizons]),
            "step_h": np.repeat([horizon.step_h for horizon in horizons], lengths),
            "import_eur_per_kwh": np.concatenate([h.import_eur_per_kwh for h in horizons]),
            "export_eur_per_kwh": np.concatenate([h.export_eur_per_kwh for h in horizons]),
        }
    )


def step_frame(records: Sequence[DayRecord]) -> pd.DataFrame:
    """``STEP_COLUMNS``: one row per step of each series."""
    if not records:
        return pd.DataFrame({name: [] for name in STEP_COLUMNS})
    labels: list[tuple[str, np.datetime64, str, str, str]] = []
    times, values = [], []
    for record in records:
        day = np.datetime64(record.day, "s")
        ts_utc = record.schedule.horizon.ts_utc
        for name, plan in record.schedule.plans.items():
            for quantity, series in {"net_load_kw": plan.net_load_kw, **plan.series}.items():
                labels.append((record.building, day, record.mode, name, quantity))
                times.append(ts_utc)
                values.append(series)
    lengths = [len(series) for series in values]
    row = np.repeat(np.arange(len(labels)), lengths)
    buildings, days, modes, agents, quantities = zip(*labels, strict=True)
    return pd.DataFrame(
        {
            "building": _repeated(buildings, row),
            "day": np.array(days)[row],
            "mode": _repeated(modes, row),
            "agent": _repeated(agents, row),
            "quantity": _repeated(quantities, row),
            "ts_utc": np.concatenate(times),
            "value": np.concatenate(values),
        }
    )


def pmf_frame(building: str, model: str, updates: Sequence[PmfUpdate]) -> pd.DataFrame:
    """``PMF_COLUMNS``: one row per update, ``hours`` a list of 24 probabilities."""
    rows = [
        {
            "building": building,
            "feed": update.device,
            "model": model,
            "day": np.datetime64(update.day, "s"),
            "day_type": update.day_type,
            "n": update.n,
            "alpha": update.alpha,
            "js_to_prior": update.js_to_prior,
            "js_step": update.js_step,
            "entropy_bits": update.entropy_bits,
            "own_starts": update.own_starts,
            "hours": update.hours.tolist(),
        }
        for update in updates
    ]
    return pd.DataFrame(rows, columns=list(PMF_COLUMNS))


def pmf_updates(stored: pd.DataFrame) -> tuple[PmfUpdate, ...]:
    """The updates read by ``read_pmf_updates``, as they were before ``pmf_frame``."""
    same = {field.name for field in fields(PmfUpdate)} - {"device", "day", "hours"}
    return tuple(
        PmfUpdate(
            device=row["feed"],
            day=pd.Timestamp(row["day"]).date(),
            hours=np.asarray(row["hours"], float),
            **{name: row[name] for name in same},
        )
        for row in stored.to_dict("records")
    )


def _repeated(column: Sequence[str], row: NDArray[np.int64]) -> pd.Categorical[str]:
    """The names of ``column`` at the indices ``row``; categorical, since millions of rows share few
    names."""
    names = list(dict.fromkeys(column))
    place = {name: code for code, name in enumerate(names)}
    codes = np.array([place[name] for name in column])
    return pd.Categorical.from_codes(codes[row].tolist(), categories=pd.Index(names))
