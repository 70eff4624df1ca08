"""Build the measurements database from the synthetic twin, the OPSD data, or your own meter."""

from __future__ import annotations

import argparse
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from common import (
    DEFAULT_CACHE,
    DEFAULT_DB,
    Parser,
    console,
    download_bar,
    path,
    run,
    whole_number,
)

if TYPE_CHECKING:
    from datetime import date, tzinfo

    from rich.console import Console
    from rich.table import Table

    from ems.site.meters import Category
    from ems.site.place import Place
    from ems.store.build import BuildReport
    from ems.store.ingest.dataset import Dataset
    from ems.store.read import PortfolioRow

PRICE_SERVICE = "energy-charts"
WEATHER_SERVICE = "open-meteo"
PRESENT_FORECAST = "open-meteo-now"
NONE = "none"
PLACE_FORM = "NAME,LATITUDE,LONGITUDE,COUNTRY[,SUBDIVISION]"

NO_IMPORT_METER = "no import meter: its load is unknown"
MAX_FORECAST_AGE_H = 24.0
"""An older forecast does not stand in for a present one that cannot be had."""
LARGE = 1e9
"""What no building has in kWh or kW; shown as a power of ten, so that the table keeps its width."""

EPILOG = (
    "Sources, layouts and licences: docs/sources.md. The old database stays in place until the "
    "new one is complete."
)


def parser() -> Parser:
    """The command line of this script."""
    p = Parser(__doc__ or "", EPILOG)
    p.add_argument(
        "--source",
        default="twin",
        metavar="twin|opsd|PATH|meter",
        help="the synthetic twin (default); the official OPSD file, downloaded; a local file in "
        "its layout (.csv, .csv.gz); or your own meter, described by --config",
    )
    p.add_argument("--config", type=path, metavar="TOML", help="with --source meter: its files")
    p.add_argument(
        "--place",
        type=place,
        metavar=PLACE_FORM,
        help="with --source PATH: where its buildings stand [degrees north, east] and whose "
        "holidays they keep, such as Berlin,52.52,13.41,DE,BE (default: DE_KN_… is Konstanz)",
    )
    p.add_argument(
        "--prices",
        metavar=f"PATH|{PRICE_SERVICE}|{NONE}",
        help=f"day-ahead prices: a CSV file (utc_timestamp, price_eur_per_mwh) or the "
        f"{PRICE_SERVICE} service (default: the service with --source opsd)",
    )
    p.add_argument(
        "--weather",
        metavar=f"PATH|{WEATHER_SERVICE}|{NONE}",
        help=f"weather: a CSV file (utc_timestamp, temperature_c, ghi_w_per_m2) or the "
        f"{WEATHER_SERVICE} service for the buildings' place (default: the service with --source "
        "opsd)",
    )
    p.add_argument(
        "--weather_forecast",
        metavar=f"PATH|{WEATHER_SERVICE}|{PRESENT_FORECAST}|{NONE}",
        help="forecasts of the weather as they were issued: a CSV file (issued_utc, utc_timestamp, "
        f"temperature_c, ghi_w_per_m2), the runs that {WEATHER_SERVICE} keeps since March 2024, "
        f"or the forecast it gives now (default: {NONE})",
    )
    p.add_argument(
        "--db", type=path, default=DEFAULT_DB, help="the database to build (default: %(default)s)"
    )
    p.add_argument("--seed", type=whole_number, help="with --source twin: its seed")
    p.add_argument(
        "--step_minutes", type=int, choices=(15, 60), help="with --source twin (default: 60)"
    )
    p.add_argument(
        "--cache",
        type=path,
        default=DEFAULT_CACHE,
        help="where downloads are kept (default: %(default)s)",
    )
    p.add_argument("--opsd_url", help="another address of the official OPSD file")
    p.add_argument("--prices_url", help=f"another address of {PRICE_SERVICE}")
    p.add_argument("--weather_url", help=f"another address of {WEATHER_SERVICE}")
    p.add_argument("--forecast_url", help=f"another address of {WEATHER_SERVICE}'s forecasts")
    return p


def place(text: str) -> Place:
    """A place in the form ``PLACE_FORM``."""
    from ems.errors import InvalidSpec
    from ems.site.place import Place

    try:
        name, latitude, longitude, country, *rest = (part.strip() for part in text.split(","))
        (subdivision,) = rest or [""]
        return Place(
            name=name,
            latitude_deg=float(latitude),
            longitude_deg=float(longitude),
            country=country,
            subdivision=subdivision,
        )
    except InvalidSpec as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"{text!r}: expected {PLACE_FORM}, such as Berlin,52.52,13.41,DE,BE"
        ) from error


