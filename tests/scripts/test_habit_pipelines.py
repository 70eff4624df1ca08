"""Pipelines B and C: what they leave in both stores, what they say, and bad input."""

from __future__ import annotations

import re
from pathlib import Path

import duckdb
import pytest
from called_script import B, C, Done, one_line
from pipeline_run import Place

SMALL_GRID = ("--lr_tau_values", "5,20", "--lr_max_values", "0.05,0.15")
CONTROLLERS = ("cost-only", "w = 0.1 €", "habit-only")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture(scope="module")
def habits(tmp_path_factory: pytest.TempPathFactory) -> tuple[Place, Done]:
    """Three days on forecasts with starts in them, printed on a narrow console."""
    place = Place(tmp_path_factory.mktemp("habits"))
    args = ("--start", "2016-06-01", "--n_days", "3", "--preference_eur", "0,0.1")
    more = ("--foresight", "forecast", "--mode", "centralised_phases", "--figures", "on")
    more += ("--export", "csv")
    return place, place.call(B, *args, *more, columns=80)


def test_every_controller_is_tracked_and_stored(habits: tuple[Place, Done]) -> None:
    place, done = habits
    assert (done.code, done.err) == (0, "")
    runs = place.tracked("SELECT name, status FROM runs")
    name = "DE_KN_residential4 centralized_phases"
    assert {run for run, _ in runs} == {name, *(f"{name} {one}" for one in CONTROLLERS)}
    assert {status for _, status in runs} == {"FINISHED"}
    metrics = place.metrics()
    assert metrics["total/mean_start_probability"] == 3
    assert metrics["total/captured_share_vs_as_metered"] >= 3
    modes = {mode for (mode,) in place.found("SELECT DISTINCT mode FROM day_result")}
    planned = {f"centralized_phases {one}" for one in CONTROLLERS}
    assert modes == planned | {"as_metered", "rule_based"}
    ((updates, largest),) = place.found(
        "SELECT count(*), max(abs(list_sum(hours) - 1)) FROM pmf_update"
    )
    assert updates > 0
    assert largest < 1e-9


def test_every_controller_is_exported(habits: tuple[Place, Done]) -> None:
    place, _ = habits
    (file,) = (place.results / "exports").rglob("steps.csv")
    found = duckdb.sql(f"SELECT mode, count(*) FROM '{file}' GROUP BY mode").fetchall()
    named = {f"centralized_phases {one}" for one in CONTROLLERS} | {"as_metered", "rule_based"}
    assert dict(found) == dict.fromkeys(named, 3 * 24)


def test_the_frontier_is_shown_and_drawn(habits: tuple[Place, Done]) -> None:
    place, done = habits
    for name in CONTROLLERS:
        assert done.out.count(f"│ {name} ") >= 2
    assert max(len(row) for row in done.out.splitlines() if set(row) & set("┏┃│")) <= 80
    assert "captured vs metered" in done.out
    assert "knee " in done.out
    ((run_id,),) = place.found("SELECT run_id FROM run")
    figure = f"visualizations/{run_id[:8]}/DE_KN_residential4_frontier.png"
    assert (place.results / figure).is_file()
    assert figure in done.out
    # Of the run as MLflow has it, so only after its end.
    paper = {file.name for file in (place.results / "figures" / run_id[:8]).iterdir()}
    assert "DE_KN_residential4_frontier_column.svg" in paper
    assert "left out" not in done.out


def test_days_on_which_nothing_was_started_have_no_frontier(place: Place) -> None:
    """Three days after the first training: nobody washed."""
    args = ("--n_days", "3", "--preference_eur", "0", "--figures", "on", "--report", "on")
    done = place.call(B, *args)
    assert (done.code, done.err) == (0, "")
    assert "knee      none, and no figure of it: no appliance was started" in done.out
    assert "unusual:" not in done.out
    assert not (place.results / "visualizations").exists()
    assert len(list((place.results / "reports").glob("integrated_*.html"))) == 1
    assert place.found("SELECT status FROM run") == [("FINISHED",)]


@pytest.mark.smoke
def test_every_cell_is_tracked_and_every_update_stored(place: Place) -> None:
    args = ("--target_device", "dishwasher", "--test_both_priors", *SMALL_GRID)
    done = place.call(C, *args, columns=80)
    assert (done.code, done.err) == (0, "")
    says = r"dishwasher: (\d+) updates, JS\(prior\)=\S+, JS\(step\)=\S+, log loss \S+ vs uniform "
    n_uniform, n_learned = map(int, re.findall(says + r"4\.585", done.words))
    assert max(len(row) for row in done.out.splitlines() if set(row) & set("┏┃│")) <= 80
    assert place.metrics()["total/log_loss_bits"] == 8
    taus = place.tracked("SELECT DISTINCT value FROM params WHERE key = 'cell.rate.lr_tau'")
    assert {tau for (tau,) in taus} == {"5.0", "20.0"}
    counts = dict(place.found("SELECT model, count(*) FROM pmf_update GROUP BY model"))
    assert counts == {"rate:uniform": n_uniform, "rate:learned": n_learned}


