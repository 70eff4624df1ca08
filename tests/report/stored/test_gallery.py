"""Figures drawn from stored runs of all pipelines hold the numbers of the stores."""

from __future__ import annotations

import re
import shutil
import sqlite3
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from report.figures.made import points
from report.stored.stored import Stored, results_of, stored

from ems.core.mode import LABELS
from ems.errors import InvalidSpec
from ems.learning.priors import learned, uniform
from ems.pipelines.captured import captured, error_costs
from ems.pipelines.comparison import summarise
from ems.pipelines.spec import MODES
from ems.report.figures.page import span_in_words
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
from ems.site.calendar import DAY_TYPES

HOME, OTHER = "DE_KN_residential4", "DE_KN_residential1"
BELOW = (
    "JOIN runs r USING (run_uuid) JOIN tags t USING (run_uuid) "
    "WHERE t.key = 'mlflow.parentRunId' AND t.value = ? AND m.key = ?"
)


@pytest.fixture(scope="module")
def made() -> Stored:
    return stored()


@pytest.fixture
def changed(made: Stored, tmp_path: Path) -> Path:
    """A copy of the results to be changed."""
    file = tmp_path / "ems_results.duckdb"
    shutil.copy(made.database, file)
    return file


def found(runs: list[KeptRun], uri: str, kinds: str, **wanted: Any) -> list[Drawing | Missing]:
    return [one for _, one in figures(runs, Wanted(kinds=kinds.split(), **wanted), uri)]


def drawn(made: Stored, names: str, kinds: str, **wanted: Any) -> dict[str, Figure]:
    """Figures of some runs by their names; none may be missing."""
    runs = [made.kept(name) for name in names.split()]
    made_of = found(runs, made.tracking_uri, kinds, **wanted)
    assert [one for one in made_of if isinstance(one, Missing)] == []
    return {one.name: one.on(SCREEN) for one in made_of if isinstance(one, Drawing)}


def missing(runs: list[KeptRun], uri: str, kinds: str, **wanted: str) -> list[tuple[str, str]]:
    of_runs = found(runs, uri, kinds, **wanted)
    return [(one.name, one.reason) for one in of_runs if isinstance(one, Missing)]


def asked(database: Path, sql: str, *values: object) -> pd.DataFrame:
    with duckdb.connect(str(database), read_only=True) as con:
        return con.execute(sql, values).df()


def tracked(made: Stored, name: str, metric: str) -> dict[str, float]:
    """A metric of every run below a run."""
    sql = f"SELECT r.name, m.value FROM latest_metrics m {BELOW}"
    with closing(sqlite3.connect(made.folder / "mlflow.db")) as con:
        return dict(con.execute(sql, (made.made[name].run_id, metric)).fetchall())


def kept_of(made: Stored, file: Path, name: str) -> KeptRun:
    (run,) = (run for run in kept_runs(file) if run.run_id == made.made[name].run_id)
    return run


def change(file: Path, sql: str, *values: object) -> None:
    with duckdb.connect(str(file)) as con:
        con.execute(sql, values)


def forget(file: Path, which: str, *tables: str) -> None:
    for table in tables or ("day_result", "horizon_step", "plan_step"):
        change(file, f"DELETE FROM {table} WHERE {which}")


# --- which runs there are -------------------------------------------------------------------------


def test_every_figure_is_drawn_without_measurements_and_nothing_is_written(made: Stored) -> None:
    assert not (made.folder / "data.duckdb").exists()
    before = made.database.read_bytes()
    runs = choose_runs(kept_runs(made.database), [])
    names = ("forecast", "habits", "rates")
    assert [run.run_id for run in runs] == [made.made[name].run_id for name in names]
    every = list(figures(runs, Wanted(), made.tracking_uri))
    assert len(every) > 8
    assert all(isinstance(one, Drawing) for _, one in every)
    assert made.database.read_bytes() == before


