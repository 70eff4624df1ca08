"""Search how fast habits should be followed, and say whether the learned habit is any good."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from command_line import (
    Count,
    Day,
    Days,
    Number,
    Numbers,
    Switch,
    Whole,
    among,
    command,
    group,
    option,
    options,
    parsed,
    require_one,
)
from console import console, doing, progress_bar, run, say, show_table
from planning import (
    DEFAULT_BUILDING,
    SCHEDULER_HELP,
    Where,
    building_named,
    count_of,
    data_parameters,
    tell_data,
)
from runs import SHORT_ID, KeptRun, command_line, kept_run, open_database, start_tracking

from ems.errors import InvalidSpec
from ems.learning.rate import LearningRate
from ems.pipelines.spec import SearchSpec, require_workers

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection
    from rich.console import Console

    from ems.learning.scores import Estimate
    from ems.learning.usage import UseHistory
    from ems.pipelines.probability import DeviceSearch
    from ems.site.meters import MeterData

EXPERIMENT = "probability"
EPILOG = (
    "Each day is predicted before it is learned. log loss: bits a start, 4.585 for the uniform "
    "distribution, less is better. JS is the Jensen-Shannon distance in nats. See docs/learning.md."
)
ALL_FIGURES_UP_TO = 4
"""Number of devices up to which each gets all its figures."""
OPTIMIZATION = Path("probability_optimization") / "visualizations"
"""Folder below the results, of every run's figures of rates and of habits over time."""
CATEGORIES = ("discrete_phase", "partial_usage", "ev")


@group("what to learn")
class Learned:
    """Whose habits are learned."""

    building: str | None = option(
        f"a name or the end of one, or all [default: the only one, else {DEFAULT_BUILDING}]", None
    )
    target_device: str | None = option("one device, such as dishwasher [default: all]", None)
    test_multiple_devices: bool = option("all devices, as without it", False)
    device_filter: Annotated[tuple[str, ...], among(*CATEGORIES)] = option(
        f"categories of devices: {', '.join(CATEGORIES)}", CATEGORIES
    )
    start: Day | None = option(
        "first day that is scored [default: the first with enough known days before it]", None
    )
    n_days: Days = option("days that are scored, or all to the end", "all")
    n_train: Whole = option("known days before them that only train", SearchSpec.n_train)


@group("grid")
class Grid:
    """The cells that are searched."""

    lr_tau_values: Numbers = option("weights of the prior [days]", (5.0, 10.0, 20.0, 30.0, 50.0))
    lr_max_values: Numbers = option("greatest rates", (0.05, 0.10, 0.15, 0.20))
    lr_min: Number = option("least rate", LearningRate.lr_min)
    use_learned_priors: bool = option("start from usual hours instead of uniform ones", False)
    test_both_priors: bool = option("uniform and learned side by side", False)


@group("how to search")
class Searching:
    """How the search is carried out."""

    workers: Count = option("processes", 1)
    scheduler: str | None = option(SCHEDULER_HELP, None)
    seed: Whole = option("of the intervals", SearchSpec.seed)
    log_model: Switch = option("keep the best cell of each device as an MLflow model", "on")


@command
class Options:
    """The command line of this script."""

    learned: Learned = options(Learned)
    grid: Grid = options(Grid)
    searching: Searching = options(Searching)
    where: Where = options(Where)


@dataclass(frozen=True, kw_only=True)
class Devices:
    """The devices to search, and their buildings."""

    building: str
    histories: list[MeterData]
    devices: list[UseHistory] = field(default_factory=list)


def main() -> None:
    """Search every device, show, store and track what was found."""
    asked = parsed(Options, __doc__, EPILOG)
    out = console()
    spec = specification(asked)
    start_tracking(asked.where)
    with open_database(asked.where.db, out) as con, doing(out, "reading the measurements"):
        from ems.learning.scores import check_enough

        read = read_devices(con, asked.learned)
        # Fails before a run exists.
        for history in read.devices:
            check_enough(history, spec.n_train)
    history, device = read.histories[0], asked.learned.target_device or "all"
    tell_data(out, read.histories)
    say(out, f"grid      {len(spec.rates)} cells, priors {', '.join(spec.priors)}")
    with kept_run(
        EXPERIMENT,
        name=f"{read.building} {'all devices' if device == 'all' else device}",
        building=read.building,
        options=asked,
        parameters={
            "building": read.building,
            "device": device,
            "n_days": asked.learned.n_days,
            "spec": spec,
            "data": data_parameters(history, asked.where),
        },
        synthetic=history.synthetic,
        out=out,
    ) as kept:
        found = search(asked.searching, spec, read.devices, kept)
        show(out, found)
        kept.illustrate(
            lambda folder: draw(folder, kept, found, history),
            lambda file: report(file, kept, spec, history, found),
        )
    kept.research()


def specification(asked: Options) -> SearchSpec:
    """The specification; raises ``InvalidSpec`` if the options contradict each other."""
    from ems.learning.search import rate_grid

    learned, grid = asked.learned, asked.grid
    require_one(
        target_device=learned.target_device, test_multiple_devices=learned.test_multiple_devices
    )
    require_one(use_learned_priors=grid.use_learned_priors, test_both_priors=grid.test_both_priors)
    require_workers(asked.searching.workers, asked.searching.scheduler)
    uniform = () if grid.use_learned_priors else ("uniform",)
    usual = ("learned",) if grid.use_learned_priors or grid.test_both_priors else ()
    return SearchSpec(
        rates=rate_grid(grid.lr_tau_values, grid.lr_max_values, lr_min=grid.lr_min),
        priors=(*uniform, *usual),  # type: ignore[arg-type]
        n_train=learned.n_train,
        seed=asked.searching.seed,
    )


