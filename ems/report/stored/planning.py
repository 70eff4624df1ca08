"""Figures of planning runs: modes, duration, heat maps, errors, captured shares, buildings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from ems.agents.grid import GRID_NAME
from ems.agents.words import spoken
from ems.core.mode import LABELS
from ems.pipelines.captured import LEAST_DAYS, captured, error_costs
from ems.pipelines.comparison import ModeSummary, summarise
from ems.pipelines.spec import COST_ONLY, HABIT_ONLY, MODES, UNPLANNED
from ems.report.figures.forecasts import error_cost
from ems.report.figures.modes import captured_shares, mode_overview, savings_by_building
from ems.report.figures.page import Origin, days_in_words
from ems.report.figures.style import MODE_LINES
from ems.report.figures.windows import DayMap, day_maps, load_duration
from ems.report.stored.drawing import Drawing, Missing, Wanted
from ems.report.stored.runs import COMPARISON, KeptRun
from ems.store.results import read_horizon, read_powers, read_steps
from ems.types import Floats


def mode_figures(run: KeptRun, wanted: Wanted, _: str) -> Iterator[Drawing]:
    """Cost, savings and self-sufficiency of every mode, a figure per building."""
    for building in run.planned(wanted.building):
        draw = partial(
            mode_overview,
            _summaries(run, building),
            days={building: run.dates(building)},
            tariff=run.tariff,
            origin=run.origin,
            foresight=run.foresight,
        )
        yield Drawing(name=f"{building}_modes", draw=draw)


def _summaries(run: KeptRun, building: str) -> tuple[ModeSummary, ...]:
    return summarise([day for day in run.results(building) if day.mode in MODES])


def duration_figures(run: KeptRun, wanted: Wanted, _: str) -> Iterator[Drawing]:
    """Load duration curves at the grid, a figure per building.

    Of the controllers, both ends of the frontier are drawn.
    """
    lines: dict[str, Any] = {mode: MODE_LINES[mode] for mode in MODES}
    ends = {COST_ONLY: MODE_LINES["centralized"], HABIT_ONLY: MODE_LINES["centralized_phases"]}
    for building in run.planned(wanted.building):
        powers = read_powers(run.path, run.run_id, building, GRID_NAME)
        for end, line in ends.items():
            named = replace(line, label=end)
            lines |= {mode: named for mode in powers.columns if mode.endswith(end)}
        curves = [
            (line, -powers[mode].to_numpy(float)) for mode, line in lines.items() if mode in powers
        ]
        texts = _texts(run, building, "load duration at the grid")
        draw = partial(load_duration, curves, **texts)
        yield Drawing(name=f"{building}_load_duration", draw=draw)


def map_figures(run: KeptRun, wanted: Wanted, _: str) -> Iterator[Drawing | Missing]:
    """Price, load and charge over hour × day, a figure per building.

    Of the wanted mode, else ``centralized``, else the first planned mode.
    """
    for building in run.planned(wanted.building):
        name = f"{building}_heat_maps"
        known = list(dict.fromkeys(day.mode for day in run.results(building)))
        # sorted is stable: centralized first, the others as they were run.
        planned = sorted((m for m in known if m not in UNPLANNED), key=lambda m: m != "centralized")
        mode = wanted.mode or (planned or known)[0]
        if mode in known:
            what = f"price, load and charge · {LABELS.get(mode, mode)}"
            draw = partial(day_maps, _maps(run, building, mode), **_texts(run, building, what))
            yield Drawing(name=name, draw=draw)
        else:
            reason = f"mode {mode!r} was not run; there are {', '.join(known)}"
            yield Missing(name=name, reason=reason)


def _maps(run: KeptRun, building: str, mode: str) -> list[DayMap]:
    horizon = read_horizon(run.path, run.run_id, building)
    steps = read_steps(run.path, run.run_id, building, mode)
    days = [stamp.date() for stamp in pd.to_datetime(horizon["day"])]
    local_hour = horizon["local_hour"].to_numpy(float)
    table = steps.pivot_table(index="ts_utc", columns=["quantity", "agent"], values="value")
    # Steps without a value of an agent become NaN instead of vanishing.
    table = table.reindex(horizon["ts_utc"])
    stores = list(dict.fromkeys(steps.loc[steps["quantity"] == "soc_kwh", "agent"]))
    sources = set(steps.loc[steps["quantity"] == "generation_kw", "agent"])
    net_kw = table["net_load_kw"].drop(columns=[*stores, *sources, GRID_NAME], errors="ignore")

    def mapped(label: str, values: Floats, colours: str, least: float | None = None) -> DayMap:
        return DayMap.of(label, days, local_hour, values, colours, least)

    price_ct = 100.0 * horizon["import_eur_per_kwh"].to_numpy(float)
    load_kw = np.nansum(net_kw.to_numpy(float), axis=1)
    return [
        mapped("price [ct/kWh]", price_ct, "YlOrBr"),
        mapped("load without stores [kW]" if stores else "load [kW]", load_kw, "Blues"),
        *(
            mapped(
                f"charge of the {spoken(agent)} [kWh]",
                table["soc_kwh", agent].to_numpy(float),
                "Greens",
                0.0,
            )
            for agent in stores
        ),
    ]


def error_figures(run: KeptRun, wanted: Wanted, _: str) -> Iterator[Drawing]:
    """Daily cost of forecast errors, a figure per building with any.

    PV and load unknown alone, and everything the planned mode did not know.
    """
    modes = ("pv_unknown", "load_unknown", run.parameters["spec"]["modes"][-1])
    found = error_costs(run.days)
    for building in run.planned(wanted.building):
        own = {cost.mode: cost for cost in found if cost.building == building}
        if rows := [own[mode] for mode in modes if mode in own]:
            each = f"each point one of {_n_of(len(rows[0].days), 'day')} · line: Σ € / Σ kWh"
            few = f", no interval for fewer than {LEAST_DAYS} days"
            all_ = ", grey: 95 % of a bootstrap over days · ρ: rank correlation"
            texts = _texts(run, building, "what forecast errors cost")
            texts["note"] += f" · {each}{few if any(row.low is None for row in rows) else all_}"
            draw = partial(error_cost, rows, **texts)
            yield Drawing(name=f"{building}_error_cost", draw=draw)


def captured_figure(runs: Sequence[KeptRun], wanted: Wanted) -> Drawing | Missing:
    """Captured shares of all runs on forecasts in one figure."""
    asked = [run for run in _comparing(runs, wanted) if run.spec["foresight"] == "forecast"]
    shares = [
        (_group(asked, run, share.building), share)
        for run in asked
        for share in captured(run.days)
        if wanted.building in (None, share.building)
    ]
    if not shares:
        reason = "no run of Pipeline A on forecasts; make one with 01_run.py --foresight forecast"
        return Missing(name="captured_share", reason=reason)
    groups = list(dict.fromkeys(group.replace("\n", ", ") for group, _ in shares))
    drawn = [share.low is not None for _, share in shares if share.share is not None]
    few = f"fewer than {LEAST_DAYS} days"
    lines = "lines: 95 % of a bootstrap over days" + ("" if all(drawn) else f", none for {few}")
    one = f"{groups[0]} · share" if len(groups) == 1 else "Share"
    texts = _texts_of_all(asked, wanted)
    texts["title"] = f"{one} captured of what perfect foresight saves"
    texts["note"] += f" · {lines if any(drawn) or not drawn else f'no intervals for {few}'}"
    return Drawing(name="captured_share", draw=partial(captured_shares, shares, **texts))


def building_figure(runs: Sequence[KeptRun], wanted: Wanted) -> Drawing | Missing:
    """Savings of every mode in every building of all runs in one figure."""
    asked = _comparing(runs, wanted)
    groups = {
        _group(asked, run, building): _summaries(run, building)
        for run in asked
        for building in run.planned(wanted.building)
    }
    if not groups:
        reason = "no run of Pipeline A; make one with 01_run.py --building all"
        return Missing(name="savings_by_building", reason=reason)
    texts = _texts_of_all(asked, wanted)
    texts["title"] = f"Savings by mode and building · {_n_of(len(asked), 'run')}"
    texts["note"] += " · stores put back; € of the best plan"
    return Drawing(name="savings_by_building", draw=partial(savings_by_building, groups, **texts))


# --- what is said of them -------------------------------------------------------------------------


def _comparing(runs: Sequence[KeptRun], wanted: Wanted) -> list[KeptRun]:
    """The runs that compare modes in the wanted building."""
    return [run for run in runs if run.pipeline == COMPARISON and run.planned(wanted.building)]


def _texts(run: KeptRun, building: str, what: str) -> dict[str, Any]:
    """Title, note and origin of a figure of one building."""
    return {
        "title": f"{building} · {what} · {days_in_words(run.dates(building))}",
        "note": f"tariff {run.tariff} · {run.foresight}",
        "origin": run.origin,
    }


def _texts_of_all(runs: Sequence[KeptRun], wanted: Wanted) -> dict[str, Any]:
    """Note and origin of a figure of several runs; one synthetic run marks the whole figure."""
    windows = {tuple(run.dates(b)) for run in runs for b in run.planned(wanted.building)}
    least, most = min(map(len, windows)), max(map(len, windows))
    span = f"{_n_of(most, 'day')} of each" if least == most else f"{least} to {most} days of each"
    if len(windows) == 1:
        span = days_in_words(windows.pop())
    tariffs = ", ".join(dict.fromkeys(run.tariff for run in runs))
    known = "; ".join(dict.fromkeys(run.foresight for run in runs))
    sources = "; ".join(dict.fromkeys(run.origin.source for run in runs))
    return {
        "note": f"{span} · tariff {tariffs} · {known}",
        "origin": Origin(source=sources, synthetic=any(run.synthetic for run in runs)),
    }


def _group(runs: Sequence[KeptRun], run: KeptRun, building: str) -> str:
    """Name of a building in a figure of several runs, with what distinguishes its run."""
    told = [_asked(other) for other in runs if building in other.buildings]
    if len(told) == 1:
        return building
    apart = [value for key, value in _asked(run).items() if len({one[key] for one in told}) > 1]
    if told.count(_asked(run)) > 1:
        apart.append(f"run {run.short_id}")
    return f"{building}\n{', '.join(apart)}"


def _asked(run: KeptRun) -> dict[str, str]:
    """What runs of the same building may differ in, in words."""
    return {
        "tariff": run.tariff,
        "foresight": run.foresight,
        "dispatch": run.spec["dispatch"],
        "risk": run.spec["risk"],
        "phase_h": f"phases of {run.spec['phase_h']:g} h",
    }


def _n_of(count: int, name: str) -> str:
    return f"{count} {name}{'' if count == 1 else 's'}"