def check(p: Parser, args: argparse.Namespace) -> None:
    """Refuse options that the chosen source would ignore."""
    if args.source == "meter" and args.config is None:
        p.error("--source meter needs --config FILE.toml, see docs/sources.md")
    if args.source != "meter" and args.config is not None:
        p.error("--config belongs to --source meter")
    if args.place is not None and args.source in ("twin", "opsd", "meter"):
        p.error("--place belongs to --source PATH; the other sources say where they are")
    for option in ("seed", "step_minutes"):
        if args.source != "twin" and getattr(args, option) is not None:
            p.error(f"--{option} belongs to --source twin")
    for option in ("prices", "weather", "weather_forecast"):
        if args.source == "twin" and getattr(args, option) is not None:
            p.error(f"--{option}: the twin brings its own")


def main() -> None:
    """Read the source, build the database, show what is in it."""
    p = parser()
    args = p.parse_args()
    check(p, args)
    out = console()

    from ems.store.build import build_database, require_replaceable

    require_replaceable(args.db, synthetic=args.source == "twin")  # before minutes of downloads
    dataset = read_source(args, out)
    out.print(f"building {args.db} …")
    report = build_database(dataset, args.db)
    show(out, report, dataset)


def read_source(args: argparse.Namespace, out: Console) -> Dataset:
    """The meters, prices and weather that the command line asks for."""
    if args.source == "twin":
        return _twin(args, out)
    dataset = _meters(args, out)
    official = args.source == "opsd"
    dataset = _with_prices(dataset, args.prices or (PRICE_SERVICE if official else NONE), args, out)
    dataset = _with_weather(
        dataset, args.weather or (WEATHER_SERVICE if official else NONE), args, out
    )
    return _with_forecasts(dataset, args.weather_forecast or NONE, args, out)


def _twin(args: argparse.Namespace, out: Console) -> Dataset:
    from ems.store.ingest.twin import DEFAULT_SEED, twin_dataset

    seed = DEFAULT_SEED if args.seed is None else args.seed
    step_minutes = args.step_minutes or 60
    out.print(f"making the synthetic twin, seed {seed}, {step_minutes}-minute steps …")
    return twin_dataset(seed, step_minutes)


def _meters(args: argparse.Namespace, out: Console) -> Dataset:
    if args.source == "meter":
        from ems.store.ingest.meter import read_meter

        out.print(f"reading your meter as described in {args.config} …")
        return read_meter(args.config)

    from ems.store.ingest.opsd import read_opsd

    source = _official_file(args, out) if args.source == "opsd" else path(args.source)
    out.print(f"reading {source} …")
    return read_opsd(source, place=args.place)


def _official_file(args: argparse.Namespace, out: Console) -> Path:
    from ems.store.ingest.download import OPSD_SHA256, OPSD_URL, fetch

    url = args.opsd_url or OPSD_URL
    out.print(f"OPSD household data from {url}, kept in {args.cache}")
    with download_bar(out, "household data") as progress:
        return fetch(
            url,
            args.cache / "opsd_household_2020-04-15_60min.csv",
            sha256=OPSD_SHA256,
            remedy="download it by hand and give --source PATH",
            progress=progress,
        )


def _with_prices(dataset: Dataset, chosen: str, args: argparse.Namespace, out: Console) -> Dataset:
    """The dataset with the prices of a file or the service; with its own for ``none``."""
    if chosen == NONE:
        if dataset.prices.empty:
            out.print("no prices: without --prices only tariffs without a spot price can be used")
        return dataset
    if chosen != PRICE_SERVICE:
        from ems.store.ingest.opsd import read_prices

        out.print(f"reading prices from {chosen} …")
        return _told(replace(dataset, prices=read_prices(path(chosen))), prices=path(chosen).name)

    from ems.store.ingest import energy_charts

    url = args.prices_url or energy_charts.BASE_URL
    first, last = _days(dataset, energy_charts.MARKET_TIME)
    out.print(f"day-ahead prices from {url}, kept in {args.cache}")
    with download_bar(out, "day-ahead prices") as progress:
        prices = energy_charts.fetch_prices(
            first, last, args.cache, base_url=url, progress=progress
        )
    return _told(replace(dataset, prices=prices), prices=energy_charts.LICENCE)


