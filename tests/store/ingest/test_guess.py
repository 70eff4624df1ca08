"""What is guessed of a file: right where the file shows it, said where it does not."""

from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ems.errors import DataError
from ems.store.ingest.meter import read_meter
from ems.store.ingest.meter.guess import guess, zone_of
from ems.store.ingest.meter.guess_time import FORMS, Known

PLACE = 'name = "Hamburg"\nlatitude_deg = 53.55\nlongitude_deg = 9.99\ncountry = "DE"'
KNOWN = Known(building="home", place_toml=PLACE, timezone="Europe/Berlin")


def read(folder: Path, text: str, encoding: str = "utf-8", known: Known = KNOWN):
    """The guess for a file, and what is read with it."""
    (folder / "meter.csv").write_bytes(text.encode(encoding))
    found = guess([folder / "meter.csv"], known)
    (folder / "meter.toml").write_text(found.toml, encoding="utf-8")
    return found, read_meter(folder / "meter.toml").buildings[0]


FORMS_TRIED = [form for form in FORMS if form not in ("ISO8601", "%s", "%d.%m.%y %H:%M:%S")]


@settings(max_examples=60, deadline=None)
@given(
    form=st.sampled_from([*FORMS_TRIED, "%Y-%m-%dT%H:%M:%S%z"]),
    separator=st.sampled_from([";", "\t", "|", ","]),
    comma=st.booleans(),
    minutes=st.sampled_from([5, 10, 15, 30, 60]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp1252"]),
    counted=st.booleans(),
    above=st.sampled_from(["", "Kunde;Müller\n\n", "Zählpunkt: AT00\nVon: gestern\n\n"]),
    newest_first=st.booleans(),
)
def test_a_house_in_any_layout_is_read_to_the_watt_hour(
    tmp_path_factory: pytest.TempPathFactory,
    form: str,
    separator: str,
    comma: bool,
    minutes: int,
    encoding: str,
    counted: bool,
    above: str,
    newest_first: bool,
) -> None:
    comma = comma and separator != ","
    n = 3 * 24 * 60 // minutes
    drawn = np.random.default_rng(n).uniform(0.01, 0.9, n).round(3)
    stamps = pd.date_range("2024-10-26", periods=n, freq=f"{minutes}min", tz="Europe/Berlin")
    shown = np.cumsum(drawn) + 1000 if counted else drawn
    lines = [
        f"{t.strftime(form)}{separator}{v:.3f}".replace(".", ",")
        if comma and "." not in form
        else f"{t.strftime(form)}{separator}{f'{v:.3f}'.replace('.', ',') if comma else f'{v:.3f}'}"
        for t, v in zip(stamps, shown, strict=True)
    ]
    if newest_first:
        lines = lines[::-1]
    head = f"Zeit{separator}Netzbezug [kWh]"
    found, home = read(
        tmp_path_factory.mktemp("guess"), above + "\n".join([head, *lines]), encoding
    )
    energy = home.energy_kwh["grid_import"]
    assert home.step_h == minutes / 60
    if counted:
        assert 'label = "end"' in found.toml
        energy, drawn = energy[1:], drawn[1:]
    np.testing.assert_allclose(energy, drawn, atol=1e-6)


def rows(form: str, start: str, n: int = 96) -> str:
    stamps = pd.date_range(start, periods=n, freq="h")
    return "time,import kWh\n" + "".join(f"{t:{form}},0.{i % 9}1\n" for i, t in enumerate(stamps))


def test_day_or_month_first_is_what_the_file_shows_or_asked(tmp_path: Path) -> None:
    found, _ = read(tmp_path, rows("%d/%m/%Y %H:%M", "2024-03-11"))
    assert 'timestamp_format = "%d/%m/%Y %H:%M"' in found.toml
    found, _ = read(tmp_path, rows("%m/%d/%Y %H:%M", "2024-03-11"))
    assert 'timestamp_format = "%m/%d/%Y %H:%M"' in found.toml
    one_day = rows("%d/%m/%Y %H:%M", "2024-03-04", 20)
    with pytest.raises(DataError, match=r"may be 4 March 2024 or 3 April 2024; say --day_first"):
        read(tmp_path, one_day)
    said = Known(building="home", place_toml=PLACE, timezone="Europe/Berlin", day_first=True)
    _, home = read(tmp_path, one_day, known=said)
    assert home.ts_utc[0] == np.datetime64("2024-03-03T23:00")


def test_roles_by_their_names(tmp_path: Path) -> None:
    head = "time;Bezug kWh;Einspeisung kWh;PV Erzeugung kWh;Wallbox kWh;Batterie Ladung kWh;x"
    head = head.replace("Batterie Ladung", "battery_charge").replace(
        ";x", ";battery_discharge kWh;x"
    )
    lines = [f"2024-05-06 {h:02}:00;0.3;0.0;0.1;0.2;0.0;0.1;7" for h in range(24)]
    found, home = read(tmp_path, "\n".join([head, *lines]))
    assert [(f.name, f.role) for f in home.feeds] == [
        ("grid_import", "import"),
        ("grid_export", "export"),
        ("pv", "pv"),
        ("wallbox_kwh", "load"),
        ("charge", "charge"),
        ("discharge", "discharge"),
    ]
    assert home.feeds[3].category == "ev"
    assert "not used: 'x'" in found.unsure
    assert any(line.startswith("label = 'start'") for line in found.unsure)


def test_two_columns_of_one_direction_are_no_registers_unless_they_say_so(tmp_path: Path) -> None:
    lines = [f"2024-05-06 {h:02}:00;0.3;0.2" for h in range(24)]
    found, home = read(tmp_path, "\n".join(["time;Verbrauch kWh;Netzbezug kWh", *lines]))
    assert [feed.name for feed in home.feeds] == ["grid_import"]
    assert home.energy_kwh["grid_import"].sum() == pytest.approx(4.8)
    assert "not used: 'Verbrauch kWh'" in found.unsure
    _, home = read(tmp_path, "\n".join(["time;Bezug HT kWh;Bezug NT kWh", *lines]))
    assert len(home.feeds) == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no header above rows"),
        ("a;b\n1;2\n3;4\n", "no column of times"),
        ("time;note\n2024-05-06 00:00;x\n2024-05-06 01:00;y\n", "no header above rows"),
    ],
)
def test_what_is_no_meter_is_said(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        read(tmp_path, text)


def test_zones_of_countries() -> None:
    assert zone_of("de") == "Europe/Berlin"
    assert zone_of("AU") is None


def test_a_machine_that_runs_now_and_then_is_no_daily_count(tmp_path: Path) -> None:
    """Minutes of which one in a hundred holds a pulse fall far more often than once a day."""
    stamps = pd.date_range("2024-03-01", periods=3 * 1440, freq="min")
    pulses = [0.1 if i % 97 == 5 else 0.0 for i in range(len(stamps))]
    daily = [(i % 1440) * 0.001 for i in range(len(stamps))]
    rows = (
        f"{t:%Y-%m-%d %H:%M},0.01,{pulse},0.0,{count:.3f}\n"
        for t, pulse, count in zip(stamps, pulses, daily, strict=True)
    )
    found, _ = read(
        tmp_path, "time,import kWh,dishwasher kWh,export kWh,PV generation kWh\n" + "".join(rows)
    )
    (file,) = tomllib.loads(found.toml)["file"]
    assert [feed["kind"] for feed in file["feed"]] == ["interval"] * 3 + ["daily"]
