"""Files that are no CSV: told by their first bytes, read to the watt-hour, or refused in a line."""

from __future__ import annotations

import io
import random
import sqlite3
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
    text = as_text(raw, "file")
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
        assert found.columns[1] == "delivered Wh"
        values = values / 1000
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
        assert as_text(raw, "file") == raw.decode()
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