def test_runs_are_the_newest_first_and_chosen_by_the_beginning_of_their_ids(made: Stored) -> None:
    kept = kept_runs(made.database)
    rows = asked(made.database, "SELECT run_id, pipeline FROM run ORDER BY started_utc DESC")
    assert [run.run_id for run in kept] == rows["run_id"].tolist()
    assert all(run.status == "FINISHED" and run.origin.synthetic for run in kept)
    assert made.kept("forecast").foresight == "planned on learned forecasts"
    assert made.kept("home").tariff == "dynamic"
    ids = [made.made[name].run_id for name in ("rates", "home")]
    assert [run.run_id for run in choose_runs(kept, [ids[0][:9], ids[1], ids[0]])] == ids
    for bad in ("zz", ""):
        with pytest.raises(InvalidSpec, match=f"no run's id starts with '{bad}' among the 5 kept"):
            choose_runs(kept, [bad])
    with pytest.raises(InvalidSpec, match=r"none of 0 runs has come to its end"):
        choose_runs([], [])


def test_what_is_stored_reads_back_as_it_was(made: Stored) -> None:
    for name in ("home", "forecast"):
        back = {(r.building, r.mode, r.day): r for r in made.kept(name).days}
        assert len(back) == len(made.made[name].records)
        for record in made.made[name].records:
            kept = back[record.building, record.mode, record.day]
            assert kept.kpis.cost_eur == pytest.approx(record.kpis.cost_eur, abs=1e-12)
            assert kept.kpis.stored_change_kwh == record.kpis.stored_change_kwh


# --- runs that plan -------------------------------------------------------------------------------


def test_costs_are_those_that_were_printed_tracked_and_stored(made: Stored) -> None:
    figure = drawn(made, "home", "modes")[f"{HOME}_modes"]
    cost, saved, own = ({d.get_gid(): d.get_xdata()[0] for d in ax.lines} for ax in figure.axes)
    original = {s.mode: s for s in summarise(results_of(made.made["home"], HOME))}
    stored_eur = asked(
        made.database,
        "SELECT mode, sum(value) AS eur FROM day_result WHERE kpi = 'cost_eur' AND run_id = ? "
        "GROUP BY mode",
        made.made["home"].run_id,
    ).set_index("mode")["eur"]
    tracked_eur = tracked(made, "home", "total/cost_eur")
    assert list(cost) == list(MODES)
    for mode in MODES:
        assert cost[mode] == pytest.approx(stored_eur[mode])
        assert cost[mode] == pytest.approx(tracked_eur[f"{HOME} {mode}"])
        assert f" {cost[mode]:.2f} " in made.made["home"].printed
        for baseline, saving in original[mode].against.items():
            assert saved[f"{mode}/{baseline}"] == pytest.approx(saving.savings_eur)
        assert own[mode] == pytest.approx(100.0 * (original[mode].kpis.self_sufficiency or 0.0))


def test_the_duration_curves_are_the_powers_at_the_grid(made: Stored) -> None:
    curves = {}
    for name, building in (("home", HOME), ("other", OTHER), ("habits", HOME)):
        (ax,) = drawn(made, name, "duration")[f"{building}_load_duration"].axes
        curves[name] = {patch.get_gid(): patch.get_data().values for patch in ax.patches}
    labels = [LABELS[mode] for mode in MODES]
    assert list(curves["home"]) == labels
    assert list(curves["other"]) == [*labels[:2], "centralized", labels[-1]]
    assert list(curves["habits"]) == [*labels[:2], "cost-only", "habit-only"]
    for mode in MODES:
        records = [record for record in made.made["home"].records if record.mode == mode]
        powers = [-record.schedule.plans["grid"].net_load_kw for record in records]
        assert np.allclose(curves["home"][LABELS[mode]], np.sort(np.concatenate(powers))[::-1])
    assert len(curves["home"]["as metered"]) == 73  # three days, 25 hours in one of them


def table_of(figure: Figure, label: str) -> np.ndarray:
    (ax,) = (ax for ax in figure.axes if ax.get_title(loc="left") == label)
    table: np.ndarray = np.ma.filled(ax.collections[0].get_array(), np.nan).reshape(24, -1)
    return table


def by_hour(made: Stored, name: str, mode: str, what: Any) -> np.ndarray:
    """Means over local hour and day, from the plans that the pipeline held itself."""
    columns = [
        pd.Series(what(record)).groupby(np.floor(record.schedule.horizon.local_hour)).mean()
        for record in sorted(made.made[name].records, key=lambda record: record.day)
        if record.mode == mode
    ]
    return np.stack(columns, axis=1)


