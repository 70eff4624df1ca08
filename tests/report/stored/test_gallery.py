"""Figures drawn from stored runs of all pipelines hold the numbers of the stores."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import matplotlib.dates as mdates
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from report.stored.stored import Stored, results_of, stored

from ems.errors import InvalidSpec
from ems.learning.priors import learned, uniform
from ems.pipelines.captured import captured, error_costs
from ems.pipelines.comparison import MODES, summarise
from ems.report.figures.page import save, span_in_words
from ems.report.figures.paper import COLUMN, SCREEN
from ems.report.stored import (
    KINDS,
    Drawing,
    KeptRun,
    Missing,
    Wanted,
    choose_runs,
    figures,
    kept_runs,
)
from ems.report.stored.planning import building_figure, captured_figure
from ems.site.calendar import DAY_TYPES

HOME, OTHER = "DE_KN_residential4", "DE_KN_residential1"


@pytest.fixture(scope="module")
def made() -> Stored:
    return stored()


def drawn(
    made: Stored, name: str, kinds: str, *, building: str | None = None, mode: str | None = None
) -> dict[str, Figure]:
    """Figures of one run by their names; none may be missing."""
    wanted = Wanted(kinds=kinds.split(), building=building, mode=mode)
    found = figures([made.kept(name)], wanted, made.tracking_uri)
    return {figure.name: figure.on(SCREEN) for _, figure in found if isinstance(figure, Drawing)}


def missing(
    runs: list[KeptRun], tracking_uri: str, kinds: str, **wanted: str
) -> list[tuple[str, str]]:
    found = figures(runs, Wanted(kinds=kinds.split(), **wanted), tracking_uri)  # type: ignore[arg-type]
    return [(one.name, one.reason) for _, one in found if isinstance(one, Missing)]


def asked(database: Path, sql: str, *values: object) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(database), read_only=True) as con:
        return con.execute(sql, values).fetchall()


def tracked(made: Stored, sql: str, *values: object) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(made.folder / "mlflow.db")) as con:
        return con.execute(sql, values).fetchall()


def dots(ax: Any) -> dict[str, float]:
    return {
        line.get_gid(): float(line.get_xdata()[0]) for line in ax.lines if len(line.get_xdata())
    }


@pytest.fixture
def changed(made: Stored, tmp_path: Path) -> Path:
    """A copy of the results to be changed."""
    file = tmp_path / "ems_results.duckdb"
    shutil.copy(made.database, file)
    return file


def kept_of(made: Stored, file: Path, name: str) -> KeptRun:
    (run,) = (run for run in kept_runs(file) if run.run_id == made.made[name].run_id)
    return run


def change(file: Path, sql: str, *values: object) -> None:
    with duckdb.connect(str(file)) as con:
        con.execute(sql, values)


# --- which runs there are -------------------------------------------------------------------------


def test_the_measurements_are_not_there_and_nothing_is_planned_again(made: Stored) -> None:
    assert not (made.folder / "data.duckdb").exists()
    before = made.database.read_bytes()
    runs = choose_runs(kept_runs(made.database), [])
    found = list(figures(runs, Wanted(), made.tracking_uri))
    assert len(found) > 8
    assert [one for _, one in found if isinstance(one, Missing)] == []
    assert made.database.read_bytes() == before


def test_the_runs_are_those_of_the_database_newest_first(made: Stored) -> None:
    kept = kept_runs(made.database)
    rows = asked(made.database, "SELECT run_id, pipeline FROM run ORDER BY started_utc DESC")
    assert [(run.run_id, run.pipeline) for run in kept] == rows
    assert {run.status for run in kept} == {"FINISHED"}
    assert all(run.synthetic and run.origin.synthetic for run in kept)
    assert made.kept("forecast").foresight == "planned on learned forecasts"
    assert made.kept("home").tariff == "dynamic"


def test_without_a_name_the_newest_of_each_pipeline_is_chosen(made: Stored) -> None:
    chosen = choose_runs(kept_runs(made.database), [])
    expected = [made.made[name].run_id for name in ("forecast", "habits", "rates")]
    assert [run.run_id for run in chosen] == expected


def test_runs_are_chosen_by_the_beginning_of_their_ids(made: Stored) -> None:
    kept = kept_runs(made.database)
    ids = [made.made[name].run_id for name in ("rates", "home")]
    assert [run.run_id for run in choose_runs(kept, [ids[0][:9], ids[1], ids[0]])] == ids
    with pytest.raises(InvalidSpec, match=r"no run's id starts with 'zz' among the 5 kept"):
        choose_runs(kept, ["zz"])
    with pytest.raises(InvalidSpec, match=r"no run's id starts with ''"):
        choose_runs(kept, [""])
    with pytest.raises(InvalidSpec, match=r"none of 0 runs has come to its end"):
        choose_runs([], [])


def test_what_is_stored_reads_back_as_it_was(made: Stored) -> None:
    for name in ("home", "forecast"):
        original = [record.result for record in made.made[name].records]
        key = [(r.building, r.mode, r.day) for r in original]
        back = {(r.building, r.mode, r.day): r for r in made.kept(name).days}
        assert sorted(key) == sorted(back)
        for result in original:
            kept = back[result.building, result.mode, result.day]
            assert kept.block == result.block
            assert kept.kpis.cost_eur == pytest.approx(result.kpis.cost_eur, abs=1e-12)
            assert kept.kpis.stored_change_kwh == result.kpis.stored_change_kwh


# --- runs that plan -------------------------------------------------------------------------------


def test_costs_are_those_that_were_printed_tracked_and_stored(made: Stored) -> None:
    figure = drawn(made, "home", "modes")[f"{HOME}_modes"]
    cost, saved, own = (dots(ax) for ax in figure.axes[:3])
    original = {s.mode: s for s in summarise(results_of(made.made["home"], HOME))}
    assert list(cost) == list(MODES)
    for mode in MODES:
        ((stored_eur,),) = asked(
            made.database,
            "SELECT sum(value) FROM day_result WHERE kpi = 'cost_eur' AND run_id = ? AND mode = ?",
            made.made["home"].run_id,
            mode,
        )
        ((tracked_eur,),) = tracked(
            made,
            "SELECT m.value FROM latest_metrics m JOIN runs r USING (run_uuid) JOIN tags t USING "
            "(run_uuid) WHERE m.key = 'total/cost_eur' AND r.name = ? "
            "AND t.key = 'mlflow.parentRunId' AND t.value = ?",
            f"{HOME} {mode}",
            made.made["home"].run_id,
        )
        assert cost[mode] == pytest.approx(stored_eur)
        assert cost[mode] == pytest.approx(tracked_eur)
        assert f" {cost[mode]:.2f} " in made.made["home"].printed
        for baseline, saving in original[mode].against.items():
            assert saved[f"{mode}/{baseline}"] == pytest.approx(saving.savings_eur)
        assert own[mode] == pytest.approx(100.0 * (original[mode].kpis.self_sufficiency or 0.0))


def test_the_duration_curves_are_the_stored_powers_at_the_grid(made: Stored) -> None:
    (ax,) = drawn(made, "home", "duration")[f"{HOME}_load_duration"].axes
    curves = {patch.get_gid(): patch.get_data().values for patch in ax.patches}
    assert len(curves) == len(MODES)
    for label, mode in (("as metered", "as_metered"), ("centralized", "centralized")):
        powers = [
            record.schedule.plans["grid"].net_load_kw
            for record in made.made["home"].records
            if record.mode == mode
        ]
        expected = np.sort(-np.concatenate(powers))[::-1]
        assert len(expected) == 73  # three days with 25 hours in one of them
        assert np.allclose(curves[label], expected)
    imported = sum(kw[kw > 0].sum() for kw in [curves["as metered"]])
    kpis = [r.kpis for r in results_of(made.made["home"], HOME) if r.mode == "as_metered"]
    assert imported == pytest.approx(sum(day.import_kwh for day in kpis))


def test_a_run_of_one_mode_shows_it_beside_its_bounds(made: Stored) -> None:
    (ax,) = drawn(made, "other", "duration")[f"{OTHER}_load_duration"].axes
    shown = [patch.get_gid() for patch in ax.patches]
    assert shown[:3] == ["as metered", "rule-based", "centralized"]
    assert len(shown) == 4


def test_a_pipeline_of_controllers_shows_both_ends_of_its_frontier(made: Stored) -> None:
    (ax,) = drawn(made, "habits", "duration")[f"{HOME}_load_duration"].axes
    assert [patch.get_gid() for patch in ax.patches] == [
        "as metered",
        "rule-based",
        "cost-only",
        "habit-only",
    ]


def table_of(figure: Figure, label: str) -> np.ndarray:
    (ax,) = (ax for ax in figure.axes if ax.get_title(loc="left") == label)
    table: np.ndarray = np.ma.filled(ax.collections[0].get_array(), np.nan).reshape(24, -1)
    return table


def by_hour(made: Stored, name: str, sql: str, *values: object) -> np.ndarray:
    """Means of stored values over local hour and day, the doubled hour of autumn one mean."""
    with duckdb.connect(str(made.database), read_only=True) as con:
        frame = con.execute(
            "WITH h AS (SELECT ts_utc, day, floor(local_hour) AS hour, import_eur_per_kwh "
            f"FROM horizon_step WHERE run_id = '{made.made[name].run_id}') {sql}",
            values,
        ).df()
    return frame.pivot_table(index="hour", columns="day", values="value").to_numpy(float)


@pytest.mark.parametrize("mode", [None, "decentralized"])
def test_the_maps_are_the_stored_prices_loads_and_charges(made: Stored, mode: str | None) -> None:
    figure = drawn(made, "home", "maps", mode=mode)[f"{HOME}_heat_maps"]
    price = by_hour(
        made, "home", "SELECT hour, day, avg(100 * import_eur_per_kwh) AS value FROM h GROUP BY ALL"
    )
    assert np.allclose(table_of(figure, "price [ct/kWh]"), price)
    of_mode = (made.made["home"].run_id, mode or "centralized")
    steps = "FROM plan_step s JOIN h USING (ts_utc) WHERE s.run_id = ? AND s.mode = ?"
    loads = (
        "'base_load', 'heat_pump', 'dishwasher', 'washing_machine', 'freezer', 'refrigerator', "
        "'circulation_pump'"
    )
    load = by_hour(
        made,
        "home",
        "SELECT hour, day, avg(value) AS value FROM (SELECT ts_utc, hour, h.day, sum(value) AS "
        f"value {steps} AND quantity = 'net_load_kw' AND agent IN ({loads}) GROUP BY ALL) "
        "GROUP BY ALL",
        *of_mode,
    )
    assert np.allclose(table_of(figure, "load without stores [kW]"), load)
    for agent, label in (("battery", "battery"), ("ev", "EV")):
        soc = by_hour(
            made,
            "home",
            f"SELECT hour, h.day, avg(value) AS value {steps} AND quantity = 'soc_kwh' "
            "AND agent = ? GROUP BY ALL",
            *of_mode,
            agent,
        )
        assert soc.shape == (24, 3)
        assert np.allclose(table_of(figure, f"charge of the {label} [kWh]"), soc)
    assert f"· {(mode or 'centralized')} ·" in str(figure.get_label())


def test_the_load_map_is_base_load_and_appliances_of_the_plan_itself(made: Stored) -> None:
    """By another road: from the schedule that the pipeline held, not from its store."""
    figure = drawn(made, "other", "maps")[f"{OTHER}_heat_maps"]
    table = table_of(figure, "load without stores [kW]")
    records = [r for r in made.made["other"].records if r.mode == "centralized"]
    for column, record in enumerate(sorted(records, key=lambda r: r.day)):
        plans = record.schedule.plans
        apart = [
            name for name, plan in plans.items() if {"soc_kwh", "generation_kw"} & {*plan.series}
        ]
        total = sum(plan.net_load_kw for n, plan in plans.items() if n not in (*apart, "grid"))
        hour = np.floor(record.schedule.horizon.local_hour)
        expected = pd.Series(total).groupby(hour).mean().to_numpy()
        assert np.allclose(table[:, column], expected)


def test_captured_shares_are_those_of_the_original_results(made: Stored) -> None:
    runs = [made.kept("forecast"), made.kept("home")]
    drawing = captured_figure(runs, None)
    assert isinstance(drawing, Drawing)
    figure = drawing.on(SCREEN)
    rows = captured([record.result for record in made.made["forecast"].records])
    expected = {
        f"{row.mode}/{row.baseline}": 100.0 * row.share for row in rows if row.share is not None
    }
    shown: dict[str, float] = {}
    for ax in figure.axes:
        shown |= {k: v for k, v in dots(ax).items() if "/" in str(k)}
    assert len(expected) == 6
    assert shown == pytest.approx(expected, abs=1e-9)
    assert "no intervals for fewer than 7 days" in str(figure.get_label())


def test_the_points_of_errors_are_the_days_of_the_original_results(made: Stored) -> None:
    figure = drawn(made, "forecast", "errors")[f"{OTHER}_error_cost"]
    rows = {row.mode: row for row in error_costs(results_of(made.made["forecast"], OTHER))}
    modes = ["load_unknown", "centralized_phases"]  # there is no sun here to be unknown
    for ax, mode in zip(figure.axes, modes, strict=True):
        points = next(line for line in ax.lines if line.get_gid() == mode)
        assert points.get_xdata() == pytest.approx(rows[mode].error_kwh, abs=1e-9)
        assert points.get_ydata() == pytest.approx(rows[mode].above_eur, abs=1e-9)
        assert len(points.get_xdata()) == 3
    said = str(figure.get_label())
    assert f"{OTHER} · what forecast errors cost · 29–31 Oct 2016 (3 days)" in said
    assert "tariff dynamic · planned on learned forecasts · each point one of 3 days" in said
    assert "line: Σ € / Σ kWh, no interval for fewer than 7 days" in said


def test_a_run_that_knew_everything_has_no_errors_to_draw(made: Stored) -> None:
    assert drawn(made, "home", "modes errors").keys() == {f"{HOME}_modes"}
    ((_, reason),) = missing([made.kept("home")], made.tracking_uri, "errors")
    assert reason == "it has no forecast errors; make a run with 01_run.py --foresight forecast"


def test_the_portfolio_has_every_building_of_every_run(made: Stored) -> None:
    drawing = building_figure([made.kept("home"), made.kept("other")], None)
    assert isinstance(drawing, Drawing)
    figure = drawing.on(SCREEN)
    names = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert names == [HOME, OTHER]
    for row, (name, building) in enumerate((("home", HOME), ("other", OTHER))):
        expected = {
            f"{s.mode}/{base}": saving.savings_pct
            for s in summarise(results_of(made.made[name], building))
            for base, saving in s.against.items()
            if saving.savings_pct is not None
        }
        shown = {
            line.get_gid(): float(line.get_xdata()[0])
            for ax in figure.axes
            for line in ax.lines
            if "/" in str(line.get_gid()) and abs(float(line.get_ydata()[0]) - row) < 0.5
        }
        assert shown == pytest.approx(expected)
    assert "29–31 Oct 2016 (3 days)" in str(figure.get_label())


def test_one_building_of_a_run_of_many(made: Stored, changed: Path) -> None:
    home, other = (made.made[name].run_id for name in ("home", "other"))
    for table in ("day_result", "horizon_step", "plan_step"):
        change(changed, f"UPDATE {table} SET run_id = ? WHERE run_id = ?", home, other)
    run = kept_of(made, changed, "home")
    assert set(run.buildings) == {HOME, OTHER}
    kinds = ("savings_by_building", "modes", "duration", "maps")
    for building in (HOME, OTHER):
        wanted = Wanted(kinds=kinds, building=building)
        found = [one for _, one in figures([run], wanted, made.tracking_uri)]
        names = [f"{building}_{what}" for what in ("modes", "load_duration", "heat_maps")]
        assert [one.name for one in found] == ["savings_by_building", *names]
        assert isinstance(found[0], Drawing)
        rows = found[0].on(SCREEN).axes[0].get_yticklabels()
        assert [row.get_text() for row in rows] == [building]
    every = [one.name for _, one in figures([run], Wanted(kinds=kinds), made.tracking_uri)]
    assert len(every) == 1 + 2 * 3
    figure = drawn(made, "home", "modes")[f"{HOME}_modes"]
    wanted = Wanted(kinds=("modes",), building=HOME)
    ((_, again),) = figures([run], wanted, made.tracking_uri)
    assert isinstance(again, Drawing)
    assert dots(again.on(SCREEN).axes[0]) == dots(figure.axes[0])


def test_places_in_a_saved_figure_are_fixed_to_a_millionth_of_it(
    made: Stored, tmp_path: Path
) -> None:
    figure = drawn(made, "rates", "habits")[f"{HOME}_dishwasher_uniform_habit"]
    save(figure, tmp_path / "habit.svg")
    boxes = [ax.get_position(original=True) for ax in figure.axes]
    boxes += [part.bbox_relative for part in figure.subfigs]
    assert len(boxes) > 4
    for box in boxes:
        millionths = 1e6 * box.get_points()
        assert np.allclose(millionths, np.rint(millionths), rtol=0.0, atol=1e-6)


def test_runs_of_the_same_building_are_told_apart(made: Stored) -> None:
    runs = [made.kept(name) for name in ("other", "forecast", "home")]
    drawing = building_figure(runs, None)
    assert isinstance(drawing, Drawing)
    names = [text.get_text() for text in drawing.on(SCREEN).axes[0].get_yticklabels()]
    assert names[:2] == [
        f"{OTHER}\nperfect foresight: upper bound",
        f"{OTHER}\nplanned on learned forecasts",
    ]
    alike = building_figure([*runs, made.kept("forecast")], None)
    assert isinstance(alike, Drawing)
    short = made.kept("forecast").short_id
    names = [text.get_text() for text in alike.on(SCREEN).axes[0].get_yticklabels()]
    assert f"{OTHER}\nplanned on learned forecasts, run {short}" in [
        " ".join(name.splitlines()[1:]).join((f"{OTHER}\n", "")) for name in names
    ]


# --- runs that learn ------------------------------------------------------------------------------


def test_the_frontier_is_the_tracked_comfort_and_the_stored_cost(made: Stored) -> None:
    (ax,) = drawn(made, "habits", "frontier")[f"{HOME}_frontier"].axes
    run_id = made.made["habits"].run_id
    costs = dict(
        asked(
            made.database,
            "SELECT mode, sum(value) FROM day_result WHERE kpi = 'cost_eur' AND run_id = ? "
            "GROUP BY mode",
            run_id,
        )
    )
    unusual = dict(
        tracked(
            made,
            "SELECT r.name, m.value FROM latest_metrics m JOIN runs r USING (run_uuid) JOIN tags t "
            "USING (run_uuid) WHERE m.key = 'total/unusual' AND t.key = 'mlflow.parentRunId' "
            "AND t.value = ?",
            run_id,
        )
    )
    expected = {
        (round(unusual[f"{HOME} {mode}"], 9), round(cost, 9))
        for mode, cost in costs.items()
        if mode.startswith("centralized ")
    }
    shown = {
        (round(float(x), 9), round(float(y), 9))
        for line in ax.lines
        if line.get_gid() != "knee"
        for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)
    }
    assert len(costs) == 5
    assert shown == expected


def stored_updates(made: Stored, name: str) -> pd.DataFrame:
    with duckdb.connect(str(made.database), read_only=True) as con:
        sql = "SELECT * FROM pmf_update WHERE run_id = ? ORDER BY building, feed, model, day"
        return con.execute(sql, [made.made[name].run_id]).df()


def test_the_grid_says_which_days_were_searched(made: Stored) -> None:
    figure = drawn(made, "rates", "hyperparameters")[f"{HOME}_dishwasher_uniform_hyperparameters"]
    said = str(figure.get_label())
    ((first, last, n_days),) = tracked(
        made,
        "SELECT DISTINCT f.value, l.value, n.value FROM params f JOIN params l USING (run_uuid) "
        "JOIN params n USING (run_uuid) JOIN params d USING (run_uuid) "
        "WHERE f.key = 'cell.first_day' AND l.key = 'cell.last_day' AND n.key = 'cell.n_days' "
        "AND d.key = 'cell.device' AND d.value = 'dishwasher'",
    )
    span = span_in_words(date.fromisoformat(first), date.fromisoformat(last), int(n_days))
    assert f"{span} · prior uniform · best of" in said


@pytest.mark.parametrize("prior", ["learned", "uniform"])
def test_the_habit_is_the_prior_and_then_every_stored_update(made: Stored, prior: str) -> None:
    figure = drawn(made, "rates", "habits")[f"{HOME}_dishwasher_{prior}_habit"]
    updates = stored_updates(made, "rates")
    updates = updates[updates["model"] == f"rate:{prior}"]
    begun = (learned("dishwasher") if prior == "learned" else uniform()).hours
    assert len(updates) > 5
    for kind, name in enumerate(DAY_TYPES):
        (mesh,) = (
            found for ax in figure.axes for found in ax.collections if found.get_gid() == name
        )
        of_type = updates[updates["day_type"] == name]
        expected = np.stack([begun[kind], *(np.array(h) for h in of_type["hours"])], axis=1)
        assert np.allclose(mesh.get_array().reshape(24, -1), expected)
        edges = mesh.get_coordinates()[0, :, 0]
        ends = [mdates.date2num(day) + 1.0 for day in of_type["day"]]
        first, last = mdates.date2num(updates["day"].min()), mdates.date2num(updates["day"].max())
        assert np.allclose(edges, [first, *ends, last + 2.0])
        assert (np.diff(edges) > 0.0).all()
    assert f"prior {prior} · {len(updates)} updates · pipeline probability" in str(
        figure.get_label()
    )


def test_the_habits_of_pipeline_b_are_those_of_the_controller_that_moves_nothing(
    made: Stored,
) -> None:
    wanted = Wanted(kinds=("habits",))
    drawings = [one for _, one in figures([made.kept("habits")], wanted, made.tracking_uri)]
    updates = stored_updates(made, "habits")
    own = updates[updates["model"].str.endswith("habit-only")]
    feeds = sorted(set(own["feed"]))
    assert [one.name for one in drawings] == [f"{HOME}_{feed}_uniform_habit" for feed in feeds]
    for feed, drawing in zip(feeds, drawings, strict=True):
        assert isinstance(drawing, Drawing)
        count = int((own["feed"] == feed).sum())
        n_updates = "1 update" if count == 1 else f"{count} updates"
        said = str(drawing.on(SCREEN).get_label())
        assert f"prior uniform · {n_updates} · pipeline integrated" in said


@pytest.mark.parametrize("prior", ["learned", "uniform"])
def test_the_grid_is_the_tracked_cells(made: Stored, prior: str) -> None:
    figure = drawn(made, "rates", "hyperparameters")[f"{HOME}_dishwasher_{prior}_hyperparameters"]
    for ax, metric in zip(figure.axes, ("log_loss_bits", "learning_score"), strict=False):
        rows = tracked(
            made,
            "SELECT tau.value, most.value, m.value FROM latest_metrics m "
            "JOIN params tau USING (run_uuid) JOIN params most USING (run_uuid) "
            "JOIN params p USING (run_uuid) WHERE tau.key = 'cell.rate.lr_tau' "
            "AND most.key = 'cell.rate.lr_max' AND p.key = 'cell.prior' AND p.value = ? "
            "AND m.key = ?",
            prior,
            f"total/{metric}",
        )
        cells = {(float(tau), float(most)): value for tau, most, value in rows}
        expected = [[cells[tau, most] for most in (0.05, 0.15)] for tau in (5.0, 20.0)]
        assert np.allclose(ax.images[0].get_array(), expected)
        if metric == "log_loss_bits":
            ((name,),) = tracked(
                made,
                "SELECT r.name FROM latest_metrics m JOIN runs r USING (run_uuid) JOIN params p "
                "USING (run_uuid) WHERE m.key = 'total/best' AND p.key = 'cell.prior' "
                "AND p.value = ?",
                prior,
            )
            tau, most = re.findall(r"tau=(\S+) max=(\S+)", name)[0]
            assert cells[float(tau), float(most)] == min(cells.values())
            assert f"lr_tau {tau} days, lr_max {most} " in str(figure.get_label())
            frames = [frame for frame in ax.patches if frame.get_gid() == "least log loss"]
            places = [(frame.get_x() + 0.46, frame.get_y() + 0.46) for frame in frames]
            at = (0.05, 0.15).index(float(most)), (5.0, 20.0).index(float(tau))
            assert places == [pytest.approx(at)]


# --- what is missing, and why ---------------------------------------------------------------------


def test_a_store_that_is_not_there_is_named(made: Stored, tmp_path: Path) -> None:
    runs = [made.kept("habits"), made.kept("rates")]
    store = f"sqlite:///{tmp_path / 'none.db'}"
    found = missing(runs, store, "frontier hyperparameters")
    assert [name for name, _ in found] == ["frontier", "hyperparameters"]
    for _, reason in found:
        assert reason.startswith(f"no runs at {tmp_path / 'none.db'}; make some with")
    assert not (tmp_path / "none.db").exists()


def test_a_run_that_mlflow_does_not_know_is_named(made: Stored, changed: Path) -> None:
    gone = "ffffffffffffffffffffffffffffffff"
    change(changed, "UPDATE run SET mlflow_run_id = ? WHERE pipeline != 'comparison'", gone)
    runs = [kept_of(made, changed, name) for name in ("habits", "rates")]
    found = missing(runs, made.tracking_uri, "frontier hyperparameters")
    assert [name for name, _ in found] == ["frontier", "hyperparameters"]
    assert all(f"no run's id starts with '{gone}'" in reason for _, reason in found)


def test_no_run_on_forecasts_and_no_run_of_pipeline_a_are_named(made: Stored) -> None:
    ((name, reason),) = missing([made.kept("home")], made.tracking_uri, "captured")
    assert name == "captured_share"
    assert "make one with 01_run.py --foresight forecast" in reason
    ((name, reason),) = missing([made.kept("rates")], made.tracking_uri, "savings_by_building")
    assert name == "savings_by_building"
    assert reason == "no run of Pipeline A; make one with 01_run.py --building all"


def test_a_pipeline_that_makes_nothing_of_what_is_wanted_says_so(made: Stored) -> None:
    found = missing([made.kept("rates")], made.tracking_uri, "modes duration savings_by_building")
    short = made.kept("rates").short_id
    reason = "the pipeline probability makes no figure of modes, duration"
    assert found[1:] == [(f"run {short}", reason)]


def test_a_run_without_the_building_says_so(made: Stored) -> None:
    runs = [made.kept("home"), made.kept("other")]
    found = missing(runs, made.tracking_uri, "modes", building=OTHER)
    assert found == [(f"run {runs[0].short_id}", f"it has nothing of {OTHER}")]


def test_a_building_that_no_run_has_is_refused(made: Stored) -> None:
    runs = [made.kept("home"), made.kept("other")]
    with pytest.raises(InvalidSpec, match=f"'nope' is in none of the runs; they have {OTHER}, "):
        missing(runs, made.tracking_uri, "modes", building="nope")


def test_a_mode_that_was_not_run_names_those_that_were(made: Stored) -> None:
    ((name, reason),) = missing([made.kept("other")], made.tracking_uri, "maps", mode="nope")
    assert name == f"{OTHER}_heat_maps"
    assert re.match(r"mode 'nope' was not run; there are .*as_metered", reason)


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(
        InvalidSpec, match=r"figure 'nope' is unknown; known are savings_by_building, "
    ):
        Wanted(kinds=("nope",))
    assert len(KINDS) == 9


def test_a_run_that_was_stopped_shows_the_days_it_has(made: Stored, changed: Path) -> None:
    run_id = made.made["forecast"].run_id
    change(changed, "UPDATE run SET status = 'KILLED' WHERE run_id = ?", run_id)
    for table in ("day_result", "horizon_step", "plan_step"):
        change(changed, f"DELETE FROM {table} WHERE run_id = ? AND day > '2016-10-29'", run_id)
    run = kept_of(made, changed, "forecast")
    with pytest.raises(InvalidSpec, match=r"none of 1 runs has come to its end; name one"):
        choose_runs([run], [])
    found = [one for _, one in figures([run], Wanted(), made.tracking_uri)]
    assert [one.name for one in found if isinstance(one, Missing)] == []
    names = ["savings_by_building", "captured_share"]
    made_of_one = ("modes", "load_duration", "heat_maps", "error_cost")
    names += [f"{OTHER}_{what}" for what in made_of_one]
    assert [one.name for one in found] == names
    maps = next(one for one in found if one.name.endswith("heat_maps"))
    assert isinstance(maps, Drawing)
    assert "Sat 29 Oct 2016" in str(maps.on(COLUMN).get_label())


def test_a_run_that_has_stored_no_day_says_so(made: Stored, changed: Path) -> None:
    for name in ("home", "habits"):
        run_id = made.made[name].run_id
        change(changed, "UPDATE run SET status = 'FAILED' WHERE run_id = ?", run_id)
        for table in ("day_result", "horizon_step", "plan_step", "pmf_update"):
            change(changed, f"DELETE FROM {table} WHERE run_id = ?", run_id)
    for name in ("home", "habits"):
        run = kept_of(made, changed, name)
        found = missing([run], made.tracking_uri, "modes maps duration frontier")
        assert found == [(f"run {run.short_id}", "it is FAILED and has stored no day")]


def test_a_frontier_of_no_controller_says_so(made: Stored, changed: Path) -> None:
    change(changed, "DELETE FROM day_result WHERE mode LIKE 'centralized %'")
    run = kept_of(made, changed, "habits")
    found = missing([run], made.tracking_uri, "frontier")
    assert found == [(f"{HOME}_frontier", "no controller has come to its end")]


def without_metrics(made: Stored, folder: Path, which: str) -> str:
    """The address of a copy of the MLflow store that lacks some metrics, as of a stopped run."""
    shutil.copy(made.folder / "mlflow.db", folder / "mlflow.db")
    with closing(sqlite3.connect(folder / "mlflow.db")) as con:
        for table in ("metrics", "latest_metrics"):
            assert con.execute(f"DELETE FROM {table} WHERE {which}").rowcount > 0
        con.commit()
    return f"sqlite:///{folder / 'mlflow.db'}"


def test_a_controller_that_did_not_end_says_so(made: Stored, tmp_path: Path) -> None:
    below = "(SELECT run_uuid FROM runs WHERE name LIKE '%habit-only')"
    uri = without_metrics(made, tmp_path, f"key LIKE 'total/%' AND run_uuid IN {below}")
    found = missing([made.kept("habits")], uri, "frontier")
    reason = "MLflow has no totals of 'centralized habit-only' below this run"
    assert found == [(f"{HOME}_frontier", reason)]


def test_cells_that_were_not_scored_leave_holes(made: Stored, tmp_path: Path) -> None:
    below = "(SELECT run_uuid FROM runs WHERE name LIKE '%tau=20 max=0.15')"
    uri = without_metrics(made, tmp_path, f"key LIKE 'total/%' AND run_uuid IN {below}")
    found = figures([made.kept("rates")], Wanted(kinds=("hyperparameters",)), uri)
    for _, drawing in found:
        assert isinstance(drawing, Drawing)
        table = drawing.on(SCREEN).axes[0].images[0].get_array()
        assert np.isnan(np.ma.filled(table, np.nan)).tolist() == [[False, False], [False, True]]


def test_a_search_that_did_not_end_says_so(made: Stored, tmp_path: Path) -> None:
    uri = without_metrics(made, tmp_path, "key = 'total/best'")
    found = missing([made.kept("rates")], uri, "hyperparameters")
    priors = ("learned", "uniform")
    assert found == [
        (f"{HOME}_dishwasher_{prior}_hyperparameters", "its search did not come to its end")
        for prior in priors
    ]


def test_a_run_without_habits_says_so(made: Stored, changed: Path) -> None:
    change(changed, "DELETE FROM pmf_update")
    found = missing([kept_of(made, changed, "rates")], made.tracking_uri, "habits")
    assert found == [("habits", "the run has learned no habit; scripts 02 and 03 do")]


@pytest.mark.parametrize(
    ("building", "stem"),
    [
        ("a/b", "a%2Fb_modes"),
        ("../up", "%2E.%2Fup_modes"),
        ("50 % ö:\n", "50 %25 ö%3A%0A_modes"),
        ("house", "house_modes"),
    ],
)
def test_a_building_of_any_name_has_a_file_of_its_own(
    building: str, stem: str, made: Stored, changed: Path
) -> None:
    for table in ("day_result", "horizon_step", "plan_step"):
        change(changed, f"UPDATE {table} SET building = ?", building)
    run = kept_of(made, changed, "home")
    wanted = Wanted(kinds=("modes",), building=building)
    ((_, modes),) = figures([run], wanted, made.tracking_uri)
    assert isinstance(modes, Drawing)
    assert (modes.name, modes.file_stem) == (f"{building}_modes", stem)


def test_a_run_stored_with_other_days_of_its_modes_is_no_traceback(
    made: Stored, changed: Path
) -> None:
    """A run that is being written while it is read."""
    run_id = made.made["habits"].run_id
    sql = "DELETE FROM plan_step WHERE run_id = ? AND mode LIKE '%w = 0.1%' AND day > '2016-06-01'"
    change(changed, sql, run_id)
    run = kept_of(made, changed, "habits")
    found = [one for _, one in figures([run], Wanted(kinds=("duration",)), made.tracking_uri)]
    assert [one.name for one in found if isinstance(one, Drawing)] == [f"{HOME}_load_duration"]


def test_days_far_apart_are_said_and_left_empty(made: Stored, changed: Path) -> None:
    run_id = made.made["other"].run_id
    for table in ("day_result", "horizon_step", "plan_step"):
        change(changed, f"DELETE FROM {table} WHERE run_id = ? AND day = '2016-10-30'", run_id)
    run = kept_of(made, changed, "other")
    (drawing,) = (one for _, one in figures([run], Wanted(kinds=("maps",)), made.tracking_uri))
    assert isinstance(drawing, Drawing)
    figure = drawing.on(SCREEN)
    table = table_of(figure, "price [ct/kWh]")
    assert table.shape == (24, 3)
    assert np.isnan(table[:, 1]).all()
    assert "29–31 Oct 2016 (2 of 3 days)" in str(figure.get_label())
    assert run.days[0].day + timedelta(days=2) == date(2016, 10, 31)


def test_the_parameters_of_a_run_are_json_that_names_its_data(made: Stored) -> None:
    ((text,),) = asked(
        made.database,
        "SELECT parameters_json FROM run WHERE run_id = ?",
        made.made["rates"].run_id,
    )
    assert json.loads(text)["data"]["source"] == made.kept("rates").origin.source
