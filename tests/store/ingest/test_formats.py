"""Files that are no CSV: told by their first bytes, read to the watt-hour, or refused in a line."""

from __future__ import annotations

import datetime as dt
import io
import random
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pytest

from ems.errors import DataError
from ems.store.ingest.containers import files_in
from ems.store.ingest.formats import as_text, kind_of

HOURS = pd.date_range("2024-05-06", periods=48, freq="h")
KWH = np.random.default_rng(3).uniform(0.1, 2.0, 48).round(3)


def excel() -> bytes:
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.append(["Zählpunkt AT00"])
    sheet.append(["time", "import kWh"])
    for t, v in zip(HOURS, KWH, strict=True):
        sheet.append([t.to_pydatetime(), float(v)])
    written = io.BytesIO()
    book.save(written)
    return written.getvalue()


def parquet() -> bytes:
    return pd.DataFrame({"time": HOURS, "import kWh": KWH}).to_parquet(index=False)


def json_lines() -> bytes:
    frame = pd.DataFrame({"time": HOURS.astype(str), "import kWh": KWH})
    return frame.to_json(orient="records", lines=True).encode()


def nem12() -> bytes:
    lines = ["100,NEM12,202405080000,X,Y", "200,NMI1,E1,E1,E1,N1,METER,kWh,30,"]
    for day in range(2):
        halves = np.repeat(KWH[24 * day : 24 * day + 24] / 2, 2)
        values = ",".join(f"{v:.6f}" for v in halves)
        lines.append(f"300,2024050{6 + day},{values},A,,,20240508000000,")
    return "\r\n".join([*lines, "900", ""]).encode()


def green_button() -> bytes:
    readings = "".join(
        "<IntervalReading><timePeriod><duration>3600</duration>"
        f"<start>{int(t.timestamp())}</start></timePeriod><value>{round(1000 * v)}</value>"
        "</IntervalReading>"
        for t, v in zip(HOURS, KWH, strict=True)
    )
    return (
        '<?xml version="1.0"?><feed xmlns="http://www.w3.org/2005/Atom"><entry><content>'
        '<ReadingType xmlns="http://naesb.org/espi"><flowDirection>1</flowDirection>'
        "<powerOfTenMultiplier>0</powerOfTenMultiplier><uom>72</uom></ReadingType></content></entry>"
        '<entry><content><IntervalBlock xmlns="http://naesb.org/espi">'
        f"{readings}</IntervalBlock></content></entry></feed>"
    ).encode()


@pytest.fixture
def home_assistant(tmp_path: Path) -> bytes:
    file = tmp_path / "home-assistant_v2.db"
    con = sqlite3.connect(file)
    con.execute("CREATE TABLE statistics_meta (id, statistic_id, unit_of_measurement)")
    con.execute("CREATE TABLE statistics (metadata_id, start_ts, sum)")
    con.execute(
        "INSERT INTO statistics_meta VALUES (1, 'sensor.grid', 'kWh'), (2, 'sensor.t', '°C')"
    )
    counts = np.cumsum(KWH)
    for t, v in zip(HOURS, counts, strict=True):
        con.execute("INSERT INTO statistics VALUES (1, ?, ?)", (t.timestamp(), float(v)))
    con.commit()
    con.close()
    return file.read_bytes()


MADE: dict[str, Callable[[], bytes]] = {
    "Excel": excel,
    "Parquet": parquet,
    "JSON lines": json_lines,
    "NEM12": nem12,
    "Green Button": green_button,
}


def table(raw: bytes) -> pd.DataFrame:
    text = as_text(raw, "file").text
    start = text.index("time")
    return pd.read_csv(io.StringIO(text[start:]))


@pytest.mark.parametrize("name", MADE)
def test_it_is_known_by_its_bytes_and_read_to_the_watt_hour(name: str) -> None:
    raw = MADE[name]()
    kind = kind_of(raw)
    assert kind is not None
    assert kind.name == name
    found = table(raw)
    values = found.iloc[:, 1].to_numpy(float)
    if name == "NEM12":
        values = values.reshape(-1, 2).sum(axis=1)
        assert found["time"].iloc[0] == "2024-05-06T00:00:00+10:00"
        assert found.columns[1] == "E1 kWh"
    if name == "Green Button":
        assert found.columns[1] == "delivered kWh"
    np.testing.assert_allclose(values, KWH, atol=1e-6)


def test_home_assistants_counts_are_those_at_the_end_of_the_hour(home_assistant: bytes) -> None:
    found = table(home_assistant)
    assert found.columns.tolist() == ["time", "sensor.grid kWh"]
    assert found["time"].iloc[0] == "2024-05-06T01:00:00Z"
    np.testing.assert_allclose(np.diff(found["sensor.grid kWh"]), KWH[1:], atol=1e-9)