@pytest.mark.parametrize(
    ("name", "building", "mode"),
    [("home", HOME, None), ("home", HOME, "decentralized"), ("other", OTHER, None)],
)
def test_the_maps_are_the_prices_loads_and_charges_of_the_plans(
    made: Stored, name: str, building: str, mode: Any
) -> None:
    figure = drawn(made, name, "maps", mode=mode)[f"{building}_heat_maps"]
    mode = mode or "centralized"

    def load_kw(record: Any) -> Any:
        plans = record.schedule.plans.values()
        own = [p for p in plans if not {"soc_kwh", "generation_kw"} & {*p.series}]
        return sum(plan.net_load_kw for plan in own if plan.agent != "grid")

    price = by_hour(
        made, name, mode, lambda record: 100.0 * record.schedule.horizon.import_eur_per_kwh
    )
    assert price.shape == (24, 3)
    assert np.allclose(table_of(figure, "price [ct/kWh]"), price)
    load = by_hour(made, name, mode, load_kw)
    assert np.allclose(table_of(figure, "load without stores [kW]"), load)
    for agent, label in (("battery", "battery"), ("ev", "car"))[: 2 if name == "home" else 1]:
        soc = by_hour(made, name, mode, lambda r, a=agent: r.schedule.plans[a].series["soc_kwh"])
        assert np.allclose(table_of(figure, f"charge of the {label} [kWh]"), soc)
    assert f"· {LABELS[mode]} ·" in str(figure.get_label())


def test_captured_shares_are_those_of_the_original_results(made: Stored) -> None:
    figure = drawn(made, "forecast home", "captured")["captured_share"]
    rows = captured([record.result for record in made.made["forecast"].records])
    expected = {
        f"{row.mode}/{row.baseline}": 100.0 * row.share for row in rows if row.share is not None
    }
    assert len(expected) == 8
    shown = {gid: x for gid, (x, _) in points(figure).items()}
    assert shown == pytest.approx(expected, abs=1e-9)
    assert "no intervals for fewer than 7 days" in str(figure.get_label())


def test_the_points_of_errors_are_the_days_of_the_original_results(made: Stored) -> None:
    figure = drawn(made, "forecast", "errors")[f"{OTHER}_error_cost"]
    rows = {row.mode: row for row in error_costs(results_of(made.made["forecast"], OTHER))}
    modes = ["load_unknown", "centralized_phases"]  # there is no sun here to be unknown
    for ax, mode in zip(figure.axes, modes, strict=True):
        line = next(line for line in ax.lines if line.get_gid() == mode)
        assert line.get_xdata() == pytest.approx(rows[mode].error_kwh, abs=1e-9)
        assert line.get_ydata() == pytest.approx(rows[mode].above_eur, abs=1e-9)
    said = str(figure.get_label())
    assert f"{OTHER} · what forecast errors cost · 29–31 Oct 2016 (3 days)" in said
    assert "tariff dynamic · planned on learned forecasts · each point one of 3 days" in said
    assert "line: Σ € / Σ kWh, no interval for fewer than 7 days" in said


def test_the_portfolio_has_every_building_of_every_run(made: Stored) -> None:
    figure = drawn(made, "home other", "savings_by_building")["savings_by_building"]
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == [HOME, OTHER]
    for row, (name, building) in enumerate((("home", HOME), ("other", OTHER))):
        expected = {
            f"{s.mode}/{base}": saving.savings_pct
            for s in summarise(results_of(made.made[name], building))
            for base, saving in s.against.items()
            if saving.savings_pct is not None and s.mode in MODES
        }
        shown = {
            line.get_gid(): float(line.get_xdata()[0])
            for ax in figure.axes
            for line in ax.lines
            if line.get_gid() and abs(float(line.get_ydata()[0]) - row) < 0.5
        }
        assert shown == pytest.approx(expected)
    assert "29–31 Oct 2016 (3 days)" in str(figure.get_label())


def test_runs_of_the_same_building_are_told_apart(made: Stored) -> None:
    runs = [made.kept(name) for name in ("other", "forecast", "home", "forecast")]
    (drawing,) = found(runs, made.tracking_uri, "savings_by_building")
    assert isinstance(drawing, Drawing)
    labels = drawing.on(SCREEN).axes[0].get_yticklabels()
    names = [" ".join(text.get_text().split()) for text in labels]
    short = made.kept("forecast").short_id
    assert names == [
        f"{OTHER} perfect foresight: upper bound",
        f"{OTHER} planned on learned forecasts, run {short}",
        HOME,
    ]


