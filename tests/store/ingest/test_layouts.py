"""The known layouts: each is valid, has a source, and recognises the header of its portal."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from ems.store.ingest import layouts
from ems.store.ingest.layouts import LOCAL_TIME, Layout, known_layouts, layout_of
from ems.store.ingest.meter.description import STAMPS_CARRY_OFFSET

FOLDER = Path(layouts.__file__).parent


@pytest.mark.smoke
def test_every_layout_is_valid_and_says_its_source() -> None:
    assert len(known_layouts()) >= 26
    assert len({layout.name for layout in known_layouts()}) == len(known_layouts())
    for path in FOLDER.glob("*.toml"):
        assert path.read_text("utf-8").startswith("# Source: "), path.name


@pytest.mark.parametrize("layout", known_layouts(), ids=lambda layout: layout.name)
def test_zones_and_formats_exist(layout: Layout) -> None:
    if layout.timestamp_zone not in (LOCAL_TIME, STAMPS_CARRY_OFFSET):
        assert ZoneInfo(layout.timestamp_zone)
    if layout.timestamp_format != "ISO8601":
        when = datetime(2024, 6, 30, 13, 45, tzinfo=ZoneInfo("UTC"))
        text = when.strftime(layout.timestamp_format)
        assert datetime.strptime(text, layout.timestamp_format).replace(tzinfo=when.tzinfo) == when
    assert layout.separator != layout.decimal


@pytest.mark.parametrize(
    ("header", "name", "roles"),
    [
        ("Messzeitpunkt;Verbrauch (kWh);Qualität", "Netz NÖ, consumption", ["import"]),
        (
            "Datum;Zeit von;Zeit bis;AT001 - Verbrauch [kWh]",
            "Wiener Netze, consumption",
            ["import"],
        ),
        ("Datum von;Datum bis;Energiemenge in kWh;Ersatzwert", "Linz Netz", ["import"]),
        ("Datum;Zeit;kWh;Status", "Kärnten Netz", ["import"]),
        ("Datum;kWh;kW;Status", "Netz Oberösterreich", ["import"]),
        ("Horodate;Valeur", "Enedis Linky, courbe de charge", ["import"]),
        (" Consumption (kwh); Start; End", "Octopus Energy, half-hours", ["import"]),
        (
            "time;Import T1 kWh;Import T2 kWh;Export T1 kWh;Export T2 kWh;L1 max W",
            "HomeWizard P1",
            ["import", "import", "export", "export"],
        ),
        (
            "Meter Number;Date;Start Time;Duration;Consumption;Generation;Net",
            "SDG&E",
            ["import", "export"],
        ),
        ("time;E1 kWh;B1 kWh", "NEM12", ["import", "export"]),
        ("time;delivered kWh", "Green Button XML", ["import"]),
        (
            "time;grid_consumption sensor.a kWh;battery_in sensor.b kWh",
            "Home Assistant, energy dashboard",
            ["import", "charge"],
        ),
    ],
)
def test_a_header_finds_its_layout(header: str, name: str, roles: list[str]) -> None:
    layout = layout_of(header.split(";"))
    assert layout is not None
    assert layout.name == name
    assert [feed.role for feed in layout.columns(header.split(";")).values()] == roles


def test_an_unknown_header_fits_none() -> None:
    assert layout_of(["time", "import"]) is None
    assert layout_of(["Verbrauch (kWh)"]) is None
    assert layout_of(["Datum", "kWh"]) is None  # any portal may write these