@pytest.mark.parametrize("name", [*MADE, "database"])
def test_damaged_files_are_one_line_or_less_than_they_were(
    name: str, home_assistant: bytes
) -> None:
    """Cut, flipped and doubled bytes: never a traceback."""
    whole = home_assistant if name == "database" else MADE[name]()
    draw = random.Random(1)
    refused: list[str] = []
    for _ in range(60):
        raw = bytearray(whole)
        way = draw.randrange(3)
        if way == 0:
            del raw[draw.randrange(20, len(raw)) :]
        else:
            for _ in range(draw.randrange(1, 40)):
                raw[draw.randrange(8, len(raw))] = draw.randrange(256)
        try:
            as_text(bytes(raw), "file")
        except DataError as error:
            refused.append(str(error))
    assert refused
    assert not any("\n" in line for line in refused)


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "declares entities"),
        (b"<?xml version='1.0'?>" + b"<a>" * 100_000, "is no Green Button"),
        (b'{"a": ' + b"[" * 100_000, "is no JSON lines"),
        (b"[1]", ""),
        (b"200,NMI,E1,E1,E1,N1,M,kWh,30,\n300,20240506,1,2,A", "has not 48 intervals"),
        (b"200,NMI,E1,E1,E1,N1,M,kWh,7,\n", "intervals of 7 minutes"),
        (b"PAR1" + b"\0" * 100, "is no Parquet"),
        (b"SQLite format 3\0" + b"\0" * 200, "is no database of Home Assistant"),
    ],
)
def test_what_is_none_of_it_is_said(raw: bytes, said: str) -> None:
    if not said:
        assert as_text(raw, "file").text == raw.decode()
        return
    with pytest.raises(DataError, match=said):
        as_text(raw, "file")


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"PK\x03\x04" + b"\0" * 40, "is damaged or encrypted"),
        (b"\x1f\x8b" + b"\0" * 40, "is damaged or encrypted"),
        (b"\xfd7zXZ\x00" + b"\0" * 40, "is damaged or encrypted"),
        (b"\x28\xb5\x2f\xfd" + b"\0" * 40, "packed with Zstandard"),
        (b"\0" * 257 + b"ustar" + b"\0" * 300, "ends in the middle|holds no file"),
    ],
)
def test_archives_that_are_none(tmp_path: Path, raw: bytes, said: str) -> None:
    (tmp_path / "x").write_bytes(raw)
    with pytest.raises(DataError, match=said) as caught:
        files_in(tmp_path / "x")
    assert "\n" not in str(caught.value)


# --- Excel ---------------------------------------------------------------------------------------


def test_excel_keeps_days_and_times_of_day_apart() -> None:
    book = openpyxl.Workbook()
    book.active.append(["Datum", "Zeit", "kWh"])
    for hour in range(1, 25):
        clock = dt.timedelta(days=1) if hour == 24 else dt.time(hour)
        book.active.append([dt.datetime(2024, 5, 6), clock, 0.5])
    written = io.BytesIO()
    book.save(written)
    lines = as_text(written.getvalue(), "file").text.splitlines()
    assert lines[1] == "2024-05-06,01:00:00,0.5"
    assert lines[24] == "2024-05-06,24:00:00,0.5"


def test_excel_times_do_not_move_on_a_computer_whose_clock_goes_forward(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    book = openpyxl.Workbook()
    book.active.append(["time", "kWh"])
    book.active.append([dt.datetime(2024, 3, 31, 2, 30), 0.5])
    written = io.BytesIO()
    book.save(written)
    assert "2024-03-31T02:30:00,0.5" in as_text(written.getvalue(), "file").text
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 100, "an Excel file of before 2007"),
        (b"%PDF-1.4", "a PDF"),
        (b"<!DOCTYPE HTML><html>", "a web page"),
    ],
)
def test_what_is_not_read_is_named(raw: bytes, said: str) -> None:
    with pytest.raises(DataError, match=f"file: is {said}.*; save it as CSV or .xlsx"):
        as_text(raw, "file")


# --- JSON ----------------------------------------------------------------------------------------


def test_a_list_of_json_objects_is_read_and_numbers_stay_as_written() -> None:
    raw = b'[{"time": "2024-05-06T00:00Z", "kWh": 0.10}, {"time": "2024-05-06T01:00Z"}]'
    assert as_text(raw, "file").text == "time,kWh\n2024-05-06T00:00Z,0.10\n2024-05-06T01:00Z,\n"
    with pytest.raises(DataError, match="a key stands there twice"):
        as_text(b'{"time": 1, "kWh": 1, "kWh": 2}', "file")


# --- NEM12 ---------------------------------------------------------------------------------------


