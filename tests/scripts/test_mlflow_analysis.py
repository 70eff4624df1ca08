"""``scripts/mlflow_analysis.py`` as a person asks it."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest
from called_script import Done, in_process, one_line
from called_script import call as called

from ems.tracking import pipeline_run, sqlite_uri
from ems.tracking.read import RunStore

import mlflow_analysis as script  # isort: skip - lies in scripts
from command_line import parsed  # isort: skip

from ems.errors import InvalidSpec

NAME = "mlflow_analysis.py"


def stopped(uri: str) -> None:
    """A run that somebody has stopped."""
    with pipeline_run(uri, experiment="integrated", name="b", parameters={}):
        raise KeyboardInterrupt


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Three runs of one pipeline: as it was, with a smaller battery, and one that was stopped."""
    db = tmp_path_factory.mktemp("runs") / "mlflow.db"
    found = {"db": str(db)}
    for name, kwh, saved, cost in (("first", 15, 4.0, 1.0), ("second", 8, 3.0, 2.0)):
        parameters = {
            "n_days_planned": 2,
            "battery": {"kwh": kwh},
            "data": {"source": "a | meter", "hash": "ab12"},
        }
        with pipeline_run(
            sqlite_uri(db), experiment="comparison", name="home all", parameters=parameters
        ) as run:
            for mode, factor in (("centralized", 1.0), ("rule_based", 0.5)):
                totals = {"cost_eur": cost, "savings_eur_vs_as_metered": factor * saved}
                more = {"demand_kwh": 5.0, "solver_s": saved, "stored_eur": 1e-9 * saved}
                run.days("home", mode, {"cost_eur": [saved]}, [0])
                run.summary("home", mode, {**totals, **more})
        found[name] = run.run_id
    with pytest.raises(KeyboardInterrupt):
        stopped(sqlite_uri(db))
    (found["stopped"],) = (r.run_id for r in RunStore(sqlite_uri(db)).find("status = 'KILLED'"))
    return found


def asked(runs: dict[str, str], *args: str) -> script.Answer:
    return script.ask(parsed(script.Options, "", "", ["--db", runs["db"], *args]))


def call(runs: dict[str, str], *args: str, columns: int = 160) -> Done:
    return called(NAME, "--db", runs["db"], *args, columns=columns)


def test_the_newest_runs_first(runs: dict[str, str]) -> None:
    (sheet,) = asked(runs).sheets
    assert [row[0] for row in sheet.rows] == [
        runs[name][:8] for name in ("stopped", "second", "first")
    ]
    (sheet,) = asked(runs, "--level", "all", "--experiment", "comparison").sheets
    assert len(sheet.rows) == 6
    assert "saved vs metered €" in sheet.columns
    (sheet,) = asked(runs, "--level", "modes", "--limit", "3").sheets
    assert len(sheet.rows) == 3
    assert sheet.title.startswith("3 of 4")
    assert asked(runs, "--where", "params.x = 'y'").notes == ("no run matches",)


@pytest.mark.parametrize("columns", [80, 120])
def test_the_list_fits_the_console(runs: dict[str, str], columns: int, tmp_path: Path) -> None:
    done = call(runs, "--level", "all", columns=columns)
    assert (done.code, done.err) == (0, "")
    assert max(map(len, done.out.splitlines())) <= columns
    assert done.out.count(runs["first"][:8]) >= 2
    alone = in_process(NAME, "--db", runs["db"], cwd=tmp_path)
    assert (alone.code, alone.err) == (0, "")
    assert runs["stopped"][:8] in alone.out


def test_the_best_by_a_metric_knows_which_way_is_better(runs: dict[str, str]) -> None:
    def order(metric: str) -> list[object]:
        (sheet,) = asked(runs, "--best", metric, "--where", "params.mode = 'centralized'").sheets
        return [row[sheet.columns.index(f"total/{metric}")] for row in sheet.rows]

    assert order("savings_eur_vs_as_metered") == [4.0, 3.0]
    assert order("cost_eur") == [1.0, 2.0]
    (sheet,) = asked(runs, "--best", "savings_eur", "--limit", "1").sheets
    assert sheet.rows[0][2:3] == ["home centralized"]
    with pytest.raises(InvalidSpec, match="neither more nor less is better"):
        asked(runs, "--best", "demand_kwh")


