"""The health report: what it says of a house that is well, and of one that was read wrongly."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from functools import cache
from pathlib import Path

import duckdb
import numpy as np
import pytest
from small_building import at, histories, local_index, made, twin_database

from ems.economics.tariff_file import load_tariff
from ems.errors import DataError
from ems.pipelines.comparison import choose_window
from ems.report.health import Patient, health_report, write_health
from ems.site.assets import Assets
from ems.site.building import Building
from ems.site.meters import Feed, MeterData
from ems.store.connection import get_con
from ems.store.plausible import doubts, plausibility
from ems.store.quality import Finding
from ems.store.read import list_buildings, list_findings

FOUND = Finding(
    building="made_house",
    feed="grid_import",
    rule="copied day",
    quality="gap",
    steps=6,
    days=2,
    span_utc=(np.datetime64("2016-06-01T03:00:00"), np.datetime64("2016-06-02T05:00:00")),
)


@cache
def twin(name: str = "DE_KN_residential4") -> MeterData:
    return histories(twin_database())[name]


def strange(history: MeterData) -> list[str]:
    """What is not plausible, the first word of each."""
    return [one.what.split()[0] for one in plausibility(history) if not one.plausible]


def scaled(history: MeterData, factor: float) -> MeterData:
    return replace(
        history,
        load_kwh=factor * history.load_kwh,
        pv_kwh=factor * history.pv_kwh,
        energy_kwh={name: factor * kwh for name, kwh in history.energy_kwh.items()},
    )


def shifted(history: MeterData, hours: int) -> MeterData:
    return replace(history, ts_utc=history.ts_utc + np.timedelta64(hours, "h"))


@pytest.mark.parametrize("number", [1, 2, 3, 4, 5, 6])
def test_the_houses_of_the_twin_are_plausible(number: int) -> None:
    checks = plausibility(twin(f"DE_KN_residential{number}"))
    assert len(checks) >= 4
    assert strange(twin(f"DE_KN_residential{number}")) == []


def test_a_factor_or_a_shift_of_hours_is_seen() -> None:
    assert strange(scaled(twin(), 1000.0))[:2] == ["load", "highest"]
    assert strange(scaled(twin(), 0.001))[:2] == ["load", "highest"]
    for hours in (-12, -3, 3, 12):
        assert "middle" in strange(shifted(twin(), hours)), hours
    assert "generation" in strange(shifted(twin(), 2))  # after sunset


def test_columns_that_were_exchanged_are_seen() -> None:
    history = twin()
    exchanged = {**history.energy_kwh, "grid_export": 2.0 * history.energy_kwh["pv"]}
    assert strange(replace(history, energy_kwh=exchanged)) == [
        "load",
        "lowest",
        "sub-meters,",
        "export,",
    ]
    behind = {**history.energy_kwh, "heat_pump": history.load_kwh * 1.5}
    assert "sub-meters," in strange(replace(history, energy_kwh=behind))


def test_figures_by_hand_and_what_is_too_short_to_judge() -> None:
    index = local_index(date(2016, 6, 1), 20)
    sun = at(index, *((f"2016-06-{day:02d} 11:00", 4, 2.0) for day in range(1, 21)))
    history = replace(made(index, pv_kwh=sun, base_kw=0.5), kind="residential")
    values = {one.what.split()[0]: one for one in plausibility(history)}
    assert values["load"].value == pytest.approx(0.5 * 8766)
    # Less than a year is known: twice as wide on either side.
    assert (values["load"].least, values["load"].most) == (250.0, 50_000.0)
    assert values["highest"].value == pytest.approx(0.5)
    # 4 h of 2 kW a day: the sun's noon in Konstanz is near 13:22 summer time.
    assert values["middle"].value == pytest.approx(13.0 - 13.39, abs=0.02)
    assert values["export,"].value == pytest.approx(100 * 1.5 / 2)
    unknown = {**history.energy_kwh, "grid_import": np.full(480, np.nan)}
    without = replace(history, energy_kwh=unknown)
    assert plausibility(without)[0].what.startswith("generation")


def test_registers_of_a_role_count_together_and_a_net_house_has_no_least_load() -> None:
    index = local_index(date(2016, 6, 1), 20)
    house = replace(made(index, pv_kwh=np.zeros(480), base_kw=0.5), kind="residential")
    night, day = np.zeros(480), np.zeros(480)
    night[::24], day[12::24] = 30.0, 30.0
    two = replace(
        house,
        feeds=(
            Feed(name="high", role="import", category="grid"),
            Feed(name="low", role="import", category="grid"),
            Feed(name="export", role="export", category="grid"),
        ),
        energy_kwh={"high": day, "low": night, "export": np.full(480, 1.0)},
        load_rule="import-export",
    )
    values = {one.what: one.value for one in plausibility(two)}
    assert values == {
        "import in a year": pytest.approx(60 / 24 * 8766),
        "highest import of a step": pytest.approx(30.0),  # never both in one hour
    }
    (said,) = doubts(two)
    assert "cannot be known" in said


def test_the_report_tells_rules_days_and_figures() -> None:
    index = local_index(date(2016, 6, 1), 5)
    history = made(index, pv_kwh=np.full(120, 0.3))
    gap = history.energy_kwh["grid_import"].copy()
    gap[24 + 5] = gap[48 + 5] = np.nan
    history = replace(
        history,
        load_kwh=np.where(np.isnan(gap), np.nan, history.load_kwh),
        energy_kwh={**history.energy_kwh, "grid_import": gap},
    )
    # Another size of PV is planned; the data are judged as metered.
    building = Building(history, load_tariff("flat"), Assets(pv_scale=3.0))
    window = choose_window(building, None, 3)
    text = health_report("abc", [Patient(building=building, window=window, findings=[FOUND])])
    assert text.startswith("# Health of the data of run abc\n\n**SYNTHETIC DATA")
    assert "PV 3 times" not in text
    assert "| copied day | grid_import | gap | 2 | 6 | 5.0 % | 2016-06-01 | 2016-06-02 |" in text
    assert (
        "Of 5 days from midnight to midnight 3 can be planned. This run: 3 from 2016-06-01" in text
    )
    assert "2 of them left out" in text
    says = "grid_import is not ok; the building's load is not ok | 2 | 2016-06-02 to 2016-06-03 |"
    assert says in text
    assert "| sub-meters" not in text
    without = [Patient(building=building, window=window, findings=[])]
    assert "### What the rules found\n\nNothing.\n" in health_report("abc", without)


def test_findings_are_read_as_they_were_stored() -> None:
    with duckdb.connect() as con:
        con.execute(
            "CREATE TABLE finding (building TEXT, feed TEXT, rule TEXT, quality TEXT, steps INT, "
            "days INT, first_ts_utc TIMESTAMP, last_ts_utc TIMESTAMP)"
        )
        small, other = replace(FOUND, feed="a", steps=1), replace(FOUND, building="elsewhere")
        for one in (small, FOUND, other):
            row = [one.building, one.feed, one.rule, one.quality, one.steps, one.days]
            row += [instant.item() for instant in one.span_utc]
            con.execute("INSERT INTO finding VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
        assert list_findings(con, "made_house") == (FOUND, small)


def test_every_rule_that_found_something_in_the_twin_is_explained() -> None:
    with get_con(twin_database()) as con:
        found = [one for name in list_buildings(con) for one in list_findings(con, name)]
    assert found
    house = Building(twin(), load_tariff("flat"), Assets())
    patient = Patient(building=house, window=choose_window(house, None, 1), findings=found)
    assert "see docs/data.md" not in health_report("abc", [patient])


def test_a_report_that_cannot_be_written_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="the health report cannot be written"):
        write_health("text", tmp_path / "file" / "a.md")
