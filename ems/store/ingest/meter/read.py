"""A user's own meter: files described by a small TOML file (see ``docs/sources.md``).

Whatever the files look like, the result is the energy of every step of one UTC grid. Missing rows
and empty cells are gaps (NaN). Everything else that does not fit (a column, a text, a time stamp, a
meter that runs backwards) is refused with its file, row and column. Rows are counted as in an
editor: the first line is row 1.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

from ems.errors import DataError
from ems.site.meters import load_rule
from ems.store.ingest.containers import files_in
from ems.store.ingest.dataset import BuildingData, Dataset
from ems.store.ingest.formats import as_text
from ems.store.ingest.meter.day_rows import stamped_days
from ems.store.ingest.meter.description import MeterConfig, MeterFile, read_config
from ems.store.ingest.meter.energy import Grid, Pieces, energy_kwh, pieces
from ems.store.ingest.meter.stamps import joined, stamped
from ems.store.ingest.opsd import no_prices, no_weather, read_prices
from ems.store.ingest.text_table import LONGEST_SHOWN, text_table
from ems.store.plausible import doubts


def read_meter(config: Path) -> Dataset:
    """One building from a user's own files; without weather, and without prices if none are given.

    Raises a one-line ``DataError`` with file, row and column for anything that does not fit the
    description in ``config``, and for an invalid ``config``.
    """
    spec = read_config(config)
    folder = config.parent
    files = [_read_file(file, folder, spec.step_minutes) for file in spec.file]
    grid = Grid.over(files, spec.timezone, spec.step_minutes)
    remarks = [text for found in files for text in (*found.stamped.remarks, *found.remarks)]
    energy = {}
    for found, file in zip(files, spec.file, strict=True):
        for entry in file.feed:
            energy[entry.name], said = energy_kwh(found, file, entry, grid, spec.timezone)
            remarks += said
    building = BuildingData(
        building=spec.building,
        kind=spec.kind,
        place=spec.place.place(),
        timezone=spec.timezone,
        step_h=spec.step_minutes / 60.0,
        ts_utc=grid.ts_utc,
        feeds=spec.feeds,
        energy_kwh=energy,
        load_rule=load_rule(spec.feeds),
    )
    return Dataset(
        buildings=(building,),
        prices=read_prices(folder / spec.prices) if spec.prices else no_prices(),
        weather=no_weather(),
        meta=_meta(config, spec),
        remarks=(*remarks, *doubts(building)),
    )


def _read_file(file: MeterFile, folder: Path, step_min: int) -> Pieces:
    columns = [entry.column for entry in file.feed]
    more = (file.time_column, file.register_column)
    wanted = [file.timestamp_column, *(name for name in more if name)]
    if file.row == "interval":
        wanted += columns
    parts = []
    for name, raw in (found for path in paths_of(file, folder) for found in files_in(path)):
        read = as_text(raw, f"meter: {name}")
        rows = text_table(
            read.text,
            f"meter: {name}",
            file.separator,
            list(dict.fromkeys(wanted)),
            key=file.timestamp_column,
        )
        rows = replace(rows, remarks=(*read.remarks, *rows.remarks))
        of_days = file.row == "day"
        parts.append(stamped_days(rows, file) if of_days else stamped(rows, file, 60 * step_min))
    return pieces(joined(parts, columns), file, step_min)


def paths_of(file: MeterFile, folder: Path) -> list[Path]:
    """The files of one layout; a pattern stands for all that match, in order of their names.

    Raises ``DataError`` for a name or pattern without a file.
    """
    found: list[Path] = []
    for name in file.paths:
        try:
            path = (folder / name).expanduser()
            matches = [path] if path.is_file() else sorted(_matches(folder, name))
        except (OSError, ValueError, RuntimeError, NotImplementedError) as error:
            raise DataError(f"meter: {name[:LONGEST_SHOWN]!r} is no path ({error})") from error
        if not matches:
            raise DataError(f"meter: no file at {path}; check 'paths' in the configuration")
        found += matches
    return list(dict.fromkeys(found))


def _matches(folder: Path, name: str) -> list[Path]:
    if not any(sign in name for sign in "*?["):
        return []
    pattern = Path(name).expanduser()
    base = Path(pattern.anchor) if pattern.is_absolute() else folder
    return [p for p in base.glob(str(pattern.relative_to(pattern.anchor))) if p.is_file()]


def _meta(config: Path, spec: MeterConfig) -> dict[str, str]:
    digest = hashlib.sha256(config.read_bytes())
    for file in spec.file:
        for path in paths_of(file, config.parent):
            digest.update(path.read_bytes())
    return {
        "source": f"own meter, described by {config.name}",
        "licence": "the owner's own data",
        "synthetic": "true" if spec.synthetic else "false",
        "sha256": digest.hexdigest(),
    }