def test_runs_that_are_hard_to_compare_are_said(runs: dict[str, str]) -> None:
    assert asked(runs, "--best", "cost_eur").notes == ()
    db = Path(runs["db"])
    with pipeline_run(
        sqlite_uri(db.with_name("apart.db")), experiment="e", name="p", parameters={}
    ) as run:
        for building in ("x", "y"):
            run.summary(building, "m", {"cost_eur": 1.0})
    apart = asked({"db": str(db.with_name("apart.db"))}, "--best", "cost_eur")
    assert "caution   these runs have 2 buildings" in apart.notes[0]


def test_two_runs_side_by_side(runs: dict[str, str]) -> None:
    answer = asked(runs, "--compare", runs["first"][:10], runs["second"])
    parameters, metrics = answer.sheets
    assert parameters.rows == [("battery.kwh", "15", "8")]
    assert [row[:5] for row in metrics.rows] == [
        ("home centralized", "total/cost_eur", 1.0, 2.0, 1.0),
        ("home centralized", "total/savings_eur_vs_as_metered", 4.0, 3.0, -1.0),
        ("home rule_based", "total/cost_eur", 1.0, 2.0, 1.0),
        ("home rule_based", "total/savings_eur_vs_as_metered", 2.0, 1.5, -0.5),
    ]
    assert answer.notes[0].startswith("4 of 8 figures that both have agree")
    answer = asked(runs, "--compare", runs["first"], runs["stopped"])
    assert "only in" in answer.notes[1]
    assert answer.notes[2] == "caution   one is of comparison, the other of integrated"


def test_what_got_worse_ends_with_1(runs: dict[str, str]) -> None:
    done = call(runs, "--baseline", runs["first"][:8], "--tolerance", "0.01")
    assert (done.code, done.err) == (1, "")
    assert "total/savings_eur_vs_as_metered" in done.out
    assert "4 of 8 metrics worse; asked for otherwise: battery.kwh" in done.out
    fine = asked(runs, "--baseline", runs["first"], "--tolerance", "0.9")
    assert not fine.worse
    newest = asked(runs, "--baseline", runs["second"])
    assert not newest.worse
    assert newest.notes[0].startswith("no finished run of 'home all' has started after")


def test_what_did_not_end(runs: dict[str, str]) -> None:
    (sheet,) = asked(runs, "--stale_h", "0").sheets
    assert [row[-2:] for row in sheet.rows] == [("KILLED", "KeyboardInterrupt: ")]


def test_markdown_and_duckdb(runs: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "new" / "runs.duckdb"
    args = ("--compare", runs["first"], runs["second"], "--format", "markdown")
    for _ in range(2):  # the second time replaces the tables
        done = call(runs, *args, "--to_duckdb", str(file))
        assert (done.code, done.err) == (0, "")
    assert "| battery.kwh | 15 | 8 |\n\n**metrics that differ**\n\n" in done.out
    assert "| --- | --- | ---: | ---: | ---: | ---: |" in done.out
    with duckdb.connect(str(file), read_only=True) as con:
        names = {name for (name,) in con.execute("SHOW TABLES").fetchall()}
        rows = con.execute("SELECT metric, change FROM mlflow_metrics ORDER BY change").fetchall()
    assert names == {"mlflow_parameters", "mlflow_metrics"}
    assert rows[0] == ("total/savings_eur_vs_as_metered", -1.0)
    assert not list(tmp_path.rglob("*.csv"))


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("--where", "bad ="), "MLflow's filters look like"),
        (("--to_duckdb", "."), "the table mlflow_runs cannot be written"),
    ],
)
def test_bad_input_is_one_line(runs: dict[str, str], args: tuple[str, ...], says: str) -> None:
    one_line(call(runs, *args), says)


def test_questions_that_have_no_answer(runs: dict[str, str]) -> None:
    with pytest.raises(InvalidSpec, match="no run has a metric 'nonsense'"):
        asked(runs, "--best", "nonsense")
    with pytest.raises(InvalidSpec, match="no run's id starts with 'zz'"):
        asked(runs, "--compare", "zz", "zz")
    with pytest.raises(InvalidSpec, match="--best and --stale_h exclude each other"):
        asked(runs, "--best", "cost_eur", "--stale_h", "1")
