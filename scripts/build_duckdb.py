"""Build the measurements database from the synthetic twin, the OPSD data, or your own meter."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from command_line import (
    DEFAULT_CACHE,
    DEFAULT_DB,
    PathName,
    Unnamed,
    Whole,
    answer,
    as_path,
    can_ask,
    command,
    option,
    parsed,
    value,
    with_answer,
)
from console import console, counted, doing, download_bar, run

from ems.errors import InvalidSpec
from ems.twin import DEFAULT_SEED

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, tzinfo

    from rich.console import Console
    from rich.table import Table

    from ems.site.meters import Category
    from ems.site.place import Place
    from ems.store.build import BuildReport
    from ems.store.ingest.dataset import Dataset
    from ems.store.ingest.meter.guess import Guess
    from ems.store.ingest.meter.guess_time import Known
    from ems.store.read import PortfolioRow

PRICE_SERVICE = "energy-charts"
WEATHER_SERVICE = "open-meteo"
PRESENT_FORECAST = "open-meteo-now"
NONE = "none"
FEED = "[[file.feed]]"
FEED_ROLES = ("import", "export", "pv", "load", "charge", "discharge")
PLACE_FORM = "NAME,LATITUDE,LONGITUDE,COUNTRY[,SUBDIVISION]"
WHERE = "where does the house stand? No file says it"

FILES = ("FILE", "with --source meter: your meter's files; what they mean is guessed and shown")
NO_IMPORT_METER = "no import meter: its load is unknown"
MAX_FORECAST_AGE_H = 24.0
"""An older forecast does not replace a present one that is unavailable."""
LARGE = 1e9
"""Above any real value in kWh or kW; shown as a power of ten to keep the table's width."""

EPILOG = (
    "Sources, layouts and licences: docs/sources.md. The old database stays in place until the "
    "new one is complete."
)


def place(text: str) -> Place:
    """Parse a place in the form ``PLACE_FORM``."""
    from ems.site.place import Place

    name, latitude, longitude, country, *rest = (part.strip() for part in text.split(","))
    (subdivision,) = rest or [""]
    return Place(
        name=name,
        latitude_deg=float(latitude),
        longitude_deg=float(longitude),
        country=country,
        subdivision=subdivision,
    )


@command
class Options:
    """The command line of this script."""

    source: str = option(
        "twin: the synthetic one; opsd: the official OPSD file, downloaded; a PATH in its layout "
        "(.csv, .csv.gz); meter: your own, described by --config",
        "twin",
    )
    config: PathName | None = option("TOML file, with --source meter", None)
    words: Unnamed = option("", ())
    building: str = option("with --source meter FILE: what the house is called", "home")
    timezone: str | None = option(
        "with --source meter FILE: whose local days are planned, such as Europe/Berlin "
        "[default: that of the country of --place]",
        None,
    )
    day_first: Literal["yes", "no"] | None = option(
        "with --source meter FILE: whether 03/04/2024 is in April [default: as the file shows]",
        None,
    )
    place: Annotated[object, value(place, f"must be {PLACE_FORM}", "PLACE")] = option(
        "with --source PATH or meter FILE: where its buildings stand [degrees north, east] and "
        "whose holidays they keep, such as Berlin,52.52,13.41,DE,BE [default: Konstanz for "
        "DE_KN_…]",
        None,
    )
    prices: str | None = option(
        "day-ahead prices: a CSV file (utc_timestamp, price_eur_per_mwh), "
        f"{PRICE_SERVICE} or {NONE} [default: the service with --source opsd, else {NONE}]",
        None,
    )
    weather: str | None = option(
        "a CSV file (utc_timestamp, temperature_c, ghi_w_per_m2), "
        f"{WEATHER_SERVICE} for the buildings' place or {NONE} "
        f"[default: the service with --source opsd, else {NONE}]",
        None,
    )
    weather_forecast: str | None = option(
        "forecasts of the weather as they were issued: a CSV file (issued_utc, utc_timestamp, "
        f"temperature_c, ghi_w_per_m2), the runs that {WEATHER_SERVICE} keeps since March 2024, "
        f"or {PRESENT_FORECAST} for the one it gives now [default: {NONE}]",
        None,
    )
    db: PathName = option("the database to build", DEFAULT_DB)
    seed: Whole | None = option(f"with --source twin [default: {DEFAULT_SEED}]", None)
    step_minutes: Literal[15, 60] | None = option("with --source twin [default: 60]", None)
    cache: PathName = option("where downloads are kept", DEFAULT_CACHE)
    opsd_url: str | None = option("another address of the OPSD file [default: official]", None)
    prices_url: str | None = option(f"another address of {PRICE_SERVICE} [default: its own]", None)
    weather_url: str | None = option(
        f"another address of {WEATHER_SERVICE} [default: its own]", None
    )
    forecast_url: str | None = option(
        f"another address of {WEATHER_SERVICE}'s forecasts [default: its own]", None
    )