def test_one_building_of_a_run_of_many(made: Stored, changed: Path) -> None:
    home, other = (made.made[name].run_id for name in ("home", "other"))
    for table in ("day_result", "horizon_step", "plan_step"):
        change(changed, f"UPDATE {table} SET run_id = ? WHERE run_id = ?", home, other)
    run = kept_of(made, changed, "home")
    kinds = "savings_by_building modes duration maps"
    for building in (HOME, OTHER):
        names = [one.name for one in found([run], made.tracking_uri, kinds, building=building)]
        own = [f"{building}_{what}" for what in ("modes", "load_duration", "heat_maps")]
        assert names == ["savings_by_building", *own]
    assert len(found([run], made.tracking_uri, kinds)) == 1 + 2 * 3


def test_a_building_of_any_name_and_days_far_apart(made: Stored, changed: Path) -> None:
    forget(changed, "day = '2016-10-30'")
    for table in ("day_result", "horizon_step", "plan_step"):
        change(changed, f"UPDATE {table} SET building = ?", "../50 % ö:\n")
    run = kept_of(made, changed, "other")
    (drawing,) = found([run], made.tracking_uri, "maps", building="../50 % ö:\n")
    assert isinstance(drawing, Drawing)
    assert drawing.file_stem == "%2E.%2F50 %25 ö%3A%0A_heat_maps"
    figure = drawing.on(SCREEN)
    table = table_of(figure, "price [ct/kWh]")
    assert table.shape == (24, 3)
    assert np.isnan(table[:, 1]).all()
    assert "29–31 Oct 2016 (2 of 3 days)" in str(figure.get_label())


# --- runs that learn ------------------------------------------------------------------------------


def test_the_frontier_is_the_tracked_comfort_and_the_stored_cost(made: Stored) -> None:
    (ax,) = drawn(made, "habits", "frontier")[f"{HOME}_frontier"].axes
    sql = "SELECT mode, sum(value) AS eur FROM day_result WHERE kpi = 'cost_eur' AND run_id = ? "
    costs = asked(made.database, sql + "GROUP BY mode", made.made["habits"].run_id)
    unusual = tracked(made, "habits", "total/unusual")
    expected = {
        (round(unusual[f"{HOME} {mode}"], 9), round(eur, 9))
        for mode, eur in costs.itertuples(index=False)
        if mode.startswith("centralized ")
    }
    lines = [line for line in ax.lines if line.get_gid() != "knee"]
    places = {place for line in lines for place in zip(*line.get_data(), strict=True)}
    assert {(round(x, 9), round(y, 9)) for x, y in places} == expected
    assert len(costs) == 5


@pytest.mark.parametrize("prior", ["learned", "uniform"])
def test_the_habit_is_the_prior_and_then_every_stored_update(made: Stored, prior: str) -> None:
    figure = drawn(made, "rates", "habits")[f"{HOME}_dishwasher_{prior}_habit"]
    updates = asked(
        made.database,
        "SELECT day, day_type, hours FROM pmf_update WHERE run_id = ? AND model = ? ORDER BY day",
        made.made["rates"].run_id,
        f"rate:{prior}",
    )
    begun = (learned("dishwasher") if prior == "learned" else uniform()).hours
    assert len(updates) > 5
    meshes = {mesh.get_gid(): mesh for ax in figure.axes for mesh in ax.collections}
    for kind, name in enumerate(DAY_TYPES):
        of_type = updates[updates["day_type"] == name]
        expected = np.stack([begun[kind], *(np.array(h) for h in of_type["hours"])], axis=1)
        assert np.allclose(meshes[name].get_array().reshape(24, -1), expected)
        edges = meshes[name].get_coordinates()[0, :, 0]
        days = (updates["day"] - pd.Timestamp(0)) / pd.Timedelta(days=1)
        ends = days[updates["day_type"] == name] + 1.0
        assert np.allclose(edges, [days.min(), *ends, days.max() + 2.0])
    said = str(figure.get_label())
    assert f"prior {prior} · {len(updates)} updates · pipeline probability" in said


