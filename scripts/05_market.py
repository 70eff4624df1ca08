"""Run a market: auctions every few minutes, who earned what, and how the grid fared.

``run`` (the default) runs a scenario, ``train`` lets bidders practise on a year of the homes, and
``score`` holds them against the rule and the best possible; each has its own ``--help``.
"""

from __future__ import annotations

import sys
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from command_line import (
    Count,
    Folder,
    NotNegative,
    Number,
    Positive,
    Whole,
    Words,
    command,
    group,
    option,
    options,
    parsed,
)
from console import (
    SYNTHETIC,
    console,
    doing,
    near,
    number,
    percent_text,
    progress_bar,
    run,
    say,
    show_table,
)
from planning import Where, data_parameters
from runs import KeptRun, kept_run, open_database, start_tracking

from ems.errors import InvalidSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from rich.console import Console

    from ems.market.account import MarketAccount
    from ems.market.cycle import CycleState, MarketCycle
    from ems.market.learning.score import Score
    from ems.market.learning.series import AuctionSeries
    from ems.pipelines.market import MarketSpec
    from ems.pipelines.market_learning import PractiseSpec
    from ems.report.figures.page import Origin
    from ems.site.building import Building

EXPERIMENT = "market"
EPILOG = (
    "Bidders are honest: plants offer at cost, stores by two thresholds, load that must be served "
    "at the cap. Scenarios are made up. What is cleared how, and what such figures do not say: "
    "docs/market.md."
)


LEARN_EPILOG = (
    "Needs requirements-learning.txt. Bidders learn against honest ones; 'best' is provably so for "
    "a plant, a bound for a store and a load: docs/market_learning.md."
)


@group("the market")
class What:
    """Which scenario, and under which rule."""

    scenario: str = option(
        "worked_example, sample or renewable_heavy, or a TOML file like them", "sample"
    )
    hours: Positive | None = option("only the first hours [default: all]", None)
    rule: Literal["pay_as_clear", "pay_as_bid"] = option("what sellers are paid", "pay_as_clear")
    k: NotNegative = option(
        "place of the price among those that clear: 0 the last accepted offer, 0.5 the middle", 0.0
    )
    cap: Number | None = option("highest price [€/MWh; default: the scenario's]", None)
    demand_mw: Positive | None = option("load of all consumers [MW; default: the scenario's]", None)
    emergency: str | None = option(
        "a plant that stops, and the hour, such as coal_plant_1@12 [default: none]", None
    )
    seed: Whole | None = option("of the profiles [default: the scenario's]", None)
    building: str = option("the building that bids, where the scenario has one", "residential4")


@group("messages")
class Messages:
    """How messages travel."""

    delay_s: NotNegative = option("each [s]; later than a third of a step is too late", 0.0)
    loss: NotNegative = option("share that never arrives [1]", 0.0)
    doubled: NotNegative = option("share that arrives twice [1]", 0.0)
    channel_seed: Whole = option("of what is lost and doubled", 0)


@command
class Options:
    """The command line of this script."""

    what: What = options(What)
    messages: Messages = options(Messages)
    where: Where = options(Where)


@group("practice")
class Practice:
    """Who practises, how often and how long."""

    bidders: Words = option(
        "plants, stores and loads of the market of the homes, with commas",
        ("coal_plant_1", "store_1", "heat_pumps_1"),
    )
    seeds: Count = option("trainings of each, from other first guesses", 1)
    steps: Count = option("auctions of a training, by the hour", 8760)
    policies: Folder = option("where policies and checkpoints are kept", Path("results/policies"))


@command
class LearnOptions:
    """The command line of ``train`` and ``score``."""

    practice: Practice = options(Practice)
    where: Where = options(Where)


def main() -> None:
    """Run, train or score, whichever the first word says."""
    word = sys.argv[1] if sys.argv[1:2] and sys.argv[1] in ("run", "train", "score") else ""
    if word:
        sys.argv.pop(1)
    {"train": train, "score": score}.get(word, trade_all)()