def check(asked: Options) -> None:
    """Refuse options that the chosen source would ignore."""
    twin = asked.source == "twin"
    only_twin = [name for name in ("seed", "step_minutes") if getattr(asked, name) is not None]
    brought = ("prices", "weather", "weather_forecast")
    doubled = [name for name in brought if getattr(asked, name) is not None]
    if asked.source == "meter" and (asked.config is None) == (not asked.words):
        raise InvalidSpec(
            "--source meter needs your FILE, or --config FILE.toml that describes it, see "
            "docs/sources.md"
        )
    if asked.words and asked.source != "meter":
        raise InvalidSpec(f"'{asked.words[0]}': files belong to --source meter FILE")
    if asked.source != "meter" and asked.config is not None:
        raise InvalidSpec("--config belongs to --source meter")
    described = asked.source == "meter" and not asked.words
    if asked.place is not None and (asked.source in ("twin", "opsd") or described):
        raise InvalidSpec("--place belongs to --source PATH; the others say where they are")
    if not twin and only_twin:
        raise InvalidSpec(f"--{only_twin[0]} belongs to --source twin")
    if twin and doubled:
        raise InvalidSpec(f"--{doubled[0]}: the twin brings its own")


def main() -> None:
    """Read the source, build the database, show what is in it."""
    tokens = sys.argv[1:]
    asked = _parsed(tokens)
    check(asked)
    asked = _located(tokens, asked)
    out = console()
    out.print("starting to build a database …")

    from ems.store.build import build_database, require_replaceable

    require_replaceable(asked.db, synthetic=asked.source == "twin")  # before minutes of downloads
    dataset = read_source(asked, out)
    with doing(out, f"building {asked.db}"):
        report = build_database(dataset, asked.db)
    show(out, report, dataset)
    if asked.source == "meter":
        look(out, report)


def _parsed(tokens: Sequence[str]) -> Options:
    return parsed(Options, __doc__, EPILOG, tokens, config=False, words=FILES)


def _located(tokens: Sequence[str], asked: Options) -> Options:
    """With the place and the time zone of a meter's files, asked where no option says them."""
    if not asked.words:
        return asked
    from ems.store.ingest.meter.guess import zone_of

    told = list(tokens)
    if asked.place is None:
        told, asked = with_answer(_parsed, told, "place", f"{WHERE} ({PLACE_FORM})")
    where: Any = asked.place
    zone = asked.timezone or zone_of(where.country)
    if zone is None:
        question = f"which time zone has {where.name}, such as Europe/Berlin?"
        told, asked = with_answer(_parsed, told, "timezone", question)
        zone = asked.timezone
    return replace(asked, timezone=zone)


def look(out: Console, report: BuildReport) -> None:
    """Draw what was read, so that a misreading is seen at once."""
    from contextlib import closing

    from ems.report.figures.first_look import first_look
    from ems.report.figures.page import save
    from ems.store.connection import get_con
    from ems.store.read import read_history

    for row in report.portfolio:
        with closing(get_con(report.path)) as con:
            history = read_history(con, row.building)
        file = report.path.with_name(f"{report.path.stem}_{row.building}.png")
        save(first_look(history), file)
        out.print(f"look at {file}: what was read, hour by hour")
        if not row.plannable_days:
            out.print(
                f"{row.building}: no day can be planned: no local day has every reading it needs; "
                "see 'what is wrong' above",
                style="bold",
            )


def read_source(asked: Options, out: Console) -> Dataset:
    """The meters, prices and weather requested on the command line."""
    if asked.source == "twin":
        return _twin(asked, out)
    dataset = _meters(asked, out)
    official = asked.source == "opsd"
    dataset = _with_prices(
        dataset, asked.prices or (PRICE_SERVICE if official else NONE), asked, out
    )
    dataset = _with_weather(
        dataset, asked.weather or (WEATHER_SERVICE if official else NONE), asked, out
    )
    return _with_forecasts(dataset, asked.weather_forecast or NONE, asked, out)


