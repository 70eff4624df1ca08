"""``scripts/04_community.py``: what it shows and keeps, its ledger, and what it refuses."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from called_script import call, one_line
from pipeline_run import Place

from ems.store.build import build_database
from ems.store.ingest.meter import read_meter

ROOT = Path(__file__).resolve().parents[2]
NAME = "04_community.py"
DRAWN = ("--figures", "on", "--report", "on")
DAY = ("--n_days", "1", "--start", "2016-06-01", "--tariff", "flat")


def test_a_day_of_three_homes_is_shown_stored_tracked_and_booked(tmp_path: Path) -> None:
    place = Place(tmp_path)
    names = "residential3,residential4,residential5"
    done = place.call(NAME, *DAY, *DRAWN, "--homes", "3", "--buildings", names, "--fee_ct", "3")
    assert done.code == 0, done.err
    for told in (
        "3, as measured",
        "fee 3 ct/kWh",
        "planned together",
        "best rules, each alone",
        "worth ",
    ):
        assert told in done.words
    costs = dict(place.found("SELECT home, value FROM community_home WHERE kpi = 'here_eur'"))
    assert len(costs) == 3
    ways = [way for (way,) in place.found("SELECT DISTINCT mode FROM community_step")]
    assert {"as_metered", "alone", "alone_shared", "together", "rule_shared timer"} <= set(ways)
    runs = {name for (name,) in place.tracked("SELECT name FROM runs")}
    assert {"community rule_alone", "community rule_together", "community together"} <= runs
    (page,) = place.results.rglob("*.html")
    assert '"name":"bill sharing, priority key"' in page.read_text(encoding="utf-8")
    assert list(place.results.rglob("gini_against_cost.png"))
    (found,) = re.findall(r"04_community\.py verify (\S+) --root ([0-9a-f]{64})", done.out)
    (ledger,) = place.results.glob("ledgers/*.jsonl")
    assert Path(found[0]).name == ledger.name
    checked = call(NAME, "verify", ledger, "--root", found[1])
    assert checked.code == 0, checked.err
    assert "4 lines, 1 day: unchanged" in checked.words
    one_line(call(NAME, "verify", ledger, "--root", "0" * 64), "written anew, or cut")
    ledger.write_text(ledger.read_text().replace("0", "1", 1))
    one_line(call(NAME, "verify", ledger), "line 1: it does not follow")


def test_a_made_street_by_prices_says_what_it_is(tmp_path: Path) -> None:
    done = Place(tmp_path).call(
        NAME,
        *DAY,
        "--homes",
        "8",
        "--mode",
        "decomposed",
        "--rule",
        "competitive",
        "--fee_ct",
        "40",
    )
    assert done.code == 0, done.err
    assert "8, made from other days of the measured ones" in done.words
    assert "planned together, by prices" in done.words
    assert "pool worthless in 24 of 24 steps" in done.words
    assert "nobody is worse off than alone" in done.words


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("--homes", "1"), "homes is 1; sharing needs at least two"),
        (("--buildings", "residential3,residential3"), "names DE_KN_residential3 twice"),
        (("--buildings", "nobody"), "building 'nobody' is unknown"),
        (("--key", "static", "--static_shares", "0.5,0.4", "--homes", "2"), "must sum to 1"),
        (("--key", "static", "--static_shares", "1"), "1 shares for 6 homes"),
        (("--static_shares", "1"), "belong to --key static, the key is dynamic"),
        (("--start", "2031-01-01"), "start 2031-01-01: "),
        (("--rule", "fair"), "rule"),
        (("--fee_ct", "-1"), "must be a number of at least 0"),
        (("--pv_share", "1.5"), r"pv is 1\.5, allowed is 0 to 1"),
        (("--demand_charge_eur_per_kw", "50"), "demand charge"),
        (("--battery_start_kwh", "5"), "the batteries of a community begin empty"),
        (
            ("--law", "de_42c", "--tariff", "dynamic"),
            "holds from 2026-06-01, the window begins on 2016-06-01",
        ),
        (("--law", "moon"), "law 'moon': not known"),
        (("--law", "de_42b", "--fee_ct", "3"), "--law says the fee of a shared kWh"),
    ],
)
def test_what_is_refused(args: tuple[str, ...], says: str, tmp_path: Path) -> None:
    base = ("--n_days", "1") if "--start" in args else DAY
    one_line(Place(tmp_path).call(NAME, *base, *args), says)


def test_verify_needs_one_ledger(tmp_path: Path) -> None:
    one_line(call(NAME, "verify"), "verify needs one LEDGER file, 0 are given")
    one_line(call(NAME, "verify", tmp_path / "none"), "the ledger cannot be read")


def test_a_law_says_the_fee_and_that_hours_are_too_long(tmp_path: Path) -> None:
    names = "residential3,residential4,residential5"
    asked = ("--homes", "3", "--buildings", names, "--law", "de_42b", "--figures", "off")
    done = Place(tmp_path).call(NAME, *DAY, *asked)
    assert done.code == 0, done.err
    assert "fee 0 ct/kWh" in done.words
    assert "it compares every 15 minutes, the meters every 60" in done.words


def own_home(folder: Path, name: str) -> Path:
    """The database of a meter of one's own, made from the example in the documents."""
    example = ROOT / "docs" / "own_meter"
    folder.mkdir()
    text = (example / "meter.toml").read_text(encoding="utf-8")
    (folder / "meter.toml").write_text(text.replace('"my_home"', f'"{name}"'), encoding="utf-8")
    (folder / "meter.csv").write_bytes((example / "meter.csv").read_bytes())
    target = folder / f"{name}.duckdb"
    build_database(read_meter(folder / "meter.toml"), target)
    return target


def test_meters_of_ones_own_share(tmp_path: Path) -> None:
    ours = own_home(tmp_path / "ours", "my_home")
    theirs = own_home(tmp_path / "theirs", "next_door")
    day = ("--start", "2016-10-29", "--n_days", "1", "--tariff", "flat", "--homes", "2")
    done = Place(tmp_path, ours).call(NAME, *day, "--join", theirs)
    assert done.code == 0, done.err
    assert "homes 2, as measured" in done.words
    assert "next_door" in done.words
    one_line(Place(tmp_path, ours).call(NAME, *day, "--join", ours), "my_home: the home is in two")
    gone = Place(tmp_path, ours).call(NAME, *day, "--join", tmp_path / "gone.duckdb")
    one_line(gone, "there is no database here")