def _with_weather(dataset: Dataset, chosen: str, args: argparse.Namespace, out: Console) -> Dataset:
    """The dataset with the weather of a file or the service; with its own for ``none``."""
    if chosen == NONE:
        return dataset
    if chosen != WEATHER_SERVICE:
        from ems.store.ingest.opsd import read_weather

        out.print(f"reading weather from {chosen} …")
        weather = read_weather(path(chosen))
        return _told(replace(dataset, weather=weather), weather=path(chosen).name)

    from ems.store.ingest import open_meteo

    url = args.weather_url or open_meteo.BASE_URL
    first, last = _days(dataset, UTC)
    where = dataset.require_one_place()
    out.print(f"weather for {where.name} from {url}, kept in {args.cache}", markup=False)
    with download_bar(out, "weather") as progress:
        weather = open_meteo.fetch_weather(
            where, first, last, args.cache, base_url=url, progress=progress
        )
    return _told(replace(dataset, weather=weather), weather=open_meteo.LICENCE)


def _with_forecasts(
    dataset: Dataset, chosen: str, args: argparse.Namespace, out: Console
) -> Dataset:
    """The dataset with recorded forecasts of the weather, from a file or the service."""
    if chosen == NONE:
        return dataset
    from ems.store.ingest import open_meteo_forecast as service

    if chosen == PRESENT_FORECAST:
        url = args.forecast_url or service.PRESENT_URL
        out.print(f"the present forecast of the weather from {url}, kept in {args.cache}")
        issued = service.fetch_present(
            dataset.require_one_place(),
            datetime.now(UTC).replace(tzinfo=None),
            args.cache,
            max_age_h=MAX_FORECAST_AGE_H,
            tell=lambda text: out.print(text, style="bold", markup=False),
            base_url=url,
        )
        source = service.LICENCE
    elif chosen == WEATHER_SERVICE:
        url = args.forecast_url or service.RUNS_URL
        first, last = _days(dataset, UTC)
        out.print(f"forecasts of the weather from {url}, kept in {args.cache}")
        with download_bar(out, "weather forecasts") as progress:
            issued = service.fetch_runs(
                dataset.require_one_place(),
                first,
                last,
                args.cache,
                base_url=url,
                progress=progress,
            )
        source = service.LICENCE
    else:
        out.print(f"reading forecasts of the weather from {chosen} …")
        issued = service.read_weather_forecast(path(chosen))
        source = path(chosen).name
    newest = issued["issued_utc"].max()
    out.print(f"{issued['issued_utc'].nunique():,} forecasts, the newest issued {newest}Z")
    return _told(replace(dataset, weather_forecast=issued), weather_forecast=source)


def _told(dataset: Dataset, **sources: str) -> Dataset:
    """The dataset whose ``meta`` says where its prices or weather come from."""
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
        out.print(f"place: {where}", markup=False)
    out.print(f"licence: {dataset.meta['licence']}")
    if report.synthetic:
        out.print(
            "SYNTHETIC DATA: generated, not measured; good for trying, proof of nothing",
            style="bold",
        )
    size_mb = report.path.stat().st_size / 1e6
    out.print(f"built {report.path}: {report.n_readings:,} readings, {size_mb:.0f} MB")


def portfolio_table(report: BuildReport) -> Table:
    """One row a building, its days and energies; fits a terminal of 80 columns."""
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
    """One row a building: what can be planned there, and what is wrong with its data."""
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
    """The names of what can be planned, the number of what cannot."""
    if category == "fixed":
        return f"fixed: {len(names)} sub-meter{'s' if len(names) > 1 else ''}"
    return f"{category}: {', '.join(names)}"


def _problems(row: PortfolioRow) -> str:
    """A line for each rule: which feeds, on how many days."""
    rules = sorted({problem.rule for problem in row.problems})
    lines = [
        f"{rule}: " + ", ".join(f"{p.feed} ({p.days})" for p in row.problems if p.rule == rule)
        for rule in rules
    ]
    return "\n".join([*([] if row.has_import_meter else [NO_IMPORT_METER]), *lines])


def _short(value: float, decimals: int = 0) -> str:
    """An energy or power that fits its column, however large."""
    return f"{value:,.{decimals}f}" if abs(value) < LARGE else f"{value:.3g}"


if __name__ == "__main__":
    run(main)