def _twin(asked: Options, out: Console) -> Dataset:
    seed = DEFAULT_SEED if asked.seed is None else asked.seed
    step_minutes = asked.step_minutes or 60
    with doing(out, f"making the synthetic twin, seed {seed}, {step_minutes}-minute steps"):
        from ems.store.ingest.twin import twin_dataset

        return twin_dataset(seed, step_minutes)


def _meters(asked: Options, out: Console) -> Dataset:
    if asked.source == "meter":
        from ems.store.ingest.meter import read_meter

        config = asked.config or _described(asked, out)
        out.print(f"reading your meter as described in {config} …")
        return read_meter(config)

    from ems.store.ingest.opsd import read_opsd

    source = _official_file(asked, out) if asked.source == "opsd" else as_path(asked.source)
    out.print(f"reading {source} …")
    return read_opsd(source, place=asked.place)


def _described(asked: Options, out: Console) -> Path:
    """The description of the files, guessed, shown and written beside the database."""
    from ems.store.ingest.meter.guess_time import Known

    where: Any = asked.place
    zone: Any = asked.timezone  # known since the command line was read
    place_toml = "\n".join(
        f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in vars(where).items()
    )
    files = [as_path(word) for word in asked.words]
    known = Known(
        building=asked.building,
        place_toml=place_toml,
        timezone=zone,
        day_first=None if asked.day_first is None else asked.day_first == "yes",
    )
    found = _guessed(files, known)
    config = asked.db.with_suffix(".toml")
    text = with_roles(found.toml) if can_ask() else found.toml
    _write_description(text, config)
    out.print(f"what your files seem to mean, written to {config}:\n")
    out.print(text, markup=False, highlight=False)
    for line in found.unsure:
        out.print(f"not sure: {line}", markup=False)
    if found.unsure:
        out.print(f"correct {config} where it is wrong, and read again with --config {config}\n")
    return config


def _guessed(files: Sequence[Path], known: Known) -> Guess:
    """What the files seem to mean; whether days stand before months is asked at a terminal."""
    from ems.store.ingest.meter.guess import guess
    from ems.store.ingest.meter.guess_time import DayOrMonth

    try:
        return guess(files, known)
    except DayOrMonth as error:
        if not can_ask():
            raise
        print(str(error).split(";")[0])
    while (said := answer("does the day stand first? yes or no:")) not in ("yes", "no"):
        print(f"'{said}' is neither yes nor no")
    return guess(files, replace(known, day_first=said == "yes"))


def _write_description(text: str, config: Path) -> None:
    """Write a description beside the database. Raises ``InvalidSpec`` over another one."""
    try:
        if config.exists() and config.read_text(encoding="utf-8") != text:
            raise InvalidSpec(
                f"{config}: holds another description; read with it (--config {config}), or delete "
                "it"
            )
        config.parent.mkdir(parents=True, exist_ok=True)
        config.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InvalidSpec(
            f"{config}: the description cannot be written ({error.strerror}); check --db"
        ) from error


def with_roles(toml: str) -> str:
    """A description with the roles of its columns as answered on the terminal."""
    head, *feeds = toml.split(f"\n{FEED}\n")
    kept = [told for feed in feeds if (told := _with_role(feed)) is not None]
    return "".join([head, *(f"\n{FEED}\n{feed}" for feed in kept)])


def _with_role(feed: str) -> str | None:
    """One column of a description as answered; None where it is not to be read."""
    import tomllib

    guessed = tomllib.loads(feed)
    role = _asked_role(guessed["column"], guessed["role"])
    if role == NONE:
        return None
    if role == guessed["role"]:
        return feed
    told = {
        "role": f'role = "{role}"' + ('\ncategory = "fixed"' if role == "load" else ""),
        "name": f'name = "{_name_as(role, guessed["column"])}"',
    }
    lines = [line for line in feed.split("\n") if not line.startswith("category =")]
    return "\n".join(told.get(line.split(" =")[0], line) for line in lines)


def _asked_role(column: str, guessed: str) -> str:
    known = ", ".join((*FEED_ROLES, NONE))
    while True:
        said = answer(f"column '{column}': {guessed}? Enter for yes, or {known}:") or guessed
        if said in (*FEED_ROLES, NONE):
            return said
        print(f"'{said}' is no role")


def _name_as(role: str, column: str) -> str:
    """The name of a column in the database, unlike that of any other."""
    import re

    own = re.sub(r"[^a-z0-9]+", "_", column.lower()).strip("_")
    return f"{role}_{own}" if own else role


