"""Files of known portals, guessed and read: the description is that of the portal, and says so."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pytest

from ems.errors import DataError
from ems.store.ingest.dataset import BuildingData
from ems.store.ingest.layouts import Layout, known_layouts
from ems.store.ingest.meter import read_meter
from ems.store.ingest.meter.guess import Guess, guess
from ems.store.ingest.meter.guess_time import Known

VIENNA = 'name = "Wien"\nlatitude_deg = 48.2\nlongitude_deg = 16.4\ncountry = "AT"'
HOUSE = Known(building="home", place_toml=VIENNA, timezone="Europe/Vienna")


def read(folder: Path, text: str, known: Known = HOUSE) -> tuple[Guess, BuildingData]:
    (folder / "meter.csv").write_text(text, encoding="utf-8")
    found = guess([folder / "meter.csv"], known)
    (folder / "meter.toml").write_text(found.toml, encoding="utf-8")
    return found, read_meter(folder / "meter.toml").buildings[0]


def test_the_portal_decides_what_no_file_shows(tmp_path: Path) -> None:
    """Netz NÖ labels the ends of quarters; a file without a name for it would be read by starts."""
    lines = [
        f"06.05.2024 {i // 4:02}:{15 * (i % 4):02};0,{i % 7:03};gemessen" for i in range(1, 96)
    ]
    head = "Messzeitpunkt;Verbrauch (kWh);Qualität"
    found, home = read(tmp_path, "\n".join(["Zählpunkt;AT00", "", head, *lines]))
    assert found.toml.startswith("# The layout of Netz NÖ, consumption, which is known.\n")
    assert 'label = "end"' in found.toml
    assert found.unsure == ()
    assert home.ts_utc[0] == np.datetime64("2024-05-05T22:00")
    np.testing.assert_allclose(home.energy_kwh["grid_import"], np.arange(1, 96) % 7 / 1000)
    other, _ = read(tmp_path, "\n".join(["Messung;Verbrauch (kWh);Qualität", *lines]))
    assert "# The layout" not in other.toml
    assert 'label = "start"' in other.toml


def test_registers_of_a_portal_and_its_other_columns(tmp_path: Path) -> None:
    head = "time,Import T1 kWh,Import T2 kWh,Export T1 kWh,Export T2 kWh,L1 max W"
    lines = [f"2024-05-06 {h:02}:00,{100 + h},{200 + h / 2},{h},7,900" for h in range(24)]
    found, home = read(tmp_path, "\n".join([head, *lines]))
    assert [(feed.name, feed.role) for feed in home.feeds] == [
        ("grid_import", "import"),
        ("grid_import_2", "import"),
        ("grid_export", "export"),
        ("grid_export_2", "export"),
    ]
    assert found.unsure == (
        "not used: 'L1 max W'",
        "timestamp_zone = 'Europe/Amsterdam' is that of HomeWizard P1, not of the house",
    )
    assert np.nansum(home.energy_kwh["grid_import_2"]) == pytest.approx(11.5)


def test_the_days_of_a_portal_may_be_written_in_another_form(tmp_path: Path) -> None:
    """Some downloads of PG&E write 1/15/2026; the zone is that of the house."""
    above = "Name,NAME\nAddress,ADDRESS\n\n"
    head = "TYPE,DATE,START TIME,END TIME,USAGE (kWh),COST,NOTES"
    rows = [f"Electric usage,1/15/2026,{h:02}:00,{h:02}:59,0.30,$0.09," for h in range(24)]
    found, home = read(tmp_path, above + "\n".join([head, *rows]))
    assert "# The layout of PG&E and others with Opower, without PV" in found.toml
    assert 'timestamp_format = "%m/%d/%Y %H:%M"' in found.toml
    assert 'timestamp_zone = "Europe/Vienna"' in found.toml
    np.testing.assert_allclose(home.energy_kwh["grid_import"], 0.3)


def test_times_of_a_portal_that_are_none_are_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"has the header of Netz NÖ, consumption, but 'Mai 06'"):
        read(tmp_path, "Messzeitpunkt;Verbrauch (kWh)\nMai 06;0,1\nMai 07;0,1\n")


def test_a_portal_saved_again_by_a_program_has_its_signs(tmp_path: Path) -> None:
    lines = [f"06.05.2024 {h:02}:00,0.25" for h in range(1, 24)]
    found, home = read(tmp_path, "\n".join(["Messzeitpunkt,Verbrauch (kWh)", *lines]))
    assert 'separator = ","\ndecimal = "."' in found.toml
    np.testing.assert_allclose(home.energy_kwh["grid_import"], 0.25)


WITHOUT_IMPORT = {"Netz NÖ, feed-in", "Wiener Netze, feed-in"}


@pytest.mark.parametrize("portal", known_layouts(), ids=lambda portal: portal.name)
def test_a_file_of_every_portal_is_read_to_the_watt_hour(tmp_path: Path, portal: Layout) -> None:
    """Two days in May, written as the layout says."""
    zone = portal.timestamp_zone if "/" in portal.timestamp_zone else "Europe/Vienna"
    stamps = pd.date_range("2024-05-06 10:00", periods=40, freq="h", tz=zone)
    columns = [feed.column.replace("*", "AT00 x") for feed in portal.feed]
    head = [portal.timestamp_column, *([portal.time_column] if portal.time_column else [])]
    head += [*columns, *portal.also]
    kwh = np.random.default_rng(2).uniform(0.1, 0.9, (40, len(columns))).round(3)
    lines = []
    for t, row in zip(stamps, kwh.cumsum(axis=0), strict=True):
        iso = t.isoformat() if "offset" in portal.timestamp_zone else f"{t:%Y-%m-%d %H:%M}"
        form = portal.timestamp_format
        text = iso if form == "ISO8601" else f"{t:{form}}"
        times = text.split(" ", 1) if portal.time_column else [text]
        cells = []
        for feed, total, value in zip(portal.feed, row, kwh[len(lines)], strict=True):
            shown = total if feed.kind == "cumulative" else value
            shown = shown * (1000 if feed.unit in ("Wh", "W") else 1)
            cells.append(f"{shown:.3f}".replace(".", portal.decimal))
        lines.append(portal.separator.join([*times, *cells, *("x" for _ in portal.also)]))
    (tmp_path / "meter.csv").write_text(
        "\n".join([portal.separator.join(head), *lines]), encoding="utf-8"
    )
    found = guess([tmp_path / "meter.csv"], HOUSE)
    assert f"# The layout of {portal.name}, which is known." in found.toml
    if portal.name in WITHOUT_IMPORT:
        assert any("no column looks like the import meter" in line for line in found.unsure)
        return
    (tmp_path / "meter.toml").write_text(found.toml, encoding="utf-8")
    home = read_meter(tmp_path / "meter.toml").buildings[0]
    first = stamps[0] - pd.Timedelta(hours=1) if portal.label == "end" else stamps[0]
    assert home.ts_utc[0] == first.tz_convert(None).to_datetime64()
    for i, feed in enumerate(home.feeds):
        known = home.energy_kwh[feed.name]
        ok = np.isfinite(known)
        assert ok.sum() >= 39
        np.testing.assert_allclose(known[ok], kwh[ok, i], atol=1e-6)


def test_a_portal_that_hands_out_excel(tmp_path: Path) -> None:
    """Fronius Solar.web: a row of units below the header, and times that Excel holds as times."""
    book = openpyxl.Workbook()
    book.active.append(["Datum und Uhrzeit", "Energie vom Netz bezogen"])
    book.active.append(["[dd.MM.yyyy HH:mm]", "[Wh]"])
    for hour in range(24):
        book.active.append([dt.datetime(2024, 5, 6, hour), 100 + hour])
    book.save(tmp_path / "meter.xlsx")
    toml = guess([tmp_path / "meter.xlsx"], HOUSE).toml
    assert "# The layout of Fronius Solar.web, which is known." in toml
    assert 'timestamp_format = "ISO8601"' in toml
    (tmp_path / "meter.toml").write_text(toml, encoding="utf-8")
    home = read_meter(tmp_path / "meter.toml").buildings[0]
    np.testing.assert_allclose(home.energy_kwh["grid_import"], (100 + np.arange(24)) / 1000)