def test_how_rates_were_chosen_and_habits_moved_is_drawn_in_one_place(place: Place) -> None:
    args = ("--target_device", "dishwasher", *SMALL_GRID, "--figures", "on")
    names = []
    for _ in range(2):
        done = place.call(C, *args)
        assert (done.code, done.err) == (0, "")
        ((run_id,),) = place.found("SELECT run_id FROM run ORDER BY started_utc DESC LIMIT 1")
        stem = "DE_KN_residential4_dishwasher_uniform"
        names += [f"{stem}_{what}_{run_id[:8]}.png" for what in SHOWN]
        drawn = {file.name for file in (place.results / "figures" / run_id[:8]).iterdir()}
        assert {f"{stem}_habit_column.svg", f"{stem}_hyperparameters_column.svg"} <= drawn
        others = {file.name for file in (place.results / "visualizations" / run_id[:8]).iterdir()}
        assert others == {f"{stem}_{what}.png" for what in ("learning_curves", "prior_and_learned")}
    folder = place.results / "probability_optimization" / "visualizations"
    # No run overwrites the figures of another.
    assert sorted(file.name for file in folder.iterdir()) == sorted(names)
    assert all(str(folder / name) in done.out for name in names[2:])


SHOWN = ("learning_optimization", "realtime_evolution")


def test_two_workers_find_the_same(tmp_path: Path) -> None:
    printed = []
    for workers in ("1", "2"):
        (tmp_path / workers).mkdir()
        args = ("--device_filter", "discrete_phase", "--test_multiple_devices", *SMALL_GRID)
        done = Place(tmp_path / workers).call(C, *args, "--workers", workers)
        assert (done.code, done.err) == (0, "")
        printed.append([line for line in done.out.splitlines() if "updates, JS" in line])
    assert len(printed[0]) == 2
    assert printed[0] == printed[1]


RATES = ("--lr_tau_values", "10,20,30", "--lr_max_values", "0.05,0.10,0.15")


@pytest.mark.parametrize(
    ("args", "n_devices"),
    [
        (("--building", "DE_KN_residential1", *RATES, "--target_device", "heat_pump"), 1),
        (
            (
                *("--test_multiple_devices", "--device_filter", "discrete_phase,partial_usage"),
                *("--test_both_priors", "--lr_tau_values", "10,20", "--lr_max_values", "0.05,0.10"),
            ),
            3,
        ),
        (("--use_learned_priors", "--target_device", "dishwasher"), 1),
    ],
)
def test_the_days_that_are_asked_for_are_scored(
    place: Place, args: tuple[str, ...], n_devices: int
) -> None:
    """Ten days, with as many known days before them as train."""
    done = place.call(C, "--n_days", "10", *args, "--figures", "off", "--log_model", "off")
    assert (done.code, done.err) == (0, "")
    rows = place.found("SELECT feed, model, count(DISTINCT day) FROM pmf_update GROUP BY ALL")
    assert len({feed for feed, _, _ in rows}) == n_devices
    assert all(0 < n_days <= 38 for _, _, n_days in rows)


@pytest.mark.parametrize(
    ("script", "args", "says"),
    [
        (C, ("--target_device", "oven"), r"no device 'oven'.*the building has: .*dishwasher"),
        (
            C,
            ("--target_device", "dishwasher", "--start", "2015-10-20", "--n_days", "10"),
            r"9 known days before 2015-10-20, needed are 28 to train; start later",
        ),
        (C, ("--lr_tau_values", "-1"), "lr_tau = -1.0"),
        (C, ("--building", "nope"), "'nope' is unknown; known are DE_KN_industrial3"),
        (C, ("--use_learned_priors", "--test_both_priors"), "exclude each other"),
        (C, ("--target_device", "ev", "--test_multiple_devices"), "exclude each other"),
        (C, ("--workers", "4096"), "workers is 4096, allowed is 1 to"),
        (B, ("--preference_eur", "-0.1"), "allowed are finite numbers >= 0"),
        (B, ("--building", "all"), "'all' is unknown"),
        (B, ("--start", "2015-10-14"), r"3 known days before 2015-10-14, 14 are needed"),
        (B, ("--lr_max", "2"), "lr_max = 2.0"),
    ],
)
def test_what_is_refused_leaves_no_run(
    place: Place, script: str, args: tuple[str, ...], says: str
) -> None:
    one_line(place.call(script, *args), says)
    assert place.tracked("SELECT count(*) FROM runs") == [(0,)]