def read_devices(con: DuckDBPyConnection, asked: Learned) -> Devices:
    """The devices to search in the window; with ``all`` those of every building that has them."""
    from ems.learning.usage import use_histories
    from ems.pipelines.probability import devices_of, within
    from ems.store.read import list_buildings, read_history

    known, every = list_buildings(con), asked.building == "all"
    names = known if every else [building_named(known, asked.building)]
    read = Devices(
        building="all" if every else names[0],
        histories=[read_history(con, name) for name in names],
    )
    for history in read.histories:
        uses = use_histories(history)
        # With all buildings, one without the device is passed over instead of refused.
        if every and asked.target_device not in (None, *uses):
            continue
        chosen = devices_of(uses, target=asked.target_device, categories=asked.device_filter)
        n_days = count_of(asked.n_days)
        read.devices.extend(within(use, asked.start, n_days, asked.n_train) for use in chosen)
    if not read.devices:
        raise InvalidSpec(f"no building has a device {asked.target_device!r}")
    return read


def search(
    asked: Searching, spec: SearchSpec, devices: Sequence[UseHistory], kept: KeptRun
) -> list[DeviceSearch]:
    """Search every device; finished ones are kept whatever happens."""
    from ems.pipelines.probability import search_devices

    found: list[DeviceSearch] = []
    with progress_bar(kept.out, "devices") as bar:
        task = bar.add_task("searching", total=len(devices))
        for results in search_devices(devices, devices, spec, asked.workers, asked.scheduler):
            for result in results:
                track(kept, result, log_model=asked.log_model == "on")
                model = f"rate:{result.prior}"
                kept.updates(result.history.building, model, result.updates)
            found += results
            bar.update(task, advance=1)
    return found


def track(kept: KeptRun, result: DeviceSearch, *, log_model: bool) -> None:
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
        kept.tracked.summary(who.building, name, metrics, own)
        if log_model and cell == result.cell:
            kept.tracked.habit_model(who.building, name, result.agent)


def report(
    file: Path, kept: KeptRun, spec: SearchSpec, history: MeterData, found: Sequence[DeviceSearch]
) -> Path:
    """The report of the run."""
    from ems.report.page import probability_report, write_report

    page = probability_report(
        command=command_line(), run_id=kept.row.run_id, spec=spec, history=history, found=found
    )
    return write_report(page, file)


def draw(
    folder: Path, kept: KeptRun, found: Sequence[DeviceSearch], history: MeterData
) -> list[Path]:
    """The figures of each device and prior; curves of every day only where there are few.

    How rates were chosen and how the habit moved lie in ``OPTIMIZATION`` below the results, with
    the run's id at the end of their names.
    """
    from ems.report.figures.habits import pmf_evolution, prior_and_learned
    from ems.report.figures.learning import grid_map, learning_curves
    from ems.report.figures.page import Origin, save

    few = len({result.history.who for result in found}) <= ALL_FIGURES_UP_TO
    origin = Origin.of(history)
    optimization, run_id = kept.where.results / OPTIMIZATION, kept.row.run_id[:SHORT_ID]
    places = {
        grid_map: (optimization, f"learning_optimization_{run_id}"),
        pmf_evolution: (optimization, f"realtime_evolution_{run_id}"),
        prior_and_learned: (folder, "prior_and_learned"),
        **({learning_curves: (folder, "learning_curves")} if few else {}),
    }
    return [
        save(
            figure(result, origin=origin),
            place / f"{result.history.building}_{result.history.device}_{result.prior}_{name}.png",
        )
        for result in found
        for figure, (place, name) in places.items()
    ]


def show(out: Console, found: Sequence[DeviceSearch]) -> None:
    """A line and a row for each device and prior, and the verdict."""
    for result in found:
        score = result.score
        out.print(
            f"{result.history.device}: {score.n_updates} updates, "
            f"JS(prior)={score.js_to_prior:.3f}, JS(step)={score.mean_js_step:.4f}, "
            f"log loss {result.log_loss.mean:.3f} vs uniform "
            f"{result.rivals['uniform'].log_loss_bits.mean:.3f} "
            f"[{result.history.building}, prior {result.prior}]"
        )
    heads = ("building", "device", "prior", "lr_tau / max", "log loss", "gain vs uniform")
    rows = [
        (
            result.history.building.removeprefix("DE_KN_"),
            result.history.device,
            result.prior,
            f"{result.rate.lr_tau:g} / {result.rate.lr_max:g}",
            _bits(result.log_loss),
            _bits(result.gain_bits),
            _bits(result.rivals[f"rate:{result.prior}"].gain_bits["all_history"]),
            _best_rival(result),
            result.verdict,
        )
        for result in found
    ]
    title = "best cell by log loss, bits a start (95 %)"
    show_table(
        out, title, [*heads, "vs all history", "best rival", "verdict"], rows, keys=3, words=(7, 8)
    )
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