def trade_all() -> None:
    """Run the scenario, settle it, show, store and track it."""
    asked = parsed(Options, __doc__, EPILOG)
    out = console()
    spec = specification(asked)
    start_tracking(asked.where)
    from ems.pipelines.market import market_of

    building = building_of(asked, spec, out)
    cycle = market_of(spec, building)
    describe(out, spec, cycle)
    from ems.report.figures.page import Origin

    origin = Origin(
        source=f"scenario {spec.scenario}, made up"
        + ("" if building is None else f"; {building.history.source}"),
        synthetic=cycle.scenario.synthetic,
    )
    with kept_run(
        EXPERIMENT,
        name=f"{cycle.scenario.name} {spec.payment}",
        building="market",
        options=asked,
        parameters=run_parameters(asked, spec, cycle, building),
        synthetic=cycle.scenario.synthetic,
        out=out,
    ) as kept:
        account = trade(spec, cycle, kept)
        show(out, account)
        keep(kept, account)
        note = f"{spec.payment.replace('_', ' ')}, k = {spec.k:g}, honest bidders"
        kept.illustrate(
            lambda folder: draw(folder, account, note, origin),
            lambda file: page(file, account, note, origin),
        )


def specification(asked: Options) -> MarketSpec:
    """The specification; raises ``InvalidSpec`` for what cannot be."""
    from ems.market.router import Channel
    from ems.pipelines.market import MarketSpec

    what, told = asked.what, asked.messages
    channel = Channel(
        delay_s=told.delay_s, loss=told.loss, doubled=told.doubled, seed=told.channel_seed
    )
    return MarketSpec(
        scenario=what.scenario,
        hours=what.hours,
        payment=what.rule,
        k=what.k,
        cap_eur_per_mwh=what.cap,
        seed=what.seed,
        demand_mw=what.demand_mw,
        trips=trips_of(what.emergency),
        channel=channel,
    )


def trips_of(emergency: str | None) -> tuple[str, float] | None:
    """The plant that stops and its hour."""
    if emergency is None:
        return None
    name, _, hour = emergency.partition("@")
    try:
        return name, float(hour)
    except ValueError as error:
        raise InvalidSpec(
            f"--emergency: {emergency!r}, must be a plant and an hour such as coal_plant_1@12"
        ) from error


def building_of(asked: Options, spec: MarketSpec, out: Console) -> Building | None:
    """The building that bids, None if the scenario has none."""
    if spec.read().building is None:
        return None
    from planning import building_named

    from ems.economics.tariff_file import load_tariff
    from ems.site.assets import Assets
    from ems.site.building import Building
    from ems.store.read import list_buildings, read_history

    with open_database(asked.where.db, out) as con, doing(out, "reading the measurements"):
        name = building_named(list_buildings(con), asked.what.building)
        return Building(read_history(con, name), load_tariff("dynamic"), Assets())


def describe(out: Console, spec: MarketSpec, cycle: MarketCycle) -> None:
    """What is run, before it is."""
    scenario = cycle.scenario
    if scenario.synthetic:
        out.print(SYNTHETIC, style="bold yellow")
    say(out, f"scenario  {scenario.name}: {scenario.description}")
    n_auctions, minutes = cycle.n_auctions(spec.hours), 60 * scenario.step_h
    say(
        out,
        f"auctions  {n_auctions} of {minutes:g} minutes from {str(scenario.start_utc)[:16]} UTC",
    )
    say(
        out,
        f"price     {scenario.floor_eur_per_mwh:g} to {scenario.cap_eur_per_mwh:g} €/MWh, "
        f"{spec.payment.replace('_', ' ')}, k = {spec.k:g}",
    )
    if scenario.building is not None:
        say(out, f"building  {scenario.homes} homes like it bid as {scenario.building}")
    if spec.trips is not None:
        say(out, f"emergency {spec.trips[0]} stops at hour {spec.trips[1]:g}", style="bold")