def _official_file(asked: Options, out: Console) -> Path:
    from ems.store.ingest.download import OPSD_SHA256, OPSD_URL, fetch

    url = asked.opsd_url or OPSD_URL
    out.print(f"OPSD household data from {url}, kept in {asked.cache}")
    with download_bar(out, "household data") as progress:
        return fetch(
            url,
            asked.cache / "opsd_household_2020-04-15_60min.csv",
            sha256=OPSD_SHA256,
            remedy="download it by hand and give --source PATH",
            progress=progress,
        )


def _with_prices(dataset: Dataset, chosen: str, asked: Options, out: Console) -> Dataset:
    """The dataset with prices from a file or the service; unchanged for ``none``."""
    if chosen == NONE:
        if dataset.prices.empty:
            out.print("no prices: without --prices only tariffs without a spot price can be used")
        return dataset
    if chosen != PRICE_SERVICE:
        from ems.store.ingest.opsd import read_prices

        out.print(f"reading prices from {chosen} …")
        return _told(
            replace(dataset, prices=read_prices(as_path(chosen))),
            prices=as_path(chosen).name,
        )

    from ems.store.ingest import energy_charts

    url = asked.prices_url or energy_charts.BASE_URL
    first, last = _days(dataset, energy_charts.MARKET_TIME)
    out.print(f"day-ahead prices from {url}, kept in {asked.cache}")
    with download_bar(out, "day-ahead prices") as progress:
        prices = energy_charts.fetch_prices(
            first, last, asked.cache, base_url=url, progress=progress
        )
    return _told(replace(dataset, prices=prices), prices=energy_charts.LICENCE)


def _with_weather(dataset: Dataset, chosen: str, asked: Options, out: Console) -> Dataset:
    """The dataset with weather from a file or the service; unchanged for ``none``."""
    if chosen == NONE:
        return dataset
    if chosen != WEATHER_SERVICE:
        from ems.store.ingest.opsd import read_weather

        out.print(f"reading weather from {chosen} …")
        file = as_path(chosen)
        return _told(replace(dataset, weather=read_weather(file)), weather=file.name)

    from ems.store.ingest import open_meteo

    url = asked.weather_url or open_meteo.BASE_URL
    first, last = _days(dataset, UTC)
    where = dataset.require_one_place()
    out.print(f"weather for {where.name} from {url}, kept in {asked.cache}")
    with download_bar(out, "weather") as progress:
        weather = open_meteo.fetch_weather(
            where, first, last, asked.cache, base_url=url, progress=progress
        )
    return _told(replace(dataset, weather=weather), weather=open_meteo.LICENCE)


def _with_forecasts(dataset: Dataset, chosen: str, asked: Options, out: Console) -> Dataset:
    """The dataset with recorded weather forecasts from a file or the service."""
    if chosen == NONE:
        return dataset
    from ems.store.ingest import open_meteo_forecast as service

    if chosen == PRESENT_FORECAST:
        url = asked.forecast_url or service.PRESENT_URL
        out.print(f"the present forecast of the weather from {url}, kept in {asked.cache}")
        issued = service.fetch_present(
            dataset.require_one_place(),
            datetime.now(UTC).replace(tzinfo=None),
            asked.cache,
            max_age_h=MAX_FORECAST_AGE_H,
            tell=lambda text: out.print(text, style="bold"),
            base_url=url,
        )
        source = service.LICENCE
    elif chosen == WEATHER_SERVICE:
        url = asked.forecast_url or service.RUNS_URL
        first, last = _days(dataset, UTC)
        out.print(f"forecasts of the weather from {url}, kept in {asked.cache}")
        with download_bar(out, "weather forecasts") as progress:
            issued = service.fetch_runs(
                dataset.require_one_place(),
                first,
                last,
                asked.cache,
                base_url=url,
                progress=progress,
            )
        source = service.LICENCE
    else:
        out.print(f"reading forecasts of the weather from {chosen} …")
        issued = service.read_weather_forecast(as_path(chosen))
        source = as_path(chosen).name
    newest = issued["issued_utc"].max()
    out.print(f"{issued['issued_utc'].nunique():,} forecasts, the newest issued {newest}Z")
    return _told(replace(dataset, weather_forecast=issued), weather_forecast=source)


def _told(dataset: Dataset, **sources: str) -> Dataset:
    """The dataset with the sources of its prices or weather in ``meta``."""
    added = {f"{what}_source": source for what, source in sources.items()}
    return replace(dataset, meta={**dataset.meta, **added})


