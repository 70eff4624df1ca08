"""Figures of runs that plan: modes, duration, heat maps, errors, captured shares, buildings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd

from ems.pipelines.captured import LEAST_DAYS, Captured, ErrorCost, captured, error_costs
from ems.pipelines.comparison import BASELINES, MODES, ModeSummary, summarise
from ems.pipelines.integrated import COST_ONLY, HABIT_ONLY
from ems.report.figures.by_building import savings_by_building
from ems.report.figures.captured import captured_shares
from ems.report.figures.day_maps import DayMap, day_maps
from ems.report.figures.duration import load_duration
from ems.report.figures.error_cost import error_cost
from ems.report.figures.modes import mode_overview
from ems.report.figures.page import Origin, days_in_words
from ems.report.figures.style import MODE_LINES, Line, words
from ems.report.stored.drawing import Drawing, Missing
from ems.report.stored.runs import KeptRun
from ems.store.results import read_horizon, read_powers, read_steps
from ems.types import Floats

COMPARISON, INTEGRATED = "comparison", "integrated"
GRID = "grid"
PRICE_COLOURS, LOAD_COLOURS, CHARGE_COLOURS = "YlOrBr", "Blues", "Greens"


def mode_figures(run: KeptRun, buildings: Sequence[str]) -> Iterator[Drawing]:
    """Cost, savings and self-sufficiency of every mode, a figure for each building."""
    for building in buildings:
        draw = partial(
            mode_overview,
            _summaries(run, building),
            days={building: sorted({r.day for r in run.days if r.building == building})},
            tariff=run.tariff,
            origin=run.origin,
            foresight=run.foresight,
        )
        yield Drawing(name=f"{building}_modes", draw=draw)


def duration_figures(run: KeptRun, buildings: Sequence[str]) -> Iterator[Drawing]:
    """Load duration curves at the grid, a figure for each building."""
    for building in buildings:
        powers = read_powers(run.path, run.run_id, building, GRID)
        curves = [
            (line, -powers[mode].to_numpy(float))
            for mode, line in _lines(list(powers.columns)).items()
        ]
        title, note = _heading(run, building, "load duration at the grid")
        draw = partial(load_duration, curves, title=title, note=note, origin=run.origin)
        name = f"{building}_load_duration"
        yield Drawing(name=name, draw=draw)


def map_figures(
    run: KeptRun, buildings: Sequence[str], mode: str | None
) -> Iterator[Drawing | Missing]:
    """Price, load and charge over hour × day, a figure for each building.

    ``mode``: whose plan; None takes ``centralized``, else the first that was planned.
    """
    for building in buildings:
        shown = _mode_shown(run, building, mode)
        if isinstance(shown, Missing):
            yield shown
            continue
        what = f"price, load and charge · {_mode_words(shown)}"
        title, note = _heading(run, building, what)
        maps = _maps(run, building, shown)
        draw = partial(day_maps, maps, title=title, note=note, origin=run.origin)
        name = f"{building}_heat_maps"
        yield Drawing(name=name, draw=draw)


def error_figures(run: KeptRun, buildings: Sequence[str]) -> Iterator[Drawing]:
    """What forecast errors cost day by day, a figure for each building that had any.

    Sun and load unknown alone, and all that the mode did not know which they were run with.
    """
    wanted = ("pv_unknown", "load_unknown", run.parameters["spec"]["modes"][-1])
    found = error_costs(run.days)
    for building in buildings:
        own = {cost.mode: cost for cost in found if cost.building == building}
        rows = [own[mode] for mode in wanted if mode in own]
        if rows:
            title, told = _heading(run, building, "what forecast errors cost")
            note = f"{told} · {_of_errors(rows)}"
            draw = partial(error_cost, rows, title=title, note=note, origin=run.origin)
            yield Drawing(name=f"{building}_error_cost", draw=draw)


def captured_figure(runs: Sequence[KeptRun], wanted: str | None) -> Drawing | Missing:
    """The captured shares of all runs on forecasts in one figure."""
    on_forecasts = [
        run
        for run in runs
        if _compares(run, wanted) and run.parameters["spec"]["foresight"] == "forecast"
    ]
    rows = [
        (_group(on_forecasts, run, share.building), share)
        for run in on_forecasts
        for share in _captured(run)
        if wanted in (None, share.building)
    ]
    if not rows:
        reason = "no run of Pipeline A on forecasts; make one with 01_run.py --foresight forecast"
        return Missing(name="captured_share", reason=reason)
    groups = list(dict.fromkeys(group.replace("\n", ", ") for group, _ in rows))
    one = f"{groups[0]} · share" if len(groups) == 1 else "Share"
    title = f"{one} captured of what perfect foresight saves"
    what = f"{_spans(on_forecasts, wanted)} · {_told(on_forecasts)}"
    note = f"{what} · {_interval([share for _, share in rows])}"
    draw = partial(captured_shares, rows, title=title, note=note, origin=_origin(on_forecasts))
    return Drawing(name="captured_share", draw=draw)


def building_figure(runs: Sequence[KeptRun], wanted: str | None) -> Drawing | Missing:
    """What every mode saves in every building of all runs in one figure."""
    comparing = [run for run in runs if _compares(run, wanted)]
    groups = {
        _group(comparing, run, building): _summaries(run, building)
        for run in comparing
        for building in run.buildings
        if wanted in (None, building)
    }
    if not groups:
        reason = "no run of Pipeline A; make one with 01_run.py --building all"
        return Missing(name="savings_by_building", reason=reason)
    title = f"Savings by mode and building · {_n_of(len(comparing), 'run')}"
    note = f"{_spans(comparing, wanted)} · {_told(comparing)} · stores put back; € of the best plan"
    draw = partial(savings_by_building, groups, title=title, note=note, origin=_origin(comparing))
    return Drawing(name="savings_by_building", draw=draw)


# --- what stands in them --------------------------------------------------------------------------


def _compares(run: KeptRun, wanted: str | None) -> bool:
    """Whether a run compares modes, in the building that is wanted."""
    return run.pipeline == COMPARISON and (wanted is None or wanted in run.buildings)


def _summaries(run: KeptRun, building: str) -> tuple[ModeSummary, ...]:
    return summarise([r for r in run.days if r.building == building and r.mode in MODES])


def _captured(run: KeptRun) -> tuple[Captured, ...]:
    return captured(run.days)


def _interval(shares: Sequence[Captured]) -> str:
    """What the lines are, and why there may be none."""
    drawn = [share.low is not None for share in shares if share.share is not None]
    of_days = "lines: 95 % of a bootstrap over days"
    few = f"fewer than {LEAST_DAYS} days"
    if all(drawn):
        return of_days
    return f"{of_days}, none for {few}" if any(drawn) else f"no intervals for {few}"


def _of_errors(rows: Sequence[ErrorCost]) -> str:
    """What the points and lines are."""
    n_days = _n_of(len(rows[0].days), "day")
    lines = f"each point one of {n_days} · line: Σ € / Σ kWh"
    if any(row.low is None for row in rows):
        return f"{lines}, no interval for fewer than {LEAST_DAYS} days"
    return f"{lines}, grey: 95 % of a bootstrap over days · ρ: rank correlation"


def _lines(modes: Sequence[str]) -> dict[str, Line]:
    """How each mode is drawn; of controllers those at both ends of the frontier."""
    lines: dict[str, Line] = {mode: MODE_LINES[mode] for mode in MODES if mode in modes}
    for mode in modes:
        if mode.endswith(COST_ONLY):
            lines[mode] = replace(MODE_LINES["centralized"], label=COST_ONLY)
        elif mode.endswith(HABIT_ONLY):
            lines[mode] = replace(MODE_LINES["centralized_phases"], label=HABIT_ONLY)
    return lines


def _mode_shown(run: KeptRun, building: str, mode: str | None) -> str | Missing:
    known = list(dict.fromkeys(r.mode for r in run.days if r.building == building))
    if mode is None:
        planned = [one for one in known if one not in BASELINES]
        return "centralized" if "centralized" in planned else (planned or known)[0]
    if mode not in known:
        reason = f"mode {mode!r} was not run; there are {', '.join(known)}"
        return Missing(name=f"{building}_heat_maps", reason=reason)
    return mode


def _mode_words(mode: str) -> str:
    return MODE_LINES[mode].label if mode in MODES else mode


def _maps(run: KeptRun, building: str, mode: str) -> list[DayMap]:
    horizon = read_horizon(run.path, run.run_id, building)
    steps = read_steps(run.path, run.run_id, building, mode)
    days = [stamp.date() for stamp in pd.to_datetime(horizon["day"])]
    local_hour = horizon["local_hour"].to_numpy(float)

    def mapped(label: str, values: Floats, colours: str, least: float | None = None) -> DayMap:
        return DayMap.of(label, days, local_hour, values, colours, least)

    table = steps.pivot_table(index="ts_utc", columns=["agent", "quantity"], values="value")
    table = table.reindex(horizon["ts_utc"])
    stores, sources = _with(steps, "soc_kwh"), _with(steps, "generation_kw")
    agents = steps["agent"].drop_duplicates()
    loads = [agent for agent in agents if agent not in (*stores, *sources, GRID)]
    load_kw = sum((_net_kw(table, agent) for agent in loads), np.zeros(len(horizon)))
    price_ct = 100.0 * horizon["import_eur_per_kwh"].to_numpy(float)
    return [
        mapped("price [ct/kWh]", price_ct, PRICE_COLOURS),
        mapped("load without stores [kW]" if stores else "load [kW]", load_kw, LOAD_COLOURS),
        *(
            mapped(
                f"charge of the {words(agent)} [kWh]",
                table[agent, "soc_kwh"].to_numpy(float),
                CHARGE_COLOURS,
                0.0,
            )
            for agent in stores
        ),
    ]


def _with(steps: pd.DataFrame, quantity: str) -> list[str]:
    """The agents that have a quantity."""
    return list(steps.loc[steps["quantity"] == quantity, "agent"].drop_duplicates())


def _net_kw(table: pd.DataFrame, agent: str) -> Floats:
    """The net load of an agent, zero on days on which it has no plan."""
    return table[agent, "net_load_kw"].fillna(0.0).to_numpy(float)


def _heading(run: KeptRun, building: str, what: str) -> tuple[str, str]:
    days = sorted({result.day for result in run.days if result.building == building})
    title = f"{building} · {what} · {days_in_words(days)}"
    return title, f"tariff {run.tariff} · {run.foresight}"


def _group(runs: Sequence[KeptRun], run: KeptRun, building: str) -> str:
    """What a building is called in a figure of several runs: with what sets its run apart."""
    same = [other for other in runs if building in other.buildings]
    if len(same) == 1:
        return building
    told = [_asked(other) for other in same]
    apart = [value for key, value in _asked(run).items() if len({one[key] for one in told}) > 1]
    if told.count(_asked(run)) > 1:
        apart.append(f"run {run.short_id}")
    return f"{building}\n{', '.join(apart)}"


def _asked(run: KeptRun) -> dict[str, str]:
    """What runs of the same building may differ in, in words."""
    spec = run.parameters["spec"]
    return {
        "tariff": run.tariff,
        "foresight": run.foresight,
        "dispatch": spec["dispatch"],
        "risk": spec["risk"],
        "phase_h": f"phases of {spec['phase_h']:g} h",
    }


def _spans(runs: Sequence[KeptRun], wanted: str | None) -> str:
    """The days of all runs, or how many each wanted building has where they differ."""
    windows = {
        tuple(sorted({r.day for r in run.days if r.building == building}))
        for run in runs
        for building in run.buildings
        if wanted in (None, building)
    }
    if len(windows) == 1:
        return days_in_words(windows.pop())
    least, most = min(map(len, windows)), max(map(len, windows))
    return f"{_n_of(most, 'day')} of each" if least == most else f"{least} to {most} days of each"


def _n_of(count: int, name: str) -> str:
    return f"{count} {name}{'' if count == 1 else 's'}"


def _told(runs: Sequence[KeptRun]) -> str:
    tariffs = ", ".join(dict.fromkeys(run.tariff for run in runs))
    known = "; ".join(dict.fromkeys(run.foresight for run in runs))
    return f"tariff {tariffs} · {known}"


def _origin(runs: Sequence[KeptRun]) -> Origin:
    """The sources of all runs; one that is synthetic marks the whole figure."""
    sources = "; ".join(dict.fromkeys(run.origin.source for run in runs))
    return Origin(source=sources, synthetic=any(run.synthetic for run in runs))