def run_parameters(
    asked: Options, spec: MarketSpec, cycle: MarketCycle, building: Building | None
) -> dict[str, object]:
    """Everything needed to repeat the run."""
    data: dict[str, object] = {"source": f"scenario {spec.scenario}", "hash": "none", "db": "none"}
    if building is not None:
        data = data_parameters(building.history, asked.where)
    channel = asdict(spec.channel)
    told = {item.name: getattr(spec, item.name) for item in fields(spec) if item.name != "channel"}
    return {
        "building": "market",
        "n_auctions": cycle.n_auctions(spec.hours),
        "spec": {**told, "channel": channel},
        "data": data,
    }


def trade(spec: MarketSpec, cycle: MarketCycle, kept: KeptRun) -> MarketAccount:
    """Run the auctions and settle them."""
    from ems.market.account import settle_market
    from ems.pipelines.market import run_market

    states: list[CycleState] = []
    with progress_bar(kept.out, "auctions") as bar:
        task = bar.add_task("bidding and clearing", total=cycle.n_auctions(spec.hours))
        for state in run_market(cycle, spec):
            states.append(state)
            bar.update(task, advance=1)
    return settle_market(cycle.ended(states), spec.payment)


def show(out: Console, account: MarketAccount) -> None:
    """Who earned what, and the market as a whole."""
    from ems.report.market import BIDDER_CELLS, TOTAL_LINES

    rows = [
        [row.name, *(show_cell(row) for show_cell in BIDDER_CELLS.values())]
        for row in account.bidders
    ]
    show_table(
        out, f"{account.run.scenario.name}, {len(rows)} bidders", ["bidder", *BIDDER_CELLS], rows
    )
    for name, told in TOTAL_LINES.items():
        say(out, f"{name:9} {told(account.totals)}")
    suspended = sum(account.suspended)
    if suspended:
        say(out, f"emergency the market was suspended in {suspended} auctions", style="bold")


def keep(kept: KeptRun, account: MarketAccount) -> None:
    """Store the results and track a run for the market and for every bidder."""
    kept.market(account)
    totals: dict[str, Any] = asdict(account.totals)
    bands = dict(zip(("50", "100", "200"), totals.pop("outside_s"), strict=False))
    totals |= {f"outside_{band}_mhz_s": seconds for band, seconds in bands.items()}
    kept.tracked.summary("market", "all", totals)
    for row in account.bidders:
        told = {
            item.name: value
            for item in fields(row)
            if item.name not in ("name", "kind") and (value := getattr(row, item.name)) is not None
        }
        kept.tracked.summary("market", row.name, {**told, "profit_eur": row.profit_eur})


def draw(folder: Path, account: MarketAccount, note: str, origin: Origin) -> list[Path]:
    """Curves, dispatch, frequency and messages as files."""
    from ems.report.figures.page import save
    from ems.report.market import market_figures

    drawn = market_figures(account, note=note, origin=origin)
    return [save(figure, folder / f"{name}.png") for name, figure in drawn.items()]


def page(file: Path, account: MarketAccount, note: str, origin: Origin) -> Path:
    """The page of the market."""
    from ems.report.market import write_market_report

    return write_market_report(account, file, note=note, origin=origin)


# --- bidders that learn --------------------------------------------------------------------------


def train() -> None:
    """Let bidders practise on a year of the homes; what is broken off goes on where it was kept."""
    asked, out, spec, year, _ = _practice(train.__doc__)
    from ems.pipelines.market_learning import practise

    folder = asked.practice.policies
    n_trainings = len(spec.bidders) * len(spec.seeds)
    with _kept(asked, "train", spec, out) as kept, progress_bar(out, "auctions") as bar:
        task = bar.add_task("practising", total=n_trainings * spec.n_steps)

        def progress(bidder: str, seed: int) -> Callable[[int, int], None]:
            before = bar.tasks[task].completed
            return lambda done, _: bar.update(task, completed=before + done)

        for seed, policy, file in practise(spec, year, folder, progress):
            kept.tracked.summary(
                "market", f"{policy.bidder} seed {seed}", {"n_steps": spec.n_steps}
            )
            kept.tracked.artifact(file)
            say(out, f"policy    {near(file)}")
    say(out, "score     python scripts/05_market.py score, with the same options")


