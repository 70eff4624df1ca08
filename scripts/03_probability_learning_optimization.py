"""Search how fast habits should be followed, and say whether the learned habit is any good."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from common import (
    Parser,
    console,
    day,
    near,
    open_database,
    positive_int,
    progress_bar,
    run,
    whole_number,
)
from planning import (
    ON_OFF,
    add_scheduler,
    add_where,
    command_line,
    figure_folder,
    n_days_or_all,
    report_file,
    results_db,
    stored_run,
)

from ems.errors import InvalidSpec

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection
    from rich.console import Console

    from ems.learning.scores import Estimate
    from ems.learning.usage import UseHistory
    from ems.pipelines.probability import DeviceSearch, SearchSpec
    from ems.site.meters import MeterData
    from ems.tracking import PipelineRun

EXPERIMENT = "probability"
EPILOG = (
    "Each day is predicted before it is learned. log loss: bits a start, 4.585 for the uniform "
    "distribution, less is better. JS is the Jensen-Shannon distance in nats. See docs/learning.md."
)
ALL_FIGURES_UP_TO = 4
"""Devices up to which each gets all its figures."""
CATEGORIES = ("discrete_phase", "partial_usage", "ev")


def parser() -> Parser:
    """The command line of this script."""
    p = Parser(__doc__ or "", EPILOG)
    what = p.add_argument_group("what to learn")
    what.add_argument("--building", default="DE_KN_residential4", help="a name, or all")
    what.add_argument("--target_device", help="one device, such as dishwasher")
    what.add_argument(
        "--test_multiple_devices", action="store_true", help="all devices (the default)"
    )
    what.add_argument(
        "--device_filter",
        type=_categories,
        default=CATEGORIES,
        metavar="CATEGORY,…",
        help=f"categories of devices ({','.join(CATEGORIES)})",
    )
    what.add_argument("--start", type=day, help="first day (default: the first known)")
    what.add_argument("--n_days", type=n_days_or_all, default=None, help="days, or all (all)")
    grid = p.add_argument_group("grid")
    grid.add_argument("--lr_tau_values", type=_numbers, default=(5.0, 10.0, 20.0, 30.0, 50.0))
    grid.add_argument("--lr_max_values", type=_numbers, default=(0.05, 0.10, 0.15, 0.20))
    grid.add_argument("--lr_min", type=float, default=0.005)
    priors = p.add_mutually_exclusive_group()
    priors.add_argument("--use_learned_priors", action="store_true", help="start from usual hours")
    priors.add_argument(
        "--test_both_priors", action="store_true", help="uniform and learned side by side"
    )
    p.add_argument("--n_train", type=whole_number, default=28, help="days that only train (28)")
    p.add_argument("--workers", type=positive_int, default=1, help="processes (default: 1)")
    p.add_argument("--seed", type=whole_number, default=0, help="of the intervals (default: 0)")
    p.add_argument(
        "--log_model",
        choices=ON_OFF,
        default="on",
        help="keep the best cell of each device as an MLflow model (on)",
    )
    add_scheduler(p)
    add_where(p)
    return p


def _numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"'{text}' must be numbers with commas between") from error


def _categories(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    for name in names:
        if name not in CATEGORIES:
            known = ", ".join(CATEGORIES)
            raise argparse.ArgumentTypeError(f"'{name}' is no category; known are {known}")
    return names


def main() -> None:
    """Search every device, show, store and track what was found."""
    args = parser().parse_args()
    out = console()
    if args.target_device and args.test_multiple_devices:
        raise InvalidSpec("target_device and test_multiple_devices exclude each other: give one")
    spec = specification(args)
    with open_database(args.db, out) as con:
        histories, devices, everywhere = read_devices(con, args)
    history = histories[0]
    if history.synthetic:
        warning = "SYNTHETIC DATA: made up, not measurements"
        out.print(warning, style="bold yellow")
    out.print(f"data      {history.source}")
    for place in dict.fromkeys(one.place for one in histories):
        out.print(f"place     {place}", markup=False)
    out.print(f"grid      {len(spec.rates)} cells, priors {', '.join(spec.priors)}")
    found, files, run_id = search(args, spec, history, devices, everywhere, out)
    show(out, found)
    for file in files:
        out.print(f"{'report ' if file.suffix == '.html' else 'figure '}   {near(file)}")
    out.print(f"results   {near(results_db(args))}")
    out.print(f"mlflow    run {run_id}; open it: python scripts/launch_mlflow.py")


def specification(args: argparse.Namespace) -> SearchSpec:
    """What the command line asks for."""
    from ems.learning.search import rate_grid
    from ems.pipelines.probability import SearchSpec

    priors = ("learned",) if args.use_learned_priors else ("uniform",)
    return SearchSpec(
        rates=rate_grid(args.lr_tau_values, args.lr_max_values, lr_min=args.lr_min),
        priors=("uniform", "learned") if args.test_both_priors else priors,  # type: ignore[arg-type]
        n_train=args.n_train,
        seed=args.seed,
    )


def read_devices(
    con: DuckDBPyConnection, args: argparse.Namespace
) -> tuple[list[MeterData], list[UseHistory], list[UseHistory]]:
    """The buildings, the devices to search in the window, and all devices of all buildings."""
    from ems.learning.usage import use_histories
    from ems.pipelines.probability import devices_of, within
    from ems.store.read import list_buildings, read_history

    known = list_buildings(con)
    if args.building not in (*known, "all"):
        raise InvalidSpec(f"building {args.building!r} is unknown; known are {', '.join(known)}")
    names = known if args.building == "all" else [args.building]
    histories = [read_history(con, name) for name in names]
    devices = []
    for history in histories:
        uses = use_histories(history)
        if args.building == "all" and (args.target_device or "") not in ("", *uses):
            continue
        chosen = devices_of(uses, target=args.target_device, categories=args.device_filter)
        devices += [within(use, args.start, args.n_days) for use in chosen]
    if not devices:
        raise InvalidSpec(f"no building has a device {args.target_device!r}")
    return histories, devices, devices


def search(
    args: argparse.Namespace,
    spec: SearchSpec,
    history: MeterData,
    devices: Sequence[UseHistory],
    everywhere: Sequence[UseHistory],
    out: Console,
) -> tuple[list[DeviceSearch], list[Path], str]:
    """Search every device, keeping what is finished whatever happens."""
    from ems.pipelines.probability import search_devices
    from ems.tracking import pipeline_run

    parameters = {
        "building": args.building,
        "device": args.target_device or "all",
        "n_days": args.n_days or "all",
        "spec": spec,
        "data": {"source": history.source, "hash": history.data_hash, "db": args.db.name},
    }
    tracked = pipeline_run(
        args.tracking_uri,
        experiment=EXPERIMENT,
        name=f"{args.building} {args.target_device or 'all devices'}",
        parameters=parameters,
        tags={"synthetic": str(history.synthetic).lower()},
    )
    found: list[DeviceSearch] = []
    with (
        tracked as run_,
        stored_run(args, EXPERIMENT, parameters, history.synthetic, run_.run_id) as stored,
    ):
        with progress_bar(out, "devices") as bar:
            task = bar.add_task("searching", total=len(devices))
            for of_device in search_devices(
                devices, everywhere, spec, args.workers, args.scheduler
            ):
                found += of_device
                for result in of_device:
                    track(run_, result, ON_OFF[args.log_model])
                    model = f"rate:{result.prior}"
                    stored.updates(result.history.building, model, result.updates)
                bar.update(task, advance=1)
        folder = figure_folder(args, run_.run_id)
        files = draw(folder, found, history) if ON_OFF[args.figures] else []
        if ON_OFF[args.report]:
            files.append(write_page(args, spec, found, history, run_.run_id))
        for file in files:
            run_.artifact(file)
    return found, files, run_.run_id


def track(run_: PipelineRun, result: DeviceSearch, log_model: bool) -> None:
    """A nested run for every cell of the grid; the best one has its interval, rivals and model."""
    grid, who = result.grid, result.history
    for cell, rate in enumerate(grid.rates):
        metrics: dict[str, float | None] = {
            "log_loss_bits": float(grid.log_loss_bits[cell, 0]),
            "learning_score": float(grid.learning_score[cell, 0]),
            "js_to_prior": float(grid.js_to_prior[cell, 0]),
            "mean_js_step": float(grid.mean_js_step[cell, 0]),
            "n_updates": float(grid.n_updates[0]),
        }
        if cell == result.cell:
            metrics |= {
                "best": 1.0,
                "log_loss_bits_low": result.log_loss.low,
                "log_loss_bits_high": result.log_loss.high,
                "gain_bits_vs_uniform": result.gain_bits.mean,
            }
            rivals = result.rivals.items()
            metrics |= {
                f"rival_{name.replace(':', '_')}_bits": s.log_loss_bits.mean for name, s in rivals
            }
        name = f"{who.device} {result.prior} tau={rate.lr_tau:g} max={rate.lr_max:g}"
        cell_of = {
            "device": who.device,
            "category": who.category,
            "prior": result.prior,
            "first_day": str(who.days[0]),
            "last_day": str(who.days[-1]),
            "n_days": len(who),
        }
        own = {"cell": {**cell_of, "rate": rate}}
        run_.summary(who.building, name, metrics, own)
        if log_model and cell == result.cell:
            run_.habit_model(who.building, name, result.agent)


def write_page(
    args: argparse.Namespace,
    spec: SearchSpec,
    found: Sequence[DeviceSearch],
    history: MeterData,
    run_id: str,
) -> Path:
    """The report of the run."""
    from ems.report.page import probability_report, write_report

    report = probability_report(
        command=command_line(), run_id=run_id, spec=spec, history=history, found=found
    )
    return write_report(report, report_file(args, EXPERIMENT, run_id))


def draw(folder: Path, found: Sequence[DeviceSearch], history: MeterData) -> list[Path]:
    """Four figures for each device and prior; of many devices the two that say most."""
    from ems.report.figures.habits import pmf_evolution, prior_and_learned
    from ems.report.figures.learning import grid_map, learning_curves
    from ems.report.figures.page import Origin, save

    figures = [grid_map, prior_and_learned]
    if len({result.history.who for result in found}) <= ALL_FIGURES_UP_TO:
        figures += [learning_curves, pmf_evolution]
    origin = Origin.of(history)
    return [
        save(
            figure(result, origin=origin),
            folder / f"{result.history.building}_{result.history.device}_{result.prior}"
            f"_{figure.__name__}.png",
        )
        for result in found
        for figure in figures
    ]


def show(out: Console, found: Sequence[DeviceSearch]) -> None:
    """A line and a row for each device and prior, and the verdict."""
    from rich.table import Table

    for result in found:
        score = result.score
        out.print(
            f"{result.history.device}: {score.n_updates} updates, "
            f"JS(prior)={score.js_to_prior:.3f}, JS(step)={score.mean_js_step:.4f}, "
            f"log loss {result.log_loss.mean:.3f} vs uniform "
            f"{result.rivals['uniform'].log_loss_bits.mean:.3f} "
            f"[{result.history.building}, prior {result.prior}]"
        )
    table = Table(title="best cell by log loss, bits a start (95 %)", title_justify="left")
    for head in ("building", "device", "prior", "best rival", "verdict"):
        table.add_column(head, no_wrap=True)
    for head in ("lr_tau / max", "log loss", "gain vs uniform", "vs all history"):
        table.add_column(head, no_wrap=True, justify="right")
    for result in found:
        ours = result.rivals[f"rate:{result.prior}"]
        table.add_row(
            result.history.building.removeprefix("DE_KN_"),
            result.history.device,
            result.prior,
            _best_rival(result),
            result.verdict,
            f"{result.rate.lr_tau:g} / {result.rate.lr_max:g}",
            _bits(result.log_loss),
            _bits(result.gain_bits),
            _bits(ours.gain_bits["all_history"]),
        )
    out.print(table)
    for result in found:
        out.print(f"{result.history.device}, prior {result.prior}: {result.disagreement}")


def _bits(estimate: Estimate) -> str:
    return f"{estimate.mean:.2f} ({estimate.low:.2f}…{estimate.high:.2f})"


def _best_rival(result: DeviceSearch) -> str:
    others = {n: s for n, s in result.rivals.items() if n != f"rate:{result.prior}"}
    name = min(others, key=lambda n: others[n].log_loss_bits.mean)
    return f"{name} {others[name].log_loss_bits.mean:.2f}"


if __name__ == "__main__":
    run(main)