def test_the_habits_of_pipeline_b_are_those_of_the_controller_that_moves_nothing(
    made: Stored,
) -> None:
    shown = drawn(made, "habits", "habits")
    counts = asked(
        made.database,
        "SELECT feed, count(*) AS n FROM pmf_update WHERE run_id = ? AND model LIKE '%habit-only' "
        "GROUP BY feed ORDER BY feed",
        made.made["habits"].run_id,
    )
    assert list(shown) == [f"{HOME}_{feed}_uniform_habit" for feed in counts["feed"]]
    for figure, n in zip(shown.values(), counts["n"], strict=True):
        n_updates = "1 update" if n == 1 else f"{n} updates"
        assert f"prior uniform · {n_updates} · pipeline integrated" in str(figure.get_label())


@pytest.mark.parametrize("prior", ["learned", "uniform"])
def test_the_grid_is_the_tracked_cells_of_the_days_searched(made: Stored, prior: str) -> None:
    figure = drawn(made, "rates", "hyperparameters")[f"{HOME}_dishwasher_{prior}_hyperparameters"]
    for ax, metric in zip(figure.axes, ("log_loss_bits", "learning_score"), strict=False):
        values = tracked(made, "rates", f"total/{metric}")
        named = {k: re.findall(r"tau=(\S+) max=(\S+)", k) for k in values if prior in k}
        cells = {cell: values[k] for k, (cell,) in named.items()}
        expected = [[cells[tau, most] for most in ("0.05", "0.15")] for tau in ("5", "20")]
        assert np.allclose(ax.images[0].get_array(), expected)
        if metric == "log_loss_bits":
            (best,) = (k for k in tracked(made, "rates", "total/best") if prior in k)
            ((tau, most),) = named[best]
            assert cells[tau, most] == min(cells.values())
            assert f"lr_tau {tau} days, lr_max {most} " in str(figure.get_label())
            (frame,) = (frame for frame in ax.patches if frame.get_gid() == "least log loss")
            at = ("0.05", "0.15").index(most), ("5", "20").index(tau)
            assert frame.get_center() == pytest.approx(at)
    sql = "SELECT key, min(value) FROM params WHERE key LIKE 'cell.%day%' GROUP BY key"
    with closing(sqlite3.connect(made.folder / "mlflow.db")) as con:
        told = dict(con.execute(sql).fetchall())
    first, last = (date.fromisoformat(told[f"cell.{end}_day"]) for end in ("first", "last"))
    span = span_in_words(first, last, int(told["cell.n_days"]))
    assert f"{span} · prior {prior} · best of" in str(figure.get_label())


# --- what is missing, and why ---------------------------------------------------------------------


def test_a_store_or_a_run_that_is_not_there_is_named(
    made: Stored, changed: Path, tmp_path: Path
) -> None:
    runs = [made.kept("habits"), made.kept("rates")]
    none = missing(runs, f"sqlite:///{tmp_path / 'none.db'}", "frontier hyperparameters")
    assert [name for name, _ in none] == ["frontier", "hyperparameters"]
    assert all(reason.startswith(f"no runs at {tmp_path / 'none.db'}; make") for _, reason in none)
    assert not (tmp_path / "none.db").exists()
    change(changed, "UPDATE run SET mlflow_run_id = 'ffff' WHERE pipeline != 'comparison'")
    gone = [kept_of(made, changed, name) for name in ("habits", "rates")]
    found_ = missing(gone, made.tracking_uri, "frontier hyperparameters")
    assert [name for name, _ in found_] == ["frontier", "hyperparameters"]
    assert all("no run's id starts with 'ffff'" in reason for _, reason in found_)


@pytest.mark.parametrize(
    ("run", "kinds", "wanted", "name", "reason"),
    [
        (
            "home",
            "captured",
            {},
            "captured_share",
            ".*make one with 01_run.py --foresight",
        ),
        ("home", "errors", {}, "run", "it has no forecast errors; make a run with .* forecast"),
        ("rates", "savings_by_building", {}, "savings_by_building", "no run of Pipeline A; make"),
        ("rates", "modes duration", {}, "run", "the pipeline probability makes no .* modes, dur"),
        ("other", "maps", {"mode": "x"}, f"{OTHER}_heat", "mode 'x' was not run; .*as_metered"),
    ],
)
def test_what_a_run_does_not_have_is_said(
    made: Stored, run: str, kinds: str, wanted: Any, name: str, reason: str
) -> None:
    ((named, said),) = missing([made.kept(run)], made.tracking_uri, kinds, **wanted)
    assert named.startswith(name)
    assert re.match(reason, said)