def score() -> None:
    """Hold policies against honest bidding, the rule and the best possible, on unseen weeks."""
    asked, out, spec, _, weeks = _practice(score.__doc__)
    from ems.pipelines.market_learning import scored

    with _kept(asked, "score", spec, out) as kept, doing(out, "playing the weeks that were kept"):
        scores = list(scored(spec, weeks, asked.practice.policies))
        for one in scores:
            told = {name: value for name, value in asdict(one).items() if name.endswith("_keur")}
            told["score"] = one.score
            finite = {name: value for name, value in told.items() if value == value}
            kept.tracked.summary("market", f"{one.bidder} seed {one.seed}", finite)
    show_scores(out, scores)


def _practice(
    doc: str | None,
) -> tuple[LearnOptions, Console, PractiseSpec, AuctionSeries, AuctionSeries]:
    """Options, specification, the year that is practised on and the weeks that are kept."""
    asked = parsed(LearnOptions, doc, LEARN_EPILOG)
    from ems.extras import require

    for module in ("torch", "stable_baselines3", "gymnasium", "pettingzoo"):
        require(module, "requirements-learning.txt")
    out = console()
    start_tracking(asked.where)
    from ems.pipelines.market_learning import PractiseSpec, split_market
    from ems.store.read import list_buildings, read_history

    spec = PractiseSpec(
        bidders=asked.practice.bidders,
        seeds=tuple(range(asked.practice.seeds)),
        n_steps=asked.practice.steps,
        n_pieces=min(4, asked.practice.steps),
    )
    with open_database(asked.where.db, out) as con, doing(out, "reading the homes"):
        histories = [read_history(con, name) for name in list_buildings(con)]
    homes = [history for history in histories if history.kind == "residential"]
    if not homes:
        raise InvalidSpec("the database has no home, whose weather and load make the market")
    year, weeks = split_market(homes)
    out.print(SYNTHETIC, style="bold yellow")
    say(out, f"market    {', '.join(year.names)}")
    say(out, f"year      {year.n_steps} auctions of an hour from {str(year.start_utc)[:10]}")
    say(out, f"score     {weeks.n_steps // 168} weeks after it, which no training sees")
    return asked, out, spec, year, weeks


def _kept(
    asked: LearnOptions, what: str, spec: PractiseSpec, out: Console
) -> AbstractContextManager[KeptRun]:
    """The run of a training or a score."""
    return kept_run(
        EXPERIMENT,
        name=f"{what} {', '.join(spec.bidders)}",
        building="market",
        options=asked,
        parameters={"building": "market", "spec": spec, "data": {"db": asked.where.db.name}},
        synthetic=True,
        out=out,
    )


def show_scores(out: Console, scores: Sequence[Score]) -> None:
    """Every policy, then for each bidder the middle of its seeds."""
    import numpy as np

    from ems.market.learning.score import interquartile_mean

    heads = [
        "bidder",
        "seed",
        "trained k€",
        "untrained",
        "honest",
        "rule",
        "best",
        "of best",
        "score",
    ]
    rows = [
        [
            one.bidder,
            str(one.seed),
            *(
                number(value, 3)
                for value in (
                    *(one.trained_keur, one.untrained_keur, one.honest_keur, one.rule_keur),
                    one.best_keur,
                )
            ),
            percent_text(one.of_best),
            "–" if np.isnan(one.score) else number(one.score, 2),
        ]
        for one in scores
    ]
    show_table(out, "mean of a week that no training has seen", heads, rows)
    for bidder in dict.fromkeys(one.bidder for one in scores):
        shares = np.array([one.of_best for one in scores if one.bidder == bidder])
        middle = interquartile_mean(shares)
        say(
            out,
            f"{bidder:14} {100 * middle.mean:.0f} % of the best possible "
            f"({100 * middle.low:.0f} … {100 * middle.high:.0f}; middle half of {len(shares)} "
            f"{'seed' if len(shares) == 1 else 'seeds'})",
        )


if __name__ == "__main__":
    run(main)