def _days(dataset: Dataset, zone: tzinfo) -> tuple[date, date]:
    """First and last day of the meters in a time zone."""
    first = min(data.ts_utc[0] for data in dataset.buildings).item()
    last = max(data.ts_utc[-1] for data in dataset.buildings).item()
    first_day, last_day = (t.replace(tzinfo=UTC).astimezone(zone).date() for t in (first, last))
    return first_day, last_day


def show(out: Console, report: BuildReport, dataset: Dataset) -> None:
    """Print what was built: its source, the portfolio, and what is wrong with the data."""
    out.print()
    out.print(portfolio_table(report))
    out.print()
    out.print(
        "load: where every meter it needs can be believed; import, export, PV: as metered. "
        "A day is plannable when load and PV are known in all its steps, whatever the prices."
    )
    out.print()
    for remark in dataset.remarks:
        out.print(f"read: {remark}", markup=False)
    if dataset.remarks:
        out.print()
    out.print(detail_table(report))
    out.print()
    for key, label in (
        ("source", "meters"),
        ("prices_source", "prices"),
        ("weather_source", "weather"),
        ("weather_forecast_source", "weather forecasts"),
    ):
        if key in dataset.meta:
            out.print(f"{label}: {dataset.meta[key]}")
    for where in dict.fromkeys(data.place for data in dataset.buildings):
        out.print(f"place: {where}")
    out.print(f"licence: {dataset.meta['licence']}")
    if report.synthetic:
        out.print(
            "SYNTHETIC DATA: generated, not measured; good for trying, proof of nothing",
            style="bold",
        )
    size_mb = report.path.stat().st_size / 1e6
    out.print(f"built {report.path}: {report.n_readings:,} readings, {size_mb:.0f} MB")


def portfolio_table(report: BuildReport) -> Table:
    """One row per building with days and energies; fits a terminal of 80 columns."""
    table = _table("portfolio (SYNTHETIC)" if report.synthetic else "portfolio")
    table.add_column("building", no_wrap=True)
    table.add_column("kind", no_wrap=True)
    for name in ("days", "plan-\nnable", "load\nkWh", "import\nkWh", "export\nkWh"):
        table.add_column(name, justify="right", no_wrap=True)
    for name in ("PV\nkWh", "peak\nkW"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in report.portfolio:
        table.add_row(
            row.building,
            row.kind,
            str(row.days),
            str(row.plannable_days),
            _short(row.known_load_kwh),
            _short(row.metered_import_kwh),
            _short(row.metered_export_kwh) if row.metered_export_kwh > 0 else "–",
            _short(row.metered_pv_kwh) if row.metered_pv_kwh > 0 else "–",
            _short(row.pv_peak_kw, 1) if row.metered_pv_kwh > 0 else "–",
        )
    return table


def detail_table(report: BuildReport) -> Table:
    """One row per building: what can be planned, and what is wrong with its data."""
    table = _table("", leading=1)
    table.add_column("building", no_wrap=True)
    table.add_column("devices by category", ratio=2)
    table.add_column("what is wrong: feeds (days)", ratio=3)
    for row in report.portfolio:
        shiftable_first = sorted(row.devices.items(), key=lambda item: (item[0] == "fixed", item))
        devices = [_devices(category, names) for category, names in shiftable_first]
        table.add_row(
            row.building, "\n".join(devices) or "none metered", _problems(row) or "nothing found"
        )
    return table


def _table(title: str, leading: int = 0) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    return Table(
        title=title or None,
        title_justify="left",
        title_style="bold",
        box=SIMPLE_HEAD,
        padding=0,
        leading=leading,
        show_edge=False,
    )


def _devices(category: Category, names: tuple[str, ...]) -> str:
    """Names of the plannable devices, number of the others."""
    if category == "fixed":
        return f"fixed: {counted(len(names), 'sub-meter')}"
    return f"{category}: {', '.join(names)}"


def _problems(row: PortfolioRow) -> str:
    """A line per rule: feeds, with their number of days."""
    rules = sorted({problem.rule for problem in row.problems})
    lines = [
        f"{rule}: " + ", ".join(f"{p.feed} ({p.days})" for p in row.problems if p.rule == rule)
        for rule in rules
    ]
    return "\n".join([*([] if row.has_import_meter else [NO_IMPORT_METER]), *lines])


def _short(value: float, decimals: int = 0) -> str:
    """An energy or power that fits its column."""
    return f"{value:,.{decimals}f}" if abs(value) < LARGE else f"{value:.3g}"


if __name__ == "__main__":
    run(main)