def channel(suffix: str = "E1", unit: str = "KWH", nmi: str = "NMI1") -> str:
    return f"200,{nmi},E1B1,1,{suffix},N1,METER,{unit},30,20240301\n"


def day(first: int = 0, date: str = "20240101", quality: str = "A", updated: str = "1") -> str:
    values = ",".join(f"{i}.5" for i in range(first, first + 48))
    return f"300,{date},{values},{quality},,,{updated},{updated}\n"


def nem12_table(*records: str) -> pd.DataFrame:
    raw = ("100,NEM12,202401020000,A,B\n" + "".join(records) + "900\n").encode()
    return pd.read_csv(io.StringIO(as_text(raw, "file").text))


def test_units_of_nem12_are_understood_in_upper_case() -> None:
    found = nem12_table(channel(), day(), channel("B1", "WH"), day(), channel("E2", "MWH"), day())
    assert found.columns.tolist() == ["time", "E1 kWh", "B1 Wh", "E2 MWh"]


def test_two_meters_with_one_channel_are_refused_by_their_names() -> None:
    with pytest.raises(DataError, match=r"NMI1 and NMI2 both have a channel 'E1'; split"):
        nem12_table(channel(), day(), channel(nmi="NMI2"), day())
    with pytest.raises(DataError, match="both have a channel"):
        nem12_table(channel(), day(), channel(unit="WH", nmi="NMI2"), day())
    found = nem12_table(channel(), day(), channel("B1", nmi="NMI2"), day(100))
    assert found.iloc[0].tolist()[1:] == [0.5, 100.5]


def test_quality_n_is_no_value_for_a_day_or_a_part_of_it() -> None:
    parts = "400,1,20,A,,\n400,21,24,N,,\n400,25,48,F52,71,\n"
    found = nem12_table(channel(), day(quality="V"), parts, day(date="20240102", quality="N"))
    values = found["E1 kWh"].to_numpy()
    assert np.flatnonzero(np.isnan(values)).tolist() == [20, 21, 22, 23, *range(48, 96)]
    with pytest.raises(DataError, match="a 400 record of the intervals 0 to 48"):
        nem12_table(channel(), day(quality="V"), "400,0,48,N,,\n")


def test_of_a_day_that_is_there_twice_the_later_update_counts() -> None:
    early, late = day(0, updated="20240102"), day(50, updated="20240105")
    for pair in ((early, late), (late, early), (early, late, late)):
        assert nem12_table(channel(), *pair)["E1 kWh"].iloc[0] == 50.5
    with pytest.raises(DataError, match="channel 'E1 kWh' has the day 20240101 twice"):
        nem12_table(channel(), day(0), day(50))


# --- Green Button --------------------------------------------------------------------------------

START_S = 1_704_096_000  # 2024-01-01T08:00Z


def entry(own: str, up: str, related: list[str], content: str) -> str:
    links = f'<link rel="self" href="{own}"/><link rel="up" href="{up}"/>'
    links += "".join(f'<link rel="related" href="{href}"/>' for href in related)
    return f"<entry>{links}<content>{content}</content></entry>"


def kind(number: int, flow: int = 1, uom: int = 72, behaviour: int = 4, ten: int = 0) -> str:
    content = (
        f'<ReadingType xmlns="http://naesb.org/espi"><powerOfTenMultiplier>{ten}'
        f"</powerOfTenMultiplier><uom>{uom}</uom><flowDirection>{flow}</flowDirection>"
        f"<accumulationBehaviour>{behaviour}</accumulationBehaviour></ReadingType>"
    )
    return entry(f"/espi/ReadingType/{number}", "/espi/ReadingType", [], content)


def reading(number: int, values: list[int], start_s: int = START_S, step_s: int = 3600) -> str:
    """A meter reading of the type of its number, and its block."""
    own = f"/espi/UsagePoint/1/MeterReading/{number}"
    links = [f"/espi/ReadingType/{number}", f"{own}/IntervalBlock"]
    meter = entry(own, "", links, '<MeterReading xmlns="http://naesb.org/espi"/>')
    rows = "".join(
        f"<IntervalReading><timePeriod><duration>{step_s}</duration>"
        f"<start>{start_s + i * step_s}</start></timePeriod>"
        f"<value>{value}</value></IntervalReading>"
        for i, value in enumerate(values)
    )
    block = f'<IntervalBlock xmlns="http://naesb.org/espi">{rows}</IntervalBlock>'
    return meter + entry(f"{own}/IntervalBlock/1", f"{own}/IntervalBlock", [], block)


def feed(*parts: str) -> bytes:
    inner = "".join(parts)
    return f'<?xml version="1.0"?><feed xmlns="http://www.w3.org/2005/Atom">{inner}</feed>'.encode()


