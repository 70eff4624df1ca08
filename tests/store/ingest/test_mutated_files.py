"""Files that something happened to: never a traceback, never another total in silence."""

from __future__ import annotations

import os
import random
from pathlib import Path

import numpy as np
import pytest

from ems.errors import EmsError
from ems.store.ingest.meter import read_meter
from ems.store.quality import judge

N_FILES = int(os.environ.get("EMS_FUZZ", "300"))
"""How many mutated files a run tries; 10,000 were tried when this was written."""
CONFIG = """
building = "home"
kind = "residential"
timezone = "Europe/Berlin"
step_minutes = 60
[place]
name = "Hamburg"
latitude_deg = 53.55
longitude_deg = 9.99
country = "DE"
[[file]]
paths = ["meter.csv"]
separator = ";"
decimal = ","
timestamp_column = "time"
timestamp_format = "%d.%m.%Y %H:%M"
timestamp_zone = "Europe/Berlin"
label = "{label}"
[[file.feed]]
column = "import"
name = "grid_import"
role = "import"
kind = "{kind}"
unit = "kWh"
[[file.feed]]
column = "other"
name = "other"
role = "load"
category = "fixed"
kind = "interval"
unit = "kWh"
"""
DRAWN = np.random.default_rng(5).uniform(0.2, 0.9, 240).round(3)
JUNK = [b";", b",", b'"', b"\n", b"\r", b"\t", b" ", b"\0", b"\xff", b"-", b".", b"'", b"#", b"e"]


def written(kind: str) -> list[bytes]:
    """A file of ten days: time, import and another column."""
    shown = DRAWN if kind == "interval" else 1000 + np.cumsum(DRAWN)
    hours = [(1 + i // 24, i % 24) for i in range(240)]
    return [b"time;import;other"] + [
        f"{day:02}.05.2024 {hour:02}:00;{f'{v:.3f}'.replace('.', ',')};0,1".encode()
        for (day, hour), v in zip(hours, shown, strict=True)
    ]


def mutated(lines: list[bytes], draw: random.Random) -> bytes:
    """One accident that happens to files: in a row, or in the whole."""
    lines = list(lines)
    at = draw.randrange(len(lines))
    line = lines[at]
    way = draw.randrange(9)
    if way == 0:
        del lines[at]
    elif way == 1:
        lines.insert(at, line)
    elif way == 2:
        other = draw.randrange(len(lines))
        lines[at], lines[other] = lines[other], line
    elif way == 3:
        lines[at] = line[: draw.randrange(len(line) + 1)]
    elif way == 4:
        place = draw.randrange(len(line) + 1)
        lines[at] = line[:place] + draw.choice(JUNK) + line[place:]
    elif way == 5:
        place = draw.randrange(len(line))
        if line[place : place + 1].isdigit():
            return b"\n".join(lines)  # another digit is another number, which nobody can see
        lines[at] = line[:place] + line[place + 1 :]
    elif way == 6:
        lines[at] = line.replace(b";", b";;", 1)
    elif way == 7:
        lines[at] = b";".join(line.split(b";")[::-1])
    else:
        return b"\n".join(lines)[: draw.randrange(2000)]
    return b"\n".join(lines)


@pytest.mark.parametrize("kind", ["interval", "cumulative"])
def test_no_traceback_and_no_other_total_in_silence(tmp_path: Path, kind: str) -> None:
    label = "start" if kind == "interval" else "end"
    (tmp_path / "meter.toml").write_text(CONFIG.format(kind=kind, label=label))
    whole = written(kind)
    (tmp_path / "meter.csv").write_bytes(b"\n".join(whole))
    home = read_meter(tmp_path / "meter.toml").buildings[0]
    total = float(np.nansum(home.energy_kwh["grid_import"]))
    gaps = int(np.isnan(home.energy_kwh["grid_import"]).sum())
    draw, silent = random.Random(11), []
    for _ in range(N_FILES):
        raw = mutated(whole, draw)
        (tmp_path / "meter.csv").write_bytes(raw)
        try:
            dataset = read_meter(tmp_path / "meter.toml")
        except EmsError:
            continue
        found = dataset.buildings[0].energy_kwh["grid_import"]
        said = dataset.remarks or np.isnan(found).sum() > gaps or len(found) < len(DRAWN)
        said = said or any(f.feed == "grid_import" for f in judge(dataset.buildings[0]).findings)
        if not said and abs(np.nansum(found) - total) > 1e-3 * total:
            silent.append(raw)
    assert not silent, silent[0]