def test_a_building_or_a_kind_that_is_not_there(made: Stored) -> None:
    runs = [made.kept("home"), made.kept("other")]
    none = missing(runs, made.tracking_uri, "modes", building=OTHER)
    assert none == [(f"run {runs[0].short_id}", f"it has nothing of {OTHER}")]
    with pytest.raises(InvalidSpec, match=f"'nope' is in none of the runs; they have {OTHER}, "):
        missing(runs, made.tracking_uri, "modes", building="nope")
    with pytest.raises(InvalidSpec, match="figure 'nope' is unknown; known are savings_by_bui"):
        missing(runs, made.tracking_uri, "nope")
    assert len(KINDS) == 9


def test_a_run_that_was_stopped_shows_the_days_it_has(made: Stored, changed: Path) -> None:
    run_id = made.made["forecast"].run_id
    change(changed, "UPDATE run SET status = 'KILLED' WHERE run_id = ?", run_id)
    forget(changed, f"run_id = '{run_id}' AND day > '2016-10-29'")
    run = kept_of(made, changed, "forecast")
    with pytest.raises(InvalidSpec, match=r"none of 1 runs has come to its end; name one"):
        choose_runs([run], [])
    shown = [one for _, one in figures([run], Wanted(), made.tracking_uri)]
    own = [f"{OTHER}_{what}" for what in ("modes", "load_duration", "heat_maps", "error_cost")]
    assert [one.name for one in shown] == ["savings_by_building", "captured_share", *own]
    maps = shown[4]
    assert isinstance(maps, Drawing)
    assert "Sat 29 Oct 2016" in str(maps.on(COLUMN).get_label())


def test_a_run_that_has_stored_nothing_or_little_says_so(made: Stored, changed: Path) -> None:
    forget(changed, "mode LIKE 'centralized %'", "day_result")
    forget(changed, "true", "pmf_update")
    runs = [kept_of(made, changed, name) for name in ("habits", "rates")]
    none = missing(runs, made.tracking_uri, "frontier habits")
    learned_none = ("habits", "the run has learned no habit; scripts 02 and 03 do")
    ended_none = (f"{HOME}_frontier", "no controller has come to its end")
    assert none == [ended_none, learned_none, learned_none]
    change(changed, "UPDATE run SET status = 'FAILED'")
    forget(changed, "true")
    run = kept_of(made, changed, "home")
    none = missing([run], made.tracking_uri, "modes maps duration")
    assert none == [(f"run {run.short_id}", "it is FAILED and has stored no day")]


@pytest.mark.parametrize(
    ("which", "run", "kinds", "reason"),
    [
        ("%habit-only", "habits", "frontier", "MLflow has no totals of 'centralized habit-only'"),
        ("%tau=20 max=0.05", "rates", "hyperparameters", ""),
        ("total/best", "rates", "hyperparameters", "its search did not come to its end"),
    ],
)
def test_what_did_not_come_to_its_end_in_mlflow(
    made: Stored, tmp_path: Path, which: str, run: str, kinds: str, reason: str
) -> None:
    shutil.copy(made.folder / "mlflow.db", tmp_path / "mlflow.db")
    below = "run_uuid IN (SELECT run_uuid FROM runs WHERE name LIKE ?) AND key LIKE 'total/%'"
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as con:
        for table in ("metrics", "latest_metrics"):
            gone = f"DELETE FROM {table} WHERE key = ?1 OR ({below.replace('?', '?1')})"
            assert con.execute(gone, [which]).rowcount > 0
        con.commit()
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    if reason:
        none = missing([made.kept(run)], uri, kinds)
        assert none
        assert all(said.startswith(reason) for _, said in none)
        return
    for drawing in found([made.kept(run)], uri, kinds):
        assert isinstance(drawing, Drawing)
        table = np.ma.filled(drawing.on(SCREEN).axes[0].images[0].get_array(), np.nan)
        assert np.isnan(table).tolist() == [[False, False], [True, False]]


def test_a_run_that_is_being_written_while_it_is_read_is_no_traceback(
    made: Stored, changed: Path
) -> None:
    which = f"run_id = '{made.made['habits'].run_id}' AND mode LIKE '%w = 0.1%'"
    forget(changed, f"{which} AND day > '2016-06-01'", "plan_step")
    (one,) = found([kept_of(made, changed, "habits")], made.tracking_uri, "duration")
    assert (one.name, isinstance(one, Drawing)) == (f"{HOME}_load_duration", True)