def test_links_say_which_readings_are_delivered_and_which_received() -> None:
    """All types stand above all readings, as many utilities write it."""
    raw = feed(kind(1), kind(2, flow=19, ten=3), reading(2, [0, 2]), reading(1, [1250, 7]))
    found = table(raw).set_index("time")
    assert found["delivered kWh"].tolist() == [1.25, 0.007]
    assert found["received kWh"].tolist() == [0.0, 2.0]
    assert found.index.tolist() == ["2024-01-01T08:00:00Z", "2024-01-01T09:00:00Z"]


def test_a_repeated_interval_counts_once_or_is_refused() -> None:
    assert table(feed(kind(1), reading(1, [5]), reading(1, [5])))["delivered kWh"].sum() == 0.005
    with pytest.raises(DataError, match=r"is 0.005 and 0.006 in the interval from 2024-01-01T08"):
        as_text(feed(kind(1), reading(1, [5]), reading(1, [6])), "file")


def test_sums_of_more_than_a_day_counts_and_gas_are_left_out_and_said() -> None:
    kinds = kind(1) + kind(2, uom=169) + kind(3, behaviour=9) + kind(4)
    others = reading(2, [5]) + reading(3, [5]) + reading(4, [5_000_000], step_s=30 * 86_400)
    found = as_text(feed(kinds, reading(1, [5]), others), "file")
    assert found.text.splitlines()[0] == "time,delivered kWh"
    assert found.remarks == (
        "file: readings of unit (uom) 169 left out",
        "file: readings of a count left out",
        "file: sums of more than a day left out",
    )
    with pytest.raises(DataError, match="no intervals of electricity; found readings of unit"):
        as_text(feed(kinds, others), "file")


def test_a_second_meter_of_one_direction_has_a_column_of_its_own() -> None:
    found = table(feed(kind(1), kind(2), reading(1, [5]), reading(2, [6])))
    assert found.columns.tolist() == ["time", "delivered kWh", "delivered 2 kWh"]


# --- Home Assistant's CSV files ------------------------------------------------------------------


def test_the_energy_dashboard_of_home_assistant() -> None:
    raw = (
        b"entity_id,type,unit,2024-05-06T00:00:00+02:00,2024-05-06T01:00:00+02:00\n"
        b"sensor.grid,grid_consumption,kWh,0.5,0.25\n"
        b"sensor.cost,grid_consumption_cost,EUR,1,2\n"
        b"sensor.out,grid_return,kWh,0,\n"
    )
    assert as_text(raw, "file").text.splitlines() == [
        "time,grid_consumption sensor.grid kWh,grid_return sensor.out kWh",
        "2024-05-05T22:00:00Z,0.5,0",
        "2024-05-05T23:00:00Z,0.25,",
    ]


def test_statistics_of_home_assistant_are_counts_at_the_end_of_the_hour() -> None:
    raw = (
        b"statistic_id,unit,start,sum\n"
        b"sensor.grid,kWh,1714946400,10.5\nsensor.t,\xc2\xb0C,1714946400,9\n"
        b"sensor.grid,kWh,1714950000,11.5\n"
    )
    assert as_text(raw, "file").text.splitlines() == [
        "time,sensor.grid kWh",
        "2024-05-05T23:00:00Z,10.5",
        "2024-05-06T00:00:00Z,11.5",
    ]


def test_the_history_of_home_assistant_is_held_until_it_changes() -> None:
    raw = (
        b"entity_id,state,last_changed\n"
        b"sensor.grid,10,2024-05-06T00:10:00Z\nsensor.grid,12,2024-05-06T01:30:00Z\n"
        b"sensor.grid,unavailable,2024-05-06T02:20:00Z\nsensor.grid,13,2024-05-06T03:05:00Z\n"
        b"sensor.door,on,2024-05-06T00:10:00Z\nsensor.door,off,2024-05-06T05:10:00Z\n"
    )
    assert as_text(raw, "file").text.splitlines() == [
        "time,sensor.grid",
        "2024-05-06T01:00:00Z,10",
        "2024-05-06T02:00:00Z,12",
        "2024-05-06T03:00:00Z,",
    ]


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"entity_id,state,last_changed\na,1\n", "row 2 has 2 fields, the header has 3"),
        (b"entity_id,state,last_changed\na,1,2024-05-06 00:00\n", "has no offset from UTC"),
        (
            b"entity_id,state,last_changed\na,1,1980-01-01T00:00Z\na,2,2024-01-01T00:00Z\n",
            "spans more than 20 years",
        ),
        (b"entity_id,type,unit,2024-05-06T00:00Z\na,cost,EUR,1\n", "no statistics of energies"),
        (b"statistic_id,when\na,1\n", "no column start or start_ts"),
    ],
)
def test_exports_of_home_assistant_that_do_not_fit(raw: bytes, said: str) -> None:
    with pytest.raises(DataError, match=said):
        as_text(raw, "file")
